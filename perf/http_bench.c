/* SPDX-License-Identifier: Apache-2.0
 *
 * What framing costs: bytes per second of a body in 16 KB chunks and of one with Content-Length, as they come
 * out of 128 KB receive buffers, and nanoseconds per response head. Medians of interleaved rounds; the body
 * bytes are only handed on, never read, so the figures say what http adds to the way of the bytes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/http.h"

enum {
	ROUNDS = 21,
	PIECE_BYTES = 128 << 10,
	CHUNK_BYTES = 16 << 10,
	SMALL_CHUNK_BYTES = 64,
	BODY_BYTES = 8 << 20,
	HEADS = 2000,
};

#define HEAD                                                                                                 \
	"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"   \
	"Vary: Accept-Encoding\r\nX-Trace-Id: 7f3c2a11-9d1e-4d3c-8b77-0a4b6d0c5e21\r\n"                      \
	"Cache-Control: no-cache, no-store\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: "           \
	"keep-alive\r\n"
#define HEAD_CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_ONLY HEAD "Content-Length: 0\r\n\r\n"

struct message {
	const char *name;
	uint8_t *data;
	size_t bytes;
	double figures[ROUNDS]; /* ns per message */
};

static struct http_response response;

/* Returns a number that depends on all that was found. */
static uint64_t parse(const struct message *message)
{
	uint64_t work = 0;
	http_response_begin(&response, 0);
	for (size_t at = 0; at < message->bytes; at += PIECE_BYTES) {
		size_t left = message->bytes - at;
		size_t bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
		struct cursor_in in = { .next = message->data + at, .end = message->data + at + bytes };
		struct span body;
		do {
			http_response_push(&response, &in, &body);
			work = work * 31 + body.bytes;
		} while (body.bytes);
	}
	if (http_response_end(&response) != FAULT_NONE) {
		fprintf(stderr, "http_bench: %s: %s\n", message->name, fault_name(http_fault(&response)));
		exit(1);
	}
	return work + response.body_bytes + (uint64_t)response.status;
}

static uint8_t *allocate(size_t bytes)
{
	uint8_t *data = malloc(bytes);
	if (!data) {
		perror("http_bench");
		exit(1);
	}
	return data;
}

static struct message chunked_message(const char *name, size_t chunk_bytes, size_t body_bytes)
{
	size_t count = body_bytes / chunk_bytes;
	struct message message = { .name = name,
				   .data = allocate(sizeof HEAD_CHUNKED + count * (chunk_bytes + 12) + 8) };
	char *at = (char *)message.data;
	at += sprintf(at, "%s", HEAD_CHUNKED);
	for (size_t i = 0; i < count; i++) {
		at += sprintf(at, "%zx\r\n", chunk_bytes);
		memset(at, 'x', chunk_bytes);
		at += chunk_bytes;
		at += sprintf(at, "\r\n");
	}
	at += sprintf(at, "0\r\n\r\n");
	message.bytes = (size_t)(at - (char *)message.data);
	return message;
}

static struct message length_message(const char *name, size_t body_bytes)
{
	struct message message = { .name = name, .data = allocate(sizeof HEAD + 64 + body_bytes) };
	int head_bytes = sprintf((char *)message.data, "%sContent-Length: %zu\r\n\r\n", HEAD, body_bytes);
	memset(message.data + head_bytes, 'x', body_bytes);
	message.bytes = (size_t)head_bytes + body_bytes;
	return message;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	int rounds = quick ? 1 : ROUNDS;
	size_t body_bytes = quick ? 1 << 18 : BODY_BYTES;
	struct message messages[] = {
		chunked_message("http_chunked_16k", CHUNK_BYTES, body_bytes),
		chunked_message("http_chunked_64", SMALL_CHUNK_BYTES, body_bytes / 16),
		length_message("http_content_length", body_bytes),
		length_message("http_head", 0),
	};
	uint64_t hash = 0;
	for (int round = 0; round < rounds; round++) {
		for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
			int repeats = quick ? 1 : i < 2 ? 20 : HEADS;
			int64_t begin_ns = clock_monotonic_ns();
			for (int repeat = 0; repeat < repeats; repeat++)
				hash = hash * 31 + parse(&messages[i]);
			messages[i].figures[round] = (double)(clock_monotonic_ns() - begin_ns) / repeats;
		}
	}
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		qsort(messages[i].figures, (size_t)rounds, sizeof(double), compare);
		double ns = messages[i].figures[rounds / 2];
		printf("{\"bench\": \"%s\", \"message_bytes\": %zu, \"ns_per_message\": %.0f, "
		       "\"bytes_per_second\": %.0f, \"hash\": \"%016" PRIx64 "\"}\n",
		       messages[i].name, messages[i].bytes, ns, (double)messages[i].bytes / ns * 1e9, hash);
		free(messages[i].data);
	}
	return 0;
}
