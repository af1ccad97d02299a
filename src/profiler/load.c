/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the eBPF programs and maps their tables into this process.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "profiler/internal.h"

/* The skeleton frees by this; clang's analyzer believes that only of what a program itself declares. */
void bpf_object__destroy_skeleton(struct bpf_object_skeleton *skeleton);
#include "profiler.skel.h"

#define FIXED_ONE 65536.0
#define FIXED_ONE_DRAW 16777216.0

/* libbpf's words are for us, not for the user: the last complaint explains a failure. */
__attribute__((format(printf, 2, 0))) static int library_quiet(enum libbpf_print_level level,
							       const char *format, va_list arguments)
{
	if (!getenv("AKAMAI_PROF_BPF_DEBUG"))
		return 0;
	(void)level;
	return vfprintf(stderr, format, arguments);
}

/* x / (1 - exp(-x)) */
static double weight_factor(double x)
{
	return x < 1e-9 ? 1 + x / 2 : x / -expm1(-x);
}

static void load_constants(struct profiler_bpf *bpf)
{
	for (int i = 1; i <= HEAP_DRAWS; i++)
		bpf->rodata->heap_draws[i] = (uint32_t)(-log((double)i / HEAP_DRAWS) * FIXED_ONE_DRAW);
	for (int i = 0; i <= HEAP_WEIGHT_STEPS; i++)
		bpf->rodata->heap_weights[i] =
			(uint32_t)(weight_factor((double)i / (1 << HEAP_WEIGHT_STEP_SHIFT)) * FIXED_ONE);
}

static void *table_map(struct bpf_map *map, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, (bytes + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_map__fd(map), 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static int load_tables(struct profiler *profiler)
{
	struct profiler_bpf *bpf = profiler->bpf;
	profiler->rows_memory = table_map(bpf->maps.rows, sizeof(struct unwind_row) * PROFILER_ROWS_MAX);
	profiler->rules_memory = table_map(bpf->maps.rules, sizeof(struct unwind_rule) * PROFILER_RULES_MAX);
	profiler->mappings =
		table_map(bpf->maps.mappings, sizeof(struct unwind_mapping) * PROFILER_MAPPINGS_MAX);
	profiler->control = table_map(bpf->maps.control, sizeof(struct profiler_control));
	if (!profiler->rows_memory || !profiler->rules_memory || !profiler->mappings || !profiler->control)
		return -errno;
	rows_init(&profiler->rows, profiler->rows_memory, PROFILER_ROWS_MAX, profiler->rules_memory,
		  PROFILER_RULES_MAX);
	return 0;
}

int load_programs(struct profiler *profiler, char error[static PROFILER_ERROR_BYTES_MAX])
{
	libbpf_set_print(library_quiet);
	struct profiler_bpf *bpf = profiler->bpf = profiler_bpf__open();
	if (!bpf)
		return rights_explain("the eBPF programs cannot be opened", errno, error);
	bpf_map__set_max_entries(bpf->maps.rows, PROFILER_ROWS_MAX);
	bpf_map__set_max_entries(bpf->maps.rules, PROFILER_RULES_MAX);
	bpf_map__set_max_entries(bpf->maps.mappings, PROFILER_MAPPINGS_MAX);
	bpf_map__set_max_entries(bpf->maps.heap_live, PROFILER_HEAP_LIVE_MAX);
	load_constants(bpf);
	probes_prepare(profiler);
	attach_prepare(profiler);
	int code = profiler_bpf__load(bpf);
	if (code < 0)
		return rights_explain("the eBPF programs cannot be loaded", -code, error);
	code = load_tables(profiler);
	if (code < 0)
		return rights_explain("the eBPF tables cannot be mapped", -code, error);
	profiler->ring = ring_buffer__new(bpf_map__fd(bpf->maps.records), collect_record, profiler, NULL);
	if (!profiler->ring)
		return rights_explain("the ring of records cannot be mapped", errno, error);
	profiler->epoll_fd = ring_buffer__epoll_fd(profiler->ring);
	/* The kernel counts what our programs cost from here on; old kernels or few rights: it does not. */
	profiler->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return 0;
}

void unload_programs(struct profiler *profiler)
{
	if (!profiler->bpf)
		return;
	if (profiler->stats_fd >= 0)
		close(profiler->stats_fd);
	ring_buffer__free(profiler->ring);
	rows_finish(&profiler->rows);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (profiler->rows_memory)
		munmap(profiler->rows_memory, sizeof(struct unwind_row) * PROFILER_ROWS_MAX);
	if (profiler->rules_memory)
		munmap(profiler->rules_memory, sizeof(struct unwind_rule) * PROFILER_RULES_MAX);
	if (profiler->mappings)
		munmap(profiler->mappings, sizeof(struct unwind_mapping) * PROFILER_MAPPINGS_MAX);
	if (profiler->control)
		munmap(profiler->control, page);
	profiler_bpf__destroy(profiler->bpf);
	profiler->bpf = NULL;
}

static struct bpf_map *map_named(const struct profiler *profiler, const char *name)
{
	return bpf_object__find_map_by_name(profiler->bpf->obj, name);
}

int map_fd_of(const struct profiler *profiler, const char *name)
{
	return bpf_map__fd(map_named(profiler, name));
}

struct bpf_program *program_named(const struct profiler *profiler, const char *name)
{
	return bpf_object__find_program_by_name(profiler->bpf->obj, name);
}

uint64_t counter_read(const struct profiler *profiler, enum counter counter)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[1024];
	uint32_t key = counter;
	if (cpus < 1 || cpus > 1024 ||
	    bpf_map_lookup_elem(bpf_map__fd(profiler->bpf->maps.counters), &key, values) < 0)
		return 0;
	uint64_t sum = 0;
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

void load_account(struct profiler *profiler)
{
	struct bpf_program *program;
	profiler->program_run_ns = profiler->program_runs = profiler->heap_run_ns = 0;
	bpf_object__for_each_program(program, profiler->bpf->obj)
	{
		struct bpf_prog_info info = { 0 };
		uint32_t bytes = sizeof info;
		if (bpf_program__fd(program) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes) < 0)
			continue;
		profiler->program_run_ns += info.run_time_ns;
		profiler->program_runs += info.run_cnt;
		if (bpf_program__type(program) == BPF_PROG_TYPE_KPROBE)
			profiler->heap_run_ns += info.run_time_ns;
	}
}
