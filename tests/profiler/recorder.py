# SPDX-License-Identifier: Apache-2.0
"""What the profiler's tests share: `akamai-prof record` as a process, the targets, and TAP with loud skips."""
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pprof_reader

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
import harness  # noqa: E402 (found by the line above)
from harness import Failure, Skip  # noqa: E402

WAIT_SECONDS_MAX = 120  # for something that must come; never a measure of speed


def check(holds, text):
    if not holds:
        raise Failure(text)


def close_to(got, want, relative, what):
    check(abs(got - want) <= relative * want, f"{what} is {got}, wanted {want} within {100 * relative:g} %")


def wait_for(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"waited {WAIT_SECONDS_MAX} s for {what}")
        time.sleep(0.02)


class Host:
    """Where the product and the targets are, and a folder for what they leave."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.folder = tempfile.mkdtemp(prefix="akamai-prof-profiler-")
        os.chmod(self.folder, 0o755)

    def target(self, name):
        return os.path.join(self.build, "tests", "profiler", name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def record(self, *arguments, command=None, pid=None):
        """Starts `akamai-prof record`."""
        return Recording(self, arguments, command, pid)

    def recorded(self, *arguments, command=None, pid=None):
        """Runs `akamai-prof record` to its end, which must be a good one."""
        return self.record(*arguments, command=command, pid=pid).finish()


class Recording:
    def __init__(self, host, arguments, command, pid):
        self.out = tempfile.mkdtemp(prefix="out-", dir=host.folder)
        line = [os.path.join(host.build, "akamai-prof"), "record", "-out", self.out, "-quiet"]
        line += [str(argument) for argument in arguments]
        line += ["-p", str(pid)] if pid is not None else ["--"] + [str(word) for word in command]
        self.line = " ".join(line)
        self.log = open(os.path.join(self.out, "log"), "w+b")
        # A session of its own, so that what it starts can be ended with it.
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        self._files = {}

    def output(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self):
        """Waits for the end, whatever it is; returns the exit status."""
        try:
            return self.process.wait(timeout=WAIT_SECONDS_MAX)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.line} does not end: {self.output()}") from error
        finally:
            self.end_all()

    def end_all(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()

    def finish(self):
        status = self.wait()
        check(status == 0, f"{self.line} ended with {status}: {self.output()}")
        return self

    def interrupt(self):
        """What ctrl-C does, to the recorder alone."""
        os.kill(self.process.pid, signal.SIGINT)
        return self.finish()

    def until(self, path):
        """Waits until the target has written its truth; returns it."""
        wait_for(lambda: os.path.exists(path) or self.process.poll() is not None, path)
        if not os.path.exists(path):
            self.finish()
            raise Failure(f"{self.line} ended without {path}: {self.output()}")
        return read_json(path)

    def profile(self, name):
        if name not in self._files:
            self._files[name] = pprof_reader.Profile(os.path.join(self.out, name + ".pprof"))
        return self._files[name]

    @property
    def cpu(self):
        return self.profile("cpu")

    @property
    def off_cpu(self):
        return self.profile("offcpu")

    @property
    def heap(self):
        return self.profile("heap")

    @property
    def faults(self):
        return self.profile("faults")

    @property
    def run(self):
        return read_json(os.path.join(self.out, "run.json"))

    @property
    def said(self):
        """What run.json says of the profile."""
        return self.run["profile"]

    def stacks_said(self):
        """(user stacks, complete ones) by the profiler's own count."""
        return self.said["stacks"]["user"], self.said["stacks"]["complete"]


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def three_sigma(share, samples):
    return 3 * math.sqrt(share * (1 - share) / samples)


CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38, "CAP_SYS_ADMIN": 21}


def host_cannot():
    """Why this host cannot profile with eBPF, found out without the product; None when it can."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "the kernel has no BTF (/sys/kernel/btf/vmlinux)"
    with open("/proc/self/status", encoding="utf-8") as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    if not held >> CAPABILITIES["CAP_SYS_ADMIN"] & 1:
        lacking = [name for name in ("CAP_BPF", "CAP_PERFMON") if not held >> CAPABILITIES[name] & 1]
        if lacking:
            return "this user lacks " + ", ".join(lacking)
    return None


def main(tests):
    """Runs (name, function) pairs, each with a Host; prints TAP. A second argument chooses by name."""
    cannot = host_cannot()
    host = Host(sys.argv[1])

    def with_host(function):
        def case():
            if cannot:
                raise Skip(cannot)
            function(host)
        return case

    try:
        harness.main([(name, with_host(function)) for name, function in tests], *sys.argv[2:3])
    finally:
        if os.environ.get("KEEP_PROFILES"):
            print(f"# profiles are in {host.folder}")
        else:
            host.remove()
