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
#define HTTP_HEAD_BYTES_MAX 32768	  /* twice what nginx and Jetty send at most by default */
#define HTTP_HEADER_COUNT_MAX 128	  /* in one head; common servers allow 100 */
#define HTTP_INTERIM_COUNT_MAX 8	  /* 1xx answers before the real one */
#define HTTP_CHUNK_LINE_BYTES_MAX 4096	  /* size, extensions and CRLF; nobody sends a tenth of it */
#define HTTP_TRAILER_BYTES_MAX 16384	  /* half a head: trailers are rarer and shorter */
#define HTTP_VALUE_BYTES_MAX 256	  /* kept copies of Location and Content-Type are cut here */
#define HTTP_REQUEST_HEAD_BYTES_MAX 40960 /* a URL of 16 KB and as many header lines: servers refuse more */
#define HTTP_RETRY_AFTER_SECONDS_MAX 31536000 /* a year; in nanoseconds it adds to any clock */

/* One header line to send. */
struct http_header {
	struct span name;
	struct span value;
};

struct http_request {
	const char *method; /* "GET", "POST" */
	const char *host;   /* for the Host line, with the port where it is not the scheme's own */
	const char *target; /* path and query, escaped */
	const struct http_header *headers;
	size_t header_count;
	struct span body; /* base NULL: none */
};

/* Writes "<method> <target> HTTP/1.1" with Host, the headers, a Content-Length where there is a body (or the
 * method wants one: POST), and the body into `out`. Returns the bytes, or 0 when a part holds bytes that HTTP
 * forbids there (CR, LF, NUL, blanks in the target), the target does not begin with "/", a header is Host or
 * gives a body length, or it does not fit. */
size_t http_request_write(const struct http_request *request, char *out, size_t out_bytes);

enum http_encoding {
	HTTP_ENCODING_IDENTITY,
	HTTP_ENCODING_GZIP,
};

struct http_response {
	/* Valid once http_head_done(); copied, so they outlive the input. Of repeated
	 * lines the first counts. */
	int status;	   /* 100..999 */
	int minor_version; /* 0 or 1 */
	int keep_alive;	   /* the connection may be used again once the body is done */
	int chunked;
	int64_t content_length; /* -1: not given */
	enum http_encoding encoding;
	int64_t date_unix;	     /* Date header, seconds; -1: none or not a date */
	int64_t retry_after_seconds; /* Retry-After as seconds from Date/now; -1: none; a past date is 0 */
	char content_type[HTTP_VALUE_BYTES_MAX]; /* printable ASCII, "" when absent */
	char location[HTTP_VALUE_BYTES_MAX];	 /* likewise */
	uint64_t body_bytes;			 /* body bytes handed out so far */
	uint64_t head_bytes;			 /* where the body begins: all heads, interim ones included */

	/* Sees each well-formed header line of the response (not of interim ones): the name as it came, the
	 * value without blanks around it, both lent for the call. Set it behind http_response_begin(), which
	 * forgets it; NULL: nobody looks. */
	void (*header_seen)(void *owner, struct span name, struct span value);
	void *header_owner;

	/* http's own from here */
	enum fault fault;
	unsigned state;
	unsigned seen;
	unsigned interim_count;
	unsigned header_count;
	int head_done;
	int line_waits;	 /* line[] is a whole header line, unless the next one continues it */
	uint64_t offset; /* bytes consumed */
	uint64_t fault_offset;
	uint64_t line_offset;	   /* where the line being read began */
	uint64_t left_bytes;	   /* of the body or the chunk */
	size_t section_left_bytes; /* until the head, size line or trailer is too large */
	size_t line_bytes;
	int64_t now_unix;
	int64_t retry_after_unix;
	uint8_t line[HTTP_HEAD_BYTES_MAX];
};

/* Prepares for the response to one request. `now_unix` resolves Retry-After dates when Date is absent. */
void http_response_begin(struct http_response *response, int64_t now_unix);

/* Consumes input. When it returns with ret_body->bytes > 0 those body bytes (chunk-decoded, not
 * inflated) point into the consumed input and are lent until the input is reused; call again, even when no
 * input is left: DONE and BROKEN come without bytes, so the last span is not the last answer.
 * HUNGRY: all input consumed. DONE: the response is complete; what follows in `in` belongs to the next one.
 * BROKEN: http_fault(). FULL is never returned: a body span takes its place (STEP_HUNGRY with bytes).
 * When the head is well-formed but its body cannot be read (HTTP_LENGTH, HTTP_ENCODING), http_head_done()
 * is true all the same: the status may say more than the body would have. */
enum step http_response_push(struct http_response *response, struct cursor_in *in, struct span *ret_body);

/* The transport ended. FAULT_NONE when that legally ends the body (close-delimited) or it was done. */
enum fault http_response_end(struct http_response *response);

int http_head_done(const struct http_response *response);
enum fault http_fault(const struct http_response *response);
/* Byte offset, from the start of the response, at which the fault was seen: the bad byte, or the beginning
 * of the bad line. The same for every split of the input. */
uint64_t http_offset(const struct http_response *response);

/* An HTTP date in any of the three forms of RFC 9110 5.6.7, to seconds since 1970. -1: not a date, or one
 * before 1970. */
int64_t http_date_parse(struct span text);

#endif
