/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs code that it has generated, for ever or for some seconds: a loop with a frame pointer, named in
 * /tmp/perf-PID.map as JIT compilers do. The code is made some time after the start, so that nobody knows of
 * it beforehand.
 *
 * usage: jit [SECONDS]
 */
#include "target.h"

#include <signal.h>
#include <sys/mman.h>

#if defined(__x86_64__)
static const unsigned char code[] = {
	0x55,			      /* push %rbp */
	0x48, 0x89, 0xe5,	      /* mov %rsp, %rbp */
	0xb9, 0x40, 0x42, 0x0f, 0x00, /* mov $1000000, %ecx */
	0xff, 0xc9,		      /* dec %ecx */
	0x75, 0xfc,		      /* jnz to the dec */
	0x5d,			      /* pop %rbp */
	0xc3,			      /* ret */
};
#elif defined(__aarch64__)
static const uint32_t code[] = {
	0xa9bf7bfd, /* stp x29, x30, [sp, #-16]! */
	0x910003fd, /* mov x29, sp */
	0xd2a00201, /* mov x1, #0x100000 */
	0xf1000421, /* subs x1, x1, #1 */
	0x54ffffe1, /* b.ne to the subs */
	0xa8c17bfd, /* ldp x29, x30, [sp], #16 */
	0xd65f03c0, /* ret */
};
#endif

static char map_path[64];

static void remove_map(int number)
{
	(void)number;
	unlink(map_path);
	_exit(0);
}

KEPT static void run_generated(void (*function)(void))
{
	for (unsigned i = 0; i < 100; i++)
		function();
}

int main(int argc, char **argv)
{
	uint64_t until_ns =
		argc > 1 ? clock_ns(CLOCK_MONOTONIC) + strtoull(argv[1], NULL, 10) * SECOND_NS : UINT64_MAX;
	usleep(200000);
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*function)(void);
	if (memory == MAP_FAILED)
		fail("mmap");
	memcpy(memory, code, sizeof code);
	__builtin___clear_cache((char *)memory, (char *)memory + sizeof code);
	if (mprotect(memory, 4096, PROT_READ | PROT_EXEC))
		fail("mprotect");
	memcpy(&function, &memory, sizeof function);
	snprintf(map_path, sizeof map_path, "/tmp/perf-%d.map", (int)getpid());
	FILE *map = fopen(map_path, "wex");
	if (!map)
		fail(map_path);
	signal(SIGTERM, remove_map);
	fprintf(map, "%lx %zx generated_loop\n", (unsigned long)(uintptr_t)memory, sizeof code);
	fclose(map);
	while (clock_ns(CLOCK_MONOTONIC) < until_ns)
		run_generated(function);
	return 0; /* the map stays behind, as it does with Node.js */
}
