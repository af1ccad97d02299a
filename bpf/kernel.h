/* SPDX-License-Identifier: Apache-2.0
 *
 * The few kernel types that the eBPF programs look into, each with only the members that are read. libbpf
 * finds where they really are in the running kernel by its BTF ("compile once, run everywhere"), so order and
 * holes here mean nothing; names are the same in Linux 6.1 to 6.18. Not a vmlinux.h: that is of one kernel.
 *
 * Also the parts of bpf/unwind.h that touch the kernel: registers of user space, return probes of a task.
 */
#ifndef BPF_KERNEL_H
#define BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/bpf_perf_event.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "bpf/unwind.h"

#define KERNEL_PF_KTHREAD 0x00200000 /* task_struct.flags, include/linux/sched.h */
#define KERNEL_TASK_RUNNING 0	     /* task_struct.__state: runnable; anything else sleeps */
#define KERNEL_TASK_DEAD 0x80	     /* task_struct.__state: this was its last moment on a CPU */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* A call whose return address was replaced by the trampoline's. */
struct return_instance {
	unsigned long stack; /* where that return address is */
	unsigned long orig_ret_vaddr;
	struct return_instance *next; /* of the call around it */
};

struct uprobe_task {
	struct return_instance *return_instances;
	unsigned long vaddr; /* of the instruction that is executed out of its place */
};

struct mm_struct;

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int exit_state; /* not 0: it has ended, and waits for its parent to notice */
	int pid;	/* the thread */
	int tgid;	/* the process */
	char comm[COMM_BYTES];
	struct mm_struct *mm; /* NULL: a kernel thread, or exited */
	struct uprobe_task *utask;
};

#pragma clang attribute pop

/* Of the current task. */
static UNWIND_ALWAYS_INLINE long unwind_return_probe(uint64_t cursor, struct unwind_return_probe *ret_probe)
{
	struct return_instance *instance = (void *)cursor;
	if (cursor == UNWIND_RETURN_PROBE_NEWEST) {
		struct task_struct *task = (void *)bpf_get_current_task();
		instance = BPF_CORE_READ(task, utask, return_instances);
	}
	if (!instance || cursor == UNWIND_RETURN_PROBE_NONE)
		return -1;
	ret_probe->address = BPF_CORE_READ(instance, orig_ret_vaddr);
	ret_probe->stack = BPF_CORE_READ(instance, stack);
	ret_probe->next = (uint64_t)BPF_CORE_READ(instance, next);
	if (!ret_probe->next)
		ret_probe->next = UNWIND_RETURN_PROBE_NONE;
	return 0;
}

/* Of the instruction that the current task executes out of its place, because of a probe there. */
static UNWIND_ALWAYS_INLINE long unwind_uprobe_address(uint64_t *ret_address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct uprobe_task *utask = BPF_CORE_READ(task, utask);
	if (!utask)
		return -1;
	*ret_address = BPF_CORE_READ(utask, vaddr);
	return 0;
}

static UNWIND_ALWAYS_INLINE long unwind_read_user(void *destination, uint32_t bytes, uint64_t address)
{
	return bpf_probe_read_user(destination, bytes, (const void *)address);
}

/* Registers of user space into a walk: what a uprobe or a perf event in user mode is given, or what
 * bpf_task_pt_regs() finds at the top of the kernel's stack. */
#if defined(__TARGET_ARCH_x86)
static UNWIND_ALWAYS_INLINE void unwind_fill_user_registers(struct pt_regs *regs, struct unwind_walk *walk)
{
	walk->registers[0] = regs->rax;
	walk->registers[1] = regs->rdx;
	walk->registers[2] = regs->rcx;
	walk->registers[3] = regs->rbx;
	walk->registers[4] = regs->rsi;
	walk->registers[5] = regs->rdi;
	walk->registers[6] = regs->rbp;
	walk->registers[7] = regs->rsp;
	walk->registers[8] = regs->r8;
	walk->registers[9] = regs->r9;
	walk->registers[10] = regs->r10;
	walk->registers[11] = regs->r11;
	walk->registers[12] = regs->r12;
	walk->registers[13] = regs->r13;
	walk->registers[14] = regs->r14;
	walk->registers[15] = regs->r15;
	walk->registers[16] = regs->rip;
}
#elif defined(__TARGET_ARCH_arm64)
static UNWIND_ALWAYS_INLINE void unwind_fill_user_registers(struct pt_regs *regs, struct unwind_walk *walk)
{
	struct user_pt_regs *user = (void *)regs;
	walk->registers[UNWIND_REGISTER_BP] = user->regs[29];
	walk->registers[UNWIND_REGISTER_SP] = user->sp;
	walk->registers[UNWIND_REGISTER_PC] = user->pc;
}
#endif

#endif
