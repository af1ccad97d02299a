/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables for a terminal, 100 columns wide, and as Markdown.
 */
#include <stdlib.h>
#include <string.h>

#include "report/compare_parts.h"
#include "report/text.h"

enum {
	WIDTH = 100,
	INDENT = 2,
	GAP = 2,
	NAME_COLUMNS_MIN = 24,	/* less of a function's name says nothing */
	NAME_COLUMNS_LEAST = 4, /* where even one side does not fit beside the baseline */
	HEAD_COLUMNS_MAX = 20,	/* a long label does not make its column of figures wide */
};

static const char *const tone_starts[] = {
	[TONE_NONE] = "", [TONE_GOOD] = "\033[32m", [TONE_BAD] = "\033[31m", [TONE_DIM] = "\033[2m"
};
static const char heading_start[] = "\033[1m", tone_end[] = "\033[0m";

static size_t body_columns(const struct grid *grid, size_t column)
{
	size_t most = 0;
	for (size_t row = 1; row < grid->rows; row++) {
		const char *text = grid->cells[row * grid->columns + column].text;
		size_t columns = text ? text_columns(text) : 0;
		most = columns > most ? columns : most;
	}
	return most;
}

/* How many columns are one side's: its label stands over all of them. */
static size_t group_size(const struct grid *grid, size_t column)
{
	size_t count = 1;
	while (grid->cells[column].is_label && column + count < grid->columns &&
	       !grid->cells[column + count].is_label)
		count++;
	return count;
}

static size_t group_width(const size_t *widths, size_t column, size_t count)
{
	size_t sum = (count - 1) * GAP;
	for (size_t i = 0; i < count; i++)
		sum += widths[column + i];
	return sum;
}

/* Sets the widths of the columns, and returns whether the table fits. */
static int place(const struct grid *grid, size_t *widths)
{
	size_t sum = INDENT - GAP, least;
	for (size_t column = 0; column < grid->columns; column++)
		widths[column] = body_columns(grid, column);
	for (size_t column = 0; column < grid->columns; column++) {
		const char *head = grid->cells[column].text;
		size_t columns = head ? text_columns(head) : 0;
		size_t group = group_width(widths, column, group_size(grid, column));
		if (columns > HEAD_COLUMNS_MAX && grid->cells[column].is_label)
			columns = HEAD_COLUMNS_MAX;
		widths[column] += columns > group ? columns - group : 0;
		sum += widths[column] + GAP;
	}
	if (sum <= WIDTH)
		return 1;
	least = widths[0] < NAME_COLUMNS_MIN ? widths[0] : NAME_COLUMNS_MIN;
	size_t more = sum - WIDTH;
	int fits = widths[0] >= least + more;
	widths[0] = widths[0] > more + NAME_COLUMNS_LEAST ? widths[0] - more : NAME_COLUMNS_LEAST;
	return fits;
}

static void blanks(FILE *out, size_t count)
{
	fprintf(out, "%*s", (int)count, "");
}

/* The end of a text that is too long. */
static void write_end(const char *text, size_t columns_max, FILE *out)
{
	const char *at = text;
	if (text_columns(text) > columns_max) {
		while (*at && (text_columns(at) >= columns_max || ((unsigned char)*at & 0xc0) == 0x80))
			at++;
		fputs("\u2026", out);
	}
	text_plain(out, at, TEXT_WHOLE);
}

/* `owed`: blanks that only what follows needs. Returns what is owed after the cell. */
static size_t write_cell(const struct grid_cell *cell, size_t width, size_t owed, int colour, FILE *out)
{
	char text[GRID_FIGURE_BYTES_MAX];
	const char *words = cell->text ? cell->text : "";
	size_t columns = text_columns(words), bytes = strlen(words), trailing = 0;
	while (trailing < bytes && words[bytes - 1 - trailing] == ' ')
		trailing++;
	if (trailing == bytes)
		return owed + width + GAP;
	columns = columns > width ? width : columns;
	if (trailing && bytes < sizeof text) {
		/* The place of a mark that is not there. */
		snprintf(text, sizeof text, "%.*s", (int)(bytes - trailing), words);
		words = text;
	}
	size_t before = cell->is_left ? 0 : width - columns;
	int is_toned = colour && cell->tone != TONE_NONE;
	blanks(out, owed + before);
	fputs(is_toned ? tone_starts[cell->tone] : "", out);
	if (cell->is_label)
		write_end(words, width, out);
	else
		text_plain(out, words, width);
	fputs(is_toned ? tone_end : "", out);
	return width - before - columns + trailing + GAP;
}

static void write_row(const struct grid *grid, size_t row, const size_t *widths, int colour, FILE *out)
{
	size_t owed = INDENT, count;
	for (size_t column = 0; column < grid->columns; column += count) {
		count = row ? 1 : group_size(grid, column);
		owed = write_cell(&grid->cells[row * grid->columns + column],
				  group_width(widths, column, count), owed, colour, out);
	}
	fputc('\n', out);
}

/* Words in lines of the terminal's width. */
static void write_words(FILE *out, const char *text, size_t indent)
{
	size_t at = WIDTH;
	for (const char *word = text; *word;) {
		size_t bytes = strcspn(word, " ");
		char copy[REPORT_ERROR_BYTES_MAX];
		snprintf(copy, sizeof copy, "%.*s", (int)bytes, word);
		size_t columns = text_columns(copy);
		if (at + 1 + columns > WIDTH) {
			fputs(word == text ? "" : "\n", out);
			blanks(out, indent);
			at = indent;
		} else {
			fputc(' ', out);
			at++;
		}
		text_plain(out, copy, TEXT_WHOLE);
		at += columns;
		word += bytes + (word[bytes] == ' ');
	}
	fputc('\n', out);
}

static void write_grid(const struct grid *grid, const size_t *widths, int colour, int is_more, FILE *out)
{
	fprintf(out, "\n%s%s%s%s\n", colour ? heading_start : "", grid->title, is_more ? ", continued" : "",
		colour ? tone_end : "");
	if (*grid->note && !is_more)
		write_words(out, grid->note, INDENT);
	for (size_t row = 0; row < grid->rows; row++)
		write_row(grid, row, widths, colour, out);
	if (grid->hidden && !is_more)
		fprintf(out, "  (%zu more; -top shows them)\n", grid->hidden);
}

/* The baseline and `count` sides from `first` on, if they fit or must. */
static int write_part(const struct compare *compare, const struct compare_table *table, size_t first,
		      size_t count, int has_spread, FILE *out)
{
	struct grid *grid = grid_of_table(compare, table, first, count, has_spread);
	size_t *widths = report_allocate(grid->columns, sizeof *widths);
	int fits = place(grid, widths) || (count == 1 && !has_spread);
	if (fits)
		write_grid(grid, widths, compare->options->colour, first > 1, out);
	free(widths);
	grid_destroy(grid);
	return fits;
}

/* As many sides at a time as fit; rather without their spread than in more parts. */
static void write_table(const struct compare *compare, const struct compare_table *table, FILE *out)
{
	for (size_t first = 1, count; first < compare->side_count; first += count) {
		count = compare->side_count - first;
		while (!write_part(compare, table, first, count, 1, out) &&
		       !write_part(compare, table, first, count, 0, out))
			count--;
	}
}

static void write_notices(const struct compare *compare, FILE *out)
{
	if (compare->notice_count)
		fprintf(out, "\nTo know\n");
	for (size_t i = 0; i < compare->notice_count; i++)
		write_words(out, compare->notices[i], INDENT);
}

static void write_sides(const struct compare *compare, FILE *out)
{
	for (unsigned detail = GRID_WHOLE;; detail--) {
		struct grid *grid = grid_of_sides(compare, (enum grid_detail)detail);
		size_t *widths = report_allocate(grid->columns, sizeof *widths);
		int fits = place(grid, widths) || detail == GRID_SHORT;
		if (fits)
			write_grid(grid, widths, compare->options->colour, 0, out);
		free(widths);
		grid_destroy(grid);
		if (fits)
			return;
	}
}

void compare_write_text(const struct compare *compare, FILE *out)
{
	fprintf(out, "%zu sides, %zu runs\n", compare->side_count, compare->run_count);
	write_sides(compare, out);
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (compare->tables[i].count)
			write_table(compare, &compare->tables[i], out);
	write_notices(compare, out);
	fputc('\n', out);
	write_words(out, grid_legend, 0);
}

/* ---- Markdown ---- */

static void markdown_cell(const struct grid_cell *cell, FILE *out)
{
	const char *text = cell->text ? cell->text : "";
	size_t bytes = strlen(text);
	char copy[REPORT_ERROR_BYTES_MAX];
	while (bytes && text[bytes - 1] == ' ')
		bytes--;
	if (!bytes) {
		fputs(" |", out);
		return;
	}
	snprintf(copy, sizeof copy, "%.*s", (int)(bytes < sizeof copy ? bytes : sizeof copy - 1), text);
	fputs(cell->is_code ? " `" : " ", out);
	text_markdown(out, copy);
	fputs(cell->is_code ? "` |" : " |", out);
}

static void markdown_grid(const struct grid *grid, FILE *out)
{
	fprintf(out, "\n## %s\n\n", grid->title);
	if (*grid->note)
		fprintf(out, "%s\n\n", grid->note);
	for (size_t row = 0; row < grid->rows; row++) {
		fputc('|', out);
		for (size_t column = 0; column < grid->columns; column++)
			markdown_cell(&grid->cells[row * grid->columns + column], out);
		fputc('\n', out);
		for (size_t column = 0; row == 0 && column < grid->columns; column++)
			fprintf(out, "%s%s", column ? "" : "|",
				grid->cells[column].is_left ? " --- |" : " ---: |");
		fputs(row == 0 ? "\n" : "", out);
	}
	if (grid->hidden)
		fprintf(out, "\n%zu more; `-top` shows them.\n", grid->hidden);
}

void compare_write_markdown(const struct compare *compare, FILE *out)
{
	struct grid *grid = grid_of_sides(compare, GRID_WHOLE);
	fprintf(out, "# %zu sides, %zu runs\n", compare->side_count, compare->run_count);
	markdown_grid(grid, out);
	grid_destroy(grid);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (!compare->tables[i].count)
			continue;
		grid = grid_of_table(compare, &compare->tables[i], 1, compare->side_count - 1, 1);
		markdown_grid(grid, out);
		grid_destroy(grid);
	}
	if (compare->notice_count)
		fputs("\n## To know\n\n", out);
	for (size_t i = 0; i < compare->notice_count; i++) {
		fputs("- `", out);
		text_markdown(out, compare->notices[i]);
		fputs("`\n", out);
	}
	fprintf(out, "\n%s\n", grid_legend);
}
