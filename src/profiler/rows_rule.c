/* SPDX-License-Identifier: Apache-2.0
 *
 * One row: from libdw's description of a frame (DWARF expressions for its address and for the registers of
 * its caller) to the few forms that the eBPF unwinder knows. What has another form is said to be unsupported,
 * so that stacks end there with a reason.
 */
#include <dwarf.h>

#include "profiler/rows_private.h"

enum { BX = 3, BP = 6, SP = 7, PC = 16 }; /* DWARF numbers, System V ABI AMD64 figure 3.36 */

/* Register plus constant, in each way to write it. */
static int as_register(const Dwarf_Op *op, unsigned *ret_register, int64_t *ret_offset)
{
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31) {
		*ret_register = op->atom - DW_OP_breg0;
		*ret_offset = (int64_t)op->number;
	} else if (op->atom == DW_OP_bregx && op->number < 256) {
		*ret_register = (unsigned)op->number;
		*ret_offset = (int64_t)op->number2;
	} else {
		return 0;
	}
	return 1;
}

static int as_constant(const Dwarf_Op *op, int64_t *ret)
{
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		*ret = op->atom - DW_OP_lit0;
	else if (op->atom == DW_OP_const1u || op->atom == DW_OP_const2u || op->atom == DW_OP_constu ||
		 op->atom == DW_OP_const1s || op->atom == DW_OP_const2s || op->atom == DW_OP_consts)
		*ret = (int64_t)op->number;
	else
		return 0;
	return 1;
}

static int fits(int64_t value)
{
	return value >= INT32_MIN && value <= INT32_MAX;
}

static int fits_16(int64_t value)
{
	return value >= INT16_MIN && value <= INT16_MAX;
}

/* What linkers write for .plt: CFA = sp + 8 + ((pc & 15) >= N) * 8. */
static int is_plt(const Dwarf_Op *ops, size_t count, int32_t *ret_from)
{
	unsigned number;
	int64_t offset, mask, from, shift;
	if (count != 9 || !as_register(&ops[0], &number, &offset) || number != SP || offset != 8)
		return 0;
	if (!as_register(&ops[1], &number, &offset) || number != PC || offset != 0 ||
	    !as_constant(&ops[2], &mask) || mask != 15 || ops[3].atom != DW_OP_and)
		return 0;
	if (!as_constant(&ops[4], &from) || from < 0 || from > 15 || ops[5].atom != DW_OP_ge ||
	    !as_constant(&ops[6], &shift) || shift != 3 || ops[7].atom != DW_OP_shl ||
	    ops[8].atom != DW_OP_plus)
		return 0;
	*ret_from = (int32_t)from;
	return 1;
}

static void cfa_of(const Dwarf_Op *ops, size_t count, int is_signal_frame, struct unwind_rule *rule)
{
	unsigned number;
	int64_t offset, add = 0;
	rule->cfa = UNWIND_CFA_UNSUPPORTED;
	if (is_plt(ops, count, &rule->cfa_offset)) {
		rule->cfa = UNWIND_CFA_PLT;
		return;
	}
	if (count == 0 || !as_register(&ops[0], &number, &offset) || !fits(offset))
		return;
	rule->cfa_offset = (int32_t)offset;
	if (count == 1) {
		rule->cfa = number == SP   ? UNWIND_CFA_SP
			    : number == BP ? UNWIND_CFA_BP
			    : number < PC  ? UNWIND_CFA_REGISTER
					   : UNWIND_CFA_UNSUPPORTED;
		rule->cfa_register = (uint8_t)number;
		return;
	}
	if (ops[1].atom != DW_OP_deref)
		return;
	/* glibc's __restore_rt: CFA is the interrupted sp, out of the sigcontext; so are all the others. */
	if (is_signal_frame && number == SP && count == 2) {
		*rule = (struct unwind_rule){ .cfa = UNWIND_CFA_SIGNAL };
		return;
	}
	if (count == 3 && ops[2].atom == DW_OP_plus_uconst)
		add = (int64_t)ops[2].number;
	else if (count == 4 && as_constant(&ops[2], &add) && ops[3].atom == DW_OP_plus)
		;
	else if (count != 2)
		return;
	if (!fits(add) || (number != SP && number != BP))
		return;
	rule->cfa = number == SP ? UNWIND_CFA_DEREF_SP : UNWIND_CFA_DEREF_BP;
	rule->cfa_add = (int32_t)add;
}

/* Saved at CFA plus constant, as libdw says it. */
static int as_at_cfa(const Dwarf_Op *ops, size_t count, int64_t *ret_offset)
{
	if (count == 0 || count > 2 || ops[0].atom != DW_OP_call_frame_cfa ||
	    (count == 2 && ops[1].atom != DW_OP_plus_uconst))
		return 0;
	*ret_offset = count == 2 ? (int64_t)ops[1].number : 0;
	return fits(*ret_offset);
}

static void bp_of(const Dwarf_Op *ops, size_t count, int is_undefined, struct unwind_rule *rule)
{
	unsigned number;
	int64_t offset;
	rule->bp = UNWIND_BP_UNDEFINED;
	if (count == 0) {
		rule->bp = is_undefined ? UNWIND_BP_UNDEFINED : UNWIND_BP_SAME;
	} else if (as_at_cfa(ops, count, &offset)) {
		rule->bp = fits_16(offset) ? UNWIND_BP_AT_CFA : UNWIND_BP_UNDEFINED;
		rule->bp_offset = fits_16(offset) ? (int16_t)offset : 0;
	} else {
		/* DW_CFA_expression; libdw puts the CFA, which it may use, on the expression's stack first.
		 */
		const Dwarf_Op *last = &ops[count - 1];
		int is_alone = count == 1 || (count == 2 && ops[0].atom == DW_OP_call_frame_cfa);
		if (is_alone && as_register(last, &number, &offset) && number == BP && fits_16(offset)) {
			rule->bp = UNWIND_BP_AT_BP;
			rule->bp_offset = (int16_t)offset;
		}
	}
}

/* "Undefined" is libdw's default for rbx, which the ABI has functions keep (elfutils' table of the ABI has
 * rax in its place), and nobody says it explicitly. */
static void bx_of(const Dwarf_Op *ops, size_t count, struct unwind_rule *rule)
{
	int64_t offset;
	if (as_at_cfa(ops, count, &offset) && fits_16(offset) && offset != 0 && offset % 8 == 0)
		rule->bx_offset = (int16_t)offset;
	else
		rule->bx_offset = count != 0;
}

static void return_address_of(const Dwarf_Op *ops, size_t count, int is_undefined, struct unwind_rule *rule)
{
	int64_t offset;
	if (count == 0 && is_undefined) {
		*rule = (struct unwind_rule){ .cfa = UNWIND_CFA_END };
		return;
	}
	if (as_at_cfa(ops, count, &offset) && offset == -8)
		return;
	if (count == 1 && ops[0].atom >= DW_OP_reg0 && ops[0].atom < DW_OP_reg0 + PC)
		rule->return_in_register = (uint8_t)(ops[0].atom - DW_OP_reg0 + 1);
	else if (count == 1 && ops[0].atom == DW_OP_regx && ops[0].number < PC)
		rule->return_in_register = (uint8_t)(ops[0].number + 1);
	else
		*rule = (struct unwind_rule){ .cfa = UNWIND_CFA_UNSUPPORTED };
}

struct unwind_rule row_rule_of_frame(Dwarf_Frame *frame, int is_signal_frame)
{
	struct unwind_rule rule = { 0 };
	Dwarf_Op memory[3], *ops = NULL;
	size_t count = 0;
	if (dwarf_frame_cfa(frame, &ops, &count) != 0)
		count = 0;
	cfa_of(ops, count, is_signal_frame, &rule);
	if (rule.cfa == UNWIND_CFA_SIGNAL)
		return rule;
	/* Before the rest, since the CFA means nothing in the outermost frame. */
	if (dwarf_frame_register(frame, PC, memory, &ops, &count) != 0)
		return (struct unwind_rule){ .cfa = UNWIND_CFA_UNSUPPORTED };
	return_address_of(ops, count, ops == memory, &rule);
	if (rule.cfa == UNWIND_CFA_END)
		return rule;
	if (rule.cfa == UNWIND_CFA_UNSUPPORTED)
		return (struct unwind_rule){ .cfa = UNWIND_CFA_UNSUPPORTED };
	if (dwarf_frame_register(frame, BP, memory, &ops, &count) != 0)
		rule.bp = UNWIND_BP_UNDEFINED;
	else
		bp_of(ops, count, ops == memory, &rule);
	if (dwarf_frame_register(frame, BX, memory, &ops, &count) != 0)
		rule.bx_offset = 1;
	else
		bx_of(ops, count, &rule);
	return rule;
}
