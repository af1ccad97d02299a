/* SPDX-License-Identifier: Apache-2.0
 *
 * ring: many operations at the same time: as many as fit, more than fit, and nobody waits for ever.
 */
#define _GNU_SOURCE
#include <sys/eventfd.h>

#include "unit/ring_fixture.h"

/* As many operations as the ring takes, on as many sockets, completed in another order than started. */
TABLE_TEST(many_operations_at_once)
{
	enum { COUNT = 64 };
	static struct ring_operation operations[COUNT];
	int fds[COUNT], peers[COUNT];
	memset(operations, 0, sizeof operations);
	for (int i = 0; i < COUNT; i++)
		local_pair(&fds[i], &peers[i]);
	for (int round = 0; round < 3; round++) {
		unsigned seen = 0;
		for (int i = 0; i < COUNT; i++) {
			operations[i].owner = &fds[i];
			ring_receive(f->ring, &operations[i], fds[i], f->memory + i * 100, 100);
		}
		times_out(f);
		for (int i = COUNT - 1; i >= 0; i--)
			EQ(write(peers[i], "0123456789", (size_t)(1 + i % 10)), 1 + i % 10);
		while (seen < COUNT) {
			struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
			NE((uintptr_t)done, 0);
			EQ((uintptr_t)done->owner, (uintptr_t)&fds[done - operations]);
			EQ(done->result, 1 + (done - operations) % 10);
			seen++;
		}
		times_out(f);
	}
	for (int i = 0; i < COUNT; i++) {
		ring_close_fd(f->ring, fds[i]);
		close(peers[i]);
	}
}

/* Descriptors that always have something must not keep another waiting. */
static void busy_sockets_starve_nobody(struct fixture *f, int count)
{
	struct ring_operation busy[2] = { 0 }, quiet = { 0 };
	struct peer peers[2];
	uint64_t value = 1;
	int fds[2], peer_fd;
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < count; i++) {
		tcp_pair(f, &fds[i], &peer_fd);
		peer_start(&peers[i], peer_fd, 0, (size_t)1 << 30);
	}
	ring_wake(f->ring, &quiet, event);
	for (int i = 0; i < count; i++)
		ring_receive(f->ring, &busy[i], fds[i], f->memory + i, 1); /* small: there is always more */
	int rounds = 0;
	for (;; rounds++) {
		struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
		NE((uintptr_t)done, 0);
		if (done == &quiet)
			break;
		EQ(done->result, 1);
		if (rounds == 50 * count)
			EQ(write(event, &value, sizeof value), sizeof value);
		LT(rounds, 100 * count);
		ring_receive(f->ring, done, fds[done - busy], f->memory + (done - busy), 1);
	}
	GE(rounds, 50 * count);
	ring_close_fd(f->ring, event);
	for (int i = 0; i < count; i++) {
		ring_close_fd(f->ring, fds[i]);
		pthread_join(peers[i].thread, NULL);
	}
}

TABLE_TEST(busy_socket_starves_nobody)
{
	busy_sockets_starve_nobody(f, 1);
}

/* Two of them: while the one is looked at the other completes at once, so that nothing ever waits. */
TABLE_TEST(two_busy_sockets_starve_nobody)
{
	busy_sockets_starve_nobody(f, 2);
}

/* Sending and receiving on one socket at the same time, both larger than what the kernel buffers. */
TABLE_TEST(both_directions_at_once)
{
	struct ring_operation receive = { 0 }, send = { 0 };
	struct peer writer, reader;
	int fd, peer_fd;
	size_t got = 0;
	tcp_pair(f, &fd, &peer_fd);
	pattern_fill(f->memory + MEMORY_BYTES / 2, 0, MEMORY_BYTES / 2);
	ring_send(f->ring, &send, fd, f->memory + MEMORY_BYTES / 2, MEMORY_BYTES / 2);
	peer_start(&reader, dup(peer_fd), 1, 0);
	peer_start(&writer, peer_fd, 0, 2000000);
	ring_receive(f->ring, &receive, fd, f->memory, 30000);
	while (got < 2000000 || send.pending) {
		struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
		NE((uintptr_t)done, 0);
		if (done == &send) {
			EQ(send.result, MEMORY_BYTES / 2);
			continue;
		}
		GT(done->result, 0);
		EQ(pattern_errors(f->memory, got, (size_t)done->result), 0);
		got += (size_t)done->result;
		if (got < 2000000)
			ring_receive(f->ring, &receive, fd, f->memory, 30000);
	}
	ring_close_fd(f->ring, fd);
	pthread_join(reader.thread, NULL);
	pthread_join(writer.thread, NULL);
	EQ(reader.bytes, MEMORY_BYTES / 2);
	EQ(reader.errors, 0);
}

/* More requests than the submission queue has places for, within one batch: starts and cancels. */
TABLE_TEST(queue_overflows_are_handed_over)
{
	enum { COUNT = 40, ROUNDS = 10 };
	static struct ring_operation operations[COUNT];
	int fds[COUNT], peers[COUNT];
	memset(operations, 0, sizeof operations);
	for (int i = 0; i < COUNT; i++)
		local_pair(&fds[i], &peers[i]);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < COUNT; i++)
			ring_receive(f->ring, &operations[i], fds[i], f->memory + i, 1);
		for (int i = 0; i < COUNT; i++)
			ring_cancel(f->ring, &operations[i]);
		for (int i = 0; i < COUNT; i++) {
			struct ring_operation *done = ring_wait(f->ring, clock_monotonic_ns() + PATIENCE_NS);
			NE((uintptr_t)done, 0);
			EQ(done->result, -ECANCELED);
		}
	}
	for (int i = 0; i < COUNT; i++) {
		ring_close_fd(f->ring, fds[i]);
		close(peers[i]);
	}
}

TEST_MAIN(TT(many_operations_at_once), TT(busy_socket_starves_nobody), TT(two_busy_sockets_starve_nobody),
	  TT(both_directions_at_once), TT(queue_overflows_are_handed_over))
