/* SPDX-License-Identifier: Apache-2.0
 *
 * What the profiled test programs share: functions that keep a frame of their own whatever the optimizer
 * thinks, a known amount of work, clocks. Their answers go to a file named on the command line, as
 * JSON, written beside and renamed, so that a reader never sees half of it.
 */
#ifndef TARGET_H
#define TARGET_H

#ifndef _GNU_SOURCE /* the C++ compiler has it */
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Its own symbol and its own frame: not inlined, cloned, merged with a twin or left by a tail call (the
 * build also says -fno-optimize-sibling-calls). */
#if defined(__has_attribute) && __has_attribute(noipa)
#define KEPT __attribute__((noipa))
#else
#define KEPT __attribute__((noinline))
#endif

#define SECOND_NS 1000000000ull

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* A chain of multiplications: each waits for the last, so that its time does not depend on how the loop is
 * aligned or unrolled. About 1.3 ns a step. */
static inline __attribute__((always_inline)) uint64_t chain(uint64_t x, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++)
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	return x;
}

static inline uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

/* For write_truth(): begins the file that becomes `path`. */
static inline FILE *truth_open(const char *path, char *beside, size_t beside_bytes)
{
	snprintf(beside, beside_bytes, "%s.part", path);
	FILE *file = fopen(beside, "we");
	if (!file)
		fail(beside);
	return file;
}

static inline void truth_close(FILE *file, const char *beside, const char *path)
{
	if (fclose(file) || rename(beside, path))
		fail(path);
}

#endif
