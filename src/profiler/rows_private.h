/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of rows share: rows.c appends, rows_functions.c says where functions with unwind information
 * start, rows_rule.c what libdw says of one address. Internal to rows.
 */
#ifndef PROFILER_ROWS_PRIVATE_H
#define PROFILER_ROWS_PRIVATE_H

#include <elfutils/libdw.h>
#include <libelf.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/shared.h"
#include "profiler/names_go.h"

#define ROWS_FUNCTIONS_MAX (1 << 22) /* Chromium has 0.6 M; a damaged count must not ask for all memory */

/* Where to ask, and where functions start, sorted. */
struct row_source {
	Elf *elf;
	Dwarf_CFI *cfi; /* NULL: no unwind information */
	Dwarf *dwarf;	/* owner of `cfi` when that is of .debug_frame */
	uint64_t *starts;
	size_t start_count;
};

/* Opens what there is; `or_debug_frame`: that of .debug_frame when there is none in .eh_frame. 0, or -1 when
 * there is none. */
int row_source_open(struct row_source *source, Elf *elf, int or_debug_frame);
void row_source_close(struct row_source *source);

struct unwind_rule row_rule_of_frame(Dwarf_Frame *frame, int is_signal_frame);

/* Where rows of Go's functions go to. */
struct row_sink {
	void (*add)(void *owner, uint64_t pc, const struct unwind_rule *rule);
	void *owner;
	int64_t budget; /* numbers of the table that may still be read */
};

/* 0 and the range of its code, or -1 when this is not of Go (or of one before 1.16). */
int go_rows_open(struct go_table *table, Elf *elf, uint64_t *ret_start, uint64_t *ret_end);
/* Those of functions that start within [from, to). */
void go_rows_add(const struct go_table *table, uint64_t from, uint64_t to, struct row_sink *sink);

#endif
