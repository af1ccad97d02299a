/* SPDX-License-Identifier: Apache-2.0
 *
 * profiler: watches a process from the kernel with eBPF. CPU and off-CPU samples with user and kernel
 * stacks, every (or every sampled) allocation, mappings and page faults; names them; writes pprof files.
 * Nothing runs inside the watched process.
 *
 * Life: create (loads the programs; needs rights) - attach (before the target does what is to be seen) -
 * poll, again and again - window open/close - snapshots - detach - write. One thread. Memory is on the heap:
 * this is the supervisor's process, not the profiled one.
 */
#ifndef PROFILER_PROFILER_H
#define PROFILER_PROFILER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/stage.h"

#define PROFILER_ERROR_BYTES_MAX 2048	/* a sentence with two paths and what to do */
#define PROFILER_HZ_DEFAULT 99		/* not a multiple of the kernel's tick; 0.2 % of a CPU */
#define PROFILER_HZ_MAX 4999		/* 10 % of a CPU in a virtual machine */
#define PROFILER_HEAP_RATE_BYTES 524288 /* as Go and jemalloc: one sample per 512 KiB */
#define PROFILER_HEAP_RATE_BYTES_MAX                                                                         \
	(INT64_C(1) << 35)	    /* times a draw, with 24 fractional bits, it is below 2^63 */
#define PROFILER_STAGE_SLOTS_MAX 64 /* one per worker thread */

struct profiler_options {
	unsigned hz;
	uint64_t heap_rate_bytes;   /* 0: the heap is not tracked; 1: every allocation */
	double heap_budget_percent; /* of one CPU that heap probes may cost; above it they are taken off, with
				       a notice */
	int follow_children;	    /* processes that the target starts, too */
	void (*notice)(void *owner, const char *text); /* something a person should know; text is lent */
	void *notice_owner;
};

struct profiler; /* opaque */

/* NULL with a sentence that names what is missing (capability, BTF, sysctl) and the ways to get it. */
struct profiler *profiler_create(const struct profiler_options *options,
				 char error[static PROFILER_ERROR_BYTES_MAX]);
/* Detaches and frees. Accepts NULL. */
void profiler_destroy(struct profiler *profiler);

/* A descriptor to map PROFILER_STAGE_SLOTS_MAX struct stage_slot shared (one page, PROT_READ | PROT_WRITE):
 * what a worker stores there is read by the programs at each sample. Owned by the profiler; give the target a
 * duplicate. */
int profiler_stage_fd(const struct profiler *profiler);
/* Thread `tid` tells its stage in slot `slot_index`. */
int profiler_stage_assign(struct profiler *profiler, pid_t tid, unsigned slot_index);
/* It does so no longer, if it ever did. */
void profiler_stage_release(struct profiler *profiler, pid_t tid);

/* What the target says of the interpreter in it (src/profiler/names_lua.c has the grammar), for each program
 * that it loads: from then on samples of threads with a stage slot have the functions of programs in them.
 * The text is checked. 0, or -1 with a sentence for a person. */
int profiler_interpreter(struct profiler *profiler, const char *text, size_t bytes,
			 char error[static PROFILER_ERROR_BYTES_MAX]);

/* All threads of `pid`, now and later. `starting`: it has not executed its program yet (a child of ours
 * waiting to exec), so allocators are probed in the files it will map. 0, or -1 with a sentence. */
int profiler_attach(struct profiler *profiler, pid_t pid, int starting,
		    char error[static PROFILER_ERROR_BYTES_MAX]);
/* CPU and off-CPU samples are taken while open. Opening again continues. */
void profiler_window(struct profiler *profiler, int open);
/* Reads what has come, refreshes mappings, watches the budget. Waits at most timeout_ms for something to do.
 * Call at least every 200 ms. */
void profiler_poll(struct profiler *profiler, int timeout_ms);
/* Descriptor that polls readable when profiler_poll() has something to do. */
int profiler_fd(const struct profiler *profiler);

/* Keeps the state of the heap (counts only: takes well under a millisecond for a small heap); at most
 * PROFILER_SNAPSHOTS_MAX. Returns its index, or -1. */
#define PROFILER_SNAPSHOTS_MAX 2 /* middle and end */
int profiler_heap_snapshot(struct profiler *profiler);
/* Takes all probes off. What was seen stays. */
void profiler_detach(struct profiler *profiler);

/* Files, after profiler_detach(); slow, since names are looked up. 0, or -1 with a sentence. */
int profiler_write_cpu(struct profiler *profiler, const char *path,
		       char error[static PROFILER_ERROR_BYTES_MAX]);
int profiler_write_off_cpu(struct profiler *profiler, const char *path,
			   char error[static PROFILER_ERROR_BYTES_MAX]);
int profiler_write_heap(struct profiler *profiler, int snapshot_index, const char *path,
			char error[static PROFILER_ERROR_BYTES_MAX]);
/* Address space that is mapped (mmap, mremap, brk), beside the allocators' own, by stack; values as the
 * heap's. */
int profiler_write_mappings(struct profiler *profiler, int snapshot_index, const char *path,
			    char error[static PROFILER_ERROR_BYTES_MAX]);
/* Page faults by stack (who touches new memory). */
int profiler_write_faults(struct profiler *profiler, const char *path,
			  char error[static PROFILER_ERROR_BYTES_MAX]);

struct profiler_stage_time {
	uint64_t cpu_ns, blocked_ns, runqueue_ns;
};

struct profiler_heap_total {
	uint64_t alloc_objects, alloc_bytes, inuse_objects, inuse_bytes; /* scaled when sampled */
	uint64_t mapped_bytes; /* live mappings made since the start (mmap, brk) */
	int64_t at_ns;	       /* since attach */
};

struct profiler_summary {
	const char *cpu_event; /* "cycles" or "cpu-clock" */
	unsigned hz;
	uint64_t cpu_samples, cpu_ns;
	uint64_t off_cpu_samples, blocked_ns, runqueue_ns;
	uint64_t user_stacks,
		user_stacks_complete; /* of CPU samples with a user stack: reached the start function */
	uint64_t user_stacks_scanned; /* of which needed a scan for a return address */
	uint64_t stops[16];	      /* user stacks by enum unwind_stop; names: profiler_stop_name() */
	size_t stop_count;
	uint64_t samples_lost;				    /* the ring was full */
	struct profiler_stage_time stages[STAGE_COUNT + 1]; /* [STAGE_COUNT]: threads without a slot */
	int64_t window_ns;				    /* wall time in which samples were taken */

	int heap_tracked;  /* probes were found and set */
	int heap_given_up; /* taken off because of the budget */
	uint64_t heap_rate_bytes;
	const char *heap_allocators; /* "libc.so.6 (malloc, calloc, ...)" */
	struct profiler_heap_total heap[PROFILER_SNAPSHOTS_MAX];
	size_t heap_snapshots;
	uint64_t heap_hits, heap_unknown_frees, heap_missed_frees, heap_dropped;
	uint64_t page_faults;

	uint64_t program_run_ns,
		program_runs; /* spent in our eBPF programs, as the kernel counts it; 0: not counted */
	uint64_t supervisor_cpu_ns;
};
void profiler_summary(struct profiler *profiler, struct profiler_summary *ret_summary);
const char *profiler_stop_name(size_t stop);

/* One line per thing that profiling needs, for doctor. */
enum profiler_verdict { PROFILER_OK, PROFILER_DEGRADED, PROFILER_MISSING };
void profiler_probe(void (*say)(void *owner, enum profiler_verdict verdict, const char *what,
				const char *text),
		    void *owner);

#endif
