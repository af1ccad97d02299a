/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes become settings and a sequence of answers (a few bytes each); the invariants must hold throughout.
 */
#include "fuzz/plan_invariants.h"

#include "base/clock.h"

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

static unsigned take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static uint64_t halves(uint64_t bound)
{
	return bound / 2;
}

/* Takes up to `bytes_max` - 1 bytes as text. */
static void take_text(struct input *input, char *text, size_t bytes_max)
{
	size_t bytes = take(input) % bytes_max, used = 0;
	while (used < bytes && input->at < input->end)
		text[used++] = (char)take(input);
	text[used] = 0;
}

static const int statuses[] = { 200, 200, 200, 200, 0,	 400, 400, 401, 403, 404, 408,
				410, 416, 422, 429, 500, 503, 301, 204, 425, 428, 999 };
static const char *const details[] = { "",
				       "Invalid timestamp",
				       "nonce already used",
				       "Expired offset parameter",
				       "from is out of range",
				       "\xc3\xa4\xc3\xb6 token",
				       "bad limit" };
static const int64_t dates[] = { -1, 0, 1700000000, 1700050000, INT64_MAX };

static void take_answer(struct input *input, const struct plan_ask *ask, struct plan_answer *answer,
			struct control_context *context, struct control_problem *problem)
{
	unsigned shape = take(input), fault = take(input), more = take(input);
	*answer = (struct plan_answer){
		.status = statuses[shape % (sizeof statuses / sizeof *statuses)],
		.fault = (enum fault)(fault >= 128 ? FAULT_NONE : fault % FAULT_COUNT),
		.retry_after_seconds = more & 1 ? (int64_t)take(input) * 100 - 100 : -1,
		.date_unix = dates[take(input) % (sizeof dates / sizeof *dates)],
		.body_looks_like_events = more & 2 ? 1 : 0,
		.body_bytes = more & 4 ? 1000 : 0,
		.event_lines = more & 8 ? take(input) : (uint64_t)ask->limit,
		.newest_event_unix_ms = more & 16 ? INT64_C(1700000000000) + (int64_t)take(input) * 1000 : 0,
		.skip = more & 32   ? PLAN_SKIP_OPEN
			: more & 64 ? PLAN_SKIP_MISMATCH
				    : PLAN_SKIP_SETTLED,
	};
	if (answer->status == 200 && !(more & 128)) {
		context->total = (int64_t)answer->event_lines + (shape == 3);
		context->limit = -1;
		take_text(input, context->offset, 64);
		context->offset_bytes = strlen(context->offset);
		answer->context = context;
	} else if (answer->status != 200 && !(more & 128)) {
		const char *detail = details[take(input) % (sizeof details / sizeof *details)];
		snprintf(problem->detail, sizeof problem->detail, "%s", detail);
		take_text(input, problem->title, 64);
		take_text(input, problem->type, 64);
		take_text(input, problem->request_id, 16);
		answer->problem = problem;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct plan plan;
	static struct plan_ask ask;
	static struct control_context context;
	static struct control_problem problem;
	static char before[CONTROL_OFFSET_BYTES_MAX + 1];
	char config_id[64], cursor[64];
	struct input input = { data, data + bytes };
	unsigned flags = take(&input);
	take_text(&input, config_id, sizeof config_id);
	take_text(&input, cursor, sizeof cursor);
	struct plan_settings settings = {
		.base_path = "/siem/v1",
		.config_id = config_id,
		.cursor = flags & 1 ? cursor : NULL,
		.limit = 1 + (int64_t)take(&input) * 2300,
		.from_unix = flags & 2 ? INT64_C(1699990000) : 0,
		.initial_interval_ns = (int64_t)take(&input) * 600 * NS_PER_SECOND,
		.to_lag_ns = flags & 4 ? 5 * NS_PER_SECOND : 0,
		.poll_interval_ns = flags & 8 ? 30 * NS_PER_SECOND : 0,
		.offset_ttl_ns = flags & 16 ? 120 * NS_PER_SECOND : 0,
		.requests_max = flags & 32 ? 5 : 0,
		.backoff_ns = flags & 64 ? NS_PER_SECOND : 1,
		.follow = flags & 128 ? 1 : 0,
		.random = halves,
	};
	struct plan_time now = { 1000 * NS_PER_SECOND, INT64_C(1700000000) * NS_PER_SECOND };
	plan_begin(&plan, &settings, now);
	for (int steps = 0; steps < 400; steps++) {
		plan_next(&plan, now, &ask);
		invariant_ask(&plan, &settings, &ask, now);
		int64_t passed_ns = (int64_t)take(&input) * NS_PER_SECOND;
		if (ask.kind == PLAN_END)
			break;
		if (ask.kind == PLAN_WAIT)
			passed_ns = ask.wait_until_ns - now.monotonic_ns;
		now.monotonic_ns += passed_ns;
		now.unix_ns += passed_ns;
		if (ask.kind == PLAN_WAIT)
			continue;
		if (input.at == input.end)
			break;
		struct plan_answer answer;
		take_answer(&input, &ask, &answer, &context, &problem);
		snprintf(before, sizeof before, "%s", plan.offset);
		int committed = plan_answer(&plan, now, &answer);
		invariant_answer(&plan, before, &answer, committed);
	}
	return 0;
}
