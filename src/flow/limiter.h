/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter: what one stream was told with a 429 holds for all of the account. Until a server may be asked
 * again no stream of any worker asks it; then they come back one after the other. Streams whose request was
 * on its way already are not called back. Internal to flow and its tests.
 */
#ifndef FLOW_LIMITER_H
#define FLOW_LIMITER_H

#include <stdint.h>

#include "akamai/plan.h"
#include "base/arena.h"

/* Limits, each with its reason. The first two are those of a stream that waits by itself. */
#define LIMITER_RETRY_AFTER_SECONDS_MAX PLAN_RETRY_AFTER_SECONDS_MAX
#define LIMITER_HOLD_NS_MAX PLAN_BACKOFF_MAX_NS	  /* where the server names no time */
#define LIMITER_SPREAD_NS_MAX INT64_C(2000000000) /* 64 streams come back at over 30 a second */

struct flow_limiter; /* opaque; lives in the arena; any thread may use it */

struct flow_limiter *limiter_create(struct arena *arena);

/* The server has refused a request that was sent at `asked_ns`. `retry_after_seconds`: -1: it did not say;
 * then it is `first_ns`, twice as much for each refusal of a request that was sent after the last hold. 1:
 * nobody was told of such a thing yet. */
int limiter_refused(struct flow_limiter *limiter, unsigned server, int64_t now_ns, int64_t asked_ns,
		    int64_t retry_after_seconds, int64_t first_ns);
/* It has answered such a request. */
void limiter_answered(struct flow_limiter *limiter, unsigned server, int64_t asked_ns);

/* When it may be asked: in the past mostly. */
int64_t limiter_not_before_ns(const struct flow_limiter *limiter, unsigned server);
/* How long after that the streams that wait are to be back: a quarter of the hold, within bounds. */
int64_t limiter_spread_ns(const struct flow_limiter *limiter, unsigned server);

#endif
