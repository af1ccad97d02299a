/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sandbox forbids and stops: each promise of src/program/README.md about it, with the line that the
 * error names. Limits are small here, so that a program that does not end ends soon.
 */
#include "unit/program_run.h"

#define STOPPED "the program is stopped: it used 2000000 instructions without waiting"

/* Sources have the mischief in line 2, unless the error says otherwise. */
struct mischief {
	const char *body, *error;
};

static void run_all(const struct mischief *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char source[2048], error[PROGRAM_TEXT_BYTES_MAX];
		snprintf(source, sizeof source, "function execute(ctx, client, emit)\n%s\nend\n",
			 cases[i].body);
		snprintf(error, sizeof error, "mine.lua:2: %s", cases[i].error);
		begin(source);
		enum program_wish_kind kind = bench_resume(&bench, NULL);
		if (kind != PROGRAM_FAILED || strcmp(program_error(bench.program), error) != 0)
			FAIL("%s: wish %d, \"%s\", wanted \"%s\"", cases[i].body, kind,
			     program_error(bench.program), error);
		/* It is over: nothing that it left behind runs again. */
		EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
		bench_finish(&bench);
	}
}

#define RUN(...)                                                                                             \
	do {                                                                                                 \
		static const struct mischief cases[] = { __VA_ARGS__ };                                      \
		run_all(cases, sizeof cases / sizeof *cases);                                                \
	} while (0)

static void loops_are_stopped(void)
{
	RUN({ "while true do end", STOPPED }, { "::again:: goto again", STOPPED },
	    { "for i = 1, math.huge do end", STOPPED }, { "local function f() return f() end f()", STOPPED },
	    { "local t = setmetatable({}, { __index = function(t, k) return t[k .. 'x'] end }) "
	      "while true do pcall(function() return t.x end) end",
	      STOPPED },
	    { "for x in function() return 1 end do end", STOPPED },
	    { "for k in pairs(setmetatable({}, { __pairs = function() return function() return 1 end end })) "
	      "do end",
	      STOPPED },
	    { "while true do ctx.now() end", STOPPED },
	    { "while true do emit('x') if #'x' == 0 then break end ctx.log('info', 'y') end", STOPPED });
}

static void loops_cannot_catch_it(void)
{
	RUN({ "pcall(function() while true do end end)", STOPPED },
	    { "while true do pcall(function() while true do end end) end", STOPPED },
	    { "while true do pcall(pcall, error) end", STOPPED },
	    { "while true do xpcall(function() while true do end end, function(e) return e end) end",
	      STOPPED },
	    { "xpcall(function() while true do end end, function() while true do end end)", STOPPED },
	    { "xpcall(error, function() while true do end end)", STOPPED },
	    { "while true do pcall(xpcall, error, error) end", STOPPED },
	    /* Each level catches what the next one raises, twice: there are as many levels as fit. */
	    { "local function f() pcall(f) pcall(f) end f()", STOPPED },
	    { "local function f() xpcall(f, tostring) xpcall(f, tostring) end f()", STOPPED });
}

static void errors_are_caught_at_a_limited_depth(void)
{
	RUN({ "local function f(n) if n > 0 then return (f(n - 1)) end return pcall(error, 'caught', 0) end "
	      "assert(f(3900) == false) f(4100)",
	      "pcall inside more than 4000 calls" },
	    { "local function f(n) if n > 0 then return (f(n - 1)) end return xpcall(error, print, 'x') end "
	      "assert(f(3900) == false) f(4100)",
	      "xpcall inside more than 4000 calls" });
}

static void loops_cannot_hide_in_what_runs_at_the_end(void)
{
	RUN({ "local c <close> = setmetatable({}, { __close = function() while true do end end })", STOPPED },
	    { "local c <close> = setmetatable({}, { __close = function() while true do end end }) "
	      "while true do end",
	      STOPPED },
	    { "local function f() local c <close> = setmetatable({}, { __close = f }) while true do end end "
	      "while true do pcall(f) end",
	      STOPPED },
	    { "local co = coroutine.create(function() "
	      "local c <close> = setmetatable({}, { __close = function() while true do end end }) "
	      "coroutine.yield() end) coroutine.resume(co) while true do pcall(coroutine.close, co) end",
	      STOPPED },
	    { "local co = coroutine.wrap(function() "
	      "local c <close> = setmetatable({}, { __close = function() client:get{ url = ctx.env.URL } end "
	      "}) "
	      "while true do end end) "
	      "local c <close> = setmetatable({}, { __close = function() client:get{ url = ctx.env.URL } end "
	      "}) "
	      "co()",
	      STOPPED });
}

static void loops_cannot_hide_in_metamethods_and_callbacks(void)
{
	RUN({ "local x = setmetatable({}, { __index = function() while true do end end }).x", STOPPED },
	    { "setmetatable({}, { __newindex = function() while true do end end }).x = 1", STOPPED },
	    { "local x = setmetatable({}, { __add = function() while true do end end }) + 1", STOPPED },
	    { "local x = setmetatable({}, { __concat = function() while true do end end }) .. ''", STOPPED },
	    { "local x = setmetatable({}, { __eq = function() while true do end end }) == setmetatable({}, "
	      "{})",
	      STOPPED },
	    { "local x = #setmetatable({}, { __len = function() while true do end end })", STOPPED },
	    { "setmetatable({}, { __call = function() while true do end end })()", STOPPED },
	    { "tostring(setmetatable({}, { __tostring = function() while true do end end }))", STOPPED },
	    { "print(setmetatable({}, { __tostring = function() while true do end end }))", STOPPED },
	    { "table.sort({ 3, 2, 1 }, function() while true do end end)", STOPPED },
	    { "string.gsub('abc', '.', function() while true do end end)", STOPPED });
}

static void loops_cannot_hide_in_coroutines(void)
{
	RUN({ "coroutine.wrap(function() while true do end end)()", STOPPED },
	    { "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
	      STOPPED },
	    { "while true do pcall(coroutine.wrap(function() while true do end end)) end", STOPPED },
	    /* Each of them ends before its own hook comes. */
	    { "while true do coroutine.wrap(function() for i = 1, 200 do end end)() end", STOPPED },
	    { "local co = coroutine.wrap(function() while true do coroutine.yield() end end) "
	      "while true do co() end",
	      STOPPED },
	    { "local function f() coroutine.wrap(function() pcall(f) while true do end end)() end f()",
	      STOPPED });
}

static void long_calls_of_c_functions_are_stopped(void)
{
	RUN({ "string.rep('x', 1 << 40)", "resulting string too large" },
	    { "local s = ('a'):rep(20000) while true do s:find(('a*'):rep(20) .. 'b') end", STOPPED },
	    { "local s = ('x'):rep(1000000) while true do s:find('y') end", STOPPED },
	    { "local s = ('x'):rep(1000000) while true do local t = s:upper() end", STOPPED },
	    { "local s = ('\\x80'):rep(1000000) while true do utf8.len(s) end", STOPPED },
	    { "local s = ('1'):rep(1000000) while true do local t = s .. s end", STOPPED },
	    { "local t = {} for i = 1, 1000 do t[i] = i end while true do table.concat(t) end", STOPPED },
	    { "while true do table.move({}, 1, 1000000, 2) end", STOPPED },
	    { "while true do string.format('%99d', 1) end", STOPPED });
}

static void memory_has_a_ceiling(void)
{
	RUN({ "local t = {} for i = 1, 1e9 do t[i] = i end", "not enough memory" },
	    { "local s = 'x' while true do s = s .. s end", "not enough memory" },
	    { "local t = {} for i = 1, 1e9 do t[i] = {} end", "not enough memory" },
	    { "local function f() return 1 + f() end f()", "not enough memory" },
	    { "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end", "not enough memory" },
	    { "local t = {} for i = 1, 1e9 do local n = t t = { n, n, n } end", "not enough memory" },
	    { "coroutine.wrap(function() local s = 'x' while true do s = s .. s end end)()",
	      "not enough memory" });
}

static void one_that_catches_the_ceiling_is_stopped_all_the_same(void)
{
	RUN({ "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end", STOPPED },
	    { "local keep = {} while true do pcall(function() for i = #keep + 1, 1e9 do keep[i] = {} end "
	      "end) end",
	      STOPPED });
}

static void garbage_is_no_ceiling(void)
{
	/* 200 MB of garbage in 16 MB, a little at a time. */
	bench_prepare(&bench, "function execute(ctx)\n"
			      "  for i = 1, 200 do\n"
			      "    local s = ('x'):rep(1000000) .. i\n"
			      "    ctx.sleep(0)\n"
			      "  end\n"
			      "end\n");
	bench_create(&bench);
	while (bench_resume(&bench, NULL) == PROGRAM_WAIT)
		;
	EQ_TEXT(program_error(bench.program), "");
	EQ(bench.wish.kind, PROGRAM_END);
	LE(program_memory_bytes(bench.program), (size_t)16 << 20);
	bench_finish(&bench);
}

static void recursion_ends(void)
{
	RUN({ "local function f() local x = setmetatable({}, { __index = f }).x end f()",
	      "C stack overflow" },
	    { "local function f() coroutine.wrap(f)() end f()", "C stack overflow" },
	    { "local function f() local c <close> = setmetatable({}, { __close = f }) end f()",
	      "C stack overflow" },
	    { "local function f(s) return (s:gsub('.', f)) end f('x')", "C stack overflow" });
}

static void what_loops_on_the_stack_of_c_ends(void)
{
	/* Each closes another that is being closed: Lua 5.4.4 would not count that. */
	begin("function execute()\n"
	      "  local depth = 0\n"
	      "  local function f()\n"
	      "    depth = depth + 1\n"
	      "    local co = coroutine.create(function()\n"
	      "      local c <close> = setmetatable({}, { __close = f })\n"
	      "      coroutine.yield()\n"
	      "    end)\n"
	      "    coroutine.resume(co)\n"
	      "    local ok, e = coroutine.close(co)\n"
	      "    if not ok then print(depth, e) end\n"
	      "  end\n"
	      "  f()\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	HAS_TEXT(bench.log, "mine.lua:10: too many coroutines that are closed while others are being closed");
	bench_finish(&bench);
}

static void names_must_exist(void)
{
	RUN({ "local x = foo", "name 'foo' is not defined" }, { "foo()", "name 'foo' is not defined" },
	    { "foo = 1", "global 'foo' cannot be set once execute runs: make it local" },
	    { "execute = nil", "global 'execute' cannot be set once execute runs: make it local" },
	    { "string = nil", "global 'string' cannot be set once execute runs: make it local" },
	    { "function helper() end", "global 'helper' cannot be set once execute runs: make it local" },
	    { "setmetatable(_ENV, nil)", "cannot change a protected metatable" });
}

static void only_what_is_allowed_is_there(void)
{
	static const char *const absent[] = { "io",	"os",	    "package",	  "require", "debug",
					      "load",	"loadfile", "loadstring", "dofile",  "collectgarbage",
					      "warn",	"_G",	    "_VERSION",	  "setfenv", "getfenv",
					      "unpack", "newproxy", "module" };
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
		char body[64], error[64];
		snprintf(body, sizeof body, "local x = %s", absent[i]);
		snprintf(error, sizeof error, "name '%s' is not defined", absent[i]);
		struct mischief one = { body, error };
		run_all(&one, 1);
	}
	begin("function execute()\n"
	      "  for _, name in ipairs{ 'assert', 'error', 'ipairs', 'next', 'pairs', 'pcall', 'rawequal', "
	      "'rawget',\n"
	      "      'rawlen', 'rawset', 'select', 'setmetatable', 'getmetatable', 'tonumber', 'tostring', "
	      "'type',\n"
	      "      'xpcall', 'print' } do\n"
	      "    assert(type(_ENV[name]) == 'function', name)\n"
	      "  end\n"
	      "  for _, name in ipairs{ 'coroutine', 'math', 'string', 'table', 'utf8', 'json', 'crypto', "
	      "'base64', 'hex',\n"
	      "      'url', 'time' } do\n"
	      "    assert(type(_ENV[name]) == 'table', name)\n"
	      "  end\n"
	      "  for _, name in ipairs{ 'dump', 'pack', 'packsize', 'unpack' } do\n"
	      "    assert(rawget(string, name) == nil, name)\n"
	      "  end\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	end();
}

static void metatables_have_no_finalizers(void)
{
	RUN({ "setmetatable({}, { __gc = function() end })",
	      "a metatable cannot have __gc here: finalizers are not run" },
	    { "setmetatable({}, { __gc = true })",
	      "a metatable cannot have __gc here: finalizers are not run" },
	    { "setmetatable({}, 7)",
	      "bad argument #2 to 'setmetatable' (nil or table expected, got number)" },
	    { "setmetatable(ctx, {})", "cannot change a protected metatable" },
	    { "setmetatable(ctx.env, nil)", "cannot change a protected metatable" },
	    { "setmetatable(client, nil)", "cannot change a protected metatable" },
	    { "setmetatable('x', nil)", "bad argument #1 to 'setmetatable' (table expected, got string)" },
	    { "getmetatable('').__index = nil", "attempt to index a boolean value" });
	begin("local ran = false\n"
	      "function execute(ctx)\n"
	      "  local late = {}\n"
	      "  setmetatable({}, late)\n"
	      "  late.__gc = function() ran = true end\n"
	      "  for i = 1, 100000 do local garbage = { i } end\n"
	      "  print(ran, getmetatable(ctx), getmetatable(''))\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	EQ_TEXT(bench.log, "0 false false false\n");
	end();
}

static void waits_are_for_execute_itself(void)
{
	RUN({ "coroutine.yield()",
	      "coroutine.yield outside a coroutine of the program's own: execute waits with "
	      "client:stream, client:get or ctx.sleep" },
	    { "coroutine.wrap(function() client:stream{ url = ctx.env.URL } end)()",
	      "client:stream can only be called from execute itself" },
	    { "coroutine.wrap(function() client:get{ url = ctx.env.URL } end)()",
	      "client:get can only be called from execute itself" },
	    { "coroutine.wrap(function() ctx.sleep(1) end)()",
	      "ctx.sleep can only be called from execute itself" },
	    { "table.sort({ 1, 2 }, function() ctx.sleep(1) end)",
	      "ctx.sleep can only be called from execute itself, not inside a function such as table.sort or "
	      "string.gsub" },
	    { "local main = coroutine.running() coroutine.wrap(function() coroutine.resume(main) end)()",
	      "execute itself cannot be resumed or closed" },
	    { "local main = coroutine.running() coroutine.wrap(function() coroutine.close(main) end)()",
	      "execute itself cannot be resumed or closed" },
	    { "coroutine.close(coroutine.running())", "cannot close a running coroutine" });
}

static void a_callback_cannot_resume_execute(void)
{
	struct program_answer answer = bench_answer(200);
	begin("local main\n"
	      "function execute(ctx, client)\n"
	      "  main = coroutine.running()\n"
	      "  client:stream{ url = ctx.env.URL, on_event = function()\n"
	      "    print(coroutine.status(main), coroutine.isyieldable(), select(2, coroutine.running()))\n"
	      "    print(pcall(coroutine.resume, main))\n"
	      "    print(pcall(coroutine.close, main))\n"
	      "  end }\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_REQUEST);
	EQ(program_event(bench.program, bench.now, span_of_text("{}"), NULL), 0);
	EQ_TEXT(bench.log, "0 suspended false true\n"
			   "0 false execute itself cannot be resumed or closed\n"
			   "0 false execute itself cannot be resumed or closed\n");
	bench_resume(&bench, &answer);
	end();
}

static void waits_work_inside_pcall_and_metamethods(void)
{
	begin("function execute(ctx, client)\n"
	      "  print(pcall(ctx.sleep, 1))\n"
	      "  print(xpcall(function() ctx.sleep(1) error('x') end, function(e) return 'handled ' .. e "
	      "end))\n"
	      "  local t = setmetatable({}, { __index = function() ctx.sleep(1) return 7 end })\n"
	      "  print(t.x)\n"
	      "  local c <close> = setmetatable({}, { __close = function() ctx.sleep(1) print('closed') end "
	      "})\n"
	      "end");
	for (int i = 0; i < 4; i++)
		EQ(bench_resume(&bench, NULL), PROGRAM_WAIT);
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	EQ_TEXT(bench.log, "0 true\n0 false handled mine.lua:3: x\n0 7\n0 closed\n");
	end();
}

static void coroutines_of_a_program_work(void)
{
	begin("function execute()\n"
	      "  local co = coroutine.create(function(a, b)\n"
	      "    local c = coroutine.yield(a + b)\n"
	      "    error('c is ' .. c)\n"
	      "  end)\n"
	      "  print(coroutine.status(co), coroutine.resume(co, 1, 2))\n"
	      "  print(coroutine.status(co), coroutine.resume(co, 3))\n"
	      "  print(coroutine.status(co), coroutine.resume(co))\n"
	      "  print(coroutine.close(co))\n"
	      "  local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)\n"
	      "  print(gen(), gen(), gen(), gen())\n"
	      "  print(pcall(gen))\n"
	      "  print(pcall(coroutine.wrap(function() error({}) end)))\n"
	      "  local inner = coroutine.wrap(function() return coroutine.isyieldable(), coroutine.running() "
	      "end)\n"
	      "  print(inner() and 'inside')\n"
	      "  print(coroutine.resume(coroutine.running()))\n"
	      "  local closed = coroutine.create(function()\n"
	      "    local c <close> = setmetatable({}, { __close = function() print('closed') end })\n"
	      "    coroutine.yield()\n"
	      "  end)\n"
	      "  coroutine.resume(closed)\n"
	      "  print(coroutine.close(closed), coroutine.status(closed))\n"
	      "  print(pcall(coroutine.resume, 7))\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	EQ_TEXT(program_error(bench.program), "");
	HAS_TEXT(bench.log, "0 suspended true 3\n0 suspended false mine.lua:4: c is 3\n"
			    "0 dead false cannot resume dead coroutine\n0 false mine.lua:4: c is 3\n0 1 2 3\n"
			    "0 false cannot resume dead coroutine\n0 false table: ");
	HAS_TEXT(bench.log, "0 inside\n0 false cannot resume non-suspended coroutine\n0 closed\n0 true dead\n"
			    "0 false bad argument #1 to '?' (coroutine expected, got number)\n");
	end();
}

static void what_was_stopped_stays_so_when_execute_begins_anew(void)
{
	begin("local left\n"
	      "function execute()\n"
	      "  if left then\n"
	      "    print(pcall(coroutine.close, left))\n"
	      "    print(pcall(coroutine.resume, left))\n"
	      "    return\n"
	      "  end\n"
	      "  left = coroutine.create(function()\n"
	      "    local c <close> = setmetatable({}, { __close = function() while true do end end })\n"
	      "    while true do end\n"
	      "  end)\n"
	      "  coroutine.resume(left)\n"
	      "end");
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ_TEXT(program_error(bench.program), "mine.lua:10: " STOPPED);
	program_begin(bench.program);
	EQ(bench_resume(&bench, NULL), PROGRAM_END);
	EQ_TEXT(bench.log, "0 false a coroutine that was stopped cannot be closed\n"
			   "0 true false cannot resume dead coroutine\n");
	end();
}

static void cpu_time_is_limited_too(void)
{
	/* Few instructions that take long each: a text that is read as a number, an error that is caught with
	 * many functions running (Lua looks at all of them). */
	static const char *const bodies[] = {
		"local s = ('1'):rep(1000000) while true do local x = tonumber(s) end",
		"local function f() pcall(f) f() end f()",
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		char source[256];
		snprintf(source, sizeof source, "function execute()\n%s\nend", bodies[i]);
		bench_prepare(&bench, source);
		bench.limits.instructions = INT64_C(1) << 40;
		bench.limits.cpu_ns = 100000000;
		bench_create(&bench);
		EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
		EQ_TEXT(program_error(bench.program),
			"mine.lua:2: the program is stopped: it used 0.1 s of CPU time without waiting");
		bench_finish(&bench);
	}
}

static void budgets_are_for_each_wait(void)
{
	begin("function execute(ctx)\n"
	      "  for i = 1, 50 do\n"
	      "    for j = 1, 400000 do end\n"
	      "    ctx.sleep(0)\n"
	      "  end\n"
	      "end");
	while (bench_resume(&bench, NULL) == PROGRAM_WAIT)
		;
	end();
}

static void the_main_chunk_has_budgets(void)
{
	static const struct mischief cases[] = {
		{ "\nwhile true do end", "mine.lua:2: " STOPPED },
		{ "\nlocal s = 'x' while true do s = s .. s end", "mine.lua:2: not enough memory" },
		{ "\ncoroutine.yield()",
		  "mine.lua:2: coroutine.yield outside a coroutine of the program's own: execute waits with "
		  "client:stream, client:get or ctx.sleep" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bench_prepare(&bench, cases[i].body);
		does_not_open(cases[i].error);
	}
}

static void errors_are_one_sentence_with_a_line(void)
{
	RUN({ "error('text')", "text" }, { "assert(false, 'text')", "text" },
	    { "assert(nil)", "assertion failed!" }, { "error()", "an error without a message" },
	    { "error({})", "an error that is a table: error() takes a text" },
	    { "error(print)", "an error that is a function: error() takes a text" }, { "error(5)", "5" },
	    { "error(true)", "true" },
	    { "error(setmetatable({}, { __tostring = function() return 'own\\ntext' end }))", "own text" },
	    { "error(setmetatable({}, { __tostring = function() error('x') end }))",
	      "an error that has no text" },
	    { "error(setmetatable({}, { __tostring = function() while true do end end }))",
	      "an error that has no text" },
	    { "local t t.x = 1", "attempt to index a nil value (local 't')" },
	    { "ctx.env.URL()", "attempt to call a string value (field 'URL')" },
	    { "string.rep()", "bad argument #1 to 'rep' (string expected, got no value)" },
	    { "table.sort({ 7, 7 }, error)", "7" },
	    { "pcall(error) local function f() error('in a function') end f()", "in a function" },
	    { "local c <close> = setmetatable({}, { __close = function() error('in close') end }) "
	      "error('first')",
	      "first" });
	begin("function execute()\n  error('for the one who runs it', 0)\nend");
	EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
	EQ_TEXT(program_error(bench.program), "for the one who runs it");
	bench_finish(&bench);
}

static void errors_where_there_is_no_memory_for_them(void)
{
	/* All but the last bytes are taken, in ever smaller pieces, then whatever needs a message fails. */
	static const char *const ends[] = { "error('a text ' .. #keep)",
					    "local x = nil .. 'x'",
					    "coroutine.wrap(function() local x = {} + 1 end)()",
					    "string.rep()",
					    "client:get{ url = 7 }",
					    "ctx.nonsense()",
					    "local co = coroutine.wrap(print) co() co()",
					    "local function f() return pcall(f) end f() f(error())" };
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		char source[1024];
		snprintf(source, sizeof source,
			 "local keep = { n = 0 }\n"
			 "function execute(ctx, client)\n"
			 "  for bits = 20, 0, -1 do\n"
			 "    pcall(function()\n"
			 "      while true do keep = { keep, ('x'):rep(1 << bits) .. bits .. tostring(keep) "
			 "} end\n"
			 "    end)\n"
			 "  end\n"
			 "  %s\n"
			 "end",
			 ends[i]);
		bench_prepare(&bench, source);
		bench.limits.instructions = 100000000;
		bench.limits.memory_bytes = (size_t)4 << 20;
		bench_create(&bench);
		EQ(bench_resume(&bench, NULL), PROGRAM_FAILED);
		HAS_TEXT(program_error(bench.program), "mine.lua:");
		bench_finish(&bench);
	}
}

static void too_little_memory_for_a_state_is_an_error(void)
{
	int made = 0;
	for (size_t bytes = 65536; bytes <= (size_t)4 << 20 && !made; bytes += 65536) {
		bench_prepare(&bench, "function execute() end");
		bench.limits.memory_bytes = bytes;
		bench_create(&bench);
		made = bench.program != NULL;
		if (!made)
			HAS_TEXT(bench.error, "mine.lua: not enough memory");
		bench_finish(&bench);
	}
	EQ(made, 1);
}

TEST_MAIN(T(loops_are_stopped), T(loops_cannot_catch_it), T(errors_are_caught_at_a_limited_depth),
	  T(loops_cannot_hide_in_what_runs_at_the_end), T(loops_cannot_hide_in_metamethods_and_callbacks),
	  T(loops_cannot_hide_in_coroutines), T(long_calls_of_c_functions_are_stopped),
	  T(memory_has_a_ceiling), T(one_that_catches_the_ceiling_is_stopped_all_the_same),
	  T(garbage_is_no_ceiling), T(recursion_ends), T(what_loops_on_the_stack_of_c_ends),
	  T(names_must_exist), T(only_what_is_allowed_is_there), T(metatables_have_no_finalizers),
	  T(waits_are_for_execute_itself), T(a_callback_cannot_resume_execute),
	  T(waits_work_inside_pcall_and_metamethods), T(coroutines_of_a_program_work),
	  T(what_was_stopped_stays_so_when_execute_begins_anew), T(cpu_time_is_limited_too),
	  T(budgets_are_for_each_wait), T(the_main_chunk_has_budgets), T(errors_are_one_sentence_with_a_line),
	  T(errors_where_there_is_no_memory_for_them), T(too_little_memory_for_a_state_is_an_error))
