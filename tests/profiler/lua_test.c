/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of a program in Lua in a profile: a child that runs a program whose split of CPU time is known,
 * in nested calls, a C function between them, a coroutine, and a function of Lua's library. The interpreter
 * is Debian's; what is missing of the program room is a few lines here.
 */
#define _GNU_SOURCE
#include <math.h>

#include <lauxlib.h>
#include <lualib.h>

#include "program/interpreter.h"
#include "watched.h"

enum { SAMPLES_WANTED = 3000, TEXT_BYTES = 1 << 18, COUNT_HOOK = 1000 };

/* The lines are what the tests look for. The two functions run the same instructions, one twice as many. */
static const char program_text[] = "local function spin(n)\n"		    /* 1 */
				   "	local x = 0\n"			    /* 2 */
				   "	for i = 1, n do\n"		    /* 3 */
				   "		x = (x * 31 + i) & 65535\n" /* 4 */
				   "	end\n"				    /* 5 */
				   "	return x\n"			    /* 6 */
				   "end\n"
				   "local function two_thirds()\n" /* 8 */
				   "	local x = spin(2000)\n"
				   "	return x\n"
				   "end\n"
				   "local function one_third()\n" /* 12 */
				   "	local x = spin(1000)\n"
				   "	return x\n"
				   "end\n"
				   "local work = {\n"
				   "	through_c = function()\n" /* 17 */
				   "		local x = call_back(one_third)\n"
				   "		return x\n"
				   "	end,\n"
				   "}\n"
				   "function work.in_coroutine()\n" /* 22 */
				   "	local co = coroutine.create(function()\n"
				   "		local x = two_thirds()\n"
				   "		coroutine.yield(x)\n"
				   "	end)\n"
				   "	local _, x = resume(co)\n"
				   "	return x\n"
				   "end\n"
				   "local text = string.rep('a', 4000)\n"
				   "function execute()\n" /* 31 */
				   "	while true do\n"
				   "		local a = work.through_c()\n"
				   "		local b = work.in_coroutine()\n"
				   "		local c = string.reverse(text)\n"
				   "	end\n"
				   "end\n";

/* Deeper than is kept: 40 calls and more of fall(). */
static const char deep_text[] =
	"local function spin(n) local x = 0 for i = 1, n do x = x + i end return x end\n"
	"local function fall(n)\n"
	"	if n == 0 then local x = spin(1000) return x end\n"
	"	local x = fall(n - 1)\n"
	"	return x\n"
	"end\n"
	"function execute() while true do fall(40) end end\n";

static uint64_t *interpreters;
static unsigned coroutine_depth;

/* A C function of ours between functions of the program. */
__attribute__((noinline)) static int call_back(lua_State *lua)
{
	lua_call(lua, 0, 1);
	return 1;
}

/* As the program room does it: whoever resumes a coroutine says so. */
__attribute__((noinline)) static int resume(lua_State *lua)
{
	int results;
	lua_State *thread = lua_tothread(lua, 1);
	stage_interpret(interpreters, ++coroutine_depth, thread);
	int code = lua_resume(thread, lua, 0, &results);
	stage_interpret(interpreters, coroutine_depth--, NULL);
	lua_pushboolean(lua, code == LUA_OK || code == LUA_YIELD);
	lua_xmove(thread, lua, 1);
	return 2;
}

static void hook(lua_State *lua, lua_Debug *debug)
{
	(void)lua;
	(void)debug;
}

/* A state with the program loaded and its table in `text`; NULL, with a sentence in there. */
static lua_State *prepare(const char *program, char *text)
{
	struct interpreter_layout layout;
	struct interpreter_own own;
	void *memory = aligned_alloc(16, INTERPRETER_MEMORY_BYTES);
	lua_State *lua = luaL_newstate();
	int code = interpreter_find_layout(&layout, &own, memory, text);
	free(memory);
	if (code < 0)
		return NULL;
	luaL_openlibs(lua);
	lua_register(lua, "call_back", call_back);
	lua_register(lua, "resume", resume);
	if (luaL_loadbufferx(lua, program, strlen(program), "@known.lua", "t") != LUA_OK) {
		snprintf(text, TEXT_BYTES, "%s", lua_tostring(lua, -1));
		return NULL;
	}
	interpreter_symbols(lua, &layout, &own, "known.lua", program, strlen(program), text, TEXT_BYTES);
	lua_call(lua, 0, 0);
	return lua;
}

__attribute__((noinline)) static void child(struct stage_slot *slot, void *argument)
{
	lua_State *lua = argument, *thread = lua_newthread(lua);
	int results;
	interpreters = slot->interpreters;
	stage_enter(slot, STAGE_PROGRAM);
	lua_sethook(thread, hook, LUA_MASKCOUNT, COUNT_HOOK);
	lua_getglobal(thread, "execute");
	stage_interpret(interpreters, 0, thread);
	lua_resume(thread, lua, 0, &results);
	_exit(1);
}

/* `tell`: the profiler is told of the interpreter. */
static void watch(struct watched *watched, const char *program, int tell)
{
	char *text = malloc(TEXT_BYTES);
	lua_State *lua = prepare(program, text);
	if (!lua)
		test_leave(1, "%s", text);
	watched_run(watched, child, lua, tell ? text : NULL, SAMPLES_WANTED);
	lua_close(lua);
	free(text);
	printf("# %llu samples, %.2f us each in all eBPF programs\n",
	       (unsigned long long)watched->summary.cpu_samples,
	       (double)watched->summary.program_run_ns / 1e3 / (double)watched->summary.cpu_samples);
}

enum { STACK_MAX = 512 };

struct place {
	const char *name, *file, *module;
	int64_t line, start_line;
};

/* The frames of a sample, root first. */
static size_t stack_of(const struct pprof *profile, const struct pprof_sample *sample,
		       struct place places[static STACK_MAX])
{
	size_t count = 0;
	for (uint32_t i = sample->locations_count; i-- > 0;) {
		const struct pprof_location *location =
			&profile->locations[profile->location_ids[sample->locations_first + i] - 1];
		for (uint32_t k = location->lines_count; k-- > 0 && count < STACK_MAX;) {
			const struct pprof_line *line = &profile->lines[location->lines_first + k];
			const struct pprof_function *function = &profile->functions[line->function_id - 1];
			uint32_t module = location->mapping_id
						  ? profile->mappings[location->mapping_id - 1].filename
						  : 0;
			places[count++] = (struct place){ pprof_text(profile, function->name),
							  pprof_text(profile, function->filename),
							  pprof_text(profile, module), line->line,
							  function->start_line };
		}
	}
	return count;
}

/* Whether the names appear one after the other, "*" standing for any number of others. */
static int stack_is(const struct place *places, size_t count, const char *const *names)
{
	for (; *names; names++) {
		if (strcmp(*names, "*") == 0) {
			for (size_t i = 0; i <= count; i++)
				if (stack_is(places + i, count - i, names + 1))
					return 1;
			return 0;
		}
		if (count == 0 || strcmp(places->name, *names) != 0)
			return 0;
		places++;
		count--;
	}
	return count == 0;
}

static int64_t samples_like(const struct pprof *profile, const char *const *names)
{
	struct place places[STACK_MAX];
	int samples = pprof_value_index(profile, "samples");
	int64_t sum = 0;
	for (size_t i = 0; i < profile->sample_count; i++) {
		size_t count = stack_of(profile, &profile->samples[i], places);
		if (stack_is(places, count, names))
			sum += profile->samples[i].values[samples];
	}
	return sum;
}
#define LIKE(profile, ...) samples_like(profile, (const char *const[]){ __VA_ARGS__, NULL })

/* All from the root to the leaf: the program's functions behind ours, the C function between two of them, the
 * coroutine behind who has resumed it. */
static void stacks_are_whole(void)
{
	struct watched watched = { 0 };
	watch(&watched, program_text, 1);
	const struct pprof *profile = watched.profile;
	int64_t all = pprof_total(profile, pprof_value_index(profile, "samples"));
	int64_t joined = LIKE(profile, "*", "child", "execute", "through_c", "call_back", "one_third", "*");
	int64_t resumed = LIKE(profile, "*", "child", "execute", "work.in_coroutine", "resume",
			       "function at line 23", "two_thirds", "*");
	int64_t reverse = LIKE(profile, "*", "child", "execute", "string.reverse") +
			  LIKE(profile, "*", "child", "execute", "string.reverse", "*");
	int64_t one = LIKE(profile, "*", "one_third", "*"), two = LIKE(profile, "*", "two_thirds", "*");
	printf("# of %lld samples: one_third %lld (%lld in its place), two_thirds %lld (%lld), "
	       "string.reverse "
	       "%lld\n",
	       (long long)all, (long long)one, (long long)joined, (long long)two, (long long)resumed,
	       (long long)reverse);
	/* But for samples of the moment in which a call is made. */
	GE(joined * 1000, one * 990);
	GE(resumed * 1000, two * 990);
	GT(reverse, 10);
	/* Its own functions have no names in the library; what runs instructions is found by what it calls.
	 */
	GE(LIKE(profile, "*", "spin", "luaV_execute") + LIKE(profile, "*", "spin", "luaG_traceexec"),
	   (one + two) * 9 / 10);
	/* Nothing of Lua's own between: one frame at the leaf at most. */
	EQ(LIKE(profile, "*", "lua_resume", "*", "one_third", "*"), 0);
	EQ(LIKE(profile, "*", "lua_callk", "*", "one_third", "*"), 0);
	double share = (double)two / (double)(one + two), deviation = sqrt(2.0 / 9 / (double)(one + two));
	printf("# two_thirds has %.4f of both, wanted 0.6667 +- %.4f\n", share, 4 * deviation + 0.01);
	LE(fabs(share - 2.0 / 3) * 1e6, (4 * deviation + 0.01) * 1e6);
	EQ(watched.summary.samples_lost, 0);
	GE(watched.summary.user_stacks_complete * 1000, watched.summary.user_stacks * 995);
	watched_forget(&watched);
}

/* In the loop nearly all the time, and the loop's lines are known. */
static void lines_are_exact(void)
{
	struct watched watched = { 0 };
	struct place places[STACK_MAX];
	int64_t lines[8] = { 0 }, all = 0;
	watch(&watched, program_text, 1);
	const struct pprof *profile = watched.profile;
	int samples = pprof_value_index(profile, "samples");
	for (size_t i = 0; i < profile->sample_count; i++) {
		size_t count = stack_of(profile, &profile->samples[i], places);
		for (size_t k = 0; k < count; k++) {
			if (strcmp(places[k].module, "[lua]") != 0)
				continue;
			EQ_TEXT(places[k].file, "known.lua");
			if (strcmp(places[k].name, "two_thirds") == 0) {
				EQ(places[k].start_line, 8);
				if (k + 1 < count && strcmp(places[k + 1].name, "spin") == 0)
					EQ(places[k].line, 9);
				GE(places[k].line, 8);
				LE(places[k].line, 10);
			}
			if (strcmp(places[k].name, "spin") != 0)
				continue;
			EQ(places[k].start_line, 1);
			GE(places[k].line, 1);
			LE(places[k].line, 6);
			lines[places[k].line] += profile->samples[i].values[samples];
			all += profile->samples[i].values[samples];
		}
	}
	printf("# spin: lines 3 and 4 have %lld and %lld of %lld samples\n", (long long)lines[3],
	       (long long)lines[4], (long long)all);
	GE(all, SAMPLES_WANTED / 4);
	/* One instruction in four is the loop's own. */
	GE((lines[3] + lines[4]) * 100, all * 98);
	GT(lines[4], lines[3]);
	GT(lines[3], all / 20);
	watched_forget(&watched);
}

/* Nobody has said what the slot means: there is the interpreter, as any library. */
static void without_being_told(void)
{
	struct watched watched = { 0 };
	struct place places[STACK_MAX];
	watch(&watched, program_text, 0);
	for (size_t i = 0; i < watched.profile->sample_count; i++) {
		size_t count = stack_of(watched.profile, &watched.profile->samples[i], places);
		for (size_t k = 0; k < count; k++)
			NE(strcmp(places[k].module, "[lua]"), 0);
	}
	GT(LIKE(watched.profile, "*", "child", "lua_resume", "*"), watched.summary.cpu_samples / 2);
	watched_forget(&watched);
}

/* The innermost are kept, and it is said that there are more. */
static void deep_recursion(void)
{
	struct watched watched = { 0 };
	struct place places[STACK_MAX];
	int64_t seen = 0;
	watch(&watched, deep_text, 1);
	int samples = pprof_value_index(watched.profile, "samples");
	for (size_t i = 0; i < watched.profile->sample_count; i++) {
		size_t count = stack_of(watched.profile, &watched.profile->samples[i], places), falls = 0,
		       cut = 0;
		int spins = 0;
		for (size_t k = 0; k < count; k++) {
			falls += strcmp(places[k].name, "fall") == 0;
			spins |= strcmp(places[k].name, "spin") == 0;
			if (strcmp(places[k].name, "[more calls]") == 0)
				cut = k;
		}
		if (!spins)
			continue;
		seen += watched.profile->samples[i].values[samples];
		EQ(falls, 31); /* and spin() */
		EQ_TEXT(places[cut - 1].name, "child");
		EQ_TEXT(places[cut + 1].name, "fall");
	}
	GT(seen, SAMPLES_WANTED / 3);
	watched_forget(&watched);
}

TEST_MAIN(T(stacks_are_whole), T(lines_are_exact), T(deep_recursion), T(without_being_told))
