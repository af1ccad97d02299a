/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/feed.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
/* Density of an endless backlog: one hour then holds 72 million events at increasing times. */
#define ENDLESS_EVENTS_PER_S 20000

void feeds_start(struct feeds *feeds, const struct options *options, int64_t now_ns)
{
	*feeds = (struct feeds){ .options = options, .bucket_events = 1 };
	pthread_mutex_init(&feeds->lock, NULL);
	feeds->events =
		(struct events){ .seed = options->seed, .lean = options->event_size == EVENT_SIZE_LEAN };
	for (size_t i = 0; i < options->fault_count; i++) {
		const struct fault_plan *plan = &options->faults[i];
		if (plan->trouble != TROUBLE_LONG_LINE || plan->number <= 0)
			continue;
		feeds->events.long_every = plan->every;
		feeds->events.long_count_max = plan->count_max;
		feeds->events.long_bytes = (size_t)plan->number;
	}
	int64_t epoch_ns = options->epoch_s ? (int64_t)(options->epoch_s * NS_PER_S)
					    : now_ns / (int64_t)NS_PER_S * (int64_t)NS_PER_S;
	feeds->last_ns = epoch_ns - FEED_WITHHELD_NS - (int64_t)NS_PER_S;
	feeds->first_ns = epoch_ns - options->backlog_ns;
	if (options->rate_per_s) {
		feeds->step_ns = NS_PER_S;
		feeds->step_events = options->rate_per_s;
		return;
	}
	if (feeds->first_ns > feeds->last_ns)
		feeds->first_ns = feeds->last_ns;
	if (options->content == CONTENT_POOL)
		feeds->bucket_events = FEED_BLOCK_EVENTS;
	if (options->events) {
		feeds->step_ns = (uint64_t)(feeds->last_ns - feeds->first_ns);
		feeds->step_events = options->events;
		return;
	}
	feeds->step_ns = NS_PER_S;
	feeds->step_events = ENDLESS_EVENTS_PER_S;
	feeds->capped = 1;
}

void feeds_finish(struct feeds *feeds)
{
	for (size_t i = 0; i < feeds->count; i++)
		free(feeds->feeds[i]);
	pthread_mutex_destroy(&feeds->lock);
}

static int id_listed(const struct id_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->ids[i], id) == 0)
			return 1;
	}
	return 0;
}

static int id_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Splits and sorts, so that "2;1" and "1;2" are one feed. Returns 0 or -1. */
static int members_parse(struct feed *feed, const char *ids)
{
	for (;;) {
		size_t bytes = strcspn(ids, ";");
		if (bytes == 0 || bytes >= OPTIONS_CONFIG_ID_BYTES_MAX || strspn(ids, "0123456789") < bytes ||
		    feed->member_count == OPTIONS_CONFIG_ID_COUNT_MAX)
			return -1;
		memcpy(feed->members[feed->member_count++], ids, bytes);
		ids += bytes;
		if (*ids == 0)
			break;
		ids++;
	}
	qsort(feed->members, feed->member_count, sizeof feed->members[0], id_compare);
	return 0;
}

static enum feed_result members_check(const struct feeds *feeds, const struct feed *feed)
{
	enum feed_result result = FEED_FOUND;
	for (size_t i = 0; i < feed->member_count; i++) {
		if (id_listed(&feeds->options->forbidden, feed->members[i]))
			return FEED_FORBIDDEN;
		if (!id_listed(&feeds->options->configs, feed->members[i]))
			result = FEED_UNKNOWN;
	}
	return result;
}

static void feed_complete(struct feeds *feeds, struct feed *feed)
{
	feed->feeds = feeds;
	feed->identity = feeds->options->seed;
	for (size_t i = 0; i < feed->member_count; i++) {
		for (const char *c = feed->members[i]; *c; c++)
			feed->identity = events_mix(feed->identity ^ (unsigned char)*c);
		feed->identity = events_mix(feed->identity);
	}
	feed->total = feeds->options->events ? feeds->options->events * feed->member_count : FEED_NO_END;
	if (feeds->options->content == CONTENT_POOL) {
		uint64_t share = FEED_POOL_EVENTS / feeds->options->configs.count;
		share = (share + FEED_BLOCK_EVENTS - 1) / FEED_BLOCK_EVENTS * FEED_BLOCK_EVENTS;
		feed->period = share * feed->member_count;
	}
}

enum feed_result feed_find(struct feeds *feeds, const char *ids, struct feed **ret_feed)
{
	struct feed *wanted = memory_take(sizeof *wanted);
	enum feed_result result = FEED_MALFORMED;
	if (members_parse(wanted, ids) == 0)
		result = members_check(feeds, wanted);
	if (result != FEED_FOUND) {
		free(wanted);
		return result;
	}
	feed_complete(feeds, wanted);
	pthread_mutex_lock(&feeds->lock);
	struct feed *found = NULL;
	for (size_t i = 0; i < feeds->count && !found; i++) {
		if (feeds->feeds[i]->member_count == wanted->member_count &&
		    memcmp(feeds->feeds[i]->members, wanted->members, sizeof wanted->members) == 0)
			found = feeds->feeds[i];
	}
	if (!found && feeds->count < FEED_COUNT_MAX) {
		wanted->index = feeds->count;
		feeds->feeds[feeds->count++] = wanted;
		found = wanted;
	}
	pthread_mutex_unlock(&feeds->lock);
	if (found != wanted)
		free(wanted);
	*ret_feed = found;
	return found ? FEED_FOUND : FEED_MALFORMED;
}

int64_t feed_stored_ns(const struct feed *feed, uint64_t index)
{
	const struct feeds *feeds = feed->feeds;
	uint64_t own = index / feed->member_count;
	own -= own % feeds->bucket_events;
	unsigned __int128 delta_ns = (unsigned __int128)own * feeds->step_ns / feeds->step_events;
	if (feeds->capped && delta_ns > (uint64_t)(feeds->last_ns - feeds->first_ns))
		return feeds->last_ns;
	return feeds->first_ns + (int64_t)delta_ns;
}

uint64_t feed_count_before(const struct feed *feed, int64_t time_ns)
{
	const struct feeds *feeds = feed->feeds;
	if (time_ns <= feeds->first_ns)
		return 0;
	if ((feeds->capped && time_ns > feeds->last_ns) || feeds->step_ns == 0)
		return feed->total;
	/* floor(i * A / B) < d holds for every i < d * B / A. */
	unsigned __int128 product =
		(unsigned __int128)(uint64_t)(time_ns - feeds->first_ns) * feeds->step_events;
	unsigned __int128 count = (product + feeds->step_ns - 1) / feeds->step_ns;
	count = (count + feeds->bucket_events - 1) / feeds->bucket_events * feeds->bucket_events;
	count *= feed->member_count;
	return count < feed->total ? (uint64_t)count : feed->total;
}

void feed_event_put(const struct feed *feed, uint64_t index, struct text *text)
{
	uint64_t content = feed->period ? index % feed->period : index;
	event_put(&feed->feeds->events, feed->members[content % feed->member_count],
		  content / feed->member_count, feed_stored_ns(feed, content), text);
}

/* Looks like a real one: short hex, ';', then base64 of the masked position, a check and filler. Standard
 * base64, so that '+', '/' and '=' occur and a client that does not escape them is found out. */
void feed_token_put(const struct feed *feed, uint64_t position, struct text *text)
{
	uint64_t mask = events_mix(feed->identity);
	uint64_t words[12];
	words[0] = position ^ mask;
	for (size_t i = 1; i < sizeof words / sizeof *words; i++)
		words[i] = events_mix(words[i - 1] ^ feed->identity ^ i * 0x9e3779b97f4a7c15);
	text_format(text, "%05x;", (unsigned)(words[1] >> 44));
	text_put_base64(text, words, 90 + words[1] % 6);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int feed_token_parse(const struct feed *feed, const char *token, uint64_t *ret_position)
{
	const char *payload = strchr(token, ';');
	if (!payload || strlen(++payload) < 12)
		return -1;
	uint8_t bytes[9];
	for (size_t i = 0; i < 12; i += 4) {
		uint32_t group = 0;
		for (size_t j = 0; j < 4; j++) {
			int value = base64_value(payload[i + j]);
			if (value < 0)
				return -1;
			group = group << 6 | (uint32_t)value;
		}
		bytes[i / 4 * 3] = (uint8_t)(group >> 16);
		bytes[i / 4 * 3 + 1] = (uint8_t)(group >> 8);
		bytes[i / 4 * 3 + 2] = (uint8_t)group;
	}
	uint64_t masked;
	memcpy(&masked, bytes, sizeof masked);
	uint64_t position = masked ^ events_mix(feed->identity);
	struct text same = { 0 };
	feed_token_put(feed, position, &same);
	int equal = same.bytes == strlen(token) && memcmp(same.base, token, same.bytes) == 0;
	text_finish(&same);
	*ret_position = position;
	return equal && position <= feed->total ? 0 : -1;
}

void feed_name_put(const struct feed *feed, struct text *text)
{
	for (size_t i = 0; i < feed->member_count; i++) {
		if (i)
			text_put_string(text, ";");
		text_put_string(text, feed->members[i]);
	}
}
