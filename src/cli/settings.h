/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run is to do, gathered from flags, YAEGI_HTTP_* and AKAMAI_* variables and .edgerc. Flags win
 * over variables, variables over files.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdint.h>

#include "akamai/credentials.h"
#include "cli/flags.h"
#include "flow/flow.h"
#include "program/program.h"

#define SETTINGS_ERROR_BYTES_MAX 2048
#define SETTINGS_HEADERS_MAX 16
#define SETTINGS_FLAGS_MAX 96  /* rows of settings_flags, with room */
#define SETTINGS_ALLOWED_MAX 7 /* with the main one as many as confinement has ports for */

/* -confine, in the order of its choices. */
enum settings_confine {
	SETTINGS_CONFINE_AUTO,
	SETTINGS_CONFINE_OFF,
};

/* -parse, in the order of its choices. */
enum settings_parse {
	SETTINGS_PARSE_CONTROL,
	SETTINGS_PARSE_FULL,
};

struct settings_server {
	int secure;	     /* https */
	char host[256];	     /* to connect to, and to verify; without brackets */
	char port[8];	     /* decimal */
	char authority[272]; /* for the Host header */
};

struct settings {
	/* as given by flags and variables; see settings.c for the table */
	const char *prog, *allow_host, *state;
	int parse; /* enum settings_parse */
	int64_t duration_ns, cpu_profile_duration_ns;
	const char *out;
	const char *url, *config_id, *cursor, *headers_to_sign;
	int64_t limit, from_unix, max_requests;
	int64_t initial_interval_ns, poll_timeout_ns, poll_interval_ns, offset_ttl_ns, to_lag_ns;
	const char *edgerc, *section, *ca_file;
	const char *sink;
	int format, io, receive, tls_mode, tls_versions, inflate;
	const char *scan;
	int identity, follow, json, quiet, no_profile, help, version;
	int64_t stall_ns, backoff_ns;
	const char *workers;
	int64_t hz, heap_rate_bytes, heap_budget_percent;
	const char *user;
	int confine; /* enum settings_confine */

	int given[SETTINGS_FLAGS_MAX]; /* by row of settings_flags: 1: by a flag or its variable */

	/* worked out from them */
	int interpreted;    /* akamai-prof, not akamai-direct-prof */
	const char *runner; /* which of these names */
	struct program_source program;
	char *program_text; /* allocated; NULL: the program is built in, or there is none */
	struct settings_server server;
	char base_path[1024];
	struct settings_server allowed[SETTINGS_ALLOWED_MAX]; /* for programs */
	size_t allowed_count;
	char *config_ids[FLOW_STREAMS_MAX];
	size_t config_count;
	size_t worker_count; /* 1 to config_count */
	char *header_names[SETTINGS_HEADERS_MAX];
	size_t header_count;
	struct sink_options sink_options;
	struct credentials credentials;
};

enum settings_answer {
	SETTINGS_OK,
	SETTINGS_USAGE,	  /* exit 2: the words are off; `error` says how */
	SETTINGS_FAILURE, /* exit 1: something they name is missing; `error` says what */
	SETTINGS_HELP,
	SETTINGS_VERSION,
};

extern const struct flag settings_flags[];
extern const size_t settings_flag_count;

/* `interpreted` tells the runners apart. Secrets are wiped by settings_finish(). */
enum settings_answer settings_gather(int argc, char **argv, int interpreted, struct settings *ret_settings,
				     char error[static SETTINGS_ERROR_BYTES_MAX]);
/* 1: the flag, or its variable, was given. */
int settings_given(const struct settings *settings, const char *flag);
void settings_finish(struct settings *settings);

#endif
