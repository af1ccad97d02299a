/* SPDX-License-Identifier: Apache-2.0
 *
 * MB/s of plain bytes for the room, against ISA-L by itself, zlib and libdeflate, over one gzip member of
 * synthetic events (about 1.9 KB each, about 6.8:1 at level 6). Everybody also counts the newlines of what
 * came out, since that is what happens to it next. Thread CPU time, contenders interleaved, medians; ratios
 * are medians of the rounds' ratios to the first contender.
 *
 *	inflate_bench [--quick] [--level N] [--sizes]
 *
 * --sizes sweeps the sizes of the room's input and output instead of comparing. "restart" is a consumer that
 * empties the output window after each call, so the room is always whole; "fill" one that leaves it until it
 * is full, so that some calls get only the rest of it.
 */
#define _GNU_SOURCE
#define ZLIB_CONST
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "inflate/inflate.h"

enum { ROUNDS_MAX = 11, CONTENDERS_MAX = 24, OUT_BYTES_MAX = 4 << 20 };

enum kind { ROOM_RESTART, ROOM_FILL, ISAL_GZIP_MODE, ISAL_RAW, ZLIB_STREAM, LIBDEFLATE_WHOLE };

struct contender {
	const char *name;
	enum kind kind;
	size_t in_kilobytes;
	size_t out_kilobytes;
	double seconds[ROUNDS_MAX];
};

struct stream {
	uint8_t *plain;
	size_t plain_bytes;
	uint8_t *gzip;
	size_t gzip_bytes;
	size_t newlines;
};

struct bench {
	struct stream stream;
	struct inflate *inflate;
	struct inflate_state *isal;
	struct libdeflate_decompressor *libdeflate;
	uint8_t *out;
	uint8_t *whole_out;
};

/* ---- events */

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static unsigned below(uint64_t *seed, unsigned count)
{
	return (unsigned)(next_random(seed) % count);
}

#define PICK(seed, words) (words)[below(seed, sizeof(words) / sizeof *(words))]

static const char *const hosts[] = { "www.example.com", "api.example.com", "shop.example.org",
				     "static.example.net" };
static const char *const paths[] = { "%2Findex.html",	   "%2Fapi%2Fv1%2Fitems", "%2Flogin",
				     "%2Fcart%2Fcheckout", "%2Fstatic%2Fapp.js",  "%2Fsearch" };
static const char *const agents[] = {
	"Mozilla%2F5.0%20(Windows%20NT%2010.0%3B%20Win64%3B%20x64)%20AppleWebKit%2F537.36",
	"Mozilla%2F5.0%20(Macintosh%3B%20Intel%20Mac%20OS%20X%2010_15_7)%20AppleWebKit%2F605.1.15",
	"python-requests%2F2.31.0", "curl%2F8.5.0", "okhttp%2F4.12.0"
};
static const char *const rules[] = { "950002%3b950006%3bCMD-INJECTION-ANOMALY",
				     "3000005%3b3000002%3bSQL-INJECTION-ANOMALY",
				     "958008%3b958051%3bXSS-ANOMALY", "970901%3bOUTBOUND-ANOMALY" };

/* What clients make up themselves: tokens that do not compress below their alphabet. */
static void token_write(char *token, size_t count, uint64_t *seed)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	for (size_t i = 0; i < count; i++)
		token[i] = alphabet[below(seed, 64)];
	token[count] = 0;
}

static int event_write(char *line, size_t line_bytes, uint64_t *seed)
{
	static const char *const messages[] = {
		"U3lzdGVtIENvbW1hbmQgSW5qZWN0aW9u%"
		"3bQW5vbWFseSBTY29yZSBFeGNlZWRlZCBmb3IgQ29tbWFuZCBJbmplY3Rpb24%3d",
		"U1FMIEluamVjdGlvbiBBdHRhY2s%3d%3bQW5vbWFseSBTY29yZSBFeGNlZWRlZCBmb3IgU1FMIEluamVjdGlvbg%3d%"
		"3d",
		"Q3Jvc3Mtc2l0ZSBTY3JpcHRpbmcgKFhTUykgQXR0YWNr%3bQW5vbWFseSBTY29yZSBFeGNlZWRlZCBmb3IgWFNT"
	};
	static const char *const countries[] = { "US", "DE", "FR", "BR", "CN", "NL" };
	static const char *const actions[] = { "alert", "deny", "monitor" };
	unsigned long long id1 = next_random(seed), id2 = next_random(seed), session = next_random(seed);
	unsigned long long query1 = next_random(seed), query2 = next_random(seed);
	const char *host = PICK(seed, hosts);
	char token[128], data[64];
	token_write(token, 52 + below(seed, 40), seed);
	token_write(data, 25 + below(seed, 30), seed);
	return snprintf(
		line, line_bytes,
		"{\"attackData\":{\"apiId\":\"API_%u\",\"apiKey\":\"\",\"clientIP\":\"%u.%u.%u.%u\","
		"\"clientReputation\":"
		"\"ID%%3d%u.%u%%3bDOSATCK%%3d%u\",\"configId\":\"%u\",\"policyId\":\"qik1_%u\","
		"\"ruleActions\":\"%s%%3b%s\","
		"\"ruleData\":\"dGVsbmV0LmV4ZQ%%3d%%3d%%3b%s\",\"ruleMessages\":\"%s\",\"ruleSelectors\":"
		"\"QVJHUzpvcHRpb24%%3d%%3bUkVRVUVTVF9IRUFERVJTOlVzZXItQWdlbnQ%%3d\",\"ruleTags\":"
		"\"T1dBU1BfQ1JTL1dFQl9BVFRBQ0svQ09NTUFORF9JTkpFQ1RJT04%%3d%%3bQUtBTUFJL0FTRS9DTUQ%%3d\","
		"\"ruleVersions\":\"%u%%3b%u\",\"rules\":\"%s\"},\"botData\":{\"botScore\":\"%u\","
		"\"responseSegment\":\"%u\"},"
		"\"clientData\":{\"appBundleId\":\"com.example.app\",\"appVersion\":\"1.%u\",\"sdkVersion\":"
		"\"4.7.1\","
		"\"telemetryType\":\"2\"},\"format\":\"json\",\"geo\":{\"asn\":\"%u\",\"city\":\"CITY%u\","
		"\"continent\":\"NA\","
		"\"country\":\"%s\",\"regionCode\":\"R%u\"},\"httpMessage\":{\"bytes\":\"%u\",\"host\":\"%"
		"s\",\"method\":\"GET\","
		"\"path\":\"%s%%2F%u\",\"port\":\"443\",\"protocol\":\"HTTP/"
		"2\",\"query\":\"q%%3d%llx%%26s%%3d%llx\","
		"\"requestHeaders\":\"Host%%3a%%20%s%%0d%%0aUser-Agent%%3a%%20%s%%0d%%0aAccept%%3a%%20text%%"
		"2fhtml%%2c"
		"application%%2fxhtml%%2bxml%%3bq%%3d0.9%%0d%%0aAccept-Encoding%%3a%%20gzip%%2c%%20br%%0d%%"
		"0aCookie%%3a"
		"%%20session%%3d%s%%0d%%0a\",\"requestId\":\"%llx\",\"responseHeaders\":\"Server%%3a%%"
		"20AkamaiGHost%%0d%%0a"
		"Mime-Version%%3a%%201.0%%0d%%0aContent-Type%%3a%%20text%%2fhtml%%0d%%0aContent-Length%%3a%%"
		"20%u%%0d%%0a"
		"Connection%%3a%%20close%%0d%%0a\",\"start\":\"%u\",\"status\":\"%u\",\"tls\":\"tls1.3\"},"
		"\"identity\":{"
		"\"ja4\":\"t13d1516h2_%llx\",\"tlsFingerprintV2\":\"%u~%u\"},\"type\":\"akamai_siem\","
		"\"userRiskData\":{"
		"\"allow\":\"0\",\"general\":\"duc_1h:%u|duc_1d:%u\",\"risk\":\"udfp:%llx/H|ugp:us/"
		"L\",\"score\":\"%u\","
		"\"status\":\"0\",\"trust\":\"ugp:US\",\"uuid\":\"%llx-aaaa-4bbb-8ccc\"},\"version\":\"1.0\"}"
		"\n",
		below(seed, 900000), below(seed, 224), below(seed, 256), below(seed, 256), below(seed, 256),
		below(seed, 256), below(seed, 256), below(seed, 10), 14227 + below(seed, 3), below(seed, 50),
		PICK(seed, actions), PICK(seed, actions), data, PICK(seed, messages), below(seed, 9),
		below(seed, 9), PICK(seed, rules), below(seed, 101), below(seed, 4), below(seed, 40),
		below(seed, 65536), below(seed, 1000), PICK(seed, countries), below(seed, 60),
		below(seed, 100000), host, PICK(seed, paths), below(seed, 100000), query1, query2, host,
		PICK(seed, agents), token, id1, below(seed, 100000), 1700000000 + below(seed, 86400),
		200 + below(seed, 5) * 51, id2, below(seed, 100000), below(seed, 100000), below(seed, 100),
		below(seed, 1000), session ^ id1, below(seed, 101), id1 ^ query2);
}

static void stream_make(struct stream *stream, size_t plain_bytes, int level)
{
	uint64_t seed = 20240229;
	char line[4096];
	*stream = (struct stream){ .plain = malloc(plain_bytes + sizeof line) };
	for (; stream->plain_bytes < plain_bytes; stream->newlines++) {
		int bytes = event_write(line, sizeof line, &seed);
		memcpy(stream->plain + stream->plain_bytes, line, (size_t)bytes);
		stream->plain_bytes += (size_t)bytes;
	}
	z_stream z = { .next_in = stream->plain, .avail_in = (uInt)stream->plain_bytes };
	if (deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	uLong bound = deflateBound(&z, (uLong)stream->plain_bytes);
	stream->gzip = malloc(bound);
	z.next_out = stream->gzip;
	z.avail_out = (uInt)bound;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	stream->gzip_bytes = (size_t)(z.next_out - stream->gzip);
	deflateEnd(&z);
}

/* ---- contenders: each returns the newlines of the whole stream, or 0 when it went wrong */

static size_t count_newlines(const uint8_t *at, const uint8_t *end)
{
	size_t count = 0;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))))
		count++, at++;
	return count;
}

static size_t run_room(const struct bench *bench, size_t in_bytes, size_t out_bytes, int fill)
{
	struct cursor_in in = { .next = bench->stream.gzip, .end = bench->stream.gzip };
	const uint8_t *gzip_end = bench->stream.gzip + bench->stream.gzip_bytes;
	uint8_t *room = bench->out + INFLATE_HISTORY_BYTES;
	struct cursor_out out = { .next = room, .end = room + out_bytes };
	size_t newlines = 0;
	enum step step = STEP_HUNGRY;
	inflate_begin(bench->inflate);
	while (step == STEP_FULL || in.next < gzip_end) {
		if (step != STEP_FULL)
			in.end = (size_t)(gzip_end - in.next) < in_bytes ? gzip_end : in.next + in_bytes;
		if ((!fill || (size_t)(out.end - out.next) < INFLATE_ROOM_BYTES) && out.next > room) {
			memmove(bench->out, out.next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
			out.next = room;
		}
		const uint8_t *fresh = out.next;
		step = inflate_push(bench->inflate, &in, bench->out, &out);
		newlines += count_newlines(fresh, out.next);
		if (step == STEP_BROKEN)
			return 0;
	}
	return inflate_end(bench->inflate) == FAULT_NONE ? newlines : 0;
}

static size_t run_isal(const struct bench *bench, size_t in_bytes, size_t out_bytes, uint32_t mode)
{
	struct inflate_state *isal = bench->isal;
	size_t skipped = mode == ISAL_GZIP ? 0 : 10, newlines = 0;
	const uint8_t *at = bench->stream.gzip + skipped;
	const uint8_t *end = bench->stream.gzip + bench->stream.gzip_bytes;
	isal_inflate_init(isal);
	isal->crc_flag = mode;
	while (isal->block_state != ISAL_BLOCK_FINISH) {
		size_t piece = (size_t)(end - at) < in_bytes ? (size_t)(end - at) : in_bytes;
		isal->next_in = (uint8_t *)(uintptr_t)at;
		isal->avail_in = (uint32_t)piece;
		isal->next_out = bench->out;
		isal->avail_out = (uint32_t)out_bytes;
		if (isal_inflate(isal) != ISAL_DECOMP_OK || (piece == 0 && isal->next_out == bench->out))
			return 0;
		newlines += count_newlines(bench->out, isal->next_out);
		at = isal->next_in;
	}
	return newlines;
}

static size_t run_zlib(const struct bench *bench, size_t in_bytes, size_t out_bytes)
{
	z_stream z = { .next_in = bench->stream.gzip };
	const uint8_t *end = bench->stream.gzip + bench->stream.gzip_bytes;
	size_t newlines = 0;
	int answer = inflateInit2(&z, 31);
	while (answer == Z_OK) {
		size_t left = (size_t)(end - z.next_in);
		z.avail_in = (uInt)(left < in_bytes ? left : in_bytes);
		z.next_out = bench->out;
		z.avail_out = (uInt)out_bytes;
		answer = inflate(&z, Z_NO_FLUSH);
		newlines += count_newlines(bench->out, z.next_out);
	}
	inflateEnd(&z);
	return answer == Z_STREAM_END ? newlines : 0;
}

static size_t run_libdeflate(const struct bench *bench)
{
	const struct stream *stream = &bench->stream;
	if (libdeflate_gzip_decompress(bench->libdeflate, stream->gzip, stream->gzip_bytes, bench->whole_out,
				       stream->plain_bytes, NULL) != LIBDEFLATE_SUCCESS)
		return 0;
	return count_newlines(bench->whole_out, bench->whole_out + stream->plain_bytes);
}

static size_t run(const struct bench *bench, const struct contender *contender)
{
	size_t in_bytes = contender->in_kilobytes << 10, out_bytes = contender->out_kilobytes << 10;
	switch (contender->kind) {
	case ROOM_RESTART:
	case ROOM_FILL:
		return run_room(bench, in_bytes, out_bytes, contender->kind == ROOM_FILL);
	case ISAL_GZIP_MODE:
		return run_isal(bench, in_bytes, out_bytes, ISAL_GZIP);
	case ISAL_RAW:
		return run_isal(bench, in_bytes, out_bytes, ISAL_DEFLATE);
	case ZLIB_STREAM:
		return run_zlib(bench, in_bytes, out_bytes);
	case LIBDEFLATE_WHOLE:
		return run_libdeflate(bench);
	}
	return 0;
}

/* ---- measuring */

static double thread_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare_doubles);
	return values[count / 2];
}

static void measure(const struct bench *bench, struct contender *contenders, size_t count, size_t rounds)
{
	for (size_t round = 0; round <= rounds; round++)
		for (size_t i = 0; i < count; i++) {
			double start = thread_seconds();
			size_t newlines = run(bench, &contenders[i]);
			double seconds = thread_seconds() - start;
			if (newlines != bench->stream.newlines) {
				fprintf(stderr, "%s: %zu newlines, wanted %zu\n", contenders[i].name,
					newlines, bench->stream.newlines);
				exit(1);
			}
			if (round) /* the first one warms up */
				contenders[i].seconds[round - 1] = seconds;
		}
}

static void report(const struct bench *bench, const struct contender *contenders, size_t count, size_t rounds,
		   int level)
{
	for (size_t i = 0; i < count; i++) {
		double speeds[ROUNDS_MAX], ratios[ROUNDS_MAX];
		for (size_t round = 0; round < rounds; round++) {
			speeds[round] =
				(double)bench->stream.plain_bytes * 1e-6 / contenders[i].seconds[round];
			ratios[round] = contenders[0].seconds[round] / contenders[i].seconds[round];
		}
		printf("{\"bench\":\"inflate\",\"contender\":\"%s\",\"in_kilobytes\":%zu,\"out_kilobytes\":%"
		       "zu,"
		       "\"level\":%d,\"plain_megabytes\":%.1f,\"compression\":%.2f,"
		       "\"megabytes_per_second\":%.0f,\"ratio\":%.3f}\n",
		       contenders[i].name, contenders[i].in_kilobytes, contenders[i].out_kilobytes, level,
		       (double)bench->stream.plain_bytes * 1e-6,
		       (double)bench->stream.plain_bytes / (double)bench->stream.gzip_bytes,
		       median(speeds, rounds), median(ratios, rounds));
	}
}

static size_t list_sizes(struct contender *contenders)
{
	static const size_t in_sizes[] = { 1, 4, 16, 32, 64, 128, 256 };
	static const size_t out_sizes[] = { 32, 64, 128, 256, 512, 1024 };
	size_t count = 0;
	contenders[count++] = (struct contender){ "room, restart", ROOM_RESTART, 64, 256, { 0 } };
	for (size_t i = 0; i < sizeof in_sizes / sizeof *in_sizes; i++)
		contenders[count++] =
			(struct contender){ "room, restart", ROOM_RESTART, in_sizes[i], 256, { 0 } };
	for (size_t i = 0; i < sizeof out_sizes / sizeof *out_sizes; i++)
		contenders[count++] =
			(struct contender){ "room, restart", ROOM_RESTART, 64, out_sizes[i], { 0 } };
	for (size_t i = 1; i < 5; i++)
		contenders[count++] = (struct contender){ "room, fill", ROOM_FILL, in_sizes[i], 256, { 0 } };
	contenders[count++] = (struct contender){ "room, fill", ROOM_FILL, 64, 128, { 0 } };
	return count;
}

int main(int argc, char **argv)
{
	static struct contender contenders[CONTENDERS_MAX] = {
		{ "ISA-L, gzip mode", ISAL_GZIP_MODE, 64, 256, { 0 } },
		{ "room", ROOM_RESTART, 64, 128, { 0 } },
		{ "room", ROOM_RESTART, 64, 256, { 0 } },
		{ "ISA-L, raw, no checksum", ISAL_RAW, 64, 256, { 0 } },
		{ "zlib", ZLIB_STREAM, 64, 256, { 0 } },
		{ "libdeflate, whole", LIBDEFLATE_WHOLE, 0, 0, { 0 } },
	};
	size_t plain_bytes = 48 << 20, rounds = 9, count = 6;
	int level = 6;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			plain_bytes = 1 << 20, rounds = 1;
		else if (strcmp(argv[i], "--sizes") == 0)
			count = list_sizes(contenders);
		else if (strcmp(argv[i], "--level") == 0 && i + 1 < argc)
			level = atoi(argv[++i]);
	}
	struct arena arena;
	struct bench bench = { 0 };
	if (arena_open(&arena, 1 << 20) != 0)
		return 1;
	stream_make(&bench.stream, plain_bytes, level);
	bench.inflate = inflate_create(INFLATE_ENGINE_AUTO, &arena);
	bench.isal = malloc(sizeof *bench.isal);
	bench.libdeflate = libdeflate_alloc_decompressor();
	bench.out = malloc(INFLATE_HISTORY_BYTES + OUT_BYTES_MAX);
	bench.whole_out = malloc(bench.stream.plain_bytes);
	measure(&bench, contenders, count, rounds);
	report(&bench, contenders, count, rounds, level);
	free(bench.stream.plain);
	free(bench.stream.gzip);
	free(bench.isal);
	libdeflate_free_decompressor(bench.libdeflate);
	free(bench.out);
	free(bench.whole_out);
	arena_finish(&arena);
	return 0;
}
