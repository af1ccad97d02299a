/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "control/control.h"
#include "flow/worker.h"
#include "scan/scan.h"

/* Everything but the decoder's, the page's and the driver's address space, per stream; and what all streams
 * share. */
#define FLOW_STREAM_BYTES ((size_t)4 << 20)
#define FLOW_SHARED_BYTES ((size_t)8 << 20)
/* Operations that are taken between two looks at what was received: each takes a few microseconds at most. */
#define COLLECT_MAX 64

int flow_resolve(struct flow *flow, unsigned server)
{
	const struct flow_server *wanted = &flow->settings.servers[server];
	struct flow_addresses *addresses = &flow->addresses[server];
	int code = resolve_host(wanted->host, wanted->port, &addresses->resolved);
	addresses->valid = code == 0;
	return code;
}

static int flow_open_ring(struct flow *flow, char *error)
{
	struct ring_options options = flow->settings.ring;
	options.operations_max = (unsigned)(flow->settings.config_count * 4 + 16);
	options.handed_over = flow->settings.place != NULL;
	int code = ring_open(&options, &flow->arena, &flow->ring, &flow->ring_report);
	if (code == 0)
		return 0;
	snprintf(error, FLOW_TEXT_BYTES_MAX, "%s",
		 flow->ring_report.notice[0] ? flow->ring_report.notice : strerror(-code));
	return -1;
}

static int flow_open_rooms(struct flow *flow, char *error)
{
	if (flow_open_ring(flow, error) < 0)
		return -1;
	char sink_error[SINK_ERROR_BYTES_MAX];
	if (sink_open(&flow->settings.sink, flow->ring, &flow->arena, &flow->sink, sink_error) !=
	    FAULT_NONE) {
		snprintf(error, FLOW_TEXT_BYTES_MAX, "%s", sink_error);
		return -1;
	}
	flow->kernel = scan_kernel_pick(flow->settings.scan_kernel);
	if (!flow->kernel) {
		snprintf(error, FLOW_TEXT_BYTES_MAX,
			 "the scan kernel \"%s\" is unknown, or this CPU cannot run it",
			 flow->settings.scan_kernel);
		return -1;
	}
	const struct flow_settings *settings = &flow->settings;
	int needs_text = settings->program || settings->states;
	flow->control = control_create();
	if (settings->parse_full)
		flow->decoder = control_decoder_create();
	if (needs_text)
		flow->text_decoder = control_decoder_create();
	if (!flow->control || (settings->parse_full && !flow->decoder) ||
	    (needs_text && !flow->text_decoder)) {
		snprintf(error, FLOW_TEXT_BYTES_MAX, "out of memory");
		return -1;
	}
	return 0;
}

static size_t flow_bytes_needed(const struct flow_settings *settings)
{
	size_t driver_bytes = settings->program
				      ? driver_program_bytes_needed(settings) + PROGRAM_BODY_BYTES_MAX
				      : driver_plan_bytes_needed();
	return FLOW_SHARED_BYTES +
	       settings->config_count * (FLOW_STREAM_BYTES + inflate_bytes_needed(settings->inflate) +
					 page_bytes_needed() + driver_bytes);
}

static int flow_open_streams(struct flow *flow, char *error)
{
	const struct flow_settings *settings = &flow->settings;
	flow->addresses = arena_take(&flow->arena, settings->server_count * sizeof *flow->addresses, 64);
	flow->streams = arena_take(&flow->arena, settings->config_count * sizeof *flow->streams, 64);
	while (flow->stream_count < settings->config_count) {
		struct stream *stream = &flow->streams[flow->stream_count];
		if (stream_init(stream, flow, flow->stream_count++, error) < 0)
			return -1;
	}
	return 0;
}

struct flow *flow_create(const struct flow_settings *settings, char error[static FLOW_TEXT_BYTES_MAX])
{
	CHECK_NE(settings->config_count, (size_t)0);
	CHECK_LE(settings->config_count, (size_t)FLOW_STREAMS_MAX);
	CHECK_NE(settings->server_count, (size_t)0);
	CHECK_LE(settings->server_count, (size_t)FLOW_SERVERS_MAX);
	struct arena arena;
	int code = arena_open(&arena, flow_bytes_needed(settings));
	if (code < 0) {
		snprintf(error, FLOW_TEXT_BYTES_MAX, "cannot reserve memory: %s", strerror(-code));
		return NULL;
	}
	struct flow *flow = arena_take(&arena, sizeof *flow, 64);
	flow->settings = *settings;
	flow->arena = arena;
	flow->stage = settings->stage ? settings->stage : &flow->own_stage;
	if (flow->settings.stall_ns == 0)
		flow->settings.stall_ns = FLOW_STALL_NS;
	flow->start_ns = clock_monotonic_ns();
	flow->budget_end_ns = settings->budget_ns ? flow->start_ns + settings->budget_ns : INT64_MAX;
	flow->duration_end_ns = settings->duration_ns ? flow->start_ns + settings->duration_ns : INT64_MAX;
	if (flow_open_rooms(flow, error) < 0 || flow_open_streams(flow, error) < 0) {
		flow_finish(flow);
		return NULL;
	}
	connection_kernel_probe(flow);
	flow->ring_report = *ring_report_of(flow->ring);
	arena_close(&flow->arena);
	return flow;
}

static int64_t flow_advance_streams(struct flow *flow, int64_t now_ns)
{
	int64_t deadline_ns = INT64_MAX;
	for (size_t i = 0; i < flow->stream_count; i++) {
		struct stream *stream = &flow->streams[i];
		if (now_ns >= flow->duration_end_ns)
			stream_end(stream, flow->stops ? FLOW_END_STOPPED : FLOW_END_DURATION);
		stream_advance(stream, now_ns);
		int64_t stream_ns = stream_deadline_ns(stream);
		if (stream_ns < deadline_ns)
			deadline_ns = stream_ns;
	}
	return deadline_ns < flow->duration_end_ns ? deadline_ns : flow->duration_end_ns;
}

static int flow_running(const struct flow *flow)
{
	for (size_t i = 0; i < flow->stream_count; i++)
		if (flow->streams[i].state != STREAM_ENDED)
			return 1;
	return 0;
}

static void flow_unblock_streams(struct flow *flow, int64_t now_ns)
{
	/* First the one whose line is half out: until it is whole, nobody else gets in. */
	const struct page *turn = flow->turn;
	for (size_t i = 0; turn && i < flow->stream_count; i++)
		if (flow->streams[i].page == turn)
			stream_unblock(&flow->streams[i], now_ns);
	CHECK_NE(flow->stream_count, (size_t)0);
	/* Where the output is the narrow place, the same order each time would starve those behind. */
	for (size_t i = 0; i < flow->stream_count; i++) {
		struct stream *stream = &flow->streams[(flow->unblock_first + i) % flow->stream_count];
		if (stream->page != turn)
			stream_unblock(stream, now_ns);
	}
	flow->unblock_first = (flow->unblock_first + 1) % flow->stream_count;
}

int flow_take_over(struct flow *flow)
{
	CHECK_NE((uintptr_t)flow->settings.place, (uintptr_t)0);
	return ring_take_over(flow->ring);
}

/* Others have something for us: a stop, the turn to write, or that the output is broken. */
static void flow_woken(struct flow *flow)
{
	const struct flow_place *place = flow->settings.place;
	uint64_t count;
	if (read(place->wake_fd, &count, sizeof count) < 0)
		CHECK_EQ(errno, EAGAIN); /* nobody else reads it, but a poll may be wrong */
	while (flow->stops < __atomic_load_n(place->stops, __ATOMIC_ACQUIRE))
		flow_stop(flow);
	sink_woken(flow->sink);
	if (sink_fault(flow->sink) == FAULT_NONE)
		return;
	/* Whoever waits to ask again learns of it now. */
	for (size_t i = 0; i < flow->stream_count; i++) {
		struct stream *stream = &flow->streams[i];
		if (stream->state == STREAM_WAITING)
			stream->wake_ns = stream->wish_waits = 0;
	}
	flow_unblock_streams(flow, clock_monotonic_ns());
}

static struct ring_operation *flow_wait(struct flow *flow, int64_t until_ns)
{
	if (flow->settings.place && !flow->waking.pending)
		ring_wake(flow->ring, &flow->waking, flow->settings.place->wake_fd);
	return ring_wait(flow->ring, until_ns);
}

static void flow_completed(struct flow *flow, struct ring_operation *operation)
{
	int64_t now_ns = clock_monotonic_ns();
	if (operation == &flow->waking)
		flow_woken(flow);
	else if (sink_completed(flow->sink, operation))
		flow_unblock_streams(flow, now_ns);
	else
		stream_completed(operation->owner, operation, now_ns);
}

/* Takes what the ring has, and waits for it where nothing is due. Two streams that are due are enough to go
 * on with. 0: there was nothing, and nothing is due. */
static int flow_collect(struct flow *flow, int64_t until_ns)
{
	stage_enter(flow->stage, STAGE_RING);
	unsigned count = 0;
	for (; count < COLLECT_MAX; count++) {
		struct ring_operation *operation = flow_wait(flow, count || flow->due_count ? 0 : until_ns);
		if (!operation)
			break;
		flow_completed(flow, operation);
		if (flow->due_count > 1 || flow->due_count == flow->stream_count)
			break;
	}
	return count || flow->due_count;
}

int flow_run(struct flow *flow, int64_t until_ns)
{
	for (;;) {
		int64_t now_ns = clock_monotonic_ns();
		int64_t deadline_ns = flow_advance_streams(flow, now_ns);
		if (!flow_running(flow))
			return 0;
		if (now_ns >= until_ns)
			return 1;
		if (flow_collect(flow, deadline_ns < until_ns ? deadline_ns : until_ns))
			pump_streams(flow);
		else if (clock_monotonic_ns() < deadline_ns)
			return 1; /* the caller's time is up, or a signal wants attention */
	}
}

void flow_stop(struct flow *flow)
{
	int64_t now_ns = clock_monotonic_ns();
	flow->stops++;
	int64_t end_ns = flow->stops > 1 ? now_ns : now_ns + FLOW_STOP_GRACE_NS;
	if (end_ns < flow->duration_end_ns)
		flow->duration_end_ns = end_ns;
	for (size_t i = 0; i < flow->stream_count; i++) {
		/* Nothing is being received: no page to finish. */
		enum stream_state state = flow->streams[i].state;
		if (state != STREAM_ASKING && state != STREAM_ENDED && !flow->streams[i].blocked)
			stream_end(&flow->streams[i], FLOW_END_STOPPED);
	}
}

void flow_report(const struct flow *flow, size_t stream_index, struct flow_stream_report *ret_report)
{
	CHECK_LT(stream_index, flow->stream_count);
	const struct stream *stream = &flow->streams[stream_index];
	*ret_report = stream->totals;
	ret_report->config_id = stream->config_id;
	ret_report->end_reason = stream->state == STREAM_ENDED ? stream->end_reason : FLOW_RUNNING;
	ret_report->fault = stream->error_fault;
	ret_report->error_text = stream->error_text;
	const struct driver_table *driver = stream->driver->table;
	driver->counters(stream->driver, &ret_report->plan);
	ret_report->interpreted = driver->interpreted;
	ret_report->events = page_delivered_events(stream->page);
	ret_report->event_bytes = page_delivered_bytes(stream->page);
	ret_report->made_events = page_made_events(stream->page);
	ret_report->malformed = stream->malformed;
	const struct stream_mark *safe = stream_safe_mark(stream);
	ret_report->cursor = safe ? safe->offset : driver->cursor(stream->driver);
	ret_report->state = ret_report->state_error = NULL;
	if (stream->state == STREAM_ENDED && !stream->settles_late)
		ret_report->state = driver->state(stream->driver, safe ? safe->offset : NULL);
	if (stream->state == STREAM_ENDED && !ret_report->state)
		ret_report->state_error = stream->driver->state_error;
	ret_report->events_uncommitted =
		safe ? ret_report->events - safe->events : page_uncommitted_events(stream->page);
	ret_report->tls_version = ret_report->tls_cipher = ret_report->tls_mode = "";
	const struct tls *tls = stream->tls_slot;
	if (tls) {
		ret_report->tls_version = tls_version_name(tls);
		ret_report->tls_cipher = tls_cipher_name(tls);
		ret_report->tls_mode = tls_mode_name(tls);
		ret_report->records = tls_records(tls);
		ret_report->key_updates = tls_key_updates(tls);
	}
}

enum fault flow_sink_fault(const struct flow *flow, const char **ret_text)
{
	*ret_text = sink_error_text(flow->sink);
	return sink_fault(flow->sink);
}

uint64_t flow_sink_bytes(const struct flow *flow)
{
	return sink_bytes_written(flow->sink);
}

const struct ring_report *flow_ring_report(const struct flow *flow)
{
	return &flow->ring_report;
}

const char *flow_inflate_name(const struct flow *flow)
{
	return inflate_engine_name(flow->streams[0].inflate);
}

const char *flow_scan_name(const struct flow *flow)
{
	return flow->kernel->name;
}

/* One of the sink's writes. 0: none came in time, or there is no more hope. Whoever wants to end at once gets
 * what the output takes without waiting. */
static int flow_wait_sink(struct flow *flow)
{
	if (sink_fault(flow->sink) != FAULT_NONE)
		return 0;
	int64_t until_ns = flow->stops > 1 ? 0 : clock_monotonic_ns() + NS_PER_SECOND;
	struct ring_operation *operation = flow_wait(flow, until_ns);
	if (operation == &flow->waking)
		flow_woken(flow);
	else if (operation)
		sink_completed(flow->sink, operation);
	return operation != NULL;
}

int flow_drain(struct flow *flow)
{
	stage_enter(flow->stage, STAGE_SINK);
	/* Lines that a page had no room to hand on when its stream was ended: first of the page whose turn it
	 * is. */
	const size_t count = flow->stream_count;
	for (size_t i = 0; i < 2 * count; i++) {
		struct page *page = flow->streams[i < count ? i : i - count].page;
		if (i < count && page != flow->turn)
			continue;
		while (page_drain(page) == STEP_FULL)
			if (!flow_wait_sink(flow))
				return 0;
	}
	for (size_t i = 0; i < flow->stream_count; i++) {
		struct stream *stream = &flow->streams[i];
		if (stream->settles_late)
			stream->settles_late = !stream_settle(stream, 0);
	}
	sink_flush(flow->sink);
	while (!sink_idle(flow->sink))
		if (!flow_wait_sink(flow))
			return 0;
	stage_enter(flow->stage, STAGE_IDLE);
	return 1;
}

void flow_leave(struct flow *flow)
{
	for (size_t i = 0; i < flow->stream_count; i++)
		stream_end(&flow->streams[i], FLOW_END_STOPPED);
	ring_finish(flow->ring);
	flow->ring = NULL;
}

void flow_finish(struct flow *flow)
{
	if (!flow)
		return;
	for (size_t i = 0; i < flow->stream_count; i++) {
		struct stream *stream = &flow->streams[i];
		if (stream->page)
			stream_end(stream, FLOW_END_STOPPED);
		if (stream->driver)
			stream->driver->table->finish(stream->driver);
		if (stream->tls_slot)
			tls_destroy(stream->tls_slot);
		inflate_finish(stream->inflate);
	}
	if (flow->ring)
		ring_finish(flow->ring);
	sink_close(flow->sink);
	control_destroy(flow->control);
	control_decoder_destroy(flow->decoder);
	control_decoder_destroy(flow->text_decoder);
	struct arena arena = flow->arena; /* flow itself lives in it */
	arena_finish(&arena);
}
