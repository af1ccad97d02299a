# SPDX-License-Identifier: Apache-2.0
"""The profiler beside others, on the same process in the same seconds: perf with frame pointers, perf with copies of
the stack, bpftrace, bcc. What is not installed, or sees nothing here, is left out, and said.

usage: peers.py BUILD_FOLDER [SECONDS] [ROUNDS]

First who sees what: of each tool the samples, the share of user stacks that reach the thread's start, and how far
the time by function of the program agrees with ours (1 less half the sum of the differences of shares). Then what
each costs: CPU time of a program with a fixed amount of work, alone and under each tool, in turns; and the CPU time of
the tool. One JSON object a line, then a table.
"""
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "profiler"))
import pprof_reader  # noqa: E402 (found by the line above)

HZ = 499
STACKS = ["thread", "interrupt", "isal", "libdeflate", "zlib", "big_frame", "realigned", "dlopen", "plt"]
IN_KERNEL = ("[kernel", "[k", "bpf_prog")


def quiet(command, **more):
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True, **more)


class Tool:
    """One profiler: how it is started for a pid and some seconds, and how its stacks are read. A stack is a list
    of (function, object), leaf first, with its count."""
    name = None

    def __init__(self, build, folder):
        self.build, self.folder = build, folder

    def present(self):
        return True

    def path(self, name):
        return os.path.join(self.folder, self.name.replace(" ", "-") + name)

    def command(self, pid, seconds):
        raise NotImplementedError

    def stacks(self):
        raise NotImplementedError


class Ours(Tool):
    name = "akamai-prof"

    def command(self, pid, seconds):
        return [os.path.join(self.build, "akamai-prof"), "record", "-quiet", "-hz", HZ, "-duration", f"{seconds}s",
                "-out", self.path("-out"), "-p", pid]

    def stacks(self):
        profile = pprof_reader.Profile(os.path.join(self.path("-out"), "cpu.pprof"))
        for sample in profile.samples:
            yield [(frame.name, frame.object) for frame in sample.frames], sample.values["samples"]


class Perf(Tool):
    mode = None

    def present(self):
        return shutil.which("perf") is not None

    def command(self, pid, seconds):
        return ["perf", "record", "-q", "-e", "cpu-clock", "-F", HZ, "--call-graph", self.mode, "-o",
                self.path(".data"), "-p", pid, "--", "sleep", seconds]

    def stacks(self):
        text = subprocess.run(["perf", "script", "--no-inline", "-F", "tid,ip,sym,dso", "-i", self.path(".data")],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
        for block in text.split("\n\n"):
            found = re.findall(r"^\s+([0-9a-f]+) (.*) \(([^()]*(?:\([^()]*\))?)\)$", block, re.M)
            if found:
                yield [(symbol, os.path.basename(dso.replace(" (deleted)", ""))) for _, symbol, dso in found], 1


class PerfFramePointers(Perf):
    name, mode = "perf fp", "fp"


class PerfStackCopies(Perf):
    name, mode = "perf dwarf", "dwarf"


class PerfLargeStackCopies(Perf):
    name, mode = "perf dwarf 64K", "dwarf,65528"


class Bpftrace(Tool):
    name = "bpftrace"

    def present(self):
        return shutil.which("bpftrace") is not None

    def command(self, pid, seconds):
        script = f"profile:hz:{HZ} /pid == {pid}/ {{ @[ustack(127)] = count(); }} interval:s:{seconds} {{ exit(); }}"
        return ["bpftrace", "-q", "-o", self.path(".txt"), "-e", script]

    def stacks(self):
        with open(self.path(".txt"), encoding="utf-8", errors="replace") as file:
            for body, count in re.findall(r"^@\[(.*?)\]: (\d+)$", file.read(), re.M | re.S):
                frames = [line.strip().rsplit("+", 1)[0] for line in body.splitlines() if line.strip()]
                yield [(frame, "") for frame in frames], int(count)


class Bcc(Tool):
    name = "bcc profile"

    def program(self):
        return shutil.which("profile-bpfcc") or shutil.which("profile")

    def present(self):
        return self.program() is not None

    def command(self, pid, seconds):
        return ["sh", "-c", f"exec {self.program()} -U -f -F {HZ} -p {pid} {seconds} > {self.path('.txt')}"]

    def stacks(self):
        with open(self.path(".txt"), encoding="utf-8", errors="replace") as file:
            for line in file:
                folded, _, count = line.rstrip().rpartition(" ")
                if count.isdigit():
                    yield [(name, "") for name in reversed(folded.split(";")[1:])], int(count)


TOOLS = [Ours, PerfFramePointers, PerfStackCopies, PerfLargeStackCopies, Bpftrace, Bcc]


def user_part(stack):
    return [frame for frame in stack if not frame[1].startswith(IN_KERNEL)]


def is_whole(stack):
    """Reaches _start, or what a thread begins with: in the C library, which has no names for it on Debian."""
    user = user_part(stack)
    if not user:
        return False
    beginnings = ("_start", "clone", "clone3", "__clone3", "start_thread")
    return user[-1][0] in beginnings or (len(user) > 2 and all(frame[1].startswith("libc.so") for frame in user[-2:]))


def by_function(stacks, functions):
    """Share of samples by the innermost function of the program itself."""
    counts, total = {}, 0
    for stack, count in stacks:
        name = next((frame[0] for frame in stack if frame[0] in functions), "(none)")
        counts[name] = counts.get(name, 0) + count
        total += count
    return {name: count / total for name, count in counts.items()}


def symbols_of(program):
    text = subprocess.run(["nm", "--defined-only", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[2] for line in text.splitlines() if line.split()[1] in "tT"}


def agreement(one, other):
    return 1 - sum(abs(one.get(name, 0) - other.get(name, 0)) for name in set(one) | set(other)) / 2


def present_tools(build, folder):
    tools = [tool(build, folder) for tool in TOOLS]
    for tool in tools:
        if not tool.present():
            print(f"# not installed, left out: {tool.name}", flush=True)
    return [tool for tool in tools if tool.present()]


def end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def who_sees_what(build, folder, what, program, arguments, seconds):
    """All tools on one process, at once."""
    target = quiet([program, *arguments])
    tools = present_tools(build, folder)
    try:
        time.sleep(0.5)
        running = [quiet(tool.command(target.pid, seconds)) for tool in tools]
        for process in running:
            process.wait()
    finally:
        end(target)
    functions = symbols_of(program) - {"_start", "main"}
    seen = {tool.name: list(tool.stacks()) for tool in tools}
    ours = by_function(seen[Ours.name], functions)
    rows = []
    for tool in tools:
        stacks = seen[tool.name]
        total = sum(count for _, count in stacks)
        if not total:
            print(f"# has seen nothing on this host, left out: {tool.name}", flush=True)
            continue
        shares = by_function(stacks, functions)
        row = {"bench": "profiler_peers", "what": what, "tool": tool.name, "samples": total,
               "stacks_whole": round(sum(count for stack, count in stacks if is_whole(stack)) / total, 4),
               "agreement": round(agreement(ours, shares), 4),
               "top": {name: round(share, 3) for name, share in
                       sorted(shares.items(), key=lambda item: -item[1])[:6]}}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def cpu_seconds(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def fixed_work(program, arguments, tool):
    """CPU seconds of the program, and of the tool that watches it for the whole time."""
    process = quiet([program, *arguments])
    watcher = quiet(tool.command(process.pid, 600)) if tool else None
    # The tool needs a moment to begin: the program is long against that.
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    before = cpu_seconds(resource.RUSAGE_CHILDREN)
    if watcher:
        os.killpg(watcher.pid, signal.SIGINT)
        watcher.wait()
    return used.ru_utime + used.ru_stime, cpu_seconds(resource.RUSAGE_CHILDREN) - before


def what_it_costs(build, folder, names, program, arguments, rounds):
    tools = [None] + [tool for tool in present_tools(build, folder) if tool.name in names]
    measured = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            measured[tool].append(fixed_work(program, arguments, tool))
    alone = statistics.median(target for target, _ in measured[None])
    rows = []
    for tool in tools[1:]:
        target = statistics.median(value for value, _ in measured[tool])
        row = {"bench": "profiler_peers_cost", "tool": tool.name, "hz": HZ, "rounds": rounds,
               "target_cpu_seconds_alone": round(alone, 4), "target_cpu_seconds": round(target, 4),
               "target_overhead_percent": round(100 * (target / alone - 1), 2),
               "tool_cpu_seconds": round(statistics.median(value for _, value in measured[tool]), 3)}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def main():
    build = os.path.abspath(sys.argv[1])
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    targets = os.path.join(build, "tests", "profiler")
    with tempfile.TemporaryDirectory() as folder:
        # Each case many times for a short while: the tools do not begin and end at the same moment.
        turns = 1000 * (seconds + 4) // (40 * len(STACKS)) + 1
        seen = who_sees_what(build, folder, "stacks", os.path.join(targets, "stacks"),
                             [40, os.path.join(targets, "late.so")] + STACKS * turns, seconds)
        seen += who_sees_what(build, folder, "split", os.path.join(targets, "split"), [2, 0], seconds)
        cost = what_it_costs(build, folder, {row["tool"] for row in seen}, os.path.join(targets, "split"), [1, 150000],
                             rounds)
    print(f"\n{'tool':16} {'what':8} {'samples':>8} {'whole':>7} {'agreement':>10}")
    for row in seen:
        print(f"{row['tool']:16} {row['what']:8} {row['samples']:8} {row['stacks_whole']:7.3f} "
              f"{row['agreement']:10.3f}")
    print(f"\n{'tool':16} {'target +%':>10} {'tool CPU-s':>11}   (at {HZ} Hz)")
    for row in cost:
        print(f"{row['tool']:16} {row['target_overhead_percent']:10.2f} {row['tool_cpu_seconds']:11.3f}")


if __name__ == "__main__":
    main()
