/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet: several flows, one for each worker, as if they were one. Streams are dealt out in turn. A single
 * worker runs on the calling thread, and no thread is started; otherwise each has a thread of its own, and
 * the calling thread sees what they publish a few times a second.
 *
 * What workers share: the turn to write to the output (sink.h), what a server has said of the account's limit
 * (limiter.h), and that they are to stop. Everything else is a worker's own.
 */
#ifndef FLOW_FLEET_H
#define FLOW_FLEET_H

#include <sys/types.h>

#include "flow/flow.h"

#define FLEET_WORKERS_MAX FLOW_STREAMS_MAX	  /* a worker without a stream would have nothing to do */
#define FLEET_PUBLISH_NS (200 * INT64_C(1000000)) /* how old a report may be: what a person sees as now */

struct fleet; /* opaque */

/* Takes all memory and opens everything. `settings` are for all streams together; its stage slot is the first
 * of as many, its notice() is called by the workers' threads, too. `worker_count`: 1 to as many as there are
 * streams. NULL on failure, with one sentence for a person in `error`. */
struct fleet *fleet_create(const struct flow_settings *settings, size_t worker_count,
			   char error[static FLOW_TEXT_BYTES_MAX]);

/* Starts the threads: after rights were given up, since a thread inherits what its creator has then. 0, or -1
 * with a sentence. */
int fleet_start(struct fleet *fleet, char error[static FLOW_TEXT_BYTES_MAX]);

/* As flow_run(), flow_stop(), flow_drain(). */
int fleet_run(struct fleet *fleet, int64_t until_ns);
void fleet_stop(struct fleet *fleet);
int fleet_drain(struct fleet *fleet);
/* Waits for the threads to end, as they do when all is out, the output broke, or after two fleet_stop(). From
 * then on reports are exact, and have states. */
void fleet_join(struct fleet *fleet);

size_t fleet_worker_count(const struct fleet *fleet);
/* After fleet_start(): of the worker's thread. */
pid_t fleet_worker_tid(const struct fleet *fleet, size_t worker_index);
size_t fleet_stream_count(const struct fleet *fleet);
size_t fleet_worker_of_stream(const struct fleet *fleet, size_t stream_index);
/* Texts are lent until the next report. */
void fleet_report(struct fleet *fleet, size_t stream_index, struct flow_stream_report *ret_report);
/* The first worker's output that is broken: it is the same for all. `text` is lent until the next call. */
enum fault fleet_sink_fault(struct fleet *fleet, const char **ret_text);
uint64_t fleet_sink_bytes(struct fleet *fleet);
/* Of the first worker, with what all have registered. */
const struct ring_report *fleet_ring_report(const struct fleet *fleet);
const char *fleet_inflate_name(const struct fleet *fleet);
const char *fleet_scan_name(const struct fleet *fleet);

/* Stops what still runs, and closes everything. Accepts NULL. */
void fleet_finish(struct fleet *fleet);

#endif
