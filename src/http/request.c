/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes one request (RFC 9112 section 3). Refuses whatever could end a line early or frame the request
 * twice, so that no configuration value can smuggle a second request.
 */
#include <stdio.h>

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
static void put_word(struct writer *writer, struct span word, enum http_class class)
{
	if (word.bytes == 0 || !http_all_of(word, class))
		writer->refused = 1;
	put(writer, word);
}

static void put_line(struct writer *writer, struct span name, struct span value)
{
	put_word(writer, name, HTTP_CLASS_TOKEN);
	put(writer, span_of_text(": "));
	put(writer, value);
	put(writer, span_of_text("\r\n"));
}

static void put_header(struct writer *writer, const struct http_header *header)
{
	/* Host is written already, and the body's length is ours to say: once. */
	if (http_is_word(header->name, "host") || http_is_word(header->name, "content-length") ||
	    http_is_word(header->name, "transfer-encoding") || !http_all_of(header->value, HTTP_CLASS_VALUE))
		writer->refused = 1;
	put_line(writer, header->name, header->value);
}

/* RFC 9110 8.6: a POST says that it has no body, a GET need not. */
static void put_length(struct writer *writer, const struct http_request *request)
{
	char digits[24];
	if (!request->body.base && strcmp(request->method, "POST") != 0)
		return;
	snprintf(digits, sizeof digits, "%zu", request->body.bytes);
	put_line(writer, span_of_text("Content-Length"), span_of_text(digits));
}

size_t http_request_write(const struct http_request *request, char *out, size_t out_bytes)
{
	size_t head_bytes = out_bytes < HTTP_REQUEST_HEAD_BYTES_MAX ? out_bytes : HTTP_REQUEST_HEAD_BYTES_MAX;
	uint8_t *base = (uint8_t *)out;
	struct writer writer = {
		.out = { .next = base, .end = base + head_bytes },
		.refused = request->target[0] != '/' || request->header_count > HTTP_HEADER_COUNT_MAX,
	};
	put_word(&writer, span_of_text(request->method), HTTP_CLASS_TOKEN);
	put(&writer, span_of_text(" "));
	put_word(&writer, span_of_text(request->target), HTTP_CLASS_TARGET);
	put(&writer, span_of_text(" HTTP/1.1\r\nHost: "));
	put_word(&writer, span_of_text(request->host), HTTP_CLASS_HOST);
	put(&writer, span_of_text("\r\n"));
	for (size_t i = 0; i < request->header_count && !writer.refused; i++)
		put_header(&writer, &request->headers[i]);
	put_length(&writer, request);
	put(&writer, span_of_text("\r\n"));
	writer.out.end = base + out_bytes;
	put(&writer, request->body);
	return writer.refused ? 0 : (size_t)(writer.out.next - base);
}
