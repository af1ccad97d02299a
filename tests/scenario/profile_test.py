# SPDX-License-Identifier: Apache-2.0
"""Profiles around the collector, `record`, `report` and `doctor`: the files are there and open in Go's pprof, the
collector has given its rights up, and every way to end leaves what was seen.

usage: profile_test.py BUILD_FOLDER [ONLY]
"""
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from harness import (Failure, Simulator, Skip, at_least, command_of, contains, environment_of, equal, lacks, main,
                     programs_for_everybody)

BUILD = os.path.abspath(sys.argv[1])
PROGRAM = os.path.join(BUILD, "akamai-prof")
ALL_OF_A_RUN = ["cpu.svg", "cpu_mid.pprof", "faults.pprof", "heap.svg", "heap_end.pprof", "heap_mid.pprof",
                "mappings.pprof", "offcpu.svg", "offcpu_mid.pprof", "report.html", "run.json"]
ALL_OF_A_RECORD = ["cpu.pprof", "cpu.svg", "faults.pprof", "heap.pprof", "heap.svg", "mappings.pprof", "offcpu.pprof",
                   "offcpu.svg", "report.html", "run.json"]
NOBODY = 65534
FOLDERS = tempfile.TemporaryDirectory(prefix="akamai-prof-record-")  # removed at the end
os.chmod(FOLDERS.name, 0o755)
TESTS = []


def test(function):
    TESTS.append((function.__name__.removeprefix("test_").replace("_", " "), function))
    return function


def run(*command, **options):
    options = {"capture_output": True, "check": False, "timeout": 120, **options}
    return subprocess.run(command, **options)


@contextlib.contextmanager
def running(*command):
    """A process that is killed when the test leaves, however it does: the build waits for all who hold its output."""
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def findings():
    return {finding["what"]: finding for finding in json.loads(run(PROGRAM, "doctor", "-json").stdout)["findings"]}


def profiling_needed(can=[]):
    """Skips where the kernel or the container does not let this process profile; doctor knows."""
    if not can:
        found = findings()
        can.append(found.get("profiler", found["capabilities"]))
    if can[0]["verdict"] == "missing" or can[0]["what"] != "profiler":
        raise Skip("this host cannot profile: " + can[0]["text"])


def read_json(folder):
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        return json.load(file)


def pprof_opens(folder):
    """Every *.pprof in the folder opens in `go tool pprof`."""
    if not shutil.which("go"):
        print("# go is not installed: `go tool pprof` was not asked")
        return
    for name in sorted(os.listdir(folder)):
        if name.endswith(".pprof"):
            result = run("go", "tool", "pprof", "-top", "-nodecount=5", os.path.join(folder, name))
            equal(result.returncode, 0, f"pprof -top {name}: {result.stderr.decode()}")
            contains(result.stdout.decode(), "flat%", f"pprof -top {name}")


def runs(pid):
    """Whether there is such a process that does not end, and is no zombie (whoever adopts orphans may be slow)."""
    for _ in range(300):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rsplit(")", 1)[1].split()[0] in "ZX":
                    return False
        except OSError:
            return False
        time.sleep(0.1)
    return True


class Collector:
    """A profiled collector at work against an endless feed."""

    def __init__(self, simulator, *arguments, out=None, **options):
        self.out = out or simulator.path(f"out-{time.monotonic_ns()}")
        command = command_of(BUILD, simulator, self.out, self.out + ".ndjson")
        command.remove("-no-profile")
        self.process = subprocess.Popen(command + ["-config-id", "1", "-limit", "2000", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment_of(simulator), **options)

    def child(self):
        """The pid of the collector proper, once it collects."""
        pid = self.process.pid
        for _ in range(600):
            with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
                children = file.read().split()
            output = self.out + ".ndjson"
            if children and os.path.exists(output) and os.path.getsize(output) > 100_000:
                return int(children[0])
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.process.kill()
        raise Failure("the collector did not start: " + self.process.stderr.read().decode())

    def end(self):
        stdout, stderr = self.process.communicate(timeout=120)
        self.stdout, self.stderr = stdout, stderr.decode()
        lacks(self.stderr, "Sanitizer")
        return self.process.returncode


def endless():
    return Simulator(BUILD, "--event-size", "lean", "--config-id", "1")


def profile_is_plausible(record):
    profile = record["profile"]
    stages = {stage["stage"]: stage["cpu_ns"] for stage in profile["stages"]}
    at_least(profile["cpu"]["samples"], 10, "CPU samples")
    equal(profile["cpu"]["hz"], 99, "hz")
    at_least(profile["window_ns"], 1, "the window")
    total = profile["cpu"]["cpu_ns"]
    if not 0.98 * total <= sum(stages.values()) <= 1.02 * total:
        raise Failure(f"the stages make {sum(stages.values())} ns, all samples {total}")
    stages.pop("none", None)  # the kernel's own workers, which write the file
    if max(stages, key=stages.get) != "inflate":
        raise Failure(f"inflating is the most work, but the stages are {stages}")
    stacks = profile["stacks"]
    at_least(stacks["user"], 10, "user stacks")
    # Of a few dozen samples on a busy machine one may be what one in a hundred may be.
    at_least(stacks["complete"] + 1, 0.99 * stacks["user"], f"complete stacks ({stacks['stops']})")
    heap = profile["heap"]
    equal((heap["tracked"], heap["given_up"], heap["rate_bytes"]), (True, False, 1), "the heap's state")
    middle, end = heap["snapshots"]
    at_least(middle["alloc_objects"], 100, "allocations at half time (BoringSSL's trust anchors alone are more)")
    at_least(end["alloc_objects"], middle["alloc_objects"], "allocations at the end")
    at_least(end["alloc_bytes"], end["inuse_bytes"], "bytes allocated")


@test
def test_a_run_leaves_profiles_and_a_report():
    profiling_needed()
    with endless() as simulator:
        out = simulator.path("out")
        os.makedirs(out)
        for stale in ("cpu.pprof", "heap.pprof"):
            with open(os.path.join(out, stale), "w", encoding="utf-8") as file:
                file.write("of an earlier run")
        collector = Collector(simulator, "-duration", "12s", "-cpu-profile-duration", "3s", "-json", out=out)
        equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
        equal(sorted(os.listdir(collector.out)), ALL_OF_A_RUN, "the files")
        record = read_json(collector.out)
        equal(json.loads(collector.stdout), record, "--json")
        equal(sorted(record["profiles"]), [name for name in ALL_OF_A_RUN if name.endswith(".pprof")], "the list")
        profile_is_plausible(record)
        confinement = record["confinement"]
        equal((confinement["user_changed"], confinement["no_new_privileges"], confinement["seccomp"],
               confinement["io_uring_restricted"]), (True, True, True, True), "the confinement")
        last = collector.stderr.splitlines()[-2:]
        contains(last[0], "akamai_siem requests=", "the last line but one")
        contains(last[1], "done elapsed=", "the last line")
        contains(collector.stderr, "user stacks complete")
        pprof_opens(collector.out)
        for name in sorted(ALL_OF_A_RUN):
            if name.endswith(".svg"):
                ElementTree.parse(os.path.join(collector.out, name))
        with open(os.path.join(collector.out, "report.html"), encoding="utf-8") as file:
            contains(file.read(), "inflate", "the report")
        if shutil.which("go"):
            base = run("go", "tool", "pprof", "-top", "-base", os.path.join(collector.out, "heap_mid.pprof"),
                       os.path.join(collector.out, "heap_end.pprof"))
            equal(base.returncode, 0, "pprof -base: " + base.stderr.decode())
        again = run(PROGRAM, "report", collector.out)
        equal(again.returncode, 0, "akamai-prof report: " + again.stderr.decode())
        contains(again.stdout.decode(), "report.html")


@test
def test_the_collector_has_given_its_rights_up():
    if os.geteuid() != 0:
        raise Skip("only root has rights to give up")
    with endless() as simulator:
        for arguments in (["-no-profile"], []):
            if not arguments:
                profiling_needed()
            collector = Collector(simulator, "-duration", "60s", *arguments)
            child = collector.child()
            with open(f"/proc/{child}/status", encoding="utf-8") as file:
                status = dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.M))
            files = [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]
            collector.process.send_signal(signal.SIGINT)
            equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
            lacks(status["Uid"].split(), "0", "the user")
            lacks(status["Gid"].split(), "0", "the group")
            equal(set(status[key] for key in ("CapEff", "CapPrm", "CapInh", "CapAmb")), {"0" * 16}, "capabilities")
            equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "no new privileges, and seccomp's filter")
            lacks(" ".join(files), "bpf", "the collector's descriptors")
            lacks(" ".join(files), "perf_event", "the collector's descriptors")


@test
def test_confinement_can_be_switched_off():
    with endless() as simulator:
        collector = Collector(simulator, "-no-profile", "-confine", "off", "-duration", "2s")
        equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
        confinement = read_json(collector.out)["confinement"]
        equal((confinement["seccomp"], confinement["user_changed"]), (False, False), "the confinement")
        contains(confinement["note"], "-confine off")


@test
def test_a_killed_collector_leaves_what_was_seen():
    if os.geteuid() != 0:
        raise Skip("as root there are two processes; who is not has one here")
    with endless() as simulator:
        for arguments in (["-no-profile"], []):
            if not arguments:
                profiling_needed()
            collector = Collector(simulator, "-duration", "60s", *arguments)
            os.kill(collector.child(), signal.SIGKILL)
            equal(collector.end(), 1, "the exit status")
            contains(collector.stderr, "ended by signal 9 (Killed)")
            record = read_json(collector.out)
            equal((record["exit_status"], record["streams"][0]["end_reason"]), (1, "killed"), "run.json's end")
            if not arguments:
                files = os.listdir(collector.out)
                for name in ("heap_end.pprof", "report.html"):
                    contains(files, name, "the folder")
                pprof_opens(collector.out)


@test
def test_a_collector_without_its_supervisor_ends():
    if os.geteuid() != 0:
        raise Skip("as root there are two processes; who is not has one here")
    with endless() as simulator:
        collector = Collector(simulator, "-no-profile", "-duration", "120s")
        child = collector.child()
        collector.process.kill()
        collector.end()  # waits until nobody holds stderr, and so until the child is gone
        contains(collector.stderr, "the supervising process is gone")
        contains(collector.stderr.splitlines()[-1], "done elapsed=", "the last line")
        equal(runs(child), False, "that the child still runs")


@test
def test_one_interrupt_of_a_terminal_is_one():
    """ctrl-C reaches both processes, and must not count twice; a second one means at once."""
    if os.geteuid() != 0:
        raise Skip("as root there are two processes; who is not has one here")
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "1", "--pace", "20000") as simulator:
        collector = Collector(simulator, "-no-profile", "-duration", "120s", start_new_session=True)
        collector.child()
        os.killpg(collector.process.pid, signal.SIGINT)
        equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
        contains(collector.stderr, "ending after this page")
        lacks(collector.stderr, "ending at once")
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "1", "--pace", "20000") as simulator:
        collector = Collector(simulator, "-no-profile", "-duration", "120s", "-limit", "300000", start_new_session=True)
        collector.child()
        os.killpg(collector.process.pid, signal.SIGINT)
        time.sleep(1)
        os.killpg(collector.process.pid, signal.SIGINT)
        equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
        contains(collector.stderr, "ending at once")


@test
def test_interrupted_within_the_window():
    profiling_needed()
    with endless() as simulator:
        collector = Collector(simulator, "-duration", "8s", "-cpu-profile-duration", "4s")
        collector.child()
        time.sleep(5)
        collector.process.send_signal(signal.SIGINT)
        equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
        contains(collector.stderr, "stopped by a signal")
        equal(sorted(os.listdir(collector.out)), ALL_OF_A_RUN, "the files")
        at_least(read_json(collector.out)["profile"]["cpu"]["samples"], 1, "CPU samples")


@test
def test_a_run_that_ends_before_half_time():
    profiling_needed()
    with Simulator(BUILD, "--events", "3000", "--event-size", "lean", "--config-id", "1") as simulator:
        collector = Collector(simulator, "-initial-interval", "11h", "-duration", "60s")
        equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
        profiles = [name for name in sorted(os.listdir(collector.out)) if name.endswith(".pprof")]
        equal(profiles, ["faults.pprof", "heap_end.pprof", "mappings.pprof"], "the profiles")
        contains(collector.stderr, "ended before half time (30s)")
        record = read_json(collector.out)
        contains(" ".join(record["profile"]["notices"]), "before half time", "the notices in run.json")
        equal(record["profile"]["window_start_ns"], None, "when the window began")


@test
def test_streams_that_end_in_the_middle_of_pages():
    """Each is closed while answers for the others are ready. Where the file is the narrow place, each has its turn."""
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "1,2,3") as simulator:
        for _ in range(5):
            collector = Collector(simulator, "-config-id", "1,2,3", "-duration", "2s", "-no-profile", "-quiet")
            equal(collector.end(), 0, "the exit status: " + collector.stderr[-2000:])
            events = [stream["events"] for stream in read_json(collector.out)["streams"]]
            equal(len(events), 3, "the streams")
            at_least(min(events), max(events) / 5, f"the events of the slowest stream ({events})")


@test
def test_a_collector_killed_at_once():
    if os.geteuid() != 0:
        raise Skip("only root's collector has a supervisor here")
    profiling_needed()
    with endless() as simulator:
        collector = Collector(simulator, "-duration", "60s")
        children = f"/proc/{collector.process.pid}/task/{collector.process.pid}/children"
        found = []
        for _ in range(6000):
            with open(children, encoding="utf-8") as file:
                found = file.read().split()
            if found:
                break
            time.sleep(0.01)
        os.kill(int(found[0]), signal.SIGKILL)
        equal(collector.end(), 1, "the exit status")
        contains(collector.stderr, "ended by signal 9 (Killed)")


@test
def test_few_descriptors():
    """The programs cannot be loaded: an error that says what to raise."""
    profiling_needed()
    with endless() as simulator:
        command = command_of(BUILD, simulator, simulator.path("few"), None, sink=False)
        command.remove("-no-profile")
        result = run(*command, env=environment_of(simulator),
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
        stderr = result.stderr.decode()
        equal(result.returncode, 1, "the exit status: " + stderr)
        contains(stderr, "ulimit -n")
        contains(stderr, "nothing was collected")
        equal(simulator.requests(), [], "the requests")


@test
def test_out_is_a_file():
    with endless() as simulator:
        with open(simulator.path("file"), "w", encoding="utf-8"):
            pass
        command = command_of(BUILD, simulator, simulator.path("file"), None, sink=False)
        result = run(*command, env=environment_of(simulator))
        equal(result.returncode, 1, "the exit status")
        contains(result.stderr.decode(), "Not a directory")


def give_capabilities(program, capabilities):
    if not shutil.which("setcap", path=os.environ["PATH"] + ":/sbin:/usr/sbin"):
        raise Skip("setcap is not installed (libcap2-bin)")
    result = run("setcap", capabilities, program, env={"PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"})
    if result.returncode:
        raise Skip("capabilities cannot be set here: " + result.stderr.decode())


@test
def test_two_capabilities_are_enough():
    """CAP_BPF and CAP_PERFMON of the file make it undumpable: without CAP_SYS_PTRACE the child must open itself."""
    if os.geteuid() != 0:
        raise Skip("only root can give capabilities to a file")
    profiling_needed()
    folder = programs_for_everybody(BUILD, FOLDERS.name)
    give_capabilities(os.path.join(folder, "akamai-prof"), "cap_bpf,cap_perfmon+ep")
    with endless() as simulator:
        status, stderr, record = as_nobody(simulator, folder, "-duration", "4s", "-cpu-profile-duration", "1s")
        equal(status, 0, "the exit status: " + stderr)
        equal(record["profile"]["heap"]["tracked"], True, "the heap: " + stderr)
        at_least(record["profile"]["stacks"]["complete"], 5, "complete stacks")
    # Somebody else's process: newer kernels show its mappings, but never the files behind them.
    out = os.path.join(folder, "out")
    os.mkdir(out)
    os.chown(out, NOBODY, NOBODY)
    with running("sleep", "60") as sleeper:
        result = run(os.path.join(folder, "akamai-prof"), "record", "-out", out, "-duration", "1s", "-p",
                     str(sleeper.pid), user=NOBODY, group=NOBODY, extra_groups=[])
    equal(result.returncode, 1, "the exit status of record: " + result.stderr.decode())
    contains(result.stderr.decode(), str(sleeper.pid))
    contains(result.stderr.decode(), "run ")


def as_nobody(simulator, programs, *arguments):
    """The collector in the folder `programs` as a user without any rights, but those that the program has."""
    folder = tempfile.mkdtemp(prefix="akamai-prof-nobody-")
    os.chmod(folder, 0o755)
    os.chown(folder, NOBODY, NOBODY)
    shutil.copy(simulator.ca_file, folder + "/ca.pem")
    os.chmod(folder + "/ca.pem", 0o644)
    secrets = dict(re.findall(r"^(\w+)\s*=\s*(.*)$", simulator.read("edgerc"), re.M))
    environment = {"YAEGI_HTTP_URL": simulator.url, "YAEGI_HTTP_CLIENT_TOKEN": secrets["client_token"],
                   "YAEGI_HTTP_CLIENT_SECRET": secrets["client_secret"],
                   "YAEGI_HTTP_ACCESS_TOKEN": secrets["access_token"]}
    try:
        result = run(os.path.join(programs, "akamai-direct-prof"), "-ca-file", folder + "/ca.pem", "-out",
                     folder + "/out", "-duration", "20s", "-initial-interval", "11h", *arguments, cwd="/",
                     user=NOBODY, group=NOBODY, extra_groups=[], env=environment_of(simulator, environment))
        record = read_json(folder + "/out") if os.path.exists(folder + "/out/run.json") else None
        return result.returncode, result.stderr.decode(), record
    finally:
        shutil.rmtree(folder)


@test
def test_without_rights():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody without rights")
    programs = programs_for_everybody(BUILD, FOLDERS.name)
    with Simulator(BUILD, "--events", "500", "--event-size", "lean", "--config-id", "1") as simulator:
        status, stderr, record = as_nobody(simulator, programs)
        equal((status, record), (1, None), "exit status and run.json: " + stderr)
        contains(stderr, "CAP_BPF")
        contains(stderr, "setcap")
        contains(stderr, "-no-profile")
        equal(simulator.requests(), [], "the requests")
        status, stderr, record = as_nobody(simulator, programs, "-no-profile")
        equal(status, 0, "the exit status with -no-profile: " + stderr)
        equal(record["totals"]["events"], 500, "the events")
        equal((record["confinement"]["user_changed"], record["confinement"]["seccomp"]), (False, True),
              "the confinement")
        status, stderr, _ = as_nobody(simulator, programs, "-no-profile", "-user", "root")
        equal(status, 1, "the exit status with -user root")
        contains(stderr, "only root")


def record_of(*arguments, **options):
    """akamai-prof record into a new folder: (result, folder)."""
    folder = tempfile.mkdtemp(dir=FOLDERS.name)
    return run(PROGRAM, "record", "-out", folder, *arguments, **options), folder


BUSY = [sys.executable, "-c", "while True: sum(range(1000))"]


@test
def test_record_of_a_process():
    profiling_needed()
    with running(*BUSY) as process:
        result, folder = record_of("-p", str(process.pid), "-duration", "3s", "-json")
        stderr = result.stderr.decode()
        equal(result.returncode, 0, "the exit status: " + stderr)
        equal(process.poll(), None, "the process's state")
        equal(sorted(os.listdir(folder)), ALL_OF_A_RECORD, "the files")
        contains(stderr, "it goes on")
        contains(stderr, "functions by their own CPU time")
        pprof_opens(folder)
        record = read_json(folder)
        equal(json.loads(result.stdout), record, "--json")
        equal((record["command"], record["pid"], record["command_line"], record["end_reason"]),
              ("record", process.pid, BUSY, "duration"), "what was recorded")
        at_least(record["profile"]["cpu"]["samples"], 10, "CPU samples")


@test
def test_record_of_a_command():
    profiling_needed()
    script = "import sys\nfor n in range(300): sum(range(20000))\nprint('its output')\nsys.exit(3)"
    result, folder = record_of("--", sys.executable, "-c", script)
    stderr = result.stderr.decode()
    equal(result.returncode, 0, "the exit status: " + stderr)
    equal(result.stdout, b"its output\n", "the command's output")
    contains(stderr, "exited with status 3")
    equal(sorted(os.listdir(folder)), ALL_OF_A_RECORD, "the files")
    record = read_json(folder)
    equal((record["target"]["exit_code"], record["end_reason"]), (3, "target ended"), "the end")
    contains(" ".join(record["command_line"]), "its output", "the command line")
    at_least(record["profile"]["heap"]["snapshots"][0]["alloc_objects"], 1, "allocations")
    pprof_opens(folder)


@test
def test_record_is_interrupted():
    profiling_needed()
    folder = tempfile.mkdtemp(dir=FOLDERS.name)
    process = subprocess.Popen([PROGRAM, "record", "-out", folder, "--", *BUSY], stderr=subprocess.PIPE)
    while b"recording process" not in process.stderr.readline():
        if process.poll() is not None:
            raise Failure("record ended")
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1].decode()
    equal(process.returncode, 0, "the exit status: " + stderr)
    equal(sorted(os.listdir(folder)), ALL_OF_A_RECORD, "the files")
    record = read_json(folder)
    equal((record["end_reason"], record["target"]["signal"]), ("stopped", signal.SIGTERM), "the end")
    equal(runs(record["pid"]), False, "that the command still runs")


@test
def test_record_of_a_process_that_ends():
    profiling_needed()
    process = subprocess.Popen([sys.executable, "-c", "import time\nwhile time.process_time() < 3: sum(range(1000))"])
    result, folder = record_of("-p", str(process.pid))
    process.wait()
    equal(result.returncode, 0, "the exit status: " + result.stderr.decode())
    contains(result.stderr.decode(), "it has ended")
    equal(sorted(os.listdir(folder)), ALL_OF_A_RECORD, "the files")
    at_least(read_json(folder)["profile"]["cpu"]["samples"], 3, "CPU samples")


def refuses(status, arguments, *parts):
    result, _ = record_of(*arguments)
    equal(result.returncode, status, f"the exit status of record {arguments}: {result.stderr.decode()}")
    for part in parts:
        contains(result.stderr.decode(), part)


@test
def test_record_says_what_cannot_be_recorded():
    refuses(2, [], "-p PID, or -- COMMAND")
    refuses(2, ["-p", "1", "--", "true"], "exclude each other")
    refuses(2, ["-p", "0"], "-p is 0")
    refuses(2, ["-pid", "1"], "did you mean -p?")
    refuses(2, ["true"], "is not a flag")
    with open("/proc/sys/kernel/pid_max", encoding="utf-8") as file:
        pid = int(file.read()) - 1
    while os.path.exists(f"/proc/{pid}"):
        pid -= 1
    refuses(1, ["-p", str(pid)], f"there is no process {pid}")
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    refuses(1, ["-p", str(zombie.pid)], "has ended already")
    zombie.wait()


@test
def test_record_of_a_kernel_thread():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                flags = int(file.read().rsplit(")", 1)[1].split()[6])
        except OSError:
            continue
        if flags & 0x200000:
            refuses(1, ["-p", pid], "a thread of the kernel")
            return
    raise Skip("no thread of the kernel is visible here (a container)")


@test
def test_record_of_what_belongs_to_somebody_else():
    if os.geteuid() != 0:
        raise Skip("only root can become somebody without rights")
    folder = tempfile.mkdtemp(dir=FOLDERS.name)
    os.chown(folder, NOBODY, NOBODY)
    program = os.path.join(programs_for_everybody(BUILD, FOLDERS.name), "akamai-prof")
    with running(*BUSY) as process:
        result = run(program, "record", "-out", folder, "-p", str(process.pid),
                     user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    equal(result.returncode, 1, "the exit status")
    contains(result.stderr.decode(), "belongs to user root")


@test
def test_record_of_a_command_that_is_not_there():
    profiling_needed()
    refuses(127, ["--", "no-such-command-here"], "there is no such command")
    refuses(126, ["--", "/etc/passwd"], "Permission denied")
    refuses(1, ["-user", "no-such-user", "--", "true"], "no such user")
    result, _ = record_of("-user", "nobody", "--", "id", "-u", cwd="/")
    equal((result.returncode, result.stdout), (0, b"65534\n"), "who runs the command: " + result.stderr.decode())


@test
def test_report_of_nothing():
    result = run(PROGRAM, "report", "/nonexistent/folder")
    equal(result.returncode, 1, "the exit status")
    contains(result.stderr.decode(), "/nonexistent/folder")
    for arguments in ([], ["a", "b"], ["-x"]):
        equal(run(PROGRAM, "report", *arguments).returncode, 2, f"the exit status of report {arguments}")


@test
def test_doctor():
    found = findings()
    for what in ("kernel", "CPU", "io_uring", "memlock", "kTLS", "trust", "clock", "user", "Landlock", "seccomp", "BTF",
                 "capabilities", "libraries"):
        if what not in found:
            raise Failure(f"doctor says nothing of {what}: {sorted(found)}")
        contains(("ok", "degraded", "missing"), found[what]["verdict"], "the verdicts")
        at_least(len(found[what]["text"]), 2, f"the text for {what}")
    text = run(PROGRAM, "doctor").stdout.decode()
    for what in found:
        contains(text, what)
    equal(run(PROGRAM, "doctor", "-all").returncode, 2, "the exit status with a wrong argument")


if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
