/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/variables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/duration.h"

#define PREFIX "YAEGI_HTTP_"

extern char **environ;

/* Whether a person would not want to see the value in a log. */
static int name_is_secret(const char *name)
{
	static const char *const words[] = { "TOKEN", "SECRET",	    "PASSWORD", "PASSWD",
					     "KEY",   "CREDENTIAL", "AUTH" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasestr(name, words[i]))
			return 1;
	return 0;
}

static void text_wipe(const char *text)
{
	if (!text)
		return;
	explicit_bzero((char *)(uintptr_t)text, strlen(text));
	free((char *)(uintptr_t)text);
}

/* The last word on a name counts. Copies both. */
static int variable_set(struct variables *variables, const char *name, size_t name_bytes, const char *value,
			int secret)
{
	struct program_variable *entry = NULL;
	for (size_t i = 0; i < variables->count && !entry; i++) {
		const char *other = variables->entries[i].name;
		if (other && strlen(other) == name_bytes && memcmp(other, name, name_bytes) == 0)
			entry = &variables->entries[i];
	}
	char *copy = strdup(value);
	if (!copy)
		return -1;
	if (entry) {
		text_wipe(entry->value);
		entry->value = copy;
		entry->secret |= secret;
		return 0;
	}
	char *name_copy = strndup(name, name_bytes);
	if (!name_copy || variables->count == VARIABLES_MAX) {
		free(name_copy);
		free(copy);
		return name_copy ? 0 : -1;
	}
	variables->entries[variables->count++] =
		(struct program_variable){ .name = name_copy, .value = copy, .secret = secret };
	return 0;
}

static int text_set(struct variables *variables, const char *name, const char *value, int secret)
{
	return value && *value ? variable_set(variables, name, strlen(name), value, secret) : 0;
}

/* The defaults are those of the built-in program; a program of one's own has its own. */
static int is_settled(const struct settings *settings, const char *flag)
{
	return !settings->prog || settings_given(settings, flag);
}

static int duration_set(struct variables *variables, const char *name, const struct settings *settings,
			const char *flag, int64_t ns)
{
	char text[DURATION_TEXT_BYTES_MAX];
	return is_settled(settings, flag) ? text_set(variables, name, duration_format(ns, text), 0) : 0;
}

static int number_set(struct variables *variables, const char *name, const struct settings *settings,
		      const char *flag, int64_t number)
{
	char text[32];
	snprintf(text, sizeof text, "%" PRId64, number);
	return is_settled(settings, flag) ? text_set(variables, name, text, 0) : 0;
}

static int environment_set(struct variables *variables)
{
	for (char **at = environ; *at; at++) {
		const char *name = *at + sizeof PREFIX - 1;
		const char *equals = strchr(*at, '=');
		if (strncmp(*at, PREFIX, sizeof PREFIX - 1) != 0 || !equals || equals <= name)
			continue;
		char copy[256];
		snprintf(copy, sizeof copy, "%.*s", (int)(equals - name), name);
		if (variable_set(variables, name, (size_t)(equals - name), equals + 1, name_is_secret(copy)) <
		    0)
			return -1;
	}
	return 0;
}

static int settled_set(struct variables *variables, const struct settings *settings)
{
	const struct edgegrid_credentials *credentials = &settings->credentials.edgegrid;
	char url[sizeof settings->server.authority + sizeof settings->base_path + 16];
	snprintf(url, sizeof url, "http%s://%s%s", settings->server.secure ? "s" : "",
		 settings->server.authority, settings->base_path);
	/* A program of one's own may give the path of its URL a meaning that ours does not know. */
	const char *whole = settings->url && *settings->url && settings->prog ? settings->url : url;
	return text_set(variables, "URL", whole, 0) | text_set(variables, "CURSOR", settings->cursor, 0) |
	       text_set(variables, "HEADERS_TO_SIGN", settings->headers_to_sign, 0) |
	       text_set(variables, "CLIENT_TOKEN", credentials->client_token, 1) |
	       text_set(variables, "CLIENT_SECRET", credentials->client_secret, 1) |
	       text_set(variables, "ACCESS_TOKEN", credentials->access_token, 1) |
	       text_set(variables, "IDENTITY", settings->identity ? "1" : "0", 0) |
	       number_set(variables, "LIMIT", settings, "limit", settings->limit) |
	       number_set(variables, "FROM", settings, "from", settings->from_unix) |
	       number_set(variables, "MAX_REQUESTS", settings, "max-requests", settings->max_requests) |
	       duration_set(variables, "INITIAL_INTERVAL", settings, "initial-interval",
			    settings->initial_interval_ns) |
	       duration_set(variables, "POLL_INTERVAL", settings, "poll-interval",
			    settings->poll_interval_ns) |
	       duration_set(variables, "OFFSET_TTL", settings, "offset-ttl", settings->offset_ttl_ns) |
	       duration_set(variables, "TO_LAG", settings, "to-lag", settings->to_lag_ns) |
	       duration_set(variables, "BACKOFF", settings, "backoff", settings->backoff_ns);
}

int variables_gather(const struct settings *settings, struct variables *ret_variables,
		     char error[static SETTINGS_ERROR_BYTES_MAX])
{
	*ret_variables = (struct variables){ 0 };
	ret_variables->entries = calloc(VARIABLES_MAX, sizeof *ret_variables->entries);
	if (ret_variables->entries && environment_set(ret_variables) == 0 &&
	    settled_set(ret_variables, settings) == 0)
		return 0;
	variables_finish(ret_variables);
	snprintf(error, SETTINGS_ERROR_BYTES_MAX, "out of memory for the program's variables");
	return -1;
}

void variables_finish(struct variables *variables)
{
	for (size_t i = 0; variables->entries && i < variables->count; i++) {
		text_wipe(variables->entries[i].value);
		free((char *)(uintptr_t)variables->entries[i].name);
	}
	free(variables->entries);
	*variables = (struct variables){ 0 };
}
