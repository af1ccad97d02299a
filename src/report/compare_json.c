/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison as JSON: every figure of every run, what became of them, and all rows. Schema: README.md,
 * "compare". Written by hand, since the order and the digits are part of it.
 */
#include <string.h>

#include "report/compare_parts.h"
#include "report/text.h"

static const char *const unit_names[] = {
	[UNIT_COUNT] = "count",
	[UNIT_PER_SECOND] = "per second",
	[UNIT_SECONDS] = "seconds",
	[UNIT_SECONDS_PER_MILLION] = "seconds per million events",
	[UNIT_SHARE] = "percent",
	[UNIT_BYTES] = "bytes",
	[UNIT_BYTES_PER_SECOND] = "bytes per second",
	[UNIT_BYTES_PER_EVENT] = "bytes per event",
	[UNIT_OBJECTS_PER_EVENT] = "objects per event",
};
static const char *const better_names[] = {
	[BETTER_NEITHER] = "neither", [BETTER_HIGHER] = "higher", [BETTER_LOWER] = "lower"
};
static const char *const noise_names[] = { [NOISE_NONE] = "none",
					   [NOISE_BEYOND] = "beyond",
					   [NOISE_WITHIN] = "within",
					   [NOISE_UNKNOWN] = "unknown" };
static const char *const basis_names[] = { [0] = "",
					   [BASIS_RANGES] = "runs",
					   [BASIS_SAMPLES] = "samples",
					   [BASIS_RANGES | BASIS_SAMPLES] = "runs and samples" };

static void text(FILE *out, const char *key, const char *value, const char *behind)
{
	fprintf(out, "\"%s\": \"", key);
	text_json(out, value);
	fprintf(out, "\"%s", behind);
}

/* JSON has no words for what is not finite. */
static void number(FILE *out, double value)
{
	if (isfinite(value))
		fprintf(out, "%.15g", value);
	else
		fputs("null", out);
}

static void named_number(FILE *out, const char *key, double value)
{
	fprintf(out, "\"%s\": ", key);
	number(out, value);
	fputs(", ", out);
}

static void write_sides(const struct compare *compare, FILE *out)
{
	fputs("  \"sides\": [", out);
	for (size_t i = 0; i < compare->side_count; i++) {
		const struct compare_side *side = &compare->sides[i];
		const struct compare_run *run = &side->runs[0];
		fprintf(out, "%s\n    { ", i ? "," : "");
		text(out, "label", side->label, ", ");
		text(out, "path", side->path, ", ");
		text(out, "kind", side->is_file ? "file" : "folder", ", ");
		text(out, "runner", compare_runner(run), ", ");
		text(out, "parse", compare_configured(run, "parse"), ", ");
		fprintf(out, "\"streams\": %zu, \"runs\": [", run->record->stream_count);
		for (size_t k = 0; k < side->run_count; k++) {
			fputs(k ? ", \"" : "\"", out);
			text_json(out, side->runs[k].path);
			fputc('"', out);
		}
		fputs("] }", out);
	}
	fputs("\n  ],\n", out);
}

static void write_cell(const struct compare_side *side, const struct compare_row *row,
		       const struct compare_cell *cell, int has_raw, FILE *out)
{
	fputs("          { ", out);
	text(out, "side", side->label, ", ");
	named_number(out, "median", cell->median);
	named_number(out, "low", cell->low);
	named_number(out, "high", cell->high);
	named_number(out, "change", cell->change);
	text(out, "noise", noise_names[cell->noise], ", ");
	text(out, "basis", basis_names[cell->basis], ", ");
	if (has_raw) {
		named_number(out, "raw", cell->raw);
		named_number(out, "samples", cell->samples);
	}
	fputs("\"runs\": [", out);
	for (size_t k = 0; k < side->run_count; k++) {
		fputs(k ? ", " : "", out);
		number(out, row->figures[side->first + k]);
	}
	fputs("] }", out);
}

static void write_row(const struct compare *compare, const struct compare_table *table,
		      const struct compare_row *row, FILE *out)
{
	fputs("        { ", out);
	text(out, "name", row->key ? row->key : row->name, ", ");
	if (*row->module)
		text(out, "module", row->module, ", ");
	text(out, "unit", unit_names[row->unit], ", ");
	text(out, "better", better_names[row->better], ", ");
	fputs("\"sides\": [\n", out);
	for (size_t i = 0; i < compare->side_count; i++) {
		write_cell(&compare->sides[i], row, &row->cells[i], table->raw_unit != NULL, out);
		fputs(i + 1 < compare->side_count ? ",\n" : "\n", out);
	}
	fputs("        ] }", out);
}

static void write_tables(const struct compare *compare, FILE *out)
{
	const char *between = "";
	fputs("  \"tables\": [", out);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct compare_table *table = &compare->tables[i];
		if (!table->count)
			continue;
		fprintf(out, "%s\n    { ", between);
		between = ",";
		text(out, "name", table->key, ", ");
		text(out, "title", table->title, ", ");
		if (table->raw_unit)
			text(out, "raw_unit", table->raw_unit, ", ");
		fprintf(out, "\"row_count\": %zu, \"rows\": [\n", table->count);
		for (size_t r = 0; r < table->count - table->hidden; r++) {
			fputs(r ? ",\n" : "", out);
			write_row(compare, table, &table->rows[r], out);
		}
		fputs("\n      ] }", out);
	}
	fputs("\n  ],\n", out);
}

void compare_write_json(const struct compare *compare, FILE *out)
{
	fprintf(out, "{\n  \"version\": %d,\n  ", COMPARE_JSON_VERSION);
	text(out, "baseline", compare->sides[0].label, ",\n");
	fprintf(out, "  \"per_event\": %s,\n", compare->per_event ? "true" : "false");
	write_sides(compare, out);
	write_tables(compare, out);
	fputs("  \"notices\": [", out);
	for (size_t i = 0; i < compare->notice_count; i++) {
		fputs(i ? ",\n    \"" : "\n    \"", out);
		text_json(out, compare->notices[i]);
		fputc('"', out);
	}
	fputs(compare->notice_count ? "\n  ]\n}\n" : "]\n}\n", out);
}
