/* SPDX-License-Identifier: Apache-2.0
 *
 * receive: what receiving a byte costs our process in each of the ways that Linux has, over loopback TCP,
 * from a child that sends records of TLS's size. This is where the default of src/ring and the size of its
 * buffer come from, and where to look again on a newer kernel or with a network card.
 *
 * Each run of a variant has a run of the default beside it, and what counts is the ratio of the two; the
 * median over the rounds is shown with its quartiles. The default is also compared with itself: a variant
 * that is better than that by less is not better. JSON lines go to stdout, tables for people to stderr.
 *
 * --rounds N, --bytes N (in each run), --pace N (megabytes a second of the paced sender), --only TEXT
 * (variants with that in their name), --quick (all once, a little: whether it works)
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "receive.h"

enum { ROUNDS_MAX = 99, ROUNDS_TO_COMPARE = 5, PACED_PART = 4, PERIOD_RECORDS = 8, KILOBYTE = 1000 };

/* The first is the default, the second is the default compared with itself. */
static const struct variant variants[] = {
	{ "read_fixed 256K", RECEIVE_SINGLE, OPTION_REGISTERED, 256, 0, 0 },
	{ "read_fixed 256K, again", RECEIVE_SINGLE, OPTION_REGISTERED, 256, 0, 0 },
	{ "read_fixed 16K", RECEIVE_SINGLE, OPTION_REGISTERED, 16, 0, 0 },
	{ "read_fixed 64K", RECEIVE_SINGLE, OPTION_REGISTERED, 64, 0, 0 },
	{ "read_fixed 128K", RECEIVE_SINGLE, OPTION_REGISTERED, 128, 0, 0 },
	{ "read_fixed 512K", RECEIVE_SINGLE, OPTION_REGISTERED, 512, 0, 0 },
	{ "read_fixed 1M", RECEIVE_SINGLE, OPTION_REGISTERED, 1024, 0, 0 },
	{ "read_fixed 2M", RECEIVE_SINGLE, OPTION_REGISTERED, 2048, 0, 0 },
	{ "src/ring, fixed 256K", RECEIVE_ROOM, OPTION_REGISTERED, 256, 0, 0 },
	{ "src/ring, plain 256K", RECEIVE_ROOM, 0, 256, 0, 0 },
	{ "src/ring, poll 256K", RECEIVE_ROOM, OPTION_POLL_ENGINE, 256, 0, 0 },
	{ "recv(2) 16K", RECEIVE_CALL, 0, 16, 0, 0 },
	{ "recv(2) 64K", RECEIVE_CALL, 0, 64, 0, 0 },
	{ "recv(2) 256K", RECEIVE_CALL, 0, 256, 0, 0 },
	{ "recv(2) 256K, waitall", RECEIVE_CALL, OPTION_WAIT_ALL, 256, 0, 0 },
	{ "recv 16K", RECEIVE_SINGLE, 0, 16, 0, 0 },
	{ "recv 64K", RECEIVE_SINGLE, 0, 64, 0, 0 },
	{ "recv 256K", RECEIVE_SINGLE, 0, 256, 0, 0 },
	{ "recv 1M", RECEIVE_SINGLE, 0, 1024, 0, 0 },
	{ "recv into registered 256K", RECEIVE_SINGLE, OPTION_REGISTERED_RECV, 256, 0, 0 },
	{ "recv 256K, poll first", RECEIVE_SINGLE, OPTION_POLL_FIRST, 256, 0, 0 },
	{ "recv 256K, waitall", RECEIVE_SINGLE, OPTION_WAIT_ALL, 256, 0, 0 },
	{ "multishot 64 x 4K", RECEIVE_POOL, 0, 4, 64, 0 },
	{ "multishot 16 x 16K", RECEIVE_POOL, 0, 16, 16, 0 },
	{ "multishot 8 x 64K", RECEIVE_POOL, 0, 64, 8, 0 },
	{ "multishot 2 x 128K", RECEIVE_POOL, 0, 128, 2, 0 },
	{ "multishot 1 x 256K", RECEIVE_POOL, 0, 256, 1, 0 },
	{ "multishot incremental 4 x 128K", RECEIVE_POOL, OPTION_INCREMENTAL, 128, 4, 0 },
	{ "multishot incremental 1 x 1M", RECEIVE_POOL, OPTION_INCREMENTAL, 1024, 1, 0 },
	{ "bundle 64 x 4K", RECEIVE_POOL, OPTION_BUNDLE, 4, 64, 0 },
	{ "bundle 16 x 16K", RECEIVE_POOL, OPTION_BUNDLE, 16, 16, 0 },
	{ "bundle 8 x 64K", RECEIVE_POOL, OPTION_BUNDLE, 64, 8, 0 },
	{ "bundle 1 x 256K", RECEIVE_POOL, OPTION_BUNDLE, 256, 1, 0 },
	{ "bundle incremental 4 x 128K", RECEIVE_POOL, OPTION_BUNDLE | OPTION_INCREMENTAL, 128, 4, 0 },
	{ "records, rest moved 256K", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_RECORDS_MOVED, 256, 0, 0 },
	{ "records, mirrored ring 256K", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_RECORDS_MIRRORED, 256, 0,
	  0 },
	{ "read_fixed 256K, so_rcvbuf 4M", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_LARGE_SOCKET, 256, 0,
	  0 },
	{ "read_fixed 256K, so_rcvlowat 128K", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_LOW_WATER, 256, 0,
	  0 },
	{ "recv 256K, so_rcvlowat 128K, poll first", RECEIVE_SINGLE, OPTION_LOW_WATER | OPTION_POLL_FIRST,
	  256, 0, 0 },
	{ "read_fixed 256K, min-wait 10 ms", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_MIN_WAIT, 256, 0,
	  10000 },
	{ "read_fixed 256K, min-wait 2 ms", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_MIN_WAIT, 256, 0,
	  2000 },
	{ "read_fixed 256K, min-wait 40 ms", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_MIN_WAIT, 256, 0,
	  40000 },
	{ "read_fixed 256K, rest 10 ms", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_REST, 256, 0, 10000 },
	{ "read_fixed 256K, rest 2 ms", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_REST, 256, 0, 2000 },
	{ "multishot 16 x 16K, min-wait 8 or 2 ms", RECEIVE_POOL, OPTION_MIN_WAIT, 16, 16, 2000 },
	{ "read_fixed 256K, so_busy_poll", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_BUSY_POLL, 256, 0,
	  500 },
	{ "read_fixed 256K, napi", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_NAPI, 256, 0, 500 },
	{ "read_fixed 256K, sqpoll", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_KERNEL_THREAD, 256, 0, 0 },
	{ "multishot 8 x 64K, sqpoll", RECEIVE_POOL, OPTION_KERNEL_THREAD, 64, 8, 0 },
	{ "read_fixed 256K, coop_taskrun", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_COOPERATIVE, 256, 0,
	  0 },
	{ "read_fixed 256K, no taskrun flag", RECEIVE_SINGLE, OPTION_REGISTERED | OPTION_INTERRUPT, 256, 0,
	  0 },
};
enum { VARIANTS = sizeof variants / sizeof *variants, DEFAULT = 0, DEFAULT_AGAIN = 1 };

static const char *const consumers[CONSUMERS] = { "busy", "idle", "paced" };

struct sample {
	struct figures figures;
	double ratio;		  /* of CPU, to the default's run beside it */
	double instruction_ratio; /* the same of instructions; 0 when nobody counts them */
};

struct bench {
	struct pattern pattern;
	uint8_t *window;
	size_t total_bytes, pace_bytes_per_second;
	unsigned rounds;
	const char *only;
	int instruction_counter;
	char why[VARIANTS][WHY_BYTES_MAX]; /* not empty: what the host lacks */
	struct sample samples[CONSUMERS][VARIANTS][ROUNDS_MAX];
};

struct summary {
	double cpu_ns, user_ns, system_ns, instructions; /* a kilobyte */
	double ratio, ratio_low, ratio_high, instruction_ratio;
	double receives, sleeps; /* a gigabyte */
	double megabytes_per_second;
};

static void pattern_make(struct bench *bench)
{
	size_t period_bytes = (size_t)PERIOD_RECORDS * RECORD_BYTES;
	uint8_t *bytes = receive_memory(period_bytes + CHECKED_BYTES);
	uint32_t state = 1;
	for (size_t at = 0; at < period_bytes; at++) {
		static const uint8_t header[RECORD_HEADER_BYTES] = {
			0x17, 3, 3, (RECORD_BYTES - RECORD_HEADER_BYTES) >> 8,
			(RECORD_BYTES - RECORD_HEADER_BYTES) & 255
		};
		state = state * 1664525 + 1013904223;
		bytes[at] = at % RECORD_BYTES < RECORD_HEADER_BYTES ? header[at % RECORD_BYTES]
								    : (uint8_t)(state >> 24);
	}
	memcpy(bytes + period_bytes, bytes, CHECKED_BYTES);
	bench->pattern = (struct pattern){ .bytes = bytes, .period_bytes = period_bytes };
	for (size_t at = 0; at < bench->total_bytes; at += period_bytes) {
		size_t rest = bench->total_bytes - at;
		bench->pattern.stream_hash = receive_hash(bench->pattern.stream_hash, bytes,
							  rest < period_bytes ? rest : period_bytes);
	}
}

/* Less where most of the time is spent waiting. */
static size_t bytes_of(const struct bench *bench, unsigned consumer)
{
	size_t records = bench->total_bytes / RECORD_BYTES;
	return consumer == CONSUMER_PACED ? (records + PACED_PART - 1) / PACED_PART * RECORD_BYTES
					  : bench->total_bytes;
}

/* Returns -1 when the host lacks what the variant needs. */
static int measure(struct bench *bench, unsigned variant, enum receive_consumer consumer,
		   struct figures *ret_figures)
{
	struct receive_run run = { .variant = &variants[variant],
				   .pattern = &bench->pattern,
				   .window = bench->window,
				   .consumer = consumer,
				   .total_bytes = bytes_of(bench, consumer),
				   .pace_bytes_per_second = bench->pace_bytes_per_second,
				   .instruction_counter = bench->instruction_counter };
	int result = receive_run(&run);
	*ret_figures = run.figures;
	if (result < 0)
		memcpy(bench->why[variant], run.why, sizeof run.why);
	return result;
}

/* The variant, and the default beside it, in turns before and behind it. */
static void measure_pair(struct bench *bench, unsigned variant, enum receive_consumer consumer,
			 unsigned round)
{
	struct sample *sample = &bench->samples[consumer][variant][round];
	struct figures reference;
	int first = (int)((round + variant) % 2);
	if (bench->why[variant][0] || (first && measure(bench, variant, consumer, &sample->figures) < 0))
		return;
	if (measure(bench, DEFAULT, consumer, &reference) < 0) {
		fprintf(stderr, "receive_bench: the default cannot run: %s\n", bench->why[DEFAULT]);
		exit(1);
	}
	if (!first && measure(bench, variant, consumer, &sample->figures) < 0)
		return;
	sample->ratio = sample->figures.cpu_ns / reference.cpu_ns;
	if (reference.instructions > 0)
		sample->instruction_ratio = sample->figures.instructions / reference.instructions;
}

static int taken_part(const struct bench *bench, unsigned variant)
{
	return variant <= DEFAULT_AGAIN || !bench->only || strstr(variants[variant].name, bench->only);
}

static void measure_all(struct bench *bench)
{
	unsigned order[VARIANTS];
	uint32_t state = 7;
	for (unsigned i = 0; i < VARIANTS; i++)
		order[i] = i;
	for (unsigned round = 0; round < bench->rounds; round++) {
		/* Another order each time, so that nobody always runs behind the same one. */
		for (unsigned i = VARIANTS - 1; i > 0; i--) {
			state = state * 1664525 + 1013904223;
			unsigned other = (unsigned)(((uint64_t)state * (i + 1)) >> 32), held = order[i];
			order[i] = order[other];
			order[other] = held;
		}
		for (unsigned i = 0; i < VARIANTS; i++) {
			for (int consumer = 0; consumer < CONSUMERS && taken_part(bench, order[i]);
			     consumer++)
				measure_pair(bench, order[i], (enum receive_consumer)consumer, round);
		}
	}
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

/* The value below which `part` of them lie, of the numbers at `offset` in each sample. */
static double quantile(const struct sample *samples, unsigned rounds, size_t offset, double part)
{
	double values[ROUNDS_MAX];
	for (unsigned i = 0; i < rounds; i++)
		memcpy(&values[i], (const uint8_t *)&samples[i] + offset, sizeof values[i]);
	qsort(values, rounds, sizeof *values, compare);
	double at = part * (double)(rounds - 1);
	unsigned below = (unsigned)at, above = below + 1 < rounds ? below + 1 : below;
	return values[below] + (values[above] - values[below]) * (at - (double)below);
}

#define MEDIAN(field) quantile(samples, bench->rounds, offsetof(struct sample, field), 0.5)

static struct summary summarize(const struct bench *bench, unsigned variant, unsigned consumer)
{
	const struct sample *samples = bench->samples[consumer][variant];
	double kilobytes = (double)bytes_of(bench, consumer) / KILOBYTE, gigabytes = kilobytes / 1e6;
	double user_ns = 0, system_ns = 0;
	for (unsigned i = 0; i < bench->rounds; i++) {
		user_ns += samples[i].figures.user_ns;
		system_ns += samples[i].figures.system_ns;
	}
	/* Ticks are too coarse for one run; over all they tell how the precise sum divides. */
	double user_share = user_ns + system_ns > 0 ? user_ns / (user_ns + system_ns) : 0;
	double cpu_ns = MEDIAN(figures.cpu_ns) / kilobytes;
	return (struct summary){
		.cpu_ns = cpu_ns,
		.user_ns = cpu_ns * user_share,
		.system_ns = cpu_ns * (1 - user_share),
		.instructions = MEDIAN(figures.instructions) / kilobytes,
		.ratio = MEDIAN(ratio),
		.ratio_low = quantile(samples, bench->rounds, offsetof(struct sample, ratio), 0.25),
		.ratio_high = quantile(samples, bench->rounds, offsetof(struct sample, ratio), 0.75),
		.instruction_ratio = MEDIAN(instruction_ratio),
		.receives = MEDIAN(figures.receives) / gigabytes,
		.sleeps = MEDIAN(figures.sleeps) / gigabytes,
		.megabytes_per_second = MEDIAN(figures.megabytes_per_second),
	};
}

static void report_variant(const struct bench *bench, unsigned variant, unsigned consumer)
{
	struct summary summary = summarize(bench, variant, consumer);
	printf("{\"bench\":\"receive\",\"variant\":\"%s\",\"consumer\":\"%s\",\"cpu_ns_per_kilobyte\":%.1f,"
	       "\"user_ns_per_kilobyte\":%.1f,\"system_ns_per_kilobyte\":%.1f,\"ratio_to_default\":%.3f,"
	       "\"ratio_quartiles\":[%.3f,%.3f],\"receives_per_gigabyte\":%.0f,"
	       "\"sleeps_per_gigabyte\":%.0f,\"megabytes_per_second\":%.0f",
	       variants[variant].name, consumers[consumer], summary.cpu_ns, summary.user_ns,
	       summary.system_ns, summary.ratio, summary.ratio_low, summary.ratio_high, summary.receives,
	       summary.sleeps, summary.megabytes_per_second);
	if (bench->instruction_counter >= 0)
		printf(",\"instructions_per_kilobyte\":%.0f,\"instruction_ratio_to_default\":%.3f",
		       summary.instructions, summary.instruction_ratio);
	printf(",\"bytes\":%zu,\"rounds\":%u}\n", bytes_of(bench, consumer), bench->rounds);
	fprintf(stderr, "%-42s %7.1f %7.1f %7.1f %7.3f  %.3f-%.3f %8.0f %8.0f %6.0f\n",
		variants[variant].name, summary.cpu_ns, summary.user_ns, summary.system_ns, summary.ratio,
		summary.ratio_low, summary.ratio_high, summary.receives, summary.sleeps,
		summary.megabytes_per_second);
}

/* Those whose third quartile is still below what the default once reached against itself: with fifty variants
 * a weaker rule finds some by chance. */
static void report_better(const struct bench *bench, unsigned consumer)
{
	if (bench->rounds < ROUNDS_TO_COMPARE) {
		fprintf(stderr, "(too few rounds to compare)\n\n");
		return;
	}
	double noise_low = quantile(bench->samples[consumer][DEFAULT_AGAIN], bench->rounds,
				    offsetof(struct sample, ratio), 0);
	int count = 0;
	for (unsigned i = DEFAULT_AGAIN + 1; i < VARIANTS; i++) {
		if (!taken_part(bench, i) || bench->why[i][0])
			continue;
		struct summary summary = summarize(bench, i, consumer);
		if (summary.ratio_high < 1 && summary.ratio_high < noise_low)
			fprintf(stderr, "%s%s (%.3f)",
				count++ ? ", " : "better than the default by more than noise: ",
				variants[i].name, summary.ratio);
	}
	fprintf(stderr, "%s\n\n", count ? "" : "nothing is better than the default by more than noise");
}

static void report(const struct bench *bench)
{
	for (unsigned consumer = 0; consumer < CONSUMERS; consumer++) {
		fprintf(stderr, "%-42s %7s %7s %7s %7s  %11s %8s %8s %6s\n", consumers[consumer], "ns/KB",
			"user", "system", "ratio", "quartiles", "recv/GB", "sleep/GB", "MB/s");
		for (unsigned i = 0; i < VARIANTS; i++) {
			if (taken_part(bench, i) && !bench->why[i][0])
				report_variant(bench, i, consumer);
		}
		report_better(bench, consumer);
	}
	for (unsigned i = 0; i < VARIANTS; i++) {
		if (!bench->why[i][0])
			continue;
		printf("{\"bench\":\"receive\",\"variant\":\"%s\",\"skipped\":\"%s\"}\n", variants[i].name,
		       bench->why[i]);
		fprintf(stderr, "%-42s skipped: %s\n", variants[i].name, bench->why[i]);
	}
	if (bench->instruction_counter < 0)
		fprintf(stderr,
			"Instructions are not counted: this machine or kernel.perf_event_paranoid has "
			"no counter for us.\n");
	fprintf(stderr, "Busy polling needs a network card's queue; loopback has none, so it can do nothing "
			"here.\n");
}

static size_t number(const char *text, size_t max)
{
	char *end;
	errno = 0;
	unsigned long long value = text ? strtoull(text, &end, 10) : 0;
	if (!text || errno || end == text || *end || value == 0 || value > max) {
		fprintf(stderr, "receive_bench: \"%s\" is not a number from 1 to %zu\n", text ? text : "",
			max);
		exit(2);
	}
	return value;
}

static void options_read(struct bench *bench, char **arguments)
{
	for (; *arguments; arguments++) {
		const char *name = *arguments;
		if (strcmp(name, "--quick") == 0) {
			bench->rounds = 1;
			bench->total_bytes = 1 << 20;
			continue;
		}
		const char *value = *++arguments;
		if (strcmp(name, "--rounds") == 0)
			bench->rounds = (unsigned)number(value, ROUNDS_MAX);
		else if (strcmp(name, "--bytes") == 0)
			bench->total_bytes = number(value, SIZE_MAX / 2);
		else if (strcmp(name, "--pace") == 0)
			bench->pace_bytes_per_second = number(value, 100000) * 1000000;
		else if (strcmp(name, "--only") == 0 && value)
			bench->only = value;
		else {
			fprintf(stderr, "receive_bench: %s is not an option\n", name);
			exit(2);
		}
		if (!value)
			exit(2);
	}
	/* Whole records. */
	bench->total_bytes = (bench->total_bytes / RECORD_BYTES + 1) * RECORD_BYTES;
}

int main(int argc, char **argv)
{
	struct bench *bench = calloc(1, sizeof *bench);
	if (!bench || argc < 1)
		receive_fail("calloc", ENOMEM);
	bench->rounds = 7;
	bench->total_bytes = 32 << 20;
	bench->pace_bytes_per_second = 50 * 1000000;
	options_read(bench, argv + 1);
	signal(SIGPIPE, SIG_IGN);
	receive_pin(0);
	pattern_make(bench);
	bench->window = receive_memory(WINDOW_BYTES);
	bench->instruction_counter = receive_instruction_counter();
	measure_all(bench);
	report(bench);
	free(bench);
	return 0;
}
