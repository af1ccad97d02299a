/* SPDX-License-Identifier: Apache-2.0
 *
 * One request head (RFC 9112) and what its path and query ask for. One thread at a time.
 */
#ifndef SIMULATOR_REQUEST_H
#define SIMULATOR_REQUEST_H

#include "simulator/connection.h"

#include <stddef.h>
#include <stdint.h>

#define REQUEST_HEAD_BYTES_MAX 32768
#define REQUEST_HEADER_COUNT_MAX 64
#define REQUEST_IDS_BYTES_MAX 4096
#define REQUEST_OFFSET_BYTES_MAX 8192

struct request {
	char head[REQUEST_HEAD_BYTES_MAX + 1];
	size_t bytes; /* may hold the start of the next request, too */
	size_t head_bytes;

	const char *method;
	const char *target; /* path and query as sent */
	const char *version;
	size_t header_count;
	const char *names[REQUEST_HEADER_COUNT_MAX];
	const char *values[REQUEST_HEADER_COUNT_MAX];

	/* From the target, percent-decoded. */
	int is_config; /* the path is /siem/v1/configs/{ids} */
	char ids[REQUEST_IDS_BYTES_MAX];
	int has_offset;
	char offset[REQUEST_OFFSET_BYTES_MAX];
	int has_from, has_to, has_limit;
	int64_t from_s, to_s, limit; /* -1: not a number */
	int unknown_parameter;
};

enum request_result { REQUEST_COMPLETE, REQUEST_END, REQUEST_MALFORMED };

/* Reads the next head. Bytes after the previous one are kept. */
enum request_result request_read(struct request *request, struct connection *connection);
/* The first such header, name in lower case; NULL when there is none. */
const char *request_header(const struct request *request, const char *name);
/* Accept-Encoding allows gzip (RFC 9110, 12.5.3). */
int request_accepts_gzip(const struct request *request);
int request_keeps_alive(const struct request *request);

#endif
