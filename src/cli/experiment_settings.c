/* SPDX-License-Identifier: Apache-2.0
 *
 * What the experiment is to do: flags, and the matrix that they make.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "cli/experiment.h"
#include "cli/flags.h"

#define AT(member) offsetof(struct experiment_settings, member)
#define DURATION_DEFAULT_NS (20 * NS_PER_SECOND)
#define ROUNDS_DEFAULT 3
/* One stream, both runners and parsing levels: eight runs, with what surrounds them about a minute. */
#define QUICK_DURATION_NS (5 * NS_PER_SECOND)
#define QUICK_ROUNDS 2
#define QUICK_STREAMS "1"

/* In the order of the matrix: the first is the baseline where both are wanted. */
static const char *const runner_names[] = { "direct", "interpreted" };
static const char *const parse_names[] = { "control", "full" };

static const struct flag experiment_flags[] = {
	{ "", FLAG_SECTION, 0, NULL, "The matrix", NULL, 0, 0 },
	{ "runners", FLAG_TEXT, AT(runners), "LIST",
	  "interpreted (akamai-prof), direct (akamai-direct-prof); default both", NULL, 0, 0 },
	{ "parse", FLAG_TEXT, AT(parse), "LIST",
	  "control: the fields that steer us; full: every event decoded; default both", NULL, 0, 0 },
	{ "streams", FLAG_TEXT, AT(streams), "LIST", "configIds read at the same time (default 1,2,4)", NULL,
	  0, 0 },
	{ "runs", FLAG_INTEGER, AT(rounds), "N",
	  "how often each is run; tables show medians and their scatter (default 3)", NULL, 1,
	  COMPARE_REPEATS_MAX },
	{ "duration", FLAG_DURATION, AT(duration_ns), "D", "of one run (default 20s)", NULL, NS_PER_SECOND,
	  86400 * NS_PER_SECOND },
	{ "quick", FLAG_SWITCH, AT(quick), NULL,
	  "about a minute: -streams 1 -runs 2 -duration 5s, unless you say otherwise", NULL, 0, 0 },
	{ "limit", FLAG_INTEGER, AT(limit), "N", "events per request (default 60000)", NULL, 1,
	  PLAN_LIMIT_MAX },
	{ "prog", FLAG_TEXT, AT(program), "FILE",
	  "the interpreted runner's program (default: the built-in one)", NULL, 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "The server", NULL, 0, 0 },
	{ "event-size", FLAG_CHOICE, AT(lean), NULL, "events of 1.9 KB, or of 0.9 KB (default full)",
	  "full|lean", 0, 0 },
	{ "url", FLAG_TEXT, AT(url), "URL",
	  "not the simulator, but https://HOST/siem/v1; then variables count as for the runners", NULL, 0,
	  0 },
	{ "config-id", FLAG_TEXT, AT(config_id), "IDS",
	  "with -url: at least as many configIds as streams, comma-separated", NULL, 0, 0 },
	{ "edgerc", FLAG_TEXT, AT(edgerc), "FILE", "with -url: credentials file (default ~/.edgerc)", NULL, 0,
	  0 },
	{ "section", FLAG_TEXT, AT(section), "NAME", "with -url: its section (default \"default\")", NULL, 0,
	  0 },
	{ "ca-file", FLAG_TEXT, AT(ca_file), "FILE", "with -url: trust these CAs (default: the system's)",
	  NULL, 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "How", NULL, 0, 0 },
	{ "no-profile", FLAG_SWITCH, AT(no_profile), NULL, "throughput and CPU time only; needs no rights",
	  NULL, 0, 0 },
	{ "no-pin", FLAG_SWITCH, AT(no_pin), NULL,
	  "let the kernel choose CPUs; else server and runner get their own", NULL, 0, 0 },
	{ "out", FLAG_TEXT, AT(out), "DIR", "folder for all that comes out (default experiment)", NULL, 0,
	  0 },
	{ "json", FLAG_SWITCH, AT(json), NULL, "print experiment.json on stdout instead of tables", NULL, 0,
	  0 },
	{ "help", FLAG_SWITCH, AT(help), NULL, "this text", NULL, 0, 0 },
};
enum { EXPERIMENT_FLAG_COUNT = sizeof experiment_flags / sizeof *experiment_flags };

void experiment_help(void)
{
	puts("akamai-prof experiment - what interpretation, full parsing and more streams cost, measured "
	     "here\n"
	     "\n"
	     "usage: akamai-prof experiment [flags]\n"
	     "\n"
	     "Starts a simulator and runs the collector against it: each runner at each parsing level with "
	     "each\n"
	     "number of streams. Runs take turns: a first round in order, a second one backwards, and so on, "
	     "so\n"
	     "that a machine that grows slower hits all of them alike. Every run leaves its folder with "
	     "run.json\n"
	     "and, given the rights (root, see akamai-prof doctor), its profiles:\n"
	     "\n"
	     "  DIR/direct-control-1/2/   native, steering fields only, one stream; second round\n"
	     "  DIR/experiment.html       all of it side by side, with flame graphs\n"
	     "  DIR/experiment.txt        the same tables as text (akamai-prof compare DIR/*-1 ...)\n"
	     "  DIR/experiment.json       every figure of every run, for programs\n"
	     "\n"
	     "The last table shows medians. CPU-seconds per million events is the figure to trust: events a\n"
	     "second also depend on the server, which is said where it was the limit. Beside them stand the\n"
	     "figures of the Go original, cited, not measured.\n"
	     "\n"
	     "examples:\n"
	     "  sudo akamai-prof experiment -quick\n"
	     "  akamai-prof experiment -no-profile -runners direct -streams 1,2,4,8\n"
	     "  sudo akamai-prof experiment -prog mine.lua -parse control -runs 5");
	flags_print_help(experiment_flags, EXPERIMENT_FLAG_COUNT);
	puts("\nexit status: 0 every run went well, 1 one failed or a signal came, 2 wrong usage");
}

static __attribute__((format(printf, 2, 3))) int usage(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, EXPERIMENT_ERROR_BYTES_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

/* The next part of a comma list into `part`. Returns 0 at the end of the list. */
static int list_next(const char **at, char *part, size_t part_bytes)
{
	if (!**at)
		return 0;
	size_t bytes = strcspn(*at, ",");
	snprintf(part, part_bytes, "%.*s", (int)bytes, *at);
	*at += bytes + ((*at)[bytes] == ',');
	return 1;
}

/* Which of two names a list holds: bits. -1 with a sentence. */
static int names_parse(const char *flag, const char *list, const char *const names[static 2], char *error)
{
	int found = 0;
	char part[64];
	for (const char *at = list; list_next(&at, part, sizeof part);) {
		int bit = strcmp(part, names[0]) == 0 ? 1 : strcmp(part, names[1]) == 0 ? 2 : 0;
		const char *near = nearest_name(part, names, 2);
		if (!bit)
			return usage(error, "%s is a list of %s and %s, not \"%s\"%s%s%s", flag, names[0],
				     names[1], part, near ? "; did you mean " : "", near ? near : "",
				     near ? "?" : "");
		if (found & bit)
			return usage(error, "%s names %s twice", flag, part);
		found |= bit;
	}
	return found ? found
		     : usage(error, "%s names nothing: it is a list of %s and %s", flag, names[0], names[1]);
}

/* Counts in rising order. How many there are, or -1 with a sentence. */
static int streams_parse(const char *list, unsigned counts[static EXPERIMENT_STREAM_COUNTS_MAX], char *error)
{
	int count = 0;
	char part[64];
	for (const char *at = list; list_next(&at, part, sizeof part); count++) {
		char *end;
		unsigned long streams = strtoul(part, &end, 10);
		if (part[0] < '0' || part[0] > '9' || *end || streams < 1 || streams > FLOW_STREAMS_MAX)
			return usage(error,
				     "-streams is a list of numbers from 1 to %d, such as 1,2,4; not \"%s\"",
				     FLOW_STREAMS_MAX, part);
		if (count == EXPERIMENT_STREAM_COUNTS_MAX)
			return usage(error, "-streams takes up to %d numbers: a table is no wider",
				     EXPERIMENT_STREAM_COUNTS_MAX);
		if (count && counts[count - 1] >= streams)
			return usage(error, "-streams wants rising numbers, but %lu follows %u", streams,
				     counts[count - 1]);
		counts[count] = (unsigned)streams;
	}
	return count ? count : usage(error, "-streams names no number");
}

static int matrix_make(struct experiment *experiment, char *error)
{
	const struct experiment_settings *settings = &experiment->settings;
	unsigned counts[EXPERIMENT_STREAM_COUNTS_MAX] = { 0 };
	int runners = names_parse("-runners", settings->runners, runner_names, error);
	int parses = runners < 0 ? -1 : names_parse("-parse", settings->parse, parse_names, error);
	int stream_counts = parses < 0 ? -1 : streams_parse(settings->streams, counts, error);
	if (stream_counts < 0)
		return -1;
	for (int i = 0; i < stream_counts; i++) {
		for (int parse = 0; parse < 2; parse++) {
			for (int runner = 0; runner < 2; runner++) {
				if (!(parses & 1 << parse) || !(runners & 1 << runner))
					continue;
				struct experiment_cell *cell = &experiment->cells[experiment->cell_count++];
				*cell = (struct experiment_cell){ .interpreted = runner == 1,
								  .full = parse == 1,
								  .streams = counts[i] };
				snprintf(cell->label, sizeof cell->label, "%s-%s-%u", runner_names[runner],
					 parse_names[parse], counts[i]);
			}
		}
	}
	return 0;
}

/* The configIds of -url, split. */
static int ids_parse(struct experiment *experiment, char *error)
{
	struct experiment_settings *settings = &experiment->settings;
	unsigned most = experiment->cells[experiment->cell_count - 1].streams;
	if (!settings->url) {
		const char *needs_url = settings->config_id ? "-config-id"
					: settings->edgerc  ? "-edgerc"
					: settings->section ? "-section"
					: settings->ca_file ? "-ca-file"
							    : NULL;
		return needs_url ? usage(error, "%s goes with -url: the simulator brings its own", needs_url)
				 : 0;
	}
	if (settings->lean)
		return usage(error, "-event-size is the simulator's; the events of -url are what they are");
	const char *given = settings->config_id ? settings->config_id : getenv("YAEGI_HTTP_CONFIG_ID");
	if (given && strlen(given) >= EXPERIMENT_IDS_BYTES_MAX)
		return usage(error, "-config-id is longer than %d bytes", EXPERIMENT_IDS_BYTES_MAX - 1);
	settings->config_ids = strdup(given && *given ? given : "1");
	if (!settings->config_ids)
		return usage(error, "out of memory");
	for (char *at = settings->config_ids, *next; at; at = next) {
		next = strchr(at, ',');
		if (next)
			*next++ = 0;
		if (!*at)
			continue;
		if (settings->id_count == FLOW_STREAMS_MAX)
			return usage(error, "-config-id names more than %d streams", FLOW_STREAMS_MAX);
		settings->ids[settings->id_count++] = at;
	}
	if (settings->id_count < most)
		return usage(error,
			     "%u streams take as many configIds, but -config-id names %zu; name more, or "
			     "choose fewer -streams",
			     most, settings->id_count);
	return 0;
}

int experiment_settings(struct experiment *experiment, int argc, char **argv,
			char error[static EXPERIMENT_ERROR_BYTES_MAX])
{
	struct experiment_settings *settings = &experiment->settings;
	*settings = (struct experiment_settings){
		.out = "experiment",
		.runners = "direct,interpreted",
		.parse = "control,full",
		.limit = 60000,
	};
	if (flags_parse(experiment_flags, EXPERIMENT_FLAG_COUNT, argc, argv, settings, NULL, error) < 0)
		return -1;
	if (settings->help)
		return 1;
	if (!settings->duration_ns)
		settings->duration_ns = settings->quick ? QUICK_DURATION_NS : DURATION_DEFAULT_NS;
	if (!settings->rounds)
		settings->rounds = settings->quick ? QUICK_ROUNDS : ROUNDS_DEFAULT;
	if (!settings->streams)
		settings->streams = settings->quick ? QUICK_STREAMS : "1,2,4";
	if (!settings->out[0])
		return usage(error, "-out names no folder; -out . is this one");
	if (settings->url && !settings->url[0])
		return usage(error, "-url is empty");
	if (settings->url && strncasecmp(settings->url, "https://", 8) != 0 &&
	    strncasecmp(settings->url, "http://", 7) != 0)
		return usage(error, "-url must begin with https:// (or http://), not \"%s\"", settings->url);
	if (matrix_make(experiment, error) < 0 || ids_parse(experiment, error) < 0)
		return -1;
	if (settings->program && !experiment->cells[experiment->cell_count - 1].interpreted)
		return usage(error, "-prog is for the interpreted runner, which -runners leaves out");
	FILE *program = settings->program ? file_read_regular(settings->program) : NULL;
	if (settings->program && !program)
		return usage(error, "cannot read the program %s: %s", settings->program, strerror(errno));
	if (program)
		fclose(program);
	return 0;
}
