/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/check.h"

void random_fill(void *target, size_t bytes)
{
	uint8_t *at = target;
	while (bytes) {
		ssize_t got = getrandom(at, bytes, 0);
		if (got < 0) {
			CHECK_EQ(errno, EINTR);
			continue;
		}
		at += got;
		bytes -= (size_t)got;
	}
}

uint64_t random_below(uint64_t bound)
{
	uint64_t value;
	CHECK_NE(bound, (uint64_t)0);
	random_fill(&value, sizeof value);
	return (uint64_t)(((unsigned __int128)value * bound) >> 64);
}
