/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel against a loop around the C library's memchr(), over pages of lines of every mean length.
 */
#include "scan/scan.h"
#include "test.h"

enum { DATA_BYTES = 1 << 18, POSITIONS_MAX = DATA_BYTES };

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t memchr_line_ends(const uint8_t *bytes, size_t count, uint32_t *positions)
{
	size_t found = 0;
	const uint8_t *end = bytes + count;
	for (const uint8_t *at = bytes; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
		positions[found++] = (uint32_t)(at - bytes);
	return found;
}

static void agree_on(const uint8_t *bytes, size_t count)
{
	static uint32_t want[POSITIONS_MAX], got[POSITIONS_MAX];
	size_t want_count = memchr_line_ends(bytes, count, want);
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if (!(*row)->supported())
			continue;
		size_t scanned = 0;
		size_t got_count = (*row)->line_ends(span_of(bytes, count), got, POSITIONS_MAX, &scanned);
		EQ(scanned, count);
		EQ(got_count, want_count);
		EQ(memcmp(got, want, want_count * sizeof *want), 0);
	}
}

static void lines_of_every_length(void)
{
	static uint8_t bytes[DATA_BYTES];
	uint64_t state = 5;
	for (size_t mean_bytes = 1; mean_bytes < 20000; mean_bytes = mean_bytes * 7 / 4 + 1) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			uint64_t r = next_random(&state);
			bytes[i] = r % mean_bytes == 0 ? '\n' : (uint8_t)(r >> 40);
		}
		for (size_t cut = 0; cut < 70; cut += 23)
			agree_on(bytes + cut, sizeof bytes - 2 * cut);
	}
}

static void all_line_ends_and_none(void)
{
	static uint8_t bytes[DATA_BYTES - 5];
	memset(bytes, '\n', sizeof bytes);
	agree_on(bytes, sizeof bytes);
	memset(bytes, '\r', sizeof bytes);
	agree_on(bytes, sizeof bytes);
}

TEST_MAIN(T(lines_of_every_length), T(all_line_ends_and_none))
