/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a context line, an event and a problem document: control must agree with the slow reference
 * parser.
 */
#include <stdio.h>
#include <stdlib.h>

#include "diff/control_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct control *control;
	if (!control && !(control = control_create()))
		abort();
	const char *what = reference_disagrees(control, data, bytes);
	if (what) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
	return 0;
}
