/* SPDX-License-Identifier: Apache-2.0
 *
 * Protobuf's wire format (protobuf.dev/programming-guides/encoding), as far as profile.proto needs it:
 * varints and length-delimited fields; fixed-size ones are stepped over. Knows no field of any message.
 * Internal to pprof.
 */
#ifndef PPROF_WIRE_H
#define PPROF_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/table.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED_64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED_32 = 5,
};

enum { WIRE_VARINT_BYTES_MAX = 10, WIRE_NUMBER_MAX = (1 << 29) - 1 /* largest field number */ };

/* ---- Reading: offsets into one buffer, so that any error can say where ---- */

struct wire_field {
	uint32_t number;
	enum wire_type type;
	size_t at;	   /* where its key is */
	size_t first, end; /* its content: a varint, or what the length counts */
};

struct wire_reader {
	const uint8_t *bytes;
	size_t at, end;
	const char *wrong; /* NULL, or what is wrong at `at` */
};

/* 0 when there is no whole varint of at most 64 bits between `*at` and `end`. */
static inline int wire_varint(const uint8_t *bytes, size_t *at, size_t end, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t here = *at;
	for (unsigned i = 0; i < WIRE_VARINT_BYTES_MAX && here < end; i++) {
		uint8_t byte = bytes[here++];
		if (i == WIRE_VARINT_BYTES_MAX - 1 && byte > 1)
			return 0;
		value |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (byte < 0x80) {
			*at = here;
			*ret_value = value;
			return 1;
		}
	}
	return 0;
}

static inline int wire_wrong(struct wire_reader *reader, size_t at, const char *wrong)
{
	reader->at = at;
	reader->wrong = wrong;
	return 0;
}

/* 0 at the end and when something is wrong. */
static inline int wire_next(struct wire_reader *reader, struct wire_field *field)
{
	uint64_t key, bytes;
	size_t at = reader->at;
	if (at == reader->end || reader->wrong)
		return 0;
	field->at = at;
	if (!wire_varint(reader->bytes, &at, reader->end, &key))
		return wire_wrong(reader, at, "the key of a field is cut off or too long");
	if (key >> 3 == 0 || key >> 3 > WIRE_NUMBER_MAX)
		return wire_wrong(reader, field->at, "there is no such field number");
	field->number = (uint32_t)(key >> 3);
	field->type = (enum wire_type)(key & 7);
	field->first = at;
	switch (field->type) {
	case WIRE_VARINT:
		if (!wire_varint(reader->bytes, &at, reader->end, &bytes))
			return wire_wrong(reader, at, "a number is cut off or too long");
		field->end = at;
		break;
	case WIRE_BYTES:
		if (!wire_varint(reader->bytes, &at, reader->end, &bytes))
			return wire_wrong(reader, at, "a length is cut off or too long");
		if (bytes > reader->end - at)
			return wire_wrong(reader, field->at, "a field is longer than what is left");
		field->first = at;
		field->end = at + (size_t)bytes;
		break;
	case WIRE_FIXED_64:
	case WIRE_FIXED_32:
		bytes = field->type == WIRE_FIXED_64 ? 8 : 4;
		if (bytes > reader->end - at)
			return wire_wrong(reader, field->at, "a number is cut off");
		field->end = at + (size_t)bytes;
		break;
	default:
		return wire_wrong(reader, field->at, "there is no such wire type");
	}
	reader->at = field->end;
	return 1;
}

/* ---- Writing ---- */

struct wire_writer {
	uint8_t *bytes;
	size_t count, room;
};

static inline void wire_put_varint(struct wire_writer *writer, uint64_t value)
{
	writer->bytes = room_for(writer->bytes, &writer->room, writer->count, WIRE_VARINT_BYTES_MAX, 1);
	for (; value >= 0x80; value >>= 7)
		writer->bytes[writer->count++] = (uint8_t)(value | 0x80);
	writer->bytes[writer->count++] = (uint8_t)value;
}

static inline void wire_put_key(struct wire_writer *writer, uint32_t number, enum wire_type type)
{
	wire_put_varint(writer, (uint64_t)number << 3 | type);
}

static inline void wire_put_number(struct wire_writer *writer, uint32_t number, uint64_t value)
{
	wire_put_key(writer, number, WIRE_VARINT);
	wire_put_varint(writer, value);
}

/* Zero is what a reader takes for a field that is not there. */
static inline void wire_put_number_unless_zero(struct wire_writer *writer, uint32_t number, uint64_t value)
{
	if (value)
		wire_put_number(writer, number, value);
}

static inline void wire_put_bytes(struct wire_writer *writer, uint32_t number, const void *bytes,
				  size_t count)
{
	wire_put_key(writer, number, WIRE_BYTES);
	wire_put_varint(writer, count);
	writer->bytes = room_for(writer->bytes, &writer->room, writer->count, count, 1);
	if (count)
		memcpy(writer->bytes + writer->count, bytes, count);
	writer->count += count;
}

/* Makes what was written since the writer held `begin` bytes the content of a field: only now is its length
 * known. */
static inline void wire_enclose(struct wire_writer *writer, uint32_t number, size_t begin)
{
	struct wire_writer head = { .room = 0 };
	uint8_t bytes[2 * WIRE_VARINT_BYTES_MAX];
	size_t content_bytes = writer->count - begin;
	head.bytes = bytes;
	head.room = sizeof bytes;
	wire_put_key(&head, number, WIRE_BYTES);
	wire_put_varint(&head, content_bytes);
	writer->bytes = room_for(writer->bytes, &writer->room, writer->count, head.count, 1);
	memmove(writer->bytes + begin + head.count, writer->bytes + begin, content_bytes);
	memcpy(writer->bytes + begin, bytes, head.count);
	writer->count += head.count;
}

#endif
