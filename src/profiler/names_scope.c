/* SPDX-License-Identifier: Apache-2.0
 *
 * The namespaces and classes around a function. C++ compilers leave the mangled name out for functions that
 * no other unit can call and for constructors, so "Box" alone would be all there is of an inlined one. A DIE
 * does not know what is around it: the scopes of a unit are collected by a walk, once, when one is asked for.
 */
#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/names_private.h"

enum {
	SCOPES_MAX = 1 << 20,	      /* of one unit; large ones have 50,000 */
	DEPTH_MAX = 64,		      /* scopes in each other */
	ORIGINS_MAX = 16,	      /* an instance of an instance of ... a declaration; three in practice */
	ENTRIES_OF_UNIT_MAX = 1 << 24 /* clang's largest units have 2 million */
};

void dwarf_scopes_close(struct dwarf_unit *unit)
{
	free(unit->scopes);
	unit->scopes = NULL;
	unit->scope_count = unit->scope_capacity = 0;
}

static int has_scopes(int language)
{
	switch (language) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case 0x2a: /* DW_LANG_C_plus_plus_17 and _20, of DWARF 6 */
	case 0x2b:
	case DW_LANG_Rust:
		return 1;
	}
	return 0;
}

static int is_scope(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type || tag == DW_TAG_subprogram ||
	       tag == DW_TAG_lexical_block;
}

/* Index plus 1; 0: no room. */
static size_t add_scope(struct dwarf_unit *unit, struct dwarf_scope scope)
{
	if (unit->scope_count == unit->scope_capacity) {
		size_t capacity = unit->scope_capacity ? unit->scope_capacity * 2 : 256;
		struct dwarf_scope *scopes =
			capacity > SCOPES_MAX ? NULL : reallocarray(unit->scopes, capacity, sizeof *scopes);
		if (!scopes)
			return 0;
		unit->scopes = scopes;
		unit->scope_capacity = capacity;
	}
	unit->scopes[unit->scope_count++] = scope;
	return unit->scope_count;
}

static void collect(struct dwarf_unit *unit, Dwarf_Die *parent, size_t around, Dwarf_Off end, int depth,
		    int *entries)
{
	Dwarf_Die die, next;
	if (depth > DEPTH_MAX || dwarf_child(parent, &die) != 0)
		return;
	for (int more = 1; more && --*entries > 0; die = next) {
		more = dwarf_siblingof(&die, &next) == 0;
		/* Where the next one begins, which a hostile file may say is before this one. */
		Dwarf_Off its_end = more ? dwarf_dieoffset(&next) : end;
		if (its_end <= dwarf_dieoffset(&die))
			return;
		if (!is_scope(dwarf_tag(&die)) || dwarf_haschildren(&die) <= 0)
			continue;
		size_t scope = add_scope(unit, (struct dwarf_scope){ .start = dwarf_dieoffset(&die),
								     .end = its_end,
								     .around = around });
		if (scope == 0)
			return;
		collect(unit, &die, scope, its_end, depth + 1, entries);
	}
}

/* What the function was declared as: an inlined one is an instance, an instance may stand apart from its
 * class. */
static Dwarf_Die declaration_of(Dwarf_Die die)
{
	Dwarf_Attribute attribute;
	Dwarf_Die origin;
	for (int i = 0; i < ORIGINS_MAX; i++) {
		if (!dwarf_attr(&die, DW_AT_abstract_origin, &attribute) &&
		    !dwarf_attr(&die, DW_AT_specification, &attribute))
			break;
		if (!dwarf_formref_die(&attribute, &origin))
			break;
		die = origin;
	}
	return die;
}

/* Units come in the order of their offsets. */
static struct dwarf_unit *unit_at(struct dwarf_names *dwarf, Dwarf_Off offset)
{
	size_t low = 0, high = dwarf->unit_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (dwarf->units[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < dwarf->unit_count && dwarf->units[low].offset == offset ? &dwarf->units[low] : NULL;
}

/* Index plus 1 of the innermost scope around the DIE. */
static size_t scope_of(const struct dwarf_unit *unit, Dwarf_Off offset)
{
	size_t low = 0, high = unit->scope_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (unit->scopes[middle].start < offset)
			low = middle + 1;
		else
			high = middle;
	}
	/* The last one that starts before it is around it, or in or beside something that is. */
	while (low && unit->scopes[low - 1].end <= offset)
		low = unit->scopes[low - 1].around;
	return low;
}

static const char *scope_name(struct dwarf_names *dwarf, Dwarf_Off offset)
{
	Dwarf_Die die;
	if (!dwarf_offdie(dwarf->dwarf, offset, &die))
		return NULL;
	const char *name = dwarf_text(dwarf, &die, DW_AT_name);
	return !name && dwarf_tag(&die) == DW_TAG_namespace ? "(anonymous namespace)" : name;
}

const char *dwarf_qualified_name(struct names *names, struct dwarf_names *dwarf, Dwarf_Die *die,
				 const char *name)
{
	Dwarf_Die unit_die, declaration = declaration_of(*die);
	char text[NAMES_TEXT_BYTES_MAX];
	if (!dwarf_diecu(&declaration, &unit_die, NULL, NULL) || !has_scopes(dwarf_srclang(&unit_die)))
		return name;
	struct dwarf_unit *unit = unit_at(dwarf, dwarf_dieoffset(&unit_die));
	/* The same offset may be in dwz's common file. */
	Dwarf_Die same;
	if (!unit || !dwarf_offdie(dwarf->dwarf, unit->offset, &same) || same.addr != unit_die.addr)
		return name;
	if (!unit->scopes_known) {
		int entries = ENTRIES_OF_UNIT_MAX;
		unit->scopes_known = 1;
		collect(unit, &unit_die, 0, UINT64_MAX, 0, &entries);
	}
	/* Written from the end of the buffer, as the innermost scope comes first. */
	size_t bytes = strlen(name), at = sizeof text - 1 - bytes;
	memcpy(text + at, name, bytes);
	text[at + bytes] = 0;
	size_t scope = scope_of(unit, dwarf_dieoffset(&declaration));
	for (int depth = 0; scope && depth < DEPTH_MAX; depth++) {
		const char *its_name = scope_name(dwarf, unit->scopes[scope - 1].start);
		size_t its_bytes = its_name ? strlen(its_name) : 0;
		if (its_bytes + 2 > at)
			break;
		if (its_bytes) {
			at -= its_bytes + 2;
			memcpy(text + at, its_name, its_bytes);
			memcpy(text + at + its_bytes, "::", 2);
		}
		scope = unit->scopes[scope - 1].around;
	}
	return names_text(names, text + at);
}
