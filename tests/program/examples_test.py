# SPDX-License-Identifier: Apache-2.0
"""The example programs, each against a small server that insists on what the real API does: method, headers, links,
ETags, cursors. The server fails in the middle (status 500, a body that is cut, a rate limit), the program is started
again with the state that it left, and the events delivered must be the server's: none missing, none twice, in order.

usage: examples_test.py BUILD_FOLDER [ONLY]
"""
import base64
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario"))
from harness import Failure, at_least, clean_environment, contains, equal, main  # noqa: E402

BUILD = sys.argv[1]
PROGRAMS = os.path.join(HERE, "..", "..", "src", "program", "examples")
TOKEN = "t0ken-of-the-mock"


class Mock:
    """A server on a free loopback port. `answer` of a subclass gets a request and returns (status, headers, body)."""

    def __init__(self):
        self.requests = []  # (time, method, target, headers, body)
        self.wrong = []  # what the real API would not have accepted
        self.faults = {}  # number of the request, from 1: "cut", or (status, headers)
        mock = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                mock.serve(self, body)

            do_GET = do_POST = serve

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def serve(self, handler, body):
        self.requests.append((time.monotonic(), handler.command, handler.path, handler.headers, body))
        fault = self.faults.pop(len(self.requests), None)
        if isinstance(fault, tuple):
            status, headers, answer = fault[0], fault[1], b'{"message": "made to fail"}'
        else:
            status, headers, answer = self.answer(handler, body)
        if self.wrong:
            status, headers, answer = 400, [], json.dumps({"wrong": self.wrong}).encode()
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        if status != 304:
            handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        if fault == "cut":
            handler.wfile.write(answer[:len(answer) // 2])
            handler.close_connection = True
        elif status != 304:
            handler.wfile.write(answer)

    def insist(self, condition, what):
        if not condition:
            self.wrong.append(what)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def event(number, **more):
    """An event whose spelling is its own: numbers, escapes and the order of keys must come through."""
    text = json.dumps({"uuid": f"e{number:06}", "z": number, "a": "\u00e4\u20ac \"quoted\" \\ /", **more},
                      separators=(",", ":"), ensure_ascii=number % 2 == 0)
    return text[:-1] + ',"ratio":1.50e0,"big":12345678901234567890,"none":null,"list":[1,[],{}]}'


class Okta(Mock):
    """The System Log: an array, two Link headers, always a next one."""

    def __init__(self, count, style="SSWS"):
        super().__init__()
        self.events = [event(i, eventType="user.session.start") for i in range(count)]
        self.style = style
        self.pretty = False

    def answer(self, handler, _):
        parts = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(parts.query, strict_parsing=True))
        self.insist(handler.command == "GET" and parts.path == "/api/v1/logs", f"{handler.command} {parts.path}")
        self.insist(handler.headers["Authorization"] == f"{self.style} {TOKEN}", "the Authorization header")
        self.insist(query.get("sortOrder") == "ASCENDING" and "until" not in query, "this is no polling query")
        limit = int(query.get("limit", 100))
        self.insist(1 <= limit <= 1000, f"a limit of {limit}")
        if "after" not in query:
            since = time.strptime(query["since"][:19], "%Y-%m-%dT%H:%M:%S")
            age = time.time() - (time.mktime(since) - time.timezone)
            self.insist(query["since"].endswith("Z") and 3500 < age < 3700, f"since {query['since']}")
        first = int(query.get("after", "0_0").split("_")[0])
        chosen = self.events[first:first + limit]
        query["after"] = f"{first + len(chosen)}_1"
        links = [("link", f'<{self.url}{handler.path}>; rel="self"'),
                 ("link", f'<{self.url}/api/v1/logs?{urllib.parse.urlencode(query)}>; rel="next"')]
        body = "[" + ",".join(chosen) + "]"
        if self.pretty:
            body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        return 200, links, body.encode()


class Github(Mock):
    """Events, newest first, in pages that Link headers join; ETags; an interval to poll in."""

    def __init__(self, count):
        super().__init__()
        self.events = []
        self.next_id = 40000000000
        self.poll_interval = "1"
        self.not_modified = 0
        self.add(count)

    def add(self, count, place=0):
        """New events; `place` from the newest end: events may appear late."""
        for _ in range(count):
            self.next_id += 1
            self.events.insert(place, event(self.next_id % 1000000, id=str(self.next_id)))

    def answer(self, handler, _):
        parts = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.insist(handler.command == "GET" and parts.path == "/repos/octo/cat/events", handler.path)
        self.insist(handler.headers["Accept"] == "application/vnd.github+json", "the Accept header")
        self.insist(handler.headers["User-Agent"], "requests without User-Agent are refused")
        self.insist(handler.headers["X-GitHub-Api-Version"] == "2022-11-28", "the version")
        self.insist(handler.headers["Authorization"] == f"Bearer {TOKEN}", "the Authorization header")
        page, size = int(query.get("page", 1)), int(query.get("per_page", 30))
        chosen = self.events[:300][(page - 1) * size:page * size]
        body = ("[" + ",".join(chosen) + "]").encode()
        tag = f'W/"{hash(tuple(self.events)) & 0xffffffffffff:x}-{page}"'
        headers = [("ETag", tag), ("X-Poll-Interval", self.poll_interval), ("X-RateLimit-Remaining", "4999")]
        if handler.headers["If-None-Match"] == tag:
            self.not_modified += 1
            return 304, headers, b""
        if page * size < min(len(self.events), 300):
            base = f"<{self.url}{parts.path}?per_page={size}&page="
            headers.append(("Link", f'{base}{page + 1}>; rel="next", {base}3>; rel="last"'))
        return 200, headers, body


class OnePassword(Mock):
    """The Events API: POST, cursors in the body."""

    def __init__(self, count, feature="auditevents"):
        super().__init__()
        self.events = [event(i, action="view") for i in range(count)]
        self.feature = feature

    def answer(self, handler, body):
        self.insist(handler.command == "POST" and handler.path == "/api/v2/" + self.feature, handler.path)
        self.insist(handler.headers["Authorization"] == f"Bearer {TOKEN}", "the Authorization header")
        self.insist(handler.headers["Content-Type"] == "application/json", "the Content-Type header")
        question = json.loads(body)
        if "cursor" in question:
            self.insist(list(question) == ["cursor"], f"a cursor with {question}")
            first, limit = json.loads(base64.b64decode(question["cursor"]))
        else:
            start = time.strptime(question["start_time"], "%Y-%m-%dT%H:%M:%SZ")
            age = time.time() - (time.mktime(start) - time.timezone)
            self.insist(3500 < age < 3700, f"start_time {question['start_time']}")
            first, limit = 0, question.get("limit", 100)
        self.insist(1 <= limit <= 1000, f"a limit of {limit}")
        chosen = self.events[first:first + limit]
        end = first + len(chosen)
        cursor = base64.b64encode(json.dumps([end, limit]).encode()).decode()
        answer = '{"cursor":"%s","has_more":%s,"items":[%s]}' % (
            cursor, "true" if end < len(self.events) else "false", ",".join(chosen))
        return 200, [("Content-Type", "application/json")], answer.encode()


class Run:
    """One run of the collector with an example."""

    def __init__(self, mock, program, folder, *arguments, **variables):
        output = os.path.join(folder, f"events-{time.monotonic_ns()}")
        command = [os.path.join(BUILD, "akamai-prof"), "-prog", os.path.join(PROGRAMS, program), "-no-profile",
                   "-quiet", "-duration", "60s", "-out", output + ".out", "-sink", "file:" + output, "-state",
                   os.path.join(folder, "state"), *arguments]
        environment = clean_environment({"HOME": folder, "YAEGI_HTTP_URL": mock.url, "YAEGI_HTTP_TOKEN": TOKEN,
                                         **{"YAEGI_HTTP_" + k: v for k, v in variables.items()}})
        process = subprocess.run(command, capture_output=True, check=False, timeout=120, env=environment)
        self.status, self.stderr = process.returncode, process.stderr.decode(errors="replace")
        self.lines = []
        if os.path.exists(output):
            with open(output, encoding="utf-8") as file:
                self.lines = file.read().split("\n")[:-1]
        self.record = None
        if os.path.exists(output + ".out/run.json"):
            with open(output + ".out/run.json", encoding="utf-8") as file:
                self.record = json.load(file)
        if mock.wrong:
            raise Failure(f"the real API would refuse this: {mock.wrong}")

    def drained(self, wanted, what):
        if self.status != 0:
            raise Failure(f"{what}: exit status {self.status}: {self.stderr[-2000:]}")
        equal(len(self.lines), len(wanted), what + ": the number of events")
        for number, (got, want) in enumerate(zip(self.lines, wanted), 1):
            equal(got, want, f"{what}: event {number}")
        if self.record:
            equal(self.record["streams"][0]["end_reason"], "drained", what + ": the end")


def with_mock(make):
    """A test gets its server and a folder."""

    def wrap(function):
        def run():
            mock, folder = make(), tempfile.mkdtemp(prefix="akamai-prof-examples-")
            try:
                function(mock, folder)
            finally:
                mock.stop()
                shutil.rmtree(folder)

        return run

    return wrap


@with_mock(lambda: Okta(1700))
def okta_pages(mock, folder):
    mock.faults = {2: (500, []), 4: "cut", 5: (429, [("X-Rate-Limit-Reset", str(int(time.time()) + 4))])}
    run = Run(mock, "okta_system_log.lua", folder)
    run.drained(mock.events, "all pages")
    equal(len(mock.requests), 5 + 3, "requests: five pages and three repeats")
    targets = [request[2] for request in mock.requests]
    equal((targets[1], targets[3], targets[4]), (targets[2], targets[4], targets[5]), "the repeats")
    protocol = run.record["streams"][0]["protocol"]
    equal((protocol["rate_limited"], protocol["server_errors"], protocol["network_errors"]), (1, 1, 1), "counters")


@with_mock(lambda: Okta(700))
def okta_restart(mock, folder):
    Run(mock, "okta_system_log.lua", folder).drained(mock.events, "the first run")
    seen, asked = len(mock.events), len(mock.requests)
    Run(mock, "okta_system_log.lua", folder).drained([], "a run with nothing new")
    contains(mock.requests[asked][2], "after=", "the first request of a second run")
    mock.events += [event(i) for i in range(seen, seen + 1200)]
    mock.faults = {len(mock.requests) + 2: (401, [])}
    failed = Run(mock, "okta_system_log.lua", folder)
    equal(failed.status, 1, "the exit status of a run that is refused")
    contains(failed.stderr, "made to fail", "its message")
    rest = Run(mock, "okta_system_log.lua", folder)
    equal(rest.status, 0, "the exit status: " + rest.stderr[-1000:])
    equal(failed.lines + rest.lines, mock.events[seen:], "events of the run that failed and of the next")
    at_least(len(failed.lines), 1, "events before the refusal")


@with_mock(lambda: Okta(300, style="Bearer"))
def okta_spelling(mock, folder):
    mock.pretty = True
    run = Run(mock, "okta_system_log.lua", folder, TOKEN_TYPE="Bearer", FILTER='eventType eq "user.session.start"')
    equal(run.status, 0, "the exit status: " + run.stderr[-1000:])
    equal([json.loads(line) for line in run.lines], [json.loads(line) for line in mock.events], "the events")
    contains(urllib.parse.unquote(mock.requests[0][2]), 'filter=eventType eq "user.session.start"', "the question")


@with_mock(lambda: Okta(10))
def okta_follows(mock, folder):
    def feed():
        while len(mock.events) < 30:
            time.sleep(0.1)
            mock.events.append(event(len(mock.events)))

    threading.Thread(target=feed, daemon=True).start()
    run = Run(mock, "okta_system_log.lua", folder, "-follow", "-duration", "5s", POLL_INTERVAL="300ms")
    equal(run.status, 0, "the exit status: " + run.stderr[-1000:])
    equal(run.lines, mock.events[:len(run.lines)], "the events")
    at_least(len(run.lines), 15, "events")


@with_mock(lambda: Github(250))
def github_pages(mock, folder):
    run = Run(mock, "github_events.lua", folder, FEED="repos/octo/cat")
    run.drained(mock.events[::-1], "the first run")
    equal(len(mock.requests), 3, "requests: three pages")
    Run(mock, "github_events.lua", folder, FEED="repos/octo/cat").drained([], "a run with nothing new")
    equal((len(mock.requests), mock.not_modified), (4, 1), "requests, and those answered 304")
    mock.add(20)
    mock.add(2, place=120)  # late ones, on the second page
    new = [e for e in mock.events if int(json.loads(e)["id"]) > 40000000250][::-1]
    mock.faults = {6: (500, []), 9: "cut"}
    run = Run(mock, "github_events.lua", folder, FEED="repos/octo/cat")
    run.drained(new, "a run with new and late events, after failures on the second and third page")


@with_mock(lambda: Github(20))
def github_follows(mock, folder):
    def feed():
        while len(mock.events) < 40:
            time.sleep(0.25)
            mock.add(1)

    threading.Thread(target=feed, daemon=True).start()
    run = Run(mock, "github_events.lua", folder, "-follow", "-duration", "7s", FEED="repos/octo/cat")
    equal(run.status, 0, "the exit status: " + run.stderr[-1000:])
    equal(run.lines, mock.events[::-1][:len(run.lines)], "the events")
    at_least(len(run.lines), 25, "events")
    times = [request[0] for request in mock.requests]
    at_least(min(b - a for a, b in zip(times, times[1:])), 0.95, "seconds between requests (X-Poll-Interval is 1)")


@with_mock(lambda: Github(120))
def github_limits(mock, folder):
    reset = str(int(time.time()) + 3)
    mock.faults = {1: (403, [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", reset)])}
    run = Run(mock, "github_events.lua", folder, FEED="repos/octo/cat")
    run.drained(mock.events[::-1], "after a rate limit")
    equal(run.record["streams"][0]["protocol"]["rate_limited"], 1, "rate limits")
    mock.add(1)
    mock.faults = {len(mock.requests) + 1: (403, [("X-RateLimit-Remaining", "17")])}
    run = Run(mock, "github_events.lua", folder, FEED="repos/octo/cat")
    equal(run.status, 1, "the exit status when GitHub forbids it")
    contains(run.stderr, "status 403", "its message")


@with_mock(lambda: OnePassword(2500))
def onepassword_pages(mock, folder):
    mock.faults = {2: "cut", 3: (503, []), 5: (429, [("Retry-After", "1")])}
    run = Run(mock, "onepassword_events.lua", folder)
    run.drained(mock.events, "all pages")
    equal(len(mock.requests), 3 + 3, "requests: three pages and three repeats")
    bodies = [request[4] for request in mock.requests]
    equal((bodies[1], bodies[2], bodies[4]), (bodies[2], bodies[3], bodies[5]), "the repeats")


@with_mock(lambda: OnePassword(1500, feature="signinattempts"))
def onepassword_restart(mock, folder):
    Run(mock, "onepassword_events.lua", folder, FEATURE="signinattempts").drained(mock.events, "the first run")
    asked = len(mock.requests)
    mock.events += [event(i) for i in range(1500, 3700)]
    mock.faults = {asked + 2: (401, [])}
    failed = Run(mock, "onepassword_events.lua", folder, FEATURE="signinattempts")
    equal(failed.status, 1, "the exit status of a run that is refused")
    contains(failed.stderr, "status 401", "its message")
    contains(mock.requests[asked][4].decode(), "cursor", "the first question of a second run")
    rest = Run(mock, "onepassword_events.lua", folder, FEATURE="signinattempts")
    equal(rest.status, 0, "the exit status: " + rest.stderr[-1000:])
    equal(failed.lines + rest.lines, mock.events[1500:], "events of the run that failed and of the next")
    at_least(len(failed.lines), 1, "events before the refusal")


TESTS = [
    ("okta: pages by Link header, status 500, a cut body, a rate limit", okta_pages),
    ("okta: goes on from the link that it left, also after a refusal", okta_restart),
    ("okta: arrays of several lines, OAuth tokens, a filter", okta_spelling),
    ("okta: -follow polls", okta_follows),
    ("github: pages, ETag and 304, late events, failures between pages", github_pages),
    ("github: -follow keeps to X-Poll-Interval", github_follows),
    ("github: rate limit and refusal", github_limits),
    ("1password: cursors in the body, a cut body, 503, Retry-After", onepassword_pages),
    ("1password: goes on from the cursor that it left, also after a refusal", onepassword_restart),
]

if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
