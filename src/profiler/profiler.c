/* SPDX-License-Identifier: Apache-2.0 */
#include "profiler/profiler.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/check.h"
#include "base/clock.h"
#include "profiler/internal.h"

static_assert(PROFILER_STAGE_SLOTS_MAX == STAGE_SLOTS_MAX, "one slot per worker on both sides");
static_assert(STAGE_INTERPRETERS_MAX == INTERPRETER_DEPTH_MAX, "the slot is the same on both sides");
static_assert(sizeof(((struct profiler_summary *)0)->stops) / 8 >= UNWIND_STOP_COUNT, "a counter per reason");

void profiler_say(struct profiler *profiler, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	if (!profiler->options.notice)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	profiler->options.notice(profiler->options.notice_owner, text);
}

/* Each object stays open, each thread has two events, each probe one. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

struct profiler *profiler_create(const struct profiler_options *options,
				 char error[static PROFILER_ERROR_BYTES_MAX])
{
	CHECK_NE(options->hz, 0u);
	if (rights_check(error) < 0)
		return NULL;
	struct profiler *profiler = calloc(1, sizeof *profiler);
	if (!profiler) {
		profiler_error(error, "no memory for the profiler");
		return NULL;
	}
	raise_descriptor_limit();
	profiler->options = *options;
	profiler->stats_fd = -1;
	profiler->memory = memory_create();
	profiler->objects = objects_create();
	profiler->names = names_create();
	if (!profiler->objects || !profiler->names) {
		profiler_error(error, "no memory for the profiler");
		profiler_destroy(profiler);
		return NULL;
	}
	if (load_programs(profiler, error) < 0) {
		profiler_destroy(profiler);
		return NULL;
	}
	profiler->control->follow_children = (uint32_t)options->follow_children;
	profiler->control->heap_rate_bytes = options->heap_rate_bytes;
	profiler->control->fault_period = 1;
	profiler->control->memory_on = 1;
	profiler->control->off_cpu_rate_ns = PROFILER_OFF_CPU_RATE_NS;
	return profiler;
}

void profiler_destroy(struct profiler *profiler)
{
	if (!profiler)
		return;
	if (profiler->ring) /* opened last: else there is nothing to detach, and no table to write to */
		profiler_detach(profiler);
	links_release_end(profiler);
	unload_programs(profiler);
	samples_finish(&profiler->samples);
	memory_destroy(profiler->memory);
	for (size_t i = 0; i < PROFILER_SNAPSHOTS_MAX; i++) {
		free(profiler->snapshots[i].sites);
		free(profiler->snapshots[i].memory);
	}
	mapping_sets_finish(&profiler->sets);
	free(profiler->forgets);
	for (size_t i = 0; i < profiler->process_count; i++)
		free(profiler->processes[i].probed);
	free(profiler->processes);
	names_destroy(profiler->names);
	objects_destroy(profiler->objects);
	free(profiler);
}

int profiler_stage_fd(const struct profiler *profiler)
{
	return map_fd_of(profiler, "stage_slots");
}

int profiler_stage_assign(struct profiler *profiler, pid_t tid, unsigned slot_index)
{
	uint32_t key = (uint32_t)tid;
	CHECK_LT(slot_index, (unsigned)PROFILER_STAGE_SLOTS_MAX);
	return bpf_map_update_elem(map_fd_of(profiler, "stage_tids"), &key, &slot_index, BPF_ANY);
}

void profiler_stage_release(struct profiler *profiler, pid_t tid)
{
	uint32_t key = (uint32_t)tid;
	bpf_map_delete_elem(map_fd_of(profiler, "stage_tids"), &key);
}

int profiler_interpreter(struct profiler *profiler, const char *text, size_t bytes,
			 char error[static PROFILER_ERROR_BYTES_MAX])
{
	if (names_read_lua(profiler->names, text, bytes, error, PROFILER_ERROR_BYTES_MAX) < 0)
		return -1;
	struct interpreter_layout *shown = &profiler->control->interpreter;
	if (!shown->is_known) { /* the programs look at the others when this is set */
		*shown = *names_lua_layout(profiler->names);
		shown->is_known = 0;
		__atomic_store_n(&shown->is_known, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

/* Newer kernels show the mappings of every process to CAP_PERFMON, but not the files that are mapped: there
 * would be neither stacks nor an allocator. (A command that is starting opens up with its exec.) */
static int process_is_closed(pid_t pid)
{
	char path[64];
	char target[8]; /* as much of it as fits: only whether we may is asked */
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	return readlink(path, target, sizeof target) < 0 && (errno == EACCES || errno == EPERM);
}

int profiler_attach(struct profiler *profiler, pid_t pid, int starting,
		    char error[static PROFILER_ERROR_BYTES_MAX])
{
	uint32_t key = (uint32_t)pid;
	uint32_t yes = 1;
	struct process *process = process_add(profiler, pid);
	profiler->main_pid = pid;
	profiler->attach_ns = clock_monotonic_ns();
	profiler->attach_unix_ns = clock_unix_ns();
	int code = !starting && process_is_closed(pid) ? -EACCES : process_read_mappings(profiler, process);
	if (code == -EACCES || code == -EPERM)
		return rights_refused(pid, error);
	if (code < 0)
		return profiler_error(error, "pid %d has ended, or is not a process of user space", (int)pid);
	if (bpf_map_update_elem(map_fd_of(profiler, "targets"), &key, &yes, BPF_ANY) < 0)
		return rights_explain("the target cannot be named to the programs", errno, error);
	if (events_open(profiler, pid, error) < 0)
		return -1;
	if (starting) {
		allocators_probe_starting(profiler, process);
		profiler->control->stop_tgid = key;
	} else
		allocators_probe(profiler, process);
	if (attach_tracepoints(profiler, error) < 0)
		return -1;
	if (!starting && profiler->options.heap_rate_bytes && !profiler->heap_was_tracked)
		profiler_say(profiler,
			     "no allocator that can be probed is mapped in pid %d: the heap is not "
			     "tracked unless one is loaded",
			     (int)pid);
	/* Now that every probe is in its place: what is seen to begin is seen to end. */
	profiler->control->heap_on = profiler->options.heap_rate_bytes != 0;
	profiler->budget_at_ns = profiler->attach_ns;
	return 0;
}

void profiler_window(struct profiler *profiler, int open)
{
	if (open == (profiler->window_open_ns != 0))
		return;
	if (open) {
		attach_window(profiler, 1);
		profiler->window_open_ns = clock_monotonic_ns();
		if (!profiler->window_start_unix_ns)
			profiler->window_start_unix_ns = clock_unix_ns();
		events_enable_cpu(profiler, 1);
		return;
	}
	events_enable_cpu(profiler, 0);
	profiler->window_ns += clock_monotonic_ns() - profiler->window_open_ns;
	profiler->window_open_ns = 0;
	attach_window(profiler, 0);
	ring_buffer__consume(profiler->ring);
}

void profiler_poll(struct profiler *profiler, int timeout_ms)
{
	struct pollfd ready = { .fd = profiler->epoll_fd, .events = POLLIN };
	if (timeout_ms)
		poll(&ready, 1, timeout_ms);
	/* Most records come without a wake-up. */
	ring_buffer__consume(profiler->ring);
	int64_t now_ns = clock_monotonic_ns();
	allocators_watch_budget(profiler, now_ns);
	events_pace_faults(profiler, now_ns);
	processes_read_due(profiler);
	processes_forget_mappings(profiler);
	links_reap(profiler);
	if (profiler->forget_count && now_ns - profiler->forgot_at_ns > NS_PER_SECOND)
		heap_forget_now(profiler);
}

int profiler_fd(const struct profiler *profiler)
{
	return profiler->epoll_fd;
}

int profiler_heap_snapshot(struct profiler *profiler)
{
	if (profiler->snapshot_count == PROFILER_SNAPSHOTS_MAX)
		return -1;
	ring_buffer__consume(profiler->ring);
	int code = heap_take_snapshot(profiler, &profiler->snapshots[profiler->snapshot_count]);
	if (code < 0) {
		profiler_say(profiler, "the heap's state cannot be read: %s", strerror(-code));
		return -1;
	}
	return (int)profiler->snapshot_count++;
}

/* What the profiles do not show. */
static void say_unseen(struct profiler *profiler)
{
	uint64_t unsampled_ns = counter_read(profiler, COUNTER_UNSAMPLED_NS);
	if (unsampled_ns > NS_PER_SECOND / 10 && 20 * unsampled_ns > profiler->cpu_ns)
		profiler_say(
			profiler,
			"threads that ran for less than %.1f ms each used %.2f s of CPU, which no sample "
			"shows (the others: %.2f s); where children are followed (-follow) they are seen",
			1e3 / profiler->options.hz, (double)unsampled_ns / 1e9,
			(double)profiler->cpu_ns / 1e9);
}

void profiler_detach(struct profiler *profiler)
{
	if (profiler->detached)
		return;
	profiler_window(profiler, 0);
	profiler->detached = 1;
	profiler->detach_ns = clock_monotonic_ns();
	events_count_faults(profiler);
	uint32_t key = (uint32_t)profiler->main_pid;
	pid_t stopped = (pid_t)profiler->control->stop_tgid;
	profiler->control->heap_on = profiler->control->memory_on = profiler->control->stop_tgid = 0;
	if (stopped && process_find(profiler, stopped))
		kill(stopped, SIGCONT); /* the last piece of news may not have been read */
	bpf_map_delete_elem(map_fd_of(profiler, "targets"), &key);
	ring_buffer__consume(profiler->ring);
	say_unseen(profiler);
	events_close(profiler);
	links_release_begin(profiler);
	for (size_t i = 0; i < profiler->process_count; i++)
		if (!profiler->processes[i].exited && profiler->processes[i].has_jit)
			names_read_jit(profiler->names, profiler->processes[i].pid);
	load_account(profiler);
}
