/* SPDX-License-Identifier: Apache-2.0
 *
 * The start and the end of names; see names_private.h for which file does what.
 */
#include "profiler/names.h"

#include <stdlib.h>
#include <string.h>

#include "profiler/names_private.h"

struct names *names_create(void)
{
	return names_create_with("/usr/lib/debug");
}

struct names *names_create_with(const char *debug_folder)
{
	struct names *names = calloc(1, sizeof *names);
	if (!names)
		return NULL;
	names->debug_folder = strdup(debug_folder);
	if (!names->debug_folder || elf_version(EV_CURRENT) == EV_NONE) {
		names_destroy(names);
		return NULL;
	}
	return names;
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->object_count; i++) {
		if (names->objects[i])
			object_names_close(names->objects[i]);
	}
	free(names->objects);
	kernel_names_close(&names->kernel);
	for (size_t i = 0; i < names->jit_count; i++)
		jit_names_close(&names->jits[i]);
	free(names->jits);
	lua_names_finish(&names->lua);
	names_texts_finish(&names->texts);
	free(names->debug_folder);
	free(names);
}
