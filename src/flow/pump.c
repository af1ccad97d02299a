/* SPDX-License-Identifier: Apache-2.0
 *
 * Which stream's received bytes are looked at next, and beside which other's.
 *
 * A stream with something to look at is due, and whoever has been for longest is next. Inflating two streams
 * in one loop takes less time than one after the other (inflate/README.md); so where a second stream is due,
 * both go on side by side: each until it has compressed bytes and room for plain ones, then one call for
 * both, and so on until one of them has no more. The other one stays due, at its place in the queue; and
 * before it goes on, the ring is asked what has come for the first meanwhile. It does not wait for ever:
 * when all others may have been beside it once, and had nothing to inflate (plain bodies, crumbs), it goes on
 * alone.
 */
#include "base/clock.h"
#include "flow/worker.h"

void pump_due(struct stream *stream, int64_t now_ns)
{
	struct flow *flow = stream->flow;
	stream->pump_ns = now_ns;
	if (!stream->due)
		flow->due_count++;
	stream->due = ++flow->due_last;
}

void pump_drop(struct stream *stream)
{
	if (stream->due)
		stream->flow->due_count--;
	stream->due = 0;
}

/* Whoever has been due for longest, `but` not counted. */
static struct stream *pump_next(const struct flow *flow, const struct stream *but)
{
	struct stream *next = NULL;
	for (size_t i = 0; i < flow->stream_count; i++) {
		struct stream *stream = &flow->streams[i];
		if (stream->due && stream != but && (!next || stream->due < next->due))
			next = stream;
	}
	return next;
}

static void pump_end(struct stream *stream, enum pump pump)
{
	stream->beside = 0;
	if (pump == PUMP_INFLATE && stream->waits >= stream->flow->stream_count)
		pump = answer_pump(stream);
	if (pump != PUMP_INFLATE) { /* else it stays due */
		stream->waits = 0;
		pump_drop(stream);
	}
	stream_pumped(stream, pump, clock_monotonic_ns());
}

static void pump_two(struct stream *first, struct stream *second)
{
	struct stream *streams[] = { first, second };
	enum pump pumps[2];
	for (int i = 0; i < 2; i++) {
		streams[i]->beside = 1;
		streams[i]->waits++;
		pumps[i] = answer_pump(streams[i]);
	}
	while (pumps[0] == PUMP_INFLATE && pumps[1] == PUMP_INFLATE) {
		stage_enter(first->flow->stage, STAGE_INFLATE);
		inflate_push_beside(&first->job, &second->job);
		for (int i = 0; i < 2; i++) {
			streams[i]->job_state = JOB_DONE;
			streams[i]->waits = 0;
			pumps[i] = answer_pump(streams[i]);
		}
	}
	for (int i = 0; i < 2; i++)
		pump_end(streams[i], pumps[i]);
}

void pump_streams(struct flow *flow)
{
	struct stream *first = pump_next(flow, NULL);
	if (!first)
		return;
	struct stream *second = pump_next(flow, first);
	if (second)
		pump_two(first, second);
	else
		pump_end(first, answer_pump(first));
}
