#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tls room against real servers, as TAP: nginx, GnuTLS, OpenSSL's s_server, and a server of ours on OpenSSL that
misbehaves on request.

usage: tls_interop.py TLS_CLIENT TLS_PEER LOOPBACK_BIND
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
import time

from tap import Tap

CLIENT, PEER, LOOPBACK_BIND = sys.argv[1:4]
MODES = ("inplace", "ssl")
SUITES_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
SUITES_12 = tuple(f"ECDHE-{key}-{cipher}" for key in ("RSA", "ECDSA")
                  for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"))
BODY_BYTES = 1_000_003
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE"}


def body(count):
    """What tls_peer sends."""
    return bytes((i * 7 + i // 253) & 255 for i in range(count))


BODY = body(BODY_BYTES)
DIGEST = hashlib.sha256(BODY).hexdigest()


TAP = Tap()


def expect(name, answer, **wanted):
    """Compares the named members of a client's answer; a value that is callable is a predicate."""
    wrong = [f"{key} is {answer.get(key)!r}" for key, value in wanted.items()
             if not (value(answer.get(key)) if callable(value) else answer.get(key) == value)]
    TAP.report(name, ["; ".join(wrong) + f" in {answer}"] if wrong else [])


def whole(digest=DIGEST, count=BODY_BYTES):
    return {"fault": "NONE", "status": 200, "body_bytes": count, "sha256": digest}


def fetch(port, path="/", **options):
    arguments = [CLIENT, "--port", str(port), "--path", path]
    for key, value in options.items():
        arguments += ["--" + key.replace("_", "-"), str(value)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if not answers or done.stderr:
        answers.append({"fault": f"exit status {done.returncode}: {done.stderr[-2000:]}"})
    return answers if "repeat" in options else answers[-1]


# Certificates

def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=Authority {name}", folder=folder)


def make_certificate(folder, name, authority="ca", key="rsa", names="DNS:localhost,IP:127.0.0.1",
                     start=None, end=None):
    kind = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}[key]
    openssl("req", "-newkey", *kind, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
            f"/CN={name}", folder=folder)
    with open(f"{folder}/{name}.cnf", "w", encoding="ascii") as file:
        file.write("[ca]\ndefault_ca = it\n[it]\ndatabase = index\nserial = serial\nnew_certs_dir = .\n"
                   "default_md = sha256\npolicy = any\nunique_subject = no\n[any]\ncommonName = supplied\n[names]\n"
                   "basicConstraints = CA:FALSE\n" + (f"subjectAltName = {names}\n" if names else ""))
    open(f"{folder}/index", "a", encoding="ascii").close()
    period = [] if not start else ["-startdate", start]
    period += ["-days", "20"] if not end else ["-enddate", end]
    openssl("ca", "-batch", "-config", f"{name}.cnf", "-create_serial", "-cert", f"{authority}.pem", "-keyfile",
            f"{authority}.key", "-extensions", "names", "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext",
            *period, folder=folder)


# Servers

class Peer:
    """tls_peer in a process of its own, ended by closing its standard input."""

    def __init__(self, folder, certificate, *arguments):
        self.process = subprocess.Popen([PEER, f"{folder}/{certificate}.pem", f"{folder}/{certificate}.key",
                                         *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline().split()
        if len(first) != 2:
            raise RuntimeError(f"tls_peer {arguments} does not start")
        self.port = int(first[1])

    def said(self):
        """Its next line: how the last client left."""
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [it.getsockname()[1] for it in sockets]
    for it in sockets:
        it.close()
    return ports


class Nginx:
    """nginx in the foreground, one port per cipher suite."""

    def __init__(self, program, folder):
        self.folder = folder
        self.cases = [("13", suite, "rsa") for suite in SUITES_13]
        self.cases += [("12", suite, "ecdsa" if "ECDSA" in suite else "rsa") for suite in SUITES_12]
        self.ports = free_ports(len(self.cases))
        servers = "".join(self.server(port, *case) for port, case in zip(self.ports, self.cases))
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{folder}/nginx.conf", "w", encoding="ascii") as file:
            file.write(f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
                       f"events {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n{temporary}{servers}}}\n")
        self.process = subprocess.Popen([program, "-c", f"{folder}/nginx.conf", "-p", folder, "-e",
                                         f"{folder}/error.log"], stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.ports[-1]), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("nginx does not start: " + open(f"{folder}/error.log", encoding="utf-8").read())

    def server(self, port, version, suite, key):
        choice = f"ssl_conf_command Ciphersuites {suite}" if version == "13" else f"ssl_ciphers {suite}"
        return (f"server {{ listen 127.0.0.1:{port} ssl; root {self.folder}/www; ssl_protocols TLSv1.{version[1]}; "
                f"ssl_certificate {self.folder}/{key}.pem; ssl_certificate_key {self.folder}/{key}.key; {choice}; "
                "ssl_session_tickets on; }\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)


class Program:
    """A server program in the foreground, whose words are kept."""

    def __init__(self, folder, port, command, environment=None):
        self.log = f"{folder}/log-{port}"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=f"{folder}/www", stdin=subprocess.PIPE, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})})
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{command} does not start: {self.words()}")

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Scripted:
    """A TCP server that answers each connection with the same bytes, whatever it is sent."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = answer
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                if not connection.recv(65536):
                    return
                connection.sendall(self.answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        socket.create_connection(("127.0.0.1", self.port)).close()  # an empty visit ends it
        self.thread.join()
        self.listener.close()


# What is tested

def test_nginx(folder):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        TAP.skip("nginx", "nginx is not installed")
        return
    with Nginx(program, folder) as nginx:
        for port, (version, suite, _) in zip(nginx.ports, nginx.cases):
            for mode in MODES:
                name = f"nginx TLS 1.{version[1]} {suite} {mode}"
                first, second = fetch(port, "/body", ca=f"{folder}/ca.pem", mode=mode, tls=version, repeat=2)
                expect(name, first, **whole(), mode=mode, version=f"TLSv1.{version[1]}", resumed=0)
                expect(name + " resumed", second, **whole(), resumed=1)


def every_suite():
    """(version, suite as OpenSSL calls it, key)"""
    return ([("13", suite, key) for suite in SUITES_13 for key in ("rsa", "ecdsa")] +
            [("12", suite, "ecdsa" if "ECDSA" in suite else "rsa") for suite in SUITES_12])


def fetch_twice(name, port, path, folder, mode, version):
    """The second time with the ticket of the first."""
    for answer, resumed in zip(fetch(port, path, ca=f"{folder}/ca.pem", mode=mode, tls=version, repeat=2), (0, 1)):
        expect(name + (" resumed" if resumed else ""), answer, **whole(), mode=mode, version=f"TLSv1.{version[1]}",
               resumed=resumed)


def test_gnutls(folder):
    program = shutil.which("gnutls-serv")
    if not program:
        TAP.skip("GnuTLS", "gnutls-serv is not installed (package gnutls-bin)")
        return
    for (version, suite, key), port in zip(every_suite(), free_ports(len(every_suite()))):
        cipher = next(its for part, its in (("128", "AES-128-GCM"), ("AES", "AES-256-GCM"), ("", "CHACHA20-POLY1305"))
                      if part in suite.split("SHA")[0])
        priority = f"NORMAL:-VERS-ALL:+VERS-TLS1.{version[1]}:-CIPHER-ALL:+{cipher}"
        if version == "12":
            priority += f":-KX-ALL:+ECDHE-{key.upper()}"
        with Program(folder, port, [program, "--http", "--httpdata", "body", "--disable-client-cert", "--port",
                                    str(port), "--x509certfile", f"{folder}/{key}.pem", "--x509keyfile",
                                    f"{folder}/{key}.key", "--priority", priority],
                     {"LD_PRELOAD": LOOPBACK_BIND}) as server:
            for mode in MODES:
                fetch_twice(f"GnuTLS TLS 1.{version[1]} {cipher} {key} {mode}", port, "/body", folder, mode, version)
        resumed = server.words().count("This is a resumed session")
        TAP.report(f"and GnuTLS knows of {len(MODES)} resumed sessions",
                   [] if resumed == len(MODES) else [f"{resumed}: {server.words()[-3000:]}"])


def test_s_server(folder):
    for (version, suite, key), port in zip(every_suite(), free_ports(len(every_suite()))):
        choice = ["-ciphersuites" if version == "13" else "-cipher", suite]
        with Program(folder, port, ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert",
                                    f"{folder}/{key}.pem", "-key", f"{folder}/{key}.key", "-WWW",
                                    f"-tls1_{version[1]}", *choice]):
            for mode in MODES:
                fetch_twice(f"s_server TLS 1.{version[1]} {suite} {key} {mode}", port, "/body", folder, mode, version)


def test_suites(folder):
    for version, suites in (("13", SUITES_13), ("12", SUITES_12)):
        for suite in suites:
            key = "ecdsa" if "ECDSA" in suite else "rsa"
            with Peer(folder, key, version, suite) as peer:
                for mode in MODES:
                    answers = fetch(peer.port, f"/{BODY_BYTES}", ca=f"{folder}/ca.pem", mode=mode, repeat=2)
                    for answer, resumed in zip(answers, (0, 1)):
                        expect(f"OpenSSL {suite} {mode}{' resumed' if resumed else ''}", answer, **whole(),
                               mode=mode, resumed=resumed)
                        TAP.report("its close_notify arrives", [] if (said := peer.said()) == "client close_notify"
                                   else [f"it says {said!r}"])


def test_shapes(folder):
    with Peer(folder, "rsa") as peer:
        for mode in MODES:
            for option in ("record-512", "record-1400", "record-4096", "pad-512", "pad-16384", "record-600/pad-64"):
                expect(f"OpenSSL {option} {mode}", fetch(peer.port, f"/{BODY_BYTES}/{option}", mode=mode,
                                                         ca=f"{folder}/ca.pem"), **whole())
                peer.said()
            for receive_bytes in (1, 5, 1000, 16406):
                count = 20_000 if receive_bytes < 1000 else BODY_BYTES
                digest = hashlib.sha256(BODY[:count]).hexdigest()
                expect(f"OpenSSL in receives of {receive_bytes} {mode}",
                       fetch(peer.port, f"/{count}", mode=mode, ca=f"{folder}/ca.pem", receive_bytes=receive_bytes),
                       **whole(digest, count))
                peer.said()


def test_key_updates(folder):
    with Peer(folder, "rsa", "13") as peer:
        for mode in MODES:
            for option in ("update", "request"):
                expect(f"OpenSSL key {option} {mode}", fetch(peer.port, f"/{BODY_BYTES}/{option}", mode=mode,
                                                             ca=f"{folder}/ca.pem"), **whole(), key_updates=9)
                # Our answers, and our close_notify under the last of our new keys, were understood.
                TAP.report("and the server follows ours", [] if (said := peer.said()) == "client close_notify"
                           else [f"it says {said!r}"])


def test_ends(folder):
    with Peer(folder, "rsa") as peer:
        for mode in MODES:
            for tls in ("12", "13"):
                expect(f"no close_notify TLS 1.{tls[1]} {mode}",
                       fetch(peer.port, f"/{BODY_BYTES}/bare", mode=mode, tls=tls, ca=f"{folder}/ca.pem"),
                       fault="TLS_TRUNCATED", body_bytes=BODY_BYTES, sha256=DIGEST)
                peer.said()
                expect(f"cut in a record TLS 1.{tls[1]} {mode}",
                       fetch(peer.port, f"/{BODY_BYTES}/abort", mode=mode, tls=tls, ca=f"{folder}/ca.pem"),
                       fault="TLS_TRUNCATED", body_bytes=BODY_BYTES, sha256=DIGEST)
                peer.said()
                expect(f"fatal alert TLS 1.{tls[1]} {mode}",
                       fetch(peer.port, f"/{BODY_BYTES}/alert", mode=mode, tls=tls, ca=f"{folder}/ca.pem"),
                       fault="TLS_ALERT", text=lambda it: '"bad record mac" (20)' in it, status=200)


def refused(name, peer, said, **options):
    fault = options.pop("fault", "TLS_CERTIFICATE")
    expect(name, fetch(peer.port, "/10", **options), fault=fault, status=0,
           text=lambda it: all(part in it for part in said))


def test_certificates(folder):
    ca = f"{folder}/ca.pem"
    with Peer(folder, "rsa") as peer:
        refused("issuer not in the given file", peer, ['"Authority ca"', "not trusted", "--ca-file"],
                ca=f"{folder}/other.pem")
        refused("issuer not in the system's bundle", peer, ['"Authority ca"', "not trusted", "--ca-file"])
        refused("wrong host", peer, ["not for other.example: it names localhost, 127.0.0.1"], ca=ca,
                host="other.example")
        refused("wrong address", peer, ["not for 127.0.0.9: it names localhost"], ca=ca, host="127.0.0.9")
        expect("by address", fetch(peer.port, "/10", ca=ca, host="127.0.0.1"), fault="NONE", body_bytes=10)
        expect("no such file", fetch(peer.port, "/10", ca=f"{folder}/none.pem"), fault="CONTEXT",
               text=lambda it: "none.pem: No such file" in it)
    for name, said, options in (
            ("expired", ["has expired (since 2021-03-04 05:06:07 UTC)"], {}),
            ("future", ["not valid before 2090-01-01 00:00:00 UTC", "clock"], {}),
            ("nameless", ["not for localhost: it names no host at all"], {}),
            ("many", ["it names a1.example, a2.example, a3.example, a4.example and 56 more"], {}),
            ("wildcard", ["not for a.b.test.example: it names *.test.example"], {"host": "a.b.test.example"}),
            ("other", ["self-signed", "--ca-file"], {})):
        with Peer(folder, name) as peer:
            refused(f"certificate {name}", peer, said, ca=ca, **options)
            TAP.report("the server gets an alert", [] if "alert" in (said := peer.said()) else [f"it says {said!r}"])
    with Peer(folder, "wildcard") as peer:
        expect("certificate wildcard matches", fetch(peer.port, "/10", ca=ca, host="a.test.example"), fault="NONE")
    with Peer(folder, "other") as peer:
        refused("trusted self-signed for another name", peer, ["it names no host"], ca=f"{folder}/other.pem")


def test_strangers(folder):
    ca = f"{folder}/ca.pem"
    http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
    for name, answer, fault, part in (
            ("plain HTTP", http, "TLS_NOT_TLS", "plain HTTP"),
            ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "TLS_NOT_TLS", "does not begin with a TLS record"),
            ("silence", b"", "TLS_HANDSHAKE", "closed the connection during the TLS handshake"),
            ("refusal", bytes([21, 3, 3, 0, 2, 2, 40]), "TLS_ALERT", '"handshake failure" (40)'),
            ("a farewell", bytes([21, 3, 3, 0, 2, 1, 0]), "TLS_HANDSHAKE", "closed the connection during the TLS"),
            ("half a record", bytes([22, 3, 3, 0, 50, 2]), "TLS_HANDSHAKE", "closed the connection"),
            ("garbage in a record", bytes([22, 3, 3, 0, 4, 99, 0, 0, 0]), "TLS_HANDSHAKE", "handshake failed"),
            ("a huge record", bytes([22, 3, 3, 0xff, 0xff]), "TLS_RECORD", "longer than")):
        with Scripted(answer) as server:
            expect(f"answered with {name}", fetch(server.port, ca=ca), fault=fault, status=0,
                   text=lambda it, part=part: part in it)
    with Peer(folder, "rsa", "11") as peer:
        refused("TLS 1.1 only", peer, ["refused the handshake"], ca=ca, fault="TLS_ALERT")


def main():
    folder = tempfile.mkdtemp(prefix="tls-interop-")
    try:
        make_authority(folder, "ca")
        make_authority(folder, "other")
        make_certificate(folder, "rsa")
        make_certificate(folder, "ecdsa", key="ecdsa")
        make_certificate(folder, "expired", start="20200101000000Z", end="20210304050607Z")
        make_certificate(folder, "future", start="20900101000000Z", end="20910101000000Z")
        make_certificate(folder, "nameless", names=None)
        make_certificate(folder, "many", names=",".join(f"DNS:a{i}.example" for i in range(1, 61)))
        make_certificate(folder, "wildcard", names="DNS:*.test.example")
        os.mkdir(f"{folder}/www")
        with open(f"{folder}/www/body", "wb") as file:
            file.write(BODY)
        for test in (test_nginx, test_gnutls, test_s_server, test_suites, test_shapes, test_key_updates, test_ends,
                     test_certificates, test_strangers):
            test(folder)
    finally:
        shutil.rmtree(folder)
    return TAP.end()


sys.exit(main())
