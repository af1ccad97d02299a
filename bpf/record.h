/* SPDX-License-Identifier: Apache-2.0
 *
 * Records: one sample with its stacks, written to the ring that user space reads. A record is larger than a
 * BPF stack, so it is put together in memory of the CPU; programs that can interrupt each other use
 * different pieces of it.
 */
#ifndef BPF_RECORD_H
#define BPF_RECORD_H

enum scratch_use {
	SCRATCH_CPU,	/* from the timer's interrupt */
	SCRATCH_SWITCH, /* with interrupts off, under the run queue's lock */
	SCRATCH_FAULT,	/* software events: preemption is off */
	SCRATCH_COUNT,
};

struct scratch {
	struct unwind_walk walk;
	struct interpreter_walk interpreter;
	struct record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_COUNT);
	__type(key, uint32_t);
	__type(value, struct scratch);
} scratches SEC(".maps");

enum { REQUEST_PAUSE_NS = 10 * 1000 * 1000 }; /* between two questions for the same process's mappings */

static __always_inline void record_begin(struct record *record, enum record_kind kind, uint64_t now_ns)
{
	uint64_t id = bpf_get_current_pid_tgid();
	record->kind = kind;
	record->tgid = id >> 32;
	record->tid = (uint32_t)id;
	record->time_ns = now_ns;
	record->stage = stage_of(record->tid);
	record->weight = record->count = record->address = 0;
	record->stop = UNWIND_STOP_NO_USER;
	record->scanned = 0;
	record->user_frames = record->kernel_frames = record->interpreter_frames = 0;
	record->generation = 0;
	bpf_get_current_comm(record->comm, sizeof record->comm);
}

/* Without waking the reader, who comes by ten times a second; `wake` when it should come now. 0, or -1: lost.
 */
static __always_inline int record_emit(struct record *record, int wake)
{
	uint32_t frames = (uint32_t)record->user_frames + record->kernel_frames + record->interpreter_frames;
	if (frames > RECORD_FRAMES_MAX)
		return -1;
	uint32_t bytes = (uint32_t) __builtin_offsetof(struct record, frames) + frames * 8;
	if (bpf_ringbuf_output(&records, record, bytes, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP) == 0)
		return 0;
	count(COUNTER_RING_FULL);
	return -1;
}

/* The kernel's part of the stack, from where the task entered it. */
static __always_inline void record_kernel_stack(void *context, struct record *record)
{
	long bytes = bpf_get_stack(context, record->frames, KERNEL_FRAMES_MAX * 8, 0);
	record->kernel_frames = bytes > 0 ? (uint16_t)((uint32_t)bytes / 8) : 0;
}

/* What the walk has found, behind the kernel's part. */
static __always_inline void record_user_frames(struct record *record, const struct unwind_walk *walk)
{
	uint32_t at = record->kernel_frames;
	uint32_t frames = walk->frame_count;
	if (at > KERNEL_FRAMES_MAX || frames > UNWIND_FRAMES_MAX)
		return;
	if (bpf_probe_read_kernel(&record->frames[at], frames * 8, walk->frames) < 0)
		return;
	record->user_frames = (uint16_t)frames;
	record->stop = walk->stop;
	record->scanned = (uint16_t)walk->scanned;
}

/* What the program calls that the current task interprets, behind all other frames. */
static __always_inline void record_interpreter(struct scratch *scratch, struct record *record)
{
	struct interpreter_walk *walk = &scratch->interpreter;
	record->interpreter_frames = 0;
	if (!interpreter_begin(walk, record->tid))
		return;
	interpreter_walk(walk);
	uint32_t at = (uint32_t)record->kernel_frames + record->user_frames;
	uint32_t frames = walk->count;
	if (at > KERNEL_FRAMES_MAX + UNWIND_FRAMES_MAX || frames > INTERPRETER_FRAMES_MAX)
		return;
	if (bpf_probe_read_kernel(&record->frames[at], frames * 8, walk->words) == 0)
		record->interpreter_frames = (uint16_t)frames;
}

static __always_inline void record_generation(struct record *record)
{
	const struct unwind_process *process = unwind_process_of(record->tgid);
	record->generation = process ? process->generation : 0;
}

/* A kernel thread, or a task that has given its memory away. */
static __always_inline int task_has_user(struct task_struct *task)
{
	return !(task->flags & KERNEL_PF_KTHREAD) && task->mm != 0;
}

/* Asks user space to read a process's mappings (again), now and then. */
static __always_inline void request_mappings(struct record *record)
{
	uint32_t tgid = record->tgid;
	uint64_t now_ns = record->time_ns;
	uint64_t *asked_ns = bpf_map_lookup_elem(&requests, &tgid);
	if (asked_ns && now_ns - *asked_ns < REQUEST_PAUSE_NS)
		return;
	bpf_map_update_elem(&requests, &tgid, &now_ns, BPF_ANY);
	uint32_t kind = record->kind;
	uint64_t weight = record->weight;
	uint16_t user_frames = record->user_frames, kernel_frames = record->kernel_frames;
	uint16_t interpreter_frames = record->interpreter_frames;
	record->kind = RECORD_MAPPINGS;
	record->weight = 0;
	/* None are sent: the reader checks the length. */
	record->user_frames = record->kernel_frames = record->interpreter_frames = 0;
	if (bpf_ringbuf_output(&records, record, __builtin_offsetof(struct record, frames),
			       BPF_RB_FORCE_WAKEUP) < 0)
		count(COUNTER_RING_FULL);
	record->kind = kind;
	record->weight = weight;
	record->user_frames = user_frames;
	record->kernel_frames = kernel_frames;
	record->interpreter_frames = interpreter_frames;
}

static __always_inline int walk_lacks_mappings(uint32_t stop)
{
	return stop == UNWIND_STOP_NO_PROCESS || stop == UNWIND_STOP_NO_MAPPING;
}

/* The user's part of the current task's stack, from the registers that it entered the kernel with. */
static __always_inline void record_user_stack(struct scratch *scratch, struct task_struct *task)
{
	struct record *record = &scratch->record;
	record_generation(record);
	if (!task_has_user(task))
		return;
	unwind_fill_user_registers((struct pt_regs *)bpf_task_pt_regs(task), &scratch->walk);
	unwind_stack(&scratch->walk, record->tgid);
	record_user_frames(record, &scratch->walk);
	record_interpreter(scratch, record);
	if (walk_lacks_mappings(record->stop))
		request_mappings(record);
}

static __always_inline struct scratch *scratch_of(enum scratch_use use)
{
	uint32_t key = use;
	return bpf_map_lookup_elem(&scratches, &key);
}

#endif
