/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "confine/confine.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine/parts.h"

void confine_note(struct confine_report *report, const char *format, ...)
{
	size_t filled = strlen(report->note);
	va_list arguments;
	if (filled > 0 && filled + 2 < sizeof report->note) {
		memcpy(report->note + filled, "; ", 3);
		filled += 2;
	}
	va_start(arguments, format);
	vsnprintf(report->note + filled, sizeof report->note - filled, format, arguments);
	va_end(arguments);
}

int confine_fail(char error[static CONFINE_ERROR_BYTES_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, CONFINE_ERROR_BYTES_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

/* Landlock and capabilities are of one thread and inherited by those that it starts. */
static int check_threads(char *error)
{
	DIR *folder = opendir("/proc/self/task");
	unsigned threads = 0;
	if (!folder)
		return 0; /* no /proc here */
	for (struct dirent *entry; (entry = readdir(folder));)
		threads += entry->d_name[0] != '.';
	closedir(folder);
	if (threads <= 1)
		return 0;
	return confine_fail(error,
			    "rights cannot be given up: %u threads run already, and each would keep its own",
			    threads);
}

/* A dump of the memory would hold credentials. 1 rather than 0: where core_pattern names a program, the
 * kernel calls it even for 0, and makes no dump at all for 1 (core(5)). */
static int forbid_dumps(char *error)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		return confine_fail(error, "RLIMIT_CORE cannot be read: %s", strerror(errno));
	limit.rlim_max = limit.rlim_max < 1 ? limit.rlim_max : 1;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_CORE, &limit) < 0)
		return confine_fail(error, "core dumps cannot be switched off: %s", strerror(errno));
	return 0;
}

/* Who else may look into this process. A change of the user made it undumpable, which keeps other processes
 * of that user out ("nobody" has several); the supervisor is root then and needs no permission. Without a
 * change the supervisor is the same user, with capabilities for eBPF perhaps but not for this, and must read
 * our maps; file capabilities have made us undumpable at the start. */
static int set_dumpable(int user_changed, char *error)
{
	if (prctl(PR_SET_DUMPABLE, user_changed && !CONFINE_SANITIZED ? 0 : 1, 0, 0, 0) < 0)
		return confine_fail(error, "PR_SET_DUMPABLE failed: %s", strerror(errno));
	return 0;
}

/* The rules allow it; whether the folder's owner does is another matter. */
static void note_folders(const struct confine_options *options, struct confine_report *report)
{
	for (size_t i = 0; i < CONFINE_PATHS_MAX && options->write_folders[i]; i++)
		if (access(options->write_folders[i], W_OK | X_OK) < 0)
			confine_note(report, "%s may not write in %.80s (%s)", report->user,
				     options->write_folders[i], strerror(errno));
}

int confine_enter(const struct confine_options *options, struct confine_report *ret_report,
		  char error[static CONFINE_ERROR_BYTES_MAX])
{
	struct confine_user user;
	int rules_fd = -1;
	*ret_report = (struct confine_report){ 0 };
	if (check_threads(error) < 0 || user_find(options->user, &user, error) < 0 ||
	    landlock_prepare(options, &rules_fd, ret_report, error) < 0)
		return -1;
	if (forbid_dumps(error) < 0 || user_become(&user, options->user != NULL, ret_report, error) < 0)
		return -1;
	if (set_dumpable(ret_report->user_changed, error) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return confine_fail(error, "PR_SET_NO_NEW_PRIVS failed: %s", strerror(errno));
	ret_report->no_new_privileges = 1;
	note_folders(options, ret_report);
	if (landlock_enforce(rules_fd, ret_report, error) < 0 ||
	    seccomp_enforce(options, ret_report, error) < 0)
		return -1;
	ret_report->applied = 1;
	return 0;
}

int confine_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid,
		      char error[static CONFINE_ERROR_BYTES_MAX])
{
	struct confine_user found;
	if (user_find(user, &found, error) < 0)
		return -1;
	*ret_uid = found.uid;
	*ret_gid = found.gid;
	return 0;
}

void confine_probe(struct confine_report *ret_report)
{
	char error[CONFINE_ERROR_BYTES_MAX];
	struct confine_user user;
	*ret_report = (struct confine_report){ .no_new_privileges = 1 };
	if (user_find(NULL, &user, error) < 0) {
		confine_note(ret_report, "%s", error);
	} else {
		snprintf(ret_report->user, sizeof ret_report->user, "%s", user.name);
		ret_report->user_changed = user.change;
	}
	ret_report->landlock_abi = landlock_version();
	ret_report->landlock_files = ret_report->landlock_abi >= 1;
	ret_report->landlock_connect = ret_report->landlock_abi >= 4;
	ret_report->seccomp = seccomp_available();
	if (!ret_report->landlock_files)
		confine_note(ret_report,
			     "no Landlock: it needs Linux 5.13 and \"landlock\" in the lsm= list");
	else if (!ret_report->landlock_connect)
		confine_note(ret_report, "Landlock restricts files but not connects (Linux 6.7 does)");
	if (!ret_report->seccomp)
		confine_note(ret_report, "no seccomp filters in this kernel");
}
