/* SPDX-License-Identifier: Apache-2.0
 *
 * page against a simple reference: lines are what stands between line feeds, blank ones do not count, the
 * last one is held back and is the context or not. Twice with the same bytes as an incomplete page: nothing
 * is handed on twice, and shown twice to whoever looks at events. In each way that a page may be read. The
 * first byte says how the rest is cut.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "flow/page.h"
#include "ring/ring.h"
#include "scan/scan.h"
#include "sink/sink.h"

#define HOLDS(condition) ((condition) ? (void)0 : abort())

/* Counts what it is shown, and makes a line of 3 bytes for each second event. */
struct observer {
	uint64_t shown, shown_bytes, next_offset, made;
	size_t made_bytes;
	char lines[PAGE_POSITIONS_MAX];
};

struct rig {
	struct observer observer;
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct control *control;
	struct stage_slot stage;
	struct page *page;
};

static enum fault observer_event(void *owner, struct span line, uint64_t offset)
{
	struct observer *observer = owner;
	HOLDS(offset >= observer->next_offset); /* in order */
	HOLDS(line.bytes > 0);
	observer->next_offset = offset + line.bytes;
	observer->shown_bytes += line.bytes;
	if (++observer->shown % 2 == 0 && observer->made_bytes + 3 <= sizeof observer->lines) {
		memcpy(observer->lines + observer->made_bytes, "mm\n", 3);
		observer->made_bytes += 3;
		observer->made++;
	}
	return FAULT_NONE;
}

static struct span observer_made(void *owner, uint64_t *ret_lines)
{
	struct observer *observer = owner;
	*ret_lines = observer->made;
	return span_of(observer->lines, observer->made_bytes);
}

static void observer_made_consume(void *owner, size_t bytes)
{
	struct observer *observer = owner;
	HOLDS(bytes <= observer->made_bytes);
	memmove(observer->lines, observer->lines + bytes, observer->made_bytes - bytes);
	observer->made_bytes -= bytes;
}

static void rig_open(struct rig *rig)
{
	struct ring_options ring_options = { .engine = RING_ENGINE_POLL, .operations_max = 16 };
	struct ring_report report;
	struct sink_options sink_options = { .kind = SINK_NULL };
	char error[SINK_ERROR_BYTES_MAX];
	HOLDS(arena_open(&rig->arena, page_bytes_needed() + (8 << 20)) == 0);
	HOLDS(ring_open(&ring_options, &rig->arena, &rig->ring, &report) == 0);
	HOLDS(sink_open(&sink_options, rig->ring, &rig->arena, &rig->sink, error) == FAULT_NONE);
	rig->control = control_create();
	struct page_tools tools = {
		.kernel = scan_kernel_pick(NULL),
		.control = rig->control,
		.sink = rig->sink,
		.stage = &rig->stage,
		.observer = { &rig->observer, observer_event, observer_made, observer_made_consume },
	};
	rig->page = page_create(&tools, &rig->arena);
}

static void rig_close(struct rig *rig)
{
	ring_finish(rig->ring);
	sink_close(rig->sink);
	control_destroy(rig->control);
	arena_finish(&rig->arena);
}

static void feed(struct page *page, const uint8_t *data, size_t bytes, size_t piece, enum page_skip skip,
		 unsigned flags)
{
	page_begin(page, skip, flags);
	while (bytes) {
		struct cursor_out room = page_room(page);
		size_t take = bytes < piece ? bytes : piece;
		HOLDS(cursor_out_bytes(&room) > 0);
		if (take > cursor_out_bytes(&room))
			take = cursor_out_bytes(&room);
		memcpy(room.next, data, take);
		HOLDS(page_filled(page, take) == STEP_HUNGRY);
		data += take;
		bytes -= take;
	}
	HOLDS(page_end(page) == STEP_DONE);
}

/* Lines with content; *ret_last is the last of them. */
static uint64_t reference(const uint8_t *data, size_t bytes, struct span *ret_last)
{
	uint64_t lines = 0;
	const uint8_t *end = data + bytes;
	*ret_last = span_of(data, 0);
	while (data < end) {
		const uint8_t *feed_at = memchr(data, '\n', (size_t)(end - data));
		const uint8_t *line_end = feed_at ? feed_at : end;
		size_t line_bytes = (size_t)(line_end - data);
		if (line_bytes && data[line_bytes - 1] == '\r')
			line_bytes--;
		if (line_bytes) {
			lines++;
			*ret_last = span_of(data, line_bytes);
		}
		data = line_end + (feed_at != NULL);
	}
	return lines;
}

static void try_flags(const uint8_t *data, size_t bytes, size_t piece, unsigned flags)
{
	struct rig rig = { 0 };
	struct span last;
	struct control_context context;
	rig_open(&rig);
	uint64_t lines = reference(data, bytes, &last);
	int has_tail = (flags & PAGE_TAIL_IS_EVENT) != 0;
	uint64_t events = lines && !has_tail ? lines - 1 : lines;
	uint64_t delivered = flags & PAGE_KEEP ? 0 : events;
	uint64_t shown = flags & PAGE_SHOW ? events : 0;
	int is_context =
		lines && !has_tail && control_read_context(rig.control, last, &context) == CONTROL_YES;

	feed(rig.page, data, bytes, piece, PAGE_SKIP_POSITION, flags);
	HOLDS(page_event_lines(rig.page) == events);
	HOLDS((page_context(rig.page) != NULL) == is_context);
	HOLDS(rig.observer.shown == shown);
	HOLDS(page_made_events(rig.page) == rig.observer.made && rig.observer.made == shown / 2);
	HOLDS(page_delivered_events(rig.page) == delivered + shown / 2);
	page_settle(rig.page, 0);
	HOLDS(page_uncommitted_events(rig.page) == delivered + shown / 2);

	rig.observer.next_offset = 0;
	feed(rig.page, data, bytes, bytes + 1, PAGE_SKIP_POSITION, flags);
	HOLDS(page_skip_state(rig.page) == PAGE_SKIP_SETTLED);
	HOLDS(rig.observer.shown == shown);
	HOLDS(page_delivered_events(rig.page) == delivered + shown / 2);
	page_settle(rig.page, 1);
	HOLDS(page_uncommitted_events(rig.page) == 0);
	rig_close(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const unsigned ways[] = { 0, PAGE_SHOW | PAGE_UNTIMED, PAGE_TAIL_IS_EVENT | PAGE_SHOW,
					 PAGE_TAIL_IS_EVENT | PAGE_KEEP | PAGE_SHOW };
	if (bytes < 1)
		return 0;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		try_flags(data + 1, bytes - 1, (size_t)data[0] * 3 + 1, ways[i]);
	return 0;
}
