# SPDX-License-Identifier: Apache-2.0
"""An independent SIEM client (python's http.client, ssl, zlib, hmac) and the simulator as a child process, for
scenario tests."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import uuid
import zlib

CLIENT_TOKEN = "akab-simulatorclient00-simulatorclient0"
CLIENT_SECRET = "c2ltdWxhdG9yLW9ubHktbm90LWEtc2VjcmV0MTIzNDU="
ACCESS_TOKEN = "akab-simulatoraccess00-simulatoraccess0"
START_WAIT_S = 120  # a sanitizer build on a busy machine prepares slowly
READ_WAIT_S = 60


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason."""


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what or 'value'}: got {got!r:.300}, wanted {want!r:.300}")


def true(condition, what):
    if not condition:
        raise AssertionError(what)


def hmac_base64(key, message):
    return base64.b64encode(hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()).decode()


def authorization(host, path, *, scheme="https", shift_s=0.0, nonce=None, client_token=CLIENT_TOKEN,
                  client_secret=CLIENT_SECRET, access_token=ACCESS_TOKEN, signed_headers="", timestamp=None):
    timestamp = timestamp or time.strftime("%Y%m%dT%H:%M:%S+0000", time.gmtime(time.time() + shift_s))
    fields = (f"EG1-HMAC-SHA256 client_token={client_token};access_token={access_token};"
              f"timestamp={timestamp};nonce={nonce or uuid.uuid4()};")
    data = "\t".join(["GET", scheme, host.lower(), path, signed_headers, "", fields])
    return fields + "signature=" + hmac_base64(hmac_base64(client_secret, timestamp), data)


def target(ids="1", **parameters):
    path = f"/siem/v1/configs/{ids}"
    query = "&".join(f"{name.rstrip('_')}={urllib.parse.quote(str(value), safe='')}"
                     for name, value in parameters.items())
    return path + ("?" + query if query else "")


class Server:
    """The simulator as a child process with its files in a folder of its own."""

    def __init__(self, simulator, *arguments, plain=False):
        self.folder = tempfile.mkdtemp(prefix="simulator-test-")
        self.scheme = "http" if plain else "https"
        self.command = [simulator, "--port-file", self.file("port"), "--truth", self.file("truth"),
                        "--request-log", self.file("log"), *(["--plain"] if plain else ["--ca-out", self.file("ca")]),
                        *arguments]
        self.process = None

    def file(self, name):
        return os.path.join(self.folder, name)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + START_WAIT_S
        while not os.path.exists(self.file("port")):
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"did not start: {self.process.communicate()[1].decode()}")
            time.sleep(0.02)
        with open(self.file("port")) as file:
            self.host = file.read().strip()
        self.address = (self.host.rsplit(":", 1)[0], int(self.host.rsplit(":", 1)[1]))
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=START_WAIT_S)
        if kind is None:
            equal(self.process.returncode, 0, f"exit status, stderr: {errors.decode()}")
            equal(errors.decode(), "", "stderr")
            equal(output.decode(), f"listening {self.scheme}://{self.host}\n", "stdout")
        shutil.rmtree(self.folder)

    def tls(self):
        return ssl.create_default_context(cafile=self.file("ca"))

    def connect(self, strict=False):
        """A fresh socket, TLS checked against the certificate that the simulator made. `strict`: a FIN without
        close_notify is an error."""
        plain = socket.create_connection(self.address, timeout=READ_WAIT_S)
        if self.scheme == "http":
            return plain
        tls = self.tls()
        if strict:  # Python before 3.11.4 takes such a FIN for a clean end unless told otherwise (gh-95494)
            tls.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        return tls.wrap_socket(plain, server_hostname=self.address[0], suppress_ragged_eofs=not strict)

    def http(self):
        connection = http.client.HTTPConnection(*self.address, timeout=READ_WAIT_S)
        connection.sock = self.connect()
        return connection

    def get(self, path, connection=None, headers=None, gzip=True, **signing):
        own = connection is None
        connection = connection or self.http()
        all_headers = {"Accept-Encoding": "gzip" if gzip else "identity"}
        all_headers["Authorization"] = authorization(self.host, path, scheme=self.scheme, **signing)
        all_headers.update(headers or {})
        connection.request("GET", path, headers={k: v for k, v in all_headers.items() if v is not None})
        answer = connection.getresponse()
        answer.body = answer.read()
        if own:
            connection.close()
        return answer

    def raw(self, path, extra="", version="HTTP/1.1"):
        """Sends one request, returns all bytes until the end and how the end came."""
        connection = self.connect(strict=True)
        connection.sendall((f"GET {path} {version}\r\nHost: {self.host}\r\nAccept-Encoding: gzip\r\n{extra}"
                            f"Authorization: {authorization(self.host, path, scheme=self.scheme)}\r\n\r\n").encode())
        received = b""
        try:
            while True:
                part = connection.recv(65536)
                if not part:
                    return received, "clean"
                received += part
        except ConnectionResetError:
            return received, "reset"
        except ssl.SSLError as error:  # the same Pythons have no SSLEOFError for it
            if not isinstance(error, ssl.SSLEOFError) and error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise
            return received, "eof"
        except socket.timeout:
            return received, "timeout"
        finally:
            connection.close()

    def truth(self):
        before = os.stat(self.file("truth")).st_ino if os.path.exists(self.file("truth")) else None
        self.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + START_WAIT_S
        while not os.path.exists(self.file("truth")) or os.stat(self.file("truth")).st_ino == before:
            true(time.monotonic() < end, "no truth file after SIGUSR1")
            time.sleep(0.02)
        with open(self.file("truth")) as file:
            return json.load(file)

    def log(self, count=0):
        """The request log, once it has `count` entries: an answer is logged after it was sent."""
        end = time.monotonic() + START_WAIT_S
        while True:
            with open(self.file("log")) as file:
                entries = [json.loads(line) for line in file.read().split("\n")[:-1]]
            if len(entries) >= count:
                return entries
            true(time.monotonic() < end, f"{len(entries)} requests in the log, wanted {count}")
            time.sleep(0.02)


class Page:
    """The parts of a 200 answer, with every check that a careful client makes."""

    def __init__(self, answer):
        equal(answer.status, 200, f"status, body {answer.body[:300]!r}")
        body = answer.body
        self.wire_bytes = len(body)
        self.members = 0
        if answer.headers.get("Content-Encoding") == "gzip":
            body = b""
            rest = answer.body
            while rest:
                decoder = zlib.decompressobj(31)
                body += decoder.decompress(rest) + decoder.flush()
                true(decoder.eof, "gzip stream ends early")
                rest = decoder.unused_data
                self.members += 1
        self.raw = body
        true(body.endswith(b"\n"), "last line has no end")
        lines = [line.rstrip(b"\r") for line in body[:-1].split(b"\n")]
        self.lines = [line for line in lines if line]
        context = json.loads(self.lines.pop())
        true("offset" in context and "attackData" not in context, f"last line is no context: {context}")
        self.offset = context["offset"]
        self.total = int(context["total"])
        self.limit = int(context["limit"]) if "limit" in context else None
        equal(self.total, len(self.lines), "total against lines")


class Feed:
    """What a client has after draining: a digest like the one in the truth."""

    def __init__(self, *pages):
        self.lines = [line for page in pages for line in page.lines]

    def add(self, page):
        self.lines += page.lines

    def sha256(self):
        return hashlib.sha256(b"".join(line + b"\n" for line in self.lines)).hexdigest()


def drain(server, ids="1", limit=1000, connection=None, **options):
    feed, offset, pages = Feed(), "NULL", []
    while True:
        page = Page(server.get(target(ids, limit=limit, offset=offset), connection=connection, **options))
        pages.append(page)
        feed.add(page)
        offset = page.offset
        if page.total == 0:
            return feed, pages


def check_truth(server, feed, ids="1"):
    entry = server.truth()["configs"][ids]
    equal(len(feed.lines), entry["events"], "events")
    equal(feed.sha256(), entry["sha256"], "SHA-256 of the feed")


def problem(answer, status, slug, text):
    equal(answer.status, status, f"status, body {answer.body[:300]!r}")
    equal(answer.headers["Content-Type"], "application/problem+json", "content type")
    body = json.loads(answer.body)
    true(body["type"].endswith("/" + slug), f"type {body['type']}, wanted {slug}")
    true(text.lower() in body["detail"].lower(), f"detail {body['detail']}, wanted {text}")
    return body


def main(tests, only=""):
    """Runs the functions named test_... in `tests` (a module's globals()); prints TAP; returns the exit status."""
    chosen = [(name[5:], test) for name, test in list(tests.items()) if name.startswith("test_")]
    sys.stdout.reconfigure(line_buffering=True)
    print(f"1..{len(chosen)}")
    failed = 0
    for number, (name, test) in enumerate(chosen, 1):
        if only not in name:
            print(f"ok {number} - {name} # SKIP not asked for")
            continue
        try:
            test()
            print(f"ok {number} - {name}")
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
        except Exception:
            failed = 1
            print(f"not ok {number} - {name}")
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), end="")
    return failed
