/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <limits.h>
#include <stdio.h>

/* Opens a regular file for reading. NULL with errno: EISDIR or EINVAL when it is something else, since a pipe
 * that nobody writes to would hold us up for ever, and a device may do things when it is opened. */
FILE *file_read_regular(const char *path);

/* A file that is written beside its place ("PATH.new") and put there when it is whole: a reader sees all of
 * it or what was there before. */
struct file_beside {
	FILE *out;
	char path[PATH_MAX], new_path[PATH_MAX];
};

/* 0, or -errno. Never follows a link that somebody else left in his folder. */
int file_beside_begin(struct file_beside *file, const char *path);
/* `code`: 0, or -errno of what went wrong while writing. Puts the file in its place, or leaves nothing
 * behind. 0, or -errno: the first thing that went wrong. */
int file_beside_end(struct file_beside *file, int code);

#endif
