/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/event_time.h"

/* The end of the year 9999: whatever is beyond counts something else than seconds (milliseconds, say). */
#define SECONDS_MAX INT64_C(253402300799)

static int is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Seconds since 1970 with an optional fraction. No sign, no exponent; digits behind the millisecond are
 * dropped. -1: no time. */
static int64_t seconds_read(struct span text)
{
	static const int64_t place_ms[] = { 100, 10, 1 };
	int64_t seconds = 0;
	size_t at = 0;
	for (; at < text.bytes && is_digit(text.base[at]); at++) {
		seconds = seconds * 10 + (text.base[at] - '0');
		if (seconds > SECONDS_MAX)
			return -1;
	}
	int64_t unix_ms = seconds * 1000;
	if (at == 0 || at == text.bytes)
		return at ? unix_ms : -1;
	if (text.base[at] != '.' || at + 1 == text.bytes)
		return -1;
	for (size_t i = at + 1; i < text.bytes; i++) {
		if (!is_digit(text.base[i]))
			return -1;
		if (i - at - 1 < sizeof place_ms / sizeof *place_ms)
			unix_ms += (text.base[i] - '0') * place_ms[i - at - 1];
	}
	return unix_ms;
}

/* A number, or the same in quotes. */
static int64_t time_read(const struct event_field *field)
{
	if (field->type == EVENT_STRING)
		return seconds_read(field->string);
	if (field->type == EVENT_INTEGER || field->type == EVENT_NUMBER)
		return seconds_read(field->raw);
	return -1;
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
