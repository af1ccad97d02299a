/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/experiment_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "cli/experiment.h"
#include "cli/files.h"
#include "cli/signals.h"
#include "profiler/profiler.h"

#define TOP_COUNT 15 /* functions in the tables; experiment.html has all of them */
_Static_assert(EXPERIMENT_ERROR_BYTES_MAX >= FILES_ERROR_BYTES_MAX &&
		       EXPERIMENT_ERROR_BYTES_MAX >= PROFILER_ERROR_BYTES_MAX &&
		       EXPERIMENT_ERROR_BYTES_MAX >= REPORT_ERROR_BYTES_MAX,
	       "one buffer for every sentence");

extern char **environ;

/* Variables of the caller's own set-up would lead the runners elsewhere than to the simulator. */
static void variables_forget(void)
{
	size_t forgotten = 0;
	for (char **at = environ; *at;) {
		char name[256];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
		if ((strncmp(name, "YAEGI_HTTP_", 11) != 0 && strncmp(name, "AKAMAI_", 7) != 0) ||
		    unsetenv(name) < 0) {
			at++;
			continue;
		}
		forgotten++;
		at = environ; /* it has moved up */
	}
	if (forgotten)
		fprintf(stderr,
			"note: %zu YAEGI_HTTP_* and AKAMAI_* variables are set aside: the runs go to the "
			"simulator; -url names another server\n",
			forgotten);
}

/* Whether there can be profiles: the way they will be taken is tried. */
static void rights_find(struct experiment_settings *settings)
{
	char error[PROFILER_ERROR_BYTES_MAX] = "";
	struct profiler_options options = { .hz = PROFILER_HZ_DEFAULT };
	if (settings->no_profile) {
		snprintf(settings->no_profile_why, sizeof settings->no_profile_why,
			 "switched off by -no-profile");
		return;
	}
	struct profiler *profiler = profiler_create(&options, error);
	settings->profile = profiler != NULL;
	profiler_destroy(profiler);
	if (!settings->profile)
		snprintf(settings->no_profile_why, sizeof settings->no_profile_why, "%s", error);
}

/* Round by round, every second one backwards: a machine that grows slower hits all cells alike. */
static int runs_plan(struct experiment *experiment, char *error)
{
	size_t rounds = (size_t)experiment->settings.rounds, cells = experiment->cell_count;
	experiment->runs = calloc(rounds * cells, sizeof *experiment->runs);
	if (!experiment->runs) {
		snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "out of memory");
		return -1;
	}
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < cells; i++)
			experiment->runs[experiment->run_count++] = (struct experiment_run){
				.cell = &experiment->cells[round % 2 ? cells - 1 - i : i],
				.round = (unsigned)round + 1,
			};
	return 0;
}

static void experiment_say_begin(const struct experiment *experiment)
{
	const struct experiment_settings *settings = &experiment->settings;
	char text[DURATION_TEXT_BYTES_MAX];
	fprintf(stderr, "%zu runs of %s each (%zu configurations, %lld times) into %s\n",
		experiment->run_count, duration_format(settings->duration_ns, text), experiment->cell_count,
		(long long)settings->rounds, settings->out);
	if (!settings->profile)
		fprintf(stderr,
			"NO PROFILES: %s\n"
			"only throughput, CPU time and memory are measured, not where the time goes\n",
			settings->no_profile_why);
	if (experiment->pin_text[0])
		fprintf(stderr, "%s\n", experiment->pin_text);
	if (settings->url)
		fprintf(stderr, "the server is %s; how busy it is cannot be seen from here\n", settings->url);
	else
		fprintf(stderr,
			"starting a simulator: its pages are compressed beforehand, which takes a moment\n");
}

/* The table and the whole comparison into DIR/NAME. 0, or -1 with a sentence. */
static int comparison_write(const struct experiment *experiment, char *const *sides, size_t count,
			    const struct compare_options *options, const char *name, char *error)
{
	struct file_beside file;
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", experiment->settings.out, name);
	int code = file_beside_begin(&file, path);
	if (!code) {
		experiment_table(experiment, file.out);
		fputc('\n', file.out);
		int failed = compare_write(sides, count, options, file.out, error) < 0;
		code = file_beside_end(&file, failed ? -ECANCELED : 0);
		if (failed)
			return -1;
	}
	if (code)
		snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "cannot write %.1000s: %s", path,
			 strerror(-code));
	return code ? -1 : 0;
}

/* experiment.html and experiment.txt, of the cells of which there is a run. */
static void experiment_compare(struct experiment *experiment)
{
	char *sides[EXPERIMENT_CELLS_MAX], page[4200], error[EXPERIMENT_ERROR_BYTES_MAX];
	size_t count = 0;
	for (size_t i = 0; i < experiment->cell_count; i++) {
		const struct experiment_cell *cell = &experiment->cells[i];
		if (experiment_repeats(experiment, cell) &&
		    asprintf(&sides[count], "%s/%s", experiment->settings.out, cell->label) > 0)
			count++;
	}
	snprintf(page, sizeof page, "%s/experiment.html", experiment->settings.out);
	struct compare_options options = { .format = COMPARE_TEXT,
					   .top_count = TOP_COUNT,
					   .page_path = page };
	if (count < 2) {
		fprintf(stderr, "nothing to compare: %s\n",
			count ? "only one configuration has a run that ended well" : "no run ended well");
	} else if (comparison_write(experiment, sides, count, &options, "experiment.txt", error) < 0) {
		fprintf(stderr, "akamai-prof: %s\n", error);
		experiment->failed = 1;
	} else if (!experiment->settings.json) {
		const char *with = experiment->settings.profile ? ", with flame graphs and functions" : "";
		printf("\nSide by side%s: %s\n  the same as text: %s/experiment.txt; every figure: "
		       "%s/experiment.json\n",
		       with, page, experiment->settings.out, experiment->settings.out);
	}
	for (size_t i = 0; i < count; i++)
		free(sides[i]);
}

/* experiment.json, and on stdout when that is wanted. */
static void experiment_document(struct experiment *experiment)
{
	struct file_beside file;
	char path[4200];
	char *text = experiment_json(experiment);
	snprintf(path, sizeof path, "%s/experiment.json", experiment->settings.out);
	int code = text ? file_beside_begin(&file, path) : -ENOMEM;
	if (!code) {
		errno = EIO;
		int failed = fputs(text, file.out) < 0 || fputc('\n', file.out) < 0;
		code = file_beside_end(&file, failed ? -errno : 0);
	}
	if (code) {
		fprintf(stderr, "akamai-prof: cannot write %s: %s\n", path, strerror(-code));
		experiment->failed = 1;
	}
	if (text && experiment->settings.json)
		puts(text);
	free(text);
}

/* Everything that comes out: to read, and for programs. */
static void experiment_end(struct experiment *experiment)
{
	experiment_document(experiment);
	if (!experiment->settings.json)
		experiment_table(experiment, stdout);
	experiment_compare(experiment);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "akamai-prof: standard output cannot be written: %s\n", strerror(errno));
		experiment->failed = 1;
	}
}

static int experiment_go(struct experiment *experiment, char *error)
{
	error[0] = 0;
	if (files_folder(experiment->settings.out, error) < 0 || runs_plan(experiment, error) < 0)
		return -1;
	if (!experiment->settings.url)
		variables_forget();
	rights_find(&experiment->settings);
	experiment_pin(experiment);
	experiment->signal_fd = signals_open(0);
	experiment->terminal = isatty(STDERR_FILENO);
	experiment_say_begin(experiment);
	if (server_begin(experiment, error) < 0) {
		if (experiment->signals)
			fputs("interrupted before the first run\n", stderr);
		return -1;
	}
	experiment_run_all(experiment);
	server_end(&experiment->server);
	experiment_end(experiment);
	return 0;
}

int experiment_command(int argc, char **argv)
{
	char error[EXPERIMENT_ERROR_BYTES_MAX] = "";
	struct experiment *experiment = calloc(1, sizeof *experiment);
	if (!experiment) {
		fputs("akamai-prof: experiment: out of memory\n", stderr);
		return 1;
	}
	experiment->signal_fd = -1;
	int code = experiment_settings(experiment, argc, argv, error);
	int status = code < 0 ? 2 : 0;
	if (code > 0)
		experiment_help();
	else if (code == 0)
		status = experiment_go(experiment, error) < 0 || experiment->failed;
	if (error[0] && status)
		fprintf(stderr, "akamai-prof: experiment: %s\n", error);
	server_end(&experiment->server);
	if (experiment->signal_fd >= 0)
		close(experiment->signal_fd);
	free(experiment->settings.config_ids);
	free(experiment->runs);
	free(experiment);
	return status;
}
