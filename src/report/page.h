/* SPDX-License-Identifier: Apache-2.0
 *
 * page: report.html, and what its parts share. Internal to report.
 */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdio.h>

#include "report/frames.h"
#include "report/report.h"
#include "report/run_json.h"

enum page_source {
	PAGE_CPU,
	PAGE_OFF_CPU,
	PAGE_HEAP_MID,
	PAGE_HEAP_END,
	PAGE_FAULTS,
	PAGE_MAPPINGS,
	PAGE_SOURCE_COUNT,
};

struct page_profile {
	const char *name;      /* of its file in the folder; the first of its names when there is none */
	struct pprof *profile; /* NULL: not there, or damaged */
	struct frames *frames; /* of it */
	char problem[REPORT_ERROR_BYTES_MAX]; /* "", or why it could not be read */
};

struct page {
	FILE *out;
	const char *folder;
	struct run_record *run; /* never NULL */
	int run_missing;
	char run_problem[REPORT_ERROR_BYTES_MAX];
	struct page_profile profiles[PAGE_SOURCE_COUNT];
	/* Of the profile window; NaN when unknown. */
	double window_start_seconds, window_seconds, window_events;
};

/* The whole document. 0, or -1 when writing failed. */
int page_write(struct page *page);

/* ---- Its parts ---- */
void page_time(const struct page *page);      /* throughput, stages */
void page_functions(const struct page *page); /* flat and cumulative */
void page_program(const struct page *page);   /* lines of a program in Lua */
void page_memory(const struct page *page);
void page_trust(const struct page *page); /* overhead, completeness, confinement */
void page_flames(const struct page *page);
void page_run(const struct page *page); /* configuration, host, streams, files */

/* ---- Shared by the parts ---- */
/* Value index of a source, or -1: when the profile is not there, too. */
int page_value(const struct page *page, enum page_source source, const char *type);
/* The index of what a CPU profile weighs by: nanoseconds, else its last type. */
int page_cpu_value(const struct page *page);
int page_off_cpu_value(const struct page *page);
int page_faults_value(const struct page *page);
/* 0 when the value is not there. */
int64_t page_total(const struct page *page, enum page_source source, int value_index);

void page_text(const struct page *page, const char *text);
/* The name of a function with its colour and module. */
void page_frame(const struct page *page, const struct frame *frame);
/* <section id><h2>title</h2> */
void page_section(const struct page *page, const char *id, const char *title);
void page_section_end(const struct page *page);
/* A row of a list of facts: <dt>name</dt><dd>...; the caller writes the rest and page_fact_end(). */
void page_fact(const struct page *page, const char *name);
void page_fact_end(const struct page *page);
/* A sentence about something that is not there. */
void page_missing(const struct page *page, const char *what);

#endif
