/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program can be, ask for and be answered: the promises of src/program/README.md about client. ctx,
 * events and state are in program_ctx_test.c, what the sandbox forbids in program_sandbox_test.c.
 */
#include "unit/program_run.h"

static void refuses(const char *source, const char *error)
{
	bench_prepare(&bench, source);
	does_not_open(error);
}

/* The process has rights left when programs are created. */
static void runs_nothing_when_it_is_created(void)
{
	begin("print('first')\nfunction execute() print('second') end");
	EQ_TEXT(bench.log, "");
	bench_resume(&bench, NULL);
	EQ_TEXT(bench.log, "0 first\n0 second\n");
	end();
}

static void opens_only_what_compiles_and_runs(void)
{
	refuses("function execute()\n  x = = 1\nend", "mine.lua:2: unexpected symbol near '='");
	refuses("local a = 1\n", "mine.lua: there is no function execute(ctx, client, emit)");
	refuses("execute = 7\n", "mine.lua: there is no function execute(ctx, client, emit)");
	refuses("\n\nerror('no')", "mine.lua:3: no");
	refuses("\nctx.log('info', 'x')", "mine.lua:2: name 'ctx' is not defined");
	refuses("\x1bLua", "mine.lua: attempt to load a binary chunk (mode is 't')");
	refuses("", "mine.lua: there is no function execute(ctx, client, emit)");
	begin("\xef\xbb\xbf-- a byte order mark\nfunction execute() end");
	bench_resume(&bench, NULL);
	end();
}

static void the_source_has_a_limit(void)
{
	static char long_source[PROGRAM_SOURCE_BYTES_MAX + 1];
	memset(long_source, ' ', sizeof long_source);
	memcpy(long_source, "function execute() end", 22);
	bench_prepare(&bench, "");
	bench.source = (struct program_source){ "mine.lua", long_source, PROGRAM_SOURCE_BYTES_MAX + 1 };
	EQ(arena_open(&bench.arena, program_bytes_needed()), 0);
	EQ(program_create(&bench.settings, &bench.arena, bench.error) == NULL, 1);
	EQ_TEXT(bench.error, "mine.lua: the program has 1048577 bytes; at most 1048576 can be run");
	bench.source.bytes--;
	bench.error[0] = 0;
	bench.program = program_create(&bench.settings, &bench.arena, bench.error);
	EQ_TEXT(bench.error, "");
	bench_resume(&bench, NULL);
	end();
}

static void the_default_program_compiles(void)
{
	bench_prepare(&bench, "");
	bench.source = program_akamai;
	bench_create(&bench);
	EQ_TEXT(bench.error, "");
	EQ_TEXT(program_akamai.name, "akamai.lua");
	EQ(program_akamai.text[program_akamai.bytes], 0);
	bench_finish(&bench);
}

static void a_long_name_is_cut_in_errors_and_still_found(void)
{
	bench_prepare(&bench, "\nerror('no')");
	bench.source.name = "a-name-that-is-longer-than-what-the-interpreter-shows-of-it-in-messages.lua";
	does_not_open("...er-than-what-the-interpreter-shows-of-it-in-messages.lua:2: no");
}

static void a_request_has_defaults(void)
{
	begin("function execute(ctx, client) client:stream{ url = 'https://api.example.org' } end");
	bench_resume(&bench, NULL);
	EQ(bench.wish.kind, PROGRAM_REQUEST);
	EQ_TEXT(bench.server, "https api.example.org 443");
	EQ(bench.wish.server, 0);
	EQ_TEXT(bench.wish.method, "GET");
	EQ_TEXT(bench.wish.target, "/");
	EQ(bench.wish.body.base == NULL, 1);
	EQ(bench.wish.lines, 1);
	EQ(bench.wish.has_context, 0);
	EQ(bench.wish.deliver, 1);
	EQ(bench.wish.on_event, 0);
	EQ(bench.wish.resume, PROGRAM_RESUME_POSITION);
	answer_page();
	end();
}

static void a_request_has_options(void)
{
	begin("function execute(ctx, client)\n"
	      "  client:stream{ url = 'http://API.example.org:8080?a=b%20c&d#top', method = 'POST',\n"
	      "    body = 'x\\0y', context = true, deliver = false, on_event = function() end,\n"
	      "    resume = 'search', headers = {} }\n"
	      "  client:stream{ url = 'https://[::1]:44/p/q?', resume = 'none', body = '' }\n"
	      "  client:get{ url = ctx.env.URL, body_max = 100, method = 'GET' }\n"
	      "  client:get{ url = ctx.env.URL }\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ_TEXT(bench.server, "http api.example.org 8080");
	EQ_TEXT(bench.wish.method, "POST");
	EQ_TEXT(bench.wish.target, "/?a=b%20c&d");
	EQ_BYTES(bench.wish.body.base, bench.wish.body.bytes, "x\0y", 3);
	EQ(bench.wish.has_context, 1);
	EQ(bench.wish.deliver, 0);
	EQ(bench.wish.on_event, 1);
	EQ(bench.wish.resume, PROGRAM_RESUME_SEARCH);
	answer_page();
	EQ_TEXT(bench.server, "https ::1 44");
	EQ_TEXT(bench.wish.target, "/p/q?");
	EQ(bench.wish.on_event, 0);
	EQ(bench.wish.resume, PROGRAM_RESUME_NONE);
	EQ(bench.wish.body.base != NULL, 1);
	EQ(bench.wish.body.bytes, 0);
	answer_page();
	EQ(bench.wish.lines, 0);
	EQ(bench.wish.body_bytes_max, 100);
	answer_page();
	EQ(bench.wish.body_bytes_max, PROGRAM_BODY_BYTES_MAX);
	answer_page();
	end();
}

static void options_are_checked(void)
{
	static const struct {
		const char *options, *error;
	} cases[] = {
		{ "{}", "option 'url' is missing" },
		{ "{ url = 7 }", "option 'url' must be a text, not number" },
		{ "{ url = ctx.env.URL, heders = {} }", "client:stream has no option 'heders'" },
		{ "{ url = ctx.env.URL, body_max = 1 }", "client:stream has no option 'body_max'" },
		{ "{ ctx.env.URL }", "client:stream takes options by name, not the value at [1]" },
		{ "{ url = ctx.env.URL, method = 'PUT' }",
		  "option 'method' must be \"GET\" or \"POST\", not \"PUT\"" },
		{ "{ url = ctx.env.URL, resume = 'x' }",
		  "option 'resume' must be \"position\", \"search\" or \"none\", not \"x\"" },
		{ "{ url = ctx.env.URL, context = 1 }",
		  "option 'context' must be true or false, not number" },
		{ "{ url = ctx.env.URL, deliver = false }",
		  "without 'on_event' lines must be delivered, or they go nowhere" },
		{ "{ url = ctx.env.URL, on_event = {} }", "option 'on_event' must be a function, not table" },
		{ "{ url = ctx.env.URL, headers = 'x' }",
		  "option 'headers' must be a table or a function, not string" },
		{ "{ url = ctx.env.URL, body = ('x'):rep(65537) }",
		  "option 'body' has 65537 bytes; at most 64 KB can be sent" },
		{ "{ url = 'https://evil.example/x' }",
		  "this program may not talk to https://evil.example:443; -allow-host would allow it" },
		{ "{ url = 'file:///etc/passwd' }",
		  "the URL \"file:///etc/passwd\" must begin with https:// or http:// and a host" },
		{ "{ url = '/relative' }",
		  "the URL \"/relative\" must begin with https:// or http:// and a host" },
		{ "{ url = 'https://me:pw@api.example.org/' }",
		  "the URL names a user; send an Authorization header instead" },
		{ "{ url = ctx.env.URL .. '?' .. ('x'):rep(16000) }",
		  "the URL has 16032 bytes; at most 16000 can be asked for" },
	};
	char body[256], error[512];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(body, sizeof body, "client:stream%s", cases[i].options);
		snprintf(error, sizeof error, "mine.lua:2: %s", cases[i].error);
		fails(body, error);
	}
	fails("client:get{ url = ctx.env.URL, body_max = 8388609 }",
	      "mine.lua:2: option 'body_max' must be from 1 to 8388608 bytes");
	fails("client:get{ url = ctx.env.URL, context = true }",
	      "mine.lua:2: client:get has no option 'context'");
	fails("client.stream{ url = ctx.env.URL }",
	      "mine.lua:2: call it as client:stream{ url = ... }, with a colon and a table");
	fails("client:strem{}", "mine.lua:2: client has no field 'strem'");
	fails("client.extra = 1", "mine.lua:2: client has no field 'extra' that could be set");
}

static void urls_cannot_smuggle(void)
{
	static const char *const urls[] = {
		"https://api.example.org/a b",	    "https://api.example.org/a\\r\\nX: y",
		"https://api.example.org/\\0",	    "https://api.example.org/\\xff",
		"https://api.example.org/?q=a\\tb",
	};
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		char source[256];
		snprintf(source, sizeof source, "function execute(ctx, client) client:get{ url = '%s' } end",
			 urls[i]);
		begin(source);
		bench_resume(&bench, NULL);
		if (bench.wish.kind != PROGRAM_FAILED)
			FAIL("%s is taken for a URL", urls[i]);
		HAS_TEXT(program_error(bench.program), "mine.lua:1: the URL \"");
		EQ_TEXT(bench.server, "");
		bench_finish(&bench);
	}
}

static void headers_are_those_of_the_table_in_order_of_names(void)
{
	struct program_header headers[PROGRAM_HEADERS_MAX];
	size_t count;
	begin("function execute(ctx, client)\n"
	      "  client:get{ url = ctx.env.URL, headers = { ['X-b'] = 7, Accept = '*/*', ['x-a'] = '' } }\n"
	      "  client:get{ url = ctx.env.URL }\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(program_headers(bench.program, bench.now, headers, &count), 0);
	EQ(count, 3);
	EQ_BYTES(headers[0].name.base, headers[0].name.bytes, "Accept", 6);
	EQ_BYTES(headers[1].name.base, headers[1].name.bytes, "x-a", 3);
	EQ(headers[1].value.bytes, 0);
	EQ_BYTES(headers[2].name.base, headers[2].name.bytes, "X-b", 3);
	EQ_BYTES(headers[2].value.base, headers[2].value.bytes, "7", 1);
	answer_page();
	EQ(program_headers(bench.program, bench.now, headers, &count), 0);
	EQ(count, 0);
	answer_page();
	end();
}

static void a_headers_function_is_called_each_time(void)
{
	struct program_header headers[PROGRAM_HEADERS_MAX];
	size_t count;
	begin("function execute(ctx, client)\n"
	      "  local n = 0\n"
	      "  client:get{ url = ctx.env.URL, headers = function()\n"
	      "    n = n + 1\n"
	      "    return { Stamp = n .. ' at ' .. ctx.now() }\n"
	      "  end }\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(program_headers(bench.program, bench.now, headers, &count), 0);
	EQ_BYTES(headers[0].value.base, headers[0].value.bytes, "1 at 1700000000.5", 17);
	bench.now.unix_ns += 1000000000;
	EQ(program_headers(bench.program, bench.now, headers, &count), 0);
	EQ(count, 1);
	EQ_BYTES(headers[0].value.base, headers[0].value.bytes, "2 at 1700000001.5", 17);
	answer_page();
	end();
}

static void headers_are_checked(void)
{
	static const struct {
		const char *headers, *error;
	} cases[] = {
		{ "{ ['X\\r\\nY'] = 'a' }", "mine.lua:2: 'X  Y' is no name of a header" },
		{ "{ [''] = 'a' }", "mine.lua:2: '' is no name of a header" },
		{ "{ X = 'a\\r\\nHost: evil' }", "mine.lua:2: the header 'X' has a line end, another control "
						 "character or a blank at its end" },
		{ "{ X = 'a ' }", "mine.lua:2: the header 'X' has a line end, another control character or a "
				  "blank at its end" },
		{ "{ X = 'a\\0' }",
		  "mine.lua:2: the header 'X' has a line end, another control character or a "
		  "blank at its end" },
		{ "{ Host = 'evil' }", "mine.lua:2: the header 'Host' is not a program's to set" },
		{ "{ ['CONTENT-length'] = 5 }",
		  "mine.lua:2: the header 'CONTENT-length' is not a program's to set" },
		{ "{ ['transfer-encoding'] = 'x' }",
		  "mine.lua:2: the header 'transfer-encoding' is not a program's to set" },
		{ "{ 'value' }", "mine.lua:2: headers are named by texts, not by a number" },
		{ "{ X = {} }", "mine.lua:2: the header 'X' must be a text, not a table" },
		{ "{ X = ('x'):rep(20000) }", "mine.lua:2: headers have more than 16384 bytes together" },
		{ "function() return 7 end",
		  "mine.lua:2: the headers function must return a table, not number" },
		{ "function() error('no key') end", "mine.lua:2: no key" },
		{ "function() ctx.sleep(1) end",
		  "mine.lua:2: ctx.sleep can only be called from execute itself" },
		{ "function() client:get{ url = ctx.env.URL } end",
		  "mine.lua:2: client:get can only be called from execute itself" },
		{ "function() client:commit() end",
		  "mine.lua:2: client:commit can only be called while no request is under way" },
		{ "function() while true do end end", "mine.lua:2: the program is stopped: it used 200000 "
						      "instructions for one call of a callback" },
	};
	struct program_header headers[PROGRAM_HEADERS_MAX];
	struct program_answer answer = bench_answer(200);
	size_t count = 77;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char source[512];
		snprintf(source, sizeof source,
			 "function execute(ctx, client)\nclient:get{ url = ctx.env.URL, headers = %s }\nend",
			 cases[i].headers);
		begin(source);
		EQ(bench_resume(&bench, NULL), PROGRAM_REQUEST);
		EQ(program_headers(bench.program, bench.now, headers, &count), -1);
		EQ_TEXT(program_error(bench.program), cases[i].error);
		EQ(count, 77);
		EQ(program_headers(bench.program, bench.now, headers, &count), -1);
		EQ(bench_resume(&bench, &answer), PROGRAM_FAILED);
		EQ_TEXT(program_error(bench.program), cases[i].error);
		bench_finish(&bench);
	}
}

static void at_most_32_headers(void)
{
	struct program_header headers[PROGRAM_HEADERS_MAX];
	size_t count;
	begin("function execute(ctx, client)\n"
	      "  local h = {}\n"
	      "  for i = 1, 32 do h['X-' .. i] = i end\n"
	      "  client:get{ url = ctx.env.URL, headers = h }\n"
	      "  h.One = 'more'\n"
	      "  client:get{ url = ctx.env.URL, headers = h }\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(program_headers(bench.program, bench.now, headers, &count), 0);
	EQ(count, 32);
	answer_page();
	EQ(program_headers(bench.program, bench.now, headers, &count), -1);
	EQ_TEXT(program_error(bench.program), "mine.lua:6: more than 32 headers");
	bench_finish(&bench);
}

static void an_answer_tells_everything(void)
{
	static const struct program_header headers[] = {
		{ { (const uint8_t *)"date", 4 }, { (const uint8_t *)"then", 4 } },
		{ { (const uint8_t *)"vary", 4 }, { (const uint8_t *)"a", 1 } },
		{ { (const uint8_t *)"vary", 4 }, { (const uint8_t *)"b", 1 } },
	};
	static struct control_context context = {
		.total = 5, .limit = 9, .offset_bytes = 3, .offset = "o\"1"
	};
	static const struct control_problem problem = { .status = 429,
							.type = "t",
							.title = "ti",
							.detail = "de",
							.request_id = "re",
							.server_ip = "ip" };
	struct program_answer answer = bench_answer(200);
	answer.headers = headers;
	answer.header_count = 3;
	answer.date_unix = 1700000001;
	answer.retry_after_seconds = 30;
	answer.elapsed_ns = 1500000000;
	answer.body_bytes = 11;
	answer.plain_bytes = 22;
	answer.problem = &problem;
	answer.event_lines = 5;
	answer.malformed = 2;
	answer.context = &context;
	answer.newest_event_unix_ms = 1700000000250;
	answer.skip = "open";
	begin("function execute(ctx, client)\n"
	      "  local a = client:stream{ url = ctx.env.URL, context = true }\n"
	      "  print(a.status, a.fault, a.fault_class, a.fault_text, a.date, a.retry_after, a.elapsed)\n"
	      "  print(a.body_bytes, a.plain_bytes, a.body, a.events, a.malformed, a.looks_like_events)\n"
	      "  print(a.newest_event, a.skip, a.context.offset, a.context.total, a.context.limit)\n"
	      "  print(a.headers.date, a.headers.vary, a.headers.missing, a.links.next)\n"
	      "  local p = a.problem\n"
	      "  print(p.status, p.type, p.title, p.detail, p.request_id, p.server_ip)\n"
	      "  local ok, e = pcall(function() return p.titel end) print(e)\n"
	      "  ok, e = pcall(function() return a.context.ofset end) print(e)\n"
	      "  ok, e = pcall(function() return a.evnts end) print(e)\n"
	      "  ok, e = pcall(function() a.evnts = 1 end) print(e)\n"
	      "end");
	bench_resume(&bench, NULL);
	bench_resume(&bench, &answer);
	EQ_TEXT(bench.log, "0 200 nil nil nil 1700000001 30 1.5\n"
			   "0 11 22 nil 5 2 true\n"
			   "0 1700000000.25 open o\"1 5 9\n"
			   "0 then a, b nil nil\n"
			   "0 429 t ti de re ip\n"
			   "0 mine.lua:9: a problem has no field 'titel'\n"
			   "0 mine.lua:10: an offset context has no field 'ofset'\n"
			   "0 mine.lua:11: an answer has no field 'evnts'\n"
			   "0 mine.lua:12: an answer has no field 'evnts' that could be set\n");
	end();
}

static void what_an_answer_lacks_is_nil(void)
{
	static struct control_context context = { .total = 0, .limit = -1, .offset_bytes = 1, .offset = "o" };
	struct program_answer answer = bench_answer(0);
	answer.fault = FAULT_HTTP_TRUNCATED_BODY;
	answer.fault_text = "it ended early";
	answer.looks_like_events = 0;
	answer.context = &context;
	begin("function execute(ctx, client)\n"
	      "  local a = client:stream{ url = ctx.env.URL }\n"
	      "  print(a.status, a.fault, a.fault_class, a.fault_text, a.context.limit)\n"
	      "  print(a.date, a.retry_after, a.body, a.problem, a.newest_event, a.looks_like_events)\n"
	      "  a = client:get{ url = ctx.env.URL }\n"
	      "  print(a.status, a.fault, a.fault_class, a.fault_text, a.body, a.events, a.skip, a.context)\n"
	      "  a = client:get{ url = ctx.env.URL }\n"
	      "  print(a.fault, a.fault_class, #a.body)\n"
	      "end");
	bench_resume(&bench, NULL);
	bench_resume(&bench, &answer);
	answer = bench_answer(0);
	answer.fault = FAULT_RING_CONNECT;
	bench_resume(&bench, &answer);
	answer = bench_answer(200);
	answer.fault = FAULT_TLS_CERTIFICATE;
	answer.body = span_of("a\0b", 3);
	bench_resume(&bench, &answer);
	EQ_TEXT(bench.log, "0 0 HTTP_TRUNCATED_BODY restart it ended early nil\n"
			   "0 nil nil nil nil nil false\n"
			   "0 0 RING_CONNECT retry cannot connect nil nil nil nil\n"
			   "0 TLS_CERTIFICATE stop 3\n");
	end();
}

/* The links of one answer to https://api.example.org/v1/logs with these Link headers, as "relation=URL". */
static void links(const char *one, const char *two, const char *wanted)
{
	struct program_header headers[2] = { { span_of_text("link"), span_of_text(one) },
					     { span_of_text("link"), span_of_text(two ? two : "") } };
	struct program_answer answer = bench_answer(200);
	answer.headers = headers;
	answer.header_count = two ? 2 : 1;
	begin("function execute(ctx, client)\n"
	      "  local a = client:stream{ url = ctx.env.URL }\n"
	      "  local t = {}\n"
	      "  for k, v in pairs(a.links) do t[#t + 1] = k .. '=' .. v end\n"
	      "  table.sort(t)\n"
	      "  print(table.concat(t, ' '))\n"
	      "end");
	bench_resume(&bench, NULL);
	bench_resume(&bench, &answer);
	EQ_TEXT(program_error(bench.program), "");
	EQ_BYTES(bench.log + 2, strlen(bench.log) - 3, wanted, strlen(wanted));
	end();
}

static void links_are_absolute_and_by_relation(void)
{
	links("<https://api.example.org/v1/logs?after=2>; rel=\"next\"", NULL,
	      "next=https://api.example.org/v1/logs?after=2");
	links("<?after=2>;rel=next , </x>; rel=\"prev first\"",
	      "<//other.example/y>; title=\"a,b;c\"; REL=Last",
	      "first=https://api.example.org/x last=https://other.example/y "
	      "next=https://api.example.org/v1/logs?after=2 prev=https://api.example.org/x");
	links("<a>; rel=next, <b>; rel=next", NULL, "next=https://api.example.org/v1/a");
	links("<a>; rel=one; rel=two", NULL, "one=https://api.example.org/v1/a");
	links("<a>; rel=one; anchor=\"#x\", <b>; rel=\"t\\wo\"", NULL, "two=https://api.example.org/v1/b");
	links("<a>", NULL, "");
	links("<a; rel=next", NULL, "");
	links("nonsense; rel=next, <b>; rel=next", NULL, "");
	links(",,,<b>;;rel=next", NULL, "next=https://api.example.org/v1/b");
	links("<a>; rel=\"next", NULL, "next=https://api.example.org/v1/a");
	links("<a b>; rel=next, <c>; rel=next", NULL, "next=https://api.example.org/v1/c");
	links("", "", "");
}

TEST_MAIN(T(opens_only_what_compiles_and_runs), T(runs_nothing_when_it_is_created), T(the_source_has_a_limit),
	  T(the_default_program_compiles), T(a_long_name_is_cut_in_errors_and_still_found),
	  T(a_request_has_defaults), T(a_request_has_options), T(options_are_checked), T(urls_cannot_smuggle),
	  T(headers_are_those_of_the_table_in_order_of_names), T(a_headers_function_is_called_each_time),
	  T(headers_are_checked), T(at_most_32_headers), T(an_answer_tells_everything),
	  T(what_an_answer_lacks_is_nil), T(links_are_absolute_and_by_relation))
