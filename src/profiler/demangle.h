/* SPDX-License-Identifier: Apache-2.0
 *
 * demangle: names of C++ and Rust functions as people write them. Names come from the files of profiled
 * processes and may be hostile, so input, output and work are limited; what goes beyond keeps its mangled
 * name, which readers of profiles can still take apart. Internal to profiler.
 */
#ifndef PROFILER_DEMANGLE_H
#define PROFILER_DEMANGLE_H

#include <stddef.h>

#define DEMANGLE_INPUT_BYTES_MAX 4096  /* longer than any name that a person wants to read */
#define DEMANGLE_OUTPUT_BYTES_MAX 8192 /* templates of templates; what is longer is no longer readable */

/* A text that grows up to its buffer's end; what does not fit sets `failed`. */
struct demangle_text {
	char *text;
	size_t bytes, bytes_max;
	int failed;
};

void demangle_append(struct demangle_text *out, const char *text, size_t bytes);
/* A Unicode scalar value as UTF-8; fails for surrogates and beyond. */
void demangle_append_character(struct demangle_text *out, unsigned long character);

/* Writes the readable name, ended by a 0 byte, and returns its bytes; 0 when `mangled` is no mangled name, or
 * one that is not understood. */
size_t demangle(const char *mangled, char *text, size_t text_bytes);

/* "_R...", RFC 2603; for demangle(). Leaves out.failed set when it is not understood. */
void demangle_rust(const char *mangled, struct demangle_text *out);

#endif
