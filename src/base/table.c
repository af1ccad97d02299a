/* SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing with linear probing; the hash is kept in the slot, so that growing asks nobody.
 */
#include "base/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { FIRST_SLOTS = 64, FIRST_ELEMENTS = 16 };

void *room_for(void *array, size_t *room, size_t count, size_t added, size_t element_bytes)
{
	/* Indices and ids are 32 bits wide. */
	CHECK_LE(count, UINT32_MAX - 1);
	CHECK_LE(added, UINT32_MAX - 1 - count);
	if (count + added <= *room)
		return array;
	size_t wanted = *room ? 2 * *room : FIRST_ELEMENTS;
	if (wanted < count + added)
		wanted = count + added;
	array = reallocarray(array, wanted, element_bytes);
	if (!array) {
		fprintf(stderr, "akamai-prof: no memory left (%zu elements of %zu bytes)\n", wanted,
			element_bytes);
		exit(1);
	}
	*room = wanted;
	return array;
}

void table_destroy(struct table *table)
{
	free(table->slots);
	*table = (struct table){ 0 };
}

static void place(struct table *table, uint32_t hash, uint32_t id)
{
	size_t mask = table->slot_count - 1;
	size_t at = hash & mask;
	while (table->slots[at].id)
		at = (at + 1) & mask;
	table->slots[at] = (struct table_slot){ hash, id };
	table->used++;
}

void table_insert(struct table *table, uint32_t hash, uint32_t id)
{
	CHECK_NE(id, 0U);
	if (2 * (table->used + 1) > table->slot_count) {
		struct table old = *table;
		size_t room = 0;
		*table = (struct table){ .slot_count = old.slot_count ? 2 * old.slot_count : FIRST_SLOTS };
		table->slots = room_for(NULL, &room, 0, table->slot_count, sizeof *table->slots);
		memset(table->slots, 0, table->slot_count * sizeof *table->slots);
		for (size_t i = 0; i < old.slot_count; i++)
			if (old.slots[i].id)
				place(table, old.slots[i].hash, old.slots[i].id);
		table_destroy(&old);
	}
	place(table, hash, id);
}

uint32_t table_next(const struct table *table, uint32_t hash, size_t *at)
{
	if (!table->slot_count)
		return 0;
	for (;;) {
		const struct table_slot *slot = &table->slots[*at & (table->slot_count - 1)];
		if (!slot->id)
			return 0;
		++*at;
		if (slot->hash == hash)
			return slot->id;
	}
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
	const uint8_t *at = bytes;
	hash = hash_word(hash, count);
	for (; count >= 8; at += 8, count -= 8) {
		uint64_t word;
		memcpy(&word, at, 8);
		hash = hash_word(hash, word);
	}
	uint64_t rest = 0;
	if (count)
		memcpy(&rest, at, count);
	return hash_word(hash, rest);
}
