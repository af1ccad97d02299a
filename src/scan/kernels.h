/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel files share: the rows, and how positions are stored. Private to the room.
 */
#ifndef SCAN_KERNELS_H
#define SCAN_KERNELS_H

#include "scan/scan.h"

extern const struct scan_kernel scan_kernel_scalar;
#if defined(__x86_64__)
extern const struct scan_kernel scan_kernel_sse2;
extern const struct scan_kernel scan_kernel_avx2;
extern const struct scan_kernel scan_kernel_avx512;
#elif defined(__aarch64__)
extern const struct scan_kernel scan_kernel_neon;
#endif

/* Appends at + (index of each set bit) until the bits or the positions run out; returns the new count. */
static inline size_t scan_store(uint64_t mask, size_t at, uint32_t *positions, size_t count,
				size_t positions_max)
{
	while (mask && count < positions_max) {
		positions[count++] = (uint32_t)(at + (size_t)__builtin_ctzll(mask));
		mask &= mask - 1;
	}
	return count;
}

/* The contract's *ret_scanned: everything, or up to the last position when they ran out. */
static inline size_t scan_scanned(size_t bytes, const uint32_t *positions, size_t count, size_t positions_max)
{
	if (count < positions_max)
		return bytes;
	return count ? (size_t)positions[count - 1] + 1 : 0;
}

#endif
