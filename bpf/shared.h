/* SPDX-License-Identifier: Apache-2.0
 *
 * What the eBPF programs and the profiler in user space both read and write: plain data with the same
 * layout on both sides. Included by bpf/(any).bpf.c, by src/profiler, and by the user-space tests of
 * the unwinder. No pointers, no bit fields, only sized types.
 */
#ifndef BPF_SHARED_H
#define BPF_SHARED_H

#ifdef __bpf__
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
typedef __s16 int16_t;
typedef __s32 int32_t;
typedef __s64 int64_t;
#else
#include <stdint.h>
#endif

/* Limits, each with its reason. */
#define UNWIND_FRAMES_MAX 127 /* what perf and other profilers keep; deeper stacks lose their root */
#define KERNEL_FRAMES_MAX 64  /* kernel stacks are 16 KB; deeper ones were never seen */
#define UNWIND_SEARCH_STEPS_MAX                                                                              \
	23			    /* halvings: 8 M rows in one object, the largest seen (Chromium) has 3 M \
				     */
#define MAPPING_SEARCH_STEPS_MAX 12 /* halvings: 4096 executable mappings in one process */
#define UNWIND_SCAN_WORDS_MAX                                                                                \
	256 /* how far up a stack without unwind rows is searched for a return address */
/* Of the stack, read at once: a read costs half a frame, whatever its size. */
#define UNWIND_WINDOW_WORDS 32
#define UNWIND_SCAN_CHUNK_WORDS 8 /* read at once; a multiple of it is UNWIND_SCAN_WORDS_MAX */
#define STAGE_SLOTS_MAX 64	  /* one per worker; as many as a collector has streams at most */
#define COMM_BYTES 16		  /* TASK_COMM_LEN of the kernel */
#define INTERPRETER_FRAMES_MAX 32 /* calls of a program; of deeper recursion the innermost are kept */
#define INTERPRETER_DEPTH_MAX 7	  /* coroutines in coroutines: STAGE_INTERPRETERS_MAX of src/base/stage.h */

/* ---- Unwind rows: how to get from a frame to its caller. See src/profiler/rows.h for where they come from.
 * ---- */

/* Holds from `pc` (address within the object's file: pc - bias) up to the next row's pc. */
struct unwind_row {
	uint32_t pc;
	uint32_t rule; /* index into the table of rules */
};

enum unwind_cfa {
	UNWIND_CFA_GAP, /* no unwind information here (assembler, PLT without rows): scan the stack if leaf */
	UNWIND_CFA_END, /* the outermost frame: the return address is undefined (_start, clone) */
	UNWIND_CFA_SP,	/* CFA = sp + cfa_offset */
	UNWIND_CFA_BP,	/* CFA = bp + cfa_offset */
	UNWIND_CFA_PLT, /* CFA = sp + 8 + ((pc & 15) >= cfa_offset) * 8, as GNU ld writes it */
	UNWIND_CFA_SIGNAL,   /* a signal frame: all registers are in the rt_sigframe at sp */
	UNWIND_CFA_DEREF_SP, /* CFA = *(sp + cfa_offset) + cfa_add */
	UNWIND_CFA_DEREF_BP, /* CFA = *(bp + cfa_offset) + cfa_add */
	UNWIND_CFA_REGISTER, /* CFA = register[cfa_register] + cfa_offset; known in the innermost frame, a
			      * guess elsewhere
			      */
	UNWIND_CFA_FRAME_POINTER, /* no rows, but frame pointers by convention (Go): the caller's bp at bp,
				   * its pc at bp + 8; 0 in bp is the end, and another stack may follow */
	UNWIND_CFA_UNSUPPORTED,
};

enum unwind_bp {
	UNWIND_BP_SAME,
	UNWIND_BP_AT_CFA, /* saved at CFA + bp_offset */
	UNWIND_BP_AT_BP,  /* saved at bp + bp_offset (GCC's realigned frames: DW_CFA_expression) */
	UNWIND_BP_UNDEFINED,
};

struct unwind_rule {
	int32_t cfa_offset;	    /* bytes; 32 bits, because decoders keep 87 KB states on the stack */
	int32_t cfa_add;	    /* bytes, for DEREF */
	int16_t bp_offset;	    /* bytes; saved registers are near to the CFA */
	int16_t bx_offset;	    /* rbx is saved at CFA + bx_offset; 0: as it was; 1: unknown */
	uint8_t cfa;		    /* enum unwind_cfa */
	uint8_t bp;		    /* enum unwind_bp */
	uint8_t cfa_register;	    /* DWARF number, for UNWIND_CFA_REGISTER */
	uint8_t return_in_register; /* 0: the return address is at CFA - 8; else DWARF number + 1 (vfork: rdi)
				     */
};

/* One executable mapping of a process: what is mapped at [start, end). Sorted by start per process. */
struct unwind_mapping {
	uint64_t start;
	uint64_t end;
	uint64_t bias;	     /* run-time address less the address in the object's file */
	uint32_t rows_first; /* into the table of rows */
	uint32_t rows_count; /* 0: an object without rows */
	uint32_t kind;	     /* enum mapping_kind */
	uint32_t object_id;
};

enum mapping_kind {
	MAPPING_OBJECT,	 /* an ELF file, or the vdso */
	MAPPING_UPROBES, /* the kernel's [uprobes] page: return trampolines */
	MAPPING_JIT,	 /* anonymous executable memory */
};

/* By tgid: which part of the table of mappings is this process's. */
struct unwind_process {
	uint32_t mappings_first;
	uint32_t mappings_count;
	uint32_t generation; /* grows when the mappings were read again */
	uint32_t spare;
};

enum unwind_stop {
	UNWIND_STOP_END,	 /* reached the thread's start function: complete */
	UNWIND_STOP_FRAMES_MAX,	 /* deeper than UNWIND_FRAMES_MAX */
	UNWIND_STOP_NO_PROCESS,	 /* mappings of this process are not known yet */
	UNWIND_STOP_NO_MAPPING,	 /* a pc in no executable mapping that is known */
	UNWIND_STOP_NO_ROW,	 /* a caller in code without unwind information, or the scan found nothing */
	UNWIND_STOP_UNSUPPORTED, /* a rule that is not supported, or a register that is not known here */
	UNWIND_STOP_READ,	 /* the stack could not be read (paged out, or not a stack) */
	UNWIND_STOP_STUCK,	 /* the CFA did not grow */
	UNWIND_STOP_JIT,	 /* generated code without frame pointers */
	UNWIND_STOP_TRAMPOLINE,	 /* in the kernel's uprobe trampoline, and its list did not help */
	UNWIND_STOP_NO_USER,	 /* a kernel thread, or a task that is exiting: there is no user stack */
	UNWIND_STOP_COUNT,
};

/* Registers of the innermost frame, by DWARF number (x86-64: 0 rax 1 rdx 2 rcx 3 rbx 4 rsi 5 rdi 6 rbp 7 rsp
 * 8..15 r8..r15 16 rip). */
#define UNWIND_REGISTERS 17

/* The frame at hand, and how far a search has come: bpf/unwind.h's own. */
struct unwind_state {
	uint64_t pc, sp, bp;
	uint64_t bx_at;		       /* where the caller's rbx is saved; 0: in its register; 1: unknown */
	uint64_t return_probe;	       /* cursor: those before have been used */
	struct unwind_mapping mapping; /* of the frame before: most callers are in the same one */
	uint32_t mapping_index;	       /* ~0: `mapping` is nothing yet */
	uint32_t mappings_first, mappings_count;
	uint32_t exact;	    /* innermost or interrupted: pc is where it executes, registers are known */
	uint64_t word;	    /* read last */
	uint64_t window_at; /* where `window` is from; ~0: nowhere */
	uint64_t window[UNWIND_WINDOW_WORDS];
	uint64_t code_start, code_end; /* all mappings of the process are in between */
	uint64_t scan_address;	       /* of the next words */
	uint64_t scan_found;	       /* return address, 0: none yet */
	uint64_t scan_second;	       /* one in code without rows itself, 0: none; and where it is */
	uint64_t scan_second_address;
	uint64_t scan_bp; /* a word that may be a saved frame pointer; 0: none */
	uint64_t scan_words[UNWIND_SCAN_CHUNK_WORDS];
};

/* A walk: registers go in, frames come out. Lives in per-CPU memory: it is larger than a BPF stack, and what
 * the verifier cannot follow there costs it no time. */
struct unwind_walk {
	uint64_t registers[UNWIND_REGISTERS];
	uint64_t frames[UNWIND_FRAMES_MAX +
			1]; /* run-time addresses, innermost first; callers: return address */
	uint32_t frame_count;
	uint32_t stop;	       /* enum unwind_stop */
	uint32_t scanned;      /* frames that were found by scanning the stack */
	uint32_t stop_mapping; /* index into the table of mappings where it stopped; ~0: none */
	struct unwind_state state;
};

/* ---- Samples ---- */

enum record_kind {
	RECORD_CPU,	 /* weight: nanoseconds of CPU */
	RECORD_BLOCKED,	 /* weight: nanoseconds asleep */
	RECORD_RUNQUEUE, /* weight: nanoseconds runnable but not running */
	RECORD_FAULT,	 /* weight: page faults */
	RECORD_MAPPINGS, /* a process whose mappings must be read (again); weight 1: it waits for SIGCONT */
	RECORD_EXEC,	 /* a followed process has executed another program; weight as above */
	RECORD_FORK,	 /* tid: the child's tgid */
	RECORD_EXIT,	 /* a followed process (not thread) has ended */
	RECORD_MAP,	 /* memory was mapped at `address`, `weight` bytes; count 1: by an allocator, for its
			    blocks */
	RECORD_UNMAP,
	RECORD_BRK, /* address: the new break */
};

#define RECORD_FRAMES_MAX (KERNEL_FRAMES_MAX + UNWIND_FRAMES_MAX + INTERPRETER_FRAMES_MAX)

struct record {
	uint32_t kind; /* enum record_kind */
	uint32_t tgid;
	uint32_t tid;
	uint32_t stage;	  /* of the slot of this thread, + 1; 0: the thread has no slot */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t weight;
	uint64_t count;	  /* samples that this record stands for */
	uint64_t address; /* RECORD_MAP, _UNMAP, _BRK: where; weight: bytes */
	uint32_t stop;	  /* enum unwind_stop */
	uint16_t scanned;
	uint16_t interpreter_frames;
	uint16_t user_frames;
	uint16_t kernel_frames;
	uint32_t generation; /* of the process's mappings */
	char comm[COMM_BYTES];
	uint64_t frames[RECORD_FRAMES_MAX]; /* kernel_frames, user_frames, interpreter_frames; each of them
					       innermost first */
};

/* ---- Interpreter ---- */

/* Where Lua keeps what it is calling; the target says so (src/program/interpreter.h has how it knows). All
 * are offsets in bytes, but the tags. A call is told by one word: of a function in Lua the place in its code
 * where it is, of one in C the function's address. */
struct interpreter_layout {
	uint32_t is_known;
	uint32_t state_call;	 /* lua_State: the innermost call */
	uint32_t call_previous;	 /* CallInfo: of the caller; 0 in the outermost */
	uint32_t call_function;	 /* CallInfo: where the called value is, a TValue */
	uint32_t call_position;	 /* CallInfo: in the code, behind the instruction that is executed */
	uint32_t value_tag;	 /* TValue: one byte, which kind of value it is; the value itself is at 0 */
	uint32_t closure_native; /* CClosure: the C function */
	uint32_t tag_lua, tag_native, tag_native_closure;
};

struct interpreter_walk {
	uint64_t states[INTERPRETER_DEPTH_MAX]; /* outermost first */
	uint64_t call;				/* at hand; 0: a state's end */
	uint32_t depth;				/* states that are left */
	uint32_t count;
	uint64_t words[INTERPRETER_FRAMES_MAX];
};

/* ---- Heap ---- */

struct heap_stack_key {
	uint64_t hash; /* of the frames and their count */
	uint32_t tgid;
	uint32_t spare;
};

struct heap_stack {
	uint32_t frame_count;
	uint32_t stop; /* enum unwind_stop */
	uint32_t generation;
	uint32_t scanned;
	uint64_t frames[UNWIND_FRAMES_MAX];
};

/* What is counted together. */
struct heap_site {
	uint64_t stack_hash;
	uint32_t tgid;
	uint32_t stage;	    /* + 1; 0: none */
	uint32_t allocator; /* enum heap_allocator */
	uint32_t spare;
};

enum heap_allocator {
	HEAP_MALLOC,
	HEAP_CALLOC,
	HEAP_REALLOC,
	HEAP_REALLOCARRAY,
	HEAP_POSIX_MEMALIGN,
	HEAP_ALIGNED_ALLOC,
	HEAP_MEMALIGN,
	HEAP_VALLOC,
	HEAP_PVALLOC,
	HEAP_NEW,
	HEAP_NEW_ARRAY,
	HEAP_FREE, /* this and the next only name probes */
	HEAP_DELETE,
	HEAP_ALLOCATOR_COUNT,
};

/* What a probe of an allocator is told: enum heap_allocator, and whether it never calls another probed
 * function. */
#define HEAP_COOKIE_ALLOCATOR 0xff
#define HEAP_COOKIE_LEAF 0x100

struct heap_total {
	uint64_t objects; /* recorded */
	uint64_t bytes;
	uint64_t weighted_objects; /* what they stand for when sampled, in thousandths: sum of 1000 / (1 -
				      exp(-size/rate)) */
	uint64_t weighted_bytes;   /* sum of size / (1 - exp(-size/rate)) */
};

struct heap_live_key {
	uint64_t address;
	uint32_t tgid;
	uint32_t epoch; /* value in the table of targets: grows when the process executes another program */
};

struct heap_live {
	uint64_t bytes;
	struct heap_site site;
};

/* ---- Counters of what was not seen, by reason; each a per-CPU u64 ---- */
enum counter {
	COUNTER_RING_FULL,	    /* samples lost because user space did not read in time */
	COUNTER_FAULTS,		    /* page faults looked at */
	COUNTER_HEAP_HITS,	    /* probe hits: entries */
	COUNTER_HEAP_RETURNS,	    /* probe hits: returns */
	COUNTER_HEAP_ALLOCATIONS,   /* recorded */
	COUNTER_HEAP_FREES,	    /* of recorded ones */
	COUNTER_HEAP_UNKNOWN_FREES, /* of addresses not recorded: older, or not sampled */
	COUNTER_HEAP_MISSED_FREES,  /* an address came again although it was not freed */
	COUNTER_HEAP_LIVE_FULL,	    /* allocations not recorded: table full */
	COUNTER_HEAP_STACKS_FULL,
	COUNTER_HEAP_SITES_FULL,
	COUNTER_HEAP_NO_ENTRY, /* a return without its entry */
	COUNTER_UNSAMPLED_NS,  /* run time of threads that ended before their first sample */
	COUNTER_SWITCHES,      /* switches away from the target */
	COUNTER_SWITCH_WALKS,  /* of which the stack was walked */
	COUNTER_STORAGE_FULL,  /* no per-task memory */
	COUNTER_TARGETS_FULL,  /* children that are not followed: too many at a time */
	COUNTER_COUNT,
};

/* What user space sets while programs run. */
struct profiler_control {
	uint32_t window_open; /* CPU and off-CPU samples are wanted */
	uint32_t heap_on;
	uint32_t follow_children;
	uint32_t fault_period; /* page faults that one sample stands for */
	uint32_t stop_tgid;    /* process that waits, at each piece of new code, until its rows are there; 0:
				  none */
	uint32_t memory_on;    /* mmap, munmap, mremap, brk */
	uint64_t heap_rate_bytes; /* 1: every allocation */
	uint64_t off_cpu_rate_ns; /* nanoseconds off the CPU that one sample stands for */
	uint64_t cpu_period_ns;	  /* of a sample by the CPU clock; 0: hardware cycles, run time is asked */
	uint64_t first_sample_ns; /* run time after which a new thread has its first sample; 0: at any time */
	struct interpreter_layout interpreter; /* of the one process that has stage slots */
};

/* Sampling by bytes: tables of draws and weights, as fixed point with 24 and 16 fractional bits. */
#define HEAP_DRAWS 1024	     /* -ln(i/1024), a power of two; between its points it is nearly straight */
#define HEAP_WEIGHT_STEPS 64 /* x/(1-exp(-x)) at x = i/8: beyond x = 8 it is x to 0.03 % */
#define HEAP_WEIGHT_STEP_SHIFT 3

#ifndef __cplusplus
_Static_assert(sizeof(struct unwind_row) == 8, "as the programs see it");
_Static_assert(sizeof(struct unwind_rule) == 16, "as the programs see it");
_Static_assert(sizeof(struct unwind_mapping) == 40, "as the programs see it");
_Static_assert(sizeof(struct unwind_process) == 16, "as the programs see it");
_Static_assert(sizeof(struct heap_site) == 24, "as the programs see it");
_Static_assert(sizeof(struct heap_live) == 32, "as the programs see it");
_Static_assert(sizeof(struct record) == 80 + 8 * RECORD_FRAMES_MAX, "no holes");
#endif

#endif
