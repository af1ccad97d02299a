#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each of the simulator's faults, as an independent client sees it, and that the feed survives it.

usage: simulator_faults_test.py SIMULATOR [PART-OF-A-TEST-NAME]     (output: TAP)
"""
import http.client
import json
import ssl
import sys
import time
import zlib

import siem_client
from siem_client import (READ_WAIT_S, Page, Skip, check_truth, drain, equal, problem, target, true)

SIMULATOR = sys.argv[1]


class Server(siem_client.Server):
    def __init__(self, *arguments, plain=False):
        super().__init__(SIMULATOR, *arguments, plain=plain)


def http_date_s(answer):
    return time.mktime(time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone


def test_clock_skew():
    for shift_s in (3600, -90):
        with Server("--events", "10", "--fault", f"clock-skew:1::{shift_s}s", plain=True) as server:
            path = target(offset="NULL")
            answer = server.get(path)
            problem(answer, 400, "request-error", "Invalid timestamp")
            learnt_s = http_date_s(answer) - time.time()
            true(abs(learnt_s - shift_s) < 20, f"Date is off by {learnt_s}")
            Page(server.get(path, shift_s=learnt_s))


# What the first attempt shows under each fault that hits one page: (framing error, TLS end, what is wrong inside).
BROKEN_PAGES = ("cut-body", "early-close-notify", "fin-no-notify", "abrupt-close", "stall:1:1:200ms", "cut-gzip",
                "bad-gzip", "bad-crc", "missing-context", "broken-context", "wrong-total", "wrong-total:1:1:-2")


def split_fault(fault):
    return (fault, fault.split(":")[0]) if ":" in fault else (fault + ":1:1", fault)


def body_of(received):
    """Undoes chunking as far as it goes. Returns the bytes and whether the end was there."""
    body, rest = b"", received.split(b"\r\n\r\n", 1)[1]
    while True:
        head, separator, rest = rest.partition(b"\r\n")
        if not separator:
            return body, False
        size = int(head.split(b";")[0], 16)
        if size == 0:
            return body, True
        body += rest[:size]
        if len(rest) < size + 2:
            return body, False
        rest = rest[size + 2:]


def check_broken_page(name, received, end):
    body, whole = body_of(received)
    ends = {"fin-no-notify": "eof", "abrupt-close": end if end in ("eof", "reset") else "eof or reset"}
    equal(whole, name not in ("cut-body", "early-close-notify", "fin-no-notify", "abrupt-close", "stall"), "whole body")
    # Python's TLS reports a reset in either way; test_reset_is_a_reset looks at the socket itself.
    equal(end, ends.get(name, "clean"), "end of the connection")
    if name == "early-close-notify":
        true(received.endswith(b"\r\n"), "must stop at a chunk's border")
    decoder = zlib.decompressobj(31)
    try:
        text = decoder.decompress(body)
    except zlib.error:
        true(name in ("bad-gzip", "bad-crc"), "gzip is broken")
        return
    true(name not in ("bad-crc", "bad-gzip"), "gzip must be broken")
    equal(decoder.eof, whole and name != "cut-gzip", "end of gzip")
    if not decoder.eof:
        return
    lines = text.rstrip(b"\n").split(b"\n")
    if name == "missing-context":
        true(b"attackData" in lines[-1], "there is a context")
    elif name == "broken-context":
        try:
            json.loads(lines[-1])
            raise AssertionError("the context is whole")
        except ValueError:
            true(lines[-1].startswith(b'{"total":'), "part of a context")
    else:
        true(json.loads(lines[-1])["total"] != len(lines) - 1, "total is right")


def test_broken_pages():
    for fault in BROKEN_PAGES:
        order, name = split_fault(fault)
        with Server("--events", "900", "--fault", order) as server:
            received, end = server.raw(target(offset="NULL", limit=600), "Connection: close\r\n")
            try:
                check_broken_page(name, received, end)
            except AssertionError as error:
                raise AssertionError(f"{fault}: {error}") from None
            feed, _ = drain(server, limit=600)
            check_truth(server, feed)
            truth = server.truth()
            equal(truth["faults"], {name: 1}, fault)
            equal(server.log(1)[0]["fault"], name)


def test_reset_is_a_reset():
    with Server("--events", "900", "--fault", "abrupt-close:1:1", "--fault", "fin-no-notify:1:1", plain=True) as server:
        equal([server.raw(target(offset="NULL"))[1] for _ in range(2)], ["reset", "clean"])


HARMLESS = ("slow-drip:1:2:300ms", "tiny-chunks:1:2", "key-update:1:2:5", "interim:1:2")


def test_harmless_faults():
    for fault in HARMLESS:
        with Server("--events", "900", "--fault", fault) as server:
            path = target(offset="NULL", limit=600)
            received, end = server.raw(path, "Connection: close\r\n")
            name = fault.split(":")[0]
            if name == "interim":
                true(received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 "), received[:80])
                received = received.split(b"\r\n\r\n", 2)[2]
            if name == "tiny-chunks":
                true(b'\r\n7;note="a;b"\r\n' in received and b"X-Note: a trailer" in received[-60:], received[-60:])
            body, whole = body_of(received)
            equal((whole, end), (True, "clean"), fault)
            true(zlib.decompress(body, 31).count(b"\n") == 601, f"{fault}: lines")
            # http.client cannot read 103; everything else passes through it.
            feed, _ = drain(server, limit=900) if name != "interim" else (None, None)
            if feed:
                check_truth(server, feed)
            equal(server.truth()["faults"][name], 1 if name == "interim" else 2, fault)


def test_key_update_is_on_the_wire():
    context_type = ssl.SSLContext
    if not hasattr(context_type, "_msg_callback") or not ssl.HAS_TLSv1_3:
        raise Skip("this python cannot watch TLS messages")
    seen = []

    def watch(_connection, direction, _version, _content, kind, _data):
        if getattr(kind, "name", "") == "KEY_UPDATE":
            seen.append(direction)

    with Server("--events", "900", "--fault", "key-update:1:1:4") as server:
        context = server.tls()
        context._msg_callback = watch
        connection = http.client.HTTPSConnection(*server.address, context=context, timeout=READ_WAIT_S)
        page = Page(server.get(target(offset="NULL", limit=900), connection=connection))
        equal(page.total, 900)
        equal(seen.count("read"), 4, "updates from the server")
        more = Page(server.get(target(offset=page.offset), connection=connection))
        equal(more.total, 0)
        equal(seen.count("write"), 2, "updates that the server asked for")
        connection.close()


def test_fault_answers():
    expectations = {
        "offset-too-old": (416, "offset-too-old", "expired"), "rate-limit": (429, "too-many-requests", "too many"),
        "error-500": (500, "error", "internal"), "error-503": (503, "service-unavailable", "no available"),
        "nonce-used": (401, "deny", "nonce already used"), "bad-timestamp": (400, "request-error", "Invalid timestamp"),
    }
    arguments = [word for name in expectations for word in ("--fault", f"{name}:2:1")]
    with Server("--events", "300", *arguments, "--fault", "rate-limit:4:1:7s", plain=True) as server:
        connection = server.http()
        seen, offset, retry_after = [], "NULL", []
        while True:
            answer = server.get(target(offset=offset, limit=100), connection=connection)
            if answer.status == 200:
                offset = Page(answer).offset
                if len(seen) == 7:
                    break
                continue
            if answer.status == 429:
                retry_after.append(answer.headers["Retry-After"])
            status, slug, text = next(value for value in expectations.values() if value[0] == answer.status)
            problem(answer, status, slug, text)
            seen.append(status)
        equal(sorted(seen), [400, 401, 416, 429, 429, 500, 503])
        equal(sorted(retry_after), ["1", "7"])
        feed, _ = drain(server)
        check_truth(server, feed)
        equal(set(server.truth()["faults"]), set(expectations))


def test_answers_that_are_no_answers():
    with Server("--events", "30", "--fault", "html:1:1", "--fault", "redirect:1:1:https://127.0.0.1/x",
                "--fault", "not-http:1:1", plain=True) as server:
        path = target(offset="NULL")
        answer = server.get(path)
        equal((answer.status, answer.headers["Content-Type"]), (200, "text/html"))
        answer = server.get(path)
        equal((answer.status, answer.headers["Location"]), (302, "https://127.0.0.1/x"))
        received, end = server.raw(path)
        equal((received[:4] == b"HTTP", end), (False, "clean"))
        feed, _ = drain(server)
        check_truth(server, feed)


def test_fault_frequency():
    with Server("--events", "100", "--fault", "error-500:3:2", plain=True) as server:
        statuses = [server.get(target(offset="NULL")).status for _ in range(10)]
        equal(statuses, [200, 200, 500, 200, 200, 500, 200, 200, 200, 200])


def test_long_lines():
    with Server("--events", "120", "--fault", "long-line:50:1:500000", plain=True) as server:
        feed, _ = drain(server, limit=45)
        check_truth(server, feed)
        lengths = [len(line) for line in feed.lines]
        equal([index for index, length in enumerate(lengths) if length > 100000], [49])
        true(500000 < lengths[49] < 510000, f"{lengths[49]}")
        json.loads(feed.lines[49])


if __name__ == "__main__":
    sys.exit(siem_client.main(globals(), sys.argv[2] if len(sys.argv) > 2 else ""))
