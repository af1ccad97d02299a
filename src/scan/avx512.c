/* SPDX-License-Identifier: Apache-2.0
 *
 * 64 bytes a step (AVX512BW): the comparison yields the mask of a word directly.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "scan/kernels.h"

#define KERNEL_TARGET __attribute__((target("avx512f,avx512bw,bmi")))

KERNEL_TARGET static inline uint64_t kernel_mask_64(const uint8_t *bytes)
{
	return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512((const void *)bytes), _mm512_set1_epi8('\n'));
}

/* A byte is '\n' when its difference is 0, so the least difference of four words tells in one test; mask
 * registers have fewer ports than vectors. */
KERNEL_TARGET static inline int kernel_any_256(const uint8_t *bytes)
{
	const __m512i line_end = _mm512_set1_epi8('\n');
	__m512i a = _mm512_xor_si512(_mm512_loadu_si512((const void *)bytes), line_end);
	__m512i b = _mm512_xor_si512(_mm512_loadu_si512((const void *)(bytes + 64)), line_end);
	__m512i c = _mm512_xor_si512(_mm512_loadu_si512((const void *)(bytes + 128)), line_end);
	__m512i d = _mm512_xor_si512(_mm512_loadu_si512((const void *)(bytes + 192)), line_end);
	__m512i least = _mm512_min_epu8(_mm512_min_epu8(a, b), _mm512_min_epu8(c, d));
	return _mm512_testn_epi8_mask(least, least) != 0;
}

#include "scan/block_loop.h"

static int kernel_supported(void)
{
	return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("bmi");
}

const struct scan_kernel scan_kernel_avx512 = {
	.name = "avx512",
	.supported = kernel_supported,
	.line_ends = kernel_line_ends,
};
#endif
