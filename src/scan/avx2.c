/* SPDX-License-Identifier: Apache-2.0
 *
 * 32 bytes a step: x86-64 CPUs since 2013.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "scan/kernels.h"

#define KERNEL_TARGET __attribute__((target("avx2,bmi")))

KERNEL_TARGET static inline __m256i compare_32(const uint8_t *bytes)
{
	return _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(const void *)bytes),
				 _mm256_set1_epi8('\n'));
}

KERNEL_TARGET static inline uint64_t kernel_mask_64(const uint8_t *bytes)
{
	uint64_t low = (uint32_t)_mm256_movemask_epi8(compare_32(bytes));
	uint64_t high = (uint32_t)_mm256_movemask_epi8(compare_32(bytes + 32));
	return low | high << 32;
}

KERNEL_TARGET static inline int kernel_any_256(const uint8_t *bytes)
{
	__m256i any = _mm256_setzero_si256();
#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++)
		any = _mm256_or_si256(any, compare_32(bytes + i * 32));
	return _mm256_movemask_epi8(any);
}

#include "scan/block_loop.h"

static int kernel_supported(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
}

const struct scan_kernel scan_kernel_avx2 = {
	.name = "avx2",
	.supported = kernel_supported,
	.line_ends = kernel_line_ends,
};
#endif
