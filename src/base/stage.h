/* SPDX-License-Identifier: Apache-2.0
 *
 * Which room a worker is in right now. One slot per worker, in memory that an observer outside the
 * process may map: the worker stores, anybody may read. A store costs one instruction, so it is
 * always on. The layout is shared with observers: append only.
 */
#ifndef BASE_STAGE_H
#define BASE_STAGE_H

#include <stdint.h>

enum stage {
	STAGE_IDLE,
	STAGE_RING,
	STAGE_TLS,
	STAGE_HTTP,
	STAGE_INFLATE,
	STAGE_SCAN,
	STAGE_CONTROL,
	STAGE_PROGRAM,
	STAGE_SINK,
	STAGE_COUNT,
};

#define STAGE_INTERPRETERS_MAX 7 /* coroutines in coroutines; makes a slot one cache line */

struct stage_slot {
	uint32_t stage; /* enum stage, written with relaxed atomic stores by the worker only */
	uint32_t worker_index;
	/* The states of the interpreter (lua_State) that run a program right now: [0] is the one that we have
	 * called, [1] one that it has resumed, and so on. All of them, because each has calls on the native
	 * stack. The first 0 ends them, so [0] is 0 while control is with us. Coroutines deeper than this are
	 * not told: their resumer counts. */
	uint64_t interpreters[STAGE_INTERPRETERS_MAX];
};

static inline void stage_enter(struct stage_slot *slot, enum stage stage)
{
	__atomic_store_n(&slot->stage, (uint32_t)stage, __ATOMIC_RELAXED);
}

/* `state` begins to run at `depth` (NULL: comes back from there). */
static inline void stage_interpret(uint64_t *interpreters, unsigned depth, const void *state)
{
	if (interpreters && depth < STAGE_INTERPRETERS_MAX)
		__atomic_store_n(&interpreters[depth], (uint64_t)(uintptr_t)state, __ATOMIC_RELAXED);
}

static inline const char *stage_name(enum stage stage)
{
	static const char *const names[STAGE_COUNT] = {
		[STAGE_IDLE] = "idle",	     [STAGE_RING] = "ring",	  [STAGE_TLS] = "tls",
		[STAGE_HTTP] = "http",	     [STAGE_INFLATE] = "inflate", [STAGE_SCAN] = "scan",
		[STAGE_CONTROL] = "control", [STAGE_PROGRAM] = "program", [STAGE_SINK] = "sink",
	};
	return names[stage];
}

#endif
