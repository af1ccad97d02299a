/* SPDX-License-Identifier: Apache-2.0
 *
 * string.find, match, gmatch and gsub on our own matcher, which can be interrupted, and the other functions
 * of string and utf8 behind something that charges for what they do.
 */
#define _GNU_SOURCE /* memmem() */
#include "program/library.h"

#include <string.h>

#include <lauxlib.h>

#include "program/pattern.h"
#include "program/program.h"

enum {
	STEPS_OF_INSTRUCTION = 2,  /* of matching a pattern: measured, 4.5 ns each */
	BYTES_OF_INSTRUCTION = 64, /* that are copied or looked at */
};

static void charge_bytes(lua_State *lua, size_t bytes)
{
	program_charge(lua, bytes / BYTES_OF_INSTRUCTION);
}

static void charge_steps(void *user, uint64_t steps)
{
	program_charge(user, steps / STEPS_OF_INSTRUCTION);
}

static struct span span_argument(lua_State *lua, int index)
{
	size_t bytes;
	const char *text = luaL_checklstring(lua, index, &bytes);
	return span_of(text, bytes);
}

/* Subject and pattern; 1 when the pattern was anchored, and then the anchor is gone. */
static int begin_pattern(lua_State *lua, struct pattern *pattern, struct span subject, struct span text,
			 int anchors)
{
	int anchored = anchors && text.bytes && text.base[0] == '^';
	pattern->subject = subject;
	pattern->text = anchored ? span_of(text.base + 1, text.bytes - 1) : text;
	pattern->charge = charge_steps;
	pattern->user = lua;
	pattern->steps = 0;
	pattern->capture_count = 0;
	return anchored;
}

/* pattern_match() that raises. */
static int is_match(lua_State *lua, struct pattern *pattern, size_t from, size_t *ret_end)
{
	enum pattern_answer answer = pattern_match(pattern, from, ret_end);
	if (answer != PATTERN_MALFORMED)
		return answer == PATTERN_YES;
	pattern_settle(pattern);
	if (pattern->error_index < 0)
		return luaL_error(lua, "%s", pattern->error);
	return luaL_error(lua, "%s%d", pattern->error, pattern->error_index);
}

/* Capture `index`, or the whole match when there are no captures and index is 0. */
static void push_capture(lua_State *lua, const struct pattern *pattern, unsigned index, size_t from,
			 size_t end)
{
	const char *subject = (const char *)pattern->subject.base;
	if (index >= pattern->capture_count) {
		if (index)
			luaL_error(lua, "invalid capture index %%%d", (int)index + 1);
		lua_pushlstring(lua, subject + from, end - from);
		return;
	}
	const struct pattern_capture *capture = &pattern->captures[index];
	if (capture->bytes == PATTERN_OPEN)
		luaL_error(lua, "unfinished capture");
	if (capture->bytes == PATTERN_POSITION)
		lua_pushinteger(lua, (lua_Integer)capture->at + 1);
	else
		lua_pushlstring(lua, subject + capture->at, (size_t)capture->bytes);
}

/* All of them, or the whole match in their place. */
static int push_captures(lua_State *lua, const struct pattern *pattern, size_t from, size_t end)
{
	unsigned count = pattern->capture_count ? pattern->capture_count : 1;
	luaL_checkstack(lua, (int)count, "too many captures");
	for (unsigned i = 0; i < count; i++)
		push_capture(lua, pattern, i, from, end);
	return (int)count;
}

/* The argument `init`: an offset; beyond the subject when there is nothing left of it. */
static size_t start_argument(lua_State *lua, int index, size_t bytes)
{
	lua_Integer start = luaL_optinteger(lua, index, 1);
	if (start > 0)
		return (lua_Unsigned)start - 1 > bytes ? bytes + 1 : (size_t)start - 1;
	if (start == 0 || start < -(lua_Integer)bytes)
		return 0;
	return bytes - (size_t)-start;
}

static int find_plain(lua_State *lua, struct span subject, struct span text, size_t from)
{
	const uint8_t *begin = subject.base + from;
	const uint8_t *found = memmem(begin, subject.bytes - from, text.base, text.bytes);
	charge_bytes(lua, found ? (size_t)(found - begin) + text.bytes : subject.bytes - from);
	if (!found) {
		luaL_pushfail(lua);
		return 1;
	}
	lua_pushinteger(lua, (lua_Integer)(found - subject.base) + 1);
	lua_pushinteger(lua, (lua_Integer)(found - subject.base) + (lua_Integer)text.bytes);
	return 2;
}

static int has_magic(struct span text)
{
	static const char magic[] = "^$*+?.([%-";
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.base[i] && strchr(magic, text.base[i]))
			return 1;
	}
	return 0;
}

static int find_or_match(lua_State *lua, int is_find)
{
	struct span subject = span_argument(lua, 1), text = span_argument(lua, 2);
	size_t from = start_argument(lua, 3, subject.bytes), end;
	struct pattern pattern;
	if (from > subject.bytes) {
		luaL_pushfail(lua);
		return 1;
	}
	if (is_find && (lua_toboolean(lua, 4) || !has_magic(text)))
		return find_plain(lua, subject, text, from);
	int anchored = begin_pattern(lua, &pattern, subject, text, 1);
	do {
		if (is_match(lua, &pattern, from, &end)) {
			pattern_settle(&pattern);
			charge_bytes(lua, end - from);
			if (!is_find)
				return push_captures(lua, &pattern, from, end);
			lua_pushinteger(lua, (lua_Integer)from + 1);
			lua_pushinteger(lua, (lua_Integer)end);
			return 2 + (pattern.capture_count ? push_captures(lua, &pattern, from, end) : 0);
		}
	} while (!anchored && from++ < subject.bytes);
	pattern_settle(&pattern);
	luaL_pushfail(lua);
	return 1;
}

static int string_find(lua_State *lua)
{
	return find_or_match(lua, 1);
}

static int string_match(lua_State *lua)
{
	return find_or_match(lua, 0);
}

enum {
	GMATCH_SUBJECT = 1, /* upvalues of the iterator */
	GMATCH_PATTERN,
	GMATCH_FROM,
	GMATCH_LAST_END, /* where the last match ended: no empty match there. -1: none yet */
};

static int gmatch_next(lua_State *lua)
{
	struct span subject = span_argument(lua, lua_upvalueindex(GMATCH_SUBJECT));
	struct span text = span_argument(lua, lua_upvalueindex(GMATCH_PATTERN));
	size_t from = (size_t)lua_tointeger(lua, lua_upvalueindex(GMATCH_FROM)), end;
	lua_Integer last_end = lua_tointeger(lua, lua_upvalueindex(GMATCH_LAST_END));
	struct pattern pattern;
	begin_pattern(lua, &pattern, subject, text, 0);
	for (; from <= subject.bytes; from++) {
		if (is_match(lua, &pattern, from, &end) && (lua_Integer)end != last_end) {
			pattern_settle(&pattern);
			charge_bytes(lua, end - from);
			lua_pushinteger(lua, (lua_Integer)end);
			lua_copy(lua, -1, lua_upvalueindex(GMATCH_FROM));
			lua_replace(lua, lua_upvalueindex(GMATCH_LAST_END));
			return push_captures(lua, &pattern, from, end);
		}
	}
	pattern_settle(&pattern);
	/* Nothing will be found from here on. */
	lua_pushinteger(lua, (lua_Integer)subject.bytes + 1);
	lua_replace(lua, lua_upvalueindex(GMATCH_FROM));
	return 0;
}

static int string_gmatch(lua_State *lua)
{
	struct span subject = span_argument(lua, 1);
	span_argument(lua, 2);
	size_t from = start_argument(lua, 3, subject.bytes);
	lua_settop(lua, 2);
	lua_pushinteger(lua, (lua_Integer)from);
	lua_pushinteger(lua, -1);
	lua_pushcclosure(lua, gmatch_next, GMATCH_LAST_END);
	return 1;
}

/* Adds the replacement with %0 to %9 filled in. */
static void add_filled(struct library_text *out, const struct pattern *pattern, size_t from, size_t end)
{
	lua_State *lua = out->lua;
	size_t left;
	const char *at = lua_tolstring(lua, 3, &left), *escape;
	charge_bytes(lua, left);
	while ((escape = memchr(at, '%', left)) != NULL) {
		library_text_add(out, at, (size_t)(escape - at));
		left -= (size_t)(escape - at);
		char name = left > 1 ? escape[1] : 0;
		if (name == '%') {
			library_text_add(out, "%", 1);
		} else if (name == '0') {
			library_text_add(out, pattern->subject.base + from, end - from);
		} else if (name >= '1' && name <= '9') {
			size_t bytes;
			push_capture(lua, pattern, (unsigned)(name - '1'), from, end);
			const char *capture = lua_tolstring(lua, -1, &bytes);
			library_text_add(out, capture, bytes);
			lua_pop(lua, 1);
		} else {
			luaL_error(lua, "invalid use of '%%' in replacement string");
		}
		at = escape + 2;
		left -= 2;
	}
	library_text_add(out, at, left);
}

/* Adds what argument 3 says in place of the match. */
static void add_replacement(struct library_text *out, const struct pattern *pattern, size_t from, size_t end)
{
	lua_State *lua = out->lua;
	switch (lua_type(lua, 3)) {
	case LUA_TFUNCTION:
		lua_pushvalue(lua, 3);
		lua_call(lua, push_captures(lua, pattern, from, end), 1);
		break;
	case LUA_TTABLE:
		push_capture(lua, pattern, 0, from, end);
		lua_gettable(lua, 3);
		break;
	default:
		add_filled(out, pattern, from, end);
		return;
	}
	if (!lua_toboolean(lua, -1)) {
		library_text_add(out, pattern->subject.base + from, end - from);
	} else if (lua_isstring(lua, -1)) {
		size_t bytes;
		const char *text = lua_tolstring(lua, -1, &bytes);
		charge_bytes(lua, bytes);
		library_text_add(out, text, bytes);
	} else {
		luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
	}
	lua_pop(lua, 1);
}

static int string_gsub(lua_State *lua)
{
	struct span subject = span_argument(lua, 1), text = span_argument(lua, 2);
	int type = lua_type(lua, 3);
	luaL_argexpected(lua,
			 type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
				 type == LUA_TTABLE,
			 3, "string/function/table");
	lua_Integer count_max = luaL_optinteger(lua, 4, (lua_Integer)subject.bytes + 1), count = 0;
	struct pattern pattern;
	int anchored = begin_pattern(lua, &pattern, subject, text, 1);
	lua_settop(lua, 3);
	struct library_text out;
	library_text_begin(&out, lua);
	size_t copied = 0, end, last_end = SIZE_MAX;
	for (size_t from = 0; count < count_max && from <= subject.bytes;) {
		if (is_match(lua, &pattern, from, &end) && end != last_end) {
			count++;
			library_text_add(&out, subject.base + copied, from - copied);
			add_replacement(&out, &pattern, from, end);
			copied = from = last_end = end;
		} else {
			from++;
		}
		if (anchored)
			break;
	}
	pattern_settle(&pattern);
	charge_bytes(lua, subject.bytes);
	library_text_add(&out, subject.base + copied, subject.bytes - copied);
	library_text_push(&out);
	lua_pushinteger(lua, count);
	return 2;
}

/* Functions that look at all of their first argument. */
static int charged_whole(lua_State *lua)
{
	if (lua_type(lua, 1) == LUA_TSTRING)
		charge_bytes(lua, lua_rawlen(lua, 1));
	return library_call_stock(lua);
}

/* Functions that make texts or numbers from a part of what they are given. */
static int charged_results(lua_State *lua)
{
	int count = library_call_stock(lua);
	size_t bytes = 0;
	for (int i = -count; i < 0; i++)
		bytes += lua_type(lua, i) == LUA_TSTRING ? lua_rawlen(lua, i) : 16;
	charge_bytes(lua, bytes);
	return count;
}

static int charged_format(lua_State *lua)
{
	for (int i = lua_gettop(lua); i > 0; i--) {
		if (lua_type(lua, i) == LUA_TSTRING)
			charge_bytes(lua, lua_rawlen(lua, i));
	}
	return charged_results(lua);
}

static int charged_rep(lua_State *lua)
{
	struct span text = span_argument(lua, 1);
	lua_Integer count = luaL_checkinteger(lua, 2);
	size_t separator_bytes;
	luaL_optlstring(lua, 3, "", &separator_bytes);
	size_t bytes = text.bytes + separator_bytes, total;
	if (count <= 0 || bytes == 0) {
		lua_pushliteral(lua, "");
		return 1;
	}
	/* What does not fit into memory fails at once. */
	if (!__builtin_mul_overflow(bytes, (size_t)count, &total) && total <= PROGRAM_MEMORY_BYTES_MAX)
		program_charge(lua, (uint64_t)count / 4 + total / BYTES_OF_INSTRUCTION);
	return library_call_stock(lua);
}

/* utf8.offset(text, n [, i]) walks over n characters. */
static int charged_offset(lua_State *lua)
{
	lua_Integer count = luaL_checkinteger(lua, 2);
	size_t bytes = span_argument(lua, 1).bytes;
	lua_Unsigned distance = count < 0 ? -(lua_Unsigned)count : (lua_Unsigned)count;
	charge_bytes(lua, distance < bytes / 4 ? (size_t)distance * 4 : bytes);
	return library_call_stock(lua);
}

void library_string_open(lua_State *lua)
{
	static const struct library_wrapper of_string[] = {
		{ "find", string_find },
		{ "match", string_match },
		{ "gmatch", string_gmatch },
		{ "gsub", string_gsub },
		{ "rep", charged_rep },
		{ "format", charged_format },
		{ "upper", charged_whole },
		{ "lower", charged_whole },
		{ "reverse", charged_whole },
		{ "sub", charged_results },
		{ "byte", charged_results },
		{ "char", charged_results },
		{ "dump", NULL },
		{ "pack", NULL },
		{ "packsize", NULL },
		{ "unpack", NULL },
	};
	static const struct library_wrapper of_utf8[] = {
		{ "len", charged_whole },
		{ "offset", charged_offset },
		{ "codepoint", charged_results },
		{ "char", charged_results },
	};
	library_wrap(lua, "string", of_string, sizeof of_string / sizeof *of_string);
	library_wrap(lua, "utf8", of_utf8, sizeof of_utf8 / sizeof *of_utf8);
}
