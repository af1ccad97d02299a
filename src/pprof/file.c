/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles in files. Knows no field of the format.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pprof/profile.h"

enum { READ_BYTES = 1 << 16 };

/* 0, or -errno. */
static int write_bytes(const char *path, const uint8_t *bytes, size_t count)
{
	struct file_beside file;
	int code = file_beside_begin(&file, path);
	if (code)
		return code;
	return file_beside_end(&file, fwrite(bytes, 1, count, file.out) == count ? 0 : -errno);
}

int pprof_write(const struct pprof *profile, const char *path, char error[static PPROF_ERROR_BYTES_MAX])
{
	size_t message_bytes, file_bytes;
	uint8_t *message = pprof_encode(profile, &message_bytes);
	uint8_t *file = gzip_deflate(message, message_bytes, &file_bytes);
	int code = write_bytes(path, file, file_bytes);
	free(file);
	free(message);
	if (!code)
		return 0;
	snprintf(error, PPROF_ERROR_BYTES_MAX,
		 "cannot write the profile %.500s: %s; name another folder, or make room in this one", path,
		 strerror(-code));
	return -1;
}

/* At most one byte more than a profile can have. NULL with errno. */
static uint8_t *read_all(const char *path, size_t *ret_bytes)
{
	FILE *file = file_read_regular(path);
	if (!file)
		return NULL;
	uint8_t *bytes = NULL;
	size_t count = 0, room = 0, got;
	do {
		bytes = room_for(bytes, &room, count, READ_BYTES, 1);
		got = fread(bytes + count, 1, READ_BYTES, file);
		count += got;
	} while (got == READ_BYTES && count <= PPROF_FILE_BYTES_MAX);
	int code = ferror(file) ? errno : 0;
	fclose(file);
	if (code) {
		free(bytes);
		errno = code;
		return NULL;
	}
	*ret_bytes = count;
	return bytes;
}

struct pprof *pprof_read(const char *path, char error[static PPROF_ERROR_BYTES_MAX])
{
	size_t count;
	uint8_t *bytes = read_all(path, &count);
	if (!bytes) {
		snprintf(error, PPROF_ERROR_BYTES_MAX, "cannot read the profile %.500s: %s", path,
			 errno == EINVAL ? "it is not a regular file" : strerror(errno));
		return NULL;
	}
	struct pprof *profile = pprof_decode(bytes, count, path, error);
	free(bytes);
	return profile;
}
