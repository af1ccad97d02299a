/* SPDX-License-Identifier: Apache-2.0
 *
 * json.decode and json.items, and Lua tables from what the decoder made of a text: this is how every event
 * reaches a program that parses in full.
 */
#include "program/library_json.h"

#include <string.h>

#include <lauxlib.h>

#include "program/json_text.h"

enum {
	BYTES_OF_INSTRUCTION = 32, /* of a text that is decoded: 3 GB/s */
	FIELD_INSTRUCTIONS = 5,	   /* to make a member of a table */
};

struct container {
	uint32_t end;	     /* the first field behind it */
	lua_Integer element; /* of an array: the last one set; -1: an object */
};

static void push_scalar(lua_State *lua, const struct event_field *field)
{
	switch (field->type) {
	case EVENT_FALSE:
	case EVENT_TRUE:
		lua_pushboolean(lua, field->type == EVENT_TRUE);
		return;
	case EVENT_INTEGER:
		lua_pushinteger(lua, field->integer);
		return;
	case EVENT_NUMBER:
		lua_pushnumber(lua, field->number);
		return;
	case EVENT_STRING:
		lua_pushlstring(lua, (const char *)field->string.base, field->string.bytes);
		return;
	case EVENT_NULL:
	case EVENT_ARRAY:
	case EVENT_OBJECT:
		break;
	}
	lua_pushlightuserdata(lua, NULL);
}

/* Makes the value on top a member of the container below it; an object's key is between them. */
static void set_member(lua_State *lua, struct container *parent)
{
	if (parent->element < 0)
		lua_rawset(lua, -3);
	else
		lua_rawseti(lua, -2, ++parent->element);
}

void program_push_fields(lua_State *lua, const struct event_fields *event)
{
	struct container open[JSON_TEXT_DEPTH_MAX];
	size_t depth = 0;
	luaL_checkstack(lua, 2 * JSON_TEXT_DEPTH_MAX + 4, NULL);
	library_push_array_mark(lua);
	int mark = lua_gettop(lua);
	for (uint32_t i = 0; i < event->count; i++) {
		const struct event_field *field = &event->fields[i];
		for (; depth && open[depth - 1].end == i; depth--) {
			if (depth > 1)
				set_member(lua, &open[depth - 2]);
		}
		if (field->key.base)
			lua_pushlstring(lua, (const char *)field->key.base, field->key.bytes);
		if (field->type != EVENT_ARRAY && field->type != EVENT_OBJECT) {
			push_scalar(lua, field);
		} else {
			int is_array = field->type == EVENT_ARRAY;
			lua_createtable(lua, is_array ? (int)field->member_count : 0,
					is_array ? 0 : (int)field->member_count);
			if (is_array) {
				lua_pushvalue(lua, mark);
				lua_setmetatable(lua, -2);
			}
			if (field->member_count) {
				if (depth == JSON_TEXT_DEPTH_MAX)
					luaL_error(lua, "more than %d levels of objects and arrays",
						   JSON_TEXT_DEPTH_MAX);
				open[depth++] = (struct container){ .end = field->next,
								    .element = is_array ? 0 : -1 };
				continue;
			}
		}
		if (depth)
			set_member(lua, &open[depth - 1]);
	}
	for (; depth > 1; depth--)
		set_member(lua, &open[depth - 2]);
	lua_remove(lua, mark);
}

/* Decodes argument 1, or raises with what is wrong and where. */
static struct event_fields decode_argument(lua_State *lua)
{
	size_t bytes, at;
	const char *base = luaL_checklstring(lua, 1, &bytes);
	struct span text = span_of(base, bytes);
	struct event_fields event;
	program_charge(lua, bytes / BYTES_OF_INSTRUCTION);
	if (program_decode_json(lua, text, &event) == 0) {
		program_charge(lua, (uint64_t)event.count * FIELD_INSTRUCTIONS);
		return event;
	}
	const char *fault = json_text_fault(text, &at);
	if (fault && at == bytes)
		lua_pushfstring(lua, "at the end (byte %I): %s", (LUAI_UACINT)at, fault);
	else if (fault)
		lua_pushfstring(lua, "at byte %I: %s", (LUAI_UACINT)at + 1, fault);
	else
		lua_pushliteral(lua,
				"JSON, but too long, of too many values, or with a number beyond a double");
	luaL_argerror(lua, 1, lua_tostring(lua, -1));
	return event;
}

static int json_decode(lua_State *lua)
{
	struct event_fields event = decode_argument(lua);
	program_push_fields(lua, &event);
	return 1;
}

/* Follows argument 2, names with dots between them, from the document on. */
static const struct event_field *follow_path(lua_State *lua, const struct event_fields *event)
{
	size_t left;
	const char *path = luaL_checklstring(lua, 2, &left);
	const struct event_field *field = &event->fields[0];
	for (const char *at = path; left || at != path;) {
		const char *dot = memchr(at, '.', left);
		size_t bytes = dot ? (size_t)(dot - at) : left;
		field = event_member_of(event, field, span_of(at, bytes));
		if (!field) {
			lua_pushlstring(lua, at, bytes);
			luaL_argerror(lua, 2,
				      lua_pushfstring(lua, "the document has no '%s' there",
						      lua_tostring(lua, -1)));
			return NULL;
		}
		if (!dot)
			break;
		at = dot + 1;
		left -= bytes + 1;
	}
	return field;
}

/* json.items(text, path) */
static int json_items(lua_State *lua)
{
	struct event_fields event = decode_argument(lua);
	const struct event_field *array = follow_path(lua, &event);
	luaL_argcheck(lua, array->type == EVENT_ARRAY, 2, "what is there is no array");
	lua_settop(lua, 2);
	lua_createtable(lua, (int)array->member_count, 0);
	library_push_array_mark(lua);
	lua_setmetatable(lua, 3);
	struct library_text line;
	library_text_begin(&line, lua);
	lua_Integer count = 0;
	uint32_t first = (uint32_t)(array - event.fields) + 1;
	for (uint32_t i = first; i < array->next; i = event.fields[i].next) {
		struct span raw = event.fields[i].raw;
		char *room = library_text_room(&line, raw.bytes);
		lua_pushlstring(lua, room, json_text_compact(raw, room));
		lua_rawseti(lua, 3, ++count);
	}
	lua_settop(lua, 3);
	return 1;
}

void library_json_decode_open(lua_State *lua)
{
	lua_pushcfunction(lua, json_decode);
	lua_setfield(lua, -2, "decode");
	lua_pushcfunction(lua, json_items);
	lua_setfield(lua, -2, "items");
}
