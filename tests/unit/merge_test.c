/* SPDX-License-Identifier: Apache-2.0
 *
 * Native frames and calls of a program into one stack, on made-up stacks. Frames are written from the root
 * on, "L" for one of the interpreter's library and any other letter for another; calls likewise, "l" in Lua,
 * "i" a C function inside the library, "o" one outside. The result is frames as they were written, "<0>" for
 * the call with that place from the root, and "~" where some are missing.
 */
#include "profiler/merge.h"
#include "test.h"

enum { TEXT_MAX = 1024 };

static const char *merged_cut(const char *frames, const char *words, int is_cut, int is_complete)
{
	static char text[TEXT_MAX];
	uint8_t is_library[UNWIND_FRAMES_MAX] = { 0 };
	uint8_t kinds[INTERPRETER_FRAMES_MAX] = { 0 };
	struct merge_item items[MERGE_ITEMS_MAX];
	size_t frame_count = strlen(frames), word_count = strlen(words), used = 0;
	for (size_t i = 0; i < frame_count; i++)
		is_library[frame_count - 1 - i] = frames[i] == 'L';
	for (size_t i = 0; i < word_count; i++)
		kinds[word_count - 1 - i] = words[i] == 'l'   ? MERGE_LUA
					    : words[i] == 'i' ? MERGE_INSIDE
							      : MERGE_OUTSIDE;
	const struct merge_input input = { is_library, frame_count, kinds, word_count, is_cut, is_complete };
	size_t count = merge_stack(&input, items);
	LE(count, MERGE_ITEMS_MAX);
	text[0] = 0;
	for (size_t i = 0; i < count; i++)
		if (items[i].kind == MERGE_WORD)
			used += (size_t)snprintf(text + used, TEXT_MAX - used, "<%zu>",
						 word_count - 1 - items[i].index);
		else
			used += (size_t)snprintf(
				text + used, TEXT_MAX - used, "%c",
				items[i].kind == MERGE_CUT ? '~' : frames[frame_count - 1 - items[i].index]);
	return text;
}

static const char *merged(const char *frames, const char *words, int is_complete)
{
	return merged_cut(frames, words, 0, is_complete);
}

static void one_run(void)
{
	EQ_TEXT(merged("abLLL", "ll", 1), "ab<0><1>L");
	EQ_TEXT(merged("abLLLm", "ll", 1), "ab<0><1>m"); /* memcpy(), called by the interpreter */
	EQ_TEXT(merged("aL", "lil", 1), "a<0><1><2>L");
	EQ_TEXT(merged("aLm", "li", 1), "a<0><1>m"); /* string.rep, which calls memcpy() */
	EQ_TEXT(merged("L", "l", 1), "<0>L");
}

static void functions_between(void)
{
	EQ_TEXT(merged("aLLcLL", "lol", 1), "a<0>c<2>L");
	EQ_TEXT(merged("aLcdLe", "llolo", 1), "a<0><1>cd<3>e");
	EQ_TEXT(merged("aLLcLLdLLe", "lololo", 1), "a<0>c<2>d<4>e");
	EQ_TEXT(merged("aLc", "lo", 1), "a<0>c");
	/* The outermost call is one of ours. */
	EQ_TEXT(merged("aLcLL", "ol", 1), "ac<1>L");
}

/* What the interpreter calls that is no call of the program's. */
static void behind_the_calls(void)
{
	EQ_TEXT(merged("aLLm", "l", 1), "a<0>m");     /* the allocator */
	EQ_TEXT(merged("aLLhLL", "l", 1), "a<0>hLL"); /* a hook that raises */
	EQ_TEXT(merged("aLcL", "lo", 1), "a<0>cL");
	EQ_TEXT(merged("aLcLLm", "lo", 1), "a<0>cLm"); /* a C function makes a string */
	EQ_TEXT(merged("aLcLLm", "lol", 1), "a<0>c<2>m");
}

/* Samples of the moment in which a call begins or ends. */
static void between_two_moments(void)
{
	EQ_TEXT(merged("aLL", "lo", 1), "a<0>L"); /* the C function has no frame yet */
	EQ_TEXT(merged("aLcLL", "lolo", 1), "a<0>c<2>L");
	EQ_TEXT(merged("ab", "ll", 1), "ab"); /* the interpreter is not entered yet */
	EQ_TEXT(merged("aLL", "", 1), "aL");  /* nothing is called yet */
	EQ_TEXT(merged("", "ll", 1), "");
	/* Calls from before: all of them, once. */
	EQ_TEXT(merged("aLL", "lool", 1), "a<0><1><2><3>L");
}

static void what_is_cut(void)
{
	/* Of the native stack the root is missing. */
	EQ_TEXT(merged("LcLL", "lololl", 0), "<0><1><2><3><4><5>L");
	EQ_TEXT(merged("cd", "lllo", 0), "<0><1><2>cd");
	EQ_TEXT(merged("", "ll", 0), "<0><1>");
	/* Of the calls: which of ours they stand between is not known then. */
	EQ_TEXT(merged_cut("aL", "ll", 1, 1), "a~<0><1>L");
	EQ_TEXT(merged_cut("aLcLL", "lol", 1, 1), "a~<0><1><2>L");
}

/* Whatever is put in: each call in Lua is there, and none is there twice. */
static void nothing_is_lost(void)
{
	uint64_t random = 88172645463325252u;
	for (int round = 0; round < 200000; round++) {
		char frames[24] = "", words[16] = "";
		uint32_t seen = 0;
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		size_t frame_count = random % 20, word_count = random / 32 % 12;
		for (size_t i = 0; i < frame_count; i++)
			frames[i] = random >> (i + 16) & 1 ? 'L' : 'x';
		for (size_t i = 0; i < word_count; i++)
			words[i] = "llio"[random >> (2 * i + 24) & 3];
		const char *text = merged(frames, words, (int)(random >> 60 & 1));
		for (const char *at = text; (at = strchr(at, '<')); at++) {
			uint32_t bit = 1u << strtoul(at + 1, NULL, 10);
			EQ(seen & bit, 0);
			seen |= bit;
		}
		/* Calls in Lua are all there, where the interpreter is. */
		for (size_t i = 0; i < word_count && strchr(frames, 'L'); i++)
			if (words[i] == 'l')
				EQ(seen >> i & 1, 1);
	}
}

TEST_MAIN(T(one_run), T(functions_between), T(behind_the_calls), T(between_two_moments), T(what_is_cut),
	  T(nothing_is_lost))
