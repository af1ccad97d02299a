/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop that all vector kernels share, included once by each kernel file after it has defined
 *	KERNEL_TARGET                      the function attribute of the instruction set
 *	kernel_mask_64(const uint8_t *)    64 bytes -> bit i is set when byte i is '\n'
 *	kernel_any_256(const uint8_t *)    256 bytes -> nonzero when one of them is '\n'
 * so that each instruction set is one small file and the walk, the tail and the limits exist once.
 *
 * An event line is about 1.9 KB, so seven blocks of 256 bytes in eight hold no line end: they cost their
 * loads and one predictable branch. In a block that holds one, which of the four words it is in is not
 * predictable; therefore each word stores a position unconditionally and only the count says whether
 * it stays. Words with several line ends (short lines) are the rare, careful path.
 */
#include <string.h>

#include "base/check.h"

enum { BLOCK_BYTES = 256, WORD_BYTES = 64, BLOCK_WORDS = BLOCK_BYTES / WORD_BYTES };

KERNEL_TARGET static inline __attribute__((always_inline)) size_t
kernel_block(const uint8_t *block, size_t at, uint32_t *positions, size_t count, size_t positions_max)
{
	uint64_t masks[BLOCK_WORDS], several = 0;
	size_t stored = count;

	for (size_t word = 0; word < BLOCK_WORDS; word++) {
		uint64_t mask = kernel_mask_64(block + word * WORD_BYTES);
		masks[word] = mask;
		several |= mask & (mask - 1);
		/* The top bit keeps the count of zeros defined; a word without a line end stores garbage
		 * that the next position overwrites. */
		positions[stored] = (uint32_t)(at + word * WORD_BYTES +
					       (size_t)__builtin_ctzll(mask | (uint64_t)1 << 63));
		stored += mask != 0;
	}
	if (__builtin_expect(several == 0, 1))
		return stored;
	for (size_t word = 0; word < BLOCK_WORDS; word++)
		count = scan_store(masks[word], at + word * WORD_BYTES, positions, count, positions_max);
	return count;
}

/* The last bytes, fewer than a word: the word that ends with the span, without what was seen already. */
KERNEL_TARGET static inline uint64_t kernel_tail(const uint8_t *base, size_t at, size_t bytes)
{
	if (bytes >= WORD_BYTES)
		return kernel_mask_64(base + bytes - WORD_BYTES) >> (WORD_BYTES - (bytes - at));
	uint64_t mask = 0;
	for (size_t i = at; i < bytes; i++)
		mask |= (uint64_t)(base[i] == '\n') << (i - at);
	return mask;
}

KERNEL_TARGET static size_t kernel_line_ends(struct span bytes, uint32_t *positions, size_t positions_max,
					     size_t *ret_scanned)
{
	CHECK_LE(bytes.bytes, SCAN_SPAN_BYTES_MAX);
	const uint8_t *base = bytes.base;
	size_t at = 0, count = 0;

	while (bytes.bytes - at >= BLOCK_BYTES && positions_max - count >= BLOCK_WORDS) {
		if (kernel_any_256(base + at))
			count = kernel_block(base + at, at, positions, count, positions_max);
		at += BLOCK_BYTES;
	}
	while (bytes.bytes - at >= WORD_BYTES && count < positions_max) {
		count = scan_store(kernel_mask_64(base + at), at, positions, count, positions_max);
		at += WORD_BYTES;
	}
	if (at < bytes.bytes && count < positions_max)
		count = scan_store(kernel_tail(base, at, bytes.bytes), at, positions, count, positions_max);
	*ret_scanned = scan_scanned(bytes.bytes, positions, count, positions_max);
	return count;
}
