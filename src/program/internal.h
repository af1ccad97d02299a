/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share. Nothing here is for other rooms.
 *
 * Three Lua threads are ours. `state` is the interpreter's main thread: it catches what the others could not.
 * `main` runs execute() and is the only one that may wait. `events` runs the main chunk and everything that
 * the owner asks for while execute() waits: on_event, the headers callback, ctx.state as JSON. Programs may
 * make more; those are resumed by coroutine.c only, which counts them in coroutine_depth.
 */
#ifndef PROGRAM_INTERNAL_H
#define PROGRAM_INTERNAL_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "program/library.h"
#include "program/memory.h"
#include "program/program.h"

/* For tests that want to reach a limit quickly. */
struct program_limits {
	size_t memory_bytes;
	int64_t instructions;
	int64_t event_instructions;
	int64_t cpu_ns;
};

/* Values that outlive a call, by their places in the registry. */
enum program_slot {
	PROGRAM_SLOT_EXECUTE, /* execute() and its arguments */
	PROGRAM_SLOT_CTX,
	PROGRAM_SLOT_CLIENT,
	PROGRAM_SLOT_EMIT,
	PROGRAM_SLOT_ON_EVENT, /* of the request that is under way */
	PROGRAM_SLOT_HEADERS,
	PROGRAM_SLOT_ANSWER, /* metatables of strict tables */
	PROGRAM_SLOT_CONTEXT,
	PROGRAM_SLOT_PROBLEM,
	PROGRAM_SLOT_MAIN, /* keep the threads alive */
	PROGRAM_SLOT_EVENTS,
	PROGRAM_SLOT_COUNT,
};

struct program {
	struct program_settings settings;
	struct program_limits limits;
	struct program_memory memory;
	lua_State *state;
	lua_State *main;    /* NULL: execute() does not run */
	lua_State *events;  /* NULL: it died of an error, and is made anew when it is needed */
	lua_State *running; /* NULL: the owner is at work */
	int slots[PROGRAM_SLOT_COUNT];

	struct program_time now;
	struct program_wish wish;
	const struct program_answer *answer; /* during program_resume() only */
	struct span event_line;		     /* during program_event() only */
	const struct event_fields *event_fields;
	int status;  /* of lua_resume() */
	int waiting; /* the yield that comes is ours */
	int opening; /* the main chunk runs: globals may be set */
	int calling; /* a callback runs: execute() waits */
	int failed;  /* until execute() begins anew */
	int committed;
	int unplaced;	     /* the program raised an error that is to name no line */
	lua_State *blamed;   /* whose line is named when what failed has none; NULL: nobody's */
	int mismatched;	     /* the last page was withheld: a commit would lose its lines */
	int coroutine_depth; /* coroutines of the program's own that are being resumed or closed */
	int close_depth;

	/* Budgets (budget.c). Once exhausted, every further instruction raises, whatever the program catches.
	 */
	int64_t instructions_left;
	int64_t instructions_given;
	int64_t instructions_charged; /* since the clock was looked at */
	int64_t cpu_started_ns;	      /* 0: not looked at the clock yet */
	int hurried;		      /* the hook comes at the next instruction */
	int exhausted;
	int was_exhausted; /* ever: threads that an error left inside a hook are about */
	char exhausted_text[PROGRAM_TEXT_BYTES_MAX];

	char *made; /* PROGRAM_MADE_BYTES_MAX */
	size_t made_from, made_to;
	uint64_t made_events;
	size_t logged_bytes; /* since the last budget was given */
	size_t header_count;
	size_t header_bytes;
	struct program_header headers[PROGRAM_HEADERS_MAX];
	struct program_counters counters;
	char source_name[LUA_IDSIZE]; /* as positions in errors have it */
	char error[PROGRAM_TEXT_BYTES_MAX];
	char log_text[PROGRAM_TEXT_BYTES_MAX];
	char cursor[PROGRAM_CURSOR_BYTES_MAX + 1];
	char target[PROGRAM_URL_BYTES_MAX + 2];
	char header_text[PROGRAM_HEADER_BYTES_MAX];
	char state_text[PROGRAM_STATE_BYTES_MAX + 1];
};

static inline struct program *program_of(lua_State *lua)
{
	return *(struct program **)lua_getextraspace(lua);
}

/* program_create() with limits of the caller's. */
struct program *program_create_limited(const struct program_settings *settings, struct arena *arena,
				       const struct program_limits *limits,
				       char error[static PROGRAM_TEXT_BYTES_MAX]);

/* Slots: pushes the value; takes it from the top of the stack. */
void program_slot_push(lua_State *lua, enum program_slot slot);
void program_slot_set(lua_State *lua, enum program_slot slot);

/* budget.c */
void *program_allocate(void *program, void *block, size_t bytes, size_t bytes_wanted); /* a lua_Alloc */
/* A new measure for what runs next. */
void program_budget_give(struct program *program, int64_t instructions);
/* Forgets that a budget was exhausted. */
void program_budget_begin(struct program *program);
/* Sets the hook, which threads inherit that are made by this one. */
void program_budget_watch(lua_State *lua);
/* Ends the program for good: `what` completes "mine.lua:9: ". */
_Noreturn void program_exhaust(lua_State *lua, const char *what);
/* For whoever catches errors: raises again when a budget is exhausted. */
void program_check_exhausted(lua_State *lua);

/* error.c */
/* Copies text for a person: values of secret variables blotted out, control characters and what is no UTF-8
 * replaced, cut between characters. */
void program_clean_text(const struct program *program, struct span text, char *clean, size_t clean_bytes);
/* The line of the innermost function of the program that runs on `lua`; 0: none. */
int program_line(lua_State *lua);
/* Whether the text at the top of the stack begins with a line of the program. */
int program_is_placed(lua_State *lua);
/* Writes what the error at the top of the stack of `lua` says to program->error. The stack still has the
 * calls that ended with it. */
void program_fail(struct program *program, lua_State *lua);

/* strict.c: tables whose missing fields are errors. Pushes a metatable for `what` ("an answer"), in whose
 * tables the fields `names` (NULL-terminated; NULL: none) may be nil. */
void program_push_strict(lua_State *lua, const char *what, const char *const *names);

/* Each of the following is called once, protected, and leaves one value on the stack. */
void program_push_globals(lua_State *lua);   /* sandbox.c */
void program_push_coroutine(lua_State *lua); /* coroutine.c: the table */
void program_push_ctx(lua_State *lua);	     /* ctx.c */
void program_push_client(lua_State *lua);    /* client.c */

/* C functions that the globals have. */
int program_pcall(lua_State *lua); /* coroutine.c */
int program_xpcall(lua_State *lua);
int program_print(lua_State *lua); /* ctx.c */
int program_emit(lua_State *lua);  /* client.c */

/* Raises unless execute() itself calls and may wait. `what`: "client:stream". */
void program_check_execute(lua_State *lua, const char *what);
/* Waits: to be returned from a C function; `finish` goes on when the owner resumes. */
int program_wait(lua_State *lua, enum program_wish_kind kind, lua_KFunction finish);

/* answer.c: makes the metatables; pushes the answer to a request for `url` as a table. */
void program_answer_open(lua_State *lua);
void program_push_answer(lua_State *lua, const struct program_answer *answer, int lines, const char *url);

/* callback.c: what the owner asks for while execute() waits. Each is called on program->events. */
int program_call_event(lua_State *lua);
int program_call_headers(lua_State *lua);
int program_call_state(lua_State *lua);

#endif
