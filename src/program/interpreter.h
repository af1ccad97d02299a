/* SPDX-License-Identifier: Apache-2.0
 *
 * interpreter: what an observer outside the process needs in order to say which functions of a program run:
 * where Lua keeps its calls, and which function and line an address in a function's code belongs to.
 *
 * Lua has no public interface for that, and its private headers are of one release each. So nothing is taken
 * for granted: a state of our own runs a program that we know, in memory of which we know every block, and
 * what lua_getstack(), lua_getinfo() and lua_topointer() say is looked for there. Each place must be found
 * exactly once; then the program runs again, and at each of its instructions what we read must be what Lua
 * says. Where anything differs there are no Lua functions in profiles, and a sentence says why.
 *
 * The observer reads while the program runs: a stage slot names the states (base/stage.h), and from there it
 * follows chains of calls. Functions are exact. The line is that of the place that Lua has saved: with a
 * count hook, as programs have one, that is each instruction; without one the last call, allocation or C
 * function.
 *
 * Internal to program.
 */
#ifndef PROGRAM_INTERPRETER_H
#define PROGRAM_INTERPRETER_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "program/program.h"

#define INTERPRETER_MEMORY_BYTES ((size_t)131072) /* of it Lua 5.4.4 needs a fifth to find its places */
#define INTERPRETER_ERROR_BYTES_MAX 256
#define INTERPRETER_NAME_BYTES_MAX 120 /* "module.table.field:method" is shown whole */

/* Offsets in bytes; tags are values of one byte. */
struct interpreter_layout {
	uint32_t state_call;				      /* lua_State: the innermost call */
	uint32_t call_previous, call_function, call_position; /* CallInfo; see bpf/shared.h */
	uint32_t value_tag;				      /* TValue */
	uint32_t tag_lua, tag_native, tag_native_closure;
	uint32_t closure_native; /* CClosure: its function */
	uint32_t closure_proto;	 /* LClosure: what was compiled */
	/* Proto */
	uint32_t proto_line;		       /* where it begins */
	uint32_t proto_code, proto_code_count; /* instructions of four bytes */
	uint32_t proto_inner, proto_inner_count;
	uint32_t proto_lines; /* a signed byte for each instruction: lines further than the one before */
	uint32_t proto_marks; /* of those that are -128: instruction and line */
};

/* Functions of Lua's own that a profile of a program is full of, by what they do, since Debian's library has
 * no names for them. 0: not found. */
struct interpreter_own {
	uint64_t execute; /* runs instructions: luaV_execute */
	uint64_t trace;	  /* what it calls at each of them while a hook is set: luaG_traceexec */
	uint64_t call;	  /* what it calls to call: luaD_precall */
};

/* Finds the layout of the Lua that is linked. `memory` (INTERPRETER_MEMORY_BYTES, aligned to 16) is needed
 * for the call only. 0, or -1 with a sentence. */
int interpreter_find_layout(struct interpreter_layout *ret_layout, struct interpreter_own *ret_own,
			    void *memory, char error[static INTERPRETER_ERROR_BYTES_MAX]);

struct interpreter_function {
	uint64_t code; /* address */
	uint32_t instructions;
	int line;
	uint32_t inner_count;
	uint64_t proto; /* address */
};

/* The function of a Lua closure; of what it was compiled to, which inner functions have, too. */
void interpreter_function_of_closure(const struct interpreter_layout *layout, const void *closure,
				     struct interpreter_function *ret_function);
void interpreter_function_of_proto(const struct interpreter_layout *layout, uint64_t proto,
				   struct interpreter_function *ret_function);
uint64_t interpreter_inner(const struct interpreter_layout *layout,
			   const struct interpreter_function *function, uint32_t index);
/* The line of each instruction, one after the other: `*at` and `*line` go on. 1, or 0 at the end. */
struct interpreter_lines {
	const struct interpreter_layout *layout;
	const struct interpreter_function *function;
	uint32_t at, marks;
	int line;
};
int interpreter_next_line(struct interpreter_lines *lines);

/* The table of a chunk's functions as text, for src/profiler/names_lua.c, which has its grammar. The
 * chunk's closure is on top of `state`'s stack; `source` is its text, `name` the file's. Returns the number
 * of bytes written, without the NUL behind them; what does not fit is left out from the end, function by
 * function. */
size_t interpreter_symbols(lua_State *state, const struct interpreter_layout *layout,
			   const struct interpreter_own *own, const char *name, const char *source,
			   size_t source_bytes, char *text, size_t text_bytes);

/* Finds the layout and tells settings->symbols of the chunk whose closure is on top of the stack, or why
 * there is nothing to tell. `memory` is needed for the call only, INTERPRETER_MEMORY_BYTES and what the table
 * takes. */
void interpreter_tell(lua_State *lua, const struct program_settings *settings, struct span source,
		      void *memory, size_t bytes);

/* interpreter_names.c: functions in the order of their first words. */
struct interpreter_names {
	const char *text;
	size_t bytes, at;
	int line;
	/* What came before */
	int previous;			       /* enum token */
	char path[INTERPRETER_NAME_BYTES_MAX]; /* "a.b:c" so far; "" */
	int path_is_listed;		       /* behind a comma */
	size_t depth;			       /* of brackets */
	char brackets[256];		       /* more than Lua's parser allows (LUAI_MAXCCALLS, 200) */
};
struct interpreter_name {
	char name[INTERPRETER_NAME_BYTES_MAX]; /* "": it has none */
	int first_line, last_line;	       /* of the words "function name(" */
};
void interpreter_names_begin(struct interpreter_names *names, const char *text, size_t bytes);
/* 1, or 0 at the end. */
int interpreter_names_next(struct interpreter_names *names, struct interpreter_name *ret_name);

#endif
