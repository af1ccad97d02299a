/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program is told: ctx, its variables, clocks and counters; and what it says to a person.
 */
#include "program/internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"

/* Seconds that fit a time_t of 32 bits; longer waits are a program's mistake. */
#define SLEEP_SECONDS_MAX 2e9
/* What stands before each line of a log. */
#define LOG_LINE_BYTES ((size_t)32)
/* Of what is counted: all streams' sums still fit 64 bits. */
#define COUNT_MAX 1e15
/* Three years: all streams' sums still fit 64 bits of nanoseconds. */
#define BACKOFF_SECONDS_MAX 1e8
/* Of a clock: what plan_counters have nanoseconds for, and any date of this century. */
#define SKEW_SECONDS_MAX 9e9

static lua_Number seconds_of(int64_t ns)
{
	return (lua_Number)ns / 1e9; /* by a factor of 1e-9, 60 would not be 60 */
}

static int ctx_now(lua_State *lua)
{
	lua_pushnumber(lua, seconds_of(program_of(lua)->now.unix_ns));
	return 1;
}

static int ctx_monotonic(lua_State *lua)
{
	lua_pushnumber(lua, seconds_of(program_of(lua)->now.monotonic_ns));
	return 1;
}

static int ctx_deadline(lua_State *lua)
{
	const struct program_time *now = &program_of(lua)->now;
	if (now->deadline_ns == INT64_MAX)
		lua_pushnumber(lua, HUGE_VAL);
	else if (now->deadline_ns <= now->monotonic_ns)
		lua_pushnumber(lua, 0);
	else
		lua_pushnumber(lua, seconds_of(now->deadline_ns - now->monotonic_ns));
	return 1;
}

static int ctx_sleep_finish(lua_State *lua, int status, lua_KContext context)
{
	(void)lua, (void)status, (void)context;
	return 0;
}

static int ctx_sleep(lua_State *lua)
{
	struct program *program = program_of(lua);
	lua_Number seconds = luaL_checknumber(lua, 1);
	program_check_execute(lua, "ctx.sleep");
	luaL_argcheck(lua, seconds >= 0 && seconds <= SLEEP_SECONDS_MAX, 1, "seconds to wait, from 0 on");
	program->wish.wait_until_ns = program->now.monotonic_ns + (int64_t)(seconds * 1e9);
	return program_wait(lua, PROGRAM_WAIT, ctx_sleep_finish);
}

static void write_log(lua_State *lua, enum program_log_level level, const char *text, size_t bytes)
{
	struct program *program = program_of(lua);
	program_charge(lua, 100);
	if (!program->settings.log)
		return;
	program_clean_text(program, span_of(text, bytes), program->log_text, sizeof program->log_text);
	program->logged_bytes += LOG_LINE_BYTES + strlen(program->log_text);
	if (program->logged_bytes > PROGRAM_LOG_BYTES_MAX)
		program_exhaust(lua,
				program->calling
					? "the program is stopped: it logged more than 1 MB for one event"
					: "the program is stopped: it logged more than 1 MB without waiting");
	program->settings.log(program->settings.owner, level, program->log_text);
}

static int ctx_log(lua_State *lua)
{
	static const char *const levels[] = { [PROGRAM_LOG_INFO] = "info",
					      [PROGRAM_LOG_WARNING] = "warning",
					      [PROGRAM_LOG_ERROR] = "error",
					      NULL };
	size_t bytes;
	int level = luaL_checkoption(lua, 1, NULL, levels);
	luaL_checkany(lua, 2);
	const char *text = luaL_tolstring(lua, 2, &bytes);
	write_log(lua, (enum program_log_level)level, text, bytes);
	return 0;
}

int program_print(lua_State *lua)
{
	int count = lua_gettop(lua);
	struct library_text text;
	size_t bytes;
	library_text_begin(&text, lua);
	for (int i = 1; i <= count; i++) {
		const char *value = luaL_tolstring(lua, i, &bytes);
		if (i > 1)
			library_text_add(&text, " ", 1);
		library_text_add(&text, value, bytes);
		lua_pop(lua, 1);
	}
	write_log(lua, PROGRAM_LOG_INFO, text.base, text.bytes);
	return 0;
}

/* What is subtracted was added before. */
static lua_Number sum(lua_Number count, lua_Number more, lua_Number count_max)
{
	count += more;
	return count < 0 ? 0 : count > count_max ? count_max : count;
}

static int ctx_count(lua_State *lua)
{
	struct program_counters *counters = &program_of(lua)->counters;
	static const char *const names[] = { "truncations",
					     "recoveries",
					     "rate_limited",
					     "server_errors",
					     "network_errors",
					     "clock_corrections",
					     "skip_mismatches",
					     "gap_seconds",
					     "backoff_seconds",
					     "clock_skew_seconds",
					     NULL };
	uint64_t *const counts[] = { &counters->truncations,	&counters->recoveries,
				     &counters->rate_limited,	&counters->server_errors,
				     &counters->network_errors, &counters->clock_corrections,
				     &counters->skip_mismatches };
	size_t name = (size_t)luaL_checkoption(lua, 1, NULL, names);
	lua_Number value = luaL_optnumber(lua, 2, 1);
	luaL_argcheck(lua, isfinite(value) && fabs(value) < 1e15, 2, "a number below 10^15");
	if (name < sizeof counts / sizeof *counts) {
		luaL_argcheck(lua, value >= 0, 2, "how much to add, from 0 on");
		*counts[name] = (uint64_t)sum((lua_Number)*counts[name], value, COUNT_MAX);
	} else if (strcmp(names[name], "gap_seconds") == 0) {
		counters->gap_seconds = (int64_t)sum((lua_Number)counters->gap_seconds, value, COUNT_MAX);
	} else if (strcmp(names[name], "backoff_seconds") == 0) {
		counters->backoff_seconds = sum(counters->backoff_seconds, value, BACKOFF_SECONDS_MAX);
	} else {
		counters->clock_skew_seconds = fmax(-SKEW_SECONDS_MAX, fmin(value, SKEW_SECONDS_MAX));
	}
	return 0;
}

static int ctx_random(lua_State *lua)
{
	const struct program *program = program_of(lua);
	lua_Integer bound = luaL_checkinteger(lua, 1);
	luaL_argcheck(lua, bound > 0, 1, "a number from 1 on");
	lua_pushinteger(lua, (lua_Integer)program->settings.random((uint64_t)bound));
	return 1;
}

/* Pushes the text of ctx.env[name]; NULL, and the default pushed, when it is not set or empty. */
static const char *env_value(lua_State *lua)
{
	size_t bytes;
	luaL_checktype(lua, 1, LUA_TTABLE);
	luaL_checkstring(lua, 2);
	lua_settop(lua, 3);
	lua_pushvalue(lua, 2);
	if (lua_rawget(lua, 1) == LUA_TSTRING && *lua_tolstring(lua, -1, &bytes))
		return lua_tostring(lua, -1);
	lua_pushvalue(lua, 3);
	return NULL;
}

static int env_get(lua_State *lua)
{
	env_value(lua);
	return 1;
}

static int env_number(lua_State *lua)
{
	const char *text = env_value(lua);
	char *end;
	if (!text)
		return 1;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || end == text || *end)
		return luaL_error(lua, "YAEGI_HTTP_%s: \"%s\" is no whole number", lua_tostring(lua, 2),
				  text);
	lua_pushinteger(lua, value);
	return 1;
}

static int env_seconds(lua_State *lua)
{
	int64_t ns;
	const char *text = env_value(lua);
	if (!text) {
		if (!lua_isnil(lua, -1))
			luaL_checknumber(lua, 3);
		return 1;
	}
	if (duration_parse(text, &ns) < 0)
		return luaL_error(lua, "YAEGI_HTTP_%s: \"%s\" is no duration such as 90s or 1h30m",
				  lua_tostring(lua, 2), text);
	lua_pushnumber(lua, seconds_of(ns));
	return 1;
}

static int env_missing(lua_State *lua)
{
	return luaL_error(lua, "ctx.env.%s: YAEGI_HTTP_%s is not set", luaL_tolstring(lua, 2, NULL),
			  luaL_tolstring(lua, 2, NULL));
}

static int env_set(lua_State *lua)
{
	return luaL_error(lua, "ctx.env cannot be changed");
}

static void push_env(lua_State *lua, const struct program_settings *settings)
{
	static const luaL_Reg methods[] = {
		{ "get", env_get }, { "number", env_number }, { "seconds", env_seconds }, { NULL, NULL }
	};
	lua_createtable(lua, 0, (int)settings->variable_count + 3);
	for (size_t i = 0; i < settings->variable_count; i++) {
		lua_pushstring(lua, settings->variables[i].value);
		lua_setfield(lua, -2, settings->variables[i].name);
	}
	luaL_setfuncs(lua, methods, 0);
	lua_createtable(lua, 0, 3);
	lua_pushcfunction(lua, env_missing);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, env_set);
	lua_setfield(lua, -2, "__newindex");
	lua_pushboolean(lua, 0);
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
}

static void push_state(lua_State *lua, const struct program_settings *settings)
{
	struct event_fields fields;
	if (!settings->state) {
		lua_newtable(lua);
		return;
	}
	if (!settings->decode ||
	    settings->decode(settings->owner, span_of_text(settings->state), &fields) < 0 ||
	    fields.fields[0].type != EVENT_OBJECT)
		luaL_error(lua, "the state that was kept is not a JSON object; to begin anew, "
				"remove its file from the -state folder");
	program_push_fields(lua, &fields);
}

void program_push_ctx(lua_State *lua)
{
	static const luaL_Reg functions[] = { { "now", ctx_now },	    { "monotonic", ctx_monotonic },
					      { "deadline", ctx_deadline }, { "sleep", ctx_sleep },
					      { "log", ctx_log },	    { "count", ctx_count },
					      { "random", ctx_random },	    { NULL, NULL } };
	const struct program_settings *settings = &program_of(lua)->settings;
	lua_createtable(lua, 0, 16);
	luaL_setfuncs(lua, functions, 0);
	push_env(lua, settings);
	lua_setfield(lua, -2, "env");
	lua_pushstring(lua, settings->stream_name ? settings->stream_name : "");
	lua_setfield(lua, -2, "name");
	lua_pushstring(lua, settings->full ? "full" : "control");
	lua_setfield(lua, -2, "parse");
	lua_pushboolean(lua, settings->follow);
	lua_setfield(lua, -2, "follow");
	push_state(lua, settings);
	lua_setfield(lua, -2, "state");
	program_push_strict(lua, "ctx", NULL);
	lua_setmetatable(lua, -2);
}
