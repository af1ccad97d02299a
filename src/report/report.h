/* SPDX-License-Identifier: Apache-2.0
 *
 * report: pictures of a run for people. Reads what a run folder holds (run.json and *.pprof) and
 * writes flame graphs (SVG), folded stacks, and report.html. It knows nothing of how a profile was
 * taken, so it draws other tools' pprof files too.
 *
 * One thread at a time. On the heap, after the work.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "pprof/pprof.h"

#define REPORT_ERROR_BYTES_MAX 1024 /* a sentence with a path in it */

struct flame_options {
	const char *title;    /* "CPU" */
	const char *subtitle; /* "" or a sentence: window, samples, completeness */
	int value_index;      /* of the profile's value types */
	const char *label;    /* NULL, or a label key whose values become the lowest row ("stage") */
};

/* A self-contained SVG document (no network, readable without script, zoom and search with it) into `out`.
 * 0, or -1 when writing failed. An empty profile becomes a picture that says so. */
int flame_write(const struct pprof *profile, const struct flame_options *options, FILE *out);
/* "root;...;leaf value" lines, as flamegraph.pl, inferno and speedscope read them. */
int folded_write(const struct pprof *profile, int value_index, FILE *out);

/* Writes cpu.svg, heap.svg, offcpu.svg (those whose profiles are there) and report.html into `folder` from
 * run.json and the profiles in it. 0, or -1 with a sentence; what is there but damaged is said in the page,
 * and is an error after everything else was written. */
int report_write(const char *folder, char error[static REPORT_ERROR_BYTES_MAX]);

#endif
