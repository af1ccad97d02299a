/* SPDX-License-Identifier: Apache-2.0
 *
 * tls: turns TLS records into plain bytes and back. Owns no socket: cipher bytes are pushed in, bytes
 * to send are taken out. BoringSSL (nobody else names it but akamai and program, for their HMACs) does
 * the handshake; then records are opened and sealed by
 *   INPLACE  our record layer with BoringSSL's AEAD, straight from the receive memory into the
 *            caller's plaintext window, and from the request into the output: no copy of what is
 *            received, no heap; or
 *   KTLS     the same for what we send, and the kernel for what we receive: the caller takes the key
 *            from tls_kernel_key() to the socket and receives plain bytes from there. Not faster than
 *            INPLACE without a network card that helps, so it is only used when asked for; or
 *   SSL      SSL_read and SSL_write, which allocate per record: the way for what INPLACE cannot do,
 *            and the oracle of the tests.
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
#define TLS_TYPE_DATA 23	     /* of a record (RFC 8446 5.1); all others are for tls_kernel_record() */
#define TLS_KERNEL_KEY_BYTES_MAX 56  /* the largest of <linux/tls.h>'s for our three AEADs */
#define TLS_ERROR_TEXT_BYTES_MAX 512 /* a sentence with the names in a certificate */

enum tls_mode {
	TLS_MODE_AUTO, /* INPLACE for the suites that it knows, which are all that are offered */
	TLS_MODE_KTLS, /* INPLACE until the kernel has taken the key, and where it does not */
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
int tls_context_wants_kernel(const struct tls_context *context);

/* Takes the connection slot's memory from the arena: all of ours that it will ever need. */
struct tls *tls_create(struct tls_context *context, struct arena *arena);

/* Begins a new connection to `host` (name or IP address, verified against the certificate; copied).
 * Whatever was left of the former connection is dropped; a session ticket is kept for resumption.
 * Afterwards tls_output() holds the ClientHello. BoringSSL uses the heap during the handshake (about 350
 * allocations, 11 KB at once with a short certificate chain, 7 KB kept until tls_finish()), and for each
 * ticket and key update; not for data in either direction, unless the mode is SSL. */
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

/* KTLS. The key that the socket is to be given now (setsockopt SOL_TLS, TLS_RX), in the kernel's format; no
 * bytes: none. Ask when everything that was received has been consumed, before the next receive, and after
 * each tls_kernel_record(); *ret_first is 1 when the socket knows nothing of TLS yet. Lent until the answer,
 * which must follow: 0, or the errno with which the kernel refused. A refusal at first is no fault: this slot
 * goes on INPLACE (with ENOTCONN, the peer is gone already, only this connection); later it breaks the
 * connection, and the next are INPLACE. */
struct span tls_kernel_key(struct tls *tls, int *ret_first);
void tls_kernel_answer(struct tls *tls, int error);
/* The kernel has no TLS: nothing will be asked of it. */
void tls_kernel_refuse(struct tls *tls);
/* How much may be received behind what is in `cipher`: as much as anybody likes (SIZE_MAX), or, while a key
 * waits to be taken, the rest of the record, since the kernel must begin with a whole one. */
size_t tls_receive_bytes_max(const struct tls *tls, const struct cursor_in *cipher);
/* 1: what the socket gives are plain bytes, and tls_push() is not to be called. */
int tls_in_kernel(const struct tls *tls);
/* Plain bytes that the kernel opened, only to be counted. HUNGRY or BROKEN. */
enum step tls_kernel_received(struct tls *tls, size_t bytes);
/* A record that is no data, opened by the kernel. HUNGRY: go on; ask for tls_kernel_key(). DONE, BROKEN. */
enum step tls_kernel_record(struct tls *tls, uint8_t type, struct span content);
/* Receiving failed with this errno. BROKEN when that speaks of records; else HUNGRY: it is the caller's. */
enum step tls_kernel_error(struct tls *tls, int error);

/* 1 once the handshake is complete and the certificate was verified. */
int tls_established(const struct tls *tls);
/* 1 while another request may be sent and answered: established, no fault, and nobody has said goodbye. */
int tls_usable(const struct tls *tls);
/* The connection's transport ended (recv returned 0): FAULT_NONE after a close_notify, else the fault. */
enum fault tls_end_of_transport(struct tls *tls);

enum fault tls_fault(const struct tls *tls);
/* One sentence about the fault: which certificate check failed, which alert came. Never NULL, no secrets. */
const char *tls_error_text(const struct tls *tls);
/* "TLSv1.3", "TLS_AES_128_GCM_SHA256", "ktls" | "inplace" | "ssl"; "" before the handshake. */
const char *tls_version_name(const struct tls *tls);
const char *tls_cipher_name(const struct tls *tls);
const char *tls_mode_name(const struct tls *tls);
int tls_resumed(const struct tls *tls);
/* Counters since tls_create(): for run.json and tests. Of data that the kernel opened nobody knows how many
 * records it came in: those are not counted. */
uint64_t tls_records(const struct tls *tls);
uint64_t tls_key_updates(const struct tls *tls);

#endif
