/* SPDX-License-Identifier: Apache-2.0
 *
 * Life and system calls of tasks, as the kernel and the CPU's architecture have them. The suffix after
 * "___" is for the compiler: libbpf matches the name before it.
 */
#ifndef BPF_TASK_H
#define BPF_TASK_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sched_entity___life {
	uint64_t sum_exec_runtime; /* nanoseconds of CPU */
};

struct signal_struct___life {
	struct {
		int counter;
	} live; /* threads that have not begun to exit */
};

struct task_struct___life {
	int on_cpu;
	struct sched_entity___life se;
	struct signal_struct___life *signal;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* The system calls that change what is mapped. */
#if defined(__TARGET_ARCH_x86)
#define CALL_PREFIX "__x64_sys_"
enum { CALL_MMAP = 9, CALL_MUNMAP = 11, CALL_BRK = 12, CALL_MREMAP = 25 };
#elif defined(__TARGET_ARCH_arm64)
#define CALL_PREFIX "__arm64_sys_"
enum { CALL_MMAP = 222, CALL_MUNMAP = 215, CALL_BRK = 214, CALL_MREMAP = 216 };
#endif

enum { PROTECTION_EXECUTE = 4, MAP_OF_NO_FILE = 0x20 }; /* PROT_EXEC, MAP_ANONYMOUS */

#if defined(__TARGET_ARCH_x86)
static __always_inline int registers_are_user(const bpf_user_pt_regs_t *registers)
{
	/* All eight bytes: newer verifiers refuse a part of it, which the compiler would read. */
	return (*(const volatile unsigned long *)&registers->cs & 3) == 3;
}

static __always_inline uint64_t registers_system_call(struct pt_regs *registers)
{
	return registers->orig_rax;
}

/* The first arguments of a system call. */
static __always_inline uint64_t call_argument(struct pt_regs *registers, int n)
{
	return n == 0 ? registers->rdi : n == 1 ? registers->rsi : n == 2 ? registers->rdx : registers->r10;
}
#elif defined(__TARGET_ARCH_arm64)
static __always_inline int registers_are_user(const bpf_user_pt_regs_t *registers)
{
	return (registers->pstate & 15) == 0;
}

/* struct pt_regs of the kernel goes on behind struct user_pt_regs: first x0 as it was, then the number. */
struct pt_regs___call {
	struct user_pt_regs user;
	uint64_t orig_x0;
	int32_t syscallno;
};

static __always_inline uint64_t registers_system_call(struct pt_regs *registers)
{
	return (uint64_t)((struct pt_regs___call *)registers)->syscallno;
}

static __always_inline uint64_t call_argument(struct pt_regs *registers, int n)
{
	struct pt_regs___call *call = (struct pt_regs___call *)registers;
	return n == 0 ? call->orig_x0 : call->user.regs[n];
}
#endif

#endif
