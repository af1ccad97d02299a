#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stacks that are hard to walk have the frames that they must have, by name and in order, down to the start.

usage: golden_test.py BUILD_FOLDER [PART_OF_A_NAME]
"""
import recorder
from recorder import check

HZ = 999
CASE_MS = 250  # of CPU: some 250 samples
SAMPLES_MIN = 150  # fewer are no proof (a busy machine loses none, since CPU time is sampled)
WHOLE_MIN = 0.99
FRAMES_MAX = 127
FRAMES_BESIDE = 5  # the leaf below `recurse`; main, two of the C library and _start above

# Case -> the function all its samples go through, and frames from there to the leaf: (object, name); None: any.
LEAVES = {
    "isal": ("isal_case", [("libisal.so.2", None)]),
    "libdeflate": ("libdeflate_case", [("libdeflate.so.0", None)]),
    "zlib": ("zlib_case", [("libz.so.1", None)]),
    "big_frame": ("big_frame_case", [("stacks", "burn")]),
    "alloca": ("alloca_case", [("stacks", "burn")]),
    "realigned": ("realigned_case", [("stacks", "burn")]),
    "realigned_arguments": ("realigned_arguments_case", [("stacks", "realigned_arguments"), ("stacks", "burn")]),
    "raise": ("raise_case", [("libc.so.6", None), ("stacks", "on_signal"), ("stacks", "burn")]),
    "interrupt": ("interrupt_case", [("stacks", "interrupted"), ("libc.so.6", None), ("stacks", "on_signal"),
                                     ("stacks", "burn")]),
    "alternate_stack": ("alternate_stack_case", [("libc.so.6", None), ("stacks", "on_signal"), ("stacks", "burn")]),
    "thread": ("thread_body", [("stacks", "burn")]),
    "dlopen": ("dlopen_case", [("late.so", "plugin_entry"), ("late.so", "plugin_burn")]),
    "plt": ("plt_case", [("libplugin.so", "plugin_small")]),
    "vdso": ("vdso_case", [("[vdso]", None)]),
    "vfork": ("vfork_case", [("stacks", "burn")]),
}
IN_KERNEL = "[kernel.kallsyms]"


def of_user(sample):
    return [frame for frame in sample.frames if frame.object != IN_KERNEL and not frame.object.startswith("[k")]


def is_whole(frames):
    """Down to where the program or the loader starts, or to the two functions of the C library that start a thread
    (which have names only where its debug symbols are installed)."""
    if not frames:
        return False
    if frames[-1].name in ("_start", "_dl_start_user", "clone3", "__clone3", "clone"):
        return True
    return len(frames) > 2 and all(frame.object.startswith("libc.so") for frame in frames[-2:])


def follows(frames, wanted):
    """Whether `wanted` are found in this order, from the root to the leaf."""
    at = 0
    for frame in reversed(frames):
        if at < len(wanted) and frame.object.startswith(wanted[at][0]) and wanted[at][1] in (None, frame.name):
            at += 1
    return at == len(wanted)


RECORDINGS = {}


def recording_of(host, cases):
    """One recording for many cases: a process goes through them one after the other."""
    if cases not in RECORDINGS:
        command = [host.target("stacks"), CASE_MS, host.target("late.so"), *cases]
        RECORDINGS[cases] = host.recorded("-hz", HZ, command=command)
    return RECORDINGS[cases]


def samples_of(profile, function):
    return [(of_user(sample), sample.values["samples"]) for sample in profile.samples if sample.has(function)]


def share(samples, holds):
    """(of how many samples it holds, of how many)"""
    return sum(count for frames, count in samples if holds(frames)), sum(count for _, count in samples)


def example(samples, holds):
    worst = max((item for item in samples if not holds(item[0])), key=lambda item: item[1], default=None)
    return f"; most often otherwise ({worst[1]}): {' < '.join(map(repr, worst[0]))}" if worst else ""


def check_leaf(profile, case, leaf_min):
    function, leaf = LEAVES[case]
    samples = samples_of(profile, function)
    good, total = share(samples, lambda frames: follows(frames, [("", function)] + leaf))
    check(total >= SAMPLES_MIN, f"{case}: only {total} samples go through {function}")
    check(good >= leaf_min * total, f"{case}: {good} of {total} samples go from {function} to {leaf}" +
          example(samples, lambda frames: follows(frames, [("", function)] + leaf)))


def check_whole(profile, case):
    function = LEAVES[case][0]
    samples = samples_of(profile, function)
    whole, total = share(samples, is_whole)
    check(whole >= WHOLE_MIN * total, f"{case}: {whole} of {total} stacks are whole" + example(samples, is_whole))


def lost_cpu(profile, cases):
    """Samples in none of the functions that the process spends its time in: stacks that broke below them."""
    wanted = {LEAVES[case][0] for case in cases} | {"main"}
    lost = [(of_user(sample), sample.values["samples"]) for sample in profile.samples
            if not wanted & set(sample.names) and not is_whole(of_user(sample))]
    return lost, profile.total("samples")


EVERYTHING = tuple(case for case in LEAVES if case != "vfork")


def one_case(case, leaf_min=0.9):
    def test(host):
        profile = recording_of(host, EVERYTHING).cpu
        check_leaf(profile, case, leaf_min)
        check_whole(profile, case)
    return test


def nothing_is_lost(host):
    recording = recording_of(host, EVERYTHING)
    lost, total = lost_cpu(recording.cpu, EVERYTHING)
    count = sum(number for _, number in lost)
    # What is left is the loader before _start, and exit.
    check(count <= (1 - WHOLE_MIN) * total, f"{count} of {total} samples are in no known function" +
          example(lost, lambda frames: False))


def completeness_is_told(host):
    """The share that the profiler claims is what the file shows."""
    recording = recording_of(host, EVERYTHING)
    stacks, complete = recording.stacks_said()
    check(complete >= WHOLE_MIN * stacks, f"run.json: {complete} of {stacks} user stacks are complete")
    whole, total = share([(of_user(sample), sample.values["samples"]) for sample in recording.cpu.samples], is_whole)
    check(abs(whole / total - complete / stacks) < 0.02,
          f"run.json says {complete}/{stacks} are complete, in the file it is {whole}/{total}")
    check(any("complete" in comment for comment in recording.cpu.comments),
          f"no comment of the file tells the share of complete stacks: {recording.cpu.comments}")


def vfork(host):
    """The child runs on its parent's stack, in a process of its own."""
    profile = recording_of(host, ("vfork",)).cpu
    check_leaf(profile, "vfork", 0.9)
    check_whole(profile, "vfork")


def probed_allocations(host):
    """Return probes replace return addresses on the stack; samples in between must be walked all the same. The kernel
    itself knows some of the addresses nowhere for a moment (between replacing one and listing it): about 1.5 %, of a
    program that does nothing else than this."""
    recording = host.recorded("-hz", HZ, "-heap-rate", 1, "-heap-budget", 100,
                              command=[host.target("pairs"), host.path("pairs.json"), 250000])
    everything = [(of_user(sample), sample.values["samples"]) for sample in recording.cpu.samples]
    whole, total = share(everything, is_whole)
    check(total >= SAMPLES_MIN, f"only {total} samples")
    check(whole >= 0.96 * total, f"{whole} of {total} stacks are whole" + example(everything, is_whole))
    inside, _ = share(samples_of(recording.cpu, "allocate_pair"), is_whole)
    check(inside >= 0.4 * total, f"only {inside} of {total} samples are in malloc and its probes")


def boringssl(host):
    profile = host.recorded("-hz", HZ, command=[host.target("boringssl"), CASE_MS]).cpu
    samples = samples_of(profile, "open_record")
    wanted = [("boringssl", "open_record"), ("libcrypto.so", None)]
    good, total = share(samples, lambda frames: follows(frames, wanted))
    check(total >= SAMPLES_MIN, f"only {total} samples in open_record")
    check(good >= 0.9 * total, f"{good} of {total} samples go through libcrypto")
    everything = [(of_user(sample), sample.values["samples"]) for sample in profile.samples]
    whole, total = share(everything, is_whole)
    check(whole >= WHOLE_MIN * total, f"{whole} of {total} stacks are whole" + example(everything, is_whole))


def lines_and_inlining(host):
    """`chain` is inlined into `burn`: a frame of its own, at the same place, with file and line."""
    profile = recording_of(host, EVERYTHING).cpu
    found = [sample for sample in profile.samples if sample.names[:2] == ["chain", "burn"]]
    check(found, "no sample is in chain, inlined into burn")
    frame = found[0].frames[0]
    check(frame.inlined and frame.file.endswith("target.h") and frame.line > 0,
          f"chain is at {frame.file}:{frame.line}, inlined: {frame.inlined}")
    check(found[0].frames[1].file.endswith("stacks.c"), f"burn is in {found[0].frames[1].file}")


def mappings_are_told(host):
    """As go tool pprof wants them: the program first, files and build ids, addresses within."""
    profile = recording_of(host, EVERYTHING).cpu
    check(profile.mappings[0]["file"] == host.target("stacks"), f"mapping 1 is {profile.mappings[0]['file']}")
    for mapping in profile.mappings:
        if mapping["file"].startswith("/") and mapping["file"].endswith(".so.6"):
            check(len(mapping["build_id"]) == 40, f"{mapping['file']} has the build id {mapping['build_id']!r}")
    for frames in profile.locations:
        for frame in frames:
            if frame.mapping and frame.mapping["limit"]:
                check(frame.mapping["start"] <= frame.address < frame.mapping["limit"],
                      f"{frame} at {frame.address:#x} is outside of {frame.mapping}")


DEPTHS = (1, 25, 100, 121, 122, 126, 140)


def depths(host):
    if "depths" not in RECORDINGS:
        RECORDINGS["depths"] = host.recorded("-hz", HZ, command=[host.target("depth"), 250, *DEPTHS])
    return RECORDINGS["depths"]


def recursion_of(sample):
    return sum(name == "recurse" for name in sample.names)


def recursion(host):
    recording = depths(host)
    counts = {}
    for sample in recording.cpu.samples:
        if sample.has("deepest"):
            key = (recursion_of(sample), is_whole(of_user(sample)))
            counts[key] = counts.get(key, 0) + sample.values["samples"]
    for depth in DEPTHS:
        if depth + FRAMES_BESIDE <= FRAMES_MAX:
            check(counts.get((depth, True), 0) >= 100, f"depth {depth}: {counts}")
    # Deeper ones keep the leaf's side: one leaf, the rest recursion.
    cut = counts.get((FRAMES_MAX - 1, False), 0)
    check(cut >= 200, f"stacks that are too deep have {FRAMES_MAX} frames: {counts}")
    known = sum(counts.get((depth, True), 0) for depth in DEPTHS) + cut
    check(known >= WHOLE_MIN * sum(counts.values()), f"other depths were seen: {counts}")


def deep_stacks_are_flagged(host):
    recording = depths(host)
    for sample in recording.cpu.samples:
        user = of_user(sample)
        if sample.has("deepest") and not is_whole(user):
            check(sample.labels.get("truncated") == "frames-max",
                  f"a stack of {len(user)} frames that is not whole has the labels {sample.labels}")
        elif is_whole(user):
            check("truncated" not in sample.labels, f"a whole stack has the labels {sample.labels}")
    stacks, complete = recording.stacks_said()
    check(stacks - complete >= 200, f"run.json: {complete} of {stacks} stacks are complete")


if __name__ == "__main__":
    LEAF_SHARE = {"raise": 0.7, "alternate_stack": 0.7, "interrupt": 0.1, "plt": 0.2, "vdso": 0.5, "thread": 0.8}
    recorder.main(
        [(case, one_case(case, LEAF_SHARE.get(case, 0.9))) for case in EVERYTHING] + [
            ("boringssl", boringssl),
            ("vfork", vfork),
            ("malloc under return probes", probed_allocations),
            ("no sample is in no known function", nothing_is_lost),
            ("recursion", recursion),
            ("stacks deeper than 127 frames are flagged", deep_stacks_are_flagged),
            ("the share of complete stacks is told, and true", completeness_is_told),
            ("lines and inlined functions", lines_and_inlining),
            ("mappings", mappings_are_told),
        ])
