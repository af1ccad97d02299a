/* SPDX-License-Identifier: Apache-2.0
 *
 * Durations in Go's syntax ("90s", "1h30m", "1.5h", "250ms"; units ns us ms s m h; "0" needs none).
 * Format: https://pkg.go.dev/time#ParseDuration and Duration.String. Any thread.
 */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdint.h>

#define DURATION_TEXT_BYTES_MAX 40 /* the longest has 24 characters and a sign */

/* Returns 0 and sets *ret_ns, or -1 when `text` is not a duration or does not fit 63 bits. */
int duration_parse(const char *text, int64_t *ret_ns);
/* Writes e.g. "2m0.001s" (Go's String form) into `text`, NUL-terminated. Returns `text`. */
char *duration_format(int64_t ns, char text[static DURATION_TEXT_BYTES_MAX]);

#endif
