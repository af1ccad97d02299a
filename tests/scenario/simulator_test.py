#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The simulator against an independent client.

usage: simulator_test.py SIMULATOR [PART-OF-A-TEST-NAME]     (output: TAP)
"""
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

import siem_client
from siem_client import (READ_WAIT_S, START_WAIT_S, Feed, Page, Skip, authorization, check_truth, drain, equal,
                         problem, target, true)

SIMULATOR = sys.argv[1]


class Server(siem_client.Server):
    def __init__(self, *arguments, plain=False):
        super().__init__(SIMULATOR, *arguments, plain=plain)


def run(*arguments):
    return subprocess.run([SIMULATOR, *arguments], capture_output=True, text=True, timeout=60)


def test_help_teaches():
    for spelling in ("--help", "-help", "-h"):
        result = run(spelling)
        equal(result.returncode, 0)
        true("usage: akamai-prof simulate" in result.stdout, "usage line")
    true(all(len(line) <= 100 for line in result.stdout.splitlines()), "a help line is too long")


def test_wrong_options_are_explained():
    for arguments, text in (
            (["--evnets", "3"], "--events"), (["--truht=x"], "--truth"), (["--events"], "needs a value"),
            (["--events", "many"], "whole number"), (["--backlog", "13h"], "duration"),
            (["--framing", "smoke"], "chunked|length|close"), (["--plain=1"], "takes no value"),
            (["--fault", "cut-bdy:3"], "no such fault"), (["--fault", "cut-body:0"], "EVERY"),
            (["--fault", "cut-body:1:x"], "COUNT"), (["--fault", "cut-body:1:1:5"], "no ARG"),
            (["--fault", "stall:1:1:soon"], "ARG"), (["--key", "x"], "belong together"),
            (["--config-id", "a"], "whole numbers"), (["events"], "unknown option")):
        result = run(*arguments)
        equal(result.returncode, 2, f"{arguments}")
        true(text in result.stderr, f"{arguments}: {result.stderr!r} lacks {text!r}")


def test_cannot_run_is_status_1():
    with Server("--events", "10", plain=True) as server:
        result = run("--plain", "--listen", server.host, "--events", "10")
        equal(result.returncode, 1)
        true("cannot listen" in result.stderr, result.stderr)
    result = run("--certificate", "/nonexistent", "--key", "/nonexistent")
    equal(result.returncode, 1)
    true("/nonexistent" in result.stderr, result.stderr)


def test_edgerc_is_ready_to_use():
    folder = tempfile.mkdtemp(prefix="simulator-test-")
    path = os.path.join(folder, "edgerc")
    with Server("--events", "10", "--edgerc-out", path, "--client-secret", "another=", "--client-token", "ct",
                "--access-token", "at") as server:
        equal(os.stat(path).st_mode & 0o777, 0o600, "mode")
        text = open(path).read()
        equal(text, f"[default]\nhost = {server.host}\nclient_token = ct\nclient_secret = another=\n"
                    "access_token = at\n")
        Page(server.get(target(offset="NULL"), client_token="ct", client_secret="another=", access_token="at"))
    shutil.rmtree(folder)


def test_drain_matches_truth():
    with Server("--events", "2600", "--config-id", "14227,1", "--config-id", "99") as server:
        for ids in ("14227", "1", "99"):
            connection = server.http()
            feed, pages = drain(server, ids, limit=700, connection=connection)
            equal([page.total for page in pages], [700, 700, 700, 500, 0])
            equal([page.limit for page in pages], [700, 700, 700, None, None])
            check_truth(server, feed, ids)
            equal(len(set(feed.lines)), 2600, "events that differ")
            true(all(json.loads(line)["attackData"]["configId"] == ids for line in feed.lines), "configId")
        true(pages[-1].offset != "" and pages[-1].offset == pages[-2].offset, "an empty page keeps the offset")
        truth = server.truth()
        equal(truth["configs"]["99"]["events_sent"], 2600)
        equal(truth["statuses"], {"200": 15})
        log = server.log(15)
        equal([entry["events"] for entry in log[:5]], [700, 700, 700, 500, 0])
        equal({(entry["mode"], entry["status"], entry["signature"], entry["complete"], entry["fault"])
               for entry in log}, {("offset", 200, True, True, None)})
        equal([entry["request"] for entry in log[:5]], [1, 2, 3, 4, 5], "keep-alive")


def test_events_are_realistic():
    for size, low, high, ratio_low, ratio_high in (("full", 1800, 2000, 6.2, 7.4), ("lean", 800, 1000, 5, 9)):
        with Server("--events", "3000", "--event-size", size, plain=True) as server:
            page = Page(server.get(target(offset="NULL", limit=3000)))
            mean = len(page.raw) / page.total
            true(low < mean < high, f"mean of {size}: {mean}")
            ratio = len(page.raw) / page.wire_bytes
            true(ratio_low < ratio < ratio_high, f"ratio of {size}: {ratio}")
            events = [json.loads(line) for line in page.lines]
            for event in events:
                equal((event["type"], event["format"], event["version"]), ("akamai_siem", "json", "1.0"))
                rules = urllib.parse.unquote(event["attackData"]["rules"]).split(";")
                true(all(base64.b64decode(rule) for rule in rules), "rules")
                actions = urllib.parse.unquote(event["attackData"]["ruleActions"]).split(";")
                equal(len(actions), len(rules), "parallel rule members")
                true(re.fullmatch(r"\d+(\.\d{3})?", event["httpMessage"]["start"]), "start")
            starts = [float(event["httpMessage"]["start"]) for event in events]
            true(starts != sorted(starts), "start times must not be in order")
            true(any("." in event["httpMessage"]["start"] for event in events), "fractions")
            true(b'\\"offset\\"' in page.raw, "no event looks like an offset context")


def test_same_seed_same_feed():
    shas = []
    epoch = str(int(time.time()))
    for seed, extra in (("7", []), ("7", ["--gzip-level", "1", "--crlf"]), ("8", [])):
        with Server("--events", "1200", "--seed", seed, "--epoch", epoch, *extra, plain=True) as server:
            feed, _ = drain(server, limit=500)
            check_truth(server, feed)
            shas.append(feed.sha256())
    equal(shas[0], shas[1], "equal seeds")
    true(shas[0] != shas[2], "other seed, same feed")


def test_offsets_are_opaque_and_bound():
    with Server("--events", "500", "--config-id", "1,2", plain=True) as server:
        connection = server.http()
        tokens, offset = [], "NULL"
        for _ in range(40):
            page = Page(server.get(target(offset=offset, limit=3), connection=connection))
            offset = page.offset
            tokens.append(offset)
        equal(len(set(tokens)), 40)
        for letter in ";+/=":
            true(any(letter in token for token in tokens), f"no token has {letter}")
        path = target("2", offset=tokens[0], limit=3)
        problem(server.get(path, connection=connection), 400, "missing-parameters", "offset")
        for broken in (tokens[0][:-1], tokens[0] + "A", "x", "71cca;", ""):
            problem(server.get(target(offset=broken), connection=connection), 400, "missing-parameters", "offset")
        plus = next(token for token in tokens if "+" in token)
        careless = f"/siem/v1/configs/1?offset={plus.replace(';', '%3B')}&limit=3"
        problem(server.get(careless, connection=connection), 400, "missing-parameters", "offset")
        again = [Page(server.get(target(offset=tokens[5], limit=3), connection=connection)).lines for _ in range(2)]
        equal(again[0], again[1], "the same offset again")
        equal(Page(server.get(target(offset="null"))).total, 500)


def test_time_windows():
    now = int(time.time())
    with Server("--events", "3000", "--epoch", str(now), "--backlog", "10m", plain=True) as server:
        connection = server.http()
        whole = Page(server.get(target(from_=now - 700, limit=9000), connection=connection))
        equal(whole.total, 3000)
        check_truth(server, Feed(whole))
        parts = Feed()
        edges = [now - 700, now - 600, now - 599, now - 400, now - 123, now - 122, now - 6, now]
        for start, end in zip(edges, edges[1:]):
            part = Page(server.get(target(from_=start, to=end, limit=9000), connection=connection))
            for line in part.lines:
                seen = float(json.loads(line)["httpMessage"]["start"])
                true(start - 3.01 <= seen < end, "event outside of the window")
            parts.add(part)
        equal(parts.sha256(), Feed(whole).sha256(), "windows put together")
        first = Page(server.get(target(from_=now - 300, to=now - 200, limit=50), connection=connection))
        equal((first.total, first.limit), (50, 50))
        more = Page(server.get(target(offset=first.offset, limit=9000), connection=connection))
        index = whole.lines.index(first.lines[0])
        equal(first.lines + more.lines, whole.lines[index:], "an offset goes on beyond the window")
        empty = Page(server.get(target(from_=now - 900, to=now - 800), connection=connection))
        equal((empty.total, empty.limit), (0, None))
        equal(Page(server.get(target(offset=empty.offset, limit=1))).lines, whole.lines[:1])


def test_parameter_rules():
    now = int(time.time())
    with Server("--events", "100", plain=True) as server:
        connection = server.http()
        for parameters, text in (({}, "missing"), ({"limit": 5}, "missing"), ({"to": now}, "missing"),
                                 ({"offset": "NULL", "from_": now - 60}, "not both"),
                                 ({"offset": "NULL", "to": now}, "not both"),
                                 ({"from_": now - 13 * 3600}, "out of range"), ({"from_": "abc"}, "illegal"),
                                 ({"from_": now + 3600}, "illegal"), ({"from_": now - 5, "to": now - 9}, "illegal"),
                                 ({"from_": now - 9, "to": now - 9}, "illegal"),
                                 ({"offset": "NULL", "limit": 0}, "illegal"),
                                 ({"offset": "NULL", "limit": "-4"}, "illegal"),
                                 ({"offset": "NULL", "page": 1}, "illegal")):
            problem(server.get(target(**parameters), connection=connection), 400, "missing-parameters", text)
        equal(Page(server.get(target(offset="NULL"), connection=connection)).total, 100, "limit has a default")
        Page(server.get(target(from_=now - 12 * 3600 + 30), connection=connection))


def test_expired_offset_is_416():
    # The backlog reaches back 12 h to the second, so its first events expire at once.
    with Server("--events", "100000", "--backlog", "12h", "--epoch", str(int(time.time()) - 60), plain=True) as server:
        oldest = Page(server.get(target(offset="NULL", limit=1)))
        true(server.log(1)[-1]["first"] > 0, "NULL must start at the oldest event that is kept")
        offset = oldest.offset
        end = time.monotonic() + START_WAIT_S
        while True:
            answer = server.get(target(offset=offset, limit=1))
            if answer.status != 200:
                break
            true(time.monotonic() < end, "never expires")
            time.sleep(0.2)
        problem(answer, 416, "offset-too-old", "Expired offset parameter")


def test_ids():
    with Server("--events", "400", "--config-id", "5,6,7", "--forbid-config", "8", plain=True) as server:
        problem(server.get(target("9", offset="NULL")), 404, "not-found", "does not exist")
        problem(server.get(target("8", offset="NULL")), 403, "unauthorized", "unauthorized")
        problem(server.get(target("5;8", offset="NULL")), 403, "unauthorized", "unauthorized")
        problem(server.get(target("5;9", offset="NULL")), 404, "not-found", "does not exist")
        problem(server.get(target("abc", offset="NULL")), 400, "missing-parameters", "illegal")
        singles = set()
        for ids in ("5", "6", "7"):
            singles |= set(drain(server, ids)[0].lines)
        both, _ = drain(server, "5;6;7", limit=333)
        escaped, _ = drain(server, "7%3B5%3b6", limit=1000)
        equal(both.lines, escaped.lines, "order and spelling of the list")
        equal(set(both.lines), singles, "a list has the events of its members")
        check_truth(server, both, "5;6;7")
        equal(server.get("/siem/v2/configs/5?offset=NULL").status, 404)
        equal(server.get("/").status, 404)


def test_signatures():
    with Server("--events", "10") as server:
        path = target(offset="NULL")
        good = server.get(path)
        Page(good)
        for name, what in (("client_secret", "x"), ("client_token", "x"), ("access_token", "x"), ("scheme", "http")):
            arguments = {name: what}
            if name == "scheme":
                header = {"Authorization": authorization(server.host, path, scheme="http")}
                answer = server.get(path, headers=header)
            else:
                answer = server.get(path, **arguments)
            body = problem(answer, 401, "deny", "signature" if name in ("client_secret", "scheme") else "token")
            equal(body["status"], 401)
        problem(server.get(path, headers={"Authorization": authorization(server.host, path + "&limit=1")}), 401,
                "deny", "signature")
        problem(server.get(path, headers={"Authorization": None}), 401, "deny", "missing")
        problem(server.get(path, headers={"Authorization": "Basic abc"}), 401, "deny", "invalid")
        problem(server.get(path, headers={"Authorization": "EG1-HMAC-SHA256 client_token=x"}), 401, "deny", "invalid")
        nonce = str(uuid.uuid4())
        Page(server.get(path, nonce=nonce))
        body = problem(server.get(path, nonce=nonce), 401, "deny", "nonce")
        true("already used" in body["detail"], body["detail"])
        for shift_s in (-25, 25):
            Page(server.get(path, shift_s=shift_s))
        for shift_s in (-40, 40, 86400):
            body = problem(server.get(path, shift_s=shift_s), 400, "request-error", "Invalid timestamp")
            equal((body["title"], body["status"]), ("Bad request", 400))
        equal([entry["signature"] for entry in server.log(16)].count(True), 5, "good signatures")
    with Server("--events", "10", "--no-auth") as server:
        Page(server.get(path, headers={"Authorization": None}))


def test_the_client_signs_as_the_official_vectors():
    path = os.path.join(os.environ.get("AKAMAI_PROF_SHARED_DATA", ""), "edgegrid-vectors.json")
    if not os.path.exists(path):
        raise Skip("no shared data")
    with open(path) as file:
        vectors = json.load(file)
    used = 0
    for vector in vectors["vectors"] + vectors["derived"]:
        if vector["method"] != "GET" or "python" not in vector.get("source", "python"):
            continue
        used += 1
        known = {**vectors["credentials"], **vector.get("credentials", {})}
        got = authorization(known["host"], vector["path_signed"], scheme=known["scheme"], nonce=known["nonce"],
                            client_token=known["client_token"], client_secret=known["client_secret"],
                            access_token=known["access_token"], timestamp=known["timestamp"],
                            signed_headers=vector.get("expected_canonical_headers", ""))
        equal(got, vector["expected_authorization"], vector["name"])
    true(used >= 5, f"only {used} vectors")


def test_signed_headers():
    with Server("--events", "10", "--headers-to-sign", "X-Test1,X-Test2", plain=True) as server:
        path = target(offset="NULL")
        signed = "x-test1:a b\tx-test2:C"
        Page(server.get(path, headers={"X-Test1": "a   b ", "X-Test2": "C"}, signed_headers=signed))
        problem(server.get(path, headers={"X-Test1": "ab", "X-Test2": "C"}, signed_headers=signed), 401, "deny",
                "signature")


def test_plain_accepts_the_scheme_of_a_terminator():
    with Server("--events", "10", plain=True) as server:
        path = target(offset="NULL")
        Page(server.get(path, headers={"Authorization": authorization(server.host, path, scheme="https")}))


def test_official_error_shapes():
    folder = os.environ.get("AKAMAI_PROF_SHARED_DATA", "")
    if not os.path.isdir(os.path.join(folder, "akamai-apis")):
        raise Skip("no shared data")
    faults = ("offset-too-old", "rate-limit", "error-500", "error-503")
    with Server("--events", "10", "--forbid-config", "2", plain=True,
                *[word for name in faults for word in ("--fault", f"{name}:1:1")]) as server:
        offset = None
        answers = {}
        for _ in faults:
            # The first signed requests are hit in the order of the options; 416 needs an offset.
            answer = server.get(target(offset=offset or "NULL"))
            answers[answer.status] = answer
        page = Page(server.get(target(offset="NULL")))
        answers[416] = server.get(target(offset=page.offset))
        answers[400] = server.get(target())
        answers[403] = server.get(target("2", offset="NULL"))
        answers[404] = server.get(target("3", offset="NULL"))
        for status in (400, 403, 404, 416, 429, 500, 503):
            with open(os.path.join(folder, "akamai-apis", f"siem-{status}.json")) as file:
                official = json.load(file)
            ours = json.loads(answers[status].body)
            equal(list(ours), list(official), f"members of {status}")
            equal((ours["type"], ours["title"], ours["method"]),
                  (official["type"], official["title"], official["method"]), f"{status}")
            true(ours["detail"].startswith(official["detail"]), f"detail of {status}: {ours['detail']}")


def test_every_spelling_carries_the_same_feed():
    epoch = str(int(time.time()))
    seen = set()
    for number, arguments in enumerate((
            [], ["--crlf"], ["--blank-lines"], ["--crlf", "--blank-lines"], ["--multi-member"], ["--no-gzip"],
            ["--context-style", "blanks"], ["--context-style", "quoted"], ["--context-style", "reordered"],
            ["--framing", "length"], ["--framing", "close"], ["--chunk-bytes", "1000"], ["--record-bytes", "600"],
            ["--prepare", "0", "--gzip-level", "9"], ["--multi-member", "--crlf", "--context-style", "blanks"])):
        with Server("--events", "1100", "--epoch", epoch, *arguments, plain=number % 2 == 1) as server:
            feed, pages = drain(server, limit=450)
            equal(len(feed.lines), 1100, f"{arguments}")
            seen.add(feed.sha256())
            if "--multi-member" in arguments:
                true(all(page.members > 1 for page in pages[:-1]), "several members")
            if "--crlf" in arguments:
                equal(pages[0].raw.count(b"\n"), pages[0].raw.count(b"\r\n"))
            if "--blank-lines" in arguments:
                true(re.search(rb"\n\r?\n", pages[0].raw), "blank lines")
            if "--no-gzip" in arguments:
                equal(pages[0].members, 0)
            identity = Page(server.get(target(offset="NULL", limit=450), gzip=False))
            equal((identity.lines, identity.members), (pages[0].lines, 0), "identity")
            last = pages[0].raw.rstrip().split(b"\n")[-1]
            if "blanks" in arguments:
                true(last.startswith(b'{ "total": 450, "offset":"'), last)
            if "quoted" in arguments:
                true(b'"limit":"450"' in last, last)
            if "reordered" in arguments:
                true(last.startswith(b'{"offset":') and b"\\/" in pages[0].raw.split(b"\n")[-2] + last, last)
    equal(len(seen), 1, "different feeds")


def test_framing_and_connections():
    with Server("--events", "100", plain=True) as server:
        path = target(offset="NULL", limit=5)
        received, end = server.raw(path, "Connection: close\r\n")
        equal(end, "clean")
        true(b"transfer-encoding: chunked" in received.lower() and received.endswith(b"\r\n0\r\n\r\n"), received[:300])
        for header in (b"\r\nDate: ", b"\r\nServer: ", b"\r\nVary: Accept-Encoding\r\n",
                       b"\r\nContent-Type: application/json\r\n", b"\r\nConnection: close\r\n"):
            true(header in received, f"{header} is missing")
        received, end = server.raw(path, version="HTTP/1.0")
        true(b"Content-Length: " in received and b"chunked" not in received, "HTTP/1.0 has no chunks")
        # Two requests in one write, then one byte at a time, on one connection.
        connection = server.connect()
        requests = b""
        for last in (False, True):
            requests += (f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\n{'Connection: close' if last else 'X: y'}\r\n"
                         f"Authorization: {authorization(server.host, path, scheme='http')}\r\n\r\n").encode()
        connection.sendall(requests[:-400])
        for index in range(len(requests) - 400, len(requests)):
            connection.sendall(requests[index:index + 1])
        received = b""
        while part := connection.recv(65536):
            received += part
        equal(received.count(b"HTTP/1.1 200 OK\r\n"), 2, "pipelined answers")
        equal(received.count(b'{"total":5,'), 2)
        connection.close()


def test_bad_requests():
    with Server("--events", "10", plain=True) as server:
        for request, status in ((b"hello\r\n\r\n", b"400"), (b"GET / HTTP/9.9\r\n\r\n", b"400"),
                                (b"GET /siem/v1/configs/1 HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
                                (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
                                (b"GET /siem/v1/configs/%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
                                (b"POST /siem/v1/configs/1 HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
                                (b"GET / HTTP/1.1\r\nX: " + b"y" * 40000 + b"\r\n\r\n", b"400"),
                                (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n", b"400"),
                                (b"GET / HTTP/1.1\r\nX: \0\r\n\r\n", b"400")):
            connection = server.connect()
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while part := connection.recv(65536):
                received += part
            equal(received[:12], b"HTTP/1.1 " + status, f"{request[:60]}")
            connection.close()


def test_approximate_limits():
    with Server("--events", "1000", "--bucket-events", "50", plain=True) as server:
        page = Page(server.get(target(offset="NULL", limit=97)))
        equal((page.total, page.limit), (100, 97), "up to the bucket's border")
        page = Page(server.get(target(offset="NULL", limit=101)))
        equal((page.total, page.limit), (101, 101), "the border is too far")
        feed, _ = drain(server, limit=98)
        check_truth(server, feed)
    with Server("--events", "1000", "--bucket-events", "50", "--page-limit-slack", "0", plain=True) as server:
        equal(Page(server.get(target(offset="NULL", limit=97))).total, 97)


def test_endless_pool():
    with Server("--event-size", "lean", "--config-id", "1,2", plain=True) as server:
        connection = server.http()
        first = Page(server.get(target(offset="NULL", limit=30000), connection=connection))
        equal((first.total, first.limit), (30000, 30000))
        equal(len(set(first.lines)), 30000, "different events in the pool")
        second = Page(server.get(target(offset=first.offset, limit=2500), connection=connection))
        equal((second.total, second.lines), (2500, first.lines[:2500]), "the pool repeats")
        third = Page(server.get(target(offset=second.offset, limit=1), connection=connection))
        equal(third.lines, first.lines[2500:2501])
        now = int(time.time())
        window = Page(server.get(target(from_=now - 1800, to=now - 1799, limit=50000), connection=connection))
        true(19000 <= window.total <= 21000, f"{window.total} events in one second")
        equal(window.limit, None)
        other = Page(server.get(target("2", offset="NULL", limit=1000), connection=connection))
        true(other.lines[0] not in first.lines, "each id has its own events")
        truth = server.truth()
        equal(truth["configs"]["1"]["sha256"], None)
        equal(truth["configs"]["1"]["events_sent"], 30000 + 2500 + 1 + window.total)


def test_bounded_pool():
    # 60 ids share the pool: each has 1,000 different events, and then the same again.
    ids = ",".join(str(number) for number in range(60))
    with Server("--event-size", "lean", "--content", "pool", "--events", "2300", "--config-id", ids) as server:
        feed, _ = drain(server, "7", limit=450)
        check_truth(server, feed, "7")
        equal((len(set(feed.lines)), feed.lines[:1000]), (1000, feed.lines[1000:2000]))


def test_events_arrive_in_real_time():
    begin = time.time()
    with Server("--rate", "500", "--backlog", "20s", "--events", "100000", plain=True) as server:
        connection = server.http()
        page = Page(server.get(target(offset="NULL", limit=100000), connection=connection))
        true(page.total >= 15 * 500, f"{page.total} events in the backlog")
        offset, count = page.offset, page.total
        end = time.monotonic() + START_WAIT_S
        while count < 9000:
            true(time.monotonic() < end, "no new events")
            page = Page(server.get(target(offset=offset, limit=100000), connection=connection))
            offset, count = page.offset, count + page.total
            for line in page.lines:
                start = float(json.loads(line)["httpMessage"]["start"])
                true(start <= time.time() - 5, "the newest 5 s must be withheld")
            time.sleep(0.1)
        true(count <= (time.time() - begin + 20) * 500 + 1000, "too many events")


def test_tls_choices():
    with Server("--events", "10", "--tls-versions", "1.2", "--key-type", "rsa", "--ciphers",
                "ECDHE-RSA-AES128-GCM-SHA256") as server:
        connection = server.connect()
        equal((connection.version(), connection.cipher()[0]), ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"))
        connection.close()
        context = server.tls()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.wrap_socket(socket.create_connection(server.address), server_hostname="127.0.0.1")
            raise AssertionError("TLS 1.3 was accepted")
        except ssl.SSLError:
            pass
        Page(server.get(target(offset="NULL")))
    with Server("--events", "10", "--tls-versions", "1.3", "--ciphers", "TLS_CHACHA20_POLY1305_SHA256") as server:
        connection = server.connect()
        equal((connection.version(), connection.cipher()[0]), ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"))
        connection.close()
    with Server("--events", "10") as server:
        for name in ("localhost", "127.0.0.1"):
            connection = server.tls().wrap_socket(socket.create_connection(server.address), server_hostname=name)
            equal((connection.version(), connection.cipher()[0]), ("TLSv1.3", "TLS_AES_128_GCM_SHA256"))
            connection.close()
        # A stranger that talks no TLS does not disturb the others.
        stranger = socket.create_connection(server.address)
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        stranger.close()
        Page(server.get(target(offset="NULL")))


def test_many_at_once():
    with Server("--events", "1500", "--config-id", "1,2,3", "--prepare", "0", "--connections", "4") as server:
        truth = server.truth()
        failures = []

        def one(number):
            try:
                ids = str(number % 3 + 1)
                feed, _ = drain(server, ids, limit=400 + number)
                equal(feed.sha256(), truth["configs"][ids]["sha256"])
            except Exception as error:  # reported by the main thread
                failures.append(repr(error))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(failures, [])


def test_small_cache_keeps_serving():
    # 16 MiB hold about 60,000 compressed events or 8,000 plain ones: most plain pages are made again.
    with Server("--events", "12000", "--cache", "16", plain=True) as server:
        feed, _ = drain(server, limit=4000, gzip=False)
        check_truth(server, feed)
        again, _ = drain(server, limit=4000, gzip=False)
        equal(again.sha256(), feed.sha256())


def test_slow_reader_is_cut_off():
    with Server("--events", "9000", "--no-gzip", "--answer-limit", "1s", plain=True) as server:
        connection = server.connect()
        path = target(offset="NULL", limit=9000)
        connection.sendall((f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\n"
                            f"Authorization: {authorization(server.host, path, scheme='http')}\r\n\r\n").encode())
        equal((server.log(1)[0]["complete"], server.truth()["configs"]["1"]["events_sent"]), (False, 0))
        connection.close()


def test_paced_answers_are_whole():
    with Server("--events", "400", "--pace", "2000", "--chunk-bytes", "4000") as server:
        feed, _ = drain(server, limit=400)
        check_truth(server, feed)


def test_ends_after_max_requests():
    with Server("--events", "10", "--max-requests", "2", plain=True) as server:
        server.get(target(offset="NULL"))
        equal(server.process.poll(), None)
        server.get(target(offset="NULL"))
        equal(server.process.wait(timeout=START_WAIT_S), 0)
        with open(server.file("truth")) as file:
            equal(json.load(file)["requests"], 2)


def test_stops_while_serving():
    for number in (signal.SIGINT, signal.SIGTERM):
        with Server("--events", "600", "--fault", "stall:1::1h") as server:
            connection = server.connect()
            path = target(offset="NULL")
            connection.sendall((f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\n"
                                f"Authorization: {authorization(server.host, path)}\r\n\r\n").encode())
            true(connection.recv(100), "some bytes")
            idle = server.connect()
            server.process.send_signal(number)
            equal(server.process.wait(timeout=START_WAIT_S), 0)
            idle.close()
            connection.close()


def test_curl():
    if not shutil.which("curl"):
        raise Skip("no curl")
    with Server("--events", "1000") as server:
        path = target(offset="NULL", limit=1000)
        result = subprocess.run(["curl", "-sS", "--compressed", "--cacert", server.file("ca"), "-H",
                                 "Authorization: " + authorization(server.host, path), f"https://{server.host}{path}"],
                                capture_output=True, timeout=READ_WAIT_S, check=False)
        equal((result.returncode, result.stderr), (0, b""))
        lines = result.stdout.splitlines()
        equal(json.loads(lines[-1])["total"], 1000)
        truth = server.truth()["configs"]["1"]
        equal(hashlib.sha256(b"".join(line + b"\n" for line in lines[:-1])).hexdigest(), truth["sha256"])


if __name__ == "__main__":
    sys.exit(siem_client.main(globals(), sys.argv[2] if len(sys.argv) > 2 else ""))
