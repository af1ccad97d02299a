/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of confine share; no other room includes this. confine.c calls the parts in the one order
 * that works: rights are needed to open what the rules are about, and each part takes some away.
 */
#ifndef CONFINE_PARTS_H
#define CONFINE_PARTS_H

#include "confine/confine.h"

#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif
#ifndef CONFINE_SANITIZED
#define CONFINE_SANITIZED 0 /* 1: the leak check at the end stops this process and reads its memory */
#endif

/* Appends a sentence to the report's note; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) void confine_note(struct confine_report *report, const char *format,
							...);
/* Words an error and returns -1. */
__attribute__((format(printf, 2, 3))) int confine_fail(char error[static CONFINE_ERROR_BYTES_MAX],
						       const char *format, ...);

struct confine_user {
	uid_t uid;
	gid_t gid;
	int change; /* we are root now and not to remain it */
	char name[64];
};

/* Who is to be run as. */
int user_find(const char *wanted, struct confine_user *ret_user, char error[static CONFINE_ERROR_BYTES_MAX]);
/* Becomes that user, without groups and capabilities, and proves that there is no way back. `insists`: the
 * user was asked for by name, so that staying root is an error also where the kernel leaves no choice. */
int user_become(const struct confine_user *user, int insists, struct confine_report *report,
		char error[static CONFINE_ERROR_BYTES_MAX]);

/* The kernel's version of Landlock, 0 when it has none. */
int landlock_version(void);
/* Makes the rules, while everything can still be opened. *ret_fd: -1 when the kernel has no Landlock. */
int landlock_prepare(const struct confine_options *options, int *ret_fd, struct confine_report *report,
		     char error[static CONFINE_ERROR_BYTES_MAX]);
/* Puts them into force and closes them. Needs no_new_privs. */
int landlock_enforce(int fd, struct confine_report *report, char error[static CONFINE_ERROR_BYTES_MAX]);

int seccomp_available(void);
int seccomp_enforce(const struct confine_options *options, struct confine_report *report,
		    char error[static CONFINE_ERROR_BYTES_MAX]);

#endif
