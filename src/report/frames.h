/* SPDX-License-Identifier: Apache-2.0
 *
 * frames: the functions of a profile as pictures show them. A location becomes one frame for each function
 * inlined there; equal frames have equal numbers, whatever addresses they came from. Internal to report.
 */
#ifndef REPORT_FRAMES_H
#define REPORT_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "pprof/pprof.h"

/* Whose code it is: decides the colour. */
enum frame_kind {
	FRAME_OWN,     /* the program itself, or code it made (JIT) */
	FRAME_LUA,     /* a program in Lua that an interpreter in there runs */
	FRAME_LIBRARY, /* any other object */
	FRAME_LIBC,    /* the C library, the loader, the vdso, a language's runtime */
	FRAME_KERNEL,
	FRAME_UNKNOWN, /* no name: the function's start or the bare address */
	FRAME_LABEL,   /* no code: the value of a label, the root, what was merged */
	FRAME_KIND_COUNT,
};

struct frame {
	const char *name;   /* never NULL or "" */
	const char *module; /* base name of its object, or "" */
	const char *file;   /* source file, or "" */
	uint8_t kind;	    /* enum frame_kind */
	uint8_t inlined;
};

struct frames {
	const struct pprof *profile;
	struct frame *frames;
	size_t count;
	/* Per location: its frames in `numbers`, outermost first. */
	uint32_t *firsts, *counts, *numbers;
	size_t number_count;
	/* private */
	struct table table; /* index + 1 */
	size_t frame_room, number_room;
	char **texts; /* names made here */
	size_t text_count, text_room;
};

/* The profile is lent until frames_destroy(). */
struct frames *frames_create(const struct pprof *profile);
/* Accepts NULL. */
void frames_destroy(struct frames *frames);
/* The number of an equal frame or of a new one. The texts are lent like the profile. */
uint32_t frames_number(struct frames *frames, const struct frame *frame);

/* The file name of the program, whose object is the first one; "" when there is none. */
const char *frames_program(const struct pprof *profile);
/* Short words for class names: "own", "kernel", ... */
const char *frame_kind_class(unsigned kind);
/* For a legend. */
const char *frame_kind_title(unsigned kind);

/* Frames of a sample, root first. Frames beyond FRAMES_DEPTH_MAX, on the leaf's side, are left out. */
#define FRAMES_DEPTH_MAX                                                                                     \
	2048 /* 1024 locations, most of them with a function inlined: no picture needs more */
size_t frames_of_sample(const struct frames *frames, const struct pprof_sample *sample,
			uint32_t numbers[static FRAMES_DEPTH_MAX]);

/* Zeroed memory for the work after the work: ends the program with a message when there is none. */
void *report_allocate(size_t count, size_t bytes);
/* A copy of a text, or of its first bytes, there. */
char *report_copy(const char *text);
char *report_copy_start(const char *text, size_t bytes);

#endif
