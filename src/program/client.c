/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program asks for: client:stream, client:get, client:commit, and emit(). Checks what it asks and
 * leaves it to the owner.
 */
#include "program/internal.h"

#include <string.h>

enum { REQUEST_URL = 3 }; /* the place of the URL on the stack of a request that is under way */

void program_check_execute(lua_State *lua, const char *what)
{
	const struct program *program = program_of(lua);
	program_check_exhausted(lua);
	if (lua != program->main || program->calling)
		luaL_error(lua, "%s can only be called from execute itself", what);
	if (!lua_isyieldable(lua))
		luaL_error(lua,
			   "%s can only be called from execute itself, not inside a function such as "
			   "table.sort or string.gsub",
			   what);
}

int program_wait(lua_State *lua, enum program_wish_kind kind, lua_KFunction finish)
{
	struct program *program = program_of(lua);
	program->wish.kind = kind;
	program->waiting = 1;
	return lua_yieldk(lua, 0, kind, finish);
}

/* Options. Each reads the value at the top of the stack, of the option whose name is at -2. */
static _Noreturn void bad_option(lua_State *lua, const char *wanted)
{
	luaL_error(lua, "option '%s' must be %s, not %s", lua_tostring(lua, -2), wanted,
		   luaL_typename(lua, -1));
	__builtin_unreachable();
}

static const char *text_option(lua_State *lua, size_t *ret_bytes)
{
	if (lua_type(lua, -1) != LUA_TSTRING)
		bad_option(lua, "a text");
	return lua_tolstring(lua, -1, ret_bytes);
}

static int truth_option(lua_State *lua)
{
	if (lua_type(lua, -1) != LUA_TBOOLEAN)
		bad_option(lua, "true or false");
	return lua_toboolean(lua, -1);
}

static void set_url(lua_State *lua, struct program *program)
{
	text_option(lua, NULL);
	(void)program;
	lua_pushvalue(lua, -1);
	lua_replace(lua, REQUEST_URL);
}

static void set_method(lua_State *lua, struct program *program)
{
	const char *text = text_option(lua, NULL);
	if (strcmp(text, "GET") == 0)
		program->wish.method = "GET";
	else if (strcmp(text, "POST") == 0)
		program->wish.method = "POST";
	else
		luaL_error(lua, "option 'method' must be \"GET\" or \"POST\", not \"%s\"", text);
}

static void set_headers(lua_State *lua, struct program *program)
{
	(void)program;
	if (!lua_istable(lua, -1) && !lua_isfunction(lua, -1))
		bad_option(lua, "a table or a function");
	lua_pushvalue(lua, -1);
	program_slot_set(lua, PROGRAM_SLOT_HEADERS);
}

static void set_body(lua_State *lua, struct program *program)
{
	size_t bytes;
	const char *text = text_option(lua, &bytes);
	if (bytes > PROGRAM_REQUEST_BODY_BYTES_MAX)
		luaL_error(lua, "option 'body' has %d bytes; at most 64 KB can be sent", (int)bytes);
	/* The table of options is on the stack until the answer is there, but may be changed meanwhile. */
	lua_pushvalue(lua, -1);
	lua_replace(lua, REQUEST_URL + 1);
	program->wish.body = span_of(text, bytes);
}

static void set_body_max(lua_State *lua, struct program *program)
{
	int is_integer;
	lua_Integer bytes = lua_tointegerx(lua, -1, &is_integer);
	if (!is_integer)
		bad_option(lua, "a number of bytes");
	if (bytes < 1 || bytes > (lua_Integer)PROGRAM_BODY_BYTES_MAX)
		luaL_error(lua, "option 'body_max' must be from 1 to %d bytes", (int)PROGRAM_BODY_BYTES_MAX);
	program->wish.body_bytes_max = (size_t)bytes;
}

static void set_context(lua_State *lua, struct program *program)
{
	program->wish.has_context = truth_option(lua);
}

static void set_deliver(lua_State *lua, struct program *program)
{
	program->wish.deliver = truth_option(lua);
}

static void set_on_event(lua_State *lua, struct program *program)
{
	if (!lua_isfunction(lua, -1))
		bad_option(lua, "a function");
	program->wish.on_event = 1;
	lua_pushvalue(lua, -1);
	program_slot_set(lua, PROGRAM_SLOT_ON_EVENT);
}

static void set_resume(lua_State *lua, struct program *program)
{
	static const char *const names[] = { [PROGRAM_RESUME_POSITION] = "position",
					     [PROGRAM_RESUME_SEARCH] = "search",
					     [PROGRAM_RESUME_NONE] = "none" };
	const char *text = text_option(lua, NULL);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(text, names[i]) == 0) {
			program->wish.resume = (enum program_resume)i;
			return;
		}
	}
	luaL_error(lua, "option 'resume' must be \"position\", \"search\" or \"none\", not \"%s\"", text);
}

enum { FOR_GET = 1, FOR_STREAM = 2 };

static const struct {
	const char *name;
	int whom;
	void (*set)(lua_State *lua, struct program *program);
} options[] = {
	{ "url", FOR_GET | FOR_STREAM, set_url },
	{ "method", FOR_GET | FOR_STREAM, set_method },
	{ "headers", FOR_GET | FOR_STREAM, set_headers },
	{ "body", FOR_GET | FOR_STREAM, set_body },
	{ "body_max", FOR_GET, set_body_max },
	{ "context", FOR_STREAM, set_context },
	{ "deliver", FOR_STREAM, set_deliver },
	{ "on_event", FOR_STREAM, set_on_event },
	{ "resume", FOR_STREAM, set_resume },
};

/* Key at -2, value at -1. */
static void set_option(lua_State *lua, struct program *program, int whom, const char *what)
{
	if (lua_type(lua, -2) != LUA_TSTRING)
		luaL_error(lua, "%s takes options by name, not the value at [%s]", what,
			   luaL_tolstring(lua, -2, NULL));
	const char *name = lua_tostring(lua, -2);
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		if ((options[i].whom & whom) && strcmp(options[i].name, name) == 0) {
			options[i].set(lua, program);
			return;
		}
	}
	luaL_error(lua, "%s has no option '%s'", what, name);
}

/* Which server and what to ask of it, from the URL at REQUEST_URL. */
static void set_target(lua_State *lua, struct program *program)
{
	struct program_url url;
	char host[256];
	size_t bytes, used = 0;
	const char *text = lua_tolstring(lua, REQUEST_URL, &bytes);
	if (!text)
		luaL_error(lua, "option 'url' is missing");
	if (bytes > PROGRAM_URL_BYTES_MAX)
		luaL_error(lua, "the URL has %d bytes; at most %d can be asked for", (int)bytes,
			   (int)PROGRAM_URL_BYTES_MAX);
	const char *wrong = program_url_split(span_of(text, bytes), &url);
	if (wrong)
		luaL_error(lua, "the URL \"%s\" %s", text, wrong);
	unsigned port = program_url_port(&url);
	if (port == 0 && program_url_port(&(struct program_url){ .scheme = url.scheme }) > 0)
		luaL_error(lua, "the URL \"%s\" has a port that is not from 1 to 65535", text);
	if (port == 0 || url.host.bytes == 0 || url.host.bytes >= sizeof host)
		luaL_error(lua, "the URL \"%s\" must begin with https:// or http:// and a host", text);
	if (url.user.base)
		luaL_error(lua, "the URL names a user; send an Authorization header instead");
	for (; used < url.host.bytes; used++) {
		char c = (char)url.host.base[used];
		host[used] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	host[used] = 0;
	program->wish.server = program->settings.server_find(program->settings.owner,
							     url.scheme.bytes == strlen("https"), host, port);
	if (program->wish.server < 0)
		luaL_error(lua, "this program may not talk to %s://%s%s%s:%d; -allow-host would allow it",
			   url.scheme.bytes == strlen("https") ? "https" : "http",
			   url.host_is_ipv6 ? "[" : "", host, url.host_is_ipv6 ? "]" : "", (int)port);
	used = 0;
	if (url.path.bytes == 0)
		program->target[used++] = '/';
	if (url.path.bytes)
		memcpy(program->target + used, url.path.base, url.path.bytes);
	used += url.path.bytes;
	if (url.query.base) {
		program->target[used++] = '?';
		memcpy(program->target + used, url.query.base, url.query.bytes);
		used += url.query.bytes;
	}
	program->target[used] = 0;
	program->wish.target = program->target;
}

static int finish_request(lua_State *lua, int status, lua_KContext context)
{
	struct program *program = program_of(lua);
	(void)status, (void)context;
	program_push_answer(lua, program->answer, program->wish.lines, lua_tostring(lua, REQUEST_URL));
	return 1;
}

static int request(lua_State *lua, int whom, const char *what)
{
	struct program *program = program_of(lua);
	program_check_execute(lua, what);
	if (!lua_istable(lua, 2))
		luaL_error(lua, "call it as %s{ url = ... }, with a colon and a table", what);
	lua_settop(lua, 2);
	lua_pushnil(lua); /* REQUEST_URL */
	lua_pushnil(lua); /* the body */
	program->wish =
		(struct program_wish){ .method = "GET",
				       .lines = whom == FOR_STREAM,
				       .deliver = whom == FOR_STREAM,
				       .body_bytes_max = whom == FOR_GET ? PROGRAM_BODY_BYTES_MAX : 0 };
	lua_pushboolean(lua, 0);
	program_slot_set(lua, PROGRAM_SLOT_HEADERS);
	lua_pushboolean(lua, 0);
	program_slot_set(lua, PROGRAM_SLOT_ON_EVENT);
	for (lua_pushnil(lua); lua_next(lua, 2); lua_pop(lua, 1))
		set_option(lua, program, whom, what);
	if (whom == FOR_STREAM && !program->wish.deliver && !program->wish.on_event)
		luaL_error(lua, "without 'on_event' lines must be delivered, or they go nowhere");
	set_target(lua, program);
	return program_wait(lua, PROGRAM_REQUEST, finish_request);
}

static int client_stream(lua_State *lua)
{
	return request(lua, FOR_STREAM, "client:stream");
}

static int client_get(lua_State *lua)
{
	return request(lua, FOR_GET, "client:get");
}

static int client_commit(lua_State *lua)
{
	struct program *program = program_of(lua);
	size_t bytes = 0;
	if (program->calling)
		return luaL_error(lua, "client:commit can only be called while no request is under way");
	if (program->mismatched)
		return luaL_error(lua,
				  "client:commit would lose the lines of the last page: it does not "
				  "repeat what was handed on before (skip is \"mismatch\"), so that nothing "
				  "of it was handed on; ask again with resume = \"search\" or \"none\"");
	luaL_argexpected(lua, lua_istable(lua, 1), 1, "client, as in client:commit(cursor)");
	const char *cursor = luaL_optlstring(lua, 2, "", &bytes);
	luaL_argcheck(lua, bytes <= PROGRAM_CURSOR_BYTES_MAX, 2, "a cursor has 4 KB at most");
	luaL_argcheck(lua, !memchr(cursor, 0, bytes), 2, "a cursor cannot have a NUL byte");
	memcpy(program->cursor, cursor, bytes);
	program->cursor[bytes] = 0;
	program->committed = 1;
	return 0;
}

int program_emit(lua_State *lua)
{
	struct program *program = program_of(lua);
	size_t bytes;
	const char *text = luaL_checklstring(lua, 1, &bytes);
	luaL_argcheck(lua, bytes > 0, 1, "an event cannot be empty");
	if (bytes > PROGRAM_LINE_BYTES_MAX)
		program_exhaust(lua, "the program is stopped: it emitted an event of more than 1 MB");
	program_charge(lua, bytes / 64);
	luaL_argcheck(lua, !memchr(text, '\n', bytes), 1, "an event cannot have a line end in it");
	if (program->made_from == program->made_to)
		program->made_from = program->made_to = 0;
	if (program->made_to + bytes + 1 > PROGRAM_MADE_BYTES_MAX) {
		program->made_to -= program->made_from;
		memmove(program->made, program->made + program->made_from, program->made_to);
		program->made_from = 0;
	}
	if (program->made_to + bytes + 1 > PROGRAM_MADE_BYTES_MAX)
		program_exhaust(
			lua, program->calling
				     ? "the program is stopped: it emitted more than 4 MB for one event"
				     : "the program is stopped: it emitted more than 4 MB without waiting");
	memcpy(program->made + program->made_to, text, bytes);
	program->made[program->made_to + bytes] = '\n';
	program->made_to += bytes + 1;
	program->made_events++;
	return 0;
}

void program_push_client(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "stream", client_stream },
					    { "get", client_get },
					    { "commit", client_commit },
					    { NULL, NULL } };
	luaL_newlib(lua, methods);
	program_push_strict(lua, "client", NULL);
	lua_setmetatable(lua, -2);
}
