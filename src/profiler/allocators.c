/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the allocators of a process by their functions' names and probes them: whichever mapped object
 * defines malloc (libc, jemalloc, tcmalloc, the program itself). One breakpoint a function; where the first
 * instructions are none that the kernel emulates the function is left alone, since a probe there would
 * cost thirty times as much (site.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "profiler/internal.h"

static void allocator_describe(struct profiler *profiler, const char *path,
			       const struct allocator_sites *sites)
{
	size_t used = strlen(profiler->allocators);
	const char *name = strrchr(path, '/');
	char text[320]; /* more than all names take */
	int length = snprintf(text, sizeof text, "%.64s (", name ? name + 1 : path);
	for (size_t i = 0; i < sites->call_count; i++)
		if (sites->calls[i].shown)
			length += snprintf(text + length, sizeof text - (size_t)length, "%s, ",
					   sites->calls[i].shown);
	for (size_t i = 0; i < sites->free_count; i++)
		if (sites->frees[i].shown)
			length += snprintf(text + length, sizeof text - (size_t)length, "%s%s", i ? ", " : "",
					   sites->frees[i].shown);
	snprintf(text + length, sizeof text - (size_t)length, ")");
	if (!strstr(profiler->allocators, text))
		snprintf(profiler->allocators + used, sizeof profiler->allocators - used, "%s%s",
			 used ? "; " : "", text);
}

/* Of glibc's functions these two never call another one by the name that is probed; realloc(NULL) and
 * memalign() do, and musl's calloc(). */
static int is_leaf(enum heap_allocator allocator)
{
	return allocator == HEAP_MALLOC || allocator == HEAP_CALLOC;
}

struct probe_list {
	uint64_t offsets[ALLOCATOR_SITES_MAX], cookies[ALLOCATOR_SITES_MAX];
};

static struct probe_target probe_target_of(pid_t pid, const char *path, const struct allocator_site *sites,
					   size_t count, int glibc, struct probe_list *list)
{
	for (size_t i = 0; i < count; i++) {
		list->offsets[i] = sites[i].offset;
		list->cookies[i] =
			sites[i].allocator | (glibc && is_leaf(sites[i].allocator) ? HEAP_COOKIE_LEAF : 0);
	}
	return (struct probe_target){
		.pid = pid, .path = path, .offsets = list->offsets, .cookies = list->cookies, .count = count
	};
}

static void allocator_attach(struct profiler *profiler, pid_t pid, int fd, const char *path)
{
	struct allocator_sites sites;
	struct probe_list call_list, free_list;
	char descriptor[64];
	allocator_sites_find(fd, &sites);
	if (sites.is_dear)
		profiler_say(
			profiler,
			"the allocator of %s is not tracked: no instruction at the beginning of its malloc "
			"or free is one that a probe is cheap at",
			path);
	if (!sites.is_allocator || sites.is_dear)
		return;
	int glibc = strstr(path, "/libc.so.6") != NULL;
	/* The kernel takes the file behind the descriptor, whatever lies under its name by now. */
	snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", fd);
	struct probe_target calls =
		probe_target_of(pid, descriptor, sites.calls, sites.call_count, glibc, &call_list);
	struct probe_target frees =
		probe_target_of(pid, descriptor, sites.frees, sites.free_count, glibc, &free_list);
	/* Free first: what is seen to be made is then seen to be freed. */
	int code = probes_set_free(profiler, &frees);
	if (!code)
		code = probes_set_calls(profiler, &calls);
	if (!code)
		allocator_describe(profiler, path, &sites);
	else if (code != -ESRCH)
		profiler_say(profiler, "the allocator of %s cannot be probed: %s", path, strerror(-code));
}

/* The dynamic loader brings a small allocator of its own for its first moments; libc's follows. */
static int is_loader(const char *path)
{
	const char *name = strrchr(path, '/');
	return strncmp(name ? name + 1 : path, "ld-", 3) == 0 ||
	       strncmp(name ? name + 1 : path, "ld.", 3) == 0;
}

static int process_has_probed(const struct process *process, uint32_t object_id)
{
	for (size_t i = 0; i < process->probed_count; i++)
		if (process->probed[i] == object_id)
			return 1;
	return 0;
}

static void object_probe(struct profiler *profiler, struct process *process, uint32_t object_id)
{
	const struct object *object = objects_at(profiler->objects, object_id);
	if (process_has_probed(process, object_id))
		return;
	process->probed = room_for(process->probed, &process->probed_max, process->probed_count, 1,
				   sizeof *process->probed);
	process->probed[process->probed_count++] = object_id;
	if (object->fd >= 0 && !is_loader(object->path))
		allocator_attach(profiler, process->pid, object->fd, object->path);
}

/* A process that has not executed its program yet will most likely use the C library that this one uses; a
 * probe stays with the process and is set when it maps the file. */
void allocators_probe_starting(struct profiler *profiler, struct process *process)
{
	struct process own = { .pid = getpid() };
	if (!profiler->options.heap_rate_bytes || process_read_mappings(profiler, &own) < 0)
		return;
	const struct mapping_set *set = mapping_sets_at(&profiler->sets, own.generation);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct unwind_mapping *mapping = &set->mappings[i];
		if (mapping->kind == MAPPING_OBJECT &&
		    strstr(objects_at(profiler->objects, mapping->object_id)->path, "/libc.so"))
			object_probe(profiler, process, mapping->object_id);
	}
}

void allocators_probe(struct profiler *profiler, struct process *process)
{
	const struct mapping_set *set = mapping_sets_at(&profiler->sets, process->generation);
	if (!profiler->options.heap_rate_bytes || profiler->heap_given_up)
		return;
	for (uint32_t i = 0; set && i < set->count; i++)
		if (set->mappings[i].kind == MAPPING_OBJECT)
			object_probe(profiler, process, set->mappings[i].object_id);
}

static void allocators_release(struct profiler *profiler)
{
	profiler->control->heap_on = 0;
	links_release(&profiler->heap_links);
}

/* What a probe costs beside its program, measured by perf/profiler/overhead.py in a virtual machine; bare
 * metal is faster. */
#define HIT_NS 450	   /* entry of an allocator or of free() */
#define RETURN_NS 1000	   /* the return of one: the trampoline is a system call */
#define ALLOCATION_NS 2500 /* of a recorded one, where the kernel does not count what programs take */

/* What our programs themselves took, as the kernel counts it. */
static double allocators_run_ns(struct profiler *profiler, uint64_t allocations)
{
	load_account(profiler);
	if (profiler->heap_run_ns > profiler->budget_run_ns)
		return (double)(profiler->heap_run_ns - profiler->budget_run_ns);
	return ALLOCATION_NS * (double)(allocations - profiler->budget_allocations);
}

void allocators_watch_budget(struct profiler *profiler, int64_t now_ns)
{
	int64_t past_ns = now_ns - profiler->budget_at_ns;
	if (!profiler->heap_links.count || profiler->heap_given_up || past_ns < NS_PER_SECOND)
		return;
	uint64_t hits = counter_read(profiler, COUNTER_HEAP_HITS);
	uint64_t returns = counter_read(profiler, COUNTER_HEAP_RETURNS);
	uint64_t allocations = counter_read(profiler, COUNTER_HEAP_ALLOCATIONS);
	double cost_ns = HIT_NS * (double)(hits - profiler->budget_hits) +
			 RETURN_NS * (double)(returns - profiler->budget_returns) +
			 allocators_run_ns(profiler, allocations);
	double percent = 100 * cost_ns / (double)past_ns;
	double calls_per_second = (double)(hits - profiler->budget_hits) * 1e9 / (double)past_ns;
	profiler->budget_hits = hits;
	profiler->budget_returns = returns;
	profiler->budget_allocations = allocations;
	profiler->budget_run_ns = profiler->heap_run_ns;
	profiler->budget_at_ns = now_ns;
	if (percent <= profiler->options.heap_budget_percent)
		return;
	allocators_release(profiler);
	profiler->heap_given_up = 1;
	profiler->heap_given_up_ns = now_ns - profiler->attach_ns;
	profiler_say(profiler,
		     "heap tracking is off from %.1f s on: %.0f allocator calls/s would cost about %.0f %% "
		     "of a CPU "
		     "(limit %.0f %%; -heap-budget raises it)",
		     (double)profiler->heap_given_up_ns / 1e9, calls_per_second, percent,
		     profiler->options.heap_budget_percent);
}
