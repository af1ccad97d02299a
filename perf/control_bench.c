/* SPDX-License-Identifier: Apache-2.0
 *
 * Nanoseconds per context line, per event time, per refused event line and per whole decoded event (events of
 * about 1.9 and 0.95 KB), median of interleaved rounds of thread CPU time; one JSON object a line.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/control.h"

enum { ROUNDS_MAX = 15, LINE_BYTES_MAX = 4096, LINES = 64 };

enum question { CONTEXT, EVENT_TIME, DECODE };

struct work {
	const char *name;
	enum question question;
	char lines[LINES][LINE_BYTES_MAX]; /* more than one, so that the branch predictor cannot learn them */
	size_t line_bytes[LINES];
	double line_ns[ROUNDS_MAX];
};

static double thread_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint32_t next_random(void)
{
	static uint32_t state = 1;
	state = state * 1664525 + 1013904223;
	return state >> 8;
}

static void add(char *line, size_t *bytes, const char *text)
{
	*bytes += (size_t)snprintf(line + *bytes, LINE_BYTES_MAX - *bytes, "%s", text);
}

static void add_base64(char *line, size_t *bytes, size_t count)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	for (; count; count--)
		line[(*bytes)++] = letters[next_random() % (sizeof letters - 1)];
	line[*bytes] = 0;
}

static void make_context(struct work *work, size_t i)
{
	char *line = work->lines[i];
	size_t bytes = 0;
	add(line, &bytes, "{\"total\":10000,\"offset\":\"71cca;");
	add_base64(line, &bytes, 110 + next_random() % 20);
	add(line, &bytes, "\",\"limit\":10000}");
	work->line_bytes[i] = bytes;
}

/* The order and number of members of Akamai's example; `unit_bytes` scales the long ones. */
static void make_event(struct work *work, size_t i, size_t unit_bytes)
{
	static const char *const rules[] = { "ruleActions", "ruleData",	    "ruleMessages", "ruleSelectors",
					     "ruleTags",    "ruleVersions", "rules" };
	char *line = work->lines[i];
	size_t bytes = 0;
	add(line, &bytes,
	    "{\"format\":\"json\",\"type\":\"akamai_siem\",\"version\":\"1.0\",\"attackData\":{"
	    "\"clientIP\":\"192.0.2.82\",\"configId\":\"14227\",\"policyId\":\"qik1_26545\"");
	for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
		add(line, &bytes, ",\"");
		add(line, &bytes, rules[r]);
		add(line, &bytes, "\":\"");
		add_base64(line, &bytes, unit_bytes + next_random() % (unit_bytes / 2));
		add(line, &bytes, "%3d%3d\"");
	}
	add(line, &bytes,
	    "},\"geo\":{\"asn\":\"12271\",\"city\":\"NEWYORK\",\"continent\":\"NA\",\"country\":\"US\","
	    "\"regionCode\":\"NY\"},\"httpMessage\":{\"bytes\":\"34523\",\"host\":\"www.example.com\","
	    "\"method\":\"POST\",\"path\":\"/examples/1/\",\"port\":\"80\",\"protocol\":\"http/2\","
	    "\"query\":\"a%3D..%2F\",\"requestHeaders\":\"User-Agent%3a%20BOT%2f0.1");
	add_base64(line, &bytes, unit_bytes * 3);
	add(line, &bytes, "\",\"requestId\":\"2ab418ac8515f33\",\"responseHeaders\":\"Server%3a%20");
	add_base64(line, &bytes, unit_bytes);
	add(line, &bytes, "\",\"start\":\"1470923133.026\",\"status\":\"301\"}}");
	work->line_bytes[i] = bytes;
}

static uint64_t run(struct control *control, struct control_decoder *decoder, struct work *work,
		    size_t repeats)
{
	static struct control_context context;
	uint64_t sum = 0;
	for (size_t n = 0; n < repeats; n++) {
		struct span line = span_of(work->lines[n % LINES], work->line_bytes[n % LINES]);
		struct event_fields event = { NULL, 0 };
		int64_t unix_ms = 0;
		if (work->question == DECODE)
			sum += (uint64_t)control_decode(decoder, line, &event, NULL) + event.count;
		else if (work->question == CONTEXT)
			sum += (uint64_t)control_read_context(control, line, &context) + context.offset_bytes;
		else
			sum += (uint64_t)control_read_event_time(control, line, &unix_ms) + (uint64_t)unix_ms;
	}
	return sum;
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	size_t rounds = quick ? 1 : ROUNDS_MAX, repeats = quick ? 200 : 100000;
	static struct work works[] = {
		{ .name = "context", .question = CONTEXT },
		{ .name = "event_time_1900", .question = EVENT_TIME },
		{ .name = "event_time_950", .question = EVENT_TIME },
		{ .name = "context_refuses_event_1900", .question = CONTEXT },
		{ .name = "context_refuses_event_950", .question = CONTEXT },
		{ .name = "decode_1900", .question = DECODE },
		{ .name = "decode_950", .question = DECODE },
	};
	static const size_t unit_bytes[] = { 0, 105, 26, 105, 26, 105, 26 };
	struct control *control = control_create();
	struct control_decoder *decoder = control_decoder_create();
	uint64_t sum = 0;

	if (!control || !decoder)
		return 1;
	for (size_t w = 0; w < sizeof works / sizeof *works; w++) {
		for (size_t i = 0; i < LINES; i++) {
			if (unit_bytes[w])
				make_event(&works[w], i, unit_bytes[w]);
			else
				make_context(&works[w], i);
		}
	}
	for (size_t round = 0; round < rounds; round++) {
		for (size_t w = 0; w < sizeof works / sizeof *works; w++) {
			sum += run(control, decoder, &works[w], LINES); /* warm */
			double start = thread_seconds();
			sum += run(control, decoder, &works[w], repeats);
			works[w].line_ns[round] = (thread_seconds() - start) * 1e9 / (double)repeats;
		}
	}
	for (size_t w = 0; w < sizeof works / sizeof *works; w++) {
		size_t bytes = 0;
		for (size_t i = 0; i < LINES; i++)
			bytes += works[w].line_bytes[i];
		qsort(works[w].line_ns, rounds, sizeof(double), compare_doubles);
		printf("{\"bench\":\"control\",\"case\":\"%s\",\"implementation\":\"%s\",\"mean_line_bytes\":"
		       "%zu,\"ns_per_line\":%.0f,\"mb_per_s\":%.0f,\"sum\":%llu}\n",
		       works[w].name, control_implementation_name(), bytes / LINES,
		       works[w].line_ns[rounds / 2],
		       (double)bytes / LINES * 1e3 / works[w].line_ns[rounds / 2], (unsigned long long)sum);
	}
	control_decoder_destroy(decoder);
	control_destroy(control);
	return 0;
}
