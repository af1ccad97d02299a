/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of one variant: the child that sends, the connection, what is done with the bytes, and what it
 * cost.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "receive.h"

void receive_fail(const char *what, int error)
{
	fprintf(stderr, "receive_bench: %s: %s\n", what, strerror(error));
	exit(1);
}

int receive_lacks(struct receive_run *run, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(run->why, sizeof run->why, format, arguments);
	va_end(arguments);
	return -1;
}

/* Page-aligned and touched, so that page faults are not part of any figure. */
uint8_t *receive_memory(size_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		receive_fail("mmap", errno);
	return memory;
}

void receive_pin(int which)
{
	static cpu_set_t all;
	cpu_set_t wanted;
	if (CPU_COUNT(&all) == 0 && sched_getaffinity(0, sizeof all, &all) < 0)
		receive_fail("sched_getaffinity", errno);
	if (CPU_COUNT(&all) < 2)
		return;
	CPU_ZERO(&wanted);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		if (which != 0 || CPU_COUNT(&wanted) == 0) {
			if (which == 1)
				CPU_ZERO(&wanted);
			CPU_SET(cpu, &wanted);
		}
	}
	if (sched_setaffinity(0, sizeof wanted, &wanted) < 0)
		receive_fail("sched_setaffinity", errno);
}

/* Instructions of this process, user and kernel, its later threads included. -1 where the machine or the
 * kernel's settings do not let us. */
int receive_instruction_counter(void)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_HARDWARE,
					      .size = sizeof attributes,
					      .config = PERF_COUNT_HW_INSTRUCTIONS,
					      .inherit = 1 };
	return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t instructions(const struct receive_run *run)
{
	uint64_t count = 0;
	if (run->instruction_counter >= 0 &&
	    read(run->instruction_counter, &count, sizeof count) != sizeof count)
		receive_fail("perf event", errno);
	return count;
}

/* The child: sends to whoever connects, in a process of its own, so that its CPU is not counted. */
[[gnu::noreturn]] static void sender_run(const struct receive_run *run)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	receive_pin(1);
	int fd = accept(run->listener, NULL, NULL);
	size_t period_bytes = run->pattern->period_bytes, sent_bytes = 0;
	int64_t start_ns = clock_monotonic_ns();
	while (fd >= 0 && sent_bytes < run->total_bytes) {
		size_t at = sent_bytes % period_bytes;
		size_t bytes = period_bytes - at;
		if (run->consumer == CONSUMER_PACED) {
			double due_ns = (double)sent_bytes * 1e9 / (double)run->pace_bytes_per_second;
			int64_t wake_ns = start_ns + (int64_t)due_ns;
			struct timespec wake = { .tv_sec = wake_ns / NS_PER_SECOND,
						 .tv_nsec = wake_ns % NS_PER_SECOND };
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
			bytes = RECORD_BYTES - at % RECORD_BYTES;
		}
		if (bytes > run->total_bytes - sent_bytes)
			bytes = run->total_bytes - sent_bytes;
		ssize_t sent = send(fd, run->pattern->bytes + at, bytes, MSG_NOSIGNAL);
		if (sent <= 0)
			break;
		sent_bytes += (size_t)sent;
	}
	_exit(0);
}

static void sender_start(struct receive_run *run)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	run->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (run->listener < 0 || bind(run->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(run->listener, 1) < 0)
		receive_fail("listen", errno);
	run->sender = fork();
	if (run->sender < 0)
		receive_fail("fork", errno);
	if (run->sender == 0)
		sender_run(run);
}

static void option_set(struct receive_run *run, int name, int value)
{
	if (setsockopt(run->fd, SOL_SOCKET, name, &value, sizeof value) < 0)
		receive_fail("setsockopt", errno);
}

static void usage_read(struct figures *figures, int sign)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	figures->cpu_ns += sign * (double)clock_process_cpu_ns();
	figures->user_ns +=
		sign * ((double)usage.ru_utime.tv_sec * 1e9 + (double)usage.ru_utime.tv_usec * 1e3);
	figures->system_ns +=
		sign * ((double)usage.ru_stime.tv_sec * 1e9 + (double)usage.ru_stime.tv_usec * 1e3);
	figures->sleeps += sign * (double)usage.ru_nvcsw;
}

void receive_start(struct receive_run *run)
{
	struct sockaddr_in address;
	socklen_t address_bytes = sizeof address;
	run->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (run->fd < 0 || getsockname(run->listener, (struct sockaddr *)&address, &address_bytes) < 0)
		receive_fail("socket", errno);
	if (has(run, OPTION_LARGE_SOCKET)) /* before connect(2), where the window's scale is agreed on */
		option_set(run, SO_RCVBUF, LARGE_SOCKET_BYTES);
	if (has(run, OPTION_LOW_WATER))
		option_set(run, SO_RCVLOWAT, LOW_WATER_BYTES);
	if (has(run, OPTION_BUSY_POLL))
		option_set(run, SO_BUSY_POLL, (int)run->variant->patience_us);
	if (connect(run->fd, (struct sockaddr *)&address, sizeof address) < 0)
		receive_fail("connect", errno);
	run->figures = (struct figures){ .instructions = -(double)instructions(run) };
	usage_read(&run->figures, -1);
	run->start_ns = clock_monotonic_ns();
}

void receive_stop(struct receive_run *run)
{
	struct figures *figures = &run->figures;
	int64_t wall_ns = clock_monotonic_ns() - run->start_ns;
	usage_read(figures, 1);
	figures->instructions += (double)instructions(run);
	figures->receives = (double)run->receives;
	figures->megabytes_per_second = (double)run->total_bytes * 1e3 / (double)wall_ns;
	close(run->fd);
	if (run->received_bytes != run->total_bytes)
		receive_fail(run->variant->name, EPIPE);
	if (run->consumer == CONSUMER_BUSY && run->hash != run->pattern->stream_hash)
		receive_fail(run->variant->name, EBADMSG);
}

void receive_count(struct receive_run *run, size_t bytes)
{
	run->receives++;
	if (has(run, OPTION_REST) && bytes < REST_BELOW_BYTES) {
		struct timespec rest = { .tv_nsec = run->variant->patience_us * 1000L };
		clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
	}
}

/* About 0.9 ns a byte: one multiply and one add in a chain. */
uint32_t receive_hash(uint32_t hash, const uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		hash = hash * 31 + at[i];
	return hash;
}

void receive_take(struct receive_run *run, const uint8_t *at, size_t bytes)
{
	const uint8_t *expected = run->pattern->bytes + run->received_bytes % run->pattern->period_bytes;
	if (memcmp(at, expected, bytes < CHECKED_BYTES ? bytes : CHECKED_BYTES) != 0)
		receive_fail(run->variant->name, EBADMSG);
	run->received_bytes += bytes;
	if (run->consumer != CONSUMER_BUSY)
		return;
	for (size_t done = 0, piece; done < bytes; done += piece) {
		piece = bytes - done < WINDOW_PIECE_BYTES ? bytes - done : WINDOW_PIECE_BYTES;
		run->hash = receive_hash(run->hash, at + done, piece);
		for (int copy = 0; copy < WINDOW_COPIES; copy++) {
			if (run->window_at + piece > WINDOW_BYTES)
				run->window_at = 0;
			memcpy(run->window + run->window_at, at + done, piece);
			run->window_at += piece;
		}
	}
}

int receive_run(struct receive_run *run)
{
	static int (*const methods[])(struct receive_run *) = {
		[RECEIVE_CALL] = receive_by_call,
		[RECEIVE_ROOM] = receive_by_room,
		[RECEIVE_SINGLE] = receive_by_single,
		[RECEIVE_POOL] = receive_by_pool,
	};
	sender_start(run);
	int result = methods[run->variant->method](run);
	/* It has ended by itself, or nobody took what it has. */
	kill(run->sender, SIGKILL);
	waitpid(run->sender, NULL, 0);
	close(run->listener);
	return result;
}
