/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of pprof know of each other: the hidden half of a profile, appending without merging, text
 * that every reader accepts, gzip. Internal to pprof.
 */
#ifndef PPROF_PROFILE_H
#define PPROF_PROFILE_H

#include "pprof/pprof.h"
#include "base/table.h"

struct pprof_private {
	uint64_t seed; /* of the hashes */
	struct table strings, functions, locations, samples;
	size_t string_room, mapping_room, function_room, line_room, location_room, location_id_room,
		label_room, sample_room, comment_room;
};

/* build.c. Strings are made valid UTF-8 without NUL; see text.h. */
uint32_t profile_string(struct pprof *profile, const char *text, size_t bytes);
uint32_t profile_find_string(const struct pprof *profile, const char *text,
			     size_t bytes); /* index + 1, or 0 */
void profile_append_comment(struct pprof *profile, uint32_t text);
/* A file's elements stay apart even when they are equal; pprof_add_*() finds the first of them. */
uint32_t profile_append_function(struct pprof *profile, const struct pprof_function *function);
uint32_t profile_append_location(struct pprof *profile, uint32_t mapping_id, uint64_t address,
				 const struct pprof_line *lines, size_t line_count);
void profile_append_sample(struct pprof *profile, const uint32_t *location_ids, size_t location_count,
			   const struct pprof_label *labels, size_t label_count, const int64_t *values);

/* text.c. Whether `text` can stand in a protobuf string and in a C string: UTF-8 (RFC 3629) without NUL. */
int text_is_clean(const char *text, size_t bytes);
/* A copy (free()) with U+FFFD for each byte that is in the way. */
char *text_clean(const char *text, size_t bytes, size_t *ret_bytes);

/* gzip.c. The result is on the heap. */
uint8_t *gzip_deflate(const uint8_t *bytes, size_t count, size_t *ret_bytes);
/* NULL with what is wrong (static) and where in `bytes`; more than `bytes_max` inflated bytes are wrong too.
 */
uint8_t *gzip_inflate(const uint8_t *bytes, size_t count, size_t bytes_max, size_t *ret_bytes,
		      const char **ret_wrong, size_t *ret_wrong_at);

#endif
