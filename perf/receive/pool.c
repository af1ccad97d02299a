/* SPDX-License-Identifier: Apache-2.0
 *
 * io_uring with one multishot request and a ring of buffers from which the kernel takes the next one, whole,
 * in pieces (incremental), or several at once (bundles). The buffers come back in the order in which they
 * were given, and receive_take() sees to it that the bytes do, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

enum { GROUP = 0, MANY = 8, COUNT_MAX = 64 };

struct pool {
	struct io_uring_buf_ring *entries;
	size_t entries_bytes;
	uint8_t *base;
	size_t buffer_bytes;
	unsigned count;
	size_t used[COUNT_MAX]; /* of each buffer, when it is filled in pieces */
};

/* struct io_uring_buf_reg, with what was padding before Linux 6.6 */
struct pool_registration {
	uint64_t address;
	uint32_t count;
	uint16_t group, flags;
	uint64_t reserved[3];
};

static void give(struct pool *pool, unsigned id)
{
	pool->used[id] = 0;
	io_uring_buf_ring_add(pool->entries, pool->base + id * pool->buffer_bytes,
			      (unsigned)pool->buffer_bytes, (unsigned short)id, (int)pool->count - 1, 0);
	io_uring_buf_ring_advance(pool->entries, 1);
}

static int pool_open(struct receive_run *run, const struct io_uring *ring, struct pool *pool)
{
	*pool = (struct pool){ .buffer_bytes = (size_t)run->variant->buffer_kilobytes << 10,
			       .count = run->variant->buffer_count };
	pool->entries_bytes = pool->count * sizeof(struct io_uring_buf);
	pool->base = receive_memory(pool->count * pool->buffer_bytes);
	pool->entries = (struct io_uring_buf_ring *)(void *)receive_memory(pool->entries_bytes);
	struct pool_registration registration = { .address = (uintptr_t)pool->entries,
						  .count = pool->count,
						  .group = GROUP,
						  .flags = has(run, OPTION_INCREMENTAL)
								   ? URING_RING_INCREMENTAL
								   : 0 };
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_PBUF_RING, &registration, 1) < 0)
		return receive_lacks(run, "buffers cannot be provided: %s (%s)", strerror(errno),
				     has(run, OPTION_INCREMENTAL) ? "incremental ones since Linux 6.12"
								  : "since Linux 5.19");
	for (unsigned id = 0; id < pool->count; id++)
		give(pool, id);
	return 0;
}

static void request(struct receive_run *run, struct io_uring *ring)
{
	struct io_uring_sqe *entry = uring_request(ring);
	io_uring_prep_recv_multishot(entry, run->fd, NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = GROUP;
	if (has(run, OPTION_BUNDLE))
		entry->ioprio |= URING_RECV_BUNDLE;
}

/* The bytes of one completion: in one buffer, or with a bundle in those behind it, too. */
static void consume(struct receive_run *run, struct pool *pool, unsigned flags, size_t bytes)
{
	unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
	int more = has(run, OPTION_INCREMENTAL) && (flags & URING_BUFFER_MORE);
	while (bytes) {
		size_t room = pool->buffer_bytes - pool->used[id];
		size_t piece = bytes < room ? bytes : room;
		receive_take(run, pool->base + id * pool->buffer_bytes + pool->used[id], piece);
		pool->used[id] += piece;
		bytes -= piece;
		/* The kernel is through with it, but for the last one of which it says so. */
		if (pool->used[id] == pool->buffer_bytes || bytes || !more)
			give(pool, id);
		id = (id + 1) % pool->count;
	}
}

/* Returns 0 at the end of the stream, -1 when the kernel refuses such requests. */
static int receive_all(struct receive_run *run, struct io_uring *ring, struct pool *pool)
{
	int armed = 0;
	for (;;) {
		if (!armed)
			request(run, ring);
		struct io_uring_cqe *completion = uring_next(run, ring, MANY);
		int result = completion->res;
		unsigned flags = completion->flags;
		io_uring_cqe_seen(ring, completion);
		armed = (flags & IORING_CQE_F_MORE) != 0;
		if (result == 0)
			return 0;
		if (result == -EINVAL && run->receives == 0)
			return receive_lacks(run, "this kernel refuses the request (EINVAL)");
		/* Without a buffer the request ends; by now all are given back. */
		if (result < 0 && result != -ENOBUFS)
			receive_fail("receive", -result);
		if (result < 0)
			continue;
		consume(run, pool, flags, (size_t)result);
		receive_count(run, (size_t)result);
	}
}

int receive_by_pool(struct receive_run *run)
{
	struct io_uring ring;
	struct pool pool;
	if (uring_open(run, &ring) < 0)
		return -1;
	int result = pool_open(run, &ring, &pool);
	if (result == 0) {
		receive_start(run);
		result = receive_all(run, &ring, &pool);
		if (result == 0)
			receive_stop(run);
		else
			close(run->fd);
	}
	io_uring_queue_exit(&ring);
	munmap(pool.entries, pool.entries_bytes);
	munmap(pool.base, pool.count * pool.buffer_bytes);
	return result;
}
