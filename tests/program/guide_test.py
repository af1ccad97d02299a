# SPDX-License-Identifier: Apache-2.0
"""The program of the guide ("A program in ten minutes", src/program/README.md), as it stands there, against a server
that damages every other answer: every line is handed on once, or the run says that it was not.

usage: guide_test.py BUILD_FOLDER [ONLY]
"""
import gzip
import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import clean_environment, contains, equal, lacks, main  # noqa: E402

BUILD = sys.argv[1]
GUIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/program/README.md")
PAGES, PAGE_LINES = 8, 200
TOKEN = "token-that-nobody-may-see"


def lines_of(page):
    return b"".join(b'{"n":%d,"pad":"%s"}\n' % (n, b"x" * (n % 97)) for n in range(page * PAGE_LINES,
                                                                               (page + 1) * PAGE_LINES))


def whole(body):
    return body, len(body), None


def half(body):
    return body[:len(body) // 2], len(body), None


def half_gzip(body):
    packed = gzip.compress(body)
    packed = packed[:len(packed) // 2]
    return packed, len(packed), "gzip"


def wrong_crc(body):
    packed = bytearray(gzip.compress(body))
    packed[-6] ^= 1
    return bytes(packed), len(packed), "gzip"


def damaged_gzip(body):
    packed = bytearray(gzip.compress(body))
    packed[len(packed) // 2] ^= 0xff
    return bytes(packed), len(packed), "gzip"


class Server(http.server.ThreadingHTTPServer):
    """Pages of lines with Link headers; what `damage` makes of them comes first, then the page itself."""

    daemon_threads = True

    def __init__(self, damage):
        super().__init__(("127.0.0.1", 0), Handler)
        self.damage, self.asked = damage, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/logs?page=0"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # its name is given
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            self.send_error(403)
            return
        self.server.asked += 1
        page = int(self.path.split("page=")[1])
        damage = self.server.damage if self.server.asked % 2 else whole
        body, length, encoding = damage(lines_of(page))
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        if page + 1 < PAGES:
            self.send_header("Link", f'</logs?page={page + 1}>; rel=next')
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = damage is not whole

    def log_message(self, format, *arguments):  # its names are given
        pass


with open(GUIDE, encoding="utf-8") as guide:
    TEXT = guide.read()


def guide_program():
    source = re.search(r"```lua\n(.*?)```", TEXT, re.S).group(1)
    contains(source, "ctx.sleep(5)", "the program of the guide")
    return source.replace("ctx.sleep(5)", "ctx.sleep(0.01)")


def run_guide(server, parse, token=TOKEN):
    try:
        with tempfile.TemporaryDirectory(prefix="akamai-prof-guide-") as folder:
            program, output = os.path.join(folder, "mine.lua"), os.path.join(folder, "events")
            with open(program, "w", encoding="utf-8") as file:
                file.write(guide_program())
            environment = clean_environment({"HOME": folder, "YAEGI_HTTP_URL": server.url, "YAEGI_HTTP_TOKEN": token})
            process = subprocess.run([os.path.join(BUILD, "akamai-prof"), "-prog", program, "-no-profile", "-quiet",
                                      "-duration", "60s", "-out", os.path.join(folder, "out"), "-parse", parse,
                                      "-format", "raw", "-sink", "file:" + output], capture_output=True, check=False,
                                     timeout=120, env=environment)
            with open(output, "rb") as file:
                lines = file.read()
    finally:
        server.shutdown()
        server.server_close()
    stderr = process.stderr.decode(errors="replace")
    lacks(stderr, "Sanitizer")
    lacks(stderr, TOKEN)
    return process.returncode, lines, stderr


def is_whole(damage, parse):
    def test():
        server = Server(damage)
        status, lines, stderr = run_guide(server, parse)
        equal(status, 0, "the exit status: " + stderr[-1500:])
        equal(lines == b"".join(lines_of(page) for page in range(PAGES)), True,
              f"{lines.count(10)} lines that are those of the server")
        equal(server.asked, PAGES if damage is whole else 2 * PAGES, "the number of requests")

    return test


def damaged_lines_are_told():
    """Wrong lines may come out of it before the damage shows; that must not look like success."""
    status, lines, stderr = run_guide(Server(damaged_gzip), "control")
    equal(status, 1, "the exit status: " + stderr[-1500:])
    contains(stderr, "client:commit would lose the lines of the last page")
    contains(stderr, "mine.lua:12: ")
    equal(lines.startswith(lines_of(0)[:2000]), True, "the lines before the damage are the server's")


def an_error_is_what_the_guide_shows():
    server = Server(whole)
    status, lines, stderr = run_guide(server, "control", "another token")
    equal((status, lines), (1, b""), "the exit status, and the lines: " + stderr[-1500:])
    said = re.search(r"akamai-prof: api.example.org: (mine.lua:.*)", TEXT).group(1)
    contains(stderr, f"akamai-prof: 127.0.0.1:{server.server_address[1]}: {said}\n", "the error")


TESTS = [(f"{damage.__name__.replace('_', ' ')}, {parse}", is_whole(damage, parse))
         for damage in (whole, half, half_gzip, wrong_crc) for parse in ("control", "full")]
TESTS.append(("damaged lines are told", damaged_lines_are_told))
TESTS.append(("an error is what the guide shows", an_error_is_what_the_guide_shows))

if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
