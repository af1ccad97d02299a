/* SPDX-License-Identifier: Apache-2.0
 *
 * page: lines, the context, long lines, and the promise that nothing is handed on twice. Each case runs
 * whole, byte by byte and at every split point; the lines come out of a real sink into a real file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/control.h"
#include "flow/page.h"
#include "scan/scan.h"
#include "sink/sink.h"

#include "test.h"

static const char context_line[] = "{\"total\":3,\"offset\":\"a;b+/=\",\"limit\":3}\n";
#define EVENT(n) "{\"attackData\":{},\"httpMessage\":{\"start\":\"170000000" #n "\"}}\n"

struct bench {
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct control *control;
	struct stage_slot stage;
	struct page *page;
	char path[64];
};

static struct bench bench_open(void)
{
	struct bench bench = { .path = "/tmp/akamai-prof-page-XXXXXX" };
	int fd = mkstemp(bench.path);
	GE(fd, 0);
	close(fd);
	struct ring_options ring_options = { .engine = RING_ENGINE_POLL, .operations_max = 16 };
	struct ring_report report;
	struct sink_options sink_options = { .kind = SINK_FILE };
	char error[SINK_ERROR_BYTES_MAX];
	EQ(arena_open(&bench.arena, page_bytes_needed() + (8 << 20)), 0);
	EQ(ring_open(&ring_options, &bench.arena, &bench.ring, &report), 0);
	sink_options.path = bench.path;
	EQ(sink_open(&sink_options, bench.ring, &bench.arena, &bench.sink, error), FAULT_NONE);
	bench.control = control_create();
	return bench;
}

static void bench_page(struct bench *bench)
{
	struct page_tools tools = { scan_kernel_pick(NULL), bench->control, bench->sink, &bench->stage,
				    NULL };
	bench->page = page_create(&tools, &bench->arena);
}

static void bench_wait(struct bench *bench)
{
	struct ring_operation *operation = ring_wait(bench->ring, clock_monotonic_ns() + NS_PER_SECOND);
	NE(operation == NULL, 1);
	EQ(sink_completed(bench->sink, operation), 1);
}

/* What came out of the sink, NUL-terminated, allocated. The file is emptied. */
static char *bench_take(struct bench *bench, size_t *ret_bytes)
{
	sink_flush(bench->sink);
	while (!sink_idle(bench->sink))
		bench_wait(bench);
	int fd = open(bench->path, O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = malloc((size_t)size + 1);
	EQ(pread(fd, text, (size_t)size, 0), size);
	text[size] = 0;
	EQ(ftruncate(fd, 0), 0);
	close(fd);
	if (ret_bytes)
		*ret_bytes = (size_t)size;
	return text;
}

static void bench_close(struct bench *bench)
{
	ring_finish(bench->ring);
	sink_close(bench->sink);
	control_destroy(bench->control);
	unlink(bench->path);
	arena_finish(&bench->arena);
}

static enum step settle_step(struct bench *bench, enum step step)
{
	while (step == STEP_FULL) {
		bench_wait(bench);
		step = page_filled(bench->page, 0);
	}
	return step;
}

/* Feeds `text` in pieces of at most `piece` bytes. */
static enum step feed(struct bench *bench, const char *text, size_t bytes, size_t piece)
{
	while (bytes) {
		struct cursor_out room = page_room(bench->page);
		size_t take = bytes < piece ? bytes : piece;
		if (take > cursor_out_bytes(&room))
			take = cursor_out_bytes(&room);
		GT(take, 0);
		memcpy(room.next, text, take);
		enum step step = settle_step(bench, page_filled(bench->page, take));
		if (step != STEP_HUNGRY)
			return step;
		text += take;
		bytes -= take;
	}
	return STEP_HUNGRY;
}

static enum step finish(struct bench *bench)
{
	enum step step = page_end(bench->page);
	while (step == STEP_FULL) {
		bench_wait(bench);
		step = page_end(bench->page);
	}
	return step;
}

/* One page in pieces; commits it when it has a context. */
static void one_page(struct bench *bench, const char *text, size_t piece, enum page_skip skip)
{
	page_begin(bench->page, skip);
	EQ(feed(bench, text, strlen(text), piece), STEP_HUNGRY);
	EQ(finish(bench), STEP_DONE);
	int committed =
		page_context(bench->page) != NULL && page_skip_state(bench->page) != PAGE_SKIP_MISMATCH;
	page_settle(bench->page, committed);
}

static void check_page(const char *text, const char *events, uint64_t lines, int has_context)
{
	size_t bytes = strlen(text);
	struct bench bench = bench_open();
	bench_page(&bench);
	for (size_t piece = 1; piece <= bytes; piece++) {
		page_begin(bench.page, PAGE_SKIP_NONE);
		/* piece bytes first, then the rest: every split point; and piece by piece when small */
		if (piece > 3) {
			EQ(feed(&bench, text, piece, piece), STEP_HUNGRY);
			EQ(feed(&bench, text + piece, bytes - piece, bytes), STEP_HUNGRY);
		} else {
			EQ(feed(&bench, text, bytes, piece), STEP_HUNGRY);
		}
		EQ(finish(&bench), STEP_DONE);
		EQ(page_event_lines(bench.page), lines);
		EQ(page_context(bench.page) != NULL, has_context);
		page_settle(bench.page, 1);
		char *out = bench_take(&bench, NULL);
		EQ_TEXT(out, events);
		free(out);
	}
	bench_close(&bench);
}

static void events_come_out_and_the_context_does_not(void)
{
	check_page(EVENT(1) EVENT(2) EVENT(3) "{\"total\":3,\"offset\":\"x\"}\n", EVENT(1) EVENT(2) EVENT(3),
		   3, 1);
}

static void last_line_needs_no_line_end(void)
{
	check_page(EVENT(1) "{\"total\":1,\"offset\":\"x\"}", EVENT(1), 1, 1);
}

static void blank_lines_are_no_events(void)
{
	check_page("\n" EVENT(1) "\n\r\n" EVENT(2) "\r\n{\"total\":2,\"offset\":\"x\"}\n\n",
		   EVENT(1) EVENT(2), 2, 1);
}

static void carriage_returns_pass(void)
{
	check_page("{\"a\":1}\r\n{\"b\":2}\r\n{ \"total\": 2, \"offset\":\"x\"}\r\n",
		   "{\"a\":1}\r\n{\"b\":2}\r\n", 2, 1);
}

static void missing_context_holds_the_last_line_back(void)
{
	check_page(EVENT(1) EVENT(2), EVENT(1), 1, 0);
}

static void empty_page_has_a_context_only(void)
{
	check_page("{ \"total\": 0, \"offset\":\"318d8\" }\n", "", 0, 1);
}

static void repeated_page_is_not_handed_on_twice(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	char first[256];
	snprintf(first, sizeof first, "%s%s%s", EVENT(1), EVENT(2), EVENT(3)); /* cut: no context */
	one_page(&bench, first, 7, PAGE_SKIP_POSITION);
	EQ(page_uncommitted_events(bench.page), 2);
	/* With half the limit only the first event comes: all of it was handed on before. */
	one_page(&bench, EVENT(1) "{\"total\":1,\"offset\":\"o1\"}\n", 7, PAGE_SKIP_POSITION);
	EQ(page_uncommitted_events(bench.page), 1);
	one_page(&bench, EVENT(2) EVENT(3) "{\"total\":2,\"offset\":\"o3\"}\n", 7, PAGE_SKIP_POSITION);
	EQ(page_skip_state(bench.page), PAGE_SKIP_SETTLED);
	EQ(page_uncommitted_events(bench.page), 0);
	char *out = bench_take(&bench, NULL);
	EQ_TEXT(out, EVENT(1) EVENT(2) EVENT(3));
	free(out);
	EQ(page_delivered_events(bench.page), 3);
	bench_close(&bench);
}

static void page_cut_twice_is_not_handed_on_twice(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	one_page(&bench, EVENT(1) EVENT(2) EVENT(3), 9, PAGE_SKIP_POSITION); /* 1, 2 go out */
	one_page(&bench, EVENT(1) EVENT(2), 9, PAGE_SKIP_POSITION);	     /* cut earlier */
	EQ(page_uncommitted_events(bench.page), 2);
	one_page(&bench, EVENT(1) EVENT(2) EVENT(3) EVENT(4), 9,
		 PAGE_SKIP_POSITION); /* cut later: 3 goes out */
	EQ(page_uncommitted_events(bench.page), 3);
	one_page(&bench, EVENT(1) EVENT(2) EVENT(3) EVENT(4) "{\"total\":4,\"offset\":\"o\"}", 9,
		 PAGE_SKIP_POSITION);
	char *out = bench_take(&bench, NULL);
	EQ_TEXT(out, EVENT(1) EVENT(2) EVENT(3) EVENT(4));
	free(out);
	bench_close(&bench);
}

static void different_repeat_is_noticed(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	one_page(&bench, EVENT(1) EVENT(2) EVENT(3), 9, PAGE_SKIP_POSITION);
	one_page(&bench, EVENT(1) EVENT(7) EVENT(3) "{\"total\":3,\"offset\":\"o\"}\n", 9,
		 PAGE_SKIP_POSITION);
	EQ(page_skip_state(bench.page), PAGE_SKIP_MISMATCH);
	one_page(&bench, EVENT(1) EVENT(7) EVENT(3) "{\"total\":3,\"offset\":\"o\"}\n", 9, PAGE_SKIP_NONE);
	char *out = bench_take(&bench, NULL);
	EQ_TEXT(out, EVENT(1) EVENT(2) EVENT(1) EVENT(7) EVENT(3));
	free(out);
	bench_close(&bench);
}

static void search_skips_up_to_the_last_line_handed_on(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	one_page(&bench, EVENT(1) EVENT(2) EVENT(3) "{\"total\":3,\"offset\":\"o\"}\n", 9,
		 PAGE_SKIP_POSITION);
	one_page(&bench, EVENT(1) EVENT(2) "{\"total\":2,\"offset\":\"p\"}\n", 9, PAGE_SKIP_SEARCH);
	EQ(page_skip_state(bench.page), PAGE_SKIP_OPEN);
	/* found here, but the page is cut: 4 went out */
	one_page(&bench, EVENT(3) EVENT(4) EVENT(5), 9, PAGE_SKIP_SEARCH);
	EQ(page_skip_state(bench.page), PAGE_SKIP_SETTLED);
	one_page(&bench, EVENT(3) EVENT(4) EVENT(5) "{\"total\":3,\"offset\":\"q\"}\n", 9, PAGE_SKIP_SEARCH);
	char *out = bench_take(&bench, NULL);
	EQ_TEXT(out, EVENT(1) EVENT(2) EVENT(3) EVENT(4) EVENT(5));
	free(out);
	bench_close(&bench);
}

static void event_time_is_the_newest_seen(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	one_page(&bench, EVENT(7) EVENT(3) "{\"total\":2,\"offset\":\"o\"}\n", 1000, PAGE_SKIP_POSITION);
	EQ(page_newest_event_unix_ms(bench.page), 1700000007000);
	bench_close(&bench);
}

/* Lines of many sizes around the window's, among short ones; the longest allowed, and one byte more. */
static void long_lines_pass(void)
{
	static const size_t sizes[] = { PAGE_WINDOW_BYTES / 2, PAGE_WINDOW_BYTES - 1, PAGE_WINDOW_BYTES,
					PAGE_WINDOW_BYTES + 1, 3 * PAGE_WINDOW_BYTES, PAGE_LINE_BYTES_MAX };
	struct bench bench = bench_open();
	bench_page(&bench);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t bytes = sizes[i];
		char *line = malloc(bytes + 1);
		memset(line, 'x', bytes);
		line[0] = '{';
		line[bytes] = '\n';
		page_begin(bench.page, PAGE_SKIP_POSITION);
		EQ(feed(&bench, EVENT(1), strlen(EVENT(1)), 65536), STEP_HUNGRY);
		EQ(feed(&bench, line, bytes + 1, 65536), STEP_HUNGRY);
		EQ(feed(&bench, EVENT(2), strlen(EVENT(2)), 65536), STEP_HUNGRY);
		EQ(feed(&bench, context_line, strlen(context_line), 65536), STEP_HUNGRY);
		EQ(finish(&bench), STEP_DONE);
		EQ(page_event_lines(bench.page), 3);
		EQ_TEXT(page_context(bench.page)->offset, "a;b+/=");
		page_settle(bench.page, 1);
		size_t out_bytes;
		char *out = bench_take(&bench, &out_bytes);
		size_t head = strlen(EVENT(1));
		EQ(out_bytes, 2 * head + bytes + 1);
		EQ_BYTES(out + head, bytes + 1, line, bytes + 1);
		free(out);
		free(line);
	}
	bench_close(&bench);
}

/* Giving the memory of a long line back must not touch what lies behind the window in the arena. */
static void long_line_spares_its_neighbour(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	uint8_t *neighbour = arena_take(&bench.arena, 65536, 1);
	memset(neighbour, 0xa5, 65536);
	size_t bytes = 4 * PAGE_WINDOW_BYTES;
	char *line = malloc(bytes + 1);
	memset(line, 'x', bytes);
	line[bytes] = '\n';
	page_begin(bench.page, PAGE_SKIP_POSITION);
	EQ(feed(&bench, line, bytes + 1, 65536), STEP_HUNGRY);
	for (size_t i = 0; i < 4 * PAGE_WINDOW_BYTES; i += strlen(EVENT(1)))
		EQ(feed(&bench, EVENT(1), strlen(EVENT(1)), 65536), STEP_HUNGRY);
	for (size_t i = 0; i < 65536; i++)
		EQ(neighbour[i], 0xa5);
	free(line);
	bench_close(&bench);
}

static void longer_line_is_a_fault(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	size_t bytes = PAGE_LINE_BYTES_MAX + 100;
	char *line = malloc(bytes);
	memset(line, 'x', bytes);
	page_begin(bench.page, PAGE_SKIP_POSITION);
	EQ(feed(&bench, line, bytes, 65536), STEP_BROKEN);
	EQ(page_fault(bench.page), FAULT_PAGE_LINE_LIMIT);
	free(line);
	bench_close(&bench);
}

static void html_does_not_look_like_events(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	one_page(&bench, "<html>\n<body>\n</html>\n", 5, PAGE_SKIP_POSITION);
	EQ(page_looks_like_events(bench.page), 0);
	one_page(&bench, "\n  {\"a\":1}\n{\"total\":1,\"offset\":\"o\"}\n", 5, PAGE_SKIP_NONE);
	EQ(page_looks_like_events(bench.page), 1);
	bench_close(&bench);
}

TEST_MAIN(T(events_come_out_and_the_context_does_not), T(last_line_needs_no_line_end),
	  T(blank_lines_are_no_events), T(carriage_returns_pass), T(missing_context_holds_the_last_line_back),
	  T(empty_page_has_a_context_only), T(repeated_page_is_not_handed_on_twice),
	  T(page_cut_twice_is_not_handed_on_twice), T(different_repeat_is_noticed),
	  T(search_skips_up_to_the_last_line_handed_on), T(event_time_is_the_newest_seen), T(long_lines_pass),
	  T(long_line_spares_its_neighbour), T(longer_line_is_a_fault), T(html_does_not_look_like_events))
