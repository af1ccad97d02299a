#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole collector against a SIEM server that is hostile once in the middle of each page, in every way that
tls_attacks.py has: it says why to the server, asks again for what it did not get, loses nothing and doubles nothing.

usage: tls_hostile_collector.py BUILD_FOLDER [PART_OF_A_NAME]
Everything happens on 127.0.0.1 and in a folder that is removed at the end.
"""
import collections
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

from tap import Tap
from tls_attacks import ATTACKS, EVIL, HANDSHAKES, Attack, Prologue
from tls_forge import ALERT, DATA, HANDSHAKE, KEY_UPDATE, Connection, Gone, make_identity

BUILD = sys.argv[1]
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
VARIANTS = (("13", "server"), ("12", "ECDHE-ECDSA-AES128-GCM-SHA256"))
MODES = ("inplace", "ssl")
# Version, ciphers, mode, more arguments.
RUNS = [(*variant, mode, ()) for variant in VARIANTS for mode in MODES] + [(*VARIANTS[0], "inplace", ("-io", "poll"))]
PAGE_EVENTS, PAD_BYTES = 40, 1200  # 48 KB: room for two records as large as can be
COLLECTOR_SECONDS_MAX = 200


TAP = Tap()


# What is served

def event(number):
    return json.dumps({"attackData": {"configId": "1"}, "httpMessage": {"start": str(1_700_000_000 + number)},
                       "number": number, "pad": "x" * PAD_BYTES}).encode() + b"\n"


def events_of(page):
    return b"".join(event(page * PAGE_EVENTS + n) for n in range(PAGE_EVENTS))


def answer(body, closes):
    return (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + (b"Connection: close\r\n" if closes else b"") +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


class Server:
    """Page n has offset n; `attacks[n]` is played in its middle (or before, or behind the page), once. An attack on the
    handshake is played on the connection that is to ask for page n."""

    def __init__(self, identity, version, ciphers, mode, attacks, place="middle", forever=False):
        self.place, self.forever = place, forever
        self.identity, self.version, self.ciphers, self.mode, self.attacks = identity, version, ciphers, mode, attacks
        self.played, self.asked, self.heard, self.problems = set(), [], {}, []
        self.next_page = 0
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        self.threads = []
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self):
        while True:
            try:
                transport, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self.serve, args=(transport,))
            self.threads.append(thread)
            thread.start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in [self.thread, *self.threads]:
            thread.join()

    def is_prologue(self, page):
        return page < len(self.attacks) and isinstance(self.attacks[page], Prologue)

    def serve(self, transport):
        try:
            with transport:
                it = Connection(transport, self.identity, self.version, self.ciphers)
                page = self.next_page
                if self.is_prologue(page) and page not in self.played:
                    self.played.add(page)
                    self.attacks[page].play(it)
                    it.fin()
                    return
                problem = it.handshake()
                if problem:
                    self.problems.append(f"no handshake before page {page}: {problem}")
                    return
                while self.page(it):
                    pass
        except Exception:  # whatever it is, the report names it
            self.problems.append(traceback.format_exc())

    def page(self, it):
        """Answers a request; false when the connection is over."""
        head = it.request()
        if not head:
            return False
        found = re.search(r"[?&]offset=([^& ]*)", head)
        page = int(found.group(1)) if found else 0
        self.asked.append(page)
        last = page >= len(self.attacks)
        lines = b"" if last else events_of(page)
        body = lines + json.dumps({"total": 0 if last else PAGE_EVENTS, "offset": str(min(page + 1, len(self.attacks))),
                                   "limit": 10000}).encode() + b"\n"
        closes = self.is_prologue(page + 1)
        it.stock = answer(body, closes)
        if not last and (self.forever or page not in self.played) and not self.is_prologue(page):
            self.played.add(page)
            attack = self.attacks[page]
            if self.place == "middle":
                it.good(len(it.stock) - len(body) + PAGE_EVENTS // 4 * len(event(page * PAGE_EVENTS)) + 100)
            elif self.place == "behind":
                it.good()
                self.next_page = page + 1
            attack.play(it)
            if not attack.goes_on(self.mode):
                self.heard[page] = it.farewell()
                return False
        self.next_page = page + 1  # before the client can know
        it.good()
        if closes:
            it.close()
            it.farewell()
        return not closes


# The collector

def collect(folder, server, *arguments):
    """Returns its process, its output, and its run.json."""
    out, output = f"{folder}/out", f"{folder}/events"
    shutil.rmtree(out, ignore_errors=True)
    if os.path.exists(output):
        os.remove(output)
    environment = {"PATH": os.environ["PATH"], "YAEGI_HTTP_CLIENT_TOKEN": "akab-token",
                   "YAEGI_HTTP_CLIENT_SECRET": "c2VjcmV0", "YAEGI_HTTP_ACCESS_TOKEN": "akab-access"}
    environment.update({key: value for key, value in os.environ.items() if key in ("ASAN_OPTIONS", "UBSAN_OPTIONS")})
    process = subprocess.run(
        [os.path.join(BUILD, "akamai-direct-prof"), "-url", f"https://127.0.0.1:{server.port}/siem/v1", "-ca-file",
         server.identity.certificate, "-config-id", "1", "-limit", "10000", "-no-profile", "-duration", "150s",
         "-backoff", "5ms", "-tls", server.mode, "-tls-versions", f"1.{server.version[1]}", "-sink", "file:" + output,
         "-out", out, *arguments],
        capture_output=True, text=True, check=False, timeout=COLLECTOR_SECONDS_MAX, env=environment)
    seen, record = b"", None
    if os.path.exists(output):
        with open(output, "rb") as file:
            seen = file.read()
    if os.path.exists(f"{out}/run.json"):
        with open(f"{out}/run.json", encoding="utf-8") as file:
            record = json.load(file)
    return process, seen, record


def sentences():
    """What the collector calls each fault."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "base", "faults.def")
    with open(path, encoding="utf-8") as file:
        return dict(re.findall(r'^FAULT\((\w+), \w+, "(.*)"\)$', file.read(), re.MULTILINE))


def faults_of(attack, mode):
    """As flow sees it; nothing when there is nothing to see."""
    faults = [fault for fault, _ in attack.accepted(mode)]
    if "reset" in attack.name:
        return ["RING_RECEIVE"]
    # A bare end, or one too early, is judged by what it cuts.
    if "TLS_TRUNCATED" in faults or attack.ends:
        return ["HTTP_TRUNCATED_BODY"]
    return [] if faults == ["NONE"] else faults


def judge_warnings(stderr, attacks, mode):
    """One for each attack that is none of our liking, in order, with the right sentence."""
    said = sentences()
    wanted = [(it.name, [said[fault] for fault in faults_of(it, mode)]) for it in attacks if faults_of(it, mode)]
    warnings = [line for line in stderr.splitlines() if "warning: configId 1: " in line]
    problems = [f"{name}: wanted {any_of} in {line!r}" for (name, any_of), line in zip(wanted, warnings)
                if not any(f"warning: configId 1: {sentence}" in line for sentence in any_of)]
    if len(wanted) != len(warnings):
        problems.append(f"{len(warnings)} warnings, wanted {len(wanted)}")
    return problems[:5]


def judge_page(server, page, attack, seen):
    """What is wrong with how a page was taken; `seen`: how often each event is in the output."""
    problems = []
    asked = server.asked.count(page)
    if isinstance(attack, Attack):
        goes_on = attack.goes_on(server.mode)
        wanted = 1 if goes_on else 2
        alerts = [[] if alert is None else [(ALERT, bytes([2, alert]))] for _, alert in attack.accepted(server.mode)]
        if attack.ends:  # the collector need not say goodbye, but may
            alerts.append([(ALERT, b"\1\0")])
        if (page in server.heard) == goes_on or not goes_on and server.heard[page] not in alerts:
            problems.append(f"the server hears {server.heard.get(page)}, wanted one of {alerts}")
    else:
        wanted = 1
        if page not in server.played:
            problems.append("was never played")
    if asked != wanted:
        problems.append(f"page {page} was asked for {asked} times, wanted {wanted}")
    copies = [seen[page * PAGE_EVENTS + n] for n in range(PAGE_EVENTS)]
    if copies != [1] * PAGE_EVENTS:
        problems.append(f"its events are in the output {copies} times")
    return problems


def test_pages(folder, identity):
    for version, ciphers, mode, arguments in RUNS:
        attacks = [it for it in ATTACKS if version in it.versions and ONLY in it.name]
        attacks += [it for it in HANDSHAKES
                    if version in it.versions and ONLY in it.name and it.fault != "TLS_NOT_TLS"]
        server = Server(identity, version, ciphers, mode, attacks)
        process, seen, record = collect(folder, server, *arguments)
        server.stop()
        name = " ".join((f"TLS 1.{version[1]} {mode}", *arguments))
        counts = collections.Counter(int(it) for it in re.findall(rb'"number": ([0-9]+)', seen))
        for page, attack in enumerate(attacks):
            TAP.report(f"{name}: {attack.name}", judge_page(server, page, attack, counts))
        TAP.report(f"{name}: a warning for each", judge_warnings(process.stderr, attacks, mode))
        problems = server.problems
        if process.returncode or not record:
            problems.append(f"exit status {process.returncode}: {process.stderr[-3000:]}")
        else:
            stream = record["streams"][0]
            if (stream["tls_mode"], stream["events"], stream["end_reason"]) != (
                    mode, len(attacks) * PAGE_EVENTS, "drained"):
                problems.append(f"run.json says {stream}")
        if seen != b"".join(events_of(page) for page in range(len(attacks))):
            problems.append(f"the output's {len(seen)} bytes are not the events in their order")
        if EVIL.strip() in seen:
            problems.append("a byte of a bad record is in the output")
        TAP.report(f"{name}: all events, once, in order", problems)


def test_places(folder, identity):
    """Before the answer, on a kept connection: it is asked again, without a word. Behind it: it counts, and what comes
    is on no account taken for the next answer."""
    for version, ciphers in VARIANTS:
        for mode in MODES:
            for place in ("before", "behind"):
                # What uses the stock up is a part of the answer, which has its places already.
                attacks = [it for it in ATTACKS if version in it.versions and ONLY in it.name and
                           it.expected[mode][0] != "NONE" and "replayed" not in it.name]
                server = Server(identity, version, ciphers, mode, attacks, place)
                process, seen, _ = collect(folder, server)
                server.stop()
                problems = list(server.problems)
                if seen != b"".join(events_of(page) for page in range(len(attacks))) or process.returncode:
                    problems.append(f"exit status {process.returncode}, {len(seen)} bytes: {process.stderr[-2000:]}")
                asked = [server.asked.count(page) for page in range(len(attacks))]
                wanted = 2 if place == "before" else 1
                if asked != [wanted] * len(attacks):
                    problems.append(f"the pages are asked for {asked} times, wanted {wanted}")
                TAP.report(f"TLS 1.{version[1]} {mode}: {len(attacks)} attacks {place} an answer", problems)


# Servers that say nothing more

def silence(name, play):
    return Attack(name, play, "RING_STALL")


SILENCES = [
    silence("a third of a header, then silence", lambda it: it.raw(bytes([DATA, 3]))),
    silence("half a record, then silence", lambda it: it.raw(it.write.seal(DATA, EVIL)[:30])),
    silence("half a message, then silence", lambda it: it.send(HANDSHAKE, KEY_UPDATE[:3])),
    silence("a whole record, then silence", lambda it: it.good(100)),
]


def stay(it):
    """Until the client is gone."""
    while it.next_record():
        pass


def half_a_flight(it):
    def tamper(flight, _):
        it.raw(flight[:200])
        stay(it)
        raise Gone
    try:
        it.handshake(tamper)
    except Gone:
        pass


def test_silence(folder, identity):
    for version, ciphers in VARIANTS:
        for mode in MODES:
            attacks = [it for it in SILENCES if version == "13" or it.name != "half a message, then silence"]
            attacks.append(Prologue("half the server's flight, then silence", half_a_flight, "TLS_HANDSHAKE"))
            attacks.append(Prologue("no hello", stay, "TLS_HANDSHAKE"))
            attacks = [it for it in attacks if ONLY in it.name]
            server = Server(identity, version, ciphers, mode, attacks)
            process, seen, _ = collect(folder, server, "-stall-timeout", "1s")
            server.stop()
            problems = server.problems + judge_warnings(process.stderr, attacks, mode)
            if seen != b"".join(events_of(page) for page in range(len(attacks))) or process.returncode:
                problems.append(f"exit status {process.returncode}, {len(seen)} bytes: {process.stderr[-2000:]}")
            TAP.report(f"TLS 1.{version[1]} {mode}: silence at any place is given up", problems)


def test_no_end(folder, identity):
    """A server that is never any better is asked less and less often, and what it gave is handed on once."""
    for name in ("a bit flipped at -1", "33 key updates", "alert 0250", "close_notify, then data"):
        attack = next(it for it in ATTACKS if it.name == name)
        if ONLY not in name:
            continue
        server = Server(identity, "13", "server", "inplace", [attack], forever=True)
        process, seen, record = collect(folder, server, "-duration", "4s", "-poll-timeout", "3s", "-backoff", "20ms")
        server.stop()
        problems = list(server.problems)
        # Twice at once, then after 20, 40, 80... ms, give or take: the eleventh would come behind the end.
        if not 2 <= len(server.asked) <= 12:
            problems.append(f"the page was asked for {len(server.asked)} times")
        if not seen or not events_of(0).startswith(seen) or record["streams"][0]["cursor"] not in (None, ""):
            problems.append(f"{len(seen)} bytes of events, run.json says {record['streams'][0]}")
        TAP.report(f"always {name}: no storm, nothing twice", problems and [*problems, process.stderr[-2000:]])


def test_strangers(folder, identity):
    """Who does not speak TLS is not asked again: nothing would come of it."""
    for stranger in (it for it in HANDSHAKES if it.fault == "TLS_NOT_TLS" and ONLY in it.name):
        server = Server(identity, "13", "server", "inplace", [stranger])
        process, seen, _ = collect(folder, server)
        server.stop()
        problems = list(server.problems)
        said = sentences()[stranger.fault]
        if (process.returncode, seen, server.connections) != (1, b"", 1) or said not in process.stderr:
            problems.append(f"exit status {process.returncode}, {server.connections} connections: "
                            f"{process.stderr[-2000:]}")
        TAP.report(f"{stranger.name}: the end, and why", problems)


def main():
    folder = tempfile.mkdtemp(prefix="tls-hostile-")
    try:
        identity = make_identity(folder)
        for test in (test_pages, test_places, test_silence, test_no_end, test_strangers):
            test(folder, identity)
    finally:
        shutil.rmtree(folder)
    return TAP.end()


sys.exit(main())
