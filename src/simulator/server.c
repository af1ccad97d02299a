/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "simulator/server.h"

#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128
#define SEND_BUFFER_BYTES (1 << 20)

struct visit {
	struct server *server;
	int fd;
	uint64_t number;
};

int64_t server_now_ns(const struct server *server)
{
	return clock_unix_ns() + server->clock_shift_ns;
}

/* "HOST:PORT" or "[HOST]:PORT" */
static int listen_split(const char *text, char *host, size_t host_bytes, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	if (!colon)
		return -1;
	int bracket = *text == '[' && colon > text && colon[-1] == ']';
	size_t bytes = (size_t)(colon - text) - (bracket ? 2 : 0);
	if (bytes >= host_bytes)
		return -1;
	memcpy(host, text + bracket, bytes);
	host[bytes] = 0;
	*ret_port = colon + 1;
	return 0;
}

static void address_set(struct server *server)
{
	struct sockaddr_storage address = { 0 };
	socklen_t bytes = sizeof address;
	char host[64] = "", port[16] = "";
	getsockname(server->listen_fd, (struct sockaddr *)&address, &bytes);
	getnameinfo((struct sockaddr *)&address, bytes, host, sizeof host, port, sizeof port,
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(server->address, sizeof server->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host,
		 port);
}

int server_listen(struct server *server)
{
	char host[128];
	const char *port;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found = NULL;
	const char *text = server->options->listen;
	if (listen_split(text, host, sizeof host, &port) < 0 ||
	    getaddrinfo(*host ? host : NULL, port, &hints, &found) != 0) {
		fprintf(stderr, "akamai-prof simulate: --listen takes HOST:PORT, not \"%s\"\n", text);
		return -1;
	}
	int one = 1, buffer = SEND_BUFFER_BYTES;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	/* Inherited by what is accepted. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	int result = bind(fd, found->ai_addr, found->ai_addrlen);
	if (result == 0)
		result = listen(fd, LISTEN_BACKLOG);
	freeaddrinfo(found);
	if (result < 0) {
		fprintf(stderr, "akamai-prof simulate: cannot listen on %s: %s\n", text, strerror(errno));
		close(fd);
		return -1;
	}
	server->listen_fd = fd;
	address_set(server);
	return 0;
}

static void visit_end(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->connection_count--;
	pthread_cond_broadcast(&server->idle);
	pthread_mutex_unlock(&server->lock);
}

static void *visit_run(void *argument)
{
	struct visit *visit = argument;
	struct server *server = visit->server;
	struct connection *connection = memory_take(sizeof *connection);
	if (connection_open(connection, visit->fd, server->tls, server->method, &server->stop) == 0)
		answer_connection(server, connection, visit->number);
	connection_close(connection);
	free(connection);
	free(visit);
	/* OpenSSL's thread-local things: at once, not when the thread is torn down, maybe after main. */
	OPENSSL_thread_stop();
	visit_end(server);
	return NULL;
}

int server_has_room(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	int room = server->connection_count < server->options->connections_max;
	pthread_mutex_unlock(&server->lock);
	return room;
}

void server_accept(struct server *server)
{
	int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct visit *visit = memory_take(sizeof *visit);
	pthread_mutex_lock(&server->lock);
	server->connection_count++;
	*visit = (struct visit){ .server = server, .fd = fd, .number = ++server->connection_number };
	pthread_mutex_unlock(&server->lock);
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, visit_run, visit) != 0) {
		close(fd);
		free(visit);
		visit_end(server);
	}
	pthread_attr_destroy(&attributes);
}

void server_stop(struct server *server)
{
	__atomic_store_n(&server->stop, 1, __ATOMIC_RELAXED);
	/* Every wait looks at the stop word several times a second. */
	pthread_mutex_lock(&server->lock);
	while (server->connection_count)
		pthread_cond_wait(&server->idle, &server->lock);
	pthread_mutex_unlock(&server->lock);
	close(server->listen_fd);
}
