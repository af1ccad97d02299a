/* SPDX-License-Identifier: Apache-2.0
 *
 * tls: turns TLS records into plain bytes and back. Owns no socket: cipher bytes are pushed in, bytes
 * to send are taken out. BoringSSL (the only file that names it is in this room, and in akamai for
 * the HMAC) does the handshake and everything that we send; received records are opened by
 *   INPLACE  our record layer with BoringSSL's AEAD, straight from the receive memory into the
 *            caller's plaintext window: no copy, no heap; or
 *   SSL      SSL_read, which allocates per record: the way for what INPLACE cannot do, and the
 *            oracle of the tests.
 * TLS 1.2 and 1.3, AEAD suites only. RFC 8446, RFC 5246, RFC 5288, RFC 7905.
 *
 * One thread per connection; a tls_context is immutable after creation and may be shared.
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/span.h"

/* A record is at most 5 + 2^14 + 2048 bytes on the wire (RFC 5246 6.2.3; 1.3 allows 256 more than 2^14). */
#define TLS_RECORD_BYTES_MAX (5 + 16384 + 2048)
/* tls_push() wants this much room in `plain` to be sure to open any record. */
#define TLS_PLAIN_BYTES_MAX (16384 + 2048)
#define TLS_ERROR_TEXT_BYTES_MAX 512 /* a sentence with the names in a certificate */

enum tls_mode {
	TLS_MODE_AUTO,
	TLS_MODE_INPLACE,
	TLS_MODE_SSL,
};

enum tls_version_limit {
	TLS_VERSIONS_ALL,
	TLS_VERSIONS_12_ONLY,
	TLS_VERSIONS_13_ONLY,
};

struct tls_options {
	enum tls_mode mode;
	enum tls_version_limit versions;
	const char *ca_file;	  /* PEM bundle; NULL: SSL_CERT_FILE, else the system's bundle */
	const char *cipher_tls12; /* for tests: one TLS 1.2 suite name; NULL: all AEAD suites */
};

struct tls_context;
struct tls; /* opaque; one per connection slot, reused from connection to connection */

/* Loads trust anchors. Returns NULL and fills `error` (a sentence naming the file) on failure. */
struct tls_context *tls_context_create(const struct tls_options *options,
				       char error[static TLS_ERROR_TEXT_BYTES_MAX]);
void tls_context_destroy(struct tls_context *context); /* accepts NULL */

/* Takes the connection slot's memory from the arena: all of ours that it will ever need. */
struct tls *tls_create(struct tls_context *context, struct arena *arena);

/* Begins a new connection to `host` (name or IP address, verified against the certificate; copied).
 * Whatever was left of the former connection is dropped; a session ticket is kept for resumption.
 * Afterwards tls_output() holds the ClientHello. BoringSSL uses the heap during the handshake (about 350
 * allocations, 11 KB at once with a short certificate chain, 7 KB kept until tls_finish()), and for each
 * tls_write(), ticket and key update; not for received data, unless the mode is SSL. */
enum fault tls_start(struct tls *tls, const char *host);

/* Consumes cipher bytes and appends plain bytes. HUNGRY: wants more cipher bytes (an incomplete record
 * stays in `cipher`, unconsumed: present it again with more behind it). FULL: `plain` lacks room.
 * DONE: close_notify was received. BROKEN: tls_fault(). During the handshake it produces no plain bytes;
 * check tls_output() after every call. */
enum step tls_push(struct tls *tls, struct cursor_in *cipher, struct cursor_out *plain);

/* Encrypts `plain` (at most 16 KB) for sending; available in tls_output(). Only when established, and when
 * the former output was taken (a full record finds room in an empty output only). */
enum fault tls_write(struct tls *tls, struct span plain);

/* What must go to the peer, in order; tell what was taken. The bytes stay where they are until they are
 * consumed (or tls_start()): tls_push() and tls_close() may append, so a send may be under way meanwhile. */
struct span tls_output(const struct tls *tls);
void tls_output_consume(struct tls *tls, size_t bytes);

/* Queues a close_notify. */
void tls_close(struct tls *tls);
/* Ends the connection's state and wipes keys; the slot can be started again. */
void tls_finish(struct tls *tls);
/* The same, and drops the kept ticket: nothing of the slot is left on the heap. Call it before the arena
 * and the context go. */
void tls_destroy(struct tls *tls);

/* 1 once the handshake is complete and the certificate was verified. */
int tls_established(const struct tls *tls);
/* The connection's transport ended (recv returned 0): FAULT_NONE after a close_notify, else the fault. */
enum fault tls_end_of_transport(struct tls *tls);

enum fault tls_fault(const struct tls *tls);
/* One sentence about the fault: which certificate check failed, which alert came. Never NULL, no secrets. */
const char *tls_error_text(const struct tls *tls);
/* "TLSv1.3", "TLS_AES_128_GCM_SHA256", "inplace" | "ssl"; "" before the handshake. */
const char *tls_version_name(const struct tls *tls);
const char *tls_cipher_name(const struct tls *tls);
const char *tls_mode_name(const struct tls *tls);
int tls_resumed(const struct tls *tls);
/* Counters since tls_create(): for run.json and tests. */
uint64_t tls_records(const struct tls *tls);
uint64_t tls_key_updates(const struct tls *tls);

#endif
