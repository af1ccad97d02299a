/* SPDX-License-Identifier: Apache-2.0
 *
 * The inflate room on another processor: gzip from standard input in pieces of so many bytes, plain to
 * standard output; the engine, and how many bytes came in pairs, to standard error. Exit status 0: it is
 * proven; 1: it is not. With "two" the loop for two decodes it, beside itself; 3: they end in another way.
 * The library that sums up small pieces is not at hand there: a plain CRC-32 stands in for it, so that
 * checksums are still checked.
 *
 *	driver PIECE_BYTES [two]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inflate/engine.h"
#include "inflate/inflate.h"

enum { ROOM_BYTES = 65536, INPUT_BYTES_MAX = 1 << 24 };

const struct engine engine_isal, engine_libdeflate; /* nobody asks for them */

uint32_t engine_checksum_isal(uint32_t checksum, struct span bytes)
{
	checksum = ~checksum;
	for (size_t i = 0; i < bytes.bytes; i++) {
		checksum ^= bytes.base[i];
		for (int bit = 0; bit < 8; bit++)
			checksum = checksum >> 1 ^ (checksum & 1 ? 0xedb88320 : 0);
	}
	return ~checksum;
}

struct stream {
	struct inflate *inflate;
	struct cursor_in in;
	struct cursor_out out;
	const uint8_t *fresh;
	size_t at, plain_bytes;
	uint32_t checksum;
	enum step step;
	int is_over;
	uint8_t window[INFLATE_HISTORY_BYTES + ROOM_BYTES];
};

static uint8_t gzip[INPUT_BYTES_MAX];
static size_t gzip_bytes, piece_bytes;
static struct stream streams[2];

static void begin(struct stream *stream, struct arena *arena)
{
	stream->inflate = inflate_create(INFLATE_ENGINE_OWN, arena);
	stream->out.next = stream->window + INFLATE_HISTORY_BYTES;
	stream->out.end = stream->window + sizeof stream->window;
	stream->step = STEP_HUNGRY;
	stream->is_over = !gzip_bytes;
}

static struct inflate_job prepare(struct stream *stream)
{
	if (stream->step != STEP_FULL) {
		size_t left = gzip_bytes - stream->at, bytes = left < piece_bytes ? left : piece_bytes;
		stream->in = (struct cursor_in){ gzip + stream->at, gzip + stream->at + bytes };
		stream->at += bytes;
	}
	if (cursor_out_bytes(&stream->out) < INFLATE_ROOM_BYTES) {
		memmove(stream->window, stream->out.next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
		stream->out.next = stream->window + INFLATE_HISTORY_BYTES;
	}
	stream->fresh = stream->out.next;
	return (struct inflate_job){ stream->inflate, &stream->in, stream->window, &stream->out,
				     STEP_BROKEN };
}

static void account(struct stream *stream, enum step step)
{
	size_t bytes = (size_t)(stream->out.next - stream->fresh);
	stream->step = step;
	stream->plain_bytes += bytes;
	stream->checksum = engine_checksum_isal(stream->checksum, span_of(stream->fresh, bytes));
	stream->is_over = step == STEP_BROKEN || (step != STEP_FULL && stream->at == gzip_bytes);
	if (stream == streams)
		fwrite(stream->fresh, 1, bytes, stdout);
}

static void push_one(void)
{
	struct inflate_job job = prepare(&streams[0]);
	account(&streams[0], inflate_push(job.inflate, job.in, job.history, job.out));
}

static void push_two(void)
{
	struct inflate_job jobs[2] = { prepare(&streams[0]), prepare(&streams[1]) };
	inflate_push_two(&jobs[0], &jobs[1]);
	for (int i = 0; i < 2; i++)
		account(&streams[i], jobs[i].step);
}

int main(int count, char **arguments)
{
	struct arena arena;
	enum fault faults[2];
	piece_bytes = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
	if (!piece_bytes || arena_open(&arena, 1 << 20) != 0)
		return 2;
	gzip_bytes = fread(gzip, 1, sizeof gzip, stdin);
	for (int i = 0; i < 2; i++)
		begin(&streams[i], &arena);
	if (count > 2)
		while (!streams[0].is_over || !streams[1].is_over)
			push_two();
	while (!streams[0].is_over)
		push_one();
	for (int i = 0; i < 2; i++)
		faults[i] = inflate_end(streams[i].inflate);
	fprintf(stderr, "%s %llu\n", inflate_engine_name(streams[0].inflate),
		(unsigned long long)inflate_paired_bytes(streams[0].inflate));
	if (count > 2 && (faults[0] != faults[1] || streams[0].plain_bytes != streams[1].plain_bytes ||
			  streams[0].checksum != streams[1].checksum))
		return 3;
	return faults[0] != FAULT_NONE;
}
