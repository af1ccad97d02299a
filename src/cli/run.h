/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of the collector, as a person sees it: progress, notices, the closing lines, run.json.
 * Internal to cli.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/files.h"
#include "cli/link.h"
#include "cli/settings.h"
#include "cli/variables.h"
#include "confine/confine.h"
#include "flow/fleet.h"

#define RUN_SAMPLES_MAX                                                                                      \
	4096 /* throughput over time in run.json: one a second, then every second one is dropped */

#define RUN_ERROR_BYTES_MAX 2048
_Static_assert(RUN_ERROR_BYTES_MAX >= SETTINGS_ERROR_BYTES_MAX &&
		       RUN_ERROR_BYTES_MAX >= FLOW_TEXT_BYTES_MAX &&
		       RUN_ERROR_BYTES_MAX >= FILES_ERROR_BYTES_MAX &&
		       RUN_ERROR_BYTES_MAX >= CONFINE_ERROR_BYTES_MAX,
	       "one buffer for every room's sentence");

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
	struct variables variables;	/* what a program finds in ctx.env */
	char *states[FLOW_STREAMS_MAX]; /* of each stream, when the run began; NULL: none */
	struct flow_server
		servers[1 + SETTINGS_ALLOWED_MAX]; /* the main one, and those that programs may ask */
	struct fleet *fleet;
	int64_t start_unix_ns, start_ns, end_ns, start_cpu_ns;
	pthread_mutex_t print_lock; /* of what follows, down to `notices`: workers have notices, too */
	int terminal;		    /* stderr is one: progress is a line that is written over */
	int progress_shown;
	int stops;		 /* signals handed on to the flow */
	struct run_totals shown; /* at the last progress line */
	int64_t shown_ns;
	uint64_t notices;
	size_t sample_count;
	int64_t sample_every_ns;
	int64_t recorded_ns; /* when run.json was written last */
	struct run_sample samples[RUN_SAMPLES_MAX];

	struct link *link;	  /* to the supervisor; NULL: this process writes run.json itself */
	int orphaned;		  /* the supervisor is gone */
	char *profile_text;	  /* profile_json() of it; NULL: no profile */
	char *profile_paragraph;  /* profile_print() of it */
	struct stage_slot *stage; /* of each worker; shared with the profiler; NULL: nobody looks */
	struct confine_report confinement;
	int status_fd; /* /proc/self/status, opened while files could be */
	long cpus_online;
};

/* `akamai-prof` without a command (interpreted), or `akamai-direct-prof`: returns the exit status. */
int run_command(int argc, char **argv, int interpreted);
/* The collector itself: alone, or (with a link) at the word of its supervisor. Returns the exit status.
 * Afterwards rights may be gone. */
int run_collect(const struct settings *settings, struct link *link);

/* supervisor.c: the process with the rights. Starts the collector as its child, profiles it if that is
 * wanted, writes what the run leaves behind. Returns the exit status. Secrets in `settings` are wiped. */
int supervise(struct settings *settings);

/* run_open.c: opens everything, then gives up the rights to open more. 0, or -1 with a sentence. */
int run_open(struct run *run, struct tls_context **tls, char error[static RUN_ERROR_BYTES_MAX]);

/* The process's largest resident set. (getrusage's figure is inherited from the program that started us.) */
uint64_t run_peak_bytes(const struct run *run);
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

/* run_json.c: the document, on the heap. */
#define RECORD_RUNNING (-1)			   /* in place of the exit status: not over yet */
#define RECORD_EVERY_NS (10 * INT64_C(1000000000)) /* so much of its own work a killed run does twice */
char *record_text(const struct run *run, int exit_status);
/* What becomes of such a document when the collector was killed by signal `number` (0: it went without a
 * word). NULL when `text` is none. */
char *record_text_of_killed(const char *text, int number, const char *profile_text);

/* "drained", "budget" ... as run.json names them. */
const char *end_reason_name(enum flow_end_reason reason);

#endif
