/* SPDX-License-Identifier: Apache-2.0
 *
 * Unpredictable bytes for nonces and jitter, from the kernel's getrandom(2). Any thread.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills `bytes` bytes; aborts when the kernel cannot (no entropy source means no safe nonce). */
void random_fill(void *target, size_t bytes);
/* Uniform in [0, bound). `bound` > 0. */
uint64_t random_below(uint64_t bound);

#endif
