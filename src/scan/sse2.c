/* SPDX-License-Identifier: Apache-2.0
 *
 * 16 bytes a step, for every x86-64 CPU.
 */
#if defined(__x86_64__)
#include <emmintrin.h>

#include "scan/kernels.h"

#define KERNEL_TARGET __attribute__((target("sse2")))

KERNEL_TARGET static inline __m128i compare_16(const uint8_t *bytes)
{
	return _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)bytes), _mm_set1_epi8('\n'));
}

KERNEL_TARGET static inline uint64_t kernel_mask_64(const uint8_t *bytes)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < 4; i++)
		mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(compare_16(bytes + i * 16)) << (i * 16);
	return mask;
}

KERNEL_TARGET static inline int kernel_any_256(const uint8_t *bytes)
{
	__m128i any = _mm_setzero_si128();
#pragma GCC unroll 16
	for (unsigned i = 0; i < 16; i++)
		any = _mm_or_si128(any, compare_16(bytes + i * 16));
	return _mm_movemask_epi8(any);
}

#include "scan/block_loop.h"

static int kernel_supported(void)
{
	return 1; /* part of x86-64 */
}

const struct scan_kernel scan_kernel_sse2 = {
	.name = "sse2",
	.supported = kernel_supported,
	.line_ends = kernel_line_ends,
};
#endif
