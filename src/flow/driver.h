/* SPDX-License-Identifier: Apache-2.0
 *
 * driver: decides for one stream what to ask next and what an answer means. There are two: the native plan
 * (driver_plan.c) and an interpreted program (driver_program.c); a stream does not know which one it has.
 * Internal to flow.
 *
 * The words are those of program.h: they can say all that the plan says. Calls alternate: next() says
 * REQUEST, WAIT, END or FAILED; after a REQUEST there is exactly one answer(), and before it headers() each
 * time that the request is written, and event() for each event.
 */
#ifndef FLOW_DRIVER_H
#define FLOW_DRIVER_H

#include "akamai/edgegrid.h"
#include "flow/flow.h"
#include "flow/page.h"
#include "http/http.h"
#include "program/program.h"

#define DRIVER_HEADERS_MAX (PROGRAM_HEADERS_MAX + 3) /* with Accept, Accept-Encoding and User-Agent */

struct control_decoder;

struct driver_headers {
	struct http_header lines[DRIVER_HEADERS_MAX];
	size_t count;
	char authorization[EDGEGRID_AUTHORIZATION_BYTES_MAX]; /* a line may point to it: wipe it afterwards */
};

struct driver_answer {
	struct program_answer seen; /* as programs see it */
	enum page_skip_state skip;  /* the same as seen.skip */
};

/* What became of the lines that were handed on since the last commit. */
enum driver_verdict {
	DRIVER_UNDECIDED,
	DRIVER_COMMITTED, /* nothing before cursor() is needed any more */
	DRIVER_REFUSED,	  /* they may come again */
};

struct driver;

struct driver_table {
	int interpreted;
	int tells_failures; /* 1: it says itself what went wrong, and flow need not */
	/* When the request that it wants cannot be written. */
	enum fault unwritable_fault;
	const char *unwritable_text;

	void (*next)(struct driver *driver, struct program_time now, struct program_wish *ret_wish);
	/* 1: the next wish is known, and it is the end: no time is needed for it. */
	int (*ended)(const struct driver *driver);
	/* What to send to this server, taken just before the request of the last wish is written. Other than
	 * FAULT_NONE: driver->detail may say more. */
	enum fault (*headers)(struct driver *driver, struct program_time now,
			      const struct flow_server *server, struct driver_headers *ret_headers);
	/* 0: a failure that a person should know of: error_text, or the fault's words. */
	int (*answer)(struct driver *driver, struct program_time now, const struct driver_answer *answer);
	/* Asked after each next() and answer(); a verdict is given once. */
	enum driver_verdict (*verdict)(struct driver *driver);
	/* NULL: does not look at events. `fields` is NULL in control mode. */
	enum fault (*event)(struct driver *driver, struct program_time now, struct span line,
			    const struct event_fields *fields);
	/* See struct page_observer. NULL: makes no lines. */
	struct span (*made)(struct driver *driver, uint64_t *ret_lines);
	void (*made_consume)(struct driver *driver, size_t bytes);
	/* Of the last commit; "": none. */
	const char *(*cursor)(const struct driver *driver);
	void (*counters)(const struct driver *driver, struct plan_counters *ret_counters);
	/* What a next run is to begin with, as JSON; NULL: nothing. `cursor` is what may be said: lines
	 * before it are with the kernel; NULL: all that were committed are. Lent until the next call. */
	const char *(*state)(struct driver *driver, const char *cursor);
	void (*finish)(struct driver *driver);
};

struct driver {
	const struct driver_table *table;
	const char *error_text; /* of the last failure; "" when the last page was good */
	enum fault last_fault;
	const char *detail; /* of headers() */
	/* Why state() gave NULL for what there is; NULL: nothing is wrong. As long lent. */
	const char *state_error;
	char *notice; /* something a person should know; "": none; whoever has told it clears it */
};

/* What both need of the flow. Kept. */
struct driver_settings {
	const struct flow_settings *flow;
	struct arena *arena;
	const char *config_id;
	const char *state; /* what a former run left, JSON; NULL: nothing */
	struct control_decoder
		*decoder; /* for that, and for programs' json.decode(); NULL: neither needs it */
	struct stage_slot *stage;
};

/* NULL on failure, with one sentence for a person in `error`. */
struct driver *driver_plan_create(const struct driver_settings *settings, struct program_time now,
				  char error[static FLOW_TEXT_BYTES_MAX]);
struct driver *driver_program_create(const struct driver_settings *settings,
				     char error[static FLOW_TEXT_BYTES_MAX]);
/* Address space that they take from the arena. */
size_t driver_plan_bytes_needed(void);
size_t driver_program_bytes_needed(const struct flow_settings *settings);

/* The header lines of every request that does not have its own, by the flow's settings. */
void driver_default_headers(const struct flow_settings *settings, struct http_header lines[static 3]);

#endif
