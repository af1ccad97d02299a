/* SPDX-License-Identifier: Apache-2.0
 *
 * One accepted connection as a byte stream, TLS (OpenSSL) or plain. Writes are gathered, so that many TLS
 * records leave in one system call. A connection belongs to one thread; only its socket may be shut down
 * by another one.
 */
#ifndef SIMULATOR_CONNECTION_H
#define SIMULATOR_CONNECTION_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#define CONNECTION_STAGE_BYTES 65536 /* plain bytes gathered before they are encrypted: fits the L2 cache */
#define CONNECTION_WIRE_BYTES                                                                                \
	(4 * CONNECTION_STAGE_BYTES) /* encrypted bytes gathered before they are sent                        \
				      */
#define CONNECTION_PEER_BYTES 64

struct connection {
	int fd;
	SSL *ssl;	 /* NULL: plain */
	const int *stop; /* set (atomically) when the program ends */
	char peer[CONNECTION_PEER_BYTES];
	char local[CONNECTION_PEER_BYTES];
	int64_t deadline_ns; /* monotonic; writes fail after it; 0: none */
	int broken;
	int ended; /* the end was already told to the peer in one way or another */
	size_t stage_bytes;
	size_t wire_bytes;
	uint8_t stage[CONNECTION_STAGE_BYTES];
	uint8_t wire[CONNECTION_WIRE_BYTES];
};

enum connection_end {
	CONNECTION_END_CLEAN,	  /* close_notify, then FIN */
	CONNECTION_END_NO_NOTIFY, /* FIN only */
	CONNECTION_END_RESET,	  /* RST */
};

/* Takes over `fd`; `context` NULL means plain. Does the TLS handshake. Returns 0, or -1. */
int connection_open(struct connection *connection, int fd, SSL_CTX *context, BIO_METHOD *method,
		    const int *stop);
/* At least one byte, or 0 at the end, or -1. */
long connection_read(struct connection *connection, void *target, size_t bytes);
/* Both return 0, or -1 when the peer is gone, the deadline has passed or the program stops. */
int connection_write(struct connection *connection, const void *bytes, size_t count);
int connection_flush(struct connection *connection);
/* TLS 1.3 KeyUpdate, sent with the next bytes. */
int connection_key_update(struct connection *connection, int requested);
int connection_is_tls13(const struct connection *connection);
/* Tells the peer that this is the end; the descriptor stays open until connection_close(). */
void connection_end(struct connection *connection, enum connection_end end);
void connection_close(struct connection *connection);
/* Sleeps, unless the program stops. Returns 0 or -1. */
int connection_pause(const struct connection *connection, int64_t pause_ns);

/* The gathering write side between OpenSSL and a connection; one for all of them. */
BIO_METHOD *connection_method_new(void);

#endif
