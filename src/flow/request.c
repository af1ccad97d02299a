/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the request of the last wish, with the headers that the driver wants to send with it now.
 */
#include <string.h>

#include "base/clock.h"
#include "flow/worker.h"

void driver_default_headers(const struct flow_settings *settings, struct http_header lines[static 3])
{
	lines[0] = (struct http_header){ span_of_text("Accept"), span_of_text("application/json") };
	lines[1] = (struct http_header){ span_of_text("Accept-Encoding"),
					 span_of_text(settings->identity ? "identity" : "gzip") };
	lines[2] = (struct http_header){ span_of_text("User-Agent"), span_of_text(settings->user_agent) };
}

enum fault request_write(struct stream *stream)
{
	const struct flow_settings *settings = &stream->flow->settings;
	const struct flow_server *server = &settings->servers[stream->server];
	const struct driver_table *driver = stream->driver->table;
	struct driver_headers headers;
	headers.count = 0;
	stage_enter(stream->flow->stage, STAGE_HTTP);
	stream->driver->detail = "";
	enum fault fault =
		driver->headers(stream->driver, stream_time(stream, clock_monotonic_ns()), server, &headers);
	if (fault != FAULT_NONE) {
		stream_detail(stream, "%s", stream->driver->detail);
		return fault;
	}
	struct http_request request = {
		.method = stream->wish.method,
		.host = server->authority,
		.target = stream->wish.target,
		.headers = headers.lines,
		.header_count = headers.count,
		.body = stream->wish.body,
	};
	stage_enter(stream->flow->stage, STAGE_HTTP);
	stream->request_at = 0;
	stream->request_bytes =
		http_request_write(&request, (char *)stream->request, stream->request_bytes_max);
	explicit_bzero(headers.authorization, sizeof headers.authorization);
	if (stream->request_bytes == 0) {
		stream_detail(stream, "%s", driver->unwritable_text);
		return driver->unwritable_fault;
	}
	stream->asked_ns = clock_monotonic_ns();
	stream->page_end_ns = stream->asked_ns + FLOW_PAGE_NS;
	stream->wake_ns = stream->asked_ns + settings->stall_ns;
	return FAULT_NONE;
}
