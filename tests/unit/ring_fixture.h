/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring, memory for it, and peers for its sockets; tables of tests that run with io_uring receiving into
 * plain memory, io_uring receiving into registered memory, and poll. For ring_test.c and ring_many_test.c.
 */
#ifndef TESTS_UNIT_RING_FIXTURE_H
#define TESTS_UNIT_RING_FIXTURE_H

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/ring.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* far more than any step takes; a bound against hanging */
#define SHORT_NS (20 * NS_PER_MS)	 /* for waits that are meant to run out */
#define MEMORY_BYTES (1 << 20)

struct fixture {
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	uint8_t *memory; /* MEMORY_BYTES; the first half is registered */
};

__attribute__((unused)) static void fixture_open(struct fixture *fixture, enum ring_engine engine,
						 enum ring_receive_mode mode)
{
	struct ring_options options = { .engine = engine, .receive_mode = mode, .operations_max = 64 };
	signal(SIGPIPE, SIG_IGN);
	*fixture = (struct fixture){ 0 };
	EQ(arena_open(&fixture->arena, 8 << 20), 0);
	fixture->memory = arena_take(&fixture->arena, MEMORY_BYTES, 4096);
	int result = ring_open(&options, &fixture->arena, &fixture->ring, &fixture->report);
	if (result < 0 && engine == RING_ENGINE_URING)
		SKIP("%s", fixture->report.notice);
	EQ(result, 0);
	EQ(fixture->report.engine, engine);
	ring_register_buffer(fixture->ring, fixture->memory, MEMORY_BYTES / 2);
	fixture->report = *ring_report_of(fixture->ring);
	if (mode == RING_RECEIVE_FIXED && fixture->report.registered_buffers == 0)
		SKIP("%s", fixture->report.notice);
}

__attribute__((unused)) static void fixture_finish(struct fixture *fixture)
{
	ring_finish(fixture->ring);
	arena_finish(&fixture->arena);
}

/* Defines NAME_plain, NAME_fixed and NAME_poll around the body that follows. */
#define TABLE_TEST(name)                                                                                     \
	static void name##_with(struct fixture *f);                                                          \
	static void name##_plain(void)                                                                       \
	{                                                                                                    \
		struct fixture f;                                                                            \
		fixture_open(&f, RING_ENGINE_URING, RING_RECEIVE_PLAIN);                                     \
		name##_with(&f);                                                                             \
		fixture_finish(&f);                                                                          \
	}                                                                                                    \
	static void name##_fixed(void)                                                                       \
	{                                                                                                    \
		struct fixture f;                                                                            \
		fixture_open(&f, RING_ENGINE_URING, RING_RECEIVE_FIXED);                                     \
		name##_with(&f);                                                                             \
		fixture_finish(&f);                                                                          \
	}                                                                                                    \
	static void name##_poll(void)                                                                        \
	{                                                                                                    \
		struct fixture f;                                                                            \
		fixture_open(&f, RING_ENGINE_POLL, RING_RECEIVE_AUTO);                                       \
		name##_with(&f);                                                                             \
		fixture_finish(&f);                                                                          \
	}                                                                                                    \
	static void name##_with(struct fixture *f)
#define TT(name) T(name##_plain), T(name##_fixed), T(name##_poll)

/* The next completion, which must be `operation`; returns its result. */
__attribute__((unused)) static int outcome(struct fixture *f, struct ring_operation *operation)
{
	int64_t deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
	struct ring_operation *done;
	while (!(done = ring_wait(f->ring, deadline_ns)))
		LT(clock_monotonic_ns(), deadline_ns);
	EQ((uintptr_t)done, (uintptr_t)operation);
	EQ(done->pending, 0);
	return done->result;
}

__attribute__((unused)) static void times_out(struct fixture *f)
{
	EQ((uintptr_t)ring_wait(f->ring, clock_monotonic_ns() + SHORT_NS), 0);
}

__attribute__((unused)) static int listener_open(int backlog, struct sockaddr_in *ret_address)
{
	socklen_t bytes = sizeof *ret_address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret_address =
		(struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	GE(fd, 0);
	EQ(bind(fd, (struct sockaddr *)ret_address, sizeof *ret_address), 0);
	EQ(listen(fd, backlog), 0);
	EQ(getsockname(fd, (struct sockaddr *)ret_address, &bytes), 0);
	return fd;
}

/* A TCP connection made through the ring; the peer's end is blocking. */
__attribute__((unused)) static void tcp_pair(struct fixture *f, int *ret_fd, int *ret_peer)
{
	struct sockaddr_in address;
	struct ring_operation operation = { 0 };
	int listener = listener_open(1, &address);
	*ret_fd = ring_socket(f->ring, AF_INET);
	GE(*ret_fd, 0);
	ring_connect(f->ring, &operation, *ret_fd, (struct sockaddr *)&address, sizeof address);
	EQ(outcome(f, &operation), 0);
	*ret_peer = accept(listener, NULL, NULL);
	GE(*ret_peer, 0);
	close(listener);
}

__attribute__((unused)) static void local_pair(int *ret_fd, int *ret_peer)
{
	int fds[2];
	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*ret_fd = fds[0];
	*ret_peer = fds[1];
}

__attribute__((unused)) static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Byte `index` of the stream that test peers send. */
__attribute__((unused)) static uint8_t pattern(size_t index)
{
	return (uint8_t)(index * 131 + (index >> 8) * 7 + (index >> 16));
}

__attribute__((unused)) static void pattern_fill(uint8_t *at, size_t from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = pattern(from + i);
}

/* 0 when [at, at + bytes) is the stream from `from` on. */
__attribute__((unused)) static size_t pattern_errors(const uint8_t *at, size_t from, size_t bytes)
{
	size_t errors = 0;
	for (size_t i = 0; i < bytes; i++)
		errors += at[i] != pattern(from + i);
	return errors;
}

/* A thread that writes or reads the pattern, then closes its end. */
struct peer {
	pthread_t thread;
	int fd;
	size_t bytes; /* to write; or read so far */
	size_t errors;
	int reads;
};

__attribute__((unused)) static void *peer_run(void *argument)
{
	struct peer *peer = argument;
	uint8_t piece[5000];
	uint64_t state = 77;
	size_t moved = 0;
	for (;;) {
		size_t bytes = 1 + (size_t)(next_random(&state) % sizeof piece);
		ssize_t result;
		if (peer->reads) {
			result = read(peer->fd, piece, bytes);
		} else {
			bytes = bytes < peer->bytes - moved ? bytes : peer->bytes - moved;
			pattern_fill(piece, moved, bytes);
			result = bytes ? write(peer->fd, piece, bytes) : 0;
		}
		if (result <= 0)
			break;
		if (peer->reads)
			peer->errors += pattern_errors(piece, moved, (size_t)result);
		moved += (size_t)result;
	}
	close(peer->fd);
	peer->bytes = moved;
	return NULL;
}

__attribute__((unused)) static void peer_start(struct peer *peer, int fd, int reads, size_t bytes)
{
	*peer = (struct peer){ .fd = fd, .reads = reads, .bytes = bytes };
	EQ(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

#endif
