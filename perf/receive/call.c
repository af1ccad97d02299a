/* SPDX-License-Identifier: Apache-2.0
 *
 * The two ways that need no io_uring of this bench's own: recv(2), and the room src/ring.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "receive.h"
#include "ring/ring.h"

enum { OPERATIONS = 8 };

int receive_by_call(struct receive_run *run)
{
	size_t buffer_bytes = (size_t)run->variant->buffer_kilobytes << 10;
	uint8_t *buffer = receive_memory(buffer_bytes);
	receive_start(run);
	for (;;) {
		ssize_t got =
			recv(run->fd, buffer, buffer_bytes, has(run, OPTION_WAIT_ALL) ? MSG_WAITALL : 0);
		if (got < 0 && errno != EINTR)
			receive_fail("recv", errno);
		if (got == 0)
			break;
		if (got < 0)
			continue;
		receive_take(run, buffer, (size_t)got);
		receive_count(run, (size_t)got);
	}
	receive_stop(run);
	munmap(buffer, buffer_bytes);
	return 0;
}

int receive_by_room(struct receive_run *run)
{
	size_t buffer_bytes = (size_t)run->variant->buffer_kilobytes << 10;
	struct arena arena;
	struct ring *ring;
	struct ring_report report;
	struct ring_operation operation = { 0 };
	struct ring_options options = {
		.engine = has(run, OPTION_POLL_ENGINE) ? RING_ENGINE_POLL : RING_ENGINE_URING,
		.receive_mode = has(run, OPTION_REGISTERED) ? RING_RECEIVE_FIXED : RING_RECEIVE_PLAIN,
		.operations_max = OPERATIONS,
	};
	if (arena_open(&arena, buffer_bytes + (2 << 20)) < 0)
		receive_fail("arena", ENOMEM);
	uint8_t *buffer = arena_take(&arena, buffer_bytes, 4096);
	memset(buffer, 0, buffer_bytes);
	int result = ring_open(&options, &arena, &ring, &report);
	if (result == 0)
		ring_register_buffer(ring, buffer, buffer_bytes);
	if (result < 0 || ring_report_of(ring)->receive_mode != options.receive_mode) {
		result = receive_lacks(run, "%s", result < 0 ? report.notice : ring_report_of(ring)->notice);
		ring_finish(ring);
		arena_finish(&arena);
		return result;
	}
	receive_start(run);
	for (;;) {
		ring_receive(ring, &operation, run->fd, buffer, buffer_bytes);
		if (!ring_wait(ring, clock_monotonic_ns() + 60 * NS_PER_SECOND) || operation.result < 0)
			receive_fail("ring_wait", operation.result < 0 ? -operation.result : ETIME);
		if (operation.result == 0)
			break;
		receive_take(run, buffer, (size_t)operation.result);
		receive_count(run, (size_t)operation.result);
	}
	receive_stop(run);
	ring_finish(ring);
	arena_finish(&arena);
	return 0;
}
