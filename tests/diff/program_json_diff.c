/* SPDX-License-Identifier: Apache-2.0
 *
 * json.decode and json.encode of programs against json-c: random documents go through both of ours, and
 * json-c finds the result equal to the document. Broken documents: whatever the decoder refuses, the reader
 * that says where finds a fault in, and it finds none in what the decoder takes.
 */
#include "program_library_host.h"

#include "program/json_text.h"
#include "json_c.h"
#include "test.h"

enum { DOCUMENT_BYTES_MAX = 1 << 16 };

struct text {
	char base[DOCUMENT_BYTES_MAX];
	size_t bytes;
};

static void add(struct text *text, const char *part)
{
	size_t bytes = strlen(part);
	if (bytes > sizeof text->base - text->bytes)
		FAIL("a random document of more than %d bytes", DOCUMENT_BYTES_MAX);
	memcpy(text->base + text->bytes, part, bytes);
	text->bytes += bytes;
}

static const char *pick(uint64_t *state, const char *const *parts, size_t count)
{
	return parts[library_random(state) % count];
}
#define PICK(state, parts) pick(state, parts, sizeof parts / sizeof *parts)

static void add_blanks(uint64_t *state, struct text *text)
{
	static const char *const blanks[] = { "", "", "", "", " ", "\n", "\t \r\n" };
	add(text, PICK(state, blanks));
}

static void add_string(uint64_t *state, struct text *text)
{
	static const char *const parts[] = {
		"a", "bc", "\\n",  "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\u0001", "é",
		"€", "😀",  "\x7f", " ",	   "{",	   "\\t", "key"
	};
	add(text, "\"");
	for (uint64_t n = library_random(state) % 5; n; n--)
		add(text, PICK(state, parts));
	add(text, "\"");
}

static void add_number(uint64_t *state, struct text *text)
{
	static const char *const fixed[] = { "0",
					     "-0.0",
					     "1e3",
					     "9223372036854775807",
					     "-9223372036854775808",
					     "0.1",
					     "1.5",
					     "-7.25e-3",
					     "1E+2",
					     "123456789.123",
					     "5e-324",
					     "1.7976931348623157e308",
					     "3.0" };
	char number[64];
	uint64_t bits = library_random(state) << 20 ^ library_random(state);
	double value;
	memcpy(&value, &bits, sizeof value);
	if (library_random(state) % 2) {
		add(text, PICK(state, fixed));
	} else if (library_random(state) % 2) {
		snprintf(number, sizeof number, "%lld", (long long)(bits << 3));
		add(text, number);
	} else if (value == value && value - value == 0) {
		snprintf(number, sizeof number, "%.17g", value);
		add(text, number);
		/* json-c, like us, tells whole numbers from others by their spelling. */
		if (!strpbrk(number, ".e"))
			add(text, ".0");
	} else {
		add(text, "0.5");
	}
}

static void add_value(uint64_t *state, struct text *text, int depth)
{
	static const char *const words[] = { "null", "true", "false", "[]", "{}", "[ ]", "{ }" };
	uint64_t kind = library_random(state) % (depth < 6 ? 9 : 5);
	add_blanks(state, text);
	if (kind < 2) {
		add(text, PICK(state, words));
	} else if (kind == 2) {
		add_number(state, text);
	} else if (kind < 5) {
		add_string(state, text);
	} else {
		int is_object = kind > 6;
		add(text, is_object ? "{" : "[");
		for (uint64_t n = library_random(state) % 5, i = 0; i < n; i++) {
			if (i)
				add(text, ",");
			if (is_object) {
				add_blanks(state, text);
				add_string(state, text);
				add_blanks(state, text);
				add(text, ":");
			}
			add_value(state, text, depth + 1);
		}
		add_blanks(state, text);
		add(text, is_object ? "}" : "]");
	}
	add_blanks(state, text);
}

static lua_State *state_of_lua;

/* The document decoded and encoded again; lent. NULL: refused. */
static const char *again(const char *base, size_t bytes, size_t *ret_bytes)
{
	if (!state_of_lua)
		state_of_lua = library_open(1);
	lua_State *lua = state_of_lua;
	lua_settop(lua, 0);
	if (luaL_dostring(lua, "return function(text) return json.encode(json.decode(text)) end"))
		return NULL;
	lua_pushlstring(lua, base, bytes);
	if (lua_pcall(lua, 1, 1, 0))
		return NULL;
	return lua_tolstring(lua, -1, ret_bytes);
}

static struct json_object *parse(const char *base, size_t bytes)
{
	struct json_tokener *tokener = json_tokener_new();
	json_tokener_set_flags(tokener, json_c_flags(base, bytes));
	struct json_object *object = json_tokener_parse_ex(tokener, base, (int)bytes + 1);
	enum json_tokener_error error = json_tokener_get_error(tokener);
	json_tokener_free(tokener);
	if (error != json_tokener_success)
		FAIL("json-c refuses \"%.300s\": %s", base, json_tokener_error_desc(error));
	return object;
}

static void documents_survive(void)
{
	static struct text text;
	uint64_t state = 20260102, bytes = 0;
	for (int i = 0; i < 20000; i++) {
		text.bytes = 0;
		/* Bare words and numbers at the top too, but mostly what documents are. */
		add_value(&state, &text, 0);
		text.base[text.bytes] = 0;
		size_t got_bytes;
		const char *got = again(text.base, text.bytes, &got_bytes);
		if (!got)
			FAIL("\"%.300s\": %s", text.base, lua_tostring(state_of_lua, -1));
		struct json_object *want_object = parse(text.base, text.bytes),
				   *got_object = parse(got, got_bytes);
		if (!json_object_equal(want_object, got_object))
			FAIL("\"%.300s\" became \"%.300s\"", text.base, got);
		json_object_put(want_object);
		json_object_put(got_object);
		bytes += text.bytes;
	}
	GT(bytes, 400000);
}

/* Encoding has one text for a value: encoding it again changes nothing. */
static void encoding_is_settled(void)
{
	static struct text text;
	static char first[DOCUMENT_BYTES_MAX];
	uint64_t state = 5;
	for (int i = 0; i < 3000; i++) {
		text.bytes = 0;
		add_value(&state, &text, 0);
		size_t first_bytes, second_bytes;
		const char *got = again(text.base, text.bytes, &first_bytes);
		EQ(got != NULL && first_bytes < sizeof first, 1);
		memcpy(first, got, first_bytes);
		got = again(first, first_bytes, &second_bytes);
		EQ_BYTES(got, second_bytes, first, first_bytes);
	}
}

static void faults_are_found(void)
{
	static struct text text;
	uint64_t state = 99;
	size_t refused = 0, taken = 0, at;
	for (int i = 0; i < 60000; i++) {
		text.bytes = 0;
		add_value(&state, &text, 3);
		for (uint64_t n = library_random(&state) % 3; n && text.bytes; n--) {
			static const char bytes[] = "\"\\{}[],:0123e.-+ tfn\n\x01\xff\xe9\x80u";
			size_t place = library_random(&state) % text.bytes;
			if (library_random(&state) % 4 == 0)
				text.bytes = place;
			else
				text.base[place] = bytes[library_random(&state) % (sizeof bytes - 1)];
		}
		struct event_fields event;
		struct span span = span_of(text.base, text.bytes);
		const char *fault = json_text_fault(span, &at);
		int failed = program_decode_json(NULL, span, &event) < 0;
		if (failed != (fault != NULL)) {
			/* The one thing that the reader does not judge: numbers beyond a double. */
			if (failed &&
			    (memchr(text.base, 'e', text.bytes) || memchr(text.base, 'E', text.bytes)))
				continue;
			FAIL("\"%.*s\": the decoder %s it, the reader says %s at %zu", (int)text.bytes,
			     text.base, failed ? "refuses" : "takes", fault ? fault : "nothing", at);
		}
		LE(at, text.bytes);
		refused += (size_t)failed;
		taken += !failed;
	}
	GT(refused, 10000);
	GT(taken, 10000);
}

TEST_MAIN(T(documents_survive), T(encoding_is_settled), T(faults_are_found))
