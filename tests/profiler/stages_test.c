/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages in a profile: a child that splits its CPU 2:1 between two functions, each in a stage of its own, and
 * sleeps in a third.
 */
#define _GNU_SOURCE
#include <math.h>
#include <time.h>

#include "watched.h"

enum { SAMPLES_WANTED = 2000, ROUNDS_PER_SLEEP = 40 };

static volatile unsigned sink;

__attribute__((noinline)) static void work(unsigned units)
{
	for (unsigned i = 0; i < units * 1000; i++)
		sink = sink * 1664525u + 1013904223u;
}

__attribute__((noinline)) static void two_thirds(void)
{
	work(200);
	sink++;
}

__attribute__((noinline)) static void one_third(void)
{
	work(100);
	sink++;
}

static void child(struct stage_slot *slot, void *argument)
{
	(void)argument;
	for (unsigned round = 0;; round++) {
		stage_enter(slot, STAGE_INFLATE);
		two_thirds();
		stage_enter(slot, STAGE_SCAN);
		one_third();
		if (round % ROUNDS_PER_SLEEP)
			continue;
		struct timespec pause = { .tv_nsec = 5000000 };
		stage_enter(slot, STAGE_SINK);
		nanosleep(&pause, NULL);
	}
}

static void cpu_time_is_split_as_it_was_spent(void)
{
	struct watched watched = { 0 };
	watched_run(&watched, child, NULL, NULL, SAMPLES_WANTED);
	const struct profiler_stage_time *stages = watched.summary.stages;
	double inflate_ns = (double)stages[STAGE_INFLATE].cpu_ns;
	double scan_ns = (double)stages[STAGE_SCAN].cpu_ns;
	double samples = (double)watched.summary.cpu_samples;
	double share = inflate_ns / (inflate_ns + scan_ns);
	double deviation = sqrt(2.0 / 9 / samples);
	printf("# inflate's share %.4f of %.0f samples, wanted 0.6667 +- %.4f\n", share, samples,
	       4 * deviation);
	LE(fabs(share - 2.0 / 3) * 1e6, 4 * deviation * 1e6);
	/* Next to nothing runs elsewhere: the start, and going to sleep. */
	LE(stages[STAGE_COUNT].cpu_ns + stages[STAGE_SINK].cpu_ns, watched.summary.cpu_ns / 20);
	/* It sleeps in the third stage only. */
	GT(stages[STAGE_SINK].blocked_ns, 0);
	EQ(stages[STAGE_INFLATE].blocked_ns + stages[STAGE_SCAN].blocked_ns, 0);
	watched_forget(&watched);
}

static int sample_has(const struct pprof *profile, const struct pprof_sample *sample, const char *name)
{
	for (uint32_t i = 0; i < sample->locations_count; i++) {
		uint32_t id = profile->location_ids[sample->locations_first + i];
		const struct pprof_location *location = &profile->locations[id - 1];
		for (uint32_t k = 0; k < location->lines_count; k++) {
			uint32_t function = profile->lines[location->lines_first + k].function_id;
			if (strcmp(pprof_text(profile, profile->functions[function - 1].name), name) == 0)
				return 1;
		}
	}
	return 0;
}

/* The slot is stored just before the function is called: of a thousand samples one or two fall between. */
static void labels_agree_with_functions(void)
{
	struct watched watched = { 0 };
	watched_run(&watched, child, NULL, NULL, SAMPLES_WANTED);
	const struct pprof *profile = watched.profile;
	int64_t agree = 0;
	int64_t all = 0;
	int samples = pprof_value_index(profile, "samples");
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct pprof_sample *sample = &profile->samples[i];
		const char *stage = pprof_label_text(profile, sample, "stage");
		int first = sample_has(profile, sample, "two_thirds");
		if (!first && !sample_has(profile, sample, "one_third"))
			continue;
		all += sample->values[samples];
		if (stage && strcmp(stage, first ? "inflate" : "scan") == 0)
			agree += sample->values[samples];
	}
	printf("# %lld of %lld samples agree\n", (long long)agree, (long long)all);
	GE(all, SAMPLES_WANTED / 2);
	GE(agree * 1000, all * 995);
	watched_forget(&watched);
}

TEST_MAIN(T(cpu_time_is_split_as_it_was_spent), T(labels_agree_with_functions))
