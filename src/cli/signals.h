/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: how a command that runs for a while is told to end. Internal to cli.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

/* SIGINT and SIGTERM, and `also` unless that is 0, as a descriptor that never blocks. A reader that is gone
 * and a file that may not grow are errors of write(2) from here on. Whoever starts a process gives it its own
 * mask and actions back. */
static inline int signals_open(int also)
{
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	if (also)
		sigaddset(&wanted, also);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

#endif
