/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples by time on the CPU, and by page faults. Both hang on perf events of the target's own tasks, so
 * that nobody else is interrupted; but where processes come and go the clock is each CPU's (see events.c),
 * and asks who is on it.
 */
#ifndef BPF_CPU_H
#define BPF_CPU_H

/* By tid: the task's run time at its last sample, for events that count other things than time. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, uint32_t);
	__type(value, uint64_t);
} run_times SEC(".maps");

/* A sample that would stand for more follows a pause of sampling; at 1 Hz one stands for a second. */
#define RUN_TIME_MAX_NS (5000 * 1000 * 1000ULL)
#define RUN_TIME_FIRST_NS                                                                                    \
	(50 * 1000 * 1000ULL) /* a thread that has run less has most likely begun meanwhile */

/* Nanoseconds that this sample stands for. The CPU clock's period is exactly that. For cycles, whose period
 * the kernel adapts to reach the frequency, it is what the task has run since its last sample. */
static __always_inline uint64_t cpu_weight_ns(struct bpf_perf_event_data *context, struct task_struct *task,
					      uint64_t period_ns)
{
	if (period_ns)
		return context->sample_period;
	uint32_t tid = (uint32_t)task->pid;
	uint64_t run_ns = ((struct task_struct___life *)task)->se.sum_exec_runtime;
	uint64_t *before_ns = bpf_map_lookup_elem(&run_times, &tid);
	uint64_t weight_ns = before_ns ? run_ns - *before_ns : run_ns < RUN_TIME_FIRST_NS ? run_ns : 0;
	bpf_map_update_elem(&run_times, &tid, &run_ns, BPF_ANY);
	return weight_ns < RUN_TIME_MAX_NS ? weight_ns : 0;
}

SEC("perf_event")
int on_cpu(struct bpf_perf_event_data *context)
{
	const struct profiler_control *control = control_of();
	struct scratch *scratch = scratch_of(SCRATCH_CPU);
	if (!control || !control->window_open || !scratch || !is_target(bpf_get_current_pid_tgid() >> 32))
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct record *record = &scratch->record;
	record_begin(record, RECORD_CPU, bpf_ktime_get_ns());
	record->weight = cpu_weight_ns(context, task, control->cpu_period_ns);
	record->count = 1;
	if (!registers_are_user(&context->regs))
		record_kernel_stack(context, record);
	record_user_stack(scratch, task);
	record_emit(record, 0);
	return 0;
}

/* A page fault of the target's: who touches memory for the first time. When they come too fast user space
 * raises the period: then one in so many is looked at, by chance. */
SEC("perf_event")
int on_fault(struct bpf_perf_event_data *context)
{
	const struct profiler_control *control = control_of();
	struct scratch *scratch = scratch_of(SCRATCH_FAULT);
	if (!scratch || !control)
		return 0;
	uint32_t period = control->fault_period;
	if (period > 1 && bpf_get_prandom_u32() % period)
		return 0;
	struct record *record = &scratch->record;
	record_begin(record, RECORD_FAULT, bpf_ktime_get_ns());
	if (!is_target(record->tgid))
		return 0;
	record->weight = period ? period : 1;
	record->count = 1;
	count(COUNTER_FAULTS);
	record->address = context->addr;
	record_user_stack(scratch, bpf_get_current_task_btf());
	record_emit(record, 0);
	return 0;
}

#endif
