/* SPDX-License-Identifier: Apache-2.0
 *
 * A client for the tests of the tls room against real servers: blocking sockets, one GET per connection, one
 *JSON line per connection on standard output. Not a part of the product.
 *
 *	tls_client --port N [--host NAME] [--path P] [--ca FILE] [--mode auto|inplace|ssl] [--tls 12|13]
 *	           [--cipher NAME] [--repeat N] [--receive-bytes N]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "tls/tls.h"

enum { CIPHER_BYTES = 64 * 1024, PLAIN_BYTES = 64 * 1024, HEAD_BYTES_MAX = 8192 };

struct arguments {
	const char *host, *path;
	uint16_t port;
	int repeat;
	size_t receive_bytes; /* at most this much per recv(), to try other splits */
	struct tls_options options;
};

struct body {
	char head[HEAD_BYTES_MAX + 1];
	size_t head_bytes;
	int in_body;
	uint64_t bytes;
	SHA256_CTX digest;
};

static void body_feed(struct body *body, const uint8_t *bytes, size_t count)
{
	while (!body->in_body && count) {
		if (body->head_bytes == HEAD_BYTES_MAX) {
			fprintf(stderr, "response head too long\n");
			exit(2);
		}
		body->head[body->head_bytes++] = (char)*bytes++;
		count--;
		body->in_body = body->head_bytes >= 4 &&
				memcmp(body->head + body->head_bytes - 4, "\r\n\r\n", 4) == 0;
	}
	body->bytes += count;
	SHA256_Update(&body->digest, bytes, count);
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (socket_fd < 0 || connect(socket_fd, (struct sockaddr *)&address, sizeof address) < 0) {
		perror("connect");
		exit(2);
	}
	struct timeval patience = { .tv_sec = 20 };
	setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return socket_fd;
}

static void send_output(struct tls *tls, int socket_fd)
{
	struct span output;
	while ((output = tls_output(tls)).bytes) {
		ssize_t sent = send(socket_fd, output.base, output.bytes, MSG_NOSIGNAL);
		if (sent < 0) { /* the server is gone: what it sent before is what counts */
			tls_output_consume(tls, output.bytes);
			return;
		}
		tls_output_consume(tls, (size_t)sent);
	}
}

struct buffers {
	uint8_t cipher[CIPHER_BYTES];
	uint8_t plain[PLAIN_BYTES];
	size_t cipher_bytes;
};

/* One receive and all that follows from it; 0 when the connection is over. */
static int receive(struct tls *tls, int socket_fd, struct buffers *buffers, struct body *body,
		   const struct arguments *arguments)
{
	size_t room = sizeof buffers->cipher - buffers->cipher_bytes;
	if (room > arguments->receive_bytes)
		room = arguments->receive_bytes;
	ssize_t got = recv(socket_fd, buffers->cipher + buffers->cipher_bytes, room, 0);
	if (got <= 0) {
		tls_end_of_transport(tls);
		return 0;
	}
	buffers->cipher_bytes += (size_t)got;
	struct cursor_in cipher = { buffers->cipher, buffers->cipher + buffers->cipher_bytes };
	enum step step = STEP_FULL;
	while (step == STEP_FULL) {
		struct cursor_out plain = { buffers->plain, buffers->plain + sizeof buffers->plain };
		step = tls_push(tls, &cipher, &plain);
		body_feed(body, buffers->plain, (size_t)(plain.next - buffers->plain));
	}
	buffers->cipher_bytes = cursor_in_bytes(&cipher);
	memmove(buffers->cipher, cipher.next, buffers->cipher_bytes);
	return step == STEP_HUNGRY;
}

static void print_json_text(const char *key, const char *text)
{
	printf("\"%s\": \"", key);
	for (; *text; text++)
		printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	printf("\", ");
}

static void report(const struct tls *tls, struct body *body)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_Final(digest, &body->digest);
	printf("{");
	print_json_text("fault", fault_name(tls_fault(tls)));
	print_json_text("text", tls_error_text(tls));
	print_json_text("version", tls_version_name(tls));
	print_json_text("cipher", tls_cipher_name(tls));
	print_json_text("mode", tls_mode_name(tls));
	printf("\"status\": %d, \"body_bytes\": %llu, \"resumed\": %d, \"records\": %llu, \"key_updates\": "
	       "%llu, ",
	       body->in_body ? atoi(body->head + 9) : 0, (unsigned long long)body->bytes, tls_resumed(tls),
	       (unsigned long long)tls_records(tls), (unsigned long long)tls_key_updates(tls));
	printf("\"sha256\": \"");
	for (size_t i = 0; i < sizeof digest; i++)
		printf("%02x", digest[i]);
	printf("\"}\n");
}

static void exchange(struct tls *tls, struct buffers *buffers, const struct arguments *arguments)
{
	char request[1024];
	int request_sent = 0, going = 1, socket_fd = connect_to(arguments->port);
	int request_bytes =
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			 arguments->path, arguments->host);
	struct body body = { 0 };
	SHA256_Init(&body.digest);
	buffers->cipher_bytes = 0;
	if (tls_start(tls, arguments->host) == FAULT_NONE) {
		while (going) {
			send_output(tls, socket_fd);
			going = receive(tls, socket_fd, buffers, &body, arguments);
			if (!request_sent && tls_established(tls)) {
				request_sent = 1;
				tls_write(tls, span_of(request, (size_t)request_bytes));
			}
		}
		tls_close(tls);
		send_output(tls, socket_fd);
	}
	report(tls, &body);
	tls_finish(tls);
	close(socket_fd);
}

static struct arguments parse(int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", 1, NULL, 'p' },   { "host", 1, NULL, 'h' },	       { "path", 1, NULL, 'a' },
		{ "ca", 1, NULL, 'c' },	    { "mode", 1, NULL, 'm' },	       { "tls", 1, NULL, 't' },
		{ "cipher", 1, NULL, 'i' }, { "receive-bytes", 1, NULL, 'r' }, { "repeat", 1, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	struct arguments it = {
		.host = "localhost", .path = "/", .repeat = 1, .receive_bytes = CIPHER_BYTES
	};
	int option;
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (option) {
		case 'p':
			it.port = (uint16_t)atoi(optarg);
			break;
		case 'h':
			it.host = optarg;
			break;
		case 'a':
			it.path = optarg;
			break;
		case 'c':
			it.options.ca_file = optarg;
			break;
		case 'i':
			it.options.cipher_tls12 = optarg;
			break;
		case 'n':
			it.repeat = atoi(optarg);
			break;
		case 'r':
			it.receive_bytes = (size_t)atoi(optarg);
			break;
		case 'm':
			it.options.mode = !strcmp(optarg, "ssl")       ? TLS_MODE_SSL
					  : !strcmp(optarg, "inplace") ? TLS_MODE_INPLACE
								       : TLS_MODE_AUTO;
			break;
		case 't':
			it.options.versions =
				!strcmp(optarg, "12") ? TLS_VERSIONS_12_ONLY : TLS_VERSIONS_13_ONLY;
			break;
		default:
			exit(2);
		}
	}
	return it;
}

int main(int argc, char **argv)
{
	struct arguments arguments = parse(argc, argv);
	char error[TLS_ERROR_TEXT_BYTES_MAX];
	struct arena arena;
	struct tls_context *context = tls_context_create(&arguments.options, error);
	if (!context) {
		printf("{\"fault\": \"CONTEXT\", \"text\": \"%s\"}\n", error);
		return 1;
	}
	if (arena_open(&arena, 1 << 20) < 0)
		return 2;
	struct buffers *buffers = arena_take(&arena, sizeof *buffers, 64);
	struct tls *tls = tls_create(context, &arena);
	for (int i = 0; i < arguments.repeat; i++)
		exchange(tls, buffers, &arguments);
	tls_destroy(tls);
	tls_context_destroy(context);
	arena_finish(&arena);
	return 0;
}
