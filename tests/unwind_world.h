/* SPDX-License-Identifier: Apache-2.0
 *
 * A made-up process for bpf/unwind.h: code, a stack, mappings, rows and return probes that a test puts there.
 *
 *	world_reset(); world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_SP, .cfa_offset = 16 });
 *	world_push(caller); world_walk(CODE + 0x104);
 */
#ifndef TESTS_UNWIND_WORLD_H
#define TESTS_UNWIND_WORLD_H

#include <string.h>

#include "bpf/unwind.h"
#include "test.h"

#define CODE UINT64_C(0x555500400000)	/* the first object is mapped here */
#define OTHER UINT64_C(0x7f0000400000)	/* and another one here */
#define PROBES UINT64_C(0x7fffffffe000) /* the kernel's page for probes */
#define STACK UINT64_C(0x7ffd00000000)	/* lowest byte of the stack */

enum { CODE_BYTES = 8192, STACK_BYTES = 65536, WORLD_MAPPINGS_MAX = 16, WORLD_ROWS_MAX = 512, TGID = 7 };

static struct world {
	uint8_t code[CODE_BYTES], stack[STACK_BYTES];
	struct unwind_mapping mappings[WORLD_MAPPINGS_MAX];
	struct unwind_row rows[WORLD_ROWS_MAX];
	struct unwind_rule rules[WORLD_ROWS_MAX];
	struct unwind_return_probe probes[8];
	struct unwind_process process;
	struct unwind_walk walk;
	uint32_t mapping_count, row_count;
	uint64_t unreadable; /* 8 bytes that no read may touch; 0: none */
	uint64_t probed;     /* where the instruction of a probe belongs; 0: none */
	uint64_t reads;
} world;

static UNWIND_ALWAYS_INLINE long unwind_read_user(void *destination, uint32_t bytes, uint64_t address)
{
	const uint8_t *from = NULL;
	world.reads++;
	if (world.unreadable && address < world.unreadable + 8 && address + bytes > world.unreadable)
		return -14;
	if (address >= STACK && address < STACK + STACK_BYTES && bytes <= STACK + STACK_BYTES - address)
		from = world.stack + (address - STACK);
	if (address >= CODE && address < CODE + CODE_BYTES && bytes <= CODE + CODE_BYTES - address)
		from = world.code + (address - CODE);
	if (!from)
		return -14;
	memcpy(destination, from, bytes);
	return 0;
}

static UNWIND_ALWAYS_INLINE struct unwind_process *unwind_process_of(uint32_t tgid)
{
	return tgid == TGID ? &world.process : NULL;
}

static UNWIND_ALWAYS_INLINE struct unwind_mapping *unwind_mapping_at(uint32_t index)
{
	return index < WORLD_MAPPINGS_MAX ? &world.mappings[index] : NULL;
}

static UNWIND_ALWAYS_INLINE struct unwind_row *unwind_row_at(uint32_t index)
{
	return index < WORLD_ROWS_MAX ? &world.rows[index] : NULL;
}

static UNWIND_ALWAYS_INLINE struct unwind_rule *unwind_rule_at(uint32_t index)
{
	return index < WORLD_ROWS_MAX ? &world.rules[index] : NULL;
}

static UNWIND_ALWAYS_INLINE long unwind_return_probe(uint64_t cursor, struct unwind_return_probe *ret_probe)
{
	size_t index = cursor == UNWIND_RETURN_PROBE_NEWEST ? 0 : (size_t)cursor - 2;
	if (cursor == UNWIND_RETURN_PROBE_NONE || index >= 8 || world.probes[index].stack == 0)
		return -1;
	*ret_probe = world.probes[index];
	ret_probe->next = index + 3;
	return 0;
}

static UNWIND_ALWAYS_INLINE long unwind_uprobe_address(uint64_t *ret_address)
{
	*ret_address = world.probed;
	return world.probed ? 0 : -1;
}

static inline void world_map(uint64_t start, uint64_t bytes, uint32_t kind)
{
	world.mappings[world.mapping_count++] =
		(struct unwind_mapping){ .start = start, .end = start + bytes, .bias = start, .kind = kind };
	world.process.mappings_count = world.mapping_count;
}

/* An empty stack whose sp is in the middle, one object with an end of stack at 0 and nothing else. */
static inline void world_reset(void)
{
	world = (struct world){ 0 };
	world_map(CODE, CODE_BYTES, MAPPING_OBJECT);
	world.walk.registers[UNWIND_REGISTER_SP] = STACK + STACK_BYTES / 2;
	world.walk.registers[UNWIND_REGISTER_BP] = 0xb0b0b0b0b0b0;
	world.mappings[0].rows_count = world.row_count = 1;
	world.rules[0].cfa = UNWIND_CFA_END;
}

/* Rows of the first object, in the order of their pc. */
static inline void world_row(uint32_t pc, struct unwind_rule rule)
{
	world.rules[world.row_count] = rule;
	world.rows[world.row_count] = (struct unwind_row){ .pc = pc, .rule = world.row_count };
	world.mappings[0].rows_count = ++world.row_count;
}

static inline uint64_t world_sp(void)
{
	return world.walk.registers[UNWIND_REGISTER_SP];
}

static inline void world_store(uint64_t address, uint64_t word)
{
	memcpy(world.stack + (address - STACK), &word, sizeof word);
}

/* Words from sp upward. */
#define world_words(...)                                                                                     \
	do {                                                                                                 \
		const uint64_t words_[] = { __VA_ARGS__ };                                                   \
		memcpy(world.stack + (world_sp() - STACK), words_, sizeof words_);                           \
	} while (0)

/* A call whose last byte is before this place in the code. */
static inline uint64_t world_call(uint32_t end, const char *bytes, size_t count)
{
	memcpy(world.code + end - count, bytes, count);
	return CODE + end;
}

static inline void world_walk(uint64_t pc)
{
	world.walk.registers[UNWIND_REGISTER_PC] = pc;
	unwind_stack(&world.walk, TGID);
}

/* The walk's frames and end. */
#define WALKED(stop_, ...)                                                                                   \
	do {                                                                                                 \
		const uint64_t wanted_[] = { __VA_ARGS__ };                                                  \
		EQ(world.walk.stop, stop_);                                                                  \
		EQ_BYTES(world.walk.frames, world.walk.frame_count * 8, wanted_, sizeof wanted_);            \
	} while (0)

#endif
