/* SPDX-License-Identifier: Apache-2.0
 *
 * plan: what to ask next, and from where a recovery by time begins.
 */
#include "akamai/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "akamai/plan_private.h"
#include "base/check.h"
#include "base/clock.h"

/* The rest of a target behind the config id: keys, three numbers, or an offset that is escaped wholly. */
#define PLAN_QUERY_BYTES_MAX (3 * CONTROL_OFFSET_BYTES_MAX + 128)

int64_t plan_now_unix_ns(const struct plan *plan, struct plan_time now)
{
	return now.unix_ns + plan->skew_ns;
}

static int64_t floor_seconds(int64_t ns)
{
	return ns / NS_PER_SECOND - (ns % NS_PER_SECOND < 0);
}

static int64_t oldest_from_unix(const struct plan *plan, struct plan_time now, int margin_seconds)
{
	int64_t oldest_unix =
		floor_seconds(plan_now_unix_ns(plan, now)) - PLAN_HISTORY_SECONDS + margin_seconds;
	return oldest_unix > 0 ? oldest_unix : 0;
}

int64_t plan_start_from_unix(const struct plan *plan, struct plan_time now)
{
	if (plan->settings.from_unix > 0)
		return plan->settings.from_unix;
	return floor_seconds(plan_now_unix_ns(plan, now) - plan->settings.initial_interval_ns);
}

void plan_window_again(struct plan *plan, struct plan_time now)
{
	int64_t to_unix = 0;
	if (plan->settings.to_lag_ns > 0)
		to_unix = floor_seconds(plan_now_unix_ns(plan, now) - plan->settings.to_lag_ns);
	plan->window_to_unix = to_unix > plan->window_from_unix ? to_unix : 0;
	if (plan->window == PLAN_WINDOW_NONE)
		plan->window = PLAN_WINDOW_RECOVERY;
	plan->window_lines = 0;
	plan->by_time = 1;
}

void plan_window_open(struct plan *plan, struct plan_time now, int window, int64_t from_unix,
		      int margin_seconds)
{
	int64_t oldest_unix = oldest_from_unix(plan, now, margin_seconds);
	if (from_unix < 0)
		from_unix = 0;
	/* A window of which no page was committed is replaced, and its gap with it. */
	plan->counters.gap_seconds -= plan->window_gap_seconds;
	plan->window_gap_seconds = from_unix < oldest_unix ? oldest_unix - from_unix : 0;
	plan->counters.gap_seconds += plan->window_gap_seconds;
	if (plan->window_gap_seconds)
		plan_notice(plan,
			    "The API keeps 12 hours: history is read from %" PRId64 " on, %" PRId64
			    " s later than wanted; older events are out of reach.",
			    oldest_unix, plan->window_gap_seconds);
	plan->window_from_unix = from_unix + plan->window_gap_seconds;
	plan->window = window == PLAN_WINDOW_START ? PLAN_WINDOW_START : PLAN_WINDOW_RECOVERY;
	plan_window_again(plan, now);
}

/* Where nothing can have been missed before. Events are stored, and delivered, in the order of storage;
 * an event's own time is never later than its storage. So the newest event time of committed pages is safe.
 * Without any, an empty or small last page tells that everything up to the API's latency had been read.
 * A cursor that was given may stand anywhere in the history: *ret_known is 0 when nothing is known but that.
 */
static int64_t recovery_from_unix(const struct plan *plan, struct plan_time now, int *ret_known)
{
	int cursor_given = plan->settings.cursor && plan->settings.cursor[0];
	*ret_known = 1;
	if (plan->newest_committed_unix_ms > 0)
		return plan->newest_committed_unix_ms / 1000;
	if (plan->caught_up)
		return plan->last_success_unix - plan->settings.to_lag_ns / NS_PER_SECOND -
		       PLAN_CAUGHT_UP_SECONDS;
	if (!cursor_given)
		return plan->start_from_unix;
	*ret_known = plan->settings.from_unix > 0 && plan->counters.requests == 0;
	/* Refused at once: its giver's settings say how far back to go. */
	return plan->counters.requests ? oldest_from_unix(plan, now, PLAN_MARGIN_SECONDS)
				       : plan->start_from_unix;
}

void plan_recover(struct plan *plan, struct plan_time now, const char *why)
{
	if (plan->recoveries_in_a_row >= PLAN_RECOVERIES_MAX) {
		plan_stop(plan, FAULT_AKAMAI_PARAMETERS);
		plan_say(plan,
			 "%s again, after %u recoveries by time in a row without a good page. Start again "
			 "with another `from`, or report this to Akamai.",
			 why, plan->recoveries_in_a_row);
		return;
	}
	plan->counters.recoveries++;
	plan->recoveries_in_a_row++;
	plan->recoveries_without_offset++;
	int known;
	int64_t from_unix = recovery_from_unix(plan, now, &known);
	plan_notice(plan, "%s: reading again by time.", why);
	plan_window_open(plan, now, PLAN_WINDOW_RECOVERY, from_unix, PLAN_MARGIN_SECONDS);
	plan->searched_lines = 0;
	if (!known)
		plan_notice(plan,
			    "It is not known where the offset stood: events before %" PRId64
			    " may be missing (set `from` to read them).",
			    plan->window_from_unix);
	if (plan->last_lines_unix == 0) {
		plan->resume = PLAN_RESUME_POSITION;
	} else if (plan->window_from_unix > plan->last_lines_unix + PLAN_MARGIN_SECONDS) {
		plan->resume = PLAN_RESUME_NONE; /* the last line handed on is older than all that is left */
	} else {
		plan->resume = PLAN_RESUME_SEARCH;
	}
}

void plan_pause(struct plan *plan, struct plan_time now, unsigned n, int64_t least_ns)
{
	int64_t pause_ns = plan->settings.backoff_ns > 0 ? plan->settings.backoff_ns : NS_PER_SECOND;
	while (n-- > 1 && pause_ns < PLAN_BACKOFF_MAX_NS)
		pause_ns *= 2;
	if (pause_ns > PLAN_BACKOFF_MAX_NS)
		pause_ns = PLAN_BACKOFF_MAX_NS;
	pause_ns -= (int64_t)plan->settings.random((uint64_t)pause_ns / 2 + 1);
	if (least_ns > pause_ns)
		pause_ns = least_ns;
	plan->not_before_ns = now.monotonic_ns + pause_ns;
	plan->counters.backoff_ns += pause_ns;
}

void plan_end(struct plan *plan, enum plan_end_reason reason)
{
	plan->ended = 1;
	plan->end_reason = reason;
}

/* Percent-encodes everything but RFC 3986's unreserved characters. Returns the end, NUL-terminated. */
static char *escape(char *at, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (const uint8_t *byte = (const uint8_t *)text; *byte; byte++) {
		uint8_t lower = *byte | 0x20;
		if ((lower >= 'a' && lower <= 'z') || (*byte >= '0' && *byte <= '9') || *byte == '-' ||
		    *byte == '.' || *byte == '_' || *byte == '~') {
			*at++ = (char)*byte;
		} else {
			*at++ = '%';
			*at++ = digits[*byte >> 4];
			*at++ = digits[*byte & 15];
		}
	}
	*at = 0;
	return at;
}

/* Keys in alphabetical order. That it fits was checked at the beginning. */
static void target_write(const struct plan *plan, char target[static PLAN_TARGET_BYTES_MAX])
{
	const char *end = target + PLAN_TARGET_BYTES_MAX;
	char *at = target + snprintf(target, PLAN_TARGET_BYTES_MAX, "%s/configs/", plan->settings.base_path);
	at = escape(at, plan->settings.config_id);
	if (plan->by_time) {
		at += snprintf(at, (size_t)(end - at), "?from=%" PRId64 "&limit=%" PRId64,
			       plan->window_from_unix, plan->limit);
		if (plan->window_to_unix)
			at += snprintf(at, (size_t)(end - at), "&to=%" PRId64, plan->window_to_unix);
	} else {
		at += snprintf(at, (size_t)(end - at), "?limit=%" PRId64 "&offset=", plan->limit);
		at = escape(at, plan->ask_offset);
	}
	CHECK_LT((uintptr_t)at, (uintptr_t)end);
}

void plan_begin(struct plan *plan, const struct plan_settings *settings, struct plan_time now)
{
	CHECK_LE(INT64_C(1), settings->limit);
	CHECK_LE(settings->limit, (int64_t)PLAN_LIMIT_MAX);
	CHECK_NE((uintptr_t)settings->random, (uintptr_t)0);
	*plan = (struct plan){
		.settings = *settings,
		.limit = settings->limit,
		.not_before_ns = now.monotonic_ns,
	};
	plan->start_from_unix = plan_start_from_unix(plan, now);
	size_t path_bytes = strlen(settings->base_path) + 3 * strlen(settings->config_id);
	if (path_bytes > PLAN_TARGET_BYTES_MAX - PLAN_QUERY_BYTES_MAX) {
		plan_stop(plan, FAULT_AKAMAI_PARAMETERS);
		plan_say(plan, "the URL path and the configId are too long together (%zu bytes).",
			 path_bytes);
		return;
	}
	const char *cursor = settings->cursor ? settings->cursor : "";
	size_t cursor_bytes = strlen(cursor);
	if (cursor_bytes > CONTROL_OFFSET_BYTES_MAX) {
		plan_stop(plan, FAULT_AKAMAI_PARAMETERS);
		plan_say(plan, "the cursor is longer than %d bytes and so is none.",
			 CONTROL_OFFSET_BYTES_MAX);
		return;
	}
	memcpy(plan->offset, cursor, cursor_bytes + 1);
	memcpy(plan->ask_offset, cursor, cursor_bytes + 1);
	if (!cursor_bytes)
		plan_window_open(plan, now, PLAN_WINDOW_START, plan->start_from_unix, PLAN_MARGIN_SECONDS);
}

/* Just before a request: an offset that is too old goes by time; a window that has grown too old while the
 * server was out of reach is moved. */
static void refresh(struct plan *plan, struct plan_time now)
{
	const struct plan_settings *settings = &plan->settings;
	if (!plan->by_time && settings->offset_ttl_ns > 0 && plan->counters.requests > 0 &&
	    now.monotonic_ns - plan->last_success_ns > settings->offset_ttl_ns) {
		plan_recover(plan, now, "The offset is older than offset_ttl");
		return;
	}
	if (!plan->by_time || plan->window_from_unix >= oldest_from_unix(plan, now, 0))
		return;
	/* The gap grows: what was out of reach when the window was opened still is. */
	int had_lines = plan->window_lines;
	int64_t from_unix = plan->window_from_unix - plan->window_gap_seconds;
	plan_window_open(plan, now, (int)plan->window, from_unix, PLAN_MARGIN_SECONDS);
	if (plan->resume == PLAN_RESUME_POSITION && had_lines) /* positions moved with the window */
		plan->resume = PLAN_RESUME_SEARCH;
	if (plan->resume == PLAN_RESUME_SEARCH &&
	    plan->window_from_unix > plan->last_lines_unix + PLAN_MARGIN_SECONDS)
		plan->resume = PLAN_RESUME_NONE;
}

void plan_next(struct plan *plan, struct plan_time now, struct plan_ask *ret_ask)
{
	CHECK_EQ(plan->asked, 0);
	ret_ask->target[0] = 0;
	if (!plan->ended && plan->settings.requests_max > 0 &&
	    plan->counters.requests >= (uint64_t)plan->settings.requests_max)
		plan_end(plan, PLAN_END_REQUESTS_MAX);
	if (!plan->ended && now.monotonic_ns >= plan->not_before_ns)
		refresh(plan, now);
	if (plan->ended) {
		ret_ask->kind = PLAN_END;
		ret_ask->end_reason = plan->end_reason;
		return;
	}
	if (now.monotonic_ns < plan->not_before_ns) {
		ret_ask->kind = PLAN_WAIT;
		ret_ask->wait_until_ns = plan->not_before_ns;
		return;
	}
	plan->asked = 1;
	plan->asked_limit = plan->limit;
	plan->asked_resume = plan->resume;
	plan->counters.attempts++;
	ret_ask->kind = PLAN_REQUEST;
	ret_ask->resume = plan->resume;
	ret_ask->limit = plan->limit;
	ret_ask->sign_unix_seconds = floor_seconds(plan_now_unix_ns(plan, now));
	ret_ask->by_time = plan->by_time;
	target_write(plan, ret_ask->target);
}
