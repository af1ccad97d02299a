/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans, cursors and the four answers of a stage: the words that every room shares.
 *
 * A stage is a push function from an input cursor to an output cursor. It consumes from the front of
 * the input, fills the front of the output, and works at any split of either. Nothing here owns
 * memory: a span is lent for the duration of a call unless the comment at the call says otherwise.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *base;
	size_t bytes;
};

/* Bytes waiting to be consumed: [next, end). A stage advances `next`. */
struct cursor_in {
	const uint8_t *next;
	const uint8_t *end;
};

/* Room waiting to be filled: [next, end). A stage advances `next`. */
struct cursor_out {
	uint8_t *next;
	uint8_t *end;
};

enum step {
	STEP_HUNGRY, /* all input is consumed; more is needed to go on */
	STEP_FULL,   /* the output has no room for the next piece; drain it and call again */
	STEP_DONE,   /* the unit (page, body, handshake ...) is complete; input may be left over */
	STEP_BROKEN, /* sticky: the input is not what it must be; the room's fault() says why */
};

static inline struct span span_of(const void *base, size_t bytes)
{
	return (struct span){ .base = (const uint8_t *)base, .bytes = bytes };
}

static inline struct span span_of_text(const char *text)
{
	return span_of(text, strlen(text));
}

static inline size_t cursor_in_bytes(const struct cursor_in *cursor)
{
	return (size_t)(cursor->end - cursor->next);
}

static inline size_t cursor_out_bytes(const struct cursor_out *cursor)
{
	return (size_t)(cursor->end - cursor->next);
}

#endif
