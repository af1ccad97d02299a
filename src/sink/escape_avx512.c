/* SPDX-License-Identifier: Apache-2.0
 *
 * The message format's kernel for processors with AVX-512 VBMI2 (Ice Lake, Zen 4 and later): 32 bytes at a
 * time without a branch per quote. Each byte is widened to two, backslash and byte; one instruction then
 * squeezes out the backslashes that are not wanted.
 */
#include "sink/escape.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define KERNEL_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt")))

KERNEL_TARGET static void run_avx512(struct cursor_in *lines, struct cursor_out *output)
{
	const uint8_t *from = lines->next;
	uint8_t *to = output->next;
	unsigned taken = 32;
	while (taken == 32 && lines->end - from >= 32 && output->end - to >= 64) {
		__m256i bytes = _mm256_loadu_si256((const __m256i *)from);
		/* as signed bytes, those below the blank are the control characters and all that is not ASCII
		 */
		uint32_t other = _mm256_cmplt_epi8_mask(bytes, _mm256_set1_epi8(' '));
		uint32_t escaped = _mm256_cmpeq_epi8_mask(bytes, _mm256_set1_epi8('"')) |
				   _mm256_cmpeq_epi8_mask(bytes, _mm256_set1_epi8('\\'));
		taken = (unsigned)_tzcnt_u32(other); /* 32 when there is none */
		escaped = _bzhi_u32(escaped, taken);
		__m512i pairs = _mm512_or_si512(_mm512_slli_epi16(_mm512_cvtepu8_epi16(bytes), 8),
						_mm512_set1_epi16('\\'));
		uint64_t wanted = _pdep_u64(escaped, UINT64_C(0x5555555555555555)) |
				  (UINT64_C(0xaaaaaaaaaaaaaaaa) & _bzhi_u64(~UINT64_C(0), 2 * taken));
		_mm512_storeu_si512(to, _mm512_maskz_compress_epi8(wanted, pairs));
		from += taken;
		to += taken + (unsigned)_mm_popcnt_u32(escaped);
	}
	lines->next = from;
	output->next = to;
	if (taken == 32) /* too near an end for this */
		escape_run_portable(lines, output);
}

escape_run *escape_run_avx512(void)
{
	return __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bw") &&
			       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2")
		       ? run_avx512
		       : NULL;
}

#else

escape_run *escape_run_avx512(void)
{
	return NULL;
}

#endif
