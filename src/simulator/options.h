/* SPDX-License-Identifier: Apache-2.0
 *
 * What the person asked for on the command line. Strings point into argv or are constants.
 */
#ifndef SIMULATOR_OPTIONS_H
#define SIMULATOR_OPTIONS_H

#include "simulator/faults.h"

#include <stddef.h>
#include <stdint.h>

#define OPTIONS_CONFIG_ID_COUNT_MAX 64 /* one feed and one prepared pool share each */
#define OPTIONS_CONFIG_ID_BYTES_MAX 32
#define OPTIONS_SEARCH_DEPTH_NS (INT64_C(12) * 3600 * 1000000000) /* the API keeps 12 h */

#define OPTIONS_CLIENT_TOKEN "akab-simulatorclient00-simulatorclient0"
#define OPTIONS_CLIENT_SECRET "c2ltdWxhdG9yLW9ubHktbm90LWEtc2VjcmV0MTIzNDU="
#define OPTIONS_ACCESS_TOKEN "akab-simulatoraccess00-simulatoraccess0"

enum event_size { EVENT_SIZE_FULL, EVENT_SIZE_LEAN };
enum content { CONTENT_AUTO, CONTENT_POOL, CONTENT_UNIQUE };
enum framing { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_CLOSE };
enum context_style { CONTEXT_COMPACT, CONTEXT_BLANKS, CONTEXT_QUOTED, CONTEXT_REORDERED };
enum tls_versions { TLS_VERSIONS_ALL, TLS_VERSIONS_1_2, TLS_VERSIONS_1_3 };
enum key_type { KEY_TYPE_EC, KEY_TYPE_RSA };

struct id_list {
	char ids[OPTIONS_CONFIG_ID_COUNT_MAX][OPTIONS_CONFIG_ID_BYTES_MAX];
	size_t count;
};

struct options {
	const char *listen;
	const char *port_file;
	int plain;
	const char *certificate;
	const char *key;
	const char *ca_out;
	int key_type;
	int tls_versions;
	const char *ciphers;
	uint64_t record_bytes;

	const char *client_token;
	const char *client_secret;
	const char *access_token;
	const char *headers_to_sign;
	const char *edgerc_out;
	int no_auth;

	struct id_list configs;
	struct id_list forbidden;
	uint64_t events; /* 0: endless */
	int event_size;
	int content;
	uint64_t rate_per_s; /* 0: everything is stored before the start */
	int64_t backlog_ns;
	uint64_t epoch_s; /* 0: the start of the program */
	uint64_t seed;

	uint64_t gzip_level;
	int no_gzip;
	int multi_member;
	int crlf;
	int blank_lines;
	int context_style;
	uint64_t page_slack_percent;
	uint64_t bucket_events;
	uint64_t prepare_events;
	uint64_t cache_mib;

	int framing;
	uint64_t chunk_bytes;
	uint64_t pace_per_s;
	int64_t answer_limit_ns;
	uint64_t max_requests;
	uint64_t connections_max;

	const char *truth;
	const char *request_log;
	struct fault_plan faults[FAULT_PLAN_COUNT_MAX];
	size_t fault_count;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* help was printed: exit 0 */
	OPTIONS_WRONG, /* the mistake was explained on stderr: exit 2 */
};

enum options_result options_parse(struct options *options, int argc, char **argv);

#endif
