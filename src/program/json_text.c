/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a JSON text only to say where it breaks RFC 8259. The nesting is kept as one byte a level.
 */
#include "program/json_text.h"

struct reader {
	struct span text;
	size_t at;
	const char *fault; /* the first; what is read behind it does not matter */
	size_t depth;
	uint8_t closes[JSON_TEXT_DEPTH_MAX]; /* '}' or ']' of each open container */
};

static void fail(struct reader *reader, const char *fault)
{
	if (!reader->fault)
		reader->fault = fault;
}

/* The byte here, or -1 at the end. */
static int peek(const struct reader *reader)
{
	return reader->at < reader->text.bytes ? reader->text.base[reader->at] : -1;
}

static int is_blank(int byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void skip_blanks(struct reader *reader)
{
	while (is_blank(peek(reader)))
		reader->at++;
}

static int is_continuation(struct span text, size_t at, uint8_t from, uint8_t to)
{
	return at < text.bytes && text.base[at] >= from && text.base[at] <= to;
}

size_t json_text_character(struct span text, size_t at)
{
	uint8_t lead = text.base[at];
	/* The table of RFC 3629 section 4: only the second byte has a range of its own. */
	uint8_t from = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	uint8_t to = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	size_t bytes = lead < 0x80   ? 1
		       : lead < 0xc2 ? 0
		       : lead < 0xe0 ? 2
		       : lead < 0xf0 ? 3
		       : lead < 0xf5 ? 4
				     : 0;
	if (bytes > 1 && !is_continuation(text, at + 1, from, to))
		return 0;
	for (size_t i = 2; i < bytes; i++) {
		if (!is_continuation(text, at + i, 0x80, 0xbf))
			return 0;
	}
	return bytes;
}

/* The four digits of \uXXXX, the 'u' read; -1: there are none. */
static int read_hex4(struct reader *reader)
{
	int value = 0;
	for (int i = 0; i < 4; i++, reader->at++) {
		int byte = peek(reader), letter = byte | 0x20;
		if (byte >= '0' && byte <= '9')
			value = value * 16 + byte - '0';
		else if (byte > 0 && letter >= 'a' && letter <= 'f')
			value = value * 16 + letter - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* Behind the backslash. */
static void read_escape(struct reader *reader)
{
	int byte = peek(reader);
	if (byte != 'u') {
		if (byte <= 0 || !strchr("\"\\/bfnrt", byte))
			fail(reader, "an escape that JSON does not have");
		else
			reader->at++;
		return;
	}
	size_t begin = reader->at - 1;
	reader->at++;
	int unit = read_hex4(reader);
	if (unit < 0) {
		fail(reader, "\\u without four hexadecimal digits");
	} else if (unit >= 0xd800 && unit <= 0xdfff) {
		int has_second = peek(reader) == '\\' && reader->at + 1 < reader->text.bytes &&
				 reader->text.base[reader->at + 1] == 'u';
		reader->at += has_second ? 2 : 0;
		int second = has_second ? read_hex4(reader) : -1;
		if (unit > 0xdbff || second < 0xdc00 || second > 0xdfff) {
			reader->at = begin;
			fail(reader, "half of a surrogate pair");
		}
	}
}

/* The opening quote is here. */
static void read_string(struct reader *reader)
{
	reader->at++;
	while (!reader->fault) {
		int byte = peek(reader);
		if (byte < 0) {
			fail(reader, "a text without a closing quote");
		} else if (byte == '"') {
			reader->at++;
			return;
		} else if (byte == '\\') {
			reader->at++;
			read_escape(reader);
		} else if (byte < 0x20) {
			fail(reader, "a control character in a text");
		} else {
			size_t bytes = json_text_character(reader->text, reader->at);
			if (!bytes)
				fail(reader, "a text that is no UTF-8");
			reader->at += bytes;
		}
	}
}

static int read_digits(struct reader *reader)
{
	size_t begin = reader->at;
	while (peek(reader) >= '0' && peek(reader) <= '9')
		reader->at++;
	return reader->at > begin;
}

static void read_number(struct reader *reader)
{
	if (peek(reader) == '-')
		reader->at++;
	int leading_zero = peek(reader) == '0';
	size_t begin = reader->at;
	if (!read_digits(reader) || (leading_zero && reader->at - begin > 1)) {
		reader->at = begin;
		fail(reader, leading_zero ? "a number with a leading zero" : "a number without digits");
		return;
	}
	if (peek(reader) == '.') {
		reader->at++;
		if (!read_digits(reader))
			fail(reader, "a number without digits behind its point");
	}
	if (!reader->fault && (peek(reader) | 0x20) == 'e') {
		reader->at++;
		if (peek(reader) == '+' || peek(reader) == '-')
			reader->at++;
		if (!read_digits(reader))
			fail(reader, "a number without digits in its exponent");
	}
}

static void read_word(struct reader *reader)
{
	static const char *const words[] = { "true", "false", "null" };
	struct span left = span_of(reader->text.base + reader->at, reader->text.bytes - reader->at);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t bytes = strlen(words[i]);
		if (left.bytes >= bytes && memcmp(left.base, words[i], bytes) == 0) {
			reader->at += bytes;
			return;
		}
	}
	fail(reader, left.bytes ? "no JSON value" : "a value is missing");
}

/* A member's name and its colon. */
static void read_name(struct reader *reader)
{
	skip_blanks(reader);
	if (peek(reader) != '"') {
		fail(reader, "a name in quotes is missing");
		return;
	}
	read_string(reader);
	skip_blanks(reader);
	if (peek(reader) == ':')
		reader->at++;
	else
		fail(reader, "a colon is missing");
}

/* 1: a container was opened, and its first value comes next. */
static int read_value(struct reader *reader)
{
	skip_blanks(reader);
	int byte = peek(reader);
	if (byte != '{' && byte != '[') {
		if (byte == '"')
			read_string(reader);
		else if (byte == '-' || (byte >= '0' && byte <= '9'))
			read_number(reader);
		else
			read_word(reader);
		return 0;
	}
	if (reader->depth == JSON_TEXT_DEPTH_MAX) {
		fail(reader, "more than 64 levels of objects and arrays");
		return 0;
	}
	uint8_t closes = byte == '{' ? '}' : ']';
	reader->at++;
	skip_blanks(reader);
	if (peek(reader) == closes) {
		reader->at++;
		return 0;
	}
	reader->closes[reader->depth++] = closes;
	if (closes == '}')
		read_name(reader);
	return 1;
}

/* Behind a value: closes what ends here. 1: a comma, and another value comes. */
static int read_behind_value(struct reader *reader)
{
	while (reader->depth && !reader->fault) {
		uint8_t closes = reader->closes[reader->depth - 1];
		skip_blanks(reader);
		if (peek(reader) == ',') {
			reader->at++;
			if (closes == '}')
				read_name(reader);
			return 1;
		}
		if (peek(reader) == closes) {
			reader->at++;
			reader->depth--;
		} else {
			fail(reader,
			     closes == '}' ? "a comma or '}' is missing" : "a comma or ']' is missing");
		}
	}
	return 0;
}

const char *json_text_fault(struct span text, size_t *ret_at)
{
	struct reader reader = { .text = text };
	do {
		while (!reader.fault && read_value(&reader))
			;
	} while (!reader.fault && read_behind_value(&reader));
	if (!reader.fault) {
		skip_blanks(&reader);
		if (reader.at < text.bytes)
			fail(&reader, "something behind the document");
	}
	*ret_at = reader.at < text.bytes ? reader.at : text.bytes;
	return reader.fault;
}

size_t json_text_compact(struct span text, char *target)
{
	size_t bytes = 0;
	for (size_t at = 0; at < text.bytes; at++) {
		uint8_t byte = text.base[at];
		if (is_blank(byte))
			continue;
		target[bytes++] = (char)byte;
		if (byte != '"')
			continue;
		do {
			byte = text.base[++at];
			target[bytes++] = (char)byte;
			if (byte == '\\')
				target[bytes++] = (char)text.base[++at];
		} while (byte != '"');
	}
	return bytes;
}
