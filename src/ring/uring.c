/* SPDX-License-Identifier: Apache-2.0
 *
 * The io_uring engine; the only file that includes liburing. One single-shot request per operation with an
 * explicit address, because bytes must land exactly behind a partial record and because measurements on bulk
 * data show no gain from multishot receives into buffer pools (and a loss from SQPOLL).
 *
 * DEFER_TASKRUN: completions are posted only while we are inside io_uring_enter(GETEVENTS), so nothing
 * interrupts the stages between two ring_wait() calls.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "ring/engine.h"

#if defined(__SANITIZE_ADDRESS__)
#define RING_CHECKS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RING_CHECKS_POISON 1
#endif
#endif
#ifdef RING_CHECKS_POISON
#include <sanitizer/asan_interface.h>
#endif

/* Newer than liburing 2.3's header. liburing 2.6 and later ask for it by themselves. */
#define SETUP_NO_SQARRAY (1U << 16)

#define USER_DATA_CANCEL 1		   /* of cancel requests; never the address of an operation */
#define WAIT_NS_MAX (3600 * NS_PER_SECOND) /* far from the overflow of the kernel's clock arithmetic */

enum phase {
	PHASE_RUN,   /* the verb's own request is with the kernel */
	PHASE_AWAIT, /* a poll request is: the descriptor is non-blocking and was not ready */
};

struct uring_state {
	struct io_uring ring;
	struct iovec regions[RING_REGIONS_MAX];
	unsigned region_count;
};

/* What the ring is ever asked to do. The kernel refuses the rest with EACCES, since a seccomp filter does not
 * see what goes through the ring: code that took over this process could open files and sockets in it. */
static const uint8_t operations_wanted[] = { IORING_OP_RECV,	IORING_OP_CONNECT,    IORING_OP_ASYNC_CANCEL,
					     IORING_OP_WRITE,	IORING_OP_READ_FIXED, IORING_OP_FSYNC,
					     IORING_OP_POLL_ADD };
/* The same for io_uring_register(2): receive buffers follow later (uring_register_buffer()), the end takes
 * the registered descriptor back. */
static const uint8_t registrations_wanted[] = { IORING_REGISTER_BUFFERS2, IORING_REGISTER_BUFFERS_UPDATE,
						IORING_UNREGISTER_RING_FDS };
#define RESTRICTIONS (sizeof operations_wanted + sizeof registrations_wanted + 1)

/* Returns 0 when the kernel knows all that we ask for, else -errno. */
static int probe(struct io_uring *ring)
{
	union {
		struct io_uring_probe probe;
		uint8_t room[sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op)];
	} answer;
	memset(&answer, 0, sizeof answer);
	int result = io_uring_register_probe(ring, &answer.probe, 256);
	if (result < 0)
		return result;
	if (!(ring->features & IORING_FEAT_EXT_ARG))
		return -EOPNOTSUPP;
	for (size_t i = 0; i < sizeof operations_wanted; i++) {
		if (operations_wanted[i] > answer.probe.last_op ||
		    !(answer.probe.ops[operations_wanted[i]].flags & IO_URING_OP_SUPPORTED))
			return -EOPNOTSUPP;
	}
	return 0;
}

/* liburing 2.3 has two of these calls in its header only, not in its library. */
static int register_by_number(const struct io_uring *ring, unsigned operation, const void *argument,
			      unsigned count)
{
	long result = syscall(__NR_io_uring_register, ring->ring_fd, operation, argument, count);
	return result < 0 ? -errno : 0;
}

/* Allows the disabled ring what we use and nothing else, for good. */
static int restrict_to_wanted(struct io_uring *ring, int registered_ring)
{
	struct io_uring_restriction restrictions[RESTRICTIONS] = { 0 };
	unsigned count = 0;
	for (size_t i = 0; i < sizeof operations_wanted; i++) {
		restrictions[count].opcode = IORING_RESTRICTION_SQE_OP;
		restrictions[count++].sqe_op = operations_wanted[i];
	}
	for (size_t i = 0; i < sizeof registrations_wanted; i++) {
		/* A kernel that lacks it (before 5.18) would refuse the whole list. */
		if (registrations_wanted[i] == IORING_UNREGISTER_RING_FDS && !registered_ring)
			continue;
		restrictions[count].opcode = IORING_RESTRICTION_REGISTER_OP;
		restrictions[count++].register_op = registrations_wanted[i];
	}
	/* No links, no registered files, no credentials of others. */
	restrictions[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	restrictions[count++].sqe_flags = 0;
	return register_by_number(ring, IORING_REGISTER_RESTRICTIONS, restrictions, count);
}

/* Whether a seccomp filter lets io_uring_enter(2) pass. A disabled ring answers EBADFD. */
static int enter_passes(const struct io_uring *ring)
{
	long result = syscall(__NR_io_uring_enter, ring->ring_fd, 0, 0, 0, NULL, 0);
	return result < 0 && errno != EBADFD ? -errno : 0;
}

/* Takes from the disabled ring what it is not wanted for. Returns 0 or -errno: seccomp filters may pass one
 * of io_uring's three system calls and not the others, so each is tried. */
static int prepare(struct io_uring *ring, int handed_over, struct ring_report *report)
{
	int result = probe(ring);
	if (result < 0)
		return result;
	/* Before the restrictions, which do not allow it. Such numbers are of one thread: a ring that is to
	 * be another's goes by its descriptor. */
	int registered_ring = !handed_over && io_uring_register_ring_fd(ring) == 1;
	/* Should it ever fail where the probe passed, the ring serves without; the report tells. */
	int restricted = restrict_to_wanted(ring, registered_ring) == 0;
	result = enter_passes(ring);
	if (result < 0)
		return result;
	report->registered_ring = registered_ring;
	report->restricted = restricted;
	return 0;
}

/* Makes it usable, by this thread: that is who enables a ring with a single issuer. Returns 0 or -errno. */
static int enable(struct io_uring *ring)
{
	int result = register_by_number(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (result < 0)
		return result;
	result = io_uring_submit_and_get_events(ring);
	return result < 0 ? result : 0;
}

/* Tries the flags from the best set down; each step drops what the next older kernel does not know. */
static int setup(struct io_uring *ring, unsigned operations_max)
{
	static const unsigned flag_sets[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL, /* 6.1 */
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,  /* 6.0 */
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,				   /* 5.19 */
		IORING_SETUP_SUBMIT_ALL,							   /* 5.18 */
		0,
	};
	int result = -EINVAL;
	for (size_t i = 0; i < sizeof flag_sets / sizeof *flag_sets && result == -EINVAL; i++) {
		struct io_uring_params params = {
			/* Disabled, because a ring in use takes no restrictions any more. Since Linux 5.10;
			 * what probe() asks for came later. */
			.flags = flag_sets[i] | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE |
				 IORING_SETUP_R_DISABLED,
			/* Each operation has at most one request and one cancel request under way. */
			.cq_entries = 4 * operations_max,
		};
		result = io_uring_queue_init_params(operations_max, ring, &params);
	}
	return result;
}

static int uring_open(struct ring *ring, struct arena *arena)
{
	struct uring_state *state = arena_take(arena, sizeof *state, 64);
	struct ring_report *report = &ring->report;
	memset(state, 0, sizeof *state);
	int result = setup(&state->ring, ring->options.operations_max);
	if (result < 0)
		return result;
	result = prepare(&state->ring, ring->options.handed_over, report);
	if (result == 0 && !ring->options.handed_over)
		result = enable(&state->ring);
	if (result < 0) {
		io_uring_queue_exit(&state->ring);
		return result;
	}
	ring->state = state;
	report->features = state->ring.features;
	report->single_issuer = !!(state->ring.flags & IORING_SETUP_SINGLE_ISSUER);
	report->defer_taskrun = !!(state->ring.flags & IORING_SETUP_DEFER_TASKRUN);
	report->coop_taskrun = !!(state->ring.flags & IORING_SETUP_COOP_TASKRUN);
	report->no_sqarray = !!(state->ring.flags & SETUP_NO_SQARRAY);
	report->receive_mode =
		ring->options.receive_mode == RING_RECEIVE_PLAIN ? RING_RECEIVE_PLAIN : RING_RECEIVE_FIXED;
	return 0;
}

static int uring_take_over(struct ring *ring)
{
	struct uring_state *state = ring->state;
	return enable(&state->ring);
}

static int uring_register_buffer(struct ring *ring, void *base, size_t bytes)
{
	struct uring_state *state = ring->state;
	CHECK_LT(state->region_count, (unsigned)RING_REGIONS_MAX);
	if (state->region_count == 0) {
		int result = io_uring_register_buffers_sparse(&state->ring, RING_REGIONS_MAX);
		if (result < 0 && result != -EBUSY) /* EBUSY: the table stands since an earlier failure */
			return result;
	}
	struct iovec region = { .iov_base = base, .iov_len = bytes };
	__u64 tag = 0;
	int result =
		io_uring_register_buffers_update_tag(&state->ring, state->region_count, &region, &tag, 1);
	if (result < 0)
		return result;
	if (result != 1)
		return -EIO;
	state->regions[state->region_count++] = region;
	return 0;
}

/* The registered region that holds all of [at, at + bytes), or -1. */
static int region_find(const struct uring_state *state, const uint8_t *at, size_t bytes)
{
	for (unsigned i = 0; i < state->region_count; i++) {
		const uint8_t *base = state->regions[i].iov_base;
		if (at >= base && bytes <= state->regions[i].iov_len &&
		    (size_t)(at - base) <= state->regions[i].iov_len - bytes)
			return (int)i;
	}
	return -1;
}

/* The sanitizer cannot see what the kernel will touch, so the address is checked when it is handed over. */
static void address_check(const void *at, size_t bytes)
{
#ifdef RING_CHECKS_POISON
	CHECK_EQ(__asan_region_is_poisoned((void *)(uintptr_t)at, bytes), (void *)NULL);
#else
	(void)at;
	(void)bytes;
#endif
}

static struct io_uring_sqe *request_take(struct uring_state *state)
{
	struct io_uring_sqe *request = io_uring_get_sqe(&state->ring);
	while (!request) { /* the queue is full: hand it over early */
		int result = io_uring_submit(&state->ring);
		if (result != -EINTR && result != -EAGAIN && result != -EBUSY)
			CHECK_GE(result, 0);
		request = io_uring_get_sqe(&state->ring);
	}
	return request;
}

static void prepare_receive(const struct uring_state *state, struct io_uring_sqe *request,
			    const struct ring_operation *operation)
{
	int region = region_find(state, operation->bytes_at, operation->bytes);
	/* Where zero-copy receive enters: IORING_OP_RECV_ZC, and the completion sets bytes_at. */
	if (region >= 0)
		io_uring_prep_read_fixed(request, operation->fd, operation->bytes_at,
					 (unsigned)operation->bytes, 0, region);
	else
		io_uring_prep_recv(request, operation->fd, operation->bytes_at, operation->bytes, 0);
}

/* What a SEND or WRITE has still to move. */
static const uint8_t *rest_of(const struct ring_operation *operation, size_t rest_bytes)
{
	const uint8_t *rest = operation->bytes_at + operation->bytes_done;
	address_check(rest, rest_bytes);
	return rest;
}

static void prepare_verb(const struct uring_state *state, struct io_uring_sqe *request,
			 struct ring_operation *operation)
{
	size_t rest_bytes = operation->bytes - operation->bytes_done;
	switch (operation->verb) {
	case RING_CONNECT:
		io_uring_prep_connect(request, operation->fd, (struct sockaddr *)&operation->address,
				      operation->address_bytes);
		break;
	case RING_RECEIVE:
		address_check(operation->bytes_at, operation->bytes);
		prepare_receive(state, request, operation);
		break;
	case RING_SEND:
		/* Not IORING_OP_SEND, which takes an address and MSG_FASTOPEN too and then connects, past
		 * Landlock (seen on Linux 6.18); the restrictions cannot look into a request, so the
		 * operation is not among those allowed. */
		io_uring_prep_write(request, operation->fd, rest_of(operation, rest_bytes),
				    (unsigned)rest_bytes, UINT64_MAX);
		break;
	case RING_WRITE:
		io_uring_prep_write(request, operation->fd, rest_of(operation, rest_bytes),
				    (unsigned)rest_bytes,
				    operation->file_offset == UINT64_MAX
					    ? UINT64_MAX
					    : operation->file_offset + operation->bytes_done);
		break;
	case RING_FSYNC:
		io_uring_prep_fsync(request, operation->fd, 0);
		break;
	case RING_WAKE:
		io_uring_prep_poll_add(request, operation->fd, POLLIN);
		break;
	}
}

static void issue(struct ring *ring, struct ring_operation *operation)
{
	struct uring_state *state = ring->state;
	struct io_uring_sqe *request = request_take(state);
	if (operation->phase == PHASE_AWAIT)
		io_uring_prep_poll_add(request, operation->fd,
				       operation->verb == RING_RECEIVE ? POLLIN : POLLOUT);
	else
		prepare_verb(state, request, operation);
	io_uring_sqe_set_data(request, operation);
}

static void uring_start(struct ring *ring, struct ring_operation *operation)
{
	operation->phase = PHASE_RUN;
	issue(ring, operation);
}

/* What an operation's completion means: it has ended, or goes on. */
static void complete(struct ring *ring, struct ring_operation *operation, int result)
{
	if (operation->phase == PHASE_AWAIT) {
		operation->phase = PHASE_RUN;
		if (result >= 0 && !operation->cancelling)
			issue(ring, operation);
		else
			ring_operation_end(ring, operation, result < 0 ? result : -ECANCELED);
		return;
	}
	if (result == -EINTR || result == -EAGAIN) {
		if (operation->cancelling) {
			ring_operation_end(ring, operation, -ECANCELED);
			return;
		}
		operation->phase = result == -EAGAIN ? PHASE_AWAIT : PHASE_RUN;
		issue(ring, operation);
		return;
	}
	if (operation->verb == RING_WAKE && result > 0)
		result = result & POLLNVAL ? -EBADF : 0;
	if (operation->verb == RING_RECEIVE && result > 0)
		operation->bytes_done = (size_t)result;
	if ((operation->verb == RING_SEND || operation->verb == RING_WRITE) && result >= 0 &&
	    !ring_operation_advance(operation, (size_t)result, &result)) {
		issue(ring, operation);
		return;
	}
	ring_operation_end(ring, operation, result);
}

static void reap(struct ring *ring)
{
	struct uring_state *state = ring->state;
	struct io_uring_cqe *completion;
	while (io_uring_peek_cqe(&state->ring, &completion) == 0) {
		uint64_t user_data = completion->user_data;
		int result = completion->res;
		io_uring_cqe_seen(&state->ring, completion);
		/* A cancel request's own answer says nothing that the target's will not. */
		if (user_data == USER_DATA_CANCEL)
			continue;
		struct ring_operation *operation = (struct ring_operation *)(uintptr_t)user_data;
		CHECK_EQ(operation->magic, RING_OPERATION_MAGIC);
		CHECK_EQ(operation->pending, 1);
		complete(ring, operation, result);
	}
}

/* ETIME, EINTR: the caller's deadline or a signal. EAGAIN, EBUSY: the kernel is short of memory or of room
 * for completions; both pass when completions are taken. Anything else is a misuse of the interface. */
static void enter_check(int result)
{
	if (result != -ETIME && result != -EINTR && result != -EAGAIN && result != -EBUSY)
		CHECK_GE(result, 0);
}

/* What was ready before does not count as an answer where the caller waits for more (ring_close_fd()): with
 * DEFER_TASKRUN a cancelled request comes back only when the kernel is entered for it. */
static void uring_pump(struct ring *ring, int64_t deadline_ns)
{
	struct uring_state *state = ring->state;
	const struct ring_operation *known = deadline_ns ? ring->ready.last : NULL;
	reap(ring);
	if (ring->ready.last != known) {
		if (io_uring_sq_ready(&state->ring))
			enter_check(io_uring_submit_and_get_events(&state->ring));
		return;
	}
	for (;;) {
		struct io_uring_cqe *completion;
		int64_t wait_ns = deadline_ns ? deadline_ns - clock_monotonic_ns() : 0;
		int result;
		if (wait_ns <= 0) {
			enter_check(io_uring_submit_and_get_events(&state->ring));
			reap(ring);
			return;
		}
		if (wait_ns > WAIT_NS_MAX)
			wait_ns = WAIT_NS_MAX;
		struct __kernel_timespec time = { .tv_sec = wait_ns / NS_PER_SECOND,
						  .tv_nsec = wait_ns % NS_PER_SECOND };
		result = io_uring_submit_and_wait_timeout(&state->ring, &completion, 1, &time, NULL);
		enter_check(result);
		reap(ring);
		if (ring->ready.last != known) {
			/* What continues an operation, or was queued meanwhile, must not wait for the next
			 * call. */
			if (io_uring_sq_ready(&state->ring))
				enter_check(io_uring_submit_and_get_events(&state->ring));
			return;
		}
		if (result == -EINTR)
			return;
	}
}

static void uring_cancel(struct ring *ring, struct ring_operation *operation)
{
	struct io_uring_sqe *request = request_take(ring->state);
	io_uring_prep_cancel(request, operation, 0);
	io_uring_sqe_set_data64(request, USER_DATA_CANCEL);
}

static void uring_cancel_fd(struct ring *ring, int fd)
{
	struct io_uring_sqe *request = request_take(ring->state);
	io_uring_prep_cancel_fd(request, fd, IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(request, USER_DATA_CANCEL);
}

static void uring_finish(struct ring *ring)
{
	struct uring_state *state = ring->state;
	io_uring_queue_exit(&state->ring);
	ring->state = NULL;
}

const struct ring_engine_table ring_uring_engine = {
	.socket_flags = 0, /* the kernel waits for us */
	.open = uring_open,
	.take_over = uring_take_over,
	.register_buffer = uring_register_buffer,
	.start = uring_start,
	.cancel = uring_cancel,
	.cancel_fd = uring_cancel_fd,
	.pump = uring_pump,
	.finish = uring_finish,
};
