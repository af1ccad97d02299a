/* SPDX-License-Identifier: Apache-2.0
 *
 * sink: what a byte costs in each format, to /dev/null and to the null sink, and the message format's
 * escaping alone. Variants are interleaved; figures are medians of the process's CPU time.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sink/escape.h"
#include "sink/sink.h"

enum { ROUNDS_MAX = 9, PIECE_BYTES = 65536, LINES_BYTES = 1 << 18 };

/* Lines like the feed's: short quoted keys and values, some long encoded fields. */
static void lines_fill(uint8_t *at, size_t bytes)
{
	static const char line[] =
		"{\"attackData\":{\"appliedAction\":\"monitor\",\"clientIP\":\"198.51.100.7\",\"configId\":"
		"\"14227\","
		"\"policyId\":\"qik1_26545\",\"ruleActions\":\"YWxlcnQ%3d%3bZGVueQ%3d%3d\",\"ruleMessages\":"
		"\"Q3Jvc3Mtc2l0ZSBTY3JpcHRpbmcgKFhTUykgQXR0YWNrIChET00p%"
		"3bUmVxdWVzdCBJbmRpY2F0ZXMgYW4gYXV0b21hdGVk\"},"
		"\"format\":\"json\",\"geo\":{\"asn\":\"14618\",\"city\":\"ASHBURN\",\"country\":\"US\"},"
		"\"httpMessage\":"
		"{\"bytes\":\"266\",\"host\":\"www.example.com\",\"path\":\"/examples/1/"
		"\",\"requestHeaders\":"
		"\"User-Agent%3a%20BOT%2f0.1%20(BOT%20for%20JCE)%0d%0aAccept%3a%20text%2fhtml%2capplication%"
		"2fxhtml\"}}\n";
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)line[i % (sizeof line - 1)];
	at[bytes - 1] = '\n';
}

static void wait_completion(struct ring *ring, struct sink *sink)
{
	struct ring_operation *operation = ring_wait(ring, clock_monotonic_ns() + 10 * NS_PER_SECOND);
	if (!operation || !sink_completed(sink, operation) || sink_fault(sink) != FAULT_NONE)
		exit(1);
}

/* CPU ns per input byte of pushing `total` bytes. */
static double push_run(enum ring_engine engine, enum sink_kind kind, enum sink_format format,
		       const uint8_t *lines, size_t total)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct sink *sink;
	char error[SINK_ERROR_BYTES_MAX];
	struct ring_options ring_options = { .engine = engine, .operations_max = 8 };
	struct sink_options options = { .kind = kind, .format = format, .path = "/dev/null" };
	if (arena_open(&arena, 4 << 20) < 0 || ring_open(&ring_options, &arena, &ring, &report) < 0 ||
	    sink_open(&options, ring, &arena, &sink, error) != FAULT_NONE)
		exit(1);
	int64_t start_ns = clock_process_cpu_ns();
	for (size_t done = 0; done < total; done += PIECE_BYTES) {
		const uint8_t *piece = lines + done % LINES_BYTES;
		struct cursor_in input = { piece, piece + PIECE_BYTES };
		while (sink_push(sink, &input, 0) == STEP_FULL)
			wait_completion(ring, sink);
		/* as flow does: completions are taken when there are any */
		struct ring_operation *operation = ring_wait(ring, 0);
		if (operation)
			sink_completed(sink, operation);
	}
	sink_flush(sink);
	while (!sink_idle(sink))
		wait_completion(ring, sink);
	double ns = (double)(clock_process_cpu_ns() - start_ns) / (double)total;
	ring_finish(ring);
	sink_close(sink);
	arena_finish(&arena);
	return ns;
}

static double escape_all(escape_run *run, const uint8_t *lines, size_t total, uint8_t *target)
{
	struct escape escape = { .run = run };
	int64_t start_ns = clock_process_cpu_ns();
	for (size_t done = 0; done < total; done += PIECE_BYTES) {
		const uint8_t *piece = lines + done % LINES_BYTES;
		struct cursor_in input = { piece, piece + PIECE_BYTES };
		struct cursor_out output = { target, target + (size_t)8 * PIECE_BYTES };
		escape_push(&escape, &input, &output, 0);
	}
	return (double)(clock_process_cpu_ns() - start_ns) / (double)total;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum ring_engine engine;
		enum sink_kind kind;
		enum sink_format format;
	} variants[] = {
		{ "raw, null sink", RING_ENGINE_AUTO, SINK_NULL, SINK_RAW },
		{ "raw, /dev/null", RING_ENGINE_AUTO, SINK_FILE, SINK_RAW },
		{ "raw, /dev/null, poll", RING_ENGINE_POLL, SINK_FILE, SINK_RAW },
		{ "message, /dev/null", RING_ENGINE_AUTO, SINK_FILE, SINK_MESSAGE },
		{ "message, escaping alone, portable", RING_ENGINE_AUTO, SINK_NULL, SINK_MESSAGE },
		{ "message, escaping alone, AVX-512", RING_ENGINE_AUTO, SINK_NULL, SINK_MESSAGE },
	};
	enum { VARIANTS = sizeof variants / sizeof *variants, ESCAPING = VARIANTS - 2 };
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	int rounds = quick ? 1 : ROUNDS_MAX;
	size_t total = quick ? 1 << 22 : 1 << 28;
	uint8_t *lines = malloc(LINES_BYTES), *target = malloc((size_t)8 * PIECE_BYTES);
	double ns[VARIANTS][ROUNDS_MAX];
	signal(SIGPIPE, SIG_IGN);
	lines_fill(lines, LINES_BYTES);
	for (int round = 0; round < rounds; round++) {
		for (size_t i = 0; i < ESCAPING; i++)
			ns[i][round] = push_run(variants[i].engine, variants[i].kind, variants[i].format,
						lines, total);
		ns[ESCAPING][round] = escape_all(escape_run_portable, lines, total, target);
		ns[ESCAPING + 1][round] = escape_all(escape_run_avx512(), lines, total, target);
	}
	for (size_t i = 0; i < VARIANTS; i++) {
		if (i == VARIANTS - 1 && !escape_run_avx512())
			continue;
		qsort(ns[i], (size_t)rounds, sizeof **ns, compare);
		printf("{\"bench\":\"sink\",\"variant\":\"%s\",\"cpu_ns_per_byte\":%.4f,\"gigabytes_per_"
		       "second\":%.2f,"
		       "\"bytes\":%zu,\"rounds\":%d}\n",
		       variants[i].name, ns[i][rounds / 2], 1 / (ns[i][rounds / 2] + 1e-9), total, rounds);
	}
	free(lines);
	free(target);
	return 0;
}
