#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files open in `go tool pprof`, which sees in them what our own reader sees.

usage: pprof_tool_test.py BUILD_FOLDER [PART_OF_A_NAME]
"""
import os
import re
import shutil
import subprocess

import recorder
from recorder import Skip, check, close_to

KEPT = {}


def pprof(host, *arguments):
    if not shutil.which("go"):
        raise Skip("go is not installed (Debian: golang-go)")
    environment = dict(os.environ, HOME=host.folder, PPROF_TMPDIR=host.folder, GOCACHE=host.path("go-cache"),
                       PPROF_BINARY_PATH="/nonexistent")
    result = subprocess.run(["go", "tool", "pprof", *arguments], capture_output=True, text=True, env=environment,
                            check=False)
    check(result.returncode == 0, f"go tool pprof {' '.join(arguments)}: {result.stderr}")
    return result.stdout, result.stderr


def recording(host):
    if not KEPT:
        early, late = (host.path(name) for name in ("early.json", "late.json"))
        for name, path, rounds in (("first", early, 400), ("second", late, 1200)):
            KEPT[name] = host.record("-hz", 999, "-heap-rate", 1,
                                     command=[host.target("conserve"), path, 4, rounds, 1000, 1])
            KEPT[name].until(path)
            KEPT[name].interrupt()
    return KEPT["second"]


def file_of(host, name):
    return os.path.join(recording(host).out, name + ".pprof")


def opens(name):
    def test(host):
        path = file_of(host, name)
        for kind in recording(host).profile(name).type_names:
            out, errors = pprof(host, "-top", "-nodecount=5", "-sample_index=" + kind, path)
            check("flat%" in out, f"-top shows no table: {out}")
            check(not errors.strip() or "Main binary filename not available" in errors, f"it warns: {errors}")
        out, _ = pprof(host, "-raw", path)
        # "   count  nanoseconds: 1 2 3"
        listed = out[out.index("\nSamples:"):out.index("\nLocations")]
        rows = re.findall(r"^ *-?\d+(?: +-?\d+)*: \d", listed, re.M)
        check(len(rows) == len(recording(host).profile(name).samples), f"-raw lists {len(rows)} samples")
        pprof(host, "-proto", "-output", host.path("again.pb.gz"), path)
    return test


def top_agrees(host):
    """Bytes by function, as pprof adds them up, are what our reader adds up."""
    profile = recording(host).profile("heap")
    out, _ = pprof(host, "-top", "-nodecount=1000", "-nodefraction=0", "-unit=B", "-cum", "-sample_index=alloc_space",
                   file_of(host, "heap"))
    compared = 0
    for line in out.splitlines():
        match = re.match(r"\s*(\S+)\s+\S+%\s+\S+%\s+(\S+?)B?\s+\S+%\s+(site_\w+)$", line)
        if match:
            want = profile.total("alloc_space", lambda sample, name=match.group(3): sample.has(name))
            close_to(float(match.group(2)), want, 1e-3, f"cumulative bytes of {match.group(3)}")
            compared += 1
    check(compared >= 8, f"pprof lists only {compared} of the target's functions: {out}")


def base(host):
    """The difference of two profiles."""
    late = file_of(host, "heap")
    early = os.path.join(KEPT["first"].out, "heap.pprof")
    out, _ = pprof(host, "-top", "-nodecount=1000", "-nodefraction=0", "-unit=B", "-sample_index=alloc_space", "-base",
                   early, late)
    # The total that it names beside is that of absolute values: the two processes have labels of their own.
    match = re.search(r"accounting for (-?[\d.]+)B,", out)
    check(match, f"no sum in {out[:500]}")
    want = KEPT["second"].heap.total("alloc_space") - KEPT["first"].heap.total("alloc_space")
    close_to(float(match.group(1)), want, 0.01, "the sum of the difference")


def labels(host):
    out, _ = pprof(host, "-tags", file_of(host, "cpu"))
    check("thread" in out, f"-tags shows no thread: {out}")
    out, _ = pprof(host, "-tags", "-sample_index=alloc_space", file_of(host, "heap"))
    check("allocator" in out and "posix_memalign" in out, f"-tags shows no allocators: {out}")


def sources(host):
    """Names, files and lines come from the file, not from the binary."""
    out, _ = pprof(host, "-top", "-lines", "-nodecount=1000", "-sample_index=alloc_objects", file_of(host, "heap"))
    check(re.search(r"site_malloc .*conserve\.c:\d+", out), f"no lines: {out[:1500]}")


if __name__ == "__main__":
    recorder.main([(f"{name}.pprof opens: -top, -raw, -proto", opens(name))
                   for name in ("cpu", "offcpu", "heap", "faults")] + [
        ("-top adds up what we add up", top_agrees),
        ("-base: the difference of two heap profiles", base),
        ("-tags", labels),
        ("-lines", sources),
    ])
