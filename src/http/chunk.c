/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunked transfer coding, all but the data itself (RFC 9112 section 7.1):
 *
 *	size-in-hex [blanks] [";" extension] CR LF data CR LF ... 0 CR LF *(trailer CR LF) CR LF
 *
 * Strict where a difference of opinion with another parser would move the end of the response: every line
 * end here is CR LF, extensions hold no control characters. Blanks behind the size are tolerated, as some
 * servers pad it. Trailers are checked and forgotten.
 */
#include "http/http_internal.h"

_Static_assert(HTTP_TRAILER_BYTES_MAX <= HTTP_HEAD_BYTES_MAX, "trailer lines are gathered in line[]");

static int hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The state that follows the size's digits; BROKEN when `byte` cannot stand there. */
static enum http_state size_end(uint8_t byte)
{
	if (byte == '\r')
		return HTTP_STATE_CHUNK_LF;
	if (byte == ';')
		return HTTP_STATE_CHUNK_EXTENSION;
	return http_is_blank(byte) ? HTTP_STATE_CHUNK_BLANK : HTTP_STATE_BROKEN;
}

static enum http_state size_digit(struct http_response *response, uint8_t byte)
{
	int digit = hex_digit(byte);
	if (digit < 0)
		return response->state == HTTP_STATE_CHUNK_FIRST ? HTTP_STATE_BROKEN : size_end(byte);
	/* 63 bits, so that sums and differences with other lengths cannot wrap. */
	if (response->left_bytes > (uint64_t)INT64_MAX >> 4)
		return HTTP_STATE_BROKEN;
	response->left_bytes = response->left_bytes << 4 | (unsigned)digit;
	return HTTP_STATE_CHUNK_SIZE;
}

static enum http_state extension_byte(uint8_t byte)
{
	if (byte == '\r')
		return HTTP_STATE_CHUNK_LF;
	return http_classes[byte] & HTTP_CLASS_VALUE ? HTTP_STATE_CHUNK_EXTENSION : HTTP_STATE_BROKEN;
}

/* The size line is complete. */
static enum http_state size_line_end(struct http_response *response)
{
	if (response->left_bytes)
		return HTTP_STATE_CHUNK_DATA;
	response->section_left_bytes = HTTP_TRAILER_BYTES_MAX;
	response->line_bytes = 0;
	return HTTP_STATE_TRAILER;
}

/* The data is complete with its CR LF: the next size line. */
static enum http_state data_end(struct http_response *response)
{
	response->left_bytes = 0;
	response->section_left_bytes = HTTP_CHUNK_LINE_BYTES_MAX;
	return HTTP_STATE_CHUNK_FIRST;
}

static enum http_state framing_byte(struct http_response *response, uint8_t byte)
{
	switch (response->state) {
	case HTTP_STATE_CHUNK_FIRST:
	case HTTP_STATE_CHUNK_SIZE:
		return size_digit(response, byte);
	case HTTP_STATE_CHUNK_BLANK:
		return size_end(byte);
	case HTTP_STATE_CHUNK_EXTENSION:
		return extension_byte(byte);
	case HTTP_STATE_CHUNK_LF:
		return byte == '\n' ? size_line_end(response) : HTTP_STATE_BROKEN;
	case HTTP_STATE_DATA_CR:
		return byte == '\r' ? HTTP_STATE_DATA_LF : HTTP_STATE_BROKEN;
	default: /* HTTP_STATE_DATA_LF */
		return byte == '\n' ? data_end(response) : HTTP_STATE_BROKEN;
	}
}

/* One trailer line, or the empty one that ends the response. */
static void trailer_push(struct http_response *response, struct cursor_in *in)
{
	struct span line, name, value;
	if (!http_line_take(response, in, &line)) {
		if (response->section_left_bytes == 0)
			http_break(response, FAULT_HTTP_CHUNK, response->offset);
		return;
	}
	response->line_bytes = 0;
	if (line.bytes < 2 || line.base[line.bytes - 2] != '\r') {
		http_break(response, FAULT_HTTP_CHUNK, response->line_offset);
		return;
	}
	line.bytes -= 2;
	if (line.bytes == 0)
		response->state = HTTP_STATE_DONE;
	else if (response->section_left_bytes == 0)
		http_break(response, FAULT_HTTP_CHUNK, response->offset);
	else if (!http_field_split(line, &name, &value))
		http_break(response, FAULT_HTTP_CHUNK, response->line_offset);
}

void http_chunk_push(struct http_response *response, struct cursor_in *in)
{
	while (in->next < in->end && response->state != HTTP_STATE_CHUNK_DATA &&
	       response->state < HTTP_STATE_DONE) {
		if (response->state == HTTP_STATE_TRAILER) {
			trailer_push(response, in);
			continue;
		}
		/* The size line counts down its limit; its end, and that of the data, set the next one. */
		int size_line = response->state <= HTTP_STATE_CHUNK_LF;
		enum http_state next = HTTP_STATE_BROKEN;
		if (!size_line || response->section_left_bytes) {
			response->section_left_bytes -= (size_t)size_line;
			next = framing_byte(response, *in->next);
		}
		if (next == HTTP_STATE_BROKEN) {
			http_break(response, FAULT_HTTP_CHUNK, response->offset);
			return;
		}
		response->state = next;
		http_advance(response, in, 1);
	}
}
