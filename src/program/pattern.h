/* SPDX-License-Identifier: Apache-2.0
 *
 * Lua's patterns (reference manual section 6.4.1), matched without recursion and with an account of the work:
 * a short pattern can take longer than the universe lasts, and Lua's own matcher cannot be interrupted.
 * Internal to the room; knows nothing of Lua states.
 */
#ifndef PROGRAM_PATTERN_H
#define PROGRAM_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define PATTERN_CAPTURES_MAX 32 /* as Lua has it */
#define PATTERN_CHOICES_MAX 199 /* repetitions and parentheses that are open at a time: as Lua has it */

enum {
	PATTERN_OPEN = -1,     /* its closing parenthesis is still to come */
	PATTERN_POSITION = -2, /* "()" */
};

struct pattern_capture {
	size_t at; /* in the subject */
	ptrdiff_t bytes;
};

struct pattern {
	struct span subject;
	struct span text; /* without the anchor '^' */
	/* Is told of steps done (a byte looked at is about one), at least each PATTERN_STEPS_MAX; may leave
	 * by longjmp. */
	void (*charge)(void *user, uint64_t steps);
	void *user;
	uint64_t steps; /* that it was not told of yet */
	unsigned capture_count;
	struct pattern_capture captures[PATTERN_CAPTURES_MAX];
	const char *error; /* of PATTERN_MALFORMED; "%" is followed by error_index when that is not -1 */
	int error_index;
};

#define PATTERN_STEPS_MAX 4096 /* some microseconds */

enum pattern_answer {
	PATTERN_NO,
	PATTERN_YES,
	PATTERN_MALFORMED,
};

/* Does the subject match from `from` (at most its length) on? *ret_end is the first byte behind the match. */
enum pattern_answer pattern_match(struct pattern *pattern, size_t from, size_t *ret_end);

/* Tells of the steps that are left. */
void pattern_settle(struct pattern *pattern);

#endif
