/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages in a profile: a child that splits its CPU 2:1 between two functions, each in a stage of its own, and
 * sleeps in a third. The slot is the real one: memory of the eBPF programs, mapped by the child.
 */
#define _GNU_SOURCE
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "pprof/pprof.h"
#include "profiler/profiler.h"
#include "test.h"

enum { SAMPLES_WANTED = 2000, SLOT = 3, ROUNDS_PER_SLEEP = 40, POLLS_MAX = 400 };

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

static void child(int stage_fd, int go_fd)
{
	char byte;
	struct stage_slot *slots = mmap(NULL, sizeof *slots * PROFILER_STAGE_SLOTS_MAX,
					PROT_READ | PROT_WRITE, MAP_SHARED, stage_fd, 0);
	if (slots == MAP_FAILED || read(go_fd, &byte, 1) != 1)
		_exit(1);
	struct stage_slot *slot = &slots[SLOT];
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

struct watched {
	struct profiler *profiler;
	pid_t pid;
	struct profiler_summary summary;
};

static void watch(struct watched *watched)
{
	char error[PROFILER_ERROR_BYTES_MAX];
	int go[2];
	struct profiler_options options = { .hz = 997, .heap_rate_bytes = 0 };
	watched->profiler = profiler_create(&options, error);
	if (!watched->profiler && strncmp(error, "profiling needs", 15) == 0)
		SKIP("%s", error); /* rights */
	if (!watched->profiler)
		test_leave(1, "%s", error);
	EQ(pipe(go), 0);
	watched->pid = fork();
	if (watched->pid == 0)
		child(profiler_stage_fd(watched->profiler), go[0]);
	EQ(profiler_stage_assign(watched->profiler, watched->pid, SLOT), 0);
	if (profiler_attach(watched->profiler, watched->pid, 0, error) < 0)
		test_leave(1, "%s", error);
	profiler_window(watched->profiler, 1);
	EQ(write(go[1], "x", 1), 1);
	for (int i = 0; i < POLLS_MAX && watched->summary.cpu_samples < SAMPLES_WANTED; i++) {
		profiler_poll(watched->profiler, 100);
		profiler_summary(watched->profiler, &watched->summary);
	}
	profiler_window(watched->profiler, 0);
	profiler_detach(watched->profiler);
	profiler_summary(watched->profiler, &watched->summary);
	kill(watched->pid, SIGKILL);
	waitpid(watched->pid, NULL, 0);
	close(go[0]);
	close(go[1]);
}

static void cpu_time_is_split_as_it_was_spent(void)
{
	struct watched watched = { 0 };
	watch(&watched);
	const struct profiler_stage_time *stages = watched.summary.stages;
	double inflate_ns = (double)stages[STAGE_INFLATE].cpu_ns;
	double scan_ns = (double)stages[STAGE_SCAN].cpu_ns;
	double samples = (double)watched.summary.cpu_samples;
	GE(watched.summary.cpu_samples, SAMPLES_WANTED / 2); /* a slow machine gives fewer in that time */
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
	profiler_destroy(watched.profiler);
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
	char error[PROFILER_ERROR_BYTES_MAX];
	char path[] = "/tmp/stages_test.XXXXXX";
	watch(&watched);
	int fd = mkstemp(path);
	GE(fd, 0);
	close(fd);
	if (profiler_write_cpu(watched.profiler, path, error) < 0)
		test_leave(1, "%s", error);
	struct pprof *profile = pprof_read(path, error);
	unlink(path);
	if (!profile)
		test_leave(1, "%s", error);
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
	pprof_destroy(profile);
	profiler_destroy(watched.profiler);
}

TEST_MAIN(T(cpu_time_is_split_as_it_was_spent), T(labels_agree_with_functions))
