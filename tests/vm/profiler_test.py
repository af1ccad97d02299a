#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What depends on the kernel, on a kernel of Debian's that is not this host's: io_uring and confinement (their unit
tests), the eBPF programs (each is loaded), and the profiler against programs that know the truth. One boot for all.

usage: profiler_test.py SERIES BUILD_FOLDER CACHE_FOLDER LOADER [PART_OF_A_NAME]
    SERIES: of the kernel, 6.1 or 6.12; LOADER: load_programs of this build
"""
import json
import os
import sys

import guest_report
import pprof_reader  # found by the line above
from guest_report import check, ended_well

UNIT_TESTS = ("ring", "ring_many", "ring_host", "ring_restrict", "confine", "confine_calls")
HZ = 199
CPU_SAMPLES_MIN = 300  # of the 1,990 that ten seconds bring when the machine does nothing else
# The share of two thirds lies within three standard deviations of so few samples, and 2 % for the emulation.
SHARE_ALLOWED = 3 * (2 / 9 / CPU_SAMPLES_MIN) ** 0.5 + 0.02
COMPLETE_SHARE_MIN = 0.99
KINDS = {"count": "alloc_objects", "bytes": "alloc_space", "live_count": "inuse_objects", "live_bytes": "inuse_space"}
BESIDE_THE_HEAP = ("mmap", "brk")

# `record` until the program has written its truth, then what ctrl-C does.
UNTIL_TRUTH = """
akamai-prof record -out /out/heap -heap-rate 1 -heap-budget 100 -- conserve /out/truth.json 4 150 2000 1 &
recorder=$!
until [ -f /out/truth.json ]; do kill -0 $recorder || exit 1; sleep 0.2; done
kill -INT $recorder
wait $recorder
"""
COLLECT = """
akamai-prof simulate --listen 127.0.0.1:0 --port-file /tmp/port --ca-out /tmp/ca.pem --edgerc-out /tmp/edgerc \
    --config-id 1 &
until [ -s /tmp/port ]; do sleep 0.2; done
chmod 644 /tmp/edgerc
akamai-direct-prof -url https://$(cat /tmp/port)/siem/v1 -edgerc /tmp/edgerc -ca-file /tmp/ca.pem -config-id 1 \
    -limit 2000 -duration 16s -cpu-profile-duration 8s -hz 199 -out /out/collect
"""


def read_profile(outcome, folder, path):
    content = outcome.file(path)
    check(content is not None, f"the guest left no {path}; it left {sorted(outcome.files)}")
    place = os.path.join(folder, path.strip("/").replace("/", "-"))
    with open(place, "wb") as file:
        file.write(content)
    return pprof_reader.Profile(place)


def doctor(outcome):
    output = ended_well(outcome, "doctor").output
    for word in ("kernel", "BTF"):
        check(word.lower() in output.lower(), f"doctor does not speak of {word}:\n{output}")
    return output


def cpu_profile(outcome, folder):
    """Two functions by 2:1, and stacks that reach the start of the program."""
    ended_well(outcome, "cpu")
    profile = read_profile(outcome, folder, "/out/cpu/cpu.pprof")
    counts = profile.by_function("samples", {"two_thirds", "one_third"})
    samples = counts.get("two_thirds", 0) + counts.get("one_third", 0)
    check(samples >= CPU_SAMPLES_MIN, f"only {samples} samples: {counts}")
    share = counts["two_thirds"] / samples
    check(abs(share - 2 / 3) <= SHARE_ALLOWED, f"two_thirds has {share:.3f} of {samples} samples")
    ours = [sample for sample in profile.samples if sample.has("two_thirds") or sample.has("one_third")]
    whole = sum(sample.values["samples"] for sample in ours
                if sample.has("split_worker") and sample.has("main"))
    check(whole >= COMPLETE_SHARE_MIN * samples, f"{whole} of {samples} stacks go up to main; one that does not: "
          f"{next((sample for sample in ours if not sample.has('main')), None)}")
    return f"{samples} samples, {share:.3f} in two_thirds, {whole} with main"


def heap_profile(outcome, folder):
    """Every allocation, by function, as the program itself counted them."""
    ended_well(outcome, "heap")
    truth = json.loads(outcome.file("/out/truth.json"))["sites"]
    profile = read_profile(outcome, folder, "/out/heap/heap.pprof")
    found = {site: dict.fromkeys(KINDS, 0) for site in truth}
    for sample in profile.samples:
        site = next((name for name in sample.names if name in found), None)
        if site and sample.labels.get("allocator") not in BESIDE_THE_HEAP:
            for name, kind in KINDS.items():
                found[site][name] += sample.values[kind]
    wrong = [f"{site}: {kind} is {found[site][kind]}, truly {truth[site][kind]}"
             for site in truth for kind in KINDS if found[site][kind] != truth[site][kind]]
    check(not wrong, "\n".join(wrong))
    return f"{sum(site['count'] for site in truth.values())} allocations, all counted"


def collector(outcome, folder):
    """The collector profiled by its supervisor: its files are there, and its stages are told apart."""
    ended_well(outcome, "collect")
    record = json.loads(outcome.file("/out/collect/run.json"))
    events = record["totals"]["events"]
    check(events > 0, f"no events: {record['totals']}")
    stages = {}
    for sample in read_profile(outcome, folder, "/out/collect/cpu_mid.pprof").samples:
        stage = sample.labels.get("stage")
        stages[stage] = stages.get(stage, 0) + sample.values["samples"]
    check(len(set(stages) - {None}) >= 3, f"samples by stage: {stages}")
    for name in ("heap_mid", "heap_end"):
        check(read_profile(outcome, folder, f"/out/collect/{name}.pprof").samples, f"{name} is empty")
    return f"{events} events; samples by stage: {stages}"


def prepare(machine, build, loader, wanted):
    """Puts programs into the guest, and says what is to be run."""
    for name in UNIT_TESTS:
        if wanted(name):
            machine.program(os.path.join(build, "tests", name + "_test"), f"/bin/{name}_test")
            machine.command(name, f"{name}_test", 120)
    for name in ("akamai-prof", "akamai-prof-simulator"):
        machine.program(os.path.join(build, name), f"/usr/bin/{name}")
    machine.link("akamai-prof", "/usr/bin/akamai-direct-prof")
    machine.program(loader, "/bin/load_programs")
    machine.file(os.path.join(build, "bpf", "profiler.bpf.o"), "/profiler.bpf.o")
    for name in ("split", "conserve"):
        machine.program(os.path.join(build, "tests", "profiler", name), f"/bin/{name}")
    for name, line, seconds in (
            ("load", "load_programs /profiler.bpf.o", 120), ("doctor", "akamai-prof doctor", 60),
            ("cpu", f"akamai-prof record -out /out/cpu -hz {HZ} -duration 10s -- split 1 0", 90),
            ("heap", UNTIL_TRUTH, 150), ("collect", COLLECT, 150)):
        if wanted(name):
            machine.command(name, line, seconds)


def main():
    series, build, cache, loader = sys.argv[1:5]
    only = sys.argv[5] if len(sys.argv) > 5 else ""

    def tell(report, outcome, machine, folder):
        for name, _, _ in machine.commands:
            if name in UNIT_TESTS or name == "load":
                report.program(name, outcome[name])
        for name, function, arguments in (("doctor", doctor, ()), ("cpu", cpu_profile, (folder,)),
                                          ("heap", heap_profile, (folder,)), ("collect", collector, (folder,))):
            if only in name:
                report.test(name, function, outcome, *arguments)

    return guest_report.run(series, cache, "what depends on the kernel",
                            lambda machine: prepare(machine, build, loader, lambda name: only in name), tell)


if __name__ == "__main__":
    sys.exit(main())
