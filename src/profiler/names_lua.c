/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of programs in Lua: what the target says of the interpreter in it, once for each program that it
 * loads (src/program/interpreter.h has how it knows). One line each, in this order, numbers decimal and
 * addresses hexadecimal:
 *
 *	lua 1 RELEASE
 *	layout N N N N N N N N N	struct interpreter_layout, from state_call on
 *	library ADDRESS			somewhere in the interpreter's code
 *	file NAME			whose functions follow
 *	native ADDRESS NAME		a C function that programs can call, and their name for it
 *	function ADDRESS INSTRUCTIONS LINE NAME		where its code is; four bytes an instruction
 *	lines LINE:INSTRUCTIONS ...	of the function before: so many instructions belong to that line
 *
 * or, alone, "none SENTENCE": why there is nothing. The target may be in anybody's hands: a text that is not
 * exactly like this is refused as a whole, and everything has a limit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/names_private.h"

enum {
	FUNCTIONS_MAX = 1 << 18,    /* of all programs: 64 streams with 4,000 functions each */
	NATIVES_MAX = 1 << 12,	    /* Lua's libraries and ours have 200 */
	RUNS_MAX = 1 << 22,	    /* of lines: as much as 64 programs of a megabyte have */
	INSTRUCTIONS_MAX = 1 << 24, /* of a function: 100 times what a megabyte of source makes */
	LINE_MAX = 1 << 24,
	TEXT_BYTES_MAX = 128 << 20, /* of all texts, 64 of 2 MB; of what was refused names may be kept */
	OFFSET_MAX = 4096,	    /* no struct of Lua's has a tenth of it */
	TAG_MAX = 255,
};

void lua_names_finish(struct lua_names *lua)
{
	free(lua->functions);
	free(lua->runs);
	free(lua->natives);
	name_ranges_finish(&lua->ranges);
	*lua = (struct lua_names){ 0 };
}

struct reader {
	const char *at;
	int line; /* for the sentence */
};

/* 1 when there is one. */
static int read_digits(struct reader *reader, unsigned base, uint64_t most, uint64_t *ret_number)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t number = 0;
	const char *first = reader->at, *at = first;
	for (const char *digit; *at && (digit = memchr(digits, *at, base)); at++) {
		uint64_t value = (uint64_t)(digit - digits);
		if (value > most || number > (most - value) / base)
			return 0;
		number = number * base + value;
	}
	reader->at = at;
	*ret_number = number;
	return at > first;
}

/* A number behind a blank. */
static int read_number(struct reader *reader, unsigned base, uint64_t most, uint64_t *ret_number)
{
	return *reader->at++ == ' ' && read_digits(reader, base, most, ret_number);
}

/* A word at the start of a line. */
static int read_word(struct reader *reader, const char *word)
{
	size_t bytes = strlen(word);
	if (strncmp(reader->at, word, bytes) != 0)
		return 0;
	reader->at += bytes;
	return 1;
}

static int read_end(struct reader *reader)
{
	if (*reader->at != '\n')
		return 0;
	reader->at++;
	reader->line++;
	return 1;
}

/* The rest of the line, behind a blank; kept. NULL: there is none. */
static const char *read_name(struct reader *reader, struct names *names)
{
	const char *end = strchr(reader->at, '\n');
	char text[NAMES_TEXT_BYTES_MAX];
	if (*reader->at != ' ' || !end)
		return NULL;
	size_t bytes = (size_t)(end - reader->at) - 1;
	if (bytes == 0 || bytes >= sizeof text)
		return NULL;
	memcpy(text, reader->at + 1, bytes);
	text[bytes] = 0;
	reader->at = end;
	return read_end(reader) ? names_text(names, text) : NULL;
}

static int read_layout(struct reader *reader, struct interpreter_layout *layout)
{
	uint32_t *const places[] = { &layout->state_call,	 &layout->call_previous,
				     &layout->call_function,	 &layout->call_position,
				     &layout->value_tag,	 &layout->closure_native,
				     &layout->tag_lua,		 &layout->tag_native,
				     &layout->tag_native_closure };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		uint64_t number;
		if (!read_number(reader, 10, i < 6 ? OFFSET_MAX : TAG_MAX, &number))
			return 0;
		*places[i] = (uint32_t)number;
	}
	layout->is_known = 1;
	return read_end(reader);
}

static int read_head(struct reader *reader, struct names *names, struct lua_names *lua, const char **ret_file)
{
	struct interpreter_layout layout = { 0 };
	uint64_t library;
	if (!read_word(reader, "lua 1") || !read_name(reader, names) || !read_word(reader, "layout") ||
	    !read_layout(reader, &layout) || !read_word(reader, "library") ||
	    !read_number(reader, 16, UINT64_MAX, &library) || !read_end(reader) || !read_word(reader, "file"))
		return 0;
	/* One process, one interpreter. */
	if (lua->layout.is_known &&
	    (memcmp(&layout, &lua->layout, sizeof layout) != 0 || library != lua->library))
		return 0;
	lua->layout = layout;
	lua->library = library;
	*ret_file = read_name(reader, names);
	return *ret_file != NULL;
}

static int read_native(struct reader *reader, struct names *names, struct lua_names *lua)
{
	struct lua_native native = { 0 };
	if (lua->native_count == NATIVES_MAX || !read_number(reader, 16, UINT64_MAX, &native.address))
		return 0;
	native.name = read_name(reader, names);
	if (!native.name)
		return 0;
	for (size_t i = 0; i < lua->native_count; i++)
		if (lua->natives[i].address == native.address && lua->natives[i].name == native.name)
			return 1; /* every program has it */
	lua->natives = room_for(lua->natives, &lua->natives_max, lua->native_count, 1, sizeof native);
	lua->natives[lua->native_count++] = native;
	return 1;
}

static int read_lines(struct reader *reader, struct lua_names *lua, struct lua_function *function)
{
	uint32_t count = 0;
	function->runs_first = lua->run_count;
	while (*reader->at == ' ') {
		uint64_t line, many;
		if (lua->run_count == RUNS_MAX || !read_number(reader, 10, LINE_MAX, &line) ||
		    *reader->at++ != ':' || !read_digits(reader, 10, function->instructions - count, &many) ||
		    many == 0)
			return 0;
		count += (uint32_t)many;
		lua->runs = room_for(lua->runs, &lua->runs_max, lua->run_count, 1, sizeof *lua->runs);
		lua->runs[lua->run_count++] = (struct lua_run){ .end = count, .line = (uint32_t)line };
	}
	function->run_count = lua->run_count - function->runs_first;
	return count == function->instructions && read_end(reader);
}

static int read_function(struct reader *reader, struct names *names, struct lua_names *lua, const char *file)
{
	struct lua_function function = { .file = file };
	uint64_t instructions, line;
	if (lua->function_count == FUNCTIONS_MAX ||
	    !read_number(reader, 16, UINT64_MAX >> 1, &function.code) ||
	    !read_number(reader, 10, INSTRUCTIONS_MAX, &instructions) ||
	    !read_number(reader, 10, LINE_MAX, &line) || instructions == 0)
		return 0;
	function.instructions = (uint32_t)instructions;
	function.line = (uint32_t)line;
	function.name = read_name(reader, names);
	if (!function.name || !read_word(reader, "lines") || !read_lines(reader, lua, &function))
		return 0;
	lua->functions =
		room_for(lua->functions, &lua->functions_max, lua->function_count, 1, sizeof function);
	lua->functions[lua->function_count++] = function;
	return 1;
}

static int read_all(struct reader *reader, struct names *names, struct lua_names *lua)
{
	const char *file;
	if (!read_head(reader, names, lua, &file))
		return 0;
	while (read_word(reader, "native"))
		if (!read_native(reader, names, lua))
			return 0;
	while (read_word(reader, "function"))
		if (!read_function(reader, names, lua, file))
			return 0;
	return *reader->at == 0;
}

/* A function is known by places behind its instructions: from behind the first to behind the last. Of a later
 * program that has the memory of an earlier one, the later functions count. */
static void add_ranges(struct lua_names *lua, size_t first)
{
	for (size_t i = first; i < lua->function_count; i++) {
		const struct lua_function *function = &lua->functions[i];
		uint64_t bytes = 4 * (uint64_t)function->instructions;
		name_ranges_add(&lua->ranges, function->code + 1, function->code + bytes + 1, i);
	}
	lua->is_sorted = 0;
}

int names_read_lua(struct names *names, const char *text, size_t bytes, char *error, size_t error_bytes)
{
	struct lua_names *lua = &names->lua;
	struct lua_names before = *lua;
	struct reader reader = { .at = text, .line = 1 };
	if (strnlen(text, bytes) == bytes && read_word(&reader, "none")) {
		const char *why = read_name(&reader, names);
		snprintf(error, error_bytes, "functions of programs are not in the profiles: %.200s",
			 why ? why : "the interpreter is not known");
		return -1;
	}
	int fits = bytes <= TEXT_BYTES_MAX - lua->text_bytes;
	lua->text_bytes += fits ? bytes : 0;
	if (fits && strnlen(text, bytes) == bytes && read_all(&reader, names, lua)) {
		add_ranges(lua, before.function_count);
		return 0;
	}
	lua->layout = before.layout;
	lua->library = before.library;
	lua->function_count = before.function_count;
	lua->run_count = before.run_count;
	lua->native_count = before.native_count;
	snprintf(error, error_bytes,
		 "functions of programs are not in the profiles: line %d of what the collector says of them "
		 "makes "
		 "no sense",
		 reader.line);
	return -1;
}

const struct interpreter_layout *names_lua_layout(const struct names *names)
{
	return &names->lua.layout;
}

uint64_t names_lua_library(const struct names *names)
{
	return names->lua.library;
}

/* The run that an instruction is in. */
static const struct lua_run *run_of(const struct lua_names *lua, const struct lua_function *function,
				    uint32_t instruction)
{
	size_t low = 0, high = function->run_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (lua->runs[function->runs_first + middle - 1].end <= instruction)
			low = middle;
		else
			high = middle;
	}
	return &lua->runs[function->runs_first + low];
}

int names_of_lua(struct names *names, uint64_t place, struct name_line *ret_line, uint64_t *ret_address)
{
	struct lua_names *lua = &names->lua;
	if (!lua->is_sorted) {
		name_ranges_sort(&lua->ranges);
		lua->is_sorted = 1;
	}
	const struct name_range *range = name_ranges_find_latest(&lua->ranges, place);
	/* Before its first instruction. */
	if (!range) {
		range = name_ranges_find_latest(&lua->ranges, place + 1);
		if (!range || lua->functions[range->value].code != place)
			return 0;
	}
	const struct lua_function *function = &lua->functions[range->value];
	uint32_t instruction = place > function->code ? (uint32_t)((place - function->code - 1) / 4) : 0;
	const struct lua_run *run = run_of(lua, function, instruction);
	uint32_t first = run == &lua->runs[function->runs_first] ? 0 : run[-1].end;
	*ret_line = (struct name_line){
		.name = function->name,
		.system_name = function->name,
		.file = function->file,
		.line = run->line,
		.start_line = function->line,
	};
	*ret_address = function->code + 4 * (uint64_t)first;
	return 1;
}

const char *names_lua_native(const struct names *names, uint64_t address)
{
	const char *name = NULL;
	for (size_t i = 0; i < names->lua.native_count; i++) {
		if (names->lua.natives[i].address != address)
			continue;
		if (name)
			return NULL; /* what is many things by its upvalues has none of their names */
		name = names->lua.natives[i].name;
	}
	return name;
}

void names_lua_range(const struct names *names, uint64_t *ret_start, uint64_t *ret_end)
{
	*ret_start = UINT64_MAX;
	*ret_end = 0;
	for (size_t i = 0; i < names->lua.function_count; i++) {
		const struct lua_function *function = &names->lua.functions[i];
		uint64_t end = function->code + 4 * (uint64_t)function->instructions;
		if (function->code < *ret_start)
			*ret_start = function->code;
		if (end > *ret_end)
			*ret_end = end;
	}
}
