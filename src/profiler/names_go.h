/* SPDX-License-Identifier: Apache-2.0
 *
 * Go's table of functions and lines, .gopclntab, which is there even when a Go program is stripped, as the
 * runtime itself needs it. Formats of Go 1.16, 1.18 and 1.20 (which is still the one of 1.25). What was
 * inlined is not in this table. Internal to profiler.
 */
#ifndef PROFILER_NAMES_GO_H
#define PROFILER_NAMES_GO_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct go_table {
	struct span data; /* lent, as long as the table is used */
	unsigned version; /* 16, 18 or 20: of Go 1.N */
	unsigned quantum, pointer_bytes;
	uint64_t function_count, text_start;
	struct span names, unit_files, files, numbers, functions; /* parts of data */
};

struct go_function {
	uint64_t start, end;
	const char *name;	   /* in the table's data, as the next */
	const char *file;	   /* "" when unknown */
	uint32_t line, start_line; /* 0: unknown */
};

/* Where the header has the address of the code, 0 where the format has none: it may have to be relocated. */
size_t go_table_text_start_at(struct span data);
/* 0, or -1 when it is no table that is known. `text_start` is the address of runtime.text; formats before
 * Go 1.18 do not need it. */
int go_table_open(struct go_table *table, struct span data, uint64_t text_start);
/* 0, or -1 when no function contains the address or it is damaged. */
int go_table_find(const struct go_table *table, uint64_t address, struct go_function *ret_function);

#endif
