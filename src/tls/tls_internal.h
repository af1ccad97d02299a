/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share: the context, the connection slot, and who does what.
 *   tls.c          the public calls, handshake, output
 *   tls_context.c  trust anchors, protocol options, tickets
 *   tls_verify.c   what a failed certificate check says
 *   tls_bio.c      BoringSSL's view of our cursors
 *   tls_inplace.c  both directions through our record layer (tls_record.c, tls_send.c, tls_keys.c)
 *   tls_kernel.c   what is left to do when the kernel opens the received records
 *   tls_ssl.c      received records through SSL_read
 *   tls_text.c     faults and alerts as sentences
 */
#ifndef TLS_TLS_INTERNAL_H
#define TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "tls/tls.h"
#include "tls/tls_record.h"
#include "tls/tls_send.h"

enum {
	/* One full record, the KeyUpdate before it and an alert behind it; or the largest ClientHello,
	 * which is mostly the ticket. Pages that are not used are not touched. */
	TLS_OUTPUT_BYTES_MAX = TLS_RECORD_BYTES_MAX + 4096,
	/* A KeyUpdate record takes 27 bytes and an alert 24; below this room neither is started. */
	TLS_OUTPUT_BYTES_SPARE = 128,
	/* What a record adds to our bytes at most: header, explicit nonce, type, tag, a KeyUpdate before. */
	TLS_WRITE_OVERHEAD_BYTES_MAX = 64,
	/* Real servers' tickets have 150 to 300 bytes, 2 KB with a certificate inside. A larger one would
	 * make every ClientHello large, so it is not kept. */
	TLS_TICKET_BYTES_MAX = 4096,
	/* Longest host name (RFC 1035 2.3.4) with its final dot. */
	TLS_HOST_BYTES_MAX = 256,
	/* A message behind the handshake: four bytes of head, at most 16 KB (BoringSSL's limit, too). Only
	 * tickets are larger than five bytes. */
	TLS_MESSAGE_BYTES_MAX = 4 + 16384,
	/* KeyUpdates without application data between them: each costs us a derivation and an answer.
	 * BoringSSL's limit is the same. */
	TLS_KEY_UPDATES_MAX = 32,
	/* Warning alerts in a row that are ignored, as in BoringSSL. */
	TLS_WARNING_ALERTS_MAX = 4,
};

enum tls_state {
	TLS_STATE_IDLE,
	TLS_STATE_HANDSHAKE,
	TLS_STATE_ESTABLISHED,
	TLS_STATE_CLOSED, /* close_notify received */
	TLS_STATE_BROKEN,
};

struct tls_context {
	SSL_CTX *ssl_context;
	BIO_METHOD *bio_method;
	enum tls_mode mode;
};

struct tls_secret {
	uint8_t bytes[TLS_SECRET_BYTES_MAX];
	size_t count;
};

struct tls {
	struct tls_context *context;
	SSL *ssl;
	SSL_SESSION *session; /* for the next connection to the same host; NULL: none */
	enum tls_state state;
	enum tls_mode mode; /* KTLS, INPLACE or SSL once established */
	enum fault fault;
	int resumed;
	int received_any;      /* a record of the peer has been seen */
	int key_update_due;    /* the answer to a KeyUpdate waits for room in the output */
	int key_update_asks;   /* and asks for one in return */
	int rekey_asked;       /* we asked the peer for a new key and did not get it yet */
	int own_layer;	       /* BoringSSL neither reads nor writes any more: `record` and `sender` do */
	int closing;	       /* close_notify or a fatal alert was sent: nothing may follow */
	int kernel_refused;    /* the kernel opens no records for this slot, for good */
	int kernel_waits;      /* it is to be offered a key when the caller has nothing left to open */
	int kernel_rekeys;     /* the key that it is to be offered is the next generation */
	uint64_t kernel_bytes; /* that it opened under one key */
	unsigned key_updates_in_a_row, warning_alerts_in_a_row;
	uint64_t records, key_updates;
	struct tls_record record;
	struct tls_sender sender;
	/* The traffic secrets on their way from the key log to the record layer. */
	struct tls_secret secrets[2]; /* by enum tls_side */
	uint8_t kernel_key[TLS_KERNEL_KEY_BYTES_MAX];
	/* What the BIO reads: always exactly one record, lent for the duration of tls_push(). */
	struct cursor_in record_window;
	/* What the BIO wrote: [output_next, output_end) waits to be sent. */
	size_t output_next, output_end;
	size_t message_bytes; /* of an incomplete handshake message in `message` */
	const char *version_name, *cipher_name;
	char error[TLS_ERROR_TEXT_BYTES_MAX];
	char host[TLS_HOST_BYTES_MAX];
	uint8_t output[TLS_OUTPUT_BYTES_MAX];
	uint8_t message[TLS_MESSAGE_BYTES_MAX];
};

/* tls.c */
struct tls *tls_of_ssl(const SSL *ssl);
/* Room behind what waits to be sent. */
size_t tls_output_room(const struct tls *tls);
/* Sends the KeyUpdate that is due, when there is room. */
void tls_flush_key_update(struct tls *tls);
/* Replaces the kept session; takes ownership. */
void tls_keep_session(struct tls *tls, SSL_SESSION *session);
/* Finds the next whole record for BoringSSL and puts it into record_window; `cipher` moves behind it.
 * DONE, HUNGRY or BROKEN. */
enum step tls_next_record_window(struct tls *tls, struct cursor_in *cipher);

/* tls_bio.c */
BIO_METHOD *tls_bio_method_create(void);
BIO *tls_bio_create(const BIO_METHOD *method, struct tls *tls);

/* tls_verify.c: SSL_CTX_set_verify's callback; writes tls->error. */
int tls_verify_callback(int accepted, X509_STORE_CTX *store_context);

/* tls_inplace.c */
int tls_inplace_take_over(struct tls *tls); /* 0, or -1: the suite is not ours */
enum step tls_inplace_push(struct tls *tls, struct cursor_in *cipher, struct cursor_out *plain);
/* Anything but application data, opened by whom ever. HUNGRY: go on. DONE: close_notify. BROKEN. */
enum step tls_inplace_other(struct tls *tls, const struct tls_opened *opened);
/* Each wants room in the output. */
void tls_inplace_write(struct tls *tls, struct span plain);
void tls_inplace_key_update(struct tls *tls);
void tls_inplace_alert(struct tls *tls, uint8_t level, uint8_t description);

/* tls_ssl.c */
enum step tls_ssl_push(struct tls *tls, struct cursor_in *cipher, struct cursor_out *plain);

/* tls_text.c: each makes the connection BROKEN and returns STEP_BROKEN. A sentence that is already there
 * (from the certificate check, or from an alert) is kept by tls_fail_ssl(). */
__attribute__((format(printf, 3, 4))) enum step tls_fail(struct tls *tls, enum fault fault,
							 const char *format, ...);
/* The same, and tells the peer with a fatal alert. */
enum step tls_fail_alert(struct tls *tls, enum fault fault, enum tls_alert alert, const char *why);
/* A BoringSSL call failed: `during` completes "the TLS handshake failed". */
enum step tls_fail_ssl(struct tls *tls, enum fault fault);
/* The peer's fatal alert. */
enum step tls_fail_peer_alert(struct tls *tls, uint8_t description);
/* SSL_CTX_set_info_callback: notes the peer's alerts. */
void tls_info_callback(const SSL *ssl, int type, int value);

#endif
