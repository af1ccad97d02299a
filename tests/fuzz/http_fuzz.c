/* SPDX-License-Identifier: Apache-2.0
 *
 * http: whatever the bytes are, whole, byte by byte and in random pieces they must give the same verdict, the
 * same fields and the same body; and the promises of http.h hold.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/http_outcome.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must_equal(const struct outcome *whole, struct outcome other, const char *how)
{
	const char *difference = outcome_difference(whole, &other);
	if (difference) {
		fprintf(stderr, "whole against %s: %s\n", how, difference);
		abort();
	}
	free(other.body);
}

/* What must hold of any outcome. */
static void must_be_sane(const struct outcome *whole, size_t bytes)
{
	if (whole->consumed_bytes > bytes || whole->body_bytes + whole->head_bytes > whole->consumed_bytes)
		abort();
	if (whole->offset > bytes || whole->head_bytes > HTTP_HEAD_BYTES_MAX * (HTTP_INTERIM_COUNT_MAX + 1))
		abort();
	if (whole->head_done && (whole->status < 200 || whole->status > 999))
		abort();
	if (whole->step == STEP_DONE && (!whole->head_done || whole->fault_ended != FAULT_NONE))
		abort();
	/* A body of given length that is accepted has that length. */
	if (whole->fault_ended == FAULT_NONE && whole->content_length >= 0 && whole->status != 204 &&
	    whole->status != 304 && whole->body_bytes != (uint64_t)whole->content_length)
		abort();
	for (const char *text = whole->location; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < bytes; i++)
		seed = (seed ^ data[i]) * UINT64_C(0x100000001b3);
	struct outcome whole = outcome_of(data, bytes, pieces_whole, NULL);
	must_be_sane(&whole, bytes);
	must_equal(&whole, outcome_of(data, bytes, pieces_random, &seed), "random pieces");
	must_equal(&whole, outcome_of(data, bytes, pieces_random, &seed), "other random pieces");
	if (bytes <= 4096)
		must_equal(&whole, outcome_of(data, bytes, pieces_bytes, NULL), "bytes");
	free(whole.body);
	return 0;
}
