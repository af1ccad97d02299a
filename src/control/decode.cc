/* SPDX-License-Identifier: Apache-2.0
 *
 * control_decode: one whole JSON text into the table of base/event_fields.h.
 *
 * simdjson's first pass proves the UTF-8, the quotes and that strings hold no raw control character, and
 * lists where every token begins; the second pass, here, walks that list, checks grammar and every token,
 * and writes the table. simdjson's own second passes are no help: dom's tape forgets where a value stood,
 * which `raw` needs, and takes as long without any table; ondemand takes twice as long, since it must not
 * trust its caller to read everything in order. (An event of 2 KB: 730 ns; dom's tape 780, ondemand 1510.)
 * The first pass is reached through simdjson's internal face, which 3.0 and 3.12 share.
 */
#include "control/control.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>

#include <simdjson.h>

#include "control/token.h"

struct control_decoder {
	size_t text_bytes_max; /* that there is room for now */
	size_t fields_max;     /* as many as such a text can have, but no more than the limit */
	std::unique_ptr<simdjson::internal::dom_parser_implementation> first_pass;
	/* The last document: spans of strings without an escape and all `raw` ones point into it. */
	std::unique_ptr<uint8_t[]> text;
	std::unique_ptr<uint8_t[]> strings; /* of those with escapes; none grows by unescaping */
	std::unique_ptr<struct event_field[]> fields;
};

/* Where the first pass has a position for every character. */
static_assert(CONTROL_DECODE_BYTES_MAX < UINT32_MAX && CONTROL_DECODE_FIELDS_MAX < UINT32_MAX);

namespace
{
enum class outcome { FINE, BROKEN, BEYOND_LIMIT };

/* Four hexadecimal digits, or a number beyond 16 bits. */
uint32_t hexadecimal_4(const uint8_t *at, const uint8_t *end) noexcept
{
	uint16_t code = 0;
	if (end - at < 4)
		return UINT32_MAX;
	const char *first = reinterpret_cast<const char *>(at);
	auto [behind, problem] = std::from_chars(first, first + 4, code, 16);
	return problem == std::errc() && behind == first + 4 ? code : UINT32_MAX;
}

uint8_t *put_utf8(uint8_t *out, uint32_t code) noexcept
{
	auto low_6 = [code](unsigned shift) noexcept {
		return static_cast<uint8_t>(0x80 | ((code >> shift) & 0x3f));
	};
	if (code < 0x80) {
		*out++ = static_cast<uint8_t>(code);
	} else if (code < 0x800) {
		*out++ = static_cast<uint8_t>(0xc0 | code >> 6);
		*out++ = low_6(0);
	} else if (code < 0x10000) {
		*out++ = static_cast<uint8_t>(0xe0 | code >> 12);
		*out++ = low_6(6);
		*out++ = low_6(0);
	} else {
		*out++ = static_cast<uint8_t>(0xf0 | code >> 18);
		*out++ = low_6(12);
		*out++ = low_6(6);
		*out++ = low_6(0);
	}
	return out;
}

/* What stands behind "\u"; a character beyond 16 bits is a pair of them. A surrogate alone is no character,
 * so no UTF-8 can say it: refused. `at` moves behind what was read. */
bool unescape_unicode(const uint8_t *&at, const uint8_t *end, uint8_t *&out) noexcept
{
	uint32_t code = hexadecimal_4(at, end);
	at += 4;
	if (code > 0xffff || (code >= 0xdc00 && code <= 0xdfff))
		return false;
	if (code >= 0xd800 && code <= 0xdbff) {
		if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
			return false;
		uint32_t low = hexadecimal_4(at + 2, end);
		if (low < 0xdc00 || low > 0xdfff)
			return false;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		at += 6;
	}
	out = put_utf8(out, code);
	return true;
}

/* RFC 8259 section 7. `out` moves behind what was written, which is never more than was read. */
bool unescape(const uint8_t *at, const uint8_t *end, uint8_t *&out) noexcept
{
	static constexpr char names[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
	while (at < end) {
		size_t left = static_cast<size_t>(end - at);
		const void *found = std::memchr(at, '\\', left);
		size_t plain = found ? static_cast<size_t>(static_cast<const uint8_t *>(found) - at) : left;
		std::memcpy(out, at, plain);
		out += plain;
		at += plain;
		if (!found)
			break;
		if (++at == end)
			return false;
		uint8_t name = *at++;
		if (name == 'u') {
			if (!unescape_unicode(at, end, out))
				return false;
			continue;
		}
		const void *which = std::memchr(names, name, sizeof names - 1);
		if (!which)
			return false;
		*out++ = static_cast<uint8_t>(characters[static_cast<const char *>(which) - names]);
	}
	return true;
}

/* -? (0 | [1-9][0-9]*), all of the token; false when it does not fit or has a fraction or an exponent. */
bool read_integer(const uint8_t *at, const uint8_t *end, bool is_negative, int64_t &ret_integer) noexcept
{
	int64_t integer = 0; /* counts down: the smallest has no positive twin */
	for (; at < end; at++) {
		if (!is_digit(*at) || __builtin_mul_overflow(integer, 10, &integer) ||
		    __builtin_sub_overflow(integer, *at - '0', &integer))
			return false;
	}
	return is_negative ? (ret_integer = integer, true)
			   : !__builtin_sub_overflow(0, integer, &ret_integer);
}

/* Whether a number's digits, none of them zero before its first one here, say less than one. Asked only of
 * numbers that no double can hold, which are far from it. */
bool is_below_one(const uint8_t *at, const uint8_t *end) noexcept
{
	int64_t exponent = 0, place = 0;
	at += *at == '-';
	const uint8_t *whole = at;
	at = behind_digits(at, end);
	place = *whole == '0' ? 0 : at - whole;
	if (at < end && *at == '.') {
		const uint8_t *fraction = ++at;
		at = behind_digits(at, end);
		while (place <= 0 && fraction < at && *fraction == '0') {
			place--;
			fraction++;
		}
	}
	if (at < end) {
		bool is_negative = at[1] == '-';
		for (at += 1 + (at[1] == '-' || at[1] == '+'); at < end; at++) {
			if (exponent < INT32_MAX) /* the digits are at most 2^23: beyond any doubt */
				exponent = exponent * 10 + (*at - '0');
		}
		exponent = is_negative ? -exponent : exponent;
	}
	return place + exponent <= 0;
}

/* The nearest double of a valid number: tiny ones are zero, too large ones are refused. Libraries differ in
 * whether they call the former out of range. */
bool read_double(const uint8_t *at, const uint8_t *end, double &ret_number) noexcept
{
	double number = 0;
	const char *first = reinterpret_cast<const char *>(at), *last = reinterpret_cast<const char *>(end);
	auto [behind, problem] = std::from_chars(first, last, number);
	if (problem == std::errc::result_out_of_range) {
		if (!is_below_one(at, end))
			return false;
		number = *at == '-' ? -0.0 : 0.0;
	} else if (problem != std::errc() || behind != last) {
		return false;
	}
	ret_number = number;
	return std::isfinite(number);
}

bool read_number(struct event_field &field) noexcept
{
	const uint8_t *at = field.raw.base, *end = at + field.raw.bytes;
	bool is_negative = *at == '-';
	const uint8_t *digits = at + is_negative;
	bool is_possible_integer = digits < end && (*digits != '0' || digits + 1 == end);
	if (is_possible_integer && read_integer(digits, end, is_negative, field.integer)) {
		field.type = EVENT_INTEGER;
		return true;
	}
	field.type = EVENT_NUMBER;
	return is_number(at, end) && read_double(at, end, field.number);
}

/* The second pass. */
class reader
{
      public:
	reader(struct control_decoder *decoder, size_t bytes) noexcept
	    : text(decoder->text.get()), token(decoder->first_pass->structural_indexes.get()),
	      tokens_end(token + decoder->first_pass->n_structural_indexes), fields(decoder->fields.get()),
	      fields_max(decoder->fields_max), unescaped(decoder->strings.get()),
	      text_end(decoder->text.get() + bytes), backslash(decoder->text.get())
	{
		find_backslash(text);
	}

	outcome read_document() noexcept
	{
		struct span no_key = { nullptr, 0 };
		outcome result = read_value(no_key);
		while (result == outcome::FINE && depth)
			result = read_next(fields[levels[depth - 1]]);
		return result == outcome::FINE && token != tokens_end ? outcome::BROKEN : result;
	}

	size_t field_count() const noexcept
	{
		return count;
	}

	size_t text_offset() const noexcept
	{
		return token < tokens_end ? *token : static_cast<size_t>(text_end - text);
	}

      private:
	const uint8_t *text;
	const uint32_t *token; /* where the next one begins; behind the last stands the end of the text */
	const uint32_t *tokens_end;
	struct event_field *fields;
	size_t fields_max;
	size_t count = 0, depth = 0;
	uint8_t *unescaped;
	const uint8_t *text_end;
	const uint8_t *backslash;		   /* the next in the text, or its end */
	uint32_t levels[CONTROL_DECODE_DEPTH_MAX]; /* the open objects and arrays: indexes of fields */

	void find_backslash(const uint8_t *from) noexcept
	{
		const void *found = std::memchr(from, '\\', static_cast<size_t>(text_end - from));
		backslash = found ? static_cast<const uint8_t *>(found) : text_end;
	}

	/* The token's text: up to the next one without the blanks between. */
	struct span token_text() const noexcept
	{
		const uint8_t *begin = text + token[0], *end = text + token[1];
		while (end - begin > 1 && is_blank(end[-1]))
			end--;
		return span{ begin, static_cast<size_t>(end - begin) };
	}

	/* Most strings have no escape and stay in place. The closing quote is there: the first pass refuses
	 * texts with an open string, and lists what else stands behind a string as a token. */
	bool read_string(struct span quoted, struct span &ret_string) noexcept
	{
		const uint8_t *begin = quoted.base + 1, *end = quoted.base + quoted.bytes - 1;
		if (quoted.bytes < 2 || *end != '"')
			return false;
		if (backslash < begin)
			find_backslash(begin);
		if (backslash >= end) {
			ret_string = span{ begin, quoted.bytes - 2 };
			return true;
		}
		uint8_t *out = unescaped;
		bool is_fine = unescape(begin, end, unescaped);
		ret_string = span{ out, static_cast<size_t>(unescaped - out) };
		return is_fine;
	}

	/* Its members, or its end, are what read_next() finds. */
	outcome open(struct event_field &field, enum event_type type) noexcept
	{
		if (depth == CONTROL_DECODE_DEPTH_MAX)
			return outcome::BEYOND_LIMIT;
		field.type = type;
		field.member_count = 0;
		levels[depth++] = static_cast<uint32_t>(count - 1);
		token++;
		return outcome::FINE;
	}

	void shut(struct event_field &field) noexcept
	{
		field.raw.bytes = static_cast<size_t>(text + *token - field.raw.base) + 1;
		field.next = static_cast<uint32_t>(count);
		depth--;
		token++;
	}

	/* With its key, when it is of an object; `token` is on it. */
	outcome read_member(struct event_field &container) noexcept
	{
		struct span key = { nullptr, 0 };
		if (container.type == EVENT_OBJECT) {
			if (text[*token] != '"' || !read_string(token_text(), key))
				return outcome::BROKEN;
			token++;
			if (text[*token] != ':')
				return outcome::BROKEN;
			token++;
		}
		container.member_count++;
		return read_value(key);
	}

	/* What stands in an open object or array: its first member, another one, or its end. */
	outcome read_next(struct event_field &container) noexcept
	{
		uint8_t c = text[*token];
		if (c == (container.type == EVENT_OBJECT ? '}' : ']')) {
			shut(container);
			return outcome::FINE;
		}
		if (container.member_count) {
			if (c != ',')
				return outcome::BROKEN;
			token++;
		}
		return read_member(container);
	}

	outcome read_word(struct event_field &field, enum event_type type, const char *word,
			  size_t word_bytes) noexcept
	{
		field.type = type;
		if (field.raw.bytes != word_bytes || std::memcmp(field.raw.base, word, word_bytes) != 0)
			return outcome::BROKEN;
		token++;
		return outcome::FINE;
	}

	outcome read_value(struct span key) noexcept
	{
		uint8_t c = text[*token];
		if (token == tokens_end)
			return outcome::BROKEN;
		if (count == fields_max)
			return outcome::BEYOND_LIMIT;
		struct event_field &field = fields[count++];
		field.key = key;
		field.raw = token_text();
		field.next = static_cast<uint32_t>(count);
		switch (c) {
		case '"':
			field.type = EVENT_STRING;
			if (!read_string(field.raw, field.string))
				return outcome::BROKEN;
			token++;
			return outcome::FINE;
		case '{':
			return open(field, EVENT_OBJECT);
		case '[':
			return open(field, EVENT_ARRAY);
		case 't':
			return read_word(field, EVENT_TRUE, "true", 4);
		case 'f':
			return read_word(field, EVENT_FALSE, "false", 5);
		case 'n':
			return read_word(field, EVENT_NULL, "null", 4);
		default:
			if (!read_number(field))
				return outcome::BROKEN;
			token++;
			return outcome::FINE;
		}
	}
};

/* How many bytes the character at `at` has, as in the table of RFC 3629 section 4; 0: it is none. */
size_t character_bytes(const uint8_t *at, const uint8_t *end) noexcept
{
	uint8_t first = at[0], second_min = 0x80, second_max = 0xbf;
	size_t bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first > 0xf4 || bytes > static_cast<size_t>(end - at))
		return 0;
	if (first == 0xe0)
		second_min = 0xa0;
	else if (first == 0xed)
		second_max = 0x9f; /* no surrogates */
	else if (first == 0xf0)
		second_min = 0x90;
	else if (first == 0xf4)
		second_max = 0x8f;
	for (size_t i = 1; i < bytes; i++) {
		bool is_second = i == 1;
		if (at[i] < (is_second ? second_min : 0x80) || at[i] > (is_second ? second_max : 0xbf))
			return 0;
	}
	return bytes;
}

/* Where the first pass, which does not tell, has refused the text: at a broken character, at a raw control
 * character in a string, at the quote of a string that does not end, or because there is nothing. */
size_t refused_at(struct span text) noexcept
{
	const uint8_t *end = text.base + text.bytes;
	const uint8_t *quote = nullptr; /* the open string */
	for (const uint8_t *at = text.base; at < end;) {
		size_t bytes = character_bytes(at, end);
		if (bytes == 0 || (quote && *at < 0x20))
			return static_cast<size_t>(at - text.base);
		if (quote && *at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\'))
			bytes = 2;
		else if (*at == '"')
			quote = quote ? nullptr : at;
		at += bytes;
	}
	return quote ? static_cast<size_t>(quote - text.base) : text.bytes;
}
} // namespace

/* Makes room for a text of so many bytes, with what comes next of its kind in mind. What was lent before is
 * gone. */
static bool grow(struct control_decoder *decoder, size_t bytes)
{
	size_t room = decoder->text_bytes_max ? decoder->text_bytes_max : CONTROL_DECODE_BYTES_FIRST;
	while (room < bytes)
		room *= 2;
	if (room > CONTROL_DECODE_BYTES_MAX)
		room = CONTROL_DECODE_BYTES_MAX;
	size_t fields_max = room / 2 + 2; /* "[1,1]" */
	if (fields_max > CONTROL_DECODE_FIELDS_MAX)
		fields_max = CONTROL_DECODE_FIELDS_MAX;
	std::unique_ptr<uint8_t[]> text(new (std::nothrow) uint8_t[room + simdjson::SIMDJSON_PADDING]);
	std::unique_ptr<uint8_t[]> strings(new (std::nothrow) uint8_t[room]);
	std::unique_ptr<struct event_field[]> fields(new (std::nothrow) struct event_field[fields_max]);
	std::unique_ptr<simdjson::internal::dom_parser_implementation> first_pass;
	if (!text || !strings || !fields ||
	    simdjson::get_active_implementation()->create_dom_parser_implementation(
		    room, CONTROL_DECODE_DEPTH_MAX, first_pass))
		return false;
	decoder->text_bytes_max = room;
	decoder->fields_max = fields_max;
	decoder->text = std::move(text);
	decoder->strings = std::move(strings);
	decoder->fields = std::move(fields);
	decoder->first_pass = std::move(first_pass);
	return true;
}

extern "C" struct control_decoder *control_decoder_create(void)
{
	struct control_decoder *decoder = new (std::nothrow) struct control_decoder();
	if (decoder && !grow(decoder, 0)) {
		delete decoder;
		return nullptr;
	}
	return decoder;
}

extern "C" void control_decoder_destroy(struct control_decoder *decoder)
{
	delete decoder;
}

extern "C" enum control_answer control_decode(struct control_decoder *decoder, struct span text,
					      struct event_fields *ret_fields, size_t *ret_offset)
{
	size_t unread;
	size_t &offset = ret_offset ? *ret_offset : unread;
	offset = 0;
	if (text.bytes > CONTROL_DECODE_BYTES_MAX ||
	    (text.bytes > decoder->text_bytes_max && !grow(decoder, text.bytes)))
		return CONTROL_NO;
	if (text.bytes)
		std::memcpy(decoder->text.get(), text.base, text.bytes);
	std::memset(decoder->text.get() + text.bytes, ' ', simdjson::SIMDJSON_PADDING);
	struct span copy = { decoder->text.get(), text.bytes };
	if (text.bytes == 0 ||
	    decoder->first_pass->stage1(copy.base, copy.bytes, simdjson::stage1_mode::regular)) {
		offset = refused_at(copy);
		return CONTROL_MALFORMED;
	}
	reader reader(decoder, text.bytes);
	switch (reader.read_document()) {
	case outcome::FINE:
		break;
	case outcome::BROKEN:
		offset = reader.text_offset();
		return CONTROL_MALFORMED;
	case outcome::BEYOND_LIMIT:
		offset = reader.text_offset();
		return CONTROL_NO;
	}
	ret_fields->fields = decoder->fields.get();
	ret_fields->count = reader.field_count();
	return CONTROL_YES;
}
