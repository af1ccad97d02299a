/* SPDX-License-Identifier: Apache-2.0 */
#include "inflate/gzip_header.h"

#include "inflate/inflate.h"

enum { GZIP_ID1 = 0x1f, GZIP_ID2 = 0x8b, GZIP_DEFLATE = 8 };

enum {
	FLAG_HEADER_CHECKSUM = 0x02,
	FLAG_EXTRA = 0x04,
	FLAG_NAME = 0x08,
	FLAG_COMMENT = 0x10,
	FLAGS_RESERVED = 0xe0, /* RFC 1952 2.3.1.2: must be zero, else there may be fields unknown to us */
};

enum field {
	FIELD_ID1,
	FIELD_ID2,
	FIELD_METHOD,
	FIELD_FLAGS,
	FIELD_TIME, /* MTIME, XFL and OS: of no interest */
	FIELD_EXTRA_LENGTH,
	FIELD_EXTRA,
	FIELD_NAME,
	FIELD_COMMENT,
	FIELD_CHECKSUM,
	FIELD_END,
};

enum { FIELD_TIME_BYTES = 6, NUMBER_BYTES = 2 };

/* CRC-32 by nibbles: headers are ten bytes as a rule, so a large table would cost more than it saves. */
static uint32_t checksum_byte(uint32_t checksum, uint8_t byte)
{
	static const uint32_t nibbles[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	checksum ^= byte;
	checksum = checksum >> 4 ^ nibbles[checksum & 15];
	return checksum >> 4 ^ nibbles[checksum & 15];
}

void gzip_header_begin(struct gzip_header *header)
{
	*header = (struct gzip_header){ .field = FIELD_ID1, .checksum = 0xffffffff };
}

/* Goes on to the first field after `field` that the flags say is there. */
static void enter_field_after(struct gzip_header *header, unsigned field)
{
	static const uint8_t flag_of[FIELD_END] = {
		[FIELD_EXTRA_LENGTH] = FLAG_EXTRA,
		[FIELD_NAME] = FLAG_NAME,
		[FIELD_COMMENT] = FLAG_COMMENT,
		[FIELD_CHECKSUM] = FLAG_HEADER_CHECKSUM,
	};
	do
		field++;
	while (field < FIELD_END && !(header->flags & flag_of[field]));
	header->field = field;
	header->left_bytes = NUMBER_BYTES;
	header->value = 0;
}

/* Little endian. Returns 1 once the number is complete. */
static int number_push(struct gzip_header *header, uint8_t byte)
{
	header->value |= (unsigned)byte << 8 * (NUMBER_BYTES - header->left_bytes);
	return --header->left_bytes == 0;
}

static enum gzip_answer first_bytes_push(struct gzip_header *header, uint8_t byte)
{
	switch (header->field) {
	case FIELD_ID1:
		header->field = FIELD_ID2;
		return byte == GZIP_ID1 ? GZIP_MORE : GZIP_NOT_GZIP;
	case FIELD_ID2:
		header->field = FIELD_METHOD;
		return byte == GZIP_ID2 ? GZIP_MORE : GZIP_NOT_GZIP;
	case FIELD_METHOD:
		header->field = FIELD_FLAGS;
		return byte == GZIP_DEFLATE ? GZIP_MORE : GZIP_BAD;
	default:
		header->field = FIELD_TIME;
		header->left_bytes = FIELD_TIME_BYTES;
		header->flags = byte;
		return byte & FLAGS_RESERVED ? GZIP_BAD : GZIP_MORE;
	}
}

static enum gzip_answer optional_bytes_push(struct gzip_header *header, uint8_t byte)
{
	switch (header->field) {
	case FIELD_TIME:
		if (--header->left_bytes == 0)
			enter_field_after(header, FIELD_TIME);
		break;
	case FIELD_EXTRA_LENGTH:
		if (!number_push(header, byte))
			break;
		header->field = FIELD_EXTRA;
		header->left_bytes = header->value;
		if (header->left_bytes == 0)
			enter_field_after(header, FIELD_EXTRA);
		break;
	case FIELD_EXTRA:
		if (--header->left_bytes == 0)
			enter_field_after(header, FIELD_EXTRA);
		break;
	case FIELD_NAME:
	case FIELD_COMMENT:
		if (byte == 0)
			enter_field_after(header, header->field);
		break;
	default:
		if (!number_push(header, byte))
			break;
		if (header->value != (~header->checksum & 0xffff))
			return GZIP_BAD;
		header->field = FIELD_END;
	}
	return header->field == FIELD_END ? GZIP_DONE : GZIP_MORE;
}

enum gzip_answer gzip_header_push(struct gzip_header *header, struct cursor_in *in)
{
	enum gzip_answer answer = GZIP_MORE;
	while (answer == GZIP_MORE && in->next < in->end) {
		uint8_t byte = *in->next++;
		if (++header->bytes > INFLATE_HEADER_BYTES_MAX)
			return GZIP_LONG;
		if (header->field != FIELD_CHECKSUM)
			header->checksum = checksum_byte(header->checksum, byte);
		answer = header->field < FIELD_TIME ? first_bytes_push(header, byte)
						    : optional_bytes_push(header, byte);
	}
	return answer;
}

void gzip_trailer_begin(struct gzip_trailer *trailer)
{
	trailer->count = 0;
}

int gzip_trailer_push(struct gzip_trailer *trailer, struct cursor_in *in)
{
	while (trailer->count < GZIP_TRAILER_BYTES && in->next < in->end)
		trailer->bytes[trailer->count++] = *in->next++;
	return trailer->count == GZIP_TRAILER_BYTES;
}

static uint32_t little_endian_32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

uint32_t gzip_trailer_checksum(const struct gzip_trailer *trailer)
{
	return little_endian_32(trailer->bytes);
}

uint32_t gzip_trailer_size(const struct gzip_trailer *trailer)
{
	return little_endian_32(trailer->bytes + 4);
}
