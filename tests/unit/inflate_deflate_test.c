/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: deflate streams made bit by bit (RFC 1951), the legal corners and the illegal ones. Each runs
 * whole, byte by byte and at every split.
 */
#include "unit/inflate_peer.h"

static struct peer peer;
static struct bits bits;
static struct bytes gzip;
static struct bytes plain;
static uint8_t lengths[320];

static void fresh(void)
{
	peer_fresh(&peer);
	bytes_free(&bits.bytes);
	bits = (struct bits){ 0 };
	gzip.count = 0;
	plain.count = 0;
	memset(lengths, 0, sizeof lengths);
}

/* The crafted bits in a member whose trailer is right for `plain`. */
static void expect(enum fault fault)
{
	gzip.count = 0;
	peer_append_bits(&gzip, &bits, plain.base, plain.count);
	peer_expect(&peer, &gzip, fault, plain.base, plain.count);
}

static void fixed_begin(void)
{
	bits_append(&bits, 1, 1);
	bits_append(&bits, 1, 2);
}

static void fixed_match(unsigned length_symbol, unsigned length_extra, unsigned length_extra_bits,
			unsigned dist_symbol, unsigned dist_extra, unsigned dist_extra_bits)
{
	bits_append_fixed(&bits, length_symbol);
	bits_append(&bits, length_extra, length_extra_bits);
	bits_append_code(&bits, dist_symbol, 5);
	bits_append(&bits, dist_extra, dist_extra_bits);
}

static void plain_match(size_t length, size_t distance)
{
	bytes_reserve(&plain, length);
	for (; length; length--)
		bytes_append_byte(&plain, plain.base[plain.count - distance]);
}

static void block_type_3_is_refused(void)
{
	for (unsigned last = 0; last < 2; last++) {
		fresh();
		bits_append(&bits, last, 1);
		bits_append(&bits, 3, 2);
		bits_append(&bits, 0, 30);
		expect(FAULT_INFLATE_DATA);
	}
}

static void stored_blocks_of_every_kind(void)
{
	static const uint32_t counts[] = { 0, 1, 2, 7, 8, 9, 63, 64, 65, 300 };
	uint64_t seed = 3;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		fresh();
		peer_append_noise(&plain, counts[i] * 2, &seed);
		bits_append_stored(&bits, 0, plain.base, counts[i]);
		bits_append_stored(&bits, 1, plain.base + counts[i], counts[i]);
		expect(FAULT_NONE);
	}
	/* The longest, and several windows of them. */
	fresh();
	peer_append_noise(&plain, 65535 * 3, &seed);
	for (unsigned i = 0; i < 3; i++)
		bits_append_stored(&bits, i == 2, plain.base + i * 65535, 65535);
	peer_append_bits(&gzip, &bits, plain.base, plain.count);
	for (size_t piece = 1000; piece < 1000000; piece *= 3) {
		peer_run(&peer, &gzip, piece, piece, &seed);
		EQ(peer.fault, FAULT_NONE);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	}
}

/* A fixed block of n literals of 8 bits and one of 9 ends at each bit position in turn. */
static void stored_block_at_every_bit(void)
{
	for (unsigned shift = 0; shift < 8; shift++) {
		fresh();
		bits_append(&bits, 0, 1);
		bits_append(&bits, 1, 2);
		for (unsigned i = 0; i < shift; i++) {
			bits_append_fixed(&bits, 200); /* 9 bits */
			bytes_append_byte(&plain, 200);
		}
		bits_append_fixed(&bits, 256);
		bits_append_stored(&bits, 0, "stored", 6);
		bytes_append(&plain, "stored", 6);
		fixed_begin();
		bits_append_fixed(&bits, 'x');
		bits_append_fixed(&bits, 256);
		bytes_append_byte(&plain, 'x');
		expect(FAULT_NONE);
	}
}

static void stored_length_must_match_its_complement(void)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		fresh();
		bytes_append(&plain, "stored", 6);
		bits_append_stored(&bits, 1, "stored", 6);
		bits.bytes.base[1 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect(FAULT_INFLATE_DATA);
	}
}

static void flushes_in_sequence(void)
{
	fresh();
	bytes_append(&plain, "one event\nanother event\n", 24);
	for (int i = 0; i < 5; i++)
		bits_append_stored(&bits, 0, "", 0);
	bits_append_stored(&bits, 0, plain.base, 10);
	for (int i = 0; i < 5; i++) {
		bits_append(&bits, 0, 1); /* empty fixed blocks, as a partial flush makes them */
		bits_append(&bits, 1, 2);
		bits_append_fixed(&bits, 256);
	}
	bits_append_stored(&bits, 0, plain.base + 10, 14);
	fixed_begin();
	bits_append_fixed(&bits, 256);
	expect(FAULT_NONE);
}

/* RFC 1951 3.2.5: every length at every small distance, so that copies overlap in every way. */
static void every_length_and_small_distance(void)
{
	for (unsigned distance = 1; distance <= 4; distance++) {
		fresh();
		bytes_append(&plain, "abcdefgh", 8);
		fixed_begin();
		for (unsigned i = 0; i < 8; i++)
			bits_append_fixed(&bits, plain.base[i]);
		for (unsigned length = 3; length <= 10; length++) {
			fixed_match(254 + length, 0, 0, distance - 1, 0, 0);
			plain_match(length, distance);
		}
		fixed_match(284, 31, 5, distance - 1, 0, 0); /* 258, the odd way */
		plain_match(258, distance);
		fixed_match(285, 0, 0, distance - 1, 0, 0);
		plain_match(258, distance);
		bits_append_fixed(&bits, 256);
		expect(FAULT_NONE);
	}
	/* Lengths with extra bits, distances 5..192. */
	fresh();
	peer_append_noise(&plain, 200, &(uint64_t){ 21 });
	bits_append_stored(&bits, 0, plain.base, 200);
	fixed_begin();
	static const uint16_t length_base[] = { 11, 13, 15, 17, 19, 23,	 27,  31,  35,	43,
						51, 59, 67, 83, 99, 115, 131, 163, 195, 227 };
	for (unsigned i = 0; i < 20; i++) {
		unsigned extra_bits = 1 + i / 4, extra = (1u << extra_bits) - 2;
		unsigned dist_symbol = 4 + i % 11, dist_bits = dist_symbol / 2 - 1;
		unsigned dist_base = (2 + dist_symbol % 2) * (1u << dist_bits) + 1;
		fixed_match(265 + i, extra, extra_bits, dist_symbol, 1, dist_bits);
		plain_match(length_base[i] + extra, dist_base + 1);
	}
	bits_append_fixed(&bits, 256);
	expect(FAULT_NONE);
}

/* The farthest distance, exactly there and one byte too far, whatever pieces the window came in. */
static void farthest_distance(void)
{
	uint64_t seed = 23;
	for (unsigned too_far = 0; too_far < 2; too_far++) {
		fresh();
		peer_append_noise(&plain, 32768 - too_far, &seed);
		bits_append_stored(&bits, 0, plain.base, (uint32_t)plain.count);
		fixed_begin();
		fixed_match(285, 0, 0, 29, 8191, 13);
		bits_append_fixed(&bits, 256);
		if (!too_far)
			plain_match(258, 32768);
		peer_append_bits(&gzip, &bits, plain.base, plain.count);
		for (size_t in = 100; in < 40000; in = in * 2 + 1)
			for (size_t out = 300; out < 80000; out = out * 2 + 1) {
				peer_run(&peer, &gzip, in, out, in % 3 ? &seed : NULL);
				EQ(peer.fault, too_far ? FAULT_INFLATE_DATA : FAULT_NONE);
				/* When broken, bytes from before the damage may be held back. */
				LE(peer.plain.count, plain.count);
				EQ(memcmp(peer.plain.base, plain.base, peer.plain.count), 0);
				if (!too_far)
					EQ(peer.plain.count, plain.count);
			}
	}
}

static void distance_before_the_beginning_is_refused(void)
{
	for (unsigned produced = 0; produced < 6; produced++) {
		fresh();
		fixed_begin();
		for (unsigned i = 0; i < produced; i++)
			bits_append_fixed(&bits, 'a');
		fixed_match(257, 0, 0, 5, 0, 1); /* distance 7 */
		bits_append_fixed(&bits, 256);
		expect(FAULT_INFLATE_DATA);
		LE(inflate_plain_bytes(peer.inflate), produced);
	}
}

static void symbols_without_meaning_are_refused(void)
{
	for (unsigned symbol = 286; symbol < 288; symbol++) {
		fresh();
		fixed_begin();
		bits_append_fixed(&bits, 'a');
		bits_append_fixed(&bits, symbol);
		bits_append(&bits, 0, 30);
		expect(FAULT_INFLATE_DATA);
	}
	for (unsigned symbol = 30; symbol < 32; symbol++) {
		fresh();
		fixed_begin();
		bits_append_fixed(&bits, 'a');
		fixed_match(257, 0, 0, symbol, 0, 14);
		bits_append(&bits, 0, 30);
		expect(FAULT_INFLATE_DATA);
	}
}

/* Two 1-bit codes: 'a' and the end; no distance code at all (a single zero length). */
static void dynamic_block_of_literals_only(void)
{
	fresh();
	lengths['a'] = lengths[256] = 1;
	bits_append_dynamic(&bits, 1, lengths, 257, 1);
	for (int i = 0; i < 20; i++) {
		bits_append_symbol(&bits, lengths, 257, 'a');
		bytes_append_byte(&plain, 'a');
	}
	bits_append_symbol(&bits, lengths, 257, 256);
	expect(FAULT_NONE);
}

/* RFC 1951 3.2.7: one distance code of one bit is incomplete and legal. */
static void dynamic_block_with_one_distance(void)
{
	fresh();
	lengths['a'] = 1;
	lengths[256] = lengths[257] = 2;
	lengths[258] = 1; /* the distance code: symbol 0 */
	bits_append_dynamic(&bits, 1, lengths, 258, 1);
	bits_append_symbol(&bits, lengths, 258, 'a');
	bytes_append_byte(&plain, 'a');
	for (int i = 0; i < 5; i++) {
		bits_append_symbol(&bits, lengths, 258, 257);
		bits_append(&bits, 0, 1);
		plain_match(3, 1);
	}
	bits_append_symbol(&bits, lengths, 258, 256);
	expect(FAULT_NONE);

	/* Its other bit means nothing. */
	fresh();
	lengths['a'] = 1;
	lengths[256] = lengths[257] = 2;
	lengths[258] = 1;
	bits_append_dynamic(&bits, 1, lengths, 258, 1);
	bits_append_symbol(&bits, lengths, 258, 'a');
	bits_append_symbol(&bits, lengths, 258, 257);
	bits_append(&bits, 1, 1);
	bits_append(&bits, 0, 30);
	expect(FAULT_INFLATE_DATA);
}

/* Codes of 1, 2, ... 15, 15 bits: the longest there are, in both alphabets. */
static void dynamic_block_with_longest_codes(void)
{
	fresh();
	for (unsigned i = 0; i < 14; i++)
		lengths['a' + i] = (uint8_t)(i + 1);
	lengths[256] = lengths[257] = 15;
	for (unsigned i = 0; i < 16; i++)
		lengths[258 + i] = (uint8_t)(i < 15 ? i + 1 : 15);
	bits_append_dynamic(&bits, 1, lengths, 258, 16);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 14; i++) {
			bits_append_symbol(&bits, lengths, 258, 'a' + i);
			bytes_append_byte(&plain, 'a' + i);
		}
		unsigned symbol = round ? round % 16 : 0, extra_bits = symbol < 4 ? 0 : symbol / 2 - 1;
		unsigned distance = symbol < 4 ? symbol + 1 : (2 + symbol % 2) * (1u << extra_bits) + 1;
		bits_append_symbol(&bits, lengths, 258, 257);
		bits_append_symbol(&bits, lengths + 258, 16, symbol);
		bits_append(&bits, 0, extra_bits);
		plain_match(3, distance);
	}
	bits_append_symbol(&bits, lengths, 258, 256);
	expect(FAULT_NONE);
}

static void dynamic_counts_out_of_range_are_refused(void)
{
	static const struct {
		unsigned litlen_count, dist_count;
	} cases[] = { { 287, 1 }, { 288, 1 }, { 257, 31 }, { 257, 32 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fresh();
		lengths['a'] = lengths[256] = 1;
		lengths[cases[i].litlen_count] = 1;
		bits_append_dynamic(&bits, 1, lengths, cases[i].litlen_count, cases[i].dist_count);
		bits_append(&bits, 0, 30);
		expect(FAULT_INFLATE_DATA);
	}
}

static void oversubscribed_codes_are_refused(void)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		fresh();
		lengths['a'] = lengths[256] = 1;
		if (kind == 0)
			lengths['b'] = 1;
		else
			lengths[257] = lengths[258] = lengths[259] = 1;
		bits_append_dynamic(&bits, 1, lengths, 257, 3);
		bits_append(&bits, 0, 30);
		expect(FAULT_INFLATE_DATA);
	}
	/* The code of the code lengths itself. */
	fresh();
	bits_append(&bits, 5, 3);
	bits_append(&bits, 0, 14);
	for (int i = 0; i < 4; i++)
		bits_append(&bits, 1, 3);
	bits_append(&bits, 0, 32);
	bits_append(&bits, 0, 32);
	expect(FAULT_INFLATE_DATA);
}

static void block_without_an_end_is_refused(void)
{
	fresh();
	lengths['a'] = lengths['b'] = 1;
	bits_append_dynamic(&bits, 1, lengths, 257, 1);
	bits_append(&bits, 0, 30);
	expect(FAULT_INFLATE_DATA);
}

/* Code lengths 16, 17 and 18 repeat; the flat code here is 4 bits for 16, 17, 18 and 0..12. */
static void repeat_header(unsigned dist_count)
{
	static const uint8_t order[19] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
	fresh();
	bits_append(&bits, 5, 3);
	bits_append(&bits, 0, 5);
	bits_append(&bits, dist_count - 1, 5);
	bits_append(&bits, 15, 4);
	for (int i = 0; i < 19; i++)
		bits_append(&bits, order[i] <= 12 || order[i] >= 16 ? 4 : 0, 3);
}

static void repeat_symbol(unsigned symbol, unsigned extra, unsigned extra_bits)
{
	bits_append_code(&bits, symbol >= 16 ? symbol - 3 : symbol, 4);
	bits_append(&bits, extra, extra_bits);
}

static void code_length_repeats(void)
{
	/* 97 zeros, 'a' = 1, 138 + 20 zeros, 256 = 1, then a distance count of zeros that crosses nothing. */
	repeat_header(4);
	repeat_symbol(18, 97 - 11, 7);
	repeat_symbol(1, 0, 0);
	repeat_symbol(18, 127, 7);
	repeat_symbol(18, 20 - 11, 7);
	repeat_symbol(1, 0, 0);
	repeat_symbol(17, 1, 3);
	bits_append(&bits, 0, 1);
	bits_append(&bits, 0, 1);
	bits_append(&bits, 1, 1);
	bytes_append(&plain, "aa", 2);
	expect(FAULT_NONE);

	/* A repeat that runs from the one alphabet into the other. */
	repeat_header(4);
	repeat_symbol(18, 127, 7);
	repeat_symbol(18, 116 - 11, 7);
	repeat_symbol(1, 0, 0);	 /* 254 */
	repeat_symbol(2, 0, 0);	 /* 255 */
	repeat_symbol(16, 2, 2); /* 256, distances 0 to 3 */
	bits_append(&bits, 0, 1);
	bits_append_code(&bits, 2, 2);
	bits_append_code(&bits, 3, 2);
	bytes_append(&plain, "\xfe\xff", 2);
	expect(FAULT_NONE);
}

static void code_length_repeats_out_of_place_are_refused(void)
{
	repeat_header(1);
	repeat_symbol(16, 0, 2); /* nothing before it to repeat */
	bits_append(&bits, 0, 32);
	expect(FAULT_INFLATE_DATA);

	static const unsigned overrun[] = { 16, 17, 18 };
	for (size_t i = 0; i < 3; i++) {
		repeat_header(1);
		repeat_symbol(18, 97 - 11, 7);
		repeat_symbol(1, 0, 0);
		repeat_symbol(18, 127, 7);
		repeat_symbol(18, 20 - 11, 7);
		repeat_symbol(1, 0, 0); /* 257 lengths so far, one is missing */
		repeat_symbol(overrun[i], 0, overrun[i] == 16 ? 2 : overrun[i] == 17 ? 3 : 7);
		bits_append(&bits, 0, 32);
		expect(FAULT_INFLATE_DATA);
	}
}

/* Every possible first byte and a half of a block, with the rest zero: verdicts hold at every split. */
static void any_block_header_gives_one_verdict(void)
{
	for (unsigned head = 0; head < 4096; head += 3) {
		fresh();
		bits_append(&bits, head, 12);
		bits_append(&bits, 0x5a5a5a5a, 32);
		bits_append(&bits, 0x0f0f0f0f, 32);
		bits_append(&bits, head * 2654435761u, 32);
		peer_append_bits(&gzip, &bits, "", 0);
		peer_run(&peer, &gzip, 1 << 20, 4096, NULL);
		enum fault fault = peer.fault;
		NE(fault, FAULT_NONE);
		for (size_t split = 1; split < gzip.count; split++) {
			peer_run_split(&peer, &gzip, split, 1 + split % 7);
			EQ(peer.fault, fault);
		}
	}
}

PEER_MAIN(T(block_type_3_is_refused), T(stored_blocks_of_every_kind), T(stored_block_at_every_bit),
	  T(stored_length_must_match_its_complement), T(flushes_in_sequence),
	  T(every_length_and_small_distance), T(farthest_distance),
	  T(distance_before_the_beginning_is_refused), T(symbols_without_meaning_are_refused),
	  T(dynamic_block_of_literals_only), T(dynamic_block_with_one_distance),
	  T(dynamic_block_with_longest_codes), T(dynamic_counts_out_of_range_are_refused),
	  T(oversubscribed_codes_are_refused), T(block_without_an_end_is_refused), T(code_length_repeats),
	  T(code_length_repeats_out_of_place_are_refused), T(any_block_header_gives_one_verdict))
