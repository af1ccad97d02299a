/* SPDX-License-Identifier: Apache-2.0
 *
 * control_decode against two others that share nothing with simdjson: the slow strict parser of
 * control_decode_reference.h, which must agree on everything, and json-c in its strict mode, which must make
 * the same values of every valid text. json-c 0.16 takes some texts that RFC 8259 forbids, and 0.18 fewer of
 * them; they are marked below. Documents: the corner cases of RFC 8259, generated ones, mutated ones, the
 * recorded responses where they are at hand, and once more with each of simdjson's implementations.
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "diff/control_decode_reference.h"
#include "diff/control_scene.h"
#include "json_c.h"
#include "test.h"

enum { GENERATED = 3000, MUTATIONS = 300, GENERATED_DEPTH_MAX = 6, JSON_C_DEPTH_MAX = 200 };

static struct control_decoder *decoder; /* created by the first test, destroyed by the last */

static void create_for_lines(void)
{
	decoder = control_decoder_create();
	NE(decoder == NULL, 1);
}

static void destroy_after_lines(void)
{
	control_decoder_destroy(decoder);
}

static void agree(const uint8_t *text, size_t bytes)
{
	const char *what = table_disagrees(decoder, text, bytes);
	if (what)
		FAIL("%s: %.*s", what, bytes > 700 ? 700 : (int)bytes, (const char *)text);
}

/* ---- json-c ---- */

static struct json_object *json_c_parse(const char *text, size_t bytes, int *ret_is_valid)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_C_DEPTH_MAX);
	char *ended = strndup(text, bytes); /* a number at the end wants to see a NUL */
	json_tokener_set_flags(tokener, json_c_flags(text, bytes));
	struct json_object *object = json_tokener_parse_ex(tokener, ended, (int)bytes + 1);
	*ret_is_valid = json_tokener_get_error(tokener) == json_tokener_success;
	free(ended);
	json_tokener_free(tokener);
	return object;
}

static size_t distinct_keys(const struct event_fields *event, uint32_t object)
{
	size_t count = 0;
	for (uint32_t k = object + 1; k < event->fields[object].next; k = event->fields[k].next) {
		int is_last = 1;
		for (uint32_t j = event->fields[k].next; j < event->fields[object].next;
		     j = event->fields[j].next)
			is_last &= event->fields[j].key.bytes != event->fields[k].key.bytes ||
				   memcmp(event->fields[j].key.base, event->fields[k].key.base,
					  event->fields[k].key.bytes) != 0;
		count += (size_t)is_last;
	}
	return count;
}

static int number_is_same(const struct event_field *field, struct json_object *object)
{
	if (json_object_get_type(object) == json_type_int)
		return field->type == EVENT_INTEGER && field->integer == json_object_get_int64(object);
	return field->type == EVENT_NUMBER && field->number == json_object_get_double(object);
}

static int value_is_same(const struct event_fields *event, uint32_t at, struct json_object *object)
{
	const struct event_field *field = &event->fields[at];
	char key[LINE_BYTES_MAX];
	size_t members = 0;
	switch (json_object_get_type(object)) {
	case json_type_null:
		return field->type == EVENT_NULL;
	case json_type_boolean:
		return field->type == (json_object_get_boolean(object) ? EVENT_TRUE : EVENT_FALSE);
	case json_type_int:
	case json_type_double:
		return number_is_same(field, object);
	case json_type_string:
		return field->type == EVENT_STRING &&
		       field->string.bytes == (size_t)json_object_get_string_len(object) &&
		       memcmp(field->string.base, json_object_get_string(object), field->string.bytes) == 0;
	case json_type_array:
		if (field->type != EVENT_ARRAY || field->member_count != json_object_array_length(object))
			return 0;
		for (uint32_t k = at + 1; k < field->next; k = event->fields[k].next)
			if (!value_is_same(event, k, json_object_array_get_idx(object, members++)))
				return 0;
		return members == field->member_count;
	case json_type_object:
		if (field->type != EVENT_OBJECT ||
		    distinct_keys(event, at) != (size_t)json_object_object_length(object))
			return 0;
		for (uint32_t k = at + 1; k < field->next; k = event->fields[k].next) {
			const struct event_field *member = &event->fields[k];
			struct json_object *other;
			snprintf(key, sizeof key, "%.*s", (int)member->key.bytes, member->key.base);
			if (!json_object_object_get_ex(object, key, &other) ||
			    !value_is_same(event, (uint32_t)(event_member(event, field, key) - event->fields),
					   other))
				return 0;
		}
		return 1;
	}
	return 0;
}

/* For texts without integers beyond 64 bits (0.18 refuses them) and without a NUL in a key (json-c cuts it).
 */
static void agree_with_json_c(const char *text, size_t bytes)
{
	struct event_fields event;
	int is_valid;
	if (control_decode(decoder, span_of(text, bytes), &event, NULL) != CONTROL_YES)
		FAIL("not valid for us: %.700s", text);
	struct json_object *object = json_c_parse(text, bytes, &is_valid);
	int is_same = is_valid && value_is_same(&event, 0, object);
	json_object_put(object);
	if (!is_same)
		FAIL("%s for json-c: %.700s", is_valid ? "another value" : "not valid", text);
}

/* ---- Corner cases ---- */

static const char *const valid[] = {
	"null",
	"true",
	"false",
	"0",
	"-0",
	"1",
	"-1",
	"10",
	"123",
	"1.5",
	"-1.5",
	"0.0",
	"0e1",
	"0E+1",
	"0e-0",
	"1e5",
	"1E5",
	"1e+5",
	"1e-5",
	"1.5e5",
	"123.456e78",
	"9223372036854775807",
	"-9223372036854775808",
	"0.1",
	"0.30000000000000004",
	"2.2250738585072014e-308",
	"4.9e-324",
	"1e-400",
	"1.7976931348623157e308",
	"\"\"",
	"\" \"",
	"\"a\"",
	"\"\x7f\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	"\"\\u0041\\u00e9\\u20ac\\uFFFF\\uabCD\"",
	"\"\\ud834\\udd1e\\udbff\\udfff\"",
	"\"a\\u0000b\"",
	"\"\\\\u0041\"",
	"\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
	"\"\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\"",
	"\"/* no comment */ // none\"",
	"\"[{,:}]\"",
	"[]",
	"[ ]",
	"[1]",
	"[1,2,3]",
	"[1 , 2\t,\r\n3]",
	"[[]]",
	"[[],[[]],{}]",
	"[null,true,false,1,\"a\",[],{}]",
	"[\"\\\\\",\"\\\"\",\"\\\\\\\\\"]",
	"{}",
	"{ }",
	"{\"a\":1}",
	"{\"\":0}",
	"{\"a\":{\"b\":{\"c\":{}}}}",
	"{\"a\":1,\"b\":2}",
	"{\"a\":1,\"a\":2}",
	"{\"a\":1,\"\\u0061\":2,\"b\":3}",
	"{ \"a\" : 1 , \"b\" : [ ] }",
	"\t\r\n {\"a\":1} \n\r\t",
	"{\"\\\"\":1,\"\\\\\":2}",
};

enum json_c { JSON_C_REFUSES, JSON_C_TAKES }; /* some version in use */

static const struct {
	const char *text;
	enum json_c json_c;
} malformed[] = {
	{ "", JSON_C_REFUSES },
	{ " \t\r\n", JSON_C_REFUSES },
	{ "nul", JSON_C_REFUSES },
	{ "Null", JSON_C_REFUSES },
	{ "NULL", JSON_C_REFUSES },
	{ "True", JSON_C_REFUSES },
	{ "truefalse", JSON_C_REFUSES },
	{ "NaN", JSON_C_TAKES },
	{ "Infinity", JSON_C_TAKES },
	{ "-Infinity", JSON_C_TAKES },
	{ "[NaN]", JSON_C_TAKES },
	{ "1e999", JSON_C_TAKES }, /* valid by the grammar, but no number that we could hand on */
	{ "-1e999", JSON_C_TAKES },
	{ "01", JSON_C_REFUSES },
	{ "-01", JSON_C_TAKES },
	{ "00", JSON_C_TAKES },
	{ "1.", JSON_C_TAKES },
	{ "[1.]", JSON_C_TAKES },
	{ "[1.e1]", JSON_C_TAKES },
	{ ".5", JSON_C_REFUSES },
	{ "-.5", JSON_C_TAKES },
	{ "1e", JSON_C_REFUSES },
	{ "[1e+]", JSON_C_REFUSES },
	{ "[0e]", JSON_C_REFUSES },
	{ "+1", JSON_C_REFUSES },
	{ "--1", JSON_C_REFUSES },
	{ "-", JSON_C_REFUSES },
	{ "[-]", JSON_C_REFUSES },
	{ "0x10", JSON_C_REFUSES },
	{ "1 2", JSON_C_REFUSES },
	{ "[1 2]", JSON_C_REFUSES },
	{ "[1,]", JSON_C_REFUSES },
	{ "[,1]", JSON_C_REFUSES },
	{ "[1,,2]", JSON_C_REFUSES },
	{ "[,]", JSON_C_REFUSES },
	{ "[", JSON_C_REFUSES },
	{ "[1", JSON_C_REFUSES },
	{ "[1}", JSON_C_REFUSES },
	{ "[1]]", JSON_C_REFUSES },
	{ "]", JSON_C_REFUSES },
	{ "[1]x", JSON_C_REFUSES },
	{ "[1:2]", JSON_C_REFUSES },
	{ "{", JSON_C_REFUSES },
	{ "{\"a\"", JSON_C_REFUSES },
	{ "{\"a\"}", JSON_C_REFUSES },
	{ "{\"a\":}", JSON_C_REFUSES },
	{ "{\"a\":1", JSON_C_REFUSES },
	{ "{\"a\":1,}", JSON_C_REFUSES },
	{ "{,}", JSON_C_REFUSES },
	{ "{\"a\" 1}", JSON_C_REFUSES },
	{ "{\"a\",1}", JSON_C_REFUSES },
	{ "{\"a\"::1}", JSON_C_REFUSES },
	{ "{\"a\":1 \"b\":2}", JSON_C_REFUSES },
	{ "{\"a\":1:2}", JSON_C_REFUSES },
	{ "{\"a\":1]", JSON_C_REFUSES },
	{ "{\"a\":1}}", JSON_C_REFUSES },
	{ "{a:1}", JSON_C_REFUSES },
	{ "{1:1}", JSON_C_REFUSES },
	{ "{'a':1}", JSON_C_TAKES },
	{ "'a'", JSON_C_TAKES },
	{ "{}{}", JSON_C_REFUSES },
	{ "{}[]", JSON_C_REFUSES },
	{ "/**/1", JSON_C_REFUSES },
	{ "1//", JSON_C_REFUSES },
	{ "#\n1", JSON_C_REFUSES },
	{ "\f1", JSON_C_REFUSES },
	{ "\v1", JSON_C_REFUSES },
	{ "1\f", JSON_C_REFUSES },
	{ "[1\x1a]", JSON_C_REFUSES },
	{ "[\x7f]", JSON_C_REFUSES },
	{ "\xef\xbb\xbf{}", JSON_C_REFUSES },
	{ "\xc2\xa0{}", JSON_C_REFUSES },
	{ "\"a", JSON_C_REFUSES },
	{ "\"\\\"", JSON_C_REFUSES },
	{ "\"\\x\"", JSON_C_REFUSES },
	{ "\"\\a\"", JSON_C_REFUSES },
	{ "\"\\'\"", JSON_C_REFUSES },
	{ "\"\\u12\"", JSON_C_REFUSES },
	{ "\"\\u12g4\"", JSON_C_REFUSES },
	{ "\"\\u+123\"", JSON_C_REFUSES },
	{ "\"\\U0041\"", JSON_C_REFUSES },
	{ "\"\\ud800\"", JSON_C_TAKES }, /* as U+FFFD; valid by the grammar, but no character */
	{ "\"\\udc00\\ud800\"", JSON_C_TAKES },
	{ "\"\\ud800\\u0041\"", JSON_C_TAKES },
	{ "\"a\x01z\"", JSON_C_TAKES },
	{ "\"a\nz\"", JSON_C_TAKES },
	{ "\"a\tz\"", JSON_C_TAKES },
	{ "\"\xff\"", JSON_C_REFUSES },
	{ "\"\x80\"", JSON_C_REFUSES },
	{ "\"\xc3\"", JSON_C_REFUSES },
	{ "\"\xc0\x80\"", JSON_C_TAKES },
	{ "\"\xed\xa0\x80\"", JSON_C_TAKES },
	{ "\"\xf4\x90\x80\x80\"", JSON_C_TAKES },
	{ "\"a\"\"b\"", JSON_C_REFUSES },
	{ "[\"a\"b]", JSON_C_REFUSES },
	{ "[true\"a\"]", JSON_C_REFUSES },
};

static void corner_cases_in_lines(void)
{
	struct event_fields event;
	for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
		size_t bytes = strlen(valid[i]);
		agree_with_json_c(valid[i], bytes);
		for (size_t cut = 0; cut <= bytes; cut++)
			agree((const uint8_t *)valid[i], cut);
	}
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		const char *text = malformed[i].text;
		int is_valid;
		if (control_decode(decoder, span_of_text(text), &event, NULL) != CONTROL_MALFORMED)
			FAIL("taken: %s", text);
		json_object_put(json_c_parse(text, strlen(text), &is_valid));
		if (is_valid && malformed[i].json_c == JSON_C_REFUSES)
			FAIL("json-c takes %s", text);
		agree((const uint8_t *)text, strlen(text));
	}
}

/* Integers that are none of json-c's. */
static void integers_beyond_64_bits_in_lines(void)
{
	static const char *const texts[] = {
		"9223372036854775808",
		"-9223372036854775809",
		"18446744073709551615",
		"18446744073709551616",
		"-18446744073709551616",
		"123456789012345678901234567890",
		"[99999999999999999999,-99999999999999999999]",
		"1000000000000000000000000000000000000000000000000000000000000"
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		agree((const uint8_t *)texts[i], strlen(texts[i]));
}

/* ---- Generated documents ---- */

struct generator {
	char text[LINE_BYTES_MAX];
	size_t bytes;
	uint64_t state;
	int is_for_us; /* has numbers that json-c cannot hold */
};

static void put_bytes(struct generator *g, const char *text, size_t bytes)
{
	if (g->bytes + bytes <= LINE_BYTES_MAX) /* else the document is cut there, and malformed */
		memcpy(g->text + g->bytes, text, bytes);
	else
		bytes = 0;
	g->bytes += bytes;
}

static void put(struct generator *g, const char *text)
{
	put_bytes(g, text, strlen(text));
}

static void put_blanks(struct generator *g)
{
	while (below(&g->state, 6) == 0)
		put_bytes(g, &" \t\r\n"[below(&g->state, 4)], 1);
}

static void put_string(struct generator *g)
{
	static const char *const pieces[] = { "\xc3\xa9",
					      "\xe2\x82\xac",
					      "\xf0\x9f\x98\x80",
					      "\\n",
					      "\\\"",
					      "\\\\",
					      "\\/",
					      "\\u0041",
					      "\\u00e9",
					      "\\u20AC",
					      "\\ud83d\\ude00",
					      "{",
					      "]",
					      ",",
					      ":",
					      "%3d",
					      " ",
					      "\x7f",
					      "long enough for more than one block of the pass" };
	put(g, "\"");
	for (size_t n = below(&g->state, 8); n; n--) {
		char letter = (char)('a' + below(&g->state, 26));
		if (below(&g->state, 3) == 0)
			put(g, pieces[below(&g->state, sizeof pieces / sizeof *pieces)]);
		else
			put_bytes(g, &letter, 1);
	}
	put(g, "\"");
}

static void put_digits(struct generator *g, size_t count)
{
	for (; count; count--)
		put_bytes(g, &"0123456789"[below(&g->state, 10)], 1);
}

static void put_number(struct generator *g)
{
	char first = (char)('1' + below(&g->state, 9));
	if (below(&g->state, 3) == 0)
		put(g, "-");
	put_bytes(g, below(&g->state, 5) ? &first : "0", 1);
	if (g->text[g->bytes - 1] != '0')
		put_digits(g, below(&g->state, g->is_for_us ? 25 : 18));
	if (below(&g->state, 3) == 0) {
		put(g, ".");
		put_digits(g, 1 + below(&g->state, 20));
	}
	if (below(&g->state, 4) == 0) {
		static const char *const exponents[] = { "e", "E", "e+", "E-", "e-" };
		put(g, exponents[below(&g->state, sizeof exponents / sizeof *exponents)]);
		put_digits(g, 1 + below(&g->state, g->is_for_us ? 3 : 2));
	}
}

static void put_value(struct generator *g, size_t depth)
{
	static const char *const words[] = { "null", "true", "false" };
	size_t kind = below(&g->state, depth < GENERATED_DEPTH_MAX ? 6 : 4);
	if (kind == 0) {
		put(g, words[below(&g->state, 3)]);
	} else if (kind == 1) {
		put_number(g);
	} else if (kind < 4) {
		put_string(g);
	} else {
		put(g, kind == 4 ? "{" : "[");
		put_blanks(g);
		for (size_t n = below(&g->state, 6); n; n--) {
			if (kind == 4) {
				if (below(&g->state, 3))
					put_string(g);
				else
					put(g, below(&g->state, 2) ? "\"a\"" : "\"\\u0061\"");
				put_blanks(g);
				put(g, ":");
				put_blanks(g);
			}
			put_value(g, depth + 1);
			put_blanks(g);
			if (n > 1) {
				put(g, ",");
				put_blanks(g);
			}
		}
		put(g, kind == 4 ? "}" : "]");
	}
}

static void generate(struct generator *g)
{
	g->bytes = 0;
	put_blanks(g);
	put_value(g, 0);
	put_blanks(g);
}

static void generated_lines(void)
{
	static struct generator g = { .state = 17 };
	size_t members = 0;
	for (int i = 0; i < GENERATED; i++) {
		struct event_fields event;
		generate(&g);
		agree((const uint8_t *)g.text, g.bytes);
		if (g.bytes < LINE_BYTES_MAX - 64) { /* else it may be cut */
			agree_with_json_c(g.text, g.bytes);
			EQ(control_decode(decoder, span_of(g.text, g.bytes), &event, NULL), CONTROL_YES);
			members += event.count;
		}
	}
	printf("# %zu fields\n", members);
	GT(members, GENERATED * 3);
}

static void generated_and_mutated_lines(void)
{
	static struct generator g = { .state = 18, .is_for_us = 1 };
	unsigned answers[3] = { 0 };
	for (int i = 0; i < GENERATED * 5; i++) {
		struct event_fields event;
		generate(&g);
		g.bytes = mutate((uint8_t *)g.text, g.bytes, &g.state);
		agree((const uint8_t *)g.text, g.bytes);
		answers[control_decode(decoder, span_of(g.text, g.bytes), &event, NULL)]++;
	}
	printf("# %u yes, %u no, %u malformed\n", answers[CONTROL_YES], answers[CONTROL_NO],
	       answers[CONTROL_MALFORMED]);
	GT(answers[CONTROL_YES], GENERATED / 2);
	GT(answers[CONTROL_MALFORMED], GENERATED / 2);
}

static void nested_lines(void)
{
	static struct generator g = { .state = 19 };
	for (size_t depth = 0; depth < 70; depth++) {
		g.bytes = 0;
		for (size_t i = 0; i < depth; i++)
			put(&g, i % 3 ? "[" : "{\"k\":");
		put(&g, "7");
		for (size_t i = depth; i-- > 0;)
			put(&g, i % 3 ? "]" : "}");
		agree((const uint8_t *)g.text, g.bytes);
		if (depth <= CONTROL_DECODE_DEPTH_MAX)
			agree_with_json_c(g.text, g.bytes);
	}
}

/* A backslash run, a quote or a character at every place of the blocks that the first pass works in. */
static void block_borders_in_lines(void)
{
	static const char *const pieces[] = {
		"\\\\", "\\\"",		"\\\\\\\"", "\",\"", "\xf0\x9f\x98\x80", "\":\"",
		"\x01", "\xf0\x9f\x98", "\\",	    "\"",    "\\u0041",		 "\"],[\""
	};
	static struct generator g = { .state = 20 };
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		for (size_t before = 0; before < 140; before++) {
			g.bytes = 0;
			put(&g, "[\"");
			for (size_t n = 0; n < before; n++)
				put(&g, "x");
			put(&g, pieces[i]);
			put(&g, "yz\"]");
			agree((const uint8_t *)g.text, g.bytes);
		}
	}
}

/* ---- Events ---- */

static void agree_around(const uint8_t *text, size_t bytes, uint64_t *state)
{
	static uint8_t copy[LINE_BYTES_MAX];
	agree(text, bytes);
	for (int n = 0; n < MUTATIONS && bytes < LINE_BYTES_MAX; n++) {
		memcpy(copy, text, bytes);
		agree(copy, mutate(copy, bytes, state));
	}
}

static void an_event_and_its_mutations_in_lines(void)
{
	static const char event[] =
		"{\"format\":\"json\",\"type\":\"akamai_siem\",\"version\":\"1.0\",\"attackData\":{"
		"\"clientIP\":"
		"\"192.0.2.82\",\"configId\":\"14227\",\"ruleActions\":\"YWxlcnQ%3d%3bYWxlcnQ%3d\",\"rules\":"
		"\"OTUwMDAy%3b\",\"apiKey\":\"\"},\"geo\":{\"asn\":\"12271\",\"city\":\"NEWYORK\"},"
		"\"httpMessage\":{"
		"\"bytes\":34523,\"path\":\"/examples/1/\",\"query\":\"a%3D..%2F\",\"start\":1470923133.026,"
		"\"requestHeaders\":\"User-Agent%3a%20BOT\\/0.1 "
		"\\\"\xc3\xa9\\u00e9\\\"\"},\"botData\":{\"botScore\":"
		"\"99\",\"isBot\":true,\"label\":null,\"list\":[0,-1,1.5e-3,{}]}}";
	uint64_t state = 21;
	agree_with_json_c(event, sizeof event - 1);
	for (int i = 0; i < 10; i++)
		agree_around((const uint8_t *)event, sizeof event - 1, &state);
	for (size_t cut = 0; cut < sizeof event; cut++)
		agree((const uint8_t *)event, cut);
}

static unsigned agree_on_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *file = fopen(path, "rb");
	if (!file)
		SKIP("%s is not there", path);
	size_t bytes = fread(data, 1, sizeof data, file);
	uint64_t state = 23;
	unsigned lines = 0;
	fclose(file);
	agree(data, bytes);
	for (size_t at = 0; at < bytes; lines++) {
		const uint8_t *end = memchr(data + at, '\n', bytes - at);
		size_t line_bytes = end ? (size_t)(end - data) - at : bytes - at;
		struct event_fields event;
		agree_around(data + at, line_bytes, &state);
		if (control_decode(decoder, span_of(data + at, line_bytes), &event, NULL) == CONTROL_YES)
			agree_with_json_c((const char *)data + at, line_bytes);
		at += line_bytes + 1;
	}
	return lines;
}

static void recorded_responses(void)
{
	static const char *const folders[] = { "demisto", "otel-receiver", "akamai-apis",
					       "akamai-siem-connector" };
	const char *shared = getenv("AKAMAI_PROF_SHARED_DATA");
	unsigned lines = 0;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", shared ? shared : "", folders[i]);
		DIR *folder = shared ? opendir(path) : NULL;
		if (!folder)
			SKIP("no recorded responses here");
		for (struct dirent *entry; (entry = readdir(folder));) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s/%s", shared, folders[i], entry->d_name);
			lines += agree_on_file(path);
		}
		closedir(folder);
	}
	printf("# %u lines\n", lines);
	GT(lines, 0);
}

static void forced_implementation_in_lines(void)
{
	expect_forced_implementation();
}

static void each_implementation(void)
{
	run_each_implementation("_lines");
}

TEST_MAIN(T(create_for_lines), T(corner_cases_in_lines), T(integers_beyond_64_bits_in_lines),
	  T(generated_lines), T(generated_and_mutated_lines), T(nested_lines), T(block_borders_in_lines),
	  T(an_event_and_its_mutations_in_lines), T(recorded_responses), T(forced_implementation_in_lines),
	  T(each_implementation), T(destroy_after_lines))
