# SPDX-License-Identifier: Apache-2.0
"""What a hostile server may send behind an honest handshake, in the middle of an answer's body, and what must come of
it: the fault (src/base/faults.def) and the alert that the server must get. A library, not a test.

Each attack is played on a Connection (tls_forge.py). What comes through good() is the answer's own body and must
arrive; EVIL must not. Where the two ways of opening records differ, `ssl` says what BoringSSL does, with the reason:
  (1) zeros only: BoringSSL answers decrypt_error, RFC 8446 5.4 wants unexpected_message
  (2) an odd outer type under TLS 1.3: our layer refuses the header (unexpected_message, RFC 8446 5), BoringSSL opens
      the body first, and calls a good one decode_error
  (3) an enum out of range in a KeyUpdate: RFC 8446 4.6.3 wants illegal_parameter, BoringSSL says decode_error
  (4) an empty handshake or alert record: RFC 8446 5.1 wants unexpected_message; BoringSSL counts it as an empty
      record, or calls it decode_error
  (5) a fatal alert that calls itself a warning: nothing follows it (RFC 8446 6.2), BoringSSL answers
  (6) a handshake message of TLS 1.2 other than HelloRequest: unexpected_message (RFC 5246 7.2.2), BoringSSL says
      decode_error
  (7) the header's length is looked at before the rest of it, because BoringSSL is shown whole records only
Both ways differ from RFC 8446 5.1, which wants the version in a record's header ignored: they refuse what is not
0x0303. It is under the record's seal, no server sends anything else there, and the kernel (kTLS) refuses it as well.
HelloRequest: RFC 5246 7.4.1.1 lets a client ignore it or send a warning; both end the connection, because a server
that wants another handshake goes on to nothing without it.
Session tickets are not counted: each takes the place of the one before, and an answer's time is limited anyway.
"""
from tls_forge import ALERT, CCS, DATA, HANDSHAKE, KEY_UPDATE, KEY_UPDATE_REQUESTED, TAG_BYTES

UNEXPECTED, BAD_MAC, OVERFLOW, ILLEGAL, DECODE, DECRYPT, VERSION = 10, 20, 22, 47, 50, 51, 70
NO_RENEGOTIATION = 100
RECORD, AUTHENTICATION, LIMIT = "TLS_RECORD", "TLS_AUTHENTICATION", "TLS_LIMIT"
EVIL = b'\n{"evil": "a byte of a bad record was taken for the body"}\n'
CONTENT_MAX = 16384
TICKET = bytes.fromhex("04000021" "00001c20" "00000000" "0812345678" "12345678" "000c" + "ab" * 12 + "0000")


class Attack:
    def __init__(self, name, play, fault, alert=None, ssl=None, versions=("12", "13"), ends=False):
        self.name, self.play, self.versions = name, play, versions
        self.expected = {"inplace": (fault, alert), "ssl": ssl or (fault, alert)}
        self.ends = ends  # properly, though early

    def accepted(self, mode):
        """[(fault, alert)]. A later BoringSSL may do what the RFC wants."""
        mine, ours = self.expected[mode], self.expected["inplace"]
        return [mine, ours] if "NONE" not in (mine[0], ours[0]) else [mine]

    def goes_on(self, mode):
        """It is legal, and the rest of the answer may follow."""
        return self.expected[mode][0] == "NONE" and not self.ends


ATTACKS = []


def attack(name, fault, alert=None, **options):
    def register(play):
        ATTACKS.append(Attack(name, play, fault, alert, **options))
        return play
    return register


def family(format_, members, fault, alert, **options):
    """One attack for each member; `play(connection, member)`."""
    def register(play):
        for member in members:
            said = member.hex() if isinstance(member, bytes) else member
            ATTACKS.append(Attack(format_.format(said), lambda it, member=member: play(it, member), fault, alert,
                                  **options))
        return play
    return register


def flipped(record, at):
    changed = bytearray(record)
    changed[at] ^= 1
    return bytes(changed)


# Authentication

@family("a bit flipped at {}", (-1, -TAG_BYTES, -TAG_BYTES - 1, 13, 30), AUTHENTICATION, BAD_MAC)
def _(it, at):
    it.raw(flipped(it.write.seal(DATA, EVIL), at))


@attack("a bit of the explicit nonce flipped", AUTHENTICATION, BAD_MAC, versions=("12",))
def _(it):
    it.raw(flipped(it.write.seal(DATA, EVIL), 5))


@attack("a record replayed", AUTHENTICATION, BAD_MAC)
def _(it):
    piece, it.stock = it.stock[:50], it.stock[50:]
    record = it.write.seal(DATA, piece)
    it.raw(record + record)


@attack("a record left out", AUTHENTICATION, BAD_MAC)
def _(it):
    it.write.seal(DATA, b"lost")
    it.send(DATA, EVIL)


@attack("two records swapped", AUTHENTICATION, BAD_MAC)
def _(it):
    first, second = it.write.seal(DATA, EVIL), it.write.seal(DATA, EVIL)
    it.raw(second + first)


@attack("the client's own request sent back", AUTHENTICATION, BAD_MAC)
def _(it):
    it.raw(it.request_records[0])


@attack("another key", AUTHENTICATION, BAD_MAC)
def _(it):
    it.write.key = bytes(len(it.write.key))
    it.send(DATA, EVIL)


@attack("the client's key", AUTHENTICATION, BAD_MAC)
def _(it):
    it.write.key, it.write.iv = it.read.key, it.read.iv
    it.send(DATA, EVIL)


@attack("the old key after a key update", AUTHENTICATION, BAD_MAC, versions=("13",))
def _(it):
    it.send(HANDSHAKE, KEY_UPDATE)
    it.send(DATA, EVIL)


@attack("a new key without a key update", AUTHENTICATION, BAD_MAC, versions=("13",))
def _(it):
    it.write.update()
    it.send(DATA, EVIL)


@attack("the sequence number not begun anew after a key update", AUTHENTICATION, BAD_MAC, versions=("13",))
def _(it):
    it.send(HANDSHAKE, KEY_UPDATE)
    sequence = it.write.sequence
    it.write.update()
    it.write.sequence = sequence
    it.send(DATA, EVIL)


@attack("data renamed to an alert", AUTHENTICATION, BAD_MAC, versions=("12",))
def _(it):
    it.raw(bytes([ALERT]) + it.write.seal(DATA, b"\1\0")[1:])


@family("a length changed by {}", (-1, 1), AUTHENTICATION, BAD_MAC)
def _(it, by):
    record = it.write.seal(DATA, EVIL)
    it.raw(record[:3] + (len(record) - 5 + by).to_bytes(2, "big") + record[5:] + bytes(32))


@family("an authentic record without room for its tag, {} bytes", (0, 1, 15), AUTHENTICATION, BAD_MAC)
def _(it, count):
    it.raw(bytes([DATA, 3, 3, 0, count]) + bytes(count))


@attack("a record one byte short of nonce and tag", AUTHENTICATION, BAD_MAC, versions=("12",))
def _(it):
    count = it.write.explicit_bytes + TAG_BYTES - 1
    it.raw(bytes([DATA, 3, 3, 0, count]) + bytes(count))


# Sizes

@family("content of {} bytes", (CONTENT_MAX + 1, CONTENT_MAX + 100), RECORD, OVERFLOW)
def _(it, count):
    it.send(DATA, (EVIL * 300)[:count])


@attack("content and padding of one byte too many", RECORD, OVERFLOW, versions=("13",))
def _(it):
    it.send(DATA, EVIL, padding=CONTENT_MAX + 1 - len(EVIL))


def header_of(it, body_bytes):
    return bytes([DATA, 3, 3]) + body_bytes.to_bytes(2, "big")


@attack("a body one byte longer than any", RECORD, OVERFLOW)
def _(it):
    it.raw(header_of(it, CONTENT_MAX + 2049) + bytes(100))


@attack("a body of 65535 bytes", RECORD, OVERFLOW)
def _(it):
    it.raw(header_of(it, 65535) + bytes(100))


@attack("a sealed body of 2^14 + 257 bytes", RECORD, OVERFLOW, versions=("13",))
def _(it):
    it.send(DATA, EVIL, padding=CONTENT_MAX + 257 - TAG_BYTES - 1 - len(EVIL))


@attack("records as large as can be", "NONE")
def _(it):
    it.good(CONTENT_MAX)
    it.good(CONTENT_MAX)


@attack("a record padded as far as can be", "NONE", versions=("13",))
def _(it):
    piece, it.stock = it.stock[:1000], it.stock[1000:]
    it.send(DATA, piece, padding=CONTENT_MAX - len(piece))


@attack("records of one byte", "NONE")
def _(it):
    for _ in range(200):
        it.good(1)


# Records of nothing

@family("{} empty records", (1, 32), "NONE", None)
def _(it, count):
    for _ in range(count):
        it.send(DATA, b"")


@attack("32 empty records, data, 32 more", "NONE")
def _(it):
    for _ in range(2):
        for _ in range(32):
            it.send(DATA, b"")
        it.good(1)


@family("{} empty records", (33, 2000), LIMIT, UNEXPECTED)
def _(it, count):
    it.raw(b"".join(it.write.seal(DATA, b"") for _ in range(count)))
    it.send(DATA, EVIL)


@attack("33 records of padding around nothing", LIMIT, UNEXPECTED, versions=("13",))
def _(it):
    it.raw(b"".join(it.write.seal(DATA, b"", padding=300) for _ in range(33)))


@family("zeros only, {}", (1, 2, 8, 500, CONTENT_MAX + 1), RECORD, UNEXPECTED, versions=("13",),
        ssl=("TLS_AUTHENTICATION", DECRYPT))  # (1)
def _(it, count):
    it.send(0, b"", inner=bytes(count))


@attack("a tag around nothing, not even a type", RECORD, UNEXPECTED, versions=("13",),
        ssl=("TLS_AUTHENTICATION", DECRYPT))  # (1)
def _(it):
    it.send(0, b"", inner=b"")


# Headers

@family("version {}", (b"\3\0", b"\3\1", b"\3\2", b"\3\4", b"\2\0", b"\0\3", b"\xfe\xfd"), RECORD, VERSION)
def _(it, version):
    it.send(DATA, EVIL, version=version)


@family("outer type {} around data", (CCS, ALERT, HANDSHAKE, 0, 24, 99, 255), RECORD, UNEXPECTED,
        versions=("13",), ssl=(RECORD, DECODE))  # (2)
def _(it, outer):
    it.send(DATA, EVIL, outer=outer)


@family("type {} inside", (CCS, 24, 99, 255), RECORD, UNEXPECTED)
def _(it, kind):
    it.send(kind, b"\1")


# In the clear, though there are keys

@family("an alert in the clear: {}", (b"\2\x28", b"\1\0"), RECORD, UNEXPECTED, versions=("13",),
        ssl=(AUTHENTICATION, BAD_MAC))  # (2)
def _(it, content):
    it.raw(bytes([ALERT, 3, 3, 0, 2]) + content)


@family("an alert in the clear: {}", (b"\2\x28", b"\1\0"), AUTHENTICATION, BAD_MAC, versions=("12",))
def _(it, content):
    it.raw(bytes([ALERT, 3, 3, 0, 2]) + content)


@attack("change_cipher_spec in the clear", RECORD, UNEXPECTED, versions=("13",), ssl=(AUTHENTICATION, BAD_MAC))  # (2)
def _(it):
    it.raw(bytes([CCS, 3, 3, 0, 1, 1]))


@attack("change_cipher_spec in the clear", AUTHENTICATION, BAD_MAC, versions=("12",))
def _(it):
    it.raw(bytes([CCS, 3, 3, 0, 1, 1]))


@attack("data in the clear", AUTHENTICATION, BAD_MAC)
def _(it):
    it.raw(header_of(it, len(EVIL)) + EVIL)


@attack("HTTP in the clear", RECORD, VERSION, ssl=(RECORD, OVERFLOW))  # (7)
def _(it):
    it.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil\n")


# Handshake messages behind the handshake

@attack("HelloRequest", RECORD, NO_RENEGOTIATION, versions=("12",))
def _(it):
    it.send(HANDSHAKE, b"\0\0\0\0")


@family("message {}", (b"\1\0\0\0", b"\2\0\0\0", b"\x14\0\0\x0c" + bytes(12), KEY_UPDATE, TICKET), RECORD, UNEXPECTED,
        versions=("12",), ssl=(RECORD, DECODE))  # (6)
def _(it, message):
    it.send(HANDSHAKE, message)


CERTIFICATE_REQUEST = b"\x0d\0\0\x0b\0\0\x08\0\x0d\0\4\0\2\4\3"


@family("message {}", (b"\0\0\0\0", b"\1\0\0\0", b"\2\0\0\0", CERTIFICATE_REQUEST, b"\x14\0\0\x20" + bytes(32),
                       b"\xff\0\0\0"), RECORD, UNEXPECTED, versions=("13",))
def _(it, message):
    it.send(HANDSHAKE, message)


@attack("a message of 16 MB announced", RECORD, ILLEGAL, versions=("13",))
def _(it):
    it.send(HANDSHAKE, b"\4\xff\xff\xff" + bytes(50))


@attack("a ticket of 60000 bytes", RECORD, ILLEGAL, versions=("13",))
def _(it):
    size = 60000
    ticket = TICKET[4:21] + size.to_bytes(2, "big") + bytes(size) + b"\0\0"
    message = b"\4" + len(ticket).to_bytes(3, "big") + ticket
    for at in range(0, len(message), CONTENT_MAX):
        it.send(HANDSHAKE, message[at:at + CONTENT_MAX])


@attack("a ticket of 12000 bytes in pieces", "NONE", versions=("13",))
def _(it):
    size = 12000
    ticket = TICKET[4:21] + size.to_bytes(2, "big") + bytes(size) + b"\0\0"
    message = b"\4" + len(ticket).to_bytes(3, "big") + ticket
    for at in range(0, len(message), 997):
        it.send(HANDSHAKE, message[at:at + 997])


@attack("2000 tickets", "NONE", versions=("13",))
def _(it):
    it.raw(b"".join(it.write.seal(HANDSHAKE, TICKET * 10) for _ in range(200)))
    it.good(10)


@attack("a ticket byte by byte", "NONE", versions=("13",))
def _(it):
    for at in range(len(TICKET)):
        it.send(HANDSHAKE, TICKET[at:at + 1])


@family("a malformed ticket: {}", (b"\4\0\0\0", b"\4\0\0\3\1\2\3", TICKET[:12] + b"\xff" + TICKET[13:]),
        RECORD, DECODE, versions=("13",))
def _(it, message):
    it.send(HANDSHAKE, message)


@attack("a message cut by data", RECORD, UNEXPECTED, versions=("13",))
def _(it):
    it.send(HANDSHAKE, TICKET[:20])
    it.send(DATA, EVIL)


@attack("an empty handshake record", RECORD, UNEXPECTED, ssl=("NONE", None))  # (4)
def _(it):
    it.send(HANDSHAKE, b"")


# Key updates

@attack("a key update byte by byte", "NONE", versions=("13",))
def _(it):
    for at in range(len(KEY_UPDATE)):
        it.send(HANDSHAKE, KEY_UPDATE[at:at + 1])
    it.write.update()
    it.good(10)


@attack("32 key updates", "NONE", versions=("13",))
def _(it):
    for _ in range(32):
        it.send(HANDSHAKE, KEY_UPDATE_REQUESTED)
        it.write.update()
    it.good(10)


@attack("33 key updates", LIMIT, UNEXPECTED, versions=("13",))
def _(it):
    for _ in range(33):
        it.send(HANDSHAKE, KEY_UPDATE)
        it.write.update()
    it.send(DATA, EVIL)


@attack("a storm of key updates with empty records between", LIMIT, UNEXPECTED, versions=("13",))
def _(it):
    for _ in range(200):
        it.send(HANDSHAKE, KEY_UPDATE_REQUESTED)
        it.write.update()
        it.send(DATA, b"")


@attack("1000 key updates with a byte between", "NONE", versions=("13",))
def _(it):
    for _ in range(1000):
        it.send(HANDSHAKE, KEY_UPDATE_REQUESTED)
        it.write.update()
        it.good(1)


@family("a key update of {}", (2, 255), RECORD, ILLEGAL, versions=("13",), ssl=(RECORD, DECODE))  # (3)
def _(it, value):
    it.send(HANDSHAKE, KEY_UPDATE[:4] + bytes([value]))


@family("a malformed key update: {}", (b"\x18\0\0\0", b"\x18\0\0\2\0\0"), RECORD, DECODE, versions=("13",))
def _(it, message):
    it.send(HANDSHAKE, message)


@family("a key update and {} in one record", (b"\x18", KEY_UPDATE, TICKET), RECORD, UNEXPECTED, versions=("13",))
def _(it, behind):
    it.send(HANDSHAKE, KEY_UPDATE + behind)


# Alerts

@family("alert {}", (b"\2\x50", b"\2\x14", b"\2\xc8"), "TLS_ALERT", None)
def _(it, content):
    it.send(ALERT, content)
    it.send(DATA, EVIL)


@family("a warning that is none in TLS 1.3: {}", (b"\1\x28", b"\1\xc8", b"\1\x64"), "TLS_ALERT", None,
        versions=("13",), ssl=("TLS_ALERT", DECODE))  # (5)
def _(it, content):
    it.send(ALERT, content)
    it.send(DATA, EVIL)


@attack("a close_notify that calls itself fatal", "TLS_ALERT")
def _(it):
    it.send(ALERT, b"\2\0")
    it.send(DATA, EVIL)


@family("an alert of level {}", (0, 3, 255), RECORD, ILLEGAL)
def _(it, level):
    it.send(ALERT, bytes([level, 0]))


@family("an alert of the wrong size: {}", (b"\1", b"\1\0\0", b"\1\0\1\0", b"\2\x50\2\x50"), RECORD, DECODE)
def _(it, content):
    it.send(ALERT, content)


@attack("an empty alert", RECORD, UNEXPECTED, ssl=(RECORD, DECODE))  # (4)
def _(it):
    it.send(ALERT, b"")


@attack("four warnings", "NONE")
def _(it):
    for _ in range(4):
        it.send(ALERT, b"\1\x5a")
    it.good(10)


@attack("five warnings", LIMIT, UNEXPECTED)
def _(it):
    for _ in range(5):
        it.send(ALERT, b"\1\x5a")
    it.send(DATA, EVIL)


# Ends

@attack("close_notify, then data", "NONE", ends=True)
def _(it):
    it.send(ALERT, b"\1\0")
    it.send(DATA, EVIL)
    it.fin()


@attack("close_notify, then garbage", "NONE", ends=True)
def _(it):
    it.send(ALERT, b"\1\0")
    it.raw(b"garbage" * 5000)
    it.fin()


@attack("close_notify, then half a record", "NONE", ends=True)
def _(it):
    it.send(ALERT, b"\1\0")
    it.raw(it.write.seal(DATA, EVIL)[:20])
    it.fin()


@attack("close_notify between two records in one segment", "NONE", ends=True)
def _(it):
    it.raw(it.write.seal(ALERT, b"\1\0") + it.write.seal(DATA, EVIL))
    it.fin()


@attack("the end without close_notify", "TLS_TRUNCATED")
def _(it):
    it.fin()


@family("{} bytes of a record, then the end", (1, 4, 5, 6, 40), "TLS_TRUNCATED", None)
def _(it, count):
    it.raw(it.write.seal(DATA, EVIL)[:count])
    it.fin()


@family("{} bytes of a record, then a reset", (0, 4, 40), "TLS_TRUNCATED", None)
def _(it, count):
    it.raw(it.write.seal(DATA, EVIL)[:count])
    it.reset()


@attack("a bad record without its last byte, then the end", "TLS_TRUNCATED")
def _(it):
    it.raw(flipped(it.write.seal(DATA, EVIL), 30)[:-1])
    it.fin()


# Before the handshake is through

class Prologue:
    """`play` is a script for the whole connection, which may return the reason that OpenSSL gives for a handshake that
    failed; it must be `reason`."""

    def __init__(self, name, play, fault, reason=None, versions=("12", "13")):
        self.name, self.play, self.versions = "in the handshake: " + name, play, versions
        self.fault, self.reason = fault, reason
        self.ends = False

    def accepted(self, _):
        return [(self.fault, None)]


HANDSHAKES = []


def before(name, fault, reason=None, **options):
    def register(play):
        HANDSHAKES.append(Prologue(name, play, fault, reason, **options))
        return play
    return register


def answered(name, answer, fault):
    """Answers the ClientHello with these bytes, and ends."""
    @before(name, fault)
    def _(it):
        it.next_record()
        it.raw(answer)
        it.fin()


answered("an answer in plain HTTP", b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "TLS_NOT_TLS")
answered("a hello of SSL 2", b"\x80\x2e\4\0\1\0\2" + bytes(41), "TLS_NOT_TLS")
answered("data before the hello", bytes([DATA, 3, 3, 0, 5]) + b"evil\n", "TLS_HANDSHAKE")
answered("40 change_cipher_specs", bytes([CCS, 3, 3, 0, 1, 1]) * 40, "TLS_HANDSHAKE")
answered("40 empty handshake records", bytes([HANDSHAKE, 3, 3, 0, 0]) * 40, "TLS_LIMIT")
answered("40 warnings", bytes([ALERT, 3, 3, 0, 2, 1, 0x5a]) * 40, "TLS_LIMIT")
answered("40 HelloRequests", bytes([HANDSHAKE, 3, 3, 0, 4, 0, 0, 0, 0]) * 40, "TLS_HANDSHAKE")
answered("an unknown record type", bytes([24, 3, 3, 0, 1, 0]), "TLS_NOT_TLS")
answered("a record of 65535 bytes", bytes([HANDSHAKE, 3, 3, 255, 255]) + bytes(100), "TLS_RECORD")
answered("a message of 16 MB", bytes([HANDSHAKE, 3, 3, 0, 40, 2, 255, 255, 255]) + bytes(36), "TLS_HANDSHAKE")
answered("a third of a header", bytes([HANDSHAKE, 3]), "TLS_HANDSHAKE")
answered("nothing", b"", "TLS_HANDSHAKE")


@before("a reset", "TLS_HANDSHAKE")
def _(it):
    it.next_record()
    it.reset()


@before("half the server's flight", "TLS_HANDSHAKE", "END")
def _(it):
    def tamper(flight, _):
        it.raw(flight[:len(flight) // 2])
        it.fin()
        return b""
    return it.handshake(tamper)


@before("a sealed record damaged", "TLS_HANDSHAKE", "SSLV3_ALERT_BAD_RECORD_MAC")
def _(it):
    """The first flight's last record in TLS 1.3, Finished in TLS 1.2."""
    reason = it.handshake(lambda flight, number: flipped(flight, -1) if number == (it.version == "12") else flight)
    if it.version == "12" and it.farewell() == [(ALERT, bytes([2, BAD_MAC]))]:
        reason = "SSLV3_ALERT_BAD_RECORD_MAC"  # the server was through when it sent that
    return reason


@before("a certificate that is none", "TLS_HANDSHAKE", "TLSV1_ALERT_DECODE_ERROR", versions=("12",))
def _(it):
    def tamper(flight, number):
        if number:
            return flight
        at = 0
        while flight[at + 5] != 11:  # a record for each message
            at += 5 + int.from_bytes(flight[at + 3:at + 5], "big")
        return flipped(flight, at + 11)  # the last byte of its list's length
    return it.handshake(tamper)


@before("two hellos", "TLS_HANDSHAKE", "SSLV3_ALERT_UNEXPECTED_MESSAGE", versions=("12",))
def _(it):
    def tamper(flight, number):
        size = 5 + int.from_bytes(flight[3:5], "big")
        return flight if number else flight[:size] + flight
    return it.handshake(tamper)
