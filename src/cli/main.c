/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof and akamai-direct-prof: one executable, told apart by its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/compare_command.h"
#include "cli/doctor.h"
#include "cli/experiment_command.h"
#include "cli/flags.h"
#include "cli/inflate_command.h"
#include "cli/record_command.h"
#include "cli/report_command.h"
#include "cli/run.h"
#include "cli/simulate.h"

extern char **environ;

static const char *const commands[] = { "compare",  "experiment", "inflate", "record", "report",
					"simulate", "doctor",	  "help",    "version" };

static void main_help(void)
{
	puts("akamai-prof - collect security-event feeds, and see where the time goes\n"
	     "\n"
	     "usage: akamai-prof [-prog FILE] [flags]    collect with an interpreted program (akamai-prof "
	     "-help)\n"
	     "       akamai-direct-prof [flags]          collect with the native one\n"
	     "       akamai-prof COMMAND [flags]\n"
	     "\n"
	     "  record     profile any process or command: CPU, off-CPU, heap\n"
	     "  report     draw a run's report and flame graphs again\n"
	     "  compare    runs side by side: throughput, CPU, memory, and what is more than noise\n"
	     "  experiment interpreted and direct, full and reduced parsing, side by side, measured here\n"
	     "  inflate    decode gzip files, see whether they are whole, or how fast each decoder is on "
	     "them\n"
	     "  simulate   a local SIEM API over TLS: signatures checked, deterministic events, faults on "
	     "demand\n"
	     "  doctor     what this host can and cannot do, and what to do about it\n"
	     "  version    the version\n"
	     "\n"
	     "akamai-prof COMMAND -help tells more.");
}

/* Without arguments it is a run that variables describe, as the Go original was called; or somebody who
 * looks. */
static int variables_are_set(void)
{
	for (char **at = environ; *at; at++)
		if (strncmp(*at, "YAEGI_HTTP_", 11) == 0 || strncmp(*at, "AKAMAI_", 7) == 0)
			return 1;
	return 0;
}

static int main_command(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "help";
	if (strcmp(command, "-h") == 0 || strcmp(command, "--h") == 0)
		command = "help";
	if (argc > 1 ? command[0] == '-' && command[1] : variables_are_set())
		return run_command(argc, argv, 1);
	if (strcmp(command, "simulate") == 0)
		return simulate(argv + 1);
	if (strcmp(command, "record") == 0)
		return record_command(argc - 1, argv + 1);
	if (strcmp(command, "experiment") == 0)
		return experiment_command(argc - 1, argv + 1);
	if (strcmp(command, "inflate") == 0)
		return inflate_command(argc - 1, argv + 1);
	if (strcmp(command, "compare") == 0)
		return compare_command(argc - 1, argv + 1);
	if (strcmp(command, "report") == 0)
		return report_command(argc - 1, argv + 1);
	if (strcmp(command, "doctor") == 0)
		return doctor(argc - 1, argv + 1);
	if (strcmp(command, "version") == 0) {
		puts("akamai-prof " AKAMAI_PROF_VERSION);
		return 0;
	}
	if (strcmp(command, "help") == 0) {
		main_help();
		return argc > 1 ? 0 : 2;
	}
	const char *near = nearest_name(command, commands, sizeof commands / sizeof *commands);
	if (near)
		fprintf(stderr, "akamai-prof: there is no command \"%s\"; did you mean %s?\n", argv[1], near);
	else
		fprintf(stderr, "akamai-prof: there is no command \"%s\"; akamai-prof help lists them\n",
			argv[1]);
	return 2;
}

/* A standard descriptor that the caller closed would go to the next file or socket, and messages into it.
 * What takes its place cannot be written (or read): a use of it is an error, not a loss. */
static void standard_descriptors_keep(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	standard_descriptors_keep();
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	name = name ? name + 1 : argc > 0 ? argv[0] : "";
	if (strcmp(name, "akamai-direct-prof") == 0)
		return run_command(argc, argv, 0);
	return main_command(argc, argv);
}
