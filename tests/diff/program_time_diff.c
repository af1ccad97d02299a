/* SPDX-License-Identifier: Apache-2.0
 *
 * time.format and time.parse of programs against the C library's calendar: every conversion, at the turns of
 * years and at random moments from 1970 to 9999.
 */
/* The two-digit years are the point here. */
#pragma GCC diagnostic ignored "-Wformat-y2k"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

#include "program_library_host.h"

#include <time.h>

#include "test.h"

static lua_State *state_of_lua;

/* Calls time.`name` with the values on the stack. */
static void call(const char *name, int arguments)
{
	lua_State *lua = state_of_lua;
	lua_getglobal(lua, "time");
	lua_getfield(lua, -1, name);
	lua_remove(lua, -2);
	lua_insert(lua, 1);
	if (lua_pcall(lua, arguments, 1, 0))
		FAIL("time.%s: %s", name, lua_tostring(lua, -1));
}

static void compare(int64_t seconds, const char *layout)
{
	char want[512];
	time_t time = (time_t)seconds;
	struct tm calendar;
	gmtime_r(&time, &calendar);
	size_t bytes = strftime(want, sizeof want, layout, &calendar);
	want[bytes] = 0;
	lua_settop(state_of_lua, 0);
	lua_pushinteger(state_of_lua, seconds);
	lua_pushstring(state_of_lua, layout);
	call("format", 2);
	if (strcmp(lua_tostring(state_of_lua, -1), want) != 0)
		FAIL("%lld with %s: %s, wanted %s", (long long)seconds, layout,
		     lua_tostring(state_of_lua, -1), want);
}

static void parses_back(int64_t seconds, const char *layout)
{
	char text[200];
	time_t time = (time_t)seconds;
	struct tm calendar;
	gmtime_r(&time, &calendar);
	strftime(text, sizeof text, layout, &calendar);
	lua_settop(state_of_lua, 0);
	lua_pushstring(state_of_lua, text);
	call("parse", 1);
	EQ(lua_isinteger(state_of_lua, -1), 1);
	if (lua_tointeger(state_of_lua, -1) != seconds)
		FAIL("%s: %lld, wanted %lld", text, (long long)lua_tointeger(state_of_lua, -1),
		     (long long)seconds);
}

static const int64_t last_second = INT64_C(253402300799);

static void open_state(void)
{
	/* %s of the C library is in local time. */
	setenv("TZ", "UTC", 1);
	tzset();
	if (!state_of_lua)
		state_of_lua = library_open(1);
}

/* %Z is what differs: the C library says "GMT" of gmtime_r(). */
static const char all[] =
	"%a %A %b %B %c %C %d %D %e %F %g %G %h %H %I %j %m %M %n %p %r %R %s %S %t %T %u %U %V %w %W "
	"%x %X %y %Y %z %%";

static void turns_of_years(void)
{
	open_state();
	for (int year = 1970; year <= 9999; year++) {
		struct tm first = { .tm_year = year - 1900, .tm_mday = 1 };
		int64_t begin = timegm(&first);
		for (int day = -4; day <= 4; day++) {
			if (begin + day * 86400 >= 0)
				compare(begin + day * 86400, "%F %G-%V-%u %g %U %W %j %a");
		}
		compare(begin + 58 * 86400 + 86399, "%F %T %j");
		compare(begin + 59 * 86400, "%F %T %j");
		compare(begin + 60 * 86400, "%F %T %j");
	}
}

static void random_moments(void)
{
	uint64_t state = 20260103;
	open_state();
	compare(0, all);
	compare(last_second, all);
	for (int i = 0; i < 20000; i++) {
		int64_t seconds = (int64_t)(library_random(&state) % (uint64_t)(last_second + 1));
		if (i % 2)
			seconds %= INT64_C(4102444800); /* until 2100 */
		compare(seconds, all);
		parses_back(seconds, "%Y-%m-%dT%H:%M:%SZ");
		parses_back(seconds, "%a, %d %b %Y %H:%M:%S GMT");
		parses_back(seconds, "%a %b %e %H:%M:%S %Y");
		if (seconds < INT64_C(4102444800))
			parses_back(seconds, "%A, %d-%b-%y %H:%M:%S GMT");
	}
}

static void random_offsets(void)
{
	uint64_t state = 3;
	open_state();
	for (int i = 0; i < 5000; i++) {
		int64_t seconds = 200000 + (int64_t)(library_random(&state) % 4000000000);
		int hours = (int)(library_random(&state) % 24), minutes = (int)(library_random(&state) % 60);
		int sign = library_random(&state) % 2 ? 1 : -1;
		time_t there = (time_t)(seconds + sign * (hours * 3600 + minutes * 60));
		struct tm calendar;
		char text[100], day[50];
		gmtime_r(&there, &calendar);
		strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &calendar);
		snprintf(text, sizeof text, "%s.000%c%02d:%02d", day, sign > 0 ? '+' : '-', hours, minutes);
		lua_settop(state_of_lua, 0);
		lua_pushstring(state_of_lua, text);
		call("parse", 1);
		EQ(lua_tointeger(state_of_lua, -1), seconds);
	}
}

TEST_MAIN(T(turns_of_years), T(random_moments), T(random_offsets))
