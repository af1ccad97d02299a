/* SPDX-License-Identifier: Apache-2.0
 *
 * Perf events: the clock (or hardware cycles) that takes CPU samples, and page faults. Of the target's own
 * tasks, one of each per thread that is there now; the kernel makes those of later threads (and children)
 * from them.
 *
 * An event that the kernel makes for a new task begins with a whole period: a thread that runs for less than
 * that is never sampled, and of a build, a shell script or a server with a thread per request nothing would
 * be seen; a program with another user's rights (setuid) even loses its events. So where children are
 * followed the clock is each CPU's own, and the program asks who runs (0.1 % of a CPU at 99 Hz).
 */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/clock.h"
#include "profiler/internal.h"

static int event_open(struct perf_event_attr *attributes, pid_t tid, const struct profiler *profiler)
{
	attributes->size = sizeof *attributes;
	attributes->inherit = 1;
	attributes->inherit_thread = !profiler->options.follow_children;
	attributes->disabled = 1;
	return (int)syscall(SYS_perf_event_open, attributes, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t period_ns(const struct profiler *profiler)
{
	return 1000000000u / profiler->options.hz;
}

static int event_open_cycles(const struct profiler *profiler, pid_t tid)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_HARDWARE,
					      .config = PERF_COUNT_HW_CPU_CYCLES,
					      .freq = 1,
					      .sample_freq = profiler->options.hz };
	return event_open(&attributes, tid, profiler);
}

static int event_open_clock(const struct profiler *profiler, pid_t tid)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_SOFTWARE,
					      .config = PERF_COUNT_SW_CPU_CLOCK,
					      .sample_period = period_ns(profiler) };
	return event_open(&attributes, tid, profiler);
}

/* The first thread decides for all: cycles where there is a counter, else the clock. */
static int event_open_cpu(struct profiler *profiler, pid_t tid)
{
	int fd = -1;
	if (profiler->cpu_event_name == NULL || strcmp(profiler->cpu_event_name, "cycles") == 0)
		fd = event_open_cycles(profiler, tid);
	if (fd >= 0) {
		profiler->cpu_event_name = "cycles";
		return fd;
	}
	if (profiler->cpu_event_name && strcmp(profiler->cpu_event_name, "cycles") == 0)
		return fd;
	fd = event_open_clock(profiler, tid);
	if (fd >= 0) {
		profiler->cpu_event_name = "cpu-clock";
		profiler->control->cpu_period_ns = period_ns(profiler);
	}
	return fd;
}

static int event_open_faults(struct profiler *profiler, pid_t tid)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_SOFTWARE,
					      .config = PERF_COUNT_SW_PAGE_FAULTS,
					      .sample_period = 1 };
	return event_open(&attributes, tid, profiler);
}

static int event_attach(struct profiler *profiler, int fd, const char *program_name)
{
	struct bpf_link *link = bpf_program__attach_perf_event(program_named(profiler, program_name), fd);
	if (!link) {
		int code = -errno;
		close(fd);
		return code;
	}
	links_keep(&profiler->links, link, -1, 0);
	return 0;
}

static int cpu_event_keep(struct profiler *profiler, int fd)
{
	int code = event_attach(profiler, fd, "on_cpu");
	if (code < 0)
		return code;
	ioctl(fd, PERF_EVENT_IOC_DISABLE, 0); /* attaching has enabled it; the window does */
	profiler->cpu_events = room_for(profiler->cpu_events, &profiler->cpu_events_max,
					profiler->cpu_event_count, 1, sizeof *profiler->cpu_events);
	profiler->cpu_events[profiler->cpu_event_count++] = fd;
	return 0;
}

/* The clock of each CPU that is there. */
static int clocks_open(struct profiler *profiler)
{
	int cpus = libbpf_num_possible_cpus();
	int code = cpus < 0 ? cpus : 0;
	for (int cpu = 0; !code && cpu < cpus; cpu++) {
		struct perf_event_attr attributes = { .type = PERF_TYPE_SOFTWARE,
						      .size = sizeof attributes,
						      .config = PERF_COUNT_SW_CPU_CLOCK,
						      .sample_period = period_ns(profiler),
						      .disabled = 1 };
		int fd = (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
		if (fd < 0 && errno == ENODEV) /* it is offline */
			continue;
		code = fd < 0 ? -errno : cpu_event_keep(profiler, fd);
	}
	profiler->cpu_event_name = "cpu-clock";
	profiler->control->cpu_period_ns = period_ns(profiler);
	return code;
}

static int thread_open(struct profiler *profiler, pid_t tid)
{
	if (!profiler->options.follow_children) {
		int cpu_fd = event_open_cpu(profiler, tid);
		if (cpu_fd < 0)
			return -errno;
		int code = cpu_event_keep(profiler, cpu_fd);
		if (code < 0)
			return code;
		profiler->control->first_sample_ns = period_ns(profiler);
	}
	int fault_fd = event_open_faults(profiler, tid);
	if (fault_fd < 0)
		return -errno;
	profiler->fault_events = room_for(profiler->fault_events, &profiler->fault_events_max,
					  profiler->fault_event_count, 1, sizeof *profiler->fault_events);
	profiler->fault_events[profiler->fault_event_count++] = fault_fd;
	return event_attach(profiler, fault_fd, "on_fault");
}

/* Threads that start while this looks are made by threads that have their events already, or are found in
 * the next round. */
static int threads_open(struct profiler *profiler, pid_t pid)
{
	char path[64];
	pid_t *known = NULL;
	size_t known_count = 0;
	size_t known_max = 0;
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *folder = opendir(path);
	if (!folder)
		return -errno;
	int code = 0;
	struct dirent *entry;
	while (!code && (entry = readdir(folder))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		size_t i = 0;
		while (i < known_count && known[i] != tid)
			i++;
		if (tid <= 0 || i < known_count)
			continue;
		known = room_for(known, &known_max, known_count, 1, sizeof *known);
		known[known_count++] = tid;
		code = thread_open(profiler, tid);
		if (code == -ESRCH)
			code = 0; /* it has ended meanwhile */
	}
	closedir(folder);
	free(known);
	return code ? code : profiler->fault_event_count ? 0 : -ESRCH;
}

int events_open(struct profiler *profiler, pid_t pid, char error[static PROFILER_ERROR_BYTES_MAX])
{
	int code = threads_open(profiler, pid);
	if (!code && profiler->options.follow_children)
		code = clocks_open(profiler);
	if (code == -ESRCH || code == -ENOENT)
		return profiler_error(error, "pid %d has ended, or is not a process", (int)pid);
	if (code == -EACCES || code == -EPERM)
		return rights_refused(pid, error);
	if (code == -EMFILE)
		return profiler_error(error,
				      "too few files may be open for pid %d: each of its threads takes four "
				      "(ulimit -n)",
				      (int)pid);
	if (code == -EINVAL)
		return profiler_error(error,
				      "no sampling at %u Hz: the kernel's limit is in "
				      "/proc/sys/kernel/perf_event_max_sample_rate",
				      profiler->options.hz);
	if (code < 0)
		return rights_explain("perf events cannot be opened", -code, error);
	return 0;
}

void events_enable_cpu(struct profiler *profiler, int on)
{
	for (size_t i = 0; i < profiler->cpu_event_count; i++)
		ioctl(profiler->cpu_events[i], on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
}

void events_count_faults(struct profiler *profiler)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < profiler->fault_event_count; i++) {
		uint64_t value;
		if (read(profiler->fault_events[i], &value, sizeof value) == sizeof value)
			sum += value;
	}
	if (profiler->fault_event_count)
		profiler->page_faults = sum;
}

void events_pace_faults(struct profiler *profiler, int64_t now_ns)
{
	int64_t past_ns = now_ns - profiler->faults_at_ns;
	if (past_ns < 50 * NS_PER_MS)
		return;
	uint64_t seen = counter_read(profiler, COUNTER_FAULTS);
	double per_second = (double)(seen - profiler->faults_seen) * 1e9 / (double)past_ns;
	uint32_t period = profiler->control->fault_period;
	if (per_second > PROFILER_FAULTS_PER_SECOND_MAX && period < 1 << 20)
		period *= 2;
	else if (per_second < PROFILER_FAULTS_PER_SECOND_MAX / 4.0 && period > 1)
		period /= 2;
	profiler->control->fault_period = period;
	profiler->faults_seen = seen;
	profiler->faults_at_ns = now_ns;
}

/* The descriptors themselves belong to the links that were made of them. */
void events_close(struct profiler *profiler)
{
	free(profiler->cpu_events);
	free(profiler->fault_events);
	profiler->cpu_events = profiler->fault_events = NULL;
	profiler->cpu_event_count = profiler->fault_event_count = 0;
	profiler->cpu_events_max = profiler->fault_events_max = 0;
}
