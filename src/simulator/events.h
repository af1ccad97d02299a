/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes event number `index` of a configuration: a pure function of seed, configuration, index and the
 * time at which it is stored. Format: protocol, "Event schema" (NDJSON line without its end).
 */
#ifndef SIMULATOR_EVENTS_H
#define SIMULATOR_EVENTS_H

#include "simulator/text.h"

#include <stdint.h>

struct events {
	uint64_t seed;
	int lean;
	/* Every long_every-th event (0: none), at most long_count_max (0: no end), has long_bytes more. */
	uint64_t long_every;
	uint64_t long_count_max;
	size_t long_bytes;
};

/* One step of splitmix64, the generator of everything here: mixes `value` into 64 even bits. */
uint64_t events_mix(uint64_t value);
void event_put(const struct events *events, const char *config_id, uint64_t index, int64_t stored_ns,
	       struct text *text);

#endif
