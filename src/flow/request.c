/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes one signed request. Every attempt has its own time and nonce.
 */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "flow/worker.h"

enum { REQUEST_HEADERS = 5 };

/* The headers that the configuration wants signed, among those that we send. */
static size_t request_signed_headers(const struct flow_settings *settings, const struct http_header *sent,
				     size_t sent_count, struct edgegrid_header *out)
{
	size_t count = 0;
	for (size_t i = 0; i < settings->headers_to_sign_count; i++) {
		for (size_t k = 0; k < sent_count && count < EDGEGRID_HEADERS_TO_SIGN_MAX; k++) {
			if (strcasecmp(sent[k].name, settings->headers_to_sign[i]) != 0)
				continue;
			out[count++] = (struct edgegrid_header){
				.name = span_of_text(sent[k].name),
				.value = sent[k].value,
			};
		}
	}
	return count;
}

enum fault request_write(struct stream *stream)
{
	const struct flow_settings *settings = &stream->flow->settings;
	stage_enter(stream->flow->stage, STAGE_HTTP);
	struct http_header headers[REQUEST_HEADERS] = {
		{ "Accept", span_of_text("application/json") },
		{ "Accept-Encoding", span_of_text(settings->identity ? "identity" : "gzip") },
		{ "User-Agent", span_of_text(settings->user_agent) },
	};
	size_t header_count = 3;
	struct edgegrid_header signed_headers[EDGEGRID_HEADERS_TO_SIGN_MAX];
	struct edgegrid_request request = {
		.method = "GET",
		.scheme = stream->tls ? "https" : "http",
		.host = settings->authority,
		.target = stream->ask.target,
		.headers = signed_headers,
		.header_count = request_signed_headers(settings, headers, header_count, signed_headers),
	};
	char timestamp[EDGEGRID_TIMESTAMP_BYTES];
	char nonce[EDGEGRID_NONCE_BYTES];
	char authorization[EDGEGRID_AUTHORIZATION_BYTES_MAX];
	/* The plan said which clock to sign by when it was asked; connecting may have taken seconds since. */
	int64_t skew_seconds = stream->plan.counters.clock_skew_ns / NS_PER_SECOND;
	edgegrid_timestamp(clock_unix_ns() / NS_PER_SECOND + skew_seconds, timestamp);
	edgegrid_nonce(nonce);
	size_t bytes = edgegrid_authorization(settings->credentials, &request, timestamp, nonce,
					      authorization, sizeof authorization);
	if (bytes == 0) {
		stream_detail(stream, "the credentials are too long to sign with");
		return FAULT_AKAMAI_CREDENTIALS;
	}
	headers[header_count++] = (struct http_header){ "Authorization", span_of(authorization, bytes) };
	stream->request_at = 0;
	stream->request_bytes = http_request_write(settings->authority, stream->ask.target, headers,
						   header_count, (char *)stream->request, FLOW_SEND_BYTES);
	explicit_bzero(authorization, sizeof authorization);
	if (stream->request_bytes == 0) {
		stream_detail(stream, "the request cannot be written: the URL, the configId or a credential "
				      "holds characters that HTTP forbids, or is too long");
		return FAULT_AKAMAI_PARAMETERS;
	}
	stream->asked_ns = clock_monotonic_ns();
	stream->page_end_ns = stream->asked_ns + FLOW_PAGE_NS;
	stream->wake_ns = stream->asked_ns + settings->stall_ns;
	return FAULT_NONE;
}
