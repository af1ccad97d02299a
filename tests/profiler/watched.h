/* SPDX-License-Identifier: Apache-2.0
 *
 * A child with a stage slot that is profiled until there are enough samples. The slot is the real one: memory
 * of the eBPF programs, mapped by the child. Include it in one file of a test.
 */
#ifndef TESTS_PROFILER_WATCHED_H
#define TESTS_PROFILER_WATCHED_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pprof/pprof.h"
#include "profiler/profiler.h"
#include "test.h"

enum { WATCHED_SLOT = 3, WATCHED_POLLS_MAX = 600 };

struct watched {
	struct profiler *profiler;
	struct profiler_summary summary;
	struct pprof *profile; /* of CPU samples */
};

/* What the child does, in its slot, until it is killed. */
typedef void watched_child(struct stage_slot *slot, void *argument);

static void watched_start(watched_child *child, void *argument, int stage_fd, int go_fd)
{
	char byte;
	struct stage_slot *slots = mmap(NULL, sizeof *slots * PROFILER_STAGE_SLOTS_MAX,
					PROT_READ | PROT_WRITE, MAP_SHARED, stage_fd, 0);
	if (slots != MAP_FAILED && read(go_fd, &byte, 1) == 1)
		child(&slots[WATCHED_SLOT], argument);
	_exit(1);
}

static void watched_write(struct watched *watched)
{
	char error[PROFILER_ERROR_BYTES_MAX];
	char path[] = "/tmp/watched_test.XXXXXX";
	int fd = mkstemp(path);
	GE(fd, 0);
	close(fd);
	if (profiler_write_cpu(watched->profiler, path, error) < 0)
		test_leave(1, "%s", error);
	watched->profile = pprof_read(path, error);
	if (getenv("KEEP_PROFILES"))
		printf("# %s\n", path);
	else
		unlink(path);
	if (!watched->profile)
		test_leave(1, "%s", error);
}

/* `told`: what the profiler is told of the interpreter in the child; NULL: nothing. */
static void watched_run(struct watched *watched, watched_child *child, void *argument, const char *told,
			unsigned samples_wanted)
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
	pid_t pid = fork();
	if (pid == 0)
		watched_start(child, argument, profiler_stage_fd(watched->profiler), go[0]);
	EQ(profiler_stage_assign(watched->profiler, pid, WATCHED_SLOT), 0);
	if (profiler_attach(watched->profiler, pid, 0, error) < 0)
		test_leave(1, "%s", error);
	if (told && profiler_interpreter(watched->profiler, told, strlen(told), error) < 0)
		test_leave(1, "%s", error);
	profiler_window(watched->profiler, 1);
	EQ(write(go[1], "x", 1), 1);
	for (int i = 0; i < WATCHED_POLLS_MAX && watched->summary.cpu_samples < samples_wanted; i++) {
		profiler_poll(watched->profiler, 100);
		profiler_summary(watched->profiler, &watched->summary);
	}
	profiler_window(watched->profiler, 0);
	profiler_detach(watched->profiler);
	profiler_summary(watched->profiler, &watched->summary);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go[0]);
	close(go[1]);
	watched_write(watched);
	GE(watched->summary.cpu_samples, samples_wanted / 2); /* a slow machine gives fewer in that time */
}

static void watched_forget(struct watched *watched)
{
	pprof_destroy(watched->profile);
	profiler_destroy(watched->profiler);
}

#endif
