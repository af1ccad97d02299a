/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of its own: its header and zlib's exclude each other.
 */
#include "bench.h"

#include <stdlib.h>
#include <zlib-ng.h>

enum { PIECE_BYTES = STREAM_IN_KILOBYTES << 10, OUT_BYTES = STREAM_OUT_KILOBYTES << 10 };

struct zlib_ng {
	zng_stream stream;
};

struct zlib_ng *zlib_ng_open(void)
{
	struct zlib_ng *zlib_ng = calloc(1, sizeof *zlib_ng);
	if (!zlib_ng || zng_inflateInit2(&zlib_ng->stream, 31) != Z_OK)
		abort();
	return zlib_ng;
}

void zlib_ng_close(struct zlib_ng *zlib_ng)
{
	zng_inflateEnd(&zlib_ng->stream);
	free(zlib_ng);
}

size_t zlib_ng_stream(struct rig *rig, const struct stream *stream)
{
	zng_stream *z = &rig_zlib_ng(rig)->stream;
	uint8_t *window = rig_window(rig, 0);
	const uint8_t *end = stream->gzip + stream->gzip_bytes;
	size_t newlines = 0;
	int answer = zng_inflateReset(z);
	z->next_in = stream->gzip;
	while (answer == Z_OK) {
		size_t left = (size_t)(end - z->next_in);
		z->avail_in = (uint32_t)(left < PIECE_BYTES ? left : PIECE_BYTES);
		z->next_out = window;
		z->avail_out = OUT_BYTES;
		answer = zng_inflate(z, Z_NO_FLUSH);
		newlines += rig_newlines(rig, window, z->next_out);
	}
	return answer == Z_STREAM_END ? newlines : NEWLINES_WRONG;
}
