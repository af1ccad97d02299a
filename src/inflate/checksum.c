/* SPDX-License-Identifier: Apache-2.0
 *
 * gzip's CRC-32 (RFC 1952, section 8), with carry-less multiplications of 256 bits where the processor has
 * them but no AVX-512: there the libraries fold 128 bits at a time, at half the speed (Zen 3: 12.8
 * against 25.5 GB/s, which are 5 % of what decoding takes). What is left of a message modulo the polynomial P
 * stays the same when 128 bits of it are replaced by their product with x^d mod P, d bits further on: V.
 * Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009.
 */
#include "inflate/engine.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,pclmul,vpclmulqdq")))

/* To move by d bits: x^(d + 32) mod P for the low half and x^(d - 32) mod P for the high one, bits reversed,
 * times two. */
#define BY_1024_BITS _mm_set_epi64x(0x14a7fe880, 0x1e88ef372)
#define BY_256_BITS _mm_set_epi64x(0x15a546366, 0x0f1da05aa)
#define BY_128_BITS _mm_set_epi64x(0x0ccaa009e, 0x1751997d0)

enum { BLOCK_BYTES = 128 };

TARGET static inline __m256i fold(__m256i bytes, __m256i by, __m256i onto)
{
	__m256i low = _mm256_clmulepi64_epi128(bytes, by, 0x00),
		high = _mm256_clmulepi64_epi128(bytes, by, 0x11);
	return _mm256_xor_si256(_mm256_xor_si256(low, high), onto);
}

TARGET static inline __m256i load(const uint8_t *bytes)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)bytes);
}

/* The same remainder as `bytes` have behind `checksum`, in 16 bytes behind nothing. At least BLOCK_BYTES, and
 * whole blocks. */
TARGET static void fold_blocks(uint32_t checksum, struct span bytes, uint8_t remainder[16])
{
	const uint8_t *at = bytes.base, *end = at + bytes.bytes;
	__m256i by = _mm256_broadcastsi128_si256(BY_1024_BITS);
	__m256i begun = _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)~checksum));
	__m256i a = _mm256_xor_si256(load(at), begun), b = load(at + 32), c = load(at + 64),
		d = load(at + 96);
	for (at += BLOCK_BYTES; at < end; at += BLOCK_BYTES) {
		a = fold(a, by, load(at));
		b = fold(b, by, load(at + 32));
		c = fold(c, by, load(at + 64));
		d = fold(d, by, load(at + 96));
	}
	by = _mm256_broadcastsi128_si256(BY_256_BITS);
	d = fold(fold(fold(a, by, b), by, c), by, d);
	__m128i low = _mm256_castsi256_si128(d), high = _mm256_extracti128_si256(d, 1);
	__m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(low, BY_128_BITS, 0x00),
				      _mm_clmulepi64_si128(low, BY_128_BITS, 0x11));
	_mm_storeu_si128((__m128i *)(void *)remainder, _mm_xor_si128(moved, high));
}

static int fold_is_best(void)
{
	return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2") &&
	       !__builtin_cpu_supports("avx512vl"); /* with it ISA-L folds 512 bits at a time */
}

uint32_t engine_checksum(uint32_t checksum, struct span bytes)
{
	size_t block_bytes = bytes.bytes & ~(size_t)(BLOCK_BYTES - 1);
	if (block_bytes < 2 * BLOCK_BYTES || !fold_is_best())
		return engine_checksum_isal(checksum, bytes);
	uint8_t remainder[16];
	fold_blocks(checksum, span_of(bytes.base, block_bytes), remainder);
	/* All ones: the library begins with the complement, and this begins with nothing. */
	checksum = engine_checksum_isal(UINT32_MAX, span_of(remainder, sizeof remainder));
	return engine_checksum_isal(checksum, span_of(bytes.base + block_bytes, bytes.bytes - block_bytes));
}
#else
uint32_t engine_checksum(uint32_t checksum, struct span bytes)
{
	return engine_checksum_isal(checksum, bytes);
}
#endif
