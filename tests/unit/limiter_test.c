/* SPDX-License-Identifier: Apache-2.0
 *
 * The account's limit: how long all wait, when refusals count, and that any thread may ask and tell.
 */
#include <pthread.h>

#include "base/clock.h"
#include "flow/limiter.h"
#include "test.h"

#define SECOND NS_PER_SECOND
#define FIRST (2 * SECOND) /* the first pause where the server names none */

struct scene {
	struct arena arena;
	struct flow_limiter *limiter;
};

static void scene_open(struct scene *scene)
{
	EQ(arena_open(&scene->arena, 1 << 20), 0);
	scene->limiter = limiter_create(&scene->arena);
}

static void retry_after_counts(void)
{
	struct scene s;
	scene_open(&s);
	EQ(limiter_not_before_ns(s.limiter, 0), 0);
	EQ(limiter_refused(s.limiter, 0, 100 * SECOND, 99 * SECOND, 8, FIRST), 1);
	EQ(limiter_not_before_ns(s.limiter, 0), 108 * SECOND);
	EQ(limiter_spread_ns(s.limiter, 0), 2 * SECOND);
	EQ(limiter_not_before_ns(s.limiter, 1), 0); /* another server */
	/* An answer that allows more is no reason to come earlier. */
	EQ(limiter_refused(s.limiter, 0, 101 * SECOND, 99 * SECOND, 1, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 0), 108 * SECOND);
	EQ(limiter_refused(s.limiter, 0, 102 * SECOND, 99 * SECOND, 9, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 0), 111 * SECOND);
	EQ(limiter_refused(s.limiter, 0, 200 * SECOND, 199 * SECOND, 1000000, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 0), (200 + LIMITER_RETRY_AFTER_SECONDS_MAX) * SECOND);
	EQ(limiter_spread_ns(s.limiter, 0), LIMITER_SPREAD_NS_MAX);
	arena_finish(&s.arena);
}

static void no_time_is_named(void)
{
	struct scene s;
	scene_open(&s);
	EQ(limiter_refused(s.limiter, 2, 100 * SECOND, 99 * SECOND, -1, FIRST), 1);
	EQ(limiter_not_before_ns(s.limiter, 2), 102 * SECOND);
	/* Of requests that were on their way: nothing new. */
	for (int i = 0; i < 20; i++)
		EQ(limiter_refused(s.limiter, 2, 100 * SECOND + 1, 99 * SECOND, -1, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 2), 102 * SECOND + 1);
	/* Refused again when we came back: twice as long. */
	EQ(limiter_refused(s.limiter, 2, 104 * SECOND, 103 * SECOND, -1, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 2), 108 * SECOND);
	/* An old answer changes nothing, a new one does. */
	limiter_answered(s.limiter, 2, 101 * SECOND);
	EQ(limiter_refused(s.limiter, 2, 110 * SECOND, 109 * SECOND, -1, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 2), 118 * SECOND);
	limiter_answered(s.limiter, 2, 119 * SECOND);
	EQ(limiter_refused(s.limiter, 2, 120 * SECOND, 119 * SECOND, -1, FIRST), 0);
	EQ(limiter_not_before_ns(s.limiter, 2), 122 * SECOND);
	for (int64_t at = 200; at < 4000; at += 200)
		limiter_refused(s.limiter, 2, at * SECOND, (at - 1) * SECOND, -1, FIRST);
	EQ(limiter_not_before_ns(s.limiter, 2), 3800 * SECOND + LIMITER_HOLD_NS_MAX);
	arena_finish(&s.arena);
}

static void *tell(void *argument)
{
	struct flow_limiter *limiter = argument;
	int64_t latest_ns = 0;
	for (int64_t i = 1; i <= 20000; i++) {
		if (i % 3)
			limiter_refused(limiter, 0, i * SECOND, i * SECOND - 1, i % 7, FIRST);
		else
			limiter_answered(limiter, 0, i * SECOND);
		int64_t not_before_ns = limiter_not_before_ns(limiter, 0);
		GE(not_before_ns, latest_ns); /* it never comes nearer */
		GE(limiter_spread_ns(limiter, 0), 1);
		latest_ns = not_before_ns;
	}
	return NULL;
}

static void any_thread_may(void)
{
	struct scene s;
	pthread_t threads[4];
	scene_open(&s);
	limiter_refused(s.limiter, 0, 1, 0, 0, FIRST);
	for (size_t i = 0; i < 4; i++)
		EQ(pthread_create(&threads[i], NULL, tell, s.limiter), 0);
	for (size_t i = 0; i < 4; i++)
		EQ(pthread_join(threads[i], NULL), 0);
	/* The farthest that anybody said. */
	int64_t farthest = 0;
	for (int64_t i = 1; i <= 20000; i++)
		if (i % 3 && i + i % 7 > farthest)
			farthest = i + i % 7;
	EQ(limiter_not_before_ns(s.limiter, 0), farthest * SECOND);
	arena_finish(&s.arena);
}

TEST_MAIN(T(retry_after_counts), T(no_time_is_named), T(any_thread_may))
