#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tls room against a server that is hostile behind an honest handshake, and against some that are so before, as
TAP: the fault, the alert that the server gets, and that no byte of a bad record comes out.

usage: tls_hostile.py TLS_CLIENT [PART_OF_A_NAME]
Everything happens on 127.0.0.1 and in a folder that is removed at the end.
"""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

from tap import Tap
from tls_attacks import ATTACKS, HANDSHAKES
from tls_forge import ALERT, Connection, make_identity

CLIENT = sys.argv[1]
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
# OpenSSL prefers AES-256 in TLS 1.3, the client AES-128.
VARIANTS = (("13", "server"), ("13", "client"), ("12", "ECDHE-ECDSA-AES128-GCM-SHA256"),
            ("12", "ECDHE-ECDSA-CHACHA20-POLY1305"))
MODES = ("inplace", "ssl")
BODY = bytes((i * 7 + i // 253) & 255 for i in range(60_000))
BEFORE_BYTES = 100  # of the body, ahead of the attack
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CLIENT_SECONDS_MAX = 200
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE"}


TAP = Tap()


class Server:
    """Answers the nth connection with the nth script: script(transport) -> anything, kept in `outcomes`."""

    def __init__(self, scripts):
        self.scripts, self.outcomes = scripts, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        for script in self.scripts:
            try:
                transport, _ = self.listener.accept()
            except OSError:
                return
            with transport:
                try:
                    self.outcomes.append(script(transport))
                except Exception:  # whatever it is, the report names it
                    self.outcomes.append(traceback.format_exc())

    def stop(self):
        """Returns an outcome for each script."""
        self.listener.close()
        self.thread.join()
        return self.outcomes + ["the client did not come"] * (len(self.scripts) - len(self.outcomes))


def fetch(server, folder, mode, version):
    """All connections, by one client: an answer each."""
    done = subprocess.run([CLIENT, "--port", str(server.port), "--ca", f"{folder}/it.pem", "--mode", mode, "--tls",
                           version, "--repeat", str(len(server.scripts))], capture_output=True, text=True,
                          timeout=CLIENT_SECONDS_MAX, env=ENVIRONMENT, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.stderr or done.returncode:
        print(f"# the client ends with {done.returncode}: {done.stderr[-4000:]}")
    answers += [{"fault": f"no answer, exit status {done.returncode}"}] * (len(server.scripts) - len(answers))
    return answers


# Behind the handshake

def scene(identity, version, ciphers, attack, mode):
    """The script of one attack. Returns how much of the body may come out, and what the client said."""
    def run(transport):
        it = Connection(transport, identity, version, ciphers)
        problem = it.handshake()
        if problem:
            return f"no handshake: {problem}"
        it.request()
        it.stock = BODY
        it.send(23, HEAD)
        it.good(BEFORE_BYTES)
        attack.play(it)
        if attack.goes_on(mode):
            it.good()
            it.close()
        return {"good": len(BODY) - len(it.stock), "heard": it.farewell()}
    return run


def judge(attack, mode, answer, outcome):
    """A list of what is wrong."""
    if isinstance(outcome, str):
        return [f"server: {outcome}", f"client: {answer}"]
    verdicts = [judge_as(fault, alert, answer, outcome) for fault, alert in attack.accepted(mode)]
    return verdicts[0] if all(verdicts) else []


def judge_as(fault, alert, answer, outcome):
    count = outcome["good"]
    wanted = [(ALERT, b"\1\0")] if fault == "NONE" else [(ALERT, bytes([2, alert]))] if alert is not None else []
    problems = []
    if answer["fault"] != fault:
        problems.append(f"the fault is {answer['fault']} ({answer.get('text')}), wanted {fault}")
    if outcome["heard"] != wanted:
        problems.append(f"the server hears {outcome['heard']}, wanted {wanted}")
    if answer.get("body_bytes") != count or answer.get("sha256") != hashlib.sha256(BODY[:count]).hexdigest():
        problems.append(f"{answer.get('body_bytes')} bytes of the body came out, wanted the first {count}")
    if fault != "NONE" and len(answer.get("text", "")) < 20:
        problems.append(f"no sentence: {answer}")
    return problems


def test_attacks(folder, identity):
    for version, ciphers in VARIANTS:
        attacks = [it for it in ATTACKS if version in it.versions and ONLY in it.name]
        if "CHACHA" in ciphers:  # has no explicit nonce
            attacks = [it for it in attacks if "nonce" not in it.name]
        for mode in MODES:
            server = Server([scene(identity, version, ciphers, it, mode) for it in attacks])
            answers = fetch(server, folder, mode, version)
            outcomes = server.stop()
            for attack, answer, outcome in zip(attacks, answers, outcomes):
                suite = answer.get("cipher", "?").split("WITH_")[-1].replace("TLS_", "")
                TAP.report(f"TLS 1.{version[1]} {suite} {mode}: {attack.name}",
                           judge(attack, mode, answer, outcome))


# Before it is through

def prologue(identity, version, ciphers, play):
    def run(transport):
        it = Connection(transport, identity, version, ciphers)
        reason = play(it)
        if reason is None and it.write:
            reason = f"the handshake was finished, then {it.farewell()}"
        return {"reason": reason}
    return run


def test_handshakes(folder, identity):
    for version, ciphers in (VARIANTS[0], VARIANTS[2]):
        cases = [it for it in HANDSHAKES if version in it.versions and ONLY in it.name]
        for mode in MODES:
            server = Server([prologue(identity, version, ciphers, it.play) for it in cases])
            answers = fetch(server, folder, mode, version)
            for it, answer, outcome in zip(cases, answers, server.stop()):
                problems = [] if outcome == {"reason": it.reason} else [f"server: {outcome}"]
                if (answer["fault"], answer.get("status"), answer.get("body_bytes")) != (it.fault, 0, 0):
                    problems.append(f"wanted {it.fault}: {answer}")
                TAP.report(f"TLS 1.{version[1]} {mode}, {it.name}", problems)


def main():
    folder = tempfile.mkdtemp(prefix="tls-hostile-")
    try:
        identity = make_identity(folder)
        test_attacks(folder, identity)
        test_handshakes(folder, identity)
    finally:
        shutil.rmtree(folder)
    return TAP.end()


sys.exit(main())
