/* SPDX-License-Identifier: Apache-2.0
 *
 * pprof: profiles as files. A builder that merges equal samples, a writer and a reader of profile.proto
 * (github.com/google/pprof/proto/profile.proto), gzip around it. It knows nothing of how samples are taken.
 *
 * What is written holds for the strictest readers at once: ids are 1..N in order of appearance, the main
 * binary is mapping 1 when it is added first, string 0 is "", every location has a line with a function, the
 * wanted sample type is the last one, strings are UTF-8 (other bytes become U+FFFD). The gzip header carries
 * no time: equal profiles are equal files.
 *
 * One thread at a time. Everything is on the heap: profiles are made after the work, not during it. A failed
 * allocation ends the program with a message.
 */
#ifndef PPROF_PPROF_H
#define PPROF_PPROF_H

#include <stddef.h>
#include <stdint.h>

/* Limits, each with its reason. */
#define PPROF_VALUES_MAX 8    /* Go's heap profiles have four */
#define PPROF_FRAMES_MAX 1024 /* locations per sample that the reader takes; Pyroscope's limit is 1000 */
#define PPROF_LABELS_MAX 16   /* per sample; ours have five */
#define PPROF_LINES_MAX 64    /* inlined functions at one address */
#define PPROF_FILE_BYTES_MAX ((size_t)256 << 20) /* inflated, for the reader: a real one is under 20 MB */
#define PPROF_ELEMENTS_MAX ((size_t)1 << 22) /* of each kind, for the reader: memory stays below a few GB */
#define PPROF_STACK_FRAMES_MAX ((size_t)1 << 26) /* of all samples together; the same reason */
#define PPROF_ERROR_BYTES_MAX 1024		 /* a path and a sentence */

/* All indices into `strings` (0 is ""), all ids as in the file (1..count: element id - 1). */
struct pprof_value_type {
	uint32_t type, unit;
};

struct pprof_mapping {
	uint64_t start, limit, file_offset; /* run-time addresses; offset in the file */
	uint32_t filename, build_id;	    /* build id: lower-case hex */
	uint8_t has_functions, has_filenames, has_line_numbers, has_inline_frames;
};

struct pprof_function {
	uint32_t name, system_name, filename; /* for a person; as the linker knows it; source file */
	int64_t start_line;
};

struct pprof_line {
	uint32_t function_id;
	int64_t line; /* 0: unknown */
};

struct pprof_location {
	uint32_t mapping_id; /* 0: none */
	uint64_t address;
	uint32_t lines_first, lines_count; /* in `lines`; innermost inlined function first */
};

struct pprof_label {
	uint32_t key;
	uint32_t text;	/* either text ... */
	int64_t number; /* ... or number with a unit */
	uint32_t unit;
};

struct pprof_sample {
	uint32_t locations_first, locations_count; /* in `location_ids`; leaf first */
	uint32_t labels_first, labels_count;	   /* in `labels` */
	int64_t values[PPROF_VALUES_MAX];
};

struct pprof {
	struct pprof_value_type value_types[PPROF_VALUES_MAX];
	size_t value_count;
	struct pprof_value_type period_type;
	int64_t period;
	int64_t time_ns; /* since the epoch */
	int64_t duration_ns;
	uint32_t default_value_type; /* string; 0: none */

	char **strings;
	struct pprof_mapping *mappings;
	struct pprof_function *functions;
	struct pprof_line *lines;
	struct pprof_location *locations;
	uint32_t *location_ids;
	struct pprof_label *labels;
	struct pprof_sample *samples;
	uint32_t *comments; /* strings */
	size_t string_count, mapping_count, function_count, line_count, location_count, location_id_count,
		label_count, sample_count, comment_count;

	struct pprof_private *private;
};

/* ---- Building ---- */
struct pprof *pprof_create(void);
/* Accepts NULL. */
void pprof_destroy(struct pprof *profile);

/* The index of a copy of `text`, the same for the same text. */
uint32_t pprof_string(struct pprof *profile, const char *text);
void pprof_add_value_type(struct pprof *profile, const char *type, const char *unit);
void pprof_add_comment(struct pprof *profile, const char *text);
/* Appends; returns its id. */
uint32_t pprof_add_mapping(struct pprof *profile, const struct pprof_mapping *mapping);
/* The id of an equal function, or of a new one. */
uint32_t pprof_add_function(struct pprof *profile, const struct pprof_function *function);
/* The id of the location with this mapping and address, when there is one; else appends it with `lines`
 * (at least one). So: ask pprof_find_location() before looking names up. Frames that stand for no code
 * ("[truncated]") have mapping 0 and address 0: these are told apart by their lines, and never found (0). */
uint32_t pprof_find_location(const struct pprof *profile, uint32_t mapping_id, uint64_t address);
uint32_t pprof_add_location(struct pprof *profile, uint32_t mapping_id, uint64_t address,
			    const struct pprof_line *lines, size_t line_count);
/* Adds `values` to the sample with the same locations and labels, or appends one. Label order counts. */
void pprof_add_sample(struct pprof *profile, const uint32_t *location_ids, size_t location_count,
		      const struct pprof_label *labels, size_t label_count, const int64_t *values);

/* ---- Files ---- */
/* Writes beside and renames. 0, or -1 with a sentence that names the path. */
int pprof_write(const struct pprof *profile, const char *path, char error[static PPROF_ERROR_BYTES_MAX]);
/* Takes gzip or plain, any field order, packed or not, ids in any order (they are renumbered), unknown
 * fields; names a byte offset when the file is damaged. NULL with a sentence. Files of other tools (Go's,
 * perf's) are read too: equal elements in them stay apart, and a location without a function is named by its
 * address. */
struct pprof *pprof_read(const char *path, char error[static PPROF_ERROR_BYTES_MAX]);
/* The same from memory; `name` is for the sentence. */
struct pprof *pprof_decode(const uint8_t *bytes, size_t count, const char *name,
			   char error[static PPROF_ERROR_BYTES_MAX]);
/* The message without gzip around it, on the heap (free()). */
uint8_t *pprof_encode(const struct pprof *profile, size_t *ret_bytes);

/* ---- Looking ---- */
const char *pprof_text(const struct pprof *profile, uint32_t string);
/* Index into value_types by name ("cpu", "inuse_space"), or -1. */
int pprof_value_index(const struct pprof *profile, const char *type);
/* The text of a label of a sample, or NULL. */
const char *pprof_label_text(const struct pprof *profile, const struct pprof_sample *sample, const char *key);
/* Sum over all samples. */
int64_t pprof_total(const struct pprof *profile, int value_index);

#endif
