/* SPDX-License-Identifier: Apache-2.0
 *
 * The globals of a program: an allow list of Lua's own, our helpers, and nothing that is not there.
 */
#include "program/internal.h"

#ifdef PROGRAM_ESCAPE /* a test's build: native code in the hands of programs, tests/sandbox/escape.c */
void escape_open(lua_State *lua);
#endif

/* Lua's own that stay as they are. What can run for long or reach further is replaced below, in coroutine.c
 * and by the library. */
static const char *const kept[] = {
	"assert", "ipairs",	  "next",     "pairs",	  "rawequal", "rawget", "rawlen", "rawset",
	"select", "getmetatable", "tonumber", "tostring", "type",     "math",	"string", "table",
	"utf8",	  "json",	  "crypto",   "base64",	  "hex",      "url",	"time",	  NULL,
};

/* error(), which remembers that a program wanted no line. */
static int sandbox_error(lua_State *lua)
{
	int level = (int)luaL_optinteger(lua, 2, 1);
	lua_settop(lua, 1);
	program_of(lua)->unplaced = level == 0;
	if (lua_type(lua, 1) == LUA_TSTRING && level > 0) {
		luaL_where(lua, level);
		lua_insert(lua, 1);
		lua_concat(lua, 2);
	}
	return lua_error(lua);
}

/* setmetatable() without finalizers: those run inside any allocation, and no hook sees them. Lua looks for
 * __gc at this moment only, so setting it later does nothing. */
static int sandbox_setmetatable(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	luaL_argexpected(lua, lua_isnil(lua, 2) || lua_istable(lua, 2), 2, "nil or table");
	if (luaL_getmetafield(lua, 1, "__metatable") != LUA_TNIL)
		return luaL_error(lua, "cannot change a protected metatable");
	lua_settop(lua, 2);
	if (lua_istable(lua, 2)) {
		lua_pushliteral(lua, "__gc");
		if (lua_rawget(lua, 2) != LUA_TNIL)
			return luaL_error(lua, "a metatable cannot have __gc here: finalizers are not run");
		lua_pop(lua, 1);
	}
	lua_setmetatable(lua, 1);
	return 1;
}

static int missing_global(lua_State *lua)
{
	return luaL_error(lua, "name '%s' is not defined", luaL_tolstring(lua, 2, NULL));
}

/* Upvalue: the table of globals. */
static int set_global(lua_State *lua)
{
	if (!program_of(lua)->opening)
		return luaL_error(lua, "global '%s' cannot be set once execute runs: make it local",
				  luaL_tolstring(lua, 2, NULL));
	lua_settop(lua, 3);
	lua_rawset(lua, lua_upvalueindex(1));
	return 0;
}

/* What programs see as _ENV stays empty, so that each assignment asks; names are looked up behind it. */
static void protect_globals(lua_State *lua)
{
	int globals = lua_gettop(lua);
	lua_newtable(lua); /* _ENV */
	lua_createtable(lua, 0, 3);
	lua_pushvalue(lua, globals);
	lua_setfield(lua, -2, "__index");
	lua_pushvalue(lua, globals);
	lua_pushcclosure(lua, set_global, 1);
	lua_setfield(lua, -2, "__newindex");
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
	lua_createtable(lua, 0, 1);
	lua_pushcfunction(lua, missing_global);
	lua_setfield(lua, -2, "__index");
	lua_setmetatable(lua, globals);
	lua_remove(lua, globals);
}

void program_push_globals(lua_State *lua)
{
	static const luaL_Reg opened[] = {
		{ LUA_GNAME, luaopen_base },	    { LUA_MATHLIBNAME, luaopen_math },
		{ LUA_STRLIBNAME, luaopen_string }, { LUA_TABLIBNAME, luaopen_table },
		{ LUA_UTF8LIBNAME, luaopen_utf8 },
	};
	static const luaL_Reg ours[] = {
		{ "error", sandbox_error }, { "setmetatable", sandbox_setmetatable },
		{ "pcall", program_pcall }, { "xpcall", program_xpcall },
		{ "print", program_print }, { NULL, NULL },
	};
	for (size_t i = 0; i < sizeof opened / sizeof *opened; i++) {
		luaL_requiref(lua, opened[i].name, opened[i].func, 1);
		lua_pop(lua, 1);
	}
	program_library_open(lua);
	/* Texts share one metatable: not for programs to change. */
	lua_pushliteral(lua, "");
	if (lua_getmetatable(lua, -1)) {
		lua_pushboolean(lua, 0);
		lua_setfield(lua, -2, "__metatable");
		lua_pop(lua, 1);
	}
	lua_pop(lua, 1);
	lua_newtable(lua);
	for (size_t i = 0; kept[i]; i++) {
		lua_getglobal(lua, kept[i]);
		lua_setfield(lua, -2, kept[i]);
	}
	luaL_setfuncs(lua, ours, 0);
	program_push_coroutine(lua);
	lua_setfield(lua, -2, "coroutine");
#ifdef PROGRAM_ESCAPE
	escape_open(lua);
	lua_setfield(lua, -2, "escape");
#endif
	protect_globals(lua);
}
