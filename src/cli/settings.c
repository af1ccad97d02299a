/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/settings_private.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/duration.h"
#include "cli/inflate_command.h"
#include "flow/fleet.h"
#include "profiler/profiler.h"

#define AT(member) offsetof(struct settings, member)
#define SECONDS(n) ((n)*NS_PER_SECOND)
#define DAY_NS (86400 * NS_PER_SECOND)

const struct flag settings_flags[] = {
	{ "", FLAG_SECTION, 0, NULL, "The run", NULL, 0, 0 },
	{ "duration", FLAG_DURATION, AT(duration_ns), "D", "how long to run (default 2m)", NULL, 1,
	  365 * DAY_NS },
	{ "cpu-profile-duration", FLAG_DURATION, AT(cpu_profile_duration_ns), "D",
	  "CPU profile window, from half time on (default 30s, or a quarter of a shorter run)", NULL, 1,
	  365 * DAY_NS },
	{ "out", FLAG_TEXT, AT(out), "DIR",
	  "folder for run.json and profiles (default profiles; direct: profiles-direct)", NULL, 0, 0 },
	{ "no-profile", FLAG_SWITCH, AT(no_profile), NULL, "run without profiles", NULL, 0, 0 },
	{ "prog", FLAG_TEXT, AT(prog), "FILE",
	  "run this Lua program (default: the built-in one; akamai-direct-prof has none and ignores it)",
	  NULL, 0, 0 },
	{ "allow-host", FLAG_TEXT, AT(allow_host), "HOSTS",
	  "other hosts that the program may talk to, beside the URL's, comma-separated", NULL, 0, 0 },
	{ "parse", FLAG_CHOICE, AT(parse), NULL,
	  "read the fields that steer us (control), or decode every event (full; implies -format message)",
	  "control|full", 0, 0 },
	{ "state", FLAG_TEXT, AT(state), "DIR", "keep each stream's cursor (ctx.state) there between runs",
	  NULL, 0, 0 },
	{ "follow", FLAG_SWITCH, AT(follow), NULL,
	  "when the feed is drained wait for more, instead of ending", NULL, 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "Profiles, and the rights that are given up", NULL, 0, 0 },
	{ "hz", FLAG_INTEGER, AT(hz), "N",
	  "CPU samples a second and thread (default 99; above 499 it costs over 1 %)", NULL, 1,
	  PROFILER_HZ_MAX },
	{ "heap-rate", FLAG_INTEGER, AT(heap_rate_bytes), "BYTES",
	  "a heap sample each so many bytes; 1: every allocation (default), 0: none", NULL, 0,
	  PROFILER_HEAP_RATE_BYTES_MAX },
	{ "heap-budget", FLAG_INTEGER, AT(heap_budget_percent), "PERCENT",
	  "of a CPU that heap tracking may cost before it is given up (default 5)", NULL, 1, 100 },
	{ "user", FLAG_TEXT, AT(user), "NAME",
	  "when started as root, collect as this user (default: SUDO_UID's, else nobody)", NULL, 0, 0 },
	{ "confine", FLAG_CHOICE, AT(confine), NULL,
	  "give up rights before the network is used (auto), or keep them", "auto|off", 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "What to ask (the variable in brackets means the same)", NULL, 0, 0 },
	{ "url", FLAG_TEXT, AT(url), "URL", "https://HOST/siem/v1 [YAEGI_HTTP_URL]", NULL, 0, 0 },
	{ "config-id", FLAG_TEXT, AT(config_id), "IDS",
	  "configIds, comma-separated: a stream each; \"1;2\" is one stream of both [YAEGI_HTTP_CONFIG_ID]",
	  NULL, 0, 0 },
	{ "limit", FLAG_INTEGER, AT(limit), "N", "events per request (default 1000) [YAEGI_HTTP_LIMIT]", NULL,
	  1, PLAN_LIMIT_MAX },
	{ "from", FLAG_INTEGER, AT(from_unix), "T", "start at this epoch second [YAEGI_HTTP_FROM]", NULL, 0,
	  INT64_C(1) << 40 },
	{ "initial-interval", FLAG_DURATION, AT(initial_interval_ns), "D",
	  "start this far back (default 1h; the API keeps 12h) [YAEGI_HTTP_INITIAL_INTERVAL]", NULL,
	  NS_PER_SECOND, DAY_NS },
	{ "cursor", FLAG_TEXT, AT(cursor), "OFFSET", "start at this offset token [YAEGI_HTTP_CURSOR]", NULL,
	  0, 0 },
	{ "max-requests", FLAG_INTEGER, AT(max_requests), "N",
	  "end after N pages; 0: no limit [YAEGI_HTTP_MAX_REQUESTS]", NULL, 0, INT64_MAX },
	{ "poll-timeout", FLAG_DURATION, AT(poll_timeout_ns), "D",
	  "no new request after this (default: the duration less 5s) [YAEGI_HTTP_POLL_TIMEOUT]", NULL, 1,
	  365 * DAY_NS },
	{ "poll-interval", FLAG_DURATION, AT(poll_interval_ns), "D",
	  "pause between requests [YAEGI_HTTP_POLL_INTERVAL]", NULL, 0, DAY_NS },
	{ "offset-ttl", FLAG_DURATION, AT(offset_ttl_ns), "D",
	  "after this long without success go by time; 0: never (default 2m) [YAEGI_HTTP_OFFSET_TTL]", NULL,
	  0, 365 * DAY_NS },
	{ "to-lag", FLAG_DURATION, AT(to_lag_ns), "D",
	  "`to` is now less this; 0: no `to` (default 5s) [YAEGI_HTTP_TO_LAG]", NULL, 0, DAY_NS },
	{ "headers-to-sign", FLAG_TEXT, AT(headers_to_sign), "NAMES",
	  "sent headers to sign too [YAEGI_HTTP_HEADERS_TO_SIGN]", NULL, 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "Credentials and trust", NULL, 0, 0 },
	{ "edgerc", FLAG_TEXT, AT(edgerc), "FILE", "credentials file (default ~/.edgerc)", NULL, 0, 0 },
	{ "section", FLAG_TEXT, AT(section), "NAME", "its section (default \"default\")", NULL, 0, 0 },
	{ "ca-file", FLAG_TEXT, AT(ca_file), "FILE",
	  "trust these CAs (default: SSL_CERT_FILE, else the system's)", NULL, 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "Output", NULL, 0, 0 },
	{ "sink", FLAG_TEXT, AT(sink), "SINK", "null (count only, default), stdout, or file:PATH", NULL, 0,
	  0 },
	{ "format", FLAG_CHOICE, AT(format), NULL,
	  "raw lines, or {\"message\": \"...\"} (default raw; message with -parse full)", "raw|message", 0,
	  0 },
	{ "json", FLAG_SWITCH, AT(json), NULL, "print the summary as JSON on stdout", NULL, 0, 0 },
	{ "quiet", FLAG_SWITCH, AT(quiet), NULL, "no progress", NULL, 0, 0 },

	{ "", FLAG_SECTION, 0, NULL, "How", NULL, 0, 0 },
	{ "workers", FLAG_TEXT, AT(workers), "N",
	  "threads that share the streams (default auto: a CPU each, as long as there are streams)", NULL, 0,
	  0 },
	{ "io", FLAG_CHOICE, AT(io), NULL, "I/O engine (auto: io_uring, else poll with a notice)",
	  "auto|uring|poll", 0, 0 },
	{ "receive", FLAG_CHOICE, AT(receive), NULL, "into registered buffers, or plain recv",
	  "auto|fixed|plain", 0, 0 },
	{ "tls", FLAG_CHOICE, AT(tls_mode), NULL, "who opens TLS records", "auto|ktls|inplace|ssl", 0, 0 },
	{ "tls-versions", FLAG_CHOICE, AT(tls_versions), NULL, "TLS versions to offer", "all|1.2|1.3", 0, 0 },
	{ "inflate", FLAG_CHOICE, AT(inflate), NULL,
	  "gzip decoder: ours (auto and own; own-c without assembly), or a library for a second opinion",
	  INFLATE_CHOICES, 0, 0 },
	{ "scan", FLAG_TEXT, AT(scan), "KERNEL",
	  "line scanner: avx512, avx2, sse2, neon, scalar (default: the best)", NULL, 0, 0 },
	{ "identity", FLAG_SWITCH, AT(identity), NULL, "do not ask for gzip", NULL, 0, 0 },
	{ "stall-timeout", FLAG_DURATION, AT(stall_ns), "D",
	  "silence after which a connection is given up (default 60s)", NULL, NS_PER_MS, DAY_NS },
	{ "backoff", FLAG_DURATION, AT(backoff_ns), "D",
	  "first pause after a failure, doubles to 1m (default 1s)", NULL, NS_PER_MS, SECONDS(60) },
	{ "help", FLAG_SWITCH, AT(help), NULL, "this text", NULL, 0, 0 },
	{ "version", FLAG_SWITCH, AT(version), NULL, "the version", NULL, 0, 0 },
};
const size_t settings_flag_count = sizeof settings_flags / sizeof *settings_flags;

int settings_error(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, SETTINGS_ERROR_BYTES_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

/* Twelve of the fifteen variables are flags too; the other three are the credentials. */
static const struct {
	const char *variable;
	const char *flag;
} settings_variables[] = {
	{ "YAEGI_HTTP_URL", "url" },
	{ "YAEGI_HTTP_CONFIG_ID", "config-id" },
	{ "YAEGI_HTTP_LIMIT", "limit" },
	{ "YAEGI_HTTP_INITIAL_INTERVAL", "initial-interval" },
	{ "YAEGI_HTTP_FROM", "from" },
	{ "YAEGI_HTTP_POLL_TIMEOUT", "poll-timeout" },
	{ "YAEGI_HTTP_MAX_REQUESTS", "max-requests" },
	{ "YAEGI_HTTP_POLL_INTERVAL", "poll-interval" },
	{ "YAEGI_HTTP_OFFSET_TTL", "offset-ttl" },
	{ "YAEGI_HTTP_TO_LAG", "to-lag" },
	{ "YAEGI_HTTP_CURSOR", "cursor" },
	{ "YAEGI_HTTP_HEADERS_TO_SIGN", "headers-to-sign" },
};

static const char *variable_lookup(const char *name)
{
	return getenv(name);
}

/* Flags that were given win, so their variables are not even looked at. */
static int settings_from_variables(struct settings *settings, char *error)
{
	for (size_t i = 0; i < sizeof settings_variables / sizeof *settings_variables; i++) {
		const char *name = settings_variables[i].variable;
		const char *text = getenv(name);
		if (!text || !*text)
			continue;
		for (size_t k = 0; k < settings_flag_count; k++) {
			if (settings->given[k] ||
			    strcmp(settings_flags[k].name, settings_variables[i].flag) != 0)
				continue;
			if (flag_set(&settings_flags[k], text, settings, name, error) < 0)
				return -1;
			settings->given[k] = 1;
		}
	}
	return 0;
}

int settings_list(const char *text, char **parts, size_t parts_max, size_t *ret_count)
{
	*ret_count = 0;
	while (*text) {
		size_t bytes = strcspn(text, ",");
		const char *part = text;
		size_t part_bytes = bytes;
		while (part_bytes && *part == ' ')
			part++, part_bytes--;
		while (part_bytes && part[part_bytes - 1] == ' ')
			part_bytes--;
		if (part_bytes) {
			if (*ret_count == parts_max)
				return -1;
			parts[(*ret_count)++] = strndup(part, part_bytes);
		}
		text += bytes + (text[bytes] == ',');
	}
	return 0;
}

/* The CPUs that we may run on. */
static size_t cpus_allowed(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (size_t)CPU_COUNT(&set);
	long online = sysconf(_SC_NPROCESSORS_ONLN); /* more of them than the set has bits */
	return online > 0 ? (size_t)online : 1;
}

/* More workers than streams would have nothing to do. */
static int settings_workers(struct settings *settings, char *error)
{
	size_t wanted = cpus_allowed();
	if (settings->workers && strcmp(settings->workers, "auto") != 0) {
		char *end;
		unsigned long number = strtoul(settings->workers, &end, 10);
		if (settings->workers[0] < '0' || settings->workers[0] > '9' || *end || number == 0 ||
		    number > FLEET_WORKERS_MAX)
			return settings_error(error,
					      "-workers takes auto or a number from 1 to %d, not \"%s\"",
					      FLEET_WORKERS_MAX, settings->workers);
		wanted = number;
	}
	settings->worker_count = wanted < settings->config_count ? wanted : settings->config_count;
	return 0;
}

static int settings_lists(struct settings *settings, char *error)
{
	if (settings_list(settings->config_id, settings->config_ids, FLOW_STREAMS_MAX,
			  &settings->config_count) < 0) {
		snprintf(error, SETTINGS_ERROR_BYTES_MAX, "-config-id: at most %d streams in one process",
			 FLOW_STREAMS_MAX);
		return -1;
	}
	if (settings->config_count == 0)
		return settings_error(error, "-config-id names no configId");
	for (size_t i = 0; i < settings->config_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(settings->config_ids[i], settings->config_ids[k]) == 0)
				return settings_error(error,
						      "-config-id names %s twice: one reader per configId",
						      settings->config_ids[i]);
	if (settings->cursor && *settings->cursor && settings->config_count > 1)
		return settings_error(error, "-cursor belongs to one configId, but -config-id names several");
	if (settings->headers_to_sign && settings_list(settings->headers_to_sign, settings->header_names,
						       SETTINGS_HEADERS_MAX, &settings->header_count) < 0)
		return settings_error(error, "-headers-to-sign names too many headers");
	return 0;
}

/* The budget in which a request may begin, as the Go original sets it. */
static int64_t poll_timeout_default(int64_t duration_ns)
{
	if (duration_ns <= SECONDS(2))
		return duration_ns;
	return duration_ns - (duration_ns <= SECONDS(20) ? SECONDS(1) : SECONDS(5));
}

static int settings_durations(struct settings *settings, char *error)
{
	char total[DURATION_TEXT_BYTES_MAX];
	char window[DURATION_TEXT_BYTES_MAX];
	if (settings->cpu_profile_duration_ns == 0) {
		int64_t quarter_ns = settings->duration_ns / 4;
		settings->cpu_profile_duration_ns = quarter_ns < SECONDS(30) ? quarter_ns : SECONDS(30);
	}
	if (settings->duration_ns <= settings->cpu_profile_duration_ns)
		return settings_error(error, "-duration (%s) must be longer than -cpu-profile-duration (%s)",
				      duration_format(settings->duration_ns, total),
				      duration_format(settings->cpu_profile_duration_ns, window));
	if (settings->poll_timeout_ns == 0)
		settings->poll_timeout_ns = poll_timeout_default(settings->duration_ns);
	return 0;
}

static int settings_sink(struct settings *settings, char *error)
{
	if (!settings->out[0])
		return settings_error(error, "-out names no folder; -out . is this one");
	if (sink_parse(settings->sink, &settings->sink_options) < 0)
		return settings_error(error, "-sink is null, stdout or file:PATH, not \"%s\"",
				      settings->sink);
	if (settings->format < 0)
		settings->format = settings->parse == SETTINGS_PARSE_FULL ? SINK_MESSAGE : SINK_RAW;
	settings->sink_options.format = (enum sink_format)settings->format;
	if (settings->state && !settings->state[0])
		return settings_error(error, "-state names no folder; -state . is this one");
	if (settings->prog && !settings->prog[0])
		return settings_error(error, "-prog names no file");
	settings->sink_options.output_fd = 1;
	if (settings->json && settings->sink_options.kind == SINK_STDOUT)
		return settings_error(error, "-json and -sink stdout both want stdout; use -sink file:PATH");
	return 0;
}

static void settings_defaults(struct settings *settings, int interpreted)
{
	*settings = (struct settings){
		.duration_ns = SECONDS(120),
		.interpreted = interpreted,
		.runner = interpreted ? "akamai-prof" : "akamai-direct-prof",
		.out = interpreted ? "profiles" : "profiles-direct",
		.config_id = "1",
		.limit = 1000,
		.initial_interval_ns = SECONDS(3600),
		.offset_ttl_ns = SECONDS(120),
		.to_lag_ns = SECONDS(5),
		.sink = "null",
		.format = -1, /* as the parsing level has it */
		.stall_ns = FLOW_STALL_NS,
		.backoff_ns = NS_PER_SECOND,
		.hz = PROFILER_HZ_DEFAULT,
		.heap_rate_bytes = 1, /* the collector allocates little: all of it can be seen */
		.heap_budget_percent = 5,
	};
}

/* A program for another API may need none, or have them in variables of its own. */
static int settings_credentials(struct settings *settings, char *error)
{
	struct credentials_query query = {
		.edgerc_path = settings->edgerc,
		.edgerc_section = settings->section,
		.lookup = variable_lookup,
	};
	if (credentials_find(&query, &settings->credentials, error) == 0)
		return 0;
	if (!settings->interpreted || !settings->prog || settings->edgerc || settings->section)
		return -1;
	settings->credentials = (struct credentials){ .source = "the program's own variables" };
	return 0;
}

enum settings_answer settings_gather(int argc, char **argv, int interpreted, struct settings *ret_settings,
				     char error[static SETTINGS_ERROR_BYTES_MAX])
{
	struct settings *settings = ret_settings;
	settings_defaults(settings, interpreted);
	CHECK_LE(settings_flag_count, (size_t)SETTINGS_FLAGS_MAX);
	if (flags_parse(settings_flags, settings_flag_count, argc, argv, settings, settings->given, error) <
	    0)
		return SETTINGS_USAGE;
	if (settings->help)
		return SETTINGS_HELP;
	if (settings->version)
		return SETTINGS_VERSION;
	if (settings_from_variables(settings, error) < 0)
		return SETTINGS_USAGE;
	if (settings_durations(settings, error) < 0 || settings_lists(settings, error) < 0 ||
	    settings_workers(settings, error) < 0 || settings_sink(settings, error) < 0)
		return SETTINGS_USAGE;
	/* A wrong URL is a usage error even when credentials are missing too. */
	if (settings->url && *settings->url && settings_server(settings, error) < 0)
		return SETTINGS_USAGE;
	if (settings_allowed(settings, error) < 0)
		return SETTINGS_USAGE;
	if (settings_program(settings, error) < 0 || settings_credentials(settings, error) < 0)
		return SETTINGS_FAILURE;
	if (settings_server(settings, error) < 0)
		return SETTINGS_USAGE;
	return SETTINGS_OK;
}

int settings_given(const struct settings *settings, const char *flag)
{
	for (size_t k = 0; k < settings_flag_count; k++)
		if (strcmp(settings_flags[k].name, flag) == 0)
			return settings->given[k];
	return 0;
}

void settings_finish(struct settings *settings)
{
	for (size_t i = 0; i < settings->config_count; i++)
		free(settings->config_ids[i]);
	for (size_t i = 0; i < settings->header_count; i++)
		free(settings->header_names[i]);
	free(settings->program_text);
	explicit_bzero(settings, sizeof *settings);
}
