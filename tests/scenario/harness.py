# SPDX-License-Identifier: Apache-2.0
"""What scenario tests share: a simulator, a collector, and a TAP reporter. Python's standard library only."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback


class Simulator:
    """`akamai-prof simulate` on a free loopback port, with what a client needs to talk to it."""

    def __init__(self, build, *arguments, plain=False):
        self.folder = tempfile.mkdtemp(prefix="akamai-prof-scenario-")
        self.plain = plain
        self.ca_file = self.path("ca.pem")
        self.edgerc = self.path("edgerc")
        command = [os.path.join(build, "akamai-prof"), "simulate", "--listen", "127.0.0.1:0",
                   "--port-file", self.path("port"), "--edgerc-out", self.edgerc, "--truth", self.path("truth"),
                   "--request-log", self.path("requests")]
        command += ["--plain"] if plain else ["--ca-out", self.ca_file]
        with open(self.path("log"), "wb") as log:
            self.process = subprocess.Popen(command + list(arguments), stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while not os.path.exists(self.path("port")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the simulator did not start: " + self.read("log"))
            time.sleep(0.02)
        self.address = self.read("port").strip()

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    @property
    def url(self):
        return f"{'http' if self.plain else 'https'}://{self.address}/siem/v1"

    def requests(self):
        return [json.loads(line) for line in self.read("requests").splitlines()]

    def stop(self):
        """Ends the simulator and returns its truth."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        try:
            return json.loads(self.read("truth"))
        except (OSError, ValueError):
            return {}

    def remove(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["rm", "-rf", self.folder], check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Result:
    """What one run of the collector left."""

    def __init__(self, process, out, output):
        self.status = process.returncode
        self.stderr = process.stderr.decode(errors="replace")
        self.stdout = process.stdout
        self.record = None
        if os.path.exists(os.path.join(out, "run.json")):
            with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
                self.record = json.load(file)
        self.output = b""
        if os.path.exists(output):
            with open(output, "rb") as file:
                self.output = file.read()

    @property
    def protocol(self):
        return self.record["streams"][0]["protocol"]

    @property
    def stream(self):
        return self.record["streams"][0]

    @property
    def lines(self):
        return self.output.count(b"\n")

    @property
    def digest(self):
        return hashlib.sha256(self.output).hexdigest()


def command_of(build, simulator, out, output, sink=True, defaults=True, name="akamai-direct-prof"):
    command = [os.path.join(build, name), "-out", out]
    if defaults:
        command += ["-url", simulator.url, "-edgerc", simulator.edgerc, "-no-profile", "-duration", "60s",
                    "-backoff", "20ms"]
        if not simulator.plain:
            command += ["-ca-file", simulator.ca_file]
    if sink:
        command += ["-sink", "file:" + output]
    return command


def clean_environment(extra=None):
    """Nothing of this process's environment but what programs need to be found and sanitizers to be told."""
    kept = {key: os.environ[key] for key in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
    return {**kept, **(extra or {})}


def programs_for_everybody(build, parent):
    """A folder in `parent` with copies of the programs that every user can run: the build may lie below a folder
    that is somebody's own."""
    folder = tempfile.mkdtemp(dir=parent)
    os.chmod(folder, 0o755)
    for name in ("akamai-prof", "akamai-prof-simulator"):
        shutil.copy(os.path.join(build, name), folder)
    os.symlink("akamai-prof", os.path.join(folder, "akamai-direct-prof"))
    return folder


def environment_of(simulator, extra=None):
    return clean_environment({"HOME": simulator.folder, **(extra or {})})


def collect(build, simulator, *arguments, sink=True, environment=None, timeout=120, defaults=True,
            name="akamai-direct-prof"):
    """Runs the collector against the simulator, its events into a file."""
    out = simulator.path(f"out-{time.monotonic_ns()}")
    output = out + ".ndjson"
    command = command_of(build, simulator, out, output, sink, defaults, name)
    process = subprocess.run(command + list(arguments), capture_output=True, check=False, timeout=timeout,
                             env=environment_of(simulator, environment))
    return Result(process, out, output)


class Failure(Exception):
    pass


class Skip(Exception):
    """What this host lacks, so that the test cannot run; it is said loudly."""


def equal(got, want, what):
    if got != want:
        raise Failure(f"{what} is {got!r}, wanted {want!r}")


def at_least(got, want, what):
    if got < want:
        raise Failure(f"{what} is {got!r}, wanted at least {want!r}")


def contains(text, part, what="the output"):
    if part not in text:
        raise Failure(f"{what} lacks {part!r}: {text[-1500:]!r}")


def lacks(text, part, what="the output"):
    if part in text:
        raise Failure(f"{what} holds {part!r}")


def main(tests, only=None):
    """Runs (name, function) pairs and prints TAP."""
    chosen = [(name, function) for name, function in tests if not only or only in name]
    print(f"1..{len(chosen)}", flush=True)
    failed = False
    for number, (name, function) in enumerate(chosen, 1):
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception as error:  # a test that raises has failed, whatever it raises
            failed = True
            print(f"not ok {number} - {name}")
            text = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print("\n".join("# " + line for line in text.splitlines()), flush=True)
    sys.exit(1 if failed else 0)
