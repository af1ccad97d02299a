/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: the engine that takes whole streams, against the contract and against an engine that streams. The
 * room's source is included, since the true limits would take gigabytes: a copy of the engine has small ones.
 */
#define _GNU_SOURCE
#include "../../src/inflate/inflate.c"

#include "unit/inflate_peer.h"

enum { ROOM_BYTES = 1 << 20 };

struct outcome {
	enum fault fault;
	uint64_t members;
	struct bytes plain;
};

static struct arena arena;
static struct inflate *whole, *streaming;
static uint8_t *window; /* history, then ROOM_BYTES of room */

static void open_all(void)
{
	if (whole)
		return;
	EQ(arena_open(&arena, inflate_bytes_needed(INFLATE_ENGINE_LIBDEFLATE) +
				      inflate_bytes_needed(INFLATE_ENGINE_OWN_C) + ROOM_BYTES +
				      INFLATE_HISTORY_BYTES + 4096),
	   0);
	whole = inflate_create(INFLATE_ENGINE_LIBDEFLATE, &arena);
	streaming = inflate_create(INFLATE_ENGINE_OWN_C, &arena);
	window = arena_take(&arena, INFLATE_HISTORY_BYTES + ROOM_BYTES, 4096);
	arena_close(&arena);
	EQ_TEXT(inflate_engine_name(whole), "libdeflate");
}

/* One push after another until it wants more. Returns its last answer. */
static enum step drain(struct inflate *inflate, struct cursor_in *in, struct cursor_out *room,
		       size_t room_bytes, struct outcome *outcome)
{
	enum step step;
	do {
		if (cursor_out_bytes(room) < room_bytes) {
			memmove(window, room->next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
			room->next = window + INFLATE_HISTORY_BYTES;
		}
		struct cursor_out out = { room->next, room->next + room_bytes };
		step = inflate_push(inflate, in, window, &out);
		bytes_append(&outcome->plain, room->next, (size_t)(out.next - room->next));
		room->next = out.next;
	} while (step == STEP_FULL);
	return step;
}

static void run(struct inflate *inflate, const struct bytes *gzip, size_t in_bytes, size_t room_bytes,
		struct outcome *outcome)
{
	struct cursor_out room = { window + INFLATE_HISTORY_BYTES,
				   window + INFLATE_HISTORY_BYTES + ROOM_BYTES };
	struct cursor_in in = { gzip->base, gzip->base };
	const uint8_t *end = gzip->base + gzip->count;
	outcome->plain.count = 0;
	inflate_begin(inflate);
	while (in.next < end) {
		in.end = in.next + ((size_t)(end - in.next) < in_bytes ? (size_t)(end - in.next) : in_bytes);
		if (drain(inflate, &in, &room, room_bytes, outcome) == STEP_BROKEN)
			break;
	}
	in.end = in.next;
	inflate_input_over(inflate);
	drain(inflate, &in, &room, room_bytes, outcome);
	inflate_input_over(inflate); /* again: nothing changes */
	outcome->fault = inflate_end(inflate);
	outcome->members = inflate_members(inflate);
	EQ(inflate_plain_bytes(inflate), outcome->plain.count);
	LE(inflate_offset(inflate), gzip->count);
}

static struct outcome ours, theirs;

/* Both engines come to the same end, with the same bytes as far as both have any. */
static void same(const struct bytes *gzip, size_t in_bytes, size_t room_bytes)
{
	run(whole, gzip, in_bytes, room_bytes, &theirs);
	run(streaming, gzip, in_bytes, room_bytes, &ours);
	EQ(theirs.fault, ours.fault);
	EQ(theirs.members, ours.members);
	size_t count = theirs.plain.count < ours.plain.count ? theirs.plain.count : ours.plain.count;
	EQ_BYTES(theirs.plain.base, count, ours.plain.base, count);
	if (ours.fault != FAULT_INFLATE_DATA)
		EQ(theirs.plain.count, ours.plain.count);
}

static struct bytes gzip, plain;

/* Three members: compressed well, stored, and empty, the last with every optional field in its header. */
static void make_stream(size_t text_bytes)
{
	uint64_t seed = 7;
	open_all();
	gzip.count = plain.count = 0;
	peer_append_events(&plain, text_bytes, &seed);
	peer_append_member(&gzip, plain.base, plain.count, 6);
	size_t before = plain.count;
	peer_append_noise(&plain, 300, &seed);
	peer_append_member(&gzip, plain.base + before, 300, 0);
	peer_append_header(&gzip,
			   &(struct peer_header){
				   .flags = 0x1e, .extra_bytes = 5, .name_bytes = 7, .comment_bytes = 9 });
	peer_append_deflate(&gzip, "", 0, 9, 0, 0);
	peer_append_trailer(&gzip, "", 0);
}

static void whole_streams_in_any_pieces(void)
{
	static const size_t in_sizes[] = { 1, 7, 4096, 1 << 20 }, room_sizes[] = { 1, 100, 1025, 65536 };
	make_stream(200000);
	for (size_t i = 0; i < sizeof in_sizes / sizeof *in_sizes; i++)
		for (size_t k = 0; k < sizeof room_sizes / sizeof *room_sizes; k++) {
			same(&gzip, in_sizes[i], room_sizes[k]);
			EQ(theirs.fault, FAULT_NONE);
			EQ(theirs.members, 3);
			EQ_BYTES(theirs.plain.base, theirs.plain.count, plain.base, plain.count);
			EQ(inflate_offset(whole), gzip.count);
		}
}

static void cut_anywhere(void)
{
	make_stream(4000);
	struct bytes cut = gzip;
	for (cut.count = 0; cut.count < gzip.count; cut.count++) {
		same(&cut, 100, 5000);
		if (ours.members == 0 || ours.fault != FAULT_NONE)
			EQ(theirs.fault, FAULT_INFLATE_TRUNCATED);
	}
}

static void damaged_anywhere(void)
{
	make_stream(2000);
	unsigned faults = 0;
	for (size_t bit = 0; bit < gzip.count * 8; bit++) {
		gzip.base[bit / 8] ^= (uint8_t)(1 << bit % 8);
		same(&gzip, 1000, 3000);
		faults += theirs.fault != FAULT_NONE;
		gzip.base[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	GT(faults, gzip.count * 6); /* MTIME and what FHCRC does not cover may be anything */
}

static void what_lies_behind(void)
{
	static const struct {
		const char *bytes;
		size_t count;
		enum fault fault;
	} cases[] = {
		{ "\0\0\0", 3, FAULT_NONE },
		{ "\0\0x", 3, FAULT_INFLATE_TRAILING },
		{ "x", 1, FAULT_INFLATE_TRAILING },
		{ "\x1f", 1, FAULT_INFLATE_TRUNCATED },
		{ "\x1f\x8b\x07", 3, FAULT_INFLATE_HEADER },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make_stream(1000);
		bytes_append(&gzip, cases[i].bytes, cases[i].count);
		same(&gzip, 64, 4096);
		EQ(theirs.fault, cases[i].fault);
		EQ(theirs.members, 3);
		EQ_BYTES(theirs.plain.base, theirs.plain.count, plain.base, plain.count);
	}
}

/* With a copy of the engine that has little memory. */
static void input_is_limited(void)
{
	make_stream(1000);
	struct engine small = engine_libdeflate;
	small.whole_bytes_max = gzip.count;
	whole->engine = &small;
	run(whole, &gzip, 10, 4096, &theirs);
	EQ(theirs.fault, FAULT_NONE);
	small.whole_bytes_max = gzip.count - 1;
	run(whole, &gzip, 10, 4096, &theirs);
	struct cursor_in in = { gzip.base, gzip.base + 10 };
	struct cursor_out out = { window, window + ROOM_BYTES };
	EQ(inflate_push(whole, &in, window, &out), STEP_BROKEN); /* and stays so */
	whole->engine = &engine_libdeflate;
	EQ(theirs.fault, FAULT_INFLATE_LIMIT);
	EQ(theirs.plain.count, 0);
	GT(inflate_offset(whole) + 10, gzip.count - 1);
}

/* As whole_push() answers when a member is larger than its memory. */
static enum step no_space_push(void *state, struct cursor_in *in, const uint8_t *history,
			       struct cursor_out *out)
{
	(void)state, (void)in, (void)history, (void)out;
	return STEP_FULL;
}

static void plain_bytes_are_limited(void)
{
	make_stream(1000);
	struct engine small = engine_libdeflate;
	small.push = no_space_push;
	whole->engine = &small;
	run(whole, &gzip, 10, 4096, &theirs);
	whole->engine = &engine_libdeflate;
	EQ(theirs.fault, FAULT_INFLATE_LIMIT);
}

static void a_page_that_was_given_up_is_forgotten(void)
{
	make_stream(1000);
	struct cursor_in in = { gzip.base, gzip.base + 100 };
	struct cursor_out out = { window + INFLATE_HISTORY_BYTES, window + INFLATE_HISTORY_BYTES + 4096 };
	inflate_begin(whole);
	EQ(inflate_push(whole, &in, window, &out), STEP_HUNGRY);
	EQ(inflate_end(whole), FAULT_INFLATE_TRUNCATED);
	same(&gzip, 50, 4096);
	EQ(theirs.fault, FAULT_NONE);
}

static void others_need_no_more_memory(void)
{
	LT(inflate_bytes_needed(INFLATE_ENGINE_AUTO), 262144);
	LT(inflate_bytes_needed(INFLATE_ENGINE_OWN), 262144);
	LT(inflate_bytes_needed(INFLATE_ENGINE_OWN_C), 262144);
	LT(inflate_bytes_needed(INFLATE_ENGINE_ISAL), 262144);
	GT(inflate_bytes_needed(INFLATE_ENGINE_LIBDEFLATE),
	   INFLATE_WHOLE_GZIP_BYTES_MAX + INFLATE_WHOLE_PLAIN_BYTES_MAX);
}

static void it_gives_back_what_it_took(void)
{
	open_all();
	inflate_finish(whole);
	inflate_finish(streaming);
	inflate_finish(NULL);
	arena_finish(&arena);
	whole = streaming = NULL;
	bytes_free(&gzip);
	bytes_free(&plain);
	bytes_free(&ours.plain);
	bytes_free(&theirs.plain);
}

TEST_MAIN(T(whole_streams_in_any_pieces), T(cut_anywhere), T(damaged_anywhere), T(what_lies_behind),
	  T(input_is_limited), T(plain_bytes_are_limited), T(a_page_that_was_given_up_is_forgotten),
	  T(others_need_no_more_memory), T(it_gives_back_what_it_took))
