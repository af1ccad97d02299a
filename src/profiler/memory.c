/* SPDX-License-Identifier: Apache-2.0
 *
 * What is mapped: intervals of each process's address space, kept exactly as mmap, munmap, mremap and brk
 * change them, each with the stack that made it. Address space, not touched pages (page faults tell those).
 * What an allocator maps for its own blocks is left out: it is counted block by block.
 */
#include <stdlib.h>
#include <string.h>

#include "profiler/internal.h"

#define INTERVALS_MAX ((size_t)1 << 18) /* the kernel allows a process 65,530 mappings */

struct interval {
	uint64_t start, end;
	uint32_t tgid;
	const struct record *record; /* of the samples: where it was made */
};

struct program_break {
	uint32_t tgid;
	uint64_t end;
};

struct memory {
	struct interval *intervals;
	size_t count, max;
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
	free(memory->intervals);
	free(memory->breaks);
	free(memory);
}

static void interval_add(struct memory *memory, const struct interval *interval)
{
	if (memory->count == INTERVALS_MAX || interval->start >= interval->end)
		return;
	memory->intervals =
		memory_grow(memory->intervals, &memory->max, memory->count, sizeof *memory->intervals);
	memory->intervals[memory->count++] = *interval;
}

/* Takes [start, end) out of whatever lies there. */
static void memory_cut(struct memory *memory, uint32_t tgid, uint64_t start, uint64_t end)
{
	size_t count = memory->count;
	for (size_t i = 0; i < count; i++) {
		struct interval *interval = &memory->intervals[i];
		if (interval->tgid != tgid || interval->end <= start || interval->start >= end)
			continue;
		struct interval rest = *interval;
		rest.start = end;
		interval->end = interval->start < start ? start : interval->start;
		interval_add(memory, &rest);
	}
	for (size_t i = 0; i < memory->count;) {
		if (memory->intervals[i].start < memory->intervals[i].end)
			i++;
		else
			memory->intervals[i] = memory->intervals[--memory->count];
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
		memory_grow(memory->breaks, &memory->breaks_max, memory->break_count, sizeof *memory->breaks);
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

void memory_record(struct memory *memory, struct samples *samples, const struct record *record)
{
	uint64_t end = record->address + record->weight;
	int by_allocator = record->count != 0;
	if (record->kind == RECORD_UNMAP) {
		memory_cut(memory, record->tgid, record->address, (end + 4095) & ~UINT64_C(4095));
	} else if (record->kind == RECORD_BRK) {
		memory_break(memory, samples, record, by_allocator);
	} else if (!by_allocator) {
		struct record mapped = { 0 };
		memcpy(&mapped, record, record_bytes(record));
		mapped.count = 1;
		memory_map(memory, samples, &mapped, record->address, (end + 4095) & ~UINT64_C(4095));
	}
}

void memory_forget(struct memory *memory, uint32_t tgid)
{
	memory_cut(memory, tgid, 0, UINT64_MAX);
	for (size_t i = 0; i < memory->break_count; i++)
		if (memory->breaks[i].tgid == tgid)
			memory->breaks[i] = memory->breaks[--memory->break_count];
}

static int by_record(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)((const struct interval *)a)->record;
	uintptr_t right = (uintptr_t)((const struct interval *)b)->record;
	return left < right ? -1 : left > right;
}

size_t memory_sites(const struct memory *memory, struct memory_site **ret_sites, uint64_t *ret_mapped_bytes)
{
	struct interval *sorted = calloc(memory->count + 1, sizeof *sorted);
	struct memory_site *sites = calloc(memory->count + 1, sizeof *sites);
	if (!sorted || !sites)
		abort();
	memcpy(sorted, memory->intervals, memory->count * sizeof *sorted);
	qsort(sorted, memory->count, sizeof *sorted, by_record);
	size_t count = 0;
	*ret_mapped_bytes = 0;
	for (size_t i = 0; i < memory->count; i++) {
		if (count == 0 || sites[count - 1].record != sorted[i].record)
			sites[count++].record = sorted[i].record;
		sites[count - 1].objects++;
		sites[count - 1].bytes += sorted[i].end - sorted[i].start;
		*ret_mapped_bytes += sorted[i].end - sorted[i].start;
	}
	free(sorted);
	*ret_sites = sites;
	return count;
}
