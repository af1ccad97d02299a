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

/* A library that is loaded and unloaded behind a program that stays. */
static struct mapping_set *add_state(struct mapping_sets *sets, uint32_t before, uint64_t bias)
{
	struct mapping_set *set = add(sets, COUNT, 0x1000);
	NE(set, NULL);
	set->mappings[COUNT - 1].bias = bias;
	mapping_sets_follow(sets, before, set->generation);
	mapping_sets_leave(sets, before);
	return set;
}

static void samples_name_the_oldest_equal_state(void)
{
	struct mapping_sets sets = { 0 };
	const uint64_t library = 0x1000 + 15 * 0x2000;
	const uint64_t stays[] = { 0x1010, 0x3000 + 0x1000, 0x7123 };
	const uint64_t loaded[] = { library + 8, 0x1010 };
	uint32_t one = add_state(&sets, 0, 1)->generation;
	uint32_t two = add_state(&sets, one, 2)->generation;
	EQ(mapping_sets_settle(&sets, one, stays, 3), one);
	EQ(mapping_sets_settle(&sets, two, stays, 3), one);
	EQ(mapping_sets_settle(&sets, two, stays, 0), one);
	/* In the library there is a difference: from then on this is the state that others are compared with.
	 */
	EQ(mapping_sets_settle(&sets, two, loaded, 2), two);
	EQ(mapping_sets_settle(&sets, two, stays, 3), two);
	uint32_t three = add_state(&sets, two, 2)->generation;
	EQ(mapping_sets_settle(&sets, three, stays, 3), two);
	EQ(mapping_sets_settle(&sets, three, loaded, 2), two);
	EQ(mapping_sets_settle(&sets, 0, stays, 3), 0);
	EQ(mapping_sets_settle(&sets, 99, stays, 3), 99);
	mapping_sets_finish(&sets);
}

static void states_that_nobody_names_are_forgotten(void)
{
	struct mapping_sets sets = { 0 };
	uint32_t generation = 0;
	uint8_t wanted[64] = { 0 };
	for (unsigned i = 0; i < 10; i++)
		generation = add_state(&sets, generation, i)->generation;
	wanted[3] = 1;
	mapping_sets_forget(&sets, wanted);
	EQ(sets.left, COUNT);
	NE(mapping_sets_at(&sets, 3)->mappings, NULL);
	NE(mapping_sets_at(&sets, 10)->mappings, NULL); /* a process is in it */
	EQ(mapping_sets_at(&sets, 1)->mappings, NULL);
	/* Who names a forgotten one all the same finds what was mapped next. */
	const struct unwind_mapping *found = mapping_sets_find(&sets, 1, 0x1000 + 15 * 0x2000);
	NE(found, NULL);
	EQ(found->bias, 2);
	found = mapping_sets_find(&sets, 5, 0x1000 + 15 * 0x2000);
	NE(found, NULL);
	EQ(found->bias, 9);
	mapping_sets_leave(&sets, 10);
	mapping_sets_forget(&sets, (uint8_t[64]){ 0 });
	EQ(mapping_sets_find(&sets, 5, 0x1000), NULL);
	mapping_sets_finish(&sets);
}

static void forgetting_waits_until_it_is_worth_it(void)
{
	struct mapping_sets sets = { 0 };
	uint32_t generation = 0;
	size_t times = 0;
	for (unsigned i = 0; i < 100000; i++) {
		generation = add_state(&sets, generation, i)->generation;
		if (!mapping_sets_should_forget(&sets))
			continue;
		uint8_t *wanted = calloc(sets.count + 1, 1);
		NE(wanted, NULL);
		mapping_sets_forget(&sets, wanted);
		free(wanted);
		times++;
	}
	EQ(times, 3); /* 1.6 million mappings, half a million at a time */
	mapping_sets_finish(&sets);
}

TEST_MAIN(T(places_do_not_overlap), T(places_are_given_back), T(a_full_table_refuses), T(users_are_counted),
	  T(old_states_are_found_in), T(samples_name_the_oldest_equal_state),
	  T(states_that_nobody_names_are_forgotten), T(forgetting_waits_until_it_is_worth_it))
