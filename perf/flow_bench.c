/* SPDX-License-Identifier: Apache-2.0
 *
 * The in-memory limit of the flow: the same decoder, scanner and page logic over the same compressed bytes,
 * already in memory, without ring, TLS and HTTP. `flow_bench FILE.gz [SECONDS]` takes a page as the server
 * sent it (perf/flow/flow.py fetches one); `--quick` makes a small one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/clock.h"
#include "control/control.h"
#include "flow/flow.h"
#include "flow/page.h"
#include "scan/scan.h"

enum { PIECE_BYTES = 131072, PAGE_BYTES_MAX = 256 << 20 };

struct rig {
	struct arena arena;
	struct ring *ring;
	struct sink *sink;
	struct control *control;
	struct stage_slot stage;
	struct inflate *inflate;
	struct page *page;
};

static void rig_open(struct rig *rig)
{
	struct ring_options ring_options = { .engine = RING_ENGINE_POLL, .operations_max = 16 };
	struct ring_report report;
	struct sink_options sink_options = { .kind = SINK_NULL };
	char error[SINK_ERROR_BYTES_MAX];
	if (arena_open(&rig->arena, page_bytes_needed() + (8 << 20)) < 0 ||
	    ring_open(&ring_options, &rig->arena, &rig->ring, &report) < 0 ||
	    sink_open(&sink_options, rig->ring, &rig->arena, &rig->sink, error) != FAULT_NONE)
		abort();
	rig->control = control_create();
	rig->inflate = inflate_create(INFLATE_ENGINE_AUTO, &rig->arena);
	struct page_tools tools = {
		.kernel = scan_kernel_pick(NULL),
		.control = rig->control,
		.sink = rig->sink,
		.stage = &rig->stage,
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

static uint64_t rig_page(struct rig *rig, const uint8_t *body, size_t bytes)
{
	inflate_begin(rig->inflate);
	page_begin(rig->page, PAGE_SKIP_NONE, 0);
	for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
		size_t end = at + PIECE_BYTES < bytes ? at + PIECE_BYTES : bytes;
		struct cursor_in in = { body + at, body + end };
		enum step step;
		do {
			struct cursor_out room = page_room(rig->page);
			const uint8_t *base = room.next;
			step = inflate_push(rig->inflate, &in, page_history(rig->page), &room);
			if (step == STEP_BROKEN ||
			    page_filled(rig->page, (size_t)(room.next - base)) != STEP_HUNGRY) {
				fprintf(stderr, "flow_bench: the page is damaged\n");
				exit(1);
			}
		} while (step == STEP_FULL || in.next < in.end);
	}
	if (inflate_end(rig->inflate) != FAULT_NONE || page_end(rig->page) != STEP_DONE ||
	    !page_context(rig->page)) {
		fprintf(stderr, "flow_bench: the page is not complete\n");
		exit(1);
	}
	page_settle(rig->page, 1);
	return page_event_lines(rig->page);
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

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	double seconds = argc > 2 ? atof(argv[2]) : quick ? 0.05 : 3;
	if (argc < 2) {
		puts("{\"bench\": \"flow_in_memory\", \"note\": \"perf/flow/flow.py runs it with a page\"}");
		return 0;
	}
	uint8_t *body = malloc(PAGE_BYTES_MAX);
	size_t bytes;
	if (quick) {
		bytes = make_page(body, PAGE_BYTES_MAX, 500);
	} else {
		FILE *file = fopen(argv[1], "rb");
		if (!file) {
			perror(argv[1]);
			return 1;
		}
		bytes = fread(body, 1, PAGE_BYTES_MAX, file);
		fclose(file);
	}
	struct rig rig = { 0 };
	rig_open(&rig);
	rig_page(&rig, body, bytes); /* warm up */
	uint64_t events = 0;
	int64_t start_ns = clock_process_cpu_ns();
	int64_t used_ns;
	do {
		events += rig_page(&rig, body, bytes);
		used_ns = clock_process_cpu_ns() - start_ns;
	} while ((double)used_ns < seconds * 1e9);
	printf("{\"bench\": \"flow_in_memory\", \"events\": %llu, \"cpu_seconds\": %.4f, "
	       "\"cpu_seconds_per_million\": %.4f, \"plain_bytes_per_event\": %.1f, \"ratio\": %.3f}\n",
	       (unsigned long long)events, (double)used_ns / 1e9, (double)used_ns / 1e3 / (double)events,
	       (double)page_plain_bytes(rig.page) / (double)page_event_lines(rig.page),
	       (double)page_plain_bytes(rig.page) / (double)bytes);
	rig_close(&rig);
	free(body);
	return 0;
}
