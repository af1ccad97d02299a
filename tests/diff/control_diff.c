/* SPDX-License-Identifier: Apache-2.0
 *
 * control against a slow strict parser that shares nothing with simdjson: recorded shapes, generated lines,
 * mutated lines, the recorded responses where they are at hand, and once more with each of simdjson's
 * implementations that this CPU runs.
 */
#define _GNU_SOURCE
#include <dirent.h>

#include "diff/control_reference.h"
#include "diff/control_scene.h"
#include "test.h"

enum { MUTATIONS = 400, GENERATED = 4000 };

static const char *const seeds[] = {
	"{\"total\":10000,\"offset\":\"71cca;3phZmEdPj6YEqml0rvbdWDZGW3mCiJI\",\"limit\":10000}",
	"{ \"total\": 6, \"offset\":\"218d9\",\"limit\": 6 }\r",
	"{ \"total\": 0, \"offset\":\"318d8\" }",
	"{\"offset\":\"a\\/"
	"b\\u003bc\\\\\\\"\\ud83d\\ude00\",\"total\":\"2\",\"limit\":null,\"x\":[1,{\"y\":[[]]}]}",
	"{\"total\":1,\"off\\u0073et\":\"k\",\"total\":2,\"limit\":\"07\"}",
	"{\"total\":-1,\"offset\":\"\",\"limit\":1.5e3,\"e\":[true,false,null,-0.0,1E+2,\"\\u0000\"]}",
	"{\"type\":\"akamai_siem\",\"format\":\"json\",\"attackData\":{\"rules\":\"\",\"offset\":\"x\","
	"\"total\":1},"
	"\"httpMessage\":{\"requestId\":\"3f\",\"start\":\"1576002513\",\"end\":1576002514.25},\"geo\":{"
	"\"asn\":\"1\"}}",
	"{\"httpMessage\":{\"timeStamp\":\"1470923133.026\",\"x\":{\"start\":5},\"start\":\"\"},\"time\":1e9,"
	"\"timestamp\":1470923134,\"eventTime\":\"00001470923133.5\",\"event_timestamp\":253402300800}",
	"{\n  \"type\": \"https://problems.cloudsecurity.akamaiapis.net/siem/v1/offset-too-old\",\n"
	"  \"title\": \"Expired\\toffset \xc2\x85 parameter\",\n  \"status\": 416,\n  \"detail\": "
	"\"\xe2\x82\xac\",\n"
	"  \"serverIp\": \"192.0.2.175\",\n  \"requestId\": \"9ab12ef\", \"errors\": [{\"type\":\"t\"}]\n}\n",
	"{}",
	" { } ",
	"[{\"total\":1,\"offset\":\"a\"}]",
};

static void agree(struct control *control, const uint8_t *line, size_t bytes)
{
	const char *what = reference_disagrees(control, line, bytes);
	if (what)
		FAIL("%s: %.*s", what, bytes > 700 ? 700 : (int)bytes, (const char *)line);
}

static struct control *new_control(void)
{
	struct control *control = control_create();
	NE(control == NULL, 1);
	return control;
}

static void shapes_and_their_prefixes(void)
{
	struct control *control = new_control();
	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
		for (size_t bytes = 0; bytes <= strlen(seeds[i]); bytes++)
			agree(control, (const uint8_t *)seeds[i], bytes);
	}
	control_destroy(control);
}

static void mutated_lines(void)
{
	struct control *control = new_control();
	static uint8_t line[LINE_BYTES_MAX];
	uint64_t state = 11;
	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
		for (int n = 0; n < MUTATIONS; n++) {
			size_t bytes = strlen(seeds[i]);
			memcpy(line, seeds[i], bytes);
			agree(control, line, mutate(line, bytes, &state));
		}
	}
	control_destroy(control);
}

struct generator {
	char line[LINE_BYTES_MAX];
	size_t bytes;
	uint64_t state;
};

static void put(struct generator *g, const char *text)
{
	size_t bytes = strlen(text);
	EQ(g->bytes + bytes <= LINE_BYTES_MAX, 1);
	memcpy(g->line + g->bytes, text, bytes);
	g->bytes += bytes;
	if (below(&g->state, 8) == 0)
		g->line[g->bytes++] = " \t\r\n"[below(&g->state, 4)];
}

/* Picks from [0, good) mostly, and from all now and then: most lines should get past their first byte. */
static size_t pick(struct generator *g, size_t good, size_t all)
{
	return below(&g->state, below(&g->state, 16) ? good : all);
}

/* A value that is right, nearly right, or wrong for the fields that control reads; the broken ones come last.
 */
static void put_value(struct generator *g)
{
	static const char *const values[] = {
		"0",
		"1",
		"600000",
		"\"12\"",
		"\"012\"",
		"-5",
		"\"-5\"",
		"1.0",
		"1e2",
		"9223372036854775807",
		"9223372036854775808",
		"\"9223372036854775808\"",
		"123456789012345678901234567890",
		"null",
		"true",
		"false",
		"\"\"",
		"\"218d9\"",
		"\"a\\u0000b\"",
		"\"\\u003b\\/\"",
		"\"\\ud834\\udd1e\"",
		"\"1491303422\"",
		"1470923133.0269",
		"\"1470923133.\"",
		"\".5\"",
		"253402300799.999",
		"\"253402300800\"",
		"\" 5\"",
		"416",
		"\"503\"",
		"600",
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\"\\t\xc2\x9b\x7f\"",
		"-0",
		"0e+05",
		"{}",
		"[]",
		"{\"a\":{}}",
		"[[1],[2,[3]]]",
		/* broken from here */
		"012",
		"nul",
		"truefalse",
		"\"\\ud800\"",
		"\"\\udc00\\ud800\"",
		"\"\\x\"",
		"\"\xff\"",
		"-",
		"1.",
		"1e",
		"1 2",
		"\"a\"\"b\"",
		"\"a\":1",
		"[1,]",
		"[,1]",
		"{\"a\":1,}",
		"{\"a\"}",
		"{1:2}",
		"[1}",
		"{\"a\":1]",
	};
	put(g, values[pick(g, 39, sizeof values / sizeof *values)]);
}

static void put_key(struct generator *g)
{
	static const char *const keys[] = {
		"\"offset\"",
		"\"total\"",
		"\"limit\"",
		"\"x\"",
		"\"\"",
		"\"off\\u0073et\"",
		"\"tot\\u0061l\"",
		"\"Offset\"",
		"\"time\"",
		"\"timestamp\"",
		"\"eventTime\"",
		"\"event_timestamp\"",
		"\"status\"",
		"\"type\"",
		"\"title\"",
		"\"detail\"",
		"\"requestId\"",
		"\"serverIp\"",
		"\"start\"",
		"\"start\"",
		"\"end\"",
		"\"timeStamp\"",
		"\"offset\\\\\"",
		"\"offset\\u0000\"",
		/* broken from here */
		"\"\\ud800\"",
		"\"k\xc3\x28\"",
		"offset",
		"5",
	};
	put(g, keys[pick(g, 24, sizeof keys / sizeof *keys)]);
}

static void put_members(struct generator *g)
{
	for (size_t n = below(&g->state, 5); n; n--) {
		put_key(g);
		put(g, ":");
		put_value(g);
		if (n > 1)
			put(g, ",");
	}
}

static void generate(struct generator *g)
{
	g->bytes = 0;
	put(g, "{");
	if (below(&g->state, 2))
		put(g, below(&g->state, 2) ? "\"total\":2,\"offset\":\"a;b\","
					   : "\"offset\":\"c\",\"total\":\"0\",");
	for (size_t n = 1 + below(&g->state, 5); n; n--) {
		put_key(g);
		put(g, ":");
		if (below(&g->state, 5) == 0) {
			put(g, "{\"in\":");
			put_value(g);
			put(g, "}");
		} else {
			put_value(g);
		}
		if (n > 1 || below(&g->state, 40) == 0)
			put(g, ",");
	}
	if (below(&g->state, 6) == 0) {
		put(g, below(&g->state, 4) ? ",\"httpMessage\":{" : ",\"attackData\":{");
		put_members(g);
		put(g, "}");
	}
	put(g, below(&g->state, 60) ? "}" : "}}");
	if (below(&g->state, 60) == 0)
		put(g, "1");
}

static void generated_lines(void)
{
	struct control *control = new_control();
	static struct generator g = { .state = 17 };
	unsigned answers[3] = { 0 };
	for (int i = 0; i < GENERATED; i++) {
		generate(&g);
		agree(control, (const uint8_t *)g.line, g.bytes);
		struct control_context context;
		answers[control_read_context(control, span_of(g.line, g.bytes), &context)]++;
	}
	printf("# %u yes, %u no, %u malformed\n", answers[0], answers[1], answers[2]);
	for (int i = 0; i < 3; i++)
		GT(answers[i], GENERATED / 50); /* the generator must reach every answer */
	control_destroy(control);
}

static void nested_lines(void)
{
	struct control *control = new_control();
	for (int depth = 0; depth < 70; depth++) {
		static uint8_t line[LINE_BYTES_MAX];
		size_t bytes = 0;
		bytes += (size_t)snprintf((char *)line, sizeof line, "{\"total\":1,\"offset\":\"a\",\"x\":");
		for (int i = 0; i < depth; i++)
			bytes += (size_t)snprintf((char *)line + bytes, sizeof line - bytes,
						  i % 3 ? "[" : "{\"k\":");
		line[bytes++] = '7';
		for (int i = depth; i-- > 0;)
			line[bytes++] = i % 3 ? ']' : '}';
		line[bytes++] = '}';
		agree(control, line, bytes);
	}
	control_destroy(control);
}

static unsigned agree_on_file(struct control *control, const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		SKIP("%s is not there", path);
	static uint8_t data[1 << 20], copy[1 << 20];
	size_t bytes = fread(data, 1, sizeof data, file);
	uint64_t state = 23;
	unsigned lines = 0;
	fclose(file);
	agree(control, data, bytes); /* whole, as a problem document would be */
	for (size_t at = 0; at < bytes; lines++) {
		const uint8_t *end = memchr(data + at, '\n', bytes - at);
		size_t line_bytes = end ? (size_t)(end - data) - at : bytes - at;
		agree(control, data + at, line_bytes);
		for (int n = 0; n < 50 && line_bytes < LINE_BYTES_MAX; n++) {
			memcpy(copy, data + at, line_bytes);
			agree(control, copy, mutate(copy, line_bytes, &state));
		}
		at += line_bytes + 1;
	}
	return lines;
}

static void each_implementation(void)
{
	run_each_implementation("_lines");
}

static void forced_implementation_in_lines(void)
{
	expect_forced_implementation();
}

static void recorded_responses(void)
{
	static const char *const folders[] = { "demisto", "otel-receiver", "akamai-apis",
					       "akamai-siem-connector" };
	const char *shared = getenv("AKAMAI_PROF_SHARED_DATA");
	unsigned lines = 0;
	struct control *control = new_control();
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", shared ? shared : "", folders[i]);
		DIR *folder = shared ? opendir(path) : NULL;
		if (!folder) {
			control_destroy(control);
			SKIP("no recorded responses here");
		}
		for (struct dirent *entry; (entry = readdir(folder));) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s/%s", shared, folders[i], entry->d_name);
			lines += agree_on_file(control, path);
		}
		closedir(folder);
	}
	printf("# %u lines\n", lines);
	GT(lines, 0);
	control_destroy(control);
}

TEST_MAIN(T(shapes_and_their_prefixes), T(mutated_lines), T(generated_lines), T(nested_lines),
	  T(forced_implementation_in_lines), T(each_implementation), T(recorded_responses))
