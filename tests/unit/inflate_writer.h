/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes deflate streams symbol by symbol (RFC 1951), with codes that no compressor would choose, and keeps
 * the plain bytes that they stand for.
 */
#ifndef TESTS_INFLATE_WRITER_H
#define TESTS_INFLATE_WRITER_H

#include "unit/inflate_peer.h"

enum {
	WRITER_LITLEN_COUNT = 288,
	WRITER_DISTANCE_COUNT = 32,
	WRITER_END = 256,
	WRITER_LENGTH_MAX = 258,
	WRITER_DISTANCE_MAX = 32768,
	WRITER_CODE_BITS_MAX = 15,
};

struct writer_alphabet {
	uint8_t lengths[WRITER_LITLEN_COUNT]; /* 0: the symbol has no code */
	uint16_t codes[WRITER_LITLEN_COUNT];
};

struct writer {
	struct bits bits;
	struct bytes plain;
	struct writer_alphabet litlen, distance;
	size_t history_bytes; /* see writer_history() */
};

PEER void writer_reset(struct writer *writer)
{
	bytes_free(&writer->bits.bytes);
	writer->plain.count = 0;
	writer->history_bytes = 0;
	writer->bits = (struct bits){ 0 };
}

/* Canonical codes (RFC 1951 3.2.2). */
PEER void writer_number(struct writer_alphabet *alphabet)
{
	uint32_t code = 0;
	for (unsigned length = 1; length <= WRITER_CODE_BITS_MAX; length++, code <<= 1)
		for (unsigned i = 0; i < WRITER_LITLEN_COUNT; i++)
			if (alphabet->lengths[i] == length)
				alphabet->codes[i] = (uint16_t)code++;
}

PEER void writer_clear_lengths(struct writer *writer)
{
	writer->litlen = writer->distance = (struct writer_alphabet){ 0 };
}

PEER void writer_begin_fixed(struct writer *writer, unsigned last)
{
	writer_clear_lengths(writer);
	for (unsigned i = 0; i < WRITER_LITLEN_COUNT; i++)
		writer->litlen.lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	for (unsigned i = 0; i < WRITER_DISTANCE_COUNT; i++)
		writer->distance.lengths[i] = 5;
	writer_number(&writer->litlen);
	writer_number(&writer->distance);
	bits_append(&writer->bits, last, 1);
	bits_append(&writer->bits, 1, 2);
}

/* With the code lengths that the writer has; no more of them than there must be. */
PEER void writer_begin_dynamic(struct writer *writer, unsigned last)
{
	uint8_t lengths[WRITER_LITLEN_COUNT + WRITER_DISTANCE_COUNT];
	unsigned litlen_count = WRITER_LITLEN_COUNT, distance_count = WRITER_DISTANCE_COUNT;
	while (litlen_count > 257 && writer->litlen.lengths[litlen_count - 1] == 0)
		litlen_count--;
	while (distance_count > 1 && writer->distance.lengths[distance_count - 1] == 0)
		distance_count--;
	memcpy(lengths, writer->litlen.lengths, litlen_count);
	memcpy(lengths + litlen_count, writer->distance.lengths, distance_count);
	bits_append_dynamic(&writer->bits, last, lengths, litlen_count, distance_count);
	writer_number(&writer->litlen);
	writer_number(&writer->distance);
}

PEER void writer_stored(struct writer *writer, unsigned last, const void *plain, uint32_t count)
{
	bits_append_stored(&writer->bits, last, plain, count);
	bytes_append(&writer->plain, plain, count);
}

PEER void writer_symbol(struct writer *writer, const struct writer_alphabet *alphabet, unsigned symbol)
{
	if (alphabet->lengths[symbol] == 0)
		abort(); /* the test is wrong */
	bits_append_code(&writer->bits, alphabet->codes[symbol], alphabet->lengths[symbol]);
}

PEER void writer_literal(struct writer *writer, unsigned byte)
{
	writer_symbol(writer, &writer->litlen, byte);
	bytes_append_byte(&writer->plain, byte);
}

PEER void writer_literals(struct writer *writer, unsigned byte, unsigned count)
{
	while (count--)
		writer_literal(writer, byte);
}

PEER void writer_end(struct writer *writer)
{
	writer_symbol(writer, &writer->litlen, WRITER_END);
}

/* RFC 1951 3.2.5: a value of 1 and above is a symbol and extra bits. In the table of lengths as in that of
 * distances, after a first group the symbols go by `per_power` for each power of two. */
PEER unsigned writer_split(unsigned value, unsigned per_power, unsigned *ret_extra_bits, unsigned *ret_extra)
{
	unsigned number = value - 1, extra_bits = 0;
	while (number >> extra_bits >= 2 * per_power)
		extra_bits++;
	*ret_extra_bits = extra_bits;
	*ret_extra = number & ((1u << extra_bits) - 1);
	return extra_bits * per_power + (number >> extra_bits);
}

PEER unsigned writer_distance_symbol(unsigned distance)
{
	unsigned extra_bits, extra;
	return writer_split(distance, 2, &extra_bits, &extra);
}

/* 258 has a symbol of its own. */
PEER unsigned writer_length_symbol(unsigned length)
{
	unsigned extra_bits, extra;
	return length == WRITER_LENGTH_MAX ? 285 : 257 + writer_split(length - 2, 4, &extra_bits, &extra);
}

PEER void writer_append_distance(struct writer *writer, unsigned distance)
{
	unsigned extra_bits, extra, symbol = writer_split(distance, 2, &extra_bits, &extra);
	writer_symbol(writer, &writer->distance, symbol);
	bits_append(&writer->bits, extra, extra_bits);
}

PEER void writer_copy(struct writer *writer, unsigned length, unsigned distance)
{
	struct bytes *plain = &writer->plain;
	if (distance > plain->count)
		return; /* a match that is to be refused */
	bytes_reserve(plain, length);
	for (; length; length--)
		bytes_append_byte(plain, plain->base[plain->count - distance]);
}

PEER void writer_match(struct writer *writer, unsigned length, unsigned distance)
{
	unsigned extra_bits = 0, extra = 0, symbol = 285;
	if (length != WRITER_LENGTH_MAX)
		symbol = 257 + writer_split(length - 2, 4, &extra_bits, &extra);
	writer_symbol(writer, &writer->litlen, symbol);
	bits_append(&writer->bits, extra, extra_bits);
	writer_append_distance(writer, distance);
	writer_copy(writer, length, distance);
}

/* The longest match, the odd way: 227 and 31 more. */
PEER void writer_match_258_odd(struct writer *writer, unsigned distance)
{
	writer_symbol(writer, &writer->litlen, 284);
	bits_append(&writer->bits, 31, 5);
	writer_append_distance(writer, distance);
	writer_copy(writer, WRITER_LENGTH_MAX, distance);
}

/* ---- codes */

/* Gives `count` symbols codes of about the same length that together take 1 / 2^taken_bits of the code space:
 * the whole when it is 0. */
PEER void writer_even_code(struct writer_alphabet *alphabet, const uint16_t *symbols, unsigned count,
			   unsigned taken_bits)
{
	unsigned bits = 0;
	while (1u << bits < count)
		bits++;
	unsigned short_count = (1u << bits) - count; /* so many are a bit shorter */
	for (unsigned i = 0; i < count; i++)
		alphabet->lengths[symbols[i]] = (uint8_t)(taken_bits + bits - (i < short_count));
}

/* A complete code at random: splits some code in two until all symbols have one. */
PEER void writer_random_code(struct writer_alphabet *alphabet, const uint16_t *symbols, unsigned count,
			     unsigned skew, uint64_t *seed)
{
	alphabet->lengths[symbols[0]] = 0;
	for (unsigned made = 1; made < count;) {
		/* With skew it is more often one that was split just now: long codes. */
		uint64_t drawn = peer_random(seed);
		unsigned which = (drawn >> 20) % 8 < skew ? made - 1 : (unsigned)(drawn % made);
		uint8_t length = alphabet->lengths[symbols[which]];
		if (length == WRITER_CODE_BITS_MAX) {
			for (which = 0; alphabet->lengths[symbols[which]] == WRITER_CODE_BITS_MAX;)
				which++;
			length = alphabet->lengths[symbols[which]];
		}
		alphabet->lengths[symbols[which]] = alphabet->lengths[symbols[made]] = (uint8_t)(length + 1);
		made++;
	}
	if (count == 1)
		alphabet->lengths[symbols[0]] = 1; /* the one incomplete code there is */
}

/* ---- around the symbols of interest */

enum writer_depth {
	WRITER_BARE,
	/* Behind as much as a distance can reach, with symbols before it and input behind it: where a decoder
	 * can do without the checks that it needs at the beginning and at the end. */
	WRITER_DEEP,
	WRITER_DEPTHS,
};
enum { WRITER_WARM_SYMBOLS = 70, WRITER_TAIL_BYTES = 100 };

/* What comes before that which a test is about; it is not cut at every byte. */
PEER void writer_history(struct writer *writer, unsigned count)
{
	struct bytes noise = { 0 };
	peer_append_noise(&noise, count, &(uint64_t){ 97 });
	writer_stored(writer, 0, noise.base, count);
	bytes_free(&noise);
	writer->history_bytes = count;
}

PEER void writer_begin(struct writer *writer, enum writer_depth depth)
{
	if (depth == WRITER_DEEP)
		writer_history(writer, WRITER_DISTANCE_MAX);
}

/* Within the block. */
PEER void writer_warm(struct writer *writer, enum writer_depth depth, unsigned literal)
{
	if (depth == WRITER_DEEP)
		writer_literals(writer, literal, WRITER_WARM_SYMBOLS);
}

/* A last block behind the others. */
PEER void writer_tail(struct writer *writer)
{
	uint8_t noise[WRITER_TAIL_BYTES];
	for (unsigned i = 0; i < WRITER_TAIL_BYTES; i++)
		noise[i] = (uint8_t)(i * i);
	writer_stored(writer, 1, noise, sizeof noise);
}

/* What the writer has written, as a member; the bits are consumed. */
PEER void writer_wrap(struct writer *writer, struct bytes *gzip)
{
	peer_append_bits(gzip, &writer->bits, writer->plain.base, writer->plain.count);
}

/* As peer_expect(), but with the first `from` bytes in one piece. */
PEER void peer_expect_behind(struct peer *peer, const struct bytes *gzip, size_t from, enum fault fault,
			     const struct bytes *plain)
{
	struct peer_reference reference = peer_reference_of(gzip);
	uint64_t seed = gzip->count;
	peer_check_reference(&reference, fault);
	for (size_t split = from; split < gzip->count; split++) {
		peer_run_split(peer, gzip, split, PEER_PIECE_BYTES_MAX);
		peer_check_end(peer, fault, &reference, plain->base, plain->count);
	}
	for (size_t room = 4; room < PEER_ROOM_COUNT; room++) {
		peer_run(peer, gzip, PEER_PIECE_BYTES_MAX, peer_rooms[room], NULL);
		peer_check_end(peer, fault, &reference, plain->base, plain->count);
	}
	for (size_t piece = 1; piece < 1000; piece *= 9) {
		peer_begin(peer);
		if (peer_feed(peer, gzip->base, from, PEER_PIECE_BYTES_MAX, 3000, NULL) &&
		    peer_feed(peer, gzip->base + from, gzip->count - from, piece, 3000, &seed))
			peer->fault = inflate_end(peer->inflate);
		peer_check_end(peer, fault, &reference, plain->base, plain->count);
		peer_run_window(peer, gzip, 1000 + peer_random(&seed) % 99,
				INFLATE_ROOM_BYTES + peer_random(&seed) % 999, peer_random(&seed) % 99);
		peer_check_end(peer, fault, &reference, plain->base, plain->count);
	}
	bytes_free(&reference.plain);
}

/* Runs what the writer has written in all ways, in which all must end with this verdict and zlib's; the bits
 * are consumed. */
PEER void writer_expect(struct writer *writer, struct peer *peer, enum fault fault)
{
	struct bytes gzip = { 0 };
	writer_wrap(writer, &gzip);
	if (writer->history_bytes)
		peer_expect_behind(peer, &gzip, writer->history_bytes, fault, &writer->plain);
	else
		peer_expect(peer, &gzip, fault, writer->plain.base, writer->plain.count);
	bytes_free(&gzip);
}

#endif
