/* SPDX-License-Identifier: Apache-2.0
 *
 * What every test program uses. A test is a function; TEST_MAIN lists them; output is TAP, so that the
 * build counts each one. Checks take two operands and print both. A test that cannot run here says
 * SKIP("why"); a test program never asserts wall-clock time.
 *
 *	static void parses_empty(void) { EQ(parse(""), 0); }
 *	TEST_MAIN(T(parses_empty), T(...))
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

static jmp_buf test_exit;
static char test_message[1024];

/* Leaves the running test. Memory and descriptors it holds are leaked: it has failed anyway. */
__attribute__((format(printf, 2, 3), noreturn, unused)) static void test_leave(int how, const char *format,
									       ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(test_message, sizeof test_message, format, arguments);
	va_end(arguments);
	for (char *end = test_message; (end = strchr(end, '\n'));)
		*end = ' '; /* TAP goes by lines */
	longjmp(test_exit, how);
}

#define TEST_COMPARE_(a, op, b)                                                                              \
	do {                                                                                                 \
		long long test_a_ = (long long)(a), test_b_ = (long long)(b);                                \
		if (!(test_a_ op test_b_))                                                                   \
			test_leave(1, "%s:%d: %s " #op " %s: %lld against %lld", __FILE__, __LINE__, #a, #b, \
				   test_a_, test_b_);                                                        \
	} while (0)
#define EQ(a, b) TEST_COMPARE_(a, ==, b)
#define NE(a, b) TEST_COMPARE_(a, !=, b)
#define LT(a, b) TEST_COMPARE_(a, <, b)
#define LE(a, b) TEST_COMPARE_(a, <=, b)
#define GT(a, b) TEST_COMPARE_(a, >, b)
#define GE(a, b) TEST_COMPARE_(a, >=, b)
#define EQ_TEXT(a, b)                                                                                        \
	do {                                                                                                 \
		const char *test_a_ = (a), *test_b_ = (b);                                                   \
		if (strcmp(test_a_, test_b_) != 0)                                                           \
			test_leave(1, "%s:%d: %s is \"%.300s\", wanted \"%.300s\"", __FILE__, __LINE__, #a,  \
				   test_a_, test_b_);                                                        \
	} while (0)
#define HAS_TEXT(a, part)                                                                                    \
	do {                                                                                                 \
		const char *test_a_ = (a), *test_b_ = (part);                                                \
		if (!strstr(test_a_, test_b_))                                                               \
			test_leave(1, "%s:%d: %s is \"%.300s\", lacks \"%.300s\"", __FILE__, __LINE__, #a,   \
				   test_a_, test_b_);                                                        \
	} while (0)
#define EQ_BYTES(a, a_bytes, b, b_bytes)                                                                     \
	do {                                                                                                 \
		EQ(a_bytes, b_bytes);                                                                        \
		const uint8_t *test_a_ = (const void *)(a), *test_b_ = (const void *)(b);                    \
		size_t test_i_ = 0, test_bytes_ = (size_t)(b_bytes);                                         \
		if (test_bytes_ && memcmp(test_a_, test_b_, test_bytes_) != 0) {                             \
			while (test_a_[test_i_] == test_b_[test_i_])                                         \
				test_i_++;                                                                   \
			test_leave(1, "%s:%d: %s and %s differ at byte %zu: 0x%02x against 0x%02x",          \
				   __FILE__, __LINE__, #a, #b, test_i_, test_a_[test_i_], test_b_[test_i_]); \
		}                                                                                            \
	} while (0)
#define FAIL(...) test_leave(1, __VA_ARGS__)
#define SKIP(...) test_leave(2, __VA_ARGS__)

#define T(name)                                                                                              \
	{                                                                                                    \
#name, name                                                                                  \
	}
#define TEST_MAIN(...)                                                                                       \
	int main(int argc, char **argv)                                                                      \
	{                                                                                                    \
		static const struct test_case cases[] = { __VA_ARGS__ };                                     \
		return test_run(cases, sizeof cases / sizeof *cases, argc > 1 ? argv[1] : NULL);             \
	}

/* Runs all cases, or only those whose name contains `only`. */
__attribute__((unused)) static int test_run(const struct test_case *cases, size_t count, const char *only)
{
	volatile int failed = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%zu\n", count);
	for (volatile size_t i = 0; i < count; i++) {
		if (only && !strstr(cases[i].name, only)) {
			printf("ok %zu - %s # SKIP not asked for\n", i + 1, cases[i].name);
			continue;
		}
		int how = setjmp(test_exit);
		if (how == 0) {
			cases[i].run();
			printf("ok %zu - %s\n", i + 1, cases[i].name);
		} else if (how == 2) {
			printf("ok %zu - %s # SKIP %s\n", i + 1, cases[i].name, test_message);
		} else {
			printf("not ok %zu - %s\n# %s\n", i + 1, cases[i].name, test_message);
			failed = 1;
		}
	}
	return failed;
}

#endif
