/* SPDX-License-Identifier: Apache-2.0
 *
 * profile: what akamai-direct-prof and record do alike with the profiler: start it, keep what it says, write
 * its files, and tell of them as JSON (for run.json) and in words. Runs in the process with the rights, never
 * in the profiled one. Internal to cli.
 */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "profiler/profiler.h"

#define PROFILE_NOTICES_MAX 32 /* a person reads no more; later ones are counted by the profiler anyway */
#define PROFILE_FILES_MAX 8    /* six in a run of the collector */
#define PROFILE_HZ_CHEAP 499   /* above, sampling costs more than 1 % of a CPU */

enum profile_kind {
	PROFILE_CPU,
	PROFILE_OFF_CPU,
	PROFILE_HEAP,
	PROFILE_FAULTS,
	PROFILE_MAPPINGS,
};

struct profile_file {
	const char *name; /* in the folder */
	enum profile_kind kind;
	int snapshot_index; /* HEAP, MAPPINGS; -1: was not taken, so there is no file */
};

struct profile {
	const char *program;	   /* that speaks: "akamai-direct-prof" */
	const char *out;	   /* folder */
	struct profiler *profiler; /* NULL: nothing is profiled */
	int terminal;		   /* stderr is one, with a line that is written over */
	int64_t start_ns;	   /* attached */
	int64_t window_start_ns;   /* since then; -1: was not opened */
	char *notices[PROFILE_NOTICES_MAX];
	size_t notice_count;
	const char *written[PROFILE_FILES_MAX]; /* names of files, in order */
	size_t written_count;
	struct profiler_summary summary; /* once ended */
};

/* Loads the programs. 0, or -1 with a sentence. `profile` has program, out and terminal set, the rest zeroed.
 */
int profile_open(struct profile *profile, unsigned hz, uint64_t heap_rate_bytes, unsigned heap_budget_percent,
		 int follow_children, char error[static PROFILER_ERROR_BYTES_MAX]);
/* Says something, and keeps it for run.json. */
void profile_notice(void *profile, const char *text);
void profile_window_open(struct profile *profile);
void profile_window_close(struct profile *profile);
/* Takes all probes off and sums up. */
void profile_end(struct profile *profile);
/* After profile_end(): writes those of `files` of which something was seen. Asks `stop` before each whether
 * it has to end at once. 0, or -1 after having said what is wrong. */
int profile_write(struct profile *profile, const struct profile_file *files, size_t count,
		  int (*stop)(void *owner), void *owner);
/* A few lines for a person. */
void profile_print(const struct profile *profile, FILE *out);
/* The functions with the most CPU time of their own, of FOLDER/NAME; nothing when there is no sample. */
void profile_print_top(const struct profile *profile, const char *name, FILE *out);
void profile_close(struct profile *profile);

/* profile_json.c: {"profile": {...}, "profiles": [...]}, on the heap. */
char *profile_json(const struct profile *profile);

#endif
