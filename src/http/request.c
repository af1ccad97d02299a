/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a GET request (RFC 9112 section 3). Refuses whatever could end a line early or frame the request
 * twice, so that no configuration value can smuggle a second request.
 */
#include "http/http_internal.h"

/* What does not fit is counted as refused, and then nothing more is written. */
struct writer {
	struct cursor_out out;
	int refused;
};

static void put(struct writer *writer, struct span text)
{
	if (writer->refused || text.bytes > cursor_out_bytes(&writer->out)) {
		writer->refused = 1;
		return;
	}
	if (text.bytes)
		memcpy(writer->out.next, text.base, text.bytes);
	writer->out.next += text.bytes;
}

/* Text that may not be empty and must be of one class. */
static void put_word(struct writer *writer, const char *text, enum http_class class)
{
	struct span word = span_of_text(text);
	if (word.bytes == 0 || !http_all_of(word, class))
		writer->refused = 1;
	put(writer, word);
}

static void put_header(struct writer *writer, const struct http_header *header)
{
	struct span name = span_of_text(header->name);
	/* Host is written already, and a GET has no body whose length these could give. */
	if (http_is_word(name, "host") || http_is_word(name, "content-length") ||
	    http_is_word(name, "transfer-encoding") || !http_all_of(header->value, HTTP_CLASS_VALUE))
		writer->refused = 1;
	put_word(writer, header->name, HTTP_CLASS_TOKEN);
	put(writer, span_of_text(": "));
	put(writer, header->value);
	put(writer, span_of_text("\r\n"));
}

size_t http_request_write(const char *host, const char *target, const struct http_header *headers,
			  size_t header_count, char *out, size_t out_bytes)
{
	if (out_bytes > HTTP_REQUEST_BYTES_MAX)
		out_bytes = HTTP_REQUEST_BYTES_MAX;
	uint8_t *base = (uint8_t *)out;
	struct writer writer = { .out = { .next = base, .end = base + out_bytes },
				 .refused = target[0] != '/' || header_count > HTTP_HEADER_COUNT_MAX };
	put(&writer, span_of_text("GET "));
	put_word(&writer, target, HTTP_CLASS_TARGET);
	put(&writer, span_of_text(" HTTP/1.1\r\nHost: "));
	put_word(&writer, host, HTTP_CLASS_HOST);
	put(&writer, span_of_text("\r\n"));
	for (size_t i = 0; i < header_count && !writer.refused; i++)
		put_header(&writer, &headers[i]);
	put(&writer, span_of_text("\r\n"));
	return writer.refused ? 0 : (size_t)(writer.out.next - base);
}
