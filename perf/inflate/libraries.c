/* SPDX-License-Identifier: Apache-2.0
 *
 * The libraries by their own interfaces: in pieces as a stream comes, or whole as a small answer may.
 */
#define ZLIB_CONST
#include "bench.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "inflate/inflate.h"
#include "scan/scan.h"

enum {
	POSITIONS_MAX = 16384,
	WINDOW_BYTES = 1 << 20,
	PIECE_BYTES = STREAM_IN_KILOBYTES << 10,
	OUT_BYTES = STREAM_OUT_KILOBYTES << 10
};

struct rig {
	const struct scan_kernel *scan;
	uint32_t *positions;
	uint8_t *windows[2];
	struct engines *engines;
	struct inflate_state *isal;
	struct libdeflate_decompressor *libdeflate;
	z_stream zlib;
	struct zlib_ng *zlib_ng;
};

struct rig *rig_open(size_t plain_bytes_max)
{
	struct rig *rig = calloc(1, sizeof *rig);
	if (!rig)
		abort();
	rig->scan = scan_kernel_pick(NULL);
	rig->positions = malloc(POSITIONS_MAX * sizeof *rig->positions);
	for (size_t i = 0; i < 2; i++) {
		size_t bytes = i == 0 && plain_bytes_max > WINDOW_BYTES ? plain_bytes_max : WINDOW_BYTES;
		rig->windows[i] = calloc(1, INFLATE_HISTORY_BYTES + bytes);
		if (!rig->windows[i])
			abort();
	}
	rig->engines = engines_open();
	rig->isal = malloc(sizeof *rig->isal);
	rig->libdeflate = libdeflate_alloc_decompressor();
	if (!rig->positions || !rig->isal || !rig->libdeflate || inflateInit2(&rig->zlib, 31) != Z_OK)
		abort();
#if HAVE_ZLIB_NG
	rig->zlib_ng = zlib_ng_open();
#endif
	return rig;
}

void rig_close(struct rig *rig)
{
#if HAVE_ZLIB_NG
	zlib_ng_close(rig->zlib_ng);
#endif
	inflateEnd(&rig->zlib);
	libdeflate_free_decompressor(rig->libdeflate);
	free(rig->isal);
	engines_close(rig->engines);
	free(rig->windows[0]);
	free(rig->windows[1]);
	free(rig->positions);
	free(rig);
}

size_t rig_newlines(struct rig *rig, const uint8_t *from, const uint8_t *end)
{
	size_t found = 0, scanned;
	for (; from < end; from += scanned)
		found += rig->scan->line_ends(span_of(from, (size_t)(end - from)), rig->positions,
					      POSITIONS_MAX, &scanned);
	return found;
}

uint8_t *rig_window(struct rig *rig, size_t number)
{
	return rig->windows[number];
}

struct engines *rig_engines(struct rig *rig)
{
	return rig->engines;
}

struct zlib_ng *rig_zlib_ng(struct rig *rig)
{
	return rig->zlib_ng;
}

/* ---- each: the line ends of one stream, or NEWLINES_WRONG */

static size_t isal_stream(struct rig *rig, const struct stream *stream)
{
	struct inflate_state *isal = rig->isal;
	const uint8_t *at = stream->gzip, *end = stream->gzip + stream->gzip_bytes;
	size_t newlines = 0;
	isal_inflate_init(isal);
	isal->crc_flag = ISAL_GZIP;
	while (isal->block_state != ISAL_BLOCK_FINISH) {
		size_t piece = (size_t)(end - at) < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
		isal->next_in = (uint8_t *)(uintptr_t)at;
		isal->avail_in = (uint32_t)piece;
		isal->next_out = rig->windows[0];
		isal->avail_out = OUT_BYTES;
		if (isal_inflate(isal) != ISAL_DECOMP_OK || (piece == 0 && isal->next_out == rig->windows[0]))
			return NEWLINES_WRONG;
		newlines += rig_newlines(rig, rig->windows[0], isal->next_out);
		at = isal->next_in;
	}
	return newlines;
}

static size_t isal_whole(struct rig *rig, const struct stream *stream)
{
	struct inflate_state *isal = rig->isal;
	isal_inflate_init(isal);
	isal->crc_flag = ISAL_GZIP;
	isal->next_in = (uint8_t *)(uintptr_t)stream->gzip;
	isal->avail_in = (uint32_t)stream->gzip_bytes;
	isal->next_out = rig->windows[0];
	isal->avail_out = (uint32_t)stream->plain_bytes;
	if (isal_inflate_stateless(isal) != ISAL_DECOMP_OK)
		return NEWLINES_WRONG;
	return rig_newlines(rig, rig->windows[0], isal->next_out);
}

static size_t libdeflate_whole(struct rig *rig, const struct stream *stream)
{
	if (libdeflate_gzip_decompress(rig->libdeflate, stream->gzip, stream->gzip_bytes, rig->windows[0],
				       stream->plain_bytes, NULL) != LIBDEFLATE_SUCCESS)
		return NEWLINES_WRONG;
	return rig_newlines(rig, rig->windows[0], rig->windows[0] + stream->plain_bytes);
}

static size_t zlib_stream(struct rig *rig, const struct stream *stream)
{
	z_stream *z = &rig->zlib;
	const uint8_t *end = stream->gzip + stream->gzip_bytes;
	size_t newlines = 0;
	int answer = inflateReset(z);
	z->next_in = stream->gzip;
	while (answer == Z_OK) {
		size_t left = (size_t)(end - z->next_in);
		z->avail_in = (uInt)(left < PIECE_BYTES ? left : PIECE_BYTES);
		z->next_out = rig->windows[0];
		z->avail_out = OUT_BYTES;
		answer = inflate(z, Z_NO_FLUSH);
		newlines += rig_newlines(rig, rig->windows[0], z->next_out);
	}
	return answer == Z_STREAM_END ? newlines : NEWLINES_WRONG;
}

/* ---- */

static size_t run_library(struct rig *rig, const struct contender *contender, const struct input *input)
{
	size_t newlines = 0;
	for (size_t i = 0; i < input->stream_count; i++) {
		size_t found = contender->decode(rig, &input->streams[i]);
		if (found == NEWLINES_WRONG)
			return NEWLINES_WRONG;
		newlines += found;
	}
	return newlines;
}

static size_t add(struct contender *contenders, size_t count, const char *name,
		  size_t (*decode)(struct rig *, const struct stream *), int whole)
{
	contenders[count] = (struct contender){ .run = run_library,
						.decode = decode,
						.stream_count = 1,
						.in_bytes = whole ? 0 : PIECE_BYTES,
						.out_bytes = whole ? 0 : OUT_BYTES };
	snprintf(contenders[count].name, NAME_BYTES_MAX, "%s", name);
	return count + 1;
}

size_t isal_list(struct contender *contenders, size_t count)
{
	return add(contenders, count, "ISA-L", isal_stream, 0);
}

size_t libraries_list(struct contender *contenders, size_t count)
{
	count = add(contenders, count, "ISA-L, whole", isal_whole, 1);
	count = add(contenders, count, "libdeflate, whole", libdeflate_whole, 1);
	count = add(contenders, count, "zlib", zlib_stream, 0);
#if HAVE_ZLIB_NG
	count = add(contenders, count, "zlib-ng", zlib_ng_stream, 0);
#endif
	return count;
}
