/* SPDX-License-Identifier: Apache-2.0
 *
 * The inflate room on another processor: gzip from standard input in pieces of so many bytes, plain to
 * standard output. Exit status 0: it is proven; 1: it is not. The library that sums up small pieces is not at
 * hand there: a plain CRC-32 stands in for it, so that checksums are still checked.
 *
 *	driver PIECE_BYTES
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

static uint8_t gzip[INPUT_BYTES_MAX], window[INFLATE_HISTORY_BYTES + ROOM_BYTES];

int main(int count, char **arguments)
{
	size_t piece_bytes = count > 1 ? strtoul(arguments[1], NULL, 10) : 0;
	if (!piece_bytes)
		return 2;
	struct arena arena;
	if (arena_open(&arena, 1 << 20) != 0)
		return 2;
	struct inflate *inflate = inflate_create(INFLATE_ENGINE_OWN, &arena);
	size_t gzip_bytes = fread(gzip, 1, sizeof gzip, stdin), at = 0;
	struct cursor_in in = { gzip, gzip };
	struct cursor_out out = { window + INFLATE_HISTORY_BYTES, window + sizeof window };
	enum step step = STEP_HUNGRY;
	while (step == STEP_FULL || at < gzip_bytes) {
		if (step != STEP_FULL) {
			size_t bytes = gzip_bytes - at < piece_bytes ? gzip_bytes - at : piece_bytes;
			in = (struct cursor_in){ gzip + at, gzip + at + bytes };
			at += bytes;
		}
		if (cursor_out_bytes(&out) < INFLATE_ROOM_BYTES) {
			memmove(window, out.next - INFLATE_HISTORY_BYTES, INFLATE_HISTORY_BYTES);
			out.next = window + INFLATE_HISTORY_BYTES;
		}
		const uint8_t *fresh = out.next;
		step = inflate_push(inflate, &in, window, &out);
		fwrite(fresh, 1, (size_t)(out.next - fresh), stdout);
		if (step == STEP_BROKEN)
			break;
	}
	fprintf(stderr, "%s\n", inflate_engine_name(inflate));
	return inflate_end(inflate) != FAULT_NONE;
}
