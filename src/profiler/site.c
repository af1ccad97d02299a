/* SPDX-License-Identifier: Apache-2.0
 *
 * Where in a function a probe is cheap. The kernel emulates a few instructions and executes all others out of
 * their place with a debug trap, which costs up to thirty times as much (arch/x86/kernel/uprobes.c: push,
 * nop, short and near jumps, conditional jumps, near calls). This decodes just as much of x86-64 as compilers
 * put at the beginning of functions (Intel SDM volume 2), and gives up at anything else.
 */
#include <stddef.h>

#include "profiler/internal.h"

enum { SITE_BYTES_MAX = 64 }; /* further in, the shortest calls have been answered already */

struct instruction {
	int bytes;
	int emulated;
	int moves_sp; /* pushes or subtracts: the return address is no longer at rsp behind it */
	int writes;   /* register number that it overwrites; -1: none */
	int leaves;   /* does not go on behind itself: jmp */
};

/* ModRM, SIB and displacement. */
static int modrm_bytes(const uint8_t *at, size_t bytes)
{
	if (bytes < 1)
		return -1;
	int mod = at[0] >> 6;
	int rm = at[0] & 7;
	int count = 1;
	if (mod != 3 && rm == 4) {
		if (bytes < 2)
			return -1;
		count++;
		if (mod == 0 && (at[1] & 7) == 5)
			count += 4;
	}
	if (mod == 0 && rm == 5)
		count += 4;
	return count + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

static int modrm_register(uint8_t modrm, int rex)
{
	return (modrm >> 3 & 7) + (rex & 4 ? 8 : 0);
}

static int modrm_operand(uint8_t modrm, int rex)
{
	return modrm >> 6 == 3 ? (modrm & 7) + (rex & 1 ? 8 : 0) : -1;
}

/* Opcodes with an immediate behind ModRM: add, or, and, sub, xor, cmp with a constant; mov of a constant;
 * test. */
static int decode_immediate(const uint8_t *at, size_t bytes, int rex, struct instruction *ret)
{
	int length = modrm_bytes(at + 1, bytes - 1);
	if (length < 0)
		return -1;
	int compares = at[0] != 0xc7 && (at[1] >> 3 & 7) == 7;
	ret->bytes = 1 + length + (at[0] == 0x80 || at[0] == 0x83 ? 1 : 4);
	ret->writes = compares ? -1 : modrm_operand(at[1], rex);
	ret->moves_sp = ret->writes == 4;
	return 0;
}

static int decode_two_bytes(const uint8_t *at, size_t bytes, int rex, struct instruction *ret)
{
	if (bytes < 3)
		return -1;
	if (at[1] >= 0x80 && at[1] <= 0x8f) { /* jcc rel32 */
		ret->bytes = 6;
		ret->emulated = 1;
		return 0;
	}
	int length = modrm_bytes(at + 2, bytes - 2);
	if (length < 0)
		return -1;
	ret->bytes = 2 + length;
	if (at[1] == 0x1e || at[1] == 0x1f) /* endbr64, nop with an operand */
		return 0;
	if (at[1] == 0xb6 || at[1] == 0xb7 || (at[1] & 0xf0) == 0x40) { /* movzx, cmovcc */
		ret->writes = modrm_register(at[2], rex);
		return 0;
	}
	return -1;
}

/* Opcodes with a register and an operand, or with an operand and a short constant. */
static int decode_operands(const uint8_t *at, size_t bytes, int rex, struct instruction *ret)
{
	int length = bytes > 1 ? modrm_bytes(at + 1, bytes - 1) : -1;
	if (length < 0)
		return -1;
	ret->bytes = 1 + length;
	switch (at[0]) {
	case 0xc1: /* shift by a constant */
		ret->bytes++;
		ret->writes = modrm_operand(at[1], rex);
		break;
	case 0x84: /* test */
	case 0x85:
	case 0x38: /* cmp */
	case 0x39:
	case 0x3b:
		return 0;
	case 0x88: /* mov to memory or register */
	case 0x89:
	case 0x01: /* add, sub, xor, and, or into the operand */
	case 0x29:
	case 0x31:
	case 0x21:
	case 0x09:
		ret->writes = modrm_operand(at[1], rex);
		break;
	case 0x8a: /* mov, lea, add, or, and, sub, xor into the register */
	case 0x8b:
	case 0x8d:
	case 0x03:
	case 0x0b:
	case 0x23:
	case 0x2b:
	case 0x33:
		ret->writes = modrm_register(at[1], rex);
		break;
	default:
		return -1;
	}
	ret->moves_sp = ret->writes == 4;
	return 0;
}

/* `at` is behind prefixes. */
static int decode_opcode(const uint8_t *at, size_t bytes, int rex, struct instruction *ret)
{
	uint8_t opcode = at[0];
	if (opcode >= 0x50 && opcode <= 0x57) { /* push */
		*ret = (struct instruction){ .bytes = 1, .emulated = 1, .moves_sp = 1, .writes = -1 };
		return 0;
	}
	if ((opcode >= 0x70 && opcode <= 0x7f) || opcode == 0x90) { /* jcc rel8, nop */
		*ret = (struct instruction){ .bytes = opcode == 0x90 ? 1 : 2, .emulated = 1, .writes = -1 };
		return 0;
	}
	if (opcode == 0xeb || opcode == 0xe9) { /* jmp */
		*ret = (struct instruction){
			.bytes = opcode == 0xeb ? 2 : 5, .emulated = 1, .writes = -1, .leaves = 1
		};
		return 0;
	}
	if (opcode == 0xe8) { /* call: arguments are gone behind it */
		*ret = (struct instruction){ .bytes = 5, .emulated = 1, .writes = -1, .leaves = 1 };
		return 0;
	}
	if (opcode >= 0xb8 && opcode <= 0xbf) { /* mov constant */
		ret->bytes = rex & 8 ? 9 : 5;
		ret->writes = (opcode & 7) + (rex & 1 ? 8 : 0);
		return 0;
	}
	if (opcode == 0x05 || opcode == 0x0d || opcode == 0x25 || opcode == 0x2d || opcode == 0x35) {
		ret->bytes = 5; /* add, or, and, sub, xor of a constant with rax */
		ret->writes = 0;
		return 0;
	}
	if (opcode == 0x80 || opcode == 0x81 || opcode == 0x83 || opcode == 0xc7)
		return decode_immediate(at, bytes, rex, ret);
	if (opcode == 0x0f)
		return decode_two_bytes(at, bytes, rex, ret);
	return decode_operands(at, bytes, rex, ret);
}

static int decode(const uint8_t *at, size_t bytes, struct instruction *ret)
{
	*ret = (struct instruction){ .writes = -1 };
	size_t prefixes = 0;
	int rex = 0;
	int repeats = 0;
	int shorter = 0; /* constants are of 16 bits, which the above does not know */
	while (prefixes < bytes && (at[prefixes] == 0x66 || at[prefixes] == 0xf3 || at[prefixes] == 0x64)) {
		repeats |= at[prefixes] == 0xf3;
		shorter |= at[prefixes] == 0x66;
		prefixes++;
	}
	if (prefixes < bytes && (at[prefixes] & 0xf0) == 0x40)
		rex = at[prefixes++];
	if (bytes - prefixes < 2 || (shorter && at[prefixes] != 0x90 && at[prefixes] != 0x0f) ||
	    decode_opcode(at + prefixes, bytes - prefixes, rex, ret) < 0)
		return -1;
	/* f3 90 is pause, which is not emulated. */
	if (repeats && at[prefixes] == 0x90)
		ret->emulated = 0;
	ret->bytes += (int)prefixes;
	return (size_t)ret->bytes <= bytes ? 0 : -1;
}

/* rdi, rsi, rdx: what the probes read. */
static int is_argument(int number, unsigned arguments)
{
	static const int numbers[] = { 7, 6, 2 };
	for (unsigned i = 0; i < arguments && i < sizeof numbers / sizeof *numbers; i++)
		if (numbers[i] == number)
			return 1;
	return 0;
}

int site_find(const uint8_t *code, size_t bytes, unsigned arguments, int *ret_at_entry)
{
#ifndef __x86_64__
	/* Other instruction sets: the kernel simulates or single-steps, without a trap of the size of x86's.
	 */
	(void)code;
	(void)bytes;
	(void)arguments;
	*ret_at_entry = 1;
	return 0;
#else
	int at_entry = 1;
	int offset = 0;
	if (bytes > SITE_BYTES_MAX)
		bytes = SITE_BYTES_MAX;
	while ((size_t)offset + 2 <= bytes) {
		struct instruction instruction;
		if (decode(code + offset, bytes - (size_t)offset, &instruction) < 0)
			return -1;
		if (instruction.emulated) {
			*ret_at_entry = at_entry;
			return offset;
		}
		if (instruction.leaves || is_argument(instruction.writes, arguments))
			return -1;
		at_entry &= !instruction.moves_sp;
		offset += instruction.bytes;
	}
	return -1;
#endif
}
