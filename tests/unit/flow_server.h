/* SPDX-License-Identifier: Apache-2.0
 *
 * The far end of a flow in its own tests: a thread that answers each request on a loopback port with the next
 * of a list of texts, and keeps what it was asked.
 */
#ifndef TESTS_UNIT_FLOW_SERVER_H
#define TESTS_UNIT_FLOW_SERVER_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum { SERVER_ANSWERS_MAX = 16, SERVER_REQUEST_BYTES_MAX = 131072 };

struct server {
	int listener;
	char port[8], authority[32];
	/* A text that ends in "CLOSE" is sent without that, and the connection is closed. */
	const char *answers[SERVER_ANSWERS_MAX];
	size_t answer_bytes[SERVER_ANSWERS_MAX]; /* of those that are no text; 0: it is one */
	size_t answer_count, asked;
	char *requests[SERVER_ANSWERS_MAX]; /* free() them */
	int connections;
	pthread_t thread;
};

/* One request: its head, and the body that its Content-Length promises. NULL: the peer has gone. */
static char *server_read(int fd)
{
	char *text = calloc(1, SERVER_REQUEST_BYTES_MAX);
	size_t bytes = 0;
	for (;;) {
		const char *end = strstr(text, "\r\n\r\n");
		const char *length = end ? strstr(text, "Content-Length: ") : NULL;
		size_t body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		if (end && bytes >= (size_t)(end + 4 - text) + body)
			return text;
		ssize_t got = recv(fd, text + bytes, SERVER_REQUEST_BYTES_MAX - 1 - bytes, 0);
		if (got <= 0) {
			free(text);
			return NULL;
		}
		bytes += (size_t)got;
	}
}

/* 0: the connection is over. */
static int server_answer(struct server *server, int fd)
{
	char *request = server_read(fd);
	if (!request)
		return 0;
	if (server->asked == server->answer_count) {
		free(request);
		return 0;
	}
	const char *answer = server->answers[server->asked];
	size_t bytes = server->answer_bytes[server->asked];
	server->requests[server->asked++] = request;
	int is_text = !bytes;
	if (is_text)
		bytes = strlen(answer);
	int closes = is_text && bytes >= 5 && strcmp(answer + bytes - 5, "CLOSE") == 0;
	if (send(fd, answer, closes ? bytes - 5 : bytes, MSG_NOSIGNAL) < 0)
		return 0;
	return !closes;
}

static void *server_run(void *argument)
{
	struct server *server = argument;
	for (;;) {
		int fd = accept(server->listener, NULL, NULL);
		if (fd < 0)
			return NULL; /* server_stop() */
		server->connections++;
		while (server_answer(server, fd))
			;
		close(fd);
	}
}

static void server_start(struct server *server, const char *const *answers, size_t count)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	*server = (struct server){ .answer_count = count };
	LE(count, (size_t)SERVER_ANSWERS_MAX);
	for (size_t i = 0; i < count; i++)
		server->answers[i] = answers[i];
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EQ(bind(server->listener, (struct sockaddr *)&address, bytes), 0);
	EQ(listen(server->listener, 8), 0);
	EQ(getsockname(server->listener, (struct sockaddr *)&address, &bytes), 0);
	snprintf(server->port, sizeof server->port, "%u", ntohs(address.sin_port));
	snprintf(server->authority, sizeof server->authority, "127.0.0.1:%s", server->port);
	EQ(pthread_create(&server->thread, NULL, server_run, server), 0);
}

/* Whoever has a connection to it must have closed it. */
static void server_stop(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
	for (size_t i = 0; i < server->asked; i++)
		free(server->requests[i]);
}

#endif
