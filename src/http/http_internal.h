/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of http share: states, character classes and the text helpers of RFC 9110 section 5.6.
 */
#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include "http/http.h"

/* What the next input byte belongs to. The order matters: up to HTTP_STATE_FIELDS it is the head. */
enum http_state {
	HTTP_STATE_PREFIX, /* "HTTP/1." */
	HTTP_STATE_STATUS, /* the rest of the status line */
	HTTP_STATE_FIELDS,
	HTTP_STATE_BODY_LENGTH, /* left_bytes bytes of body */
	HTTP_STATE_BODY_CLOSE,	/* body until the transport ends */
	HTTP_STATE_CHUNK_FIRST, /* the first digit of a chunk size */
	HTTP_STATE_CHUNK_SIZE,	/* more digits */
	HTTP_STATE_CHUNK_BLANK, /* blanks behind the digits */
	HTTP_STATE_CHUNK_EXTENSION,
	HTTP_STATE_CHUNK_LF,   /* the LF that ends the size line */
	HTTP_STATE_CHUNK_DATA, /* left_bytes bytes of body */
	HTTP_STATE_DATA_CR,    /* the CR LF behind the data */
	HTTP_STATE_DATA_LF,
	HTTP_STATE_TRAILER,
	HTTP_STATE_DONE,
	HTTP_STATE_BROKEN,
};

/* What the header lines of one head said, judged together at its end (http_response.seen). */
enum http_seen {
	HTTP_SEEN_CLOSE = 1 << 0,
	HTTP_SEEN_KEEP_ALIVE = 1 << 1,
	HTTP_SEEN_TRANSFER = 1 << 2,	 /* Transfer-Encoding, whatever it says */
	HTTP_SEEN_TRANSFER_BAD = 1 << 3, /* ... something else than "chunked" once */
	HTTP_SEEN_LENGTH_BAD = 1 << 4,	 /* Content-Length malformed, or two that differ */
	HTTP_SEEN_CONTENT_BAD = 1 << 5,	 /* Content-Encoding that nobody here can decode */
	HTTP_SEEN_DATE = 1 << 6,	 /* the first of these four counts, later ones are ignored */
	HTTP_SEEN_RETRY = 1 << 7,
	HTTP_SEEN_TYPE = 1 << 8,
	HTTP_SEEN_LOCATION = 1 << 9,
};

/* Character classes, one bit each. */
enum http_class {
	HTTP_CLASS_TOKEN = 1 << 0,  /* RFC 9110 5.6.2 tchar */
	HTTP_CLASS_VALUE = 1 << 1,  /* RFC 9110 5.5: HTAB, SP, VCHAR, obs-text */
	HTTP_CLASS_TARGET = 1 << 2, /* VCHAR without "#", which ends a request target */
	HTTP_CLASS_HOST = 1 << 3,   /* RFC 3986 3.2.2 and 3.2.3: reg-name, IP-literal, port */
};

extern const uint8_t http_classes[256];

static inline int http_is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

/* All bytes of `text` are of the class; so are those of an empty one. */
int http_all_of(struct span text, enum http_class class);
/* `text` without the blanks around it. */
struct span http_trim(struct span text);
/* `text` is `lower`, a lower-case word of letters and "-", in any case. Control characters must have been
 * refused before. */
int http_is_word(struct span text, const char *lower);
/* Takes the next element, trimmed and possibly empty, off a comma-separated list. 0 at its end. */
int http_list_next(struct span *list, struct span *ret_element);

/* Takes `bytes` off the input. */
static inline void http_advance(struct http_response *response, struct cursor_in *in, size_t bytes)
{
	in->next += bytes;
	response->offset += bytes;
}

/* Sticky. `offset` is where a person should look. */
void http_break(struct http_response *response, enum fault fault, uint64_t offset);
/* Takes one line with its LF, within section_left_bytes. It is lent from the input when it is whole there,
 * else gathered in response->line (line_bytes > 0). 0: the input or the section's limit ended first. */
int http_line_take(struct http_response *response, struct cursor_in *in, struct span *ret_line);

/* One header line without its line end. 0: malformed. field.c */
int http_field_split(struct span line, struct span *ret_name, struct span *ret_value);
/* Notes what the line says about this response. */
void http_field_take(struct http_response *response, struct span name, struct span value);

/* Everything between the data of one chunk and the data of the next. chunk.c */
void http_chunk_push(struct http_response *response, struct cursor_in *in);

#endif
