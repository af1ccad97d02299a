/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan on a clock that the test moves, and the answers that tests give it. For plan_test.c.
 */
#ifndef TESTS_UNIT_PLAN_PLAY_H
#define TESTS_UNIT_PLAN_PLAY_H

#include "test.h"

#include "akamai/plan.h"
#include "base/clock.h"

#define NOW INT64_C(1700000000) /* where every test begins, seconds since 1970 */
#define HOUR INT64_C(3600)

static struct plan plan;
static struct plan_ask ask;
static struct plan_settings settings;
static struct plan_time now;
static struct control_context context;
static struct control_problem problem;
static int committed;

/* The middle of the range, the smallest, the largest. */
static uint64_t random_zero(uint64_t bound)
{
	(void)bound;
	return 0;
}

static uint64_t random_most(uint64_t bound)
{
	return bound - 1;
}

/* Defaults: one hour back, a limit of 1000, no poll interval, no ttl, not following. */
static void defaults(void)
{
	settings = (struct plan_settings){
		.base_path = "/siem/v1",
		.config_id = "14227",
		.limit = 1000,
		.initial_interval_ns = HOUR * NS_PER_SECOND,
		.to_lag_ns = 5 * NS_PER_SECOND,
		.backoff_ns = NS_PER_SECOND,
		.random = random_zero,
	};
	now = (struct plan_time){ 5000 * NS_PER_SECOND, NOW * NS_PER_SECOND + 250 };
}

static void pass(int64_t ns)
{
	now.monotonic_ns += ns;
	now.unix_ns += ns;
}

static enum plan_kind next(void)
{
	plan_next(&plan, now, &ask);
	return ask.kind;
}

static void begin(void)
{
	plan_begin(&plan, &settings, now);
}

/* The next request must come at once. */
static void request(void)
{
	if (next() != PLAN_REQUEST)
		FAIL("kind %d, %s", ask.kind, plan.error_text);
}

/* The next request must come after exactly this pause. */
static void request_after(int64_t pause_ns)
{
	EQ(next(), PLAN_WAIT);
	EQ(ask.wait_until_ns - now.monotonic_ns, pause_ns);
	pass(pause_ns);
	request();
}

static void expect_failed(enum fault fault)
{
	EQ(next(), PLAN_END);
	EQ(ask.end_reason, PLAN_END_FAILED);
	EQ(plan.last_fault, fault);
	HAS_TEXT(plan.error_text, "configId 14227: ");
}

/* A complete page; the fields that a test wants otherwise are changed in `good` before answer(). */
static struct plan_answer good_page(uint64_t total, const char *offset)
{
	context = (struct control_context){ .total = (int64_t)total, .limit = -1 };
	snprintf(context.offset, sizeof context.offset, "%s", offset);
	context.offset_bytes = strlen(offset);
	return (struct plan_answer){
		.status = 200,
		.retry_after_seconds = -1,
		.date_unix = -1,
		.context = &context,
		.body_looks_like_events = 1,
		.event_lines = total,
		.body_bytes = 100 + total * 1000,
	};
}

static void answer(struct plan_answer what)
{
	committed = plan_answer(&plan, now, &what);
}

static void good(uint64_t total, const char *offset)
{
	answer(good_page(total, offset));
	EQ(committed, 1);
	EQ_TEXT(plan.offset, offset);
	EQ_TEXT(plan.error_text, "");
	EQ(plan.last_fault, FAULT_NONE);
}

/* A page whose newest event is `age_seconds` old now. */
static void good_with_time(uint64_t total, const char *offset, int64_t age_seconds)
{
	struct plan_answer page = good_page(total, offset);
	page.newest_event_unix_ms = now.unix_ns / NS_PER_MS - age_seconds * 1000;
	answer(page);
	EQ(committed, 1);
}

static struct plan_answer refusal(int status, const char *title, const char *detail)
{
	problem = (struct control_problem){ .status = status };
	snprintf(problem.title, sizeof problem.title, "%s", title);
	snprintf(problem.detail, sizeof problem.detail, "%s", detail);
	strcpy(problem.request_id, "9ab12ef");
	strcpy(problem.server_ip, "192.0.2.175");
	return (struct plan_answer){
		.status = status,
		.retry_after_seconds = -1,
		.date_unix = -1,
		.problem = &problem,
		.body_bytes = 300,
	};
}

static void refuse(int status, const char *title, const char *detail)
{
	answer(refusal(status, title, detail));
	EQ(committed, 0);
}

static void fail_with(enum fault fault, int status, uint64_t body_bytes, uint64_t event_lines)
{
	answer((struct plan_answer){
		.fault = fault,
		.status = status,
		.retry_after_seconds = -1,
		.date_unix = -1,
		.body_looks_like_events = 1,
		.body_bytes = body_bytes,
		.event_lines = event_lines,
	});
	EQ(committed, 0);
}

/* Begins, and commits one page of 1000 events up to the offset "t;1", newest event 10 s old. */
static void begin_with_a_page(void)
{
	begin();
	request();
	good_with_time(1000, "t;1", 10);
	request();
	EQ_TEXT(ask.target, "/siem/v1/configs/14227?limit=1000&offset=t%3B1");
}

#endif
