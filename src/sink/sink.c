/* SPDX-License-Identifier: Apache-2.0
 *
 * sink: a queue of buffers between the lines and the output. Lines fill the buffer behind the last sealed
 * one; the oldest sealed buffer is being written. Only one write is in flight, because two writes to a pipe
 * or to an appended file may land in either order; the others fill meanwhile.
 *
 * Where other sinks write to the same output (turn.h), a full buffer is sealed behind its last line end. What
 * is behind that is carried over to the next buffer, as soon as there is one. A line that is longer than a
 * buffer is written in pieces, and the turn is kept until it has ended.
 */
#define _GNU_SOURCE
#include "sink/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "sink/escape.h"
#include "sink/turn.h"

#define SINK_MAGIC UINT64_C(0x73696e6b2d617072)

struct sink {
	uint64_t magic;
	struct sink_options options;
	struct ring *ring;
	struct ring_operation operation; /* the write in flight */
	int fd;
	int flush_wanted; /* seal the filling buffer as soon as nothing else is to be written */
	int line_open;	  /* RAW: the last byte taken was not a line feed */
	struct escape escape;
	unsigned buffer_count;
	uint8_t *buffers; /* buffer_count of SINK_BUFFER_BYTES */
	size_t sealed_bytes[SINK_BUFFER_COUNT];
	unsigned oldest;	/* index of the first sealed buffer */
	unsigned sealed_count;	/* the buffer behind these is the filling one */
	size_t filled_bytes;	/* of the filling buffer */
	unsigned member;	/* of options.turn */
	int cut_line;		/* with `turn`: the buffer sealed last ends within a line */
	const uint8_t *carried; /* in the buffer sealed last: the begin of a line, for the next one */
	size_t carried_bytes;
	uint64_t bytes_written;
	enum fault fault;
	char error[SINK_ERROR_BYTES_MAX];
};

int sink_parse(const char *text, struct sink_options *ret_options)
{
	static const char file_prefix[] = "file:";
	ret_options->path = NULL;
	ret_options->output_fd = STDOUT_FILENO;
	if (strcmp(text, "null") == 0) {
		ret_options->kind = SINK_NULL;
	} else if (strcmp(text, "stdout") == 0) {
		ret_options->kind = SINK_STDOUT;
	} else if (strncmp(text, file_prefix, sizeof file_prefix - 1) == 0 && text[sizeof file_prefix - 1]) {
		ret_options->kind = SINK_FILE;
		ret_options->path = text + sizeof file_prefix - 1;
	} else {
		return -1;
	}
	return 0;
}

static const char *output_name(const struct sink_options *options)
{
	return options->kind == SINK_FILE ? options->path : "standard output";
}

/* "No space left on device (ENOSPC)" */
static void error_name(int error, char *text, size_t text_bytes)
{
	const char *name = strerrorname_np(error);
	const char *meaning = strerrordesc_np(error);
	if (error == EPIPE)
		meaning = "its reader has gone";
	snprintf(text, text_bytes, "%s (%s)", meaning ? meaning : "unknown error", name ? name : "?");
}

/* A former run that was killed, or a full disk, may have cut the last line. */
static int file_ends_within_line(const char *path, int output_fd)
{
	struct stat status;
	char byte = '\n';
	if (fstat(output_fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* it may be written but not read: nothing to be known */
	if (pread(fd, &byte, 1, status.st_size - 1) != 1)
		byte = '\n';
	close(fd);
	return byte != '\n';
}

enum fault sink_open(const struct sink_options *options, struct ring *ring, struct arena *arena,
		     struct sink **ret_sink, char error[static SINK_ERROR_BYTES_MAX])
{
	int fd = options->output_fd;
	*ret_sink = NULL;
	error[0] = 0;
	if (options->kind == SINK_FILE) {
		fd = open(options->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0) {
			char cause[128];
			error_name(errno, cause, sizeof cause);
			snprintf(error, SINK_ERROR_BYTES_MAX, "%.300s cannot be opened: %s", options->path,
				 cause);
			return FAULT_SINK_OPEN;
		}
	}
	struct sink *sink = arena_take(arena, sizeof *sink, 64);
	*sink = (struct sink){ .magic = SINK_MAGIC, .options = *options, .ring = ring, .fd = fd };
	sink->operation.owner = sink;
	sink->escape.run = escape_run_avx512();
	sink->buffer_count = options->turn ? SINK_SHARED_BUFFER_COUNT : SINK_BUFFER_COUNT;
	if (options->kind != SINK_NULL)
		sink->buffers = arena_take(arena, (size_t)sink->buffer_count * SINK_BUFFER_BYTES, 4096);
	if (options->turn)
		sink->member = sink_turn_join(options->turn, options->wake_fd);
	/* Of several sinks the first writes its buffer first only by chance: so at once. */
	if (options->kind == SINK_FILE && file_ends_within_line(options->path, fd)) {
		sink->buffers[0] = '\n';
		sink->filled_bytes = 1;
		if (options->turn)
			sink->filled_bytes -= (size_t)(write(fd, "\n", 1) == 1);
		sink->bytes_written = 1 - sink->filled_bytes;
	}
	*ret_sink = sink;
	return FAULT_NONE;
}

/* Starts writing the oldest sealed buffer, unless a write is in flight or it is another sink's turn. */
static void write_next(struct sink *sink)
{
	if (sink->operation.pending || sink->sealed_count == 0 || sink->fault != FAULT_NONE)
		return;
	if (sink->options.turn && !sink_turn_take(sink->options.turn, sink->member))
		return;
	ring_write(sink->ring, &sink->operation, sink->fd,
		   sink->buffers + (size_t)sink->oldest * SINK_BUFFER_BYTES, sink->sealed_bytes[sink->oldest],
		   UINT64_MAX);
}

static uint8_t *filling_buffer(const struct sink *sink)
{
	return sink->buffers +
	       (size_t)((sink->oldest + sink->sealed_count) % sink->buffer_count) * SINK_BUFFER_BYTES;
}

/* The begin of a line that was cut off moves into the filling buffer, once there is one. */
static void carry_over(struct sink *sink)
{
	if (sink->carried_bytes == 0 || sink->sealed_count == sink->buffer_count)
		return;
	CHECK_EQ(sink->filled_bytes, (size_t)0);
	memcpy(filling_buffer(sink), sink->carried, sink->carried_bytes);
	sink->filled_bytes = sink->carried_bytes;
	sink->carried_bytes = 0;
}

/* How much of the filling buffer may be written at once; what is behind is carried. */
static size_t buffer_cut(struct sink *sink)
{
	const uint8_t *buffer = filling_buffer(sink);
	const uint8_t *line_end = memrchr(buffer, '\n', sink->filled_bytes);
	if (!sink->options.turn)
		return sink->filled_bytes;
	sink->cut_line = !line_end;
	if (!line_end)
		return sink->filled_bytes;
	sink->carried = line_end + 1;
	sink->carried_bytes = (size_t)(buffer + sink->filled_bytes - sink->carried);
	return (size_t)(sink->carried - buffer);
}

/* The filling buffer is to be written as it is. */
static void buffer_seal(struct sink *sink)
{
	CHECK_LT(sink->sealed_count, sink->buffer_count);
	CHECK_NE(sink->filled_bytes, (size_t)0);
	size_t bytes = buffer_cut(sink);
	sink->sealed_bytes[(sink->oldest + sink->sealed_count) % sink->buffer_count] = bytes;
	sink->sealed_count++;
	sink->filled_bytes = 0;
	carry_over(sink);
	write_next(sink);
}

/* Others wait for the end of a line whose begin is out: it is not kept back until the buffer is full. */
static void cut_line_end(struct sink *sink)
{
	if (sink->cut_line && sink->filled_bytes && memchr(filling_buffer(sink), '\n', sink->filled_bytes))
		buffer_seal(sink);
}

static enum step raw_push(struct sink *sink, struct cursor_in *lines, struct cursor_out *output, int last)
{
	size_t bytes = cursor_in_bytes(lines);
	if (bytes > cursor_out_bytes(output))
		bytes = cursor_out_bytes(output);
	if (bytes) {
		memcpy(output->next, lines->next, bytes);
		lines->next += bytes;
		output->next += bytes;
		sink->line_open = output->next[-1] != '\n';
	}
	if (lines->next < lines->end)
		return STEP_FULL;
	if (last && sink->line_open) {
		if (output->next == output->end)
			return STEP_FULL;
		*output->next++ = '\n';
		sink->line_open = 0;
	}
	return STEP_HUNGRY;
}

static enum step null_push(struct sink *sink, struct cursor_in *lines, int last)
{
	if (lines->next < lines->end) {
		sink->bytes_written += cursor_in_bytes(lines);
		sink->line_open = lines->end[-1] != '\n';
		lines->next = lines->end;
	}
	if (last && sink->line_open) {
		sink->bytes_written++;
		sink->line_open = 0;
	}
	return STEP_HUNGRY;
}

enum step sink_push(struct sink *sink, struct cursor_in *lines, int last)
{
	CHECK_EQ(sink->magic, SINK_MAGIC);
	if (sink->fault != FAULT_NONE)
		return STEP_BROKEN;
	if (sink->options.kind == SINK_NULL)
		return null_push(sink, lines, last);
	while (sink->sealed_count < sink->buffer_count) {
		uint8_t *buffer = filling_buffer(sink);
		struct cursor_out output = { .next = buffer + sink->filled_bytes,
					     .end = buffer + SINK_BUFFER_BYTES };
		enum step step = sink->options.format == SINK_MESSAGE
					 ? escape_push(&sink->escape, lines, &output, last)
					 : raw_push(sink, lines, &output, last);
		sink->filled_bytes = (size_t)(output.next - buffer);
		if (step == STEP_HUNGRY) {
			cut_line_end(sink);
			return STEP_HUNGRY;
		}
		buffer_seal(sink);
	}
	return STEP_FULL;
}

void sink_flush(struct sink *sink)
{
	CHECK_EQ(sink->magic, SINK_MAGIC);
	if (sink->filled_bytes == 0 || sink->fault != FAULT_NONE)
		return;
	/* Behind a write in flight the buffer may as well go on filling until its turn comes. */
	if (sink->sealed_count == 0)
		buffer_seal(sink);
	sink->flush_wanted = sink->filled_bytes > 0;
}

/* What another sink has run into is everybody's fault. 1: it broke. */
static int sink_share_fault(struct sink *sink)
{
	if (sink->options.turn && sink->fault == FAULT_NONE)
		sink->fault = sink_turn_fault(sink->options.turn, sink->error);
	return sink->fault != FAULT_NONE;
}

void sink_woken(struct sink *sink)
{
	CHECK_EQ(sink->magic, SINK_MAGIC);
	if (sink->options.turn && !sink_share_fault(sink))
		write_next(sink);
}

static void write_failed(struct sink *sink, int error)
{
	char cause[128];
	struct sink_turn *turn = sink->options.turn;
	uint64_t bytes = turn ? sink_turn_count(turn, 0) : sink->bytes_written;
	error_name(error, cause, sizeof cause);
	sink->fault = FAULT_SINK_WRITE;
	snprintf(sink->error, sizeof sink->error,
		 "%.300s cannot be written: %s; %" PRIu64 " bytes were written before",
		 output_name(&sink->options), cause, bytes);
	if (turn)
		sink_turn_break(turn, sink->fault, sink->error);
}

/* The oldest buffer is out. */
static void buffer_written(struct sink *sink)
{
	size_t bytes = sink->sealed_bytes[sink->oldest];
	const uint8_t *buffer = sink->buffers + (size_t)sink->oldest * SINK_BUFFER_BYTES;
	int line_over = buffer[bytes - 1] == '\n';
	sink->oldest = (sink->oldest + 1) % sink->buffer_count;
	sink->sealed_count--;
	carry_over(sink);
	if (sink->options.turn && line_over)
		sink_turn_pass(sink->options.turn, sink->member, sink->sealed_count > 0);
	if (sink->sealed_count == 0 && sink->flush_wanted) {
		sink->flush_wanted = 0;
		sink_flush(sink);
	}
	write_next(sink);
}

int sink_completed(struct sink *sink, struct ring_operation *operation)
{
	CHECK_EQ(sink->magic, SINK_MAGIC);
	if (operation != &sink->operation)
		return 0;
	sink->bytes_written += operation->bytes_done;
	if (sink->options.turn)
		sink_turn_count(sink->options.turn, operation->bytes_done);
	if (operation->result < 0) {
		write_failed(sink, -operation->result);
		return 1;
	}
	CHECK_EQ((size_t)operation->result, sink->sealed_bytes[sink->oldest]);
	if (!sink_share_fault(sink))
		buffer_written(sink);
	return 1;
}

int sink_idle(const struct sink *sink)
{
	return sink->sealed_count == 0 && sink->filled_bytes == 0 && sink->carried_bytes == 0;
}

enum fault sink_fault(const struct sink *sink)
{
	return sink->fault;
}

const char *sink_error_text(const struct sink *sink)
{
	return sink->error;
}

uint64_t sink_bytes_written(const struct sink *sink)
{
	return sink->bytes_written;
}

uint64_t sink_bytes_accepted(const struct sink *sink)
{
	uint64_t bytes = sink->bytes_written + sink->filled_bytes + sink->carried_bytes;
	for (unsigned i = 0; i < sink->sealed_count; i++)
		bytes += sink->sealed_bytes[(sink->oldest + i) % sink->buffer_count];
	return bytes;
}

void sink_close(struct sink *sink)
{
	if (!sink)
		return;
	CHECK_EQ(sink->magic, SINK_MAGIC);
	CHECK_EQ(sink->operation.pending, 0);
	if (sink->options.kind == SINK_FILE)
		close(sink->fd);
	sink->magic = 0;
}
