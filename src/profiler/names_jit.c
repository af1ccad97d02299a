/* SPDX-License-Identifier: Apache-2.0
 *
 * Generated code: /tmp/perf-PID.map as Node.js, .NET, PyPy and others write it for perf, one "START SIZE
 * NAME" a line, the numbers hexadecimal (Linux's tools/perf/Documentation/jit-interface.txt). It lies where
 * the process sees /tmp, and PID is what the process calls itself. Anybody may write there: the file counts
 * only when it is the process's user's or root's, is a plain file, and no link leads to it or out of the
 * process's root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiler/names_private.h"

enum {
	FILE_BYTES_MAX = 64 << 20, /* Node.js writes 10 MB in an hour; of more the beginning is read */
	ENTRIES_MAX = 1 << 20,
	PROCESSES_MAX = 4096 /* as many as are followed */
};

void jit_names_close(struct jit_names *jit)
{
	free(jit->texts);
	name_ranges_finish(&jit->ranges);
	if (jit->root_fd >= 0)
		close(jit->root_fd);
}

/* Reads up to `bytes_max` and puts a 0 behind it. NULL: cannot be read. */
static char *read_all(int fd, size_t bytes_max)
{
	size_t used = 0;
	char *text = malloc(bytes_max + 1);
	while (text && used < bytes_max) {
		ssize_t count = read(fd, text + used, bytes_max - used);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		used += (size_t)count;
	}
	if (text)
		text[used] = 0;
	return text;
}

/* The numbers of a line "Uid:\t1000\t1000\t1000\t1000"; returns how many there are, and the last one. */
static size_t status_numbers(const char *status, const char *field, long numbers[static 4], long *ret_last)
{
	const char *at = strstr(status, field);
	size_t count = 0;
	if (!at)
		return 0;
	at += strlen(field);
	for (;;) {
		char *end;
		at += strspn(at, " \t");
		long number = strtol(at, &end, 10);
		if (end == at)
			return count;
		if (count < 4)
			numbers[count] = number;
		*ret_last = number;
		count++;
		at = end;
	}
}

static int identify(pid_t pid, struct process_identity *ret_identity)
{
	enum { STATUS_BYTES_MAX = 16384 };
	char path[64];
	long unused[4], last;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *status = fd >= 0 ? read_all(fd, STATUS_BYTES_MAX) : NULL;
	if (fd >= 0)
		close(fd);
	/* The name is on the first line and is the process's to choose; a newline in it is escaped. */
	int known = status && status_numbers(status, "\nUid:", ret_identity->user_ids, &last) == 4 &&
		    status_numbers(status, "\nNSpid:", unused, &ret_identity->name) > 0;
	free(status);
	return known ? 0 : -1;
}

static int open_root(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_map(int root_fd, const struct process_identity *identity)
{
	char path[64];
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	snprintf(path, sizeof path, "tmp/perf-%ld.map", identity->name);
	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
}

static int is_acceptable(const struct stat *status, const struct process_identity *identity)
{
	int owned = status->st_uid == 0;
	for (size_t i = 0; i < 4; i++)
		owned |= (long)status->st_uid == identity->user_ids[i];
	return owned && S_ISREG(status->st_mode);
}

static void read_entries(struct jit_names *jit)
{
	size_t entries = 0;
	for (char *line = jit->texts, *next; *line && entries < ENTRIES_MAX; line = next) {
		char *end = strchr(line, '\n'), *behind_start, *behind_size;
		if (!end) /* being written */
			break;
		next = end + 1;
		*end = 0;
		uint64_t start = strtoull(line, &behind_start, 16);
		if (behind_start == line || *behind_start != ' ')
			continue;
		uint64_t bytes = strtoull(behind_start, &behind_size, 16);
		if (behind_size == behind_start || *behind_size != ' ' || !behind_size[1] ||
		    bytes > UINT64_MAX - start)
			continue;
		name_ranges_add(&jit->ranges, start, start + bytes, (uint64_t)(behind_size + 1 - jit->texts));
		entries++;
	}
	name_ranges_sort(&jit->ranges);
}

static struct jit_names *find(struct names *names, pid_t pid)
{
	for (size_t i = 0; i < names->jit_count; i++) {
		if (names->jits[i].pid == pid)
			return &names->jits[i];
	}
	return NULL;
}

static struct jit_names *find_or_add(struct names *names, pid_t pid)
{
	struct jit_names *found = find(names, pid);
	if (found || names->jit_count == PROCESSES_MAX)
		return found;
	struct jit_names *jits = reallocarray(names->jits, names->jit_count + 1, sizeof *jits);
	if (!jits)
		return NULL;
	names->jits = jits;
	found = &names->jits[names->jit_count++];
	*found = (struct jit_names){ .pid = pid, .root_fd = -1 };
	return found;
}

void names_hold_jit(struct names *names, pid_t pid)
{
	struct process_identity identity;
	struct jit_names *jit = identify(pid, &identity) == 0 ? find_or_add(names, pid) : NULL;
	int root_fd = jit ? open_root(pid) : -1;
	if (root_fd < 0)
		return;
	if (jit->root_fd >= 0)
		close(jit->root_fd);
	jit->root_fd = root_fd;
	jit->identity = identity;
}

static void read_map(struct jit_names *jit, int fd)
{
	struct stat status = { 0 };
	if (fstat(fd, &status) < 0 || !is_acceptable(&status, &jit->identity))
		return;
	const uint64_t id[4] = { status.st_dev, status.st_ino, (uint64_t)status.st_size,
				 (uint64_t)status.st_mtim.tv_sec * 1000000000 +
					 (uint64_t)status.st_mtim.tv_nsec };
	if (jit->texts && memcmp(jit->file_id, id, sizeof id) == 0)
		return;
	/* A file that grows while it is read counts as far as it went. */
	size_t bytes = status.st_size < FILE_BYTES_MAX ? (size_t)status.st_size : FILE_BYTES_MAX;
	char *texts = read_all(fd, bytes);
	if (!texts)
		return;
	free(jit->texts);
	name_ranges_finish(&jit->ranges);
	jit->ranges = (struct name_ranges){ 0 };
	jit->texts = texts;
	memcpy(jit->file_id, id, sizeof id);
	read_entries(jit);
}

void names_read_jit(struct names *names, pid_t pid)
{
	/* Of a process that has ended, what was held while it lived is left. */
	names_hold_jit(names, pid);
	struct jit_names *jit = find(names, pid);
	int fd = jit && jit->root_fd >= 0 ? open_map(jit->root_fd, &jit->identity) : -1;
	if (jit && jit->root_fd >= 0) {
		close(jit->root_fd);
		jit->root_fd = -1;
	}
	if (fd < 0)
		return;
	read_map(jit, fd);
	close(fd);
}

size_t names_of_jit(struct names *names, pid_t pid, uint64_t address,
		    struct name_line lines[static NAMES_LINES_MAX])
{
	const struct jit_names *jit = find(names, pid);
	const struct name_range *range = jit ? name_ranges_find_latest(&jit->ranges, address) : NULL;
	lines[0] = (struct name_line){ .file = "" };
	lines[0].name = range ? names_text(names, jit->texts + range->value) : "[jit]";
	lines[0].system_name = lines[0].name;
	return 1;
}
