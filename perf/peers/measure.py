# SPDX-License-Identifier: Apache-2.0
"""Runs a client's processes on the client's cores and says what they used: CPU time of the whole process trees as the
kernel accounts it to who waits for them, memory from /proc while they run."""
import os
import signal
import subprocess
import threading
import time

SAMPLE_SECONDS = 0.05
SAMPLE_SECONDS_MANY = 0.1  # trees of many processes take longer to look at
MANY = 8


class Used:
    def __init__(self):
        self.wall_seconds = 0.0
        self.cpu_seconds = 0.0
        self.rss_bytes = 0
        self.outputs = []  # of each command, what it wrote to stdout
        self.errors = []
        self.failure = None


def children_of(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass  # it has ended
    return found


def sizes_of(pid):
    """(program, bytes that are its own, bytes that are mapped from files) as they are resident now; None: it ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        own, mapped = [sum(int(fields[name].split()[0]) * 1024 for name in names)
                       for names in (("RssAnon", "RssShmem"), ("RssFile",))]
    except (OSError, KeyError):
        return None
    try:
        return os.readlink(f"/proc/{pid}/exe"), own, mapped
    except OSError:  # it changed its user: not for us to read
        return fields["Name"].strip(), own, mapped


class Memory(threading.Thread):
    """What a tree's processes that live at the same time have resident, at most: the sum of each one's own pages, and
    for each program once the pages mapped from files, which its processes share. (The kernel's ru_maxrss begins with
    the size of who forked, before exec; its proportional sizes depend on strangers with the same libraries.)"""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids = pids
        self.peak_bytes = 0
        self.ended = threading.Event()

    def run(self):
        pause = SAMPLE_SECONDS if len(self.pids) < MANY else SAMPLE_SECONDS_MANY
        while not self.ended.wait(pause):
            total, mapped, waiting = 0, {}, list(self.pids)
            while waiting:
                pid = waiting.pop()
                waiting += children_of(pid)
                sizes = sizes_of(pid)
                if sizes:
                    total += sizes[1]
                    mapped[sizes[0]] = max(mapped.get(sizes[0], 0), sizes[2])
            self.peak_bytes = max(self.peak_bytes, total + sum(mapped.values()))


def end_all(processes):
    """Those that were not waited for yet: by now another process could have the others' numbers."""
    for process in [process for process in processes if process.returncode is None]:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def late(processes, used, timeout):
    used.failure = f"did not end within {timeout} s"
    end_all(processes)


def start(command, path, cores, environment):
    with open(path + ".out", "wb") as out, open(path + ".err", "wb") as err:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                env=environment, start_new_session=True,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def wait(process, path, used):
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    used.cpu_seconds += usage.ru_utime + usage.ru_stime
    if process.returncode != 0 and not used.failure:
        text = read(path + ".err").decode(errors="replace").strip()
        used.failure = f"exit status {process.returncode}: {text[-400:]}"


def run(commands, folder, cores, environment, timeout):
    """Starts all commands at the same time, waits for all."""
    used = Used()
    paths = [os.path.join(folder, f"client-{number}") for number in range(len(commands))]
    begun = time.monotonic()
    processes = [start(command, path, cores, environment) for command, path in zip(commands, paths)]
    memory = Memory([process.pid for process in processes])
    timer = threading.Timer(timeout, late, (processes, used, timeout))
    memory.start()
    timer.start()
    try:
        for process, path in zip(processes, paths):
            wait(process, path, used)
    finally:
        timer.cancel()
        end_all(processes)  # interrupted, they would go on
        memory.ended.set()
    used.wall_seconds = time.monotonic() - begun
    memory.join()
    used.rss_bytes = memory.peak_bytes
    used.outputs = [read(path + ".out") for path in paths]
    used.errors = [read(path + ".err") for path in paths]
    return used
