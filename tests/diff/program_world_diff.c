/* SPDX-License-Identifier: Apache-2.0
 *
 * The world of plan_diff.c once more, with the program akamai.lua beside the plan: see program/mirror.h. Its
 * runs are long, and what the service answers depends on what it is asked.
 */
#define MIRROR_CLOCK_NS (NS_PER_SECOND / 2)
#include "program/mirror.h"

#undef TEST_MAIN
#define TEST_MAIN(...)
#define plan_begin mirror_begin
#define plan_next mirror_next
#define plan_answer(...) mirror_answer(__VA_ARGS__) /* the struct of that name keeps it */
#include "diff/plan_diff.c"

enum { WORLDS = 120 };

static void the_program_does_what_the_plan_does(void)
{
	uint64_t recoveries = 0;
	for (uint64_t seed = 1001; seed <= 1000 + WORLDS; seed++) {
		mirror.full = seed % 2 == 0;
		recoveries += play(seed);
	}
	printf("# %" PRIu64 " runs, %" PRIu64 " requests, %" PRIu64 " pauses, %" PRIu64 " recoveries\n",
	       mirror.plays, mirror.requests, mirror.waits, recoveries);
	GE(mirror.plays, WORLDS);
	GT(mirror.requests, 200 * WORLDS);
	GT(recoveries, WORLDS);
	/* Each run ends with settings of the plan alone. */
	LE(mirror.lost_settings, WORLDS);
	EQ(mirror.lost_between, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = { T(the_program_does_what_the_plan_does) };
	(void)nothing_is_lost_or_handed_on_twice; /* by the plan alone: that is plan_diff.c's */
	return test_run(cases, 1, argc > 1 ? argv[1] : NULL);
}
