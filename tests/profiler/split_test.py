#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shares of time and of memory against programs that know them: CPU 2:1, sleeping, waiting for a CPU, page faults.

usage: split_test.py BUILD_FOLDER [PART_OF_A_NAME]
"""
import os

import recorder
from recorder import check, close_to, three_sigma

HZ = 999
BOTH = {"two_thirds", "one_third"}


def two_to_one(host, threads, units):
    recording = host.recorded("-hz", HZ, command=[host.target("split"), threads, units])
    profile = recording.cpu
    counts = profile.by_function("samples", BOTH)
    samples = counts.get("two_thirds", 0) + counts.get("one_third", 0)
    check(samples > 800, f"only {samples} samples: {counts}")
    # Both functions run the same instructions; what the machine adds to one of them is below 1 %.
    allowed = three_sigma(2 / 3, samples) + 0.01
    got = counts["two_thirds"] / samples
    check(abs(got - 2 / 3) <= allowed, f"two_thirds has {got:.4f} of {samples} samples, allowed +-{allowed:.4f}")
    times = profile.by_function("cpu", BOTH)
    weighed = times["two_thirds"] / (times["two_thirds"] + times["one_third"])
    check(abs(weighed - got) < 0.01, f"by nanoseconds the share is {weighed:.4f}, by samples {got:.4f}")
    return recording


def one_thread(host):
    two_to_one(host, 1, 60000)


def many_threads(host):
    recording = two_to_one(host, 8, 8000)
    per_thread = {}
    for sample in recording.cpu.samples:
        if sample.has("split_worker"):
            key = sample.labels.get("thread_id")
            check(key, f"a sample without thread_id: {sample.labels}")
            per_thread[key] = per_thread.get(key, 0) + sample.values["samples"]
    check(len(per_thread) == 8, f"8 threads were busy, the profile has {per_thread}")
    mean = sum(per_thread.values()) / 8
    for key, count in per_thread.items():
        check(abs(count - mean) <= 5 * mean ** 0.5 + 0.05 * mean, f"thread {key} has {count} samples, all {per_thread}")


def taken_from_tasks():
    """Nanoseconds of all CPUs so far in interrupts and stolen by the hypervisor, which no task is charged for."""
    with open("/proc/stat", encoding="utf-8") as file:
        numbers = [int(word) for word in file.readline().split()[1:]]
    return sum(numbers[5:8]) * 1e9 / os.sysconf("SC_CLK_TCK")


def cpu_time_is_the_kernels(host):
    """The sum of the profile is what the kernel charges to the process. A parent waits for it and tells. The clock
    that is sampled also runs in interrupts and while the hypervisor has the CPU."""
    path = host.path("rusage")
    script = ("import os, resource, subprocess, sys\n"
              "subprocess.run(sys.argv[2:], check=True)\n"
              "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
              "open(sys.argv[1], 'w').write(str(used.ru_utime + used.ru_stime))\n")
    before_ns = taken_from_tasks()
    recording = host.recorded("-hz", HZ, command=["python3", "-c", script, path, host.target("split"), 2, 30000])
    taken_ns = taken_from_tasks() - before_ns
    with open(path, encoding="utf-8") as file:
        charged_ns = float(file.read()) * 1e9
    profiled_ns = recording.cpu.total("cpu", lambda sample: sample.has("split_worker"))
    check(0.95 * charged_ns <= profiled_ns <= 1.05 * charged_ns + taken_ns,
          f"the profile has {profiled_ns / 1e9} s, the kernel charged {charged_ns / 1e9} s; {taken_ns / 1e9} s were "
          "taken from all tasks meanwhile")
    check(recording.cpu.types == [("samples", "count"), ("cpu", "nanoseconds")], f"types are {recording.cpu.types}")


SLEEPER = {}


def sleeper(host):
    if not SLEEPER:
        path = host.path("sleeper.json")
        SLEEPER["recording"] = host.recorded("-hz", HZ, command=[host.target("sleeper"), path, 25])
        SLEEPER["truth"] = recorder.read_json(path)
    return SLEEPER["recording"], SLEEPER["truth"]


def off_cpu_ns(profile, function, state):
    kind = profile.type_names[-1]
    check(dict(profile.types)[kind] == "nanoseconds", f"the last type is {profile.types[-1]}")
    return profile.total(kind, lambda sample: sample.has(function) and sample.labels.get("state") == state)


def blocked(host):
    recording, truth = sleeper(host)
    for function, asked_ns in (("nap", 500e6), ("wait_in_poll", 250e6), ("wait_on_futex", 250e6)):
        asleep_ns = off_cpu_ns(recording.off_cpu, function, "blocked")
        waiting_ns = off_cpu_ns(recording.off_cpu, function, "runqueue")
        # Awake again it has to wait for a CPU, where others are busy: the target's own clock counts that, too.
        check(0.90 * asked_ns <= asleep_ns <= 1.10 * truth[function],
              f"{function}: {asleep_ns} ns asleep, asked for {asked_ns}, by its own clock {truth[function]}")
        close_to(asleep_ns + waiting_ns, truth[function], 0.10, f"time off the CPU in {function}")


def waiting_for_a_cpu(host):
    recording, truth = sleeper(host)
    check(truth["crowd_wait"] > 0.3 * truth["crowd_cpu"], f"the two threads did not compete: {truth}")
    close_to(off_cpu_ns(recording.off_cpu, "crowd", "runqueue"), truth["crowd_wait"], 0.15, "time without a CPU")
    asleep = off_cpu_ns(recording.off_cpu, "crowd", "blocked")
    check(asleep < 0.05 * truth["crowd_wait"], f"crowd never sleeps, the profile has {asleep} ns")


def off_cpu_has_kernel_stacks(host):
    recording, _ = sleeper(host)
    for sample in recording.off_cpu.samples:
        if sample.has("nap") and sample.labels.get("state") == "blocked":
            check(any("nanosleep" in name for name in sample.names), f"no kernel stack: {sample}")
            check(sample.names[-1] == "_start", f"not down to the start: {sample}")
            return
    raise recorder.Failure("nap is not in the profile")


MAPPER = {}


def mapper(host):
    if not MAPPER:
        path = host.path("mapper.json")
        recording = host.record("-heap-rate", 1, command=[host.target("mapper"), path, 1])
        truth = recording.until(path)
        MAPPER.update(recording=recording.interrupt(), truth=truth["steps"])
    return MAPPER["recording"], MAPPER["truth"]


def mapped_memory(host):
    """mmap, munmap and brk, in a file of their own."""
    recording, truth = mapper(host)
    wrong = []
    for step, wanted in truth.items():
        samples = [sample for sample in recording.profile("mappings").samples if sample.has(step)]
        got = {kind: sum(sample.values[kind] for sample in samples)
               for kind in ("alloc_objects", "alloc_space", "inuse_space")}
        want = {"alloc_objects": wanted["mapped_count"], "alloc_space": wanted["mapped_bytes"],
                "inuse_space": wanted["live_bytes"]}
        if got != want:
            wrong.append(f"{step}: {got}, truly {want}")
    check(not wrong, "\n".join(wrong))


def page_faults(host):
    recording, truth = mapper(host)
    profile = recording.faults
    kind = profile.type_names[-1]
    for step, wanted in truth.items():
        got = profile.total(kind, lambda sample, step=step: sample.has(step))
        check(abs(got - wanted["faults"]) <= 3 + 0.05 * wanted["faults"],
              f"{step}: {got} faults, truly {wanted['faults']}")


def stages_and_threads_are_labelled(host):
    recording, _ = sleeper(host)
    for sample in recording.cpu.samples:
        check(sample.labels.get("thread"), f"a sample without the thread's name: {sample.labels}")
        check(sample.labels.get("thread_id", 0) > 0, f"a sample without thread_id: {sample.labels}")


if __name__ == "__main__":
    recorder.main([
        ("2:1 in one thread", one_thread),
        ("2:1 in eight threads, and evenly among them", many_threads),
        ("CPU time is what the kernel charges, children included", cpu_time_is_the_kernels),
        ("off CPU: asleep in nanosleep, poll, futex", blocked),
        ("off CPU: waiting for a CPU", waiting_for_a_cpu),
        ("off CPU: kernel stacks above user stacks", off_cpu_has_kernel_stacks),
        ("samples name their thread", stages_and_threads_are_labelled),
        ("mmap, munmap, brk", mapped_memory),
        ("page faults", page_faults),
    ])
