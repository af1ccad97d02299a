#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""names against binutils' addr2line and LLVM's symbolizer, which share no code with it or each other, as TAP.

usage: names_diff.py NAMES_DUMP FILE...
For addresses all over the functions of each file: the functions inlined into each other there, innermost first, and the
line of each. One of the two must say the same as we; each has known faults where the other has none (addr2line
loses functions that are inlined in several pieces and gives functions without a mangled name the name of
what is around them). addr2line also tells whether we demangle as it does; LLVM's is asked for mangled names.
"""
import os
import random
import re
import shutil
import subprocess
import sys

DUMP = sys.argv[1]
ADDRESSES = 4000
SHOWN = 5


def run(command, text=None):
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=True).stdout


def functions_of(path):
    """(start, bytes) of the functions that have a size."""
    found = []
    for line in run(["nm", "-S", "--defined-only", path]).splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwW" and int(fields[1], 16):
            found.append((int(fields[0], 16), int(fields[1], 16)))
    return found


def addresses_in(functions):
    """Their first and last bytes, and as many places between as there is room for."""
    chooser = random.Random(1)
    chosen = {start for start, _ in functions} | {start + count - 1 for start, count in functions}
    chosen = set(chooser.sample(sorted(chosen), min(len(chosen), ADDRESSES // 2)))
    for start, count in chooser.choices(functions, [count for _, count in functions], k=ADDRESSES - len(chosen)):
        chosen.add(start + chooser.randrange(count))
    return sorted(chosen)


def ours(path, text):
    chains = []
    for line in run([DUMP, path], text).splitlines():
        if re.fullmatch("[0-9a-f]+", line):
            chains.append([])
        else:
            name, system_name, place = line.split("\t")
            chains[-1].append(({name, system_name}, place.rsplit(":", 1)[1]))
    return chains


def pairs_of(lines):
    """Levels of one address: a name, and below it where."""
    levels = []
    for name, place in zip(lines[0::2], lines[1::2]):
        line = re.sub(r" \(discriminator \d+\)", "", place).rsplit(":", 1)[1]
        levels.append((name, "0" if line == "?" else line))
    return levels


def of_addr2line(path, text):
    blocks = re.split(r"^0x[0-9a-f]+\n", run(["addr2line", "-a", "-f", "-i", "-C", "-e", path], text), flags=re.M)
    return [pairs_of(block.splitlines()) for block in blocks[1:]]


def of_llvm(path, text):
    with_places = run(["llvm-symbolizer", "--output-style=GNU", "--functions=linkage", "--inlines", "--no-demangle",
                       "--addresses", "--obj=" + path], text)
    blocks = re.split(r"^0x[0-9a-f]+\n", with_places, flags=re.M)
    return [pairs_of(block.strip().splitlines()) for block in blocks[1:]]


def plain(name):
    """What they and we write differently: blanks, and suffixes of a function's parts."""
    name = re.sub(r"(\.(cold|part\.\d+|constprop\.\d+|isra\.\d+|lto_priv\.\d+))+$", "", name)
    name = re.sub(r" \[clone [^]]*\]", "", name)
    return re.sub(r"\s+", "", name)


def same_name(our_names, theirs):
    names = {plain(name) for name in our_names}
    theirs = plain(theirs)
    return theirs in names or theirs == "??" or any(name.endswith("::" + theirs) for name in names)


def agree(mine, theirs):
    return len(mine) == len(theirs) and all(
        same_name(names, their_name) and their_line in (line, "0")
        for (names, line), (their_name, their_line) in zip(mine, theirs))


def short(chain):
    return " <- ".join(f"{min(name, key=len) if isinstance(name, set) else name}:{line}" for name, line in chain)[:300]


def compare(path):
    """(how many addresses, those on which neither agrees)"""
    addresses = addresses_in(functions_of(path))
    text = "".join(f"{address:#x}\n" for address in addresses)
    answers = {"addr2line": of_addr2line(path, text), "llvm-symbolizer": of_llvm(path, text)}
    mine = ours(path, text)
    for theirs in answers.values():
        assert len(theirs) == len(mine) == len(addresses), (len(theirs), len(mine), len(addresses))
    bad = []
    agreed = dict.fromkeys(answers, 0)
    inlined = 0
    for index, address in enumerate(addresses):
        which = [name for name in answers if agree(mine[index], answers[name][index])]
        for name in which:
            agreed[name] += 1
        inlined += len(mine[index]) > 1
        if not which:
            bad.append(f"{address:#x}: {short(mine[index])}\n" + "\n".join(
                f"#     {name}: {short(theirs[index])}" for name, theirs in answers.items()))
    print(f"# {os.path.basename(path)}: {len(addresses)} addresses, {inlined} in inlined functions; agree: " +
          ", ".join(f"{name} {count}" for name, count in agreed.items()) + f"; neither: {len(bad)}")
    return len(addresses), bad


def main():
    for tool, package in {"addr2line": "binutils", "nm": "binutils", "llvm-symbolizer": "llvm"}.items():
        if not shutil.which(tool):
            print(f"1..0 # SKIP no {tool} (Debian: {package})")
            return 0
    failed = 0
    print(f"1..{len(sys.argv) - 2}")
    for number, path in enumerate(sys.argv[2:], 1):
        name = os.path.basename(path)
        if ".debug_info" not in run(["readelf", "-SW", path]):
            print(f"ok {number} - {name} # SKIP it is built without debug information")
            continue
        count, bad = compare(path)
        # Both references are wrong about a few addresses; what is systematic is more.
        wrong = count < 100 or len(bad) > count // 200
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}: all functions and lines")
        for line in bad[:SHOWN]:
            print(f"#   {line}")
        failed |= wrong
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
