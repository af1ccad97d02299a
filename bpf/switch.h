/* SPDX-License-Identifier: Apache-2.0
 *
 * Time off the CPU, sampled by its duration: of each thread, every off_cpu_rate_ns of waiting yields one
 * sample, so that a long wait is always seen and many short ones cost little. Waiting is split at the
 * wake-up: asleep (blocked) before, in the run queue after.
 *
 * The stack must be taken when the thread leaves, before anybody knows for how long. A thread that leaves
 * again from the same place (same call, same program counter, stack pointer, frame pointer and return
 * address) has the same stack: it is walked once, and again every WALK_AGAIN times; always where a program is
 * interpreted, whose calls do not show in these.
 */
#ifndef BPF_SWITCH_H
#define BPF_SWITCH_H

enum { WALK_AGAIN = 64 };

/* Where a thread entered the kernel. */
struct switch_place {
	uint64_t pc, sp, bp, system_call, return_address;
};

struct switch_task {
	uint64_t out_ns;  /* when it left the CPU; 0: it has not, or nobody looked */
	uint64_t wake_ns; /* when it became runnable again; 0: not yet */
	uint64_t blocked_left_ns, runqueue_left_ns; /* until the next sample of each kind */
	struct switch_place place;
	uint32_t reused;
	uint32_t drawn; /* the two distances above have their random start */
	struct record record;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct switch_task);
} switch_tasks SEC(".maps");

static __always_inline void place_of(struct pt_regs *registers, struct switch_place *ret_place)
{
	ret_place->pc = PT_REGS_IP(registers);
	ret_place->sp = PT_REGS_SP(registers);
	ret_place->bp = PT_REGS_FP(registers);
	ret_place->system_call = registers_system_call(registers);
	bpf_probe_read_user(&ret_place->return_address, 8, (const void *)ret_place->sp);
}

static __always_inline int place_is(const struct switch_place *a, const struct switch_place *b)
{
	return a->pc == b->pc && a->sp == b->sp && a->bp == b->bp && a->system_call == b->system_call &&
	       a->return_address == b->return_address;
}

/* Takes the stack of the thread that leaves, or knows that it is the one taken last. */
static __always_inline void switch_walk(void *context, struct task_struct *task, struct switch_task *state)
{
	struct scratch *scratch = scratch_of(SCRATCH_SWITCH);
	if (!scratch)
		return;
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(task);
	struct switch_place place = {};
	place_of(registers, &place);
	const struct unwind_process *process = unwind_process_of(state->record.tgid);
	uint32_t generation = process ? process->generation : 0;
	if (state->record.user_frames && state->reused < WALK_AGAIN && !state->record.interpreter_frames &&
	    !interpreter_runs((uint32_t)task->pid) && generation == state->record.generation &&
	    place_is(&place, &state->place)) {
		state->reused++;
		return;
	}
	state->reused = 0;
	state->place = place;
	count(COUNTER_SWITCH_WALKS);
	struct record *record = &state->record;
	record_begin(record, RECORD_BLOCKED, state->out_ns);
	record_kernel_stack(context, record);
	record_generation(record);
	if (!task_has_user(task))
		return;
	unwind_fill_user_registers(registers, &scratch->walk);
	unwind_stack(&scratch->walk, record->tgid);
	record_user_frames(record, &scratch->walk);
	record_interpreter(scratch, record);
	if (walk_lacks_mappings(record->stop))
		request_mappings(record);
}

/* How many samples `waited_ns` yields; moves the distance to the next one on. */
static __always_inline uint64_t samples_due(uint64_t waited_ns, uint64_t *left_ns, uint64_t rate_ns)
{
	if (waited_ns < *left_ns) {
		*left_ns -= waited_ns;
		return 0;
	}
	uint64_t over_ns = waited_ns - *left_ns;
	*left_ns = rate_ns - over_ns % rate_ns;
	return 1 + over_ns / rate_ns;
}

static __always_inline void switch_emit(struct switch_task *state, enum record_kind kind, uint64_t waited_ns,
					uint64_t *left_ns, uint64_t rate_ns)
{
	uint64_t samples = samples_due(waited_ns, left_ns, rate_ns);
	if (!samples)
		return;
	state->record.kind = kind;
	state->record.count = samples;
	state->record.weight = samples * rate_ns;
	record_emit(&state->record, 0);
}

/* A thread that was away comes back at now_ns (or is looked at while it is away). */
static __always_inline void switch_account(struct switch_task *state, uint64_t now_ns, uint64_t rate_ns)
{
	uint64_t blocked_end_ns = state->wake_ns ? state->wake_ns : now_ns;
	if (blocked_end_ns > state->out_ns)
		switch_emit(state, RECORD_BLOCKED, blocked_end_ns - state->out_ns, &state->blocked_left_ns,
			    rate_ns);
	if (now_ns > blocked_end_ns)
		switch_emit(state, RECORD_RUNQUEUE, now_ns - blocked_end_ns, &state->runqueue_left_ns,
			    rate_ns);
}

/* A random start makes equal distances fair. */
static __always_inline void switch_draw(struct switch_task *state, uint64_t rate_ns)
{
	if (state->drawn)
		return;
	state->blocked_left_ns = 1 + ((uint64_t)bpf_get_prandom_u32() * rate_ns >> 32);
	state->runqueue_left_ns = 1 + ((uint64_t)bpf_get_prandom_u32() * rate_ns >> 32);
	state->drawn = 1;
}

/* A thread that ends before its first sample was due has run, but is in no profile. */
static __always_inline void count_unsampled(struct task_struct *task)
{
	const struct profiler_control *control = control_of();
	uint64_t run_ns = ((struct task_struct___life *)task)->se.sum_exec_runtime;
	if (control && run_ns < control->first_sample_ns)
		count_many(COUNTER_UNSAMPLED_NS, run_ns);
}

static __always_inline void switch_out(void *context, struct task_struct *task, int preempted,
				       uint64_t now_ns, uint64_t rate_ns)
{
	uint32_t tgid = (uint32_t)task->tgid;
	if (!is_target(tgid))
		return;
	if (task->__state == KERNEL_TASK_DEAD) { /* it does not come back */
		count_unsampled(task);
		return;
	}
	struct switch_task *state =
		bpf_task_storage_get(&switch_tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!state) {
		count(COUNTER_STORAGE_FULL);
		return;
	}
	count(COUNTER_SWITCHES);
	switch_draw(state, rate_ns);
	state->out_ns = now_ns;
	/* Still runnable: all of the time away is spent in the run queue. */
	state->wake_ns = preempted || task->__state == KERNEL_TASK_RUNNING ? now_ns : 0;
	state->record.tgid = tgid;
	switch_walk(context, task, state);
	state->record.stage = stage_of((uint32_t)task->pid);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool preempted, struct task_struct *previous, struct task_struct *next)
{
	const struct profiler_control *control = control_of();
	if (!control || !control->window_open || !control->off_cpu_rate_ns)
		return 0;
	uint64_t now_ns = bpf_ktime_get_ns();
	uint64_t rate_ns = control->off_cpu_rate_ns;
	switch_out(ctx, previous, preempted, now_ns, rate_ns);
	if (!is_target((uint32_t)next->tgid))
		return 0;
	struct switch_task *state = bpf_task_storage_get(&switch_tasks, next, 0, 0);
	if (!state || !state->out_ns)
		return 0;
	switch_account(state, now_ns, rate_ns);
	state->out_ns = state->wake_ns = 0;
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task)
{
	const struct profiler_control *control = control_of();
	if (!control || !control->window_open || !is_target((uint32_t)task->tgid))
		return 0;
	struct switch_task *state = bpf_task_storage_get(&switch_tasks, task, 0, 0);
	if (state && state->out_ns && !state->wake_ns)
		state->wake_ns = bpf_ktime_get_ns();
	return 0;
}

/* The stack of a thread that sleeps already: the kernel's part, and where it entered the kernel. The rest of
 * its user stack is in memory that cannot be read from here. */
static __always_inline void away_record(struct record *record, struct task_struct *task, uint64_t now_ns)
{
	struct pt_regs *registers = (struct pt_regs *)bpf_task_pt_regs(task);
	record->kind = RECORD_BLOCKED;
	record->tgid = (uint32_t)task->tgid;
	record->tid = (uint32_t)task->pid;
	record->stage = stage_of(record->tid);
	record->time_ns = now_ns;
	record->address = 0;
	record->scanned = 0;
	record->stop = UNWIND_STOP_NO_USER;
	bpf_probe_read_kernel(record->comm, sizeof record->comm, task->comm);
	long bytes = bpf_get_task_stack(task, record->frames, KERNEL_FRAMES_MAX * 8, 0);
	uint32_t frames = bytes > 0 ? (uint32_t)bytes / 8 : 0;
	record->kernel_frames = (uint16_t)frames;
	record->user_frames = record->interpreter_frames = 0;
	record_generation(record);
	if (!task_has_user(task) || frames > KERNEL_FRAMES_MAX)
		return;
	record->frames[frames] = PT_REGS_IP(registers);
	record->user_frames = 1;
	record->stop = UNWIND_STOP_READ;
}

/* Threads that are away when the window opens: they have been since long, perhaps for all of the window. */
SEC("iter/task")
int on_window_begin(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	const struct profiler_control *control = control_of();
	if (!task || !control || !control->off_cpu_rate_ns || !is_target((uint32_t)task->tgid))
		return 0;
	if (((struct task_struct___life *)task)->on_cpu || task->exit_state)
		return 0;
	struct switch_task *state =
		bpf_task_storage_get(&switch_tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!state || state->out_ns)
		return 0;
	uint64_t now_ns = bpf_ktime_get_ns();
	switch_draw(state, control->off_cpu_rate_ns);
	away_record(&state->record, task, now_ns);
	state->place.pc = 0; /* not a stack to be taken for another */
	state->wake_ns = task->__state == KERNEL_TASK_RUNNING ? now_ns : 0;
	state->out_ns = now_ns;
	return 0;
}

/* Threads that are still away when the window closes: user space reads this iterator then. What they have
 * waited so far counts. */
SEC("iter/task")
int on_window_end(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	const struct profiler_control *control = control_of();
	if (!task || !control || !control->off_cpu_rate_ns || !is_target((uint32_t)task->tgid))
		return 0;
	struct switch_task *state = bpf_task_storage_get(&switch_tasks, task, 0, 0);
	if (!state || !state->out_ns || task->exit_state)
		return 0;
	switch_account(state, bpf_ktime_get_ns(), control->off_cpu_rate_ns);
	state->out_ns = state->wake_ns = 0;
	return 0;
}

#endif
