/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's own state: what its streams share. Internal to flow.
 */
#ifndef FLOW_WORKER_H
#define FLOW_WORKER_H

#include "flow/stream.h"

struct flow_addresses {
	struct resolved resolved;
	int valid;
};

struct flow {
	struct flow_settings settings;
	struct arena arena;
	struct ring *ring;
	struct ring_report ring_report;
	struct ring_operation waking; /* settings.place->wake_fd is waited for */
	struct sink *sink;
	struct control *control;
	const struct scan_kernel *kernel;
	struct stage_slot own_stage;
	struct stage_slot *stage;
	/* For events; NULL: they are not decoded. A table is lent, so json.decode() has a decoder of its own.
	 */
	struct control_decoder *decoder;
	struct control_decoder *text_decoder; /* NULL: neither programs nor states are there */
	struct flow_addresses *addresses;     /* of each server */
	int kernel_told; /* that the kernel opens no records, though it was asked for; atomic */
	int64_t start_ns;
	int64_t budget_end_ns;	 /* INT64_MAX: none */
	int64_t duration_end_ns; /* INT64_MAX: none */
	int stops;		 /* flow_stop() calls */
	const struct page *turn; /* see struct page_tools */
	size_t unblock_first;	 /* who is asked first when the sink has room again: each in his turn */
	uint64_t due_last;	 /* the number that was given out last, see struct stream */
	size_t due_count;
	size_t stream_count;
	struct stream *streams;
};

/* Fills the server's addresses; 0, or a resolver error code. */
int flow_resolve(struct flow *flow, unsigned server);

#endif
