/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of an answer's bytes: cipher -> plain -> body -> page, at any split.
 */
#include <string.h>

#include "base/clock.h"
#include "flow/worker.h"

/* How the page that answers the last wish is to be read. */
static unsigned answer_page_flags(const struct stream *stream)
{
	const struct program_wish *wish = &stream->wish;
	unsigned flags = 0;
	if (!wish->has_context)
		flags |= PAGE_TAIL_IS_EVENT;
	if (!wish->deliver)
		flags |= PAGE_KEEP;
	if (wish->on_event)
		flags |= PAGE_SHOW;
	if (stream->flow->decoder)
		flags |= PAGE_SHOW | PAGE_UNTIMED;
	return flags;
}

void answer_begin(struct stream *stream)
{
	static const enum page_skip skip_of[] = {
		[PROGRAM_RESUME_POSITION] = PAGE_SKIP_POSITION,
		[PROGRAM_RESUME_SEARCH] = PAGE_SKIP_SEARCH,
		[PROGRAM_RESUME_NONE] = PAGE_SKIP_NONE,
	};
	http_response_begin(&stream->response, clock_unix_ns() / NS_PER_SECOND);
	if (stream->headers) {
		stream->headers->count = stream->headers->bytes = 0;
		stream->response.header_seen = answer_header_seen;
		stream->response.header_owner = stream->headers;
	}
	inflate_begin(stream->inflate);
	/* Positions in pages are not touched by other answers. */
	if (stream->wish.lines)
		page_begin(stream->page, skip_of[stream->wish.resume], answer_page_flags(stream));
	stream->page_malformed = 0;
	stream->body_in = (struct cursor_in){ 0 };
	stream->job_state = JOB_NONE;
	stream->body_bytes = 0;
	stream->asked_ns = 0;
	stream->head_seen = stream->body_over = stream->answer_begun = stream->blocked = 0;
	stream->transport_over = stream->plain_over = 0;
	stream->transport_fault = stream->body_fault = FAULT_NONE;
	stream->detail[0] = 0;
}

int answer_is_page(const struct stream *stream)
{
	return stream->wish.lines && stream->response.status == 200;
}

/* Of an answer that is no page. What comes behind an error's first 64 KB is read by nobody. */
static size_t answer_body_bytes_max(const struct stream *stream)
{
	return stream->wish.lines ? FLOW_PROBLEM_BYTES : stream->wish.body_bytes_max + 1;
}

/* Where decoded body bytes go: the page, or the buffer for other bodies. That is used once, so its bytes are
 * the history; when a decoder leaves the last INFLATE_ROOM_BYTES of it, it is asked again with what is left.
 */
static struct cursor_out answer_room(struct stream *stream)
{
	if (answer_is_page(stream))
		return page_room(stream->page);
	return (struct cursor_out){ stream->body + stream->body_bytes,
				    stream->body + answer_body_bytes_max(stream) };
}

static const uint8_t *answer_history(const struct stream *stream)
{
	return answer_is_page(stream) ? page_history(stream->page) : stream->body;
}

/* BROKEN ends a body that is longer than anybody reads: it may have no end. */
static enum step answer_filled(struct stream *stream, size_t bytes)
{
	if (answer_is_page(stream))
		return page_filled(stream->page, bytes);
	stream->body_bytes += bytes;
	if (stream->body_bytes < answer_body_bytes_max(stream))
		return STEP_HUNGRY;
	if (!stream->wish.lines)
		stream->body_fault = FAULT_PROGRAM_BODY;
	return STEP_BROKEN;
}

/* Copies identity bodies, inflates the others. */
static enum step answer_decode(struct stream *stream)
{
	struct cursor_out *room = &stream->body_room;
	if (stream->response.encoding == HTTP_ENCODING_GZIP) {
		stage_enter(stream->flow->stage, STAGE_INFLATE);
		return inflate_push(stream->inflate, &stream->body_in, answer_history(stream), room);
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

/* 1: the next body bytes wait for another stream's, as stream->job. */
static int answer_waits(struct stream *stream)
{
	if (!stream->beside || !answer_is_page(stream) || stream->response.encoding != HTTP_ENCODING_GZIP ||
	    cursor_in_bytes(&stream->body_in) < FLOW_BESIDE_BYTES_MIN)
		return 0;
	stream->job = (struct inflate_job){
		.inflate = stream->inflate,
		.in = &stream->body_in,
		.history = answer_history(stream),
		.out = &stream->body_room,
	};
	stream->job_state = JOB_WAITS;
	return 1;
}

/* Body bytes into the page, as far as the sink allows. HUNGRY: all are in. FULL: blocked, or stream->job
 * waits. BROKEN. */
static enum step answer_body(struct stream *stream)
{
	for (;;) {
		enum step decoded = stream->job.step;
		if (stream->job_state != JOB_DONE) {
			/* First what an earlier call left to do. */
			stream->job_state = JOB_NONE;
			enum step before = answer_filled(stream, 0);
			if (before != STEP_HUNGRY)
				return before;
			stream->body_room = answer_room(stream);
			stream->body_at = stream->body_room.next;
			if (answer_waits(stream))
				return STEP_FULL;
			decoded = answer_decode(stream);
		}
		stream->job_state = JOB_NONE;
		enum step filled = answer_filled(stream, (size_t)(stream->body_room.next - stream->body_at));
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
	inflate_input_over(stream->inflate);
	enum step step = answer_body(stream);
	if (!answer_is_page(stream))
		return STEP_DONE;
	if (step != STEP_HUNGRY)
		return step;
	/* Of a page that is cut the last line may be half of one. */
	return answer_fault(stream) == FAULT_NONE ? page_end(stream->page) : STEP_BROKEN;
}

static int answer_is_opened_here(const struct stream *stream)
{
	return stream->tls && !tls_in_kernel(stream->tls);
}

/* Without TLS, and where the kernel opens records, received bytes are plain bytes. */
static enum pump answer_pump_plain(struct stream *stream)
{
	/* First what an earlier call left: body bytes, and lines that the sink had no room for. */
	enum step step = stream->head_seen ? answer_body(stream) : STEP_HUNGRY;
	if (step == STEP_HUNGRY)
		step = answer_plain(stream,
				    answer_is_opened_here(stream) ? &stream->plain_in : &stream->cipher_in);
	if (step == STEP_FULL)
		return stream->job_state == JOB_WAITS ? PUMP_INFLATE : PUMP_BLOCKED;
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

/* All that came before the end is read first; so it is where we open records ourselves. */
static enum pump answer_pump_kernel(struct stream *stream)
{
	enum pump pump = answer_pump_plain(stream);
	if (pump != PUMP_MORE)
		return pump;
	if (tls_fault(stream->tls) != FAULT_NONE) {
		stream_detail(stream, "%s", tls_error_text(stream->tls));
		return answer_transport_over(stream, tls_fault(stream->tls));
	}
	return stream->transport_over ? answer_transport_over(stream, tls_end_of_transport(stream->tls))
				      : PUMP_MORE;
}

enum pump answer_pump(struct stream *stream)
{
	if (!stream->tls)
		return answer_pump_plain(stream);
	if (tls_in_kernel(stream->tls))
		return answer_pump_kernel(stream);
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
		if (stream->fd < 0)
			return PUMP_MORE; /* closed, because the request has to wait */
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
