/* SPDX-License-Identifier: Apache-2.0
 *
 * The allocator of programs: blocks do not overlap, what is given back is used again, and the ceiling holds.
 */
#include "program/memory.h"
#include "test.h"

static struct arena arena;
static struct program_memory memory;

static void begin(size_t ceiling_bytes)
{
	EQ(arena_open(&arena, PROGRAM_MEMORY_REGION_BYTES + PROGRAM_MEMORY_UNITS + 131072), 0);
	program_memory_open(&memory, &arena, ceiling_bytes);
}

static void end(void)
{
	program_memory_close(&memory);
	arena_finish(&arena);
}

struct block {
	uint8_t *base;
	size_t bytes;
	uint8_t mark;
};

static void fill(struct block *block)
{
	memset(block->base, block->mark, block->bytes);
}

static void check(const struct block *block, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		EQ(block->base[i], block->mark);
}

static uint64_t random_state = 88172645463325252u;

static size_t next_random(size_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % bound);
}

static size_t random_bytes(void)
{
	/* As often of each magnitude up to 1 MB. */
	return 1 + next_random((size_t)2 << next_random(20));
}

static void every_size_is_aligned_and_its_own(void)
{
	begin((size_t)64 << 20);
	for (size_t bytes = 1; bytes < 40000; bytes += bytes < 1100 ? 1 : 97) {
		struct block blocks[3];
		for (size_t i = 0; i < 3; i++) {
			blocks[i] = (struct block){ program_memory_take(&memory, bytes), bytes,
						    (uint8_t)(i + 1) };
			EQ(blocks[i].base != NULL, 1);
			EQ((uintptr_t)blocks[i].base % 16, 0);
			fill(&blocks[i]);
		}
		for (size_t i = 0; i < 3; i++) {
			check(&blocks[i], bytes);
			program_memory_give(&memory, blocks[i].base, bytes);
		}
	}
	end();
}

static void random_work_keeps_every_byte(void)
{
	enum { BLOCKS = 700 };
	static struct block blocks[BLOCKS];
	memset(blocks, 0, sizeof blocks);
	begin((size_t)64 << 20);
	size_t refused = 0;
	for (int step = 0; step < 60000; step++) {
		struct block *block = &blocks[next_random(BLOCKS)];
		size_t bytes = random_bytes();
		if (!block->base) {
			*block = (struct block){ program_memory_take(&memory, bytes), bytes, (uint8_t)step };
			if (!block->base) {
				refused++;
				continue;
			}
			fill(block);
		} else if (next_random(3) == 0) {
			void *moved = program_memory_resize(&memory, block->base, block->bytes, bytes);
			if (!moved) {
				refused++;
				continue;
			}
			block->base = moved;
			check(block, bytes < block->bytes ? bytes : block->bytes);
			block->bytes = bytes;
			fill(block);
		} else {
			check(block, block->bytes);
			program_memory_give(&memory, block->base, block->bytes);
			block->base = NULL;
		}
		LE(memory.used_bytes, memory.ceiling_bytes);
	}
	for (size_t i = 0; i < BLOCKS; i++) {
		if (!blocks[i].base)
			continue;
		check(&blocks[i], blocks[i].bytes);
		program_memory_give(&memory, blocks[i].base, blocks[i].bytes);
	}
	/* One slab for each class may stay, and all the rest is one piece again. */
	LE(memory.used_bytes, (size_t)PROGRAM_MEMORY_CLASSES * 65536);
	void *large = program_memory_take(&memory, (size_t)48 << 20);
	EQ(large != NULL, 1);
	program_memory_give(&memory, large, (size_t)48 << 20);
	end();
}

static void the_ceiling_holds_for_each_size(void)
{
	static const size_t sizes[] = {
		16, 100, 512, 513, 4000, 8192, 8193, 16384, 100000, 1048576, 2000000
	};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t count = 0, bytes = sizes[i];
		begin((size_t)8 << 20);
		while (program_memory_take(&memory, bytes))
			count++;
		LE(count * bytes, (size_t)8 << 20);
		/* Pages, slabs and their heads take less than a quarter, but for blocks just above a page. */
		GE(count * bytes, bytes == 8193 ? (size_t)5 << 20 : (size_t)6 << 20);
		LE(memory.used_bytes_most, (size_t)8 << 20);
		end();
	}
}

static void empty_slabs_go_back_when_memory_is_short(void)
{
	static void *blocks[PROGRAM_MEMORY_CLASSES];
	begin((size_t)4 << 20);
	for (size_t i = 0; i < PROGRAM_MEMORY_CLASSES; i++)
		blocks[i] = program_memory_take(&memory, 16 * (i % 32 + 1));
	for (size_t i = 0; i < PROGRAM_MEMORY_CLASSES; i++)
		program_memory_give(&memory, blocks[i], 16 * (i % 32 + 1));
	EQ(memory.used_bytes, (size_t)32 * 65536);
	void *all = program_memory_take(&memory, (size_t)4 << 20);
	EQ(all != NULL, 1);
	EQ(memory.used_bytes, (size_t)4 << 20);
	EQ(program_memory_take(&memory, 1) == NULL, 1);
	program_memory_give(&memory, all, (size_t)4 << 20);
	EQ(program_memory_take(&memory, 1) != NULL, 1);
	end();
}

static void growing_keeps_the_front_and_may_fail(void)
{
	begin((size_t)4 << 20);
	struct block block = { program_memory_take(&memory, 1000), 1000, 7 };
	fill(&block);
	for (size_t bytes = 1000; bytes < (size_t)1 << 20; bytes += bytes / 3) {
		block.base = program_memory_resize(&memory, block.base, block.bytes, bytes);
		EQ(block.base != NULL, 1);
		check(&block, block.bytes);
		block.bytes = bytes;
		fill(&block);
	}
	EQ(program_memory_resize(&memory, block.base, block.bytes, (size_t)5 << 20) == NULL, 1);
	check(&block, block.bytes);
	program_memory_give(&memory, block.base, block.bytes);
	end();
}

static void shrinking_a_large_block_needs_no_memory(void)
{
	begin((size_t)4 << 20);
	struct block block = { program_memory_take(&memory, (size_t)4 << 20), (size_t)4 << 20, 9 };
	fill(&block);
	for (size_t bytes = block.bytes; bytes > 10000; bytes /= 3) {
		EQ(program_memory_resize(&memory, block.base, block.bytes, bytes) == block.base, 1);
		block.bytes = bytes;
		check(&block, bytes);
	}
	/* What was cut off can be used. */
	EQ(program_memory_take(&memory, (size_t)3 << 20) != NULL, 1);
	check(&block, block.bytes);
	end();
}

TEST_MAIN(T(every_size_is_aligned_and_its_own), T(random_work_keeps_every_byte),
	  T(the_ceiling_holds_for_each_size), T(empty_slabs_go_back_when_memory_is_short),
	  T(growing_keeps_the_front_and_may_fail), T(shrinking_a_large_block_needs_no_memory))
