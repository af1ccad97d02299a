/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocates known numbers and bytes in every way that the C library has: many threads, blocks freed by other
 * threads, chains of realloc(), requests that fail, children by fork and by exec.
 *
 * usage: conserve TRUTH_FILE THREADS ROUNDS PAUSE_US STAY
 *   PAUSE_US: after every 64 allocations of a thread; STAY 1: a child waits until it is watched before it
 * allocates, and all that hold memory wait to be killed; 0: none waits.
 */
#include "tally.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum site {
	SITE_MALLOC,
	SITE_MALLOC_ZERO,
	SITE_MALLOC_LARGE, /* the library maps it: must be counted once */
	SITE_CALLOC,
	SITE_REALLOC_NULL,
	SITE_REALLOC_CHAIN,
	SITE_REALLOC_FAILING, /* nothing is allocated, and the old block stays */
	SITE_REALLOCARRAY,
	SITE_POSIX_MEMALIGN,
	SITE_ALIGNED_ALLOC,
	SITE_MEMALIGN,
	SITE_VALLOC,
	SITE_STRDUP,
	SITE_IMPOSSIBLE, /* never succeeds */
	SITE_FORKED_ENDING,
	SITE_FORKED_STAYING,
	SITE_BEFORE_EXEC,
	SITE_AFTER_EXEC,
	SITE_COUNT,
};

static const char *const site_names[SITE_COUNT] = {
	[SITE_MALLOC] = "site_malloc",
	[SITE_MALLOC_ZERO] = "site_malloc_zero",
	[SITE_MALLOC_LARGE] = "site_malloc_large",
	[SITE_CALLOC] = "site_calloc",
	[SITE_REALLOC_NULL] = "site_realloc_null",
	[SITE_REALLOC_CHAIN] = "site_realloc_chain",
	[SITE_REALLOC_FAILING] = "site_realloc_failing",
	[SITE_REALLOCARRAY] = "site_reallocarray",
	[SITE_POSIX_MEMALIGN] = "site_posix_memalign",
	[SITE_ALIGNED_ALLOC] = "site_aligned_alloc",
	[SITE_MEMALIGN] = "site_memalign",
	[SITE_VALLOC] = "site_valloc",
	[SITE_STRDUP] = "site_strdup",
	[SITE_IMPOSSIBLE] = "site_impossible",
	[SITE_FORKED_ENDING] = "site_forked_ending",
	[SITE_FORKED_STAYING] = "site_forked_staying",
	[SITE_BEFORE_EXEC] = "site_before_exec",
	[SITE_AFTER_EXEC] = "site_after_exec",
};

#define THREADS_MAX 64
#define HELD_MAX 64 /* blocks of a thread at a time; the sixth part is left at its end */
#define TEXT_BYTES 600
#define CODE_BYTES 32 /* a probe need not be at the first instruction */

static struct tallies *tallies;
static unsigned thread_count, rounds, pause_us;
static struct block held[THREADS_MAX][HELD_MAX];
static struct block *handed[THREADS_MAX]; /* to be freed by that thread */
static struct block handed_block[THREADS_MAX];
static pthread_mutex_t handed_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_here;
static char text[TEXT_BYTES + 1];
static volatile size_t too_much = (size_t)1 << 60; /* volatile: the compiler would warn that it is too much */

KEPT static void *site_malloc(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_malloc_zero(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_malloc_large(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_calloc(size_t bytes)
{
	return calloc(1, bytes);
}

KEPT static void *site_realloc_null(size_t bytes)
{
	return realloc(NULL, bytes);
}

KEPT static void *site_realloc_chain(void *old, size_t bytes)
{
	return realloc(old, bytes);
}

KEPT static void *site_realloc_failing(void *old)
{
	return realloc(old, too_much);
}

KEPT static void *site_reallocarray(void *old, size_t bytes)
{
	return reallocarray(old, bytes, 1);
}

KEPT static void *site_posix_memalign(size_t bytes)
{
	void *address = NULL;
	return posix_memalign(&address, 64, bytes) ? NULL : address;
}

KEPT static void *site_aligned_alloc(size_t bytes)
{
	return aligned_alloc(64, bytes);
}

KEPT static void *site_memalign(size_t bytes)
{
	return memalign(4096, bytes);
}

KEPT static void *site_valloc(size_t bytes)
{
	return valloc(bytes);
}

KEPT static void *site_strdup(size_t bytes)
{
	return strdup(text +
		      (TEXT_BYTES - (bytes - 1) % TEXT_BYTES)); /* allocates what is left, and its end */
}

/* Four requests that no machine can meet. */
KEPT static int site_impossible(void)
{
	void *address = NULL;
	int met = malloc(too_much) != NULL;
	met |= calloc(too_much, 1u << 20) != NULL; /* the product overflows */
	met |= reallocarray(NULL, too_much, 1u << 20) != NULL;
	met |= posix_memalign(&address, 64, too_much) == 0;
	return met;
}

static void keep(struct block *block, enum site site, void *address, size_t bytes)
{
	if (!address)
		fail(site_names[site]);
	memset(address, 1, bytes);
	*block = (struct block){ address, bytes, site };
	tally_add(tallies, site, bytes);
}

static void give_back(struct block *block)
{
	if (!block->address)
		return;
	tally_drop(tallies, block->site, block->bytes);
	free(block->address);
	block->address = NULL;
}

/* Grows and shrinks one block; each step is an allocation of the new size, and the old one is gone. */
static void realloc_chain(struct block *block, uint64_t *random)
{
	keep(block, SITE_REALLOC_NULL, site_realloc_null(24), 24);
	for (unsigned i = 0; i < 6; i++) {
		size_t bytes = 1 + draw(random) % 9000;
		void *moved = site_realloc_chain(block->address, bytes);
		tally_drop(tallies, block->site, block->bytes);
		keep(block, SITE_REALLOC_CHAIN, moved, bytes);
	}
	if (site_realloc_failing(block->address))
		fail("realloc of 2^60 bytes succeeded");
	size_t bytes = 1 + draw(random) % 900;
	void *moved = site_reallocarray(block->address, bytes);
	tally_drop(tallies, block->site, block->bytes);
	keep(block, SITE_REALLOCARRAY, moved, bytes);
}

/* realloc(p, 0): the C library frees it. */
static void realloc_to_nothing(struct block *block)
{
	keep(block, SITE_MALLOC, site_malloc(100), 100);
	tally_drop(tallies, block->site, block->bytes);
	if (site_realloc_chain(block->address, 0))
		fail("realloc to 0 bytes gave a block");
	block->address = NULL;
}

static void allocate(struct block *block, uint64_t *random)
{
	uint64_t dice = draw(random) % 100;
	size_t bytes = 1 + draw(random) % (dice % 10 == 0 ? 60000 : dice % 2 ? 500 : 6000);
	if (dice < 25) {
		keep(block, SITE_MALLOC, site_malloc(bytes), bytes);
	} else if (dice < 28) {
		keep(block, SITE_MALLOC_ZERO, site_malloc_zero(0), 0);
	} else if (dice < 29) {
		bytes += (size_t)1 << 20;
		keep(block, SITE_MALLOC_LARGE, site_malloc_large(bytes), bytes);
	} else if (dice < 40) {
		keep(block, SITE_CALLOC, site_calloc(bytes), bytes);
	} else if (dice < 50) {
		realloc_chain(block, random);
	} else if (dice < 52) {
		realloc_to_nothing(block);
	} else if (dice < 60) {
		keep(block, SITE_POSIX_MEMALIGN, site_posix_memalign(bytes), bytes);
	} else if (dice < 70) {
		bytes = (bytes + 63) & ~(size_t)63;
		keep(block, SITE_ALIGNED_ALLOC, site_aligned_alloc(bytes), bytes);
	} else if (dice < 75) {
		keep(block, SITE_MEMALIGN, site_memalign(bytes), bytes);
	} else if (dice < 80) {
		keep(block, SITE_VALLOC, site_valloc(bytes), bytes);
	} else if (dice < 98) {
		bytes = 1 + (bytes - 1) % TEXT_BYTES;
		keep(block, SITE_STRDUP, site_strdup(bytes), bytes);
	} else if (site_impossible()) {
		fail("an impossible request was met");
	}
}

/* Every eighth block goes to the next thread, which frees it. */
static void hand_over(unsigned to, struct block *block)
{
	pthread_mutex_lock(&handed_lock);
	if (!handed[to]) {
		handed_block[to] = *block;
		handed[to] = &handed_block[to];
		block->address = NULL;
	}
	pthread_mutex_unlock(&handed_lock);
}

static void take_handed(unsigned index)
{
	pthread_mutex_lock(&handed_lock);
	if (handed[index])
		give_back(handed[index]);
	handed[index] = NULL;
	pthread_mutex_unlock(&handed_lock);
}

KEPT static void *worker(void *argument)
{
	unsigned index = (unsigned)(uintptr_t)argument;
	uint64_t random = 88172645463325252ull + index * 977;
	pthread_barrier_wait(&all_here);
	for (unsigned i = 0; i < rounds; i++) {
		struct block *block = &held[index][draw(&random) % HELD_MAX];
		give_back(block);
		allocate(block, &random);
		if (i % 8 == 7)
			hand_over((index + 1) % thread_count, block);
		take_handed(index);
		if (i % 64 == 63 && pause_us)
			usleep(pause_us);
	}
	for (unsigned i = 0; i < HELD_MAX - HELD_MAX / 6; i++)
		give_back(&held[index][i]);
	return NULL;
}

KEPT static void *site_forked_ending(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_forked_staying(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_before_exec(size_t bytes)
{
	return malloc(bytes);
}

KEPT static void *site_after_exec(size_t bytes)
{
	return malloc(bytes);
}

/* A hundred blocks, of which every third is left. */
static void hundred(enum site site, void *(*allocate_one)(size_t))
{
	for (unsigned i = 0; i < 100; i++) {
		struct block block;
		keep(&block, site, allocate_one(100 + i), 100 + i);
		if (i % 3)
			give_back(&block);
	}
}

/* Frees what the parent allocated: in this copy of the memory, so that the parent's numbers stay. */
static void free_inherited(void)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		free(held[0][i].address);
}

static void say_done(int fd)
{
	if (write(fd, "x", 1) != 1)
		fail("write");
}

static void wait_to_be_killed(int stay)
{
	while (stay)
		pause();
}

/* Whether the code at the beginning of a function is not as in its file. */
static int has_breakpoint(uintptr_t function)
{
	unsigned char in_file[CODE_BYTES];
	char line[4352], path[4096];
	unsigned long start, end, offset;
	FILE *maps = fopen("/proc/self/maps", "re");
	int differs = -1;
	while (maps && differs < 0 && fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095s", &start, &end, &offset, path) != 4 ||
		    function < start || function >= end)
			continue;
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (pread(fd, in_file, sizeof in_file, (off_t)(function - start + offset)) != sizeof in_file)
			fail(path);
		differs = memcmp((const void *)function, in_file, sizeof in_file) != 0;
		close(fd);
	}
	if (differs < 0)
		fail("/proc/self/maps");
	fclose(maps);
	return differs;
}

/* Probes do not follow a process by themselves: the profiler hears of a child and sets them a moment later.
 * So a child that wants all of its allocations to be seen waits for the breakpoints. Those that it has
 * inherited go away at the first hit. After exec the probes are there at once, but where the new program lies
 * is read a moment later, too: hence the pause. Nobody watches, perhaps: not for ever. */
static void wait_until_watched(void)
{
	for (unsigned i = 0; i < 3000; i++) {
		free(malloc(1));
		if (has_breakpoint((uintptr_t)malloc) && has_breakpoint((uintptr_t)free)) {
			usleep(300000);
			return;
		}
		usleep(10000);
	}
}

/* Starts a child that runs `body` and says when it is done. */
static pid_t start_child(void (*body)(int done, int stay), int stay)
{
	int done[2];
	if (pipe(done))
		fail("pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (stay)
			wait_until_watched();
		free_inherited();
		body(done[1], stay);
		_exit(0);
	}
	close(done[1]);
	char byte;
	if (read(done[0], &byte, 1) != 1)
		fail("a child");
	close(done[0]);
	return child;
}

static void child_ending(int done, int stay)
{
	(void)stay;
	hundred(SITE_FORKED_ENDING, site_forked_ending);
	say_done(done);
}

static void child_staying(int done, int stay)
{
	hundred(SITE_FORKED_STAYING, site_forked_staying);
	say_done(done);
	wait_to_be_killed(stay);
}

static int tallies_fd;

static void child_executing(int done, int stay)
{
	char numbers[3][16];
	hundred(SITE_BEFORE_EXEC, site_before_exec);
	tally_drop_all(tallies, SITE_BEFORE_EXEC);
	snprintf(numbers[0], sizeof numbers[0], "%d", tallies_fd);
	snprintf(numbers[1], sizeof numbers[1], "%d", done);
	snprintf(numbers[2], sizeof numbers[2], "%d", stay);
	execl("/proc/self/exe", "conserve", "after-exec", numbers[0], numbers[1], numbers[2], (char *)NULL);
	fail("exec");
}

static int after_exec(char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tallies = tallies_map((int)strtol(argv[2], NULL, 10));
	int stay = (int)strtol(argv[4], NULL, 10);
	if (stay)
		wait_until_watched();
	hundred(SITE_AFTER_EXEC, site_after_exec);
	say_done((int)strtol(argv[3], NULL, 10));
	wait_to_be_killed(stay);
	return 0;
}

static void run_threads(void)
{
	pthread_t threads[THREADS_MAX];
	if (pthread_barrier_init(&all_here, NULL, thread_count))
		fail("pthread_barrier_init");
	for (unsigned i = 0; i < thread_count; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)i))
			fail("pthread_create");
	for (unsigned i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < thread_count; i++)
		take_handed(i);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "after-exec") == 0)
		return after_exec(argv);
	if (argc != 6)
		return 2;
	thread_count = (unsigned)strtoul(argv[2], NULL, 10);
	rounds = (unsigned)strtoul(argv[3], NULL, 10);
	pause_us = (unsigned)strtoul(argv[4], NULL, 10);
	int stay = argv[5][0] == '1';
	if (thread_count < 1 || thread_count > THREADS_MAX)
		return 2;
	memset(text, 't', TEXT_BYTES);
	tallies = tallies_create(&tallies_fd);
	run_threads();
	pid_t children[3] = { start_child(child_ending, stay), start_child(child_staying, stay),
			      start_child(child_executing, stay) };
	waitpid(children[0], NULL, 0);
	tally_drop_all(tallies, SITE_FORKED_ENDING);
	for (unsigned i = 1; i < 3 && !stay; i++)
		waitpid(children[i], NULL, 0);
	tallies_write(tallies, site_names, SITE_COUNT, argv[1]);
	wait_to_be_killed(stay);
	return 0;
}
