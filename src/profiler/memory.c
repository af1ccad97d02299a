/* SPDX-License-Identifier: Apache-2.0
 *
 * What is mapped: intervals of each process's address space, kept exactly as mmap, munmap, mremap and brk
 * change them, each with the stack that made it. Address space, not touched pages (page faults tell those).
 * What an allocator maps for its own blocks is left out: it is counted block by block.
 */
#define _GNU_SOURCE /* tdestroy() */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/internal.h"

#define INTERVALS_MAX ((size_t)1 << 18) /* the kernel allows a process 65,530 mappings */

struct interval {
	uint32_t tgid;
	uint64_t start, end;
	const struct record *record; /* of the samples: where it was made */
};

struct program_break {
	uint32_t tgid;
	uint64_t end;
};

struct memory {
	void *intervals; /* a tree of tsearch(3): struct interval, owned; none overlaps another */
	size_t count;
	struct program_break *breaks;
	size_t break_count, breaks_max;
};

struct memory *memory_create(void)
{
	struct memory *memory = calloc(1, sizeof *memory);
	if (!memory)
		abort();
	return memory;
}

void memory_destroy(struct memory *memory)
{
	if (!memory)
		return;
	tdestroy(memory->intervals, free);
	free(memory->breaks);
	free(memory);
}

/* Those that overlap are equal: searching for a range finds one that lies in it. */
static int by_place(const void *a, const void *b)
{
	const struct interval *left = a;
	const struct interval *right = b;
	if (left->tgid != right->tgid)
		return left->tgid < right->tgid ? -1 : 1;
	return left->end <= right->start ? -1 : left->start >= right->end;
}

static void interval_add(struct memory *memory, const struct interval *interval)
{
	if (memory->count == INTERVALS_MAX || interval->start >= interval->end)
		return;
	struct interval *copy = malloc(sizeof *copy);
	if (!copy)
		abort();
	*copy = *interval;
	if (!tsearch(copy, &memory->intervals, by_place))
		abort();
	memory->count++;
}

/* Takes [start, end) out of whatever lies there. */
static void memory_cut(struct memory *memory, uint32_t tgid, uint64_t start, uint64_t end)
{
	const struct interval range = { .tgid = tgid, .start = start, .end = end };
	void *found;
	while (start < end && (found = tfind(&range, &memory->intervals, by_place))) {
		struct interval *interval = *(struct interval **)found;
		struct interval below = *interval;
		struct interval above = *interval;
		tdelete(interval, &memory->intervals, by_place);
		free(interval);
		memory->count--;
		below.end = below.end < start ? below.end : start;
		above.start = above.start > end ? above.start : end;
		interval_add(memory, &below);
		interval_add(memory, &above);
	}
}

/* The samples keep what was mapped by stack, ever: that is the kept record's weight. */
static void memory_map(struct memory *memory, struct samples *samples, const struct record *record,
		       uint64_t start, uint64_t end)
{
	const struct record *kept = samples_add(samples, record);
	memory_cut(memory, record->tgid, start, end);
	if (!kept)
		return;
	struct interval interval = { .start = start, .end = end, .tgid = record->tgid, .record = kept };
	interval_add(memory, &interval);
}

static struct program_break *break_find(struct memory *memory, uint32_t tgid)
{
	for (size_t i = 0; i < memory->break_count; i++)
		if (memory->breaks[i].tgid == tgid)
			return &memory->breaks[i];
	return NULL;
}

void memory_set_break(struct memory *memory, uint32_t tgid, uint64_t address)
{
	if (break_find(memory, tgid))
		return;
	memory->breaks =
		room_for(memory->breaks, &memory->breaks_max, memory->break_count, 1, sizeof *memory->breaks);
	memory->breaks[memory->break_count++] = (struct program_break){ .tgid = tgid, .end = address };
}

static void memory_break(struct memory *memory, struct samples *samples, const struct record *record,
			 int by_allocator)
{
	struct program_break *known = break_find(memory, record->tgid);
	if (!known) {
		/* The first call asks where it is. */
		memory_set_break(memory, record->tgid, record->address);
		return;
	}
	if (record->address > known->end && !by_allocator) {
		struct record grown = { 0 };
		memcpy(&grown, record, record_bytes(record));
		grown.kind = RECORD_MAP;
		grown.weight = record->address - known->end;
		grown.count = 1;
		memory_map(memory, samples, &grown, known->end, record->address);
	} else if (record->address < known->end) {
		memory_cut(memory, record->tgid, record->address, known->end);
	}
	known->end = record->address;
}

/* The kernel maps whole pages. */
static uint64_t page_up(uint64_t address)
{
	return (address + 4095) & ~UINT64_C(4095);
}

void memory_record(struct memory *memory, struct samples *samples, const struct record *record)
{
	uint64_t end = record->address + record->weight;
	int by_allocator = record->count != 0;
	if (record->kind == RECORD_UNMAP) {
		memory_cut(memory, record->tgid, record->address, page_up(end));
	} else if (record->kind == RECORD_BRK) {
		memory_break(memory, samples, record, by_allocator);
	} else if (!by_allocator) {
		struct record mapped = { 0 };
		memcpy(&mapped, record, record_bytes(record));
		mapped.count = 1;
		mapped.weight = page_up(end) - record->address;
		memory_map(memory, samples, &mapped, record->address, page_up(end));
	} else {
		memory_cut(memory, record->tgid, record->address, page_up(end));
	}
}

void memory_forget(struct memory *memory, uint32_t tgid)
{
	memory_cut(memory, tgid, 0, UINT64_MAX);
	for (size_t i = 0; i < memory->break_count; i++)
		if (memory->breaks[i].tgid == tgid)
			memory->breaks[i] = memory->breaks[--memory->break_count];
}

/* Live intervals, summed by record while the tree is walked. */
struct sums {
	struct memory_site *sites;
	size_t count;
};

static void each_interval(const void *node, VISIT visit, void *owner)
{
	struct sums *sums = owner;
	const struct interval *interval = *(struct interval *const *)node;
	if (visit != postorder && visit != leaf)
		return;
	sums->sites[sums->count++] = (struct memory_site){ .record = interval->record,
							   .objects = 1,
							   .bytes = interval->end - interval->start };
}

static int by_record(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)((const struct memory_site *)a)->record;
	uintptr_t right = (uintptr_t)((const struct memory_site *)b)->record;
	return left < right ? -1 : left > right;
}

size_t memory_sites(const struct memory *memory, struct memory_site **ret_sites, uint64_t *ret_mapped_bytes)
{
	struct memory_site *sites = calloc(memory->count + 1, sizeof *sites);
	struct sums sums = { .sites = sites };
	if (!sites)
		abort();
	twalk_r(memory->intervals, each_interval, &sums);
	qsort(sites, sums.count, sizeof *sites, by_record);
	size_t count = 0;
	*ret_mapped_bytes = 0;
	for (size_t i = 0; i < sums.count; i++) {
		const struct memory_site site = sites[i];
		*ret_mapped_bytes += site.bytes;
		if (count && sites[count - 1].record == site.record) {
			sites[count - 1].objects++;
			sites[count - 1].bytes += site.bytes;
		} else {
			sites[count++] = site;
		}
	}
	*ret_sites = sites;
	return count;
}

const struct memory_site *memory_site_of(const struct memory_site *sites, size_t count,
					 const struct record *record)
{
	const struct memory_site wanted = { .record = record };
	return bsearch(&wanted, sites, count, sizeof wanted, by_record);
}
