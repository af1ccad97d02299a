/* SPDX-License-Identifier: Apache-2.0
 *
 * base: durations as Go reads and writes them, the arena, the fault table.
 */
#include "base/arena.h"
#include "base/duration.h"
#include "base/fault.h"
#include "base/random.h"

#include "test.h"

static void duration_reads_go_syntax(void)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "90s", INT64_C(90000000000) },
		{ "1h30m", INT64_C(5400000000000) },
		{ "1.5h", INT64_C(5400000000000) },
		{ "250ms", 250000000 },
		{ "10us", 10000 },
		{ "3ns", 3 },
		{ "-2m", INT64_C(-120000000000) },
		{ ".5s", 500000000 },
		{ "2m0.001s", INT64_C(120001000000) },
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		int64_t ns = -1;
		if (duration_parse(good[i].text, &ns) != 0)
			FAIL("\"%s\" is refused", good[i].text);
		EQ(ns, good[i].ns);
	}
}

static void duration_refuses_the_rest(void)
{
	static const char *const bad[] = { "",
					   "5",
					   "s",
					   ".s",
					   "1x",
					   "1 s",
					   "1s ",
					   "--1s",
					   "1h-30m",
					   "9999999999h",
					   "9223372036854775808ns",
					   "+",
					   "1.s.",
					   "1e3s" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t ns = 77;
		if (duration_parse(bad[i], &ns) == 0)
			FAIL("\"%s\" is accepted", bad[i]);
		EQ(ns, 77);
	}
}

static void duration_writes_go_syntax(void)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0s" },
		{ 1, "1ns" },
		{ 1100, "1.1\xc2\xb5s" },
		{ 2200000, "2.2ms" },
		{ INT64_C(3300000000), "3.3s" },
		{ INT64_C(120001000000), "2m0.001s" },
		{ INT64_C(305000000000), "5m5s" },
		{ INT64_C(3661000000000), "1h1m1s" },
		{ INT64_C(3600000000000), "1h0m0s" },
		{ INT64_C(-1500000000), "-1.5s" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[DURATION_TEXT_BYTES_MAX];
		EQ_TEXT(duration_format(cases[i].ns, text), cases[i].text);
	}
}

static void duration_round_trips(void)
{
	for (int64_t ns = 1; ns > 0 && ns < INT64_C(1) << 60; ns = ns * 3 + 7) {
		char text[DURATION_TEXT_BYTES_MAX];
		int64_t again = 0;
		EQ(duration_parse(duration_format(ns, text), &again), 0);
		EQ(again, ns);
	}
}

static void arena_hands_out_aligned_zeroed_memory(void)
{
	struct arena arena = { 0 };
	EQ(arena_open(&arena, 1 << 20), 0);
	uint8_t *first = arena_take(&arena, 3, 1);
	uint8_t *second = arena_take(&arena, 100, 64);
	uint8_t *page = arena_take(&arena, 1, 4096);
	EQ((uintptr_t)second % 64, 0);
	EQ((uintptr_t)page % 4096, 0);
	GE(second - first, 3);
	for (int i = 0; i < 100; i++)
		EQ(second[i], 0);
	arena_finish(&arena);
	arena_finish(&arena);
}

static void faults_have_names_sentences_and_classes(void)
{
	EQ_TEXT(fault_name(FAULT_INFLATE_CHECKSUM), "INFLATE_CHECKSUM");
	for (int i = 0; i < FAULT_COUNT; i++)
		GT(strlen(fault_sentence((enum fault)i)), 5);
	EQ(fault_class_of(FAULT_NONE), FAULT_CLASS_NONE);
	EQ(fault_class_of(FAULT_PAGE_TOTAL), FAULT_CLASS_RESTART);
}

static void random_below_stays_below(void)
{
	for (int i = 0; i < 1000; i++)
		LT(random_below(7), 7);
}

TEST_MAIN(T(duration_reads_go_syntax), T(duration_refuses_the_rest), T(duration_writes_go_syntax),
	  T(duration_round_trips), T(arena_hands_out_aligned_zeroed_memory),
	  T(faults_have_names_sentences_and_classes), T(random_below_stays_below))
