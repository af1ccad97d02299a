/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults as sentences: what went wrong, who noticed, and what a person can do about it.
 */
#include <stdarg.h>
#include <stdio.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

enum step tls_fail(struct tls *tls, enum fault fault, const char *format, ...)
{
	va_list arguments;
	tls->state = TLS_STATE_BROKEN;
	tls->fault = fault;
	tls->record_window = (struct cursor_in){ 0 }; /* lent until now */
	va_start(arguments, format);
	vsnprintf(tls->error, sizeof tls->error, format, arguments);
	va_end(arguments);
	return STEP_BROKEN;
}

enum step tls_fail_alert(struct tls *tls, enum fault fault, enum tls_alert alert, const char *why)
{
	/* Best effort: the peer learns why, if there is room and if it still listens. */
	ERR_clear_error();
	if (tls->own_layer)
		tls_inplace_alert(tls, TLS_ALERT_LEVEL_FATAL, (uint8_t)alert);
	else if (tls->ssl && tls_output_room(tls) >= TLS_OUTPUT_BYTES_SPARE)
		SSL_send_fatal_alert(tls->ssl, (uint8_t)alert);
	ERR_clear_error();
	return tls_fail(tls, fault, "%s", why);
}

enum step tls_fail_peer_alert(struct tls *tls, uint8_t description)
{
	return tls_fail(tls, FAULT_TLS_ALERT, "the server %s with the TLS alert \"%s\" (%u)",
			tls->version_name[0] ? "ended the connection" : "refused the handshake",
			SSL_alert_desc_string_long(description), description);
}

void tls_info_callback(const SSL *ssl, int type, int value)
{
	struct tls *tls = tls_of_ssl(ssl);
	/* Only alerts that end the connection: in TLS 1.3 all but two, whatever level they claim (RFC 8446
	 * 6). */
	int description = value & 0xff, fatal = value >> 8 == SSL3_AL_FATAL;
	if (SSL_version(ssl) == TLS1_3_VERSION && description != SSL_AD_USER_CANCELLED)
		fatal = 1;
	/* A close_notify that calls itself fatal is no proper end: BoringSSL breaks off as well. */
	int closes = description == SSL_AD_CLOSE_NOTIFY && value >> 8 != SSL3_AL_FATAL;
	if (type == SSL_CB_READ_ALERT && fatal && !closes)
		tls_fail_peer_alert(tls, (uint8_t)description);
}

/* What people meet in practice, in words. The rest keeps BoringSSL's name. */
static const char *reason_sentence(int reason, enum fault fault)
{
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
		if (fault != FAULT_TLS_HANDSHAKE)
			return "a record carries the wrong protocol version";
		[[fallthrough]];
	case SSL_R_UNSUPPORTED_PROTOCOL:
		return "the server offers neither TLS 1.2 nor TLS 1.3 (as far as they are allowed here)";
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_WRONG_CIPHER_RETURNED:
	case SSL_R_UNKNOWN_CIPHER_RETURNED:
		return "the server chose a cipher suite that was not offered";
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
		return "a record failed authentication: it was damaged or forged on the way";
	case SSL_R_BAD_PACKET_LENGTH:
		return "a record is too short to be authentic";
	case SSL_R_TOO_MANY_EMPTY_FRAGMENTS:
		return "too many empty records came in a row (limit 32)";
	case SSL_R_TOO_MANY_KEY_UPDATES:
		return "too many key updates came without data (limit 32)";
	case SSL_R_TOO_MANY_WARNING_ALERTS:
		return "too many warning alerts came in a row (limit 4)";
	case SSL_R_NO_RENEGOTIATION:
		return "the server asks to renegotiate, which is never done";
	default:
		return NULL;
	}
}

static enum fault reason_fault(int reason, enum fault otherwise)
{
	switch (reason) {
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
	case SSL_R_BAD_PACKET_LENGTH:
		return otherwise == FAULT_TLS_HANDSHAKE ? otherwise : FAULT_TLS_AUTHENTICATION;
	case SSL_R_TOO_MANY_EMPTY_FRAGMENTS:
	case SSL_R_TOO_MANY_KEY_UPDATES:
	case SSL_R_TOO_MANY_WARNING_ALERTS:
		return FAULT_TLS_LIMIT;
	default:
		return otherwise;
	}
}

enum step tls_fail_ssl(struct tls *tls, enum fault fault)
{
	/* What the protocol says is worth more than what a primitive under it says. */
	uint32_t error = ERR_get_error(), next = error;
	while (next && ERR_GET_LIB(next) != ERR_LIB_SSL)
		next = ERR_get_error();
	error = next ? next : error;
	int reason = next ? ERR_GET_REASON(next) : 0;
	ERR_clear_error();
	if (tls->fault != FAULT_NONE) { /* a peer's alert, or the certificate check */
		tls->state = TLS_STATE_BROKEN;
		return STEP_BROKEN;
	}
	const char *sentence = reason_sentence(reason, fault);
	fault = reason_fault(reason, fault);
	const char *what = fault == FAULT_TLS_HANDSHAKE ? "the TLS handshake failed: " : "";
	if (sentence)
		return tls_fail(tls, fault, "%s%s", what, sentence);
	const char *name = error ? ERR_reason_error_string(error) : NULL;
	return tls_fail(tls, fault, "%s%s", fault == FAULT_TLS_HANDSHAKE ? what : "the TLS library says ",
			name ? name : "no reason given");
}

enum fault tls_fault(const struct tls *tls)
{
	return tls->fault;
}

const char *tls_error_text(const struct tls *tls)
{
	return tls->error;
}
