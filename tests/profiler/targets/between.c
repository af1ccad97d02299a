/* SPDX-License-Identifier: Apache-2.0
 *
 * A small block after each large one. Sampling by bytes takes nearly every large one, so that a small one is
 * always near to the last sample; it must have its chance all the same.
 *
 * usage: between TRUTH_FILE COUNT SMALL_BYTES LARGE_BYTES
 */
#include <malloc.h>

#include "target.h"

KEPT static void *site_small(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_large(size_t bytes)
{
	return malloc(bytes);
}

int main(int argc, char **argv)
{
	char beside[4096];
	if (argc != 5)
		return 2;
	uint64_t count = strtoull(argv[2], NULL, 10);
	size_t small_bytes = strtoull(argv[3], NULL, 10);
	size_t large_bytes = strtoull(argv[4], NULL, 10);
	mallopt(M_MMAP_THRESHOLD, 1 << 30); /* no system calls */
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	for (uint64_t i = 0; i < count; i++) {
		free(site_large(large_bytes));
		free(site_small(small_bytes));
	}
	FILE *file = truth_open(argv[1], beside, sizeof beside);
	fprintf(file, "{\"pairs\": %llu}\n", (unsigned long long)count);
	truth_close(file, beside, argv[1]);
	return 0;
}
