/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables as words: figures with their units, differences with their marks. How the words are set is up to the
 * writers.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare_parts.h"
#include "report/text.h"

const char grid_legend[] = "~ within the noise: the ranges of the repeated runs meet, or the "
			   "difference is below two standard deviations of the number of samples. "
			   "? one run each: nothing to tell a difference from noise by. "
			   "Differences are to the first side.";

/* ---- Words ---- */

/* Blanks instead of non-breaking ones: terminals know no difference, and people search for what they see. */
static void plain_blanks(char *text)
{
	char *to = text;
	for (const char *at = text; *at;) {
		size_t bytes = strncmp(at, TEXT_NBSP, strlen(TEXT_NBSP)) == 0 ? strlen(TEXT_NBSP) : 1;
		*to++ = bytes > 1 ? ' ' : *at;
		at += bytes;
	}
	*to = 0;
}

/* Beyond that a number is written with the letter of its size: hostile ones would not fit. */
static const double whole_max = 1e12;
/* And there are no letters for more. */
static const double units_max = 1e18;

/* Three digits that count; below a thousandth it is only said that there is something. */
static void number(double figure, const char *unit, char text[static GRID_FIGURE_BYTES_MAX])
{
	double size = fabs(figure);
	if (size >= whole_max)
		snprintf(text_short(figure, text) + strlen(text), 8, "%s", unit);
	else if (figure > 0 && size < 0.0005)
		snprintf(text, GRID_FIGURE_BYTES_MAX, "<0.001%s", unit);
	else
		snprintf(text, GRID_FIGURE_BYTES_MAX, "%.*f%s",
			 size >= 99.95			 ? 0
			 : size >= 9.995		 ? 1
			 : size >= 0.9995 || figure == 0 ? 2
							 : 3,
			 figure, unit);
}

char *grid_figure(double figure, unsigned unit, char text[static GRID_FIGURE_BYTES_MAX])
{
	static_assert(GRID_FIGURE_BYTES_MAX >= TEXT_BYTES_MAX + 8, "a number with its unit fits");
	text[0] = 0;
	if (isnan(figure))
		return text;
	if (fabs(figure) >= units_max) {
		snprintf(text, GRID_FIGURE_BYTES_MAX, "%.3g", figure);
		return text;
	}
	switch ((enum compare_unit)unit) {
	case UNIT_COUNT:
	case UNIT_PER_SECOND:
		if (fabs(figure) < whole_max)
			text_count((int64_t)floor(figure + 0.5), text);
		else
			text_short(figure, text);
		break;
	case UNIT_SECONDS:
		number(figure, " s", text);
		break;
	case UNIT_SECONDS_PER_MILLION:
		number(figure, "", text);
		break;
	case UNIT_SHARE:
		text_share(figure, 100, text);
		break;
	case UNIT_BYTES:
		text_bytes(figure, text);
		break;
	case UNIT_BYTES_PER_SECOND:
		text_bytes(figure, text);
		snprintf(text + strlen(text), 8, "/s");
		break;
	case UNIT_BYTES_PER_EVENT:
		if (figure < 1)
			number(figure, " B", text);
		else
			text_bytes(figure, text);
		break;
	case UNIT_OBJECTS_PER_EVENT:
		number(figure, "", text);
		break;
	}
	plain_blanks(text);
	return text;
}

char *grid_change(const struct compare_cell *cell, char text[static GRID_FIGURE_BYTES_MAX])
{
	double percent = cell->change * 100;
	text[0] = 0;
	if (isnan(percent))
		return text;
	if (percent == 0)
		snprintf(text, GRID_FIGURE_BYTES_MAX, "=");
	else if (isinf(percent))
		snprintf(text, GRID_FIGURE_BYTES_MAX, "new");
	else if (fabs(percent) < 0.05)
		snprintf(text, GRID_FIGURE_BYTES_MAX, "0.0 %%");
	else if (fabs(percent) >= 1e6)
		snprintf(text, GRID_FIGURE_BYTES_MAX, ">+999999 %%");
	else
		snprintf(text, GRID_FIGURE_BYTES_MAX, "%+.*f %%", fabs(percent) >= 999.5 ? 0 : 1, percent);
	return text;
}

const char *grid_mark(const struct compare_cell *cell)
{
	if (cell->change == 0)
		return " ";
	return cell->noise == NOISE_WITHIN ? "~" : cell->noise == NOISE_UNKNOWN ? "?" : " ";
}

uint8_t grid_tone(const struct compare_row *row, const struct compare_cell *cell)
{
	if (cell->noise == NOISE_WITHIN || cell->change == 0)
		return TONE_DIM;
	if (cell->noise != NOISE_BEYOND || row->better == BETTER_NEITHER)
		return TONE_NONE;
	return (cell->change > 0) == (row->better == BETTER_HIGHER) ? TONE_GOOD : TONE_BAD;
}

/* ---- Cells ---- */

static struct grid *grid_create(size_t rows, size_t columns)
{
	struct grid *grid = report_allocate(1, sizeof *grid);
	grid->cells = report_allocate(rows * columns, sizeof *grid->cells);
	grid->rows = rows;
	grid->columns = columns;
	grid->title = grid->note = "";
	return grid;
}

void grid_destroy(struct grid *grid)
{
	for (size_t i = 0; i < grid->rows * grid->columns; i++)
		free(grid->cells[i].text);
	free(grid->cells);
	free(grid);
}

static struct grid_cell *put(struct grid *grid, size_t row, size_t column, const char *text)
{
	struct grid_cell *cell = &grid->cells[row * grid->columns + column];
	cell->text = report_copy(text);
	return cell;
}

/* A word that somebody else chose. */
static void put_word(struct grid *grid, size_t row, size_t column, const char *text)
{
	struct grid_cell *cell = put(grid, row, column, text);
	cell->is_left = cell->is_code = 1;
}

/* Columns whose body is empty go. */
static void drop_empty_columns(struct grid *grid)
{
	size_t kept = 0;
	struct grid_cell *cells = report_allocate(grid->rows * grid->columns, sizeof *cells);
	for (size_t column = 0; column < grid->columns; column++) {
		int is_full = 0;
		for (size_t row = 1; row < grid->rows; row++) {
			const char *text = grid->cells[row * grid->columns + column].text;
			is_full |= text && *text;
		}
		for (size_t row = 0; row < grid->rows; row++) {
			struct grid_cell *cell = &grid->cells[row * grid->columns + column];
			if (is_full)
				cells[row * grid->columns + kept] = *cell;
			else
				free(cell->text);
		}
		kept += (size_t)is_full;
	}
	for (size_t row = 0; row < grid->rows; row++)
		memmove(&cells[row * kept], &cells[row * grid->columns], kept * sizeof *cells);
	free(grid->cells);
	grid->cells = cells;
	grid->columns = kept;
}

static void put_change(struct grid *grid, size_t at, size_t column, const struct compare_row *row,
		       const struct compare_cell *cell)
{
	char change[GRID_FIGURE_BYTES_MAX], text[GRID_FIGURE_BYTES_MAX + 4];
	if (!*grid_change(cell, change))
		return;
	snprintf(text, sizeof text, "%s %s", change, grid_mark(cell));
	put(grid, at, column, text)->tone = grid_tone(row, cell);
}

/* Half the range of the repeated runs, as a part of the median. */
static void put_spread(struct grid *grid, size_t at, size_t column, const struct compare_cell *cell)
{
	char text[GRID_FIGURE_BYTES_MAX];
	if (cell->count < 2 || !(cell->median > 0) || cell->low == cell->high)
		return;
	snprintf(text, sizeof text, "\u00b1%.1f %%",
		 fmin((cell->high - cell->low) / 2 / cell->median * 100, 9999));
	put(grid, at, column, text)->tone = TONE_DIM;
}

/* ---- The sides ---- */

const struct compare_row *compare_find(const struct compare_table *table, const char *key)
{
	for (size_t i = 0; i < table->count; i++)
		if (!strcmp(table->rows[i].key ? table->rows[i].key : table->rows[i].name, key))
			return &table->rows[i];
	return NULL;
}

struct grid *grid_of_sides(const struct compare *compare, enum grid_detail detail)
{
	static const char *const heads[] = { "run", "runner", "parse", "streams", "runs" };
	static const struct {
		uint8_t table;
		const char *key, *head;
		uint8_t shown_from, change_from; /* enum grid_detail */
	} figures[] = {
		{ TABLE_THROUGHPUT, "events_per_second", "events/s", GRID_SHORT, GRID_WHOLE },
		{ TABLE_THROUGHPUT, "cpu_seconds_per_million_events", "CPU-s/M", GRID_SHORT, GRID_SHORT },
		{ TABLE_MEMORY, "rss_bytes_max", "peak RSS", GRID_MEDIUM, GRID_WHOLE },
	};
	enum { HEAD_COUNT = sizeof heads / sizeof *heads, FIGURES = sizeof figures / sizeof *figures };
	struct grid *grid = grid_create(compare->side_count + 1, HEAD_COUNT + 2 * FIGURES);
	char text[GRID_FIGURE_BYTES_MAX];
	grid->title = "Runs";
	grid->note = compare_find(&compare->tables[TABLE_THROUGHPUT], "cpu_seconds_per_million_events")
			     ? "CPU-s/M: CPU-seconds per million events. The first side is the baseline."
			     : "The first side is the baseline.";
	grid->shrinks = 1;
	for (size_t i = 0; i < HEAD_COUNT; i++)
		put(grid, 0, i, heads[i])->is_left = i < 3;
	for (size_t i = 0; i < compare->side_count; i++) {
		const struct compare_side *side = &compare->sides[i];
		const struct compare_run *run = &side->runs[0];
		put_word(grid, i + 1, 0, side->label);
		grid->cells[(i + 1) * grid->columns].is_label = 1;
		put_word(grid, i + 1, 1, side->is_file ? "pprof file" : compare_runner(run));
		put_word(grid, i + 1, 2, compare_configured(run, "parse"));
		if (run->record->stream_count)
			put(grid, i + 1, 3, text_count((int64_t)run->record->stream_count, text));
		put(grid, i + 1, 4, text_count((int64_t)side->run_count, text));
	}
	for (size_t f = 0; f < FIGURES; f++) {
		const struct compare_row *row =
			compare_find(&compare->tables[figures[f].table], figures[f].key);
		size_t column = HEAD_COUNT + 2 * f;
		put(grid, 0, column, figures[f].head);
		for (size_t i = 0; row && i < compare->side_count; i++) {
			if (detail >= figures[f].shown_from)
				put(grid, i + 1, column, grid_figure(row->cells[i].median, row->unit, text));
			if (detail >= figures[f].change_from)
				put_change(grid, i + 1, column + 1, row, &row->cells[i]);
		}
	}
	drop_empty_columns(grid);
	return grid;
}

/* ---- Tables ---- */

struct grid *grid_of_table(const struct compare *compare, const struct compare_table *table, size_t first,
			   size_t count, int has_spread)
{
	enum { NAME_COLUMNS = 1, SIDE_COLUMNS = 3 };
	size_t rows = table->count - table->hidden;
	struct grid *grid = grid_create(rows + 1, NAME_COLUMNS + (count + 1) * SIDE_COLUMNS);
	char text[GRID_FIGURE_BYTES_MAX];
	grid->title = table->title;
	grid->note = table->note;
	grid->hidden = table->hidden;
	grid->shrinks = 1;
	put(grid, 0, 0, "")->is_left = 1;
	for (size_t i = 0; i <= count; i++) {
		size_t side = i ? first + i - 1 : 0, column = NAME_COLUMNS + i * SIDE_COLUMNS;
		struct grid_cell *head = put(grid, 0, column, compare->sides[side].label);
		head->is_code = head->is_label = 1;
		for (size_t r = 0; r < rows; r++) {
			const struct compare_row *row = &table->rows[r];
			const struct compare_cell *cell = &row->cells[side];
			put(grid, r + 1, column,
			    cell->count ? grid_figure(cell->median, row->unit, text) : "\u2013");
			if (table->is_scalars && has_spread)
				put_spread(grid, r + 1, column + 1, cell);
			put_change(grid, r + 1, column + 2, row, cell);
		}
	}
	for (size_t r = 0; r < rows; r++) {
		put_word(grid, r + 1, 0, table->rows[r].name);
		grid->cells[(r + 1) * grid->columns].is_code = !table->is_scalars;
	}
	drop_empty_columns(grid);
	return grid;
}
