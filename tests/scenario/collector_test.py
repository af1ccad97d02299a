# SPDX-License-Identifier: Apache-2.0
"""The collector against the simulator: whatever the server does, the events handed on equal its truth, SHA-256 for
SHA-256, none missing, none twice. The events come from a server and through libraries that share no code with the
collector.

usage: collector_test.py BUILD_FOLDER [ONLY]
"""
import json
import re
import signal
import subprocess
import sys
import time

from harness import Failure, Simulator, at_least, collect, command_of, contains, environment_of, equal, lacks, main

BUILD = sys.argv[1]
EVENTS = 9000
LIMIT = 1000


def truth_of(truth, config_id="1"):
    return truth["configs"][config_id]


def drained(server, client, checks=None, events=EVENTS, status=0, **options):
    """Drains a bounded feed and compares with the truth; `checks` look at the result."""

    def run():
        with Simulator(BUILD, "--events", str(events), "--event-size", "lean", "--config-id", "1", *server,
                       plain=options.get("plain", False)) as simulator:
            result = collect(BUILD, simulator, "-config-id", "1", "-limit", str(LIMIT), "-initial-interval", "11h",
                             *client)
            truth = truth_of(simulator.stop())
            if result.status != status:
                raise Failure(f"exit status {result.status}: {result.stderr[-2000:]}")
            equal(result.lines, truth["events"], "the number of events")
            equal(result.digest, truth["sha256"], "the SHA-256 of the events")
            equal(result.stream["events"], truth["events"], "events in run.json")
            equal(result.stream["end_reason"], "drained", "the end")
            lacks(result.stderr, "handed on twice")
            if checks:
                checks(result, simulator)

    return run


def counter(name, low):
    """The counter in run.json is at least `low`: the fault did happen and was seen for what it is."""

    def check(result, _):
        at_least(result.protocol[name], low, f"{name} in run.json")

    return check


def asked_again(result, simulator):
    """The limits of the pages that came incomplete, each with that of its repeat."""
    at_least(result.protocol["truncations"], 1, "truncations")
    asked = [(r["mode"], r.get("offset"), r.get("from"), r["limit"]) for r in simulator.requests()]
    limits = [(before[3], after[3]) for before, after in zip(asked, asked[1:]) if before[:3] == after[:3]]
    at_least(len(limits), 1, "requests that were repeated")
    return limits


def truncated(result, simulator):
    """After a truncated page the same offset is asked for with half the limit."""
    for before, after in asked_again(result, simulator):
        equal(after, before // 2, "the limit of the repeat")


def damaged(result, simulator):
    """After a damaged page the same offset is asked for with the same limit, so that all its lines are proven."""
    for before, after in asked_again(result, simulator):
        equal(after, before, "the limit of the repeat")


def key_updated(result, _):
    at_least(result.stream["tls_key_updates"], 2, "key updates")
    equal(result.protocol["truncations"], 0, "truncations")


def retried_after(result, simulator):
    at_least(result.protocol["rate_limited"], 2, "rate limits")
    at_least(result.protocol["backoff_seconds"], 2.0, "seconds of back-off (Retry-After is 1)")


def recovered_by_time(result, simulator):
    at_least(result.protocol["recoveries"], 2, "recoveries")
    modes = [r["mode"] for r in simulator.requests()]
    at_least(modes.count("time"), 3, "requests by time")


def every_attempt_signed_anew(_, simulator):
    nonces = [r.get("nonce") for r in simulator.requests() if r.get("nonce")]
    equal(len(nonces), len(set(nonces)), "the number of different nonces")


def asked_the_kernel(result, _):
    """Where the kernel has no TLS for sockets, user space does it, and a warning says why."""
    told = result.stderr.count("Records are opened in user space instead")
    for stream in result.record["streams"]:
        equal(stream["tls_mode"], "inplace" if told else "ktls", "who opened the records")
    equal(told, min(told, 1), "the number of warnings")


def did_not_ask_the_kernel(result, _):
    equal(result.stream["tls_mode"], "inplace", "who opened the records")
    lacks(result.stderr, "ktls")


def uses(**wanted):
    def check(result, _):
        for key, value in wanted.items():
            where = result.record["host"] if key in result.record["host"] else result.stream
            equal(where[key], value, key)

    return check


TESTS = []


def test(name, *arguments, **options):
    TESTS.append((name, drained(*arguments, **options)))


# The plain way, through every choice that a user has.
test("drains a feed over TLS", [], [], uses(io="io_uring", tls_mode="inplace", content_encoding="gzip"))
test("by the kernel's TLS, or not without saying so", [], ["-tls", "ktls"], asked_the_kernel)
test("auto says nothing of the kernel", [], ["-tls", "auto"], did_not_ask_the_kernel)
test("drains a feed over plain HTTP", [], [], plain=True)
test("by poll", [], ["-io", "poll"], uses(io="poll"))
test("by plain receives", [], ["-receive", "plain"], uses(receive="plain"))
test("by fixed receives", [], ["-receive", "fixed"], uses(receive="fixed"))
test("by poll over plain HTTP", [], ["-io", "poll"], plain=True)
test("by SSL_read", [], ["-tls", "ssl"], uses(tls_mode="ssl"))
test("by TLS 1.2", ["--tls-versions", "1.2"], [], uses(tls_version="TLSv1.2"))
test("by TLS 1.2 and SSL_read", [], ["-tls-versions", "1.2", "-tls", "ssl"], uses(tls_version="TLSv1.2"))
test("by TLS 1.3 only", [], ["-tls-versions", "1.3"], uses(tls_version="TLSv1.3"))
test("without gzip", [], ["-identity"], uses(content_encoding="identity"))
test("from a server without gzip", ["--no-gzip"], [], uses(content_encoding="identity"))
test("with Content-Length", ["--framing", "length"], [])
test("with bodies that the end of the connection ends", ["--framing", "close"], [])
test("close-delimited and identity", ["--framing", "close", "--no-gzip"], [])
test("gzip of many members", ["--multi-member"], [])
test("blank lines", ["--blank-lines"], [])
test("context with blanks", ["--context-style", "blanks"], [])
test("context with quoted integers", ["--context-style", "quoted"], [])
test("context in another order", ["--context-style", "reordered"], [])
test("one event a page", [], ["-limit", "1"], events=40)
test("with all rights kept, in one process", [], ["-confine", "off"])
test("a page larger than the feed", [], ["-limit", "600000"])
for kernel in ("scalar", "sse2", "avx2", "avx512"):
    if kernel == "scalar" or kernel in open("/proc/cpuinfo", encoding="utf-8").read().replace("avx512bw", "avx512"):
        test(f"scanned by {kernel}", [], ["-scan", kernel], uses(scan=kernel))

# Pages that are not whole: the same offset again, with half the limit unless they are damaged, and nothing twice.
for fault in ("cut-body", "cut-gzip", "bad-crc", "missing-context", "broken-context", "wrong-total",
              "abrupt-close", "early-close-notify", "fin-no-notify"):
    check = damaged if fault == "bad-crc" else truncated
    test(f"fault {fault}", ["--fault", f"{fault}:3"], [], check)
    test(f"fault {fault}, by poll and SSL_read", ["--fault", f"{fault}:4"], ["-io", "poll", "-tls", "ssl"], check)
test("fault cut-body with Content-Length", ["--fault", "cut-body:3", "--framing", "length"], [], truncated)
test("fault cut-body on the first page", ["--fault", "cut-body:1:1"], [], truncated)
test("fault fin-no-notify on close-delimited bodies", ["--fault", "fin-no-notify:3", "--framing", "close"], [],
     truncated)
test("fault cut-body without gzip", ["--fault", "cut-body:2"], ["-identity"], truncated)
test("fault stall", ["--fault", "stall:4:2:30s"], ["-stall-timeout", "700ms"], counter("truncations", 2))

# Answers that are not pages.
test("fault offset-too-old", ["--fault", "offset-too-old:3"], [], recovered_by_time)
test("faults offset-too-old and cut-body", ["--fault", "offset-too-old:4", "--fault", "cut-body:3"], [],
     recovered_by_time)
test("fault rate-limit", ["--fault", "rate-limit:4:2:1s"], [], retried_after)
test("fault error-500", ["--fault", "error-500:2:5"], [], counter("server_errors", 5))
test("fault error-503", ["--fault", "error-503:2:5"], [], counter("server_errors", 5))
test("fault nonce-used", ["--fault", "nonce-used:3"], [], every_attempt_signed_anew)
test("fault bad-timestamp", ["--fault", "bad-timestamp:4"], [], every_attempt_signed_anew)
test("fault clock-skew", ["--fault", "clock-skew:1:1:3600s"], [], counter("clock_corrections", 1))
test("fault interim", ["--fault", "interim:2"], [])

# Hard work, but whole pages.
test("fault slow-drip", ["--fault", "slow-drip:4:2:1s"], [])
test("fault tiny-chunks", ["--fault", "tiny-chunks:3"], [])
test("fault key-update", ["--fault", "key-update:2"], [], key_updated)
test("fault key-update, by SSL_read", ["--fault", "key-update:2"], ["-tls", "ssl"])
test("fault long-line", ["--fault", "long-line:2000::3000000"], [])
test("faults long-line and cut-body", ["--fault", "long-line:2000::3000000", "--fault", "cut-body:3"], [], truncated)


def several_config_ids():
    with Simulator(BUILD, "--events", "4000", "--event-size", "lean", "--config-id", "1,2,3") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1,2,3", "-limit", "700", "-initial-interval", "11h")
        truth = simulator.stop()
        equal(result.status, 0, "the exit status")
        equal(result.lines, 12000, "the number of events")
        for stream in result.record["streams"]:
            equal(stream["events"], truth_of(truth, stream["config_id"])["events"], "events of " + stream["config_id"])


TESTS.append(("three configIds at once", several_config_ids))


def message_format():
    with Simulator(BUILD, "--events", "2000", "--event-size", "full", "--config-id", "1") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-limit", "600", "-initial-interval", "11h", "-format",
                         "message")
        raw = collect(BUILD, simulator, "-config-id", "1", "-limit", "600", "-initial-interval", "11h")
        equal(result.status, 0, "the exit status")
        messages = [json.loads(line)["message"] for line in result.output.splitlines()]
        equal(messages, raw.output.decode().splitlines(), "the messages")
        equal(len(messages), 2000, "the number of messages")


TESTS.append(("{\"message\": ...} holds the raw lines", message_format))


def stdout_sink():
    with Simulator(BUILD, "--events", "3000", "--event-size", "lean", "--config-id", "1") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-initial-interval", "11h", "-sink", "stdout", sink=False)
        truth = truth_of(simulator.stop())
        equal(result.status, 0, "the exit status")
        result.output = result.stdout
        equal(result.digest, truth["sha256"], "the SHA-256 of stdout")


TESTS.append(("stdout carries the events and nothing else", stdout_sink))


def closing_lines():
    with Simulator(BUILD, "--events", "3000", "--event-size", "lean", "--config-id", "1") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-initial-interval", "11h", "-json", sink=False)
        last = result.stderr.splitlines()[-2:]
        if not re.fullmatch(r'akamai_siem requests=\d+ events=3000 cursor="[^"]+" last_event_unix=\d{10}', last[0]):
            raise Failure(f"the program's line is {last[0]!r}")
        if not re.fullmatch(r"done elapsed=[0-9.hmµs]+ events=3000 eps=\d+\.\d\d out=\S+", last[1]):
            raise Failure(f"the last line is {last[1]!r}")
        equal(json.loads(result.stdout), result.record, "--json")
        cursor = re.search(r'cursor="([^"]+)"', last[0]).group(1)
        # The cursor is where a next run goes on: nothing is left there.
        again = collect(BUILD, simulator, "-config-id", "1", "-cursor", cursor)
        equal((again.status, again.lines), (0, 0), "a run from the cursor")


TESTS.append(("closing lines, --json and the cursor", closing_lines))


def variables():
    """All fifteen YAEGI_HTTP_* variables reach the requests."""
    with Simulator(BUILD, "--events", "5000", "--event-size", "lean", "--config-id", "7;8") as simulator:
        secrets = dict(line.split(" = ", 1) if " = " in line else line.split("=", 1)
                       for line in simulator.read("edgerc").splitlines() if "=" in line)
        secrets = {key.strip(): value.strip() for key, value in secrets.items()}
        start = int(time.time()) - 40000
        environment = {
            "YAEGI_HTTP_URL": simulator.url + "/", "YAEGI_HTTP_CONFIG_ID": "7;8", "YAEGI_HTTP_LIMIT": "123",
            "YAEGI_HTTP_CLIENT_TOKEN": secrets["client_token"], "YAEGI_HTTP_CLIENT_SECRET": secrets["client_secret"],
            "YAEGI_HTTP_ACCESS_TOKEN": secrets["access_token"], "YAEGI_HTTP_FROM": str(start),
            "YAEGI_HTTP_INITIAL_INTERVAL": "2h", "YAEGI_HTTP_POLL_TIMEOUT": "50s", "YAEGI_HTTP_MAX_REQUESTS": "4",
            "YAEGI_HTTP_POLL_INTERVAL": "100ms", "YAEGI_HTTP_OFFSET_TTL": "1m", "YAEGI_HTTP_TO_LAG": "30s",
            "YAEGI_HTTP_HEADERS_TO_SIGN": "", "YAEGI_HTTP_CURSOR": "",
        }
        result = collect(BUILD, simulator, "-no-profile", "-ca-file", simulator.ca_file, environment=environment,
                         defaults=False)
        equal(result.status, 0, "the exit status: " + result.stderr[-800:])
        equal(result.stream["end_reason"], "max-requests", "the end")
        asked = simulator.requests()
        equal(len(asked), 4, "the number of requests")
        equal((asked[0]["mode"], int(asked[0]["from"])), ("time", start), "the first request")
        at_least(int(time.time()) - 29, int(asked[0]["to"]), "now less TO_LAG")
        equal([int(r["limit"]) for r in asked], [123] * 4, "the limits")
        cursor = result.stream["cursor"]
        environment.update({"YAEGI_HTTP_CURSOR": cursor, "YAEGI_HTTP_MAX_REQUESTS": "1"})
        collect(BUILD, simulator, "-no-profile", "-ca-file", simulator.ca_file, environment=environment,
                defaults=False)
        last = simulator.requests()[-1]
        equal((last["mode"], last["offset"]), ("offset", cursor), "the request from CURSOR")


TESTS.append(("the fifteen YAEGI_HTTP variables", variables))


def signed_headers():
    with Simulator(BUILD, "--events", "100", "--event-size", "lean", "--config-id", "1") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-initial-interval", "11h", "-headers-to-sign",
                         "X-Not-Sent")
        equal((result.status, result.lines), (0, 100), "headers that are not sent are not signed")


TESTS.append(("headers to sign", signed_headers))


def interrupted(number, sink_arguments=()):
    def run():
        with Simulator(BUILD, "--event-size", "lean", "--config-id", "1", "--pace", "20000") as simulator:
            out = simulator.path("out")
            output = out + ".ndjson"
            command = command_of(BUILD, simulator, out, output) + ["-config-id", "1", "-limit", "2000", *sink_arguments]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment_of(simulator))
            time.sleep(2)
            process.send_signal(number)
            stderr = process.communicate(timeout=30)[1].decode()
            equal(process.returncode, 0, "the exit status")
            contains(stderr, "done elapsed=")
            contains(stderr, "stopped by a signal")
            with open(output, "rb") as file:
                lines = file.read().count(b"\n")
            with open(out + "/run.json", encoding="utf-8") as file:
                record = json.load(file)
            equal(record["totals"]["events"], lines, "events in run.json and in the file")
            at_least(lines, 2000, "events")

    return run


TESTS.append(("SIGINT ends with the summary", interrupted(signal.SIGINT)))
TESTS.append(("SIGTERM ends with the summary", interrupted(signal.SIGTERM)))


def follows():
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "1", "--rate", "200", "--backlog", "20s") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-limit", "1000", "-initial-interval", "1m", "-follow",
                         "-poll-interval", "300ms", "-duration", "6s")
        equal(result.status, 0, "the exit status: " + result.stderr[-800:])
        at_least(result.lines, 3200, "events: 15 s of backlog and some seconds of new ones at 200/s")
        equal(len(set(result.output.splitlines())), result.lines, "the number of different lines")


TESTS.append(("-follow waits for new events", follows))

if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
