/* SPDX-License-Identifier: Apache-2.0
 *
 * The program akamai.lua against the native plan: random plays of both with the same answers, most of them
 * good, some of every other kind, so that they get deep into searches, recoveries and repeats; see
 * program/mirror.h for what must agree. A play is a seed; a failure names it and its step:  program_plan_diff
 * [SEED]  plays that one with words.
 */
#define MIRROR_CLOCK_NS (NS_PER_SECOND / 2)
#include "program/mirror.h"

enum {
	PLAYS = 3000,
	STEPS_MAX = 300,
};

static struct play {
	uint64_t seed, random;
	int step;
	int trouble; /* percent of answers that are troubled */
	struct plan plan;
	struct plan_ask ask;
	struct plan_settings settings;
	struct plan_time now;
	char config_id[40], cursor[64];
	struct control_context context;
	struct control_problem problem;
	int loud;
} play;

static uint64_t draw(uint64_t bound)
{
	play.random ^= play.random << 13;
	play.random ^= play.random >> 7;
	play.random ^= play.random << 17;
	return (play.random >> 11) % bound;
}

static int chance(int percent)
{
	return draw(100) < (uint64_t)percent;
}

#define PICK(array) ((array)[draw(sizeof(array) / sizeof *(array))])

/* In half seconds: see MIRROR_CLOCK_NS. */
static void pass_ns(int64_t ns)
{
	int64_t half_seconds = (ns + NS_PER_SECOND / 2 - 1) / (NS_PER_SECOND / 2);
	play.now.monotonic_ns += half_seconds * (NS_PER_SECOND / 2);
	play.now.unix_ns += half_seconds * (NS_PER_SECOND / 2);
}

/* ---- answers ---- */

static const char *const titles[] = {
	"",	   "Bad request",    "Unauthorized",	    "Expired OFFSET parameter",
	"too old", "cursor is gone", "not a JSON \"title\""
};
static const char *const details[] = { "",
				       "Bad request",
				       "Invalid timestamp",
				       "nonce already used",
				       "Expired offset parameter in the request",
				       "from is out of range",
				       "The range is limited to Twelve Hours, 12 hours",
				       "unknown Token",
				       "\xc3\xa4\xc3\xb6\xc3\xbc missing" };
static const char *const types[] = { "",
				     "https://problems.cloudsecurity.akamaiapis.net/siem/v1/offset-too-old",
				     "https://problems.luna.akamaiapis.net/-/pep-authn/request-error",
				     "https://problems.cloudsecurity.akamaiapis.net/siem/v1/Token",
				     "about:blank" };
static const char *const ids[] = { "", "9ab12ef", "192.0.2.175" };

/* A text of one character many times, behind `first`: sentences cut long ones between characters. */
static void long_text(char *text, size_t bytes, const char *first, const char *character)
{
	size_t used = (size_t)snprintf(text, bytes, "%s", first);
	while (used + strlen(character) < bytes)
		used += (size_t)snprintf(text + used, bytes - used, "%s", character);
}

static void make_problem(void)
{
	struct control_problem *problem = &play.problem;
	*problem = (struct control_problem){ 0 };
	snprintf(problem->title, sizeof problem->title, "%s", PICK(titles));
	snprintf(problem->detail, sizeof problem->detail, "%s", PICK(details));
	snprintf(problem->type, sizeof problem->type, "%s", PICK(types));
	snprintf(problem->request_id, sizeof problem->request_id, "%s", PICK(ids));
	snprintf(problem->server_ip, sizeof problem->server_ip, "%s", PICK(ids));
	if (chance(4))
		long_text(problem->title, sizeof problem->title, chance(50) ? "a" : "", "\xc3\xa4");
	if (chance(4))
		long_text(problem->detail, sizeof problem->detail, chance(50) ? "a" : "", "\xe2\x82\xac");
	if (chance(2))
		long_text(problem->request_id, sizeof problem->request_id, "", "y");
}

static int64_t make_date(void)
{
	static const int64_t dates[] = { -1, 0, 1, INT64_C(8000000000), INT64_C(8000000001), INT64_MAX };
	int64_t now_unix = play.now.unix_ns / NS_PER_SECOND;
	if (chance(12))
		return PICK(dates);
	return now_unix + (chance(50) ? (int64_t)draw(7) - 3 : (int64_t)draw(100000) - 50000);
}

static int64_t make_retry_after(void)
{
	static const int64_t all[] = { -1, -1, 0, 1, 7, 30, 3600, 4000, INT64_MAX };
	return PICK(all);
}

static void make_refusal(struct plan_answer *answer)
{
	static const int statuses[] = { 400, 400, 400, 400, 401, 401, 403, 404, 408, 410, 416, 416, 418,
					422, 425, 428, 429, 429, 500, 503, 504, 599, 600, 204, 301, 399 };
	static const int passing[] = { 416, 416, 429, 503, 500, 400 };
	answer->status = chance(75) ? PICK(passing) : PICK(statuses);
	answer->body_bytes = draw(500);
	answer->retry_after_seconds = make_retry_after();
	answer->date_unix = make_date();
	if (chance(90)) {
		make_problem();
		answer->problem = &play.problem;
		if (answer->status == 400 && chance(80)) /* otherwise nearly all plays end here */
			snprintf(play.problem.detail, sizeof play.problem.detail, "%s", details[2 + draw(4)]);
	}
	if (chance(15)) {
		answer->fault = (enum fault)draw(FAULT_COUNT);
		if (chance(70))
			answer->problem = NULL;
	}
}

/* Another play of a fault in the middle of a page, or before it. */
static void make_fault(struct plan_answer *answer)
{
	do
		answer->fault = (enum fault)draw(FAULT_COUNT);
	while (fault_class_of(answer->fault) == FAULT_CLASS_STOP && chance(97));
	answer->status = chance(60) ? 200 : 0;
	answer->body_bytes = answer->status == 200 && chance(80) ? 1 + draw(100000) : 0;
	answer->event_lines = answer->body_bytes && chance(80) ? draw((uint64_t)play.ask.limit + 1) : 0;
	answer->retry_after_seconds = answer->status ? make_retry_after() : -1;
}

static void make_context(struct plan_answer *answer)
{
	struct control_context *context = &play.context;
	*context = (struct control_context){ .limit = -1, .total = (int64_t)answer->event_lines };
	if (chance(3) && play.plan.ask_offset[0])
		snprintf(context->offset, sizeof context->offset, "%s", play.plan.ask_offset);
	else
		snprintf(context->offset, sizeof context->offset, "%x;%.20s/+%%", (unsigned)draw(65536),
			 "\xc3\xa4-_.~AZ");
	context->offset_bytes = strlen(context->offset);
	answer->context = context;
}

/* A complete page, or one that only looks like it. */
static void make_page(struct plan_answer *answer, int troubled)
{
	static const int64_t ages_ms[] = { 0, 1, 999, 1000, 2000, 5000, 61000, 600000, -5000, -86400000 };
	uint64_t limit = (uint64_t)play.ask.limit;
	answer->status = 200;
	answer->event_lines = chance(40) ? limit : chance(40) ? draw(limit + 2) : draw(limit / 8 + 1);
	answer->body_bytes = 50 + answer->event_lines * 1000;
	if (answer->event_lines && chance(70))
		answer->newest_event_unix_ms = play.now.unix_ns / NS_PER_MS - PICK(ages_ms);
	if (answer->newest_event_unix_ms < 0)
		answer->newest_event_unix_ms = 0;
	if (play.ask.resume == PLAN_RESUME_SEARCH)
		answer->skip = chance(60) ? PLAN_SKIP_OPEN : PLAN_SKIP_SETTLED;
	else
		answer->skip = chance(10) ? PLAN_SKIP_OPEN : PLAN_SKIP_SETTLED;
	if (answer->skip == PLAN_SKIP_OPEN && chance(3)) /* so that a search may become too long */
		answer->event_lines = answer->body_bytes = UINT64_C(3000000);
	make_context(answer);
	if (!troubled)
		return;
	switch (draw(8)) {
	case 0:
		play.context.offset[0] = 0;
		play.context.offset_bytes = chance(50) ? 0 : 5;
		break;
	case 1:
		answer->event_lines += 1 + draw(3);
		break;
	case 2:
		answer->event_lines -= answer->event_lines ? 1 : 0;
		break;
	case 3:
		answer->context = NULL;
		answer->body_looks_like_events = !chance(3);
		answer->fault = chance(50)   ? FAULT_PAGE_NO_CONTEXT
				: chance(50) ? FAULT_CONTROL_JSON
					     : FAULT_NONE;
		answer->body_bytes = chance(30) ? 0 : answer->body_bytes;
		break;
	default:
		answer->skip = PLAN_SKIP_MISMATCH;
		if (chance(80))
			answer->context = NULL;
	}
}

static struct plan_answer make_answer(void)
{
	struct plan_answer answer = {
		.retry_after_seconds = -1,
		.date_unix = -1,
		.body_looks_like_events = 1,
	};
	int troubled = chance(play.trouble);
	if (troubled && chance(35))
		make_refusal(&answer);
	else if (troubled && chance(50))
		make_fault(&answer);
	else
		make_page(&answer, troubled);
	return answer;
}

/* ---- plays ---- */

static void make_settings(void)
{
	static const int64_t limits[] = { 1, 2, 7, 10, 11, 1000, 60000, PLAN_LIMIT_MAX };
	static const int64_t lags_ns[] = { 0, 5 * NS_PER_SECOND, 5 * NS_PER_SECOND, 2500 * NS_PER_MS,
					   3600 * NS_PER_SECOND };
	static const int64_t backoffs_ns[] = { 1, 20 * NS_PER_MS, NS_PER_SECOND, NS_PER_SECOND,
					       40 * NS_PER_SECOND };
	int64_t now_unix = play.now.unix_ns / NS_PER_SECOND;
	snprintf(play.config_id, sizeof play.config_id, "%s", chance(50) ? "14227" : "12892;29182 \xc3\xa4");
	snprintf(play.cursor, sizeof play.cursor, "71cca;3ph-_.~A/+ %%%d", (int)draw(10));
	play.settings = (struct plan_settings){
		.base_path = "/siem/v1",
		.config_id = play.config_id,
		.cursor = chance(30) ? play.cursor : NULL,
		.limit = PICK(limits),
		.from_unix = chance(40) ? now_unix - (int64_t)draw(chance(50) ? 100 : 50000) : 0,
		.initial_interval_ns = (1 + (int64_t)draw(13 * 3600)) * NS_PER_SECOND,
		.to_lag_ns = PICK(lags_ns),
		.poll_interval_ns = chance(30) ? (int64_t)draw(120) * NS_PER_SECOND : 0,
		.offset_ttl_ns = chance(50) ? 120 * NS_PER_SECOND : 0,
		.requests_max = chance(10) ? 1 + (int64_t)draw(50) : 0,
		.backoff_ns = PICK(backoffs_ns),
		.follow = chance(80),
		.random = draw,
	};
}

/* While a question is under way: mostly moments, sometimes longer than the history. */
static int64_t make_delay_ns(void)
{
	static const int64_t all_ns[] = { 0,
					  NS_PER_SECOND,
					  3 * NS_PER_SECOND,
					  6 * NS_PER_SECOND,
					  120 * NS_PER_SECOND,
					  600 * NS_PER_SECOND };
	if (chance(1))
		return (int64_t)draw(15 * 3600) * NS_PER_SECOND;
	return chance(80) ? (int64_t)draw(3) * NS_PER_SECOND : PICK(all_ns);
}

/* Past a pause; sometimes to where a window or an offset is just about too old. */
static void pass_pause(void)
{
	const struct plan *plan = &play.plan;
	pass_ns(play.ask.wait_until_ns - play.now.monotonic_ns);
	if (!chance(plan->by_time ? 15 : 3))
		return;
	int64_t edge_ns = (plan->window_from_unix + PLAN_HISTORY_SECONDS) * NS_PER_SECOND - plan->skew_ns;
	int64_t left_ns = edge_ns - play.now.unix_ns;
	if (!plan->by_time)
		left_ns = plan->last_success_ns + plan->settings.offset_ttl_ns - play.now.monotonic_ns;
	left_ns += ((int64_t)draw(5) - 2) * (NS_PER_SECOND / 2) - (chance(30) ? 60 * NS_PER_SECOND : 0);
	if (left_ns > 0 && left_ns < 13 * 3600 * NS_PER_SECOND)
		pass_ns(left_ns);
}

static void tell(const struct plan_answer *answer)
{
	if (!play.loud)
		return;
	printf("# %d: %s resume %d\n#    status %d fault %s lines %" PRIu64 " total %" PRId64
	       " skip %d newest %" PRId64 " date %" PRId64 " retry %" PRId64 "\n",
	       play.step, play.ask.target, (int)play.ask.resume, answer->status, fault_name(answer->fault),
	       answer->event_lines, answer->context ? answer->context->total : -1, (int)answer->skip,
	       answer->newest_event_unix_ms, answer->date_unix, answer->retry_after_seconds);
}

static void play_seed(uint64_t seed)
{
	play.seed = seed;
	play.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (int i = 0; i < 10; i++)
		draw(2);
	play.trouble = (int)draw(60);
	play.now = (struct plan_time){ (1 + (int64_t)draw(100000)) * NS_PER_SECOND,
				       INT64_C(1700000000) * NS_PER_SECOND };
	if (chance(4)) /* a host without a clock of its own, just booted */
		play.now.unix_ns = (int64_t)draw(20000) * NS_PER_SECOND;
	make_settings();
	mirror.full = chance(20);
	mirror_begin(&play.plan, &play.settings, play.now);
	for (play.step = 0; play.step < STEPS_MAX; play.step++) {
		mirror_next(&play.plan, play.now, &play.ask);
		if (play.ask.kind == PLAN_END)
			break;
		if (play.ask.kind == PLAN_WAIT) {
			pass_pause();
			continue;
		}
		pass_ns(make_delay_ns());
		struct plan_answer answer = make_answer();
		tell(&answer);
		mirror_answer(&play.plan, play.now, &answer);
	}
	mirror_end();
}

static uint64_t ends_failed, ends_drained, recoveries, skip_mismatches, truncations, corrections, gaps;

static void note_play(void)
{
	const struct plan_counters *counters = &play.plan.counters;
	ends_failed += play.plan.ended && play.plan.end_reason == PLAN_END_FAILED;
	ends_drained += play.plan.ended && play.plan.end_reason == PLAN_END_DRAINED;
	recoveries += counters->recoveries;
	skip_mismatches += counters->skip_mismatches;
	truncations += counters->truncations;
	corrections += counters->clock_corrections;
	gaps += counters->gap_seconds > 0;
}

static void the_program_asks_what_the_plan_asks(void)
{
	for (uint64_t seed = 1; seed <= PLAYS; seed++) {
		play_seed(seed);
		note_play();
	}
	printf("# %" PRIu64 " requests, %" PRIu64 " commits, %" PRIu64 " pauses, %" PRIu64
	       " times sentences\n",
	       mirror.requests, mirror.commits, mirror.waits, mirror.sentences);
	printf("# %" PRIu64 " failures, %" PRIu64 " drained, %" PRIu64 " recoveries, %" PRIu64
	       " skips not verified, %" PRIu64 " truncations, %" PRIu64 " clocks corrected, %" PRIu64
	       " plays with gaps\n",
	       ends_failed, ends_drained, recoveries, skip_mismatches, truncations, corrections, gaps);
	/* The plays must have been where it is difficult. */
	GT(mirror.requests, 20 * PLAYS);
	GT(recoveries, PLAYS / 2);
	GT(skip_mismatches, PLAYS / 10);
	GT(truncations, PLAYS);
	GT(corrections, PLAYS / 20);
	GT(gaps, PLAYS / 20);
	GT(ends_failed, PLAYS / 20);
	GT(ends_drained, PLAYS / 20);
	EQ(mirror.lost_between + mirror.lost_settings, 0);
}

static void the_play_that_was_asked_for(void)
{
	play.loud = 1;
	play_seed(play.seed);
}

int main(int argc, char **argv)
{
	static const struct test_case all[] = { T(the_program_asks_what_the_plan_asks) };
	static const struct test_case one[] = { T(the_play_that_was_asked_for) };
	if (argc > 1)
		play.seed = strtoull(argv[1], NULL, 10);
	int failed = test_run(argc > 1 ? one : all, 1, NULL);
	if (failed)
		printf("# seed %" PRIu64 ", step %d\n", play.seed, play.step);
	return failed;
}
