/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of the collector, as a person sees it: progress, notices, the closing lines, run.json.
 * Internal to cli.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdint.h>
#include <stdio.h>

#include "cli/settings.h"

#define RUN_SAMPLES_MAX                                                                                      \
	4096 /* throughput over time in run.json: one a second, then every second one is dropped */

/* All streams together. */
struct run_totals {
	uint64_t requests, attempts, events, events_uncommitted, event_bytes;
	uint64_t received_bytes, body_bytes, plain_bytes;
	int64_t last_event_unix_ms;
};

struct run_sample {
	int64_t at_ns; /* since the start */
	uint64_t events, received_bytes, plain_bytes;
};

struct run {
	const struct settings *settings;
	struct flow *flow;
	int64_t start_unix_ns, start_ns, end_ns, start_cpu_ns;
	int terminal; /* stderr is one: progress is a line that is written over */
	int progress_shown;
	int stops;		 /* signals handed on to the flow */
	struct run_totals shown; /* at the last progress line */
	int64_t shown_ns;
	uint64_t notices;
	size_t sample_count;
	int64_t sample_every_ns;
	int64_t recorded_ns; /* when run.json was written last */
	struct run_sample samples[RUN_SAMPLES_MAX];
};

/* `akamai-direct-prof`: returns the exit status. */
int run_direct(int argc, char **argv);

/* The process's largest resident set. (getrusage's figure is inherited from the program that started us.) */
uint64_t run_peak_bytes(void);
void run_sum(const struct run *run, struct run_totals *ret_totals);

/* progress.c */
#define PROGRESS_TERMINAL_NS (200 * INT64_C(1000000))
#define PROGRESS_PLAIN_NS (5 * INT64_C(1000000000))
void progress_show(struct run *run, int64_t now_ns);
/* Removes the line that is written over, so that other text can follow. */
void progress_clear(struct run *run);
void progress_notice(void *run, enum flow_severity severity, const char *config_id, const char *text);

/* summary.c */
void summary_print(const struct run *run, FILE *out);
/* The two closing lines, last on stderr. */
void summary_closing_lines(const struct run *run, FILE *out);

/* run_json.c: creates the -out folder and looks whether it can be written. 0, or -errno with a sentence. */
int record_folder(const struct settings *settings, char error[static SETTINGS_ERROR_BYTES_MAX]);
/* run.json, and the same document on stdout for --json. 0, or -errno with a sentence. */
#define RECORD_RUNNING (-1) /* in place of the exit status: not over yet, nothing goes to stdout */
#define RECORD_EVERY_NS (10 * INT64_C(1000000000)) /* so much of its own work a killed run does twice */
int record_write(const struct run *run, int exit_status, char error[static SETTINGS_ERROR_BYTES_MAX]);

/* "drained", "budget" ... as run.json names them. */
const char *end_reason_name(enum flow_end_reason reason);

#endif
