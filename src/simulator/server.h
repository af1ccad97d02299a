/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that connections share, and the threads that serve them.
 */
#ifndef SIMULATOR_SERVER_H
#define SIMULATOR_SERVER_H

#include "simulator/blocks.h"
#include "simulator/connection.h"
#include "simulator/edgegrid_check.h"
#include "simulator/faults.h"
#include "simulator/feed.h"
#include "simulator/truth.h"

#include <pthread.h>

struct server {
	struct options *options;
	struct feeds feeds;
	struct blocks blocks;
	struct gate gate;
	struct faults faults;
	struct truth truth;
	SSL_CTX *tls; /* NULL: plain */
	BIO_METHOD *method;
	int64_t clock_shift_ns;
	int stop;
	int listen_fd;
	char address[128]; /* HOST:PORT */

	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t connection_count;
	uint64_t connection_number;
	uint64_t request_count;	 /* atomic: answered */
	uint64_t requests_begun; /* atomic: read, perhaps not yet in the log and the truth */
};

/* The wall clock as this server has it. */
int64_t server_now_ns(const struct server *server);
/* Binds and listens. Returns 0, or -1 after saying why on stderr. */
int server_listen(struct server *server);
/* Accepts one waiting connection and gives it a thread. */
void server_accept(struct server *server);
int server_has_room(struct server *server);
/* Tells every connection to stop and waits for their threads. */
void server_stop(struct server *server);

/* answer.c: serves requests until the connection ends. */
void answer_connection(struct server *server, struct connection *connection, uint64_t connection_number);

#endif
