/* SPDX-License-Identifier: Apache-2.0
 *
 * flow: wires the rooms, owns every limit and buffer, turns faults into retry, restart or stop.
 *
 * One flow is one worker: one ring, one sink, one thread; each configId is a stream with its own
 * connection, cursor and order. flow_create() takes all memory; afterwards nothing of ours is allocated but
 * what a decoder takes for a text that is longer than all before (control.h).
 */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "akamai/edgegrid.h"
#include "akamai/plan.h"
#include "base/stage.h"
#include "inflate/inflate.h"
#include "program/program.h"
#include "ring/ring.h"
#include "sink/sink.h"
#include "tls/tls.h"

/* Limits, each with its reason. */
#define FLOW_STREAMS_MAX 64 /* one process; each stream needs about a megabyte */
#define FLOW_SERVERS_MAX 16 /* a program talks to a handful of hosts; each keeps its addresses */
#define FLOW_RECEIVE_BYTES                                                                                   \
	((size_t)262144) /* one reused buffer: larger costs memory for each further stream */
#define FLOW_RECEIVE_ALONE_BYTES                                                                             \
	((size_t)1048576)		     /* of the only stream: 5 % less CPU, see src/ring/README.md */
#define FLOW_PLAIN_BYTES ((size_t)131072)    /* decrypted window: several records, still in the cache */
#define FLOW_BESIDE_BYTES_MIN ((size_t)1024) /* of a body; with less another stream's are not waited for */
#define FLOW_SEND_BYTES ((size_t)65536)	     /* a request is under 41 KB even with the longest offset */
#define FLOW_PROBLEM_BYTES ((size_t)65536)   /* of an error's body; real ones are under 1 KB */
#define FLOW_CONNECT_NS (10 * INT64_C(1000000000)) /* for a connection, and for each step of a handshake */
#define FLOW_STALL_NS (60 * INT64_C(1000000000))   /* default: silence while a large page is prepared */
#define FLOW_PAGE_NS (150 * INT64_C(1000000000))   /* the server cuts after 120 s; later bytes are no page */
#define FLOW_FIRST_CONTACT_ATTEMPTS 3 /* a host that never answered is more likely misspelt than down */
#define FLOW_STOP_GRACE_NS (5 * INT64_C(1000000000)) /* to finish the current page after the first signal */
#define FLOW_TEXT_BYTES_MAX 2048 /* the server's title, detail and requestId around our own sentence */

#define FLOW_MALFORMED_NOTICES_MAX 5 /* events that are no JSON: one is a clue, the rest would be noise */

enum flow_severity {
	FLOW_INFO,
	FLOW_WARNING,
	FLOW_ERROR,
};

struct flow_server {
	const char *host; /* to connect to, and to verify; lower case, without brackets */
	const char *port;
	const char *authority; /* Host header: host, and the port unless it is the scheme's own */
	int secure;	       /* TLS */
};

struct flow_limiter;

/* One of several flows, each used by a thread of its own after flow_take_over(). */
struct flow_place {
	int wake_fd;	  /* an eventfd: others write to it when there is something to be seen to */
	const int *stops; /* how often all are to stop, see flow_stop(); others store it, atomically */
	int *kernel_told; /* one of them said that the kernel opens no records; atomic */
};

struct flow_settings {
	/* Everything that is pointed to is kept until flow_finish(). */
	const struct flow_server *servers; /* the native plan asks the first, programs any of them */
	size_t server_count;		   /* 1..FLOW_SERVERS_MAX */
	struct tls_context *tls;	   /* NULL: no server is secure */
	const struct edgegrid_credentials *credentials;
	const char *const *headers_to_sign; /* names, any case; those that we send are signed */
	size_t headers_to_sign_count;
	const char *user_agent;
	const char *const *config_ids;
	size_t config_count;	   /* 1..FLOW_STREAMS_MAX */
	struct plan_settings plan; /* for every stream; its config_id is ignored */
	/* The program that each stream runs. NULL: the native plan. */
	const struct program_source *program;
	const struct program_variable *program_variables; /* each stream has its own CONFIG_ID besides */
	size_t program_variable_count;
	int parse_full; /* 1: every event is decoded completely */
	/* What a former run of each stream left (flow_stream_report.state), or NULL each; NULL: none has. A
	 * cursor in `plan` counts more. */
	const char *const *states;
	size_t receive_bytes; /* of each stream's receive buffer; 0: FLOW_RECEIVE_BYTES */
	struct ring_options ring;
	struct sink_options sink;
	enum inflate_engine inflate;
	const char *scan_kernel; /* NULL: the best */
	int identity;		 /* 1: do not ask for gzip */
	int64_t budget_ns;	 /* no new request after this much time; 0: no budget */
	int64_t duration_ns;	 /* everything ends after this much time; 0: never */
	int64_t stall_ns;	 /* 0: FLOW_STALL_NS */
	/* Something a person should know. `text` is lent for the call; no config_id: it is about all. */
	void (*notice)(void *owner, enum flow_severity severity, const char *config_id, const char *text);
	void *notice_owner;
	/* Shared by all streams, of other flows too; NULL: each has only its own answers to go by. */
	struct flow_limiter *limiter;
	const struct flow_place *place; /* among other flows, see fleet.h; NULL: alone */
	struct stage_slot *stage;	/* where the worker says which room it is in; NULL: nobody looks */
	/* Told for each stream that runs a program what names such an observer needs, see program_settings.
	 * `text` is lent. NULL: nobody looks. */
	void (*symbols)(void *notice_owner, const char *text, size_t bytes);
};

enum flow_end_reason {
	FLOW_RUNNING,
	FLOW_END_DRAINED,
	FLOW_END_REQUESTS_MAX,
	FLOW_END_BUDGET,   /* no time left for another request */
	FLOW_END_DURATION, /* cut in the middle of a page */
	FLOW_END_STOPPED,  /* by flow_stop() */
	FLOW_END_FAILED,
};

struct flow_stream_report {
	const char *config_id;
	enum flow_end_reason end_reason;
	enum fault fault;	/* why it failed, or of the last failed attempt */
	const char *error_text; /* "" when there was no failure */
	const char *cursor;	/* whatever lies before it is with the kernel */
	/* What a next run of this stream is to begin with, as JSON; NULL while it runs, when there is
	 * nothing, or when it is ahead of what is with the kernel. Lent until the next report. */
	const char *state;
	const char *state_error; /* why there is none, when there should be one; else NULL. As long lent */
	int interpreted;	 /* a program decides, not the plan */
	struct plan_counters plan;
	uint64_t events;      /* handed on, made ones included */
	uint64_t made_events; /* by the program */
	uint64_t malformed;   /* full parsing: events that are no JSON object; handed on all the same */
	uint64_t events_uncommitted; /* of those: behind the cursor's page, would come again in a new run */
	uint64_t event_bytes;
	uint64_t received_bytes; /* from the socket */
	uint64_t sent_bytes;
	uint64_t body_bytes;	     /* of HTTP bodies, as sent */
	uint64_t plain_bytes;	     /* after inflate */
	uint64_t paired_plain_bytes; /* of those: inflated in one loop with another stream's */
	uint64_t connections;
	uint64_t records, key_updates, resumptions;
	const char *tls_version, *tls_cipher, *tls_mode; /* "" without TLS */
	const char *content_encoding;
	int64_t page_ns_max;
	uint64_t held_requests; /* that another stream's 429 held back */
	int64_t held_ns;
};

struct flow; /* opaque */

/* NULL on failure, with one sentence for a person in `error`. */
struct flow *flow_create(const struct flow_settings *settings, char error[static FLOW_TEXT_BYTES_MAX]);

/* With a `place`: the calling thread is the one that runs this flow, and ends with flow_leave(). 0 or -errno.
 */
int flow_take_over(struct flow *flow);

/* Works until `until_ns` (monotonic) or the end. Returns 1 while streams are running. A signal that
 * interrupts the wait makes it return early. */
int flow_run(struct flow *flow, int64_t until_ns);

/* First call: streams end after their current page, at most FLOW_STOP_GRACE_NS later. Second: at once. */
void flow_stop(struct flow *flow);

void flow_report(const struct flow *flow, size_t stream_index, struct flow_stream_report *ret_report);
/* FAULT_NONE, or why the sink (and so everything) ended; text names the output. */
enum fault flow_sink_fault(const struct flow *flow, const char **ret_text);
uint64_t flow_sink_bytes(const struct flow *flow);
const struct ring_report *flow_ring_report(const struct flow *flow);
const char *flow_inflate_name(const struct flow *flow);
const char *flow_scan_name(const struct flow *flow);

/* After the streams' end: waits until all lines are with the kernel, or the sink breaks (flow_sink_fault()).
 * A reader of a pipe that does not read holds this up: returns early (0) after each second and on signals, to
 * be called again; gives up for good after flow_stop() was called twice. Returns 1 when all is out. */
int flow_drain(struct flow *flow);

/* The running thread's last call: ends what is pending. Reports can still be had, by one thread. */
void flow_leave(struct flow *flow);

/* Cancels what is pending, closes everything. Accepts NULL. */
void flow_finish(struct flow *flow);

#endif
