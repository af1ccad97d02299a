# SPDX-License-Identifier: Apache-2.0
"""Many streams on several workers: each stream's lines are complete and in order, and no line of one is in the middle
of another's, whatever the output is; one that fails stops no other; all keep to what a server said of the account's
limit; and a run that was stopped goes on from its cursors.

usage: workers_test.py BUILD_FOLDER [ONLY]
"""
import collections
import glob
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

from harness import (Failure, Result, Simulator, at_least, command_of, contains, environment_of, equal, lacks, main)

BUILD = sys.argv[1]
RUNNERS = ("akamai-direct-prof", "akamai-prof")
CONFIG_ID = re.compile(rb'"configId":"(\d+)"')
HISTORY = ["-initial-interval", "11h"]


def ids_of(count):
    return ",".join(str(number + 1) for number in range(count))


def feed(count, events, *arguments, **options):
    return Simulator(BUILD, "--config-id", ids_of(count), "--events", str(events), "--event-size", "lean", *arguments,
                     **options)


def start(runner, simulator, count, *arguments, stdout=subprocess.DEVNULL, sink=True, ids=None, name="out"):
    out = simulator.path(name)
    command = command_of(BUILD, simulator, out, out + ".ndjson", sink=sink, name=runner)
    command += ["-config-id", ids or ids_of(count), *HISTORY, *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment_of(simulator))


def finish(process, simulator, name="out", timeout=240):
    stdout, stderr = process.communicate(timeout=timeout)
    out = simulator.path(name)
    return Result(subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr), out, out + ".ndjson")


def collect_many(runner, simulator, count, *arguments, **options):
    return finish(start(runner, simulator, count, *arguments, **options), simulator)


def by_stream(output, message=False):
    """The lines of each configId, in the order in which they came. Every line is one whole event."""
    lines = collections.defaultdict(list)
    if output and not output.endswith(b"\n"):
        raise Failure(f"the last line is cut: {output[-200:]!r}")
    for number, line in enumerate(output.split(b"\n")[:-1], 1):
        try:
            event = json.loads(line)
            if message:
                line = event["message"].encode()
                event = json.loads(line)
            lines[event["attackData"]["configId"]].append(line)
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"line {number} is no event ({error}): {line[:300]!r} ... {line[-300:]!r}") from None
        equal(len(CONFIG_ID.findall(line)), 1, f"the number of configIds in line {number}")
    return lines


def whole_lines(output):
    """Without what comes behind the last line end."""
    return output[:output.rfind(b"\n") + 1]


def equal_truth(lines, truth, ids):
    for config_id in ids:
        got = b"".join(line + b"\n" for line in lines[config_id])
        wanted = truth["configs"][config_id]
        equal(len(lines[config_id]), wanted["events"], f"the number of events of {config_id}")
        equal(hashlib.sha256(got).hexdigest(), wanted["sha256"], f"the SHA-256 of the events of {config_id}")


def drained(result, simulator, count, workers, output=None, message=False):
    truth = simulator.stop()
    equal(result.status, 0, "the exit status: " + result.stderr[-1500:])
    equal(result.record["host"]["workers"], workers, "workers in run.json")
    equal([s["worker"] for s in result.record["streams"]], [i % workers for i in range(count)], "who had which")
    lines = by_stream(result.output if output is None else output, message)
    equal_truth(lines, truth, ids_of(count).split(","))
    equal(result.record["totals"]["events"], sum(len(part) for part in lines.values()), "events in run.json")
    for stream in result.record["streams"]:
        equal(stream["end_reason"], "drained", f"the end of {stream['config_id']}")
        equal(stream["events"], len(lines[stream["config_id"]]), f"events of {stream['config_id']} in run.json")


TESTS = []


def test(name, *arguments):
    """The decorated function, once with the given arguments."""

    def wrap(function):
        TESTS.append((name, lambda: function(*arguments)))
        return function

    return wrap


def on_both(name, *arguments):
    def wrap(function):
        for runner in RUNNERS:
            TESTS.append((f"{name}, {runner}", lambda runner=runner: function(runner, *arguments)))
        return function

    return wrap


@on_both("sixteen streams, four workers, a file", [])
@on_both("and without io_uring", ["-io", "poll"])
def into_a_file(runner, arguments):
    with feed(16, 1500) as simulator:
        result = collect_many(runner, simulator, 16, "-workers", "4", "-limit", "700", *arguments)
        drained(result, simulator, 16, 4)
        lacks(result.stderr, "ends in the middle")


@on_both("a file that ends within a line")
def behind_a_cut_line(runner):
    with feed(4, 1000) as simulator:
        with open(simulator.path("out.ndjson"), "wb") as file:
            file.write(b'{"cut')
        result = collect_many(runner, simulator, 4, "-workers", "4", "-limit", "700")
        if not result.output.startswith(b'{"cut\n{'):
            raise Failure(f"the file begins with {result.output[:80]!r}")
        drained(result, simulator, 4, 4, result.output[len(b'{"cut\n'):])


def read_slowly(process, pauses):
    """All of the output; the reader naps between its first reads, so that the pipe is full and sinks wait."""
    output = []
    while True:
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            return b"".join(output)
        output.append(part)
        if len(output) < pauses:
            time.sleep(0.01)


@on_both("a slow reader of a pipe", ["-format", "raw"])
@on_both("and by poll", ["-io", "poll", "-format", "raw"])
@on_both("and as messages", ["-format", "message"])
def into_a_pipe(runner, arguments):
    # Lines of 700 KB are longer than a sink's buffer.
    with feed(6, 1000, "--fault", "long-line:200::700000") as simulator:
        process = start(runner, simulator, 6, "-workers", "3", "-limit", "450", *arguments, "-sink", "stdout",
                        stdout=subprocess.PIPE, sink=False)
        output = read_slowly(process, 250)
        drained(finish(process, simulator), simulator, 6, 3, output, message="message" in arguments)


@on_both("pages that are cut, on all of them")
def cut_pages(runner):
    with feed(6, 2000, "--fault", "cut-body:4") as simulator:
        result = collect_many(runner, simulator, 6, "-workers", "3", "-limit", "400")
        drained(result, simulator, 6, 3)
        at_least(sum(s["protocol"]["truncations"] for s in result.record["streams"]), 4, "truncations")


def paired(result):
    return sum(stream["paired_plain_bytes"] for stream in result.record["streams"])


@on_both("side by side on one worker, with all that may be wrong with a page", "own", [])
@on_both("and by poll, with bodies in one piece", "own", ["--framing", "length"], "-io", "poll")
@on_both("and by a library, which takes one at a time", "isal", [])
def side_by_side(runner, engine, server, *arguments):
    faults = ("cut-body:3:2", "bad-crc:4:3", "cut-gzip:5:2", "abrupt-close:6:1", "tiny-chunks:4:3", "key-update:3:4")
    with feed(5, 4000, *(word for fault in faults for word in ("--fault", fault)), *server) as simulator:
        result = collect_many(runner, simulator, 5, "-workers", "1", "-limit", "1500", "-inflate", engine, *arguments)
        drained(result, simulator, 5, 1)
        at_least(sum(s["protocol"]["truncations"] for s in result.record["streams"]), 4, "truncations")
        if engine == "own":
            at_least(paired(result), 1, "bytes that were inflated beside another stream's")
        else:
            equal(paired(result), 0, "bytes that were inflated beside another stream's")


@on_both("one that is refused stops no other")
def one_is_forbidden(runner):
    with feed(4, 1500, "--forbid-config", "99") as simulator:
        result = collect_many(runner, simulator, 5, "-workers", "3", "-limit", "700", ids="1,2,99,3,4")
        truth = simulator.stop()
        equal(result.status, 1, "the exit status")
        contains(result.stderr, "configId 99: the server answers status 403")
        equal_truth(by_stream(result.output), truth, "1234")
        equal([s["end_reason"] for s in result.record["streams"]],
              ["drained", "drained", "failed", "drained", "drained"], "the ends")


@test("one whose program fails stops no other")
def one_program_fails():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../src/program/akamai.lua"), encoding="utf-8") as file:
        program = file.read()
    program = program.replace("function execute(run_ctx, run_client)\n", 'function execute(run_ctx, run_client)\n'
                              '\tif run_ctx.env.CONFIG_ID == "2" then error("this one is broken") end\n')
    with feed(4, 1500) as simulator:
        with open(simulator.path("mine.lua"), "w", encoding="utf-8") as file:
            file.write(program)
        result = collect_many("akamai-prof", simulator, 4, "-workers", "2", "-limit", "700", "-prog",
                              simulator.path("mine.lua"))
        truth = simulator.stop()
        equal(result.status, 1, "the exit status")
        contains(result.stderr, "this one is broken")
        equal_truth(by_stream(result.output), truth, "134")
        equal([s["end_reason"] for s in result.record["streams"]], ["drained", "failed", "drained", "drained"],
              "the ends")


@on_both("all keep to Retry-After")
def retry_after(runner):
    pause, known = 4.0, 1.5  # by then everybody knows, however busy this machine is
    with feed(8, 0, "--fault", f"rate-limit:60:1:{pause:.0f}s", "--pace", "4000") as simulator:
        result = collect_many(runner, simulator, 8, "-workers", "4", "-limit", "200", "-sink", "null", "-duration",
                              "10s", sink=False)
        simulator.stop()
        requests = simulator.requests()
        refused = [r["time"] for r in requests if r["status"] == 429]
        equal(len(refused), 1, "requests that were refused")
        early = [r for r in requests if refused[0] + known < r["time"] < refused[0] + pause]
        equal(early, [], "requests before the time was over")
        late = [r for r in requests if r["time"] >= refused[0] + pause]
        equal({r["config"] for r in late}, set(ids_of(8).split(",")), "streams that came back")
        equal(result.stderr.count("the server limits this account"), 1, "notices")
        streams = result.record["streams"]
        equal(sum(s["protocol"]["rate_limited"] for s in streams), 1, "rate limits in run.json")
        at_least(sum(s["held_requests"] > 0 for s in streams), 7, "streams that were held back")
        at_least(min(s["held_seconds"] for s in streams if s["held_requests"]), 1.0, "seconds")
        firsts = {}
        for request in late:
            firsts.setdefault(request["config"], request["time"])
        at_least(len({round(when * 50) for when in firsts.values()}), 3, "times at which streams came back")
        equal(result.status, 0, "the exit status: " + result.stderr[-800:])


@on_both("stopped, and on from the states")
def stopped_and_on(runner):
    arguments = ["-workers", "3", "-limit", "500", "-state"]
    with feed(6, 6000, "--pace", "3000") as simulator:
        state = simulator.path("state")
        process = start(runner, simulator, 6, *arguments, state)
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        first = finish(process, simulator)
        equal(first.status, 0, "the exit status: " + first.stderr[-800:])
        equal({s["end_reason"] for s in first.record["streams"]}, {"stopped"}, "the ends")
        equal(first.record["totals"]["events"], first.lines, "events in run.json and in the file")
        repeated = sum(s["events_uncommitted"] for s in first.record["streams"])
        equal(repeated, 0, "events behind the cursors: every page was finished")
        result = collect_many(runner, simulator, 6, *arguments, state)
        truth = simulator.stop()
        equal(result.status, 0, "the exit status: " + result.stderr[-800:])
        equal_truth(by_stream(result.output), truth, ids_of(6).split(","))


def collector_of(process):
    """With rights to give up there are two processes; the collector is the younger one."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, check=False).stdout.split()
    return int(children[0]) if children else process.pid


@on_both("killed, and on from the cursors")
def killed_and_on(runner):
    count = 3
    with feed(count, 26000, "--pace", "2000") as simulator:
        process = start(runner, simulator, count, "-workers", "3", "-limit", "500")
        deadline = time.monotonic() + 120
        record = simulator.path("out/run.json")
        while not os.path.exists(record) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(collector_of(process), signal.SIGKILL)
        killed = finish(process, simulator)
        before = by_stream(whole_lines(killed.output))
        with open(record, encoding="utf-8") as file:
            cursors = {s["config_id"]: s["cursor"] for s in json.load(file)["streams"]}
        for config_id, cursor in cursors.items():
            name = "again-" + config_id
            finish(start(runner, simulator, 1, "-limit", "60000", "-cursor", cursor, ids=config_id, name=name),
                   simulator, name)
            with open(simulator.path(name + ".ndjson"), "rb") as file:
                after = by_stream(file.read())[config_id]
            # What the cursor promises: all that is before it is in the file.
            if after[0] in before[config_id]:
                merged = before[config_id][:before[config_id].index(after[0])] + after
            else:
                merged = before[config_id] + after
            before[config_id] = merged
        equal_truth(before, simulator.stop(), cursors)


@on_both("two signals end at once, with a reader that does not read")
def two_signals(runner):
    with feed(4, 40000) as simulator:
        process = start(runner, simulator, 4, "-workers", "2", "-limit", "2000", "-sink", "stdout", "-duration", "10m",
                        stdout=subprocess.PIPE, sink=False)
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        result = finish(process, simulator, timeout=60)
        by_stream(whole_lines(result.stdout))
        for stream in result.record["streams"]:
            equal(stream["end_reason"], "stopped", "the end of " + stream["config_id"])
        contains(result.stderr, "done elapsed=")


@on_both("a full disk is everybody's")
def full_disk(runner):
    with feed(4, 20000) as simulator:
        result = collect_many(runner, simulator, 4, "-workers", "4", "-limit", "2000", "-sink", "file:/dev/full",
                              sink=False)
        equal(result.status, 1, "the exit status")
        said = f"\n{runner}: /dev/full cannot be written: No space left on device (ENOSPC)"
        equal(result.stderr.count(said), 1,
              "times that it was said: " + result.stderr[-1500:])
        equal({s["end_reason"] for s in result.record["streams"]}, {"failed"}, "the ends")


@on_both("a reader that goes")
def reader_gone(runner):
    with feed(4, 20000) as simulator:
        process = start(runner, simulator, 4, "-workers", "2", "-limit", "2000", "-sink", "stdout",
                        stdout=subprocess.PIPE, sink=False)
        by_stream(whole_lines(process.stdout.read(300000)))
        process.stdout.close()
        stderr = process.stderr.read().decode()
        equal(process.wait(timeout=60), 1, "the exit status")
        contains(stderr, "standard output cannot be written: its reader has gone (EPIPE)")


def threads_of(pid):
    threads = {}
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(path, encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file.read().splitlines())
        threads[fields["Name"].strip()] = {key: fields[key].strip() for key in ("Seccomp", "NoNewPrivs", "CapPrm")}
    return threads


def threads_while(workers):
    with feed(4, 0, "--pace", "2000") as simulator:
        process = start("akamai-direct-prof", simulator, 4, "-workers", workers, "-limit", "300", "-sink", "null",
                        sink=False)
        time.sleep(1.5)
        threads = threads_of(collector_of(process))
        process.send_signal(signal.SIGINT)
        return threads, finish(process, simulator)


@test("threads have a name and no rights")
def thread_rights():
    threads, result = threads_while("3")
    equal(sorted(name for name in threads if name.startswith("worker")), ["worker 1", "worker 2", "worker 3"], "names")
    equal(result.record["confinement"]["seccomp"], True, "seccomp in run.json")
    for name, fields in threads.items():
        if name.startswith("iou-"):
            continue  # the kernel's own, for this process
        equal(fields, {"Seccomp": "2", "NoNewPrivs": "1", "CapPrm": "0000000000000000"}, "rights of " + name)


@test("one worker is no thread")
def one_worker():
    threads, result = threads_while("1")
    equal([name for name in threads if not name.startswith("iou-")], ["akamai-direct-p"], "threads")
    equal(result.record["host"]["workers"], 1, "workers in run.json")


@test("how many workers there are by default")
def by_default():
    with feed(3, 1000) as simulator:
        for arguments in ([], ["-workers", "auto"]):
            result = collect_many("akamai-direct-prof", simulator, 3, *arguments, "-sink", "null", sink=False)
            equal(result.record["host"]["workers"], min(3, len(os.sched_getaffinity(0))), "workers")
        result = collect_many("akamai-direct-prof", simulator, 3, "-workers", "64", "-sink", "null", sink=False)
        equal(result.record["host"]["workers"], 3, "workers, when there are more than streams")
        for wrong in ("0", "65", "two", "-1", "1x", ""):
            process = start("akamai-direct-prof", simulator, 3, f"-workers={wrong}")
            equal(finish(process, simulator).status, 2, f"the exit status for -workers {wrong}")


if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
