/* SPDX-License-Identifier: Apache-2.0
 *
 * Flame graphs of sides, all their runs poured into one profile, and of differences: as wide as one side's
 * figures, coloured by what became of the baseline's.
 */
#include <stdlib.h>
#include <string.h>

#include "report/compare_parts.h"
#include "report/flame.h"
#include "report/text.h"
#include "report/tree.h"

static const struct {
	const char *title, *type;
	uint8_t file, unit;
} kinds[PICTURE_KIND_COUNT] = {
	[PICTURE_CPU] = { "CPU", "cpu", COMPARE_CPU, UNIT_SECONDS_PER_MILLION },
	[PICTURE_LIVE] = { "Live heap at the end", "inuse_space", COMPARE_HEAP_END, UNIT_BYTES },
	[PICTURE_ALLOCATED] = { "Allocated bytes", "alloc_space", COMPARE_HEAP_END, UNIT_BYTES },
};

const char *compare_picture_title(unsigned kind)
{
	return kinds[kind].title;
}

/* -1: the run has none. */
static int value_of(const struct compare_run *run, unsigned kind)
{
	const struct pprof *profile = run->profiles[kinds[kind].file];
	if (!profile)
		return -1;
	return kind == PICTURE_CPU ? compare_cpu_value(profile)
				   : pprof_value_index(profile, kinds[kind].type);
}

int compare_has_picture(const struct compare_side *side, unsigned kind)
{
	for (size_t i = 0; i < side->run_count; i++) {
		int value = value_of(&side->runs[i], kind);
		if (value >= 0 && pprof_total(side->runs[i].profiles[kinds[kind].file], value) > 0)
			return 1;
	}
	return 0;
}

/* ---- Several profiles poured into one ---- */

struct pool {
	struct pprof *profile;
	uint32_t *mapping_of; /* by string of the pool: mapping id, or 0 */
	size_t room;
	uint64_t address; /* of the last location: places of different objects stay apart */
};

static uint32_t add_mapping(struct pool *pool, const char *name)
{
	uint32_t string = pprof_string(pool->profile, name);
	size_t before = pool->room;
	pool->mapping_of = room_for(pool->mapping_of, &pool->room, string, 1, sizeof *pool->mapping_of);
	memset(pool->mapping_of + before, 0, (pool->room - before) * sizeof *pool->mapping_of);
	if (!pool->mapping_of[string])
		pool->mapping_of[string] = pprof_add_mapping(
			pool->profile, &(struct pprof_mapping){ .filename = string, .has_functions = 1 });
	return pool->mapping_of[string];
}

/* The first mapping is the program, whatever the runs call it. */
static struct pool pool_create(const struct compare_side *side, unsigned kind, size_t slots, const char *unit)
{
	struct pool pool = { .profile = pprof_create() };
	const char *program = "program";
	for (size_t i = 0; i < slots; i++)
		pprof_add_value_type(pool.profile, kinds[kind].type, unit);
	for (size_t i = side->run_count; i-- > 0;) {
		const struct pprof *profile = side->runs[i].profiles[kinds[kind].file];
		if (profile && *frames_program(profile))
			program = frames_program(profile);
	}
	add_mapping(&pool, program);
	return pool;
}

static uint32_t add_location(struct pool *pool, const struct frames *frames, size_t location)
{
	const struct pprof *from = frames->profile;
	struct pprof_line lines[PPROF_LINES_MAX];
	uint32_t mapping = from->locations[location].mapping_id;
	const char *name = mapping ? pprof_text(from, from->mappings[mapping - 1].filename) : "";
	uint32_t count =
		frames->counts[location] < PPROF_LINES_MAX ? frames->counts[location] : PPROF_LINES_MAX;
	for (uint32_t i = 0; i < count; i++) {
		/* Frames are outermost first, lines innermost. */
		const struct frame *frame =
			&frames->frames[frames->numbers[frames->firsts[location] + count - 1 - i]];
		uint32_t text = pprof_string(pool->profile, frame->name);
		lines[i] = (struct pprof_line){
			.function_id = pprof_add_function(
				pool->profile,
				&(struct pprof_function){ .name = text,
							  .system_name = text,
							  .filename =
								  pprof_string(pool->profile, frame->file) })
		};
	}
	if (mapping)
		mapping = strcmp(name, frames_program(from)) != 0 ? add_mapping(pool, name) : 1;
	return pprof_add_location(pool->profile, mapping, ++pool->address, lines, count);
}

/* `slot` takes the values times `factor`, the slot behind it the number of samples when there is one. */
static void pour(struct pool *pool, const struct compare_run *run, unsigned kind, size_t slot, int has_counts,
		 double factor)
{
	const struct frames *frames = run->frames[kinds[kind].file];
	const struct pprof *from = frames->profile;
	int value = value_of(run, kind), counts = has_counts ? compare_samples_value(from) : -1;
	uint32_t *map = report_allocate(from->location_count, sizeof *map);
	uint32_t *ids = report_allocate(PPROF_FRAMES_MAX, sizeof *ids);
	for (size_t i = 0; i < from->sample_count; i++) {
		const struct pprof_sample *sample = &from->samples[i];
		int64_t values[PPROF_VALUES_MAX] = { 0 };
		struct pprof_label label = { .key = 0 };
		const char *stage = pprof_label_text(from, sample, "stage");
		if (sample->values[value] <= 0)
			continue;
		for (uint32_t k = 0; k < sample->locations_count; k++) {
			uint32_t location = from->location_ids[sample->locations_first + k] - 1;
			if (!map[location])
				map[location] = add_location(pool, frames, location);
			ids[k] = map[location];
		}
		if (stage) {
			label.key = pprof_string(pool->profile, "stage");
			label.text = pprof_string(pool->profile, stage);
		}
		values[slot] = (int64_t)fmin((double)sample->values[value] * factor, 9e18);
		if (counts >= 0)
			values[slot + 1] = sample->values[counts];
		pprof_add_sample(pool->profile, ids, sample->locations_count, &label, stage != NULL, values);
	}
	free(ids);
	free(map);
}

static void pool_destroy(struct pool *pool)
{
	pprof_destroy(pool->profile);
	free(pool->mapping_of);
}

static const char *lowest_row(const struct pprof *profile)
{
	for (size_t i = 0; i < profile->sample_count; i++) {
		const char *stage = pprof_label_text(profile, &profile->samples[i], "stage");
		if (stage && strcmp(stage, "none") != 0)
			return "stage";
	}
	return NULL;
}

static const char *unit_of(const struct compare_side *side, unsigned kind)
{
	for (size_t i = 0; i < side->run_count; i++) {
		int value = value_of(&side->runs[i], kind);
		const struct pprof *profile = side->runs[i].profiles[kinds[kind].file];
		if (value >= 0)
			return pprof_text(profile, profile->value_types[value].unit);
	}
	return "";
}

void compare_write_flame(const struct compare_side *side, unsigned kind, FILE *out)
{
	struct pool pool = pool_create(side, kind, 1, unit_of(side, kind));
	size_t runs = 0;
	for (size_t i = 0; i < side->run_count; i++) {
		if (value_of(&side->runs[i], kind) < 0)
			continue;
		pour(&pool, &side->runs[i], kind, 0, 0, 1);
		runs++;
	}
	char amount[TEXT_BYTES_MAX], subtitle[2 * TEXT_BYTES_MAX];
	snprintf(subtitle, sizeof subtitle, "%s in %zu %s",
		 text_value((double)pprof_total(pool.profile, 0), unit_of(side, kind), amount), runs,
		 runs == 1 ? "run" : "runs together");
	struct flame_options options = { .title = kinds[kind].title,
					 .subtitle = subtitle,
					 .value_index = 0,
					 .label = lowest_row(pool.profile) };
	flame_write_element(pool.profile, &options, out);
	pool_destroy(&pool);
}

/* ---- Differences ---- */

/* Slots of the pool, and of a node's figures. */
enum { BASE, BASE_SAMPLES, SIDE, SIDE_SAMPLES, SLOT_COUNT };

/* Figures become whole numbers in the pool: seconds per million events as femtoseconds an event, shares as
 * billionths of a per cent. Bytes are whole already. */
static const double pool_scale = 1e9;

struct difference {
	struct tree *tree;
	unsigned unit;
	double scale;	   /* of BASE and SIDE */
	double *figures;   /* SLOT_COUNT a node, as in the pool */
	double weights[2]; /* of a sample of the baseline, of the side; 0: not sampled */
	double totals[2];  /* of the baseline, of the side */
	double gone;	   /* the baseline's figures on paths that the side has not */
	const char *base_label;
};

/* Values of one sample onto its path, as far as the side has it. */
static void walk(struct difference *difference, const struct pprof_sample *sample, const char *label)
{
	const struct tree *tree = difference->tree;
	uint32_t numbers[FRAMES_DEPTH_MAX], node = 0;
	size_t count = frames_of_sample(tree->frames, sample, numbers), at = 0;
	int has_row = label != NULL;
	for (;;) {
		for (int slot = 0; slot < SLOT_COUNT; slot++)
			difference->figures[node * SLOT_COUNT + (size_t)slot] += (double)sample->values[slot];
		if (!has_row && at == count)
			return;
		uint32_t frame =
			has_row ? tree_label_frame(tree->frames,
						   pprof_label_text(tree->frames->profile, sample, label))
				: numbers[at++];
		has_row = 0;
		node = tree_child(tree, node, frame);
		if (!node) {
			difference->gone += (double)sample->values[BASE];
			return;
		}
	}
}

/* What tree_layout() merged has the sums of the siblings that it left out. */
static void sum_merged(struct difference *difference, size_t own_count)
{
	const struct tree *tree = difference->tree;
	uint8_t *kept = report_allocate(tree->count, sizeof *kept);
	uint32_t *merged = report_allocate(tree->count, sizeof *merged); /* by parent; 0: none */
	for (size_t i = 0; i < tree->kept_count; i++)
		kept[tree->kept[i]] = 1;
	for (size_t i = own_count; i < tree->count; i++)
		merged[tree->nodes[i].parent] = (uint32_t)i;
	for (size_t i = 1; i < own_count; i++) {
		uint32_t to = merged[tree->nodes[i].parent];
		for (size_t slot = 0; !kept[i] && to && slot < SLOT_COUNT; slot++)
			difference->figures[to * SLOT_COUNT + slot] +=
				difference->figures[i * SLOT_COUNT + slot];
	}
	free(merged);
	free(kept);
}

/* As in compare.c, for figures that have samples only: pooled over the runs of a side. */
static int is_noise(const struct difference *difference, const double *figures)
{
	double variance = 0;
	for (int i = 0; i < 2; i++) {
		double weight = difference->weights[i];
		if (!(weight > 0))
			return 0;
		variance += weight * weight * fmax(figures[i ? SIDE_SAMPLES : BASE_SAMPLES], 1);
	}
	return fabs(figures[SIDE] - figures[BASE]) <= COMPARE_SIGMAS * sqrt(variance);
}

/* Change in parts of the larger one: from -1 to 1, new is 1. */
static double change_of(const double *figures)
{
	double most = fmax(figures[BASE], figures[SIDE]);
	return most > 0 ? (figures[SIDE] - figures[BASE]) / most : 0;
}

static const char *class_of(const void *owner, uint32_t node)
{
	static const char *const more[] = { "same", "more1", "more2", "more3" };
	static const char *const less[] = { "same", "less1", "less2", "less3" };
	const struct difference *difference = owner;
	const double *figures = &difference->figures[(size_t)node * SLOT_COUNT];
	double change = change_of(figures), size = fabs(change);
	size_t step = size < 0.05 || is_noise(difference, figures) ? 0 : size < 0.2 ? 1 : size < 0.5 ? 2 : 3;
	return change > 0 ? more[step] : less[step];
}

/* What a figure alone does not say. */
static const char *unit_words(unsigned unit)
{
	return unit == UNIT_SECONDS_PER_MILLION ? " CPU-seconds per million events" : "";
}

static void tell(const void *owner, uint32_t node, FILE *out)
{
	const struct difference *difference = owner;
	const double *figures = &difference->figures[(size_t)node * SLOT_COUNT];
	double base = figures[BASE] / difference->scale, side = figures[SIDE] / difference->scale;
	char texts[3][GRID_FIGURE_BYTES_MAX];
	struct compare_cell cell = { .change = base > 0 ? side / base - 1 : INFINITY };
	fputc('\n', out);
	text_escape(out, grid_figure(base, difference->unit, texts[0]), TEXT_WHOLE);
	fputs(" \u2192 ", out);
	text_escape(out, grid_figure(side, difference->unit, texts[1]), TEXT_WHOLE);
	fprintf(out, "%s, ", unit_words(difference->unit));
	text_escape(out, grid_change(&cell, texts[2]), TEXT_WHOLE);
	if (cell.change != 0 && is_noise(difference, figures))
		fputs(", within the noise", out);
	if (difference->unit != UNIT_SHARE) {
		fputs("\nshare ", out);
		text_escape(out, text_share(figures[BASE], difference->totals[0], texts[0]), TEXT_WHOLE);
		fputs(" \u2192 ", out);
		text_escape(out, text_share(figures[SIDE], difference->totals[1], texts[1]), TEXT_WHOLE);
	}
	if (difference->weights[0] > 0 && difference->weights[1] > 0)
		fprintf(out, "\n%.0f \u2192 %.0f samples", figures[BASE_SAMPLES], figures[SIDE_SAMPLES]);
}

/* Runs of a side that have the profile; each gives its part of the side's mean. */
static void pour_side(const struct compare *compare, struct pool *pool, const struct compare_side *side,
		      unsigned kind, size_t slot, double scale)
{
	size_t runs = 0;
	for (size_t i = 0; i < side->run_count; i++)
		runs += value_of(&side->runs[i], kind) >= 0;
	for (size_t i = 0; i < side->run_count; i++) {
		double factor = kind == PICTURE_CPU ? compare_cpu_factor(compare, &side->runs[i]) : 1;
		if (value_of(&side->runs[i], kind) >= 0 && !isnan(factor))
			pour(pool, &side->runs[i], kind, slot, kind == PICTURE_CPU,
			     factor * scale / (double)runs);
	}
}

static void draw(struct difference *difference, const struct compare_side *side, unsigned kind, FILE *out)
{
	char texts[2][GRID_FIGURE_BYTES_MAX], subtitle[REPORT_ERROR_BYTES_MAX];
	int used =
		snprintf(subtitle, sizeof subtitle, "%.100s %s, %.100s %s%s", difference->base_label,
			 grid_figure(difference->totals[0] / difference->scale, difference->unit, texts[0]),
			 side->label,
			 grid_figure(difference->totals[1] / difference->scale, difference->unit, texts[1]),
			 unit_words(difference->unit));
	if (difference->gone > 0 && used > 0 && (size_t)used < sizeof subtitle)
		snprintf(subtitle + used, sizeof subtitle - (size_t)used,
			 "; %s of the baseline is on paths that are not here",
			 text_share(difference->gone, difference->totals[0], texts[0]));
	struct flame_options options = { .title = kinds[kind].title, .subtitle = subtitle };
	struct flame_dress dress = { difference, class_of, tell };
	flame_write_tree(difference->tree, &options, kind == PICTURE_CPU ? "nanoseconds" : "bytes", &dress,
			 out);
}

void compare_write_difference(const struct compare *compare, const struct compare_side *side, unsigned kind,
			      FILE *out)
{
	struct difference difference = {
		.unit = kind != PICTURE_CPU || compare->per_event ? kinds[kind].unit : UNIT_SHARE,
		.scale = kind == PICTURE_CPU ? pool_scale : 1,
		.base_label = compare->sides[0].label,
	};
	struct pool pool = pool_create(&compare->sides[0], kind, SLOT_COUNT, unit_of(side, kind));
	pour_side(compare, &pool, &compare->sides[0], kind, BASE, difference.scale);
	pour_side(compare, &pool, side, kind, SIDE, difference.scale);
	struct frames *frames = frames_create(pool.profile);
	const char *label = lowest_row(pool.profile);
	difference.tree = tree_create(frames, SIDE, label);
	size_t own_count = difference.tree->count;
	/* tree_layout() adds at most one node for each. */
	difference.figures = report_allocate(2 * own_count * SLOT_COUNT, sizeof *difference.figures);
	for (size_t i = 0; i < pool.profile->sample_count; i++)
		walk(&difference, &pool.profile->samples[i], label);
	for (int i = 0; i < 2; i++) {
		const double *root = difference.figures;
		double samples = root[i ? SIDE_SAMPLES : BASE_SAMPLES];
		difference.totals[i] = root[i ? SIDE : BASE];
		difference.weights[i] = samples > 0 ? difference.totals[i] / samples : 0;
	}
	tree_layout(difference.tree, TREE_RECTANGLES_MAX);
	sum_merged(&difference, own_count);
	draw(&difference, side, kind, out);
	free(difference.figures);
	tree_destroy(difference.tree);
	frames_destroy(frames);
	pool_destroy(&pool);
}
