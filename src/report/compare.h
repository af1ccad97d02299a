/* SPDX-License-Identifier: Apache-2.0
 *
 * compare: runs side by side. Takes run folders (repeated runs in one folder count as one side, by their
 * medians) and pprof files of any tool, and writes the tables of a performance report, the differences to the
 * first side, and which of them are within the noise. It measures nothing itself.
 *
 * One thread at a time. On the heap, after the work.
 */
#ifndef REPORT_COMPARE_H
#define REPORT_COMPARE_H

#include <stddef.h>
#include <stdio.h>

#include "report/report.h"

#define COMPARE_SIDES_MAX 16   /* a matrix of 12 and some more; nobody reads wider tables */
#define COMPARE_REPEATS_MAX 64 /* medians do not get better, and each holds its profiles in memory */
#define COMPARE_TOP_MAX 10000  /* a program has that many functions */
#define COMPARE_JSON_VERSION 1

enum compare_format {
	COMPARE_TEXT, /* 100 columns */
	COMPARE_MARKDOWN,
	COMPARE_JSON, /* every figure of every repeat; README.md, "compare" */
};

struct compare_options {
	enum compare_format format;
	int colour;	       /* of the text: escape sequences where a difference is beyond the noise */
	size_t top_count;      /* functions a table */
	const char *page_path; /* NULL, or where a page with flame graphs goes */
};

/* `arguments`: at least two of [NAME=]FOLDER or [NAME=]FILE; the first is the baseline. Writes the page, then
 * the tables into `out`. 0, or -1 with a sentence that says what to do. */
int compare_write(char *const *arguments, size_t count, const struct compare_options *options, FILE *out,
		  char error[static REPORT_ERROR_BYTES_MAX]);

/* The figure in the middle, or the mean of the two in the middle; NaN of none. Sorts them. */
double compare_median(double *figures, size_t count);

#endif
