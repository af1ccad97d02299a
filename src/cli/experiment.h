/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of experiment share: the matrix, its runs and what they gave. Internal to experiment.
 */
#ifndef CLI_EXPERIMENT_H
#define CLI_EXPERIMENT_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "flow/flow.h"
#include "report/compare.h"

#define EXPERIMENT_IDS_BYTES_MAX 4096 /* of all configIds; real ones have 5 digits */
#define EXPERIMENT_ERROR_BYTES_MAX 3072
#define EXPERIMENT_STREAM_COUNTS_MAX 4 /* with two runners and two parsing levels: what compare takes */
#define EXPERIMENT_CELLS_MAX (4 * EXPERIMENT_STREAM_COUNTS_MAX)
_Static_assert(EXPERIMENT_CELLS_MAX <= COMPARE_SIDES_MAX, "compare takes a side a cell");

struct experiment_settings {
	const char *out, *runners, *parse, *streams, *program;
	int64_t rounds, duration_ns, limit;
	int lean; /* events, in the order of its choices */
	const char *url, *config_id, *edgerc, *section, *ca_file;
	int no_profile, no_pin, quick, json, help;

	/* worked out from them */
	int profile;		   /* rights are there, and it is wanted */
	char no_profile_why[2200]; /* "" when it is */
	char *config_ids;	   /* a copy, split in place */
	const char *ids[FLOW_STREAMS_MAX];
	size_t id_count;
};

/* One configuration of the matrix: a row of the table, a side of the comparison. */
struct experiment_cell {
	int interpreted, full;
	unsigned streams;
	char label[40]; /* "interpreted-full-1" */
};

/* What one run gave, from its run.json. NaN: it does not say. */
struct experiment_figures {
	double events, event_bytes, elapsed_seconds, events_per_second, cpu_seconds, rss_bytes;
	double alloc_objects, alloc_bytes;
	int heap_given_up;
};

enum experiment_state {
	EXPERIMENT_WAITING,
	EXPERIMENT_DONE,
	EXPERIMENT_FAILED,
	EXPERIMENT_INTERRUPTED,
};

struct experiment_run {
	const struct experiment_cell *cell;
	unsigned round; /* from 1 */
	enum experiment_state state;
	char why[128]; /* "exited with status 1" */
	int64_t start_unix_ns;
	double server_cpu_seconds; /* NaN: the server is not ours */
	struct experiment_figures figures;
};

/* A command line. */
#define EXPERIMENT_WORDS_MAX 48 /* ours have about 30 */
struct experiment_words {
	char *items[EXPERIMENT_WORDS_MAX + 1]; /* NULL behind the last */
	size_t count;
};

/* A process of ours, in a process group of its own: a terminal's ctrl-C reaches us alone. */
struct experiment_child {
	pid_t pid;
	int pid_fd;
	int ended, wait_status;
};

struct experiment_server {
	struct experiment_child child; /* pid 0: the server is somebody else's */
	struct experiment_words words;
	char folder[4200], address[128];
};

struct experiment {
	struct experiment_settings settings;
	struct experiment_cell cells[EXPERIMENT_CELLS_MAX]; /* the first is what others are compared with */
	size_t cell_count;
	struct experiment_run *runs; /* in the order of their execution */
	size_t run_count;
	struct experiment_server server;
	int pinned;
	cpu_set_t server_cpus, runner_cpus;
	long server_cpu_count; /* that it may use */
	char pin_text[256];    /* who runs where, or why it is left to the kernel */
	int signal_fd;
	int signals;		  /* how many came */
	int server_gone;	  /* it ended although nobody asked it to */
	int failed;		  /* anything went wrong */
	int terminal;		  /* stderr is one */
	int64_t start_ns, run_ns; /* since when; and how long the runs took so far, all together */
	size_t finished;
};

/* experiment_settings.c */
/* 0 with the matrix in cells; 1: -help; -1 with a sentence. */
int experiment_settings(struct experiment *experiment, int argc, char **argv,
			char error[static EXPERIMENT_ERROR_BYTES_MAX]);
void experiment_help(void);

/* experiment_child.c */
void words_add(struct experiment_words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "-name value", with the value as it is. */
void words_add_flag(struct experiment_words *words, const char *name, const char *value);
/* "-config-id 1,2,3": the first of those that were given with -url; a simulator's are numbers from 1 on. */
void words_add_config_ids(struct experiment_words *words, const struct experiment_settings *settings,
			  unsigned count);
/* As a shell would read it. */
void words_print(const struct experiment_words *words, FILE *out);
void words_finish(struct experiment_words *words);
/* Starts this executable under the name words[0], on `cpus` (NULL: any), its output into `log_path`. 0, or -1
 * with a sentence. */
int child_start(struct experiment_child *child, struct experiment_words *words, const char *log_path,
		const cpu_set_t *cpus, char error[static EXPERIMENT_ERROR_BYTES_MAX]);
/* Whether it has ended by now; waits until then. */
int child_ended(struct experiment_child *child, int64_t until_ns);
/* SIGTERM, and SIGKILL when it does not listen. */
void child_stop(struct experiment_child *child);
double child_cpu_seconds(const struct experiment_child *child);
const char *child_end_text(const struct experiment_child *child, char *text, size_t text_bytes);
/* The last lines of a file, indented. */
void log_print_tail(const char *path, FILE *out);

/* experiment_server.c */
/* Starts a simulator with as many configIds as the matrix has streams, and waits until it serves. 0, or -1
 * with a sentence ("": a signal came). */
int server_begin(struct experiment *experiment, char error[static EXPERIMENT_ERROR_BYTES_MAX]);
void server_end(struct experiment_server *server);
/* Shares the CPUs out between server and runner. */
void experiment_pin(struct experiment *experiment);

/* experiment_run.c */
/* Runs all of the matrix; says how it goes. */
void experiment_run_all(struct experiment *experiment);
/* Takes signals that have come. Returns how many there were in all. */
int experiment_signals(struct experiment *experiment);

/* experiment_figures.c: what becomes of the repeats of a cell. */
struct experiment_figure {
	double median, low, high; /* NaN when no run says it */
};
enum experiment_quantity {
	QUANTITY_EVENTS_PER_SECOND,
	QUANTITY_CPU_PER_MILLION, /* CPU-seconds per million events */
	QUANTITY_ALLOCATIONS,	  /* per event */
	QUANTITY_ALLOC_BYTES,	  /* per event */
	QUANTITY_RSS_BYTES,
	QUANTITY_RUNNER_BUSY, /* CPUs that the runner kept busy */
	QUANTITY_SERVER_BUSY, /* share of what the server could have done */
	QUANTITY_EVENT_BYTES, /* a line, on average */
	QUANTITY_COUNT,
};
struct experiment_figure experiment_figure(const struct experiment *experiment,
					   const struct experiment_cell *cell,
					   enum experiment_quantity quantity);
size_t experiment_repeats(const struct experiment *experiment, const struct experiment_cell *cell);
/* What the Go original took, or NaN: CPU-seconds per million events, and events a second and core. */
struct experiment_citation {
	int interpreted, full;
	double cpu_per_million, events_per_second;
};
#define EXPERIMENT_CITATION_COUNT 3
extern const struct experiment_citation experiment_citations[EXPERIMENT_CITATION_COUNT];
extern const char experiment_citation_source[];

/* experiment_table.c */
void experiment_table(const struct experiment *experiment, FILE *out);
/* 1234567 as "1,234,567". Returns `text`. */
char *thousands(double number, char text[static 40]);
const char *cell_title(const struct experiment_cell *cell, char text[static 64]);

/* experiment_json.c */
/* Reads FOLDER/run.json. 0, or -1 with a sentence. */
int experiment_read(const char *folder, struct experiment_figures *ret_figures,
		    char error[static EXPERIMENT_ERROR_BYTES_MAX]);
/* The whole experiment, on the heap. */
char *experiment_json(const struct experiment *experiment);

#endif
