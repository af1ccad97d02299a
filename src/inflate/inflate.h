/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: turns gzip bytes (RFC 1952, 1951) into plain bytes at any chunking, and proves CRC-32 and
 * size of every member. Multi-member streams are one stream. No allocation after inflate_create().
 *
 * Plain bytes are handed out before the trailer has been seen: they are proven only when inflate_end()
 * returns FAULT_NONE, so the caller must not commit a page before.
 */
#ifndef INFLATE_INFLATE_H
#define INFLATE_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/span.h"

/* Limits, each with its reason. */
#define INFLATE_HEADER_BYTES_MAX 131072	 /* FEXTRA alone may be 64 KB; names are as long again */
#define INFLATE_MEMBER_COUNT_MAX 1048576 /* a member costs table memory traffic; a page has a handful */
#define INFLATE_PLAIN_BYTES_MAX (UINT64_C(1) << 40) /* per page: 600 000 events of 16 MB would stay under */
/* Deflate itself yields at most 1032 bytes for one. Input that yields nothing (empty blocks and members, zero
 * padding) is limited to so many bytes per plain byte, after so many for free: see inflate.c. */
#define INFLATE_INPUT_PER_PLAIN_MAX 16
#define INFLATE_INPUT_FREE_BYTES 1048576
/* libdeflate needs all of a stream at once, and room for all of a member's plain bytes, both in address space
 * that is touched as far as it is used. The largest page has 600 000 events of 1.9 KB. */
#define INFLATE_WHOLE_GZIP_BYTES_MAX ((size_t)256 << 20)   /* 220 MB at level 1 */
#define INFLATE_WHOLE_PLAIN_BYTES_MAX ((size_t)2048 << 20) /* 1.2 GB */

/* Deflate copies from the last 32 KB that it wrote (RFC 1951, section 2). */
#define INFLATE_HISTORY_BYTES ((size_t)32768)
/* A push may find that there is no room when less than this is left; with more it goes on. Callers with a
 * window that is used again count less than this as none, so that nobody works on the last bytes one by one.
 */
#define INFLATE_ROOM_BYTES ((size_t)1024)

enum inflate_engine {
	INFLATE_ENGINE_AUTO, /* own */
	INFLATE_ENGINE_OWN,  /* with the fastest loop that this processor can run */
	INFLATE_ENGINE_ISAL,
	INFLATE_ENGINE_OWN_C,	   /* its reference, in C only: what other processors get */
	INFLATE_ENGINE_LIBDEFLATE, /* whole streams only: see inflate_input_over() */
};

struct inflate; /* opaque; lives in the arena */

/* Address space that inflate_create() takes from the arena: under 256 KB, but for libdeflate. */
size_t inflate_bytes_needed(enum inflate_engine engine);
/* NULL: libdeflate has no memory. */
struct inflate *inflate_create(enum inflate_engine engine, struct arena *arena);
/* Gives back what is not the arena's, which is something of libdeflate's only. Accepts NULL. */
void inflate_finish(struct inflate *inflate);
const char *inflate_engine_name(const struct inflate *inflate); /* "own-x86", "own-c", "isal" ... */

/* Begins a new stream (page). Cheap. */
void inflate_begin(struct inflate *inflate);

/* Consumes compressed bytes, appends plain bytes at out->next. What was appended before in this stream must
 * still lie in front of it, unchanged, back to `history`: all of it, or at least INFLATE_HISTORY_BYTES.
 * Between calls it may be moved, as long as that moves with it. Bytes between the new out->next and out->end
 * are scratch.
 *
 * HUNGRY: all input is consumed. FULL: `out` is full, or has less than INFLATE_ROOM_BYTES left and had more
 * (there may be more to come from input already consumed: call again with room before giving more input).
 * DONE is returned when a member ended exactly at the end of the input: more members may follow, so it is
 * HUNGRY in all but name. BROKEN: inflate_fault(). What was handed out before is then a beginning of the true
 * stream, unless the fault is about checksum or size; bytes from shortly before the damage may be missing. */
enum step inflate_push(struct inflate *inflate, struct cursor_in *in, const uint8_t *history,
		       struct cursor_out *out);

/* One stream's part of inflate_push_two(): the arguments of inflate_push(), and its answer. */
struct inflate_job {
	struct inflate *inflate;
	struct cursor_in *in;
	const uint8_t *history;
	struct cursor_out *out;
	enum step step;
};

/* inflate_push() for two streams, in one loop as long as both have input and room, if the engine can
 * do that: faster than one after the other, because neither waits for the other's table lookups. The jobs
 * share nothing, and each ends as it would alone. */
void inflate_push_two(struct inflate_job *first, struct inflate_job *second);
/* The same, but where one of the two can not go on any more the other is left as it is, so that it goes on
 * beside what comes next for the first: HUNGRY with input and room left. */
void inflate_push_beside(struct inflate_job *first, struct inflate_job *second);

/* All input has been pushed. From then on inflate_push() is called without input, until it does not answer
 * FULL. Needed for libdeflate, which only kept what it was given, up to INFLATE_WHOLE_GZIP_BYTES_MAX; for
 * others nothing changes. May be called again. */
void inflate_input_over(struct inflate *inflate);

/* The input is over. FAULT_NONE only if at least one member was complete and proven and nothing is open. Zero
 * bytes behind the last member are accepted, as gzip(1) does; all else there is FAULT_INFLATE_TRAILING. */
enum fault inflate_end(struct inflate *inflate);

enum fault inflate_fault(const struct inflate *inflate);
uint64_t inflate_offset(const struct inflate *inflate);	     /* compressed bytes consumed; if broken: where */
uint64_t inflate_plain_bytes(const struct inflate *inflate); /* plain bytes produced in this stream */
uint64_t inflate_paired_bytes(const struct inflate *inflate); /* of those: together with another stream */
/* Where those begin that no trailer has proven yet, and the checksum of them. */
uint64_t inflate_unproven(const struct inflate *inflate, uint32_t *ret_checksum);
/* gzip's CRC-32 of `bytes` appended to what `checksum` covers; of nothing it is 0. */
uint32_t inflate_checksum(uint32_t checksum, struct span bytes);
uint64_t inflate_members(const struct inflate *inflate); /* members completed in this stream */

#endif
