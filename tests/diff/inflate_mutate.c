/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged streams by the million: each of our engines must come to zlib's verdict and bytes on every one, at
 * any split of input and output, alone and with another stream in the same loop. libdeflate is a second
 * opinion on zlib. What differs all the same is in the head of inflate_diff.c.
 *
 *	inflate_mutate [--streams N] [--seed S] [--first I] [--kind K] [--engine E] [--out FOLDER]
 *
 * Streams come in pairs. A pair is made of the seed and its number alone, so a run goes on where another
 * ended with --first, and one pair is repeated with --first and --streams 2. The output is TAP: a test for
 * each kind of base.
 */
#include "inflate_mutate.h"

#include <signal.h>
#include <time.h>

enum {
	BASE_COUNT = 48,	/* of each kind, held in memory */
	EPOCH_STREAMS = 200000, /* then other bases are made */
	DISAGREED_MAX = 20,	/* so many are written to files; then it is no use to go on */
	PROGRESS_STREAMS = 100000,
	ALTERED_COUNT = 40, /* references, to see whether that is noticed */
};

static const struct {
	enum inflate_engine engine;
	enum likeness likeness;
	const char *name;
} engines[] = {
	{ INFLATE_ENGINE_OWN, LIKE_ZLIB, "own" },
	{ INFLATE_ENGINE_OWN_C, LIKE_ZLIB, "own-c" },
	{ INFLATE_ENGINE_ISAL, LIKE_ISAL, "isal" },
	{ INFLATE_ENGINE_LIBDEFLATE, LIKE_LIBDEFLATE, "libdeflate" },
};
enum { ENGINES = sizeof engines / sizeof *engines };

/* Of 16 streams, so many are of each kind: small ones are cheap, and the fast loops want long ones. */
static const unsigned shares[BASE_KINDS] = { 5, 1, 4, 0, 4, 2 };

struct options {
	uint64_t streams, seed, first;
	int kind;	     /* -1: all */
	unsigned engine_set; /* bits, as in engines[] */
	const char *folder;
};

struct run {
	struct options options;
	struct base bases[BASE_KINDS][BASE_COUNT];
	uint64_t epoch;
	struct references *references;
	struct driver *drivers[ENGINES];
	int driver_count;
	struct bytes gzip[2];
	struct reference reference[2];
	enum base_kind kind[2];
	uint64_t streams[BASE_KINDS], good[BASE_KINDS], gzip_bytes[BASE_KINDS], plain_bytes[BASE_KINDS];
	uint64_t disagreed[BASE_KINDS];
};

/* For the signal handler: where it is. */
static volatile uint64_t at_stream;
static struct run *running;

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * UINT64_C(0x9e3779b97f4a7c15) + b;
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) | 1;
}

static void write_stream(const struct run *run, int which)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/disagree-%llu-%llu-%d.gz", run->options.folder,
		 (unsigned long long)run->options.seed, (unsigned long long)at_stream, which);
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(run->gzip[which].base, 1, run->gzip[which].count, file) != run->gzip[which].count)
		printf("# cannot write %s\n", path);
	else
		printf("# %s: %s\n", path, base_kind_name(run->kind[which]));
	if (file)
		fclose(file);
}

static void say_how_to_repeat(const struct run *run)
{
	const char *kind = run->options.kind < 0 ? "all" : base_kind_name((enum base_kind)run->options.kind);
	printf("# repeat: inflate_mutate --kind %s --seed %llu --first %llu --streams 2\n", kind,
	       (unsigned long long)run->options.seed, (unsigned long long)at_stream);
	write_stream(run, 0);
	write_stream(run, 1);
	fflush(stdout);
}

/* A crash at an unmapped page, a failed check, or the end of somebody's patience. Not safe in general; the
 * process is lost anyway, and stdio is not what crashed. */
static void on_signal(int number)
{
	signal(number, SIG_DFL);
	printf("# signal %d\n", number);
	say_how_to_repeat(running);
	raise(number);
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGABRT, SIGTERM, SIGINT };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		signal(numbers[i], on_signal);
#ifndef __SANITIZE_ADDRESS__ /* which says more about these itself */
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGILL, on_signal);
	signal(SIGFPE, on_signal);
#endif
}

/* One by one: a base is made of the seed, the epoch and its place alone. */
static void make_bases(struct run *run, uint64_t epoch)
{
	run->epoch = epoch;
	for (int kind = 0; kind < BASE_KINDS; kind++)
		for (int i = 0; i < BASE_COUNT; i++) {
			uint64_t seed = mix(mix(run->options.seed, epoch), (uint64_t)(kind * BASE_COUNT + i));
			struct base *base = &run->bases[kind][i];
			if (run->options.kind >= 0 && run->options.kind != kind)
				continue;
			base_free(base);
			base_make(base, (enum base_kind)kind, &seed);
			references_run(run->references, &base->gzip, &run->reference[0]);
			if (run->reference[0].trailer_at)
				reference_mend(&base->gzip, &run->reference[0]);
		}
}

static enum base_kind draw_kind(const struct run *run, uint64_t *seed)
{
	if (run->options.kind >= 0)
		return (enum base_kind)run->options.kind;
	if (peer_random(seed) % 100 == 0)
		return BASE_LARGE;
	unsigned drawn = (unsigned)(peer_random(seed) % 16), kind = 0;
	while (drawn >= shares[kind])
		drawn -= shares[kind++];
	return (enum base_kind)kind;
}

/* A damaged stream and zlib's verdict on it. Most of those that only the checksum betrays get one that fits:
 * otherwise nothing behind the damage would ever have to be right. */
static void make_stream(struct run *run, int which, uint64_t *seed)
{
	struct bytes *gzip = &run->gzip[which];
	struct reference *reference = &run->reference[which];
	/* Two of a kind are in their fast parts at the same time. */
	enum base_kind kind = which && peer_random(seed) % 2 ? run->kind[0] : draw_kind(run, seed);
	const struct base *base = &run->bases[kind][peer_random(seed) % BASE_COUNT];
	run->kind[which] = kind;
	gzip->count = 0;
	bytes_append(gzip, base->gzip.base, base->gzip.count);
	damage(gzip, base, &run->bases[kind][peer_random(seed) % BASE_COUNT], seed);
	references_run(run->references, gzip, reference);
	if (reference->trailer_at && !reference->too_long && peer_random(seed) % 4)
		reference_mend(gzip, reference);
	run->streams[kind]++;
	run->good[kind] += (uint64_t)reference->good;
	run->gzip_bytes[kind] += gzip->count;
	run->plain_bytes[kind] += reference->count;
}

static void disagree(struct run *run, int which, const char *complaint)
{
	run->disagreed[run->kind[which]]++;
	printf("# stream %llu: %s\n", (unsigned long long)at_stream, complaint);
	say_how_to_repeat(run);
}

static uint64_t disagreed_count(const struct run *run)
{
	uint64_t count = 0;
	for (int kind = 0; kind < BASE_KINDS; kind++)
		count += run->disagreed[kind];
	return count;
}

static void run_pair(struct run *run, uint64_t *seed)
{
	for (int i = 0; i < 2; i++) {
		make_stream(run, i, seed);
		if (!references_agree(run->references, &run->gzip[i], &run->reference[i]))
			disagree(run, i, "libdeflate disagrees with zlib");
	}
	for (int i = 0; i < run->driver_count; i++) {
		uint64_t engine_seed = *seed; /* the same pieces for each */
		int which = 0;
		const char *complaint =
			driver_run(run->drivers[i], run->gzip, run->reference, &engine_seed, &which);
		if (complaint)
			disagree(run, which, complaint);
	}
}

/* Proves that a disagreement is seen: with a byte or the verdict of the reference changed there must be one.
 */
static int notices_what_is_wrong(struct run *run)
{
	int noticed = 0, wanted = 0;
	uint64_t seed = mix(run->options.seed, 7);
	for (int tries = 0; tries < 1000 && wanted < ALTERED_COUNT; tries++) {
		make_stream(run, 0, &seed);
		make_stream(run, 1, &seed);
		struct reference *reference = &run->reference[tries & 1];
		if (reference->too_long || (tries & 2 && (reference->count == 0 || !reference->good)))
			continue;
		if (tries & 2)
			reference->plain[peer_random(&seed) % reference->count] ^= 1;
		else
			reference->good ^= 1;
		/* What some may accept is no proof. */
		if (reference_is_too_strict(reference))
			continue;
		for (int i = 0, which; i < run->driver_count; i++, wanted++)
			noticed +=
				driver_run(run->drivers[i], run->gzip, run->reference, &seed, &which) != NULL;
	}
	memset(run->streams, 0, sizeof run->streams);
	memset(run->good, 0, sizeof run->good);
	memset(run->gzip_bytes, 0, sizeof run->gzip_bytes);
	memset(run->plain_bytes, 0, sizeof run->plain_bytes);
	printf("# %d of %d altered references noticed\n", noticed, wanted);
	return wanted >= ALTERED_COUNT && noticed == wanted;
}

static void say_progress(const struct run *run, uint64_t done)
{
	printf("# %llu streams, to %llu: %llu disagreed, %.1f s of CPU\n", (unsigned long long)done,
	       (unsigned long long)(run->options.first + done), (unsigned long long)disagreed_count(run),
	       (double)clock() / CLOCKS_PER_SEC);
	fflush(stdout);
}

static void run_all(struct run *run)
{
	uint64_t end = run->options.first + run->options.streams;
	for (uint64_t at = run->options.first & ~UINT64_C(1); at < end; at += 2) {
		uint64_t seed = mix(mix(run->options.seed, UINT64_C(1) << 40), at), done;
		at_stream = at;
		if (at / EPOCH_STREAMS != run->epoch)
			make_bases(run, at / EPOCH_STREAMS);
		run_pair(run, &seed);
		if (disagreed_count(run) >= DISAGREED_MAX)
			return;
		done = at + 2 - run->options.first;
		if (done % PROGRESS_STREAMS == 0)
			say_progress(run, done);
	}
}

static int report(struct run *run, int noticed)
{
	int number = 1, failed = !noticed;
	printf("%sok 1 - an altered reference is noticed\n", noticed ? "" : "not ");
	for (int kind = 0; kind < BASE_KINDS; kind++) {
		failed |= run->disagreed[kind] != 0;
		printf("%sok %d - %s: %llu streams, %llu good, %.1f MB, %.1f MB plain, %llu disagreed\n",
		       run->disagreed[kind] ? "not " : "", ++number, base_kind_name((enum base_kind)kind),
		       (unsigned long long)run->streams[kind], (unsigned long long)run->good[kind],
		       (double)run->gzip_bytes[kind] / 1e6, (double)run->plain_bytes[kind] / 1e6,
		       (unsigned long long)run->disagreed[kind]);
	}
	for (int i = 0; i < run->driver_count; i++) {
		const struct driver_count *count = driver_count(run->drivers[i]);
		printf("# engine %s: %llu streams (%llu pairs), %.1f MB plain (%.1f in a loop for two), %llu "
		       "calls, %llu "
		       "good, "
		       "%llu too long; refused like zlib with another fault %llu, good where zlib refused a "
		       "code "
		       "%llu; missing before damage at most %zu bytes\n",
		       driver_name(run->drivers[i]), (unsigned long long)count->streams,
		       (unsigned long long)count->pairs, (double)count->plain_bytes / 1e6,
		       (double)count->paired_bytes / 1e6, (unsigned long long)count->pushes,
		       (unsigned long long)count->good, (unsigned long long)count->too_long,
		       (unsigned long long)count->other_reason, (unsigned long long)count->only_ours,
		       count->missing_bytes_max);
	}
	return failed;
}

static int usage(void)
{
	fprintf(stderr, "usage: inflate_mutate [--streams N] [--seed S] [--first I] [--kind K] [--engine E]\n"
			"       [--out FOLDER]\nkinds: all");
	for (int kind = 0; kind < BASE_KINDS; kind++)
		fprintf(stderr, ", %s", base_kind_name((enum base_kind)kind));
	fprintf(stderr, "\nengines: all");
	for (int i = 0; i < ENGINES; i++)
		fprintf(stderr, ", %s", engines[i].name);
	fprintf(stderr, "\n");
	return 2;
}

/* These return 0 when there is no such thing. */
static int read_kind(struct options *options, const char *name)
{
	options->kind = BASE_KINDS - 1;
	while (options->kind >= 0 && strcmp(name, base_kind_name((enum base_kind)options->kind)) != 0)
		options->kind--;
	return options->kind >= 0 || strcmp(name, "all") == 0;
}

static int read_engine(struct options *options, const char *name)
{
	options->engine_set = 0;
	for (int i = 0; i < ENGINES; i++)
		if (strcmp(name, engines[i].name) == 0 || strcmp(name, "all") == 0)
			options->engine_set |= 1u << i;
	return options->engine_set != 0;
}

static int read_number(uint64_t *ret_number, const char *text)
{
	char *end;
	*ret_number = strtoull(text, &end, 10);
	return *text && !*end;
}

/* Returns 0 when they make no sense. */
static int read_options(struct options *options, int argc, char **argv)
{
	int good = 1;
	for (int i = 1; i + 1 < argc && good; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];
		if (strcmp(name, "--streams") == 0)
			good = read_number(&options->streams, value);
		else if (strcmp(name, "--seed") == 0)
			good = read_number(&options->seed, value);
		else if (strcmp(name, "--first") == 0)
			good = read_number(&options->first, value);
		else if (strcmp(name, "--kind") == 0)
			good = read_kind(options, value);
		else if (strcmp(name, "--engine") == 0)
			good = read_engine(options, value);
		else if (strcmp(name, "--out") == 0)
			options->folder = value;
		else
			good = 0;
	}
	return good && argc % 2 == 1;
}

int main(int argc, char **argv)
{
	static struct run run = { .options = { 20000, 1, 0, -1, (1u << ENGINES) - 1, "." } };
	if (!read_options(&run.options, argc, argv))
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	running = &run;
	run.references = references_open();
	for (int i = 0; i < 2; i++)
		run.reference[i].plain = malloc(REFERENCE_BYTES_MAX);
	for (int i = 0; i < ENGINES; i++)
		if (run.options.engine_set >> i & 1)
			run.drivers[run.driver_count++] = driver_open(engines[i].engine, engines[i].likeness);
	catch_signals();
	printf("1..%d\n", 1 + BASE_KINDS);
	make_bases(&run, run.options.first / EPOCH_STREAMS);
	int noticed = notices_what_is_wrong(&run);
	run_all(&run);
	int failed = report(&run, noticed);
	for (int i = 0; i < run.driver_count; i++)
		driver_close(run.drivers[i]);
	for (int kind = 0; kind < BASE_KINDS; kind++)
		for (int i = 0; i < BASE_COUNT; i++)
			base_free(&run.bases[kind][i]);
	for (int i = 0; i < 2; i++) {
		free(run.reference[i].plain);
		bytes_free(&run.gzip[i]);
	}
	references_close(run.references);
	return failed;
}
