/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a dynamic block (RFC 1951, section 3.2.7): how many lengths there are, the code that they are
 * written in, and the lengths. Goes on at any bit: what cannot be read whole stays in the bit buffer.
 */
#include "inflate/own.h"

enum { END_OF_BLOCK = 256, LITLEN_MAX = 286, DISTANCE_MAX = 30 };
/* The counts, or a code of 7 bits with 7 extra bits. */
enum { HEADER_ITEM_BITS_MAX = 14 };

static enum step header_counts(struct own *own)
{
	if (own->bit_count < 14)
		return STEP_HUNGRY;
	own->litlen_count = own_peek(own, 5) + 257;
	own_drop(own, 5);
	own->distance_count = own_peek(own, 5) + 1;
	own_drop(own, 5);
	own->precode_count = own_peek(own, 4) + 4;
	own_drop(own, 4);
	if (own->litlen_count > LITLEN_MAX || own->distance_count > DISTANCE_MAX)
		return STEP_BROKEN;
	memset(own->lengths, 0, OWN_PRECODE_COUNT);
	own->index = 0;
	own->state = OWN_DYNAMIC_PRECODE;
	return STEP_DONE;
}

static enum step header_precode(struct own *own)
{
	static const uint8_t order[OWN_PRECODE_COUNT] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
							  11, 4,  12, 3, 13, 2, 14, 1, 15 };
	if (own->index < own->precode_count) {
		if (own->bit_count < 3)
			return STEP_HUNGRY;
		own->lengths[order[own->index++]] = (uint8_t)own_peek(own, 3);
		own_drop(own, 3);
		return STEP_DONE;
	}
	if (own_tables_precode(own) != 0)
		return STEP_BROKEN;
	own->index = 0;
	own->state = OWN_DYNAMIC_LENGTHS;
	return STEP_DONE;
}

/* One length, or one that is repeated. */
static enum step header_length(struct own *own)
{
	static const struct {
		uint8_t bits, least;
	} repeats[3] = { { 2, 3 }, { 3, 3 }, { 7, 11 } };
	own_entry entry = own->precode[own_peek(own, OWN_PRECODE_BITS)];
	unsigned code_bits = own_code_bits(entry), symbol = entry >> 16 & 255;
	if (code_bits > own->bit_count)
		return STEP_HUNGRY;
	if (symbol < 16) {
		own_drop(own, code_bits);
		own->lengths[own->index++] = (uint8_t)symbol;
		return STEP_DONE;
	}
	unsigned extra_bits = repeats[symbol - 16].bits;
	if (code_bits + extra_bits > own->bit_count)
		return STEP_HUNGRY;
	own_drop(own, code_bits);
	unsigned count = repeats[symbol - 16].least + own_peek(own, extra_bits);
	own_drop(own, extra_bits);
	if (own->index + count > own->litlen_count + own->distance_count || (symbol == 16 && own->index == 0))
		return STEP_BROKEN;
	memset(own->lengths + own->index, symbol == 16 ? own->lengths[own->index - 1] : 0, count);
	own->index += count;
	return STEP_DONE;
}

enum step own_header_push(struct own *own, struct cursor_in *in)
{
	for (;;) {
		enum step step;
		if (own->bit_count < HEADER_ITEM_BITS_MAX)
			own_refill(own, in);
		if (own->state == OWN_DYNAMIC_COUNTS)
			step = header_counts(own);
		else if (own->state == OWN_DYNAMIC_PRECODE)
			step = header_precode(own);
		else if (own->index < own->litlen_count + own->distance_count)
			step = header_length(own);
		else
			return own->lengths[END_OF_BLOCK] ? STEP_DONE : STEP_BROKEN;
		if (step != STEP_DONE)
			return step;
	}
}
