/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference kernel: one byte at a time, for any CPU. The others must agree with it.
 */
#include "base/check.h"
#include "scan/kernels.h"

static int scalar_supported(void)
{
	return 1;
}

static size_t scalar_line_ends(struct span bytes, uint32_t *positions, size_t positions_max,
			       size_t *ret_scanned)
{
	CHECK_LE(bytes.bytes, SCAN_SPAN_BYTES_MAX);
	size_t count = 0;
	for (size_t at = 0; at < bytes.bytes && count < positions_max; at++) {
		if (bytes.base[at] == '\n')
			positions[count++] = (uint32_t)at;
	}
	*ret_scanned = scan_scanned(bytes.bytes, positions, count, positions_max);
	return count;
}

const struct scan_kernel scan_kernel_scalar = {
	.name = "scalar",
	.supported = scalar_supported,
	.line_ends = scalar_line_ends,
};
