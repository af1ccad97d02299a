/* SPDX-License-Identifier: Apache-2.0
 *
 * sink's message format: whatever the bytes and however they are cut, the output is a strict JSON object a
 * line and decodes to the line (bad bytes replaced). The first two bytes of the input choose the cuts of
 * input and output.
 */
#include <stdlib.h>

#include "message.h"
#include "sink/escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Escapes everything with `output` of `piece` bytes at a time and input pieces of at most `cut`. */
static size_t escape_all(const uint8_t *lines, size_t bytes, uint8_t *target, size_t cut, size_t piece,
			 escape_run *run)
{
	struct escape escape = { .run = run };
	struct cursor_out output = { target, target };
	size_t taken = 0;
	enum step step;
	do {
		size_t take = bytes - taken < cut ? bytes - taken : cut;
		struct cursor_in input = { lines + taken, lines + taken + take };
		output.end = output.next + piece;
		step = escape_push(&escape, &input, &output, take == bytes - taken);
		size_t moved = (size_t)(input.next - (lines + taken));
		if (step != STEP_HUNGRY && step != STEP_FULL)
			abort();
		if (step == STEP_HUNGRY && moved != take)
			abort();
		taken += moved;
	} while (taken < bytes || step == STEP_FULL);
	if (escape.inside || escape.held_bytes)
		abort();
	return (size_t)(output.next - target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes < 2 || bytes > 1 << 16)
		return 0;
	size_t cut = 1 + data[0] % 64, piece = ESCAPE_ROOM_BYTES_MIN + data[1] % 64;
	data += 2;
	bytes -= 2;
	/* A byte becomes at most 6, an empty line 15; the slack is a whole piece. */
	size_t room_bytes = bytes * 16 + 256;
	uint8_t *whole = malloc(room_bytes), *cut_up = malloc(room_bytes), *scratch = malloc(room_bytes * 5);
	size_t whole_bytes = escape_all(data, bytes, whole, bytes + 1, room_bytes, NULL);
	if (message_compare(data, bytes, whole, whole_bytes, scratch) != 0)
		abort();
	escape_run *const kernels[] = { escape_run_portable, escape_run_avx512() };
	for (size_t i = 0; i < 2; i++) {
		size_t cut_up_bytes = escape_all(data, bytes, cut_up, cut, piece, kernels[i]);
		if (cut_up_bytes != whole_bytes || memcmp(whole, cut_up, whole_bytes) != 0)
			abort();
		cut_up_bytes = escape_all(data, bytes, cut_up, bytes + 1, room_bytes, kernels[i]);
		if (cut_up_bytes != whole_bytes || memcmp(whole, cut_up, whole_bytes) != 0)
			abort();
	}
	free(whole);
	free(cut_up);
	free(scratch);
	return 0;
}
