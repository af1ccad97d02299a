/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes come, execute other programs and go; memory is mapped and unmapped. User space is told, and wakes
 * up where it must act before the next sample.
 */
#ifndef BPF_LIFE_H
#define BPF_LIFE_H

enum { SIGNAL_CONTINUE = 18, SIGNAL_STOP = 19 }; /* on x86 and arm64 */

/* A program that was started to be recorded waits until user space has read what it has mapped: what it does
 * next is seen with its stacks. It stops on its way out of the kernel; user space sends SIGCONT when it has
 * read the record, which must not be before this, so the record comes after. */
static __always_inline int stop_until_read(uint32_t tgid)
{
	const struct profiler_control *control = control_of();
	return control && control->stop_tgid == tgid && bpf_send_signal(SIGNAL_STOP) == 0;
}

/* The record was lost, or user space has ended the recording meanwhile: nobody would let it go on. */
static __always_inline void stop_no_more(int lost)
{
	const struct profiler_control *control = control_of();
	if (lost || !control || !*(const volatile uint32_t *)&control->stop_tgid)
		bpf_send_signal(SIGNAL_CONTINUE);
}

/* From tracepoints that run with preemption off. `stops`: the process waits for its SIGCONT. 0, or -1: lost.
 */
static __always_inline int tell(enum record_kind kind, uint32_t tgid, uint32_t tid, int stops)
{
	struct scratch *scratch = scratch_of(SCRATCH_SWITCH);
	if (!scratch)
		return -1;
	record_begin(&scratch->record, kind, bpf_ktime_get_ns());
	scratch->record.tgid = tgid;
	scratch->record.tid = tid;
	scratch->record.weight = (uint64_t)stops;
	return record_emit(&scratch->record, 1);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	const struct profiler_control *control = control_of();
	uint32_t parent_tgid = (uint32_t)parent->tgid;
	uint32_t child_tgid = (uint32_t)child->tgid;
	if (!control || child_tgid == parent_tgid)
		return 0;
	if (!control->follow_children || !is_target(parent_tgid)) {
		bpf_map_delete_elem(&targets,
				    &child_tgid); /* the end of an earlier owner of the number was lost */
		return 0;
	}
	uint32_t epoch = 1;
	if (bpf_map_update_elem(&targets, &child_tgid, &epoch, BPF_ANY) < 0) {
		count(COUNTER_TARGETS_FULL);
		return 0;
	}
	/* The child begins with its parent's mappings. */
	const struct unwind_process *process = unwind_process_of(parent_tgid);
	if (process) {
		struct unwind_process copy = *process;
		bpf_map_update_elem(&processes, &child_tgid, &copy, BPF_ANY);
	}
	tell(RECORD_FORK, parent_tgid, child_tgid, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	uint32_t tgid = (uint32_t)task->tgid;
	uint32_t *epoch = bpf_map_lookup_elem(&targets, &tgid);
	if (!epoch)
		return 0;
	(*epoch)++; /* its blocks and addresses are gone */
	bpf_map_delete_elem(&processes, &tgid);
	int stops = stop_until_read(tgid);
	int lost = tell(RECORD_EXEC, tgid, (uint32_t)task->pid, stops) < 0;
	if (stops)
		stop_no_more(lost);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	uint32_t tgid = (uint32_t)task->tgid;
	if (!is_target(tgid))
		return 0;
	int live = BPF_CORE_READ((struct task_struct___life *)task, signal, live.counter);
	if (live == 0 && tell(RECORD_EXIT, tgid, (uint32_t)task->pid, 0) < 0) {
		/* User space will not hear of it, and the tables have room for the living only. */
		bpf_map_delete_elem(&targets, &tgid);
		bpf_map_delete_elem(&processes, &tgid);
	}
	return 0;
}

/* Whether the task's system call comes from inside an allocator: of a call that is followed its place on the
 * stack tells, of one that is not (it was not sampled) its return address is still there. */
static __always_inline int is_in_allocator(const struct heap_task *state, struct task_struct *task)
{
	uint64_t sp = PT_REGS_SP((struct pt_regs *)bpf_task_pt_regs(task));
	uint64_t return_address = 0;
	if (state->depth && sp < state->calls[(state->depth - 1) & (HEAP_DEPTH_MAX - 1)].sp)
		return 1;
	if (sp >= state->skipped_sp ||
	    bpf_probe_read_user(&return_address, sizeof return_address, (const void *)state->skipped_sp) < 0)
		return 0;
	if (return_address == state->skipped_return)
		return 1;
	/* Another profiler wants to know when the call returns: the kernel has put its trampoline there
	 * since. */
	struct unwind_return_probe probe = { 0 };
	return unwind_return_probe(UNWIND_RETURN_PROBE_NEWEST, &probe) == 0 &&
	       probe.stack == state->skipped_sp && probe.address == state->skipped_return;
}

/* From programs that can be preempted. 0, or -1: lost. */
static __always_inline int tell_memory(struct task_struct *task, enum record_kind kind, uint64_t address,
				       uint64_t bytes)
{
	struct heap_task *state = bpf_task_storage_get(&heap_tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!state) {
		count(COUNTER_STORAGE_FULL);
		return -1;
	}
	struct record *record = &state->call.record;
	record_begin(record, kind, bpf_ktime_get_ns());
	record->address = address;
	record->weight = bytes; /* of RECORD_MAPPINGS: whether it waits for its SIGCONT */
	/* What an allocator maps is for blocks that are counted one by one. */
	const struct profiler_control *control = control_of();
	record->count = control && control->heap_on && is_in_allocator(state, task);
	if (kind == RECORD_MAP || kind == RECORD_BRK)
		record_user_stack(&state->call, task);
	return record_emit(record, kind == RECORD_MAPPINGS);
}

/* New code: its rows must be there before it is sampled. */
static __always_inline void tell_code(struct task_struct *task)
{
	int stops = stop_until_read((uint32_t)task->tgid);
	int lost = tell_memory(task, RECORD_MAPPINGS, 0, (uint64_t)stops) < 0;
	if (stops)
		stop_no_more(lost);
}

static __always_inline void on_mmap(struct task_struct *task, struct pt_regs *registers, long result,
				    int memory_on)
{
	/* Code of a file has unwind rows. Generated code has none: a stack that meets it asks for the
	 * mappings, and a compiler that maps piece by piece is not stopped at each. */
	if (call_argument(registers, 2) & PROTECTION_EXECUTE &&
	    !(call_argument(registers, 3) & MAP_OF_NO_FILE))
		tell_code(task);
	if (memory_on)
		tell_memory(task, RECORD_MAP, (uint64_t)result, call_argument(registers, 1));
}

/* At the end of one of the calls that change what is mapped. */
static __always_inline int memory_call(struct pt_regs *registers, uint64_t number, long result)
{
	const struct profiler_control *control = control_of();
	struct task_struct *task = bpf_get_current_task_btf();
	if (!control || !is_target((uint32_t)task->tgid))
		return 0;
	int failed = result < 0 && result > -4096;
	if (number == CALL_MMAP && !failed) {
		on_mmap(task, registers, result, control->memory_on);
	} else if (!control->memory_on || failed) {
		return 0;
	} else if (number == CALL_MUNMAP) {
		tell_memory(task, RECORD_UNMAP, call_argument(registers, 0), call_argument(registers, 1));
	} else if (number == CALL_MREMAP) {
		tell_memory(task, RECORD_UNMAP, call_argument(registers, 0), call_argument(registers, 1));
		tell_memory(task, RECORD_MAP, (uint64_t)result, call_argument(registers, 2));
	} else if (number == CALL_BRK) {
		tell_memory(task, RECORD_BRK, (uint64_t)result, 0);
	}
	return 0;
}

/* Where the kernel can be traced by function (ftrace), only these four calls cost anything. */
SEC("fexit/" CALL_PREFIX "mmap")
int BPF_PROG(on_call_mmap, struct pt_regs *registers, long result)
{
	return memory_call(registers, CALL_MMAP, result);
}

SEC("fexit/" CALL_PREFIX "munmap")
int BPF_PROG(on_call_munmap, struct pt_regs *registers, long result)
{
	return memory_call(registers, CALL_MUNMAP, result);
}

SEC("fexit/" CALL_PREFIX "mremap")
int BPF_PROG(on_call_mremap, struct pt_regs *registers, long result)
{
	return memory_call(registers, CALL_MREMAP, result);
}

SEC("fexit/" CALL_PREFIX "brk")
int BPF_PROG(on_call_brk, struct pt_regs *registers, long result)
{
	return memory_call(registers, CALL_BRK, result);
}

/* Elsewhere this runs at the end of every system call of every process: 0.2 microseconds each. */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_system_call, struct pt_regs *registers, long result)
{
	uint64_t number = registers_system_call(registers);
	if (number != CALL_MMAP && number != CALL_MUNMAP && number != CALL_BRK && number != CALL_MREMAP)
		return 0;
	return memory_call(registers, number, result);
}

#endif
