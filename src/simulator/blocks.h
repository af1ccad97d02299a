/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of events as bytes, ready to send: either plain lines, or raw deflate data that ends in a full
 * flush (byte-aligned, no reference across the border), so that runs can be put one after the other
 * into one gzip stream. Runs are made once, kept up to a ceiling of bytes, the least recently used go first.
 *
 * Any thread. A run being made by one thread is waited for by the others.
 */
#ifndef SIMULATOR_BLOCKS_H
#define SIMULATOR_BLOCKS_H

#include "simulator/feed.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_BUCKET_COUNT 65536

struct run {
	const struct feed *feed;
	uint64_t first;
	uint32_t count;
	int gzip;

	uint8_t *bytes;
	size_t byte_count;
	uint64_t raw_bytes;
	uint32_t crc; /* of the raw bytes */

	int ready;
	int users;
	struct run *next_same_bucket;
	struct run *newer, *older;
};

struct blocks {
	const struct options *options;
	size_t bytes_max;
	pthread_mutex_t lock;
	pthread_cond_t made;
	size_t bytes;
	struct run *newest, *oldest;
	struct run **buckets;
};

void blocks_start(struct blocks *blocks, const struct options *options);
void blocks_finish(struct blocks *blocks);
/* Events [first, first + count) of the feed. Lent until blocks_give_back(). */
struct run *blocks_take(struct blocks *blocks, const struct feed *feed, uint64_t first, uint32_t count,
			int gzip);
void blocks_give_back(struct blocks *blocks, struct run *run);
/* Whether the ceiling is nearly reached: preparing more would only push out what was prepared. */
int blocks_full(struct blocks *blocks);

#endif
