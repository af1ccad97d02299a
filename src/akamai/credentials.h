/* SPDX-License-Identifier: Apache-2.0
 *
 * Where credentials come from: YAEGI_HTTP_* variables, AKAMAI_* variables, an .edgerc file. Each value
 * remembers its source, so that an error can say where was looked. Secrets never enter a message.
 * Reads files; called at start only.
 */
#ifndef AKAMAI_CREDENTIALS_H
#define AKAMAI_CREDENTIALS_H

#include "akamai/edgegrid.h"

#define CREDENTIALS_ERROR_BYTES_MAX 1024 /* several sentences with paths */
#define EDGERC_FILE_BYTES_MAX 1048576	 /* a hand-written INI file; anything larger is not one */

struct credentials_query {
	const char *edgerc_path;    /* --edgerc; NULL: $AKAMAI_EDGERC, else ~/.edgerc */
	const char *edgerc_section; /* --section; NULL: $AKAMAI_EDGERC_SECTION, else "default" */
	/* getenv, replaceable by tests */
	const char *(*lookup)(const char *name);
};

struct credentials {
	struct edgegrid_credentials edgegrid;
	char host[EDGEGRID_HOST_BYTES_MAX]; /* "" when YAEGI_HTTP_URL names it */
	char source[512]; /* "YAEGI_HTTP_* variables", "AKAMAI_* variables", "/home/x/.edgerc [default]" */
};

/* Order: YAEGI_HTTP_{CLIENT_TOKEN,CLIENT_SECRET,ACCESS_TOKEN} when any of them is set; else, unless --edgerc
 * or --section were given, AKAMAI_[SECTION_]{HOST,CLIENT_TOKEN,CLIENT_SECRET,ACCESS_TOKEN} when all are set;
 * else the file. With YAEGI_HTTP_* tokens `host` is "" when YAEGI_HTTP_URL is set, else AKAMAI_[SECTION_]HOST
 * if there is one; otherwise it comes with the tokens (scheme, quotes and trailing slashes stripped).
 * Returns 0, or -1 with one or more sentences in `error`: what is missing, every place looked at, what to
 * do. */
int credentials_find(const struct credentials_query *query, struct credentials *ret_credentials,
		     char error[static CREDENTIALS_ERROR_BYTES_MAX]);

/* Parses the text of an .edgerc file (INI: `key = value`, split at the first '=' or ':', '-' and any case
 * accepted in keys, ';' and '#' comments, quotes around values stripped, a value given twice must agree). All
 * four values must be there. Exposed for tests and fuzzing.
 * Returns 0; -1 with a sentence with the line number in `error`. `path` is used in messages only. */
int edgerc_parse(struct span text, const char *path, const char *section, struct credentials *ret_credentials,
		 char error[static CREDENTIALS_ERROR_BYTES_MAX]);

#endif
