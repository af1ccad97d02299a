/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program could do that got past Lua. Only in the test build of the program room (PROGRAM_ESCAPE).
 */
#ifndef TESTS_SANDBOX_ESCAPE_H
#define TESTS_SANDBOX_ESCAPE_H

#include <lua.h>

/* Pushes the table `escape`: functions that try something and answer "ok", or errno's name. */
void escape_open(lua_State *lua);

#endif
