/* SPDX-License-Identifier: Apache-2.0
 *
 * Address ranges with a value each, found by an address in them: compile units, functions, symbols, frame
 * descriptions. Ranges may lie in each other. Internal to profiler.
 */
#ifndef PROFILER_NAMES_RANGE_H
#define PROFILER_NAMES_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define NAME_RANGES_MAX (8U << 20) /* a browser with all its debug information has 2 million functions */
#define NAME_RANGES_NESTED_MAX 256 /* looked through for one address; deeper nesting is hostile */

struct name_range {
	uint64_t start, end; /* [start, end) */
	uint64_t value;
	uint64_t reach; /* largest end up to here; of name_ranges_sort() */
};

struct name_ranges {
	struct name_range *items;
	size_t count, capacity;
};

/* What does not fit or is empty is left out. */
void name_ranges_add(struct name_ranges *ranges, uint64_t start, uint64_t end, uint64_t value);
/* Before the first search. */
void name_ranges_sort(struct name_ranges *ranges);
void name_ranges_finish(struct name_ranges *ranges);
/* The one that contains `address` and starts last; of several such the shortest, then the one with the
 * largest value. NULL: none. */
const struct name_range *name_ranges_find(const struct name_ranges *ranges, uint64_t address);
/* The one that contains it and has the largest value, which is the last one added when values count up. */
const struct name_range *name_ranges_find_latest(const struct name_ranges *ranges, uint64_t address);
/* The one that starts last, at or before the address, whether it contains it or not. */
const struct name_range *name_ranges_before(const struct name_ranges *ranges, uint64_t address);

#endif
