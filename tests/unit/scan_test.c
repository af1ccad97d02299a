/* SPDX-License-Identifier: Apache-2.0
 *
 * Every kernel this CPU can run against the scalar one: all lengths and alignments between unmapped pages,
 * dense and sparse data, positions running out.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "scan/scan.h"
#include "test.h"

enum { LENGTH_MAX = 600, GUARDED_BYTES = 4096, UNTOUCHED = 0xdeadbeef };

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Readable bytes with an unmapped page before and behind. */
static uint8_t *guarded_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	EQ(GUARDED_BYTES % page, 0);
	uint8_t *map = mmap(NULL, GUARDED_BYTES + 2 * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EQ(map == MAP_FAILED, 0);
	EQ(mprotect(map, page, PROT_NONE), 0);
	EQ(mprotect(map + page + GUARDED_BYTES, page, PROT_NONE), 0);
	return map + page;
}

static void guarded_free(uint8_t *bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	EQ(munmap(bytes - page, GUARDED_BYTES + 2 * page), 0);
}

/* The kernel answers what the scalar one does, and writes nothing behind positions_max. */
static void same_as_scalar(const struct scan_kernel *kernel, struct span bytes, size_t positions_max)
{
	static uint32_t want[GUARDED_BYTES + 1], got[GUARDED_BYTES + 1];
	size_t want_scanned = SIZE_MAX, got_scanned = SIZE_MAX;
	const struct scan_kernel *scalar = scan_kernel_pick("scalar");

	got[positions_max] = UNTOUCHED;
	size_t want_count = scalar->line_ends(bytes, want, positions_max, &want_scanned);
	size_t got_count = kernel->line_ends(bytes, got, positions_max, &got_scanned);
	EQ(got_count, want_count);
	EQ(got_scanned, want_scanned);
	EQ(memcmp(got, want, want_count * sizeof *want), 0);
	EQ(got[positions_max], UNTOUCHED);
}

static void fill(uint8_t *bytes, size_t count, unsigned density, uint64_t *state)
{
	/* Neighbours of '\n' and bytes that differ from it in one bit catch a wrong comparison. */
	static const uint8_t others[] = { '\n' - 1, '\n' + 1, '\n' ^ 0x80, '\n' ^ 2, 0, 0xff, 'a', '\r' };
	for (size_t i = 0; i < count; i++) {
		uint64_t r = next_random(state);
		bytes[i] = density && r % density == 0 ? '\n' : others[(r >> 32) % sizeof others];
	}
}

static void scalar_finds_line_ends(void)
{
	uint32_t positions[8];
	size_t scanned = 0;
	const struct scan_kernel *scalar = scan_kernel_pick("scalar");
	EQ(scalar->line_ends(span_of_text("\nab\n\nc"), positions, 8, &scanned), 3);
	EQ(positions[0], 0);
	EQ(positions[1], 3);
	EQ(positions[2], 4);
	EQ(scanned, 6);
	EQ(scalar->line_ends(span_of_text("\nab\n\nc"), positions, 2, &scanned), 2);
	EQ(scanned, 4);
	EQ(scalar->line_ends(span_of_text("ab"), positions, 0, &scanned), 0);
	EQ(scanned, 0);
	EQ(scalar->line_ends(span_of(NULL, 0), positions, 8, &scanned), 0);
	EQ(scanned, 0);
}

static void every_length_at_the_guard_pages(void)
{
	static const unsigned densities[] = { 0, 1, 2, 7, 60, 300 };
	uint8_t *pages = guarded_pages();
	uint64_t state = 1;
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if (!(*row)->supported())
			continue;
		for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
			fill(pages, GUARDED_BYTES, densities[d], &state);
			for (size_t length = 0; length <= LENGTH_MAX; length++) {
				same_as_scalar(*row, span_of(pages, length), LENGTH_MAX);
				same_as_scalar(*row, span_of(pages + GUARDED_BYTES - length, length),
					       LENGTH_MAX);
			}
		}
	}
	guarded_free(pages);
}

/* One line end at each place of a span of each length: no gap or overlap where blocks, words and tail meet.
 */
static void one_line_end_anywhere(void)
{
	uint8_t *pages = guarded_pages();
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if (!(*row)->supported())
			continue;
		for (size_t length = 1; length <= LENGTH_MAX; length += length < 140 ? 1 : 23) {
			uint8_t *bytes = pages + GUARDED_BYTES - length;
			memset(pages, '\n', GUARDED_BYTES); /* what lies before the span must not be seen */
			memset(bytes, 'x', length);
			for (size_t at = 0; at < length; at++) {
				uint32_t positions[4];
				size_t scanned = 0;
				bytes[at] = '\n';
				EQ((*row)->line_ends(span_of(bytes, length), positions, 4, &scanned), 1);
				EQ(positions[0], at);
				EQ(scanned, length);
				bytes[at] = 'x';
			}
		}
	}
	guarded_free(pages);
}

static void every_alignment(void)
{
	static uint8_t bytes[1024];
	uint64_t state = 2;
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if (!(*row)->supported())
			continue;
		for (size_t shift = 0; shift < 64; shift++) {
			fill(bytes, sizeof bytes, shift % 2 ? 5 : 200, &state);
			for (size_t length = 0; length <= LENGTH_MAX; length += 13)
				same_as_scalar(*row, span_of(bytes + shift, length), LENGTH_MAX);
		}
	}
}

static void positions_run_out(void)
{
	static const unsigned densities[] = { 1, 3, 40, 400 };
	static uint8_t bytes[1500];
	uint64_t state = 3;
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if (!(*row)->supported())
			continue;
		for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
			fill(bytes, sizeof bytes, densities[d], &state);
			for (size_t max = 0; max < 300; max++)
				same_as_scalar(*row, span_of(bytes, sizeof bytes), max);
		}
	}
}

/* A caller that resumes at *ret_scanned sees each line end once. */
static void resumes_where_it_stopped(void)
{
	static uint8_t bytes[2000];
	static uint32_t whole[2000];
	uint64_t state = 4;
	fill(bytes, sizeof bytes, 9, &state);
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		if (!(*row)->supported())
			continue;
		size_t scanned = 0;
		size_t want = (*row)->line_ends(span_of(bytes, sizeof bytes), whole, 2000, &scanned);
		for (size_t max = 1; max < 80; max++) {
			size_t at = 0, found = 0;
			while (at < sizeof bytes) {
				uint32_t piece[80];
				size_t count = (*row)->line_ends(span_of(bytes + at, sizeof bytes - at),
								 piece, max, &scanned);
				for (size_t i = 0; i < count; i++)
					EQ(at + piece[i], whole[found + i]);
				found += count;
				GT(scanned, 0);
				at += scanned;
			}
			EQ(at, sizeof bytes);
			EQ(found, want);
		}
	}
}

static void picks_the_best_or_the_named(void)
{
	const struct scan_kernel *best = scan_kernel_pick(NULL);
	NE(best == NULL, 1);
	for (const struct scan_kernel *const *row = scan_kernels; (*row)->name; row++) {
		EQ(scan_kernel_pick((*row)->name) == ((*row)->supported() ? *row : NULL), 1);
		printf("# %s: %s\n", (*row)->name, (*row)->supported() ? "runs here" : "not on this CPU");
	}
	for (const struct scan_kernel *const *row = scan_kernels; *row != best; row++)
		EQ((*row)->supported(), 0);
	EQ(scan_kernel_pick("mmx") == NULL, 1);
	EQ(scan_kernel_pick("") == NULL, 1);
}

TEST_MAIN(T(scalar_finds_line_ends), T(every_length_at_the_guard_pages), T(one_line_end_anywhere),
	  T(every_alignment), T(positions_run_out), T(resumes_where_it_stopped),
	  T(picks_the_best_or_the_named))
