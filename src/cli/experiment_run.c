/* SPDX-License-Identifier: Apache-2.0
 *
 * The runs of the experiment, one after the other, and what is said of each.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/experiment.h"
#include "cli/files.h"

/* Beside its -duration a run loads programs, reads symbols, and writes profiles and pictures. */
#define RUN_EXTRA_NS (90 * NS_PER_SECOND)
#define STEP_NS (15 * NS_PER_SECOND) /* for each word: end after this page; end at once; die */
#define WAKE_MS 200

int experiment_signals(struct experiment *experiment)
{
	struct signalfd_siginfo info;
	while (read(experiment->signal_fd, &info, sizeof info) == sizeof info)
		experiment->signals++;
	return experiment->signals;
}

static void run_folder(const struct experiment *experiment, const struct experiment_run *run, char *path,
		       size_t path_bytes, const char *name)
{
	snprintf(path, path_bytes, "%s/%s/%u%s%s", experiment->settings.out, run->cell->label, run->round,
		 name ? "/" : "", name ? name : "");
}

static void run_words(const struct experiment *experiment, const struct experiment_run *run,
		      struct experiment_words *words)
{
	const struct experiment_settings *settings = &experiment->settings;
	const struct experiment_server *server = &experiment->server;
	const struct experiment_cell *cell = run->cell;
	char text[DURATION_TEXT_BYTES_MAX], folder[4400];
	words_add(words, "%s", cell->interpreted ? "akamai-prof" : "akamai-direct-prof");
	if (settings->url) {
		words_add_flag(words, "url", settings->url);
		if (settings->edgerc)
			words_add_flag(words, "edgerc", settings->edgerc);
		if (settings->section)
			words_add_flag(words, "section", settings->section);
		if (settings->ca_file)
			words_add_flag(words, "ca-file", settings->ca_file);
	} else {
		words_add(words, "-url");
		words_add(words, "https://%s/siem/v1", server->address);
		words_add(words, "-edgerc");
		words_add(words, "%s/edgerc", server->folder);
		words_add(words, "-ca-file");
		words_add(words, "%s/ca.pem", server->folder);
	}
	words_add_config_ids(words, settings, cell->streams);
	words_add(words, "-limit");
	words_add(words, "%lld", (long long)settings->limit);
	words_add_flag(words, "parse", cell->full ? "full" : "control");
	if (settings->program && cell->interpreted)
		words_add_flag(words, "prog", settings->program);
	words_add_flag(words, "duration", duration_format(settings->duration_ns, text));
	/* Busy to the end: a stream that stops asking before the others would make them look faster. */
	words_add_flag(words, "poll-timeout", duration_format(settings->duration_ns, text));
	if (settings->profile)
		words_add_flag(words, "cpu-profile-duration",
			       duration_format(settings->duration_ns * 9 / 20, text));
	else
		words_add(words, "-no-profile");
	run_folder(experiment, run, folder, sizeof folder, NULL);
	words_add_flag(words, "out", folder);
}

/* Asks the runner to end, more and more firmly. Returns until when it has time for that. */
static int64_t run_urge(const struct experiment_child *child, int step)
{
	if (step < 2)
		kill(child->pid, SIGTERM);
	else
		kill(-child->pid, SIGKILL); /* its collector, too */
	return clock_monotonic_ns() + STEP_NS;
}

/* Until the runner has ended. Sets why when it had to be told. */
static void run_await(struct experiment *experiment, struct experiment_run *run,
		      struct experiment_child *child)
{
	int64_t until_ns = clock_monotonic_ns() + experiment->settings.duration_ns + RUN_EXTRA_NS;
	int step = 0;
	while (!child_ended(child, 0)) {
		int before = experiment->signals, urge = 0;
		struct pollfd fds[3] = {
			{ .fd = experiment->signal_fd, .events = POLLIN },
			{ .fd = child->pid_fd, .events = POLLIN },
			{ .fd = experiment->server.child.pid ? experiment->server.child.pid_fd : -1,
			  .events = POLLIN },
		};
		poll(fds, 3, WAKE_MS);
		if (experiment_signals(experiment) > before) {
			run->state = EXPERIMENT_INTERRUPTED;
			snprintf(run->why, sizeof run->why, "was interrupted");
			urge = 1;
		}
		if (fds[2].revents && !experiment->server_gone) {
			child_ended(&experiment->server.child, 0);
			experiment->server_gone = 1;
			urge = 1;
		}
		if (clock_monotonic_ns() >= until_ns) {
			if (!step)
				snprintf(run->why, sizeof run->why, "did not end by itself");
			urge = 1;
		}
		if (urge)
			until_ns = run_urge(child, step++);
	}
}

/* What went wrong with a run that has ended; nothing: its figures. */
static void run_judge(const struct experiment *experiment, struct experiment_run *run,
		      const struct experiment_child *child)
{
	char folder[4400], error[EXPERIMENT_ERROR_BYTES_MAX], end[96];
	run_folder(experiment, run, folder, sizeof folder, NULL);
	int code = experiment_read(folder, &run->figures, error);
	if (run->state == EXPERIMENT_INTERRUPTED)
		return;
	if (experiment->server_gone)
		snprintf(run->why, sizeof run->why, "lost its server");
	else if (!run->why[0] && child->wait_status != 0)
		snprintf(run->why, sizeof run->why, "%s", child_end_text(child, end, sizeof end));
	else if (!run->why[0] && code < 0)
		snprintf(run->why, sizeof run->why, "%.120s", error);
	else if (!run->why[0] && !(run->figures.events > 0))
		snprintf(run->why, sizeof run->why, "received no event");
	run->state = run->why[0] ? EXPERIMENT_FAILED : EXPERIMENT_DONE;
}

/* compare takes what has a run.json. */
static void run_set_aside(const struct experiment *experiment, const struct experiment_run *run,
			  const char *name)
{
	char from[4400], to[4400];
	run_folder(experiment, run, from, sizeof from, "run.json");
	run_folder(experiment, run, to, sizeof to, name);
	if (rename(from, to) < 0 && errno != ENOENT && errno != ENOTDIR)
		fprintf(stderr, "warning: %s cannot be set aside: %s\n", from, strerror(errno));
}

static void run_say_failure(const struct experiment *experiment, const struct experiment_run *run,
			    const struct experiment_words *words)
{
	char path[4400];
	run_folder(experiment, run, path, sizeof path, "log");
	log_print_tail(path, stderr);
	if (experiment->server.words.count) {
		fputs("    to repeat it, start the server in another terminal and then the runner:\n    $ ",
		      stderr);
		words_print(&experiment->server.words, stderr);
		fputs("\n    $ ", stderr);
	} else {
		fputs("    to repeat it:\n    $ ", stderr);
	}
	words_print(words, stderr);
	fputc('\n', stderr);
}

static void run_say_place(const struct experiment *experiment, const struct experiment_run *run)
{
	char title[64];
	fprintf(stderr, "%s%zu/%zu %s: ", experiment->terminal ? "\r\033[K" : "",
		(size_t)(run - experiment->runs) + 1, experiment->run_count, cell_title(run->cell, title));
}

static void run_say(const struct experiment *experiment, const struct experiment_run *run,
		    const struct experiment_words *words)
{
	char number[40], left[DURATION_TEXT_BYTES_MAX];
	const struct experiment_figures *figures = &run->figures;
	run_say_place(experiment, run);
	if (run->state != EXPERIMENT_DONE) {
		fprintf(stderr, "%s %s\n", run->state == EXPERIMENT_FAILED ? "FAILED:" : "it", run->why);
		if (run->state == EXPERIMENT_FAILED)
			run_say_failure(experiment, run, words);
		return;
	}
	fprintf(stderr, "%s events/s, %.2f CPU-s per million", thousands(figures->events_per_second, number),
		figures->cpu_seconds * 1e6 / figures->events);
	size_t ahead = experiment->run_count - experiment->finished;
	int64_t left_ns = experiment->run_ns / (int64_t)experiment->finished * (int64_t)ahead;
	if (ahead && !experiment->signals)
		fprintf(stderr, "; %s to go", duration_format(left_ns / NS_PER_SECOND * NS_PER_SECOND, left));
	fputc('\n', stderr);
}

/* 0, or -1 when there is no use in going on, after having said why. */
static int experiment_run_one(struct experiment *experiment, struct experiment_run *run)
{
	char folder[4400], log[4400], error[EXPERIMENT_ERROR_BYTES_MAX];
	struct experiment_child child;
	struct experiment_words words = { 0 };
	int64_t begin_ns = clock_monotonic_ns();
	run_folder(experiment, run, folder, sizeof folder, NULL);
	run_folder(experiment, run, log, sizeof log, "log");
	run_words(experiment, run, &words);
	if (files_folder(folder, error) < 0)
		goto broken;
	if (experiment->terminal)
		run_say_place(experiment, run);
	double server_before = child_cpu_seconds(&experiment->server.child);
	run->start_unix_ns = clock_unix_ns();
	if (child_start(&child, &words, log, experiment->pinned ? &experiment->runner_cpus : NULL, error) < 0)
		goto broken;
	run_await(experiment, run, &child);
	run->server_cpu_seconds = child_cpu_seconds(&experiment->server.child) - server_before;
	run_judge(experiment, run, &child);
	experiment->finished++;
	experiment->run_ns += clock_monotonic_ns() - begin_ns;
	if (run->state != EXPERIMENT_DONE) {
		experiment->failed = 1;
		run_set_aside(experiment, run, "run.failed.json");
	}
	run_say(experiment, run, &words);
	words_finish(&words);
	return 0;
broken:
	fprintf(stderr, "akamai-prof: %s\n", error);
	words_finish(&words);
	experiment->failed = 1;
	return -1;
}

/* What an earlier experiment left here must not be taken for this one's. */
static void earlier_set_aside(const struct experiment *experiment)
{
	for (size_t i = 0; i < experiment->cell_count; i++) {
		struct experiment_run run = { .cell = &experiment->cells[i] };
		for (run.round = 1; run.round <= COMPARE_REPEATS_MAX; run.round++)
			run_set_aside(experiment, &run, "run.earlier.json");
	}
}

void experiment_run_all(struct experiment *experiment)
{
	char end[96], path[sizeof experiment->server.folder + 16];
	earlier_set_aside(experiment);
	for (size_t i = 0; i < experiment->run_count && !experiment_signals(experiment); i++) {
		if (!experiment->server_gone && experiment->server.child.pid &&
		    child_ended(&experiment->server.child, 0))
			experiment->server_gone = 1;
		if (experiment->server_gone)
			break;
		if (experiment_run_one(experiment, &experiment->runs[i]) < 0)
			return;
	}
	if (experiment->signals) {
		fprintf(stderr,
			"interrupted after %zu of %zu runs; what follows is of those that ended well\n",
			experiment->finished, experiment->run_count);
		experiment->failed = 1;
	} else if (experiment->server_gone) {
		snprintf(path, sizeof path, "%s/log", experiment->server.folder);
		fprintf(stderr, "akamai-prof: the simulator %s in the middle of the experiment; it said:\n",
			child_end_text(&experiment->server.child, end, sizeof end));
		log_print_tail(path, stderr);
		experiment->failed = 1;
	}
}
