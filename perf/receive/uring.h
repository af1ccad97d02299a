/* SPDX-License-Identifier: Apache-2.0
 *
 * io_uring as both of the bench's ways use it: set up as a variant says, and waited for.
 */
#ifndef PERF_RECEIVE_URING_H
#define PERF_RECEIVE_URING_H

#include <liburing.h>

#include "receive.h"

/* Newer than liburing 2.3's header, and under names that no header will ever have. */
enum {
	URING_RECV_FIXED_BUFFER = 1 << 2, /* ioprio: IORING_RECVSEND_FIXED_BUF; for RECV since Linux 7.2 */
	URING_RECV_BUNDLE = 1 << 4,	  /* ioprio: IORING_RECVSEND_BUNDLE */
	URING_RING_INCREMENTAL = 1 << 1,  /* IOU_PBUF_RING_INC */
	URING_BUFFER_MORE = 1 << 4,	  /* IORING_CQE_F_BUF_MORE */
	URING_FEATURE_BUNDLE = 1 << 14,	  /* IORING_FEAT_RECVSEND_BUNDLE */
	URING_FEATURE_MIN_WAIT = 1 << 15, /* IORING_FEAT_MIN_TIMEOUT */
	URING_REGISTER_NAPI = 27,
};

/* Returns 0, or -1 when the host lacks what the variant's options ask for. */
int uring_open(struct receive_run *run, struct io_uring *ring);
struct io_uring_sqe *uring_request(struct io_uring *ring);
/* Submits, and waits for the next completion; MIN_WAIT lets `many` come together, or some time pass. */
struct io_uring_cqe *uring_next(struct receive_run *run, struct io_uring *ring, unsigned many);

#endif
