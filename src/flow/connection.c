/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream's connection: open, handshake, bytes out, bytes in.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "flow/worker.h"

int connection_send_failed(const struct stream *stream)
{
	return !stream->sending.pending && stream->sending.result < 0;
}

void connection_close(struct stream *stream)
{
	if (stream->fd >= 0)
		ring_close_fd(stream->flow->ring, stream->fd);
	stream->fd = -1;
	stream->reused = 0;
	if (stream->tls) {
		stream->totals.records = tls_records(stream->tls);
		stream->totals.key_updates = tls_key_updates(stream->tls);
		tls_finish(stream->tls);
	}
	pump_drop(stream);
	stream->sending.result = 0;
	stream->cipher_in = stream->plain_in = stream->body_in = (struct cursor_in){ 0 };
	stream->request_at = stream->request_bytes = 0;
}

void connection_choose(struct stream *stream, unsigned server)
{
	if (server == stream->server)
		return;
	connection_close(stream);
	if (stream->tls_slot)
		tls_destroy(stream->tls_slot); /* the ticket of one server is not shown to another */
	stream->server = server;
	stream->tls = stream->flow->settings.servers[server].secure ? stream->tls_slot : NULL;
}

/* Starts connecting to the next address; FAULT_NONE when an attempt is on its way. */
static enum fault connection_try_next(struct stream *stream, int64_t now_ns)
{
	struct flow *flow = stream->flow;
	const struct resolved *resolved = &flow->addresses[stream->server].resolved;
	while (stream->address_index < resolved->count) {
		unsigned index = stream->address_index++;
		const struct sockaddr *address = (const struct sockaddr *)&resolved->entries[index].address;
		int fd = ring_socket(flow->ring, address->sa_family);
		if (fd < 0) {
			stream_detail(stream, "%s", strerror(-fd));
			continue;
		}
		stream->fd = fd;
		stream->state = STREAM_CONNECTING;
		stream->wake_ns = now_ns + FLOW_CONNECT_NS;
		ring_connect(flow->ring, &stream->connecting, fd, address, resolved->entries[index].bytes);
		return FAULT_NONE;
	}
	return FAULT_RING_CONNECT;
}

void connection_open(struct stream *stream, int64_t now_ns)
{
	struct flow *flow = stream->flow;
	if (!flow->addresses[stream->server].valid) {
		int code = flow_resolve(flow, stream->server);
		if (code) {
			stream_detail(stream, "%s", resolve_error_text(code));
			answer_finish(stream, FAULT_RING_RESOLVE, now_ns);
			return;
		}
	}
	stream->address_index = 0;
	enum fault fault = connection_try_next(stream, now_ns);
	if (fault != FAULT_NONE)
		answer_finish(stream, fault, now_ns);
}

void connection_connected(struct stream *stream, int64_t now_ns)
{
	int result = stream->connecting.result;
	if (result < 0) {
		stream_detail(stream, "%s", strerror(-result));
		connection_close(stream);
		if (connection_try_next(stream, now_ns) == FAULT_NONE)
			return;
		stream->flow->addresses[stream->server].valid = 0; /* look the name up again next time */
		answer_finish(stream, result == -ETIMEDOUT ? FAULT_RING_CONNECT_TIMEOUT : FAULT_RING_CONNECT,
			      now_ns);
		return;
	}
	stream->totals.connections++;
	stream->state = STREAM_HANDSHAKING;
	int64_t stall_ns = stream->flow->settings.stall_ns;
	stream->wake_ns = now_ns + (stall_ns < FLOW_CONNECT_NS ? stall_ns : FLOW_CONNECT_NS);
	answer_begin(stream);
	const struct flow_server *server = &stream->flow->settings.servers[stream->server];
	enum fault fault = stream->tls ? tls_start(stream->tls, server->host) : FAULT_NONE;
	if (fault == FAULT_NONE)
		fault = connection_flush(stream);
	if (fault != FAULT_NONE) {
		answer_finish(stream, fault, now_ns);
		return;
	}
	connection_receive(stream);
}

/* TLS takes at most 16 KB at once, and only when everything before is on its way. */
static enum fault connection_encrypt(struct stream *stream)
{
	size_t bytes = stream->request_bytes - stream->request_at;
	if (bytes == 0 || tls_output(stream->tls).bytes)
		return FAULT_NONE;
	if (bytes > 16384)
		bytes = 16384;
	stage_enter(stream->flow->stage, STAGE_TLS);
	enum fault fault = tls_write(stream->tls, span_of(stream->request + stream->request_at, bytes));
	if (fault == FAULT_NONE)
		stream->request_at += bytes;
	return fault;
}

enum fault connection_flush(struct stream *stream)
{
	if (stream->state == STREAM_HANDSHAKING && (!stream->tls || tls_established(stream->tls))) {
		stream->state = STREAM_ASKING;
		if (stream->tls)
			stream->totals.resumptions += (uint64_t)tls_resumed(stream->tls);
		/* Refused while we were connecting: an idle connection may not last as long as that. */
		if (stream_is_held(stream, clock_monotonic_ns())) {
			connection_close(stream);
			return FAULT_NONE;
		}
		enum fault fault = request_write(stream);
		if (fault != FAULT_NONE)
			return fault;
	}
	if (stream->sending.pending || connection_send_failed(stream))
		return FAULT_NONE; /* the rest goes when this is out */
	size_t bytes;
	if (stream->tls) {
		enum fault fault = connection_encrypt(stream);
		if (fault != FAULT_NONE)
			return fault;
		struct span output = tls_output(stream->tls);
		bytes = output.bytes < stream->request_bytes_max ? output.bytes : stream->request_bytes_max;
		memcpy(stream->send, output.base, bytes);
		tls_output_consume(stream->tls, bytes);
	} else {
		bytes = stream->request_bytes - stream->request_at;
		memcpy(stream->send, stream->request + stream->request_at, bytes);
		stream->request_at += bytes;
	}
	if (bytes) {
		ring_send(stream->flow->ring, &stream->sending, stream->fd, stream->send, bytes);
		stream->totals.sent_bytes += bytes;
	}
	return FAULT_NONE;
}

void connection_receive(struct stream *stream)
{
	if (stream->receiving.pending || stream->transport_over || stream->fd < 0)
		return;
	/* Without TLS the HTTP room reads the received bytes themselves. */
	struct cursor_in *left = &stream->cipher_in;
	size_t left_bytes = cursor_in_bytes(left);
	CHECK_LT(left_bytes, stream->receive_bytes);
	if (left_bytes)
		memmove(stream->receive, left->next, left_bytes);
	*left = (struct cursor_in){ stream->receive, stream->receive + left_bytes };
	size_t room_bytes = stream->receive_bytes - left_bytes;
	if (stream->tls) {
		size_t bytes_max = tls_receive_bytes_max(stream->tls, left);
		room_bytes = room_bytes < bytes_max ? room_bytes : bytes_max;
		connection_kernel_offer(stream);
	}
	ring_receive(stream->flow->ring, &stream->receiving, stream->fd, stream->receive + left_bytes,
		     room_bytes);
}
