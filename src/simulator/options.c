/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line, driven by one table.
 */
#include "simulator/options.h"

#include "base/duration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRONG_TEXT_BYTES 256
#define OPTION_NAME_BYTES_MAX 48

enum kind {
	KIND_HEADING,
	KIND_FLAG,
	KIND_TEXT,
	KIND_NUMBER,
	KIND_SECONDS,
	KIND_CHOICE,
	KIND_IDS,
	KIND_FAULT,
	KIND_LIST_FAULTS,
	KIND_HELP,
};

struct option_description {
	enum kind kind;
	const char *name;
	const char *argument; /* for KIND_CHOICE the choices in enum order, joined with '|' */
	size_t place;
	const char *help;
	uint64_t number_min;
	uint64_t number_max;
};

#define AT(member) offsetof(struct options, member)
#define HEADING(text)                                                                                        \
	{                                                                                                    \
		KIND_HEADING, text, NULL, 0, NULL, 0, 0                                                      \
	}
#define FLAG(name, member, help)                                                                             \
	{                                                                                                    \
		KIND_FLAG, name, NULL, AT(member), help, 0, 0                                                \
	}
#define TEXT(name, argument, member, help)                                                                   \
	{                                                                                                    \
		KIND_TEXT, name, argument, AT(member), help, 0, 0                                            \
	}
#define NUMBER(name, argument, member, min, max, help)                                                       \
	{                                                                                                    \
		KIND_NUMBER, name, argument, AT(member), help, min, max                                      \
	}
#define SECONDS(name, member, min_s, max_s, help)                                                            \
	{                                                                                                    \
		KIND_SECONDS, name, "DURATION", AT(member), help, min_s, max_s                               \
	}
#define CHOICE(name, choices, member, help)                                                                  \
	{                                                                                                    \
		KIND_CHOICE, name, choices, AT(member), help, 0, 0                                           \
	}

static const struct option_description table[] = {
	HEADING("Where it listens"),
	TEXT("listen", "HOST:PORT", listen, "address; port 0 takes a free one (default 127.0.0.1:0)"),
	TEXT("port-file", "FILE", port_file, "receives HOST:PORT, in one step, when the server is ready"),
	FLAG("plain", plain, "HTTP without TLS (signatures may name http or https as the scheme)"),
	TEXT("certificate", "FILE", certificate,
	     "PEM chain; without it a self-signed one for localhost and\n"
	     "127.0.0.1 is made on the spot"),
	TEXT("key", "FILE", key, "PEM key that belongs to --certificate"),
	TEXT("ca-out", "FILE", ca_out, "receives the certificate that was made, for the client to trust"),
	CHOICE("key-type", "ec|rsa", key_type, "key of the certificate that is made (default ec, P-256)"),
	CHOICE("tls-versions", "all|1.2|1.3", tls_versions, "accepted versions (default all)"),
	TEXT("ciphers", "LIST", ciphers,
	     "OpenSSL names joined with ':'; TLS_... are for TLS 1.3\n"
	     "(default: the server's choice, AES-128-GCM first)"),
	NUMBER("record-bytes", "N", record_bytes, 512, 16384, "largest TLS record (default 16384)"),
	NUMBER("connections", "N", connections_max, 1, 1024,
	       "served at the same time; more have to wait\n"
	       "(default 64)"),

	HEADING("Who may ask"),
	TEXT("client-token", "TEXT", client_token, "default " OPTIONS_CLIENT_TOKEN),
	TEXT("client-secret", "TEXT", client_secret, "default " OPTIONS_CLIENT_SECRET),
	TEXT("access-token", "TEXT", access_token, "default " OPTIONS_ACCESS_TOKEN),
	TEXT("headers-to-sign", "LIST", headers_to_sign, "header names that the signature covers"),
	TEXT("edgerc-out", "FILE", edgerc_out, "receives a ready .edgerc (section [default], mode 0600)"),
	FLAG("no-auth", no_auth, "do not check signatures"),
	{ KIND_IDS, "config-id", "ID[,ID...]", AT(configs),
	  "security configuration that has data; repeatable\n"
	  "(default 1)",
	  0, 0 },
	{ KIND_IDS, "forbid-config", "ID[,ID...]", AT(forbidden),
	  "id that exists but answers 403; repeatable", 0, 0 },

	HEADING("What there is to read"),
	NUMBER("events", "N", events, 0, 1000000000000, "events of each configId (default 0: endless)"),
	CHOICE("event-size", "full|lean", event_size,
	       "mean line about 1.9 KB or about 0.9 KB (default full)"),
	CHOICE("content", "auto|pool|unique", content,
	       "pool: about 60,000 different events, compressed before\n"
	       "the start, repeat for ever; unique: every event differs.\n"
	       "auto (default): pool when endless and without --rate"),
	NUMBER("rate", "EVENTS_PER_S", rate_per_s, 0, 10000000,
	       "further events are stored in real time at this rate\n"
	       "(default 0: everything is stored before the start)"),
	SECONDS("backlog", backlog_ns, 0, 43200,
		"history that exists at the start, at most 12h (default 1h)"),
	NUMBER("epoch", "UNIX_SECONDS", epoch_s, 0, 100000000000,
	       "end of the backlog (default 0: the start). Events\n"
	       "carry times, so equal bytes need an equal epoch"),
	NUMBER("seed", "N", seed, 0, UINT64_MAX,
	       "everything else about the events follows from it\n"
	       "(default 1)"),

	HEADING("How it is served"),
	NUMBER("gzip-level", "N", gzip_level, 1, 9, "default 6"),
	FLAG("no-gzip", no_gzip, "identity, whatever the client accepts"),
	FLAG("multi-member", multi_member, "several gzip members in a page"),
	FLAG("crlf", crlf, "lines end in CR LF"),
	FLAG("blank-lines", blank_lines, "blank lines between events"),
	CHOICE("context-style", "compact|blanks|quoted|reordered", context_style,
	       "spelling of the last line (default compact)"),
	NUMBER("page-limit-slack", "PERCENT", page_slack_percent, 0, 100,
	       "a page may exceed its limit so far to end at a bucket's\n"
	       "border (default 5)"),
	NUMBER("bucket-events", "N", bucket_events, 1, 600000, "events in a bucket (default 1000)"),
	NUMBER("prepare", "EVENTS", prepare_events, 0, 1000000000,
	       "compressed before the server is ready, all configIds\n"
	       "together (default 60000)"),
	NUMBER("cache", "MIB", cache_mib, 16, 65536, "ceiling for compressed pages kept (default 256)"),
	CHOICE("framing", "chunked|length|close", framing, "how the end of a body is told (default chunked)"),
	NUMBER("chunk-bytes", "N", chunk_bytes, 1, 1 << 24, "chunk size (default 32768)"),
	NUMBER("pace", "EVENTS_PER_S", pace_per_s, 0, 1000000000,
	       "slows every connection down to this (default 0: no)"),
	SECONDS("answer-limit", answer_limit_ns, 1, 86400,
		"an answer that takes longer is cut off (default 2m)"),
	NUMBER("max-requests", "N", max_requests, 0, UINT64_MAX,
	       "exit after so many answers (default 0: never)"),

	HEADING("What went on, and what goes wrong"),
	TEXT("truth", "FILE", truth,
	     "JSON, written at exit and on SIGUSR1: events and SHA-256\n"
	     "of each bounded feed, requests by status and by fault"),
	TEXT("request-log", "FILE", request_log, "one JSON object per request"),
	{ KIND_FAULT, "fault", "NAME:EVERY[:COUNT][:ARG]", 0, "orders a fault; repeatable", 0, 0 },
	{ KIND_LIST_FAULTS, "list-faults", NULL, 0, "explains every fault", 0, 0 },
	{ KIND_HELP, "help", NULL, 0, "this text", 0, 0 },
};

#define TABLE_COUNT (sizeof table / sizeof *table)

static void help_entry_print(const struct option_description *d)
{
	char left[80];
	if (d->argument)
		snprintf(left, sizeof left, "--%s %s", d->name, d->argument);
	else
		snprintf(left, sizeof left, "--%s", d->name);
	printf("  %-28s", left);
	if (strlen(left) > 27)
		printf("\n%-30s", "");
	for (const char *c = d->help; *c; c++) {
		putchar(*c);
		if (*c == '\n')
			printf("%-30s", "");
	}
	putchar('\n');
}

static void help_print(void)
{
	fputs("usage: akamai-prof simulate [options]\n\n"
	      "A local Akamai SIEM API with made-up but realistic events: checks EdgeGrid signatures, keeps\n"
	      "12 hours, chains offsets, and misbehaves on demand. It serves until SIGINT or SIGTERM.\n\n"
	      "Try it:\n"
	      "  akamai-prof simulate --events 100000 --ca-out ca.pem --edgerc-out edgerc --port-file port\n"
	      "  akamai-prof simulate --fault cut-body:3 --fault rate-limit:10:2:5s --truth truth.json\n",
	      stdout);
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (table[i].kind == KIND_HEADING)
			printf("\n%s\n", table[i].name);
		else
			help_entry_print(&table[i]);
	}
	fputs("\nOptions take one or two dashes, \"--name value\" or \"--name=value\"; durations are Go's "
	      "(90s, 1h30m).\n"
	      "Exit status: 0 after a signal or --max-requests, 1 when it cannot run, 2 for a wrong "
	      "option.\n",
	      stdout);
}

/* Levenshtein distance of two short names. */
static size_t name_distance(const char *a, const char *b)
{
	size_t row[OPTION_NAME_BYTES_MAX + 1];
	size_t columns = strlen(b);
	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[columns];
}

static const struct option_description *option_nearest(const char *name)
{
	const struct option_description *nearest = NULL;
	size_t distance_min = SIZE_MAX;
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (table[i].kind == KIND_HEADING)
			continue;
		size_t distance = name_distance(name, table[i].name);
		if (distance < distance_min) {
			distance_min = distance;
			nearest = &table[i];
		}
	}
	return nearest;
}

static const struct option_description *option_find(const char *name)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (table[i].kind != KIND_HEADING && strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

static int ids_parse(struct id_list *list, const char *value, char *wrong)
{
	while (*value) {
		size_t bytes = strcspn(value, ",;");
		if (bytes == 0 || bytes >= OPTIONS_CONFIG_ID_BYTES_MAX ||
		    strspn(value, "0123456789") < bytes) {
			snprintf(wrong, WRONG_TEXT_BYTES, "takes whole numbers joined with ','");
			return -1;
		}
		if (list->count == OPTIONS_CONFIG_ID_COUNT_MAX) {
			snprintf(wrong, WRONG_TEXT_BYTES, "takes at most %d ids",
				 OPTIONS_CONFIG_ID_COUNT_MAX);
			return -1;
		}
		memcpy(list->ids[list->count], value, bytes);
		list->ids[list->count++][bytes] = 0;
		value += bytes + (value[bytes] != 0);
	}
	return 0;
}

static int number_parse(const struct option_description *d, uint64_t *ret, const char *value, char *wrong)
{
	char *end;
	unsigned long long number = strtoull(value, &end, 10);
	if (end == value || *end || *value == '-' || number < d->number_min || number > d->number_max) {
		snprintf(wrong, WRONG_TEXT_BYTES, "takes a whole number from %llu to %llu",
			 (unsigned long long)d->number_min, (unsigned long long)d->number_max);
		return -1;
	}
	*ret = number;
	return 0;
}

static int seconds_parse(const struct option_description *d, int64_t *ret_ns, const char *value, char *wrong)
{
	if (duration_parse(value, ret_ns) == 0 && *ret_ns >= (int64_t)d->number_min * 1000000000 &&
	    *ret_ns <= (int64_t)d->number_max * 1000000000)
		return 0;
	snprintf(wrong, WRONG_TEXT_BYTES, "takes a duration such as 90s or 1h30m, from %llus to %llus",
		 (unsigned long long)d->number_min, (unsigned long long)d->number_max);
	return -1;
}

static int choice_parse(const struct option_description *d, int *ret, const char *value, char *wrong)
{
	int choice = 0;
	for (const char *at = d->argument; *at; choice++) {
		size_t bytes = strcspn(at, "|");
		if (strlen(value) == bytes && memcmp(value, at, bytes) == 0) {
			*ret = choice;
			return 0;
		}
		at += bytes + (at[bytes] != 0);
	}
	snprintf(wrong, WRONG_TEXT_BYTES, "takes one of %s", d->argument);
	return -1;
}

static int fault_parse(struct options *options, char *value, char *wrong)
{
	if (options->fault_count == FAULT_PLAN_COUNT_MAX) {
		snprintf(wrong, WRONG_TEXT_BYTES, "at most %d of them", FAULT_PLAN_COUNT_MAX);
		return -1;
	}
	char name[WRONG_TEXT_BYTES];
	snprintf(name, sizeof name, "%s", value);
	const char *mistake = fault_plan_parse(&options->faults[options->fault_count++], value);
	if (mistake)
		snprintf(wrong, WRONG_TEXT_BYTES, "%.100s: %s", name, mistake);
	return mistake ? -1 : 0;
}

static int option_apply(const struct option_description *d, struct options *options, char *value, char *wrong)
{
	void *place = (char *)options + d->place;
	switch (d->kind) {
	case KIND_TEXT:
		*(const char **)place = value;
		return 0;
	case KIND_NUMBER:
		return number_parse(d, place, value, wrong);
	case KIND_SECONDS:
		return seconds_parse(d, place, value, wrong);
	case KIND_CHOICE:
		return choice_parse(d, place, value, wrong);
	case KIND_IDS:
		return ids_parse(place, value, wrong);
	case KIND_FAULT:
		return fault_parse(options, value, wrong);
	case KIND_FLAG:
		*(int *)place = 1;
		return 0;
	case KIND_HEADING:
	case KIND_LIST_FAULTS:
	case KIND_HELP:
		break;
	}
	return 0;
}

static enum options_result options_check(struct options *options)
{
	const char *wrong = NULL;
	if (options->configs.count == 0)
		memcpy(options->configs.ids[options->configs.count++], "1", sizeof "1");
	if (!options->certificate != !options->key)
		wrong = "--certificate and --key belong together";
	else if (options->certificate && options->ca_out)
		wrong = "--ca-out is for the certificate that is made when there is no --certificate";
	else if (options->content == CONTENT_POOL && options->rate_per_s)
		wrong = "--content pool repeats old event times: it does not go with --rate";
	if (options->content == CONTENT_AUTO)
		options->content = options->events || options->rate_per_s ? CONTENT_UNIQUE : CONTENT_POOL;
	if (!wrong)
		return OPTIONS_RUN;
	fprintf(stderr, "akamai-prof simulate: %s\n", wrong);
	return OPTIONS_WRONG;
}

/* One option at argv[*index]; moves *index over its value. */
static enum options_result option_take(struct options *options, int argc, char **argv, int *index)
{
	char *argument = argv[*index];
	size_t dashes = strspn(argument, "-");
	char name[OPTION_NAME_BYTES_MAX];
	size_t name_bytes = strcspn(argument + dashes, "=");
	char *value = argument[dashes + name_bytes] ? argument + dashes + name_bytes + 1 : NULL;
	snprintf(name, sizeof name, "%.*s", (int)name_bytes, argument + dashes);
	const struct option_description *d = option_find(strcmp(name, "h") == 0 ? "help" : name);
	if (!d || dashes == 0 || dashes > 2) {
		fprintf(stderr,
			"akamai-prof simulate: unknown option %s; did you mean --%s? (--help lists all)\n",
			argument, option_nearest(name)->name);
		return OPTIONS_WRONG;
	}
	if (d->kind == KIND_HELP) {
		help_print();
		return OPTIONS_DONE;
	}
	if (d->kind == KIND_LIST_FAULTS) {
		faults_list(stdout);
		return OPTIONS_DONE;
	}
	char wrong[WRONG_TEXT_BYTES] = "";
	if (d->kind == KIND_FLAG && value) {
		snprintf(wrong, sizeof wrong, "takes no value");
	} else if (d->kind != KIND_FLAG && !value) {
		value = ++*index < argc ? argv[*index] : NULL;
		if (!value)
			snprintf(wrong, sizeof wrong, "needs a value: %s", d->argument);
	}
	if (*wrong || option_apply(d, options, value, wrong) < 0) {
		fprintf(stderr, "akamai-prof simulate: --%s %s\n", d->name, wrong);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
	*options = (struct options){
		.listen = "127.0.0.1:0",
		.client_token = OPTIONS_CLIENT_TOKEN,
		.client_secret = OPTIONS_CLIENT_SECRET,
		.access_token = OPTIONS_ACCESS_TOKEN,
		.headers_to_sign = "",
		.backlog_ns = INT64_C(3600) * 1000000000,
		.seed = 1,
		.record_bytes = 16384,
		.gzip_level = 6,
		.page_slack_percent = 5,
		.bucket_events = 1000,
		.prepare_events = 60000,
		.cache_mib = 256,
		.chunk_bytes = 32768,
		.answer_limit_ns = INT64_C(120) * 1000000000,
		.connections_max = 64,
	};
	for (int index = 1; index < argc; index++) {
		enum options_result result = option_take(options, argc, argv, &index);
		if (result != OPTIONS_RUN)
			return result;
	}
	return options_check(options);
}
