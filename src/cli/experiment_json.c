/* SPDX-License-Identifier: Apache-2.0
 *
 * What the experiment reads of a run's run.json, and experiment.json. Format: README.md, "experiment".
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/experiment.h"
#include "cli/json.h"

#define EXPERIMENT_JSON_VERSION 1
#define RUN_JSON_BYTES_MAX (16 << 20) /* 4096 samples of 64 streams' run are 1 MB */

/* The value behind a path of keys; NULL: there is none. */
static struct json_object *value_at(struct json_object *object, const char *const *keys)
{
	for (; *keys; keys++)
		if (!json_object_is_type(object, json_type_object) ||
		    !json_object_object_get_ex(object, *keys, &object))
			return NULL;
	return object;
}

static double number_at(struct json_object *object, const char *const *keys)
{
	struct json_object *value = value_at(object, keys);
	return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double)
		       ? json_object_get_double(value)
		       : NAN;
}

#define NUMBER_AT(object, ...) number_at(object, (const char *const[]){ __VA_ARGS__, NULL })
#define VALUE_AT(object, ...) value_at(object, (const char *const[]){ __VA_ARGS__, NULL })

static void figures_read(struct json_object *document, struct experiment_figures *figures)
{
	*figures = (struct experiment_figures){
		.events = NUMBER_AT(document, "totals", "events"),
		.event_bytes = NUMBER_AT(document, "totals", "event_bytes"),
		.elapsed_seconds = NUMBER_AT(document, "totals", "elapsed_seconds"),
		.events_per_second = NUMBER_AT(document, "totals", "events_per_second"),
		.cpu_seconds = NUMBER_AT(document, "totals", "cpu_seconds"),
		.rss_bytes = NUMBER_AT(document, "totals", "rss_bytes_max"),
		.alloc_objects = NAN,
		.alloc_bytes = NAN,
		.heap_given_up = json_object_get_boolean(VALUE_AT(document, "profile", "heap", "given_up")),
	};
	struct json_object *snapshots = VALUE_AT(document, "profile", "heap", "snapshots");
	size_t count =
		json_object_is_type(snapshots, json_type_array) ? json_object_array_length(snapshots) : 0;
	if (count == 0)
		return;
	struct json_object *last = json_object_array_get_idx(snapshots, count - 1);
	figures->alloc_objects = NUMBER_AT(last, "alloc_objects");
	figures->alloc_bytes = NUMBER_AT(last, "alloc_bytes");
}

int experiment_read(const char *folder, struct experiment_figures *ret_figures,
		    char error[static EXPERIMENT_ERROR_BYTES_MAX])
{
	char path[4400];
	snprintf(path, sizeof path, "%s/run.json", folder);
	FILE *file = file_read_regular(path);
	char *text = file ? malloc(RUN_JSON_BYTES_MAX + 1) : NULL;
	int code = errno;
	size_t bytes = text ? fread(text, 1, RUN_JSON_BYTES_MAX, file) : 0;
	if (file)
		fclose(file);
	if (text)
		text[bytes] = 0;
	struct json_object *document = text ? json_tokener_parse(text) : NULL;
	free(text);
	figures_read(document, ret_figures);
	int found = json_object_is_type(document, json_type_object);
	json_object_put(document);
	if (found)
		return 0;
	if (file)
		snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "left a run.json that cannot be read");
	else
		snprintf(error, EXPERIMENT_ERROR_BYTES_MAX, "left no run.json (%s)", strerror(code));
	return -1;
}

/* null for what is not known: JSON has no NaN. */
static void add_figure(struct json_object *object, const char *key, double value)
{
	if (isfinite(value))
		json_add_double(object, key, value);
	else
		json_object_object_add(object, key, NULL);
}

static struct json_object *settings_json(const struct experiment *experiment)
{
	const struct experiment_settings *settings = &experiment->settings;
	struct json_object *object = json_object_new_object();
	json_add_number(object, "runs", (uint64_t)settings->rounds);
	json_add_seconds(object, "duration_seconds", settings->duration_ns);
	json_add_number(object, "limit", (uint64_t)settings->limit);
	json_add_text(object, "program", settings->program ? settings->program : "built-in");
	json_add_switch(object, "profile", settings->profile);
	json_add_text(object, "no_profile_why", settings->no_profile_why);
	json_add_text(object, "server", settings->url ? settings->url : "simulator");
	if (!settings->url)
		json_add_text(object, "event_size", settings->lean ? "lean" : "full");
	json_add_switch(object, "pinned", experiment->pinned);
	json_add_text(object, "cpus", experiment->pin_text);
	return object;
}

static void add_cell(struct json_object *object, const struct experiment_cell *cell)
{
	json_add_text(object, "label", cell->label);
	json_add_text(object, "runner", cell->interpreted ? "interpreted" : "direct");
	json_add_text(object, "parse", cell->full ? "full" : "control");
	json_add_number(object, "streams", cell->streams);
}

static struct json_object *run_json(const struct experiment *experiment, const struct experiment_run *run)
{
	static const char *const states[] = {
		[EXPERIMENT_WAITING] = "not-run",
		[EXPERIMENT_DONE] = "done",
		[EXPERIMENT_FAILED] = "failed",
		[EXPERIMENT_INTERRUPTED] = "interrupted",
	};
	const struct experiment_figures *figures = &run->figures;
	struct json_object *object = json_object_new_object();
	char folder[128];
	add_cell(object, run->cell);
	json_add_number(object, "round", run->round);
	json_add_number(object, "order", (uint64_t)(run - experiment->runs) + 1);
	snprintf(folder, sizeof folder, "%s/%u", run->cell->label, run->round);
	json_add_text(object, "folder", folder);
	json_add_text(object, "state", states[run->state]);
	if (run->state == EXPERIMENT_WAITING)
		return object;
	json_add_text(object, "why", run->why);
	json_add_number(object, "start_unix", (uint64_t)(run->start_unix_ns / NS_PER_SECOND));
	add_figure(object, "events", figures->events);
	add_figure(object, "event_bytes", figures->event_bytes);
	add_figure(object, "elapsed_seconds", figures->elapsed_seconds);
	add_figure(object, "events_per_second", figures->events_per_second);
	add_figure(object, "cpu_seconds", figures->cpu_seconds);
	add_figure(object, "rss_bytes_max", figures->rss_bytes);
	add_figure(object, "alloc_objects", figures->alloc_objects);
	add_figure(object, "alloc_bytes", figures->alloc_bytes);
	json_add_switch(object, "heap_given_up", figures->heap_given_up);
	add_figure(object, "server_cpu_seconds", run->server_cpu_seconds);
	return object;
}

static struct json_object *cell_json(const struct experiment *experiment, const struct experiment_cell *cell)
{
	static const char *const keys[QUANTITY_COUNT] = {
		[QUANTITY_EVENTS_PER_SECOND] = "events_per_second",
		[QUANTITY_CPU_PER_MILLION] = "cpu_seconds_per_million_events",
		[QUANTITY_ALLOCATIONS] = "allocations_per_event",
		[QUANTITY_ALLOC_BYTES] = "allocated_bytes_per_event",
		[QUANTITY_RSS_BYTES] = "rss_bytes_max",
		[QUANTITY_RUNNER_BUSY] = "runner_busy_cpus",
		[QUANTITY_SERVER_BUSY] = "server_busy_share",
		[QUANTITY_EVENT_BYTES] = "bytes_per_event",
	};
	struct json_object *object = json_object_new_object();
	add_cell(object, cell);
	json_add_number(object, "runs", experiment_repeats(experiment, cell));
	for (int i = 0; i < QUANTITY_COUNT; i++) {
		struct json_object *parts = json_object_new_object();
		struct experiment_figure figure =
			experiment_figure(experiment, cell, (enum experiment_quantity)i);
		add_figure(parts, "median", figure.median);
		add_figure(parts, "low", figure.low);
		add_figure(parts, "high", figure.high);
		json_object_object_add(object, keys[i], parts);
	}
	return object;
}

static struct json_object *citations_json(void)
{
	struct json_object *object = json_object_new_object();
	struct json_object *rows = json_object_new_array();
	json_add_text(object, "source", experiment_citation_source);
	for (size_t i = 0; i < EXPERIMENT_CITATION_COUNT; i++) {
		const struct experiment_citation *citation = &experiment_citations[i];
		struct json_object *row = json_object_new_object();
		json_add_text(row, "runner", citation->interpreted ? "interpreted" : "direct");
		json_add_text(row, "parse", citation->full ? "full" : "control");
		add_figure(row, "cpu_seconds_per_million_events", citation->cpu_per_million);
		add_figure(row, "events_per_second", citation->events_per_second);
		json_object_array_add(rows, row);
	}
	json_object_object_add(object, "rows", rows);
	return object;
}

char *experiment_json(const struct experiment *experiment)
{
	struct json_object *document = json_object_new_object();
	struct json_object *host = json_object_new_object();
	struct json_object *runs = json_object_new_array();
	struct json_object *cells = json_object_new_array();
	json_add_number(document, "version", EXPERIMENT_JSON_VERSION);
	json_add_text(document, "program_version", AKAMAI_PROF_VERSION);
	json_object_object_add(document, "settings", settings_json(experiment));
	json_add_host(host, sysconf(_SC_NPROCESSORS_ONLN));
	json_object_object_add(document, "host", host);
	for (size_t i = 0; i < experiment->cell_count; i++)
		json_object_array_add(cells, cell_json(experiment, &experiment->cells[i]));
	json_object_object_add(document, "cells", cells);
	for (size_t i = 0; i < experiment->run_count; i++)
		json_object_array_add(runs, run_json(experiment, &experiment->runs[i]));
	json_object_object_add(document, "runs", runs);
	json_object_object_add(document, "cited", citations_json());
	return json_text(document);
}
