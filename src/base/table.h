/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of ids (1 and up) by a hash that the caller computes. What an id stands for stays with the
 * caller, who compares: table_next() gives the ids with this hash, one after the other. Nothing is ever
 * removed.
 *
 * On the heap: for rooms that work before or after the data path (pprof, profiler, report), never in it.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_slot {
	uint32_t hash, id; /* id 0: free */
};

struct table {
	struct table_slot *slots; /* a power of two, at most half of them taken */
	size_t slot_count, used;
};

void table_destroy(struct table *table);
void table_insert(struct table *table, uint32_t hash, uint32_t id);
/* The next id with this hash, or 0. `*at` is `hash` before the first call, and the table's afterwards. */
uint32_t table_next(const struct table *table, uint32_t hash, size_t *at);

/* Hashing: begin with a random seed where a file could be made to collide, else with 0; add words; finish.
 */
static inline uint64_t hash_word(uint64_t hash, uint64_t word)
{
	unsigned __int128 product =
		(unsigned __int128)(hash ^ word ^ 0x9e3779b97f4a7c15) * (hash | 0xd6e8feb86659fd93);
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count);

static inline uint32_t hash_finish(uint64_t hash)
{
	hash = hash_word(hash, 0);
	return (uint32_t)(hash ^ hash >> 32);
}

/* Room for `added` more elements behind `count`: the array, or a larger copy of it. Ends the program when
 * there is no memory. */
void *room_for(void *array, size_t *room, size_t count, size_t added, size_t element_bytes);

#endif
