# SPDX-License-Identifier: Apache-2.0
"""The interpreted program against the native one: each drains the same feed from a simulator of its own, under every
fault that the simulator knows. The requests that the two servers have logged must be the same ones in the same order,
the events the same bytes, and run.json must tell the same story.

usage: parity_test.py BUILD_FOLDER [ONLY]
"""
import hashlib
import re
import subprocess
import sys
import time

from harness import Failure, Simulator, at_least, collect, command_of, environment_of, equal, main

BUILD = sys.argv[1]
EVENTS = 9000
LIMIT = "1000"
NATIVE, INTERPRETED = "akamai-direct-prof", "akamai-prof"
# What depends on chance or on the clock.
TIMED_COUNTERS = ("backoff_seconds", "clock_skew_seconds", "gap_seconds")


def run(name, server, client, epoch, events):
    """One collector against its own simulator; both collectors see equal events from equal seeds."""
    with Simulator(BUILD, "--events", str(events), "--event-size", "lean", "--config-id", "1", "--epoch", str(epoch),
                   *server) as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-limit", LIMIT, "-from", str(epoch - 3600), *client,
                         timeout=300, name=name)
        if result.record is None:
            raise Failure(f"{name} left no run.json: {result.stderr[-1500:]}")
        truth = simulator.stop()
        # The log has a request when its answer is over, and connections overlap.
        return result, sorted(simulator.requests(), key=lambda request: request["time"]), truth


def asked(request, skew):
    """What of a request must be equal. Where the clock decides, two runs may be seconds apart."""
    window_end = None
    if request.get("to") is not None:
        age = time.time() + skew - float(request["to"])
        window_end = "now" if -5 < age < 600 else "another time"
    offset = request.get("offset")
    begin = request.get("from")
    if begin is not None and abs(time.time() + skew - 43200 - float(begin)) < 600:
        begin = "the edge of the history"
    return (request["mode"], offset, begin, window_end, request["limit"], request["status"], request.get("fault"))


CHANCE = re.compile(r"requestId [0-9a-f]+|again in [0-9a-z.]+|after [0-9]+ events|read from [0-9]+|[0-9]+ s later"
                    r"|events before [0-9]+|clock is [0-9a-z.]+ (behind|ahead of)")
DETAIL = re.compile(r" \((at byte|silence|Connection|Broken)[^)]*\)")  # the two put it in different places


def last_error(result):
    return DETAIL.sub("", CHANCE.sub("_", result.stream.get("error") or ""))


def sentences(result):
    """What a person was told on the way, without what is left to chance and timing."""
    told = [line.split(" ", 1)[1] for line in result.stderr.splitlines() if re.match(r"[0-9:]+ warning: ", line)]
    told = [DETAIL.sub("", CHANCE.sub("_", line)) for line in told]
    told = [line for line, before in zip(told, [None, *told]) if line != before]  # the native one may repeat itself
    # The native one tells an error that ends it as a warning before.
    return [line for line in told if not result.status or not line.endswith(last_error(result))]


def both(server, client=(), skew=0, minimum=9, events=EVENTS, whole=True):
    def test():
        epoch = int(time.time()) - 8000  # all events are stored, for a server whose clock is an hour behind too
        native, native_requests, truth = run(NATIVE, server, client, epoch, events)
        program, program_requests, program_truth = run(INTERPRETED, server, client, epoch, events)
        native_asked = [asked(r, skew) for r in native_requests]
        program_asked = [asked(r, skew) for r in program_requests]
        for number, (left, right) in enumerate(zip(native_asked, program_asked), 1):
            equal(right, left, f"request {number} of the program")
        equal(len(program_asked), len(native_asked), "the number of the program's requests")
        at_least(len(native_asked), minimum, "requests")
        equal(truth["configs"]["1"]["sha256"], program_truth["configs"]["1"]["sha256"], "what both could have read")
        equal(program.digest, native.digest, "the SHA-256 of the program's events")
        if whole:
            equal(program.digest, truth["configs"]["1"]["sha256"], "the SHA-256 of all events")
        equal(program.status, native.status, "the program's exit status")
        for key in ("end_reason", "events", "cursor"):
            equal(program.stream[key], native.stream[key], key)
        for key, value in native.protocol.items():
            if key not in TIMED_COUNTERS:
                equal(program.protocol[key], value, key + " in run.json")
        equal(sentences(program), sentences(native), "the warnings")
        if native.status:
            equal(last_error(program), last_error(native), "the error")

    return test


TESTS = [
    ("no fault", both([])),
    ("one large page", both([], ["-limit", "60000"], minimum=2)),
    ("offsets that need escapes, a list of ids", both(["--config-id", "7;8"], ["-config-id", "7;8"], minimum=0,
                                                      whole=False)),
    ("an id that does not exist", both([], ["-config-id", "99"], minimum=1, whole=False)),
    ("an id that is forbidden", both(["--forbid-config", "5"], ["-config-id", "5"], minimum=1, whole=False)),
    ("history that is gone", both([], ["-from", str(int(time.time()) - 50000)])),
    ("a cursor that is none", both([], ["-cursor", "nonsense"], minimum=1)),
    ("at most 4 pages", both([], ["-max-requests", "4"], minimum=4, whole=False)),
    ("without gzip", both([], ["-identity"])),
    ("full parsing", both([], ["-parse", "full", "-format", "raw"])),
    ("full parsing, recoveries and cut bodies", both(["--fault", "offset-too-old:4", "--fault", "cut-body:3"],
                                                     ["-parse", "full", "-format", "raw"])),
    ("headers that are signed", both(["--headers-to-sign", "Accept,Accept-Encoding"],
                                     ["-headers-to-sign", "accept, Accept-Encoding"])),
]
FAULTS = {
    "cut-body": [["cut-body:3"], ["cut-body:1:1"], ["cut-body:2:7"]],
    "early-close-notify": [["early-close-notify:3"]],
    "fin-no-notify": [["fin-no-notify:3"]],
    "abrupt-close": [["abrupt-close:3"]],
    "stall": [["stall:4:2:30s"]],
    "slow-drip": [["slow-drip:4:2:1s"]],
    "tiny-chunks": [["tiny-chunks:3"]],
    "key-update": [["key-update:2"]],
    "cut-gzip": [["cut-gzip:3"]],
    "bad-gzip": [["bad-gzip:3:4"]],
    "bad-crc": [["bad-crc:3"]],
    "missing-context": [["missing-context:3"]],
    "broken-context": [["broken-context:3"]],
    "wrong-total": [["wrong-total:3"], ["wrong-total:4:3:-2"]],
    "offset-too-old": [["offset-too-old:3"], ["offset-too-old:1:6"], ["offset-too-old:4", "cut-body:3"]],
    "rate-limit": [["rate-limit:4:2:1s"], ["rate-limit:3:5:0"]],
    "error-500": [["error-500:2:5"]],
    "error-503": [["error-503:2:5"]],
    "nonce-used": [["nonce-used:3"], ["nonce-used:1"]],
    "bad-timestamp": [["bad-timestamp:4"], ["bad-timestamp:1"]],
    "html": [["html:4"], ["html:1"]],
    "redirect": [["redirect:4"]],
    "interim": [["interim:2"]],
    "not-http": [["not-http:4"]],
    "long-line": [["long-line:2000::3000000"]],
    "clock-skew": [["clock-skew:1:1:3600s"], ["clock-skew:1:1:-3600s"]],
}
# After these the run ends early.
ENDS = {("nonce-used:1",), ("bad-timestamp:1",), ("html:4",), ("html:1",), ("redirect:4",),
        ("not-http:4",)}


def add_faults():
    for cases in FAULTS.values():
        for case in cases:
            server = [argument for fault in case for argument in ("--fault", fault)]
            client = ["-stall-timeout", "700ms"] if case[0].startswith("stall") else []
            skew = 3600 if case[0].endswith(":3600s") else -3600 if case[0].endswith(":-3600s") else 0
            ends = tuple(case) in ENDS
            # Bad gzip may change an event before the checksum at its end tells.
            whole = not ends and "bad-gzip" not in case[0]
            TESTS.append(("fault " + " and ".join(case), both(server, client, skew, 1 if ends else 9, whole=whole)))


def cursor_is_kept(name):
    """With -state a second run goes on where the first one ended."""

    def test():
        with Simulator(BUILD, "--events", str(EVENTS), "--event-size", "lean", "--config-id", "1") as simulator:
            lines = b""
            for number, more in enumerate((["-max-requests", "3"], ["-max-requests", "2"], [])):
                result = collect(BUILD, simulator, "-config-id", "1", "-limit", LIMIT, "-initial-interval", "11h",
                                 "-state", simulator.path("state"), *more, name=name)
                equal(result.status, 0, f"the exit status of run {number + 1}: {result.stderr[-800:]}")
                lines += result.output
            truth = simulator.stop()["configs"]["1"]
            modes = [request["mode"] for request in simulator.requests()]
            equal(modes, ["time"] + ["offset"] * (len(modes) - 1), "how the three runs asked")
            equal(hashlib.sha256(lines).hexdigest(), truth["sha256"], "the SHA-256 of the events of all three")

    return test


def one_run_at_a_time():
    """Two runs that began at the same cursor would hand on the same events twice."""
    with Simulator(BUILD, "--events", "100", "--event-size", "lean", "--config-id", "1,2") as simulator:
        state = ["-state", simulator.path("state"), "-config-id"]
        first = subprocess.Popen(command_of(BUILD, simulator, simulator.path("out"), simulator.path("events")) +
                                 [*state, "1", "-follow"], stderr=subprocess.DEVNULL, env=environment_of(simulator))
        try:
            deadline = time.monotonic() + 60
            while not any(request["mode"] == "offset" for request in simulator.requests()):
                if time.monotonic() > deadline:
                    raise Failure("the first run asks nothing")
                time.sleep(0.05)
            second = collect(BUILD, simulator, *state, "2,1")
            equal((second.status, "another run has the state of configId 1" in second.stderr), (1, True),
                  f"the second run's end: {second.stderr[-500:]}")
            equal(collect(BUILD, simulator, *state, "2").status, 0, "another configId's exit status")
        finally:
            first.terminate()
            equal(first.wait(timeout=60), 0, "the first run's exit status")
        equal(collect(BUILD, simulator, *state, "1").status, 0, "the exit status of the one after")


def every_fault_is_tried():
    listed = subprocess.run([BUILD + "/akamai-prof", "simulate", "--list-faults"], capture_output=True, check=True)
    names = re.findall(r"^  ([a-z0-9-]+) ", listed.stdout.decode(), re.MULTILINE)
    equal(sorted(names), sorted(FAULTS), "the simulator's faults")


add_faults()
TESTS += [("a cursor that is kept between runs, " + name, cursor_is_kept(name)) for name in (NATIVE, INTERPRETED)]
TESTS.append(("one run at a time has a stream's state", one_run_at_a_time))
TESTS.append(("every fault of the simulator is tried", every_fault_is_tried))

if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
