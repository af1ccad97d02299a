/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "pprof/pprof.h"

enum { PROFILE_PATH_BYTES_MAX = 4200, TOP_FUNCTIONS = 10, TOP_NAME_BYTES_MAX = 120 };

void profile_notice(void *owner, const char *text)
{
	struct profile *profile = owner;
	fprintf(stderr, "%snote: %s\n", profile->terminal ? "\r\033[K" : "", text);
	if (profile->notice_count < PROFILE_NOTICES_MAX)
		profile->notices[profile->notice_count++] = strdup(text);
}

int profile_open(struct profile *profile, unsigned hz, uint64_t heap_rate_bytes, unsigned heap_budget_percent,
		 int follow_children, char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct profiler_options options = {
		.hz = hz,
		.heap_rate_bytes = heap_rate_bytes,
		.heap_budget_percent = heap_budget_percent,
		.follow_children = follow_children,
		.notice = profile_notice,
		.notice_owner = profile,
	};
	profile->window_start_ns = -1;
	if (hz > PROFILE_HZ_CHEAP) {
		char text[128];
		snprintf(text, sizeof text, "-hz %u: more than %d samples a second cost over 1 %% of a CPU",
			 hz, PROFILE_HZ_CHEAP);
		profile_notice(profile, text);
	}
	profile->profiler = profiler_create(&options, error);
	return profile->profiler ? 0 : -1;
}

void profile_window_open(struct profile *profile)
{
	if (profile->window_start_ns < 0)
		profile->window_start_ns = clock_monotonic_ns() - profile->start_ns;
	profiler_window(profile->profiler, 1);
}

void profile_window_close(struct profile *profile)
{
	profiler_window(profile->profiler, 0);
}

void profile_end(struct profile *profile)
{
	profiler_window(profile->profiler, 0);
	profiler_detach(profile->profiler);
	profiler_summary(profile->profiler, &profile->summary);
}

static int file_wanted(const struct profile *profile, const struct profile_file *file)
{
	switch (file->kind) {
	case PROFILE_CPU:
	case PROFILE_OFF_CPU:
		return profile->window_start_ns >= 0;
	case PROFILE_HEAP:
		return file->snapshot_index >= 0 && profile->summary.heap_tracked;
	case PROFILE_MAPPINGS:
		return file->snapshot_index >= 0;
	case PROFILE_FAULTS:
		break; /* of the whole run, as the mappings */
	}
	return 1;
}

static int file_write(struct profile *profile, const struct profile_file *file,
		      char error[static PROFILER_ERROR_BYTES_MAX])
{
	char path[PROFILE_PATH_BYTES_MAX];
	int code = -1;
	snprintf(path, sizeof path, "%s/%s", profile->out, file->name);
	switch (file->kind) {
	case PROFILE_CPU:
		code = profiler_write_cpu(profile->profiler, path, error);
		break;
	case PROFILE_OFF_CPU:
		code = profiler_write_off_cpu(profile->profiler, path, error);
		break;
	case PROFILE_HEAP:
		code = profiler_write_heap(profile->profiler, file->snapshot_index, path, error);
		break;
	case PROFILE_FAULTS:
		code = profiler_write_faults(profile->profiler, path, error);
		break;
	case PROFILE_MAPPINGS:
		code = profiler_write_mappings(profile->profiler, file->snapshot_index, path, error);
		break;
	}
	if (code == 0 && profile->written_count < PROFILE_FILES_MAX)
		profile->written[profile->written_count++] = file->name;
	return code;
}

int profile_write(struct profile *profile, const struct profile_file *files, size_t count,
		  int (*stop)(void *owner), void *owner)
{
	char error[PROFILER_ERROR_BYTES_MAX];
	int code = 0;
	for (size_t i = 0; i < count; i++) {
		if (!file_wanted(profile, &files[i]))
			continue;
		if (stop(owner)) {
			profile_notice(profile, "ended at once: not all profiles are written");
			break;
		}
		if (file_write(profile, &files[i], error) < 0) {
			fprintf(stderr, "%s%s: %s\n", profile->terminal ? "\r\033[K" : "", profile->program,
				error);
			code = -1;
		}
	}
	return code;
}

static double share_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_cpu(const struct profiler_summary *summary, FILE *out)
{
	fprintf(out, "  CPU: %" PRIu64 " samples (%s, %u Hz) in %.1f s, %.2f s of CPU; ",
		summary->cpu_samples, summary->cpu_event, summary->hz, (double)summary->window_ns / 1e9,
		(double)summary->cpu_ns / 1e9);
	if (summary->user_stacks)
		fprintf(out, "%.2f %% of %" PRIu64 " user stacks complete",
			share_percent(summary->user_stacks_complete, summary->user_stacks),
			summary->user_stacks);
	else
		fputs("no user stacks", out);
	if (summary->samples_lost)
		fprintf(out, "; %" PRIu64 " samples LOST", summary->samples_lost);
	fprintf(out, "\n  off CPU: %" PRIu64 " samples, %.2f s asleep, %.2f s waiting for a CPU\n",
		summary->off_cpu_samples, (double)summary->blocked_ns / 1e9,
		(double)summary->runqueue_ns / 1e9);
}

/* Only stages in which something was seen; without stage slots there is nothing to tell apart. */
static void print_stages(const struct profiler_summary *summary, FILE *out)
{
	int seen = 0;
	uint64_t staged_ns = 0;
	for (size_t i = 0; i < STAGE_COUNT; i++)
		staged_ns += summary->stages[i].cpu_ns + summary->stages[i].blocked_ns;
	for (size_t i = 0; staged_ns && i <= STAGE_COUNT; i++) {
		const struct profiler_stage_time *time = &summary->stages[i];
		if (time->cpu_ns + time->blocked_ns + time->runqueue_ns == 0)
			continue;
		if (!seen++)
			fprintf(out, "  %-10s %10s %7s %10s %10s\n", "stage", "on CPU", "share", "asleep",
				"waiting");
		/* Without a slot: other threads, and the kernel's workers that write for io_uring. */
		fprintf(out, "  %-10s %8.3f s %5.1f %% %8.3f s %8.3f s\n",
			i < STAGE_COUNT ? stage_name((enum stage)i) : "(none)", (double)time->cpu_ns / 1e9,
			share_percent(time->cpu_ns, summary->cpu_ns), (double)time->blocked_ns / 1e9,
			(double)time->runqueue_ns / 1e9);
	}
}

static void print_heap(const struct profiler_summary *summary, FILE *out)
{
	if (!summary->heap_tracked) {
		fputs("  heap: not tracked\n", out);
		return;
	}
	if (summary->heap_snapshots == 0)
		return;
	const struct profiler_heap_total *heap = &summary->heap[summary->heap_snapshots - 1];
	fprintf(out,
		"  heap (%s%s): %" PRIu64 " allocations, %.2f MB in all; %" PRIu64
		" live, %.2f MB; beside it %.2f MB mapped\n",
		summary->heap_rate_bytes == 1 ? "every allocation" : "sampled",
		summary->heap_given_up ? ", given up because of its cost" : "", heap->alloc_objects,
		(double)heap->alloc_bytes / 1e6, heap->inuse_objects, (double)heap->inuse_bytes / 1e6,
		(double)heap->mapped_bytes / 1e6);
}

void profile_print(const struct profile *profile, FILE *out)
{
	const struct profiler_summary *summary = &profile->summary;
	fputs("profiles:", out);
	for (size_t i = 0; i < profile->written_count; i++)
		fprintf(out, " %s", profile->written[i]);
	fprintf(out, "%s; in %s\n", profile->written_count ? "" : " none", profile->out);
	if (summary->window_ns > 0) {
		print_cpu(summary, out);
		print_stages(summary, out);
	}
	print_heap(summary, out);
	fprintf(out, "  cost: %.3f s of CPU in the supervisor", (double)summary->supervisor_cpu_ns / 1e9);
	if (summary->program_runs)
		fprintf(out, ", %.3f s in %" PRIu64 " runs of eBPF programs",
			(double)summary->program_run_ns / 1e9, summary->program_runs);
	fputc('\n', out);
}

struct top_function {
	const char *name;
	int64_t flat;
};

static int top_by_name(const void *a, const void *b)
{
	return strcmp(((const struct top_function *)a)->name, ((const struct top_function *)b)->name);
}

static int top_by_time(const void *a, const void *b)
{
	int64_t left = ((const struct top_function *)a)->flat;
	int64_t right = ((const struct top_function *)b)->flat;
	return left < right ? 1 : left > right ? -1 : top_by_name(a, b);
}

/* The innermost function of a sample. */
static const char *leaf_name(const struct pprof *profile, const struct pprof_sample *sample)
{
	if (sample->locations_count == 0)
		return "[nothing]";
	uint32_t location_id = profile->location_ids[sample->locations_first];
	const struct pprof_location *location = &profile->locations[location_id - 1];
	const struct pprof_line *line = &profile->lines[location->lines_first];
	return pprof_text(profile, profile->functions[line->function_id - 1].name);
}

/* One entry per function: `entries` sorted by name are summed up in place. Returns how many are left. */
static size_t top_merge(struct top_function *entries, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (kept && strcmp(entries[kept - 1].name, entries[i].name) == 0)
			entries[kept - 1].flat += entries[i].flat;
		else
			entries[kept++] = entries[i];
	return kept;
}

/* Names come from files that anybody may have made: nothing in them may steer a terminal. */
static void print_function(const struct top_function *entry, int64_t total, FILE *out)
{
	fprintf(out, "  %8.3f s %5.1f %%  ", (double)entry->flat / 1e9,
		total > 0 ? 100.0 * (double)entry->flat / (double)total : 0);
	for (size_t i = 0; entry->name[i] && i < TOP_NAME_BYTES_MAX; i++) {
		unsigned char byte = (unsigned char)entry->name[i];
		fputc(byte < 0x20 || byte == 0x7f ? '?' : byte, out);
	}
	fputc('\n', out);
}

void profile_print_top(const struct profile *profile, const char *name, FILE *out)
{
	char path[PROFILE_PATH_BYTES_MAX];
	char error[PPROF_ERROR_BYTES_MAX];
	snprintf(path, sizeof path, "%s/%s", profile->out, name);
	struct pprof *file = pprof_read(path, error);
	if (!file)
		return;
	int index = pprof_value_index(file, "cpu");
	size_t count = file->sample_count;
	struct top_function *entries = calloc(count + 1, sizeof *entries);
	if (index >= 0 && count && entries) {
		for (size_t i = 0; i < count; i++)
			entries[i] = (struct top_function){ .name = leaf_name(file, &file->samples[i]),
							    .flat = file->samples[i].values[index] };
		qsort(entries, count, sizeof *entries, top_by_name);
		count = top_merge(entries, count);
		qsort(entries, count, sizeof *entries, top_by_time);
		int64_t total = pprof_total(file, index);
		if (total > 0)
			fputs("  functions by their own CPU time:\n", out);
		for (size_t i = 0; total > 0 && i < count && i < TOP_FUNCTIONS; i++)
			print_function(&entries[i], total, out);
	}
	free(entries);
	pprof_destroy(file);
}

void profile_close(struct profile *profile)
{
	profiler_destroy(profile->profiler);
	profile->profiler = NULL;
	for (size_t i = 0; i < profile->notice_count; i++)
		free(profile->notices[i]);
	profile->notice_count = 0;
}
