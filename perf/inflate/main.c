/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate_bench: our room with each of its engines, beside ISA-L, libdeflate, zlib and (where its package is
 * installed) zlib-ng, each by its own interface, over events of both sizes, text and binaries at three
 * levels, and over small members. Decoders that stream get 64 KB of input at a time and 256 KB of room;
 * "whole" is one call with everything. Everybody proves the checksum and finds the line ends of what comes
 * out, since that is what happens to it next.
 *
 * Each corpus is two streams that know nothing of each other: "two streams" are both at once, for the others
 * one follows the other. Contenders take turns, forth and back; times are thread CPU time, figures are
 * medians over rounds, and a ratio is the median of the rounds' ratios to ISA-L. Cycles (c/B) are those of
 * the time-stamp counter, which ticks at a constant rate: the core's own clock may be faster or slower.
 *
 *	inflate_bench [--json] [--out FOLDER] [--only PART] [--rounds N] [--sizes] [--quick]
 *
 * Prints tables, or with --json an object a line; --out also leaves inflate.json and inflate.md there. --only
 * takes the corpora with PART in their name. --sizes sweeps the sizes of the room's input and output instead
 * of comparing ("16, 256 KB": pieces of 16 KB into a window of 256; "fill": that is used until it is full,
 * not emptied after each call). --quick tells only whether it works.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum { STREAMS = 2, CALIBRATION_NS = 50000000, PATH_BYTES_MAX = 4096 };

static const int levels[] = { 1, 6, 9 };
enum { LEVELS = sizeof levels / sizeof *levels, LEVEL_MIDDLE = 6 };
static const size_t member_kilobytes[COLUMNS_MAX] = { 2, 16, 64, 256 };

struct options {
	size_t plain_bytes_max, members_bytes_max, rounds;
	const char *only, *out;
	int json, sizes;
};

struct bench {
	struct options options;
	struct rig *rig;
	double cycles_per_second; /* 0: there is no such counter */
	struct contender contenders[CONTENDERS_MAX];
	size_t contender_count;
	FILE *json, *markdown; /* of --out */
};

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double calibrate(void)
{
#if defined(__x86_64__)
	double start = seconds_of(CLOCK_MONOTONIC_RAW), seconds;
	unsigned long long ticks = __rdtsc();
	do
		seconds = seconds_of(CLOCK_MONOTONIC_RAW) - start;
	while (seconds < CALIBRATION_NS * 1e-9);
	return (double)(__rdtsc() - ticks) / seconds;
#else
	return 0;
#endif
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

static double run_timed(struct bench *bench, const struct contender *contender, const struct input *input)
{
	double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
	size_t newlines = contender->run(bench->rig, contender, input);
	double seconds = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
	if (newlines != input->newlines) {
		fprintf(stderr, "inflate_bench: %s: %zd line ends, wanted %zu\n", contender->name,
			(ssize_t)newlines, input->newlines);
		exit(1);
	}
	return seconds;
}

static void measure(struct bench *bench, const struct input *input, struct column *column)
{
	size_t count = bench->contender_count, rounds = bench->options.rounds;
	for (size_t i = 0; i < count; i++) /* caches and tables get warm */
		run_timed(bench, &bench->contenders[i], input);
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < count; i++) {
			struct contender *contender = &bench->contenders[round % 2 == 0 ? i : count - 1 - i];
			contender->seconds[round] = run_timed(bench, contender, input);
		}
	column->compression = (double)input->plain_bytes / (double)input->gzip_bytes;
	for (size_t i = 0; i < count; i++) {
		double seconds[ROUNDS_MAX], ratios[ROUNDS_MAX];
		for (size_t round = 0; round < rounds; round++) {
			seconds[round] = bench->contenders[i].seconds[round];
			ratios[round] = bench->contenders[0].seconds[round] / seconds[round];
		}
		double middle = median(seconds, rounds);
		column->figures[i] = (struct figures){
			.megabytes_per_second = (double)input->plain_bytes * 1e-6 / middle,
			.ratio = median(ratios, rounds),
			.cycles_per_byte = middle * bench->cycles_per_second / (double)input->plain_bytes,
		};
	}
}

static void table_begin(struct table *table, const struct bench *bench, const struct corpus *corpus,
			const char *kind)
{
	*table = (struct table){
		.checksum = (uint32_t)crc32(0, corpus->plain, (uInt)corpus->plain_bytes),
		.plain_bytes = corpus->plain_bytes,
		.rounds = bench->options.rounds,
		.contenders = bench->contenders,
		.contender_count = bench->contender_count,
	};
	snprintf(table->name, sizeof table->name, "%s%s", corpus->name, kind);
	memcpy(table->origin, corpus->origin, sizeof table->origin);
}

static void table_write(const struct bench *bench, const struct table *table)
{
	(bench->options.json ? table_json : table_text)(table, stdout);
	fflush(stdout);
	if (bench->json)
		table_json(table, bench->json);
	if (bench->markdown)
		table_markdown(table, bench->markdown);
}

static void compare_levels(struct bench *bench, const struct corpus *corpus)
{
	struct table table;
	table_begin(&table, bench, corpus, "");
	for (size_t i = 0; i < LEVELS; i++) {
		struct input input;
		struct column *column = &table.columns[table.column_count];
		if (bench->options.sizes && levels[i] != LEVEL_MIDDLE)
			continue;
		snprintf(column->name, sizeof column->name, "level %d", levels[i]);
		input_make(&input, corpus, (corpus->plain_bytes + STREAMS - 1) / STREAMS, levels[i]);
		measure(bench, &input, column);
		input_finish(&input);
		table.column_count++;
	}
	table_write(bench, &table);
}

static void compare_members(struct bench *bench, const struct corpus *corpus)
{
	struct table table;
	struct corpus beginning = *corpus;
	if (beginning.plain_bytes > bench->options.members_bytes_max)
		beginning.plain_bytes = bench->options.members_bytes_max;
	snprintf(beginning.origin, sizeof beginning.origin, "level %d, the beginning of the same",
		 LEVEL_MIDDLE);
	table_begin(&table, bench, &beginning, ", small members");
	for (size_t i = 0; i < COLUMNS_MAX; i++) {
		struct input input;
		struct column *column = &table.columns[table.column_count++];
		snprintf(column->name, sizeof column->name, "%zu KB", member_kilobytes[i]);
		input_make(&input, &beginning, member_kilobytes[i] << 10, LEVEL_MIDDLE);
		measure(bench, &input, column);
		input_finish(&input);
	}
	table_write(bench, &table);
}

static void compare_all(struct bench *bench)
{
	for (enum corpus_kind kind = CORPUS_EVENTS_FULL; kind < CORPUS_KINDS; kind++) {
		struct corpus corpus;
		corpus_make(&corpus, kind, bench->options.plain_bytes_max);
		if (corpus.plain_bytes == 0) {
			fprintf(stderr, "inflate_bench: left out, this host has none: %s\n", corpus.name);
		} else if (!bench->options.only || strstr(corpus.name, bench->options.only)) {
			compare_levels(bench, &corpus);
			if (kind == CORPUS_EVENTS_FULL && !bench->options.sizes)
				compare_members(bench, &corpus);
		}
		corpus_finish(&corpus);
	}
}

static void usage(const char *argument)
{
	fprintf(stderr,
		"inflate_bench: not understood: %s\n"
		"usage: inflate_bench [--json] [--out FOLDER] [--only PART] [--rounds N] [--sizes] "
		"[--quick]\n",
		argument);
	exit(2);
}

static void options_read(struct options *options, char **arguments)
{
	*options = (struct options){ .plain_bytes_max = 24 << 20, .members_bytes_max = 8 << 20, .rounds = 9 };
	for (; *arguments; arguments++) {
		const char *name = *arguments, *value = arguments[1];
		if (strcmp(name, "--quick") == 0) {
			options->plain_bytes_max = options->members_bytes_max = 512 << 10;
			options->rounds = 1;
			continue;
		} else if (strcmp(name, "--json") == 0) {
			options->json = 1;
			continue;
		} else if (strcmp(name, "--sizes") == 0) {
			options->sizes = 1;
			continue;
		}
		if (!value)
			usage(name);
		arguments++;
		if (strcmp(name, "--out") == 0)
			options->out = value;
		else if (strcmp(name, "--only") == 0)
			options->only = value;
		else if (strcmp(name, "--rounds") == 0) {
			char *end;
			errno = 0;
			options->rounds = strtoul(value, &end, 10);
			if (errno || *end || options->rounds < 1 || options->rounds > ROUNDS_MAX)
				usage(value);
		} else
			usage(name);
	}
}

static FILE *out_open(const char *folder, const char *name)
{
	char path[PATH_BYTES_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	if (!file) {
		fprintf(stderr, "inflate_bench: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return file;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	int failed = 0;
	options_read(&bench.options, argc > 0 ? argv + 1 : argv);
	if (bench.options.out) {
		bench.json = out_open(bench.options.out, "inflate.json");
		bench.markdown = out_open(bench.options.out, "inflate.md");
	}
	bench.rig = rig_open(bench.options.plain_bytes_max);
	bench.cycles_per_second = calibrate();
	size_t count = isal_list(bench.contenders, 0);
	if (bench.options.sizes) {
		count = ours_list_sizes(rig_engines(bench.rig), bench.contenders, count);
	} else {
		count = ours_list(rig_engines(bench.rig), bench.contenders, count);
		count = libraries_list(bench.contenders, count);
	}
	bench.contender_count = count;
	if (!bench.options.json)
		printf("Time-stamp counter: %.3f GHz.\n\n", bench.cycles_per_second * 1e-9);
	compare_all(&bench);
	rig_close(bench.rig);
	if (bench.json)
		failed |= fclose(bench.json) != 0;
	if (bench.markdown)
		failed |= fclose(bench.markdown) != 0;
	return failed;
}
