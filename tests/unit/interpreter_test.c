/* SPDX-License-Identifier: Apache-2.0
 *
 * What is read of Lua's memory by the layout that was found, against what Lua itself says: lines of all
 * functions (lua_getinfo(), "L"), all calls at every instruction, and the table that is told.
 */
#include <lauxlib.h>
#include <lualib.h>

#include "program/interpreter.h"
#include "test.h"

enum { TEXT_BYTES = 1 << 20 };

static struct interpreter_own own;

static struct interpreter_layout found_layout(void)
{
	struct interpreter_layout layout;
	char error[INTERPRETER_ERROR_BYTES_MAX];
	void *memory = aligned_alloc(16, INTERPRETER_MEMORY_BYTES);
	int code = interpreter_find_layout(&layout, &own, memory, error);
	free(memory);
	if (code < 0)
		FAIL("%s", error);
	return layout;
}

/* It returns all its functions. `...` and loops, closures, long steps of lines, a call across many lines. */
static const char many_functions[] =
	"local all = {}\n"
	"local function keep(f) all[#all + 1] = f return f end\n"
	"keep(keep)\n"
	"keep(function(...)\n"
	"\tlocal a, b = ...\n"
	"\tfor i = 1, select('#', ...) do a = i end\n"
	"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	"\n\n\n\n\n\n"
	"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	"\n\n\n\n\n\n"
	"\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	"\n\n\n\n\n\n"
	"\treturn a, b\n"
	"end)\n"
	"local function outer()\n"
	"\tlocal t = setmetatable({}, { __index = keep(function(_, k) return k end),\n"
	"\t\t__close = keep(function() end) })\n"
	"\tlocal c <close> = t\n"
	"\tgoto there\n"
	"\t::there::\n"
	"\tlocal s = string.rep(\n"
	"\t\t'x',\n"
	"\t\tt[3]\n"
	"\t)\n"
	"\twhile #s < 5 do s = s .. 'y' end repeat s = s:sub(2) until #s < 3\n"
	"\treturn (s:gsub('.', keep(function(x) return x .. x end)))\n"
	"end\n"
	"keep(outer)\n"
	"keep(function() for k, v in pairs({ 1, 2, x = 3 }) do all.last = k end end)\n"
	"local co = coroutine.wrap(keep(function() for i = 1, 3 do coroutine.yield(outer()) end end))\n"
	"for _ = 1, 3 do co() end\n"
	"return all\n";

/* 120 lines of 5 instructions: Lua marks where it is now and then. */
static const char *long_function(void)
{
	static char text[16384];
	size_t used = (size_t)snprintf(text, sizeof text, "return { function(a, b) local x = a\n");
	for (int i = 0; i < 120; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "x = x * %d + a - b%s", i,
					 i % 7 == 3 ? "\n\n\n"
					 : i % 5    ? "\n"
						    : " ");
	snprintf(text + used, sizeof text - used, "return x end }\n");
	return text;
}

/* Of the function on top of the stack, which goes. The first instruction of a function with `...` is Lua's
 * own affair. */
static void compare_lines(lua_State *lua, const struct interpreter_layout *layout)
{
	enum { LINES = 2000 };
	static uint8_t ours[LINES];
	lua_Debug debug;
	struct interpreter_function function;
	memset(ours, 0, sizeof ours);
	interpreter_function_of_closure(layout, lua_topointer(lua, -1), &function);
	EQ(lua_getinfo(lua, ">SLu", &debug), 1);
	EQ(function.line, debug.linedefined);
	struct interpreter_lines lines = { .layout = layout, .function = &function };
	uint32_t count = 0;
	while (interpreter_next_line(&lines)) {
		GE(lines.line, debug.linedefined);
		LT(lines.line, LINES);
		if (debug.lastlinedefined > 0)
			LE(lines.line, debug.lastlinedefined);
		if (count++ > 0 || !debug.isvararg)
			ours[lines.line] = 1;
	}
	EQ(count, function.instructions);
	for (int line = 0; line < LINES; line++) {
		lua_rawgeti(lua, -1, line);
		EQ(ours[line], lua_toboolean(lua, -1));
		lua_pop(lua, 1);
	}
	lua_pop(lua, 1);
}

static int compare_all_lines(const char *text, const struct interpreter_layout *layout)
{
	lua_State *lua = luaL_newstate();
	luaL_openlibs(lua);
	EQ(luaL_loadstring(lua, text), LUA_OK);
	lua_pushvalue(lua, -1);
	compare_lines(lua, layout);
	lua_call(lua, 0, 1);
	int count = (int)lua_rawlen(lua, -1);
	for (int i = 1; i <= count; i++) {
		lua_rawgeti(lua, -1, i);
		compare_lines(lua, layout);
	}
	lua_close(lua);
	return count;
}

static void lines_are_luas(void)
{
	const struct interpreter_layout layout = found_layout();
	EQ(compare_all_lines(many_functions, &layout), 14); /* five, and three for each call of outer() */
	EQ(compare_all_lines(long_function(), &layout), 1);
}

/* ---- At each instruction ---- */

struct watch {
	struct interpreter_layout layout;
	unsigned calls, native, lua;
};

static uint64_t word_at(const void *base, uint32_t offset)
{
	uint64_t word;
	memcpy(&word, (const char *)base + offset, sizeof word);
	return word;
}

static const void *pointer_at(const void *base, uint32_t offset)
{
	return (const void *)(uintptr_t)word_at(base, offset);
}

/* The walk of bpf/interpreter.h, in short. */
static void look(lua_State *lua, lua_Debug *event)
{
	struct watch *watch = *(struct watch **)lua_getextraspace(lua);
	const struct interpreter_layout *layout = &watch->layout;
	const void *call = pointer_at(lua, layout->state_call);
	lua_Debug debug;
	(void)event;
	for (int level = 0; lua_getstack(lua, level, &debug); level++) {
		lua_getinfo(lua, "Slf", &debug);
		const void *value = pointer_at(call, layout->call_function);
		uint8_t tag = *((const uint8_t *)value + layout->value_tag);
		watch->calls++;
		if (lua_iscfunction(lua, -1)) {
			uint64_t native = tag == layout->tag_native
						  ? word_at(value, 0)
						  : word_at(pointer_at(value, 0), layout->closure_native);
			EQ(tag == layout->tag_native || tag == layout->tag_native_closure, 1);
			EQ(native, (uint64_t)(uintptr_t)lua_tocfunction(lua, -1));
			watch->native++;
		} else {
			struct interpreter_function function;
			EQ(tag, layout->tag_lua);
			interpreter_function_of_closure(layout, lua_topointer(lua, -1), &function);
			uint64_t at = (word_at(call, layout->call_position) - function.code) / 4;
			struct interpreter_lines lines = { .layout = layout, .function = &function };
			while (lines.at < (at ? at : 1) && interpreter_next_line(&lines))
				;
			EQ(lines.line, debug.currentline);
			watch->lua++;
		}
		lua_pop(lua, 1);
		call = pointer_at(call, layout->call_previous);
		NE(call == NULL, 1);
	}
	EQ(word_at(call, layout->call_previous), 0);
}

static void calls_are_luas(void)
{
	struct watch watch = { .layout = found_layout() };
	lua_State *lua = luaL_newstate();
	luaL_openlibs(lua);
	*(struct watch **)lua_getextraspace(lua) = &watch; /* coroutines get the same */
	lua_sethook(lua, look, LUA_MASKCOUNT, 1);	   /* and this */
	for (int i = 0; i < 2; i++) {
		EQ(luaL_loadstring(lua, i ? many_functions : long_function()), LUA_OK);
		lua_call(lua, 0, 1);
		lua_rawgeti(lua, -1, 1);
		lua_pushinteger(lua, 3);
		lua_pushinteger(lua, 4);
		lua_call(lua, 2, 0);
		lua_pop(lua, 1);
	}
	printf("# %u calls: %u in Lua, %u in C\n", watch.calls, watch.lua, watch.native);
	GT(watch.lua, 1000);
	GT(watch.native, 20);
	lua_close(lua);
}

/* ---- The table ---- */

static char *table_of(const char *source, size_t bytes)
{
	const struct interpreter_layout layout = found_layout();
	char *text = malloc(TEXT_BYTES);
	lua_State *lua = luaL_newstate();
	luaL_openlibs(lua);
	EQ(luaL_loadstring(lua, source), LUA_OK);
	size_t used =
		interpreter_symbols(lua, &layout, &own, "mine.lua", source, strlen(source), text, bytes);
	EQ(used, strlen(text));
	EQ(lua_gettop(lua), 1);
	lua_close(lua);
	return text;
}

/* "name@line, ..." of the functions in a table. */
static const char *functions_of(const char *text)
{
	static char names[4096];
	size_t used = 0;
	names[0] = 0;
	for (const char *at = text; (at = strstr(at, "\nfunction ")); at++) {
		int line, name_from = 0;
		sscanf(at, "\nfunction %*x %*u %d %n", &line, &name_from);
		const char *name = at + name_from;
		used += (size_t)snprintf(names + used, sizeof names - used, "%s%.*s@%d", used ? ", " : "",
					 (int)strcspn(name, "\n"), name, line);
	}
	return names;
}

static const char *names_in(const char *source)
{
	char *text = table_of(source, TEXT_BYTES);
	const char *names = functions_of(text);
	free(text);
	return names;
}

static void functions_have_names(void)
{
	EQ_TEXT(names_in("function f() end"), "main chunk@0, f@1");
	EQ_TEXT(names_in("local function f() end\nfunction a.b.c:d() end"), "main chunk@0, f@1, a.b.c:d@2");
	EQ_TEXT(names_in("local f = function() end\na.b = function() end"), "main chunk@0, f@1, a.b@2");
	EQ_TEXT(names_in("t = { f = function() end, g = function() end }"), "main chunk@0, f@1, g@1");
	EQ_TEXT(names_in("x{ on_event = function(e)\nend }"), "main chunk@0, on_event@1");
	EQ_TEXT(names_in("local function f()\nlocal function g() return function() end end\nend\nh = "
			 "function() end"),
		"main chunk@0, f@1, g@2, function at line 2@2, h@4");
	/* Lua counts the line of the bracket. */
	EQ_TEXT(names_in("local function\nf\n(\n) end"), "main chunk@0, f@3");
	EQ_TEXT(names_in("f =\nfunction\n() end"), "main chunk@0, f@3");
}

static void functions_without_names(void)
{
	EQ_TEXT(names_in("return function() end"), "main chunk@0, function at line 1@1");
	EQ_TEXT(names_in("pcall(function() end)"), "main chunk@0, function at line 1@1");
	EQ_TEXT(names_in("t[1] = function() end"), "main chunk@0, function at line 1@1");
	EQ_TEXT(names_in("a, b = function() end, function() end"),
		"main chunk@0, function at line 1@1, function at line 1@1");
	EQ_TEXT(names_in("f = f or function() end"), "main chunk@0, function at line 1@1");
	EQ_TEXT(names_in("f = 1 f(function() end)"), "main chunk@0, function at line 1@1");
}

/* Words that are no functions. */
static void texts_and_comments(void)
{
	EQ_TEXT(names_in("-- function no()\nfunction f() end"), "main chunk@0, f@2");
	EQ_TEXT(names_in("--[[ function no()\n]] function f() end"), "main chunk@0, f@2");
	EQ_TEXT(names_in("--[==[ function no() ]] ]=]\n]==] function f() end"), "main chunk@0, f@2");
	EQ_TEXT(names_in("--[ function no()\nfunction f() end"), "main chunk@0, f@2");
	EQ_TEXT(names_in("s = 'function no() \\' function' function f() end"), "main chunk@0, f@1");
	EQ_TEXT(names_in("s = \"function \\\"no\\\\\" function f() end"), "main chunk@0, f@1");
	EQ_TEXT(names_in("s = 'a\\z\n   b\\\nc' function f() end"), "main chunk@0, f@3");
	EQ_TEXT(names_in("s = [[\nfunction no() ]] function f() end"), "main chunk@0, f@2");
	EQ_TEXT(names_in("s = [=[ ]] function ]=] .. 3 .. 0x1p4 function f(...) end"), "main chunk@0, f@1");
	EQ_TEXT(names_in("functional = 1 my_function = 2 function f() end"), "main chunk@0, f@1");
	EQ_TEXT(names_in("::a:: if x == 1 then goto a end f = function() end"), "main chunk@0, f@1");
}

static void long_names(void)
{
	char source[1024], name[400];
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = 0;
	snprintf(source, sizeof source, "function %s() end function a.%s() end function f() end", name, name);
	EQ_TEXT(names_in(source), "main chunk@0, function at line 1@1, function at line 1@1, f@1");
}

static void lines_and_natives_are_told(void)
{
	char *text = table_of("local x = 1\nx = x + x\nreturn x", TEXT_BYTES);
	HAS_TEXT(text, "lua 1 5.4");
	HAS_TEXT(text, "\nlayout ");
	HAS_TEXT(text, "\nlibrary ");
	HAS_TEXT(text, "\nfile mine.lua\n");
	HAS_TEXT(text, " string.gsub\n");
	HAS_TEXT(text, " luaV_execute\n");
	HAS_TEXT(text, " luaG_traceexec\n");
	HAS_TEXT(text, " luaD_precall\n");
	HAS_TEXT(text, " coroutine.resume\n");
	HAS_TEXT(text, " print\n");
	/* VARARGPREP and LOADI; ADD, MMBIN; two RETURNs: the same since Lua 5.4.0. */
	HAS_TEXT(text, " 0 main chunk\nlines 1:2 2:2 3:2\n");
	free(text);
}

/* Whatever the room: whole lines, and no function without its lines. */
static void what_does_not_fit(void)
{
	char *whole = table_of(many_functions, TEXT_BYTES);
	size_t bytes = strlen(whole);
	const char *functions = strstr(whole, "\nfunction ");
	for (size_t room = 1; room < bytes; room += 61) {
		char *text = table_of(many_functions, room);
		size_t used = strlen(text);
		LT(used, room);
		EQ(used == 0 || text[used - 1] == '\n', 1);
		const char *last = NULL;
		for (const char *at = text; (at = strstr(at, "\nfunction ")); at++)
			last = at;
		EQ(last != NULL && !strstr(last, "\nlines "), 0);
		free(text);
	}
	EQ(functions != NULL, 1);
	free(whole);
}

TEST_MAIN(T(lines_are_luas), T(calls_are_luas), T(functions_have_names), T(functions_without_names),
	  T(texts_and_comments), T(long_names), T(lines_and_natives_are_told), T(what_does_not_fit))
