/* SPDX-License-Identifier: Apache-2.0
 *
 * control: reads the few JSON fields that steer us, and decodes whole events for programs, with simdjson
 * behind a C face (this room is the only one in C++). Never throws. A struct control never allocates after
 * its creation, a decoder only for a text that is longer than all before.
 *
 * Input lines need not be padded or aligned; they are copied to a padded buffer of the object. Results are
 * untouched unless the answer is CONTROL_YES. One thread at a time per object. A struct control takes 7 MB of
 * address space, of which only what the longest line needs is ever touched.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/control_fields.h"
#include "base/event_fields.h"
#include "base/span.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CONTROL_EVENT_BYTES_MAX 1048576 /* event time is not looked for in longer lines */

enum control_answer {
	CONTROL_YES,	  /* it is one, and the struct is filled */
	CONTROL_NO,	  /* valid, but something else (an event, say) */
	CONTROL_MALFORMED /* not one JSON object, or a context whose values are impossible */
};

struct control; /* opaque */

/* Allocates everything it will ever need (heap, at start). NULL when memory is short. */
struct control *control_create(void);
void control_destroy(struct control *control); /* accepts NULL */

/* Is `line` (its '\n' gone, a '\r' may be left) an offset context? Top-level `offset` and `total` are there,
 * and neither `attackData` nor `httpMessage`. Every token of the line is checked; nesting is bounded at 32
 * levels below the object. Counts are integers or the same digits in quotes; `limit` may be null. Of
 * duplicate keys the last counts. MALFORMED: not one JSON object, or a negative, fractional or too large
 * count, or an offset that is no string, empty, too long or holds a NUL. NO is said of an event as soon as
 * it is recognised, and vouches for nothing behind that point. About 150 ns; an event of 1.9 KB 300 ns. */
enum control_answer control_read_context(struct control *control, struct span line,
					 struct control_context *ret_context);

/* Event time: httpMessage.start (string or number, seconds with an optional fraction); when there is none
 * that reads as a time, the newest of httpMessage.timeStamp/end, timestamp, time, eventTime, event_timestamp.
 * Milliseconds since 1970 in *ret_unix_ms, until the end of the year 9999. CONTROL_NO: no time found. What is
 * passed over on the way is not checked beyond UTF-8 and quotes. About 500 ns for an event of 1.9 KB. */
enum control_answer control_read_event_time(struct control *control, struct span line, int64_t *ret_unix_ms);
/* The same of one such value, a number or the inside of a string: no sign, no exponent; digits behind the
 * millisecond are dropped. CONTROL_NO: it is no time. */
enum control_answer control_read_seconds(struct span seconds, int64_t *ret_unix_ms);

/* NO: a JSON object without any of the fields, or longer than CONTROL_EVENT_BYTES_MAX. Fields of the wrong
 * type count as absent; `status` may be quoted. Control characters become blanks. */
enum control_answer control_read_problem(struct control *control, struct span body,
					 struct control_problem *ret_problem);

#define CONTROL_DECODE_BYTES_MAX                                                                             \
	((size_t)8388608) /* an answer that a program may keep; real events are under 10 KB */
#define CONTROL_DECODE_FIELDS_MAX ((size_t)524288) /* one for each 16 bytes of the longest text */
#define CONTROL_DECODE_DEPTH_MAX 64		   /* real events have 3 levels */

#define CONTROL_DECODE_BYTES_FIRST ((size_t)32768) /* before a longer text comes: 1.2 MB of memory in all */

struct control_decoder; /* opaque */

/* NULL when memory is short. Takes memory (heap) here, and later only for a text that is longer than
 * CONTROL_DECODE_BYTES_FIRST and than all before it: at most 80 MB, of which what no text needs is never
 * touched. */
struct control_decoder *control_decoder_create(void);
void control_decoder_destroy(struct control_decoder *decoder); /* accepts NULL */

/* Decodes one JSON text (RFC 8259) completely: every token is checked, all strings are unescaped, nothing may
 * follow. YES: *ret_fields is lent until the next call. NO: valid as far as it was read, but beyond a limit
 * above, or than there is memory. MALFORMED: no JSON; *ret_offset (when not NULL) is about where. `text` need
 * not be padded and is not kept. Any value may be the document; blanks around it are no part of it, a byte
 * order mark is malformed. Where RFC 8259 leaves a choice: a number too large for a double and an escaped
 * surrogate without its other half are malformed (they have no value that a program could be given), a number
 * too small is zero, "-0" is the integer 0, and members with the same key all stay. About 750 ns for an event
 * of 1.9 KB. */
enum control_answer control_decode(struct control_decoder *decoder, struct span text,
				   struct event_fields *ret_fields, size_t *ret_offset);

/* simdjson's implementation in use ("icelake", "haswell", "westmere", "arm64", "fallback", or "other"). */
const char *control_implementation_name(void);

#ifdef __cplusplus
}
#endif

#endif
