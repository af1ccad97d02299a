/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens the helper modules, and the text that grows which several of them write to.
 */
#include "program/library.h"

#include <string.h>

#include <lauxlib.h>

void program_library_open(lua_State *lua)
{
	library_string_open(lua);
	library_table_open(lua);
	library_json_open(lua);
	library_crypto_open(lua);
	library_url_open(lua);
	library_time_open(lua);
}

void library_text_begin(struct library_text *text, lua_State *lua)
{
	luaL_checkstack(lua, 2, NULL);
	lua_pushnil(lua);
	text->lua = lua;
	text->index = lua_gettop(lua);
	text->base = text->small;
	text->bytes = 0;
	text->capacity = sizeof text->small;
}

char *library_text_room(struct library_text *text, size_t bytes)
{
	if (text->capacity - text->bytes < bytes) {
		size_t capacity = text->capacity * 2;
		if (capacity - text->bytes < bytes)
			capacity = text->bytes + bytes;
		/* The old memory is garbage from here on: it counts until it is collected, at the latest when
		 * there is no other. */
		luaL_checkstack(text->lua, 1, NULL);
		char *base = lua_newuserdatauv(text->lua, capacity, 0);
		memcpy(base, text->base, text->bytes);
		lua_replace(text->lua, text->index);
		text->base = base;
		text->capacity = capacity;
	}
	return text->base + text->bytes;
}

void library_text_add(struct library_text *text, const void *data, size_t bytes)
{
	if (!bytes)
		return;
	memcpy(library_text_room(text, bytes), data, bytes);
	text->bytes += bytes;
}

void library_text_push(struct library_text *text)
{
	lua_pushlstring(text->lua, text->base, text->bytes);
}

void library_wrap(lua_State *lua, const char *table, const struct library_wrapper *wrappers, size_t count)
{
	if (lua_getglobal(lua, table) == LUA_TTABLE) {
		for (size_t i = 0; i < count; i++) {
			if (wrappers[i].function) {
				lua_getfield(lua, -1, wrappers[i].name);
				lua_pushcclosure(lua, wrappers[i].function, 1);
			} else {
				lua_pushnil(lua);
			}
			lua_setfield(lua, -2, wrappers[i].name);
		}
	}
	lua_pop(lua, 1);
}

static int name_is_before(const struct library_name *a, const struct library_name *b)
{
	size_t bytes = a->bytes < b->bytes ? a->bytes : b->bytes;
	int order = bytes ? memcmp(a->base, b->base, bytes) : 0;
	return order ? order < 0 : a->bytes < b->bytes;
}

static void sift_down(struct library_name *names, size_t from, size_t count)
{
	for (size_t child; (child = 2 * from + 1) < count; from = child) {
		if (child + 1 < count && name_is_before(&names[child], &names[child + 1]))
			child++;
		if (!name_is_before(&names[from], &names[child]))
			return;
		struct library_name moved = names[from];
		names[from] = names[child];
		names[child] = moved;
	}
}

/* A heap sort: qsort() may take memory from the heap. */
void library_sort_names(struct library_name *names, size_t count)
{
	for (size_t i = count / 2; i--;)
		sift_down(names, i, count);
	for (size_t i = count; i-- > 1;) {
		struct library_name last = names[i];
		names[i] = names[0];
		names[0] = last;
		sift_down(names, 0, i);
	}
}
