/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's write key, which is our read key: everything that is needed to open what comes next, in
 * one place. Whoever opens the records (our record layer, or the kernel through TLS_RX) takes it from
 * here. RFC 8446 7.1-7.3, RFC 5246 6.3, RFC 5288, RFC 7905.
 */
#ifndef TLS_TLS_KEYS_H
#define TLS_TLS_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/aead.h>

#define TLS_VERSION_12 0x0303
#define TLS_VERSION_13 0x0304

enum {
	TLS_SECRET_BYTES_MAX = 48, /* SHA-384 */
	TLS_KEY_BYTES_MAX = 32,	   /* AES-256, ChaCha20 */
	TLS_IV_BYTES = 12,
	TLS_TAG_BYTES = 16,
	/* GCM in TLS 1.2 sends eight of the twelve nonce bytes with each record (RFC 5288 3). */
	TLS_NONCE_EXPLICIT_BYTES = 8,
	TLS_NONCE_SALT_BYTES = 4,
};

struct tls_keys {
	uint16_t version; /* TLS_VERSION_12, TLS_VERSION_13 */
	uint16_t suite;	  /* IANA number of the cipher suite */
	uint8_t key_bytes;
	uint8_t secret_bytes;	      /* TLS 1.3 only */
	uint8_t nonce_explicit_bytes; /* 8 with GCM in TLS 1.2, else 0 */
	uint8_t is_gcm;
	uint64_t sequence; /* of the next record */
	uint8_t key[TLS_KEY_BYTES_MAX];
	uint8_t iv[TLS_IV_BYTES]; /* GCM in TLS 1.2: the first four bytes are the salt, the rest 0 */
	uint8_t secret[TLS_SECRET_BYTES_MAX]; /* TLS 1.3: SERVER_TRAFFIC_SECRET_N */
};

/* 1 when we know how to open records of this suite. */
int tls_keys_known_suite(uint16_t version, uint16_t suite);
/* TLS 1.3: derives key and iv from the traffic secret; sequence 0. Returns 0, or -1 when the suite is not
 * known or the secret has the wrong size. */
int tls_keys_from_secret(struct tls_keys *keys, uint16_t suite, const uint8_t *secret, size_t bytes);
/* TLS 1.2: cuts the server's half out of the key block; sequence 1 (Finished was 0). Returns 0 or -1. */
int tls_keys_from_block(struct tls_keys *keys, uint16_t suite, const uint8_t *block, size_t bytes);
/* TLS 1.3 KeyUpdate: the next generation; sequence 0. Returns 0 or -1. */
int tls_keys_update(struct tls_keys *keys);
const EVP_AEAD *tls_keys_aead(const struct tls_keys *keys);
void tls_keys_wipe(struct tls_keys *keys);

#endif
