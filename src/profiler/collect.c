/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of the records that the programs send: samples are added up, news of processes are acted on.
 */
#include <signal.h>
#include <string.h>

#include <bpf/bpf.h>

#include "profiler/internal.h"

/* The program that was started for us waits for its mappings to be read. Only then: what it does to itself
 * with SIGSTOP is its own affair. */
static void let_go_on(const struct profiler *profiler, const struct record *record)
{
	if (record->weight && profiler->main_pid == (pid_t)record->tgid)
		kill(profiler->main_pid, SIGCONT);
}

/* The programs have given the child what its parent had mapped then; its parent may have gone on since. */
static void news_fork(struct profiler *profiler, const struct record *record)
{
	struct unwind_process given = { 0 };
	for (size_t i = 0; i < profiler->forget_count; i++)
		if (profiler->forgets[i].tgid == record->tid) {
			heap_forget_now(profiler); /* its number had another owner a moment ago */
			break;
		}
	struct process *child = process_add(profiler, (pid_t)record->tid);
	bpf_map_lookup_elem(map_fd_of(profiler, "processes"), &record->tid, &given);
	if (child->generation == 0 && mapping_sets_use(&profiler->sets, given.generation) == 0)
		child->generation = given.generation;
	else
		process_read_mappings(profiler, child);
	allocators_probe(profiler, child);
}

static void news_exec(struct profiler *profiler, const struct record *record)
{
	struct process *process = process_add(profiler, (pid_t)record->tgid);
	uint32_t epoch = 0;
	bpf_map_lookup_elem(map_fd_of(profiler, "targets"), &record->tgid, &epoch);
	heap_forget_process(profiler, record->tgid, epoch);
	memory_forget(profiler->memory, record->tgid);
	process_leave(profiler, process, 0);
	process_read_mappings(profiler, process);
	allocators_probe(profiler, process);
	let_go_on(profiler, record);
}

static void news_exit(struct profiler *profiler, const struct record *record)
{
	struct process *process = process_find(profiler, (pid_t)record->tgid);
	uint32_t tgid = record->tgid;
	/* Of the target itself the state at its end is of interest; of others nothing is in use any more. */
	if ((pid_t)tgid != profiler->main_pid) {
		memory_forget(profiler->memory, tgid);
		heap_forget_process(profiler, tgid, UINT32_MAX);
	}
	bpf_map_delete_elem(map_fd_of(profiler, "targets"), &tgid);
	if (process) {
		if (process->has_jit)
			names_read_jit(profiler->names, process->pid);
		process_leave(profiler, process, 1);
	}
	links_end(profiler, (pid_t)tgid);
}

static void news_mappings(struct profiler *profiler, const struct record *record)
{
	struct process *process = process_add(profiler, (pid_t)record->tgid);
	if (!record->weight)
		process_ask_mappings(profiler, process);
	else if (process_read_mappings(profiler, process) == 0)
		allocators_probe(profiler, process);
	let_go_on(profiler, record);
}

static void add_stack_counts(struct profiler *profiler, const struct record *record)
{
	if (record->kind != RECORD_CPU)
		return;
	profiler->cpu_samples += record->count;
	profiler->cpu_ns += record->weight;
	if (record->stop == UNWIND_STOP_NO_USER)
		return;
	profiler->user_stacks += record->count;
	profiler->user_stacks_scanned += record->scanned ? record->count : 0;
	if (record->stop < UNWIND_STOP_COUNT)
		profiler->stops[record->stop] += record->count;
}

static void add_stage_time(struct profiler *profiler, const struct record *record)
{
	size_t stage = record->stage && record->stage <= STAGE_COUNT ? record->stage - 1 : STAGE_COUNT;
	struct profiler_stage_time *time = &profiler->stages[stage];
	if (record->kind == RECORD_CPU)
		time->cpu_ns += record->weight;
	else if (record->kind == RECORD_BLOCKED)
		time->blocked_ns += record->weight;
	else if (record->kind == RECORD_RUNQUEUE)
		time->runqueue_ns += record->weight;
	if (record->kind == RECORD_BLOCKED || record->kind == RECORD_RUNQUEUE)
		profiler->off_cpu_samples += record->count;
}

static void add_sample(struct profiler *profiler, const struct record *record)
{
	add_stack_counts(profiler, record);
	add_stage_time(profiler, record);
	samples_add(&profiler->samples, record);
}

/* A copy that names another state of the mappings, when the record's own is nothing special. */
static const struct record *settled(struct profiler *profiler, const struct record *record,
				    struct record *copy)
{
	uint32_t generation =
		mapping_sets_settle(&profiler->sets, record->generation,
				    record->frames + record->kernel_frames, record->user_frames);
	if (generation == record->generation)
		return record;
	memcpy(copy, record, record_bytes(record));
	copy->generation = generation;
	return copy;
}

int collect_record(void *context, void *data, size_t bytes)
{
	struct profiler *profiler = context;
	const struct record *record = data;
	struct record copy = { 0 };
	if (bytes < offsetof(struct record, frames) || bytes < record_bytes(record))
		return 0;
	if (record->user_frames)
		record = settled(profiler, record, &copy);
	switch ((enum record_kind)record->kind) {
	case RECORD_FORK:
		news_fork(profiler, record);
		break;
	case RECORD_EXEC:
		news_exec(profiler, record);
		break;
	case RECORD_EXIT:
		news_exit(profiler, record);
		break;
	case RECORD_MAPPINGS:
		news_mappings(profiler, record);
		break;
	case RECORD_MAP:
	case RECORD_UNMAP:
	case RECORD_BRK:
		memory_record(profiler->memory, &profiler->samples, record);
		break;
	case RECORD_CPU:
	case RECORD_BLOCKED:
	case RECORD_RUNQUEUE:
	case RECORD_FAULT:
		add_sample(profiler, record);
		break;
	}
	return 0;
}
