/* SPDX-License-Identifier: Apache-2.0
 *
 * merge: one stack from two, where a program is interpreted: native frames, and the calls of the program
 * (words, see bpf/interpreter.h). Decides the order only; knows neither addresses nor names. Internal to
 * profiler.
 */
#ifndef PROFILER_MERGE_H
#define PROFILER_MERGE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/shared.h"

enum merge_word {
	MERGE_LUA,     /* a function of the program */
	MERGE_INSIDE,  /* a C function of the interpreter's library (string.gsub): a call like any other */
	MERGE_OUTSIDE, /* another C function, which has a native frame, too */
};

struct merge_item {
	enum { MERGE_FRAME, MERGE_WORD, MERGE_CUT } kind; /* CUT: calls are missing here */
	uint32_t index;					  /* of the frame or word */
};
#define MERGE_ITEMS_MAX (UNWIND_FRAMES_MAX + INTERPRETER_FRAMES_MAX + 1)

struct merge_input {
	const uint8_t *is_library; /* of each frame, innermost first: it is the interpreter's */
	size_t frame_count;
	const uint8_t *words; /* enum merge_word, innermost first */
	size_t word_count;
	int is_cut;	 /* there may be more calls, further out */
	int is_complete; /* the frames go down to the root */
};

/* Items from the root on; returns their number. */
size_t merge_stack(const struct merge_input *input, struct merge_item ret_items[static MERGE_ITEMS_MAX]);

#endif
