/* SPDX-License-Identifier: Apache-2.0
 *
 * http: requests, byte for byte, at every size of room; and what is refused.
 */
#include "http/http.h"
#include "test.h"

/* Without a body, as GET. */
static size_t get_write(const char *host, const char *target, const struct http_header *headers,
			size_t header_count, char *out, size_t out_bytes)
{
	struct http_request request = {
		.method = "GET",
		.host = host,
		.target = target,
		.headers = headers,
		.header_count = header_count,
	};
	return http_request_write(&request, out, out_bytes);
}

static void request_text(void)
{
	char out[256];
	const struct http_header headers[] = {
		{ span_of_text("Accept-Encoding"), span_of_text("gzip") },
		{ span_of_text("X-Empty"), span_of_text("") },
		{ span_of_text("Authorization"), span_of_text("EG1-HMAC-SHA256 a=b;\t\xc3\xa4") },
	};
	static const char want[] =
		"GET /siem/v1/configs/1?offset=a%20b;c&limit=2 HTTP/1.1\r\n"
		"Host: akab-x.luna.akamaiapis.net:443\r\nAccept-Encoding: gzip\r\nX-Empty: \r\n"
		"Authorization: EG1-HMAC-SHA256 a=b;\t\xc3\xa4\r\n\r\n";
	const char *host = "akab-x.luna.akamaiapis.net:443";
	const char *target = "/siem/v1/configs/1?offset=a%20b;c&limit=2";
	size_t bytes = get_write(host, target, headers, 3, out, sizeof out);
	EQ_BYTES(out, bytes, want, sizeof want - 1);
	/* Exactly as much room as needed, and every room that is too small, each in a block of its own. */
	for (size_t room = 0; room <= sizeof want - 1; room++) {
		char *small = malloc(room + 1);
		bytes = get_write(host, target, headers, 3, small + 1, room);
		free(small);
		EQ(bytes, room == sizeof want - 1 ? room : 0);
	}
	bytes = get_write("[::1]:8080", "/", NULL, 0, out, sizeof out);
	EQ_BYTES(out, bytes, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 36);
}

static void request_body(void)
{
	static const struct {
		const char *method, *body, *want;
	} cases[] = {
		{ "POST", "a\r\n\r\nb",
		  "POST /q HTTP/1.1\r\nHost: h\r\nN: v\r\nContent-Length: 6\r\n\r\na\r\n\r\nb" },
		{ "POST", "", "POST /q HTTP/1.1\r\nHost: h\r\nN: v\r\nContent-Length: 0\r\n\r\n" },
		{ "POST", NULL, "POST /q HTTP/1.1\r\nHost: h\r\nN: v\r\nContent-Length: 0\r\n\r\n" },
		{ "GET", "{}", "GET /q HTTP/1.1\r\nHost: h\r\nN: v\r\nContent-Length: 2\r\n\r\n{}" },
		{ "GET", NULL, "GET /q HTTP/1.1\r\nHost: h\r\nN: v\r\n\r\n" },
		{ "", NULL, "" },
		{ "GET /", NULL, "" },
		{ "GE\r\nT", NULL, "" },
	};
	const struct http_header header = { span_of_text("N"), span_of_text("v") };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_request request = { .method = cases[i].method,
						.host = "h",
						.target = "/q",
						.headers = &header,
						.header_count = 1 };
		if (cases[i].body)
			request.body = span_of_text(cases[i].body);
		size_t want_bytes = strlen(cases[i].want);
		for (size_t room = 0; room <= want_bytes + 1; room++) {
			char *small = malloc(room + 1);
			size_t bytes = http_request_write(&request, small, room);
			EQ(bytes, room < want_bytes ? 0 : want_bytes);
			if (bytes)
				EQ_BYTES(small, bytes, cases[i].want, want_bytes);
			free(small);
		}
	}
	/* The limit is the head's: a body of any size fits where there is room. */
	static char body[2 * HTTP_REQUEST_HEAD_BYTES_MAX], out[3 * HTTP_REQUEST_HEAD_BYTES_MAX];
	struct http_request large = {
		.method = "POST", .host = "h", .target = "/", .body = span_of(body, sizeof body)
	};
	GT(http_request_write(&large, out, sizeof out), sizeof body);
}

static size_t request_bytes(const char *host, const char *target, const char *name, struct span value)
{
	char out[512];
	const struct http_header header = { span_of_text(name), value };
	return get_write(host, target, &header, 1, out, sizeof out);
}

static void request_refused(void)
{
	struct span v = span_of_text("v");
	NE(request_bytes("h", "/", "N", v), 0);
	static const char *const hosts[] = { "",   "h h", "h\r\nX: y", "h/",	   "u@h",
					     "h#", "h?",  "h\x7f",     "h\xc3\xa4" };
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		EQ(request_bytes(hosts[i], "/", "N", v), 0);
	static const char *const targets[] = { "",    "x",   "*",   "http://h/", "/ x",	     "/\r\nX: y",
					       "/\n", "/#f", "/\t", "/\x7f",	 "/\xc3\xa4" };
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
		EQ(request_bytes("h", targets[i], "N", v), 0);
	static const char *const names[] = {
		"",	     "N N",  "N:",   "N\r\n",	       "N\x01",
		"N\xc3\xa4", "host", "Host", "CONTENT-LENGTH", "Transfer-Encoding"
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		EQ(request_bytes("h", "/", names[i], v), 0);
	static const char values[] = "a\rb\nc\0d\x01\x7f";
	for (size_t i = 1; i < sizeof values - 1; i++) {
		if (i == 1 || i == 3 || i == 5 || i >= 7)
			EQ(request_bytes("h", "/", "N", span_of(values + i, 1)), 0);
		EQ(request_bytes("h", "/", "N", span_of(values, i + 1)), 0);
	}
}

static void request_limits(void)
{
	static char out[HTTP_REQUEST_HEAD_BYTES_MAX * 2], target[HTTP_REQUEST_HEAD_BYTES_MAX + 1] = "/";
	static struct http_header headers[HTTP_HEADER_COUNT_MAX + 1];
	size_t fixed_bytes = get_write("h", "/", NULL, 0, out, sizeof out);
	memset(target, '/', HTTP_REQUEST_HEAD_BYTES_MAX - fixed_bytes + 1);
	EQ(get_write("h", target, NULL, 0, out, sizeof out), HTTP_REQUEST_HEAD_BYTES_MAX);
	strcat(target, "/");
	EQ(get_write("h", target, NULL, 0, out, sizeof out), 0);
	for (size_t i = 0; i <= HTTP_HEADER_COUNT_MAX; i++)
		headers[i] = (struct http_header){ span_of_text("N"), span_of_text("v") };
	NE(get_write("h", "/", headers, HTTP_HEADER_COUNT_MAX, out, sizeof out), 0);
	EQ(get_write("h", "/", headers, HTTP_HEADER_COUNT_MAX + 1, out, sizeof out), 0);
}

TEST_MAIN(T(request_text), T(request_body), T(request_refused), T(request_limits))
