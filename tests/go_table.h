/* SPDX-License-Identifier: Apache-2.0
 *
 * A small .gopclntab in the formats of Go 1.16, 1.18 and 1.20, written from the description in debug/gosym:
 * two functions, main.first at [text, text + 0x20) in a.go and main.second at [text + 0x20, text + 0x50) in
 * b.go.
 */
#ifndef TESTS_GO_TABLE_H
#define TESTS_GO_TABLE_H

#include <stdint.h>
#include <string.h>

enum { GO_TABLE_BYTES_MAX = 1024 };

struct go_table_writer {
	uint8_t bytes[GO_TABLE_BYTES_MAX];
	size_t used;
};

static void go_table_put(struct go_table_writer *writer, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		writer->bytes[writer->used++] = (uint8_t)(value >> (8 * i));
}

static size_t go_table_put_text(struct go_table_writer *writer, const char *text)
{
	size_t at = writer->used;
	memcpy(writer->bytes + at, text, strlen(text) + 1);
	writer->used += strlen(text) + 1;
	return at;
}

static void go_table_set(struct go_table_writer *writer, size_t at, uint64_t value, unsigned bytes)
{
	size_t used = writer->used;
	writer->used = at;
	go_table_put(writer, value, bytes);
	writer->used = used;
}

/* Pairs of (change of the value, bytes of code), ended by 0; returns where they start. */
static size_t go_table_put_numbers(struct go_table_writer *writer, const int (*pairs)[2], size_t count)
{
	size_t at = writer->used;
	for (size_t i = 0; i < count; i++) {
		int change = pairs[i][0];
		go_table_put(writer, (uint64_t)(change < 0 ? ~(2 * change) : 2 * change), 1);
		go_table_put(writer, (uint64_t)pairs[i][1], 1);
	}
	go_table_put(writer, 0, 1);
	return at;
}

/* `minor` is 16, 18 or 20. */
__attribute__((unused)) static void go_table_write(struct go_table_writer *writer, unsigned minor,
						   uint64_t text)
{
	/* Values start at -1: file 0 is +1, line 7 is +8. */
	static const int first_file[][2] = { { 1, 0x20 } }, second_file[][2] = { { 2, 0x30 } };
	static const int first_lines[][2] = { { 11, 0x10 }, { -2, 0x10 } };
	static const int second_lines[][2] = { { 21, 0x08 }, { 5, 0x28 } };
	unsigned field = minor >= 18 ? 4 : 8;
	*writer = (struct go_table_writer){ 0 };
	go_table_put(writer, minor == 16 ? 0xfffffffa : minor == 18 ? 0xfffffff0 : 0xfffffff1, 4);
	go_table_put(writer, 0, 2);
	go_table_put(writer, 1, 1);
	go_table_put(writer, 8, 1);
	go_table_put(writer, 2, 8); /* functions */
	go_table_put(writer, 2, 8); /* files */
	if (minor >= 18)
		go_table_put(writer, text, 8);
	size_t offsets = writer->used;
	writer->used += (size_t)5 * 8;
	size_t names = go_table_put_text(writer, "main.first");
	size_t second_name = go_table_put_text(writer, "main.second") - names;
	size_t files = go_table_put_text(writer, "/src/a.go");
	size_t second_source = go_table_put_text(writer, "/src/b.go") - files;
	size_t units = writer->used;
	go_table_put(writer, 0, 4);
	go_table_put(writer, second_source, 4);
	size_t numbers = writer->used;
	go_table_put(writer, 0, 1); /* offset 0 means none */
	size_t starts[2][2] = { { go_table_put_numbers(writer, first_file, 1),
				  go_table_put_numbers(writer, first_lines, 2) },
				{ go_table_put_numbers(writer, second_file, 1),
				  go_table_put_numbers(writer, second_lines, 2) } };
	size_t functions = writer->used;
	writer->used += (size_t)5 * field;
	const uint64_t entries[3] = { 0, 0x20, 0x50 };
	uint64_t base = minor >= 18 ? 0 : text;
	for (size_t i = 0; i < 3; i++) {
		go_table_set(writer, functions + i * 2 * field, base + entries[i], field);
		if (i == 2)
			break;
		go_table_set(writer, functions + (i * 2 + 1) * field, writer->used - functions, field);
		go_table_put(writer, base + entries[i], field);
		go_table_put(writer, i ? second_name : 0, 4);
		go_table_put(writer, 0, 8); /* arguments, defer return */
		go_table_put(writer, 0, 4); /* stack depth */
		go_table_put(writer, starts[i][0] - numbers, 4);
		go_table_put(writer, starts[i][1] - numbers, 4);
		go_table_put(writer, 0, 4); /* no more numbers */
		go_table_put(writer, 0, 4); /* the unit's first file */
		if (minor >= 20)
			go_table_put(writer, i ? 19 : 9, 4);
	}
	const uint64_t parts[5] = { names, units, files, numbers, functions };
	for (size_t i = 0; i < 5; i++)
		go_table_set(writer, offsets + 8 * i, parts[i], 8);
}

#endif
