/* SPDX-License-Identifier: Apache-2.0
 *
 * flow: whole streams against a scripted server on loopback. What programs are told and what becomes of what
 * they say; full parsing; states. (The protocol itself is tests/scenario's.)
 */
#include "unit/flow_server.h"

#include <zlib.h>

#include "base/clock.h"
#include "control/control.h"
#include "flow/event_time.h"
#include "flow/flow.h"

#define HEAD(length) "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n"
#define OK(length, body) HEAD(length) "\r\n" body

struct play {
	struct server main, other;
	struct flow_server servers[2];
	const char *config_id;
	struct edgegrid_credentials credentials;
	struct program_source source;
	struct flow_settings settings;
	char urls[2][48];
	struct program_variable variables[4];
	struct flow *flow;
	struct flow_stream_report report;
	char path[64], notices[8192], error[FLOW_TEXT_BYTES_MAX];
	char *out;
};

static void play_notice(void *owner, enum flow_severity severity, const char *config_id, const char *text)
{
	struct play *play = owner;
	size_t used = strlen(play->notices);
	snprintf(play->notices + used, sizeof play->notices - used, "%d %s %s\n", (int)severity, config_id,
		 text);
}

/* `program` NULL: the native plan. */
static void play_open(struct play *play, const char *program, const char *const *answers, size_t count)
{
	*play = (struct play){ .path = "/tmp/akamai-prof-flow-XXXXXX", .config_id = "7" };
	int fd = mkstemp(play->path);
	GE(fd, 0);
	close(fd);
	server_start(&play->main, answers, count);
	play->servers[0] = (struct flow_server){ "127.0.0.1", play->main.port, play->main.authority, 0 };
	play->source = (struct program_source){ "test.lua", program, program ? strlen(program) : 0 };
	snprintf(play->urls[0], sizeof play->urls[0], "http://%s", play->main.authority);
	play->variables[0] = (struct program_variable){ "CONFIG_ID", "other", 0 };
	play->variables[1] = (struct program_variable){ "TOKEN", "hush-hush", 1 };
	play->variables[2] = (struct program_variable){ "URL", play->urls[0], 0 };
	play->variables[3] = (struct program_variable){ "OTHER", play->urls[1], 0 };
	play->settings = (struct flow_settings){
		.servers = play->servers,
		.server_count = 1,
		.credentials = &play->credentials,
		.user_agent = "test/1",
		.config_ids = &play->config_id,
		.config_count = 1,
		.plan = { .base_path = "/siem/v1", .limit = 10, .backoff_ns = NS_PER_MS },
		.program = program ? &play->source : NULL,
		.program_variables = play->variables,
		.program_variable_count = 4,
		.ring = { .engine = RING_ENGINE_POLL },
		.sink = { .kind = SINK_FILE, .path = play->path },
		.duration_ns = 60 * NS_PER_SECOND,
		.notice = play_notice,
		.notice_owner = play,
	};
}

static void play_run(struct play *play)
{
	play->flow = flow_create(&play->settings, play->error);
	EQ_TEXT(play->error, "");
	while (flow_run(play->flow, clock_monotonic_ns() + NS_PER_SECOND))
		;
	while (!flow_drain(play->flow))
		;
	flow_report(play->flow, 0, &play->report);
	FILE *file = fopen(play->path, "r");
	play->out = calloc(1, 1 << 20);
	fread(play->out, 1, (1 << 20) - 1, file);
	fclose(file);
}

static void play_close(struct play *play)
{
	flow_finish(play->flow);
	server_stop(&play->main);
	if (play->settings.server_count > 1)
		server_stop(&play->other);
	unlink(play->path);
	free(play->out);
}

static void play_expect(struct play *play, enum flow_end_reason reason)
{
	play_run(play);
	if (play->report.end_reason != reason)
		FAIL("end %d, wanted %d: %s; told: %s", (int)play->report.end_reason, (int)reason,
		     play->report.error_text, play->notices);
}

#define OPEN(play, program, answers) play_open(play, program, answers, sizeof(answers) / sizeof *(answers))

static void lines_that_are_made_from_a_body(void)
{
	static const char program[] =
		"function execute(ctx, client, emit)\n"
		"  local answer = client:get{ url = ctx.env.URL .. '/items?a=b' }\n"
		"  assert(answer.status == 200 and not answer.fault and answer.body == '[1,2]')\n"
		"  assert(answer.headers['x-thing'] == 'One, Two')\n"
		"  for _, line in ipairs(json.items(answer.body, '')) do emit(line) end\n"
		"  client:commit('c1')\n"
		"  ctx.state.at = 'c1'\n"
		"  ctx.log('info', ctx.name .. ' ' .. ctx.env.CONFIG_ID .. ' ' .. ctx.env.TOKEN)\n"
		"end\n";
	static const char *const answers[] = { HEAD(5) "X-Thing: One\r\nX-THING:  Two \r\n\r\n[1,2]" };
	struct play play;
	OPEN(&play, program, answers);
	play_expect(&play, FLOW_END_DRAINED);
	EQ_TEXT(play.out, "1\n2\n");
	HAS_TEXT(play.main.requests[0], "GET /items?a=b HTTP/1.1\r\nHost: 127.0.0.1:");
	HAS_TEXT(play.main.requests[0],
		 "\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\nUser-Agent: test/1\r\n\r\n");
	EQ_TEXT(play.report.cursor, "c1");
	HAS_TEXT(play.report.state, "\"at\":\"c1\"");
	EQ(play.report.interpreted, 1);
	EQ(play.report.events, 2);
	EQ(play.report.made_events, 2);
	EQ(play.report.event_bytes, 4);
	EQ(play.report.events_uncommitted, 0);
	EQ(play.report.plan.requests, 1);
	EQ(play.report.plan.attempts, 1);
	HAS_TEXT(play.notices, "0 7 7 7 ");
	EQ(strstr(play.notices, "hush") == NULL, 1);
	play_close(&play);
}

static void bodies_have_a_limit(void)
{
	static const char program[] =
		"function execute(ctx, client)\n"
		"  local fits = client:get{ url = ctx.env.URL .. '/', body_max = 5 }\n"
		"  assert(fits.body == '12345' and not fits.fault)\n"
		"  local long = client:get{ url = ctx.env.URL .. '/', body_max = 4 }\n"
		"  assert(long.fault == 'PROGRAM_BODY' and long.fault_class == 'stop' and long.status == "
		"200)\n"
		"  assert(long.fault_text:find('limit 4 bytes', 1, true))\n"
		"  local none = client:get{ url = ctx.env.URL .. '/', headers = { ['If-None-Match'] = 'x' } "
		"}\n"
		"  assert(none.status == 304 and none.body == '' and not none.fault and none.headers.etag == "
		"'x')\n"
		"  local cut = client:get{ url = ctx.env.URL .. '/' }\n"
		"  assert(cut.fault == 'HTTP_TRUNCATED_BODY' and cut.fault_class == 'restart')\n"
		"  local error = client:stream{ url = ctx.env.URL .. '/' }\n"
		"  assert(error.status == 403 and not error.fault and error.problem.title == 'No')\n"
		"  assert(error.body == '{\"title\":\"No\"}')\n"
		"end\n";
	static const char *const answers[] = {
		OK(5, "12345"), OK(5, "12345"),
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: x\r\n\r\n", OK(5, "123") "CLOSE",
		"HTTP/1.1 403 No\r\nContent-Length: 14\r\n\r\n{\"title\":\"No\"}"
	};
	struct play play;
	OPEN(&play, program, answers);
	play_expect(&play, FLOW_END_DRAINED);
	EQ(play.main.asked, 5);
	EQ(play.main.connections, 3); /* a body that was not read to its end, and one that was cut */
	HAS_TEXT(play.main.requests[2], "\r\nIf-None-Match: x\r\n");
	EQ(play.report.plan.requests, 0);
	EQ(play.report.plan.attempts, 5);
	EQ_TEXT(play.notices, ""); /* programs speak for themselves */
	play_close(&play);
}

/* A gzip body of so many bytes, as an answer. */
static char *compressed_answer(size_t plain_bytes, size_t *ret_bytes)
{
	char *answer = malloc(1000 + 2 * plain_bytes);
	uint8_t *plain = malloc(plain_bytes), *body = malloc(500 + 2 * plain_bytes);
	for (size_t i = 0; i < plain_bytes; i++)
		plain[i] = (uint8_t)('a' + i * i % 7 + i / 1000 % 3);
	z_stream z = { .next_in = plain, .avail_in = (uInt)plain_bytes, .next_out = body };
	z.avail_out = (uInt)(500 + 2 * plain_bytes);
	EQ(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
	EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
	int head_bytes =
		sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n",
			z.total_out);
	memcpy(answer + head_bytes, body, z.total_out);
	*ret_bytes = (size_t)head_bytes + z.total_out;
	deflateEnd(&z);
	free(plain);
	free(body);
	return answer;
}

/* The limit is exact, although a decoder may leave the last of its room at first. */
static void compressed_bodies_have_the_same_limit(void)
{
	static const enum inflate_engine engines[] = { INFLATE_ENGINE_OWN, INFLATE_ENGINE_OWN_C,
						       INFLATE_ENGINE_ISAL };
	static const size_t limits[] = { 1, 2, 64, 1022, 1023, 1024, 1025, 1026, 2048, 40000, 300000 };
	for (size_t i = 0; i < sizeof limits / sizeof *limits * 3; i++) {
		size_t limit = limits[i / 3], bytes[2];
		char program[600];
		snprintf(program, sizeof program,
			 "function execute(ctx, client)\n"
			 "  local fits = client:get{ url = ctx.env.URL .. '/', body_max = %zu }\n"
			 "  assert(#fits.body == %zu and not fits.fault)\n"
			 "  local long = client:get{ url = ctx.env.URL .. '/', body_max = %zu }\n"
			 "  assert(long.fault == 'PROGRAM_BODY' and #long.body == %zu)\n"
			 "  assert(long.body == fits.body)\n"
			 "end\n",
			 limit, limit, limit, limit);
		char *answers[2];
		for (size_t j = 0; j < 2; j++)
			answers[j] = compressed_answer(limit + j, &bytes[j]);
		struct play play;
		const char *const list[] = { answers[0], answers[1] };
		OPEN(&play, program, list);
		memcpy(play.main.answer_bytes, bytes, sizeof bytes);
		play.settings.inflate = engines[i % 3];
		play_expect(&play, FLOW_END_DRAINED);
		play_close(&play);
		free(answers[0]);
		free(answers[1]);
	}
}

static void posts_and_headers(void)
{
	static const char program[] =
		"local calls = 0\n"
		"local function headers() calls = calls + 1; return { Accept = 'x/' .. calls, Via = 'me' } "
		"end\n"
		"function execute(ctx, client)\n"
		"  local url = ctx.env.URL .. '/q'\n"
		"  client:get{ url = url, method = 'POST', body = 'a=b\\r\\n', headers = headers }\n"
		"  client:get{ url = url, method = 'POST', headers = headers }\n" /* the server hangs up first
										   */
		"  assert(calls == 3)\n"
		"end\n";
	static const char *const answers[] = { OK(0, ""), "CLOSE", OK(0, "") };
	struct play play;
	OPEN(&play, program, answers);
	play_expect(&play, FLOW_END_DRAINED);
	HAS_TEXT(play.main.requests[0], "POST /q HTTP/1.1\r\n");
	HAS_TEXT(play.main.requests[0], "\r\nUser-Agent: test/1\r\n");
	HAS_TEXT(play.main.requests[0], "\r\nAccept: x/1\r\n");
	HAS_TEXT(play.main.requests[0], "\r\nVia: me\r\n");
	HAS_TEXT(play.main.requests[0], "\r\nContent-Length: 5\r\n\r\na=b\r\n");
	EQ(strstr(play.main.requests[0], "application/json") == NULL, 1);
	HAS_TEXT(play.main.requests[2], "\r\nAccept: x/3\r\n");
	HAS_TEXT(play.main.requests[2], "\r\nContent-Length: 0\r\n\r\n");
	EQ(play.report.plan.attempts, 2);
	play_close(&play);
}

static void lines_are_shown_and_handed_on_once(void)
{
	static const char program[] =
		"local seen = {}\n"
		"function execute(ctx, client, emit)\n"
		"  local function ask()\n"
		"    return client:stream{ url = ctx.env.URL .. '/', on_event = function(line)\n"
		"      seen[#seen + 1] = line; emit('<' .. line .. '>') end }\n"
		"  end\n"
		"  local cut = ask()\n"
		"  assert(cut.fault == 'HTTP_TRUNCATED_BODY' and cut.events == 1 and not cut.context)\n"
		"  local whole = ask()\n"
		"  assert(not whole.fault and whole.events == 4 and whole.skip == 'settled')\n"
		"  assert(table.concat(seen, ' ') == 'a b c d')\n"
		"  ctx.sleep(0.001)\n"
		"  client:commit()\n"
		"  client:stream{ url = ctx.env.URL .. '/', deliver = false, on_event = function() end }\n"
		"end\n";
	static const char *const answers[] = { OK(99, "a\nb\nc") "CLOSE", OK(7, "a\nb\nc\nd"), OK(2, "e\n") };
	struct play play;
	OPEN(&play, program, answers);
	play_expect(&play, FLOW_END_DRAINED);
	EQ_TEXT(play.out, "a\n<a>\nb\n<b>\nc\nd\n<c>\n<d>\n");
	EQ(play.report.events, 8);
	EQ(play.report.made_events, 4);
	EQ(play.report.events_uncommitted, 0);
	EQ(play.report.plan.requests, 1);
	play_close(&play);
}

static void page_without_commit_is_not_committed(void)
{
	static const char program[] = "function execute(ctx, client)\n"
				      "  client:stream{ url = ctx.env.URL .. '/' }\n"
				      "  client:commit('one')\n"
				      "  client:stream{ url = ctx.env.URL .. '/' }\n"
				      "  return 'max-requests'\n"
				      "end\n";
	static const char *const answers[] = { OK(2, "a\n"), OK(4, "b\nc\n") };
	struct play play;
	OPEN(&play, program, answers);
	play_expect(&play, FLOW_END_REQUESTS_MAX);
	EQ_TEXT(play.out, "a\nb\nc\n");
	EQ(play.report.events, 3);
	EQ(play.report.events_uncommitted, 2);
	EQ(play.report.plan.requests, 1);
	EQ_TEXT(play.report.cursor, "one");
	play_close(&play);
}

static void failing_program_ends_its_stream(void)
{
	static const char program[] = "function execute(ctx, client)\n"
				      "  client:stream{ url = ctx.env.URL .. '/', on_event = function(line)\n"
				      "    if line == 'c' then error('no ' .. line .. ' please') end\n"
				      "  end }\n"
				      "end\n";
	static const char *const answers[] = { OK(8, "a\nb\nc\nd\n") };
	struct play play;
	OPEN(&play, program, answers);
	play_expect(&play, FLOW_END_FAILED);
	EQ_TEXT(play.out, "a\nb\n");
	EQ(play.report.fault, FAULT_PROGRAM);
	HAS_TEXT(play.report.error_text, "test.lua:3: no c please");
	EQ(strstr(play.report.error_text, "(") == NULL, 1); /* said once */
	EQ(play.report.events_uncommitted, 2);
	play_close(&play);
	play_open(&play, "function execute(\n", answers, 0);
	EQ(flow_create(&play.settings, play.error) == NULL, 1);
	HAS_TEXT(play.error, "test.lua");
	server_stop(&play.main);
	unlink(play.path);
}

static void second_server_has_its_own_connection(void)
{
	static const char program[] = "function execute(ctx, client)\n"
				      "  assert(client:get{ url = ctx.env.URL .. '/a' }.body == '1')\n"
				      "  assert(client:get{ url = ctx.env.OTHER .. '/b' }.body == '2')\n"
				      "  assert(client:get{ url = ctx.env.OTHER .. '/c' }.body == '3')\n"
				      "  assert(client:get{ url = ctx.env.URL .. '/d' }.body == '4')\n"
				      "  client:get{ url = 'http://127.0.0.1:1/' }\n"
				      "end\n";
	static const char *const answers[] = { OK(1, "1"), OK(1, "4") };
	static const char *const other[] = { OK(1, "2"), OK(1, "3") };
	struct play play;
	OPEN(&play, program, answers);
	server_start(&play.other, other, 2);
	play.servers[1] = (struct flow_server){ "127.0.0.1", play.other.port, play.other.authority, 0 };
	play.settings.server_count = 2;
	snprintf(play.urls[1], sizeof play.urls[1], "http://%s", play.other.authority);
	play_expect(&play, FLOW_END_FAILED);
	HAS_TEXT(play.report.error_text, "test.lua:6: ");
	EQ(play.main.asked, 2);
	EQ(play.other.asked, 2);
	EQ(play.main.connections, 2);
	EQ(play.other.connections, 1);
	EQ(play.report.connections, 3);
	HAS_TEXT(play.other.requests[1], play.other.authority);
	play_close(&play);
}

static void budget_ends_programs(void)
{
	static const char *const programs[] = {
		"function execute(ctx) ctx.sleep(3600) end\n",
		"function execute(ctx, client)\n"
		"  assert(ctx.deadline() <= 3000)\n"
		"  client:get{ url = ctx.env.URL .. '/' }\n"
		"  ctx.sleep(ctx.deadline() + 1)\n"
		"end\n",
	};
	static const char *const answers[] = { OK(1, "1") };
	for (size_t i = 0; i < 2; i++) {
		struct play play;
		OPEN(&play, programs[i], answers);
		play.settings.budget_ns = 3000 * NS_PER_SECOND;
		play_expect(&play, FLOW_END_BUDGET);
		EQ_TEXT(play.report.error_text, "");
		EQ(play.main.asked, i);
		play_close(&play);
	}
}

/* However busy a program keeps itself, the run ends when it is to end. */
static void restless_programs_are_stopped(void)
{
	static const char *const programs[] = {
		"function execute(ctx) while true do ctx.sleep(0) end end\n",
		"function execute(ctx, client, emit) while true do emit('x'); ctx.sleep(0); client:commit() "
		"end end\n",
		"function execute(ctx, client)\n"
		"  while true do client:get{ url = ctx.env.URL .. '/', headers = { ['a'] = '1' } } end\n"
		"end\n",
	};
	for (size_t i = 0; i < 3; i++) {
		struct play play;
		play_open(&play, programs[i], NULL, 0);
		play.settings.duration_ns = 50 * NS_PER_MS;
		play_expect(&play, i < 2 ? FLOW_END_DURATION : FLOW_END_FAILED);
		if (i == 1) {
			GT(play.report.made_events, 0);
			LE(play.report.events_uncommitted, 1);
		}
		play_close(&play);
	}
}

#define FULL_PAGE                                                                                            \
	"{\"httpMessage\":{\"start\":\"1700000009.5\"}}\n{broken\n[1]\n{\"httpMessage\":{\"start\":"         \
	"\"1700000003\"}"                                                                                    \
	"}\n{\"total\":4,\"offset\":\"next\"}\n"
#define EMPTY_PAGE "{\"total\":0,\"offset\":\"last\"}\n"

static void full_parsing_by_the_plan(void)
{
	static const char *const answers[] = { OK(120, FULL_PAGE), OK(28, EMPTY_PAGE) };
	struct play play;
	EQ(strlen(FULL_PAGE), 120);
	EQ(strlen(EMPTY_PAGE), 28);
	OPEN(&play, NULL, answers);
	play.settings.parse_full = 1;
	play_expect(&play, FLOW_END_DRAINED);
	EQ(play.report.events, 4);
	EQ(play.report.malformed, 2);
	EQ(play.report.interpreted, 0);
	EQ(play.report.plan.last_event_unix_ms, 1700000009500);
	HAS_TEXT(play.out, "\n{broken\n[1]\n");
	HAS_TEXT(play.notices, "the event at byte 41 of the page is malformed JSON (byte 1 of its line)");
	HAS_TEXT(play.notices, "the event at byte 49 of the page is JSON, but no object");
	EQ_TEXT(play.report.state, "{\"cursor\":\"last\"}");
	play_close(&play);
}

static void full_parsing_by_a_program(void)
{
	static const char program[] =
		"local times = {}\n"
		"function execute(ctx, client)\n"
		"  assert(ctx.parse == 'full')\n"
		"  local page = client:stream{ url = ctx.env.URL .. '/', context = true, on_event = "
		"function(event)\n"
		"    times[#times + 1] = event.httpMessage.start end }\n"
		"  assert(table.concat(times, ' ') == '1700000009.5 1700000003')\n"
		"  assert(page.events == 4 and page.malformed == 2 and page.newest_event == 1700000009.5)\n"
		"  assert(page.context.offset == 'next' and page.context.total == 4)\n"
		"  client:commit(page.context.offset)\n"
		"  page = client:stream{ url = ctx.env.URL .. '/' }\n"
		"  assert(page.events == 1 and page.malformed == 0 and not page.context)\n"
		"end\n";
	static const char *const answers[] = { OK(120, FULL_PAGE), OK(28, EMPTY_PAGE) };
	struct play play;
	OPEN(&play, program, answers);
	play.settings.parse_full = 1;
	play_expect(&play, FLOW_END_DRAINED);
	EQ(play.report.malformed, 2);
	EQ(play.report.events, 5);
	EQ(play.report.plan.events, 4);
	EQ(play.report.plan.last_event_unix_ms, 1700000009500);
	EQ_TEXT(play.report.cursor, "next");
	play_close(&play);
}

static void plan_goes_on_from_its_state(void)
{
	static const char *const answers[] = { OK(28, EMPTY_PAGE) };
	static const char *const states[] = { "{\"cursor\":\"a b\\u00e9\",\"x\":[1]}" };
	struct play play;
	OPEN(&play, NULL, answers);
	play.settings.states = states;
	play_expect(&play, FLOW_END_DRAINED);
	HAS_TEXT(play.main.requests[0], "offset=a%20b%C3%A9 HTTP/1.1\r\n");
	play_close(&play);
	/* A cursor that was given counts more. */
	OPEN(&play, NULL, answers);
	play.settings.states = states;
	play.settings.plan.cursor = "given";
	play_expect(&play, FLOW_END_DRAINED);
	HAS_TEXT(play.main.requests[0], "offset=given HTTP/1.1\r\n");
	play_close(&play);
	static const char *const bad[] = { "", "[]", "{", "{\"cursor\":1}", "{\"cursor\":\"a\\u0000b\"}" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		play_open(&play, NULL, answers, 0);
		play.settings.states = &bad[i];
		EQ(flow_create(&play.settings, play.error) == NULL, 1);
		HAS_TEXT(play.error, "the state of configId 7 ");
		server_stop(&play.main);
		unlink(play.path);
	}
}

static void state_of_a_program_comes_back(void)
{
	static const char program[] = "function execute(ctx)\n"
				      "  ctx.state.runs = (ctx.state.runs or 0) + 1\n"
				      "end\n";
	const char *states[] = { "{\"runs\":41,\"keep\":\"\\u00e4\"}" };
	struct play play;
	play_open(&play, program, NULL, 0);
	play.settings.states = states;
	play_expect(&play, FLOW_END_DRAINED);
	HAS_TEXT(play.report.state, "\"runs\":42");
	HAS_TEXT(play.report.state, "keep");
	play_close(&play);
}

/* The same as control_read_event_time() finds in the text. */
static void event_times_are_those_of_the_text(void)
{
	static const char *const events[] = {
		"{\"httpMessage\":{\"start\":\"1700000001\"}}",
		"{\"httpMessage\":{\"start\":1700000001.25,\"end\":1800000000}}",
		"{\"time\":1800000000,\"httpMessage\":{\"start\":\"1700000001.2345\"}}",
		"{\"httpMessage\":{\"start\":\"now\",\"end\":\"1700000002\",\"timeStamp\":1700000003.1}}",
		"{\"httpMessage\":{\"start\":null,\"start\":\"1700000004\",\"start\":5}}",
		"{\"httpMessage\":[{\"start\":\"1700000001\"}],\"time\":7}",
		"{\"httpMessage\":{\"start\":\"\"},\"httpMessage\":{\"start\":\"8\"}}",
		"{\"a\":{\"httpMessage\":{\"start\":\"1\"},\"time\":2},\"timestamp\":3}",
		"{\"timestamp\":1,\"time\":2.999,\"eventTime\":\"3.5\",\"event_timestamp\":2}",
		"{\"timestamp\":-1,\"time\":\"+2\",\"eventTime\":1e9,\"event_timestamp\":\" 2\"}",
		"{\"timestamp\":253402300799}",
		"{\"timestamp\":253402300800}",
		"{\"timestamp\":99999999999999999999999}",
		"{\"timestamp\":1700000000123}",
		"{\"time\":\"1.\"}",
		"{\"time\":\".5\"}",
		"{\"time\":\"1.5x\"}",
		"{\"time\":\"1.123456789\"}",
		"{\"time\":true,\"timestamp\":{},\"eventTime\":[1]}",
		"{\"t\\u0069me\":12}",
		"{\"time\":0}",
		"{}",
	};
	struct control *control = control_create();
	struct control_decoder *decoder = control_decoder_create();
	unsigned found = 0;
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		struct event_fields fields;
		int64_t unix_ms = -1;
		struct span text = span_of_text(events[i]);
		int has = control_read_event_time(control, text, &unix_ms) == CONTROL_YES;
		EQ(control_decode(decoder, text, &fields, NULL), CONTROL_YES);
		if (event_time_unix_ms(&fields) != (has ? unix_ms : -1))
			FAIL("%s: %lld, wanted %lld", events[i], (long long)event_time_unix_ms(&fields),
			     (long long)(has ? unix_ms : -1));
		found += (unsigned)has;
	}
	EQ(found, 13);
	control_destroy(control);
	control_decoder_destroy(decoder);
}

TEST_MAIN(T(lines_that_are_made_from_a_body), T(bodies_have_a_limit),
	  T(compressed_bodies_have_the_same_limit), T(posts_and_headers),
	  T(lines_are_shown_and_handed_on_once), T(page_without_commit_is_not_committed),
	  T(failing_program_ends_its_stream), T(second_server_has_its_own_connection),
	  T(budget_ends_programs), T(restless_programs_are_stopped), T(full_parsing_by_the_plan),
	  T(full_parsing_by_a_program), T(plan_goes_on_from_its_state), T(state_of_a_program_comes_back),
	  T(event_times_are_those_of_the_text))
