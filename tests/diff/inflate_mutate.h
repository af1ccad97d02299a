/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of inflate_mutate: bases are made (by compressors, and by hand), damaged, decoded by the
 * references, and by our engines in pieces.
 */
#ifndef TESTS_INFLATE_MUTATE_H
#define TESTS_INFLATE_MUTATE_H

#include "inflate_plain.h"

/* ---- bases: whole gzip streams, nearly all of them good */

enum base_kind {
	BASE_SMALL,   /* up to 3 KB of plain bytes: headers, ends, the first 32 KB */
	BASE_WINDOW,  /* 33 to 70 KB: what has all its history, and then some */
	BASE_LATE,    /* 32 KB that cost little to decode, then a few KB that refer to them */
	BASE_LARGE,   /* up to 200 KB */
	BASE_CODES,   /* blocks made by hand, with codes that no compressor makes */
	BASE_MEMBERS, /* several members, with all fields in their headers */
	BASE_KINDS,
};

enum { BASE_BLOCKS_MAX = 64 };

struct base {
	struct bytes gzip;
	size_t warm_bytes; /* of gzip: only there to have history; damage mostly falls behind */
	size_t block_bits[BASE_BLOCKS_MAX]; /* where blocks begin */
	unsigned block_count;
};

void base_make(struct base *base, enum base_kind kind, uint64_t *seed);
void base_free(struct base *base);
const char *base_kind_name(enum base_kind kind);

/* A raw deflate stream by a compressor, level, strategy and window drawn at random. */
void base_append_compressed(struct bytes *deflate, const struct bytes *plain, uint64_t *seed);
/* Likewise, by zlib; its first matches may lie in [dictionary, dictionary + dictionary_bytes). */
void base_append_zlib(struct bytes *deflate, const uint8_t *dictionary, size_t dictionary_bytes,
		      const uint8_t *plain, size_t count, uint64_t *seed);
/* A raw deflate stream of odd blocks behind `warm_bytes` that are already there. */
void base_append_codes(struct bits *bits, size_t warm_bytes, uint64_t *seed);

/* ---- damage */

/* `other` is where pieces of another stream come from. */
void damage(struct bytes *stream, const struct base *base, const struct base *other, uint64_t *seed);

/* ---- references */

/* More than any base has, so that damage which makes a stream longer is seen, and a bomb is not. */
enum { REFERENCE_BYTES_MAX = 512 * 1024 };

struct reference {
	uint8_t *plain; /* REFERENCE_BYTES_MAX */
	size_t count;
	int good;
	int too_long;	    /* stopped at REFERENCE_BYTES_MAX: no verdict */
	const char *reason; /* zlib's, when not good; "" when the stream is cut */
	size_t trailer_at;  /* of the member whose checksum is wrong; 0 when it is not that */
	size_t member_at;   /* in plain: where that member begins */
};

struct references;
struct references *references_open(void);
void references_close(struct references *references);
/* By zlib: all but `plain` is filled. */
void references_run(struct references *references, const struct bytes *gzip, struct reference *reference);
/* Whether libdeflate's answer is one that zlib's allows. */
int references_agree(struct references *references, const struct bytes *gzip,
		     const struct reference *reference);
/* zlib refused a Huffman code because some of its bits mean nothing. ISA-L waits for such bits. */
int reference_is_about_a_code(const struct reference *reference);
/* zlib refused what libdeflate reads all the same, in the deflate part. */
int reference_is_too_strict(const struct reference *reference);
/* The stream has a wrong checksum at trailer_at: makes it right, and ends the stream there. */
void reference_mend(struct bytes *gzip, struct reference *reference);

/* ---- our engines */

/* Whose verdict is expected. */
enum likeness {
	LIKE_ZLIB,	 /* and its bytes, up to the damage, without exception */
	LIKE_ISAL,	 /* accepts some codes; what it decoded shortly before the damage is lost */
	LIKE_LIBDEFLATE, /* reads some headers that zlib does not */
};

struct driver; /* two decoders of one engine, with their buffers */

struct driver_count {
	uint64_t streams, plain_bytes, paired_bytes, pushes, pairs, good, too_long;
	uint64_t other_reason;	  /* refused like zlib, but with another fault */
	uint64_t only_ours;	  /* good, where zlib refused a code */
	size_t missing_bytes_max; /* of what zlib hands out before it sees the damage */
};

struct driver *driver_open(enum inflate_engine engine, enum likeness likeness);
void driver_close(struct driver *driver);
const char *driver_name(const struct driver *driver);
const struct driver_count *driver_count(const struct driver *driver);
/* Decodes both streams, one after the other or with inflate_push_two(). NULL, or what is wrong, and
 * with which. */
const char *driver_run(struct driver *driver, const struct bytes gzip[2],
		       const struct reference references[2], uint64_t *seed, int *ret_which);

#endif
