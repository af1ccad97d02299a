/* SPDX-License-Identifier: Apache-2.0
 *
 * rows: unwind rows of ELF objects, made from .eh_frame (and .debug_frame where there is no .eh_frame) with
 * elfutils' libdw, and from Go's .gopclntab, in the two tables that the eBPF unwinder searches
 * (bpf/unwind.h). System V ABI AMD64 section 3.7, DWARF 5 section 6.4, Linux Standard Base "Exception
 * Frames". Internal to profiler.
 *
 * The tables are caller's memory (mapped BPF arrays): rows are appended, rules are shared by all objects.
 */
#ifndef PROFILER_ROWS_H
#define PROFILER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "bpf/shared.h"
#include "profiler/objects.h"

struct rows_table {
	struct unwind_row *rows; /* kept until rows_finish() */
	uint32_t rows_max, rows_used;
	struct unwind_rule *rules;
	uint32_t rules_max, rules_used;
	uint64_t rows_dropped;	  /* objects that did not fit: their rows */
	struct table known_rules; /* index in rules + 1 */
};

void rows_init(struct rows_table *table, struct unwind_row *rows, uint32_t rows_max,
	       struct unwind_rule *rules, uint32_t rules_max);
void rows_finish(struct rows_table *table);
/* Sets object->rows_first and _count, once. 0; -ENOSPC: does not fit (counted); -ENOENT: no unwind
 * information. */
int rows_of_object(struct rows_table *table, struct object *object);

#endif
