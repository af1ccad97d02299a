/* SPDX-License-Identifier: Apache-2.0
 *
 * One pprof file that is being put together: addresses become locations with names, labels say thread, stage
 * and state, comments say how far the file can be trusted. Internal to profiler.
 */
#ifndef PROFILER_WRITER_H
#define PROFILER_WRITER_H

#include "pprof/pprof.h"
#include "profiler/internal.h"

#define WRITER_FRAMES_MAX (RECORD_FRAMES_MAX + 1) /* and a note that some are missing */

struct writer {
	struct profiler *profiler;
	struct pprof *profile;
	void *mappings; /* a tree of tsearch(3): what is in the file, by object and start; owned */
	uint32_t kernel_mapping_id, module_mapping_id, jit_mapping_id, lua_mapping_id;
};

void writer_begin(struct writer *writer, struct profiler *profiler);
/* Writes the file and frees everything. 0, or -1 with a sentence. */
int writer_end(struct writer *writer, const char *path, char error[static PROFILER_ERROR_BYTES_MAX]);

uint32_t writer_user_location(struct writer *writer, uint32_t tgid, uint32_t generation, uint64_t address);
/* A place in a program (names_of_lua() knows it); a C function, as programs call it where they can; where
 * calls are missing. */
uint32_t writer_lua_location(struct writer *writer, uint64_t place);
uint32_t writer_native_location(struct writer *writer, uint32_t tgid, uint32_t generation, uint64_t address);
uint32_t writer_cut_location(struct writer *writer);
/* writer_lua.c: the user's part of a record with interpreter frames, leaf first; at most WRITER_FRAMES_MAX -
 * KERNEL_FRAMES_MAX. */
size_t writer_lua_stack(struct writer *writer, const struct record *record, uint32_t *ids);
/* Location ids of a record's stack, leaf first; returns their number. */
size_t writer_stack(struct writer *writer, const struct record *record,
		    uint32_t ids[static WRITER_FRAMES_MAX]);

struct pprof_label writer_text_label(struct writer *writer, const char *key, const char *text);
struct pprof_label writer_number_label(struct writer *writer, const char *key, int64_t number,
				       const char *unit);
/* 1 when the thread had a stage (+ 1), else 0. */
size_t writer_stage_label(struct writer *writer, uint32_t stage, struct pprof_label *label);
size_t writer_record_labels(struct writer *writer, const struct record *record,
			    struct pprof_label labels[static PPROF_LABELS_MAX]);

void writer_period(struct writer *writer, const char *type, const char *unit, int64_t period);
__attribute__((format(printf, 2, 3))) void writer_comment(struct writer *writer, const char *format, ...);
/* How far the stacks can be trusted. */
void writer_comment_stacks(struct writer *writer);

#endif
