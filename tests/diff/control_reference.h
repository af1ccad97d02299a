/* SPDX-License-Identifier: Apache-2.0
 *
 * A slow, strict JSON parser (RFC 8259, UTF-8 and surrogates checked) that shares nothing with simdjson, and
 * what control must answer according to it. Recursive: the depth is bounded by REFERENCE_DEPTH_MAX.
 */
#ifndef DIFF_CONTROL_REFERENCE_H
#define DIFF_CONTROL_REFERENCE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"

enum { REFERENCE_DEPTH_MAX = 33 }; /* the object itself and the 32 levels that control walks */

enum reference_kind { REF_OBJECT, REF_ARRAY, REF_STRING, REF_NUMBER, REF_LITERAL, REF_NULL };

struct reference_text {
	const char *base;
	size_t bytes;
};

struct reference {
	const uint8_t *at, *end;
	char *scratch; /* unescaped strings, one behind the other */
	size_t scratch_bytes;
	/* what was found */
	int saw_event_key, has_offset, has_total, offset_bad, total_bad, limit_bad;
	struct control_context context;
	int64_t start_ms, newest_ms;
	int has_problem;
	int status;
	struct reference_text type, title, detail, request_id, server_ip;
};

static inline void ref_blanks(struct reference *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static inline int ref_take(struct reference *r, uint8_t byte)
{
	if (r->at == r->end || *r->at != byte)
		return 0;
	r->at++;
	return 1;
}

static inline int ref_hex4(struct reference *r, uint32_t *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++, r->at++) {
		if (r->at == r->end)
			return 0;
		uint32_t c = *r->at, lower = c | 32;
		if (c >= '0' && c <= '9')
			*code = *code * 16 + (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			*code = *code * 16 + (lower - 'a' + 10);
		else
			return 0;
	}
	return 1;
}

static inline void ref_put(struct reference *r, uint32_t byte)
{
	r->scratch[r->scratch_bytes++] = (char)(uint8_t)byte;
}

static inline void ref_put_character(struct reference *r, uint32_t code)
{
	if (code < 0x80) {
		ref_put(r, code);
	} else if (code < 0x800) {
		ref_put(r, 0xc0 | code >> 6);
		ref_put(r, 0x80 | (code & 63));
	} else if (code < 0x10000) {
		ref_put(r, 0xe0 | code >> 12);
		ref_put(r, 0x80 | (code >> 6 & 63));
		ref_put(r, 0x80 | (code & 63));
	} else {
		ref_put(r, 0xf0 | code >> 18);
		ref_put(r, 0x80 | (code >> 12 & 63));
		ref_put(r, 0x80 | (code >> 6 & 63));
		ref_put(r, 0x80 | (code & 63));
	}
}

static inline int ref_escape(struct reference *r)
{
	static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	if (r->at == r->end)
		return 0;
	const char *letter = *r->at ? strchr(letters, *r->at) : NULL;
	if (letter) {
		ref_put(r, (uint8_t)bytes[letter - letters]);
		r->at++;
		return 1;
	}
	uint32_t code, low;
	if (!ref_take(r, 'u') || !ref_hex4(r, &code))
		return 0;
	if (code >= 0xdc00 && code < 0xe000)
		return 0;
	if (code >= 0xd800 && code < 0xdc00) {
		if (!ref_take(r, '\\') || !ref_take(r, 'u') || !ref_hex4(r, &low) || low < 0xdc00 ||
		    low >= 0xe000)
			return 0;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	ref_put_character(r, code);
	return 1;
}

/* One UTF-8 character (RFC 3629: shortest form, no surrogates, at most U+10FFFF). */
static inline int ref_utf8(struct reference *r)
{
	uint32_t first = *r->at++, code;
	int more;
	if (first < 0x80)
		code = first, more = 0;
	else if (first >= 0xc2 && first < 0xe0)
		code = first & 31, more = 1;
	else if (first >= 0xe0 && first < 0xf0)
		code = first & 15, more = 2;
	else if (first >= 0xf0 && first < 0xf5)
		code = first & 7, more = 3;
	else
		return 0;
	for (int i = 0; i < more; i++, r->at++) {
		if (r->at == r->end || (*r->at & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (*r->at & 63u);
	}
	if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	ref_put_character(r, code);
	return 1;
}

static inline int ref_string(struct reference *r, struct reference_text *text)
{
	size_t start = r->scratch_bytes;
	if (!ref_take(r, '"'))
		return 0;
	while (r->at < r->end && *r->at != '"') {
		if (*r->at < 0x20)
			return 0;
		if (ref_take(r, '\\') ? !ref_escape(r) : !ref_utf8(r))
			return 0;
	}
	*text = (struct reference_text){ r->scratch + start, r->scratch_bytes - start };
	return ref_take(r, '"');
}

static inline int ref_digits(struct reference *r)
{
	const uint8_t *start = r->at;
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > start;
}

static inline int ref_number(struct reference *r, struct reference_text *text)
{
	const uint8_t *start = r->at;
	ref_take(r, '-');
	if (!ref_take(r, '0') && !ref_digits(r))
		return 0;
	if (ref_take(r, '.') && !ref_digits(r))
		return 0;
	if (ref_take(r, 'e') || ref_take(r, 'E')) {
		if (!ref_take(r, '+'))
			ref_take(r, '-');
		if (!ref_digits(r))
			return 0;
	}
	*text = (struct reference_text){ (const char *)start, (size_t)(r->at - start) };
	return 1;
}

static inline int ref_word(struct reference *r, const char *word)
{
	size_t bytes = strlen(word);
	if ((size_t)(r->end - r->at) < bytes || memcmp(r->at, word, bytes) != 0)
		return 0;
	r->at += bytes;
	return 1;
}

static inline int ref_is(struct reference_text text, const char *word)
{
	return text.bytes == strlen(word) && memcmp(text.base, word, text.bytes) == 0;
}

/* [0-9]+ without leading zeros, below 2^63 */
static inline int ref_count(enum reference_kind kind, struct reference_text text, int64_t *count)
{
	unsigned __int128 sum = 0;
	if ((kind != REF_STRING && kind != REF_NUMBER) || text.bytes == 0 || text.bytes > 19 ||
	    (text.bytes > 1 && text.base[0] == '0'))
		return 0;
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.base[i] < '0' || text.base[i] > '9')
			return 0;
		sum = sum * 10 + (unsigned)(text.base[i] - '0');
	}
	*count = (int64_t)sum;
	return sum <= INT64_MAX;
}

static inline int ref_time(enum reference_kind kind, struct reference_text text, int64_t *unix_ms)
{
	char padded[64] = { 0 };
	if ((kind != REF_STRING && kind != REF_NUMBER) || text.bytes == 0)
		return 0;
	const char *dot = memchr(text.base, '.', text.bytes);
	size_t whole = dot ? (size_t)(dot - text.base) : text.bytes, skip = 0;
	for (size_t i = 0; i < text.bytes; i++) {
		if (i != whole && (text.base[i] < '0' || text.base[i] > '9'))
			return 0;
	}
	if (whole == 0 || (dot && whole + 1 == text.bytes))
		return 0;
	while (skip < whole && text.base[skip] == '0')
		skip++;
	if (whole - skip > 12)
		return 0;
	memcpy(padded, text.base + skip, whole - skip);
	memset(padded + whole - skip, '0', 3);
	for (size_t i = 0; i < 3 && whole + 1 + i < text.bytes; i++)
		padded[whole - skip + i] = text.base[whole + 1 + i];
	*unix_ms = strtoll(padded, NULL, 10);
	return *unix_ms < 253402300800000;
}

static inline void ref_newest(enum reference_kind kind, struct reference_text text, int64_t *newest_ms)
{
	int64_t unix_ms;
	if (ref_time(kind, text, &unix_ms) && unix_ms > *newest_ms)
		*newest_ms = unix_ms;
}

static inline void ref_root_member(struct reference *r, struct reference_text key, enum reference_kind kind,
				   struct reference_text text)
{
	struct {
		const char *key;
		struct reference_text *text;
	} texts[] = { { "type", &r->type },
		      { "title", &r->title },
		      { "detail", &r->detail },
		      { "requestId", &r->request_id },
		      { "serverIp", &r->server_ip } };
	int64_t status;

	if (ref_is(key, "offset")) {
		r->has_offset = 1;
		r->offset_bad = kind != REF_STRING || text.bytes == 0 ||
				text.bytes > CONTROL_OFFSET_BYTES_MAX ||
				memchr(text.base, 0, text.bytes) != NULL;
		if (!r->offset_bad) {
			memcpy(r->context.offset, text.base, text.bytes);
			r->context.offset[text.bytes] = 0;
			r->context.offset_bytes = text.bytes;
		}
	} else if (ref_is(key, "total")) {
		r->has_total = 1;
		r->total_bad = !ref_count(kind, text, &r->context.total);
	} else if (ref_is(key, "limit")) {
		r->context.limit = -1;
		r->limit_bad = kind != REF_NULL && !ref_count(kind, text, &r->context.limit);
	} else if (ref_is(key, "timestamp") || ref_is(key, "time") || ref_is(key, "eventTime") ||
		   ref_is(key, "event_timestamp")) {
		ref_newest(kind, text, &r->newest_ms);
	} else if (ref_is(key, "status") && ref_count(kind, text, &status) && status >= 100 &&
		   status <= 599) {
		r->status = (int)status;
		r->has_problem = 1;
	}
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (kind == REF_STRING && ref_is(key, texts[i].key)) {
			*texts[i].text = text;
			r->has_problem = 1;
		}
	}
}

static inline void ref_message_member(struct reference *r, struct reference_text key,
				      enum reference_kind kind, struct reference_text text)
{
	if (ref_is(key, "start") && r->start_ms < 0)
		ref_newest(kind, text, &r->start_ms);
	else if (ref_is(key, "timeStamp") || ref_is(key, "end"))
		ref_newest(kind, text, &r->newest_ms);
}

static inline int ref_value(struct reference *r, int depth, int in_message, enum reference_kind *kind,
			    struct reference_text *text);

/* Behind the opening bracket. `depth` is that of the object or array itself; 1 is the line's object. */
static inline int ref_members(struct reference *r, int depth, int in_message, uint8_t close)
{
	struct reference_text key = { "", 0 }, text;
	enum reference_kind kind;
	ref_blanks(r);
	if (ref_take(r, close))
		return 1;
	do {
		ref_blanks(r);
		if (close == '}') {
			if (!ref_string(r, &key))
				return 0;
			ref_blanks(r);
			if (!ref_take(r, ':'))
				return 0;
			ref_blanks(r);
			/* simdjson wants a token here before it tells of the key */
			if (depth == 1 && r->at < r->end &&
			    (ref_is(key, "attackData") || ref_is(key, "httpMessage")))
				r->saw_event_key = 1;
		}
		if (!ref_value(r, depth, depth == 1 && ref_is(key, "httpMessage"), &kind, &text))
			return 0;
		if (depth == 1)
			ref_root_member(r, key, kind, text);
		else if (in_message)
			ref_message_member(r, key, kind, text);
		ref_blanks(r);
	} while (ref_take(r, ','));
	return ref_take(r, close);
}

static inline int ref_value(struct reference *r, int depth, int is_message, enum reference_kind *kind,
			    struct reference_text *text)
{
	*text = (struct reference_text){ "", 0 };
	ref_blanks(r);
	if (r->at == r->end)
		return 0;
	switch (*r->at) {
	case '{':
	case '[':
		*kind = *r->at == '{' ? REF_OBJECT : REF_ARRAY;
		if (depth == REFERENCE_DEPTH_MAX)
			return 0;
		r->at++;
		return ref_members(r, depth + 1, is_message && *kind == REF_OBJECT,
				   *kind == REF_OBJECT ? '}' : ']');
	case '"':
		*kind = REF_STRING;
		return ref_string(r, text);
	case 'n':
		*kind = REF_NULL;
		return ref_word(r, "null");
	case 't':
		*kind = REF_LITERAL;
		return ref_word(r, "true");
	case 'f':
		*kind = REF_LITERAL;
		return ref_word(r, "false");
	default:
		*kind = REF_NUMBER;
		return ref_number(r, text);
	}
}

/* 1 when the line is one JSON object; the findings are in *r either way. Free r->scratch. */
static inline int reference_parse(struct reference *r, const uint8_t *line, size_t bytes)
{
	memset(r, 0, sizeof *r);
	r->at = line;
	r->end = line + bytes;
	r->scratch = malloc(bytes + 1); /* no string is longer unescaped than it was */
	r->context.limit = r->start_ms = r->newest_ms = -1;
	ref_blanks(r);
	if (!ref_take(r, '{') || !ref_members(r, 1, 0, '}'))
		return 0;
	ref_blanks(r);
	return r->at == r->end;
}

/* The cut and blanked text of a problem document's field, written to say the rule again in other words. */
static inline void reference_problem_text(struct reference_text text, char *out)
{
	char *cleaned = malloc(text.bytes + 1);
	size_t bytes = 0;
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = (uint8_t)text.base[i];
		uint8_t next = i + 1 < text.bytes ? (uint8_t)text.base[i + 1] : 0;
		if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
			cleaned[bytes++] = ' ';
			i++;
		} else {
			cleaned[bytes++] = byte < 0x20 || byte == 0x7f ? ' ' : text.base[i];
		}
	}
	if (bytes > CONTROL_PROBLEM_TEXT_BYTES_MAX - 1) {
		bytes = CONTROL_PROBLEM_TEXT_BYTES_MAX - 1;
		while (((uint8_t)cleaned[bytes] & 0xc0) ==
		       0x80) /* the cut byte goes on a character: back to it */
			bytes--;
	}
	memcpy(out, cleaned, bytes);
	out[bytes] = 0;
	free(cleaned);
}

/* NULL when control agrees with the reference on the line, else what they disagree on. */
static inline const char *reference_disagrees_on_problem(const struct reference *r, int is_valid,
							 struct control *control, struct span line)
{
	struct control_problem got;
	enum control_answer answer = control_read_problem(control, line, &got);
	if (answer != (!is_valid ? CONTROL_MALFORMED : r->has_problem ? CONTROL_YES : CONTROL_NO))
		return "problem: answer";
	if (answer != CONTROL_YES)
		return NULL;
	char text[CONTROL_PROBLEM_TEXT_BYTES_MAX];
	struct {
		struct reference_text want;
		const char *got;
	} texts[] = { { r->type, got.type },
		      { r->title, got.title },
		      { r->detail, got.detail },
		      { r->request_id, got.request_id },
		      { r->server_ip, got.server_ip } };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		reference_problem_text(texts[i].want, text);
		if (strcmp(texts[i].got, text) != 0)
			return "problem: text";
	}
	return got.status == r->status ? NULL : "problem: status";
}

static inline const char *reference_disagrees(struct control *control, const uint8_t *bytes, size_t count)
{
	static struct reference r;
	static struct control_context context;
	struct span line = span_of(bytes, count);
	int is_valid = reference_parse(&r, bytes, count);
	const char *what = reference_disagrees_on_problem(&r, is_valid, control, line);

	memset(&context, 0x5a, sizeof context);
	enum control_answer answer = control_read_context(control, line, &context);
	int is_context = r.has_offset && r.has_total;
	int is_possible = !r.offset_bad && !r.total_bad && !r.limit_bad;
	if (count > CONTROL_CONTEXT_BYTES_MAX)
		what = answer == CONTROL_NO ? what : "context: long line";
	else if (!is_valid && answer != CONTROL_MALFORMED && !(answer == CONTROL_NO && r.saw_event_key))
		what = "context: a broken line is not malformed";
	else if (is_valid && (r.saw_event_key || !is_context) && answer != CONTROL_NO)
		what = "context: a valid line that is none";
	else if (is_valid && !r.saw_event_key && is_context &&
		 answer != (is_possible ? CONTROL_YES : CONTROL_MALFORMED))
		what = "context: answer";
	if (answer == CONTROL_YES && !what &&
	    (context.total != r.context.total || context.limit != r.context.limit ||
	     context.offset_bytes != r.context.offset_bytes || context.offset[context.offset_bytes] != 0 ||
	     memcmp(context.offset, r.context.offset, context.offset_bytes) != 0))
		what = "context: values";

	int64_t got_ms = -7, want_ms = r.start_ms >= 0 ? r.start_ms : r.newest_ms;
	answer = control_read_event_time(control, line, &got_ms);
	if (is_valid && (answer != (want_ms < 0 ? CONTROL_NO : CONTROL_YES) ||
			 (answer == CONTROL_YES ? got_ms != want_ms : got_ms != -7)))
		what = "event time";
	free(r.scratch);
	return what;
}

#endif
