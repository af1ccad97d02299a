/* SPDX-License-Identifier: Apache-2.0
 *
 * Burns CPU at known depths of recursion, one after the other.
 *
 * usage: depth MS DEPTH...   (milliseconds of CPU at each depth; a depth is the number of `recurse` frames)
 */
#include "target.h"

KEPT static uint64_t deepest(uint64_t x)
{
	return chain(x, 40000);
}

KEPT static uint64_t recurse(unsigned frames, uint64_t x)
{
	return frames == 1 ? deepest(x) : recurse(frames - 1, x);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	uint64_t x = 1, each_ns = strtoull(argv[1], NULL, 10) * 1000000;
	for (int i = 2; i < argc; i++) {
		unsigned frames = (unsigned)strtoul(argv[i], NULL, 10);
		uint64_t end_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + each_ns;
		while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns)
			x = recurse(frames, x);
	}
	return (int)(x >> 63) & 0;
}
