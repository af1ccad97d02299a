/* SPDX-License-Identifier: Apache-2.0
 *
 * kTLS, receiving only: the kernel opens records that carry data; what else comes, and everything that we
 * send, stays with our record layer (requests are single records: the kernel would gain nothing there).
 * The socket is the caller's, so this file makes no system calls: it words the key for the kernel, and
 * understands what comes back. Documentation/networking/tls.rst of the kernel; <linux/tls.h>.
 */
#include <errno.h>
#include <linux/tls.h>
#include <string.h>

#include <openssl/mem.h>

#include "base/check.h"
#include "tls/tls_internal.h"

/* In the kernel's own header: the same four fields after the head, in sizes of their own. */
struct kernel_key {
	uint16_t suite_key_bytes;
	uint8_t is_gcm;
	uint16_t cipher;
	uint8_t iv_bytes, salt_bytes;
};

static const struct kernel_key formats[] = {
	{ 16, 1, TLS_CIPHER_AES_GCM_128, TLS_CIPHER_AES_GCM_128_IV_SIZE, TLS_CIPHER_AES_GCM_128_SALT_SIZE },
	{ 32, 1, TLS_CIPHER_AES_GCM_256, TLS_CIPHER_AES_GCM_256_IV_SIZE, TLS_CIPHER_AES_GCM_256_SALT_SIZE },
	{ 32, 0, TLS_CIPHER_CHACHA20_POLY1305, TLS_CIPHER_CHACHA20_POLY1305_IV_SIZE, 0 },
};

_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_128) == 40, "format of AES-128-GCM keys");
_Static_assert(sizeof(struct tls12_crypto_info_aes_gcm_256) == TLS_KERNEL_KEY_BYTES_MAX, "of AES-256-GCM");
_Static_assert(sizeof(struct tls12_crypto_info_chacha20_poly1305) == TLS_KERNEL_KEY_BYTES_MAX, "of ChaCha20");

/* head { version, cipher }, iv, key, salt, sequence number. GCM's twelve bytes are salt, iv; with TLS 1.2 the
 * peer sends the eight of the iv with each record, and those here are not looked at. */
static size_t word_key(const struct tls_keys *keys, uint8_t target[static TLS_KERNEL_KEY_BYTES_MAX])
{
	size_t i = 0, at = 0;
	while (formats[i].suite_key_bytes != keys->key_bytes || formats[i].is_gcm != keys->is_gcm)
		if (++i == sizeof formats / sizeof *formats)
			return 0;
	struct tls_crypto_info head = { .version = keys->version, .cipher_type = formats[i].cipher };
	uint64_t sequence = __builtin_bswap64(keys->sequence);
	memcpy(target + at, &head, sizeof head);
	at += sizeof head;
	memcpy(target + at, keys->iv + formats[i].salt_bytes, formats[i].iv_bytes);
	at += formats[i].iv_bytes;
	memcpy(target + at, keys->key, keys->key_bytes);
	at += keys->key_bytes;
	memcpy(target + at, keys->iv, formats[i].salt_bytes);
	at += formats[i].salt_bytes;
	memcpy(target + at, &sequence, sizeof sequence);
	return at + sizeof sequence;
}

struct span tls_kernel_key(struct tls *tls, int *ret_first)
{
	*ret_first = !tls->kernel_rekeys;
	/* A record that holds half a message is nobody's business but ours: the other half comes alike. */
	if (!tls->kernel_waits || tls->state != TLS_STATE_ESTABLISHED)
		return (struct span){ 0 };
	return span_of(tls->kernel_key, word_key(&tls->record.keys, tls->kernel_key));
}

void tls_kernel_answer(struct tls *tls, int error)
{
	int rekeys = tls->kernel_rekeys;
	OPENSSL_cleanse(tls->kernel_key, sizeof tls->kernel_key);
	tls->kernel_waits = tls->kernel_rekeys = 0;
	tls->kernel_bytes = 0;
	if (!error) {
		tls->mode = TLS_MODE_KTLS;
		return;
	}
	tls->kernel_refused |= error != ENOTCONN;
	if (rekeys)
		tls_fail(tls, FAULT_TLS_KERNEL_KEY,
			 "the server changed its key and the kernel cannot follow (Linux 6.14 can): the next "
			 "connection is decrypted in user space");
}

void tls_kernel_refuse(struct tls *tls)
{
	tls->kernel_refused = 1;
}

size_t tls_receive_bytes_max(const struct tls *tls, const struct cursor_in *cipher)
{
	size_t bytes = cursor_in_bytes(cipher);
	if (!tls->kernel_waits || tls->state != TLS_STATE_ESTABLISHED || !bytes)
		return SIZE_MAX;
	if (bytes < TLS_HEADER_BYTES)
		return TLS_HEADER_BYTES - bytes;
	size_t record_bytes = TLS_HEADER_BYTES + ((size_t)cipher->next[3] << 8 | cipher->next[4]);
	return record_bytes > bytes ? record_bytes - bytes : SIZE_MAX;
}

int tls_in_kernel(const struct tls *tls)
{
	return tls->mode == TLS_MODE_KTLS && tls->own_layer;
}

enum step tls_kernel_received(struct tls *tls, size_t bytes)
{
	if (tls->state != TLS_STATE_ESTABLISHED)
		return tls->state == TLS_STATE_BROKEN ? STEP_BROKEN : STEP_DONE;
	if (tls->message_bytes) /* RFC 8446 5.1 */
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE,
				      "data came in the middle of a handshake message");
	tls->key_updates_in_a_row = tls->warning_alerts_in_a_row = 0;
	tls->kernel_bytes += bytes;
	/* RFC 8446 5.5 speaks of full records; the kernel does not tell how many came. A new key is not asked
	 * for before, because most kernels could not take it. */
	if (tls->record.keys.is_gcm && tls->kernel_bytes / TLS_CONTENT_BYTES_MAX >= TLS_GCM_RECORDS_MAX)
		return tls_fail_alert(tls, FAULT_TLS_LIMIT, TLS_ALERT_INTERNAL_ERROR,
				      "more came under one AES-GCM key than is safe (2^24.5 records)");
	return STEP_HUNGRY;
}

enum step tls_kernel_record(struct tls *tls, uint8_t type, struct span content)
{
	struct tls_opened opened = { .type = type, .bytes = content };
	CHECK_EQ(tls_in_kernel(tls), 1);
	if (tls->state != TLS_STATE_ESTABLISHED)
		return tls->state == TLS_STATE_BROKEN ? STEP_BROKEN : STEP_DONE;
	tls->records++;
	return tls_inplace_other(tls, &opened);
}

enum step tls_kernel_error(struct tls *tls, int error)
{
	switch (error) {
	case EBADMSG:
		return tls_fail_alert(tls, FAULT_TLS_AUTHENTICATION, TLS_ALERT_BAD_RECORD_MAC,
				      "a record failed authentication: it was damaged or forged on the way");
	case EINVAL:
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_PROTOCOL_VERSION,
				      "a record carries the wrong protocol version");
	case EMSGSIZE:
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW,
				      "a record is longer than the protocol allows");
	case EKEYEXPIRED:
		return tls_fail_alert(tls, FAULT_TLS_KERNEL_KEY, TLS_ALERT_INTERNAL_ERROR,
				      "the kernel waits for a key that the server did not announce");
	default:
		return STEP_HUNGRY;
	}
}
