/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine-independent half of ring: choosing the engine, the operations' life and the two lists.
 */
#define _GNU_SOURCE
#include "ring/ring.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "ring/engine.h"

#define OPERATIONS_MIN 8
#define OPERATIONS_MAX 4096
/* A cancelled operation comes back at once. Should a cancel request ever pass its target in the kernel, it is
 * repeated after this time. */
#define CANCEL_REPEAT_NS (50 * NS_PER_MS)

static void list_append(struct ring_list *list, struct ring_operation *operation)
{
	operation->next = NULL;
	operation->previous = list->last;
	if (list->last)
		list->last->next = operation;
	else
		list->first = operation;
	list->last = operation;
}

static void list_remove(struct ring_list *list, struct ring_operation *operation)
{
	if (operation->previous)
		operation->previous->next = operation->next;
	else
		list->first = operation->next;
	if (operation->next)
		operation->next->previous = operation->previous;
	else
		list->last = operation->previous;
	operation->next = NULL;
	operation->previous = NULL;
}

static void ring_check(const struct ring *ring)
{
	CHECK_EQ(ring->magic, RING_MAGIC);
	CHECK_NE(pthread_equal(ring->thread, pthread_self()), 0);
}

static int engine_open(struct ring *ring, struct arena *arena, enum ring_engine engine)
{
	ring->engine = engine == RING_ENGINE_URING ? &ring_uring_engine : &ring_poll_engine;
	ring->report.engine = engine;
	return ring->engine->open(ring, arena);
}

int ring_open(const struct ring_options *options, struct arena *arena, struct ring **ret_ring,
	      struct ring_report *report)
{
	CHECK_GE(options->operations_max, (unsigned)OPERATIONS_MIN);
	CHECK_LE(options->operations_max, (unsigned)OPERATIONS_MAX);
	struct ring *ring = arena_take(arena, sizeof *ring, 64);
	*ring = (struct ring){ .magic = RING_MAGIC, .thread = pthread_self(), .options = *options };

	int result = -ENOTSUP;
	if (options->engine != RING_ENGINE_POLL) {
		result = engine_open(ring, arena, RING_ENGINE_URING);
		if (result < 0) {
			ring->report.setup_errno = -result;
			struct ring_obstacles obstacles = ring_obstacles_read();
			ring_notice_setup(ring->report.notice, sizeof ring->report.notice, -result,
					  options->engine == RING_ENGINE_URING, &obstacles);
		}
	}
	if (result < 0 && options->engine != RING_ENGINE_URING)
		result = engine_open(ring, arena, RING_ENGINE_POLL);
	*report = ring->report;
	*ret_ring = result < 0 ? NULL : ring;
	return result;
}

int ring_take_over(struct ring *ring)
{
	CHECK_EQ(ring->magic, RING_MAGIC);
	CHECK_EQ(ring->options.handed_over, 1);
	CHECK_EQ(ring->operation_count, 0u);
	ring->options.handed_over = 0;
	ring->thread = pthread_self();
	return ring->engine->take_over(ring);
}

void ring_register_buffer(struct ring *ring, void *base, size_t bytes)
{
	ring_check(ring);
	CHECK_EQ(ring->operation_count, 0u);
	if (ring->report.receive_mode != RING_RECEIVE_FIXED)
		return;
	int result = ring->engine->register_buffer(ring, base, bytes);
	if (result == 0) {
		ring->report.registered_buffers++;
		ring->report.registered_bytes += bytes;
		return;
	}
	ring->report.registered_buffers_errno = -result;
	struct ring_obstacles obstacles = ring_obstacles_read();
	ring_notice_register(ring->report.notice, sizeof ring->report.notice, -result, &obstacles);
	if (ring->report.registered_buffers == 0)
		ring->report.receive_mode = RING_RECEIVE_PLAIN;
}

const struct ring_report *ring_report_of(const struct ring *ring)
{
	return &ring->report;
}

int ring_socket(struct ring *ring, int family)
{
	ring_check(ring);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | ring->engine->socket_flags, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	int on = 1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static void operation_start(struct ring *ring, struct ring_operation *operation, enum ring_verb verb, int fd)
{
	ring_check(ring);
	CHECK_EQ(ring->options.handed_over, 0);
	CHECK_EQ(operation->pending, 0);
	CHECK_LT(ring->operation_count, ring->options.operations_max);
	operation->magic = RING_OPERATION_MAGIC;
	operation->verb = verb;
	operation->fd = fd;
	operation->result = 0;
	operation->bytes_done = 0;
	operation->phase = 0;
	operation->cancelling = 0;
	operation->pending = 1;
	list_append(&ring->pending, operation);
	ring->operation_count++;
	ring->engine->start(ring, operation);
}

static void operation_set_bytes(struct ring_operation *operation, uint8_t *at, size_t bytes)
{
	CHECK_EQ(operation->pending, 0);
	CHECK_NE(bytes, (size_t)0);
	CHECK_LE(bytes, (size_t)INT_MAX);
	operation->bytes_at = at;
	operation->bytes = bytes;
	operation->file_offset = 0;
}

void ring_connect(struct ring *ring, struct ring_operation *operation, int fd, const struct sockaddr *address,
		  socklen_t address_bytes)
{
	CHECK_EQ(operation->pending, 0);
	CHECK_LE((size_t)address_bytes, sizeof operation->address);
	memcpy(&operation->address, address, address_bytes);
	operation->address_bytes = address_bytes;
	operation_start(ring, operation, RING_CONNECT, fd);
}

void ring_receive(struct ring *ring, struct ring_operation *operation, int fd, uint8_t *target, size_t bytes)
{
	operation_set_bytes(operation, target, bytes);
	operation_start(ring, operation, RING_RECEIVE, fd);
}

void ring_send(struct ring *ring, struct ring_operation *operation, int fd, const uint8_t *source,
	       size_t bytes)
{
	operation_set_bytes(operation, (uint8_t *)(uintptr_t)source, bytes); /* only read */
	operation_start(ring, operation, RING_SEND, fd);
}

void ring_write(struct ring *ring, struct ring_operation *operation, int fd, const uint8_t *source,
		size_t bytes, uint64_t file_offset)
{
	operation_set_bytes(operation, (uint8_t *)(uintptr_t)source, bytes); /* only read */
	operation->file_offset = file_offset;
	operation_start(ring, operation, RING_WRITE, fd);
}

void ring_fsync(struct ring *ring, struct ring_operation *operation, int fd)
{
	operation_start(ring, operation, RING_FSYNC, fd);
}

void ring_wake(struct ring *ring, struct ring_operation *operation, int fd)
{
	operation_start(ring, operation, RING_WAKE, fd);
}

int ring_operation_advance(struct ring_operation *operation, size_t moved, int *ret_result)
{
	CHECK_LE(moved, operation->bytes - operation->bytes_done);
	operation->bytes_done += moved;
	if (operation->bytes_done == operation->bytes) {
		*ret_result = (int)operation->bytes;
		return 1;
	}
	/* No progress and no error is not an answer that write(2) may give; do not repeat it for ever. */
	*ret_result = operation->cancelling ? -ECANCELED : -EIO;
	return operation->cancelling || moved == 0;
}

void ring_operation_end(struct ring *ring, struct ring_operation *operation, int result)
{
	CHECK_EQ(operation->magic, RING_OPERATION_MAGIC);
	CHECK_EQ(operation->pending, 1);
	operation->result = result;
	list_remove(&ring->pending, operation);
	list_append(&ring->ready, operation);
}

static void ready_drop(struct ring *ring, struct ring_operation *operation)
{
	list_remove(&ring->ready, operation);
	operation->pending = 0;
	ring->operation_count--;
}

void ring_cancel(struct ring *ring, struct ring_operation *operation)
{
	ring_check(ring);
	CHECK_EQ(operation->magic, RING_OPERATION_MAGIC);
	CHECK_EQ(operation->pending, 1);
	/* An operation on `ready` may be asked too: the engine finds nothing to do then. */
	if (!operation->cancelling) {
		operation->cancelling = 1;
		ring->engine->cancel(ring, operation);
	}
}

struct ring_operation *ring_wait(struct ring *ring, int64_t deadline_ns)
{
	ring_check(ring);
	ring->engine->pump(ring, ring->ready.first ? 0 : deadline_ns);
	struct ring_operation *operation = ring->ready.first;
	if (operation)
		ready_drop(ring, operation);
	return operation;
}

/* Sets `cancelling` for the pending operations of `fd` (-1: of all) and returns how many there are. */
static unsigned pending_mark(struct ring *ring, int fd)
{
	unsigned count = 0;
	for (struct ring_operation *at = ring->pending.first; at; at = at->next) {
		if (fd == -1 || at->fd == fd) {
			at->cancelling = 1;
			count++;
		}
	}
	return count;
}

static void ready_drop_all(struct ring *ring, int fd)
{
	struct ring_operation *next;
	for (struct ring_operation *at = ring->ready.first; at; at = next) {
		next = at->next;
		if (fd == -1 || at->fd == fd)
			ready_drop(ring, at);
	}
}

void ring_close_fd(struct ring *ring, int fd)
{
	ring_check(ring);
	CHECK_GE(fd, 0);
	while (pending_mark(ring, fd) > 0) {
		ring->engine->cancel_fd(ring, fd);
		int64_t repeat_ns = clock_monotonic_ns() + CANCEL_REPEAT_NS;
		while (pending_mark(ring, fd) > 0 && clock_monotonic_ns() < repeat_ns)
			ring->engine->pump(ring, repeat_ns);
	}
	ready_drop_all(ring, fd);
	close(fd);
}

void ring_finish(struct ring *ring)
{
	if (!ring)
		return;
	ring_check(ring);
	while (pending_mark(ring, -1) > 0) {
		for (struct ring_operation *at = ring->pending.first, *next; at; at = next) {
			next = at->next; /* the engine may end operations here */
			ring->engine->cancel(ring, at);
		}
		ring->engine->pump(ring, clock_monotonic_ns() + CANCEL_REPEAT_NS);
		ready_drop_all(ring, -1);
	}
	ready_drop_all(ring, -1);
	ring->engine->finish(ring);
	ring->magic = 0;
}
