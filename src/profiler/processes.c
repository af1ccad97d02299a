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

#include "profiler/internal.h"

enum { MAPPINGS_OF_PROCESS_MAX = 1 << MAPPING_SEARCH_STEPS_MAX };

struct process *process_find(struct profiler *profiler, pid_t pid)
{
	for (size_t i = profiler->process_count; i-- > 0;)
		if (profiler->processes[i].pid == pid && !profiler->processes[i].exited)
			return &profiler->processes[i];
	return NULL;
}

struct process *process_add(struct profiler *profiler, pid_t pid)
{
	struct process *known = process_find(profiler, pid);
	if (known)
		return known;
	profiler->processes = memory_grow(profiler->processes, &profiler->processes_max,
					  profiler->process_count, sizeof *profiler->processes);
	struct process *process = &profiler->processes[profiler->process_count++];
	*process = (struct process){ .pid = pid };
	return process;
}

const struct mapping_set *mapping_set_at(const struct profiler *profiler, uint32_t generation)
{
	return generation && generation <= profiler->set_count ? profiler->sets[generation - 1] : NULL;
}

const struct unwind_mapping *mapping_find(const struct profiler *profiler, uint32_t generation,
					  uint64_t address)
{
	const struct mapping_set *set = mapping_set_at(profiler, generation);
	size_t low = 0;
	size_t high = set ? set->count : 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (set->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!set || low == set->count || set->mappings[low].start > address)
		return NULL;
	return &set->mappings[low];
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

static int mappings_read(struct profiler *profiler, pid_t pid, struct unwind_mapping **ret_mappings,
			 size_t *ret_count)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	struct unwind_mapping *mappings = NULL;
	size_t count = 0;
	size_t max = 0;
	char *text = NULL;
	size_t text_max = 0;
	struct map_line *line = malloc(sizeof *line);
	while (line && getline(&text, &text_max, file) > 0 && count < MAPPINGS_OF_PROCESS_MAX) {
		if (map_line_parse(text, line) < 0)
			continue;
		if (strcmp(line->path, "[heap]") == 0)
			memory_set_break(profiler->memory, (uint32_t)pid, line->end);
		mappings = memory_grow(mappings, &max, count, sizeof *mappings);
		count += (size_t)mapping_of_line(profiler, pid, line, &mappings[count]);
	}
	free(line);
	free(text);
	fclose(file);
	*ret_mappings = mappings;
	*ret_count = count;
	return 0;
}

/* A piece of the kernel's table that no live set uses. */
static int table_take(struct profiler *profiler, uint32_t count, uint32_t *ret_first)
{
	uint32_t first = profiler->mappings_cursor;
	for (int wrapped = 0; wrapped < 2;) {
		if (first + count > PROFILER_MAPPINGS_MAX) {
			first = 0;
			wrapped++;
		}
		const struct mapping_set *blocker = NULL;
		for (size_t i = 0; i < profiler->set_count && !blocker; i++) {
			const struct mapping_set *set = profiler->sets[i];
			if (set->live && set->first < first + count && first < set->first + set->count)
				blocker = set;
		}
		if (!blocker) {
			*ret_first = first;
			profiler->mappings_cursor = first + count;
			return 0;
		}
		first = blocker->first + blocker->count;
	}
	return -ENOSPC;
}

static int generation_used(const struct profiler *profiler, uint32_t generation)
{
	for (size_t i = 0; i < profiler->process_count; i++)
		if (!profiler->processes[i].exited && profiler->processes[i].generation == generation)
			return 1;
	return 0;
}

static int set_publish(struct profiler *profiler, struct process *process, struct unwind_mapping *mappings,
		       size_t count)
{
	uint32_t first;
	if (table_take(profiler, (uint32_t)count, &first) < 0) {
		free(mappings);
		profiler_say(profiler,
			     "too many mappings in all followed processes: stacks of pid %d are short",
			     (int)process->pid);
		return -ENOSPC;
	}
	struct mapping_set *set = malloc(sizeof *set);
	if (!set)
		abort();
	profiler->sets =
		memory_grow(profiler->sets, &profiler->sets_max, profiler->set_count, sizeof(void *));
	profiler->sets[profiler->set_count++] = set;
	*set = (struct mapping_set){ .generation = (uint32_t)profiler->set_count,
				     .first = first,
				     .count = (uint32_t)count,
				     .live = 1,
				     .mappings = mappings };
	memcpy(profiler->mappings + first, mappings, count * sizeof *mappings);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	uint32_t before = process->generation;
	process->generation = set->generation;
	if (before && !generation_used(profiler, before))
		profiler->sets[before - 1]->live = 0;
	return 0;
}

int process_read_mappings(struct profiler *profiler, struct process *process)
{
	struct unwind_mapping *mappings = NULL;
	size_t count = 0;
	int code = mappings_read(profiler, process->pid, &mappings, &count);
	if (code < 0)
		return code;
	const struct mapping_set *known = mapping_set_at(profiler, process->generation);
	if (count == 0) {
		free(mappings);
		return -ESRCH; /* exiting, or a kernel thread */
	}
	if (known && known->count == count &&
	    memcmp(known->mappings, mappings, count * sizeof *mappings) == 0)
		free(mappings);
	else if (set_publish(profiler, process, mappings, count) < 0)
		return -ENOSPC;
	const struct mapping_set *set = mapping_set_at(profiler, process->generation);
	struct unwind_process value = { .mappings_first = set->first,
					.mappings_count = set->count,
					.generation = set->generation };
	uint32_t key = (uint32_t)process->pid;
	return bpf_map_update_elem(map_fd_of(profiler, "processes"), &key, &value, BPF_ANY) < 0 ? -errno : 0;
}
