/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *expression, uint64_t left, uint64_t right)
{
	fprintf(stderr,
		"akamai-prof: internal check failed at %s:%d: %s (%" PRIu64 " against %" PRIu64
		"). This is a bug; please report it.\n",
		file, line, expression, left, right);
	abort();
}
