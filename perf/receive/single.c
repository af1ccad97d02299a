/* SPDX-License-Identifier: Apache-2.0
 *
 * io_uring with one request for each receive, into memory that we name, and what a record layer does with
 * it: it wants whole records, so the part of one at the end is either moved to the front of the buffer, or
 * left where it is in a ring whose memory is mapped twice in a row, so that it goes on behind its own end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uring.h"

struct window {
	uint8_t *base;
	size_t bytes;	     /* that can be filled */
	size_t mapped_bytes; /* twice that, when it is mirrored */
	size_t at, held;     /* where the bytes that were not consumed begin, and how many there are */
};

static void mirror(struct window *window)
{
	int fd = memfd_create("receive", MFD_CLOEXEC);
	window->mapped_bytes = 2 * window->bytes;
	if (fd < 0 || ftruncate(fd, (off_t)window->bytes) < 0)
		receive_fail("memfd", errno);
	window->base = receive_memory(window->mapped_bytes);
	for (size_t half = 0; half < 2; half++) {
		if (mmap(window->base + half * window->bytes, window->bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			receive_fail("mmap", errno);
	}
	close(fd);
}

static void window_open(const struct receive_run *run, struct window *window)
{
	*window = (struct window){ .bytes = (size_t)run->variant->buffer_kilobytes << 10 };
	if (has(run, OPTION_RECORDS_MIRRORED)) {
		mirror(window);
		return;
	}
	window->mapped_bytes = window->bytes;
	window->base = receive_memory(window->bytes);
}

static void request(struct receive_run *run, struct io_uring *ring, const struct window *window)
{
	struct io_uring_sqe *entry = uring_request(ring);
	uint8_t *target = window->base + window->at + window->held;
	size_t bytes = window->bytes - window->held;
	if (has(run, OPTION_RECORDS_MIRRORED) && target >= window->base + window->bytes)
		target -= window->bytes;
	if (has(run, OPTION_REGISTERED)) {
		io_uring_prep_read_fixed(entry, run->fd, target, (unsigned)bytes, 0, 0);
		return;
	}
	io_uring_prep_recv(entry, run->fd, target, bytes, has(run, OPTION_WAIT_ALL) ? MSG_WAITALL : 0);
	if (has(run, OPTION_POLL_FIRST))
		entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
	if (has(run, OPTION_REGISTERED_RECV))
		entry->ioprio |= URING_RECV_FIXED_BUFFER;
}

/* Consumes all that came, or all whole records of it. */
static void consume(struct receive_run *run, struct window *window, size_t got)
{
	window->held += got;
	if (!has(run, OPTION_RECORDS_MOVED | OPTION_RECORDS_MIRRORED)) {
		receive_take(run, window->base, window->held);
		window->held = 0;
		return;
	}
	while (window->held >= RECORD_HEADER_BYTES) {
		const uint8_t *record = window->base + window->at;
		size_t bytes = RECORD_HEADER_BYTES + ((size_t)record[3] << 8) + record[4];
		if (window->held < bytes)
			break;
		receive_take(run, record, bytes);
		window->at += bytes;
		window->held -= bytes;
	}
	if (has(run, OPTION_RECORDS_MIRRORED)) {
		window->at %= window->bytes;
	} else {
		memmove(window->base, window->base + window->at, window->held);
		window->at = 0;
	}
}

/* Returns 0 at the end of the stream, -1 when the kernel refuses such requests. */
static int receive_all(struct receive_run *run, struct io_uring *ring, struct window *window)
{
	for (;;) {
		request(run, ring, window);
		/* One more than ever comes: min-wait then always lets its time pass. */
		struct io_uring_cqe *completion = uring_next(run, ring, 2);
		int result = completion->res;
		io_uring_cqe_seen(ring, completion);
		if (result == 0)
			return 0;
		if (result == -EINVAL && run->receives == 0)
			return receive_lacks(run, "this kernel refuses the request (EINVAL)%s",
					     has(run, OPTION_REGISTERED_RECV) ? "; Linux 7.2 and later do not"
									      : "");
		if (result < 0 && result != -EINTR && result != -EAGAIN)
			receive_fail("receive", -result);
		if (result < 0)
			continue;
		consume(run, window, (size_t)result);
		receive_count(run, (size_t)result);
	}
}

int receive_by_single(struct receive_run *run)
{
	struct io_uring ring;
	struct window window;
	if (uring_open(run, &ring) < 0)
		return -1;
	window_open(run, &window);
	int result = 0;
	if (has(run, OPTION_REGISTERED | OPTION_REGISTERED_RECV)) {
		struct iovec memory = { .iov_base = window.base, .iov_len = window.mapped_bytes };
		int code = io_uring_register_buffers(&ring, &memory, 1);
		if (code < 0)
			result = receive_lacks(run, "memory cannot be registered: %s", strerror(-code));
	}
	if (result == 0) {
		receive_start(run);
		result = receive_all(run, &ring, &window);
		if (result == 0)
			receive_stop(run);
		else
			close(run->fd);
	}
	io_uring_queue_exit(&ring);
	munmap(window.base, window.mapped_bytes);
	return result;
}
