#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Flame graphs and report.html through independent readers, as TAP.

usage: report_test.py REPORT_TOOL [PART_OF_A_NAME]

SVGs must be XML whose rectangles add up to the profile; the page must be HTML that asks nobody for anything; and in a
browser, when one is installed, zoom, search and keys must do what they say.
"""
import collections
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

from pprof_file import Profile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import harness  # noqa: E402 (found by the line above)
from harness import Failure, Skip, equal  # noqa: E402

TOOL = sys.argv[1]
SVG = "{http://www.w3.org/2000/svg}"
PROGRAM, LIBC, LIBZ, KERNEL = "/usr/bin/program", "/lib/libc.so.6", "/lib/libz.so.1", "[kernel.kallsyms]"
HOSTILE = [b"</svg><script>alert(1)</script>", b"a&b<c>d\"e'f", b"\x01\x1b[2J\n\t", b"]]>", b"\xff\xfe cut \xe2\x82",
           "std::map<int, std::vector<char const*> >::operator[](int&&)".encode(), "\u202e\u2028".encode()]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def near(got, want, what, by=0.02):
    if abs(got - want) > by:
        raise Failure(f"{what} is {got}, wanted {want}")


def run(*arguments, status=0):
    result = subprocess.run([TOOL, *arguments], capture_output=True, check=False, timeout=60)
    if result.returncode != status:
        raise Failure(f"{arguments} ended with {result.returncode}: {result.stderr.decode(errors='replace')[-2000:]}")
    return result


# ---- A run to draw ----

def stacks():
    """(stack from the root, value, stage): a program with two stages, libraries, the kernel, inlining, recursion."""
    base = [(PROGRAM, "_start"), (PROGRAM, "main"), (PROGRAM, "flow_run")]
    inflate = base + [(PROGRAM, ["inflate_push", "isal_push"])]
    yield inflate + [(LIBZ, "decode"), (LIBZ, "libz.so.1!fde_1a40")], 5000, "inflate"
    yield inflate + [(LIBZ, "decode")], 3, "inflate"  # a share of "<0.1 %" by itself
    yield inflate + [(LIBZ, "crc32")], 1200, "inflate"
    kernel = [(KERNEL, "do_syscall_64"), (KERNEL, "io_uring_enter")]
    yield base + [(PROGRAM, "ring_wait"), (LIBC, "syscall")] + kernel, 900, "ring"
    yield base + [(PROGRAM, "tls_push"), (LIBC, "memcpy")], 333, "tls"
    yield base + [(PROGRAM, "walk")] * 200, 77, "scan"
    yield base, 40, "ring"
    for number in range(300):
        yield base + [(PROGRAM, f"small_{number}")], 1, "scan"
    for number, name in enumerate(HOSTILE):
        yield base + [(PROGRAM, name)], 60 + number, "http"


def cpu_profile():
    profile = Profile([("samples", "count"), ("cpu", "nanoseconds")], [PROGRAM], 1795645104 * 10**9, 2 * 10**9)
    for stack, value, stage in stacks():
        profile.add(stack, [value, value * 10101010], {"stage": stage, "thread": "worker"})
    return profile


def heap_profile(times):
    kinds = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")]
    profile = Profile(kinds, [PROGRAM])
    for stack, value, _ in stacks():
        profile.add(stack, [value * times, value * 48 * times, value // 2, value * 24])
    return profile


def off_cpu_profile():
    profile = Profile([("samples", "count"), ("off_cpu", "nanoseconds")], [PROGRAM])
    for index, (stack, value, stage) in enumerate(stacks()):
        profile.add(stack, [1, value * 1000], {"stage": stage, "state": "blocked" if index % 3 else "runqueue"})
    return profile


def record():
    stages = [{"stage": name, "cpu_ns": cpu, "blocked_ns": off, "runqueue_ns": off // 50}
              for name, cpu, off in (("inflate", 1500000000, 0), ("ring", 200000000, 900000000), ("<b>", 1000000, 5))]
    snapshot = {"at_ns": 10**9, "alloc_objects": 100, "alloc_bytes": 5000, "inuse_objects": 50,
                "inuse_bytes": 2500, "mapped_bytes": 1 << 20}
    later = dict(snapshot, at_ns=3 * 10**9, alloc_objects=140, alloc_bytes=9000)
    return {
        "version": 1, "program": "akamai-direct-prof", "start_unix": 1795645104, "exit_status": 0,
        "configuration": {"server": "<host>&\"'", "limit": 60000}, "host": {"kernel": "6.1.0"},
        "totals": {"events": 4000000, "events_per_second": 1000000, "cpu_seconds": 5.0, "elapsed_seconds": 4.0,
                   "requests": 67, "received_bytes": 10**9, "plain_bytes": 7 * 10**9, "rss_bytes_max": 7100000},
        "streams": [{"config_id": "1", "end_reason": "budget", "events": 4000000}],
        "throughput": [{"at_seconds": second + 1, "events": (second + 1) * 1000000} for second in range(4)],
        "profile": {
            "window_ns": 2 * 10**9, "window_start_ns": 10**9,
            "cpu": {"event": "cpu-clock", "hz": 99, "samples": 200, "cpu_ns": 1701000000, "samples_lost": 3},
            "stacks": {"user": 200, "complete": 199, "complete_share": 0.995, "scanned": 7, "stops": {"no-row": 1}},
            "off_cpu": {"samples": 20, "blocked_ns": 900000005, "runqueue_ns": 18000000}, "stages": stages,
            "heap": {"tracked": True, "rate_bytes": 1, "allocators": "libc.so.6", "snapshots": [snapshot, later]},
            "page_faults": 1234,
            "overhead": {"program_run_ns": 2000000, "program_runs": 1000, "supervisor_cpu_ns": 7000000},
            "notices": ["a <notice> & more"]},
        "confinement": {"user": "nobody", "no_new_privileges": True, "seccomp": False},
    }


class Folder:
    def __init__(self, whole=True):
        self.path = tempfile.mkdtemp(prefix="akamai-prof-report-")
        if whole:
            cpu_profile().write(self.at("cpu_mid.pprof"))
            off_cpu_profile().write(self.at("offcpu_mid.pprof"))
            heap_profile(1).write(self.at("heap_mid.pprof"))
            heap_profile(2).write(self.at("heap_end.pprof"))
            with open(self.at("run.json"), "w", encoding="utf-8") as file:
                json.dump(record(), file)

    def at(self, name):
        return os.path.join(self.path, name)

    def text(self, name):
        with open(self.at(name), encoding="utf-8") as file:  # strict: what is not UTF-8 fails here
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)


# ---- Reading pictures ----

Frame = collections.namedtuple("Frame", "name title x y width classes")


def frames_of(svg):
    """The frames of an <svg> element, in the order of the file."""
    found = []
    for group in svg.iter(SVG + "g"):
        classes = group.get("class", "").split()
        if "f" not in classes:
            continue
        rectangle, title = group.find(SVG + "rect"), group.find(SVG + "title").text
        found.append(Frame(title.split("\n")[0], title, float(rectangle.get("x")), float(rectangle.get("y")),
                           float(rectangle.get("width")), classes))
    return found


def number_of(frame):
    return int(re.match(r"[\d,]+", frame.title.split("\n")[1]).group(0).replace(",", ""))


def check_picture(svg, total):
    """Every frame lies on the one below it; shares are widths; the root is everything."""
    frames = frames_of(svg)
    root = frames[0]
    equal(root.name, "all", "the first frame")
    equal(number_of(root), total, "the root's value")
    rows = collections.defaultdict(list)
    for frame in frames:
        rows[frame.y].append(frame)
        near(frame.width, root.width * number_of(frame) / total, f"width of {frame.name!r}")
    ys = sorted(rows, reverse=frames[-1].y < root.y)
    equal(ys[0], root.y, "the first row")
    for lower, row in zip([None] + ys[:-1], ys):
        at = -1.0
        for frame in sorted(rows[row], key=lambda frame: frame.x):
            if frame.x < at - 0.01:
                raise Failure(f"{frame.name!r} lies over its neighbour")
            at = frame.x + frame.width
            if lower is not None and not any(below.x - 0.01 <= frame.x and at <= below.x + below.width + 0.01
                                             for below in rows[lower]):
                raise Failure(f"{frame.name!r} stands on nothing")
        names = [frame.name for frame in sorted(rows[row], key=lambda frame: frame.x)]
        if len(rows[row]) != len({frame.x for frame in rows[row]}):
            raise Failure(f"two frames at the same place: {names}")
    return frames


def shown(name):
    """What a hostile name must look like as text."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return "".join(chr(0x2400 + ord(c)) if c < " " else "\ufffd" if c in "\u202e\u2028" else c for c in text)


def a_picture_adds_up():
    with Folder() as folder:
        total = sum(value for _, value, _ in stacks())
        for label in ("", "stage"):
            root = ElementTree.fromstring(run("flame", folder.at("cpu_mid.pprof"), "samples", label).stdout)
            frames = check_picture(root, total)
            if label:
                by_stage = collections.Counter()
                for _, value, stage in stacks():
                    by_stage[stage] += value
                drawn = {frame.name: number_of(frame) for frame in frames if "label" in frame.classes}
                for stage, value in by_stage.items():
                    equal(drawn.get(stage), value, f"the row's value of {stage}")
            else:
                merged = [frame for frame in frames if "more, each below" in frame.name]
                equal([number_of(frame) for frame in merged], [300], "what was merged")
                equal(len([frame for frame in frames if frame.name == "walk"]), 200, "rows of the recursion")
        heap = ElementTree.fromstring(run("flame", folder.at("heap_end.pprof"), "alloc_objects", "").stdout)
        frames = check_picture(heap, 2 * total)
        if frames[0].y > frames[-1].y:
            raise Failure("allocations should hang from their root")


def hostile_names_are_shown():
    with Folder() as folder:
        root = ElementTree.fromstring(run("flame", folder.at("cpu_mid.pprof"), "samples", "").stdout)
        names = {frame.name for frame in frames_of(root)}
        for name in HOSTILE:
            # Python shows one U+FFFD for a cut sequence, we one for each of its bytes.
            want = shown(name).replace("cut \ufffd", "cut \ufffd\ufffd")
            if want not in names:
                raise Failure(f"{name!r} is not drawn as {want!r}")
        equal(len(list(root.iter(SVG + "script"))), 1, "number of scripts")


def folded_stacks_add_up():
    with Folder() as folder:
        lines = run("folded", folder.at("cpu_mid.pprof"), "samples").stdout.split(b"\n")
        equal(lines.pop(), b"", "the last line")
        want = sum(value for _, value, _ in stacks())
        equal(sum(int(line.rpartition(b" ")[2]) for line in lines), want, "the sum")
        equal(len(lines), len(list(stacks())), "the number of stacks")
        leaf = b"_start;main;flow_run;inflate_push;isal_push;decode;libz.so.1!fde_1a40 5000"
        equal(leaf in lines, True, "the stack of inflate")


# ---- Reading pages ----

class Page(html.parser.HTMLParser):
    """Elements that close, attributes that name something elsewhere, texts."""
    VOID = {"meta", "link", "img", "br", "hr", "input"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.addresses, self.bad, self.texts = [], [], [], [], []
        self.tags = collections.Counter()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "background"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.bad.append(f"{tag} has {name}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.bad.append(f"</{tag}> closes {self.open[-1:]} at line {self.getpos()[0]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.texts.append(data)


def check_page(text):
    page = Page(text)
    equal(page.bad + page.open, [], "what is wrong with the page")
    equal([address for address in page.addresses if not address.startswith("#")], [], "addresses outside the page")
    equal(len(page.ids), len(set(page.ids)), "ids that are there twice")
    equal(sorted(set(address[1:] for address in page.addresses) - set(page.ids)), [], "links into nothing")
    equal(page.tags["script"], 1, "number of scripts")
    outside = re.sub(r'xmlns="[^"]*"|"http://www\.w3\.org/\d+/(svg|xhtml)"', "", text)
    equal(re.findall(r"https?://[^\s\"'<]*|url\([^)]*\)|@import", outside), [], "addresses in the page")
    return page


def inline_pictures(text):
    return [ElementTree.fromstring(part) for part in re.findall(r"<svg xmlns.*?</svg>", text, re.S)]


def a_page_asks_nobody():
    with Folder() as folder:
        run("report", folder.path)
        text = folder.text("report.html")
        check_page(text)
        pictures = [svg for svg in inline_pictures(text) if svg.get("class") == "flame"]
        equal(len(pictures), 4, "flame graphs in the page")
        for name in ("cpu.svg", "heap.svg", "offcpu.svg"):
            svg = folder.text(name)
            ElementTree.fromstring(svg.encode())
            addresses = re.sub(r'"http://www\.w3\.org/\d+/(svg|xhtml)"', "", svg)
            equal(re.findall(r"https?:|href=|url\(|@import", addresses), [], f"addresses in {name}")
        equal(sorted(os.listdir(folder.path)), ["cpu.svg", "cpu_mid.pprof", "heap.svg", "heap_end.pprof",
              "heap_mid.pprof", "offcpu.svg", "offcpu_mid.pprof", "report.html", "run.json"], "the folder")


def a_page_tells_what_the_files_hold():
    with Folder() as folder:
        run("report", folder.path)
        text = folder.text("report.html")
        page = check_page(text)
        words = "".join(page.texts).replace("\u00a0", " ")
        total = sum(value for _, value, _ in stacks())
        for part in ("4,000,000", "1,000,000", "1.25", "7.10 MB", "2.00 s", "200 CPU samples at 99 Hz",  # headline
                     "64.9 % of their time on a CPU", "88.2 % went into inflate",  # the answer
                     "libz.so.1!fde_1a40", f"{5000 / total * 100:.1f} %", f"{6200 / total * 100:.1f} %",  # functions
                     "+4.00 kB", "4.00 kB in 40 pieces", "1,234 page faults",  # memory
                     "99.5 %", "199 of 200", "ended at: no-row", "2.00 ms", "1,000 runs, 2.00 \u00b5s each",  # trust
                     "nobody", "\u2713 on", "\u2717 off", "a <notice> & more", "<host>&\"'",
                     "There is no profile of page faults"):
            if part not in words:
                raise Failure(f"the page lacks {part!r}")
        per_event = 1500000000 / 2000000  # the window is two of four seconds at a steady rate
        equal(f"{per_event:.0f} ns" in words, True, "time per event of inflate")
        for name in HOSTILE[:2]:
            equal(name.decode() in words, True, f"{name!r} as text")
        shares = [float(share) for share in re.findall(r"</span></td><td>([\d.]+)\u00a0%</td><td>", text)]
        near(sum(shares[:3]), 100, "shares of the stages", 0.2)


def a_folder_may_lack_anything():
    names = ["run.json", "cpu_mid.pprof", "offcpu_mid.pprof", "heap_mid.pprof", "heap_end.pprof"]
    for bits in range(1, 1 << len(names)):
        with Folder() as folder:
            for index, name in enumerate(names):
                if not bits >> index & 1:
                    os.unlink(folder.at(name))
            run("report", folder.path)
            page = check_page(folder.text("report.html"))
            words = "".join(page.texts)
            equal("run.json is not there" in words, not bits & 1, "whether the page says that run.json is not there")
            equal(os.path.exists(folder.at("cpu.svg")), bool(bits & 2), "whether there is cpu.svg")
            equal(os.path.exists(folder.at("heap.svg")), bool(bits & 16), "whether there is heap.svg")
            if bits > 1:
                equal("There is no CPU profile" in words, not bits & 2, "whether the page misses a CPU profile")
    with Folder(whole=False) as folder:
        run("report", folder.path, status=1)


def a_folder_may_be_hostile():
    """A pipe does not hold the report up, a link does not lead it to somebody else's file, a file is no folder."""
    with Folder() as folder, Folder() as other:
        os.unlink(folder.at("cpu_mid.pprof"))
        os.mkfifo(folder.at("cpu_mid.pprof"))
        before = other.text("run.json")
        for name in ("report.html", "report.html.new", "heap.svg", "heap.svg.new"):
            os.symlink(other.at("run.json"), folder.at(name))
        equal("not a regular file" in run("report", folder.path, status=1).stderr.decode(), True, "whether it says why")
        check_page(folder.text("report.html"))
        equal(os.path.islink(folder.at("report.html")), False, "whether the page is a link")
        equal(other.text("run.json") == before, True, "whether the other file is as it was")
        os.unlink(folder.at("run.json"))
        os.mkfifo(folder.at("run.json"))
        run("report", folder.path, status=1)
        equal("Not a directory" in run("report", other.at("run.json"), status=1).stderr.decode(), True, "its error")


def reports_are_repeatable():
    with Folder() as folder:
        run("report", folder.path)
        first = {name: folder.text(name) for name in ("report.html", "cpu.svg", "heap.svg", "offcpu.svg")}
        run("report", folder.path)
        for name, text in first.items():
            equal(folder.text(name) == text, True, f"whether {name} is the same again")


# ---- In a browser ----

DRIVE = """
(function () {
const said = {}, svg = document.querySelector("svg.flame"), groups = Array.from(svg.querySelectorAll(".f"));
const visible = () => groups.filter((group) => group.style.display !== "none").length;
const named = (name) => groups.find((group) => group.querySelector("title").textContent.startsWith(name + "\\n"));
const key = (name, more) =>
	document.dispatchEvent(new KeyboardEvent("keydown", Object.assign({ key: name, bubbles: true }, more)));
const width = (group) => +group.querySelector("rect").getAttribute("width");
said.frames = groups.length;
said.all = visible();
said.root = width(groups[0]);
named("isal_push").dispatchEvent(new MouseEvent("click", { bubbles: true }));
said.zoomed = visible();
said.wide = width(named("isal_push"));
said.below = groups.some((group) => group.style.display !== "none" && group.classList.contains("above") &&
	group.querySelector("title").textContent.startsWith("main\\n"));
const input = svg.querySelector("input");
input.focus();
input.value = "ISAL_push";
input.dispatchEvent(new Event("input", { bubbles: true }));
said.matched = svg.querySelector("output").textContent;
said.hits = svg.querySelectorAll(".hit").length;
key("Escape");
said.cleared = svg.querySelectorAll(".hit").length + input.value;
said.stillZoomed = visible();
key("Escape");
said.reset = visible();
svg.focus();
key("ArrowUp");
key("ArrowUp");
said.current = svg.querySelectorAll(".current").length;
key("f", { ctrlKey: true });
said.focused = document.activeElement === input;
input.blur();
key("f", { ctrlKey: true });
said.takesAll = document.activeElement === input;
said.sideways = document.documentElement.scrollWidth > window.innerWidth;
said.fits = Math.round(svg.getBoundingClientRect().width) <= window.innerWidth;
document.documentElement.setAttribute("data-said", JSON.stringify(said));
})();
"""


def browse(path, ending, width):
    """Opens a copy of the file with DRIVE in it; returns what that said."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        raise Skip("no browser is installed (chromium)")
    with tempfile.TemporaryDirectory(prefix="akamai-prof-browser-") as folder:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        before, _, after = text.rpartition(ending)
        script = f"<script><![CDATA[{DRIVE}]]></script>" if path.endswith(".svg") else f"<script>{DRIVE}</script>"
        copy = os.path.join(folder, "copy" + os.path.splitext(path)[1])
        with open(copy, "w", encoding="utf-8") as file:
            file.write(before + script + ending + after)
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   f"--user-data-dir={folder}/profile", f"--window-size={width},900",
                   "--virtual-time-budget=2000", "--dump-dom", "file://" + copy]
        result = subprocess.run(command, capture_output=True, check=False, timeout=120)
        found = re.search(r'data-said="([^"]*)"', result.stdout.decode(errors="replace"))
        if not found:
            raise Failure(f"the script in {path} did not end: {result.stderr.decode(errors='replace')[-800:]}")
        return json.loads(found.group(1).replace("&quot;", '"').replace("&amp;", "&"))


def check_drive(said, alone):
    total = sum(value for _, value, _ in stacks())
    equal(said["all"], said["frames"], "frames that show at first")
    # Root, stage, _start, main, flow_run, inflate_push below it; decode, its caller and crc32 above.
    equal(said["zoomed"], 10, "frames that show when zoomed")
    near(said["wide"], said["root"], "width of what was zoomed to", 0.5)
    equal(said["below"], True, "whether what is below is faded")
    equal(said["matched"], f"{6200 / total * 100:.1f} % matched", "what the search says")
    equal(said["hits"], 1, "hits")
    equal(said["cleared"], "0", "hits and text after Escape")
    equal(said["stillZoomed"], 10, "frames after the first Escape")
    equal(said["reset"], said["frames"], "frames after the second Escape")
    equal(said["current"], 1, "frames chosen by keys")
    equal(said["focused"], True, "whether Ctrl-F goes to the search")
    equal(said["takesAll"], alone, "whether Ctrl-F goes there from elsewhere in the page")
    equal((said["sideways"], said["fits"]), (False, True), "whether the page scrolls sideways, and the picture fits")


def a_picture_alone_zooms_and_searches():
    with Folder() as folder:
        run("report", folder.path)
        for width in (1400, 500):
            check_drive(browse(folder.at("cpu.svg"), "</svg>", width), alone=True)


def pictures_in_a_page_zoom_and_search():
    with Folder() as folder:
        run("report", folder.path)
        for width in (1400, 500):
            check_drive(browse(folder.at("report.html"), "</body>", width), alone=False)


def main():
    tests = [a_picture_adds_up, hostile_names_are_shown, folded_stacks_add_up, a_page_asks_nobody,
             a_page_tells_what_the_files_hold, a_folder_may_lack_anything, a_folder_may_be_hostile,
             reports_are_repeatable,
             a_picture_alone_zooms_and_searches, pictures_in_a_page_zoom_and_search]
    harness.main([(test.__name__, test) for test in tests], *sys.argv[2:3])


if __name__ == "__main__":
    main()
