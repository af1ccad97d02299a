/* SPDX-License-Identifier: Apache-2.0
 *
 * Followed processes and their executable mappings. What the kernel's unwinder searches is a copy of the
 * newest set of each process; older sets stay here, because samples name the set (generation) that they were
 * taken with.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/clock.h"
#include "profiler/internal.h"

enum { MAPPINGS_OF_PROCESS_MAX = 1 << MAPPING_SEARCH_STEPS_MAX };

struct process *process_find(struct profiler *profiler, pid_t pid)
{
	for (size_t i = profiler->process_count; i-- > 0;)
		if (profiler->processes[i].pid == pid && !profiler->processes[i].exited)
			return &profiler->processes[i];
	return NULL;
}

/* What is known of the target itself is asked for also when it has ended. */
static struct process *process_slot(struct profiler *profiler)
{
	for (size_t i = 0; i < profiler->process_count; i++)
		if (profiler->processes[i].exited && profiler->processes[i].pid != profiler->main_pid) {
			free(profiler->processes[i].probed);
			return &profiler->processes[i];
		}
	profiler->processes = room_for(profiler->processes, &profiler->processes_max, profiler->process_count,
				       1, sizeof *profiler->processes);
	return &profiler->processes[profiler->process_count++];
}

struct process *process_add(struct profiler *profiler, pid_t pid)
{
	struct process *process = process_find(profiler, pid);
	if (process)
		return process;
	process = process_slot(profiler);
	*process = (struct process){ .pid = pid };
	return process;
}

/* One line of maps, when it is executable. Returns whether it was. */
static int mapping_of_line(struct profiler *profiler, pid_t pid, const struct map_line *line,
			   struct unwind_mapping *ret)
{
	if (line->permissions[2] != 'x' || strcmp(line->path, "[vsyscall]") == 0)
		return 0;
	*ret = (struct unwind_mapping){ .start = line->start, .end = line->end, .kind = MAPPING_JIT };
	if (strcmp(line->path, "[uprobes]") == 0) {
		ret->kind = MAPPING_UPROBES;
		return 1;
	}
	struct object *object = line->path[0] ? objects_open(profiler->objects, pid, line) : NULL;
	if (!object)
		return 1;
	if (!object->rows_known && rows_of_object(&profiler->rows, object) == -ENOSPC)
		profiler_say(profiler, "no room for the unwind rows of %s: stacks end in it", object->path);
	ret->kind = MAPPING_OBJECT;
	ret->object_id = object->id;
	ret->bias = object_bias(object, line);
	ret->rows_first = object->rows_first;
	ret->rows_count = object->rows_count;
	return 1;
}

/* Code generators that map piece by piece leave more mappings than can be searched. The pieces that no file
 * lies between become one, the holes in it included: less sharp, but all files stay known. */
static size_t mappings_join(struct unwind_mapping *mappings, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (kept && mappings[i].kind == MAPPING_JIT && mappings[kept - 1].kind == MAPPING_JIT)
			mappings[kept - 1].end = mappings[i].end;
		else
			mappings[kept++] = mappings[i];
	return kept;
}

static int mappings_read(struct profiler *profiler, struct process *process,
			 struct unwind_mapping **ret_mappings, size_t *ret_count)
{
	char path[64];
	pid_t pid = process->pid;
	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	struct unwind_mapping *mappings = NULL;
	size_t count = 0;
	size_t max = 0;
	char *text = NULL;
	size_t text_max = 0;
	int joins = 0;
	struct map_line *line = malloc(sizeof *line);
	while (line && getline(&text, &text_max, file) > 0 && count < MAPPINGS_OF_PROCESS_MAX) {
		if (map_line_parse(text, line) < 0)
			continue;
		if (strcmp(line->path, "[heap]") == 0)
			memory_set_break(profiler->memory, (uint32_t)pid, line->end);
		mappings = room_for(mappings, &max, count, 1, sizeof *mappings);
		count += (size_t)mapping_of_line(profiler, pid, line, &mappings[count]);
		if (count == MAPPINGS_OF_PROCESS_MAX) {
			joins = 1;
			count = mappings_join(mappings, count);
		} else if (joins && count > 1) {
			count = count - 2 + mappings_join(mappings + count - 2, 2);
		}
	}
	if (count == MAPPINGS_OF_PROCESS_MAX && !process->is_cut)
		profiler_say(profiler,
			     "pid %d has mapped code in more than %d places: stacks end in the last of them",
			     (int)pid, MAPPINGS_OF_PROCESS_MAX);
	process->is_cut |= count == MAPPINGS_OF_PROCESS_MAX;
	free(line);
	free(text);
	fclose(file);
	*ret_mappings = mappings;
	*ret_count = count;
	return 0;
}

/* Tells the programs where the mappings of the process are. */
static int set_tell(struct profiler *profiler, pid_t pid, const struct mapping_set *set)
{
	struct unwind_process value = { .mappings_first = set->first,
					.mappings_count = set->count,
					.generation = set->generation };
	uint32_t key = (uint32_t)pid;
	return bpf_map_update_elem(map_fd_of(profiler, "processes"), &key, &value, BPF_ANY) < 0 ? -errno : 0;
}

static int set_publish(struct profiler *profiler, struct process *process, struct unwind_mapping *mappings,
		       size_t count)
{
	const struct mapping_set *set = mapping_sets_add(&profiler->sets, mappings, (uint32_t)count);
	if (!set) {
		profiler_say(profiler,
			     "too many mappings in all followed processes: stacks of pid %d are short",
			     (int)process->pid);
		return -ENOSPC;
	}
	memcpy(profiler->mappings + set->first, set->mappings, count * sizeof *set->mappings);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	int code = set_tell(profiler, process->pid, set);
	mapping_sets_follow(&profiler->sets, process->generation, set->generation);
	mapping_sets_leave(&profiler->sets, process->generation);
	process->generation = set->generation;
	return code;
}

static int has_jit(const struct unwind_mapping *mappings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (mappings[i].kind == MAPPING_JIT)
			return 1;
	return 0;
}

int process_read_mappings(struct profiler *profiler, struct process *process)
{
	struct unwind_mapping *mappings = NULL;
	size_t count = 0;
	int64_t start_ns = clock_monotonic_ns();
	int code = mappings_read(profiler, process, &mappings, &count);
	process->read_at_ns = clock_monotonic_ns();
	process->read_ns = process->read_at_ns - start_ns;
	process->is_due = 0;
	if (code < 0)
		return code;
	if (!process->has_jit && has_jit(mappings, count)) {
		process->has_jit = 1;
		names_hold_jit(profiler->names, process->pid);
	}
	const struct mapping_set *known = mapping_sets_at(&profiler->sets, process->generation);
	if (count == 0) {
		free(mappings);
		return -ESRCH; /* exiting, or a kernel thread */
	}
	if (!known || known->count != count ||
	    memcmp(known->mappings, mappings, count * sizeof *mappings) != 0)
		return set_publish(profiler, process, mappings, count);
	free(mappings);
	return set_tell(profiler, process->pid, known);
}

/* A process with thousands of mappings takes milliseconds to read, and one that maps code all the time would
 * have this busy with it. */
#define READ_SHARE 10

void process_ask_mappings(struct profiler *profiler, struct process *process)
{
	if (clock_monotonic_ns() - process->read_at_ns < READ_SHARE * process->read_ns) {
		process->is_due = profiler->is_due = 1;
		return;
	}
	if (process_read_mappings(profiler, process) == 0)
		allocators_probe(profiler, process);
}

void processes_read_due(struct profiler *profiler)
{
	if (!profiler->is_due)
		return;
	profiler->is_due = 0;
	for (size_t i = 0; i < profiler->process_count; i++)
		if (profiler->processes[i].is_due && !profiler->processes[i].exited)
			process_ask_mappings(profiler, &profiler->processes[i]);
}

void process_leave(struct profiler *profiler, struct process *process, int exited)
{
	uint32_t key = (uint32_t)process->pid;
	if (exited)
		bpf_map_delete_elem(map_fd_of(profiler, "processes"), &key);
	mapping_sets_leave(&profiler->sets, process->generation);
	process->exited = exited;
	process->has_jit = 0;
	/* Of one that has ended, what it had mapped last is still asked for. */
	if (!exited)
		process->generation = 0;
}

void processes_forget_mappings(struct profiler *profiler)
{
	if (!mapping_sets_should_forget(&profiler->sets))
		return;
	size_t count = profiler->sets.count + 1;
	uint8_t *wanted = calloc(count, 1);
	if (!wanted)
		return;
	for (size_t i = 0; i < profiler->samples.count; i++)
		wanted[profiler->samples.records[i]->generation % count] = 1;
	for (size_t i = 0; i < profiler->process_count; i++)
		wanted[profiler->processes[i].generation] = 1;
	for (size_t i = 0; i < profiler->sets.used_count; i++)
		wanted[profiler->sets.used[i]->older] = 1;
	if (heap_mark_generations(profiler, wanted, count) == 0)
		mapping_sets_forget(&profiler->sets, wanted);
	free(wanted);
}
