/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts and refuses what C++ takes from the heap. For one test program of the room control each: it defines
 * the functions.
 */
#ifndef UNIT_COUNT_NEW_H
#define UNIT_COUNT_NEW_H

#include <stdlib.h>

/* Every `new` of the process, simdjson's library included, ends up here: counted, and refused from
 * `new_fail_at` on. The names are those of the C++ ABI. */
static long new_count, new_fail_at = -1;

void *new_nothrow(size_t bytes, const void *tag) __asm__("_ZnwmRKSt9nothrow_t");
void *new_array_nothrow(size_t bytes, const void *tag) __asm__("_ZnamRKSt9nothrow_t");
void *new_plain(size_t bytes) __asm__("_Znwm");
void *new_array_plain(size_t bytes) __asm__("_Znam");
void delete_plain(void *memory) __asm__("_ZdlPv");
void delete_array(void *memory) __asm__("_ZdaPv");
void delete_sized(void *memory, size_t bytes) __asm__("_ZdlPvm");
void delete_array_sized(void *memory, size_t bytes) __asm__("_ZdaPvm");

void *new_nothrow(size_t bytes, const void *tag)
{
	(void)tag;
	return new_count++ == new_fail_at ? NULL : malloc(bytes);
}
void *new_array_nothrow(size_t bytes, const void *tag)
{
	return new_nothrow(bytes, tag);
}
void *new_plain(size_t bytes)
{
	new_count++;
	return malloc(bytes);
}
void *new_array_plain(size_t bytes)
{
	return new_plain(bytes);
}
void delete_plain(void *memory)
{
	free(memory);
}
void delete_array(void *memory)
{
	free(memory);
}
void delete_sized(void *memory, size_t bytes)
{
	(void)bytes;
	free(memory);
}
void delete_array_sized(void *memory, size_t bytes)
{
	(void)bytes;
	free(memory);
}

#endif
