/* SPDX-License-Identifier: Apache-2.0
 *
 * samples: records with equal stacks and labels become one, their weights added. Internal to profiler.
 */
#ifndef PROFILER_SAMPLES_H
#define PROFILER_SAMPLES_H

#include <stddef.h>

#include "base/table.h"
#include "bpf/shared.h"

struct samples {
	struct record **records; /* each as long as its frames; owned */
	size_t count, max;
	struct table table; /* index + 1 */
	uint64_t dropped;   /* different stacks beyond SAMPLES_MAX */
};

#define SAMPLES_MAX                                                                                          \
	((size_t)1 << 20) /* 0.5 GB of typical stacks; a run of hours has under 100,000 different */

/* Adds weight and count to the equal record, or keeps a copy. `record` is lent. Returns the kept one; NULL
 * when full. */
const struct record *samples_add(struct samples *samples, const struct record *record);
void samples_finish(struct samples *samples);

static inline size_t record_bytes(const struct record *record)
{
	return offsetof(struct record, frames) +
	       sizeof(uint64_t) *
		       ((size_t)record->kernel_frames + record->user_frames + record->interpreter_frames);
}

#endif
