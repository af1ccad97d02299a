/* SPDX-License-Identifier: Apache-2.0
 *
 * All memory of a worker is taken from one arena before it starts. The arena is one anonymous mapping
 * (address space is reserved, pages appear when touched), so nothing of ours is on the heap. After
 * arena_close() every further request is a programmer error and aborts.
 *
 * One thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
	uint8_t *base;
	size_t capacity_bytes;
	size_t used_bytes;
	int closed;
};

/* Maps `capacity_bytes` of address space. Returns 0 or -errno. */
int arena_open(struct arena *arena, size_t capacity_bytes);
/* Zeroed memory aligned to `alignment` (a power of two, at most 2 MiB). Never NULL: running out is a
 * sizing bug and aborts. Valid until arena_finish(). */
void *arena_take(struct arena *arena, size_t bytes, size_t alignment);
void arena_close(struct arena *arena);
/* Unmaps everything. Accepts a zeroed arena. */
void arena_finish(struct arena *arena);

#endif
