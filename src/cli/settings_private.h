/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of settings share: settings.c (gathering), settings_server.c (URLs), settings_program.c (the
 * interpreted program). Not for other files.
 */
#ifndef CLI_SETTINGS_PRIVATE_H
#define CLI_SETTINGS_PRIVATE_H

#include "cli/settings.h"

/* Always -1. */
__attribute__((format(printf, 2, 3))) int settings_error(char *error, const char *format, ...);
/* Splits a comma list into allocated, trimmed, non-empty parts. -1: too many. */
int settings_list(const char *text, char **parts, size_t parts_max, size_t *ret_count);

/* The main server from the URL or the credentials, and those of -allow-host. 0, or -1 with a sentence. */
int settings_server(struct settings *settings, char *error);
int settings_allowed(struct settings *settings, char *error);

/* Reads -prog, or takes the built-in program. 0, or -1 with a sentence. */
int settings_program(struct settings *settings, char *error);

#endif
