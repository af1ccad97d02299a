/* SPDX-License-Identifier: Apache-2.0
 *
 * state: what a stream wants to remember between runs (its cursor, a program's ctx.state), one JSON file for
 * each in the folder that -state names. Internal to cli.
 */
#ifndef CLI_STATE_H
#define CLI_STATE_H

#include <stddef.h>

#define STATE_ERROR_BYTES_MAX 2048

/* Makes the folder and looks whether it can be written. 0, or -1 with a sentence. */
int state_folder(const char *folder, char error[static STATE_ERROR_BYTES_MAX]);
/* Keeps other runs off the stream's state as long as the descriptor that is returned is open, in this process
 * or in a child; -1 with a sentence. */
int state_lock(const char *folder, const char *stream_name, char error[static STATE_ERROR_BYTES_MAX]);
/* What the stream left there: *ret_text is allocated, NULL when there is nothing yet. 0, or -1 with a
 * sentence. */
int state_read(const char *folder, const char *stream_name, char **ret_text,
	       char error[static STATE_ERROR_BYTES_MAX]);
/* Beside its place, to the disk, and renamed: after a power cut there is the old one or the new one. */
int state_write(const char *folder, const char *stream_name, const char *text,
		char error[static STATE_ERROR_BYTES_MAX]);

#endif
