# SPDX-License-Identifier: Apache-2.0
"""What the profiler costs.

usage: overhead.py BUILD_FOLDER [ROUNDS] [SECONDS]

The collector against the simulator over TLS on loopback, each pinned to a core of its own, the supervisor to the
collector's; every allocation is tracked. Runs without and with the profiler take turns, so that the machine's mood
hits both; the cost is the median over rounds of (with / without) in the same round. The CPU time is the collector's
own; the events a second also pay for the supervisor. Then: nanoseconds per pair of malloc and free in a tight loop
with and without probes, microseconds per sample, and the time to load the programs and write the files. One JSON
object a line, then a table.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
from flow import Simulator, collect  # noqa: E402 (found by the line above)

VARIANTS = {
    "no profile": None,
    "99 Hz, exact heap": ["-hz", "99", "-heap-rate", "1"],
    "999 Hz, exact heap": ["-hz", "999", "-heap-rate", "1"],
    "99 Hz, no heap": ["-hz", "99", "-heap-rate", "0"],
}


def figures_of(build, simulator, seconds, profile):
    extra = ["-no-profile"] if profile is None else ["-cpu-profile-duration", f"{1000 * seconds - 50}ms"] + profile
    run = collect(build, simulator, seconds, extra)
    totals = run["totals"]
    row = {"cpu_seconds_per_million": totals["cpu_seconds"] * 1e6 / totals["events"],
           "events_per_second": totals["events_per_second"]}
    if profile is not None:
        said = run["profile"]
        overhead = said["overhead"]
        row.update({"programs_ns_per_run": overhead["program_run_ns"] / max(overhead["program_runs"], 1),
                    "programs_percent_of_cpu": 100 * overhead["program_run_ns"] / (seconds * 1e9),
                    "supervisor_percent_of_cpu": 100 * overhead["supervisor_cpu_ns"] / (seconds * 1e9),
                    "samples": said["cpu"]["samples"], "allocations": said["heap"]["hits"],
                    "stacks_complete_percent": 100 * said["stacks"]["complete_share"]})
    return row


def collector(build, rounds, seconds):
    rows = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        simulator = Simulator(build, folder, "full")
        try:
            figures_of(build, simulator, 1, None)  # the first run warms caches, and is not counted
            for index in range(rounds):
                names = list(VARIANTS)
                for name in names[index % len(names):] + names[:index % len(names)]:
                    rows[name].append(figures_of(build, simulator, seconds, VARIANTS[name]))
        finally:
            simulator.stop()
    results = []
    for name, row in rows.items():
        result = {"bench": "profiler_overhead", "variant": name, "rounds": rounds, "seconds": seconds}
        result.update({key: round(statistics.median(r[key] for r in row), 4) for key in row[0]})
        for key, short in (("cpu_seconds_per_million", "cpu_cost_percent"),
                           ("events_per_second", "rate_cost_percent")):
            ratios = [one[key] / alone[key] for one, alone in zip(row, rows["no profile"])]
            cost = 100 * (statistics.median(ratios) - 1)
            result[short] = round(cost if short.startswith("cpu") else -cost, 2)
        results.append(result)
        print(json.dumps(result), flush=True)
    return results


def pairs(build, folder, rounds):
    """ns per malloc and free of 64 bytes, alone and with every one of them tracked."""
    program = os.path.join(build, "tests", "profiler", "pairs")
    found = {"alone": [], "exact": [], "sampled": []}
    for _ in range(rounds):
        for name, samples in found.items():
            count = 20000000 if name == "alone" else 300000
            truth = os.path.join(folder, "pairs.json")
            command = [program, truth, str(count)]
            if name != "alone":
                rate = "1" if name == "exact" else "524288"
                command = [os.path.join(build, "akamai-prof"), "record", "-quiet", "-heap-budget", "100",
                           "-heap-rate", rate, "-out", os.path.join(folder, "pairs"), "--"] + command
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with open(truth, encoding="utf-8") as file:
                samples.append(json.load(file)["ns_per_pair"])
    for name, samples in found.items():
        print(json.dumps({"bench": "profiler_pairs", "variant": name, "rounds": rounds,
                          "ns_per_pair": round(statistics.median(samples), 1)}), flush=True)
    return {name: statistics.median(samples) for name, samples in found.items()}


def depth_recorded(build, folder, depth, hz):
    """(what run.json says of the profile, seconds that the command took, the target's time left out)"""
    out = os.path.join(folder, f"depth{depth}-{hz}")
    command = [os.path.join(build, "akamai-prof"), "record", "-quiet", "-hz", str(hz), "-heap-rate", "0", "-out", out,
               "--", os.path.join(build, "tests", "profiler", "depth"), "2000", str(depth)]
    before = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.monotonic() - before
    with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
        said = json.load(file)["profile"]
    return said, wall - said["window_ns"] / 1e9


def per_sample(build, folder):
    """Microseconds of our programs per CPU sample, by depth: what more samples cost more, so that the programs at
    other events (switches of all tasks) do not count. And the time to load, start and write all files."""
    for depth in (5, 25, 100):
        few, _ = depth_recorded(build, folder, depth, 49)
        many, beside = depth_recorded(build, folder, depth, 1999)
        samples = many["cpu"]["samples"] - few["cpu"]["samples"]
        run_ns = many["overhead"]["program_run_ns"] - few["overhead"]["program_run_ns"]
        print(json.dumps({"bench": "profiler_sample", "frames": depth + 5, "samples": samples,
                          "us_per_sample": round(run_ns / max(samples, 1) / 1e3, 3),
                          "seconds_to_load_and_write": round(beside, 3)}), flush=True)


def main():
    build = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 6  # shorter ones are mostly the start
    with tempfile.TemporaryDirectory() as folder:
        cost = pairs(build, folder, 3)
        per_sample(build, folder)
    results = collector(build, rounds, seconds)
    print(f"\nmalloc and free: {cost['alone']:.1f} ns; sampled {cost['sampled']:.0f} ns; "
          f"all tracked {cost['exact']:.0f} ns")
    print(f"\n{'variant':20} {'CPU-s/M':>8} {'events/s':>10} {'CPU +%':>7} {'rate -%':>8} {'supervisor %':>13}")
    for row in results:
        print(f"{row['variant']:20} {row['cpu_seconds_per_million']:8.3f} {row['events_per_second']:10.0f} "
              f"{row['cpu_cost_percent']:7.2f} {row['rate_cost_percent']:8.2f} "
              f"{row.get('supervisor_percent_of_cpu', 0):13.2f}")


if __name__ == "__main__":
    main()
