/* SPDX-License-Identifier: Apache-2.0
 *
 * The first byte bounds the positions, the rest is scanned piecewise by every kernel: each position must be a
 * '\n', none may be skipped, and the pieces must add up.
 */
#include <stdint.h>
#include <stdlib.h>

#include "scan/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(int holds)
{
	if (!holds)
		abort();
}

static void walk(const struct scan_kernel *kernel, struct span rest, size_t positions_max)
{
	uint32_t positions[256];
	while (rest.bytes) {
		size_t scanned = 0, next = 0;
		size_t count = kernel->line_ends(rest, positions, positions_max, &scanned);
		require(count <= positions_max && scanned > 0 && scanned <= rest.bytes);
		require(count == positions_max ? scanned == positions[count - 1] + 1u
					       : scanned == rest.bytes);
		for (size_t i = 0; i < scanned; i++) {
			int listed = next < count && positions[next] == i;
			require((rest.base[i] == '\n') == listed);
			next += (size_t)listed;
		}
		require(next == count);
		rest = span_of(rest.base + scanned, rest.bytes - scanned);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes == 0)
		return 0;
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if ((*row)->supported())
			walk(*row, span_of(data + 1, bytes - 1), 1 + (size_t)data[0]);
	}
	return 0;
}
