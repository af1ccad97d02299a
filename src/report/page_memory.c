/* SPDX-License-Identifier: Apache-2.0
 *
 * The page's part about memory: what was allocated, by whom, what of it changed between the two snapshots,
 * mappings, page faults.
 */
#include <string.h>

#include "report/page.h"
#include "report/text.h"
#include "report/top.h"

enum { SITES_MAX = 12, CALLERS_MAX = 3, FUNCTIONS_MAX = 6 };

/* ---- Totals ---- */

static void number_cell(const struct page *page, int64_t number, int is_bytes)
{
	char text[TEXT_BYTES_MAX];
	if (number == RUN_ABSENT)
		fputs("<td>\u2013</td>", page->out);
	else
		fprintf(page->out, "<td>%s</td>",
			is_bytes ? text_bytes((double)number, text) : text_count(number, text));
}

static void change_cell(const struct page *page, int64_t from, int64_t to, int is_bytes)
{
	char text[TEXT_BYTES_MAX];
	if (from < 0 || to < 0) {
		fputs("<td>\u2013</td>", page->out);
		return;
	}
	int64_t change = to - from;
	fprintf(page->out, "<td>%s%s</td>", change > 0 ? "+" : "",
		is_bytes ? text_bytes((double)change, text) : text_count(change, text));
}

static void snapshot_row(const struct page *page, const char *name, const struct run_snapshot *snapshot)
{
	char text[TEXT_BYTES_MAX];
	fprintf(page->out, "<tr><th scope=\"row\">%s</th><td>%s</td>", name,
		snapshot->at_ns >= 0 ? text_duration((double)snapshot->at_ns, text) : "\u2013");
	number_cell(page, snapshot->alloc_objects, 0);
	number_cell(page, snapshot->alloc_bytes, 1);
	number_cell(page, snapshot->inuse_objects, 0);
	number_cell(page, snapshot->inuse_bytes, 1);
	number_cell(page, snapshot->mapped_bytes, 1);
	fputs("</tr>\n", page->out);
}

static void churn_row(const struct page *page, const struct run_snapshot *from, const struct run_snapshot *to)
{
	char text[TEXT_BYTES_MAX];
	fprintf(page->out, "<tr class=\"sum\"><th scope=\"row\">between</th><td>%s</td>",
		from->at_ns >= 0 && to->at_ns >= from->at_ns
			? text_duration((double)(to->at_ns - from->at_ns), text)
			: "\u2013");
	change_cell(page, from->alloc_objects, to->alloc_objects, 0);
	change_cell(page, from->alloc_bytes, to->alloc_bytes, 1);
	change_cell(page, from->inuse_objects, to->inuse_objects, 0);
	change_cell(page, from->inuse_bytes, to->inuse_bytes, 1);
	change_cell(page, from->mapped_bytes, to->mapped_bytes, 1);
	fputs("</tr>\n", page->out);
}

/* The totals of a heap profile, for folders whose run.json has none. */
static int snapshot_of_profile(const struct page *page, enum page_source source,
			       struct run_snapshot *snapshot)
{
	static const char *const types[] = { "alloc_objects", "alloc_space", "inuse_objects", "inuse_space" };
	int64_t totals[4];
	int any = 0;
	for (size_t i = 0; i < 4; i++) {
		int index = page_value(page, source, types[i]);
		totals[i] = index < 0 ? RUN_ABSENT : page_total(page, source, index);
		any |= index >= 0;
	}
	*snapshot = (struct run_snapshot){ .at_ns = RUN_ABSENT,
					   .alloc_objects = totals[0],
					   .alloc_bytes = totals[1],
					   .inuse_objects = totals[2],
					   .inuse_bytes = totals[3],
					   .mapped_bytes = RUN_ABSENT };
	return any;
}

static void write_totals(const struct page *page)
{
	const struct run_heap *heap = &page->run->profile.heap;
	struct run_snapshot own[2];
	const struct run_snapshot *from = NULL, *to = NULL;
	if (heap->snapshot_count) {
		to = &heap->snapshots[heap->snapshot_count - 1];
		from = heap->snapshot_count > 1 ? &heap->snapshots[0] : NULL;
	} else {
		from = snapshot_of_profile(page, PAGE_HEAP_MID, &own[0]) ? &own[0] : NULL;
		to = snapshot_of_profile(page, PAGE_HEAP_END, &own[1]) ? &own[1] : NULL;
	}
	if (!from && !to)
		return;
	fputs("<div "
	      "class=\"scroll\"><table><thead><tr><th>Snapshot</th><th>at</th><th>allocations</"
	      "th><th>allocated</th>"
	      "<th>objects in use</th><th>in use</th><th>mapped</th></tr></thead><tbody>\n",
	      page->out);
	if (from)
		snapshot_row(page, "half time", from);
	if (to)
		snapshot_row(page, "end", to);
	if (from && to)
		churn_row(page, from, to);
	fputs("</tbody></table></div>\n", page->out);
}

/* ---- Sites ---- */

struct site {
	uint32_t frame;
	int64_t bytes, objects, inuse, before; /* `before`: bytes at the first snapshot */
	uint32_t sample;
};

/* Who called the heaviest stack of a site: innermost first. */
static void write_callers(const struct page *page, const struct frames *frames, uint32_t sample_index,
			  const char *name)
{
	uint32_t numbers[FRAMES_DEPTH_MAX];
	size_t count = frames_of_sample(frames, &frames->profile->samples[sample_index], numbers);
	int written = 0;
	for (size_t i = count; i-- > 0 && written < CALLERS_MAX;) {
		const char *caller = frames->frames[numbers[i]].name;
		if (!strcmp(caller, name))
			continue;
		fputs(written++ ? " \u2190 " : "<span class=\"callers\">\u2190 ", page->out);
		text_escape(page->out, caller, 48);
	}
	if (written)
		fputs("</span>", page->out);
}

static void site_row(const struct page *page, const struct frames *frames, const struct site *site,
		     double whole, int has_before)
{
	char text[TEXT_BYTES_MAX];
	fprintf(page->out, "<tr><td class=\"name\" style=\"--p:%.2f%%\">",
		whole > 0 ? (double)site->bytes / whole * 100 : 0);
	page_frame(page, &frames->frames[site->frame]);
	write_callers(page, frames, site->sample, frames->frames[site->frame].name);
	fprintf(page->out, "</td><td>%s</td>", text_share((double)site->bytes, whole, text));
	number_cell(page, site->bytes, 1);
	number_cell(page, site->objects, 0);
	number_cell(page, site->inuse, 1);
	if (has_before)
		change_cell(page, site->before, site->bytes, 1);
	fputs("</tr>\n", page->out);
}

/* The flat value of `frame` in another list; 0 when it is not there. */
static int64_t flat_of(const struct top *top, uint32_t frame)
{
	const struct top_row *row = top ? top_find(top, frame) : NULL;
	return row ? row->flat : 0;
}

static struct top *sites_by(const struct page *page, struct frames *frames, const char *type)
{
	int index = page_value(page, PAGE_HEAP_END, type);
	return index < 0 ? NULL : top_create(frames, index);
}

static void write_sites(const struct page *page)
{
	struct frames *frames = page->profiles[PAGE_HEAP_END].frames,
		      *before_frames = page->profiles[PAGE_HEAP_MID].frames;
	struct top *bytes = sites_by(page, frames, "alloc_space");
	if (!bytes)
		return;
	struct top *objects = sites_by(page, frames, "alloc_objects"),
		   *inuse = sites_by(page, frames, "inuse_space");
	int before_index = page_value(page, PAGE_HEAP_MID, "alloc_space");
	struct top *before = before_index < 0 ? NULL : top_create(before_frames, before_index);
	/* The same functions under this profile's numbers. */
	for (size_t i = 0; before && i < before->count; i++)
		before->rows[i].frame = frames_number(frames, &before_frames->frames[before->rows[i].frame]);
	top_sort(bytes, frames, TOP_FLAT);
	if (bytes->total > 0) {
		fprintf(page->out,
			"<h3>Who allocates</h3><div class=\"scroll\"><table "
			"class=\"top\"><thead><tr><th>function, and who called it</th><th>share</th>"
			"<th>allocated</th><th>objects</th><th>in use</th>%s</tr></thead><tbody>\n",
			before ? "<th>since half time</th>" : "");
		for (size_t i = 0; i < bytes->count && i < SITES_MAX && bytes->rows[i].flat > 0; i++) {
			uint32_t frame = bytes->rows[i].frame;
			struct site site = { .frame = frame,
					     .bytes = bytes->rows[i].flat,
					     .objects = flat_of(objects, frame),
					     .inuse = flat_of(inuse, frame),
					     .before = flat_of(before, frame),
					     .sample = bytes->rows[i].sample };
			site_row(page, frames, &site, (double)bytes->total, before != NULL);
		}
		fputs("</tbody></table></div>\n", page->out);
	}
	top_destroy(bytes);
	top_destroy(objects);
	top_destroy(inuse);
	top_destroy(before);
}

/* ---- Page faults and mappings ---- */

static void write_by_function(const struct page *page, enum page_source source, int index, const char *unit,
			      int is_bytes)
{
	struct frames *frames = page->profiles[source].frames;
	struct top *top = top_create(frames, index);
	char text[TEXT_BYTES_MAX];
	top_sort(top, frames, TOP_FLAT);
	fprintf(page->out,
		"<table class=\"top\"><thead><tr><th>function, and who called "
		"it</th><th>share</th><th>%s</th>"
		"</tr></thead><tbody>\n",
		unit);
	for (size_t i = 0; i < top->count && i < FUNCTIONS_MAX && top->rows[i].flat > 0; i++) {
		const struct top_row *row = &top->rows[i];
		fprintf(page->out, "<tr><td class=\"name\" style=\"--p:%.2f%%\">",
			(double)row->flat / (double)top->total * 100);
		page_frame(page, &frames->frames[row->frame]);
		write_callers(page, frames, row->sample, frames->frames[row->frame].name);
		fprintf(page->out, "</td><td>%s</td>",
			text_share((double)row->flat, (double)top->total, text));
		number_cell(page, row->flat, is_bytes);
		fputs("</tr>\n", page->out);
	}
	fputs("</tbody></table>\n", page->out);
	top_destroy(top);
}

static void write_faults(const struct page *page)
{
	int index = page_faults_value(page);
	char text[TEXT_BYTES_MAX];
	if (page->run->profile.page_faults == RUN_ABSENT && index < 0)
		return;
	int64_t count = page->run->profile.page_faults != RUN_ABSENT ? page->run->profile.page_faults
								     : page_total(page, PAGE_FAULTS, index);
	fprintf(page->out,
		"<h3>Page faults</h3>\n<p class=\"hint\">%s page faults: memory touched for the first time, "
		"or files read through mappings.</p>\n",
		text_count(count, text));
	if (index < 0)
		return;
	write_by_function(page, PAGE_FAULTS, index, "faults", 0);
}

/* Beside the heap: rings, big buffers, thread stacks. */
static void write_mappings(const struct page *page)
{
	int index = page_value(page, PAGE_MAPPINGS, "inuse_space");
	char text[TEXT_BYTES_MAX];
	if (index < 0 || page_total(page, PAGE_MAPPINGS, index) <= 0)
		return;
	fprintf(page->out,
		"<h3>Mapped memory</h3>\n<p class=\"hint\">%s of address space, touched or not, that was "
		"mapped "
		"during the run and is still there: libraries, rings, big buffers, thread stacks. What the "
		"allocator "
		"maps for its blocks is not in it.</p>\n",
		text_bytes((double)page_total(page, PAGE_MAPPINGS, index), text));
	write_by_function(page, PAGE_MAPPINGS, index, "mapped", 1);
}

static void write_how(const struct page *page)
{
	const struct run_heap *heap = &page->run->profile.heap;
	char text[TEXT_BYTES_MAX];
	if (heap->tracked == RUN_ABSENT)
		return;
	fputs("<p class=\"hint\">", page->out);
	if (!heap->tracked) {
		fputs("The heap was not tracked.", page->out);
	} else if (heap->rate_bytes <= 1) {
		fputs("Exact: every allocation was seen", page->out);
	} else {
		fputs("Sampled: one allocation in ", page->out);
		if (heap->rate_bytes % 1024 == 0)
			fprintf(page->out, "%s" TEXT_NBSP "KiB", text_count(heap->rate_bytes / 1024, text));
		else
			fputs(text_bytes((double)heap->rate_bytes, text), page->out);
		fputs(" on average, scaled up", page->out);
	}
	if (heap->tracked && *heap->allocators) {
		fputs(", in ", page->out);
		page_text(page, heap->allocators);
	}
	fputs(heap->tracked ? "." : "", page->out);
	if (heap->given_up == 1)
		fputs(" <b>The probes were taken off before the end, because they cost too much: numbers "
		      "cover only the time before.</b>",
		      page->out);
	fputs("</p>\n", page->out);
}

void page_memory(const struct page *page)
{
	const struct page_profile *end = &page->profiles[PAGE_HEAP_END];
	page_section(page, "memory", "Memory");
	write_how(page);
	write_totals(page);
	if (end->profile)
		write_sites(page);
	else if (page->run->profile.heap.tracked != 0)
		page_missing(
			page,
			*end->problem
				? end->problem
				: "There is no heap profile in this folder (heap_end.pprof or heap.pprof).");
	write_mappings(page);
	write_faults(page);
	page_section_end(page);
}
