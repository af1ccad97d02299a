/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocations: probes on the entry and the return of an allocator's functions, and on the entry of free().
 *
 * A block is known from the return of the call that made it, since only then its address is known and nobody
 * else can have it; it is forgotten at the entry of free() or realloc(), before another thread can get the
 * address. What a call asked for waits in memory of the thread meanwhile; calls nest (reallocarray calls
 * realloc), and then only the inner one counts. A call that never returns (longjmp) is dropped when a
 * later one finds the stack pointer above it.
 *
 * Sampled by bytes: each thread counts down an exponentially drawn distance; the allocation that crosses it
 * is taken and stands for size / (1 - exp(-size / rate)) bytes.
 */
#ifndef BPF_HEAP_H
#define BPF_HEAP_H

/* -ln(u) and x / (1 - exp(-x)); filled by user space before loading. */
const volatile uint32_t heap_draws[HEAP_DRAWS + 1];
const volatile uint32_t heap_weights[HEAP_WEIGHT_STEPS + 1];

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20); /* 100 MB when full */
	__type(key, struct heap_live_key);
	__type(value, struct heap_live);
} heap_live SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 15); /* different stacks that allocate: 1 KB each */
	__type(key, struct heap_stack_key);
	__type(value, struct heap_stack);
} heap_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct heap_site);
	__type(value, struct heap_total);
} heap_sites SEC(".maps");

/* 1: called at the return; a function of the kernel, not a helper. */
extern _Bool bpf_session_is_return(void) __ksym __weak;

/* -ln(u) * rate, as fine as a byte: were it of a thousand values only, the smallest of them half a kilobyte
 * at 512 KiB, small blocks that are made each after a large one would never be taken. */
static __always_inline uint64_t heap_draw(uint64_t rate_bytes)
{
	uint32_t random = bpf_get_prandom_u32();
	uint64_t draw = 0;
	if (!(random &
	      (HEAP_DRAWS - 1))) { /* to the left of the first point: beyond it all is as from 0 on */
		draw = heap_draws[1];
		random = bpf_get_prandom_u32();
	}
	uint32_t index = random & (HEAP_DRAWS - 1);
	if (!index)
		index = 1;
	uint64_t from = heap_draws[index];
	uint64_t to = heap_draws[index + 1];
	draw += from - ((from - to) * (random >> 10) >> 22);
	return (rate_bytes * draw >> 24) + 1;
}

/* Whether this allocation is taken; moves the thread's countdown on. */
static __always_inline int heap_is_sampled(struct heap_task *task, uint64_t bytes, uint64_t rate_bytes)
{
	if (rate_bytes <= 1)
		return 1;
	if (!task->left_bytes)
		task->left_bytes = heap_draw(rate_bytes);
	if (bytes < task->left_bytes) {
		task->left_bytes -= bytes;
		return 0;
	}
	task->left_bytes = heap_draw(rate_bytes);
	return 1;
}

/* size / (1 - exp(-size / rate)) */
static __always_inline uint64_t heap_weight_bytes(uint64_t bytes, uint64_t rate_bytes)
{
	uint64_t limit = rate_bytes << HEAP_WEIGHT_STEP_SHIFT;
	if (bytes >= limit)
		return bytes;
	uint64_t position = (bytes << (16 + HEAP_WEIGHT_STEP_SHIFT)) / rate_bytes;
	uint32_t index = (uint32_t)(position >> 16);
	if (index >= HEAP_WEIGHT_STEPS)
		return bytes;
	uint64_t from = heap_weights[index];
	uint64_t to = heap_weights[index + 1];
	uint64_t factor = from + ((to - from) * (position & 0xffff) >> 16);
	/* Rounded by chance: with small rates half a byte is a lot. */
	return (rate_bytes * factor + (bpf_get_prandom_u32() & 0xffff)) >> 16;
}

/* How many bytes a call asks for. */
static __always_inline uint64_t heap_bytes_asked(struct pt_regs *registers, uint32_t allocator)
{
	uint64_t first = PT_REGS_PARM1(registers);
	uint64_t second = PT_REGS_PARM2(registers);
	uint64_t third = PT_REGS_PARM3(registers);
	switch (allocator) {
	case HEAP_CALLOC:
		return first * second; /* an overflow is refused by the allocator: nothing is returned */
	case HEAP_REALLOC:
	case HEAP_ALIGNED_ALLOC:
	case HEAP_MEMALIGN:
		return second;
	case HEAP_REALLOCARRAY:
		return second * third;
	case HEAP_POSIX_MEMALIGN:
		return third;
	default:
		return first;
	}
}

/* Drops calls that the thread has left without returning from them. */
static __always_inline void heap_drop_left(struct heap_task *task, uint64_t sp, uint32_t allocator)
{
	for (int i = 0; i < HEAP_DEPTH_MAX; i++) {
		if (!task->depth)
			return;
		struct heap_call *top = &task->calls[(task->depth - 1) & (HEAP_DEPTH_MAX - 1)];
		/* Equal: a tail call, or the same call again after a jump out of it. */
		if (top->sp > sp || (top->sp == sp && top->allocator != allocator))
			return;
		task->depth--;
	}
}

/* Forgets a block before the allocator can give its address to somebody else. */
static __always_inline int heap_forget(uint64_t address, uint32_t tgid, struct heap_live *ret_block)
{
	struct heap_live_key key = { .address = address, .tgid = tgid, .epoch = epoch_of(tgid) };
	struct heap_live *block = bpf_map_lookup_elem(&heap_live, &key);
	if (!block) {
		count(COUNTER_HEAP_UNKNOWN_FREES);
		return 0;
	}
	*ret_block = *block;
	bpf_map_delete_elem(&heap_live, &key);
	return 1;
}

/* A call begins. Returns 1 when nobody needs to know how it ends: it is not sampled, and no call can be
 * inside it that would have to know that. */
static __always_inline int allocator_entry(struct pt_regs *context, int can_skip)
{
	const struct profiler_control *control = control_of();
	uint32_t tgid = bpf_get_current_pid_tgid() >> 32;
	uint32_t cookie = (uint32_t)bpf_get_attach_cookie(context);
	uint32_t allocator = cookie & HEAP_COOKIE_ALLOCATOR;
	if (!control || !control->heap_on || !is_target(tgid))
		return 1;
	count(COUNTER_HEAP_HITS);
	struct heap_task *task = bpf_task_storage_get(&heap_tasks, bpf_get_current_task_btf(), 0,
						      BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!task) {
		count(COUNTER_STORAGE_FULL);
		return 1;
	}
	uint64_t sp = PT_REGS_SP(context);
	heap_drop_left(task, sp, allocator);
	if (task->depth >= HEAP_DEPTH_MAX)
		return 1;
	struct heap_call *call = &task->calls[task->depth & (HEAP_DEPTH_MAX - 1)];
	call->sp = sp;
	call->allocator = allocator;
	call->bytes = heap_bytes_asked(context, allocator);
	call->argument = PT_REGS_PARM1(context);
	call->inner = 0;
	call->has_old = 0;
	if (task->depth)
		call->sampled = task->calls[(task->depth - 1) & (HEAP_DEPTH_MAX - 1)].sampled;
	else
		call->sampled = (uint32_t)heap_is_sampled(task, call->bytes, control->heap_rate_bytes);
	int resizes = allocator == HEAP_REALLOC || allocator == HEAP_REALLOCARRAY;
	if (resizes && call->argument)
		call->has_old = (uint32_t)heap_forget(call->argument, tgid, &call->old);
	if (can_skip && cookie & HEAP_COOKIE_LEAF && !call->sampled && !call->has_old) {
		task->skipped_sp = sp;
		bpf_probe_read_user(&task->skipped_return, sizeof task->skipped_return, (const void *)sp);
		return 1;
	}
	task->depth++;
	return 0;
}

/* The newest call of this function; calls inside it that never returned are dropped. */
static __always_inline struct heap_call *heap_pop(struct heap_task *task, uint32_t allocator)
{
	for (int i = 0; i < HEAP_DEPTH_MAX; i++) {
		if (!task->depth)
			return 0;
		task->depth--;
		struct heap_call *call = &task->calls[task->depth & (HEAP_DEPTH_MAX - 1)];
		if (call->allocator == allocator)
			return call;
	}
	return 0;
}

static __always_inline void heap_remember(uint64_t address, uint32_t tgid, const struct heap_live *block)
{
	struct heap_live_key key = { .address = address, .tgid = tgid, .epoch = epoch_of(tgid) };
	if (bpf_map_lookup_elem(&heap_live, &key))
		count(COUNTER_HEAP_MISSED_FREES);
	if (bpf_map_update_elem(&heap_live, &key, block, BPF_ANY) < 0)
		count(COUNTER_HEAP_LIVE_FULL);
}

static __always_inline uint64_t hash_step(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

/* The stack of the current call: its hash, kept in heap_stacks the first time. */
static __always_inline uint64_t heap_stack_of(struct pt_regs *context, struct heap_task *task, uint32_t tgid)
{
	struct unwind_walk *walk = &task->walk;
	unwind_fill_user_registers(context, walk);
	unwind_stack(walk, tgid);
	uint64_t hash = hash_step(tgid, walk->frame_count);
	for (uint32_t i = 0; i < UNWIND_FRAMES_MAX && i < walk->frame_count; i++)
		hash = hash_step(hash, walk->frames[i]);
	struct heap_stack_key key = { .hash = hash, .tgid = tgid };
	if (bpf_map_lookup_elem(&heap_stacks, &key))
		return hash;
	const struct unwind_process *process = unwind_process_of(tgid);
	struct heap_stack *stack = &task->stack;
	stack->frame_count = walk->frame_count;
	stack->stop = walk->stop;
	stack->scanned = walk->scanned;
	stack->generation = process ? process->generation : 0;
	bpf_probe_read_kernel(stack->frames, sizeof stack->frames, walk->frames);
	if (bpf_map_update_elem(&heap_stacks, &key, stack, BPF_ANY) < 0)
		count(COUNTER_HEAP_STACKS_FULL);
	return hash;
}

static __always_inline void heap_add_total(const struct heap_site *site, uint64_t bytes, uint64_t rate_bytes)
{
	struct heap_total *total = bpf_map_lookup_elem(&heap_sites, site);
	if (!total) {
		struct heap_total zero = {};
		bpf_map_update_elem(&heap_sites, site, &zero, BPF_NOEXIST);
		total = bpf_map_lookup_elem(&heap_sites, site);
	}
	if (!total) {
		count(COUNTER_HEAP_SITES_FULL);
		return;
	}
	__sync_fetch_and_add(&total->objects, 1);
	__sync_fetch_and_add(&total->bytes, bytes);
	if (rate_bytes <= 1)
		return;
	uint64_t weight_bytes = heap_weight_bytes(bytes, rate_bytes);
	__sync_fetch_and_add(&total->weighted_bytes, weight_bytes);
	__sync_fetch_and_add(&total->weighted_objects, bytes ? weight_bytes * 1000 / bytes : 0);
}

/* Where the block is: the returned pointer, or what posix_memalign() has stored. */
static __always_inline uint64_t heap_result(struct pt_regs *context, const struct heap_call *call)
{
	uint64_t result = PT_REGS_RC(context);
	if (call->allocator != HEAP_POSIX_MEMALIGN)
		return result;
	uint64_t address = 0;
	if ((uint32_t)result == 0)
		bpf_probe_read_user(&address, sizeof address, (const void *)call->argument);
	return address;
}

static __always_inline int allocator_return(struct pt_regs *context)
{
	const struct profiler_control *control = control_of();
	uint32_t tgid = bpf_get_current_pid_tgid() >> 32;
	if (!control || !control->heap_on || !is_target(tgid))
		return 0;
	count(COUNTER_HEAP_RETURNS);
	uint32_t cookie = (uint32_t)bpf_get_attach_cookie(context);
	struct heap_task *task = bpf_task_storage_get(&heap_tasks, bpf_get_current_task_btf(), 0, 0);
	struct heap_call *call = task ? heap_pop(task, cookie & HEAP_COOKIE_ALLOCATOR) : 0;
	if (!call) {
		count(COUNTER_HEAP_NO_ENTRY);
		return 0;
	}
	uint64_t address = heap_result(context, call);
	if (!address) {
		/* A failed realloc leaves the old block as it was; one to no bytes has freed it. */
		if (call->has_old && call->bytes)
			heap_remember(call->argument, tgid, &call->old);
		else if (call->has_old)
			count(COUNTER_HEAP_FREES);
		return 0;
	}
	if (call->has_old)
		count(COUNTER_HEAP_FREES);
	int counted = address == call->inner;
	if (task->depth)
		task->calls[(task->depth - 1) & (HEAP_DEPTH_MAX - 1)].inner = address;
	if (counted || !call->sampled)
		return 0;
	struct heap_live block = { .bytes = call->bytes };
	block.site.tgid = tgid;
	block.site.allocator = call->allocator;
	block.site.stage = stage_of((uint32_t)bpf_get_current_pid_tgid());
	block.site.stack_hash = heap_stack_of(context, task, tgid);
	count(COUNTER_HEAP_ALLOCATIONS);
	heap_add_total(&block.site, block.bytes, control->heap_rate_bytes);
	heap_remember(address, tgid, &block);
	return 0;
}

SEC("uprobe")
int on_allocator_entry(struct pt_regs *context)
{
	allocator_entry(context, 0);
	return 0;
}

SEC("uretprobe")
int on_allocator_return(struct pt_regs *context)
{
	return allocator_return(context);
}

/* Both in one, where the kernel asks at the entry whether the return is wanted (session links, Linux 6.13): a
 * call that is not sampled then costs half. */
SEC("uprobe")
int on_allocator(struct pt_regs *context)
{
	if (bpf_session_is_return())
		return allocator_return(context);
	return allocator_entry(context, 1);
}

SEC("uprobe")
int on_free(struct pt_regs *context)
{
	const struct profiler_control *control = control_of();
	uint32_t tgid = bpf_get_current_pid_tgid() >> 32;
	uint64_t address = PT_REGS_PARM1(context);
	struct heap_live block;
	if (!control || !control->heap_on || !address || !is_target(tgid))
		return 0;
	count(COUNTER_HEAP_HITS);
	if (heap_forget(address, tgid, &block))
		count(COUNTER_HEAP_FREES);
	return 0;
}

#endif
