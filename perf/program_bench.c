/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program costs: nanoseconds for an event that on_event looks at, as a line and decoded, and for a
 * request with its answer; median of interleaved rounds of thread CPU time. Also how often a request, and an
 * event, asks the program's own allocator for something (never the heap). One JSON object a line.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"
#include "program/internal.h"

enum { ROUNDS_MAX = 15, LINE_BYTES_MAX = 4096 };

static const char source[] =
	"function execute(ctx, client, emit)\n"
	"    local events, bytes, denied = 0, 0, 0\n"
	"    local function control(line)\n"
	"        events = events + 1\n"
	"        bytes = bytes + #line\n"
	"    end\n"
	"    local function full(event, line)\n"
	"        events = events + 1\n"
	"        if event.httpMessage.status == '403' then denied = denied + 1 end\n"
	"    end\n"
	"    local offset = 'NULL'\n"
	"    while true do\n"
	"        local answer = client:stream{\n"
	"            url = ctx.env.URL .. '?offset=' .. offset .. '&limit=10000', context = true,\n"
	"            headers = function() return { Authorization = 'Bearer ' .. ctx.env.TOKEN } end,\n"
	"            on_event = ctx.parse == 'full' and full or control,\n"
	"        }\n"
	"        if answer.fault or answer.status ~= 200 then error('status ' .. answer.status) end\n"
	"        offset = answer.context.offset\n"
	"        client:commit(offset)\n"
	"    end\n"
	"end\n";

enum question { EVENT_CONTROL, EVENT_FULL, EVENT_FULL_DECODED, REQUEST, QUESTIONS };
static const char *const names[QUESTIONS] = { "on_event_control", "on_event_full",
					      "on_event_full_with_decode", "request" };

struct work {
	struct arena arena;
	struct program *program;
	struct program_wish wish;
	struct program_answer answer;
	struct control_context context;
	double call_ns[ROUNDS_MAX];
	double allocator_calls;
};

static struct work works[QUESTIONS];
static struct control_decoder *decoder;
static char line[LINE_BYTES_MAX];
static struct event_fields fields;

static const struct program_header headers[] = {
	{ { (const uint8_t *)"content-type", 12 }, { (const uint8_t *)"application/json", 16 } },
	{ { (const uint8_t *)"date", 4 }, { (const uint8_t *)"Tue, 14 Nov 2023 22:13:20 GMT", 29 } },
	{ { (const uint8_t *)"content-encoding", 16 }, { (const uint8_t *)"gzip", 4 } },
	{ { (const uint8_t *)"vary", 4 }, { (const uint8_t *)"Accept-Encoding", 15 } },
	{ { (const uint8_t *)"transfer-encoding", 17 }, { (const uint8_t *)"chunked", 7 } },
};

static double thread_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct span make_event(void)
{
	static const char *const rules[] = { "ruleActions", "ruleData",	    "ruleMessages", "ruleSelectors",
					     "ruleTags",    "ruleVersions", "rules" };
	static const char *const rest =
		"},\"geo\":{\"asn\":\"12271\",\"city\":\"NEWYORK\",\"continent\":\"NA\",\"country\":\"US\","
		"\"regionCode\":\"NY\"},\"httpMessage\":{\"bytes\":\"34523\",\"host\":\"www.example.com\","
		"\"method\":\"POST\",\"path\":\"/examples/1/\",\"port\":\"80\",\"protocol\":\"http/2\","
		"\"query\":\"a%3D..%2F\",\"requestHeaders\":\"User-Agent%3a%20BOT%2f0.1%0d%0aAccept%3a%20";
	size_t used = (size_t)snprintf(line, sizeof line,
				       "{\"format\":\"json\",\"type\":\"akamai_siem\",\"version\":\"1.0\","
				       "\"attackData\":{\"clientIP\":\"192.0.2.82\",\"configId\":\"14227\","
				       "\"policyId\":\"qik1_26545\"");
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		used += (size_t)snprintf(
			line + used, sizeof line - used, ",\"%s\":\"%.*s%%3d%%3d\"", rules[i],
			(int)(100 + i * 11),
			"QUxFUlQ7REVOWTtBTEVSVDtERU5ZO0FMRVJUO0RFTlk7QUxFUlQ7REVOWTtBTEVSVDtE"
			"RU5ZO0FMRVJUO0RFTlk7QUxFUlQ7REVOWTtBTEVSVDtERU5ZO0FMRVJUO0RFTlk7QUxF"
			"UlQ7REVOWTtBTEVSVDtERU5ZO0FMRVJUO0RFTlk7");
	used += (size_t)snprintf(line + used, sizeof line - used, "%s%0300d", rest, 7);
	used += (size_t)snprintf(line + used, sizeof line - used,
				 "\",\"requestId\":\"2ab418ac8515f33\",\"responseHeaders\":\"%0100d\","
				 "\"start\":\"1470923133.026\",\"status\":\"301\"}}",
				 7);
	return span_of(line, used);
}

static int find_server(void *owner, int secure, const char *host, unsigned port)
{
	(void)owner, (void)secure, (void)host, (void)port;
	return 0;
}

static uint64_t no_random(uint64_t bound)
{
	return bound / 2;
}

static const struct program_time now = { 1000000000, INT64_C(1700000000000000000), INT64_MAX };

static void begin(struct work *work, int full)
{
	static const struct program_source text = { "bench.lua", source, sizeof source - 1 };
	static const struct program_variable variables[] = {
		{ "URL", "https://api.example.org/siem/v1/1", 0 }, { "TOKEN", "akab-1234567890-abcdef", 1 }
	};
	static struct program_settings settings = { .source = &text,
						    .stream_name = "1",
						    .variables = variables,
						    .variable_count = 2,
						    .server_find = find_server,
						    .random = no_random };
	char error[PROGRAM_TEXT_BYTES_MAX];
	settings.full = full;
	if (arena_open(&work->arena, program_bytes_needed()) != 0 ||
	    !(work->program = program_create(&settings, &work->arena, error)) ||
	    program_resume(work->program, now, NULL, &work->wish) != PROGRAM_REQUEST)
		exit(1);
	memset(work->context.offset, 'o', 130);
	work->context.offset_bytes = 130;
	work->context.total = work->context.limit = 10000;
	work->answer = (struct program_answer){ .status = 200,
						.fault_text = "",
						.headers = headers,
						.header_count = sizeof headers / sizeof *headers,
						.date_unix = 1700000000,
						.retry_after_seconds = -1,
						.event_lines = 10000,
						.looks_like_events = 1,
						.newest_event_unix_ms = INT64_C(1700000000000),
						.context = &work->context,
						.skip = "settled" };
}

static void ask(struct work *work, int question, struct span event)
{
	struct program_header to_send[PROGRAM_HEADERS_MAX];
	const char *cursor;
	size_t count;
	int bad = 0;
	switch (question) {
	case EVENT_CONTROL:
		bad = program_event(work->program, now, event, NULL);
		break;
	case EVENT_FULL_DECODED:
		bad = control_decode(decoder, event, &fields, NULL) != CONTROL_YES;
		/* fall through */
	case EVENT_FULL:
		bad |= program_event(work->program, now, event, &fields);
		break;
	default:
		bad = program_headers(work->program, now, to_send, &count) ||
		      program_resume(work->program, now, &work->answer, &work->wish) != PROGRAM_REQUEST ||
		      !program_committed(work->program, &cursor);
		break;
	}
	if (bad) {
		fprintf(stderr, "%s: %s\n", names[question], program_error(work->program));
		exit(1);
	}
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	size_t rounds = quick ? 1 : ROUNDS_MAX, repeats = quick ? 200 : 20000;
	struct span event = make_event();
	decoder = control_decoder_create();
	if (!decoder || control_decode(decoder, event, &fields, NULL) != CONTROL_YES)
		return 1;
	for (int question = 0; question < QUESTIONS; question++)
		begin(&works[question], question == EVENT_FULL || question == EVENT_FULL_DECODED);
	for (size_t round = 0; round < rounds; round++) {
		for (int question = 0; question < QUESTIONS; question++) {
			struct work *work = &works[question];
			for (size_t i = 0; i < repeats / 10; i++) /* warm */
				ask(work, question, event);
			uint64_t calls = work->program->memory.calls;
			double start = thread_seconds();
			for (size_t i = 0; i < repeats; i++)
				ask(work, question, event);
			work->call_ns[round] = (thread_seconds() - start) * 1e9 / (double)repeats;
			work->allocator_calls =
				(double)(work->program->memory.calls - calls) / (double)repeats;
		}
	}
	for (int question = 0; question < QUESTIONS; question++) {
		struct work *work = &works[question];
		qsort(work->call_ns, rounds, sizeof(double), compare_doubles);
		printf("{\"bench\":\"program\",\"what\":\"%s\",\"event_bytes\":%zu,\"ns\":%.1f,"
		       "\"per_second\":%.0f,\"allocator_calls\":%.1f,\"memory_bytes\":%zu}\n",
		       names[question], question == REQUEST ? 0 : event.bytes, work->call_ns[rounds / 2],
		       1e9 / work->call_ns[rounds / 2], work->allocator_calls,
		       program_memory_bytes(work->program));
		program_finish(work->program);
		arena_finish(&work->arena);
	}
	control_decoder_destroy(decoder);
	return 0;
}
