/* SPDX-License-Identifier: Apache-2.0
 *
 * simulate: becomes the simulator, a process of its own, since it links OpenSSL where the collector links
 * BoringSSL. Internal to cli.
 */
#ifndef CLI_SIMULATE_H
#define CLI_SIMULATE_H

/* Executes it with argv[1..]. Returns only when it cannot, after having said so: the exit status. */
int simulate(char **argv);

#endif
