/* SPDX-License-Identifier: Apache-2.0
 *
 * Separate debug files, found by build id: below /usr/lib/debug/.build-id, and, when the user has set
 * DEBUGINFOD_URLS, from there. Never by the name that a file gives (.gnu_debuglink): that is for the profiled
 * process's user to choose, and what we open is opened with our rights.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiler/names_private.h"

enum { BUILD_ID_BYTES_LEAST = 3 }; /* a folder of one byte, and more */

void elf_file_close(struct elf_file *file)
{
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct elf_file){ .fd = -1 };
}

/* Takes the descriptor. */
static struct elf_file open_descriptor(int fd)
{
	struct elf_file file = { .fd = fd };
	struct stat status;
	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		file.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (file.elf && elf_kind(file.elf) != ELF_K_ELF) {
		elf_end(file.elf);
		file.elf = NULL;
	}
	if (!file.elf)
		elf_file_close(&file);
	return file;
}

/* libdebuginfod is loaded for those who ask for it only: it brings an HTTP client. */
static int ask_debuginfod(const uint8_t *build_id, size_t bytes)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	int fd = -1;
	if (!urls || !*urls)
		return -1;
	void *library = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return -1;
	void *(*begin)(void) = (void *(*)(void))dlsym(library, "debuginfod_begin");
	void (*end)(void *) = (void (*)(void *))dlsym(library, "debuginfod_end");
	int (*find)(void *, const unsigned char *, int, char **) =
		(int (*)(void *, const unsigned char *, int, char **))dlsym(library,
									    "debuginfod_find_debuginfo");
	void *client = begin && end && find ? begin() : NULL;
	if (client) {
		fd = find(client, build_id, (int)bytes, NULL);
		end(client);
	}
	/* Not closed: libcurl cannot be unloaded once it has been used. */
	return fd;
}

struct elf_file names_debug_file(const char *folder, const uint8_t *build_id, size_t bytes)
{
	char path[NAMES_TEXT_BYTES_MAX];
	if (bytes < BUILD_ID_BYTES_LEAST || bytes > OBJECT_BUILD_ID_BYTES_MAX)
		return (struct elf_file){ .fd = -1 };
	int used = snprintf(path, sizeof path, "%s/.build-id/%02x/", folder, build_id[0]);
	for (size_t i = 1; i < bytes && used > 0 && (size_t)used < sizeof path; i++)
		used += snprintf(path + used, sizeof path - (size_t)used, "%02x", build_id[i]);
	if (used > 0 && (size_t)used < sizeof path)
		used += snprintf(path + used, sizeof path - (size_t)used, ".debug");
	if (used < 0 || (size_t)used >= sizeof path)
		return (struct elf_file){ .fd = -1 };
	struct elf_file file = open_descriptor(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
	return file.elf ? file : open_descriptor(ask_debuginfod(build_id, bytes));
}
