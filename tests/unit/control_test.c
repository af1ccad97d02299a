/* SPDX-License-Identifier: Apache-2.0
 *
 * What control says of context lines, event times and problem documents, and that it takes no memory after
 * control_create() and survives its being short.
 */
#define _GNU_SOURCE
#include <malloc.h>

#include "control/control.h"
#include "test.h"
#include "unit/count_new.h"

static struct control *control; /* created by the first test, destroyed by the last */

static enum control_answer context_of(const char *line, struct control_context *ret_context)
{
	return control_read_context(control, span_of_text(line), ret_context);
}

static void context_is(const char *line, int64_t total, const char *offset, int64_t limit)
{
	struct control_context context;
	memset(&context, 0x5a, sizeof context);
	EQ(context_of(line, &context), CONTROL_YES);
	EQ(context.total, total);
	EQ(context.limit, limit);
	EQ_TEXT(context.offset, offset);
	EQ(context.offset_bytes, strlen(offset));
}

static void context_answers(const char *line, enum control_answer answer)
{
	static struct control_context context, untouched;
	memset(&context, 0x5a, sizeof context);
	memset(&untouched, 0x5a, sizeof untouched);
	enum control_answer got = context_of(line, &context);
	if (got != answer)
		FAIL("%s: %d, wanted %d", line, got, answer);
	EQ(memcmp(&context, &untouched, sizeof context), 0);
}

static void creates(void)
{
	control = control_create();
	NE(control == NULL, 1);
	printf("# simdjson runs as %s\n", control_implementation_name());
	NE(strcmp(control_implementation_name(), ""), 0);
}

static void reads_context_shapes(void)
{
	context_is("{\"total\":10000,\"offset\":\"71cca;3phZ-N_0C\",\"limit\":10000}", 10000,
		   "71cca;3phZ-N_0C", 10000);
	context_is("{ \"total\": 6, \"offset\":\"218d9\",\"limit\": 6 }", 6, "218d9", 6);
	context_is("{ \"total\": 0, \"offset\":\"318d8\" }", 0, "318d8", -1);
	context_is("{\"offset\":\"e.n-c\",\"total\":2,\"limit\":10000}", 2, "e.n-c", 10000);
	context_is("{\"limit\":null,\"offset\":\"a\",\"total\":2}", 2, "a", -1);
	context_is("{\"total\":\"2\",\"limit\":\"600000\",\"offset\":\"a\"}", 2, "a", 600000);
	context_is(" \t{\"total\":2,\"offset\":\"a\"} \r", 2, "a", -1);
	context_is("{\n  \"total\" : 2,\n  \"offset\" : \"a\"\n}\n", 2, "a", -1);
	context_is("{\"total\":9223372036854775807,\"offset\":\"a\"}", INT64_MAX, "a", -1);
}

static void reads_context_among_other_keys(void)
{
	context_is("{\"a\":[{\"total\":7},[[]],{}],\"total\":2,\"b\":{\"offset\":9},\"offset\":\"o\",\"c\":"
		   "1e400}",
		   2, "o", -1);
	context_is("{\"total\":2,\"offset\":\"o\",\"x\":123456789012345678901234567890,\"y\":-0.5E-3,\"z\":"
		   "false}",
		   2, "o", -1);
	context_is("{\"total\":2,\"offset\":\"attackData\",\"in\":{\"attackData\":{},\"httpMessage\":1}}", 2,
		   "attackData", -1);
}

static void unescapes_the_offset(void)
{
	context_is("{\"total\":2,\"offset\":\"a\\/b\\u003bc\\\\\\\"\"}", 2, "a/b;c\\\"", -1);
	context_is("{\"t\\u006ftal\":2,\"\\u006fffset\":\"\\ud83d\\ude00\"}", 2, "\xf0\x9f\x98\x80", -1);
	context_answers("{\"total\":2,\"offset\":\"a\\u0000b\"}", CONTROL_MALFORMED);
	context_answers("{\"total\":2,\"offset\":\"a\\ud83db\"}", CONTROL_MALFORMED);
	context_answers("{\"total\":2,\"offset\":\"a\\xb\"}", CONTROL_MALFORMED);
	/* a key that only begins like one */
	context_answers("{\"total\":2,\"offset\\u0000\":\"a\"}", CONTROL_NO);
}

static void last_of_duplicate_keys_counts(void)
{
	context_is("{\"total\":1,\"offset\":\"a\",\"total\":2,\"offset\":\"b\",\"limit\":5,\"limit\":null}",
		   2, "b", -1);
	context_is("{\"total\":-1,\"total\":2,\"offset\":7,\"offset\":\"b\"}", 2, "b", -1);
	context_answers("{\"total\":2,\"total\":-1,\"offset\":\"b\"}", CONTROL_MALFORMED);
}

static void impossible_values_are_malformed(void)
{
	static const char *const lines[] = {
		"{\"total\":-1,\"offset\":\"a\"}",
		"{\"total\":-0,\"offset\":\"a\"}",
		"{\"total\":1.0,\"offset\":\"a\"}",
		"{\"total\":1e3,\"offset\":\"a\"}",
		"{\"total\":9223372036854775808,\"offset\":\"a\"}",
		"{\"total\":\"\",\"offset\":\"a\"}",
		"{\"total\":\" 1\",\"offset\":\"a\"}",
		"{\"total\":\"01\",\"offset\":\"a\"}",
		"{\"total\":null,\"offset\":\"a\"}",
		"{\"total\":[1],\"offset\":\"a\"}",
		"{\"total\":true,\"offset\":\"a\"}",
		"{\"total\":1,\"offset\":\"\"}",
		"{\"total\":1,\"offset\":null}",
		"{\"total\":1,\"offset\":5}",
		"{\"total\":1,\"offset\":{\"a\":1}}",
		"{\"total\":1,\"offset\":\"a\",\"limit\":-1}",
		"{\"total\":1,\"offset\":\"a\",\"limit\":\"x\"}",
		"{\"total\":1,\"offset\":\"a\",\"limit\":{}}",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		context_answers(lines[i], CONTROL_MALFORMED);
}

static void broken_lines_are_malformed(void)
{
	static const char *const lines[] = {
		"",
		" ",
		"5",
		"[]",
		"\"total\"",
		"{",
		"}",
		"{\"total\":1,\"offset\":\"a\"",
		"{\"total\":1,\"offset\":\"a}",
		"{\"total\":1,\"offset\":\"a\"}}",
		"{\"total\":1,\"offset\":\"a\"}1",
		"{\"total\":1,\"offset\":\"a\"} {}",
		"{\"total\":1,\"offset\":\"a\"},",
		"{\"total\":1,\"offset\":\"a\",}",
		"{\"total\":1,,\"offset\":\"a\"}",
		"{\"total\":1 \"offset\":\"a\"}",
		"{\"total\" 1,\"offset\":\"a\"}",
		"{\"total\":01,\"offset\":\"a\"}",
		"{\"total\":+1,\"offset\":\"a\"}",
		"{\"total\":1,\"offset\":\"a\":\"b\"}",
		"{\"total\":1,\"offset\":\"a\"\"b\"}",
		"{\"total\":1,\"offset\":\"a\",x:1}",
		"{\"total\":1,\"offset\":\"a\",'x':1}",
		"{\"total\":1,\"offset\":\"a\",\"x\":[1,2}",
		"{\"total\":1,\"offset\":\"a\",\"x\":[1,]}",
		"{\"total\":1,\"offset\":\"a\",\"x\":{\"y\":}}",
		"{\"total\":1,\"offset\":\"a\",\"x\":nul}",
		"{\"total\":1,\"offset\":\"a\",\"x\":NaN}",
		"{\"total\":1,\"offset\":\"a\",\"x\":1.}",
		"{\"total\":1,\"offset\":\"a\",\"x\":\"\\q\"}",
		"{\"total\":1,\"offset\":\"a\",\"x\":\"\t\"}",
		"{\"total\":1,\"offset\":\"a\",\"x\":\"\xff\"}",
		"{\"total\":1,\"offset\":\"a\xc0\xaf\"}",
		"{\"total\":1,\"offset\":\"\xed\xa0\x80\"}",
		"\xef\xbb\xbf{\"total\":1,\"offset\":\"a\"}",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		context_answers(lines[i], CONTROL_MALFORMED);
	struct control_context context;
	EQ(control_read_context(control, span_of(NULL, 0), &context), CONTROL_MALFORMED);
	EQ(control_read_context(control, span_of("{\"total\":1,\"offset\":\"a\"}\0", 25), &context),
	   CONTROL_MALFORMED);
}

static void other_lines_are_no_context(void)
{
	static const char *const lines[] = {
		"{}",
		"{\"total\":1}",
		"{\"offset\":\"a\",\"limit\":5}",
		"{\"Total\":1,\"offset\":\"a\"}",
		"{\"context\":{\"total\":1,\"offset\":\"a\"}}",
		"{\"type\":\"akamai_siem\",\"attackData\":{\"configId\":\"1\"},\"total\":1,\"offset\":\"a\"}",
		"{\"total\":1,\"offset\":\"a\",\"httpMessage\":{\"start\":\"1\"}}",
		"{\"total\":1,\"offset\":\"a\",\"httpMess\\u0061ge\":null}",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		context_answers(lines[i], CONTROL_NO);
}

static void every_prefix_of_a_context_is_malformed(void)
{
	static const char line[] =
		"{\"total\":12,\"offset\":\"71cca;3ph\\u003bZ\",\"limit\":10,\"x\":{\"y\":[1,true]}}";
	char prefix[sizeof line];
	for (size_t bytes = 0; bytes < sizeof line - 1; bytes++) {
		memcpy(prefix, line, bytes);
		prefix[bytes] = 0;
		context_answers(prefix, CONTROL_MALFORMED);
	}
	context_is(line, 12, "71cca;3ph;Z", 10);
}

static void offset_and_line_limits(void)
{
	static char line[CONTROL_CONTEXT_BYTES_MAX + 100], offset[CONTROL_OFFSET_BYTES_MAX + 2];
	memset(offset, 'o', CONTROL_OFFSET_BYTES_MAX);
	snprintf(line, sizeof line, "{\"total\":1,\"offset\":\"%s\"}", offset);
	struct control_context context;
	EQ(context_of(line, &context), CONTROL_YES);
	EQ(context.offset_bytes, CONTROL_OFFSET_BYTES_MAX);
	EQ_TEXT(context.offset, offset);
	offset[CONTROL_OFFSET_BYTES_MAX] = 'o';
	snprintf(line, sizeof line, "{\"total\":1,\"offset\":\"%s\"}", offset);
	context_answers(line, CONTROL_MALFORMED);

	size_t bytes = (size_t)snprintf(line, sizeof line, "{\"total\":1,\"offset\":\"a\"}");
	memset(line + bytes, ' ', sizeof line - bytes);
	EQ(control_read_context(control, span_of(line, CONTROL_CONTEXT_BYTES_MAX), &context), CONTROL_YES);
	EQ(control_read_context(control, span_of(line, CONTROL_CONTEXT_BYTES_MAX + 1), &context), CONTROL_NO);
}

static void time_is(const char *line, int64_t unix_ms)
{
	int64_t got_ms = -7;
	enum control_answer answer = control_read_event_time(control, span_of_text(line), &got_ms);
	if (answer != CONTROL_YES || got_ms != unix_ms)
		FAIL("%s: answer %d, %lld ms", line, answer, (long long)got_ms);
}

static void time_answers(const char *line, enum control_answer answer)
{
	int64_t got_ms = -7;
	enum control_answer got = control_read_event_time(control, span_of_text(line), &got_ms);
	if (got != answer || got_ms != -7)
		FAIL("%s: answer %d, %lld ms", line, got, (long long)got_ms);
}

static void reads_event_start(void)
{
	time_is("{\"httpMessage\":{\"start\":\"1491303422\"}}", 1491303422000);
	time_is("{\"httpMessage\":{\"start\":1491303422}}", 1491303422000);
	time_is("{\"httpMessage\":{\"start\":\"1470923133.026\"}}", 1470923133026);
	time_is("{\"httpMessage\":{\"start\":1470923133.02699}}", 1470923133026);
	time_is("{\"httpMessage\":{\"start\":\"1470923133.5\"}}", 1470923133500);
	time_is("{\"httpMessage\":{\"start\":\"0\"}}", 0);
	time_is("{\"httpMessage\":{\"start\":\"253402300799.999\"}}", 253402300799999);
	time_is("{\"httpMessage\":{\"st\\u0061rt\":\"14913034\\u00322\"}}", 1491303422000);
	time_is(" {\"time\":9,\"attackData\":{\"rules\":[1,{\"httpMessage\":{\"start\":3}}],\"start\":4},\n"
		"\"httpMessage\" : {\"a\":[{\"start\":5}],\"end\":8,\"start\" : \"6\"},\"timestamp\":7}\r",
		6000);
}

static void reads_other_event_times(void)
{
	time_is("{\"timestamp\":\"5\",\"time\":6,\"eventTime\":\"7.25\",\"event_timestamp\":4}", 7250);
	time_is("{\"httpMessage\":{\"end\":\"8\",\"timeStamp\":\"9\"},\"time\":6}", 9000);
	time_is("{\"httpMessage\":{\"timestamp\":\"9\",\"time\":9,\"end\":1},\"time\":6}", 6000);
	time_is("{\"httpMessage\":\"none\",\"timeStamp\":9,\"end\":9,\"time\":6}", 6000);
	time_is("{\"httpMessage\":{\"start\":\"\",\"end\":3}}", 3000);
	time_is("{\"httpMessage\":{\"start\":null},\"time\":[5],\"eventTime\":2}", 2000);
}

static void no_event_time(void)
{
	static const char *const values[] = {
		"\"\"",
		"\"-1\"",
		"-1",
		"\"1.\"",
		"\".5\"",
		"\" 1\"",
		"\"1 \"",
		"1e9",
		"\"1e9\"",
		"\"0x10\"",
		"null",
		"true",
		"{\"start\":5}",
		"[5]",
		"253402300800",
		"\"253402300800\"",
		"99999999999999999999999999",
		"\"1491303422000\"",
		"\"2023-06-20T15:02:30Z\"",
		"\"1.5.5\"",
		"\"1,5\"",
	};
	char line[200];
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		snprintf(line, sizeof line, "{\"httpMessage\":{\"start\":%s,\"end\":%s},\"time\":%s}",
			 values[i], values[i], values[i]);
		time_answers(line, CONTROL_NO);
	}
	time_answers("{}", CONTROL_NO);
	time_answers("{\"start\":\"5\"}", CONTROL_NO);
	time_answers("{\"total\":1,\"offset\":\"a\"}", CONTROL_NO);
	time_answers("", CONTROL_MALFORMED);
	time_answers("[{\"time\":5}]", CONTROL_MALFORMED);
	time_answers("{\"time\":5", CONTROL_MALFORMED);
	time_answers("{\"httpMessage\":{\"start\":\"5}}", CONTROL_MALFORMED);
	time_answers("{\"httpMessage\":{\"start\" 5}}", CONTROL_MALFORMED);
	time_answers("{\"time\":05}", CONTROL_MALFORMED);
	time_answers("{\"time\":5}}", CONTROL_MALFORMED);
}

static void event_line_limit(void)
{
	char *line = malloc(CONTROL_EVENT_BYTES_MAX + 1);
	int64_t unix_ms = -7;
	memset(line, ' ', CONTROL_EVENT_BYTES_MAX + 1);
	memcpy(line, "{\"time\":5}", 10);
	EQ(control_read_event_time(control, span_of(line, CONTROL_EVENT_BYTES_MAX), &unix_ms), CONTROL_YES);
	EQ(unix_ms, 5000);
	EQ(control_read_event_time(control, span_of(line, CONTROL_EVENT_BYTES_MAX + 1), &unix_ms),
	   CONTROL_NO);
	/* the densest line there is: every byte begins a token */
	memset(line, '[', CONTROL_EVENT_BYTES_MAX);
	line[0] = '{';
	EQ(control_read_event_time(control, span_of(line, CONTROL_EVENT_BYTES_MAX), &unix_ms),
	   CONTROL_MALFORMED);
	/* and the one that needs the most string buffer */
	memset(line, '\\', CONTROL_EVENT_BYTES_MAX);
	memcpy(line, "{\"time\":\"", 9);
	memcpy(line + CONTROL_EVENT_BYTES_MAX - 3, "5\"}", 3);
	EQ(control_read_event_time(control, span_of(line, CONTROL_EVENT_BYTES_MAX), &unix_ms),
	   CONTROL_EVENT_BYTES_MAX % 2 ? CONTROL_MALFORMED : CONTROL_NO);
	free(line);
}

static void reads_problems(void)
{
	struct control_problem problem;
	EQ(control_read_problem(
		   control,
		   span_of_text("{\n  \"type\": \"https://problems/siem/v1/offset-too-old\",\n"
				"  \"title\": \"Expired\",\n  \"instance\": \"https://h/siem\",\n"
				"  \"detail\": \"Expired \\\"offset\\\"\",\n  \"method\": \"GET\",\n"
				"  \"serverIp\": \"192.0.2.175\",\n  \"requestId\": \"9ab12ef\",\n"
				"  \"requestTime\": \"2023-06-20T15:02:30Z\"\n}\n"),
		   &problem),
	   CONTROL_YES);
	EQ(problem.status, 0);
	EQ_TEXT(problem.type, "https://problems/siem/v1/offset-too-old");
	EQ_TEXT(problem.title, "Expired");
	EQ_TEXT(problem.detail, "Expired \"offset\"");
	EQ_TEXT(problem.request_id, "9ab12ef");
	EQ_TEXT(problem.server_ip, "192.0.2.175");
	EQ(control_read_problem(
		   control,
		   span_of_text(
			   "{\"type\":\"https://problems.luna.akamaiapis.net/-/pep-authn/request-error\","
			   "\"title\":\"Bad request\",\"status\":400,\"detail\":\"Invalid timestamp\","
			   "\"instance\":\"https://h/"
			   "x\",\"authzRealm\":null,\"errors\":[{\"title\":\"z\"}]}"),
		   &problem),
	   CONTROL_YES);
	EQ(problem.status, 400);
	EQ_TEXT(problem.title, "Bad request");
	EQ_TEXT(problem.detail, "Invalid timestamp");
	EQ_TEXT(problem.request_id, "");
	EQ_TEXT(problem.server_ip, "");
}

static void problem_fields_of_wrong_type_are_skipped(void)
{
	struct control_problem problem;
	EQ(control_read_problem(
		   control,
		   span_of_text("{\"type\":5,\"title\":null,\"detail\":[\"x\"],\"status\":\"503\","
				"\"requestId\":{\"a\":1},\"serverIp\":true}"),
		   &problem),
	   CONTROL_YES);
	EQ(problem.status, 503);
	EQ_TEXT(problem.type, "");
	EQ_TEXT(problem.title, "");
	EQ_TEXT(problem.detail, "");
	EQ_TEXT(problem.request_id, "");
	EQ_TEXT(problem.server_ip, "");
	static const char *const statuses[] = { "99",	 "600",	     "-400", "4e2",
						"400.0", "\"four\"", "null", "[400]" };
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		char body[100];
		snprintf(body, sizeof body, "{\"status\":%s,\"title\":\"t\"}", statuses[i]);
		EQ(control_read_problem(control, span_of_text(body), &problem), CONTROL_YES);
		EQ(problem.status, 0);
	}
}

static void no_problem(void)
{
	static struct control_problem problem, untouched;
	memset(&problem, 0x5a, sizeof problem);
	memset(&untouched, 0x5a, sizeof untouched);
	EQ(control_read_problem(control, span_of_text("{\"message\":\"no\",\"title\":5}"), &problem),
	   CONTROL_NO);
	EQ(control_read_problem(control, span_of_text("<html>502 Bad Gateway</html>"), &problem),
	   CONTROL_MALFORMED);
	EQ(control_read_problem(control, span_of_text(""), &problem), CONTROL_MALFORMED);
	EQ(control_read_problem(control, span_of_text("{\"title\":\"x\",\"detail\":\"cut"), &problem),
	   CONTROL_MALFORMED);
	EQ(memcmp(&problem, &untouched, sizeof problem), 0);
}

static void problem_texts_are_cut_and_cleaned(void)
{
	struct control_problem problem;
	char body[2000], long_text[CONTROL_PROBLEM_TEXT_BYTES_MAX + 1];
	memset(long_text, 'x', sizeof long_text);
	EQ(control_read_problem(
		   control,
		   span_of_text("{\"title\":\"a\\u001b[2J\\n\\u0000\x7f\xc2\x9b\xc2\xa0\xc3\xa9\\u0085z\"}"),
		   &problem),
	   CONTROL_YES);
	EQ_TEXT(problem.title, "a [2J    \xc2\xa0\xc3\xa9 z");
	for (int fit = 506; fit <= 511; fit++) { /* characters of one to four bytes across the end */
		static const char *const tails[] = { "y", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
		for (size_t tail_bytes = 1; tail_bytes <= 4; tail_bytes++) {
			snprintf(body, sizeof body, "{\"detail\":\"%.*s%s\"}", fit, long_text,
				 tails[tail_bytes - 1]);
			EQ(control_read_problem(control, span_of_text(body), &problem), CONTROL_YES);
			size_t want = (size_t)fit + tail_bytes < CONTROL_PROBLEM_TEXT_BYTES_MAX
					      ? (size_t)fit + tail_bytes
					      : (size_t)fit;
			EQ(strlen(problem.detail), want);
		}
	}
}

/* Lines end at arbitrary places of a buffer: what lies behind must not matter. */
static void bytes_behind_the_line_do_not_matter(void)
{
	struct control_context context;
	int64_t unix_ms;
	static const char buffer[] = "{\"total\":1,\"offset\":\"a\",\"x\":12}}}\"1";
	size_t bytes = strlen("{\"total\":1,\"offset\":\"a\",\"x\":12}");
	EQ(control_read_context(control, span_of(buffer, bytes), &context), CONTROL_YES);
	EQ(control_read_context(control, span_of(buffer, bytes - 1), &context), CONTROL_MALFORMED);
	EQ(control_read_context(control, span_of(buffer, bytes + 1), &context), CONTROL_MALFORMED);
	/* nor what an earlier, longer line left in the object */
	EQ(control_read_event_time(control, span_of_text("{\"a\":{\"b\":{\"c\":[1,2,3]}},\"time\":5}}}}}}}"),
				   &unix_ms),
	   CONTROL_MALFORMED);
	EQ(control_read_event_time(control, span_of_text("{\"a\":{\"b\":1}"), &unix_ms), CONTROL_MALFORMED);
}

static void takes_no_memory_after_create(void)
{
	static const char start[] = "{\"\\u0061\":[\"\\n\"],\"title\":\"\\t\",\"time\":\"5\"}";
	static char line[CONTROL_EVENT_BYTES_MAX];
	struct control_context context;
	struct control_problem problem;
	int64_t unix_ms;
	memset(line, ' ', sizeof line);
	memcpy(line, start, sizeof start - 1);

	long before = new_count;
	size_t heap_bytes = mallinfo2().uordblks;
	for (size_t bytes = sizeof start - 1; bytes <= sizeof line; bytes = bytes * 2) {
		control_read_context(control, span_of(line, bytes), &context);
		EQ(control_read_event_time(control, span_of(line, bytes), &unix_ms), CONTROL_YES);
		EQ(control_read_problem(control, span_of(line, bytes), &problem), CONTROL_YES);
		EQ(control_read_problem(control, span_of(line, 20), &problem), CONTROL_MALFORMED);
	}
	EQ(control_read_event_time(control, span_of(line, sizeof line), &unix_ms), CONTROL_YES);
	NE(strlen(control_implementation_name()), 0);
	EQ(mallinfo2().uordblks, heap_bytes);
	EQ(new_count, before);
}

static void survives_short_memory(void)
{
	int failures = 0;
	for (long at = 0;; at++) {
		new_count = 0;
		new_fail_at = at;
		struct control *other = control_create();
		new_fail_at = -1;
		if (new_count <= at) { /* nothing was refused */
			NE(other == NULL, 1);
			control_destroy(other);
			break;
		}
		EQ(other == NULL, 1);
		failures++;
	}
	printf("# %d allocations, each refused once\n", failures);
	GT(failures, 2); /* the counting works */
}

static void destroys(void)
{
	control_destroy(control);
	control_destroy(NULL);
	control = NULL;
}

TEST_MAIN(T(creates), T(reads_context_shapes), T(reads_context_among_other_keys), T(unescapes_the_offset),
	  T(last_of_duplicate_keys_counts), T(impossible_values_are_malformed), T(broken_lines_are_malformed),
	  T(other_lines_are_no_context), T(every_prefix_of_a_context_is_malformed), T(offset_and_line_limits),
	  T(reads_event_start), T(reads_other_event_times), T(no_event_time), T(event_line_limit),
	  T(reads_problems), T(problem_fields_of_wrong_type_are_skipped), T(no_problem),
	  T(problem_texts_are_cut_and_cleaned), T(bytes_behind_the_line_do_not_matter),
	  T(takes_no_memory_after_create), T(survives_short_memory), T(destroys))
