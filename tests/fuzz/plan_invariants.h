/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold for plan whatever the server answers. Used by the fuzz target and the property test;
 * aborts with a line of text on a violation.
 */
#ifndef TESTS_FUZZ_PLAN_INVARIANTS_H
#define TESTS_FUZZ_PLAN_INVARIANTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "akamai/plan.h"

#define INVARIANT(condition)                                                                                 \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static const char *invariant_number(const char *at)
{
	INVARIANT(*at >= '0' && *at <= '9');
	while (*at >= '0' && *at <= '9')
		at++;
	return at;
}

static const char *invariant_literal(const char *at, const char *literal)
{
	INVARIANT(strncmp(at, literal, strlen(literal)) == 0);
	return at + strlen(literal);
}

static const char *invariant_escaped(const char *at)
{
	static const char hex[] = "0123456789ABCDEF";
	for (;; at++) {
		if (*at == '%') {
			INVARIANT(at[1] && strchr(hex, at[1]) && at[2] && strchr(hex, at[2]));
			at += 2;
		} else if (!*at ||
			   !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~",
				   *at)) {
			return at;
		}
	}
}

/* <base>/configs/<id>?from=N&limit=N[&to=N] or <base>/configs/<id>?limit=N&offset=TOKEN; never both. */
static void invariant_target(const struct plan_settings *settings, const struct plan_ask *ask)
{
	INVARIANT(memchr(ask->target, 0, sizeof ask->target));
	const char *at = invariant_literal(ask->target, settings->base_path);
	at = invariant_escaped(invariant_literal(at, "/configs/"));
	at = invariant_literal(at, "?");
	if (ask->by_time) {
		const char *from = invariant_literal(at, "from=");
		at = invariant_number(from);
		at = invariant_literal(at, "&limit=");
		INVARIANT(atoll(at) == ask->limit);
		at = invariant_number(at);
		if (*at) {
			const char *to = invariant_literal(at, "&to=");
			at = invariant_number(to);
			INVARIANT(atoll(to) > atoll(from));
		}
	} else {
		at = invariant_literal(at, "limit=");
		INVARIANT(atoll(at) == ask->limit);
		at = invariant_literal(invariant_number(at), "&offset=");
		INVARIANT(*at); /* there is an offset */
		at = invariant_escaped(at);
	}
	INVARIANT(*at == 0);
}

/* `now`: as given to plan_next(). */
static void invariant_ask(const struct plan *plan, const struct plan_settings *settings,
			  const struct plan_ask *ask, struct plan_time now)
{
	const struct plan_counters *counters = &plan->counters;
	INVARIANT(plan->limit >= 1 && plan->limit <= settings->limit);
	INVARIANT(counters->requests <= counters->attempts);
	INVARIANT(counters->gap_seconds >= 0 && counters->backoff_ns >= 0);
	INVARIANT(memchr(plan->error_text, 0, sizeof plan->error_text));
	INVARIANT(memchr(plan->notice, 0, sizeof plan->notice));
	INVARIANT(plan->recoveries_in_a_row <= PLAN_RECOVERIES_MAX);
	if (settings->requests_max)
		INVARIANT(counters->requests <= (uint64_t)settings->requests_max);
	if (ask->kind == PLAN_END) {
		INVARIANT((ask->end_reason == PLAN_END_FAILED) == (plan->last_fault != FAULT_NONE) ||
			  ask->end_reason != PLAN_END_FAILED);
		INVARIANT(ask->end_reason != PLAN_END_FAILED || plan->error_text[0]);
		INVARIANT(ask->end_reason != PLAN_END_DRAINED || !settings->follow);
	} else if (ask->kind == PLAN_WAIT) {
		int64_t wait_max_ns = PLAN_RETRY_AFTER_SECONDS_MAX * INT64_C(1100000000);
		if (settings->poll_interval_ns > wait_max_ns)
			wait_max_ns = settings->poll_interval_ns;
		INVARIANT(ask->wait_until_ns > now.monotonic_ns);
		INVARIANT(ask->wait_until_ns - now.monotonic_ns <= wait_max_ns);
	} else {
		INVARIANT(ask->kind == PLAN_REQUEST);
		INVARIANT(ask->limit == plan->limit);
		invariant_target(settings, ask);
	}
}

/* `before`: the cursor before the answer. */
static void invariant_answer(const struct plan *plan, const char *before, const struct plan_answer *answer,
			     int committed)
{
	int good = answer->status == 200 && answer->fault == FAULT_NONE && answer->context &&
		   (uint64_t)answer->context->total == answer->event_lines;
	INVARIANT(committed == 0 || committed == 1);
	INVARIANT(!committed || good);
	if (strcmp(before, plan->offset) != 0)
		INVARIANT(committed && strcmp(plan->offset, answer->context->offset) == 0);
}

#endif
