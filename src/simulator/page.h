/* SPDX-License-Identifier: Apache-2.0
 *
 * One answer's body: which events, the offset context, and the bytes as a list of spans.
 * One thread at a time; spans point into prepared runs, which the page holds until page_finish().
 */
#ifndef SIMULATOR_PAGE_H
#define SIMULATOR_PAGE_H

#include "base/span.h"
#include "simulator/blocks.h"
#include "simulator/faults.h"

struct page {
	struct blocks *blocks;
	const struct feed *feed;
	uint64_t first;
	uint64_t count;
	uint64_t limit;
	int limit_reached;
	int gzip;

	struct run **runs;
	size_t run_count;
	struct span *spans;
	size_t span_count;
	size_t span_capacity;
	size_t body_bytes;
	struct text own;     /* what does not lie in runs; reserved in full before spans point into it */
	struct text damaged; /* the changed copy of one span, when a fault asks for it */
};

/* Fills first, count, limit_reached for the events [start, end) under `limit` (rounded up to a bucket's
 * border when that is within the slack). */
void page_choose(struct page *page, const struct options *options, uint64_t start, uint64_t end,
		 uint64_t limit);
/* Makes runs and spans. `plan` may alter the context or the compressed bytes; NULL: nothing wrong. */
void page_build(struct page *page, const struct options *options, const struct fault_plan *plan);
void page_finish(struct page *page);

#endif
