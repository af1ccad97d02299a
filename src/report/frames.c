/* SPDX-License-Identifier: Apache-2.0 */
#include "report/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/text.h"

static void out_of_memory(size_t bytes)
{
	fprintf(stderr, "report: out of memory (%zu bytes more were asked for)\n", bytes);
	abort();
}

void *report_allocate(size_t count, size_t bytes)
{
	void *memory = calloc(count ? count : 1, bytes);
	if (!memory)
		out_of_memory(count * bytes);
	return memory;
}

char *report_copy_start(const char *text, size_t bytes)
{
	char *copy = report_allocate(bytes + 1, 1);
	memcpy(copy, text, bytes);
	return copy;
}

char *report_copy(const char *text)
{
	return report_copy_start(text, strlen(text));
}

const char *frames_program(const struct pprof *profile)
{
	return profile->mapping_count ? pprof_text(profile, profile->mappings[0].filename) : "";
}

const char *frame_kind_class(unsigned kind)
{
	static const char *const classes[FRAME_KIND_COUNT] = { "own",	 "lua",	    "lib",  "libc",
							       "kernel", "unknown", "label" };
	return classes[kind];
}

const char *frame_kind_title(unsigned kind)
{
	static const char *const titles[FRAME_KIND_COUNT] = {
		"program", "program in Lua", "library", "libc, runtime", "kernel", "no name", "group",
	};
	return titles[kind];
}

static int starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static int is_libc(const char *module)
{
	static const char *const starts[] = { "libc.so", "libc-2",     "ld-linux",   "ld-2",
					      "ld-musl", "libc.musl",  "libpthread", "libm.so",
					      "[vdso]",	 "[vsyscall]", "linux-vdso" };
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		if (starts_with(module, starts[i]))
			return 1;
	}
	return 0;
}

static int has_no_name(const char *name)
{
	return strstr(name, "!fde_") || strstr(name, "!0x") || starts_with(name, "0x") ||
	       starts_with(name, "[unknown");
}

static uint8_t kind_of(const struct pprof *profile, uint32_t mapping_id, const char *module, const char *name)
{
	size_t length = strlen(module);
	if (starts_with(module, "[kernel") || starts_with(module, "[module") ||
	    starts_with(module, "[guest.kernel") || (length > 3 && !strcmp(module + length - 3, ".ko")))
		return FRAME_KERNEL;
	if (!strcmp(module, "[lua]"))
		return FRAME_LUA;
	if (has_no_name(name))
		return FRAME_UNKNOWN;
	if (is_libc(module))
		return FRAME_LIBC;
	/* Go keeps its runtime in the program. */
	if (mapping_id <= 1)
		return starts_with(name, "runtime.") || starts_with(name, "runtime/internal") ? FRAME_LIBC
											      : FRAME_OWN;
	if (!strcmp(pprof_text(profile, profile->mappings[mapping_id - 1].filename), frames_program(profile)))
		return FRAME_OWN; /* the program's second segment */
	return strstr(module, ".so")					   ? FRAME_LIBRARY
	       : starts_with(module, "[") || starts_with(module, "//anon") ? FRAME_OWN
									   : FRAME_LIBRARY;
}

static uint32_t hash_of(const struct frame *frame)
{
	uint64_t hash = hash_word(0, (uint64_t)(frame->kind * 2 + frame->inlined));
	hash = hash_bytes(hash, frame->name, strlen(frame->name));
	return hash_finish(hash_bytes(hash, frame->module, strlen(frame->module)));
}

static int equal(const struct frame *a, const struct frame *b)
{
	return a->kind == b->kind && a->inlined == b->inlined && !strcmp(a->name, b->name) &&
	       !strcmp(a->module, b->module);
}

uint32_t frames_number(struct frames *frames, const struct frame *frame)
{
	uint32_t hash = hash_of(frame);
	size_t at = hash;
	for (uint32_t id; (id = table_next(&frames->table, hash, &at));)
		if (id <= frames->count && equal(&frames->frames[id - 1], frame))
			return id - 1;
	frames->frames =
		room_for(frames->frames, &frames->frame_room, frames->count, 1, sizeof *frames->frames);
	frames->frames[frames->count++] = *frame;
	table_insert(&frames->table, hash, (uint32_t)frames->count);
	return (uint32_t)frames->count - 1;
}

/* "libx.so!0x1a44", for a location without a function. */
static const char *bare_address(struct frames *frames, const char *module, uint64_t address)
{
	size_t bytes = strlen(module) + 24;
	char *text = report_allocate(bytes, 1);
	snprintf(text, bytes, "%s%s0x%llx", module, *module ? "!" : "", (unsigned long long)address);
	frames->texts =
		room_for(frames->texts, &frames->text_room, frames->text_count, 1, sizeof *frames->texts);
	return frames->texts[frames->text_count++] = text;
}

static void add_number(struct frames *frames, size_t location, const struct frame *frame)
{
	uint32_t number = frames_number(frames, frame);
	frames->numbers = room_for(frames->numbers, &frames->number_room, frames->number_count, 1,
				   sizeof *frames->numbers);
	frames->numbers[frames->number_count++] = number;
	frames->counts[location]++;
}

static void add_location(struct frames *frames, size_t index)
{
	const struct pprof *profile = frames->profile;
	const struct pprof_location *location = &profile->locations[index];
	struct frame frame = { .module = "", .file = "" };
	frames->firsts[index] = (uint32_t)frames->number_count;
	if (location->mapping_id)
		frame.module = text_base_name(
			pprof_text(profile, profile->mappings[location->mapping_id - 1].filename));
	for (uint32_t i = location->lines_count; i-- > 0;) {
		uint32_t id = profile->lines[location->lines_first + i].function_id;
		if (!id)
			continue;
		const struct pprof_function *function = &profile->functions[id - 1];
		frame.name = pprof_text(profile, function->name);
		if (!*frame.name)
			frame.name = pprof_text(profile, function->system_name);
		if (!*frame.name)
			continue;
		frame.file = pprof_text(profile, function->filename);
		frame.inlined = i + 1 < location->lines_count;
		frame.kind = kind_of(profile, location->mapping_id, frame.module, frame.name);
		add_number(frames, index, &frame);
	}
	if (frames->counts[index])
		return;
	frame.name = bare_address(frames, frame.module, location->address);
	frame.kind = kind_of(profile, location->mapping_id, frame.module, frame.name);
	add_number(frames, index, &frame);
}

struct frames *frames_create(const struct pprof *profile)
{
	struct frames *frames = report_allocate(1, sizeof *frames);
	frames->profile = profile;
	frames->firsts = report_allocate(profile->location_count, sizeof *frames->firsts);
	frames->counts = report_allocate(profile->location_count, sizeof *frames->counts);
	for (size_t i = 0; i < profile->location_count; i++)
		add_location(frames, i);
	return frames;
}

void frames_destroy(struct frames *frames)
{
	if (!frames)
		return;
	for (size_t i = 0; i < frames->text_count; i++)
		free(frames->texts[i]);
	free(frames->texts);
	table_destroy(&frames->table);
	free(frames->firsts);
	free(frames->counts);
	free(frames->numbers);
	free(frames->frames);
	free(frames);
}

size_t frames_of_sample(const struct frames *frames, const struct pprof_sample *sample,
			uint32_t numbers[static FRAMES_DEPTH_MAX])
{
	size_t count = 0;
	for (uint32_t i = sample->locations_count; i-- > 0;) {
		uint32_t location = frames->profile->location_ids[sample->locations_first + i] - 1;
		for (uint32_t k = 0; k < frames->counts[location] && count < FRAMES_DEPTH_MAX; k++)
			numbers[count++] = frames->numbers[frames->firsts[location] + k];
	}
	return count;
}
