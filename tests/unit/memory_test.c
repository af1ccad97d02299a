/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals of mapped memory against an array that knows the owner of every page.
 */
#include <stdlib.h>
#include <string.h>

#include "profiler/internal.h"
#include "test.h"

enum { PAGE = 4096, PAGES = 512, PROCESSES = 2, STACKS = 8, STEPS = 20000 };

static struct record record_of(enum record_kind kind, uint32_t tgid, uint64_t address, uint64_t bytes)
{
	struct record record = { .kind = kind, .tgid = tgid, .address = address, .weight = bytes };
	return record;
}

struct world {
	struct memory *memory;
	struct samples samples;
	uint8_t owner[PROCESSES][PAGES]; /* stack + 1; 0: not mapped */
};

static void world_begin(struct world *world)
{
	memset(world, 0, sizeof *world);
	world->memory = memory_create();
}

static void world_end(struct world *world)
{
	memory_destroy(world->memory);
	samples_finish(&world->samples);
}

static void map(struct world *world, uint32_t process, unsigned first, unsigned pages, unsigned stack)
{
	struct record record = record_of(RECORD_MAP, process, (uint64_t)first * PAGE, pages * PAGE - 100u);
	record.user_frames = 1;
	record.frames[0] = stack;
	memory_record(world->memory, &world->samples, &record);
	memset(&world->owner[process][first], (int)stack + 1, pages);
}

static void unmap(struct world *world, uint32_t process, unsigned first, unsigned pages)
{
	struct record record = record_of(RECORD_UNMAP, process, (uint64_t)first * PAGE, pages * PAGE);
	memory_record(world->memory, &world->samples, &record);
	memset(&world->owner[process][first], 0, pages);
}

static uint64_t pages_owned(const struct world *world, uint32_t process, uint64_t stack)
{
	uint64_t pages = 0;
	for (size_t i = 0; i < PAGES; i++)
		pages += world->owner[process][i] == stack + 1;
	return pages;
}

static void compare(const struct world *world)
{
	struct memory_site *sites;
	uint64_t mapped_bytes, expected_bytes = 0;
	size_t count = memory_sites(world->memory, &sites, &mapped_bytes);
	for (size_t i = 0; i < world->samples.count; i++) {
		const struct record *record = world->samples.records[i];
		const struct memory_site *site = memory_site_of(sites, count, record);
		uint64_t pages = pages_owned(world, record->tgid, record->frames[0]);
		EQ(site ? site->bytes : 0, pages * PAGE);
		expected_bytes += pages * PAGE;
		LE(pages * PAGE, record->weight);
	}
	EQ(mapped_bytes, expected_bytes);
	free(sites);
}

static void as_an_array_of_pages(void)
{
	struct world world;
	world_begin(&world);
	srandom(1);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t process = (uint32_t)random() % PROCESSES;
		unsigned first = (unsigned)random() % PAGES;
		unsigned pages = 1 + (unsigned)random() % (random() % 4 ? 4 : PAGES - first);
		if (first + pages > PAGES)
			pages = PAGES - first;
		if (random() % 2)
			map(&world, process, first, pages, (unsigned)random() % STACKS);
		else
			unmap(&world, process, first, pages);
		if (step % 50 == 0)
			compare(&world);
	}
	compare(&world);
	memory_forget(world.memory, 1);
	memset(world.owner[1], 0, PAGES);
	compare(&world);
	world_end(&world);
}

/* What an allocator maps is not counted, but nothing else is there any more either. */
static void an_allocators_mapping(void)
{
	struct world world;
	world_begin(&world);
	map(&world, 0, 8, 4, 1);
	struct record record = record_of(RECORD_MAP, 0, 9 * PAGE, PAGE);
	record.count = 1;
	memory_record(world.memory, &world.samples, &record);
	world.owner[0][9] = 0;
	compare(&world);
	world_end(&world);
}

static void the_break(void)
{
	struct world world;
	world_begin(&world);
	memory_set_break(world.memory, 0, 8 * PAGE);
	struct record record = record_of(RECORD_BRK, 0, 12 * PAGE, 0);
	record.user_frames = 1;
	record.frames[0] = 3;
	memory_record(world.memory, &world.samples, &record);
	memset(&world.owner[0][8], 4, 4);
	compare(&world);
	record.address = 9 * PAGE;
	memory_record(world.memory, &world.samples, &record);
	memset(&world.owner[0][9], 0, 3);
	compare(&world);
	record.address = 20 * PAGE;
	record.count = 1; /* by the allocator */
	memory_record(world.memory, &world.samples, &record);
	compare(&world);
	world_end(&world);
}

/* As many as the kernel allows a process; a look at each of them for each call would take minutes. */
static void very_many(void)
{
	struct world world;
	uint64_t mapped_bytes;
	struct memory_site *sites;
	world_begin(&world);
	for (uint64_t i = 0; i < 65000; i++) {
		struct record record = record_of(RECORD_MAP, 0, (200000 - 2 * i) * PAGE, PAGE);
		memory_record(world.memory, &world.samples, &record);
	}
	EQ(memory_sites(world.memory, &sites, &mapped_bytes), 1);
	EQ(sites->objects, 65000);
	EQ(sites->bytes, 65000 * PAGE);
	free(sites);
	struct record all = record_of(RECORD_UNMAP, 0, 0, 300000u * PAGE);
	memory_record(world.memory, &world.samples, &all);
	EQ(memory_sites(world.memory, &sites, &mapped_bytes), 0);
	free(sites);
	world_end(&world);
}

TEST_MAIN(T(as_an_array_of_pages), T(an_allocators_mapping), T(the_break), T(very_many))
