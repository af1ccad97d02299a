/* SPDX-License-Identifier: Apache-2.0
 *
 * What errors say: "mine.lua:9: message", one line of clean text without secrets.
 */
#include "program/internal.h"

#include <stdio.h>
#include <string.h>

#include "program/json_text.h"

/* Bytes of the secret that begins here; 0: none does. */
static size_t secret_bytes(const struct program *program, const uint8_t *at, size_t bytes)
{
	size_t longest = 0;
	for (size_t i = 0; i < program->settings.variable_count; i++) {
		const struct program_variable *variable = &program->settings.variables[i];
		size_t length = variable->secret ? strlen(variable->value) : 0;
		if (length > longest && length <= bytes && memcmp(at, variable->value, length) == 0)
			longest = length;
	}
	return longest;
}

void program_clean_text(const struct program *program, struct span text, char *clean, size_t clean_bytes)
{
	size_t used = 0;
	for (size_t i = 0, step; i < text.bytes; i += step) {
		const uint8_t *at = text.base + i;
		size_t left = text.bytes - i, put = 1;
		const void *what = at;
		if ((step = secret_bytes(program, at, left)) > 0) {
			what = "***";
			put = 3;
		} else if ((step = json_text_character(text, i)) == 0) {
			what = "?";
			step = 1;
		} else if (step > 1) {
			put = step;
		} else if (*at < 0x20 || *at == 0x7f) {
			what = " ";
		}
		if (used + put > clean_bytes - 1)
			break;
		memcpy(clean + used, what, put);
		used += put;
	}
	clean[used] = 0;
}

int program_line(lua_State *lua)
{
	lua_Debug record;
	for (int level = 0; lua_getstack(lua, level, &record); level++) {
		lua_getinfo(lua, "Sl", &record);
		if (record.currentline > 0)
			return record.currentline;
	}
	return 0;
}

/* Whether the text begins with "mine.lua:9:". */
static int is_placed(const struct program *program, struct span text)
{
	size_t name_bytes = strlen(program->source_name), at = name_bytes + 1;
	if (text.bytes <= at || memcmp(text.base, program->source_name, name_bytes) != 0 ||
	    text.base[name_bytes] != ':')
		return 0;
	while (at < text.bytes && text.base[at] >= '0' && text.base[at] <= '9')
		at++;
	return at > name_bytes + 1 && at < text.bytes && text.base[at] == ':';
}

int program_is_placed(lua_State *lua)
{
	size_t bytes;
	const char *text = lua_tolstring(lua, -1, &bytes);
	return is_placed(program_of(lua), span_of(text, bytes));
}

static int describe(lua_State *lua)
{
	int type = lua_type(lua, 1);
	if (type == LUA_TNUMBER || type == LUA_TBOOLEAN ||
	    luaL_getmetafield(lua, 1, "__tostring") != LUA_TNIL)
		luaL_tolstring(lua, 1, NULL);
	else
		lua_pushfstring(lua, "an error that is a %s: error() takes a text", lua_typename(lua, type));
	return 1;
}

/* Text of the error at the top of the stack of `lua`; lent until the stack of program->state is touched. */
static struct span error_text(struct program *program, lua_State *lua)
{
	lua_State *state = program->state;
	size_t bytes;
	if (lua_type(lua, -1) == LUA_TNIL)
		return span_of_text("an error without a message");
	if (lua_type(lua, -1) != LUA_TSTRING) {
		/* It may have a __tostring. */
		if (!lua_checkstack(lua, 1) || !lua_checkstack(state, 2))
			return span_of_text("an error that has no text");
		lua_pushvalue(lua, -1);
		lua_pushcfunction(state, describe);
		if (lua != state)
			lua_xmove(lua, state, 1);
		else
			lua_insert(state, -2);
		program_budget_give(program, program->limits.event_instructions);
		program->running = state;
		int status = lua_pcall(state, 1, 1, 0);
		program->running = NULL;
		if (status != LUA_OK)
			return span_of_text("an error that has no text");
		lua = state;
	}
	const char *text = lua_tolstring(lua, -1, &bytes);
	return span_of(text, bytes);
}

void program_fail(struct program *program, lua_State *lua)
{
	int line = program_line(lua), used = 0;
	if (line == 0 && program->blamed)
		line = program_line(program->blamed);
	struct span text =
		program->exhausted ? span_of_text(program->exhausted_text) : error_text(program, lua);
	int unplaced = !program->exhausted && program->unplaced;
	if (!unplaced && !is_placed(program, text) && line > 0)
		used = snprintf(program->error, sizeof program->error, "%s:%d: ", program->source_name, line);
	else if (!unplaced && !is_placed(program, text))
		used = snprintf(program->error, sizeof program->error, "%s: ", program->source_name);
	program_clean_text(program, text, program->error + used, sizeof program->error - (size_t)used);
}
