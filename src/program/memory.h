/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of one program: what its Lua state may use, inside one piece of the arena. Not a general
 * allocator: callers know the size of what they give back, as Lua does.
 *
 * Blocks up to 8 KB come from slabs of 64 KB that hold blocks of one size; a slab without blocks goes back.
 * Larger ones, slabs too, come from a buddy allocator. What counts against the ceiling is what can be
 * touched: whole slabs, and large blocks in whole pages. One thread at a time.
 */
#ifndef PROGRAM_MEMORY_H
#define PROGRAM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum {
	PROGRAM_MEMORY_UNIT_BYTES = 16384, /* the smallest buddy */
	PROGRAM_MEMORY_ORDERS = 15,	   /* 16 KB to 256 MB */
	PROGRAM_MEMORY_UNITS = 1 << (PROGRAM_MEMORY_ORDERS - 1),
	PROGRAM_MEMORY_CLASSES = 48,
};

/* Address space; four times the ceiling, because buddies are powers of two. */
#define PROGRAM_MEMORY_REGION_BYTES ((size_t)PROGRAM_MEMORY_UNITS * PROGRAM_MEMORY_UNIT_BYTES)

struct program_slab;
struct program_buddy; /* a free one */

struct program_memory {
	uint8_t *base; /* PROGRAM_MEMORY_REGION_BYTES, aligned to a slab */
	/* By unit: of a free buddy's first unit its order + 1, else 0. */
	uint8_t *free_order;
	struct program_buddy *free[PROGRAM_MEMORY_ORDERS];
	struct program_slab *slabs[PROGRAM_MEMORY_CLASSES]; /* with room in them */
	size_t ceiling_bytes;
	size_t used_bytes, used_bytes_most;
	uint64_t calls; /* how often memory was asked for, resized or given back */
};

/* Takes its part of the arena. */
void program_memory_open(struct program_memory *memory, struct arena *arena, size_t ceiling_bytes);
/* The kernel may have all pages back; nothing may be used any more. */
void program_memory_close(struct program_memory *memory);

/* NULL: the ceiling is reached. Aligned to 16. `bytes` is not 0. */
void *program_memory_take(struct program_memory *memory, size_t bytes);
/* `bytes` as it was taken or resized to. */
void program_memory_give(struct program_memory *memory, void *block, size_t bytes);
/* NULL: the ceiling is reached and the old block stays. */
void *program_memory_resize(struct program_memory *memory, void *block, size_t bytes, size_t bytes_wanted);

#endif
