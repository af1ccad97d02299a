/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/files.h"
#include "program/program.h"

#define STATE_PATH_BYTES_MAX 4096

/* A configId may hold anything: what is neither a letter nor a digit is escaped, so that no name leads out of
 * the folder. -1: too long. */
static int state_path(const char *folder, const char *stream_name, const char *ending,
		      char path[static STATE_PATH_BYTES_MAX])
{
	int used = snprintf(path, STATE_PATH_BYTES_MAX, "%s/", folder);
	for (const char *at = stream_name; *at && used < STATE_PATH_BYTES_MAX; at++) {
		size_t room = (size_t)(STATE_PATH_BYTES_MAX - used);
		int plain = isalnum((unsigned char)*at) || *at == '-' || *at == '_';
		used += snprintf(path + used, room, plain ? "%c" : "%%%02X", (unsigned char)*at);
	}
	if (used < STATE_PATH_BYTES_MAX)
		used += snprintf(path + used, (size_t)(STATE_PATH_BYTES_MAX - used), "%s", ending);
	return used < STATE_PATH_BYTES_MAX ? 0 : -1;
}

int state_folder(const char *folder, char error[static STATE_ERROR_BYTES_MAX])
{
	int code = files_folder_make(folder);
	if (code < 0)
		snprintf(error, STATE_ERROR_BYTES_MAX,
			 "cannot keep state in %.1000s: %s; name another folder with -state", folder,
			 strerror(-code));
	return code < 0 ? -1 : 0;
}

int state_lock(const char *folder, const char *stream_name, char error[static STATE_ERROR_BYTES_MAX])
{
	char path[STATE_PATH_BYTES_MAX];
	int fd = -1;
	errno = ENAMETOOLONG;
	if (state_path(folder, stream_name, ".lock", path) == 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	int code = errno;
	if (fd >= 0)
		close(fd);
	if (code == EWOULDBLOCK)
		snprintf(
			error, STATE_ERROR_BYTES_MAX,
			"another run has the state of configId %.200s in %.1000s: two would hand on the same "
			"events twice; wait for it, or name another folder with -state",
			stream_name, folder);
	else
		snprintf(error, STATE_ERROR_BYTES_MAX, "cannot lock the state in %.1000s: %s", folder,
			 strerror(code));
	return -1;
}

int state_read(const char *folder, const char *stream_name, char **ret_text,
	       char error[static STATE_ERROR_BYTES_MAX])
{
	char path[STATE_PATH_BYTES_MAX];
	*ret_text = NULL;
	int code = state_path(folder, stream_name, ".json", path) < 0 ? ENAMETOOLONG : 0;
	FILE *file = code ? NULL : file_read_regular(path);
	if (!file && !code && errno == ENOENT)
		return 0;
	if (!file && !code)
		code = errno;
	char *text = file ? calloc(1, PROGRAM_STATE_BYTES_MAX + 2) : NULL;
	size_t bytes = text ? fread(text, 1, PROGRAM_STATE_BYTES_MAX + 1, file) : 0;
	if (file && !text)
		code = ENOMEM;
	else if (file && ferror(file))
		code = errno;
	else if (bytes > PROGRAM_STATE_BYTES_MAX)
		code = EFBIG;
	else if (text && memchr(text, 0, bytes))
		code = EBADMSG; /* such as zeros where a disk lost its last writes */
	if (file)
		fclose(file);
	if (code) {
		free(text);
		snprintf(error, STATE_ERROR_BYTES_MAX,
			 "cannot read the state in %.1000s: %s; to begin anew, remove it", path,
			 strerror(code));
		return -1;
	}
	*ret_text = text;
	return 0;
}

int state_write(const char *folder, const char *stream_name, const char *text,
		char error[static STATE_ERROR_BYTES_MAX])
{
	char path[STATE_PATH_BYTES_MAX];
	struct file_beside file;
	int code = state_path(folder, stream_name, ".json", path) < 0 ? -ENAMETOOLONG : 0;
	if (!code)
		code = file_beside_begin(&file, path);
	if (!code) {
		errno = EIO; /* should one of them fail without a reason */
		int failed = fputs(text, file.out) < 0 || fputc('\n', file.out) < 0 ||
			     fflush(file.out) != 0 || fsync(fileno(file.out)) < 0;
		code = file_beside_end(&file, failed ? -errno : 0);
	}
	if (code)
		snprintf(error, STATE_ERROR_BYTES_MAX,
			 "cannot keep the state of configId %.200s in %.1000s: %s; the next run begins where "
			 "this "
			 "one did",
			 stream_name, folder, strerror(-code));
	return code < 0 ? -1 : 0;
}
