/* SPDX-License-Identifier: Apache-2.0
 *
 * One response: status line and header lines (RFC 9112 sections 2 to 6), then body bytes as large as the
 * input allows. The rules that leave a choice, and what is chosen:
 *
 * - Lines of the head may end in a bare LF (2.2); a CR anywhere else is malformed.
 * - A folded header line is joined with one blank (5.2), but the first one may not begin with a blank.
 * - No empty line is skipped before the status line: it would mean that framing was lost before.
 * - Transfer-Encoding together with Content-Length, or in HTTP/1.0, is refused (6.1, 6.3): two parsers
 *   could see two different ends.
 * - Interim responses are skipped, whatever their header lines say. 101 is malformed: nobody asked.
 */
#include "http/http_internal.h"

static const char prefix[] = "HTTP/1.";
#define PREFIX_BYTES (sizeof prefix - 1)

static void head_begin(struct http_response *response)
{
	response->state = HTTP_STATE_PREFIX;
	response->status = 0;
	response->minor_version = 0;
	response->chunked = 0;
	response->content_length = -1;
	response->encoding = HTTP_ENCODING_IDENTITY;
	response->date_unix = -1;
	response->retry_after_seconds = -1;
	response->retry_after_unix = -1;
	response->content_type[0] = 0;
	response->location[0] = 0;
	response->seen = 0;
	response->header_count = 0;
	response->line_bytes = 0;
	response->line_waits = 0;
	response->section_left_bytes = HTTP_HEAD_BYTES_MAX;
}

void http_response_begin(struct http_response *response, int64_t now_unix)
{
	/* Member by member: line[] is large and needs no zeroes. */
	head_begin(response);
	response->head_done = 0;
	response->keep_alive = 0;
	response->body_bytes = 0;
	response->head_bytes = 0;
	response->fault = FAULT_NONE;
	response->offset = 0;
	response->fault_offset = 0;
	response->line_offset = 0;
	response->left_bytes = 0;
	response->interim_count = 0;
	response->now_unix = now_unix;
	response->header_seen = NULL;
	response->header_owner = NULL;
}

void http_break(struct http_response *response, enum fault fault, uint64_t offset)
{
	response->state = HTTP_STATE_BROKEN;
	response->fault = fault;
	response->fault_offset = offset;
	response->keep_alive = 0;
}

int http_line_take(struct http_response *response, struct cursor_in *in, struct span *ret_line)
{
	size_t bytes = cursor_in_bytes(in);
	if (bytes > response->section_left_bytes)
		bytes = response->section_left_bytes;
	const uint8_t *lf = memchr(in->next, '\n', bytes);
	if (lf)
		bytes = (size_t)(lf - in->next) + 1;
	if (response->line_bytes == 0)
		response->line_offset = response->offset;
	*ret_line = span_of(in->next, bytes);
	if (response->line_bytes || !lf) {
		/* Fits: a section is at most as large as line[], and a fold replaces what it drops. */
		memcpy(response->line + response->line_bytes, in->next, bytes);
		response->line_bytes += bytes;
		*ret_line = span_of(response->line, response->line_bytes);
	}
	response->section_left_bytes -= bytes;
	http_advance(response, in, bytes);
	return lf != NULL;
}

static struct span line_end_strip(struct span line)
{
	if (line.bytes && line.base[line.bytes - 1] == '\n')
		line.bytes--;
	if (line.bytes && line.base[line.bytes - 1] == '\r')
		line.bytes--;
	return line;
}

static void prefix_push(struct http_response *response, struct cursor_in *in)
{
	while (in->next < in->end && response->state == HTTP_STATE_PREFIX) {
		size_t at = HTTP_HEAD_BYTES_MAX - response->section_left_bytes;
		if (*in->next != (uint8_t)prefix[at]) {
			/* Behind an interim response it is not another protocol, just broken. */
			http_break(response, response->interim_count ? FAULT_HTTP_HEAD : FAULT_HTTP_NOT_HTTP,
				   response->offset);
			return;
		}
		response->section_left_bytes--;
		http_advance(response, in, 1);
		if (at + 1 == PREFIX_BYTES)
			response->state = HTTP_STATE_STATUS;
	}
}

/* RFC 9112 section 4 behind "HTTP/1.": DIGIT SP 3DIGIT SP [reason]. Many servers drop the last blank when
 * they have no reason to give. 0: malformed. */
static int status_parse(struct http_response *response, struct span line)
{
	const uint8_t *text = line.base;
	if (line.bytes < 5 || (text[0] != '0' && text[0] != '1') || text[1] != ' ')
		return 0;
	int status = 0;
	for (size_t i = 2; i < 5; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		status = status * 10 + (text[i] - '0');
	}
	if (status < 100 || (line.bytes > 5 && text[5] != ' '))
		return 0;
	response->minor_version = text[0] - '0';
	response->status = status;
	return http_all_of(span_of(text + 5, line.bytes - 5), HTTP_CLASS_VALUE);
}

static void status_push(struct http_response *response, struct cursor_in *in)
{
	struct span line;
	int whole = http_line_take(response, in, &line);
	if (response->section_left_bytes == 0) {
		http_break(response, FAULT_HTTP_HEAD_LIMIT, response->offset);
	} else if (whole) {
		response->line_bytes = 0;
		response->state = HTTP_STATE_FIELDS;
		if (!status_parse(response, line_end_strip(line)))
			http_break(response, FAULT_HTTP_HEAD, response->line_offset - PREFIX_BYTES);
	}
}

static void interim_end(struct http_response *response)
{
	if (response->status == 101)
		http_break(response, FAULT_HTTP_HEAD, response->offset);
	else if (response->interim_count == HTTP_INTERIM_COUNT_MAX)
		http_break(response, FAULT_HTTP_HEAD_LIMIT, response->offset);
	else
		head_begin(response);
	response->interim_count++;
}

static int keeps_alive(const struct http_response *response)
{
	if (response->seen & HTTP_SEEN_CLOSE)
		return 0;
	return response->minor_version == 1 || (response->seen & HTTP_SEEN_KEEP_ALIVE) != 0;
}

/* The length of the body, RFC 9112 section 6.3. */
static void body_begin(struct http_response *response)
{
	unsigned seen = response->seen;
	int length_given = response->content_length >= 0 || (seen & HTTP_SEEN_LENGTH_BAD);
	int transfer_given = (seen & HTTP_SEEN_TRANSFER) != 0;
	int encoding_bad = (seen & (HTTP_SEEN_TRANSFER_BAD | HTTP_SEEN_CONTENT_BAD)) != 0 ||
			   transfer_given != response->chunked; /* a Transfer-Encoding that names none */
	if ((seen & HTTP_SEEN_LENGTH_BAD) || (transfer_given && length_given) ||
	    (transfer_given && response->minor_version == 0)) {
		http_break(response, FAULT_HTTP_LENGTH, response->offset);
	} else if (response->status == 204 || response->status == 304) {
		response->state = HTTP_STATE_DONE;
	} else if (encoding_bad) {
		http_break(response, FAULT_HTTP_ENCODING, response->offset);
	} else if (transfer_given) {
		response->state = HTTP_STATE_CHUNK_FIRST;
		response->section_left_bytes = HTTP_CHUNK_LINE_BYTES_MAX;
	} else if (length_given) {
		response->left_bytes = (uint64_t)response->content_length;
		response->state = response->left_bytes ? HTTP_STATE_BODY_LENGTH : HTTP_STATE_DONE;
	} else {
		response->state = HTTP_STATE_BODY_CLOSE;
		response->keep_alive = 0;
	}
}

static void head_end(struct http_response *response)
{
	if (response->status < 200) {
		interim_end(response);
		return;
	}
	if (response->retry_after_unix >= 0) {
		int64_t from_unix = response->date_unix >= 0 ? response->date_unix : response->now_unix;
		int64_t seconds = response->retry_after_unix - from_unix;
		response->retry_after_seconds = seconds > 0 ? seconds : 0;
	}
	if (response->retry_after_seconds > HTTP_RETRY_AFTER_SECONDS_MAX)
		response->retry_after_seconds = HTTP_RETRY_AFTER_SECONDS_MAX;
	response->head_bytes = response->offset;
	response->head_done = 1;
	response->keep_alive = keeps_alive(response);
	body_begin(response);
}

/* A whole header line; line_offset is where it began. */
static void field_line(struct http_response *response, struct span line)
{
	struct span name, value;
	response->line_bytes = 0;
	if (response->header_count++ == HTTP_HEADER_COUNT_MAX) {
		http_break(response, FAULT_HTTP_HEAD_LIMIT, response->line_offset);
	} else if (!http_field_split(line_end_strip(line), &name, &value)) {
		http_break(response, FAULT_HTTP_HEAD, response->line_offset);
	} else {
		http_field_take(response, name, value);
		if (response->header_seen && response->status >= 200)
			response->header_seen(response->header_owner, name, value);
	}
}

/* A line waited in line[] for the first byte behind it, and here it is. Returns 1 when that is a blank, which
 * folds the next line into this one. */
static int waiting_line_folds(struct http_response *response, uint8_t behind)
{
	struct span line = span_of(response->line, response->line_bytes);
	response->line_waits = 0;
	if (!http_is_blank(behind)) {
		field_line(response, line);
		return 0;
	}
	response->line_bytes = line_end_strip(line).bytes;
	response->line[response->line_bytes++] = ' ';
	return 1;
}

/* A header line ends where the next does not begin with a blank, so one byte more than the line must be
 * there before it is read. */
static void fields_push(struct http_response *response, struct cursor_in *in)
{
	struct span line;
	if (response->line_waits && !waiting_line_folds(response, *in->next))
		return;
	int whole = http_line_take(response, in, &line);
	if (whole && line_end_strip(line).bytes == 0) {
		response->line_bytes = 0;
		head_end(response);
	} else if (response->section_left_bytes == 0) {
		http_break(response, FAULT_HTTP_HEAD_LIMIT, response->offset);
	} else if (whole && in->next < in->end && !http_is_blank(*in->next)) {
		field_line(response, line);
	} else if (whole) {
		if (response->line_bytes == 0)
			memcpy(response->line, line.base, line.bytes);
		response->line_bytes = line.bytes;
		response->line_waits = 1;
	}
}

/* The next body bytes, as many as the input has. */
static void body_push(struct http_response *response, struct cursor_in *in, struct span *ret_body)
{
	size_t bytes = cursor_in_bytes(in);
	if (response->state != HTTP_STATE_BODY_CLOSE) {
		if (bytes > response->left_bytes)
			bytes = (size_t)response->left_bytes;
		response->left_bytes -= bytes;
		if (response->left_bytes == 0)
			response->state = response->state == HTTP_STATE_CHUNK_DATA ? HTTP_STATE_DATA_CR
										   : HTTP_STATE_DONE;
	}
	*ret_body = span_of(in->next, bytes);
	response->body_bytes += bytes;
	http_advance(response, in, bytes);
}

enum step http_response_push(struct http_response *response, struct cursor_in *in, struct span *ret_body)
{
	*ret_body = span_of(NULL, 0);
	while (in->next < in->end) {
		switch (response->state) {
		case HTTP_STATE_PREFIX:
			prefix_push(response, in);
			break;
		case HTTP_STATE_STATUS:
			status_push(response, in);
			break;
		case HTTP_STATE_FIELDS:
			fields_push(response, in);
			break;
		case HTTP_STATE_BODY_LENGTH:
		case HTTP_STATE_BODY_CLOSE:
		case HTTP_STATE_CHUNK_DATA:
			body_push(response, in, ret_body);
			return STEP_HUNGRY;
		case HTTP_STATE_DONE:
			return STEP_DONE;
		case HTTP_STATE_BROKEN:
			return STEP_BROKEN;
		default:
			http_chunk_push(response, in);
			break;
		}
	}
	if (response->state == HTTP_STATE_BROKEN)
		return STEP_BROKEN;
	return response->state == HTTP_STATE_DONE ? STEP_DONE : STEP_HUNGRY;
}

enum fault http_response_end(struct http_response *response)
{
	if (response->state == HTTP_STATE_BODY_CLOSE)
		response->state = HTTP_STATE_DONE;
	else if (response->state <= HTTP_STATE_FIELDS)
		http_break(response, FAULT_HTTP_TRUNCATED_HEAD, response->offset);
	else if (response->state < HTTP_STATE_DONE)
		http_break(response, FAULT_HTTP_TRUNCATED_BODY, response->offset);
	return response->fault;
}

int http_head_done(const struct http_response *response)
{
	return response->head_done;
}

enum fault http_fault(const struct http_response *response)
{
	return response->fault;
}

uint64_t http_offset(const struct http_response *response)
{
	return response->fault_offset;
}
