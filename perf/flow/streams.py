# SPDX-License-Identifier: Apache-2.0
"""Many streams at once, paced as the API's service: the collector against the simulator over TLS on loopback.

usage: streams.py BUILD_FOLDER [ROUNDS] [SECONDS]

The server gives each stream 13,500 events/s, so N streams give N times as many until something is full; printed is what
came, what it cost, and at which figure one core would be full. (As fast as it goes: end_to_end.py.) Server and
collector are pinned to different cores; medians of rounds, whose variants follow each other, so that the machine's mood
hits all. One JSON object a line, then tables.
"""
import json
import os
import statistics
import sys
import tempfile

from end_to_end import config_ids
from flow import Simulator, collect

PACE = 13500
LIMIT = 10000  # a page takes less than a second at that pace
PACED = [1, 2, 4, 8, 16, 32]


class Server(Simulator):
    """With so many configIds; pinned to the last core, as its parent class has it."""

    def __init__(self, build, folder, streams):
        super().__init__(build, folder, "full", ["--config-id", config_ids(streams), "--pace", str(PACE)])


def figures_of(build, server, streams, seconds, extra, cores):
    before = server.cpu_seconds()
    record = collect(build, server, seconds, ["-no-profile"] + extra, config_ids(streams), LIMIT, cores)
    totals = record["totals"]
    per_million = totals["cpu_seconds"] * 1e6 / totals["events"]
    return {
        "events_per_second": totals["events_per_second"],
        "cpu_seconds_per_million": per_million,
        "cpu_share": totals["cpu_seconds"] / totals["elapsed_seconds"],
        "rss_mb": totals["rss_bytes_max"] / 1e6,
        "server_cpu_share": (server.cpu_seconds() - before) / totals["elapsed_seconds"],
        "workers": record["host"]["workers"],
    }


def measure(build, kind, rounds, seconds, extra, cores):
    rows = {count: [] for count in PACED}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(build, folder, max(PACED))
        try:
            for _ in range(rounds):
                for count in PACED:
                    rows[count].append(figures_of(build, server, count, seconds, extra, cores))
        finally:
            server.stop()
    results = []
    for count, row in rows.items():
        result = {"bench": "streams", "kind": kind, "streams": count, "rounds": rounds}
        result.update({key: round(statistics.median(r[key] for r in row), 4) for key in row[0]})
        results.append(result)
        print(json.dumps(result), flush=True)
    return results


def paced_table(title, rows):
    print(f"\n{title}\n{'streams':>7} {'wanted/s':>10} {'events/s':>10} {'share':>6} {'CPU':>6} {'CPU-s/M':>8} "
          f"{'one core full at':>17} {'streams':>8} {'RSS MB':>7} {'server CPU':>11}")
    for row in rows:
        wanted, full = row["streams"] * PACE, 1e6 / row["cpu_seconds_per_million"]
        print(f"{row['streams']:7} {wanted:10} {row['events_per_second']:10.0f} "
              f"{row['events_per_second'] / wanted:6.3f} {row['cpu_share']:6.3f} "
              f"{row['cpu_seconds_per_million']:8.3f} {full:17.0f} {full / PACE:8.1f} {row['rss_mb']:7.1f} "
              f"{row['server_cpu_share']:11.3f}")


def main():
    build = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    one = measure(build, "paced, one worker", rounds, seconds, ["-workers", "1"], {0})
    many = measure(build, "paced, a worker a core", rounds, seconds, [], os.sched_getaffinity(0))
    paced_table("13,500 events/s for each stream, one worker on one core", one)
    paced_table(f"the same, {many[-1]['workers']:.0f} workers on all cores, which the server shares", many)


if __name__ == "__main__":
    main()
