#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What depends on the kernel, on a kernel of Debian's that is not this host's: io_uring and confinement (their unit
tests), the eBPF programs (each is loaded), and the profiler against programs that know the truth. One boot for all.

usage: profiler_test.py SERIES BUILD_FOLDER CACHE_FOLDER LOADER [PART_OF_A_NAME]
    SERIES: of the kernel, 6.1 or 6.12; LOADER: load_programs of this build
"""
import json
import os
import re
import shutil
import sys
import tempfile
import traceback

import guest
import kernels

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "profiler"))
import pprof_reader  # noqa: E402
from recorder import Failure, Skip, check  # noqa: E402

UNIT_TESTS = ("ring", "ring_host", "ring_restrict", "confine", "confine_calls")
BOOT_SECONDS_MAX = 540  # the build gives up after 600
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


class Report:
    """TAP, with what the guest's programs say among it."""

    def __init__(self, only):
        self.only = only
        self.count = 0
        self.failed = False

    def say(self, good, name, detail="", skip=None):
        self.count += 1
        self.failed |= not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}{f' # SKIP {skip}' if skip else ''}")
        if detail:
            print("\n".join("# " + line for line in detail.splitlines()))
        sys.stdout.flush()

    def program(self, name, ran):
        """The lines of a program that speaks TAP; one that does not come to its plan has failed."""
        planned = re.search(r"^1\.\.(\d+)", ran.output, re.M)
        lines = re.findall(r"^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$((?:\n#.*)*)", ran.output, re.M)
        for failed, test, skip, notes in lines:
            self.say(not failed, f"{name}: {test}", re.sub(r"^# ", "", notes.strip(), flags=re.M) if failed else "",
                     skip)
        if not planned or int(planned[1]) != len(lines) or ran.status not in (0, 1):
            self.say(False, f"{name}: runs to its end", f"status {ran.status}\n{ran.output[-3000:]}")

    def test(self, name, function, *arguments):
        try:
            self.say(True, name, function(*arguments) or "")
        except Skip as reason:
            self.say(True, name, skip=str(reason))
        except Exception as error:  # a test that raises has failed, whatever it raises
            expected = isinstance(error, (Failure, pprof_reader.Bad))
            self.say(False, name, str(error) if expected else traceback.format_exc())


def ended_well(outcome, name):
    ran = outcome[name]
    check(ran.status == 0, f"{name} ended with {ran.status}:\n{ran.output[-3000:]}")
    return ran


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
    report = Report(only)
    folder = tempfile.mkdtemp(prefix="akamai-prof-vm-")
    try:
        machine = guest.Guest(kernels.find(series, cache), folder)
        prepare(machine, build, loader, lambda name: only in name)
        outcome = machine.boot(BOOT_SECONDS_MAX)
    except kernels.Unavailable as reason:
        print(f"1..1\nok 1 - Linux {series} in a virtual machine # SKIP {reason}")
        return 0
    else:
        report.say(outcome.finished, f"Linux {machine.kernel.release} boots, and the guest comes to its end",
                   "" if outcome.finished else outcome.console[-6000:])
        for name, _, _ in machine.commands:
            if name in UNIT_TESTS or name == "load":
                report.program(name, outcome[name])
        for name, function, arguments in (("doctor", doctor, ()), ("cpu", cpu_profile, (folder,)),
                                          ("heap", heap_profile, (folder,)), ("collect", collector, (folder,))):
            if only in name:
                report.test(name, function, outcome, *arguments)
        print(f"1..{report.count}")
        return int(report.failed)
    finally:
        if os.environ.get("KEEP_GUEST"):
            print(f"# the guest's console and files are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
