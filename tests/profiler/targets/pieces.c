/* SPDX-License-Identifier: Apache-2.0
 *
 * A code generator that maps each of its functions by itself, with a hole before the next: more pieces than a
 * profiler may want to know. It works for a second in its own code, and now and then in theirs.
 *
 * usage: pieces COUNT
 */
#include "target.h"

#include <sys/mman.h>

#if defined(__x86_64__)
static const unsigned char code[] = { 0xc3 }; /* ret */
#elif defined(__aarch64__)
static const uint32_t code[] = { 0xd65f03c0 }; /* ret */
#endif

typedef void function(void);

/* Two pages, of which the first becomes code: the second keeps it apart from its neighbour. */
static function *piece_make(void)
{
	function *made;
	void *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	memcpy(memory, code, sizeof code);
	__builtin___clear_cache((char *)memory, (char *)memory + sizeof code);
	if (mprotect(memory, 4096, PROT_READ | PROT_EXEC))
		fail("mprotect");
	memcpy(&made, &memory, sizeof made);
	return made;
}

KEPT static uint64_t work_between(uint64_t x)
{
	return chain(x, 20000);
}

int main(int argc, char **argv)
{
	size_t count = argc == 2 ? (size_t)atoi(argv[1]) : 0;
	function **pieces = calloc(count, sizeof *pieces);
	uint64_t x = 1;
	if (!count || !pieces)
		return 2;
	for (size_t i = 0; i < count; i++)
		pieces[i] = piece_make();
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + SECOND_NS;
	for (size_t i = 0; clock_ns(CLOCK_MONOTONIC) < until_ns; i = (i + 1) % count) {
		pieces[i]();
		x = work_between(x);
	}
	return x == 0;
}
