/* SPDX-License-Identifier: Apache-2.0
 *
 * page: one answer's plain bytes become event lines and, where the protocol has one, an offset context.
 *
 * Bytes are written once into a window (page_room, page_filled), scanned once, and whole event lines go to
 * the sink as large contiguous spans; then the window is used again. The last complete line is always
 * held back, because it may be the offset context. An observer may see each event before it goes out, and
 * may make lines of its own, which go out behind those that are ready then. The window is an address range
 * that can hold the longest lines allowed, but only its first PAGE_WINDOW_BYTES are ever touched unless a
 * line is longer.
 *
 * Nothing is handed on twice. A page that turns out to be cut is asked for again, and by then some of its
 * lines are with the sink: the repeat skips as many lines, and proves by their byte count and by the last of
 * them (the anchor) that they were the same. After a recovery by time, lines are skipped up to and including
 * the anchor. Nor is the observer shown such a line again. What cannot be proven is reported, and asked for
 * again without skipping: a line may then come twice, but none is lost.
 *
 * That a checksum does not hold is known when the last byte has come, and by then all lines but one may be
 * with the sink. Such a page is treated as one that is cut; and whenever lines were handed on that no
 * checksum has proven, their own is taken (page_doubt()), and held against that of the lines which the repeat
 * skips. That is decided at the last of them: a smaller page of the repeat, which ends and is committed
 * before, is trusted. So the plan asks for a damaged page with the same limit first.
 */
#ifndef FLOW_PAGE_H
#define FLOW_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/control_fields.h"
#include "base/fault.h"
#include "base/span.h"
#include "base/stage.h"

struct control;
struct scan_kernel;
struct sink;

/* Limits, each with its reason. */
/* Stays in the second-level cache, where lines are found at some 100 GB/s. Larger gains nothing. Nor does
 * giving a decoder less of it at a time: what it must check while it is nearer it checks itself, by the
 * piece, and beginning and ending a call for each 64, 32 or 16 KB costs 3, 4 or 9 % (ISA-L 7, 10 or 14). */
#define PAGE_WINDOW_BYTES ((size_t)262144)
#define PAGE_LINE_BYTES_MAX ((size_t)16777216) /* what the Go original took; real events are under 10 KB */
#define PAGE_POSITIONS_MAX 4096		       /* line ends found per scan call */
#define PAGE_ANCHOR_BYTES_MAX ((size_t)32768)  /* of a longer line both ends are kept */

/* How lines that were handed on before are treated in the next page. */
enum page_skip {
	PAGE_SKIP_POSITION, /* as many lines as were handed on since the last commit */
	PAGE_SKIP_SEARCH,   /* up to and including the last line handed on */
	PAGE_SKIP_NONE,
};

enum page_skip_state {
	PAGE_SKIP_SETTLED,
	PAGE_SKIP_OPEN,
	PAGE_SKIP_MISMATCH,
};

/* How one page is read, beside its skip. 0: an offset context at its end, events to the sink, nobody looks.
 */
enum page_flag {
	PAGE_TAIL_IS_EVENT = 1 << 0, /* the last line is an event too */
	PAGE_KEEP = 1 << 1,	     /* events do not go to the sink */
	PAGE_SHOW = 1 << 2,	     /* the observer sees each event */
	PAGE_UNTIMED = 1 << 3,	     /* the observer knows the event times: none is read here */
};

/* Whoever looks at events, and makes lines. */
struct page_observer {
	void *owner;
	/* An event that is about to be handed on, for the first time, without its line end; `offset` is its
	 * place in the page. Lent for the call. Other than 0: the page breaks with that fault, and the event
	 * is not handed on. */
	enum fault (*event)(void *owner, struct span line, uint64_t offset);
	/* Whole lines that were made and not taken yet, and how many were made up to their end. NULL: never.
	 */
	struct span (*made)(void *owner, uint64_t *ret_lines);
	void (*made_consume)(void *owner, size_t bytes);
};

struct page; /* opaque; lives in the arena */

struct page_tools {
	const struct scan_kernel *kernel;
	struct control *control;
	struct sink *sink;
	struct stage_slot *stage;
	/* Shared by all pages on one sink: the page of which the sink has taken half a line, so that no other
	 * may come between. NULL: there is only one page. */
	const struct page **turn;
	struct page_observer observer;
};

/* Address space that page_create() takes from the arena. */
size_t page_bytes_needed(void);
struct page *page_create(const struct page_tools *tools, struct arena *arena);

/* `flags` are of enum page_flag. */
void page_begin(struct page *page, enum page_skip skip, unsigned flags);

/* Where the next plain bytes go; all of it is scratch. Empty only while the sink is behind (call
 * page_drain()); else far more than a decoder may leave unused. */
struct cursor_out page_room(struct page *page);
/* How far back, in front of page_room(), the page's bytes still lie: all, or at least INFLATE_HISTORY_BYTES.
 * inflate_push() copies from them. Ask anew behind each page_room(), which may have moved them. */
const uint8_t *page_history(const struct page *page);
/* `bytes` were written at the front of page_room(): scans them and hands on what is proven to be events.
 * HUNGRY: go on. FULL: the sink is behind; call page_drain() after one of its writes completed. BROKEN. */
enum step page_filled(struct page *page, size_t bytes);
enum step page_drain(struct page *page);
/* Hands on what the observer has made, at any time between pages, also behind one that broke. Same answers.
 */
enum step page_drain_made(struct page *page);
/* The body is over: the last line needs no line end. Call page_drain() first. Same answers; then
 * page_context() tells. */
enum step page_end(struct page *page);

/* After page_end(): the offset context, or NULL. Lent until page_begin(). */
const struct control_context *page_context(const struct page *page);
enum fault page_fault(const struct page *page);
/* Plain-byte offset of the line that page_fault() is about. */
uint64_t page_offset(const struct page *page);

/* Before page_settle(page, 0): no checksum has proven the page's plain bytes from this offset on; `checksum`
 * is inflate_checksum() of all of them. */
void page_doubt(struct page *page, uint64_t offset, uint32_t checksum);
/* Records what became of the page: 1 = its offset is the cursor now. Also after a page that broke. */
void page_settle(struct page *page, int committed);
/* Everything handed on so far is settled although no page is: lines that were made from something else. */
void page_settle_made(struct page *page);

/* Of the current page: */
enum page_skip_state page_skip_state(const struct page *page);
int page_looks_like_events(
	const struct page *page); /* the first byte that is no blank is '{' (or there is none) */
uint64_t page_event_lines(const struct page *page); /* skipped ones included, the context excluded */
uint64_t page_plain_bytes(const struct page *page);
int64_t page_newest_event_unix_ms(const struct page *page); /* among those looked at; 0: none */
/* Since page_create(): lines and bytes given to the sink, made ones included. */
uint64_t page_delivered_events(const struct page *page);
uint64_t page_delivered_bytes(const struct page *page);
uint64_t page_made_events(const struct page *page);
/* Lines with the sink that no committed offset covers yet: a new run from the cursor would repeat them. */
uint64_t page_uncommitted_events(const struct page *page);

#endif
