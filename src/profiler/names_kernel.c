/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of the kernel and its modules from /proc/kallsyms, proc(5). It is written by the kernel, so it is
 * believed, but it may hide addresses (kernel.kptr_restrict) or not be there.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/names_private.h"

enum {
	TEXT_BYTES_MAX = 256 << 20,  /* 10 MB in practice, 40 MB with all variables */
	FUNCTION_BYTES_MAX = 1 << 20 /* what is further from a symbol is not in its function */
};

/* The whole file with a 0 behind it; NULL: cannot be read. */
static char *read_kallsyms(void)
{
	int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	size_t used = 0, capacity = 4 << 20;
	char *text = fd >= 0 ? malloc(capacity) : NULL;
	while (text) {
		ssize_t count = read(fd, text + used, capacity - used - 1);
		if (count <= 0)
			break;
		used += (size_t)count;
		if (used + 1 < capacity)
			continue;
		capacity *= 2;
		char *larger = capacity <= TEXT_BYTES_MAX ? realloc(text, capacity) : NULL;
		if (!larger)
			break;
		text = larger;
	}
	if (fd >= 0)
		close(fd);
	if (text)
		text[used] = 0;
	return text;
}

static int compare(const void *left, const void *right)
{
	const struct kernel_symbol *a = left, *b = right;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->name < b->name ? -1 : a->name > b->name;
}

static void add_symbol(struct kernel_names *kernel, struct kernel_symbol symbol)
{
	if (kernel->count == kernel->capacity) {
		size_t capacity = kernel->capacity ? kernel->capacity * 2 : 1 << 17;
		struct kernel_symbol *symbols = reallocarray(kernel->symbols, capacity, sizeof *symbols);
		if (!symbols)
			return;
		kernel->symbols = symbols;
		kernel->capacity = capacity;
	}
	kernel->symbols[kernel->count++] = symbol;
}

/* "ffffffff81000000 T name\t[module]"; the line's texts are ended in place. */
static void add_line(struct kernel_names *kernel, char *line)
{
	char *end, *name, *tab;
	uint64_t address = strtoull(line, &end, 16);
	if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ' || !strchr("tTwW", end[1]))
		return;
	name = end + 3;
	/* What the compiler leaves in front of functions for patching; no function. */
	if (strncmp(name, "__pfx_", 6) == 0)
		return;
	if (address == 0) {
		kernel->hidden = 1;
		return;
	}
	tab = strchr(name, '\t');
	if (tab)
		*tab = 0;
	add_symbol(kernel, (struct kernel_symbol){
				   .address = address,
				   .name = (uint32_t)(name - kernel->texts),
				   .module = tab ? (uint32_t)(tab + 1 - kernel->texts) : 0,
			   });
}

/* The smaller the better, of names for one address: "_stext" and "_text" are where the first function is. */
static size_t strangeness(const struct kernel_names *kernel, const struct kernel_symbol *symbol)
{
	return strspn(kernel->texts + symbol->name, "_.");
}

/* Leaves one symbol at each address. */
static void drop_aliases(struct kernel_names *kernel)
{
	size_t kept = 0;
	for (size_t i = 0; i < kernel->count; i++) {
		struct kernel_symbol *symbol = &kernel->symbols[i];
		struct kernel_symbol *last = kept ? &kernel->symbols[kept - 1] : NULL;
		if (!last || last->address != symbol->address)
			kernel->symbols[kept++] = *symbol;
		else if (strangeness(kernel, symbol) < strangeness(kernel, last))
			*last = *symbol;
	}
	kernel->count = kept;
}

static void read_once(struct kernel_names *kernel)
{
	if (kernel->known)
		return;
	kernel->known = 1;
	kernel->texts = read_kallsyms();
	for (char *line = kernel->texts, *next; line && *line; line = next) {
		char *end = strchr(line, '\n');
		next = end ? end + 1 : line + strlen(line);
		if (end)
			*end = 0;
		add_line(kernel, line);
	}
	if (kernel->count)
		qsort(kernel->symbols, kernel->count, sizeof *kernel->symbols, compare);
	drop_aliases(kernel);
}

void kernel_names_close(struct kernel_names *kernel)
{
	free(kernel->texts);
	free(kernel->symbols);
}

const char *names_kernel_note(struct names *names)
{
	read_once(&names->kernel);
	if (names->kernel.count)
		return NULL;
	if (names->kernel.hidden)
		return "kernel functions have no names: /proc/kallsyms hides their addresses; run as root or "
		       "set "
		       "kernel.kptr_restrict to 0 with sysctl";
	return "kernel functions have no names: /proc/kallsyms cannot be read";
}

size_t names_of_kernel(struct names *names, uint64_t address, struct name_line lines[static NAMES_LINES_MAX],
		       const char **ret_module)
{
	struct kernel_names *kernel = &names->kernel;
	read_once(kernel);
	size_t low = 0, high = kernel->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (kernel->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	const struct kernel_symbol *symbol = low ? &kernel->symbols[low - 1] : NULL;
	lines[0] = (struct name_line){ .file = "" };
	*ret_module = "[kernel.kallsyms]";
	if (symbol && address - symbol->address < FUNCTION_BYTES_MAX) {
		lines[0].name = names_text(names, kernel->texts + symbol->name);
		if (symbol->module)
			*ret_module = names_text(names, kernel->texts + symbol->module);
	} else {
		lines[0].name = names_text_format(names, "[kernel]+0x%llx", (unsigned long long)address);
	}
	lines[0].system_name = lines[0].name;
	return 1;
}
