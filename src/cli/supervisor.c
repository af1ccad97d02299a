/* SPDX-License-Identifier: Apache-2.0
 *
 * The process with the rights: it starts the collector as its child, watches it with the profiler, writes
 * what the run leaves behind, and hands signals on. It never reads a byte from the network, and what the
 * child says reaches it through link only.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/files.h"
#include "cli/profile.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "cli/state.h"
#include "report/report.h"

#define WAKE_MS 100 /* the profiler wants to be asked every 200 ms */

enum window {
	WINDOW_AHEAD,
	WINDOW_OPEN,
	WINDOW_CLOSED,
};

struct supervisor {
	const struct settings *settings;
	struct link link;
	pid_t child;
	int signal_fd;
	struct profile profile;
	enum window window;
	int snapshots[PROFILER_SNAPSHOTS_MAX]; /* their indices: middle, end; -1: not taken */
	int finished;			       /* the collector said that all is out */
	int profile_failed;
	int symbols_failed; /* functions of programs have no names, and a person has been told */
	char *profile_text;
	char *document; /* the last that came, so that a killed collector leaves a run.json */
	int documented; /* the last one is written */
	int state_failed;
	int gone; /* the child was waited for */
	int wait_status;
	int signals;
};

static void say(const struct supervisor *supervisor, const char *kind, const char *text)
{
	fprintf(stderr, "%s%s%s\n", supervisor->profile.terminal ? "\r\033[K" : "", kind, text);
}

/* Says what went wrong, after the program's name. */
static void complain(const struct supervisor *supervisor, const char *text)
{
	char kind[64];
	snprintf(kind, sizeof kind, "%s: ", supervisor->settings->runner);
	say(supervisor, kind, text);
}

static void supervisor_document(struct supervisor *supervisor, const struct link_message *message)
{
	char error[FILES_ERROR_BYTES_MAX];
	int code = 0;
	if (supervisor->documented)
		return; /* nothing follows the last one */
	free(supervisor->document);
	supervisor->document = strdup(message->text);
	if (message->number != LINK_DOCUMENT_FIRST)
		code = files_write_run_json(supervisor->settings->out, message->text, error);
	if (message->number != LINK_DOCUMENT_LAST) {
		if (code < 0)
			say(supervisor, "warning: ", error);
		return;
	}
	if (code < 0)
		complain(supervisor, error);
	supervisor->documented = 1;
	if (supervisor->profile.profiler && report_write(supervisor->settings->out, error) < 0)
		say(supervisor, "warning: ", error);
	link_send(&supervisor->link, LINK_WRITTEN, code < 0 || supervisor->state_failed, NULL, 0, -1);
}
_Static_assert(FILES_ERROR_BYTES_MAX >= REPORT_ERROR_BYTES_MAX, "one buffer for both");

/* Half time: the heap as it stands, then the window; as the Go original did. Returns when to look again. */
static int64_t supervisor_timeline(struct supervisor *supervisor, int64_t now_ns)
{
	const struct settings *settings = supervisor->settings;
	struct profile *profile = &supervisor->profile;
	int64_t open_ns = profile->start_ns + settings->duration_ns / 2;
	int64_t close_ns = open_ns + settings->cpu_profile_duration_ns;
	if (!profile->profiler || supervisor->finished)
		return INT64_MAX;
	if (supervisor->window == WINDOW_AHEAD && now_ns >= open_ns) {
		supervisor->snapshots[0] = profiler_heap_snapshot(profile->profiler);
		profile_window_open(profile);
		supervisor->window = WINDOW_OPEN;
	}
	if (supervisor->window == WINDOW_OPEN && now_ns >= close_ns) {
		profile_window_close(profile);
		supervisor->window = WINDOW_CLOSED;
	}
	return supervisor->window == WINDOW_AHEAD  ? open_ns
	       : supervisor->window == WINDOW_OPEN ? close_ns
						   : INT64_MAX;
}

/* Files that were not made, and why. */
static void supervisor_explain(struct supervisor *supervisor)
{
	char half[DURATION_TEXT_BYTES_MAX];
	char text[256];
	if (supervisor->settings->heap_rate_bytes && !supervisor->profile.summary.heap_tracked)
		profile_notice(&supervisor->profile, "the heap was not tracked: there are no heap profiles");
	if (supervisor->window != WINDOW_AHEAD)
		return;
	snprintf(text, sizeof text,
		 "the run ended before half time (%s), where the CPU window begins: there is no "
		 "cpu_mid.pprof, "
		 "only heap_end.pprof",
		 duration_format(supervisor->settings->duration_ns / 2, half));
	profile_notice(&supervisor->profile, text);
}

/* How many SIGINT and SIGTERM have come; what else came is kept for supervisor_signals(). */
static int supervisor_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	while (read(supervisor->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD) {
			if (waitpid(supervisor->child, &supervisor->wait_status, WNOHANG) ==
			    supervisor->child)
				supervisor->gone = 1;
			continue;
		}
		supervisor->signals++;
		/* Queued, so that the collector can tell it from the terminal's own. */
		if (!supervisor->gone)
			sigqueue(supervisor->child, (int)info.ssi_signo, (union sigval){ 0 });
	}
	return supervisor->signals;
}

/* The second signal means at once. */
static int supervisor_stop(void *supervisor)
{
	return supervisor_signals(supervisor) > 1;
}

/* Everything that the profiler has seen, into files. */
static void supervisor_profile(struct supervisor *supervisor)
{
	struct profile *profile = &supervisor->profile;
	if (!profile->profiler)
		return;
	profiler_poll(profile->profiler, 0);
	supervisor->snapshots[1] = profiler_heap_snapshot(profile->profiler);
	profile_end(profile);
	supervisor_explain(supervisor);
	const struct profile_file files[] = {
		{ "cpu_mid.pprof", PROFILE_CPU, -1 },
		{ "offcpu_mid.pprof", PROFILE_OFF_CPU, -1 },
		{ "heap_mid.pprof", PROFILE_HEAP, supervisor->snapshots[0] },
		{ "heap_end.pprof", PROFILE_HEAP, supervisor->snapshots[1] },
		{ "faults.pprof", PROFILE_FAULTS, -1 },
		{ "mappings.pprof", PROFILE_MAPPINGS, supervisor->snapshots[1] },
	};
	supervisor->profile_failed =
		profile_write(profile, files, sizeof files / sizeof *files, supervisor_stop, supervisor) < 0;
	supervisor->profile_text = profile_json(profile);
}

static void supervisor_finished(struct supervisor *supervisor)
{
	char *paragraph = NULL;
	size_t bytes = 0;
	if (supervisor->finished)
		return;
	supervisor->finished = 1;
	supervisor_profile(supervisor);
	FILE *out = supervisor->profile.profiler ? open_memstream(&paragraph, &bytes) : NULL;
	if (out) {
		profile_print(&supervisor->profile, out);
		fclose(out);
	}
	const char *text = supervisor->profile_text;
	link_send(&supervisor->link, LINK_PROFILE, supervisor->profile_failed, text, text ? strlen(text) : 0,
		  -1);
	link_send(&supervisor->link, LINK_PARAGRAPH, 0, paragraph, paragraph ? bytes : 0, -1);
	free(paragraph);
}

/* A stream's state, for its next run. What is in it is the program's business; where it goes is ours. */
static void supervisor_state(struct supervisor *supervisor, const struct link_message *message)
{
	const struct settings *settings = supervisor->settings;
	char error[STATE_ERROR_BYTES_MAX];
	if (!settings->state || supervisor->documented || message->number < 0 ||
	    (size_t)message->number >= settings->config_count || message->bytes > PROGRAM_STATE_BYTES_MAX)
		return;
	if (state_write(settings->state, settings->config_ids[message->number], message->text, error) == 0)
		return;
	complain(supervisor, error);
	supervisor->state_failed = 1;
}

/* What the functions of programs are called. */
static void supervisor_symbols(struct supervisor *supervisor, const struct link_message *message)
{
	char error[PROFILER_ERROR_BYTES_MAX];
	struct profile *profile = &supervisor->profile;
	if (!profile->profiler || supervisor->symbols_failed || supervisor->finished)
		return;
	if (profiler_interpreter(profile->profiler, message->text, message->bytes, error) == 0)
		return;
	supervisor->symbols_failed = 1; /* said once is enough: it is the same for every stream */
	profile_notice(profile, error);
}

/* A thread of the collector's, and no other's, tells its stage in the slot. The main thread, which had the
 * first, only waits then. */
static void supervisor_worker(struct supervisor *supervisor, const struct link_message *message)
{
	char path[64];
	struct profiler *profiler = supervisor->profile.profiler;
	char *end;
	long tid = strtol(message->text, &end, 10);
	if (!profiler || message->number < 0 || message->number >= PROFILER_STAGE_SLOTS_MAX || *end ||
	    tid <= 0 || tid > INT_MAX || tid == supervisor->child)
		return;
	snprintf(path, sizeof path, "/proc/%d/task/%ld", (int)supervisor->child, tid);
	if (access(path, F_OK) < 0)
		return;
	profiler_stage_release(profiler, supervisor->child);
	profiler_stage_assign(profiler, (pid_t)tid, (unsigned)message->number);
}

/* Takes what the collector says. */
static void supervisor_listen(struct supervisor *supervisor)
{
	struct link_message message;
	int code;
	while ((code = link_receive(&supervisor->link, &message)) == 1) {
		if (message.passed_fd >= 0)
			close(message.passed_fd); /* nothing of the kind is asked for */
		if (message.kind == LINK_DOCUMENT)
			supervisor_document(supervisor, &message);
		else if (message.kind == LINK_SYMBOLS)
			supervisor_symbols(supervisor, &message);
		else if (message.kind == LINK_WORKER)
			supervisor_worker(supervisor, &message);
		else if (message.kind == LINK_FINISHED)
			supervisor_finished(supervisor);
		else if (message.kind == LINK_STATE)
			supervisor_state(supervisor, &message);
	}
	if (code == -EPROTO || code == -ENOMEM) {
		complain(supervisor, "what the collector says makes no sense; it is ended by force");
		kill(supervisor->child, SIGKILL);
	}
	/* Closed: a child that is ending; SIGCHLD tells the rest. */
	if (code < 0) {
		close(supervisor->link.fd);
		supervisor->link.fd = -1;
	}
}

static void supervisor_loop(struct supervisor *supervisor)
{
	struct profiler *profiler = supervisor->profile.profiler;
	while (!supervisor->gone) {
		int64_t now_ns = clock_monotonic_ns();
		int64_t wait_ms = (supervisor_timeline(supervisor, now_ns) - now_ns) / NS_PER_MS + 1;
		int polled = profiler && !supervisor->finished;
		struct pollfd fds[3] = {
			{ .fd = supervisor->signal_fd, .events = POLLIN },
			{ .fd = supervisor->link.fd, .events = POLLIN },
			{ .fd = polled ? profiler_fd(profiler) : -1, .events = POLLIN },
		};
		poll(fds, 3, wait_ms < WAKE_MS ? (int)wait_ms : WAKE_MS);
		if (polled)
			profiler_poll(profiler, 0);
		supervisor_signals(supervisor);
		if (supervisor->link.fd >= 0)
			supervisor_listen(supervisor);
	}
}

/* How the collector ended, which was waited for. Returns the signal's number, 0: there was none. */
static int supervisor_say_end(const struct supervisor *supervisor)
{
	char text[256];
	int number = WIFSIGNALED(supervisor->wait_status) ? WTERMSIG(supervisor->wait_status) : 0;
	if (number)
		snprintf(text, sizeof text, "the collector was ended by signal %d (%s)%s", number,
			 strsignal(number),
			 number == SIGKILL ? ": by hand, or because memory ran out (see dmesg)" : "");
	else
		snprintf(text, sizeof text, "the collector ended with status %d before its work was done",
			 WEXITSTATUS(supervisor->wait_status));
	complain(supervisor, text);
	return number;
}

/* The collector is gone before its time: what there is, is written. Returns the exit status. */
static int supervisor_mourn(struct supervisor *supervisor)
{
	char error[FILES_ERROR_BYTES_MAX];
	int number = supervisor_say_end(supervisor);
	if (!supervisor->finished)
		supervisor_profile(supervisor);
	char *text = supervisor->document
			     ? record_text_of_killed(supervisor->document, number, supervisor->profile_text)
			     : NULL;
	if (text && files_write_run_json(supervisor->settings->out, text, error) < 0)
		complain(supervisor, error);
	if (text && supervisor->profile.profiler && report_write(supervisor->settings->out, error) < 0)
		say(supervisor, "warning: ", error);
	if (supervisor->profile.profiler)
		profile_print(&supervisor->profile, stderr);
	free(text);
	return 1;
}

/* Opens the profiler and lets the child begin. 0, or -1 with a sentence. */
static int supervisor_begin(struct supervisor *supervisor, char *error)
{
	const struct settings *settings = supervisor->settings;
	struct profile *profile = &supervisor->profile;
	int stage_fd = -1;
	if (!settings->no_profile) {
		if (profile_open(profile, (unsigned)settings->hz, (uint64_t)settings->heap_rate_bytes,
				 (unsigned)settings->heap_budget_percent, 0, error) < 0 ||
		    profiler_attach(profile->profiler, supervisor->child, 0, error) < 0)
			return -1;
		stage_fd = profiler_stage_fd(profile->profiler);
		if (profiler_stage_assign(profile->profiler, supervisor->child, 0) < 0) {
			snprintf(error, PROFILER_ERROR_BYTES_MAX, "the stage slot cannot be assigned");
			return -1;
		}
	}
	files_remove_stale(settings->out);
	profile->start_ns = clock_monotonic_ns();
	int code = link_send(&supervisor->link, LINK_GO, 0, NULL, 0, stage_fd);
	if (code < 0)
		snprintf(error, PROFILER_ERROR_BYTES_MAX, "the collector cannot be started: %s",
			 strerror(-code));
	return code;
}

static __attribute__((noreturn)) void supervisor_child(struct settings *settings, int fd, pid_t parent)
{
	struct link link = { .fd = fd };
	int status = 1;
	/* Ends by itself when nobody is left to write its record; who is gone already sends no signal. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent)
		status = run_collect(settings, &link);
	link_finish(&link);
	settings_finish(settings);
	exit(status);
}

/* File capabilities make a process and its children undumpable, and then nobody without CAP_SYS_PTRACE may
 * look at the files that they map: not even we at our child's. (Whoever else would look needs all of its
 * capabilities, too, see ptrace(2).) */
static pid_t fork_visible(void)
{
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	pid_t child = fork();
	int code = errno;
	if (child != 0 && dumpable != 1)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	errno = code;
	return child;
}

/* Forks the collector: before the profiler takes memory and descriptors, which the child must not have. */
static int supervisor_fork(struct supervisor *supervisor, struct settings *settings, char *error)
{
	int fds[2];
	int code = files_folder(settings->out, error);
	if (code < 0)
		return code;
	supervisor->signal_fd = signals_open(SIGCHLD);
	code = link_pair(fds);
	if (code < 0 || supervisor->signal_fd < 0) {
		snprintf(error, PROFILER_ERROR_BYTES_MAX, "cannot speak with a child process: %s",
			 strerror(code < 0 ? -code : errno));
		return -1;
	}
	fflush(NULL);
	pid_t parent = getpid();
	supervisor->child = fork_visible();
	if (supervisor->child == 0) {
		close(fds[0]);
		close(supervisor->signal_fd);
		supervisor_child(settings, fds[1], parent);
	}
	close(fds[1]);
	supervisor->link.fd = fds[0];
	if (supervisor->child < 0)
		snprintf(error, PROFILER_ERROR_BYTES_MAX, "cannot start the collector: %s", strerror(errno));
	/* Secrets are the child's business from here. */
	explicit_bzero(&settings->credentials.edgegrid, sizeof settings->credentials.edgegrid);
	return supervisor->child < 0 ? -1 : 0;
}
_Static_assert(PROFILER_ERROR_BYTES_MAX >= FILES_ERROR_BYTES_MAX, "one buffer for every sentence");

/* The child is told not to begin, or has ended already, which is then the reason. Returns the exit status. */
static int supervisor_call_off(struct supervisor *supervisor, const char *error)
{
	supervisor_signals(supervisor);
	if (supervisor->gone && WIFEXITED(supervisor->wait_status))
		return WEXITSTATUS(supervisor->wait_status) ? WEXITSTATUS(supervisor->wait_status)
							    : 1; /* it said why */
	if (supervisor->gone) {
		supervisor_say_end(supervisor);
		return 1;
	}
	complain(supervisor, error);
	complain(supervisor, "nothing was collected; -no-profile collects without profiles");
	link_send(&supervisor->link, LINK_QUIT, 0, NULL, 0, -1);
	while (waitpid(supervisor->child, &supervisor->wait_status, 0) < 0 && errno == EINTR)
		;
	return 1;
}

int supervise(struct settings *settings)
{
	char error[PROFILER_ERROR_BYTES_MAX];
	struct supervisor *supervisor = calloc(1, sizeof *supervisor);
	if (!supervisor)
		return 1;
	supervisor->settings = settings;
	supervisor->signal_fd = supervisor->link.fd = -1;
	supervisor->snapshots[0] = supervisor->snapshots[1] = -1;
	supervisor->profile.program = settings->runner;
	supervisor->profile.out = settings->out;
	supervisor->profile.terminal = isatty(STDERR_FILENO);
	int status = 1;
	if (supervisor_fork(supervisor, settings, error) < 0) {
		complain(supervisor, error);
	} else if (supervisor_begin(supervisor, error) < 0) {
		status = supervisor_call_off(supervisor, error);
	} else {
		supervisor_loop(supervisor);
		if (supervisor->link.fd >= 0)
			supervisor_listen(supervisor);
		int began = supervisor->document != NULL;
		if (WIFSIGNALED(supervisor->wait_status) || (began && !supervisor->documented))
			status = supervisor_mourn(supervisor);
		else
			status = WEXITSTATUS(supervisor->wait_status);
	}
	profile_close(&supervisor->profile);
	link_finish(&supervisor->link);
	if (supervisor->signal_fd >= 0)
		close(supervisor->signal_fd);
	free(supervisor->profile_text);
	free(supervisor->document);
	free(supervisor);
	return status;
}
