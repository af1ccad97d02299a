/* SPDX-License-Identifier: Apache-2.0
 *
 * For inflate_files.py: reads names of gzip files, one a line, and says what each engine makes of each file,
 * in pieces as the collector has them, in odd ones, and together with the file before: a line each with
 * engine, way, fault, count of plain bytes, their CRC-32 and Adler-32. "end" closes a file's lines. With
 * --events BYTES it writes the simulator's events instead, to be compressed by others.
 */
#define ZLIB_CONST
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "inflate/inflate.h"
#include "simulator/events.h"

enum {
	ROOM_BYTES = 256 * 1024,
	WINDOW_BYTES = 32768 + ROOM_BYTES,
	PATH_BYTES_MAX = 4096,
	ODD_IN_BYTES_MAX = 3000,
	ODD_OUT_BYTES_MAX = 30000,
	PAGE_IN_BYTES = 16384,
};

enum way { WAY_PAGE, WAY_ODD, WAY_TWO, WAYS };
static const char *const way_names[WAYS] = { "page", "odd", "two" };
static const enum inflate_engine engines[] = { INFLATE_ENGINE_OWN, INFLATE_ENGINE_OWN_C, INFLATE_ENGINE_ISAL,
					       INFLATE_ENGINE_LIBDEFLATE };
enum { ENGINE_COUNT = sizeof engines / sizeof *engines };

struct file {
	uint8_t *bytes;
	size_t count;
};

struct stream {
	struct inflate *inflate;
	const struct file *file;
	uint8_t *window, *next;
	struct cursor_in in;
	struct cursor_out out;
	size_t at;
	uint64_t plain_bytes, seed;
	uLong crc, adler;
	int is_odd, input_is_over, over;
};

static void *must(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

static size_t draw(struct stream *stream, size_t bytes_max)
{
	stream->seed = events_mix(stream->seed);
	return 1 + stream->seed % bytes_max;
}

static void stream_begin(struct stream *stream, const struct file *file, int is_odd)
{
	stream->file = file;
	stream->next = stream->window;
	stream->at = 0;
	stream->plain_bytes = 0;
	stream->seed = file->count;
	stream->crc = crc32(0, NULL, 0);
	stream->adler = adler32(0, NULL, 0);
	stream->is_odd = is_odd;
	stream->input_is_over = stream->over = 0;
	inflate_begin(stream->inflate);
}

/* As a page does it: when little room is left, the last 32 KB go to the front. */
static void stream_prepare(struct stream *stream)
{
	size_t in_bytes = stream->file->count - stream->at;
	size_t in_max = stream->is_odd ? draw(stream, ODD_IN_BYTES_MAX) : PAGE_IN_BYTES;
	size_t room_bytes = (size_t)(stream->window + WINDOW_BYTES - stream->next);
	if (room_bytes < INFLATE_ROOM_BYTES) {
		memmove(stream->window, stream->next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
		stream->next = stream->window + INFLATE_HISTORY_BYTES;
		room_bytes = WINDOW_BYTES - INFLATE_HISTORY_BYTES;
	}
	if (stream->is_odd) {
		size_t odd_bytes = draw(stream, ODD_OUT_BYTES_MAX);
		room_bytes = odd_bytes < room_bytes ? odd_bytes : room_bytes;
	}
	const uint8_t *in = stream->file->bytes + stream->at;
	stream->in = (struct cursor_in){ in, in + (in_bytes < in_max ? in_bytes : in_max) };
	stream->out = (struct cursor_out){ stream->next, stream->next + room_bytes };
}

static void stream_account(struct stream *stream, enum step step)
{
	size_t bytes = (size_t)(stream->out.next - stream->next);
	stream->crc = crc32(stream->crc, stream->next, (uInt)bytes);
	stream->adler = adler32(stream->adler, stream->next, (uInt)bytes);
	stream->plain_bytes += bytes;
	stream->next = stream->out.next;
	stream->at = (size_t)(stream->in.next - stream->file->bytes);
	if (step == STEP_BROKEN) {
		stream->over = 1;
	} else if (step != STEP_FULL && stream->at == stream->file->count) {
		stream->over = stream->input_is_over;
		stream->input_is_over = 1;
		inflate_input_over(stream->inflate);
	}
}

static void stream_finish(struct stream *stream)
{
	while (!stream->over) {
		stream_prepare(stream);
		stream_account(stream,
			       inflate_push(stream->inflate, &stream->in, stream->window, &stream->out));
	}
}

static void streams_push_two(struct stream *streams)
{
	struct inflate_job jobs[2];
	for (int i = 0; i < 2; i++) {
		stream_prepare(&streams[i]);
		jobs[i] = (struct inflate_job){ streams[i].inflate, &streams[i].in, streams[i].window,
						&streams[i].out, STEP_BROKEN };
	}
	inflate_push_two(&jobs[0], &jobs[1]);
	for (int i = 0; i < 2; i++)
		stream_account(&streams[i], jobs[i].step);
}

static void dump(struct stream *streams, const struct file *file, const struct file *before)
{
	for (int way = 0; way < WAYS; way++) {
		stream_begin(&streams[0], file, way == WAY_ODD);
		if (way == WAY_TWO) {
			stream_begin(&streams[1], before, 1);
			while (!streams[0].over && !streams[1].over)
				streams_push_two(streams);
		}
		stream_finish(&streams[0]);
		printf("%s %s %s %llu %lu %lu\n", inflate_engine_name(streams[0].inflate), way_names[way],
		       fault_name(inflate_end(streams[0].inflate)),
		       (unsigned long long)streams[0].plain_bytes, streams[0].crc, streams[0].adler);
	}
}

static int file_read(struct file *file, const char *path)
{
	FILE *stream = fopen(path, "rb");
	free(file->bytes);
	*file = (struct file){ 0 };
	if (!stream || fseek(stream, 0, SEEK_END) != 0) {
		perror(path);
		return -1;
	}
	file->count = (size_t)ftell(stream);
	file->bytes = must(malloc(file->count + 1));
	rewind(stream);
	int whole = fread(file->bytes, 1, file->count, stream) == file->count;
	fclose(stream);
	return whole ? 0 : -1;
}

static int write_events(size_t bytes_max)
{
	struct events events = { .seed = 1 };
	struct text text = { 0 };
	size_t whole_bytes = 0;
	for (uint64_t index = 0; text.bytes < bytes_max; index++) {
		whole_bytes = text.bytes;
		event_put(&events, "14227", index, INT64_C(1700000000000000000) + (int64_t)index * 74000,
			  &text);
		text_put(&text, "\n", 1);
	}
	int written = fwrite(text.base, 1, whole_bytes, stdout) == whole_bytes;
	text_finish(&text);
	return !written;
}

int main(int argc, char **argv)
{
	static struct stream streams[ENGINE_COUNT][2];
	static struct file files[2];
	struct arena arena;
	char path[PATH_BYTES_MAX];
	size_t bytes = 0;
	if (argc == 3 && strcmp(argv[1], "--events") == 0)
		return write_events(strtoull(argv[2], NULL, 10));
	for (int i = 0; i < ENGINE_COUNT; i++)
		bytes += 2 * inflate_bytes_needed(engines[i]);
	if (arena_open(&arena, bytes) != 0)
		abort();
	for (int i = 0; i < ENGINE_COUNT; i++)
		for (int two = 0; two < 2; two++) {
			streams[i][two].inflate = must(inflate_create(engines[i], &arena));
			streams[i][two].window = must(malloc(WINDOW_BYTES));
		}
	for (unsigned number = 0; fgets(path, sizeof path, stdin); number++) {
		struct file *file = &files[number % 2], *before = &files[(number + 1) % 2];
		path[strcspn(path, "\n")] = 0;
		if (file_read(file, path) != 0)
			return 1;
		for (int i = 0; i < ENGINE_COUNT; i++)
			dump(streams[i], file, number ? before : file);
		printf("end\n");
		fflush(stdout);
	}
	for (int i = 0; i < ENGINE_COUNT; i++)
		for (int two = 0; two < 2; two++) {
			inflate_finish(streams[i][two].inflate);
			free(streams[i][two].window);
		}
	free(files[0].bytes);
	free(files[1].bytes);
	arena_finish(&arena);
	return 0;
}
