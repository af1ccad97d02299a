/* SPDX-License-Identifier: Apache-2.0
 *
 * Unwind rows of any bytes: an object that is no ELF file, or a damaged one. No crash in libdw or in ours;
 * rows are in order and their rules exist; nothing is appended when it did not work.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/objects.h"
#include "profiler/rows.h"

#define HOLDS(condition) ((condition) ? (void)0 : abort())

enum { ROWS_MAX = 4096, RULES_MAX = 512, BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
const char *__asan_default_options(void);

/* libdw takes as much memory as the highest register number in unwind information asks for; it must live with
 * a no. */
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=64";
}

/* Segments as objects.c would have them: any that the program headers name, believed as they are. */
static void segments_read(struct object *object)
{
	uint64_t offset;
	uint16_t count;
	if (object->image_bytes < 64)
		return;
	memcpy(&offset, object->image + 32, sizeof offset);
	memcpy(&count, object->image + 56, sizeof count);
	for (unsigned i = 0; i < count && object->segment_count < OBJECT_SEGMENTS_MAX; i++, offset += 56) {
		uint32_t type_and_flags[2];
		uint64_t numbers[4]; /* offset, address, physical address, bytes in the file */
		if (offset > object->image_bytes || object->image_bytes - offset < 56)
			return;
		memcpy(type_and_flags, object->image + offset, sizeof type_and_flags);
		memcpy(numbers, object->image + offset + 8, sizeof numbers);
		if (type_and_flags[0] == 1 && (type_and_flags[1] & 1))
			object->segments[object->segment_count++] = (struct object_segment){
				.offset = numbers[0], .address = numbers[1], .bytes = numbers[3]
			};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct unwind_row rows[ROWS_MAX];
	static struct unwind_rule rules[RULES_MAX];
	static struct objects *objects; /* for the side effect of libelf's version */
	struct rows_table table;
	if (bytes > BYTES_MAX)
		return 0;
	if (!objects)
		objects = objects_create();
	HOLDS(objects);
	struct object object = { .path = (char *)"fuzz", .fd = -1, .image_bytes = bytes };
	object.image = malloc(bytes + 1);
	HOLDS(object.image);
	if (bytes)
		memcpy(object.image, data, bytes);
	segments_read(&object);
	rows_init(&table, rows, ROWS_MAX, rules, RULES_MAX);
	int result = rows_of_object(&table, &object);
	HOLDS(result == 0 || result == -ENOENT || result == -ENOSPC);
	HOLDS(object.rows_known && object.rows_first == 0);
	HOLDS(table.rows_used == object.rows_count && table.rows_used <= ROWS_MAX);
	HOLDS((result == 0) == (object.rows_count > 0));
	HOLDS(table.rules_used <= RULES_MAX);
	for (uint32_t i = 0; i < object.rows_count; i++) {
		HOLDS(rows[i].rule < table.rules_used);
		HOLDS(i == 0 || rows[i - 1].pc < rows[i].pc);
		HOLDS(rules[rows[i].rule].cfa <= UNWIND_CFA_UNSUPPORTED);
	}
	rows_finish(&table);
	free(object.image);
	return 0;
}
