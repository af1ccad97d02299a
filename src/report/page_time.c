/* SPDX-License-Identifier: Apache-2.0
 *
 * The page's answer to "where did the time go": throughput over time, time by stage, functions.
 *
 * A chart is an <svg> that stretches with the page; its words are HTML above it, so that they keep their
 * size.
 */
#include <string.h>

#include "report/page.h"
#include "report/text.h"
#include "report/top.h"

enum {
	CHART_STEPS_MAX = 240, /* more are finer than a pixel on most screens */
	CHART_WIDTH = 1000,
	CHART_HEIGHT = 100,
	CHART_LINES_MAX = 8,
	TABLE_ROWS_MAX = 15,
};

struct step {
	double from_seconds, to_seconds;
	double rate, in_rate, out_rate; /* events and bytes a second */
};

struct chart {
	struct step steps[CHART_STEPS_MAX];
	size_t count;
	double end_seconds, top_rate;
};

static double rise(double from, double to, double seconds)
{
	return to > from && seconds > 0 ? (to - from) / seconds : 0;
}

static void chart_fill(struct chart *chart, const struct run_record *run)
{
	struct run_sample before = { 0 };
	size_t each = (run->sample_count + CHART_STEPS_MAX - 1) / CHART_STEPS_MAX;
	chart->count = 0;
	chart->top_rate = 0;
	for (size_t i = each; each && i - each < run->sample_count; i += each) {
		const struct run_sample *sample =
			&run->samples[i <= run->sample_count ? i - 1 : run->sample_count - 1];
		double seconds = sample->at_seconds - before.at_seconds;
		chart->steps[chart->count++] = (struct step){
			.from_seconds = before.at_seconds,
			.to_seconds = sample->at_seconds,
			.rate = rise(before.events, sample->events, seconds),
			.in_rate = rise(before.received_bytes, sample->received_bytes, seconds),
			.out_rate = rise(before.plain_bytes, sample->plain_bytes, seconds),
		};
		chart->top_rate = fmax(chart->top_rate, chart->steps[chart->count - 1].rate);
		before = *sample;
	}
	chart->end_seconds = before.at_seconds;
}

/* 1, 2 or 5 times a power of ten, so that `count_max` of them reach `top`. */
static double round_step(double top, double count_max)
{
	double step = pow(10, floor(log10(top / count_max)));
	static const double times[] = { 1, 2, 5, 10 };
	for (size_t i = 0; i < 4; i++) {
		if (step * times[i] * count_max >= top)
			return step * times[i];
	}
	return step * 10;
}

static double time_step(double seconds)
{
	static const double steps[] = { 1,   2,	  5,	10,   15,   30,	   60,	  120,	 300,
					600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400 };
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (seconds / steps[i] <= CHART_LINES_MAX)
			return steps[i];
	}
	return round_step(seconds, CHART_LINES_MAX);
}

static void time_label(FILE *out, double seconds, double step)
{
	if (step >= 3600)
		fprintf(out, "%.4g" TEXT_NBSP "h", seconds / 3600);
	else if (step >= 60)
		fprintf(out, "%.0f" TEXT_NBSP "min", seconds / 60);
	else
		fprintf(out, "%.4g" TEXT_NBSP "s", seconds);
}

/* A round number: no digits behind the ones that count. */
static char *tick_text(double value, char text[static TEXT_BYTES_MAX])
{
	static const char *const units[] = { "", TEXT_NBSP "k", TEXT_NBSP "M", TEXT_NBSP "G", TEXT_NBSP "T" };
	size_t unit = 0;
	for (; value >= 1000 && unit < 4; unit++)
		value /= 1000;
	snprintf(text, TEXT_BYTES_MAX, "%.4g%s", value, units[unit]);
	return text;
}

static void chart_words(const struct page *page, const struct chart *chart, double top, double step)
{
	char text[TEXT_BYTES_MAX];
	double each = time_step(chart->end_seconds);
	for (int i = 0; i <= (int)(top / step + 0.5); i++)
		fprintf(page->out, "<span class=\"y\" style=\"bottom:%.2f%%\">%s</span>",
			i * step / top * 100, tick_text(i * step, text));
	for (int i = 0; i <= 2 * CHART_LINES_MAX && i * each <= chart->end_seconds; i++) {
		fprintf(page->out, "<span class=\"x%s\" style=\"left:%.2f%%\">", i % 2 ? " minor" : "",
			i * each / chart->end_seconds * 100);
		time_label(page->out, i * each, each);
		fputs("</span>", page->out);
	}
	if (page->window_start_seconds >= 0 && page->window_start_seconds < chart->end_seconds)
		fprintf(page->out, "<span class=\"window\" style=\"left:%.2f%%\">profile window</span>",
			page->window_start_seconds / chart->end_seconds * 100);
}

static void chart_shapes(const struct page *page, const struct chart *chart, double top, double step)
{
	FILE *out = page->out;
	double across = CHART_WIDTH / chart->end_seconds, up = CHART_HEIGHT / top;
	char texts[4][TEXT_BYTES_MAX];
	if (page->window_start_seconds >= 0 && page->window_start_seconds < chart->end_seconds) {
		double end = fmin(page->window_start_seconds + page->window_seconds, chart->end_seconds);
		fprintf(out, "<rect class=\"window\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%d\"/>\n",
			page->window_start_seconds * across, (end - page->window_start_seconds) * across,
			CHART_HEIGHT);
	}
	for (int i = 0; i <= (int)(top / step + 0.5); i++)
		fprintf(out, "<path class=\"line\" d=\"M0 %.2fH%d\"/>\n", CHART_HEIGHT - i * step * up,
			CHART_WIDTH);
	fprintf(out, "<path class=\"area\" d=\"M0 %d", CHART_HEIGHT);
	for (size_t i = 0; i < chart->count; i++)
		fprintf(out, "V%.2fH%.2f", CHART_HEIGHT - chart->steps[i].rate * up,
			chart->steps[i].to_seconds * across);
	fprintf(out, "V%dZ\"/>\n", CHART_HEIGHT);
	fprintf(out, "<path class=\"edge\" d=\"M0 %.2f", CHART_HEIGHT - chart->steps[0].rate * up);
	for (size_t i = 0; i < chart->count; i++)
		fprintf(out, "V%.2fH%.2f", CHART_HEIGHT - chart->steps[i].rate * up,
			chart->steps[i].to_seconds * across);
	fputs("\"/>\n", out);
	if (page->run->events_per_second > 0 && page->run->events_per_second <= top)
		fprintf(out, "<path class=\"mean\" d=\"M0 %.2fH%d\"/>\n",
			CHART_HEIGHT - page->run->events_per_second * up, CHART_WIDTH);
	for (size_t i = 0; i < chart->count; i++) {
		const struct step *at = &chart->steps[i];
		fprintf(out,
			"<rect class=\"hover\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"%d\"><title>%.1f "
			"to %.1f s: %s events/s, %s/s in, "
			"%s/s inflated</title></rect>\n",
			at->from_seconds * across, (at->to_seconds - at->from_seconds) * across, CHART_HEIGHT,
			at->from_seconds, at->to_seconds, text_short(at->rate, texts[0]),
			text_bytes(at->in_rate, texts[1]), text_bytes(at->out_rate, texts[2]));
	}
}

static void write_throughput(const struct page *page)
{
	struct chart chart;
	chart_fill(&chart, page->run);
	if (!chart.count || chart.top_rate <= 0 || chart.end_seconds <= 0)
		return;
	double step = round_step(chart.top_rate, 4), top = ceil(chart.top_rate / step) * step;
	page_section(page, "throughput", "Throughput over time");
	fputs("<p class=\"key\"><span><i class=\"swatch area\"></i>events per second</span>"
	      "<span><i class=\"swatch mean\"></i>mean of the run</span>",
	      page->out);
	if (page->window_start_seconds >= 0)
		fputs("<span><i class=\"swatch window\"></i>profile window</span>", page->out);
	fputs("</p>\n<div class=\"chart\"><div class=\"plot\">", page->out);
	chart_words(page, &chart, top, step);
	fprintf(page->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		"preserveAspectRatio=\"none\" role=\"img\" "
		"aria-label=\"Events per second over time\">\n",
		CHART_WIDTH, CHART_HEIGHT);
	chart_shapes(page, &chart, top, step);
	fputs("</svg></div></div>\n", page->out);
	page_section_end(page);
}

/* ---- Stages ---- */

struct stage_sums {
	double cpu, off, cpu_most, off_most;
};

static double off_of(const struct run_stage *stage)
{
	return (double)stage->blocked_ns + (double)stage->runqueue_ns;
}

static void stage_row(const struct page *page, const struct run_stage *stage, const struct stage_sums *sums)
{
	FILE *out = page->out;
	char text[TEXT_BYTES_MAX];
	double cpu = (double)stage->cpu_ns, blocked = (double)stage->blocked_ns,
	       runqueue = (double)stage->runqueue_ns;
	fputs("<tr><th scope=\"row\">", out);
	page_text(page, stage->name);
	fprintf(out,
		"</th><td class=\"bar\"><span><i class=\"cpu\" "
		"style=\"width:%.2f%%\"></i></span></td><td>%s</td>",
		sums->cpu_most > 0 ? cpu / sums->cpu_most * 100 : 0, text_share(cpu, sums->cpu, text));
	fprintf(out, "<td>%s</td>", text_duration(cpu, text));
	if (page->window_events > 0)
		fprintf(out, "<td>%s</td>", text_duration(cpu / page->window_events, text));
	if (sums->off > 0) {
		fprintf(out,
			"<td class=\"bar\"><span><i class=\"blocked\" style=\"width:%.2f%%\"></i><i "
			"class=\"runqueue\" style=\"width:%.2f%%\">"
			"</i></span></td>",
			blocked / sums->off_most * 100, runqueue / sums->off_most * 100);
		fprintf(out, "<td>%s</td>", text_duration(blocked, text));
		fprintf(out, "<td>%s</td>", text_duration(runqueue, text));
	}
	fputs("</tr>\n", out);
}

static void write_stages(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	struct stage_sums sums = { 0 };
	struct run_stage all = { .name = "all" };
	for (size_t i = 0; i < profile->stage_count; i++) {
		const struct run_stage *stage = &profile->stages[i];
		sums.cpu += (double)stage->cpu_ns;
		sums.off += off_of(stage);
		sums.cpu_most = fmax(sums.cpu_most, (double)stage->cpu_ns);
		sums.off_most = fmax(sums.off_most, off_of(stage));
		all.cpu_ns = stage->cpu_ns > INT64_MAX - all.cpu_ns ? INT64_MAX : all.cpu_ns + stage->cpu_ns;
		all.blocked_ns = stage->blocked_ns > INT64_MAX - all.blocked_ns
					 ? INT64_MAX
					 : all.blocked_ns + stage->blocked_ns;
		all.runqueue_ns = stage->runqueue_ns > INT64_MAX - all.runqueue_ns
					  ? INT64_MAX
					  : all.runqueue_ns + stage->runqueue_ns;
	}
	if (sums.cpu + sums.off <= 0)
		return;
	page_section(page, "stages", "Time by stage");
	fprintf(page->out,
		"<div class=\"scroll\"><table class=\"stages\"><thead><tr><th>Stage</th><th class=\"bar\">On "
		"CPU</th><th>share</th>"
		"<th>time</th>%s%s</tr></thead><tbody>\n",
		page->window_events > 0 ? "<th>per event</th>" : "",
		sums.off > 0 ? "<th class=\"bar\">Off CPU</th><th>blocked</th><th>run queue</th>" : "");
	for (size_t i = 0; i < profile->stage_count; i++) {
		if (profile->stages[i].cpu_ns > 0 || off_of(&profile->stages[i]) > 0)
			stage_row(page, &profile->stages[i], &sums);
	}
	fputs("</tbody><tfoot>\n", page->out);
	sums.cpu_most = sums.off_most = INFINITY; /* the sum has no bar */
	stage_row(page, &all, &sums);
	fputs("</tfoot></table></div>\n<p class=\"key\"><span><i class=\"swatch cpu\"></i>on a CPU</span>",
	      page->out);
	if (sums.off > 0)
		fputs("<span><i class=\"swatch blocked\"></i>blocked: waits for data, a lock, a timer</span>"
		      "<span><i class=\"swatch runqueue\"></i>run queue: could run, waits for a CPU</span>",
		      page->out);
	fputs("</p>\n", page->out);
	page_section_end(page);
}

void page_time(const struct page *page)
{
	fputs("<div id=\"time\" class=\"pair\">\n", page->out);
	write_throughput(page);
	write_stages(page);
	fputs("</div>\n", page->out);
}

/* ---- Functions ---- */

static const char function_head[] =
	"<table class=\"top\"><thead><tr><th>function</th><th>share</th><th>time</th></tr></thead><tbody>\n";
/* Of all time: below these a function says nothing about where it went. */
static const double trunk_share_min = 0.995;

static void function_row(const struct page *page, const struct frames *frames, const struct top_row *row,
			 const struct top *top, int64_t value)
{
	char share[TEXT_BYTES_MAX], text[TEXT_BYTES_MAX];
	const struct pprof *profile = page->profiles[PAGE_CPU].profile;
	const char *unit = pprof_text(profile, profile->value_types[page_cpu_value(page)].unit);
	fprintf(page->out, "<tr><td class=\"name\" style=\"--p:%.2f%%\">",
		top->total > 0 ? (double)value / (double)top->total * 100 : 0);
	page_frame(page, &frames->frames[row->frame]);
	fprintf(page->out, "</td><td>%s</td><td>%s</td></tr>\n",
		text_share((double)value, (double)top->total, share), text_value((double)value, unit, text));
}

/* Everything runs below it, and it does nothing itself: _start, main, a loop. */
static int is_trunk(const struct top_row *row, const struct top *top)
{
	return (double)row->cumulative >= (double)top->total * trunk_share_min &&
	       (double)row->flat < (double)top->total * (1 - trunk_share_min);
}

static size_t trunk_count(const struct top *top)
{
	size_t count = 0;
	for (size_t i = 0; i < top->count; i++)
		count += (size_t)is_trunk(&top->rows[i], top);
	return count;
}

static void flat_table(const struct page *page, struct frames *frames, struct top *top)
{
	top_sort(top, frames, TOP_FLAT);
	fputs("<div><h3>By itself</h3><p class=\"hint\">The function that was running, inlined ones "
	      "included.</p>",
	      page->out);
	fputs(function_head, page->out);
	for (size_t i = 0; i < top->count && i < TABLE_ROWS_MAX && top->rows[i].flat > 0; i++)
		function_row(page, frames, &top->rows[i], top, top->rows[i].flat);
	fputs("</tbody></table></div>\n", page->out);
}

static void cumulative_table(const struct page *page, struct frames *frames, struct top *top)
{
	size_t trunk = trunk_count(top), rows = 0;
	char text[TEXT_BYTES_MAX];
	top_sort(top, frames, TOP_CUMULATIVE);
	fputs("<div><h3>With all that it calls</h3><p class=\"hint\">The function, or one below it, was "
	      "running.",
	      page->out);
	if (trunk > 1)
		fprintf(page->out, " Not listed: %s below which everything runs.",
			text_count((int64_t)trunk, text));
	fputs("</p>", page->out);
	fputs(function_head, page->out);
	for (size_t i = 0; i < top->count && rows < TABLE_ROWS_MAX; i++) {
		if (trunk > 1 && is_trunk(&top->rows[i], top))
			continue;
		function_row(page, frames, &top->rows[i], top, top->rows[i].cumulative);
		rows++;
	}
	fputs("</tbody></table></div>\n", page->out);
}

void page_functions(const struct page *page)
{
	const struct page_profile *source = &page->profiles[PAGE_CPU];
	page_section(page, "functions", "Functions");
	if (page_cpu_value(page) < 0) {
		page_missing(
			page,
			*source->problem
				? source->problem
				: "There is no CPU profile in this folder (cpu_mid.pprof or cpu.pprof).");
		page_section_end(page);
		return;
	}
	struct top *top = top_create(source->frames, page_cpu_value(page));
	if (top->total <= 0) {
		page_missing(
			page,
			"The CPU profile holds no samples: nothing ran on a CPU while the window was open.");
	} else {
		fputs("<div class=\"two\">\n", page->out);
		flat_table(page, source->frames, top);
		cumulative_table(page, source->frames, top);
		fputs("</div>\n", page->out);
	}
	top_destroy(top);
	page_section_end(page);
}
