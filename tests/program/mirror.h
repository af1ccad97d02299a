/* SPDX-License-Identifier: Apache-2.0
 *
 * The native plan and the program akamai.lua in lockstep. mirror_begin(), mirror_next() and mirror_answer()
 * stand for plan_begin(), plan_next() and plan_answer(): each calls its namesake, does the same with the
 * program, and fails the test with what differs: requests (target, how to resume, signature, time of
 * signing), pauses, commits and cursors, ends, sentences, counters, and the bounds of random numbers. So
 * whatever plays with a plan plays with both: the cases of plan_test.c, the world of plan_diff.c, and the
 * random plays of program_plan_diff.c.
 */
#ifndef TESTS_PROGRAM_MIRROR_H
#define TESTS_PROGRAM_MIRROR_H

#include "test.h"

#include <math.h>

#include "akamai/edgegrid.h"
#include "akamai/plan.h"
#include "base/clock.h"
#include "program/program.h"

/* A program sees the clock as a double. Where tests need exact agreement at the edges of seconds, they set
 * this to a duration that a double holds exactly. */
#ifndef MIRROR_CLOCK_NS
#define MIRROR_CLOCK_NS 1
#endif

enum {
	MIRROR_RANDOM_MAX = 16, /* numbers that one answer may draw */
	MIRROR_TEXT_BYTES = 16384,
	MIRROR_VALUE_BYTES = 4200,
	MIRROR_PAUSE_SLACK_NS = 2000, /* seconds as a double, and back */
	MIRROR_CONFIG_ID_BYTES_MAX = 512,
};

#define MIRROR_AUTHORITY "akab-mirror.luna.akamaiapis.net"

static const struct edgegrid_credentials mirror_credentials = {
	.client_token = "akab-client-token-xxx-xxxxxxxxxxxxxxxx",
	.client_secret = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=",
	.access_token = "akab-access-token-xxx-xxxxxxxxxxxxxxxx",
};

enum mirror_variable {
	MIRROR_URL,
	MIRROR_LIMIT,
	MIRROR_FROM,
	MIRROR_INITIAL_INTERVAL,
	MIRROR_TO_LAG,
	MIRROR_OFFSET_TTL,
	MIRROR_POLL_INTERVAL,
	MIRROR_MAX_REQUESTS,
	MIRROR_BACKOFF,
	MIRROR_CURSOR,
	MIRROR_CLIENT_TOKEN,
	MIRROR_CLIENT_SECRET,
	MIRROR_ACCESS_TOKEN,
	MIRROR_VARIABLES,
};

static struct mirror {
	int full; /* of plays that begin from now on: the program looks at the events itself */

	enum {
		MIRROR_OFF, /* there is nothing to compare with */
		MIRROR_LIVE,
	} state;
	struct arena arena;
	struct program *program;
	struct program_settings settings;
	struct plan_settings plan_settings; /* as given; the plan's own draws through the mirror */
	struct program_variable variables[MIRROR_VARIABLES];
	char values[MIRROR_VARIABLES][MIRROR_VALUE_BYTES];
	struct program_wish wish;
	struct plan_time resumed_at;
	/* Random numbers that the plan has drawn and the program has not yet. */
	uint64_t drawn[MIRROR_RANDOM_MAX], drawn_bounds[MIRROR_RANDOM_MAX];
	size_t drawn_count, drawn_taken;
	char random_error[160];
	char logged[MIRROR_TEXT_BYTES]; /* since the last comparison */
	char said[MIRROR_TEXT_BYTES];	/* by the plan: error_text of the last answer */
	size_t notice_seen;		/* bytes of plan.notice that were compared already */

	uint64_t plays, requests, waits, ends, commits, sentences;
	/* Comparisons that ended before the play did. */
	uint64_t lost_between;	/* time passed between an answer and the next question: for programs none does
				 */
	uint64_t lost_settings; /* the test changed the plan's settings */
} mirror;

static uint64_t mirror_plan_random(uint64_t bound)
{
	uint64_t value = mirror.plan_settings.random(bound);
	if (mirror.state != MIRROR_OFF) {
		LT(mirror.drawn_count, MIRROR_RANDOM_MAX);
		mirror.drawn[mirror.drawn_count] = value;
		mirror.drawn_bounds[mirror.drawn_count++] = bound;
	}
	return value;
}

/* The program gets what the plan got. What is wrong with that is told when the program is back. */
static uint64_t mirror_program_random(uint64_t bound)
{
	if (mirror.drawn_taken >= mirror.drawn_count) {
		snprintf(mirror.random_error, sizeof mirror.random_error, "below %" PRIu64, bound);
		return 0;
	}
	uint64_t plan_bound = mirror.drawn_bounds[mirror.drawn_taken];
	if (llabs((long long)(bound - plan_bound)) > 2)
		snprintf(mirror.random_error, sizeof mirror.random_error,
			 "below %" PRIu64 " for the program, below %" PRIu64 " for the plan", bound,
			 plan_bound);
	uint64_t value = mirror.drawn[mirror.drawn_taken++];
	return value < bound ? value : bound - 1;
}

static int mirror_server_find(void *owner, int secure, const char *host, unsigned port)
{
	(void)owner;
	return secure && port == 443 && strcmp(host, MIRROR_AUTHORITY) == 0 ? 0 : -1;
}

static int mirror_decode(void *owner, struct span text, struct event_fields *ret_fields)
{
	(void)owner;
	(void)text;
	(void)ret_fields;
	return -1; /* akamai.lua decodes nothing itself */
}

static void mirror_log(void *owner, enum program_log_level level, const char *text)
{
	(void)owner;
	(void)level;
	size_t used = strlen(mirror.logged);
	snprintf(mirror.logged + used, sizeof mirror.logged - used, "%s%s", used ? " " : "", text);
}

__attribute__((format(printf, 3, 4))) static void mirror_set(enum mirror_variable which, const char *name,
							     const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(mirror.values[which], MIRROR_VALUE_BYTES, format, arguments);
	va_end(arguments);
	mirror.variables[which] = (struct program_variable){ .name = name, .value = mirror.values[which] };
}

static void mirror_set_variables(const struct plan_settings *settings)
{
	mirror_set(MIRROR_URL, "URL", "https://" MIRROR_AUTHORITY "%s", settings->base_path);
	mirror_set(MIRROR_LIMIT, "LIMIT", "%" PRId64, settings->limit);
	mirror_set(MIRROR_FROM, "FROM", "%" PRId64, settings->from_unix);
	mirror_set(MIRROR_INITIAL_INTERVAL, "INITIAL_INTERVAL", "%" PRId64 "ns",
		   settings->initial_interval_ns);
	mirror_set(MIRROR_TO_LAG, "TO_LAG", "%" PRId64 "ns", settings->to_lag_ns);
	mirror_set(MIRROR_OFFSET_TTL, "OFFSET_TTL", "%" PRId64 "ns", settings->offset_ttl_ns);
	mirror_set(MIRROR_POLL_INTERVAL, "POLL_INTERVAL", "%" PRId64 "ns", settings->poll_interval_ns);
	mirror_set(MIRROR_MAX_REQUESTS, "MAX_REQUESTS", "%" PRId64, settings->requests_max);
	mirror_set(MIRROR_BACKOFF, "BACKOFF", "%" PRId64 "ns",
		   settings->backoff_ns > 0 ? settings->backoff_ns : NS_PER_SECOND);
	mirror_set(MIRROR_CURSOR, "CURSOR", "%s", settings->cursor ? settings->cursor : "");
	mirror_set(MIRROR_CLIENT_TOKEN, "CLIENT_TOKEN", "%s", mirror_credentials.client_token);
	mirror_set(MIRROR_CLIENT_SECRET, "CLIENT_SECRET", "%s", mirror_credentials.client_secret);
	mirror_set(MIRROR_ACCESS_TOKEN, "ACCESS_TOKEN", "%s", mirror_credentials.access_token);
}

static void mirror_end(void)
{
	program_finish(mirror.program);
	mirror.program = NULL;
	arena_finish(&mirror.arena);
	mirror.arena = (struct arena){ 0 };
	mirror.state = MIRROR_OFF;
}

static struct plan_time mirror_clock(struct plan_time now)
{
	now.unix_ns -= now.unix_ns % MIRROR_CLOCK_NS;
	return now;
}

static void mirror_resume(struct plan_time now, const struct program_answer *answer)
{
	struct program_time time = { now.monotonic_ns, now.unix_ns, INT64_MAX };
	mirror.wish.kind = program_resume(mirror.program, time, answer, &mirror.wish);
	mirror.resumed_at = now;
	if (mirror.random_error[0])
		FAIL("random numbers that differ: %s", mirror.random_error);
}

__attribute__((unused)) static void mirror_begin(struct plan *plan, const struct plan_settings *settings,
						 struct plan_time now)
{
	char error[PROGRAM_TEXT_BYTES_MAX];
	mirror_end();
	mirror.plan_settings = *settings;
	plan_begin(plan, settings, mirror_clock(now));
	plan->settings.random = mirror_plan_random;
	/* For programs a URL is too long earlier, and nothing waits for more than 60 years. */
	if (strlen(settings->config_id) > MIRROR_CONFIG_ID_BYTES_MAX ||
	    settings->poll_interval_ns > INT64_MAX / 8)
		return;
	mirror_set_variables(settings);
	mirror.settings = (struct program_settings){
		.source = &program_akamai,
		.stream_name = settings->config_id,
		.variables = mirror.variables,
		.variable_count = MIRROR_VARIABLES,
		.full = mirror.full,
		.follow = settings->follow,
		.server_find = mirror_server_find,
		.log = mirror_log,
		.decode = mirror_decode,
		.random = mirror_program_random,
	};
	EQ(arena_open(&mirror.arena, program_bytes_needed()), 0);
	mirror.program = program_create(&mirror.settings, &mirror.arena, error);
	if (!mirror.program)
		FAIL("%s", error);
	program_begin(mirror.program);
	mirror.state = MIRROR_LIVE;
	mirror.logged[0] = mirror.said[0] = 0;
	mirror.notice_seen = mirror.drawn_count = mirror.drawn_taken = 0;
	mirror.random_error[0] = 0;
	mirror.plays++;
	mirror_resume(mirror_clock(now), NULL);
}

/* What both said since the last comparison, in whichever order. The plan's buffers are smaller. */
static void mirror_compare_sentences(const struct plan *plan, int failed)
{
	char wanted[MIRROR_TEXT_BYTES], other[MIRROR_TEXT_BYTES];
	size_t notice_bytes = strlen(plan->notice);
	const char *notice = plan->notice + mirror.notice_seen;
	if (mirror.notice_seen > notice_bytes)
		notice = plan->notice; /* a new one */
	while (*notice == ' ')
		notice++;
	int whole = notice_bytes + 2 < sizeof plan->notice;
	const char *said = failed ? "" : mirror.said;
	const char *between = *said && *notice ? " " : "";
	snprintf(wanted, sizeof wanted, "%.8000s%s%.8000s", said, between, notice);
	snprintf(other, sizeof other, "%.8000s%s%.8000s", notice, between, said);
	/* The error that ends a plan takes the place of what it had to say before; a program has said that.
	 */
	int alike = strcmp(mirror.logged, wanted) == 0 || strcmp(mirror.logged, other) == 0 ||
		    (failed && strstr(mirror.logged, notice)) ||
		    (!whole && strncmp(mirror.logged, wanted, strlen(wanted)) == 0);
	if (!alike)
		FAIL("the program says \"%.400s\", the plan \"%.400s\"", mirror.logged, wanted);
	mirror.sentences += mirror.logged[0] != 0;
	mirror.notice_seen = notice_bytes;
	mirror.logged[0] = mirror.said[0] = 0;
}

static void mirror_compare_counters(const struct plan_counters *plan)
{
	const struct program_counters *program = program_counters(mirror.program);
	EQ(program->truncations, plan->truncations);
	EQ(program->recoveries, plan->recoveries);
	EQ(program->rate_limited, plan->rate_limited);
	EQ(program->server_errors, plan->server_errors);
	EQ(program->network_errors, plan->network_errors);
	EQ(program->clock_corrections, plan->clock_corrections);
	EQ(program->skip_mismatches, plan->skip_mismatches);
	EQ(program->gap_seconds, plan->gap_seconds);
	double backoff_seconds = (double)plan->backoff_ns / 1e9;
	double skew_seconds = (double)plan->clock_skew_ns / 1e9;
	if (fabs(program->backoff_seconds - backoff_seconds) > 1e-6 + backoff_seconds * 1e-9)
		FAIL("%f s of back-off, the plan %f", program->backoff_seconds, backoff_seconds);
	if (fabs(program->clock_skew_seconds - skew_seconds) > 1e-6)
		FAIL("a clock skew of %f s, for the plan %f", program->clock_skew_seconds, skew_seconds);
	EQ(mirror.drawn_taken, mirror.drawn_count);
	mirror.drawn_taken = mirror.drawn_count = 0;
}

static const struct program_header *mirror_header(const struct program_header *headers, size_t count,
						  const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (headers[i].name.bytes == strlen(name) &&
		    memcmp(headers[i].name.base, name, strlen(name)) == 0)
			return &headers[i];
	}
	FAIL("the program sends no %s", name);
}

/* The signature of the program's nonce must be what the native signing makes of it. */
static void mirror_compare_signature(const struct plan_ask *ask, struct plan_time now)
{
	struct program_header headers[PROGRAM_HEADERS_MAX];
	size_t count = 0;
	struct program_time time = { now.monotonic_ns, now.unix_ns, INT64_MAX };
	if (program_headers(mirror.program, time, headers, &count) < 0)
		FAIL("%s", program_error(mirror.program));
	EQ_TEXT((mirror_header(headers, count, "Accept"), "there"), "there");
	const struct program_header *header = mirror_header(headers, count, "Authorization");
	char got[EDGEGRID_AUTHORIZATION_BYTES_MAX], wanted[EDGEGRID_AUTHORIZATION_BYTES_MAX];
	char timestamp[EDGEGRID_TIMESTAMP_BYTES], nonce[EDGEGRID_NONCE_BYTES];
	LT(header->value.bytes, sizeof got);
	memcpy(got, header->value.base, header->value.bytes);
	got[header->value.bytes] = 0;
	const char *at = strstr(got, ";nonce=");
	if (!at)
		FAIL("there is no nonce in \"%s\"", got);
	snprintf(nonce, sizeof nonce, "%s", at + strlen(";nonce="));
	struct edgegrid_request request = {
		.method = "GET",
		.scheme = "https",
		.host = MIRROR_AUTHORITY,
		.target = ask->target,
	};
	edgegrid_timestamp(ask->sign_unix_seconds, timestamp);
	edgegrid_authorization(&mirror_credentials, &request, timestamp, nonce, wanted, sizeof wanted);
	EQ_TEXT(got, wanted);
}

static void mirror_compare_ask(const struct plan *plan, const struct plan_ask *ask, struct plan_time now)
{
	static const char *const kinds[] = { "a request", "a pause", "the end", "failure" };
	static const enum program_wish_kind kind_of[] = { PROGRAM_REQUEST, PROGRAM_WAIT, PROGRAM_END };
	const struct program_wish *wish = &mirror.wish;
	int failed = ask->kind == PLAN_END && ask->end_reason == PLAN_END_FAILED;
	enum program_wish_kind wanted = failed ? PROGRAM_FAILED : kind_of[ask->kind];
	if (wish->kind != wanted)
		FAIL("the program wants %s (%s), the plan %s (%s)", kinds[wish->kind],
		     program_error(mirror.program), kinds[wanted], plan->error_text);
	mirror_compare_sentences(plan, failed);
	mirror_compare_counters(&plan->counters);
	if (failed) {
		NE(plan->error_text[0], 0);
		HAS_TEXT(program_error(mirror.program), plan->error_text);
	} else if (wish->kind == PROGRAM_END) {
		EQ(wish->end_is_limit, ask->end_reason == PLAN_END_REQUESTS_MAX);
	} else if (wish->kind == PROGRAM_WAIT) {
		int64_t apart_ns = wish->wait_until_ns - ask->wait_until_ns;
		if (llabs(apart_ns) > MIRROR_PAUSE_SLACK_NS &&
		    (ask->wait_until_ns != INT64_MAX || wish->wait_until_ns < INT64_MAX / 2))
			FAIL("the program waits until %" PRId64 ", the plan until %" PRId64,
			     wish->wait_until_ns, ask->wait_until_ns);
		mirror.waits++;
	} else {
		EQ_TEXT(wish->target, ask->target);
		EQ(wish->resume, ask->resume);
		EQ_TEXT(wish->method, "GET");
		EQ(wish->server, 0);
		EQ(wish->lines && wish->has_context && wish->deliver && !wish->body.base, 1);
		EQ(wish->on_event, mirror.full);
		mirror_compare_signature(ask, now);
		mirror.requests++;
	}
	mirror.ends += ask->kind == PLAN_END;
}

__attribute__((unused)) static void mirror_next(struct plan *plan, struct plan_time now,
						struct plan_ask *ret_ask)
{
	now = mirror_clock(now);
	plan_next(plan, now, ret_ask);
	if (mirror.state == MIRROR_OFF)
		return;
	if (plan->settings.follow != mirror.plan_settings.follow ||
	    plan->settings.poll_interval_ns != mirror.plan_settings.poll_interval_ns) {
		mirror.lost_settings++;
		mirror_end();
		return;
	}
	if (mirror.wish.kind == PROGRAM_WAIT && ret_ask->kind != PLAN_WAIT) {
		LE(mirror.wish.wait_until_ns, now.monotonic_ns + MIRROR_PAUSE_SLACK_NS);
		mirror_resume(now, NULL);
	} else if (mirror.wish.kind == PROGRAM_REQUEST &&
		   (now.monotonic_ns != mirror.resumed_at.monotonic_ns ||
		    now.unix_ns != mirror.resumed_at.unix_ns) &&
		   (ret_ask->kind != PLAN_REQUEST || strcmp(mirror.wish.target, ret_ask->target) != 0)) {
		mirror.lost_between++;
		mirror_end();
		return;
	}
	mirror_compare_ask(plan, ret_ask, now);
}

/* In full parsing the program finds the newest time in the events; here in one. */
static void mirror_event(int64_t unix_ms, struct plan_time now)
{
	char text[32];
	snprintf(text, sizeof text, "%" PRId64 ".%03d", unix_ms / 1000, (int)(unix_ms % 1000));
	const struct event_field fields[] = {
		{ .type = EVENT_OBJECT, .next = 3, .member_count = 1 },
		{ .key = span_of_text("httpMessage"), .type = EVENT_OBJECT, .next = 3, .member_count = 1 },
		{ .key = span_of_text("start"),
		  .type = EVENT_STRING,
		  .next = 3,
		  .string = span_of_text(text) },
	};
	const struct event_fields event = { .fields = fields, .count = 3 };
	struct program_time time = { now.monotonic_ns, now.unix_ns, INT64_MAX };
	if (program_event(mirror.program, time, span_of_text("{}"), &event) < 0)
		FAIL("%s", program_error(mirror.program));
}

static struct program_answer mirror_answer_of(const struct plan_answer *answer)
{
	static const char *const skips[] = {
		[PLAN_SKIP_SETTLED] = "settled",
		[PLAN_SKIP_OPEN] = "open",
		[PLAN_SKIP_MISMATCH] = "mismatch",
	};
	return (struct program_answer){
		.fault = answer->fault,
		.fault_text = answer->fault == FAULT_NONE ? "" : fault_sentence(answer->fault),
		.status = answer->status,
		.date_unix = answer->date_unix,
		.retry_after_seconds = answer->retry_after_seconds,
		.body_bytes = answer->body_bytes,
		.plain_bytes = answer->body_bytes,
		.problem = answer->problem,
		.event_lines = answer->event_lines,
		.context = answer->context,
		.looks_like_events = answer->body_looks_like_events,
		.newest_event_unix_ms = mirror.full ? 0 : answer->newest_event_unix_ms,
		.skip = skips[answer->skip],
	};
}

__attribute__((unused)) static int mirror_answer(struct plan *plan, struct plan_time now,
						 const struct plan_answer *answer)
{
	struct plan_answer possible = *answer;
	/* A page that is handed on whole cannot fail to repeat what was handed on before. */
	if (plan->asked_resume == PLAN_RESUME_NONE && answer->skip == PLAN_SKIP_MISMATCH)
		possible.skip = PLAN_SKIP_SETTLED;
	answer = &possible;
	now = mirror_clock(now);
	plan->error_text[0] = 0;
	int committed = plan_answer(plan, now, answer);
	mirror.notice_seen = 0;
	if (mirror.state != MIRROR_LIVE)
		return committed;
	EQ(mirror.wish.kind, PROGRAM_REQUEST);
	snprintf(mirror.said, sizeof mirror.said, "%s", plan->error_text);
	struct program_answer told = mirror_answer_of(answer);
	if (mirror.full && answer->status == 200 && answer->newest_event_unix_ms > 0)
		mirror_event(answer->newest_event_unix_ms, now);
	mirror_resume(now, &told);
	const char *cursor = NULL;
	EQ(program_committed(mirror.program, &cursor), committed);
	if (committed)
		EQ_TEXT(cursor, plan->offset);
	mirror.commits += (uint64_t)committed;
	return committed;
}

#endif
