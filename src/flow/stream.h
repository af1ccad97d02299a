/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: one configId's connection and the question that is being asked on it. Internal to flow.
 */
#ifndef FLOW_STREAM_H
#define FLOW_STREAM_H

#include "flow/driver.h"
#include "flow/flow.h"
#include "flow/page.h"
#include "http/http.h"
#include "ring/resolve.h"

struct control;

enum stream_state {
	STREAM_IDLE,	/* ask the driver */
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

/* All header lines of an answer, for whoever wants to see them. A head is bounded, so they always fit. */
struct answer_headers {
	size_t count, bytes;
	struct program_header lines[HTTP_HEADER_COUNT_MAX];
	uint8_t text[HTTP_HEAD_BYTES_MAX];
};

/* What became of the bytes that were received. */
enum pump {
	PUMP_MORE,    /* wants more of them from the socket */
	PUMP_BLOCKED, /* the sink is behind */
	PUMP_OVER,    /* the answer is over, well or not: stream->transport_fault and the rooms know */
	PUMP_INFLATE, /* where `beside` is set: stream->job is there to be done */
};

enum job_state {
	JOB_NONE,
	JOB_WAITS,
	JOB_DONE,
};

struct stream {
	struct flow *flow;
	const char *config_id;
	enum stream_state state;
	enum flow_end_reason end_reason;
	int64_t wake_ns;     /* WAITING: go on; other states: too late */
	int64_t page_end_ns; /* the answer must be complete by then */
	int64_t asked_ns;    /* the request was written; 0: it was not */
	int64_t pump_ns;     /* the bytes that are being looked at came */
	uint64_t due;	     /* they are to be looked at: whose number is lowest comes first; 0: no */
	int beside;	     /* so are another's now: stop where there is something to inflate */
	unsigned waits;	     /* so often in a row the other had nothing to inflate, and this one waited on */

	/* who decides */
	struct driver *driver;
	struct program_wish wish; /* the last one */
	int wish_waits;		  /* it is still to be acted on */
	int page_waits;		  /* the last page waits for the driver's verdict */
	int settles_late;	  /* ended while the driver's own lines waited for the sink */

	/* connection */
	unsigned server; /* its index */
	int fd;		 /* -1: none */
	unsigned address_index;
	unsigned contact_failures;
	int contacted;	  /* some HTTP answer was received in this run */
	int reused;	  /* the connection has answered before */
	int answer_begun; /* bytes of the answer have arrived */
	struct ring_operation connecting, receiving, sending;
	struct tls *tls; /* NULL: plain; else tls_slot */
	struct tls *tls_slot;

	/* buffers, all from the arena */
	uint8_t *receive; /* registered */
	size_t receive_bytes;
	uint8_t *plain;	  /* FLOW_PLAIN_BYTES; unused without TLS */
	uint8_t *send;	  /* request_bytes_max: on their way */
	uint8_t *request; /* request_bytes_max: being written */
	size_t request_bytes_max;
	uint8_t *body; /* of answers that are no page */
	size_t body_bytes;
	struct cursor_in cipher_in;  /* received, not yet decrypted (or, without TLS, not yet read) */
	struct cursor_in plain_in;   /* decrypted, not yet read */
	struct cursor_in body_in;    /* body bytes not yet inflated */
	struct cursor_out body_room; /* where they go, from body_at on */
	uint8_t *body_at;
	struct inflate_job job; /* to be done beside another stream's: from body_in to body_room */
	enum job_state job_state;
	size_t request_at, request_bytes; /* what of the request tls_write() has not taken */

	/* the answer */
	struct http_response response;
	struct inflate *inflate;
	struct page *page;
	struct answer_headers *headers; /* NULL: nobody wants to see them */
	/* What the cursor may be while lines are on their way to the output: `written` is safe, `waiting`
	 * will be, and the driver's own is safe when the sink has written `newest_sink_bytes`. */
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
	enum fault body_fault; /* of a body that is no page */

	/* full parsing */
	int64_t newest_event_unix_ms; /* of the events since the last commit; 0: none has a time */
	uint64_t page_malformed;
	uint64_t malformed;

	char error_text[2 * FLOW_TEXT_BYTES_MAX]; /* the driver's sentence and our detail */
	enum fault error_fault;
	char detail[FLOW_TEXT_BYTES_MAX / 2]; /* about the fault that is being reported */
	struct flow_stream_report totals;
};

/* Takes everything from the arena. 0, or -1 with a sentence. */
int stream_init(struct stream *stream, struct flow *flow, size_t index,
		char error[static FLOW_TEXT_BYTES_MAX]);
/* All of these return without waiting; ring completions drive them on. */
/* Goes as far as it can at `now_ns`. */
void stream_advance(struct stream *stream, int64_t now_ns);
void stream_completed(struct stream *stream, struct ring_operation *operation, int64_t now_ns);
/* The sink has room again. */
void stream_unblock(struct stream *stream, int64_t now_ns);
/* What was received has been looked at. */
void stream_pumped(struct stream *stream, enum pump pump, int64_t now_ns);
void stream_end(struct stream *stream, enum flow_end_reason reason);
/* Hears the driver's verdict on the last page, once its own lines are with the sink. 0: they wait for it. */
int stream_settle(struct stream *stream, int64_t now_ns);
/* 1: the server is not to be asked yet, because another stream was refused: the wish waits, or its stream
 * ended.
 */
int stream_is_held(struct stream *stream, int64_t now_ns);
struct program_time stream_time(const struct stream *stream, int64_t now_ns);
/* When stream_advance() must be called at the latest. */
int64_t stream_deadline_ns(const struct stream *stream);

/* After each committed page: keeps its offset until its lines are written. */
void stream_mark(struct stream *stream);
/* The newest offset behind which every line is with the kernel. NULL: the driver's. */
const struct stream_mark *stream_safe_mark(const struct stream *stream);

/* connection.c */
/* The next request goes to this server: a connection to another is closed. */
void connection_choose(struct stream *stream, unsigned server);
void connection_open(struct stream *stream, int64_t now_ns);
void connection_close(struct stream *stream);
void connection_connected(struct stream *stream, int64_t now_ns);
/* Puts the request and whatever TLS wants to say on the wire. */
enum fault connection_flush(struct stream *stream);
void connection_receive(struct stream *stream);
/* The last thing that was put there did not get through. */
int connection_send_failed(const struct stream *stream);

/* connection_kernel.c: -tls ktls */
/* Whether this kernel opens records at all, asked once, while there are rights to load its module. */
void connection_kernel_probe(struct flow *flow);
/* Everything received is consumed: gives the socket the key, if that is to be. */
void connection_kernel_offer(struct stream *stream);
/* What a receive's result means where the kernel opens records: bytes at the end of cipher_in, 0: the end,
 * and tls_fault() knows how; -EAGAIN: receive again; else an error of the transport. */
int connection_kernel_result(struct stream *stream, int result);

/* request.c: writes the request of stream->wish into stream->request. */
enum fault request_write(struct stream *stream);

/* pump.c */
/* There is something to look at, since `now_ns`. */
void pump_due(struct stream *stream, int64_t now_ns);
/* There is nothing to look at any more. */
void pump_drop(struct stream *stream);
/* Looks at everything of one stream that is due, the one that has been for longest; and beside it at
 * another's as long as both have something to inflate. */
void pump_streams(struct flow *flow);

/* answer.c */
void answer_begin(struct stream *stream);
enum pump answer_pump(struct stream *stream);
/* Status 200 to a question for lines. */
int answer_is_page(const struct stream *stream);

/* answer_end.c */
/* The first thing that went wrong, from the wire upwards. */
enum fault answer_fault(struct stream *stream);
void answer_header_seen(void *owner, struct span name, struct span value);
/* Tells the driver what came of it. */
void answer_finish(struct stream *stream, enum fault fault, int64_t now_ns);

/* event.c: what struct page_observer calls. The owner is the stream. */
enum fault event_seen(void *owner, struct span line, uint64_t offset);

void stream_notice(struct stream *stream, enum flow_severity severity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void stream_tell_driver_notice(struct stream *stream);
void stream_detail(struct stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
