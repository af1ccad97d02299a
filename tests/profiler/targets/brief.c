/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that live for a moment: one after the other, each for so many microseconds of CPU.
 *
 * usage: brief COUNT MICROSECONDS TRUTH
 *   TRUTH gets {"cpu_ns": what the threads have used}
 */
#include "target.h"

#include <pthread.h>

static uint64_t wanted_ns, used_ns;

KEPT static uint64_t brief_work(uint64_t x)
{
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < wanted_ns)
		x = chain(x, 1000);
	return x;
}

static void *brief_thread(void *context)
{
	*(uint64_t *)context = brief_work(*(uint64_t *)context);
	used_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

int main(int argc, char **argv)
{
	char beside[4096];
	uint64_t x = 1;
	pthread_t thread;
	if (argc != 4)
		return 2;
	wanted_ns = strtoull(argv[2], NULL, 10) * 1000;
	for (int left = atoi(argv[1]); left > 0; left--)
		if (pthread_create(&thread, NULL, brief_thread, &x) || pthread_join(thread, NULL))
			fail("thread");
	FILE *file = truth_open(argv[3], beside, sizeof beside);
	fprintf(file, "{\"cpu_ns\": %llu, \"x\": %d}\n", (unsigned long long)used_ns, (int)(x & 1));
	truth_close(file, beside, argv[3]);
	return 0;
}
