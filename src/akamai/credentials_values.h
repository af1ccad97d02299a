/* SPDX-License-Identifier: Apache-2.0
 *
 * The four values that credentials consist of, wherever they come from. Shared by credentials.c (variables)
 * and edgerc.c (file); not for other rooms.
 */
#ifndef AKAMAI_CREDENTIALS_VALUES_H
#define AKAMAI_CREDENTIALS_VALUES_H

#include "akamai/credentials.h"

enum credentials_key {
	CREDENTIALS_HOST,
	CREDENTIALS_CLIENT_TOKEN,
	CREDENTIALS_CLIENT_SECRET,
	CREDENTIALS_ACCESS_TOKEN,
	CREDENTIALS_KEY_COUNT,
};

/* "host", "client_token" ...: as in an .edgerc file; in upper case as in variables. */
extern const char *const credentials_key_names[CREDENTIALS_KEY_COUNT];

/* Writes a sentence (or several) into an error buffer, cut where it ends. */
__attribute__((format(printf, 2, 3))) void credentials_say(char *error, const char *format, ...);

/* Removes blanks around `raw`, then quotes around the rest. Returns -1 when a quote is never closed. */
int credentials_value_clean(struct span raw, struct span *ret_value);

/* Checks a cleaned value (of host: without scheme and trailing slashes) and copies it. `where`
 * ("AKAMAI_HOST",
 * "/home/x/.edgerc, line 3") begins the sentence written to `error`, which never holds the value itself. */
int credentials_value_set(struct credentials *credentials, enum credentials_key key, struct span value,
			  const char *where, char *error);

/* "a", "a and b", "a, b and c" for the keys in the bit mask, each as prefix + name (upper: in upper case). */
void credentials_key_list(unsigned mask, const char *prefix, int upper, char *text, size_t text_bytes);

#endif
