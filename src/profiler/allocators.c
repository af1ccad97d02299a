/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the allocators of a process by their functions' names and probes them: whichever mapped object
 * defines malloc (libc, jemalloc, tcmalloc, the program itself). One breakpoint a function; where the first
 * instructions are none that the kernel emulates the function is left alone, since a probe there would
 * cost thirty times as much (site.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler/internal.h"

enum { CODE_BYTES = 32 };

struct allocator_function {
	const char *name;
	enum heap_allocator allocator;
};

/* Other names of the same functions have the same address and are found under these. */
static const struct allocator_function functions[] = {
	{ "malloc", HEAP_MALLOC },
	{ "calloc", HEAP_CALLOC },
	{ "realloc", HEAP_REALLOC },
	{ "reallocarray", HEAP_REALLOCARRAY },
	{ "posix_memalign", HEAP_POSIX_MEMALIGN },
	{ "aligned_alloc", HEAP_ALIGNED_ALLOC },
	{ "memalign", HEAP_MEMALIGN },
	{ "valloc", HEAP_VALLOC },
	{ "pvalloc", HEAP_PVALLOC },
	{ "free", HEAP_FREE },
};
enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

struct site {
	uint64_t offset; /* in the file; 0: the object does not define it */
	int at_entry;
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
			       uint64_t addresses[static FUNCTION_COUNT])
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
			if (!addresses[k] && strcmp(name, functions[k].name) == 0)
				addresses[k] = symbol.st_value;
	}
}

static void sites_of_elf(Elf *elf, int fd, struct site sites[static FUNCTION_COUNT])
{
	uint64_t addresses[FUNCTION_COUNT] = { 0 };
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) &&
		    (header.sh_type == SHT_DYNSYM || header.sh_type == SHT_SYMTAB))
			symbols_of_section(elf, section, &header, addresses);
	}
	for (size_t i = 0; i < FUNCTION_COUNT; i++) {
		uint8_t code[CODE_BYTES];
		uint64_t offset = addresses[i] ? file_offset(elf, addresses[i]) : 0;
		ssize_t bytes = offset ? pread(fd, code, sizeof code, (off_t)offset) : 0;
		int at_entry = 0;
		int inside = bytes > 0 ? site_find(code, (size_t)bytes, &at_entry) : -1;
		if (inside < 0)
			continue;
		sites[i] = (struct site){ .offset = offset + (uint64_t)inside, .at_entry = at_entry };
	}
}

/* Whether `fd` is an allocator: it defines malloc and free. */
static int sites_find(int fd, struct site sites[static FUNCTION_COUNT])
{
	memset(sites, 0, FUNCTION_COUNT * sizeof *sites);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf)
		return 0;
	if (elf_kind(elf) == ELF_K_ELF)
		sites_of_elf(elf, fd, sites);
	elf_end(elf);
	return sites[HEAP_MALLOC].offset && sites[FUNCTION_COUNT - 1].offset;
}

/* Aliases with the same address count once; half a pair would count wrongly. */
static int site_is_usable(const struct site *sites, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (sites[i].offset == sites[index].offset)
			return 0;
	return sites[index].offset && (sites[index].at_entry || functions[index].allocator == HEAP_FREE);
}

static void allocator_describe(struct profiler *profiler, const char *path, const struct site *sites)
{
	size_t used = strlen(profiler->allocators);
	const char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	char text[256];
	int length = snprintf(text, sizeof text, "%.64s (", name);
	for (size_t i = 0, count = 0; i < FUNCTION_COUNT; i++)
		if (site_is_usable(sites, i))
			length += snprintf(text + length, sizeof text - (size_t)length, "%s%s",
					   count++ ? ", " : "", functions[i].name);
	snprintf(text + length, sizeof text - (size_t)length, ")");
	if (!strstr(profiler->allocators, text))
		snprintf(profiler->allocators + used, sizeof profiler->allocators - used, "%s%s",
			 used ? "; " : "", text);
}

/* Of glibc's functions these two never call another one by the name that is probed; realloc(NULL) and
 * memalign() do, and musl's calloc(). */
static int is_leaf(enum heap_allocator allocator)
{
	return allocator == HEAP_MALLOC || allocator == HEAP_CALLOC;
}

static void allocator_attach(struct profiler *profiler, pid_t pid, int fd, const char *path)
{
	struct site sites[FUNCTION_COUNT];
	char descriptor[64];
	uint64_t offsets[FUNCTION_COUNT], cookies[FUNCTION_COUNT];
	if (!sites_find(fd, sites))
		return;
	int glibc = strstr(path, "/libc.so.6") != NULL;
	/* The kernel takes the file behind the descriptor, whatever lies under its name by now. */
	snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", fd);
	struct probe_target calls = {
		.pid = pid, .path = descriptor, .offsets = offsets, .cookies = cookies
	};
	for (size_t i = 0; i < FUNCTION_COUNT - 1; i++) {
		if (!site_is_usable(sites, i))
			continue;
		offsets[calls.count] = sites[i].offset;
		cookies[calls.count++] = functions[i].allocator |
					 (glibc && is_leaf(functions[i].allocator) ? HEAP_COOKIE_LEAF : 0);
	}
	uint64_t free_cookie = HEAP_FREE;
	struct probe_target frees = { .pid = pid,
				      .path = descriptor,
				      .offsets = &sites[FUNCTION_COUNT - 1].offset,
				      .cookies = &free_cookie,
				      .count = 1 };
	/* Free first: what is seen to be made is then seen to be freed. */
	int code = probes_set_free(profiler, &frees);
	if (!code)
		code = probes_set_calls(profiler, &calls);
	if (!code)
		allocator_describe(profiler, path, sites);
	else if (code != -ESRCH)
		profiler_say(profiler, "the allocator of %s cannot be probed: %s", path, strerror(-code));
}

/* The dynamic loader brings a small allocator of its own for its first moments; libc's follows. */
static int is_loader(const char *path)
{
	const char *name = strrchr(path, '/');
	return strncmp(name ? name + 1 : path, "ld-", 3) == 0 ||
	       strncmp(name ? name + 1 : path, "ld.", 3) == 0;
}

static int process_has_probed(const struct process *process, uint32_t object_id)
{
	for (size_t i = 0; i < process->probed_count; i++)
		if (process->probed[i] == object_id)
			return 1;
	return 0;
}

static void object_probe(struct profiler *profiler, struct process *process, uint32_t object_id)
{
	const struct object *object = objects_at(profiler->objects, object_id);
	if (process_has_probed(process, object_id))
		return;
	process->probed = memory_grow(process->probed, &process->probed_max, process->probed_count,
				      sizeof *process->probed);
	process->probed[process->probed_count++] = object_id;
	if (object->fd >= 0 && !is_loader(object->path))
		allocator_attach(profiler, process->pid, object->fd, object->path);
}

/* A process that has not executed its program yet will most likely use the C library that this one uses; a
 * probe stays with the process and is set when it maps the file. */
void allocators_probe_starting(struct profiler *profiler, struct process *process)
{
	struct process own = { .pid = getpid() };
	if (!profiler->options.heap_rate_bytes || process_read_mappings(profiler, &own) < 0)
		return;
	const struct mapping_set *set = mapping_sets_at(&profiler->sets, own.generation);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct unwind_mapping *mapping = &set->mappings[i];
		if (mapping->kind == MAPPING_OBJECT &&
		    strstr(objects_at(profiler->objects, mapping->object_id)->path, "/libc.so"))
			object_probe(profiler, process, mapping->object_id);
	}
}

void allocators_probe(struct profiler *profiler, struct process *process)
{
	const struct mapping_set *set = mapping_sets_at(&profiler->sets, process->generation);
	if (!profiler->options.heap_rate_bytes || profiler->heap_given_up)
		return;
	for (uint32_t i = 0; set && i < set->count; i++)
		if (set->mappings[i].kind == MAPPING_OBJECT)
			object_probe(profiler, process, set->mappings[i].object_id);
}

void allocators_release(struct profiler *profiler)
{
	profiler->control->heap_on = 0;
	links_release(&profiler->heap_links);
}

/* What a probe costs beside its program, measured by perf/profiler/overhead.py in a virtual machine; bare
 * metal is faster. */
#define HIT_NS 450	   /* entry of an allocator or of free() */
#define RETURN_NS 1000	   /* the return of one: the trampoline is a system call */
#define ALLOCATION_NS 2500 /* of a recorded one, where the kernel does not count what programs take */

/* What our programs themselves took, as the kernel counts it. */
static double allocators_run_ns(struct profiler *profiler, uint64_t allocations)
{
	load_account(profiler);
	if (profiler->heap_run_ns > profiler->budget_run_ns)
		return (double)(profiler->heap_run_ns - profiler->budget_run_ns);
	return ALLOCATION_NS * (double)(allocations - profiler->budget_allocations);
}

void allocators_watch_budget(struct profiler *profiler, int64_t now_ns)
{
	int64_t past_ns = now_ns - profiler->budget_at_ns;
	if (!profiler->heap_links.count || profiler->heap_given_up || past_ns < NS_PER_SECOND)
		return;
	uint64_t hits = counter_read(profiler, COUNTER_HEAP_HITS);
	uint64_t returns = counter_read(profiler, COUNTER_HEAP_RETURNS);
	uint64_t allocations = counter_read(profiler, COUNTER_HEAP_ALLOCATIONS);
	double cost_ns = HIT_NS * (double)(hits - profiler->budget_hits) +
			 RETURN_NS * (double)(returns - profiler->budget_returns) +
			 allocators_run_ns(profiler, allocations);
	double percent = 100 * cost_ns / (double)past_ns;
	double calls_per_second = (double)(hits - profiler->budget_hits) * 1e9 / (double)past_ns;
	profiler->budget_hits = hits;
	profiler->budget_returns = returns;
	profiler->budget_allocations = allocations;
	profiler->budget_run_ns = profiler->heap_run_ns;
	profiler->budget_at_ns = now_ns;
	if (percent <= profiler->options.heap_budget_percent)
		return;
	allocators_release(profiler);
	profiler->heap_given_up = 1;
	profiler->heap_given_up_ns = now_ns - profiler->attach_ns;
	profiler_say(profiler,
		     "heap tracking is off from %.1f s on: %.0f allocator calls/s would cost about %.0f %% "
		     "of a CPU "
		     "(limit %.0f %%; -heap-budget raises it)",
		     (double)profiler->heap_given_up_ns / 1e9, calls_per_second, percent,
		     profiler->options.heap_budget_percent);
}
