/* SPDX-License-Identifier: Apache-2.0
 *
 * sink: puts finished lines away, in order. Lines are copied into a bounded set of buffers that the ring
 * writes behind our back; when all are in flight the sink answers FULL and the caller waits.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/span.h"
#include "ring/ring.h"

#define SINK_BUFFER_BYTES 262144   /* one write; large enough that the call's cost vanishes */
#define SINK_BUFFER_COUNT 4	   /* so at most 1 MiB lags behind the page */
#define SINK_SHARED_BUFFER_COUNT 2 /* of each of several that share an output: memory for each worker */
#define SINK_ERROR_BYTES_MAX 512   /* a path cut at 300 bytes, the errno in words, a count */
#define SINK_MEMBERS_MAX 64 /* sinks that share an output: one per worker thread, see src/base/stage.h */

enum sink_kind {
	SINK_NULL, /* counts the bytes that RAW would write, whatever the format */
	SINK_STDOUT,
	SINK_FILE,
};

enum sink_format {
	SINK_RAW,     /* the event's bytes, untouched, as NDJSON */
	SINK_MESSAGE, /* {"message":"<line>"} per line, see sink/escape.h */
};

struct sink_options {
	enum sink_kind kind;
	enum sink_format format;
	const char *path; /* FILE: appended to (behind a line that was cut, on a new line), mode 0600; kept */
	int output_fd;	  /* STDOUT: the descriptor, normally 1 */
	/* Where several sinks, each on a thread of its own, write to the same output: the same for all of
	 * them. What is written at once then ends where a line does. NULL: this one is alone. */
	struct sink_turn *turn;
	int wake_fd; /* with `turn`: an eventfd; when it was written, sink_woken() is to be called */
};

/* One output for several sinks: only one of them writes at a time. Opaque; lives in the arena. */
struct sink_turn;
struct sink_turn *sink_turn_create(struct arena *arena);

struct sink; /* opaque; lives in the arena */

/* "null", "stdout", "file:PATH" -> options. 0, or -1. `text` is kept for the path. */
int sink_parse(const char *text, struct sink_options *ret_options);

/* Takes memory (none but the object for NULL) and opens the output. Fills `error` on failure. */
enum fault sink_open(const struct sink_options *options, struct ring *ring, struct arena *arena,
		     struct sink **ret_sink, char error[static SINK_ERROR_BYTES_MAX]);

/* Takes lines from the front of `lines`, in pieces of any size: a line may be spread over calls and buffers,
 * so its length has no bound here. `last` is 1 when these are the last bytes of a page: a line that then
 * lacks its '\n' is ended; call with an empty cursor when that was learnt late. HUNGRY: all taken (and the
 * line ended, if `last`). FULL: wait for a completion, call again with the rest and the same `last`. BROKEN:
 * sink_fault(). */
enum step sink_push(struct sink *sink, struct cursor_in *lines, int last);

/* Starts writing what is buffered, even if little; at the latest when the write in flight is done. */
void sink_flush(struct sink *sink);
/* A completed ring operation whose owner is the sink: 1 when it was ours and is handled. */
int sink_completed(struct sink *sink, struct ring_operation *operation);
/* The eventfd was written: it is this sink's turn, or the output is broken. */
void sink_woken(struct sink *sink);
/* 1 when nothing is buffered or in flight: all lines are with the kernel. */
int sink_idle(const struct sink *sink);

enum fault sink_fault(const struct sink *sink);
const char *sink_error_text(const struct sink *sink); /* names output and errno's meaning */
uint64_t sink_bytes_written(const struct sink *sink);
/* Those and what is still to be written: when sink_bytes_written() has reached this figure, all lines that
 * were pushed until now are with the kernel. */
uint64_t sink_bytes_accepted(const struct sink *sink);

/* Closes the output (not stdout). Accepts NULL. Pending writes must be done or cancelled before. */
void sink_close(struct sink *sink);

#endif
