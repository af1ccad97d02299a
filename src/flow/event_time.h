/* SPDX-License-Identifier: Apache-2.0
 *
 * The time of a decoded event, where control_read_event_time() would find it in the event's text. Internal to
 * flow.
 */
#ifndef FLOW_EVENT_TIME_H
#define FLOW_EVENT_TIME_H

#include <stdint.h>

#include "base/event_fields.h"

/* Milliseconds since 1970; -1: it has none. */
int64_t event_time_unix_ms(const struct event_fields *event);

#endif
