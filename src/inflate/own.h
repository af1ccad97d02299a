/* SPDX-License-Identifier: Apache-2.0
 *
 * Our deflate decoder (RFC 1951); README.md in this folder explains it with pictures. What its files share:
 *
 *	own.c          the engine: blocks, their headers, and who decodes what
 *	own_header.c   what stands in front of a dynamic block's symbols
 *	own_tables.c   code lengths -> the tables
 *	own_careful.c  one symbol after the other, at any split, with every check
 *	own_near.c     the first 32 KB of a stream, where distances have to be checked
 *	own_loop.c     the fast loop in C, for one stream and for two
 *	own_x86_64.S   the same in assembly
 */
#ifndef INFLATE_OWN_H
#define INFLATE_OWN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/span.h"

enum {
	OWN_LITLEN_COUNT =
		288, /* 286 may occur in dynamic blocks; the fixed code has two more that may not */
	OWN_DISTANCE_COUNT = 32,
	OWN_PRECODE_COUNT = 19,
	OWN_CODE_BITS_MAX = 15,
	/* One lookup covers so many bits. More would push the tables out of the first-level cache. */
	OWN_LITLEN_BITS = 10,
	OWN_DISTANCE_BITS = 10, /* the same, so that both tables have one mask */
	OWN_PRECODE_BITS = 7,
	/* The fast loop keeps the next bits so much further up in their register: cut out with a mask they
	 * are the offset of an entry of eight bytes, and an address without a scale is ready one cycle
	 * earlier. */
	OWN_INDEX_SHIFT = 3,
	OWN_BITS_MAX = 63 - OWN_INDEX_SHIFT, /* valid bits at a time */
};

/* ---- an entry of a table, as a number of eight bytes; the assembly reads its fields one by one
 *
 *	byte 0     code and extra bits; 0: an exception, which the fast loop does not consume
 *	byte 1     code bits + OWN_INDEX_SHIFT, and the count of literals << 6
 *	bytes 2-3  up to two literals; of an exception: its kind, and the bits of its code
 *	bytes 4-5  `next`, signed: to the table that the next lookup is in: 0, or OWN_TO_DISTANCE
 *	bytes 6-7  `negated`, signed: minus what the extra bits are added to; above 0: an exception
 */
typedef uint64_t own_entry;

enum own_exception {
	OWN_END = 1, /* of the block */
	OWN_LONG,    /* the code is longer than the table's index */
	OWN_BAD,     /* no code begins with these bits, or its symbol must not occur */
};

/* From the litlen table back to the distance table, and a mask: all bits but 11 and 13 are set, so that the
 * value of a length's entry, minus (length + 2049), negated bit by bit and masked, is the length. */
#define OWN_TO_DISTANCE (-(8192 + 2048 + 1))
#define OWN_NEGATED_LITERAL (-2048) /* see OWN_SCRATCH_AT */
#define OWN_NEGATED_LENGTH(base) (-((base) + 2049))
#define OWN_NEGATED_EXCEPTION_LITLEN 1
/* The bits that the mask lacks, so that the sum with the length that waits stays positive (README.md). */
#define OWN_NEGATED_EXCEPTION_DISTANCE 10240

/* A code of `bits` bits in front of what the entry has, so far as entries that are consumed go. */
#define OWN_ENTRY_CODE(bits) ((own_entry)(bits)*0x101)
#define OWN_ENTRY_LITERAL_COUNT ((own_entry)1 << 14)
#define OWN_ENTRY_FIELDS(extra, byte2, byte3, next, negated)                                                 \
	((own_entry)(extra) | OWN_INDEX_SHIFT << 8 | (own_entry)(byte2) << 16 | (own_entry)(byte3) << 24 |   \
	 (own_entry)(uint16_t)(next) << 32 | (own_entry)(uint16_t)(negated) << 48)

static inline unsigned own_total_bits(own_entry entry)
{
	return entry & 255;
}

static inline unsigned own_code_bits(own_entry entry)
{
	return (unsigned)(entry >> 8 & 63) - OWN_INDEX_SHIFT;
}

static inline int own_is_exception(own_entry entry)
{
	return (int64_t)entry >= 0;
}

static inline enum own_exception own_exception_kind(own_entry entry)
{
	return (enum own_exception)(entry >> 16 & 255);
}

/* Sorted codes: a code that is longer than a table's index is found bit by bit, because canonical codes of
 * one length are consecutive numbers. */
struct own_codes {
	uint16_t counts[OWN_CODE_BITS_MAX + 1]; /* of codes of each length */
	uint16_t first[OWN_CODE_BITS_MAX + 1];	/* the first code of each length */
	uint16_t at[OWN_CODE_BITS_MAX + 1];	/* where its symbols begin */
	uint16_t symbols[OWN_LITLEN_COUNT];	/* sorted by length, then by number */
};

#define OWN_TABLES_ALIGNMENT 64
#define OWN_LITLEN_AT 10304 /* a multiple of 64 behind the distance table */
#define OWN_DISTANCE_AT (OWN_LITLEN_AT + OWN_TO_DISTANCE)
/* Where a pair without a match copies to, and 2 KB before, where it copies from: aligned, because each store
 * across two cache lines costs four cycles (Zen 3), and these are as many as there are matches. */
#define OWN_SCRATCH_AT (OWN_LITLEN_AT + (8 << OWN_LITLEN_BITS))
#define OWN_TABLES_BYTES (OWN_SCRATCH_AT + 64)

/* ---- the fast loop. The assembly knows this layout. */

struct own_loop {
	const uint8_t *in;	 /*  0: the first byte that is not in `bits` */
	const uint8_t *in_limit; /*  8: goes on while in < in_limit */
	uint8_t *out;		 /* 16 */
	uint8_t *out_limit;	 /* 24: goes on while out < out_limit */
	uint64_t bits;	/* 32: the next bits, OWN_INDEX_SHIFT further up; what is above the valid ones may be
			   true too */
	uint64_t spent; /* 40: OWN_BITS_MAX - the number of valid bits */
	uint64_t pending; /* 48: a length that waits for its distance, or 0 */
	uint8_t *tables;  /* 56: the litlen table, at OWN_LITLEN_AT */
};

/* How far the loop may read behind in_limit, and write behind out_limit; and how far before `out` it may
 * read. */
#define OWN_LOOP_IN_BYTES 24
#define OWN_LOOP_OUT_BYTES 704
#define OWN_LOOP_HISTORY_BYTES 32768

/* Decodes until a limit, or until something comes that it leaves to others: a code that its tables do not
 * hold, the end of the block, an error. Consumes nothing of that. */
struct own_loops {
	void (*one)(struct own_loop *loop);
	/* Ends when either would. */
	void (*two)(struct own_loop *first, struct own_loop *second);
};

extern const struct own_loops own_loops_c;

/* ---- the decoder */

enum own_state {
	OWN_BLOCK,	   /* three bits */
	OWN_STORED_LENGTH, /* from the next byte on, four bytes */
	OWN_STORED,
	OWN_DYNAMIC_COUNTS, /* 14 bits */
	OWN_DYNAMIC_PRECODE,
	OWN_DYNAMIC_LENGTHS,
	OWN_SYMBOLS,
	OWN_ENDED,
	OWN_BROKEN,
};

struct own {
	/* The distance table at OWN_DISTANCE_AT, and the litlen table with joined symbols at OWN_LITLEN_AT.
	 * First, because of its alignment. */
	_Alignas(OWN_TABLES_ALIGNMENT) uint8_t tables[OWN_TABLES_BYTES];
	own_entry litlen[1 << OWN_LITLEN_BITS]; /* one symbol an entry */
	own_entry distance[1 << OWN_DISTANCE_BITS];
	struct own_codes litlen_codes, distance_codes;

	enum own_state state;
	int is_final;	  /* the current block is the last one */
	int is_fixed;	  /* `litlen` and `distance` are the fixed code's */
	int is_joined;	  /* `tables` are made from them */
	unsigned symbols; /* decoded in this block outside the fast loop, or so */
	uint64_t bits;	  /* the next bits, the lowest first; what is above the valid ones may be true too */
	unsigned bit_count;  /* how many are valid, at most OWN_BITS_MAX */
	unsigned pending;    /* a length that waits for its distance, or 0 */
	unsigned copy_bytes; /* what is left of a match, or of a stored block */
	unsigned copy_distance;
	uint64_t plain_bytes; /* produced in this stream */

	/* a dynamic block's header */
	unsigned litlen_count, distance_count, precode_count;
	unsigned index; /* of the next length to read */
	uint8_t lengths[OWN_LITLEN_COUNT + OWN_DISTANCE_COUNT];
	own_entry precode[1 << OWN_PRECODE_BITS];
};

/* Takes bytes into `bits` until 53 of them or more are valid, or the input is at its end. */
static inline void own_refill(struct own *own, struct cursor_in *in)
{
	own->bits &= (UINT64_C(1) << own->bit_count) - 1;
	if (cursor_in_bytes(in) >= sizeof(uint64_t)) {
		uint64_t more;
		unsigned bytes = (OWN_BITS_MAX - own->bit_count) / 8;
		memcpy(&more, in->next, sizeof more);
		own->bits |= le64toh(more) << own->bit_count;
		own->bit_count += 8 * bytes;
		in->next += bytes;
		return;
	}
	while (own->bit_count <= OWN_BITS_MAX - 8 && in->next < in->end) {
		own->bits |= (uint64_t)*in->next++ << own->bit_count;
		own->bit_count += 8;
	}
}

static inline unsigned own_peek(const struct own *own, unsigned count)
{
	return (unsigned)(own->bits & ((UINT64_C(1) << count) - 1));
}

static inline void own_drop(struct own *own, unsigned count)
{
	own->bits >>= count;
	own->bit_count -= count;
}

/* own_tables.c: what the symbols mean (RFC 1951, section 3.2.5), without their codes. */
extern const own_entry own_litlen_entries[OWN_LITLEN_COUNT], own_distance_entries[OWN_DISTANCE_COUNT];
own_entry own_entry_with_code(own_entry entry, unsigned code_bits);
/* 0, or -1 when the lengths are no code that zlib accepts. */
int own_tables_precode(struct own *own);
int own_tables_dynamic(struct own *own);
void own_tables_fixed(struct own *own);
/* Makes `tables`. */
void own_tables_join(struct own *own);

/* own_header.c: DONE: the header is read, and `lengths` are complete. HUNGRY, BROKEN. */
enum step own_header_push(struct own *own, struct cursor_in *in);

/* own_careful.c: at most `symbols_max` symbols. HUNGRY, FULL (no byte of room is left), BROKEN; DONE: the
 * block has ended, or so many symbols were decoded. */
enum step own_careful_push(struct own *own, struct cursor_in *in, struct cursor_out *out,
			   unsigned symbols_max);
/* The entry for a code that is longer than a table's index. 0, which is an exception: there is none. */
own_entry own_long_find(const struct own_codes *codes, const own_entry *entries, uint64_t bits);

/* own_near.c: the same without an end, as long as it is possible and own_careful.c is not needed to say what
 * comes: the end of the block, or an error. */
int own_near_is_possible(const struct own *own, const struct cursor_in *in, const struct cursor_out *out);
void own_near_push(struct own *own, struct cursor_in *in, struct cursor_out *out);

#endif
