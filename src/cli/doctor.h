/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor: says what this host can and cannot do for the collector, and what to do about it.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

/* Returns the exit status: 0 when the collector can run here (with fallbacks), 2 on wrong usage. */
int doctor(int argc, char **argv);

#endif
