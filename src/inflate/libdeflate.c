/* SPDX-License-Identifier: Apache-2.0
 *
 * libdeflate, and the only file that names it: a second opinion on whole streams. It cannot stop and go on,
 * so it is given a member when all of it is there, and has room for all of the plain bytes; they are handed
 * out from there. What that costs is memory for a page, and that nothing comes out before the page is
 * complete.
 *
 * Its verdict is good or bad, and the contents of its buffer are undefined with a bad one. Where the damage
 * is, whether more input would have helped, and what lies in front of it, our decoder in C says then; should
 * that find nothing wrong the two disagree, and the stream is damaged.
 *
 * It is the fastest for small members that are whole in memory, and still not what decodes them: it would
 * save 2 us for a page of 2 to 8 KB and 4 us for one of 32 KB, of the 60 to 80 us that a request takes, and
 * only where the whole body is at hand before the first byte is decoded. MB/s of plain bytes (event data,
 * level 6, Zen 3):
 *
 *	member        2 KB   8 KB   32 KB   64 KB   256 KB
 *	own            244    565     944    1207     1557
 *	ISA-L          229    516     948    1170     1370
 *	libdeflate     292    659    1077    1235     1353
 *
 * A known difference, in streams that no compressor writes: it accepts a block's header with more than 286
 * literal and length codes or 30 distance codes, as long as those that must not occur do not.
 */
#include "inflate/engine.h"

#include <libdeflate.h>

#include "base/check.h"
#include "inflate/inflate.h"

struct whole {
	struct libdeflate_decompressor *decompressor;
	void *witness;	/* state of engine_own_c */
	uint8_t *plain; /* INFLATE_WHOLE_PLAIN_BYTES_MAX */
	size_t plain_bytes, handed_bytes;
	size_t consumed_bytes; /* of the input, when all is handed out */
	int is_decoded;
	enum step ending; /* the answer when all is handed out */
};

static int whole_create(void *opaque, struct arena *arena)
{
	struct whole *whole = opaque;
	whole->witness = arena_take(arena, engine_own_c.state_bytes, engine_own_c.state_alignment);
	whole->plain = arena_take(arena, INFLATE_WHOLE_PLAIN_BYTES_MAX, 4096);
	whole->decompressor = libdeflate_alloc_decompressor();
	return whole->decompressor ? 0 : -1;
}

static size_t whole_create_bytes(void)
{
	return engine_own_c.state_bytes + engine_own_c.state_alignment + INFLATE_WHOLE_PLAIN_BYTES_MAX + 4096;
}

static void whole_finish(void *opaque)
{
	struct whole *whole = opaque;
	libdeflate_free_decompressor(whole->decompressor);
	whole->decompressor = NULL;
}

static void whole_begin(void *opaque)
{
	struct whole *whole = opaque;
	whole->plain_bytes = whole->handed_bytes = whole->consumed_bytes = 0;
	whole->is_decoded = 0;
	whole->ending = STEP_HUNGRY;
}

static size_t at_most(size_t bytes, size_t bytes_max)
{
	return bytes < bytes_max ? bytes : bytes_max;
}

/* What is wrong with it, and how far it is right. */
static void whole_ask_witness(struct whole *whole, const struct cursor_in *in)
{
	const uint8_t *at = in->next;
	size_t plain_bytes = 0;
	enum step step;
	engine_own_c.begin(whole->witness);
	do {
		uint8_t *room = whole->plain + plain_bytes;
		size_t room_bytes = INFLATE_WHOLE_PLAIN_BYTES_MAX - plain_bytes;
		struct cursor_in piece = { at, at + at_most((size_t)(in->end - at), ENGINE_PIECE_BYTES_MAX) };
		struct cursor_out out = { room, room + at_most(room_bytes, ENGINE_PIECE_BYTES_MAX) };
		step = engine_own_c.push(whole->witness, &piece, whole->plain, &out);
		at = piece.next;
		plain_bytes = (size_t)(out.next - whole->plain);
		if (INFLATE_WHOLE_PLAIN_BYTES_MAX - plain_bytes < INFLATE_ROOM_BYTES)
			step = STEP_BROKEN;
	} while (step == STEP_FULL || (step == STEP_HUNGRY && at < in->end));
	whole->plain_bytes = plain_bytes;
	whole->consumed_bytes = (size_t)(at - in->next);
	whole->ending = step == STEP_HUNGRY ? STEP_HUNGRY : STEP_BROKEN;
}

static void whole_decode(struct whole *whole, const struct cursor_in *in)
{
	size_t consumed_bytes = 0, plain_bytes = 0;
	whole->is_decoded = 1;
	switch (libdeflate_deflate_decompress_ex(whole->decompressor, in->next, cursor_in_bytes(in),
						 whole->plain, INFLATE_WHOLE_PLAIN_BYTES_MAX, &consumed_bytes,
						 &plain_bytes)) {
	case LIBDEFLATE_SUCCESS:
		whole->consumed_bytes = consumed_bytes;
		whole->plain_bytes = plain_bytes;
		whole->ending = STEP_DONE;
		return;
	case LIBDEFLATE_INSUFFICIENT_SPACE:
		whole->ending = STEP_FULL;
		return;
	case LIBDEFLATE_BAD_DATA:
	case LIBDEFLATE_SHORT_OUTPUT:
		whole_ask_witness(whole, in);
		return;
	}
}

static enum step whole_push(void *opaque, struct cursor_in *in, const uint8_t *history,
			    struct cursor_out *out)
{
	(void)history; /* all of it is in `plain` */
	struct whole *whole = opaque;
	if (!whole->is_decoded)
		whole_decode(whole, in);
	size_t bytes = at_most(whole->plain_bytes - whole->handed_bytes, cursor_out_bytes(out));
	if (bytes)
		memcpy(out->next, whole->plain + whole->handed_bytes, bytes);
	out->next += bytes;
	whole->handed_bytes += bytes;
	if (whole->handed_bytes < whole->plain_bytes)
		return STEP_FULL;
	/* Only now, so that input is never held against plain bytes that are still to come. */
	CHECK_LE(whole->consumed_bytes, cursor_in_bytes(in));
	in->next += whole->consumed_bytes;
	whole->consumed_bytes = 0;
	return whole->ending;
}

/* It reads none of what lies behind the stream. */
static size_t whole_ahead(const void *opaque, uint8_t bytes[ENGINE_AHEAD_BYTES_MAX])
{
	(void)opaque;
	(void)bytes;
	return 0;
}

static uint32_t whole_checksum(uint32_t checksum, struct span bytes)
{
	return libdeflate_crc32(checksum, bytes.base, bytes.bytes);
}

const struct engine engine_libdeflate = {
	.name = "libdeflate",
	.state_bytes = sizeof(struct whole),
	.state_alignment = _Alignof(struct whole),
	.whole_bytes_max = INFLATE_WHOLE_GZIP_BYTES_MAX,
	.create_bytes = whole_create_bytes,
	.create = whole_create,
	.finish = whole_finish,
	.begin = whole_begin,
	.push = whole_push,
	.ahead = whole_ahead,
	/* Copied, then looked at. */
	.fresh_bytes_max = (size_t)128 * 1024,
	.checksum = whole_checksum,
};
