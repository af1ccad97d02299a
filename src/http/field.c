/* SPDX-License-Identifier: Apache-2.0
 *
 * The header lines that mean something to us: framing (RFC 9112 section 6), connection (9.3), content
 * (RFC 9110 sections 8.3 to 8.6) and time (6.6.1, 10.2.3). Every other line is checked and forgotten.
 * What is wrong with a value is only noted here; the end of the head judges, because an interim
 * response may say what it likes.
 */
#include "http/http_internal.h"

int http_field_split(struct span line, struct span *ret_name, struct span *ret_value)
{
	/* RFC 9112 5.1: no blank between name and colon. A line that starts with a blank has no name. */
	const uint8_t *colon = line.bytes ? memchr(line.base, ':', line.bytes) : NULL;
	if (!colon || colon == line.base)
		return 0;
	size_t name_bytes = (size_t)(colon - line.base);
	struct span name = span_of(line.base, name_bytes);
	struct span value = span_of(colon + 1, line.bytes - name_bytes - 1);
	if (!http_all_of(name, HTTP_CLASS_TOKEN) || !http_all_of(value, HTTP_CLASS_VALUE))
		return 0;
	*ret_name = name;
	*ret_value = http_trim(value);
	return 1;
}

/* Digits only, at most 2^63 - 1. -1: not that. */
static int64_t decimal_parse(struct span text)
{
	int64_t value = 0;
	for (size_t i = 0; i < text.bytes; i++) {
		int digit = text.base[i] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -1;
	}
	return text.bytes ? value : -1;
}

/* Equal duplicates, as lines or in a list, are one (RFC 9110 8.6); anything else is refused. */
static void take_content_length(struct http_response *response, struct span value)
{
	struct span element;
	while (http_list_next(&value, &element)) {
		int64_t length = decimal_parse(element);
		if (length < 0 || (response->content_length >= 0 && response->content_length != length))
			response->seen |= HTTP_SEEN_LENGTH_BAD;
		else
			response->content_length = length;
	}
}

/* Only "chunked", and only once: we never offer another transfer coding (no TE header is sent). */
static void take_transfer_encoding(struct http_response *response, struct span value)
{
	struct span element;
	response->seen |= HTTP_SEEN_TRANSFER;
	while (http_list_next(&value, &element)) {
		if (element.bytes == 0)
			continue;
		if (response->chunked || !http_is_word(element, "chunked"))
			response->seen |= HTTP_SEEN_TRANSFER_BAD;
		response->chunked = 1;
	}
}

static void take_connection(struct http_response *response, struct span value)
{
	struct span element;
	while (http_list_next(&value, &element)) {
		if (http_is_word(element, "close"))
			response->seen |= HTTP_SEEN_CLOSE;
		else if (http_is_word(element, "keep-alive"))
			response->seen |= HTTP_SEEN_KEEP_ALIVE;
	}
}

static void take_content_encoding(struct http_response *response, struct span value)
{
	struct span element;
	while (http_list_next(&value, &element)) {
		if (element.bytes == 0 || http_is_word(element, "identity"))
			continue;
		int gzip = http_is_word(element, "gzip") || http_is_word(element, "x-gzip");
		if (!gzip || response->encoding == HTTP_ENCODING_GZIP)
			response->seen |= HTTP_SEEN_CONTENT_BAD;
		response->encoding = HTTP_ENCODING_GZIP;
	}
}

static void take_date(struct http_response *response, struct span value)
{
	if (response->seen & HTTP_SEEN_DATE)
		return;
	response->seen |= HTTP_SEEN_DATE;
	response->date_unix = http_date_parse(value);
}

static void take_retry_after(struct http_response *response, struct span value)
{
	if (response->seen & HTTP_SEEN_RETRY)
		return;
	response->seen |= HTTP_SEEN_RETRY;
	int digits = value.bytes > 0;
	for (size_t i = 0; i < value.bytes; i++)
		digits &= value.base[i] >= '0' && value.base[i] <= '9';
	if (!digits) {
		response->retry_after_unix = http_date_parse(value);
		return;
	}
	int64_t seconds = decimal_parse(value);
	/* More digits than fit are a long time; the end of the head caps it. */
	response->retry_after_seconds = seconds < 0 ? INT64_MAX : seconds;
}

/* For a person's eyes: printable ASCII only, cut to the buffer. */
static void text_copy(char text[static HTTP_VALUE_BYTES_MAX], struct span value)
{
	size_t bytes = value.bytes < HTTP_VALUE_BYTES_MAX ? value.bytes : HTTP_VALUE_BYTES_MAX - 1;
	for (size_t i = 0; i < bytes; i++) {
		uint8_t byte = value.base[i];
		text[i] = (char)(byte >= 0x20 && byte <= 0x7e ? byte : byte == '\t' ? ' ' : '?');
	}
	text[bytes] = 0;
}

static void take_content_type(struct http_response *response, struct span value)
{
	if (!(response->seen & HTTP_SEEN_TYPE))
		text_copy(response->content_type, value);
	response->seen |= HTTP_SEEN_TYPE;
}

static void take_location(struct http_response *response, struct span value)
{
	if (!(response->seen & HTTP_SEEN_LOCATION))
		text_copy(response->location, value);
	response->seen |= HTTP_SEEN_LOCATION;
}

void http_field_take(struct http_response *response, struct span name, struct span value)
{
	static const struct {
		const char *name;
		void (*take)(struct http_response *response, struct span value);
	} fields[] = {
		{ "content-length", take_content_length }, { "transfer-encoding", take_transfer_encoding },
		{ "connection", take_connection },	   { "content-encoding", take_content_encoding },
		{ "content-type", take_content_type },	   { "date", take_date },
		{ "retry-after", take_retry_after },	   { "location", take_location },
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (http_is_word(name, fields[i].name)) {
			fields[i].take(response, value);
			return;
		}
	}
}
