/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of what followed processes have mapped: places in the kernel's table are given back when the
 * last process has left a state, and states stay readable.
 */
#include <stdlib.h>

#include "profiler/mapping_sets.h"
#include "test.h"

enum { COUNT = 16 };

static struct mapping_set *add(struct mapping_sets *sets, uint32_t count, uint64_t base)
{
	struct unwind_mapping *mappings = calloc(count, sizeof *mappings);
	for (uint32_t i = 0; mappings && i < count; i++) {
		mappings[i].start = base + i * 0x2000u;
		mappings[i].end = mappings[i].start + 0x1000;
	}
	return mapping_sets_add(sets, mappings, count);
}

static void places_do_not_overlap(void)
{
	struct mapping_sets sets = { 0 };
	struct mapping_set *one = add(&sets, 100, 0x1000);
	struct mapping_set *two = add(&sets, 100, 0x1000);
	NE(one, NULL);
	NE(two, NULL);
	EQ(one->generation, 1);
	EQ(two->generation, 2);
	EQ(one->first + one->count <= two->first || two->first + two->count <= one->first, 1);
	mapping_sets_finish(&sets);
}

/* Ten times as many processes, one after the other, as have room at a time. */
static void places_are_given_back(void)
{
	struct mapping_sets sets = { 0 };
	size_t refused = 0;
	for (size_t i = 0; i < 10 * PROFILER_MAPPINGS_MAX / COUNT; i++) {
		struct mapping_set *set = add(&sets, COUNT, 0x1000);
		refused += set == NULL;
		if (set)
			mapping_sets_leave(&sets, set->generation);
	}
	EQ(refused, 0);
	EQ(sets.used_count, 0);
	mapping_sets_finish(&sets);
}

static void a_full_table_refuses(void)
{
	struct mapping_sets sets = { 0 };
	for (size_t i = 0; i < PROFILER_MAPPINGS_MAX / COUNT; i++)
		NE(add(&sets, COUNT, 0x1000), NULL);
	EQ(add(&sets, 1, 0x1000), NULL);
	mapping_sets_leave(&sets, 7);
	struct mapping_set *set = add(&sets, COUNT, 0x1000);
	NE(set, NULL);
	EQ(set->first, mapping_sets_at(&sets, 7)->first);
	EQ(add(&sets, PROFILER_MAPPINGS_MAX + 1, 0), NULL);
	mapping_sets_finish(&sets);
}

/* A parent and its child: the first to go does not take the other's place away. */
static void users_are_counted(void)
{
	struct mapping_sets sets = { 0 };
	struct mapping_set *set = add(&sets, COUNT, 0x1000);
	NE(set, NULL);
	EQ(mapping_sets_use(&sets, set->generation), 0);
	mapping_sets_leave(&sets, 1);
	EQ(sets.used_count, 1);
	mapping_sets_leave(&sets, 1);
	EQ(sets.used_count, 0);
	LT(mapping_sets_use(&sets, 1), 0);
	mapping_sets_leave(&sets, 1);
	mapping_sets_leave(&sets, 0);
	LT(mapping_sets_use(&sets, 0), 0);
	LT(mapping_sets_use(&sets, 2), 0);
	mapping_sets_finish(&sets);
}

static void old_states_are_found_in(void)
{
	struct mapping_sets sets = { 0 };
	NE(add(&sets, COUNT, 0x1000), NULL);
	mapping_sets_leave(&sets, 1);
	EQ(mapping_sets_find(&sets, 1, 0xfff), NULL);
	const struct unwind_mapping *first = mapping_sets_find(&sets, 1, 0x1000);
	NE(first, NULL);
	EQ(first->start, 0x1000);
	EQ(mapping_sets_find(&sets, 1, 0x1fff), first);
	EQ(mapping_sets_find(&sets, 1, 0x2000), NULL);
	const struct unwind_mapping *last = mapping_sets_find(&sets, 1, 0x1000 + 15 * 0x2000);
	NE(last, NULL);
	EQ(last->end, 0x2000 + 15 * 0x2000);
	EQ(mapping_sets_find(&sets, 1, last->end), NULL);
	EQ(mapping_sets_find(&sets, 0, 0x1000), NULL);
	EQ(mapping_sets_find(&sets, 2, 0x1000), NULL);
	mapping_sets_finish(&sets);
}

TEST_MAIN(T(places_do_not_overlap), T(places_are_given_back), T(a_full_table_refuses), T(users_are_counted),
	  T(old_states_are_found_in))
