/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: what must be refused inside of deflate data (RFC 1951), and where the border to what is legal
 * lies; at the beginning of a stream and far inside it, where a decoder may leave checks out.
 */
#include "unit/inflate_writer.h"

static struct peer peer;
static struct writer writer;
static struct bytes gzip;

static void fresh(void)
{
	peer_fresh(&peer);
	writer_reset(&writer);
	writer_clear_lengths(&writer);
	gzip.count = 0;
}

static void expect(enum fault fault)
{
	writer_expect(&writer, &peer, fault);
}

/* Behind what is refused: more input, so that it is not the end of it that is seen. */
static void append_rest(void)
{
	bits_append(&writer.bits, 0, 30);
	writer_tail(&writer);
}

/* RFC 1951 3.2.7 says which codes may be incomplete, and zlib takes it at its word: one distance code of one
 * bit, or none at all; and zlib accepts a single code of one bit for literals and lengths as well, though
 * nothing but the end of the block can have it. */
enum code_verdict { CODE_GOOD, CODE_OVERSUBSCRIBED, CODE_INCOMPLETE };

static enum code_verdict verdict_of(const uint8_t *lengths, unsigned count, int may_have_one,
				    int may_have_none)
{
	unsigned taken = 0, codes = 0, bits_max = 0;
	for (unsigned i = 0; i < count; i++)
		if (lengths[i]) {
			taken += 1u << (WRITER_CODE_BITS_MAX - lengths[i]);
			codes++;
			bits_max = lengths[i] > bits_max ? lengths[i] : bits_max;
		}
	if (taken > 1u << WRITER_CODE_BITS_MAX)
		return CODE_OVERSUBSCRIBED;
	if (taken == 1u << WRITER_CODE_BITS_MAX || (codes == 0 && may_have_none) ||
	    (bits_max == 1 && may_have_one))
		return CODE_GOOD;
	return CODE_INCOMPLETE;
}

/* 1: the verdict is not the engine's, which refuses only what uses a missing code. */
static int engine_accepts(enum code_verdict verdict)
{
	return verdict == CODE_INCOMPLETE && !peer_engine->refuses_incomplete_codes;
}

/* Takes `number` apart: lengths of 0 to `bits_max` for `count` symbols. */
static void set_lengths(struct writer_alphabet *alphabet, const uint16_t *symbols, unsigned count,
			unsigned bits_max, unsigned number)
{
	for (unsigned i = 0; i < count; i++, number /= bits_max + 1)
		alphabet->lengths[symbols[i]] = (uint8_t)(number % (bits_max + 1));
}

static void every_small_code_of_literals(void)
{
	static const uint16_t symbols[3] = { 'a', 'b', WRITER_END };
	unsigned counts[3] = { 0 };
	for (unsigned number = 0; number < 5 * 5 * 5; number++) {
		fresh();
		set_lengths(&writer.litlen, symbols, 3, 4, number);
		enum code_verdict verdict = verdict_of(writer.litlen.lengths, 257, 1, 0);
		int has_end = writer.litlen.lengths[WRITER_END] != 0;
		if (has_end && engine_accepts(verdict))
			continue;
		counts[verdict] += (unsigned)has_end;
		writer_begin_dynamic(&writer, 0);
		if (!has_end || verdict != CODE_GOOD) {
			append_rest();
			expect(FAULT_INFLATE_DATA);
			continue;
		}
		for (unsigned i = 0; i < 9; i++)
			if (writer.litlen.lengths[symbols[i % 2]])
				writer_literal(&writer, symbols[i % 2]);
		writer_end(&writer);
		writer_tail(&writer);
		expect(FAULT_NONE);
	}
	GT(counts[CODE_GOOD], 4);
	GE(counts[CODE_OVERSUBSCRIBED], 10);
	if (peer_engine->refuses_incomplete_codes)
		GT(counts[CODE_INCOMPLETE], 10);
}

static void set_literals_and_two_lengths(void)
{
	writer.litlen.lengths['a'] = 1;
	writer.litlen.lengths[WRITER_END] = 3;
	writer.litlen.lengths[257] = 3;
	writer.litlen.lengths[285] = 2;
}

static void every_small_code_of_distances(void)
{
	static const uint16_t symbols[3] = { 0, 3, 29 };
	static const unsigned distances[3] = { 1, 4, WRITER_DISTANCE_MAX };
	unsigned counts[3] = { 0 };
	for (unsigned number = 0; number < 5 * 5 * 5; number++)
		for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++) {
			fresh();
			writer_begin(&writer, depth);
			set_literals_and_two_lengths();
			set_lengths(&writer.distance, symbols, 3, 4, number);
			enum code_verdict verdict = verdict_of(writer.distance.lengths, 30, 1, 1);
			if (engine_accepts(verdict) || (depth == WRITER_DEEP && verdict != CODE_GOOD))
				continue;
			counts[verdict]++;
			writer_begin_dynamic(&writer, 0);
			if (verdict != CODE_GOOD) {
				append_rest();
				expect(FAULT_INFLATE_DATA);
				continue;
			}
			writer_literals(&writer, 'a', 4);
			writer_warm(&writer, depth, 'a');
			for (unsigned i = 0; i < 30; i++)
				if (writer.distance.lengths[symbols[i % 3]] &&
				    (depth == WRITER_DEEP || i % 3 < 2))
					writer_match(&writer, i % 5 ? 3 : 258, distances[i % 3]);
			writer_end(&writer);
			writer_tail(&writer);
			expect(FAULT_NONE);
		}
	GT(counts[CODE_GOOD], 10);
	GE(counts[CODE_OVERSUBSCRIBED], 10);
	if (peer_engine->refuses_incomplete_codes)
		GT(counts[CODE_INCOMPLETE], 10);
}

/* ---- the code that the lengths of the other two are written in */

enum { PRECODE_COUNT = 19 };
static const uint8_t precode_order[PRECODE_COUNT] = { 16, 17, 18, 0, 8,	 7, 9,	6, 10, 5,
						      11, 4,  12, 3, 13, 2, 14, 1, 15 };

/* As many of its lengths as there must be, but for a minimum. */
static void append_precode(struct writer_alphabet *precode, unsigned count_min)
{
	unsigned count = PRECODE_COUNT;
	while (count > count_min && precode->lengths[precode_order[count - 1]] == 0)
		count--;
	bits_append(&writer.bits, 4, 3); /* a dynamic block, not the last */
	bits_append(&writer.bits, 0, 5);
	bits_append(&writer.bits, 0, 5);
	bits_append(&writer.bits, count - 4, 4);
	for (unsigned i = 0; i < count; i++)
		bits_append(&writer.bits, precode->lengths[precode_order[i]], 3);
	writer_number(precode);
}

/* 97 zeros, one for 'a', 158 zeros, one for the end, none for distances. */
static void append_two_lengths(const struct writer_alphabet *precode)
{
	writer_symbol(&writer, precode, 18);
	bits_append(&writer.bits, 97 - 11, 7);
	writer_symbol(&writer, precode, 1);
	writer_symbol(&writer, precode, 18);
	bits_append(&writer.bits, 138 - 11, 7);
	writer_symbol(&writer, precode, 18);
	bits_append(&writer.bits, 20 - 11, 7);
	writer_symbol(&writer, precode, 1);
	writer_symbol(&writer, precode, 0);
	writer.litlen.lengths['a'] = writer.litlen.lengths[WRITER_END] = 1;
	writer_number(&writer.litlen);
}

static void every_small_code_of_code_lengths(void)
{
	static const uint16_t symbols[4] = { 0, 1, 18, 7 };
	unsigned counts[3] = { 0 };
	for (unsigned number = 0; number < 4 * 4 * 4 * 4; number++) {
		fresh();
		struct writer_alphabet precode = { 0 };
		set_lengths(&precode, symbols, 4, 3, number);
		enum code_verdict verdict = verdict_of(precode.lengths, PRECODE_COUNT, 0, 0);
		int is_enough = precode.lengths[0] && precode.lengths[1] && precode.lengths[18];
		if (engine_accepts(verdict) || (verdict == CODE_GOOD && !is_enough))
			continue;
		counts[verdict]++;
		append_precode(&precode, 4);
		if (verdict != CODE_GOOD) {
			append_rest();
			writer_tail(&writer);
			expect(FAULT_INFLATE_DATA);
			continue;
		}
		append_two_lengths(&precode);
		writer_literals(&writer, 'a', 3);
		writer_end(&writer);
		writer_tail(&writer);
		expect(FAULT_NONE);
	}
	GT(counts[CODE_GOOD], 4);
	GE(counts[CODE_OVERSUBSCRIBED], 10);
	if (peer_engine->refuses_incomplete_codes)
		GT(counts[CODE_INCOMPLETE], 10);
}

/* Of the 19 at least 4 are there; those that are left out have no code. Seven bits are the longest code. */
static void every_count_of_code_lengths(void)
{
	for (unsigned count = 4; count <= PRECODE_COUNT; count++) {
		fresh();
		struct writer_alphabet precode = { 0 };
		precode.lengths[18] = 1;
		precode.lengths[0] = 2;
		precode.lengths[1] = 3; /* the last but one in order */
		precode.lengths[17] = 4;
		precode.lengths[16] = 5;
		precode.lengths[8] = 6;
		precode.lengths[7] = precode.lengths[9] = 7;
		append_precode(&precode, count);
		append_two_lengths(&precode);
		writer_literals(&writer, 'a', 3);
		writer_end(&writer);
		writer_tail(&writer);
		expect(FAULT_NONE);

		/* Too few of them: without a code for 1, the rest is no code either. */
		fresh();
		precode.lengths[8] = precode.lengths[7] = precode.lengths[9] = 0;
		precode.lengths[16] = 4;
		precode.lengths[1] = 0;
		precode.lengths[0] = 2;
		precode.lengths[precode_order[count - 1]] = 3;
		if (verdict_of(precode.lengths, PRECODE_COUNT, 0, 0) != CODE_GOOD)
			continue;
		append_precode(&precode, count);
		for (int i = 0; i < 6; i++) {
			writer_symbol(&writer, &precode, 18); /* 258 zeros: no end of block */
			bits_append(&writer.bits, i ? 24 - 11 : 138 - 11, 7);
		}
		append_rest();
		writer_tail(&writer);
		expect(FAULT_INFLATE_DATA);
	}
}

/* ---- symbols that must not come */

static void unused_half_of_a_single_code(void)
{
	for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++)
		for (unsigned literals = 0; literals < 5; literals++) {
			fresh();
			writer_begin(&writer, depth);
			set_literals_and_two_lengths();
			writer.distance.lengths[2] = 1;
			writer_begin_dynamic(&writer, 0);
			writer_literals(&writer, 'a', 3);
			writer_warm(&writer, depth, 'a');
			writer_match(&writer, 3, 3);
			writer_literals(&writer, 'a', literals);
			writer_symbol(&writer, &writer.litlen, literals % 2 ? 257 : 285);
			bits_append(&writer.bits, 1, 1);
			append_rest();
			expect(FAULT_INFLATE_DATA);
		}
	/* Nothing but the end of the block. */
	for (unsigned bit = 0; bit < 2; bit++) {
		fresh();
		writer.litlen.lengths[WRITER_END] = 1;
		writer_begin_dynamic(&writer, 0);
		bits_append(&writer.bits, bit, 1);
		if (bit)
			append_rest();
		else
			writer_tail(&writer);
		expect(bit ? FAULT_INFLATE_DATA : FAULT_NONE);
	}
}

static void match_without_a_distance_code(void)
{
	for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++)
		for (unsigned literals = 0; literals < 5; literals++) {
			fresh();
			writer_begin(&writer, depth);
			set_literals_and_two_lengths();
			writer_begin_dynamic(&writer, 0);
			writer_warm(&writer, depth, 'a');
			writer_literals(&writer, 'a', literals);
			writer_symbol(&writer, &writer.litlen, literals % 2 ? 257 : 285);
			append_rest();
			expect(FAULT_INFLATE_DATA);
		}
}

static void symbols_that_never_occur(void)
{
	for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++)
		for (unsigned literals = 0; literals < 5; literals++)
			for (unsigned kind = 0; kind < 4; kind++) {
				fresh();
				writer_begin(&writer, depth);
				writer_begin_fixed(&writer, 0);
				writer_warm(&writer, depth, 'w');
				writer_literals(&writer, 'x', literals + 1);
				writer_match(&writer, 3 + kind, 1);
				writer_literals(&writer, 'y', literals);
				if (kind < 2) {
					writer_symbol(&writer, &writer.litlen, 286 + kind);
				} else {
					writer_symbol(&writer, &writer.litlen, 257);
					writer_symbol(&writer, &writer.distance, 28 + kind);
				}
				append_rest();
				expect(FAULT_INFLATE_DATA);
			}
}

/* A match that begins before the stream's first byte, wherever in the first 32 KB that is. */
static void distances_past_the_first_byte(void)
{
	static const unsigned places[] = { 0,	1,    2,    3,	  4,	7,    8,     63,    64,	   255,
					   256, 2047, 2048, 4096, 8191, 9000, 24576, 32000, 32766, 32767 };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		for (unsigned farther = 0; farther < 3; farther++) {
			unsigned distance = farther == 2 ? WRITER_DISTANCE_MAX : places[i] + 1 + farther * 7;
			if (distance > WRITER_DISTANCE_MAX)
				continue;
			fresh();
			if (places[i])
				writer_history(&writer, places[i]);
			writer_begin_fixed(&writer, 0);
			writer_match(&writer, 3 + places[i] % 250, distance);
			append_rest();
			expect(FAULT_INFLATE_DATA);
		}
}

/* The farthest distance where a byte of the history that it needs is missing, and where none is: behind so
 * many symbols of the block that a decoder has all it wants to go on without checks, but for this byte, once
 * the input comes that follows the literals. */
static void farthest_distance_a_byte_too_early(void)
{
	enum { LITERALS = 200 };
	for (unsigned kind = 0; kind < 4; kind++) {
		unsigned is_missing = kind % 2;
		fresh();
		writer_history(&writer, WRITER_DISTANCE_MAX - LITERALS - is_missing);
		writer_begin_fixed(&writer, 0);
		writer_literals(&writer, 'w', LITERALS);
		writer_match(&writer, kind < 2 ? 3 : WRITER_LENGTH_MAX, WRITER_DISTANCE_MAX);
		if (is_missing) {
			append_rest();
		} else {
			writer_end(&writer);
			writer_tail(&writer);
		}
		expect(is_missing ? FAULT_INFLATE_DATA : FAULT_NONE);
	}
}

/* The first member is long enough for any distance, and none of the second may go there. */
static void distances_into_the_member_before(void)
{
	for (unsigned produced = 0; produced < 500; produced = produced * 3 + 1)
		for (unsigned farther = 0; farther < 3; farther++) {
			fresh();
			writer_history(&writer, 40000);
			writer_tail(&writer);
			writer_wrap(&writer, &gzip);
			size_t first_bytes = writer.plain.count;
			writer.plain.count = 0;
			writer_begin_fixed(&writer, 0);
			for (unsigned i = 0; i < produced; i++)
				writer_literal(&writer, i & 255);
			writer_match(&writer, 258, produced + 1 + farther * farther * 7000);
			append_rest();
			size_t from = gzip.count;
			writer_wrap(&writer, &gzip);
			peer_expect_behind(&peer, &gzip, from, FAULT_INFLATE_DATA, &writer.plain);
			EQ(inflate_members(peer.inflate), 1);
			GE(peer.plain.count, first_bytes);
			LE(peer.plain.count, first_bytes + produced);
		}
}

/* ---- headers of blocks, far inside a stream */

static void bad_blocks_behind_good_ones(void)
{
	for (unsigned kind = 0; kind < 5; kind++)
		for (unsigned shift = 0; shift < 8; shift++) {
			fresh();
			writer_begin(&writer, WRITER_DEEP);
			writer_begin_fixed(&writer, 0);
			writer_warm(&writer, WRITER_DEEP, 'w');
			writer_literals(&writer, 200, shift); /* 9 bits */
			writer_end(&writer);
			if (kind == 0) {
				bits_append(&writer.bits, 3 << 1, 3);
			} else if (kind == 1) {
				bits_append(&writer.bits, 0, 3);
				bits_align(&writer.bits);
				bits_append(&writer.bits, 0xfffe0001 ^ 1u << shift * 4, 32);
			} else if (kind == 2) {
				bits_append(&writer.bits, 4, 3);
				bits_append(&writer.bits, 30 + shift % 2, 5); /* 287 or 288 */
			} else if (kind == 3) {
				bits_append(&writer.bits, 4, 3);
				bits_append(&writer.bits, 0, 5);
				bits_append(&writer.bits, 30 + shift % 2, 5); /* 31 or 32 */
			} else {
				writer_clear_lengths(&writer);
				writer.litlen.lengths['a'] = writer.litlen.lengths['b'] = 1;
				writer_begin_dynamic(&writer, 0); /* without an end */
			}
			append_rest();
			expect(FAULT_INFLATE_DATA);
		}
}

/* ---- any damage */

static void write_block_of_each_kind(void)
{
	static const char text[] = "{\"type\":\"event\",\"n\":1}\n";
	writer_begin_fixed(&writer, 0);
	for (const char *byte = text; *byte; byte++)
		writer_literal(&writer, (uint8_t)*byte);
	writer_match(&writer, 40, 23);
	writer_end(&writer);
	writer_stored(&writer, 0, text, 9);
	writer_clear_lengths(&writer);
	set_literals_and_two_lengths();
	writer.distance.lengths[0] = writer.distance.lengths[9] = 1;
	writer_begin_dynamic(&writer, 1);
	writer_literals(&writer, 'a', 3);
	writer_match(&writer, 258, 1);
	writer_match(&writer, 3, 27);
	writer_end(&writer);
}

static void truncated_at_every_byte(void)
{
	fresh();
	write_block_of_each_kind();
	writer_wrap(&writer, &gzip);
	for (gzip.count--; gzip.count; gzip.count--) {
		struct peer_reference reference = peer_reference_of(&gzip);
		peer_check_reference(&reference, FAULT_INFLATE_TRUNCATED);
		for (size_t i = 0; i < PEER_ROOM_COUNT; i++) {
			peer_run(&peer, &gzip, i % 3 ? 1 + i : gzip.count, peer_rooms[i], NULL);
			peer_check_end(&peer, FAULT_INFLATE_TRUNCATED, &reference, NULL, 0);
		}
		bytes_free(&reference.plain);
	}
}

static enum peer_verdict verdict_of_fault(enum fault fault)
{
	return fault == FAULT_NONE ? PEER_GOOD : fault == FAULT_INFLATE_TRUNCATED ? PEER_SHORT : PEER_BAD;
}

/* Each bit in turn: the verdict and the bytes are zlib's. */
static void flipped_at_every_bit(void)
{
	fresh();
	write_block_of_each_kind();
	writer_wrap(&writer, &gzip);
	for (size_t bit = 8 * 10; bit < 8 * gzip.count; bit++) {
		gzip.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
		struct peer_reference reference = peer_reference_of(&gzip);
		for (size_t piece = 1; piece < 2000; piece = piece * 5 + 2) {
			peer_run(&peer, &gzip, piece, piece * 300, NULL);
			if (peer_engine->refuses_incomplete_codes) {
				EQ(verdict_of_fault(peer.fault), reference.verdict);
				LE(peer.plain.count, reference.plain.count);
				EQ_BYTES(peer.plain.base, peer.plain.count, reference.plain.base,
					 peer.plain.count);
			}
			if (reference.verdict == PEER_GOOD)
				EQ(peer.fault, FAULT_NONE);
		}
		bytes_free(&reference.plain);
		gzip.base[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

PEER_MAIN(T(every_small_code_of_literals), T(every_small_code_of_distances),
	  T(every_small_code_of_code_lengths), T(every_count_of_code_lengths),
	  T(unused_half_of_a_single_code), T(match_without_a_distance_code), T(symbols_that_never_occur),
	  T(distances_past_the_first_byte), T(farthest_distance_a_byte_too_early),
	  T(distances_into_the_member_before), T(bad_blocks_behind_good_ones), T(truncated_at_every_byte),
	  T(flipped_at_every_bit))
