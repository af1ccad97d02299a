/* SPDX-License-Identifier: Apache-2.0
 *
 * What the owner asks of a program while execute() waits: a look at an event, the headers to send, and what
 * ctx.state is as JSON. The first is the hot path of full parsing.
 */
#include "program/internal.h"

#include <string.h>
#include <strings.h>

int program_call_event(lua_State *lua)
{
	const struct program *program = program_of(lua);
	int arguments = 1;
	program_slot_push(lua, PROGRAM_SLOT_ON_EVENT);
	if (program->event_fields) {
		program_push_fields(lua, program->event_fields);
		arguments = 2;
	}
	lua_pushlstring(lua, (const char *)program->event_line.base, program->event_line.bytes);
	lua_call(lua, arguments, 0);
	return 0;
}

/* RFC 9110 section 5.6.2. */
static int is_token(const char *text, size_t bytes)
{
	static const char letters[] = "!#$%&'*+-.^_`|~0123456789"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	return bytes > 0 && strspn(text, letters) == bytes;
}

/* Section 5.5: visible characters, with blanks between them only. */
static int is_field_value(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return 0;
	}
	return bytes == 0 || (!strchr(" \t", text[0]) && !strchr(" \t", text[bytes - 1]));
}

/* What frames a message or names its receiver is not a program's. */
static int is_reserved(const char *name)
{
	static const char *const names[] = {
		"host",	   "content-length", "connection", "te",    "transfer-encoding", "upgrade",
		"trailer", "expect",	     "keep-alive", "range", "proxy-connection"
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcasecmp(name, names[i]) == 0)
			return 1;
	}
	return 0;
}

static struct span keep(struct program *program, const char *text, size_t bytes)
{
	char *kept = program->header_text + program->header_bytes;
	memcpy(kept, text, bytes);
	program->header_bytes += bytes;
	return span_of(kept, bytes);
}

static int compare(struct span a, struct span b)
{
	int order = strncasecmp((const char *)a.base, (const char *)b.base,
				a.bytes < b.bytes ? a.bytes : b.bytes);
	return order ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* Name at -2, value at -1. Sorted by name: a table has no order that would be the same tomorrow. */
static void add_header(lua_State *lua, struct program *program)
{
	size_t name_bytes, value_bytes;
	if (lua_type(lua, -2) != LUA_TSTRING)
		luaL_error(lua, "headers are named by texts, not by a %s", luaL_typename(lua, -2));
	const char *name = lua_tolstring(lua, -2, &name_bytes);
	if (lua_type(lua, -1) != LUA_TSTRING && lua_type(lua, -1) != LUA_TNUMBER)
		luaL_error(lua, "the header '%s' must be a text, not a %s", name, luaL_typename(lua, -1));
	const char *value = lua_tolstring(lua, -1, &value_bytes);
	if (!is_token(name, name_bytes))
		luaL_error(lua, "'%s' is no name of a header", name);
	if (!is_field_value(value, value_bytes))
		luaL_error(lua,
			   "the header '%s' has a line end, another control character or a blank at its end",
			   name);
	if (is_reserved(name))
		luaL_error(lua, "the header '%s' is not a program's to set", name);
	if (program->header_count == PROGRAM_HEADERS_MAX)
		luaL_error(lua, "more than %d headers", PROGRAM_HEADERS_MAX);
	if (name_bytes + value_bytes > sizeof program->header_text - program->header_bytes)
		luaL_error(lua, "headers have more than %d bytes together", (int)sizeof program->header_text);
	struct program_header header = { keep(program, name, name_bytes), keep(program, value, value_bytes) };
	size_t at = program->header_count;
	for (; at > 0; at--) {
		int order = compare(program->headers[at - 1].name, header.name);
		if (order == 0)
			luaL_error(lua, "the header '%s' is there twice", name);
		if (order < 0)
			break;
		program->headers[at] = program->headers[at - 1];
	}
	program->headers[at] = header;
	program->header_count++;
}

int program_call_headers(lua_State *lua)
{
	struct program *program = program_of(lua);
	program->header_count = program->header_bytes = 0;
	program_slot_push(lua, PROGRAM_SLOT_HEADERS);
	if (lua_isfunction(lua, -1)) {
		lua_call(lua, 0, 1);
		if (!lua_istable(lua, -1))
			return luaL_error(lua, "the headers function must return a table, not %s",
					  luaL_typename(lua, -1));
	}
	if (!lua_istable(lua, -1))
		return 0;
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		add_header(lua, program);
	return 0;
}

int program_call_state(lua_State *lua)
{
	struct program *program = program_of(lua);
	size_t bytes;
	program_slot_push(lua, PROGRAM_SLOT_CTX);
	if (lua_getfield(lua, -1, "state") != LUA_TTABLE)
		return luaL_error(lua, "ctx.state must be a table, not %s", luaL_typename(lua, -1));
	program_push_json(lua, -1);
	const char *text = lua_tolstring(lua, -1, &bytes);
	if (*text != '{')
		return luaL_error(lua, "ctx.state must be a table with names, not an array");
	if (bytes > PROGRAM_STATE_BYTES_MAX)
		return luaL_error(lua, "ctx.state has %d bytes as JSON; at most %d are kept", (int)bytes,
				  (int)PROGRAM_STATE_BYTES_MAX);
	memcpy(program->state_text, text, bytes + 1);
	return 0;
}
