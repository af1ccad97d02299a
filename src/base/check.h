/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks that stay on in production. They are for programmer errors only; bytes from a peer are never
 * checked this way (those are faults). A failed check prints both operands and aborts.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

__attribute__((noreturn)) void check_failed(const char *file, int line, const char *expression, uint64_t left,
					    uint64_t right);

#define CHECK_COMPARE_(a, op, b)                                                                             \
	do {                                                                                                 \
		__auto_type check_left_ = (a);                                                               \
		__auto_type check_right_ = (b);                                                              \
		if (__builtin_expect(!(check_left_ op check_right_), 0))                                     \
			check_failed(__FILE__, __LINE__, #a " " #op " " #b,                                  \
				     (uint64_t)(uintptr_t)check_left_, (uint64_t)(uintptr_t)check_right_);   \
	} while (0)

#define CHECK_EQ(a, b) CHECK_COMPARE_(a, ==, b)
#define CHECK_NE(a, b) CHECK_COMPARE_(a, !=, b)
#define CHECK_LT(a, b) CHECK_COMPARE_(a, <, b)
#define CHECK_LE(a, b) CHECK_COMPARE_(a, <=, b)
#define CHECK_GE(a, b) CHECK_COMPARE_(a, >=, b)

#endif
