/* SPDX-License-Identifier: Apache-2.0
 *
 * Coroutines of a program's own, and pcall(): whoever catches errors or resumes a thread. Each of them hands
 * on the error of an exhausted budget, so that no program outlives it, and coroutines are entered and left
 * here only, so that an observer sees who runs.
 */
#include "program/internal.h"

#include "base/stage.h"

enum {
	/* A thread counts up to its hook by itself, so many short-lived ones would run uncounted. */
	RESUME_INSTRUCTIONS = 200,
	/* Lua 5.4.4 begins to count the C stack anew in each coroutine that is closed. */
	CLOSE_DEPTH_MAX = 4,
	/* Whoever catches an error where execute() may wait looks at all calls below, so catching n of them
	   in n calls takes n * n: ten times as deep, and an exhausted program would take minutes to end. */
	CATCH_DEPTH_MAX = 4000,
};

static void check_depth(lua_State *lua, const char *what)
{
	lua_Debug record;
	if (lua_getstack(lua, CATCH_DEPTH_MAX, &record))
		luaL_error(lua, "%s inside more than %d calls", what, CATCH_DEPTH_MAX);
}

static int finish_pcall(lua_State *lua, int status, lua_KContext results_from)
{
	if (status == LUA_OK || status == LUA_YIELD)
		return lua_gettop(lua) - (int)results_from;
	program_check_exhausted(lua);
	lua_pushboolean(lua, 0);
	lua_pushvalue(lua, -2);
	return 2;
}

int program_pcall(lua_State *lua)
{
	luaL_checkany(lua, 1);
	check_depth(lua, "pcall");
	lua_pushboolean(lua, 1);
	lua_insert(lua, 1);
	int status = lua_pcallk(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0, 0, finish_pcall);
	return finish_pcall(lua, status, 0);
}

/* Stands in for the program's message handler: Lua calls it without hooks when the error comes from a hook,
 * and a handler that loops would never end. */
static int handle(lua_State *lua)
{
	if (program_of(lua)->exhausted)
		return 1;
	lua_settop(lua, 1);
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_call(lua, 1, 1);
	return 1;
}

int program_xpcall(lua_State *lua)
{
	int arguments = lua_gettop(lua) - 2;
	luaL_checktype(lua, 2, LUA_TFUNCTION);
	check_depth(lua, "xpcall");
	lua_pushvalue(lua, 2);
	lua_pushcclosure(lua, handle, 1);
	lua_replace(lua, 2);
	lua_pushboolean(lua, 1);
	lua_pushvalue(lua, 1);
	lua_rotate(lua, 3, 2);
	int status = lua_pcallk(lua, arguments, LUA_MULTRET, 2, 2, finish_pcall);
	return finish_pcall(lua, status, 2);
}

static lua_State *get_coroutine(lua_State *lua, int index)
{
	lua_State *co = lua_tothread(lua, index);
	luaL_argexpected(lua, co, index, "coroutine");
	const struct program *program = program_of(lua);
	if ((co == program->main || co == program->events || co == program->state) && co != lua)
		luaL_error(lua, "execute itself cannot be resumed or closed");
	return co;
}

/* Control goes to `co`, and comes back. */
static void enter(struct program *program, lua_State *co)
{
	program->coroutine_depth++;
	program->running = co;
	stage_interpret(program->settings.interpreter, (unsigned)program->coroutine_depth + 1, co);
}

static void leave(struct program *program, lua_State *lua)
{
	stage_interpret(program->settings.interpreter, (unsigned)program->coroutine_depth + 1, NULL);
	program->coroutine_depth--;
	program->running = lua;
}

/* "suspended", "dead", or another that says why it cannot be closed. */
static const char *status_of(lua_State *lua, lua_State *co)
{
	lua_Debug record;
	if (lua == co)
		return "running";
	switch (lua_status(co)) {
	case LUA_YIELD:
		return "suspended";
	case LUA_OK:
		if (lua_getstack(co, 0, &record))
			return "normal";
		return lua_gettop(co) == 0 ? "dead" : "suspended";
	default:
		return "dead";
	}
}

/* Results are moved to `lua`, their count returned. -1: the error is on top of `lua`, and where `co` died of
 * it on top of `co` too. */
static int resume(lua_State *lua, lua_State *co, int arguments)
{
	struct program *program = program_of(lua);
	int results = 0;
	program_charge(lua, RESUME_INSTRUCTIONS);
	const char *state = status_of(lua, co);
	if (*state != 's') {
		lua_pushfstring(lua, "cannot resume %s coroutine", *state == 'd' ? state : "non-suspended");
		return -1;
	}
	if (!lua_checkstack(co, arguments + 1)) {
		lua_pushliteral(lua, "too many arguments to resume");
		return -1;
	}
	lua_xmove(lua, co, arguments);
	enter(program, co);
	int status = lua_resume(co, lua, arguments, &results);
	leave(program, lua);
	program_check_exhausted(lua);
	if (status != LUA_OK && status != LUA_YIELD) {
		/* Too deep in C: it has not begun, and could still. */
		if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)
			lua_pushvalue(co, -1);
		lua_xmove(co, lua, 1);
		/* Lua makes no message with a line when memory is out; perhaps there is enough for one now.
		 */
		if (status == LUA_ERRMEM)
			lua_pushfstring(lua, "%s:%d: %s", program->source_name, program_line(co),
					lua_tostring(lua, -1));
		return -1;
	}
	if (!lua_checkstack(lua, results + 1)) {
		lua_pop(co, results);
		lua_pushliteral(lua, "too many results to resume");
		return -1;
	}
	lua_xmove(co, lua, results);
	return results;
}

static int coroutine_resume(lua_State *lua)
{
	lua_State *co = get_coroutine(lua, 1);
	int results = resume(lua, co, lua_gettop(lua) - 1);
	lua_pushboolean(lua, results >= 0);
	if (results < 0)
		results = 1;
	lua_insert(lua, -(results + 1));
	return results + 1;
}

/* Runs what its variables have as __close; their error, or that which ended it, is then on top of `co`. */
static int close_thread(lua_State *lua, lua_State *co)
{
	struct program *program = program_of(lua);
	if (program->close_depth >= CLOSE_DEPTH_MAX)
		luaL_error(lua, "too many coroutines that are closed while others are being closed");
	if (program->was_exhausted && lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)
		luaL_error(lua,
			   "a coroutine that was stopped cannot be closed"); /* no hooks would run in it */
	enter(program, co);
	program->close_depth++;
#if LUA_VERSION_RELEASE_NUM >= 50406
	int status = lua_closethread(co, lua);
#else
	int status = lua_resetthread(co);
#endif
	program->close_depth--;
	leave(program, lua);
	program_check_exhausted(lua);
	return status;
}

static int wrapped(lua_State *lua)
{
	lua_State *co = lua_tothread(lua, lua_upvalueindex(1));
	int results = resume(lua, co, lua_gettop(lua));
	if (results >= 0)
		return results;
	int status = lua_status(co);
	if (status != LUA_OK && status != LUA_YIELD) {
		close_thread(lua, co);
		lua_xmove(co, lua, 1);
	}
	/* Lua would add the place of this call to that of the error; one is enough. */
	if (status != LUA_ERRMEM && lua_type(lua, -1) == LUA_TSTRING && !program_is_placed(lua)) {
		luaL_where(lua, 1);
		lua_insert(lua, -2);
		lua_concat(lua, 2);
	}
	return lua_error(lua);
}

static int coroutine_create(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TFUNCTION);
	lua_State *co = lua_newthread(lua); /* with the hook of this one */
	lua_pushvalue(lua, 1);
	lua_xmove(lua, co, 1);
	return 1;
}

static int coroutine_wrap(lua_State *lua)
{
	coroutine_create(lua);
	lua_pushcclosure(lua, wrapped, 1);
	return 1;
}

static int coroutine_yield(lua_State *lua)
{
	if (program_of(lua)->coroutine_depth == 0)
		return luaL_error(lua,
				  "coroutine.yield outside a coroutine of the program's own: execute waits "
				  "with client:stream, client:get or ctx.sleep");
	return lua_yield(lua, lua_gettop(lua));
}

static int coroutine_isyieldable(lua_State *lua)
{
	lua_pushboolean(lua, program_of(lua)->coroutine_depth > 0 && lua_isyieldable(lua));
	return 1;
}

static int coroutine_status(lua_State *lua)
{
	lua_State *co = lua_tothread(lua, 1);
	luaL_argexpected(lua, co, 1, "coroutine");
	lua_pushstring(lua, status_of(lua, co));
	return 1;
}

static int coroutine_running(lua_State *lua)
{
	lua_pushthread(lua);
	lua_pushboolean(lua, program_of(lua)->coroutine_depth == 0);
	return 2;
}

static int coroutine_close(lua_State *lua)
{
	lua_State *co = get_coroutine(lua, 1);
	const char *status = status_of(lua, co);
	if (*status != 's' && *status != 'd')
		return luaL_error(lua, "cannot close a %s coroutine", status);
	if (close_thread(lua, co) == LUA_OK) {
		lua_pushboolean(lua, 1);
		return 1;
	}
	lua_pushboolean(lua, 0);
	lua_xmove(co, lua, 1);
	return 2;
}

void program_push_coroutine(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{ "close", coroutine_close },
		{ "create", coroutine_create },
		{ "isyieldable", coroutine_isyieldable },
		{ "resume", coroutine_resume },
		{ "running", coroutine_running },
		{ "status", coroutine_status },
		{ "wrap", coroutine_wrap },
		{ "yield", coroutine_yield },
		{ NULL, NULL },
	};
	luaL_newlib(lua, functions);
}
