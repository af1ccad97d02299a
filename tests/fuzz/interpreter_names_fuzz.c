/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of functions from any text: it ends, names are texts, lines count up and are in it.
 */
#include <stdlib.h>
#include <string.h>

#include "program/interpreter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct interpreter_names names;
	struct interpreter_name name;
	size_t count = 0;
	int line = 1, lines = 1;
	for (size_t i = 0; i < bytes; i++)
		lines += data[i] == '\n';
	interpreter_names_begin(&names, (const char *)data, bytes);
	while (interpreter_names_next(&names, &name)) {
		if (!memchr(name.name, 0, sizeof name.name) || name.first_line < line ||
		    name.last_line < name.first_line || name.last_line > lines || ++count > bytes / 8)
			abort();
		line = name.first_line;
	}
	if (names.at != bytes)
		abort();
	return 0;
}
