# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a sentence, an exit status (2 usage, 1 failure), and never a secret.

usage: errors_test.py BUILD_FOLDER [ONLY]
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading

from harness import (Failure, Simulator, clean_environment, collect, command_of, contains, environment_of, equal, lacks,
                     main)

BUILD = sys.argv[1]
SECRET = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtYXBwZWFy="
TESTS = []
FOLDER = tempfile.TemporaryDirectory(prefix="akamai-prof-errors-")  # lives as long as the test
OUT = os.path.join(FOLDER.name, "out")


def run_direct(*arguments, environment=None, name="akamai-direct-prof"):
    # Without profiles, so that the errors looked for are reached on hosts that cannot profile, too.
    first = ["-no-profile"] if name == "akamai-direct-prof" else []
    process = subprocess.run([os.path.join(BUILD, name), *first, *arguments], capture_output=True,
                             env=clean_environment({"HOME": "/nonexistent", **(environment or {})}), timeout=60,
                             check=False)
    return process.returncode, process.stdout.decode(), process.stderr.decode()


def says(name, arguments, status, *parts, environment=None):
    def run():
        code, _, stderr = run_direct(*arguments, environment=environment)
        equal(code, status, "the exit status: " + stderr)
        for part in parts:
            contains(stderr, part, "the error")
        lacks(stderr, SECRET, "the error")

    TESTS.append((name, run))


CREDENTIALS = {"YAEGI_HTTP_CLIENT_TOKEN": "akab-token", "YAEGI_HTTP_CLIENT_SECRET": SECRET,
               "YAEGI_HTTP_ACCESS_TOKEN": "akab-access"}
says("unknown flag, with the nearest", ["-durations", "2m"], 2, "-durations", "did you mean -duration?")
says("unknown flag, far from all", ["--zzzzzzzzz"], 2, "-help lists them")
says("missing value", ["-limit"], 2, "-limit wants a value")
says("no number", ["-limit", "many"], 2, "-limit wants a whole number", "many")
says("limit out of range", ["-limit", "600001"], 2, "from 1 to 600000")
says("limit zero in the environment", [], 2, "YAEGI_HTTP_LIMIT", environment={"YAEGI_HTTP_LIMIT": "0"})
says("a flag wins over a bad variable", ["-limit", "5", "-sink", "tape"], 2, "null, stdout or file:PATH",
     environment={"YAEGI_HTTP_LIMIT": "0"})
says("bad duration", ["-duration", "2"], 2, "a duration such as")
says("negative duration", ["-duration", "-2m"], 2, "-duration")
says("duration not longer than the CPU window", ["-duration", "10s", "-cpu-profile-duration", "30s"], 2,
     "must be longer than")
says("too many samples", ["-hz", "5000"], 2, "-hz", "from 1 to 4999")
says("heap budget out of range", ["-heap-budget", "0"], 2, "-heap-budget", "from 1 to 100")
says("bad confinement", ["-confine", "on"], 2, "auto|off")
for host in ("*", "*.example.org", "a b", "x\r\nX-Evil: 1", "[zz]", "h\u00e4user.example.org"):
    says(f"{ascii(host)} is no host", ["-allow-host", host], 2, "-allow-host", "is no name and no address of a host")
says("unknown user", ["-url", "https://x/siem/v1", "-user", "no-such-user"], 1, "no-such-user", environment=CREDENTIALS)
says("bad choice", ["-io", "epoll"], 2, "auto|uring|poll")
says("bad sink", ["-sink", "tape"], 2, "null, stdout or file:PATH")
says("operand", ["foo"], 2, "is not a flag")
says("bad URL", ["-url", "ftp://x"], 2, "must begin with https://", environment=CREDENTIALS)
says("bad port", ["-url", "https://x:99999/"], 2, "port", environment=CREDENTIALS)
says("user in the URL", ["-url", "https://u:p@x/"], 2, "user name", environment=CREDENTIALS)
says("no server", [], 2, "YAEGI_HTTP_URL", environment=CREDENTIALS)
says("no credentials", ["-url", "https://x/siem/v1"], 1, "YAEGI_HTTP_CLIENT_TOKEN", "AKAMAI_", ".edgerc")
says("one credential missing", ["-url", "https://x/siem/v1"], 1, "YAEGI_HTTP_ACCESS_TOKEN",
     environment={k: v for k, v in CREDENTIALS.items() if "ACCESS" not in k})
says("missing .edgerc", ["-url", "https://x/siem/v1", "-edgerc", "/nonexistent/edgerc"], 1, "/nonexistent/edgerc",
     "No such file")
says("directory as .edgerc", ["-url", "https://x/siem/v1", "-edgerc", "/tmp"], 1, "/tmp", "directory")
says("missing CA file", ["-url", "https://x/siem/v1", "-ca-file", "/nonexistent/ca.pem"], 1, "/nonexistent/ca.pem",
     environment=CREDENTIALS)
says("unwritable output", ["-url", "https://127.0.0.1:1/siem/v1", "-sink", "file:/nonexistent/out"], 1,
     "/nonexistent/out", environment=CREDENTIALS)
says("unknown host", ["-url", "https://no-such-host.invalid/siem/v1", "-backoff", "10ms", "-out", OUT],
     1, "no-such-host.invalid", "does not resolve", environment=CREDENTIALS)


def refused():
    with socket.socket() as listener:  # bound but not listening: refused for sure
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        code, _, stderr = run_direct("-url", f"https://127.0.0.1:{port}/siem/v1", "-backoff", "10ms", "-out",
                                     OUT, environment=CREDENTIALS)
    equal(code, 1, "the exit status")
    contains(stderr, f"127.0.0.1:{port}")
    contains(stderr, "Connection refused")


TESTS.append(("refused connection", refused))


def no_secret_anywhere():
    with Simulator(BUILD, "--events", "10", "--event-size", "lean", "--config-id", "1") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-json", environment=CREDENTIALS)
        # wrong credentials: the server's words are shown, ours are not
        equal(result.status, 1, "the exit status")
        contains(result.stderr, "401")
        text = result.stderr + result.stdout.decode() + str(result.record)
        lacks(text, SECRET)


TESTS.append(("wrong credentials show the server's words, never a secret", no_secret_anywhere))


def server_says(name, server, client, *parts):
    def run():
        with Simulator(BUILD, "--events", "1000", "--event-size", "lean", "--config-id", "1", *server) as simulator:
            result = collect(BUILD, simulator, *client)
            equal(result.status, 1, "the exit status: " + result.stderr[-800:])
            for part in parts:
                contains(result.stderr, part)

    TESTS.append((name, run))


server_says("unknown configId", [], ["-config-id", "99"], "404", "99")
server_says("forbidden configId", ["--forbid-config", "5"], ["-config-id", "5"], "403", "requestId")
server_says("a redirect is refused", ["--fault", "redirect:1"], ["-config-id", "1"], "redirect")
server_says("a server that is not the SIEM API", ["--fault", "html:1"], ["-config-id", "1"], "SIEM API")
server_says("a server that is not HTTP", ["--fault", "not-http:1"], ["-config-id", "1"], "HTTP")


def untrusted():
    with Simulator(BUILD, "--events", "10", "--config-id", "1") as simulator:
        out = simulator.path("out")
        command = command_of(BUILD, simulator, out, out + ".ndjson") + ["-config-id", "1"]
        at = command.index("-ca-file")
        del command[at:at + 2]
        process = subprocess.run(command, capture_output=True, env=environment_of(simulator), timeout=60, check=False)
        equal(process.returncode, 1, "the exit status")
        contains(process.stderr.decode(), "certificate")
        contains(process.stderr.decode(), "--ca-file")


TESTS.append(("a certificate that nobody vouches for", untrusted))


def wrong_name():
    with Simulator(BUILD, "--events", "10", "--config-id", "1") as simulator:
        port = simulator.address.rsplit(":", 1)[1]
        result = collect(BUILD, simulator, "-config-id", "1", "-url", f"https://127.0.0.2:{port}/siem/v1")
        # the simulator listens on 127.0.0.1 only: refused, unless the host routes all of 127/8 to it
        equal(result.status, 1, "the exit status")


TESTS.append(("another address", wrong_name))


def plain_port():
    """What nginx does: a request that is no HTTP gets a 400 in plain text."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        port = listener.getsockname()[1]

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        code, _, stderr = run_direct("-url", f"https://127.0.0.1:{port}/siem/v1", "-backoff", "10ms", "-out",
                                     OUT, environment=CREDENTIALS)
    equal(code, 1, "the exit status: " + stderr)
    contains(stderr, "does not speak TLS")


TESTS.append(("https to a port that speaks HTTP", plain_port))


def full_disk():
    if not os.path.exists("/dev/full"):
        raise Failure("/dev/full is missing")
    with Simulator(BUILD, "--events", "5000", "--event-size", "lean", "--config-id", "1") as simulator:
        result = collect(BUILD, simulator, "-config-id", "1", "-initial-interval", "11h", "-sink", "file:/dev/full",
                         sink=False)
        equal(result.status, 1, "the exit status: " + result.stderr[-600:])
        contains(result.stderr, "No space left on device")
        contains(result.stderr, "/dev/full")


TESTS.append(("a full disk", full_disk))


def closed_pipe():
    with Simulator(BUILD, "--event-size", "lean", "--config-id", "1") as simulator:
        out = simulator.path("out")
        command = command_of(BUILD, simulator, out, "", sink=False) + ["-config-id", "1", "-sink", "stdout"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment_of(simulator))
        process.stdout.read(1000)
        process.stdout.close()
        stderr = process.stderr.read().decode()
        process.wait(timeout=30)
        equal(process.returncode, 1, "the exit status")
        contains(stderr, "standard output cannot be written: its reader has gone (EPIPE)")
        contains(stderr, "done elapsed=")


TESTS.append(("a reader that goes away", closed_pipe))


def lying_server():
    """A server that accepts and says nothing, or closes at once: an error that names it, not a hang."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        port = listener.getsockname()[1]
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                    connection.close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        code, _, stderr = run_direct("-url", f"https://127.0.0.1:{port}/siem/v1", "-backoff", "10ms", "-out",
                                     OUT, "-duration", "5s", environment=CREDENTIALS)
        stop.set()
    equal(code, 1, "the exit status: " + stderr)
    contains(stderr, f"127.0.0.1:{port}")


TESTS.append(("a server that hangs up", lying_server))


def commands():
    for arguments, status in ((["-help"], 0), (["-version"], 0)):
        code, stdout, _ = run_direct(*arguments)
        equal(code, status, "the exit status")
        contains(stdout, "akamai-direct-prof")
    code, stdout, _ = run_direct("doctor", name="akamai-prof")
    equal(code, 0, "doctor's exit status")
    contains(stdout, "io_uring")
    code, _, stderr = run_direct("simulat", name="akamai-prof")
    equal(code, 2, "the exit status")
    contains(stderr, "did you mean simulate?")
    code, stdout, _ = run_direct("simulate", "-help", name="akamai-prof")
    equal(code, 0, "simulate -help")
    contains(stdout, "--truth")


TESTS.append(("help, version, doctor and commands", commands))


def program_with_state(folder, source, kept):
    """Runs a program that asks for nothing; returns what came of it, and of its state."""
    program, state = os.path.join(folder, "mine.lua"), os.path.join(folder, "state", "1.json")
    os.makedirs(os.path.dirname(state), exist_ok=True)
    with open(program, "w", encoding="utf-8") as file:
        file.write(source)
    with open(state, "wb") as file:
        file.write(kept)
    status, _, stderr = run_direct("-prog", program, "-url", "http://127.0.0.1:9/", "-no-profile", "-quiet",
                                   "-duration", "20s", "-out", os.path.join(folder, "out"), "-state",
                                   os.path.join(folder, "state"), name="akamai-prof")
    with open(state, "rb") as file:
        return status, stderr, file.read()


def a_state_that_cannot_be_kept_is_a_failure():
    with tempfile.TemporaryDirectory(prefix="akamai-prof-state-") as folder:
        for body, error in (("ctx.state = 7", "ctx.state must be a table, not number"),
                            ("ctx.state.me = ctx.state", "does one contain itself?"),
                            ("ctx.state.long = ('x'):rep(70000)", "at most 65536 are kept")):
            status, stderr, state = program_with_state(folder, f"function execute(ctx) {body} end", b'{"n":1}\n')
            equal(status, 1, "the exit status: " + stderr)
            contains(stderr, "the state of configId 1 cannot be kept: mine.lua: ", "the error")
            contains(stderr, error, "the error")
            contains(stderr, "the next run begins where this one did", "the error")
            equal(state, b'{"n":1}\n', "the state of the run before")


def a_damaged_state_is_not_begun_with():
    with tempfile.TemporaryDirectory(prefix="akamai-prof-state-") as folder:
        for kept in (b"", b"{", b"[1]", b'{"n":1}\0\0\0\0', b"\xff" * 100, b"{" + b" " * 70000 + b"}"):
            status, stderr, state = program_with_state(folder, "function execute(ctx) ctx.state.n = 2 end", kept)
            equal(status, 1, "the exit status: " + stderr)
            contains(stderr, "to begin anew, remove", "the error")
            equal(state, kept, "the damaged state")


TESTS.append(("a state that cannot be kept is a failure", a_state_that_cannot_be_kept_is_a_failure))
TESTS.append(("a damaged state is not begun with", a_damaged_state_is_not_begun_with))

if __name__ == "__main__":
    main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
