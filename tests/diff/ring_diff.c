/* SPDX-License-Identifier: Apache-2.0
 *
 * The same random conversation, held by io_uring with registered memory, io_uring without, and poll, must
 * give the same results, the same bytes and the same order of what a descriptor does. The peer is the other
 * end of socket pairs and pipes in this thread, so every step has one right answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/ring.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */

enum {
	PAIRS = 3,
	STEPS = 400,
	CONVERSATIONS = 12,
	MEMORY_BYTES = 65536,
	PIECE_BYTES_MAX = 3000,
	LOG_MAX = 4000
};

struct connection {
	int fd, peer;
	int peer_closed;
	size_t queued_bytes; /* written by the peer, not yet received */
	struct ring_operation receive, send;
};

struct conversation {
	struct arena arena;
	struct ring *ring;
	uint8_t *memory;
	struct connection connections[PAIRS];
	uint64_t state;
	int64_t log[LOG_MAX];
	size_t log_count;
};

static uint64_t next_random(struct conversation *c)
{
	c->state ^= c->state << 13;
	c->state ^= c->state >> 7;
	c->state ^= c->state << 17;
	return c->state;
}

static void log_add(struct conversation *c, int64_t value)
{
	LT(c->log_count, LOG_MAX);
	c->log[c->log_count++] = value;
}

static int64_t hash_of(const uint8_t *at, size_t bytes)
{
	uint64_t hash = 1469598103934665603u; /* FNV-1a */
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * 1099511628211u;
	return (int64_t)hash;
}

static uint8_t *area_of(struct conversation *c, const struct connection *connection)
{
	return c->memory + (connection - c->connections) * 2 * PIECE_BYTES_MAX;
}

static void connection_open(struct connection *connection)
{
	int fds[2];
	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*connection = (struct connection){ .fd = fds[0], .peer = fds[1] };
}

/* Waits for `operation`, which must come back next, and logs what came of it. */
static void finish_operation(struct conversation *c, struct ring_operation *operation)
{
	struct ring_operation *done = ring_wait(c->ring, clock_monotonic_ns() + PATIENCE_NS);
	EQ((uintptr_t)done, (uintptr_t)operation);
	log_add(c, done->result);
	if (done->verb == RING_RECEIVE && done->result > 0)
		log_add(c, hash_of(done->bytes_at, (size_t)done->result));
}

static void step_peer_writes(struct conversation *c, struct connection *connection)
{
	uint8_t piece[PIECE_BYTES_MAX];
	size_t bytes = 1 + next_random(c) % sizeof piece;
	if (connection->peer_closed || connection->queued_bytes > 20000)
		return;
	for (size_t i = 0; i < bytes; i++)
		piece[i] = (uint8_t)next_random(c);
	EQ(write(connection->peer, piece, bytes), (ssize_t)bytes);
	connection->queued_bytes += bytes;
	if (connection->receive.pending) { /* it had been waiting */
		finish_operation(c, &connection->receive);
		connection->queued_bytes -= (size_t)connection->receive.result;
	}
}

static void step_receive(struct conversation *c, struct connection *connection)
{
	size_t bytes = 1 + next_random(c) % PIECE_BYTES_MAX;
	if (connection->receive.pending)
		return;
	ring_receive(c->ring, &connection->receive, connection->fd, area_of(c, connection), bytes);
	if (connection->queued_bytes || connection->peer_closed) {
		finish_operation(c, &connection->receive);
		if (connection->receive.result > 0)
			connection->queued_bytes -= (size_t)connection->receive.result;
	} else {
		EQ((uintptr_t)ring_wait(c->ring, next_random(c) % 2 ? 0 : clock_monotonic_ns() + 1), 0);
	}
}

static void step_send(struct conversation *c, struct connection *connection)
{
	uint8_t back[PIECE_BYTES_MAX];
	uint8_t *area = area_of(c, connection) + PIECE_BYTES_MAX;
	size_t bytes = 1 + next_random(c) % PIECE_BYTES_MAX;
	for (size_t i = 0; i < bytes; i++)
		area[i] = (uint8_t)next_random(c);
	ring_send(c->ring, &connection->send, connection->fd, area, bytes);
	finish_operation(c, &connection->send);
	if (connection->send.result > 0) {
		EQ(read(connection->peer, back, sizeof back), (ssize_t)bytes);
		log_add(c, hash_of(back, bytes));
	}
}

static void step_cancel(struct conversation *c, struct connection *connection)
{
	if (!connection->receive.pending)
		return;
	ring_cancel(c->ring, &connection->receive);
	finish_operation(c, &connection->receive);
}

static void step_peer_closes(struct conversation *c, struct connection *connection)
{
	if (connection->peer_closed)
		return;
	close(connection->peer);
	connection->peer_closed = 1;
	if (connection->receive.pending)
		finish_operation(c, &connection->receive);
}

static void step_reopen(struct conversation *c, struct connection *connection)
{
	ring_close_fd(c->ring, connection->fd);
	EQ(connection->receive.pending, 0);
	if (!connection->peer_closed) {
		uint8_t byte;
		ssize_t got = recv(connection->peer, &byte, 1, MSG_DONTWAIT);
		log_add(c, got < 0 ? -errno : got);
		close(connection->peer);
	}
	connection_open(connection);
}

/* Through a pipe into a reader that takes a random share and then leaves, or takes all. */
static void step_pipe(struct conversation *c)
{
	uint8_t back[MEMORY_BYTES];
	struct ring_operation operation = { 0 };
	int fds[2];
	size_t bytes = 1 + next_random(c) % 40000, got = 0;
	int leaves = next_random(c) % 3 == 0;
	EQ(pipe2(fds, O_CLOEXEC), 0);
	EQ(fcntl(fds[1], F_SETPIPE_SZ, 16384), 16384);
	ring_write(c->ring, &operation, fds[1], c->memory, bytes, UINT64_MAX);
	if (leaves && bytes > 16384) {
		EQ((uintptr_t)ring_wait(c->ring, clock_monotonic_ns() + NS_PER_MS), 0);
		close(fds[0]);
		finish_operation(c, &operation);
		close(fds[1]);
		return;
	}
	struct ring_operation *done = NULL;
	EQ(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while (!done || got < bytes) {
		if (!done)
			done = ring_wait(c->ring, clock_monotonic_ns() + NS_PER_MS);
		ssize_t moved = read(fds[0], back + got, sizeof back - got);
		got += moved > 0 ? (size_t)moved : 0;
	}
	log_add(c, done->result);
	log_add(c, hash_of(back, got));
	close(fds[0]);
	close(fds[1]);
}

static void converse(struct conversation *c, enum ring_engine engine, enum ring_receive_mode mode,
		     uint64_t seed)
{
	struct ring_options options = { .engine = engine, .receive_mode = mode, .operations_max = 16 };
	struct ring_report report;
	c->state = seed;
	c->log_count = 0;
	EQ(arena_open(&c->arena, 1 << 20), 0);
	c->memory = arena_take(&c->arena, MEMORY_BYTES, 4096);
	if (ring_open(&options, &c->arena, &c->ring, &report) < 0)
		SKIP("%s", report.notice);
	ring_register_buffer(c->ring, c->memory, MEMORY_BYTES);
	for (int i = 0; i < PAIRS; i++)
		connection_open(&c->connections[i]);
	for (int i = 0; i < STEPS; i++) {
		struct connection *connection = &c->connections[next_random(c) % PAIRS];
		unsigned kind = (unsigned)(next_random(c) % 40);
		log_add(c, kind);
		if (kind < 12)
			step_peer_writes(c, connection);
		else if (kind < 24)
			step_receive(c, connection);
		else if (kind < 31)
			step_send(c, connection);
		else if (kind < 34)
			step_cancel(c, connection);
		else if (kind < 36)
			step_pipe(c);
		else if (kind < 38)
			step_peer_closes(c, connection);
		else
			step_reopen(c, connection);
	}
	for (int i = 0; i < PAIRS; i++) {
		ring_close_fd(c->ring, c->connections[i].fd);
		if (!c->connections[i].peer_closed)
			close(c->connections[i].peer);
	}
	EQ((uintptr_t)ring_wait(c->ring, 0), 0);
	ring_finish(c->ring);
	arena_finish(&c->arena);
}

static void compare_with_poll(enum ring_receive_mode mode)
{
	static struct conversation uring, polled;
	size_t results = 0;
	signal(SIGPIPE, SIG_IGN);
	for (uint64_t seed = 1; seed <= CONVERSATIONS; seed++) {
		converse(&uring, RING_ENGINE_URING, mode, seed * 0x9e3779b97f4a7c15u);
		converse(&polled, RING_ENGINE_POLL, RING_RECEIVE_PLAIN, seed * 0x9e3779b97f4a7c15u);
		for (size_t i = 0; i < uring.log_count && i < polled.log_count; i++) {
			if (uring.log[i] != polled.log[i])
				FAIL("conversation %" PRIu64 ", entry %zu: %" PRId64 " against %" PRId64,
				     seed, i, uring.log[i], polled.log[i]);
		}
		EQ(uring.log_count, polled.log_count);
		results += uring.log_count;
	}
	GT(results, CONVERSATIONS * STEPS); /* something was compared */
}

static void fixed_receives_as_poll(void)
{
	compare_with_poll(RING_RECEIVE_FIXED);
}

static void plain_receives_as_poll(void)
{
	compare_with_poll(RING_RECEIVE_PLAIN);
}

TEST_MAIN(T(fixed_receives_as_poll), T(plain_receives_as_poll))
