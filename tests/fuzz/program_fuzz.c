/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes become a program's source, up to the first NUL, and behind it what it is answered, a few bytes each.
 * Limits are small, so that a program that does not end ends soon. Whatever the program is, it is answered
 * with a wish that can be carried out or with an error that is one line, and it never says a secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "program/internal.h"

#define SECRET "s3cr3t-token"

#define MUST(what)                                                                                           \
	do {                                                                                                 \
		if (!(what)) {                                                                               \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                   \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

struct input {
	const uint8_t *at, *end;
};

static struct control_decoder *decoder;

static unsigned take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static void check_text(const char *text)
{
	MUST(strlen(text) < PROGRAM_TEXT_BYTES_MAX);
	MUST(!strstr(text, SECRET));
	for (; *text; text++)
		MUST((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void check_log(void *owner, enum program_log_level level, const char *text)
{
	(void)owner;
	MUST(level >= PROGRAM_LOG_INFO && level <= PROGRAM_LOG_ERROR);
	check_text(text);
}

static int find_server(void *owner, int secure, const char *host, unsigned port)
{
	(void)owner;
	MUST(secure == 0 || secure == 1);
	MUST(port > 0 && port < 65536);
	MUST(*host && !strpbrk(host, "/?#@ []"));
	return strcmp(host, "api.example.org") == 0 ? 3 : -1;
}

static int decode(void *owner, struct span text, struct event_fields *ret_fields)
{
	(void)owner;
	return control_decode(decoder, text, ret_fields, NULL) == CONTROL_YES ? 0 : -1;
}

static uint64_t half(uint64_t bound)
{
	MUST(bound > 0);
	return bound / 2;
}

static void check_wish(const struct program_wish *wish, const struct program_time *now)
{
	if (wish->kind == PROGRAM_WAIT)
		MUST(wish->wait_until_ns >= now->monotonic_ns);
	if (wish->kind != PROGRAM_REQUEST)
		return;
	size_t bytes = strlen(wish->target);
	MUST(wish->server == 3);
	MUST(strcmp(wish->method, "GET") == 0 || strcmp(wish->method, "POST") == 0);
	MUST(*wish->target == '/' && bytes <= PROGRAM_URL_BYTES_MAX + 1);
	for (size_t i = 0; i < bytes; i++)
		MUST(wish->target[i] > ' ' && wish->target[i] < 0x7f && wish->target[i] != '#');
	MUST(wish->body.bytes <= PROGRAM_REQUEST_BODY_BYTES_MAX);
	MUST(wish->lines || (wish->body_bytes_max > 0 && wish->body_bytes_max <= PROGRAM_BODY_BYTES_MAX));
	MUST(wish->deliver || wish->on_event || !wish->lines);
	for (size_t i = 0; i < wish->body.bytes; i++) /* it must be readable */
		MUST(wish->body.base[i] <= 255);
}

static void check_headers(struct program *program, struct program_time now)
{
	struct program_header headers[PROGRAM_HEADERS_MAX];
	size_t count, bytes = 0;
	if (program_headers(program, now, headers, &count) < 0) {
		MUST(*program_error(program));
		return;
	}
	MUST(count <= PROGRAM_HEADERS_MAX);
	for (size_t i = 0; i < count; i++) {
		bytes += headers[i].name.bytes + headers[i].value.bytes;
		MUST(headers[i].name.bytes > 0);
		for (size_t k = 0; k < headers[i].name.bytes; k++)
			MUST(headers[i].name.base[k] > ' ' && headers[i].name.base[k] != ':');
		for (size_t k = 0; k < headers[i].value.bytes; k++)
			MUST(headers[i].value.base[k] >= ' ' || headers[i].value.base[k] == '\t');
	}
	MUST(bytes <= PROGRAM_HEADER_BYTES_MAX);
}

static void hand_events(struct program *program, struct program_time now, struct input *input, int full)
{
	static const char *const lines[] = { "{\"a\":1}", "{\"b\":[1,2,{\"c\":null}],\"d\":\"x\"}", "{}", "",
					     "x\n" };
	struct event_fields fields;
	for (unsigned count = take(input) % 4; count > 0; count--) {
		struct span line = span_of_text(lines[take(input) % 5]);
		int decoded = full && decode(NULL, line, &fields) == 0;
		if (full && !decoded)
			continue;
		if (program_event(program, now, line, decoded ? &fields : NULL) < 0) {
			MUST(*program_error(program));
			return;
		}
	}
}

static void make_answer(struct input *input, struct program_answer *answer)
{
	static const int statuses[] = { 200, 200, 200, 0, 400, 429, 503, 304 };
	static const char *const links[] = { "<?after=1>; rel=next",
					     "<https://api.example.org/2>;rel=\"next\"", "<>;rel",
					     ";;,<x>;rel=\"a b\";anchor=c,<y>;rel=\"\\" };
	static struct program_header headers[3];
	static struct control_context context;
	static const struct control_problem problem = { .status = 429, .title = "slow down" };
	unsigned shape = take(input), more = take(input);
	headers[0] = (struct program_header){ span_of_text("link"), span_of_text(links[shape / 8 % 4]) };
	headers[1] = (struct program_header){ span_of_text("etag"), span_of_text("\"\x80\"") };
	headers[2] = headers[0];
	context = (struct control_context){ .total = shape, .limit = -1, .offset_bytes = 3, .offset = "o1;" };
	*answer =
		(struct program_answer){ .status = statuses[shape % 8],
					 .fault = (enum fault)(more & 1 ? take(input) % FAULT_COUNT : 0),
					 .fault_text = "",
					 .headers = headers,
					 .header_count = more / 2 % 4,
					 .date_unix = more & 8 ? 1700000000 : -1,
					 .retry_after_seconds = more & 16 ? 5 : -1,
					 .body = more & 32 ? span_of_text("{\"next\":\"n\",\"list\":[{},{}]}")
							   : span_of(NULL, 0),
					 .problem = more & 64 ? &problem : NULL,
					 .context = more & 128 ? &context : NULL,
					 .event_lines = shape,
					 .skip = "settled" };
}

/* What was emitted is whole lines; takes some of it. */
static void take_made(struct program *program, struct input *input)
{
	struct span made = program_made(program);
	MUST(made.bytes <= PROGRAM_MADE_BYTES_MAX);
	MUST(made.bytes == 0 || made.base[made.bytes - 1] == '\n');
	MUST(program_made_events(program) > 0 || made.bytes == 0);
	if (made.bytes && take(input) % 4) {
		const uint8_t *end = memchr(made.base, '\n', made.bytes);
		program_made_consume(program, (size_t)(end - made.base) + 1);
	}
}

static void run(struct program *program, struct input *input, int full)
{
	struct program_time now = { INT64_C(1000000000000), INT64_C(1700000000000000000), INT64_MAX };
	struct program_answer answer, *given = NULL;
	struct program_wish wish;
	const char *cursor;
	for (int step = 0; step < 12; step++) {
		enum program_wish_kind kind = program_resume(program, now, given, &wish);
		MUST(kind == wish.kind);
		check_wish(&wish, &now);
		check_text(program_error(program));
		MUST((kind == PROGRAM_FAILED) == (*program_error(program) != 0));
		take_made(program, input);
		if (program_committed(program, &cursor))
			MUST(strlen(cursor) <= PROGRAM_CURSOR_BYTES_MAX);
		given = NULL;
		now.monotonic_ns += (int64_t)take(input) * 1000000000;
		if (kind == PROGRAM_REQUEST) {
			check_headers(program, now);
			if (wish.on_event)
				hand_events(program, now, input, full);
			make_answer(input, &answer);
			given = &answer;
		}
		if (kind == PROGRAM_END || kind == PROGRAM_FAILED) {
			if (take(input) % 2 == 0)
				return;
			program_begin(program);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct program_variable variables[] = { { "URL", "https://api.example.org/v1/logs", 0 },
							     { "TOKEN", SECRET, 1 },
							     { "INTERVAL", "90s", 0 } };
	static const struct program_limits limits = { .memory_bytes = (size_t)2 << 20,
						      .instructions = 150000,
						      .event_instructions = 20000,
						      .cpu_ns = INT64_C(2000000000) };
	char error[PROGRAM_TEXT_BYTES_MAX] = "";
	struct arena arena;
	const uint8_t *nul = bytes ? memchr(data, 0, bytes) : NULL;
	struct program_source source = { "fuzz.lua", (const char *)data, nul ? (size_t)(nul - data) : bytes };
	struct input input = { nul ? nul + 1 : data + bytes, data + bytes };
	unsigned flags = take(&input);
	struct program_settings settings = { .source = &source,
					     .stream_name = "14227",
					     .variables = variables,
					     .variable_count = 3,
					     .state = flags & 4 ? "{\"cursor\":\"c\",\"seen\":[1,2]}" : NULL,
					     .full = flags & 1,
					     .follow = flags & 2 ? 1 : 0,
					     .server_find = find_server,
					     .log = check_log,
					     .decode = decode,
					     .random = half };
	if (!decoder)
		decoder = control_decoder_create();
	MUST(decoder && arena_open(&arena, program_bytes_needed()) == 0);
	struct program *program = program_create_limited(&settings, &arena, &limits, error);
	check_text(error);
	MUST((program == NULL) == (*error != 0));
	if (program) {
		run(program, &input, settings.full);
		const char *state = program_state(program);
		MUST(state ? *state == '{' && strlen(state) <= PROGRAM_STATE_BYTES_MAX
			   : *program_error(program) != 0);
		MUST(program_memory_bytes(program) <= limits.memory_bytes);
	}
	program_finish(program);
	arena_finish(&arena);
	return 0;
}
