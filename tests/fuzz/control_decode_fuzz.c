/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a document: control_decode must make the table that the slow reference parser makes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "diff/control_decode_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct control_decoder *decoder;
	if (!decoder && !(decoder = control_decoder_create()))
		abort();
	const char *what = table_disagrees(decoder, data, bytes);
	if (what) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
	return 0;
}
