/* SPDX-License-Identifier: Apache-2.0
 *
 * One line for a person when the kernel or the container denies io_uring: which of the two it is, how to
 * allow it, and what happens meanwhile. A silent fallback or a bare errno is what users of io_uring complain
 * about.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ring/engine.h"

/* Reads the start of a small file into `text`, NUL-terminated; "" when it cannot be read. */
static void file_read(const char *path, char *text, size_t text_bytes)
{
	size_t filled = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t got;
		while (filled < text_bytes - 1 &&
		       (got = read(fd, text + filled, text_bytes - 1 - filled)) > 0)
			filled += (size_t)got;
		close(fd);
	}
	text[filled] = 0;
}

/* The small number at `text`, behind blanks; 0 when there is none. */
static int number_at(const char *text)
{
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	return end == text || errno || number < 0 || number > INT_MAX ? 0 : (int)number;
}

struct ring_obstacles ring_obstacles_read(void)
{
	struct ring_obstacles obstacles = { 0 };
	char text[8192];
	file_read("/proc/sys/kernel/io_uring_disabled", text, sizeof text);
	obstacles.uring_disabled = number_at(text);
	file_read("/proc/thread-self/status", text, sizeof text);
	const char *field = strstr(text, "\nSeccomp:"); /* proc(5): 2 is SECCOMP_MODE_FILTER */
	obstacles.seccomp_filtered = field && number_at(field + sizeof "\nSeccomp:" - 1) == 2;
	struct rlimit limit;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		obstacles.memlock_bytes = limit.rlim_cur;
	return obstacles;
}

static void denied_format(char *text, size_t text_bytes, const char *name,
			  const struct ring_obstacles *obstacles)
{
	if (obstacles->uring_disabled == 2)
		snprintf(text, text_bytes,
			 "io_uring is switched off on this host (%s: kernel.io_uring_disabled is 2). "
			 "Allow it with `sysctl -w kernel.io_uring_disabled=0`",
			 name);
	else if (obstacles->uring_disabled == 1)
		snprintf(text, text_bytes,
			 "io_uring is reserved for a group on this host (%s: kernel.io_uring_disabled is 1). "
			 "Join the group named by kernel.io_uring_group, or "
			 "`sysctl -w kernel.io_uring_disabled=0`",
			 name);
	else if (obstacles->seccomp_filtered)
		snprintf(text, text_bytes,
			 "io_uring is blocked by a seccomp filter (%s), as Docker 25 and containerd 2.0 "
			 "install by "
			 "default. Allow io_uring_setup, io_uring_enter and io_uring_register with "
			 "`docker run --security-opt seccomp=profile.json`",
			 name);
	else
		snprintf(text, text_bytes, "io_uring is denied by a security module or the sandbox (%s)",
			 name);
}

void ring_notice_setup(char *text, size_t text_bytes, int error, int insists,
		       const struct ring_obstacles *obstacles)
{
	const char *name = strerrorname_np(error);
	char cause[400];
	if (!name)
		name = "unknown error";
	if (error == EPERM || error == EACCES || (error == ENOSYS && obstacles->seccomp_filtered))
		denied_format(cause, sizeof cause, name, obstacles);
	else if (error == ENOSYS || error == EOPNOTSUPP || error == EINVAL)
		snprintf(cause, sizeof cause,
			 "This kernel offers no io_uring that can be used (%s). Linux 6.1 or newer does",
			 name);
	else if (error == ENOMEM)
		snprintf(cause, sizeof cause,
			 "There is no memory for io_uring (ENOMEM: RLIMIT_MEMLOCK is %" PRIu64 " bytes). "
			 "Raise `ulimit -l` or grant CAP_IPC_LOCK",
			 obstacles->memlock_bytes);
	else if (error == EMFILE || error == ENFILE)
		snprintf(cause, sizeof cause,
			 "There is no file descriptor left for io_uring (%s). Raise `ulimit -n`", name);
	else
		snprintf(cause, sizeof cause, "io_uring cannot be set up (%s: %s)", name,
			 strerrordesc_np(error));
	snprintf(text, text_bytes, "%s%s", cause,
		 insists ? ", or choose the poll engine."
			 : "; going on with poll, at about the same throughput.");
}

void ring_notice_register(char *text, size_t text_bytes, int error, const struct ring_obstacles *obstacles)
{
	static const char outlook[] = "going on with plain receives, at about the same throughput.";
	const char *name = strerrorname_np(error);
	if (error == ENOMEM)
		snprintf(text, text_bytes,
			 "Receive buffers cannot be registered with io_uring (ENOMEM: RLIMIT_MEMLOCK is "
			 "%" PRIu64 " bytes per user). Raise `ulimit -l` or grant CAP_IPC_LOCK; %s",
			 obstacles->memlock_bytes, outlook);
	else
		snprintf(text, text_bytes, "Receive buffers cannot be registered with io_uring (%s); %s",
			 name ? name : "unknown error", outlook);
}
