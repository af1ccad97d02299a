/* SPDX-License-Identifier: Apache-2.0
 *
 * run_json: what a page takes from run.json, as plain data. Everything in that file is optional, and of any
 * type: what is absent or of the wrong type is RUN_ABSENT, a NaN, "" or an empty list. Internal to report.
 */
#ifndef REPORT_RUN_JSON_H
#define REPORT_RUN_JSON_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "report/report.h"

#define RUN_ABSENT (-1) /* counts are never negative */

#define RUN_FILE_BYTES_MAX (64 << 20) /* a week of throughput samples is 60 MB */
#define RUN_DEPTH_MAX 32	      /* ours nests 4 deep */
#define RUN_SAMPLES_MAX 1000000	      /* eleven days at one a second */
#define RUN_LIST_MAX 256	      /* stages, stops, notices, streams shown: nobody reads more */
#define RUN_PAIRS_MAX 400	      /* rows of configuration and host */

struct run_pair {
	char *key, *text;
};

struct run_pairs {
	struct run_pair *items;
	size_t count;
};

struct run_texts {
	char **items;
	size_t count;
};

struct run_sample {
	double at_seconds;
	double events, received_bytes, plain_bytes; /* since the start; 0 when absent */
};

struct run_stage {
	char *name;
	int64_t cpu_ns, blocked_ns, runqueue_ns; /* 0 when absent */
};

struct run_stop {
	char *reason;
	int64_t count;
};

struct run_snapshot {
	int64_t at_ns, alloc_objects, alloc_bytes, inuse_objects, inuse_bytes, mapped_bytes;
};

struct run_stream {
	char *config_id, *end_reason, *error, *encoding, *tls;
	int64_t events, received_bytes, connections, truncations, retries;
};

struct run_heap {
	int tracked, given_up; /* 0, 1 or RUN_ABSENT */
	int64_t rate_bytes, hits, unknown_frees, missed_frees, dropped;
	char *allocators;
	struct run_snapshot *snapshots;
	size_t snapshot_count;
};

struct run_confinement {
	int present;
	char *user, *note;
	int user_changed, no_new_privileges, landlock_files, landlock_connect, seccomp, io_uring_restricted;
	int64_t landlock_abi;
};

struct run_profile {
	int present;
	int64_t window_ns, window_start_ns;
	char *cpu_event;
	int64_t hz, cpu_samples, cpu_ns, samples_lost;
	int64_t stacks_user, stacks_complete, stacks_scanned;
	double complete_share;
	struct run_stop *stops;
	size_t stop_count;
	int64_t off_cpu_samples, blocked_ns, runqueue_ns;
	struct run_stage *stages;
	size_t stage_count;
	struct run_heap heap;
	int64_t page_faults, program_run_ns, program_runs, supervisor_cpu_ns;
	struct run_texts notices;
};

struct run_record {
	char *program, *program_version;
	char *command, *end_reason; /* of what `record` watched */
	int64_t pid, start_unix, exit_status;
	double elapsed_seconds, cpu_seconds, events_per_second;
	int64_t requests, events, event_bytes, received_bytes, plain_bytes, rss_bytes_max;
	struct run_stream *streams;
	size_t stream_count;
	struct run_sample *samples;
	size_t sample_count;
	struct run_profile profile;
	struct run_confinement confinement;
	struct run_pairs configuration, host;
	struct run_texts profiles;
};

/* Never NULL for a well-formed file that holds an object. NULL with a sentence otherwise; *ret_missing says
 * that there is none. */
struct run_record *run_json_read(const char *path, int *ret_missing,
				 char error[static REPORT_ERROR_BYTES_MAX]);
/* A record in which everything is absent. */
struct run_record *run_json_nothing(void);
/* Events handed on up to a moment, between the samples on a straight line. */
double run_events_at(const struct run_record *run, double seconds);
/* Accepts NULL. */
void run_json_destroy(struct run_record *record);

#endif
