/* SPDX-License-Identifier: Apache-2.0
 *
 * plan against a model of the service and of a receiver: thousands of events stored in order, each with its
 * own time some way back; offsets that expire or are refused at random; truncations, outages, wrong clocks,
 * restarts. Whatever happens, no event that the service still has may be lost, and none is handed on twice
 * unless the plan says so (or the run was restarted). Deterministic: a seed is a whole run.
 */
#include "test.h"

#include "base/clock.h"
#include "fuzz/plan_invariants.h"

enum {
	EVENTS = 6000,
	PENDING_MAX = EVENTS,
	STEPS_MAX = 20000,
	HISTORY_MS = 12 * 3600 * 1000,
	LATENCY_MS = 5000, /* the newest are withheld so long */
	CLOCK_TOLERANCE_MS = 30000,
	/* Within the clock's tolerance and the latency the end of the feed cannot be told. */
	END_SLACK_MS = 60000,
};

static const int64_t begin_ms = INT64_C(1700000000000);

static struct world {
	uint64_t random;
	struct plan plan;
	struct plan_ask ask;
	struct plan_settings settings;
	struct plan_time now;
	int64_t skew_ms; /* of the server against this host */
	char cursor[64];
	/* What the run may do. */
	int chaos;	  /* percent of answers that are troubled; 0 while it drains at the end */
	int long_outages; /* beyond the history: gaps are allowed */
	int restarts;
	/* The service. */
	int64_t stored_ms[EVENTS];
	int64_t event_ms[EVENTS]; /* 0: the event has no time */
	/* The receiver. */
	unsigned handed_on[EVENTS];
	int pending[PENDING_MAX]; /* handed on since the last commit, in order */
	int pending_count, position;
	int last; /* handed on last; -1 none */
	int first_wanted;
	int64_t gap_before_ms; /* older ones may be missing */
	int64_t gap_seen;
	int restarted;
} world;

static uint64_t draw(uint64_t bound)
{
	world.random ^= world.random << 13;
	world.random ^= world.random >> 7;
	world.random ^= world.random << 17;
	return (world.random >> 11) % bound;
}

static int chance(int percent)
{
	return draw(100) < (uint64_t)percent;
}

static int64_t server_ms(void)
{
	return world.now.unix_ns / NS_PER_MS + world.skew_ms;
}

static void pass_ms(int64_t ms)
{
	world.now.monotonic_ns += ms * NS_PER_MS;
	world.now.unix_ns += ms * NS_PER_MS;
}

/* First event stored at or after `ms`. */
static int event_at(int64_t ms)
{
	int low = 0, high = EVENTS;
	while (low < high) {
		int middle = (low + high) / 2;
		if (world.stored_ms[middle] < ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int64_t number_after(const char *key)
{
	const char *at = strstr(world.ask.target, key);
	return at ? atoll(at + strlen(key)) : 0;
}

static void hand_on(int event)
{
	world.handed_on[event]++;
	world.last = event;
	world.pending[world.pending_count++] = event;
	world.position++;
}

/* Takes `count` events as the flow would. Returns what it says about skipping. */
static unsigned receive(int first, int count)
{
	int searching = world.ask.resume == PLAN_RESUME_SEARCH;
	if (world.ask.resume != PLAN_RESUME_POSITION)
		world.pending_count = 0;
	world.position = 0;
	for (int event = first; event < first + count; event++) {
		if (searching) {
			searching = event != world.last;
		} else if (world.position < world.pending_count) {
			if (world.pending[world.position] != event)
				return PLAN_SKIP_MISMATCH;
			world.position++;
		} else {
			hand_on(event);
		}
	}
	return searching || world.position < world.pending_count ? PLAN_SKIP_OPEN : PLAN_SKIP_SETTLED;
}

static int answer_with(struct plan_answer *answer)
{
	static char before[CONTROL_OFFSET_BYTES_MAX + 1];
	snprintf(before, sizeof before, "%s", world.plan.offset);
	int committed = plan_answer(&world.plan, world.now, answer);
	invariant_answer(&world.plan, before, answer, committed);
	return committed;
}

static void refuse(int status, const char *detail)
{
	static struct control_problem problem;
	problem = (struct control_problem){ .status = status };
	snprintf(problem.detail, sizeof problem.detail, "%s", detail);
	struct plan_answer answer = {
		.status = status,
		.retry_after_seconds = chance(50) ? (int64_t)draw(20) : -1,
		.date_unix = server_ms() / 1000,
		.problem = &problem,
		.body_bytes = 100,
	};
	answer_with(&answer);
}

static void page(int first, int count, int cut)
{
	static struct control_context context;
	struct plan_answer answer = {
		.status = 200, .retry_after_seconds = -1, .date_unix = -1, .body_looks_like_events = 1
	};
	int lines = cut ? (int)draw((uint64_t)count + 1) : count;
	answer.skip = receive(first, lines);
	answer.event_lines = (uint64_t)lines;
	answer.body_bytes = (uint64_t)lines * 1000 + 50;
	for (int event = first; event < first + lines; event++) {
		if (world.event_ms[event] > answer.newest_event_unix_ms)
			answer.newest_event_unix_ms = world.event_ms[event];
	}
	context = (struct control_context){ .total = count, .limit = -1 };
	context.offset_bytes = (size_t)snprintf(context.offset, sizeof context.offset, "o%d", first + count);
	if (cut && chance(50))
		answer.fault = chance(50) ? FAULT_HTTP_TRUNCATED_BODY : FAULT_RING_RECEIVE;
	else if (!cut || (lines < count && chance(50))) /* a clean end, but too few lines */
		answer.context = &context;
	if (answer.skip == PLAN_SKIP_MISMATCH) /* the flow stops reading there */
		answer.context = NULL;
	if (answer_with(&answer)) {
		world.pending_count -= world.position;
		memmove(world.pending, world.pending + world.position,
			sizeof *world.pending * (size_t)world.pending_count);
	}
}

/* The service answers the question of world.ask. */
static void serve(void)
{
	const char *offset = strstr(world.ask.target, "offset=o");
	int64_t signed_ms = world.ask.sign_unix_seconds * 1000;
	int64_t oldest_ms = server_ms() - HISTORY_MS;
	int trouble = chance(world.chaos) ? (int)draw(12) : -1;
	struct plan_answer failed = { .fault = FAULT_RING_CONNECT,
				      .retry_after_seconds = -1,
				      .date_unix = -1 };
	if (trouble == 0) {
		answer_with(&failed);
	} else if (signed_ms > server_ms() + CLOCK_TOLERANCE_MS ||
		   signed_ms < server_ms() - CLOCK_TOLERANCE_MS) {
		refuse(400, "Invalid timestamp");
	} else if (trouble == 1) {
		refuse(503, "");
	} else if (trouble == 2) {
		refuse(429, "");
	} else if (trouble == 3 && world.plan.nonce_retries < 3) { /* a fourth would be an end */
		refuse(401, "nonce already used");
	} else if (offset) {
		int first = atoi(offset + strlen("offset=o"));
		int expired = first < EVENTS && world.stored_ms[first] < oldest_ms;
		int end = event_at(server_ms() - LATENCY_MS);
		int count = end > first ? end - first : 0;
		int limit = (int)world.ask.limit + (int)draw(3);		       /* approximate */
		int may_refuse = world.plan.recoveries_in_a_row < PLAN_RECOVERIES_MAX; /* more is an end */
		if (expired || (may_refuse && (trouble == 4 || (trouble == 5 && !world.restarts))))
			refuse(416, "");
		else
			page(first, count < limit ? count : limit, trouble > 6);
	} else {
		int64_t from_ms = number_after("?from=") * 1000, to_ms = number_after("&to=") * 1000;
		int64_t end_ms = server_ms() - LATENCY_MS;
		if (from_ms < oldest_ms) {
			refuse(400, "from is out of range");
			return;
		}
		int first = event_at(from_ms);
		int end = event_at(to_ms && to_ms < end_ms ? to_ms : end_ms);
		int count = end > first ? end - first : 0;
		page(first, count < world.ask.limit ? count : (int)world.ask.limit, trouble > 6);
	}
}

/* 12 hours of history before the begin, and as much to come. */
static void make_events(int with_times)
{
	int64_t ms = begin_ms - HISTORY_MS + 60000;
	for (int i = 0; i < EVENTS; i++) {
		ms += (int64_t)(chance(2) ? draw(300000) : draw(20000));
		world.stored_ms[i] = ms;
		world.event_ms[i] =
			with_times && !chance(5) ? ms - (int64_t)draw(chance(5) ? 600000 : 5000) : 0;
	}
}

static void begin_plan(void)
{
	plan_begin(&world.plan, &world.settings, world.now);
	world.gap_seen = 0;
	world.pending_count = 0;
	world.last = -1;
}

static void begin_world(uint64_t seed)
{
	memset(&world, 0, sizeof world);
	world.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (int i = 0; i < 10; i++)
		draw(2);
	make_events(!chance(20));
	world.chaos = (int)draw(60);
	world.long_outages = chance(25);
	world.restarts = !world.long_outages && chance(30);
	world.skew_ms = chance(30) ? (int64_t)draw(7200000) - 3600000 : (int64_t)draw(40000) - 20000;
	world.now = (struct plan_time){ 1000 * NS_PER_SECOND, (begin_ms - world.skew_ms) * NS_PER_MS };
	world.settings = (struct plan_settings){
		.base_path = "/siem/v1",
		.config_id = "1;2",
		.limit = 1 + (int64_t)draw(chance(50) ? 20 : 1000),
		.initial_interval_ns = (world.restarts ? 11 : 1 + (int64_t)draw(10)) * 3600 * NS_PER_SECOND,
		.to_lag_ns = chance(80) ? 5 * NS_PER_SECOND : 0,
		.poll_interval_ns = chance(30) ? (int64_t)draw(60) * NS_PER_SECOND : 0,
		.offset_ttl_ns = chance(50) ? 120 * NS_PER_SECOND : 0,
		.backoff_ns = NS_PER_SECOND,
		.follow = 1,
		.random = draw,
	};
	begin_plan();
}

/* Remembers before which time events may be missing, because the plan says so: the service had dropped them,
 * or it refused the first cursor. */
static void note_gap(void)
{
	if (world.plan.counters.gap_seconds > world.gap_seen || strstr(world.plan.notice, "may be missing")) {
		int64_t ms = world.plan.window_from_unix * 1000;
		if (ms > world.gap_before_ms)
			world.gap_before_ms = ms;
	}
	world.gap_seen = world.plan.counters.gap_seconds;
}

static void restart(void)
{
	snprintf(world.cursor, sizeof world.cursor, "%.60s", world.plan.offset);
	world.settings.cursor = world.cursor;
	world.restarted = 1;
	begin_plan();
}

/* One question and its answer; 0 at the end of the plan. */
static int step(uint64_t seed)
{
	plan_next(&world.plan, world.now, &world.ask);
	invariant_ask(&world.plan, &world.settings, &world.ask, world.now);
	note_gap();
	if (world.ask.kind == PLAN_END) {
		if (world.ask.end_reason != PLAN_END_DRAINED)
			FAIL("seed %" PRIu64 ": %s", seed, world.plan.error_text);
		return 0;
	}
	if (world.ask.kind == PLAN_WAIT) {
		pass_ms((world.ask.wait_until_ns - world.now.monotonic_ns) / NS_PER_MS + 1);
		return 1;
	}
	pass_ms((int64_t)draw(3000));
	if (world.chaos && chance(1))
		pass_ms((int64_t)draw(world.long_outages ? 14 * 3600000 : 600000));
	if (world.last < 0 && !world.restarted && world.ask.by_time) /* a corrected clock may still move it */
		world.first_wanted = event_at(number_after("?from=") * 1000);
	serve();
	note_gap();
	if (world.restarts && world.chaos && world.plan.offset[0] && chance(2))
		restart();
	return 1;
}

static void check_events(uint64_t seed, int64_t end_ms)
{
	int end = event_at(end_ms);
	for (int i = world.first_wanted; i < end; i++) {
		if (!world.handed_on[i] && world.stored_ms[i] >= world.gap_before_ms)
			FAIL("seed %" PRIu64 ": event %d of %d was lost", seed, i, end);
		if (world.handed_on[i] > 1 && !world.plan.counters.skip_mismatches && !world.restarted)
			FAIL("seed %" PRIu64 ": event %d was handed on %u times", seed, i,
			     world.handed_on[i]);
	}
	for (int i = 0; i < world.first_wanted; i++) {
		if (world.handed_on[i] && !world.restarted)
			FAIL("seed %" PRIu64 ": event %d is older than `from`", seed, i);
	}
}

static uint64_t play(uint64_t seed)
{
	begin_world(seed);
	int troubled = 200 + (int)draw(800);
	for (int i = 0; i < troubled; i++)
		step(seed);
	world.chaos = 0;
	world.settings.follow = world.plan.settings.follow = 0;
	world.settings.poll_interval_ns = world.plan.settings.poll_interval_ns = 0;
	int left = STEPS_MAX;
	while (step(seed)) {
		if (left-- == 0)
			FAIL("seed %" PRIu64 ": does not end", seed);
	}
	check_events(seed, server_ms() - END_SLACK_MS);
	/* With event times and the history at hand, every skip can be verified. */
	const struct plan_counters *counters = &world.plan.counters;
	if (world.plan.newest_committed_unix_ms && !counters->gap_seconds && !world.restarted)
		EQ(counters->skip_mismatches, 0);
	return counters->recoveries;
}

static void nothing_is_lost_or_handed_on_twice(void)
{
	uint64_t recoveries = 0, mismatches = 0, gaps = 0, truncations = 0, corrections = 0;
	for (uint64_t seed = 1; seed <= 400; seed++) {
		recoveries += play(seed);
		mismatches += world.plan.counters.skip_mismatches;
		truncations += world.plan.counters.truncations;
		corrections += world.plan.counters.clock_corrections;
		gaps += world.plan.counters.gap_seconds > 0;
	}
	printf("# %" PRIu64 " recoveries, %" PRIu64 " truncations, %" PRIu64 " skips not verified, %" PRIu64
	       " clocks corrected, %" PRIu64 " runs with gaps\n",
	       recoveries, truncations, mismatches, corrections, gaps);
	/* The model must have tried what it is about. */
	GT(recoveries, 400);
	GT(truncations, 400);
	GT(corrections, 40);
	GT(gaps, 10);
}

TEST_MAIN(T(nothing_is_lost_or_handed_on_twice))
