/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of an answer: what went wrong with it, and what the driver is told.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "control/control.h"
#include "flow/limiter.h"
#include "flow/worker.h"

void answer_header_seen(void *owner, struct span name, struct span value)
{
	struct answer_headers *headers = owner;
	CHECK_LT(headers->count, (size_t)HTTP_HEADER_COUNT_MAX);
	CHECK_LE(name.bytes + value.bytes, sizeof headers->text - headers->bytes);
	uint8_t *text = headers->text + headers->bytes;
	for (size_t i = 0; i < name.bytes; i++) {
		uint8_t byte = name.base[i];
		text[i] = byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
	}
	if (value.bytes)
		memcpy(text + name.bytes, value.base, value.bytes);
	headers->lines[headers->count++] = (struct program_header){
		span_of(text, name.bytes),
		span_of(text + name.bytes, value.bytes),
	};
	headers->bytes += name.bytes + value.bytes;
}

enum fault answer_fault(struct stream *stream)
{
	/* A bad record says more than the body that it cut. A bare end is judged by what it cut. */
	if (!stream->body_over && stream->transport_fault != FAULT_NONE &&
	    stream->transport_fault != FAULT_TLS_TRUNCATED)
		return stream->transport_fault;
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
	if (stream->body_fault != FAULT_NONE)
		return stream->body_fault;
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
	if (fault == stream->body_fault)
		stream_detail(stream, "limit %zu bytes", stream->wish.body_bytes_max);
	else if (fault == FAULT_PROGRAM)
		stream_detail(stream, "%s", stream->driver->error_text);
	else if (fault == sink_fault(stream->flow->sink))
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

/* Of a page. */
static void answer_tell_page(struct stream *stream, struct driver_answer *answer)
{
	static const char *const skip_names[] = {
		[PAGE_SKIP_SETTLED] = "settled",
		[PAGE_SKIP_OPEN] = "open",
		[PAGE_SKIP_MISMATCH] = "mismatch",
	};
	const struct page *page = stream->page;
	struct program_answer *seen = &answer->seen;
	answer->skip = page_skip_state(page);
	seen->skip = skip_names[answer->skip];
	seen->plain_bytes = page_plain_bytes(page);
	seen->context = page_context(page);
	seen->looks_like_events = page_looks_like_events(page);
	seen->event_lines = page_event_lines(page);
	seen->malformed = stream->page_malformed;
	seen->newest_event_unix_ms =
		stream->flow->decoder ? stream->newest_event_unix_ms : page_newest_event_unix_ms(page);
}

/* Of any other answer. */
static void answer_tell_body(struct stream *stream, struct program_answer *seen)
{
	seen->body = span_of(stream->body, stream->body_bytes);
	if (seen->body.bytes > stream->wish.body_bytes_max && !stream->wish.lines)
		seen->body.bytes = stream->wish.body_bytes_max;
	seen->plain_bytes = seen->body.bytes;
	/* Whatever came of an error's body, the status is what counts. */
	if (stream->wish.lines && fault_class_of(seen->fault) == FAULT_CLASS_RESTART)
		seen->fault = FAULT_NONE;
	if (seen->status == 200)
		return;
	stage_enter(stream->flow->stage, STAGE_CONTROL);
	if (control_read_problem(stream->flow->control, seen->body, &stream->answer_problem) == CONTROL_YES)
		seen->problem = &stream->answer_problem;
}

static void answer_tell(struct stream *stream, enum fault fault, int64_t now_ns, struct driver_answer *answer)
{
	const struct http_response *response = &stream->response;
	struct program_answer *seen = &answer->seen;
	*answer = (struct driver_answer){
		.seen = {
			.fault = fault,
			.fault_text = "",
			.retry_after_seconds = -1,
			.date_unix = -1,
			.elapsed_ns = stream->asked_ns ? now_ns - stream->asked_ns : 0,
			.looks_like_events = 1,
			.skip = "settled",
		},
		.skip = PAGE_SKIP_SETTLED,
	};
	if (!stream->head_seen)
		return;
	seen->status = response->status;
	seen->retry_after_seconds = response->retry_after_seconds;
	seen->date_unix = response->date_unix;
	seen->body_bytes = response->body_bytes;
	if (stream->headers) {
		seen->headers = stream->headers->lines;
		seen->header_count = stream->headers->count;
	}
	if (answer_is_page(stream))
		answer_tell_page(stream, answer);
	else
		answer_tell_body(stream, seen);
}

/* What the run's counters say of the answer, whoever decides. */
static void answer_count(struct stream *stream, int64_t now_ns)
{
	struct flow_stream_report *totals = &stream->totals;
	if (!stream->head_seen)
		return;
	totals->body_bytes += stream->response.body_bytes;
	totals->content_encoding = stream->response.encoding == HTTP_ENCODING_GZIP ? "gzip" : "identity";
	if (!answer_is_page(stream))
		return;
	totals->plain_bytes += page_plain_bytes(stream->page);
	if (stream->response.encoding == HTTP_ENCODING_GZIP)
		totals->paired_plain_bytes += inflate_paired_bytes(stream->inflate);
	if (now_ns - stream->asked_ns > totals->page_ns_max)
		totals->page_ns_max = now_ns - stream->asked_ns;
}

/* "sentence (detail)". */
static void answer_word(const struct stream *stream, const char *sentence, char *text, size_t text_bytes)
{
	snprintf(text, text_bytes, "%s%s%s%s", sentence, stream->detail[0] ? " (" : "", stream->detail,
		 stream->detail[0] ? ")" : "");
}

/* The answer was no good one. 0: nothing will come of asking again. */
static int answer_failed(struct stream *stream, enum fault fault)
{
	const struct driver *driver = stream->driver;
	int tells = driver->table->tells_failures;
	enum fault said = tells || driver->last_fault == FAULT_NONE ? fault : driver->last_fault;
	if (said != FAULT_NONE) {
		const char *sentence = tells ? "" : driver->error_text;
		stream->error_fault = said;
		answer_word(stream, sentence[0] ? sentence : fault_sentence(said), stream->error_text,
			    sizeof stream->error_text);
	}
	int hopeless = !stream->contacted && fault != FAULT_NONE &&
		       ++stream->contact_failures >= FLOW_FIRST_CONTACT_ATTEMPTS;
	if (hopeless && !driver->table->ended(driver)) {
		char text[FLOW_TEXT_BYTES_MAX];
		answer_word(stream, fault_sentence(said), text, sizeof text);
		snprintf(stream->error_text, sizeof stream->error_text,
			 "configId %s: %s; no answer in %d attempts", stream->config_id, text,
			 FLOW_FIRST_CONTACT_ATTEMPTS);
		return 0;
	}
	if (stream->error_text[0] && !tells)
		stream_notice(stream, FLOW_WARNING, "%s", stream->error_text);
	return 1;
}

/* A limit of the account's is every stream's: the others need not be refused to learn of it. */
static void answer_limits(struct stream *stream, const struct program_answer *seen, int64_t now_ns)
{
	const struct flow_settings *settings = &stream->flow->settings;
	if (!settings->limiter || stream->asked_ns == 0)
		return;
	if (seen->status == 200)
		limiter_answered(settings->limiter, stream->server, stream->asked_ns);
	if (seen->status != 429)
		return;
	if (limiter_refused(settings->limiter, stream->server, now_ns, stream->asked_ns,
			    seen->retry_after_seconds, settings->plan.backoff_ns) &&
	    settings->notice)
		settings->notice(settings->notice_owner, FLOW_INFO, NULL,
				 "the server limits this account (429): all streams wait, and come back one "
				 "after the other");
}

/* Lines of the page may be with the sink that no trailer has proven. A page that broke by itself has not all
 * bytes of which inflate knows the checksum. */
static void answer_doubt(struct stream *stream)
{
	uint32_t checksum;
	uint64_t offset = inflate_unproven(stream->inflate, &checksum);
	if (stream->head_seen && answer_is_page(stream) && stream->response.encoding == HTTP_ENCODING_GZIP &&
	    page_plain_bytes(stream->page) == inflate_plain_bytes(stream->inflate))
		page_doubt(stream->page, offset, checksum);
}

void answer_finish(struct stream *stream, enum fault fault, int64_t now_ns)
{
	struct driver *driver = stream->driver;
	struct driver_answer answer;
	char text[FLOW_TEXT_BYTES_MAX];
	if (fault == FAULT_NONE)
		fault = answer_fault(stream);
	answer_describe(stream, fault);
	answer_tell(stream, fault, now_ns, &answer);
	if (answer.seen.fault != FAULT_NONE) {
		answer_word(stream, fault_sentence(fault), text, sizeof text);
		answer.seen.fault_text = text;
	}
	answer_count(stream, now_ns);
	answer_limits(stream, &answer.seen, now_ns);
	answer_doubt(stream);
	int reusable = stream->head_seen && stream->body_over && stream->response.keep_alive &&
		       !stream->transport_over && cursor_in_bytes(&stream->plain_in) == 0 &&
		       cursor_in_bytes(&stream->cipher_in) == 0 && fault == FAULT_NONE &&
		       stream->request_at == stream->request_bytes && /* else answered before it was asked */
		       !connection_send_failed(stream) &&
		       (!stream->tls || tls_usable(stream->tls)); /* a bad record may lie behind the answer */

	stage_enter(stream->flow->stage, STAGE_PROGRAM);
	int good = driver->table->answer(driver, stream_time(stream, now_ns), &answer);
	stream->page_waits = stream->head_seen && answer_is_page(stream);
	int has_lines = stream->page_waits;
	stream->head_seen = 0;
	if (reusable)
		stream->reused = 1;
	else
		connection_close(stream);
	stream->state = STREAM_IDLE;
	stream->blocked = 0;
	stream_settle(stream, now_ns);
	/* Whoever reads the output waits for this page, not for the next. */
	if (has_lines)
		sink_flush(stream->flow->sink);
	if (!good && !answer_failed(stream, fault)) {
		stream_end(stream, FLOW_END_FAILED);
		return;
	}
	stream_tell_driver_notice(stream);
}
