/* SPDX-License-Identifier: Apache-2.0
 *
 * Stacks of threads that interpret a program in Lua: which frames are the interpreter's, what the words of
 * its calls are, and locations for both in the order that merge.c decides.
 */
#include "profiler/merge.h"
#include "profiler/writer.h"

struct lua_stack {
	struct writer *writer;
	const struct record *record;
	const struct unwind_mapping *library; /* NULL: not mapped */
	uint8_t is_library[UNWIND_FRAMES_MAX];
	uint64_t words[INTERPRETER_FRAMES_MAX];
	uint8_t kinds[INTERPRETER_FRAMES_MAX]; /* enum merge_word */
	size_t word_count;
};

static const struct unwind_mapping *mapping_of(const struct lua_stack *stack, uint64_t address)
{
	return mapping_sets_find(&stack->writer->profiler->sets, stack->record->generation, address);
}

static int in_library(const struct lua_stack *stack, const struct unwind_mapping *mapping)
{
	return mapping && stack->library && mapping->kind == MAPPING_OBJECT &&
	       mapping->object_id == stack->library->object_id;
}

/* Callers are named by the call, not by the instruction behind it. */
static uint64_t frame_address(const struct record *record, size_t i)
{
	return record->frames[record->kernel_frames + i] - (i > 0);
}

/* Words that are neither in a function of the program nor in code that is mapped are of a call that was being
 * made at that moment, or of a target that lies. */
static void take_words(struct lua_stack *stack)
{
	const struct record *record = stack->record;
	const uint64_t *words = record->frames + record->kernel_frames + record->user_frames;
	for (size_t i = 0; i < record->interpreter_frames && i < INTERPRETER_FRAMES_MAX; i++) {
		struct name_line line;
		uint64_t address;
		enum merge_word kind = MERGE_LUA;
		if (!names_of_lua(stack->writer->profiler->names, words[i], &line, &address)) {
			const struct unwind_mapping *mapping = mapping_of(stack, words[i]);
			if (!mapping)
				continue;
			kind = in_library(stack, mapping) ? MERGE_INSIDE : MERGE_OUTSIDE;
		}
		stack->words[stack->word_count] = words[i];
		stack->kinds[stack->word_count++] = (uint8_t)kind;
	}
}

/* The innermost frame is the C function's that was called last: it is there already. */
static int is_same_function(const struct lua_stack *stack, uint64_t address, uint64_t function)
{
	const struct unwind_mapping *mapping = mapping_of(stack, address);
	if (!mapping || mapping->kind != MAPPING_OBJECT)
		return 0;
	struct profiler *profiler = stack->writer->profiler;
	return names_function_start(profiler->names, objects_at(profiler->objects, mapping->object_id),
				    address - mapping->bias) == function - mapping->bias;
}

static uint32_t item_location(const struct lua_stack *stack, const struct merge_item *item)
{
	const struct record *record = stack->record;
	if (item->kind == MERGE_CUT)
		return writer_cut_location(stack->writer);
	if (item->kind == MERGE_FRAME)
		return writer_user_location(stack->writer, record->tgid, record->generation,
					    frame_address(record, item->index));
	uint64_t word = stack->words[item->index];
	return stack->kinds[item->index] == MERGE_LUA
		       ? writer_lua_location(stack->writer, word)
		       : writer_native_location(stack->writer, record->tgid, record->generation, word);
}

size_t writer_lua_stack(struct writer *writer, const struct record *record, uint32_t *ids)
{
	struct lua_stack stack = { .writer = writer, .record = record };
	struct merge_item items[MERGE_ITEMS_MAX];
	size_t used = 0;
	stack.library = mapping_of(&stack, names_lua_library(writer->profiler->names));
	for (size_t i = 0; i < record->user_frames && i < UNWIND_FRAMES_MAX; i++)
		stack.is_library[i] =
			(uint8_t)in_library(&stack, mapping_of(&stack, frame_address(record, i)));
	take_words(&stack);
	const struct merge_input input = {
		.is_library = stack.is_library,
		.frame_count = record->user_frames,
		.words = stack.kinds,
		.word_count = stack.word_count,
		.is_cut = record->interpreter_frames >= INTERPRETER_FRAMES_MAX,
		.is_complete = record->stop == UNWIND_STOP_END,
	};
	size_t count = merge_stack(&input, items);
	for (size_t i = count; i-- > 0;) {
		const struct merge_item *item = &items[i], *caller = i ? &items[i - 1] : item;
		if (i + 1 == count && item->kind == MERGE_FRAME && item->index == 0 &&
		    caller->kind == MERGE_WORD && stack.kinds[caller->index] == MERGE_INSIDE &&
		    is_same_function(&stack, frame_address(record, 0), stack.words[caller->index]))
			continue;
		ids[used++] = item_location(&stack, item);
	}
	return used;
}
