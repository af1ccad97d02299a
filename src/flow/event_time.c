/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/event_time.h"

#include "control/control.h"

/* A number, or the same in quotes. -1: no time. */
static int64_t time_read(const struct event_field *field)
{
	int64_t unix_ms = -1;
	if (field->type == EVENT_STRING)
		control_read_seconds(field->string, &unix_ms);
	else if (field->type == EVENT_INTEGER || field->type == EVENT_NUMBER)
		control_read_seconds(field->raw, &unix_ms);
	return unix_ms;
}

static int key_is(const struct event_field *field, const char *key)
{
	size_t bytes = strlen(key);
	return field->key.bytes == bytes && memcmp(field->key.base, key, bytes) == 0;
}

static void keep_newest(int64_t *newest_ms, const struct event_field *field)
{
	int64_t unix_ms = time_read(field);
	if (unix_ms > *newest_ms)
		*newest_ms = unix_ms;
}

/* Of an httpMessage. Returns its start, or -1. */
static int64_t message_time(const struct event_fields *event, const struct event_field *message,
			    int64_t *newest_ms)
{
	uint32_t at = (uint32_t)(message - event->fields);
	for (uint32_t k = at + 1; k < message->next; k = event->fields[k].next) {
		const struct event_field *field = &event->fields[k];
		if (key_is(field, "start")) {
			int64_t start_ms = time_read(field);
			if (start_ms >= 0)
				return start_ms;
		} else if (key_is(field, "timeStamp") || key_is(field, "end")) {
			keep_newest(newest_ms, field);
		}
	}
	return -1;
}

int64_t event_time_unix_ms(const struct event_fields *event)
{
	int64_t newest_ms = -1;
	if (event->fields[0].type != EVENT_OBJECT)
		return -1;
	for (uint32_t k = 1; k < event->fields[0].next; k = event->fields[k].next) {
		const struct event_field *field = &event->fields[k];
		if (key_is(field, "httpMessage") && field->type == EVENT_OBJECT) {
			int64_t start_ms = message_time(event, field, &newest_ms);
			if (start_ms >= 0)
				return start_ms;
		} else if (key_is(field, "timestamp") || key_is(field, "time") ||
			   key_is(field, "eventTime") || key_is(field, "event_timestamp")) {
			keep_newest(&newest_ms, field);
		}
	}
	return newest_ms;
}
