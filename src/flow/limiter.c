/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/limiter.h"

#include <pthread.h>

#include "base/check.h"
#include "base/clock.h"
#include "flow/flow.h"

#define SPREAD_NS_MIN (10 * NS_PER_MS) /* so that not even two come at once */

struct limited_server {
	/* Read before each request without the lock; written with it. */
	int64_t not_before_ns;
	int64_t spread_ns;
	int64_t held_ns; /* when the last hold began */
	unsigned refusals_in_a_row;
};

struct flow_limiter {
	pthread_mutex_t lock;
	int told;
	struct limited_server servers[FLOW_SERVERS_MAX];
};

struct flow_limiter *limiter_create(struct arena *arena)
{
	struct flow_limiter *limiter = arena_take(arena, sizeof *limiter, 64);
	CHECK_EQ(pthread_mutex_init(&limiter->lock, NULL), 0);
	return limiter;
}

static struct limited_server *server_of(struct flow_limiter *limiter, unsigned server)
{
	CHECK_LT(server, (unsigned)FLOW_SERVERS_MAX);
	return &limiter->servers[server];
}

/* Refusals of requests that were under way when the hold began say nothing new. */
static int64_t hold_of(struct limited_server *server, int64_t asked_ns, int64_t retry_after_seconds,
		       int64_t first_ns)
{
	if (asked_ns >= server->held_ns || server->refusals_in_a_row == 0)
		server->refusals_in_a_row++;
	if (retry_after_seconds > LIMITER_RETRY_AFTER_SECONDS_MAX)
		retry_after_seconds = LIMITER_RETRY_AFTER_SECONDS_MAX;
	if (retry_after_seconds >= 0)
		return retry_after_seconds * NS_PER_SECOND;
	int64_t hold_ns = first_ns;
	for (unsigned i = 1; i < server->refusals_in_a_row && hold_ns < LIMITER_HOLD_NS_MAX; i++)
		hold_ns *= 2;
	return hold_ns < LIMITER_HOLD_NS_MAX ? hold_ns : LIMITER_HOLD_NS_MAX;
}

int limiter_refused(struct flow_limiter *limiter, unsigned server_index, int64_t now_ns, int64_t asked_ns,
		    int64_t retry_after_seconds, int64_t first_ns)
{
	struct limited_server *server = server_of(limiter, server_index);
	CHECK_EQ(pthread_mutex_lock(&limiter->lock), 0);
	int64_t hold_ns = hold_of(server, asked_ns, retry_after_seconds, first_ns);
	int64_t spread_ns = hold_ns / 4 < LIMITER_SPREAD_NS_MAX ? hold_ns / 4 : LIMITER_SPREAD_NS_MAX;
	if (now_ns + hold_ns > server->not_before_ns) {
		if (now_ns > server->not_before_ns)
			server->held_ns = now_ns;
		if (spread_ns < SPREAD_NS_MIN)
			spread_ns = SPREAD_NS_MIN;
		__atomic_store_n(&server->spread_ns, spread_ns, __ATOMIC_RELAXED);
		__atomic_store_n(&server->not_before_ns, now_ns + hold_ns, __ATOMIC_RELEASE);
	}
	int first = !limiter->told;
	limiter->told = 1;
	CHECK_EQ(pthread_mutex_unlock(&limiter->lock), 0);
	return first;
}

void limiter_answered(struct flow_limiter *limiter, unsigned server_index, int64_t asked_ns)
{
	struct limited_server *server = server_of(limiter, server_index);
	if (__atomic_load_n(&server->not_before_ns, __ATOMIC_ACQUIRE) == 0)
		return; /* never refused */
	CHECK_EQ(pthread_mutex_lock(&limiter->lock), 0);
	if (asked_ns >= server->held_ns)
		server->refusals_in_a_row = 0;
	CHECK_EQ(pthread_mutex_unlock(&limiter->lock), 0);
}

int64_t limiter_not_before_ns(const struct flow_limiter *limiter, unsigned server)
{
	CHECK_LT(server, (unsigned)FLOW_SERVERS_MAX);
	return __atomic_load_n(&limiter->servers[server].not_before_ns, __ATOMIC_ACQUIRE);
}

int64_t limiter_spread_ns(const struct flow_limiter *limiter, unsigned server)
{
	CHECK_LT(server, (unsigned)FLOW_SERVERS_MAX);
	return __atomic_load_n(&limiter->servers[server].spread_ns, __ATOMIC_RELAXED);
}
