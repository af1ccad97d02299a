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

struct stage_slot {
	uint32_t stage; /* enum stage, written with relaxed atomic stores by the worker only */
	uint32_t worker_index;
	/* The state of the interpreter that runs a program right now (its lua_State); 0: none does. Stored by
	 * the worker only, relaxed, whenever control goes to a program, to one of its coroutines, or comes
	 * back. */
	uint64_t interpreter;
};

static inline void stage_enter(struct stage_slot *slot, enum stage stage)
{
	__atomic_store_n(&slot->stage, (uint32_t)stage, __ATOMIC_RELAXED);
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
