/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/body.h"

#include "base/clock.h"

#include <stdio.h>

#define DRIP_PAUSE_NS (20 * NS_PER_MS)
#define TINY_CHUNK_COUNT 4096 /* then ordinary ones: a page must not take minutes */

struct sending {
	struct connection *connection;
	const struct options *options;
	const struct page *page;
	const struct fault_plan *plan;
	enum framing framing;
	int64_t start_ns;
	size_t sent;
	size_t span_index;
	size_t span_used;
	size_t chunk_left;
	size_t chunk_count;
	size_t border; /* a chunk has to end here; 0: nowhere in particular */
};

static enum trouble trouble_of(const struct sending *sending)
{
	return sending->plan ? sending->plan->trouble : TROUBLE_NONE;
}

static int chunk_open(struct sending *sending)
{
	int tiny = trouble_of(sending) == TROUBLE_TINY_CHUNKS && sending->chunk_count < TINY_CHUNK_COUNT;
	size_t bytes = tiny ? (size_t)(sending->plan->number > 0 ? sending->plan->number : 1)
			    : (size_t)sending->options->chunk_bytes;
	size_t border = sending->border > sending->sent ? sending->border : sending->page->body_bytes;
	if (bytes > border - sending->sent)
		bytes = border - sending->sent;
	char head[64];
	int count = snprintf(head, sizeof head, "%zx%s\r\n", bytes, tiny ? ";note=\"a;b\"" : "");
	sending->chunk_left = bytes;
	sending->chunk_count++;
	return connection_write(sending->connection, head, (size_t)count);
}

/* Keeps to --pace: waits while more has gone out than the time since the start allows. */
static int pace_keep(const struct sending *sending)
{
	if (!sending->options->pace_per_s || sending->page->count == 0)
		return 0;
	double events =
		(double)sending->page->count * (double)sending->sent / (double)sending->page->body_bytes;
	int64_t due_ns = sending->start_ns + (int64_t)(events / (double)sending->options->pace_per_s * 1e9);
	int64_t ahead_ns = due_ns - clock_monotonic_ns();
	if (ahead_ns <= 5 * NS_PER_MS)
		return 0;
	if (connection_flush(sending->connection) < 0)
		return -1;
	return connection_pause(sending->connection, ahead_ns);
}

/* Sends on, up to byte `until` of the body. */
static int go(struct sending *sending, size_t until)
{
	int chunked = sending->framing == FRAMING_CHUNKED;
	while (sending->sent < until) {
		const struct span *span = &sending->page->spans[sending->span_index];
		size_t bytes = span->bytes - sending->span_used;
		if (bytes == 0) {
			sending->span_index++;
			sending->span_used = 0;
			continue;
		}
		if (chunked && sending->chunk_left == 0 && chunk_open(sending) < 0)
			return -1;
		bytes = bytes < until - sending->sent ? bytes : until - sending->sent;
		size_t step = chunked ? sending->chunk_left : (size_t)sending->options->chunk_bytes;
		bytes = bytes < step ? bytes : step;
		if (connection_write(sending->connection, span->base + sending->span_used, bytes) < 0)
			return -1;
		sending->sent += bytes;
		sending->span_used += bytes;
		if (chunked)
			sending->chunk_left -= bytes;
		if (chunked && sending->chunk_left == 0 &&
		    connection_write(sending->connection, "\r\n", 2) < 0)
			return -1;
		if (pace_keep(sending) < 0)
			return -1;
	}
	return 0;
}

/* Faults that stop in the middle. Always -1. */
static int half(struct sending *sending)
{
	size_t middle = sending->page->body_bytes / 2;
	/* Inside a chunk: at least one byte that was announced does not come. */
	sending->border = trouble_of(sending) == TROUBLE_EARLY_CLOSE_NOTIFY ? middle : 0;
	if (go(sending, middle) < 0)
		return -1;
	switch (trouble_of(sending)) {
	case TROUBLE_ABRUPT_CLOSE:
		connection_end(sending->connection, CONNECTION_END_RESET);
		break;
	case TROUBLE_FIN_NO_NOTIFY:
		connection_end(sending->connection, CONNECTION_END_NO_NOTIFY);
		break;
	case TROUBLE_STALL:
		if (connection_flush(sending->connection) < 0 ||
		    connection_pause(sending->connection, sending->plan->number) < 0)
			return -1;
		connection_end(sending->connection, CONNECTION_END_CLEAN);
		break;
	default:
		connection_end(sending->connection, CONNECTION_END_CLEAN);
		break;
	}
	return -1;
}

static int drip(struct sending *sending)
{
	size_t pieces = (size_t)(sending->plan->number / DRIP_PAUSE_NS) + 1;
	for (size_t i = 1; i <= pieces; i++) {
		size_t until = (size_t)((unsigned __int128)sending->page->body_bytes * i / pieces);
		if (go(sending, until) < 0 || connection_flush(sending->connection) < 0)
			return -1;
		if (i < pieces && connection_pause(sending->connection, DRIP_PAUSE_NS) < 0)
			return -1;
	}
	return 0;
}

static int key_updates(struct sending *sending)
{
	size_t count = (size_t)(sending->plan->number > 0 ? sending->plan->number : 1);
	for (size_t i = 0; i < count; i++) {
		size_t until = (size_t)((unsigned __int128)sending->page->body_bytes * (i + 1) / (count + 1));
		if (go(sending, until) < 0 || connection_key_update(sending->connection, (int)(i % 2)) < 0)
			return -1;
	}
	return go(sending, sending->page->body_bytes);
}

static int terminate(struct sending *sending)
{
	int tiny = trouble_of(sending) == TROUBLE_TINY_CHUNKS;
	const char *end = tiny ? "000;last\r\nX-Note: a trailer field\r\n\r\n" : "0\r\n\r\n";
	if (sending->framing == FRAMING_CHUNKED &&
	    connection_write(sending->connection, end, tiny ? 37 : 5) < 0)
		return -1;
	if (connection_flush(sending->connection) < 0)
		return -1;
	if (sending->framing == FRAMING_CLOSE)
		connection_end(sending->connection, CONNECTION_END_CLEAN);
	return 0;
}

int body_send(struct connection *connection, const struct options *options, const struct page *page,
	      enum framing framing, const struct fault_plan *plan)
{
	struct sending sending = {
		.connection = connection,
		.options = options,
		.page = page,
		.plan = plan,
		.framing = framing,
		.start_ns = clock_monotonic_ns(),
	};
	int result;
	switch (trouble_of(&sending)) {
	case TROUBLE_CUT_BODY:
	case TROUBLE_EARLY_CLOSE_NOTIFY:
	case TROUBLE_FIN_NO_NOTIFY:
	case TROUBLE_ABRUPT_CLOSE:
	case TROUBLE_STALL:
		return half(&sending);
	case TROUBLE_SLOW_DRIP:
		result = drip(&sending);
		break;
	case TROUBLE_KEY_UPDATE:
		result = key_updates(&sending);
		break;
	default:
		result = go(&sending, page->body_bytes);
		break;
	}
	return result < 0 ? -1 : terminate(&sending);
}
