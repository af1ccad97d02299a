/* SPDX-License-Identifier: Apache-2.0
 *
 * experiment: runs both runners at both parsing levels with one or more streams, again and again in turn, and
 * puts the runs side by side. Internal to cli.
 */
#ifndef CLI_EXPERIMENT_COMMAND_H
#define CLI_EXPERIMENT_COMMAND_H

/* Returns the exit status: 0 all runs went well, 1 one did not or a signal came, 2 wrong usage. */
int experiment_command(int argc, char **argv);

#endif
