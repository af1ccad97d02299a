/* SPDX-License-Identifier: Apache-2.0
 *
 * The truth about allocations, counted by the program that makes them: by site (a function that does
 * nothing but allocate in one way), in memory that its children share. A site's live numbers fall when
 * a block of it is given back, by whichever thread of the process, and when the process that holds it ends
 * or executes another program.
 */
#ifndef TALLY_H
#define TALLY_H

#include "target.h"

#include <sys/mman.h>

#define SITES_MAX 32

struct tally {
	uint64_t count, bytes;		 /* since the start */
	uint64_t live_count, live_bytes; /* now */
};

struct tallies {
	struct tally site[SITES_MAX];
};

/* What a block needs to be taken off again. Kept in static tables: the tests count every allocation. */
struct block {
	void *address;
	size_t bytes;
	unsigned site;
};

static inline void tally_add(struct tallies *tallies, unsigned site, size_t bytes)
{
	struct tally *tally = &tallies->site[site];
	__atomic_fetch_add(&tally->count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tally->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tally->live_count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tally->live_bytes, bytes, __ATOMIC_RELAXED);
}

static inline void tally_drop(struct tallies *tallies, unsigned site, size_t bytes)
{
	struct tally *tally = &tallies->site[site];
	__atomic_fetch_sub(&tally->live_count, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&tally->live_bytes, bytes, __ATOMIC_RELAXED);
}

/* A process of ours is gone with all that it held at `site`. */
static inline void tally_drop_all(struct tallies *tallies, unsigned site)
{
	__atomic_store_n(&tallies->site[site].live_count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&tallies->site[site].live_bytes, 0, __ATOMIC_RELAXED);
}

static inline struct tallies *tallies_map(int fd)
{
	struct tallies *tallies = (struct tallies *)mmap(NULL, sizeof(struct tallies), PROT_READ | PROT_WRITE,
							 MAP_SHARED, fd, 0);
	if (tallies == MAP_FAILED)
		fail("mmap");
	return tallies;
}

static inline struct tallies *tallies_create(int *ret_fd)
{
	*ret_fd = memfd_create("tallies", 0); /* survives exec */
	if (*ret_fd < 0 || ftruncate(*ret_fd, sizeof(struct tallies)))
		fail("memfd_create");
	return tallies_map(*ret_fd);
}

static inline void tallies_write(const struct tallies *tallies, const char *const *names, unsigned count,
				 const char *path)
{
	char beside[4096];
	FILE *file = truth_open(path, beside, sizeof beside);
	fprintf(file, "{\"pid\": %d, \"sites\": {", (int)getpid());
	for (unsigned i = 0; i < count; i++) {
		const struct tally *tally = &tallies->site[i];
		fprintf(file,
			"%s\n\"%s\": {\"count\": %llu, \"bytes\": %llu, \"live_count\": %llu, "
			"\"live_bytes\": %llu}",
			i ? "," : "", names[i], (unsigned long long)tally->count,
			(unsigned long long)tally->bytes, (unsigned long long)tally->live_count,
			(unsigned long long)tally->live_bytes);
	}
	fprintf(file, "\n}}\n");
	truth_close(file, beside, path);
}

#endif
