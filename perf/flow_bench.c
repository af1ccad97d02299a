/* SPDX-License-Identifier: Apache-2.0
 *
 * The in-memory limit of the flow: the same decoder, scanner and page logic over the same compressed bytes,
 * already in memory, without ring, TLS and HTTP.
 *
 *	flow_bench FILE.gz [FILE.gz] [--inflate ENGINE] [--seconds S]
 *	flow_bench --quick
 *
 * A file is a page as the server sent it (perf/flow/flow.py fetches them). Two files are two streams on one
 * core, decoded in one loop as long as both have something left; they begin half a page apart, and who is
 * through begins again. ENGINE is what the collector's -inflate takes. --quick makes small pages of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/clock.h"
#include "control/control.h"
#include "flow/flow.h"
#include "flow/page.h"
#include "scan/scan.h"

enum { PIECE_BYTES = 131072, STREAMS_MAX = 2, QUICK_EVENTS = 500, QUICK_BODY_BYTES = 1 << 20 };

static const struct {
	const char *name;
	enum inflate_engine engine;
} engines[] = {
	{ "auto", INFLATE_ENGINE_AUTO },
	{ "own", INFLATE_ENGINE_OWN },
	{ "own-c", INFLATE_ENGINE_OWN_C },
	{ "isal", INFLATE_ENGINE_ISAL },
	{ "libdeflate", INFLATE_ENGINE_LIBDEFLATE },
};

struct feed {
	uint8_t *body;
	size_t bytes;
	struct inflate *inflate;
	struct page *page;
	struct cursor_in in;
	struct cursor_out room;
	const uint8_t *fresh;
	enum step step;
	uint64_t pages, plain_bytes; /* since the start */
	uint64_t page_events, page_plain_bytes;
};

struct rig {
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct control *control;
	struct stage_slot stage;
	const struct page *turn;
	struct feed feeds[STREAMS_MAX];
	size_t count;
	enum inflate_engine engine;
	double seconds;
};

static void fail(const char *what)
{
	fprintf(stderr, "flow_bench: %s\n", what);
	exit(1);
}

static void rig_open(struct rig *rig)
{
	struct ring_options ring_options = { .engine = RING_ENGINE_POLL, .operations_max = 16 };
	struct ring_report report;
	struct sink_options sink_options = { .kind = SINK_NULL };
	char error[SINK_ERROR_BYTES_MAX];
	size_t stream_bytes = page_bytes_needed() + inflate_bytes_needed(rig->engine) + (1 << 20);
	if (arena_open(&rig->arena, rig->count * stream_bytes + (8 << 20)) < 0 ||
	    ring_open(&ring_options, &rig->arena, &rig->ring, &report) < 0 ||
	    sink_open(&sink_options, rig->ring, &rig->arena, &rig->sink, error) != FAULT_NONE)
		fail("out of memory");
	rig->control = control_create();
	for (size_t i = 0; i < rig->count; i++) {
		struct page_tools tools = {
			.kernel = scan_kernel_pick(NULL),
			.control = rig->control,
			.sink = rig->sink,
			.stage = &rig->stage,
			.turn = &rig->turn,
		};
		rig->feeds[i].inflate = inflate_create(rig->engine, &rig->arena);
		if (!rig->feeds[i].inflate)
			fail("out of memory");
		rig->feeds[i].page = page_create(&tools, &rig->arena);
	}
}

static void rig_close(struct rig *rig)
{
	for (size_t i = 0; i < rig->count; i++) {
		inflate_finish(rig->feeds[i].inflate);
		free(rig->feeds[i].body);
	}
	ring_finish(rig->ring);
	sink_close(rig->sink);
	control_destroy(rig->control);
	arena_finish(&rig->arena);
}

static void feed_begin(struct feed *feed)
{
	feed->in = (struct cursor_in){ feed->body, feed->body };
	feed->step = STEP_HUNGRY;
	inflate_begin(feed->inflate);
	page_begin(feed->page, PAGE_SKIP_NONE, 0);
}

static void feed_prepare(struct feed *feed)
{
	size_t left = (size_t)(feed->body + feed->bytes - feed->in.next);
	if (feed->step != STEP_FULL)
		feed->in.end = feed->in.next + (left < PIECE_BYTES ? left : PIECE_BYTES);
	if (left == 0)
		inflate_input_over(feed->inflate);
	feed->room = page_room(feed->page);
	feed->fresh = feed->room.next;
}

static void feed_take(struct feed *feed)
{
	size_t bytes = (size_t)(feed->room.next - feed->fresh);
	if (feed->step == STEP_BROKEN || page_filled(feed->page, bytes) != STEP_HUNGRY)
		fail("a page is damaged");
	feed->plain_bytes += bytes;
}

/* All input went in and everything came out: on to the next page, which is the same. */
static void feed_again(struct feed *feed)
{
	if (inflate_end(feed->inflate) != FAULT_NONE || page_end(feed->page) != STEP_DONE ||
	    !page_context(feed->page))
		fail("a page is not complete");
	feed->page_events = page_event_lines(feed->page);
	feed->page_plain_bytes = page_plain_bytes(feed->page);
	feed->pages++;
	page_settle(feed->page, 1);
	feed_begin(feed);
}

static void feed_step(struct feed *feed)
{
	int is_over = feed->step != STEP_FULL && feed->in.next == feed->body + feed->bytes;
	feed_prepare(feed);
	feed->step = inflate_push(feed->inflate, &feed->in, page_history(feed->page), &feed->room);
	feed_take(feed);
	if (is_over && feed->step != STEP_FULL)
		feed_again(feed);
}

/* Both take a step, in one loop while they can. Who has no input left takes its last ones alone. */
static void feeds_step(struct feed feeds[2])
{
	struct inflate_job jobs[2];
	for (int i = 0; i < 2; i++)
		if (feeds[i].step != STEP_FULL && feeds[i].in.next == feeds[i].body + feeds[i].bytes) {
			feed_step(&feeds[i]);
			return;
		}
	for (int i = 0; i < 2; i++) {
		feed_prepare(&feeds[i]);
		jobs[i] = (struct inflate_job){ feeds[i].inflate, &feeds[i].in, page_history(feeds[i].page),
						&feeds[i].room, STEP_HUNGRY };
	}
	inflate_push_beside(&jobs[0], &jobs[1]);
	for (int i = 0; i < 2; i++) {
		feeds[i].step = jobs[i].step;
		feed_take(&feeds[i]);
	}
}

/* A page of `count` events of some 1.9 KB for --quick. */
static size_t make_page(uint8_t *out, size_t out_bytes, unsigned count)
{
	z_stream stream = { 0 };
	deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	stream.next_out = out;
	stream.avail_out = (uInt)out_bytes;
	static char line[4096];
	for (unsigned i = 0; i <= count; i++) {
		int bytes = i < count
				    ? snprintf(line, sizeof line,
					       "{\"attackData\":{\"rules\":\"%01800u\"},\"httpMessage\":{"
					       "\"start\":\"%u\"}}\n",
					       i * 2654435761u, 1700000000 + i)
				    : snprintf(line, sizeof line, "{\"total\":%u,\"offset\":\"x\"}\n", count);
		stream.next_in = (Bytef *)line;
		stream.avail_in = (uInt)bytes;
		deflate(&stream, i < count ? Z_NO_FLUSH : Z_FINISH);
	}
	size_t total = stream.total_out;
	deflateEnd(&stream);
	return total;
}

static void feed_load(struct feed *feed, const char *path)
{
	FILE *file = path ? fopen(path, "rb") : NULL;
	struct stat status = { .st_size = QUICK_BODY_BYTES };
	if (path && (!file || fstat(fileno(file), &status) != 0)) {
		fprintf(stderr, "flow_bench: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	feed->body = malloc((size_t)status.st_size);
	if (!feed->body)
		fail("out of memory");
	if (!file) {
		feed->bytes = make_page(feed->body, QUICK_BODY_BYTES, QUICK_EVENTS);
		return;
	}
	feed->bytes = fread(feed->body, 1, (size_t)status.st_size, file);
	fclose(file);
}

static uint64_t plain_bytes_of(const struct rig *rig)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < rig->count; i++)
		bytes += rig->feeds[i].plain_bytes;
	return bytes;
}

/* One page of each, which warms up and tells their size; then the first is led half a page ahead. */
static void warm_up(struct rig *rig)
{
	for (size_t i = 0; i < rig->count; i++) {
		feed_begin(&rig->feeds[i]);
		while (rig->feeds[i].pages == 0)
			feed_step(&rig->feeds[i]);
	}
	struct feed *first = &rig->feeds[0];
	while (rig->count == 2 && (size_t)(first->in.next - first->body) < first->bytes / 2)
		feed_step(first);
}

static void measure(struct rig *rig)
{
	uint64_t page_events = 0, page_plain_bytes = 0, body_bytes = 0;
	warm_up(rig);
	for (size_t i = 0; i < rig->count; i++) {
		page_events += rig->feeds[i].page_events;
		page_plain_bytes += rig->feeds[i].page_plain_bytes;
		body_bytes += rig->feeds[i].bytes;
	}
	uint64_t before_bytes = plain_bytes_of(rig);
	int64_t start_ns = clock_process_cpu_ns(), used_ns;
	do {
		if (rig->count == 2)
			feeds_step(rig->feeds);
		else
			feed_step(&rig->feeds[0]);
		used_ns = clock_process_cpu_ns() - start_ns;
	} while ((double)used_ns < rig->seconds * 1e9);
	double bytes_per_event = (double)page_plain_bytes / (double)page_events;
	double events = (double)(plain_bytes_of(rig) - before_bytes) / bytes_per_event;
	printf("{\"bench\": \"flow_in_memory\", \"inflate\": \"%s\", \"streams\": %zu, \"events\": %.0f, "
	       "\"cpu_seconds\": %.4f, \"cpu_seconds_per_million\": %.4f, \"plain_bytes_per_event\": %.1f, "
	       "\"ratio\": %.3f}\n",
	       inflate_engine_name(rig->feeds[0].inflate), rig->count, events, (double)used_ns / 1e9,
	       (double)used_ns / 1e3 / events, bytes_per_event,
	       (double)page_plain_bytes / (double)body_bytes);
}

static void usage(const char *argument)
{
	fprintf(stderr,
		"flow_bench: not understood: %s\n"
		"usage: flow_bench FILE.gz [FILE.gz] [--inflate ENGINE] [--seconds S]\n"
		"       flow_bench --quick\n",
		argument);
	exit(2);
}

static enum inflate_engine engine_named(const char *name)
{
	for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
		if (strcmp(engines[i].name, name) == 0)
			return engines[i].engine;
	usage(name);
	return INFLATE_ENGINE_AUTO;
}

static double seconds_of(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);
	if (end == text || *end || !(seconds > 0) || seconds > 3600)
		usage(text);
	return seconds;
}

static void arguments_read(struct rig *rig, char **arguments)
{
	for (; *arguments; arguments++) {
		const char *name = *arguments;
		if (strncmp(name, "--", 2) != 0) {
			if (rig->count == STREAMS_MAX)
				usage(name);
			feed_load(&rig->feeds[rig->count++], name);
			continue;
		}
		if (!arguments[1])
			usage(name);
		arguments++;
		if (strcmp(name, "--inflate") == 0)
			rig->engine = engine_named(*arguments);
		else if (strcmp(name, "--seconds") == 0)
			rig->seconds = seconds_of(*arguments);
		else
			usage(name);
	}
	if (rig->count == 0)
		usage("no file");
}

static void quick(void)
{
	for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
		for (size_t count = 1; count <= STREAMS_MAX; count++) {
			struct rig rig = { .engine = engines[i].engine, .count = count, .seconds = 0.02 };
			for (size_t feed = 0; feed < count; feed++)
				feed_load(&rig.feeds[feed], NULL);
			rig_open(&rig);
			measure(&rig);
			rig_close(&rig);
		}
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--quick") == 0) {
		quick();
		return 0;
	}
	struct rig rig = { .seconds = 3 };
	arguments_read(&rig, argc > 0 ? argv + 1 : argv);
	rig_open(&rig);
	measure(&rig);
	rig_close(&rig);
	return 0;
}
