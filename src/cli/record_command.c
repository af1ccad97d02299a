/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/record_command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/files.h"
#include "cli/flags.h"
#include "cli/signals.h"
#include "report/report.h"

#define AT(member) offsetof(struct record_settings, member)
#define WAKE_MS 100		 /* the profiler wants to be asked every 200 ms */
#define PID_MAX INT64_C(4194304) /* PID_MAX_LIMIT of the kernel */
_Static_assert(RECORD_ERROR_BYTES_MAX >= FLAG_ERROR_BYTES_MAX &&
		       RECORD_ERROR_BYTES_MAX >= FILES_ERROR_BYTES_MAX &&
		       RECORD_ERROR_BYTES_MAX >= PROFILER_ERROR_BYTES_MAX &&
		       RECORD_ERROR_BYTES_MAX >= REPORT_ERROR_BYTES_MAX,
	       "one buffer for every sentence");

static const struct flag record_flags[] = {
	{ "", FLAG_SECTION, 0, NULL, "What", NULL, 0, 0 },
	{ "p", FLAG_INTEGER, AT(pid), "PID", "this process, with all its threads", NULL, 1, PID_MAX },
	{ "follow", FLAG_SWITCH, AT(follow), NULL, "processes that it starts, too (default for COMMAND)",
	  NULL, 0, 0 },
	{ "no-follow", FLAG_SWITCH, AT(no_follow), NULL, "only itself (default for -p)", NULL, 0, 0 },
	{ "user", FLAG_TEXT, AT(user), "NAME", "run COMMAND as this user (default: as whoever runs record)",
	  NULL, 0, 0 },
	{ "duration", FLAG_DURATION, AT(duration_ns), "D",
	  "how long (default: until ctrl-C, or until the process has ended)", NULL, 1,
	  365 * 86400 * NS_PER_SECOND },

	{ "", FLAG_SECTION, 0, NULL, "How", NULL, 0, 0 },
	{ "hz", FLAG_INTEGER, AT(hz), "N",
	  "CPU samples a second and thread (default 99; above 499 it costs over 1 %)", NULL, 1,
	  PROFILER_HZ_MAX },
	{ "heap-rate", FLAG_INTEGER, AT(heap_rate_bytes), "BYTES",
	  "a heap sample each so many bytes (default 524288); 1: every allocation, 0: none", NULL, 0,
	  PROFILER_HEAP_RATE_BYTES_MAX },
	{ "heap-budget", FLAG_INTEGER, AT(heap_budget_percent), "PERCENT",
	  "of a CPU that heap tracking may cost before it is given up (default 5)", NULL, 1, 100 },

	{ "", FLAG_SECTION, 0, NULL, "Output", NULL, 0, 0 },
	{ "out", FLAG_TEXT, AT(out), "DIR",
	  "folder for profiles, pictures and run.json (default profiles-record)", NULL, 0, 0 },
	{ "json", FLAG_SWITCH, AT(json), NULL, "print run.json on stdout", NULL, 0, 0 },
	{ "quiet", FLAG_SWITCH, AT(quiet), NULL, "no words but errors", NULL, 0, 0 },
	{ "help", FLAG_SWITCH, AT(help), NULL, "this text", NULL, 0, 0 },
};
enum { RECORD_FLAG_COUNT = sizeof record_flags / sizeof *record_flags };

static void record_help(void)
{
	puts("akamai-prof record - profile any process: CPU, off-CPU, heap, page faults\n"
	     "\n"
	     "usage: akamai-prof record [flags] -p PID\n"
	     "       akamai-prof record [flags] -- COMMAND [ARGUMENTS]\n"
	     "\n"
	     "Watches from the kernel with eBPF; nothing runs inside the process. Needs root, or the "
	     "capabilities\n"
	     "that akamai-prof doctor names. Ctrl-C, the end of the process or of -duration ends it; the "
	     "files are\n"
	     "written then. A COMMAND that still runs at that time is sent SIGTERM. It runs as the user that "
	     "runs\n"
	     "record: as root under sudo, unless -user names another.");
	flags_print_help(record_flags, RECORD_FLAG_COUNT);
	puts("\nexit status: 0 recorded (the command's own status is in the summary and in run.json), 1 "
	     "failure,\n"
	     "2 wrong usage, 126 and 127 the command cannot be run");
}

/* Parses flags up to "--"; what follows is the command. 0, or -1 with a sentence. */
static int record_parse(int argc, char **argv, struct record_settings *settings, char *error)
{
	int flag_count = 0;
	*settings = (struct record_settings){
		.out = "profiles-record",
		.hz = PROFILER_HZ_DEFAULT,
		.heap_rate_bytes = PROFILER_HEAP_RATE_BYTES,
		.heap_budget_percent = 5,
	};
	while (flag_count < argc && strcmp(argv[flag_count], "--") != 0)
		flag_count++;
	if (flag_count + 1 < argc)
		settings->command = argv + flag_count + 1;
	if (flags_parse(record_flags, RECORD_FLAG_COUNT, flag_count, argv, settings, NULL, error) < 0)
		return -1;
	if (settings->help)
		return 0;
	const char *wrong = NULL;
	if (settings->pid && flag_count < argc)
		wrong = "-p PID and -- COMMAND exclude each other";
	else if (!settings->pid && !settings->command)
		wrong = "what is to be recorded? -p PID, or -- COMMAND";
	else if (settings->follow && settings->no_follow)
		wrong = "-follow and -no-follow exclude each other";
	else if (settings->user && settings->pid)
		wrong = "-user is for -- COMMAND; a running process stays what it is";
	else if (!settings->out[0])
		wrong = "-out names no folder; -out . is this one";
	if (wrong)
		snprintf(error, RECORD_ERROR_BYTES_MAX, "%s", wrong);
	settings->follow = settings->follow || (settings->command && !settings->no_follow);
	return wrong ? -1 : 0;
}

/* One recording. */
struct recorder {
	const struct record_settings *settings;
	struct record_target target;
	struct profile profile;
	int signal_fd;
	int by_terminal; /* the last signal was a terminal's, and so the command's as well */
	int64_t start_unix_ns, end_ns;
	enum record_end end;
};

/* 1 when a signal came that ends the recording. */
static int recorder_signalled(struct recorder *recorder)
{
	struct signalfd_siginfo info;
	if (read(recorder->signal_fd, &info, sizeof info) != sizeof info)
		return 0;
	recorder->by_terminal = info.ssi_code == SI_KERNEL;
	return 1;
}

/* Watches until one of the three ends comes. */
static void recorder_watch(struct recorder *recorder)
{
	struct profile *profile = &recorder->profile;
	int64_t duration_ns = recorder->settings->duration_ns;
	int64_t until_ns = duration_ns ? profile->start_ns + duration_ns : INT64_MAX;
	for (;;) {
		int64_t left_ms = (until_ns - clock_monotonic_ns()) / NS_PER_MS + 1;
		struct pollfd fds[3] = {
			{ .fd = recorder->signal_fd, .events = POLLIN },
			{ .fd = recorder->target.pid_fd, .events = POLLIN },
			{ .fd = profiler_fd(profile->profiler), .events = POLLIN },
		};
		poll(fds, 3, left_ms < WAKE_MS ? (int)left_ms : WAKE_MS);
		profiler_poll(profile->profiler, 0);
		recorder->end = RECORD_END_TARGET;
		if (fds[1].revents)
			break;
		recorder->end = RECORD_END_SIGNAL;
		if (recorder_signalled(recorder))
			break;
		recorder->end = RECORD_END_DURATION;
		if (clock_monotonic_ns() >= until_ns)
			break;
	}
	recorder->end_ns = clock_monotonic_ns();
}

/* Loads, attaches, and lets a command go. 0, or the exit status with a sentence. */
static int recorder_begin(struct recorder *recorder, char *error)
{
	const struct record_settings *settings = recorder->settings;
	struct record_target *target = &recorder->target;
	struct profile *profile = &recorder->profile;
	if (files_folder(settings->out, error) < 0)
		return 1;
	if (settings->command ? target_start(target, settings->command, settings->user, error)
			      : target_open(target, (pid_t)settings->pid, error))
		return 1;
	if (profile_open(profile, (unsigned)settings->hz, (uint64_t)settings->heap_rate_bytes,
			 (unsigned)settings->heap_budget_percent, settings->follow, error) < 0 ||
	    profiler_attach(profile->profiler, target->pid, target->own_child, error) < 0)
		return 1;
	files_remove_stale(settings->out);
	recorder->start_unix_ns = clock_unix_ns();
	profile->start_ns = clock_monotonic_ns();
	profile_window_open(profile);
	int status =
		target->own_child ? target_go(target, settings->command[0], profile->profiler, error) : 0;
	if (status == 0 && !settings->quiet)
		fprintf(stderr, "recording process %d into %s%s\n", (int)target->pid, settings->out,
			settings->duration_ns ? "" : "; ctrl-C ends");
	return status;
}

static int recorder_stop(void *recorder)
{
	return recorder_signalled(recorder);
}

/* The profiles. 0, or -1 after having said what is wrong. */
static int recorder_write_profiles(struct recorder *recorder, int snapshot_index)
{
	const struct profile_file files[] = {
		{ "cpu.pprof", PROFILE_CPU, -1 },
		{ "offcpu.pprof", PROFILE_OFF_CPU, -1 },
		{ "heap.pprof", PROFILE_HEAP, snapshot_index },
		{ "faults.pprof", PROFILE_FAULTS, -1 },
		{ "mappings.pprof", PROFILE_MAPPINGS, snapshot_index },
	};
	return profile_write(&recorder->profile, files, sizeof files / sizeof *files, recorder_stop,
			     recorder);
}

static void recorder_print(struct recorder *recorder)
{
	char text[128];
	const struct record_target *target = &recorder->target;
	double seconds = (double)(recorder->end_ns - recorder->profile.start_ns) / 1e9;
	fprintf(stderr, "process %d (%s) recorded for %.2f s; it ", (int)target->pid, target->comm, seconds);
	if (target->own_child)
		fprintf(stderr, "%s\n", target_end_text(target, text, sizeof text));
	else
		fprintf(stderr, "%s\n", recorder->end == RECORD_END_TARGET ? "has ended" : "goes on");
	profile_print(&recorder->profile, stderr);
	profile_print_top(&recorder->profile, "cpu.pprof", stderr);
}

/* Files and words. Returns the exit status. */
static int recorder_finish(struct recorder *recorder)
{
	const struct record_settings *settings = recorder->settings;
	struct record_target *target = &recorder->target;
	struct profile *profile = &recorder->profile;
	char error[RECORD_ERROR_BYTES_MAX];
	if (recorder->end != RECORD_END_TARGET)
		target_describe(target); /* it may have executed something else since */
	int snapshot_index = profiler_heap_snapshot(profile->profiler);
	profile_end(profile);
	if (recorder->end == RECORD_END_TARGET)
		target_reap(target);
	else
		target_dismiss(target, recorder->by_terminal);
	int status = recorder_write_profiles(recorder, snapshot_index) < 0;
	char *profile_text = profile_json(profile);
	char *text = record_json(settings, target, profile_text, recorder->start_unix_ns,
				 recorder->end_ns - profile->start_ns, recorder->end);
	if (files_write_run_json(settings->out, text, error) < 0) {
		fprintf(stderr, "akamai-prof: %s\n", error);
		status = 1;
	} else if (report_write(settings->out, error) < 0) {
		fprintf(stderr, "warning: %s\n", error);
	}
	if (!settings->quiet)
		recorder_print(recorder);
	if (settings->json && (puts(text) < 0 || fflush(stdout) != 0)) {
		fprintf(stderr, "akamai-prof: standard output cannot be written: %s\n", strerror(errno));
		status = 1;
	}
	free(profile_text);
	free(text);
	return status;
}

int record_command(int argc, char **argv)
{
	char error[RECORD_ERROR_BYTES_MAX] = "";
	struct record_settings settings;
	if (record_parse(argc, argv, &settings, error) < 0) {
		fprintf(stderr, "akamai-prof: record: %s\n", error);
		return 2;
	}
	if (settings.help) {
		record_help();
		return 0;
	}
	struct recorder recorder = {
		.settings = &settings,
		.target = { .pid_fd = -1, .go_fd = -1, .error_fd = -1 },
		.profile = { .program = "akamai-prof", .out = settings.out, .window_start_ns = -1 },
		.signal_fd = signals_open(0),
	};
	int status = recorder_begin(&recorder, error);
	if (status == 0) {
		if (recorder.target.own_child)
			target_describe(&recorder.target);
		recorder_watch(&recorder);
		status = recorder_finish(&recorder);
	} else {
		target_dismiss(&recorder.target, 0);
		fprintf(stderr, "akamai-prof: %s\n", error);
	}
	profile_close(&recorder.profile);
	target_close(&recorder.target);
	if (recorder.signal_fd >= 0)
		close(recorder.signal_fd);
	return status;
}
