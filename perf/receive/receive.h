/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the receive bench share. It compares ways to receive, among them those that src/ring does
 * not have, so it speaks to the kernel and to liburing itself: the one place besides src/ring/uring.c.
 */
#ifndef PERF_RECEIVE_RECEIVE_H
#define PERF_RECEIVE_RECEIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum receive_method {
	RECEIVE_CALL,	/* recv(2), blocking */
	RECEIVE_ROOM,	/* src/ring, as the collector uses it */
	RECEIVE_SINGLE, /* io_uring, one request for each receive, into memory that we name */
	RECEIVE_POOL,	/* io_uring, one multishot request, into buffers that the kernel picks */
};

/* Bits of variant.options. */
enum receive_option {
	OPTION_REGISTERED = 1 << 0,	   /* READ_FIXED into registered memory */
	OPTION_REGISTERED_RECV = 1 << 1,   /* RECV into registered memory */
	OPTION_WAIT_ALL = 1 << 2,	   /* MSG_WAITALL */
	OPTION_POLL_FIRST = 1 << 3,	   /* ask for readiness before the first try */
	OPTION_LOW_WATER = 1 << 4,	   /* SO_RCVLOWAT */
	OPTION_LARGE_SOCKET = 1 << 5,	   /* SO_RCVBUF */
	OPTION_BUSY_POLL = 1 << 6,	   /* SO_BUSY_POLL */
	OPTION_NAPI = 1 << 7,		   /* IORING_REGISTER_NAPI */
	OPTION_MIN_WAIT = 1 << 8,	   /* let more come before waking (io_uring) */
	OPTION_REST = 1 << 9,		   /* sleep behind a small receive (anywhere) */
	OPTION_INCREMENTAL = 1 << 10,	   /* IOU_PBUF_RING_INC */
	OPTION_BUNDLE = 1 << 11,	   /* IORING_RECVSEND_BUNDLE */
	OPTION_KERNEL_THREAD = 1 << 12,	   /* IORING_SETUP_SQPOLL */
	OPTION_COOPERATIVE = 1 << 13,	   /* IORING_SETUP_COOP_TASKRUN instead of DEFER_TASKRUN */
	OPTION_INTERRUPT = 1 << 14,	   /* neither of the two */
	OPTION_RECORDS_MOVED = 1 << 15,	   /* whole records only; the rest is moved to the front */
	OPTION_RECORDS_MIRRORED = 1 << 16, /* whole records only, in memory that is mapped twice in a row */
	OPTION_POLL_ENGINE = 1 << 17,	   /* src/ring's other engine */
};

struct variant {
	const char *name;
	enum receive_method method;
	unsigned options;
	unsigned buffer_kilobytes; /* of 1024 */
	unsigned buffer_count;	   /* of a pool: a power of two */
	unsigned patience_us;	   /* of MIN_WAIT, REST and busy polling */
};

enum receive_consumer {
	CONSUMER_BUSY,	/* works on every byte and writes several, as inflating does: the receiver is the
			 * bottleneck, and the buffer is not alone in the cache */
	CONSUMER_IDLE,	/* only receives; the sender is the bottleneck */
	CONSUMER_PACED, /* only receives, from a sender that sends one record at a time, at a given rate */
	CONSUMERS
};

enum {
	RECORD_HEADER_BYTES = 5,
	RECORD_BYTES = RECORD_HEADER_BYTES + 16384 + 17, /* a full record of TLS 1.3 */
	LOW_WATER_BYTES = 131072,
	LARGE_SOCKET_BYTES = 4 << 20,
	REST_BELOW_BYTES = 65536, /* REST sleeps behind receives that brought less */
	WINDOW_BYTES = 262144,	  /* that BUSY writes through, again and again */
	WINDOW_PIECE_BYTES = 2048,
	WINDOW_COPIES = 6,  /* bytes written for each byte received */
	CHECKED_BYTES = 16, /* looked at in each piece, whoever consumes */
	WHY_BYTES_MAX = 160,
};

/* What is sent: the same records again and again. */
struct pattern {
	uint8_t *bytes; /* period_bytes, and CHECKED_BYTES of the next period */
	size_t period_bytes;
	uint32_t stream_hash; /* receive_hash() of all that is sent */
};

struct figures {
	double cpu_ns, user_ns,
		system_ns;   /* of this process; the latter two as the kernel's ticks saw them */
	double instructions; /* 0 where nobody counts them */
	double receives, sleeps;
	double megabytes_per_second;
};

struct receive_run {
	const struct variant *variant;
	const struct pattern *pattern;
	enum receive_consumer consumer;
	size_t total_bytes, pace_bytes_per_second;
	int listener, fd;
	pid_t sender;
	int instruction_counter; /* file descriptor, -1 for none */
	size_t received_bytes, receives;
	uint32_t hash;
	uint8_t *window; /* WINDOW_BYTES */
	size_t window_at;
	int64_t start_ns;
	struct figures figures;
	char why[WHY_BYTES_MAX]; /* why this host cannot run the variant */
};

static inline int has(const struct receive_run *run, unsigned option)
{
	return (run->variant->options & option) != 0;
}

/* Receives the whole stream in one way. Returns 0, or -1 when the host lacks what it takes: run->why. */
int receive_by_call(struct receive_run *run);
int receive_by_room(struct receive_run *run);
int receive_by_single(struct receive_run *run);
int receive_by_pool(struct receive_run *run);

/* Connects, and from here on our CPU time counts, until receive_stop(). */
void receive_start(struct receive_run *run);
void receive_stop(struct receive_run *run);
/* Counts one receive; OPTION_REST rests here. */
void receive_count(struct receive_run *run, size_t bytes);
/* Consumes the next bytes of the stream, and ends the program when they are not those that were sent. */
void receive_take(struct receive_run *run, const uint8_t *at, size_t bytes);
/* The whole of one run. */
int receive_run(struct receive_run *run);

uint32_t receive_hash(uint32_t hash, const uint8_t *at, size_t bytes);
/* To the first CPU that we may use (0), the last one (1), or all of them (-1), if there are two or more. */
void receive_pin(int which);
int receive_instruction_counter(void);

/* What the host lacks: -1, for the caller to return. */
[[gnu::format(printf, 2, 3)]] int receive_lacks(struct receive_run *run, const char *format, ...);
[[gnu::noreturn]] void receive_fail(const char *what, int error);
uint8_t *receive_memory(size_t bytes);

#endif
