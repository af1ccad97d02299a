/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: every limit, below it and past it. The room's source is included, since some limits are far away
 * (2^40 bytes), and so that an engine that misbehaves can be put in its place.
 */
#define _GNU_SOURCE
#include "../../src/inflate/inflate.c"

#include "unit/inflate_peer.h"

static struct peer peer;
static struct bytes gzip;

static void fresh(void)
{
	peer_fresh(&peer);
	gzip.count = 0;
	peer_begin(&peer);
}

/* Empty members, all alike; returns how many went in before it broke, if it did. */
static uint64_t feed_empty_members(uint64_t count)
{
	struct bytes member = { 0 };
	peer_append_member(&member, "", 0, 6);
	EQ(member.count, 20);
	for (uint64_t i = 0; i < count; i++)
		if (!peer_feed(&peer, member.base, member.count, 4096, 64, NULL))
			break;
	bytes_free(&member);
	return inflate_members(peer.inflate);
}

static void member_count_is_limited(void)
{
	fresh();
	peer.inflate->members = INFLATE_MEMBER_COUNT_MAX - 3;
	EQ(feed_empty_members(3), INFLATE_MEMBER_COUNT_MAX);
	EQ(peer.fault, FAULT_NONE);
	EQ(feed_empty_members(1), INFLATE_MEMBER_COUNT_MAX);
	EQ(peer.fault, FAULT_INFLATE_LIMIT);
	EQ(inflate_end(peer.inflate), FAULT_INFLATE_LIMIT);

	fresh();
	peer.inflate->members = INFLATE_MEMBER_COUNT_MAX - 3;
	EQ(feed_empty_members(3), INFLATE_MEMBER_COUNT_MAX);
	EQ(inflate_end(peer.inflate), FAULT_NONE); /* exactly as many are well */
}

static void plain_bytes_are_limited(void)
{
	for (unsigned past = 0; past < 2; past++) {
		fresh();
		uint64_t before = INFLATE_PLAIN_BYTES_MAX - 1000 + past;
		peer_append_header(&gzip, &(struct peer_header){ 0 });
		uint8_t zeros[1000] = { 0 };
		peer_append_deflate(&gzip, zeros, sizeof zeros, 6, 0, 0);
		peer_append_trailer(&gzip, zeros, sizeof zeros);
		peer.inflate->plain_bytes = before;
		uint8_t out_bytes[1200];
		struct cursor_in in = { .next = gzip.base, .end = gzip.base + gzip.count };
		struct cursor_out out = { .next = out_bytes, .end = out_bytes + sizeof out_bytes };
		EQ(inflate_push(peer.inflate, &in, out_bytes, &out), past ? STEP_BROKEN : STEP_DONE);
		EQ(inflate_end(peer.inflate), past ? FAULT_INFLATE_LIMIT : FAULT_NONE);
		EQ(inflate_plain_bytes(peer.inflate), before + 1000);
	}
}

/* Feeds `piece` behind `gzip` over and over. Returns the input bytes taken until it broke. */
static uint64_t feed_endlessly(const void *piece, size_t piece_bytes)
{
	struct bytes many = { 0 };
	while (many.count < 60000)
		bytes_append(&many, piece, piece_bytes);
	EQ(peer_feed(&peer, gzip.base, gzip.count, 4096, 4096, NULL), 1);
	for (int i = 0; i < 1000; i++)
		if (!peer_feed(&peer, many.base, many.count, many.count, 4096, NULL))
			break;
	bytes_free(&many);
	return inflate_offset(peer.inflate);
}

/* Two empty blocks with codes of their own, in 23 bytes: as small as a decoder can be made to build tables
 * for. */
static void append_empty_dynamic_blocks(struct bits *bits)
{
	static const uint8_t precode[18] = { [2] = 1, [3] = 2, [17] = 2 }; /* for 18, 0 and 1 */
	for (int block = 0; block < 2; block++) {
		bits_append(bits, 4, 3);
		bits_append(bits, 0, 10);
		bits_append(bits, 18 - 4, 4);
		for (int i = 0; i < 18; i++)
			bits_append(bits, precode[i], 3);
		bits_append_code(bits, 0, 1); /* 138 and 118 literals without a code */
		bits_append(bits, 127, 7);
		bits_append_code(bits, 0, 1);
		bits_append(bits, 107, 7);
		bits_append_code(bits, 3, 2); /* the end has one of one bit */
		bits_append_code(bits, 2, 2); /* there are no distances */
		bits_append(bits, 0, 1);
	}
	EQ(bits->bytes.count, 23);
}

static void input_without_output_is_limited(void)
{
	struct bits dynamic = { 0 };
	append_empty_dynamic_blocks(&dynamic);
	struct bits bits = { 0 };
	for (int i = 0; i < 4; i++) /* 40 bits: four empty fixed blocks */
		bits_append(&bits, 2, 10);
	EQ(bits.bytes.count, 5);
	struct bytes member = { 0 };
	peer_append_member(&member, "", 0, 6);
	const struct {
		const void *piece;
		size_t piece_bytes;
		int behind_member;
	} cases[] = {
		{ "\0\0\0\xff\xff", 5, 0 }, /* empty stored blocks */
		{ bits.bytes.base, 5, 0 },	  { dynamic.bytes.base, 23, 0 },
		{ member.base, member.count, 1 }, { "\0", 1, 1 }, /* padding */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fresh();
		if (cases[i].behind_member)
			peer_append_member(&gzip, "", 0, 6);
		else
			peer_append_header(&gzip, &(struct peer_header){ 0 });
		uint64_t taken = feed_endlessly(cases[i].piece, cases[i].piece_bytes);
		EQ(peer.fault, FAULT_INFLATE_LIMIT);
		EQ(inflate_plain_bytes(peer.inflate), 0);
		GE(taken, INFLATE_INPUT_FREE_BYTES);
		LE(taken, INFLATE_INPUT_FREE_BYTES + ENGINE_PIECE_BYTES_MAX);
	}
	bytes_free(&bits.bytes);
	bytes_free(&dynamic.bytes);
	bytes_free(&member);
}

/* What honest servers do at worst: a flush behind every byte, and noise that does not compress. */
static void honest_streams_stay_below_the_limit(void)
{
	uint64_t seed = 5;
	struct bytes plain = { 0 };
	fresh();
	peer_append_events(&plain, 400000, &seed);
	peer_append_header(&gzip, &(struct peer_header){ 0 });
	peer_append_deflate(&gzip, plain.base, plain.count, 6, 0, 1);
	peer_append_trailer(&gzip, plain.base, plain.count);
	GT(gzip.count, 2 * INFLATE_INPUT_FREE_BYTES);
	peer_run(&peer, &gzip, 65536, 65536, NULL);
	EQ(peer.fault, FAULT_NONE);
	EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);

	gzip.count = plain.count = 0;
	peer_append_noise(&plain, 3000000, &seed);
	peer_append_member(&gzip, plain.base, plain.count, 6);
	GT(gzip.count, plain.count);
	peer_run(&peer, &gzip, 65536, 65536, NULL);
	EQ(peer.fault, FAULT_NONE);
	EQ_BYTES(peer.plain.base, peer.plain.count, plain.base, plain.count);
	bytes_free(&plain);
}

/* ISIZE is modulo 2^32: as if the member were that long. */
static void size_is_modulo_four_gigabytes(void)
{
	uint8_t zeros[1000] = { 0 };
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		fresh();
		peer_append_header(&gzip, &(struct peer_header){ 0 });
		EQ(peer_feed(&peer, gzip.base, gzip.count, 4096, 4096, NULL), 1);
		peer.inflate->size_modulo = UINT32_MAX - 499;
		size_t begin = gzip.count;
		peer_append_deflate(&gzip, zeros, sizeof zeros, 6, 0, 0);
		bytes_append_number(&gzip, (uint32_t)crc32(0, zeros, sizeof zeros), 4);
		bytes_append_number(&gzip, 500 + wrong, 4);
		EQ(peer_feed(&peer, gzip.base + begin, gzip.count - begin, 4096, 4096, NULL), !wrong);
		EQ(inflate_end(peer.inflate), wrong ? FAULT_INFLATE_SIZE : FAULT_NONE);
	}
}

/* And with a member that is. 4.2 GB of zeros are some thousand copies of one flushed megabyte. */
static void size_wraps_at_four_gigabytes(void)
{
	fresh();
	if (peer.inflate->engine != engine_of(INFLATE_ENGINE_AUTO))
		SKIP("it takes seconds: only with the engine that is the default");
	enum { MEGABYTE = 1 << 20, MEGABYTES = 4100 };
	uint8_t *room = calloc(1, INFLATE_HISTORY_BYTES + MEGABYTE);
	struct bytes piece = { 0 };
	peer_append_deflate(&piece, room, MEGABYTE, 9, 0, MEGABYTE / 2);
	/* Up to and with the flush marker behind the first half: no final block, no reference before it. */
	uint8_t *marker = memmem(piece.base, piece.count, "\0\0\xff\xff", 4);
	NE(marker, NULL);
	piece.count = (size_t)(marker + 4 - piece.base);
	uLong half = crc32(0, room, MEGABYTE / 2), checksum = 0;
	peer_append_header(&gzip, &(struct peer_header){ 0 });
	for (int i = 0; i < 2 * MEGABYTES; i++) {
		bytes_append(&gzip, piece.base, piece.count);
		checksum = crc32_combine(checksum, half, MEGABYTE / 2);
	}
	uint64_t total = (uint64_t)MEGABYTES * MEGABYTE;
	GT(total, UINT32_MAX);
	bytes_append(&gzip, "\x03\x00", 2); /* an empty final block */
	bytes_append_number(&gzip, (uint32_t)checksum, 4);
	bytes_append_number(&gzip, (uint32_t)total, 4);

	struct cursor_in in = { .next = gzip.base, .end = gzip.base + gzip.count };
	enum step step;
	do {
		struct cursor_out out = { .next = room + INFLATE_HISTORY_BYTES,
					  .end = room + INFLATE_HISTORY_BYTES + MEGABYTE };
		step = inflate_push(peer.inflate, &in, room, &out);
		memmove(room, out.next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
	} while (step == STEP_FULL);
	EQ(step, STEP_DONE);
	EQ(inflate_end(peer.inflate), FAULT_NONE);
	EQ(inflate_plain_bytes(peer.inflate), total);
	bytes_free(&piece);
	free(room);
}

/* An engine that neither takes nor gives. */
static enum step stuck_push(void *state, struct cursor_in *in, const uint8_t *history, struct cursor_out *out)
{
	(void)state, (void)in, (void)history, (void)out;
	return STEP_HUNGRY;
}

static void stuck_engine_breaks_instead_of_hanging(void)
{
	fresh();
	const struct engine *engine = peer.inflate->engine;
	struct engine stuck = *engine;
	stuck.push = stuck_push;
	peer.inflate->engine = &stuck;
	peer_append_member(&gzip, "abc", 3, 6);
	peer_run(&peer, &gzip, 100, 100, NULL);
	peer.inflate->engine = engine;
	EQ(peer.fault, FAULT_INFLATE_DATA);
}

PEER_MAIN(T(member_count_is_limited), T(plain_bytes_are_limited), T(input_without_output_is_limited),
	  T(honest_streams_stay_below_the_limit), T(size_is_modulo_four_gigabytes),
	  T(size_wraps_at_four_gigabytes), T(stuck_engine_breaks_instead_of_hanging))
