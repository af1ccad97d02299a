/* SPDX-License-Identifier: Apache-2.0
 *
 * gzip (RFC 1952) around a profile, and the only file here that names zlib. zlib rather than the faster
 * libraries, because it inflates in steps: a limit holds without trusting the size in the trailer, and damage
 * has a place.
 */
#include <stdlib.h>
#include <zlib.h>

#include "base/check.h"
#include "pprof/profile.h"

enum { GZIP_WINDOW_BITS = 16 + MAX_WBITS, MEMORY_LEVEL = 8, FIRST_BYTES = 1 << 16 };

uint8_t *gzip_deflate(const uint8_t *bytes, size_t count, size_t *ret_bytes)
{
	CHECK_LE(count, (size_t)UINT32_MAX / 2);
	/* Without deflateSetHeader() the header has no name and no time. */
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)count };
	CHECK_EQ(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
			      Z_DEFAULT_STRATEGY),
		 Z_OK);
	size_t room = 0;
	uLong bound = deflateBound(&stream, (uLong)count);
	uint8_t *out = room_for(NULL, &room, 0, bound, 1);
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
	*ret_bytes = stream.total_out;
	deflateEnd(&stream);
	return out;
}

/* What to say when inflate() did not get to the end. */
static const char *what_is_wrong(const z_stream *stream, int code, int too_large)
{
	if (too_large)
		return "it inflates to more than a profile can have";
	if (code == Z_STREAM_END)
		return "there are bytes behind the end of the gzip stream";
	if (code == Z_MEM_ERROR)
		return "no memory is left to inflate it";
	if (code == Z_NEED_DICT || code == Z_DATA_ERROR)
		return stream->msg ? stream->msg : "invalid deflate data";
	return "the gzip stream is cut off";
}

uint8_t *gzip_inflate(const uint8_t *bytes, size_t count, size_t bytes_max, size_t *ret_bytes,
		      const char **ret_wrong, size_t *ret_wrong_at)
{
	CHECK_LE(count, (size_t)UINT32_MAX);
	CHECK_LT(bytes_max, (size_t)UINT32_MAX);
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)count };
	CHECK_EQ(inflateInit2(&stream, GZIP_WINDOW_BITS), Z_OK);
	size_t room = 0;
	uint8_t *out = NULL;
	int code = Z_OK;
	while (code == Z_OK && room <= bytes_max) {
		size_t wanted = room ? 2 * room : FIRST_BYTES;
		out = room_for(out, &room, 0, wanted <= bytes_max ? wanted : bytes_max + 1, 1);
		stream.next_out = out + stream.total_out;
		stream.avail_out = (uInt)(room - stream.total_out);
		code = inflate(&stream, Z_NO_FLUSH);
		/* Room is left, so it was the input that ended. */
		if (code == Z_OK && stream.avail_out)
			code = Z_BUF_ERROR;
	}
	*ret_bytes = stream.total_out;
	*ret_wrong_at = stream.total_in;
	int too_large = stream.total_out > bytes_max;
	int whole = code == Z_STREAM_END && stream.avail_in == 0 && !too_large;
	*ret_wrong = whole ? NULL : what_is_wrong(&stream, code, too_large);
	inflateEnd(&stream);
	if (whole)
		return out;
	free(out);
	return NULL;
}
