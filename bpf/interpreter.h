/* SPDX-License-Identifier: Apache-2.0
 *
 * Which functions of a program are running, when the current task interprets one (Lua 5.4): from the states
 * that its stage slot names, along their chains of calls, innermost first. Where what is in the interpreter's
 * memory is said by the target (struct interpreter_layout); all that a wrong word can do is that this memory,
 * which is the target's own, yields nonsense, which user space finds in no function's code.
 *
 * Functions are exact, since each call has an entry of its own. The place in a function is the one that the
 * interpreter has saved: at each instruction while a count hook is set, as the program room does; without one
 * at calls, allocations and C functions only.
 */
#ifndef BPF_INTERPRETER_H
#define BPF_INTERPRETER_H

/* Calls, and the ends of states, which are no frames. */
enum { INTERPRETER_STEPS_MAX = INTERPRETER_FRAMES_MAX + 2 * INTERPRETER_DEPTH_MAX };

/* On the stack, as the kernel wants it. */
struct interpreter_context {
	struct interpreter_walk *walk;
	const struct interpreter_layout *layout;
};

static __always_inline int interpreter_runs(uint32_t tid)
{
	const struct stage_slot *slot = slot_of(tid);
	return slot && slot->interpreters[0];
}

/* Takes the states of a thread's slot; 0: nothing is interpreted. */
static __always_inline int interpreter_begin(struct interpreter_walk *walk, uint32_t tid)
{
	const struct stage_slot *slot = slot_of(tid);
	walk->count = walk->depth = 0;
	walk->call = 0;
	if (!slot || !slot->interpreters[0])
		return 0;
	for (int i = 0; i < INTERPRETER_DEPTH_MAX; i++) {
		walk->states[i] = slot->interpreters[i];
		if (!walk->states[i])
			break;
		walk->depth = (uint32_t)i + 1;
	}
	return 1;
}

/* The word of the call at hand; 0: it is no function's (the entry that a state begins with). */
static __always_inline uint64_t interpreter_word(const struct interpreter_layout *layout, uint64_t call)
{
	uint64_t function = 0, value = 0, word = 0;
	uint8_t tag = 0;
	unwind_read_user(&function, sizeof function, call + layout->call_function);
	if (unwind_read_user(&tag, sizeof tag, function + layout->value_tag) < 0 ||
	    unwind_read_user(&value, sizeof value, function) < 0)
		return 0;
	if (tag == layout->tag_native)
		return value;
	if (tag == layout->tag_lua)
		unwind_read_user(&word, sizeof word, call + layout->call_position);
	else if (tag == layout->tag_native_closure)
		unwind_read_user(&word, sizeof word, value + layout->closure_native);
	return word;
}

static long interpreter_step(uint32_t index, void *context)
{
	struct interpreter_walk *walk = ((struct interpreter_context *)context)->walk;
	const struct interpreter_layout *layout = ((struct interpreter_context *)context)->layout;
	uint32_t count = walk->count;
	(void)index;
	if (!walk->call) { /* this state's calls are through: who has resumed it is next */
		uint32_t depth = walk->depth - 1;
		if (depth >= INTERPRETER_DEPTH_MAX || count >= INTERPRETER_FRAMES_MAX)
			return 1;
		walk->depth = depth;
		unwind_read_user(&walk->call, sizeof walk->call, walk->states[depth] + layout->state_call);
		return 0;
	}
	if (count >= INTERPRETER_FRAMES_MAX)
		return 1;
	uint64_t call = walk->call;
	uint64_t word = interpreter_word(layout, call);
	if (word) {
		walk->words[count] = word;
		walk->count = count + 1;
	}
	if (unwind_read_user(&walk->call, sizeof walk->call, call + layout->call_previous) < 0)
		walk->call = 0;
	return 0;
}

static __always_inline void interpreter_walk(struct interpreter_walk *walk)
{
	const struct profiler_control *control = control_of();
	if (!control || !control->interpreter.is_known)
		return;
	struct interpreter_context context = { .walk = walk, .layout = &control->interpreter };
	bpf_loop(INTERPRETER_STEPS_MAX, interpreter_step, &context, 0);
}

#endif
