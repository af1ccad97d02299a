/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/blocks.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

void blocks_start(struct blocks *blocks, const struct options *options)
{
	*blocks = (struct blocks){ .options = options, .bytes_max = (size_t)options->cache_mib << 20 };
	pthread_mutex_init(&blocks->lock, NULL);
	pthread_cond_init(&blocks->made, NULL);
	blocks->buckets = memory_take(BLOCKS_BUCKET_COUNT * sizeof *blocks->buckets);
}

static void run_free(struct run *run)
{
	free(run->bytes);
	free(run);
}

void blocks_finish(struct blocks *blocks)
{
	for (size_t i = 0; i < BLOCKS_BUCKET_COUNT; i++) {
		for (struct run *run = blocks->buckets[i]; run;) {
			struct run *next = run->next_same_bucket;
			run_free(run);
			run = next;
		}
	}
	free(blocks->buckets);
	pthread_cond_destroy(&blocks->made);
	pthread_mutex_destroy(&blocks->lock);
}

static struct run **bucket_of(struct blocks *blocks, const struct run *key)
{
	uint64_t hash =
		events_mix(key->feed->index ^
			   events_mix(key->first ^ events_mix(key->count * 2u + (unsigned)key->gzip)));
	return &blocks->buckets[hash % BLOCKS_BUCKET_COUNT];
}

static void unlink_used(struct blocks *blocks, struct run *run)
{
	*(run->newer ? &run->newer->older : &blocks->newest) = run->older;
	*(run->older ? &run->older->newer : &blocks->oldest) = run->newer;
}

static void link_newest(struct blocks *blocks, struct run *run)
{
	run->newer = NULL;
	run->older = blocks->newest;
	*(blocks->newest ? &blocks->newest->newer : &blocks->oldest) = run;
	blocks->newest = run;
}

/* Under the lock: drops unused runs from the old end until the ceiling is kept. */
static void evict(struct blocks *blocks)
{
	struct run *run = blocks->oldest;
	while (run && blocks->bytes > blocks->bytes_max) {
		struct run *newer = run->newer;
		if (run->users == 0 && run->ready) {
			struct run **link = bucket_of(blocks, run);
			while (*link != run)
				link = &(*link)->next_same_bucket;
			*link = run->next_same_bucket;
			unlink_used(blocks, run);
			blocks->bytes -= run->byte_count;
			run_free(run);
		}
		run = newer;
	}
}

static void lines_put(const struct blocks *blocks, const struct run *run, struct text *text)
{
	const char *end = blocks->options->crlf ? "\r\n" : "\n";
	for (uint64_t i = run->first; i < run->first + run->count; i++) {
		feed_event_put(run->feed, i, text);
		text_put_string(text, end);
		if (blocks->options->blank_lines && i % 7 == 3)
			text_put_string(text, end);
	}
}

static void run_compress(const struct blocks *blocks, struct run *run, struct text *raw)
{
	z_stream stream = { 0 };
	if (deflateInit2(&stream, (int)blocks->options->gzip_level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		abort();
	size_t capacity = deflateBound(&stream, (uLong)raw->bytes) + 64;
	struct text packed = { 0 };
	text_reserve(&packed, capacity);
	stream.next_in = (Bytef *)raw->base;
	stream.avail_in = (uInt)raw->bytes;
	stream.next_out = (Bytef *)packed.base;
	stream.avail_out = (uInt)capacity;
	if (deflate(&stream, Z_FULL_FLUSH) != Z_OK || stream.avail_in)
		abort();
	run->byte_count = capacity - stream.avail_out;
	run->bytes = memory_take(run->byte_count);
	memcpy(run->bytes, packed.base, run->byte_count);
	deflateEnd(&stream);
	text_finish(&packed);
}

static void run_make(const struct blocks *blocks, struct run *run)
{
	struct text raw = { 0 };
	lines_put(blocks, run, &raw);
	run->raw_bytes = raw.bytes;
	if (run->gzip) {
		run->crc = (uint32_t)crc32_z(0, (Bytef *)raw.base, raw.bytes);
		run_compress(blocks, run, &raw);
		text_finish(&raw);
	} else {
		run->bytes = (uint8_t *)raw.base;
		run->byte_count = raw.bytes;
	}
}

struct run *blocks_take(struct blocks *blocks, const struct feed *feed, uint64_t first, uint32_t count,
			int gzip)
{
	struct run key = { .feed = feed, .first = first, .count = count, .gzip = gzip };
	if (feed->period)
		key.first %= feed->period;
	struct run **bucket = bucket_of(blocks, &key);
	pthread_mutex_lock(&blocks->lock);
	struct run *run = *bucket;
	while (run &&
	       (run->feed != feed || run->first != key.first || run->count != count || run->gzip != gzip))
		run = run->next_same_bucket;
	if (run) {
		run->users++;
		unlink_used(blocks, run);
		link_newest(blocks, run);
		while (!run->ready)
			pthread_cond_wait(&blocks->made, &blocks->lock);
		pthread_mutex_unlock(&blocks->lock);
		return run;
	}
	run = memory_take(sizeof *run);
	*run = key;
	run->users = 1;
	run->next_same_bucket = *bucket;
	*bucket = run;
	link_newest(blocks, run);
	pthread_mutex_unlock(&blocks->lock);
	run_make(blocks, run);
	pthread_mutex_lock(&blocks->lock);
	run->ready = 1;
	blocks->bytes += run->byte_count;
	evict(blocks);
	pthread_cond_broadcast(&blocks->made);
	pthread_mutex_unlock(&blocks->lock);
	return run;
}

void blocks_give_back(struct blocks *blocks, struct run *run)
{
	pthread_mutex_lock(&blocks->lock);
	run->users--;
	evict(blocks);
	pthread_mutex_unlock(&blocks->lock);
}

int blocks_full(struct blocks *blocks)
{
	pthread_mutex_lock(&blocks->lock);
	int full = blocks->bytes > blocks->bytes_max / 16 * 15;
	pthread_mutex_unlock(&blocks->lock);
	return full;
}
