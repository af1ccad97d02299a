#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Profiles that the pprof room writes, before an independent strict reader and `go tool pprof`; and profiles
that Go writes, before our reader. As TAP.

usage: go_pprof_test.py PPROF_FILES
"""
import copy
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

import strict_reader

FILES = os.path.abspath(sys.argv[1])
WRITTEN = ("cpu", "empty", "heap_mid", "heap_end")
GO = shutil.which("go")
FOLDER = tempfile.mkdtemp(prefix="akamai-prof-pprof-")
GO_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": FOLDER, "PPROF_TMPDIR": FOLDER, "GOCACHE": FOLDER + "/cache",
                  "GOPATH": FOLDER + "/go", "GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local", "TZ": "UTC"}

# Everything that runtime/pprof writes; memory is sampled whole, so that there is something for sure.
GO_PROGRAM = """package main

import (
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"
)

var kept [][]byte

func burn() (sum int) {
	for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); {
		for i := 0; i < 100000; i++ {
			sum += i * i
		}
	}
	return
}

func keep(size int) {
	for i := 0; i < 100; i++ {
		kept = append(kept, make([]byte, size))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	runtime.MemProfileRate = 1
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	cpu, err := os.Create("go_cpu.pprof")
	must(err)
	must(pprof.StartCPUProfile(cpu))
	var group sync.WaitGroup
	var lock sync.Mutex
	for _, stage := range []string{"inflate", "scan"} {
		group.Add(1)
		go pprof.Do(context.Background(), pprof.Labels("stage", stage, "x", "y"), func(context.Context) {
			burn()
			for i := 0; i < 100; i++ {
				lock.Lock()
				time.Sleep(10 * time.Microsecond)
				lock.Unlock()
			}
			group.Done()
		})
	}
	keep(1000)
	keep(70000)
	group.Wait()
	pprof.StopCPUProfile()
	must(cpu.Close())
	runtime.GC()
	for _, name := range []string{"heap", "allocs", "goroutine", "block", "mutex", "threadcreate"} {
		file, err := os.Create("go_" + name + ".pprof")
		must(err)
		must(pprof.Lookup(name).WriteTo(file, 0))
		must(file.Close())
	}
}
"""
GO_WRITTEN = ("cpu", "heap", "allocs", "goroutine", "block", "mutex", "threadcreate")


class Tap:
    def __init__(self):
        self.count, self.failed = 0, 0

    def check(self, name, function, *arguments):
        """The test passes when the function raises nothing."""
        self.count += 1
        try:
            function(*arguments)
        except Exception as problem:  # pylint: disable=broad-except
            self.failed += 1
            print(f"not ok {self.count} - {name}")
            for line in (traceback.format_exc(limit=-1) if not isinstance(problem, AssertionError)
                         else str(problem)).splitlines():
                print(f"# {line}")
        else:
            print(f"ok {self.count} - {name}")
        sys.stdout.flush()

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)


def same(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what} is {got!r}, wanted {wanted!r}"[:3000])


def contains(what, text, *parts):
    for part in parts:
        if not re.search(part, text, re.M):
            raise AssertionError(f"{what} lacks {part!r}: {text[:3000]}")


def run(*command, environment=None):
    done = subprocess.run(command, capture_output=True, cwd=FOLDER, env=environment, timeout=240, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit status {done.returncode}: "
                             f"{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode(errors="replace")


def path(name):
    return os.path.join(FOLDER, name + ".pprof")


def describe(name):
    return json.loads(run(FILES, "describe", path(name)))


def go_pprof(*arguments):
    return run(GO, "tool", "pprof", "-symbolize=none", *arguments, environment=GO_ENVIRONMENT)


def inflated(name):
    with gzip.open(path(name)) as file:
        return file.read()


# Our files before the strict reader.

def strict(name):
    profile, message_bytes = strict_reader.read(path(name))
    same("what is wrong", strict_reader.complaints(profile, message_bytes), [])
    saw = describe(name)
    same("samples", len(profile["samples"]), saw["samples"])
    for index, value_type in enumerate(profile["types"]):
        texts = "/".join(profile["strings"][value_type[part]] for part in ("type", "unit"))
        same(texts, sum(sample["values"][index] for sample in profile["samples"]), saw["types"][texts])


def header_has_no_time():
    for name in WRITTEN:
        with open(path(name), "rb") as file:
            same("the gzip header of " + name, file.read(8), b"\x1f\x8b\x08\0\0\0\0\0")


def equal_profiles_are_equal_files():
    again = os.path.join(FOLDER, "again")
    os.mkdir(again)
    run(FILES, "write", again)
    same("files", sorted(os.listdir(again)), sorted(name + ".pprof" for name in WRITTEN))
    for name in WRITTEN:
        with open(path(name), "rb") as first, open(os.path.join(again, name + ".pprof"), "rb") as second:
            same(name, second.read(), first.read())


def strict_reader_notices():
    """A canary for each rule: the heap profile with one thing made wrong."""
    good, message_bytes = strict_reader.read(path("heap_end"))

    def put(value, *keys):
        def change(profile):
            for key in keys[:-1]:
                profile = profile[key]
            profile[keys[-1]] = value
        return change
    canaries = {
        "strings_start_empty": [put("x", "strings", 0), put([], "strings")],
        "strings_are_in_range": [put([99], "comments"),
                                 put(99, "samples", 0, "labels", 0, "unit"), put(-1, "functions", 0, "filename")],
        "ids_count_from_one": [put(0, "mappings", 0, "id"), put(3, "locations", 1, "id"), put(1, "functions", 1, "id")],
        "references_exist": [put(2, "locations", 0, "mapping_id"), put(0, "samples", 0, "location_ids", 0),
                             put(4, "samples", 0, "location_ids", 0)],
        "locations_have_functions": [put([], "locations", 0, "lines"),
                                     put(0, "locations", 0, "lines", 0, "function_id")],
        "functions_have_names": [put(0, "functions", 0, "name")],
        "build_ids_are_hex": [put(good["types"][1]["unit"], "mappings", 0, "build_id")],
        "samples_fit_the_types": [put([1, 2, 3], "samples", 0, "values")],
        "types_are_acceptable": [put("alloc-space", "strings", good["types"][1]["type"])],
        "default_type_is_no_index": [put(3, "default_type")],
        "wanted_type_is_last": [put(good["types"][1]["unit"], "default_type")],
        "labels_say_one_thing": [put(1, "samples", 0, "labels", 0, "text"), put(0, "samples", 0, "labels", 0, "key")],
        "samples_are_merged": [put(good["samples"][0], "samples", 1)],
        "sizes_are_acceptable": [put([1] * 1001, "samples", 0, "location_ids"), put("x" * 65536, "strings", 5)],
    }
    same("canaries", sorted(canaries), sorted(rule.__name__ for rule in strict_reader.RULES))
    for rule in strict_reader.RULES:
        for change in canaries[rule.__name__]:
            bad = copy.deepcopy(good)
            change(bad)
            if not list(rule(bad, message_bytes)):
                raise AssertionError(f"{rule.__name__} did not notice change {canaries[rule.__name__].index(change)}")


# Our files before Go.

def raw(*arguments):
    """What -raw says: (its text, {type/unit: total}, number of samples)."""
    text = go_pprof("-raw", *arguments)
    lines = text[text.index("\nSamples:\n") + 10:text.index("\nLocations\n") + 1].splitlines()
    types = [name.replace("[dflt]", "") for name in lines[0].split()]
    rows = [[int(number) for number in line.split(":")[0].split()] for line in lines[1:]
            if re.match(r" *-?\d+( +-?\d+)*: ", line + " ")]
    return text, {name: sum(row[i] for row in rows) for i, name in enumerate(types)}, len(rows)


def go_sees_the_same(name):
    text, totals, samples = raw(path(name))
    saw = describe(name)
    same("totals", totals, saw["types"])
    same("samples", samples, saw["samples"])
    contains("-raw", text, f"^Period: {saw['period']}$", "^Time: 2023-11-14 22:13:20")


def go_reads_cpu():
    contains("-raw", raw(path("cpu"))[0], "^Comment: akamai-prof test$", "^Comment: stacks truncated: 1$",
             "^PeriodType: cpu nanoseconds$", "^Duration: 5s$", r"stage:\[inflate\] thread:\[io\ufffd\]",
             r"thread_id:\[101\]", r"^ *2: 0x555555554abc M=1 inner\(int\) /src/inner.cc:12(:0)? s=10(\(_Z5inneri\))?\n"
             r" +outer\(\) /src/outer.cc:25(:0)? s=20(\(_Z5outerv\))?$",
             r"^1: 0x555555554000/0x555555600000/0x0 /opt/collector c0ffee \[FN\]\[FL\]\[LN\]\[IN\]$",
             r"^2: 0xffffffff81000000/0xffffffffc0000000/0x0 \[kernel.kallsyms\] +\[FN\]$")
    contains("-top", go_pprof("-top", path("cpu")), "^File: collector$", "^Build ID: c0ffee$", "^Type: cpu$",
             r"^ +200ms +50.00% +\d+.*% +400ms +100% +inner\(int\) \(inline\)$", r"^ +200ms .* do_syscall_64$",
             r"^ +0 +0% +100% +400ms +100% +outer\(\)$", r"^ +0 +0% +100% +50ms +12.50% +\[truncated\]$")


def go_reads_heap():
    contains("-top", go_pprof("-top", path("heap_end")), "^Type: inuse_space$", "page_grow", "flow_run", "main")
    contains("-top of objects", go_pprof("-top", "-sample_index=alloc_objects", path("heap_end")),
             "^Type: alloc_objects$", "of 120 total")


def go_reads_tags():
    contains("-tags", go_pprof("-tags", path("cpu")), "stage: Total 400.0ms", r"140.0ms \(35.00%\): inflate",
             r"130.0ms \(32.50%\): scan", "thread_id: Total 400.0ms", r"200.0ms \(50.00%\): 100")
    focused = raw("-tagfocus=stage=inflate", path("cpu"))[1]
    same("only inflate", focused, {"samples/count": 14, "cpu/nanoseconds": 140000000})


def go_subtracts():
    difference = raw("-base", path("heap_mid"), path("heap_end"))[1]
    middle, end = describe("heap_mid")["types"], describe("heap_end")["types"]
    same("end less mid", difference, {name: end[name] - middle[name] for name in end})
    same("allocations meanwhile", difference["alloc_objects/count"], 80)


def go_writes_it_the_same(name):
    """Our file through Go's encoder; that through ours: the same bytes, but for a zero that Go writes out."""
    go_pprof("-proto", "-output", path("proto_" + name), path(name))
    run(FILES, "copy", path("proto_" + name), path("copy_" + name))
    theirs, ours = inflated("proto_" + name), inflated("copy_" + name)
    if theirs.endswith(b"\x70\0"):
        theirs = theirs[:-2]
    same("the message", ours.hex(), theirs.hex())
    before, after = describe(name), describe("proto_" + name)
    for saw in before, after:
        saw["functions"].sort()
        saw.pop("mappings")  # Go adds one where there is none.
    same("what our reader sees", after, before)


# Go's files before our reader.

def go_builds():
    with open(os.path.join(FOLDER, "profiled.go"), "w", encoding="utf-8") as file:
        file.write(GO_PROGRAM)
    run(GO, "build", "-o", "profiled", "profiled.go", environment=GO_ENVIRONMENT)
    run(os.path.join(FOLDER, "profiled"), environment=GO_ENVIRONMENT)


def totals_of_stacks(samples):
    """{(addresses, labels): summed values}. Go 1.19's tool leaves out samples without a value, Go 1.24's shows them,
    and both merge some equal ones: what must agree is what each stack comes to, where it comes to something."""
    totals = {}
    for addresses, values, labels in samples:
        total = totals.setdefault((tuple(addresses), tuple(sorted(labels))), [0] * len(values))
        for index, value in enumerate(values):
            total[index] += value
    return {stack: total for stack, total in totals.items() if any(total) and stack[0]}


def raw_samples(text):
    """[addresses, values, labels] of each sample that -raw shows."""
    rows, locations = text[text.index("\nSamples:\n") + 10:].split("\nLocations\n")
    found = re.findall(r"^ *(\d+): 0x([0-9a-f]+) ", locations, re.M)
    addresses = {number: int(address, 16) for number, address in found}
    samples = []
    for line in rows.splitlines()[1:]:
        row = re.fullmatch(r" *(-?\d+(?: +-?\d+)*):((?: +\d+)*) *", line)
        if row:
            samples.append([[addresses[number] for number in row[2].split()], [int(n) for n in row[1].split()], []])
        else:
            samples[-1][2].extend(re.findall(r"\S+?:\[[^\]]*\]", line))
    return samples


def notices_wrong_stacks():
    """A canary for each way in which stacks can differ."""
    good = [[[1, 2], [1, 10], ["x:[y]"]], [[3], [0, 0], []], [[1, 2], [1, 5], ["x:[y]"]], [[3], [2, 2], []]]
    same("merged stacks", totals_of_stacks(good), {((1, 2), ("x:[y]",)): [2, 15], ((3,), ()): [2, 2]})
    for change in ([[1, 3], [1, 10], ["x:[y]"]], [[1, 2], [1, 11], ["x:[y]"]], [[1, 2], [1, 10], []]):
        if totals_of_stacks([change, *good[1:]]) == totals_of_stacks(good):
            raise AssertionError(f"{change} was not noticed")
    text = "a\nSamples:\nx/count y/bytes\n   1   -10: 1 2 \n      x:[y]\n   0   0: 2 \nLocations\n" \
           "   1: 0x10 M=1 f a.c:1 s=0\n       g b.c:2 s=0\n   2: 0xff M=1 g\nMappings\n1: 0x0/0x1000/0x0 a\n"
    same("what -raw says", raw_samples(text), [[[16, 255], [1, -10], ["x:[y]"]], [[255], [0, 0], []]])


def we_read_what_go_wrote(name):
    text, totals, _ = raw(path(name))
    saw = describe(name)
    same("types", list(saw["types"]), list(totals))
    ours, theirs = totals_of_stacks(saw["stacks"]), totals_of_stacks(raw_samples(text))
    same("stacks that Go does not have", {key: ours[key] for key in ours if theirs.get(key) != ours[key]}, {})
    same("stacks that we do not have", {key: theirs[key] for key in theirs if ours.get(key) != theirs[key]}, {})
    if any(totals.values()) and not ours:
        raise AssertionError(f"no stack, but {totals}")
    profile, message_bytes = strict_reader.read(path(name))  # it also tells of samples without a frame
    same("totals", list(saw["types"].values()),
         [sum(sample["values"][i] for sample in profile["samples"]) for i in range(len(profile["types"]))])
    contains("-raw", text, f"^Period: {saw['period']}$")
    if name in ("go_heap", "go_allocs"):
        contains("functions", " ".join(saw["functions"]), r"main\.keep", r"main\.main")
        if totals["alloc_space/bytes"] < 100 * 71000:
            raise AssertionError(f"only {totals}")
    run(FILES, "copy", path(name), path("copy_" + name))
    same("-raw of our copy", raw(path("copy_" + name))[0], text)
    # What is wrong with Go's own file is kept: samples twice, the wanted type of "allocs" is not the last one, and
    # "threadcreate" of Go 1.24 has a function without a name. Nothing else is wrong with ours.
    wrong = strict_reader.complaints(profile, message_bytes)
    same("what is wrong with our copy", strict_reader.complaints(*strict_reader.read(path("copy_" + name))), wrong)
    same("what is new about Go's file",
         [what for what in wrong if not what.startswith(("samples_are_merged", "wanted_type_is_last",
                                                         "functions_have_names: function 1 has"))], [])


def main():
    tap = Tap()
    tap.check("the profiles are written", run, FILES, "write", FOLDER)
    for name in WRITTEN:
        tap.check(f"{name} holds for every strict reader", strict, name)
    tap.check("the strict reader notices what is wrong", strict_reader_notices)
    tap.check("stacks that differ are noticed", notices_wrong_stacks)
    tap.check("gzip carries no time", header_has_no_time)
    tap.check("equal profiles are equal files", equal_profiles_are_equal_files)
    with_go = [(f"Go sees the same totals in {name}", go_sees_the_same, name) for name in WRITTEN]
    with_go += [("Go reads labels, inlined lines, mappings, comments", go_reads_cpu),
                ("Go takes our default sample type", go_reads_heap), ("Go counts our labels", go_reads_tags),
                ("Go subtracts a base", go_subtracts)]
    with_go += [(f"Go's encoder and ours agree on {name}", go_writes_it_the_same, name) for name in WRITTEN]
    with_go += [("a Go program writes profiles", go_builds)]
    with_go += [(f"we read Go's own {name} profile", we_read_what_go_wrote, "go_" + name) for name in GO_WRITTEN]
    for name, function, *arguments in with_go:
        if GO:
            tap.check(name, function, *arguments)
        else:
            tap.skip(name, "there is no `go` here (Debian: golang-go)")
    print(f"1..{tap.count}")
    return int(tap.failed > 0)


if __name__ == "__main__":
    try:
        CODE = main()
    finally:
        shutil.rmtree(FOLDER)
    sys.exit(CODE)
