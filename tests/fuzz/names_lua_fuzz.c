/* SPDX-License-Identifier: Apache-2.0
 *
 * What a target says of its programs: taken or refused as a whole, and what is found has a name.
 */
#include <stdlib.h>
#include <string.h>

#include "bpf/shared.h"
#include "profiler/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void look_up(struct names *names, uint64_t place)
{
	struct name_line line;
	uint64_t address;
	if (!names_of_lua(names, place, &line, &address))
		return;
	if (!line.name || !*line.name || !line.file || address > place)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct names *names = names_create();
	char error[256];
	uint64_t start, end;
	char *text = malloc(bytes + 1);
	if (!names || !text)
		abort();
	memcpy(text, data, bytes);
	text[bytes] = 0;
	for (int i = 0; i < 2; i++) {
		int code = names_read_lua(names, text, bytes, error, sizeof error);
		if (code == 0 && !names_lua_layout(names)->is_known)
			abort();
		if (code < 0 && (!*error || names_lua_layout(names)->is_known))
			abort();
	}
	names_lua_range(names, &start, &end);
	if (start < end) {
		for (uint64_t at = 0; at < 64; at++) {
			look_up(names, start + at);
			look_up(names, end - at);
		}
	}
	for (unsigned bit = 0; bit < 64; bit++)
		look_up(names, UINT64_C(1) << bit);
	look_up(names, UINT64_MAX);
	free(text);
	names_destroy(names);
	return 0;
}
