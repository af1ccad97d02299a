/* SPDX-License-Identifier: Apache-2.0
 *
 * The first 32 KB of a stream, where a distance may reach back to before it and has to be checked: symbol
 * after symbol like the careful loop, but with the state in registers, and only while there is enough of
 * input and room that neither can run out. A small page consists of nothing else.
 */
#include "inflate/own.h"

/* Two refills a turn, and one before the first; three literals and a match, which is copied in blocks. */
enum { NEAR_IN_BYTES = 24, NEAR_COPY_BYTES = 32, NEAR_OUT_BYTES = 3 + 258 + NEAR_COPY_BYTES };
/* At the least after a refill: three literals that the table knows, then a length with any code. */
enum { NEAR_BITS = OWN_BITS_MAX - 7 };
_Static_assert(NEAR_BITS >= 3 * OWN_LITLEN_BITS + OWN_CODE_BITS_MAX + 5, "the first refill is enough");
_Static_assert(NEAR_BITS >= OWN_CODE_BITS_MAX + 13, "so is the second, for a distance");

/* The room that it may fill. Behind 32 KB the fast loop is faster. */
static size_t near_room_bytes(const struct own *own, const struct cursor_out *out)
{
	size_t room_bytes = cursor_out_bytes(out);
	size_t until_bytes = (size_t)(OWN_LOOP_HISTORY_BYTES - own->plain_bytes) + NEAR_OUT_BYTES;
	return room_bytes < until_bytes ? room_bytes : until_bytes;
}

int own_near_is_possible(const struct own *own, const struct cursor_in *in, const struct cursor_out *out)
{
	return own->plain_bytes < OWN_LOOP_HISTORY_BYTES && own->copy_bytes == 0 && own->pending == 0 &&
	       cursor_in_bytes(in) >= NEAR_IN_BYTES && near_room_bytes(own, out) > NEAR_OUT_BYTES;
}

struct near {
	uint64_t bits;
	unsigned bit_count;
	const uint8_t *in;
};

static inline void near_refill(struct near *near)
{
	uint64_t more;
	memcpy(&more, near->in, sizeof more);
	near->bits |= le64toh(more) << near->bit_count;
	unsigned bytes = (OWN_BITS_MAX - near->bit_count) / 8;
	near->bit_count += 8 * bytes;
	near->in += bytes;
}

static inline void near_drop(struct near *near, unsigned count)
{
	near->bits >>= count;
	near->bit_count -= count;
}

/* Consumes a length or a distance: minus the base, minus the extra bits. */
static inline int near_take(struct near *near, own_entry entry)
{
	unsigned total = own_total_bits(entry);
	unsigned extra = (unsigned)(near->bits & ((UINT64_C(1) << total) - 1)) >> own_code_bits(entry);
	near_drop(near, total);
	return (int16_t)(entry >> 48) - (int)extra;
}

/* May write NEAR_COPY_BYTES more. */
static inline void near_copy(uint8_t *out, size_t distance, size_t count)
{
	const uint8_t *from = out - distance;
	if (distance >= 16) {
		memcpy(out, from, 16); /* most matches are no longer than two blocks */
		memcpy(out + 16, from + 16, 16);
		for (size_t i = 32; i < count; i += 16)
			memcpy(out + i, from + i, 16);
	} else if (distance >= 8) {
		for (size_t i = 0; i < count; i += 8)
			memcpy(out + i, from + i, 8);
	} else {
		for (size_t i = 0; i < count; i++)
			out[i] = from[i];
	}
}

static inline int is_literal(own_entry entry)
{
	return (entry & OWN_ENTRY_LITERAL_COUNT) != 0; /* which no exception has */
}

static inline uint8_t *near_literal(struct near *near, own_entry entry, uint8_t *at)
{
	near_drop(near, own_code_bits(entry));
	*at = (uint8_t)(entry >> 16);
	return at + 1;
}

void own_near_push(struct own *own, struct cursor_in *in, struct cursor_out *out)
{
	struct near near = { own->bits & ((UINT64_C(1) << own->bit_count) - 1), own->bit_count, in->next };
	const uint64_t litlen_mask = (1 << OWN_LITLEN_BITS) - 1, distance_mask = (1 << OWN_DISTANCE_BITS) - 1;
	const own_entry *litlen = own->litlen, *distances = own->distance;
	const uint8_t *in_limit = in->end - NEAR_IN_BYTES;
	const uint8_t *stream = out->next - own->plain_bytes; /* its first byte */
	uint8_t *at = out->next, *out_limit = at + near_room_bytes(own, out) - NEAR_OUT_BYTES;
	near_refill(&near);
	own_entry entry = litlen[near.bits & litlen_mask];
	while (near.in <= in_limit && at <= out_limit) {
		near_refill(&near);
		for (int i = 0; i < 3 && is_literal(entry); i++) {
			at = near_literal(&near, entry, at);
			entry = litlen[near.bits & litlen_mask];
		}
		if (own_is_exception(entry) && own_exception_kind(entry) == OWN_LONG)
			entry = own_long_find(&own->litlen_codes, own_litlen_entries, near.bits);
		if (is_literal(entry)) {
			at = near_literal(&near, entry, at);
			near_refill(&near);
			entry = litlen[near.bits & litlen_mask];
			continue;
		}
		if (own_is_exception(entry))
			break;
		size_t count = (size_t)(OWN_NEGATED_LENGTH(0) - near_take(&near, entry));
		near_refill(&near);
		entry = distances[near.bits & distance_mask];
		if (own_is_exception(entry) && own_exception_kind(entry) == OWN_LONG)
			entry = own_long_find(&own->distance_codes, own_distance_entries, near.bits);
		struct near before = near;
		size_t distance = own_is_exception(entry) ? SIZE_MAX : (size_t)-near_take(&near, entry);
		if (distance > (size_t)(at - stream)) {
			near = before;
			own->pending = (unsigned)count;
			break; /* own_careful.c says what that means */
		}
		/* Before the copy, so that it need not be waited for. */
		entry = litlen[near.bits & litlen_mask];
		near_copy(at, distance, count);
		at += count;
	}
	own->bits = near.bits;
	own->bit_count = near.bit_count;
	own->plain_bytes += (size_t)(at - out->next);
	own->symbols += (unsigned)(at - out->next) / 4; /* or so: it only matters that it grows */
	in->next = near.in;
	out->next = at;
}
