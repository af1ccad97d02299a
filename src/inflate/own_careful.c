/* SPDX-License-Identifier: Apache-2.0
 *
 * One symbol after the other, with every check, at any split of input and output: the first 32 KB of a
 * stream, the last bytes of a piece, and whatever the fast loop leaves. It is also what the fast loop is
 * compared with.
 */
#include <string.h>

#include "inflate/own.h"

/* A code longer than a table's index. Codes of one length are consecutive numbers, read from the first bit
 * on. */
static struct own_symbol long_find(const struct own_long_codes *codes, const struct own_symbol *symbols,
				   uint64_t bits)
{
	unsigned code = 0;
	for (unsigned count = 1; count <= OWN_CODE_BITS_MAX; count++) {
		code = code << 1 | (unsigned)(bits & 1);
		bits >>= 1;
		unsigned offset = code - codes->first[count];
		if (code >= codes->first[count] && offset < codes->counts[count]) {
			struct own_symbol symbol = symbols[codes->symbols[codes->at[count] + offset]];
			symbol.code_bits = (uint8_t)count;
			return symbol;
		}
	}
	return (struct own_symbol){ .kind = OWN_BAD, .code_bits = OWN_CODE_BITS_MAX };
}

/* 0: more bits are needed. */
static int symbol_is_here(const struct own *own, struct own_symbol symbol)
{
	return (unsigned)symbol.code_bits + symbol.extra_bits <= own->bit_count;
}

static unsigned take_value(struct own *own, struct own_symbol symbol)
{
	own_drop(own, symbol.code_bits);
	unsigned value = symbol.value + own_peek(own, symbol.extra_bits);
	own_drop(own, symbol.extra_bits);
	return value;
}

/* Copies as much of the match as there is room for. */
static void copy_match(struct own *own, struct cursor_out *out)
{
	size_t room_bytes = cursor_out_bytes(out);
	size_t bytes = own->copy_bytes < room_bytes ? own->copy_bytes : room_bytes;
	const uint8_t *from = out->next - own->copy_distance;
	if (own->copy_distance >= bytes)
		memcpy(out->next, from, bytes);
	else
		for (size_t i = 0; i < bytes; i++)
			out->next[i] = from[i];
	out->next += bytes;
	own->copy_bytes -= (unsigned)bytes;
	own->plain_bytes += bytes;
}

static enum step distance_step(struct own *own)
{
	struct own_symbol symbol = own->distance[own_peek(own, OWN_DISTANCE_BITS)];
	if (symbol.kind == OWN_LONG)
		symbol = long_find(&own->distance_long, own_distance_symbols, own->bits);
	if (!symbol_is_here(own, symbol))
		return STEP_HUNGRY;
	if (symbol.kind == OWN_BAD)
		return STEP_BROKEN;
	own->copy_distance = take_value(own, symbol);
	if (own->copy_distance > own->plain_bytes)
		return STEP_BROKEN; /* before the stream's first byte */
	own->copy_bytes = own->pending;
	own->pending = 0;
	return STEP_DONE;
}

static enum step litlen_step(struct own *own, struct cursor_out *out)
{
	struct own_symbol symbol = own->litlen[own_peek(own, OWN_LITLEN_BITS)];
	if (symbol.kind == OWN_LONG)
		symbol = long_find(&own->litlen_long, own_litlen_symbols, own->bits);
	if (!symbol_is_here(own, symbol))
		return STEP_HUNGRY;
	switch ((enum own_kind)symbol.kind) {
	case OWN_LITERAL:
		own_drop(own, symbol.code_bits);
		*out->next++ = (uint8_t)symbol.value;
		own->plain_bytes++;
		return STEP_DONE;
	case OWN_BASE:
		own->pending = take_value(own, symbol);
		return STEP_DONE;
	case OWN_END:
		own_drop(own, symbol.code_bits);
		own->state = own->is_final ? OWN_ENDED : OWN_BLOCK;
		return STEP_DONE;
	case OWN_LONG:
	case OWN_BAD:
		break;
	}
	return STEP_BROKEN;
}

enum step own_careful_push(struct own *own, struct cursor_in *in, struct cursor_out *out,
			   unsigned symbols_max)
{
	for (unsigned count = 0; count < symbols_max && own->state == OWN_SYMBOLS; count++) {
		if (out->next == out->end)
			return STEP_FULL;
		own_refill(own, in);
		enum step step = own->pending ? distance_step(own) : litlen_step(own, out);
		if (step != STEP_DONE)
			return step;
		if (own->copy_bytes)
			copy_match(own, out);
		if (own->copy_bytes)
			return STEP_FULL;
	}
	return STEP_DONE;
}
