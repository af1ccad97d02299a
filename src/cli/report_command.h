/* SPDX-License-Identifier: Apache-2.0
 *
 * akamai-prof report DIR: draws the pictures of a run again, from what its folder holds.
 */
#ifndef CLI_REPORT_COMMAND_H
#define CLI_REPORT_COMMAND_H

/* Returns the exit status. argv[0] is "report". */
int report_command(int argc, char **argv);

#endif
