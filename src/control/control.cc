/* SPDX-License-Identifier: Apache-2.0
 *
 * This and decode.cc, which share token.h, are the only C++, and the only files that see simdjson. It keeps
 * to what simdjson 3.0 and 3.10+ share. Everything is noexcept: errors are values, and a token is judged here
 * by its text, because the on-demand parser leaves unread values unchecked and lets numbers differ between
 * versions.
 */
#include "control/control.h"

#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include <simdjson.h>

#include "control/token.h"

namespace ondemand = simdjson::ondemand;
using text = std::string_view;

/* Real lines nest two levels. Bounds the walker's stack; a control line that nests deeper is refused. */
static constexpr size_t CONTROL_DEPTH_MAX = 32;
/* The end of the year 9999: whatever is beyond counts something else than seconds (milliseconds, say). */
static constexpr int64_t EVENT_TIME_SECONDS_MAX = 253402300799;

struct control {
	ondemand::parser parser{ CONTROL_EVENT_BYTES_MAX };
	uint8_t line[CONTROL_EVENT_BYTES_MAX + simdjson::SIMDJSON_PADDING];
};

namespace
{
enum class kind { OBJECT, ARRAY, STRING, NUMBER, LITERAL, NOTHING, BROKEN };

enum class walk {
	WHOLE,	 /* one JSON object and nothing else, every token checked */
	STOPPED, /* the visitor has seen enough; the rest is unchecked */
	BROKEN
};

const uint8_t *begin_of(text token) noexcept
{
	return reinterpret_cast<const uint8_t *>(token.data());
}

const uint8_t *end_of(text token) noexcept
{
	return begin_of(token) + token.size();
}

size_t digits_at(text token, size_t at) noexcept
{
	const uint8_t *digits = begin_of(token) + at;
	return static_cast<size_t>(behind_digits(digits, end_of(token)) - digits);
}

kind kind_of(text token) noexcept
{
	switch (token.empty() ? '\0' : token[0]) {
	case '{':
		return kind::OBJECT;
	case '[':
		return kind::ARRAY;
	case '"':
		return token.size() >= 2 && token.back() == '"' ? kind::STRING : kind::BROKEN;
	case 't':
		return token == "true" ? kind::LITERAL : kind::BROKEN;
	case 'f':
		return token == "false" ? kind::LITERAL : kind::BROKEN;
	case 'n':
		return token == "null" ? kind::NOTHING : kind::BROKEN;
	default:
		return is_number(begin_of(token), end_of(token)) ? kind::NUMBER : kind::BROKEN;
	}
}

/* The text of the value's first token. simdjson's tokens reach to the next one, blanks included. */
text token_of(ondemand::value &value) noexcept
{
	text token = value.raw_json_token();
	while (!token.empty() && is_blank(static_cast<uint8_t>(token.back())))
		token.remove_suffix(1);
	return token;
}

/* The string behind `token`, unescaped, valid until the next line. Most have no escape and stay in place:
 * the first pass over the line has already proved their UTF-8 and that they hold no raw control character.
 * Consumes the value in either case: a string left unread in front of a ':' would pass for a key. */
bool read_string(ondemand::value &value, text token, text &ret_string) noexcept
{
	if (std::memchr(token.data(), '\\', token.size()))
		return value.get_string().get(ret_string) == simdjson::SUCCESS;
	ondemand::raw_json_string unread;
	if (value.get_raw_json_string().get(unread))
		return false;
	ret_string = token.substr(1, token.size() - 2);
	return true;
}

/* Keys are compared unescaped ("off\u0073et" is "offset"). The closing quote is there: the first pass has
 * refused lines with an open string. */
bool read_key(ondemand::field &field, text &ret_key) noexcept
{
	const char *key = field.key().raw();
	size_t bytes = 0;
	while (key[bytes] != '"' && key[bytes] != '\\')
		bytes++;
	if (key[bytes] == '\\')
		return field.unescaped_key().get(ret_key) == simdjson::SUCCESS;
	ret_key = text(key, bytes);
	return true;
}

bool read_member(simdjson::simdjson_result<ondemand::field> member, ondemand::field &ret_field,
		 text &ret_key) noexcept
{
	return std::move(member).get(ret_field) == simdjson::SUCCESS && read_key(ret_field, ret_key);
}

/* Reads a value's first token; `ret_string` is what a reader of the field wants: a string's text, a number's
 * digits, a literal's word. */
kind read_scalar(ondemand::value &value, text &ret_string) noexcept
{
	text token = token_of(value);
	kind what = kind_of(token);
	ret_string = token;
	if (what == kind::STRING && !read_string(value, token, ret_string))
		return kind::BROKEN;
	return what;
}

/* One open object or array of the walk. */
struct level {
	bool is_object;
	ondemand::object_iterator field;
	ondemand::array_iterator element;
};

bool open_level(ondemand::value &value, kind what, level &ret_level) noexcept
{
	ret_level.is_object = what == kind::OBJECT;
	if (ret_level.is_object) {
		ondemand::object object;
		return value.get_object().get(object) == simdjson::SUCCESS &&
		       object.begin().get(ret_level.field) == simdjson::SUCCESS;
	}
	ondemand::array array;
	return value.get_array().get(array) == simdjson::SUCCESS &&
	       array.begin().get(ret_level.element) == simdjson::SUCCESS;
}

bool level_has_value(const level &level) noexcept
{
	return level.is_object ? level.field != level.field : level.element != level.element;
}

bool level_value(level &level, ondemand::value &ret_value) noexcept
{
	if (!level.is_object)
		return (*level.element).get(ret_value) == simdjson::SUCCESS;
	ondemand::field field;
	text key;
	if (!read_member(*level.field, field, key))
		return false;
	ret_value = field.value();
	return true;
}

/* Checks every token of an object or array. No recursion: depth is the sender's choice. */
bool check_nested(ondemand::value value, kind what) noexcept
{
	level levels[CONTROL_DEPTH_MAX];
	size_t depth = 0;
	text unread;

	if (!open_level(value, what, levels[depth++]))
		return false;
	while (depth) {
		level &top = levels[depth - 1];
		if (!level_has_value(top)) {
			depth--;
		} else {
			if (!level_value(top, value))
				return false;
			what = read_scalar(value, unread);
			if (what == kind::BROKEN)
				return false;
			if (what == kind::OBJECT || what == kind::ARRAY) {
				if (depth == CONTROL_DEPTH_MAX || !open_level(value, what, levels[depth++]))
					return false;
				continue; /* its first value comes next; the parent moves on after it */
			}
		}
		if (depth == 0)
			break;
		if (levels[depth - 1].is_object)
			++levels[depth - 1].field;
		else
			++levels[depth - 1].element;
	}
	return true;
}

/* Copies the line to where it has padding and runs the first pass: UTF-8, quotes, control characters. */
bool open_line(struct control *control, struct span line, ondemand::document &ret_document,
	       ondemand::object &ret_object) noexcept
{
	size_t blanks = 0;
	while (blanks < line.bytes && std::memchr(" \t\r\n", line.base[blanks], 4))
		blanks++;
	/* Newer versions would skip a byte order mark, which JSON must not have (RFC 8259 section 8.1). */
	if (blanks == line.bytes || line.base[blanks] != '{')
		return false;
	std::memcpy(control->line, line.base, line.bytes);
	std::memset(control->line + line.bytes, ' ', simdjson::SIMDJSON_PADDING);
	return control->parser.iterate(control->line, line.bytes, line.bytes + simdjson::SIMDJSON_PADDING)
			       .get(ret_document) == simdjson::SUCCESS &&
	       ret_document.get_object().get(ret_object) == simdjson::SUCCESS;
}

bool at_end(ondemand::document &document) noexcept
{
	return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

/* Calls visit(key, kind, text) for each member; it answers whether to go on. */
template <typename Visit> walk walk_line(struct control *control, struct span line, Visit visit) noexcept
{
	ondemand::document document;
	ondemand::object object;
	if (!open_line(control, line, document, object))
		return walk::BROKEN;
	for (auto member : object) {
		ondemand::field field;
		text key, string;
		if (!read_member(member, field, key))
			return walk::BROKEN;
		kind what = read_scalar(field.value(), string);
		if (what == kind::BROKEN)
			return walk::BROKEN;
		if (!visit(key, what, string))
			return walk::STOPPED;
		if ((what == kind::OBJECT || what == kind::ARRAY) && !check_nested(field.value(), what))
			return walk::BROKEN;
	}
	return at_end(document) ? walk::WHOLE : walk::BROKEN;
}

/* A count as a JSON integer or the same digits in quotes; no sign, fraction, exponent or leading zero. */
bool read_count(kind what, text digits, int64_t &ret_count) noexcept
{
	int64_t count = 0;
	if ((what != kind::NUMBER && what != kind::STRING) || digits.empty() ||
	    digits_at(digits, 0) != digits.size() || (digits.size() > 1 && digits[0] == '0'))
		return false;
	for (char c : digits) {
		if (__builtin_mul_overflow(count, 10, &count) ||
		    __builtin_add_overflow(count, c - '0', &count))
			return false;
	}
	ret_count = count;
	return true;
}

struct context_reader {
	bool has_offset = false, has_total = false, is_possible_limit = true;
	bool is_possible_offset = false, is_possible_total = false;
	text offset;
	int64_t total = 0, limit = -1;

	bool operator()(text key, kind what, text string) noexcept
	{
		if (key == "attackData" || key == "httpMessage")
			return false;
		if (key == "offset") {
			has_offset = true;
			offset = string;
			is_possible_offset = what == kind::STRING && !offset.empty() &&
					     offset.size() <= CONTROL_OFFSET_BYTES_MAX &&
					     offset.find('\0') == text::npos;
		} else if (key == "total") {
			has_total = true;
			is_possible_total = read_count(what, string, total);
		} else if (key == "limit") {
			limit = -1;
			is_possible_limit = what == kind::NOTHING || read_count(what, string, limit);
		}
		return true;
	}
};
} // namespace

extern "C" struct control *control_create(void)
{
	struct control *control = new (std::nothrow) struct control;
	if (!control)
		return nullptr;
	bool is_ready = control->parser.allocate(CONTROL_EVENT_BYTES_MAX) == simdjson::SUCCESS;
	if (is_ready) {
		/* simdjson 3.0 does not notice that it got no string buffer, and would allocate again, for
		 * the size of the line at hand, when it meets the first one. */
		ondemand::document document;
		ondemand::object object;
		is_ready = open_line(control, span{ reinterpret_cast<const uint8_t *>("{}"), 2 }, document,
				     object) &&
			   control->parser.capacity() == CONTROL_EVENT_BYTES_MAX;
	}
	if (!is_ready) {
		delete control;
		return nullptr;
	}
	return control;
}

extern "C" void control_destroy(struct control *control)
{
	delete control;
}

extern "C" enum control_answer control_read_context(struct control *control, struct span line,
						    struct control_context *ret_context)
{
	if (line.bytes > CONTROL_CONTEXT_BYTES_MAX)
		return CONTROL_NO;
	context_reader reader;
	switch (walk_line(control, line, [&reader](text key, kind what, text string) noexcept {
		return reader(key, what, string);
	})) {
	case walk::BROKEN:
		return CONTROL_MALFORMED;
	case walk::STOPPED:
		return CONTROL_NO;
	case walk::WHOLE:
		break;
	}
	if (!reader.has_offset || !reader.has_total)
		return CONTROL_NO;
	if (!reader.is_possible_offset || !reader.is_possible_total || !reader.is_possible_limit)
		return CONTROL_MALFORMED;
	ret_context->total = reader.total;
	ret_context->limit = reader.limit;
	ret_context->offset_bytes = reader.offset.size();
	std::memcpy(ret_context->offset, reader.offset.data(), reader.offset.size());
	ret_context->offset[reader.offset.size()] = '\0';
	return CONTROL_YES;
}

extern "C" enum control_answer control_read_seconds(struct span written, int64_t *ret_unix_ms)
{
	static constexpr int64_t place_ms[] = { 100, 10, 1 };
	text seconds(reinterpret_cast<const char *>(written.base), written.bytes);
	size_t whole = digits_at(seconds, 0);
	size_t fraction = seconds.size() > whole && seconds[whole] == '.' ? digits_at(seconds, whole + 1) : 0;
	if (whole == 0 || seconds.size() != whole + (fraction ? 1 + fraction : 0))
		return CONTROL_NO;
	int64_t unix_ms = 0;
	for (size_t i = 0; i < whole; i++) {
		unix_ms = unix_ms * 10 + (seconds[i] - '0');
		if (unix_ms > EVENT_TIME_SECONDS_MAX)
			return CONTROL_NO;
	}
	unix_ms *= 1000;
	for (size_t i = 0; i < fraction && i < 3; i++)
		unix_ms += (seconds[whole + 1 + i] - '0') * place_ms[i];
	*ret_unix_ms = unix_ms;
	return CONTROL_YES;
}

namespace
{
bool is_time_of_event(text key) noexcept
{
	return key == "timestamp" || key == "time" || key == "eventTime" || key == "event_timestamp";
}

bool is_time_of_message(text key) noexcept
{
	return key == "timeStamp" || key == "end";
}

struct event_times {
	int64_t start_ms = -1;	/* httpMessage.start; the search ends with it */
	int64_t newest_ms = -1; /* of all the others */
};

/* False when the line is broken there. A value that is no time is passed over. */
bool read_newest(ondemand::value &value, int64_t &newest_ms) noexcept
{
	text string;
	int64_t unix_ms = -1;
	kind what = read_scalar(value, string);
	if (what == kind::BROKEN)
		return false;
	if ((what == kind::STRING || what == kind::NUMBER) &&
	    control_read_seconds(span{ begin_of(string), string.size() }, &unix_ms) == CONTROL_YES &&
	    unix_ms > newest_ms)
		newest_ms = unix_ms;
	return true;
}

bool read_message_times(ondemand::value &value, event_times &times) noexcept
{
	ondemand::object message;
	if (value.get_object().get(message))
		return false;
	for (auto member : message) {
		ondemand::field field;
		text key;
		if (!read_member(member, field, key))
			return false;
		if (key == "start") {
			if (!read_newest(field.value(), times.start_ms))
				return false;
			if (times.start_ms >= 0)
				return true;
		} else if (is_time_of_message(key) && !read_newest(field.value(), times.newest_ms)) {
			return false;
		}
	}
	return true;
}
} // namespace

extern "C" enum control_answer control_read_event_time(struct control *control, struct span line,
						       int64_t *ret_unix_ms)
{
	if (line.bytes > CONTROL_EVENT_BYTES_MAX)
		return CONTROL_NO;
	ondemand::document document;
	ondemand::object event;
	if (!open_line(control, line, document, event))
		return CONTROL_MALFORMED;
	event_times times;
	for (auto member : event) {
		ondemand::field field;
		text key;
		if (!read_member(member, field, key))
			return CONTROL_MALFORMED;
		if (key == "httpMessage" && kind_of(token_of(field.value())) == kind::OBJECT) {
			if (!read_message_times(field.value(), times))
				return CONTROL_MALFORMED;
			if (times.start_ms >= 0) {
				*ret_unix_ms = times.start_ms;
				return CONTROL_YES;
			}
		} else if (is_time_of_event(key) && !read_newest(field.value(), times.newest_ms)) {
			return CONTROL_MALFORMED;
		}
	}
	if (!at_end(document))
		return CONTROL_MALFORMED;
	if (times.newest_ms < 0)
		return CONTROL_NO;
	*ret_unix_ms = times.newest_ms;
	return CONTROL_YES;
}

namespace
{
size_t utf8_character_bytes(uint8_t first) noexcept
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Cuts at a character boundary and blanks control characters (C0, DEL and C1, which is c2 80..9f): a person's
 * terminal shows this text. simdjson has proved that it is UTF-8. */
void copy_text(text string, char (&ret_text)[CONTROL_PROBLEM_TEXT_BYTES_MAX]) noexcept
{
	size_t out = 0;
	for (size_t at = 0; at < string.size();) {
		uint8_t first = static_cast<uint8_t>(string[at]);
		size_t bytes = utf8_character_bytes(first);
		bool is_c1 = first == 0xc2 && static_cast<uint8_t>(string[at + 1]) < 0xa0;
		bool is_control = first < 0x20 || first == 0x7f || is_c1;
		size_t out_bytes = is_control ? 1 : bytes;
		if (out + out_bytes >= sizeof ret_text)
			break;
		if (is_control)
			ret_text[out] = ' ';
		else
			std::memcpy(ret_text + out, string.data() + at, bytes);
		out += out_bytes;
		at += bytes;
	}
	ret_text[out] = '\0';
}

struct problem_reader {
	struct control_problem problem = {};
	bool has_any = false;

	bool operator()(text key, kind what, text string) noexcept
	{
		int64_t status = 0;
		if (key == "status" && read_count(what, string, status) && status >= 100 && status <= 599) {
			problem.status = static_cast<int>(status);
			has_any = true;
		}
		if (what != kind::STRING)
			return true;
		if (key == "type")
			copy(string, problem.type);
		else if (key == "title")
			copy(string, problem.title);
		else if (key == "detail")
			copy(string, problem.detail);
		else if (key == "requestId")
			copy(string, problem.request_id);
		else if (key == "serverIp")
			copy(string, problem.server_ip);
		return true;
	}

	void copy(text string, char (&ret_text)[CONTROL_PROBLEM_TEXT_BYTES_MAX]) noexcept
	{
		copy_text(string, ret_text);
		has_any = true;
	}
};
} // namespace

extern "C" enum control_answer control_read_problem(struct control *control, struct span body,
						    struct control_problem *ret_problem)
{
	if (body.bytes > CONTROL_EVENT_BYTES_MAX)
		return CONTROL_NO;
	problem_reader reader;
	if (walk_line(control, body, [&reader](text key, kind what, text string) noexcept {
		    return reader(key, what, string);
	    }) != walk::WHOLE)
		return CONTROL_MALFORMED;
	if (!reader.has_any)
		return CONTROL_NO;
	*ret_problem = reader.problem;
	return CONTROL_YES;
}

extern "C" const char *control_implementation_name(void)
{
	static constexpr const char *names[] = { "icelake", "haswell", "westmere", "arm64", "fallback" };
	for (const char *name : names) {
		if (simdjson::get_active_implementation()->name() == name)
			return name;
	}
	return "other"; /* simdjson knows CPUs that this project does not */
}
