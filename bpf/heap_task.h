/* SPDX-License-Identifier: Apache-2.0
 *
 * What the heap probes keep of each thread between a call's entry and its return. Memory of the thread, not
 * of the CPU: probes of user space can be preempted.
 */
#ifndef BPF_HEAP_TASK_H
#define BPF_HEAP_TASK_H

enum { HEAP_DEPTH_MAX = 4 }; /* allocator functions inside each other; a power of two; two were seen */

struct heap_call {
	uint64_t sp; /* where the return address is */
	uint64_t bytes;
	uint64_t argument;  /* the first: the old block, or where posix_memalign() puts the new one */
	uint64_t inner;	    /* the block that a call inside has returned */
	uint32_t allocator; /* enum heap_allocator */
	uint32_t sampled;
	uint32_t has_old; /* `old` is the block given to realloc() */
	uint32_t spare;
	struct heap_live old;
};

struct heap_task {
	uint64_t left_bytes; /* until the next sample; 0: not drawn yet */
	uint32_t depth;
	uint32_t spare;
	uint64_t
		skipped_sp; /* where the return address of the last call is that nobody waits for; and that */
	uint64_t skipped_return;
	struct heap_call calls[HEAP_DEPTH_MAX];
	struct unwind_walk walk;
	struct heap_stack stack;
	struct scratch call; /* of a system call that maps memory: its program can be preempted, too */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct heap_task);
} heap_tasks SEC(".maps");

#endif
