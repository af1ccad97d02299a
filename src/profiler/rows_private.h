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

#define ROWS_FUNCTIONS_MAX (1 << 22) /* Chromium has 0.6 M; a damaged count must not ask for all memory */

/* Where to ask, and where functions start, sorted. */
struct row_source {
	Elf *elf;
	Dwarf_CFI *cfi; /* NULL: no unwind information */
	Dwarf *dwarf;	/* owner of `cfi` when that is of .debug_frame */
	uint64_t *starts;
	size_t start_count;
};

/* Opens what there is. 0, or -1 when there is none. */
int row_source_open(struct row_source *source, Elf *elf);
void row_source_close(struct row_source *source);

struct unwind_rule row_rule_of_frame(Dwarf_Frame *frame, int is_signal_frame);

#endif
