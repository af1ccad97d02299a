# SPDX-License-Identifier: Apache-2.0
"""Runs to compare, and akamai-prof compare on them: what the tests of compare share."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from pprof_file import Profile
from report_test import KERNEL, LIBC, LIBZ, PROGRAM
from harness import Failure, equal  # found by report_test

PROF = os.path.abspath(sys.argv[1])
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}


def compare(*arguments, status=0, cwd=None):
    result = subprocess.run([PROF, "compare", *arguments], capture_output=True, check=False, timeout=120,
                            env=ENVIRONMENT, cwd=cwd)
    if result.returncode != status:
        raise Failure(f"{arguments} ended with {result.returncode}, wanted {status}: "
                      f"{result.stderr.decode(errors='replace')[-2000:]}")
    return (result.stderr if status else result.stdout).decode()  # strict: all that we write is UTF-8


def as_json(*arguments, **options):
    return json.loads(compare("-format", "json", "-top", "10000", *arguments, **options))


# ---- Runs to compare ----

SAMPLE_NS = 10_000_000


def cpu_profile(samples, ns=SAMPLE_NS, program=PROGRAM):
    """samples: (stack from the root, samples, stage)."""
    profile = Profile([("samples", "count"), ("cpu", "nanoseconds")], [program], 1795645104 * 10**9, 2 * 10**9)
    for stack, count, stage in samples:
        profile.add(stack, [count, count * ns], {"stage": stage} if stage else {})
    return profile


def heap_profile(rows):
    """rows: (stack, allocated objects, allocated bytes, objects in use, bytes in use)."""
    kinds = [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")]
    profile = Profile(kinds, [PROGRAM])
    for stack, *values in rows:
        profile.add(stack, values)
    return profile


def record(events=4_000_000, cpu_seconds=6.0, elapsed=4.0, rss=8_000_000, **more):
    """A steady run: the window from 1 s to 3 s has half of the events."""
    document = {
        "version": 1, "program": "akamai-direct-prof", "start_unix": 1795645104, "exit_status": 0,
        "configuration": {"server": "127.0.0.1:1", "limit": 60000, "parse": "control"},
        "host": {"kernel": "6.1.0", "machine": "x86_64", "cpus_online": 2},
        "totals": {"events": events, "events_per_second": events / elapsed, "cpu_seconds": cpu_seconds,
                   "elapsed_seconds": elapsed, "requests": 67, "received_bytes": 600_000_000,
                   "plain_bytes": 4_000_000_000, "rss_bytes_max": rss},
        "streams": [{"config_id": "1"}],
        "throughput": [{"at_seconds": elapsed * n / 4, "events": events * n // 4} for n in (1, 2, 3, 4)],
        "profile": {"window_ns": int(elapsed / 2 * 1e9), "window_start_ns": int(elapsed / 4 * 1e9),
                    "heap": {"snapshots": [{"at_ns": int(elapsed / 2 * 1e9)}, {"at_ns": int(elapsed * 1e9)}]}},
    }
    document.update(more)
    return document


MAIN = [(PROGRAM, "main")]
INFLATE = MAIN + [(PROGRAM, "inflate_push")]


def samples_of(inflate=100, crc=40, kernel=20, walk=10):
    yield INFLATE + [(LIBZ, "decode")], inflate, "inflate"
    yield INFLATE + [(LIBZ, "crc32")], crc, "inflate"
    yield MAIN + [(LIBC, "read"), (KERNEL, "vfs_read")], kernel, "ring"
    yield MAIN + [(PROGRAM, "walk")] * 5 + [(PROGRAM, ["leaf", "inlined"])], walk, "scan"


class Place:
    """A folder of runs that goes away."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="akamai-prof-compare-")

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def run(self, name, document=None, cpu=None, mid=None, end=None):
        folder = self.at(name)
        os.makedirs(folder)
        if document is not None:
            with open(os.path.join(folder, "run.json"), "w", encoding="utf-8") as file:
                json.dump(document, file)
        for file_name, profile in (("cpu_mid", cpu), ("heap_mid", mid), ("heap_end", end)):
            if profile is not None:
                profile.write(os.path.join(folder, file_name + ".pprof"))
        return folder

    def text(self, name):
        with open(self.at(name), encoding="utf-8") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def two_runs(place):
    """The second has more of one function, less of another, one that is new and one that is gone."""
    stack = [(PROGRAM, "main"), (PROGRAM, "page_grow")]
    place.run("a", record(), cpu_profile(samples_of()), heap_profile([(stack, 10, 1000, 2, 500)]),
              heap_profile([(stack, 20, 3000, 3, 700), (MAIN, 5, 1000, 5, 1000)]))
    more = list(samples_of(inflate=220, crc=5, kernel=20, walk=0)) + [(MAIN + [(PROGRAM, "fresh")], 30, "scan")]
    place.run("b", record(cpu_seconds=9.0, rss=12_000_000, program="akamai-prof"), cpu_profile(more),
              heap_profile([(stack, 10, 1000, 2, 500)]),
              heap_profile([(stack, 40, 9000, 3, 1400), (MAIN, 5, 1000, 5, 1000)]))
    return place.at("a"), place.at("b")


def table_of(document, name):
    found = [table for table in document["tables"] if table["name"] == name]
    equal(len(found), 1, f"tables called {name}")
    return {row["name"]: row for row in found[0]["rows"]}


def cells(document, table, row):
    return table_of(document, table)[row]["sides"]


def near(got, want, what):
    if want is None or got is None:
        equal(got, want, what)
    elif abs(got - want) > 1e-9 * max(abs(want), 1e-9):
        raise Failure(f"{what} is {got}, wanted {want}")
