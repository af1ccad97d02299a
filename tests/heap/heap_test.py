# SPDX-License-Identifier: Apache-2.0
"""After the start nothing of ours is allocated on the heap: a run of many pages asks the heap for exactly as much as
a run of few, by anybody in the process. Also over TLS, where requests and answers go through our own record layer;
with SSL_read and SSL_write each record would cost at least a call, which shows that the counter counts. A handshake's
allocations are counted and bounded.

usage: heap_test.py BUILD_FOLDER COUNTER_LIBRARY
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import Failure, Simulator, collect, equal, main  # noqa: E402

BUILD = sys.argv[1]
COUNTER = sys.argv[2]
FEW, MANY = 5, 45
HANDSHAKE_ALLOCATIONS_MAX = 1500
HANDSHAKE_BYTES_MAX = 400_000
HANDSHAKE_CALLS_NOISE = 4  # numbers with leading zeros make two handshakes differ
SAMPLE_CALLS_MAX = 20  # what one sample more in run.json costs: half of what one call for each further page would
TRIES_MAX = 5


def allocations(simulator, pages, *arguments, name="akamai-direct-prof", streams=1):
    """(calls, bytes) that a run of so many pages of 300 events for each stream asks of the heap, and the samples in its
    run.json."""
    report = simulator.path("allocations")
    environment = {"LD_PRELOAD": COUNTER, "COUNT_ALLOCATIONS": report}
    # Not confined: the counter writes its file at the end, which a collector that gave up its rights could not; and
    # so there is one process.
    config_ids = ",".join(str(number + 1) for number in range(streams))
    result = collect(BUILD, simulator, "-config-id", config_ids, "-limit", "300", "-max-requests", str(pages), "-quiet",
                     "-confine", "off", "-initial-interval", "11h", *arguments, environment=environment, name=name)
    equal(result.status, 0, "the exit status")
    for stream in result.record["streams"]:
        equal((stream["protocol"]["requests"], stream["connections"]), (pages, 1), "pages and connections of a stream")
    calls, size = (int(word) for word in simulator.read("allocations").split())
    return calls, size, len(result.record["throughput"])


def pages_cost(plain, *arguments, server_arguments=(), **options):
    def run():
        streams = options.get("streams", 1)
        server = ("--events", "20000", "--event-size", "lean", "--config-id",
                  ",".join(str(number + 1) for number in range(streams)), *server_arguments)
        with Simulator(BUILD, *server, plain=plain) as simulator:
            allocations(simulator, FEW, *arguments, **options)
            for _ in range(TRIES_MAX):
                few = allocations(simulator, FEW, *arguments, **options)
                many = allocations(simulator, MANY, *arguments, **options)
                # run.json gets a sample a second, so a run on a busy machine may hold one more.
                samples = many[2] - few[2]
                if 0 <= samples <= 1:
                    break
            print(f"# {FEW} pages: {few[0]} calls, {few[1]} bytes; {MANY} pages: {many[0]} calls, {many[1]} bytes, "
                  f"{samples} samples more in run.json")
            calls = many[0] - few[0]
            noise = (0 if plain else HANDSHAKE_CALLS_NOISE * streams) + SAMPLE_CALLS_MAX * samples
            if not 0 <= samples <= 1 or abs(calls) > noise:
                raise Failure(f"{MANY - FEW} further pages take {calls} heap calls, wanted none")

    return run


def counter_counts():
    """Of a way that is known to use the heap for each record."""
    server = ("--events", "20000", "--event-size", "lean", "--config-id", "1")
    with Simulator(BUILD, *server) as simulator:
        few = allocations(simulator, FEW, "-tls", "ssl")
        many = allocations(simulator, MANY, "-tls", "ssl")
    print(f"# {MANY - FEW} further pages take {many[0] - few[0]} heap calls")
    if many[0] - few[0] < 2 * (MANY - FEW):  # a request and at least one record of the answer
        raise Failure("SSL_read and SSL_write used the heap less than they must")


def handshake():
    with Simulator(BUILD, "--events", "2000", "--event-size", "lean", "--config-id", "1") as simulator:
        over_tls = allocations(simulator, 1)
    with Simulator(BUILD, "--events", "2000", "--event-size", "lean", "--config-id", "1", plain=True) as simulator:
        over_tcp = allocations(simulator, 1)
    calls, size = over_tls[0] - over_tcp[0], over_tls[1] - over_tcp[1]
    print(f"# TLS costs {calls} heap calls and {size} bytes: trust anchors, handshake, one request")
    if calls > HANDSHAKE_ALLOCATIONS_MAX or size > HANDSHAKE_BYTES_MAX:
        raise Failure(f"{calls} calls, {size} bytes")


TESTS = [
    ("no heap per page over plain HTTP", pages_cost(True)),
    ("no heap per page by poll", pages_cost(True, "-io", "poll")),
    ("no heap per page without gzip", pages_cost(True, "-identity")),
    ("no heap per page over TLS 1.3", pages_cost(False)),
    ("no heap per page over TLS 1.2", pages_cost(False, server_arguments=("--tls-versions", "1.2"))),
    ("no heap per page over TLS by poll", pages_cost(False, "-io", "poll")),
    ("no heap per page with several streams on one worker", pages_cost(False, "-workers", "1", streams=4)),
    ("no heap per page with several workers", pages_cost(False, "-workers", "2", streams=4)),
    ("no heap per page when a program decides", pages_cost(False, name="akamai-prof")),
    ("no heap per page or event in full parsing", pages_cost(False, "-parse", "full")),
    ("no heap per page or event when a program gets every event", pages_cost(False, "-parse", "full",
                                                                            name="akamai-prof")),
    ("SSL_read and SSL_write use the heap for each record, and are counted", counter_counts),
    ("the handshake is bounded", handshake),
]

if __name__ == "__main__":
    main(TESTS)
