/* SPDX-License-Identifier: Apache-2.0
 *
 * From addresses and labels to what a pprof file holds.
 */
#define _GNU_SOURCE /* tdestroy() */
#include "profiler/writer.h"

#include <inttypes.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stage.h"

#define KERNEL_START UINT64_C(0xffff800000000000)
#define KERNEL_END UINT64_C(0xffffffffffffffff)

static void build_id_text(const struct object *object, char text[2 * OBJECT_BUILD_ID_BYTES_MAX + 1])
{
	text[0] = 0;
	for (size_t i = 0; i < object->build_id_bytes; i++)
		snprintf(text + 2 * i, 3, "%02x", object->build_id[i]);
}

static uint64_t file_offset_of(const struct object *object, const struct unwind_mapping *mapping)
{
	uint64_t address = mapping->start - mapping->bias;
	for (size_t i = 0; i < object->segment_count; i++) {
		const struct object_segment *segment = &object->segments[i];
		/* A mapping begins at a page, its segment perhaps within. */
		if (address + 4096 > segment->address && address < segment->address + segment->bytes)
			return segment->offset + address - segment->address;
	}
	return 0;
}

/* A mapping that is in the file. */
struct written {
	uint64_t object_id, start;
	uint32_t id;
};

static int by_object_and_start(const void *a, const void *b)
{
	const struct written *left = a;
	const struct written *right = b;
	if (left->object_id != right->object_id)
		return left->object_id < right->object_id ? -1 : 1;
	return left->start < right->start ? -1 : left->start > right->start;
}

static void written_keep(struct writer *writer, const struct written *written)
{
	struct written *kept = malloc(sizeof *kept);
	if (!kept)
		abort();
	*kept = *written;
	if (!tsearch(kept, &writer->mappings, by_object_and_start))
		abort();
}

static uint32_t writer_mapping(struct writer *writer, const struct unwind_mapping *mapping)
{
	struct written written = { .start = mapping->start };
	written.object_id = mapping->kind == MAPPING_OBJECT ? mapping->object_id : UINT64_MAX - mapping->kind;
	const void *known = tfind(&written, &writer->mappings, by_object_and_start);
	if (known)
		return (*(struct written *const *)known)->id;
	struct pprof_mapping added = { .start = mapping->start, .limit = mapping->end, .has_functions = 1 };
	if (mapping->kind == MAPPING_OBJECT) {
		struct object *object = objects_at(writer->profiler->objects, mapping->object_id);
		struct names_quality quality = names_quality_of(writer->profiler->names, object);
		char build_id[2 * OBJECT_BUILD_ID_BYTES_MAX + 1];
		build_id_text(object, build_id);
		added.file_offset = file_offset_of(object, mapping);
		added.filename = pprof_string(writer->profile, object->path);
		added.build_id = pprof_string(writer->profile, build_id);
		added.has_filenames = (uint8_t)quality.has_filenames;
		added.has_line_numbers = (uint8_t)quality.has_line_numbers;
		added.has_inline_frames = (uint8_t)quality.has_inline_frames;
	} else {
		added.filename =
			pprof_string(writer->profile, mapping->kind == MAPPING_JIT ? "[jit]" : "[uprobes]");
	}
	written.id = pprof_add_mapping(writer->profile, &added);
	written_keep(writer, &written);
	return written.id;
}

/* The main program's mappings come first and all, used or not, as readers expect. */
void writer_begin(struct writer *writer, struct profiler *profiler)
{
	*writer = (struct writer){ .profiler = profiler, .profile = pprof_create() };
	const struct mapping_set *set = NULL;
	for (size_t i = 0; i < profiler->process_count; i++)
		if (profiler->processes[i].pid == profiler->main_pid)
			set = mapping_sets_at(&profiler->sets, profiler->processes[i].generation);
	for (uint32_t i = 0; set && i < set->count; i++)
		if (set->mappings[i].kind == MAPPING_OBJECT)
			writer_mapping(writer, &set->mappings[i]);
}

int writer_end(struct writer *writer, const char *path, char error[static PROFILER_ERROR_BYTES_MAX])
{
	char text[PPROF_ERROR_BYTES_MAX];
	int code = pprof_write(writer->profile, path, text);
	if (code < 0)
		profiler_error(error, "%s", text);
	pprof_destroy(writer->profile);
	tdestroy(writer->mappings, free);
	return code;
}

static uint32_t writer_location(struct writer *writer, uint32_t mapping_id, uint64_t address,
				const struct name_line *names, size_t count)
{
	struct pprof_line lines[NAMES_LINES_MAX];
	for (size_t i = 0; i < count; i++) {
		struct pprof_function function = {
			.name = pprof_string(writer->profile, names[i].name),
			.system_name = pprof_string(writer->profile, names[i].system_name),
			.filename = pprof_string(writer->profile, names[i].file),
			.start_line = names[i].start_line,
		};
		lines[i] = (struct pprof_line){ .function_id = pprof_add_function(writer->profile, &function),
						.line = names[i].line };
	}
	return pprof_add_location(writer->profile, mapping_id, address, lines, count);
}

static uint32_t named_mapping(struct writer *writer, uint32_t *id, const char *name, uint64_t start,
			      uint64_t limit)
{
	if (*id)
		return *id;
	struct pprof_mapping mapping = { .start = start, .limit = limit, .has_functions = 1 };
	mapping.filename = pprof_string(writer->profile, name);
	return *id = pprof_add_mapping(writer->profile, &mapping);
}

static uint32_t kernel_location(struct writer *writer, uint64_t address)
{
	struct name_line lines[NAMES_LINES_MAX];
	const char *module;
	size_t count = names_of_kernel(writer->profiler->names, address, lines, &module);
	int is_module = strcmp(module, "[kernel.kallsyms]") != 0;
	uint32_t mapping_id = is_module ? named_mapping(writer, &writer->module_mapping_id,
							"[kernel modules]", KERNEL_START, KERNEL_END)
					: named_mapping(writer, &writer->kernel_mapping_id,
							"[kernel.kallsyms]", KERNEL_START, KERNEL_END);
	uint32_t known = pprof_find_location(writer->profile, mapping_id, address);
	return known ? known : writer_location(writer, mapping_id, address, lines, count);
}

static uint32_t unknown_location(struct writer *writer, uint64_t address)
{
	struct name_line line = { .name = "[unknown]", .system_name = "[unknown]", .file = "" };
	uint32_t mapping_id = named_mapping(writer, &writer->jit_mapping_id, "[unknown]", 0, KERNEL_START);
	uint32_t known = pprof_find_location(writer->profile, mapping_id, address);
	return known ? known : writer_location(writer, mapping_id, address, &line, 1);
}

/* A C function that programs can call is called as they call it. */
static void name_native(struct writer *writer, const struct unwind_mapping *mapping, struct object *object,
			uint64_t address, struct name_line *line)
{
	struct names *names = writer->profiler->names;
	if (!names_lua_layout(names)->is_known)
		return;
	uint64_t start = names_function_start(names, object, address - mapping->bias);
	const char *name = start == UINT64_MAX ? NULL : names_lua_native(names, start + mapping->bias);
	if (name && !*line->file) /* one without debug information, of which nothing better is known */
		line->name = name;
}

uint32_t writer_user_location(struct writer *writer, uint32_t tgid, uint32_t generation, uint64_t address)
{
	struct name_line lines[NAMES_LINES_MAX];
	const struct unwind_mapping *mapping =
		mapping_sets_find(&writer->profiler->sets, generation, address);
	if (!mapping)
		return unknown_location(writer, address);
	uint32_t mapping_id = writer_mapping(writer, mapping);
	uint32_t known = pprof_find_location(writer->profile, mapping_id, address);
	if (known)
		return known;
	size_t count;
	if (mapping->kind == MAPPING_OBJECT) {
		struct object *object = objects_at(writer->profiler->objects, mapping->object_id);
		count = names_of_object(writer->profiler->names, object, address - mapping->bias, lines);
		name_native(writer, mapping, object, address, &lines[count - 1]);
	} else if (mapping->kind == MAPPING_JIT) {
		count = names_of_jit(writer->profiler->names, (pid_t)tgid, address, lines);
	} else {
		lines[0] = (struct name_line){ .name = "[uprobes]", .system_name = "[uprobes]", .file = "" };
		count = 1;
	}
	return writer_location(writer, mapping_id, address, lines, count);
}

uint32_t writer_lua_location(struct writer *writer, uint64_t place)
{
	struct names *names = writer->profiler->names;
	struct name_line line;
	uint64_t address, start = 0, limit = 0;
	if (!names_of_lua(names, place, &line, &address))
		return unknown_location(writer, place);
	if (!writer->lua_mapping_id)
		names_lua_range(names, &start, &limit);
	uint32_t mapping_id = named_mapping(writer, &writer->lua_mapping_id, "[lua]", start, limit);
	uint32_t known = pprof_find_location(writer->profile, mapping_id, address);
	return known ? known : writer_location(writer, mapping_id, address, &line, 1);
}

uint32_t writer_native_location(struct writer *writer, uint32_t tgid, uint32_t generation, uint64_t address)
{
	const struct unwind_mapping *mapping =
		mapping_sets_find(&writer->profiler->sets, generation, address);
	const char *name = names_lua_native(writer->profiler->names, address);
	if (!name || !mapping)
		return writer_user_location(writer, tgid, generation, address);
	struct name_line line = { .name = name, .system_name = name, .file = "" };
	uint32_t mapping_id = writer_mapping(writer, mapping);
	uint32_t known = pprof_find_location(writer->profile, mapping_id, address);
	return known ? known : writer_location(writer, mapping_id, address, &line, 1);
}

uint32_t writer_cut_location(struct writer *writer)
{
	struct name_line line = { .name = "[more calls]", .system_name = "[more calls]", .file = "" };
	return writer_location(writer, 0, 0, &line, 1);
}

/* The way from the scheduler's tracepoint into our program, which lies on every stack taken there. */
static int is_own_way(const char *name)
{
	static const char *const starts[] = { "bpf_prog_",    "bpf_trace_run", "__bpf_trace_",
					      "__traceiter_", "__bpf_prog_",   "bpf_trampoline_" };
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return 1;
	return 0;
}

static size_t own_frames(struct writer *writer, const struct record *record)
{
	struct name_line lines[NAMES_LINES_MAX];
	const char *module;
	size_t count = 0;
	if (record->kind != RECORD_BLOCKED && record->kind != RECORD_RUNQUEUE)
		return 0;
	while (count < record->kernel_frames) {
		names_of_kernel(writer->profiler->names, record->frames[count], lines, &module);
		if (!is_own_way(lines[0].name))
			break;
		count++;
	}
	return count;
}

/* Callers are named by the call, not by the instruction behind it. */
size_t writer_stack(struct writer *writer, const struct record *record,
		    uint32_t ids[static WRITER_FRAMES_MAX])
{
	size_t count = 0;
	for (size_t i = own_frames(writer, record); i < record->kernel_frames; i++)
		ids[count++] = kernel_location(writer, record->frames[i] - (i > 0));
	if (record->interpreter_frames)
		return count + writer_lua_stack(writer, record, ids + count);
	const uint64_t *user = record->frames + record->kernel_frames;
	for (size_t i = 0; i < record->user_frames; i++)
		ids[count++] =
			writer_user_location(writer, record->tgid, record->generation, user[i] - (i > 0));
	return count;
}

struct pprof_label writer_text_label(struct writer *writer, const char *key, const char *text)
{
	return (struct pprof_label){ .key = pprof_string(writer->profile, key),
				     .text = pprof_string(writer->profile, text) };
}

struct pprof_label writer_number_label(struct writer *writer, const char *key, int64_t number,
				       const char *unit)
{
	return (struct pprof_label){ .key = pprof_string(writer->profile, key),
				     .number = number,
				     .unit = pprof_string(writer->profile, unit) };
}

size_t writer_stage_label(struct writer *writer, uint32_t stage, struct pprof_label *label)
{
	if (!stage || stage > STAGE_COUNT)
		return 0;
	*label = writer_text_label(writer, "stage", stage_name((enum stage)(stage - 1)));
	return 1;
}

size_t writer_record_labels(struct writer *writer, const struct record *record,
			    struct pprof_label labels[static PPROF_LABELS_MAX])
{
	char comm[COMM_BYTES + 1] = { 0 };
	memcpy(comm, record->comm, COMM_BYTES);
	size_t count = writer_stage_label(writer, record->stage, labels);
	labels[count++] = writer_text_label(writer, "thread", comm);
	labels[count++] = writer_number_label(writer, "thread_id", record->tid, "id");
	if (writer->profiler->options.follow_children)
		labels[count++] = writer_number_label(writer, "process_id", record->tgid, "id");
	if (record->stop != UNWIND_STOP_END && record->stop != UNWIND_STOP_NO_USER)
		labels[count++] = writer_text_label(writer, "truncated", profiler_stop_name(record->stop));
	if (record->kind == RECORD_BLOCKED)
		labels[count++] = writer_text_label(writer, "state", "blocked");
	else if (record->kind == RECORD_RUNQUEUE)
		labels[count++] = writer_text_label(writer, "state", "runqueue");
	return count;
}

void writer_comment(struct writer *writer, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	pprof_add_comment(writer->profile, text);
}

/* How far the stacks can be trusted. */
void writer_comment_stacks(struct writer *writer)
{
	struct profiler_summary summary;
	char stops[512] = "";
	profiler_summary(writer->profiler, &summary);
	for (size_t i = 0; i < summary.stop_count; i++) {
		size_t used = strlen(stops);
		if (summary.stops[i] && i != UNWIND_STOP_END)
			snprintf(stops + used, sizeof stops - used, " %s=%" PRIu64, profiler_stop_name(i),
				 summary.stops[i]);
	}
	writer_comment(writer, "akamai-prof " AKAMAI_PROF_VERSION);
	writer_comment(writer, "stacks: user=%" PRIu64 " complete=%" PRIu64 " (%.2f%%) scanned=%" PRIu64 "%s",
		       summary.user_stacks, summary.user_stacks_complete,
		       summary.user_stacks
			       ? 100.0 * (double)summary.user_stacks_complete / (double)summary.user_stacks
			       : 100.0,
		       summary.user_stacks_scanned, stops);
	if (names_kernel_note(writer->profiler->names))
		writer_comment(writer, "%s", names_kernel_note(writer->profiler->names));
	writer_comment(writer,
		       "lost: samples=%" PRIu64 " rows=%" PRIu64 " thread-state=%" PRIu64
		       " processes=%" PRIu64,
		       summary.samples_lost, writer->profiler->rows.rows_dropped,
		       counter_read(writer->profiler, COUNTER_STORAGE_FULL),
		       counter_read(writer->profiler, COUNTER_TARGETS_FULL));
}

void writer_period(struct writer *writer, const char *type, const char *unit, int64_t period)
{
	writer->profile->period_type.type = pprof_string(writer->profile, type);
	writer->profile->period_type.unit = pprof_string(writer->profile, unit);
	writer->profile->period = period;
}
