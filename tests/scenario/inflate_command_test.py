# SPDX-License-Identifier: Apache-2.0
"""`akamai-prof inflate` against gzip(1), pigz and Python's gzip: the same bytes and verdicts, with every engine;
mistakes, full disks and readers that go away get a sentence. And -inflate ENGINE of a run.

usage: inflate_command_test.py BUILD_FOLDER [ONLY]
"""
import bz2
import fcntl
import gzip
import json
import lzma
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import zlib

from harness import Simulator, Skip, at_least, clean_environment, collect, contains, equal, main

BUILD = sys.argv[1]
PROGRAM = os.path.abspath(os.path.join(BUILD, "akamai-prof"))
ENGINES = ("own", "own-c", "isal", "libdeflate")
FOLDER = tempfile.mkdtemp(prefix="akamai-prof-inflate-")
TESTS = []


def test(function):
    TESTS.append((function.__name__.replace("_", " "), function))
    return function


def run(*arguments, command="inflate", **options):
    process = subprocess.run([PROGRAM, command, *arguments], capture_output=True, check=False, timeout=120,
                             env=clean_environment(), **{"stdin": subprocess.DEVNULL, **options})
    return process.returncode, process.stdout, process.stderr.decode()


def path_of(name):
    return os.path.join(FOLDER, name)


def write(name, content):
    with open(path_of(name), "wb") as file:
        file.write(content)
    return path_of(name)


def events(count, seed=1):
    draw = random.Random(seed)
    return "".join(json.dumps({"type": "akamai_siem", "clientIP": f"{draw.randrange(224)}.{draw.randrange(256)}.0.1",
                               "path": draw.choice(["/", "/login", "/cart?id="]), "start": 1700000000 + at,
                               "requestId": f"{draw.getrandbits(64):x}"}) + "\n" for at in range(count)).encode()


def header(flags, fields=b""):
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + fields


def raw_deflate(plain, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
    deflater = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    return deflater.compress(plain) + deflater.flush()


def trailer(plain):
    return struct.pack("<II", zlib.crc32(plain), len(plain) & 0xffffffff)


def samples():
    """Name -> (gzip, plain)."""
    text, noise = events(8000), random.Random(2).randbytes(200_000)
    found = {f"level{level}": (gzip.compress(text, level), text) for level in (0, 1, 6, 9)}
    for name, plain in {"empty": b"", "one": b"x", "noise": noise, "zeros": bytes(3_000_000)}.items():
        found[name] = (gzip.compress(plain), plain)
    for name, strategy in {"huffman": zlib.Z_HUFFMAN_ONLY, "fixed": zlib.Z_FIXED, "runs": zlib.Z_RLE}.items():
        found[name] = (header(0) + raw_deflate(text, 6, strategy) + trailer(text), text)
    first = header(0x0c, struct.pack("<H", 3) + b"abc" + b"name\0")
    found["fields"] = (first + raw_deflate(text) + trailer(text), text)
    checked = header(0x1e, struct.pack("<H", 2) + b"ab" + b"n" * 3000 + b"\0" + b"comment\0")
    checked += struct.pack("<H", zlib.crc32(checked) & 0xffff)
    found["fhcrc"] = (checked + raw_deflate(text) + trailer(text), text)
    found["members"] = (b"".join(found[name][0] for name in ("level1", "empty", "one", "noise", "level9")),
                        text + b"x" + noise + text)
    found["padded"] = (found["one"][0] + bytes(1000), b"x")
    found["many"] = (b"".join(gzip.compress(events(2, seed)) for seed in range(500)),
                     b"".join(events(2, seed) for seed in range(500)))
    return found


SAMPLES = samples()
PATHS = {name: write(name + ".gz", content) for name, (content, _) in SAMPLES.items()}


@test
def bytes_are_those_of_gzip_with_every_engine():
    for name, (content, plain) in SAMPLES.items():
        reference = subprocess.run(["gzip", "-dc"], input=content, capture_output=True, check=False)
        equal(reference.stdout, plain, f"gzip's of {name}")
        if name != "padded":  # which Python's refuses in some versions
            equal(gzip.decompress(content), plain, f"Python's of {name}")
        for engine in ENGINES:
            status, stdout, stderr = run("-inflate", engine, PATHS[name])
            equal((status, stderr), (0, ""), f"{engine} on {name}")
            equal(stdout == plain, True, f"that the bytes of {name} are right with {engine}")


@test
def what_other_compressors_write():
    text = events(3000)
    path = write("events.ndjson", text)
    for command in (["gzip", "-1c"], ["pigz", "-9c"], ["pigz", "-ic", "-b", "128"], ["pigz", "-11c"], ["zopfli", "-c"],
                    ["igzip", "-3c"], ["libdeflate-gzip", "-12", "-c"]):
        if not shutil.which(command[0]):
            continue
        content = subprocess.run([*command, path], stdout=subprocess.PIPE, check=True).stdout
        for engine in ENGINES:
            status, stdout, stderr = run("-inflate", engine, input=content, stdin=None)
            equal((status, stderr, stdout == text), (0, "", True), f"{engine} on what {command} wrote")


@test
def several_files_and_standard_input_in_order():
    status, stdout, stderr = run(PATHS["one"], "-", "-inflate=isal", PATHS["level9"], stdin=None,
                                 input=SAMPLES["members"][0])
    equal((status, stderr), (0, ""), "the result")
    equal(stdout == b"x" + SAMPLES["members"][1] + SAMPLES["level9"][1], True, "that all came, in order")
    write("-check", SAMPLES["one"][0])
    status, stdout, stderr = run("--", "-check", cwd=FOLDER)
    equal((status, stdout), (0, b"x"), "a file that is named like a flag: " + stderr)


def damaged():
    """Name -> content: cut, changed, and with things behind."""
    draw = random.Random(3)
    found = {}
    for name in ("level6", "fixed", "members", "noise"):
        content = SAMPLES[name][0]
        for at in {0, 1, 2, 9, 10, 11, len(content) - 9, len(content) - 8, len(content) - 1,
                   *(draw.randrange(len(content)) for _ in range(8))}:
            found[f"cut-{name}-{at}"] = content[:at]
        for _ in range(16):
            at, bit = draw.randrange(10, len(content)), 1 << draw.randrange(8)
            found[f"flip-{name}-{at}-{bit}"] = content[:at] + bytes([content[at] ^ bit]) + content[at + 1:]
    one = SAMPLES["one"][0]
    for name, behind in {"text": b"garbage", "half": b"\x1f\x8b", "late": b"\0\0\0" + one, "bad": one[:-1] + b"\1",
                         "zeros": bytes(70000)}.items():
        found["behind-" + name] = one + behind
    for at, name in ((-1, "size"), (-5, "checksum")):
        found["bad-" + name] = one[:at] + bytes([one[at] ^ 1]) + one[len(one) + at + 1:]
    found["method"] = b"\x1f\x8b\x07" + one[3:]
    found["reserved"] = one[:3] + b"\xe0" + one[4:]
    found["plain"] = events(3)
    return found


@test
def verdicts_are_those_of_gzip_t():
    cases = damaged()
    paths = [write(name, content) for name, content in cases.items()]
    good = 0
    reports = {}
    for engine in ENGINES:
        status, stdout, stderr = run("-check", "-json", "-inflate", engine, *paths)
        equal((status, stderr), (1, ""), "the result of " + engine)
        reports[engine] = json.loads(stdout)["files"]
    for index, (name, path) in enumerate(zip(cases, paths)):
        # 2 is a warning: something that is not zero lies behind, which is no event of ours.
        wanted = subprocess.run(["gzip", "-t"], stdin=open(path, "rb"), stderr=subprocess.DEVNULL,
                                check=False).returncode
        good += wanted == 0
        for engine in ENGINES:
            report = reports[engine][index]
            equal(report["file"], path, "the order")
            equal(report["verdict"], "fault" if wanted else "ok", f"{engine} on {name}")
            for key in ("fault", "members"):
                equal(report.get(key), reports["own"][index].get(key), f"{key} of {name} with {engine}")
            at_least(len(cases[name]), report.get("offset_bytes", 0), f"the length of {name}")
    at_least(good, 1, "how many were whole all the same")
    at_least(len(cases) - good, 100, "how many were damaged")


@test
def what_lies_in_front_of_the_damage_comes_out():
    content, plain = SAMPLES["level6"]
    path = write("cut.gz", content[:len(content) // 2])
    for engine in ENGINES:
        status, stdout, stderr = run("-inflate", engine, path)
        equal(status, 1, "the exit status")
        at_least(len(stdout), len(plain) // 3, "what came out with " + engine)
        equal(plain.startswith(stdout), True, "that it is the beginning")
        contains(stderr, f"{path}: the gzip stream ends early, at byte {len(content) // 2}")
        contains(stderr, f"after {len(stdout)} plain bytes")
    status, stdout, stderr = run(path, PATHS["one"])
    equal((status, stdout[-1:]), (1, b"x"), "the next file")


@test
def a_line_for_each_file_that_is_checked():
    content, plain = SAMPLES["members"]
    bad = write("bad.gz", SAMPLES["one"][0][:-1] + b"\7")
    status, stdout, stderr = run("-check", PATHS["members"], bad)
    lines = stdout.decode().splitlines()
    equal((status, len(lines), stderr), (1, 2, ""), "the result")
    contains(lines[0], f"{PATHS['members']}: OK: {len(content)} bytes -> {len(plain)} "
                       f"({len(plain) / len(content):.2f}:1), 5 members")
    contains(lines[1], f"{bad}: FAULT: the size in the gzip trailer is wrong, at byte {len(SAMPLES['one'][0])}")
    contains(lines[1], "get it again")
    status, stdout, _ = run("-check", "-json", PATHS["members"])
    report = json.loads(stdout)["files"][0]
    equal((status, report["verdict"], report["members"]), (0, "ok", 5), "the report")
    equal((report["gzip_bytes"], report["plain_bytes"]), (len(content), len(plain)), "the sizes")


@test
def the_bench_measures_every_engine():
    status, stdout, stderr = run("-bench", "-rounds", "1", PATHS["level6"], PATHS["many"])
    equal((status, stderr), (0, ""), "the result")
    text = stdout.decode()
    for part in ("engine", "to isal", "isal ", "own", ", two streams", "libdeflate", "500 members", "of 1 round\n"):
        contains(text, part)
    status, stdout, stderr = run("-bench", "-json", "-rounds", "3", "-inflate", "own", "-", stdin=None,
                                 input=SAMPLES["members"][0])
    equal((status, stderr), (0, ""), "the result as JSON")
    report = json.loads(stdout)["files"][0]
    equal((report["file"], report["members"], report["rounds"]), ("standard input", 5, 3), "the file")
    engines = [(engine["engine"].split("-")[0], engine["streams"]) for engine in report["engines"]]
    equal(engines, [("isal", 1), ("own", 1), ("own", 2)], "the engines")
    equal(report["engines"][0]["ratio"], 1.0, "the ratio of isal to itself")
    for engine in report["engines"]:
        if not 0 < engine["low"] <= engine["megabytes_per_second"] <= engine["high"]:
            raise AssertionError(engine)


@test
def a_bench_of_what_is_damaged_says_so():
    path = write("half.gz", SAMPLES["level6"][0][:1000])
    status, stdout, stderr = run("-bench", "-json", path, PATHS["one"], "-rounds", "1")
    equal((status, len(json.loads(stdout)["files"])), (1, 1), "the result")
    contains(stderr, path + ": the gzip stream ends early, at byte 1000")


def status_of(pid, key):
    """A number of /proc/PID/status; 0: the process has ended."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith(key + ":")), 0)


def bench_with_little_memory(*arguments):
    """Of standard input; when it reads, its address space is limited to what it has by then (a sanitizer: terabytes)
    and room for all engines but libdeflate."""
    content = SAMPLES["one"][0]
    process = subprocess.Popen([PROGRAM, "inflate", "-bench", "-rounds", "1", *arguments], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment())
    os.write(process.stdin.fileno(), content[:1])
    while struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)))[0] and process.poll() is None:
        time.sleep(0.01)
    limit = (status_of(process.pid, "VmSize") << 10) + (512 << 20)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
    stdout, stderr = process.communicate(content[1:], timeout=60)
    return process.returncode, stdout.decode(), stderr.decode()


@test
def a_bench_without_memory_says_so():
    for arguments in ([], ["-inflate", "libdeflate"]):
        status, stdout, stderr = bench_with_little_memory(*arguments)
        equal((status, stdout), (1, ""), "the result: " + stderr)
        contains(stderr, "inflate: standard input: -bench has no memory")
        contains(stderr, "-inflate own")
    status, stdout, stderr = bench_with_little_memory("-inflate", "own")
    equal((status, stderr), (0, ""), "the result of the choice that the sentence names")
    contains(stdout, "own")


@test
def the_advice_on_a_limit_fits_it():
    tiny = write("tiny.gz", SAMPLES["one"][0] * 300_000)
    for engine in ENGINES:
        status, stdout, _ = run("-check", "-inflate", engine, tiny)
        equal(status, 1, "the exit status with " + engine)
        contains(stdout.decode(), "exceeds a limit")
        contains(stdout.decode(), "it looks made to cost time or memory")
    large, stored = path_of("stored.gz"), gzip.compress(bytes(8 << 20), 0)
    with open(large, "wb") as file:
        for _ in range(32):
            file.write(stored)
    equal(run("-check", large)[0], 0, "the exit status of one that streams, with 256 MiB and some bytes")
    status, stdout, _ = run("-check", "-inflate", "libdeflate", large)
    os.unlink(large)
    equal(status, 1, "the exit status of one that holds it")
    contains(stdout.decode(), "exceeds a limit")
    contains(stdout.decode(), "libdeflate holds a file, at most 256 MiB")


@test
def other_formats_are_named():
    for content, part in ((lzma.compress(b"x"), "xz -dc"), (bz2.compress(b"x"), "bzip2 -dc"),
                          (zlib.compress(b"x"), "RFC 1950"), (b"\x28\xb5\x2f\xfd\0", "zstd -dc"),
                          (b"PK\3\4", "unzip"), (b"\x1f\x9d\x90", "compress"), (b"{\"a\": 1}", "not compressed at all"),
                          (b"", "it is empty")):
        for arguments in (["-check"], [], ["-bench"]):
            status, stdout, stderr = run(*arguments, input=content, stdin=None)
            equal(status, 1, "the exit status")
            contains(stdout.decode() + stderr, part)
            contains(stdout.decode() + stderr, "standard input")


@test
def wrong_usage():
    for arguments, parts in ((["-chek", "x"], ["did you mean -check?"]), (["-inflate"], ["auto|own"]),
                             (["-inflate", "zlib", "x"], ["is one of auto|own|own-c|isal|libdeflate", "zlib"]),
                             (["-check", "-bench", "x"], ["two jobs"]), (["-json", "x"], ["-check or -bench"]),
                             (["-rounds", "3", "x"], ["belongs to -bench"]),
                             (["-bench", "-rounds", "0"], ["from 1 to"]),
                             (["-bench", "-rounds", "100", "x"], ["from 1 to 99"])):
        status, stdout, stderr = run(*arguments)
        equal((status, stdout), (2, b""), f"{arguments}: {stderr}")
        for part in ["akamai-prof: inflate: ", *parts]:
            contains(stderr, part, f"the error of {arguments}")
    leader, follower = os.openpty()
    try:
        status, _, stderr = run(stdin=follower)
    finally:
        os.close(leader)
        os.close(follower)
    equal(status, 2, "without a file, on a terminal")
    contains(stderr, "which file?")


@test
def what_cannot_be_read():
    missing = path_of("missing.gz")
    for arguments in ([], ["-check"], ["-bench", "-rounds", "1"]):
        status, _, stderr = run(*arguments, missing, FOLDER, PATHS["one"])
        equal(status, 1, "the exit status")
        contains(stderr, f"cannot read {missing}: No such file or directory")
        contains(stderr, f"cannot read {FOLDER}: Is a directory")
    status, stdout, _ = run("-check", "-json", missing)
    report = json.loads(stdout)["files"][0]
    equal((status, report["verdict"], report["error"]), (1, "unreadable", "No such file or directory"), "the report")


@test
def a_file_without_permission():
    if os.geteuid() == 0:
        raise Skip("root may read everything")
    path = write("secret.gz", SAMPLES["one"][0])
    os.chmod(path, 0)
    status, _, stderr = run(path)
    equal(status, 1, "the exit status")
    contains(stderr, f"cannot read {path}: Permission denied")


@test
def outputs_that_take_no_more():
    for arguments in ([PATHS["zeros"]], ["-check", PATHS["zeros"]], ["-bench", "-rounds", "1", PATHS["one"]]):
        with open("/dev/full", "wb") as full:
            process = subprocess.run([PROGRAM, "inflate", *arguments], stdout=full, stderr=subprocess.PIPE, check=False,
                                     env=clean_environment(), timeout=60)
        equal(process.returncode, 1, f"the exit status of {arguments}")
        contains(process.stderr.decode(), "standard output cannot be written: No space left on device")
    path = path_of("limited")
    with open(path, "wb") as file:
        process = subprocess.run([PROGRAM, "inflate", PATHS["zeros"]], stdout=file, stderr=subprocess.PIPE, check=False,
                                 env=clean_environment(), timeout=60, preexec_fn=lambda: resource.setrlimit(
                                     resource.RLIMIT_FSIZE, (100_000, 100_000)))
    equal((process.returncode, os.path.getsize(path)), (1, 100_000), "the exit status and the size")
    contains(process.stderr.decode(), "standard output cannot be written: File too large")


def gone_reader(restore):
    process = subprocess.Popen([PROGRAM, "inflate", PATHS["zeros"]], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=clean_environment(), restore_signals=restore)
    process.stdout.read(1000)
    process.stdout.close()
    stderr = process.stderr.read().decode()
    process.stderr.close()
    return process.wait(timeout=60), stderr


@test
def a_reader_that_goes_away():
    equal(gone_reader(True), (-signal.SIGPIPE, ""), "as other filters end")
    status, stderr = gone_reader(False)  # Python ignores SIGPIPE, and its child then does
    equal(status, 1, "the exit status where SIGPIPE is ignored")
    contains(stderr, "standard output cannot be written: its reader has gone (EPIPE)")


@test
def closed_descriptors():
    for descriptor, part in ((0, "cannot read standard input: Bad file descriptor"),
                             (1, "standard output cannot be written: Bad file descriptor")):
        process = subprocess.run([PROGRAM, "inflate", *([] if descriptor == 0 else [PATHS["one"]])], check=False,
                                 stderr=subprocess.PIPE, env=clean_environment(), timeout=60,
                                 preexec_fn=lambda closed=descriptor: os.close(closed))
        equal(process.returncode, 1, "the exit status")
        contains(process.stderr.decode(), part)


@test
def large_inputs_stream():
    """256 MB of plain bytes in far less memory; the first come out before the last have gone in."""
    process = subprocess.Popen([PROGRAM, "inflate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=clean_environment())
    deflater = zlib.compressobj(1, zlib.DEFLATED, 31)
    first = events(1000)
    process.stdin.write(deflater.compress(first) + deflater.flush(zlib.Z_SYNC_FLUSH))
    process.stdin.flush()
    equal(process.stdout.read(len(first)), first, "what comes out while the input is open")
    content = gzip.compress(bytes(32 << 20), 1)
    with open(path_of("large.gz"), "wb") as file:
        file.write(deflater.flush() + content * 8)
    with subprocess.Popen(["cat", path_of("large.gz")], stdout=process.stdin):
        process.stdin.close()
        zeros = peak = 0
        while part := process.stdout.read(1 << 20):
            zeros += part.count(0)
            # wait4() counts what it had of ours before it was itself
            peak = status_of(process.pid, "VmHWM") or peak
    process.stdout.close()
    equal((process.wait(), zeros), (0, 256 << 20), "the exit status and the zeros")
    at_least(peak, 1, "the kilobytes of memory it took")
    at_least(100_000, peak, "100 MB, against the kilobytes of memory it took")


@test
def the_manual_and_the_completion_know_every_flag():
    _, stdout, _ = run("-help")
    flags = [line.split()[0] for line in stdout.decode().splitlines() if line.startswith("  -")]
    equal(sorted(flags), ["-bench", "-check", "-inflate", "-json", "-rounds"], "the flags")
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(root, "src/cli/akamai-prof.1"), encoding="utf-8") as file:
        manual = file.read().split(".SS inflate\n")[1].split(".SS ")[0]
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        readme = file.read().split("\n### inflate")[1].split("\n### ")[0]
    for flag in flags:
        contains(manual, "\\" + flag, "the manual page")
        contains(readme, f"`{flag}", "README.md")
    script = (f"source {root}/src/cli/completion.bash; COMP_WORDS=({PROGRAM} {{}});"
              'COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _akamai_prof; echo "${COMPREPLY[@]}"')
    for words, wanted in (("inf", "inflate"), ("inflate -b", "-bench"), ("inflate -i", "-inflate")):
        process = subprocess.run(["bash", "-c", script.replace("{}", words)], capture_output=True, check=True,
                                 env=clean_environment())
        equal(process.stdout.decode().strip(), wanted, f"the completion of {words}")


@test
def doctor_names_the_engine_that_runs():
    _, stdout, _ = run("-json", command="doctor")
    found = {finding["what"]: finding for finding in json.loads(stdout)["findings"]}
    _, stdout, _ = run("-check", "-json", PATHS["one"])
    engine = json.loads(stdout)["files"][0]["engine"]
    contains(found["inflate"]["text"], engine + ", our decoder in ", "doctor's sentence")


@test
def a_run_with_every_engine():
    for fault in ([], ["--fault", "cut-gzip:3"]):
        with Simulator(BUILD, "--events", "3000", "--event-size", "lean", "--config-id", "1", *fault) as simulator:
            digests = {}
            for engine in ("auto", *ENGINES):
                result = collect(BUILD, simulator, "-config-id", "1", "-initial-interval", "11h", "-inflate", engine)
                equal(result.status, 0, f"the exit status with {engine}: {result.stderr[-800:]}")
                equal(result.lines, 3000, "the events with " + engine)
                digests[result.digest] = engine
                name = result.record["host"]["inflate"]
                contains(name, "own" if engine == "auto" else engine, "the engine in run.json")
                contains(result.stderr, f"inflate {name}", "the summary")
            equal(len(digests), 1, "how many different outputs there are")


if __name__ == "__main__":
    try:
        main(TESTS, sys.argv[2] if len(sys.argv) > 2 else None)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
