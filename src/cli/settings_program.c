/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of the interpreted program: read once, while files can be opened.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/settings_private.h"

int settings_program(struct settings *settings, char *error)
{
	if (!settings->interpreted)
		return 0;
	if (!settings->prog)
		settings->program = program_akamai;
	if (!settings->prog)
		return 0;
	FILE *file = file_read_regular(settings->prog);
	if (!file)
		return settings_error(error, "cannot read the program %.1000s: %s", settings->prog,
				      strerror(errno));
	settings->program_text = malloc(PROGRAM_SOURCE_BYTES_MAX + 1);
	size_t bytes = settings->program_text
			       ? fread(settings->program_text, 1, PROGRAM_SOURCE_BYTES_MAX + 1, file)
			       : 0;
	int code = ferror(file) ? errno : settings->program_text ? 0 : ENOMEM;
	fclose(file);
	if (code)
		return settings_error(error, "cannot read the program %.1000s: %s", settings->prog,
				      strerror(code));
	if (bytes > PROGRAM_SOURCE_BYTES_MAX)
		return settings_error(error, "the program %.1000s is longer than %zu bytes", settings->prog,
				      PROGRAM_SOURCE_BYTES_MAX);
	const char *slash = strrchr(settings->prog, '/');
	settings->program = (struct program_source){
		.name = slash && slash[1] ? slash + 1 : settings->prog,
		.text = settings->program_text,
		.bytes = bytes,
	};
	return 0;
}
