/* SPDX-License-Identifier: Apache-2.0
 *
 * On the native stack the interpreter appears as runs of frames in its library. Between them are C functions
 * that the program calls, and these are among its calls, too: there the two stacks are joined. From the root,
 * the first run stands for the calls up to the first such function, whose frames follow, the second run for
 * those up to the second, and so on. What is left at the leaf is no call of the program: the interpreter's
 * allocator or hook, or what a C function asks of the interpreter, of which the outermost frame stays
 * (lua_rawset). Where the innermost frame is the interpreter's own it stays, too: its time can be seen.
 *
 * Where the two do not fit each other, because one of them is cut, all calls stand in place of all that lies
 * between the first run and the last.
 */
#include "profiler/merge.h"

struct merge {
	const struct merge_input *input;
	struct merge_item *items;
	size_t count;
	size_t frames, words; /* that are left; the next one is the last of them */
};

static void put(struct merge *merge, struct merge_item item)
{
	if (merge->count < MERGE_ITEMS_MAX)
		merge->items[merge->count++] = item;
}

static int next_is_library(const struct merge *merge)
{
	return merge->input->is_library[merge->frames - 1];
}

/* Frames up to the next run of the interpreter's. */
static void put_frames(struct merge *merge)
{
	for (; merge->frames && !next_is_library(merge); merge->frames--)
		put(merge, (struct merge_item){ MERGE_FRAME, (uint32_t)merge->frames - 1 });
}

static void skip_run(struct merge *merge)
{
	while (merge->frames && next_is_library(merge))
		merge->frames--;
}

/* Calls up to a C function that has native frames. 1: there was one; it is gone. */
static int put_words(struct merge *merge)
{
	while (merge->words) {
		uint32_t index = (uint32_t)--merge->words;
		if (merge->input->words[index] == MERGE_OUTSIDE)
			return 1;
		put(merge, (struct merge_item){ MERGE_WORD, index });
	}
	return 0;
}

static void put_leaf(struct merge *merge)
{
	if (merge->input->frame_count && merge->input->is_library[0])
		put(merge, (struct merge_item){ MERGE_FRAME, 0 });
}

/* What lies behind a run, and behind no other. */
static size_t frames_behind_last_run(const struct merge_input *input)
{
	size_t count = 0;
	while (count < input->frame_count && !input->is_library[count])
		count++;
	return count;
}

static size_t count_outside(const struct merge_input *input)
{
	size_t count = 0;
	for (size_t i = 0; i < input->word_count; i++)
		count += input->words[i] == MERGE_OUTSIDE;
	return count;
}

/* How many times the interpreter has called somebody who is still at it. */
static size_t count_left(const struct merge_input *input)
{
	size_t count = 0;
	for (size_t i = 0; i + 1 < input->frame_count; i++)
		count += !input->is_library[i] && input->is_library[i + 1];
	return count;
}

static void put_joined(struct merge *merge)
{
	do {
		skip_run(merge);
		int called = put_words(merge);
		if (!called)
			break;
		put_frames(merge);
	} while (merge->frames && merge->words);
	while (put_frames(merge), merge->frames) {
		if (merge->frames > 1) /* the leaf is put down last */
			put(merge, (struct merge_item){ MERGE_FRAME, (uint32_t)merge->frames - 1 });
		skip_run(merge);
	}
	put_words(merge); /* one that has been made this moment */
}

static void put_all_words(struct merge *merge)
{
	size_t behind = frames_behind_last_run(merge->input);
	if (merge->input->is_cut)
		put(merge, (struct merge_item){ .kind = MERGE_CUT });
	for (size_t i = merge->words; i-- > 0;) {
		/* The innermost one is among the frames that follow. */
		if (i == 0 && behind && merge->input->words[0] == MERGE_OUTSIDE)
			continue;
		put(merge, (struct merge_item){ MERGE_WORD, (uint32_t)i });
	}
	for (size_t i = behind; i-- > 0;)
		put(merge, (struct merge_item){ MERGE_FRAME, (uint32_t)i });
}

size_t merge_stack(const struct merge_input *input, struct merge_item ret_items[static MERGE_ITEMS_MAX])
{
	struct merge merge = { .input = input, .items = ret_items };
	merge.frames = input->frame_count;
	merge.words = input->word_count;
	if (input->is_complete || input->frame_count)
		put_frames(&merge);
	/* Nobody is in the interpreter (any more, or yet): what it says it calls is old. */
	if (!merge.frames && input->is_complete)
		return merge.count;
	if (!merge.frames) { /* all frames seen are of somebody whom it has called, at any depth */
		merge.count = 0;
		put_all_words(&merge);
		return merge.count;
	}
	size_t outside = count_outside(input), left = count_left(input);
	/* The innermost may not have begun yet. */
	int fits = outside <= left || (outside == left + 1 && input->words[0] == MERGE_OUTSIDE);
	if (input->is_complete && !input->is_cut && fits)
		put_joined(&merge);
	else
		put_all_words(&merge);
	put_leaf(&merge);
	return merge.count;
}
