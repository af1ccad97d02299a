/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions, what is inlined into them, files and lines from DWARF, by libdw. Units are found by their own
 * ranges: .debug_aranges is not written by all compilers. The functions of a unit are collected when the
 * first address in it is asked for; then a look-up descends from the function only. Units that leave most to
 * other files (.dwo) have their lines here, and names from the symbol table: libdw would open whatever path
 * the unit names.
 */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/names_private.h"

enum {
	UNITS_MAX = 1 << 20,	      /* Chromium has 50,000 */
	RANGES_MAX = 1 << 16,	      /* of one unit or function */
	DEPTH_MAX = 64,		      /* namespaces and functions in each other */
	DESCENT_MAX = 1024,	      /* blocks and inlined functions in each other */
	ENTRIES_OF_UNIT_MAX = 1 << 24 /* clang's largest units have 2 million */
};

static void add_ranges(struct name_ranges *ranges, Dwarf_Die *die, uint64_t value)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t next = 0;
	for (int i = 0; i < RANGES_MAX && (next = dwarf_ranges(die, next, &base, &start, &end)) > 0; i++) {
		/* Functions that the linker dropped begin at 0 or, in lists of ranges, at 1. */
		if (start > 1)
			name_ranges_add(ranges, start, end, value);
	}
}

/* Whether a text that stands in .debug_info itself ends there: libdw does not look, unlike for those in
 * tables of texts. The common file of several debug files is the system's. */
static int is_ended(const struct dwarf_names *dwarf, const Dwarf_Attribute *attribute)
{
	const uint8_t *at = attribute->valp, *end = dwarf->info.base + dwarf->info.bytes;
	if (attribute->form != DW_FORM_string || dwarf_cu_getdwarf(attribute->cu) != dwarf->dwarf)
		return 1;
	return at >= dwarf->info.base && at < end && memchr(at, 0, (size_t)(end - at));
}

const char *dwarf_text(const struct dwarf_names *dwarf, Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	if (!dwarf_attr_integrate(die, name, &attribute) || !is_ended(dwarf, &attribute))
		return NULL;
	const char *text = dwarf_formstring(&attribute);
	return text && *text ? text : NULL;
}

static int add_unit(struct dwarf_names *names, Dwarf_Die *die)
{
	if (names->unit_count == names->unit_capacity) {
		size_t capacity = names->unit_capacity ? names->unit_capacity * 2 : 64;
		struct dwarf_unit *units =
			capacity > UNITS_MAX ? NULL : reallocarray(names->units, capacity, sizeof *units);
		if (!units)
			return -1;
		names->units = units;
		names->unit_capacity = capacity;
	}
	names->units[names->unit_count] = (struct dwarf_unit){ .offset = dwarf_dieoffset(die) };
	add_ranges(&names->unit_ranges, die, names->unit_count);
	names->unit_count++;
	return 0;
}

/* Not compressed: libdw has done that by now. ".zdebug_..." is how GNU's tools once compressed. */
static struct span debug_section(Dwarf *dwarf, const char *name)
{
	char text[32];
	GElf_Shdr header;
	snprintf(text, sizeof text, ".debug_%s", name);
	Elf_Scn *section = elf_section(dwarf_getelf(dwarf), text, &header);
	if (!section) {
		snprintf(text, sizeof text, ".zdebug_%s", name);
		section = elf_section(dwarf_getelf(dwarf), text, &header);
	}
	return elf_section_bytes(section);
}

int dwarf_names_open(struct dwarf_names *names, Dwarf *dwarf)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	Dwarf_Attribute folder;
	Dwarf_Half version;
	uint8_t type;
	struct span texts = debug_section(dwarf, "str"), line_texts = debug_section(dwarf, "line_str");
	/* libdw before 0.189 reads on behind a table of texts whose last one is not ended. */
	if ((texts.bytes && texts.base[texts.bytes - 1]) ||
	    (line_texts.bytes && line_texts.base[line_texts.bytes - 1]))
		return -1;
	names->dwarf = dwarf;
	names->info = debug_section(dwarf, "info");
	while (dwarf_get_units(dwarf, unit, &unit, &version, &type, &die, NULL) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		/* libdw takes its length for the names of files. */
		if (dwarf_attr(&die, DW_AT_comp_dir, &folder) && !is_ended(names, &folder))
			continue;
		if (add_unit(names, &die) < 0)
			break;
	}
	if (names->unit_count == 0) {
		names->dwarf = NULL;
		return -1;
	}
	name_ranges_sort(&names->unit_ranges);
	return 0;
}

void dwarf_names_close(struct dwarf_names *names)
{
	for (size_t i = 0; i < names->unit_count; i++) {
		name_ranges_finish(&names->units[i].functions);
		dwarf_scopes_close(&names->units[i]);
	}
	free(names->units);
	name_ranges_finish(&names->unit_ranges);
	if (names->dwarf)
		dwarf_end(names->dwarf);
	*names = (struct dwarf_names){ 0 };
}

/* Where code of functions is kept. Classes only declare theirs in C++, but not in each language. */
static int may_have_functions(int tag, int language)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
		return 1;
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_class_type:
	case DW_TAG_enumeration_type:
		return language == DW_LANG_Rust || language == DW_LANG_D || language == DW_LANG_Swift;
	}
	return 0;
}

static void collect(struct name_ranges *functions, Dwarf_Die *parent, int language, int depth, int *entries)
{
	Dwarf_Die die;
	if (depth > DEPTH_MAX || dwarf_child(parent, &die) != 0)
		return;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram)
			add_ranges(functions, &die, dwarf_dieoffset(&die));
		if (may_have_functions(tag, language))
			collect(functions, &die, language, depth + 1, entries);
	} while (--*entries > 0 && dwarf_siblingof(&die, &die) == 0);
}

/* The unit that has the address and its first DIE. */
static struct dwarf_unit *unit_of(struct dwarf_names *names, uint64_t address, Dwarf_Die *ret_die)
{
	const struct name_range *range = name_ranges_find(&names->unit_ranges, address);
	if (!range || !dwarf_offdie(names->dwarf, names->units[range->value].offset, ret_die))
		return NULL;
	struct dwarf_unit *unit = &names->units[range->value];
	if (!unit->known) {
		int entries = ENTRIES_OF_UNIT_MAX;
		unit->known = 1;
		collect(&unit->functions, ret_die, dwarf_srclang(ret_die), 0, &entries);
		name_ranges_sort(&unit->functions);
	}
	return unit;
}

/* The functions at the address: dies[0] is the outermost of those kept. */
struct chain {
	Dwarf_Die dies[NAMES_LINES_MAX];
	size_t count;
	int cut; /* at the outer end */
};

static void chain_add(struct chain *chain, const Dwarf_Die *die)
{
	if (chain->count == NAMES_LINES_MAX) {
		memmove(chain->dies, chain->dies + 1, (NAMES_LINES_MAX - 1) * sizeof *chain->dies);
		chain->count--;
		chain->cut = 1;
	}
	chain->dies[chain->count++] = *die;
}

/* The child of `die` that contains the address and is a block or an inlined function. */
static int child_with(Dwarf_Die *die, uint64_t address, Dwarf_Die *ret_child)
{
	int entries = ENTRIES_OF_UNIT_MAX;
	if (dwarf_child(die, ret_child) != 0)
		return 0;
	do {
		int tag = dwarf_tag(ret_child);
		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(ret_child, address) > 0)
			return 1;
	} while (--entries > 0 && dwarf_siblingof(ret_child, ret_child) == 0);
	return 0;
}

static void descend(struct chain *chain, Dwarf_Die *function, uint64_t address)
{
	Dwarf_Die die = *function, child;
	chain_add(chain, function);
	for (int depth = 0; depth < DESCENT_MAX && child_with(&die, address, &child); depth++) {
		die = child;
		if (dwarf_tag(&die) == DW_TAG_inlined_subroutine)
			chain_add(chain, &die);
	}
}

/* What the function is called, and where it starts. */
static void name_function(struct names *names, struct dwarf_names *dwarf, Dwarf_Die *die,
			  struct name_line *line)
{
	const char *linkage_name = dwarf_text(dwarf, die, DW_AT_linkage_name);
	const char *name = dwarf_text(dwarf, die, DW_AT_name);
	int start_line = 0;
	if (!linkage_name)
		linkage_name = dwarf_text(dwarf, die, DW_AT_MIPS_linkage_name);
	if (linkage_name) {
		names_function(names, linkage_name, line);
		/* C's alias names need no demangling; what people call it is the name. */
		if (name && strcmp(line->name, line->system_name) == 0)
			line->name = names_text(names, name);
	} else if (name) {
		line->system_name = names_text(names, name);
		line->name = dwarf_qualified_name(names, dwarf, die, line->system_name);
	}
	if (dwarf_decl_line(die, &start_line) == 0 && start_line > 0)
		line->start_line = (uint32_t)start_line;
}

static uint32_t attribute_number(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;
	if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0 ||
	    value > INT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* Takes "." and "name/.." out of the path, in place: what the compiler was called with is not what people
 * look for. */
static void normalize(char *path)
{
	char *start = path + (*path == '/'), *out = start;
	for (const char *at = start; *at;) {
		size_t bytes = strcspn(at, "/");
		const char *part = at;
		at += bytes + (at[bytes] == '/');
		if (bytes == 0 || (bytes == 1 && part[0] == '.'))
			continue;
		char *last = out; /* start of the last part written */
		while (last > start && last[-1] != '/')
			last--;
		if (bytes == 2 && memcmp(part, "..", 2) == 0 && out > start &&
		    !(out - last == 2 && memcmp(last, "..", 2) == 0)) {
			out = last > start ? last - 1 : start;
			continue;
		}
		if (out > start)
			*out++ = '/';
		memmove(out, part, bytes);
		out += bytes;
	}
	*out = 0;
}

/* Relative to where the compiler ran, when that is a real folder and not a prefix made up for packages. */
static const char *path_text(struct names *names, struct dwarf_names *dwarf, Dwarf_Die *unit_die,
			     const char *path)
{
	char text[NAMES_TEXT_BYTES_MAX];
	const char *folder = *path == '/' ? NULL : dwarf_text(dwarf, unit_die, DW_AT_comp_dir);
	int used = folder && *folder == '/' ? snprintf(text, sizeof text, "%s/%s", folder, path)
					    : snprintf(text, sizeof text, "%s", path);
	if (used < 0 || (size_t)used >= sizeof text)
		return names_text(names, path);
	normalize(text);
	return names_text(names, text);
}

/* Where the inlined function is called, in the function around it. */
static void place_call(struct names *names, struct dwarf_names *dwarf, Dwarf_Die *unit_die,
		       Dwarf_Die *inlined, struct name_line *line)
{
	Dwarf_Files *files;
	size_t count;
	line->line = attribute_number(inlined, DW_AT_call_line);
	uint32_t file = attribute_number(inlined, DW_AT_call_file);
	const char *path = NULL;
	if (dwarf_getsrcfiles(unit_die, &files, &count) == 0 && file < count)
		path = dwarf_filesrc(files, file, NULL, NULL);
	if (path)
		line->file = path_text(names, dwarf, unit_die, path);
}

static int place_address(struct names *names, struct dwarf_names *dwarf, Dwarf_Die *unit_die,
			 uint64_t address, struct name_line *line)
{
	int number = 0;
	Dwarf_Line *row = dwarf_getsrc_die(unit_die, address);
	const char *path = row ? dwarf_linesrc(row, NULL, NULL) : NULL;
	if (path)
		line->file = path_text(names, dwarf, unit_die, path);
	if (row && dwarf_lineno(row, &number) == 0 && number > 0)
		line->line = (uint32_t)number;
	return path != NULL;
}

size_t dwarf_names_find(struct names *names, struct dwarf_names *dwarf, uint64_t address,
			struct name_line lines[static NAMES_LINES_MAX])
{
	Dwarf_Die unit_die, die;
	struct dwarf_unit *unit = unit_of(dwarf, address, &unit_die);
	if (!unit)
		return 0;
	lines[0] = (struct name_line){ .file = "" };
	int placed = place_address(names, dwarf, &unit_die, address, &lines[0]);
	const struct name_range *function = name_ranges_find(&unit->functions, address);
	if (!function || !dwarf_offdie(dwarf->dwarf, function->value, &die))
		return placed ? 1 : 0;
	struct chain chain = { 0 };
	descend(&chain, &die, address);
	for (size_t i = 0; i < chain.count; i++) {
		Dwarf_Die *at = &chain.dies[chain.count - 1 - i];
		if (i) {
			lines[i] = (struct name_line){ .file = "" };
			place_call(names, dwarf, &unit_die, at + 1, &lines[i]);
		}
		name_function(names, dwarf, at, &lines[i]);
		if (!lines[i].name && (i + 1 < chain.count || chain.cut))
			lines[i].name = lines[i].system_name = names_text(names, "[inlined]");
	}
	return chain.count;
}
