/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: every test of the table runs with io_uring receiving into plain memory, io_uring receiving into
 * registered memory, and poll. Peers are the other ends of sockets and pipes in this process, or a child.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/resolve.h"
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

static void fixture_open(struct fixture *fixture, enum ring_engine engine, enum ring_receive_mode mode)
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

static void fixture_finish(struct fixture *fixture)
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
static int outcome(struct fixture *f, struct ring_operation *operation)
{
	int64_t deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
	struct ring_operation *done;
	while (!(done = ring_wait(f->ring, deadline_ns)))
		LT(clock_monotonic_ns(), deadline_ns);
	EQ((uintptr_t)done, (uintptr_t)operation);
	EQ(done->pending, 0);
	return done->result;
}

static void times_out(struct fixture *f)
{
	EQ((uintptr_t)ring_wait(f->ring, clock_monotonic_ns() + SHORT_NS), 0);
}

static int listener_open(int backlog, struct sockaddr_in *ret_address)
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
static void tcp_pair(struct fixture *f, int *ret_fd, int *ret_peer)
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

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Byte `index` of the stream that test peers send. */
static uint8_t pattern(size_t index)
{
	return (uint8_t)(index * 131 + (index >> 8) * 7 + (index >> 16));
}

static void pattern_fill(uint8_t *at, size_t from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = pattern(from + i);
}

/* 0 when [at, at + bytes) is the stream from `from` on. */
static size_t pattern_errors(const uint8_t *at, size_t from, size_t bytes)
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

static void *peer_run(void *argument)
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

static void peer_start(struct peer *peer, int fd, int reads, size_t bytes)
{
	*peer = (struct peer){ .fd = fd, .reads = reads, .bytes = bytes };
	EQ(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

TABLE_TEST(connects)
{
	int fd, peer;
	tcp_pair(f, &fd, &peer);
	ring_close_fd(f->ring, fd);
	uint8_t byte;
	EQ(read(peer, &byte, 1), 0);
	close(peer);
}

TABLE_TEST(connect_is_refused)
{
	struct sockaddr_in address;
	struct ring_operation operation = { 0 };
	close(listener_open(1, &address)); /* a port that nobody listens on */
	int fd = ring_socket(f->ring, AF_INET);
	ring_connect(f->ring, &operation, fd, (struct sockaddr *)&address, sizeof address);
	EQ(outcome(f, &operation), -ECONNREFUSED);
	ring_close_fd(f->ring, fd);
}

/* A listener whose queue is full drops further SYNs: the connection hangs like one to a black hole. */
TABLE_TEST(connect_hangs_and_is_cancelled)
{
	struct sockaddr_in address;
	struct ring_operation operation = { 0 };
	int listener = listener_open(0, &address);
	int fillers[3];
	for (int i = 0; i < 3; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *)&address, sizeof address);
	}
	int fd = ring_socket(f->ring, AF_INET);
	ring_connect(f->ring, &operation, fd, (struct sockaddr *)&address, sizeof address);
	times_out(f);
	EQ(operation.pending, 1);
	ring_cancel(f->ring, &operation);
	EQ(outcome(f, &operation), -ECANCELED);
	ring_close_fd(f->ring, fd);
	for (int i = 0; i < 3; i++)
		close(fillers[i]);
	close(listener);
}

TABLE_TEST(receives_a_stream)
{
	enum { TOTAL = 3000000 };
	struct peer peer;
	struct ring_operation operation = { 0 };
	uint64_t state = 5;
	int fd, peer_fd;
	tcp_pair(f, &fd, &peer_fd);
	peer_start(&peer, peer_fd, 0, TOTAL);
	size_t got = 0;
	for (;;) {
		/* Any place and size: inside the registered half, outside, and across its end. */
		size_t at = (size_t)(next_random(&state) % (MEMORY_BYTES - 1));
		size_t bytes = 1 + (size_t)(next_random(&state) % 70000);
		bytes = bytes < MEMORY_BYTES - at ? bytes : MEMORY_BYTES - at;
		ring_receive(f->ring, &operation, fd, f->memory + at, bytes);
		int result = outcome(f, &operation);
		GE(result, 0);
		LE(result, bytes);
		if (result == 0)
			break;
		EQ((uintptr_t)operation.bytes_at, (uintptr_t)(f->memory + at));
		EQ(pattern_errors(operation.bytes_at, got, (size_t)result), 0);
		got += (size_t)result;
	}
	EQ(got, TOTAL);
	pthread_join(peer.thread, NULL);
	ring_receive(f->ring, &operation, fd, f->memory, 1); /* the end is the end for ever */
	EQ(outcome(f, &operation), 0);
	ring_close_fd(f->ring, fd);
}

TABLE_TEST(sends_everything)
{
	struct peer peer;
	struct ring_operation operation = { 0 };
	int fd, peer_fd;
	tcp_pair(f, &fd, &peer_fd);
	peer_start(&peer, peer_fd, 1, 0);
	size_t bytes = 1, sent = 0;
	for (; bytes <= MEMORY_BYTES; bytes = bytes * 3 + 1) {
		pattern_fill(f->memory, sent, bytes);
		ring_send(f->ring, &operation, fd, f->memory, bytes);
		EQ(outcome(f, &operation), bytes);
		sent += bytes;
	}
	ring_close_fd(f->ring, fd);
	pthread_join(peer.thread, NULL);
	EQ(peer.errors, 0);
	EQ(peer.bytes, sent);
}

TEST_MAIN(TT(connects), TT(connect_is_refused), TT(connect_hangs_and_is_cancelled), TT(receives_a_stream),
	  TT(sends_everything))
