/* SPDX-License-Identifier: Apache-2.0
 *
 * The cases of plan_test.c once more, with the program akamai.lua beside the plan: see program/mirror.h.
 */
#include "program/mirror.h"

static int run_both_ways(const struct test_case *cases, size_t count, const char *only);

#undef TEST_MAIN
#define TEST_MAIN(...)                                                                                       \
	int main(int argc, char **argv)                                                                      \
	{                                                                                                    \
		static const struct test_case cases[] = { __VA_ARGS__ };                                     \
		return run_both_ways(cases, sizeof cases / sizeof *cases, argc > 1 ? argv[1] : NULL);        \
	}
#define plan_begin mirror_begin
#define plan_next mirror_next
#define plan_answer(...) mirror_answer(__VA_ARGS__) /* the struct of that name keeps it */
#include "unit/plan_test.c"

enum { CASES_MAX = 100 };

static size_t cases_count;

static void most_of_it_was_compared(void)
{
	printf("# %" PRIu64 " plays, %" PRIu64 " requests, %" PRIu64 " pauses, %" PRIu64 " ends; %" PRIu64
	       " plays left in the middle\n",
	       mirror.plays, mirror.requests, mirror.waits, mirror.ends, mirror.lost_between);
	GT(mirror.plays, cases_count);
	GT(mirror.requests, 4 * cases_count);
	LT(mirror.lost_between, cases_count / 4);
	EQ(mirror.lost_settings, 0);
}

static int run_both_ways(const struct test_case *cases, size_t count, const char *only)
{
	struct test_case all[CASES_MAX];
	if (count >= CASES_MAX)
		return 1;
	memcpy(all, cases, count * sizeof *cases);
	all[count] = (struct test_case)T(most_of_it_was_compared);
	cases_count = count;
	return test_run(all, count + (only == NULL), only);
}
