/* SPDX-License-Identifier: Apache-2.0
 *
 * Landlock (landlock(7)) by its system calls, since libc has none: which files may be opened how, and which
 * TCP ports be connected to. Everything that the kernel's version can restrict is restricted; then what the
 * resolver and libc open after the start is allowed, and what the caller names.
 *
 * A rule is about an inode, not about a name. Files that are replaced by renaming (resolv.conf!) lose it;
 * resolver_follow() deals with that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/parts.h"

/* Newer than Debian 12's linux/landlock.h, in the order of the versions 3 to 6. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif
#define RULE_NET_PORT 2 /* enum landlock_rule_type; version 4 */

#define PORT_DNS 53

#define RIGHTS_READ LANDLOCK_ACCESS_FS_READ_FILE
#define RIGHTS_WRITE                                                                                         \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |        \
	 LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
/* The only rights that a rule about something else than a folder may have. */
#define RIGHTS_OF_FILES                                                                                      \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |         \
	 LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV)

/* struct landlock_ruleset_attr of version 6; older kernels are given its beginning. */
struct ruleset {
	uint64_t handled_access_fs;  /* version 1 */
	uint64_t handled_access_net; /* version 4 */
	uint64_t scoped;	     /* version 6 */
};

struct port_rule { /* struct landlock_net_port_attr */
	uint64_t allowed_access;
	uint64_t port;
};

/* What libc opens by itself after the start: the resolver's files, the NSS libraries with their
 * cache (mapped, not executed, as far as Landlock is concerned), the time zone, the number of CPUs. */
static const char *const paths_of_libc[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/nsswitch.conf",
	"/etc/host.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/etc/ld.so.cache",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/lib64",
	"/usr/share/zoneinfo",
	"/sys/devices/system/cpu/online",
};

int landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	return version < 0 ? 0 : (int)version;
}

static struct ruleset ruleset_of(int version)
{
	struct ruleset ruleset = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	if (version >= 2)
		ruleset.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		ruleset.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version >= 4)
		ruleset.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (version >= 5)
		ruleset.handled_access_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	/* Processes outside cannot be signalled; they can signal us. */
	if (version >= 6)
		ruleset.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	return ruleset;
}

static size_t ruleset_bytes(int version)
{
	return version >= 6 ? sizeof(struct ruleset)
			    : (version >= 4 ? offsetof(struct ruleset, scoped)
					    : offsetof(struct ruleset, handled_access_net));
}

/* Allows `rights`, as far as they are handled, on what the descriptor is of. Returns 0 or -errno. */
static int allow_descriptor(int rules_fd, int fd, uint64_t rights, const struct ruleset *ruleset)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		rights &= RIGHTS_OF_FILES;
	struct landlock_path_beneath_attr rule = { .allowed_access = rights & ruleset->handled_access_fs,
						   .parent_fd = fd };
	if (syscall(SYS_landlock_add_rule, rules_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

static int allow_path(int rules_fd, const char *path, uint64_t rights, const struct ruleset *ruleset)
{
	int fd = open(path, O_PATH | O_CLOEXEC); /* follows links: the rule is about what is there */
	if (fd < 0)
		return -errno;
	int code = allow_descriptor(rules_fd, fd, rights, ruleset);
	close(fd);
	return code;
}

/* /proc/self by a descriptor that stays open for the life of the process: should the kernel drop it from its
 * cache, it would come back as another inode and the rule be lost. */
static int allow_proc_self(int rules_fd, const struct ruleset *ruleset)
{
	int fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return allow_descriptor(rules_fd, fd, RIGHTS_READ | LANDLOCK_ACCESS_FS_READ_DIR, ruleset);
}

/* The resolver reads resolv.conf again when it was replaced, and takes the local host for the server when it
 * may not. Below /run (systemd-resolved, NetworkManager, resolvconf) the whole folder is allowed, since only
 * the service's files are in it. In /etc that would be too much: what is read now is kept. */
static int resolver_follow(int rules_fd, const struct ruleset *ruleset)
{
	char path[PATH_MAX];
	if (realpath("/etc/resolv.conf", path) && strncmp(path, "/run/", 5) == 0) {
		char *name = strrchr(path, '/');
		if (name > path + strlen("/run")) {
			*name = 0;
			return allow_path(rules_fd, path, RIGHTS_READ, ruleset);
		}
	}
	char options[256];
	const char *given = getenv("RES_OPTIONS");
	snprintf(options, sizeof options, "%.200s%sno-reload", given ? given : "", given ? " " : "");
	if (setenv("RES_OPTIONS", options, 1) < 0)
		return -errno;
	res_init(); /* a failure shows when a name is looked up */
	return 0;
}

static int allow_files(const struct confine_options *options, int rules_fd, const struct ruleset *ruleset,
		       char *error)
{
	int code;
	for (size_t i = 0; i < sizeof paths_of_libc / sizeof *paths_of_libc; i++) {
		code = allow_path(rules_fd, paths_of_libc[i], RIGHTS_READ, ruleset);
		if (code < 0 && code != -ENOENT && code != -ENOTDIR && code != -EACCES && code != -ELOOP)
			return confine_fail(error, "Landlock: %s cannot be allowed: %s", paths_of_libc[i],
					    strerror(-code));
	}
	code = allow_proc_self(rules_fd, ruleset);
	if (code < 0 && code != -ENOENT)
		return confine_fail(error, "Landlock: /proc/self cannot be allowed: %s", strerror(-code));
	code = resolver_follow(rules_fd, ruleset);
	if (code < 0)
		return confine_fail(error, "Landlock: the resolver's folder cannot be allowed: %s",
				    strerror(-code));
	for (size_t i = 0; i < CONFINE_PATHS_MAX && options->read_paths[i]; i++) {
		code = allow_path(rules_fd, options->read_paths[i], RIGHTS_READ | LANDLOCK_ACCESS_FS_READ_DIR,
				  ruleset);
		if (code < 0)
			return confine_fail(error, "%.300s cannot be opened for reading: %s",
					    options->read_paths[i], strerror(-code));
	}
	for (size_t i = 0; i < CONFINE_PATHS_MAX && options->write_folders[i]; i++) {
		code = allow_path(rules_fd, options->write_folders[i], RIGHTS_WRITE, ruleset);
		if (code < 0)
			return confine_fail(error, "the folder %.300s cannot be opened: %s",
					    options->write_folders[i], strerror(-code));
	}
	return 0;
}

static int allow_port(int rules_fd, uint16_t port)
{
	struct port_rule rule = { .allowed_access = LANDLOCK_ACCESS_NET_CONNECT_TCP, .port = port };
	return syscall(SYS_landlock_add_rule, rules_fd, RULE_NET_PORT, &rule, 0) < 0 ? -errno : 0;
}

static int allow_ports(const struct confine_options *options, int rules_fd, char *error)
{
	int code = allow_port(rules_fd, PORT_DNS);
	for (size_t i = 0; code == 0 && i < CONFINE_PORTS_MAX && options->connect_ports[i]; i++)
		code = allow_port(rules_fd, options->connect_ports[i]);
	if (code < 0)
		return confine_fail(error, "Landlock: a TCP port cannot be allowed: %s", strerror(-code));
	return 0;
}

int landlock_prepare(const struct confine_options *options, int *ret_fd, struct confine_report *report,
		     char error[static CONFINE_ERROR_BYTES_MAX])
{
	int version = landlock_version();
	*ret_fd = -1;
	report->landlock_abi = version;
	if (version == 0) {
		confine_note(report,
			     "files and connects are not restricted: the kernel or the container has no "
			     "Landlock");
		return 0;
	}
	struct ruleset ruleset = ruleset_of(version);
	long fd = syscall(SYS_landlock_create_ruleset, &ruleset, ruleset_bytes(version), 0);
	if (fd < 0)
		return confine_fail(error, "Landlock: no rules can be made: %s", strerror(errno));
	if (allow_files(options, (int)fd, &ruleset, error) < 0 ||
	    (version >= 4 && allow_ports(options, (int)fd, error) < 0)) {
		close((int)fd);
		return -1;
	}
	if (version < 4)
		confine_note(report, "connects are not restricted: Landlock does so from Linux 6.7");
	*ret_fd = (int)fd;
	return 0;
}

int landlock_enforce(int fd, struct confine_report *report, char error[static CONFINE_ERROR_BYTES_MAX])
{
	if (fd < 0)
		return 0;
	long result = syscall(SYS_landlock_restrict_self, fd, 0);
	int code = errno;
	close(fd);
	if (result < 0)
		return confine_fail(error, "Landlock: the rules cannot be put into force: %s%s",
				    strerror(code), code == E2BIG ? " (16 layers are the most)" : "");
	report->landlock_files = 1;
	report->landlock_connect = report->landlock_abi >= 4;
	return 0;
}
