/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection whose received records the kernel opens (-tls ktls): when it is given the key, and what it
 * does not open by itself. tls knows what all of it means, ring asks the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "flow/worker.h"

/* Once, whichever worker finds it first. */
static void tell(struct flow *flow, const char *what, const char *why, const char *cure)
{
	char text[FLOW_TEXT_BYTES_MAX];
	const struct flow_place *place = flow->settings.place;
	int *told = place ? place->kernel_told : &flow->kernel_told;
	if (!flow->settings.notice || __atomic_exchange_n(told, 1, __ATOMIC_RELAXED))
		return;
	snprintf(text, sizeof text, "-tls ktls: %s: %s%s. Records are opened in user space instead", what,
		 why, cure);
	flow->settings.notice(flow->settings.notice_owner, FLOW_WARNING, NULL, text);
}

void connection_kernel_probe(struct flow *flow)
{
	if (!flow->settings.tls || !tls_context_wants_kernel(flow->settings.tls))
		return;
	int code = ring_tls_probe();
	if (code == 0)
		return;
	tell(flow, "the kernel does not offer TLS for sockets", strerror(-code),
	     code == -ENOENT ? " (as root: modprobe tls; it needs CONFIG_TLS)" : "");
	for (size_t i = 0; i < flow->stream_count; i++)
		tls_kernel_refuse(flow->streams[i].tls_slot);
}

/* Hands the key over and says what came of it. */
static int give_key(struct stream *stream)
{
	int first;
	struct span key = tls_kernel_key(stream->tls, &first);
	if (!key.bytes)
		return 0;
	int code = ring_tls_receive_key(stream->flow->ring, stream->fd, key.base, key.bytes, first);
	tls_kernel_answer(stream->tls, -code);
	return code;
}

void connection_kernel_offer(struct stream *stream)
{
	if (cursor_in_bytes(&stream->cipher_in))
		return;
	CHECK_EQ(cursor_in_bytes(&stream->plain_in), (size_t)0);
	int code = give_key(stream);
	if (code < 0 && code != -ENOTCONN)
		tell(stream->flow, tls_cipher_name(stream->tls), strerror(-code),
		     " (the kernel does not take its key)");
}

/* Records that are no data, until there is data or nothing more. They are rare: a ticket or two, an alert. */
static int fetch_records(struct stream *stream)
{
	struct cursor_in *left = &stream->cipher_in;
	size_t room_bytes = (size_t)(stream->receive + stream->receive_bytes - left->end);
	uint8_t *target = stream->receive + (left->end - stream->receive);
	CHECK_GE(room_bytes, (size_t)TLS_PLAIN_BYTES_MAX);
	for (;;) {
		uint8_t type;
		int got = ring_tls_receive_record(stream->flow->ring, stream->fd, target, room_bytes, &type);
		if (got == -ENODATA)
			return 0;
		if (got < 0)
			return got;
		if (type == TLS_TYPE_DATA)
			return got;
		enum step step = tls_kernel_record(stream->tls, type, span_of(target, (size_t)got));
		if (step == STEP_HUNGRY && give_key(stream) < 0)
			step = STEP_BROKEN;
		/* The answer to a key update, or an alert. A fault of this is one of tls, which knows it. */
		connection_flush(stream);
		if (step != STEP_HUNGRY)
			return 0;
	}
}

int connection_kernel_result(struct stream *stream, int result)
{
	if (result == -EIO)
		result = fetch_records(stream);
	if (result > 0)
		tls_kernel_received(stream->tls, (size_t)result);
	if (result < 0 && result != -EAGAIN && tls_kernel_error(stream->tls, -result) == STEP_BROKEN) {
		connection_flush(stream);
		return 0;
	}
	return result;
}
