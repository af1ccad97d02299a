# SPDX-License-Identifier: Apache-2.0
"""A TLS server that can send any record at all: the handshake is Python's ssl (OpenSSL) and honest; then its keys are
taken from the key log and every record is made here, by hand, good or bad. What the client sends is opened here, too.
Built from RFC 8446, 5246, 5288 and 7905 again, without a look at the code under test. OpenSSL's AEADs are called
through ctypes, since Python's standard library has none.

A library, not a test.
"""
import ctypes
import ctypes.util
import hmac
import os
import socket
import ssl
import struct
import subprocess

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
KEY_UPDATE = bytes([24, 0, 0, 1, 0])
KEY_UPDATE_REQUESTED = bytes([24, 0, 0, 1, 1])
PATIENCE_SECONDS = 30  # for a client that neither speaks nor leaves


class Gone(Exception):
    """The client closed or reset the connection where that is not expected."""


# OpenSSL's AEADs

def load_crypto():
    library = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, arguments in (
            ("EVP_CIPHER_CTX_new", pointer, []), ("EVP_CIPHER_CTX_free", None, [pointer]),
            ("EVP_aes_128_gcm", pointer, []), ("EVP_aes_256_gcm", pointer, []), ("EVP_chacha20_poly1305", pointer, []),
            ("EVP_CIPHER_CTX_ctrl", number, [pointer, number, number, pointer]),
            ("EVP_CipherInit_ex", number, [pointer, pointer, pointer, text, text, number]),
            ("EVP_CipherUpdate", number, [pointer, pointer, ctypes.POINTER(number), text, number]),
            ("EVP_CipherFinal_ex", number, [pointer, pointer, ctypes.POINTER(number)])):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


CRYPTO = load_crypto()
GET_TAG, SET_TAG = 0x10, 0x11  # EVP_CTRL_AEAD_*
TAG_BYTES = 16


class Suite:
    """From a name of OpenSSL's, such as ECDHE-RSA-AES128-GCM-SHA256 or TLS_AES_128_GCM_SHA256."""

    def __init__(self, name):
        self.is_gcm = "GCM" in name
        self.digest = "sha384" if name.endswith("384") else "sha256"
        self.key_bytes = 16 if "128" in name.split("SHA")[0] else 32
        self.cipher = (CRYPTO.EVP_chacha20_poly1305 if not self.is_gcm else CRYPTO.EVP_aes_128_gcm
                       if self.key_bytes == 16 else CRYPTO.EVP_aes_256_gcm)

    def run(self, seals, key, nonce, additional, text, tag=None):
        """Returns text and tag; or the text, None when the tag is wrong."""
        context = CRYPTO.EVP_CIPHER_CTX_new()
        got = ctypes.c_int()
        target = ctypes.create_string_buffer(len(text) + TAG_BYTES)
        buffer = ctypes.create_string_buffer(tag or bytes(TAG_BYTES), TAG_BYTES)
        try:
            fine = CRYPTO.EVP_CipherInit_ex(context, self.cipher(), None, key, nonce, seals)
            if not seals:
                fine &= CRYPTO.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG_BYTES, buffer)
            fine &= CRYPTO.EVP_CipherUpdate(context, None, ctypes.byref(got), additional, len(additional))
            if text:
                fine &= CRYPTO.EVP_CipherUpdate(context, target, ctypes.byref(got), text, len(text))
            if not CRYPTO.EVP_CipherFinal_ex(context, ctypes.byref(ctypes.create_string_buffer(32)),
                                             ctypes.byref(got)):
                fine = 0
            if seals:
                fine &= CRYPTO.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG_BYTES, buffer)
        finally:
            CRYPTO.EVP_CIPHER_CTX_free(context)
        if not fine:
            if seals:
                raise RuntimeError("OpenSSL does not seal")
            return None
        return target.raw[:len(text)] + (buffer.raw if seals else b"")


# Keys of one direction

def expand_label(digest, secret, label, count):
    """HKDF-Expand-Label without a context (RFC 8446 7.1); one block is enough for all that is asked."""
    label = b"tls13 " + label
    info = struct.pack(">HB", count, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\1", digest).digest()[:count]


def key_block(digest, master, seed, count):
    """The PRF of TLS 1.2 (RFC 5246 5, 6.3)."""
    seed = b"key expansion" + seed
    block, state = b"", seed
    while len(block) < count:
        state = hmac.new(master, state, digest).digest()
        block += hmac.new(master, state + seed, digest).digest()
    return block


class Keys:
    def __init__(self, suite, version, secret=b"", key=b"", iv=b""):
        self.suite, self.version, self.secret, self.key, self.iv = suite, version, secret, key, iv
        self.sequence = 0 if version == "13" else 1  # Finished was 0
        if secret:
            self.derive()

    def derive(self):
        self.key = expand_label(self.suite.digest, self.secret, b"key", self.suite.key_bytes)
        self.iv = expand_label(self.suite.digest, self.secret, b"iv", 12)

    def update(self):
        """The next generation (RFC 8446 7.2)."""
        self.secret = expand_label(self.suite.digest, self.secret, b"traffic upd", len(self.secret))
        self.sequence = 0
        self.derive()

    @property
    def explicit_bytes(self):
        return 8 if self.version == "12" and self.suite.is_gcm else 0

    def nonce(self, explicit):
        if self.explicit_bytes:
            return self.iv + explicit
        return (int.from_bytes(self.iv, "big") ^ self.sequence).to_bytes(12, "big")

    def seal(self, kind, content, padding=0, inner=None, outer=None, version=b"\3\3"):
        """A record. TLS 1.3: `inner` replaces content, type and padding; `outer` the type in the header."""
        if self.version == "13":
            text = content + bytes([kind]) + bytes(padding) if inner is None else inner
            outer = DATA if outer is None else outer
        else:
            text, outer = content, kind if outer is None else outer
        explicit = struct.pack(">Q", self.sequence)[8 - self.explicit_bytes:] if self.explicit_bytes else b""
        body_bytes = len(explicit) + len(text) + TAG_BYTES
        header = bytes([outer]) + version + struct.pack(">H", body_bytes & 0xffff)
        additional = header if self.version == "13" else (struct.pack(">Q", self.sequence) + header[:3] +
                                                          struct.pack(">H", len(text) & 0xffff))
        sealed = self.suite.run(1, self.key, self.nonce(explicit), additional, text)
        self.sequence += 1
        return header + explicit + sealed

    def open(self, record):
        """(type, content), or None."""
        header, explicit = record[:5], record[5:5 + self.explicit_bytes]
        body = record[5 + self.explicit_bytes:]
        if len(body) < TAG_BYTES:
            return None
        text, tag = body[:-TAG_BYTES], body[-TAG_BYTES:]
        additional = header if self.version == "13" else (struct.pack(">Q", self.sequence) + header[:3] +
                                                          struct.pack(">H", len(text)))
        plain = self.suite.run(0, self.key, self.nonce(explicit), additional, text, tag)
        if plain is None:
            return None
        self.sequence += 1
        if self.version == "12":
            return header[0], plain
        plain = plain.rstrip(b"\0")
        return (plain[-1], plain[:-1]) if plain else None


# A connection

class Identity:
    def __init__(self, folder, certificate, key):
        self.folder, self.certificate, self.key, self.count = folder, certificate, key, 0

    def context(self, version, ciphers):
        """A fresh one for each connection, so that each has a key log of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        number = ssl.TLSVersion.TLSv1_3 if version == "13" else ssl.TLSVersion.TLSv1_2
        context.maximum_version = context.minimum_version = number
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0  # the first record under the keys is ours
        if version == "12":
            context.set_ciphers(ciphers)
        elif ciphers == "client":
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        self.count += 1
        context.keylog_filename = os.path.join(self.folder, f"keys-{self.count}")
        return context


def make_identity(folder):
    """Its own authority; EC, since a handshake must cost little."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-keyout", "it.key", "-out", "it.pem", "-subj", "/CN=Hostile", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], cwd=folder, check=True, capture_output=True)
    return Identity(folder, f"{folder}/it.pem", f"{folder}/it.key")


class Connection:
    """`stock` is what an honest server would send; good() sends the next of it."""

    def __init__(self, transport, identity, version, ciphers):
        transport.settimeout(PATIENCE_SECONDS)
        transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport, self.identity, self.version, self.ciphers = transport, identity, version, ciphers
        self.received = b""
        self.heard = []  # (type, content) of all that the client sent behind the handshake
        self.requests = b""
        self.request_records = []
        self.stock = b""
        self.write = self.read = self.suite = None
        self.flight = b""
        self.is_reset = False

    # The wire

    def raw(self, bytes_):
        try:
            self.transport.sendall(bytes_)
        except (ConnectionError, BrokenPipeError):
            pass  # it had enough; what it said is what counts

    def next_record(self):
        """One record of the client's; b"" at the end, None after a reset."""
        while len(self.received) < 5 or len(self.received) < 5 + int.from_bytes(self.received[3:5], "big"):
            try:
                part = self.transport.recv(65536)
            except ConnectionError:
                return None
            if not part:
                return b""
            self.received += part
        size = 5 + int.from_bytes(self.received[3:5], "big")
        record, self.received = self.received[:size], self.received[size:]
        return record

    # The handshake

    def handshake(self, tamper=None):
        """`tamper(flight, number)` changes what the server sends. Returns the reason of a failure, or None."""
        context = self.identity.context(self.version, self.ciphers)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        flights = 0
        while True:
            problem, done = None, False
            try:
                session.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                problem = error.reason
            flight = outgoing.read()
            self.flight += flight
            if flight:
                self.raw(tamper(flight, flights) if tamper else flight)
                flights += 1
            if done or problem:
                break
            record = self.next_record()
            if not record:
                return "END" if record == b"" else "RESET"
            incoming.write(record)
        if problem:
            return problem
        self.take_keys(session, context.keylog_filename)
        return None

    def take_keys(self, session, log):
        self.suite = Suite(session.cipher()[0])
        with open(log, encoding="ascii") as file:
            lines = [line.split() for line in file]
        secrets = {line[0]: bytes.fromhex(line[2]) for line in lines if len(line) == 3}
        os.remove(log)
        if self.version == "13":
            self.write = Keys(self.suite, "13", secrets["SERVER_TRAFFIC_SECRET_0"])
            self.read = Keys(self.suite, "13", secrets["CLIENT_TRAFFIC_SECRET_0"])
            return
        client_random = bytes.fromhex(next(line[1] for line in lines if line[0] == "CLIENT_RANDOM"))
        server_random = self.flight[11:43]  # record head 5, message head 4, version 2
        key_bytes, iv_bytes = self.suite.key_bytes, 4 if self.suite.is_gcm else 12
        block = key_block(self.suite.digest, secrets["CLIENT_RANDOM"], server_random + client_random,
                          2 * (key_bytes + iv_bytes))
        ivs = block[2 * key_bytes:]
        self.read = Keys(self.suite, "12", key=block[:key_bytes], iv=ivs[:iv_bytes])
        self.write = Keys(self.suite, "12", key=block[key_bytes:2 * key_bytes], iv=ivs[iv_bytes:2 * iv_bytes])

    # What the client says

    def hear(self):
        """Takes the client's next record into account. False at the end."""
        record = self.next_record()
        if not record:
            self.heard.append(("end", b"" if record == b"" else b"reset"))
            return False
        opened = self.read.open(record)
        if not opened:
            self.heard.append(("undecipherable", record))
            return True
        kind, content = opened
        if kind == DATA:
            self.requests += content
            self.request_records.append(record)
            return True
        self.heard.append(opened)
        if kind == HANDSHAKE and content[:4] == KEY_UPDATE[:4]:
            self.read.update()
        return True

    def request(self):
        """The head of the next request, "" when there is none."""
        while b"\r\n\r\n" not in self.requests:
            if not self.hear():
                return ""
        head, self.requests = self.requests.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def farewell(self):
        """All that the client says until it is gone: [(type, content)...], without its key updates and its end."""
        if self.is_reset:
            return []
        try:
            while self.hear():
                pass
        except TimeoutError:
            self.heard.append(("silence", b""))
        return [it for it in self.heard if it[0] != "end" and (it[0] != HANDSHAKE or it[1][:4] != KEY_UPDATE[:4])]

    # What we say

    def send(self, kind, content, **shape):
        self.raw(self.write.seal(kind, content, **shape))

    def good(self, count=None):
        """The next of the stock, in one record at most; all that is left in as many as it takes."""
        count = len(self.stock) if count is None else count
        while count > 0:
            piece, self.stock = self.stock[:min(count, 16384)], self.stock[min(count, 16384):]
            if not piece:
                return
            self.send(DATA, piece)
            count -= len(piece)

    def close(self):
        """close_notify and the end."""
        self.send(ALERT, b"\1\0")
        self.fin()

    def fin(self):
        try:
            self.transport.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """RST instead of FIN (SO_LINGER with no time)."""
        self.transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.close()
        self.is_reset = True
