/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor: says what this host can and cannot do for the collector and the profiler, and what to do about it.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stddef.h>

#define DOCTOR_FINDINGS_MAX 48	   /* there are about twenty */
#define DOCTOR_TEXT_BYTES_MAX 1024 /* an error of the profiler is the longest */

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_DEGRADED, /* works, but worse */
	DOCTOR_MISSING,	 /* a part does not work here */
};

struct doctor_finding {
	enum doctor_verdict verdict;
	char what[32];
	char text[DOCTOR_TEXT_BYTES_MAX];
};

struct doctor {
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
	size_t count;
};

/* Returns the exit status: 0 when it could look, whatever it found; 2 on wrong usage. */
int doctor(int argc, char **argv);

const char *doctor_verdict_name(enum doctor_verdict verdict);
/* record_json.c: {"version": 1, "findings": [{"what", "verdict", "text"}]}, on the heap. */
char *doctor_json(const struct doctor *doctor);

#endif
