/* SPDX-License-Identifier: Apache-2.0
 *
 * The four values that credentials consist of: cleaning, checking, naming.
 */
#include "akamai/credentials_values.h"

#include <stdarg.h>
#include <stdio.h>

const char *const credentials_key_names[CREDENTIALS_KEY_COUNT] = {
	[CREDENTIALS_HOST] = "host",
	[CREDENTIALS_CLIENT_TOKEN] = "client_token",
	[CREDENTIALS_CLIENT_SECRET] = "client_secret",
	[CREDENTIALS_ACCESS_TOKEN] = "access_token",
};

void credentials_say(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, CREDENTIALS_ERROR_BYTES_MAX, format, arguments);
	va_end(arguments);
}

static int is_blank(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

int credentials_value_clean(struct span raw, struct span *ret_value)
{
	const uint8_t *at = raw.base;
	const uint8_t *end = raw.base + raw.bytes;
	while (at < end && is_blank(*at))
		at++;
	while (at < end && is_blank(end[-1]))
		end--;
	if (at < end && (*at == '"' || *at == '\'')) {
		if (end - at < 2 || end[-1] != *at)
			return -1;
		at++;
		end--;
	}
	*ret_value = span_of(at, (size_t)(end - at));
	return 0;
}

/* "https://host/" -> "host": people paste it from the browser. */
static struct span host_strip(struct span value)
{
	for (size_t i = 0; i + 2 < value.bytes; i++) {
		if (memcmp(value.base + i, "://", 3) == 0) {
			value = span_of(value.base + i + 3, value.bytes - i - 3);
			break;
		}
	}
	while (value.bytes && value.base[value.bytes - 1] == '/')
		value.bytes--;
	return value;
}

/* Letters, digits, '.', '-', '_', and ':' '[' ']' for a port or an IPv6 address. */
static int host_byte(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= ':') ||
	       byte == '.' || byte == '-' || byte == '_' || byte == '[' || byte == ']';
}

/* What may stand in the Authorization header between "=" and ";": visible ASCII without ';' and '"'. */
static int token_byte(uint8_t byte)
{
	return byte > ' ' && byte < 0x7f && byte != ';' && byte != '"';
}

int credentials_value_set(struct credentials *credentials, enum credentials_key key, struct span value,
			  const char *where, char *error)
{
	char *target = key == CREDENTIALS_CLIENT_TOKEN	  ? credentials->edgegrid.client_token
		       : key == CREDENTIALS_CLIENT_SECRET ? credentials->edgegrid.client_secret
		       : key == CREDENTIALS_ACCESS_TOKEN  ? credentials->edgegrid.access_token
							  : credentials->host;
	size_t target_bytes = key == CREDENTIALS_HOST ? EDGEGRID_HOST_BYTES_MAX : EDGEGRID_TOKEN_BYTES_MAX;
	if (key == CREDENTIALS_HOST)
		value = host_strip(value);
	if (value.bytes >= target_bytes) {
		credentials_say(error, "%.400s: the value of %s is longer than %zu characters.", where,
				credentials_key_names[key], target_bytes - 1);
		return -1;
	}
	for (size_t i = 0; i < value.bytes; i++) {
		uint8_t byte = value.base[i];
		if (key == CREDENTIALS_HOST ? host_byte(byte) : token_byte(byte))
			continue;
		if (key == CREDENTIALS_HOST)
			credentials_say(error,
					"%.400s: the value of host is not a host name such as "
					"akab-xxxx.luna.akamaiapis.net.",
					where);
		else
			credentials_say(error,
					"%.400s: the value of %s holds a blank, a quote or another character "
					"(number %zu) that cannot be part of it. Copy it again.",
					where, credentials_key_names[key], i + 1);
		return -1;
	}
	if (value.bytes)
		memcpy(target, value.base, value.bytes);
	target[value.bytes] = 0;
	return 0;
}

void credentials_key_list(unsigned mask, const char *prefix, int upper, char *text, size_t text_bytes)
{
	size_t used = 0;
	text[0] = 0;
	for (unsigned key = 0; key < CREDENTIALS_KEY_COUNT; key++) {
		if (!(mask >> key & 1))
			continue;
		unsigned later = mask >> key >> 1;
		char name[16];
		snprintf(name, sizeof name, "%s", credentials_key_names[key]);
		for (char *at = name; upper && *at; at++)
			*at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
		int bytes = snprintf(text + used, text_bytes - used, "%s%s%s", prefix, name,
				     !later		   ? ""
				     : later & (later - 1) ? ", "
							   : " and ");
		if (bytes < 0 || (size_t)bytes >= text_bytes - used)
			return;
		used += (size_t)bytes;
	}
}
