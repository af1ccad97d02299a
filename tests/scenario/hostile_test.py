# SPDX-License-Identifier: Apache-2.0
"""The collector against servers and outputs that misbehave in ways the simulator has no fault for: whatever comes, it
neither hangs nor loses nor mixes events, and it says what was wrong.

usage: hostile_test.py BUILD_FOLDER [ONLY]
"""
import gzip
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import Failure, at_least, clean_environment, contains, equal, lacks, main

BUILD = sys.argv[1]
TESTS = []


def test(function):
    TESTS.append((function.__name__.removeprefix("test_").replace("_", " "), function))
    return function


def event(number, pad=0, config_id="1"):
    return json.dumps({"attackData": {"configId": config_id}, "httpMessage": {"start": str(1700000000 + number)},
                       "number": number, "pad": "x" * pad}).encode()


def context(total, offset):
    return json.dumps({"total": total, "offset": offset, "limit": 1000}).encode()


def page_of(lines, offset):
    return b"".join(line + b"\n" for line in lines) + context(len(lines), offset) + b"\n"


def answer(body, head=b""):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), head) + body


class Server:
    """Plain HTTP on a free port; `handler(socket, target)` answers one request, and ends the connection by returning
    something true."""

    def __init__(self, handler):
        self.handler = handler
        self.targets = []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.socket.getsockname()[1]
        self.folder = tempfile.mkdtemp(prefix="akamai-prof-hostile-")
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection:
                while True:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        part = connection.recv(65536)
                        if not part:
                            return
                        request += part
                    target = request.split(b" ")[1].decode()
                    self.targets.append(target)
                    if self.handler(connection, target):
                        return
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        subprocess.run(["rm", "-rf", self.folder], check=False)

    def path(self, name):
        return os.path.join(self.folder, name)

    def command(self, *arguments):
        url = f"http://127.0.0.1:{self.port}/siem/v1"
        return [os.path.join(BUILD, "akamai-direct-prof"), "-url", url, "-no-profile", "-duration", "40s",
                "-backoff", "20ms", "-out", self.path("out"), *arguments]

    def environment(self):
        return clean_environment({"YAEGI_HTTP_CLIENT_TOKEN": "akab-token", "YAEGI_HTTP_CLIENT_SECRET": "c2VjcmV0",
                                  "YAEGI_HTTP_ACCESS_TOKEN": "akab-access"})

    def start(self, *arguments, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(self.command(*arguments), env=self.environment(), **options)

    def run(self, *arguments, timeout=60, **options):
        process = self.start(*arguments, **options)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise Failure(f"the collector hangs: {arguments}") from error
        stderr = (stderr or b"").decode(errors="replace")
        lacks(stderr, "Sanitizer")
        if process.returncode not in (0, 1, 2):
            raise Failure(f"the collector died with {process.returncode}: {stderr[-2000:]}")
        return process.returncode, stdout, stderr

    def record(self):
        with open(os.path.join(self.path("out"), "run.json"), encoding="utf-8") as file:
            return json.load(file)


def feed(pages):
    """A handler that answers from a dict of pages by offset; "" is the answer by time."""

    def handle(connection, target):
        found = re.search(r"offset=([^&]*)", target)
        connection.sendall(answer(pages[found.group(1) if found else ""]))

    return handle


@test
def test_streams_do_not_mix_within_a_line():
    """Two streams share one slow reader: a line that was taken half by the full output goes on before any other."""
    count = 1500

    def handle(connection, target):
        config_id = target.split("/configs/")[1].split("?")[0]
        lines = [event(n, 100 + n * 37 % 5000, config_id) for n in range(count)]
        connection.sendall(answer(page_of(lines, "next") if "from=" in target else page_of([], "end")))

    with Server(handle) as server:
        process = server.start("-config-id", "1,2,3,4", "-sink", "stdout", stderr=subprocess.DEVNULL)
        numbers = {"1": [], "2": [], "3": [], "4": []}
        time.sleep(1.0)
        for line in process.stdout:
            try:
                parsed = json.loads(line)
            except ValueError as error:
                process.kill()
                raise Failure(f"a mixed line: {line[:300]!r}") from error
            numbers[parsed["attackData"]["configId"]].append(parsed["number"])
        equal(process.wait(timeout=60), 0, "the exit status")
        for config_id, seen in numbers.items():
            equal(seen == list(range(count)), True, f"configId {config_id}: all events, in order")


@test
def test_blank_lines_without_end():
    """They need no memory, and do not stop the page."""
    body = gzip.compress(event(0) + b"\n" + b"\n" * 70_000_000 + event(1) + b"\r\n\r\n" + context(2, "end") + b"\n")

    def handle(connection, target):
        if "from=" in target:
            connection.sendall(answer(body, b"Content-Encoding: gzip\r\n"))
        else:
            connection.sendall(answer(page_of([], "end")))

    with Server(handle) as server:
        status, stdout, stderr = server.run("-sink", "stdout")
        equal(status, 0, "the exit status: " + stderr)
        equal(stdout, event(0) + b"\n" + event(1) + b"\r\n", "the events")


@test
def test_cursor_is_never_ahead_of_the_output():
    """When the output fails, the lines that were still on their way to it lie behind the cursor."""
    pages = {f"{n}" if n else "": page_of([event(n * 40 + k, 1000) for k in range(40)], f"{n + 1}")
             for n in range(100)}
    pages["100"] = page_of([], "100")
    with Server(feed(pages)) as server:
        output = server.path("events")
        status, _, stderr = server.run("-sink", "file:" + output, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (1_500_000, 1_500_000)))
        equal(status, 1, "the exit status")
        contains(stderr, "File too large")
        stream = server.record()["streams"][0]
        with open(output, "rb") as file:
            seen = file.read().count(b"\n")
        events = int(stream["cursor"] or "0") * 40
        if events > seen:
            raise Failure(f"cursor {stream['cursor']} says {events} events, but {seen} were written")
        at_least(events, 40, "the events before the cursor")
        equal(stream["events"] - stream["events_uncommitted"], events, "the events that are not behind the cursor")


@test
def test_follow_hands_on_at_once():
    """A quiet feed's events are written when they come, not when a buffer is full."""
    with Server(feed({"": page_of([event(0)], "1"), "1": page_of([], "1")})) as server:
        process = server.start("-sink", "stdout", "-follow", stderr=subprocess.DEVNULL)
        timer = threading.Timer(15, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        equal(line, event(0) + b"\n", "the event that came")
        process.terminate()
        process.stdout.read()
        equal(process.wait(timeout=60), 0, "the exit status")


SMALL = {"": page_of([event(n) for n in range(50)], "1"), "1": page_of([], "1")}
ALL_OF_SMALL = b"".join(event(n) + b"\n" for n in range(50))


@test
def test_closed_standard_descriptors():
    """What is said to nobody must not land in the events' file, and events for nobody are an error."""
    with Server(feed(SMALL)) as server:
        for closed in ((1,), (2,), (0, 2), (0, 1, 2)):
            output = server.path("events" + "".join(map(str, closed)))
            # A shell closes descriptors before it executes; subprocess would need them itself.
            script = "exec \"$@\" " + " ".join(f"{fd}>&-" for fd in closed)
            process = subprocess.run(["sh", "-c", script, "sh", *server.command("-sink", "file:" + output)],
                                     env=server.environment(), check=False, timeout=60, capture_output=True)
            equal(process.returncode, 0, f"the exit status with {closed} closed")
            with open(output, "rb") as file:
                equal(file.read(), ALL_OF_SMALL, f"the events with {closed} closed")
        for arguments in (["-sink", "stdout"], ["-json"]):
            process = subprocess.run(["sh", "-c", "exec \"$@\" >&-", "sh", *server.command(*arguments)],
                                     env=server.environment(), check=False, timeout=60, capture_output=True)
            equal(process.returncode, 1, f"the exit status with {arguments} to a closed stdout")
            contains(process.stderr.decode(), "standard output cannot be written")


@test
def test_json_on_a_full_disk():
    with Server(feed(SMALL)) as server, open("/dev/full", "wb") as full:
        status, _, stderr = server.run("-json", stdout=full)
        equal(status, 1, "the exit status")
        contains(stderr, "standard output cannot be written: No space left")


@test
def test_out_folder_is_looked_at_first():
    """A run of a day must not find out at its end that it cannot write its record."""
    with Server(feed(SMALL)) as server:
        status, _, stderr = server.run("-out", "/proc/no-such-folder")
        equal(status, 1, "the exit status")
        contains(stderr, "-out")
        equal(server.targets, [], "the requests")
        status, _, stderr = server.run("-out", "")
        equal(status, 2, "the exit status")
        contains(stderr, "-out names no folder")


@test
def test_nobody_there():
    """The last sentence promises no further attempt."""
    with Server(feed(SMALL)) as server:
        server.socket.shutdown(socket.SHUT_RDWR)
        status, _, stderr = server.run("-quiet")
        equal(status, 1, "the exit status")
        contains(stderr.splitlines()[-3], "cannot connect (Connection refused); no answer in 3 attempts")


@test
def test_file_that_ends_within_a_line():
    """What a killed run left half must not swallow the first event of the next."""
    with Server(feed(SMALL)) as server:
        output = server.path("events")
        with open(output, "wb") as file:
            file.write(b'{"cut": "in the mid')
        equal(server.run("-sink", "file:" + output)[0], 0, "the exit status")
        with open(output, "rb") as file:
            equal(file.read(), b'{"cut": "in the mid\n' + ALL_OF_SMALL, "the file")


@test
def test_killed_and_started_again():
    """run.json is written meanwhile: from its cursor on nothing is missing."""
    total = 60

    def handle(connection, target):
        found = re.search(r"offset=([^&]*)", target)
        number = int(found.group(1)) if found else 0
        time.sleep(0.3)
        lines = [event(number * 10 + k) for k in range(10)] if number < total else []
        connection.sendall(answer(page_of(lines, str(min(number + 1, total)))))

    with Server(handle) as server:
        output = server.path("events")
        process = server.start("-sink", "file:" + output, stderr=subprocess.DEVNULL)
        time.sleep(11.5)
        process.kill()
        process.communicate()
        record = server.record()
        equal((record["exit_status"], record["streams"][0]["end_reason"]), (None, "running"), "the state in run.json")
        cursor = record["streams"][0]["cursor"]
        at_least(int(cursor), 10, "the cursor")
        with open(output, "rb") as file:
            before = {json.loads(line)["number"] for line in file.read().split(b"\n")[:-1]}
        at_least(len(before), int(cursor) * 10, "the events that the cursor stands for")
        equal(server.run("-cursor", cursor, "-sink", "file:" + output)[0], 0, "the exit status")
        with open(output, "rb") as file:
            after = {json.loads(line)["number"] for line in file.read().splitlines()}
        equal(after, set(range(total * 10)), "all events")


@test
def test_error_body_without_end():
    """The status is known and its text cut: nothing more is waited for."""

    def handle(connection, target):
        if len(server.targets) > 1:
            connection.sendall(answer(page_of([], "end")))
            return
        connection.sendall(b"HTTP/1.1 503 Busy\r\n\r\n" + b"x" * 1_000_000)
        time.sleep(30)

    with Server(handle) as server:
        status, _, stderr = server.run("-duration", "20s")
        equal(status, 0, "the exit status: " + stderr)
        contains(stderr, "status 503")


@test
def test_two_signals_within_a_page():
    """At once, but not without what the output would have taken; and what it did not take is not counted."""

    def handle(connection, target):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for number in range(2000 if slow else 20_000):
            connection.sendall(event(number, 100 if slow else 1000) + b"\n")
            time.sleep(0.02 if slow else 0)

    for engine in ("uring", "poll"):
        for slow in (True, False):
            with Server(handle) as server:
                process = server.start("-sink", "stdout", "-io", engine if engine == "poll" else "auto",
                                       stderr=subprocess.DEVNULL)
                time.sleep(1.0)
                process.terminate()
                time.sleep(0.3)
                process.terminate()
                equal(process.wait(timeout=20), 0, "the exit status")
                stream = server.record()["streams"][0]
                lines = process.stdout.read().count(b"\n")
                equal(stream["events_uncommitted"], stream["events"], "the events behind the cursor")
                at_least(lines, 10, "the lines that were written")
                if slow:
                    equal(lines, stream["events"], "the lines that were written")


main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
