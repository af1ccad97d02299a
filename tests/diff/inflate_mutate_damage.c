/* SPDX-License-Identifier: Apache-2.0
 *
 * Damage: bits, bytes, shifts by bits and bytes, pieces of other streams, and what block headers say; several
 * at once, anywhere, or where decoders have their seams.
 */
#include "inflate_mutate.h"

enum {
	DYNAMIC_HEADER_BITS = 17, /* last, type, HLIT, HDIST, HCLEN */
	PRECODE_BITS = 19 * 3,
	CODE_LENGTHS_BITS = 400, /* about */
	STREAM_END_BYTES = 64,	 /* here fast loops have given way to careful ones */
	PIECE_BYTES_MAX = 300,
};

static size_t below(uint64_t *seed, uint64_t limit)
{
	return peer_random(seed) % limit;
}

/* A bit of the stream that is worth damaging. The stream is not empty. */
static size_t draw_bit(const struct bytes *stream, const struct base *base, uint64_t *seed)
{
	size_t bits = stream->count * 8, at = 0, warm_bits = base->warm_bytes * 8;
	switch (below(seed, 8)) {
	case 0:
		break;
	case 1:
	case 2:
		if (base->block_count) {
			static const unsigned reach[] = { 3, DYNAMIC_HEADER_BITS,
							  DYNAMIC_HEADER_BITS + PRECODE_BITS,
							  DYNAMIC_HEADER_BITS + PRECODE_BITS +
								  CODE_LENGTHS_BITS };
			/* Blocks that only warm up come first. */
			size_t block = base->block_count - 1 - below(seed, base->block_count);
			at = base->block_bits[block] + below(seed, reach[below(seed, 4)]);
			break;
		}
		/* fallthrough */
	case 3:
		at = bits - 1 - below(seed, STREAM_END_BYTES * 8 < bits ? STREAM_END_BYTES * 8 : bits);
		break;
	case 4: /* the first after the header */
		at = 80 + below(seed, 400);
		break;
	default:
		at = warm_bits < bits ? warm_bits + below(seed, bits - warm_bits) : 0;
	}
	return at && at < bits ? at : below(seed, bits);
}

static void flip(struct bytes *stream, size_t bit)
{
	stream->base[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void set_bits(struct bytes *stream, size_t at, uint32_t value, unsigned count)
{
	for (unsigned i = 0; i < count && (at + i) / 8 < stream->count; i++)
		if ((stream->base[(at + i) / 8] >> (at + i) % 8 & 1) != (value >> i & 1))
			flip(stream, at + i);
}

static void remove_bytes(struct bytes *stream, size_t at, size_t count)
{
	if (count > stream->count - at)
		count = stream->count - at;
	memmove(stream->base + at, stream->base + at + count, stream->count - at - count);
	stream->count -= count;
}

/* Room for `count` bytes at `at`, which hold what was there before. */
static void insert_room(struct bytes *stream, size_t at, size_t count)
{
	bytes_reserve(stream, count);
	memmove(stream->base + at + count, stream->base + at, stream->count - at);
	stream->count += count;
	if (at + count < stream->count)
		memmove(stream->base + at, stream->base + at + count,
			count < stream->count - at - count ? count : stream->count - at - count);
}

/* All that follows comes a bit later, or earlier: every code after it is cut at other places. */
static void shift_bits(struct bytes *stream, size_t at, int later)
{
	size_t byte = at / 8;
	uint8_t low = (uint8_t)((1u << at % 8) - 1), kept = stream->base[byte] & low;
	unsigned carried = 0;
	if (later) {
		stream->base[byte] &= (uint8_t)~low;
		for (size_t i = byte; i < stream->count; i++) {
			unsigned shifted = (unsigned)stream->base[i] << 1 | carried;
			carried = stream->base[i] >> 7;
			stream->base[i] = (uint8_t)shifted;
		}
		stream->base[byte] = (uint8_t)((stream->base[byte] & ~low) | kept);
		return;
	}
	for (size_t i = stream->count; i-- > byte;) {
		unsigned shifted = stream->base[i] >> 1 | carried << 7;
		carried = stream->base[i] & 1;
		stream->base[i] = (uint8_t)shifted;
	}
	stream->base[byte] = (uint8_t)((stream->base[byte] & ~low) | kept);
}

/* A piece of another stream over a piece of this one, or in place of all that follows. */
static void splice(struct bytes *stream, size_t at, const struct base *other, uint64_t *seed)
{
	size_t from = below(seed, other->gzip.count);
	if (other->block_count && below(seed, 2))
		from = other->block_bits[below(seed, other->block_count)] / 8;
	size_t count = other->gzip.count - from;
	if (below(seed, 3)) {
		if (count > PIECE_BYTES_MAX)
			count = 1 + below(seed, PIECE_BYTES_MAX);
		if (count > stream->count - at)
			count = stream->count - at;
		memcpy(stream->base + at, other->gzip.base + from, count);
		return;
	}
	if (count > 20000)
		count = 20000;
	stream->count = at;
	bytes_append(stream, other->gzip.base + from, count);
}

/* What a block says of itself: last or not, its type, how many codes; a stored one another length, well
 * formed, so that it ends elsewhere. */
static void edit_block(struct bytes *stream, const struct base *base, uint64_t *seed)
{
	size_t at = base->block_count ? base->block_bits[below(seed, base->block_count)] : 80;
	switch (below(seed, 4)) {
	case 0:
		set_bits(stream, at, (uint32_t)below(seed, 8), 3);
		return;
	case 1:
		set_bits(stream, at + 3, (uint32_t)below(seed, 1 << 14), 14);
		return;
	case 2:
		set_bits(stream, at + DYNAMIC_HEADER_BITS + 3 * below(seed, 19), (uint32_t)below(seed, 8), 3);
		return;
	default: {
		uint32_t length = (uint32_t)below(seed, below(seed, 2) ? 300 : 65536);
		set_bits(stream, at, (uint32_t)below(seed, 2), 3);
		set_bits(stream, (at + 3 + 7) / 8 * 8, length | ~length << 16, 32);
	}
	}
}

static void cut(struct bytes *stream, size_t at, uint64_t *seed)
{
	stream->count = at;
	if (below(seed, 4) == 0) /* and something else follows */
		for (size_t count = below(seed, 40); count; count--)
			bytes_append_byte(stream, below(seed, 2) ? 0 : (unsigned)below(seed, 256));
}

static void damage_once(struct bytes *stream, const struct base *base, const struct base *other,
			uint64_t *seed)
{
	size_t bit = draw_bit(stream, base, seed), at = bit / 8, count = 1 + below(seed, 8);
	switch (below(seed, 16)) {
	default:
		flip(stream, bit);
		return;
	case 6:
	case 7:
		stream->base[at] = (uint8_t)below(seed, 256);
		return;
	case 8: /* random bytes */
		for (; count && at < stream->count; count--, at++)
			stream->base[at] = (uint8_t)below(seed, 256);
		return;
	case 9: /* equal bytes */
		for (; count && at < stream->count; count--, at++)
			stream->base[at] = bit & 1 ? 0xff : 0;
		return;
	case 10:
		remove_bytes(stream, at, count);
		return;
	case 11: /* doubled bytes; or others */
		insert_room(stream, at, count);
		if (bit & 1)
			for (; count; count--)
				stream->base[at + count - 1] = (uint8_t)below(seed, 256);
		return;
	case 12:
		shift_bits(stream, bit, (int)below(seed, 2));
		return;
	case 13:
		splice(stream, at, other, seed);
		return;
	case 14:
		edit_block(stream, base, seed);
		return;
	case 15:
		cut(stream, at, seed);
	}
}

/* One thing in half of all streams, up to eight in others; one stream in 32 is left whole. */
void damage(struct bytes *stream, const struct base *base, const struct base *other, uint64_t *seed)
{
	size_t times = below(seed, 2) ? 1 : 1 + below(seed, 1 + below(seed, 8));
	if (below(seed, 32) == 0)
		return;
	for (; times && stream->count; times--)
		damage_once(stream, base, other, seed);
}
