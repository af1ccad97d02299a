/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* What akamai-direct-prof, record and report write beside run.json. */
static const char *const files_of_a_run[] = {
	"cpu_mid.pprof", "offcpu_mid.pprof", "heap_mid.pprof", "heap_end.pprof", "mappings.pprof",
	"cpu.pprof",	 "offcpu.pprof",     "heap.pprof",     "faults.pprof",	 "cpu.svg",
	"heap.svg",	 "offcpu.svg",	     "report.html",
};

/* mkdir -p */
static int folder_make(const char *path)
{
	char copy[4096];
	if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
		return -ENAMETOOLONG;
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(copy, 0777) < 0 && errno != EEXIST ? -errno : 0;
}

int files_folder_make(const char *folder)
{
	struct stat status;
	int code = folder_make(folder);
	if (!code && stat(folder, &status) == 0 && !S_ISDIR(status.st_mode))
		code = -ENOTDIR;
	if (!code && access(folder, W_OK | X_OK) < 0)
		code = -errno;
	return code;
}

int files_folder(const char *folder, char error[static FILES_ERROR_BYTES_MAX])
{
	int code = files_folder_make(folder);
	if (code)
		snprintf(error, FILES_ERROR_BYTES_MAX,
			 "cannot write run.json to %.1000s: %s; name another folder with -out", folder,
			 strerror(-code));
	return code;
}

void files_remove_stale(const char *folder)
{
	char path[4200];
	for (size_t i = 0; i < sizeof files_of_a_run / sizeof *files_of_a_run; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files_of_a_run[i]);
		unlink(path); /* most of them were never there */
	}
}

int files_write_run_json(const char *folder, const char *text, char error[static FILES_ERROR_BYTES_MAX])
{
	struct file_beside file;
	char path[4200];
	snprintf(path, sizeof path, "%s/run.json", folder);
	int code = file_beside_begin(&file, path);
	if (!code) {
		errno = EIO; /* should one of them fail without a reason */
		int failed = fputs(text, file.out) < 0 || fputc('\n', file.out) < 0;
		code = file_beside_end(&file, failed ? -errno : 0);
	}
	if (code)
		snprintf(error, FILES_ERROR_BYTES_MAX,
			 "cannot write %.1000s: %s; name another folder with -out", path, strerror(-code));
	return code;
}
