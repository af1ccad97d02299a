/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses responses for http_diff.py. Standard input: any number of [size, seed: 32 bits, little-endian]
 * [size bytes: everything a connection delivered before it ended]. Each is fed in pieces drawn from its seed,
 * 0 for whole. Standard output: one line of JSON each.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/fault.h"
#include "unit/http_outcome.h"

enum { INPUT_BYTES_MAX = 1 << 20 };

static void print_outcome(const struct outcome *outcome)
{
	/* No field needs escaping but these: hexadecimal is simplest. */
	const struct span texts[] = { span_of_text(outcome->content_type), span_of_text(outcome->location),
				      span_of(outcome->body, outcome->body_bytes),
				      span_of(outcome->lines, outcome->lines_bytes) };
	static const char *const names[] = { "content_type", "location", "body", "lines" };
	printf("{\"fault\": \"%s\", \"head_done\": %d, \"status\": %d, \"minor\": %d, \"keep_alive\": %d, "
	       "\"chunked\": %d, \"content_length\": %" PRId64 ", \"date\": %" PRId64
	       ", \"retry_after\": %" PRId64 ", \"gzip\": %d, \"consumed\": %" PRIu64
	       ", \"offset\": %" PRIu64,
	       fault_name(outcome->fault_ended), outcome->head_done, outcome->status, outcome->minor_version,
	       outcome->keep_alive, outcome->chunked, outcome->content_length, outcome->date_unix,
	       outcome->retry_after_seconds, outcome->encoding == HTTP_ENCODING_GZIP, outcome->consumed_bytes,
	       outcome->offset);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		printf(", \"%s\": \"", names[i]);
		for (size_t j = 0; j < texts[i].bytes; j++)
			printf("%02x", texts[i].base[j]);
		printf("\"");
	}
	printf("}\n");
}

static uint32_t little_endian_32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

int main(void)
{
	uint8_t header[8];
	uint8_t *data = malloc(INPUT_BYTES_MAX);
	while (fread(header, sizeof header, 1, stdin) == 1) {
		uint32_t bytes = little_endian_32(header);
		uint64_t seed = little_endian_32(header + 4);
		if (bytes > INPUT_BYTES_MAX || fread(data, 1, bytes, stdin) != bytes) {
			fprintf(stderr, "http_dump: malformed input\n");
			return 2;
		}
		struct outcome outcome = outcome_of(data, bytes, seed ? pieces_random : pieces_whole, &seed);
		if (outcome.broken_rule) {
			fprintf(stderr, "http_dump: broken rule: %s\n", outcome.broken_rule);
			return 1;
		}
		print_outcome(&outcome);
		free(outcome.body);
	}
	free(data);
	return 0;
}
