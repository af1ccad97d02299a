# SPDX-License-Identifier: Apache-2.0
"""Functions of programs in the profile of a run: their names, lines and shares, between the collector's own.

usage: program_profile_test.py BUILD_FOLDER [ONLY]
"""
import json
import math
import os
import re
import subprocess
import sys

from harness import Failure, Simulator, Skip, at_least, command_of, contains, environment_of, equal, lacks, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "profiler"))
import pprof_reader  # noqa: E402 (found by the line above)
import recorder  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
TESTS = []
RUNS = {}
# The lines are what the tests look for.
PROGRAM = """\
local function spin(n)
    local x = 0
    for i = 1, n do
        x = (x * 31 + i) & 65535
    end
    return x
end
local function two_thirds() local x = spin(800) return x end
local function one_third() local x = spin(400) return x end
local text = string.rep("some text, ", 1000)
local look = {
    in_coroutine = function()
        local co = coroutine.wrap(function() local x = two_thirds() coroutine.yield(x) end)
        return co()
    end,
    sorted = function()
        local t = { 3, 1, 2 }
        table.sort(t, function(a, b) one_third() return a < b end)
    end,
}
function execute(ctx, client)
    local from = math.floor(ctx.now()) - 3000
    while true do
        local answer = client:stream{
            url = ctx.env.URL .. "/configs/" .. ctx.name .. "?limit=500&from=" .. from,
            context = true,
            on_event = function(line)
                look.in_coroutine()
                one_third()
                text:upper()
            end,
        }
        if answer.fault then error(answer.fault_text) end
        if answer.status ~= 200 then error("status " .. answer.status) end
        client:commit()
        look.sorted()
    end
end
"""


def test(function):
    TESTS.append((function.__name__.removeprefix("test_").replace("_", " "), function))
    return function


class Run:
    """One run with two streams, for all tests."""

    def __init__(self):
        with Simulator(BUILD, "--event-size", "lean", "--config-id", "1,2", "--no-auth") as simulator:
            self.out = simulator.path("out")
            program = simulator.path("mine.lua")
            with open(program, "w", encoding="utf-8") as file:
                file.write(PROGRAM)
            command = command_of(BUILD, simulator, self.out, self.out + ".ndjson", name="akamai-prof")
            command.remove("-no-profile")
            command[command.index("60s")] = "10s"
            command += ["-config-id", "1,2", "-workers", "2", "-prog", program, "-hz", "499", "-poll-timeout", "10s",
                        "-cpu-profile-duration", "5s"]
            # From gcc 13 on AddressSanitizer moves frames to memory of its own, and looks through all of it behind
            # each coroutine: that is the larger half of the time then, and no function's share.
            sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":detect_stack_use_after_return=0"
            result = subprocess.run(command, capture_output=True, check=False, timeout=240,
                                    env=environment_of(simulator, {"ASAN_OPTIONS": sanitizer}))
            self.stderr = result.stderr.decode()
            lacks(self.stderr, "Sanitizer")
            path = os.path.join(self.out, "cpu_mid.pprof")
            if not os.path.exists(path):
                raise Failure(f"no profile of the CPU: {self.stderr}")
            self.cpu = pprof_reader.Profile(path)
            self.files = {}
            for name in ("run.json", "report.html", "cpu.svg"):
                with open(os.path.join(self.out, name), encoding="utf-8") as file:
                    self.files[name] = file.read()

    def stacks(self):
        """(number of samples, names from the root on, frames from the root on, sample)"""
        for sample in self.cpu.samples:
            frames = sample.frames[::-1]
            yield sample.values["samples"], [frame.name for frame in frames], frames, sample


def the_run():
    cannot = recorder.host_cannot()
    if cannot:
        raise Skip(cannot)
    if "run" not in RUNS:
        RUNS["run"] = Run()
    return RUNS["run"]


@test
def test_functions_have_their_shares():
    counts = {"two_thirds": 0, "one_third": 0}
    for samples, names, _, _ in the_run().stacks():
        for name in counts:
            if name in names and "sorted" not in names:
                counts[name] += samples
    both = sum(counts.values())
    at_least(both, 100, f"samples in both functions ({counts})")
    share = counts["two_thirds"] / both
    allowed = 4 * math.sqrt(2 / 9 / both) + 0.02
    if abs(share - 2 / 3) > allowed:
        raise Failure(f"two_thirds has {share:.4f} of {both} samples, wanted 0.6667 +- {allowed:.4f}")


@test
def test_stacks_go_from_the_collector_through_the_program():
    seen = 0
    for samples, names, frames, sample in the_run().stacks():
        if "two_thirds" not in names:
            continue
        at = names.index("on_event")
        equal(names[at - 1], "program_call_event", f"who calls on_event in {names}")
        contains(" ".join(names[:at]), "flow_run", "what lies below the program")
        path = names[at:]
        lua = [frame.name for frame in frames if frame.object == "[lua]"]
        equal(lua[lua.index("on_event"):][:4], ["on_event", "in_coroutine", "function at line 13", "two_thirds"],
              f"the program's part of {path}")
        equal(sample.labels.get("stage"), "program", f"the stage of {path}")
        seen += samples
    at_least(seen, 50, "samples in the coroutine")


@test
def test_each_worker_has_stages_and_functions_of_its_own():
    stages, functions = {}, {}
    for samples, names, _, sample in the_run().stacks():
        thread = sample.labels["thread"]
        if not thread.startswith("worker "):
            continue
        if "stage" not in sample.labels:
            raise Failure(f"{thread} has a sample without a stage: {names}")
        stages.setdefault(thread, set()).add(sample.labels["stage"])
        if "two_thirds" in names:
            functions[thread] = functions.get(thread, 0) + samples
    equal(sorted(stages), ["worker 1", "worker 2"], "threads with samples")
    for thread, seen in stages.items():
        contains(" ".join(sorted(seen)), "program", f"stages of {thread}")
        at_least(functions.get(thread, 0), 20, f"samples of {thread} in the program's function")


@test
def test_lines_are_the_programs():
    lines = {}
    for samples, _, frames, _ in the_run().stacks():
        for frame in frames:
            if frame.object != "[lua]":
                continue
            equal(frame.file, "mine.lua", f"the file of {frame.name}")
            lines.setdefault(frame.name, {}).setdefault(frame.line, 0)
            lines[frame.name][frame.line] += samples
    spin = lines["spin"]
    if not set(spin) <= set(range(1, 7)):
        raise Failure(f"spin is on lines 1 to 6, the profile has {spin}")
    # The loop's body is four instructions, its head one.
    at_least(spin.get(3, 0) + spin.get(4, 0), 0.97 * sum(spin.values()), f"samples in the loop ({spin})")
    at_least(spin.get(4, 0), 2 * spin.get(3, 0), f"samples in the loop's body ({spin})")
    equal(set(lines["two_thirds"]), {8}, "lines of two_thirds")


@test
def test_functions_of_the_libraries_have_their_names():
    run = the_run()
    at_least(sum(samples for samples, names, _, _ in run.stacks() if "string.upper" in names), 1, "samples in upper()")
    for _, names, _, _ in run.stacks():
        if "string.upper" in names:
            at_least(names.index("string.upper"), names.index("on_event") + 1, f"where upper() is in {names}")
            lacks(" ".join(names[names.index("on_event"):names.index("string.upper")]), "liblua", "what is between")


@test
def test_stacks_stay_complete():
    said = json.loads(the_run().files["run.json"])["profile"]["stacks"]
    at_least(said["user"], 200, "user stacks")
    at_least(said["complete"] + 2, 0.99 * said["user"], f"complete stacks ({said['stops']})")


@test
def test_pictures_show_them():
    files = the_run().files
    for name in ("report.html", "cpu.svg"):
        contains(files[name], "two_thirds", name)
        contains(files[name], "function at line 13", name)
    contains(files["cpu.svg"], '<g class="f lua"><title>two_thirds', "its colour")


@test
def test_the_page_lists_lines():
    run = the_run()
    here, everything = {}, 0
    for samples, _, frames, _ in run.stacks():
        everything += samples
        lua = [frame for frame in frames if frame.object == "[lua]"]
        if lua:
            key = f"{lua[-1].file}:{lua[-1].line}", lua[-1].name
            here[key] = here.get(key, 0) + samples
    (place, name), most = max(here.items(), key=lambda item: item[1])
    section = run.files["report.html"].split('<section id="program">')[1].split("</section>")[0]
    first = section.split("<tbody>")[1].split("</tr>")[0]
    contains(first, f"<code>{place}</code> <small>{name}</small>", "the first line of the table")
    shares = re.findall(r"<td>([0-9.]+)[^0-9.<]*%</td>", first)
    if abs(float(shares[0]) - 100 * most / everything) > 1:
        raise Failure(f"{place} has {most} of {everything} samples, the page says {shares}")


main(TESTS, *sys.argv[2:3])
