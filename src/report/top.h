/* SPDX-License-Identifier: Apache-2.0
 *
 * top: what each function took by itself and with what it called. Internal to report.
 */
#ifndef REPORT_TOP_H
#define REPORT_TOP_H

#include "report/frames.h"

struct top_row {
	uint32_t frame;	    /* number in frames, of the variant that is not inlined: both are one row */
	int64_t flat;	    /* samples whose innermost function it is */
	int64_t cumulative; /* samples that have it anywhere; recursion counts once */
	uint32_t sample;    /* the heaviest of the flat ones */
	int64_t sample_value;
};

struct top {
	struct top_row *rows;
	size_t count;
	int64_t total;
};

enum top_order { TOP_FLAT, TOP_CUMULATIVE };

struct top *top_create(struct frames *frames, int value_index);
void top_destroy(struct top *top);
/* Largest first, equal ones by name. */
void top_sort(struct top *top, const struct frames *frames, enum top_order order);
/* The row of the same function, NULL when it is not there. */
const struct top_row *top_find(const struct top *top, uint32_t frame);
/* What was spent below (and in) kernel functions whose names begin with one of `starts` (NULL ends the list).
 */
int64_t top_below(const struct frames *frames, int value_index, const char *const starts[]);

#endif
