/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdio.h>

/* Opens a regular file for reading. NULL with errno: EISDIR or EINVAL when it is something else, since a pipe
 * that nobody writes to would hold us up for ever, and a device may do things when it is opened. */
FILE *file_read_regular(const char *path);

/* Creates a file, in place of one that is there. Never follows a link that somebody else left in his folder.
 */
FILE *file_create(const char *path);

#endif
