#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The http room against h11 and Python's http.client, neither of which is ours, as TAP.

usage: http_diff.py HTTP_DUMP [SEED]
Generated responses must be read by all of them as they were meant. Mutated ones must be read alike: what we
accept h11 accepts with the same meaning, what we refuse h11 refuses, but for the differences named in
STRICTER and LOOSER, each found again in the bytes themselves.
"""
import http.client
import io
import json
import random
import re
import struct
import subprocess
import sys

try:
    import h11
except ImportError:
    print("1..0 # SKIP no h11 (Debian: python3-h11)")
    sys.exit(0)

DUMP = sys.argv[1]
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
GENERATED = 2000
MUTATED = 12000
ACCEPTED, TRUNCATED, REFUSED = "accepted", "truncated", "refused"


def ours(inputs):
    """Parses all inputs in one process, each in random pieces, and returns the decoded lines."""
    framed = b"".join(struct.pack("<II", len(data), index) + data for index, data in enumerate(inputs))
    output = subprocess.run([DUMP], input=framed, stdout=subprocess.PIPE, check=True).stdout
    results = [json.loads(line) for line in output.splitlines()]
    assert len(results) == len(inputs), (len(results), len(inputs))
    for result in results:
        fault = result["fault"]
        result["verdict"] = (ACCEPTED if fault == "NONE" else
                             TRUNCATED if fault.startswith("HTTP_TRUNCATED") else REFUSED)
        result["body"] = bytes.fromhex(result["body"])
        for name in ("content_type", "location", "lines"):
            result[name] = bytes.fromhex(result[name])
    return results


def of_h11(data):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    result = {"verdict": None, "body": b"", "headers": [], "status": 0, "version": b"", "interim": 0}
    ended = False
    connection.receive_data(data)
    try:
        while result["verdict"] is None:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if ended:
                    result["verdict"] = TRUNCATED
                ended = True
                connection.receive_data(b"")
            elif isinstance(event, h11.InformationalResponse):
                result["interim"] += 1
            elif isinstance(event, h11.Response):
                result["status"], result["headers"] = event.status_code, list(event.headers)
                result["version"] = event.http_version
            elif isinstance(event, h11.Data):
                result["body"] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                result["verdict"] = ACCEPTED
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                result["verdict"] = TRUNCATED
    except h11.RemoteProtocolError as error:
        early = ("peer closed", "closed connection", "can't handle event type ConnectionClosed")
        result["verdict"] = TRUNCATED if any(text in str(error) for text in early) else REFUSED
        result["why"] = str(error)
    result["keep_alive"] = connection.their_state is h11.DONE
    result["rest"] = len(connection.trailing_data[0])
    return result


class FakeSocket:
    def __init__(self, data):
        self.data = data

    def makefile(self, mode):
        return io.BytesIO(self.data)


def of_http_client(data):
    # It neither trims values nor knows a list of equal lengths; that is not what it is asked about.
    head = head_of(data)[0]
    tidy = re.sub(rb"(?i)(content-length:[ \t]*\d+),[ \d]+", rb"\1", re.sub(rb"[ \t]+(\r?\n)", rb"\1", head))
    data = tidy + data[len(head):]
    try:
        response = http.client.HTTPResponse(FakeSocket(data), method="GET")
        response.begin()
        return {"verdict": ACCEPTED, "status": response.status, "body": response.read(),
                "type": response.getheader("Content-Type")}
    except (http.client.HTTPException, ValueError):
        return {"verdict": REFUSED}


class Generator:
    """Well-formed responses, together with what they mean."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def maybe(self, chance):
        return self.random.random() < chance

    def any_case(self, word):
        return "".join(self.random.choice((letter.lower(), letter.upper())) for letter in word)

    def blanks(self):
        return "".join(self.random.choices(" \t", k=self.random.randrange(3)))

    def line_end(self):
        return "\n" if self.bare else "\r\n"

    def header(self, name, value):
        return f"{self.any_case(name)}:{self.blanks()}{value}{self.blanks()}{self.line_end()}"

    def body(self):
        return self.random.randbytes(self.random.choice((0, 1, 2, 15, 16, 17, 200, 3000)))

    def chunked(self, body):
        coded = b""
        while body:
            size = min(self.random.randrange(1, 600), len(body))
            digits = self.random.choice(("%x", "%X", "%05x")) % size
            extension = self.random.choice(("", "", "", ";a", ";a=b", ';a="b;c"', "; a = b", "  ", "\t"))
            coded += f"{digits}{extension}\r\n".encode() + body[:size] + b"\r\n"
            body = body[size:]
        trailers = self.random.choice(("", "", "", "X: y\r\n", "X:\r\nContent-Length: 7\r\n"))
        return coded + f"{self.random.choice(('0', '000', '0;x'))}\r\n{trailers}\r\n".encode()

    def interim(self):
        head = "HTTP/1.1 100 Continue" + self.line_end()
        return head + (self.header("X-Interim", "y") if self.maybe(0.5) else "") + self.line_end()

    def response(self):
        self.bare = self.maybe(0.1)
        body, framing = self.body(), self.random.choice(("length", "chunked", "close", "none"))
        minor = 1 if framing == "chunked" or self.maybe(0.8) else 0
        status = self.random.choice((204, 304) if framing == "none" else (200, 200, 206, 400, 503, 999))
        reason = self.random.choice((" OK", " Not Found", " ", "", " \xe9\tx"))
        lines, meaning = [], {"status": status, "keep_alive": minor == 1, "minor": minor}
        if framing == "length":
            length = f"{len(body)}, {len(body)}" if self.maybe(0.1) else f"{len(body)}"
            lines.append(self.header("Content-Length", length))
        elif framing == "chunked":
            lines.append(self.header("Transfer-Encoding", self.any_case("chunked")))
        elif framing == "close":
            meaning["keep_alive"] = False
        if self.maybe(0.3):
            lines.append(self.header("Connection", self.random.choice(("close", "x, Close", "close,y"))))
            meaning["keep_alive"] = False
        if self.maybe(0.5):
            meaning["type"] = self.random.choice(("application/json", "text/html; charset=utf-8", "a"))
            lines.append(self.header("Content-Type", meaning["type"]))
        if self.maybe(0.3):
            meaning["gzip"] = 1
            lines.append(self.header("Content-Encoding", self.random.choice(("gzip", "x-gzip", "GZIP"))))
        for index in range(self.random.randrange(6)):
            letters = self.random.choices('ab ,;="\xfc()<>@/?{}\\', k=self.random.randrange(1, 20))
            value = "".join(letters).strip()
            lines.append(self.header(f"X-Other-{index}", value))
        self.random.shuffle(lines)
        meaning["length"] = len(body) if framing == "length" else -1
        meaning["body"] = b"" if framing == "none" else body
        head = f"HTTP/1.{minor} {status}{reason}{self.line_end()}" + "".join(lines) + self.line_end()
        interim = self.interim() if self.maybe(0.1) else ""
        coded = {"length": body, "close": body, "none": b""}.get(framing)
        data = (interim + head).encode("latin-1") + (self.chunked(body) if coded is None else coded)
        meaning["consumed"] = len(data)
        rest = b"" if framing == "close" else self.random.choice((b"", b"HTTP/1.1 200", b"\r\n", b"x"))
        return data + rest, meaning

    SNIPPETS = (b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b"\x01", b"\x0b", b"\x7f", b"\xff", b":", b",",
                b";", b"0", b"9", b"f", b"-", b"+", b"HTTP/1.1 ", b"HTTP/1.1 100 x\r\n\r\n", b"chunked",
                b", ", b"\r\n ", b"Content-Length: 3\r\n", b"Transfer-Encoding:",
                b"Transfer-Encoding: chunked\r\n",
                b"Content-Length:", b"Content-Encoding: br\r\n", b"Connection: close\r\n",
                b"ffffffffffffffff", b"00000000000000000", b"0\r\n\r\n", b"1\r\nx\r\n")

    def mutated(self):
        data = bytearray(self.response()[0])
        # Most of the body is not interesting, the beginning and the ends of lines are.
        ends = [at for at in range(len(data)) if data[at] in b"\r\n:;"][:60]
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            at = self.random.choice(ends) + self.random.randrange(-2, 3) if ends and self.maybe(0.7) else \
                self.random.randrange(len(data) + 1)
            at = min(max(at, 0), len(data))
            kind = self.random.randrange(4)
            if kind == 0:
                del data[at:at + self.random.choice((1, 1, 2, 8))]
            elif kind == 1:
                data[at:at + 1] = self.random.choice(self.SNIPPETS)
            elif kind == 2:
                data[at:at] = self.random.choice(self.SNIPPETS)
            else:
                data[at:at] = data[at:at + self.random.choice((1, 2, 20))]
        if self.maybe(0.05):
            del data[self.random.randrange(len(data) + 1):]
        return bytes(data)


def head_of(data):
    """All heads, to the first empty line that does not end an interim response, and how many of these."""
    at, interim = 0, 0
    while True:
        end = re.compile(rb"\n\r?\n").search(data, at)
        if not end:
            return data, interim
        if not re.match(rb"HTTP/1\.[01] 1\d\d", data[at:at + 12]):
            return data[:end.end()], interim
        at, interim = end.end(), interim + 1


def lines_of(head, name):
    """The values of a header, as one list."""
    values = re.findall(rb"(?im)^" + name + rb":((?:.*\n[ \t])*.*)$", head)
    return [element.strip().lower() for element in b",".join(values).split(b",")] if values else []


# Why we refuse what h11 accepts: fault -> (data, our result, h11's result) -> explained.
def head_stricter(data, our, theirs):
    head = re.sub(rb"\r?\n", b"\n", head_of(data)[0])
    return (re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", head) is not None  # control characters
            or re.match(rb"(?s:.*\n\n)?HTTP/1\.[^01]", head) is not None)  # a later minor version


def length_stricter(data, our, theirs):
    head = head_of(data)[0]
    lengths, codings = lines_of(head, rb"Content-Length"), lines_of(head, rb"Transfer-Encoding")
    return bool(codings) and (bool(lengths) or theirs["version"] == b"1.0") or \
        any(length.isdigit() and int(length) >= 1 << 63 for length in lengths)


def encoding_stricter(data, our, theirs):
    codings = lines_of(head_of(data)[0], rb"Content-Encoding")
    codings = [coding for coding in codings if coding not in (b"", b"identity")]
    return len(codings) > 1 or any(coding not in (b"gzip", b"x-gzip") for coding in codings)


def chunk_stricter(data, our, theirs):
    at = our["offset"]
    line = data[at:data.find(b"\n", at) + 1] if b"\n" in data[at:] else data[at:]
    return (line[:1] in (b" ", b"\t")  # a folded trailer
            or line[-2:-1] != b"\r"  # bare LF
            or re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line[:-2]) is not None
            or (our["offset"] and data[at - 1:at] == b"\r"))  # CR inside a chunk extension


STRICTER = {
    "HTTP_HEAD": head_stricter,
    "HTTP_NOT_HTTP": lambda data, our, theirs: re.match(rb"HTTP/[02-9]", data) is not None,
    "HTTP_LENGTH": length_stricter,
    "HTTP_ENCODING": encoding_stricter,
    "HTTP_CHUNK": chunk_stricter,
}


def looser(data, our, theirs):
    """Why we accept what h11 refuses, or None."""
    head, interim = head_of(data)
    codings, lengths = lines_of(head, rb"Transfer-Encoding"), lines_of(head, rb"Content-Length")
    if b"" in codings and codings.count(b"chunked") == 1:
        return "empty list elements in Transfer-Encoding"
    if len(lengths) > 1 and all(map(bytes.isdigit, lengths)) and len(set(map(int, lengths))) == 1:
        return "equal lengths written differently"
    if interim and re.search(rb"(?i)(Transfer-Encoding|Content-Length):", head):
        return "framing in an interim response"
    if our["chunked"] and re.search(rb"(?i)(Transfer-Encoding|Content-Length):", data[len(head):]):
        return "framing in a trailer"
    if our["status"] in (204, 304) and codings:
        return "a transfer coding without a body"
    if our["chunked"] and re.search(rb"[0-9a-fA-F][ \t]+;", data[len(head):]):
        return "blanks before a chunk extension"
    if our["chunked"] and re.search(rb"0[0-9a-fA-F]{20}", data[len(head):]):
        return "many leading zeros in a chunk size"
    return None


def compare_meaning(our, theirs, data):
    """The first difference of two accepting parsers, or None."""
    for name in ("status", "body"):
        if our[name] != theirs[name]:
            return f"{name}: {our[name]!r} against {theirs[name]!r}"
    headers = {}
    for name, value in theirs["headers"]:
        headers.setdefault(bytes(name), bytes(value))
    for name, ours_name in ((b"content-type", "content_type"), (b"location", "location")):
        want = re.sub(rb"[^ -~]", b"?", headers.get(name, b"").replace(b"\t", b" "))[:255]
        # h11 folds a run of blanks into one.
        if re.sub(rb" +", b" ", our[ours_name]) != re.sub(rb" +", b" ", want):
            return f"{name}: {our[ours_name]!r} against {want!r}"
    # What a program is shown. h11 may turn framing headers around; it folds lines and blanks as it likes.
    kept = [(bytes(name), re.sub(rb"[ \t]+", b" ", bytes(value))) for name, value in theirs["headers"]]
    seen = [tuple(re.sub(rb"[ \t]+", b" ", part) for part in line.split(b":", 1))
            for line in our["lines"].split(b"\n")[:-1]]
    framing = (b"content-length", b"transfer-encoding")
    if len(our["lines"]) < 1000 and ([line for line in seen if line[0] not in framing] !=
                                     [line for line in kept if line[0] not in framing]):
        return f"headers: {seen!r} against {kept!r}"
    ends_itself = our["chunked"] or our["content_length"] >= 0 or our["status"] in (204, 304)
    if ends_itself and theirs["version"] == b"1.1" and our["keep_alive"] != theirs["keep_alive"]:
        return f"keep_alive: {our['keep_alive']} against {theirs['keep_alive']}"
    if our["keep_alive"] and our["consumed"] != len(data) - theirs["rest"]:
        return f"consumed: {our['consumed']} of {len(data)} against a rest of {theirs['rest']}"
    return None


def check_generated(counts):
    generator = Generator(SEED)
    cases = [generator.response() for _ in range(GENERATED)]
    for (data, meaning), our in zip(cases, ours([data for data, _ in cases])):
        wanted = dict(verdict=ACCEPTED, status=meaning["status"], body=meaning["body"],
                      consumed=meaning["consumed"], keep_alive=int(meaning["keep_alive"]),
                      minor=meaning["minor"], gzip=meaning.get("gzip", 0),
                      content_type=meaning.get("type", "").encode(), content_length=meaning["length"])
        for name, want in wanted.items():
            assert our[name] == want, f"{name} is {our[name]!r}, meant {want!r}: {data!r}"
        theirs = of_h11(data)
        assert theirs["verdict"] == ACCEPTED, f"h11: {theirs}: {data!r}"
        difference = compare_meaning(our, theirs, data)
        assert not difference, f"h11: {difference}: {data!r}"
        third = of_http_client(data)
        assert third["verdict"] == ACCEPTED, f"http.client refuses {data!r}"
        assert third["status"] == our["status"], f"http.client: {third} {data!r}"
        assert third["body"] == our["body"], f"http.client: {third} {data!r}"
        counts["compared"] += 1


def check_mutated(counts):
    generator = Generator(SEED + 1)
    cases = [generator.mutated() for _ in range(MUTATED)]
    for data, our in zip(cases, ours(cases)):
        theirs = of_h11(data)
        both = (our["verdict"], theirs["verdict"])
        if both == (ACCEPTED, ACCEPTED):
            difference = compare_meaning(our, theirs, data)
            assert not difference, f"{difference}: {data!r}"
            counts["accepted"] += 1
        elif both[0] == ACCEPTED:
            why = looser(data, our, theirs)
            assert why, f"only we accept: {theirs}: {data!r}"
            counts[f"looser, {why}"] = counts.get(f"looser, {why}", 0) + 1
        elif both[1] == ACCEPTED:
            assert both[0] == REFUSED, f"only we call it truncated: {our}: {data!r}"
            assert STRICTER[our["fault"]](data, our, theirs), f"only h11 accepts: {our}: {data!r}"
            counts[f"stricter, {our['fault']}"] = counts.get(f"stricter, {our['fault']}", 0) + 1
        else:
            counts["refused"] += 1


def check_every_truncation(counts):
    generator = Generator(SEED + 2)
    for _ in range(30):
        data, meaning = generator.response()
        data = data[:min(meaning["consumed"], 400)]
        cases = [data[:size] for size in range(len(data))]
        for case, our in zip(cases, ours(cases)):
            theirs = of_h11(case)
            assert our["verdict"] == theirs["verdict"], f"{our['verdict']} against {theirs}: {case!r}"
            assert our["verdict"] != REFUSED, f"{our}: {case!r}"
            counts["compared"] += 1


def main():
    checks = (check_generated, check_mutated, check_every_truncation)
    print(f"1..{len(checks)}")
    failed = 0
    for index, check in enumerate(checks, 1):
        counts = {"compared": 0} if check is not check_mutated else {"accepted": 0, "refused": 0}
        try:
            check(counts)
            assert all(counts.values()), f"nothing was compared: {counts}"
            print(f"ok {index} - {check.__name__}")
        except AssertionError as error:
            failed = 1
            print(f"not ok {index} - {check.__name__}")
            print(f"# {str(error)[:3000]}")
        print(f"# seed {SEED}: {counts}")
    return failed


sys.exit(main())
