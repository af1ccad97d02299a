/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate fuzzed: the input is a gzip stream, and once more a raw deflate stream that gets a fitting wrapper
 * (else nothing behind a damaged byte would ever pass the checksum), some behind 32 KB of plain bytes, from
 * where on fast loops run. Every engine decodes each whole, and in pieces whose sizes come from the input's
 * own hash; half of the time these are two streams at once. Verdict and bytes must be the same, and zlib's. A
 * corpus file is a .gz.
 */
#define ZLIB_CONST
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"
#include "inflate/inflate.h"

enum {
	INPUT_BYTES_MAX = 65536,
	PLAIN_BYTES_MAX = 1 << 18,
	HISTORY_BYTES = 32768, /* INFLATE_HISTORY_BYTES, as stored blocks */
	WRAPPED_BYTES_MAX = INPUT_BYTES_MAX + HISTORY_BYTES + 32,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct decoded {
	uint8_t plain[PLAIN_BYTES_MAX];
	size_t count;
	int good;
	int too_long;	     /* stopped at PLAIN_BYTES_MAX */
	int incomplete_code; /* zlib only: refused a code that ISA-L may accept as long as it decodes */
};

/* Whether it refuses an incomplete code when it reads it, as zlib does; ISA-L when a missing code is used. */
static const struct {
	enum inflate_engine engine;
	int refuses_incomplete_codes;
} engines[] = {
	{ INFLATE_ENGINE_OWN, 1 },
	{ INFLATE_ENGINE_OWN_C, 1 },
	{ INFLATE_ENGINE_ISAL, 0 },
};
enum { ENGINE_COUNT = sizeof engines / sizeof *engines };

/* Where a decoder is in a stream. */
struct run {
	struct inflate *inflate;
	const uint8_t *end;
	struct cursor_in in;
	struct cursor_out out;
	const uint8_t *in_before;
	uint8_t *out_before;
	struct decoded *decoded;
	int over;
};

static struct arena arena;
static struct inflate *inflaters[ENGINE_COUNT][2];
static struct decoded whole, pieces, reference;
static uint8_t wrapped[WRAPPED_BYTES_MAX];

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

static void run_begin(struct run *run, struct inflate *inflate, const uint8_t *data, size_t bytes,
		      struct decoded *decoded)
{
	*run = (struct run){ .inflate = inflate,
			     .end = data + bytes,
			     .in = { data, data },
			     .out = { decoded->plain, decoded->plain },
			     .decoded = decoded };
	decoded->too_long = 0;
	inflate_begin(inflate);
}

/* Without a seed the pieces are all that there is. */
static void run_prepare(struct run *run, uint64_t *seed)
{
	size_t in_left = (size_t)(run->end - run->in.next);
	size_t out_left = (size_t)(run->decoded->plain + PLAIN_BYTES_MAX - run->out.next);
	size_t in_size = seed ? next_size(seed) : in_left, out_size = seed ? next_size(seed) : out_left;
	run->in.end = run->in.next + (in_size < in_left ? in_size : in_left);
	run->out.end = run->out.next + (out_size < out_left ? out_size : out_left);
	run->in_before = run->in.next;
	run->out_before = run->out.next;
}

static void run_account(struct run *run, enum step step)
{
	const struct cursor_in *in = &run->in;
	const struct cursor_out *out = &run->out;
	MUST(in->next >= run->in_before && in->next <= in->end);
	MUST(out->next >= run->out_before && out->next <= out->end);
	MUST(step != STEP_FULL || out->next == out->end ||
	     (cursor_out_bytes(out) < INFLATE_ROOM_BYTES &&
	      (size_t)(out->end - run->out_before) >= INFLATE_ROOM_BYTES));
	MUST((step != STEP_HUNGRY && step != STEP_DONE) || in->next == in->end);
	MUST(step == STEP_BROKEN || in->next > run->in_before || out->next > run->out_before ||
	     run->in_before == in->end || run->out_before == out->end);
	run->decoded->too_long = out->next + INFLATE_ROOM_BYTES > run->decoded->plain + PLAIN_BYTES_MAX;
	run->over =
		step == STEP_BROKEN || run->decoded->too_long || (step != STEP_FULL && in->next == run->end);
}

static void run_finish(struct run *run, const uint8_t *data, uint64_t *seed)
{
	struct decoded *decoded = run->decoded;
	while (!run->over) {
		run_prepare(run, seed);
		run_account(run, inflate_push(run->inflate, &run->in, decoded->plain, &run->out));
	}
	decoded->count = (size_t)(run->out.next - decoded->plain);
	MUST(inflate_plain_bytes(run->inflate) == decoded->count);
	MUST(inflate_offset(run->inflate) == (size_t)(run->in.next - data));
	decoded->good = inflate_end(run->inflate) == FAULT_NONE;
}

static void run_two(struct run runs[2], uint64_t *seed)
{
	while (!runs[0].over && !runs[1].over) {
		struct inflate_job jobs[2];
		for (int i = 0; i < 2; i++) {
			struct run *run = &runs[i];
			run_prepare(run, i ? seed : NULL);
			jobs[i] = (struct inflate_job){ run->inflate, &run->in, run->decoded->plain,
							&run->out, STEP_BROKEN };
		}
		inflate_push_two(&jobs[0], &jobs[1]);
		for (int i = 0; i < 2; i++)
			run_account(&runs[i], jobs[i].step);
	}
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

/* `whole` and `pieces` against each other and against `reference`. */
static void check_same(int refuses_incomplete_codes)
{
	if (whole.too_long || pieces.too_long || reference.too_long)
		return;
	MUST(whole.good == pieces.good);
	MUST(whole.good == reference.good ||
	     (whole.good && reference.incomplete_code && !refuses_incomplete_codes));
	size_t common = whole.count < pieces.count ? whole.count : pieces.count;
	MUST(memcmp(whole.plain, pieces.plain, common) == 0);
	MUST(!whole.good || whole.count == pieces.count);
	common = whole.count < reference.count ? whole.count : reference.count;
	MUST(memcmp(whole.plain, reference.plain, common) == 0);
	MUST(!reference.good || whole.count == reference.count);
}

static void check_gzip(const uint8_t *data, size_t bytes, uint64_t seed)
{
	run_zlib(data, bytes, 31, &reference);
	for (int i = 0; i < ENGINE_COUNT; i++) {
		struct run runs[2];
		run_begin(&runs[0], inflaters[i][0], data, bytes, &whole);
		run_begin(&runs[1], inflaters[i][1], data, bytes, &pieces);
		if (seed & 1)
			run_two(runs, &seed);
		run_finish(&runs[0], data, NULL);
		run_finish(&runs[1], data, &seed);
		check_same(engines[i].refuses_incomplete_codes);
	}
}

static void put_number(uint8_t *at, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(number >> 8 * i);
}

/* With `history_bytes` of stored plain bytes in front. */
static void check_deflate(const uint8_t *data, size_t bytes, uint32_t history_bytes, uint64_t seed)
{
	size_t at = 10;
	memcpy(wrapped, "\x1f\x8b\x08\0\0\0\0\0\0\3", at);
	if (history_bytes) {
		wrapped[at++] = 0;
		put_number(wrapped + at, history_bytes | ~history_bytes << 16);
		at += 4;
		for (uint32_t i = 0; i < history_bytes; i++)
			wrapped[at++] = (uint8_t)(i * i >> 7);
	}
	memcpy(wrapped + at, data, bytes);
	size_t consumed = 10 + run_zlib(wrapped + 10, at - 10 + bytes, -15, &reference);
	if (!reference.good)
		return;
	put_number(wrapped + consumed, (uint32_t)crc32(0, reference.plain, (uInt)reference.count));
	put_number(wrapped + 4 + consumed, (uint32_t)reference.count);
	check_gzip(wrapped, consumed + 8, seed);
	MUST(whole.good || whole.too_long);
}

static void open_engines(void)
{
	size_t bytes = 0;
	for (int i = 0; i < ENGINE_COUNT; i++)
		bytes += 2 * inflate_bytes_needed(engines[i].engine);
	MUST(arena_open(&arena, bytes) == 0);
	for (int i = 0; i < ENGINE_COUNT; i++)
		for (int two = 0; two < 2; two++)
			inflaters[i][two] = inflate_create(engines[i].engine, &arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes > INPUT_BYTES_MAX)
		return 0;
	if (!arena.base)
		open_engines();
	uint64_t seed = crc32(1, data, (uInt)bytes);
	check_gzip(data, bytes, seed);
	check_deflate(data, bytes, 0, seed);
	if (bytes > 10) /* the body of a plain .gz */
		check_deflate(data + 10, bytes - 10, seed & 2 ? HISTORY_BYTES : 0, seed);
	return 0;
}
