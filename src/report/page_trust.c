/* SPDX-License-Identifier: Apache-2.0
 *
 * How far the page's numbers can be trusted: what profiling itself cost, which stacks are whole, what was
 * lost, and how the collector was confined.
 */
#include <string.h>

#include "report/page.h"
#include "report/text.h"
#include "report/top.h"

/* ---- What profiling cost ---- */

/* Kernel functions that run because of our probes. */
static const char *const probe_functions[] = {
	"bpf_prog_",  "__bpf_prog_",  "bpf_trampoline_",   "uprobe_",		"__uprobe_", "handle_swbp",
	"uretprobe_", "arch_uprobe_", "prepare_uretprobe", "perf_event_output", NULL
};

static void write_overhead(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	double run_ns = page->run->elapsed_seconds > 0 ? page->run->elapsed_seconds * 1e9
						       : page->window_seconds * 1e9;
	char texts[3][TEXT_BYTES_MAX];
	fputs("<div><h3>What profiling cost</h3><dl class=\"facts\">\n", page->out);
	if (page_cpu_value(page) >= 0) {
		int64_t sum =
			top_below(page->profiles[PAGE_CPU].frames, page_cpu_value(page), probe_functions);
		page_fact(page, "CPU samples inside probes");
		fputs(text_share((double)sum, (double)page_total(page, PAGE_CPU, page_cpu_value(page)),
				 texts[0]),
		      page->out);
		page_fact_end(page);
	}
	if (profile->program_run_ns > 0 && profile->program_runs > 0) {
		page_fact(page, "eBPF programs");
		fprintf(page->out, "%s<small>%s runs, %s each</small>",
			text_duration((double)profile->program_run_ns, texts[0]),
			text_count(profile->program_runs, texts[1]),
			text_duration((double)profile->program_run_ns / (double)profile->program_runs,
				      texts[2]));
		page_fact_end(page);
		if (run_ns > 0) {
			page_fact(page, "that is, of one CPU");
			fputs(text_share((double)profile->program_run_ns, run_ns, texts[0]), page->out);
			page_fact_end(page);
		}
	}
	if (profile->supervisor_cpu_ns >= 0) {
		page_fact(page, "supervisor, beside the target");
		fprintf(page->out, "%s", text_duration((double)profile->supervisor_cpu_ns, texts[0]));
		if (run_ns > 0)
			fprintf(page->out, "<small>%s of one CPU</small>",
				text_share((double)profile->supervisor_cpu_ns, run_ns, texts[1]));
		page_fact_end(page);
	}
	if (profile->heap.hits >= 0) {
		page_fact(page, "heap probes hit");
		fputs(text_count(profile->heap.hits, texts[0]), page->out);
		page_fact_end(page);
	}
	fputs("</dl></div>\n", page->out);
}

/* ---- What is whole, what is lost ---- */

static void count_fact(const struct page *page, const char *name, int64_t count)
{
	char text[TEXT_BYTES_MAX];
	if (count == RUN_ABSENT)
		return;
	page_fact(page, name);
	fputs(text_count(count, text), page->out);
	page_fact_end(page);
}

static void write_stacks(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	char texts[3][TEXT_BYTES_MAX];
	double share = profile->complete_share;
	if (profile->stacks_user > 0 && profile->stacks_complete >= 0)
		share = (double)profile->stacks_complete / (double)profile->stacks_user;
	if (!isnan(share)) {
		page_fact(page, "complete user stacks");
		fprintf(page->out, "<b%s>%s</b>", share < 0.99 ? " class=\"bad\"" : "",
			text_share(share, 1, texts[0]));
		if (profile->stacks_user > 0 && profile->stacks_complete >= 0)
			fprintf(page->out, "<small>%s of %s</small>",
				text_count(profile->stacks_complete, texts[1]),
				text_count(profile->stacks_user, texts[2]));
		page_fact_end(page);
	}
	if (profile->stacks_scanned >= 0) {
		page_fact(page, "needed a scan for a return address");
		fputs(text_count(profile->stacks_scanned, texts[0]), page->out);
		if (profile->stacks_user > 0)
			fprintf(page->out, "<small>%s</small>",
				text_share((double)profile->stacks_scanned, (double)profile->stacks_user,
					   texts[1]));
		page_fact_end(page);
	}
	for (size_t i = 0; i < profile->stop_count; i++) {
		if (!strcmp(profile->stops[i].reason, "complete"))
			continue;
		fputs("<div><dt>ended at: ", page->out);
		page_text(page, profile->stops[i].reason);
		fprintf(page->out, "</dt><dd>%s</dd></div>\n", text_count(profile->stops[i].count, texts[0]));
	}
}

static void write_nameless(const struct page *page)
{
	if (page_cpu_value(page) < 0)
		return;
	struct frames *frames = page->profiles[PAGE_CPU].frames;
	struct top *top = top_create(frames, page_cpu_value(page));
	double sum = 0;
	char text[TEXT_BYTES_MAX];
	for (size_t i = 0; i < top->count; i++) {
		if (frames->frames[top->rows[i].frame].kind == FRAME_UNKNOWN)
			sum += (double)top->rows[i].flat;
	}
	page_fact(page, "time in functions without a name");
	fputs(text_share(sum, (double)top->total, text), page->out);
	page_fact_end(page);
	top_destroy(top);
}

/* 95 % of a binomial share; 10 % is what a reader looks at. */
static void write_sampling_error(const struct page *page)
{
	int64_t samples = page->run->profile.cpu_samples;
	if (samples < 0)
		samples = page_total(page, PAGE_CPU, page_value(page, PAGE_CPU, "samples"));
	if (samples <= 0)
		return;
	page_fact(page, "a share of 10" TEXT_NBSP "% is good to");
	fprintf(page->out, "\u00b1%.1f points", 196 * sqrt(0.1 * 0.9 / (double)samples));
	page_fact_end(page);
}

static void write_completeness(const struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	fputs("<div><h3>What is whole, what is lost</h3><dl class=\"facts\">\n", page->out);
	write_stacks(page);
	count_fact(page, "samples lost", profile->samples_lost);
	write_nameless(page);
	write_sampling_error(page);
	count_fact(page, "frees of blocks not seen allocated", profile->heap.unknown_frees);
	count_fact(page, "frees missed", profile->heap.missed_frees);
	count_fact(page, "heap events dropped", profile->heap.dropped);
	fputs("</dl></div>\n", page->out);
}

/* ---- Confinement ---- */

static void state_fact(const struct page *page, const char *name, int state)
{
	if (state == RUN_ABSENT)
		return;
	page_fact(page, name);
	fputs(state ? "<span class=\"good\">\u2713 on</span>" : "<span class=\"bad\">\u2717 off</span>",
	      page->out);
	page_fact_end(page);
}

static void write_confinement(const struct page *page)
{
	const struct run_confinement *confinement = &page->run->confinement;
	if (!confinement->present)
		return;
	fputs("<div><h3>How the collector was confined</h3><dl class=\"facts\">\n", page->out);
	if (*confinement->user) {
		page_fact(page, "user");
		page_text(page, confinement->user);
		fputs(confinement->user_changed == 1 ? "<small>privileges given up</small>" : "", page->out);
		page_fact_end(page);
	}
	state_fact(page, "no new privileges", confinement->no_new_privileges);
	state_fact(page, "Landlock: files", confinement->landlock_files);
	state_fact(page, "Landlock: connections", confinement->landlock_connect);
	state_fact(page, "seccomp", confinement->seccomp);
	state_fact(page, "io_uring restricted", confinement->io_uring_restricted);
	fputs("</dl>\n", page->out);
	if (*confinement->note) {
		fputs("<p class=\"hint\">", page->out);
		page_text(page, confinement->note);
		fputs("</p>\n", page->out);
	}
	fputs("</div>\n", page->out);
}

void page_trust(const struct page *page)
{
	page_section(page, "trust", "How far to trust this");
	if (!page->run->profile.present)
		page_missing(page, "run.json tells nothing about how the profile was taken.");
	if (!page->run->profile.present && page_cpu_value(page) < 0) {
		page_section_end(page);
		return;
	}
	fputs("<div class=\"three\">\n", page->out);
	write_overhead(page);
	write_completeness(page);
	write_confinement(page);
	fputs("</div>\n", page->out);
	page_section_end(page);
}
