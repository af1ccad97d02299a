/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of a program's functions, as text; its grammar is in src/profiler/names_lua.c. Functions come
 * in the order of the source, which is the order of Lua's own tables, too, so that their names can be counted
 * off; the lines of both must agree, else a function is called by its line.
 */
#include "program/interpreter.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	DEPTH_MAX = 200,   /* functions in functions: LUAI_MAXCCALLS, beyond which Lua's parser gives up */
	NATIVES_MAX = 512, /* C functions that programs reach: Lua's own libraries have 150 */
	NATIVE_DEPTH_MAX = 2,
};

struct table {
	const struct interpreter_layout *layout;
	struct interpreter_names names;
	int names_known; /* so far they agree */
	char *text;
	size_t used, bytes;
	int full;
	unsigned natives;
};

/* All or nothing. */
__attribute__((format(printf, 2, 3))) static void put(struct table *table, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = table->bytes - table->used;
	int wanted = vsnprintf(table->text + table->used, room, format, arguments);
	va_end(arguments);
	if (wanted < 0 || (size_t)wanted >= room) {
		table->full = 1;
		table->text[table->used] = 0;
	} else {
		table->used += (size_t)wanted;
	}
}

/* What began there has not found room. */
static void forget_if_full(struct table *table, size_t begin)
{
	if (!table->full)
		return;
	table->used = begin;
	table->text[begin] = 0;
}

/* Nothing in a name may end a line. */
static void put_name(struct table *table, const char *name)
{
	char clean[INTERPRETER_NAME_BYTES_MAX];
	size_t used = 0;
	for (; name[used] && used + 1 < sizeof clean; used++) {
		unsigned char byte = (unsigned char)name[used];
		clean[used] = byte < 0x20 || byte == 0x7f ? '?' : name[used];
	}
	clean[used] = 0;
	put(table, " %s\n", clean);
}

static void put_lines(struct table *table, const struct interpreter_function *function)
{
	struct interpreter_lines lines = { .layout = table->layout, .function = function };
	uint32_t run = 0;
	int line = 0;
	put(table, "lines");
	while (interpreter_next_line(&lines)) {
		if (run && lines.line != line) {
			put(table, " %d:%" PRIu32, line, run);
			run = 0;
		}
		line = lines.line;
		run++;
	}
	if (run)
		put(table, " %d:%" PRIu32, line, run);
	put(table, "\n");
}

static void put_function(struct table *table, const struct interpreter_function *function, int is_main)
{
	struct interpreter_name name = { .name = "" };
	size_t begin = table->used;
	if (!is_main && table->names_known)
		table->names_known = interpreter_names_next(&table->names, &name) &&
				     function->line >= name.first_line && function->line <= name.last_line;
	if (is_main)
		snprintf(name.name, sizeof name.name, "main chunk");
	else if (!table->names_known || !name.name[0])
		snprintf(name.name, sizeof name.name, "function at line %d", function->line);
	put(table, "function %" PRIx64 " %" PRIu32 " %d", function->code, function->instructions,
	    function->line);
	put_name(table, name.name);
	put_lines(table, function);
	forget_if_full(table, begin);
}

static void put_functions(struct table *table, uint64_t proto, int depth)
{
	struct interpreter_function function;
	interpreter_function_of_proto(table->layout, proto, &function);
	put_function(table, &function, depth == 0);
	for (uint32_t i = 0; i < function.inner_count && !table->full && depth < DEPTH_MAX; i++)
		put_functions(table, interpreter_inner(table->layout, &function, i), depth + 1);
}

/* The C function on top of the stack; and one that it stands in for, which it keeps as its first variable. */
static void put_function_in_c(struct table *table, lua_State *state, const char *name)
{
	size_t begin = table->used;
	put(table, "native %" PRIx64, (uint64_t)(uintptr_t)lua_tocfunction(state, -1));
	put_name(table, name);
	forget_if_full(table, begin);
	if (!lua_getupvalue(state, -1, 1))
		return;
	begin = table->used;
	if (lua_iscfunction(state, -1) && !table->full) {
		put(table, "native %" PRIx64, (uint64_t)(uintptr_t)lua_tocfunction(state, -1));
		put_name(table, name);
		forget_if_full(table, begin);
	}
	lua_pop(state, 1);
}

static void put_natives(struct table *table, lua_State *state, const char *prefix, int depth);

/* The value on top of the stack, and its key below it. */
static void put_native(struct table *table, lua_State *state, const char *prefix, int depth)
{
	char name[INTERPRETER_NAME_BYTES_MAX];
	if (lua_type(state, -2) != LUA_TSTRING || table->natives == NATIVES_MAX || table->full)
		return;
	snprintf(name, sizeof name, "%s%s", prefix, lua_tostring(state, -2));
	if (lua_iscfunction(state, -1)) {
		table->natives++;
		put_function_in_c(table, state, name);
	} else if (lua_istable(state, -1) && depth < NATIVE_DEPTH_MAX && strcmp(name, "_G") != 0) {
		size_t used = strlen(name);
		if (used + 2 > sizeof name)
			return;
		memcpy(name + used, ".", 2);
		put_natives(table, state, name, depth + 1);
	}
}

/* Of the table on top of the stack, and of what it falls back on. */
static void put_natives(struct table *table, lua_State *state, const char *prefix, int depth)
{
	if (!lua_checkstack(state, 8))
		return;
	lua_pushnil(state);
	while (lua_next(state, -2)) {
		put_native(table, state, prefix, depth);
		lua_pop(state, 1);
	}
	if (!lua_getmetatable(state, -1))
		return;
	lua_pushliteral(state, "__index");
	lua_rawget(state, -2);
	if (lua_istable(state, -1) && depth < NATIVE_DEPTH_MAX)
		put_natives(table, state, prefix, depth + 1);
	lua_pop(state, 2);
}

static void put_own(struct table *table, uint64_t address, const char *name)
{
	size_t begin = table->used;
	if (!address || table->full)
		return;
	put(table, "native %" PRIx64 " %s\n", address, name);
	forget_if_full(table, begin);
}

size_t interpreter_symbols(lua_State *state, const struct interpreter_layout *layout,
			   const struct interpreter_own *own, const char *name, const char *source,
			   size_t source_bytes, char *text, size_t text_bytes)
{
	struct table table = { .layout = layout, .names_known = 1, .text = text, .bytes = text_bytes };
	struct interpreter_function main_chunk;
	interpreter_names_begin(&table.names, source, source_bytes);
	put(&table, "lua 1 " LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE "\n");
	put(&table,
	    "layout %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32
	    " %" PRIu32 " %" PRIu32 "\n",
	    layout->state_call, layout->call_previous, layout->call_function, layout->call_position,
	    layout->value_tag, layout->closure_native, layout->tag_lua, layout->tag_native,
	    layout->tag_native_closure);
	put(&table, "library %" PRIx64 "\n", (uint64_t)(uintptr_t)lua_newstate);
	put(&table, "file");
	put_name(&table, name);
	forget_if_full(&table, 0);
	if (table.full)
		return 0;
	put_own(&table, own->execute, "luaV_execute");
	put_own(&table, own->trace, "luaG_traceexec");
	put_own(&table, own->call, "luaD_precall");
	/* The first variable around a chunk is the table of its globals. */
	if (lua_getupvalue(state, -1, 1)) {
		if (lua_istable(state, -1))
			put_natives(&table, state, "", 0);
		lua_pop(state, 1);
	}
	interpreter_function_of_closure(layout, lua_topointer(state, -1), &main_chunk);
	put_functions(&table, main_chunk.proto, 0);
	return table.used;
}

void interpreter_tell(lua_State *lua, const struct program_settings *settings, struct span source,
		      void *memory, size_t bytes)
{
	struct interpreter_layout layout;
	struct interpreter_own own;
	char error[INTERPRETER_ERROR_BYTES_MAX];
	char text[INTERPRETER_ERROR_BYTES_MAX + 8];
	if (interpreter_find_layout(&layout, &own, memory, error) < 0) {
		int used = snprintf(text, sizeof text, "none %s\n", error);
		settings->symbols(settings->owner, text, (size_t)used);
		return;
	}
	size_t used = interpreter_symbols(lua, &layout, &own, settings->source->name,
					  (const char *)source.base, source.bytes, memory, bytes);
	settings->symbols(settings->owner, memory, used);
}
