/* SPDX-License-Identifier: Apache-2.0
 *
 * Go's table of functions: one written here in each format, damaged ones, and a stripped program of the Go
 * compiler where there is one. Go's own reader of the table is the reference of that.
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "go_table.h"
#include "profiler/names_go.h"
#include "test.h"

static const uint64_t text_start = 0x401000;

static void each_format(void)
{
	static const unsigned versions[] = { 16, 18, 20 };
	for (size_t i = 0; i < 3; i++) {
		struct go_table_writer writer;
		struct go_table table;
		struct go_function function;
		go_table_write(&writer, versions[i], text_start);
		struct span data = span_of(writer.bytes, writer.used);
		EQ(go_table_text_start_at(data), versions[i] == 16 ? 0 : 24);
		EQ(go_table_open(&table, data, text_start), 0);
		EQ(go_table_find(&table, text_start - 1, &function), -1);
		EQ(go_table_find(&table, text_start, &function), 0);
		EQ_TEXT(function.name, "main.first");
		EQ_TEXT(function.file, "/src/a.go");
		EQ(function.line, 10);
		EQ(function.start_line, versions[i] == 20 ? 9 : 0);
		EQ(function.start, text_start);
		EQ(function.end, text_start + 0x20);
		EQ(go_table_find(&table, text_start + 0x10, &function), 0);
		EQ(function.line, 8);
		EQ(go_table_find(&table, text_start + 0x4f, &function), 0);
		EQ_TEXT(function.name, "main.second");
		EQ_TEXT(function.file, "/src/b.go");
		EQ(function.line, 25);
		EQ(function.start_line, versions[i] == 20 ? 19 : 0);
		EQ(go_table_find(&table, text_start + 0x50, &function), -1);
	}
}

static void not_tables(void)
{
	struct go_table_writer writer;
	struct go_table table;
	go_table_write(&writer, 20, text_start);
	for (size_t bytes = 0; bytes < 64 + 5 * 8; bytes++)
		EQ(go_table_open(&table, span_of(writer.bytes, bytes), text_start), -1);
	writer.bytes[0] ^= 0xff; /* a magic number of the future */
	EQ(go_table_open(&table, span_of(writer.bytes, writer.used), text_start), -1);
	go_table_write(&writer, 20, text_start);
	writer.bytes[7] = 3; /* bytes of a pointer */
	EQ(go_table_open(&table, span_of(writer.bytes, writer.used), text_start), -1);
	go_table_write(&writer, 20, text_start);
	go_table_set(&writer, 8, UINT64_MAX / 2, 8); /* functions */
	EQ(go_table_open(&table, span_of(writer.bytes, writer.used), text_start), -1);
}

/* Bytes that are missing at the end cost names or lines, nothing else. */
static void cut_tables(void)
{
	struct go_table_writer writer;
	go_table_write(&writer, 18, text_start);
	for (size_t bytes = 0; bytes <= writer.used; bytes++) {
		struct go_table table;
		struct go_function function;
		uint8_t *copy = malloc(bytes + 1);
		memcpy(copy, writer.bytes, bytes);
		if (go_table_open(&table, span_of(copy, bytes), text_start) == 0) {
			for (uint64_t at = 0; at < 0x60; at++) {
				if (go_table_find(&table, text_start + at, &function) == 0)
					EQ_TEXT(function.name, at < 0x20 ? "main.first" : "main.second");
			}
		}
		free(copy);
	}
}

TEST_MAIN(T(each_format), T(not_tables), T(cut_tables))
