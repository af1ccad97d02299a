# SPDX-License-Identifier: Apache-2.0
"""End to end with each decoder, one stream and several on one core: the collector against the simulator over TLS on
loopback, beside the in-memory limit of the same decoder.

usage: end_to_end.py BUILD_FOLDER [--rounds N] [--seconds S] [--streams 1,2,4,16] [--inflate own,isal] [--size full]
                     [--out FOLDER] [--quick]

A worker on one core has all streams; the servers, one for each number of streams, so that each has as many different
events, have other cores. A round runs every number of streams with every decoder, and before that on the collector's
core the in-memory limits (flow_bench: same decoder, CRC, scanner and page logic, no I/O; for several streams that of
two pages that are decoded at once). Medians of rounds are printed: CPU-seconds for a million events, so many times the
last decoder's (x) and so many times one stream's, what decoding in memory takes and how much of that limit is reached,
events a second, the collector's largest resident size and what a further stream adds to it, and how much was decoded
in one loop with another stream. One JSON object a line, then a table; --out also leaves end_to_end.json and
end_to_end.md.
"""
import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

from flow import Simulator, collect, in_memory

LIMIT = 10000  # a run with many streams has whole pages of each
IN_MEMORY_SHARE = 0.4  # of a run's seconds
HEADS = ["inflate", "streams", "CPU-s/M", "x", "to one", "in memory", "share", "events/s", "RSS MB", "MB each",
         "in pairs", "server CPU-s/M"]


def config_ids(streams):
    return ",".join(str(i + 1) for i in range(streams))


def engines_of(build, wanted):
    """Those that this build has; an older one had others."""
    text = subprocess.run([os.path.join(build, "akamai-direct-prof"), "-help"], check=True, capture_output=True,
                          text=True).stdout
    found = re.search(r"^\s*-inflate ([a-z0-9|-]+)", text, re.M)
    if not found:
        sys.exit("end_to_end.py: the collector's -help does not tell what -inflate takes")
    offered = found.group(1).split("|")
    return [name for name in wanted if name in offered]


class Servers(contextlib.ExitStack):
    """A server for each number of streams, and two of its pages in files."""

    def __init__(self, build, counts, size):
        super().__init__()
        self.simulators, self.pages = {}, []
        with contextlib.ExitStack() as opened:  # those that are there are ended when another fails
            for count in counts:
                folder = opened.enter_context(tempfile.TemporaryDirectory())
                simulator = Simulator(build, folder, size, ["--config-id", config_ids(max(2, count))])
                opened.callback(simulator.stop)
                self.simulators[count] = simulator
            first = self.simulators[counts[0]]
            for config_id in ("1", "2"):
                self.pages.append(os.path.join(first.folder, f"page{config_id}.gz"))
                first.fetch_page(self.pages[-1], config_id, LIMIT)
            self.push(opened.pop_all())


def figures_of(build, simulator, streams, seconds, engine, limit):
    before = simulator.cpu_seconds()
    record = collect(build, simulator, seconds, ["-no-profile", "-workers", "1", "-inflate", engine],
                     config_ids(streams), LIMIT)
    totals, used = record["totals"], record["host"]["inflate"]
    if not used.startswith(engine):
        sys.exit(f"end_to_end.py: -inflate {engine} became {used}")
    per_million = totals["cpu_seconds"] * 1e6 / totals["events"]
    return {
        "cpu_seconds_per_million": per_million,
        "in_memory_cpu_seconds_per_million": limit,
        "share_of_in_memory_limit": limit / per_million,
        "events_per_second": totals["events_per_second"],
        "cpu_share": totals["cpu_seconds"] / totals["elapsed_seconds"],
        "rss_mb": totals["rss_bytes_max"] / 1e6,
        "paired_share": sum(stream["paired_plain_bytes"] for stream in record["streams"]) / totals["plain_bytes"],
        "server_cpu_seconds_per_million": (simulator.cpu_seconds() - before) * 1e6 / totals["events"],
    }


def one_round(build, servers, options, rows):
    limits = {(engine, count): in_memory(build, servers.pages[:count], options.seconds * IN_MEMORY_SHARE, engine)
              ["cpu_seconds_per_million"] for count in (1, 2) for engine in options.inflate}
    for count, simulator in servers.simulators.items():
        for engine in options.inflate:
            rows[engine, count].append(figures_of(build, simulator, count, options.seconds, engine,
                                                  limits[engine, min(count, 2)]))


def median_of(function, row, beside):
    """Over rounds, of something of a round's figures and of others in the same round; None: nothing to compare with."""
    return round(statistics.median(function(one, other) for one, other in zip(row, beside)), 4) if beside else None


def results_of(rows, options):
    def cpu_ratio(one, other):
        return one["cpu_seconds_per_million"] / other["cpu_seconds_per_million"]
    results = []
    for (engine, count), row in rows.items():
        alone = rows.get((engine, 1)) if count > 1 else None
        result = {"bench": "end_to_end", "event_size": options.size, "inflate": engine, "streams": count,
                  "rounds": len(row), "seconds": options.seconds}
        result.update({key: round(statistics.median(r[key] for r in row), 4) for key in row[0]})
        result["times_the_last"] = median_of(cpu_ratio, row, rows[options.inflate[-1], count])
        result["times_one_stream"] = median_of(cpu_ratio, row, alone)
        result["further_stream_mb"] = median_of(
            lambda one, other, further=count - 1: (one["rss_mb"] - other["rss_mb"]) / further, row, alone)
        results.append(result)
    return results


def cells_of(row):
    def shown(name, digits):
        return "-" if row[name] is None else f"{row[name]:,.{digits}f}"
    return [row["inflate"], str(row["streams"]), shown("cpu_seconds_per_million", 3), shown("times_the_last", 3),
            shown("times_one_stream", 3), shown("in_memory_cpu_seconds_per_million", 3),
            shown("share_of_in_memory_limit", 3), shown("events_per_second", 0), shown("rss_mb", 1),
            shown("further_stream_mb", 2), f"{row['paired_share']:.0%}", shown("server_cpu_seconds_per_million", 3)]


def text(results):
    rows = [HEADS] + [cells_of(row) for row in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return "".join("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                             for column, (cell, width) in enumerate(zip(row, widths))) + "\n" for row in rows)


def markdown(results):
    lines = ["| " + " | ".join(HEADS) + " |", "|---" + "|---:" * (len(HEADS) - 1) + "|"]
    lines += ["| " + " | ".join(cells_of(row)) + " |" for row in results]
    return "\n".join(lines) + "\n"


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage:", 1)[1].split("\n\n", 1)[0].strip())
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--streams", default="1,2,4,16")
    parser.add_argument("--inflate", default="own,isal")
    parser.add_argument("--size", choices=["full", "lean"], default="full")
    parser.add_argument("--out")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 3)
    options.streams = [int(word) for word in options.streams.split(",")]
    options.inflate = engines_of(options.build, options.inflate.split(","))
    return options


def main():
    options = arguments()
    rows = {(engine, count): [] for engine in options.inflate for count in options.streams}
    with Servers(options.build, options.streams, options.size) as servers:
        for _ in range(options.rounds):
            one_round(options.build, servers, options, rows)
    results = results_of(rows, options)
    lines = "".join(json.dumps(result) + "\n" for result in results)
    print(lines + "\n" + text(results), end="")
    for name, content in [("end_to_end.json", lines), ("end_to_end.md", markdown(results))] if options.out else []:
        with open(os.path.join(options.out, name), "w", encoding="utf-8") as file:
            file.write(content)


if __name__ == "__main__":
    main()
