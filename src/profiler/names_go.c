/* SPDX-License-Identifier: Apache-2.0
 *
 * .gopclntab as debug/gosym of Go's library reads it. Every number in it may be hostile.
 *
 *	header     magic, 0, 0, instruction quantum, pointer bytes; then words of a pointer's size: functions,
 *files, [1.18: start of the code,] offsets of names, unit_files, files, numbers, functions functions
 *(address, offset) pairs and a last address; 4 bytes each and from the start of the code since 1.18, else a
 *pointer's size a function entry address, then 4 bytes each: name, arguments, defer return, numbers of stack
 *depth, of files, of lines, count of more, index of its unit's first file; [1.20: start line] numbers pairs
 *of (value's change, code bytes), as variable-length numbers
 */
#include "profiler/names_go.h"

#include <string.h>

enum {
	HEADER_FIXED_BYTES = 8,
	PAIRS_MAX = 1 << 16, /* of one function; the largest generated ones have some thousand */
};

/* Little-endian number of 4 or 8 bytes. 0 and *ret_ok = 0 when it is not within. */
static uint64_t number_at(struct span data, uint64_t at, unsigned bytes, int *ret_ok)
{
	uint64_t value = 0;
	if (at > data.bytes || data.bytes - at < bytes) {
		*ret_ok = 0;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)data.base[at + i] << (8 * i);
	return value;
}

static struct span span_from(struct span data, uint64_t offset, int *ret_ok)
{
	if (offset > data.bytes) {
		*ret_ok = 0;
		return (struct span){ 0 };
	}
	return span_of(data.base + offset, data.bytes - (size_t)offset);
}

static const char *text_at(struct span texts, uint64_t offset)
{
	if (offset >= texts.bytes)
		return NULL;
	const uint8_t *text = texts.base + offset;
	return memchr(text, 0, texts.bytes - (size_t)offset) ? (const char *)text : NULL;
}

static unsigned version_of(struct span data)
{
	int ok = 1;
	switch (number_at(data, 0, 4, &ok)) {
	case 0xfffffffa:
		return 16;
	case 0xfffffff0:
		return 18;
	case 0xfffffff1:
		return 20;
	}
	return 0;
}

size_t go_table_text_start_at(struct span data)
{
	if (data.bytes < HEADER_FIXED_BYTES || version_of(data) < 18)
		return 0;
	return HEADER_FIXED_BYTES + 2 * (size_t)data.base[7];
}

/* Bytes of one number in the table of functions. */
static unsigned field_bytes(const struct go_table *table)
{
	return table->version >= 18 ? 4 : table->pointer_bytes;
}

int go_table_open(struct go_table *table, struct span data, uint64_t text_start)
{
	*table = (struct go_table){ .data = data, .version = version_of(data) };
	if (data.bytes < HEADER_FIXED_BYTES || table->version == 0)
		return -1;
	table->quantum = data.base[6];
	table->pointer_bytes = data.base[7];
	if (data.base[4] || data.base[5] || (table->pointer_bytes != 4 && table->pointer_bytes != 8) ||
	    (table->quantum != 1 && table->quantum != 2 && table->quantum != 4))
		return -1;
	int ok = 1;
	unsigned bytes = table->pointer_bytes;
	uint64_t at = HEADER_FIXED_BYTES;
	table->function_count = number_at(data, at, bytes, &ok);
	at += (table->version >= 18 ? 3 : 2) * bytes;
	struct span *const parts[] = { &table->names, &table->unit_files, &table->files, &table->numbers,
				       &table->functions };
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		*parts[i] = span_from(data, number_at(data, at + i * bytes, bytes, &ok), &ok);
	table->text_start = table->version >= 18 ? text_start : 0;
	uint64_t fields = table->functions.bytes / field_bytes(table);
	if (!ok || table->function_count == 0 || fields < 1 || table->function_count > (fields - 1) / 2)
		return -1;
	return 0;
}

/* Address where the function with this index starts; of the one behind the last: where it ends. */
static uint64_t start_of(const struct go_table *table, uint64_t index)
{
	int ok = 1;
	unsigned bytes = field_bytes(table);
	return table->text_start + number_at(table->functions, index * 2 * bytes, bytes, &ok);
}

struct number_reader {
	struct span data;
	size_t at;
	int failed;
};

static uint32_t read_variable(struct number_reader *reader)
{
	uint32_t value = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		if (reader->at >= reader->data.bytes)
			break;
		uint8_t byte = reader->data.base[reader->at++];
		value |= (uint32_t)((uint64_t)(byte & 0x7f) << shift);
		if (!(byte & 0x80))
			return value;
	}
	reader->failed = 1;
	return 0;
}

/* The value that a table of numbers has for the address; -1: none. */
static int64_t value_for(const struct go_table *table, uint64_t offset, uint64_t start, uint64_t address)
{
	int ok = 1;
	struct number_reader reader = { .data = span_from(table->numbers, offset, &ok) };
	int64_t value = -1;
	uint64_t at = start;
	if (!ok || offset == 0)
		return -1;
	for (int pair = 0; pair < PAIRS_MAX; pair++) {
		uint32_t change = read_variable(&reader);
		if (reader.failed || (change == 0 && pair))
			return -1;
		uint32_t magnitude = change >> 1;
		value += change & 1 ? (int32_t)~magnitude : (int32_t)magnitude;
		at += (uint64_t)read_variable(&reader) * table->quantum;
		if (reader.failed)
			return -1;
		if (address < at)
			return value;
	}
	return -1;
}

static uint32_t line_of(int64_t value)
{
	return value > 0 && value <= INT32_MAX ? (uint32_t)value : 0;
}

int go_table_find(const struct go_table *table, uint64_t address, struct go_function *ret_function)
{
	uint64_t low = 0, high = table->function_count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (start_of(table, middle) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return -1;
	uint64_t index = low - 1;
	struct go_function function = { .start = start_of(table, index),
					.end = start_of(table, index + 1),
					.file = "" };
	if (address < function.start || address >= function.end)
		return -1;
	int ok = 1;
	unsigned bytes = field_bytes(table);
	uint64_t offset = number_at(table->functions, (index * 2 + 1) * bytes, bytes, &ok);
	struct span fields = span_from(table->functions, offset, &ok);
	fields = span_from(fields, table->version >= 18 ? 4 : table->pointer_bytes, &ok);
	uint64_t name = number_at(fields, 0, 4, &ok), files = number_at(fields, 16, 4, &ok);
	uint64_t lines = number_at(fields, 20, 4, &ok), unit = number_at(fields, 28, 4, &ok);
	if (!ok)
		return -1;
	function.name = text_at(table->names, name);
	if (!function.name)
		return -1;
	int64_t file = value_for(table, files, function.start, address);
	if (file >= 0 && unit != UINT32_MAX) {
		uint64_t at = number_at(table->unit_files, (unit + (uint64_t)file) * 4, 4, &ok);
		const char *text = ok ? text_at(table->files, at) : NULL;
		function.file = text ? text : "";
	}
	function.line = line_of(value_for(table, lines, function.start, address));
	if (table->version >= 20) {
		ok = 1;
		function.start_line = line_of((int32_t)number_at(fields, 32, 4, &ok));
	}
	*ret_function = function;
	return 0;
}
