/* SPDX-License-Identifier: Apache-2.0
 *
 * Splits its CPU 2:1 between two functions. The work is counted, not timed, and each unit of it is a
 * chain of multiplications that takes the same time wherever the linker puts it. The order of the units is
 * random, so that no sampling rate can fall into step with it.
 *
 * usage: split THREADS UNITS   (three units are about 80 us; 0: for ever)
 */
#include "target.h"

#include <pthread.h>

#define UNIT_STEPS 20000
#define THREADS_MAX 64

static uint64_t units;

KEPT static uint64_t two_thirds(uint64_t x)
{
	return chain(x, UNIT_STEPS);
}

KEPT static uint64_t one_third(uint64_t x)
{
	return chain(x, UNIT_STEPS);
}

KEPT static void *split_worker(void *argument)
{
	uint64_t random = 88172645463325252ull + (uint64_t)(uintptr_t)argument * 977;
	uint64_t x = random;
	for (uint64_t i = 0; i < units || units == 0; i += 3) {
		unsigned odd = (unsigned)(draw(&random) % 3);
		for (unsigned k = 0; k < 3; k++)
			x = k == odd ? one_third(x) : two_thirds(x);
	}
	return (void *)(uintptr_t)x;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	if (argc != 3)
		return 2;
	unsigned count = (unsigned)strtoul(argv[1], NULL, 10);
	units = strtoull(argv[2], NULL, 10);
	if (count > THREADS_MAX)
		return 2;
	for (unsigned i = 1; i < count; i++)
		if (pthread_create(&threads[i], NULL, split_worker, (void *)(uintptr_t)i))
			fail("pthread_create");
	split_worker(NULL);
	for (unsigned i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
