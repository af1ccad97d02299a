/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of memory: the heap as Go writes it (alloc_objects, alloc_space, inuse_objects, inuse_space), and
 * mappings with the same four values.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "profiler/writer.h"

static void add_heap_types(struct writer *writer, int64_t period)
{
	pprof_add_value_type(writer->profile, "alloc_objects", "count");
	pprof_add_value_type(writer->profile, "alloc_space", "bytes");
	pprof_add_value_type(writer->profile, "inuse_objects", "count");
	pprof_add_value_type(writer->profile, "inuse_space", "bytes");
	writer_period(writer, "space", "bytes", period);
	writer->profile->default_value_type = pprof_string(writer->profile, "inuse_space");
}

/* Functions that allocate for their caller: the caller is who a person wants to see. */
static int is_wrapper(const char *name)
{
	static const char *const names[] = { "malloc",	      "calloc",	       "realloc",  "reallocarray",
					     "strdup",	      "strndup",       "__strdup", "__strndup",
					     "xmalloc",	      "operator new(", "_Znwm",	   "_Znam",
					     "wcsdup",	      "vasprintf",     "asprintf", "posix_memalign",
					     "aligned_alloc", "mmap",	       "mmap64",   "__mmap",
					     "__mmap64",      "mremap",	       "__mremap", "brk",
					     "__brk",	      "sbrk",	       "__sbrk" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t bytes = strlen(names[i]);
		int whole = names[i][bytes - 1] != '(';
		if (strncmp(name, names[i], bytes) == 0 && (!whole || !name[bytes]))
			return 1;
	}
	return strncmp(name, "operator new[](", 15) == 0;
}

static const char *location_name(const struct pprof *profile, uint32_t location_id)
{
	const struct pprof_location *location = &profile->locations[location_id - 1];
	const struct pprof_line *line = &profile->lines[location->lines_first + location->lines_count - 1];
	return pprof_text(profile, profile->functions[line->function_id - 1].name);
}

/* Leaf frames to leave out; one always stays. */
static size_t wrapper_frames(const struct writer *writer, const uint32_t *ids, size_t count)
{
	size_t cut = 0;
	while (cut + 1 < count && is_wrapper(location_name(writer->profile, ids[cut])))
		cut++;
	return cut;
}

static void add_heap_site(struct writer *writer, const struct heap_site_state *state)
{
	static const char *const allocators[HEAP_ALLOCATOR_COUNT] = {
		[HEAP_MALLOC] = "malloc",
		[HEAP_CALLOC] = "calloc",
		[HEAP_REALLOC] = "realloc",
		[HEAP_REALLOCARRAY] = "reallocarray",
		[HEAP_POSIX_MEMALIGN] = "posix_memalign",
		[HEAP_ALIGNED_ALLOC] = "aligned_alloc",
		[HEAP_MEMALIGN] = "memalign",
		[HEAP_VALLOC] = "valloc",
		[HEAP_PVALLOC] = "pvalloc",
		[HEAP_NEW] = "new",
		[HEAP_NEW_ARRAY] = "new[]",
	};
	const struct heap_site *site = &state->site;
	struct heap_stack_key key = { .hash = site->stack_hash, .tgid = site->tgid };
	struct heap_stack stack = { 0 };
	uint32_t ids[UNWIND_FRAMES_MAX];
	struct pprof_label labels[4];
	struct heap_scaled scaled;
	/* Without its stack (the table was full) the site still counts. */
	bpf_map_lookup_elem(map_fd_of(writer->profiler, "heap_stacks"), &key, &stack);
	size_t frames = 0;
	for (uint32_t i = 0; i < stack.frame_count && i < UNWIND_FRAMES_MAX; i++)
		ids[frames++] =
			writer_user_location(writer, site->tgid, stack.generation, stack.frames[i] - 1);
	size_t cut = wrapper_frames(writer, ids, frames);
	heap_scale(writer->profiler, state, &scaled);
	int64_t values[] = { (int64_t)(scaled.alloc_objects + 0.5), (int64_t)(scaled.alloc_bytes + 0.5),
			     (int64_t)(scaled.inuse_objects + 0.5), (int64_t)(scaled.inuse_bytes + 0.5) };
	size_t count = writer_stage_label(writer, site->stage, labels);
	const char *allocator = site->allocator < HEAP_ALLOCATOR_COUNT ? allocators[site->allocator] : NULL;
	if (allocator)
		labels[count++] = writer_text_label(writer, "allocator", allocator);
	/* As Go does: the mean size of an object. */
	if (state->total.objects)
		labels[count++] = writer_number_label(
			writer, "bytes", (int64_t)(state->total.bytes / state->total.objects), "bytes");
	if (writer->profiler->options.follow_children)
		labels[count++] = writer_number_label(writer, "process_id", site->tgid, "id");
	pprof_add_sample(writer->profile, ids + cut, frames - cut, labels, count, values);
}

static void comment_heap(struct writer *writer)
{
	const struct profiler *profiler = writer->profiler;
	uint64_t rate_bytes = profiler->options.heap_rate_bytes;
	writer_comment(writer, "akamai-prof " AKAMAI_PROF_VERSION);
	if (rate_bytes <= 1)
		writer_comment(writer, "heap: exact, every allocation since the start%s",
			       profiler->heap_given_up ? " until tracking ended" : "");
	else
		writer_comment(writer, "heap: sampled, mean distance %" PRIu64 " bytes", rate_bytes);
	writer_comment(writer, "allocators: %s",
		       profiler->allocators[0] ? profiler->allocators : "none found");
	writer_comment(
		writer,
		"allocations=%" PRIu64 " frees=%" PRIu64 " unknown-frees=%" PRIu64 " missed-frees=%" PRIu64
		" no-entry=%" PRIu64 " live-full=%" PRIu64 " stacks-full=%" PRIu64 " sites-full=%" PRIu64,
		counter_read(profiler, COUNTER_HEAP_ALLOCATIONS), counter_read(profiler, COUNTER_HEAP_FREES),
		counter_read(profiler, COUNTER_HEAP_UNKNOWN_FREES),
		counter_read(profiler, COUNTER_HEAP_MISSED_FREES),
		counter_read(profiler, COUNTER_HEAP_NO_ENTRY), counter_read(profiler, COUNTER_HEAP_LIVE_FULL),
		counter_read(profiler, COUNTER_HEAP_STACKS_FULL),
		counter_read(profiler, COUNTER_HEAP_SITES_FULL));
	if (profiler->heap_given_up)
		writer_comment(writer, "heap: tracking ended after %.1f s, it cost too much",
			       (double)profiler->heap_given_up_ns / 1e9);
}

int profiler_write_heap(struct profiler *profiler, int snapshot_index, const char *path,
			char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct writer writer;
	if (snapshot_index < 0 || (size_t)snapshot_index >= profiler->snapshot_count)
		return profiler_error(error, "%s: there is no such state of the heap", path);
	const struct heap_snapshot *snapshot = &profiler->snapshots[snapshot_index];
	writer_begin(&writer, profiler);
	add_heap_types(&writer,
		       profiler->options.heap_rate_bytes ? (int64_t)profiler->options.heap_rate_bytes : 1);
	writer.profile->time_ns = profiler->attach_unix_ns;
	writer.profile->duration_ns = snapshot->at_ns - profiler->attach_ns;
	comment_heap(&writer);
	for (size_t i = 0; i < snapshot->site_count; i++)
		add_heap_site(&writer, &snapshot->sites[i]);
	return writer_end(&writer, path, error);
}

int profiler_write_mappings(struct profiler *profiler, int snapshot_index, const char *path,
			    char error[static PROFILER_ERROR_BYTES_MAX])
{
	struct writer writer;
	uint32_t ids[WRITER_FRAMES_MAX];
	struct pprof_label labels[PPROF_LABELS_MAX];
	if (snapshot_index < 0 || (size_t)snapshot_index >= profiler->snapshot_count)
		return profiler_error(error, "%s: there is no such state of the memory", path);
	const struct heap_snapshot *snapshot = &profiler->snapshots[snapshot_index];
	writer_begin(&writer, profiler);
	add_heap_types(&writer, 1);
	writer.profile->time_ns = profiler->attach_unix_ns;
	writer.profile->duration_ns = snapshot->at_ns - profiler->attach_ns;
	writer_comment_stacks(&writer);
	writer_comment(
		&writer,
		"address space mapped since the start by mmap, mremap and brk; what allocators map for "
		"their blocks is in the heap's files");
	for (size_t i = 0; i < profiler->samples.count; i++) {
		const struct record *record = profiler->samples.records[i];
		if (record->kind != RECORD_MAP)
			continue;
		const struct memory_site *live =
			memory_site_of(snapshot->memory, snapshot->memory_count, record);
		int64_t values[] = { (int64_t)record->count, (int64_t)record->weight,
				     live ? (int64_t)live->objects : 0, live ? (int64_t)live->bytes : 0 };
		size_t frames = writer_stack(&writer, record, ids);
		size_t cut = wrapper_frames(&writer, ids, frames);
		size_t count = writer_record_labels(&writer, record, labels);
		pprof_add_sample(writer.profile, ids + cut, frames - cut, labels, count, values);
	}
	return writer_end(&writer, path, error);
}
