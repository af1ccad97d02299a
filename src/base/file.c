/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0, or why a file of this kind is not read. */
static int kind_error(const struct stat *status)
{
	return S_ISREG(status->st_mode) ? 0 : S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
}

FILE *file_read_regular(const char *path)
{
	struct stat status;
	if (stat(path, &status) == 0 && kind_error(&status)) {
		errno = kind_error(&status);
		return NULL;
	}
	/* Looked at again, because it may be another one by now. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return NULL;
	int code = fstat(fd, &status) < 0 ? errno : kind_error(&status);
	FILE *file = code ? NULL : fdopen(fd, "r");
	if (!file) {
		code = code ? code : errno;
		close(fd);
		errno = code;
	}
	return file;
}

int file_beside_begin(struct file_beside *file, const char *path)
{
	int path_bytes = snprintf(file->path, sizeof file->path, "%s", path);
	int new_bytes = snprintf(file->new_path, sizeof file->new_path, "%s.new", path);
	file->out = NULL;
	if (path_bytes < 0 || new_bytes < 0 || (size_t)new_bytes >= sizeof file->new_path)
		return -ENAMETOOLONG;
	if (unlink(file->new_path) < 0 && errno != ENOENT)
		return -errno;
	file->out = fopen(file->new_path, "wxe");
	return file->out ? 0 : -errno;
}

int file_beside_end(struct file_beside *file, int code)
{
	if (fclose(file->out) != 0 && !code)
		code = -errno;
	if (!code && rename(file->new_path, file->path) < 0)
		code = -errno;
	if (code)
		unlink(file->new_path);
	file->out = NULL;
	return code;
}
