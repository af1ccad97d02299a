/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON texts (RFC 8259) without Lua: where one is broken, and one without its blanks. Internal to the room.
 * Decoding is not done here: whoever owns the program has a decoder, which is quick but does not say much
 * about what it refuses.
 */
#ifndef PROGRAM_JSON_TEXT_H
#define PROGRAM_JSON_TEXT_H

#include <stddef.h>

#include "base/span.h"

/* Of texts and of tables: real documents have under ten levels, C's stack has room for it, and the decoder
 * has the same. */
#define JSON_TEXT_DEPTH_MAX 64

/* What is wrong with it, in words, and at which byte (from 0; its length: the end); NULL: it is JSON. */
const char *json_text_fault(struct span text, size_t *ret_at);

/* The bytes of the UTF-8 character at `at`: 1 to 4, 0 when it is none (RFC 3629). at < text.bytes. */
size_t json_text_character(struct span text, size_t at);

/* Copies a valid text without the blanks between its tokens to `target`, which has as many bytes as it; the
 * bytes written. */
size_t json_text_compact(struct span text, char *target);

#endif
