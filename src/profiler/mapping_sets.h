/* SPDX-License-Identifier: Apache-2.0
 *
 * mapping_sets: what was mapped in followed processes, state by state. A state is never changed, because
 * samples name the one (its generation) that they were taken with; but it has a place in the kernel's table
 * of mappings only while some process is in it. A program that loads and unloads code all day has a new state
 * each time: samples whose frames are the same in an older state name that one, and states that no sample
 * names are forgotten. Internal to profiler.
 */
#ifndef PROFILER_MAPPING_SETS_H
#define PROFILER_MAPPING_SETS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/shared.h"

#define PROFILER_MAPPINGS_MAX 65536 /* of all processes together; Chromium has 300 a process */

/* The executable mappings of a process at one time. */
struct mapping_set {
	uint32_t generation; /* index in the table of sets, + 1 */
	uint32_t first;	     /* in the kernel's table */
	uint32_t count;
	uint32_t users; /* processes that are in this state; 0: its place in the kernel's table is free */
	uint32_t next;	/* state of the same process after this one; 0: none */
	uint32_t older; /* state of it whose name samples of this one take when nothing differs, or itself */
	struct unwind_mapping *mappings; /* owned; sorted by start; NULL: forgotten */
};

struct mapping_sets {
	struct mapping_set **items; /* owned */
	size_t count, max;
	struct mapping_set **used; /* those with users, in no order */
	size_t used_count, used_max;
	uint32_t cursor;   /* places are taken in turns, so that one just left is not taken at once: a program
			    * may still be looking */
	uint64_t left;	   /* mappings in states without users */
	uint64_t left_max; /* at which it is time to forget; 0: not known yet */
};

void mapping_sets_finish(struct mapping_sets *sets);
/* NULL: there was none. */
struct mapping_set *mapping_sets_at(const struct mapping_sets *sets, uint32_t generation);
/* A new state with one user; takes `mappings` over, in any case. NULL: no place for them in the table. */
struct mapping_set *mapping_sets_add(struct mapping_sets *sets, struct unwind_mapping *mappings,
				     uint32_t count);
/* One more process is in this state: 0, or -1 when its place is not kept any more. */
int mapping_sets_use(const struct mapping_sets *sets, uint32_t generation);
/* The process of state `before` (0: none) is in state `after` now. */
void mapping_sets_follow(struct mapping_sets *sets, uint32_t before, uint32_t after);
/* The generation that a sample with these user frames names. */
uint32_t mapping_sets_settle(struct mapping_sets *sets, uint32_t generation, const uint64_t *frames,
			     size_t count);
/* Whether enough has been left behind since the last time. */
int mapping_sets_should_forget(const struct mapping_sets *sets);
/* Forgets states without users; wanted[generation] is not 0 for those that are named somewhere. */
void mapping_sets_forget(struct mapping_sets *sets, const uint8_t *wanted);
/* One process less. Accepts 0. */
void mapping_sets_leave(struct mapping_sets *sets, uint32_t generation);
/* The mapping that `address` was in; in a state that is forgotten, as in the next that is not. NULL: none. */
const struct unwind_mapping *mapping_sets_find(const struct mapping_sets *sets, uint32_t generation,
					       uint64_t address);

#endif
