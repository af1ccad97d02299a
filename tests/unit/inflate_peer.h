/* SPDX-License-Identifier: Apache-2.0
 *
 * What the inflate tests share: makes gzip streams with zlib, or bit by bit where zlib would not; buffers
 * between unmapped pages; a driver that feeds a stream in pieces and holds every answer of inflate_push()
 * against its contract; zlib for a second opinion; and the engines, each of which every test runs with.
 */
#ifndef TESTS_INFLATE_PEER_H
#define TESTS_INFLATE_PEER_H

#define ZLIB_CONST
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "inflate/inflate.h"

#include "test.h"

#define PEER __attribute__((unused)) static

/* ---- growing byte strings; freed by the owner */

struct bytes {
	uint8_t *base;
	size_t count;
	size_t capacity;
};

PEER void bytes_reserve(struct bytes *bytes, size_t count)
{
	if (bytes->count + count <= bytes->capacity)
		return;
	bytes->capacity = (bytes->count + count) * 2;
	bytes->base = realloc(bytes->base, bytes->capacity);
	if (!bytes->base)
		abort();
}

PEER void bytes_append(struct bytes *bytes, const void *more, size_t count)
{
	bytes_reserve(bytes, count);
	if (count)
		memcpy(bytes->base + bytes->count, more, count);
	bytes->count += count;
}

PEER void bytes_append_byte(struct bytes *bytes, unsigned byte)
{
	uint8_t one = (uint8_t)byte;
	bytes_append(bytes, &one, 1);
}

PEER void bytes_append_number(struct bytes *bytes, uint32_t number, int byte_count)
{
	for (int i = 0; i < byte_count; i++)
		bytes_append_byte(bytes, number >> 8 * i & 255);
}

PEER void bytes_free(struct bytes *bytes)
{
	free(bytes->base);
	*bytes = (struct bytes){ 0 };
}

PEER uint64_t peer_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

/* ---- bits, as deflate packs them: least significant first; Huffman codes most significant first */

struct bits {
	struct bytes bytes;
	uint64_t held;
	unsigned held_bits;
};

PEER void bits_append(struct bits *bits, uint32_t value, unsigned count)
{
	bits->held |= (uint64_t)value << bits->held_bits;
	bits->held_bits += count;
	for (; bits->held_bits >= 8; bits->held_bits -= 8, bits->held >>= 8)
		bytes_append_byte(&bits->bytes, bits->held & 255);
}

PEER void bits_append_code(struct bits *bits, uint32_t code, unsigned count)
{
	while (count)
		bits_append(bits, code >> --count & 1, 1);
}

PEER void bits_align(struct bits *bits)
{
	if (bits->held_bits)
		bits_append(bits, 0, 8 - bits->held_bits);
}

/* A symbol of the fixed literal/length code (RFC 1951 3.2.6). */
PEER void bits_append_fixed(struct bits *bits, unsigned symbol)
{
	if (symbol < 144)
		bits_append_code(bits, 0x30 + symbol, 8);
	else if (symbol < 256)
		bits_append_code(bits, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		bits_append_code(bits, symbol - 256, 7);
	else
		bits_append_code(bits, 0xc0 + symbol - 280, 8);
}

PEER void bits_append_stored(struct bits *bits, unsigned last, const void *plain, uint32_t count)
{
	bits_append(bits, last, 1);
	bits_append(bits, 0, 2);
	bits_align(bits);
	bytes_append_number(&bits->bytes, count, 2);
	bytes_append_number(&bits->bytes, ~count, 2);
	bytes_append(&bits->bytes, plain, count);
}

/* A dynamic block's header with the code lengths given, each sent as it is through a flat code: 4 bits a
 * length (symbols 0..15). */
PEER void bits_append_dynamic(struct bits *bits, unsigned last, const uint8_t *lengths, unsigned litlen_count,
			      unsigned dist_count)
{
	bits_append(bits, last, 1);
	bits_append(bits, 2, 2);
	bits_append(bits, litlen_count - 257, 5);
	bits_append(bits, dist_count - 1, 5);
	bits_append(bits, 19 - 4, 4);
	for (int i = 0; i < 19; i++) /* 16, 17, 18 come first and get no code */
		bits_append(bits, i < 3 ? 0 : 4, 3);
	for (unsigned i = 0; i < litlen_count + dist_count; i++)
		bits_append_code(bits, lengths[i], 4);
}

/* The canonical code of `symbol`, for crafted dynamic blocks. */
PEER void bits_append_symbol(struct bits *bits, const uint8_t *lengths, unsigned count, unsigned symbol)
{
	uint32_t code = 0;
	for (unsigned length = 1; length <= 15; length++, code <<= 1)
		for (unsigned i = 0; i < count; i++) {
			if (lengths[i] != length)
				continue;
			if (i == symbol) {
				bits_append_code(bits, code, length);
				return;
			}
			code++;
		}
	abort();
}

/* ---- gzip */

enum { PEER_TEXT = 1, PEER_FHCRC = 2, PEER_FEXTRA = 4, PEER_FNAME = 8, PEER_FCOMMENT = 16 };

struct peer_header {
	unsigned flags;
	size_t extra_bytes;
	size_t name_bytes;
	size_t comment_bytes;
	unsigned checksum_error; /* xor-ed into FHCRC */
};

PEER void peer_append_text(struct bytes *gzip, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes_append_byte(gzip, 'a' + (unsigned)(i % 26));
	bytes_append_byte(gzip, 0);
}

PEER void peer_append_header(struct bytes *gzip, const struct peer_header *header)
{
	size_t begin = gzip->count;
	bytes_append(gzip, "\x1f\x8b\x08", 3);
	bytes_append_byte(gzip, header->flags);
	bytes_append(gzip, "\x01\x02\x03\x04\x02\x03", 6);
	if (header->flags & PEER_FEXTRA) {
		bytes_append_number(gzip, (uint32_t)header->extra_bytes, 2);
		for (size_t i = 0; i < header->extra_bytes; i++)
			bytes_append_byte(gzip, i * 7 & 255);
	}
	if (header->flags & PEER_FNAME)
		peer_append_text(gzip, header->name_bytes);
	if (header->flags & PEER_FCOMMENT)
		peer_append_text(gzip, header->comment_bytes);
	if (header->flags & PEER_FHCRC) {
		uLong checksum = crc32(0, gzip->base + begin, (uInt)(gzip->count - begin));
		bytes_append_number(gzip, (uint32_t)checksum ^ header->checksum_error, 2);
	}
}

PEER void peer_append_trailer(struct bytes *gzip, const void *plain, size_t count)
{
	bytes_append_number(gzip, (uint32_t)crc32(crc32(0, NULL, 0), plain, (uInt)count), 4);
	bytes_append_number(gzip, (uint32_t)count, 4);
}

/* All that zlib makes of the input that it has. */
PEER void peer_append_piece(struct bytes *gzip, z_stream *stream, int flush)
{
	do {
		bytes_reserve(gzip, 4096);
		stream->next_out = gzip->base + gzip->count;
		stream->avail_out = (uInt)(gzip->capacity - gzip->count);
		deflate(stream, flush);
		gzip->count = (size_t)(stream->next_out - gzip->base);
	} while (stream->avail_out == 0);
}

/* A raw deflate stream; with `flush_every` a sync flush follows each so many bytes. */
PEER void peer_append_deflate(struct bytes *gzip, const void *plain, size_t count, int level, int strategy,
			      size_t flush_every)
{
	z_stream stream = { 0 };
	if (deflateInit2(&stream, level, Z_DEFLATED, -15, 8, strategy) != Z_OK)
		abort();
	size_t step = flush_every ? flush_every : count;
	stream.next_in = plain;
	for (size_t at = 0;; at += step) {
		size_t left = count - at;
		int flush = left <= step ? Z_FINISH : Z_SYNC_FLUSH;
		stream.avail_in = (uInt)(left <= step ? left : step);
		peer_append_piece(gzip, &stream, flush);
		if (flush == Z_FINISH)
			break;
	}
	deflateEnd(&stream);
}

PEER void peer_append_member(struct bytes *gzip, const void *plain, size_t count, int level)
{
	peer_append_header(gzip, &(struct peer_header){ 0 });
	peer_append_deflate(gzip, plain, count, level, Z_DEFAULT_STRATEGY, 0);
	peer_append_trailer(gzip, plain, count);
}

/* A member around crafted bits, which are consumed. */
PEER void peer_append_bits(struct bytes *gzip, struct bits *bits, const void *plain, size_t count)
{
	bits_align(bits);
	peer_append_header(gzip, &(struct peer_header){ 0 });
	bytes_append(gzip, bits->bytes.base, bits->bytes.count);
	peer_append_trailer(gzip, plain, count);
	bytes_free(&bits->bytes);
	*bits = (struct bits){ 0 };
}

/* ---- a buffer whose first byte follows, and whose last byte precedes, an unmapped page */

struct guarded {
	uint8_t *base;
	size_t count; /* a multiple of the page size */
};

PEER struct guarded guarded_map(size_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	count = (count + page - 1) / page * page;
	uint8_t *map = mmap(NULL, count + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED || mprotect(map + page, count, PROT_READ | PROT_WRITE) != 0)
		abort();
	return (struct guarded){ .base = map + page, .count = count };
}

PEER void guarded_unmap(struct guarded *guarded)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	munmap(guarded->base - page, guarded->count + 2 * page);
}

/* ---- zlib, which we did not write: its verdict is ours */

enum peer_verdict {
	PEER_GOOD,
	PEER_BAD,   /* whatever may follow */
	PEER_SHORT, /* good as far as it goes */
};

struct peer_reference {
	enum peer_verdict verdict;
	size_t member_count;
	struct bytes plain; /* up to the damage, if there is any */
};

/* Member after member; zeros behind the last are padding. What `plain` holds is written over. */
PEER void peer_reference_make(struct peer_reference *reference, const struct bytes *gzip)
{
	reference->verdict = PEER_SHORT;
	reference->member_count = reference->plain.count = 0;
	z_stream z = { .next_in = gzip->base, .avail_in = (uInt)gzip->count };
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		abort();
	int answer = Z_OK;
	while (answer == Z_OK) {
		bytes_reserve(&reference->plain, 65536);
		z.next_out = reference->plain.base + reference->plain.count;
		z.avail_out = (uInt)(reference->plain.capacity - reference->plain.count);
		answer = inflate(&z, Z_NO_FLUSH);
		reference->plain.count = (size_t)(z.next_out - reference->plain.base);
		if (answer != Z_STREAM_END)
			continue;
		reference->member_count++;
		if (z.avail_in && *z.next_in) {
			inflateReset(&z);
			answer = Z_OK;
		}
	}
	while (answer == Z_STREAM_END && z.avail_in && *z.next_in == 0)
		z.next_in++, z.avail_in--;
	if (answer == Z_STREAM_END)
		reference->verdict = z.avail_in ? PEER_BAD : PEER_GOOD;
	else if (answer == Z_DATA_ERROR)
		reference->verdict = PEER_BAD;
	inflateEnd(&z);
}

/* The caller frees `plain`. */
PEER struct peer_reference peer_reference_of(const struct bytes *gzip)
{
	struct peer_reference reference = { 0 };
	peer_reference_make(&reference, gzip);
	return reference;
}

/* ---- the engines */

struct peer_engine {
	enum inflate_engine engine;
	const char *name;
	/* An incomplete code is refused when it is read, as zlib does; or else when a missing code is used.
	 */
	int refuses_incomplete_codes;
};

static const struct peer_engine peer_engines[] = {
#if defined(__x86_64__)
	{ INFLATE_ENGINE_OWN, "own-x86", 1 }, /* own-c where the processor cannot */
#endif
	{ INFLATE_ENGINE_OWN_C, "own-c", 1 },
	{ INFLATE_ENGINE_ISAL, "isal", 0 },
};

/* The one that the running test is to use; without one it is the product's choice. */
PEER const struct peer_engine *peer_engine;

/* ---- the driver */

enum { PEER_PIECE_BYTES_MAX = 1 << 20 };

struct peer {
	const struct peer_engine *engine;
	struct arena arena;
	struct inflate *inflate;
	struct guarded in;
	struct guarded out;
	struct bytes plain;
	enum fault fault;
	unsigned full_count;
	unsigned done_count;
};

PEER void peer_open(struct peer *peer)
{
	enum inflate_engine engine = peer_engine ? peer_engine->engine : INFLATE_ENGINE_AUTO;
	*peer = (struct peer){ .engine = peer_engine };
	if (arena_open(&peer->arena, inflate_bytes_needed(engine)) != 0)
		abort();
	peer->inflate = inflate_create(engine, &peer->arena);
	arena_close(&peer->arena);
	peer->in = guarded_map(PEER_PIECE_BYTES_MAX);
	peer->out = guarded_map(INFLATE_HISTORY_BYTES + PEER_PIECE_BYTES_MAX);
}

PEER void peer_close(struct peer *peer)
{
	guarded_unmap(&peer->in);
	guarded_unmap(&peer->out);
	bytes_free(&peer->plain);
	arena_finish(&peer->arena);
}

/* Opened, and with the engine of the running test. */
PEER void peer_fresh(struct peer *peer)
{
	if (peer->inflate && peer->engine != peer_engine)
		peer_close(peer);
	if (!peer->inflate || peer->engine != peer_engine)
		peer_open(peer);
	if (strcmp(inflate_engine_name(peer->inflate), peer_engine->name) != 0)
		SKIP("this processor cannot run it");
}

PEER void peer_begin(struct peer *peer)
{
	inflate_begin(peer->inflate);
	peer->plain.count = 0;
	peer->fault = FAULT_NONE;
	peer->full_count = 0;
	peer->done_count = 0;
}

/* Each answer against the contract in inflate.h. */
PEER void peer_check_step(const struct peer *peer, enum step step, size_t in_bytes, size_t consumed,
			  size_t out_bytes, size_t produced)
{
	LE(consumed, in_bytes);
	LE(produced, out_bytes);
	switch (step) {
	case STEP_HUNGRY:
	case STEP_DONE:
		EQ(consumed, in_bytes);
		EQ(inflate_fault(peer->inflate), FAULT_NONE);
		break;
	case STEP_FULL:
		if (out_bytes >= INFLATE_ROOM_BYTES)
			LT(out_bytes - produced, INFLATE_ROOM_BYTES);
		else
			EQ(produced, out_bytes);
		EQ(inflate_fault(peer->inflate), FAULT_NONE);
		break;
	case STEP_BROKEN:
		NE(inflate_fault(peer->inflate), FAULT_NONE);
		break;
	}
	if (step != STEP_BROKEN && in_bytes && out_bytes)
		GT(consumed + produced, 0);
}

/* One call: what it is given, and what is held against it afterwards. */
struct peer_call {
	struct cursor_in in;
	struct cursor_out out;
	const uint8_t *history;
	const uint8_t *in_base;
	const uint8_t *out_base;
	uint64_t offset_before;
};

PEER struct peer_call peer_call_of(const struct peer *peer, const uint8_t *in_base, size_t in_bytes,
				   const uint8_t *history, uint8_t *out_base, size_t out_bytes)
{
	return (struct peer_call){ { in_base, in_base + in_bytes },
				   { out_base, out_base + out_bytes },
				   history,
				   in_base,
				   out_base,
				   inflate_offset(peer->inflate) };
}

enum { PEER_FENCE_BYTES = 64, PEER_LOOK_BACK_BYTES = 2048 };
static const uint8_t peer_fence[PEER_FENCE_BYTES] = "not to be written";

/* `in_bytes` at the end of the input buffer, or at its start when `at_start`; likewise the room with as much
 * history as it must have in front: so a byte read or written outside of either is next to an unmapped page
 * in one of the two, or among those that must be left alone. */
PEER struct peer_call peer_place(const struct peer *peer, const uint8_t *gzip, size_t in_bytes,
				 size_t out_bytes, int at_start)
{
	uint8_t *in_base = at_start ? peer->in.base : peer->in.base + peer->in.count - in_bytes;
	size_t history_bytes =
		peer->plain.count < INFLATE_HISTORY_BYTES ? peer->plain.count : INFLATE_HISTORY_BYTES;
	uint8_t *out_base =
		at_start ? peer->out.base + history_bytes : peer->out.base + peer->out.count - out_bytes;
	if (history_bytes)
		memcpy(out_base - history_bytes, peer->plain.base + peer->plain.count - history_bytes,
		       history_bytes);
	if (in_bytes)
		memcpy(in_base, gzip, in_bytes);
	if (out_base + out_bytes + PEER_FENCE_BYTES <= peer->out.base + peer->out.count)
		memcpy(out_base + out_bytes, peer_fence, PEER_FENCE_BYTES);
	return peer_call_of(peer, in_base, in_bytes, out_base - history_bytes, out_base, out_bytes);
}

/* Appends what came out; what was there before, and what lies behind the room, is unchanged, where a careless
 * copy would hit it. Returns the bytes consumed. */
PEER size_t peer_call_end(struct peer *peer, const struct peer_call *call, enum step step)
{
	size_t consumed = (size_t)(call->in.next - call->in_base);
	size_t produced = (size_t)(call->out.next - call->out_base);
	size_t history_bytes = (size_t)(call->out_base - call->history);
	size_t look_bytes = history_bytes < PEER_LOOK_BACK_BYTES ? history_bytes : PEER_LOOK_BACK_BYTES;
	peer_check_step(peer, step, (size_t)(call->in.end - call->in_base), consumed,
			(size_t)(call->out.end - call->out_base), produced);
	EQ_BYTES(call->out_base - look_bytes, look_bytes, peer->plain.base + peer->plain.count - look_bytes,
		 look_bytes);
	if (call->out.end + PEER_FENCE_BYTES <= peer->out.base + peer->out.count)
		EQ_BYTES(call->out.end, PEER_FENCE_BYTES, peer_fence, PEER_FENCE_BYTES);
	bytes_append(&peer->plain, call->out_base, produced);
	EQ(inflate_plain_bytes(peer->inflate), peer->plain.count);
	EQ(inflate_offset(peer->inflate) - call->offset_before, consumed);
	return consumed;
}

PEER enum step peer_push(struct peer *peer, const uint8_t *gzip, size_t in_bytes, size_t out_bytes,
			 int at_start, size_t *ret_consumed)
{
	struct peer_call call = peer_place(peer, gzip, in_bytes, out_bytes, at_start);
	enum step step = inflate_push(peer->inflate, &call.in, call.history, &call.out);
	*ret_consumed = peer_call_end(peer, &call, step);
	return step;
}

/* Breaking is for good: nothing more goes in or out. */
PEER void peer_check_sticky(struct peer *peer)
{
	size_t consumed, before = peer->plain.count;
	enum fault fault = inflate_fault(peer->inflate);
	EQ(peer_push(peer, (const uint8_t *)"xyz", 3, 64, 0, &consumed), STEP_BROKEN);
	EQ(consumed, 0);
	EQ(peer->plain.count, before);
	EQ(inflate_fault(peer->inflate), fault);
	EQ(inflate_end(peer->inflate), fault);
}

/* Feeds [gzip, gzip+count) of a stream in pieces of at most these sizes, drawn at random from 1 up when there
 * is a seed. Returns 0 when broken. */
PEER int peer_feed(struct peer *peer, const uint8_t *gzip, size_t count, size_t in_max, size_t out_max,
		   uint64_t *seed)
{
	size_t at = 0;
	for (;;) {
		size_t in_bytes = in_max, out_bytes = out_max, consumed;
		if (seed) {
			in_bytes = 1 + peer_random(seed) % in_max;
			out_bytes = 1 + peer_random(seed) % out_max;
		}
		if (in_bytes > count - at)
			in_bytes = count - at;
		enum step step = peer_push(peer, gzip + at, in_bytes, out_bytes, (int)(at & 1), &consumed);
		at += consumed;
		peer->full_count += step == STEP_FULL;
		peer->done_count += step == STEP_DONE;
		if (step == STEP_BROKEN) {
			peer->fault = inflate_fault(peer->inflate);
			return 0;
		}
		if (step != STEP_FULL && at == count)
			return 1;
	}
}

/* A whole stream; the verdict is in peer->fault. */
PEER void peer_run(struct peer *peer, const struct bytes *gzip, size_t in_max, size_t out_max, uint64_t *seed)
{
	peer_begin(peer);
	if (peer_feed(peer, gzip->base, gzip->count, in_max, out_max, seed)) {
		peer->fault = inflate_end(peer->inflate);
		EQ(inflate_end(peer->inflate), peer->fault);
		EQ(inflate_fault(peer->inflate), peer->fault);
	} else {
		peer_check_sticky(peer);
	}
}

/* A whole stream, cut in two at `split`. */
PEER void peer_run_split(struct peer *peer, const struct bytes *gzip, size_t split, size_t out_max)
{
	peer_begin(peer);
	if (peer_feed(peer, gzip->base, split, PEER_PIECE_BYTES_MAX, out_max, NULL) &&
	    peer_feed(peer, gzip->base + split, gzip->count - split, PEER_PIECE_BYTES_MAX, out_max, NULL))
		peer->fault = inflate_end(peer->inflate);
}

/* A whole stream, as a page does it: plain bytes lie one behind the other in a window that ends at an
 * unmapped page, and when little room is left, the last 32 KB of them and more move to its front. */
PEER void peer_run_window(struct peer *peer, const struct bytes *gzip, size_t in_max, size_t room_bytes,
			  size_t more_history_bytes)
{
	size_t keep_bytes = INFLATE_HISTORY_BYTES + more_history_bytes;
	uint8_t *end = peer->out.base + peer->out.count, *window = end - keep_bytes - room_bytes;
	uint8_t *next = window;
	GE(room_bytes, INFLATE_ROOM_BYTES);
	GE(window, peer->out.base);
	peer_begin(peer);
	size_t at = 0;
	for (enum step step = STEP_HUNGRY; step == STEP_FULL || at < gzip->count;) {
		size_t in_bytes = gzip->count - at < in_max ? gzip->count - at : in_max;
		uint8_t *in_base = peer->in.base + peer->in.count - in_bytes;
		memcpy(in_base, gzip->base + at, in_bytes);
		struct peer_call call =
			peer_call_of(peer, in_base, in_bytes, window, next, (size_t)(end - next));
		step = inflate_push(peer->inflate, &call.in, call.history, &call.out);
		at += peer_call_end(peer, &call, step);
		next = call.out.next;
		if (step == STEP_BROKEN)
			break;
		if (step != STEP_FULL)
			continue;
		memmove(window, next - keep_bytes, keep_bytes);
		next = window + keep_bytes;
	}
	peer->fault = inflate_end(peer->inflate);
}

/* What an engine, zlib and the test itself make of a stream must agree. `reference` is zlib's, `plain` what
 * the test says comes out if all is well. */
PEER void peer_check_end(const struct peer *peer, enum fault fault, const struct peer_reference *reference,
			 const void *plain, size_t plain_bytes)
{
	if (peer->fault != fault)
		FAIL("%s, wanted %s", fault_name(peer->fault), fault_name(fault));
	if (fault == FAULT_INFLATE_LIMIT) /* zlib has none */
		return;
	EQ(inflate_members(peer->inflate), reference->member_count);
	/* Fewer bytes only when it broke: those from shortly before the damage may be missing. */
	if (fault != FAULT_INFLATE_DATA)
		EQ(peer->plain.count, reference->plain.count);
	LE(peer->plain.count, reference->plain.count);
	EQ_BYTES(peer->plain.base, peer->plain.count, reference->plain.base, peer->plain.count);
	if (fault == FAULT_NONE)
		EQ_BYTES(peer->plain.base, peer->plain.count, plain, plain_bytes);
}

PEER void peer_check_reference(const struct peer_reference *reference, enum fault fault)
{
	switch (fault) {
	case FAULT_NONE:
		EQ(reference->verdict, PEER_GOOD);
		break;
	case FAULT_INFLATE_TRUNCATED:
		EQ(reference->verdict, PEER_SHORT);
		break;
	case FAULT_INFLATE_HEADER: /* zlib wants two bytes before it says that they are no header */
	case FAULT_INFLATE_TRAILING:
		NE(reference->verdict, PEER_GOOD);
		break;
	case FAULT_INFLATE_DATA:
	case FAULT_INFLATE_CHECKSUM:
	case FAULT_INFLATE_SIZE:
		EQ(reference->verdict, PEER_BAD);
		break;
	default:
		EQ(fault, FAULT_INFLATE_LIMIT);
	}
}

/* Less room than a short match takes, than the longest, and around what counts as none. */
static const size_t peer_rooms[] = { 1, 2, 7, 8, 63, 64, 257, 258, 1023, 1024, 1025, PEER_PIECE_BYTES_MAX };
enum { PEER_ROOM_COUNT = sizeof peer_rooms / sizeof *peer_rooms };

/* Runs a small stream whole, byte by byte, and at every split, with much room and with little; the verdict
 * must be `fault` each time and zlib's too, and when that is none, the plain bytes these. */
PEER void peer_expect(struct peer *peer, const struct bytes *gzip, enum fault fault, const void *plain,
		      size_t plain_bytes)
{
	struct peer_reference reference = peer_reference_of(gzip);
	peer_check_reference(&reference, fault);
	for (size_t split = 0; split < gzip->count; split++) {
		peer_run_split(peer, gzip, split, PEER_PIECE_BYTES_MAX);
		peer_check_end(peer, fault, &reference, plain, plain_bytes);
		/* Not a call for each byte of what is long. */
		size_t room = peer_rooms[split % PEER_ROOM_COUNT], room_min = 1 + plain_bytes / 200;
		peer_run_split(peer, gzip, split, room > room_min ? room : room_min);
		peer_check_end(peer, fault, &reference, plain, plain_bytes);
	}
	for (size_t room = 0; room < PEER_ROOM_COUNT; room++)
		for (size_t piece = 1; piece <= PEER_PIECE_BYTES_MAX; piece *= PEER_PIECE_BYTES_MAX) {
			peer_run(peer, gzip, piece, peer_rooms[room], NULL);
			peer_check_end(peer, fault, &reference, plain, plain_bytes);
		}
	for (size_t piece = 1; piece < 100; piece *= 3) {
		peer_run_window(peer, gzip, piece, 2 * INFLATE_ROOM_BYTES, piece % 2);
		peer_check_end(peer, fault, &reference, plain, plain_bytes);
	}
	bytes_free(&reference.plain);
}

/* Plain bytes that compress about as an event feed does. */
PEER void peer_append_events(struct bytes *plain, size_t count, uint64_t *seed)
{
	static const char *const paths[] = { "/", "/login", "/api/v1/items", "/static/app.js", "/cart?id=" };
	size_t end = plain->count + count;
	while (plain->count < end) {
		char line[256];
		int bytes = snprintf(line, sizeof line,
				     "{\"type\":\"akamai_siem\",\"clientIP\":\"%u.%u.%u.%u\",\"path\":\"%s\","
				     "\"bytes\":%u,\"status\":%u,\"ruleActions\":\"YWxlcnQ%%3d\"}\n",
				     (unsigned)(peer_random(seed) % 224), (unsigned)(peer_random(seed) % 256),
				     (unsigned)(peer_random(seed) % 256), (unsigned)(peer_random(seed) % 256),
				     paths[peer_random(seed) % 5], (unsigned)(peer_random(seed) % 100000),
				     (unsigned)(200 + peer_random(seed) % 5 * 51));
		bytes_append(plain, line, (size_t)bytes);
	}
	plain->count = end;
}

PEER void peer_append_noise(struct bytes *plain, size_t count, uint64_t *seed)
{
	for (size_t i = 0; i < count; i++)
		bytes_append_byte(plain, peer_random(seed) & 255);
}

/* ---- every test with every engine: PEER_MAIN instead of TEST_MAIN */

PEER int peer_run_tests(const struct test_case *cases, size_t count, const char *only)
{
	enum { ENGINE_COUNT = sizeof peer_engines / sizeof *peer_engines };
	volatile int failed = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n", count * ENGINE_COUNT);
	for (volatile size_t i = 0; i < count * ENGINE_COUNT; i++) {
		const struct test_case *test = &cases[i % count];
		peer_engine = &peer_engines[i / count];
		int skipped = only && !strstr(test->name, only) && strcmp(peer_engine->name, only) != 0;
		int how = skipped ? 0 : setjmp(test_exit);
		if (how == 0 && !skipped)
			test->run();
		printf("%s %zu - %s: %s%s%s\n", how == 1 ? "not ok" : "ok", i + 1, peer_engine->name,
		       test->name, skipped || how == 2 ? " # SKIP " : "",
		       skipped	  ? "not asked for"
		       : how == 2 ? test_message
				  : "");
		if (how == 1) {
			printf("# %s\n", test_message);
			failed = 1;
		}
	}
	return failed;
}

#define PEER_MAIN(...)                                                                                       \
	int main(int argc, char **argv)                                                                      \
	{                                                                                                    \
		static const struct test_case cases[] = { __VA_ARGS__ };                                     \
		return peer_run_tests(cases, sizeof cases / sizeof *cases, argc > 1 ? argv[1] : NULL);       \
	}

#endif
