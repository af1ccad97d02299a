/* SPDX-License-Identifier: Apache-2.0
 *
 * 16 bytes a step, for every arm64 CPU.
 */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "scan/kernels.h"

#define KERNEL_TARGET /* part of arm64 */

static inline uint8x16_t compare_16(const uint8_t *bytes)
{
	return vceqq_u8(vld1q_u8(bytes), vdupq_n_u8('\n'));
}

/* There is no movemask: keep one bit of each comparison, its place in a byte, and add neighbours until
 * 64 bytes have become 8. */
static inline uint64_t kernel_mask_64(const uint8_t *bytes)
{
	const uint8x16_t place = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
	uint8x16_t a = vandq_u8(compare_16(bytes), place);
	uint8x16_t b = vandq_u8(compare_16(bytes + 16), place);
	uint8x16_t c = vandq_u8(compare_16(bytes + 32), place);
	uint8x16_t d = vandq_u8(compare_16(bytes + 48), place);
	uint8x16_t sum = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
	return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)), 0);
}

static inline int kernel_any_256(const uint8_t *bytes)
{
	uint8x16_t any = vdupq_n_u8(0);
#pragma GCC unroll 16
	for (unsigned i = 0; i < 16; i++)
		any = vorrq_u8(any, compare_16(bytes + i * 16));
	return vmaxvq_u8(any) != 0;
}

#include "scan/block_loop.h"

static int kernel_supported(void)
{
	return 1; /* part of arm64 */
}

const struct scan_kernel scan_kernel_neon = {
	.name = "neon",
	.supported = kernel_supported,
	.line_ends = kernel_line_ends,
};
#endif
