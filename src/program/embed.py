#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the default program into C for src/program/program.h.

usage: embed.py OUTPUT INPUT.lua

Nothing is left out: errors name lines of the file as people see it.
"""
import os
import sys


def literal(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?").replace("\t", "\\t")
    # Octal escapes end after three digits, unlike hexadecimal ones.
    return '"' + "".join(c if " " <= c <= "~" else "".join(f"\\{b:03o}" for b in c.encode())
                         for c in escaped) + '\\n"'


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        lines = file.read().split("\n")
    if lines[-1] == "":
        lines.pop()
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write('/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by embed.py. */\n'
                  '#include "program/program.h"\n\n')
        out.write("static const char text[] =\n\t" + "\n\t".join(map(literal, lines)) + ";\n\n")
        out.write("const struct program_source program_akamai = {\n"
                  f'\t.name = "{os.path.basename(sys.argv[2])}", .text = text, .bytes = sizeof text - 1\n}};\n')


if __name__ == "__main__":
    main()
