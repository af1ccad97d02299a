/* SPDX-License-Identifier: Apache-2.0
 *
 * page against a simple reference: lines are what stands between line feeds, blank ones do not count, the
 * last one is held back and is the context or not. Twice with the same bytes as an incomplete page: nothing
 * is handed on twice. The first byte says how the rest is cut.
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

struct rig {
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct control *control;
	struct stage_slot stage;
	struct page *page;
};

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
	struct page_tools tools = { scan_kernel_pick(NULL), rig->control, rig->sink, &rig->stage, NULL };
	rig->page = page_create(&tools, &rig->arena);
}

static void rig_close(struct rig *rig)
{
	ring_finish(rig->ring);
	sink_close(rig->sink);
	control_destroy(rig->control);
	arena_finish(&rig->arena);
}

static void feed(struct page *page, const uint8_t *data, size_t bytes, size_t piece, enum page_skip skip)
{
	page_begin(page, skip);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct rig rig = { 0 };
	struct span last;
	struct control_context context;
	if (bytes < 1)
		return 0;
	size_t piece = (size_t)data[0] * 3 + 1;
	rig_open(&rig);
	uint64_t lines = reference(data + 1, bytes - 1, &last);
	uint64_t events = lines ? lines - 1 : 0;
	int is_context = lines && control_read_context(rig.control, last, &context) == CONTROL_YES;

	feed(rig.page, data + 1, bytes - 1, piece, PAGE_SKIP_POSITION);
	HOLDS(page_event_lines(rig.page) == events);
	HOLDS((page_context(rig.page) != NULL) == is_context);
	HOLDS(page_delivered_events(rig.page) == events);
	page_settle(rig.page, 0);
	HOLDS(page_uncommitted_events(rig.page) == events);

	feed(rig.page, data + 1, bytes - 1, bytes, PAGE_SKIP_POSITION);
	HOLDS(page_skip_state(rig.page) == PAGE_SKIP_SETTLED);
	HOLDS(page_delivered_events(rig.page) == events);
	page_settle(rig.page, 1);
	HOLDS(page_uncommitted_events(rig.page) == 0);
	rig_close(&rig);
	return 0;
}
