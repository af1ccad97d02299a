/* SPDX-License-Identifier: Apache-2.0
 *
 * Compresses ahead of the requests, with two threads: the agreed amount before the server is ready, the rest
 * of bounded feeds in the background, up to the cache's ceiling.
 */
#ifndef SIMULATOR_PREPARE_H
#define SIMULATOR_PREPARE_H

#include "simulator/blocks.h"

#define PREPARE_THREAD_COUNT 2

struct prepare {
	struct blocks *blocks;
	struct feeds *feeds;
	const int *stop;
	int gzip;
	uint64_t blocks_each; /* to prepare now, of each feed */
	uint64_t next;	      /* atomic: next block over all feeds */
	pthread_t background;
	int background_started;
};

/* Returns when the agreed amount is there. */
void prepare_start(struct prepare *prepare, struct blocks *blocks, struct feeds *feeds, const int *stop);
void prepare_finish(struct prepare *prepare);

#endif
