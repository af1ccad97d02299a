/* SPDX-License-Identifier: Apache-2.0
 *
 * Go's table of functions: what is found lies in the input, is a text, and has the address.
 */
#include <stdlib.h>
#include <string.h>

#include "profiler/names_go.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void is_text_within(const char *text, struct span data)
{
	const uint8_t *at = (const uint8_t *)text;
	if (*text == '\0')
		return;
	if (at < data.base || at >= data.base + data.bytes ||
	    !memchr(at, 0, (size_t)(data.base + data.bytes - at)))
		abort();
}

static void look_up(const struct go_table *table, uint64_t address, struct span data)
{
	struct go_function function;
	if (go_table_find(table, address, &function) < 0)
		return;
	if (address < function.start || address >= function.end)
		abort();
	is_text_within(function.name, data);
	is_text_within(function.file, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint64_t text_start = 0x401000;
	struct span input = span_of(data, bytes);
	struct go_table table;
	if (go_table_text_start_at(input) > 8 + 2 * UINT8_MAX)
		abort();
	if (go_table_open(&table, input, text_start) < 0)
		return 0;
	for (uint64_t at = 0; at < 0x60; at++)
		look_up(&table, text_start + at, input);
	for (unsigned bit = 0; bit < 64; bit++)
		look_up(&table, UINT64_C(1) << bit, input);
	look_up(&table, UINT64_MAX, input);
	return 0;
}
