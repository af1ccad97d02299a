/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof compare: runs side by side.
 */
#ifndef CLI_COMPARE_COMMAND_H
#define CLI_COMPARE_COMMAND_H

/* Returns the exit status. argv[0] is "compare". */
int compare_command(int argc, char **argv);

#endif
