/* SPDX-License-Identifier: Apache-2.0
 *
 * scan: finds line ends in bytes, many at a time. Knows nothing of what a line means. One small kernel
 * file per instruction set, picked at run time and held in the object; the scalar kernel is the reference.
 */
#ifndef SCAN_SCAN_H
#define SCAN_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct scan_kernel {
	const char *name;	/* "avx512", "avx2", "sse2", "neon", "scalar" */
	int (*supported)(void); /* 1 when this CPU can run it */
	/* Writes the positions (index from `bytes.base`) of '\n' in ascending order, at most `positions_max`.
	 * Returns how many, and in *ret_scanned how many bytes it has looked at: bytes.bytes, or, as soon as
	 * `positions_max` were found, the byte after the last position; call again from there. Entries of
	 * `positions` behind the returned count may be overwritten. Reads only inside the span. */
	size_t (*line_ends)(struct span bytes, uint32_t *positions, size_t positions_max,
			    size_t *ret_scanned);
};

#define SCAN_SPAN_BYTES_MAX ((size_t)1 << 31) /* positions are 32 bit */

/* All kernels compiled in, best first, ended by a row with a NULL name. */
extern const struct scan_kernel *const scan_kernels[];

/* The best kernel this CPU can run; `name` forces one (NULL when unknown or not runnable). */
const struct scan_kernel *scan_kernel_pick(const char *name);

#endif
