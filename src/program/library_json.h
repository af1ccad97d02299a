/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of json share.
 */
#ifndef PROGRAM_LIBRARY_JSON_H
#define PROGRAM_LIBRARY_JSON_H

#include "program/library.h"

/* Sets decode and items in the table on top of the stack. */
void library_json_decode_open(lua_State *lua);

#endif
