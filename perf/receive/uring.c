/* SPDX-License-Identifier: Apache-2.0
 *
 * Setting up an io_uring with what a variant asks for, and waiting for it. io_uring_setup(2),
 * io_uring_enter(2), io_uring_register(2).
 */
#define _GNU_SOURCE
#include "uring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRIES = 8, COMPLETIONS = 1024, THREAD_IDLE_MS = 10 };

/* struct io_uring_napi */
struct napi {
	uint32_t busy_poll_us;
	uint8_t prefer_busy_poll;
	uint8_t operation[3]; /* and padding */
	uint32_t parameter, reserved;
};

/* struct io_uring_getevents_arg, with what was padding before Linux 6.12 */
struct wait_argument {
	uint64_t signals;
	uint32_t signals_bytes;
	uint32_t min_wait_us;
	uint64_t time; /* address of a struct __kernel_timespec */
};

static unsigned setup_flags(const struct receive_run *run)
{
	/* The kernel's thread submits and completes for us: it takes none of the other two. */
	if (has(run, OPTION_KERNEL_THREAD))
		return IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER;
	if (has(run, OPTION_COOPERATIVE))
		return IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN;
	if (has(run, OPTION_INTERRUPT))
		return IORING_SETUP_SINGLE_ISSUER;
	return IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
}

static int features_check(struct receive_run *run, const struct io_uring *ring)
{
	if (has(run, OPTION_BUNDLE) && !(ring->features & URING_FEATURE_BUNDLE))
		return receive_lacks(run, "this kernel has no bundles (Linux 6.10 and later do)");
	if (has(run, OPTION_MIN_WAIT) && !(ring->features & URING_FEATURE_MIN_WAIT))
		return receive_lacks(run, "this kernel cannot let more come (Linux 6.12 and later can)");
	if (has(run, OPTION_NAPI)) {
		struct napi napi = { .busy_poll_us = run->variant->patience_us, .prefer_busy_poll = 1 };
		if (syscall(SYS_io_uring_register, ring->ring_fd, URING_REGISTER_NAPI, &napi, 1) < 0)
			return receive_lacks(run, "NAPI cannot be registered: %s (Linux 6.9 and later can)",
					     strerror(errno));
	}
	return 0;
}

int uring_open(struct receive_run *run, struct io_uring *ring)
{
	struct io_uring_params parameters = { .flags = setup_flags(run) | IORING_SETUP_SUBMIT_ALL |
						       IORING_SETUP_CQSIZE,
					      .cq_entries = COMPLETIONS,
					      .sq_thread_idle = THREAD_IDLE_MS };
	/* The kernel's thread inherits where it may run; on our CPU it would wait for us, and we for it. */
	if (has(run, OPTION_KERNEL_THREAD))
		receive_pin(-1);
	int result = io_uring_queue_init_params(ENTRIES, ring, &parameters);
	receive_pin(0);
	if (result < 0)
		return receive_lacks(run, "io_uring cannot be set up: %s", strerror(-result));
	io_uring_register_ring_fd(ring); /* as src/ring does; without, it is only slower */
	if (features_check(run, ring) < 0) {
		io_uring_queue_exit(ring);
		return -1;
	}
	return 0;
}

struct io_uring_sqe *uring_request(struct io_uring *ring)
{
	struct io_uring_sqe *request;
	while (!(request = io_uring_get_sqe(ring))) {
		int result = io_uring_submit(ring);
		if (result < 0 && result != -EINTR)
			receive_fail("io_uring_submit", -result);
	}
	return request;
}

static void min_wait(const struct receive_run *run, const struct io_uring *ring, unsigned many)
{
	struct __kernel_timespec time = { .tv_sec = 60 };
	struct wait_argument argument = { .min_wait_us = run->variant->patience_us,
					  .time = (uintptr_t)&time };
	if (syscall(SYS_io_uring_enter, ring->ring_fd, 0, many, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
		    &argument, sizeof argument) < 0 &&
	    errno != EINTR)
		receive_fail("io_uring_enter", errno);
}

struct io_uring_cqe *uring_next(struct receive_run *run, struct io_uring *ring, unsigned many)
{
	struct io_uring_cqe *completion;
	while (io_uring_peek_cqe(ring, &completion) != 0) {
		int result;
		if (!has(run, OPTION_MIN_WAIT)) {
			result = io_uring_submit_and_wait(ring, 1);
		} else {
			/* What is there already must not be waited for. */
			result = io_uring_submit(ring);
			if (result >= 0 && io_uring_peek_cqe(ring, &completion) == 0)
				break;
			min_wait(run, ring, many);
		}
		if (result < 0 && result != -EINTR)
			receive_fail("io_uring_submit_and_wait", -result);
	}
	return completion;
}
