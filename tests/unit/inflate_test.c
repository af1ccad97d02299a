/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: the gzip wrapper, members, checksums and every way to cut input and output.
 *
 * Which edge case of RFC 1952 and RFC 1951 is where (inflate_NAME_test.c, each with every engine in
 * inflate_peer.h, most at every split, byte by byte, with little room, and against zlib):
 *
 *	here	flags in every combination, reserved ones, FHCRC good and bad, XLEN 0 and 65535,
 *		names of 64 KB and without an end, other methods, no gzip at all; members empty,
 *		many, cut off, bad behind good; trailers split and wrong by a bit; padding,
 *		garbage; history does not survive a member
 *	limits	headers without an end, ISIZE past 4 GB; members, blocks and padding without
 *		number; a stuck engine
 *	deflate	stored blocks at every bit, LEN and NLEN, flushes, block type 3; lengths and
 *		distances; HLIT above 286, HDIST above 30; repeats of code lengths out of place,
 *		no end of block
 *	blocks	length 258 both ways, distances 1 to 64 with every length, to the first byte, and
 *		32768 while the window moves; 258 at every place before the end of the room; codes
 *		of 15 bits, all longer than a table's index, of one bit, any that are complete;
 *		ends of blocks at ends of pieces, flushes
 *	codes	over-subscribed and incomplete codes of all three kinds, single and missing
 *		distance codes, symbols 286, 287, 30, 31; distances past the first byte and into
 *		the member before; damage at every bit, an end inside every symbol
 *	two	two streams in one call, good and bad: each ends as it would alone
 *	whole	the engine that wants a stream at once
 */
#include "unit/inflate_peer.h"

static struct peer peer;
static struct bytes gzip;
static struct bytes plain;

static void fresh(void)
{
	peer_fresh(&peer);
	gzip.count = 0;
	plain.count = 0;
}

static void expect(enum fault fault)
{
	peer_expect(&peer, &gzip, fault, plain.base, plain.count);
}

/* The byte count of streams whose end meets the engine's read-ahead in every phase. */
static void append_small_member(size_t count)
{
	size_t begin = plain.count;
	for (size_t i = 0; i < count; i++)
		bytes_append_byte(&plain, (unsigned)"event{}\n"[i * i % 8]);
	peer_append_member(&gzip, plain.base + begin, count, count % 3 ? 6 : 0);
}

static void append_deflate_and_trailer(const void *text, size_t count)
{
	peer_append_deflate(&gzip, text, count, 6, 0, 0);
	peer_append_trailer(&gzip, text, count);
}

static void engine_has_a_name_and_fits(void)
{
	fresh();
	EQ_TEXT(inflate_engine_name(peer.inflate), peer_engine->name);
	LT(peer.arena.used_bytes, 128 * 1024);
}

static void header_with_every_flag_at_every_split(void)
{
	for (unsigned flags = 0; flags < 32; flags++) {
		fresh();
		bytes_append(&plain, "hello, event\n", 13);
		peer_append_header(&gzip, &(struct peer_header){ .flags = flags,
								 .extra_bytes = 5,
								 .name_bytes = 3,
								 .comment_bytes = 7 });
		append_deflate_and_trailer(plain.base, plain.count);
		expect(FAULT_NONE);
		EQ(inflate_members(peer.inflate), 1);
	}
}

static void header_checksum_is_verified(void)
{
	for (unsigned flags = 0; flags < 32; flags++)
		for (unsigned bit = 0; bit < 16 && flags & PEER_FHCRC; bit += 3) {
			fresh();
			peer_append_header(&gzip, &(struct peer_header){ .flags = flags,
									 .extra_bytes = 2,
									 .name_bytes = 2,
									 .comment_bytes = 2,
									 .checksum_error = 1u << bit });
			size_t header_bytes = gzip.count;
			append_deflate_and_trailer("x", 1);
			expect(FAULT_INFLATE_HEADER);
			EQ(inflate_offset(peer.inflate), header_bytes);
			EQ(peer.plain.count, 0);
		}
}

/* The checksum covers each byte of the header: change any, and it is refused. */
static void header_checksum_covers_every_byte(void)
{
	fresh();
	peer_append_header(&gzip, &(struct peer_header){ .flags = 31, .extra_bytes = 3, .name_bytes = 2 });
	size_t header_bytes = gzip.count;
	append_deflate_and_trailer("x", 1);
	for (size_t i = 4; i < header_bytes - 2; i++) {
		if (i == 10 || i == 11)
			continue; /* the length of the extra field: another header altogether */
		gzip.base[i] ^= 0x40;
		peer_run(&peer, &gzip, gzip.count, 100, NULL);
		EQ(peer.fault, FAULT_INFLATE_HEADER);
		gzip.base[i] ^= 0x40;
	}
	peer_run(&peer, &gzip, gzip.count, 100, NULL);
	EQ(peer.fault, FAULT_NONE);
}

static void header_refuses_what_it_does_not_know(void)
{
	for (unsigned bit = 5; bit < 8; bit++) {
		fresh();
		append_small_member(20);
		gzip.base[3] = (uint8_t)(1u << bit);
		expect(FAULT_INFLATE_HEADER);
		EQ(inflate_offset(peer.inflate), 4);
	}
	for (unsigned method = 0; method < 256; method++) {
		fresh();
		append_small_member(20);
		gzip.base[2] = (uint8_t)method;
		peer_run(&peer, &gzip, 1 + method % 5, 100, NULL);
		EQ(peer.fault, method == 8 ? FAULT_NONE : FAULT_INFLATE_HEADER);
	}
}

static void plain_text_is_not_gzip(void)
{
	static const char *const texts[] = { "{\"a\":1}\n", "\n",     "\x1f\x8c\x08",
					     "\x8b\x1f",    "PK\3\4", "\x78\x9c\x03" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		fresh();
		bytes_append(&gzip, texts[i], strlen(texts[i]));
		expect(FAULT_INFLATE_HEADER);
		EQ(inflate_members(peer.inflate), 0);
	}
	fresh();
	bytes_append_byte(&gzip, 0); /* padding is for behind a member */
	expect(FAULT_INFLATE_HEADER);
}

static void header_fields_may_be_long(void)
{
	static const struct {
		struct peer_header header;
		enum fault fault;
	} cases[] = {
		{ { .flags = PEER_FEXTRA, .extra_bytes = 0 }, FAULT_NONE },
		{ { .flags = PEER_FEXTRA | PEER_FHCRC, .extra_bytes = 65535 }, FAULT_NONE },
		{ { .flags = PEER_FNAME | PEER_FHCRC, .name_bytes = 65536 }, FAULT_NONE },
		{ { .flags = PEER_FNAME, .name_bytes = INFLATE_HEADER_BYTES_MAX - 11 }, FAULT_NONE },
		{ { .flags = PEER_FNAME, .name_bytes = INFLATE_HEADER_BYTES_MAX - 10 }, FAULT_INFLATE_LIMIT },
		{ { .flags = PEER_FCOMMENT, .comment_bytes = 1 << 20 }, FAULT_INFLATE_LIMIT },
		{ { .flags = PEER_FEXTRA | PEER_FNAME | PEER_FCOMMENT,
		    .extra_bytes = 65535,
		    .name_bytes = 40000,
		    .comment_bytes = 40000 },
		  FAULT_INFLATE_LIMIT },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t piece = 1; piece <= 1 << 20; piece *= 32) {
			fresh();
			peer_append_header(&gzip, &cases[i].header);
			append_deflate_and_trailer("x", 1);
			peer_run(&peer, &gzip, piece, 100, NULL);
			EQ(peer.fault, cases[i].fault);
		}
}

/* Cut where a long field begins, ends, and goes over into the next. */
static void long_header_fields_at_their_borders(void)
{
	static const struct peer_header headers[] = {
		{ .flags = PEER_FEXTRA | PEER_FNAME, .extra_bytes = 65535, .name_bytes = 1 },
		{ .flags = PEER_FEXTRA | PEER_FCOMMENT | PEER_FHCRC,
		  .extra_bytes = 0,
		  .comment_bytes = 65536 },
		{ .flags = PEER_FNAME | PEER_FCOMMENT | PEER_FHCRC, .name_bytes = 65536, .comment_bytes = 0 },
	};
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		fresh();
		peer_append_header(&gzip, &headers[i]);
		size_t header_bytes = gzip.count;
		append_deflate_and_trailer("an event\n", 9);
		struct peer_reference reference = peer_reference_of(&gzip);
		for (size_t split = 8; split < gzip.count; split += split == 20 ? header_bytes - 30 : 1) {
			peer_run_split(&peer, &gzip, split, 100);
			peer_check_end(&peer, FAULT_NONE, &reference, "an event\n", 9);
		}
		bytes_free(&reference.plain);
	}
}

/* Of a name or a comment without an end nothing says that it is not the beginning of a good one. */
static void header_fields_without_an_end_are_truncated(void)
{
	static const struct peer_header headers[] = {
		{ .flags = PEER_FNAME, .name_bytes = 300 },
		{ .flags = PEER_FCOMMENT | PEER_FHCRC, .comment_bytes = 300 },
		{ .flags = PEER_FEXTRA, .extra_bytes = 300 },
	};
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		for (unsigned members = 0; members < 2; members++) {
			fresh();
			if (members)
				append_small_member(30);
			peer_append_header(&gzip, &headers[i]);
			gzip.count -= headers[i].flags & PEER_FHCRC ? 3 : 1;
			expect(FAULT_INFLATE_TRUNCATED);
			EQ(inflate_members(peer.inflate), members);
		}
}

/* Every header is verified, not the first one only. */
static void second_header_is_verified(void)
{
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		fresh();
		append_small_member(40);
		peer_append_header(&gzip, &(struct peer_header){ .flags = 31,
								 .extra_bytes = 9,
								 .name_bytes = 9,
								 .checksum_error = wrong << 15 });
		append_deflate_and_trailer("x", 1);
		bytes_append(&plain, "x", 1);
		expect(wrong ? FAULT_INFLATE_HEADER : FAULT_NONE);
		EQ(inflate_members(peer.inflate), 2 - wrong);
	}
}

static void checksum_is_proven_bit_by_bit(void)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		fresh();
		append_small_member(30);
		gzip.base[gzip.count - 8 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect(bit < 32 ? FAULT_INFLATE_CHECKSUM : FAULT_INFLATE_SIZE);
		EQ(inflate_members(peer.inflate), 0);
	}
}

/* In three pieces, so that the end of the deflate data and the trailer meet every border at once. */
static void trailer_at_every_pair_of_splits(void)
{
	for (size_t count = 0; count < 24; count++) {
		fresh();
		append_small_member(count);
		size_t from = gzip.count - 14;
		for (size_t first = from; first <= gzip.count; first++)
			for (size_t second = first; second <= gzip.count; second++) {
				peer_begin(&peer);
				EQ(peer_feed(&peer, gzip.base, first, 4096, 64, NULL), 1);
				EQ(peer_feed(&peer, gzip.base + first, second - first, 4096, 64, NULL), 1);
				EQ(peer_feed(&peer, gzip.base + second, gzip.count - second, 4096, 64, NULL),
				   1);
				EQ(inflate_end(peer.inflate), FAULT_NONE);
				EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
			}
	}
}

/* The engine reads ahead; this pins that the next member is found where the last one ended. */
static void members_follow_each_other_without_a_gap(void)
{
	uint64_t seed = 7;
	for (int round = 0; round < 300; round++) {
		fresh();
		size_t members = 1 + peer_random(&seed) % 5;
		for (size_t i = 0; i < members; i++)
			append_small_member(peer_random(&seed) % (round & 1 ? 40 : 4000));
		peer_run(&peer, &gzip, 1 << 20, 1 << 20, NULL);
		EQ(peer.fault, FAULT_NONE);
		EQ(inflate_members(peer.inflate), members);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
		peer_run(&peer, &gzip, 40, 200, &seed);
		EQ(peer.fault, FAULT_NONE);
		EQ(inflate_members(peer.inflate), members);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	}
}

static void members_at_every_split(void)
{
	fresh();
	append_small_member(11);
	append_small_member(0);
	append_small_member(300);
	append_small_member(9);
	append_small_member(0);
	expect(FAULT_NONE);
	EQ(inflate_members(peer.inflate), 5);
}

static void member_end_at_the_input_end_says_done(void)
{
	fresh();
	size_t ends[4];
	for (size_t i = 0; i < 4; i++) {
		append_small_member(10 * i);
		ends[i] = gzip.count;
	}
	size_t consumed;
	peer_begin(&peer);
	for (size_t i = 0, at = 0; i < 4; at = ends[i++]) {
		EQ(peer_push(&peer, gzip.base + at, ends[i] - at - 1, 4096, 0, &consumed), STEP_HUNGRY);
		EQ(peer_push(&peer, gzip.base + ends[i] - 1, 1, 4096, 0, &consumed), STEP_DONE);
		EQ(inflate_members(peer.inflate), i + 1);
		EQ(peer_push(&peer, NULL, 0, 4096, 0, &consumed), STEP_DONE);
		EQ(peer_push(&peer, NULL, 0, 0, 0, &consumed), STEP_DONE);
	}
	EQ(inflate_end(peer.inflate), FAULT_NONE);
}

static void bad_member_behind_good_ones_breaks(void)
{
	fresh();
	append_small_member(50);
	size_t first = plain.count;
	append_small_member(50);
	gzip.base[gzip.count - 5] ^= 1;
	expect(FAULT_INFLATE_CHECKSUM);
	EQ(inflate_members(peer.inflate), 1);
	GE(peer.plain.count, first);
}

static void truncated_anywhere_is_never_complete(void)
{
	for (unsigned flags = 0; flags < 32; flags += 31) {
		fresh();
		peer_append_events(&plain, 700, &(uint64_t){ 3 });
		peer_append_header(&gzip, &(struct peer_header){ .flags = flags, .extra_bytes = 4 });
		append_deflate_and_trailer(plain.base, plain.count);
		for (size_t whole = gzip.count; gzip.count > 0;) {
			gzip.count--;
			peer_run(&peer, &gzip, gzip.count % 7 ? whole : 1, gzip.count % 5 ? whole * 99 : 3,
				 NULL);
			EQ(peer.fault, FAULT_INFLATE_TRUNCATED);
			EQ(inflate_members(peer.inflate), 0);
			LE(peer.plain.count, plain.count);
			EQ(memcmp(peer.plain.base, plain.base, peer.plain.count), 0);
		}
	}
	/* Every plain byte may be out already, and still it is not proven. */
	gzip.count = 0;
	peer_append_member(&gzip, plain.base, plain.count, 6);
	gzip.count -= 8;
	peer_run(&peer, &gzip, gzip.count, 4096, NULL);
	EQ(peer.fault, FAULT_INFLATE_TRUNCATED);
	EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
}

static void second_member_truncated_is_truncated(void)
{
	fresh();
	append_small_member(20);
	size_t first = gzip.count;
	append_small_member(20);
	size_t whole = gzip.count;
	for (gzip.count = first + 1; gzip.count < whole; gzip.count++) {
		peer_run(&peer, &gzip, 1 + gzip.count % 9, 100, NULL);
		EQ(peer.fault, FAULT_INFLATE_TRUNCATED);
		EQ(inflate_members(peer.inflate), 1);
	}
}

static void zeros_behind_the_stream_are_padding(void)
{
	for (size_t zeros = 1; zeros < 600; zeros += zeros < 20 ? 1 : 97) {
		fresh();
		append_small_member(20);
		append_small_member(3);
		for (size_t i = 0; i < zeros; i++)
			bytes_append_byte(&gzip, 0);
		expect(FAULT_NONE);
		EQ(inflate_members(peer.inflate), 2);
	}
}

static void garbage_behind_the_stream_is_a_fault(void)
{
	static const struct {
		const char *bytes;
		size_t count;
		enum fault fault;
	} cases[] = {
		{ "x", 1, FAULT_INFLATE_TRAILING },
		{ "\n", 1, FAULT_INFLATE_TRAILING },
		{ "\r\n", 2, FAULT_INFLATE_TRAILING },
		{ "abc", 3, FAULT_INFLATE_TRAILING },
		{ "\0x", 2, FAULT_INFLATE_TRAILING },
		{ "\0\0\0\0\0\0\0\0\0\0\0\1", 12, FAULT_INFLATE_TRAILING },
		{ "\x1f", 1, FAULT_INFLATE_TRUNCATED },
		{ "\x1f\0", 2, FAULT_INFLATE_TRAILING },
		{ "\x1f\x8b", 2, FAULT_INFLATE_TRUNCATED },
		{ "\x1f\x8b\x07", 3, FAULT_INFLATE_HEADER },
		{ "\x1f\x8b\x08\x20", 4, FAULT_INFLATE_HEADER },
		{ "\0\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0", 21, FAULT_INFLATE_TRAILING },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fresh();
		append_small_member(25);
		bytes_append(&gzip, cases[i].bytes, cases[i].count);
		expect(cases[i].fault);
		EQ(inflate_members(peer.inflate), 1);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	}
}

static void nothing_at_all_is_truncated(void)
{
	fresh();
	expect(FAULT_INFLATE_TRUNCATED);
	peer_begin(&peer);
	EQ(inflate_end(peer.inflate), FAULT_INFLATE_TRUNCATED);
	size_t consumed;
	EQ(peer_push(&peer, (const uint8_t *)"\x1f", 1, 10, 0, &consumed), STEP_BROKEN);
	EQ(consumed, 0);
}

static void output_may_be_cut_anywhere(void)
{
	uint64_t seed = 11;
	fresh();
	peer_append_events(&plain, 3000, &seed);
	for (int i = 0; i < 1000; i++) /* long overlapping matches */
		bytes_append_byte(&plain, '-');
	peer_append_member(&gzip, plain.base, plain.count, 9);
	for (size_t out = 1; out < plain.count + 3; out += out < 600 ? 1 : 61) {
		peer_run(&peer, &gzip, gzip.count, out, NULL);
		EQ(peer.fault, FAULT_NONE);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
		peer_run(&peer, &gzip, 1 + out % 13, out, NULL);
		EQ(peer.fault, FAULT_NONE);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	}
}

/* Across several windows of history: matches reach back over borders of pieces at any distance up to 32 KB.
 */
static void long_streams_in_random_pieces(void)
{
	static const size_t sizes[] = { 7, 64, 1000, 16384, 65536, 1 << 20 };
	uint64_t seed = 13;
	for (int level = 0; level <= 9; level += 3) {
		fresh();
		peer_append_events(&plain, 50000, &seed);
		peer_append_noise(&plain, 40000, &seed);
		bytes_reserve(&plain, 32768);
		bytes_append(&plain, plain.base + plain.count - 32768, 32768); /* far matches */
		peer_append_events(&plain, 60000, &seed);
		peer_append_member(&gzip, plain.base, plain.count, level);
		for (size_t in = 0; in < 6; in++)
			for (size_t out = in == 0 ? 5 : in == 2 ? 1 : 2; out < 6; out++) {
				peer_run(&peer, &gzip, sizes[in], sizes[out], &seed);
				EQ(peer.fault, FAULT_NONE);
				EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
			}
	}
}

/* A megabyte out of a thousand bytes: all input is gone long before the output is. */
static void pending_output_is_not_lost(void)
{
	fresh();
	for (size_t i = 0; i < 1 << 20; i++)
		bytes_append_byte(&plain, 'z');
	peer_append_member(&gzip, plain.base, plain.count, 9);
	LT(gzip.count, 1100);
	for (size_t out = 1000; out < 300000; out = out * 3 + 1) {
		peer_run(&peer, &gzip, gzip.count, out, NULL);
		EQ(peer.fault, FAULT_NONE);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
		GE(peer.full_count, plain.count / out - 1);
		EQ(peer.done_count, 1);
	}
}

static void no_room_is_full_not_hungry(void)
{
	size_t consumed;
	fresh();
	append_small_member(40);
	peer_begin(&peer);
	EQ(peer_push(&peer, gzip.base, 10, 0, 0, &consumed), STEP_HUNGRY); /* the header needs no room */
	EQ(peer_push(&peer, gzip.base + 10, gzip.count - 10, 0, 0, &consumed), STEP_FULL);
	EQ(consumed, 0);
	EQ(peer_push(&peer, gzip.base + 10, gzip.count - 10, 41, 0, &consumed), STEP_DONE);
	EQ(inflate_end(peer.inflate), FAULT_NONE);
}

static void begins_afresh_after_anything(void)
{
	static const enum fault faults[] = { FAULT_INFLATE_CHECKSUM, FAULT_INFLATE_TRUNCATED,
					     FAULT_INFLATE_DATA, FAULT_NONE };
	uint64_t seed = 17;
	fresh();
	peer_append_events(&plain, 100000, &seed);
	peer_append_member(&gzip, plain.base, plain.count, 6);
	for (int round = 0; round < 12; round++) {
		enum fault fault = faults[round % 4];
		struct bytes copy = { 0 };
		bytes_append(&copy, gzip.base, gzip.count);
		if (fault == FAULT_INFLATE_CHECKSUM)
			copy.base[copy.count - 8] ^= 1;
		else if (fault == FAULT_INFLATE_TRUNCATED)
			copy.count = copy.count * 3 / 4;
		else if (fault == FAULT_INFLATE_DATA)
			copy.base[10] |= 6; /* block type 3 */
		peer_run(&peer, &copy, 5000, 3000, &seed);
		EQ(peer.fault, fault);
		bytes_free(&copy);
		peer_run(&peer, &gzip, 1 << 20, 1 << 20, NULL);
		EQ(peer.fault, FAULT_NONE);
		EQ(inflate_offset(peer.inflate), gzip.count);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	}
	/* In the middle of a stream. */
	size_t consumed;
	peer_begin(&peer);
	EQ(peer_push(&peer, gzip.base, 2000, 1 << 20, 0, &consumed), STEP_HUNGRY);
	peer_run(&peer, &gzip, 1 << 20, 1 << 20, NULL);
	EQ(peer.fault, FAULT_NONE);
}

/* Without a window of its own, a match could read what an earlier stream left behind. */
static void no_history_survives_a_member(void)
{
	struct bits bits = { 0 };
	bits_append(&bits, 1, 1);
	bits_append(&bits, 1, 2);
	bits_append_fixed(&bits, 257); /* length 3 */
	bits_append_code(&bits, 0, 5); /* distance 1, and nothing before */
	bits_append_fixed(&bits, 256);
	fresh();
	append_small_member(2000);
	peer_append_bits(&gzip, &bits, "aaa", 3);
	for (size_t out = 1; out < 5000; out += 13) {
		peer_run(&peer, &gzip, gzip.count, out, NULL);
		EQ(peer.fault, FAULT_INFLATE_DATA);
		EQ(inflate_members(peer.inflate), 1);
		EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	}
}

PEER_MAIN(T(engine_has_a_name_and_fits), T(header_with_every_flag_at_every_split),
	  T(header_checksum_is_verified), T(header_checksum_covers_every_byte),
	  T(header_refuses_what_it_does_not_know), T(plain_text_is_not_gzip), T(header_fields_may_be_long),
	  T(long_header_fields_at_their_borders), T(header_fields_without_an_end_are_truncated),
	  T(second_header_is_verified), T(checksum_is_proven_bit_by_bit), T(trailer_at_every_pair_of_splits),
	  T(members_follow_each_other_without_a_gap), T(members_at_every_split),
	  T(member_end_at_the_input_end_says_done), T(bad_member_behind_good_ones_breaks),
	  T(truncated_anywhere_is_never_complete), T(second_member_truncated_is_truncated),
	  T(zeros_behind_the_stream_are_padding), T(garbage_behind_the_stream_is_a_fault),
	  T(nothing_at_all_is_truncated), T(output_may_be_cut_anywhere), T(long_streams_in_random_pieces),
	  T(pending_output_is_not_lost), T(no_room_is_full_not_hungry), T(begins_afresh_after_anything),
	  T(no_history_survives_a_member))
