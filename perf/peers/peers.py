#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The collector beside what people use today, in one run: over TLS from the same simulator, on one core.

usage: peers.py BUILD_FOLDER [--quick] [--rounds N] [--seconds S] [--sizes full,lean] [--streams 1,2,4,16]
                [--only PART] [--out FOLDER]
       peers.py BUILD_FOLDER --check     every client once over two small pages, checked against the truth, as TAP

Server and client are pinned to different cores. Before anything is timed each client must read a small feed right: its
lines have the SHA-256 that the simulator says. Timed runs must deliver as many events as the server logged. Rounds go
through all clients in turns, forth and back; those for which a page takes longer than a run is to take have fewer.
Clients that read one stream only take no part in groups of several. Medians are printed, and written to FOLDER
(default BUILD_FOLDER/peers) as peers.json, peers.md and peers.svg. What is not installed is left out, and said.
"""
import argparse
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import types
import xml.etree.ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chart  # noqa: E402 (found by the line above)
import measure  # noqa: E402
import table  # noqa: E402
from clients import Absent, Job, Workshop, everyone, liars  # noqa: E402
from feed import Feed, busy_share, core_sets, digest_of, versions  # noqa: E402
from flow import in_memory  # noqa: E402 (found where feed finds it)

CHECK_EVENTS, CHECK_LIMIT, CHECK_STREAMS = 1000, 500, 2
LIMIT_ONE, LIMIT_LEAST = 60000, 10000  # streams share a page's size, so that slow clients end in time as well
PAGES_MAX = 400  # all are signed before curl starts, and a signature is good for half a minute
RUN_SECONDS_MAX = 180
CALIBRATION_SHARE = 0.3  # a run this long (of the wanted time) tells the speed well enough
BUSY = 0.9


class Broken(Exception):
    """A client lost, invented or changed events, or failed."""


def run_once(client, workshop, job, cores, printing=False):
    """-> (used, events or bytes as the client has it, what the server says it sent)."""
    commands = client.commands(workshop, job, printing)  # may ask the server itself: before the log's position
    position, server_cpu = job.feed.log_position(), job.feed.cpu_seconds()
    used = measure.run(commands, workshop.folder, cores, workshop.environment, RUN_SECONDS_MAX)
    if used.failure:
        job.feed.settle()
        raise Broken(used.failure)
    used.server_cpu_seconds = job.feed.cpu_seconds() - server_cpu
    sent = job.feed.sent_since(position, job.requests)
    count = sent["events"] if printing and client.decodes else client.events(workshop, job, used)
    wanted = sent["events" if client.decodes else "bytes"]
    if count != wanted:
        raise Broken(f"it read {count} of {wanted} {'events' if client.decodes else 'bytes'}")
    used.events = sent["events"]
    return used


def check(client, workshop, feed, truth, cores):
    """Both streams by number, the first by content. What was compared, as text."""
    why = client.missing(workshop)
    if why:
        raise Absent(why)
    pages = CHECK_EVENTS // CHECK_LIMIT
    used = run_once(client, workshop, Job(feed, pages, CHECK_LIMIT), cores)
    wanted = CHECK_EVENTS * feed.streams
    if used.events != wanted:
        raise Broken(f"the server sent {used.events} events, {wanted} are there")
    job = Job(feed.only(1), pages, CHECK_LIMIT)
    used = run_once(client, workshop, job, cores, printing=True)
    lines = client.lines(job, used) if client.decodes else None
    if lines is None:
        return f"{wanted} events by number"
    if len(lines) != CHECK_EVENTS or digest_of(lines) != truth:
        raise Broken(f"{len(lines)} lines with SHA-256 {digest_of(lines)}, wanted {CHECK_EVENTS} with {truth}")
    return f"{wanted} events by number, {len(lines)} by SHA-256"


def check_all(clients, workshop, cores, report):
    """-> (good clients, {name: why not}, whether one is broken). report(number, client, state, text)."""
    good, absent, broken = [], {}, False
    client_cores, server_cores = cores
    with tempfile.TemporaryDirectory(prefix="akamai-prof-peers-") as folder:
        arguments = ("--events", str(CHECK_EVENTS))
        with Feed(workshop.build, folder, CHECK_STREAMS, "full", server_cores, *arguments) as feed:
            truth = digest_of([line for page in feed.walk("1", CHECK_LIMIT, 2) for line in page[2]])
            for number, client in enumerate(clients, 1):
                try:
                    report(number, client, "ok", check(client, workshop, feed, truth, client_cores))
                    good.append(client)
                except Absent as why:
                    absent[client.name] = str(why)
                    report(number, client, "skip", str(why))
                except (Broken, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as why:
                    broken = True
                    absent[client.name] = f"failed: {why}"
                    report(number, client, "broken", str(why))
            said = feed.stop()["configs"]["1"]["sha256"]
            if said != truth:
                raise Broken(f"the simulator's truth is {said}, its pages have {truth}")
    return good, absent, broken


class Tap:
    """Reports as TAP; of a liar it is good to be found broken."""

    def __init__(self, honest):
        self.honest = honest
        self.failed = False

    def report(self, number, client, state, text):
        text = " ".join(text.split())
        name, good = client.name, state != "broken"
        if number > self.honest:
            name, good = f"{name} is noticed", state != "ok"
        self.failed = self.failed or not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}" + (f" # SKIP {text}" if state == "skip" else ""))
        if state != "skip":
            print(f"# {text}", flush=True)


def report_line(_, client, state, text):
    print(f"  {state:6} {client.name:36} {' '.join(text.split())}", flush=True)


def check_only(clients, workshop, cores):
    tap = Tap(len(clients))
    everybody = clients + liars()
    print(f"1..{len(everybody) + 1}", flush=True)
    check_all(everybody, workshop, cores, tap.report)
    whole = drawn_whole(clients, cores)
    print(f"{'ok' if whole else 'not ok'} {len(everybody) + 1} - table and chart hold every client", flush=True)
    return 1 if tap.failed or not whole else 0


def drawn_whole(clients, cores):
    """Whether made-up figures come out: the tables with every name, the chart as XML with every bar that it has to
    show inside its width."""
    feed = types.SimpleNamespace(streams=1)  # of which only this is looked at
    used = types.SimpleNamespace(cpu_seconds=2.0, wall_seconds=4.0, events=10**6, server_cpu_seconds=1.0,
                                 rss_bytes=10**6)
    figures = figures_of(used, feed, cores[1], {"cpu_seconds_per_million": 1.5})
    rows = [summary_of(client, 1, [figures, figures], None) for client in clients]
    group = {"event_size": "lean", "streams": 1, "limit": LIMIT_ONE, "bytes_per_event": 950, "gzip_ratio": 7,
             "in_memory_cpu_seconds_per_million": 1.5, "failed": {}, "rows": rows}
    several = {**group, "streams": 4, "rows": [row for row, client in zip(rows, clients) if not client.single]}
    results = {"machine": machine(cores), "rounds": 2, "seconds": 1, "absent": {}, "groups": [group, several]}
    texts = [table.text(results, group), table.overview_text(results), table.markdown(results).replace("\\|", "|")]
    root = xml.etree.ElementTree.fromstring(chart.draw(results))
    bars = [float(bar.get("x")) + float(bar.get("width")) for bar in root.iter("{http://www.w3.org/2000/svg}rect")
            if bar.get("x")]
    return (all(client.name in text for client in clients for text in texts)
            and len(bars) == len(chart.shown(results, group)) > len(clients) / 2 and max(bars) < chart.WIDTH)


def pages_for(client, workshop, feed, limit, seconds, cores):
    """-> (so many pages a stream that a run takes about so many seconds, a job, what it came to)."""
    pages = 1
    while True:
        job = Job(feed, pages, limit)
        used = run_once(client, workshop, job, cores)
        if used.wall_seconds >= CALIBRATION_SHARE * seconds or pages >= PAGES_MAX:
            return min(PAGES_MAX, math.ceil(pages * seconds / used.wall_seconds)), job, used
        pages = min(PAGES_MAX, pages * 4)


def turns_of(rounds, seconds, expected_seconds):
    """In how many rounds a client takes part whose run will take so long."""
    return max(1, min(rounds, round(rounds * seconds / expected_seconds)))


def figures_of(used, feed, server_cores, limit_figures):
    per_million = used.cpu_seconds * 1e6 / used.events
    return {
        "events_per_second": used.events / used.wall_seconds,
        "cpu_seconds_per_million": per_million,
        "share_of_in_memory_limit": limit_figures["cpu_seconds_per_million"] / per_million,
        "rss_bytes": used.rss_bytes,
        "client_busy": used.cpu_seconds / used.wall_seconds,
        # A connection is served by one thread.
        "server_busy": used.server_cpu_seconds / used.wall_seconds / min(feed.streams, len(server_cores)),
    }


def summary_of(client, pages, runs, allocated):
    row = {"client": client.name, "family": client.family, "decodes": client.decodes, "pages_per_stream": pages,
           "rounds": len(runs), "allocated_bytes_per_event": allocated}
    row.update({name: statistics.median(run[name] for run in runs) for name in runs[0]})
    row["server_is_limit"] = row["server_busy"] > BUSY and row["client_busy"] < BUSY
    row["runs"] = runs
    return row


class Group:
    """All clients over one feed: one size of events, one number of streams."""

    def __init__(self, options, workshop, cores, size, streams):
        self.options, self.workshop, self.cores = options, workshop, cores
        self.size, self.streams = size, streams
        self.limit = max(LIMIT_LEAST, LIMIT_ONE // streams)
        self.failed = {}
        self.pages, self.turns, self.runs, self.allocated = {}, {}, {}, {}
        self.in_memory = []

    def guarded(self, client, function):
        try:
            return function()
        except (Broken, Absent, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as why:
            self.failed[client.name] = str(why)
            print(f"  {client.name} failed: {why}", flush=True)
            return None

    def prepare(self, client, feed):
        def prepared():
            pages, job, used = pages_for(client, self.workshop, feed, self.limit, self.options.seconds, self.cores[0])
            # Counting takes runs of its own, and with numbers of streams in between it would come to the same.
            counted = self.streams in (self.options.streams[0], self.options.streams[-1])
            self.allocated[client.name] = (client.allocated_bytes(self.workshop, job, used, self.cores[0])
                                           if counted else None)
            self.pages[client.name], self.runs[client.name] = pages, []
            expected = used.wall_seconds * pages / job.pages
            self.turns[client.name] = turns_of(self.options.rounds, self.options.seconds, expected)
        self.guarded(client, prepared)

    def round(self, number, clients, feed, pages):
        limit_figures = in_memory(self.workshop.build, pages, self.options.seconds / 2, cores=self.cores[0])
        self.in_memory.append(limit_figures)
        for client in clients:
            if client.name in self.failed or number >= self.turns[client.name]:
                continue
            job = Job(feed, self.pages[client.name], self.limit)
            used = self.guarded(client, lambda c=client, j=job: run_once(c, self.workshop, j, self.cores[0]))
            if used is not None:
                self.runs[client.name].append(figures_of(used, feed, self.cores[1], limit_figures))

    def measure(self, clients):
        with tempfile.TemporaryDirectory(prefix="akamai-prof-peers-") as folder:
            with Feed(self.workshop.build, folder, self.streams, self.size, self.cores[1]) as feed:
                pages = []
                for config_id in feed.config_ids[:2]:
                    pages.append(os.path.join(folder, f"page-{config_id}.gz"))
                    with open(pages[-1], "wb") as file:
                        file.write(feed.walk(config_id, self.limit, 1)[0][1])
                for client in clients:
                    self.prepare(client, feed)
                for number in range(self.options.rounds):
                    self.round(number, clients if number % 2 == 0 else clients[::-1], feed, pages)
                    print(f"  round {number + 1} of {self.options.rounds}", flush=True)

        def of_limit(name):
            return statistics.median(figures[name] for figures in self.in_memory)
        rows = [summary_of(client, self.pages[client.name], self.runs[client.name], self.allocated[client.name])
                for client in clients if client.name not in self.failed]
        return {"event_size": self.size, "streams": self.streams, "limit": self.limit,
                "bytes_per_event": of_limit("plain_bytes_per_event"), "gzip_ratio": of_limit("ratio"),
                "in_memory_cpu_seconds_per_million": of_limit("cpu_seconds_per_million"),
                "failed": self.failed,
                "rows": sorted(rows, key=lambda row: (not row["decodes"], row["cpu_seconds_per_million"]))}


def machine(cores):
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    system = platform.system()
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("PRETTY_NAME="):
                system = line.split("=", 1)[1].strip().strip('"')
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "system": system,
            "client_cores": sorted(cores[0]), "server_cores": sorted(cores[1]),
            "busy_before": busy_share(), "versions": versions()}


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage:", 1)[1].split("\n\n", 1)[0].strip())
    parser.add_argument("build")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--sizes")
    parser.add_argument("--streams")
    parser.add_argument("--only", help="clients whose name contains this")
    parser.add_argument("--out")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (0.5 if options.quick else 1.2)
    options.sizes = (options.sizes or "full,lean").split(",")
    options.streams = [int(word) for word in (options.streams or "1,2,4,16").split(",")]
    options.groups = [(size, streams) for number, size in enumerate(options.sizes)
                      for streams in (options.streams if number == 0 or not options.quick else options.streams[:1])]
    options.out = options.out or os.path.join(options.build, "peers")
    return options


def write(folder, results):
    os.makedirs(folder, exist_ok=True)
    for name, text in [("peers.json", json.dumps(results, indent=1) + "\n"), ("peers.md", table.markdown(results)),
                       ("peers.svg", chart.draw(results))]:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


def bench(options, clients, workshop, cores):
    results = {"bench": "peers", "machine": machine(cores), "rounds": options.rounds, "seconds": options.seconds,
               "groups": []}
    print("Whether each client reads the feed right:", flush=True)
    clients, results["absent"], broken = check_all(clients, workshop, cores, report_line)
    for size, streams in options.groups:
        chosen = [client for client in clients if streams == 1 or not client.single]
        print(f"{table.SIZES[size]} events, {table.counted(streams)}:", flush=True)
        begun = time.monotonic()
        group = Group(options, workshop, cores, size, streams).measure(chosen)
        broken = broken or bool(group["failed"])
        results["groups"].append(group)
        print(table.text(results, group) + f"  ({time.monotonic() - begun:.0f} s)\n", flush=True)
        write(options.out, results)  # each time: a run that is cut short leaves what it has
    print(table.overview_text(results))
    print(table.notes(results))
    print(f"Written: {', '.join(os.path.join(options.out, name) for name in ('peers.json', 'peers.md', 'peers.svg'))}")
    return 1 if broken else 0


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended on the way out
    cores = core_sets()
    os.sched_setaffinity(0, cores[1])  # what this script does itself is not the client's
    clients = [client for client in everyone() if not options.only or options.only in client.name]
    with tempfile.TemporaryDirectory(prefix="akamai-prof-peers-") as folder:
        workshop = Workshop(options.build, folder)
        if options.check:
            return check_only(clients, workshop, cores)
        return bench(options, clients, workshop, cores)


if __name__ == "__main__":
    sys.exit(main())
