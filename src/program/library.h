/* SPDX-License-Identifier: Apache-2.0
 *
 * What programs find beside Lua's own: json, crypto, base64, hex, url and time, and those functions of string
 * and table that could run for long inside one call, where the instruction hook does not see them. Internal
 * to the room; README.md says what programs see.
 *
 * Everything here may raise a Lua error, so the caller is protected or is a C function that Lua called.
 * Memory comes from the state only. What a call costs is charged before or while it is spent, in units of an
 * average instruction of the interpreter (about 10 ns).
 */
#ifndef PROGRAM_LIBRARY_H
#define PROGRAM_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/event_fields.h"
#include "base/span.h"

/* The core of the room has these two. */

/* Counts against the instruction budget and raises when it is exhausted. */
void program_charge(lua_State *lua, uint64_t steps);
/* settings->decode: 0, or -1 when `text` is no JSON or beyond its limits. Does not raise. */
int program_decode_json(lua_State *lua, struct span text, struct event_fields *ret_fields);

/* Sets the globals json, crypto, base64, hex, url and time, replaces functions in the tables string, table
 * and utf8, and takes string.dump, pack, packsize and unpack away. The stock libraries are open already. */
void program_library_open(lua_State *lua);

/* Pushes the decoded document. An object's member that comes twice has its last value. */
void program_push_fields(lua_State *lua, const struct event_fields *event);
/* Pushes the value at `index` as JSON text. Raises with a sentence that names the member at fault. */
void program_push_json(lua_State *lua, int index);

/* The parts of a URL (RFC 3986); base NULL: absent. Spans of the text. */
struct program_url {
	struct span scheme, user /* refuse it */, host, port, path, query,
		fragment; /* host: without brackets */
	int host_is_ipv6;
};

/* Takes a URL or a relative reference apart. NULL, or what is wrong, to stand behind the URL's name: "has a
 * blank or another byte that must be escaped". What it accepts may stand in a request line. */
const char *program_url_split(struct span text, struct program_url *ret_url);
/* 80, 443, or what the URL says; 0 when it is no http or https URL, or the port is no port. */
unsigned program_url_port(const struct program_url *url);
/* Pushes the URL that `reference` means in a document at `base` (RFC 3986 section 5.2). NULL, or what is
 * wrong and nothing pushed. */
const char *program_push_joined_url(lua_State *lua, struct span base, struct span reference);

/* Text that grows; its memory is a userdata that sits at `index` of the stack, which is reserved for it. */
struct library_text {
	lua_State *lua;
	char *base;
	size_t bytes, capacity;
	int index;
	char small[512]; /* most texts stay here and cost no allocation */
};

/* Pushes the place of its memory. */
void library_text_begin(struct library_text *text, lua_State *lua);
/* Room for that many bytes behind text->bytes. */
char *library_text_room(struct library_text *text, size_t bytes);
void library_text_add(struct library_text *text, const void *data, size_t bytes);
/* Pushes it as a string; its place stays on the stack. */
void library_text_push(struct library_text *text);

/* A member's name, of a string that its table holds. */
struct library_name {
	const char *base;
	size_t bytes;
};

/* By their bytes. */
void library_sort_names(struct library_name *names, size_t count);

/* 0 to 15, or -1. */
static inline int library_hex_value(uint8_t byte)
{
	int letter = byte | 0x20;
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The stock function that a wrapper stands in for, on the wrapper's own frame, so that its errors name it as
 * it was called. */
static inline int library_call_stock(lua_State *lua)
{
	int results = lua_tocfunction(lua, lua_upvalueindex(1))(lua);
	__asm__ volatile(""); /* no tail call: whoever looks at the native stack sees who called */
	return results;
}

struct library_wrapper {
	const char *name;
	lua_CFunction function; /* NULL: there shall be none */
};

/* Puts functions that know the stock one in its place, in the global `table`. */
void library_wrap(lua_State *lua, const char *table, const struct library_wrapper *wrappers, size_t count);

/* Each pushes nothing and sets its globals. */
void library_json_open(lua_State *lua);
void library_crypto_open(lua_State *lua); /* and base64, hex */
void library_url_open(lua_State *lua);
void library_time_open(lua_State *lua);
void library_string_open(lua_State *lua); /* and utf8 */
void library_table_open(lua_State *lua);
/* Arrays that json knows as such have this metatable, which has no metamethods: pushes it. */
void library_push_array_mark(lua_State *lua);

#endif
