/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk up a stack, one way to get to a caller after the other, on a made-up process; and both searches
 * against plain loops. Real stacks are in diff/unwind_diff.c.
 */
#include "unwind_world.h"

#define SP_ROW(offset) ((struct unwind_rule){ .cfa = UNWIND_CFA_SP, .cfa_offset = (offset) })
#define END_ROW ((struct unwind_rule){ .cfa = UNWIND_CFA_END })
#define GAP_ROW ((struct unwind_rule){ .cfa = UNWIND_CFA_GAP })

/* Code from 0x1000 on is the start function; what the tests return to. */
#define ROOT (CODE + 0x1008)
static void root_add(void)
{
	world_row(0x1000, END_ROW);
}

/* ---- Rows ---- */

static void walks_by_stack_pointer(void)
{
	world_reset();
	world_row(0x100, SP_ROW(8));
	world_row(0x200, SP_ROW(32));
	root_add();
	world_words(CODE + 0x210, 1, 2, 3, ROOT);
	world_walk(CODE + 0x100);
	WALKED(UNWIND_STOP_END, CODE + 0x100, CODE + 0x210, ROOT);
	EQ(world.walk.scanned, 0);
	EQ(world.walk.stop_mapping, 0);
}

/* A call that never returns is the last instruction of its function: the return address is in the next one.
 */
static void callers_are_searched_before_their_return_address(void)
{
	world_reset();
	world_row(0x100, SP_ROW(8));
	world_row(0x200, SP_ROW(16));
	world_row(0x220, SP_ROW(4096));
	root_add();
	world_words(CODE + 0x220, 0, ROOT);
	world_walk(CODE + 0x100);
	WALKED(UNWIND_STOP_END, CODE + 0x100, CODE + 0x220, ROOT);
	/* The innermost frame is where it is. */
	world_words(0, ROOT);
	world_walk(CODE + 0x200);
	WALKED(UNWIND_STOP_END, CODE + 0x200, ROOT);
}

static void offsets_have_32_bits(void)
{
	world_reset();
	world.walk.registers[UNWIND_REGISTER_SP] = STACK;
	world_row(0x100, SP_ROW(50000));
	root_add();
	world_store(STACK + 50000 - 8, ROOT);
	world_walk(CODE + 0x180);
	WALKED(UNWIND_STOP_END, CODE + 0x180, ROOT);
}

static void walks_by_frame_pointer_rows(void)
{
	uint64_t sp;
	world_reset();
	sp = world_sp();
	world_row(0x100,
		  (struct unwind_rule){
			  .cfa = UNWIND_CFA_BP, .cfa_offset = 16, .bp = UNWIND_BP_AT_CFA, .bp_offset = -16 });
	root_add();
	world.walk.registers[UNWIND_REGISTER_BP] = sp + 64;
	world_store(sp + 64, sp + 128);
	world_store(sp + 72, CODE + 0x140);
	world_store(sp + 128, 0);
	world_store(sp + 136, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x140, ROOT);
}

/* A function that keeps bp where it is not beside the return address, and one that does not touch it. */
static void bp_is_carried_through(void)
{
	uint64_t sp;
	world_reset();
	sp = world_sp();
	world_row(0x100,
		  (struct unwind_rule){
			  .cfa = UNWIND_CFA_SP, .cfa_offset = 40, .bp = UNWIND_BP_AT_CFA, .bp_offset = -32 });
	world_row(0x200, SP_ROW(8));
	world_row(0x300, (struct unwind_rule){ .cfa = UNWIND_CFA_BP, .cfa_offset = 16 });
	root_add();
	world_words(0, sp + 96, 0, 0, CODE + 0x210, CODE + 0x310);
	world_store(sp + 104, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, CODE + 0x310, ROOT);
	world.rules[2].bp = UNWIND_BP_UNDEFINED;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_UNSUPPORTED, CODE + 0x120, CODE + 0x210, CODE + 0x310);
}

/* GCC's main with a realigned stack: CFA = *(bp - 8), caller's bp at bp. */
static void walks_realigned_frames(void)
{
	uint64_t sp;
	world_reset();
	sp = world_sp();
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_DEREF_BP,
					       .cfa_offset = -8,
					       .bp = UNWIND_BP_AT_BP,
					       .bp_offset = 0 });
	world_row(0x200, (struct unwind_rule){ .cfa = UNWIND_CFA_BP, .cfa_offset = 16 });
	root_add();
	world.walk.registers[UNWIND_REGISTER_BP] = sp + 64;
	world_store(sp + 56, sp + 256);
	world_store(sp + 64, sp + 512);
	world_store(sp + 248, CODE + 0x210);
	world_store(sp + 520, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, ROOT);
}

/* OpenSSL's assembler code keeps the caller's sp on the stack: CFA = *(sp + 152) + 8. */
static void walks_frames_whose_address_is_on_the_stack(void)
{
	uint64_t sp;
	world_reset();
	sp = world_sp();
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_DEREF_SP, .cfa_offset = 152, .cfa_add = 8 });
	root_add();
	world_store(sp + 152, sp + 1000);
	world_store(sp + 1000, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, ROOT);
	world.unreadable = sp + 152;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_READ, CODE + 0x120);
}

static void walks_procedure_linkage_stubs(void)
{
	world_reset();
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_PLT, .cfa_offset = 11 });
	root_add();
	world_words(ROOT, 0);
	world_walk(CODE + 0x12a);
	WALKED(UNWIND_STOP_END, CODE + 0x12a, ROOT);
	world_words(5, ROOT);
	world_walk(CODE + 0x12b); /* behind its push */
	WALKED(UNWIND_STOP_END, CODE + 0x12b, ROOT);
}

static void walks_frames_by_other_registers(void)
{
	uint64_t sp;
	world_reset();
	sp = world_sp();
	world_row(0x100,
		  (struct unwind_rule){ .cfa = UNWIND_CFA_REGISTER, .cfa_register = 11, .cfa_offset = 8 });
	root_add();
	world.walk.registers[11] = sp + 400;
	world_store(sp + 400, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, ROOT);
	world.rules[1].cfa_register = 255;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_UNSUPPORTED, CODE + 0x120);
}

/* Deeper in, the register may have been changed: only a return address behind a call proves that it was not.
 */
static void other_registers_of_callers_need_proof(void)
{
	uint64_t sp, root;
	world_reset();
	sp = world_sp();
	root = world_call(0x1008, "\xff\xd0", 2);
	world_row(0x100, SP_ROW(8));
	world_row(0x200,
		  (struct unwind_rule){ .cfa = UNWIND_CFA_REGISTER, .cfa_register = 0, .cfa_offset = 8 });
	root_add();
	world_words(CODE + 0x210);
	world.walk.registers[0] = sp + 400;
	world_store(sp + 400, root);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, root);
	world_store(sp + 400, root + 4); /* no call before it */
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_UNSUPPORTED, CODE + 0x120, CODE + 0x210);
}

/* glibc's lazy binding has its frame's address in rbx, and calls functions that save rbx, or do not touch it.
 */
static void rbx_is_found_where_it_was_saved(void)
{
	uint64_t sp, root;
	world_reset();
	sp = world_sp();
	root = world_call(0x1008, "\xff\xd0", 2);
	world_row(0x100, SP_ROW(8));
	world_row(0x200, (struct unwind_rule){ .cfa = UNWIND_CFA_SP, .cfa_offset = 24, .bx_offset = -16 });
	world_row(0x300, (struct unwind_rule){ .cfa = UNWIND_CFA_REGISTER,
					       .cfa_register = UNWIND_REGISTER_BX,
					       .cfa_offset = 32 });
	root_add();
	world.walk.registers[UNWIND_REGISTER_BX] = 12345;
	world_words(CODE + 0x210, 0, sp + 400, CODE + 0x310);
	world_store(sp + 400 + 24, root);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, CODE + 0x310, root);
	/* Not saved: still in the register. */
	world.rules[2].bx_offset = 0;
	world.walk.registers[UNWIND_REGISTER_BX] = sp + 400;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, CODE + 0x310, root);
	/* Somewhere that rows cannot say. */
	world.rules[2].bx_offset = 1;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_UNSUPPORTED, CODE + 0x120, CODE + 0x210, CODE + 0x310);
}

/* glibc's vfork() keeps its return address in rdi during the system call. */
static void finds_return_addresses_in_registers(void)
{
	world_reset();
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_SP, .return_in_register = 5 + 1 });
	world_row(0x200, SP_ROW(16));
	root_add();
	world.walk.registers[5] = CODE + 0x210;
	world_words(0, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, ROOT);
	world_words(CODE + 0x120, ROOT); /* as a caller, its registers are not known */
	world_walk(CODE + 0x210);
	WALKED(UNWIND_STOP_END, CODE + 0x210, ROOT);
	world_row(0x1400, SP_ROW(8));
	world_walk(CODE + 0x1410);
	WALKED(UNWIND_STOP_UNSUPPORTED, CODE + 0x1410, CODE + 0x120);
}

/* ---- Signals ---- */

/* The frame that the kernel makes, at sp; 17 registers by their DWARF numbers. */
static void signal_frame_store(uint64_t sp, const uint64_t registers[static 17])
{
	static const unsigned order[17] = { 8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16 };
	for (unsigned i = 0; i < 17; i++)
		world_store(sp + 40 + 8 * i, registers[order[i]]);
}

static void walks_through_signal_frames(void)
{
	uint64_t registers[17], sp;
	world_reset();
	sp = world_sp();
	for (unsigned i = 0; i < 17; i++)
		registers[i] = 0x1000000 + i;
	registers[7] = STACK + 1024;  /* the handler is on a stack above this one */
	registers[16] = CODE + 0x200; /* the first instruction of its function: searched as it is */
	world_row(0x0f0, SP_ROW(8));
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_SIGNAL });
	world_row(0x10b, SP_ROW(4096));
	world_row(0x200, SP_ROW(16));
	root_add();
	world_words(CODE + 0x101);
	signal_frame_store(sp + 8, registers);
	world_store(STACK + 1024 + 8, ROOT);
	world_walk(CODE + 0x0f4);
	WALKED(UNWIND_STOP_END, CODE + 0x0f4, CODE + 0x101, CODE + 0x200, ROOT);
	for (unsigned i = 0; i < 17; i++)
		EQ(world.walk.registers[i], registers[i]);
	world.walk.registers[UNWIND_REGISTER_SP] = sp;
	world.unreadable = sp + 8 + 40 + 8 * 16;
	world_walk(CODE + 0x0f4);
	WALKED(UNWIND_STOP_READ, CODE + 0x0f4, CODE + 0x101);
}

/* ---- Code without rows ---- */

static void every_kind_of_call_is_recognised(void)
{
	static const struct {
		const char *bytes;
		size_t count;
		int is_call;
	} cases[] = {
		{ "\xff\xd0", 2, 1 },			  /* call *%rax */
		{ "\x41\xff\xd3", 3, 1 },		  /* call *%r11 */
		{ "\xff\x17", 2, 1 },			  /* call *(%rdi) */
		{ "\xff\x14\xc7", 3, 1 },		  /* call *(%rdi,%rax,8) */
		{ "\xff\x50\x08", 3, 1 },		  /* call *8(%rax) */
		{ "\xff\x54\x24\x08", 4, 1 },		  /* call *8(%rsp) */
		{ "\xff\x15\x01\x02\x03\x00", 6, 1 },	  /* call *number(%rip) */
		{ "\xff\x90\x00\x01\x00\x00", 6, 1 },	  /* call *256(%rax) */
		{ "\xff\x94\x24\x00\x01\x00\x00", 7, 1 }, /* call *256(%rsp) */
		{ "\xff\x14\xc5\x00\x01\x00\x00", 7, 1 }, /* call *256(,%rax,8) */
		{ "\xe8\xfb\xff\xff\xff", 5, 1 },	  /* call to itself */
		{ "\xe8\x00\x00\x00\x10", 5, 0 },	  /* call to where nothing is mapped */
		{ "\xff\xe0", 2, 0 },			  /* jmp *%rax */
		{ "\xff\xf0", 2, 0 },			  /* push %rax */
		{ "\xff\x60\x08", 3, 0 },		  /* jmp *8(%rax) */
		{ "\xff\x25\x01\x02\x03\x00", 6, 0 },	  /* jmp *number(%rip) */
		{ "\xe9\xfb\xff\xff\xff", 5, 0 },	  /* jmp */
		{ "\x90\x90\x90\x90\x90\x90\x90\x90", 8, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		world_reset();
		uint64_t address = world_call(0x800, cases[i].bytes, cases[i].count);
		int expected = cases[i].is_call ? UNWIND_CALL_IN_KNOWN_CODE : UNWIND_NO_CALL;
		if (unwind_is_return_address(0, 1, address) != expected)
			FAIL("case %zu is taken for the other thing", i);
		if (cases[i].is_call) {
			world.rules[0].cfa = UNWIND_CFA_GAP;
			EQ(unwind_is_return_address(0, 1, address), UNWIND_CALL_IN_GAP);
		}
		EQ(unwind_is_return_address(0, 1, address + 1), 0);
	}
}

static void scans_the_stack_of_code_without_rows(void)
{
	world_reset();
	world_map(OTHER, 4096, MAPPING_OBJECT);
	uint64_t root = world_call(0x1008, "\xff\xd0", 2);
	world_row(0x100, GAP_ROW);
	root_add();
	/* An address of code without a call before it, of data, of the stack, and of no memory. */
	world_words(CODE + 0x300, CODE + CODE_BYTES + 64, world_sp() + 8, UINT64_MAX, 0, OTHER + 8, root,
		    ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, root);
	EQ(world.walk.scanned, 1);
	/* An object of which nothing is known is the same. */
	world_walk(OTHER + 16);
	WALKED(UNWIND_STOP_END, OTHER + 16, root);
}

/* Assembler code that calls assembler code, and stale return addresses into it: rows are what to look for. */
static void scans_for_a_caller_with_rows(void)
{
	world_reset();
	uint64_t root = world_call(0x1008, "\xff\xd0", 2), inner = world_call(0x140, "\xff\xd0", 2);
	world_row(0x100, GAP_ROW);
	root_add();
	world_words(1, inner, 2, inner, root);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, root);
	/* One without is better than none. */
	world_words(1, inner, 2, inner, 3);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_NO_ROW, CODE + 0x120, inner);
	/* Generated code called it. */
	uint64_t jit = CODE + 0x800;
	world.mappings[0].end = jit;
	world_map(jit, CODE_BYTES - 0x800, MAPPING_JIT);
	world_words(1, inner, root);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_JIT, CODE + 0x120, root);
}

static void scans_no_further_than_it_says(void)
{
	for (int inside = 0; inside < 2; inside++) {
		world_reset();
		uint64_t root = world_call(0x1008, "\xff\xd0", 2);
		world_row(0x100, GAP_ROW);
		root_add();
		world_store(world_sp() + 8 * (UNWIND_SCAN_WORDS_MAX - (uint64_t)inside), root);
		world_walk(CODE + 0x120);
		EQ(world.walk.stop, inside ? UNWIND_STOP_END : UNWIND_STOP_NO_ROW);
		EQ(world.walk.scanned, inside);
	}
	world.unreadable = world_sp() + 64;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_READ, CODE + 0x120);
}

/* Only what interrupted or innermost code left on the stack is near enough to be found. */
static void callers_without_rows_end_the_walk(void)
{
	world_reset();
	uint64_t root = world_call(0x1008, "\xff\xd0", 2), caller = world_call(0x240, "\xff\xd0", 2);
	world_row(0x100, SP_ROW(8));
	world_row(0x200, GAP_ROW);
	root_add();
	world_words(caller, root);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_NO_ROW, CODE + 0x120, caller);
	world.rules[2].cfa = UNWIND_CFA_UNSUPPORTED;
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_UNSUPPORTED, CODE + 0x120, caller);
	/* As the innermost frame it is searched, and so is the one that a signal interrupted. */
	world_words(root);
	world_walk(CODE + 0x220);
	WALKED(UNWIND_STOP_END, CODE + 0x220, root);
}

/* V8's builtins: in a file, called by generated code, with frame pointers. */
static void callers_without_rows_may_have_frame_pointers(void)
{
	world_reset();
	uint64_t sp = world_sp();
	uint64_t root = world_call(0x1008, "\xff\xd0", 2), caller = world_call(0x240, "\xff\xd0", 2);
	world_row(0x100, SP_ROW(8));
	world_row(0x200, GAP_ROW);
	root_add();
	world_words(caller);
	world.walk.registers[UNWIND_REGISTER_BP] = sp + 32;
	world_store(sp + 32, 0);
	world_store(sp + 40, root);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, caller, root);
	EQ(world.walk.scanned, 0);
	/* The register may hold anything else: nothing is called before this address. */
	world_store(sp + 40, CODE + 0x300);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_NO_ROW, CODE + 0x120, caller);
}

static void scans_the_frame_that_a_signal_interrupted(void)
{
	uint64_t registers[17] = { 0 };
	world_reset();
	uint64_t root = world_call(0x1008, "\xff\xd0", 2);
	world_row(0x0f0, SP_ROW(8));
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_SIGNAL });
	world_row(0x200, GAP_ROW);
	root_add();
	registers[7] = world_sp() + 1024;
	registers[16] = CODE + 0x220;
	world_words(CODE + 0x101);
	signal_frame_store(world_sp() + 8, registers);
	world_store(world_sp() + 1024 + 40, root);
	world_walk(CODE + 0x0f4);
	WALKED(UNWIND_STOP_END, CODE + 0x0f4, CODE + 0x101, CODE + 0x220, root);
	EQ(world.walk.scanned, 1);
}

/* Assembler code pushed its caller's bp and uses the register for other things. */
static void scans_for_the_callers_frame_pointer(void)
{
	world_reset();
	uint64_t sp = world_sp(), caller = world_call(0x240, "\xff\xd0", 2);
	world_row(0x100, GAP_ROW);
	world_row(0x200, (struct unwind_rule){ .cfa = UNWIND_CFA_BP, .cfa_offset = 16 });
	root_add();
	world.walk.registers[UNWIND_REGISTER_BP] = 77;
	world_words(1, 2, sp + 200, 3, caller);
	world_store(sp + 208, ROOT);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, caller, ROOT);
	/* One that is plausible is believed instead. */
	world.walk.registers[UNWIND_REGISTER_BP] = sp + 400;
	world_store(sp + 408, ROOT + 1);
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, caller, ROOT + 1);
}

/* ---- Return probes ---- */

/* Two calls are probed, the inner one by two probes; and one more was left by longjmp(). */
static void sees_through_the_trampoline(void)
{
	world_reset();
	uint64_t sp = world_sp();
	world_row(0x100, SP_ROW(8));
	world_row(0x200, SP_ROW(24));
	root_add();
	world_words(PROBES, 1, 2, PROBES, ROOT);
	world.probes[0] = (struct unwind_return_probe){ .address = 1, .stack = sp - 64 };
	world.probes[1] = (struct unwind_return_probe){ .address = CODE + 0x210, .stack = sp };
	world.probes[2] = (struct unwind_return_probe){ .address = CODE + 0x210, .stack = sp };
	world.probes[3] = (struct unwind_return_probe){ .address = CODE + 0x110, .stack = sp + 24 };
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_END, CODE + 0x120, CODE + 0x210, CODE + 0x110, ROOT);
	world.probes[1].stack = world.probes[2].stack = sp - 8; /* none for this place */
	world_walk(CODE + 0x120);
	WALKED(UNWIND_STOP_NO_MAPPING, CODE + 0x120, PROBES);
}

/* Innermost in the trampoline: pushes rax, rcx, r11; system call; pops r11, rcx; returns. */
static void leaves_the_trampoline(void)
{
	static const struct {
		uint64_t offset;
		unsigned words; /* on the stack below where the return address is or was */
	} places[] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 4, 3 }, { 11, 3 }, { 13, 2 }, { 15, 1 }, { 16, 0 } };
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		world_reset();
		world_map(PROBES, 4096, MAPPING_UPROBES);
		world_row(0x200, SP_ROW(16));
		root_add();
		uint64_t slot = world_sp() + 80;
		int is_before = places[i].offset < 13;
		world.walk.registers[UNWIND_REGISTER_SP] =
			(is_before ? slot + 8 : slot) - 8 * (uint64_t)places[i].words;
		world_store(slot, is_before ? 0 : CODE + 0x210);
		world_store(slot + 16, ROOT);
		if (is_before)
			world.probes[0] =
				(struct unwind_return_probe){ .address = CODE + 0x210, .stack = slot };
		world_walk(PROBES + places[i].offset);
		WALKED(UNWIND_STOP_END, PROBES + places[i].offset, CODE + 0x210, ROOT);
		world.probes[0].stack = 0;
		world_walk(PROBES + places[i].offset);
		EQ(world.walk.stop, is_before ? UNWIND_STOP_TRAMPOLINE : UNWIND_STOP_END);
	}
}

/* A probed instruction is executed elsewhere; it counts where it belongs. */
static void an_instruction_out_of_its_place_counts_where_it_belongs(void)
{
	world_reset();
	world_map(PROBES, 4096, MAPPING_UPROBES);
	world_row(0x200, SP_ROW(8));
	root_add();
	world_words(ROOT);
	world.probed = CODE + 0x234;
	world_walk(PROBES + 128 + 3);
	WALKED(UNWIND_STOP_END, CODE + 0x234, ROOT);
	world.probed = 0;
	world_walk(PROBES + 128 + 3);
	EQ(world.walk.stop, UNWIND_STOP_TRAMPOLINE);
	world.probed = PROBES + 256; /* impossible, and without end if it were believed */
	world_walk(PROBES + 128 + 3);
	EQ(world.walk.stop, UNWIND_STOP_TRAMPOLINE);
}

/* ---- Generated code, Go ---- */

static void walks_generated_code_by_plausible_frame_pointers(void)
{
	world_reset();
	uint64_t sp = world_sp(), jit = OTHER;
	world_map(jit, 4096, MAPPING_JIT);
	root_add();
	world.walk.registers[UNWIND_REGISTER_BP] = sp + 32;
	world_store(sp + 32, sp + 64);
	world_store(sp + 40, jit + 0x20);
	world_store(sp + 64, 0);
	world_store(sp + 72, ROOT);
	world_walk(jit + 0x10);
	WALKED(UNWIND_STOP_END, jit + 0x10, jit + 0x20, ROOT);
	EQ(world.walk.stop_mapping, 0);
	const uint64_t bad[] = { 0, sp - 8, sp + 33, sp + UNWIND_STACK_SPAN + 8, sp + 128 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		world.walk.registers[UNWIND_REGISTER_BP] = bad[i];
		world_walk(jit + 0x10);
		WALKED(UNWIND_STOP_JIT, jit + 0x10);
		EQ(world.walk.stop_mapping, 1);
	}
}

static void walks_by_frame_pointers_over_to_another_stack(void)
{
	world_reset();
	uint64_t sp = world_sp(), other = STACK + 512;
	world_row(0x100, (struct unwind_rule){ .cfa = UNWIND_CFA_FRAME_POINTER });
	world.walk.registers[UNWIND_REGISTER_BP] = sp + 32;
	world_store(sp + 32, other); /* below */
	world_store(sp + 40, CODE + 0x120);
	world_store(other, 0);
	world_store(other + 8, CODE + 0x130);
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_END, CODE + 0x110, CODE + 0x120, CODE + 0x130);
	world_store(other, other); /* its own caller */
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_STUCK, CODE + 0x110, CODE + 0x120);
	world_store(sp + 32, 4096);
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_READ, CODE + 0x110, CODE + 0x120);
}

/* ---- Ends ---- */

static void deep_stacks_are_cut(void)
{
	for (uint64_t depth = UNWIND_FRAMES_MAX - 1; depth <= UNWIND_FRAMES_MAX + 1; depth++) {
		world_reset();
		world_row(0x100, SP_ROW(8));
		root_add();
		for (uint64_t i = 0; i + 1 < depth; i++)
			world_store(world_sp() + 8 * i, i + 2 < depth ? CODE + 0x110 : ROOT);
		world_walk(CODE + 0x110);
		EQ(world.walk.frame_count, depth < UNWIND_FRAMES_MAX ? depth : UNWIND_FRAMES_MAX);
		EQ(world.walk.stop, depth <= UNWIND_FRAMES_MAX ? UNWIND_STOP_END : UNWIND_STOP_FRAMES_MAX);
	}
}

static void frames_must_grow(void)
{
	static const struct unwind_rule rules[] = {
		{ .cfa = UNWIND_CFA_SP, .cfa_offset = 0 },
		{ .cfa = UNWIND_CFA_SP, .cfa_offset = -8 },
		{ .cfa = UNWIND_CFA_BP, .cfa_offset = 0 },
		{ .cfa = UNWIND_CFA_REGISTER, .cfa_register = 0, .cfa_offset = 8 },
	};
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		world_reset();
		world_row(0x100, rules[i]);
		world.walk.registers[0] = world.walk.registers[UNWIND_REGISTER_BP] = world_sp() - 64;
		world_walk(CODE + 0x110);
		WALKED(UNWIND_STOP_STUCK, CODE + 0x110);
	}
}

static void reads_no_more_than_it_needs(void)
{
	world_reset();
	world_row(0x100, SP_ROW(8));
	root_add();
	world_words(ROOT);
	world.unreadable = world_sp() - 8; /* the page below sp may not be there yet */
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_END, CODE + 0x110, ROOT);
	world.unreadable = world_sp() + 8; /* and the one above the stack's end neither */
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_END, CODE + 0x110, ROOT);
	world.unreadable = world_sp();
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_READ, CODE + 0x110);
}

/* A read of user memory costs as much as all the rest of a frame: small frames share one. */
static void reads_many_frames_at_once(void)
{
	world_reset();
	world_row(0x100, SP_ROW(16));
	root_add();
	for (uint64_t i = 0; i < 100; i++)
		world_store(world_sp() + 16 * i + 8, i < 99 ? CODE + 0x110 : ROOT);
	world_walk(CODE + 0x110);
	EQ(world.walk.stop, UNWIND_STOP_END);
	EQ(world.walk.frame_count, 101);
	LE(world.reads, 1 + 100 * 16 / (8 * UNWIND_WINDOW_WORDS));
}

static void ends_where_nothing_is_known(void)
{
	world_reset();
	world_row(0x100, SP_ROW(8));
	root_add();
	world_words(OTHER + 8);
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_NO_MAPPING, CODE + 0x110, OTHER + 8);
	EQ(world.walk.stop_mapping, UNWIND_NONE);
	world_words(0);
	world_walk(CODE + 0x110);
	WALKED(UNWIND_STOP_NO_MAPPING, CODE + 0x110);
	world_walk(8); /* called through a null pointer */
	EQ(world.walk.stop, UNWIND_STOP_NO_MAPPING);
	EQ(world.walk.frame_count, 0);
	world.walk.registers[UNWIND_REGISTER_PC] = CODE + 0x110;
	unwind_stack(&world.walk, TGID + 1);
	WALKED(UNWIND_STOP_NO_PROCESS, CODE + 0x110);
	world.walk.registers[UNWIND_REGISTER_SP] = 0;
	world_walk(0);
	EQ(world.walk.stop, UNWIND_STOP_NO_USER);
	EQ(world.walk.frame_count, 0);
}

static void damaged_tables_end_the_walk(void)
{
	world_reset();
	world_row(0x100, SP_ROW(8));
	world.rows[1].rule = 5000;
	world_walk(CODE + 0x110);
	EQ(world.walk.stop, UNWIND_STOP_NO_ROW);
	world.rows[1].rule = 1;
	world.rules[1].cfa = 200;
	world_walk(CODE + 0x110);
	EQ(world.walk.stop, UNWIND_STOP_UNSUPPORTED);
	world.mappings[0].rows_first = 0x7fffffff;
	world_walk(CODE + 0x110);
	EQ(world.walk.stop, UNWIND_STOP_NO_ROW);
	world.process.mappings_count = 0xffffffff;
	world_walk(CODE + 0x110);
	EQ(world.walk.stop, UNWIND_STOP_NO_MAPPING);
	world.process.mappings_count = 0;
	world_walk(CODE + 0x110);
	EQ(world.walk.stop, UNWIND_STOP_NO_MAPPING);
}

/* ---- Searches ---- */

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void finds_rows_as_a_plain_loop_does(void)
{
	uint32_t seed = 1;
	for (uint32_t count = 0; count <= 300; count += count < 20 ? 1 : 37) {
		world_reset();
		uint32_t pc = 0, first = count % 5;
		for (uint32_t i = 0; i < count; i++) {
			pc += 1 + random_next(&seed) % 40;
			world.rows[first + i] = (struct unwind_row){ .pc = pc, .rule = i };
		}
		for (uint32_t wanted = 0; wanted < pc + 50; wanted++) {
			uint32_t expected = UNWIND_NONE;
			for (uint32_t i = 0; i < count && world.rows[first + i].pc <= wanted; i++)
				expected = i;
			EQ(unwind_rule_index(first, count, wanted), expected);
		}
	}
	world.rows[0] = (struct unwind_row){ .pc = 0xfffffff0, .rule = 3 };
	EQ(unwind_rule_index(0, 1, 0xffffffff), 3);
	EQ(unwind_rule_index(0, 1, 0x7fffffff), UNWIND_NONE);
}

static void finds_mappings_as_a_plain_loop_does(void)
{
	uint32_t seed = 2;
	for (uint32_t count = 0; count <= WORLD_MAPPINGS_MAX; count++) {
		world_reset();
		uint64_t at = UINT64_C(0x7fff00000000);
		for (uint32_t i = 0; i < count; i++) {
			world.mappings[i].start = at += random_next(&seed) % 8;
			world.mappings[i].end = at += 1 + random_next(&seed) % 8;
		}
		for (uint64_t wanted = UINT64_C(0x7fff00000000) - 2; wanted < at + 3; wanted++) {
			uint32_t expected = UNWIND_NONE;
			for (uint32_t i = 0; i < count; i++)
				if (wanted >= world.mappings[i].start && wanted < world.mappings[i].end)
					expected = i;
			EQ(unwind_mapping_index(0, count, wanted), expected);
		}
		EQ(unwind_mapping_index(0, count, UINT64_MAX), UNWIND_NONE);
	}
}

TEST_MAIN(T(walks_by_stack_pointer), T(callers_are_searched_before_their_return_address),
	  T(offsets_have_32_bits), T(walks_by_frame_pointer_rows), T(bp_is_carried_through),
	  T(walks_realigned_frames), T(walks_frames_whose_address_is_on_the_stack),
	  T(walks_procedure_linkage_stubs), T(walks_frames_by_other_registers),
	  T(other_registers_of_callers_need_proof), T(rbx_is_found_where_it_was_saved),
	  T(finds_return_addresses_in_registers), T(walks_through_signal_frames),
	  T(every_kind_of_call_is_recognised), T(scans_the_stack_of_code_without_rows),
	  T(scans_for_a_caller_with_rows), T(scans_no_further_than_it_says),
	  T(callers_without_rows_end_the_walk), T(callers_without_rows_may_have_frame_pointers),
	  T(scans_the_frame_that_a_signal_interrupted), T(scans_for_the_callers_frame_pointer),
	  T(sees_through_the_trampoline), T(leaves_the_trampoline),
	  T(an_instruction_out_of_its_place_counts_where_it_belongs),
	  T(walks_generated_code_by_plausible_frame_pointers),
	  T(walks_by_frame_pointers_over_to_another_stack), T(deep_stacks_are_cut), T(frames_must_grow),
	  T(reads_no_more_than_it_needs), T(reads_many_frames_at_once), T(ends_where_nothing_is_known),
	  T(damaged_tables_end_the_walk), T(finds_rows_as_a_plain_loop_does),
	  T(finds_mappings_as_a_plain_loop_does))
