/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program is told and says: ctx, events, emit(), the state that is kept, and how execute() begins and
 * ends. Promises of src/program/README.md.
 */
#include "unit/program_run.h"

#include "base/stage.h"
#include "control/control.h"

static void commits_are_told_once(void)
{
	const char *cursor = NULL;
	begin("function execute(ctx, client)\n"
	      "  client:stream{ url = ctx.env.URL }\n"
	      "  client:commit('c1')\n"
	      "  client:stream{ url = ctx.env.URL }\n"
	      "  client:commit()\n"
	      "  client:stream{ url = ctx.env.URL }\n"
	      "  print(pcall(client.commit, client, ('x'):rep(4097)))\n"
	      "  print(pcall(client.commit, client, 'a\\0b'))\n"
	      "  print(pcall(client.commit, 'x'))\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(program_committed(bench.program, &cursor), 0);
	answer_page();
	EQ(program_committed(bench.program, &cursor), 1);
	EQ_TEXT(cursor, "c1");
	EQ(program_committed(bench.program, &cursor), 0);
	answer_page();
	EQ(program_committed(bench.program, &cursor), 1);
	EQ_TEXT(cursor, "");
	answer_page();
	EQ(program_committed(bench.program, &cursor), 0);
	HAS_TEXT(bench.log, "false bad argument #2 to '?' (a cursor has 4 KB at most)");
	HAS_TEXT(bench.log, "false bad argument #2 to '?' (a cursor cannot have a NUL byte)");
	HAS_TEXT(bench.log, "(client, as in client:commit(cursor) expected, got string)");
	end();
}

static void events_are_lines_in_control_mode(void)
{
	begin("function execute(ctx, client)\n"
	      "  client:stream{ url = ctx.env.URL, on_event = function(...)\n"
	      "    print(select('#', ...), ...)\n"
	      "  end }\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(bench.wish.on_event, 1);
	EQ(program_event(bench.program, bench.now, span_of_text("{\"a\":1}"), NULL), 0);
	EQ(program_event(bench.program, bench.now, span_of("x\0y", 3), NULL), 0);
	EQ_TEXT(bench.log, "0 1 {\"a\":1}\n0 1 x y\n");
	answer_page();
	end();
}

static void events_are_tables_in_full_mode(void)
{
	static const char line[] =
		"{\"text\":\"\\u00e4\",\"whole\":9007199254740993,\"part\":1.5,\"yes\":true,"
		"\"no\":false,\"none\":null,\"list\":[1,[2],{\"x\":3}],\"deep\":{\"a\":{\"b\":4}}}";
	struct control_decoder *decoder = control_decoder_create();
	struct event_fields fields;
	begin("function execute(ctx, client)\n"
	      "  client:stream{ url = ctx.env.URL, on_event = function(event, line)\n"
	      "    print(event.text, event.whole, math.type(event.whole), event.part, event.yes, event.no)\n"
	      "    print(event.none == json.null, #event.list, event.list[1], event.list[2][1])\n"
	      "    print(event.list[3].x, event.deep.a.b, event.missing, #line)\n"
	      "  end }\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(control_decode(decoder, span_of_text(line), &fields, NULL), CONTROL_YES);
	EQ(program_event(bench.program, bench.now, span_of_text(line), &fields), 0);
	EQ_TEXT(bench.log, "0 \xc3\xa4 9007199254740993 integer 1.5 true false\n"
			   "0 true 3 1 2\n"
			   "0 3 4 nil 131\n");
	answer_page();
	end();
	control_decoder_destroy(decoder);
}

static void an_error_in_an_event_ends_the_program(void)
{
	static const struct {
		const char *body, *error;
	} cases[] = {
		{ "error('bad event')", "mine.lua:3: bad event" },
		{ "local x = nil + 1", "mine.lua:3: attempt to perform arithmetic on a nil value" },
		{ "ctx.sleep(1)", "mine.lua:3: ctx.sleep can only be called from execute itself" },
		{ "coroutine.yield()",
		  "mine.lua:3: coroutine.yield outside a coroutine of the program's own: "
		  "execute waits with client:stream, client:get or ctx.sleep" },
		{ "while true do pcall(error) end", "mine.lua:3: the program is stopped: it used 200000 "
						    "instructions for one call of a callback" },
		{ "local t = {} for i = 1, 1e9 do t[i] = big .. i end", "mine.lua:3: not enough memory" },
		{ "for i = 1, 5 do emit(big) end",
		  "mine.lua:3: the program is stopped: it emitted more than 4 MB for one event" },
		{ "local s = 'x' while true do s = s .. s end", "mine.lua:3: not enough memory" },
	};
	struct program_answer answer = bench_answer(200);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char source[512];
		snprintf(source, sizeof source,
			 "local big = ('x'):rep(1000000) function execute(ctx, client, emit)\n"
			 "client:stream{ url = ctx.env.URL, on_event = function()\n%s\nend }\nend",
			 cases[i].body);
		bench_prepare(&bench, source);
		bench.limits.memory_bytes = (size_t)6 << 20;
		bench_create(&bench);
		EQ(bench_resume(&bench, NULL), PROGRAM_REQUEST);
		EQ(program_event(bench.program, bench.now, span_of_text("{}"), NULL), -1);
		HAS_TEXT(program_error(bench.program), cases[i].error);
		EQ(program_event(bench.program, bench.now, span_of_text("{}"), NULL), -1);
		EQ(bench_resume(&bench, &answer), PROGRAM_FAILED);
		HAS_TEXT(program_error(bench.program), cases[i].error);
		bench_finish(&bench);
	}
}

static void each_event_has_its_own_budget(void)
{
	begin("function execute(ctx, client)\n"
	      "  client:stream{ url = ctx.env.URL, on_event = function() for i = 1, 40000 do end end }\n"
	      "end");
	bench_resume(&bench, NULL);
	for (int i = 0; i < 50; i++)
		EQ(program_event(bench.program, bench.now, span_of_text("{}"), NULL), 0);
	answer_page();
	end();
}

static void what_is_emitted_waits_for_the_owner(void)
{
	begin("function execute(ctx, client, emit)\n"
	      "  emit('one')\n"
	      "  emit(2)\n"
	      "  client:stream{ url = ctx.env.URL, on_event = function(line) emit(line .. '!') end }\n"
	      "  emit('end')\n"
	      "end");
	bench_resume(&bench, NULL);
	struct span made = program_made(bench.program);
	EQ_BYTES(made.base, made.bytes, "one\n2\n", 6);
	EQ(program_made_events(bench.program), 2);
	program_made_consume(bench.program, 4);
	EQ(program_event(bench.program, bench.now, span_of_text("a"), NULL), 0);
	made = program_made(bench.program);
	EQ_BYTES(made.base, made.bytes, "2\na!\n", 5);
	program_made_consume(bench.program, 5);
	EQ(program_made(bench.program).bytes, 0);
	answer_page();
	made = program_made(bench.program);
	EQ_BYTES(made.base, made.bytes, "end\n", 4);
	EQ(program_made_events(bench.program), 4);
	end();
}

static void the_place_for_what_is_emitted_is_used_again(void)
{
	begin("function execute(ctx, client, emit)\n"
	      "  local line = ('x'):rep(1048575)\n"
	      "  while true do\n"
	      "    emit(line)\n"
	      "    ctx.sleep(0)\n"
	      "  end\n"
	      "end");
	for (int i = 0; i < 20; i++) {
		EQ(bench_resume(&bench, NULL), PROGRAM_WAIT);
		if (i >= 2) /* two lines are left there */
			program_made_consume(bench.program, 1048576);
	}
	EQ(program_made(bench.program).bytes, 2 * 1048576);
	bench_finish(&bench);
}

static void what_is_emitted_is_checked(void)
{
	fails("emit('a\\nb')",
	      "mine.lua:2: bad argument #1 to 'emit' (an event cannot have a line end in it)");
	fails("emit('')", "mine.lua:2: bad argument #1 to 'emit' (an event cannot be empty)");
	fails("emit({})", "mine.lua:2: bad argument #1 to 'emit' (string expected, got table)");
	fails("pcall(emit, ('x'):rep(1048577))",
	      "mine.lua:2: the program is stopped: it emitted an event of more than 1 MB");
	fails("while true do pcall(emit, ('x'):rep(1000)) end",
	      "mine.lua:2: the program is stopped: it emitted more than 4 MB without waiting");
}

static void sleeps_until(void)
{
	begin("function execute(ctx)\n"
	      "  ctx.sleep(1.5)\n"
	      "  print(ctx.monotonic())\n"
	      "  ctx.sleep(0)\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_WAIT);
	EQ(bench.wish.wait_until_ns, INT64_C(1001500000000));
	bench.now.monotonic_ns = INT64_C(1002000000000);
	EQ(bench_resume(&bench, NULL), PROGRAM_WAIT);
	EQ(bench.wish.wait_until_ns, INT64_C(1002000000000));
	EQ_TEXT(bench.log, "0 1002.0\n");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	end();
	fails("ctx.sleep(-1)", "mine.lua:2: bad argument #1 to 'sleep' (seconds to wait, from 0 on)");
	fails("ctx.sleep(0/0)", "mine.lua:2: bad argument #1 to 'sleep' (seconds to wait, from 0 on)");
	fails("ctx.sleep(1/0)", "mine.lua:2: bad argument #1 to 'sleep' (seconds to wait, from 0 on)");
	fails("ctx.sleep()", "mine.lua:2: bad argument #1 to 'sleep' (number expected, got no value)");
	fails("ctx:sleep(1)", "mine.lua:2: calling 'sleep' on bad self (number expected, got table)");
}

static void ctx_says_who_and_when(void)
{
	says("print(ctx.name, ctx.parse, ctx.follow, ctx.now(), ctx.monotonic(), ctx.deadline() == "
	     "math.huge)\n"
	     "print(ctx.random(10), math.type(ctx.random(10)))\n"
	     "print(pcall(ctx.random, 0))",
	     "0 14227 control false 1700000000.5 1000.0 true\n0 9 integer\n"
	     "0 false bad argument #1 to '?' (a number from 1 on)\n");
	bench_prepare(&bench, "function execute(ctx)\n"
			      "  print(ctx.parse, ctx.follow, ctx.deadline())\n"
			      "  ctx.sleep(0)\n"
			      "  print(ctx.deadline())\n"
			      "end");
	bench.settings.full = bench.settings.follow = 1;
	bench.now.deadline_ns = bench.now.monotonic_ns + INT64_C(2500000000);
	bench_create(&bench);
	bench_resume(&bench, NULL);
	bench.now.monotonic_ns += INT64_C(3000000000);
	bench_resume(&bench, NULL);
	EQ_TEXT(bench.log, "0 full true 2.5\n0 0.0\n");
	end();
	fails("ctx.slep(1)", "mine.lua:2: ctx has no field 'slep'");
	fails("ctx.extra = 1", "mine.lua:2: ctx has no field 'extra' that could be set");
}

static void variables_are_those_of_the_environment(void)
{
	says("print(ctx.env.URL, ctx.env:get('URL'), ctx.env:get('NOPE'), ctx.env:get('NOPE', 'd'))\n"
	     "print(ctx.env.EMPTY == '', ctx.env:get('EMPTY', 'd'))\n"
	     "print(ctx.env:number('NUMBER'), ctx.env:number('NOPE', 7), ctx.env:number('EMPTY'))\n"
	     "print(ctx.env:seconds('DURATION'), ctx.env:seconds('NOPE', 2.5))\n",
	     "0 https://api.example.org/v1/logs https://api.example.org/v1/logs nil d\n"
	     "0 true d\n0 -42 7 nil\n0 5400.0 2.5\n");
	fails("local x = ctx.env.NOPE", "mine.lua:2: ctx.env.NOPE: YAEGI_HTTP_NOPE is not set");
	fails("ctx.env:number('URL')",
	      "mine.lua:2: YAEGI_HTTP_URL: \"https://api.example.org/v1/logs\" is no whole number");
	fails("ctx.env:number('BIG')",
	      "mine.lua:2: YAEGI_HTTP_BIG: \"99999999999999999999\" is no whole number");
	fails("ctx.env:number('TOKEN')", "mine.lua:2: YAEGI_HTTP_TOKEN: \"***\" is no whole number");
	fails("ctx.env:seconds('NUMBER')",
	      "mine.lua:2: YAEGI_HTTP_NUMBER: \"-42\" is no duration such as 90s or 1h30m");
	fails("ctx.env:seconds('NOPE', '1h')",
	      "mine.lua:2: bad argument #2 to 'seconds' (number expected, got string)");
	fails("ctx.env.NEW = 'x'", "mine.lua:2: ctx.env cannot be changed");
}

static void what_is_said_is_one_clean_line_without_secrets(void)
{
	says("ctx.log('info', 'a')\nctx.log('warning', 'b ' .. ctx.env.TOKEN .. ctx.env.TOKEN)\n"
	     "ctx.log('error', 'c\\nd\\0e\\127f \\xff\\xc3 \\u{e4}\\u{10ffff}')\nprint()\nprint(nil, {} == "
	     "{})\n"
	     "ctx.log('info', 5)",
	     "0 a\n1 b ******\n2 c d e f ?? \xc3\xa4\xf4\x8f\xbf\xbf\n0 \n0 nil false\n0 5\n");
	fails("error('the token is ' .. ctx.env.TOKEN)", "mine.lua:2: the token is ***");
	fails("ctx.log('debug', 'x')", "mine.lua:2: bad argument #1 to 'log' (invalid option 'debug')");
	fails("ctx.log('info')", "mine.lua:2: bad argument #2 to 'log' (value expected)");
}

static void long_texts_are_cut_between_characters(void)
{
	begin("function execute(ctx)\n"
	      "  ctx.log('info', 'x' .. ('\\u{e4}'):rep(5000))\n"
	      "  error(('x'):rep(2020) .. ctx.env.TOKEN)\n"
	      "end");
	bench_resume(&bench, NULL);
	EQ(strlen(bench.log), 2 + PROGRAM_TEXT_BYTES_MAX - 1 + 1);
	EQ((unsigned char)bench.log[2 + 2047 - 1], 0xa4);
	/* Cutting first would leave the front of the secret. */
	HAS_TEXT(program_error(bench.program), "xxx***");
	bench_finish(&bench);
}

static void counters_add_up(void)
{
	begin("function execute(ctx)\n"
	      "  for _, name in ipairs{ 'truncations', 'recoveries', 'rate_limited', 'server_errors',\n"
	      "      'network_errors', 'clock_corrections', 'skip_mismatches' } do ctx.count(name) end\n"
	      "  ctx.count('truncations', 4)\n"
	      "  ctx.count('gap_seconds', 7) ctx.count('gap_seconds', 1)\n"
	      "  ctx.count('backoff_seconds', 0.5) ctx.count('backoff_seconds', 0.25)\n"
	      "  ctx.count('clock_skew_seconds', 9) ctx.count('clock_skew_seconds', -3)\n"
	      "  print(pcall(ctx.count, 'trunkations'))\n"
	      "  print(pcall(ctx.count, 'truncations', -1))\n"
	      "  print(pcall(ctx.count, 'truncations', 0/0))\n"
	      "end");
	bench_resume(&bench, NULL);
	const struct program_counters *counters = program_counters(bench.program);
	EQ(counters->truncations, 5);
	EQ(counters->recoveries, 1);
	EQ(counters->rate_limited, 1);
	EQ(counters->server_errors, 1);
	EQ(counters->network_errors, 1);
	EQ(counters->clock_corrections, 1);
	EQ(counters->skip_mismatches, 1);
	EQ(counters->gap_seconds, 8);
	EQ(counters->backoff_seconds * 100, 75);
	EQ(counters->clock_skew_seconds, -3);
	HAS_TEXT(bench.log, "invalid option 'trunkations'");
	HAS_TEXT(bench.log, "how much to add, from 0 on");
	HAS_TEXT(bench.log, "a number below 10^15");
	end();
}

static void counters_have_an_end(void)
{
	begin("function execute(ctx)\n"
	      "  for i = 1, 10000 do ctx.count('gap_seconds', 9e14) ctx.count('truncations', 9e14) end\n"
	      "  ctx.count('backoff_seconds', 9e14) ctx.count('clock_skew_seconds', -9e14)\n"
	      "  ctx.count('recoveries', 3) ctx.count('gap_seconds', -9e14) ctx.count('gap_seconds', 5)\n"
	      "end");
	bench_resume(&bench, NULL);
	const struct program_counters *counters = program_counters(bench.program);
	EQ(counters->truncations, INT64_C(1000000000000000));
	EQ(counters->recoveries, 3);
	EQ(counters->gap_seconds, INT64_C(100000000000005));
	EQ(counters->backoff_seconds, 100000000);
	EQ(counters->clock_skew_seconds, -9000000000);
	end();
}

static void a_page_that_was_withheld_is_not_committed(void)
{
	struct program_answer answer = bench_answer(200);
	begin("function execute(ctx, client)\n"
	      "  client:stream{ url = ctx.env.URL }\n"
	      "  client:get{ url = ctx.env.URL }\n"
	      "  print(pcall(client.commit, client))\n"
	      "  client:stream{ url = ctx.env.URL, resume = 'none' }\n"
	      "  client:commit()\n"
	      "end");
	bench_resume(&bench, NULL);
	answer.skip = "mismatch";
	bench_resume(&bench, &answer);
	answer_page();
	HAS_TEXT(bench.log, "false client:commit would lose the lines of the last page");
	const char *cursor;
	EQ(program_committed(bench.program, &cursor), 0);
	answer_page();
	EQ(program_committed(bench.program, &cursor), 1);
	end();
}

static void logs_have_an_end(void)
{
	fails("while true do pcall(print, ('x'):rep(2000)) end",
	      "mine.lua:2: the program is stopped: it logged more than 1 MB without waiting");
	begin("function execute(ctx, client)\n"
	      "  for i = 1, 500 do print(('x'):rep(2000)) end\n"
	      "  ctx.sleep(0)\n"
	      "  for i = 1, 500 do print(('x'):rep(2000)) end\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_WAIT);
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	bench_finish(&bench);
}

static int decode(void *owner, struct span text, struct event_fields *ret_fields)
{
	struct bench *of = owner;
	of->decoded++;
	return control_decode(of->decoder, text, ret_fields, NULL) == CONTROL_YES ? 0 : -1;
}

static void with_state(const char *source, const char *state)
{
	bench_prepare(&bench, source);
	bench.settings.state = state;
	bench.settings.decode = decode;
	bench.decoder = control_decoder_create();
	bench_create(&bench);
}

static void end_with_state(void)
{
	control_decoder_destroy(bench.decoder);
	bench_finish(&bench);
}

static void the_state_is_kept_as_json(void)
{
	with_state("function execute(ctx)\n"
		   "  print(ctx.state.cursor, ctx.state.seen.n)\n"
		   "  ctx.state.cursor = 'c2'\n"
		   "  ctx.state.seen = nil\n"
		   "end",
		   "{\"cursor\":\"c1\",\"seen\":{\"n\":3}}");
	EQ_TEXT(program_state(bench.program), "{\"cursor\":\"c1\",\"seen\":{\"n\":3}}");
	bench_resume(&bench, NULL);
	EQ_TEXT(bench.log, "0 c1 3\n");
	EQ_TEXT(program_state(bench.program), "{\"cursor\":\"c2\"}");
	EQ(bench.decoded, 1);
	end_with_state();
	with_state("function execute(ctx) ctx.state = { whole = 'new' } end", NULL);
	EQ_TEXT(program_state(bench.program), "{}");
	bench_resume(&bench, NULL);
	EQ_TEXT(program_state(bench.program), "{\"whole\":\"new\"}");
	end_with_state();
}

static void a_state_that_cannot_be_kept_is_an_error(void)
{
	static const struct {
		const char *body, *error;
	} cases[] = {
		{ "ctx.state = 7", "ctx.state must be a table, not number" },
		{ "ctx.state.f = print", "value.f is a function, which JSON cannot say" },
		{ "ctx.state.me = ctx.state", "more than 64 levels of tables (does one contain itself?)" },
		{ "ctx.state.long = ('x'):rep(70000)",
		  "ctx.state has 70011 bytes as JSON; at most 65536 are kept" },
		{ "ctx.state = { 1, 2 }", "ctx.state must be a table with names, not an array" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char source[256];
		snprintf(source, sizeof source, "function execute(ctx) %s end", cases[i].body);
		with_state(source, NULL);
		EQ(bench_resume(&bench, NULL), PROGRAM_END);
		EQ(program_state(bench.program) == NULL, 1);
		HAS_TEXT(program_error(bench.program), "mine.lua: ");
		HAS_TEXT(program_error(bench.program), cases[i].error);
		end_with_state();
	}
	with_state("function execute() end", "[1]");
	EQ_TEXT(bench.error,
		"mine.lua: the state that was kept is not a JSON object; to begin anew, remove its file "
		"from the -state folder");
	end_with_state();
	with_state("function execute() end", "{");
	EQ_TEXT(bench.error,
		"mine.lua: the state that was kept is not a JSON object; to begin anew, remove its file "
		"from the -state folder");
	end_with_state();
}

static void a_program_that_failed_keeps_its_state_and_its_error(void)
{
	with_state("function execute(ctx) ctx.state.n = 5 while true do end end", NULL);
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ_TEXT(program_state(bench.program), "{\"n\":5}");
	HAS_TEXT(program_error(bench.program), "mine.lua:1: the program is stopped");
	end_with_state();
	with_state("function execute(ctx) ctx.state = 5 error('first') end", NULL);
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ(program_state(bench.program) == NULL, 1);
	EQ_TEXT(program_error(bench.program), "mine.lua:1: first");
	end_with_state();
}

static void execute_says_how_it_ended(void)
{
	begin("function execute() return 'max-requests' end");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	EQ(bench.wish.end_is_limit, 1);
	end();
	begin("function execute() return 'drained' end");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	EQ(bench.wish.end_is_limit, 0);
	end();
	fails("return 'done'",
	      "mine.lua: execute returned 'done'; it can return \"drained\" or \"max-requests\"");
	fails("return 7", "mine.lua: execute returned '7'; it can return \"drained\" or \"max-requests\"");
}

static void execute_can_begin_anew(void)
{
	begin("local runs = 0\n"
	      "function execute(ctx, client)\n"
	      "  runs = runs + 1\n"
	      "  print(runs)\n"
	      "  if runs == 2 then while true do end end\n"
	      "  if runs == 3 then error('third') end\n"
	      "  client:get{ url = ctx.env.URL }\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_REQUEST);
	answer_page();
	EQ(bench.wish.kind, PROGRAM_END);
	program_begin(bench.program);
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ_TEXT(program_error(bench.program),
		"mine.lua:5: the program is stopped: it used 2000000 instructions without waiting");
	program_begin(bench.program);
	EQ_TEXT(program_error(bench.program), "");
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ_TEXT(program_error(bench.program), "mine.lua:6: third");
	program_begin(bench.program);
	EQ(bench_resume(&bench, NULL), PROGRAM_REQUEST);
	/* And in the middle of a request. */
	program_begin(bench.program);
	EQ(bench_resume(&bench, NULL), PROGRAM_REQUEST);
	answer_page();
	EQ_TEXT(bench.log, "0 1\n0 2\n0 3\n0 4\n0 5\n");
	end();
}

static uint64_t interpreters[STAGE_INTERPRETERS_MAX];
static char seen[256];

static void look(void *owner, enum program_log_level level, const char *text)
{
	size_t used = strlen(seen);
	(void)owner, (void)level;
	used += (size_t)snprintf(seen + used, sizeof seen - used, "%s:", text);
	for (size_t i = 0; i < STAGE_INTERPRETERS_MAX; i++)
		seen[used++] = interpreters[i] ? '1' : '0';
	seen[used++] = ' ';
	seen[used] = 0;
}

static void an_observer_sees_which_states_run(void)
{
	static const uint64_t none[STAGE_INTERPRETERS_MAX];
	seen[0] = 0;
	bench_prepare(&bench,
		      "function execute(ctx, client)\n"
		      "  print('main')\n"
		      "  local co = coroutine.wrap(function()\n"
		      "    print('inner')\n"
		      "    coroutine.wrap(function() print('deep') coroutine.yield() end)()\n"
		      "    print('inner')\n"
		      "    error('x')\n"
		      "  end)\n"
		      "  pcall(co)\n"
		      "  print('main')\n"
		      "  client:stream{ url = ctx.env.URL, on_event = function() print('event') end }\n"
		      "end");
	bench.settings.interpreter = interpreters;
	bench.settings.log = look;
	bench_create(&bench);
	bench_resume(&bench, NULL);
	EQ_BYTES(interpreters, sizeof interpreters, none, sizeof none);
	EQ(program_event(bench.program, bench.now, span_of_text("{}"), NULL), 0);
	EQ_BYTES(interpreters, sizeof interpreters, none, sizeof none);
	/* The first is what calls them. */
	EQ_TEXT(seen, "main:1100000 inner:1110000 deep:1111000 inner:1110000 main:1100000 event:1100000 ");
	answer_page();
	end();
}

static void pages_need_no_more_memory(void)
{
	static struct control_context context = {
		.total = 5, .limit = 9, .offset_bytes = 3, .offset = "o\"1"
	};
	struct program_answer answer = bench_answer(200);
	struct program_header header = { span_of_text("link"), span_of_text("<?a=1>; rel=next") };
	struct program_header headers[PROGRAM_HEADERS_MAX];
	size_t count, after_warm_up = 0;
	answer.context = &context;
	answer.headers = &header;
	answer.header_count = 1;
	begin("function execute(ctx, client, emit)\n"
	      "  local url, n = ctx.env.URL, 0\n"
	      "  while true do\n"
	      "    local a = client:stream{ url = url, headers = function() return { N = n } end,\n"
	      "      on_event = function(line) emit(line .. n) end }\n"
	      "    n = n + 1\n"
	      "    url = a.links.next .. '&n=' .. n\n"
	      "    client:commit(a.context.offset)\n"
	      "  end\n"
	      "end");
	bench_resume(&bench, NULL);
	for (int page = 0; page < 20000; page++) {
		EQ(program_headers(bench.program, bench.now, headers, &count), 0);
		EQ(program_event(bench.program, bench.now, span_of_text("{\"x\":1}"), NULL), 0);
		program_made_consume(bench.program, program_made(bench.program).bytes);
		EQ(bench_resume(&bench, &answer), PROGRAM_REQUEST);
		if (page == 5000)
			after_warm_up = program_memory_bytes(bench.program);
	}
	EQ(program_memory_bytes(bench.program), after_warm_up);
	LT(after_warm_up, (size_t)3 << 20);
	bench_finish(&bench);
}

TEST_MAIN(T(commits_are_told_once), T(events_are_lines_in_control_mode), T(events_are_tables_in_full_mode),
	  T(an_error_in_an_event_ends_the_program), T(each_event_has_its_own_budget),
	  T(what_is_emitted_waits_for_the_owner), T(the_place_for_what_is_emitted_is_used_again),
	  T(what_is_emitted_is_checked), T(sleeps_until), T(ctx_says_who_and_when),
	  T(variables_are_those_of_the_environment), T(what_is_said_is_one_clean_line_without_secrets),
	  T(long_texts_are_cut_between_characters), T(counters_add_up), T(counters_have_an_end),
	  T(logs_have_an_end), T(a_page_that_was_withheld_is_not_committed), T(the_state_is_kept_as_json),
	  T(a_state_that_cannot_be_kept_is_an_error), T(a_program_that_failed_keeps_its_state_and_its_error),
	  T(execute_says_how_it_ended), T(execute_can_begin_anew), T(an_observer_sees_which_states_run),
	  T(pages_need_no_more_memory))
