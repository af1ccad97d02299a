/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps known amounts of memory, in several ways, and touches known numbers of pages of it. Each way has a
 * function of its own. Faults are counted by the kernel, too (getrusage); huge pages are switched off.
 *
 * usage: mapper TRUTH_FILE STAY
 */
#include "target.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define PAGE_BYTES 4096
#define KEPT_PAGES 512	   /* mapped, touched, kept */
#define UNMAPPED_PAGES 64  /* mapped, touched, unmapped ... */
#define UNMAPPED_ROUNDS 20 /* ... so often */
#define UNTOUCHED_PAGES 1024
#define BRK_PAGES 256

static long faults_of_thread(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt;
}

static unsigned char *map(size_t pages)
{
	void *address =
		mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (address == MAP_FAILED)
		fail("mmap");
	return address;
}

KEPT static void touch(volatile unsigned char *address, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		address[i * PAGE_BYTES] = 1;
}

KEPT static void map_and_keep(void)
{
	touch(map(KEPT_PAGES), KEPT_PAGES);
}

KEPT static void map_untouched(void)
{
	map(UNTOUCHED_PAGES);
}

KEPT static void map_and_unmap(void)
{
	for (unsigned i = 0; i < UNMAPPED_ROUNDS; i++) {
		unsigned char *address = map(UNMAPPED_PAGES);
		touch(address, UNMAPPED_PAGES);
		munmap(address, UNMAPPED_PAGES * (size_t)PAGE_BYTES);
	}
}

KEPT static void grow_brk(void)
{
	unsigned char *address = sbrk(BRK_PAGES * PAGE_BYTES);
	if (address == (void *)-1)
		fail("sbrk");
	touch(address, BRK_PAGES);
}

static const struct {
	const char *name;
	void (*step)(void);
	unsigned long mapped_bytes, mapped_count, live_bytes, faults;
} steps[] = {
	{ "map_and_keep", map_and_keep, KEPT_PAGES *PAGE_BYTES, 1, KEPT_PAGES *PAGE_BYTES, KEPT_PAGES },
	{ "map_untouched", map_untouched, UNTOUCHED_PAGES *PAGE_BYTES, 1, UNTOUCHED_PAGES *PAGE_BYTES, 0 },
	{ "map_and_unmap", map_and_unmap, UNMAPPED_ROUNDS *UNMAPPED_PAGES *PAGE_BYTES, UNMAPPED_ROUNDS, 0,
	  UNMAPPED_ROUNDS *UNMAPPED_PAGES },
	{ "grow_brk", grow_brk, BRK_PAGES *PAGE_BYTES, 1, BRK_PAGES *PAGE_BYTES, BRK_PAGES },
};

int main(int argc, char **argv)
{
	char beside[4096];
	long faults[sizeof steps / sizeof steps[0]];
	if (argc != 3)
		return 2;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		long before = faults_of_thread();
		steps[i].step();
		faults[i] = faults_of_thread() - before;
	}
	FILE *file = truth_open(argv[1], beside, sizeof beside);
	fprintf(file, "{\"pid\": %d, \"steps\": {", (int)getpid());
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		fprintf(file,
			"%s\n\"%s\": {\"mapped_bytes\": %lu, \"mapped_count\": %lu, \"live_bytes\": %lu, "
			"\"faults\": %lu, \"faults_by_kernel\": %ld}",
			i ? "," : "", steps[i].name, steps[i].mapped_bytes, steps[i].mapped_count,
			steps[i].live_bytes, steps[i].faults, faults[i]);
	fprintf(file, "\n}}\n");
	truth_close(file, beside, argv[1]);
	while (argv[2][0] == '1')
		pause();
	return 0;
}
