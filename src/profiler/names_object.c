/* SPDX-License-Identifier: Apache-2.0
 *
 * An object's names: opened once, from the descriptor or the image that the table of objects holds, so that
 * it does not matter what has become of the process and the path. Who is believed is decided here; see
 * names.h.
 */
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiler/names_private.h"

/* Of what is read into memory, for files that are not the system's own. */
static const int64_t read_bytes_max = INT64_C(4) << 30;

/* A file that its owner can cut short while we look at it is read; a mapping of it would end us with SIGBUS.
 * What is root's is replaced as a whole, and may be mapped. */
static struct elf_file open_main(const struct object *object)
{
	struct elf_file file = { .fd = -1 };
	struct stat status;
	if (object->image) {
		/* Not written to: libelf changes what it reads in place only for foreign byte orders. */
		file.elf = elf_memory((char *)object->image, object->image_bytes);
	} else if (object->fd >= 0) {
		file.fd = fcntl(object->fd, F_DUPFD_CLOEXEC, 0);
		if (file.fd >= 0 && fstat(file.fd, &status) == 0) {
			int is_system = status.st_uid == 0 && !(status.st_mode & (S_IWGRP | S_IWOTH));
			if (is_system || status.st_size <= read_bytes_max)
				file.elf = elf_begin(file.fd, is_system ? ELF_C_READ_MMAP : ELF_C_READ, NULL);
		}
	}
	if (!file.elf || elf_kind(file.elf) != ELF_K_ELF)
		elf_file_close(&file);
	return file;
}

/* dwz's common part: by build id, else by the path below the debug folder that packages use. */
static struct elf_file open_supplement(const char *folder, const char *name, const void *build_id,
				       size_t bytes)
{
	struct elf_file file = names_debug_file(folder, build_id, bytes);
	const char *path = strstr(name, "/.dwz/");
	char text[NAMES_TEXT_BYTES_MAX];
	const void *its_build_id;
	if (file.elf || !path || strstr(path, ".."))
		return file;
	int used = snprintf(text, sizeof text, "%s%s", folder, path);
	file.fd = used > 0 && (size_t)used < sizeof text
			  ? open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
			  : -1;
	file.elf = file.fd >= 0 ? elf_begin(file.fd, ELF_C_READ_MMAP, NULL) : NULL;
	ssize_t its_bytes = file.elf ? dwelf_elf_gnu_build_id(file.elf, &its_build_id) : -1;
	if (its_bytes < 0 || (size_t)its_bytes != bytes || memcmp(its_build_id, build_id, bytes) != 0)
		elf_file_close(&file);
	return file;
}

static int open_dwarf(struct names *names, struct object_names *object, Elf *elf)
{
	const char *name;
	const void *build_id;
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	if (!dwarf)
		return -1;
	ssize_t bytes = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &build_id);
	if (bytes > 0) {
		object->supplement = open_supplement(names->debug_folder, name, build_id, (size_t)bytes);
		if (object->supplement.elf)
			object->supplement_dwarf =
				dwarf_begin_elf(object->supplement.elf, DWARF_C_READ, NULL);
		/* Without it most names are missing, and libdw would look for it at the path that the file
		 * names. */
		if (!object->supplement_dwarf) {
			dwarf_end(dwarf);
			return -1;
		}
		dwarf_setalt(dwarf, object->supplement_dwarf);
	}
	if (bytes < 0 || dwarf_names_open(&object->dwarf, dwarf) < 0) {
		dwarf_end(dwarf);
		return -1;
	}
	return 0;
}

static struct object_names *open_object(struct names *names, const struct object *object)
{
	struct object_names *opened = calloc(1, sizeof *opened);
	if (!opened)
		return NULL;
	const char *slash = strrchr(object->path, '/');
	opened->base_name = names_text(names, slash && slash[1] ? slash + 1 : object->path);
	opened->debug.fd = opened->supplement.fd = -1;
	opened->main = open_main(object);
	if (!opened->main.elf)
		return opened;
	GElf_Shdr header;
	int has_symtab = elf_section(opened->main.elf, ".symtab", &header) != NULL;
	int has_dwarf = open_dwarf(names, opened, opened->main.elf) == 0;
	if (!has_symtab || !has_dwarf)
		opened->debug =
			names_debug_file(names->debug_folder, object->build_id, object->build_id_bytes);
	if (!has_dwarf)
		open_dwarf(names, opened, opened->debug.elf);
	symbol_names_open(&opened->symbols, opened->main.elf, opened->debug.elf, object);
	frames_open(&opened->frames, opened->main.elf);
	plt_names_open(&opened->plt, opened->main.elf);
	opened->has_go = go_names_open(&opened->go, opened->main.elf) == 0;
	return opened;
}

void object_names_close(struct object_names *object)
{
	dwarf_names_close(&object->dwarf);
	if (object->supplement_dwarf)
		dwarf_end(object->supplement_dwarf);
	symbol_names_close(&object->symbols);
	name_ranges_finish(&object->frames);
	plt_names_close(&object->plt);
	elf_file_close(&object->supplement);
	elf_file_close(&object->debug);
	elf_file_close(&object->main);
	free(object);
}

static struct object_names *names_of(struct names *names, const struct object *object)
{
	if (object->id >= OBJECTS_MAX)
		return NULL;
	if (object->id >= names->object_count) {
		size_t count = object->id + 64;
		struct object_names **objects = reallocarray(names->objects, count, sizeof(void *));
		if (!objects)
			return NULL;
		for (size_t i = names->object_count; i < count; i++)
			objects[i] = NULL;
		names->objects = objects;
		names->object_count = count;
	}
	if (!names->objects[object->id])
		names->objects[object->id] = open_object(names, object);
	return names->objects[object->id];
}

/* A symbol's name without its version, "memcpy@@GLIBC_2.14", and `suffix` behind both names. */
static void name_symbol(struct names *names, const char *symbol, const char *suffix, struct name_line *line)
{
	char text[NAMES_TEXT_BYTES_MAX];
	size_t bytes = strcspn(symbol, "@");
	if (bytes >= sizeof text)
		bytes = sizeof text - 1;
	memcpy(text, symbol, bytes);
	text[bytes] = 0;
	names_function(names, text, line);
	if (!*suffix)
		return;
	int mangled = line->name != line->system_name;
	line->system_name = names_text_format(names, "%s%s", line->system_name, suffix);
	line->name = mangled ? names_text_format(names, "%s%s", line->name, suffix) : line->system_name;
}

static int name_stub(struct names *names, struct object_names *object, uint64_t address,
		     struct name_line *line)
{
	const char *target;
	uint64_t resolver;
	if (!plt_names_find(&object->plt, object->main.elf, address, &target, &resolver))
		return 0;
	if (!target && resolver)
		target = symbol_names_sized(&object->symbols, resolver);
	if (target)
		name_symbol(names, target, "@plt", line);
	else
		line->name = line->system_name = names_text_format(names, "%s!plt", object->base_name);
	return 1;
}

/* Without DWARF and a symbol that has the address: by where functions start. */
static void name_by_frame(struct names *names, struct object_names *object, uint64_t address,
			  struct name_line *line)
{
	const struct name_range *frame = name_ranges_find(&object->frames, address);
	const struct name_range *before = name_ranges_before(&object->frames, address);
	const char *symbol;
	/* In a described function only a symbol at its very start is its name. */
	uint64_t from = frame ? frame->start : before ? before->reach : 0;
	symbol = symbol_names_unsized(&object->symbols, frame ? frame->start : address, from);
	if (symbol)
		name_symbol(names, symbol, "", line);
	else if (frame)
		line->name = line->system_name = names_text_format(names, "%s!fde_%llx", object->base_name,
								   (unsigned long long)frame->start);
	else
		line->name = line->system_name =
			names_text_format(names, "%s!0x%llx", object->base_name, (unsigned long long)address);
}

/* The function's name where DWARF has none, and Go's file and line. */
static void name_without_dwarf(struct names *names, struct object_names *object, uint64_t address,
			       struct name_line *line)
{
	struct go_function function;
	const char *symbol = symbol_names_sized(&object->symbols, address);
	int is_go = object->has_go && go_table_find(&object->go, address, &function) == 0;
	if (symbol)
		name_symbol(names, symbol, "", line);
	else if (is_go)
		line->name = line->system_name = names_text(names, function.name);
	else if (!name_stub(names, object, address, line))
		name_by_frame(names, object, address, line);
	if (is_go && !*line->file) {
		line->file = names_text(names, function.file);
		line->line = function.line;
		line->start_line = function.start_line;
	}
}

/* Whether the mangled symbol can be of the function that DWARF calls `name`. */
static int is_symbol_of(const char *symbol, const char *name)
{
	char text[NAMES_TEXT_BYTES_MAX];
	if (strncmp(symbol, "_Z", 2) != 0)
		return 0;
	if (strncmp(name, "operator", 8) == 0)
		return 1;
	name += *name == '~';
	size_t bytes = strcspn(name, "<");
	if (bytes >= sizeof text)
		return 0;
	memcpy(text, name, bytes);
	text[bytes] = 0;
	return strstr(symbol, text) != NULL;
}

/* DWARF has no mangled names for C++ functions that other units cannot call; the symbol table has, and knows
 * all names of the C library's functions. */
static void name_by_symbol(struct names *names, struct object_names *object, uint64_t address,
			   struct name_line *line)
{
	char text[NAMES_TEXT_BYTES_MAX];
	const char *symbol = symbol_names_sized(&object->symbols, address);
	if (symbol && symbol_is_inner(line->system_name)) {
		name_symbol(names, symbol, "", line); /* of several names an assembler writes down any */
		return;
	}
	if (!symbol || strncmp(line->system_name, "_Z", 2) == 0 || !is_symbol_of(symbol, line->system_name))
		return;
	size_t bytes = strcspn(symbol, ".@"); /* ".cold", ".part.0": the function is the same */
	if (bytes >= sizeof text)
		return;
	memcpy(text, symbol, bytes);
	text[bytes] = 0;
	names_function(names, text, line);
}

size_t names_of_object(struct names *names, struct object *object, uint64_t address,
		       struct name_line lines[static NAMES_LINES_MAX])
{
	struct object_names *opened = names_of(names, object);
	size_t count = 0;
	if (opened && opened->dwarf.dwarf)
		count = dwarf_names_find(names, &opened->dwarf, address, lines);
	if (count == 0) {
		lines[0] = (struct name_line){ .file = "" };
		count = 1;
	}
	struct name_line *outermost = &lines[count - 1];
	if (!opened)
		outermost->name = outermost->system_name =
			names_text_format(names, "%s!0x%llx", object->path, (unsigned long long)address);
	else if (!outermost->name)
		name_without_dwarf(names, opened, address, outermost);
	else
		name_by_symbol(names, opened, address, outermost);
	return count;
}

uint64_t names_function_start(struct names *names, struct object *object, uint64_t address)
{
	const struct object_names *opened = names_of(names, object);
	const struct name_range *frame = opened ? name_ranges_find(&opened->frames, address) : NULL;
	return frame ? frame->start : UINT64_MAX;
}

struct names_quality names_quality_of(struct names *names, struct object *object)
{
	const struct object_names *opened = names_of(names, object);
	struct names_quality quality = { 0 };
	if (!opened)
		return quality;
	quality.has_inline_frames = opened->dwarf.dwarf != NULL;
	quality.has_line_numbers = quality.has_filenames = quality.has_inline_frames || opened->has_go;
	quality.has_functions = quality.has_filenames || opened->symbols.count > 0;
	return quality;
}
