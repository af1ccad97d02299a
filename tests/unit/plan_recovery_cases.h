/* SPDX-License-Identifier: Apache-2.0
 *
 * Cases of plan_test.c: recovery by time, and skipping what was handed on before.
 */
#ifndef TESTS_UNIT_PLAN_RECOVERY_CASES_H
#define TESTS_UNIT_PLAN_RECOVERY_CASES_H

#include "unit/plan_play.h"

/* ---- recovery by time ---- */

static void an_expired_offset_is_recovered_by_time(void)
{
	defaults();
	begin_with_a_page();
	pass(HOUR * NS_PER_SECOND);
	refuse(416, "Expired offset parameter in the request", "Expired offset parameter in the request");
	HAS_TEXT(plan.notice, "status 416): reading again by time.");
	EQ(plan.counters.recoveries, 1);
	EQ_TEXT(plan.offset, "t;1");
	request();
	/* From the newest event time on: 10 s before the page came. */
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699999990&limit=1000&to=1700003595");
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	EQ(ask.by_time, 1);
	struct plan_answer page = good_page(1000, "s;1");
	page.skip = PLAN_SKIP_OPEN;
	answer(page);
	EQ(committed, 1);
	EQ_TEXT(plan.offset, "t;1"); /* a run that ends now must not lose what was skipped */
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=s%3B1");
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	good(1000, "s;2"); /* found */
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=s%3B2");
	EQ(ask.resume, PLAN_RESUME_POSITION);
	EQ(plan.counters.skip_mismatches, 0);
	EQ(plan.counters.gap_seconds, 0);
}

static void which_refusals_are_about_the_offset(void)
{
	static const struct {
		int status;
		int recovers;
		const char *title, *detail, *type;
	} cases[] = {
		{ 416, 1, "", "", "" },
		{ 400, 1, "Bad request", "Invalid OFFSET", "" },
		{ 410, 1, "cursor is gone", "", "" },
		{ 422, 1, "", "unknown Token", "" },
		{ 400, 1, "", "", "https://problems.cloudsecurity.akamaiapis.net/siem/v1/offset-too-old" },
		{ 400, 0, "Missing mandatory parameter(s)", "", "" },
		{ 400, 0, "", "bad client token",
		  "https://problems.luna.akamaiapis.net/-/pep-authn/request-error" },
		{ 401, 0, "", "offset", "" },
		{ 403, 0, "", "offset", "" },
		{ 404, 0, "", "offset", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		defaults();
		begin_with_a_page();
		struct plan_answer refused = refusal(cases[i].status, cases[i].title, cases[i].detail);
		strcpy(problem.type, cases[i].type);
		answer(refused);
		EQ(plan.counters.recoveries, cases[i].recovers);
		EQ(next(), cases[i].recovers ? PLAN_REQUEST : PLAN_END);
	}
}

static void a_refused_first_cursor_goes_by_the_initial_interval(void)
{
	defaults();
	settings.cursor = "old";
	begin();
	request();
	refuse(416, "Expired offset", "");
	HAS_TEXT(plan.notice, "events before 1699996400 may be missing");
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699996400&limit=1000&to=1699999995");
	EQ(ask.resume, PLAN_RESUME_POSITION); /* nothing was handed on */
	good(1, "new");
	EQ_TEXT(plan.offset, "new");
	defaults();
	settings.cursor = "old";
	settings.from_unix = NOW - 7000;
	begin();
	request();
	refuse(416, "Expired offset", "");
	request();
	HAS_TEXT(ask.target, "from=1699993000&");
}

/* Without any event time, an empty page proves that all before it had been read. */
static void a_recovery_without_event_times(void)
{
	defaults();
	settings.follow = 1;
	begin();
	request();
	good(0, "a");
	pass(100 * NS_PER_SECOND);
	request();
	good(50, "b"); /* small: less than a tenth of the limit; at NOW + 100 */
	pass(600 * NS_PER_SECOND);
	request();
	refuse(416, "Expired offset", "");
	request();
	HAS_TEXT(ask.target, "from=1700000035&"); /* - to_lag - 60 s */
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	good(100, "c"); /* not small */
	request();
	refuse(416, "Expired offset", "");
	request_after(NS_PER_SECOND);		  /* the second without an accepted offset in between */
	HAS_TEXT(ask.target, "from=1699996400&"); /* where the plan began */
}

/* A small page of a search says nothing about the time of the last page that was handed on. */
static void a_small_page_of_a_search_does_not_tell_what_was_read(void)
{
	defaults();
	begin();
	request();
	good(1000, "a"); /* not small: there may be hours of events behind it */
	request();
	pass(HOUR * NS_PER_SECOND);
	refuse(416, "Expired offset", "");
	request();
	HAS_TEXT(ask.target, "from=1699996400&"); /* where the plan began */
	struct plan_answer page = good_page(1, "s;1");
	page.skip = PLAN_SKIP_OPEN;
	answer(page);
	EQ(committed, 1);
	request();
	refuse(416, "Expired offset", "");
	request_after(NS_PER_SECOND);
	HAS_TEXT(ask.target, "from=1699996400&");
	EQ(ask.resume, PLAN_RESUME_SEARCH);
}

/* A given cursor's place in the history is not known, nor are event times: all there is is searched. */
static void a_recovery_that_knows_nothing(void)
{
	defaults();
	settings.cursor = "given";
	begin();
	request();
	good(1000, "a");
	request();
	refuse(416, "Expired offset", "");
	HAS_TEXT(plan.notice, "events before 1699956860 may be missing");
	request();
	HAS_TEXT(ask.target, "from=1699956860&"); /* NOW - 12 h + 60 s */
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	EQ(plan.counters.gap_seconds, 0);
}

/* A window edge that a wrong event time would move behind unread events. */
static void an_event_time_in_the_future_is_not_believed(void)
{
	defaults();
	begin();
	request();
	good_with_time(1000, "a", -86400);
	EQ(plan.counters.last_event_unix_ms, (NOW + 86400) * 1000);
	request();
	pass(100 * NS_PER_SECOND);
	refuse(416, "Expired offset", "");
	request();
	HAS_TEXT(ask.target, "from=1700000000&");
}

/* Lines of an incomplete page are not a safe place to begin from. */
static void only_committed_pages_move_the_recovery(void)
{
	defaults();
	begin_with_a_page();
	struct plan_answer page = good_page(500, "x");
	page.context = NULL;
	page.newest_event_unix_ms = NOW * 1000;
	answer(page);
	EQ(plan.counters.last_event_unix_ms, NOW * 1000);
	request();
	refuse(416, "Expired offset", "");
	request();
	HAS_TEXT(ask.target, "from=1699999990&");
	EQ(ask.resume, PLAN_RESUME_SEARCH);
}

static void a_recovery_beyond_the_history_has_a_gap(void)
{
	defaults();
	begin_with_a_page();
	pass(13 * HOUR * NS_PER_SECOND);
	refuse(416, "Expired offset", "");
	EQ(plan.counters.gap_seconds, HOUR + 60 + 10);
	HAS_TEXT(plan.notice, "3670 s later than wanted");
	request();
	EQ(ask.resume, PLAN_RESUME_NONE); /* the last line handed on is not in the history any more */
	good(1000, "x");
	request();
	EQ(ask.resume, PLAN_RESUME_POSITION);
	EQ(plan.counters.skip_mismatches, 0);
	EQ(plan.counters.gap_seconds, HOUR + 60 + 10);
}

/* The search stays open and the offsets are refused each time: no page is good in between. */
static void recoveries_are_bounded(void)
{
	defaults();
	begin_with_a_page();
	for (int i = 0; i < PLAN_RECOVERIES_MAX; i++) {
		refuse(416, "Expired offset", "");
		EQ(plan.ended, 0);
		if (i == 0)
			request();
		else
			request_after(NS_PER_SECOND << (i - 1)); /* not at full speed */
		EQ(ask.resume, PLAN_RESUME_SEARCH);
		struct plan_answer page = good_page(1000, "s");
		page.skip = PLAN_SKIP_OPEN;
		answer(page);
		request();
	}
	refuse(416, "Expired offset", "");
	expect_failed(FAULT_AKAMAI_PARAMETERS);
	HAS_TEXT(plan.error_text, "again, after 5 recoveries by time in a row");
	EQ_TEXT(plan.offset, "t;1");
}

/* Offsets are refused, pages by time are good: it goes on, ever slower, and loses nothing. */
static void goes_on_by_time_when_no_offset_is_accepted(void)
{
	defaults();
	begin_with_a_page();
	for (int i = 0; i < 20; i++) {
		refuse(416, "Expired offset", "");
		if (next() == PLAN_WAIT) {
			pass(ask.wait_until_ns - now.monotonic_ns);
			request();
		}
		EQ(ask.by_time, 1);
		good_with_time(1000, "s", 1);
		request();
		EQ(ask.by_time, 0);
	}
	EQ(plan.counters.recoveries, 20);
	GT(plan.counters.backoff_ns, 500 * NS_PER_SECOND);
	good(1, "accepted");
	request();
	refuse(416, "Expired offset", "");
	request(); /* at once again */
}

static void an_offset_grows_too_old(void)
{
	defaults();
	settings.follow = 1;
	settings.offset_ttl_ns = 120 * NS_PER_SECOND;
	settings.cursor = "given";
	begin();
	pass(1000 * NS_PER_SECOND);
	request();
	EQ(ask.by_time, 0); /* the age of a given cursor is not known */
	good_with_time(1000, "a", 10);
	pass(120 * NS_PER_SECOND);
	request();
	EQ(ask.by_time, 0);
	fail_with(FAULT_RING_CONNECT, 0, 0, 0);
	pass(10 * NS_PER_SECOND);
	request();
	EQ(ask.by_time, 1);
	HAS_TEXT(plan.notice, "older than offset_ttl");
	HAS_TEXT(ask.target, "from=1700000990&");
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	EQ(plan.counters.recoveries, 1);
	pass(1000 * NS_PER_SECOND);
	fail_with(FAULT_RING_CONNECT, 0, 0, 0);
	pass(1000 * NS_PER_SECOND);
	request(); /* by time already: not again */
	EQ(plan.counters.recoveries, 1);
	good(1, "b");
	request();
	EQ(ask.by_time, 0);
}

/* ---- skipping what was handed on ---- */

static void begin_a_search(void)
{
	defaults();
	begin_with_a_page();
	refuse(416, "Expired offset", "");
	request();
	EQ(ask.resume, PLAN_RESUME_SEARCH);
}

static void answer_open(uint64_t total, const char *offset, int want_committed)
{
	struct plan_answer page = good_page(total, offset);
	page.skip = PLAN_SKIP_OPEN;
	page.newest_event_unix_ms = now.unix_ns / NS_PER_MS - 2000;
	answer(page);
	EQ(committed, want_committed);
}

static void a_search_that_reaches_the_end_hands_on_everything(void)
{
	begin_a_search();
	answer_open(1000, "s;1", 1);
	request();
	answer_open(0, "s;2", 0);
	EQ(plan.counters.skip_mismatches, 1);
	HAS_TEXT(plan.notice, "not found again among 1000 lines");
	EQ_TEXT(plan.offset, "t;1");
	pass(3 * NS_PER_SECOND);
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699999990&limit=1000&to=1699999995");
	EQ(ask.resume, PLAN_RESUME_NONE);
	good(1000, "u;1");
	request();
	EQ(ask.resume, PLAN_RESUME_POSITION);
	/* Lines that were only searched must not have moved the safe place. */
	EQ(plan.counters.last_event_unix_ms, (NOW - 10) * 1000);
}

/* The window may have ended before the last line handed on. */
static void an_empty_window_does_not_end_a_search(void)
{
	begin_a_search();
	answer_open(0, "s;1", 1);
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=s%3B1");
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	good(5, "s;2");
	EQ(plan.counters.skip_mismatches, 0);
}

static void a_search_is_bounded(void)
{
	begin_a_search();
	uint64_t searched = 0;
	for (; searched + 1000000 <= PLAN_SEARCH_LINES_MAX; searched += 1000000) {
		answer_open(1000000, "s", 1);
		request();
		EQ(ask.resume, PLAN_RESUME_SEARCH);
	}
	answer_open(1, "s", 0);
	request();
	EQ(ask.resume, PLAN_RESUME_NONE);
	EQ(ask.by_time, 1);
}

static void a_search_survives_truncation_and_failures(void)
{
	begin_a_search();
	answer_open(1000, "s;1", 1);
	request();
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 100, 5);
	request();
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=500&offset=s%3B1");
	fail_with(FAULT_RING_CONNECT, 0, 0, 0);
	pass(60 * NS_PER_SECOND);
	request();
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	good(500, "s;2");
}

static void a_page_that_is_not_repeated_is_handed_on_whole(void)
{
	defaults();
	begin_with_a_page();
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 5000, 400);
	request();
	struct plan_answer page = good_page(500, "t;2");
	page.skip = PLAN_SKIP_MISMATCH;
	answer(page);
	EQ(committed, 0);
	EQ(plan.counters.skip_mismatches, 1);
	HAS_TEXT(plan.notice, "other events than before");
	EQ_TEXT(plan.offset, "t;1");
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=500&offset=t%3B1");
	EQ(ask.resume, PLAN_RESUME_NONE);
	fail_with(FAULT_RING_CONNECT, 0, 0, 0); /* nothing came: still to be handed on whole */
	pass(60 * NS_PER_SECOND);
	request();
	EQ(ask.resume, PLAN_RESUME_NONE);
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 5000, 100); /* something came: skip that by position */
	pass(60 * NS_PER_SECOND);
	request();
	EQ(ask.resume, PLAN_RESUME_POSITION);
	good(250, "t;2");
	EQ(plan.counters.skip_mismatches, 1);
}

/* A damaged page proves nothing, not even that it differs. */
static void a_mismatch_of_a_damaged_page_does_not_count(void)
{
	defaults();
	begin_with_a_page();
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 5000, 400);
	request();
	struct plan_answer page = good_page(500, "t;2");
	page.skip = PLAN_SKIP_MISMATCH;
	page.fault = FAULT_INFLATE_CHECKSUM;
	answer(page);
	EQ(plan.counters.skip_mismatches, 0);
	pass(60 * NS_PER_SECOND);
	request();
	EQ(ask.resume, PLAN_RESUME_POSITION);
}

static void a_mismatch_within_a_search_begins_anew(void)
{
	begin_a_search();
	answer_open(1000, "s;1", 1);
	request();
	struct plan_answer page = good_page(500, "t;2");
	page.skip = PLAN_SKIP_MISMATCH;
	answer(page);
	EQ(committed, 0);
	request();
	EQ(ask.by_time, 1);
	EQ(ask.resume, PLAN_RESUME_NONE);
	page = good_page(500, "t;2");
	page.skip = PLAN_SKIP_MISMATCH; /* cannot be: nothing was skipped */
	answer(page);
	EQ(committed, 1);
}

/* The repeat is shorter than what was handed on: the rest is skipped in the next page. */
static void a_shorter_repeat_goes_on_by_position(void)
{
	defaults();
	begin_with_a_page();
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 5000, 600);
	request();
	struct plan_answer page = good_page(500, "t;2");
	page.skip = PLAN_SKIP_OPEN;
	answer(page);
	EQ(committed, 1);
	EQ_TEXT(plan.offset, "t;2");
	request();
	EQ(ask.resume, PLAN_RESUME_POSITION);
	EQ(plan.counters.skip_mismatches, 0);
}

static void an_offset_that_stands_still_is_told_once(void)
{
	defaults();
	begin_with_a_page();
	good(10, "t;1");
	HAS_TEXT(plan.notice, "offset that was asked for");
	request();
	good(10, "t;1");
	EQ_TEXT(plan.notice, "");
}

#endif
