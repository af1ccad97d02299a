# SPDX-License-Identifier: Apache-2.0
"""Runs a client's processes on the client's cores and says what they used: CPU time of the whole process trees as the
kernel accounts it to who waits for them, memory from /proc while they run."""
import os
import signal
import subprocess
import threading
import time

SAMPLE_SECONDS = 0.05
SAMPLE_SECONDS_MANY = 0.25  # trees of many processes take longer to look at
MANY = 8


class Used:
    def __init__(self):
        self.wall_seconds = 0.0
        self.cpu_seconds = 0.0
        self.memory_bytes = 0  # the tree's, shared pages once
        self.rss_bytes_sum = 0  # the sum of the processes' own peaks
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


def field_bytes(path, name):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(name):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended, or is not for us to read
    return None


class Memory(threading.Thread):
    """What a tree's processes that live at the same time need: the largest sum of their resident pages, of those that
    several have each's share; and the largest sum of their peaks. The kernel's ru_maxrss would do for neither: it
    begins with the size of who forked, before exec."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids = pids
        self.peak_bytes = self.sum_bytes = 0
        self.ended = threading.Event()

    def run(self):
        pause = SAMPLE_SECONDS if len(self.pids) < MANY else SAMPLE_SECONDS_MANY
        while not self.ended.wait(pause):
            together, peaks, waiting = 0, 0, list(self.pids)
            while waiting:
                pid = waiting.pop()
                high = field_bytes(f"/proc/{pid}/status", "VmHWM:") or 0
                # Of another user's process only the whole is told.
                share = field_bytes(f"/proc/{pid}/smaps_rollup", "Pss:")
                together += high if share is None else share
                peaks += high
                waiting += children_of(pid)
            self.peak_bytes = max(self.peak_bytes, together)
            self.sum_bytes = max(self.sum_bytes, peaks)


def end_all(processes, used, timeout):
    used.failure = f"did not end within {timeout} s"
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def start(command, path, cores, environment):
    with open(path + ".out", "wb") as out, open(path + ".err", "wb") as err:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                env=environment, start_new_session=True,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def run(commands, folder, cores, environment, timeout):
    """Starts all commands at the same time, waits for all."""
    used = Used()
    paths = [os.path.join(folder, f"client-{number}") for number in range(len(commands))]
    begun = time.monotonic()
    processes = [start(command, path, cores, environment) for command, path in zip(commands, paths)]
    memory = Memory([process.pid for process in processes])
    timer = threading.Timer(timeout, end_all, (processes, used, timeout))
    memory.start()
    timer.start()
    for process, path in zip(processes, paths):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        used.cpu_seconds += usage.ru_utime + usage.ru_stime
        if process.returncode != 0 and not used.failure:
            text = read(path + ".err").decode(errors="replace").strip()
            used.failure = f"exit status {process.returncode}: {text[-400:]}"
    used.wall_seconds = time.monotonic() - begun
    timer.cancel()
    memory.ended.set()
    memory.join()
    used.memory_bytes, used.rss_bytes_sum = memory.peak_bytes, memory.sum_bytes
    used.outputs = [read(path + ".out") for path in paths]
    used.errors = [read(path + ".err") for path in paths]
    return used
