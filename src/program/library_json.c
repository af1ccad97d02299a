/* SPDX-License-Identifier: Apache-2.0
 *
 * json.encode: a Lua value as JSON (RFC 8259), always the same text for the same value, because members are
 * written in the order of their names. Metamethods take no part. json.null and json.array are here, too;
 * decoding is in library_json_decode.c.
 */
#include "program/library_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "program/json_text.h"

enum {
	NUMBER_TEXT_BYTES = 40,	 /* "-1.7976931348623157e+308" and 64 bits with a sign are shorter */
	NAMES_ON_STACK_MAX = 16, /* most objects have fewer members */
	PATH_TEXT_BYTES = 200,	 /* names the member at fault in a message */
	BYTES_OF_INSTRUCTION = 16,
};

struct encoder {
	lua_State *lua;
	struct library_text text;
	int depth;
	int keys[JSON_TEXT_DEPTH_MAX]; /* where the keys that lead to the current value are on the stack */
	char fault[200];	       /* "" */
};

static int fail(struct encoder *encoder, const char *format, const char *detail)
{
	/* The callers' formats take one text. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(encoder->fault, sizeof encoder->fault, format, detail);
#pragma GCC diagnostic pop
	return -1;
}

static int encode_string(struct encoder *encoder, const char *base, size_t bytes)
{
	static const char digits[] = "0123456789abcdef";
	static const char escapes[] = "btn\0fr"; /* of 8 to 13 */
	static const uint8_t is_special[256] = {
		[0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x80 ... 0xff] = 1
	};
	struct span text = span_of(base, bytes);
	struct library_text *out = &encoder->text;
	size_t copied = 0;
	program_charge(encoder->lua, bytes / BYTES_OF_INSTRUCTION);
	library_text_add(out, "\"", 1);
	for (size_t at = 0;;) {
		while (at < bytes && !is_special[text.base[at]])
			at++;
		if (at == bytes)
			break;
		uint8_t byte = text.base[at];
		if (byte >= 0x80) {
			size_t character = json_text_character(text, at);
			if (!character) {
				char where[32];
				snprintf(where, sizeof where, "%zu", at + 1);
				return fail(encoder, "a text that is no UTF-8 (at its byte %s)", where);
			}
			at += character;
			continue;
		}
		char escape[6] = { '\\', (char)byte, '0', '0', digits[byte >> 4], digits[byte & 15] };
		size_t escape_bytes = 2;
		if (byte >= 8 && byte <= 13 && escapes[byte - 8]) {
			escape[1] = escapes[byte - 8];
		} else if (byte < 0x20) {
			escape[1] = 'u';
			escape_bytes = 6;
		}
		library_text_add(out, base + copied, at - copied);
		library_text_add(out, escape, escape_bytes);
		copied = ++at;
	}
	library_text_add(out, base + copied, bytes - copied);
	library_text_add(out, "\"", 1);
	return 0;
}

/* The shortest text that reads as the same double, and as no integer. */
static int encode_float(struct encoder *encoder, double value)
{
	char text[NUMBER_TEXT_BYTES];
	int bytes = 0;
	if (!isfinite(value))
		return fail(encoder, "%s, which JSON cannot say",
			    isnan(value) ? "not a number (0/0)" : "infinity");
	for (int digits = 15; digits <= 17; digits++) {
		bytes = snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	library_text_add(&encoder->text, text, (size_t)bytes);
	if (!strpbrk(text, ".e"))
		library_text_add(&encoder->text, ".0", 2);
	return 0;
}

static int encode_value(struct encoder *encoder);

/* The value on top is the member that the key below it leads to. */
static int encode_member(struct encoder *encoder)
{
	encoder->keys[encoder->depth - 1] = lua_gettop(encoder->lua) - 1;
	return encode_value(encoder);
}

static int encode_array(struct encoder *encoder, lua_Integer count)
{
	lua_State *lua = encoder->lua;
	int table = lua_gettop(lua);
	library_text_add(&encoder->text, "[", 1);
	for (lua_Integer i = 1; i <= count; i++) {
		if (i > 1)
			library_text_add(&encoder->text, ",", 1);
		lua_pushinteger(lua, i);
		lua_rawgeti(lua, table, i);
		if (encode_member(encoder) < 0)
			return -1;
		lua_settop(lua, table);
	}
	library_text_add(&encoder->text, "]", 1);
	return 0;
}

static int encode_object(struct encoder *encoder, size_t count)
{
	lua_State *lua = encoder->lua;
	int table = lua_gettop(lua);
	struct library_name on_stack[NAMES_ON_STACK_MAX], *names = on_stack;
	size_t found = 0;
	if (count > NAMES_ON_STACK_MAX)
		names = lua_newuserdatauv(lua, count * sizeof *names, 0);
	lua_pushnil(lua);
	while (found < count && lua_next(lua, table)) {
		lua_pop(lua, 1);
		names[found].base = lua_tolstring(lua, -1, &names[found].bytes);
		program_charge(lua, names[found].bytes / BYTES_OF_INSTRUCTION);
		found++;
	}
	int top = table + (count > NAMES_ON_STACK_MAX);
	lua_settop(lua, top);
	library_sort_names(names, found);
	library_text_add(&encoder->text, "{", 1);
	for (size_t i = 0; i < found; i++) {
		if (i)
			library_text_add(&encoder->text, ",", 1);
		lua_pushlstring(lua, names[i].base, names[i].bytes);
		lua_pushvalue(lua, -1);
		lua_rawget(lua, table);
		/* A name that is no UTF-8 is at fault itself. */
		encoder->keys[encoder->depth - 1] = top + 1;
		if (encode_string(encoder, names[i].base, names[i].bytes) < 0)
			return -1;
		library_text_add(&encoder->text, ":", 1);
		if (encode_member(encoder) < 0)
			return -1;
		lua_settop(lua, top);
	}
	lua_settop(lua, table);
	library_text_add(&encoder->text, "}", 1);
	return 0;
}

struct shape {
	size_t count, names;
	lua_Integer places, place_max; /* keys that are whole numbers from 1 on */
	int is_array;		       /* it has the mark */
	const char *odd_type;	       /* of a key that is neither; NULL */
};

/* What keys the table on top has. */
static struct shape shape_of(lua_State *lua)
{
	struct shape shape = { 0 };
	int table = lua_gettop(lua);
	if (lua_getmetatable(lua, table)) {
		library_push_array_mark(lua);
		shape.is_array = lua_rawequal(lua, -1, -2);
	}
	lua_settop(lua, table);
	lua_pushnil(lua);
	while (lua_next(lua, table)) {
		lua_pop(lua, 1);
		shape.count++;
		if (lua_type(lua, -1) == LUA_TSTRING) {
			shape.names++;
		} else if (lua_isinteger(lua, -1) && lua_tointeger(lua, -1) > 0) {
			shape.places++;
			if (lua_tointeger(lua, -1) > shape.place_max)
				shape.place_max = lua_tointeger(lua, -1);
		} else {
			shape.odd_type = lua_isinteger(lua, -1) ? "number below 1" : luaL_typename(lua, -1);
		}
	}
	program_charge(lua, 1 + shape.count);
	return shape;
}

static int encode_table(struct encoder *encoder)
{
	lua_State *lua = encoder->lua;
	if (encoder->depth == JSON_TEXT_DEPTH_MAX)
		return fail(encoder, "more than 64 levels of tables%s", " (does one contain itself?)");
	luaL_checkstack(lua, 8, NULL);
	struct shape shape = shape_of(lua);
	if (shape.odd_type)
		return fail(encoder, "a table with a key that is neither a text nor a place (a %s)",
			    shape.odd_type);
	if (shape.names && (shape.places || shape.is_array))
		return fail(encoder, "a table with both names and %s",
			    shape.is_array ? "an array's mark" : "places");
	if (shape.place_max != shape.places) {
		char where[32];
		snprintf(where, sizeof where, "%lld", (long long)shape.place_max);
		return fail(encoder, "an array with holes below its place %s (json.null is no hole)", where);
	}
	encoder->depth++;
	int failed = shape.places || shape.is_array ? encode_array(encoder, shape.places)
						    : encode_object(encoder, shape.count);
	/* After a fault the depth says how long the path to it is. */
	if (!failed)
		encoder->depth--;
	return failed;
}

/* The value on top; it stays there. */
static int encode_value(struct encoder *encoder)
{
	lua_State *lua = encoder->lua;
	char number[NUMBER_TEXT_BYTES];
	size_t bytes;
	const char *base;
	switch (lua_type(lua, -1)) {
	case LUA_TNIL:
		library_text_add(&encoder->text, "null", 4);
		return 0;
	case LUA_TBOOLEAN:
		base = lua_toboolean(lua, -1) ? "true" : "false";
		library_text_add(&encoder->text, base, strlen(base));
		return 0;
	case LUA_TNUMBER:
		if (!lua_isinteger(lua, -1))
			return encode_float(encoder, lua_tonumber(lua, -1));
		bytes = (size_t)snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(lua, -1));
		library_text_add(&encoder->text, number, bytes);
		return 0;
	case LUA_TSTRING:
		base = lua_tolstring(lua, -1, &bytes);
		return encode_string(encoder, base, bytes);
	case LUA_TTABLE:
		return encode_table(encoder);
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(lua, -1) == NULL) {
			library_text_add(&encoder->text, "null", 4);
			return 0;
		}
		break;
	default:
		break;
	}
	return fail(encoder, "a %s, which JSON cannot say", luaL_typename(lua, -1));
}

/* "value.items[3].name", cut where it gets long. */
static void path_of(const struct encoder *encoder, char path[static PATH_TEXT_BYTES])
{
	lua_State *lua = encoder->lua;
	size_t used = (size_t)snprintf(path, PATH_TEXT_BYTES, "value");
	for (int i = 0; i < encoder->depth && used < PATH_TEXT_BYTES - 1; i++) {
		int key = encoder->keys[i], written;
		if (lua_isinteger(lua, key))
			written = snprintf(path + used, PATH_TEXT_BYTES - used, "[%lld]",
					   (long long)lua_tointeger(lua, key));
		else
			written =
				snprintf(path + used, PATH_TEXT_BYTES - used, ".%s", lua_tostring(lua, key));
		used += (size_t)written;
	}
}

/* Pushes the text of the value at `index` and returns 1, or pushes what is wrong and returns 0. */
static int encode(lua_State *lua, int index)
{
	struct encoder encoder;
	int top = lua_gettop(lua);
	index = lua_absindex(lua, index);
	encoder.lua = lua;
	encoder.depth = 0;
	encoder.fault[0] = 0;
	library_text_begin(&encoder.text, lua);
	lua_pushvalue(lua, index);
	int failed = encode_value(&encoder);
	if (failed) {
		char path[PATH_TEXT_BYTES];
		path_of(&encoder, path);
		lua_pushfstring(lua, "%s is %s", path, encoder.fault);
	} else {
		library_text_push(&encoder.text);
	}
	lua_replace(lua, top + 1);
	lua_settop(lua, top + 1);
	return !failed;
}

void program_push_json(lua_State *lua, int index)
{
	if (!encode(lua, index))
		lua_error(lua);
}

static int json_encode(lua_State *lua)
{
	luaL_checkany(lua, 1);
	if (!encode(lua, 1))
		return luaL_argerror(lua, 1, lua_tostring(lua, -1));
	return 1;
}

/* json.array([table]): the table, marked as an array. */
static int json_array(lua_State *lua)
{
	if (lua_isnoneornil(lua, 1)) {
		lua_settop(lua, 0);
		lua_newtable(lua);
	}
	luaL_checktype(lua, 1, LUA_TTABLE);
	library_push_array_mark(lua);
	if (lua_getmetatable(lua, 1)) {
		luaL_argcheck(lua, lua_rawequal(lua, -1, -2), 1, "table without a metatable expected");
		lua_pop(lua, 1);
	}
	lua_setmetatable(lua, 1);
	lua_settop(lua, 1);
	return 1;
}

/* Its address is the mark's key in the registry. */
static const char array_mark;

void library_push_array_mark(lua_State *lua)
{
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &array_mark);
}

static int null_text(lua_State *lua)
{
	lua_pushliteral(lua, "null");
	return 1;
}

/* A metatable that programs can neither see nor change, on top of the stack. */
static void push_closed_metatable(lua_State *lua, const char *name)
{
	lua_newtable(lua);
	lua_pushstring(lua, name);
	lua_setfield(lua, -2, "__name");
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
}

void library_json_open(lua_State *lua)
{
	push_closed_metatable(lua, "json.array");
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &array_mark);
	lua_newtable(lua);
	lua_pushcfunction(lua, json_encode);
	lua_setfield(lua, -2, "encode");
	lua_pushcfunction(lua, json_array);
	lua_setfield(lua, -2, "array");
	library_json_decode_open(lua);
	/* All light userdata share their metatable; there is no other one than this. */
	lua_pushlightuserdata(lua, NULL);
	push_closed_metatable(lua, "json.null");
	lua_pushcfunction(lua, null_text);
	lua_setfield(lua, -2, "__tostring");
	lua_setmetatable(lua, -2);
	lua_setfield(lua, -2, "null");
	lua_setglobal(lua, "json");
}
