/* SPDX-License-Identifier: Apache-2.0
 *
 * variables: what an interpreted program finds in ctx.env: every YAEGI_HTTP_* variable of the environment,
 * and for those that flags and files can say too, what they said. Internal to cli.
 */
#ifndef CLI_VARIABLES_H
#define CLI_VARIABLES_H

#include "cli/settings.h"

#define VARIABLES_MAX                                                                                        \
	512 /* more than anybody sets; the rest of the environment is none of the program's business */

struct variables {
	struct program_variable
		*entries; /* for flow_settings; CONFIG_ID is each stream's own, and flow's to add */
	size_t count;
};

/* 0, or -1 with a sentence. Holds secrets: variables_finish() wipes them. */
int variables_gather(const struct settings *settings, struct variables *ret_variables,
		     char error[static SETTINGS_ERROR_BYTES_MAX]);
void variables_finish(struct variables *variables); /* accepts a zeroed struct */

#endif
