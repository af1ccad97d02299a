/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into the collector by heap_test.py: counts what anybody in the process asks of the heap, and
 * writes the count to the file named by COUNT_ALLOCATIONS at exit. Not for sanitized builds, which
 * have an allocator of their own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_ulong call_count;
static atomic_ulong call_bytes;
static char early[65536]; /* dlsym() itself allocates before the real functions are known */
static size_t early_used;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static int looking;

static void look_up(void)
{
	looking = 1;
	void *address[4] = { dlsym(RTLD_NEXT, "malloc"), dlsym(RTLD_NEXT, "calloc"),
			     dlsym(RTLD_NEXT, "realloc"), dlsym(RTLD_NEXT, "free") };
	memcpy(&real_malloc, &address[0], sizeof address[0]);
	memcpy(&real_calloc, &address[1], sizeof address[1]);
	memcpy(&real_realloc, &address[2], sizeof address[2]);
	memcpy(&real_free, &address[3], sizeof address[3]);
	looking = 0;
}

static void *take_early(size_t bytes)
{
	size_t at = (early_used + 15) & ~(size_t)15;
	if (at + bytes > sizeof early)
		abort();
	early_used = at + bytes;
	return early + at;
}

static void count(size_t bytes)
{
	atomic_fetch_add(&call_count, 1);
	atomic_fetch_add(&call_bytes, bytes);
}

void *malloc(size_t bytes)
{
	if (!real_malloc) {
		if (looking)
			return take_early(bytes);
		look_up();
	}
	count(bytes);
	return real_malloc(bytes);
}

void *calloc(size_t number, size_t bytes)
{
	if (!real_calloc) {
		if (looking)
			return take_early(number * bytes);
		look_up();
	}
	count(number * bytes);
	return real_calloc(number, bytes);
}

void *realloc(void *old, size_t bytes)
{
	if (!real_realloc)
		look_up();
	count(bytes);
	return real_realloc(old, bytes);
}

void free(void *old)
{
	if ((char *)old >= early && (char *)old < early + sizeof early)
		return;
	if (!real_free)
		look_up();
	real_free(old);
}

__attribute__((destructor)) static void report(void)
{
	const char *path = getenv("COUNT_ALLOCATIONS");
	if (!path)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	dprintf(fd, "%lu %lu\n", atomic_load(&call_count), atomic_load(&call_bytes));
	close(fd);
}
