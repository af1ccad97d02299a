/* SPDX-License-Identifier: Apache-2.0
 *
 * A byte string that grows, and the ways of appending to it. One thread at a time.
 */
#ifndef SIMULATOR_TEXT_H
#define SIMULATOR_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
	char *base;
	size_t bytes;
	size_t capacity;
};

/* Room for `more` further bytes; running out of memory ends the program. */
void text_reserve(struct text *text, size_t more);
void text_put(struct text *text, const void *bytes, size_t count);
void text_put_string(struct text *text, const char *string);
void text_put_number(struct text *text, uint64_t number);
__attribute__((format(printf, 2, 3))) void text_format(struct text *text, const char *format, ...);
/* Percent-encodes as the feed does: lower-case escapes, '+' and a few marks stay literal. */
void text_put_percent(struct text *text, const void *bytes, size_t count);
/* Standard base64 with padding. */
void text_put_base64(struct text *text, const void *bytes, size_t count);
/* Replaces the file `path` in one step (write to a temporary name, rename). Returns 0 or -errno. */
int text_save(const struct text *text, const char *path, unsigned mode);
void text_finish(struct text *text);

/* malloc and friends that never return NULL. */
void *memory_take(size_t bytes);

#endif
