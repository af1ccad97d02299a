/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof record: profiles any process of this host, or a command that it starts.
 */
#ifndef CLI_RECORD_COMMAND_H
#define CLI_RECORD_COMMAND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/profile.h"

#define RECORD_ERROR_BYTES_MAX 2048
#define RECORD_WORDS_MAX 64	   /* of a command line in run.json; more tell nothing */
#define RECORD_WORD_BYTES_MAX 4096 /* a longer word is cut there */
#define RECORD_NOT_FOUND 127	   /* as shells say it: the command is not there ... */
#define RECORD_NOT_EXECUTABLE 126  /* ... or cannot be executed */

/* Returns the exit status. argv[0] is "record". */
int record_command(int argc, char **argv);

struct record_settings {
	int64_t pid, duration_ns, hz, heap_rate_bytes, heap_budget_percent;
	const char *out, *user;
	int follow, no_follow, quiet, json, help;
	char **command; /* argv of it, NULL-terminated; NULL: -p */
};

/* How the target was when the recording ended. */
enum record_end {
	RECORD_END_DURATION,
	RECORD_END_SIGNAL,
	RECORD_END_TARGET,
};

struct record_target {
	pid_t pid;
	int pid_fd;	     /* polls readable when it has ended */
	int own_child;	     /* 1: a command that we started; its status is ours to collect */
	int go_fd, error_fd; /* pipes of a command that waits to be executed; -1: none */
	char comm[32];
	char *words[RECORD_WORDS_MAX]; /* its command line, on the heap */
	size_t word_count;
	int ended; /* was waited for */
	int wait_status;
};

/* target.c */
/* A running process. 0, or -1 with a sentence. */
int target_open(struct record_target *target, pid_t pid, char error[static RECORD_ERROR_BYTES_MAX]);
/* Forks a child that will execute `command` as `user` (NULL: as we are) once target_go() is called. Before
 * the profiler is opened, so that the command gets none of its descriptors. 0, or -1 with a sentence. */
int target_start(struct record_target *target, char **command, const char *user,
		 char error[static RECORD_ERROR_BYTES_MAX]);
/* Lets it execute, while the profiler is served. 0; or the exit status (126, 127) with a sentence, when it
 * cannot be executed. */
int target_go(struct record_target *target, const char *name, struct profiler *profiler,
	      char error[static RECORD_ERROR_BYTES_MAX]);
/* Reads /proc/PID/cmdline and comm, while they are there. */
void target_describe(struct record_target *target);
/* Collects a child that has ended. */
void target_reap(struct record_target *target);
/* Ends a command that outlives the recording, or one that is not to begin, and waits for it a while. `knows`:
 * the terminal's ctrl-C has reached it too, so that it may be about to end in its own way. */
void target_dismiss(struct record_target *target, int knows);
/* "exited with status 0", "was ended by signal 15 (Terminated)" ... */
const char *target_end_text(const struct record_target *target, char *text, size_t text_bytes);
void target_close(struct record_target *target);

/* record_json.c: run.json of a recording, on the heap. */
char *record_json(const struct record_settings *settings, const struct record_target *target,
		  const char *profile_text, int64_t start_unix_ns, int64_t elapsed_ns, enum record_end end);

#endif
