/* SPDX-License-Identifier: Apache-2.0
 *
 * plan: what an answer means. A page counts only when it is complete and proven; whatever else comes with
 * status 200 is a truncation: same question, half the limit.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "akamai/plan_private.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/duration.h"

enum { PAUSE_TEXT_BYTES_MAX = DURATION_TEXT_BYTES_MAX + 4 };

/* For a person: no more than milliseconds. */
static const char *pause_text(const struct plan *plan, struct plan_time now,
			      char text[static PAUSE_TEXT_BYTES_MAX])
{
	int64_t pause_ms = (plan->not_before_ns - now.monotonic_ns) / NS_PER_MS;
	char duration[DURATION_TEXT_BYTES_MAX];
	if (pause_ms <= 0)
		snprintf(text, PAUSE_TEXT_BYTES_MAX, "at once");
	else
		snprintf(text, PAUSE_TEXT_BYTES_MAX, "in %s",
			 duration_format(pause_ms * NS_PER_MS, duration));
	return text;
}

void plan_failed_retry(struct plan *plan, struct plan_time now, enum fault fault, int64_t retry_after_seconds,
		       const struct plan_answer *answer)
{
	int64_t least_ns = 0;
	if (retry_after_seconds > 0) {
		if (retry_after_seconds > PLAN_RETRY_AFTER_SECONDS_MAX)
			retry_after_seconds = PLAN_RETRY_AFTER_SECONDS_MAX;
		least_ns = retry_after_seconds * NS_PER_SECOND;
		/* Streams of one account that were told the same must not come back at the same moment. */
		least_ns += (int64_t)plan->settings.random((uint64_t)least_ns / 10 + 1);
	}
	plan->failures_in_a_row++;
	plan_pause(plan, now, plan->failures_in_a_row, least_ns);
	plan->last_fault = fault;
	char pause[PAUSE_TEXT_BYTES_MAX], what_to_do[128];
	snprintf(what_to_do, sizeof what_to_do, "Asking again %s (failure %u in a row).",
		 pause_text(plan, now, pause), plan->failures_in_a_row);
	if (answer->status && answer->status != 200)
		plan_say_refusal(plan, answer, what_to_do);
	else
		plan_say(plan, "%s. %s", fault_sentence(fault), what_to_do);
}

static int is_damage(enum fault fault)
{
	return fault == FAULT_INFLATE_DATA || fault == FAULT_INFLATE_CHECKSUM || fault == FAULT_INFLATE_SIZE;
}

/* The page is incomplete: keep the question, halve the limit. The first time it is asked again at once. And
 * if it is not cut but damaged, with the same limit: a smaller page would be no better, and it takes one as
 * long as before to prove the lines that are out. */
static void truncated(struct plan *plan, struct plan_time now, enum fault fault,
		      const struct plan_answer *answer)
{
	plan->counters.truncations++;
	plan->failures_in_a_row++;
	plan->truncations_in_a_row++;
	if (plan->truncations_in_a_row > 1 || !is_damage(fault))
		plan->limit = plan->limit > 1 ? plan->limit / 2 : 1;
	plan->last_fault = fault;
	/* What was handed on of a page without skipping is skipped by position when it comes again. */
	if (plan->asked_resume == PLAN_RESUME_NONE && answer->event_lines > 0)
		plan->resume = PLAN_RESUME_POSITION;
	if (plan->truncations_in_a_row > 1)
		plan_pause(plan, now, plan->truncations_in_a_row - 1, 0);
	char pause[PAUSE_TEXT_BYTES_MAX];
	plan_say(plan, "%s (after %" PRIu64 " events). Asking for the page again %s, with limit %" PRId64 ".",
		 fault_sentence(fault), answer->event_lines, pause_text(plan, now, pause), plan->limit);
}

/* A search by time has looked at all there is, or at too much, without finding the last line handed on:
 * hand on everything from the same `from`. Events may come twice then, but none is lost. */
static void search_exhausted(struct plan *plan, struct plan_time now)
{
	plan->counters.skip_mismatches++;
	plan->resume = PLAN_RESUME_NONE;
	plan_notice(plan,
		    "The last event handed on was not found again among %" PRIu64
		    " lines; all events from %" PRId64 " on are handed on, some perhaps for the second time.",
		    plan->searched_lines, plan->window_from_unix);
	plan_window_again(plan, now);
}

/* A good page of a search. Returns 0 when the search is exhausted and begins anew without skipping. */
static int search_continue(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	if (__builtin_add_overflow(plan->searched_lines, answer->event_lines, &plan->searched_lines))
		plan->searched_lines = UINT64_MAX;
	/* An empty window may end before that line (our clock may be behind); what its offset finds counts.
	 */
	int at_end = answer->context->total == 0 && !plan->by_time;
	if (at_end || plan->searched_lines > PLAN_SEARCH_LINES_MAX) {
		search_exhausted(plan, now);
		return 0;
	}
	return 1;
}

/* An offset that does not move although events came: the same ones will come again. */
static void note_stuck_offset(struct plan *plan, const struct control_context *context)
{
	int stuck = !plan->by_time && context->total > 0 && strcmp(context->offset, plan->ask_offset) == 0;
	if (stuck && !plan->offset_stuck)
		plan_notice(plan,
			    "The server answers with the offset that was asked for, although events came "
			    "with it: they may come again.");
	plan->offset_stuck = stuck;
}

static void page_times(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	int64_t now_unix_ns = plan_now_unix_ns(plan, now);
	plan->last_success_ns = now.monotonic_ns;
	plan->last_success_unix = now_unix_ns / NS_PER_SECOND;
	/* An event time in the future is not true, and would make a recovery begin too late. */
	int64_t newest_ms = answer->newest_event_unix_ms;
	if (newest_ms > now_unix_ns / NS_PER_MS)
		newest_ms = now_unix_ns / NS_PER_MS;
	if (newest_ms > plan->newest_committed_unix_ms)
		plan->newest_committed_unix_ms = newest_ms;
}

/* A window that was asked for again and again has an old `to`; that it is empty says nothing about what came
 * after it. */
static int is_window_stale(const struct plan *plan, struct plan_time now)
{
	int64_t to_ns = plan_now_unix_ns(plan, now) - plan->settings.to_lag_ns;
	return plan->by_time && plan->window_to_unix > 0 &&
	       to_ns / NS_PER_SECOND - plan->window_to_unix > PLAN_IDLE_SECONDS;
}

/* When to go on after a good page. */
static void go_on(struct plan *plan, struct plan_time now, int64_t total, int window_stale)
{
	int64_t pause_ns = plan->settings.poll_interval_ns;
	if (total == 0 && !plan->settings.follow && !window_stale) {
		plan_end(plan, PLAN_END_DRAINED);
		return;
	}
	if (total == 0 && pause_ns <= 0 && !window_stale)
		pause_ns = PLAN_IDLE_SECONDS * NS_PER_SECOND;
	if (__builtin_add_overflow(now.monotonic_ns, pause_ns > 0 ? pause_ns : 0, &plan->not_before_ns))
		plan->not_before_ns = INT64_MAX;
}

static int commit(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	const struct control_context *context = answer->context;
	plan->counters.requests++;
	plan->counters.events += (uint64_t)context->total;
	plan->limit = plan->limit > plan->settings.limit / 2 ? plan->settings.limit : plan->limit * 2;
	plan->failures_in_a_row = plan->truncations_in_a_row = 0;
	plan->nonce_retries = plan->clock_retries = 0;
	plan->last_fault = FAULT_NONE;
	plan->error_text[0] = 0;
	int open = plan->asked_resume == PLAN_RESUME_SEARCH && answer->skip == PLAN_SKIP_OPEN;
	if (open && !search_continue(plan, now, answer))
		return 0;

	if (!open) {
		page_times(plan, now, answer);
		plan->resume = PLAN_RESUME_POSITION;
		memcpy(plan->offset, context->offset, context->offset_bytes + 1);
		plan->caught_up = context->total <= (plan->asked_limit - 1) / 10; /* less than a tenth */
	} else {
		plan->last_success_ns =
			now.monotonic_ns; /* the offset is fresh, the lines are not ours yet */
	}
	int window_stale = open || is_window_stale(plan, now);
	/* A search that only ever sees its first page, because every offset is refused, gets nowhere. */
	if (!open || !plan->by_time)
		plan->recoveries_in_a_row = 0;
	if (!plan->by_time)
		plan->recoveries_without_offset = 0;
	note_stuck_offset(plan, context);
	memcpy(plan->ask_offset, context->offset, context->offset_bytes + 1);
	plan->by_time = 0;
	plan->window = PLAN_WINDOW_NONE;
	plan->window_gap_seconds = 0; /* it stays counted */
	plan->range_corrected = 0;
	go_on(plan, now, context->total, window_stale);
	return 1;
}

/* The page is complete but does not repeat what was handed on of it before: nothing can be skipped safely. */
static void mismatched(struct plan *plan, struct plan_time now)
{
	if (plan->asked_resume ==
	    PLAN_RESUME_SEARCH) { /* earlier pages of the search are not proven either */
		search_exhausted(plan, now);
		return;
	}
	plan->counters.skip_mismatches++;
	plan->resume = PLAN_RESUME_NONE;
	plan_notice(plan,
		    "The server repeated the page with other events than before; it is handed on whole, "
		    "some events perhaps for the second time.");
}

/* A context whose offset cannot be asked for. */
static int is_offset_unusable(const struct control_context *context)
{
	return context->offset_bytes == 0 || context->offset_bytes > CONTROL_OFFSET_BYTES_MAX ||
	       memchr(context->offset, 0, context->offset_bytes) || context->offset[context->offset_bytes];
}

/* Status 200. */
static int page_answered(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	enum fault fault = answer->fault;
	enum fault_class class = fault_class_of(fault);
	int has_end = fault == FAULT_NONE || fault == FAULT_PAGE_NO_CONTEXT || fault == FAULT_CONTROL_JSON;
	if (has_end && !answer->context && !answer->body_looks_like_events && answer->body_bytes > 0) {
		plan_stop(plan, FAULT_AKAMAI_NOT_SIEM);
		plan_say(plan,
			 "this is not the SIEM API: status 200, but the body does not begin with '{'. Check "
			 "the host in the URL or in .edgerc; a proxy's login page looks like "
			 "this too.");
	} else if (class == FAULT_CLASS_STOP) {
		plan_stop(plan, fault);
		plan_say(plan, "%s.", fault_sentence(fault));
	} else if (class == FAULT_CLASS_RESTART || (class == FAULT_CLASS_RETRY && answer->body_bytes > 0)) {
		plan->counters.network_errors += class == FAULT_CLASS_RETRY;
		truncated(plan, now, fault, answer);
	} else if (class == FAULT_CLASS_RETRY) {
		plan->counters.network_errors++;
		plan_failed_retry(plan, now, fault, -1, answer);
	} else if (answer->skip == PLAN_SKIP_MISMATCH && plan->asked_resume != PLAN_RESUME_NONE) {
		mismatched(plan, now);
	} else if (!answer->context || is_offset_unusable(answer->context)) {
		truncated(plan, now, FAULT_PAGE_NO_CONTEXT, answer);
	} else if (answer->context->total < 0 || (uint64_t)answer->context->total != answer->event_lines) {
		truncated(plan, now, FAULT_PAGE_TOTAL, answer);
	} else {
		return commit(plan, now, answer);
	}
	return 0;
}

/* No usable status: the connection, TLS or the head failed, or a fault of ours. */
static void transport_failed(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	/* No status and no fault cannot be told apart from a connection that ended too soon. */
	enum fault fault = answer->fault == FAULT_NONE ? FAULT_HTTP_TRUNCATED_HEAD : answer->fault;
	enum fault_class class = fault_class_of(fault);
	if (class == FAULT_CLASS_STOP) {
		plan_stop(plan, fault);
		plan_say(plan, "%s.", fault_sentence(fault));
	} else if (class == FAULT_CLASS_RESTART) {
		truncated(plan, now, fault, answer);
	} else {
		plan->counters.network_errors++;
		plan_failed_retry(plan, now, fault, answer->retry_after_seconds, answer);
	}
}

/* Faults of a refusal's body that do not matter once the status is known. */
static int is_body_fault(enum fault fault)
{
	return fault == FAULT_HTTP_ENCODING || fault == FAULT_INFLATE_LIMIT ||
	       fault == FAULT_PAGE_LINE_LIMIT || fault_class_of(fault) != FAULT_CLASS_STOP;
}

static void note_lines(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	int handed_on = answer->status == 200 && answer->event_lines > 0 &&
			answer->skip != PLAN_SKIP_MISMATCH &&
			!(plan->asked_resume == PLAN_RESUME_SEARCH && answer->skip == PLAN_SKIP_OPEN);
	if (!handed_on)
		return;
	plan->last_lines_unix = plan_now_unix_ns(plan, now) / NS_PER_SECOND;
	plan->window_lines |= plan->by_time;
	if (answer->newest_event_unix_ms > plan->counters.last_event_unix_ms)
		plan->counters.last_event_unix_ms = answer->newest_event_unix_ms;
}

int plan_answer(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	CHECK_EQ(plan->asked, 1);
	plan->asked = 0;
	plan->notice[0] = 0;
	note_lines(plan, now, answer);
	if (answer->status == 200)
		return page_answered(plan, now, answer);
	if (answer->status == 0 || !is_body_fault(answer->fault))
		transport_failed(plan, now, answer);
	else
		plan_refused(plan, now, answer);
	return 0;
}
