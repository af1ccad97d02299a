/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison as one page: bars, tables, flame graphs side by side, and flame graphs of the differences.
 * No network, complete without script; every text from outside goes through text_escape().
 */
#include <string.h>

#include "report/assets.h"
#include "report/compare_parts.h"
#include "report/text.h"

static void words(FILE *out, const char *text)
{
	text_escape(out, text, TEXT_WHOLE);
}

static void write_head(const struct compare *compare, FILE *out)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	      "'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>",
	      out);
	for (size_t i = 0; i < compare->side_count; i++) {
		fputs(i ? ", " : "", out);
		words(out, compare->sides[i].label);
	}
	fprintf(out, " \u00b7 compared</title>\n<style>\n%s%s%s</style>\n</head>\n<body>\n", asset_report_css,
		asset_flame_css, asset_compare_css);
	fputs("<header>\n<p class=\"eyebrow\">Runs side by side</p>\n<h1>", out);
	for (size_t i = 0; i < compare->side_count; i++) {
		fputs(i ? " \u00b7 " : "", out);
		words(out, compare->sides[i].label);
	}
	fprintf(out, "</h1>\n<ul class=\"meta\"><li>%zu runs</li><li>baseline: ", compare->run_count);
	words(out, compare->sides[0].label);
	fputs("</li></ul>\n<nav><a href=\"#summary\">Summary</a>", out);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (compare->tables[i].count && compare->tables[i].is_scalars)
			fprintf(out, "<a href=\"#%s\">%s</a>", compare->tables[i].key,
				compare->tables[i].title);
	if (compare->tables[TABLE_PACKAGES].count)
		fputs("<a href=\"#cpu_packages\">CPU</a>", out);
	fputs("<a href=\"#flames\">Flame graphs</a></nav>\n</header>\n<main>\n", out);
}

/* ---- Bars ---- */

static const char *tone_class(unsigned tone)
{
	static const char *const classes[] = {
		[TONE_NONE] = "", [TONE_GOOD] = "good", [TONE_BAD] = "bad", [TONE_DIM] = "dim"
	};
	return classes[tone];
}

static void write_bar(const struct compare_side *side, const struct compare_row *row,
		      const struct compare_cell *cell, double most, FILE *out)
{
	char text[GRID_FIGURE_BYTES_MAX];
	fputs("<div class=\"row\"><span class=\"who\">", out);
	words(out, side->label);
	fputs("</span><span class=\"track\">", out);
	if (cell->count && most > 0) {
		fprintf(out, "<i style=\"width:%.2f%%\"></i>", cell->median / most * 100);
		if (cell->count > 1 && cell->high > cell->low)
			fprintf(out, "<b style=\"left:%.2f%%;width:%.2f%%\"></b>", cell->low / most * 100,
				(cell->high - cell->low) / most * 100);
	}
	fputs("</span><span class=\"figure\">", out);
	words(out, cell->count ? grid_figure(cell->median, row->unit, text) : "\u2013");
	fprintf(out, "</span><span class=\"change %s\">", tone_class(grid_tone(row, cell)));
	words(out, grid_change(cell, text));
	if (*text) {
		fputc(' ', out);
		words(out, grid_mark(cell));
	}
	fputs("</span></div>\n", out);
}

static void write_bars(const struct compare *compare, FILE *out)
{
	static const struct {
		uint8_t table;
		const char *key, *title;
	} bars[] = {
		{ TABLE_THROUGHPUT, "events_per_second", "Events per second" },
		{ TABLE_THROUGHPUT, "cpu_seconds_per_million_events", "CPU-seconds per million events" },
		{ TABLE_MEMORY, "rss_bytes_max", "Peak RSS" },
		{ TABLE_MEMORY, "heap_end_bytes", "Live heap at the end" },
		{ TABLE_CHURN, "allocated_end_bytes", "Allocated up to the end" },
		{ TABLE_CHURN, "allocated_bytes_per_event", "Allocated per event" },
	};
	fputs("<div class=\"bars\">\n", out);
	for (size_t b = 0; b < sizeof bars / sizeof *bars; b++) {
		const struct compare_row *row = compare_find(&compare->tables[bars[b].table], bars[b].key);
		double most = 0;
		if (!row)
			continue;
		fprintf(out, "<div><h3>%s</h3><p class=\"hint\">%s is better</p>\n", bars[b].title,
			row->better == BETTER_HIGHER ? "more" : "less");
		for (size_t i = 0; i < compare->side_count; i++)
			if (row->cells[i].count)
				most = fmax(most, row->cells[i].high);
		for (size_t i = 0; i < compare->side_count; i++)
			write_bar(&compare->sides[i], row, &row->cells[i], most, out);
		fputs("</div>\n", out);
	}
	fputs("</div>\n", out);
}

/* ---- Where the CPU time goes ---- */

enum { PARTS_MAX = 7 /* colours that are told apart; what is left is grey */ };

/* The largest rows of CPU by stage, or by package where there are no stages. */
static size_t parts_of(const struct compare_table *table, const struct compare_row *parts[static PARTS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < table->count && count < PARTS_MAX; i++)
		if (strcmp(table->rows[i].name, "all packages") != 0)
			parts[count++] = &table->rows[i];
	return count;
}

static void write_part(const struct compare_cell *cell, const char *name, size_t colour, double most,
		       double whole, unsigned unit, FILE *out)
{
	char text[GRID_FIGURE_BYTES_MAX];
	if (!(cell->median > 0))
		return;
	fprintf(out, "<i class=\"c%zu\" style=\"width:%.2f%%\" title=\"", colour, cell->median / most * 100);
	words(out, name);
	fputs(": ", out);
	words(out, grid_figure(cell->median, unit, text));
	if (unit != UNIT_SHARE) {
		fputs(", ", out);
		words(out, text_share(cell->median, whole, text));
	}
	fputs("\"></i>", out);
}

static void write_parts(const struct compare *compare, FILE *out)
{
	const struct compare_table *stages = &compare->tables[TABLE_STAGES];
	const struct compare_table *table = stages->count ? stages : &compare->tables[TABLE_PACKAGES];
	const struct compare_row *parts[PARTS_MAX],
		*all = compare_find(&compare->tables[TABLE_PACKAGES], "all packages");
	size_t count = parts_of(table, parts);
	double most = 0;
	if (!all || !count)
		return;
	fprintf(out, "<div class=\"parts\"><h3>%s</h3>\n<p class=\"hint\">%s</p>\n<p class=\"key\">",
		table->title, table->note);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "<span><i class=\"dot c%zu\"></i>", i + 1);
		words(out, parts[i]->name);
		fputs("</span>", out);
	}
	if (table->count > count + (table != stages)) /* "all packages" is one of them */
		fprintf(out, "<span><i class=\"dot c%d\"></i>all others</span>", PARTS_MAX + 1);
	fputs("</p>\n", out);
	for (size_t i = 0; i < compare->side_count; i++)
		most = fmax(most, all->cells[i].median); /* fmax() passes over NaN */
	for (size_t i = 0; i < compare->side_count && most > 0; i++) {
		struct compare_cell rest = all->cells[i];
		fputs("<div class=\"row\"><span class=\"who\">", out);
		words(out, compare->sides[i].label);
		fputs("</span><span class=\"track\">", out);
		for (size_t k = 0; k < count; k++) {
			const struct compare_cell *cell = &parts[k]->cells[i];
			write_part(cell, parts[k]->name, k + 1, most, all->cells[i].median, all->unit, out);
			rest.median -= cell->count ? cell->median : 0;
		}
		/* Medians of parts do not add up to the median of the whole. */
		if (rest.median > all->cells[i].median * 0.001)
			write_part(&rest, "all others", PARTS_MAX + 1, most, all->cells[i].median, all->unit,
				   out);
		fputs("</span></div>\n", out);
	}
	fputs("</div>\n", out);
}

/* ---- Tables ---- */

static void write_cell(const struct grid *grid, size_t row, size_t column, FILE *out)
{
	const struct grid_cell *cell = &grid->cells[row * grid->columns + column];
	const char *element = row == 0 || column == 0 ? "th" : "td", *tone = tone_class(cell->tone);
	fprintf(out, "<%s%s class=\"%s%s%s\">", element,
		row ? column ? "" : " scope=\"row\"" : " scope=\"col\"", cell->is_left ? "text" : "",
		cell->is_left && *tone ? " " : "", tone);
	int is_name = row > 0 && column == 0 && cell->is_code;
	fputs(is_name ? "<code class=\"fn\" title=\"" : "", out);
	if (is_name) {
		words(out, cell->text);
		fputs("\">", out);
	}
	words(out, cell->text ? cell->text : "");
	fprintf(out, "%s</%s>", is_name ? "</code>" : "", element);
}

static void write_grid(const struct grid *grid, FILE *out)
{
	if (*grid->note)
		fprintf(out, "<p class=\"hint\">%s</p>\n", grid->note);
	fputs("<div class=\"scroll\"><table class=\"compared\"><thead>", out);
	for (size_t row = 0; row < grid->rows; row++) {
		fputs(row == 1 ? "<tbody>\n<tr>" : "<tr>", out);
		for (size_t column = 0; column < grid->columns; column++)
			write_cell(grid, row, column, out);
		fputs(row ? "</tr>\n" : "</tr></thead>\n", out);
	}
	fputs(grid->rows > 1 ? "</tbody></table></div>\n" : "</table></div>\n", out);
	if (grid->hidden)
		fprintf(out, "<p class=\"hint\">%zu more; -top shows them.</p>\n", grid->hidden);
}

static void write_tables(const struct compare *compare, FILE *out)
{
	/* Two tables beside each other, where they are narrow. */
	fprintf(out, "<div class=\"%s\">\n", compare->side_count <= 2 ? "tables" : "tables wide");
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct compare_table *table = &compare->tables[i];
		if (!table->count)
			continue;
		struct grid *grid = grid_of_table(compare, table, 1, compare->side_count - 1, 1);
		fprintf(out, "<section id=\"%s\">\n<h2>%s</h2>\n", table->key, table->title);
		write_grid(grid, out);
		fputs("</section>\n", out);
		grid_destroy(grid);
	}
	fputs("</div>\n", out);
}

/* ---- Flame graphs ---- */

static void write_keys(FILE *out)
{
	fputs("<p class=\"key\">", out);
	for (unsigned kind = 0; kind < FRAME_LABEL; kind++)
		fprintf(out, "<span><i class=\"dot %s\"></i>%s</span>", frame_kind_class(kind),
			frame_kind_title(kind));
	fputs("<span><i class=\"dot own i\"></i>lighter: inlined</span></p>\n", out);
}

static void write_change_keys(FILE *out)
{
	static const struct {
		const char *class, *title;
	} keys[] = {
		{ "less3", "half or less" },
		{ "less2", "\u221220 % and more" },
		{ "less1", "\u22125 % and more" },
		{ "same", "the same, or noise" },
		{ "more1", "+5 %" },
		{ "more2", "+25 %" },
		{ "more3", "double, or new" },
	};
	fputs("<p class=\"key\">", out);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		fprintf(out, "<span><i class=\"dot %s\"></i>%s</span>", keys[i].class, keys[i].title);
	fputs("</p>\n", out);
}

static void open_figure(const char *label, const char *before, FILE *out)
{
	fprintf(out, "<figure><figcaption><h3>%s", before);
	words(out, label);
	fputs("</h3></figcaption>\n<div class=\"graph\">\n", out);
}

static void write_flames(const struct compare *compare, unsigned kind, FILE *out)
{
	fprintf(out, "<h3 class=\"pictures\">%s</h3>\n<div class=\"two flames%s\">\n",
		compare_picture_title(kind), kind == PICTURE_CPU ? "" : " hanging");
	for (size_t i = 0; i < compare->side_count; i++) {
		if (!compare_has_picture(&compare->sides[i], kind))
			continue;
		open_figure(compare->sides[i].label, "", out);
		compare_write_flame(&compare->sides[i], kind, out);
		fputs("</div></figure>\n", out);
	}
	fputs("</div>\n", out);
}

static void write_differences(const struct compare *compare, unsigned kind, FILE *out)
{
	fprintf(out, "<h3 class=\"pictures\">%s: what changed</h3>\n", compare_picture_title(kind));
	fprintf(out,
		"<p class=\"hint\">As wide as the figures of the run that is named, coloured by the change "
		"to the baseline%s.</p>\n",
		kind != PICTURE_CPU  ? ", in bytes"
		: compare->per_event ? ", in CPU time per event"
				     : ", in shares of the profile");
	write_change_keys(out);
	for (size_t i = 1; i < compare->side_count; i++) {
		if (!compare_has_picture(&compare->sides[i], kind))
			continue;
		open_figure(compare->sides[i].label, "", out);
		compare_write_difference(compare, &compare->sides[i], kind, out);
		fputs("</div></figure>\n", out);
	}
}

static void write_pictures(const struct compare *compare, FILE *out)
{
	int any = 0;
	fputs("<section id=\"flames\">\n<h2>Flame graphs</h2>\n", out);
	for (unsigned kind = 0; kind < PICTURE_KIND_COUNT; kind++) {
		size_t sides = 0;
		for (size_t i = 0; i < compare->side_count; i++)
			sides += (size_t)compare_has_picture(&compare->sides[i], kind);
		if (!sides)
			continue;
		if (!any++) {
			fputs("<p class=\"hint\">Width is share; a function stands on its caller (below it, "
			      "for "
			      "memory). Click to zoom, Ctrl-F over a graph to search, Escape to go "
			      "back.</p>\n",
			      out);
			write_keys(out);
		}
		write_flames(compare, kind, out);
		if (compare_has_picture(&compare->sides[0], kind) && sides > 1)
			write_differences(compare, kind, out);
	}
	if (!any)
		fputs("<p class=\"missing\">None of these runs was profiled (cpu_mid.pprof, heap_end.pprof "
		      "...).</p>\n",
		      out);
	fputs("</section>\n", out);
}

static void write_notices(const struct compare *compare, FILE *out)
{
	if (!compare->notice_count)
		return;
	fputs("<ul class=\"notices\">\n", out);
	for (size_t i = 0; i < compare->notice_count; i++) {
		fputs("<li>", out);
		words(out, compare->notices[i]);
		fputs("</li>\n", out);
	}
	fputs("</ul>\n", out);
}

int compare_write_page(const struct compare *compare, FILE *out)
{
	write_head(compare, out);
	struct grid *grid = grid_of_sides(compare, GRID_WHOLE);
	fputs("<section id=\"summary\">\n<h2>Summary</h2>\n", out);
	write_bars(compare, out);
	write_parts(compare, out);
	write_grid(grid, out);
	grid_destroy(grid);
	fputs("<p class=\"hint\">", out);
	words(out, grid_legend);
	fputs("</p>\n", out);
	write_notices(compare, out);
	fputs("</section>\n", out);
	write_tables(compare, out);
	write_pictures(compare, out);
	fprintf(out,
		"</main>\n<script>\n%sdocument.querySelectorAll(\"svg.flame\").forEach(flame);\n</script>\n</"
		"body>\n</html>\n",
		asset_flame_js);
	return ferror(out) ? -1 : 0;
}
