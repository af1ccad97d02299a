/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of figures, a run each, become cells: a side's median and range, its difference to the baseline, and
 * whether that difference is more than noise.
 */
#include "report/compare.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/compare_parts.h"

struct compare_row *compare_row(const struct compare *compare, struct compare_table *table, const char *name,
				const char *module)
{
	uint64_t bytes = hash_bytes(0, name, strlen(name));
	uint32_t hash = hash_finish(hash_bytes(bytes, module, strlen(module)));
	size_t at = hash, runs = compare->run_count;
	for (uint32_t id; (id = table_next(&table->by_name, hash, &at));)
		if (!strcmp(table->rows[id - 1].name, name) && !strcmp(table->rows[id - 1].module, module))
			return &table->rows[id - 1];
	table->rows = room_for(table->rows, &table->row_room, table->count, 1, sizeof *table->rows);
	struct compare_row *row = &table->rows[table->count++];
	*row = (struct compare_row){
		.name = report_copy(name),
		.module = module,
		.figures = report_allocate(3 * runs, sizeof *row->figures),
		.cells = report_allocate(compare->side_count, sizeof *row->cells),
	};
	row->raws = row->figures + runs;
	row->samples = row->raws + runs;
	for (size_t i = 0; i < 3 * runs; i++)
		row->figures[i] = NAN;
	table_insert(&table->by_name, hash, (uint32_t)table->count);
	return row;
}

void compare_clear(struct compare_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->rows[i].name);
		free(table->rows[i].figures);
		free(table->rows[i].cells);
	}
	free(table->rows);
	table_destroy(&table->by_name);
	table->rows = NULL;
	table->count = table->row_room = 0;
}

void compare_notice(struct compare *compare, const char *format, ...)
{
	char sentence[REPORT_ERROR_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	compare->notices = room_for(compare->notices, &compare->notice_room, compare->notice_count, 1,
				    sizeof *compare->notices);
	compare->notices[compare->notice_count++] = report_copy(sentence);
}

static int by_size(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return a < b ? -1 : a > b;
}

double compare_median(double *figures, size_t count)
{
	if (!count)
		return NAN;
	qsort(figures, count, sizeof *figures, by_size);
	return count % 2 ? figures[count / 2] : (figures[count / 2 - 1] + figures[count / 2]) / 2;
}

/* The figures that are there, in `there`. */
static size_t pick(const double *figures, size_t count, double there[static COMPARE_REPEATS_MAX])
{
	size_t picked = 0;
	for (size_t i = 0; i < count; i++)
		if (!isnan(figures[i]))
			there[picked++] = figures[i];
	return picked;
}

static void settle_cell(const struct compare_side *side, const struct compare_row *row,
			struct compare_cell *cell)
{
	double there[COMPARE_REPEATS_MAX], weight = cell->sample_weight;
	size_t count = pick(row->raws + side->first, side->run_count, there);
	*cell = (struct compare_cell){ .raw = compare_median(there, count), .sample_weight = weight };
	count = pick(row->samples + side->first, side->run_count, there);
	cell->samples = count ? 0 : NAN;
	for (size_t i = 0; i < count; i++)
		cell->samples += there[i];
	cell->count = pick(row->figures + side->first, side->run_count, there);
	cell->median = compare_median(there, cell->count);
	cell->low = cell->count ? there[0] : NAN;
	cell->high = cell->count ? there[cell->count - 1] : NAN;
	cell->change = NAN;
}

/* Whether repeated runs of one side gave what the other has. With one run on one side its scatter is taken to
 * be that of the other. */
static int ranges_meet(const struct compare_cell *base, const struct compare_cell *cell)
{
	if (base->count > 1 && cell->count > 1)
		return base->low <= cell->high && cell->low <= base->high;
	return fabs(cell->median - base->median) <= fmax(base->high - base->low, cell->high - cell->low);
}

/* The number of samples that meet a function is Poisson's: its variance is the number itself. None seen
 * counts as one: it may have been missed. */
static double variance(const struct compare_cell *cell)
{
	double one = cell->sample_weight / (double)cell->count;
	return one * one * fmax(cell->samples, 1);
}

static int is_chance(const struct compare_cell *base, const struct compare_cell *cell)
{
	double error = sqrt(variance(base) + variance(cell));
	return fabs(cell->median - base->median) <= COMPARE_SIGMAS * error;
}

static void judge(const struct compare_cell *base, struct compare_cell *cell)
{
	if (!base->count || !cell->count)
		return;
	if (base->median > 0)
		cell->change = cell->median / base->median - 1;
	else
		cell->change = cell->median > 0 ? INFINITY : 0;
	if (base->count > 1 || cell->count > 1)
		cell->basis |= BASIS_RANGES;
	if (!isnan(base->samples) && !isnan(cell->samples) && base->sample_weight > 0 &&
	    cell->sample_weight > 0)
		cell->basis |= BASIS_SAMPLES;
	if (!cell->basis)
		cell->noise = NOISE_UNKNOWN;
	else if (((cell->basis & BASIS_RANGES) && ranges_meet(base, cell)) ||
		 ((cell->basis & BASIS_SAMPLES) && is_chance(base, cell)))
		cell->noise = NOISE_WITHIN;
	else
		cell->noise = NOISE_BEYOND;
}

static double largest(const struct compare *compare, const struct compare_row *row)
{
	double most = -1;
	for (size_t i = 0; i < compare->side_count; i++)
		most = row->cells[i].median > most ? row->cells[i].median : most;
	return most;
}

struct sorting {
	double weight;
	struct compare_row row;
};

static int by_weight(const void *left, const void *right)
{
	const struct sorting *a = left, *b = right;
	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	int order = strcmp(a->row.name, b->row.name);
	return order ? order : strcmp(a->row.module, b->row.module);
}

/* Largest on any side first. by_name is of no use afterwards. */
static void sort_rows(const struct compare *compare, struct compare_table *table)
{
	struct sorting *all = report_allocate(table->count, sizeof *all);
	for (size_t i = 0; i < table->count; i++)
		all[i] = (struct sorting){ largest(compare, &table->rows[i]), table->rows[i] };
	if (table->count)
		qsort(all, table->count, sizeof *all, by_weight);
	for (size_t i = 0; i < table->count; i++)
		table->rows[i] = all[i].row;
	free(all);
}

void compare_settle(const struct compare *compare, struct compare_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		struct compare_row *row = &table->rows[i];
		for (size_t k = 0; k < compare->side_count; k++)
			settle_cell(&compare->sides[k], row, &row->cells[k]);
		for (size_t k = 1; k < compare->side_count; k++)
			judge(&row->cells[0], &row->cells[k]);
	}
	if (!table->is_scalars)
		sort_rows(compare, table);
}

static int write_page(const struct compare *compare, const char *path,
		      char error[static REPORT_ERROR_BYTES_MAX])
{
	struct file_beside file;
	int code = file_beside_begin(&file, path);
	if (!code) {
		errno = 0;
		int failed = compare_write_page(compare, file.out) < 0;
		code = file_beside_end(&file, !failed ? 0 : errno ? -errno : -EIO);
	}
	if (code)
		snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot write %.800s: %s", path, strerror(-code));
	return code ? -1 : 0;
}

static int write_tables(const struct compare *compare, FILE *out, char error[static REPORT_ERROR_BYTES_MAX])
{
	errno = 0;
	if (compare->options->format == COMPARE_JSON)
		compare_write_json(compare, out);
	else if (compare->options->format == COMPARE_MARKDOWN)
		compare_write_markdown(compare, out);
	else
		compare_write_text(compare, out);
	if (fflush(out) == 0 && !ferror(out))
		return 0;
	snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot write the tables: %s", strerror(errno ? errno : EIO));
	return -1;
}

int compare_write(char *const *arguments, size_t count, const struct compare_options *options, FILE *out,
		  char error[static REPORT_ERROR_BYTES_MAX])
{
	struct compare *compare = report_allocate(1, sizeof *compare);
	compare->options = options;
	int code = compare_read(compare, arguments, count, error);
	if (code == 0) {
		compare_figures(compare);
		compare_functions(compare);
		compare_notices(compare);
		if (options->page_path)
			code = write_page(compare, options->page_path, error);
	}
	if (code == 0)
		code = write_tables(compare, out, error);
	compare_forget(compare);
	free(compare);
	return code;
}
