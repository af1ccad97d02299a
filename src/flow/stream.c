/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "flow/limiter.h"
#include "flow/worker.h"
#include "scan/scan.h"

#define STREAM_STEPS_MAX 16 /* decisions in a row without a look at the clock */

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

void stream_tell_driver_notice(struct stream *stream)
{
	if (stream->driver->notice[0])
		stream_notice(stream, FLOW_WARNING, "%s", stream->driver->notice);
	stream->driver->notice[0] = 0;
}

void stream_detail(struct stream *stream, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(stream->detail, sizeof stream->detail, format, arguments);
	va_end(arguments);
}

struct program_time stream_time(const struct stream *stream, int64_t now_ns)
{
	return (struct program_time){
		.monotonic_ns = now_ns,
		.unix_ns = clock_unix_ns(),
		.deadline_ns = stream->flow->budget_end_ns,
	};
}

static struct span stream_made(void *owner, uint64_t *ret_lines)
{
	struct driver *driver = ((struct stream *)owner)->driver;
	return driver->table->made(driver, ret_lines);
}

static void stream_made_consume(void *owner, size_t bytes)
{
	struct driver *driver = ((struct stream *)owner)->driver;
	driver->table->made_consume(driver, bytes);
}

/* The driver, and the buffers whose size depends on who it is. */
static int stream_init_driver(struct stream *stream, size_t index, char *error)
{
	struct flow *flow = stream->flow;
	const struct flow_settings *settings = &flow->settings;
	struct driver_settings driver = {
		.flow = settings,
		.arena = &flow->arena,
		.config_id = stream->config_id,
		.state = settings->states ? settings->states[index] : NULL,
		.decoder = flow->text_decoder,
		.stage = flow->stage,
	};
	size_t body_bytes = FLOW_PROBLEM_BYTES;
	stream->request_bytes_max = FLOW_SEND_BYTES;
	if (settings->program) {
		stream->driver = driver_program_create(&driver, error);
		stream->headers = arena_take(&flow->arena, sizeof *stream->headers, 64);
		/* One byte more tells a body that is too long from one that just fits. */
		body_bytes = PROGRAM_BODY_BYTES_MAX + 1;
		stream->request_bytes_max = HTTP_REQUEST_HEAD_BYTES_MAX + PROGRAM_REQUEST_BODY_BYTES_MAX;
	} else {
		stream->driver = driver_plan_create(&driver, stream_time(stream, flow->start_ns), error);
	}
	stream->body = arena_take(&flow->arena, body_bytes, 64);
	stream->send = arena_take(&flow->arena, stream->request_bytes_max, 64);
	stream->request = arena_take(&flow->arena, stream->request_bytes_max, 64);
	return stream->driver ? 0 : -1;
}

int stream_init(struct stream *stream, struct flow *flow, size_t index,
		char error[static FLOW_TEXT_BYTES_MAX])
{
	struct arena *arena = &flow->arena;
	const struct flow_settings *settings = &flow->settings;
	struct page_tools tools = {
		.kernel = flow->kernel,
		.control = flow->control,
		.sink = flow->sink,
		.stage = flow->stage,
		.turn = &flow->turn,
		.observer = { .owner = stream, .event = event_seen },
	};
	stream->flow = flow;
	stream->config_id = settings->config_ids[index];
	stream->fd = -1;
	stream->connecting.owner = stream->receiving.owner = stream->sending.owner = stream;
	if (settings->tls)
		stream->tls_slot = tls_create(settings->tls, arena);
	stream->tls = settings->servers[0].secure ? stream->tls_slot : NULL;
	stream->receive_bytes =
		flow->settings.receive_bytes ? flow->settings.receive_bytes : FLOW_RECEIVE_BYTES;
	stream->receive = arena_take(arena, stream->receive_bytes, 4096);
	ring_register_buffer(flow->ring, stream->receive, stream->receive_bytes);
	if (stream->tls_slot)
		stream->plain = arena_take(arena, FLOW_PLAIN_BYTES, 4096);
	stream->inflate = inflate_create(settings->inflate, arena);
	if (!stream->inflate) {
		snprintf(error, FLOW_TEXT_BYTES_MAX, "out of memory");
		return -1;
	}
	stream->totals.content_encoding = "";
	if (stream_init_driver(stream, index, error) < 0)
		return -1;
	if (stream->driver->table->made) {
		tools.observer.made = stream_made;
		tools.observer.made_consume = stream_made_consume;
	}
	stream->page = page_create(&tools, arena);
	const char *cursor = stream->driver->table->cursor(stream->driver);
	memcpy(stream->written.offset, cursor, strlen(cursor) + 1);
	stream_tell_driver_notice(stream);
	return 0;
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
	const char *cursor = stream->driver->table->cursor(stream->driver);
	memcpy(stream->waiting.offset, cursor, strlen(cursor) + 1);
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
	if (stream->blocked && stream->state == STREAM_IDLE) {
		stream->settles_late = 1; /* the verdict is known, and may count when its lines are out */
	} else if ((stream->head_seen && answer_is_page(stream)) || stream->page_waits) {
		page_settle(stream->page, 0); /* cut in the middle: what was handed on is not committed */
		stream->page_waits = 0;
	}
	stream->head_seen = 0;
	connection_close(stream);
	stream->state = STREAM_ENDED;
	stream->end_reason = reason;
}

int64_t stream_deadline_ns(const struct stream *stream)
{
	if (stream->state == STREAM_ENDED || stream->blocked || stream->due)
		return INT64_MAX;
	if (stream->state == STREAM_IDLE)
		return 0;
	if (stream->state == STREAM_ASKING && stream->page_end_ns < stream->wake_ns)
		return stream->page_end_ns;
	return stream->wake_ns;
}

int stream_settle(struct stream *stream, int64_t now_ns)
{
	enum step drained = page_drain_made(stream->page);
	if (drained == STEP_FULL) {
		stream->blocked = 1;
		stream->blocked_ns = now_ns;
		return 0;
	}
	if (stream->driver->table->made)
		sink_flush(stream->flow->sink); /* nobody waits for the next page to see what was made */
	enum driver_verdict verdict = stream->driver->table->verdict(stream->driver);
	if (drained == STEP_BROKEN && verdict == DRIVER_COMMITTED)
		verdict = DRIVER_REFUSED; /* its lines are lost with the sink */
	if (verdict == DRIVER_UNDECIDED)
		return 1;
	if (stream->page_waits)
		page_settle(stream->page, verdict == DRIVER_COMMITTED);
	else if (verdict == DRIVER_COMMITTED)
		page_settle_made(stream->page);
	stream->page_waits = 0;
	if (verdict == DRIVER_COMMITTED) {
		stream->newest_event_unix_ms = 0;
		stream_mark(stream);
	}
	return 1;
}

static void stream_driver_ended(struct stream *stream)
{
	enum flow_end_reason reason = stream->wish.end_is_limit ? FLOW_END_REQUESTS_MAX : FLOW_END_DRAINED;
	if (stream->wish.kind == PROGRAM_FAILED) {
		reason = FLOW_END_FAILED;
		/* The last answer's words are the same with more detail, or older. */
		const char *text = stream->driver->error_text;
		if (strncmp(stream->error_text, text, strlen(text)) != 0 || !text[0]) {
			snprintf(stream->error_text, sizeof stream->error_text, "%s", text);
			stream->error_fault = stream->driver->last_fault;
		}
	}
	stream_end(stream, reason);
}

/* Begins the next question: on the connection that is there, or on a new one. */
static void stream_request(struct stream *stream, int64_t now_ns)
{
	connection_choose(stream, (unsigned)stream->wish.server);
	answer_begin(stream);
	if (stream->fd < 0) {
		connection_open(stream, now_ns);
		return;
	}
	stream->state = STREAM_HANDSHAKING; /* already done: the request goes out at once */
	enum fault fault = connection_flush(stream);
	if (fault != FAULT_NONE)
		answer_finish(stream, fault, now_ns);
	else
		connection_receive(stream);
}

/* 1: there is no use in another question, and the stream has ended. */
static int stream_is_over(struct stream *stream, int64_t now_ns)
{
	struct flow *flow = stream->flow;
	int ended = stream->driver->table->ended(stream->driver);
	if (flow->stops && !ended) {
		stream_end(stream, FLOW_END_STOPPED);
	} else if (now_ns >= flow->budget_end_ns && !ended) {
		stream_end(stream, FLOW_END_BUDGET);
	} else if (sink_fault(flow->sink) != FAULT_NONE) {
		stream->error_fault = sink_fault(flow->sink);
		snprintf(stream->error_text, sizeof stream->error_text, "%s", sink_error_text(flow->sink));
		stream_end(stream, FLOW_END_FAILED);
	}
	return stream->state == STREAM_ENDED;
}

int stream_is_held(struct stream *stream, int64_t now_ns)
{
	const struct flow *flow = stream->flow;
	const struct flow_limiter *limiter = flow->settings.limiter;
	unsigned server = (unsigned)stream->wish.server;
	int64_t not_before_ns = limiter ? limiter_not_before_ns(limiter, server) : 0;
	if (not_before_ns <= now_ns)
		return 0;
	uint64_t spread_ns = (uint64_t)limiter_spread_ns(limiter, server);
	stream->wake_ns = not_before_ns + (int64_t)random_below(spread_ns);
	if (stream->wake_ns >= flow->budget_end_ns) {
		stream_end(stream, FLOW_END_BUDGET);
		return 1;
	}
	stream->state = STREAM_WAITING;
	stream->wish_waits = 1;
	stream->totals.held_requests++;
	stream->totals.held_ns += stream->wake_ns - now_ns;
	return 1;
}

/* Asks the driver, and does what it says. */
static void stream_ask(struct stream *stream, int64_t now_ns)
{
	struct flow *flow = stream->flow;
	struct program_wish *wish = &stream->wish;
	if (!stream->wish_waits) {
		if (stream_is_over(stream, now_ns))
			return;
		stage_enter(flow->stage, STAGE_PROGRAM);
		stream->driver->table->next(stream->driver, stream_time(stream, now_ns), wish);
		stream_tell_driver_notice(stream);
		stream->wish_waits = 1;
	}
	if (!stream_settle(stream, now_ns))
		return;
	stream->wish_waits = 0;
	if (wish->kind == PROGRAM_REQUEST) {
		if (!stream_is_held(stream, now_ns))
			stream_request(stream, now_ns);
	} else if (wish->kind == PROGRAM_WAIT && wish->wait_until_ns < flow->budget_end_ns) {
		stream->state = STREAM_WAITING;
		stream->wake_ns = wish->wait_until_ns;
	} else if (wish->kind == PROGRAM_WAIT) {
		stream_end(stream, FLOW_END_BUDGET);
	} else {
		stream_driver_ended(stream);
	}
}

/* Too late for whatever the stream was waiting for. */
static void stream_timeout(struct stream *stream, int64_t now_ns)
{
	enum fault fault = FAULT_RING_STALL;
	if (stream->state == STREAM_CONNECTING) {
		fault = FAULT_RING_CONNECT_TIMEOUT;
		stream->flow->addresses[stream->server].valid = 0;
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
	/* A question may be answered without waiting (a refused connection, say), and a program may wait for
	 * no time at all: what it does then is its own business, but signals and other streams have their
	 * turn. */
	for (int steps = 0; steps < STREAM_STEPS_MAX; steps++) {
		if (stream->state == STREAM_ENDED || stream_deadline_ns(stream) > now_ns)
			return;
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

static void stream_send_failed(struct stream *stream, int64_t now_ns)
{
	if (stream_retry_stale(stream, now_ns))
		return;
	stream_detail(stream, "%s", strerror(-stream->sending.result));
	answer_finish(stream, FAULT_RING_SEND, now_ns);
}

void stream_pumped(struct stream *stream, enum pump pump, int64_t now_ns)
{
	switch (pump) {
	case PUMP_INFLATE:
		return; /* nothing has come of it yet */
	case PUMP_MORE:
		if (connection_send_failed(stream))
			stream_send_failed(stream, now_ns);
		else
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
	if (!stream->blocked || stream->state == STREAM_ENDED)
		return;
	stream->blocked = 0;
	if (stream->state == STREAM_IDLE) {
		stream_settle(stream, now_ns);
		return;
	}
	stream->wake_ns = now_ns + stream->flow->settings.stall_ns;
	stream->page_end_ns += now_ns - stream->blocked_ns; /* our reader's slowness is not the server's */
	pump_due(stream, now_ns);
}

static void stream_received(struct stream *stream, int64_t now_ns)
{
	int result = stream->receiving.result;
	if (stream->tls && tls_in_kernel(stream->tls)) {
		result = connection_kernel_result(stream, result);
		if (result == -EAGAIN) {
			connection_receive(stream);
			return;
		}
	}
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
	pump_due(stream, now_ns);
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
		/* The answer is here already; its lines that the sink has no room for must not be dropped. */
		operation->result = 0;
	} else if (operation->result < 0) {
		/* What came before is looked at first; then stream_pumped() sees this. */
		if (!stream->due)
			stream_send_failed(stream, now_ns);
	} else {
		enum fault fault = connection_flush(stream);
		if (fault != FAULT_NONE)
			answer_finish(stream, fault, now_ns);
	}
}
