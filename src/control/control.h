/* SPDX-License-Identifier: Apache-2.0
 *
 * control: reads the few JSON fields that steer us, with simdjson ondemand behind a C face (control.cc
 * is the project's only C++ file). Never throws, never allocates after control_create().
 *
 * Input lines need not be padded or aligned; they are copied to a padded buffer of the object.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/control_fields.h"
#include "base/span.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CONTROL_EVENT_BYTES_MAX 1048576 /* event time is not looked for in longer lines */

enum control_answer {
	CONTROL_YES,      /* it is one, and the struct is filled */
	CONTROL_NO,       /* valid, but something else (an event, say) */
	CONTROL_MALFORMED /* not valid JSON, or a context whose values are impossible */
};

struct control; /* opaque */

/* Allocates everything it will ever need (heap, at start). NULL when memory is short. */
struct control *control_create(void);
void control_destroy(struct control *control); /* accepts NULL */

/* Is `line` (without its line end) an offset context? Top-level `offset` (string) and `total` present and
 * neither `attackData` nor `httpMessage`. The whole line must be one JSON object. */
enum control_answer control_read_context(struct control *control, struct span line,
					 struct control_context *ret_context);

/* Event time: httpMessage.start (string or number, seconds with an optional fraction); when absent the
 * newest of httpMessage.timeStamp/end, timestamp, time, eventTime, event_timestamp. Milliseconds since
 * 1970 in *ret_unix_ms. CONTROL_NO: no time found. */
enum control_answer control_read_event_time(struct control *control, struct span line,
					    int64_t *ret_unix_ms);

enum control_answer control_read_problem(struct control *control, struct span body,
					 struct control_problem *ret_problem);

/* simdjson's implementation in use ("icelake", "haswell", "westmere", "arm64", "fallback"). */
const char *control_implementation_name(void);

#ifdef __cplusplus
}
#endif

#endif
