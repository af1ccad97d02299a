/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "flow/worker.h"
#include "scan/scan.h"

void stream_notice(struct stream *stream, enum flow_severity severity, const char *format, ...)
{
	char text[FLOW_TEXT_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	const struct flow_settings *settings = &stream->flow->settings;
	if (settings->notice)
		settings->notice(settings->notice_owner, severity, stream->config_id, text);
}

void stream_tell_plan_notice(struct stream *stream)
{
	if (stream->plan.notice[0])
		stream_notice(stream, FLOW_WARNING, "%s", stream->plan.notice);
	stream->plan.notice[0] = 0;
}

void stream_detail(struct stream *stream, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(stream->detail, sizeof stream->detail, format, arguments);
	va_end(arguments);
}

void stream_init(struct stream *stream, struct flow *flow, const char *config_id)
{
	struct arena *arena = &flow->arena;
	struct page_tools tools = {
		.kernel = flow->kernel,
		.control = flow->control,
		.sink = flow->sink,
		.stage = flow->stage,
		.turn = &flow->turn,
	};
	stream->flow = flow;
	stream->config_id = config_id;
	stream->fd = -1;
	stream->connecting.owner = stream->receiving.owner = stream->sending.owner = stream;
	if (flow->settings.tls)
		stream->tls = tls_create(flow->settings.tls, arena);
	stream->receive = arena_take(arena, FLOW_RECEIVE_BYTES, 4096);
	ring_register_buffer(flow->ring, stream->receive, FLOW_RECEIVE_BYTES);
	if (stream->tls)
		stream->plain = arena_take(arena, FLOW_PLAIN_BYTES, 4096);
	stream->send = arena_take(arena, FLOW_SEND_BYTES, 64);
	stream->request = arena_take(arena, FLOW_SEND_BYTES, 64);
	stream->problem = arena_take(arena, FLOW_PROBLEM_BYTES, 64);
	stream->inflate = inflate_create(flow->settings.inflate, arena);
	stream->page = page_create(&tools, arena);
	stream->totals.content_encoding = "";

	struct plan_settings settings = flow->settings.plan;
	settings.config_id = config_id;
	if (!settings.random)
		settings.random = random_below;
	struct plan_time now = { clock_monotonic_ns(), clock_unix_ns() };
	plan_begin(&stream->plan, &settings, now);
	memcpy(stream->written.offset, stream->plan.offset, sizeof stream->written.offset);
	stream_tell_plan_notice(stream);
}

void stream_mark(struct stream *stream)
{
	const struct sink *sink = stream->flow->sink;
	stream->newest_sink_bytes = sink_bytes_accepted(sink);
	if (stream->is_waiting && sink_bytes_written(sink) >= stream->waiting.sink_bytes) {
		stream->written = stream->waiting;
		stream->is_waiting = 0;
	}
	if (stream->is_waiting)
		return;
	stream->is_waiting = 1;
	stream->waiting.sink_bytes = stream->newest_sink_bytes;
	stream->waiting.events = page_delivered_events(stream->page) - page_uncommitted_events(stream->page);
	memcpy(stream->waiting.offset, stream->plan.offset, sizeof stream->waiting.offset);
}

const struct stream_mark *stream_safe_mark(const struct stream *stream)
{
	uint64_t written_bytes = sink_bytes_written(stream->flow->sink);
	if (written_bytes >= stream->newest_sink_bytes)
		return NULL;
	return stream->is_waiting && written_bytes >= stream->waiting.sink_bytes ? &stream->waiting
										 : &stream->written;
}

void stream_end(struct stream *stream, enum flow_end_reason reason)
{
	if (stream->state == STREAM_ENDED)
		return;
	if (stream->head_seen && stream->response.status == 200)
		page_settle(stream->page, 0); /* cut in the middle: what was handed on is not committed */
	stream->head_seen = 0;
	connection_close(stream);
	stream->state = STREAM_ENDED;
	stream->end_reason = reason;
}

int64_t stream_deadline_ns(const struct stream *stream)
{
	if (stream->state == STREAM_ENDED || stream->blocked)
		return INT64_MAX;
	if (stream->state == STREAM_IDLE)
		return 0;
	if (stream->state == STREAM_ASKING && stream->page_end_ns < stream->wake_ns)
		return stream->page_end_ns;
	return stream->wake_ns;
}

static void stream_plan_ended(struct stream *stream)
{
	static const enum flow_end_reason reason_of[] = {
		[PLAN_END_DRAINED] = FLOW_END_DRAINED,
		[PLAN_END_REQUESTS_MAX] = FLOW_END_REQUESTS_MAX,
		[PLAN_END_FAILED] = FLOW_END_FAILED,
	};
	if (stream->ask.end_reason == PLAN_END_FAILED && stream->error_text[0] == 0)
		snprintf(stream->error_text, sizeof stream->error_text, "%s", stream->plan.error_text);
	stream_end(stream, reason_of[stream->ask.end_reason]);
}

/* Begins the next question: on the connection that is there, or on a new one. */
static void stream_ask(struct stream *stream, int64_t now_ns)
{
	struct flow *flow = stream->flow;
	if (flow->stops) {
		stream_end(stream, FLOW_END_STOPPED);
		return;
	}
	if (now_ns >= flow->budget_end_ns) {
		stream_end(stream, FLOW_END_BUDGET);
		return;
	}
	if (sink_fault(flow->sink) != FAULT_NONE) {
		stream->error_fault = sink_fault(flow->sink);
		snprintf(stream->error_text, sizeof stream->error_text, "%s", sink_error_text(flow->sink));
		stream_end(stream, FLOW_END_FAILED);
		return;
	}
	stage_enter(flow->stage, STAGE_PROGRAM);
	struct plan_time now = { now_ns, clock_unix_ns() };
	plan_next(&stream->plan, now, &stream->ask);
	stream_tell_plan_notice(stream);
	if (stream->ask.kind == PLAN_END) {
		stream_plan_ended(stream);
	} else if (stream->ask.kind == PLAN_WAIT) {
		if (stream->ask.wait_until_ns >= flow->budget_end_ns) {
			stream_end(stream, FLOW_END_BUDGET);
			return;
		}
		stream->state = STREAM_WAITING;
		stream->wake_ns = stream->ask.wait_until_ns;
	} else if (stream->fd >= 0) {
		stream->state = STREAM_HANDSHAKING; /* already done: the request goes out at once */
		answer_begin(stream);
		enum fault fault = connection_flush(stream);
		if (fault != FAULT_NONE)
			answer_finish(stream, fault, now_ns);
		else
			connection_receive(stream);
	} else {
		answer_begin(stream);
		connection_open(stream, now_ns);
	}
}

/* Too late for whatever the stream was waiting for. */
static void stream_timeout(struct stream *stream, int64_t now_ns)
{
	enum fault fault = FAULT_RING_STALL;
	if (stream->state == STREAM_CONNECTING) {
		fault = FAULT_RING_CONNECT_TIMEOUT;
		stream->flow->resolved_valid = 0;
		stream_detail(stream, "no answer within %lld s",
			      (long long)(FLOW_CONNECT_NS / NS_PER_SECOND));
	} else if (now_ns >= stream->page_end_ns && stream->state == STREAM_ASKING) {
		fault = FAULT_PAGE_TIMEOUT;
	} else if (stream->state == STREAM_HANDSHAKING) {
		fault = FAULT_TLS_HANDSHAKE;
		stream_detail(stream, "the server says nothing; does it speak TLS on this port?");
	} else {
		stream_detail(stream, "silence for %lld ms",
			      (long long)(stream->flow->settings.stall_ns / NS_PER_MS));
	}
	answer_finish(stream, fault, now_ns);
}

void stream_advance(struct stream *stream, int64_t now_ns)
{
	/* A question may be answered without waiting (a refused connection, say): bounded by the back-off. */
	while (stream->state != STREAM_ENDED && stream_deadline_ns(stream) <= now_ns) {
		if (stream->state == STREAM_WAITING)
			stream->state = STREAM_IDLE;
		if (stream->state == STREAM_IDLE)
			stream_ask(stream, now_ns);
		else
			stream_timeout(stream, now_ns);
	}
}

/* The server closed a kept connection before it answered: that is no failure of the request. */
static int stream_retry_stale(struct stream *stream, int64_t now_ns)
{
	if (!stream->reused || stream->answer_begun)
		return 0;
	connection_close(stream);
	answer_begin(stream);
	connection_open(stream, now_ns);
	return 1;
}

static void stream_pump(struct stream *stream, int64_t now_ns)
{
	switch (answer_pump(stream)) {
	case PUMP_MORE:
		connection_receive(stream);
		return;
	case PUMP_BLOCKED:
		stream->blocked = 1;
		stream->blocked_ns = now_ns;
		return;
	case PUMP_OVER:
		if (stream->transport_over && stream_retry_stale(stream, now_ns))
			return;
		answer_finish(stream, FAULT_NONE, now_ns);
		return;
	}
}

void stream_unblock(struct stream *stream, int64_t now_ns)
{
	if (!stream->blocked)
		return;
	stream->blocked = 0;
	stream->wake_ns = now_ns + stream->flow->settings.stall_ns;
	stream->page_end_ns += now_ns - stream->blocked_ns; /* our reader's slowness is not the server's */
	stream_pump(stream, now_ns);
}

static void stream_received(struct stream *stream, int64_t now_ns)
{
	int result = stream->receiving.result;
	if (result > 0) {
		stream->totals.received_bytes += (uint64_t)result;
		stream->cipher_in.end += result;
		if (stream->state == STREAM_ASKING)
			stream->wake_ns = now_ns + stream->flow->settings.stall_ns;
	} else {
		stream->transport_over = 1;
		if (result < 0) {
			if (stream_retry_stale(stream, now_ns))
				return;
			stream_detail(stream, "%s", strerror(-result));
			answer_finish(stream, FAULT_RING_RECEIVE, now_ns);
			return;
		}
	}
	stream_pump(stream, now_ns);
}

void stream_completed(struct stream *stream, struct ring_operation *operation, int64_t now_ns)
{
	if (stream->state == STREAM_ENDED)
		return;
	if (operation == &stream->connecting) {
		connection_connected(stream, now_ns);
	} else if (operation == &stream->receiving) {
		stream_received(stream, now_ns);
	} else if (stream->blocked) {
		return; /* the answer is here already; its lines that the sink has no room for must not be
			   dropped */
	} else if (operation->result < 0) {
		if (stream_retry_stale(stream, now_ns))
			return;
		stream_detail(stream, "%s", strerror(-operation->result));
		answer_finish(stream, FAULT_RING_SEND, now_ns);
	} else {
		enum fault fault = connection_flush(stream);
		if (fault != FAULT_NONE)
			answer_finish(stream, fault, now_ns);
	}
}
