/* SPDX-License-Identifier: Apache-2.0
 *
 * The poll engine: poll(2) and non-blocking calls. It serves where io_uring is forbidden and is what the
 * tests compare io_uring with, so it is written to be obviously right rather than fast.
 *
 * Only fsync(2) and writes to regular files block, as they do in every program without io_uring.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "ring/engine.h"

#define WAIT_NS_MAX (3600 * NS_PER_SECOND)

enum phase {
	PHASE_TRY,	 /* call now */
	PHASE_AWAIT,	 /* call when poll says so */
	PHASE_TRY_ASKED, /* connect(2) has been called and its outcome is there */
	PHASE_AWAIT_ASKED,
};

struct poll_state {
	struct pollfd *entries;		    /* operations_max of them */
	struct ring_operation **operations; /* the operation of each entry */
};

static int poll_open(struct ring *ring, struct arena *arena)
{
	struct poll_state *state = arena_take(arena, sizeof *state, 64);
	unsigned count = ring->options.operations_max;
	state->entries = arena_take(arena, count * sizeof *state->entries, 64);
	state->operations = arena_take(arena, count * sizeof *state->operations, 64);
	ring->state = state;
	ring->report.receive_mode = RING_RECEIVE_PLAIN;
	return 0;
}

static int poll_take_over(struct ring *ring)
{
	(void)ring; /* its memory is anybody's */
	return 0;
}

static int poll_register_buffer(struct ring *ring, void *base, size_t bytes)
{
	(void)ring;
	(void)base;
	(void)bytes;
	return -EOPNOTSUPP; /* never asked: the report says PLAIN */
}

static void poll_start(struct ring *ring, struct ring_operation *operation)
{
	(void)ring;
	operation->phase = operation->verb == RING_WAKE ? PHASE_AWAIT : PHASE_TRY;
}

/* Writes without blocking, whatever the descriptor's own mode is: it may be shared with other programs (a
 * terminal, a pipe of the shell), so O_NONBLOCK must not be switched on. */
static ssize_t write_some(const struct ring_operation *operation)
{
	struct iovec rest = { .iov_base = operation->bytes_at + operation->bytes_done,
			      .iov_len = operation->bytes - operation->bytes_done };
	struct stat status;
	int blocks_on_peer =
		fstat(operation->fd, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode);
	if (operation->file_offset != UINT64_MAX)
		return pwrite(operation->fd, rest.iov_base, rest.iov_len,
			      (off_t)(operation->file_offset + operation->bytes_done));
	if (!blocks_on_peer)
		return write(operation->fd, rest.iov_base, rest.iov_len);
	ssize_t moved = pwritev2(operation->fd, &rest, 1, -1, RWF_NOWAIT);
	if (moved >= 0 || errno != EOPNOTSUPP)
		return moved;
	/* Before Linux 6.4 pipes lack RWF_NOWAIT, and terminals still do. POLLOUT promises room for PIPE_BUF
	 * bytes (pipe(7)). */
	struct pollfd entry = { .fd = operation->fd, .events = POLLOUT };
	if (poll(&entry, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(operation->fd, rest.iov_base, rest.iov_len < PIPE_BUF ? rest.iov_len : PIPE_BUF);
}

/* One system call for the operation: bytes, 0, or -1 with errno. */
static ssize_t call(const struct ring_operation *operation)
{
	switch (operation->verb) {
	case RING_CONNECT:
		if (operation->phase == PHASE_TRY_ASKED) {
			int error = 0;
			socklen_t error_bytes = sizeof error;
			getsockopt(operation->fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
			errno = error;
			return error ? -1 : 0;
		}
		return connect(operation->fd, (const struct sockaddr *)&operation->address,
			       operation->address_bytes);
	case RING_RECEIVE:
		return recv(operation->fd, operation->bytes_at, operation->bytes, MSG_DONTWAIT);
	case RING_SEND:
		return send(operation->fd, operation->bytes_at + operation->bytes_done,
			    operation->bytes - operation->bytes_done, MSG_DONTWAIT | MSG_NOSIGNAL);
	case RING_WRITE:
		return write_some(operation);
	case RING_FSYNC:
		return fsync(operation->fd);
	case RING_WAKE:
		break;
	}
	return 0;
}

/* Tries a PHASE_TRY operation until it has ended or must wait. */
static void try(struct ring *ring, struct ring_operation *operation)
{
	for (;;) {
		if (operation->cancelling) {
			ring_operation_end(ring, operation, -ECANCELED);
			return;
		}
		ssize_t moved = call(operation);
		int result = moved < 0 ? -errno : (int)moved;
		if (result == -EINTR && operation->verb != RING_CONNECT)
			continue;
		if (result == -EAGAIN) {
			operation->phase = PHASE_AWAIT;
			return;
		}
		if (result == -EINPROGRESS || result == -EINTR) { /* connect(2) goes on behind both */
			operation->phase = PHASE_AWAIT_ASKED;
			return;
		}
		if (operation->verb == RING_RECEIVE && result > 0)
			operation->bytes_done = (size_t)result;
		if ((operation->verb == RING_SEND || operation->verb == RING_WRITE) && result >= 0 &&
		    !ring_operation_advance(operation, (size_t)result, &result))
			continue;
		ring_operation_end(ring, operation, result);
		return;
	}
}

static void try_all(struct ring *ring)
{
	struct ring_operation *next;
	for (struct ring_operation *at = ring->pending.first; at; at = next) {
		next = at->next;
		if (at->phase == PHASE_TRY || at->phase == PHASE_TRY_ASKED)
			try(ring, at);
	}
}

/* Polls for all waiting operations and marks those whose turn it is. Returns what ppoll(2) returns. */
static int poll_all(struct ring *ring, int64_t wait_ns)
{
	struct poll_state *state = ring->state;
	unsigned count = 0;
	for (struct ring_operation *at = ring->pending.first; at; at = at->next) {
		int reads = at->verb == RING_RECEIVE || at->verb == RING_WAKE;
		state->entries[count] = (struct pollfd){ .fd = at->fd, .events = reads ? POLLIN : POLLOUT };
		state->operations[count++] = at;
	}
	struct timespec time = { .tv_sec = wait_ns / NS_PER_SECOND, .tv_nsec = wait_ns % NS_PER_SECOND };
	int result = ppoll(state->entries, count, &time, NULL);
	for (unsigned i = 0; result > 0 && i < count; i++) {
		struct ring_operation *operation = state->operations[i];
		int events = state->entries[i].revents;
		if (!events)
			continue;
		if (events & POLLNVAL)
			ring_operation_end(ring, operation, -EBADF);
		else if (operation->verb == RING_WAKE)
			ring_operation_end(ring, operation, 0);
		else
			operation->phase =
				operation->phase == PHASE_AWAIT_ASKED ? PHASE_TRY_ASKED : PHASE_TRY;
	}
	return result;
}

static void poll_pump(struct ring *ring, int64_t deadline_ns)
{
	for (;;) {
		try_all(ring);
		int64_t wait_ns = deadline_ns && !ring->ready.first ? deadline_ns - clock_monotonic_ns() : 0;
		if (wait_ns < 0)
			wait_ns = 0;
		if (wait_ns > WAIT_NS_MAX)
			wait_ns = WAIT_NS_MAX;
		/* Also when something is ready already: else a busy descriptor would starve the others. */
		int result = poll_all(ring, wait_ns);
		if (result > 0)
			try_all(ring);
		if (ring->ready.first || (result < 0 && errno == EINTR) || wait_ns == 0)
			return;
		if (result < 0)
			CHECK_EQ(errno, ENOMEM);
	}
}

/* The operation has not ended, so it is waiting: end it at the next pump. */
static void poll_cancel(struct ring *ring, struct ring_operation *operation)
{
	(void)ring;
	operation->phase = PHASE_TRY;
}

static void poll_cancel_fd(struct ring *ring, int fd)
{
	for (struct ring_operation *at = ring->pending.first; at; at = at->next) {
		if (at->fd != fd)
			continue;
		/* io_uring tries a send that was started just before it sees the cancel request. It may be
		 * the TLS alert that says why the connection ends. */
		if (at->verb == RING_SEND && at->phase == PHASE_TRY)
			call(at);
		at->phase = PHASE_TRY;
	}
}

static void poll_finish(struct ring *ring)
{
	ring->state = NULL;
}

const struct ring_engine_table ring_poll_engine = {
	.socket_flags = SOCK_NONBLOCK,
	.open = poll_open,
	.take_over = poll_take_over,
	.register_buffer = poll_register_buffer,
	.start = poll_start,
	.cancel = poll_cancel,
	.cancel_fd = poll_cancel_fd,
	.pump = poll_pump,
	.finish = poll_finish,
};
