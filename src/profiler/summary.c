/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/clock.h"
#include "profiler/internal.h"

const char *profiler_stop_name(size_t stop)
{
	static const char *const names[UNWIND_STOP_COUNT] = {
		[UNWIND_STOP_END] = "complete",
		[UNWIND_STOP_FRAMES_MAX] = "frames-max",
		[UNWIND_STOP_NO_PROCESS] = "no-process",
		[UNWIND_STOP_NO_MAPPING] = "no-mapping",
		[UNWIND_STOP_NO_ROW] = "no-row",
		[UNWIND_STOP_UNSUPPORTED] = "unsupported",
		[UNWIND_STOP_READ] = "unreadable",
		[UNWIND_STOP_STUCK] = "stuck",
		[UNWIND_STOP_JIT] = "jit",
		[UNWIND_STOP_TRAMPOLINE] = "trampoline",
		[UNWIND_STOP_NO_USER] = "no-user",
	};
	return stop < UNWIND_STOP_COUNT ? names[stop] : "";
}

static void summary_heap(const struct profiler *profiler, size_t index, struct profiler_heap_total *ret)
{
	const struct heap_snapshot *snapshot = &profiler->snapshots[index];
	double alloc_objects = 0;
	double alloc_bytes = 0;
	double inuse_objects = 0;
	double inuse_bytes = 0;
	for (size_t i = 0; i < snapshot->site_count; i++) {
		struct heap_scaled scaled;
		heap_scale(profiler, &snapshot->sites[i], &scaled);
		alloc_objects += scaled.alloc_objects;
		alloc_bytes += scaled.alloc_bytes;
		inuse_objects += scaled.inuse_objects;
		inuse_bytes += scaled.inuse_bytes;
	}
	*ret = (struct profiler_heap_total){
		.alloc_objects = (uint64_t)(alloc_objects + 0.5),
		.alloc_bytes = (uint64_t)(alloc_bytes + 0.5),
		.inuse_objects = (uint64_t)(inuse_objects + 0.5),
		.inuse_bytes = (uint64_t)(inuse_bytes + 0.5),
		.mapped_bytes = snapshot->mapped_bytes,
		.at_ns = snapshot->at_ns - profiler->attach_ns,
	};
}

static uint64_t dropped_of(const struct profiler *profiler)
{
	return counter_read(profiler, COUNTER_HEAP_LIVE_FULL) +
	       counter_read(profiler, COUNTER_HEAP_STACKS_FULL) +
	       counter_read(profiler, COUNTER_HEAP_SITES_FULL) +
	       counter_read(profiler, COUNTER_HEAP_NO_ENTRY);
}

void profiler_summary(struct profiler *profiler, struct profiler_summary *ret)
{
	if (!profiler->detached)
		load_account(profiler);
	*ret = (struct profiler_summary){
		.cpu_event = profiler->cpu_event_name ? profiler->cpu_event_name : "",
		.hz = profiler->options.hz,
		.cpu_samples = profiler->cpu_samples,
		.cpu_ns = profiler->cpu_ns,
		.off_cpu_samples = profiler->off_cpu_samples,
		.user_stacks = profiler->user_stacks,
		.user_stacks_complete = profiler->stops[UNWIND_STOP_END],
		.user_stacks_scanned = profiler->user_stacks_scanned,
		.stop_count = UNWIND_STOP_COUNT,
		.samples_lost = counter_read(profiler, COUNTER_RING_FULL) + profiler->samples.dropped,
		.window_ns = profiler->window_ns,
		.heap_tracked = profiler->heap_was_tracked,
		.heap_given_up = profiler->heap_given_up,
		.heap_rate_bytes = profiler->options.heap_rate_bytes,
		.heap_allocators = profiler->allocators,
		.heap_snapshots = profiler->snapshot_count,
		.heap_hits = counter_read(profiler, COUNTER_HEAP_HITS),
		.heap_unknown_frees = counter_read(profiler, COUNTER_HEAP_UNKNOWN_FREES),
		.heap_missed_frees = counter_read(profiler, COUNTER_HEAP_MISSED_FREES),
		.heap_dropped = dropped_of(profiler),
		.page_faults = profiler->page_faults,
		.program_run_ns = profiler->program_run_ns,
		.program_runs = profiler->program_runs,
		.supervisor_cpu_ns = (uint64_t)clock_process_cpu_ns(),
	};
	memcpy(ret->stops, profiler->stops, sizeof profiler->stops);
	memcpy(ret->stages, profiler->stages, sizeof ret->stages);
	for (size_t i = 0; i <= STAGE_COUNT; i++) {
		ret->blocked_ns += profiler->stages[i].blocked_ns;
		ret->runqueue_ns += profiler->stages[i].runqueue_ns;
	}
	for (size_t i = 0; i < profiler->snapshot_count; i++)
		summary_heap(profiler, i, &ret->heap[i]);
}
