/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/prepare.h"

static void *worker_run(void *argument)
{
	struct prepare *prepare = argument;
	uint64_t feed_count = prepare->feeds->options->configs.count;
	while (!__atomic_load_n(prepare->stop, __ATOMIC_RELAXED) && !blocks_full(prepare->blocks)) {
		uint64_t number = __atomic_fetch_add(&prepare->next, 1, __ATOMIC_RELAXED);
		if (number >= prepare->blocks_each * feed_count)
			break;
		const struct feed *feed = prepare->feeds->feeds[number % feed_count];
		uint64_t end = feed->period && feed->period < feed->total ? feed->period : feed->total;
		uint64_t first = number / feed_count * FEED_BLOCK_EVENTS;
		if (first >= end)
			continue;
		uint64_t count = end - first < FEED_BLOCK_EVENTS ? end - first : FEED_BLOCK_EVENTS;
		blocks_give_back(prepare->blocks,
				 blocks_take(prepare->blocks, feed, first, (uint32_t)count, prepare->gzip));
	}
	return NULL;
}

static uint64_t blocks_of(uint64_t events)
{
	return events / FEED_BLOCK_EVENTS + (events % FEED_BLOCK_EVENTS != 0);
}

void prepare_start(struct prepare *prepare, struct blocks *blocks, struct feeds *feeds, const int *stop)
{
	const struct options *options = feeds->options;
	uint64_t feed_count = options->configs.count;
	*prepare =
		(struct prepare){ .blocks = blocks, .feeds = feeds, .stop = stop, .gzip = !options->no_gzip };
	/* A pool is always whole: that is what makes serving cheap. */
	prepare->blocks_each = feeds->feeds[0]->period ? blocks_of(feeds->feeds[0]->period)
						       : blocks_of(options->prepare_events / feed_count);
	pthread_t threads[PREPARE_THREAD_COUNT];
	size_t started = 0;
	while (started < PREPARE_THREAD_COUNT - 1 &&
	       pthread_create(&threads[started], NULL, worker_run, prepare) == 0)
		started++;
	worker_run(prepare);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	if (!options->events || feeds->feeds[0]->period)
		return;
	prepare->next = prepare->blocks_each * feed_count;
	prepare->blocks_each = blocks_of(options->events);
	prepare->background_started = pthread_create(&prepare->background, NULL, worker_run, prepare) == 0;
}

void prepare_finish(struct prepare *prepare)
{
	if (prepare->background_started)
		pthread_join(prepare->background, NULL);
}
