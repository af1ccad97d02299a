/* SPDX-License-Identifier: Apache-2.0
 *
 * What the inflate tests share: makes gzip streams with zlib, or bit by bit where zlib would not; buffers
 * between unmapped pages; and a driver that feeds a stream in pieces and holds every answer of inflate_push()
 * against its contract.
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
		do {
			bytes_reserve(gzip, 4096);
			stream.next_out = gzip->base + gzip->count;
			stream.avail_out = (uInt)(gzip->capacity - gzip->count);
			deflate(&stream, flush);
			gzip->count = (size_t)(stream.next_out - gzip->base);
		} while (stream.avail_out == 0);
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

/* ---- the driver */

enum { PEER_PIECE_BYTES_MAX = 1 << 20 };

struct peer {
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
	*peer = (struct peer){ 0 };
	if (arena_open(&peer->arena, 1 << 20) != 0)
		abort();
	peer->inflate = inflate_create(INFLATE_ENGINE_AUTO, &peer->arena);
	arena_close(&peer->arena);
	peer->in = guarded_map(PEER_PIECE_BYTES_MAX);
	peer->out = guarded_map(INFLATE_HISTORY_BYTES + PEER_PIECE_BYTES_MAX);
}

PEER void peer_close(struct peer *peer)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	munmap(peer->in.base - page, peer->in.count + 2 * page);
	munmap(peer->out.base - page, peer->out.count + 2 * page);
	bytes_free(&peer->plain);
	arena_finish(&peer->arena);
}

PEER void peer_begin(struct peer *peer)
{
	inflate_begin(peer->inflate);
	peer->plain.count = 0;
	peer->fault = FAULT_NONE;
	peer->full_count = 0;
	peer->done_count = 0;
}

/* One call. `in_bytes` are at the end of the input buffer, or at its start when `at_start`; likewise the
 * room with as much history as it must have in front. Appends what came out. */
PEER enum step peer_push(struct peer *peer, const uint8_t *gzip, size_t in_bytes, size_t out_bytes,
			 int at_start, size_t *ret_consumed)
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
	struct cursor_in in = { .next = in_base, .end = in_base + in_bytes };
	struct cursor_out out = { .next = out_base, .end = out_base + out_bytes };
	uint64_t offset_before = inflate_offset(peer->inflate);
	enum step step = inflate_push(peer->inflate, &in, out_base - history_bytes, &out);
	size_t consumed = (size_t)(in.next - in_base), produced = (size_t)(out.next - out_base);

	LE(consumed, in_bytes);
	LE(produced, out_bytes);
	bytes_append(&peer->plain, out_base, produced);
	EQ(inflate_plain_bytes(peer->inflate), peer->plain.count);
	EQ(inflate_offset(peer->inflate) - offset_before, consumed);
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
	*ret_consumed = consumed;
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

/* Runs a small stream whole, byte by byte, and at every split; the verdict must be `fault` each time, and
 * when that is none, the plain bytes these. */
PEER void peer_expect(struct peer *peer, const struct bytes *gzip, enum fault fault, const void *plain,
		      size_t plain_bytes)
{
	for (size_t split = 0; split <= gzip->count + 2; split++) {
		if (split < gzip->count)
			peer_run_split(peer, gzip, split, 1 + split % 300);
		else if (split == gzip->count)
			peer_run(peer, gzip, PEER_PIECE_BYTES_MAX, PEER_PIECE_BYTES_MAX, NULL);
		else
			peer_run(peer, gzip, 1, split & 1 ? 1 : PEER_PIECE_BYTES_MAX, NULL);
		if (peer->fault != fault)
			FAIL("split %zu of %zu: %s, wanted %s", split, gzip->count, fault_name(peer->fault),
			     fault_name(fault));
		if (fault == FAULT_NONE)
			EQ_BYTES(peer->plain.base, peer->plain.count, plain, plain_bytes);
	}
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

#endif
