/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the program room's helper modules run them on: a plain Lua state with all of Lua's own
 * libraries, the decoder of control, and a budget that is counted. Stands in for the core of the room, so
 * include it in one file of a test.
 */
#ifndef TESTS_PROGRAM_LIBRARY_HOST_H
#define TESTS_PROGRAM_LIBRARY_HOST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "control/control.h"
#include "program/library.h"

static struct control_decoder *library_decoder;
static uint64_t library_charged;
static uint64_t library_budget = UINT64_MAX;

void program_charge(lua_State *lua, uint64_t steps)
{
	library_charged += steps;
	if (library_charged > library_budget)
		luaL_error(lua, "the budget is used up");
}

int program_decode_json(lua_State *lua, struct span text, struct event_fields *ret_fields)
{
	(void)lua;
	if (!library_decoder)
		library_decoder = control_decoder_create();
	if (!library_decoder)
		return -1;
	return control_decode(library_decoder, text, ret_fields, NULL) == CONTROL_YES ? 0 : -1;
}

/* With the helper modules, or stock Lua. NULL: no memory. */
static lua_State *library_open(int with_helpers)
{
	lua_State *lua = luaL_newstate();
	if (!lua)
		return NULL;
	luaL_openlibs(lua);
	if (with_helpers)
		program_library_open(lua);
	return lua;
}

/* A random number generator whose numbers are the same everywhere (xorshift64*). */
static inline uint64_t library_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717) >> 11;
}

#endif
