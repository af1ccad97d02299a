/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields that steer us, as control reads them and akamai decides on them. Plain data.
 */
#ifndef BASE_CONTROL_FIELDS_H
#define BASE_CONTROL_FIELDS_H

#include <stddef.h>
#include <stdint.h>

/* Limits, each with its reason. */
#define CONTROL_OFFSET_BYTES_MAX                                                                             \
	4096 /* real tokens are 130 bytes; all escaped it fits a 16 KB request head */
#define CONTROL_CONTEXT_BYTES_MAX 65536	   /* a longer line is not an offset context */
#define CONTROL_PROBLEM_TEXT_BYTES_MAX 512 /* a sentence or two; the rest is cut */

/* The last line of a page: {"total":N,"offset":"...","limit":N}, any key order, blanks, quoted integers. */
struct control_context {
	int64_t total; /* >= 0 */
	int64_t limit; /* -1: absent (the limit was not reached) */
	size_t offset_bytes;
	char offset[CONTROL_OFFSET_BYTES_MAX + 1]; /* unescaped, NUL-terminated */
};

/* application/problem+json (RFC 7807), fields cut to the buffer at a character boundary, control
 * characters replaced. Absent fields are "". */
struct control_problem {
	int status; /* 0: absent */
	char type[CONTROL_PROBLEM_TEXT_BYTES_MAX];
	char title[CONTROL_PROBLEM_TEXT_BYTES_MAX];
	char detail[CONTROL_PROBLEM_TEXT_BYTES_MAX];
	char request_id[CONTROL_PROBLEM_TEXT_BYTES_MAX]; /* "requestId" or "instance"-free gateway form */
	char server_ip[CONTROL_PROBLEM_TEXT_BYTES_MAX];
};

#endif
