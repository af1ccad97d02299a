/* SPDX-License-Identifier: Apache-2.0
 *
 * Mangled names: an answer fits its buffer, ends with a 0, and is UTF-8 when the name was ASCII.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Lead and continuation bytes in the right numbers; which characters they are is the caller's affair. */
static int is_utf8(const char *text)
{
	size_t missing = 0;
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		if (missing) {
			if ((byte & 0xc0) != 0x80)
				return 0;
			missing--;
		} else if (byte >= 0x80) {
			missing = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
			if (byte < 0xc2 || byte > 0xf4)
				return 0;
		}
	}
	return missing == 0;
}

static void run(const char *mangled, int is_ascii, size_t room)
{
	char text[DEMANGLE_OUTPUT_BYTES_MAX];
	size_t bytes = demangle(mangled, text, room);
	if (bytes == 0)
		return;
	if (bytes >= room || strlen(text) != bytes)
		abort();
	if (is_ascii && !is_utf8(text))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char mangled[DEMANGLE_INPUT_BYTES_MAX + 2];
	int is_ascii = 1;
	if (bytes >= sizeof mangled)
		return 0;
	for (size_t i = 0; i < bytes; i++) {
		/* Symbols are C strings. */
		if (data[i] == 0)
			return 0;
		mangled[i] = (char)data[i];
		is_ascii &= data[i] < 0x80;
	}
	mangled[bytes] = 0;
	run(mangled, is_ascii, DEMANGLE_OUTPUT_BYTES_MAX);
	run(mangled, is_ascii, 16);
	return 0;
}
