/* SPDX-License-Identifier: Apache-2.0
 *
 * The page's lines of a program in Lua: which of them took the time. Not there when the profile has none.
 */
#include <stdlib.h>
#include <string.h>

#include "report/page.h"
#include "report/text.h"

enum { LINES_SHOWN_MAX = 20 /* a screen */ };

struct line_row {
	uint32_t function; /* id in the profile */
	int64_t line;
	int64_t here;	    /* innermost of the program: it, and what it called in C */
	int64_t with_calls; /* anywhere on the stack; once a sample */
	uint32_t seen;	    /* last sample, + 1 */
};

struct lines {
	const struct pprof *profile;
	struct line_row *rows;
	size_t count, room;
	struct table table; /* index + 1 */
};

static struct line_row *row_of(struct lines *lines, const struct pprof_line *line)
{
	uint32_t hash = hash_finish(hash_word(line->function_id, (uint64_t)line->line));
	size_t at = hash;
	for (uint32_t id; lines->rows && (id = table_next(&lines->table, hash, &at));) {
		struct line_row *row = &lines->rows[id - 1];
		if (row->function == line->function_id && row->line == line->line)
			return row;
	}
	lines->rows = room_for(lines->rows, &lines->room, lines->count, 1, sizeof *lines->rows);
	struct line_row *added = &lines->rows[lines->count++];
	*added = (struct line_row){ .function = line->function_id, .line = line->line };
	table_insert(&lines->table, hash, (uint32_t)lines->count);
	return added;
}

/* NULL: the location is none of a program's. */
static const struct pprof_line *program_line(const struct pprof *profile, uint32_t location_id)
{
	const struct pprof_location *location = &profile->locations[location_id - 1];
	if (!location->mapping_id || !location->lines_count)
		return NULL;
	const char *module = pprof_text(profile, profile->mappings[location->mapping_id - 1].filename);
	const struct pprof_line *line = &profile->lines[location->lines_first];
	return line->function_id && strcmp(module, "[lua]") == 0 ? line : NULL;
}

static void add_sample(struct lines *lines, uint32_t index, int64_t value)
{
	const struct pprof_sample *sample = &lines->profile->samples[index];
	int innermost = 1;
	for (uint32_t i = 0; i < sample->locations_count; i++) {
		const struct pprof_line *line = program_line(
			lines->profile, lines->profile->location_ids[sample->locations_first + i]);
		if (!line)
			continue;
		struct line_row *row = row_of(lines, line);
		row->here += innermost ? value : 0;
		row->with_calls += row->seen == index + 1 ? 0 : value;
		row->seen = index + 1;
		innermost = 0;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct line_row *left = a, *right = b;
	if (left->here != right->here)
		return left->here > right->here ? -1 : 1;
	if (left->with_calls != right->with_calls)
		return left->with_calls > right->with_calls ? -1 : 1;
	return left->line < right->line ? -1 : left->line > right->line;
}

static void write_row(const struct page *page, const struct lines *lines, const struct line_row *row,
		      int64_t total)
{
	char share[TEXT_BYTES_MAX], text[TEXT_BYTES_MAX];
	const struct pprof *profile = lines->profile;
	const struct pprof_function *function = &profile->functions[row->function - 1];
	const char *unit = pprof_text(profile, profile->value_types[page_cpu_value(page)].unit);
	fprintf(page->out,
		"<tr><td class=\"name\" style=\"--p:%.2f%%\"><span class=\"fn\"><i class=\"dot %s\"></i>"
		"<code>",
		(double)row->here / (double)total * 100, frame_kind_class(FRAME_LUA));
	page_text(page, text_base_name(pprof_text(profile, function->filename)));
	fprintf(page->out, ":%lld</code> <small>", (long long)row->line);
	page_text(page, pprof_text(profile, function->name));
	fprintf(page->out, "</small></span></td><td>%s</td><td>%s</td>",
		text_share((double)row->here, (double)total, share),
		text_value((double)row->here, unit, text));
	fprintf(page->out, "<td>%s</td></tr>\n", text_share((double)row->with_calls, (double)total, share));
}

void page_program(const struct page *page)
{
	int value_index = page_cpu_value(page);
	int64_t total = value_index < 0 ? 0 : page_total(page, PAGE_CPU, value_index);
	struct lines lines = { .profile = page->profiles[PAGE_CPU].profile };
	for (size_t i = 0; total > 0 && i < lines.profile->sample_count; i++)
		if (lines.profile->samples[i].values[value_index] > 0)
			add_sample(&lines, (uint32_t)i, lines.profile->samples[i].values[value_index]);
	if (lines.count) {
		qsort(lines.rows, lines.count, sizeof *lines.rows, by_time);
		page_section(page, "program", "Lines of the program");
		fputs("<p class=\"hint\">Where the program was, with what it called in C; and with all that "
		      "it "
		      "calls.</p>\n<table "
		      "class=\"top\"><thead><tr><th>line</th><th>share</th><th>time</th><th>with "
		      "calls</th></tr></thead><tbody>\n",
		      page->out);
		for (size_t i = 0; i < lines.count && i < LINES_SHOWN_MAX; i++)
			write_row(page, &lines, &lines.rows[i], total);
		fputs("</tbody></table>\n", page->out);
		page_section_end(page);
	}
	free(lines.rows);
	table_destroy(&lines.table);
}
