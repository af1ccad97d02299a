/* SPDX-License-Identifier: Apache-2.0
 *
 * The maps that all programs share, and how the unwinder reaches its tables. Sizes that depend on the
 * target are set by user space before loading.
 */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

enum {
	TARGETS_MAX = 4096,   /* processes that are followed at a time: a parallel build has some hundred */
	STAGE_TIDS_MAX = 256, /* threads with a stage slot, those that ended included */
	REQUESTS_MAX = 1024,  /* processes whose mappings were asked for lately; the oldest are forgotten */
	RECORDS_BYTES =
		8 << 20, /* 5,000 samples of the deepest stacks: half a second at 4999 Hz on two CPUs */
};

/* Who is profiled: by tgid. The value, its epoch, grows when it executes another program. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TARGETS_MAX);
	__type(key, uint32_t);
	__type(value, uint32_t);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TARGETS_MAX);
	__type(key, uint32_t);
	__type(value, struct unwind_process);
} processes SEC(".maps");

/* The three tables are written by user space through mmap(2): filling them costs no system calls. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 16);
	__type(key, uint32_t);
	__type(value, struct unwind_mapping);
} mappings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 20);
	__type(key, uint32_t);
	__type(value, struct unwind_row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 15);
	__type(key, uint32_t);
	__type(value, struct unwind_rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RECORDS_BYTES);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_COUNT);
	__type(key, uint32_t);
	__type(value, uint64_t);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct profiler_control);
} control SEC(".maps");

/* Which stage a worker is in; the workers store here. The layout is struct stage_slot of src/base/stage.h. */
struct stage_slot {
	uint32_t stage;
	uint32_t worker_index;
	uint64_t interpreters[INTERPRETER_DEPTH_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, STAGE_SLOTS_MAX);
	__type(key, uint32_t);
	__type(value, struct stage_slot);
} stage_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STAGE_TIDS_MAX);
	__type(key, uint32_t);
	__type(value, uint32_t);
} stage_tids SEC(".maps");

/* When the mappings of a process were last asked for, so that a storm of samples asks once. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, REQUESTS_MAX);
	__type(key, uint32_t);
	__type(value, uint64_t);
} requests SEC(".maps");

/* Of the CPU, and yet added at once: probes of user space can be preempted half way. */
static __always_inline void count_many(enum counter which, uint64_t many)
{
	uint32_t key = which;
	uint64_t *value = bpf_map_lookup_elem(&counters, &key);
	if (value)
		__sync_fetch_and_add(value, many);
}

static __always_inline void count(enum counter which)
{
	count_many(which, 1);
}

static __always_inline const struct profiler_control *control_of(void)
{
	uint32_t key = 0;
	return bpf_map_lookup_elem(&control, &key);
}

/* 0: not a target. */
static __always_inline uint32_t epoch_of(uint32_t tgid)
{
	uint32_t *epoch = bpf_map_lookup_elem(&targets, &tgid);
	return epoch ? *epoch : 0;
}

static __always_inline int is_target(uint32_t tgid)
{
	return bpf_map_lookup_elem(&targets, &tgid) != 0;
}

/* NULL: the thread has none. */
static __always_inline const struct stage_slot *slot_of(uint32_t tid)
{
	uint32_t *index = bpf_map_lookup_elem(&stage_tids, &tid);
	return index ? bpf_map_lookup_elem(&stage_slots, index) : 0;
}

/* The stage of a thread, + 1; 0: it has no slot. */
static __always_inline uint32_t stage_of(uint32_t tid)
{
	const struct stage_slot *slot = slot_of(tid);
	return slot ? slot->stage + 1 : 0;
}

/* ---- What unwind.h asks for ---- */

static UNWIND_ALWAYS_INLINE struct unwind_process *unwind_process_of(uint32_t tgid)
{
	return bpf_map_lookup_elem(&processes, &tgid);
}

static UNWIND_ALWAYS_INLINE struct unwind_mapping *unwind_mapping_at(uint32_t index)
{
	return bpf_map_lookup_elem(&mappings, &index);
}

static UNWIND_ALWAYS_INLINE struct unwind_row *unwind_row_at(uint32_t index)
{
	return bpf_map_lookup_elem(&rows, &index);
}

static UNWIND_ALWAYS_INLINE struct unwind_rule *unwind_rule_at(uint32_t index)
{
	return bpf_map_lookup_elem(&rules, &index);
}

#endif
