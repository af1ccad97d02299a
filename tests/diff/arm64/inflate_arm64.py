# SPDX-License-Identifier: Apache-2.0
"""Our decoder as arm64 gets it, in C, compiled for it and run in emulation, against Python's zlib: bytes and verdict.

In large pieces and in small ones, half of them by the loop for one stream, half by that for two.

usage: inflate_arm64.py SOURCE_FOLDER
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zlib

SOURCE = os.path.join(sys.argv[1], "src")
ROOM = ["inflate", "checksum", "gzip_header", "own", "own_header", "own_tables", "own_careful", "own_near", "own_loop"]
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
STREAMS = 60


def compiled(folder):
    program = os.path.join(folder, "driver")
    files = [os.path.join(SOURCE, "inflate", name + ".c") for name in ROOM]
    files += [os.path.join(SOURCE, "base", name + ".c") for name in ("arena", "check")]
    driver = os.path.join(os.path.dirname(os.path.abspath(__file__)), "driver.c")
    subprocess.run([COMPILER, "-O2", "-std=gnu2x", "-Wall", "-Wextra", "-Werror", "-static", "-I", SOURCE, driver,
                    *files, "-o", program], check=True)
    return program


def plain_text(seed):
    """Some hundred kilobytes that have long matches, short ones, runs and what does not compress."""
    choose = random.Random(seed)
    words = [bytes(choose.choices(b"abcdefghijklmnopqrstuvwxyz0123456789%\":{},", k=choose.randint(2, 40)))
             for _ in range(choose.choice((20, 300, 3000)))]
    parts = []
    for _ in range(choose.randint(50, 12000)):
        kind = choose.random()
        parts.append(choose.randbytes(choose.randint(1, 60)) if kind < 0.05 else
                     bytes([choose.randrange(256)]) * choose.randint(1, 700) if kind < 0.08 else choose.choice(words))
    return b"".join(parts)


def compressed(plain, seed):
    choose = random.Random(seed)
    strategy = choose.choice((zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED))
    compressor = zlib.compressobj(choose.randint(0, 9), zlib.DEFLATED, 31, choose.randint(1, 9), strategy)
    return compressor.compress(plain) + compressor.flush()


def damaged(gzip, seed):
    choose = random.Random(seed)
    broken = bytearray(gzip)
    broken[choose.randrange(len(broken))] ^= 1 << choose.randrange(8)
    return bytes(broken[:choose.randrange(1, len(broken))]) if choose.random() < 0.3 else bytes(broken)


def verdict(gzip):
    """(plain, is it good) by zlib; one member."""
    decoder = zlib.decompressobj(31)
    try:
        plain = decoder.decompress(gzip)
    except zlib.error:
        return None, False
    return plain, decoder.eof and not decoder.unused_data.strip(b"\0")


def run(program, gzip, *arguments):
    result = subprocess.run([EMULATOR, program, *arguments], input=gzip, capture_output=True, check=False)
    words = result.stderr.split()
    if result.returncode not in (0, 1) or len(words) != 2 or words[0] != b"own-c":
        raise AssertionError(f"status {result.returncode}, {result.stderr!r}")
    return result.stdout, result.returncode == 0, int(words[1])


def said(good):
    return "good" if good else "not good"


def check(program, seed, damage):
    """(is it good, bytes that were decoded in pairs)"""
    paired_bytes = 0
    gzip = compressed(plain_text(seed), seed)
    if damage:
        gzip = damaged(gzip, seed)
    plain, good = verdict(gzip)
    for number, piece_bytes in enumerate((16384, 1 + seed * 37 % 900)):
        got, got_good, in_pairs = run(program, gzip, str(piece_bytes), *(["two"] if (number + seed) % 2 else []))
        paired_bytes += in_pairs
        if got_good != good or (good and got != plain):
            raise AssertionError(f"seed {seed}, pieces of {piece_bytes}: {said(got_good)}, zlib says {said(good)}; "
                                 f"{len(got)} bytes")
    return good, paired_bytes


def main():
    missing = [tool for tool in (COMPILER, EMULATOR) if not shutil.which(tool)]
    if missing:
        print(f"1..0 # SKIP not installed: {', '.join(missing)}")
        return
    print("1..2")
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder)
        for number, damage in enumerate((False, True), 1):
            name = "damaged streams" if damage else "streams"
            try:
                results = [check(program, seed, damage) for seed in range(STREAMS)]
                good, paired_bytes = (sum(column) for column in zip(*results))
                print(f"# {STREAMS} {name}, {good} good; {paired_bytes} bytes in pairs")
                as_wanted = paired_bytes and (damage or good == STREAMS)
                print(f"{'ok' if as_wanted else 'not ok'} {number} - {name} on arm64")
            except (AssertionError, subprocess.CalledProcessError) as error:
                print(f"not ok {number} - {name} on arm64\n# {error}")


main()
