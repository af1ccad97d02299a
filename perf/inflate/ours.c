/* SPDX-License-Identifier: Apache-2.0
 *
 * Our room with each of its engines, for one stream at a time and for two.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "inflate/inflate.h"

enum { STREAMS_AT_ONCE_MAX = 2, ARENA_BYTES = 1 << 20 };

static const struct engine_row {
	enum inflate_engine engine;
	size_t stream_count_max; /* 2: the engine works on two at once; else that is the same twice */
} rows[] = {
	{ INFLATE_ENGINE_OWN, 2 },
	{ INFLATE_ENGINE_OWN_C, 2 },
	{ INFLATE_ENGINE_ISAL, 1 },
	{ INFLATE_ENGINE_LIBDEFLATE, 1 },
};
enum { ROWS = sizeof rows / sizeof *rows };

struct engines {
	struct arena arena;
	struct inflate *inflates[ROWS][STREAMS_AT_ONCE_MAX];
};

struct engines *engines_open(void)
{
	struct engines *engines = malloc(sizeof *engines);
	size_t arena_bytes = ARENA_BYTES;
	for (size_t row = 0; row < ROWS; row++)
		arena_bytes += STREAMS_AT_ONCE_MAX * inflate_bytes_needed(rows[row].engine);
	if (!engines || arena_open(&engines->arena, arena_bytes) != 0)
		abort();
	for (size_t row = 0; row < ROWS; row++)
		for (size_t i = 0; i < STREAMS_AT_ONCE_MAX; i++)
			if (!(engines->inflates[row][i] = inflate_create(rows[row].engine, &engines->arena)))
				abort();
	return engines;
}

void engines_close(struct engines *engines)
{
	for (size_t row = 0; row < ROWS; row++)
		for (size_t i = 0; i < STREAMS_AT_ONCE_MAX; i++)
			inflate_finish(engines->inflates[row][i]);
	arena_finish(&engines->arena);
	free(engines);
}

/* Reads one stream in pieces into a window that is used again and again. */
struct reader {
	const struct contender *contender;
	struct inflate *inflate;
	uint8_t *window, *fresh;
	struct cursor_in in;
	const uint8_t *gzip_end;
	struct cursor_out out;
	enum step step;
	int active, over; /* there is more to do; all input was pushed, and that was said */
};

static void reader_begin(struct reader *reader, const struct stream *stream)
{
	uint8_t *room = reader->window + INFLATE_HISTORY_BYTES;
	reader->in = (struct cursor_in){ stream->gzip, stream->gzip };
	reader->gzip_end = stream->gzip + stream->gzip_bytes;
	reader->out = (struct cursor_out){ room, room + reader->contender->out_bytes };
	reader->step = STEP_HUNGRY;
	reader->active = 1;
	reader->over = 0;
	inflate_begin(reader->inflate);
}

static void reader_prepare(struct reader *reader)
{
	uint8_t *room = reader->window + INFLATE_HISTORY_BYTES;
	if (reader->step != STEP_FULL) {
		size_t left = (size_t)(reader->gzip_end - reader->in.next);
		size_t in_bytes = reader->contender->in_bytes;
		reader->in.end = reader->in.next + (left < in_bytes ? left : in_bytes);
	}
	if (reader->out.next > room &&
	    (!reader->contender->fill || cursor_out_bytes(&reader->out) < INFLATE_ROOM_BYTES)) {
		memmove(reader->window, reader->out.next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
		reader->out.next = room;
	}
	reader->fresh = reader->out.next;
}

/* Line ends of what came out. */
static size_t reader_take(struct reader *reader, struct rig *rig)
{
	if (reader->step == STEP_BROKEN)
		return NEWLINES_WRONG;
	reader->active = reader->step == STEP_FULL || reader->in.next < reader->gzip_end;
	if (!reader->active && !reader->over && inflate_plain_bytes(reader->inflate) == 0) {
		inflate_input_over(reader->inflate); /* it has kept everything until now */
		reader->over = reader->active = 1;
	}
	if (!reader->active && inflate_end(reader->inflate) != FAULT_NONE)
		return NEWLINES_WRONG;
	return rig_newlines(rig, reader->fresh, reader->out.next);
}

static void push(struct reader *readers[], size_t count)
{
	struct inflate_job jobs[STREAMS_AT_ONCE_MAX];
	for (size_t i = 0; i < count; i++) {
		struct reader *reader = readers[i];
		reader_prepare(reader);
		jobs[i] = (struct inflate_job){ reader->inflate, &reader->in, reader->window, &reader->out,
						STEP_HUNGRY };
	}
	if (count == 2)
		inflate_push_beside(&jobs[0], &jobs[1]);
	else
		jobs[0].step = inflate_push(jobs[0].inflate, jobs[0].in, jobs[0].history, jobs[0].out);
	for (size_t i = 0; i < count; i++)
		readers[i]->step = jobs[i].step;
}

/* Who has finished a stream begins the next one, as a worker with many streams does. */
static size_t run_ours(struct rig *rig, const struct contender *contender, const struct input *input)
{
	struct reader readers[STREAMS_AT_ONCE_MAX] = { 0 };
	size_t next = 0, newlines = 0;
	for (size_t i = 0; i < contender->stream_count; i++) {
		readers[i].contender = contender;
		readers[i].inflate = rig_engines(rig)->inflates[contender->engine][i];
		readers[i].window = rig_window(rig, i);
	}
	for (;;) {
		struct reader *active[STREAMS_AT_ONCE_MAX];
		size_t count = 0;
		for (size_t i = 0; i < contender->stream_count; i++) {
			if (!readers[i].active && next < input->stream_count)
				reader_begin(&readers[i], &input->streams[next++]);
			if (readers[i].active)
				active[count++] = &readers[i];
		}
		if (count == 0)
			return newlines;
		push(active, count);
		for (size_t i = 0; i < count; i++) {
			size_t found = reader_take(active[i], rig);
			if (found == NEWLINES_WRONG)
				return NEWLINES_WRONG;
			newlines += found;
		}
	}
}

static const char *name_of(const struct engines *engines, size_t row)
{
	return inflate_engine_name(engines->inflates[row][0]);
}

static size_t add(const struct engines *engines, struct contender *contenders, size_t count, size_t row,
		  size_t streams)
{
	contenders[count] = (struct contender){
		.run = run_ours,
		.engine = row,
		.stream_count = streams,
		.in_bytes = STREAM_IN_KILOBYTES << 10,
		.out_bytes = STREAM_OUT_KILOBYTES << 10,
		.fill = streams > 1, /* the other one's window is not full yet when one is */
	};
	snprintf(contenders[count].name, NAME_BYTES_MAX, "ours (%s)%s", name_of(engines, row),
		 streams > 1 ? ", two streams" : "");
	return count + 1;
}

static size_t add_sizes(const struct engines *engines, struct contender *contenders, size_t count, size_t row,
			size_t in_kilobytes, size_t out_kilobytes, int fill)
{
	struct contender *contender = &contenders[count];
	count = add(engines, contenders, count, row, 1);
	contender->in_bytes = in_kilobytes << 10;
	contender->out_bytes = out_kilobytes << 10;
	contender->fill = fill;
	snprintf(contender->name, NAME_BYTES_MAX, "ours (%s), %zu, %zu KB%s", name_of(engines, row),
		 in_kilobytes, out_kilobytes, fill ? ", fill" : "");
	return count;
}

/* "Own" is the loop in C on a processor that can run no other: then once is enough. */
static int is_known(const struct engines *engines, size_t row)
{
	for (size_t before = 0; before < row; before++)
		if (strcmp(name_of(engines, before), name_of(engines, row)) == 0)
			return 1;
	return 0;
}

size_t ours_list(const struct engines *engines, struct contender *contenders, size_t count)
{
	for (size_t row = 0; row < ROWS; row++)
		for (size_t streams = 1; streams <= rows[row].stream_count_max && !is_known(engines, row);
		     streams++)
			count = add(engines, contenders, count, row, streams);
	return count;
}

size_t ours_list_sizes(const struct engines *engines, struct contender *contenders, size_t count)
{
	static const size_t in_sizes[] = { 2, 4, 16, 32, 64, 128, 256 };
	static const size_t out_sizes[] = { 32, 64, 128, 512, 1024 };
	for (size_t row = 0; row < ROWS; row++) {
		if (is_known(engines, row) || rows[row].engine == INFLATE_ENGINE_LIBDEFLATE)
			continue; /* libdeflate keeps pieces until it has all */
		for (size_t i = 0; i < sizeof in_sizes / sizeof *in_sizes; i++)
			count = add_sizes(engines, contenders, count, row, in_sizes[i], STREAM_OUT_KILOBYTES,
					  0);
		for (size_t i = 0; i < sizeof out_sizes / sizeof *out_sizes; i++)
			count = add_sizes(engines, contenders, count, row, STREAM_IN_KILOBYTES, out_sizes[i],
					  0);
		count = add_sizes(engines, contenders, count, row, 16, STREAM_OUT_KILOBYTES, 1);
		count = add_sizes(engines, contenders, count, row, STREAM_IN_KILOBYTES, STREAM_OUT_KILOBYTES,
				  1);
	}
	return count;
}
