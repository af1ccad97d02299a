/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `names` share: names.c keeps texts and dispatches, names_object.c opens an object and
 * decides whom to believe, names_dwarf.c, names_symbols.c, names_plt.c and names_go.c are whom, names_debug.c
 * finds separate debug files, names_kernel.c, names_jit.c and names_lua.c are for code without a file.
 */
#ifndef PROFILER_NAMES_PRIVATE_H
#define PROFILER_NAMES_PRIVATE_H

#include <elfutils/libdw.h>
#include <gelf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/span.h"
#include "base/table.h"
#include "bpf/shared.h"
#include "profiler/names.h"
#include "profiler/names_go.h"
#include "profiler/names_range.h"

#define NAMES_TEXT_BYTES_MAX 4096 /* of one name or path: PATH_MAX, and more than is readable */

/* Texts are kept once each, as valid UTF-8 without control characters, until names_destroy(). */
struct names_text;

struct names_texts {
	struct names_text **texts; /* owned */
	size_t count, room;
	struct table table; /* index + 1 */
};

struct elf_file { /* owns what is not NULL */
	int fd;	  /* -1: none */
	Elf *elf;
};

struct dwarf_scope { /* a namespace, class or function, in the order of the file, which is the one of a walk
		      */
	Dwarf_Off start, end; /* of its DIE and those in it */
	size_t around;	      /* index of the one around it plus 1 */
};

struct dwarf_unit {
	Dwarf_Off offset; /* of its first DIE */
	int known;	  /* functions are collected */
	int scopes_known;
	struct dwarf_scope *scopes;
	size_t scope_count, scope_capacity;
	struct name_ranges functions; /* value: DIE offset */
};

struct dwarf_names {
	Dwarf *dwarf;	  /* NULL: none */
	struct span info; /* .debug_info, not compressed */
	struct dwarf_unit *units;
	size_t unit_count, unit_capacity;
	struct name_ranges unit_ranges; /* value: index in units */
};

struct symbol {
	const char *name; /* in the file's string table */
	uint64_t address, bytes;
	unsigned char type, binding;
};

struct symbol_names {
	struct symbol *items;
	size_t count, capacity;
	int has_symtab; /* .symtab, of the object or its debug file; else what .dynsym has */
	struct name_ranges sized, unsized; /* value: index in items; unsized ones end at the next symbol */
};

struct plt_names {
	struct name_ranges sections; /* value: bytes of an entry */
	struct name_ranges slots;    /* addresses the stubs jump through; value: index in names */
	struct name_ranges indirect; /* the same for IRELATIVE; value: the resolver's address */
	const char **names;	     /* in the file's string table */
	size_t name_count, name_capacity;
	size_t *order; /* of .rela.plt: the slot of entry N, as index in names plus 1 */
	size_t order_count;
};

struct object_names {
	const char *base_name;
	struct elf_file main, debug, supplement; /* supplement: dwz's common part of several debug files */
	Dwarf *supplement_dwarf;
	struct dwarf_names dwarf;
	struct symbol_names symbols;
	struct name_ranges frames; /* of FDEs */
	struct plt_names plt;
	struct go_table go;
	int has_go;
};

struct kernel_symbol {
	uint64_t address;
	uint32_t name, module; /* offsets in texts */
};

struct kernel_names {
	int known; /* looked at, whether it could be read or not */
	int hidden;
	char *texts;
	struct kernel_symbol *symbols; /* sorted, one an address */
	size_t count, capacity;
};

struct process_identity {
	long user_ids[4]; /* real, effective, saved, of the file system */
	long name;	  /* the process's ID as it sees it itself */
};

struct jit_names {
	pid_t pid;
	int root_fd; /* the process's root, and who it is: for when it has ended; -1: not held */
	struct process_identity identity;
	uint64_t file_id[4]; /* device, inode, size, mtime: of what was read */
	char *texts;
	struct name_ranges
		ranges; /* value: offset in texts, which counts up in the order they were written */
};

struct lua_run {      /* instructions of one line */
	uint32_t end; /* the one behind the last */
	uint32_t line;
};

struct lua_function {
	uint64_t code;
	uint32_t instructions, line;
	const char *name, *file;
	size_t runs_first, run_count;
};

struct lua_native {
	uint64_t address;
	const char *name;
};

struct lua_names {
	struct interpreter_layout layout;
	uint64_t library;
	struct lua_function *functions; /* owned, as the next two */
	struct lua_run *runs;
	struct lua_native *natives;
	size_t function_count, functions_max, run_count, runs_max, native_count, natives_max;
	struct name_ranges ranges; /* of places; value: index in functions */
	int is_sorted;
	size_t text_bytes; /* read so far */
};

struct names {
	char *debug_folder;
	struct names_texts texts;
	struct object_names **objects; /* by id; NULL: not yet opened */
	size_t object_count;
	struct kernel_names kernel;
	struct jit_names *jits;
	size_t jit_count;
	struct lua_names lua;
};

/* names_text.c */
const char *names_text(struct names *names, const char *text);
/* Cut at NAMES_TEXT_BYTES_MAX. */
const char *names_text_format(struct names *names, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Fills in both names of a function. */
void names_function(struct names *names, const char *system_name, struct name_line *line);
void names_texts_finish(struct names_texts *texts);

/* names_debug.c: the debug file with this build id, opened; elf is NULL when there is none. */
struct elf_file names_debug_file(const char *folder, const uint8_t *build_id, size_t bytes);
void elf_file_close(struct elf_file *file);

/* names_dwarf.c: 0 when there are compile units in it. It keeps `dwarf` then, and dwarf_names_close() ends
 * it. */
int dwarf_names_open(struct dwarf_names *names, Dwarf *dwarf);
void dwarf_names_close(struct dwarf_names *names);
void dwarf_scopes_close(struct dwarf_unit *unit);
/* "namespace::class::name" for a function whose mangled name is not known. */
const char *dwarf_qualified_name(struct names *names, struct dwarf_names *dwarf, Dwarf_Die *die,
				 const char *name);
/* NULL: it has none. Looked for in what it is an instance of, too. */
const char *dwarf_text(const struct dwarf_names *dwarf, Dwarf_Die *die, unsigned attribute);
/* Lines as far as known: 0 lines: nothing; the last one, which is the function that is there, may have a NULL
 * name. */
size_t dwarf_names_find(struct names *names, struct dwarf_names *dwarf, uint64_t address,
			struct name_line lines[static NAMES_LINES_MAX]);

/* names_symbols.c */
void symbol_names_open(struct symbol_names *symbols, Elf *main, Elf *debug, const struct object *object);
void symbol_names_close(struct symbol_names *symbols);
/* A symbol whose size says that it contains the address; NULL: none. Without the version,
 * "memcpy@@GLIBC_2.14". */
const char *symbol_names_sized(const struct symbol_names *symbols, uint64_t address);
/* One without size that starts at or after `from` with nothing known between. */
const char *symbol_names_unsized(const struct symbol_names *symbols, uint64_t address, uint64_t from);
/* What the C library calls a function of its own from inside: a second name, which nobody knows. */
int symbol_is_inner(const char *name);

/* names_elf.c */
Elf_Scn *elf_section(Elf *elf, const char *name, GElf_Shdr *ret_header);
struct span elf_section_bytes(Elf_Scn *section);
/* Ranges that .eh_frame describes; value: their start. */
void frames_open(struct name_ranges *frames, Elf *elf);
void plt_names_open(struct plt_names *plt, Elf *elf);
void plt_names_close(struct plt_names *plt);
/* Whether the address is in a procedure linkage table. *ret_name: the function that the stub jumps to, NULL
 * when that is not known; or *ret_resolver is the address of the function that decides where it jumps to,
 * else 0. */
int plt_names_find(const struct plt_names *plt, Elf *elf, uint64_t address, const char **ret_name,
		   uint64_t *ret_resolver);
/* 0: it has Go's table. */
int go_names_open(struct go_table *table, Elf *elf);

/* names_object.c */
void object_names_close(struct object_names *object);

/* names_kernel.c, names_jit.c */
void kernel_names_close(struct kernel_names *kernel);
void jit_names_close(struct jit_names *jit);

/* names_lua.c */
void lua_names_finish(struct lua_names *lua);

#endif
