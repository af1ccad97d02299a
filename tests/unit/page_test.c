/* SPDX-License-Identifier: Apache-2.0
 *
 * page: lines, the context, long lines, the promise that nothing is handed on twice, and the observer who
 * sees events and makes lines. Each case runs whole, byte by byte and at every split point; the lines come
 * out of a real sink into a real file.
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

/* Sees events: notes each with its place, and makes lines of its own. */
struct observer {
	char seen[4096];	 /* "OFFSET LINE\n" */
	unsigned count, fail_at; /* the event that is refused, from 1 on; 0: none */
	size_t make_bytes;	 /* of the line that is made for each event, line end included; 0: none */
	char *made;
	size_t made_from, made_to;
	uint64_t made_lines;
};

enum { MADE_BYTES_MAX = 2 << 20 };

struct bench {
	struct observer observer;
	const struct page *turn;
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

static void observer_make(struct observer *observer, size_t bytes)
{
	LE(observer->made_to + bytes, (size_t)MADE_BYTES_MAX);
	char *line = observer->made + observer->made_to;
	memset(line, 'm', bytes);
	line[0] = (char)('0' + observer->count % 10);
	line[bytes - 1] = '\n';
	observer->made_to += bytes;
	observer->made_lines++;
}

static enum fault observer_event(void *owner, struct span line, uint64_t offset)
{
	struct observer *observer = owner;
	size_t used = strlen(observer->seen);
	if (++observer->count == observer->fail_at)
		return FAULT_PROGRAM;
	snprintf(observer->seen + used, sizeof observer->seen - used, "%llu %.*s\n",
		 (unsigned long long)offset, (int)line.bytes, (const char *)line.base);
	if (observer->make_bytes)
		observer_make(observer, observer->make_bytes);
	return FAULT_NONE;
}

static struct span observer_made(void *owner, uint64_t *ret_lines)
{
	struct observer *observer = owner;
	*ret_lines = observer->made_lines;
	return span_of(observer->made + observer->made_from, observer->made_to - observer->made_from);
}

static void observer_made_consume(void *owner, size_t bytes)
{
	struct observer *observer = owner;
	observer->made_from += bytes;
	if (observer->made_from == observer->made_to)
		observer->made_from = observer->made_to = 0;
}

static void bench_page(struct bench *bench)
{
	struct page_tools tools = {
		.kernel = scan_kernel_pick(NULL),
		.control = bench->control,
		.sink = bench->sink,
		.stage = &bench->stage,
		.turn = &bench->turn,
		.observer = { &bench->observer, observer_event, observer_made, observer_made_consume },
	};
	bench->observer.made = malloc(MADE_BYTES_MAX);
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
	free(bench->observer.made);
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
	page_begin(bench->page, skip, 0);
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
		page_begin(bench.page, PAGE_SKIP_NONE, 0);
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
		page_begin(bench.page, PAGE_SKIP_POSITION, 0);
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
	page_begin(bench.page, PAGE_SKIP_POSITION, 0);
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
	page_begin(bench.page, PAGE_SKIP_POSITION, 0);
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

/* Piece by piece when `piece` is small, else in two. The last answer. */
static enum step feed_split(struct bench *bench, const char *text, size_t piece)
{
	size_t bytes = strlen(text);
	enum step step;
	if (piece > 3) {
		step = feed(bench, text, piece, piece);
		if (step == STEP_HUNGRY)
			step = feed(bench, text + piece, bytes - piece, bytes);
	} else {
		step = feed(bench, text, bytes, piece);
	}
	return step == STEP_HUNGRY ? finish(bench) : step;
}

static void out_is(struct bench *bench, const char *want)
{
	char *out = bench_take(bench, NULL);
	EQ_TEXT(out, want);
	free(out);
}

static void tail_may_be_an_event(void)
{
	static const struct {
		const char *text, *events, *seen;
		uint64_t lines;
	} cases[] = {
		{ "a\nbb\n\r\nccc\n", "a\nbb\nccc\n", "0 a\n2 bb\n7 ccc\n", 3 },
		{ "a\n\n\nbb", "a\nbb\n", "0 a\n4 bb\n", 2 }, /* a gap in front, and no line end behind */
		{ "a", "a\n", "0 a\n", 1 },
		{ "a\r\nb\r", "a\r\nb\r\n", "0 a\n3 b\n", 2 },
		{ "{\"total\":0,\"offset\":\"x\"}\n", "{\"total\":0,\"offset\":\"x\"}\n",
		  "0 {\"total\":0,\"offset\":\"x\"}\n", 1 },
		{ "\n\n", "", "", 0 },
		{ "", "", "", 0 },
	};
	struct bench bench = bench_open();
	bench_page(&bench);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t piece = 1; piece <= strlen(cases[i].text); piece++) {
			bench.observer.seen[0] = 0;
			page_begin(bench.page, PAGE_SKIP_NONE, PAGE_TAIL_IS_EVENT | PAGE_SHOW);
			EQ(feed_split(&bench, cases[i].text, piece), STEP_DONE);
			EQ(page_context(bench.page) == NULL, 1);
			EQ(page_event_lines(bench.page), cases[i].lines);
			page_settle(bench.page, 1);
			out_is(&bench, cases[i].events);
			EQ_TEXT(bench.observer.seen, cases[i].seen);
		}
	}
	bench_close(&bench);
}

/* The last bytes of a page fill the sink's last buffer, so that the line end has to wait for room. */
static void tail_gets_its_line_end_when_there_is_room(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	for (int more = -1; more <= 1; more++) {
		size_t bytes = (size_t)(SINK_BUFFER_BYTES * SINK_BUFFER_COUNT + more);
		char *text = malloc(bytes);
		for (size_t i = 0; i < bytes; i++)
			text[i] = i % 1000 == 999 ? '\n' : 'x';
		text[bytes - 1] = 'y';
		uint64_t before = page_delivered_events(bench.page);
		page_begin(bench.page, PAGE_SKIP_NONE, PAGE_TAIL_IS_EVENT);
		EQ(feed(&bench, text, bytes, 65536), STEP_HUNGRY);
		EQ(finish(&bench), STEP_DONE);
		EQ(page_delivered_events(bench.page) - before, (bytes + 999) / 1000);
		page_settle(bench.page, 1);
		size_t out_bytes;
		char *out = bench_take(&bench, &out_bytes);
		EQ(out_bytes, bytes + 1);
		EQ(memcmp(out, text, bytes), 0);
		EQ(out[bytes], '\n');
		free(out);
		free(text);
	}
	bench_close(&bench);
}

static void kept_events_are_counted_and_skipped_like_others(void)
{
	static const char cut[] = "a\nbb\nc", whole[] = "a\nbb\nccc\ndddd\n";
	unsigned flags = PAGE_TAIL_IS_EVENT | PAGE_KEEP | PAGE_SHOW;
	for (size_t piece = 1; piece < sizeof cut; piece++) {
		struct bench bench = bench_open();
		bench_page(&bench);
		page_begin(bench.page, PAGE_SKIP_POSITION, flags);
		EQ(feed(&bench, cut, sizeof cut - 1, piece), STEP_HUNGRY); /* and then the connection ends */
		page_settle(bench.page, 0);
		EQ(page_event_lines(bench.page), 1); /* the last whole line is held back */
		EQ_TEXT(bench.observer.seen, "0 a\n");
		EQ(page_uncommitted_events(bench.page), 0); /* none has left us */
		bench.observer.seen[0] = 0;
		page_begin(bench.page, PAGE_SKIP_POSITION, flags);
		EQ(feed_split(&bench, whole, piece), STEP_DONE);
		EQ(page_skip_state(bench.page), PAGE_SKIP_SETTLED);
		EQ(page_event_lines(bench.page), 4);
		EQ_TEXT(bench.observer.seen, "2 bb\n5 ccc\n9 dddd\n");
		page_settle(bench.page, 1);
		EQ(page_delivered_events(bench.page), 0);
		EQ(page_delivered_bytes(bench.page), 0);
		out_is(&bench, "");
		bench_close(&bench);
	}
}

static void repeated_events_are_not_shown_again(void)
{
	static const char cut[] = "a\nbb\nccc\n", whole[] = "a\nbb\nccc\nd\n{\"total\":4,\"offset\":\"o\"}\n";
	for (size_t piece = 1; piece < sizeof whole; piece++) {
		struct bench bench = bench_open();
		bench_page(&bench);
		page_begin(bench.page, PAGE_SKIP_POSITION, PAGE_SHOW);
		EQ(feed(&bench, cut, sizeof cut - 1, piece), STEP_HUNGRY);
		page_settle(bench.page, 0);
		page_begin(bench.page, PAGE_SKIP_POSITION, PAGE_SHOW);
		EQ(feed_split(&bench, whole, piece), STEP_DONE);
		page_settle(bench.page, 1);
		EQ_TEXT(bench.observer.seen, "0 a\n2 bb\n5 ccc\n9 d\n");
		/* A search shows what lies behind the last line handed on. */
		page_begin(bench.page, PAGE_SKIP_SEARCH, PAGE_SHOW);
		EQ(feed_split(&bench, "ccc\nd\ne\n{\"total\":3,\"offset\":\"p\"}\n", 2), STEP_DONE);
		page_settle(bench.page, 1);
		EQ_TEXT(bench.observer.seen, "0 a\n2 bb\n5 ccc\n9 d\n6 e\n");
		out_is(&bench, "a\nbb\nccc\nd\ne\n");
		bench_close(&bench);
	}
}

static void refused_event_breaks_the_page(void)
{
	static const char text[] = "a\nbb\nccc\ndddd\neeeee\n";
	static const char *const out_before[] = { "", "a\n", "a\nbb\n", "a\nbb\nccc\n",
						  "a\nbb\nccc\ndddd\n" };
	for (unsigned fail_at = 1; fail_at <= 5; fail_at++) {
		for (size_t piece = 1; piece < sizeof text; piece++) {
			struct bench bench = bench_open();
			bench_page(&bench);
			bench.observer.fail_at = fail_at;
			page_begin(bench.page, PAGE_SKIP_POSITION, PAGE_SHOW | PAGE_TAIL_IS_EVENT);
			EQ(feed_split(&bench, text, piece), STEP_BROKEN);
			EQ(page_fault(bench.page), FAULT_PROGRAM);
			EQ(bench.observer.count, fail_at);
			struct cursor_out room = page_room(bench.page);
			EQ(cursor_out_bytes(&room), 0);
			EQ(page_filled(bench.page, 0), STEP_BROKEN);
			EQ(page_end(bench.page), STEP_BROKEN);
			EQ(bench.observer.count, fail_at); /* not asked again */
			page_settle(bench.page, 0);
			EQ(page_event_lines(bench.page), fail_at - 1);
			EQ(page_uncommitted_events(bench.page), fail_at - 1);
			out_is(&bench, out_before[fail_at - 1]);
			bench_close(&bench);
		}
	}
}

/* Lines "1m...", "2m..." come behind the events that they were made for, and in their order. */
static void made_lines_are_in_place(const char *out, unsigned events, int kept)
{
	unsigned event = 0, made = 0;
	while (*out) {
		const char *end = strchr(out, '\n');
		NE(end == NULL, 1);
		if (out[1] == 'm') {
			EQ(out[0], (char)('0' + ++made % 10));
			LE(made, kept ? events : event);
		} else {
			EQ(out[0], (char)('a' + event++));
		}
		out = end + 1;
	}
	EQ(made, events);
	EQ(event, kept ? 0 : events);
}

static void made_lines_go_out_behind_their_events(void)
{
	static const char text[] = "a\nb\nc\n\nd\ne";
	for (int kept = 0; kept <= 1; kept++) {
		for (size_t piece = 1; piece < sizeof text; piece++) {
			struct bench bench = bench_open();
			bench_page(&bench);
			bench.observer.make_bytes = 6;
			unsigned flags = PAGE_SHOW | PAGE_TAIL_IS_EVENT | (kept ? PAGE_KEEP : 0);
			page_begin(bench.page, PAGE_SKIP_POSITION, flags);
			EQ(feed_split(&bench, text, piece), STEP_DONE);
			EQ(page_event_lines(bench.page), 5);
			EQ(page_made_events(bench.page), 5);
			EQ(page_delivered_events(bench.page), kept ? 5 : 10);
			EQ(page_delivered_bytes(bench.page), kept ? 30 : 40);
			page_settle(bench.page, 0);
			EQ(page_uncommitted_events(bench.page), kept ? 5 : 10);
			page_settle(bench.page, 1);
			EQ(page_uncommitted_events(bench.page), 0);
			char *out = bench_take(&bench, NULL);
			made_lines_are_in_place(out, 5, kept);
			free(out);
			bench_close(&bench);
		}
	}
}

/* More than the sink holds at once: everything waits for it, in order, and each event is shown once. */
static void much_that_is_made_waits_for_the_sink(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	enum { EVENTS = 9 };
	bench.observer.make_bytes = 400000;
	char text[2 * EVENTS + 1];
	for (unsigned i = 0; i < EVENTS; i++)
		snprintf(text + 2 * (size_t)i, 3, "%c\n", 'a' + (int)i);
	for (int kept = 0; kept <= 1; kept++) {
		bench.observer.count = 0;
		page_begin(bench.page, PAGE_SKIP_NONE,
			   PAGE_SHOW | PAGE_TAIL_IS_EVENT | (kept ? PAGE_KEEP : 0));
		EQ(feed_split(&bench, text, 7), STEP_DONE);
		EQ(bench.observer.count, EVENTS);
		page_settle(bench.page, 1);
		char *out = bench_take(&bench, NULL);
		made_lines_are_in_place(out, EVENTS, kept);
		free(out);
	}
	bench_close(&bench);
}

static void made_lines_go_out_between_pages(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	EQ(page_drain_made(bench.page), STEP_HUNGRY); /* nothing is made */
	observer_make(&bench.observer, 10);
	EQ(page_drain_made(bench.page), STEP_HUNGRY);
	EQ(page_uncommitted_events(bench.page), 1);
	page_settle_made(bench.page);
	EQ(page_uncommitted_events(bench.page), 0);
	out_is(&bench, "0mmmmmmmm\n");
	/* Behind a page that broke as well. */
	bench.observer.fail_at = 1;
	page_begin(bench.page, PAGE_SKIP_POSITION, PAGE_SHOW);
	EQ(feed(&bench, "a\nb\n", 4, 4), STEP_BROKEN);
	observer_make(&bench.observer, 4);
	EQ(page_drain_made(bench.page), STEP_HUNGRY);
	page_settle(bench.page, 0);
	EQ(page_uncommitted_events(bench.page), 1);
	out_is(&bench, "1mm\n");
	bench_close(&bench);
}

/* While half a line of one page is with the sink, another page's lines stay out. */
static void made_lines_wait_for_their_turn(void)
{
	struct bench bench = bench_open();
	bench_page(&bench);
	size_t bytes = SINK_BUFFER_BYTES * SINK_BUFFER_COUNT + 10;
	const struct page *other = (const struct page *)&bench;
	observer_make(&bench.observer, 5);
	bench.turn = other;
	EQ(page_drain_made(bench.page), STEP_FULL);
	EQ(page_made_events(bench.page), 0);
	bench.turn = NULL;
	EQ(page_drain_made(bench.page), STEP_HUNGRY);
	EQ(bench.turn == NULL, 1);
	for (int i = 0; i < 2; i++)
		observer_make(&bench.observer, bytes / 2);
	EQ(page_drain_made(bench.page), STEP_FULL);
	EQ(bench.turn == bench.page, 1);
	while (page_drain_made(bench.page) == STEP_FULL)
		bench_wait(&bench);
	EQ(bench.turn == NULL, 1);
	EQ(page_made_events(bench.page), 3);
	size_t out_bytes;
	char *out = bench_take(&bench, &out_bytes);
	EQ(out_bytes, bytes + 5);
	free(out);
	bench_close(&bench);
}

TEST_MAIN(T(events_come_out_and_the_context_does_not), T(last_line_needs_no_line_end),
	  T(blank_lines_are_no_events), T(carriage_returns_pass), T(missing_context_holds_the_last_line_back),
	  T(empty_page_has_a_context_only), T(repeated_page_is_not_handed_on_twice),
	  T(page_cut_twice_is_not_handed_on_twice), T(different_repeat_is_noticed),
	  T(search_skips_up_to_the_last_line_handed_on), T(event_time_is_the_newest_seen), T(long_lines_pass),
	  T(long_line_spares_its_neighbour), T(longer_line_is_a_fault), T(html_does_not_look_like_events),
	  T(tail_may_be_an_event), T(tail_gets_its_line_end_when_there_is_room),
	  T(kept_events_are_counted_and_skipped_like_others), T(repeated_events_are_not_shown_again),
	  T(refused_event_breaks_the_page), T(made_lines_go_out_behind_their_events),
	  T(much_that_is_made_waits_for_the_sink), T(made_lines_go_out_between_pages),
	  T(made_lines_wait_for_their_turn))
