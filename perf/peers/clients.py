# SPDX-License-Identifier: Apache-2.0
"""Who takes part: our collector in its variants, and what people use today. A client says what it lacks here, which
commands read so many pages of each stream, and what these made of them."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
BUILD_SECONDS_MAX = 280  # newer Go compiles its standard library, too
# Short, so that run.json, which grows by the second and is written at the end, is as long after both.
ALLOCATIONS_PAGES, ALLOCATIONS_LIMIT = (2, 12), 1000


class Job:
    """So many pages of at most `limit` events of every stream of a feed."""

    def __init__(self, feed, pages, limit):
        self.feed, self.pages, self.limit = feed, pages, limit

    @property
    def requests(self):
        return self.pages * self.feed.streams


class Workshop:
    """Where clients find what they need, and are built."""

    def __init__(self, build, folder):
        self.build, self.folder = os.path.abspath(build), folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C", "PYTHONPYCACHEPREFIX": folder}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.go_client = None
        # (address, streams, limit) -> per configId the first pages' targets, for who cannot follow offsets
        self.targets = {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def build_go(self):
        if self.go_client is None:
            cache = os.path.join(self.build, "peers-go-cache")  # it stays, as `go build` keeps it in one's home
            environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "GOCACHE": cache, "GOFLAGS": "",
                           "GOPATH": self.path("go"), "GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
            subprocess.run(["go", "build", "-o", self.path("client_go"), os.path.join(HERE, "client.go")], check=True,
                           env=environment, timeout=BUILD_SECONDS_MAX)
            self.go_client = self.path("client_go")
        return self.go_client

    def targets_of(self, feed, limit, pages):
        key = (feed.address, feed.streams, limit)
        found = self.targets.get(key)
        if found is None or len(found[0]) < pages:
            found = [[page[0] for page in feed.walk(config_id, limit, pages)] for config_id in feed.config_ids]
            self.targets[key] = found
        return found


class Absent(Exception):
    """What this host does not offer, so that a client cannot take part."""


class Client:
    """`family` groups in tables and in the chart; `single`: it reads one stream; `decodes`: False when it only
    counts bytes of bodies as they come."""
    family, single, decodes = None, False, True

    def __init__(self, name):
        self.name = name

    def missing(self, workshop):
        return None

    def commands(self, workshop, job, printing=False):
        raise NotImplementedError

    def events(self, workshop, job, used):
        """What the client says it read."""
        raise NotImplementedError

    def lines(self, job, used):
        """The event lines that it printed, of one stream; None: it prints none."""
        return used.outputs[0].split(b"\n")[:-1]

    def allocated_bytes(self, workshop, job, used, cores):
        """Asked of the heap for an event, or None. `used` is what the job came to."""
        return None


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            return f"{program} is not installed"
    return None


class Ours(Client):
    family = "akamai-prof"

    def __init__(self, name, program, parse="control", tls="auto", inflate="auto"):
        super().__init__(name)
        self.program, self.parse, self.tls, self.inflate = program, parse, tls, inflate

    def missing(self, workshop):
        program = os.path.join(workshop.build, self.program)
        text = subprocess.run([program, "-help"], capture_output=True, text=True, check=False,
                              env=workshop.environment).stdout
        for flag, value in (("tls", self.tls), ("inflate", self.inflate)):
            found = re.search(rf"^\s*-{flag} ([a-z0-9|-]+)", text, re.M)
            if not found or value not in found.group(1).split("|"):
                return f"{self.program} has no -{flag} {value}"
        if "-parse " not in text:
            return f"{self.program} has no -parse"
        return None

    def out(self, workshop):
        return workshop.path("run")

    def commands(self, workshop, job, printing=False):
        feed = job.feed
        shutil.rmtree(self.out(workshop), ignore_errors=True)
        return [[os.path.join(workshop.build, self.program), "-url", feed.url, "-edgerc", feed.edgerc,
                 "-ca-file", feed.ca_file, "-config-id", ",".join(feed.config_ids), "-limit", job.limit,
                 "-max-requests", job.pages, "-from", feed.start, "-duration", "10m", "-no-profile", "-quiet",
                 "-tls", self.tls, "-inflate", self.inflate, "-parse", self.parse, "-out", self.out(workshop),
                 "-sink", "stdout" if printing else "null"]]

    def record(self, workshop):
        with open(os.path.join(self.out(workshop), "run.json"), encoding="utf-8") as file:
            return json.load(file)

    def events(self, workshop, job, used):
        record = self.record(workshop)
        modes = {stream["tls_mode"] for stream in record["streams"]}
        if self.tls != "auto" and modes != {self.tls}:
            raise Absent(f"this host does not offer -tls {self.tls}: it became {', '.join(sorted(modes))}")
        return record["totals"]["events"]

    def lines(self, job, used):
        lines = super().lines(job, used)
        if self.parse == "full":
            lines = [json.loads(line)["message"].encode() for line in lines]
        return lines

    def allocated_bytes(self, workshop, job, used, cores):
        """Two runs under tests/heap's counter, the longer less the shorter: what further events take."""
        counter = os.path.join(workshop.build, "tests", "heap", "libcount_allocations.so")
        if not os.path.exists(counter):
            return None
        found = []
        for pages in ALLOCATIONS_PAGES:
            report = workshop.path("allocations")
            environment = {**workshop.environment, "LD_PRELOAD": counter, "COUNT_ALLOCATIONS": report}
            # Confined it could not write the counter's file at its end.
            command = self.commands(workshop, Job(job.feed, pages, ALLOCATIONS_LIMIT))[0] + ["-confine", "off"]
            subprocess.run([str(word) for word in command], check=True, env=environment, capture_output=True,
                           preexec_fn=lambda: os.sched_setaffinity(0, cores), timeout=BUILD_SECONDS_MAX)
            with open(report, encoding="ascii") as file:
                found.append((int(file.read().split()[1]), self.record(workshop)["totals"]["events"]))
        return max(0, found[1][0] - found[0][0]) / (found[1][1] - found[0][1])


class Go(Client):
    family = "Go"

    def __init__(self, name, level):
        super().__init__(name)
        self.level = level

    def missing(self, workshop):
        return needs("go")

    def program(self, workshop):
        return [workshop.build_go()]

    def commands(self, workshop, job, printing=False):
        feed = job.feed
        return [self.program(workshop) + ["-url", feed.url, "-ca-file", feed.ca_file, "-edgerc", feed.edgerc,
                                          "-config-id", ",".join(feed.config_ids), "-limit", job.limit,
                                          "-pages", job.pages, "-from", feed.start, "-level", self.level]
                + (["-print"] if printing else [])]

    def events(self, workshop, job, used):
        return json.loads(used.outputs[0])["events"]

    def lines(self, job, used):
        return None if self.level == "lines" else super().lines(job, used)

    def allocated_bytes(self, workshop, job, used, cores):
        figures = json.loads(used.outputs[0])
        return figures["allocated_bytes"] / figures["events"]


class Yaegi(Go):
    family = "Go, interpreted by Yaegi"

    def missing(self, workshop):
        return needs("yaegi")

    def program(self, workshop):
        return ["yaegi", "run", os.path.join(HERE, "client.go")]


class Python(Client):
    family, single = "Python", True

    def __init__(self, name, level):
        super().__init__(name)
        self.level = level

    def commands(self, workshop, job, printing=False):
        feed = job.feed
        return [[PYTHON, os.path.join(HERE, "client.py"), feed.url, feed.ca_file, feed.edgerc, config_id, job.limit,
                 job.pages, feed.start, self.level] + (["--print"] if printing else [])
                for config_id in feed.config_ids]

    def events(self, workshop, job, used):
        return sum(json.loads(output)["events"] for output in used.outputs)

    def lines(self, job, used):
        return None if self.level == "lines" else super().lines(job, used)


class Pipeline(Client):
    """curl, which keeps its connection over all pages of a stream, and what follows it. curl cannot read an offset out
    of a page: it is told all addresses beforehand, signed, the same few pages again and again. So it need not wait for
    a page's end as everybody else has to."""
    family, single = "shell", True
    PAGES_KNOWN = 4

    def __init__(self, name, filters, programs=(), compressed=False, prints_lines=True):
        super().__init__(name)
        self.filters, self.programs = filters, ("bash", "curl") + tuple(programs)
        self.compressed, self.prints_lines = compressed, prints_lines

    def missing(self, workshop):
        return needs(*self.programs)

    def write_config(self, path, workshop, job, targets, output=None):
        encoding = "compressed" if self.compressed else 'header = "Accept-Encoding: gzip"'
        with open(path, "w", encoding="utf-8") as file:
            for number in range(job.pages):
                target = targets[number % len(targets)]
                file.write("next\n" if number else "")
                file.write(f'url = "https://{job.feed.address}{target}"\n'
                           f'header = "Authorization: {job.feed.signed(target)}"\n{encoding}\n'
                           f'cacert = "{job.feed.ca_file}"\nsilent\nshow-error\nfail\n')
                file.write(output or "")

    def commands(self, workshop, job, printing=False):
        found = []
        known = workshop.targets_of(job.feed, job.limit, min(job.pages, self.PAGES_KNOWN))
        for number, targets in enumerate(known):
            path = workshop.path(f"curl-{number}")
            self.write_config(path, workshop, job, targets)
            filters = self.filters if not printing or not self.prints_lines else self.filters[:-1]
            stages = [f"curl --config {shlex.quote(path)}"] + list(filters)
            found.append(["bash", "-c", "set -o pipefail; " + " | ".join(stages)])
        return found

    def events(self, workshop, job, used):
        return sum(int(output) for output in used.outputs) - job.requests  # each page's last line is no event

    def lines(self, job, used):
        if not self.prints_lines:
            return None
        return [line for line in super().lines(job, used) if b'"attackData"' in line]


class Discarding(Pipeline):
    """curl alone, which decompresses nothing: what TLS and the kernel take."""
    decodes = False

    def commands(self, workshop, job, printing=False):
        found = []
        for number, targets in enumerate(workshop.targets_of(job.feed, job.limit, min(job.pages, self.PAGES_KNOWN))):
            path = workshop.path(f"curl-{number}")
            self.write_config(path, workshop, job, targets,
                              'output = "/dev/null"\nwrite-out = "%{size_download}\\n"\n')
            found.append(["curl", "--config", path])
        return found

    def events(self, workshop, job, used):
        """Bytes of bodies, in this case."""
        return sum(int(word) for output in used.outputs for word in output.split())


def everyone():
    return [
        Ours("akamai-direct-prof", "akamai-direct-prof"),
        Ours("akamai-direct-prof -tls inplace", "akamai-direct-prof", tls="inplace"),
        Ours("akamai-direct-prof -tls ssl", "akamai-direct-prof", tls="ssl"),
        Ours("akamai-direct-prof -tls ktls", "akamai-direct-prof", tls="ktls"),
        Ours("akamai-direct-prof -inflate isal", "akamai-direct-prof", inflate="isal"),
        Ours("akamai-direct-prof -parse full", "akamai-direct-prof", parse="full"),
        Ours("akamai-prof", "akamai-prof"),
        Ours("akamai-prof -parse full", "akamai-prof", parse="full"),
        Go("Go, lines counted", "lines"),
        Go("Go, last line parsed", "last"),
        Go("Go, every event parsed", "full"),
        Yaegi("Yaegi, lines counted", "lines"),
        Yaegi("Yaegi, last line parsed", "last"),
        Yaegi("Yaegi, every event parsed", "full"),
        Python("Python, lines counted", "lines"),
        Python("Python, last line parsed", "last"),
        Python("Python, every event parsed", "full"),
        Pipeline("curl | igzip -dc | wc -l", ["igzip -dc", "wc -l"], ["igzip"]),
        Pipeline("curl | zcat | wc -l", ["zcat", "wc -l"], ["zcat"]),
        Pipeline("curl | pigz -dc | wc -l", ["pigz -dc", "wc -l"], ["pigz"]),
        Pipeline("curl --compressed | wc -l", ["wc -l"], compressed=True),
        Pipeline("curl | zcat | jq", ["zcat", "jq -c .httpMessage.host", "wc -l"], ["jq"], prints_lines=False),
        Discarding("curl to /dev/null", []),
    ]


def liars():
    """Clients that lose or change a line: the check must notice."""
    return [
        Pipeline("a line lost", ["zcat", "sed 3d", "wc -l"], ["zcat", "sed"]),
        Pipeline("a letter changed", ["zcat", "sed 3s/a/b/", "wc -l"], ["zcat", "sed"]),
    ]
