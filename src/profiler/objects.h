/* SPDX-License-Identifier: Apache-2.0
 *
 * objects: the ELF files (and the vdso) that profiled processes execute, each opened once and kept open, so
 * that names can be looked up after the process has gone or the file was replaced. Internal to profiler.
 */
#ifndef PROFILER_OBJECTS_H
#define PROFILER_OBJECTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OBJECT_BUILD_ID_BYTES_MAX 20 /* SHA-1; longer ones are cut */
#define OBJECT_SEGMENTS_MAX 8	     /* PT_LOAD with PF_X; one in practice */
#define OBJECTS_MAX 4096	     /* a desktop has some hundred libraries mapped in all */

struct object_segment {			 /* a PT_LOAD */
	uint64_t offset, address, bytes; /* p_offset, p_vaddr, p_filesz */
};

struct object {
	uint32_t id; /* index in the table */
	char *path;  /* as the process sees it; "[vdso]" */
	int fd;	     /* open for reading; -1: could not be opened, or the vdso */
	uint64_t device, inode;
	int64_t mtime_ns, size_bytes;
	uint8_t build_id[OBJECT_BUILD_ID_BYTES_MAX];
	size_t build_id_bytes; /* 0: none */
	struct object_segment segments[OBJECT_SEGMENTS_MAX];
	size_t segment_count;
	uint8_t *image; /* the vdso's bytes; NULL for files */
	size_t image_bytes;
	/* filled by rows */
	uint32_t rows_first, rows_count;
	int rows_known; /* looked at, even if there were none */
};

struct objects; /* opaque */

struct objects *objects_create(void);
void objects_destroy(struct objects *objects);
size_t objects_count(const struct objects *objects);
struct object *objects_at(struct objects *objects, uint32_t id);

/* What a line of /proc/PID/maps says. */
struct map_line {
	uint64_t start, end, offset, device, inode;
	char permissions[5];
	char path[4096]; /* "" when anonymous; " (deleted)" is cut off */
};

/* The object mapped there; opened through /proc/PID/map_files/START-END, else /proc/PID/root/PATH (so that
 * containers and deleted files work), and found again by (device, inode, mtime, size). NULL when it is no
 * ELF file or the table is full. */
struct object *objects_open(struct objects *objects, pid_t pid, const struct map_line *map);
/* Run-time address less file address (p_vaddr) for this mapping of it. */
uint64_t object_bias(const struct object *object, const struct map_line *map);

/* Parses a line of /proc/PID/maps. 0, or -1 when it is none. */
int map_line_parse(const char *line, struct map_line *ret_map);

#endif
