#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`akamai-prof record` profiles any process: languages, stripped, static, of other users, short-lived children; and
says what is wrong where it cannot.

usage: any_process_test.py BUILD_FOLDER [PART_OF_A_NAME]
"""
import os
import pwd
import shutil
import signal
import subprocess
import time

import recorder
from recorder import Skip, check, wait_for

HZ = 999
SAMPLES_MIN = 100  # of one busy second, on a machine that does other things too


class Running:
    """A process to be profiled by its pid; killed at the end, with what it has started."""

    def __init__(self, *command, user=None, environment=None):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, user=user,
                                        stdout=subprocess.DEVNULL, env=environment, start_new_session=True)
        self.pid = self.process.pid

    def __enter__(self):
        # It has executed its own program, and is past its start.
        wait_for(lambda: cpu_ticks(self.pid) >= 2 or self.process.poll() is not None, "the target to be busy")
        check(self.process.poll() is None, f"{self.process.args} has ended with {self.process.returncode}")
        return self

    def __exit__(self, *_):
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def cpu_ticks(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            parts = file.read().rsplit(")", 1)[1].split()
        return int(parts[11]) + int(parts[12])
    except OSError:
        return 0


def process_state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def second_of(host, running, *arguments):
    return host.recorded("-hz", HZ, "-duration", "1s", *arguments, pid=running.pid)


def check_functions(recording, wanted, share_min=0.9):
    """At least `share_min` of the samples go through each of the functions."""
    total = recording.cpu.total("samples")
    check(total >= SAMPLES_MIN, f"only {total} samples: {recording.output()}")
    for name in wanted:
        count = recording.cpu.total("samples", lambda sample, name=name: any(name in got for got in sample.names))
        check(count >= share_min * total, f"{count} of {total} samples go through {name}: " +
              str(sorted(recording.cpu.samples, key=lambda sample: -sample.values["samples"])[:3]))


def c_program(host):
    with Running(host.target("split"), 2, 0) as running:
        recording = second_of(host, running)
    check_functions(recording, ["split_worker"], 0.98)
    counts = recording.cpu.by_function("samples", {"two_thirds", "one_third"})
    check(counts["two_thirds"] > counts["one_third"], f"{counts}")
    for name in ("cpu", "offcpu", "heap", "faults"):
        recording.profile(name)


def started_with_a_duration(host):
    recording = host.recorded("-hz", HZ, "-duration", "1s", command=[host.target("split"), 1, 0])
    check_functions(recording, ["split_worker", "main", "_start"], 0.98)


def ended_by_a_signal(host):
    with Running(host.target("split"), 1, 0) as running:
        recording = host.record("-hz", HZ, "-duration", "1h", pid=running.pid)
        time.sleep(1.5)
        check(recording.process.poll() is None, f"it has ended: {recording.output()}")
        recording.interrupt()
        check(running.process.poll() is None, "interrupting the recorder has ended its target")
    check_functions(recording, ["split_worker"])


def target_is_killed(host):
    with Running(host.target("split"), 1, 0) as running:
        recording = host.record("-hz", HZ, "-duration", "1h", pid=running.pid)
        time.sleep(1.5)
        os.kill(running.pid, signal.SIGKILL)
        recording.finish()
    check_functions(recording, ["split_worker"])


def static_program(host):
    with Running(host.target("split_static"), 1, 0) as running:
        check_functions(second_of(host, running), ["split_worker", "main"], 0.95)


def stripped(host):
    """No names but the functions' starts, from the unwind information; stacks are as deep as before."""
    path = host.path("split_stripped")
    subprocess.run(["strip", "-o", path, host.target("split")], check=True)
    with Running(path, 1, 0) as running:
        recording = second_of(host, running)
    check_functions(recording, ["split_stripped!fde_"], 0.9)
    busiest = max(recording.cpu.samples, key=lambda sample: sample.values["samples"])
    # split_worker's callee, split_worker, main, two of the C library, _start.
    check(len(busiest.frames) == 6, f"frames of the busiest stack: {busiest}")
    check(any("libc_start_main" in name for name in busiest.names), f"libc's exported name is missing: {busiest}")


def separate_debug_files(host):
    """Names come from debug files that the system has, by build id; never from a file that the program names
    (.gnu_debuglink): whoever profiles would open it with their own rights."""
    path = host.path("split_linked")
    subprocess.run(["objcopy", "--only-keep-debug", host.target("split"), path + ".debug"], check=True)
    subprocess.run(["strip", "-o", path, host.target("split")], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={path}.debug", path], check=True)
    with Running(path, 2, 0) as running:
        recording = second_of(host, running)
    check_functions(recording, ["split_linked!fde_"], 0.9)
    build_id = next(mapping["build_id"] for mapping in recording.cpu.mappings if "/libc.so" in mapping["file"])
    if not os.path.exists(f"/usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"):
        raise Skip("the C library's debug file is not installed (Debian: libc6-dbg)")
    # The second is exported under this name (Debian 12), or only called so inside (13, where it is __GI___clone3 too).
    named = recording.cpu.total("samples", lambda sample: sample.names[-2:] in (["start_thread", "clone3"],
                                                                               ["start_thread", "__clone3"]))
    check(named >= 0.3 * recording.cpu.total("samples"), "start_thread is not named, though libc6-dbg is installed")


def deleted_program(host):
    """Its file is gone, as after an update."""
    path = host.path("split_deleted")
    shutil.copy(host.target("split"), path)
    with Running(path, 1, 0) as running:
        os.unlink(path)
        check_functions(second_of(host, running), ["split_worker", "main"], 0.95)


CPP = r"""
#include <map>
#include <string>
namespace shop { struct counter {
  __attribute__((noinline)) unsigned long busy(unsigned long x)
  { for (int i = 0; i < 100000; i++) x = x * 6364136223846793005ul + 1; return x; }
}; }
int main() { shop::counter counter; std::map<std::string, unsigned long> seen;
  for (unsigned long x = 1;; x++) seen["key"] += counter.busy(x); }
"""


def cpp_program(host):
    source, path = host.path("busy.cc"), host.path("busy_cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(CPP)
    subprocess.run(["g++", "-O2", source, "-o", path], check=True)
    with Running(path) as running:
        recording = second_of(host, running)
    check_functions(recording, ["shop::counter::busy(unsigned long)", "main"])
    frame = next(frame for sample in recording.cpu.samples for frame in sample.frames if "busy" in frame.name)
    # GCC may append what it made of the function: .isra.0
    check(frame.system_name.startswith("_ZN4shop7counter4busyEm"), f"the linker's name is {frame.system_name}")


GO = r"""package main
import "os"
//go:noinline
func busy(x uint64) uint64 { for i := 0; i < 1000000; i++ { x = x*3 + 1 }; return x }
func worker(x uint64) { for { x = busy(x); if x == 7 { os.Exit(1) } } }
func main() { go worker(1); worker(2) }
"""


def go_program(host):
    if not shutil.which("go"):
        raise Skip("go is not installed (Debian: golang-go)")
    source, path = host.path("busy.go"), host.path("busy_go")
    with open(source, "w", encoding="utf-8") as file:
        file.write(GO)
    environment = dict(os.environ, GOCACHE=host.path("go-cache"), GO111MODULE="off", HOME=host.folder)
    subprocess.run(["go", "build", "-o", path, source], check=True, env=environment, stdout=subprocess.DEVNULL)
    with Running(path) as running:
        check_functions(second_of(host, running), ["main.busy", "main.worker"])
    subprocess.run(["strip", path], check=True)
    with Running(path) as running:
        check_functions(second_of(host, running), ["main.busy", "main.worker"])


RUST = "fn busy(mut x: u64) -> u64 { for _ in 0..1000000 { x = x.wrapping_mul(3) + 1; } x }\n" \
       "#[inline(never)] fn worker() { let mut x = 1; loop { x = unsafe { std::ptr::read_volatile(&busy(x)) }; } }\n" \
       "fn main() { worker() }\n"


def rust_program(host):
    if not shutil.which("rustc"):
        raise Skip("rustc is not installed")
    source, path = host.path("busy.rs"), host.path("busy_rs")
    with open(source, "w", encoding="utf-8") as file:
        file.write(RUST)
    subprocess.run(["rustc", "-O", "-g", source, "-o", path], check=True)
    with Running(path) as running:
        check_functions(second_of(host, running), ["busy::worker"])


def python_program(host):
    """The interpreter's own stack: its functions by name, or by where they start."""
    with Running("/usr/bin/python3", "-c", "while True: sum(range(1000))") as running:
        recording = second_of(host, running)
    check_functions(recording, ["_start"], 0.95)
    deep = sum(sample.values["samples"] for sample in recording.cpu.samples if len(sample.frames) >= 6)
    check(deep >= 0.9 * recording.cpu.total("samples"), "stacks of the interpreter are short")


def generated_code(host):
    """Made by mprotect while it is recorded; its name is in /tmp/perf-PID.map."""
    recording = host.recorded("-hz", HZ, "-duration", "2s", command=[host.target("jit")])
    check_functions(recording, ["generated_loop"], 0.95)
    root = ["generated_loop", "run_generated", "main"]
    whole = recording.cpu.total("samples", lambda sample: sample.names[:3] == root)
    check(whole >= 0.9 * recording.cpu.total("samples"), f"stacks above generated code: {recording.cpu.samples[:3]}")


def generated_code_of_the_past(host):
    """The same, but the process has ended when its map is read."""
    recording = host.recorded("-hz", HZ, command=[host.target("jit"), 1])
    os.unlink(f"/tmp/perf-{recording.run['pid']}.map")
    check_functions(recording, ["generated_loop"], 0.9)


def many_pieces_of_code(host):
    """More than the profiler can search one by one: the functions of files are still known."""
    recording = host.recorded("-hz", HZ, "-heap-rate", 0, command=[host.target("pieces"), 6000])
    check_functions(recording, ["_start"], 0.8)
    check(recording.cpu.total("samples", lambda sample: sample.has("work_between")) >= SAMPLES_MIN, recording.output())


def short_lived_threads(host):
    """A thread for each millisecond of work, at a tenth of a sample each."""
    truth_path = host.path("brief.json")
    command = [host.target("brief"), 1000, 1000, truth_path]
    recording = host.recorded("-hz", 99, "-heap-rate", 0, command=command)
    truth = recorder.read_json(truth_path)["cpu_ns"]
    # 100 samples: one standard deviation is 10 %.
    seen = recording.cpu.total("cpu", lambda sample: sample.has("brief_work"))
    recorder.close_to(seen, truth, 0.5, "CPU of short threads")
    unseen = host.recorded("-hz", 99, "-heap-rate", 0, "-no-follow", command=command)
    check("which no sample shows" in unseen.output(), f"nothing is said of unseen threads: {unseen.output()}")


def stops_itself(host):
    """A command that stops itself stays stopped until somebody else lets it go on."""
    for _ in range(5):
        recording = host.record(command=["sh", "-c", "echo $$ > $0/pid; kill -STOP $$; touch $0/on", host.folder])
        path, on_path = host.path("pid"), host.path("on")
        wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "the command's start")
        with open(path, encoding="utf-8") as file:
            pid = int(file.read())
        wait_for(lambda: process_state(pid) == "T" or os.path.exists(on_path), "the command to stop")
        time.sleep(0.3)  # in which nothing must happen
        check(not os.path.exists(on_path), "somebody has let the command go on")
        os.kill(pid, signal.SIGCONT)
        recording.finish()
        check(os.path.exists(on_path), "the command did not go on")
        os.unlink(path)
        os.unlink(on_path)


def ends_although_stopped(host):
    """The recording is over, and the command that it started stands still: it is told to end, and does."""
    recording = host.record("-duration", "1s", command=["sh", "-c", "kill -STOP $$; sleep 100"])
    recording.finish()
    check(recording.run["target"]["ended"], f"the command still runs: {recording.output()}")


def changes_user(host):
    """A setuid program: the kernel takes events away from it."""
    if os.geteuid() != 0:
        raise Skip("only root can make a program of another user's")
    path = host.path("split_setuid")
    shutil.copy(host.target("split"), path)
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    os.chmod(path, 0o4755)
    recording = host.recorded("-hz", HZ, command=[path, 1, 30000])
    check_functions(recording, ["split_worker"], 0.9)


def other_user(host):
    if os.geteuid() != 0:
        raise Skip("only root can start a process as another user")
    path = host.path("split_nobody")
    shutil.copy(host.target("split"), path)
    os.chmod(path, 0o755)
    with Running(path, 1, 0, user=pwd.getpwnam("nobody").pw_uid) as running:
        check_functions(second_of(host, running), ["split_worker", "main"], 0.95)


def short_lived_children(host):
    """A shell that starts a program again and again, each of them for a few milliseconds."""
    script = "i=0; while [ $i -lt 60 ]; do \"$0\" 1 600; i=$((i+1)); done"
    recording = host.recorded("-hz", HZ, command=["sh", "-c", script, host.target("split")])
    total = recording.cpu.total("samples", lambda sample: "split" in (sample.labels.get("thread"), ) or
                                sample.has("split_worker"))
    named = recording.cpu.total("samples", lambda sample: sample.has("split_worker"))
    # Some 16 ms each, of which the first are over before what the new program has mapped could be read: on a busy
    # machine a third of them.
    check(total >= 100 and named >= total / 2, f"{named} samples in children's split_worker; of {total}, of "
                        f"{recording.cpu.total('samples')} in all")


def executed_again(host):
    """One process, another program."""
    recording = host.recorded("-hz", HZ, command=["sh", "-c", 'exec "$0" 1 30000', host.target("split")])
    check_functions(recording, ["split_worker", "main", "_start"], 0.9)
    check(recording.run, "run.json is missing")


def exit_status_of_the_command(host):
    """The command fails: the files are written all the same, and the status is told."""
    recording = host.record("-hz", HZ, command=["sh", "-c", "exit 7"])
    status = recording.wait()
    recording.profile("cpu")
    check(status in (0, 7) and "7" in recording.output() + str(recording.run),
          f"status {status}, said: {recording.output()}")


def refused(host, wanted, command=None, pid=None):
    recording = host.record("-duration", "1s", command=command, pid=pid)
    status = recording.wait()
    text = recording.output().lower()
    check(status not in (0, None) and status > 0, f"it ended with {status}: {text}")
    check(any(part in text for part in wanted), f"the message names none of {wanted}: {text}")
    check(len(text.strip().splitlines()) <= 6, f"it speaks for too long: {text}")


def missing_pid(host):
    gone = subprocess.Popen(["true"])
    gone.wait()
    refused(host, ["no process", "no such process", "does not exist", "there is no"], pid=gone.pid)


def kernel_thread(host):
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            if int(file.read().rsplit(")", 1)[1].split()[6]) & 0x00200000:  # PF_KTHREAD
                return refused(host, ["kernel thread", "thread of the kernel"], pid=pid)
    raise Skip("no kernel thread can be seen from here")


def zombie(host):
    dead = subprocess.Popen(["true"])
    try:
        def has_ended():
            with open(f"/proc/{dead.pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        wait_for(has_ended, "a zombie")
        refused(host, ["zombie", "has ended", "already ended", "has exited"], pid=dead.pid)
    finally:
        dead.wait()


def unknown_command(host):
    refused(host, ["no such", "not found"], command=["/nonexistent/program"])


def several_at_once(host):
    """Two recordings of the same process do not disturb each other."""
    with Running(host.target("split"), 1, 0) as running:
        both = [host.record("-hz", HZ, "-duration", "1s", pid=running.pid) for _ in range(2)]
        for recording in both:
            recording.finish()
    for recording in both:
        check_functions(recording, ["split_worker"])


if __name__ == "__main__":
    recorder.main([
        ("a running C program, by its pid: all files", c_program),
        ("a command, for some time", started_with_a_duration),
        ("a signal ends the recording, not the target", ended_by_a_signal),
        ("the target is killed: the files are written", target_is_killed),
        ("C++: names for people, and the linker's", cpp_program),
        ("Go, stripped too", go_program),
        ("Rust", rust_program),
        ("Python", python_program),
        ("static", static_program),
        ("stripped", stripped),
        ("separate debug files: by build id only", separate_debug_files),
        ("a program whose file was deleted", deleted_program),
        ("generated code, named by /tmp/perf-PID.map", generated_code),
        ("generated code, of a process that has ended", generated_code_of_the_past),
        ("code in thousands of pieces", many_pieces_of_code),
        ("threads that live shorter than a sample", short_lived_threads),
        ("a command that stops itself", stops_itself),
        ("a command that stands still at the end", ends_although_stopped),
        ("a command that becomes another user", changes_user),
        ("of another user", other_user),
        ("short-lived children of a shell", short_lived_children),
        ("a shell that executes another program", executed_again),
        ("two recordings of one process", several_at_once),
        ("the status of a command that fails", exit_status_of_the_command),
        ("error: a pid that does not exist", missing_pid),
        ("error: a kernel thread", kernel_thread),
        ("error: a zombie", zombie),
        ("error: a command that does not exist", unknown_command),
    ])
