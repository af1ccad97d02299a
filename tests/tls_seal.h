/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending half of a record layer, for tests: makes any record, valid or not, under given keys. Written
 * apart from the code under test: nonce and additional data are built from the RFCs again.
 */
#ifndef TESTS_TLS_SEAL_H
#define TESTS_TLS_SEAL_H

#include <openssl/aead.h>

#include "tls/tls_record.h"

struct seal {
	struct tls_keys keys;
	EVP_AEAD_CTX aead;
};

__attribute__((unused)) static int seal_init(struct seal *seal, const struct tls_keys *keys)
{
	seal->keys = *keys;
	EVP_AEAD_CTX_zero(&seal->aead);
	return EVP_AEAD_CTX_init(&seal->aead, tls_keys_aead(keys), keys->key, keys->key_bytes, 16, NULL);
}

/* What a sender does behind its KeyUpdate. */
__attribute__((unused)) static void seal_update(struct seal *seal)
{
	tls_keys_update(&seal->keys);
	EVP_AEAD_CTX_cleanup(&seal->aead);
	EVP_AEAD_CTX_init(&seal->aead, tls_keys_aead(&seal->keys), seal->keys.key, seal->keys.key_bytes, 16,
			  NULL);
}

struct seal_shape {
	uint8_t outer_type; /* 0: as the version wants it */
	uint8_t type;
	size_t padding_bytes; /* TLS 1.3 */
};

/* Writes a record to `target`, which has room for content, padding and 40 bytes; returns its size. */
__attribute__((unused)) static size_t seal_record(struct seal *seal, struct seal_shape shape,
						  const uint8_t *content, size_t bytes, uint8_t *target)
{
	struct tls_keys *keys = &seal->keys;
	int is_13 = keys->version == TLS_VERSION_13;
	size_t explicit_bytes = keys->nonce_explicit_bytes;
	size_t inner_bytes = bytes + (is_13 ? 1 + shape.padding_bytes : 0);
	size_t body_bytes = explicit_bytes + inner_bytes + 16;
	uint8_t nonce[12], additional[13], sequence[8];

	for (int i = 0; i < 8; i++)
		sequence[i] = (uint8_t)(keys->sequence >> (56 - 8 * i));
	uint8_t type = shape.outer_type ? shape.outer_type : is_13 ? 23 : shape.type;
	uint8_t header[5] = { type, 3, 3, (uint8_t)(body_bytes >> 8), (uint8_t)body_bytes };
	memcpy(target, header, 5);

	memcpy(nonce, keys->iv, 12);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = explicit_bytes ? sequence[i] : nonce[4 + i] ^ sequence[i];
	memcpy(target + 5, nonce + 4, explicit_bytes);

	uint8_t *inner = target + 5 + explicit_bytes;
	memcpy(inner, content, bytes);
	if (is_13) {
		inner[bytes] = shape.type;
		memset(inner + bytes + 1, 0, shape.padding_bytes);
	}
	memcpy(additional, sequence, 8);
	memcpy(additional + 8, header, 3);
	additional[11] = (uint8_t)(inner_bytes >> 8);
	additional[12] = (uint8_t)inner_bytes;
	size_t sealed_bytes;
	EVP_AEAD_CTX_seal(&seal->aead, inner, &sealed_bytes, inner_bytes + 16, nonce, sizeof nonce, inner,
			  inner_bytes, is_13 ? header : additional, is_13 ? 5 : 13);
	keys->sequence++;
	return 5 + body_bytes;
}

#endif
