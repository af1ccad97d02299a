/* SPDX-License-Identifier: Apache-2.0
 *
 * names: from an address in an object (or in the kernel, or in generated code) to functions, files and lines,
 * with elfutils' libdw. Internal to profiler. Looked up after the run, one address once: nothing here is hot,
 * but 5,000 addresses must take well under a second.
 *
 * Order of belief: DWARF (of the object or of its separate debug file, found by build id below
 * /usr/lib/debug/.build-id, and by debuginfod when the user has set DEBUGINFOD_URLS); .symtab; sized .dynsym
 * symbols that contain the address; Go's .gopclntab; the relocation of a linkage table's stub, "puts@plt";
 * unsized symbols in assembler code, up to the next symbol. Else the function's start as the unwind
 * information has it, "libisal.so.2!fde_1a40", rather than a neighbour's name; and where there is not even
 * that, "libx.so!0x1a44".
 */
#ifndef PROFILER_NAMES_H
#define PROFILER_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/objects.h"

/* Functions inlined into each other at one address; of deeper ones the outer end is cut. */
#define NAMES_LINES_MAX 32

struct name_line {
	const char *name;	   /* demangled; never NULL */
	const char *system_name;   /* as the linker knows it; the same pointer when not mangled */
	const char *file;	   /* "" when unknown */
	uint32_t line, start_line; /* 0: unknown */
};

struct interpreter_layout; /* bpf/shared.h */
struct names;		   /* opaque; texts live until names_destroy() */

struct names *names_create(void);
/* The same with another folder than /usr/lib/debug for separate debug files. */
struct names *names_create_with(const char *debug_folder);
void names_destroy(struct names *names);

/* `address` is in the object's file (p_vaddr terms); for callers it is the return address less 1. Returns the
 * number of lines, at least 1, innermost inlined function first. */
size_t names_of_object(struct names *names, struct object *object, uint64_t address,
		       struct name_line lines[static NAMES_LINES_MAX]);
/* What names_of_object() can say of this object, as pprof's mapping flags want it. */
struct names_quality {
	int has_functions, has_filenames, has_line_numbers, has_inline_frames;
};
struct names_quality names_quality_of(struct names *names, struct object *object);

/* Where the function at this address begins, by the unwind information; UINT64_MAX: not known. */
uint64_t names_function_start(struct names *names, struct object *object, uint64_t address);

/* Reads /proc/kallsyms unless it has been read: to be called once before privileges are given up. NULL, or
 * why kernel functions have no names and what to do about it. */
const char *names_kernel_note(struct names *names);
/* Reads /proc/kallsyms once; "[kernel]+0xADDRESS" where it has no name. *ret_module is "[kernel.kallsyms]" or
 * "[module]". 1 line always. */
size_t names_of_kernel(struct names *names, uint64_t address, struct name_line lines[static NAMES_LINES_MAX],
		       const char **ret_module);

/* Generated code: what /tmp/perf-PID.map says (in the process's own root and PID namespace); "[jit]"
 * otherwise. Call names_hold_jit() while the process lives, and names_read_jit() when it has ended, or at the
 * end: the file's last state counts. A descriptor is held in between. */
void names_hold_jit(struct names *names, pid_t pid);
void names_read_jit(struct names *names, pid_t pid);
size_t names_of_jit(struct names *names, pid_t pid, uint64_t address,
		    struct name_line lines[static NAMES_LINES_MAX]);

/* Lua, see names_lua.c: what the target says of the interpreter in it; a NUL is behind it. 0, or -1 with a
 * sentence: it says why there is nothing, or makes no sense, and nothing of this text counts. */
int names_read_lua(struct names *names, const char *text, size_t bytes, char *error, size_t error_bytes);
/* Not is_known: nothing was said so far. */
const struct interpreter_layout *names_lua_layout(const struct names *names);
/* An address in the interpreter's code. */
uint64_t names_lua_library(const struct names *names);
/* The line that a place is in, as the kernel's programs see it, behind the instruction that is executed; and
 * where its instructions begin. 1, or 0: it is in no function. */
int names_of_lua(struct names *names, uint64_t place, struct name_line *ret_line, uint64_t *ret_address);
/* What programs call the C function there; NULL when they do not, or by several names. */
const char *names_lua_native(const struct names *names, uint64_t address);
/* From the first instruction of all functions to behind the last. */
void names_lua_range(const struct names *names, uint64_t *ret_start, uint64_t *ret_end);

#endif
