/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the functions of an allocator in a file by their names, and where in them a probe is cheap (site.c).
 * A file is an allocator when it defines malloc and free. The operators of C++ count as well when they are
 * the allocator's own (jemalloc, tcmalloc): those of the C++ library call malloc and free.
 */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

#include "profiler/internal.h"

enum { CODE_BYTES = 256 }; /* of an operator, in which a call of malloc is looked for */

struct allocator_function {
	const char *name, *shown;
	enum heap_allocator allocator;
	unsigned arguments; /* that the probe reads */
};

/* Other names of the same functions have the same address and are found under these. */
static const struct allocator_function functions[] = {
	{ "malloc", "malloc", HEAP_MALLOC, 1 },
	{ "free", "free", HEAP_FREE, 1 },
	{ "calloc", "calloc", HEAP_CALLOC, 2 },
	{ "realloc", "realloc", HEAP_REALLOC, 2 },
	{ "reallocarray", "reallocarray", HEAP_REALLOCARRAY, 3 },
	{ "posix_memalign", "posix_memalign", HEAP_POSIX_MEMALIGN, 3 },
	{ "aligned_alloc", "aligned_alloc", HEAP_ALIGNED_ALLOC, 2 },
	{ "memalign", "memalign", HEAP_MEMALIGN, 2 },
	{ "valloc", "valloc", HEAP_VALLOC, 1 },
	{ "pvalloc", "pvalloc", HEAP_PVALLOC, 1 },
	{ "_Znwm", "new", HEAP_NEW, 1 },
	{ "_Znam", "new[]", HEAP_NEW_ARRAY, 1 },
	{ "_ZnwmRKSt9nothrow_t", NULL, HEAP_NEW, 1 },
	{ "_ZnamRKSt9nothrow_t", NULL, HEAP_NEW_ARRAY, 1 },
	{ "_ZnwmSt11align_val_t", NULL, HEAP_NEW, 1 },
	{ "_ZnamSt11align_val_t", NULL, HEAP_NEW_ARRAY, 1 },
	{ "_ZnwmSt11align_val_tRKSt9nothrow_t", NULL, HEAP_NEW, 1 },
	{ "_ZnamSt11align_val_tRKSt9nothrow_t", NULL, HEAP_NEW_ARRAY, 1 },
	{ "_ZdlPv", "delete", HEAP_DELETE, 1 },
	{ "_ZdaPv", NULL, HEAP_DELETE, 1 },
	{ "_ZdlPvm", NULL, HEAP_DELETE, 1 },
	{ "_ZdaPvm", NULL, HEAP_DELETE, 1 },
	{ "_ZdlPvRKSt9nothrow_t", NULL, HEAP_DELETE, 1 },
	{ "_ZdaPvRKSt9nothrow_t", NULL, HEAP_DELETE, 1 },
	{ "_ZdlPvSt11align_val_t", NULL, HEAP_DELETE, 1 },
	{ "_ZdaPvSt11align_val_t", NULL, HEAP_DELETE, 1 },
	{ "_ZdlPvmSt11align_val_t", NULL, HEAP_DELETE, 1 },
	{ "_ZdaPvmSt11align_val_t", NULL, HEAP_DELETE, 1 },
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions, MALLOC = 0, FREE = 1, NEW = 10 };

_Static_assert(FUNCTION_COUNT <= ALLOCATOR_SITES_MAX, "room for all");

struct symbol {
	uint64_t address, bytes; /* address 0: the file does not define it */
};

/* File offset of a virtual address. 0: in no segment. */
static uint64_t file_offset(Elf *elf, uint64_t address)
{
	size_t count = 0;
	if (elf_getphdrnum(elf, &count) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD)
			continue;
		if (address >= header.p_vaddr && address - header.p_vaddr < header.p_filesz)
			return address - header.p_vaddr + header.p_offset;
	}
	return 0;
}

static void symbols_of_section(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
			       struct symbol symbols[static FUNCTION_COUNT])
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data && header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Sym symbol;
		if (!gelf_getsym(data, (int)i, &symbol) || GELF_ST_TYPE(symbol.st_info) != STT_FUNC ||
		    symbol.st_shndx == SHN_UNDEF || !symbol.st_value)
			continue;
		const char *name = elf_strptr(elf, header->sh_link, symbol.st_name);
		for (size_t k = 0; name && k < FUNCTION_COUNT; k++)
			if (!symbols[k].address && strcmp(name, functions[k].name) == 0)
				symbols[k] = (struct symbol){ symbol.st_value, symbol.st_size };
	}
}

static void symbols_read(Elf *elf, struct symbol symbols[static FUNCTION_COUNT])
{
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) &&
		    (header.sh_type == SHT_DYNSYM || header.sh_type == SHT_SYMTAB))
			symbols_of_section(elf, section, &header, symbols);
	}
}

static size_t code_read(Elf *elf, int fd, const struct symbol *symbol, uint8_t code[static CODE_BYTES],
			uint64_t *ret_offset)
{
	*ret_offset = symbol->address ? file_offset(elf, symbol->address) : 0;
	ssize_t bytes = *ret_offset ? pread(fd, code, CODE_BYTES, (off_t)*ret_offset) : 0;
	return bytes > 0 ? (size_t)bytes : 0;
}

/* Whether operator new goes through the file's own malloc, as the C++ library's does in static programs: by a
 * call or a jump (e8, e9; the target relative to what follows). */
static int new_calls_malloc(Elf *elf, int fd, const struct symbol symbols[static FUNCTION_COUNT])
{
	uint8_t code[CODE_BYTES];
	uint64_t offset;
	size_t bytes = code_read(elf, fd, &symbols[NEW], code, &offset);
	if (symbols[NEW].bytes && symbols[NEW].bytes < bytes)
		bytes = (size_t)symbols[NEW].bytes;
	for (size_t i = 0; i + 5 <= bytes; i++) {
		int32_t distance;
		memcpy(&distance, code + i + 1, sizeof distance);
		if ((code[i] == 0xe8 || code[i] == 0xe9) &&
		    symbols[NEW].address + i + 5 + (uint64_t)(int64_t)distance == symbols[MALLOC].address)
			return 1;
	}
	return 0;
}

static int is_free(enum heap_allocator allocator)
{
	return allocator == HEAP_FREE || allocator == HEAP_DELETE;
}

/* Aliases with the same address count once; half a pair would count wrongly. */
static void site_add(struct allocator_sites *sites, const struct allocator_function *function,
		     uint64_t offset)
{
	int frees = is_free(function->allocator);
	struct allocator_site *list = frees ? sites->frees : sites->calls;
	size_t *count = frees ? &sites->free_count : &sites->call_count;
	for (size_t i = 0; i < *count; i++)
		if (list[i].offset == offset)
			return;
	list[(*count)++] = (struct allocator_site){ function->shown, function->allocator, offset };
}

static void sites_of_elf(Elf *elf, int fd, struct allocator_sites *sites)
{
	struct symbol symbols[FUNCTION_COUNT] = { 0 };
	symbols_read(elf, symbols);
	sites->is_allocator = symbols[MALLOC].address && symbols[FREE].address;
	size_t count = sites->is_allocator && new_calls_malloc(elf, fd, symbols) ? NEW : FUNCTION_COUNT;
	for (size_t i = 0; sites->is_allocator && i < count; i++) {
		uint8_t code[CODE_BYTES];
		uint64_t offset;
		int at_entry = 0;
		size_t bytes = code_read(elf, fd, &symbols[i], code, &offset);
		int inside = bytes ? site_find(code, bytes, functions[i].arguments, &at_entry) : -1;
		if (inside >= 0 && (at_entry || is_free(functions[i].allocator)))
			site_add(sites, &functions[i], offset + (uint64_t)inside);
		sites->is_dear |= i <= FREE && inside < 0;
	}
}

void allocator_sites_find(int fd, struct allocator_sites *ret_sites)
{
	*ret_sites = (struct allocator_sites){ 0 };
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF)
		sites_of_elf(elf, fd, ret_sites);
	elf_end(elf);
}
