#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check, as TAP.

usage: house_rules.py SOURCE_FOLDER BUILD_FOLDER

A rule is a function from a Tree (texts, object files) to the list of its violations, "path:line: what". After
each rule comes its canary: the same function over a small tree that breaks it, which it must notice.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

FUNCTION_LINES_MAX = 70  # one screen
FILE_LINES_MAX = 800
LINE_COLUMNS_MAX = 110  # as in .clang-format
SCRIPT_COLUMNS_MAX = 120  # scripts have no formatter
TAB_COLUMNS = 8

CODE_FOLDERS = ("src", "bpf", "tests", "perf")
CODE_ENDINGS = (".c", ".h", ".cc", ".def", ".py", ".lua")
C_ENDINGS = (".c", ".h", ".cc")

# Who may include whom, beside base and itself.
PROGRAMS = ("cli", "flow", "simulator")
MAY_INCLUDE = {"sink": {"ring"}, "report": {"pprof"}, "profiler": {"pprof", "bpf"}}
MAY_INCLUDE_EVERY_ROOM = {"flow", "cli"}

# Part of a room's face beside <room>.h and what other rooms include.
PUBLIC_HEADERS = {"src/ring/resolve.h", "src/akamai/credentials.h", "src/akamai/edgegrid.h",
                  "src/akamai/plan.h"}

# The one writable global: what the signal handler sets.
SIGNAL_FLAG = ("src/cli/libcli.a.p/run.c.o", "signal_count")
# Compilers' and sanitizers' own data.
NOT_OUR_DATA = re.compile(r"^(__odr_asan|__asan_|__ubsan|__sancov|__gcov|__prof|__llvm|\.L|DW\.ref\.)")

# Objects that may use the heap: cold paths of C++ and of BoringSSL, the reader of .edgerc, and programs
# that are no data path.
MAY_ALLOCATE = re.compile(r"src/(base/.*table\.c\.|simulator/|cli/|pprof/|report/|profiler/|confine/|"
                          r"control/.*\.cc\.|tls/.*tls_context\.c\.|akamai/.*credentials\.c\.)")
HEAP = re.compile(r"^(malloc|calloc|realloc|reallocarray|free|strn?dup|aligned_alloc|posix_memalign|memalign|"
                  r"v?asprintf|getline|getdelim|open_memstream|_Zn[wa]\w*|_Zd[la]\w*)$")

COPY = "memcpy() with a length that was checked, or snprintf()"
NUMBER = "strtoll() with its end and errno checked"
BANNED = {"strcpy": COPY, "strncpy": COPY, "stpcpy": COPY, "strcat": COPY, "strncat": COPY,
          "sprintf": "snprintf()", "vsprintf": "vsnprintf()", "strtok": "a span and memchr()",
          "strtok_r": "a span and memchr()", "atoi": NUMBER, "atol": NUMBER, "atoll": NUMBER,
          "atof": "strtod() with its end checked", "gets": "fgets()", "alloca": "an array with a named limit"}


class Tree:
    """Sources by path relative to `root`, and object files of a build of them."""

    def __init__(self, root, build):
        self.root, self.build = root, build
        self.texts = {}
        paths = [name for name in ("run",) if os.path.exists(os.path.join(root, name))]
        for folder in CODE_FOLDERS:
            for where, folders, files in os.walk(os.path.join(root, folder)):
                folders[:] = [name for name in folders if name not in ("corpus", "__pycache__")]
                paths += [os.path.relpath(os.path.join(where, name), root) for name in files
                          if name.endswith(CODE_ENDINGS)]
        for path in sorted(paths):
            with open(os.path.join(root, path), encoding="utf-8") as file:
                self.texts[path] = file.read()

    def code(self, *endings, under=""):
        return [(path, text) for path, text in self.texts.items()
                if path.endswith(endings) and path.startswith(under)]

    def rooms(self):
        return {path.split("/")[1] for path in self.texts if re.match(r"src/[^/]+/", path)}

    def objects(self):
        return sorted(glob.glob(os.path.join(self.build, "src", "*", "**", "*.o"), recursive=True))

    def name_of(self, path):
        return os.path.relpath(path, self.build)


def without_comments(text):
    """The same lines, with comments and the insides of string and character literals blanked out."""
    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def includes(text):
    return [(match.group(1), line_of(text, match.start()))
            for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', text, re.M)]


def run(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def rooms_include_only_base_and_themselves(tree):
    bad = []
    for path, text in tree.code(*C_ENDINGS, under="src/"):
        room = path.split("/")[1]
        allowed = {"base", room} | MAY_INCLUDE.get(room, set())
        if room in MAY_INCLUDE_EVERY_ROOM:
            allowed |= tree.rooms() - set(PROGRAMS)
        if room == "cli":
            allowed.add("flow")
        for header, line in includes(text):
            generated = header.endswith(".skel.h")  # the eBPF programs, packed by bpftool
            if not generated and (header.split("/")[0] not in allowed or "/" not in header):
                bad.append(f'{path}:{line}: {room} may not include "{header}"; '
                           "flow hands things from room to room")
    return bad


def public_headers(tree):
    found = {path for path in tree.texts
             if path in PUBLIC_HEADERS or re.match(r"src/(base/.*|(\w+)/\2)\.h$", path)}
    for path, text in tree.code(*C_ENDINGS, under="src/"):
        for header, _ in includes(text):
            if header.split("/")[0] != path.split("/")[1] and "src/" + header in tree.texts:
                found.add("src/" + header)
    return sorted(found)


def public_headers_compile_alone(tree):
    bad = []
    for path in public_headers(tree):
        command = ["gcc", "-fsyntax-only", "-std=gnu2x", "-Wall", "-Wextra", "-Werror", "-x", "c", "-include",
                   os.path.join(tree.root, path), "-I", os.path.join(tree.root, "src"), "-I", tree.root,
                   "-isystem", "/usr/include/android", "/dev/null"]
        result = run(command)
        if result.returncode:
            bad.append(f"{path}:1: does not compile alone: {result.stderr.strip().splitlines()[0]}")
    return bad


def no_writable_globals(tree):
    bad = []
    for path in tree.objects():
        name = tree.name_of(path)
        if name.startswith("src/simulator/"):
            continue
        # value flags section<TAB>size symbol; constants with addresses in them are in .data.rel.ro.
        for line in run(["objdump", "-t", path]).stdout.splitlines():
            match = re.match(r"[0-9a-f]+ (.{7}) (\S+)\t([0-9a-f]+) +(?:\.\w+ +)?(\S+)$", line)
            if not match or int(match.group(3), 16) == 0:
                continue
            section, symbol = match.group(2), match.group(4)
            writable = re.match(r"(\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\*COM\*)", section)
            if writable and not NOT_OUR_DATA.match(symbol) and (name, symbol) != SIGNAL_FLAG:
                bad.append(f"{name}:1: writable global {symbol}; keep it in the room's struct")
    return bad


def no_heap_on_the_data_path(tree):
    bad = []
    for path in tree.objects():
        name = tree.name_of(path)
        if MAY_ALLOCATE.search(name):
            continue
        for line in run(["nm", "-u", path]).stdout.splitlines():
            symbol = line.split()[-1].split("@")[0]
            if HEAP.match(symbol):
                bad.append(f"{name}:1: uses {symbol}; take memory from the arena at creation")
    return bad


def functions_of(text):
    """(first line, lines) of each function: its braces stand alone in the first column."""
    lines = text.split("\n")
    opened = None
    for index, line in enumerate(lines):
        if line == "{":
            above = " ".join(lines[max(index - 3, 0):index]).split(";")[-1].split("}")[-1]
            opened = None if re.search(r"\b(namespace|struct|class|extern)\b[^()]*$", above) else index
        elif re.match(r"}(\s*(/[/*].*)?)$", line) and opened is not None:
            yield opened + 1, index - opened + 1
            opened = None


def functions_files_and_lines_are_short(tree):
    bad = []
    for path, text in tree.texts.items():
        lines = text.split("\n")
        if len(lines) - 1 > FILE_LINES_MAX:
            bad.append(f"{path}:{FILE_LINES_MAX}: {len(lines) - 1} lines; split the file at {FILE_LINES_MAX}")
        for number, line in enumerate(lines, 1):
            columns = len(line.expandtabs(TAB_COLUMNS))
            limit = LINE_COLUMNS_MAX if path.endswith(C_ENDINGS) else SCRIPT_COLUMNS_MAX
            if columns > limit:
                bad.append(f"{path}:{number}: {columns} columns; break the line at {limit}")
        if path.endswith(C_ENDINGS):
            for number, count in functions_of(without_comments(text)):
                if count > FUNCTION_LINES_MAX:
                    bad.append(f"{path}:{number}: a function of {count} lines; at most {FUNCTION_LINES_MAX}")
    return bad


def files_start_with_their_licence(tree):
    bad = []
    for path, text in tree.texts.items():
        lines = text.split("\n")
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        if not re.match(r"(/\*|//|#|--) SPDX-License-Identifier: \S", first):
            bad.append(f"{path}:1: begin with an SPDX-License-Identifier line")
    return bad


def no_banned_calls(tree):
    bad = []
    call = re.compile(r"(?<![\w.>])(?:__builtin_)?(" + "|".join(BANNED) + r")\s*\(")
    for path, text in tree.code(*C_ENDINGS, under="src/"):
        text = without_comments(text)
        for match in call.finditer(text):
            name = match.group(1)
            bad.append(f"{path}:{line_of(text, match.start())}: {name}(); use {BANNED[name]}")
    return bad


def public_limits_say_why(tree):
    bad = []
    for path in public_headers(tree):
        lines = tree.texts[path].replace("\\\n", "\\\0").split("\n")  # a continued line is one
        number = 1
        for index, line in enumerate(lines):
            match = re.match(r"[ \t]*#[ \t]*define[ \t]+(\w+_MAX)\b", line)
            above = lines[index - 1].strip() if index else ""
            said = "/*" in line or "//" in line or above.endswith("*/") and "#define" not in above
            if match and not (said or above.startswith("//")):
                bad.append(f"{path}:{number}: say behind or above {match.group(1)} why it is that large")
            number += 1 + line.count("\0")
    return bad


# rule -> a tree that breaks it, as path -> text; compiled where the rule looks at objects.
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
RULES = {
    rooms_include_only_base_and_themselves: {
        "src/tls/tls.c": SPDX + '#include "base/span.h"\n#include "ring/ring.h"\n',
        "src/base/span.h": SPDX + '#include "tls/tls.h"\n',
        "src/simulator/main.c": SPDX + '#include "http/http.h"\n'},
    public_headers_compile_alone: {"src/tls/tls.h": SPDX + "struct tls { size_t bytes; };\n"},
    no_writable_globals: {
        "src/tls/zero.c": "int count(void)\n{\n\tstatic int count;\n\treturn count++;\n}\n",
        "src/tls/given.c": "int count = 7;\n",
        "src/tls/thread.c": "_Thread_local int count;\n"},
    no_heap_on_the_data_path: {
        "src/tls/take.c": "#include <stdlib.h>\nvoid *take(void)\n{\n\treturn malloc(7);\n}\n",
        "src/tls/copy.c": "#include <string.h>\nchar *copy(char *text)\n{\n\treturn strdup(text);\n}\n"},
    functions_files_and_lines_are_short: {
        "src/tls/function.c": SPDX + "void f(void)\n{\n" + "\tf();\n" * FUNCTION_LINES_MAX + "}\n",
        "src/tls/file.c": SPDX + "int f(void);\n" * FILE_LINES_MAX,
        "src/tls/line.c": SPDX + "\t/*" + "x" * (LINE_COLUMNS_MAX - TAB_COLUMNS - 2) + "*/\n"},
    files_start_with_their_licence: {
        "src/tls/tls.c": "int f(void);\n",
        "tests/x.py": "#!/usr/bin/env python3\nimport os\n"},
    no_banned_calls: {f"src/tls/{name}.c": SPDX + f"x = {name}(y);\n" for name in BANNED},
    public_limits_say_why: {
        "src/tls/tls.h": SPDX + "\n#define TLS_OK_MAX 1 /* why */\n#define TLS_BAD_MAX 2\n"},
}


def canary_notices(rule, texts):
    """A violation for each file of the bad tree that the rule does not complain about."""
    root = tempfile.mkdtemp()
    try:
        for path, text in texts.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
            if rule in (no_writable_globals, no_heap_on_the_data_path):
                compiled = run(["gcc", "-c", os.path.join(root, path), "-o", os.path.join(root, path + ".o")])
                assert compiled.returncode == 0, compiled.stderr
        said = rule(Tree(root, root))
        return [f"{path}:1: not noticed" for path in texts if not any(line.startswith(path) for line in said)]
    finally:
        shutil.rmtree(root)


def report(number, name, bad):
    """Prints the verdict and all of `bad`; returns whether that is a failure."""
    print(f"{'not ok' if bad else 'ok'} {number} - {name}")
    for line in bad:
        print(f"# {line}")
    return bool(bad)


def main():
    tree = Tree(sys.argv[1], sys.argv[2])
    print(f"1..{2 * len(RULES) + 1}")
    failed = 0
    seen = f"{len(tree.texts)} sources, {len(tree.objects())} objects"
    enough = len(tree.texts) > 50 and len(tree.objects()) > 20
    failed |= report(1, "there is something to look at", [] if enough else [f"{sys.argv[1]}:1: only {seen}"])
    for index, (rule, canary) in enumerate(RULES.items()):
        failed |= report(2 * index + 2, rule.__name__, rule(tree))
        failed |= report(2 * index + 3, f"canary of {rule.__name__}", canary_notices(rule, canary))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
