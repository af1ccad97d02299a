/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles for go_pprof_test.py: writes some by the builder, copies and describes others.
 *
 *	pprof_files write FOLDER    heap_mid, heap_end, cpu, empty (.pprof)
 *	pprof_files copy FROM TO    through the reader and the writer
 *	pprof_files describe FILE   JSON of what the reader saw
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof/pprof.h"

enum { HEAP_FRAMES = 3, HEAP_SIZES = 4, CPU_STACKS = 40 };

static uint32_t function(struct pprof *profile, const char *name, const char *system_name, const char *file,
			 int64_t start_line)
{
	return pprof_add_function(profile,
				  &(struct pprof_function){ .name = pprof_string(profile, name),
							    .system_name = pprof_string(profile, system_name),
							    .filename = pprof_string(profile, file),
							    .start_line = start_line });
}

static struct pprof *heap(unsigned rounds)
{
	struct pprof *profile = pprof_create();
	/* Seen before the sample types, so that its string comes too early for speedscope. */
	profile->default_value_type = pprof_string(profile, "inuse_space");
	pprof_add_value_type(profile, "alloc_objects", "count");
	pprof_add_value_type(profile, "alloc_space", "bytes");
	pprof_add_value_type(profile, "inuse_objects", "count");
	pprof_add_value_type(profile, "inuse_space", "bytes");
	profile->period_type =
		(struct pprof_value_type){ pprof_string(profile, "space"), pprof_string(profile, "bytes") };
	profile->period = 524288;
	profile->time_ns = INT64_C(1700000000000000000);
	profile->duration_ns = INT64_C(5000000000) * rounds;
	pprof_add_mapping(profile,
			  &(struct pprof_mapping){ .start = 0x400000,
						   .limit = 0x480000,
						   .filename = pprof_string(profile, "/opt/collector"),
						   .build_id = pprof_string(profile, "c0ffee"),
						   .has_functions = 1 });
	static const char *const names[HEAP_FRAMES] = { "page_grow", "flow_run", "main" };
	uint32_t ids[HEAP_FRAMES];
	for (size_t i = 0; i < HEAP_FRAMES; i++) {
		struct pprof_line line = { function(profile, names[i], names[i], "", 0), 0 };
		ids[i] = pprof_add_location(profile, 1, 0x400100 + 16 * i, &line, 1);
	}
	for (unsigned i = 0; i < rounds * HEAP_SIZES; i++) {
		int64_t size = INT64_C(64) << 2 * (i % HEAP_SIZES);
		unsigned cut = i % HEAP_FRAMES; /* frames off the leaf */
		int64_t live = i < HEAP_SIZES ? 2 : 0;
		struct pprof_label label = { .key = pprof_string(profile, "bytes"),
					     .number = size,
					     .unit = pprof_string(profile, "bytes") };
		pprof_add_sample(profile, ids + cut, HEAP_FRAMES - cut, &label, 1,
				 (int64_t[]){ 10, 10 * size, live, live * size });
	}
	return profile;
}

static uint32_t add_cpu_mappings(struct pprof *profile)
{
	pprof_add_mapping(profile,
			  &(struct pprof_mapping){ .start = 0x555555554000,
						   .limit = 0x555555600000,
						   .filename = pprof_string(profile, "/opt/collector"),
						   .build_id = pprof_string(profile, "c0ffee"),
						   .has_functions = 1,
						   .has_filenames = 1,
						   .has_line_numbers = 1,
						   .has_inline_frames = 1 });
	return pprof_add_mapping(
		profile, &(struct pprof_mapping){ .start = UINT64_C(0xffffffff81000000),
						  .limit = UINT64_C(0xffffffffc0000000),
						  .filename = pprof_string(profile, "[kernel.kallsyms]"),
						  .has_functions = 1 });
}

static struct pprof *cpu(void)
{
	static const char *const stages[] = { "inflate", "scan", "sink" };
	struct pprof *profile = pprof_create();
	pprof_add_value_type(profile, "samples", "count");
	pprof_add_value_type(profile, "cpu", "nanoseconds");
	profile->period_type = profile->value_types[1];
	profile->period = 10000000;
	profile->time_ns = INT64_C(1700000000000000000);
	profile->duration_ns = INT64_C(5000000000);
	pprof_add_comment(profile, "akamai-prof test");
	pprof_add_comment(profile, "stacks truncated: 1");
	uint32_t kernel = add_cpu_mappings(profile);
	/* inner() inlined into outer() at one address; the name of a thread is no UTF-8. */
	struct pprof_line inlined[] = {
		{ function(profile, "inner(int)", "_Z5inneri", "/src/inner.cc", 10), 12 },
		{ function(profile, "outer()", "_Z5outerv", "/src/outer.cc", 20), 25 }
	};
	struct pprof_line system = { function(profile, "do_syscall_64", "do_syscall_64", "", 0), 0 };
	struct pprof_line main_line = { function(profile, "main", "main", "/src/main.cc", 1), 9 };
	struct pprof_line truncated = { function(profile, "[truncated]", "[truncated]", "", 0), 0 };
	uint32_t in_kernel = pprof_add_location(profile, kernel, UINT64_C(0xffffffff81000123), &system, 1);
	uint32_t in_outer = pprof_add_location(profile, 1, 0x555555554abc, inlined, 2);
	uint32_t in_main = pprof_add_location(profile, 1, 0x555555555000, &main_line, 1);
	uint32_t cut = pprof_add_location(profile, 0, 0, &truncated, 1);
	for (unsigned i = 0; i < CPU_STACKS; i++) {
		uint32_t stack[] = { in_kernel, in_outer, i % 8 ? in_main : cut };
		struct pprof_label labels[] = {
			{ .key = pprof_string(profile, "stage"),
			  .text = pprof_string(profile, stages[i % 3]) },
			{ .key = pprof_string(profile, "thread"), .text = pprof_string(profile, "io\xff") },
			{ .key = pprof_string(profile, "thread_id"), .number = 100 + i % 2 },
		};
		pprof_add_sample(profile, stack + (i & 1), 3 - (i & 1), labels, 3,
				 (int64_t[]){ 1, profile->period });
	}
	return profile;
}

/* Sample types, no sample. */
static struct pprof *empty(void)
{
	struct pprof *profile = pprof_create();
	pprof_add_value_type(profile, "samples", "count");
	pprof_add_value_type(profile, "off_cpu", "nanoseconds");
	profile->period_type = profile->value_types[1];
	profile->period = 1;
	profile->time_ns = INT64_C(1700000000000000000);
	return profile;
}

static int save(struct pprof *profile, const char *folder, const char *name)
{
	char path[4096], error[PPROF_ERROR_BYTES_MAX];
	snprintf(path, sizeof path, "%s/%s.pprof", folder, name);
	int code = pprof_write(profile, path, error);
	if (code < 0)
		fprintf(stderr, "%s\n", error);
	pprof_destroy(profile);
	return code < 0;
}

/* [[addresses], [values], ["key:[text]" or "key:[number]"]] of each sample. */
static void describe_samples(const struct pprof *profile)
{
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct pprof_sample *sample = &profile->samples[i];
		printf("%s[[", i ? ", " : "");
		for (size_t j = 0; j < sample->locations_count; j++) {
			uint32_t id = profile->location_ids[sample->locations_first + j];
			printf("%s%llu", j ? ", " : "",
			       (unsigned long long)profile->locations[id - 1].address);
		}
		printf("], [");
		for (size_t j = 0; j < profile->value_count; j++)
			printf("%s%lld", j ? ", " : "", (long long)sample->values[j]);
		printf("], [");
		for (size_t j = 0; j < sample->labels_count; j++) {
			const struct pprof_label *label = &profile->labels[sample->labels_first + j];
			printf("%s\"%s:[", j ? ", " : "", pprof_text(profile, label->key));
			if (label->text)
				printf("%s]\"", pprof_text(profile, label->text));
			else
				printf("%lld]\"", (long long)label->number);
		}
		printf("]]");
	}
}

static void describe(const struct pprof *profile)
{
	printf("{\"stacks\": [");
	describe_samples(profile);
	printf("], \"types\": {");
	for (size_t i = 0; i < profile->value_count; i++)
		printf("%s\"%s/%s\": %lld", i ? ", " : "", pprof_text(profile, profile->value_types[i].type),
		       pprof_text(profile, profile->value_types[i].unit),
		       (long long)pprof_total(profile, (int)i));
	printf("}, \"period\": %lld, \"time_ns\": %lld, \"duration_ns\": %lld, \"samples\": %zu, "
	       "\"locations\": %zu, \"mappings\": %zu, \"functions\": [",
	       (long long)profile->period, (long long)profile->time_ns, (long long)profile->duration_ns,
	       profile->sample_count, profile->location_count, profile->mapping_count);
	for (size_t i = 0; i < profile->function_count; i++)
		printf("%s\"%s\"", i ? ", " : "", pprof_text(profile, profile->functions[i].name));
	printf("]}\n");
}

int main(int argc, char **argv)
{
	char error[PPROF_ERROR_BYTES_MAX];
	if (argc == 3 && strcmp(argv[1], "write") == 0)
		return save(heap(1), argv[2], "heap_mid") || save(heap(3), argv[2], "heap_end") ||
		       save(cpu(), argv[2], "cpu") || save(empty(), argv[2], "empty");
	struct pprof *profile = argc >= 3 ? pprof_read(argv[2], error) : NULL;
	if (argc >= 3 && !profile) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	if (argc == 4 && strcmp(argv[1], "copy") == 0) {
		int code = pprof_write(profile, argv[3], error);
		if (code < 0)
			fprintf(stderr, "%s\n", error);
		pprof_destroy(profile);
		return code < 0;
	}
	if (argc == 3 && strcmp(argv[1], "describe") == 0) {
		describe(profile);
		pprof_destroy(profile);
		return 0;
	}
	fprintf(stderr, "usage: pprof_files write FOLDER | copy FROM TO | describe FILE\n");
	return 2;
}
