#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns style sheets and scripts into C strings for src/report/assets.h.

usage: embed.py OUTPUT INPUT...

flame.css becomes asset_flame_css. Indentation and lines that are only a comment are left out.
"""
import os
import sys


def literal(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    # Octal escapes end after three digits, unlike hexadecimal ones.
    return '"' + "".join(c if " " <= c <= "~" else "".join(f"\\{b:03o}" for b in c.encode()) for c in escaped) + '\\n"'


def strings(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    # Both documents carry these inside <style> and <script>, one of them as CDATA.
    for ending in ("]]>", "</"):
        if ending in text:
            sys.exit(f'{path}: holds "{ending}", which ends the element around it')
    lines = [line.strip() for line in text.splitlines()]
    return [literal(line) for line in lines if line and not line.startswith("//") and
            not (line.startswith("/*") and line.endswith("*/"))]


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write('/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by embed.py. */\n#include "report/assets.h"\n')
        for path in sys.argv[2:]:
            name = "asset_" + os.path.basename(path).replace(".", "_")
            out.write(f"\nconst char {name}[] =\n\t" + "\n\t".join(strings(path)) + ";\n")


if __name__ == "__main__":
    main()
