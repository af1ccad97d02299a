/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of kernels and the pick. Called once at start; the caller keeps the kernel in its object.
 */
#include "scan/scan.h"

#include <string.h>

#include "scan/kernels.h"

static const struct scan_kernel end_of_table = { 0 };

const struct scan_kernel *const scan_kernels[] = {
#if defined(__x86_64__)
	&scan_kernel_avx512, &scan_kernel_avx2, &scan_kernel_sse2,
#elif defined(__aarch64__)
	&scan_kernel_neon,
#endif
	&scan_kernel_scalar, &end_of_table,
};

const struct scan_kernel *scan_kernel_pick(const char *name)
{
	for (size_t i = 0; scan_kernels[i]->name; i++) {
		if (name && strcmp(name, scan_kernels[i]->name) != 0)
			continue;
		if (scan_kernels[i]->supported())
			return scan_kernels[i];
	}
	return NULL;
}
