/* SPDX-License-Identifier: Apache-2.0
 *
 * Root becomes an ordinary user, and nobody keeps capabilities. Each step is read back, and finally it is
 * tried to become root again: a set-id change that was silently not made is a classic hole.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine/parts.h"

#define NOBODY_ID 65534		   /* where there is no such name, as in an empty container */
#define CAPABILITY_COUNT_MAX 64	   /* bits of the three sets in capget(2) */
#define PASSWD_BYTES_MAX (1 << 14) /* getpwnam_r(3) for one entry; real ones have a few hundred */

/* A user or group number. Returns 0, or -1 when `text` is none; (uid_t)-1 means "unchanged" to the kernel. */
static int id_parse(const char *text, unsigned *ret_id)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number >= UINT_MAX)
		return -1;
	*ret_id = (unsigned)number;
	return 0;
}

/* 1 when the system knows the user, by name or else by number. */
static int user_look_up(const char *name, uid_t uid, struct confine_user *user)
{
	char text[PASSWD_BYTES_MAX];
	struct passwd entry, *found = NULL;
	int code = name ? getpwnam_r(name, &entry, text, sizeof text, &found)
			: getpwuid_r(uid, &entry, text, sizeof text, &found);
	if (code != 0 || !found)
		return 0;
	user->uid = found->pw_uid;
	user->gid = found->pw_gid;
	snprintf(user->name, sizeof user->name, "%s", found->pw_name);
	return 1;
}

static void user_of_number(uid_t uid, struct confine_user *user)
{
	if (user_look_up(NULL, uid, user))
		return;
	user->uid = uid;
	user->gid = (gid_t)uid;
	snprintf(user->name, sizeof user->name, "%u", uid);
}

/* Whoever called sudo, so that the output is his. 0 when that is not known, or is root. */
static int user_of_sudo(struct confine_user *user)
{
	const char *uid_text = getenv("SUDO_UID"), *gid_text = getenv("SUDO_GID");
	unsigned uid, gid;
	if (!uid_text || id_parse(uid_text, &uid) < 0 || uid == 0)
		return 0;
	user_of_number(uid, user);
	if (gid_text && id_parse(gid_text, &gid) == 0 && gid != 0)
		user->gid = gid;
	return 1;
}

int user_find(const char *wanted, struct confine_user *ret_user, char error[static CONFINE_ERROR_BYTES_MAX])
{
	struct confine_user user = { 0 };
	unsigned number;
	if (wanted && id_parse(wanted, &number) == 0)
		user_of_number(number, &user);
	else if (wanted && !user_look_up(wanted, 0, &user))
		return confine_fail(error, "there is no user \"%.200s\" on this host", wanted);
	if (geteuid() != 0) {
		if (wanted && user.uid != geteuid())
			return confine_fail(error,
					    "only root can become \"%.200s\"; start as that user, or as root",
					    wanted);
		user_of_number(geteuid(), &user);
		user.gid = getegid();
	} else if (!wanted && getuid() != 0) { /* set-uid root */
		user_of_number(getuid(), &user);
		user.gid = getgid();
	} else if (!wanted && !user_of_sudo(&user) && !user_look_up("nobody", 0, &user)) {
		user.uid = user.gid = NOBODY_ID;
		snprintf(user.name, sizeof user.name, "%u", NOBODY_ID);
	}
	user.change = user.uid != geteuid();
	*ret_user = user;
	return 0;
}

static int capabilities_read(struct __user_cap_data_struct sets[static 2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	return (int)syscall(SYS_capget, &header, sets);
}

/* Before the user changes: dropping from the bounding set needs CAP_SETPCAP, which goes with it. Without that
 * capability the set stays and is worth nothing, because no_new_privs makes files' capabilities void. */
static int bounding_drop(int *ret_dropped, char *error)
{
	*ret_dropped = 1;
	for (int capability = 0; capability < CAPABILITY_COUNT_MAX; capability++) {
		int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held < 0) /* EINVAL: the kernel knows no more */
			break;
		if (held == 0 || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		if (errno != EPERM)
			return confine_fail(error, "capability %d cannot be dropped: %s", capability,
					    strerror(errno));
		*ret_dropped = 0;
	}
	return 0;
}

/* Groups, group, user, in this order: the first two need what the last takes away. Returns 0 or -errno and
 * what failed. */
static int identity_change(const struct confine_user *user, const char **ret_what)
{
	/* No groups of the user either: "docker" or "adm" would be worth more than the user's own rights. */
	*ret_what = "setgroups";
	if (user->change && setgroups(0, NULL) < 0)
		return -errno;
	/* Without a change too: a saved id would be a way back. */
	*ret_what = "setresgid";
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return -errno;
	*ret_what = "setresuid";
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

static int capabilities_drop(char *error)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return confine_fail(error, "the ambient capabilities cannot be cleared: %s", strerror(errno));
	if (syscall(SYS_capset, &header, none) < 0)
		return confine_fail(error, "the capabilities cannot be dropped: %s", strerror(errno));
	return 0;
}

static int capabilities_verify(int bounding_dropped, char *error)
{
	struct __user_cap_data_struct sets[2] = { 0 };
	if (capabilities_read(sets) < 0)
		return confine_fail(error, "the capabilities cannot be read back: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		if (sets[i].effective || sets[i].permitted || sets[i].inheritable)
			return confine_fail(error, "capabilities are left after they were dropped");
	for (int capability = 0; capability < CAPABILITY_COUNT_MAX; capability++) {
		int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held < 0)
			break;
		if ((held && bounding_dropped) ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) > 0)
			return confine_fail(error, "capability %d is left after it was dropped", capability);
	}
	return 0;
}

static int identity_verify(const struct confine_user *user, char *error)
{
	uid_t uids[3];
	gid_t gids[3];
	if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
		return confine_fail(error, "the user cannot be read back: %s", strerror(errno));
	for (int i = 0; i < 3; i++)
		if (uids[i] != user->uid || gids[i] != user->gid)
			return confine_fail(error, "we are not %s after becoming it", user->name);
	/* -1 changes nothing and returns what is set. */
	if ((uid_t)setfsuid((uid_t)-1) != user->uid || (gid_t)setfsgid((gid_t)-1) != user->gid)
		return confine_fail(error, "files are not accessed as %s after becoming it", user->name);
	if (user->change && getgroups(0, NULL) != 0)
		return confine_fail(error, "groups are left after they were dropped");
	if (user->uid != 0 && (setresuid(0, 0, 0) == 0 || setuid(0) == 0 || seteuid(0) == 0))
		return confine_fail(error, "root could be regained after it was given up");
	return 0;
}

int user_become(const struct confine_user *user, int insists, struct confine_report *report,
		char error[static CONFINE_ERROR_BYTES_MAX])
{
	const char *what;
	int bounding_dropped;
	struct confine_user now = *user;
	if (bounding_drop(&bounding_dropped, error) < 0)
		return -1;
	int code = identity_change(user, &what);
	if (code < 0) {
		/* A root that may not change users (EPERM), or knows no other (EINVAL: not mapped in its user
		 * namespace), is none outside its container. */
		if (insists || !user->change || (code != -EPERM && code != -EINVAL))
			return confine_fail(error,
					    "cannot become user %s (%s: %s); name a user that this host or "
					    "container has, or grant CAP_SETUID and CAP_SETGID",
					    user->name, what, strerror(-code));
		confine_note(report, "stays uid 0, without capabilities: %s is not allowed here (%s)", what,
			     strerror(-code));
		now = (struct confine_user){ .uid = geteuid(), .gid = getegid() };
		snprintf(now.name, sizeof now.name, "%u", now.uid);
	}
	if (capabilities_drop(error) < 0 || capabilities_verify(bounding_dropped, error) < 0 ||
	    identity_verify(&now, error) < 0)
		return -1;
	if (now.uid == 0 && code == 0)
		confine_note(report,
			     "stays root as asked, without capabilities; files of root are open to it");
	snprintf(report->user, sizeof report->user, "%s", now.name);
	report->user_changed = now.change;
	return 0;
}
