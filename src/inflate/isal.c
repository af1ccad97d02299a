/* SPDX-License-Identifier: Apache-2.0
 *
 * The deflate engine on Intel ISA-L, and the only file that names it. Versions 2.30 to 2.32 are known to
 * work.
 *
 * ISA-L's own gzip modes are not used: its header parser fails at many splits of the input, and it does not
 * say which half of a trailer was wrong. In raw mode the library has traps of its own, all met here:
 * - It reads up to 64 bits ahead. Up to 2.31 next_in is not put back at the end of the stream; the bytes are
 *   still in read_in. From 2.32.1 on it is put back, even to before the piece that the call was given.
 * - Running out of input or output is not a return value; block_state and avail_* tell.
 * - total_out and avail_* are 32 bits; total_out is not used.
 * - When a distance is too far, next_out has moved over bytes that were never written, so what a failing call
 *   produced may be old memory: none of it is handed out.
 */
#include "inflate/engine.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "base/check.h"

struct isal {
	struct inflate_state state;
	uint8_t ahead[ENGINE_AHEAD_BYTES_MAX];
	size_t ahead_bytes;
};

static void isal_begin(void *opaque)
{
	struct isal *isal = opaque;
	isal_inflate_init(&isal->state);
	isal->state.crc_flag = ISAL_DEFLATE;
	isal->ahead_bytes = 0;
}

/* The whole bytes in the bit buffer, least significant first; a partial one at the bottom is skipped. */
static size_t isal_buffered_bytes(const struct inflate_state *state, uint8_t bytes[ENGINE_AHEAD_BYTES_MAX])
{
	size_t bits = state->read_in_length > 0 ? (size_t)state->read_in_length : 0;
	CHECK_LE(bits, 8 * sizeof state->read_in);
	uint64_t buffer = bits % 8 ? state->read_in >> bits % 8 : state->read_in;
	for (size_t i = 0; i < bits / 8; i++)
		bytes[i] = (uint8_t)(buffer >> 8 * i);
	return bits / 8;
}

/* At the end of the stream: `buffered` is what was in the bit buffer before the call. */
static void isal_keep_ahead(struct isal *isal, const uint8_t *buffered, size_t buffered_bytes,
			    const uint8_t *base)
{
	struct inflate_state *state = &isal->state;
	if (state->next_in >= base) {
		isal->ahead_bytes = isal_buffered_bytes(state, isal->ahead);
		return;
	}
	size_t put_back_bytes = (size_t)(base - state->next_in);
	CHECK_LE(put_back_bytes, buffered_bytes);
	for (size_t i = 0; i < put_back_bytes; i++)
		isal->ahead[i] = buffered[buffered_bytes - put_back_bytes + i];
	isal->ahead_bytes = put_back_bytes;
	state->next_in += put_back_bytes;
}

static enum step isal_push(void *opaque, struct cursor_in *in, const uint8_t *history, struct cursor_out *out)
{
	(void)history; /* it has its own */
	struct isal *isal = opaque;
	struct inflate_state *state = &isal->state;
	uint8_t buffered[ENGINE_AHEAD_BYTES_MAX];
	size_t buffered_bytes = isal_buffered_bytes(state, buffered);
	CHECK_LE(cursor_in_bytes(in), ENGINE_PIECE_BYTES_MAX);
	CHECK_LE(cursor_out_bytes(out), ENGINE_PIECE_BYTES_MAX);

	const uint8_t *base = in->next;
	state->next_in = (uint8_t *)(uintptr_t)base; /* only read, but declared without const */
	state->avail_in = (uint32_t)cursor_in_bytes(in);
	state->next_out = out->next;
	state->avail_out = (uint32_t)cursor_out_bytes(out);
	int answer = isal_inflate(state);
	int done = answer == ISAL_DECOMP_OK && state->block_state == ISAL_BLOCK_FINISH;
	if (done)
		isal_keep_ahead(isal, buffered, buffered_bytes, base);
	in->next = state->next_in;
	if (answer != ISAL_DECOMP_OK)
		return STEP_BROKEN;
	out->next = state->next_out;
	if (done)
		return STEP_DONE;
	return out->next == out->end ? STEP_FULL : STEP_HUNGRY;
}

static size_t isal_ahead(const void *opaque, uint8_t bytes[ENGINE_AHEAD_BYTES_MAX])
{
	const struct isal *isal = opaque;
	for (size_t i = 0; i < isal->ahead_bytes; i++)
		bytes[i] = isal->ahead[i];
	return isal->ahead_bytes;
}

uint32_t engine_checksum_isal(uint32_t checksum, struct span bytes)
{
	return crc32_gzip_refl(checksum, bytes.base, bytes.bytes);
}

const struct engine engine_isal = {
	.name = "isal",
	.state_bytes = sizeof(struct isal),
	.state_alignment = 64,
	.begin = isal_begin,
	.push = isal_push,
	.ahead = isal_ahead,
	/* Its cost per call is that it decodes 32 KB into a buffer of its own and copies as much back. */
	.fresh_bytes_max = (size_t)256 * 1024,
	.checksum = engine_checksum,
};
