/* SPDX-License-Identifier: Apache-2.0
 *
 * Symbol tables of an object: .symtab, its own or its debug file's, else .dynsym. A symbol names an address
 * when its size says so; the nearest one before the address is no evidence in a stripped library, where most
 * functions have no symbol at all. Assembler code often has no sizes: see names_object.c for when those
 * count.
 */
#include <stdlib.h>
#include <string.h>

#include "profiler/names_private.h"

enum { SYMBOLS_MAX = 8 << 20 }; /* of one object; as NAME_RANGES_MAX */

/* Whether code of the object can be there. */
static int object_has_code(const struct object *object, uint64_t address)
{
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];
		if (address >= segment->address && address - segment->address < segment->bytes)
			return 1;
	}
	return object->segment_count == 0;
}

static int is_function(const GElf_Sym *symbol)
{
	int type = GELF_ST_TYPE(symbol->st_info);
	return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_ABS &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static void add_symbol(struct symbol_names *symbols, const GElf_Sym *symbol, const char *name)
{
	if (symbols->count == symbols->capacity) {
		size_t capacity = symbols->capacity ? symbols->capacity * 2 : 256;
		struct symbol *items =
			capacity > SYMBOLS_MAX ? NULL : reallocarray(symbols->items, capacity, sizeof *items);
		if (!items)
			return;
		symbols->items = items;
		symbols->capacity = capacity;
	}
	symbols->items[symbols->count++] = (struct symbol){ .name = name,
							    .address = symbol->st_value,
							    .bytes = symbol->st_size,
							    .type = GELF_ST_TYPE(symbol->st_info),
							    .binding = GELF_ST_BIND(symbol->st_info) };
}

static int read_table(struct symbol_names *symbols, Elf *elf, const char *table, const struct object *object)
{
	GElf_Shdr header;
	Elf_Scn *section = elf_section(elf, table, &header);
	Elf_Data *data = section && header.sh_type != SHT_NOBITS ? elf_getdata(section, NULL) : NULL;
	if (!data || header.sh_entsize == 0)
		return -1;
	size_t count = data->d_size / header.sh_entsize;
	for (size_t i = 0; i < count && i < SYMBOLS_MAX; i++) {
		GElf_Sym symbol;
		if (!gelf_getsym(data, (int)i, &symbol))
			break;
		if (!is_function(&symbol) || !object_has_code(object, symbol.st_value))
			continue;
		const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);
		/* "$x" and the like say what kind of code begins. */
		if (name && *name && *name != '$')
			add_symbol(symbols, &symbol, name);
	}
	return count ? 0 : -1;
}

/* Where the section ends that has the address. */
static uint64_t section_end(Elf *elf, uint64_t address)
{
	GElf_Shdr header;
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, &header) && (header.sh_flags & SHF_ALLOC) &&
		    address >= header.sh_addr && address - header.sh_addr < header.sh_size)
			return header.sh_addr + header.sh_size;
	}
	return 0;
}

static void add_unsized(struct symbol_names *symbols, Elf *main)
{
	struct name_ranges starts = { 0 };
	struct name_range section = { 0 }; /* the last one looked at; symbols of one come together */
	for (size_t i = 0; i < symbols->count; i++)
		name_ranges_add(&starts, symbols->items[i].address, symbols->items[i].address + 1, i);
	name_ranges_sort(&starts);
	for (size_t i = starts.count; i-- > 0;) {
		const struct symbol *symbol = &symbols->items[starts.items[i].value];
		if (symbol->bytes)
			continue;
		if (symbol->address < section.start || symbol->address >= section.end)
			section = (struct name_range){ .start = symbol->address,
						       .end = section_end(main, symbol->address) };
		section.start = symbol->address;
		uint64_t end = section.end;
		for (size_t next = i + 1; next < starts.count; next++) {
			if (starts.items[next].start > symbol->address) {
				end = starts.items[next].start < end ? starts.items[next].start : end;
				break;
			}
		}
		name_ranges_add(&symbols->unsized, symbol->address, end, starts.items[i].value);
	}
	name_ranges_finish(&starts);
	name_ranges_sort(&symbols->unsized);
}

void symbol_names_open(struct symbol_names *symbols, Elf *main, Elf *debug, const struct object *object)
{
	symbols->has_symtab = read_table(symbols, main, ".symtab", object) == 0 ||
			      read_table(symbols, debug, ".symtab", object) == 0;
	if (!symbols->has_symtab)
		read_table(symbols, main, ".dynsym", object);
	for (size_t i = 0; i < symbols->count; i++) {
		const struct symbol *symbol = &symbols->items[i];
		if (symbol->bytes && symbol->bytes < UINT64_MAX - symbol->address)
			name_ranges_add(&symbols->sized, symbol->address, symbol->address + symbol->bytes, i);
	}
	name_ranges_sort(&symbols->sized);
	add_unsized(symbols, main);
}

void symbol_names_close(struct symbol_names *symbols)
{
	free(symbols->items);
	name_ranges_finish(&symbols->sized);
	name_ranges_finish(&symbols->unsized);
}

int symbol_is_inner(const char *name)
{
	return strncmp(name, "__GI_", 5) == 0;
}

/* The smaller the better: of several names for one function the one that people call it by. */
static int strangeness(const struct symbol *symbol)
{
	int underscores = (int)strspn(symbol->name, "_");
	if (underscores > 3)
		underscores = 3;
	/* Every program has a clock_gettime; the kernel's own is known by this name. */
	if (strncmp(symbol->name, "__vdso_", 7) == 0)
		underscores = -1;
	else if (symbol_is_inner(symbol->name))
		underscores = 4;
	int binding = symbol->binding == STB_GLOBAL ? 0 : symbol->binding == STB_WEAK ? 1 : 2;
	return (symbol->type == STT_NOTYPE) * 100 + underscores * 10 + binding;
}

static const char *best_of(const struct symbol_names *symbols, const struct name_ranges *ranges,
			   const struct name_range *found, uint64_t address)
{
	const struct name_range *at = found, *first = ranges->items;
	const struct symbol *best = &symbols->items[found->value];
	for (size_t steps = 0; steps < NAME_RANGES_NESTED_MAX; steps++, at--) {
		const struct symbol *symbol = &symbols->items[at->value];
		int is_better =
			strangeness(symbol) < strangeness(best) ||
			(strangeness(symbol) == strangeness(best) && strcmp(symbol->name, best->name) < 0);
		if (at->start == found->start && at->end > address && is_better)
			best = symbol;
		if (at == first || at->start != found->start)
			break;
	}
	return best->name;
}

const char *symbol_names_sized(const struct symbol_names *symbols, uint64_t address)
{
	const struct name_range *found = name_ranges_find(&symbols->sized, address);
	return found ? best_of(symbols, &symbols->sized, found, address) : NULL;
}

const char *symbol_names_unsized(const struct symbol_names *symbols, uint64_t address, uint64_t from)
{
	const struct name_range *found = name_ranges_find(&symbols->unsized, address);
	if (!found || found->start < from)
		return NULL;
	return best_of(symbols, &symbols->unsized, found, address);
}
