/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorted ranges. A range that contains an address may start long before ranges that do not; how far back it
 * is worth looking is what `reach` tells.
 */
#include "profiler/names_range.h"

#include <stdlib.h>

void name_ranges_add(struct name_ranges *ranges, uint64_t start, uint64_t end, uint64_t value)
{
	if (start >= end || ranges->count >= NAME_RANGES_MAX)
		return;
	if (ranges->count == ranges->capacity) {
		size_t capacity = ranges->capacity ? ranges->capacity * 2 : 64;
		struct name_range *items = reallocarray(ranges->items, capacity, sizeof *items);
		if (!items)
			return;
		ranges->items = items;
		ranges->capacity = capacity;
	}
	ranges->items[ranges->count++] = (struct name_range){ .start = start, .end = end, .value = value };
}

static int compare(const void *left, const void *right)
{
	const struct name_range *a = left, *b = right;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->value < b->value ? -1 : a->value > b->value;
}

void name_ranges_sort(struct name_ranges *ranges)
{
	uint64_t reach = 0;
	if (ranges->count == 0)
		return;
	qsort(ranges->items, ranges->count, sizeof *ranges->items, compare);
	for (size_t i = 0; i < ranges->count; i++) {
		if (ranges->items[i].end > reach)
			reach = ranges->items[i].end;
		ranges->items[i].reach = reach;
	}
}

void name_ranges_finish(struct name_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct name_ranges){ 0 };
}

/* How many start at or before the address. */
static size_t count_before(const struct name_ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ranges->items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct name_range *name_ranges_before(const struct name_ranges *ranges, uint64_t address)
{
	size_t count = count_before(ranges, address);
	return count ? &ranges->items[count - 1] : NULL;
}

const struct name_range *name_ranges_find(const struct name_ranges *ranges, uint64_t address)
{
	size_t at = count_before(ranges, address);
	for (size_t steps = 0; at && steps < NAME_RANGES_NESTED_MAX; steps++) {
		const struct name_range *range = &ranges->items[--at];
		if (range->end > address)
			return range;
		if (range->reach <= address)
			break;
	}
	return NULL;
}

const struct name_range *name_ranges_find_latest(const struct name_ranges *ranges, uint64_t address)
{
	const struct name_range *latest = NULL;
	size_t at = count_before(ranges, address);
	for (size_t steps = 0; at && steps < NAME_RANGES_NESTED_MAX; steps++) {
		const struct name_range *range = &ranges->items[--at];
		if (range->end > address && (!latest || range->value > latest->value))
			latest = range;
		if (range->reach <= address)
			break;
	}
	return latest;
}
