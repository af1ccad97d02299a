/* SPDX-License-Identifier: Apache-2.0
 *
 * Where credentials come from. Three places in a fixed order; when none has them, the error tells every
 * place that was looked at and what each one lacks.
 */
#define _GNU_SOURCE
#include "akamai/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/mem.h>

#include "akamai/credentials_values.h"

enum {
	PATH_BYTES_MAX = 4096,
	VARIABLE_BYTES_MAX = 256, /* a longer section name has no variables */
	PREFIX_BYTES_MAX = VARIABLE_BYTES_MAX - 16,
	ALL_KEYS = (1 << CREDENTIALS_KEY_COUNT) - 1,
	TOKEN_KEYS = ALL_KEYS & ~(1 << CREDENTIALS_HOST),
};

/* What one pass over variables found: bit masks of keys. */
struct variables {
	char prefix[PREFIX_BYTES_MAX]; /* "YAEGI_HTTP_", "AKAMAI_", "AKAMAI_PRODUCTION_"; "" unusable */
	unsigned wanted;
	unsigned present;
};

static const char *text_or(const char *text, const char *fallback)
{
	return text && *text ? text : fallback;
}

static const char *variable(const struct credentials_query *query, const char *name)
{
	return text_or(query->lookup(name), NULL);
}

/* Reads the wanted variables. Returns -1 with a sentence when one holds something impossible. */
static int variables_read(const struct credentials_query *query, struct variables *variables,
			  struct credentials *credentials, char *error)
{
	for (unsigned key = 0; variables->prefix[0] && key < CREDENTIALS_KEY_COUNT; key++) {
		char name[VARIABLE_BYTES_MAX];
		if (!(variables->wanted >> key & 1))
			continue;
		credentials_key_list(1u << key, variables->prefix, 1, name, sizeof name);
		const char *text = variable(query, name);
		struct span value;
		if (!text)
			continue;
		if (credentials_value_clean(span_of_text(text), &value) < 0) {
			credentials_say(error, "%s: the quote around the value is not closed.", name);
			return -1;
		}
		if (credentials_value_set(credentials, (enum credentials_key)key, value, name, error) < 0)
			return -1;
		if (value.bytes)
			variables->present |= 1u << key;
	}
	return 0;
}

/* "AKAMAI_" for the section "default", else "AKAMAI_<SECTION>_". */
static void akamai_prefix(const char *section, char prefix[static PREFIX_BYTES_MAX])
{
	if (strcmp(section, "default") == 0) {
		snprintf(prefix, PREFIX_BYTES_MAX, "AKAMAI_");
		return;
	}
	int bytes = snprintf(prefix, PREFIX_BYTES_MAX, "AKAMAI_%s_", section);
	if (bytes < 0 || bytes >= PREFIX_BYTES_MAX) {
		prefix[0] = 0;
		return;
	}
	for (char *at = prefix; *at; at++) {
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
		else if (!((*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9')))
			*at = '_'; /* no other characters in names of variables */
	}
}

/* The path to read; 0, or -1 with a sentence. */
static int edgerc_path(const struct credentials_query *query, char path[static PATH_BYTES_MAX], char *error)
{
	const char *given = text_or(query->edgerc_path, variable(query, "AKAMAI_EDGERC"));
	const char *home = variable(query, "HOME");
	int in_home = !given || strncmp(given, "~/", 2) == 0;
	if (in_home && !home) {
		credentials_say(error, "The file ~/.edgerc cannot be looked for, because HOME is not set.");
		return -1;
	}
	int bytes = in_home ? snprintf(path, PATH_BYTES_MAX, "%s/%s", home, given ? given + 2 : ".edgerc")
			    : snprintf(path, PATH_BYTES_MAX, "%s", given);
	if (bytes < 0 || bytes >= PATH_BYTES_MAX) {
		credentials_say(error, "The path of the .edgerc file is longer than %d bytes.",
				PATH_BYTES_MAX - 1);
		return -1;
	}
	return 0;
}

/* Reads a whole file into `text` (of EDGERC_FILE_BYTES_MAX + 1 bytes). Returns its bytes or -errno. */
static ssize_t file_read(const char *path, uint8_t *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	ssize_t bytes = 0;
	while (bytes <= EDGERC_FILE_BYTES_MAX) {
		ssize_t got = read(fd, text + bytes, (size_t)(EDGERC_FILE_BYTES_MAX + 1 - bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			bytes = -errno;
		if (got <= 0)
			break;
		bytes += got;
	}
	close(fd);
	return bytes > EDGERC_FILE_BYTES_MAX ? -EFBIG : bytes;
}

static int file_find(const struct credentials_query *query, const char *section,
		     struct credentials *ret_credentials, char *error)
{
	char path[PATH_BYTES_MAX];
	if (edgerc_path(query, path, error) < 0)
		return -1;
	uint8_t *text = malloc(EDGERC_FILE_BYTES_MAX + 1);
	if (!text) {
		credentials_say(error, "%.400s cannot be read: no memory.", path);
		return -1;
	}
	int result = -1;
	ssize_t bytes = file_read(path, text);
	if (bytes == -EFBIG)
		credentials_say(error, "%.400s is larger than %d bytes and so is not an .edgerc file.", path,
				EDGERC_FILE_BYTES_MAX);
	else if (bytes < 0)
		credentials_say(error, "%.400s cannot be read: %s.", path, strerror((int)-bytes));
	else
		result = edgerc_parse(span_of(text, (size_t)bytes), path, section, ret_credentials, error);
	/* A failed read may have left part of a secret behind, in whole pages at most. */
	OPENSSL_cleanse(text, bytes >= 0 ? (size_t)bytes : EDGERC_FILE_BYTES_MAX + 1);
	free(text);
	return result;
}

/* Some of the three YAEGI_HTTP_* variables are set, not all. */
static void say_incomplete(const struct variables *variables, char *error)
{
	char missing[160], present[160], all[160];
	unsigned absent = variables->wanted & ~variables->present;
	credentials_key_list(absent, variables->prefix, 1, missing, sizeof missing);
	credentials_key_list(variables->present, variables->prefix, 1, present, sizeof present);
	credentials_key_list(variables->wanted, variables->prefix, 1, all, sizeof all);
	credentials_say(
		error,
		"%s %s not set, although %s %s. Set all of %s, or none of them to use AKAMAI_* variables "
		"or an .edgerc file.",
		missing, absent & (absent - 1) ? "are" : "is", present,
		variables->present & (variables->present - 1) ? "are" : "is", all);
}

/* Nothing was found: every place, what it lacks, and the way out. `file_error` says what is with the file. */
static void say_nothing_found(const struct variables *akamai, int akamai_used, const char *section,
			      const char *file_error, char *error)
{
	char lacking[400] = "not looked at because --edgerc or --section is given";
	if (akamai_used && akamai->prefix[0]) {
		char missing[360];
		credentials_key_list(akamai->wanted & ~akamai->present, akamai->prefix, 1, missing,
				     sizeof missing);
		snprintf(lacking, sizeof lacking, "%s %s", missing, akamai->present ? "missing" : "not set");
	} else if (akamai_used) {
		snprintf(lacking, sizeof lacking, "the section's name is too long for them");
	}
	/* file_error may be long itself; the cure behind it matters more than its end. */
	credentials_say(
		error,
		"No credentials found. %.520s Also looked at: YAEGI_HTTP_CLIENT_TOKEN, _CLIENT_SECRET, "
		"_ACCESS_TOKEN (none set); AKAMAI_* variables (%.160s). Set the variables, or give an "
		".edgerc file a section [%.24s] with host, client_token, client_secret and access_token.",
		file_error, lacking, section);
}

static int find(const struct credentials_query *query, struct credentials *found, char *error)
{
	int file_wanted = text_or(query->edgerc_path, NULL) || text_or(query->edgerc_section, NULL);
	const char *section = text_or(query->edgerc_section, NULL);
	if (!section)
		section = text_or(variable(query, "AKAMAI_EDGERC_SECTION"), "default");
	struct variables yaegi = { .prefix = "YAEGI_HTTP_", .wanted = TOKEN_KEYS };
	struct variables akamai = { .wanted = ALL_KEYS };
	akamai_prefix(section, akamai.prefix);

	if (variables_read(query, &yaegi, found, error) < 0)
		return -1;
	if (yaegi.present && yaegi.present != yaegi.wanted) {
		say_incomplete(&yaegi, error);
		return -1;
	}
	if (yaegi.present) {
		snprintf(found->source, sizeof found->source, "YAEGI_HTTP_* variables");
		akamai.wanted = 1u << CREDENTIALS_HOST;
		return variable(query, "YAEGI_HTTP_URL") ? 0 : variables_read(query, &akamai, found, error);
	}
	if (!file_wanted) {
		if (variables_read(query, &akamai, found, error) < 0)
			return -1;
		if (akamai.present == akamai.wanted) {
			snprintf(found->source, sizeof found->source, "%s* variables", akamai.prefix);
			return 0;
		}
	}
	char file_error[CREDENTIALS_ERROR_BYTES_MAX];
	if (file_find(query, section, found, file_error) == 0)
		return 0;
	say_nothing_found(&akamai, !file_wanted, section, file_error, error);
	return -1;
}

int credentials_find(const struct credentials_query *query, struct credentials *ret_credentials,
		     char error[static CREDENTIALS_ERROR_BYTES_MAX])
{
	error[0] = 0;
	*ret_credentials = (struct credentials){ 0 };
	if (find(query, ret_credentials, error) == 0)
		return 0;
	OPENSSL_cleanse(ret_credentials, sizeof *ret_credentials);
	return -1;
}
