/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/arena.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/check.h"

int arena_open(struct arena *arena, size_t capacity_bytes)
{
	void *base = mmap(NULL, capacity_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	*arena = (struct arena){ .base = base, .capacity_bytes = capacity_bytes };
	return 0;
}

void *arena_take(struct arena *arena, size_t bytes, size_t alignment)
{
	CHECK_EQ(arena->closed, 0);
	CHECK_EQ(alignment & (alignment - 1), (size_t)0);
	size_t address = (size_t)(uintptr_t)arena->base + arena->used_bytes;
	size_t padding_bytes = (alignment - address % alignment) % alignment;
	CHECK_LE(padding_bytes, arena->capacity_bytes - arena->used_bytes);
	CHECK_LE(bytes, arena->capacity_bytes - arena->used_bytes - padding_bytes);
	void *taken = arena->base + arena->used_bytes + padding_bytes;
	arena->used_bytes += padding_bytes + bytes;
	return taken;
}

void arena_close(struct arena *arena)
{
	arena->closed = 1;
}

void arena_finish(struct arena *arena)
{
	if (arena->base)
		munmap(arena->base, arena->capacity_bytes);
	*arena = (struct arena){ 0 };
}
