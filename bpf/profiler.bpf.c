/* SPDX-License-Identifier: Apache-2.0
 *
 * The eBPF side of the profiler: one object whose programs share their maps. Each part is a header of its
 * own: cpu.h takes samples, switch.h measures time off the CPU, life.h follows processes and their mappings,
 * heap.h follows allocations. Every stack is walked by unwind.h, an interpreter's calls by interpreter.h.
 *
 * Needs Linux 6.1 with BTF. Nothing here sleeps; what cannot be recorded is counted by reason.
 */
#include "bpf/kernel.h"
#include "bpf/shared.h"

#include "bpf/task.h"

#include "bpf/maps.h"
#include "bpf/unwind.h"

#include "bpf/interpreter.h"
#include "bpf/record.h"

#include "bpf/heap_task.h"

#include "bpf/cpu.h"
#include "bpf/switch.h"
#include "bpf/life.h"
#include "bpf/heap.h"

/* The programs call helpers that the kernel gives to GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";
