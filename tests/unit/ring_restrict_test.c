/* SPDX-License-Identifier: Apache-2.0
 *
 * The restrictions of an io_uring: what ring uses works (ring_test runs with them too), and the kernel
 * refuses the rest to whoever gets hold of the ring: other operations, flags and registrations.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/engine.h"
#include "test.h"

#define PATIENCE_NS (60 * NS_PER_SECOND) /* a bound against hanging */

struct fixture {
	struct arena arena;
	struct ring *ring;
	struct io_uring *raw;
	struct ring_report report;
	uint8_t *memory;
};

static void fixture_open(struct fixture *f)
{
	struct ring_options options = { .engine = RING_ENGINE_URING, .operations_max = 8 };
	*f = (struct fixture){ 0 };
	EQ(arena_open(&f->arena, 1 << 20), 0);
	f->memory = arena_take(&f->arena, 8192, 4096);
	if (ring_open(&options, &f->arena, &f->ring, &f->report) < 0)
		SKIP("%s", f->report.notice);
	EQ(f->report.restricted, 1);
	f->raw = f->ring->state; /* the engine's state begins with it */
}

static void fixture_finish(struct fixture *f)
{
	ring_finish(f->ring);
	arena_finish(&f->arena);
}

/* Hands the prepared request over and returns its result. */
static int result_of(struct fixture *f)
{
	struct io_uring_cqe *completion;
	EQ(io_uring_submit_and_wait(f->raw, 1), 1);
	EQ(io_uring_peek_cqe(f->raw, &completion), 0);
	int result = completion->res;
	io_uring_cqe_seen(f->raw, completion);
	return result;
}

static void refuses_other_operations(void)
{
	struct fixture f;
	fixture_open(&f);
	struct sockaddr_storage address = { .ss_family = AF_INET };
	int fd = eventfd(0, EFD_CLOEXEC);
	GE(fd, 0);
	io_uring_prep_openat(io_uring_get_sqe(f.raw), AT_FDCWD, "/dev/null", O_RDONLY, 0);
	EQ(result_of(&f), -EACCES);
	io_uring_prep_socket(io_uring_get_sqe(f.raw), AF_INET, SOCK_STREAM, 0, 0);
	EQ(result_of(&f), -EACCES);
	io_uring_prep_accept(io_uring_get_sqe(f.raw), fd, (struct sockaddr *)&address, NULL, 0);
	EQ(result_of(&f), -EACCES);
	io_uring_prep_unlinkat(io_uring_get_sqe(f.raw), AT_FDCWD, "/nonexistent/file", 0);
	EQ(result_of(&f), -EACCES);
	io_uring_prep_read(io_uring_get_sqe(f.raw), fd, f.memory, 8, 0);
	EQ(result_of(&f), -EACCES);
	/* Would connect, with an address and MSG_FASTOPEN. */
	io_uring_prep_send(io_uring_get_sqe(f.raw), fd, f.memory, 8, MSG_FASTOPEN);
	EQ(result_of(&f), -EACCES);
	io_uring_prep_nop(io_uring_get_sqe(f.raw));
	EQ(result_of(&f), -EACCES);
	/* Every number but ours, also those that this kernel does not know, which liburing's headers may. */
	struct io_uring_probe *known = io_uring_get_probe();
	if (!known)
		FAIL("the kernel does not tell what it knows");
	unsigned allowed = 0;
	for (unsigned operation = 0; operation < 256; operation++) {
		struct io_uring_sqe *request = io_uring_get_sqe(f.raw);
		if (!request)
			break; /* and the number below is wrong */
		memset(request, 0, sizeof *request);
		request->opcode = (uint8_t)operation;
		request->fd = -1;
		int result = result_of(&f);
		/* EINVAL is from a kernel that does not know the operation; it looks at that first. */
		if (result != -EACCES && !(result == -EINVAL && operation > known->last_op))
			allowed++;
	}
	io_uring_free_probe(known);
	EQ(allowed, 7);
	close(fd);
	fixture_finish(&f);
}

static void refuses_request_flags(void)
{
	static const unsigned flags[] = { IOSQE_FIXED_FILE, IOSQE_IO_LINK, IOSQE_IO_DRAIN, IOSQE_ASYNC };
	struct fixture f;
	fixture_open(&f);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct io_uring_sqe *request = io_uring_get_sqe(f.raw);
		io_uring_prep_fsync(request, 0, 0);
		request->flags = (uint8_t)flags[i];
		EQ(result_of(&f), -EACCES);
	}
	fixture_finish(&f);
}

static void refuses_other_registrations(void)
{
	struct fixture f;
	fixture_open(&f);
	static const unsigned operations[] = { IORING_REGISTER_FILES, IORING_REGISTER_EVENTFD,
					       IORING_REGISTER_PERSONALITY, IORING_REGISTER_PROBE,
					       IORING_REGISTER_IOWQ_MAX_WORKERS };
	int fd = eventfd(0, EFD_CLOEXEC);
	GE(fd, 0);
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		EQ(syscall(__NR_io_uring_register, f.raw->ring_fd, operations[i], &fd, 1), -1);
		EQ(errno, EACCES);
	}
	/* What is sealed cannot be widened. */
	struct io_uring_restriction widened = { .opcode = IORING_RESTRICTION_SQE_OP,
						.sqe_op = IORING_OP_OPENAT };
	EQ(syscall(__NR_io_uring_register, f.raw->ring_fd, IORING_REGISTER_RESTRICTIONS, &widened, 1), -1);
	EQ(errno == EACCES || errno == EBADFD, 1);
	close(fd);
	fixture_finish(&f);
}

/* Receiving into a buffer that was registered behind the seal, and sending. */
static void works_sealed(void)
{
	struct fixture f;
	struct ring_operation receive = { 0 }, send = { 0 };
	int fds[2];
	fixture_open(&f);
	ring_register_buffer(f.ring, f.memory, 4096);
	EQ(ring_report_of(f.ring)->registered_buffers_errno == 0 ||
		   ring_report_of(f.ring)->registered_buffers_errno == ENOMEM,
	   1);
	EQ(ring_report_of(f.ring)->restricted, 1);
	EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	memcpy(f.memory + 4096, "hello", 5);
	ring_receive(f.ring, &receive, fds[0], f.memory, 100);
	ring_send(f.ring, &send, fds[1], f.memory + 4096, 5);
	for (int i = 0; i < 2; i++) {
		struct ring_operation *done = ring_wait(f.ring, clock_monotonic_ns() + PATIENCE_NS);
		NE((uintptr_t)done, 0);
		EQ(done->result, 5);
	}
	EQ_BYTES(f.memory, 5, "hello", 5);
	close(fds[0]);
	close(fds[1]);
	fixture_finish(&f);
}

static void poll_says_no(void)
{
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_options options = { .engine = RING_ENGINE_POLL, .operations_max = 8 };
	EQ(arena_open(&arena, 1 << 20), 0);
	EQ(ring_open(&options, &arena, &ring, &report), 0);
	EQ(report.restricted, 0);
	ring_finish(ring);
	arena_finish(&arena);
}

static void *take_over(void *argument)
{
	struct fixture *f = argument;
	int result = ring_take_over(f->ring);
	/* Once for all: it cannot be enabled, or restricted, again. */
	if (result == 0 &&
	    syscall(__NR_io_uring_register, f->raw->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		result = errno;
	io_uring_prep_nop(io_uring_get_sqe(f->raw));
	EQ(result_of(f), -EACCES);
	io_uring_prep_fsync(io_uring_get_sqe(f->raw), -1, 0);
	EQ(result_of(f), -EBADF);
	ring_finish(f->ring);
	return (void *)(intptr_t)result;
}

/* Until a thread has taken it over it does nothing at all, and then no more than others. */
static void handed_over_is_restricted(void)
{
	struct ring_options options = { .engine = RING_ENGINE_URING, .operations_max = 8, .handed_over = 1 };
	struct fixture f = { 0 };
	pthread_t thread;
	void *result;
	EQ(arena_open(&f.arena, 1 << 20), 0);
	f.memory = arena_take(&f.arena, 8192, 4096);
	if (ring_open(&options, &f.arena, &f.ring, &f.report) < 0)
		SKIP("%s", f.report.notice);
	EQ(f.report.restricted, 1);
	EQ(f.report.registered_ring, 0);
	ring_register_buffer(f.ring, f.memory, 4096);
	EQ(ring_report_of(f.ring)->registered_buffers_errno, 0);
	f.raw = f.ring->state;
	EQ(syscall(__NR_io_uring_enter, f.raw->ring_fd, 1, 0, 0, NULL, 0), -1);
	EQ(errno, EBADFD);
	EQ(pthread_create(&thread, NULL, take_over, &f), 0);
	EQ(pthread_join(thread, &result), 0);
	EQ((intptr_t)result, EACCES);
	arena_finish(&f.arena);
}

TEST_MAIN(T(handed_over_is_restricted), T(refuses_other_operations), T(refuses_request_flags),
	  T(refuses_other_registrations), T(works_sealed), T(poll_says_no))
