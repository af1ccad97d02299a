/* SPDX-License-Identifier: Apache-2.0
 *
 * A server on OpenSSL for the tests of the tls room: does on request what ordinary servers rarely do. One
 *connection at a time; the path of the request says what to do. Not a part of the product. It must not share
 *a process with BoringSSL.
 *
 *	tls_peer CERTIFICATE KEY [12|13] [SUITES]   prints "port N" and serves until its standard input ends
 *
 *	GET /BYTES[/option...]
 *		record-N   at most N bytes a record
 *		pad-N      pad TLS 1.3 records to a multiple of N
 *		update     nine KeyUpdates in the middle, none wanted back
 *		request    nine KeyUpdates in the middle, each wants one back
 *		bare       end without close_notify
 *		abort      cut in the middle of a record
 *		alert      send a fatal alert in the middle
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct answer {
	size_t bytes;
	size_t record_bytes, padding;
	int updates, update_type;
	int bare, abort, alert;
};

static void die(const char *what)
{
	perror(what);
	ERR_print_errors_fp(stderr);
	exit(2);
}

static struct answer parse(const char *path)
{
	struct answer it = { .bytes = strtoul(path + 1, NULL, 10) };
	const char *at;
	if ((at = strstr(path, "/record-")))
		it.record_bytes = strtoul(at + 8, NULL, 10);
	if ((at = strstr(path, "/pad-")))
		it.padding = strtoul(at + 5, NULL, 10);
	if (strstr(path, "/update"))
		it.updates = 9, it.update_type = SSL_KEY_UPDATE_NOT_REQUESTED;
	if (strstr(path, "/request"))
		it.updates = 9, it.update_type = SSL_KEY_UPDATE_REQUESTED;
	it.bare = strstr(path, "/bare") != NULL;
	it.abort = strstr(path, "/abort") != NULL;
	it.alert = strstr(path, "/alert") != NULL;
	return it;
}

/* The body that the test computes, too: byte i is (i * 7 + i / 253) mod 256. */
static void fill(unsigned char *target, size_t from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		target[i] = (unsigned char)((from + i) * 7 + (from + i) / 253);
}

static int send_body(SSL *ssl, const struct answer *answer)
{
	unsigned char piece[16384];
	size_t update_every = answer->updates ? answer->bytes / (size_t)(answer->updates + 1) + 1 : 0;
	for (size_t at = 0; at < answer->bytes;) {
		size_t bytes = answer->bytes - at < sizeof piece ? answer->bytes - at : sizeof piece;
		if (update_every && bytes > update_every)
			bytes = update_every;
		if (update_every && at / update_every != (at + bytes) / update_every)
			SSL_key_update(ssl, answer->update_type);
		fill(piece, at, bytes);
		if (SSL_write(ssl, piece, (int)bytes) != (int)bytes)
			return -1;
		at += bytes;
		if (answer->alert && at >= answer->bytes / 2) {
			/* OpenSSL has no call for an alert of one's own: a broken record makes it send one.
			 */
			static const unsigned char junk[] = { 23, 3, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0,
							      0,  0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,
							      0,  0, 0, 0, 0,  0, 0, 0, 0, 0, 0 };
			BIO *memory = BIO_new_mem_buf(junk, sizeof junk);
			SSL_set0_rbio(ssl, memory);
			SSL_read(ssl, piece, sizeof piece);
			return -1;
		}
	}
	return 0;
}

static void serve(SSL *ssl, int socket_fd)
{
	char request[4096] = "";
	int got = 0;
	while (!strstr(request, "\r\n\r\n")) {
		int bytes = SSL_read(ssl, request + got, (int)sizeof request - 1 - got);
		if (bytes <= 0)
			return;
		got += bytes;
		request[got] = 0;
	}
	char *path = strchr(request, '/'), *end = path ? strchr(path, ' ') : NULL;
	if (!end)
		return;
	*end = 0;
	struct answer answer = parse(path);
	if (answer.record_bytes)
		SSL_set_max_send_fragment(ssl, (long)answer.record_bytes);
	if (answer.padding)
		SSL_set_block_padding(ssl, answer.padding);
	char head[128];
	int head_bytes =
		snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", answer.bytes);
	SSL_write(ssl, head, head_bytes);
	int result = send_body(ssl, &answer);
	if (answer.abort) {
		static const unsigned char half[] = { 23, 3, 3, 1, 0, 'h', 'a', 'l', 'f' };
		if (send(socket_fd, half, sizeof half, MSG_NOSIGNAL) < 0)
			return;
	} else if (result == 0 && !answer.bare) {
		SSL_shutdown(ssl);
	}
	shutdown(socket_fd, SHUT_WR);
	/* The client's answers to our key updates must be readable under its new keys. */
	if (!answer.alert) {
		while ((got = SSL_read(ssl, request, sizeof request)) > 0)
			;
		int error = SSL_get_error(ssl, got);
		if (error == SSL_ERROR_SSL)
			printf("client error %s\n", ERR_reason_error_string(ERR_peek_error()));
		else
			printf("client %s\n", error == SSL_ERROR_ZERO_RETURN ? "close_notify" : "end");
	}
}

static SSL_CTX *make_context(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (!context || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
		die("identity");
	if (argc > 3 && !strcmp(argv[3], "12"))
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	if (argc > 3 && !strcmp(argv[3], "13"))
		SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	if (argc > 3 && !strcmp(argv[3], "11")) {
		SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
		SSL_CTX_set_security_level(context, 0);
	}
	if (argc > 4 && (!strcmp(argv[3], "13") ? SSL_CTX_set_ciphersuites(context, argv[4])
						: SSL_CTX_set_cipher_list(context, argv[4])) != 1)
		die("suites");
	return context;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX *context = make_context(argc, argv);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t address_bytes = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 16) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &address_bytes) < 0)
		die("listen");
	printf("port %d\n", ntohs(address.sin_port));
	for (;;) {
		struct pollfd ready[] = { { .fd = listener, .events = POLLIN },
					  { .fd = 0, .events = POLLIN } };
		poll(ready, 2, -1);
		if (ready[1].revents)
			break;
		int socket_fd = accept(listener, NULL, NULL);
		if (socket_fd < 0)
			continue;
		struct timeval patience = { .tv_sec = 20 };
		setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		SSL *ssl = SSL_new(context);
		SSL_set_fd(ssl, socket_fd);
		ERR_clear_error();
		if (SSL_accept(ssl) == 1)
			serve(ssl, socket_fd);
		else
			printf("client error %s\n", ERR_reason_error_string(ERR_peek_error()));
		SSL_free(ssl);
		close(socket_fd);
	}
	SSL_CTX_free(context);
	close(listener);
	return 0;
}
