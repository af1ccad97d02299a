/* SPDX-License-Identifier: Apache-2.0
 *
 * plan: the protocol's decisions for one configId: what to ask next, what an answer means, when to
 * wait, when to recover by time, when to stop. Pure: no I/O, no clock of its own, no allocation; times
 * come in as arguments, so a test can play years in a millisecond.
 *
 * Offset mode is home; time mode is the start and the recovery. Calls alternate:
 *   plan_next() says REQUEST / WAIT / END; after a REQUEST exactly one plan_answer().
 */
#ifndef AKAMAI_PLAN_H
#define AKAMAI_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/control_fields.h"
#include "base/fault.h"

#define PLAN_TARGET_BYTES_MAX                                                                                \
	40960			   /* path, and an offset of CONTROL_OFFSET_BYTES_MAX all percent-encoded    \
				    */
#define PLAN_LIMIT_MAX 600000	   /* the API's own maximum */
#define PLAN_HISTORY_SECONDS 43200 /* the API keeps 12 hours */
#define PLAN_BACKOFF_MAX_NS (60 * INT64_C(1000000000))
#define PLAN_RETRY_AFTER_SECONDS_MAX 3600 /* a longer Retry-After is cut: the feed would be lost anyway */
#define PLAN_RECOVERIES_MAX 5		  /* recoveries by time in a row without one good page */
#define PLAN_SEARCH_LINES_MAX UINT64_C(5000000) /* lines looked at for the last event handed on */

struct plan_settings {
	const char *base_path; /* "/siem/v1"; kept, not copied */
	const char *config_id; /* raw; percent-encoded into the path; kept */
	const char *cursor;    /* first offset or NULL/""; kept */
	int64_t limit;	       /* 1..PLAN_LIMIT_MAX */
	int64_t from_unix;     /* first `from`, epoch seconds; 0: now - initial_interval */
	int64_t initial_interval_ns;
	int64_t to_lag_ns;	  /* `to` = now - this, sent only if > from; 0: no `to` */
	int64_t poll_interval_ns; /* pause between requests; 0: none */
	int64_t offset_ttl_ns;	  /* last success older than this: go by time; 0: never */
	int64_t requests_max;	  /* successful requests; 0: no limit */
	int64_t backoff_ns;	  /* first pause after a failure; doubles to PLAN_BACKOFF_MAX_NS */
	int follow;		  /* 1: an empty page means wait and ask again, not the end */
	/* Jitter: uniform in [0, bound). random_below() except in tests. */
	uint64_t (*random)(uint64_t bound);
};

struct plan_time {
	int64_t monotonic_ns;
	int64_t unix_ns; /* this host's wall clock, uncorrected */
};

enum plan_kind {
	PLAN_REQUEST,
	PLAN_WAIT, /* nothing before wait_until_ns */
	PLAN_END,  /* see end_reason */
};

enum plan_end_reason {
	PLAN_END_DRAINED, /* an empty page, and not following */
	PLAN_END_REQUESTS_MAX,
	PLAN_END_FAILED, /* last_fault and error_text say why */
};

/* How the receiver of the lines treats those that it has handed on before (see flow/page.h). */
enum plan_resume {
	PLAN_RESUME_POSITION, /* the same question as before or a fresh offset: skip by position */
	PLAN_RESUME_SEARCH,   /* recovery by time: skip up to and including the last line handed on */
	/* Hand on everything, and count positions anew from here: a former skip could not be verified, or the
	 * window begins after the last line handed on. */
	PLAN_RESUME_NONE,
};

struct plan_ask {
	enum plan_kind kind;
	int64_t wait_until_ns; /* monotonic; WAIT only */
	enum plan_end_reason end_reason;
	enum plan_resume resume;
	int64_t limit;
	int64_t sign_unix_seconds;	    /* clock for the signature, skew-corrected */
	int by_time;			    /* 1: from/to, 0: offset */
	char target[PLAN_TARGET_BYTES_MAX]; /* path and query, as sent and as signed; keys in alphabetical
					       order */
};

/* What became of the lines that were to be skipped. */
enum plan_skip {
	PLAN_SKIP_SETTLED,  /* nothing to skip, or skipped and verified */
	PLAN_SKIP_OPEN,	    /* the page ended before the last line handed on was reached */
	PLAN_SKIP_MISMATCH, /* the page does not repeat what was handed on */
};

/* What came of the request. */
struct plan_answer {
	enum fault fault; /* transport, TLS, HTTP, inflate or page fault; FAULT_NONE: complete and proven */
	int status;	  /* HTTP status, 0 when there was none */
	int64_t retry_after_seconds;	       /* -1: none */
	int64_t date_unix;		       /* Date header, -1: none */
	const struct control_problem *problem; /* of a non-200 answer; NULL: no or another body. Lent */
	/* of a 200 page: */
	const struct control_context *context; /* NULL: last line is none. Lent */
	int body_looks_like_events;	       /* 0: the first line does not start with '{' (HTML, say) */
	uint64_t event_lines;		       /* event lines in this page, skipped ones included */
	uint64_t body_bytes;		       /* of the answer, as received */
	int64_t newest_event_unix_ms;	       /* newest event time seen in this page; 0: none */
	enum plan_skip skip;
};

struct plan_counters {
	uint64_t requests; /* successful: 200, complete, committed */
	uint64_t attempts; /* all requests sent */
	uint64_t events;   /* in committed pages, as `total` counts them */
	uint64_t truncations;
	uint64_t recoveries;	/* by time: 416 and refused or expired tokens */
	uint64_t rate_limited;	/* 429 */
	uint64_t server_errors; /* 5xx */
	uint64_t network_errors;
	uint64_t clock_corrections;
	uint64_t skip_mismatches;   /* events may have been handed on twice this often */
	int64_t backoff_ns;	    /* time spent waiting after failures */
	int64_t gap_seconds;	    /* history that the API had dropped before we asked */
	int64_t clock_skew_ns;	    /* server minus us, as last corrected */
	int64_t last_event_unix_ms; /* newest event time seen; 0: none */
};

struct plan {
	struct plan_settings settings;
	struct plan_counters counters;
	/* The closing line's cursor: where a next run may go on without losing an event. "" none. It is the
	 * last committed offset, except that it stays where it was while a recovery still searches for the
	 * last line handed on: until that line is found, the pages in between are not proven to be old. */
	char offset[CONTROL_OFFSET_BYTES_MAX + 1];
	enum fault last_fault;
	char error_text[2048]; /* the last failure, for a person; "" when the last page was good */
	/* Something a person should know, from plan_begin(), plan_next() or plan_answer(); "" none.
	 * plan_answer() clears it first, the others add to it; whoever has told it may clear it too. */
	char notice[512];
	/* plan's own from here */
	char ask_offset[CONTROL_OFFSET_BYTES_MAX + 1]; /* the next question's, when not by time */
	int64_t limit, asked_limit;
	int64_t start_from_unix;
	/* The time window asked for: fixed until one of its pages is committed. */
	int64_t window_from_unix, window_to_unix, window_gap_seconds;
	enum {
		PLAN_WINDOW_NONE,
		PLAN_WINDOW_START,
		PLAN_WINDOW_RECOVERY,
	} window;
	int64_t last_success_ns, last_success_unix, last_lines_unix;
	int64_t newest_committed_unix_ms; /* newest event time in committed pages; 0: none */
	int64_t not_before_ns;
	int64_t skew_ns;
	unsigned failures_in_a_row, truncations_in_a_row, recoveries_in_a_row, recoveries_without_offset,
		nonce_retries, clock_retries;
	uint64_t searched_lines;
	enum plan_resume resume, asked_resume;
	int by_time, asked, ended, caught_up, window_lines, range_corrected, offset_stuck;
	enum plan_end_reason end_reason;
};

void plan_begin(struct plan *plan, const struct plan_settings *settings, struct plan_time now);
void plan_next(struct plan *plan, struct plan_time now, struct plan_ask *ret_ask);
/* 1: the page is committed, the next question begins behind it (`offset` says what is safe to keep); 0: it
 * is not, and is asked again or recovered by time. */
int plan_answer(struct plan *plan, struct plan_time now, const struct plan_answer *answer);

#endif
