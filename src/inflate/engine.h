/* SPDX-License-Identifier: Apache-2.0
 *
 * What inflate.c asks of a deflate decoder (RFC 1951). An engine decodes one raw deflate stream at any split
 * of input and output; wrapper, checksums, members and limits are inflate.c's.
 */
#ifndef INFLATE_ENGINE_H
#define INFLATE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"

/* An engine may read ahead of the end of its stream, but no further than a gzip trailer is long: so what it
 * has read ahead always belongs to the trailer. */
#define ENGINE_AHEAD_BYTES_MAX 8

struct engine_job {
	void *state;
	struct cursor_in *in;
	const uint8_t *history;
	struct cursor_out *out;
};

struct engine {
	const char *name;
	size_t state_bytes;
	size_t state_alignment;

	/* Not 0: the engine does not work in pieces. The input of a stream, at most so many bytes, is kept
	 * until inflate_input_over(); then push() sees all that is left of it at once. FULL with room left
	 * says that the plain bytes are more than the engine has memory for. */
	size_t whole_bytes_max;
	/* What the engine takes beside its state, and how much of the arena that is. create(): 0, or -1 when
	 * there is no memory. NULL, all three: nothing. */
	size_t (*create_bytes)(void);
	int (*create)(void *state, struct arena *arena);
	void (*finish)(void *state);

	/* Makes ready for the first bit of a stream. Cheap: touches no table. */
	void (*begin)(void *state);

	/* As inflate_push(), with the same promise about `history`. HUNGRY: all input is consumed and no
	 * output is pending. FULL: the output is full, or has less than INFLATE_ROOM_BYTES left and had more.
	 * DONE: the stream has ended and every plain byte has been handed out. BROKEN: it is not deflate;
	 * what was handed out is a beginning of what came before the damage. Input and output must each be at
	 * most ENGINE_PIECE_BYTES_MAX, but for an engine that takes it whole. */
	enum step (*push)(void *state, struct cursor_in *in, const uint8_t *history, struct cursor_out *out);

	/* Works on two streams until one of them can not go on: push() says why. NULL: the engine has no such
	 * thing. */
	void (*push_two)(struct engine_job *first, struct engine_job *second);

	/* After DONE: copies the bytes that were consumed but lie behind the stream. Returns how many. */
	size_t (*ahead)(const void *state, uint8_t bytes[ENGINE_AHEAD_BYTES_MAX]);

	/* How many plain bytes at most are checked and handed on at a time: they are to be still in a cache
	 * then. */
	size_t fresh_bytes_max;
	/* gzip's CRC-32 of `bytes` appended to what `checksum` covers; of nothing it is 0. */
	uint32_t (*checksum)(uint32_t checksum, struct span bytes);
};

/* ISA-L counts in 32 bits; and limits are checked between pieces, so a piece bounds how late. */
#define ENGINE_PIECE_BYTES_MAX ((size_t)1 << 20)
/* Less input than this is not worth working on two streams at once. */
#define ENGINE_TWO_BYTES_MIN ((size_t)64)

extern const struct engine engine_isal;
extern const struct engine engine_libdeflate;
extern const struct engine engine_own_c;
#if defined(__x86_64__)
extern const struct engine engine_own_x86_64; /* only where own_x86_64_is_here() */
int own_x86_64_is_here(void);
#endif

/* gzip's CRC-32, the fastest that there is: checksum.c's or, of little or on other processors, the library's.
 */
uint32_t engine_checksum(uint32_t checksum, struct span bytes);
uint32_t engine_checksum_isal(uint32_t checksum, struct span bytes);

#endif
