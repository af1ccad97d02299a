/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof inflate -bench: the CPU time that each engine takes for the same bytes, in memory, in pieces as
 * the collector has them, CRC-32 and size proven. Engines take turns in every round, so that a machine that
 * grows slower hits all alike; ratios are taken within a round. A round repeats small files until the clock
 * can tell.
 */
#include "cli/inflate_command.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "base/clock.h"
#include "report/compare.h"

/* So many bytes, plain or compressed, an engine gets through in each round: some milliseconds. */
#define PASS_BYTES ((uint64_t)8 << 20)
/* A compressed byte may cost as much as so many plain ones, where it yields next to nothing. */
#define PASS_GZIP_COST 64
/* The smallest file takes as long as so many plain bytes of a large one. */
#define PASS_COST_BYTES 4096

/* Each with its number of streams; isal first, since the others are compared with it, and libdeflate last. */
static const struct {
	enum inflate_engine engine;
	unsigned streams;
} candidates[] = {
	{ INFLATE_ENGINE_ISAL, 1 },  { INFLATE_ENGINE_OWN, 1 },	  { INFLATE_ENGINE_OWN, 2 },
	{ INFLATE_ENGINE_OWN_C, 1 }, { INFLATE_ENGINE_OWN_C, 2 }, { INFLATE_ENGINE_LIBDEFLATE, 1 },
};
enum { CANDIDATE_COUNT = sizeof candidates / sizeof *candidates };
_Static_assert(CANDIDATE_COUNT <= INFLATE_CONTENDERS_MAX, "a row for each");

struct contender {
	struct inflate *inflates[2];
	unsigned streams;
	double seconds[INFLATE_ROUNDS_MAX]; /* for one time through the file; two streams: for both */
};

struct bench {
	struct arena arena;
	struct span gzip;
	struct inflate_window windows[2];
	size_t count;
	struct contender contenders[CANDIDATE_COUNT];
};

static double thread_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The time-stamp counter, where it runs at a constant rate; 0 elsewhere. */
static uint64_t time_stamp(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d = 0;
	if (__get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1)) /* invariant */
		return __rdtsc();
#endif
	return 0;
}

/* An engine that this CPU cannot run is another in disguise: it is not measured twice. */
static int is_measured(const struct bench *bench, const struct inflate *inflate, unsigned streams)
{
	for (size_t i = 0; i < bench->count; i++)
		if (bench->contenders[i].streams == streams &&
		    inflate_engine_name(bench->contenders[i].inflates[0]) == inflate_engine_name(inflate))
			return 1;
	return 0;
}

/* 0, or errno. */
static int contender_add(struct bench *bench, enum inflate_engine engine, unsigned streams)
{
	struct contender *contender = &bench->contenders[bench->count];
	contender->streams = streams;
	for (unsigned i = 0; i < streams; i++) {
		contender->inflates[i] = inflate_create(engine, &bench->arena);
		if (!contender->inflates[i])
			return ENOMEM;
	}
	if (!is_measured(bench, contender->inflates[0], streams))
		bench->count++;
	return 0;
}

static int is_wanted(size_t candidate, enum inflate_engine choice)
{
	return candidate == 0 || choice == INFLATE_ENGINE_AUTO || choice == candidates[candidate].engine;
}

/* 0, or errno. */
static int bench_open(struct bench *bench, enum inflate_engine choice)
{
	size_t bytes = 2 * INFLATE_WINDOW_ARENA_BYTES;
	for (size_t i = 0; i < CANDIDATE_COUNT; i++)
		if (is_wanted(i, choice))
			bytes += candidates[i].streams * inflate_bytes_needed(candidates[i].engine);
	int code = -arena_open(&bench->arena, bytes);
	for (int i = 0; i < 2 && !code; i++)
		inflate_window_open(&bench->windows[i], &bench->arena);
	for (size_t i = 0; i < CANDIDATE_COUNT && !code; i++)
		if (is_wanted(i, choice))
			code = contender_add(bench, candidates[i].engine, candidates[i].streams);
	return code;
}

static void bench_close(struct bench *bench)
{
	for (size_t i = 0; i < bench->count; i++)
		for (unsigned k = 0; k < bench->contenders[i].streams; k++)
			inflate_finish(bench->contenders[i].inflates[k]);
	arena_finish(&bench->arena);
}

/* ---- one time through the file */

static void pass_one(struct bench *bench, struct inflate *inflate)
{
	const uint8_t *end = bench->gzip.base + bench->gzip.bytes;
	struct cursor_in in = { bench->gzip.base, bench->gzip.base };
	struct inflate_window *window = &bench->windows[0];
	enum step step = STEP_HUNGRY;
	inflate_begin(inflate);
	inflate_window_begin(window);
	while (step != STEP_BROKEN && (step == STEP_FULL || in.next < end)) {
		if (step != STEP_FULL)
			in.end = (size_t)(end - in.next) < INFLATE_READ_BYTES ? end
									      : in.next + INFLATE_READ_BYTES;
		inflate_window_make_room(window);
		step = inflate_push(inflate, &in, window->history, &window->out);
	}
	inflate_input_over(inflate);
	do {
		inflate_window_make_room(window);
	} while (inflate_push(inflate, &in, window->history, &window->out) == STEP_FULL);
}

/* Both streams are the same file, so both are at its end at once. */
static void pass_two(struct bench *bench, struct inflate *const inflates[2])
{
	const uint8_t *end = bench->gzip.base + bench->gzip.bytes;
	struct cursor_in in[2];
	struct inflate_job jobs[2];
	for (int i = 0; i < 2; i++) {
		inflate_begin(inflates[i]);
		inflate_window_begin(&bench->windows[i]);
		in[i] = (struct cursor_in){ bench->gzip.base, bench->gzip.base };
		jobs[i] = (struct inflate_job){ inflates[i], &in[i], bench->windows[i].history,
						&bench->windows[i].out, STEP_HUNGRY };
	}
	while (jobs[0].step != STEP_BROKEN && jobs[1].step != STEP_BROKEN &&
	       (jobs[0].step == STEP_FULL || jobs[1].step == STEP_FULL || in[0].next < end ||
		in[1].next < end)) {
		for (int i = 0; i < 2; i++) {
			if (jobs[i].step != STEP_FULL)
				in[i].end = (size_t)(end - in[i].next) < INFLATE_READ_BYTES
						    ? end
						    : in[i].next + INFLATE_READ_BYTES;
			inflate_window_make_room(&bench->windows[i]);
		}
		inflate_push_two(&jobs[0], &jobs[1]);
	}
}

static void pass(struct bench *bench, const struct contender *contender)
{
	if (contender->streams == 2)
		pass_two(bench, contender->inflates);
	else
		pass_one(bench, contender->inflates[0]);
}

/* ---- rounds */

/* Seconds for one time through the file. */
static double round_of(struct bench *bench, const struct contender *contender, uint64_t pass_count)
{
	double start = thread_seconds();
	for (uint64_t i = 0; i < pass_count; i++)
		pass(bench, contender);
	return (thread_seconds() - start) / (double)pass_count;
}

/* 0: all of them proved it. -1: the first one that did not says why. */
static int warm_up(struct bench *bench, enum inflate_engine choice, struct inflate_bench *result)
{
	struct inflate_result first = result->file;
	for (size_t i = 0; i < bench->count; i++) {
		struct contender *contender = &bench->contenders[i];
		pass(bench, contender);
		for (unsigned k = 0; k < contender->streams && result->file.fault == FAULT_NONE; k++)
			inflate_result_take(&result->file, contender->inflates[k]);
		if (i == 0)
			first = result->file;
		/* libdeflate, which is the last, may not be able to hold what the others stream. */
		if (i > 0 && i + 1 == bench->count && result->file.fault == FAULT_INFLATE_LIMIT &&
		    choice == INFLATE_ENGINE_AUTO) {
			result->file = first;
			result->is_too_large = 1;
			bench->count--;
			inflate_finish(contender->inflates[0]);
		}
		if (result->file.fault != FAULT_NONE)
			return -1;
	}
	return 0;
}

static void contender_sum_up(const struct bench *bench, size_t index, double cycles_per_second,
			     struct inflate_bench *result)
{
	const struct contender *contender = &bench->contenders[index], *first = &bench->contenders[0];
	struct inflate_contender *sum = &result->contenders[index];
	double speeds[INFLATE_ROUNDS_MAX], ratios[INFLATE_ROUNDS_MAX];
	double bytes = (double)result->file.plain_bytes * contender->streams;
	for (unsigned i = 0; i < result->rounds; i++) {
		speeds[i] = bytes * 1e-6 / contender->seconds[i];
		ratios[i] = first->seconds[i] * contender->streams / contender->seconds[i];
	}
	sum->engine = inflate_engine_name(contender->inflates[0]);
	sum->streams = contender->streams;
	sum->megabytes_per_second = compare_median(speeds, result->rounds); /* sorts them */
	sum->low = speeds[0];
	sum->high = speeds[result->rounds - 1];
	sum->ratio = compare_median(ratios, result->rounds);
	sum->cycles_per_byte = cycles_per_second / (sum->megabytes_per_second * 1e6);
}

static void measure(struct bench *bench, struct inflate_bench *result)
{
	uint64_t cost_bytes =
		result->file.plain_bytes + PASS_COST_BYTES + PASS_GZIP_COST * (uint64_t)bench->gzip.bytes;
	uint64_t pass_count = 1 + PASS_BYTES / cost_bytes;
	int64_t start_ns = clock_monotonic_ns();
	uint64_t start_stamp = time_stamp();
	for (unsigned round = 0; round < result->rounds; round++)
		for (size_t i = 0; i < bench->count; i++)
			bench->contenders[i].seconds[round] =
				round_of(bench, &bench->contenders[i], pass_count);
	double cycles = (double)(time_stamp() - start_stamp);
	double seconds = (double)(clock_monotonic_ns() - start_ns) / (double)NS_PER_SECOND;
	result->count = bench->count;
	for (size_t i = 0; i < bench->count; i++)
		contender_sum_up(bench, i, cycles / seconds, result);
}

int inflate_bench(struct span gzip, enum inflate_engine choice, struct inflate_bench *result)
{
	struct bench *bench = calloc(1, sizeof *bench);
	if (!bench)
		return ENOMEM;
	bench->gzip = gzip;
	inflate_result_read(&result->file, gzip);
	int code = bench_open(bench, choice);
	if (code == 0)
		code = warm_up(bench, choice, result);
	if (code == 0)
		measure(bench, result);
	bench_close(bench);
	free(bench);
	return code;
}
