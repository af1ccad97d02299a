/* SPDX-License-Identifier: Apache-2.0
 *
 * The gzip wrapper (RFC 1952): reads a member's header and trailer at any split of the input. Pure:
 * knows nothing of deflate, allocates nothing, looks at each byte once.
 *
 *	+---+---+---+---+---+---+---+---+---+---+
 *	|ID1|ID2|CM |FLG|     MTIME     |XFL|OS |   then, as FLG says, in this order:
 *	+---+---+---+---+---+---+---+---+---+---+
 *	FEXTRA   2 bytes length, then that many bytes
 *	FNAME    bytes up to and with a zero
 *	FCOMMENT bytes up to and with a zero
 *	FHCRC    2 bytes: the low half of the CRC-32 of all header bytes before
 *
 *	trailer: 4 bytes CRC-32 of the plain bytes, 4 bytes their count modulo 2^32, little endian
 */
#ifndef INFLATE_GZIP_HEADER_H
#define INFLATE_GZIP_HEADER_H

#include <stdint.h>

#include "base/span.h"

#define GZIP_TRAILER_BYTES 8

enum gzip_answer {
	GZIP_MORE,     /* all input is consumed and the header goes on */
	GZIP_DONE,     /* the header is complete; the next byte is deflate's */
	GZIP_NOT_GZIP, /* the first two bytes are not gzip's */
	GZIP_BAD,      /* not deflate, reserved flags are set, or the header checksum is wrong */
	GZIP_LONG,     /* more than INFLATE_HEADER_BYTES_MAX */
};

struct gzip_header {
	unsigned field;	     /* enum field, in gzip_header.c */
	unsigned left_bytes; /* of a field of known length */
	unsigned flags;
	unsigned value;	   /* of a two-byte number, as far as it has been read */
	uint32_t bytes;	   /* read so far */
	uint32_t checksum; /* CRC-32 register over them, not yet inverted */
};

void gzip_header_begin(struct gzip_header *header);

/* Consumes header bytes and nothing behind them. After any answer but GZIP_MORE the header must begin again;
 * for the three refusals `in` stands behind the byte that was refused. */
enum gzip_answer gzip_header_push(struct gzip_header *header, struct cursor_in *in);

struct gzip_trailer {
	uint8_t bytes[GZIP_TRAILER_BYTES];
	unsigned count;
};

void gzip_trailer_begin(struct gzip_trailer *trailer);

/* Consumes trailer bytes and nothing behind them. Returns 1 once all eight are there. */
int gzip_trailer_push(struct gzip_trailer *trailer, struct cursor_in *in);

uint32_t gzip_trailer_checksum(const struct gzip_trailer *trailer);
uint32_t gzip_trailer_size(const struct gzip_trailer *trailer);

#endif
