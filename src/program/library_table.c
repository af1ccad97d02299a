/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of table: Lua's own, behind checks that what they will do is charged first and that no
 * metamethod takes part; but for sort, which is ours, because Lua's charges for no comparison of long texts
 * and does not always notice an order that is none.
 *
 * A table's length can be any border (manual section 3.4.7), so a table of sixty members may have the length
 * 2^62: lengths are charged for, never trusted.
 */
#include "program/library.h"

#include <limits.h>

#include <lauxlib.h>

enum {
	TEXT_BYTES_OF_INSTRUCTION = 64,
	CONCAT_CHARGE_MAX =
		1 << 20, /* more elements are no table of ours; the first that is missing ends it */
};

/* Argument `index` is a table without a metatable, or a JSON array. */
static void check_table(lua_State *lua, int index)
{
	luaL_checktype(lua, index, LUA_TTABLE);
	if (!lua_getmetatable(lua, index))
		return;
	library_push_array_mark(lua);
	luaL_argcheck(lua, lua_rawequal(lua, -1, -2), index, "table without a metatable expected");
	lua_pop(lua, 2);
}

static int table_concat(lua_State *lua)
{
	check_table(lua, 1);
	lua_Integer length = (lua_Integer)lua_rawlen(lua, 1);
	lua_Integer from = luaL_optinteger(lua, 3, 1), to = luaL_optinteger(lua, 4, length);
	if (to > length)
		to = length; /* an element is missing: an error */
	if (from <= to) {
		lua_Unsigned count = (lua_Unsigned)to - (lua_Unsigned)from + 1;
		program_charge(lua, count < CONCAT_CHARGE_MAX ? count : CONCAT_CHARGE_MAX);
	}
	int results = library_call_stock(lua);
	program_charge(lua, lua_rawlen(lua, -1) / TEXT_BYTES_OF_INSTRUCTION);
	return results;
}

static int table_insert(lua_State *lua)
{
	check_table(lua, 1);
	if (lua_gettop(lua) == 3) {
		lua_Integer length = (lua_Integer)lua_rawlen(lua, 1);
		lua_Integer at = luaL_checkinteger(lua, 2);
		if (at > 0 && at <= length)
			program_charge(lua, (lua_Unsigned)(length - at) + 1);
	}
	return library_call_stock(lua);
}

static int table_remove(lua_State *lua)
{
	check_table(lua, 1);
	if (lua_gettop(lua) > 1) {
		lua_Integer length = (lua_Integer)lua_rawlen(lua, 1);
		lua_Integer at = luaL_checkinteger(lua, 2);
		if (at > 0 && at < length)
			program_charge(lua, (lua_Unsigned)(length - at));
	}
	return library_call_stock(lua);
}

static int table_move(lua_State *lua)
{
	lua_Integer from = luaL_checkinteger(lua, 2), end = luaL_checkinteger(lua, 3);
	lua_Integer target = luaL_checkinteger(lua, 4);
	check_table(lua, 1);
	if (!lua_isnoneornil(lua, 5))
		check_table(lua, 5);
	/* What does not fit into 64 bits is an error of the stock function. */
	if (end >= from && (from > 0 || end < LUA_MAXINTEGER + from) &&
	    target <= LUA_MAXINTEGER - (end - from))
		program_charge(lua, (lua_Unsigned)(end - from) + 1);
	return library_call_stock(lua);
}

static int table_unpack(lua_State *lua)
{
	check_table(lua, 1);
	int count = library_call_stock(lua); /* a million at most */
	program_charge(lua, (uint64_t)count);
	return count;
}

static int table_pack(lua_State *lua)
{
	program_charge(lua, (uint64_t)lua_gettop(lua));
	return library_call_stock(lua);
}

enum { SORT_TABLE = 1, SORT_ORDER, SORT_SPARE }; /* places on the stack */

/* Whether the value at `a` comes before the one at `b`. */
static int is_before(lua_State *lua, int a, int b)
{
	a = lua_absindex(lua, a);
	b = lua_absindex(lua, b);
	if (!lua_isnil(lua, SORT_ORDER)) {
		lua_pushvalue(lua, SORT_ORDER);
		lua_pushvalue(lua, a);
		lua_pushvalue(lua, b);
		lua_call(lua, 2, 1);
		int before = lua_toboolean(lua, -1);
		lua_pop(lua, 1);
		return before;
	}
	uint64_t steps = 2;
	if (lua_type(lua, a) == LUA_TSTRING && lua_type(lua, b) == LUA_TSTRING) {
		size_t a_bytes = lua_rawlen(lua, a), b_bytes = lua_rawlen(lua, b);
		steps += (a_bytes < b_bytes ? a_bytes : b_bytes) / TEXT_BYTES_OF_INSTRUCTION;
	}
	program_charge(lua, steps);
	return lua_compare(lua, a, b, LUA_OPLT);
}

static int is_sorted(lua_State *lua, lua_Integer count)
{
	for (lua_Integer i = 1; i < count; i++) {
		lua_rawgeti(lua, SORT_TABLE, i);
		lua_rawgeti(lua, SORT_TABLE, i + 1);
		int before = is_before(lua, -1, -2);
		lua_pop(lua, 2);
		if (before)
			return 0;
	}
	return 1;
}

/* Merges [from, middle) and [middle, end) of the table at `source` into the one at `target`. */
static void merge(lua_State *lua, int source, int target, lua_Integer from, lua_Integer middle,
		  lua_Integer end)
{
	lua_Integer left = from, right = middle, at = from;
	lua_rawgeti(lua, source, left);
	lua_rawgeti(lua, source, right);
	/* The heads of both are on the stack: left, right. */
	while (left < middle && right < end) {
		if (is_before(lua, -1, -2)) {
			lua_rawseti(lua, target, at++);
			lua_rawgeti(lua, source, ++right);
		} else {
			lua_rotate(lua, -2, 1);
			lua_rawseti(lua, target, at++);
			lua_rawgeti(lua, source, ++left);
			lua_rotate(lua, -2, 1);
		}
	}
	lua_pop(lua, 2);
	for (; left < middle; left++) {
		lua_rawgeti(lua, source, left);
		lua_rawseti(lua, target, at++);
	}
	for (; right < end; right++) {
		lua_rawgeti(lua, source, right);
		lua_rawseti(lua, target, at++);
	}
}

/* A stable merge sort between the table and a spare one: it ends after count * log2(count) comparisons,
 * whatever the order says. */
static int table_sort(lua_State *lua)
{
	check_table(lua, 1);
	lua_Unsigned length = lua_rawlen(lua, 1);
	if (length < 2)
		return 0;
	luaL_argcheck(lua, length < INT_MAX, 1, "array too big");
	if (!lua_isnoneornil(lua, 2))
		luaL_checktype(lua, 2, LUA_TFUNCTION);
	lua_settop(lua, 2);
	lua_Integer count = (lua_Integer)length;
	program_charge(lua, length);
	if (is_sorted(lua, count))
		return 0;
	lua_createtable(lua, (int)count, 0);
	int source = SORT_TABLE, target = SORT_SPARE;
	for (lua_Integer width = 1; width < count; width *= 2) {
		program_charge(lua, length);
		for (lua_Integer from = 1; from <= count; from += 2 * width) {
			lua_Integer middle = from + width, end = middle + width;
			if (middle > count + 1)
				middle = count + 1;
			if (end > count + 1)
				end = count + 1;
			merge(lua, source, target, from, middle, end);
		}
		source = target;
		target = SORT_TABLE + SORT_SPARE - source;
	}
	for (lua_Integer i = 1; source != SORT_TABLE && i <= count; i++) {
		lua_rawgeti(lua, source, i);
		lua_rawseti(lua, SORT_TABLE, i);
	}
	if (!is_sorted(lua, count))
		return luaL_error(lua, "invalid order function for sorting");
	return 0;
}

void library_table_open(lua_State *lua)
{
	static const struct library_wrapper of_table[] = {
		{ "concat", table_concat }, { "insert", table_insert }, { "remove", table_remove },
		{ "move", table_move },	    { "unpack", table_unpack }, { "pack", table_pack },
		{ "sort", table_sort },
	};
	library_wrap(lua, "table", of_table, sizeof of_table / sizeof *of_table);
}
