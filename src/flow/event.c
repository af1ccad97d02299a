/* SPDX-License-Identifier: Apache-2.0
 *
 * One event on its way out: decoded completely in full parsing, and shown to the driver where it wants to see
 * events.
 */
#include "base/clock.h"
#include "control/control.h"
#include "flow/event_time.h"
#include "flow/worker.h"

/* No JSON object: a person should know where it is, but it is handed on like every other line. */
static void event_is_malformed(struct stream *stream, uint64_t offset, const char *what, size_t at)
{
	stream->page_malformed++;
	if (++stream->malformed > FLOW_MALFORMED_NOTICES_MAX)
		return;
	stream_notice(stream, FLOW_WARNING,
		      "configId %s: the event at byte %llu of the page is %s (byte %zu of its line); it is "
		      "handed on as it is%s",
		      stream->config_id, (unsigned long long)offset, what, at,
		      stream->malformed == FLOW_MALFORMED_NOTICES_MAX ? ", and further ones are only counted"
								      : "");
}

/* 1: `ret_fields` is the event. */
static int event_decode(struct stream *stream, struct span line, uint64_t offset,
			struct event_fields *ret_fields)
{
	size_t at = 0;
	stage_enter(stream->flow->stage, STAGE_CONTROL);
	switch (control_decode(stream->flow->decoder, line, ret_fields, &at)) {
	case CONTROL_MALFORMED:
		event_is_malformed(stream, offset, "malformed JSON", at);
		return 0;
	case CONTROL_NO:
		event_is_malformed(stream, offset, "JSON beyond the limits of decoding", 0);
		return 0;
	case CONTROL_YES:
		break;
	}
	if (ret_fields->fields[0].type != EVENT_OBJECT) {
		event_is_malformed(stream, offset, "JSON, but no object", 0);
		return 0;
	}
	int64_t unix_ms = event_time_unix_ms(ret_fields);
	if (unix_ms > stream->newest_event_unix_ms)
		stream->newest_event_unix_ms = unix_ms;
	return 1;
}

enum fault event_seen(void *owner, struct span line, uint64_t offset)
{
	struct stream *stream = owner;
	struct driver *driver = stream->driver;
	struct event_fields fields;
	int full = stream->flow->decoder != NULL;
	if (full && !event_decode(stream, line, offset, &fields))
		return FAULT_NONE;
	if (!stream->wish.on_event || !driver->table->event)
		return FAULT_NONE;
	stage_enter(stream->flow->stage, STAGE_PROGRAM);
	return driver->table->event(driver, stream_time(stream, stream->pump_ns), line,
				    full ? &fields : NULL);
}
