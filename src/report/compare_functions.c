/* SPDX-License-Identifier: Apache-2.0
 *
 * What the profiles say: CPU by package, stage and function, live heap and allocations by function.
 */
#include <stdlib.h>
#include <string.h>

#include "report/compare_parts.h"
#include "report/text.h"

int compare_cpu_value(const struct pprof *profile)
{
	int index = pprof_value_index(profile, "cpu");
	return index >= 0 ? index : (int)profile->value_count - 1;
}

int compare_samples_value(const struct pprof *profile)
{
	return pprof_value_index(profile, "samples");
}

static int is_time(const struct pprof *profile, int value_index)
{
	return value_index >= 0 &&
	       !strcmp(pprof_text(profile, profile->value_types[value_index].unit), "nanoseconds");
}

/* CPU time of the window by the events of the window; else the window's shares of the whole run. */
static double per_million(const struct compare_run *run)
{
	const struct pprof *profile = run->profiles[COMPARE_CPU];
	double events = compare_window_events(run), total;
	if (events > 0 && is_time(profile, compare_cpu_value(profile)))
		return 1e-9 * 1e6 / events;
	total = (double)pprof_total(profile, compare_cpu_value(profile));
	events = (double)run->record->events;
	return total > 0 && events > 0 ? run->record->cpu_seconds * 1e6 / events / total : NAN;
}

double compare_cpu_factor(const struct compare *compare, const struct compare_run *run)
{
	const struct pprof *profile = run->profiles[COMPARE_CPU];
	if (!profile || compare_cpu_value(profile) < 0)
		return NAN;
	if (compare->per_event)
		return per_million(run);
	double total = (double)pprof_total(profile, compare_cpu_value(profile));
	return total > 0 ? 100 / total : NAN;
}

/* Figures of one run's profile on their way into rows. */
struct filling {
	const struct compare *compare;
	struct frames *frames;
	int value, samples; /* value indices; samples: -1 when there are none */
	int is_go;
	double factor;
	size_t place; /* of the run */
};

static void add_to(double *sum, double more)
{
	*sum = isnan(*sum) ? more : *sum + more;
}

static void add(const struct filling *filling, struct compare_row *row, int64_t value, int64_t samples)
{
	add_to(&row->raws[filling->place], (double)value);
	add_to(&row->figures[filling->place], (double)value * filling->factor);
	if (filling->samples >= 0)
		add_to(&row->samples[filling->place], (double)samples);
}

/* ---- Whose code it is ---- */

static const char *main_module(const struct pprof *profile)
{
	return text_base_name(frames_program(profile));
}

static int ends_with(const char *text, const char *end)
{
	size_t bytes = strlen(text), end_bytes = strlen(end);
	return bytes >= end_bytes && !strcmp(text + bytes - end_bytes, end);
}

static int is_go(const struct pprof *profile)
{
	for (size_t i = 0; i < profile->function_count; i++)
		if (ends_with(pprof_text(profile, profile->functions[i].filename), ".go"))
			return 1;
	return 0;
}

enum { PACKAGE_BYTES_MAX = 200 };

/* Go keeps every package in one object, and says it in the name: "compress/flate.(*decompressor).moreBits",
 * "slices.Sort[go.shape.int]"; of functions in assembler only the file does: "/go/src/internal/bytealg/x.s".
 */
static const char *go_package(const struct frame *frame, char package[static PACKAGE_BYTES_MAX])
{
	const char *text = frame->name, *source = strstr(frame->file, "/src/");
	size_t end = strcspn(text, "[("), from = end;
	while (from > 0 && text[from - 1] != '/')
		from--;
	const char *dot = memchr(text + from, '.', end - from);
	size_t bytes = dot ? (size_t)(dot - text) : 0;
	if (!dot) {
		text = source ? source + strlen("/src/") : frame->file;
		const char *slash = strrchr(text, '/');
		bytes = slash ? (size_t)(slash - text) : 0;
	}
	snprintf(package, PACKAGE_BYTES_MAX, "%.*s",
		 (int)(bytes < PACKAGE_BYTES_MAX ? bytes : PACKAGE_BYTES_MAX - 1), text);
	return package;
}

static const char *package_of(const struct filling *filling, const struct frame *frame,
			      char package[static PACKAGE_BYTES_MAX])
{
	if (frame->kind == FRAME_KERNEL)
		return "[kernel]";
	if (filling->is_go && !strcmp(frame->module, main_module(filling->frames->profile)) &&
	    *go_package(frame, package))
		return package;
	return *frame->module ? frame->module : "[unknown]";
}

/* The program's own functions are the same ones under another name of the program. */
static const char *module_of(const struct filling *filling, const struct frame *frame)
{
	return strcmp(frame->module, main_module(filling->frames->profile)) != 0 ? frame->module : "";
}

/* ---- Filling ---- */

/* What each function took, and in how many samples. */
struct tops {
	struct top *values, *counts; /* counts: NULL when there are no samples */
	uint32_t *places;	     /* by frame: row in counts + 1 */
	size_t place_count;
};

static struct tops tops_create(const struct filling *filling)
{
	struct tops tops = { .values = top_create(filling->frames, filling->value) };
	if (filling->samples < 0)
		return tops;
	tops.counts = top_create(filling->frames, filling->samples);
	tops.place_count = filling->frames->count;
	tops.places = report_allocate(tops.place_count, sizeof *tops.places);
	for (size_t i = 0; i < tops.counts->count; i++)
		tops.places[tops.counts->rows[i].frame] = (uint32_t)i + 1;
	return tops;
}

static void tops_destroy(struct tops *tops)
{
	top_destroy(tops->values);
	top_destroy(tops->counts);
	free(tops->places);
}

/* Zeros when no sample of this function was counted. */
static struct top_row count_of(const struct tops *tops, uint32_t frame)
{
	if (!tops->counts || !tops->places[frame])
		return (struct top_row){ .frame = frame };
	return tops->counts->rows[tops->places[frame] - 1];
}

static void fill_functions(const struct filling *filling, struct compare_table *flat,
			   struct compare_table *cumulative, struct compare_table *lua)
{
	struct tops tops = tops_create(filling);
	for (size_t i = 0; i < tops.values->count; i++) {
		const struct top_row *row = &tops.values->rows[i];
		struct top_row count = count_of(&tops, row->frame);
		const struct frame *frame = &filling->frames->frames[row->frame];
		const char *module = module_of(filling, frame);
		struct compare_table *tables[] = { flat, cumulative, strcmp(module, "[lua]") ? NULL : lua };
		for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
			int64_t value = k ? row->cumulative : row->flat;
			if (!tables[k] || value <= 0)
				continue;
			struct compare_row *to =
				compare_row(filling->compare, tables[k], frame->name, module);
			to->kind = frame->kind;
			add(filling, to, value, k ? count.cumulative : count.flat);
		}
	}
	tops_destroy(&tops);
}

static void fill_packages(const struct filling *filling, struct compare_table *table)
{
	char package[PACKAGE_BYTES_MAX];
	struct tops tops = tops_create(filling);
	for (size_t i = 0; i < tops.values->count; i++) {
		const struct top_row *row = &tops.values->rows[i];
		const struct frame *frame = &filling->frames->frames[row->frame];
		if (row->flat <= 0)
			continue;
		struct compare_row *to =
			compare_row(filling->compare, table, package_of(filling, frame, package), "");
		to->kind = frame->kind == FRAME_UNKNOWN ? FRAME_LIBRARY : frame->kind;
		add(filling, to, row->flat, count_of(&tops, row->frame).flat);
	}
	struct compare_row *all = compare_row(filling->compare, table, "all packages", "");
	all->kind = FRAME_LABEL;
	add(filling, all, tops.values->total, tops.counts ? tops.counts->total : 0);
	tops_destroy(&tops);
}

static void fill_stages(const struct filling *filling, struct compare_table *table)
{
	const struct pprof *profile = filling->frames->profile;
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct pprof_sample *sample = &profile->samples[i];
		const char *stage = pprof_label_text(profile, sample, "stage");
		if (sample->values[filling->value] <= 0)
			continue;
		struct compare_row *to =
			compare_row(filling->compare, table, stage && *stage ? stage : "none", "");
		to->kind = FRAME_LABEL;
		add(filling, to, sample->values[filling->value],
		    filling->samples >= 0 ? sample->values[filling->samples] : 0);
	}
}

/* A run that has the profile but not the function has 0 of it. Sets what one sample weighs, too. */
static void complete(const struct compare *compare, struct compare_table *table, int file,
		     const double *totals, const double *counts)
{
	for (size_t s = 0; s < compare->side_count; s++) {
		const struct compare_side *side = &compare->sides[s];
		double total = 0, count = 0;
		for (size_t k = side->first; k < side->first + side->run_count; k++) {
			total += isnan(totals[k]) ? 0 : totals[k];
			count += isnan(counts[k]) ? 0 : counts[k];
		}
		for (size_t r = 0; r < table->count; r++) {
			struct compare_row *row = &table->rows[r];
			row->cells[s].sample_weight = count > 0 ? total / count : 0;
			for (size_t k = 0; k < side->run_count; k++) {
				size_t place = side->first + k;
				if (!side->runs[k].profiles[file] || !isnan(row->figures[place]) ||
				    isnan(totals[place]))
					continue;
				row->figures[place] = row->raws[place] = 0;
				if (!isnan(counts[place]))
					row->samples[place] = 0;
			}
		}
	}
}

static void finish(struct compare *compare, unsigned id, unsigned unit)
{
	struct compare_table *table = &compare->tables[id];
	size_t shown_max = compare->options->top_count;
	for (size_t i = 0; i < table->count; i++) {
		table->rows[i].unit = (uint8_t)unit;
		table->rows[i].better = BETTER_LOWER;
	}
	compare_settle(compare, table);
	if (id != TABLE_PACKAGES && id != TABLE_STAGES && table->count > shown_max)
		table->hidden = table->count - shown_max;
}

/* Whether all sides that have a CPU profile know their events, too. */
static int events_known(const struct compare *compare)
{
	for (size_t i = 0; i < compare->side_count; i++)
		for (size_t k = 0; k < compare->sides[i].run_count; k++)
			if (compare->sides[i].runs[k].profiles[COMPARE_CPU] &&
			    isnan(per_million(&compare->sides[i].runs[k])))
				return 0;
	return 1;
}

/* A profile without stages has the label nowhere, or "none" everywhere. */
static void drop_empty_stages(struct compare_table *table)
{
	if (table->count == 1 && !strcmp(table->rows[0].name, "none"))
		compare_clear(table);
}

static void fill_run(struct compare *compare, const struct compare_run *run, size_t place, double *total,
		     double *count)
{
	const struct pprof *profile = run->profiles[COMPARE_CPU];
	*total = *count = NAN;
	if (!profile || compare_cpu_value(profile) < 0)
		return;
	struct filling filling = {
		.compare = compare,
		.frames = run->frames[COMPARE_CPU],
		.value = compare_cpu_value(profile),
		.samples = compare_samples_value(profile),
		.is_go = is_go(profile),
		.factor = compare_cpu_factor(compare, run),
		.place = place,
	};
	if (isnan(filling.factor))
		return; /* an empty profile */
	*total = (double)pprof_total(profile, filling.value) * filling.factor;
	if (filling.samples >= 0)
		*count = (double)pprof_total(profile, filling.samples);
	fill_packages(&filling, &compare->tables[TABLE_PACKAGES]);
	fill_stages(&filling, &compare->tables[TABLE_STAGES]);
	fill_functions(&filling, &compare->tables[TABLE_FLAT], &compare->tables[TABLE_CUMULATIVE],
		       &compare->tables[TABLE_LUA]);
}

static const char per_event_note[] = "CPU-seconds per million events, in the profiles' windows.";
static const char share_note[] =
	"Per cent of each profile: how many events were handled is not known of all.";

static const char *cpu_unit(const struct compare *compare)
{
	for (size_t i = 0; i < compare->side_count; i++)
		for (size_t k = 0; k < compare->sides[i].run_count; k++) {
			const struct pprof *profile = compare->sides[i].runs[k].profiles[COMPARE_CPU];
			if (profile && compare_cpu_value(profile) >= 0)
				return pprof_text(profile,
						  profile->value_types[compare_cpu_value(profile)].unit);
		}
	return "";
}

static void cpu_tables(struct compare *compare)
{
	static const struct {
		uint8_t id;
		const char *key, *title;
	} heads[] = {
		{ TABLE_PACKAGES, "cpu_packages", "CPU by package or library" },
		{ TABLE_STAGES, "cpu_stages", "CPU by stage" },
		{ TABLE_FLAT, "cpu_flat", "CPU by function, itself" },
		{ TABLE_CUMULATIVE, "cpu_cumulative", "CPU by function, with what it calls" },
		{ TABLE_LUA, "cpu_lua", "CPU by Lua function, with what it calls" },
	};
	double *totals = report_allocate(compare->run_count, sizeof *totals);
	double *counts = report_allocate(compare->run_count, sizeof *counts);
	compare->per_event = events_known(compare);
	for (size_t i = 0; i < compare->side_count; i++)
		for (size_t k = 0; k < compare->sides[i].run_count; k++) {
			size_t place = compare->sides[i].first + k;
			fill_run(compare, &compare->sides[i].runs[k], place, &totals[place], &counts[place]);
		}
	drop_empty_stages(&compare->tables[TABLE_STAGES]);
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct compare_table *table = &compare->tables[heads[i].id];
		table->key = heads[i].key;
		table->title = heads[i].title;
		table->note = compare->per_event ? per_event_note : share_note;
		table->raw_unit = cpu_unit(compare);
		complete(compare, table, COMPARE_CPU, totals, counts);
		finish(compare, heads[i].id, compare->per_event ? UNIT_SECONDS_PER_MILLION : UNIT_SHARE);
	}
	free(totals);
	free(counts);
}

static void heap_table(struct compare *compare, unsigned id, const char *type)
{
	double *totals = report_allocate(compare->run_count, sizeof *totals);
	double *counts = report_allocate(compare->run_count, sizeof *counts);
	struct compare_table *table = &compare->tables[id];
	for (size_t i = 0; i < compare->side_count; i++)
		for (size_t k = 0; k < compare->sides[i].run_count; k++) {
			const struct compare_run *run = &compare->sides[i].runs[k];
			const struct pprof *profile = run->profiles[COMPARE_HEAP_END];
			int value = profile ? pprof_value_index(profile, type) : -1;
			size_t place = compare->sides[i].first + k;
			totals[place] = counts[place] = NAN;
			if (value < 0)
				continue;
			totals[place] = (double)pprof_total(profile, value);
			struct filling filling = {
				compare, run->frames[COMPARE_HEAP_END], value, -1, is_go(profile), 1, place
			};
			fill_functions(&filling, table, NULL, NULL);
		}
	complete(compare, table, COMPARE_HEAP_END, totals, counts);
	finish(compare, id, UNIT_BYTES);
	free(totals);
	free(counts);
}

void compare_functions(struct compare *compare)
{
	struct compare_table *heap = &compare->tables[TABLE_HEAP], *churn = &compare->tables[TABLE_ALLOCATED];
	cpu_tables(compare);
	*heap = (struct compare_table){ .key = "heap_end_flat",
					.title = "Live heap at the end by function",
					.note = "Bytes in use that the function itself allocated.",
					.raw_unit = "bytes" };
	*churn = (struct compare_table){ .key = "allocated_flat",
					 .title = "Allocated bytes by function",
					 .note = "Bytes that the function itself allocated, freed or not.",
					 .raw_unit = "bytes" };
	heap_table(compare, TABLE_HEAP, "inuse_space");
	heap_table(compare, TABLE_ALLOCATED, "alloc_space");
}
