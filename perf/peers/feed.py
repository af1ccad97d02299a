# SPDX-License-Identifier: Apache-2.0
"""The server side of the peers' bench: a simulator pinned to its own cores, what it says it sent, and signed requests
for clients that cannot sign."""
import copy
import hashlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
from flow import authorization, cpu_seconds_of, read_edgerc  # noqa: E402 (found by the line above)

BACKLOG_SECONDS = 3600
START_SECONDS_MAX = 300  # a pool of 60,000 events is compressed before the server is ready
LOG_SECONDS_MAX = 5
SETTLE_SECONDS = 0.5


def core_sets():
    """(cores of the client, cores of the server): never the same, nor two threads of one core where that can be."""
    cores = sorted(os.sched_getaffinity(0))
    client = cores[0]
    others = [core for core in cores if core != client]
    siblings = set()
    try:
        with open(f"/sys/devices/system/cpu/cpu{client}/topology/thread_siblings_list", encoding="ascii") as file:
            for part in file.read().strip().split(","):
                first, _, last = part.partition("-")
                siblings |= set(range(int(first), int(last or first) + 1))
    except OSError:
        pass
    apart = [core for core in others if core not in siblings]
    return {client}, set(apart or others or cores)


def busy_share(seconds=1.0):
    """What others take of this machine's cores, as long as we do nothing. A load average would also tell of the
    compiler that ended a minute ago."""
    def times():
        with open("/proc/stat", encoding="ascii") as file:
            words = [int(word) for word in file.readline().split()[1:9]]
        return sum(words), words[3] + words[4]  # idle, and waiting for a disk
    total, idle = times()
    time.sleep(seconds)
    total_then, idle_then = times()
    return 1 - (idle_then - idle) / max(1, total_then - total)


class Feed:
    """A simulator with so many configIds, which reads from the same second for every client."""

    def __init__(self, build, folder, streams, size, cores, *arguments):
        self.folder = folder
        self.streams = streams
        self.cores = cores
        self.config_ids = [str(number + 1) for number in range(streams)]
        self.ca_file, self.edgerc = self.path("ca.pem"), self.path("edgerc")
        command = [os.path.join(build, "akamai-prof"), "simulate", "--listen", "127.0.0.1:0",
                   "--port-file", self.path("port"), "--ca-out", self.ca_file, "--edgerc-out", self.edgerc,
                   "--config-id", ",".join(self.config_ids), "--event-size", size,
                   "--backlog", f"{BACKLOG_SECONDS}s", "--truth", self.path("truth"),
                   "--request-log", self.path("requests"), *arguments]
        self.start = int(time.time()) - BACKLOG_SECONDS - 60  # before the first event, for every client
        with open(self.path("log"), "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            preexec_fn=lambda: os.sched_setaffinity(0, cores))
        deadline = time.monotonic() + START_SECONDS_MAX
        while not os.path.exists(self.path("port")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the simulator did not start: " + self.read("log"))
            time.sleep(0.02)
        self.address = self.read("port").strip()
        self.url = f"https://{self.address}/siem/v1"
        self.credentials = read_edgerc(self.edgerc)

    def only(self, streams):
        """The same feed for a client that reads its first streams only."""
        view = copy.copy(self)
        view.streams, view.config_ids = streams, self.config_ids[:streams]
        return view

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """Ends it and returns its truth."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if os.path.exists(self.path("truth")):
            return json.loads(self.read("truth"))
        return {}

    def cpu_seconds(self):
        return cpu_seconds_of(self.process.pid)

    def log_position(self):
        return os.path.getsize(self.path("requests")) if os.path.exists(self.path("requests")) else 0

    def sent_since(self, position, requests):
        """What the server sent in so many requests, as it logged them: {"events", "bytes"}."""
        deadline = time.monotonic() + LOG_SECONDS_MAX
        while True:
            with open(self.path("requests"), encoding="utf-8") as file:
                file.seek(position)
                entries = [json.loads(line) for line in file.read().split("\n")[:-1]]
            if len(entries) >= requests or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if len(entries) != requests:  # a page may have been asked for twice, or never
            raise RuntimeError(f"the server logged {len(entries)} requests, {requests} were to be made")
        for entry in entries:
            if entry["status"] != 200 or not entry["signature"] or not entry["complete"]:
                raise RuntimeError(f"the server was not content with a request: {json.dumps(entry)}")
        return {name: sum(entry[name] for entry in entries) for name in ("events", "bytes")}

    def settle(self):
        """After a client that failed: waits until what it began is logged, which is not for the next one to find."""
        size = -1
        while size != self.log_position():
            size = self.log_position()
            time.sleep(SETTLE_SECONDS)

    def signed(self, target):
        return authorization(self.credentials, self.address, target)

    def walk(self, config_id, limit, pages):
        """Reads pages one after the other: [(target, compressed body, plain lines)]."""
        position = self.log_position()
        context = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(self.address, context=context)
        query, found = f"from={self.start}", []
        for _ in range(pages):
            target = f"/siem/v1/configs/{config_id}?{query}&limit={limit}"
            connection.request("GET", target, headers={"Accept-Encoding": "gzip",
                                                       "Authorization": self.signed(target)})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the simulator answers {answer.status}: {body[:200]}")
            lines = zlib.decompress(body, 31).rstrip(b"\n").split(b"\n")
            found.append((target, body, lines[:-1]))
            query = "offset=" + urllib.parse.quote(json.loads(lines[-1])["offset"], safe="")
        connection.close()
        self.sent_since(position, pages)  # so that nobody else finds these in the log
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def digest_of(lines):
    """As the simulator's truth has it: over every event's line with its end."""
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def versions():
    """What stood beside us, as Debian numbers it."""
    found = {}
    packages = ["golang-go", "yaegi", "curl", "gzip", "isal", "pigz", "jq", "python3", "libisal2"]
    if shutil.which("dpkg-query"):
        text = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\n", *packages],
                              capture_output=True, text=True, check=False).stdout
        for line in text.splitlines():
            name, status, version = (line.split(" ") + ["", ""])[:3]
            if status == "installed":
                found[name] = version
    return found
