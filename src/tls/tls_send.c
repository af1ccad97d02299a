/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing of records to send. See tls_send.h; the formats are those that tls_record.c opens.
 */
#include "tls/tls_send.h"

#include <string.h>

#include <openssl/mem.h>

#include "base/check.h"
#include "tls/tls_record.h"

int tls_sender_init(struct tls_sender *sender, const struct tls_keys *keys)
{
	tls_sender_wipe(sender);
	sender->keys = *keys;
	return tls_keys_arm(&sender->keys, &sender->aead);
}

int tls_sender_update(struct tls_sender *sender)
{
	if (tls_keys_update(&sender->keys) < 0)
		return -1;
	EVP_AEAD_CTX_cleanup(&sender->aead);
	return tls_keys_arm(&sender->keys, &sender->aead);
}

void tls_sender_wipe(struct tls_sender *sender)
{
	EVP_AEAD_CTX_cleanup(&sender->aead); /* also right for all zeros */
	OPENSSL_cleanse(sender, sizeof *sender);
}

static int has_type_inside(const struct tls_sender *sender)
{
	return sender->keys.version == TLS_VERSION_13;
}

size_t tls_sender_record_bytes(const struct tls_sender *sender, size_t content_bytes)
{
	return TLS_HEADER_BYTES + sender->keys.nonce_explicit_bytes + content_bytes +
	       (size_t)has_type_inside(sender) + TLS_TAG_BYTES;
}

enum fault tls_sender_seal(struct tls_sender *sender, uint8_t type, struct span content,
			   struct cursor_out *target)
{
	struct tls_keys *keys = &sender->keys;
	size_t record_bytes = tls_sender_record_bytes(sender, content.bytes), sealed_bytes;
	size_t body_bytes = record_bytes - TLS_HEADER_BYTES;
	CHECK_LE(content.bytes, (size_t)TLS_CONTENT_BYTES_MAX);
	CHECK_LE(record_bytes, cursor_out_bytes(target));
	/* A nonce must not come twice: that would give the authentication key away. */
	if (keys->sequence >= (keys->is_gcm ? TLS_GCM_RECORDS_MAX : UINT64_MAX))
		return FAULT_TLS_LIMIT;

	uint8_t *header = target->next, *body = header + TLS_HEADER_BYTES;
	uint8_t nonce[TLS_IV_BYTES], additional[TLS_ADDITIONAL_BYTES_MAX];
	header[0] = has_type_inside(sender) ? TLS_CONTENT_APPLICATION : type;
	header[1] = header[2] = 3; /* both versions write 0x0303 here */
	header[3] = (uint8_t)(body_bytes >> 8);
	header[4] = (uint8_t)body_bytes;
	/* With GCM in TLS 1.2 the sequence number is the part of the nonce that is sent: unique by nature
	 * (RFC 5288 3). */
	uint64_t sequence = __builtin_bswap64(keys->sequence);
	memcpy(body, &sequence, keys->nonce_explicit_bytes);
	tls_keys_nonce(keys, body, nonce);
	body += keys->nonce_explicit_bytes;
	size_t additional_bytes = tls_keys_additional(keys, header, content.bytes, additional);
	if (content.bytes)
		memcpy(body, content.base, content.bytes);
	if (has_type_inside(sender))
		body[content.bytes] = type;
	size_t inner_bytes = content.bytes + (size_t)has_type_inside(sender);
	if (EVP_AEAD_CTX_seal(&sender->aead, body, &sealed_bytes, inner_bytes + TLS_TAG_BYTES, nonce,
			      sizeof nonce, body, inner_bytes, additional, additional_bytes) != 1)
		return FAULT_TLS_INTERNAL;
	CHECK_EQ(sealed_bytes, inner_bytes + TLS_TAG_BYTES);
	keys->sequence++;
	target->next += record_bytes;
	return FAULT_NONE;
}
