#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Heap profiles against programs that count their own allocations.

usage: conservation_test.py BUILD_FOLDER [PART_OF_A_NAME]

In exact mode every number must be the same, by function; in sampled mode what can be told from so many samples
must be within 5 %.
"""
import glob
import math
import os
import re
import subprocess

import recorder
from recorder import Skip, check, close_to, wait_for

OF_CHILDREN = ("site_forked_ending", "site_forked_staying", "site_before_exec", "site_after_exec")
BUDGET = ("-heap-budget", 100)  # percent of a CPU: the targets allocate as fast as they can
BESIDE_THE_HEAP = ("mmap", "brk")
KINDS = {"count": "alloc_objects", "bytes": "alloc_space", "live_count": "inuse_objects", "live_bytes": "inuse_space"}
ALLOCATORS = {"site_malloc": "malloc", "site_malloc_zero": "malloc", "site_malloc_large": "malloc",
              "site_calloc": "calloc", "site_realloc_chain": "realloc", "site_posix_memalign": "posix_memalign",
              "site_aligned_alloc": "aligned_alloc", "site_valloc": "valloc", "site_strdup": "malloc"}


def of_the_heap(profile):
    return [sample for sample in profile.samples if sample.labels.get("allocator") not in BESIDE_THE_HEAP]


def site_of(sample, sites):
    """The innermost function of the target that allocates, whatever surrounds its name in C++."""
    for name in sample.names:
        found = re.search(r"\bsite_\w+", name)
        if found and found.group(0) in sites:
            return found.group(0)
    return None


def by_site(profile, sites):
    """What the profile says in the terms of the truth."""
    found = {site: dict.fromkeys(KINDS, 0) for site in sites}
    for sample in of_the_heap(profile):
        site = site_of(sample, found)
        if site:
            for name, kind in KINDS.items():
                found[site][name] += sample.values[kind]
    return found


def record_to_the_truth(host, name, program, rate, *arguments):
    """Records until the program has told its truth and waits; then interrupts."""
    path = host.path(name)
    recording = host.record(*BUDGET, "-heap-rate", rate, command=[host.target(program), path, *arguments, "1"])
    truth = recording.until(path)
    return recording.interrupt(), truth["sites"]


def compare_exactly(recording, truth, kinds=tuple(KINDS)):
    found = by_site(recording.heap, truth)
    wrong = [f"{site}: {kind} is {found[site][kind]}, truly {truth[site][kind]}"
             for site in truth for kind in kinds if found[site][kind] != truth[site][kind]]
    check(not wrong, "\n".join(wrong))


EXACT = {}


def exact(host):
    if not EXACT:
        EXACT["recording"], EXACT["truth"] = record_to_the_truth(host, "exact.json", "conserve", 1, 16, 500, 2000)
    return EXACT["recording"], EXACT["truth"]


def every_number_is_exact(host):
    recording, truth = exact(host)
    check(sum(tally["count"] for tally in truth.values()) > 10000, "the target allocated little")
    compare_exactly(recording, truth)
    check(recording.heap.period == 1, f"the period of an exact profile is {recording.heap.period}")


def form_is_as_gos(host):
    profile = exact(host)[0].heap
    check(profile.types == [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"),
                            ("inuse_space", "bytes")], f"types are {profile.types}")
    check(profile.default_type == "inuse_space", f"the default type is {profile.default_type!r}")
    check(profile.period_type == ("space", "bytes"), f"the period type is {profile.period_type}")
    check(profile.time_ns > 0 and profile.duration_ns > 0, "time or duration is missing")


def allocators_are_named_and_cut(host):
    recording, truth = exact(host)
    wrong = []
    for sample in of_the_heap(recording.heap):
        site = site_of(sample, truth)
        allocator = sample.labels.get("allocator")
        if site in ALLOCATORS and allocator != ALLOCATORS[site]:
            wrong.append(f"{site} has the allocator {allocator}")
        if site and sample.names[0] != site:
            wrong.append(f"above {site} there is {sample.names[0]}")
    check(not wrong, "\n".join(sorted(set(wrong))))


def stacks_of_allocations_are_whole(host):
    recording, truth = exact(host)
    whole = total = 0
    for sample in of_the_heap(recording.heap):
        if site_of(sample, truth):
            total += sample.values["alloc_objects"]
            if "_start" in sample.names or "worker" in sample.names[:-1]:
                whole += sample.values["alloc_objects"]
    check(whole >= 0.99 * total, f"{whole} of {total} allocations have a stack down to the thread's start")


def cpp_is_exact(host):
    recording, truth = record_to_the_truth(host, "cpp.json", "conserve_new", 1, 500)
    compare_exactly(recording, truth)


def other_allocators_are_exact(host):
    """Allocators that bring C++'s operators with them: what goes through those does not pass malloc."""
    tried = 0
    for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4"):
        found = glob.glob(f"/usr/lib/*/{name}")
        if not found:
            continue
        tried += 1
        path = host.path(name + ".json")
        command = ["env", f"LD_PRELOAD={found[0]}", host.target("conserve_new"), path, 500, 1]
        recording = host.record(*BUDGET, "-heap-rate", 1, command=command)
        truth = recording.until(path)
        compare_exactly(recording.interrupt(), truth["sites"])
    if not tried:
        raise Skip("neither libjemalloc2 nor libtcmalloc-minimal4 is installed")


def counts_stay_when_the_target_ends(host):
    """What was allocated is known also when nobody interrupts: the program ends by itself. Its children do not wait
    here until they are watched, so only the parent's numbers count."""
    path = host.path("ending.json")
    recording = host.recorded(*BUDGET, "-heap-rate", 1, command=[host.target("conserve"), path, 4, 500, 2000, 0])
    truth = {site: tally for site, tally in recorder.read_json(path)["sites"].items() if site not in OF_CHILDREN}
    compare_exactly(recording, truth, ("count", "bytes"))


def spread_of_estimate(truth_of_site, rate):
    """Relative standard deviation of the estimate of a site's bytes, for sizes all like the mean."""
    if not truth_of_site["count"]:
        return 1
    mean = max(truth_of_site["bytes"] / truth_of_site["count"], 1)
    taken = 1 - math.exp(-mean / rate)
    return ((1 - taken) / taken / truth_of_site["count"]) ** 0.5


def sampled_is_close(host):
    # The number of objects is estimated from small ones, of which few are taken, each for many: at this rate its
    # standard deviation is 1 % for this target.
    rate = 1024
    recording, truth = record_to_the_truth(host, "sampled.json", "conserve", rate, 16, 2000, 2000)
    profile = recording.heap
    check(profile.period == rate, f"the period is {profile.period}, not the rate")
    found = by_site(profile, truth)
    sampled = sum(1 for sample in of_the_heap(profile) for _ in sample.frames)
    check(sampled > 0, "nothing was sampled")
    for kind in ("count", "bytes"):
        totals = [sum(tallies[site][kind] for site in truth if site != "site_malloc_zero")  # no bytes: never sampled
                  for tallies in (found, truth)]
        close_to(*totals, 0.05, f"the total of {kind}")
    # Sites of which enough was sampled for four deviations to fit into 5 %: at least one must be such.
    precise = [site for site, tally in truth.items() if 4 * spread_of_estimate(tally, rate) < 0.05]
    check(precise, "no site was sampled often enough to tell anything")
    for site in precise:
        close_to(found[site]["bytes"], truth[site]["bytes"], 0.05, f"bytes of {site}")
    live = [sum(tallies[site]["live_bytes"] for site in truth) for tallies in (found, truth)]
    close_to(live[0], live[1], 0.10, "bytes in use")  # a few hundred blocks, most of them large


def small_between_large(host):
    """Sampled, nearly every large block is taken; the small one right behind it has its chance each time."""
    count, small, rate = 200000, 30, 65536
    recording = host.recorded(*BUDGET, "-heap-rate", rate, command=[
        host.target("between"), host.path("between.json"), count, small, 4 * rate])
    found = sum(sample.values["alloc_objects"] for sample in of_the_heap(recording.heap)
                if site_of(sample, ("site_small",)))
    # 91 are expected to be taken: their standard deviation is a tenth.
    close_to(found, count, 0.5, "small blocks")


def mappings_of_the_allocator(host):
    """Sampled, most calls are not followed to their end; what they map is the allocator's all the same."""
    recording = host.recorded(*BUDGET, "-heap-rate", 1 << 30, command=[
        host.target("conserve"), host.path("mappings.json"), 4, 2000, 2000, "0"])
    # Children map before they are watched.
    mapped = [sample for sample in recording.profile("mappings").samples if site_of(sample, ALLOCATORS) and
              sample.labels.get("process_id") == recording.run["pid"]]
    check(not mapped, f"mapped by allocating functions: {[sample.names[:3] for sample in mapped]}")


def mappings_beside_another_recording(host):
    """Of another process, with the same C library: the kernel lets that one see the returns of this one's calls."""
    with subprocess.Popen([host.target("split"), "60", "0"], stdout=subprocess.DEVNULL) as other:
        beside = host.record("-heap-rate", 1 << 30, pid=other.pid)
        try:
            wait_for(lambda: "anon_inode:bpf_link" in descriptors(beside.process.pid), "the other recording")
            mappings_of_the_allocator(host)
            beside.interrupt()
        finally:
            beside.end_all()
            other.kill()


def descriptors(pid):
    folder = f"/proc/{pid}/fd"
    found = []
    for name in os.listdir(folder):
        try:
            found.append(os.readlink(os.path.join(folder, name)))
        except OSError:
            pass
    return found


def counters_agree(host):
    """The profiler's own books: nothing was dropped, nothing freed twice."""
    heap = exact(host)[0].said["heap"]
    for key in ("dropped", "missed_frees"):
        check(heap[key] == 0, f"{key} is {heap[key]}")
    check(heap["tracked"] and not heap["given_up"] and heap["rate_bytes"] == 1, f"run.json says {heap}")
    profile = exact(host)[0].heap
    for key, kind in (("alloc_objects", "alloc_objects"), ("alloc_bytes", "alloc_space"),
                      ("inuse_objects", "inuse_objects"), ("inuse_bytes", "inuse_space")):
        got = sum(sample.values[kind] for sample in of_the_heap(profile))
        check(heap["snapshots"][-1][key] == got, f"{key}: run.json says {heap['snapshots'][-1][key]}, the file {got}")



def costly_tracking_is_given_up(host):
    """A program that does nothing but allocate: probes would slow it down a hundredfold. They are taken off, and that
    is said; the program goes on at its own speed."""
    path = host.path("pairs.json")
    recording = host.recorded("-heap-rate", 1, command=[host.target("pairs"), path, 20000000])
    heap = recording.said["heap"]
    check(heap["given_up"], f"heap tracking went on: {heap}")
    check(any("heap" in notice and "-heap-budget" in notice for notice in recording.said["notices"]),
          f"no notice says so: {recording.said['notices']}")
    check(any("tracking ended" in comment for comment in recording.heap.comments),
          f"the file does not say so: {recording.heap.comments}")
    counted = sum(sample.values["alloc_objects"] for sample in of_the_heap(recording.heap))
    check(0 < counted < 20000000, f"{counted} allocations were counted until then")


if __name__ == "__main__":
    recorder.main([
        ("exact: every count and byte, by function, over threads, realloc, fork and exec", every_number_is_exact),
        ("exact: the file has the form of Go's heap profiles", form_is_as_gos),
        ("exact: the allocator is a label and not a frame", allocators_are_named_and_cut),
        ("exact: stacks reach the start of the thread", stacks_of_allocations_are_whole),
        ("exact: nothing dropped, no free missed", counters_agree),
        ("exact: C++ new, new[], aligned, nothrow, a growing vector", cpp_is_exact),
        ("C++ with jemalloc and tcmalloc", other_allocators_are_exact),
        ("exact: counts stay when the target ends by itself", counts_stay_when_the_target_ends),
        ("tracking that would cost too much is given up, and that is said", costly_tracking_is_given_up),
        ("sampled: totals and well sampled functions within 5 %", sampled_is_close),
        ("sampled: small blocks between large ones", small_between_large),
        ("sampled: what the allocator maps is not counted beside the heap", mappings_of_the_allocator),
        ("the same, while another process is recorded", mappings_beside_another_recording),
    ])
