/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "flow/page.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "control/control.h"
#include "inflate/inflate.h"
#include "scan/scan.h"
#include "sink/sink.h"

/* The last line handed on, the one held back and the one still open may all be of the longest kind; the last
 * bytes, gaps and the room behind them come on top. */
#define PAGE_CAPACITY_NEEDED (3 * (PAGE_LINE_BYTES_MAX + 2) + 2 * PAGE_WINDOW_BYTES)
/* Whole memory pages of every size that Linux has (64 KB on some arm64): part of the window is given back to
 * the kernel, which rounds up, and what follows in the arena is not ours. */
#define PAGE_MEMORY_BYTES ((size_t)65536)
#define PAGE_CAPACITY_BYTES                                                                                  \
	((PAGE_CAPACITY_NEEDED + PAGE_MEMORY_BYTES - 1) / PAGE_MEMORY_BYTES * PAGE_MEMORY_BYTES)
/* So much of what the observer has made may wait for a larger piece. */
#define PAGE_MADE_BYTES ((size_t)65536)
/* Less room than this is not worth a decoder's call: the window is used again instead. */
#define PAGE_ROOM_BYTES_MIN (PAGE_WINDOW_BYTES / 4)
/* Fewer blank lines than this stay where they are, between lines that stay. */
#define PAGE_GAP_BYTES_MIN ((size_t)4096)
static_assert(PAGE_WINDOW_BYTES % PAGE_MEMORY_BYTES == 0, "what is given back begins at a memory page");
static_assert(PAGE_ROOM_BYTES_MIN > INFLATE_ROOM_BYTES, "a decoder may leave so much of its room");
static_assert(INFLATE_HISTORY_BYTES <= PAGE_WINDOW_BYTES / 4, "most of the window is for new bytes");

/* Half-open range of window indexes, line end included; empty when at == end. */
struct range {
	size_t at;
	size_t end;
};

/* The last line handed on: all of it, or both ends of a long one. */
struct anchor {
	uint64_t line_bytes; /* without its line end */
	int set;
	uint8_t bytes[PAGE_ANCHOR_BYTES_MAX];
};

/* The last lines that were handed on, up to a place in the page, as long as nothing has proven them. */
struct proof {
	int set;
	uint64_t from, to; /* plain-byte offsets; to 0: nothing can prove them */
	uint32_t checksum; /* of what lies between */
	/* Of the repeat, as far as it has come; and before its first byte: lines of it were in the page
	 * before. */
	uint32_t seen, seen_before;
};

struct page {
	struct page_tools tools;
	uint8_t *window;
	size_t filled;	   /* end of valid bytes */
	size_t scanned;	   /* bytes looked at for line ends */
	size_t open_at;	   /* start of the line without an end yet */
	size_t limit;	   /* end of the room behind `filled` */
	size_t history_at; /* from here to `filled` the page's bytes are as they came */
	size_t high_water;
	struct range held;    /* complete line that may be the context */
	uint64_t held_offset; /* its plain-byte offset */
	struct range last;    /* last line handed on or skipped in this page */
	struct range ready;   /* lines to hand on, contiguous */
	uint64_t ready_events, ready_bytes;
	uint64_t window_offset; /* plain-byte offset of what lies from history_at on, less its index */

	uint64_t event_lines;
	uint64_t event_bytes; /* content of those lines, without line ends */
	/* When the event time was last read: of the first line, then of one a window's worth of bytes, then
	 * of the last line. */
	uint64_t timed_lines, timed_bytes;
	int64_t newest_event_unix_ms;
	int first_byte; /* first that is no blank; -1: none yet */
	unsigned flags;
	int has_context;
	int ended;
	int line_end_due; /* the sink has all bytes of the last line but owes it a line end */
	enum fault fault;

	enum page_skip_state skip_state;
	uint64_t skip_lines_left;
	int doubted; /* `proof` is of this page's lines */

	/* Across pages */
	struct anchor anchor;
	struct proof proof;	 /* for the next skip by position */
	uint64_t position_lines; /* handed on (or skipped) since the committed offset */
	uint64_t position_bytes;
	uint64_t delivered_events;
	uint64_t delivered_bytes;
	uint64_t made_events, made_bytes; /* given to the sink */
	uint64_t made_settled_events;	  /* of those: before the committed offset */
	struct control_context context;
	uint32_t positions[PAGE_POSITIONS_MAX];
};

size_t page_bytes_needed(void)
{
	return PAGE_CAPACITY_BYTES + sizeof(struct page) + 2 * PAGE_MEMORY_BYTES;
}

struct page *page_create(const struct page_tools *tools, struct arena *arena)
{
	struct page *page = arena_take(arena, sizeof *page, 64);
	page->tools = *tools;
	page->window = arena_take(arena, PAGE_CAPACITY_BYTES, PAGE_MEMORY_BYTES);
	return page;
}

void page_begin(struct page *page, enum page_skip skip, unsigned flags)
{
	page->flags = flags;
	page->line_end_due = 0;
	page->filled = page->scanned = page->open_at = page->history_at = 0;
	page->limit = PAGE_WINDOW_BYTES;
	page->held = page->last = page->ready = (struct range){ 0, 0 };
	page->window_offset = 0;
	page->event_lines = page->event_bytes = 0;
	page->newest_event_unix_ms = 0;
	page->timed_lines = page->timed_bytes = 0;
	page->first_byte = -1;
	page->has_context = page->ended = 0;
	page->fault = FAULT_NONE;
	/* Positions count from the committed offset: any other question starts them anew. */
	if (skip != PAGE_SKIP_POSITION) {
		page->position_lines = page->position_bytes = 0;
		page->proof.set = 0;
	}
	page->doubted = 0;
	page->proof.seen = page->proof.seen_before;
	page->skip_lines_left = page->position_lines;
	page->skip_state = PAGE_SKIP_SETTLED;
	if (page->skip_lines_left || (skip == PAGE_SKIP_SEARCH && page->anchor.set))
		page->skip_state = PAGE_SKIP_OPEN;
}

static int range_is_empty(struct range range)
{
	return range.at == range.end;
}

/* The line's content, without "\n" or "\r\n". */
static struct span page_content(const struct page *page, struct range line)
{
	size_t bytes = line.end - line.at;
	const uint8_t *base = page->window + line.at;
	if (bytes && base[bytes - 1] == '\n')
		bytes--;
	if (bytes && base[bytes - 1] == '\r')
		bytes--;
	return span_of(base, bytes);
}

static void anchor_keep(struct anchor *anchor, struct span line)
{
	size_t half = PAGE_ANCHOR_BYTES_MAX / 2;
	anchor->set = 1;
	anchor->line_bytes = line.bytes;
	if (line.bytes <= PAGE_ANCHOR_BYTES_MAX) {
		memcpy(anchor->bytes, line.base, line.bytes);
		return;
	}
	memcpy(anchor->bytes, line.base, half);
	memcpy(anchor->bytes + half, line.base + line.bytes - half, half);
}

static int anchor_is(const struct anchor *anchor, struct span line)
{
	size_t half = PAGE_ANCHOR_BYTES_MAX / 2;
	if (!anchor->set || line.bytes != anchor->line_bytes)
		return 0;
	if (line.bytes <= PAGE_ANCHOR_BYTES_MAX)
		return memcmp(anchor->bytes, line.base, line.bytes) == 0;
	return memcmp(anchor->bytes, line.base, half) == 0 &&
	       memcmp(anchor->bytes + half, line.base + line.bytes - half, half) == 0;
}

static uint64_t minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* New bytes of the page, which begin at `offset`: those that are to be proven. */
static void proof_see(struct proof *proof, uint64_t offset, struct span bytes)
{
	uint64_t from = offset > proof->from ? offset : proof->from;
	uint64_t to = minimum(offset + bytes.bytes, proof->to);
	if (from < to)
		proof->seen = inflate_checksum(proof->seen,
					       span_of(bytes.base + (from - offset), (size_t)(to - from)));
}

/* What the checksum was before `bytes`. Slow: eight steps of the shift register backwards for each byte. */
static uint32_t checksum_without(uint32_t checksum, struct span bytes)
{
	uint32_t state = ~checksum;
	for (size_t i = bytes.bytes; i-- > 0;) {
		for (int bit = 0; bit < 8; bit++)
			state = state >> 31 ? (state ^ 0xedb88320) << 1 | 1 : state << 1;
		state ^= bytes.base[i];
	}
	return ~state;
}

/* What lies behind the last line handed on, or skipped. 0: that is so many blank lines that they are not in
 * the window any more. */
static int page_behind_last(const struct page *page, struct span *ret_bytes)
{
	*ret_bytes = span_of(page->window + page->last.end, page->filled - page->last.end);
	return page->last.end >= page->history_at;
}

void page_doubt(struct page *page, uint64_t offset, uint32_t checksum)
{
	struct span behind;
	/* Within a skip the lines handed on are those of a page before. */
	if (page->skip_state != PAGE_SKIP_SETTLED || range_is_empty(page->last))
		return;
	uint64_t to = page->window_offset + page->last.end;
	page->doubted = 1;
	page->proof = (struct proof){ .set = offset < to, .from = offset };
	if (page->proof.set && page_behind_last(page, &behind)) {
		page->proof.to = to;
		page->proof.checksum = checksum_without(checksum, behind);
	}
}

/* Lines of a committed page were skipped, more of them are in the next one. */
static void proof_go_on(struct page *page)
{
	struct proof *proof = &page->proof;
	if (!proof->set || range_is_empty(page->last))
		return;
	/* The next page goes on where the context is, behind blank lines in front of it. */
	int has_held = !range_is_empty(page->held);
	size_t at = has_held ? page->held.at : page->filled;
	uint64_t end = has_held ? page->held_offset : page_plain_bytes(page);
	if (at < page->history_at || end >= proof->to) {
		proof->to = 0;
		return;
	}
	if (end > proof->from) {
		size_t behind_bytes = (size_t)minimum(page->filled - at, proof->to - end);
		proof->seen_before = checksum_without(proof->seen, span_of(page->window + at, behind_bytes));
	}
	proof->from = proof->from > end ? proof->from - end : 0;
	proof->to -= end;
}

/* The line is the last one that was handed on. */
static int proof_holds(const struct page *page)
{
	const struct proof *proof = &page->proof;
	uint64_t end = page->held_offset + (page->last.end - page->last.at);
	return !proof->set || (end == proof->to && proof->seen == proof->checksum);
}

/* Decides whether a line was handed on before. Only called while a skip is open. */
static void page_skip_line(struct page *page, struct span content)
{
	if (page->skip_state == PAGE_SKIP_MISMATCH)
		return; /* nothing more of this page is handed on; it will be asked for again */
	if (page->skip_lines_left == 0) { /* SEARCH */
		if (anchor_is(&page->anchor, content))
			page->skip_state = PAGE_SKIP_SETTLED;
		return;
	}
	if (--page->skip_lines_left)
		return;
	int same = page->event_bytes == page->position_bytes &&
		   (!page->anchor.set || anchor_is(&page->anchor, content)) && proof_holds(page);
	page->skip_state = same ? PAGE_SKIP_SETTLED : PAGE_SKIP_MISMATCH;
}

static void page_note_time(struct page *page, struct span content)
{
	int64_t unix_ms;
	if (page->flags & PAGE_UNTIMED)
		return;
	stage_enter(page->tools.stage, STAGE_CONTROL);
	if (control_read_event_time(page->tools.control, content, &unix_ms) == CONTROL_YES &&
	    unix_ms > page->newest_event_unix_ms)
		page->newest_event_unix_ms = unix_ms;
	stage_enter(page->tools.stage, STAGE_SCAN);
}

static enum step page_break(struct page *page, enum fault fault)
{
	page->fault = fault;
	return STEP_BROKEN;
}

/* The observer sees the line, once. FULL: what it has made must be on its way before it makes more. */
static enum step page_show(struct page *page, struct span content, uint64_t offset)
{
	const struct page_observer *observer = &page->tools.observer;
	uint64_t made_lines;
	if (observer->made && observer->made(observer->owner, &made_lines).bytes >= PAGE_MADE_BYTES)
		return STEP_FULL;
	enum fault fault = observer->event(observer->owner, content, offset);
	stage_enter(page->tools.stage, STAGE_SCAN);
	return fault == FAULT_NONE ? STEP_HUNGRY : page_break(page, fault);
}

/* The line held back turns out to be an event: it joins the lines to hand on. FULL: it cannot join them (a
 * gap between, or much that was made and belongs between): drain first. */
static enum step page_confirm_held(struct page *page)
{
	struct range line = page->held;
	int joins = range_is_empty(page->ready) || page->ready.end == line.at;
	int open = page->skip_state != PAGE_SKIP_SETTLED;
	if (!open && !joins)
		return STEP_FULL;
	struct span content = page_content(page, line);
	if (!open && (page->flags & PAGE_SHOW)) {
		enum step step = page_show(page, content, page->held_offset);
		if (step != STEP_HUNGRY)
			return step;
	}
	page->event_lines++;
	page->event_bytes += content.bytes;
	if (page->event_lines == 1)
		page_note_time(page, content);
	page->last = line;
	page->held = (struct range){ 0, 0 };
	if (open) {
		/* Nothing is ready yet: a skip is always at the front of a page. */
		page_skip_line(page, content);
		return STEP_HUNGRY;
	}
	if (page->flags & PAGE_KEEP)
		return STEP_HUNGRY;
	if (range_is_empty(page->ready))
		page->ready.at = line.at;
	page->ready.end = line.end;
	page->ready_events++;
	page->ready_bytes += content.bytes + 1;
	return STEP_HUNGRY;
}

/* Gives lines to the sink when it is this page's turn, whole ones where `last` is not set. HUNGRY: all of
 * them. */
static enum step page_push(struct page *page, struct cursor_in *lines, int last)
{
	const struct page **turn = page->tools.turn;
	if (turn && *turn && *turn != page && sink_fault(page->tools.sink) == FAULT_NONE)
		return STEP_FULL;
	stage_enter(page->tools.stage, STAGE_SINK);
	enum step step = sink_push(page->tools.sink, lines, last);
	if (turn)
		*turn = step == STEP_FULL ? page : NULL;
	if (step == STEP_BROKEN)
		page->fault = sink_fault(page->tools.sink);
	return step;
}

static enum step page_push_ready(struct page *page)
{
	if (range_is_empty(page->ready) && !page->line_end_due)
		return STEP_HUNGRY;
	struct cursor_in lines = { page->window + page->ready.at, page->window + page->ready.end };
	enum step step = page_push(page, &lines, page->ended);
	page->ready.at = (size_t)(lines.next - page->window);
	page->line_end_due = step == STEP_FULL && range_is_empty(page->ready);
	if (step != STEP_HUNGRY)
		return step;
	page->ready = (struct range){ 0, 0 };
	page->delivered_events += page->ready_events;
	page->delivered_bytes += page->ready_bytes;
	page->ready_events = page->ready_bytes = 0;
	return STEP_HUNGRY;
}

enum step page_drain_made(struct page *page)
{
	const struct page_observer *observer = &page->tools.observer;
	if (!observer->made)
		return STEP_HUNGRY;
	uint64_t made_lines;
	struct span made = observer->made(observer->owner, &made_lines);
	if (made.bytes == 0)
		return STEP_HUNGRY;
	struct cursor_in lines = { made.base, made.base + made.bytes };
	enum step step = page_push(page, &lines, 0);
	size_t taken_bytes = made.bytes - cursor_in_bytes(&lines);
	page->made_bytes += taken_bytes;
	observer->made_consume(observer->owner, taken_bytes);
	if (step == STEP_HUNGRY)
		page->made_events = made_lines;
	return step;
}

enum step page_drain(struct page *page)
{
	/* Also what is left of a page that broke: those lines count as handed on. */
	enum step step = page_push_ready(page);
	if (step == STEP_HUNGRY)
		step = page_drain_made(page);
	if (step == STEP_HUNGRY && page->fault != FAULT_NONE)
		return STEP_BROKEN;
	return step;
}

/* The line held back is an event: what is in its way goes out first. */
static enum step page_join_held(struct page *page)
{
	enum step step = page_confirm_held(page);
	if (step != STEP_FULL)
		return step;
	step = page_drain(page);
	if (step != STEP_HUNGRY)
		return step;
	step = page_confirm_held(page);
	CHECK_NE((int)step, (int)STEP_FULL);
	return step;
}

/* A complete line ends before `end` (line end included). */
static enum step page_line(struct page *page, size_t end)
{
	struct range line = { page->open_at, end };
	struct span content = page_content(page, line);
	if (content.bytes > PAGE_LINE_BYTES_MAX)
		return page_break(page, FAULT_PAGE_LINE_LIMIT);
	if (content.bytes == 0) {
		page->open_at = end;
		return STEP_HUNGRY;
	}
	if (page->first_byte < 0) {
		size_t blank = 0;
		while (blank + 1 < content.bytes &&
		       (content.base[blank] == ' ' || content.base[blank] == '\t'))
			blank++;
		page->first_byte = content.base[blank];
	}
	if (!range_is_empty(page->held)) {
		enum step step = page_join_held(page);
		if (step != STEP_HUNGRY)
			return step;
	}
	page->held = line;
	page->held_offset = page->window_offset + line.at;
	page->open_at = end;
	return STEP_HUNGRY;
}

/* Scans what is not scanned yet. Stops early when the sink is behind; calling it again goes on. */
static enum step page_scan(struct page *page)
{
	stage_enter(page->tools.stage, STAGE_SCAN);
	while (page->scanned < page->filled) {
		size_t scanned;
		size_t base = page->scanned;
		size_t count =
			page->tools.kernel->line_ends(span_of(page->window + base, page->filled - base),
						      page->positions, PAGE_POSITIONS_MAX, &scanned);
		for (size_t i = 0; i < count; i++) {
			enum step step = page_line(page, base + page->positions[i] + 1);
			if (step != STEP_HUNGRY) {
				/* This line end is looked at again once there is room. */
				page->scanned = base + page->positions[i];
				return step;
			}
		}
		page->scanned = base + scanned;
	}
	if (page->filled - page->open_at > PAGE_LINE_BYTES_MAX + 2)
		return page_break(page, FAULT_PAGE_LINE_LIMIT);
	return STEP_HUNGRY;
}

/* Reads the time of the last line, unless that is done. */
static void page_time_last(struct page *page)
{
	page->timed_bytes = page_plain_bytes(page);
	if (page->event_lines == page->timed_lines || range_is_empty(page->last))
		return;
	page->timed_lines = page->event_lines;
	page_note_time(page, page_content(page, page->last));
}

static enum step page_work(struct page *page)
{
	do {
		enum step drained = page_drain(page);
		if (drained != STEP_HUNGRY)
			return drained;
		if (page_scan(page) == STEP_BROKEN)
			return page_drain(page);
	} while (page->scanned < page->filled);
	/* Not after each piece: some servers send small ones, and reading a time takes a microsecond. */
	if (page_plain_bytes(page) - page->timed_bytes >= PAGE_WINDOW_BYTES)
		page_time_last(page);
	return page_drain(page);
}

enum step page_filled(struct page *page, size_t bytes)
{
	if (page->fault != FAULT_NONE)
		return page_drain(page);
	if (page->proof.set && page->skip_state == PAGE_SKIP_OPEN)
		proof_see(&page->proof, page_plain_bytes(page), span_of(page->window + page->filled, bytes));
	page->filled += bytes;
	CHECK_LE(page->filled, PAGE_CAPACITY_BYTES);
	return page_work(page);
}

static struct range page_move(struct page *page, struct range range, size_t to)
{
	size_t bytes = range.end - range.at;
	if (bytes && to != range.at)
		memmove(page->window + to, page->window + range.at, bytes);
	return (struct range){ to, to + bytes };
}

/* What begins at `at` begins with that line, if the line lies across or so close in front that what is
 * between is not worth a gap. */
static size_t page_with_line(size_t at, struct range line)
{
	return line.at < at && line.end + PAGE_GAP_BYTES_MIN > at ? line.at : at;
}

/* Where the bytes begin that stay together: INFLATE_HISTORY_BYTES at least, the open line, and the lines
 * before it as far as there is no gap. */
static size_t page_tail_at(const struct page *page)
{
	size_t at = page->filled > INFLATE_HISTORY_BYTES ? page->filled - INFLATE_HISTORY_BYTES : 0;
	if (at > page->open_at)
		at = page->open_at;
	return page_with_line(page_with_line(at, page->held), page->last);
}

/* Moves what must stay to the front: the last line handed on and the line held back, where they lie further
 * back (any number of blank lines may lie between), and behind them the tail. */
static void page_wrap(struct page *page)
{
	struct range *lines[] = { &page->last, &page->held };
	size_t tail_at = page_tail_at(page), to = 0;
	for (size_t i = 0; i < 2 && lines[i]->end <= tail_at; i++) {
		*lines[i] = page_move(page, *lines[i], to);
		to = lines[i]->end;
	}
	page_move(page, (struct range){ tail_at, page->filled }, to);
	size_t gone = tail_at - to;
	for (size_t i = 0; i < 2; i++)
		if (lines[i]->at >= tail_at && !range_is_empty(*lines[i]))
			*lines[i] = (struct range){ lines[i]->at - gone, lines[i]->end - gone };
	/* A line at the tail's beginning may have had a gap behind it that is gone since. */
	page->history_at = to + (page->history_at > tail_at ? page->history_at - tail_at : 0);
	page->open_at -= gone;
	page->filled -= gone;
	page->scanned -= gone;
	page->window_offset += gone;
}

/* Makes room behind what stays; a window's worth when that is long. */
static void page_make_room(struct page *page)
{
	page_wrap(page);
	if (page->high_water > 2 * PAGE_WINDOW_BYTES && page->filled < PAGE_WINDOW_BYTES) {
		/* A very long line has passed: give its memory back. */
		madvise(page->window + PAGE_WINDOW_BYTES, PAGE_CAPACITY_BYTES - PAGE_WINDOW_BYTES,
			MADV_DONTNEED);
		page->high_water = PAGE_WINDOW_BYTES;
	}
	page->limit = PAGE_WINDOW_BYTES;
	if (page->filled > PAGE_WINDOW_BYTES / 2)
		page->limit += page->filled;
	CHECK_LE(page->limit, PAGE_CAPACITY_BYTES);
	if (page->limit > page->high_water)
		page->high_water = page->limit;
}

struct cursor_out page_room(struct page *page)
{
	uint8_t *next = page->window + page->filled;
	if (page->fault != FAULT_NONE || !range_is_empty(page->ready) || page->scanned < page->filled)
		return (struct cursor_out){ next, next };
	if (page->limit - page->filled < PAGE_ROOM_BYTES_MIN)
		page_make_room(page);
	return (struct cursor_out){ page->window + page->filled, page->window + page->limit };
}

const uint8_t *page_history(const struct page *page)
{
	return page->window + page->history_at;
}

/* Whatever the last line is. */
static enum step page_tail(struct page *page)
{
	enum step step = STEP_HUNGRY;
	CHECK_EQ(page->scanned, page->filled);
	if (page->open_at < page->filled)
		step = page_line(page, page->filled);
	if (step == STEP_HUNGRY && (page->flags & PAGE_TAIL_IS_EVENT) && !range_is_empty(page->held))
		step = page_join_held(page);
	return step == STEP_BROKEN ? page_drain(page) : step;
}

enum step page_end(struct page *page)
{
	if (page->fault != FAULT_NONE)
		return page_drain(page);
	if (!page->ended) {
		enum step step = page_tail(page);
		if (step != STEP_HUNGRY)
			return step;
	}
	page->ended = 1;
	enum step step = page_drain(page);
	if (step != STEP_HUNGRY)
		return step;
	page_time_last(page);
	if (range_is_empty(page->held))
		return STEP_DONE;
	stage_enter(page->tools.stage, STAGE_CONTROL);
	struct span content = page_content(page, page->held);
	page->has_context = control_read_context(page->tools.control, content, &page->context) == CONTROL_YES;
	return STEP_DONE;
}

void page_settle(struct page *page, int committed)
{
	int skipping = page->skip_state != PAGE_SKIP_SETTLED;
	if (!skipping && !range_is_empty(page->last))
		anchor_keep(&page->anchor, page_content(page, page->last));
	if (committed)
		page->made_settled_events = page->made_events;
	if (committed && !skipping) {
		page->position_lines = page->position_bytes = 0;
		page->proof.set = 0;
	} else if (committed) {
		/* The rest of what was handed on begins the next page. In a search nothing is left by
		 * position. */
		page->position_bytes = page->skip_lines_left ? page->position_bytes - page->event_bytes : 0;
		page->position_lines = page->skip_lines_left;
		proof_go_on(page);
	} else if (!skipping) {
		page->position_lines = page->event_lines;
		page->position_bytes = page->event_bytes;
		page->proof.set = page->proof.set && page->doubted;
	}
	page->last = (struct range){ 0, 0 };
}

void page_settle_made(struct page *page)
{
	page->made_settled_events = page->made_events;
	page->position_lines = page->position_bytes = 0;
	page->proof.set = 0;
}

const struct control_context *page_context(const struct page *page)
{
	return page->has_context ? &page->context : NULL;
}

enum fault page_fault(const struct page *page)
{
	return page->fault;
}

uint64_t page_offset(const struct page *page)
{
	return page->window_offset + page->open_at;
}

enum page_skip_state page_skip_state(const struct page *page)
{
	return page->skip_state;
}

int page_looks_like_events(const struct page *page)
{
	return page->first_byte < 0 || page->first_byte == '{';
}

uint64_t page_event_lines(const struct page *page)
{
	return page->event_lines;
}

uint64_t page_plain_bytes(const struct page *page)
{
	return page->window_offset + page->filled;
}

int64_t page_newest_event_unix_ms(const struct page *page)
{
	return page->newest_event_unix_ms;
}

uint64_t page_delivered_events(const struct page *page)
{
	return page->delivered_events + page->made_events;
}

uint64_t page_delivered_bytes(const struct page *page)
{
	return page->delivered_bytes + page->made_bytes;
}

uint64_t page_made_events(const struct page *page)
{
	return page->made_events;
}

uint64_t page_uncommitted_events(const struct page *page)
{
	/* Once settled, lines that the sink had no room for are counted already. */
	uint64_t ready = page->ready_events;
	uint64_t made = page->made_events - page->made_settled_events;
	if (page->flags & PAGE_KEEP)
		return made;
	return made + (page->position_lines > ready ? page->position_lines - ready : 0);
}
