/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of the repeats of a cell: medians and ranges. And what the Go original is said to have taken.
 */
#include <math.h>

#include "cli/experiment.h"

/* Its own page gave the 13,500 events/s of its server; these were taken later, with a server that is not the
 * limit. Nobody measured it interpreted with full parsing that way. */
const struct experiment_citation experiment_citations[EXPERIMENT_CITATION_COUNT] = {
	{ .interpreted = 0, .full = 0, .cpu_per_million = 16.4, .events_per_second = 61000 },
	{ .interpreted = 1, .full = 0, .cpu_per_million = 52.7, .events_per_second = 19000 },
	{ .interpreted = 0, .full = 1, .cpu_per_million = 23.6, .events_per_second = NAN },
};
const char experiment_citation_source[] =
	"the Go original (compiled, and interpreted by Yaegi), with 1.9 KB events on a machine of this kind; "
	"cited, not measured in this experiment";

static double server_capacity(const struct experiment *experiment, const struct experiment_cell *cell)
{
	long cpus = experiment->server_cpu_count;
	/* A thread serves a connection, and a stream is one. */
	return cpus > 0 && (unsigned long)cpus < cell->streams ? (double)cpus : cell->streams;
}

static double figure_of(const struct experiment *experiment, const struct experiment_run *run,
			enum experiment_quantity quantity)
{
	const struct experiment_figures *figures = &run->figures;
	switch (quantity) {
	case QUANTITY_EVENTS_PER_SECOND:
		return figures->events_per_second;
	case QUANTITY_CPU_PER_MILLION:
		return figures->cpu_seconds * 1e6 / figures->events;
	case QUANTITY_ALLOCATIONS:
		return figures->heap_given_up ? NAN : figures->alloc_objects / figures->events;
	case QUANTITY_ALLOC_BYTES:
		return figures->heap_given_up ? NAN : figures->alloc_bytes / figures->events;
	case QUANTITY_RSS_BYTES:
		return figures->rss_bytes;
	case QUANTITY_RUNNER_BUSY:
		return figures->cpu_seconds / figures->elapsed_seconds;
	case QUANTITY_SERVER_BUSY:
		return run->server_cpu_seconds / figures->elapsed_seconds /
		       server_capacity(experiment, run->cell);
	case QUANTITY_EVENT_BYTES:
		return figures->event_bytes / figures->events;
	case QUANTITY_COUNT:
		break;
	}
	return NAN;
}

struct experiment_figure experiment_figure(const struct experiment *experiment,
					   const struct experiment_cell *cell,
					   enum experiment_quantity quantity)
{
	double figures[COMPARE_REPEATS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < experiment->run_count && count < COMPARE_REPEATS_MAX; i++) {
		const struct experiment_run *run = &experiment->runs[i];
		if (run->cell != cell || run->state != EXPERIMENT_DONE)
			continue;
		double figure = figure_of(experiment, run, quantity);
		if (isfinite(figure))
			figures[count++] = figure;
	}
	if (count == 0)
		return (struct experiment_figure){ NAN, NAN, NAN };
	double median = compare_median(figures, count);
	return (struct experiment_figure){
		.median = median,
		.low = figures[0],
		.high = figures[count - 1],
	};
}

size_t experiment_repeats(const struct experiment *experiment, const struct experiment_cell *cell)
{
	size_t count = 0;
	for (size_t i = 0; i < experiment->run_count; i++)
		count += experiment->runs[i].cell == cell && experiment->runs[i].state == EXPERIMENT_DONE;
	return count;
}
