/* SPDX-License-Identifier: Apache-2.0
 *
 * Both directions through our record layer: received application data goes straight to the caller, requests
 * straight to the output, and the few other things that may come or go after a handshake are handled here.
 * RFC 8446 4.6, 5, 6; RFC 5246 7. BoringSSL is shown tickets only; it writes nothing after the handshake, so
 * that each sequence number is used once.
 */
#include <openssl/err.h>
#include <openssl/mem.h>

#include "tls/tls_internal.h"

enum {
	MESSAGE_HEAD_BYTES = 4, /* type, 24 bits of length */
	MESSAGE_HELLO_REQUEST = 0,
	MESSAGE_NEW_SESSION_TICKET = 4,
	MESSAGE_KEY_UPDATE = 24,
	ALERT_BYTES = 2,
	ALERT_USER_CANCELED = 90,
};

static int keys_of_12(struct tls *tls, uint16_t suite, struct tls_keys keys[static 2])
{
	/* Twice key and iv, of at most 32 and 12 bytes. */
	uint8_t block[2 * (TLS_KEY_BYTES_MAX + TLS_IV_BYTES)];
	size_t bytes = SSL_get_key_block_len(tls->ssl);
	int result = -1;
	if (bytes > sizeof block || SSL_generate_key_block(tls->ssl, block, bytes) != 1)
		return -1;
	if (tls_keys_from_block(&keys[TLS_SIDE_CLIENT], suite, block, bytes, TLS_SIDE_CLIENT) == 0)
		result = tls_keys_from_block(&keys[TLS_SIDE_SERVER], suite, block, bytes, TLS_SIDE_SERVER);
	OPENSSL_cleanse(block, sizeof block);
	return result;
}

static int keys_of_13(const struct tls *tls, uint16_t suite, struct tls_keys keys[static 2])
{
	for (size_t side = 0; side < 2; side++) {
		const struct tls_secret *secret = &tls->secrets[side];
		if (tls_keys_from_secret(&keys[side], suite, secret->bytes, secret->count) < 0)
			return -1;
	}
	return 0;
}

int tls_inplace_take_over(struct tls *tls)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);
	uint16_t suite = SSL_CIPHER_get_protocol_id(cipher), version = (uint16_t)SSL_version(tls->ssl);
	struct tls_keys keys[2] = { 0 };
	int result = -1;

	if (version == TLS_VERSION_13)
		result = keys_of_13(tls, suite, keys);
	else if (version == TLS_VERSION_12)
		result = keys_of_12(tls, suite, keys);
	/* What BoringSSL would expect and send next is what we do next; if not, our picture is wrong. */
	if (result == 0 && (keys[TLS_SIDE_SERVER].sequence != SSL_get_read_sequence(tls->ssl) ||
			    keys[TLS_SIDE_CLIENT].sequence != SSL_get_write_sequence(tls->ssl)))
		result = -1;
	if (result == 0)
		result = tls_record_init(&tls->record, &keys[TLS_SIDE_SERVER]);
	if (result == 0)
		result = tls_sender_init(&tls->sender, &keys[TLS_SIDE_CLIENT]);
	OPENSSL_cleanse(keys, sizeof keys);
	tls->own_layer = result == 0;
	return result;
}

/* Behind what waits in the output. The caller has made sure of the room. */
static enum fault send_record(struct tls *tls, uint8_t type, struct span content)
{
	struct cursor_out room = { tls->output + tls->output_end, tls->output + sizeof tls->output };
	enum fault fault = tls_sender_seal(&tls->sender, type, content, &room);
	tls->output_end = (size_t)(room.next - tls->output);
	if (fault == FAULT_TLS_LIMIT)
		tls_fail(tls, fault, "more records were sent under one AES-GCM key than are safe (2^24.5)");
	else if (fault != FAULT_NONE)
		tls_fail(tls, fault, "a record could not be sealed");
	return fault;
}

void tls_inplace_key_update(struct tls *tls)
{
	uint8_t message[] = { MESSAGE_KEY_UPDATE, 0, 0, 1, (uint8_t)tls->key_update_asks };
	tls->key_update_due = tls->key_update_asks = 0;
	if (tls->closing || send_record(tls, TLS_CONTENT_HANDSHAKE, span_of(message, sizeof message)))
		return;
	if (tls_sender_update(&tls->sender) < 0)
		tls_fail(tls, FAULT_TLS_INTERNAL, "the next key to send with could not be derived");
}

void tls_inplace_alert(struct tls *tls, uint8_t level, uint8_t description)
{
	uint8_t alert[ALERT_BYTES] = { level, description };
	if (tls->closing || tls_output_room(tls) < TLS_OUTPUT_BYTES_SPARE)
		return;
	send_record(tls, TLS_CONTENT_ALERT, span_of(alert, sizeof alert));
	tls->closing = 1;
}

void tls_inplace_write(struct tls *tls, struct span plain)
{
	const struct tls_keys *keys = &tls->sender.keys;
	if (tls->closing) {
		tls_fail(tls, FAULT_TLS_INTERNAL, "a request was written behind the end of what is sent");
		return;
	}
	/* RFC 8446 5.5: also the key that we send with grows old. TLS 1.2 cannot change it, and stops. */
	if (keys->is_gcm && keys->version == TLS_VERSION_13 && keys->sequence >= TLS_GCM_RECORDS_ASK)
		tls->key_update_due = 1;
	/* RFC 8446 4.6.3: an answer that waits for room goes before our next data. */
	if (tls->key_update_due)
		tls_inplace_key_update(tls);
	if (tls->fault == FAULT_NONE)
		send_record(tls, TLS_CONTENT_APPLICATION, plain);
}

static enum step unexpected(struct tls *tls, const char *why)
{
	return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE, why);
}

/* The limit is ours; the alert is what BoringSSL and OpenSSL send for theirs. */
static enum step too_long(struct tls *tls)
{
	return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_ILLEGAL_PARAMETER,
			      "a handshake message after the handshake is too long");
}

static enum step handle_ticket(struct tls *tls, const uint8_t *message, size_t bytes)
{
	ERR_clear_error();
	SSL_SESSION *session = SSL_process_tls13_new_session_ticket(tls->ssl, message, bytes);
	if (!session) {
		ERR_clear_error();
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_DECODE_ERROR,
				      "a session ticket of the server is malformed");
	}
	tls_keep_session(tls, session);
	return STEP_DONE;
}

static enum step handle_key_update(struct tls *tls, const uint8_t *message, size_t bytes, int is_last)
{
	if (bytes != MESSAGE_HEAD_BYTES + 1)
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_DECODE_ERROR,
				      "a key update of the server is malformed");
	if (message[MESSAGE_HEAD_BYTES] > SSL_KEY_UPDATE_REQUESTED) /* RFC 8446 4.6.3 */
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_ILLEGAL_PARAMETER,
				      "a key update of the server is malformed");
	if (!is_last) /* RFC 8446 5.1: a key change ends a record */
		return unexpected(tls, "a key update is not the last message of its record");
	if (++tls->key_updates_in_a_row > TLS_KEY_UPDATES_MAX)
		return tls_fail_alert(tls, FAULT_TLS_LIMIT, TLS_ALERT_UNEXPECTED_MESSAGE,
				      "too many key updates came without data (limit 32)");
	if (tls_record_update(&tls->record) < 0)
		return tls_fail_alert(tls, FAULT_TLS_INTERNAL, TLS_ALERT_INTERNAL_ERROR,
				      "the next key could not be derived");
	tls->key_updates++;
	tls->rekey_asked = 0;
	if (tls->mode == TLS_MODE_KTLS)
		tls->kernel_waits = tls->kernel_rekeys = 1;
	if (message[MESSAGE_HEAD_BYTES] == SSL_KEY_UPDATE_REQUESTED) {
		tls->key_update_due = 1;
		tls_flush_key_update(tls);
	}
	return tls->state == TLS_STATE_BROKEN ? STEP_BROKEN : STEP_DONE;
}

static enum step handle_message(struct tls *tls, const uint8_t *message, size_t bytes, int is_last)
{
	if (tls->record.keys.version == TLS_VERSION_12) {
		if (message[0] == MESSAGE_HELLO_REQUEST && bytes == MESSAGE_HEAD_BYTES)
			return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_NO_RENEGOTIATION,
					      "the server asks to renegotiate, which is never done");
		return unexpected(tls, "a handshake message came after the handshake");
	}
	if (message[0] == MESSAGE_NEW_SESSION_TICKET)
		return handle_ticket(tls, message, bytes);
	if (message[0] == MESSAGE_KEY_UPDATE)
		return handle_key_update(tls, message, bytes, is_last);
	return unexpected(tls, "a handshake message came that is not allowed after the handshake");
}

/* A record may hold several messages, and a message may span records: collect, then split. */
static enum step handle_handshake(struct tls *tls, struct span content)
{
	if (!content.bytes) /* RFC 8446 5.1 */
		return unexpected(tls, "an empty handshake record came");
	if (content.bytes > sizeof tls->message - tls->message_bytes)
		return too_long(tls);
	memcpy(tls->message + tls->message_bytes, content.base, content.bytes);
	tls->message_bytes += content.bytes;

	size_t at = 0;
	while (tls->message_bytes - at >= MESSAGE_HEAD_BYTES) {
		const uint8_t *message = tls->message + at;
		size_t bytes = MESSAGE_HEAD_BYTES +
			       ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
		if (bytes > sizeof tls->message)
			return too_long(tls);
		if (bytes > tls->message_bytes - at)
			break;
		at += bytes;
		if (handle_message(tls, message, bytes, at == tls->message_bytes) == STEP_BROKEN)
			return STEP_BROKEN;
	}
	memmove(tls->message, tls->message + at, tls->message_bytes - at);
	tls->message_bytes -= at;
	return STEP_HUNGRY;
}

static enum step handle_alert(struct tls *tls, struct span content)
{
	if (!content.bytes) /* RFC 8446 5.1 */
		return unexpected(tls, "an empty alert record came");
	if (content.bytes != ALERT_BYTES)
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_DECODE_ERROR,
				      "an alert of the server is malformed");
	uint8_t level = content.base[0], description = content.base[1];
	if (level != TLS_ALERT_LEVEL_WARNING &&
	    level != TLS_ALERT_LEVEL_FATAL) /* RFC 8446 6: an invalid enum */
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_ILLEGAL_PARAMETER,
				      "an alert of the server is of no level");
	if (description == TLS_ALERT_CLOSE_NOTIFY && level == TLS_ALERT_LEVEL_WARNING) {
		tls->state = TLS_STATE_CLOSED;
		return STEP_DONE;
	}
	/* In TLS 1.3 the level means nothing: all but user_canceled end the connection. */
	int is_13 = tls->record.keys.version == TLS_VERSION_13;
	if (level == TLS_ALERT_LEVEL_FATAL || (is_13 && description != ALERT_USER_CANCELED))
		return tls_fail_peer_alert(tls, description);
	if (++tls->warning_alerts_in_a_row > TLS_WARNING_ALERTS_MAX)
		return tls_fail_alert(tls, FAULT_TLS_LIMIT, TLS_ALERT_UNEXPECTED_MESSAGE,
				      "too many warning alerts came in a row (limit 4)");
	return STEP_HUNGRY;
}

enum step tls_inplace_other(struct tls *tls, const struct tls_opened *opened)
{
	if (opened->type == TLS_CONTENT_ALERT)
		return handle_alert(tls, opened->bytes);
	tls->warning_alerts_in_a_row = 0;
	if (opened->type == TLS_CONTENT_HANDSHAKE)
		return handle_handshake(tls, opened->bytes);
	return unexpected(tls, "a record of an unexpected type came");
}

static void ask_for_new_key(struct tls *tls)
{
	if (tls->rekey_asked || !tls->record.keys.is_gcm || tls->record.keys.version != TLS_VERSION_13 ||
	    tls->record.keys.sequence < TLS_GCM_RECORDS_ASK)
		return;
	tls->rekey_asked = tls->key_update_asks = tls->key_update_due = 1;
	tls_flush_key_update(tls);
}

enum step tls_inplace_push(struct tls *tls, struct cursor_in *cipher, struct cursor_out *plain)
{
	struct tls_opened opened;
	for (;;) {
		enum step step = tls_record_open(&tls->record, cipher, plain, &opened);
		if (step == STEP_BROKEN)
			return tls_fail_alert(tls, tls->record.fault, tls->record.alert, tls->record.why);
		if (step != STEP_DONE)
			return step;
		tls->records++;
		if (opened.type != TLS_CONTENT_APPLICATION) {
			step = tls_inplace_other(tls, &opened);
			if (step != STEP_HUNGRY)
				return step;
			continue;
		}
		if (tls->message_bytes) /* RFC 8446 5.1 */
			return unexpected(tls, "data came in the middle of a handshake message");
		tls->warning_alerts_in_a_row = 0;
		if (opened.bytes.bytes)
			tls->key_updates_in_a_row = 0;
		plain->next += opened.bytes.bytes;
		ask_for_new_key(tls);
	}
}
