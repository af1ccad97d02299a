/* SPDX-License-Identifier: Apache-2.0
 *
 * What control_decode puts into the table, what it refuses and where, its limits, and that it takes memory
 * only for a text longer than all before it, and survives its being short.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <math.h>

#include "control/control.h"
#include "test.h"
#include "unit/count_new.h"

static struct control_decoder *decoder; /* created by the first test, destroyed by the last */
static struct event_fields event;

/* The text in memory of its own size, so that a sanitizer sees every byte read behind it. */
static enum control_answer decode_bytes(const void *text, size_t bytes, size_t *ret_offset)
{
	uint8_t *own = malloc(bytes ? bytes : 1);
	if (bytes)
		memcpy(own, text, bytes);
	event = (struct event_fields){ NULL, 0 };
	enum control_answer answer = control_decode(decoder, span_of(own, bytes), &event, ret_offset);
	memset(own, 0x5a, bytes); /* `text` is not kept */
	free(own);
	return answer;
}

static const struct event_field *decode(const char *text)
{
	size_t offset;
	enum control_answer answer = decode_bytes(text, strlen(text), &offset);
	if (answer != CONTROL_YES)
		FAIL("%s: %d at %zu", text, answer, offset);
	return event.fields;
}

static void refuses_bytes(const void *text, size_t bytes, size_t wanted_offset)
{
	size_t offset = SIZE_MAX;
	enum control_answer answer = decode_bytes(text, bytes, &offset);
	if (answer != CONTROL_MALFORMED || offset != wanted_offset)
		FAIL("%.*s: %d at %zu, wanted %d at %zu", (int)bytes, (const char *)text, answer, offset,
		     CONTROL_MALFORMED, wanted_offset);
	EQ(event.count, 0); /* untouched */
	EQ(decode_bytes(text, bytes, NULL), CONTROL_MALFORMED);
}

static void refuses(const char *text, size_t wanted_offset)
{
	refuses_bytes(text, strlen(text), wanted_offset);
}

static void span_is(struct span span, const char *wanted)
{
	EQ_BYTES(span.base, span.bytes, wanted, strlen(wanted));
}

static void creates(void)
{
	decoder = control_decoder_create();
	NE(decoder == NULL, 1);
}

static void table_of_a_document(void)
{
	static const struct {
		const char *key, *raw;
		enum event_type type;
		uint32_t next, member_count;
	} wanted[] = {
		{ NULL, "{\"a\": [1, {\"b\" :null} ,\"x\"],\"a\":{ },\"\":[\t]\n, \"t\":true,\"f\":false}",
		  EVENT_OBJECT, 10, 5 },
		{ "a", "[1, {\"b\" :null} ,\"x\"]", EVENT_ARRAY, 6, 3 },
		{ NULL, "1", EVENT_INTEGER, 3, 0 },
		{ NULL, "{\"b\" :null}", EVENT_OBJECT, 5, 1 },
		{ "b", "null", EVENT_NULL, 5, 0 },
		{ NULL, "\"x\"", EVENT_STRING, 6, 0 },
		{ "a", "{ }", EVENT_OBJECT, 7, 0 },
		{ "", "[\t]", EVENT_ARRAY, 8, 0 },
		{ "t", "true", EVENT_TRUE, 9, 0 },
		{ "f", "false", EVENT_FALSE, 10, 0 },
	};
	char text[200];
	snprintf(text, sizeof text, " \r\n%s\t ", wanted[0].raw);
	const struct event_field *fields = decode(text);
	EQ(event.count, sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < event.count; i++) {
		EQ(fields[i].type, wanted[i].type);
		EQ(fields[i].next, wanted[i].next);
		span_is(fields[i].raw, wanted[i].raw);
		EQ(fields[i].key.base == NULL, wanted[i].key == NULL);
		span_is(fields[i].key, wanted[i].key ? wanted[i].key : "");
		if (fields[i].type == EVENT_ARRAY || fields[i].type == EVENT_OBJECT)
			EQ(fields[i].member_count, wanted[i].member_count);
		EQ(fields[i].raw.base - fields[0].raw.base, strstr(text, wanted[i].raw) - text - 3);
	}
	EQ(event_member(&event, fields, "a") - fields, 6); /* the last of its name */
	EQ(event_member(&event, fields, "") - fields, 7);
	EQ(event_member(&event, fields, "b") == NULL, 1);
	EQ(event_member(&event, fields + 1, "a") == NULL, 1);
}

static void scalars_are_documents(void)
{
	EQ(decode("null")->type, EVENT_NULL);
	EQ(decode(" true ")->type, EVENT_TRUE);
	EQ(decode("false\n")->type, EVENT_FALSE);
	EQ(decode("7")->integer, 7);
	EQ(decode("7.5")->type, EVENT_NUMBER);
	span_is(decode(" \"\" ")->string, "");
	span_is(decode(" \"a b\" ")->raw, "\"a b\"");
	EQ(event.count, 1);
	EQ(event.fields->next, 1);
}

static void integer_is(const char *text, int64_t wanted)
{
	const struct event_field *field = decode(text);
	EQ(field->type, EVENT_INTEGER);
	EQ(field->integer, wanted);
	span_is(field->raw, text);
}

static void number_is(const char *text, double wanted)
{
	const struct event_field *field = decode(text);
	EQ(field->type, EVENT_NUMBER);
	if (memcmp(&field->number, &wanted, sizeof wanted) != 0)
		FAIL("%s: %a, wanted %a", text, field->number, wanted);
	span_is(field->raw, text);
}

static void integers(void)
{
	integer_is("0", 0);
	integer_is("-0", 0);
	integer_is("-1", -1);
	integer_is("10", 10);
	integer_is("1718893350", 1718893350);
	integer_is("999999999999999999", 999999999999999999);
	integer_is("9223372036854775807", INT64_MAX);
	integer_is("-9223372036854775808", INT64_MIN);
}

static void numbers(void)
{
	number_is("9223372036854775808", 0x1p63);
	number_is("-9223372036854775809", -0x1p63);
	number_is("18446744073709551615", 0x1p64);
	number_is("100000000000000000000000000000000000000000", 1e41);
	number_is("0.0", 0.0);
	number_is("-0.0", -0.0);
	number_is("1e0", 1.0);
	number_is("1E+2", 100.0);
	number_is("-1.5e-3", -0.0015);
	number_is("0.1", 0.1);
	number_is("1470923133.026", 1470923133.026);
	number_is("123456789012345678.5", 123456789012345678.5);
	number_is("9007199254740993.0", 9007199254740992.0);	   /* half way: to even */
	number_is("9007199254740993.0000001", 9007199254740994.0); /* a bit more */
	number_is("2.2250738585072011e-308", 2.2250738585072011e-308);
	number_is("1.7976931348623157e308", 1.7976931348623157e308);
	number_is("1.7976931348623158e308", 1.7976931348623157e308);
	number_is("5e-324", 0x1p-1074);
	number_is("2.4703282292062327e-324", 0.0); /* less than half of the smallest */
	number_is("2.4703282292062328e-324", 0x1p-1074);
	number_is("1e-999", 0.0);
	number_is("-1e-999", -0.0);
	number_is("-123456789e-9999999999999999999999999", -0.0);
	number_is("0.00000000000000000000000001e-400", 0.0);
	number_is("0e999999999999999999999", 0.0);
	number_is("0.0000e+999", 0.0);
}

static void numbers_too_large(void)
{
	static const char *const texts[] = { "1e309",
					     "-1e309",
					     "1.7976931348623159e308",
					     "1e999",
					     "-123456789e9999999999999999999999999",
					     "0.001e400",
					     "0.1e310",
					     "10000.5e305" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		refuses(texts[i], 0);
	/* the exponent alone says neither */
	static char text[1024];
	memset(text, '0', sizeof text);
	text[1] = '.';
	memcpy(text + 1000, "1e900", 6); /* 1e-99 */
	number_is(text, 1e-99);
	memcpy(text + 1000, "1e1308", 7); /* 1e309 */
	refuses(text, 0);
	memcpy(text + 1000, "1e-900", 7);
	number_is(text, 0.0);
	memset(text, '0', sizeof text);
	memcpy(text, "1.", 2);
	memcpy(text + 600, "1e400", 6); /* zeros behind the point are not all that counts */
	refuses(text, 0);
	memset(text, '9', 400);
	text[400] = 0;
	refuses(text, 0);
	memcpy(text + 400, "e-399", 6);
	number_is(text, 10.0);
}

static void not_numbers(void)
{
	static const char *const texts[] = {
		"-",	"+1",  "01",  "-01",  "00",	  "1.",	       ".5",	    "-.5",
		"1.e1", "1e",  "1e+", "1E-",  "0x10",	  "1_000",     "1e1.5",	    "--1",
		"- 1",	"NaN", "nan", "-NaN", "Infinity", "-Infinity", "inf",	    "1a",
		"1\f",	"1\v", "0e",  "0.",   "-0e+",	  "1\"a\"",    "1\xc2\xa0", "\xef\xbc\x91"
	};
	char text[32];
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		EQ(decode_bytes(texts[i], strlen(texts[i]), NULL), CONTROL_MALFORMED);
		snprintf(text, sizeof text, "[%s]", texts[i]);
		EQ(decode_bytes(text, strlen(text), NULL), CONTROL_MALFORMED);
		snprintf(text, sizeof text, "{\"a\":%s}", texts[i]);
		EQ(decode_bytes(text, strlen(text), NULL), CONTROL_MALFORMED);
	}
}

static void strings(void)
{
	span_is(decode("\"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \x7f\"")->string,
		"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \x7f");
	span_is(decode("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")->string, "\"\\/\b\f\n\r\t");
	span_is(decode("\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00z\"")->string,
		"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
	span_is(decode("\"\\ud800\\udc00\\udbff\\udfff\\ud7ff\\ue000\\uffff\"")->string,
		"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
	span_is(decode("\"\\\\u0041\"")->string, "\\u0041");
	const struct event_field *field = decode("\"a\\u0000b\"");
	EQ_BYTES(field->string.base, field->string.bytes, "a\0b", 3);
	span_is(field->raw, "\"a\\u0000b\"");
	/* with and without escapes by turns; keys too */
	decode("{\"a\\tb\":\"c\",\"d\":\"\\ne\",\"\\u0066\":[\"g\",\"h\\\\\",\"i\"]}");
	span_is(event.fields[1].key, "a\tb");
	span_is(event.fields[1].string, "c");
	span_is(event.fields[2].key, "d");
	span_is(event.fields[2].string, "\ne");
	span_is(event.fields[3].key, "f");
	span_is(event.fields[4].string, "g");
	span_is(event.fields[5].string, "h\\");
	span_is(event.fields[6].string, "i");
	EQ(event_member(&event, event.fields, "f") == &event.fields[3], 1);
}

static void broken_strings(void)
{
	static const char *const escapes[] = { "\\x",
					       "\\a",
					       "\\0",
					       "\\u",
					       "\\u1",
					       "\\u12",
					       "\\u123",
					       "\\u123g",
					       "\\U0041",
					       "\\u+041",
					       "\\u 041",
					       "\\u-041",
					       "\\u0x4",
					       "\\'",
					       "\\ ",
					       "\\\xc3\xa9",
					       "\\ud800",
					       "\\udfff",
					       "\\ud800\\ud800",
					       "\\udc00\\ud800",
					       "\\ud800x",
					       "\\ud800\\n",
					       "\\ud800\\",
					       "\\ud800\\u",
					       "\\ud800\\udc0",
					       "\\ud800\\u0041",
					       "\\ud800udc00",
					       "\\ud800\\\\udc00" };
	char text[64];
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		snprintf(text, sizeof text, "\"%s\"", escapes[i]);
		EQ(decode_bytes(text, strlen(text), NULL), CONTROL_MALFORMED);
		snprintf(text, sizeof text, "[\"good\\n\",\"xy%szz\"]", escapes[i]);
		EQ(decode_bytes(text, strlen(text), NULL), CONTROL_MALFORMED);
		snprintf(text, sizeof text, "{\"%s\":1}", escapes[i]);
		EQ(decode_bytes(text, strlen(text), NULL), CONTROL_MALFORMED);
	}
	refuses("[1,\"\\ud800\"]", 3);
	for (int c = 0; c < 0x20; c++) {
		char control[] = { '[', '"', 'a', (char)c, 'b', '"', ']' };
		refuses_bytes(control, sizeof control, 3);
		char escaped[] = { '"', '\\', (char)c, '"' };
		refuses_bytes(escaped, sizeof escaped, 2);
	}
}

static void broken_utf8(void)
{
	static const char *const bytes[] = { "\x80",
					     "\xbf",
					     "\xc0\x80",
					     "\xc1\xbf",
					     "\xc3",
					     "\xc3(",
					     "\xe0\x9f\xbf",
					     "\xe2\x82",
					     "\xe2\x82(",
					     "\xed\xa0\x80",
					     "\xed\xbf\xbf",
					     "\xf0\x8f\xbf\xbf",
					     "\xf0\x9f\x98",
					     "\xf4\x90\x80\x80",
					     "\xf5\x80\x80\x80",
					     "\xfe",
					     "\xff" };
	char text[128];
	for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
		for (int before = 0; before < 70; before++) { /* across the blocks of the first pass */
			snprintf(text, sizeof text, "\"%.*s%s\"", before,
				 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
				 bytes[i]);
			refuses(text, (size_t)before + 1);
		}
		EQ(decode_bytes(bytes[i], strlen(bytes[i]), NULL), CONTROL_MALFORMED);
	}
	refuses("\xef\xbb\xbf{}", 0);
	refuses("{}\xef\xbb\xbf", 2);
	refuses("\xff\xfe{\0}\0", 0);
	refuses("[\"\\\"\xff\"]", 4);
	refuses("[\"\\\xc3\"]", 3);
}

static const struct {
	const char *text;
	size_t offset;
} broken_texts[] = { { "", 0 },
		     { " ", 1 },
		     { "\n\t \r", 4 },
		     { "1 2", 2 },
		     { "{}{}", 2 },
		     { "[] ,", 3 },
		     { "{} x", 3 },
		     { "nul", 0 },
		     { "nulL", 0 },
		     { "tree", 0 },
		     { "folse", 0 },
		     { "nulll", 0 },
		     { "TRUE", 0 },
		     { "tru e", 0 },
		     { "[", 1 },
		     { "{", 1 },
		     { "]", 0 },
		     { "}", 0 },
		     { ",", 0 },
		     { ":", 0 },
		     { "[1", 2 },
		     { "[1,", 3 },
		     { "[1,]", 3 },
		     { "[,1]", 1 },
		     { "[1,,2]", 3 },
		     { "[1 2]", 3 },
		     { "[1:2]", 2 },
		     { "[1}", 2 },
		     { "{]", 1 },
		     { "{\"a\"", 4 },
		     { "{\"a\"}", 4 },
		     { "{\"a\":", 5 },
		     { "{\"a\":}", 5 },
		     { "{\"a\":1", 6 },
		     { "{\"a\":1,", 7 },
		     { "{\"a\":1,}", 7 },
		     { "{,\"a\":1}", 1 },
		     { "{\"a\" 1}", 5 },
		     { "{\"a\",1}", 4 },
		     { "{\"a\"::1}", 5 },
		     { "{\"a\":1 \"b\":2}", 7 },
		     { "{1:2}", 1 },
		     { "{null:2}", 1 },
		     { "{a:2}", 1 },
		     { "{[]:2}", 1 },
		     { "{\"a\"\"b\":1}", 4 },
		     { "{\"a\"b:1}", 4 },
		     { "{\"a\":1:2}", 6 },
		     { "{\"a\":1]", 6 },
		     { "[\"a\"\"b\"]", 4 },
		     { "[\"a\"b]", 4 },
		     { "[true\"a\"]", 1 },
		     { "[1]]", 3 },
		     { "{}}", 2 },
		     { "\"a", 0 },
		     { "[1,\"a]", 3 },
		     { "{\"a\":\"b}", 5 },
		     { "\"\\", 0 },
		     { "\"\\\"", 0 },
		     { "'a'", 0 },
		     { "{'a':1}", 1 },
		     { "/**/1", 0 },
		     { "1//", 0 },
		     { "[1]#", 3 },
		     { "\f1", 0 },
		     { "1\f", 1 },
		     { "[\v]", 1 },
		     { "[\x1a]", 1 },
		     { "[1\x1a]", 2 },
		     { "[1\f2]", 2 },
		     { "{\"a\"\x1a"
		       "1}",
		       4 },
		     { "\x7f", 0 },
		     { "\\u0031", 0 },
		     { "[\\n]", 1 },
		     { "\xc2\xa0"
		       "1",
		       0 },
		     { "\xe2\x80\xa8[]", 0 } };

static void broken_grammar(void)
{
	for (size_t i = 0; i < sizeof broken_texts / sizeof *broken_texts; i++)
		refuses(broken_texts[i].text, broken_texts[i].offset);
	refuses_bytes("1\0", 2, 0);
	refuses_bytes("\0", 1, 0);
	refuses_bytes("[1]\0", 4, 3);
	refuses_bytes("[1,\0]", 5, 3);
	EQ(control_decode(decoder, (struct span){ NULL, 0 }, &event, NULL), CONTROL_MALFORMED);
}

/* An answer of MALFORMED or NO leaves nothing behind for the next text. */
static void texts_are_independent(void)
{
	refuses("{\"a\":[1,2,3],\"b\":[[[[", 22 - 1);
	EQ(decode("{\"a\":1}")->member_count, 1);
	EQ(event.count, 2);
	refuses("[\"\\", 1);
	span_is(decode("\"\\n\"")->string, "\n");
	refuses("[1,2,3", 6);
	EQ(decode_bytes("[1,2,3]", 6, NULL), CONTROL_MALFORMED);
	EQ(decode_bytes("[1,2,3]", 7, NULL), CONTROL_YES);
}

/* Every cut of a document is malformed: lengths count, not what lies behind. */
static void cut_documents(void)
{
	static const char text[] =
		"{\"a\":[1,-2.5e3,{\"b\\n\":\"c\\u00e9\\\\\"}],\"d\":null,\"e\":true,\"f\":[]}";
	for (size_t bytes = 0; bytes < sizeof text - 1; bytes++) {
		size_t offset;
		EQ(decode_bytes(text, bytes, &offset), CONTROL_MALFORMED);
		LE(offset, bytes);
		EQ(control_decode(decoder, span_of(text, bytes), &event, NULL), CONTROL_MALFORMED);
	}
	EQ(decode_bytes(text, sizeof text - 1, NULL), CONTROL_YES);
}

static size_t nest(char *text, size_t depth, const char *open, const char *close)
{
	size_t bytes = 0;
	for (size_t i = 0; i < depth; i++, bytes += strlen(open))
		memcpy(text + bytes, open, strlen(open));
	text[bytes++] = '7';
	for (size_t i = 0; i < depth; i++, bytes += strlen(close))
		memcpy(text + bytes, close, strlen(close));
	return bytes;
}

static void limit_of_depth(void)
{
	static char text[1 << 20];
	size_t offset;
	EQ(decode_bytes(text, nest(text, CONTROL_DECODE_DEPTH_MAX, "[", "]"), NULL), CONTROL_YES);
	EQ(event.count, CONTROL_DECODE_DEPTH_MAX + 1);
	EQ(event.fields[CONTROL_DECODE_DEPTH_MAX].integer, 7);
	EQ(event.fields[CONTROL_DECODE_DEPTH_MAX].raw.base - event.fields[0].raw.base,
	   CONTROL_DECODE_DEPTH_MAX);
	EQ(decode_bytes(text, nest(text, CONTROL_DECODE_DEPTH_MAX, "{\"k\":", "}"), NULL), CONTROL_YES);
	EQ(decode_bytes(text, nest(text, CONTROL_DECODE_DEPTH_MAX + 1, "[", "]"), &offset), CONTROL_NO);
	EQ(offset, CONTROL_DECODE_DEPTH_MAX);
	EQ(event.count, 0);
	EQ(decode_bytes(text, nest(text, CONTROL_DECODE_DEPTH_MAX + 1, "{\"k\":", "}"), NULL), CONTROL_NO);
	EQ(decode_bytes(text, nest(text, 100000, "[", ""), NULL), CONTROL_NO);
	EQ(decode_bytes(text, nest(text, 100000, "[", "]"), NULL), CONTROL_NO);
	EQ(decode_bytes(text, nest(text, CONTROL_DECODE_DEPTH_MAX, "[", "}"), NULL), CONTROL_MALFORMED);
}

/* "[[],[],...]": `count` fields. */
static size_t many_fields(char *text, size_t count)
{
	size_t bytes = 0;
	text[bytes++] = '[';
	for (size_t i = 1; i < count; i++) {
		memcpy(text + bytes, i > 1 ? ",[]" : "[]", i > 1 ? 3 : 2);
		bytes += i > 1 ? 3 : 2;
	}
	text[bytes++] = ']';
	return bytes;
}

static void limits_of_size(void)
{
	char *text = malloc(CONTROL_DECODE_BYTES_MAX + 1);
	size_t offset;
	EQ(control_decode(decoder, span_of(text, many_fields(text, CONTROL_DECODE_FIELDS_MAX)), &event, NULL),
	   CONTROL_YES);
	EQ(event.count, CONTROL_DECODE_FIELDS_MAX);
	EQ(event.fields->next, CONTROL_DECODE_FIELDS_MAX);
	EQ(event.fields->member_count, CONTROL_DECODE_FIELDS_MAX - 1);
	EQ(control_decode(decoder, span_of(text, many_fields(text, CONTROL_DECODE_FIELDS_MAX + 1)), &event,
			  &offset),
	   CONTROL_NO);
	EQ(offset, many_fields(text, CONTROL_DECODE_FIELDS_MAX + 1) - 3);

	memset(text, ' ', CONTROL_DECODE_BYTES_MAX + 1);
	text[0] = '7';
	EQ(control_decode(decoder, span_of(text, CONTROL_DECODE_BYTES_MAX), &event, NULL), CONTROL_YES);
	span_is(event.fields->raw, "7");
	EQ(control_decode(decoder, span_of(text, CONTROL_DECODE_BYTES_MAX + 1), &event, NULL), CONTROL_NO);
	/* the densest: every byte begins a token */
	memset(text, ',', CONTROL_DECODE_BYTES_MAX);
	EQ(control_decode(decoder, span_of(text, CONTROL_DECODE_BYTES_MAX), &event, &offset),
	   CONTROL_MALFORMED);
	EQ(offset, 0);
	/* the longest string that has an escape */
	memset(text, 'x', CONTROL_DECODE_BYTES_MAX);
	memcpy(text, "\"\\n", 3);
	text[CONTROL_DECODE_BYTES_MAX - 1] = '"';
	EQ(control_decode(decoder, span_of(text, CONTROL_DECODE_BYTES_MAX), &event, NULL), CONTROL_YES);
	EQ(event.fields->string.bytes, CONTROL_DECODE_BYTES_MAX - 3);
	EQ(event.fields->raw.bytes, CONTROL_DECODE_BYTES_MAX);
	/* the longest number */
	memset(text, '1', CONTROL_DECODE_BYTES_MAX);
	EQ(control_decode(decoder, span_of(text, CONTROL_DECODE_BYTES_MAX), &event, NULL), CONTROL_MALFORMED);
	text[1] = '.';
	EQ(control_decode(decoder, span_of(text, CONTROL_DECODE_BYTES_MAX), &event, NULL), CONTROL_YES);
	EQ(event.fields->number == 10.0 / 9.0, 1);
	free(text);
}

static void takes_no_memory_after_the_longest(void)
{
	static const char start[] =
		"{\"\\u0061\":[\"\\n\",1.5,-7,1e-400,1.00000000000000000000000000000000001],\"t\":\"\\t\"}";
	static char text[1 << 20];
	memset(text, ' ', sizeof text);
	memcpy(text, start, sizeof start - 1);
	EQ(control_decode(decoder, span_of(text, sizeof text), &event, NULL),
	   CONTROL_YES); /* the longest first */
	long before = new_count;
	size_t heap_bytes = mallinfo2().uordblks;
	for (size_t bytes = sizeof start - 1; bytes <= sizeof text; bytes = bytes * 2) {
		EQ(control_decode(decoder, span_of(text, bytes), &event, NULL), CONTROL_YES);
		EQ(control_decode(decoder, span_of(text, 20), &event, NULL), CONTROL_MALFORMED);
	}
	EQ(mallinfo2().uordblks, heap_bytes);
	EQ(new_count, before);
}

/* A longer text than all before it, each a little longer than what there was room for. */
static void grows(void)
{
	struct control_decoder *other = control_decoder_create();
	NE(other, NULL);
	for (size_t bytes = CONTROL_DECODE_BYTES_FIRST - 1; bytes < 4 * CONTROL_DECODE_BYTES_FIRST;
	     bytes += 997) {
		char *text = malloc(bytes);
		memset(text, 'a', bytes);
		memcpy(text, "[\"\\n", 4);
		memcpy(text + bytes - 2, "\"]", 2);
		EQ(control_decode(other, span_of(text, bytes), &event, NULL), CONTROL_YES);
		EQ(event.count, (size_t)2);
		EQ(event.fields[1].string.bytes, bytes - 5);
		EQ(event.fields[1].string.base[0], '\n');
		free(text);
	}
	control_decoder_destroy(other);
}

static void stays_when_it_cannot_grow(void)
{
	static char text[2 * CONTROL_DECODE_BYTES_FIRST];
	struct control_decoder *other = control_decoder_create();
	NE(other, NULL);
	memset(text, ' ', sizeof text);
	text[0] = '7';
	for (long at = 0; at < 4; at++) {
		new_count = 0;
		new_fail_at = at;
		EQ(control_decode(other, span_of(text, sizeof text), &event, NULL), CONTROL_NO);
		new_fail_at = -1;
		EQ(control_decode(other, span_of_text("[1]"), &event, NULL), CONTROL_YES);
	}
	EQ(control_decode(other, span_of(text, sizeof text), &event, NULL), CONTROL_YES);
	control_decoder_destroy(other);
}

static void survives_short_memory(void)
{
	int failures = 0;
	for (long at = 0;; at++) {
		new_count = 0;
		new_fail_at = at;
		struct control_decoder *other = control_decoder_create();
		new_fail_at = -1;
		long asked = new_count;
		if (other) {
			LE(asked, at); /* nothing was refused */
			EQ(control_decode(other, span_of_text("[1]"), &event, NULL), CONTROL_YES);
			control_decoder_destroy(other);
			break;
		}
		failures++;
	}
	printf("# %d allocations, each refused once\n", failures);
	GE(failures, 3);
}

static void destroys(void)
{
	control_decoder_destroy(decoder);
	control_decoder_destroy(NULL);
}

TEST_MAIN(T(creates), T(table_of_a_document), T(scalars_are_documents), T(integers), T(numbers),
	  T(numbers_too_large), T(not_numbers), T(strings), T(broken_strings), T(broken_utf8),
	  T(broken_grammar), T(texts_are_independent), T(cut_documents), T(limit_of_depth), T(limits_of_size),
	  T(takes_no_memory_after_the_longest), T(grows), T(stays_when_it_cannot_grow),
	  T(survives_short_memory), T(destroys))
