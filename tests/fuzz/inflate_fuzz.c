/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate fuzzed: the input is a gzip stream, and once more a raw deflate stream that gets a fitting wrapper
 * (else nothing behind a damaged byte would ever pass the checksum). Each is decoded whole and in pieces
 * whose sizes come from the input's own hash. Verdict and bytes must be the same, and zlib's. A corpus file
 * is a .gz.
 */
#define ZLIB_CONST
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "inflate/inflate.h"

enum { INPUT_BYTES_MAX = 65536, PLAIN_BYTES_MAX = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct decoded {
	uint8_t plain[PLAIN_BYTES_MAX];
	size_t count;
	int good;
	int too_long;	     /* stopped at PLAIN_BYTES_MAX */
	int incomplete_code; /* zlib only: refused a code that ISA-L may accept as long as it decodes */
};

static struct arena arena;
static struct inflate *inflater;
static struct decoded whole, pieces, reference;
static uint8_t wrapped[INPUT_BYTES_MAX + 18];

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			abort();                                                                             \
	} while (0)

static size_t next_size(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	unsigned scale = (unsigned)(*seed >> 60);
	return 1 + (size_t)(*seed >> 40) % (1u << scale);
}

static void run_inflate(const uint8_t *data, size_t bytes, uint64_t *seed, struct decoded *decoded)
{
	struct cursor_in in = { .next = data, .end = data };
	struct cursor_out out = { .next = decoded->plain, .end = decoded->plain };
	enum step step = STEP_HUNGRY;
	decoded->too_long = 0;
	inflate_begin(inflater);
	while (step != STEP_BROKEN && !decoded->too_long) {
		size_t in_left = (size_t)(data + bytes - in.next);
		size_t out_left = (size_t)(decoded->plain + PLAIN_BYTES_MAX - out.next);
		size_t in_size = seed ? next_size(seed) : in_left;
		size_t out_size = seed ? next_size(seed) : out_left;
		in.end = in.next + (in_size < in_left ? in_size : in_left);
		out.end = out.next + (out_size < out_left ? out_size : out_left);
		const uint8_t *in_before = in.next, *out_before = out.next;
		step = inflate_push(inflater, &in, decoded->plain, &out);
		MUST(in.next >= in_before && in.next <= in.end && out.next >= out_before &&
		     out.next <= out.end);
		MUST(step != STEP_FULL || out.next == out.end ||
		     ((size_t)(out.end - out.next) < INFLATE_ROOM_BYTES &&
		      (size_t)(out.end - out_before) >= INFLATE_ROOM_BYTES));
		MUST((step != STEP_HUNGRY && step != STEP_DONE) || in.next == in.end);
		MUST(step == STEP_BROKEN || in.next > in_before || out.next > out_before ||
		     in_before == in.end || out_before == out.end);
		if (step != STEP_FULL && in.next == data + bytes)
			break;
		decoded->too_long = out.next + INFLATE_ROOM_BYTES > decoded->plain + PLAIN_BYTES_MAX;
	}
	decoded->count = (size_t)(out.next - decoded->plain);
	MUST(inflate_plain_bytes(inflater) == decoded->count);
	MUST(inflate_offset(inflater) == (size_t)(in.next - data));
	decoded->good = inflate_end(inflater) == FAULT_NONE;
}

/* `window_bits` as inflateInit2() has it: 31 for gzip, -15 for raw. Returns the bytes consumed. */
static size_t run_zlib(const uint8_t *data, size_t bytes, int window_bits, struct decoded *decoded)
{
	z_stream z = { .next_in = data, .avail_in = (uInt)bytes };
	MUST(inflateInit2(&z, window_bits) == Z_OK);
	z.next_out = decoded->plain;
	z.avail_out = PLAIN_BYTES_MAX;
	int answer = inflate(&z, Z_NO_FLUSH);
	while (window_bits > 0 && answer == Z_STREAM_END && z.avail_in && *z.next_in) {
		MUST(inflateReset(&z) == Z_OK);
		answer = inflate(&z, Z_NO_FLUSH);
	}
	while (window_bits > 0 && z.avail_in && *z.next_in == 0)
		z.next_in++, z.avail_in--;
	decoded->incomplete_code = answer == Z_DATA_ERROR && z.msg && strstr(z.msg, " set");
	decoded->count = (size_t)(z.next_out - decoded->plain);
	decoded->too_long = z.avail_out == 0;
	decoded->good = answer == Z_STREAM_END && (window_bits < 0 || z.avail_in == 0);
	inflateEnd(&z);
	return bytes - z.avail_in;
}

static void check_gzip(const uint8_t *data, size_t bytes, uint64_t seed)
{
	run_inflate(data, bytes, NULL, &whole);
	run_inflate(data, bytes, &seed, &pieces);
	run_zlib(data, bytes, 31, &reference);
	if (whole.too_long || pieces.too_long || reference.too_long)
		return;
	MUST(whole.good == pieces.good);
	MUST(whole.good == reference.good || (whole.good && reference.incomplete_code));
	size_t common = whole.count < pieces.count ? whole.count : pieces.count;
	MUST(memcmp(whole.plain, pieces.plain, common) == 0);
	MUST(!whole.good || whole.count == pieces.count);
	common = whole.count < reference.count ? whole.count : reference.count;
	MUST(memcmp(whole.plain, reference.plain, common) == 0);
	MUST(!reference.good || whole.count == reference.count);
}

static void put_number(uint8_t *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(number >> 8 * i);
}

static void check_deflate(const uint8_t *data, size_t bytes, uint64_t seed)
{
	size_t consumed = run_zlib(data, bytes, -15, &reference);
	if (!reference.good)
		return;
	memcpy(wrapped, "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
	memcpy(wrapped + 10, data, consumed);
	put_number(wrapped + 10 + consumed, (uint32_t)crc32(0, reference.plain, (uInt)reference.count));
	put_number(wrapped + 14 + consumed, (uint32_t)reference.count);
	check_gzip(wrapped, consumed + 18, seed);
	MUST(whole.good || whole.too_long);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes > INPUT_BYTES_MAX)
		return 0;
	if (!inflater) {
		MUST(arena_open(&arena, 1 << 20) == 0);
		inflater = inflate_create(INFLATE_ENGINE_AUTO, &arena);
	}
	uint64_t seed = crc32(1, data, (uInt)bytes);
	check_gzip(data, bytes, seed);
	check_deflate(data, bytes, seed);
	if (bytes > 10)
		check_deflate(data + 10, bytes - 10, seed); /* the body of a plain .gz */
	return 0;
}
