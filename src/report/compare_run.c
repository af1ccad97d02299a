/* SPDX-License-Identifier: Apache-2.0
 *
 * What runs say of themselves, in figures: throughput, memory, allocation churn; and what weakens the
 * comparison, in sentences.
 */
#include <stdlib.h>
#include <string.h>

#include "report/compare_parts.h"

const char *compare_configured(const struct compare_run *run, const char *key)
{
	const struct run_pairs *pairs = &run->record->configuration;
	for (size_t i = 0; i < pairs->count; i++)
		if (!strcmp(pairs->items[i].key, key))
			return pairs->items[i].text;
	return "";
}

const char *compare_runner(const struct compare_run *run)
{
	const struct run_record *record = run->record;
	if (!strcmp(record->program, "akamai-direct-prof"))
		return "direct";
	if (!strcmp(record->program, "akamai-prof"))
		return record->events != RUN_ABSENT ? "interpreted" : "record";
	return record->program;
}

/* Events that were handed on up to a moment; NaN: not known. */
static double events_at(const struct compare_run *run, double seconds)
{
	return run->record->sample_count && seconds >= 0 ? run_events_at(run->record, seconds) : NAN;
}

double compare_window_events(const struct compare_run *run)
{
	const struct run_profile *profile = &run->record->profile;
	const struct pprof *cpu = run->profiles[COMPARE_CPU];
	int64_t window_ns = profile->window_ns > 0 ? profile->window_ns : cpu ? cpu->duration_ns : 0;
	if (profile->window_start_ns < 0 || window_ns <= 0)
		return NAN;
	double start = (double)profile->window_start_ns / 1e9, end = start + (double)window_ns / 1e9;
	double events = events_at(run, end) - events_at(run, start);
	return events > 0 ? events : NAN;
}

static double known(int64_t number)
{
	return number == RUN_ABSENT ? NAN : (double)number;
}

static double heap_total(const struct compare_run *run, int file, const char *type)
{
	const struct pprof *profile = run->profiles[file];
	int index = profile ? pprof_value_index(profile, type) : -1;
	return index < 0 ? NAN : (double)pprof_total(profile, index);
}

/* From the profile, else from what the run wrote of that moment. */
static double heap_figure(const struct compare_run *run, int file, const char *type, int64_t noted)
{
	double total = heap_total(run, file, type);
	return isnan(total) ? known(noted) : total;
}

struct heap {
	double alloc_bytes, alloc_objects, inuse_bytes, inuse_objects, at_seconds;
};

static struct heap heap_of(const struct compare_run *run, int file)
{
	const struct run_heap *noted = &run->record->profile.heap;
	struct run_snapshot none = { RUN_ABSENT, RUN_ABSENT, RUN_ABSENT, RUN_ABSENT, RUN_ABSENT, RUN_ABSENT };
	const struct run_snapshot *snapshot = &none;
	if (file == COMPARE_HEAP_END && noted->snapshot_count)
		snapshot = &noted->snapshots[noted->snapshot_count - 1];
	if (file == COMPARE_HEAP_MID && noted->snapshot_count > 1)
		snapshot = &noted->snapshots[0];
	return (struct heap){
		.alloc_bytes = heap_figure(run, file, "alloc_space", snapshot->alloc_bytes),
		.alloc_objects = heap_figure(run, file, "alloc_objects", snapshot->alloc_objects),
		.inuse_bytes = heap_figure(run, file, "inuse_space", snapshot->inuse_bytes),
		.inuse_objects = heap_figure(run, file, "inuse_objects", snapshot->inuse_objects),
		.at_seconds = snapshot->at_ns >= 0 ? (double)snapshot->at_ns / 1e9 : NAN,
	};
}

enum figure {
	EVENTS,
	REQUESTS,
	ELAPSED,
	EVENTS_PER_SECOND,
	CPU_PER_MILLION,
	CPU_SECONDS,
	RECEIVED_PER_SECOND,
	PLAIN_PER_SECOND,
	PEAK_RSS,
	HEAP_MID,
	HEAP_MID_OBJECTS,
	HEAP_END,
	HEAP_END_OBJECTS,
	ALLOC_MID,
	ALLOC_END,
	ALLOC_END_OBJECTS,
	ALLOC_PER_EVENT,
	OBJECTS_PER_EVENT,
	LATE_ALLOC_PER_EVENT,
	FIGURE_COUNT,
};

/* `part` of so many wholes; NaN when one of them is not known. */
static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : NAN;
}

static void run_figures(const struct compare_run *run, double figures[static FIGURE_COUNT])
{
	const struct run_record *record = run->record;
	struct heap mid = heap_of(run, COMPARE_HEAP_MID), end = heap_of(run, COMPARE_HEAP_END);
	double events = known(record->events), elapsed = record->elapsed_seconds;
	double late_events = events - events_at(run, mid.at_seconds);
	figures[EVENTS] = events;
	figures[REQUESTS] = known(record->requests);
	figures[ELAPSED] = elapsed;
	figures[EVENTS_PER_SECOND] =
		isnan(record->events_per_second) ? ratio(events, elapsed) : record->events_per_second;
	figures[CPU_PER_MILLION] = ratio(record->cpu_seconds * 1e6, events);
	figures[CPU_SECONDS] = record->cpu_seconds;
	figures[RECEIVED_PER_SECOND] = ratio(known(record->received_bytes), elapsed);
	figures[PLAIN_PER_SECOND] = ratio(known(record->plain_bytes), elapsed);
	figures[PEAK_RSS] = record->rss_bytes_max > 0 ? (double)record->rss_bytes_max : NAN;
	figures[HEAP_MID] = mid.inuse_bytes;
	figures[HEAP_MID_OBJECTS] = mid.inuse_objects;
	figures[HEAP_END] = end.inuse_bytes;
	figures[HEAP_END_OBJECTS] = end.inuse_objects;
	figures[ALLOC_MID] = mid.alloc_bytes;
	figures[ALLOC_END] = end.alloc_bytes;
	figures[ALLOC_END_OBJECTS] = end.alloc_objects;
	figures[ALLOC_PER_EVENT] = ratio(end.alloc_bytes, events);
	figures[OBJECTS_PER_EVENT] = ratio(end.alloc_objects, events);
	figures[LATE_ALLOC_PER_EVENT] = ratio(end.alloc_bytes - mid.alloc_bytes, late_events);
}

static const struct {
	const char *key, *name;
	uint8_t table, unit, better;
} kinds[FIGURE_COUNT] = {
	[EVENTS] = { "events", "events", TABLE_THROUGHPUT, UNIT_COUNT, BETTER_NEITHER },
	[REQUESTS] = { "requests", "requests", TABLE_THROUGHPUT, UNIT_COUNT, BETTER_NEITHER },
	[ELAPSED] = { "elapsed_seconds", "elapsed", TABLE_THROUGHPUT, UNIT_SECONDS, BETTER_NEITHER },
	[EVENTS_PER_SECOND] = { "events_per_second", "events per second", TABLE_THROUGHPUT, UNIT_PER_SECOND,
				BETTER_HIGHER },
	[CPU_PER_MILLION] = { "cpu_seconds_per_million_events", "CPU-seconds per million events",
			      TABLE_THROUGHPUT, UNIT_SECONDS_PER_MILLION, BETTER_LOWER },
	[CPU_SECONDS] = { "cpu_seconds", "CPU time", TABLE_THROUGHPUT, UNIT_SECONDS, BETTER_NEITHER },
	[RECEIVED_PER_SECOND] = { "received_bytes_per_second", "received per second", TABLE_THROUGHPUT,
				  UNIT_BYTES_PER_SECOND, BETTER_HIGHER },
	[PLAIN_PER_SECOND] = { "plain_bytes_per_second", "inflated per second", TABLE_THROUGHPUT,
			       UNIT_BYTES_PER_SECOND, BETTER_HIGHER },
	[PEAK_RSS] = { "rss_bytes_max", "peak RSS", TABLE_MEMORY, UNIT_BYTES, BETTER_LOWER },
	[HEAP_MID] = { "heap_mid_bytes", "live heap at the midpoint", TABLE_MEMORY, UNIT_BYTES,
		       BETTER_LOWER },
	[HEAP_MID_OBJECTS] = { "heap_mid_objects", "objects at the midpoint", TABLE_MEMORY, UNIT_COUNT,
			       BETTER_LOWER },
	[HEAP_END] = { "heap_end_bytes", "live heap at the end", TABLE_MEMORY, UNIT_BYTES, BETTER_LOWER },
	[HEAP_END_OBJECTS] = { "heap_end_objects", "objects at the end", TABLE_MEMORY, UNIT_COUNT,
			       BETTER_LOWER },
	[ALLOC_MID] = { "allocated_mid_bytes", "allocated up to the midpoint", TABLE_CHURN, UNIT_BYTES,
			BETTER_LOWER },
	[ALLOC_END] = { "allocated_end_bytes", "allocated up to the end", TABLE_CHURN, UNIT_BYTES,
			BETTER_LOWER },
	[ALLOC_END_OBJECTS] = { "allocated_end_objects", "objects up to the end", TABLE_CHURN, UNIT_COUNT,
				BETTER_LOWER },
	[ALLOC_PER_EVENT] = { "allocated_bytes_per_event", "allocated per event", TABLE_CHURN,
			      UNIT_BYTES_PER_EVENT, BETTER_LOWER },
	[OBJECTS_PER_EVENT] = { "allocated_objects_per_event", "objects per event", TABLE_CHURN,
				UNIT_OBJECTS_PER_EVENT, BETTER_LOWER },
	[LATE_ALLOC_PER_EVENT] = { "late_allocated_bytes_per_event", "per event after the midpoint",
				   TABLE_CHURN, UNIT_BYTES_PER_EVENT, BETTER_LOWER },
};

void compare_figures(struct compare *compare)
{
	static const struct {
		uint8_t id;
		const char *key, *title, *note;
	} heads[] = {
		{ TABLE_THROUGHPUT, "throughput", "Throughput", "" },
		{ TABLE_MEMORY, "memory", "Memory",
		  "Live heap: allocated and not yet freed, touched or not." },
		{ TABLE_CHURN, "churn", "Allocation churn", "Everything that was allocated, freed or not." },
	};
	double(*all)[FIGURE_COUNT] = report_allocate(compare->run_count, sizeof *all);
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct compare_table *table = &compare->tables[heads[i].id];
		table->key = heads[i].key;
		table->title = heads[i].title;
		table->note = heads[i].note;
		table->is_scalars = 1;
	}
	for (size_t i = 0; i < compare->side_count; i++)
		for (size_t k = 0; k < compare->sides[i].run_count; k++)
			run_figures(&compare->sides[i].runs[k], all[compare->sides[i].first + k]);
	for (size_t f = 0; f < FIGURE_COUNT; f++) {
		struct compare_row *row = NULL;
		for (size_t i = 0; i < compare->run_count; i++) {
			if (isnan(all[i][f]))
				continue;
			row = compare_row(compare, &compare->tables[kinds[f].table], kinds[f].name, "");
			row->key = kinds[f].key;
			row->unit = kinds[f].unit;
			row->better = kinds[f].better;
			row->kind = FRAME_LABEL;
			row->figures[i] = all[i][f];
		}
	}
	free(all);
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
		compare_settle(compare, &compare->tables[heads[i].id]);
}

/* ---- What weakens the comparison ---- */

static void notice_run(struct compare *compare, const struct compare_run *run)
{
	const struct run_record *record = run->record;
	const struct run_heap *heap = &record->profile.heap;
	if (!run->recorded)
		return;
	if (record->exit_status > 0)
		compare_notice(compare, "%.300s ended with exit status %lld", run->path,
			       (long long)record->exit_status);
	if (record->exit_status == RUN_ABSENT)
		compare_notice(compare, "%.300s has not ended, or ended without a word", run->path);
	if (record->profile.samples_lost > 0)
		compare_notice(compare, "%.300s lost %lld CPU samples", run->path,
			       (long long)record->profile.samples_lost);
	if (heap->given_up == 1)
		compare_notice(compare,
			       "%.300s gave up tracking the heap: its figures are of the time before",
			       run->path);
	else if (heap->rate_bytes > 1)
		compare_notice(compare, "%.300s sampled its allocations, one for every %lld bytes", run->path,
			       (long long)heap->rate_bytes);
}

static const char *host_of(const struct compare_side *side, const char *key)
{
	const struct run_pairs *host = &side->runs[0].record->host;
	for (size_t i = 0; i < host->count; i++)
		if (!strcmp(host->items[i].key, key))
			return host->items[i].text;
	return "";
}

static void notice_host(struct compare *compare, const struct compare_side *side)
{
	static const char *const keys[] = { "kernel", "machine", "cpus_online" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *base = host_of(&compare->sides[0], keys[i]), *other = host_of(side, keys[i]);
		if (*base && *other && strcmp(base, other) != 0)
			compare_notice(compare,
				       "%.200s ran on another host: %s is %.100s there, %.100s for %.200s",
				       side->label, keys[i], other, base, compare->sides[0].label);
	}
}

/* What was set differently, apart from where the API was. */
static void notice_settings(struct compare *compare, const struct compare_side *side)
{
	const struct compare_run *base = &compare->sides[0].runs[0], *run = &side->runs[0];
	const struct run_pairs *pairs = &base->record->configuration;
	for (size_t i = 0; i < pairs->count; i++) {
		const char *key = pairs->items[i].key, *other = compare_configured(run, key);
		if (!*other || !strcmp(other, pairs->items[i].text) || !strcmp(key, "server"))
			continue;
		compare_notice(compare, "%.200s ran with %.100s %.100s, %.200s with %.100s", side->label, key,
			       other, compare->sides[0].label, pairs->items[i].text);
	}
}

void compare_notices(struct compare *compare)
{
	for (size_t i = 0; i < compare->side_count; i++)
		for (size_t k = 0; k < compare->sides[i].run_count; k++)
			notice_run(compare, &compare->sides[i].runs[k]);
	for (size_t i = 1; i < compare->side_count; i++) {
		notice_host(compare, &compare->sides[i]);
		notice_settings(compare, &compare->sides[i]);
	}
}
