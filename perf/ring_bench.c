/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: what receiving a byte costs our process, over loopback TCP from a child that sends at full speed,
 * into one reused 256 KB buffer. "busy" does some work on each byte, so that the receiver is the bottleneck,
 * as it is when inflating; "idle" only receives. Variants are interleaved; figures are medians. `system` is
 * the kernel's share.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/ring.h"

enum { ROUNDS_MAX = 15, BUFFER_BYTES = 262144, OPERATIONS = 8 };

struct figures {
	double cpu_ns, system_ns, receives_per_gigabyte;
};

[[gnu::noreturn]] static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Sends `total` bytes to whoever connects, in a process of its own, so that its CPU is not counted. */
static pid_t sender_start(size_t total, struct sockaddr_in *ret_address)
{
	static const uint8_t piece[1 << 17];
	socklen_t bytes = sizeof *ret_address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret_address =
		(struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (listener < 0 || bind(listener, (struct sockaddr *)ret_address, sizeof *ret_address) < 0 ||
	    listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)ret_address, &bytes) < 0)
		fail("listen");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		int fd = accept(listener, NULL, NULL);
		while (total && fd >= 0) {
			ssize_t sent =
				send(fd, piece, total < sizeof piece ? total : sizeof piece, MSG_NOSIGNAL);
			if (sent <= 0)
				break;
			total -= (size_t)sent;
		}
		_exit(0);
	}
	close(listener);
	return child;
}

static int64_t system_time_ns(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_stime.tv_sec * NS_PER_SECOND + usage.ru_stime.tv_usec * 1000;
}

static struct ring_operation *next(struct ring *ring)
{
	struct ring_operation *operation = ring_wait(ring, clock_monotonic_ns() + 30 * NS_PER_SECOND);
	if (!operation || operation->result < 0)
		fail("ring_wait");
	return operation;
}

static struct figures run(enum ring_engine engine, enum ring_receive_mode mode, int busy, size_t total)
{
	struct sockaddr_in address;
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_operation operation = { 0 };
	struct ring_options options = { .engine = engine,
					.receive_mode = mode,
					.operations_max = OPERATIONS };
	pid_t child = sender_start(total, &address);
	if (arena_open(&arena, 2 << 20) < 0 || ring_open(&options, &arena, &ring, &report) < 0)
		fail("ring_open");
	uint8_t *buffer = arena_take(&arena, BUFFER_BYTES, 4096);
	ring_register_buffer(ring, buffer, BUFFER_BYTES);
	int fd = ring_socket(ring, AF_INET);
	ring_connect(ring, &operation, fd, (struct sockaddr *)&address, sizeof address);
	next(ring);

	size_t received = 0, receives = 0;
	uint32_t hash = 0;
	int64_t cpu_ns = clock_process_cpu_ns(), system_ns = system_time_ns();
	for (;;) {
		ring_receive(ring, &operation, fd, buffer, BUFFER_BYTES);
		size_t bytes = (size_t)next(ring)->result;
		if (bytes == 0)
			break;
		/* about 0.9 ns a byte: one multiply and one add in a chain */
		for (size_t i = 0; busy && i < bytes; i++)
			hash = hash * 31 + buffer[i];
		received += bytes;
		receives++;
	}
	cpu_ns = clock_process_cpu_ns() - cpu_ns;
	system_ns = system_time_ns() - system_ns;
	__asm__ volatile("" : : "r"(hash));
	if (received != total)
		fail("short stream");
	ring_close_fd(ring, fd);
	ring_finish(ring);
	arena_finish(&arena);
	waitpid(child, NULL, 0);
	return (struct figures){ .cpu_ns = (double)cpu_ns / (double)total,
				 .system_ns = (double)system_ns / (double)total,
				 .receives_per_gigabyte = (double)receives * 1e9 / (double)total };
}

static int compare(const void *left, const void *right)
{
	double a = ((const struct figures *)left)->cpu_ns, b = ((const struct figures *)right)->cpu_ns;
	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum ring_engine engine;
		enum ring_receive_mode mode;
	} variants[] = {
		{ "io_uring, fixed", RING_ENGINE_URING, RING_RECEIVE_FIXED },
		{ "io_uring, plain", RING_ENGINE_URING, RING_RECEIVE_PLAIN },
		{ "poll", RING_ENGINE_POLL, RING_RECEIVE_PLAIN },
	};
	enum { VARIANTS = sizeof variants / sizeof *variants };
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	int rounds = quick ? 1 : ROUNDS_MAX;
	size_t total = quick ? 1 << 22 : 1 << 28;
	struct figures figures[VARIANTS][ROUNDS_MAX];
	signal(SIGPIPE, SIG_IGN);
	for (int busy = 1; busy >= 0; busy--) {
		for (int round = 0; round < rounds; round++) {
			for (size_t i = 0; i < VARIANTS; i++) {
				/* another order each round, so that no variant always runs behind the same
				 * one */
				size_t at = (i + (size_t)round) % VARIANTS;
				figures[at][round] = run(variants[at].engine, variants[at].mode, busy, total);
			}
		}
		for (size_t i = 0; i < VARIANTS; i++) {
			qsort(figures[i], (size_t)rounds, sizeof **figures, compare);
			const struct figures *median = &figures[i][rounds / 2];
			printf("{\"bench\":\"ring\",\"variant\":\"%s\",\"receiver\":\"%s\",\"cpu_ns_per_"
			       "byte\":%.4f,"
			       "\"cpu_ns_per_byte_best\":%.4f,\"system_ns_per_byte\":%.4f,"
			       "\"receives_per_gigabyte\":%.0f,\"bytes\":%zu,\"rounds\":%d}\n",
			       variants[i].name, busy ? "busy" : "idle", median->cpu_ns, figures[i][0].cpu_ns,
			       median->system_ns, median->receives_per_gigabyte, total, rounds);
		}
	}
	return 0;
}
