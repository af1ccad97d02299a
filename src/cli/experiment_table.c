/* SPDX-License-Identifier: Apache-2.0
 *
 * The experiment on one screen.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/duration.h"
#include "cli/experiment.h"

#define LIMIT_SHARE 0.9 /* a server this busy is what held the runner up, unless that was as busy */

char *thousands(double number, char text[static 40])
{
	char digits[32];
	int bytes = snprintf(digits, sizeof digits, "%.0f", fabs(number) < 1e15 ? number : 1e15);
	size_t used = 0;
	for (int i = 0; i < bytes; i++) {
		if (i && (bytes - i) % 3 == 0 && digits[i - 1] != '-')
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = 0;
	return text;
}

const char *cell_title(const struct experiment_cell *cell, char text[static 64])
{
	snprintf(text, 64, "%s %s, %u stream%s", cell->interpreted ? "interpreted" : "direct",
		 cell->full ? "full" : "control", cell->streams, cell->streams > 1 ? "s" : "");
	return text;
}

/* Half the range as a share of the median: " ±1.2%". "" with one run. */
static void scatter(const struct experiment_figure *figure, char *text, size_t text_bytes)
{
	text[0] = 0;
	if (figure->high > figure->low && figure->median > 0)
		snprintf(text, text_bytes, "±%.1f%%", 50 * (figure->high - figure->low) / figure->median);
}

static void number_text(double number, double scale, int decimals, char *text, size_t text_bytes)
{
	if (isfinite(number))
		snprintf(text, text_bytes, "%.*f", decimals, number * scale);
	else
		snprintf(text, text_bytes, "-");
}

/* A cell of the table that holds more columns than bytes ("±" has two). */
static void column(FILE *out, const char *text, int width)
{
	int bytes = (int)strlen(text);
	int columns = bytes - (strncmp(text, "±", strlen("±")) == 0);
	fprintf(out, "%*s%s", width > columns ? width - columns : 0, "", text);
}

static const struct experiment_cell *baseline_of(const struct experiment *experiment,
						 const struct experiment_cell *cell)
{
	for (size_t i = 0; i < experiment->cell_count; i++) {
		const struct experiment_cell *base = &experiment->cells[i];
		if (!base->interpreted && !base->full && base->streams == cell->streams)
			return base;
	}
	return NULL;
}

enum { COLUMN_COUNT = 9 };
static const int widths[COLUMN_COUNT] = { 10, 8, 8, 7, 9, 8, 7, 8, 7 };

static void row_begin(FILE *out, int interpreted, int full, unsigned streams)
{
	fprintf(out, "  %-11s %-7s %7u", interpreted ? "interpreted" : "direct", full ? "full" : "control",
		streams);
}

static void table_head(FILE *out)
{
	static const char *const heads[2][COLUMN_COUNT] = {
		{ "", "", "CPU-s per", "", "x direct", "allocs", "peak", "runner", "server" },
		{ "events/s", "", "million", "", "control", "/event", "MB", "busy %", "busy %" },
	};
	for (int row = 0; row < 2; row++) {
		fprintf(out, "  %-11s %-7s %7s", row ? "runner" : "", row ? "parsing" : "",
			row ? "streams" : "");
		for (int i = 0; i < COLUMN_COUNT; i++)
			column(out, heads[row][i], widths[i]);
		fputc('\n', out);
	}
}

static void table_row(const struct experiment *experiment, const struct experiment_cell *cell, FILE *out)
{
	char text[40];
	struct experiment_figure figures[QUANTITY_COUNT];
	for (int i = 0; i < QUANTITY_COUNT; i++)
		figures[i] = experiment_figure(experiment, cell, (enum experiment_quantity)i);
	const struct experiment_figure *cpu = &figures[QUANTITY_CPU_PER_MILLION];
	const struct experiment_figure *rate = &figures[QUANTITY_EVENTS_PER_SECOND];
	const struct experiment_cell *base = baseline_of(experiment, cell);
	row_begin(out, cell->interpreted, cell->full, cell->streams);
	if (experiment_repeats(experiment, cell) == 0) {
		fputs("  no run ended well\n", out);
		return;
	}
	column(out, thousands(rate->median, text), widths[0]);
	scatter(rate, text, sizeof text);
	column(out, text, widths[1]);
	number_text(cpu->median, 1, 2, text, sizeof text);
	column(out, text, widths[2]);
	scatter(cpu, text, sizeof text);
	column(out, text, widths[3]);
	double least = base ? experiment_figure(experiment, base, QUANTITY_CPU_PER_MILLION).median : NAN;
	number_text(cpu->median / least, 1, 2, text, sizeof text);
	column(out, text, widths[4]);
	number_text(figures[QUANTITY_ALLOCATIONS].median, 1, 3, text, sizeof text);
	column(out, text, widths[5]);
	number_text(figures[QUANTITY_RSS_BYTES].median, 1e-6, 1, text, sizeof text);
	column(out, text, widths[6]);
	number_text(figures[QUANTITY_RUNNER_BUSY].median, 100, 0, text, sizeof text);
	column(out, text, widths[7]);
	number_text(figures[QUANTITY_SERVER_BUSY].median, 100, 0, text, sizeof text);
	column(out, text, widths[8]);
	fputc('\n', out);
}

/* The cited rows; what was measured beside them, where it was. */
static void table_citations(const struct experiment *experiment, FILE *out)
{
	char text[40];
	fprintf(out, "\n  cited, not measured here: the Go original\n");
	for (size_t i = 0; i < EXPERIMENT_CITATION_COUNT; i++) {
		const struct experiment_citation *citation = &experiment_citations[i];
		row_begin(out, citation->interpreted, citation->full, 1);
		column(out,
		       isfinite(citation->events_per_second) ? thousands(citation->events_per_second, text)
							     : "-",
		       widths[0]);
		fprintf(out, "%*.2f", widths[1] + widths[2], citation->cpu_per_million);
		for (size_t k = 0; k < experiment->cell_count && !experiment->settings.url; k++) {
			const struct experiment_cell *cell = &experiment->cells[k];
			double ours = experiment_figure(experiment, cell, QUANTITY_CPU_PER_MILLION).median;
			if (cell->interpreted == citation->interpreted && cell->full == citation->full &&
			    cell->streams == 1 && isfinite(ours) && !experiment->settings.lean)
				fprintf(out, "  %.1f times ours", citation->cpu_per_million / ours);
		}
		fputc('\n', out);
	}
	fputs("  (Go compiled, and interpreted by Yaegi; 1.9 KB events, a server that was not the limit, a\n"
	      "  machine of this kind. With both its own page gave 13,500 events/s: the rate of its "
	      "server.)\n",
	      out);
}

/* What else there is to know of events a second, and which runs are not in the table. */
static void table_limits(const struct experiment *experiment, FILE *out)
{
	size_t held_up = 0;
	for (size_t i = 0; i < experiment->cell_count; i++) {
		const struct experiment_cell *cell = &experiment->cells[i];
		char title[64];
		double server = experiment_figure(experiment, cell, QUANTITY_SERVER_BUSY).median;
		double runner = experiment_figure(experiment, cell, QUANTITY_RUNNER_BUSY).median;
		if (!(runner < LIMIT_SHARE) || !isfinite(server))
			continue;
		if (server >= LIMIT_SHARE)
			fprintf(out,
				"  %s: the server was the limit of events/s (busy %.0f %% of the time)\n",
				cell_title(cell, title), server * 100);
		else
			held_up++;
	}
	if (held_up)
		fprintf(out,
			"  In %zu of %zu configurations neither side was busy all the time: other work on "
			"this "
			"machine\n  held events/s down. CPU-seconds per million events hold all the same.\n",
			held_up, experiment->cell_count);
	for (size_t i = 0; i < experiment->run_count; i++) {
		const struct experiment_run *run = &experiment->runs[i];
		char title[64];
		if (run->state == EXPERIMENT_FAILED)
			fprintf(out, "  %s, round %u %s: it is not in the medians\n",
				cell_title(run->cell, title), run->round, run->why);
		else if (run->state == EXPERIMENT_DONE && run->figures.heap_given_up)
			fprintf(out, "  %s, round %u: the heap was too busy to track within its budget\n",
				cell_title(run->cell, title), run->round);
	}
}

void experiment_table(const struct experiment *experiment, FILE *out)
{
	const struct experiment_settings *settings = &experiment->settings;
	char duration[DURATION_TEXT_BYTES_MAX], limit[40];
	double event_bytes = NAN;
	for (size_t i = 0; i < experiment->cell_count && !isfinite(event_bytes); i++)
		event_bytes =
			experiment_figure(experiment, &experiment->cells[i], QUANTITY_EVENT_BYTES).median;
	fprintf(out, "\nThe experiment: %" PRId64 " run%s of %s each, pages of %s events", settings->rounds,
		settings->rounds > 1 ? "s" : "", duration_format(settings->duration_ns, duration),
		thousands((double)settings->limit, limit));
	if (isfinite(event_bytes))
		fprintf(out, " of %.2f KB", event_bytes / 1000);
	fprintf(out, "%s\n\n", settings->rounds > 1 ? "; medians, ± half of the range" : "");
	table_head(out);
	for (size_t i = 0; i < experiment->cell_count; i++)
		table_row(experiment, &experiment->cells[i], out);
	table_citations(experiment, out);
	fputs("\n  CPU-s: of the collector, its kernel time included. busy: of one CPU; of the server: of "
	      "what its\n"
	      "  threads could have done.\n",
	      out);
	if (!settings->profile)
		fputs("  allocs/event: needs profiles.\n", out);
	table_limits(experiment, out);
}
