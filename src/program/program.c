/* SPDX-License-Identifier: Apache-2.0 */
#include "program/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/stage.h"
#include "program/interpreter.h"

enum { GARBAGE_PERCENT = 400 };

size_t program_bytes_needed(void)
{
	/* The last term is what alignment may cost. */
	return sizeof(struct program) + PROGRAM_MADE_BYTES_MAX + PROGRAM_MEMORY_REGION_BYTES +
	       PROGRAM_MEMORY_UNITS + 131072;
}

void program_slot_push(lua_State *lua, enum program_slot slot)
{
	lua_rawgeti(lua, LUA_REGISTRYINDEX, program_of(lua)->slots[slot]);
}

void program_slot_set(lua_State *lua, enum program_slot slot)
{
	lua_rawseti(lua, LUA_REGISTRYINDEX, program_of(lua)->slots[slot]);
}

int program_decode_json(lua_State *lua, struct span text, struct event_fields *ret_fields)
{
	const struct program_settings *settings = &program_of(lua)->settings;
	return settings->decode ? settings->decode(settings->owner, text, ret_fields) : -1;
}

/* Texts that Lua makes where nobody is protected; one that exists needs no memory. */
static void keep_messages(lua_State *lua)
{
	static const char *const messages[] = { "C stack overflow", "cannot resume dead coroutine",
						"cannot resume non-suspended coroutine",
						"error in error handling" };
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		lua_pushstring(lua, messages[i]);
		luaL_ref(lua, LUA_REGISTRYINDEX);
	}
}

static int open_state(lua_State *lua)
{
	struct program *program = program_of(lua);
	keep_messages(lua);
	for (int slot = 0; slot < PROGRAM_SLOT_COUNT; slot++) {
		lua_pushboolean(lua, 0);
		program->slots[slot] = luaL_ref(lua, LUA_REGISTRYINDEX);
	}
	program_push_globals(lua);
	lua_rawseti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	program_push_ctx(lua);
	program_slot_set(lua, PROGRAM_SLOT_CTX);
	program_push_client(lua);
	program_slot_set(lua, PROGRAM_SLOT_CLIENT);
	lua_pushcfunction(lua, program_emit);
	program_slot_set(lua, PROGRAM_SLOT_EMIT);
	program_answer_open(lua);
	return 0;
}

/* Compiles, runs nothing: that waits until the process has given up its rights. */
static int load_program(lua_State *lua)
{
	struct program *program = program_of(lua);
	const struct program_source *source = program->settings.source;
	size_t mark_bytes = source->bytes >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	lua_Debug record;
	lua_pushfstring(lua, "@%s", source->name);
	/* How positions spell the name, before the first can be needed: a long one is cut. */
	if (luaL_loadbufferx(lua, "", 0, lua_tostring(lua, -1), "t") != LUA_OK)
		return lua_error(lua);
	lua_getinfo(lua, ">S", &record);
	memcpy(program->source_name, record.short_src, sizeof program->source_name);
	/* Never bytecode: nobody checks it, and it can do anything. */
	if (luaL_loadbufferx(lua, source->text + mark_bytes, source->bytes - mark_bytes,
			     lua_tostring(lua, -1), "t"))
		return lua_error(lua);
	if (program->settings.symbols) /* nothing has been made yet */
		interpreter_tell(lua, &program->settings,
				 span_of(source->text + mark_bytes, source->bytes - mark_bytes),
				 program->made, PROGRAM_MADE_BYTES_MAX);
	program_slot_set(lua, PROGRAM_SLOT_EXECUTE);
	return 0;
}

/* Defines execute(), which takes the chunk's slot. */
static int run_main_chunk(lua_State *lua)
{
	program_slot_push(lua, PROGRAM_SLOT_EXECUTE);
	lua_call(lua, 0, 0);
	lua_rawgeti(lua, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_getmetatable(lua, -1);
	lua_getfield(lua, -1, "__index");
	lua_pushliteral(lua, "execute");
	if (lua_rawget(lua, -2) != LUA_TFUNCTION)
		return luaL_error(lua, "there is no function execute(ctx, client, emit)");
	program_slot_set(lua, PROGRAM_SLOT_EXECUTE);
	return 0;
}

/* Calls a C function on the main thread, where no code of the program runs. 0, or -1 and program->error. */
static int call_state(struct program *program, lua_CFunction function)
{
	lua_pushcfunction(program->state, function);
	int status = lua_pcall(program->state, 0, 0, 0);
	if (status != LUA_OK)
		program_fail(program, program->state);
	lua_settop(program->state, 0);
	return status == LUA_OK ? 0 : -1;
}

static int resume_running(lua_State *lua)
{
	struct program *program = program_of(lua);
	int results;
	program->status = lua_resume(program->running, lua, 0, &results);
	return 0;
}

/* Runs `thread` until it waits (1) or ends (0); -1: it died, and program->error says of what. */
static int run_thread(struct program *program, lua_State *thread)
{
	program->unplaced = 0;
	program->running = thread;
	/* The first last: without it nobody looks at the others. */
	stage_interpret(program->settings.interpreter, 1, thread);
	stage_interpret(program->settings.interpreter, 0, program->state);
	/* lua_resume() catches everything by itself; but where it makes a message for that and memory is out,
	 * only the main thread is left to catch it, and else the process would end. */
	int caught = call_state(program, resume_running);
	stage_interpret(program->settings.interpreter, 0, NULL);
	stage_interpret(program->settings.interpreter, 1, NULL);
	program->running = NULL;
	if (caught < 0)
		return -1;
	/* Whoever caught an exhausted budget would have had to raise it again. */
	if ((program->status == LUA_OK || program->status == LUA_YIELD) && !program->exhausted)
		return program->status == LUA_YIELD;
	program_fail(program, thread);
	lua_settop(program->state, 0);
	return -1;
}

static int make_events(lua_State *lua)
{
	struct program *program = program_of(lua);
	lua_State *thread = lua_newthread(lua);
	program_slot_set(lua, PROGRAM_SLOT_EVENTS);
	program->events = thread;
	return 0;
}

/* Calls a C function of ours, and through it perhaps the program's, on program->events. 0, or -1 and
 * program->error. */
static int call_events(struct program *program, int64_t instructions, lua_CFunction function)
{
	program_budget_give(program, instructions);
	if (!program->events && call_state(program, make_events) < 0)
		return -1;
	lua_pushcfunction(program->events, function);
	program->calling = !program->opening;
	int how = run_thread(program, program->events);
	program->calling = 0;
	CHECK_LE(how, 0); /* nothing waits there */
	if (how < 0)
		program->events = NULL;
	else
		lua_settop(program->events, 0);
	return how;
}

struct program *program_create_limited(const struct program_settings *settings, struct arena *arena,
				       const struct program_limits *limits,
				       char error[static PROGRAM_TEXT_BYTES_MAX])
{
	struct program *program = arena_take(arena, sizeof *program, 64);
	program->settings = *settings;
	program->limits = *limits;
	program->made = arena_take(arena, PROGRAM_MADE_BYTES_MAX, 64);
	program_memory_open(&program->memory, arena, limits->memory_bytes);
	snprintf(program->source_name, sizeof program->source_name, "%s", settings->source->name);
	program_budget_give(program, limits->instructions);
	program->state = lua_newstate(program_allocate, program);
	if (!program->state) {
		snprintf(error, PROGRAM_TEXT_BYTES_MAX, "%s: not enough memory for an interpreter",
			 settings->source->name);
		return NULL;
	}
	*(struct program **)lua_getextraspace(program->state) = program;
	program_budget_watch(program->state);
	/* Events leave much garbage and little that lives: a third of the collector's work is saved by
	 * letting it wait until four times as much is there. At the ceiling it comes at once. */
	lua_gc(program->state, LUA_GCINC, GARBAGE_PERCENT, 0, 0);
	program->opening = 1;
	if (call_state(program, open_state) < 0 ||
	    call_events(program, limits->instructions, load_program) < 0) {
		snprintf(error, PROGRAM_TEXT_BYTES_MAX, "%s", program->error);
		program_finish(program);
		return NULL;
	}
	program_begin(program);
	return program;
}

struct program *program_create(const struct program_settings *settings, struct arena *arena,
			       char error[static PROGRAM_TEXT_BYTES_MAX])
{
	static const struct program_limits limits = { .memory_bytes = PROGRAM_MEMORY_BYTES_MAX,
						      .instructions = PROGRAM_INSTRUCTIONS_MAX,
						      .event_instructions = PROGRAM_EVENT_INSTRUCTIONS_MAX,
						      .cpu_ns = PROGRAM_CPU_NS_MAX };
	if (settings->source->bytes > PROGRAM_SOURCE_BYTES_MAX) {
		snprintf(error, PROGRAM_TEXT_BYTES_MAX,
			 "%s: the program has %zu bytes; at most %zu can be run", settings->source->name,
			 settings->source->bytes, PROGRAM_SOURCE_BYTES_MAX);
		return NULL;
	}
	return program_create_limited(settings, arena, &limits, error);
}

void program_finish(struct program *program)
{
	if (!program || !program->state)
		return;
	/* There are no finalizers that lua_close() would run: dropping the pages is all. */
	program_memory_close(&program->memory);
	program->state = program->main = program->events = NULL;
}

/* The body of the thread that may wait. */
static int finish_execute(lua_State *lua, int status, lua_KContext context)
{
	struct program *program = program_of(lua);
	(void)status, (void)context;
	const char *how = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "";
	if (lua_isnil(lua, -1) || strcmp(how, "drained") == 0 || strcmp(how, "max-requests") == 0) {
		program->wish.end_is_limit = *how == 'm';
		return 0;
	}
	return luaL_error(lua, "execute returned '%s'; it can return \"drained\" or \"max-requests\"",
			  luaL_tolstring(lua, -1, NULL));
}

static int start_execute(lua_State *lua)
{
	program_slot_push(lua, PROGRAM_SLOT_EXECUTE);
	program_slot_push(lua, PROGRAM_SLOT_CTX);
	program_slot_push(lua, PROGRAM_SLOT_CLIENT);
	program_slot_push(lua, PROGRAM_SLOT_EMIT);
	lua_callk(lua, 3, 1, 0, finish_execute);
	return finish_execute(lua, LUA_OK, 0);
}

static int make_main(lua_State *lua)
{
	struct program *program = program_of(lua);
	lua_State *thread = lua_newthread(lua);
	program_slot_set(lua, PROGRAM_SLOT_MAIN);
	lua_pushcfunction(thread, start_execute);
	program->main = thread;
	return 0;
}

void program_begin(struct program *program)
{
	program->main = NULL;
	program->waiting = program->committed = program->mismatched = 0;
	program->error[0] = 0;
	program_budget_begin(program);
	program->failed = call_state(program, make_main) < 0;
}

static enum program_wish_kind failed(struct program *program, struct program_wish *ret_wish)
{
	program->failed = 1;
	*ret_wish = (struct program_wish){ .kind = PROGRAM_FAILED };
	return PROGRAM_FAILED;
}

enum program_wish_kind program_resume(struct program *program, struct program_time now,
				      const struct program_answer *answer, struct program_wish *ret_wish)
{
	if (program->failed)
		return failed(program, ret_wish);
	CHECK_NE(program->main, NULL);
	if (program->opening) {
		int opened = call_events(program, program->limits.instructions, run_main_chunk);
		program->opening = 0;
		if (opened < 0)
			return failed(program, ret_wish);
	}
	CHECK_EQ((answer != NULL), program->waiting && program->wish.kind == PROGRAM_REQUEST);
	program->now = now;
	program->answer = answer;
	program->waiting = 0;
	program_budget_give(program, program->limits.instructions);
	int how = run_thread(program, program->main);
	program->answer = NULL;
	if (how < 0)
		return failed(program, ret_wish);
	CHECK_EQ(how, program->waiting);
	if (how == 0) {
		program->main = NULL;
		program->wish = (struct program_wish){ .kind = PROGRAM_END,
						       .end_is_limit = program->wish.end_is_limit };
	}
	*ret_wish = program->wish;
	return program->wish.kind;
}

/* For what the owner asks while execute() waits for an answer. */
static int call_back(struct program *program, struct program_time now, lua_CFunction function)
{
	if (program->failed)
		return -1;
	CHECK_EQ(program->waiting && program->wish.kind == PROGRAM_REQUEST, 1);
	program->now = now;
	program->blamed = program->main; /* for headers that cannot be sent: it asked */
	int called = call_events(program, program->limits.event_instructions, function);
	program->blamed = NULL;
	if (called == 0)
		return 0;
	program->failed = 1;
	return -1;
}

int program_headers(struct program *program, struct program_time now,
		    struct program_header headers[static PROGRAM_HEADERS_MAX], size_t *ret_count)
{
	if (call_back(program, now, program_call_headers) < 0)
		return -1;
	memcpy(headers, program->headers, program->header_count * sizeof *headers);
	*ret_count = program->header_count;
	return 0;
}

int program_event(struct program *program, struct program_time now, struct span line,
		  const struct event_fields *fields)
{
	program->event_line = line;
	program->event_fields = fields;
	return call_back(program, now, program_call_event);
}

struct span program_made(const struct program *program)
{
	return span_of(program->made + program->made_from, program->made_to - program->made_from);
}

uint64_t program_made_events(const struct program *program)
{
	return program->made_events;
}

void program_made_consume(struct program *program, size_t bytes)
{
	CHECK_LE(bytes, program->made_to - program->made_from);
	program->made_from += bytes;
}

int program_committed(struct program *program, const char **ret_cursor)
{
	int committed = program->committed;
	program->committed = 0;
	*ret_cursor = program->cursor;
	return committed;
}

const char *program_error(const struct program *program)
{
	return program->error;
}

const struct program_counters *program_counters(const struct program *program)
{
	return &program->counters;
}

const char *program_state(struct program *program)
{
	/* What a program failed with is worth more than that its state cannot be kept; and a program that was
	 * stopped may keep its state. */
	char error[PROGRAM_TEXT_BYTES_MAX];
	int exhausted = program->exhausted;
	memcpy(error, program->error, sizeof error);
	program->exhausted = 0;
	int encoded = call_events(program, program->limits.event_instructions, program_call_state);
	program->exhausted = exhausted;
	if (program->failed)
		memcpy(program->error, error, sizeof error);
	return encoded == 0 ? program->state_text : NULL;
}

size_t program_memory_bytes(const struct program *program)
{
	return program->memory.used_bytes_most;
}
