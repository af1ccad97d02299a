/* SPDX-License-Identifier: Apache-2.0
 *
 * report.html: its frame, and the first lines, which answer "where did the time go". One file, no network,
 * complete without script; every text from outside goes through text_escape().
 */
#include "report/page.h"

#include <string.h>
#include <time.h>

#include "report/assets.h"
#include "report/text.h"
#include "report/top.h"

enum { TITLE_COLUMNS_MAX = 90 };

int page_value(const struct page *page, enum page_source source, const char *type)
{
	const struct pprof *profile = page->profiles[source].profile;
	return profile ? pprof_value_index(profile, type) : -1;
}

static int value_or_last(const struct page *page, enum page_source source, const char *type)
{
	int index = page_value(page, source, type);
	const struct pprof *profile = page->profiles[source].profile;
	return index >= 0 || !profile ? index : (int)profile->value_count - 1;
}

int page_cpu_value(const struct page *page)
{
	return value_or_last(page, PAGE_CPU, "cpu");
}

int page_off_cpu_value(const struct page *page)
{
	return value_or_last(page, PAGE_OFF_CPU, "off_cpu");
}

int page_faults_value(const struct page *page)
{
	return value_or_last(page, PAGE_FAULTS, "page_faults");
}

int64_t page_total(const struct page *page, enum page_source source, int value_index)
{
	return value_index < 0 ? 0 : pprof_total(page->profiles[source].profile, value_index);
}

void page_text(const struct page *page, const char *text)
{
	text_escape(page->out, text, TEXT_WHOLE);
}

void page_frame(const struct page *page, const struct frame *frame)
{
	FILE *out = page->out;
	fprintf(out, "<span class=\"fn\" title=\"");
	page_text(page, frame->name);
	fprintf(out, "\"><i class=\"dot %s\"></i><code>", frame_kind_class(frame->kind));
	page_text(page, frame->name);
	fputs("</code>", out);
	/* Colour says it of the program itself, and "libx.so!0x1a44" and "[unknown]" by their names. */
	if (frame->kind != FRAME_OWN && *frame->module &&
	    strncmp(frame->name, frame->module, strlen(frame->module)) != 0) {
		fputs(" <small>", out);
		page_text(page, frame->module);
		fputs("</small>", out);
	}
	fputs("</span>", out);
}

void page_section(const struct page *page, const char *id, const char *title)
{
	fprintf(page->out, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

void page_section_end(const struct page *page)
{
	fputs("</section>\n", page->out);
}

void page_fact(const struct page *page, const char *name)
{
	fprintf(page->out, "<div><dt>%s</dt><dd>", name);
}

void page_fact_end(const struct page *page)
{
	fputs("</dd></div>\n", page->out);
}

void page_missing(const struct page *page, const char *what)
{
	fputs("<p class=\"missing\">", page->out);
	page_text(page, what);
	fputs("</p>\n", page->out);
}

/* ---- The head ---- */

static int is_collector(const struct page *page)
{
	return page->run->events != RUN_ABSENT;
}

static const char *configured(const struct page *page, const char *key)
{
	const struct run_pairs *pairs = &page->run->configuration;
	for (size_t i = 0; i < pairs->count; i++) {
		if (!strcmp(pairs->items[i].key, key))
			return pairs->items[i].text;
	}
	return "";
}

/* What ran, as words of escaped HTML. */
static void write_subject(const struct page *page)
{
	const struct run_record *run = page->run;
	if (*run->command) {
		text_escape(page->out, run->command, TITLE_COLUMNS_MAX);
		if (run->pid > 0)
			fprintf(page->out, " (pid %lld)", (long long)run->pid);
	} else if (run->pid > 0) {
		fprintf(page->out, "Process %lld", (long long)run->pid);
	} else if (*run->program) {
		text_escape(page->out, run->program, TITLE_COLUMNS_MAX);
		if (*configured(page, "server")) {
			fputs(" from ", page->out);
			text_escape(page->out, configured(page, "server"), TITLE_COLUMNS_MAX);
		}
	} else {
		text_escape(page->out, text_base_name(page->folder), TITLE_COLUMNS_MAX);
	}
}

static void write_start(const struct page *page)
{
	int64_t unix_seconds = page->run->start_unix;
	for (int i = 0; i < PAGE_SOURCE_COUNT && unix_seconds <= 0; i++) {
		if (page->profiles[i].profile)
			unix_seconds = page->profiles[i].profile->time_ns / 1000000000;
	}
	struct tm parts;
	time_t seconds = (time_t)unix_seconds;
	char text[64];
	if (unix_seconds <= 0 || !gmtime_r(&seconds, &parts) ||
	    !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts))
		return;
	fprintf(page->out, "<li>%s</li>", text);
}

static void write_meta(const struct page *page)
{
	const struct run_record *run = page->run;
	char text[TEXT_BYTES_MAX];
	fputs("<ul class=\"meta\">", page->out);
	write_start(page);
	if (!isnan(run->elapsed_seconds))
		fprintf(page->out, "<li>ran %s</li>", text_duration(run->elapsed_seconds * 1e9, text));
	if (run->exit_status != RUN_ABSENT)
		fprintf(page->out, "<li%s>exit status %lld</li>", run->exit_status ? " class=\"bad\"" : "",
			(long long)run->exit_status);
	if (*run->end_reason) {
		fputs("<li>ended by: ", page->out);
		page_text(page, run->end_reason);
		fputs("</li>", page->out);
	}
	for (size_t i = 0; i < run->host.count; i++) {
		if (strcmp(run->host.items[i].key, "kernel") != 0)
			continue;
		fputs("<li>Linux ", page->out);
		page_text(page, run->host.items[i].text);
		fputs("</li>", page->out);
	}
	if (*run->program_version) {
		fputs("<li>akamai-prof ", page->out);
		page_text(page, run->program_version);
		fputs("</li>", page->out);
	}
	fputs("</ul>\n", page->out);
}

/* Not even damaged ones. */
static int has_profile(const struct page *page)
{
	for (int i = 0; i < PAGE_SOURCE_COUNT; i++) {
		if (page->profiles[i].profile || *page->profiles[i].problem)
			return 1;
	}
	return page->run->profile.present;
}

static void write_links(const struct page *page)
{
	fputs("<nav>", page->out);
	if (page->run->sample_count || page->run->profile.stage_count)
		fputs("<a href=\"#time\">Time</a>", page->out);
	fputs("<a href=\"#functions\">Functions</a>", page->out);
	if (has_profile(page))
		fputs("<a href=\"#memory\">Memory</a><a href=\"#trust\">Trust</a><a href=\"#flames\">Flame "
		      "graphs</a>",
		      page->out);
	fputs("<a href=\"#run\">Run</a></nav>\n", page->out);
}

static void write_head(const struct page *page)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	      "'unsafe-inline'; "
	      "script-src 'unsafe-inline'\">\n<title>",
	      page->out);
	write_subject(page);
	fprintf(page->out, " \u00b7 profile</title>\n<style>\n%s%s</style>\n</head>\n<body>\n",
		asset_report_css, asset_flame_css);
	fputs("<header>\n<p class=\"eyebrow\">Profile</p>\n<h1>", page->out);
	write_subject(page);
	fputs("</h1>\n", page->out);
	write_meta(page);
	write_links(page);
	fputs("</header>\n<main>\n", page->out);
}

/* ---- The answer ---- */

static void answer_on_and_off(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	double cpu = profile->cpu_ns >= 0
			     ? (double)profile->cpu_ns
			     : (double)page_total(page, PAGE_CPU, page_value(page, PAGE_CPU, "cpu"));
	double blocked = profile->blocked_ns > 0 ? (double)profile->blocked_ns : 0;
	double runqueue = profile->runqueue_ns > 0 ? (double)profile->runqueue_ns : 0;
	double all = cpu + blocked + runqueue;
	char texts[3][TEXT_BYTES_MAX];
	if (cpu <= 0)
		return;
	if (blocked + runqueue > 0)
		fprintf(page->out,
			"Its threads spent <b>%s</b> of their time on a CPU, %s waiting for one, and "
			"<b>%s</b> blocked. ",
			text_share(cpu, all, texts[0]), text_share(runqueue, all, texts[1]),
			text_share(blocked, all, texts[2]));
	else if (page->window_seconds > 0)
		fprintf(page->out, "It used <b>%s</b> of one CPU. ",
			text_share(cpu, page->window_seconds * 1e9, texts[0]));
}

static void answer_stages(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	const struct run_stage *first = NULL, *second = NULL;
	double sum = 0;
	char share[TEXT_BYTES_MAX];
	for (size_t i = 0; i < profile->stage_count; i++) {
		const struct run_stage *stage = &profile->stages[i];
		sum += (double)stage->cpu_ns;
		if (!first || stage->cpu_ns > first->cpu_ns) {
			second = first;
			first = stage;
		} else if (!second || stage->cpu_ns > second->cpu_ns) {
			second = stage;
		}
	}
	if (!first || first->cpu_ns <= 0)
		return;
	fprintf(page->out, "Of the CPU time <b>%s</b> went into <b>",
		text_share((double)first->cpu_ns, sum, share));
	page_text(page, first->name);
	fputs("</b>", page->out);
	if (second && second->cpu_ns > 0) {
		fprintf(page->out, " and %s into ", text_share((double)second->cpu_ns, sum, share));
		page_text(page, second->name);
	}
	fputs(". ", page->out);
}

static void answer_function(const struct page *page)
{
	if (page_cpu_value(page) < 0)
		return;
	struct frames *frames = page->profiles[PAGE_CPU].frames;
	struct top *top = top_create(frames, page_cpu_value(page));
	char share[TEXT_BYTES_MAX];
	top_sort(top, frames, TOP_FLAT);
	if (top->count && top->rows[0].flat > 0) {
		fputs("The hottest function is <code>", page->out);
		text_escape(page->out, frames->frames[top->rows[0].frame].name, 80);
		fprintf(page->out, "</code> with <b>%s</b>. ",
			text_share((double)top->rows[0].flat, (double)top->total, share));
	}
	top_destroy(top);
}

static void answer_memory(const struct page *page)
{
	const struct run_heap *heap = &page->run->profile.heap;
	if (heap->snapshot_count < 2)
		return;
	const struct run_snapshot *from = &heap->snapshots[0],
				  *to = &heap->snapshots[heap->snapshot_count - 1];
	if (from->alloc_objects < 0 || to->alloc_objects < from->alloc_objects ||
	    to->alloc_bytes < from->alloc_bytes)
		return;
	char bytes[TEXT_BYTES_MAX], count[TEXT_BYTES_MAX];
	if (to->alloc_objects == from->alloc_objects)
		fputs("From half time to the end it allocated <b>nothing</b>.", page->out);
	else
		fprintf(page->out, "From half time to the end it allocated <b>%s</b> in %s pieces.",
			text_bytes((double)(to->alloc_bytes - from->alloc_bytes), bytes),
			text_count(to->alloc_objects - from->alloc_objects, count));
}

/* ---- The figures ---- */

static void tile(const struct page *page, const char *name, const char *value, const char *note)
{
	fprintf(page->out, "<div><dt>%s</dt><dd>%s</dd><dd class=\"note\">%s</dd></div>\n", name, value,
		note);
}

static void write_event_tiles(const struct page *page)
{
	const struct run_record *run = page->run;
	char value[TEXT_BYTES_MAX], part[TEXT_BYTES_MAX], other[TEXT_BYTES_MAX],
		note[3 * TEXT_BYTES_MAX] = "";
	if (!is_collector(page))
		return;
	if (run->requests != RUN_ABSENT)
		snprintf(note, sizeof note, "in %s pages", text_count(run->requests, part));
	tile(page, "Events", text_count(run->events, value), note);
	double rate = run->events_per_second;
	note[0] = 0;
	if (run->received_bytes >= 0 && run->plain_bytes >= 0 && run->elapsed_seconds > 0)
		snprintf(note, sizeof note, "%s/s in, %s/s inflated",
			 text_bytes((double)run->received_bytes / run->elapsed_seconds, part),
			 text_bytes((double)run->plain_bytes / run->elapsed_seconds, other));
	if (!isnan(rate))
		tile(page, "Events per second", text_count((int64_t)fmin(rate + 0.5, 9e18), value), note);
	if (run->cpu_seconds >= 0 && run->events > 0) {
		snprintf(value, sizeof value, "%.2f", run->cpu_seconds / (double)run->events * 1e6);
		snprintf(note, sizeof note, "%s of CPU in all", text_duration(run->cpu_seconds * 1e9, part));
		tile(page, "CPU-seconds per million events", value, note);
	}
}

static void write_memory_tile(const struct page *page)
{
	const struct run_heap *heap = &page->run->profile.heap;
	char value[TEXT_BYTES_MAX], part[TEXT_BYTES_MAX], note[2 * TEXT_BYTES_MAX] = "";
	int64_t inuse = heap->snapshot_count ? heap->snapshots[heap->snapshot_count - 1].inuse_bytes
					     : page_total(page, PAGE_HEAP_END,
							  page_value(page, PAGE_HEAP_END, "inuse_space"));
	if (inuse > 0)
		snprintf(note, sizeof note, "heap at the end: %s, touched or not",
			 text_bytes((double)inuse, part));
	if (page->run->rss_bytes_max > 0)
		tile(page, "Peak memory", text_bytes((double)page->run->rss_bytes_max, value), note);
	else if (inuse > 0)
		tile(page, "Heap in use at the end", text_bytes((double)inuse, value), "");
}

/* What it takes from the target, and what the profiler takes for itself. */
static void write_cost_tile(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	double run_ns = page->run->elapsed_seconds * 1e9;
	char value[TEXT_BYTES_MAX], part[TEXT_BYTES_MAX],
		note[2 * TEXT_BYTES_MAX] = "of one CPU, in eBPF programs";
	if (!(run_ns > 0) || profile->program_run_ns <= 0)
		return;
	if (profile->supervisor_cpu_ns >= 0)
		snprintf(note, sizeof note, "of one CPU, in eBPF programs; %s beside it",
			 text_duration((double)profile->supervisor_cpu_ns, part));
	tile(page, "Cost of profiling", text_share((double)profile->program_run_ns, run_ns, value), note);
}

static void write_tiles(const struct page *page)
{
	const struct run_record *run = page->run;
	const struct run_profile *profile = &run->profile;
	char value[TEXT_BYTES_MAX], part[TEXT_BYTES_MAX], note[3 * TEXT_BYTES_MAX] = "";
	fputs("<dl class=\"tiles\">\n", page->out);
	write_event_tiles(page);
	write_memory_tile(page);
	if (page->window_seconds > 0) {
		if (profile->cpu_samples >= 0 && profile->hz > 0)
			snprintf(note, sizeof note, "%s CPU samples at %lld Hz",
				 text_count(profile->cpu_samples, part), (long long)profile->hz);
		tile(page, "Profile window", text_duration(page->window_seconds * 1e9, value), note);
	}
	int64_t cpu_ns = profile->cpu_ns >= 0 ? profile->cpu_ns
					      : page_total(page, PAGE_CPU, page_value(page, PAGE_CPU, "cpu"));
	if (page->window_seconds > 0 && cpu_ns > 0) {
		snprintf(note, sizeof note, "%s; all of one CPU is 100" TEXT_NBSP "%%",
			 text_duration((double)cpu_ns, part));
		tile(page, "CPU in the window", text_share((double)cpu_ns, page->window_seconds * 1e9, value),
		     note);
	}
	write_cost_tile(page);
	fputs("</dl>\n", page->out);
}

static void write_notices(const struct page *page)
{
	const struct run_texts *notices = &page->run->profile.notices;
	int any = page->run_missing || *page->run_problem || notices->count;
	for (int i = 0; i < PAGE_SOURCE_COUNT; i++)
		any |= *page->profiles[i].problem != 0;
	if (!any)
		return;
	fputs("<ul class=\"notices\">\n", page->out);
	if (page->run_missing)
		fputs("<li>run.json is not there: what the run was and how fast it went is not known.</li>\n",
		      page->out);
	for (int i = -1; i < PAGE_SOURCE_COUNT; i++) {
		const char *problem = i < 0 ? page->run_problem : page->profiles[i].problem;
		if (!*problem)
			continue;
		fputs("<li>", page->out);
		page_text(page, problem);
		fputs("</li>\n", page->out);
	}
	for (size_t i = 0; i < notices->count; i++) {
		fputs("<li>", page->out);
		page_text(page, notices->items[i]);
		fputs("</li>\n", page->out);
	}
	fputs("</ul>\n", page->out);
}

int page_write(struct page *page)
{
	write_head(page);
	fputs("<p class=\"answer\">", page->out);
	answer_on_and_off(page);
	answer_stages(page);
	answer_function(page);
	answer_memory(page);
	fputs("</p>\n", page->out);
	write_tiles(page);
	write_notices(page);
	page_time(page);
	if (has_profile(page)) {
		page_functions(page);
		page_program(page);
		page_memory(page);
		page_trust(page);
		page_flames(page);
	} else {
		page_section(page, "functions", "Functions");
		page_missing(page, "This run was not profiled: there are no profiles in the folder "
				   "(cpu_mid.pprof, heap_end.pprof ...).");
		page_section_end(page);
	}
	page_run(page);
	fprintf(page->out,
		"</main>\n<script>\n%sdocument.querySelectorAll(\"svg.flame\").forEach(flame);\n</script>\n</"
		"body>\n</html>\n",
		asset_flame_js);
	return ferror(page->out) ? -1 : 0;
}
