/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/simulate.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* It lies beside this program, or in the libexec folder of an installation. */
int simulate(char **argv)
{
	char self[PATH_MAX];
	char path[PATH_MAX + 64];
	ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
	if (bytes < 0)
		bytes = 0;
	self[bytes] = 0;
	char *folder = dirname(self);
	argv[0] = (char[]){ "akamai-prof simulate" };
	snprintf(path, sizeof path, "%s/akamai-prof-simulator", folder);
	execv(path, argv);
	int error = errno;
	if (error == ENOENT) {
		snprintf(path, sizeof path, "%s/../libexec/akamai-prof/akamai-prof-simulator", folder);
		execv(path, argv);
		error = errno;
	}
	fprintf(stderr, "akamai-prof: cannot start the simulator %s: %s\n", path, strerror(error));
	return 1;
}
