# SPDX-License-Identifier: Apache-2.0
"""`akamai-prof experiment`: a small matrix leaves its folders, figures and tables, in the promised order; what fails or
is interrupted does not take the rest with it; and nothing that was started outlives it.

usage: experiment_test.py BUILD_FOLDER [ONLY]
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import (Failure, Simulator, Skip, at_least, clean_environment, contains, equal, lacks, main,
                     programs_for_everybody)

BUILD = os.path.abspath(sys.argv[1])
PROGRAM = os.path.join(BUILD, "akamai-prof")
NOBODY = 65534
RUNNERS = "direct,interpreted"
FOLDERS = tempfile.TemporaryDirectory(prefix="akamai-prof-experiment-")  # removed at the end
os.chmod(FOLDERS.name, 0o755)
TESTS = []


def test(function):
    TESTS.append((function.__name__.removeprefix("test_").replace("_", " "), function))
    return function


def environment(**more):
    return clean_environment({"HOME": FOLDERS.name, **more})


def folder(name):
    """A fresh one for -out: its name is how our processes are found."""
    return os.path.join(FOLDERS.name, f"{name}-{time.monotonic_ns()}")


# Small pages of small events, so that slow builds finish some in a second.
LEAN = ["-event-size", "lean", "-limit", "2000"]
TINY = LEAN + ["-duration", "1s", "-no-profile"]


def experiment(out, *arguments, timeout=300, program=PROGRAM, **options):
    options = {"env": environment(), **options}
    process = subprocess.run([program, "experiment", "-out", out, *arguments], capture_output=True, check=False,
                             timeout=timeout, **options)
    process.stdout, process.stderr = process.stdout.decode(), process.stderr.decode()
    return process


def read_json(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return json.load(file)


def words_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")
    except OSError:
        return []


def processes(out):
    """Pids and first words of what has the folder in its command line, but for who was asked to make it."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = words_of(pid)
        if any(out in word for word in words[1:]) and "experiment" not in words:
            found[int(pid)] = words[0]
    return found


def nothing_is_left(out):
    for _ in range(300):
        left = processes(out)
        if not left:
            return
        time.sleep(0.1)
    raise Failure(f"still running: {left}")


def started(out, *arguments):
    """An experiment in the background; whoever asks for it ends it."""
    return subprocess.Popen([PROGRAM, "experiment", "-out", out, *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(), start_new_session=True)


@contextlib.contextmanager
def running(out, *arguments):
    process = started(out, *arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def await_file(path, process):
    for _ in range(1200):
        if os.path.exists(path):
            return
        if process.poll() is not None:
            raise Failure(f"it ended before {path}: {process.communicate()[1].decode()[-1500:]}")
        time.sleep(0.05)
    raise Failure(f"{path} never came")


def await_runner(out, label, process):
    """The pid of the runner that writes into OUT/LABEL."""
    for _ in range(1200):
        for pid, name in processes(os.path.join(out, label)).items():
            if name.startswith("akamai"):
                return pid
        if process.poll() is not None:
            raise Failure(f"it ended before {label}: {process.communicate()[1].decode()[-1500:]}")
        time.sleep(0.05)
    raise Failure(f"no runner for {label}")


def cells(document):
    return {cell["label"]: cell for cell in document["cells"]}


@test
def test_a_small_matrix():
    out = folder("matrix")
    result = experiment(out, *TINY, "-runners", RUNNERS, "-parse", "control,full", "-streams", "1,2", "-runs", "2")
    equal(result.returncode, 0, "the exit status: " + result.stderr + result.stdout)
    labels = [f"{runner}-{parse}-{streams}" for streams in (1, 2) for parse in ("control", "full")
              for runner in RUNNERS.split(",")]
    document = read_json(out, "experiment.json")
    equal([cell["label"] for cell in document["cells"]], labels, "the matrix")
    # The second round goes backwards, so that a machine that grows slower hits all alike.
    equal([run["folder"] for run in document["runs"]],
          [f"{label}/1" for label in labels] + [f"{label}/2" for label in reversed(labels)], "the order")
    starts = [run["start_unix"] for run in document["runs"]]
    equal(starts, sorted(starts), "the times of their starts")
    for run in document["runs"]:
        figures_are_those_of_the_run(out, run)
    for label, cell in cells(document).items():
        equal(cell["runs"], 2, f"runs of {label}")
        per_million = sorted(run["cpu_seconds"] * 1e6 / run["events"] for run in document["runs"]
                             if run["label"] == label)
        figure = cell["cpu_seconds_per_million_events"]
        for key, want in [("low", per_million[0]), ("high", per_million[1]), ("median", sum(per_million) / 2)]:
            if abs(figure[key] - want) > 1e-3 * want:
                raise Failure(f"{key} of {label} is {figure[key]}, its runs say {want}")
    for index in range(1, len(labels) * 2 + 1):
        contains(result.stderr, f"{index}/{len(labels) * 2} ", "the progress")
    contains(result.stderr, "NO PROFILES: switched off by -no-profile")
    table_shows(result.stdout, document)
    with open(os.path.join(out, "experiment.html"), encoding="utf-8") as file:
        page = file.read()
    with open(os.path.join(out, "experiment.txt"), encoding="utf-8") as file:
        text = file.read()
    contains(text, result.stdout.split("Side by side")[0].strip(), "experiment.txt")
    for label in labels:
        contains(page, label, "experiment.html")
        contains(text, label, "experiment.txt")
    nothing_is_left(out)


def figures_are_those_of_the_run(out, run):
    equal(run["state"], "done", f"state of {run['folder']}")
    record = read_json(out, run["folder"], "run.json")
    totals = record["totals"]
    for ours, theirs in [("events", "events"), ("event_bytes", "event_bytes"), ("cpu_seconds", "cpu_seconds"),
                         ("elapsed_seconds", "elapsed_seconds"), ("rss_bytes_max", "rss_bytes_max")]:
        equal(run[ours], totals[theirs], f"{ours} of {run['folder']}")
    at_least(run["events"], 1, "events")
    equal(len(record["streams"]), run["streams"], "its streams")
    equal(record["configuration"]["parse"], run["parse"], "its parsing level")
    equal(record["configuration"]["limit"], 2000, "its limit")
    equal(record["program"], "akamai-prof" if run["runner"] == "interpreted" else "akamai-direct-prof", "its runner")
    at_least(run["server_cpu_seconds"], 0.0001, "CPU time of the server")


def table_shows(text, document):
    """A row for each cell with its median; the cited rows are marked as such."""
    for cell in document["cells"]:
        row = re.search(rf"^ +{cell['runner']} +{cell['parse']} +{cell['streams']} .*$",
                        text.split("cited, not measured here")[0], re.MULTILINE)
        if not row:
            raise Failure(f"no row for {cell['label']}: {text}")
        rate = round(cell["events_per_second"]["median"])
        contains(row.group(), f"{rate:,}", "its row")
        contains(row.group(), f"{cell['cpu_seconds_per_million_events']['median']:.2f}", "its row")
    contains(text, "cited, not measured here", "the table")
    for figure in ("16.40", "52.70", "23.60"):
        contains(text.split("cited, not measured here")[1], figure, "what is cited")


@test
def test_with_profiles():
    doctor = subprocess.run([PROGRAM, "doctor", "-json"], capture_output=True, check=False, env=environment())
    findings = {finding["what"]: finding for finding in json.loads(doctor.stdout)["findings"]}
    finding = findings.get("profiler", findings["capabilities"])
    if finding["verdict"] == "missing" or finding["what"] != "profiler":
        raise Skip("this host cannot profile: " + finding["text"])
    out = folder("profiles")
    result = experiment(out, *LEAN, "-runners", "direct", "-parse", "control,full", "-streams", "1", "-runs", "1",
                        "-duration", "3s")
    equal(result.returncode, 0, "the exit status: " + result.stderr)
    lacks(result.stderr, "NO PROFILES")
    document = read_json(out, "experiment.json")
    for label, cell in cells(document).items():
        for name in ("cpu_mid.pprof", "heap_end.pprof", "report.html"):
            if not os.path.exists(os.path.join(out, label, "1", name)):
                raise Failure(f"{label}/1 lacks {name}")
        snapshots = read_json(out, label, "1", "run.json")["profile"]["heap"]["snapshots"]
        run = next(run for run in document["runs"] if run["label"] == label)
        if run["heap_given_up"]:
            continue
        equal(run["alloc_objects"], snapshots[-1]["alloc_objects"], "allocations")
        at_least(cell["allocations_per_event"]["median"], 1e-9, "allocations per event")


@test
def test_without_rights_it_says_so_and_goes_on():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody without rights")
    out = folder("nobody")
    os.mkdir(out)
    os.chown(out, NOBODY, NOBODY)
    program = os.path.join(programs_for_everybody(BUILD, FOLDERS.name), "akamai-prof")
    result = experiment(out, *LEAN, "-duration", "1s", "-runners", "direct", "-streams", "1", "-runs", "1", cwd="/",
                        user=NOBODY, group=NOBODY, extra_groups=[], program=program)
    equal(result.returncode, 0, "the exit status: " + result.stderr)
    contains(result.stderr, "NO PROFILES: ")
    contains(result.stderr, "only throughput")
    contains(result.stdout, "allocs/event: needs profiles")
    equal(read_json(out, "experiment.json")["settings"]["profile"], False, "profile")


@test
def test_a_run_that_fails_does_not_stop_the_others():
    out = folder("failing")
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "1", "--forbid-config", "2") as simulator:
        result = experiment(out, "-limit", "2000", "-duration", "1s", "-no-profile", "-runners", "direct", "-parse",
                            "control", "-streams", "1,2", "-runs", "2", "-url", simulator.url, "-edgerc",
                            simulator.edgerc, "-ca-file", simulator.ca_file, "-config-id", "1,2")
    equal(result.returncode, 1, "the exit status: " + result.stderr)
    states = [(run["folder"], run["state"]) for run in read_json(out, "experiment.json")["runs"]]
    equal(states, [("direct-control-1/1", "done"), ("direct-control-2/1", "failed"), ("direct-control-2/2", "failed"),
                   ("direct-control-1/2", "done")], "what became of the runs")
    contains(result.stderr, "FAILED: exited with status 1")
    contains(result.stderr, "403")
    contains(result.stderr, f"$ akamai-direct-prof -url {simulator.url}")
    contains(result.stdout, "no run ended well", "the table")
    # What failed is there to look at, and is no side of a comparison.
    equal(sorted(os.listdir(os.path.join(out, "direct-control-2", "1"))), ["log", "run.failed.json"], "what it left")
    nothing_is_left(out)


@test
def test_the_program_is_the_interpreted_runners():
    out = folder("program")
    program = os.path.join(FOLDERS.name, "wrong.lua")
    with open(program, "w", encoding="utf-8") as file:
        file.write("function execute(ctx, client, emit)\n  error('it is meant to fail')\nend\n")
    result = experiment(out, *TINY, "-parse", "control", "-streams", "1", "-runs", "1", "-prog", program)
    equal(result.returncode, 1, "the exit status: " + result.stderr)
    states = {run["label"]: run["state"] for run in read_json(out, "experiment.json")["runs"]}
    equal(states, {"direct-control-1": "done", "interpreted-control-1": "failed"}, "what became of the runs")
    contains(result.stderr, "it is meant to fail")
    contains(result.stderr, f"-prog {program}")


@test
def test_a_given_server():
    out = folder("given")
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "7,8") as simulator:
        # The variables are those of the runners.
        result = experiment(out, "-limit", "2000", "-duration", "1s", "-no-profile", "-runners", "direct", "-streams",
                            "2", "-runs", "1", "-url", simulator.url, "-edgerc", simulator.edgerc, "-ca-file",
                            simulator.ca_file, env=environment(YAEGI_HTTP_CONFIG_ID="7,8"))
        asked = {request["config"] for request in simulator.requests()}
    equal(result.returncode, 0, "the exit status: " + result.stderr)
    document = read_json(out, "experiment.json")
    equal(document["settings"]["server"], simulator.url, "the server")
    equal([run["server_cpu_seconds"] for run in document["runs"]], [None, None], "CPU time of somebody else's server")
    contains(result.stderr, "how busy it is cannot be seen")
    ids = read_json(out, "direct-full-2", "1", "run.json")["configuration"]["config_ids"]
    equal(ids, ["7", "8"], "the configIds")
    equal(asked, {"7", "8"}, "what was asked for")
    if os.path.exists(os.path.join(out, "simulator")):
        raise Failure("it started a simulator beside the given server")


@test
def test_variables_do_not_lead_elsewhere():
    out = folder("variables")
    result = experiment(out, *TINY, "-runners", "direct", "-parse", "control", "-streams", "1", "-runs", "1",
                        env=environment(YAEGI_HTTP_URL="https://127.0.0.1:1/siem/v1", AKAMAI_HOST="127.0.0.1:1",
                                        YAEGI_HTTP_LIMIT="3", YAEGI_HTTP_CURSOR="elsewhere"))
    equal(result.returncode, 0, "the exit status: " + result.stderr)
    contains(result.stderr, "4 YAEGI_HTTP_* and AKAMAI_* variables are set aside")
    equal(read_json(out, "direct-control-1", "1", "run.json")["configuration"]["limit"], 2000, "the limit")


@test
def test_earlier_rounds_are_not_mixed_in():
    out = folder("again")
    common = [*TINY, "-runners", "direct", "-streams", "1"]
    equal(experiment(out, *common, "-runs", "2").returncode, 0, "the first exit status")
    result = experiment(out, *common, "-runs", "1")
    equal(result.returncode, 0, "the second exit status: " + result.stderr)
    document = read_json(out, "experiment.json")
    equal([cell["runs"] for cell in document["cells"]], [1, 1], "runs of the cells")
    with open(os.path.join(out, "experiment.txt"), encoding="utf-8") as file:
        contains(file.read(), "2 sides, 2 runs", "the comparison")
    if os.path.exists(os.path.join(out, "direct-control-1", "2", "run.json")):
        raise Failure("the second round of the first experiment stands beside the second experiment")


@test
def test_interrupted():
    out = folder("interrupted")
    with running(out, *TINY, "-runners", "direct", "-streams", "1,2", "-duration", "3s", "-runs", "2") as process:
        await_runner(out, "direct-control-2", process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
        stdout, stderr = stdout.decode(), stderr.decode()
    equal(process.returncode, 1, "the exit status: " + stderr)
    contains(stderr, "interrupted after 3 of 8 runs")
    states = [run["state"] for run in read_json(out, "experiment.json")["runs"]]
    equal(states, ["done", "done", "interrupted"] + ["not-run"] * 5, "what became of the runs")
    contains(stdout, "direct      control       1", "the table")
    contains(stdout, "experiment.html", "the table")
    with open(os.path.join(out, "experiment.txt"), encoding="utf-8") as file:
        contains(file.read(), "2 sides, 2 runs", "the comparison")
    nothing_is_left(out)


@test
def test_interrupted_before_the_first_run():
    out = folder("early")
    with running(out, *TINY, "-event-size", "full", "-streams", "1,4") as process:
        await_file(os.path.join(out, "simulator", "log"), process)
        process.send_signal(signal.SIGTERM)
        stderr = process.communicate(timeout=120)[1].decode()
    equal(process.returncode, 1, "the exit status: " + stderr)
    contains(stderr, "interrupted")
    nothing_is_left(out)


@test
def test_killed_it_leaves_nobody_behind():
    out = folder("killed")
    with running(out, *TINY, "-runners", "direct", "-streams", "1", "-duration", "60s", "-runs", "1") as process:
        await_runner(out, "direct-control-1", process)
        names = set(processes(out).values())
        process.kill()
        process.wait()
        nothing_is_left(out)
    at_least(len(names), 2, f"server and runner: {names}")


@test
def test_a_server_that_dies():
    out = folder("dying")
    with running(out, *TINY, "-runners", "direct", "-streams", "1", "-duration", "20s", "-runs", "1") as process:
        await_runner(out, "direct-control-1", process)
        simulator = next(pid for pid, name in processes(os.path.join(out, "simulator")).items() if "simulate" in name)
        os.kill(simulator, signal.SIGKILL)
        stderr = process.communicate(timeout=120)[1].decode()
    equal(process.returncode, 1, "the exit status: " + stderr)
    contains(stderr, "FAILED: lost its server")
    contains(stderr, "was ended by signal 9")
    nothing_is_left(out)


@test
def test_server_and_runner_have_their_own_cpus():
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("this host has one CPU")
    out = folder("pinned")
    with running(out, *TINY, "-runners", "direct", "-streams", "1", "-duration", "20s", "-runs", "1") as process:
        runner = await_runner(out, "direct-control-1", process)
        simulator = next(pid for pid, name in processes(os.path.join(out, "simulator")).items() if "simulate" in name)
        ours, theirs = os.sched_getaffinity(runner), os.sched_getaffinity(simulator)
        process.send_signal(signal.SIGTERM)
        stderr = process.communicate(timeout=120)[1].decode()
    if not ours or not theirs or ours & theirs:
        raise Failure(f"the runner may use {ours}, the server {theirs}")
    contains(stderr, "server on CPU ")
    nothing_is_left(out)


@test
def test_json():
    out = folder("json")
    result = experiment(out, *TINY, "-quick", "-runners", "direct", "-parse", "full", "-runs", "1", "-no-pin", "-json")
    equal(result.returncode, 0, "the exit status: " + result.stderr)
    document = json.loads(result.stdout)
    equal(document, read_json(out, "experiment.json"), "what was printed")
    equal(document["settings"]["duration_seconds"], 1.0, "the duration, which -quick leaves alone when it is given")
    equal([cell["label"] for cell in document["cells"]], ["direct-full-1"], "the matrix")
    equal(document["settings"]["pinned"], False, "pinned")


@test
def test_help_teaches():
    result = experiment(folder("help"), "-help")
    equal(result.returncode, 0, "the exit status")
    for part in ("usage: akamai-prof experiment", "-quick", "-streams", "experiment.html", "exit status"):
        contains(result.stdout, part, "the help")


@test
def test_wrong_words():
    for arguments, part in [
            (["-streams", "0"], "-streams"), (["-streams", "2,1"], "rising"), (["-streams", "1,1"], "rising"),
            (["-streams", ""], "names no number"), (["-streams", "1,2,3,4,5"], "up to 4"),
            (["-streams", "65"], "from 1 to 64"), (["-runners", "direkt"], "did you mean direct?"),
            (["-runners", "direct,direct"], "twice"), (["-runners", ""], "names nothing"),
            (["-parse", "half"], "-parse is a list"), (["-runs", "0"], "must be from 1"),
            (["-runs", "65"], "must be from 1"), (["-duration", "0s"], "must be from 1s"),
            (["-duration", "soon"], "wants a duration"), (["-edgerc", "x"], "goes with -url"),
            (["-config-id", "5"], "goes with -url"), (["-ca-file", "x"], "goes with -url"),
            (["-prog", "/nonexistent.lua"], "cannot read the program /nonexistent.lua"),
            (["-url", "ftp://x"], "must begin with https://"), (["-url", ""], "-url is empty"),
            (["-url", "https://x", "-event-size", "lean"], "the simulator's"),
            (["-url", "https://x", "-streams", "3", "-config-id", "1,2"], "names 2"),
            (["-runners", "direct", "-prog", "x.lua"], "leaves out"), (["-quik"], "did you mean -quick?"),
            (["extra"], "flags only"), (["-out", ""], "names no folder")]:
        result = experiment(folder("wrong"), *arguments)
        equal(result.returncode, 2, f"the exit status of {arguments}: {result.stderr}")
        contains(result.stderr, part, f"what is said of {arguments}")
        equal(result.stdout, "", "standard output")


@test
def test_a_folder_that_cannot_be_written():
    blocked = os.path.join(FOLDERS.name, "a-file")
    with open(blocked, "w", encoding="utf-8"):
        pass
    result = experiment(blocked, *TINY)
    equal(result.returncode, 1, "the exit status: " + result.stderr)
    contains(result.stderr, "-out")


if __name__ == "__main__":
    try:
        main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
    finally:
        shutil.rmtree(FOLDERS.name, ignore_errors=True)
