/* SPDX-License-Identifier: Apache-2.0
 *
 * One JSON document, completely decoded, as a table: what control fills and programs read. Plain data.
 *
 * Fields stand in the order of the text, each before what it contains: fields[0] is the document itself, the
 * members of fields[i] begin at fields[i + 1], and fields[i].next is the first field behind all of them. So
 * the members of an object are visited by  for (k = i + 1; k < fields[i].next; k = fields[k].next).
 */
#ifndef BASE_EVENT_FIELDS_H
#define BASE_EVENT_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum event_type {
	EVENT_NULL,
	EVENT_FALSE,
	EVENT_TRUE,
	EVENT_INTEGER, /* no fraction, no exponent, and within 64 bits with a sign */
	EVENT_NUMBER,  /* any other number: the nearest double */
	EVENT_STRING,
	EVENT_ARRAY,
	EVENT_OBJECT,
};

struct event_field {
	struct span key; /* of an object's member, unescaped UTF-8; base NULL: an element, or the document */
	struct span raw; /* the value as it stands in the text, blanks around it gone */
	enum event_type type;
	uint32_t next;
	union {
		int64_t integer;
		double number;
		struct span string;    /* unescaped UTF-8; may hold NUL bytes */
		uint32_t member_count; /* ARRAY, OBJECT: direct members, repeated keys included */
	};
};

/* All spans and fields are lent until the next document is decoded by the same object. */
struct event_fields {
	const struct event_field *fields;
	size_t count; /* at least 1 */
};

/* The value of a member by key: the last of several with that key; NULL: `object` has none, or is no object.
 */
static inline const struct event_field *event_member_of(const struct event_fields *event,
							const struct event_field *object, struct span key)
{
	const struct event_field *found = NULL;
	uint32_t at = (uint32_t)(object - event->fields);
	if (object->type != EVENT_OBJECT)
		return NULL;
	for (uint32_t k = at + 1; k < object->next; k = event->fields[k].next) {
		const struct event_field *field = &event->fields[k];
		if (field->key.bytes == key.bytes && memcmp(field->key.base, key.base, key.bytes) == 0)
			found = field;
	}
	return found;
}

static inline const struct event_field *event_member(const struct event_fields *event,
						     const struct event_field *object, const char *key)
{
	return event_member_of(event, object, span_of_text(key));
}

#endif
