/* SPDX-License-Identifier: Apache-2.0 */
#include "profiler/mapping_sets.h"

#include <stdlib.h>

#include "profiler/internal.h"

void mapping_sets_finish(struct mapping_sets *sets)
{
	for (size_t i = 0; i < sets->count; i++) {
		free(sets->items[i]->mappings);
		free(sets->items[i]);
	}
	free(sets->items);
	free(sets->used);
	*sets = (struct mapping_sets){ 0 };
}

struct mapping_set *mapping_sets_at(const struct mapping_sets *sets, uint32_t generation)
{
	return generation && generation <= sets->count ? sets->items[generation - 1] : NULL;
}

static const struct mapping_set *place_blocker(const struct mapping_sets *sets, uint32_t first,
					       uint32_t count)
{
	for (size_t i = 0; i < sets->used_count; i++)
		if (sets->used[i]->first < first + count &&
		    first < sets->used[i]->first + sets->used[i]->count)
			return sets->used[i];
	return NULL;
}

/* A piece of the kernel's table that no set in use has. 0, or -1. */
static int place_take(struct mapping_sets *sets, uint32_t count, uint32_t *ret_first)
{
	uint32_t first = sets->cursor;
	for (int wrapped = 0; wrapped < 2;) {
		if (first + count > PROFILER_MAPPINGS_MAX) {
			first = 0;
			wrapped++;
		}
		const struct mapping_set *blocker = place_blocker(sets, first, count);
		if (!blocker) {
			*ret_first = first;
			sets->cursor = first + count;
			return 0;
		}
		first = blocker->first + blocker->count;
	}
	return -1;
}

struct mapping_set *mapping_sets_add(struct mapping_sets *sets, struct unwind_mapping *mappings,
				     uint32_t count)
{
	uint32_t first;
	struct mapping_set *set = NULL;
	if (count <= PROFILER_MAPPINGS_MAX && place_take(sets, count, &first) == 0)
		set = malloc(sizeof *set);
	if (!set) {
		free(mappings);
		return NULL;
	}
	sets->items = room_for(sets->items, &sets->max, sets->count, 1, sizeof(void *));
	sets->used = room_for(sets->used, &sets->used_max, sets->used_count, 1, sizeof(void *));
	sets->items[sets->count++] = sets->used[sets->used_count++] = set;
	*set = (struct mapping_set){ .generation = (uint32_t)sets->count,
				     .first = first,
				     .count = count,
				     .users = 1,
				     .older = (uint32_t)sets->count,
				     .mappings = mappings };
	return set;
}

int mapping_sets_use(const struct mapping_sets *sets, uint32_t generation)
{
	struct mapping_set *set = mapping_sets_at(sets, generation);
	if (!set || !set->users)
		return -1;
	set->users++;
	return 0;
}

void mapping_sets_leave(struct mapping_sets *sets, uint32_t generation)
{
	struct mapping_set *set = mapping_sets_at(sets, generation);
	if (!set || !set->users || --set->users)
		return;
	sets->left += set->count;
	for (size_t i = 0; i < sets->used_count; i++)
		if (sets->used[i] == set) {
			sets->used[i] = sets->used[--sets->used_count];
			return;
		}
}

void mapping_sets_follow(struct mapping_sets *sets, uint32_t before, uint32_t after)
{
	struct mapping_set *old = mapping_sets_at(sets, before);
	struct mapping_set *new = mapping_sets_at(sets, after);
	if (!old || !new)
		return;
	old->next = after;
	new->older = old->older;
}

static int mapping_is(const struct unwind_mapping *a, const struct unwind_mapping *b)
{
	return a && b && a->start == b->start && a->end == b->end && a->bias == b->bias &&
	       a->kind == b->kind && a->object_id == b->object_id;
}

uint32_t mapping_sets_settle(struct mapping_sets *sets, uint32_t generation, const uint64_t *frames,
			     size_t count)
{
	struct mapping_set *set = mapping_sets_at(sets, generation);
	if (!set || set->older == generation)
		return generation;
	for (size_t i = 0; i < count; i++) {
		uint64_t address = frames[i] - (i > 0); /* callers are where they call */
		if (mapping_is(mapping_sets_find(sets, set->older, address),
			       mapping_sets_find(sets, generation, address)))
			continue;
		/* Samples of the states to come will most likely look like this one. */
		set->older = generation;
		return generation;
	}
	return set->older;
}

/* 20 MB; a parallel build leaves a few hundred bytes a process. */
#define LEFT_MIN ((uint64_t)1 << 19)

int mapping_sets_should_forget(const struct mapping_sets *sets)
{
	return sets->left > (sets->left_max ? sets->left_max : LEFT_MIN);
}

void mapping_sets_forget(struct mapping_sets *sets, const uint8_t *wanted)
{
	sets->left = 0;
	for (size_t i = 0; i < sets->count; i++) {
		struct mapping_set *set = sets->items[i];
		if (set->users || !set->mappings)
			continue;
		if (wanted[set->generation]) {
			sets->left += set->count;
			continue;
		}
		free(set->mappings);
		set->mappings = NULL;
		set->count = 0;
	}
	/* Looking at everything is worth it when half of it may go. */
	sets->left_max = 2 * sets->left > LEFT_MIN ? 2 * sets->left : LEFT_MIN;
}

const struct unwind_mapping *mapping_sets_find(const struct mapping_sets *sets, uint32_t generation,
					       uint64_t address)
{
	const struct mapping_set *set = mapping_sets_at(sets, generation);
	while (set && !set->mappings)
		set = mapping_sets_at(sets, set->next);
	size_t low = 0;
	size_t high = set ? set->count : 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (set->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!set || low == set->count || set->mappings[low].start > address)
		return NULL;
	return &set->mappings[low];
}
