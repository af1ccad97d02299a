/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of an answer's bytes: cipher -> plain -> body -> page, at any split; and what is told to the
 * plan when it is over.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "control/control.h"
#include "flow/worker.h"

void answer_begin(struct stream *stream)
{
	static const enum page_skip skip_of[] = {
		[PLAN_RESUME_POSITION] = PAGE_SKIP_POSITION,
		[PLAN_RESUME_SEARCH] = PAGE_SKIP_SEARCH,
		[PLAN_RESUME_NONE] = PAGE_SKIP_NONE,
	};
	http_response_begin(&stream->response, clock_unix_ns() / NS_PER_SECOND);
	inflate_begin(stream->inflate);
	page_begin(stream->page, skip_of[stream->ask.resume]);
	stream->body_in = (struct cursor_in){ 0 };
	stream->problem_bytes = 0;
	stream->head_seen = stream->body_over = stream->answer_begun = stream->blocked = 0;
	stream->transport_over = stream->plain_over = 0;
	stream->transport_fault = FAULT_NONE;
	stream->detail[0] = 0;
}

static int answer_is_page(const struct stream *stream)
{
	return stream->response.status == 200;
}

/* Where decoded body bytes go: the page, or the buffer for an error's body. */
static struct cursor_out answer_room(struct stream *stream)
{
	if (answer_is_page(stream))
		return page_room(stream->page);
	return (struct cursor_out){ stream->problem + stream->problem_bytes,
				    stream->problem + FLOW_PROBLEM_BYTES };
}

/* BROKEN ends an error's body that is longer than anybody reads: it may have no end. */
static enum step answer_filled(struct stream *stream, size_t bytes)
{
	if (answer_is_page(stream))
		return page_filled(stream->page, bytes);
	stream->problem_bytes += bytes;
	return stream->problem_bytes < FLOW_PROBLEM_BYTES ? STEP_HUNGRY : STEP_BROKEN;
}

/* Copies identity bodies, inflates the others. */
static enum step answer_decode(struct stream *stream, struct cursor_out *room)
{
	if (stream->response.encoding == HTTP_ENCODING_GZIP) {
		stage_enter(stream->flow->stage, STAGE_INFLATE);
		return inflate_push(stream->inflate, &stream->body_in, room);
	}
	size_t bytes = cursor_in_bytes(&stream->body_in);
	size_t room_bytes = cursor_out_bytes(room);
	size_t take = bytes < room_bytes ? bytes : room_bytes;
	if (take)
		memcpy(room->next, stream->body_in.next, take);
	room->next += take;
	stream->body_in.next += take;
	return take < bytes ? STEP_FULL : STEP_HUNGRY;
}

/* Body bytes into the page, as far as the sink allows. HUNGRY: all are in. FULL: blocked. BROKEN. */
static enum step answer_body(struct stream *stream)
{
	for (;;) {
		/* First what an earlier call left to do. */
		enum step before = answer_filled(stream, 0);
		if (before != STEP_HUNGRY)
			return before;
		struct cursor_out room = answer_room(stream);
		const uint8_t *from = room.next;
		enum step decoded = answer_decode(stream, &room);
		enum step filled = answer_filled(stream, (size_t)(room.next - from));
		/* What is already decoded reaches the sink first; damage is sticky and seen again after that.
		 */
		if (filled != STEP_HUNGRY)
			return filled;
		if (decoded == STEP_BROKEN)
			return STEP_BROKEN;
		if (decoded != STEP_FULL && cursor_in_bytes(&stream->body_in) == 0)
			return STEP_HUNGRY;
	}
}

/* Plain bytes through HTTP. HUNGRY: all are consumed. DONE: the answer is complete. */
static enum step answer_plain(struct stream *stream, struct cursor_in *in)
{
	while (!stream->body_over) {
		struct span body;
		stage_enter(stream->flow->stage, STAGE_HTTP);
		if (in->next < in->end)
			stream->answer_begun = 1;
		enum step step = http_response_push(&stream->response, in, &body);
		if (!stream->head_seen && http_head_done(&stream->response)) {
			stream->head_seen = stream->contacted = 1;
			stream->contact_failures = 0;
		}
		if (step == STEP_BROKEN)
			return STEP_BROKEN;
		if (step == STEP_DONE)
			stream->body_over = 1;
		if (body.bytes) {
			stream->body_in = (struct cursor_in){ body.base, body.base + body.bytes };
			enum step decoded = answer_body(stream);
			if (decoded != STEP_HUNGRY)
				return decoded;
		} else if (step == STEP_HUNGRY) {
			return STEP_HUNGRY;
		}
	}
	return STEP_DONE;
}

/* The body is complete: whatever inflate still holds comes out, nothing may be left open. */
static enum step answer_close_body(struct stream *stream)
{
	enum step step = answer_body(stream);
	if (!answer_is_page(stream))
		return STEP_DONE;
	if (step != STEP_HUNGRY)
		return step;
	return page_end(stream->page);
}

/* Without TLS, received bytes are plain bytes. */
static enum pump answer_pump_plain(struct stream *stream)
{
	/* First what an earlier call left: body bytes, and lines that the sink had no room for. */
	enum step step = stream->head_seen ? answer_body(stream) : STEP_HUNGRY;
	if (step == STEP_HUNGRY)
		step = answer_plain(stream, stream->tls ? &stream->plain_in : &stream->cipher_in);
	if (step == STEP_FULL)
		return PUMP_BLOCKED;
	if (step == STEP_BROKEN)
		return PUMP_OVER;
	int plain_over = stream->tls ? stream->plain_over : stream->transport_over;
	if (step == STEP_HUNGRY && !plain_over)
		return PUMP_MORE;
	if (step == STEP_HUNGRY && http_response_end(&stream->response) != FAULT_NONE)
		return PUMP_OVER;
	stream->body_over = 1;
	return answer_close_body(stream) == STEP_FULL ? PUMP_BLOCKED : PUMP_OVER;
}

/* The transport has ended, maybe in the middle of everything. */
static enum pump answer_transport_over(struct stream *stream, enum fault fault)
{
	stream->transport_over = stream->plain_over = 1;
	stream->transport_fault = fault;
	return answer_pump_plain(stream);
}

enum pump answer_pump(struct stream *stream)
{
	if (!stream->tls)
		return answer_pump_plain(stream);
	for (;;) {
		if (stream->state == STREAM_ASKING) {
			enum pump pump = answer_pump_plain(stream);
			if (pump != PUMP_MORE)
				return pump;
		}
		stage_enter(stream->flow->stage, STAGE_TLS);
		struct cursor_out room = { stream->plain, stream->plain + FLOW_PLAIN_BYTES };
		enum step step = tls_push(stream->tls, &stream->cipher_in, &room);
		stream->plain_in = (struct cursor_in){ stream->plain, room.next };
		enum fault fault = connection_flush(stream);
		if (fault != FAULT_NONE) {
			stream->transport_fault = fault;
			return PUMP_OVER;
		}
		if (stream->plain_in.next < stream->plain_in.end)
			continue;
		if (step == STEP_DONE)
			return answer_transport_over(stream, FAULT_NONE);
		if (step == STEP_BROKEN) {
			stream_detail(stream, "%s", tls_error_text(stream->tls));
			return answer_transport_over(stream, tls_fault(stream->tls));
		}
		if (stream->transport_over)
			return answer_transport_over(stream, tls_end_of_transport(stream->tls));
		if (step == STEP_HUNGRY)
			return PUMP_MORE;
	}
}

/* The first thing that went wrong, from the wire upwards. */
static enum fault answer_fault(struct stream *stream)
{
	if (stream->response.status && http_fault(&stream->response) != FAULT_NONE)
		return http_fault(&stream->response);
	if (http_fault(&stream->response) != FAULT_NONE && stream->transport_fault == FAULT_NONE)
		return http_fault(&stream->response);
	if (!stream->body_over && stream->transport_fault != FAULT_NONE)
		return stream->transport_fault;
	if (stream->body_over && stream->transport_fault != FAULT_NONE && !stream->response.chunked &&
	    stream->response.content_length < 0)
		return stream->transport_fault; /* only the end of the connection ended the body */
	if (answer_is_page(stream) && page_fault(stream->page) != FAULT_NONE)
		return page_fault(stream->page);
	if (stream->head_seen && stream->response.encoding == HTTP_ENCODING_GZIP) {
		if (inflate_fault(stream->inflate) != FAULT_NONE)
			return inflate_fault(stream->inflate);
		if (stream->body_over && stream->response.body_bytes)
			return inflate_end(stream->inflate);
	}
	if (!stream->body_over)
		return http_response_end(&stream->response);
	return FAULT_NONE;
}

static void answer_describe(struct stream *stream, enum fault fault)
{
	if (stream->detail[0] || fault == FAULT_NONE)
		return;
	uint64_t at = stream->response.body_bytes;
	if (fault == sink_fault(stream->flow->sink))
		stream_detail(stream, "%s", sink_error_text(stream->flow->sink));
	else if (fault == http_fault(&stream->response))
		stream_detail(stream, "at byte %llu of the answer",
			      (unsigned long long)http_offset(&stream->response));
	else if (fault == page_fault(stream->page))
		stream_detail(stream, "at byte %llu of the page (limit %zu)",
			      (unsigned long long)page_offset(stream->page), PAGE_LINE_BYTES_MAX);
	else if (stream->head_seen && stream->response.encoding == HTTP_ENCODING_GZIP &&
		 fault == inflate_fault(stream->inflate))
		stream_detail(stream, "at byte %llu of %llu received",
			      (unsigned long long)inflate_offset(stream->inflate), (unsigned long long)at);
	else if (at)
		stream_detail(stream, "after %llu bytes of the body", (unsigned long long)at);
}

static void answer_tell(struct stream *stream, enum fault fault, struct plan_answer *answer)
{
	const struct http_response *response = &stream->response;
	static const int skip_of[] = {
		[PAGE_SKIP_SETTLED] = PLAN_SKIP_SETTLED,
		[PAGE_SKIP_OPEN] = PLAN_SKIP_OPEN,
		[PAGE_SKIP_MISMATCH] = PLAN_SKIP_MISMATCH,
	};
	*answer = (struct plan_answer){ .fault = fault, .retry_after_seconds = -1, .date_unix = -1 };
	if (!stream->head_seen)
		return;
	answer->status = response->status;
	answer->retry_after_seconds = response->retry_after_seconds;
	answer->date_unix = response->date_unix;
	answer->body_bytes = response->body_bytes;
	if (answer_is_page(stream)) {
		answer->context = page_context(stream->page);
		answer->body_looks_like_events = page_looks_like_events(stream->page);
		answer->event_lines = page_event_lines(stream->page);
		answer->newest_event_unix_ms = page_newest_event_unix_ms(stream->page);
		answer->skip = (typeof(answer->skip))skip_of[page_skip_state(stream->page)];
		return;
	}
	/* Whatever came of an error's body, the status is what counts. */
	if (fault_class_of(fault) == FAULT_CLASS_RESTART)
		answer->fault = FAULT_NONE;
	stage_enter(stream->flow->stage, STAGE_CONTROL);
	if (control_read_problem(stream->flow->control, span_of(stream->problem, stream->problem_bytes),
				 &stream->answer_problem) == CONTROL_YES)
		answer->problem = &stream->answer_problem;
}

void answer_finish(struct stream *stream, enum fault fault, int64_t now_ns)
{
	struct plan_answer answer;
	if (fault == FAULT_NONE)
		fault = answer_fault(stream);
	answer_describe(stream, fault);
	answer_tell(stream, fault, &answer);
	int reusable = stream->head_seen && stream->body_over && stream->response.keep_alive &&
		       !stream->transport_over && cursor_in_bytes(&stream->plain_in) == 0 &&
		       cursor_in_bytes(&stream->cipher_in) == 0 && fault == FAULT_NONE &&
		       stream->request_at == stream->request_bytes; /* answered before it was asked */

	stage_enter(stream->flow->stage, STAGE_PROGRAM);
	struct plan_time now = { .monotonic_ns = now_ns, .unix_ns = clock_unix_ns() };
	int committed = plan_answer(&stream->plan, now, &answer);
	if (stream->head_seen) {
		stream->totals.body_bytes += stream->response.body_bytes;
		stream->totals.content_encoding =
			stream->response.encoding == HTTP_ENCODING_GZIP ? "gzip" : "identity";
	}
	if (stream->head_seen && answer_is_page(stream)) {
		stream->totals.plain_bytes += page_plain_bytes(stream->page);
		page_settle(stream->page, committed);
		if (committed)
			stream_mark(stream);
		sink_flush(
			stream->flow
				->sink); /* whoever reads the output waits for this page, not for the next */
		if (now_ns - stream->asked_ns > stream->totals.page_ns_max)
			stream->totals.page_ns_max = now_ns - stream->asked_ns;
	}
	stream->head_seen = 0;
	if (reusable)
		stream->reused = 1;
	else
		connection_close(stream);
	stream->state = STREAM_IDLE;
	stream->blocked = 0;

	enum fault said = stream->plan.last_fault;
	if (!committed && said == FAULT_NONE)
		said = fault;
	if (!committed && said != FAULT_NONE) {
		stream->error_fault = said;
		snprintf(stream->error_text, sizeof stream->error_text, "%s%s%s%s",
			 stream->plan.error_text[0] ? stream->plan.error_text : fault_sentence(said),
			 stream->detail[0] ? " (" : "", stream->detail, stream->detail[0] ? ")" : "");
	}
	int hopeless = !stream->contacted && fault != FAULT_NONE &&
		       ++stream->contact_failures >= FLOW_FIRST_CONTACT_ATTEMPTS;
	if (hopeless) {
		snprintf(stream->error_text, sizeof stream->error_text,
			 "configId %s: %s%s%s%s; no answer in %d attempts", stream->config_id,
			 fault_sentence(said), stream->detail[0] ? " (" : "", stream->detail,
			 stream->detail[0] ? ")" : "", FLOW_FIRST_CONTACT_ATTEMPTS);
		stream_end(stream, FLOW_END_FAILED);
		return;
	}
	if (!committed && stream->error_text[0])
		stream_notice(stream, FLOW_WARNING, "%s", stream->error_text);
	stream_tell_plan_notice(stream);
}
