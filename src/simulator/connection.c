/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "simulator/connection.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEND_WAIT_MS 200 /* how often a blocked writer looks at the deadline and the stop word */
#define IDLE_WAIT_NS INT64_C(300000000000) /* an idle connection is dropped after 5 min */
#define HANDSHAKE_WAIT_NS INT64_C(15000000000)

static int stopped(const struct connection *connection)
{
	return __atomic_load_n(connection->stop, __ATOMIC_RELAXED);
}

/* Waits until the socket is ready. Returns 0, or -1 at the deadline or when the program stops. */
static int socket_wait(const struct connection *connection, short events, int64_t until_ns)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = connection->fd, .events = events };
		if (stopped(connection) || (until_ns && clock_monotonic_ns() > until_ns))
			return -1;
		int count = poll(&poll_fd, 1, SEND_WAIT_MS);
		if (count > 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return -1;
	}
}

static int socket_send(struct connection *connection, const uint8_t *bytes, size_t count)
{
	while (count > 0 && !connection->broken) {
		ssize_t sent = send(connection->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			bytes += sent;
			count -= (size_t)sent;
		} else if (errno == EAGAIN) {
			connection->broken |= socket_wait(connection, POLLOUT, connection->deadline_ns) < 0;
		} else if (errno != EINTR) {
			connection->broken = 1;
		}
	}
	return connection->broken ? -1 : 0;
}

static int wire_flush(struct connection *connection)
{
	size_t bytes = connection->wire_bytes;
	connection->wire_bytes = 0;
	return socket_send(connection, connection->wire, bytes);
}

static int method_write(BIO *bio, const char *bytes, int count)
{
	struct connection *connection = BIO_get_data(bio);
	size_t wanted = (size_t)count;
	if (sizeof connection->wire - connection->wire_bytes < wanted && wire_flush(connection) < 0)
		return -1;
	if (wanted > sizeof connection->wire)
		return socket_send(connection, (const uint8_t *)bytes, wanted) < 0 ? -1 : count;
	memcpy(connection->wire + connection->wire_bytes, bytes, wanted);
	connection->wire_bytes += wanted;
	return count;
}

static long method_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_FLUSH)
		return wire_flush(BIO_get_data(bio)) < 0 ? -1 : 1;
	return 0;
}

static int method_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *connection_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gathering socket");
	if (!method)
		return NULL;
	BIO_meth_set_write(method, method_write);
	BIO_meth_set_ctrl(method, method_control);
	BIO_meth_set_create(method, method_create);
	return method;
}

static void address_text(const struct sockaddr_storage *address, char text[static CONNECTION_PEER_BYTES])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const void *bytes =
		address->ss_family == AF_INET6 ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr;
	if (!inet_ntop(address->ss_family, bytes, text, CONNECTION_PEER_BYTES))
		memcpy(text, "0.0.0.0", sizeof "0.0.0.0");
}

static int handshake(struct connection *connection, SSL_CTX *context, BIO_METHOD *method)
{
	connection->ssl = SSL_new(context);
	BIO *reader = BIO_new_socket(connection->fd, BIO_NOCLOSE);
	BIO *writer = BIO_new(method);
	if (!connection->ssl || !reader || !writer) {
		BIO_free(reader);
		BIO_free(writer);
		return -1;
	}
	BIO_set_data(writer, connection);
	SSL_set_bio(connection->ssl, reader, writer);
	connection->deadline_ns = clock_monotonic_ns() + HANDSHAKE_WAIT_NS;
	struct timeval wait = { .tv_sec = HANDSHAKE_WAIT_NS / NS_PER_SECOND };
	setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	int result = SSL_accept(connection->ssl);
	struct timeval none = { 0 };
	setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
	connection->deadline_ns = 0;
	if (result == 1)
		return 0;
	connection->ended = 1;
	ERR_clear_error();
	return -1;
}

int connection_open(struct connection *connection, int fd, SSL_CTX *context, BIO_METHOD *method,
		    const int *stop)
{
	connection->fd = fd;
	connection->stop = stop;
	struct sockaddr_storage address = { 0 };
	socklen_t bytes = sizeof address;
	getpeername(fd, (struct sockaddr *)&address, &bytes);
	address_text(&address, connection->peer);
	bytes = sizeof address;
	getsockname(fd, (struct sockaddr *)&address, &bytes);
	address_text(&address, connection->local);
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return context ? handshake(connection, context, method) : 0;
}

long connection_read(struct connection *connection, void *target, size_t bytes)
{
	int limit = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
	if (!connection->ssl || SSL_pending(connection->ssl) == 0) {
		if (socket_wait(connection, POLLIN, clock_monotonic_ns() + IDLE_WAIT_NS) < 0)
			return -1;
	}
	if (!connection->ssl)
		return recv(connection->fd, target, bytes, 0);
	int count = SSL_read(connection->ssl, target, limit);
	if (count > 0)
		return count;
	int reason = SSL_get_error(connection->ssl, count);
	ERR_clear_error();
	if (reason == SSL_ERROR_ZERO_RETURN)
		return 0;
	/* After a fatal error OpenSSL must not be asked to send anything more. */
	connection->broken = 1;
	return -1;
}

static int stage_push(struct connection *connection)
{
	size_t bytes = connection->stage_bytes;
	connection->stage_bytes = 0;
	if (bytes == 0 || connection->broken)
		return connection->broken ? -1 : 0;
	if (!connection->ssl)
		return socket_send(connection, connection->stage, bytes);
	if (SSL_write(connection->ssl, connection->stage, (int)bytes) == (int)bytes)
		return 0;
	ERR_clear_error();
	connection->broken = 1;
	return -1;
}

int connection_write(struct connection *connection, const void *bytes, size_t count)
{
	const uint8_t *from = bytes;
	while (count > 0) {
		size_t room = sizeof connection->stage - connection->stage_bytes;
		size_t part = count < room ? count : room;
		memcpy(connection->stage + connection->stage_bytes, from, part);
		connection->stage_bytes += part;
		from += part;
		count -= part;
		if (connection->stage_bytes == sizeof connection->stage && stage_push(connection) < 0)
			return -1;
	}
	if (connection->deadline_ns && clock_monotonic_ns() > connection->deadline_ns)
		connection->broken = 1;
	return connection->broken || stopped(connection) ? -1 : 0;
}

int connection_flush(struct connection *connection)
{
	if (stage_push(connection) < 0)
		return -1;
	return wire_flush(connection);
}

int connection_key_update(struct connection *connection, int requested)
{
	if (connection_flush(connection) < 0)
		return -1;
	int kind = requested ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
	return SSL_key_update(connection->ssl, kind) == 1 ? 0 : -1;
}

int connection_is_tls13(const struct connection *connection)
{
	return connection->ssl && SSL_version(connection->ssl) == TLS1_3_VERSION;
}

void connection_end(struct connection *connection, enum connection_end end)
{
	if (connection->ended)
		return;
	connection->ended = 1;
	if (end == CONNECTION_END_RESET) {
		struct linger linger = { .l_onoff = 1, .l_linger = 0 };
		connection_flush(connection);
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
		return;
	}
	if (connection_flush(connection) == 0 && connection->ssl && end == CONNECTION_END_CLEAN) {
		SSL_shutdown(connection->ssl);
		wire_flush(connection);
		ERR_clear_error();
	}
	shutdown(connection->fd, SHUT_WR);
}

/* After FIN, reads what the peer still says for a moment: closing with unread bytes would send a reset that
 * could overtake what was sent. */
static void drain(struct connection *connection)
{
	uint8_t scratch[4096];
	int64_t until_ns = clock_monotonic_ns() + 500 * NS_PER_MS;
	struct pollfd poll_fd = { .fd = connection->fd, .events = POLLIN };
	while (clock_monotonic_ns() < until_ns && poll(&poll_fd, 1, 100) >= 0) {
		if ((poll_fd.revents & POLLIN) == 0)
			continue;
		if (recv(connection->fd, scratch, sizeof scratch, MSG_DONTWAIT) <= 0)
			break;
	}
}

void connection_close(struct connection *connection)
{
	struct linger linger = { 0 };
	socklen_t bytes = sizeof linger;
	connection_end(connection, CONNECTION_END_CLEAN);
	getsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, &bytes);
	if (!linger.l_onoff && !stopped(connection))
		drain(connection);
	SSL_free(connection->ssl);
	close(connection->fd);
}

int connection_pause(const struct connection *connection, int64_t pause_ns)
{
	int64_t until_ns = clock_monotonic_ns() + pause_ns;
	for (;;) {
		int64_t left_ns = until_ns - clock_monotonic_ns();
		if (stopped(connection))
			return -1;
		if (left_ns <= 0)
			return 0;
		int64_t nap_ns = left_ns < 50 * NS_PER_MS ? left_ns : 50 * NS_PER_MS;
		struct timespec nap = { .tv_nsec = nap_ns };
		nanosleep(&nap, NULL);
	}
}
