/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program may use up: instructions and CPU time between two waits or for one event, and memory.
 *
 * Lua's count hook sees instructions only, so whatever can work for long inside one of them is charged: C
 * functions by themselves (program_charge), copies by the allocator. Finalizers and message handlers would
 * run without hooks; sandbox.c and coroutine.c see to that.
 */
#define _GNU_SOURCE
#include "program/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

enum {
	HOOK_INSTRUCTIONS = 1000,   /* ten microseconds: each costs a quarter of one, mostly for the clock */
	CLOCK_INSTRUCTIONS = 10000, /* charged ones: how often the clock is looked at for them */
	COPY_BYTES = 64,	    /* copied in the time of an instruction, page faults included */
	/* Functions of C that look at a whole text take 15 ms at most for one of this size. */
	TEXT_BYTES_MAX = 16 << 20,
};

static void hook(lua_State *lua, lua_Debug *record);

static void watch(lua_State *lua, int instructions)
{
	lua_sethook(lua, hook, LUA_MASKCOUNT, instructions);
}

void program_budget_watch(lua_State *lua)
{
	watch(lua, HOOK_INSTRUCTIONS);
}

void program_budget_give(struct program *program, int64_t instructions)
{
	program->instructions_left = program->instructions_given = instructions;
	program->instructions_charged = 0;
	program->cpu_started_ns = 0;
	program->logged_bytes = 0;
	if (program->hurried && !program->exhausted) {
		program->hurried = 0;
		watch(program->state, HOOK_INSTRUCTIONS);
		if (program->main)
			watch(program->main, HOOK_INSTRUCTIONS);
		if (program->events)
			watch(program->events, HOOK_INSTRUCTIONS);
	}
}

void program_budget_begin(struct program *program)
{
	program->exhausted = program->hurried = 0;
	program->coroutine_depth = program->close_depth = 0;
	watch(program->state, HOOK_INSTRUCTIONS);
}

void program_check_exhausted(lua_State *lua)
{
	const struct program *program = program_of(lua);
	if (!program->exhausted)
		return;
	/* From here on every instruction comes here: loops around pcall() end, and whatever else catches. */
	watch(lua, 1);
	lua_pushstring(lua, program->exhausted_text);
	lua_error(lua);
}

_Noreturn void program_exhaust(lua_State *lua, const char *what)
{
	struct program *program = program_of(lua);
	if (!program->exhausted) {
		int line = program_line(lua);
		program->exhausted = program->was_exhausted = 1;
		if (line > 0)
			snprintf(program->exhausted_text, sizeof program->exhausted_text, "%s:%d: %s",
				 program->source_name, line, what);
		else
			snprintf(program->exhausted_text, sizeof program->exhausted_text, "%s", what);
	}
	program_check_exhausted(lua);
	__builtin_unreachable();
}

static int64_t thread_cpu_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Raises when there is nothing left of a budget. */
static void check(lua_State *lua, struct program *program)
{
	char what[160];
	const char *until = program->calling ? "for one call of a callback" : "without waiting";
	program_check_exhausted(lua);
	if (program->instructions_left < 0) {
		snprintf(what, sizeof what, "the program is stopped: it used %" PRId64 " instructions %s",
			 program->instructions_given, until);
		program_exhaust(lua, what);
	}
	int64_t now_ns = thread_cpu_ns();
	program->instructions_charged = 0;
	if (!program->cpu_started_ns)
		program->cpu_started_ns = now_ns;
	if (now_ns - program->cpu_started_ns > program->limits.cpu_ns) {
		snprintf(what, sizeof what, "the program is stopped: it used %.3g s of CPU time %s",
			 (double)program->limits.cpu_ns * 1e-9, until);
		program_exhaust(lua, what);
	}
}

static void hook(lua_State *lua, lua_Debug *record)
{
	struct program *program = program_of(lua);
	(void)record;
	program->instructions_left -= lua_gethookcount(lua);
	if (program->hurried && !program->exhausted) {
		program->hurried = 0;
		watch(lua, HOOK_INSTRUCTIONS);
	}
	check(lua, program);
}

void program_charge(lua_State *lua, uint64_t steps)
{
	struct program *program = program_of(lua);
	int64_t charge = steps > INT32_MAX ? INT32_MAX : (int64_t)steps;
	program->instructions_left -= charge;
	program->instructions_charged += charge;
	if (program->instructions_left < 0 || program->instructions_charged > CLOCK_INSTRUCTIONS)
		check(lua, program);
}

/* The allocator cannot raise; the next instruction can. */
static void hurry(struct program *program)
{
	if (program->running && !program->hurried) {
		program->hurried = 1;
		watch(program->running, 1);
	}
}

static void *refuse(struct program *program)
{
	/* Lua collects all garbage and asks again, which takes up to a fifth of a second: a look at the clock
	 * soon, so that a program that lives at the ceiling is found out. */
	program->instructions_left -= HOOK_INSTRUCTIONS;
	hurry(program);
	return NULL;
}

void *program_allocate(void *owner, void *block, size_t bytes, size_t bytes_wanted)
{
	struct program *program = owner;
	void *taken;
	if (bytes_wanted == 0) {
		if (block)
			program_memory_give(&program->memory, block, bytes);
		return NULL;
	}
	if (!block && bytes == LUA_TSTRING && bytes_wanted > TEXT_BYTES_MAX)
		return refuse(program);
	taken = block ? program_memory_resize(&program->memory, block, bytes, bytes_wanted)
		      : program_memory_take(&program->memory, bytes_wanted);
	if (!taken)
		return refuse(program);
	program->instructions_left -= (int64_t)(bytes_wanted / COPY_BYTES);
	if (program->instructions_left < 0)
		hurry(program);
	return taken;
}
