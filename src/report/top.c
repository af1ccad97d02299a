/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* qsort_r() */
#include "report/top.h"

#include <stdlib.h>
#include <string.h>

enum { NO_ROW = 0 };

struct counting {
	struct top *top;
	struct frames *frames;
	size_t row_room, map_room, seen_room;
	uint32_t *map;	/* by frame number: row + 1, or NO_ROW */
	uint32_t *seen; /* by row: the last sample + 1 that had it */
};

static void add_value(int64_t *sum, int64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = INT64_MAX;
}

static void grow_map(struct counting *counting)
{
	size_t before = counting->map_room;
	counting->map = room_for(counting->map, &counting->map_room, counting->frames->count, 0,
				 sizeof *counting->map);
	memset(counting->map + before, 0, (counting->map_room - before) * sizeof *counting->map);
}

static uint32_t row_of(struct counting *counting, uint32_t number)
{
	struct top *top = counting->top;
	if (number < counting->map_room && counting->map[number])
		return counting->map[number] - 1;
	struct frame plain = counting->frames->frames[number];
	plain.inlined = 0;
	uint32_t plain_number = frames_number(counting->frames, &plain);
	grow_map(counting);
	if (!counting->map[plain_number]) {
		top->rows = room_for(top->rows, &counting->row_room, top->count, 1, sizeof *top->rows);
		counting->seen =
			room_for(counting->seen, &counting->seen_room, top->count, 1, sizeof *counting->seen);
		counting->seen[top->count] = 0;
		top->rows[top->count] = (struct top_row){ .frame = plain_number };
		counting->map[plain_number] = (uint32_t)++top->count;
	}
	return (counting->map[number] = counting->map[plain_number]) - 1;
}

static void add_sample(struct counting *counting, uint32_t index, int64_t value)
{
	uint32_t numbers[FRAMES_DEPTH_MAX];
	const struct pprof_sample *sample = &counting->frames->profile->samples[index];
	size_t count = frames_of_sample(counting->frames, sample, numbers);
	add_value(&counting->top->total, value);
	for (size_t i = 0; i < count; i++) {
		uint32_t row = row_of(counting, numbers[i]);
		struct top_row *at = &counting->top->rows[row];
		if (counting->seen[row] != index + 1)
			add_value(&at->cumulative, value);
		counting->seen[row] = index + 1;
		if (i + 1 < count)
			continue;
		add_value(&at->flat, value);
		if (value > at->sample_value) {
			at->sample = index;
			at->sample_value = value;
		}
	}
}

struct top *top_create(struct frames *frames, int value_index)
{
	struct top *top = report_allocate(1, sizeof *top);
	struct counting counting = { .top = top, .frames = frames };
	for (size_t i = 0; value_index >= 0 && i < frames->profile->sample_count; i++) {
		int64_t value = frames->profile->samples[i].values[value_index];
		if (value > 0)
			add_sample(&counting, (uint32_t)i, value);
	}
	free(counting.map);
	free(counting.seen);
	return top;
}

void top_destroy(struct top *top)
{
	if (!top)
		return;
	free(top->rows);
	free(top);
}

static int compare(int64_t a, int64_t b, const struct top_row *left, const struct top_row *right,
		   const struct frames *frames)
{
	if (a != b)
		return a > b ? -1 : 1;
	int order = strcmp(frames->frames[left->frame].name, frames->frames[right->frame].name);
	return order ? order
		     : strcmp(frames->frames[left->frame].module, frames->frames[right->frame].module);
}

static int by_flat(const void *left, const void *right, void *frames)
{
	const struct top_row *a = left, *b = right;
	return compare(a->flat, b->flat, a, b, frames);
}

static int by_cumulative(const void *left, const void *right, void *frames)
{
	const struct top_row *a = left, *b = right;
	return compare(a->cumulative, b->cumulative, a, b, frames);
}

void top_sort(struct top *top, const struct frames *frames, enum top_order order)
{
	if (top->count)
		qsort_r(top->rows, top->count, sizeof *top->rows, order == TOP_FLAT ? by_flat : by_cumulative,
			(void *)(uintptr_t)frames);
}

const struct top_row *top_find(const struct top *top, uint32_t frame)
{
	for (size_t i = 0; i < top->count; i++) {
		if (top->rows[i].frame == frame)
			return &top->rows[i];
	}
	return NULL;
}

static int begins_with_one_of(const char *name, const char *const starts[])
{
	for (; *starts; starts++) {
		if (!strncmp(name, *starts, strlen(*starts)))
			return 1;
	}
	return 0;
}

int64_t top_below(const struct frames *frames, int value_index, const char *const starts[])
{
	uint32_t numbers[FRAMES_DEPTH_MAX];
	int64_t sum = 0;
	for (size_t i = 0; value_index >= 0 && i < frames->profile->sample_count; i++) {
		const struct pprof_sample *sample = &frames->profile->samples[i];
		size_t count = frames_of_sample(frames, sample, numbers);
		for (size_t k = 0; k < count && sample->values[value_index] > 0; k++) {
			const struct frame *frame = &frames->frames[numbers[k]];
			if (frame->kind == FRAME_KERNEL && begins_with_one_of(frame->name, starts)) {
				add_value(&sum, sample->values[value_index]);
				break;
			}
		}
	}
	return sum;
}
