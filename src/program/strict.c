/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ours in which a misspelt name is an error at the program's line, not nil.
 */
#include "program/internal.h"

/* Upvalues of both: what the table is, and the set of names that may be nil. */
static int is_known(lua_State *lua)
{
	lua_pushvalue(lua, 2);
	return lua_rawget(lua, lua_upvalueindex(2)) != LUA_TNIL;
}

static int strict_index(lua_State *lua)
{
	if (lua_isnil(lua, 2) || !is_known(lua)) {
		const char *name = luaL_tolstring(lua, 2, NULL);
		return luaL_error(lua, "%s has no field '%s'", lua_tostring(lua, lua_upvalueindex(1)), name);
	}
	lua_pushnil(lua);
	return 1;
}

static int strict_set(lua_State *lua)
{
	if (lua_isnil(lua, 2) || !is_known(lua)) {
		const char *name = luaL_tolstring(lua, 2, NULL);
		return luaL_error(lua, "%s has no field '%s' that could be set",
				  lua_tostring(lua, lua_upvalueindex(1)), name);
	}
	lua_settop(lua, 3);
	lua_rawset(lua, 1);
	return 0;
}

void program_push_strict(lua_State *lua, const char *what, const char *const *names)
{
	lua_createtable(lua, 0, 3);
	lua_pushstring(lua, what);
	lua_newtable(lua);
	for (; names && *names; names++) {
		lua_pushboolean(lua, 1);
		lua_setfield(lua, -2, *names);
	}
	lua_pushvalue(lua, -2);
	lua_pushvalue(lua, -2);
	lua_pushcclosure(lua, strict_index, 2);
	lua_setfield(lua, -4, "__index");
	lua_pushcclosure(lua, strict_set, 2);
	lua_setfield(lua, -2, "__newindex");
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
}
