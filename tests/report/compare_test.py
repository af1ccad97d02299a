#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""akamai-prof compare: known runs in, exact figures out; noise; Go's profiles; the page; hostile input. As TAP.

usage: compare_test.py AKAMAI_PROF [PART_OF_A_NAME]
"""
import collections
import json
import os
import pty
import re
import shutil
import subprocess
import sys

import report_test
from compare_runs import (ENVIRONMENT, INFLATE, MAIN, PROF, SAMPLE_NS, Place, as_json, cells, compare, cpu_profile,
                          heap_profile, near, record, samples_of, table_of, two_runs)
from pprof_file import Profile
from report_test import HOSTILE, LIBC, LIBZ, PROGRAM
import harness  # found by report_test
from harness import Failure, Skip, contains, equal, lacks

GO = shutil.which("go")
WIDTH = 100  # columns of the text
SIDES_MAX = 16


# ---- Figures ----

def figures_are_exact():
    with Place() as place:
        document = as_json(*two_runs(place))
    equal([side["label"] for side in document["sides"]], ["a", "b"], "labels")
    equal([(side["runner"], side["parse"], side["streams"]) for side in document["sides"]],
          [("direct", "control", 1), ("interpreted", "control", 1)], "runners, parsing levels, streams")
    equal(document["per_event"], True, "whether CPU is by event")
    million = SAMPLE_NS / 1e9 / 2  # a sample, by the two million events of the window
    for table, row, first, second in (
            ("throughput", "events", 4e6, 4e6), ("throughput", "events_per_second", 1e6, 1e6),
            ("throughput", "cpu_seconds_per_million_events", 1.5, 2.25), ("throughput", "requests", 67, 67),
            ("throughput", "received_bytes_per_second", 150e6, 150e6), ("throughput", "elapsed_seconds", 4, 4),
            ("throughput", "plain_bytes_per_second", 1e9, 1e9), ("memory", "rss_bytes_max", 8e6, 12e6),
            ("memory", "heap_mid_bytes", 500, 500), ("memory", "heap_end_bytes", 1700, 2400),
            ("memory", "heap_end_objects", 8, 8), ("churn", "allocated_mid_bytes", 1000, 1000),
            ("churn", "allocated_end_bytes", 4000, 10000), ("churn", "allocated_end_objects", 25, 45),
            ("churn", "allocated_bytes_per_event", 0.001, 0.0025),
            ("churn", "allocated_objects_per_event", 25 / 4e6, 45 / 4e6),
            ("churn", "late_allocated_bytes_per_event", 3000 / 2e6, 9000 / 2e6),
            ("cpu_packages", "libz.so.1", 140 * million, 225 * million),
            ("cpu_packages", "[kernel]", 20 * million, 20 * million),
            ("cpu_packages", "program", 10 * million, 30 * million),
            ("cpu_packages", "all packages", 170 * million, 275 * million),
            ("cpu_stages", "inflate", 140 * million, 225 * million), ("cpu_stages", "scan", 10 * million, 30 * million),
            ("cpu_flat", "decode", 100 * million, 220 * million), ("cpu_flat", "fresh", 0, 30 * million),
            ("cpu_flat", "inlined", 10 * million, 0), ("cpu_cumulative", "walk", 10 * million, 0),
            ("cpu_cumulative", "main", 170 * million, 275 * million),
            ("cpu_cumulative", "read", 20 * million, 20 * million),
            ("heap_end_flat", "page_grow", 700, 1400), ("allocated_flat", "page_grow", 3000, 9000)):
        pair = cells(document, table, row)
        near(pair[0]["median"], first, f"{table}, {row} of the first")
        near(pair[1]["median"], second, f"{table}, {row} of the second")
        near(pair[1]["change"], second / first - 1 if first else None, f"the change of {table}, {row}")
    crc = cells(document, "cpu_flat", "crc32")
    equal([cell["raw"] for cell in crc], [40 * SAMPLE_NS, 5 * SAMPLE_NS], "raw figures")
    equal([cell["samples"] for cell in crc], [40, 5], "samples")
    lacks(table_of(document, "cpu_flat"), "walk", "the flat table")


def rows_of_text(text, title):
    """The rows of a table as lists of words that two blanks part."""
    part = text[text.index("\n" + title + "\n") + len(title) + 2:]
    return [re.split(r" {2,}", line.strip()) for line in part[:part.index("\n\n")].splitlines()]


def text_and_markdown_say_the_same():
    with Place() as place:
        runs = two_runs(place)
        text, markdown = compare(*runs), compare("-format", "markdown", *runs)
    for title, row in (
            ("Runs", ["b", "interpreted", "control", "1", "1", "1,000,000", "=", "2.25", "+50.0 % ?", "12.0 MB",
                      "+50.0 % ?"]),
            ("Throughput", ["CPU-seconds per million events", "1.50", "2.25", "+50.0 % ?"]),
            ("Throughput", ["events", "4,000,000", "4,000,000", "="]),
            ("CPU by package or library", ["libz.so.1", "0.700", "1.12", "+60.7 %"]),
            ("CPU by stage", ["scan", "0.050", "0.150", "+200.0 %"]),
            ("CPU by function, itself", ["decode", "0.500", "1.10", "+120.0 %"]),
            ("CPU by function, itself", ["crc32", "0.200", "0.025", "-87.5 %"]),
            ("CPU by function, itself", ["fresh", "0.00", "0.150", "new"]),
            ("CPU by function, itself", ["vfs_read", "0.100", "0.100", "="]),
            ("CPU by function, with what it calls", ["walk", "0.050", "0.00", "-100.0 %"]),
            ("Memory", ["live heap at the end", "1.70 kB", "2.40 kB", "+41.2 % ?"]),
            ("Allocation churn", ["allocated per event", "0.001 B", "0.003 B", "+150.0 % ?"])):
        if row not in rows_of_text(text, title):
            raise Failure(f"{title} lacks {row}: {rows_of_text(text, title)}")
        names = {row[0], *(row[1:3] if title == "Runs" else ())} if title.startswith(("Runs", "CPU by")) else set()
        line = "| " + " | ".join(f"`{word}`" if word in names else word for word in row) + " |"
        contains(markdown.replace("|  |", "| |").replace("| |", "|"), line, "the Markdown")
    lacks(text, "\x1b", "the text in a pipe")
    if [line for line in text.splitlines() if line != line.rstrip()]:
        raise Failure("lines of the text end in blanks")


def top_cuts_functions_only():
    with Place() as place:
        runs = two_runs(place)
        text, document = compare("-top", "2", *runs), json.loads(compare("-format=json", "--top=2", *runs))
    contains(text, "(3 more; -top shows them)")
    flat = [table for table in document["tables"] if table["name"] == "cpu_flat"][0]
    equal(([row["name"] for row in flat["rows"]], flat["row_count"]), (["decode", "crc32"], 5), "the cut table")
    equal(len(table_of(document, "cpu_packages")), 4, "packages")


# ---- Noise ----

def runs_of(place, label, **lists):
    for number in range(max(map(len, lists.values()))):
        place.run(f"{label}/{number + 1}", record(**{key: values[number] for key, values in lists.items()}))
    return place.at(label)


def repeated_runs_tell_noise():
    """Medians, ranges, and whether these meet: with repeats on both sides, and on one only."""
    with Place() as place:
        base = runs_of(place, "base", cpu_seconds=[4.0, 4.4, 8.0], rss=[100, 110, 120])
        other = runs_of(place, "other", cpu_seconds=[8.0, 9.0, 10.0], rss=[121, 130, 140])
        even = runs_of(place, "even", cpu_seconds=[6.0, 4.0], rss=[90, 99])
        document = as_json(base, other, even)
        one = as_json(base, place.run("one", record(cpu_seconds=8.5, rss=90)))
        text = compare(base, other)
    cpu = cells(document, "throughput", "cpu_seconds_per_million_events")
    rss = cells(document, "memory", "rss_bytes_max")
    equal([(cell["median"], cell["low"], cell["high"]) for cell in cpu],
          [(1.1, 1.0, 2.0), (2.25, 2.0, 2.5), (1.25, 1.0, 1.5)], "medians and ranges")
    equal(cpu[0]["runs"], [1.0, 1.1, 2.0], "figures of the runs")
    equal([(cell["noise"], cell["basis"]) for cell in cpu],
          [("none", ""), ("within", "runs"), ("within", "runs")], "noise of CPU")
    equal([cell["noise"] for cell in rss], ["none", "beyond", "beyond"], "noise of RSS")
    # One run beside a range of 0.5 (4 s): 8.5 - 4.4 is more; RSS 90 - 110 is exactly the range.
    equal(cells(one, "throughput", "cpu_seconds")[1]["noise"], "beyond", "noise beside one run, CPU")
    equal(cells(one, "memory", "rss_bytes_max")[1]["noise"], "within", "noise beside one run, RSS")
    contains(text, "\u00b145.5 %")
    if ["peak RSS", "110 B", "\u00b19.1 %", "130 B", "\u00b17.3 %", "+18.2 %"] not in rows_of_text(text, "Memory"):
        raise Failure(f"RSS is {rows_of_text(text, 'Memory')}")


def samples_tell_noise():
    """Two standard deviations of a difference of Poisson counts, on both sides of the border."""
    with Place() as place:
        first, second = {"x": 100, "y": 100, "z": 100}, {"x": 130, "y": 131, "z": 72, "n": 3, "m": 5}
        document = as_json(*(place.run(label, record(), cpu_profile([(MAIN + [(PROGRAM, name)], count, "")
                                                                     for name, count in counts.items()]))
                             for label, counts in (("a", first), ("b", second))))
    # |130 - 100| <= 2 sqrt(230) = 30.3 < |131 - 100|; sqrt(231) is 15.2; 28 > 2 sqrt(172) = 26.2. None counts as one:
    # 3 <= 2 sqrt(1 + 3) = 4, and 5 > 2 sqrt(1 + 5) = 4.9.
    for name, want in (("x", "within"), ("y", "beyond"), ("z", "beyond"), ("n", "within"), ("m", "beyond")):
        cell = cells(document, "cpu_flat", name)[1]
        equal((cell["noise"], cell["basis"]), (want, "samples"), f"noise of {name}")


def repeats_and_samples_tell_noise_together():
    with Place() as place:
        for label, counts in (("a", (100, 101)), ("b", (110, 111)), ("c", (200, 202))):
            for number, count in enumerate(counts):
                place.run(f"{label}/{number}", record(), cpu_profile([(MAIN, count, "")]))
        document = as_json(place.at("a"), place.at("b"), place.at("c"))
    # Ranges do not meet, but 10 of 211 is chance: 2 sqrt(201 + 221) / 2 = 20.5.
    found = [(cell["noise"], cell["basis"]) for cell in cells(document, "cpu_flat", "main")]
    equal(found, [("none", ""), ("within", "runs and samples"), ("beyond", "runs and samples")], "noise")
    near(cells(document, "cpu_flat", "main")[0]["median"], 100.5 * SAMPLE_NS / 1e9 / 2, "the median")


def one_run_each_is_no_basis():
    with Place() as place:
        runs = place.run("a", record()), place.run("b", record(rss=9_000_000))
        equal(cells(as_json(*runs), "memory", "rss_bytes_max")[1]["noise"], "unknown", "noise of one run each")
        text = compare(*runs)
    contains(text, "+12.5 % ?")
    contains(text, "one run each")


# ---- What is given ----

def sides_have_names():
    with Place() as place:
        place.run("old/direct", record())
        place.run("new/direct", record())
        place.run("x", record())

        def labels(*arguments, cwd=None):
            return [side["label"] for side in as_json(*arguments, cwd=cwd)["sides"]]
        old, new, other = place.at("old/direct"), place.at("new/direct/"), place.at("x")
        equal(labels(old, new), ["old/direct", "new/direct"], "folders of the same name")
        equal(labels(old, other), ["direct", "x"], "folders of different names")
        equal(labels(other, other, other), ["x", "x (2)", "x (3)"], "the same folder")
        equal(labels("before=" + old, other), ["before", "x"], "a given name")
        equal(labels(".", other, cwd=old), ["direct", "x"], "where . leads")
        contains(compare("n=" + old, "n=" + other, status=1), "two sides are called n")
        os.rename(other, place.at("k=v"))
        equal(labels(place.at("k=v"), old), ["k=v", "direct"], "a folder with a = in its name")
        equal(labels("k=v", old, cwd=place.path), ["k=v", "direct"], "the same from beside it")


def repeats_are_in_order():
    with Place() as place:
        for number in (10, 9, 1):
            place.run(f"a/{number}", record(rss=number))
        os.mkdir(place.at("a/logs"))
        place.run("b", record())
        document = as_json(place.at("a"), place.at("b"))
        for number in (1, 2):
            place.run(f"go/{number}", cpu=cpu_profile(samples_of(100 * number)))
        other_tool = as_json(place.at("go"), place.run("c", record(), cpu_profile(samples_of())))
    equal(cells(document, "memory", "rss_bytes_max")[0]["runs"], [1, 9, 10], "the order of the runs")
    equal(cells(other_tool, "cpu_flat", "decode")[0]["samples"], 300, "samples of the runs without run.json")


def a_run_may_lack_anything():
    """Without a profile, without events, of an older version: what is there is compared."""
    with Place() as place:
        a, b = two_runs(place)
        bare = place.run("bare", record())
        old = place.run("old", {"version": 1, "totals": {"events": 1000, "elapsed_seconds": 2}})
        odd = place.run("odd", {"version": 1, "totals": [], "profile": 7, "streams": {}, "configuration": None})
        document = as_json(a, bare, old, odd)
        equal(cells(document, "throughput", "events_per_second")[2]["median"], 500, "events per second of the old run")
        equal(cells(document, "cpu_flat", "decode")[1]["median"], None, "CPU of the run without a profile")
        equal(document["per_event"], True, "whether CPU is by event")
        contains(compare(a, bare, old, odd), "\u2013", "the text")
        names = [table["name"] for table in as_json(bare, old)["tables"]]
        equal(names, ["throughput", "memory"], "tables of runs without profiles")
        # The window's events are not known: shares of the whole run's CPU time.
        document = record()
        document["profile"] = {}
        late = place.run("late", document, cpu_profile(samples_of()))
        near(cells(as_json(late, b), "cpu_flat", "decode")[0]["median"], 1.5 * 100 / 170, "CPU by the whole run")
        # A file of another tool: per cent.
        shares = as_json(a, os.path.join(b, "cpu_mid.pprof"))
        equal(shares["per_event"], False, "whether CPU is by event")
        equal(shares["sides"][1]["kind"], "file", "what the second is")
        near(cells(shares, "cpu_flat", "decode")[1]["median"], 220 / 275 * 100, "share")
        heaps = as_json(os.path.join(a, "heap_mid.pprof"), os.path.join(b, "heap_end.pprof"))
        equal(heaps["tables"][0]["name"], "memory", "what heap files give")


def lua_functions_have_a_table():
    with Place() as place:
        stack = MAIN + [("[lua]", "execute mine.lua:3"), ("[lua]", "next_page mine.lua:9")]
        document = as_json(place.run("a", record(), cpu_profile([(stack, 50, "program"), (MAIN, 50, "")])),
                           place.run("b", record(), cpu_profile([(stack[:2], 100, "program")])))
    rows = table_of(document, "cpu_lua")
    equal(sorted(rows), ["execute mine.lua:3", "next_page mine.lua:9"], "Lua functions")
    equal([cell["samples"] for cell in rows["execute mine.lua:3"]["sides"]], [50, 100], "their samples")
    equal(rows["execute mine.lua:3"]["module"], "[lua]", "their module")


def programs_may_have_other_names():
    """The program's own functions are the same, whatever its file is called; other modules' are not."""
    with Place() as place:
        document = as_json(*(
            place.run(label, record(), cpu_profile([([(program, "f")], 100, ""), ([(library, "g")], 10, "")],
                                                   program=program))
            for label, program, library in (("a", "/bin/one", LIBZ), ("b", "/bin/two", LIBC))))
    flat = [table for table in document["tables"] if table["name"] == "cpu_flat"][0]["rows"]
    equal([(row["name"], row.get("module"), [cell["samples"] for cell in row["sides"]]) for row in flat],
          [("f", None, [100, 100]), ("g", "libc.so.6", [0, 10]), ("g", "libz.so.1", [10, 0])], "rows")


def what_weakens_the_comparison_is_said():
    with Place() as place:
        other = record(exit_status=1, host={"kernel": "6.9.0"})
        other["configuration"] = dict(other["configuration"], parse="full", server="elsewhere")
        other["profile"]["cpu"] = {"samples_lost": 3}
        other["profile"]["heap"]["given_up"] = True
        text = " ".join(compare(place.run("a", record()), place.run("b", other)).split())
    for part in ("b ended with exit status 1", "b lost 3 CPU samples", "gave up tracking the heap",
                 "b ran on another host: kernel is 6.9.0 there, 6.1.0 for a", "b ran with parse full, a with control"):
        contains(text, part)
    lacks(text, "elsewhere")


def errors_say_what_to_do():
    with Place() as place:
        a, b = two_runs(place)
        empty, damaged = place.at("empty"), place.run("damaged", record())
        os.mkdir(empty)
        with open(os.path.join(damaged, "cpu_mid.pprof"), "wb") as file:
            file.write(b"\x1f\x8b\x08\0no profile")
        text = place.run("text", record())
        with open(os.path.join(text, "run.json"), "w", encoding="utf-8") as file:
            file.write('{"version": 1, "totals": {')
        off_cpu = place.at("off.pprof")
        Profile([("samples", "count"), ("off_cpu", "nanoseconds")], [PROGRAM]).write(off_cpu)
        for arguments, status, parts in (
                ([], 2, ["compare DIR DIR"]), ([a], 2, ["from two", "compare DIR DIR"]),
                ([a] * (SIDES_MAX + 1), 2, ["16"]), ([a, b, "-frmat", "json"], 2, ["did you mean -format"]),
                ([a, b, "-format", "xml"], 2, ["text|markdown|json"]),
                ([a, b, "-top", "0"], 2, ["-top is 0"]), ([a, b, "-html"], 2, ["wants a value"]),
                ([a, place.at("nowhere")], 1, ["nowhere", "No such file", "run folders or pprof files"]),
                ([a, empty], 1, ["empty holds neither run.json nor profiles", "-out"]),
                ([a, damaged], 1, ["cpu_mid.pprof", "leave it out"]),
                ([a, text], 1, ["run.json is damaged at byte", "leave it out"]),
                ([a, os.path.join(a, "run.json")], 1, ["run.json"]), ([a, off_cpu], 1, ["off_cpu", "CPU profiles"]),
                ([os.path.join(a, "heap_end.pprof"), os.path.join(b, "cpu_mid.pprof")], 1,
                 ["nothing to compare", "same kind"]),
                ([a, b, "-html", place.at("no/such/folder.html")], 1, ["cannot write", "folder.html"])):
            said = compare(*arguments, status=status)
            for part in parts:
                contains(said, part, f"what {arguments} says")
            equal(said.startswith("akamai-prof: "), True, "whether the error says who speaks")
        contains(compare("-help"), "usage: akamai-prof compare")


# ---- Text ----

def text_fits_a_terminal():
    with Place() as place:
        long = [(MAIN + [(PROGRAM, "very_long_name_" * 12)], 9, "")]
        folders = [place.run(f"interpreted-full-with-{number}-streams", record(rss=10**6 * (number + 1)),
                             cpu_profile(list(samples_of(100 + number)) + long)) for number in range(SIDES_MAX)]
        for count in (2, 3, 5, SIDES_MAX):
            text = compare(*folders[:count])
            wide = [line for line in text.splitlines() if len(line) > WIDTH]
            equal(wide, [], f"lines of {count} sides that do not fit")
            for number in range(count):
                contains(text, f"+{number}00.0 % ?" if 0 < number < 10 else f"+{number}00 % ?" if number else "1.00 MB")
                contains(text, f"-with-{number}-streams")
        contains(text, "very_long_name_very_long_")
        contains(text, "\u2026")


def terminal(*arguments, **variables):
    """What a terminal would show."""
    parent, child = pty.openpty()
    process = subprocess.Popen([PROF, "compare", *arguments], stdout=child, stderr=child, stdin=child,
                               env={**ENVIRONMENT, **variables})
    os.close(child)
    out = b""
    while True:
        try:
            more = os.read(parent, 65536)
        except OSError:
            break
        if not more:
            break
        out += more
    os.close(parent)
    equal(process.wait(timeout=60), 0, "the exit status")
    return out.decode()


def colour_is_for_terminals():
    with Place() as place:
        runs = two_runs(place)
        text = terminal(*runs, TERM="xterm")
        contains(text, "\x1b[31m+120.0 %\x1b[0m", "worse beyond the noise")
        contains(text, "\x1b[32m-87.5 %\x1b[0m", "better beyond the noise")
        lacks(text, "\x1b[31m+50.0 % ?", "one run each")
        plain = re.sub(r"\x1b\[\d+m", "", text).replace("\r\n", "\n")
        equal(plain == compare(*runs), True, "whether the words are the same")
        for variables in ({"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}, {}):
            lacks(terminal(*runs, **variables), "\x1b", f"a terminal with {variables}")
        lacks(terminal("-format", "markdown", *runs, TERM="xterm"), "\x1b", "Markdown")


def output_is_repeatable():
    with Place() as place:
        runs = two_runs(place)
        for arguments in (["-format", form, *runs] for form in ("text", "markdown", "json")):
            equal(compare(*arguments) == compare(*arguments), True, f"whether {arguments[1]} is the same again")
        pages = []
        for name in ("one.html", "two.html"):
            compare("-html", place.at(name), *runs)
            pages.append(place.text(name))
        equal(pages[0] == pages[1], True, "whether the page is the same again")


# ---- Hostile input ----

def hostile_names_are_words():
    with Place() as place:
        rows = [(MAIN + [(PROGRAM, name)], 50 + number, name) for number, name in enumerate(HOSTILE)]
        rows += [(MAIN + [(PROGRAM, "a|b`c`|d")], 40, "")]
        document = record(program="p|<b>\x1b[2J\"")
        document["configuration"]["parse"] = "<i>|\u202e"
        a = place.run("a|`<b>&", document, cpu_profile(rows))
        b = place.run(os.fsdecode(b"b\x1b[2J\"\xff"), document, cpu_profile(rows))
        text, markdown = compare(a, b), compare("-format", "markdown", a, b)
        for what in (text, markdown):
            bad = [c for c in what if (c < " " and c != "\n") or c in "\x7f\u202e\u2028"]
            equal(bad, [], "control characters")
        for block in re.findall(r"(?:^\|.*\n)+", markdown, re.M):
            columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            equal(len(columns), 1, f"different numbers of columns in {block[:200]!r}")
            for line in block.splitlines():
                equal(line.count("`") % 2, 0, f"open code spans in {line!r}")
        parsed = as_json(a, b)
        equal(parsed["sides"][0]["runner"], "p|<b>\x1b[2J\"", "the runner in JSON")
        contains(table_of(parsed, "cpu_flat"), HOSTILE[0].decode())
        compare("-html", place.at("page.html"), a, b)
        page = report_test.check_page(place.text("page.html"))
        contains("".join(page.texts), "</svg><script>alert(1)</script>")


def hostile_files_are_errors_or_figures():
    """Pipes, huge figures, runs that point at themselves: an answer in time, and no crash."""
    with Place() as place:
        a, b = two_runs(place)
        for name in ("run.json", "cpu_mid.pprof"):
            folder = shutil.copytree(b, place.at("pipe-" + name))
            os.unlink(os.path.join(folder, name))
            os.mkfifo(os.path.join(folder, name))
            contains(compare(a, folder, status=1), "not a regular file")
        os.mkfifo(place.at("pipe"))
        contains(compare(a, place.at("pipe"), status=1), "not a regular file")
        huge = cpu_profile([(MAIN, 2**63 - 1, "x"), (INFLATE, 2**62, "y"), (INFLATE + MAIN, -5, "z"), ([], 7, "")],
                           ns=1)
        totals = {"events": 2**63 - 1, "cpu_seconds": 1e300, "elapsed_seconds": 1e-300, "rss_bytes_max": 2**63 - 1,
                  "events_per_second": 1e308, "requests": -4, "received_bytes": 1e400}
        large = place.run("large", record(totals=totals), huge, heap_profile([(MAIN, *[2**63 - 1] * 4)] * 2),
                          heap_profile([(MAIN, *[2**63 - 1] * 4)] * 2))
        none = place.run("none", record(events=0, cpu_seconds=0.0), cpu_profile([]), heap_profile([]), heap_profile([]))
        wide = [line for line in compare(a, large, none).splitlines() if len(line) > WIDTH]
        equal(wide, [], "lines that do not fit")
        for runs in ((a, large), (large, a), (none, large), (none, a), (a, none)):
            as_json(*runs)
            compare("-html", place.at("page.html"), *runs)
            report_test.check_page(place.text("page.html"))
        deep = place.run("deep", record(), cpu_profile([(MAIN + [(PROGRAM, f"f{n}") for n in range(1000)], 9, "")] * 3))
        compare("-html", place.at("page.html"), deep, a)
        with open(os.path.join(a, "cpu_mid.pprof"), "rb") as file:
            whole = file.read()
        for cut in (0, 1, 10, len(whole) // 2, len(whole) - 1):
            with open(os.path.join(b, "cpu_mid.pprof"), "wb") as file:
                file.write(whole[:cut])
            contains(compare(a, b, status=1), "cpu_mid.pprof")
        many = place.at("many")
        for number in range(65):
            place.run(f"many/{number}", record())
        contains(compare(many, a, status=1), "more than 64 runs")


# ---- The page ----

def pictures_of(text):
    return [svg for svg in report_test.inline_pictures(text) if svg.get("class") == "flame"]


Change = collections.namedtuple("Change", "base side step")
STEPS = ("less3", "less2", "less1", "same", "more1", "more2", "more3")


def number(text):
    return float(text.replace(",", "").replace("<0.001", "0").split()[0])


def change_of(frame):
    """Both figures in samples, and the colour."""
    samples = re.search(r"([\d.]+) \u2192 ([\d.]+) samples", frame.title)
    return Change(float(samples[1]), float(samples[2]), [step for step in STEPS if step in frame.classes][0])


def expected_step(base, side):
    if abs(side - base) <= 2 * (max(base, 1) + max(side, 1)) ** 0.5 or abs(side - base) / max(base, side) < 0.05:
        return "same"
    change = abs(side - base) / max(base, side)
    return ("more" if side > base else "less") + ("1" if change < 0.2 else "2" if change < 0.5 else "3")


def differences_add_up():
    """Widths are the second's, figures are sums over what stands on a frame, colours follow the change."""
    with Place() as place:
        a, b = two_runs(place)
        compare("-html", place.at("page.html"), a, b)
        text = place.text("page.html")
    svg = [svg for svg in pictures_of(text) if any("\u2192" in frame.title for frame in report_test.frames_of(svg))][0]
    frames = report_test.frames_of(svg)
    root = frames[0]
    equal(change_of(root)[:2], (170, 275), "samples of the root")
    by_path = {}
    for first, counts in enumerate((list(samples_of()),
                                    list(samples_of(220, 5, 20, 0)) + [(MAIN + [(PROGRAM, "fresh")], 30, "scan")])):
        for stack, count, stage in counts:
            names = ["all", stage]
            for _, frame in stack:
                names += [frame] if isinstance(frame, str) else frame
            for depth in range(len(names)):
                by_path.setdefault(tuple(names[:depth + 1]), [0, 0])[first] += count
    seen = []
    for frame in frames:
        below = [other for other in frames if other.y == frame.y + 18 and other.x - 0.01 <= frame.x and
                 frame.x + frame.width <= other.x + other.width + 0.01]
        path = (seen[frames.index(below[0])] if below else ()) + (frame.name,)
        seen.append(path)
        change = change_of(frame)
        equal([change.base, change.side], by_path[path], f"samples of {path}")
        equal(change.step, expected_step(*by_path[path]), f"the colour of {path}")
        report_test.near(frame.width, root.width * change.side / 275, f"width of {path}")
    equal(set(seen), {path for path, counts in by_path.items() if counts[1]}, "paths")
    colours = {path[-1]: change_of(frame).step for frame, path in zip(frames, seen)}
    equal([colours[name] for name in ("decode", "crc32", "vfs_read", "fresh")],
          ["more3", "less3", "same", "more3"], "colours")
    hover = [frame.title for frame in frames if frame.name == "decode"][0]
    equal(hover.split("\n")[:4], ["decode", "0.500 \u2192 1.10 CPU-seconds per million events, +120.0 %",
                                  "share 58.8\u00a0% \u2192 80.0\u00a0%", "100 \u2192 220 samples"], "the hover text")
    contains(svg.find(".//*[@class='info']").text,
             f"{10 / 170 * 100:.1f}\u00a0% of the baseline is on paths that are not here")


def a_page_compares():
    with Place() as place:
        a, b = two_runs(place)
        for label, counts in (("c", (100, 150)), ("d", (300, 310))):
            for count in counts:
                place.run(f"{label}/{count}", record(rss=count), cpu_profile(samples_of(count)))
        equal(compare("-html", place.at("page.html"), a, b, place.at("c"), place.at("d")) ==
              compare(a, b, place.at("c"), place.at("d")), True, "whether the tables come out all the same")
        text = place.text("page.html")
        page = report_test.check_page(text)
        words = "".join(page.texts).replace("\u00a0", " ")
        for part in ("Events per second", "+120.0 %", "half or less", "double, or new", "in 2 runs together",
                     "within the noise", "in CPU time per event", "baseline: a"):
            contains(words, part, "the page")
        # CPU of four sides and three differences, live heap and allocations of two sides and their difference each.
        equal(len(pictures_of(text)), 4 + 3 + 2 * (2 + 1), "flame graphs")
        equal(text.count('style="left:'), 2, "ranges on bars")
        # CPU by stage as bars: all of the longest is the width; medians of 170, 275, 195 and 375 samples.
        rows = re.findall(r'<div class="row">.*?</div>', text[text.index('<div class="parts">'):], re.S)[:4]
        for row, samples in zip(rows, (170, 275, 195, 375)):
            near(round(sum(map(float, re.findall(r"width:([\d.]+)%", row))), 1), round(samples / 3.75, 1), "a bar")
        shares = place.at("shares.html")
        compare("--html", shares, os.path.join(a, "cpu_mid.pprof"), os.path.join(b, "cpu_mid.pprof"))
        contains(place.text("shares.html"), "in shares of the profile")
        bare = place.run("bare", record()), place.run("bare2", record())
        compare("--html", shares, *bare)
        contains(place.text("shares.html"), "None of these runs was profiled")


LOOK = """
(function () {
const said = { sideways: document.documentElement.scrollWidth > window.innerWidth, wide: window.innerWidth };
const root = document.querySelectorAll("svg.flame");
said.fit = Array.from(root).every((svg) => svg.getBoundingClientRect().width <= window.innerWidth);
const step = document.querySelector("svg .more3 rect"), same = document.querySelector("svg .same rect");
said.colours = getComputedStyle(step).fill !== getComputedStyle(same).fill;
said.legend = getComputedStyle(document.querySelector(".dot.more3")).backgroundColor === getComputedStyle(step).fill;
document.documentElement.setAttribute("data-said", JSON.stringify(said));
})();
"""


def a_page_fits_narrow_and_wide_windows():
    with Place() as place:
        compare("-html", place.at("page.html"), *two_runs(place))
        drive, report_test.DRIVE = report_test.DRIVE, LOOK
        try:
            for width in (1400, 500, 420):
                said = report_test.browse(place.at("page.html"), "</body>", width)
                equal((said["sideways"], said["fit"], said["colours"], said["legend"]), (False, True, True, True),
                      f"whether the page scrolls sideways at {said['wide']}, pictures fit, colours differ, the legend "
                      "has them")
        finally:
            report_test.DRIVE = drive


# ---- Go ----

GO_PROGRAM = """package main

import (
	"compress/flate"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

var kept [][]byte

// CPU time of the process: a busy host does not shorten the work.
func cpu() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Sec) + float64(usage.Utime.Usec)/1e6
}

func burn(seconds float64) (sum int) {
	for end := cpu() + seconds; cpu() < end; {
		words := strings.Fields(strings.Repeat("some words to sort ", 300))
		sort.Strings(words)
		writer, _ := flate.NewWriter(io.Discard, 6)
		writer.Write([]byte(strings.Join(words, " ")))
		writer.Close()
		sum += len(words)
	}
	return
}

func main() {
	runtime.MemProfileRate = 1
	times, _ := strconv.Atoi(os.Args[2])
	file, _ := os.Create(os.Args[1] + "_cpu.pprof")
	if pprof.StartCPUProfile(file) != nil {
		os.Exit(1)
	}
	burn(0.4 * float64(times))
	for i := 0; i < 100*times; i++ {
		kept = append(kept, make([]byte, 5000))
	}
	pprof.StopCPUProfile()
	file.Close()
	runtime.GC()
	heap, _ := os.Create(os.Args[1] + "_heap.pprof")
	if pprof.Lookup("heap").WriteTo(heap, 0) != nil {
		os.Exit(1)
	}
	heap.Close()
}
"""


def go_run(place, *command):
    environment = {"PATH": os.environ["PATH"], "HOME": place.path, "PPROF_TMPDIR": place.path,
                   "GOCACHE": place.at("cache"), "GOPATH": place.at("go"), "GO111MODULE": "off", "GOFLAGS": "",
                   "GOTOOLCHAIN": "local", "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, cwd=place.path, env=environment, timeout=240, check=False)
    if done.returncode:
        raise Failure(f"{command} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-1500:]}")
    return done.stdout.decode()


def go_differences(place, kind, unit, first, second):
    """{function: (flat, cumulative)} of the second less the first, as go tool pprof has it."""
    text = go_run(place, GO, "tool", "pprof", "-symbolize=none", "-top", "-nodecount=1000000", "-nodefraction=0",
                  "-edgefraction=0", f"-unit={unit}", "-sample_index=" + kind, "-diff_base", first, second)
    found = {}
    for line in text[text.index("cum%") + 4:].strip().splitlines():
        words = line.split(None, 5)
        name = re.sub(r" \((partial-)?inline\)$", "", words[5])
        flat, cumulative = (int(float(re.match(r"-?[\d.]+", words[index])[0])) for index in (0, 3))
        before = found.get(name, (0, 0))
        found[name] = (before[0] + flat, before[1] + cumulative)
    return found


def our_differences(document, table):
    found = collections.Counter()
    for row in [found for found in document["tables"] if found["name"] == table][0]["rows"]:
        found[row["name"]] += row["sides"][1]["raw"] - row["sides"][0]["raw"]
    return {name: difference for name, difference in found.items() if difference}


def go_subtracts_the_same():
    if not GO:
        raise Skip("go is not installed (golang-go)")
    with Place() as place:
        with open(place.at("profiled.go"), "w", encoding="utf-8") as file:
            file.write(GO_PROGRAM)
        go_run(place, GO, "build", "-o", "profiled", "profiled.go")
        for name, times in (("a", "1"), ("b", "2")):
            go_run(place, place.at("profiled"), name, times)
        cpu, heap = ((place.at(f"a_{kind}.pprof"), place.at(f"b_{kind}.pprof")) for kind in ("cpu", "heap"))
        document = as_json(*cpu)
        theirs = go_differences(place, "cpu", "ns", *cpu)
        if not any(flat for flat, _ in theirs.values()):
            raise Failure("the profiles do not differ: there was nothing to compare")
        for index, table in enumerate(("cpu_flat", "cpu_cumulative")):
            equal(our_differences(document, table), {name: both[index] for name, both in theirs.items() if both[index]},
                  f"differences of {table}")
        packages = table_of(document, "cpu_packages")
        lacks(packages, "profiled", "packages")  # the program is no package; functions in assembler have one, too
        by_package = collections.Counter()
        for name, row in table_of(document, "cpu_flat").items():
            folder, slash, rest = re.split(r"[(\[]", name)[0].rpartition("/")
            if "." in rest:
                by_package[folder + slash + rest.split(".")[0]] += row["sides"][1]["raw"]
        for package, value in by_package.items():
            equal(packages[package]["sides"][1]["raw"] >= value, True, f"whether {package} has all of its functions")
        equal(sum(row["sides"][1]["raw"] for row in packages.values()), 2 * packages["all packages"]["sides"][1]["raw"],
              "the sum of the packages")
        document = as_json(*heap)
        for kind, table in (("inuse_space", "heap_end_flat"), ("alloc_space", "allocated_flat")):
            theirs = go_differences(place, kind, "B", *heap)
            equal(our_differences(document, table), {name: both[0] for name, both in theirs.items() if both[0]},
                  f"differences of {table}")
        at_least = our_differences(document, "heap_end_flat")["main.main"]
        equal(at_least >= 100 * 5000, True, f"whether {at_least} more bytes are in use")
        compare("-html", place.at("page.html"), *cpu)
        report_test.check_page(place.text("page.html"))


def main():
    tests = [figures_are_exact, text_and_markdown_say_the_same, top_cuts_functions_only, repeated_runs_tell_noise,
             samples_tell_noise, repeats_and_samples_tell_noise_together, one_run_each_is_no_basis, sides_have_names,
             repeats_are_in_order, a_run_may_lack_anything, lua_functions_have_a_table, programs_may_have_other_names,
             what_weakens_the_comparison_is_said, errors_say_what_to_do, text_fits_a_terminal, colour_is_for_terminals,
             output_is_repeatable, hostile_names_are_words, hostile_files_are_errors_or_figures, differences_add_up,
             a_page_compares, a_page_fits_narrow_and_wide_windows, go_subtracts_the_same]
    harness.main([(test.__name__, test) for test in tests], *sys.argv[2:3])


if __name__ == "__main__":
    main()
