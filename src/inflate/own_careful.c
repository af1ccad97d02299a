/* SPDX-License-Identifier: Apache-2.0
 *
 * One symbol after the other, with every check, at any split of input and output: the first symbols of a
 * block, the last bytes of a piece, and whatever the fast loop and own_near.c leave. It is also what both are
 * compared with.
 */
#include "inflate/own.h"

/* A code longer than a table's index. Codes of one length are consecutive numbers, read from the first bit
 * on. */
own_entry own_long_find(const struct own_codes *codes, const own_entry *entries, uint64_t bits)
{
	unsigned code = 0;
	for (unsigned count = 1; count <= OWN_CODE_BITS_MAX; count++) {
		code = code << 1 | (unsigned)(bits & 1);
		bits >>= 1;
		unsigned offset = code - codes->first[count];
		if (code >= codes->first[count] && offset < codes->counts[count])
			return own_entry_with_code(entries[codes->symbols[codes->at[count] + offset]], count);
	}
	return 0; /* a complete code has no such bits */
}

static unsigned exception_code_bits(own_entry entry)
{
	return entry >> 24 & 255;
}

/* 0: more bits are needed. */
static int entry_is_here(const struct own *own, own_entry entry)
{
	return (own_is_exception(entry) ? exception_code_bits(entry) : own_total_bits(entry)) <=
	       own->bit_count;
}

/* Consumes it: minus the base, minus the extra bits. */
static int take_value(struct own *own, own_entry entry)
{
	unsigned extra = own_peek(own, own_total_bits(entry)) >> own_code_bits(entry);
	own_drop(own, own_total_bits(entry));
	return (int16_t)(entry >> 48) - (int)extra;
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
	own_entry entry = own->distance[own_peek(own, OWN_DISTANCE_BITS)];
	if (own_is_exception(entry) && own_exception_kind(entry) == OWN_LONG)
		entry = own_long_find(&own->distance_codes, own_distance_entries, own->bits);
	if (!entry_is_here(own, entry))
		return STEP_HUNGRY;
	if (own_is_exception(entry))
		return STEP_BROKEN;
	own->copy_distance = (unsigned)-take_value(own, entry);
	if (own->copy_distance > own->plain_bytes)
		return STEP_BROKEN; /* before the stream's first byte */
	own->copy_bytes = own->pending;
	own->pending = 0;
	return STEP_DONE;
}

static enum step litlen_step(struct own *own, struct cursor_out *out)
{
	own_entry entry = own->litlen[own_peek(own, OWN_LITLEN_BITS)];
	if (own_is_exception(entry) && own_exception_kind(entry) == OWN_LONG)
		entry = own_long_find(&own->litlen_codes, own_litlen_entries, own->bits);
	if (!entry_is_here(own, entry))
		return STEP_HUNGRY;
	if (own_is_exception(entry)) {
		if (own_exception_kind(entry) != OWN_END)
			return STEP_BROKEN;
		own_drop(own, exception_code_bits(entry));
		own->state = own->is_final ? OWN_ENDED : OWN_BLOCK;
	} else if (entry & OWN_ENTRY_LITERAL_COUNT) {
		own_drop(own, own_total_bits(entry));
		*out->next++ = (uint8_t)(entry >> 16);
		own->plain_bytes++;
	} else {
		own->pending = (unsigned)(-take_value(own, entry) + OWN_NEGATED_LENGTH(0));
	}
	return STEP_DONE;
}

enum step own_careful_push(struct own *own, struct cursor_in *in, struct cursor_out *out,
			   unsigned symbols_max)
{
	for (unsigned count = 0;; count++) {
		if (own->copy_bytes)
			copy_match(own, out);
		if (own->copy_bytes)
			return STEP_FULL;
		if (count == symbols_max || own->state != OWN_SYMBOLS)
			return STEP_DONE;
		if (out->next == out->end)
			return STEP_FULL;
		own_refill(own, in);
		enum step step = own->pending ? distance_step(own) : litlen_step(own, out);
		if (step != STEP_DONE)
			return step;
	}
}
