/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction's key: everything that is needed to open (the server's) or seal (ours) what comes next, in
 * one place. Whoever does it (our record layer, or the kernel through TLS_RX) takes it from here, and so do
 * both directions the two things that a record's AEAD wants besides. RFC 8446 5.2, 5.3, 7.1-7.3, RFC 5246
 * 6.2.3.3, 6.3, RFC 5288, RFC 7905.
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
	TLS_HEADER_BYTES = 5,
	TLS_ADDITIONAL_BYTES_MAX = 13,
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
	uint8_t secret[TLS_SECRET_BYTES_MAX]; /* TLS 1.3: the side's TRAFFIC_SECRET_N */
};

enum tls_side {
	TLS_SIDE_CLIENT,
	TLS_SIDE_SERVER,
};

/* 1 when we know how to open records of this suite. */
int tls_keys_known_suite(uint16_t version, uint16_t suite);
/* TLS 1.3: derives key and iv from the traffic secret; sequence 0. Returns 0, or -1 when the suite is not
 * known or the secret has the wrong size. */
int tls_keys_from_secret(struct tls_keys *keys, uint16_t suite, const uint8_t *secret, size_t bytes);
/* TLS 1.2: cuts what `writer` writes with out of the key block; sequence 1 (Finished was 0). Returns 0 or -1.
 */
int tls_keys_from_block(struct tls_keys *keys, uint16_t suite, const uint8_t *block, size_t bytes,
			enum tls_side writer);
/* TLS 1.3 KeyUpdate: the next generation; sequence 0. Returns 0 or -1. */
int tls_keys_update(struct tls_keys *keys);
const EVP_AEAD *tls_keys_aead(const struct tls_keys *keys);
/* Sets an `aead` that holds nothing (all zeros, or cleaned up) to this key. Returns 0 or -1. */
int tls_keys_arm(const struct tls_keys *keys, EVP_AEAD_CTX *aead);
/* The nonce of the record `sequence`; `explicit_bytes` are the eight that it carries itself (GCM in TLS 1.2;
 * else not looked at). */
void tls_keys_nonce(const struct tls_keys *keys, const uint8_t *explicit_bytes,
		    uint8_t nonce[static TLS_IV_BYTES]);
/* The additional data of the record `sequence` with this header; returns its size. */
size_t tls_keys_additional(const struct tls_keys *keys, const uint8_t header[static TLS_HEADER_BYTES],
			   size_t content_bytes, uint8_t additional[static TLS_ADDITIONAL_BYTES_MAX]);
void tls_keys_wipe(struct tls_keys *keys);

#endif
