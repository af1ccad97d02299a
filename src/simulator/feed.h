/* SPDX-License-Identifier: Apache-2.0
 *
 * A feed is what one list of configIds shows: numbered events in storage order, when each was stored, and
 * the tokens that name a position. A list of k ids interleaves its members: event m of the list is event
 * m / k of member m % k.
 *
 * Feeds are made on first use and live as long as the program; lookups from any thread.
 */
#ifndef SIMULATOR_FEED_H
#define SIMULATOR_FEED_H

#include "simulator/events.h"
#include "simulator/options.h"
#include "simulator/text.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define FEED_COUNT_MAX 128     /* distinct id lists ever asked for */
#define FEED_BLOCK_EVENTS 1000 /* events compressed together: about 1.9 MB, 270 KB compressed */
#define FEED_POOL_EVENTS 60000 /* different events in the repeating pool, all configIds together */
#define FEED_NO_END UINT64_MAX
#define FEED_WITHHELD_NS INT64_C(5000000000) /* the newest 5 s are not shown */

struct feeds;

struct feed {
	struct feeds *feeds;
	size_t index;
	uint64_t identity;
	size_t member_count;
	char members[OPTIONS_CONFIG_ID_COUNT_MAX][OPTIONS_CONFIG_ID_BYTES_MAX];
	uint64_t total;	 /* events, or FEED_NO_END */
	uint64_t period; /* content repeats after so many events; 0: never */
};

struct feeds {
	const struct options *options;
	struct events events;
	int64_t first_ns; /* storage time of event 0 */
	int64_t last_ns;  /* no event of the backlog is younger */
	/* Event i of one configId is stored at first_ns + floor(i * step_ns / step_events). */
	uint64_t step_ns;
	uint64_t step_events;
	uint64_t bucket_events; /* so many share a storage time */
	int capped;		/* endless backlog: the rest shares last_ns */
	pthread_mutex_t lock;
	struct feed *feeds[FEED_COUNT_MAX];
	size_t count;
};

void feeds_start(struct feeds *feeds, const struct options *options, int64_t now_ns);
void feeds_finish(struct feeds *feeds);

enum feed_result { FEED_FOUND, FEED_UNKNOWN, FEED_FORBIDDEN, FEED_MALFORMED };
/* `ids` as in the path, percent-decoded, joined with ';'. */
enum feed_result feed_find(struct feeds *feeds, const char *ids, struct feed **ret_feed);

int64_t feed_stored_ns(const struct feed *feed, uint64_t index);
/* How many events were stored before that time: also the index of the first that was not. */
uint64_t feed_count_before(const struct feed *feed, int64_t time_ns);
/* Appends event `index` without a line end. */
void feed_event_put(const struct feed *feed, uint64_t index, struct text *text);
void feed_token_put(const struct feed *feed, uint64_t position, struct text *text);
/* Returns 0 and the position, or -1 when this feed never gave such a token. */
int feed_token_parse(const struct feed *feed, const char *token, uint64_t *ret_position);
/* "1;2;3" */
void feed_name_put(const struct feed *feed, struct text *text);

#endif
