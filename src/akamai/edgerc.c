/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of an .edgerc file. It is an INI file without a standard; this parser accepts what Akamai's
 * python and Go clients accept: '-' for '_' and any case in keys, '=' or ':' as separator (a key holds
 * neither, so the first one counts; secrets end in '='), ';' and '#' comments, quotes, a byte order mark,
 * CRLF. Values stay spans of the text until the section is known to be complete.
 */
#include "akamai/credentials_values.h"

#include <stdio.h>

#include <openssl/mem.h>

enum { SECTION_LIST_BYTES_MAX = 400 };

struct edgerc_value {
	struct span text;
	unsigned line; /* 0: not seen */
};

struct edgerc {
	const char *path;
	const char *section;
	char *error;
	unsigned line;
	unsigned loose_line; /* the first `key = value` above any section, 0: none */
	unsigned section_count;
	int inside; /* in the wanted section */
	int found;
	struct edgerc_value values[CREDENTIALS_KEY_COUNT];
	size_t list_bytes;
	char list[SECTION_LIST_BYTES_MAX]; /* "[a], [b]": the sections that exist */
};

static struct span trim(struct span text)
{
	while (text.bytes && (text.base[0] == ' ' || (text.base[0] >= '\t' && text.base[0] <= '\r')))
		text = span_of(text.base + 1, text.bytes - 1);
	while (text.bytes && (text.base[text.bytes - 1] == ' ' ||
			      (text.base[text.bytes - 1] >= '\t' && text.base[text.bytes - 1] <= '\r')))
		text.bytes--;
	return text;
}

static int is_comment(struct span text)
{
	return text.bytes == 0 || text.base[0] == ';' || text.base[0] == '#';
}

/* Adds "[name]" to the list for the error message; what is not printable ASCII becomes '?'. */
static void section_list_add(struct edgerc *edgerc, struct span name)
{
	edgerc->section_count++;
	size_t more_bytes = name.bytes + sizeof ", []";
	if (more_bytes > sizeof edgerc->list - edgerc->list_bytes)
		return;
	char *at = edgerc->list + edgerc->list_bytes;
	if (edgerc->list_bytes) {
		*at++ = ',';
		*at++ = ' ';
	}
	*at++ = '[';
	for (size_t i = 0; i < name.bytes; i++)
		*at++ = name.base[i] >= ' ' && name.base[i] < 0x7f ? (char)name.base[i] : '?';
	*at++ = ']';
	*at = 0;
	edgerc->list_bytes = (size_t)(at - edgerc->list);
}

static int section_line(struct edgerc *edgerc, struct span line)
{
	const uint8_t *close = memchr(line.base, ']', line.bytes);
	struct span rest = { 0 };
	if (close)
		rest = trim(span_of(close + 1, (size_t)(line.base + line.bytes - close) - 1));
	if (!close || !is_comment(rest)) {
		credentials_say(edgerc->error, "%.400s, line %u: a section must be written as [name].",
				edgerc->path, edgerc->line);
		return -1;
	}
	struct span name = trim(span_of(line.base + 1, (size_t)(close - line.base) - 1));
	section_list_add(edgerc, name);
	edgerc->inside = name.bytes == strlen(edgerc->section) &&
			 (name.bytes == 0 || memcmp(name.base, edgerc->section, name.bytes) == 0);
	edgerc->found |= edgerc->inside;
	return 0;
}

/* Which of the four keys `name` is; CREDENTIALS_KEY_COUNT: another one. */
static enum credentials_key key_of(struct span name)
{
	for (unsigned key = 0; key < CREDENTIALS_KEY_COUNT; key++) {
		const char *known = credentials_key_names[key];
		size_t i = 0;
		for (; i < name.bytes && known[i]; i++) {
			uint8_t byte = name.base[i];
			if (byte >= 'A' && byte <= 'Z')
				byte = (uint8_t)(byte - 'A' + 'a');
			if (byte == '-')
				byte = '_';
			if (byte != (uint8_t)known[i])
				break;
		}
		if (i == name.bytes && !known[i])
			return (enum credentials_key)key;
	}
	return CREDENTIALS_KEY_COUNT;
}

/* Cuts a comment that follows a value: " #..." or " ;...", or anything after a closing quote. */
static struct span value_without_comment(struct span value)
{
	value = trim(value);
	size_t start = 0;
	if (value.bytes && (value.base[0] == '"' || value.base[0] == '\'')) {
		const uint8_t *close = memchr(value.base + 1, value.base[0], value.bytes - 1);
		if (close)
			start = (size_t)(close - value.base) + 1;
	}
	for (size_t i = start; i < value.bytes; i++) {
		if ((value.base[i] == '#' || value.base[i] == ';') &&
		    (i == start || value.base[i - 1] == ' ' || value.base[i - 1] == '\t'))
			return trim(span_of(value.base, i));
	}
	return value;
}

static int value_line(struct edgerc *edgerc, struct span line)
{
	size_t name_bytes = 0;
	while (name_bytes < line.bytes && line.base[name_bytes] != '=' && line.base[name_bytes] != ':')
		name_bytes++;
	if (!edgerc->section_count && !edgerc->loose_line)
		edgerc->loose_line = edgerc->line;
	if (!edgerc->inside)
		return 0; /* other sections are not ours to judge */
	if (name_bytes == line.bytes) {
		credentials_say(edgerc->error,
				"%.400s, line %u: this is neither a comment nor [section] nor `key = value`.",
				edgerc->path, edgerc->line);
		return -1;
	}
	enum credentials_key key = key_of(trim(span_of(line.base, name_bytes)));
	if (key == CREDENTIALS_KEY_COUNT)
		return 0;
	struct span raw = span_of(line.base + name_bytes + 1, line.bytes - name_bytes - 1);
	struct span value;
	if (credentials_value_clean(value_without_comment(raw), &value) < 0) {
		credentials_say(edgerc->error, "%.400s, line %u: the quote around the value is not closed.",
				edgerc->path, edgerc->line);
		return -1;
	}
	struct edgerc_value *known = &edgerc->values[key];
	if (known->line && (known->text.bytes != value.bytes ||
			    (value.bytes && memcmp(known->text.base, value.base, value.bytes) != 0))) {
		credentials_say(edgerc->error,
				"%.400s: [%.64s] has two different values of %s, on lines %u and %u. Remove "
				"the wrong one.",
				edgerc->path, edgerc->section, credentials_key_names[key], known->line,
				edgerc->line);
		return -1;
	}
	*known = (struct edgerc_value){ .text = value, .line = edgerc->line };
	return 0;
}

static void say_section_missing(const struct edgerc *edgerc)
{
	if (edgerc->section_count)
		credentials_say(edgerc->error, "%.400s has no section [%.64s]; it has %s%s.", edgerc->path,
				edgerc->section,
				edgerc->list_bytes ? edgerc->list : "sections with very long names",
				edgerc->list_bytes + 64 > sizeof edgerc->list ? " and others" : "");
	else if (edgerc->loose_line)
		credentials_say(edgerc->error,
				"%.400s has no section [%.64s]: put the line [%.64s] above line %u.",
				edgerc->path, edgerc->section, edgerc->section, edgerc->loose_line);
	else
		credentials_say(edgerc->error, "%.400s has no section [%.64s]; it is empty.", edgerc->path,
				edgerc->section);
}

/* The text is read; fills the credentials when the section is complete. */
static int edgerc_finish(struct edgerc *edgerc, struct credentials *ret_credentials)
{
	if (!edgerc->found) {
		say_section_missing(edgerc);
		return -1;
	}
	unsigned missing = 0;
	for (unsigned key = 0; key < CREDENTIALS_KEY_COUNT; key++) {
		const struct edgerc_value *value = &edgerc->values[key];
		char where[480];
		snprintf(where, sizeof where, "%.400s, line %u", edgerc->path, value->line);
		if (value->line && credentials_value_set(ret_credentials, (enum credentials_key)key,
							 value->text, where, edgerc->error) < 0)
			return -1;
		const char *set = key == CREDENTIALS_HOST	     ? ret_credentials->host
				  : key == CREDENTIALS_CLIENT_TOKEN  ? ret_credentials->edgegrid.client_token
				  : key == CREDENTIALS_CLIENT_SECRET ? ret_credentials->edgegrid.client_secret
								     : ret_credentials->edgegrid.access_token;
		if (!*set)
			missing |= 1u << key;
	}
	if (missing) {
		char names[96];
		credentials_key_list(missing, "", 0, names, sizeof names);
		credentials_say(edgerc->error, "%.400s lacks %s in section [%.64s].", edgerc->path, names,
				edgerc->section);
		return -1;
	}
	snprintf(ret_credentials->source, sizeof ret_credentials->source, "%.400s [%.64s]", edgerc->path,
		 edgerc->section);
	return 0;
}

static int edgerc_lines(struct edgerc *edgerc, struct span text)
{
	if (text.bytes >= 3 && memcmp(text.base, "\xef\xbb\xbf", 3) == 0)
		text = span_of(text.base + 3, text.bytes - 3);
	while (text.bytes) {
		const uint8_t *newline = memchr(text.base, '\n', text.bytes);
		size_t bytes = newline ? (size_t)(newline - text.base) : text.bytes;
		size_t taken = newline ? bytes + 1 : bytes;
		struct span line = trim(span_of(text.base, bytes));
		edgerc->line++;
		if (!is_comment(line)) {
			int result =
				line.base[0] == '[' ? section_line(edgerc, line) : value_line(edgerc, line);
			if (result < 0)
				return -1;
		}
		text = span_of(text.base + taken, text.bytes - taken);
	}
	return 0;
}

int edgerc_parse(struct span text, const char *path, const char *section, struct credentials *ret_credentials,
		 char error[static CREDENTIALS_ERROR_BYTES_MAX])
{
	struct edgerc edgerc = { .path = path, .section = section, .error = error };
	error[0] = 0;
	*ret_credentials = (struct credentials){ 0 };
	if (edgerc_lines(&edgerc, text) == 0 && edgerc_finish(&edgerc, ret_credentials) == 0)
		return 0;
	OPENSSL_cleanse(ret_credentials, sizeof *ret_credentials);
	return -1;
}
