/* SPDX-License-Identifier: Apache-2.0
 *
 * http: writes one HTTP/1.1 request and splits one response into head and body bytes (RFC 9110, 9112).
 * No sockets, no allocation; body spans point into the caller's input.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/span.h"

/* Limits, each with its reason. */
#define HTTP_HEAD_BYTES_MAX 32768    /* twice what nginx and Jetty send at most by default */
#define HTTP_HEADER_COUNT_MAX 128
#define HTTP_INTERIM_COUNT_MAX 8     /* 1xx answers before the real one */
#define HTTP_CHUNK_LINE_BYTES_MAX 4096 /* size, extensions and CRLF */
#define HTTP_TRAILER_BYTES_MAX 16384
#define HTTP_VALUE_BYTES_MAX 256     /* kept copies of Location and Content-Type are cut here */
#define HTTP_REQUEST_BYTES_MAX 16384

/* One header line to send. */
struct http_header {
	const char *name;
	struct span value;
};

/* Writes "GET <target> HTTP/1.1" with Host and the headers into `out`. Returns the bytes, or 0 when a
 * part holds bytes that HTTP forbids there (CR, LF, NUL, blanks in the target) or it does not fit. */
size_t http_request_write(const char *host, const char *target, const struct http_header *headers,
			  size_t header_count, char *out, size_t out_bytes);

enum http_encoding {
	HTTP_ENCODING_IDENTITY,
	HTTP_ENCODING_GZIP,
};

struct http_response {
	/* Valid once http_head_done(); copied, so they outlive the input. */
	int status;                  /* 100..999 */
	int minor_version;           /* 0 or 1 */
	int keep_alive;              /* the connection may be used again once the body is done */
	int chunked;
	int64_t content_length;      /* -1: not given */
	enum http_encoding encoding;
	int64_t date_unix;           /* Date header, seconds; -1: none or not a date */
	int64_t retry_after_seconds; /* Retry-After as seconds from Date/now; -1: none */
	char content_type[HTTP_VALUE_BYTES_MAX];
	char location[HTTP_VALUE_BYTES_MAX];
	uint64_t body_bytes;         /* body bytes handed out so far */
	uint64_t head_bytes;

	/* http's own from here */
	enum fault fault;
	uint64_t offset;
	unsigned state;
	unsigned interim_count;
	unsigned header_count;
	uint64_t left_bytes;
	size_t line_bytes;
	int64_t now_unix;
	uint64_t private_state[8];
	char line[HTTP_HEAD_BYTES_MAX];
};

/* Prepares for the response to one request. `now_unix` resolves Retry-After dates when Date is absent. */
void http_response_begin(struct http_response *response, int64_t now_unix);

/* Consumes input. When it returns with ret_body->bytes > 0 those body bytes (still chunk-decoded, not
 * inflated) point into the consumed input and are lent until the input is reused; call again.
 * HUNGRY: all input consumed. DONE: the response is complete; what follows in `in` belongs to the next one.
 * BROKEN: http_fault(). FULL is never returned: a body span takes its place (STEP_HUNGRY with bytes). */
enum step http_response_push(struct http_response *response, struct cursor_in *in,
			     struct span *ret_body);

/* The transport ended. FAULT_NONE when that legally ends the body (close-delimited) or it was done. */
enum fault http_response_end(struct http_response *response);

int http_head_done(const struct http_response *response);
enum fault http_fault(const struct http_response *response);
/* Byte offset, from the start of the response, at which the fault was seen. */
uint64_t http_offset(const struct http_response *response);

/* An HTTP date in any of the three forms of RFC 9110 5.6.7, to seconds since 1970. -1: not a date. */
int64_t http_date_parse(struct span text);

#endif
