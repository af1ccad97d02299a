/* SPDX-License-Identifier: Apache-2.0
 *
 * program: runs a person's polling program (Lua 5.4) in a sandbox: one state for each stream, `execute(ctx,
 * client, emit)` as a coroutine. The program says what it wants (a request, a pause, the end); whoever owns
 * it does that and resumes it with what came. What programs see is documented in README.md beside this file.
 *
 * Knows nothing of sockets and files: what a program may do is what its owner does for it. Takes memory from
 * the arena only; a program gets its own bounded part and, like an endless loop, too much of anything ends
 * the program with an error that names its line. One thread at a time per program.
 */
#ifndef PROGRAM_PROGRAM_H
#define PROGRAM_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/control_fields.h"
#include "base/event_fields.h"
#include "base/fault.h"
#include "base/span.h"

/* Limits, each with its reason. */
#define PROGRAM_SOURCE_BYTES_MAX ((size_t)1048576)	 /* the longest program that a person maintains */
#define PROGRAM_MEMORY_BYTES_MAX ((size_t)67108864)	 /* an answer of the largest size, decoded */
#define PROGRAM_INSTRUCTIONS_MAX UINT64_C(100000000)	 /* between two waits: about a second */
#define PROGRAM_EVENT_INSTRUCTIONS_MAX UINT64_C(1000000) /* for one event: ten milliseconds */
#define PROGRAM_CPU_NS_MAX                                                                                   \
	(5 * INT64_C(1000000000))		       /* between two waits: for instructions that take long \
							*/
#define PROGRAM_MADE_BYTES_MAX ((size_t)4194304)       /* emitted between two waits, or two events */
#define PROGRAM_LINE_BYTES_MAX ((size_t)1048576)       /* one emitted event */
#define PROGRAM_LOG_BYTES_MAX ((size_t)1048576)	       /* logged between two waits, or two events */
#define PROGRAM_BODY_BYTES_MAX ((size_t)8388608)       /* of an answer that client:get() returns */
#define PROGRAM_REQUEST_BODY_BYTES_MAX ((size_t)65536) /* queries, not uploads */
#define PROGRAM_URL_BYTES_MAX ((size_t)16000)	 /* an offset of 4 KB fits escaped; servers take 16 KB */
#define PROGRAM_HEADERS_MAX 32			 /* to send */
#define PROGRAM_HEADER_BYTES_MAX ((size_t)16384) /* all of them together */
#define PROGRAM_STATE_BYTES_MAX ((size_t)65536)	 /* ctx.state as JSON: cursors, not data */
#define PROGRAM_CURSOR_BYTES_MAX CONTROL_OFFSET_BYTES_MAX /* a cursor is an offset, or as long */
#define PROGRAM_TEXT_BYTES_MAX                                                                               \
	2048 /* an error or a log line: some screens' worth would hide what matters                          \
	      */

struct program_source {
	const char *name; /* as errors show it: "akamai.lua" */
	const char *text; /* UTF-8; never bytecode */
	size_t bytes;
};

/* The default program, compiled in. */
extern const struct program_source program_akamai;

struct program_variable {
	const char *name; /* without the prefix: "CONFIG_ID" */
	const char *value;
	int secret; /* 1: its value is blotted out in whatever the program logs or fails with */
};

enum program_log_level {
	PROGRAM_LOG_INFO,
	PROGRAM_LOG_WARNING,
	PROGRAM_LOG_ERROR,
};

struct program_settings {
	/* Everything that is pointed to is kept until program_finish(). */
	const struct program_source *source;
	const char *stream_name; /* ctx.name: the configId */
	const struct program_variable *variables;
	size_t variable_count;
	const char *state; /* ctx.state at the start, as JSON; NULL: an empty table */
	int full;	   /* ctx.parse is "full" */
	int follow;	   /* ctx.follow */
	void *owner;
	/* Whether a request may go to this server: its index, or -1. `host` is lower case, without brackets.
	 */
	int (*server_find)(void *owner, int secure, const char *host, unsigned port);
	/* `text` is lent. */
	void (*log)(void *owner, enum program_log_level level, const char *text);
	/* Decodes a JSON document for json.decode(). 0, or -1. The table is lent until the next call. */
	int (*decode)(void *owner, struct span text, struct event_fields *ret_fields);
	/* ctx.random(): uniform in [0, bound). */
	uint64_t (*random)(uint64_t bound);
	/* `interpreters` of the worker's slot, where an observer outside the process finds who runs (see
	 * base/stage.h: stage_interpret()); NULL: nobody looks. */
	uint64_t *interpreter;
	/* Told once, by program_create(): the names of what such an observer sees (src/profiler/names_lua.c
	 * has the grammar), for profiler_interpreter(). `text` is lent. NULL: nobody looks. */
	void (*symbols)(void *owner, const char *text, size_t bytes);
};

struct program_time {
	int64_t monotonic_ns;
	int64_t unix_ns;
	int64_t deadline_ns; /* monotonic: no request begins after this; INT64_MAX: none */
};

enum program_wish_kind {
	PROGRAM_REQUEST, /* ctx: client:stream() or client:get() */
	PROGRAM_WAIT,	 /* until wait_until_ns */
	PROGRAM_END,	 /* execute() returned */
	PROGRAM_FAILED,	 /* program_error() says why */
};

enum program_resume {
	PROGRAM_RESUME_POSITION, /* lines handed on since the last commit are expected again, and skipped */
	PROGRAM_RESUME_SEARCH,	 /* skip up to and including the last line handed on */
	PROGRAM_RESUME_NONE,
};

/* Lent until the program is resumed. */
struct program_wish {
	enum program_wish_kind kind;
	int64_t wait_until_ns; /* monotonic */
	int end_is_limit;      /* END: 1 when execute() returned "max-requests", else it is drained */
	/* REQUEST */
	int server;	       /* what server_find() said */
	const char *method;    /* "GET", "POST" */
	const char *target;    /* path and query */
	struct span body;      /* base NULL: none */
	int lines;	       /* 1: stream(): lines are events. 0: get(): the body is wanted */
	int has_context;       /* the last line of a page is an offset context, not an event */
	int deliver;	       /* 0: lines go to the program only */
	int on_event;	       /* program_event() wants each event */
	size_t body_bytes_max; /* get() */
	enum program_resume resume;
};

/* What came of a request. All lent for the call. */
struct program_header {
	struct span name; /* lower case */
	struct span value;
};

struct program_answer {
	enum fault fault;	/* FAULT_NONE: complete and proven */
	const char *fault_text; /* sentence and detail; "" */
	int status;		/* 0: there was no HTTP answer */
	const struct program_header *headers;
	size_t header_count;
	int64_t date_unix;		  /* -1: none */
	int64_t retry_after_seconds;	  /* -1: none */
	int64_t elapsed_ns;		  /* since the request was written */
	uint64_t body_bytes, plain_bytes; /* as received, after inflate */
	struct span body; /* get(); and of an answer to stream() that is no page, cut at 64 KB */
	const struct control_problem *problem; /* NULL: none */
	/* stream() and status 200 */
	uint64_t event_lines;		       /* skipped ones included, the context excluded */
	uint64_t malformed;		       /* full parsing: of those, events that are no JSON object */
	const struct control_context *context; /* NULL: there is none */
	int looks_like_events;		       /* 0: the first line does not start with '{' */
	int64_t newest_event_unix_ms;	       /* 0: none seen */
	const char *skip;		       /* "settled", "open" or "mismatch" */
};

/* What the program counted with ctx.count(), by the names of run.json. */
struct program_counters {
	uint64_t requests, truncations, recoveries, rate_limited, server_errors, network_errors,
		clock_corrections, skip_mismatches;
	double backoff_seconds;
	int64_t gap_seconds;
	double clock_skew_seconds;
};

struct program; /* opaque; lives in the arena */

/* Address space that program_create() takes from the arena; little of it is touched. */
size_t program_bytes_needed(void);

/* Compiles the program; its main chunk runs at the first program_resume(). NULL on failure, with a sentence
 * (and the line) in `error`. */
struct program *program_create(const struct program_settings *settings, struct arena *arena,
			       char error[static PROGRAM_TEXT_BYTES_MAX]);
/* Closes the state; its memory stays the arena's. Accepts NULL. */
void program_finish(struct program *program);

/* Starts execute() anew: after program_create(), or after it returned or failed. */
void program_begin(struct program *program);
/* Goes on until the program wants something. `answer` is what came of a REQUEST, else NULL. */
enum program_wish_kind program_resume(struct program *program, struct program_time now,
				      const struct program_answer *answer, struct program_wish *ret_wish);

/* The headers to send, taken from the program just before the request is written (so that a signature is
 * fresh): 0, or -1: the program failed. `headers` are lent until the next call into this program; names are
 * as written. Accept, Accept-Encoding and User-Agent are the owner's to add where the program gave none. */
int program_headers(struct program *program, struct program_time now,
		    struct program_header headers[static PROGRAM_HEADERS_MAX], size_t *ret_count);

/* Hands an event to on_event: its line, and its fields when `fields` is not NULL. 0, or -1: the program
 * failed. */
int program_event(struct program *program, struct program_time now, struct span line,
		  const struct event_fields *fields);

/* Whole lines that the program emitted and that the owner has not taken yet. */
struct span program_made(const struct program *program);
uint64_t program_made_events(const struct program *program); /* since program_create() */
void program_made_consume(struct program *program, size_t bytes);

/* 1 when client:commit() was called since the last request; asking forgets it. `cursor` ("" when none was
 * given) is lent until the next commit. */
int program_committed(struct program *program, const char **ret_cursor);

const char *program_error(const struct program *program); /* one sentence with the line; "" */
const struct program_counters *program_counters(const struct program *program);
/* ctx.state as JSON, lent until the next call; NULL with program_error() when it cannot be one. */
const char *program_state(struct program *program);
/* The most memory that the program has used, of PROGRAM_MEMORY_BYTES_MAX. */
size_t program_memory_bytes(const struct program *program);

#endif
