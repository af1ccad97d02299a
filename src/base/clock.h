/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks. Monotonic nanoseconds for durations and deadlines, wall-clock for protocol times.
 * Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t clock_monotonic_ns(void);
/* Nanoseconds since 1970-01-01 UTC. */
int64_t clock_unix_ns(void);
/* CPU time that this process has used so far, user and system, in nanoseconds. */
int64_t clock_process_cpu_ns(void);

#endif
