/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk up a user stack: from the registers of the innermost frame to the thread's start function, by
 * unwind rows (src/profiler/rows.h). The same text is compiled for the kernel's virtual machine (Linux 6.1
 * to 6.18, where the verifier must follow it) and for user space (where the tests feed it made-up stacks and
 * real ones). It knows no maps: whoever includes it defines the functions that are declared first here.
 *
 * A caller's pc is a return address, so rows and mappings are searched for pc - 1 (the call may be the last
 * instruction of its function); the pc of the innermost frame, and of one that a signal interrupted, is where
 * it executes, and is searched as it is.
 */
#ifndef BPF_UNWIND_H
#define BPF_UNWIND_H

#include "bpf/shared.h"

#ifndef UINT64_C
#define UINT64_C(value) value##ULL
#endif
#define UNWIND_ALWAYS_INLINE inline __attribute__((always_inline))
#define UNWIND_NOINLINE __attribute__((noinline))
/* The verifier looks at a global function once, at a static one each time it is called. */
#ifdef __bpf__
#define UNWIND_GLOBAL UNWIND_NOINLINE
#else
#define UNWIND_GLOBAL static UNWIND_NOINLINE
#endif
#define UNWIND_NONE 0xffffffffu
#define UNWIND_BP_UNKNOWN UINT64_C(0xffffffffffffffff)
#define UNWIND_NOWHERE UINT64_C(0xffffffffffffffff)
#define UNWIND_STACK_SPAN (UINT64_C(1) << 20) /* how far from a frame its caller's frame pointer may be */
#define UNWIND_RETURN_PROBES_MAX 16	      /* skipped at once: left by one longjmp(), or of one call */

/* A call of this task whose return address was replaced by the kernel's trampoline. */
struct unwind_return_probe {
	uint64_t address; /* where it returns to */
	uint64_t stack;	  /* where the replaced return address is */
	uint64_t next;	  /* cursor of the call around it */
};
#define UNWIND_RETURN_PROBE_NEWEST 0 /* cursors: these two, or what `next` says */
#define UNWIND_RETURN_PROBE_NONE 1

/* ---- To be defined by whoever includes this ---- */

/* Copies from the walked process's memory: 0, or negative. */
static UNWIND_ALWAYS_INLINE long unwind_read_user(void *destination, uint32_t bytes, uint64_t address);
/* NULL when not known, or out of range. */
static UNWIND_ALWAYS_INLINE struct unwind_process *unwind_process_of(uint32_t tgid);
static UNWIND_ALWAYS_INLINE struct unwind_mapping *unwind_mapping_at(uint32_t index);
static UNWIND_ALWAYS_INLINE struct unwind_row *unwind_row_at(uint32_t index);
static UNWIND_ALWAYS_INLINE struct unwind_rule *unwind_rule_at(uint32_t index);
/* 0, or negative when there is none. bpf/kernel.h has these two for the kernel. */
static UNWIND_ALWAYS_INLINE long unwind_return_probe(uint64_t cursor, struct unwind_return_probe *ret_probe);
static UNWIND_ALWAYS_INLINE long unwind_uprobe_address(uint64_t *ret_address);

#ifdef __bpf__
#define unwind_loop(times, callback, context) bpf_loop(times, callback, context, 0)
#else
static inline void unwind_loop(uint32_t times, long (*callback)(uint32_t, void *), void *context)
{
	for (uint32_t i = 0; i < times; i++)
		if (callback(i, context))
			return;
}
#endif

/* ---- The walk ---- */

/* DWARF numbers, x86-64. */
enum unwind_register {
	UNWIND_REGISTER_BX = 3,
	UNWIND_REGISTER_BP = 6,
	UNWIND_REGISTER_SP = 7,
	UNWIND_REGISTER_PC = 16,
};

/* What the callbacks of loops are given; the kernel wants that to be on the stack. */
struct unwind_context {
	struct unwind_walk *walk;
};

static UNWIND_ALWAYS_INLINE long unwind_end(struct unwind_walk *walk, uint32_t stop)
{
	walk->stop = stop;
	walk->stop_mapping = walk->state.mapping_index;
	return 1;
}

#if !defined(__TARGET_ARCH_arm64)

/* Both searches have no branch that depends on what they find: it would double the verifier's work at each
 * halving, and be mispredicted half the time. 1 when a <= b; both below 2^63. */
static UNWIND_ALWAYS_INLINE uint32_t unwind_at_most(uint64_t a, uint64_t b)
{
	uint64_t difference = a - b - 1;
	__asm__ volatile("" : "+r"(difference)); /* else the compiler makes a branch of it */
	return (uint32_t)(difference >> 63);
}

/* Index of the mapping that contains `address`, of `count` mappings from `first` on. */
UNWIND_GLOBAL uint32_t unwind_mapping_index(uint32_t first, uint32_t count, uint64_t address)
{
	struct unwind_mapping *mapping;
	if (address >> 63)
		return UNWIND_NONE;
	for (int i = 0; i < MAPPING_SEARCH_STEPS_MAX && count > 1; i++) {
		uint32_t half = count / 2;
		mapping = unwind_mapping_at(first + half);
		if (!mapping)
			return UNWIND_NONE;
		first += half & (0 - unwind_at_most(mapping->start, address));
		count -= half;
	}
	mapping = unwind_mapping_at(first);
	if (count != 1 || !mapping || address < mapping->start || address >= mapping->end)
		return UNWIND_NONE;
	return first;
}

/* Index of the rule for `pc`, of `count` rows from `first` on. */
UNWIND_GLOBAL uint32_t unwind_rule_index(uint32_t first, uint32_t count, uint32_t pc)
{
	struct unwind_row *row;
	for (int i = 0; i < UNWIND_SEARCH_STEPS_MAX && count > 1; i++) {
		uint32_t half = count / 2;
		row = unwind_row_at(first + half);
		if (!row)
			return UNWIND_NONE;
		first += half & (0 - unwind_at_most(row->pc, pc));
		count -= half;
	}
	row = unwind_row_at(first);
	return count == 1 && row && row->pc <= pc ? row->rule : UNWIND_NONE;
}

/* Makes state->mapping the one that contains `address`; 0, or -1 when none does. */
static UNWIND_ALWAYS_INLINE int unwind_find_mapping(struct unwind_walk *walk, uint64_t address)
{
	struct unwind_state *state = &walk->state;
	if (state->mapping_index != UNWIND_NONE && address >= state->mapping.start &&
	    address < state->mapping.end)
		return 0;
	uint32_t index = unwind_mapping_index(state->mappings_first, state->mappings_count, address);
	state->mapping_index = UNWIND_NONE;
	if (index == UNWIND_NONE)
		return -1;
	struct unwind_mapping *mapping = unwind_mapping_at(index);
	if (!mapping)
		return -1;
	state->mapping = *mapping;
	state->mapping_index = index;
	return 0;
}

/* A return probe that waits for a return address at or above `slot`, at most at `slot_last`: its caller
 * becomes the state's pc, its place the state's sp. 0, or -1 when there is none. */
static UNWIND_ALWAYS_INLINE int unwind_follow_return_probe(struct unwind_walk *walk, uint64_t slot,
							   uint64_t slot_last)
{
	struct unwind_state *state = &walk->state;
	struct unwind_return_probe probe = { 0 };
	/* Those below the slot are of calls that were left by longjmp(), or of a second probe on one call. */
	for (int i = 0; i < UNWIND_RETURN_PROBES_MAX; i++) {
		if (unwind_return_probe(state->return_probe, &probe) < 0 || probe.stack > slot_last)
			return -1;
		state->return_probe = probe.next;
		if (probe.stack < slot)
			continue;
		state->pc = probe.address;
		state->sp = probe.stack + 8;
		return 0;
	}
	return -1;
}

/* Reads state->word. Callers are at higher addresses, so what follows is read, too, and asked for next. */
static UNWIND_NOINLINE int unwind_read_word(struct unwind_walk *walk, uint64_t address)
{
	struct unwind_state *state = &walk->state;
	uint64_t offset = address - state->window_at;
	if (offset > sizeof state->window - 8 || offset % 8) {
		if (unwind_read_user(state->window, sizeof state->window, address) < 0) {
			state->window_at = UNWIND_NOWHERE; /* its end may not be there */
			return unwind_read_user(&state->word, sizeof state->word, address) < 0 ? -1 : 0;
		}
		state->window_at = address;
		offset = 0;
	}
	state->word = state->window[offset / 8 % UNWIND_WINDOW_WORDS];
	return 0;
}

/* ---- Code without rows: search the stack for a return address ---- */

/* Whether the 8 bytes before a return address end with a call: e8 rel32, or ff /2 in each of its lengths
 * (Intel SDM volume 2, "CALL"). `code`: those bytes, the last one in the highest byte. */
static UNWIND_ALWAYS_INLINE int unwind_ends_with_call(uint64_t code, uint64_t address, int64_t *ret_target)
{
	uint8_t last = (uint8_t)(code >> 56), last2 = (uint8_t)(code >> 48), last3 = (uint8_t)(code >> 40),
		last4 = (uint8_t)(code >> 32), last5 = (uint8_t)(code >> 24), last6 = (uint8_t)(code >> 16),
		last7 = (uint8_t)(code >> 8);
	if (last5 == 0xe8) {
		*ret_target = (int64_t)address + (int32_t)(code >> 32);
		return 1;
	}
	*ret_target = 0;
	/* Behind ff: mod (2 bits), 2 for call (3 bits), register or memory (3 bits; 4: one more byte). */
	if (last2 == 0xff && (last & 0x38) == 0x10)
		return (last & 0xc0) == 0xc0 || ((last & 0xc0) == 0 && (last & 7) != 4 && (last & 7) != 5);
	if (last3 == 0xff && ((last2 & 0xf8) == 0x50 || last2 == 0x14))
		return last2 != 0x54;
	if (last4 == 0xff && last3 == 0x54)
		return 1;
	if (last6 == 0xff && ((last5 & 0xf8) == 0x90 || last5 == 0x15))
		return last5 != 0x94;
	return last7 == 0xff && (last6 == 0x94 || last6 == 0x14);
}

/* Whether there are rows for the code before `address`, or it is generated. */
static UNWIND_ALWAYS_INLINE int unwind_is_known_code(uint32_t mapping_index, uint64_t address)
{
	struct unwind_mapping *mapping = unwind_mapping_at(mapping_index);
	if (!mapping)
		return 0;
	if (mapping->kind == MAPPING_JIT)
		return 1;
	uint64_t pc = address - 1 - mapping->bias;
	if (!mapping->rows_count || pc >= UNWIND_NONE)
		return 0;
	uint32_t index = unwind_rule_index(mapping->rows_first, mapping->rows_count, (uint32_t)pc);
	struct unwind_rule *rule = index == UNWIND_NONE ? 0 : unwind_rule_at(index);
	return rule && rule->cfa != UNWIND_CFA_GAP;
}

enum unwind_call { UNWIND_NO_CALL, UNWIND_CALL_IN_GAP, UNWIND_CALL_IN_KNOWN_CODE };

/* Whether `word` is where a call in one of `count` mappings from `first` on returns to. */
UNWIND_GLOBAL int unwind_is_return_address(uint32_t first, uint32_t count, uint64_t word)
{
	uint64_t code = 0;
	int64_t target = 0;
	/* 8 bytes before it, too: no code begins a mapping with a call that short. */
	uint32_t index = unwind_mapping_index(first, count, word - 8);
	if (index == UNWIND_NONE)
		return UNWIND_NO_CALL;
	if (unwind_read_user(&code, sizeof code, word - 8) < 0 || !unwind_ends_with_call(code, word, &target))
		return UNWIND_NO_CALL;
	if (target != 0 && unwind_mapping_index(first, count, (uint64_t)target) == UNWIND_NONE)
		return UNWIND_NO_CALL;
	return unwind_is_known_code(index, word) ? UNWIND_CALL_IN_KNOWN_CODE : UNWIND_CALL_IN_GAP;
}

static long unwind_scan_chunk(uint32_t index, void *context)
{
	struct unwind_walk *walk = ((struct unwind_context *)context)->walk;
	struct unwind_state *state = &walk->state;
	(void)index;
	if (unwind_read_user(state->scan_words, sizeof state->scan_words, state->scan_address) < 0)
		return unwind_end(walk, UNWIND_STOP_READ);
	for (int i = 0; i < UNWIND_SCAN_CHUNK_WORDS; i++) {
		uint64_t word = state->scan_words[i], above = word - state->scan_address;
		int call = UNWIND_NO_CALL;
		if (word - 8 >= state->code_start && word < state->code_end)
			call = unwind_is_return_address(state->mappings_first, state->mappings_count, word);
		if (call == UNWIND_CALL_IN_KNOWN_CODE) {
			state->scan_found = word;
			return 1;
		}
		if (call == UNWIND_CALL_IN_GAP && !state->scan_second) {
			state->scan_second = word;
			state->scan_second_address = state->scan_address;
		}
		if (above < UNWIND_STACK_SPAN && word % 8 == 0)
			state->scan_bp = word;
		state->scan_address += 8;
	}
	return 0;
}

/* From code without rows to its caller. Stale words in the function's own part of the stack are the risk:
 * assembler code keeps the registers it saves right below the return address, and so has few; but some are
 * from other assembler code of the same library, which called before. So the nearest caller that has rows is
 * taken, over the head of assembler code that calls assembler code. */
static UNWIND_ALWAYS_INLINE long unwind_scan_stack(struct unwind_walk *walk)
{
	struct unwind_state *state = &walk->state;
	struct unwind_context context = { .walk = walk };
	struct unwind_mapping *first = unwind_mapping_at(state->mappings_first);
	struct unwind_mapping *last = unwind_mapping_at(state->mappings_first + state->mappings_count - 1);
	unwind_end(walk, UNWIND_STOP_NO_ROW);
	if (!first || !last)
		return 1;
	state->code_start = first->start;
	state->code_end = last->end;
	state->scan_address = state->sp;
	state->scan_found = state->scan_second = 0;
	state->scan_bp = 0;
	unwind_loop(UNWIND_SCAN_WORDS_MAX / UNWIND_SCAN_CHUNK_WORDS, unwind_scan_chunk, &context);
	if (!state->scan_found) {
		if (!state->scan_second)
			return 1;
		state->scan_found = state->scan_second;
		state->scan_address = state->scan_second_address;
	}
	/* Assembler code uses bp for other things; what it saved of its caller's is among the words below. */
	if (state->bp - state->scan_address > UNWIND_STACK_SPAN && state->scan_bp > state->scan_address)
		state->bp = state->scan_bp;
	state->pc = state->scan_found;
	state->sp = state->scan_address + 8;
	state->exact = 0;
	walk->scanned++;
	return 0;
}

/* ---- One frame ---- */

/* The kernel's struct rt_sigframe is at sp: ucontext (40 bytes before the registers), then r8 to r15, rdi,
 * rsi, rbp, rbx, rdx, rax, rcx, rsp, rip (struct sigcontext of asm/sigcontext.h). */
static UNWIND_ALWAYS_INLINE long unwind_signal_frame(struct unwind_walk *walk)
{
	struct unwind_state *state = &walk->state;
	uint64_t words[9];
	if (unwind_read_user(&walk->registers[8], 8 * sizeof(uint64_t), state->sp + 40) < 0 ||
	    unwind_read_user(words, sizeof words, state->sp + 104) < 0)
		return unwind_end(walk, UNWIND_STOP_READ);
	walk->registers[0] = words[5];
	walk->registers[1] = words[4];
	walk->registers[2] = words[6];
	walk->registers[3] = words[3];
	walk->registers[4] = words[1];
	walk->registers[5] = words[0];
	walk->registers[UNWIND_REGISTER_BP] = state->bp = words[2];
	walk->registers[UNWIND_REGISTER_SP] = state->sp = words[7];
	walk->registers[UNWIND_REGISTER_PC] = state->pc = words[8];
	state->bx_at = 0;
	state->exact = 1;
	return 0;
}

/* By frame pointer. `doubt`: in code of which nothing is known what is found must be plausible, else the walk
 * ends for this reason; UNWIND_STOP_END: the code keeps frame pointers by convention. */
static UNWIND_ALWAYS_INLINE long unwind_frame_pointer(struct unwind_walk *walk, enum unwind_stop doubt)
{
	struct unwind_state *state = &walk->state;
	uint64_t bp = state->bp, caller_bp;
	if (doubt && (bp < state->sp || bp - state->sp > UNWIND_STACK_SPAN || bp % 8))
		return unwind_end(walk, doubt);
	if (bp == 0)
		return unwind_end(walk, UNWIND_STOP_END);
	if (unwind_read_word(walk, bp) < 0)
		return unwind_end(walk, doubt ? doubt : UNWIND_STOP_READ);
	caller_bp = state->word;
	if (unwind_read_word(walk, bp + 8) < 0)
		return unwind_end(walk, doubt ? doubt : UNWIND_STOP_READ);
	/* A file's code without rows may use the register for anything: there must be a call before the
	 * address. */
	if (doubt == UNWIND_STOP_NO_ROW &&
	    !unwind_is_return_address(state->mappings_first, state->mappings_count, state->word))
		return unwind_end(walk, doubt);
	if (doubt && unwind_mapping_index(state->mappings_first, state->mappings_count, state->word - 1) ==
			     UNWIND_NONE)
		return unwind_end(walk, doubt);
	if (state->word == 0)
		return unwind_end(walk, UNWIND_STOP_END);
	if (caller_bp == bp)
		return unwind_end(walk, UNWIND_STOP_STUCK);
	state->bp = caller_bp;
	state->pc = state->word;
	state->sp = bp + 16;
	state->exact = 0;
	return 0;
}

/* The canonical frame address by the rule; 0, or -1 with the walk's end said. */
static UNWIND_ALWAYS_INLINE int unwind_frame_address(struct unwind_walk *walk, const struct unwind_rule *rule,
						     uint64_t *ret_cfa)
{
	struct unwind_state *state = &walk->state;
	uint64_t base = state->sp;
	uint32_t number = rule->cfa_register;
	switch (rule->cfa) {
	case UNWIND_CFA_BP:
	case UNWIND_CFA_DEREF_BP:
		base = state->bp;
		if (base == UNWIND_BP_UNKNOWN)
			return unwind_end(walk, UNWIND_STOP_UNSUPPORTED), -1;
		break;
	case UNWIND_CFA_REGISTER:
		if (number >= UNWIND_REGISTERS)
			return unwind_end(walk, UNWIND_STOP_UNSUPPORTED), -1;
		base = walk->registers[number];
		/* glibc's lazy binding keeps its frame's address in rbx, which functions save before use. */
		if (number == UNWIND_REGISTER_BX && state->bx_at &&
		    unwind_read_user(&base, sizeof base, state->bx_at) < 0)
			return unwind_end(walk, UNWIND_STOP_UNSUPPORTED), -1;
		break;
	case UNWIND_CFA_PLT:
		*ret_cfa = base + 8 + ((state->pc & 15) >= (uint32_t)rule->cfa_offset ? 8 : 0);
		return 0;
	case UNWIND_CFA_SP:
	case UNWIND_CFA_DEREF_SP:
		break;
	default:
		return unwind_end(walk, UNWIND_STOP_UNSUPPORTED), -1;
	}
	base += (uint64_t)(int64_t)rule->cfa_offset;
	if (rule->cfa == UNWIND_CFA_DEREF_BP || rule->cfa == UNWIND_CFA_DEREF_SP) {
		if (unwind_read_word(walk, base) < 0)
			return unwind_end(walk, UNWIND_STOP_READ), -1;
		base = state->word + (uint64_t)(int64_t)rule->cfa_add;
	}
	*ret_cfa = base;
	return 0;
}

static UNWIND_ALWAYS_INLINE long unwind_by_row(struct unwind_walk *walk, const struct unwind_rule *rule)
{
	struct unwind_state *state = &walk->state;
	uint64_t cfa = 0, bp = state->bp, pc;
	if (unwind_frame_address(walk, rule, &cfa) < 0)
		return 1;
	/* A frame takes at least its return address, unless that is in a register. */
	if (cfa < state->sp || (cfa == state->sp && !rule->return_in_register))
		return unwind_end(walk, UNWIND_STOP_STUCK);
	if (rule->bp == UNWIND_BP_UNDEFINED) {
		bp = UNWIND_BP_UNKNOWN;
	} else if (rule->bp != UNWIND_BP_SAME) {
		uint64_t from = rule->bp == UNWIND_BP_AT_BP ? bp : cfa;
		if (unwind_read_word(walk, from + (uint64_t)(int64_t)rule->bp_offset) < 0)
			return unwind_end(walk, UNWIND_STOP_READ);
		bp = state->word;
	}
	if (rule->return_in_register) {
		uint32_t number = rule->return_in_register - 1u;
		if (!state->exact || number >= UNWIND_REGISTERS)
			return unwind_end(walk, UNWIND_STOP_UNSUPPORTED);
		pc = walk->registers[number];
	} else {
		if (unwind_read_word(walk, cfa - 8) < 0)
			return unwind_end(walk, UNWIND_STOP_READ);
		pc = state->word;
	}
	/* A register that calls may change, but assembler code that calls only its own does not change
	 * (BoringSSL's AES-GCM): then there is a return address. */
	if (rule->cfa == UNWIND_CFA_REGISTER && !state->exact &&
	    (cfa - state->sp > UNWIND_STACK_SPAN ||
	     !unwind_is_return_address(state->mappings_first, state->mappings_count, pc)))
		return unwind_end(walk, UNWIND_STOP_UNSUPPORTED);
	if (rule->bx_offset)
		state->bx_at = rule->bx_offset == 1 ? 1 : cfa + (uint64_t)(int64_t)rule->bx_offset;
	state->pc = pc;
	state->sp = cfa;
	state->bp = bp;
	state->exact = 0;
	return 0;
}

/* Innermost, in the kernel's page for probes: a return trampoline (struct arch_uprobe code of arch/x86: push
 * rax, push rcx, push r11, mov, syscall, pop r11, pop rcx, ret; a single int3 before Linux 6.11) in the first
 * slot of 128 bytes, behind it copies of probed instructions, which are executed there. */
static UNWIND_ALWAYS_INLINE long unwind_probe_page(struct unwind_walk *walk)
{
	struct unwind_state *state = &walk->state;
	uint64_t offset = state->pc - state->mapping.start, at = state->sp;
	if (offset >= 128) { /* goes on where the instruction belongs */
		uint64_t address = 0;
		if (unwind_uprobe_address(&address) < 0 || address - state->mapping.start < 4096)
			return unwind_end(walk, UNWIND_STOP_TRAMPOLINE);
		state->pc = address;
		walk->frame_count--;
		return 0;
	}
	/* During the system call pc is behind it (13). Until the kernel has taken the call off its list, the
	 * third word on the stack is still the saved rax; then it is the return address. */
	int found = offset <= 13 && unwind_follow_return_probe(walk, at - 8, at + 16) == 0;
	if (!found && offset < 13)
		return unwind_end(walk, UNWIND_STOP_TRAMPOLINE);
	if (!found) {
		at += offset < 15 ? 16 : offset < 16 ? 8 : 0;
		if (unwind_read_user(&state->pc, sizeof state->pc, at) < 0)
			return unwind_end(walk, UNWIND_STOP_READ);
		state->sp = at + 8;
	}
	state->exact = 0;
	return 0;
}

static UNWIND_ALWAYS_INLINE long unwind_in_object(struct unwind_walk *walk, uint64_t pc)
{
	struct unwind_state *state = &walk->state;
	uint64_t address = pc - state->mapping.bias;
	uint32_t rule_index = UNWIND_NONE;
	if (state->mapping.rows_count && address < UNWIND_NONE)
		rule_index = unwind_rule_index(state->mapping.rows_first, state->mapping.rows_count,
					       (uint32_t)address);
	struct unwind_rule *rule = rule_index == UNWIND_NONE ? 0 : unwind_rule_at(rule_index);
	uint32_t cfa = rule ? rule->cfa : UNWIND_CFA_GAP;
	if (cfa == UNWIND_CFA_END)
		return unwind_end(walk, UNWIND_STOP_END);
	if (cfa == UNWIND_CFA_SIGNAL)
		return unwind_signal_frame(walk);
	if (cfa == UNWIND_CFA_FRAME_POINTER)
		return unwind_frame_pointer(walk, UNWIND_STOP_END);
	if (rule && cfa != UNWIND_CFA_GAP && cfa != UNWIND_CFA_UNSUPPORTED)
		return unwind_by_row(walk, rule);
	if (state->exact)
		return unwind_scan_stack(walk);
	/* Between generated code and its program lies code that the same generator wrote into the file (V8's
	 * builtins), with frame pointers and without rows. */
	return cfa == UNWIND_CFA_GAP ? unwind_frame_pointer(walk, UNWIND_STOP_NO_ROW)
				     : unwind_end(walk, UNWIND_STOP_UNSUPPORTED);
}

/* Puts down the frame at hand and goes to its caller; 1 at the end. */
static long unwind_step(uint32_t index, void *context)
{
	struct unwind_walk *walk = ((struct unwind_context *)context)->walk;
	struct unwind_state *state = &walk->state;
	(void)index;
	/* A return address that begins a page may be the trampoline's: then what it stands for is in the
	 * task's list of return probes, by its place on the stack. The page may be younger than the mappings
	 * known here. */
	if (!state->exact && state->pc % 4096 == 0)
		unwind_follow_return_probe(walk, state->sp - 8, state->sp - 8);
	uint32_t count = walk->frame_count;
	if (count >= UNWIND_FRAMES_MAX)
		return unwind_end(walk, UNWIND_STOP_FRAMES_MAX);
	uint64_t pc = state->exact ? state->pc : state->pc - 1;
	int known = unwind_find_mapping(walk, pc) == 0;
	if (!known &&
	    state->pc < 4096) /* a call through a null pointer, or the end of something that is no stack */
		return unwind_end(walk, UNWIND_STOP_NO_MAPPING);
	walk->frames[count] = state->pc;
	walk->frame_count = count + 1;
	if (!known)
		return unwind_end(walk, UNWIND_STOP_NO_MAPPING);
	if (state->mapping.kind == MAPPING_JIT)
		return unwind_frame_pointer(walk, UNWIND_STOP_JIT);
	if (state->mapping.kind == MAPPING_UPROBES)
		return unwind_probe_page(walk);
	return unwind_in_object(walk, pc);
}

#else /* arm64: every function keeps frame pointers by the platform's convention (AAPCS64 6.4.6) */

static long unwind_step(uint32_t index, void *context)
{
	struct unwind_walk *walk = ((struct unwind_context *)context)->walk;
	struct unwind_state *state = &walk->state;
	uint64_t words[2] = { 0 };
	uint32_t count = walk->frame_count;
	(void)index;
	if (count >= UNWIND_FRAMES_MAX)
		return unwind_end(walk, UNWIND_STOP_FRAMES_MAX);
	walk->frames[count] = state->pc;
	walk->frame_count = count + 1;
	if (state->bp == 0)
		return unwind_end(walk, UNWIND_STOP_END);
	if (state->bp < state->sp || state->bp % 8)
		return unwind_end(walk, UNWIND_STOP_STUCK);
	if (unwind_read_user(words, sizeof words, state->bp) < 0)
		return unwind_end(walk, UNWIND_STOP_READ);
	state->sp = state->bp + 16;
	state->bp = words[0];
	state->pc = words[1] & ((UINT64_C(1) << 48) - 1); /* without the bits of pointer authentication */
	return state->pc ? 0 : unwind_end(walk, UNWIND_STOP_END);
}

#endif

/* Walks from walk->registers to the root of the stack of process `tgid`; sets all the rest of `walk`. */
static UNWIND_NOINLINE void unwind_stack(struct unwind_walk *walk, uint32_t tgid)
{
	struct unwind_state *state = &walk->state;
	struct unwind_context context = { .walk = walk };
	struct unwind_process *process = unwind_process_of(tgid);
	state->pc = walk->registers[UNWIND_REGISTER_PC];
	state->sp = walk->registers[UNWIND_REGISTER_SP];
	state->bp = walk->registers[UNWIND_REGISTER_BP];
	state->bx_at = 0;
	state->window_at = UNWIND_NOWHERE;
	state->return_probe = UNWIND_RETURN_PROBE_NEWEST;
	state->mapping_index = UNWIND_NONE;
	state->exact = 1;
	walk->frame_count = 0;
	walk->scanned = 0;
	walk->stop = UNWIND_STOP_FRAMES_MAX;
	walk->stop_mapping = UNWIND_NONE;
	if (state->pc == 0 && state->sp == 0) { /* a worker thread of the kernel that belongs to a process */
		walk->stop = UNWIND_STOP_NO_USER;
		return;
	}
	if (!process) {
		walk->frames[0] = state->pc;
		walk->frame_count = 1;
		walk->stop = UNWIND_STOP_NO_PROCESS;
		return;
	}
	state->mappings_first = process->mappings_first;
	state->mappings_count = process->mappings_count;
	unwind_loop(UNWIND_FRAMES_MAX + 1, unwind_step, &context);
}

#endif
