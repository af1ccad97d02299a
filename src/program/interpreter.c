/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds Lua's private layout by what its public interface says; see interpreter.h. The state that is looked
 * into has an allocator that knows where each block begins and how long it is, so "a pointer to an array of
 * this many" is something that can be looked for.
 */
#include "program/interpreter.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <unwind.h>

enum {
	ALIGNMENT = 16,
	SAMPLES = 3,	 /* functions of the known program */
	FRAMES = 8,	 /* of the native stack */
	LEVELS = 4,	 /* calls that are looked at when it has come to its deepest */
	MARK = -128,	 /* in Proto.lineinfo: the line is among the marks */
	VALUE_TAG = 8,	 /* behind any value; that tags are there is checked */
	CHECKS_MIN = 400 /* instructions at which all must agree */
};

#define LINES_10 "\n\n\n\n\n\n\n\n\n\n"
#define LINES_100 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10 LINES_10
#define WORK_4 " s = s + i * n\n s = s - i\n s = s * m\n s = s // n + m\n"
#define WORK_16 WORK_4 WORK_4 WORK_4 WORK_4

/* Three functions that differ in whatever has a size: inner functions 3, 1, 2; a step of more lines than fit
 * a byte; more instructions than Lua lets pass without a mark. `f` is the call at which it is at its deepest.
 */
static const char known_program[] =
	"local up, down = 1, 2\n"
	"local function first(f, c)\n"
	" local function one() return up end\n"
	" local function two() return down end\n"
	" local function three() return one() + two() end\n"
	" local x = f(c)\n"
	" return three() + x\n"
	"end\n"
	"local function second(f, c, n)\n"
	" local x = (function(v) local y = first(f, v); return y end)(c)\n" LINES_100 LINES_100
	" return x + n\n"
	"end\n"
	"local function third(f, c, n, m)\n"
	" local a, b = function(v) return v end, function(v) return v + n end\n"
	" local s = 0\n"
	" for i = 1, 3 do\n"
	" s = s + a(i) * b(i)\n" WORK_16 WORK_16 " end\n"
	" return s + second(f, c, m)\n"
	"end\n"
	"return first, second, third\n";
static const uint32_t known_inner[SAMPLES] = { 3, 1, 2 };

struct sample {
	uint64_t closure, proto;
	int line, last_line;
};

struct level {
	uint64_t call;	   /* CallInfo */
	uint64_t function; /* as lua_topointer() has it */
	int line;	   /* of its place; -1: a C function */
};

struct search {
	uint8_t *memory;
	size_t used, bytes;
	uint32_t sizes[INTERPRETER_MEMORY_BYTES / ALIGNMENT]; /* of blocks, by their start; 0: none begins */
	struct interpreter_layout layout;
	struct sample samples[SAMPLES];
	struct level levels[LEVELS];
	lua_State *thread;				   /* that runs the program */
	uint32_t tag_native;				   /* seen when the function was no closure */
	const char *missing;				   /* what was not found, or found twice; NULL */
	uint64_t call_frames[FRAMES], hook_frames[FRAMES]; /* where functions begin, innermost first */
	unsigned checked, wrong;			   /* instructions */
};

/* ---- Memory whose blocks are known ---- */

static size_t index_of(const struct search *search, uint64_t address)
{
	return (size_t)(address - (uintptr_t)search->memory) / ALIGNMENT;
}

static void *search_allocate(void *owner, void *block, size_t bytes, size_t wanted_bytes)
{
	struct search *search = owner;
	uint32_t *size = block ? &search->sizes[index_of(search, (uintptr_t)block)] : NULL;
	if (size && wanted_bytes <= bytes) {
		*size = (uint32_t)wanted_bytes; /* 0: freed, and nobody else's */
		return wanted_bytes ? block : NULL;
	}
	size_t at = (search->used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!wanted_bytes || at > search->bytes || wanted_bytes > search->bytes - at)
		return NULL;
	uint8_t *fresh = search->memory + at;
	search->used = at + wanted_bytes;
	search->sizes[at / ALIGNMENT] = (uint32_t)wanted_bytes;
	if (size) {
		memcpy(fresh, block, bytes);
		*size = 0;
	}
	return fresh;
}
_Static_assert(sizeof(struct search) < INTERPRETER_MEMORY_BYTES / 2, "most of the memory is Lua's");

/* Whether `bytes` at an address are in there. */
static int is_inside(const struct search *search, uint64_t address, size_t bytes)
{
	uint64_t offset = address - (uintptr_t)search->memory;
	return offset < search->used && bytes <= search->used - offset;
}

/* Bytes of the block that begins at an address; 0: none does. */
static uint32_t block_bytes(const struct search *search, uint64_t address)
{
	if (!is_inside(search, address, 1) || address % ALIGNMENT)
		return 0;
	return search->sizes[index_of(search, address)];
}

static uint64_t word_at(uint64_t address)
{
	uint64_t word;
	memcpy(&word, (const void *)(uintptr_t)address, sizeof word);
	return word;
}

static uint32_t number_at(uint64_t address)
{
	uint32_t number;
	memcpy(&number, (const void *)(uintptr_t)address, sizeof number);
	return number;
}

static uint8_t byte_at(uint64_t address)
{
	return *(const uint8_t *)(uintptr_t)address;
}

/* ---- Looking for one place that fits in all samples ---- */

typedef int fits(const struct search *search, size_t sample, uint32_t offset);

/* The only multiple of `step` below `bytes` that fits `count` times. With `any` the first one will do. */
static uint32_t find(struct search *search, const char *what, size_t bytes, uint32_t step, size_t count,
		     fits *does_fit, int any)
{
	uint32_t found = 0;
	unsigned many = 0;
	for (uint32_t offset = 0; offset + step <= bytes; offset += step) {
		size_t i = 0;
		while (i < count && does_fit(search, i, offset))
			i++;
		if (i < count || (any && many))
			continue;
		found = offset;
		many++;
	}
	if (many != 1 && !search->missing)
		search->missing = what;
	return found;
}

static uint32_t samples_bytes(const struct search *search, int of_protos)
{
	uint32_t least = UINT32_MAX;
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct sample *sample = &search->samples[i];
		uint32_t bytes = block_bytes(search, of_protos ? sample->proto : sample->closure);
		least = bytes < least ? bytes : least;
	}
	return least;
}

static int has_lines(const struct sample *sample, uint64_t address)
{
	return number_at(address) == (uint32_t)sample->line &&
	       number_at(address + 4) == (uint32_t)sample->last_line;
}

static int fits_proto(const struct search *search, size_t i, uint32_t offset)
{
	const struct sample *sample = &search->samples[i];
	uint64_t proto = word_at(sample->closure + offset);
	uint32_t bytes = block_bytes(search, proto);
	for (uint32_t at = 0; at + 8 <= bytes; at += 4)
		if (has_lines(sample, proto + at))
			return 1;
	return 0;
}

static int fits_line(const struct search *search, size_t i, uint32_t offset)
{
	const struct sample *sample = &search->samples[i];
	return offset + 8 <= block_bytes(search, sample->proto) && has_lines(sample, sample->proto + offset);
}

/* Four bytes an instruction, and how many there are is in the Proto, too. */
static int fits_code(const struct search *search, size_t i, uint32_t offset)
{
	uint64_t proto = search->samples[i].proto;
	uint32_t bytes = block_bytes(search, word_at(proto + offset));
	if (bytes < 16 || bytes % 4)
		return 0;
	for (uint32_t at = 0; at + 4 <= block_bytes(search, proto); at += 4)
		if (number_at(proto + at) == bytes / 4)
			return 1;
	return 0;
}

static uint32_t code_count(const struct search *search, size_t i)
{
	return block_bytes(search, word_at(search->samples[i].proto + search->layout.proto_code)) / 4;
}

static int fits_code_count(const struct search *search, size_t i, uint32_t offset)
{
	return number_at(search->samples[i].proto + offset) == code_count(search, i);
}

static int fits_lines(const struct search *search, size_t i, uint32_t offset)
{
	return block_bytes(search, word_at(search->samples[i].proto + offset)) == code_count(search, i);
}

static int fits_marks(const struct search *search, size_t i, uint32_t offset)
{
	uint64_t lines = word_at(search->samples[i].proto + search->layout.proto_lines);
	uint64_t marks = word_at(search->samples[i].proto + offset);
	uint32_t bytes = block_bytes(search, marks);
	uint32_t seen = 0;
	for (uint32_t at = 0; at < code_count(search, i); at++) {
		if ((int8_t)byte_at(lines + at) != MARK)
			continue;
		if (8 * seen + 8 > bytes || number_at(marks + 8 * (uint64_t)seen) != at)
			return 0;
		seen++;
	}
	return seen ? bytes == 8 * seen : marks == 0;
}

static int fits_inner(const struct search *search, size_t i, uint32_t offset)
{
	const struct sample *sample = &search->samples[i];
	uint64_t inner = word_at(sample->proto + offset);
	if (block_bytes(search, inner) != 8 * known_inner[i])
		return 0;
	for (uint32_t n = 0; n < known_inner[i]; n++) {
		uint64_t proto = word_at(inner + 8 * (uint64_t)n);
		if (block_bytes(search, proto) < samples_bytes(search, 1))
			return 0;
		uint32_t line = number_at(proto + search->layout.proto_line);
		if (line < (uint32_t)sample->line || line > (uint32_t)sample->last_line)
			return 0;
	}
	return 1;
}

static int fits_inner_count(const struct search *search, size_t i, uint32_t offset)
{
	return number_at(search->samples[i].proto + offset) == known_inner[i];
}

static void find_protos(struct search *search)
{
	struct interpreter_layout *layout = &search->layout;
	layout->closure_proto = find(search, "what a function was compiled to", samples_bytes(search, 0), 8,
				     SAMPLES, fits_proto, 0);
	if (search->missing)
		return;
	for (size_t i = 0; i < SAMPLES; i++)
		search->samples[i].proto = word_at(search->samples[i].closure + layout->closure_proto);
	uint32_t bytes = samples_bytes(search, 1);
	layout->proto_line = find(search, "a function's first line", bytes, 4, SAMPLES, fits_line, 0);
	layout->proto_code = find(search, "a function's code", bytes, 8, SAMPLES, fits_code, 0);
	if (search->missing)
		return;
	/* There are as many lines as instructions: any of the two counts will do. */
	layout->proto_code_count =
		find(search, "the length of the code", bytes, 4, SAMPLES, fits_code_count, 1);
	layout->proto_lines = find(search, "the lines of the code", bytes, 8, SAMPLES, fits_lines, 0);
	if (search->missing)
		return;
	layout->proto_marks = find(search, "the marks of lines", bytes, 8, SAMPLES, fits_marks, 0);
	layout->proto_inner = find(search, "inner functions", bytes, 8, SAMPLES, fits_inner, 0);
	layout->proto_inner_count =
		find(search, "the number of inner functions", bytes, 4, SAMPLES, fits_inner_count, 0);
}

/* ---- Calls ---- */

static int fits_state_call(const struct search *search, size_t i, uint32_t offset)
{
	(void)i;
	return word_at((uintptr_t)search->thread + offset) == search->levels[0].call;
}

static int fits_previous(const struct search *search, size_t i, uint32_t offset)
{
	return word_at(search->levels[i].call + offset) == search->levels[i + 1].call;
}

static int fits_function(const struct search *search, size_t i, uint32_t offset)
{
	uint64_t value = word_at(search->levels[i].call + offset);
	return is_inside(search, value, 16) && value % 8 == 0 && word_at(value) == search->levels[i].function;
}

static int line_of_position(const struct interpreter_layout *layout, uint64_t closure, uint64_t position);

static int fits_position(const struct search *search, size_t i, uint32_t offset)
{
	const struct level *level = &search->levels[i + 1]; /* [0] is the C function */
	return line_of_position(&search->layout, level->function, word_at(level->call + offset)) ==
	       level->line;
}

static int fits_native(const struct search *search, size_t i, uint32_t offset);

static uint32_t tag_of(const struct search *search, const struct level *level)
{
	return byte_at(word_at(level->call + search->layout.call_function) + search->layout.value_tag);
}

static void find_calls(struct search *search)
{
	struct interpreter_layout *layout = &search->layout;
	uint64_t thread = (uintptr_t)search->thread;
	uint32_t bytes = UINT32_MAX;
	for (size_t i = 0; i < LEVELS; i++)
		if (block_bytes(search, search->levels[i].call) < bytes)
			bytes = block_bytes(search, search->levels[i].call);
	uint32_t state_bytes = block_bytes(search, thread - LUA_EXTRASPACE);
	state_bytes = state_bytes > LUA_EXTRASPACE ? state_bytes - (uint32_t)LUA_EXTRASPACE : 0;
	layout->state_call = find(search, "a state's innermost call", state_bytes, 8, 1, fits_state_call, 0);
	layout->call_previous = find(search, "a call's caller", bytes, 8, LEVELS - 1, fits_previous, 0);
	layout->call_function = find(search, "a call's function", bytes, 8, LEVELS, fits_function, 0);
	layout->call_position = find(search, "a call's place", bytes, 8, LEVELS - 1, fits_position, 0);
	layout->closure_native = find(search, "a C function", block_bytes(search, search->levels[0].function),
				      8, 1, fits_native, 0);
	if (search->missing)
		return;
	layout->value_tag = VALUE_TAG;
	layout->tag_native_closure = tag_of(search, &search->levels[0]);
	layout->tag_lua = tag_of(search, &search->levels[1]);
	for (size_t i = 2; i < LEVELS; i++)
		if (tag_of(search, &search->levels[i]) != layout->tag_lua)
			search->missing = "the kind of a value";
	if (layout->tag_lua == layout->tag_native_closure)
		search->missing = "the kind of a value";
}

/* What Lua says of the calls that are under way. */
static void take_levels(struct search *search, lua_State *thread)
{
	for (int i = 0; i < LEVELS; i++) {
		lua_Debug debug;
		struct level *level = &search->levels[i];
		if (!lua_getstack(thread, i, &debug) || !lua_getinfo(thread, "lf", &debug)) {
			search->missing = "the calls of the known program";
			return;
		}
		level->call = (uintptr_t)debug.i_ci;
		level->function = (uintptr_t)lua_topointer(thread, -1);
		level->line = debug.currentline;
		lua_pop(thread, 1);
	}
}

struct frames {
	uint64_t *starts;
	size_t count;
};

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *argument)
{
	struct frames *frames = argument;
	if (frames->count == FRAMES)
		return _URC_END_OF_STACK;
	frames->starts[frames->count++] = _Unwind_GetRegionStart(context);
	return _URC_NO_REASON;
}

/* Whose native frames are there, the caller's first. */
static void take_frames(uint64_t starts[static FRAMES])
{
	struct frames frames = { .starts = starts };
	memset(starts, 0, FRAMES * sizeof *starts);
	_Unwind_Backtrace(take_frame, &frames);
}

/* A C function and a hook have one thing in common: both were called by the function that runs instructions.
 */
static void find_own(const struct search *search, struct interpreter_own *ret_own)
{
	*ret_own = (struct interpreter_own){ 0 };
	for (size_t call = 2; call < FRAMES; call++) {
		for (size_t hook = 2; hook < FRAMES && search->call_frames[call]; hook++) {
			if (search->hook_frames[hook] != search->call_frames[call])
				continue;
			*ret_own = (struct interpreter_own){
				.execute = search->call_frames[call],
				.trace = search->hook_frames[hook - 1],
				.call = search->call_frames[call - 1],
			};
			return;
		}
	}
}

/* The innermost call of the known program: first as a closure, then as a plain C function. */
static int at_the_deepest(lua_State *thread)
{
	struct search *search = lua_touserdata(thread, 1);
	if (lua_isnone(thread, lua_upvalueindex(1))) {
		lua_Debug debug;
		if (lua_getstack(thread, 0, &debug) && !search->missing) {
			const struct level level = { .call = (uintptr_t)debug.i_ci };
			search->layout.tag_native = tag_of(search, &level);
		}
	} else if (!search->missing) {
		take_frames(search->call_frames);
		take_levels(search, thread);
		if (!search->missing)
			find_calls(search);
	}
	lua_pushinteger(thread, 1);
	return 1;
}

static int fits_native(const struct search *search, size_t i, uint32_t offset)
{
	return word_at(search->levels[i].function + offset) == (uintptr_t)at_the_deepest;
}

/* ---- Reading by the layout ---- */

void interpreter_function_of_proto(const struct interpreter_layout *layout, uint64_t proto,
				   struct interpreter_function *ret_function)
{
	*ret_function = (struct interpreter_function){
		.code = word_at(proto + layout->proto_code),
		.instructions = number_at(proto + layout->proto_code_count),
		.line = (int)number_at(proto + layout->proto_line),
		.inner_count = number_at(proto + layout->proto_inner_count),
		.proto = proto,
	};
}

uint64_t interpreter_inner(const struct interpreter_layout *layout,
			   const struct interpreter_function *function, uint32_t index)
{
	return word_at(word_at(function->proto + layout->proto_inner) + 8 * (uint64_t)index);
}

void interpreter_function_of_closure(const struct interpreter_layout *layout, const void *closure,
				     struct interpreter_function *ret_function)
{
	interpreter_function_of_proto(layout, word_at((uintptr_t)closure + layout->closure_proto),
				      ret_function);
}

int interpreter_next_line(struct interpreter_lines *lines)
{
	const struct interpreter_layout *layout = lines->layout;
	uint64_t proto = lines->function->proto;
	if (lines->at == lines->function->instructions)
		return 0;
	if (lines->at == 0)
		lines->line = lines->function->line;
	const int8_t step = (int8_t)byte_at(word_at(proto + layout->proto_lines) + lines->at);
	if (step == MARK) /* two numbers a mark: instruction, line */
		lines->line = (int)number_at(word_at(proto + layout->proto_marks) +
					     8 * (uint64_t)lines->marks++ + 4);
	else
		lines->line += step;
	lines->at++;
	return 1;
}

/* -1: the place is none in this function. It is behind the instruction that is executed. */
static int line_of_position(const struct interpreter_layout *layout, uint64_t closure, uint64_t position)
{
	struct interpreter_function function;
	interpreter_function_of_closure(layout, (const void *)(uintptr_t)closure, &function);
	uint64_t offset = position - function.code;
	if (offset > 4 * (uint64_t)function.instructions || offset % 4)
		return -1;
	struct interpreter_lines lines = { .layout = layout, .function = &function };
	uint32_t wanted = offset ? (uint32_t)(offset / 4) : 1;
	while (lines.at < wanted && interpreter_next_line(&lines))
		;
	return lines.line;
}

/* ---- The check: all calls at each instruction ---- */

static int call_agrees(const struct search *search, lua_State *thread, lua_Debug *debug, uint64_t call)
{
	const struct interpreter_layout *layout = &search->layout;
	if (call != (uintptr_t)debug->i_ci || !lua_getinfo(thread, "Slf", debug))
		return 0;
	uint64_t function = (uintptr_t)lua_topointer(thread, -1);
	uint64_t value = word_at(call + layout->call_function);
	uint32_t tag = byte_at(value + layout->value_tag);
	int is_native = lua_iscfunction(thread, -1);
	lua_pop(thread, 1);
	if (word_at(value) != function)
		return 0;
	if (is_native)
		return tag == layout->tag_native || tag == layout->tag_native_closure;
	struct interpreter_function found;
	interpreter_function_of_closure(layout, (const void *)(uintptr_t)function, &found);
	return tag == layout->tag_lua && found.line == debug->linedefined &&
	       line_of_position(layout, function, word_at(call + layout->call_position)) ==
		       debug->currentline;
}

static void check_instruction(lua_State *thread, lua_Debug *unused)
{
	struct search *search = *(struct search **)lua_getextraspace(thread);
	lua_Debug debug;
	uint64_t call = word_at((uintptr_t)thread + search->layout.state_call);
	(void)unused;
	if (!search->checked)
		take_frames(search->hook_frames);
	for (int level = 0; lua_getstack(thread, level, &debug); level++) {
		if (!call_agrees(search, thread, &debug, call)) {
			search->wrong++;
			return;
		}
		call = word_at(call + search->layout.call_previous);
	}
	/* The state's first entry, which is no call. */
	if (!is_inside(search, call, 8) || word_at(call + search->layout.call_previous) != 0)
		search->wrong++;
	search->checked++;
}

/* ---- All of it ---- */

static void run_known_program(struct search *search, int as_closure)
{
	lua_State *thread = search->thread;
	lua_pushvalue(thread, SAMPLES); /* the third function calls the others */
	if (as_closure) {
		lua_pushinteger(thread, 1); /* a value that is nothing else */
		lua_pushcclosure(thread, at_the_deepest, 1);
	} else {
		lua_pushcfunction(thread, at_the_deepest);
	}
	lua_pushlightuserdata(thread, search);
	lua_pushinteger(thread, 7);
	lua_pushinteger(thread, 11);
	lua_call(thread, 4, 0);
}

/* Protected: whatever Lua raises ends the search. */
static int search_all(lua_State *state)
{
	struct search *search = lua_touserdata(state, 1);
	*(struct search **)lua_getextraspace(state) = search;
	search->thread = lua_newthread(state); /* gets the same */
	lua_State *thread = search->thread;
	if (luaL_loadbufferx(thread, known_program, sizeof known_program - 1, "=known", "t") != LUA_OK)
		return lua_error(thread);
	lua_call(thread, 0, SAMPLES);
	for (int i = 0; i < SAMPLES; i++) {
		lua_Debug debug;
		lua_pushvalue(thread, i + 1);
		search->samples[i].closure = (uintptr_t)lua_topointer(thread, -1);
		lua_getinfo(thread, ">S", &debug);
		search->samples[i].line = debug.linedefined;
		search->samples[i].last_line = debug.lastlinedefined;
	}
	find_protos(search);
	if (search->missing)
		return 0;
	run_known_program(search, 1);
	if (search->missing)
		return 0;
	run_known_program(search, 0);
	const struct interpreter_layout *layout = &search->layout;
	if (layout->tag_native == layout->tag_lua || layout->tag_native == layout->tag_native_closure)
		search->missing = "the kind of a C function";
	lua_sethook(thread, check_instruction, LUA_MASKCOUNT, 1);
	for (int i = 0; i < 2 && !search->missing; i++)
		run_known_program(search, i);
	lua_sethook(thread, NULL, 0, 0);
	return 0;
}

int interpreter_find_layout(struct interpreter_layout *ret_layout, struct interpreter_own *ret_own,
			    void *memory, char error[static INTERPRETER_ERROR_BYTES_MAX])
{
	struct search *search = memory;
	memset(search, 0, sizeof *search);
	size_t own_bytes = (sizeof *search + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	search->memory = (uint8_t *)memory + own_bytes;
	search->bytes = INTERPRETER_MEMORY_BYTES - own_bytes;
	lua_State *state = lua_newstate(search_allocate, search);
	if (!state) {
		snprintf(error, INTERPRETER_ERROR_BYTES_MAX, "%s has no room for a state", LUA_RELEASE);
		return -1;
	}
	lua_gc(state, LUA_GCSTOP);
	lua_pushcfunction(state, search_all);
	lua_pushlightuserdata(state, search);
	int code = 0;
	if (lua_pcall(state, 1, 0, 0) != LUA_OK) {
		const char *text = lua_tostring(state, -1);
		snprintf(error, INTERPRETER_ERROR_BYTES_MAX, "%s does not run the known program: %.160s",
			 LUA_RELEASE, text ? text : "?");
		code = -1;
	} else if (search->missing) {
		snprintf(error, INTERPRETER_ERROR_BYTES_MAX, "%s keeps %s in an unknown place", LUA_RELEASE,
			 search->missing);
		code = -1;
	} else if (search->wrong || search->checked < CHECKS_MIN) {
		snprintf(error, INTERPRETER_ERROR_BYTES_MAX,
			 "%s and what is read of it disagree at %u of %u instructions", LUA_RELEASE,
			 search->wrong, search->checked + search->wrong);
		code = -1;
	}
	*ret_layout = search->layout;
	find_own(search, ret_own);
	lua_close(state);
	return code;
}
