/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol's decisions, rule by rule, on a clock that the test moves.
 */
#include "unit/plan_play.h"
#include "unit/plan_recovery_cases.h"

/* ---- start and steady state ---- */

static void starts_by_time(void)
{
	defaults();
	begin();
	EQ_TEXT(plan.notice, "");
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699996400&limit=1000&to=1699999995");
	EQ(ask.by_time, 1);
	EQ(ask.resume, PLAN_RESUME_POSITION);
	EQ(ask.sign_unix_seconds, NOW);
	defaults();
	settings.to_lag_ns = 0;
	settings.from_unix = NOW - 100;
	begin();
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699999900&limit=1000");
	defaults();
	settings.from_unix = NOW - 5; /* `to` would not be greater */
	begin();
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699999995&limit=1000");
}

static void starts_inside_the_history(void)
{
	defaults();
	settings.from_unix = NOW - 13 * HOUR;
	begin();
	HAS_TEXT(plan.notice, "12 hours");
	HAS_TEXT(plan.notice, "3660 s later");
	EQ(plan.counters.gap_seconds, HOUR + 60);
	request();
	HAS_TEXT(ask.target, "?from=1699956860&"); /* NOW - 12 h + 60 s */
	good(0, "a");
	EQ(plan.counters.gap_seconds, HOUR + 60);
	defaults();
	settings.initial_interval_ns = 12 * HOUR * NS_PER_SECOND;
	begin();
	EQ(plan.counters.gap_seconds, 60);
}

static void starts_by_cursor(void)
{
	defaults();
	settings.cursor = "71cca;3ph-_.~A/+ \xc3\xa4%";
	settings.config_id = "12892;29182";
	begin();
	request();
	EQ_TEXT(ask.target,
		"/siem/v1/configs/12892%3B29182?limit=1000&offset=71cca%3B3ph-_.~A%2F%2B%20%C3%A4%25");
	EQ(ask.by_time, 0);
	EQ_TEXT(plan.offset, settings.cursor);
}

static void refuses_what_cannot_be_asked(void)
{
	static char text[PLAN_TARGET_BYTES_MAX];
	defaults();
	memset(text, ';', CONTROL_OFFSET_BYTES_MAX);
	settings.cursor = text;
	begin();
	request(); /* the longest, wholly escaped, fits */
	EQ(strlen(ask.target),
	   strlen("/siem/v1/configs/14227?limit=1000&offset=") + 3 * CONTROL_OFFSET_BYTES_MAX);
	memset(text, ';', CONTROL_OFFSET_BYTES_MAX + 1);
	begin();
	expect_failed(FAULT_AKAMAI_PARAMETERS);
	HAS_TEXT(plan.error_text, "cursor is longer than 4096");
	defaults();
	memset(text, '1', sizeof text - 1);
	settings.config_id = text;
	begin();
	EQ(next(), PLAN_END);
	HAS_TEXT(plan.error_text, "too long together");
}

static void the_window_is_fixed_until_a_page_is_committed(void)
{
	defaults();
	begin();
	request();
	char first[200];
	snprintf(first, sizeof first, "%.199s", ask.target);
	pass(600 * NS_PER_SECOND);
	fail_with(FAULT_RING_CONNECT, 0, 0, 0);
	request_after(NS_PER_SECOND);
	EQ_TEXT(ask.target, first);
	EQ(ask.sign_unix_seconds, NOW + 601);
	good(10, "a");
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=a");
	EQ(ask.by_time, 0);
}

/* The server was out of reach so long that the window's begin has left the history. */
static void an_old_window_is_moved(void)
{
	defaults();
	settings.from_unix = NOW - 11 * HOUR;
	begin();
	request();
	fail_with(FAULT_RING_RECEIVE, 200, 1000, 7); /* some lines were handed on */
	pass(HOUR * NS_PER_SECOND);
	request(); /* exactly 12 hours: still inside */
	EQ(ask.resume, PLAN_RESUME_POSITION);
	HAS_TEXT(ask.target, "from=1699960400&");
	fail_with(FAULT_RING_CONNECT, 0, 0, 0);
	pass(61 * NS_PER_SECOND);
	request();
	HAS_TEXT(ask.target, "from=1699960521&"); /* now - 12 h + 60 s */
	HAS_TEXT(plan.notice, "121 s later than wanted");
	EQ(plan.counters.gap_seconds, 121);
	EQ(ask.resume, PLAN_RESUME_SEARCH); /* positions have moved with it */
	fail_with(FAULT_RING_CONNECT, 0, 0, 0);
	pass(24 * HOUR * NS_PER_SECOND);
	request();
	EQ(plan.counters.gap_seconds, 121 + 24 * HOUR);
	EQ(ask.resume, PLAN_RESUME_NONE); /* nothing handed on is left in the history */
}

static void drains(void)
{
	defaults();
	begin();
	request();
	good(1000, "a");
	request();
	good(1, "b"); /* a page smaller than the limit never ends a drain */
	request();
	good(0, "c");
	EQ(next(), PLAN_END);
	EQ(ask.end_reason, PLAN_END_DRAINED);
	EQ(plan.counters.requests, 3);
	EQ(plan.counters.attempts, 3);
	EQ(plan.counters.events, 1001);
	EQ_TEXT(plan.offset, "c");
	EQ_TEXT(plan.error_text, "");
}

/* An empty window is the end only when it reached up to now. */
static void an_old_empty_window_is_not_the_end(void)
{
	defaults();
	begin();
	request();
	pass(6 * NS_PER_SECOND);
	good(0, "a");
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=a");
	good(0, "b");
	EQ(next(), PLAN_END);
	defaults();
	begin();
	request();
	pass(5 * NS_PER_SECOND);
	good(0, "a");
	EQ(next(), PLAN_END);
}

static void follows(void)
{
	defaults();
	settings.follow = 1;
	begin();
	request();
	good(0, "a");
	request_after(5 * NS_PER_SECOND);
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=a");
	good(1, "b");
	request(); /* at once while events come */
	good(0, "c");
	request_after(5 * NS_PER_SECOND);
}

static void polls_at_an_interval(void)
{
	defaults();
	settings.follow = 1;
	settings.poll_interval_ns = 30 * NS_PER_SECOND;
	begin();
	request();
	good(1000, "a");
	request_after(30 * NS_PER_SECOND);
	good(0, "b");
	request_after(30 * NS_PER_SECOND);
	settings.poll_interval_ns = INT64_MAX;
	begin();
	request();
	good(1, "a");
	EQ(next(), PLAN_WAIT);
	EQ(ask.wait_until_ns, INT64_MAX);
}

static void ends_after_requests_max(void)
{
	defaults();
	settings.requests_max = 2;
	settings.poll_interval_ns = NS_PER_SECOND;
	begin();
	request();
	good(5, "a");
	request_after(NS_PER_SECOND);
	fail_with(FAULT_RING_STALL, 0, 0, 0); /* does not count */
	request_after(NS_PER_SECOND);
	good(5, "b");
	EQ(next(), PLAN_END); /* without waiting */
	EQ(ask.end_reason, PLAN_END_REQUESTS_MAX);
	EQ_TEXT(plan.offset, "b");
}

/* ---- truncation ---- */

static void a_truncated_page_is_asked_again_with_half_the_limit(void)
{
	defaults();
	begin_with_a_page();
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 5000, 400);
	HAS_TEXT(plan.error_text, "after 400 events");
	HAS_TEXT(plan.error_text, "with limit 500");
	request(); /* at once */
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=500&offset=t%3B1");
	EQ(ask.resume, PLAN_RESUME_POSITION);
	fail_with(FAULT_INFLATE_CHECKSUM, 200, 5000, 400);
	request_after(NS_PER_SECOND); /* then with a back-off */
	EQ(ask.limit, 250);
	fail_with(FAULT_RING_RECEIVE, 200, 1, 0); /* a network fault in the middle of a page is one too */
	request_after(2 * NS_PER_SECOND);
	EQ(ask.limit, 125);
	EQ(plan.counters.truncations, 3);
	EQ(plan.counters.backoff_ns, 3 * NS_PER_SECOND);
	EQ_TEXT(plan.offset, "t;1");
	static const int64_t limits[] = { 250, 500, 1000, 1000 };
	for (size_t i = 0; i < 4; i++) {
		good(1, "u");
		request();
		EQ(ask.limit, limits[i]);
	}
}

/* Only a page as long as before proves the lines that are out; when that does not help, a smaller one may. */
static void a_damaged_page_is_asked_again_once_with_the_same_limit(void)
{
	static const enum fault damages[] = { FAULT_INFLATE_DATA, FAULT_INFLATE_CHECKSUM,
					      FAULT_INFLATE_SIZE };
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		defaults();
		begin_with_a_page();
		fail_with(damages[i], 200, 5000, 400);
		HAS_TEXT(plan.error_text, "with limit 1000");
		request(); /* at once */
		EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=t%3B1");
		EQ(ask.resume, PLAN_RESUME_POSITION);
		fail_with(damages[i], 200, 5000, 400);
		request_after(NS_PER_SECOND);
		EQ(ask.limit, 500);
		good(500, "u");
		request();
		EQ(ask.limit, 1000);
		fail_with(damages[i], 200, 5000, 400); /* the first in a row again */
		request();
		EQ(ask.limit, 1000);
		EQ(plan.counters.truncations, 3);
	}
}

static void the_limit_stays_at_least_one_and_finds_back(void)
{
	defaults();
	settings.limit = 7;
	begin();
	for (int i = 0; i < 5; i++) {
		pass(100 * NS_PER_SECOND);
		request();
		fail_with(FAULT_PAGE_TIMEOUT, 0, 0, 0);
	}
	pass(100 * NS_PER_SECOND);
	request();
	EQ(ask.limit, 1);
	static const int64_t limits[] = { 2, 4, 7, 7 };
	for (size_t i = 0; i < 4; i++) {
		good(1, "u");
		request();
		EQ(ask.limit, limits[i]);
	}
}

static void a_page_must_prove_itself(void)
{
	defaults();
	begin_with_a_page();
	struct plan_answer page = good_page(10, "t;2");
	page.event_lines = 9;
	answer(page);
	EQ(committed, 0);
	EQ(plan.last_fault, FAULT_PAGE_TOTAL);
	request();
	page.event_lines = 10;
	page.context = NULL;
	answer(page);
	EQ(plan.last_fault, FAULT_PAGE_NO_CONTEXT);
	pass(60 * NS_PER_SECOND);
	request();
	answer(good_page(10, "")); /* an offset that cannot be asked for */
	EQ(plan.last_fault, FAULT_PAGE_NO_CONTEXT);
	pass(60 * NS_PER_SECOND);
	request();
	page = good_page(10, "abc");
	context.offset[1] = 0;
	answer(page);
	EQ(plan.last_fault, FAULT_PAGE_NO_CONTEXT);
	EQ(committed, 0);
	EQ(plan.counters.truncations, 4);
	EQ_TEXT(plan.offset, "t;1");
	pass(60 * NS_PER_SECOND);
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=62&offset=t%3B1");
}

static void a_page_of_something_else_stops(void)
{
	defaults();
	begin();
	request();
	struct plan_answer page = good_page(0, "x");
	page.context = NULL;
	page.body_looks_like_events = 0;
	page.body_bytes = 0; /* nothing at all is a truncation */
	answer(page);
	request();
	page.body_bytes = 100;
	answer(page);
	expect_failed(FAULT_AKAMAI_NOT_SIEM);
	HAS_TEXT(plan.error_text, "proxy");
}

static void faults_that_cannot_be_cured_stop(void)
{
	static const enum fault faults[] = { FAULT_TLS_CERTIFICATE, FAULT_HTTP_NOT_HTTP, FAULT_RING_WRITE,
					     FAULT_PAGE_LINE_LIMIT, FAULT_INFLATE_LIMIT, FAULT_SINK_WRITE };
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		defaults();
		begin();
		request();
		fail_with(faults[i], i < 2 ? 0 : 200, 10, 1);
		expect_failed(faults[i]);
		HAS_TEXT(plan.error_text, fault_sentence(faults[i]));
		EQ(next(), PLAN_END); /* and stays there */
	}
	defaults();
	begin();
	request();
	fail_with(FAULT_SINK_WRITE, 503, 10, 1); /* ours, whatever the server says */
	expect_failed(FAULT_SINK_WRITE);
}

/* ---- failures that pass ---- */

static void backs_off_exponentially_with_jitter(void)
{
	for (int most = 0; most < 2; most++) {
		defaults();
		settings.random = most ? random_most : random_zero;
		begin_with_a_page();
		int64_t pause_ns = NS_PER_SECOND;
		for (int i = 0; i < 100; i++) {
			fail_with(FAULT_RING_CONNECT, 0, 0, 0);
			HAS_TEXT(plan.error_text, "cannot connect. Asking again in ");
			request_after(most ? pause_ns / 2 : pause_ns);
			EQ(ask.limit, 1000);
			pause_ns = pause_ns * 2 > PLAN_BACKOFF_MAX_NS ? PLAN_BACKOFF_MAX_NS : pause_ns * 2;
		}
		HAS_TEXT(plan.error_text, "failure 100 in a row");
		EQ(plan.counters.network_errors, 100);
		EQ_TEXT(plan.offset, "t;1");
		good(1, "t;2");
		request();
		fail_with(FAULT_RING_CONNECT, 0, 0, 0);
		request_after(most ? NS_PER_SECOND / 2 : NS_PER_SECOND); /* from the beginning */
	}
}

static void waits_when_the_server_is_busy(void)
{
	static const int statuses[] = { 408, 425, 428, 429, 500, 502, 503, 504, 599 };
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		defaults();
		begin_with_a_page();
		refuse(statuses[i], "Service Unavailable", "no available backend");
		EQ(plan.last_fault, FAULT_AKAMAI_BUSY);
		HAS_TEXT(plan.error_text, "\"Service Unavailable\": no available backend (requestId 9ab12ef, "
					  "serverIp 192.0.2.175). Asking again in 1s (failure 1 in a row).");
		request_after(NS_PER_SECOND);
		EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=t%3B1");
		EQ(plan.counters.rate_limited, statuses[i] == 429);
		EQ(plan.counters.server_errors, statuses[i] >= 500);
	}
}

static void honours_retry_after(void)
{
	defaults();
	begin();
	request();
	struct plan_answer busy = refusal(429, "Too many requests", "");
	busy.retry_after_seconds = 30;
	answer(busy);
	request_after(30 * NS_PER_SECOND);
	busy.retry_after_seconds = 1; /* less than the back-off, which counts then */
	answer(busy);
	request_after(2 * NS_PER_SECOND);
	busy.retry_after_seconds = INT64_MAX;
	answer(busy);
	request_after(PLAN_RETRY_AFTER_SECONDS_MAX * NS_PER_SECOND);
	settings.random = random_most;
	begin();
	request();
	busy.retry_after_seconds = 30;
	answer(busy);
	request_after(33 * NS_PER_SECOND); /* at most a tenth more */
}

/* A refusal whose body got lost cannot be judged: it is asked for again a few times. */
static void a_refusal_without_reason_is_asked_again(void)
{
	defaults();
	begin();
	request();
	for (int i = 0; i < 3; i++) {
		fail_with(FAULT_HTTP_TRUNCATED_BODY, 400, 10, 0);
		EQ(next(), PLAN_WAIT);
		pass(ask.wait_until_ns - now.monotonic_ns);
		request();
	}
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 400, 10, 0);
	expect_failed(FAULT_AKAMAI_PARAMETERS);
}

/* ---- refusals ---- */

static struct plan_answer clock_refusal(int64_t date_unix)
{
	struct plan_answer refused = refusal(400, "Bad request", "Invalid timestamp");
	strcpy(problem.type, "https://problems.luna.akamaiapis.net/-/pep-authn/request-error");
	refused.date_unix = date_unix;
	return refused;
}

static void the_clock_is_corrected(void)
{
	defaults();
	begin_with_a_page();
	answer(clock_refusal(NOW + 7200));
	EQ(plan.counters.clock_corrections, 1);
	EQ(plan.counters.clock_skew_ns, 7200 * NS_PER_SECOND - 250);
	HAS_TEXT(plan.notice, "is 2h0m0s ahead of this host's");
	request(); /* at once, same question */
	EQ(ask.sign_unix_seconds, NOW + 7200);
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=t%3B1");
	pass(10 * NS_PER_SECOND);
	good(1, "t;2");
	EQ(plan.counters.recoveries, 0);
	request();
	EQ(ask.sign_unix_seconds, NOW + 7210);
	answer(clock_refusal(NOW - 50));
	HAS_TEXT(plan.notice, "behind this host's");
	request();
	EQ(ask.sign_unix_seconds, NOW - 50);
}

/* What was computed from the wrong clock is computed again, the gap too. */
static void a_corrected_clock_corrects_the_window(void)
{
	defaults();
	settings.from_unix = NOW - 13 * HOUR - 500; /* this host runs 13 hours ahead */
	begin();
	EQ(plan.counters.gap_seconds, HOUR + 560);
	request();
	answer(clock_refusal(NOW - 13 * HOUR));
	request();
	EQ(plan.counters.gap_seconds, 0);
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699952700&limit=1000&to=1699953195");
	defaults();
	begin();
	request();
	answer(clock_refusal(NOW - 13 * HOUR));
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?from=1699949600&limit=1000&to=1699953195");
}

static void a_clock_that_cannot_be_corrected_stops(void)
{
	defaults();
	begin();
	request();
	for (int i = 0; i < 3; i++) {
		answer(clock_refusal(NOW));
		request();
	}
	answer(clock_refusal(NOW));
	expect_failed(FAULT_AKAMAI_CREDENTIALS);
	HAS_TEXT(plan.error_text, "Invalid timestamp");
	HAS_TEXT(plan.error_text, "NTP");
	/* Without a Date to learn from: later again, as often. */
	static const int64_t no_dates[] = { -1, INT64_MAX, -1 };
	defaults();
	begin();
	request();
	for (size_t i = 0; i < 3; i++) {
		answer(clock_refusal(no_dates[i]));
		request_after(NS_PER_SECOND << i);
	}
	answer(clock_refusal(-1));
	expect_failed(FAULT_AKAMAI_CREDENTIALS);
	EQ(plan.counters.clock_corrections, 0);
}

static void a_used_nonce_is_replaced(void)
{
	defaults();
	begin_with_a_page();
	for (int i = 0; i < 3; i++) {
		refuse(401, "Unauthorized", "Nonce already used");
		request();
		EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=t%3B1");
	}
	good(1, "t;2"); /* counts from the beginning then */
	request();
	for (int i = 0; i < 3; i++) {
		refuse(401, "Unauthorized", "Nonce already used");
		request();
	}
	refuse(401, "Unauthorized", "Nonce already used");
	expect_failed(FAULT_AKAMAI_CREDENTIALS);
}

static void other_refusals_stop_with_the_servers_words(void)
{
	static const struct {
		int status;
		enum fault fault;
		const char *hint;
	} cases[] = {
		{ 401, FAULT_AKAMAI_CREDENTIALS, "Check client_token" },
		{ 403, FAULT_AKAMAI_FORBIDDEN, "Manage SIEM" },
		{ 404, FAULT_AKAMAI_NOT_FOUND, "Check the configId" },
		{ 400, FAULT_AKAMAI_PARAMETERS, "Check configId, limit, from and cursor" },
		{ 301, FAULT_AKAMAI_REDIRECT, "never followed" },
		{ 307, FAULT_AKAMAI_REDIRECT, "never followed" },
		{ 204, FAULT_AKAMAI_STATUS, "check the host" },
		{ 418, FAULT_AKAMAI_STATUS, "check the host" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char wanted[128];
		defaults();
		begin();
		request();
		refuse(cases[i].status, "A title", "A detail");
		expect_failed(cases[i].fault);
		snprintf(wanted, sizeof wanted,
			 "configId 14227: the server answers status %d, \"A title\": A detail (requestId "
			 "9ab12ef, "
			 "serverIp 192.0.2.175). ",
			 cases[i].status);
		HAS_TEXT(plan.error_text, wanted);
		HAS_TEXT(plan.error_text, cases[i].hint);
	}
}

static void a_refusal_may_have_no_or_endless_words(void)
{
	defaults();
	begin();
	request();
	struct plan_answer refused = refusal(403, "", "");
	refused.problem = NULL;
	answer(refused);
	expect_failed(FAULT_AKAMAI_FORBIDDEN);
	HAS_TEXT(plan.error_text, "configId 14227: the server answers status 403. Give");
	defaults();
	begin();
	request();
	refused = refusal(403, "", "");
	memset(problem.title, 'x', sizeof problem.title - 1);
	for (size_t i = 0; i + 2 < sizeof problem.detail; i += 2)
		memcpy(problem.detail + i, "\xc3\xa4", 2);
	memset(problem.request_id, 'y', sizeof problem.request_id - 1);
	memset(problem.server_ip, 'z', sizeof problem.server_ip - 1);
	/* One byte less at the front, so that the cut falls inside a character. */
	problem.detail[0] = 'a';
	memmove(problem.detail + 1, problem.detail + 2, sizeof problem.detail - 2);
	answer(refused);
	expect_failed(FAULT_AKAMAI_FORBIDDEN);
	HAS_TEXT(plan.error_text, "\xc3\xa4 (requestId yyy");
	HAS_TEXT(plan.error_text, "Give the API client");
}

static void a_range_is_corrected_once(void)
{
	defaults();
	settings.from_unix = NOW - 12 * HOUR + 60;
	begin();
	request();
	HAS_TEXT(ask.target, "from=1699956860&");
	pass(50 * NS_PER_SECOND);
	refuse(400, "Bad request", "from is out of range");
	request(); /* at once */
	HAS_TEXT(ask.target, "from=1699956910&");
	EQ(plan.counters.gap_seconds, 50);
	HAS_TEXT(plan.notice, "50 s later than wanted");
	refuse(400, "Bad request", "from is too old");
	expect_failed(FAULT_AKAMAI_PARAMETERS);
	defaults(); /* refused in spite of the margin: a wider one */
	settings.from_unix = NOW - 13 * HOUR;
	begin();
	request();
	refuse(416, "", "");
	request();
	HAS_TEXT(ask.target, "from=1699957100&"); /* NOW - 12 h + 300 s */
	EQ(plan.counters.gap_seconds, HOUR + 300);
	good(1, "a");
	EQ(ask.resume, PLAN_RESUME_POSITION);
	defaults(); /* positions move with the window */
	settings.from_unix = NOW - 12 * HOUR + 60;
	begin();
	request();
	fail_with(FAULT_HTTP_TRUNCATED_BODY, 200, 100, 7);
	pass(50 * NS_PER_SECOND);
	request();
	EQ(ask.resume, PLAN_RESUME_POSITION);
	refuse(400, "Bad request", "from is out of range");
	request();
	EQ(ask.resume, PLAN_RESUME_SEARCH);
	defaults(); /* well inside: something else is wrong */
	begin();
	request();
	refuse(400, "Bad request", "from is out of range");
	expect_failed(FAULT_AKAMAI_PARAMETERS);
}

TEST_MAIN(T(starts_by_time), T(starts_inside_the_history), T(starts_by_cursor),
	  T(refuses_what_cannot_be_asked), T(the_window_is_fixed_until_a_page_is_committed),
	  T(an_old_window_is_moved), T(drains), T(an_old_empty_window_is_not_the_end), T(follows),
	  T(polls_at_an_interval), T(ends_after_requests_max),
	  T(a_truncated_page_is_asked_again_with_half_the_limit),
	  T(a_damaged_page_is_asked_again_once_with_the_same_limit),
	  T(the_limit_stays_at_least_one_and_finds_back), T(a_page_must_prove_itself),
	  T(a_page_of_something_else_stops), T(faults_that_cannot_be_cured_stop),
	  T(backs_off_exponentially_with_jitter), T(waits_when_the_server_is_busy), T(honours_retry_after),
	  T(a_refusal_without_reason_is_asked_again), T(an_expired_offset_is_recovered_by_time),
	  T(which_refusals_are_about_the_offset), T(a_refused_first_cursor_goes_by_the_initial_interval),
	  T(a_recovery_without_event_times), T(a_small_page_of_a_search_does_not_tell_what_was_read),
	  T(a_recovery_that_knows_nothing), T(an_event_time_in_the_future_is_not_believed),
	  T(only_committed_pages_move_the_recovery), T(a_recovery_beyond_the_history_has_a_gap),
	  T(recoveries_are_bounded), T(goes_on_by_time_when_no_offset_is_accepted),
	  T(an_offset_grows_too_old), T(a_search_that_reaches_the_end_hands_on_everything),
	  T(an_empty_window_does_not_end_a_search), T(a_search_is_bounded),
	  T(a_search_survives_truncation_and_failures), T(a_page_that_is_not_repeated_is_handed_on_whole),
	  T(a_mismatch_of_a_damaged_page_does_not_count), T(a_mismatch_within_a_search_begins_anew),
	  T(a_shorter_repeat_goes_on_by_position), T(an_offset_that_stands_still_is_told_once),
	  T(the_clock_is_corrected), T(a_corrected_clock_corrects_the_window),
	  T(a_clock_that_cannot_be_corrected_stops), T(a_used_nonce_is_replaced),
	  T(other_refusals_stop_with_the_servers_words), T(a_refusal_may_have_no_or_endless_words),
	  T(a_range_is_corrected_once))
