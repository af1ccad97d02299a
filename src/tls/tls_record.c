/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening of received records. See tls_record.h.
 *
 * struct { uint8 type; uint16 version; uint16 length; opaque body[length]; }
 * TLS 1.3 body: AEAD(content, uint8 type, uint8 zeros[]) and tag; additional data is the header.
 * TLS 1.2 body: explicit nonce (GCM), AEAD(content) and tag; additional data is sequence, type, version,
 * content length.
 */
#include "tls/tls_record.h"

#include <string.h>

#include <openssl/mem.h>

/* One size for all versions and both sides of the handshake; the exact limit is the opener's. */
int tls_record_measure(const struct cursor_in *cipher)
{
	if (cursor_in_bytes(cipher) < TLS_HEADER_BYTES)
		return 0;
	size_t body_bytes = (size_t)cipher->next[3] << 8 | cipher->next[4];
	if (body_bytes > TLS_BODY_BYTES_MAX_12)
		return -1;
	if (cursor_in_bytes(cipher) - TLS_HEADER_BYTES < body_bytes)
		return 0;
	return (int)(TLS_HEADER_BYTES + body_bytes);
}

int tls_record_init(struct tls_record *record, const struct tls_keys *keys)
{
	tls_record_wipe(record);
	record->keys = *keys;
	return tls_keys_arm(&record->keys, &record->aead);
}

int tls_record_update(struct tls_record *record)
{
	if (tls_keys_update(&record->keys) < 0)
		return -1;
	EVP_AEAD_CTX_cleanup(&record->aead);
	return tls_keys_arm(&record->keys, &record->aead);
}

void tls_record_wipe(struct tls_record *record)
{
	EVP_AEAD_CTX_cleanup(&record->aead); /* also right for all zeros */
	OPENSSL_cleanse(record, sizeof *record);
}

static enum step broken(struct tls_record *record, enum fault fault, enum tls_alert alert, const char *why)
{
	record->fault = fault;
	record->alert = alert;
	record->why = why;
	return STEP_BROKEN;
}

/* TLS 1.3: what follows the last non-zero byte is padding, that byte is the type. The search goes back eight
 * bytes at a time, so that a maximally padded record costs no more than its decryption. */
static int strip_padding(const uint8_t *inner, size_t *bytes, uint8_t *type)
{
	size_t end = *bytes;
	while (end >= 8) {
		uint64_t word;
		memcpy(&word, inner + end - 8, sizeof word);
		if (word)
			break;
		end -= 8;
	}
	while (end && inner[end - 1] == 0)
		end--;
	if (!end)
		return -1;
	*type = inner[end - 1];
	*bytes = end - 1;
	return 0;
}

/* What can be said of a record before its body is there. */
static enum step check_header(struct tls_record *record, const uint8_t *header, size_t body_bytes)
{
	const struct tls_keys *keys = &record->keys;
	int is_13 = keys->version == TLS_VERSION_13;

	if (header[1] != 3 || header[2] != 3) /* both versions write 0x0303 here */
		return broken(record, FAULT_TLS_RECORD, TLS_ALERT_PROTOCOL_VERSION,
			      "a record carries the wrong protocol version");
	if (is_13 ? header[0] != TLS_CONTENT_APPLICATION
		  : (header[0] < TLS_CONTENT_CHANGE_CIPHER_SPEC || header[0] > TLS_CONTENT_APPLICATION))
		return broken(record, FAULT_TLS_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE,
			      "a record has a type that is not allowed here");
	if (body_bytes > (is_13 ? TLS_BODY_BYTES_MAX_13 : TLS_BODY_BYTES_MAX_12))
		return broken(record, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW,
			      "a record is longer than the protocol allows");
	/* RFC 8446 6.2: one alert for all that cannot be deprotected. */
	if (body_bytes < (size_t)keys->nonce_explicit_bytes + TLS_TAG_BYTES)
		return broken(record, FAULT_TLS_AUTHENTICATION, TLS_ALERT_BAD_RECORD_MAC,
			      "a record is too short to be authentic");
	if (keys->is_gcm && keys->sequence >= TLS_GCM_RECORDS_MAX)
		return broken(record, FAULT_TLS_LIMIT, TLS_ALERT_INTERNAL_ERROR,
			      "more records came under one AES-GCM key than are safe (2^24.5)");
	return STEP_DONE;
}

/* Decrypts the body behind `header` to `target`; returns the inner size, or 0 with *authentic = 0. */
static size_t decrypt(const struct tls_record *record, const uint8_t *header, size_t body_bytes,
		      uint8_t *target, size_t target_bytes, int *authentic)
{
	const struct tls_keys *keys = &record->keys;
	const uint8_t *body = header + TLS_HEADER_BYTES;
	size_t inner_bytes = 0;
	uint8_t nonce[TLS_IV_BYTES], additional[TLS_ADDITIONAL_BYTES_MAX];

	tls_keys_nonce(keys, body, nonce);
	body += keys->nonce_explicit_bytes;
	body_bytes -= keys->nonce_explicit_bytes;
	size_t additional_bytes = tls_keys_additional(keys, header, body_bytes - TLS_TAG_BYTES, additional);
	*authentic = EVP_AEAD_CTX_open(&record->aead, target, &inner_bytes, target_bytes, nonce, sizeof nonce,
				       body, body_bytes, additional, additional_bytes);
	return inner_bytes;
}

enum step tls_record_open(struct tls_record *record, struct cursor_in *cipher, const struct cursor_out *plain,
			  struct tls_opened *opened)
{
	if (record->fault != FAULT_NONE)
		return STEP_BROKEN;
	if (cursor_in_bytes(cipher) < TLS_HEADER_BYTES)
		return STEP_HUNGRY;

	const uint8_t *header = cipher->next;
	size_t body_bytes = (size_t)header[3] << 8 | header[4];
	if (check_header(record, header, body_bytes) == STEP_BROKEN)
		return STEP_BROKEN;
	if (cursor_in_bytes(cipher) - TLS_HEADER_BYTES < body_bytes)
		return STEP_HUNGRY;
	/* The room is checked before opening: a record is opened once. */
	if (body_bytes - record->keys.nonce_explicit_bytes - TLS_TAG_BYTES > cursor_out_bytes(plain))
		return STEP_FULL;

	int authentic;
	size_t bytes = decrypt(record, header, body_bytes, plain->next, cursor_out_bytes(plain), &authentic);
	if (!authentic)
		return broken(record, FAULT_TLS_AUTHENTICATION, TLS_ALERT_BAD_RECORD_MAC,
			      "a record failed authentication: it was damaged or forged on the way");
	record->keys.sequence++;
	record->records++;
	uint8_t type = header[0];
	int is_13 = record->keys.version == TLS_VERSION_13;
	if (bytes > TLS_CONTENT_BYTES_MAX + (is_13 ? 1 : 0))
		return broken(record, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW,
			      "a record's content is longer than 16384 bytes");
	if (is_13 && strip_padding(plain->next, &bytes, &type) < 0)
		return broken(record, FAULT_TLS_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE,
			      "a record consists of padding only");
	record->empty_records = bytes ? 0 : record->empty_records + 1;
	if (record->empty_records > TLS_EMPTY_RECORDS_MAX)
		return broken(record, FAULT_TLS_LIMIT, TLS_ALERT_UNEXPECTED_MESSAGE,
			      "too many empty records came in a row (limit 32)");
	cipher->next += TLS_HEADER_BYTES + body_bytes;
	*opened = (struct tls_opened){ .type = type, .bytes = { plain->next, bytes } };
	return STEP_DONE;
}
