/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds one response to the parser in given pieces and collects everything that can be seen of it, so that
 * two ways of cutting the same bytes can be compared. Each piece lives in a block of its own size, gone
 * before the next one comes: a read past the end or a reference kept is a sanitizer report.
 */
#ifndef TESTS_UNIT_HTTP_OUTCOME_H
#define TESTS_UNIT_HTTP_OUTCOME_H

#include <stdlib.h>
#include <string.h>

#include "http/http.h"

#define OUTCOME_NOW_UNIX INT64_C(1700000000)

struct outcome {
	enum step step;		/* the last answer before the end of the input */
	enum fault fault;	/* before the end */
	enum fault fault_ended; /* what http_response_end() says when the input ends the transport */
	uint64_t offset;	/* after the end */
	uint64_t consumed_bytes;
	int head_done;
	int status;
	int minor_version;
	int keep_alive;
	int chunked;
	int64_t content_length;
	enum http_encoding encoding;
	int64_t date_unix;
	int64_t retry_after_seconds;
	char content_type[HTTP_VALUE_BYTES_MAX];
	char location[HTTP_VALUE_BYTES_MAX];
	uint64_t body_bytes;
	uint64_t head_bytes;
	size_t span_count;
	uint8_t *body;	     /* free() it */
	uint64_t lines_hash; /* of all that the observer saw, in order */
	size_t line_count, lines_bytes;
	char lines[1024];	 /* "name:value\n" of the first of them, names in lower case */
	const char *broken_rule; /* a promise of http.h that was not kept, or NULL */
};

__attribute__((unused)) static void outcome_keep(struct outcome *outcome, struct span text, int is_name)
{
	for (size_t i = 0; i <= text.bytes; i++) {
		uint8_t byte = i < text.bytes ? text.base[i] : is_name ? ':' : '\n';
		if (is_name && byte >= 'A' && byte <= 'Z')
			byte |= 0x20;
		outcome->lines_hash = (outcome->lines_hash ^ byte) * UINT64_C(0x100000001b3);
		if (outcome->lines_bytes + 1 < sizeof outcome->lines)
			outcome->lines[outcome->lines_bytes++] = (char)byte;
	}
}

__attribute__((unused)) static void outcome_header_seen(void *owner, struct span name, struct span value)
{
	struct outcome *outcome = owner;
	if (name.bytes == 0)
		outcome->broken_rule = "a header line has a name";
	outcome_keep(outcome, name, 1);
	outcome_keep(outcome, value, 0);
	outcome->line_count++;
}

/* One piece of the input, until the parser has nothing more to say about it. */
__attribute__((unused)) static void outcome_feed(struct outcome *outcome, struct http_response *response,
						 const uint8_t *data, size_t bytes)
{
	uint8_t *piece = malloc(bytes ? bytes : 1);
	if (bytes)
		memcpy(piece, data, bytes);
	struct cursor_in in = { .next = piece, .end = piece + bytes };
	struct span body;
	do {
		const uint8_t *before = in.next;
		outcome->step = http_response_push(response, &in, &body);
		outcome->consumed_bytes += (size_t)(in.next - before);
		if (body.bytes) {
			if (body.base < before || body.base + body.bytes > in.next)
				outcome->broken_rule = "a body span lies in the consumed input";
			if (outcome->step != STEP_HUNGRY)
				outcome->broken_rule = "a body span comes with HUNGRY";
			memcpy(outcome->body + outcome->body_bytes, body.base, body.bytes);
			outcome->body_bytes += body.bytes;
			outcome->span_count++;
		} else if (outcome->step == STEP_HUNGRY && in.next != in.end) {
			outcome->broken_rule = "HUNGRY without a span consumes everything";
		}
	} while (body.bytes);
	if (outcome->step == STEP_FULL)
		outcome->broken_rule = "FULL is never returned";
	free(piece);
}

/* `piece_bytes(context, at)` says how large the piece that begins at `at` is; it is cut to the input. */
__attribute__((unused)) static struct outcome
outcome_of(const uint8_t *data, size_t bytes, size_t (*piece_bytes)(void *context, size_t at), void *context)
{
	struct outcome outcome = { .body = malloc(bytes + 1) };
	struct http_response *response = malloc(sizeof *response);
	memset(response, 0xa5, sizeof *response);
	http_response_begin(response, OUTCOME_NOW_UNIX);
	response->header_seen = outcome_header_seen;
	response->header_owner = &outcome;
	for (size_t at = 0; at < bytes && !outcome.broken_rule;) {
		size_t piece = piece_bytes(context, at);
		if (piece > bytes - at)
			piece = bytes - at;
		outcome_feed(&outcome, response, data + at, piece);
		at += piece;
	}
	outcome.fault = http_fault(response);
	if ((outcome.step == STEP_BROKEN) != (outcome.fault != FAULT_NONE))
		outcome.broken_rule = "BROKEN goes with a fault";
	outcome.fault_ended = http_response_end(response);
	outcome.offset = http_offset(response);
	outcome.head_done = http_head_done(response);
	outcome.head_bytes = response->head_bytes;
	if (outcome.body_bytes != response->body_bytes)
		outcome.broken_rule = "body_bytes counts the spans";
	if (outcome.head_done) {
		outcome.status = response->status;
		outcome.minor_version = response->minor_version;
		outcome.keep_alive = response->keep_alive;
		outcome.chunked = response->chunked;
		outcome.content_length = response->content_length;
		outcome.encoding = response->encoding;
		outcome.date_unix = response->date_unix;
		outcome.retry_after_seconds = response->retry_after_seconds;
		memcpy(outcome.content_type, response->content_type, strlen(response->content_type) + 1);
		memcpy(outcome.location, response->location, strlen(response->location) + 1);
	}
	free(response);
	return outcome;
}

/* NULL when both saw the same, else the name of what differs. The number of spans may differ. */
__attribute__((unused)) static const char *outcome_difference(const struct outcome *a,
							      const struct outcome *b)
{
	const char *broken_rule = a->broken_rule ? a->broken_rule : b->broken_rule;
	if (broken_rule)
		return broken_rule;
#define SAME(member)                                                                                         \
	do {                                                                                                 \
		if (a->member != b->member)                                                                  \
			return #member;                                                                      \
	} while (0)
	SAME(step);
	SAME(fault);
	SAME(fault_ended);
	SAME(offset);
	SAME(consumed_bytes);
	SAME(head_done);
	SAME(status);
	SAME(minor_version);
	SAME(keep_alive);
	SAME(chunked);
	SAME(content_length);
	SAME(encoding);
	SAME(date_unix);
	SAME(retry_after_seconds);
	SAME(body_bytes);
	SAME(head_bytes);
	SAME(line_count);
	SAME(lines_hash);
#undef SAME
	if (strcmp(a->content_type, b->content_type) != 0)
		return "content_type";
	if (strcmp(a->location, b->location) != 0)
		return "location";
	return memcmp(a->body, b->body, a->body_bytes) == 0 ? NULL : "body";
}

/* Ways to cut. */
__attribute__((unused)) static size_t pieces_whole(void *context, size_t at)
{
	(void)context, (void)at;
	return SIZE_MAX;
}

__attribute__((unused)) static size_t pieces_bytes(void *context, size_t at)
{
	(void)context, (void)at;
	return 1;
}

/* context: size_t, where to cut in two. */
__attribute__((unused)) static size_t pieces_two(void *context, size_t at)
{
	size_t cut = *(size_t *)context;
	return at < cut ? cut - at : SIZE_MAX;
}

/* context: uint64_t, the state of a generator; small pieces are as likely as large ones. */
__attribute__((unused)) static size_t pieces_random(void *context, size_t at)
{
	uint64_t *state = context;
	(void)at;
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return 1 + (size_t)((*state >> 40) & ((1u << ((*state >> 33) % 13)) - 1));
}

#endif
