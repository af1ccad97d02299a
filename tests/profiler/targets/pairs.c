/* SPDX-License-Identifier: Apache-2.0
 *
 * A tight loop of malloc and free, which tells how long one pair of them takes: for perf/profiler.
 *
 * usage: pairs TRUTH_FILE COUNT
 */
#include "target.h"

KEPT static void *allocate_pair(size_t bytes)
{
	return malloc(bytes);
}

int main(int argc, char **argv)
{
	char beside[4096];
	if (argc != 3)
		return 2;
	uint64_t count = strtoull(argv[2], NULL, 10);
	uint64_t before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (uint64_t i = 0; i < count; i++)
		free(allocate_pair(64));
	uint64_t ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before_ns;
	FILE *file = truth_open(argv[1], beside, sizeof beside);
	fprintf(file, "{\"pairs\": %llu, \"ns_per_pair\": %.3f}\n", (unsigned long long)count,
		(double)ns / (double)count);
	truth_close(file, beside, argv[1]);
	return 0;
}
