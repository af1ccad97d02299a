/* SPDX-License-Identifier: Apache-2.0
 *
 * The record layer for received records: splits the cipher bytes into records, opens each straight into
 * the caller's memory, checks everything that RFC 8446 5 and RFC 5246 6.2 demand of a record.
 * What the content means is not its business, except for counting. No heap, no I/O, no connection state
 * but keys and counters.
 */
#ifndef TLS_TLS_RECORD_H
#define TLS_TLS_RECORD_H

#include <openssl/aead.h>

#include "base/fault.h"
#include "base/span.h"
#include "tls/tls_keys.h"

enum {
	TLS_CONTENT_BYTES_MAX = 16384,	      /* RFC 8446 5.1 */
	TLS_BODY_BYTES_MAX_12 = 16384 + 2048, /* RFC 5246 6.2.3 */
	TLS_BODY_BYTES_MAX_13 = 16384 + 256,  /* RFC 8446 5.2 */
	/* Content-free records cost the peer 22 bytes and us an AEAD call, and let a stream stand still while
	 * it looks alive. Nobody needs more than one in a row (the old CBC countermeasure); BoringSSL's limit
	 * is the same 32. */
	TLS_EMPTY_RECORDS_MAX = 32,
};

/* AES-GCM keeps its confidentiality margin of 2^-57 up to 2^24.5 full records under one key (RFC 8446 5.5).
 * At 2^23 we ask the peer for a new key, which leaves it as much again to answer; beyond 2^24.5 we stop. */
#define TLS_GCM_RECORDS_ASK (UINT64_C(1) << 23)
#define TLS_GCM_RECORDS_MAX UINT64_C(23726566)

enum tls_content_type {
	TLS_CONTENT_CHANGE_CIPHER_SPEC = 20,
	TLS_CONTENT_ALERT = 21,
	TLS_CONTENT_HANDSHAKE = 22,
	TLS_CONTENT_APPLICATION = 23,
};

enum {
	TLS_ALERT_LEVEL_WARNING = 1,
	TLS_ALERT_LEVEL_FATAL = 2,
};

/* Alert descriptions (RFC 8446 6) that we send. */
enum tls_alert {
	TLS_ALERT_CLOSE_NOTIFY = 0,
	TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	TLS_ALERT_BAD_RECORD_MAC = 20,
	TLS_ALERT_RECORD_OVERFLOW = 22,
	TLS_ALERT_ILLEGAL_PARAMETER = 47,
	TLS_ALERT_DECODE_ERROR = 50,
	TLS_ALERT_PROTOCOL_VERSION = 70,
	TLS_ALERT_INTERNAL_ERROR = 80,
	TLS_ALERT_NO_RENEGOTIATION = 100,
};

struct tls_record {
	struct tls_keys keys;
	EVP_AEAD_CTX aead;	/* holds its state inside: no heap for our three AEADs */
	uint64_t records;	/* opened since the keys were first set */
	unsigned empty_records; /* in a row */
	/* When broken: */
	enum fault fault;
	enum tls_alert alert;
	const char *why; /* static sentence */
};

struct tls_opened {
	uint8_t type;	   /* enum tls_content_type, or whatever an authenticated peer put there */
	struct span bytes; /* at plain->next */
};

/* Arms the record layer with `keys` (copied). Returns 0, or -1 when the AEAD refuses them. */
int tls_record_init(struct tls_record *record, const struct tls_keys *keys);
/* Next generation after a KeyUpdate. Returns 0 or -1. */
int tls_record_update(struct tls_record *record);
void tls_record_wipe(struct tls_record *record);

/* Opens the next record. DONE: `opened` says what; cipher->next moved behind the record, plain->next did
 * not move: the caller advances it if it wants the bytes kept. HUNGRY, FULL: nothing moved. BROKEN is
 * sticky. */
enum step tls_record_open(struct tls_record *record, struct cursor_in *cipher, const struct cursor_out *plain,
			  struct tls_opened *opened);

/* Splits without keys, for what BoringSSL opens: the size of the record that begins at `cipher` with its
 * header, 0 when it is not complete yet, -1 when it is larger than any record may be. */
int tls_record_measure(const struct cursor_in *cipher);

#endif
