/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of plan share: plan.c (what to ask), plan_answer.c and plan_refusal.c (what an answer
 * means), plan_text.c (sentences). Not for other rooms.
 */
#ifndef AKAMAI_PLAN_PRIVATE_H
#define AKAMAI_PLAN_PRIVATE_H

#include "akamai/plan.h"

enum {
	PLAN_MARGIN_SECONDS = 60, /* kept from the edge of the history, so that a slow request stays inside */
	PLAN_MARGIN_WIDE_SECONDS = 300, /* when the server still finds the narrow one out of range */
	PLAN_CAUGHT_UP_SECONDS = 60,	/* overlap of a recovery that knows no event time */
	PLAN_IDLE_SECONDS = 5, /* the API withholds the newest 5 s: asking sooner finds nothing new */
	PLAN_NONCE_RETRIES_MAX = 3,
	PLAN_CLOCK_RETRIES_MAX = 3,
	PLAN_UNREAD_REFUSALS_MAX = 3, /* a refusal whose reason got lost on the way is asked for again */
};

/* A Date beyond this (year 2223) is not a clock; it also keeps nanoseconds within 63 bits. */
#define PLAN_DATE_UNIX_MAX INT64_C(8000000000)

/* plan.c */
int64_t plan_now_unix_ns(const struct plan *plan, struct plan_time now); /* skew-corrected */
/* Opens the window at `from_unix` (clamped to the history, with notice and gap) and goes by time. */
void plan_window_open(struct plan *plan, struct plan_time now, int window, int64_t from_unix,
		      int margin_seconds);
/* The same `from` once more, with a `to` of now; positions in it count anew. */
void plan_window_again(struct plan *plan, struct plan_time now);
/* The first `from` of the plan, as seen from `now`. */
int64_t plan_start_from_unix(const struct plan *plan, struct plan_time now);
/* Drops the offset and goes by time from what was last safe; or ends the plan when that was tried too often.
 */
void plan_recover(struct plan *plan, struct plan_time now, const char *why);
/* Pause before the n-th try after a failure (n >= 1), with jitter; at least `least_ns`. */
void plan_pause(struct plan *plan, struct plan_time now, unsigned n, int64_t least_ns);
void plan_end(struct plan *plan, enum plan_end_reason reason);

/* plan_refusal.c: an answer with a status other than 200. */
void plan_refused(struct plan *plan, struct plan_time now, const struct plan_answer *answer);
/* plan_answer.c */
void plan_failed_retry(struct plan *plan, struct plan_time now, enum fault fault, int64_t retry_after_seconds,
		       const struct plan_answer *answer);

/* plan_text.c */
/* Adds a sentence to the notice. */
__attribute__((format(printf, 2, 3))) void plan_notice(struct plan *plan, const char *format, ...);
/* error_text := "configId N: ..." */
__attribute__((format(printf, 2, 3))) void plan_say(struct plan *plan, const char *format, ...);
/* error_text := the server's words (status, title, detail, requestId, serverIp) and what to do. */
void plan_say_refusal(struct plan *plan, const struct plan_answer *answer, const char *what_to_do);
/* Ends the plan as failed. plan_say() before or after. */
void plan_stop(struct plan *plan, enum fault fault);
/* 1: the problem's title or detail holds `word`, in any case. */
int plan_problem_has(const struct control_problem *problem, const char *word);

#endif
