#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real gzip files through every engine of the inflate room against Python's zlib, as TAP.

usage: inflate_files.py INFLATE_DUMP [--all] [FOLDER...]
Files of this machine (under FOLDER, by default where Debian has them), gzip members of Debian packages in
apt's cache, and the simulator's events as every compressor that is installed writes them at every level. Each
is also cut, and has a bit flipped. Verdict and bytes must be zlib's. --all takes every file and more events;
otherwise a sample that takes seconds.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zlib

DUMP = sys.argv[1]
ALL = "--all" in sys.argv
FOLDERS = [name for name in sys.argv[2:] if not name.startswith("--")] or ["/usr/share", "/usr/lib", "/var/lib"]
PACKAGES = "/var/cache/apt/archives"
SAMPLE_FILES, SAMPLE_BYTES = 120, 4_000_000
SAMPLE_PACKAGES = 20
EVENT_BYTES = 40_000_000 if ALL else 400_000
SLOW_EVENT_BYTES = 2_000_000 if ALL else 30_000  # for zopfli, which takes seconds a megabyte
DAMAGED_FILES = 2000 if ALL else 60

# Command lines with {} for the level and the file's name behind them.
COMPRESSORS = [
    ("gzip", ["gzip", "-c", "-{}"], range(1, 10)),
    ("libdeflate", ["libdeflate-gzip", "-c", "-{}"], range(1, 13)),
    ("ISA-L", ["igzip", "-c", "-{}"], range(0, 4)),
    ("pigz", ["pigz", "-c", "-p", "2", "-{}"], range(0, 10)),
    ("pigz, blocks that do not refer back", ["pigz", "-c", "-p", "2", "-i", "-{}"], (1, 6, 9)),
    ("pigz with zopfli", ["pigz", "-c", "-{}"], (11,)),
    ("zopfli", ["zopfli", "-c", "--i{}"], (1, 15)),
]
SLOW = ("pigz with zopfli", "zopfli")


class Failure(Exception):
    pass


def tap(number, name, problems=(), skip=None):
    print(f"{'not ok' if problems else 'ok'} {number} - {name}{f' # SKIP {skip}' if skip else ''}", flush=True)
    for problem in list(problems)[:20]:
        print(f"# {problem}")


def in_front_of_damage(member, piece):
    """What comes out of a piece that zlib refuses, byte after byte; what the damaged byte makes is lost."""
    plain = []
    try:
        for byte in piece:
            plain.append(member.decompress(bytes([byte])))
    except zlib.error:
        pass
    return plain


def reference_of(data):
    """(good, plain bytes up to the damage) as zlib has it; zeros behind the last member are padding."""
    plain, at = [], 0
    while True:
        member = zlib.decompressobj(31)
        try:
            # In pieces, since the bytes of one that is refused are lost with the exception.
            while at < len(data) and not member.eof:
                piece, before = data[at:at + 65536], member.copy()
                at += len(piece)
                plain.append(member.decompress(piece))
        except zlib.error:
            return False, b"".join(plain + in_front_of_damage(before, piece))
        if not member.eof:
            return False, b"".join(plain)
        at -= len(member.unused_data)
        if not data[at:].strip(b"\0"):
            return True, b"".join(plain)
        if data[at] == 0:
            return False, b"".join(plain)


class Dump:
    """The engines' answers, from one process."""

    def __init__(self):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([DUMP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.files = self.plain_bytes = 0

    def answers(self, path):
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise Failure(f"{path}: the decoders' process ended with {self.process.wait()}")
            if line == "end\n":
                return
            engine, way, fault, count, crc, adler = line.split()
            yield f"{engine} ({way})", fault, int(count), int(crc), int(adler)

    def problems(self, path, data):
        good, plain = reference_of(data)
        whole = (len(plain), zlib.crc32(plain), zlib.adler32(plain))
        self.files += 1
        self.plain_bytes += len(plain)
        for who, fault, *ours in self.answers(path):
            if (fault == "NONE") != good:
                yield f"{path}: {who} says {fault}, zlib says {'good' if good else 'bad'}"
            elif good and tuple(ours) != whole:
                yield f"{path}: {who} has {ours}, zlib has {whole}"
            elif not good and ours[0] < len(plain) and who.startswith("own"):
                yield f"{path}: {who} has {ours[0]} bytes in front of the damage, zlib has {len(plain)}"
            elif not good and ours[0] <= len(plain):
                start = plain[:ours[0]]
                if ours[1:] != [zlib.crc32(start), zlib.adler32(start)]:
                    yield f"{path}: {who} has other bytes than zlib in front of the damage"

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


def gzip_files():
    for folder in FOLDERS:
        for where, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(where, name)
                if name.endswith((".gz", ".tgz", ".svgz")) and not os.path.islink(path) and "\n" not in path:
                    yield path


def sample(paths):
    """Spread evenly, small enough."""
    paths, taken, total = list(paths), [], 0
    if ALL:
        return paths
    random.Random(1).shuffle(paths)
    for path in paths:
        size = os.path.getsize(path)
        if len(taken) < SAMPLE_FILES and total + size <= SAMPLE_BYTES:
            taken.append(path)
            total += size
    return taken


def package_members(path):
    """Name and bytes of what an ar file holds compressed with gzip."""
    with open(path, "rb") as file:
        data = file.read()
    at = 8
    while data.startswith(b"!<arch>\n") and at + 60 <= len(data):
        name = data[at:at + 16].decode("ascii", "replace").strip()
        size = int(data[at + 48:at + 58])
        if name.endswith(".gz"):
            yield name, data[at + 60:at + 60 + size]
        at += 60 + size + size % 2


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def check_files(dump):
    problems = []
    for path in sample(gzip_files()):
        problems += dump.problems(path, read(path))
    return problems


def check_packages(dump, folder):
    problems, found, packages = [], 0, sorted(os.listdir(PACKAGES)) if os.path.isdir(PACKAGES) else []
    for package in packages:
        if package.endswith(".deb") and (ALL or found < SAMPLE_PACKAGES):
            for name, data in package_members(os.path.join(PACKAGES, package)):
                found += 1
                problems += dump.problems(write(folder, f"{found}-{name}", data), data)
    return problems, found


def check_damaged(dump, folder):
    problems, draw, files = [], random.Random(2), sample(gzip_files())
    draw.shuffle(files)
    for number, path in enumerate(files[:DAMAGED_FILES]):
        data = bytearray(read(path))
        if number % 2:
            del data[draw.randrange(len(data)):]
        else:
            data[draw.randrange(10, len(data))] ^= 1 << draw.randrange(8)
        problems += dump.problems(write(folder, "damaged.gz", data), bytes(data))
    return problems


def check_compressed(dump, folder, how, data, plain):
    path = write(folder, "events.gz", data)
    if reference_of(data) != (True, plain):
        yield f"{how}: zlib does not get the events back"
    yield from dump.problems(path, data)


def check_events(dump, folder, command, levels, plain_path):
    problems, plain = [], read(plain_path)
    for level in levels:
        words = [word.format(level) for word in command] + [plain_path]
        data = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
        problems += check_compressed(dump, folder, " ".join(words), data, plain)
    return problems


def check_zlib(dump, folder, plain):
    problems = []
    for level in range(10):
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED):
            deflate = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
            data = deflate.compress(plain) + deflate.flush()
            problems += check_compressed(dump, folder, f"zlib {level}, strategy {strategy}", data, plain)
    return problems


def main():
    with tempfile.TemporaryDirectory() as folder:
        return check_all(folder)


def check_all(folder):
    dump, failed, number = Dump(), 0, 0

    def report(name, problems, skip=None):
        nonlocal failed, number
        number += 1
        failed += bool(problems)
        tap(number, f"{name}: {dump.files} files, {dump.plain_bytes / 1e6:.1f} MB plain", problems, skip)
        dump.files = dump.plain_bytes = 0

    print(f"1..{5 + len(COMPRESSORS)}")
    report("files of this machine", check_files(dump))
    problems, found = check_packages(dump, folder)
    report("members of Debian packages", problems, None if found else f"no package with gzip in {PACKAGES}")
    report("damaged files", check_damaged(dump, folder))
    events = subprocess.run([DUMP, "--events", str(EVENT_BYTES)], stdout=subprocess.PIPE, check=True).stdout
    plain_path = write(folder, "events", events)
    slow_path = write(folder, "events-slow", events[:SLOW_EVENT_BYTES])
    report("events by zlib", check_zlib(dump, folder, events[:EVENT_BYTES // 4]))
    for name, command, levels in COMPRESSORS:
        if not shutil.which(command[0]):
            report(f"events by {name}", [], f"no {command[0]}")
            continue
        report(f"events by {name}",
               check_events(dump, folder, command, levels, slow_path if name in SLOW else plain_path))
    problems = [] if dump.close() == 0 else ["the decoders' process failed at its end"]
    report("the decoders' process", problems)
    return failed > 0


try:
    sys.exit(main())
except Failure as failure:
    print(f"Bail out! {failure}")
    sys.exit(1)
