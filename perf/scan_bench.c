/* SPDX-License-Identifier: Apache-2.0
 *
 * Line ends per kernel against a memchr() loop, over resident blocks of event-like lines (1.9 and 0.95 KB)
 * and of short ones (40 bytes). GB/s, median of interleaved rounds of thread CPU time; one JSON object a
 * line.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scan/scan.h"

enum { ROUNDS_MAX = 15, CONTENDERS_MAX = 8, BLOCK_BYTES_MAX = 256 << 10 };

struct contender {
	const char *name;
	const struct scan_kernel *kernel; /* NULL: memchr */
	double gigabytes_per_second[ROUNDS_MAX];
};

static double thread_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static size_t memchr_line_ends(struct span bytes, uint32_t *positions)
{
	size_t found = 0;
	const uint8_t *end = bytes.base + bytes.bytes;
	for (const uint8_t *at = bytes.base; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
		positions[found++] = (uint32_t)(at - bytes.base);
	return found;
}

static size_t scan_once(const struct contender *contender, struct span bytes, uint32_t *positions)
{
	size_t scanned;
	if (contender->kernel)
		return contender->kernel->line_ends(bytes, positions, BLOCK_BYTES_MAX, &scanned);
	return memchr_line_ends(bytes, positions);
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

/* Line lengths vary by a quarter, as events do, so that the branch predictor cannot learn them. */
static void fill(uint8_t *bytes, size_t count, size_t line_bytes)
{
	uint32_t random = 12345;
	memset(bytes, 'x', count);
	for (size_t at = line_bytes; at < count;) {
		bytes[at] = '\n';
		random = random * 1664525 + 1013904223;
		at += line_bytes * 7 / 8 + (random >> 8) % (line_bytes / 4 + 1);
	}
}

static void bench(struct contender *contenders, size_t contender_count, size_t block_bytes, size_t line_bytes,
		  size_t round_bytes, size_t rounds)
{
	static uint8_t block[BLOCK_BYTES_MAX];
	static uint32_t positions[BLOCK_BYTES_MAX];
	fill(block, block_bytes, line_bytes);
	struct span bytes = span_of(block, block_bytes);
	size_t repeats = round_bytes / block_bytes, found = 0;

	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < contender_count; i++) {
			found = scan_once(&contenders[i], bytes, positions); /* warm */
			double start = thread_seconds();
			for (size_t repeat = 0; repeat < repeats; repeat++)
				found += scan_once(&contenders[i], bytes, positions);
			double seconds = thread_seconds() - start;
			contenders[i].gigabytes_per_second[round] =
				(double)(repeats * block_bytes) / seconds * 1e-9;
		}
	}
	for (size_t i = 0; i < contender_count; i++) {
		double *rates = contenders[i].gigabytes_per_second;
		qsort(rates, rounds, sizeof *rates, compare_doubles);
		printf("{\"bench\":\"scan\",\"kernel\":\"%s\",\"block_bytes\":%zu,\"line_bytes\":%zu,"
		       "\"gb_per_s\":%.1f,\"line_ends\":%zu}\n",
		       contenders[i].name, block_bytes, line_bytes, rates[rounds / 2], found);
	}
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	struct contender contenders[CONTENDERS_MAX] = { { .name = "memchr" } };
	size_t contender_count = 1;
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if ((*row)->supported())
			contenders[contender_count++] =
				(struct contender){ .name = (*row)->name, .kernel = *row };
	}
	static const size_t block_sizes[] = { 16 << 10, 64 << 10, BLOCK_BYTES_MAX };
	static const size_t line_sizes[] = { 1900, 950, 40 };
	for (size_t l = 0; l < 3; l++) {
		for (size_t b = 0; b < 3; b++)
			bench(contenders, contender_count, block_sizes[b], line_sizes[l],
			      quick ? BLOCK_BYTES_MAX : (size_t)256 << 20, quick ? 1 : ROUNDS_MAX);
	}
	return 0;
}
