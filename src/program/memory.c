/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "program/memory.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

enum {
	SMALL_BYTES_MAX = 8192, /* seven in a slab: what is left over is an eighth at most */
	FINE_BYTES_MAX = 512,	/* classes every 16 bytes up to here, then four for each doubling */
	FINE_CLASSES = FINE_BYTES_MAX / 16,
	SLAB_BYTES = 65536,
	SLAB_ORDER = 2,
	PAGE_BYTES = 4096,
	/* Larger free blocks are given back to the kernel: a fault for each page costs less than keeping
	   them. */
	KEEP_BYTES_MAX = 1 << 20,
};

struct program_block {
	struct program_block *next;
};

/* Stands at the front of its 64 KB, which are aligned to their size. */
struct program_slab {
	alignas(16) struct program_slab *next, *previous; /* among those of its class that have room */
	struct program_block *free;
	uint32_t fresh_from; /* bytes from here on were never used, so that their pages stay untouched */
	uint32_t block_bytes;
	uint32_t block_count; /* in use */
	uint32_t listed;
};

struct program_buddy {
	struct program_buddy *next, *previous;
};

static_assert(sizeof(struct program_slab) % 16 == 0, "blocks behind it are aligned to 16");
static_assert(SLAB_BYTES == PROGRAM_MEMORY_UNIT_BYTES << SLAB_ORDER, "a slab is one buddy");

static unsigned class_of(size_t bytes)
{
	if (bytes <= FINE_BYTES_MAX)
		return (unsigned)((bytes + 15) / 16 - 1);
	unsigned doubling = 63 - (unsigned)__builtin_clzll(bytes - 1); /* 9: 513 to 1024 */
	return FINE_CLASSES + (doubling - 9) * 4 + (unsigned)((bytes - 1) >> (doubling - 2) & 3);
}

static size_t class_bytes(unsigned class)
{
	if (class < FINE_CLASSES)
		return (size_t)(class + 1) * 16;
	unsigned coarse = class - FINE_CLASSES;
	return ((size_t)5 + coarse % 4) << (7 + coarse / 4);
}

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;
	while ((size_t)PROGRAM_MEMORY_UNIT_BYTES << order < bytes)
		order++;
	return order;
}

static size_t page_bytes(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static size_t unit_of(const struct program_memory *memory, const void *block)
{
	return (size_t)((const uint8_t *)block - memory->base) / PROGRAM_MEMORY_UNIT_BYTES;
}

static void buddy_link(struct program_memory *memory, size_t unit, unsigned order)
{
	struct program_buddy *buddy = (void *)(memory->base + unit * PROGRAM_MEMORY_UNIT_BYTES);
	*buddy = (struct program_buddy){ .next = memory->free[order] };
	if (buddy->next)
		buddy->next->previous = buddy;
	memory->free[order] = buddy;
	memory->free_order[unit] = (uint8_t)(order + 1);
}

static void buddy_unlink(struct program_memory *memory, size_t unit)
{
	struct program_buddy *buddy = (void *)(memory->base + unit * PROGRAM_MEMORY_UNIT_BYTES);
	if (buddy->next)
		buddy->next->previous = buddy->previous;
	if (buddy->previous)
		buddy->previous->next = buddy->next;
	else
		memory->free[memory->free_order[unit] - 1] = buddy->next;
	memory->free_order[unit] = 0;
}

static void *buddy_take(struct program_memory *memory, unsigned order)
{
	unsigned found = order;
	while (found < PROGRAM_MEMORY_ORDERS && !memory->free[found])
		found++;
	if (found >= PROGRAM_MEMORY_ORDERS)
		return NULL;
	void *block = memory->free[found];
	size_t unit = unit_of(memory, block);
	buddy_unlink(memory, unit);
	while (found > order) {
		found--;
		buddy_link(memory, unit + ((size_t)1 << found), found);
	}
	return block;
}

static void buddy_give(struct program_memory *memory, void *block, unsigned order)
{
	size_t unit = unit_of(memory, block);
	for (; order + 1 < PROGRAM_MEMORY_ORDERS; order++) {
		size_t other = unit ^ (size_t)1 << order;
		if (memory->free_order[other] != order + 1)
			break;
		buddy_unlink(memory, other);
		unit &= ~((size_t)1 << order);
	}
	buddy_link(memory, unit, order);
}

/* Counts `bytes` as used, unless that is more than there may be. */
static int charge(struct program_memory *memory, size_t bytes)
{
	if (bytes > memory->ceiling_bytes || memory->used_bytes > memory->ceiling_bytes - bytes)
		return 0;
	memory->used_bytes += bytes;
	if (memory->used_bytes > memory->used_bytes_most)
		memory->used_bytes_most = memory->used_bytes;
	return 1;
}

static void *large_take(struct program_memory *memory, size_t bytes)
{
	if (bytes > memory->ceiling_bytes || !charge(memory, page_bytes(bytes)))
		return NULL;
	void *block = buddy_take(memory, order_of(bytes));
	if (!block)
		memory->used_bytes -= page_bytes(bytes);
	return block;
}

static void large_give(struct program_memory *memory, void *block, size_t bytes)
{
	memory->used_bytes -= page_bytes(bytes);
	if (bytes > KEEP_BYTES_MAX)
		madvise(block, page_bytes(bytes), MADV_DONTNEED);
	buddy_give(memory, block, order_of(bytes));
}

static void slab_link(struct program_memory *memory, struct program_slab *slab, unsigned class)
{
	slab->previous = NULL;
	slab->next = memory->slabs[class];
	if (slab->next)
		slab->next->previous = slab;
	memory->slabs[class] = slab;
	slab->listed = 1;
}

static void slab_unlink(struct program_memory *memory, struct program_slab *slab, unsigned class)
{
	if (slab->next)
		slab->next->previous = slab->previous;
	if (slab->previous)
		slab->previous->next = slab->next;
	else
		memory->slabs[class] = slab->next;
	slab->listed = 0;
}

static int slab_is_full(const struct program_slab *slab)
{
	return !slab->free && slab->fresh_from + slab->block_bytes > SLAB_BYTES;
}

static struct program_slab *slab_take(struct program_memory *memory, unsigned class)
{
	struct program_slab *slab = large_take(memory, SLAB_BYTES);
	if (!slab)
		return NULL;
	*slab = (struct program_slab){ .fresh_from = sizeof *slab,
				       .block_bytes = (uint32_t)class_bytes(class) };
	slab_link(memory, slab, class);
	return slab;
}

/* Slabs that are kept without a block in them, one a class at most: memory is short. */
static int slabs_give_empty(struct program_memory *memory)
{
	int given = 0;
	for (unsigned class = 0; class < PROGRAM_MEMORY_CLASSES; class ++) {
		struct program_slab *slab = memory->slabs[class];
		while (slab && slab->block_count > 0)
			slab = slab->next;
		if (slab) {
			slab_unlink(memory, slab, class);
			large_give(memory, slab, SLAB_BYTES);
			given = 1;
		}
	}
	return given;
}

static void *small_take(struct program_memory *memory, size_t bytes)
{
	unsigned class = class_of(bytes);
	struct program_slab *slab = memory->slabs[class];
	if (!slab)
		slab = slab_take(memory, class);
	if (!slab)
		return NULL;
	void *block = slab->free;
	if (block) {
		slab->free = slab->free->next;
	} else {
		block = (uint8_t *)slab + slab->fresh_from;
		slab->fresh_from += slab->block_bytes;
	}
	slab->block_count++;
	if (slab_is_full(slab))
		slab_unlink(memory, slab, class);
	return block;
}

static void small_give(struct program_memory *memory, void *block, size_t bytes)
{
	struct program_slab *slab = (void *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
	unsigned class = class_of(bytes);
	CHECK_EQ((size_t)slab->block_bytes, class_bytes(class));
	struct program_block *free = block;
	free->next = slab->free;
	slab->free = free;
	slab->block_count--;
	if (!slab->listed)
		slab_link(memory, slab, class);
	/* The last one of its class stays: what is made and dropped over and over costs no slab. */
	if (slab->block_count == 0 && (slab->next || slab->previous)) {
		slab_unlink(memory, slab, class);
		large_give(memory, slab, SLAB_BYTES);
	}
}

void program_memory_open(struct program_memory *memory, struct arena *arena, size_t ceiling_bytes)
{
	CHECK_LE(ceiling_bytes, PROGRAM_MEMORY_REGION_BYTES / 2);
	*memory = (struct program_memory){ .ceiling_bytes = ceiling_bytes };
	memory->free_order = arena_take(arena, PROGRAM_MEMORY_UNITS, 64);
	memory->base = arena_take(arena, PROGRAM_MEMORY_REGION_BYTES, SLAB_BYTES);
	buddy_link(memory, 0, PROGRAM_MEMORY_ORDERS - 1);
}

void program_memory_close(struct program_memory *memory)
{
	madvise(memory->base, PROGRAM_MEMORY_REGION_BYTES, MADV_DONTNEED);
	memory->used_bytes = 0;
}

void *program_memory_take(struct program_memory *memory, size_t bytes)
{
	memory->calls++;
	void *block = bytes <= SMALL_BYTES_MAX ? small_take(memory, bytes) : large_take(memory, bytes);
	if (!block && slabs_give_empty(memory))
		block = bytes <= SMALL_BYTES_MAX ? small_take(memory, bytes) : large_take(memory, bytes);
	return block;
}

void program_memory_give(struct program_memory *memory, void *block, size_t bytes)
{
	memory->calls++;
	if (bytes <= SMALL_BYTES_MAX)
		small_give(memory, block, bytes);
	else
		large_give(memory, block, bytes);
}

/* Splits a large block and keeps its front, which needs no memory: shrinking does not fail there. */
static void split(struct program_memory *memory, void *block, unsigned order, unsigned order_wanted)
{
	while (order > order_wanted) {
		order--;
		buddy_link(memory, unit_of(memory, block) + ((size_t)1 << order), order);
	}
}

/* Whether the block can stay where it is; counts the difference. */
static int resize_in_place(struct program_memory *memory, void *block, size_t bytes, size_t bytes_wanted)
{
	if (bytes <= SMALL_BYTES_MAX || bytes_wanted <= SMALL_BYTES_MAX)
		return bytes <= SMALL_BYTES_MAX && bytes_wanted <= SMALL_BYTES_MAX &&
		       class_of(bytes) == class_of(bytes_wanted);
	size_t old_bytes = page_bytes(bytes), new_bytes = page_bytes(bytes_wanted);
	if (new_bytes > old_bytes)
		return order_of(bytes) == order_of(bytes_wanted) && charge(memory, new_bytes - old_bytes);
	memory->used_bytes -= old_bytes - new_bytes;
	if (old_bytes - new_bytes > KEEP_BYTES_MAX)
		madvise((uint8_t *)block + new_bytes, old_bytes - new_bytes, MADV_DONTNEED);
	split(memory, block, order_of(bytes), order_of(bytes_wanted));
	return 1;
}

void *program_memory_resize(struct program_memory *memory, void *block, size_t bytes, size_t bytes_wanted)
{
	memory->calls++;
	if (resize_in_place(memory, block, bytes, bytes_wanted))
		return block;
	void *moved = program_memory_take(memory, bytes_wanted);
	if (!moved)
		return NULL;
	memcpy(moved, block, bytes < bytes_wanted ? bytes : bytes_wanted);
	program_memory_give(memory, block, bytes);
	return moved;
}
