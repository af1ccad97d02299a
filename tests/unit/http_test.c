/* SPDX-License-Identifier: Apache-2.0
 *
 * http: every case whole, byte by byte and at every split point, with the same verdict, fields and body.
 */
#include "http/http.h"
#include "test.h"
#include "unit/http_outcome.h"

enum { EVERY_SPLIT_BYTES_MAX = 1024 };

static void same(const struct outcome *whole, struct outcome other, const char *how, size_t at)
{
	const char *difference = outcome_difference(whole, &other);
	if (difference)
		FAIL("whole against %s (%zu): %s", how, at, difference);
	free(other.body);
}

static struct outcome outcome_bytes(const void *data, size_t bytes)
{
	struct outcome whole = outcome_of(data, bytes, pieces_whole, NULL);
	same(&whole, outcome_of(data, bytes, pieces_bytes, NULL), "bytes", 1);
	for (size_t cut = 1; bytes <= EVERY_SPLIT_BYTES_MAX && cut < bytes; cut++)
		same(&whole, outcome_of(data, bytes, pieces_two, &cut), "two pieces", cut);
	for (uint64_t seed = 0; seed < 20; seed++) {
		uint64_t state = seed;
		same(&whole, outcome_of(data, bytes, pieces_random, &state), "random pieces", (size_t)seed);
	}
	return whole;
}

static struct outcome outcome_text(const char *text)
{
	return outcome_bytes(text, strlen(text));
}

#define OK(lines) "HTTP/1.1 200 OK\r\n" lines "\r\n"
#define BODY_IS(outcome, text) EQ_BYTES((outcome).body, (outcome).body_bytes, text, strlen(text))

/* Each text breaks with this fault, for every split, and says where. */
struct broken_case {
	const char *text;
	enum fault fault;
	uint64_t offset;
};

static void all_break(const struct broken_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct outcome got = outcome_text(cases[i].text);
		if (got.step != STEP_BROKEN || got.fault != cases[i].fault || got.offset != cases[i].offset)
			FAIL("case %zu \"%.200s\": step %d, %s at %" PRIu64 "; wanted %s at %" PRIu64, i,
			     cases[i].text, (int)got.step, fault_name(got.fault), got.offset,
			     fault_name(cases[i].fault), cases[i].offset);
		EQ(got.fault_ended, got.fault);
		EQ(got.keep_alive, 0);
		free(got.body);
	}
}
#define ALL_BREAK(cases) all_break(cases, sizeof(cases) / sizeof *(cases))

static void content_length(void)
{
	struct outcome got = outcome_text(OK("Content-Length: 5\r\n") "helloHTTP/1.1");
	EQ(got.step, STEP_DONE);
	EQ(got.fault_ended, FAULT_NONE);
	EQ(got.status, 200);
	EQ(got.minor_version, 1);
	EQ(got.keep_alive, 1);
	EQ(got.chunked, 0);
	EQ(got.content_length, 5);
	EQ(got.encoding, HTTP_ENCODING_IDENTITY);
	EQ(got.date_unix, -1);
	EQ(got.retry_after_seconds, -1);
	EQ_TEXT(got.content_type, "");
	EQ_TEXT(got.location, "");
	EQ(got.head_bytes, 38);
	EQ(got.consumed_bytes, 43); /* the rest belongs to the next response */
	BODY_IS(got, "hello");
	EQ(got.span_count, 1);
	free(got.body);
}

static void content_length_zero_and_duplicates(void)
{
	static const struct {
		const char *text;
		int64_t length;
	} cases[] = {
		{ OK("Content-Length: 0\r\n"), 0 },
		{ OK("content-LENGTH:3\r\n") "abc", 3 },
		{ OK("Content-Length: \t3\t \r\n") "abc", 3 },
		{ OK("Content-Length: 3\r\nContent-Length: 3\r\n") "abc", 3 },
		{ OK("Content-Length: 3, 3 ,3\r\n") "abc", 3 },
		{ OK("Content-Length: 0003\r\n") "abc", 3 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outcome got = outcome_text(cases[i].text);
		EQ(got.step, STEP_DONE);
		EQ(got.content_length, cases[i].length);
		EQ(got.body_bytes, cases[i].length);
		EQ(got.consumed_bytes, strlen(cases[i].text));
		free(got.body);
	}
	struct outcome got = outcome_text(OK("Content-Length: 9223372036854775807\r\n") "abc");
	EQ(got.step, STEP_HUNGRY);
	EQ(got.content_length, INT64_MAX);
	EQ(got.fault_ended, FAULT_HTTP_TRUNCATED_BODY);
	free(got.body);
}

static void content_length_refused(void)
{
	static const struct broken_case cases[] = {
		{ OK("Content-Length: \r\n"), FAULT_HTTP_LENGTH, 37 },
		{ OK("Content-Length: -1\r\n"), FAULT_HTTP_LENGTH, 39 },
		{ OK("Content-Length: +1\r\n"), FAULT_HTTP_LENGTH, 39 },
		{ OK("Content-Length: 0x1\r\n"), FAULT_HTTP_LENGTH, 40 },
		{ OK("Content-Length: 1 1\r\n"), FAULT_HTTP_LENGTH, 40 },
		{ OK("Content-Length: 1.0\r\n"), FAULT_HTTP_LENGTH, 40 },
		{ OK("Content-Length: 1,\r\n"), FAULT_HTTP_LENGTH, 39 },
		{ OK("Content-Length: 1,2\r\n"), FAULT_HTTP_LENGTH, 40 },
		{ OK("Content-Length: 1\r\nContent-Length: 2\r\n"), FAULT_HTTP_LENGTH, 57 },
		{ OK("Content-Length: 9223372036854775808\r\n"), FAULT_HTTP_LENGTH, 56 },
		{ OK("Content-Length: 18446744073709551621\r\n"), FAULT_HTTP_LENGTH, 57 },
		{ OK("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), FAULT_HTTP_LENGTH, 66 },
		{ OK("Transfer-Encoding: gzip\r\nContent-Length: x\r\n"), FAULT_HTTP_LENGTH, 63 },
		{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", FAULT_HTTP_LENGTH, 47 },
	};
	ALL_BREAK(cases);
}

static void head_is_known_when_the_body_is_refused(void)
{
	struct outcome got =
		outcome_text("HTTP/1.1 503 Busy\r\nContent-Encoding: br\r\nRetry-After: 7\r\n\r\nxyz");
	EQ(got.fault, FAULT_HTTP_ENCODING);
	EQ(got.head_done, 1);
	EQ(got.status, 503);
	EQ(got.retry_after_seconds, 7);
	EQ(got.keep_alive, 0);
	free(got.body);
}

static void chunked(void)
{
	struct outcome got =
		outcome_text(OK("Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n"
								  "00006 \t\r\n world\r\n"
								  "a;n=v;q=\"x;y\"\r\n0123456789\r\n"
								  "1 ;e\r\n!\r\n"
								  "0\r\n\r\nHTTP/1.1");
	EQ(got.step, STEP_DONE);
	EQ(got.chunked, 1);
	EQ(got.content_length, -1);
	EQ(got.keep_alive, 1);
	BODY_IS(got, "hello world0123456789!");
	EQ(got.span_count, 4);
	EQ(got.consumed_bytes, 115);
	free(got.body);
	got = outcome_text(OK("transfer-encoding: , ChUnKeD ,\r\n") "A\r\n0123456789\r\nb\r\n0123456789a\r\n"
								    "0;last\r\nTrailer: x\r\nOther:\r\n\r\n");
	EQ(got.step, STEP_DONE);
	BODY_IS(got, "01234567890123456789a");
	free(got.body);
}

static void chunked_broken(void)
{
#define CHUNKS OK("Transfer-Encoding: chunked\r\n") /* 47 bytes */
	static const struct broken_case cases[] = {
		{ CHUNKS "\r\n", FAULT_HTTP_CHUNK, 47 },
		{ CHUNKS "g\r\n", FAULT_HTTP_CHUNK, 47 },
		{ CHUNKS " 5\r\n", FAULT_HTTP_CHUNK, 47 },
		{ CHUNKS "-5\r\n", FAULT_HTTP_CHUNK, 47 },
		{ CHUNKS "0x5\r\n", FAULT_HTTP_CHUNK, 48 },
		{ CHUNKS "5 5\r\n", FAULT_HTTP_CHUNK, 49 },
		{ CHUNKS "5\nhello\r\n", FAULT_HTTP_CHUNK, 48 },
		{ CHUNKS "5\rhello\r\n", FAULT_HTTP_CHUNK, 49 },
		{ CHUNKS "5;a\nhello\r\n", FAULT_HTTP_CHUNK, 50 },
		{ CHUNKS "5;a\x01\r\n", FAULT_HTTP_CHUNK, 50 },
		{ CHUNKS "5;a\rb\r\n", FAULT_HTTP_CHUNK, 51 },
		{ CHUNKS "8000000000000000\r\n", FAULT_HTTP_CHUNK, 62 },
		{ CHUNKS "10000000000000005\r\n", FAULT_HTTP_CHUNK, 63 },
		{ CHUNKS "5\r\nhelloX", FAULT_HTTP_CHUNK, 55 },
		{ CHUNKS "5\r\nhello\n", FAULT_HTTP_CHUNK, 55 },
		{ CHUNKS "5\r\nhello\rX", FAULT_HTTP_CHUNK, 56 },
		{ CHUNKS "0\n", FAULT_HTTP_CHUNK, 48 },
		{ CHUNKS "0\r\n\n", FAULT_HTTP_CHUNK, 50 },
		{ CHUNKS "0\r\nTrailer: x\n\r\n", FAULT_HTTP_CHUNK, 50 },
		{ CHUNKS "0\r\nTrailer\r\n\r\n", FAULT_HTTP_CHUNK, 50 },
		{ CHUNKS "0\r\nA: b\r\n folded\r\n\r\n", FAULT_HTTP_CHUNK, 56 },
		{ CHUNKS "0\r\nA: \x7f\r\n\r\n", FAULT_HTTP_CHUNK, 50 },
	};
	ALL_BREAK(cases);
	struct outcome got = outcome_text(CHUNKS "7fffffffffffffff\r\nabc");
	EQ(got.step, STEP_HUNGRY);
	BODY_IS(got, "abc");
	EQ(got.fault_ended, FAULT_HTTP_TRUNCATED_BODY);
	free(got.body);
}

static void close_delimited(void)
{
	struct outcome got = outcome_text("HTTP/1.1 200 OK\r\n\r\nall\r\n\r\nof it");
	EQ(got.step, STEP_HUNGRY);
	EQ(got.fault_ended, FAULT_NONE);
	EQ(got.keep_alive, 0);
	EQ(got.content_length, -1);
	BODY_IS(got, "all\r\n\r\nof it");
	free(got.body);
}

static void no_body(void)
{
	static const char *const texts[] = {
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nContent-Encoding: br\r\n\r\n",
		"HTTP/1.1 204 x\r\nContent-Length: 3\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct outcome got = outcome_text(texts[i]);
		EQ(got.step, STEP_DONE);
		EQ(got.fault_ended, FAULT_NONE);
		EQ(got.keep_alive, 1);
		EQ(got.body_bytes, 0);
		EQ(got.consumed_bytes, strlen(texts[i]));
		free(got.body);
	}
}

static void interim(void)
{
	struct outcome got =
		outcome_text("HTTP/1.1 100 Continue\r\n\r\n"
			     "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: no\r\n"
			     "Transfer-Encoding: gzip\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
			     "Connection: close\r\nContent-Type: a/b\r\nRetry-After: 3\r\n\r\n" OK(
				     "Content-Length: 2\r\n") "ok");
	EQ(got.step, STEP_DONE);
	EQ(got.status, 200);
	EQ(got.keep_alive, 1);
	EQ(got.date_unix, -1);
	EQ(got.retry_after_seconds, -1);
	EQ_TEXT(got.content_type, "");
	BODY_IS(got, "ok");
	free(got.body);
	char text[1024] = "";
	for (int i = 0; i < HTTP_INTERIM_COUNT_MAX; i++)
		strcat(text, "HTTP/1.1 102 P\r\n\r\n");
	size_t interim_bytes = strlen(text);
	strcat(text, "HTTP/1.1 204 x\r\n\r\n");
	got = outcome_text(text);
	EQ(got.step, STEP_DONE);
	EQ(got.head_bytes, strlen(text));
	free(got.body);
	memcpy(text + interim_bytes, "HTTP/1.1 102", 12);
	got = outcome_text(text);
	EQ(got.fault, FAULT_HTTP_HEAD_LIMIT);
	EQ(got.head_done, 0);
	free(got.body);
}

static void interim_broken(void)
{
	static const struct broken_case cases[] = {
		{ "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", FAULT_HTTP_HEAD, 50 },
		{ "HTTP/1.1 100 Continue\r\n\r\n<html>", FAULT_HTTP_HEAD, 25 },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/2", FAULT_HTTP_HEAD, 30 },
	};
	ALL_BREAK(cases);
}

static void not_http(void)
{
	static const struct broken_case cases[] = {
		{ "X", FAULT_HTTP_NOT_HTTP, 0 },
		{ "HTTq", FAULT_HTTP_NOT_HTTP, 3 },
		{ "http/1.1 200 OK\r\n\r\n", FAULT_HTTP_NOT_HTTP, 0 },
		{ "HTTP 200", FAULT_HTTP_NOT_HTTP, 4 },
		{ "HTTP/2 200\r\n\r\n", FAULT_HTTP_NOT_HTTP, 5 },
		{ "HTTP/11 200\r\n\r\n", FAULT_HTTP_NOT_HTTP, 6 },
		{ "ICY 200 OK\r\n\r\n", FAULT_HTTP_NOT_HTTP, 0 },
		{ "\r\nHTTP/1.1 200 OK\r\n\r\n", FAULT_HTTP_NOT_HTTP, 0 },
		{ "\x15\x03\x01", FAULT_HTTP_NOT_HTTP, 0 },
		{ "SSH-2.0-OpenSSH\r\n", FAULT_HTTP_NOT_HTTP, 0 },
	};
	ALL_BREAK(cases);
}

static void status_line_broken(void)
{
	static const struct broken_case cases[] = {
		{ "HTTP/1.2 200 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.x 200 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.10 200 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1\t200 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1  200 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 20 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 2000 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 099 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 +20 OK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 200\tOK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 200 O\rK\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 200 O\x01K\r\n", FAULT_HTTP_HEAD, 0 },
		{ "HTTP/1.1 200 OK\r\r\n", FAULT_HTTP_HEAD, 0 },
	};
	ALL_BREAK(cases);
}

static void status_line_accepted(void)
{
	static const struct {
		const char *text;
		int status;
		int minor_version;
	} cases[] = {
		{ "HTTP/1.1 200\r\n\r\n", 200, 1 },
		{ "HTTP/1.1 200 \r\n\r\n", 200, 1 },
		{ "HTTP/1.0 999 \xc3\x9cnknown\tx\r\n\r\n", 999, 0 },
		{ "HTTP/1.1 404 Not Found\n\n", 404, 1 },
		{ "HTTP/1.1 500 a\nX: y\r\n\n", 500, 1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outcome got = outcome_text(cases[i].text);
		EQ(got.head_done, 1);
		EQ(got.status, cases[i].status);
		EQ(got.minor_version, cases[i].minor_version);
		EQ(got.fault_ended, FAULT_NONE);
		free(got.body);
	}
}

static void header_lines_broken(void)
{
	static const struct broken_case cases[] = {
		{ OK("Name : x\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK(": x\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("Name\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("Na me: x\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("Na(me: x\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("N\xc3\xa4me: x\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("Good: x\r\nBad: \x01\r\n"), FAULT_HTTP_HEAD, 26 },
		{ OK("Bad: \x7f\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("Bad: a\rb\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("Bad: a\r\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK(" Folded: first\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("\tFolded: first\r\n"), FAULT_HTTP_HEAD, 17 },
		{ OK("A: b\r\n c\x01\r\n"), FAULT_HTTP_HEAD, 17 },
	};
	ALL_BREAK(cases);
	static const char with_nul[] = OK("Bad: a\0b\r\n");
	struct outcome got = outcome_bytes(with_nul, sizeof with_nul - 1);
	EQ(got.fault, FAULT_HTTP_HEAD);
	EQ(got.offset, 17);
	free(got.body);
}

static void folded_lines(void)
{
	struct outcome got = outcome_text("HTTP/1.1 200 OK\r\nContent-Type: a/b;\r\n \t x=y\r\n\tz\n  \r\n"
					  "Content-Length:\r\n 2\r\nLocation:\n /x\r\n\r\nok");
	EQ(got.step, STEP_DONE);
	EQ_TEXT(got.content_type, "a/b;    x=y  z");
	EQ_TEXT(got.location, "/x");
	BODY_IS(got, "ok");
	free(got.body);
}

static void content_encoding(void)
{
	static const struct {
		const char *value;
		enum http_encoding encoding;
		enum fault fault;
	} cases[] = {
		{ "", HTTP_ENCODING_IDENTITY, FAULT_NONE },
		{ "identity", HTTP_ENCODING_IDENTITY, FAULT_NONE },
		{ "gzip", HTTP_ENCODING_GZIP, FAULT_NONE },
		{ "GZip", HTTP_ENCODING_GZIP, FAULT_NONE },
		{ "x-gzip", HTTP_ENCODING_GZIP, FAULT_NONE },
		{ ", gzip, identity", HTTP_ENCODING_GZIP, FAULT_NONE },
		{ "br", HTTP_ENCODING_GZIP, FAULT_HTTP_ENCODING },
		{ "deflate", HTTP_ENCODING_GZIP, FAULT_HTTP_ENCODING },
		{ "gzip, gzip", HTTP_ENCODING_GZIP, FAULT_HTTP_ENCODING },
		{ "gzip\r\nContent-Encoding: zstd", HTTP_ENCODING_GZIP, FAULT_HTTP_ENCODING },
		{ "gzipp", HTTP_ENCODING_GZIP, FAULT_HTTP_ENCODING },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		snprintf(text, sizeof text, OK("Content-Length: 1\r\nContent-Encoding: %s\r\n") "x",
			 cases[i].value);
		struct outcome got = outcome_text(text);
		EQ(got.fault, cases[i].fault);
		if (got.fault == FAULT_NONE)
			EQ(got.encoding, cases[i].encoding);
		free(got.body);
	}
}

static void transfer_encoding_refused(void)
{
	static const struct broken_case cases[] = {
		{ OK("Transfer-Encoding: gzip, chunked\r\n"), FAULT_HTTP_ENCODING, 53 },
		{ OK("Transfer-Encoding: chunked, gzip\r\n"), FAULT_HTTP_ENCODING, 53 },
		{ OK("Transfer-Encoding: chunked, chunked\r\n"), FAULT_HTTP_ENCODING, 56 },
		{ OK("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), FAULT_HTTP_ENCODING,
		  75 },
		{ OK("Transfer-Encoding: identity\r\n"), FAULT_HTTP_ENCODING, 48 },
		{ OK("Transfer-Encoding: xchunked\r\n"), FAULT_HTTP_ENCODING, 48 },
		{ OK("Transfer-Encoding: chunked;q=1\r\n"), FAULT_HTTP_ENCODING, 51 },
		{ OK("Transfer-Encoding: \"chunked\"\r\n"), FAULT_HTTP_ENCODING, 49 },
		{ OK("Transfer-Encoding:\r\n"), FAULT_HTTP_ENCODING, 39 },
	};
	ALL_BREAK(cases);
}

static void connection(void)
{
	static const struct {
		const char *text;
		int keep_alive;
	} cases[] = {
		{ "HTTP/1.1 204 x\r\n\r\n", 1 },
		{ "HTTP/1.1 204 x\r\nConnection: close\r\n\r\n", 0 },
		{ "HTTP/1.1 204 x\r\nconnection: x, CLOSE , y\r\n\r\n", 0 },
		{ "HTTP/1.1 204 x\r\nConnection: closed\r\n\r\n", 1 },
		{ "HTTP/1.1 204 x\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", 0 },
		{ "HTTP/1.0 204 x\r\n\r\n", 0 },
		{ "HTTP/1.0 204 x\r\nConnection: Keep-Alive\r\n\r\n", 1 },
		{ "HTTP/1.0 204 x\r\nConnection: keep-alive, close\r\n\r\n", 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outcome got = outcome_text(cases[i].text);
		EQ(got.step, STEP_DONE);
		EQ(got.keep_alive, cases[i].keep_alive);
		free(got.body);
	}
}

static void retry_after(void)
{
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	static const struct {
		const char *lines;
		int64_t seconds;
	} cases[] = {
		{ "Retry-After: 120\r\n", 120 },
		{ "Retry-After: 0\r\n", 0 },
		{ "Retry-After: 999999999999\r\n", HTTP_RETRY_AFTER_SECONDS_MAX },
		{ "Retry-After: 99999999999999999999999\r\n", HTTP_RETRY_AFTER_SECONDS_MAX },
		{ "Retry-After:\r\n", -1 },
		{ "Retry-After: soon\r\n", -1 },
		{ "Retry-After: -5\r\n", -1 },
		{ "Retry-After: 1.5\r\n", -1 },
		{ "Retry-After: 5\r\nRetry-After: 6\r\n", 5 },
		{ DATE "Retry-After: Sun, 06 Nov 1994 08:50:00 GMT\r\n", 23 },
		{ "Retry-After: Sun, 06 Nov 1994 08:50:00 GMT\r\n" DATE, 23 },
		{ DATE "Retry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n", 0 },
		{ DATE "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", HTTP_RETRY_AFTER_SECONDS_MAX },
		/* OUTCOME_NOW_UNIX is Tue, 14 Nov 2023 22:13:20 GMT */
		{ "Retry-After: Tue, 14 Nov 2023 22:14:20 GMT\r\n", 60 },
		{ "Date: x\r\nRetry-After: Tue, 14 Nov 2023 22:14:20 GMT\r\n", 60 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[256];
		snprintf(text, sizeof text, "HTTP/1.1 429 x\r\n%sContent-Length: 0\r\n\r\n", cases[i].lines);
		struct outcome got = outcome_text(text);
		EQ(got.step, STEP_DONE);
		if (got.retry_after_seconds != cases[i].seconds)
			FAIL("case %zu: %" PRId64, i, got.retry_after_seconds);
		free(got.body);
	}
	struct outcome got = outcome_text(OK(DATE "Date: Mon, 07 Nov 1994 08:49:37 GMT\r\n"));
	EQ(got.date_unix, 784111777);
	free(got.body);
}

static void copies_are_cut_and_clean(void)
{
	struct outcome got = outcome_text(OK("Content-Type: application/\xe2\x80\xa8json\tx\r\n"
					     "Content-Type: second\r\nLocation: https://h/\x9b?\r\n"));
	EQ_TEXT(got.content_type, "application/???json x");
	EQ_TEXT(got.location, "https://h/??");
	free(got.body);
	char text[HTTP_VALUE_BYTES_MAX * 2] = "HTTP/1.1 302 x\r\nLocation: /";
	size_t bytes = strlen(text);
	memset(text + bytes, 'a', HTTP_VALUE_BYTES_MAX);
	memcpy(text + bytes + HTTP_VALUE_BYTES_MAX, "\r\n\r\n", 4);
	got = outcome_bytes(text, bytes + HTTP_VALUE_BYTES_MAX + 4);
	EQ(strlen(got.location), HTTP_VALUE_BYTES_MAX - 1);
	free(got.body);
}

static void truncated(void)
{
	static const char whole[] = OK("Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n0\r\nT: x\r\n\r\n";
	for (size_t bytes = 0; bytes < sizeof whole - 1; bytes++) {
		struct outcome got = outcome_bytes(whole, bytes);
		EQ(got.step, STEP_HUNGRY);
		EQ(got.fault, FAULT_NONE);
		EQ(got.fault_ended, bytes < 47 ? FAULT_HTTP_TRUNCATED_HEAD : FAULT_HTTP_TRUNCATED_BODY);
		EQ(got.offset, bytes);
		EQ(got.head_done, bytes >= 47);
		EQ(got.keep_alive, 0);
		free(got.body);
	}
	struct outcome got = outcome_text(OK("Content-Length: 5\r\n") "hell");
	EQ(got.fault_ended, FAULT_HTTP_TRUNCATED_BODY);
	EQ(got.offset, 42);
	BODY_IS(got, "hell");
	free(got.body);
}

/* A head of exactly `bytes`, its last header line filled up. */
static char *head_of(size_t bytes)
{
	static const char start[] = "HTTP/1.1 204 x\r\nFill: ";
	char *text = malloc(bytes);
	memset(text, 'x', bytes);
	memcpy(text, start, sizeof start - 1);
	memcpy(text + bytes - 4, "\r\n\r\n", 4);
	return text;
}

static void head_limit(void)
{
	char *text = head_of(HTTP_HEAD_BYTES_MAX);
	struct outcome got = outcome_bytes(text, HTTP_HEAD_BYTES_MAX);
	EQ(got.step, STEP_DONE);
	EQ(got.head_bytes, HTTP_HEAD_BYTES_MAX);
	free(got.body);
	free(text);
	/* One more, as the end of the line, of the head, or of neither. */
	for (size_t over = 1; over <= 5; over++) {
		text = head_of(HTTP_HEAD_BYTES_MAX + over);
		got = outcome_bytes(text, HTTP_HEAD_BYTES_MAX + over);
		EQ(got.step, STEP_BROKEN);
		EQ(got.fault, FAULT_HTTP_HEAD_LIMIT);
		EQ(got.offset, HTTP_HEAD_BYTES_MAX);
		free(got.body);
		/* Malformed too, but behind the limit. */
		text[HTTP_HEAD_BYTES_MAX + over - 1] = 1;
		got = outcome_bytes(text, HTTP_HEAD_BYTES_MAX + over);
		EQ(got.fault, FAULT_HTTP_HEAD_LIMIT);
		free(got.body);
		free(text);
	}
	text = head_of(HTTP_HEAD_BYTES_MAX + 9);
	memset(text + 12, 'r', HTTP_HEAD_BYTES_MAX - 12);
	text[12] = ' ';
	got = outcome_bytes(text, HTTP_HEAD_BYTES_MAX + 9); /* all of it the status line */
	EQ(got.fault, FAULT_HTTP_HEAD_LIMIT);
	free(got.body);
	free(text);
}

static void header_count_limit(void)
{
	char text[4096] = "HTTP/1.1 204 x\r\n";
	for (int i = 0; i < HTTP_HEADER_COUNT_MAX; i++)
		strcat(text, "N: v\r\n");
	size_t bytes = strlen(text);
	strcat(text, "\r\n");
	struct outcome got = outcome_text(text);
	EQ(got.step, STEP_DONE);
	free(got.body);
	strcpy(text + bytes, "N: v\r\n\r\n");
	got = outcome_text(text);
	EQ(got.fault, FAULT_HTTP_HEAD_LIMIT);
	EQ(got.offset, bytes);
	free(got.body);
}

/* start, `fill` bytes of "x", end: the number of bytes; the text lasts until the next call. */
static struct outcome filled(const char *start, size_t fill, const char *end)
{
	size_t start_bytes = strlen(start), end_bytes = strlen(end);
	char *text = malloc(start_bytes + fill + end_bytes);
	memcpy(text, start, start_bytes);
	memset(text + start_bytes, 'x', fill);
	memcpy(text + start_bytes + fill, end, end_bytes);
	struct outcome got = outcome_bytes(text, start_bytes + fill + end_bytes);
	free(text);
	return got;
}

static void chunk_limits(void)
{
	struct outcome got = filled(CHUNKS "0;", HTTP_CHUNK_LINE_BYTES_MAX - 4, "\r\n\r\n");
	EQ(got.step, STEP_DONE);
	free(got.body);
	got = filled(CHUNKS "0;", HTTP_CHUNK_LINE_BYTES_MAX - 3, "\r\n\r\n");
	EQ(got.fault, FAULT_HTTP_CHUNK);
	EQ(got.offset, 47 + HTTP_CHUNK_LINE_BYTES_MAX);
	free(got.body);
	got = filled(CHUNKS "1\r\nx\r\n1;", HTTP_CHUNK_LINE_BYTES_MAX - 3, "\r\nx\r\n0\r\n\r\n");
	EQ(got.fault, FAULT_HTTP_CHUNK);
	EQ(got.offset, 53 + HTTP_CHUNK_LINE_BYTES_MAX);
	free(got.body);
	got = filled(CHUNKS "0\r\nT: ", HTTP_TRAILER_BYTES_MAX - 7, "\r\n\r\n");
	EQ(got.step, STEP_DONE);
	free(got.body);
	got = filled(CHUNKS "0\r\nT: ", HTTP_TRAILER_BYTES_MAX - 6, "\r\n\r\n");
	EQ(got.fault, FAULT_HTTP_CHUNK);
	EQ(got.offset, 50 + HTTP_TRAILER_BYTES_MAX);
	free(got.body);
}

static void large_body_comes_in_large_spans(void)
{
	size_t body_bytes = 1 << 20;
	struct outcome got = filled(OK("Content-Length: 1048576\r\n"), body_bytes, "next");
	EQ(got.step, STEP_DONE);
	EQ(got.body_bytes, body_bytes);
	EQ(got.span_count, 1);
	free(got.body);
	got = filled(CHUNKS "100000\r\n", body_bytes, "\r\n0\r\n\r\n");
	EQ(got.step, STEP_DONE);
	EQ(got.span_count, 1);
	free(got.body);
}

static void one_object_many_responses(void)
{
	static const char text[] =
		OK("Content-Length: 2\r\nConnection: keep-alive\r\n") "ab" CHUNKS "1\r\nc\r\n0\r\n\r\n"
								      "HTTP/1.0 200 OK\r\n\r\nrest";
	struct cursor_in in = { .next = (const uint8_t *)text,
				.end = (const uint8_t *)text + sizeof text - 1 };
	struct http_response *response = malloc(sizeof *response);
	struct span body;
	http_response_begin(response, 0);
	EQ(http_response_push(response, &in, &body), STEP_HUNGRY);
	EQ_BYTES(body.base, body.bytes, "ab", 2);
	EQ(http_response_push(response, &in, &body), STEP_DONE);
	EQ(body.bytes, 0);
	EQ(http_response_push(response, &in, &body), STEP_DONE); /* sticky, and takes nothing */
	EQ(response->keep_alive, 1);
	http_response_begin(response, 0);
	EQ(http_head_done(response), 0);
	EQ(http_response_push(response, &in, &body), STEP_HUNGRY);
	EQ_BYTES(body.base, body.bytes, "c", 1);
	EQ(http_response_push(response, &in, &body), STEP_DONE);
	http_response_begin(response, 0);
	EQ(http_response_push(response, &in, &body), STEP_HUNGRY);
	EQ_BYTES(body.base, body.bytes, "rest", 4);
	EQ(http_response_push(response, &in, &body), STEP_HUNGRY);
	EQ(body.bytes, 0);
	EQ(http_response_end(response), FAULT_NONE);
	EQ(http_response_push(response, &in, &body), STEP_DONE);
	EQ(http_response_end(response), FAULT_NONE);
	free(response);
}

static void broken_is_sticky(void)
{
	static const uint8_t text[] = "junkHTTP/1.1 200 OK\r\n\r\n";
	struct cursor_in in = { .next = text, .end = text + sizeof text - 1 };
	struct http_response *response = malloc(sizeof *response);
	struct span body;
	http_response_begin(response, 0);
	for (int i = 0; i < 3; i++) {
		EQ(http_response_push(response, &in, &body), STEP_BROKEN);
		EQ(in.next == text, 1);
	}
	EQ(http_response_end(response), FAULT_HTTP_NOT_HTTP);
	in.next = in.end = NULL; /* an empty input is allowed at any time */
	EQ(http_response_push(response, &in, &body), STEP_BROKEN);
	http_response_begin(response, 0);
	EQ(http_response_push(response, &in, &body), STEP_HUNGRY);
	EQ(http_response_end(response), FAULT_HTTP_TRUNCATED_HEAD);
	EQ(http_response_push(response, &in, &body), STEP_BROKEN);
	free(response);
}

static void header_lines_are_seen(void)
{
	struct outcome got = outcome_text("HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n"
					  "HTTP/1.1 200 OK\r\nLINK: \t</b>; rel=\"next\" \r\nX-Empty:\r\n"
					  "Link: </c>\r\nContent-Length: 0\r\nX-Fold: a\r\n\tb\r\n\r\n");
	EQ(got.step, STEP_DONE);
	EQ(got.line_count, 5);
	got.lines[got.lines_bytes] = 0;
	EQ_TEXT(got.lines, "link:</b>; rel=\"next\"\nx-empty:\nlink:</c>\ncontent-length:0\nx-fold:a \tb\n");
	free(got.body);
	/* A line that is none is not shown, and neither is anything behind it. */
	got = outcome_text(OK("A: 1\r\nB 2\r\nC: 3\r\n"));
	EQ(got.fault, FAULT_HTTP_HEAD);
	EQ(got.line_count, 1);
	free(got.body);
}

static void bodiless_statuses_end_with_the_head(void)
{
	static const char *const texts[] = {
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"x\"\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct outcome got = outcome_text(texts[i]);
		EQ(got.step, STEP_DONE);
		EQ(got.keep_alive, 1);
		EQ(got.body_bytes, 0);
		EQ(got.consumed_bytes, strlen(texts[i]));
		free(got.body);
	}
}

TEST_MAIN(T(content_length), T(content_length_zero_and_duplicates), T(content_length_refused),
	  T(head_is_known_when_the_body_is_refused), T(chunked), T(chunked_broken), T(close_delimited),
	  T(no_body), T(interim), T(interim_broken), T(not_http), T(status_line_broken),
	  T(status_line_accepted), T(header_lines_broken), T(folded_lines), T(content_encoding),
	  T(transfer_encoding_refused), T(connection), T(retry_after), T(copies_are_cut_and_clean),
	  T(truncated), T(head_limit), T(header_count_limit), T(chunk_limits),
	  T(large_body_comes_in_large_spans), T(one_object_many_responses), T(broken_is_sticky),
	  T(header_lines_are_seen), T(bodiless_statuses_end_with_the_head))
