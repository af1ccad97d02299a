/* SPDX-License-Identifier: Apache-2.0
 *
 * What ring.c and the two engines share; no other room includes this. An engine is a const table of
 * functions. ring.c keeps the lists: an operation is on `pending` while the engine works on it and on `ready`
 * from ring_operation_end() until ring_wait() returns it.
 */
#ifndef RING_ENGINE_H
#define RING_ENGINE_H

#include <pthread.h>

#include "ring/ring.h"

#define RING_MAGIC UINT64_C(0x72696e672d61702e)
#define RING_OPERATION_MAGIC UINT64_C(0x6f7065726174696f)
#define RING_REGIONS_MAX 64 /* registered regions; a worker has one or two per connection */

struct ring_list {
	struct ring_operation *first;
	struct ring_operation *last;
};

struct ring_engine_table {
	int socket_flags; /* for socket(2) */
	/* Returns 0 or -errno; fills in its part of ring->report. */
	int (*open)(struct ring *ring, struct arena *arena);
	/* The calling thread uses the ring from here on, if that was to be another. Returns 0 or -errno. */
	int (*take_over)(struct ring *ring);
	/* Returns 0 or -errno. */
	int (*register_buffer)(struct ring *ring, void *base, size_t bytes);
	void (*start)(struct ring *ring, struct ring_operation *operation);
	/* Hurries an operation whose `cancelling` has been set. */
	void (*cancel)(struct ring *ring, struct ring_operation *operation);
	/* The same for all operations of one descriptor. */
	void (*cancel_fd)(struct ring *ring, int fd);
	/* Submits what was started and ends what is finished. Waits until something new is on `ready`, the
	 * deadline has passed (0: does not wait) or a signal came; may return earlier without news. */
	void (*pump)(struct ring *ring, int64_t deadline_ns);
	void (*finish)(struct ring *ring);
};

struct ring {
	uint64_t magic;
	const struct ring_engine_table *engine;
	void *state; /* the engine's */
	pthread_t thread;
	struct ring_options options;
	struct ring_report report;
	struct ring_list pending;
	struct ring_list ready;
	unsigned operation_count; /* on either list */
};

extern const struct ring_engine_table ring_uring_engine;
extern const struct ring_engine_table ring_poll_engine;

/* Moves a pending operation to `ready`. */
void ring_operation_end(struct ring *ring, struct ring_operation *operation, int result);

/* Books `moved` bytes of a SEND or WRITE. Returns 1 when all are out or the operation is to end early, and
 * then sets *ret_result; 0 when the rest must be tried. */
int ring_operation_advance(struct ring_operation *operation, size_t moved, int *ret_result);

/* What on this host may stand in the way of io_uring. */
struct ring_obstacles {
	int uring_disabled; /* sysctl kernel.io_uring_disabled (since Linux 6.6): 1 a group only, 2 nobody */
	int seccomp_filtered;	/* a seccomp filter is at work */
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK */
};

struct ring_obstacles ring_obstacles_read(void);
/* Words why io_uring cannot be had: cause, cure and what happens next (`insists`: nothing, else poll). */
void ring_notice_setup(char *text, size_t text_bytes, int error, int insists,
		       const struct ring_obstacles *obstacles);
/* Words why memory could not be registered. */
void ring_notice_register(char *text, size_t text_bytes, int error, const struct ring_obstacles *obstacles);

#endif
