/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: one configId's connection and the question that is being asked on it. Internal to flow.
 */
#ifndef FLOW_STREAM_H
#define FLOW_STREAM_H

#include "flow/flow.h"
#include "flow/page.h"
#include "http/http.h"
#include "ring/resolve.h"

struct control;

enum stream_state {
	STREAM_IDLE,	/* ask the plan */
	STREAM_WAITING, /* until wake_ns */
	STREAM_CONNECTING,
	STREAM_HANDSHAKING,
	STREAM_ASKING, /* request on its way or answer coming in */
	STREAM_ENDED,
};

/* A committed offset, and how much the sink must have written until nothing before it can be lost. */
struct stream_mark {
	uint64_t sink_bytes;
	uint64_t events; /* handed on, up to this offset */
	char offset[CONTROL_OFFSET_BYTES_MAX + 1];
};

struct stream {
	struct flow *flow;
	const char *config_id;
	enum stream_state state;
	enum flow_end_reason end_reason;
	int64_t wake_ns;     /* WAITING: go on; other states: too late */
	int64_t page_end_ns; /* the answer must be complete by then */
	int64_t asked_ns;

	/* connection */
	int fd; /* -1: none */
	unsigned address_index;
	unsigned contact_failures;
	int contacted;	  /* some HTTP answer was received in this run */
	int reused;	  /* the connection has answered before */
	int answer_begun; /* bytes of the answer have arrived */
	struct ring_operation connecting, receiving, sending;
	struct tls *tls; /* NULL: plain */

	/* buffers, all from the arena */
	uint8_t *receive; /* FLOW_RECEIVE_BYTES, registered */
	uint8_t *plain;	  /* FLOW_PLAIN_BYTES; unused without TLS */
	uint8_t *send;	  /* FLOW_SEND_BYTES: on their way */
	uint8_t *request; /* FLOW_SEND_BYTES: being written */
	uint8_t *problem; /* FLOW_PROBLEM_BYTES */
	size_t problem_bytes;
	struct cursor_in cipher_in;	  /* received, not yet decrypted (or, without TLS, not yet read) */
	struct cursor_in plain_in;	  /* decrypted, not yet read */
	struct cursor_in body_in;	  /* body bytes not yet inflated */
	size_t request_at, request_bytes; /* what of the request tls_write() has not taken */

	/* the answer */
	struct http_response response;
	struct inflate *inflate;
	struct page *page;
	struct plan plan;
	struct plan_ask ask;
	/* What the cursor may be while lines are on their way to the output: `written` is safe, `waiting`
	 * will be, and the plan's own offset is safe when the sink has written `newest_sink_bytes`. */
	struct stream_mark written, waiting;
	int is_waiting;
	uint64_t newest_sink_bytes;
	struct control_problem answer_problem;
	int head_seen;
	int body_over;	    /* HTTP says that the body is complete */
	int transport_over; /* no more bytes will come on this connection */
	int plain_over;	    /* and TLS has given all that it had */
	int blocked;	    /* the sink is behind */
	int64_t blocked_ns; /* since then */
	enum fault transport_fault;

	char error_text[2 * FLOW_TEXT_BYTES_MAX]; /* the plan's sentence and our detail */
	enum fault error_fault;
	char detail[FLOW_TEXT_BYTES_MAX / 2]; /* about the fault that is being reported */
	struct flow_stream_report totals;
};

/* All of these return without waiting; ring completions drive them on. */
void stream_init(struct stream *stream, struct flow *flow, const char *config_id);
/* Goes as far as it can at `now_ns`. */
void stream_advance(struct stream *stream, int64_t now_ns);
void stream_completed(struct stream *stream, struct ring_operation *operation, int64_t now_ns);
/* The sink has room again. */
void stream_unblock(struct stream *stream, int64_t now_ns);
void stream_end(struct stream *stream, enum flow_end_reason reason);
/* When stream_advance() must be called at the latest. */
int64_t stream_deadline_ns(const struct stream *stream);

/* After each committed page: keeps its offset until its lines are written. */
void stream_mark(struct stream *stream);
/* The newest offset behind which every line is with the kernel. NULL: the plan's. */
const struct stream_mark *stream_safe_mark(const struct stream *stream);

/* connection.c */
void connection_open(struct stream *stream, int64_t now_ns);
void connection_close(struct stream *stream);
void connection_connected(struct stream *stream, int64_t now_ns);
/* Puts the request and whatever TLS wants to say on the wire. */
enum fault connection_flush(struct stream *stream);
void connection_receive(struct stream *stream);

/* request.c: writes and signs the request of stream->ask into stream->request. */
enum fault request_write(struct stream *stream);

/* answer.c */
enum pump {
	PUMP_MORE,    /* wants more bytes from the socket */
	PUMP_BLOCKED, /* the sink is behind */
	PUMP_OVER,    /* the answer is over, well or not: stream->transport_fault and the rooms know */
};
void answer_begin(struct stream *stream);
enum pump answer_pump(struct stream *stream);
/* Tells the plan what came of it. */
void answer_finish(struct stream *stream, enum fault fault, int64_t now_ns);

void stream_notice(struct stream *stream, enum flow_severity severity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void stream_tell_plan_notice(struct stream *stream);
void stream_detail(struct stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
