/* SPDX-License-Identifier: Apache-2.0
 *
 * confine: takes rights away from this process before it reads the first byte from the network. What is
 * gone stays gone: for all threads, and for programs that it would start.
 *
 *   user              root becomes an unprivileged user without capabilities (setresuid, capset)
 *   no new privileges prctl(2) PR_SET_NO_NEW_PRIVS: set-uid programs and file capabilities give nothing
 *   Landlock          files: read what the resolver needs, write what was asked for; connect: the given TCP
 * ports (landlock(7); files from Linux 5.13, connects from 6.7) seccomp           an allow-list of system
 * calls (seccomp(2)); others fail with EPERM
 *
 * io_uring's own restrictions are ring's business (ring_open()), since the rings are its own; new rings
 * cannot be made afterwards. What is left to code that took over the collector: TCP to the given ports, UDP
 * (nothing restricts it, and DNS needs it), and the files above.
 */
#ifndef CONFINE_CONFINE_H
#define CONFINE_CONFINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFINE_ERROR_BYTES_MAX 1024 /* a sentence with a path in it */
#define CONFINE_PATHS_MAX 16	     /* folders of the output; the resolver's are not counted */
#define CONFINE_PORTS_MAX 8	     /* the servers'; DNS over TCP is always added */

struct confine_options {
	const char *user; /* to become, when root: name or number; NULL: SUDO_UID's, else "nobody" */
	const char *write_folders[CONFINE_PATHS_MAX]; /* may be written below; NULL ends */
	const char *read_paths[CONFINE_PATHS_MAX]; /* may be read (below), beside what the resolver needs */
	uint16_t connect_ports[CONFINE_PORTS_MAX]; /* 0 ends */
	int ring_threads; /* 1: rings that are there are still to be taken over by threads */
	int kernel_tls;	  /* 1: sockets may be told keys, so that the kernel opens what they receive */
};

/* What was applied; texts are static or inside. */
struct confine_report {
	int applied;   /* confine_enter() was called and succeeded */
	char user[64]; /* that we run as now */
	int user_changed;
	int no_new_privileges;
	int landlock_abi; /* 0: the kernel has none */
	int landlock_files, landlock_connect;
	int seccomp;
	char note[256]; /* what could not be applied and why; "" when everything was */
};

/* All of it, as far as this kernel has it. A part that the kernel lacks is noted; a part that should work and
 * fails is an error: 0, or -1 with a sentence, and then the process must end, since it is half confined. Call
 * after everything that needs rights was opened (rings, too), and before threads are started. Afterwards
 * PR_SET_PDEATHSIG must be set again, if wanted: the kernel forgets it when the user changes. */
int confine_enter(const struct confine_options *options, struct confine_report *ret_report,
		  char error[static CONFINE_ERROR_BYTES_MAX]);

/* Who confine_enter() would run as, so that folders for output can be given to him. 0, or -1 with a sentence.
 */
int confine_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid,
		      char error[static CONFINE_ERROR_BYTES_MAX]);

/* What confine_enter() could do here, without doing it (for doctor). */
void confine_probe(struct confine_report *ret_report);

#endif
