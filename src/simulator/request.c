/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "simulator/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONFIG_PATH "/siem/v1/configs/"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes; in a query '+' means a blank, as servlet containers have it. Returns 0 or -1. */
static int decode(char *target, size_t capacity, const char *from, size_t bytes, int is_query)
{
	size_t used = 0;
	for (size_t i = 0; i < bytes; i++) {
		char c = from[i];
		if (c == '+' && is_query)
			c = ' ';
		if (c == '%') {
			int high = i + 2 < bytes ? hex_value(from[i + 1]) : -1;
			int low = i + 2 < bytes ? hex_value(from[i + 2]) : -1;
			if (high < 0 || low < 0)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (used + 1 >= capacity || c == 0)
			return -1;
		target[used++] = c;
	}
	target[used] = 0;
	return 0;
}

static int64_t number_parse(const char *text)
{
	char *end;
	long long number = strtoll(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == 0 && strlen(text) < 16 ? number : -1;
}

static void parameter_take(struct request *request, const char *text, size_t bytes)
{
	size_t name_bytes = strcspn(text, "=");
	char value[REQUEST_OFFSET_BYTES_MAX] = "";
	if (name_bytes < bytes &&
	    decode(value, sizeof value, text + name_bytes + 1, bytes - name_bytes - 1, 1) < 0) {
		request->unknown_parameter = 1;
		return;
	}
	if (name_bytes == 6 && memcmp(text, "offset", 6) == 0) {
		request->has_offset = 1;
		memcpy(request->offset, value, sizeof value);
	} else if (name_bytes == 5 && memcmp(text, "limit", 5) == 0) {
		request->has_limit = 1;
		request->limit = number_parse(value);
	} else if (name_bytes == 4 && memcmp(text, "from", 4) == 0) {
		request->has_from = 1;
		request->from_s = number_parse(value);
	} else if (name_bytes == 2 && memcmp(text, "to", 2) == 0) {
		request->has_to = 1;
		request->to_s = number_parse(value);
	} else {
		request->unknown_parameter = 1;
	}
}

static void target_parse(struct request *request)
{
	const char *path = request->target;
	size_t path_bytes = strcspn(path, "?");
	size_t prefix_bytes = sizeof CONFIG_PATH - 1;
	if (path_bytes <= prefix_bytes || memcmp(path, CONFIG_PATH, prefix_bytes) != 0)
		return;
	request->is_config = decode(request->ids, sizeof request->ids, path + prefix_bytes,
				    path_bytes - prefix_bytes, 0) == 0 &&
			     !strchr(request->ids, '/');
	const char *query = path + path_bytes + (path[path_bytes] == '?');
	while (*query) {
		size_t bytes = strcspn(query, "&");
		if (bytes)
			parameter_take(request, query, bytes);
		query += bytes + (query[bytes] == '&');
	}
}

/* Cuts the head into NUL-terminated parts in place. Returns 0 or -1. */
static int head_parse(struct request *request)
{
	char *at = request->head;
	char *end = request->head + request->head_bytes - 2; /* the last, empty line */
	*end = 0;
	char *line = strsep(&at, "\n");
	request->method = strsep(&line, " ");
	request->target = line ? strsep(&line, " ") : NULL;
	request->version = line ? strsep(&line, "\r") : NULL;
	if (!request->version || strncmp(request->version, "HTTP/1.", 7) != 0 || request->target[0] != '/')
		return -1;
	while (at && *at) {
		line = strsep(&at, "\n");
		char *colon = strchr(line, ':');
		size_t bytes = strlen(line);
		if (!colon || colon == line || line[bytes - 1] != '\r' ||
		    request->header_count == REQUEST_HEADER_COUNT_MAX)
			return -1;
		while (bytes > 0 && strchr("\r \t", line[bytes - 1]))
			line[--bytes] = 0;
		*colon++ = 0;
		for (char *c = line; *c; c++)
			*c |= *c >= 'A' && *c <= 'Z' ? 0x20 : 0;
		request->names[request->header_count] = line;
		request->values[request->header_count++] = colon + strspn(colon, " \t");
	}
	target_parse(request);
	return 0;
}

enum request_result request_read(struct request *request, struct connection *connection)
{
	memmove(request->head, request->head + request->head_bytes, request->bytes - request->head_bytes);
	request->bytes -= request->head_bytes;
	memset((char *)request + offsetof(struct request, head_bytes), 0,
	       sizeof *request - offsetof(struct request, head_bytes));
	for (;;) {
		char *end = memmem(request->head, request->bytes, "\r\n\r\n", 4);
		if (end) {
			request->head_bytes = (size_t)(end - request->head) + 4;
			if (memchr(request->head, 0, request->head_bytes))
				return REQUEST_MALFORMED;
			return head_parse(request) < 0 ? REQUEST_MALFORMED : REQUEST_COMPLETE;
		}
		if (request->bytes == REQUEST_HEAD_BYTES_MAX)
			return REQUEST_MALFORMED;
		long count = connection_read(connection, request->head + request->bytes,
					     REQUEST_HEAD_BYTES_MAX - request->bytes);
		if (count <= 0)
			return REQUEST_END;
		request->bytes += (size_t)count;
	}
}

const char *request_header(const struct request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++) {
		if (strcmp(request->names[i], name) == 0)
			return request->values[i];
	}
	return NULL;
}

int request_accepts_gzip(const struct request *request)
{
	const char *at = request_header(request, "accept-encoding");
	while (at && *at) {
		at += strspn(at, " \t,");
		size_t bytes = strcspn(at, ",");
		size_t name_bytes = strcspn(at, ",; \t");
		const char *weight = memmem(at, bytes, "q=", 2);
		if ((name_bytes == 4 && strncasecmp(at, "gzip", 4) == 0) || (name_bytes == 1 && *at == '*'))
			return !weight || strtod(weight + 2, NULL) > 0;
		at += bytes;
	}
	return 0;
}

int request_keeps_alive(const struct request *request)
{
	const char *value = request_header(request, "connection");
	if (value && strcasestr(value, "close"))
		return 0;
	return strcmp(request->version, "HTTP/1.1") == 0 || (value && strcasestr(value, "keep-alive"));
}
