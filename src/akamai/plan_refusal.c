/* SPDX-License-Identifier: Apache-2.0
 *
 * plan: what an answer with a status other than 200 means. 400 is both fatal and transient at this API, so
 * the words of the problem decide, never the status alone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "akamai/plan_private.h"
#include "base/clock.h"
#include "base/duration.h"

#define CLOCK_HINT                                                                                           \
	"The timestamp of the signature may be 30 s off at most: set this host's clock (NTP), or find what " \
	"holds requests back on their way."

/* 408, 425, 428, 429 and 5xx pass by themselves. */
static int is_busy(int status)
{
	return status == 408 || status == 425 || status == 428 || status == 429 ||
	       (status >= 500 && status <= 599);
}

static int is_gateway(const struct control_problem *problem)
{
	return problem && strstr(problem->type, "pep-authn");
}

/* "Invalid timestamp": the signature's clock, not the question, is wrong. */
static void clock_refused(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	if (plan->clock_retries >= PLAN_CLOCK_RETRIES_MAX) {
		plan_stop(plan, FAULT_AKAMAI_CREDENTIALS);
		plan_say_refusal(plan, answer, CLOCK_HINT);
		return;
	}
	plan->clock_retries++;
	if (answer->date_unix < 0 || answer->date_unix > PLAN_DATE_UNIX_MAX) {
		plan_failed_retry(plan, now, FAULT_AKAMAI_CREDENTIALS, -1, answer);
		return;
	}
	plan->skew_ns = answer->date_unix * NS_PER_SECOND - now.unix_ns;
	plan->counters.clock_skew_ns = plan->skew_ns;
	plan->counters.clock_corrections++;
	plan->last_fault = FAULT_AKAMAI_CREDENTIALS;
	plan_say_refusal(plan, answer, CLOCK_HINT);
	char skew[DURATION_TEXT_BYTES_MAX];
	int64_t skew_seconds = answer->date_unix - (now.unix_ns + NS_PER_SECOND / 2) / NS_PER_SECOND;
	plan_notice(plan, "The server's clock is %s %s this host's; signing with the server's time.",
		    duration_format((skew_seconds < 0 ? -skew_seconds : skew_seconds) * NS_PER_SECOND, skew),
		    skew_seconds < 0 ? "behind" : "ahead of");
	if (plan->counters.requests == 0 && plan->last_lines_unix == 0)
		plan->start_from_unix = plan_start_from_unix(plan, now);
	/* A window that was computed with the wrong clock and brought nothing yet is computed anew. */
	if (plan->by_time && !plan->window_lines)
		plan_window_open(plan, now, (int)plan->window,
				 plan->window == PLAN_WINDOW_START
					 ? plan->start_from_unix
					 : plan->window_from_unix - plan->window_gap_seconds,
				 PLAN_MARGIN_SECONDS);
}

/* 416 says so by itself; 400, 410 and 422 must name the offset. The gateway's refusals ("client token") are
 * about authentication. */
static int is_offset_refused(const struct plan *plan, const struct plan_answer *answer)
{
	static const char *const words[] = { "offset", "cursor", "token" };
	int status = answer->status;
	if (plan->by_time || is_gateway(answer->problem))
		return 0;
	if (status == 416)
		return 1;
	if ((status != 400 && status != 410 && status != 422) || !answer->problem)
		return 0;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (plan_problem_has(answer->problem, words[i]) || strstr(answer->problem->type, words[i]))
			return 1;
	}
	return 0;
}

static void offset_refused(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	char why[64];
	snprintf(why, sizeof why, "The server refuses the offset (status %d)", answer->status);
	plan->last_fault = FAULT_AKAMAI_PARAMETERS;
	plan_say_refusal(plan, answer, "Reading again by time.");
	plan_recover(plan, now, why);
	/* A server that accepts none of the offsets it hands out is not asked at full speed. */
	if (!plan->ended && plan->recoveries_without_offset > 1)
		plan_pause(plan, now, plan->recoveries_without_offset - 1, 0);
}

/* `from` is older than what the server keeps. */
static int is_range_refused(const struct plan *plan, const struct plan_answer *answer)
{
	static const char *const words[] = { "out of range", "too old", "12 hours", "twelve hours" };
	if (!plan->by_time || (answer->status != 400 && answer->status != 416))
		return 0;
	int named = answer->status == 416;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		named |= plan_problem_has(answer->problem, words[i]);
	return named;
}

/* Moves `from` into the history, once per window. 0: it was there already, so something else is wrong. */
static int range_correct(struct plan *plan, struct plan_time now)
{
	int64_t oldest_unix = plan_now_unix_ns(plan, now) / NS_PER_SECOND - PLAN_HISTORY_SECONDS;
	if (plan->range_corrected || plan->window_from_unix >= oldest_unix + PLAN_MARGIN_WIDE_SECONDS)
		return 0;
	int margin_seconds = plan->window_from_unix < oldest_unix + PLAN_MARGIN_SECONDS
				     ? PLAN_MARGIN_SECONDS
				     : PLAN_MARGIN_WIDE_SECONDS;
	int had_lines = plan->window_lines;
	plan->range_corrected = 1;
	plan_window_open(plan, now, (int)plan->window, plan->window_from_unix - plan->window_gap_seconds,
			 margin_seconds);
	if (had_lines && plan->resume == PLAN_RESUME_POSITION)
		plan->resume = PLAN_RESUME_SEARCH;
	return 1;
}

static void stop_by_status(struct plan *plan, const struct plan_answer *answer)
{
	enum fault fault = FAULT_AKAMAI_STATUS;
	const char *what_to_do =
		"This is not what the SIEM API answers; check the host and what is in between.";
	switch (answer->status) {
	case 401:
		fault = FAULT_AKAMAI_CREDENTIALS;
		what_to_do =
			"Check client_token, client_secret and access_token (they expire, two years after "
			"they were made unless renewed) and that the host belongs to them.";
		break;
	case 403:
		fault = FAULT_AKAMAI_FORBIDDEN;
		what_to_do = "Give the API client the SIEM service and the role Manage SIEM for this "
			     "configuration; one id without that right makes a whole list of ids fail.";
		break;
	case 404:
		fault = FAULT_AKAMAI_NOT_FOUND;
		what_to_do = "Check the configId; one unknown id makes a whole list of ids fail.";
		break;
	case 400:
	case 410:
	case 416:
	case 422:
		fault = FAULT_AKAMAI_PARAMETERS;
		what_to_do = "Check configId, limit, from and cursor.";
		break;
	default:
		if (answer->status >= 300 && answer->status <= 399) {
			fault = FAULT_AKAMAI_REDIRECT;
			what_to_do =
				"A redirect is never followed, because the signature is bound to the host; "
				"check the host in the URL or in .edgerc, and proxies.";
		}
	}
	plan_stop(plan, fault);
	plan_say_refusal(plan, answer, what_to_do);
}

void plan_refused(struct plan *plan, struct plan_time now, const struct plan_answer *answer)
{
	const struct control_problem *problem = answer->problem;
	int status = answer->status;
	enum fault_class class = fault_class_of(answer->fault);
	if (is_busy(status)) {
		plan->counters.rate_limited += status == 429;
		plan->counters.server_errors += status >= 500;
		plan_failed_retry(plan, now, FAULT_AKAMAI_BUSY, answer->retry_after_seconds, answer);
	} else if (!problem && status >= 400 &&
		   (class == FAULT_CLASS_RETRY || class == FAULT_CLASS_RESTART) &&
		   plan->failures_in_a_row < PLAN_UNREAD_REFUSALS_MAX) {
		plan_failed_retry(plan, now, answer->fault, answer->retry_after_seconds, answer);
	} else if (status == 400 && plan_problem_has(problem, "timestamp")) {
		clock_refused(plan, now, answer);
	} else if (status == 401 && plan->nonce_retries < PLAN_NONCE_RETRIES_MAX &&
		   plan_problem_has(problem, "nonce")) {
		plan->nonce_retries++; /* the next request is signed with a new one anyway */
		plan->last_fault = FAULT_AKAMAI_CREDENTIALS;
		plan_say_refusal(plan, answer, "Asking again with a new nonce.");
	} else if (is_offset_refused(plan, answer)) {
		offset_refused(plan, now, answer);
	} else if (is_range_refused(plan, answer) && range_correct(plan, now)) {
		plan->last_fault = FAULT_AKAMAI_PARAMETERS;
		plan_say_refusal(plan, answer, "Asking again from a later time.");
	} else {
		stop_by_status(plan, answer);
	}
}
