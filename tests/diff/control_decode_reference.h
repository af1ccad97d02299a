/* SPDX-License-Identifier: Apache-2.0
 *
 * The table that control_decode must make of a text, by the slow parser of control_reference.h and the C
 * library's strtoll() and strtod(). Nothing of simdjson.
 */
#ifndef DIFF_CONTROL_DECODE_REFERENCE_H
#define DIFF_CONTROL_DECODE_REFERENCE_H

#include <errno.h>
#include <math.h>

#include "diff/control_reference.h"

enum table_verdict { TABLE_VALID, TABLE_MALFORMED, TABLE_BEYOND };

struct table_field {
	int has_key;
	struct reference_text key, string;
	size_t raw_begin, raw_end; /* in the text */
	enum event_type type;
	size_t next, member_count;
	int64_t integer;
	double number;
};

struct table_reference {
	struct reference r;
	const uint8_t *text;
	struct table_field *fields;
	size_t count, room;
};

static inline enum table_verdict table_value(struct table_reference *t, size_t depth);

static inline struct table_field *table_add(struct table_reference *t)
{
	if (t->count == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		t->fields = realloc(t->fields, t->room * sizeof *t->fields);
	}
	t->fields[t->count] = (struct table_field){ 0 };
	return &t->fields[t->count++];
}

static inline enum table_verdict table_number(struct table_reference *t, struct table_field *field)
{
	struct reference_text text;
	char *end, *digits;
	enum table_verdict verdict = TABLE_VALID;
	if (!ref_number(&t->r, &text))
		return TABLE_MALFORMED;
	digits = strndup(text.base, text.bytes);
	errno = 0;
	field->type = EVENT_INTEGER;
	field->integer = strtoll(digits, &end, 10);
	if (errno || *end) {
		field->type = EVENT_NUMBER;
		field->number = strtod(digits, &end);
		if (isinf(field->number))
			verdict = TABLE_MALFORMED;
	}
	free(digits);
	return verdict;
}

/* Behind the opening bracket; `depth` counts it. The fields may move while members are added. */
static inline enum table_verdict table_members(struct table_reference *t, size_t depth, size_t container)
{
	int is_object = t->fields[container].type == EVENT_OBJECT;
	uint8_t close = is_object ? '}' : ']';
	ref_blanks(&t->r);
	if (ref_take(&t->r, close))
		return TABLE_VALID;
	do {
		struct reference_text key = { NULL, 0 };
		ref_blanks(&t->r);
		if (is_object) {
			if (!ref_string(&t->r, &key))
				return TABLE_MALFORMED;
			ref_blanks(&t->r);
			if (!ref_take(&t->r, ':'))
				return TABLE_MALFORMED;
			ref_blanks(&t->r);
		}
		size_t member = t->count;
		enum table_verdict verdict = table_value(t, depth);
		if (verdict != TABLE_VALID)
			return verdict;
		t->fields[member].has_key = is_object;
		t->fields[member].key = key;
		t->fields[container].member_count++;
		ref_blanks(&t->r);
	} while (ref_take(&t->r, ','));
	return ref_take(&t->r, close) ? TABLE_VALID : TABLE_MALFORMED;
}

static inline enum table_verdict table_word(struct table_reference *t, struct table_field *field,
					    enum event_type type, const char *word)
{
	field->type = type;
	return ref_word(&t->r, word) ? TABLE_VALID : TABLE_MALFORMED;
}

static inline enum table_verdict table_value(struct table_reference *t, size_t depth)
{
	enum table_verdict verdict;
	size_t at = t->count;
	if (t->r.at == t->r.end)
		return TABLE_MALFORMED;
	if (at == CONTROL_DECODE_FIELDS_MAX)
		return TABLE_BEYOND;
	struct table_field *field = table_add(t);
	field->raw_begin = (size_t)(t->r.at - t->text);
	switch (*t->r.at) {
	case '{':
	case '[':
		if (depth == CONTROL_DECODE_DEPTH_MAX)
			return TABLE_BEYOND;
		field->type = *t->r.at++ == '{' ? EVENT_OBJECT : EVENT_ARRAY;
		verdict = table_members(t, depth + 1, at);
		break;
	case '"':
		field->type = EVENT_STRING;
		verdict = ref_string(&t->r, &field->string) ? TABLE_VALID : TABLE_MALFORMED;
		break;
	case 't':
		verdict = table_word(t, field, EVENT_TRUE, "true");
		break;
	case 'f':
		verdict = table_word(t, field, EVENT_FALSE, "false");
		break;
	case 'n':
		verdict = table_word(t, field, EVENT_NULL, "null");
		break;
	default:
		verdict = table_number(t, field);
	}
	t->fields[at].raw_end = (size_t)(t->r.at - t->text);
	t->fields[at].next = t->count;
	return verdict;
}

/* Release with table_free(). */
static inline enum table_verdict table_parse(struct table_reference *t, const uint8_t *text, size_t bytes)
{
	memset(t, 0, sizeof *t);
	t->text = t->r.at = text;
	t->r.end = text + bytes;
	t->r.scratch = malloc(bytes + 1);
	ref_blanks(&t->r);
	enum table_verdict verdict = table_value(t, 0);
	ref_blanks(&t->r);
	return verdict == TABLE_VALID && t->r.at != t->r.end ? TABLE_MALFORMED : verdict;
}

static inline void table_free(struct table_reference *t)
{
	free(t->r.scratch);
	free(t->fields);
}

static inline int table_span_is(struct span got, struct reference_text wanted)
{
	return got.bytes == wanted.bytes && (got.bytes == 0 || memcmp(got.base, wanted.base, got.bytes) == 0);
}

static inline const char *table_field_disagrees(const struct table_reference *t,
						const struct event_fields *got, size_t i)
{
	const struct table_field *wanted = &t->fields[i];
	const struct event_field *field = &got->fields[i];
	if ((field->key.base != NULL) != wanted->has_key || !table_span_is(field->key, wanted->key))
		return "key";
	if ((size_t)(field->raw.base - got->fields->raw.base) != wanted->raw_begin - t->fields->raw_begin ||
	    field->raw.bytes != wanted->raw_end - wanted->raw_begin ||
	    memcmp(field->raw.base, t->text + wanted->raw_begin, field->raw.bytes) != 0)
		return "raw";
	if (field->type != wanted->type)
		return "type";
	if (field->next != wanted->next)
		return "next";
	switch (field->type) {
	case EVENT_INTEGER:
		return field->integer == wanted->integer ? NULL : "integer";
	case EVENT_NUMBER:
		return memcmp(&field->number, &wanted->number, sizeof(double)) == 0 ? NULL : "number";
	case EVENT_STRING:
		return table_span_is(field->string, wanted->string) ? NULL : "string";
	case EVENT_ARRAY:
	case EVENT_OBJECT:
		return field->member_count == wanted->member_count ? NULL : "number of members";
	default:
		return NULL;
	}
}

/* NULL when control_decode makes of the text what it must, else what it got wrong. */
static inline const char *table_disagrees(struct control_decoder *decoder, const uint8_t *text, size_t bytes)
{
	struct table_reference t;
	struct event_fields got = { NULL, 0 };
	size_t offset = SIZE_MAX;
	enum table_verdict wanted = table_parse(&t, text, bytes);
	enum control_answer answer = control_decode(decoder, span_of(text, bytes), &got, &offset);
	const char *what = NULL;
	if (bytes > CONTROL_DECODE_BYTES_MAX)
		what = answer == CONTROL_NO ? NULL : "a text beyond the limit";
	else if (wanted == TABLE_MALFORMED && answer != CONTROL_MALFORMED)
		what = "a malformed text";
	else if (wanted == TABLE_VALID && (answer != CONTROL_YES || got.count != t.count))
		what = "a valid text";
	/* the first pass has seen all of the text, and may have found it broken behind the limit */
	else if (wanted == TABLE_BEYOND && answer == CONTROL_YES)
		what = "a limit";
	else if (answer != CONTROL_YES && (offset > bytes || got.count))
		what = "what a refusal leaves behind";
	for (size_t i = 0; !what && i < got.count; i++)
		what = table_field_disagrees(&t, &got, i);
	table_free(&t);
	return what;
}

#endif
