/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share: the profiler's state, part by part in the order of its life. Internal
 * to profiler; see profiler.h for what others see.
 */
#ifndef PROFILER_INTERNAL_H
#define PROFILER_INTERNAL_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/table.h"
#include "bpf/shared.h"
#include "profiler/mapping_sets.h"
#include "profiler/names.h"
#include "profiler/objects.h"
#include "profiler/profiler.h"
#include "profiler/rows.h"
#include "profiler/samples.h"

struct bpf_link;
struct bpf_map;
struct bpf_program;
struct ring_buffer;
struct profiler_bpf; /* the skeleton; only load.c and attach.c look inside */

/* Limits, each with its reason. */
#define PROFILER_ROWS_MAX (1 << 22) /* unwind rows of all objects: 32 MB; libLLVM has 0.95 M */
#define PROFILER_RULES_MAX (1 << 15)
#define PROFILER_OFF_CPU_RATE_NS 1000000 /* one sample per millisecond of waiting */
#define PROFILER_FAULTS_PER_SECOND_MAX                                                                       \
	2000 /* that are looked at: 0.2 % of a CPU; then one in two, in four ... */
#define PROFILER_HEAP_LIVE_MAX (1 << 20) /* blocks tracked at a time: 100 MB of kernel memory when full */

struct process {
	pid_t pid;
	uint32_t generation; /* 0: not read yet */
	int exited;
	int is_cut;		     /* not all of its mappings are known, and a person has been told */
	int has_jit;		     /* it generates code, whose names are read at its end */
	int is_due;		     /* its mappings are to be read again, later */
	int64_t read_at_ns, read_ns; /* when they were, and how long it took */
	uint32_t *probed;	     /* objects that were searched for allocators */
	size_t probed_count, probed_max;
};

struct links {
	struct held { /* one of the two */
		struct bpf_link *link;
		int fd;
		pid_t pid; /* whose */
	} * items;	   /* owned */
	size_t count, max;
	size_t released;
};

struct heap_site_state {
	struct heap_site site;
	struct heap_total total;
	double live_objects, live_bytes; /* scaled when sampled */
};

struct heap_snapshot {
	int64_t at_ns; /* CLOCK_MONOTONIC */
	int64_t at_unix_ns;
	struct heap_site_state *sites;
	size_t site_count;
	struct memory_site *memory; /* mappings that are there, by stack */
	size_t memory_count;
	uint64_t mapped_bytes;
};

struct profiler {
	struct profiler_options options;
	struct profiler_bpf *bpf;
	struct ring_buffer *ring;
	int epoll_fd;			  /* of the ring */
	struct profiler_control *control; /* mapped */
	struct unwind_mapping *mappings;  /* mapped, PROFILER_MAPPINGS_MAX */
	struct rows_table rows;
	struct unwind_row *rows_memory;
	struct unwind_rule *rules_memory;

	struct objects *objects;
	struct mapping_sets sets;
	struct process *processes;
	size_t process_count, processes_max;
	int is_due; /* some process is */
	pid_t main_pid;

	struct links links, heap_links; /* heap_links: allocator probes, which the budget may end */
	struct links ended_links;	/* of processes that have ended */
	struct links reaped_links;	/* what reap_thread releases */
	pthread_t reap_thread;
	int reaping, reaped; /* reap_thread is to be joined; it is through */
	struct bpf_link *switch_link, *wakeup_link;
	int *cpu_events, *fault_events;
	size_t cpu_event_count, cpu_events_max, fault_event_count, fault_events_max;
	const char *cpu_event_name;
	int detached;
	pthread_t release_thread;
	int releasing;

	struct samples samples;
	struct memory *memory;
	struct heap_forget { /* older epochs of this process go */
		uint32_t tgid, epoch;
	} * forgets;
	size_t forget_count, forgets_max;
	int64_t forgot_at_ns;
	struct heap_snapshot snapshots[PROFILER_SNAPSHOTS_MAX];
	size_t snapshot_count;
	char allocators[512]; /* what is probed, for a person */
	int by_function;      /* system calls are followed one by one, not all */
	int multi;	      /* the kernel sets many probes at once */
	int heap_given_up, heap_was_tracked;
	int64_t heap_given_up_ns; /* since attach */
	int64_t budget_at_ns;
	uint64_t budget_hits, budget_returns, budget_allocations;

	int64_t attach_ns, attach_unix_ns, detach_ns;
	int64_t window_start_unix_ns, window_open_ns, window_ns; /* window_open_ns: 0 when closed */
	uint64_t page_faults;
	int64_t faults_at_ns;
	uint64_t faults_seen;
	uint64_t cpu_samples, cpu_ns, off_cpu_samples;
	uint64_t user_stacks, user_stacks_scanned, stops[UNWIND_STOP_COUNT];
	struct profiler_stage_time stages[STAGE_COUNT + 1];
	uint64_t program_run_ns, program_runs, heap_run_ns, budget_run_ns;
	int stats_fd;
	struct names *names;
};

/* For a person; does nothing when nobody listens. */
__attribute__((format(printf, 2, 3))) void profiler_say(struct profiler *profiler, const char *format, ...);
/* Fills `error`; returns -1. */
__attribute__((format(printf, 2, 3))) int profiler_error(char *error, const char *format, ...);

/* rights.c: 0, or -1 with a sentence that names what is missing and how to get it. */
int rights_check(char error[static PROFILER_ERROR_BYTES_MAX]);
/* What an error of the kernel most likely means here. */
int rights_explain(const char *what, int code, char error[static PROFILER_ERROR_BYTES_MAX]);
/* The process belongs to somebody else. */
int rights_refused(pid_t pid, char error[static PROFILER_ERROR_BYTES_MAX]);

/* load.c */
int load_programs(struct profiler *profiler, char error[static PROFILER_ERROR_BYTES_MAX]);
void unload_programs(struct profiler *profiler);
uint64_t counter_read(const struct profiler *profiler, enum counter counter);
struct bpf_program *program_named(const struct profiler *profiler, const char *name);
int map_fd_of(const struct profiler *profiler, const char *name);
/* Sums what our programs have cost so far. */
void load_account(struct profiler *profiler);

/* processes.c */
struct process *process_find(struct profiler *profiler, pid_t pid);
struct process *process_add(struct profiler *profiler, pid_t pid);
/* Reads /proc/PID/maps; the kernel's tables follow. 0, or -errno. */
int process_read_mappings(struct profiler *profiler, struct process *process);
/* The same, but soon when it was read a moment ago; allocators that are new are probed. */
void process_ask_mappings(struct profiler *profiler, struct process *process);
void processes_read_due(struct profiler *profiler);
/* Old states that nobody names go, when there are many. */
void processes_forget_mappings(struct profiler *profiler);
/* It has executed another program, or (exited) ended: what it had mapped is not there any more. */
void process_leave(struct profiler *profiler, struct process *process, int exited);

/* events.c: perf events of all threads of a process */
int events_open(struct profiler *profiler, pid_t pid, char error[static PROFILER_ERROR_BYTES_MAX]);
void events_enable_cpu(struct profiler *profiler, int on);
void events_count_faults(struct profiler *profiler);
/* Raises or lowers how many page faults one sample stands for. */
void events_pace_faults(struct profiler *profiler, int64_t now_ns);
void events_close(struct profiler *profiler);

/* attach.c */
/* Before loading: decides how system calls are followed. */
void attach_prepare(struct profiler *profiler);
/* Takes over a link of libbpf's, or (link NULL) the descriptor of one; `pid`: whose, when it is one's. */
void links_keep(struct links *links, struct bpf_link *link, int fd, pid_t pid);
/* A process has ended: its probes can go. Calls cost less the fewer there are, so every now and then they do,
 * in a thread of its own. */
void links_end(struct profiler *profiler, pid_t pid);
void links_reap(struct profiler *profiler);
void links_release(struct links *links);
/* All of them, in a thread of its own while the files are written: it takes a second. */
void links_release_begin(struct profiler *profiler);
void links_release_end(struct profiler *profiler);
int attach_tracepoints(struct profiler *profiler, char error[static PROFILER_ERROR_BYTES_MAX]);
/* CPU and off-CPU programs for the window. */
void attach_window(struct profiler *profiler, int open);

/* allocators.c */
/* Probes the allocators that this process has mapped and that are not probed yet. */
void allocators_probe(struct profiler *profiler, struct process *process);
void allocators_probe_starting(struct profiler *profiler, struct process *process);
/* Takes the probes off when they cost too much. */
void allocators_watch_budget(struct profiler *profiler, int64_t now_ns);

/* probes.c */
struct probe_target {
	pid_t pid;
	const char *path;
	const uint64_t *offsets, *cookies; /* in the file; what the program is told */
	size_t count;
};
/* Before loading: decides how probes are set. */
void probes_prepare(struct profiler *profiler);
/* Entry of free(); entry and return of the functions that allocate. 0, or -errno. */
int probes_set_free(struct profiler *profiler, const struct probe_target *target);
int probes_set_calls(struct profiler *profiler, const struct probe_target *target);

/* site.c: where in a function's first bytes a probe is cheap */
/* Offset of the first instruction that the kernel emulates (push, jump, call, nop) and that is reached with
 * the first `arguments` arguments still in their registers; -1: none. *ret_at_entry: the stack pointer still
 * points at the return address there, so that a return probe works. */
int site_find(const uint8_t *code, size_t bytes, unsigned arguments, int *ret_at_entry);

/* allocator_sites.c */
#define ALLOCATOR_SITES_MAX 32 /* functions that allocate or free: ten of C, the rest operators of C++ */
struct allocator_site {
	const char *shown; /* for a person; NULL: like another one */
	enum heap_allocator allocator;
	uint64_t offset; /* in the file, of the probe */
};
struct allocator_sites {
	int is_allocator; /* it defines malloc and free */
	int is_dear;	  /* but one of them has no place where a probe is cheap */
	struct allocator_site calls[ALLOCATOR_SITES_MAX], frees[ALLOCATOR_SITES_MAX];
	size_t call_count, free_count;
};
void allocator_sites_find(int fd, struct allocator_sites *ret_sites);

/* collect.c: one record of the ring */
int collect_record(void *profiler, void *data, size_t bytes);

/* memory.c: what is mapped, as mmap, munmap, mremap and brk tell */
struct memory_site {
	const struct record *record; /* whose stack it is */
	uint64_t objects, bytes;     /* that are mapped now; ever: the record's count and weight */
};
struct memory *memory_create(void);
void memory_destroy(struct memory *memory);
void memory_record(struct memory *memory, struct samples *samples, const struct record *record);
/* Where the heap's brk area of a running process ends. */
void memory_set_break(struct memory *memory, uint32_t tgid, uint64_t address);
/* A process has executed another program or ended: nothing is mapped any more. */
void memory_forget(struct memory *memory, uint32_t tgid);
/* By stack, in memory_site_of()'s order; *ret_sites on the heap. */
size_t memory_sites(const struct memory *memory, struct memory_site **ret_sites, uint64_t *ret_mapped_bytes);

/* NULL: nothing of it is mapped. */
const struct memory_site *memory_site_of(const struct memory_site *sites, size_t count,
					 const struct record *record);

/* heap.c */
int heap_take_snapshot(struct profiler *profiler, struct heap_snapshot *snapshot);
/* Forgets the blocks of a process from before `epoch`, soon: it has executed another program, or ended. */
void heap_forget_process(struct profiler *profiler, uint32_t tgid, uint32_t epoch);
/* Now. A look at the whole table, so for many processes at once. */
void heap_forget_now(struct profiler *profiler);
/* Sets wanted[generation] for those that stacks of the heap name. 0, or -errno. */
int heap_mark_generations(const struct profiler *profiler, uint8_t *wanted, size_t count);
struct heap_scaled { /* what the recorded allocations stand for */
	double alloc_objects, alloc_bytes, inuse_objects, inuse_bytes;
};
void heap_scale(const struct profiler *profiler, const struct heap_site_state *state,
		struct heap_scaled *ret_scaled);

#endif
