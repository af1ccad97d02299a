/* SPDX-License-Identifier: Apache-2.0
 *
 * page's window under an oracle: at each room a decoder finds the bytes before it as they were, back to where
 * it is told they begin; all of the room is overwritten each time, as a decoder may; and every event comes
 * out whole, once, in order, with its place in the page. Texts are made of short lines, long lines, blank
 * lines and lines around 32 KB, in pieces of any size.
 */
#include <limits.h>
#include <zlib.h>

#include "control/control.h"
#include "flow/page.h"
#include "inflate/inflate.h"
#include "scan/scan.h"
#include "sink/sink.h"

#include "test.h"

enum { TEXT_BYTES = 3 << 20, ROUNDS = 30 };

/* What is fed and what of it must still be shown. */
struct oracle {
	uint64_t random;
	uint8_t *text;
	size_t text_bytes;
	size_t base;	 /* where the page begins in it */
	size_t shown_at; /* the last line that was shown */
	size_t shown_to; /* nothing before this is shown again */
	uint64_t shown;
	size_t history_bytes_least; /* of those asked for when there was more */
	int lines_are_long, blanks_are_few;
	uint8_t *room_at;
	unsigned wraps, wraps_max; /* then the page is cut */
};

struct rig {
	struct oracle oracle;
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct control *control;
	struct stage_slot stage;
	struct page *page;
};

static size_t below(struct oracle *oracle, size_t bound)
{
	oracle->random = oracle->random * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(oracle->random >> 33) % bound;
}

/* Blanks that lie between the lines shown are no loss; anything else is. */
static void only_line_ends(const uint8_t *text, size_t from, size_t to)
{
	for (; from < to; from++)
		EQ(text[from] == '\n' || text[from] == '\r', 1);
}

static enum fault see(void *owner, struct span line, uint64_t offset)
{
	struct oracle *oracle = owner;
	offset += oracle->base;
	LE(offset + line.bytes, oracle->text_bytes);
	only_line_ends(oracle->text, oracle->shown_to, (size_t)offset);
	EQ(memcmp(oracle->text + offset, line.base, line.bytes), 0);
	oracle->shown_at = (size_t)offset;
	oracle->shown_to = (size_t)offset + line.bytes;
	oracle->shown++;
	return FAULT_NONE;
}

static void rig_open(struct rig *rig, uint64_t seed)
{
	struct ring_options ring_options = { .engine = RING_ENGINE_POLL, .operations_max = 16 };
	struct ring_report report;
	struct sink_options sink_options = { .kind = SINK_NULL };
	char error[SINK_ERROR_BYTES_MAX];
	*rig = (struct rig){
		.oracle = { .random = seed, .history_bytes_least = SIZE_MAX, .wraps_max = UINT_MAX }
	};
	EQ(arena_open(&rig->arena, page_bytes_needed() + (8 << 20)), 0);
	EQ(ring_open(&ring_options, &rig->arena, &rig->ring, &report), 0);
	EQ(sink_open(&sink_options, rig->ring, &rig->arena, &rig->sink, error), FAULT_NONE);
	rig->control = control_create();
	struct page_tools tools = {
		.kernel = scan_kernel_pick(NULL),
		.control = rig->control,
		.sink = rig->sink,
		.stage = &rig->stage,
		.observer = { .owner = &rig->oracle, .event = see },
	};
	rig->page = page_create(&tools, &rig->arena);
	rig->oracle.text = malloc(TEXT_BYTES);
}

static void rig_close(struct rig *rig)
{
	ring_finish(rig->ring);
	sink_close(rig->sink);
	control_destroy(rig->control);
	arena_finish(&rig->arena);
	free(rig->oracle.text);
}

static size_t line_bytes(struct oracle *oracle)
{
	if (oracle->lines_are_long && below(oracle, 2))
		return below(oracle, 2 * INFLATE_HISTORY_BYTES);
	switch (below(oracle, 200)) {
	case 0:
		return below(oracle, 3 * PAGE_WINDOW_BYTES);
	case 1:
	case 2:
		return INFLATE_HISTORY_BYTES - 4 + below(oracle, 8);
	default:
		return 20 + (below(oracle, 4) ? below(oracle, 300) : below(oracle, 5000));
	}
}

static void add(struct oracle *oracle, int byte, size_t bytes)
{
	for (; bytes && oracle->text_bytes < TEXT_BYTES; bytes--)
		oracle->text[oracle->text_bytes++] = (uint8_t)(byte ? byte : '!' + (int)below(oracle, 90));
}

/* Some 3 MB, each line of other bytes so that no piece of it is mistaken for another. */
static void make_text(struct oracle *oracle)
{
	oracle->text_bytes = 0;
	while (oracle->text_bytes < TEXT_BYTES) {
		add(oracle, 0, line_bytes(oracle));
		if (below(oracle, 9) == 0)
			add(oracle, '\r', 1);
		size_t blanks = below(oracle, 60) + (size_t)oracle->blanks_are_few;
		add(oracle, '\n', blanks == 0 ? below(oracle, 2 * PAGE_WINDOW_BYTES) : 1 + blanks / 50);
	}
}

static uint64_t lines_in(const uint8_t *text, size_t bytes)
{
	uint64_t lines = 0;
	for (size_t at = 0; at < bytes;) {
		const uint8_t *found = memchr(text + at, '\n', bytes - at);
		size_t end = found ? (size_t)(found - text) : bytes;
		size_t content = end - at;
		if (content && text[end - 1] == '\r')
			content--;
		lines += content > 0;
		at = end + 1;
	}
	return lines;
}

/* What a decoder relies on, of a page that has been fed so many bytes of the text. */
static struct cursor_out room_of(struct rig *rig, size_t fed)
{
	struct oracle *oracle = &rig->oracle;
	struct cursor_out room = page_room(rig->page);
	GT(cursor_out_bytes(&room), INFLATE_ROOM_BYTES);
	size_t history_bytes = (size_t)(room.next - page_history(rig->page));
	GE(history_bytes, fed < INFLATE_HISTORY_BYTES ? fed : INFLATE_HISTORY_BYTES);
	LE(history_bytes, fed);
	const uint8_t *history = oracle->text + oracle->base + fed - history_bytes;
	EQ(memcmp(page_history(rig->page), history, history_bytes), 0);
	if (history_bytes < fed && history_bytes < oracle->history_bytes_least)
		oracle->history_bytes_least = history_bytes;
	oracle->wraps += fed && room.next < oracle->room_at;
	oracle->room_at = room.next;
	return room;
}

/* How much a decoder makes of its room at once: a little, a piece, nearly all, or all. */
static size_t piece_bytes(struct oracle *oracle, size_t room_bytes)
{
	switch (below(oracle, 4)) {
	case 0:
		return 1 + below(oracle, 100);
	case 1:
		return 1 + below(oracle, 65536);
	case 2:
		return room_bytes - below(oracle, INFLATE_ROOM_BYTES);
	default:
		return room_bytes;
	}
}

static void feed(struct rig *rig, size_t bytes)
{
	for (size_t fed = 0; fed < bytes;) {
		struct cursor_out room = room_of(rig, fed);
		if (rig->oracle.wraps >= rig->oracle.wraps_max)
			return;
		size_t room_bytes = cursor_out_bytes(&room);
		size_t take = piece_bytes(&rig->oracle, room_bytes);
		if (take > bytes - fed)
			take = bytes - fed;
		LE(take, room_bytes);
		memset(room.next, '\n', room_bytes);
		memcpy(room.next, rig->oracle.text + rig->oracle.base + fed, take);
		EQ(page_filled(rig->page, take), STEP_HUNGRY);
		fed += take;
		EQ(page_plain_bytes(rig->page), fed);
	}
}

static void everything_survives_the_window(void)
{
	size_t least = SIZE_MAX;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct rig rig;
		rig_open(&rig, seed);
		struct oracle *oracle = &rig.oracle;
		make_text(oracle);
		uint64_t lines = lines_in(oracle->text, oracle->text_bytes);
		page_begin(rig.page, PAGE_SKIP_NONE, PAGE_SHOW | PAGE_TAIL_IS_EVENT);
		feed(&rig, oracle->text_bytes);
		EQ(page_end(rig.page), STEP_DONE);
		EQ(oracle->shown, lines);
		EQ(page_event_lines(rig.page), lines);
		only_line_ends(oracle->text, oracle->shown_to, oracle->text_bytes);
		if (oracle->history_bytes_least < least)
			least = oracle->history_bytes_least;
		rig_close(&rig);
	}
	/* Else nothing here shows that no more than that is kept. */
	EQ(least, INFLATE_HISTORY_BYTES);
}

/* The same page again, after it was cut just when the window was used again: the last line handed on is found
 * wherever it was moved to. */
static void repeats_are_recognised(enum page_skip skip)
{
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct rig rig;
		rig_open(&rig, seed);
		struct oracle *oracle = &rig.oracle;
		oracle->lines_are_long = seed % 2;
		make_text(oracle);
		uint64_t lines = lines_in(oracle->text, oracle->text_bytes);
		for (int cut = 0; cut < 2; cut++) {
			page_begin(rig.page, cut ? skip : PAGE_SKIP_NONE, PAGE_SHOW);
			oracle->wraps_max = oracle->wraps + 1 + (unsigned)below(oracle, 8);
			feed(&rig, oracle->text_bytes);
			page_settle(rig.page, 0);
		}
		oracle->wraps_max = UINT_MAX;
		page_begin(rig.page, skip, PAGE_SHOW | PAGE_TAIL_IS_EVENT);
		feed(&rig, oracle->text_bytes);
		EQ(page_end(rig.page), STEP_DONE);
		EQ(page_skip_state(rig.page), PAGE_SKIP_SETTLED);
		EQ(oracle->shown, lines);
		rig_close(&rig);
	}
}

static void repeats_are_recognised_by_position(void)
{
	repeats_are_recognised(PAGE_SKIP_POSITION);
}

static void repeats_are_recognised_by_search(void)
{
	repeats_are_recognised(PAGE_SKIP_SEARCH);
}

/* A page of which some of the text has come, and whose checksum from `offset` on has proven nothing. */
static void feed_in_doubt(struct rig *rig, size_t bytes, size_t offset)
{
	const uint8_t *text = rig->oracle.text + rig->oracle.base;
	feed(rig, bytes);
	page_doubt(rig->page, offset, (uint32_t)crc32(0, text + offset, (uInt)(bytes - offset)));
	page_settle(rig->page, 0);
}

/* Another byte, in a line that was handed on; the last of those is compared in any case. */
static void change(struct oracle *oracle, size_t from)
{
	size_t at;
	do {
		at = from + below(oracle, oracle->shown_at - from);
	} while (oracle->text[at] == '\n' || oracle->text[at] == '\r');
	oracle->text[at] ^= 1;
}

/* Lines that were handed on in doubt are skipped if they come again with the same bytes, at once or after
 * more pages that are cut; else they are not. */
static void bytes_decide_about_doubts(void)
{
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct rig rig;
		rig_open(&rig, seed);
		struct oracle *oracle = &rig.oracle;
		oracle->blanks_are_few = 1;
		make_text(oracle);
		uint64_t lines = lines_in(oracle->text, oracle->text_bytes);
		size_t cut = TEXT_BYTES / 2 + below(oracle, TEXT_BYTES / 2),
		       from = below(oracle, 2) * below(oracle, cut / 2);
		page_begin(rig.page, PAGE_SKIP_NONE, PAGE_SHOW);
		feed_in_doubt(&rig, cut, from);
		for (size_t again = below(oracle, 3); again; again--) {
			page_begin(rig.page, PAGE_SKIP_POSITION, PAGE_SHOW);
			feed_in_doubt(&rig, TEXT_BYTES / 2 + below(oracle, TEXT_BYTES / 2), from);
		}
		int changed = below(oracle, 2) && oracle->shown_at > from;
		if (changed)
			change(oracle, from);
		page_begin(rig.page, PAGE_SKIP_POSITION, PAGE_SHOW | PAGE_TAIL_IS_EVENT);
		feed(&rig, oracle->text_bytes);
		EQ(page_end(rig.page), STEP_DONE);
		EQ(page_skip_state(rig.page), changed ? PAGE_SKIP_MISMATCH : PAGE_SKIP_SETTLED);
		if (!changed)
			EQ(oracle->shown, lines);
		rig_close(&rig);
	}
}

/* Blank lines that have left the window can not be taken off the checksum: then the lines come again. */
static void a_doubt_behind_which_the_window_was_used_again(void)
{
	struct rig rig;
	rig_open(&rig, 1);
	struct oracle *oracle = &rig.oracle;
	memcpy(oracle->text, "a\nb\n", 4);
	memset(oracle->text + 4, '\n', TEXT_BYTES - 4);
	oracle->text_bytes = TEXT_BYTES;
	page_begin(rig.page, PAGE_SKIP_NONE, PAGE_SHOW);
	feed_in_doubt(&rig, TEXT_BYTES, 0);
	EQ(oracle->shown, 1);
	page_begin(rig.page, PAGE_SKIP_POSITION, PAGE_SHOW);
	feed(&rig, 4);
	EQ(page_skip_state(rig.page), PAGE_SKIP_MISMATCH);
	rig_close(&rig);
}

/* So much of the text as ends behind a line, or blank lines behind that, and a context. */
static size_t part_of(const struct oracle *oracle, size_t bytes, struct oracle *part)
{
	static const char context[] = "{\"total\":1,\"offset\":\"o\"}\n";
	while (bytes < oracle->text_bytes && oracle->text[bytes - 1] != '\n')
		bytes++;
	for (size_t blanks = bytes % 4; blanks && oracle->text[bytes] == '\n'; blanks--)
		bytes++;
	*part = *oracle;
	part->text = malloc(bytes + sizeof context);
	memcpy(part->text, oracle->text, bytes);
	memcpy(part->text + bytes, context, sizeof context - 1);
	part->text_bytes = bytes + sizeof context - 1;
	return bytes;
}

/* After a page that was cut less is asked for at a time: the lines in doubt come in two pages, blank ones
 * among them, also in front of the first one's context. */
static void doubts_last_over_pages(void)
{
	for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
		struct rig rig;
		rig_open(&rig, seed);
		struct oracle *oracle = &rig.oracle, part, whole;
		while (oracle->text_bytes < TEXT_BYTES / 2) {
			add(oracle, 0, 20 + below(oracle, 3000));
			add(oracle, '\n', 1 + below(oracle, 4) / 2 * below(oracle, 4));
		}
		uint64_t lines = lines_in(oracle->text, oracle->text_bytes);
		size_t cut = TEXT_BYTES / 4 + below(oracle, TEXT_BYTES / 4),
		       from = below(oracle, 2) * below(oracle, cut);
		page_begin(rig.page, PAGE_SKIP_NONE, PAGE_SHOW);
		feed_in_doubt(&rig, cut, from);
		int changed = below(oracle, 2) && oracle->shown_at > from;
		if (changed)
			change(oracle, from);
		whole = *oracle;
		size_t first = part_of(oracle, 1 + below(oracle, cut / 2), &part);
		*oracle = part;
		for (int i = (int)below(oracle, 2); i >= 0; i--) {
			/* The first part does not come through at first. */
			page_begin(rig.page, PAGE_SKIP_POSITION, PAGE_SHOW);
			feed(&rig, i ? first / 2 : part.text_bytes);
			EQ(i || page_end(rig.page) == STEP_DONE, 1);
			EQ(page_skip_state(rig.page), PAGE_SKIP_OPEN);
			page_settle(rig.page, !i);
		}
		free(part.text);
		*oracle = whole;
		oracle->base = first;
		page_begin(rig.page, PAGE_SKIP_POSITION, PAGE_SHOW | PAGE_TAIL_IS_EVENT);
		feed(&rig, oracle->text_bytes - first);
		EQ(page_end(rig.page), STEP_DONE);
		EQ(page_skip_state(rig.page), changed ? PAGE_SKIP_MISMATCH : PAGE_SKIP_SETTLED);
		if (!changed)
			EQ(oracle->shown, lines);
		rig_close(&rig);
	}
}

/* All three lines that stay are of the longest kind, with blanks between. */
static void longest_lines_stay_together(void)
{
	struct rig rig;
	rig_open(&rig, 1);
	struct oracle *oracle = &rig.oracle;
	size_t bytes = 3 * (PAGE_LINE_BYTES_MAX + PAGE_WINDOW_BYTES);
	oracle->text = realloc(oracle->text, bytes);
	memset(oracle->text, '\n', bytes);
	for (size_t i = 0; i < 3; i++) {
		uint8_t *line = oracle->text + i * (PAGE_LINE_BYTES_MAX + PAGE_WINDOW_BYTES);
		for (size_t at = 0; at < PAGE_LINE_BYTES_MAX; at++)
			line[at] = (uint8_t)('!' + (at * (2 * i + 1) >> 5) % 90);
	}
	oracle->text_bytes = bytes;
	page_begin(rig.page, PAGE_SKIP_NONE, PAGE_SHOW | PAGE_TAIL_IS_EVENT);
	feed(&rig, bytes);
	EQ(page_end(rig.page), STEP_DONE);
	EQ(oracle->shown, 3);
	rig_close(&rig);
}

TEST_MAIN(T(everything_survives_the_window), T(repeats_are_recognised_by_position),
	  T(repeats_are_recognised_by_search), T(bytes_decide_about_doubts),
	  T(a_doubt_behind_which_the_window_was_used_again), T(doubts_last_over_pages),
	  T(longest_lines_stay_together))
