/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection slot: life cycle, handshake, sending. See tls_internal.h for the room's map.
 */
#include <arpa/inet.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "tls/tls_internal.h"

static const char closed_early[] = "the server closed the connection during the TLS handshake";

struct tls *tls_of_ssl(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

struct tls *tls_create(struct tls_context *context, struct arena *arena)
{
	struct tls *tls = arena_take(arena, sizeof *tls, 64);
	tls->context = context;
	tls->version_name = tls->cipher_name = "";
	return tls;
}

void tls_keep_session(struct tls *tls, SSL_SESSION *session)
{
	size_t bytes;
	SSL_SESSION_get0_ticket(session, NULL, &bytes);
	if (bytes > TLS_TICKET_BYTES_MAX) {
		SSL_SESSION_free(session);
		return;
	}
	SSL_SESSION_free(tls->session);
	tls->session = session;
}

/* Everything of one connection; the slot's session, host and counters stay. */
static void forget_connection(struct tls *tls)
{
	SSL_free(tls->ssl);
	tls->ssl = NULL;
	tls_record_wipe(&tls->record);
	tls_sender_wipe(&tls->sender);
	OPENSSL_cleanse(tls->secrets, sizeof tls->secrets);
	OPENSSL_cleanse(tls->kernel_key, sizeof tls->kernel_key);
	tls->own_layer = tls->closing = tls->kernel_waits = tls->kernel_rekeys = 0;
	tls->state = TLS_STATE_IDLE;
	tls->record_window = (struct cursor_in){ 0 };
	tls->message_bytes = 0;
	tls->key_update_due = tls->key_update_asks = 0;
}

/* A name, or an address in text: which of the two decides what the certificate must say, and only a name is
 * sent in the clear (RFC 6066 3). */
static int set_host(struct tls *tls, const char *host)
{
	X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);
	uint8_t address[16];
	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(parameters, host);
	/* Names in subjectAltName only, never the common name (RFC 9525 2). */
	X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
							    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(parameters, host, strlen(host)) == 1 &&
	       SSL_set_tlsext_host_name(tls->ssl, host) == 1;
}

static enum fault remember_host(struct tls *tls, const char *host)
{
	size_t bytes = strlen(host);
	if (bytes && host[bytes - 1] == '.') /* the root label is not part of the name in TLS */
		bytes--;
	if (bytes == 0 || bytes >= sizeof tls->host) {
		tls_fail(tls, FAULT_TLS_INTERNAL, "the host name is empty or longer than 255 bytes");
		return FAULT_TLS_INTERNAL;
	}
	if (strlen(tls->host) != bytes || memcmp(tls->host, host, bytes) != 0) {
		SSL_SESSION_free(tls->session); /* a ticket is for one host */
		tls->session = NULL;
	}
	memmove(tls->host, host, bytes);
	tls->host[bytes] = 0;
	return FAULT_NONE;
}

static int prepare_ssl(struct tls *tls)
{
	tls->ssl = SSL_new(tls->context->ssl_context);
	BIO *bio = tls->ssl ? tls_bio_create(tls->context->bio_method, tls) : NULL;
	if (!bio)
		return -1;
	SSL_set_bio(tls->ssl, bio, bio); /* takes it */
	if (SSL_set_app_data(tls->ssl, tls) != 1 || set_host(tls, tls->host) != 1)
		return -1;
	SSL_set_connect_state(tls->ssl);
	if (tls->session) {
		if (SSL_set_session(tls->ssl, tls->session) != 1)
			return -1;
		/* A TLS 1.3 ticket is used once, so that nobody can link two connections by it. */
		if (SSL_SESSION_should_be_single_use(tls->session)) {
			SSL_SESSION_free(tls->session);
			tls->session = NULL;
		}
	}
	return 0;
}

enum fault tls_start(struct tls *tls, const char *host)
{
	forget_connection(tls);
	tls->fault = FAULT_NONE;
	tls->error[0] = 0;
	tls->resumed = tls->received_any = tls->rekey_asked = 0;
	tls->key_updates_in_a_row = tls->warning_alerts_in_a_row = 0;
	tls->output_next = tls->output_end = 0;
	tls->version_name = tls->cipher_name = "";
	if (remember_host(tls, host) != FAULT_NONE)
		return tls->fault;
	ERR_clear_error();
	if (prepare_ssl(tls) < 0) {
		tls_fail_ssl(tls, FAULT_TLS_INTERNAL);
		return tls->fault;
	}
	tls->state = TLS_STATE_HANDSHAKE;
	int result = SSL_do_handshake(tls->ssl); /* writes the ClientHello, then wants to read */
	if (result == 1 || SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ)
		tls_fail_ssl(tls, FAULT_TLS_INTERNAL);
	return tls->fault;
}

/* The first byte of the first record is its type: handshake or alert (RFC 8446 5.1), and then 3. */
static enum step refuse_foreign(struct tls *tls, const struct cursor_in *cipher)
{
	size_t bytes = cursor_in_bytes(cipher);
	const uint8_t *seen = cipher->next;
	if (bytes && (seen[0] < TLS_CONTENT_CHANGE_CIPHER_SPEC || seen[0] > TLS_CONTENT_APPLICATION ||
		      (bytes > 1 && seen[1] != 3))) {
		int is_http = bytes >= 5 && memcmp(seen, "HTTP/", 5) == 0;
		return tls_fail(tls, FAULT_TLS_NOT_TLS, "the server does not speak TLS on this port: %s",
				is_http ? "it answers in plain HTTP"
					: "its answer does not begin with a TLS record");
	}
	return STEP_HUNGRY;
}

enum step tls_next_record_window(struct tls *tls, struct cursor_in *cipher)
{
	int bytes = tls_record_measure(cipher);
	if (bytes < 0)
		return tls_fail_alert(tls, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW,
				      "a record is longer than the protocol allows");
	if (bytes == 0)
		return STEP_HUNGRY;
	tls->record_window = (struct cursor_in){ cipher->next, cipher->next + bytes };
	cipher->next += bytes;
	return STEP_DONE;
}

static enum step become_established(struct tls *tls)
{
	tls->state = TLS_STATE_ESTABLISHED;
	tls->resumed = SSL_session_reused(tls->ssl);
	tls->version_name = SSL_get_version(tls->ssl);
	tls->cipher_name = SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl));
	tls->mode = TLS_MODE_SSL;
	if (tls->context->mode != TLS_MODE_SSL && tls_inplace_take_over(tls) == 0)
		tls->mode = TLS_MODE_INPLACE;
	OPENSSL_cleanse(tls->secrets, sizeof tls->secrets);
	tls->kernel_waits = tls_context_wants_kernel(tls->context) && tls->own_layer && !tls->kernel_refused;
	if (tls->context->mode == TLS_MODE_INPLACE && tls->mode != TLS_MODE_INPLACE)
		return tls_fail(tls, FAULT_TLS_INTERNAL, "the in-place record layer cannot open %s",
				tls->cipher_name);
	return STEP_DONE;
}

static enum step push_handshake(struct tls *tls, struct cursor_in *cipher)
{
	if (!tls->received_any && refuse_foreign(tls, cipher) == STEP_BROKEN)
		return STEP_BROKEN;
	for (;;) {
		enum step step = tls_next_record_window(tls, cipher);
		if (step != STEP_DONE)
			return step;
		tls->received_any = 1;
		ERR_clear_error();
		int result = SSL_do_handshake(tls->ssl);
		int error = SSL_get_error(tls->ssl, result);
		if (error == SSL_ERROR_ZERO_RETURN)
			return tls_fail(tls, FAULT_TLS_HANDSHAKE, closed_early);
		if (result != 1 && error != SSL_ERROR_WANT_READ)
			return tls_fail_ssl(tls, FAULT_TLS_HANDSHAKE);
		if (cursor_in_bytes(&tls->record_window) || (result == 1 && SSL_has_pending(tls->ssl)))
			return tls_fail(tls, FAULT_TLS_INTERNAL, "the TLS library left a part of a record");
		if (result == 1)
			return become_established(tls);
	}
}

enum step tls_push(struct tls *tls, struct cursor_in *cipher, struct cursor_out *plain)
{
	CHECK_NE((int)tls->state, (int)TLS_STATE_IDLE);
	CHECK_EQ(tls_in_kernel(tls), 0);
	if (tls->state == TLS_STATE_HANDSHAKE) {
		enum step step = push_handshake(tls, cipher);
		if (step != STEP_DONE)
			return step;
	}
	if (tls->state == TLS_STATE_CLOSED)
		return STEP_DONE;
	if (tls->state == TLS_STATE_BROKEN)
		return STEP_BROKEN;
	if (tls->mode == TLS_MODE_INPLACE)
		return tls_inplace_push(tls, cipher, plain);
	return tls_ssl_push(tls, cipher, plain);
}

size_t tls_output_room(const struct tls *tls)
{
	return sizeof tls->output - tls->output_end;
}

void tls_flush_key_update(struct tls *tls)
{
	if (!tls->key_update_due || tls_output_room(tls) < TLS_OUTPUT_BYTES_SPARE)
		return;
	if (tls->own_layer) {
		tls_inplace_key_update(tls);
		return;
	}
	tls->key_update_due = 0;
	ERR_clear_error();
	SSL_write(tls->ssl, "", 0); /* flushes the message that is queued and writes nothing else */
	ERR_clear_error();
}

enum fault tls_write(struct tls *tls, struct span plain)
{
	if (tls->fault != FAULT_NONE)
		return tls->fault;
	CHECK_EQ(tls_established(tls), 1);
	CHECK_LE(plain.bytes, (size_t)TLS_CONTENT_BYTES_MAX);
	/* The output is drained before the next request, so there is always room for one record. */
	CHECK_LE(plain.bytes + TLS_WRITE_OVERHEAD_BYTES_MAX, tls_output_room(tls));
	if (!plain.bytes)
		return FAULT_NONE;
	if (tls->own_layer) {
		tls_inplace_write(tls, plain);
		return tls->fault;
	}
	ERR_clear_error();
	int written = SSL_write(tls->ssl, plain.base, (int)plain.bytes);
	if (written != (int)plain.bytes)
		tls_fail_ssl(tls, FAULT_TLS_INTERNAL);
	tls->key_update_due = 0;
	return tls->fault;
}

struct span tls_output(const struct tls *tls)
{
	return span_of(tls->output + tls->output_next, tls->output_end - tls->output_next);
}

void tls_output_consume(struct tls *tls, size_t bytes)
{
	CHECK_LE(bytes, tls->output_end - tls->output_next);
	tls->output_next += bytes;
	if (tls->output_next == tls->output_end)
		tls->output_next = tls->output_end = 0;
	if (tls->key_update_due && tls_established(tls))
		tls_flush_key_update(tls);
}

void tls_close(struct tls *tls)
{
	if (!tls_established(tls) || tls_output_room(tls) < TLS_OUTPUT_BYTES_SPARE)
		return;
	if (tls->own_layer) {
		tls_inplace_alert(tls, TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY);
		return;
	}
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

void tls_finish(struct tls *tls)
{
	forget_connection(tls);
}

void tls_destroy(struct tls *tls)
{
	forget_connection(tls);
	SSL_SESSION_free(tls->session);
	tls->session = NULL;
}

int tls_established(const struct tls *tls)
{
	return tls->state == TLS_STATE_ESTABLISHED || tls->state == TLS_STATE_CLOSED;
}

int tls_usable(const struct tls *tls)
{
	return tls->state == TLS_STATE_ESTABLISHED && !tls->closing;
}

enum fault tls_end_of_transport(struct tls *tls)
{
	if (tls->state == TLS_STATE_CLOSED || tls->state == TLS_STATE_IDLE || tls->fault != FAULT_NONE)
		return tls->fault;
	if (tls->state == TLS_STATE_ESTABLISHED)
		tls_fail(tls, FAULT_TLS_TRUNCATED, "%s", fault_sentence(FAULT_TLS_TRUNCATED));
	else
		tls_fail(tls, FAULT_TLS_HANDSHAKE, closed_early);
	return tls->fault;
}

const char *tls_version_name(const struct tls *tls)
{
	return tls->version_name;
}

const char *tls_cipher_name(const struct tls *tls)
{
	return tls->cipher_name;
}

const char *tls_mode_name(const struct tls *tls)
{
	if (!tls->version_name[0])
		return "";
	if (tls->mode == TLS_MODE_KTLS)
		return "ktls";
	return tls->mode == TLS_MODE_INPLACE ? "inplace" : "ssl";
}

int tls_resumed(const struct tls *tls)
{
	return tls->resumed;
}

uint64_t tls_records(const struct tls *tls)
{
	return tls->records;
}

uint64_t tls_key_updates(const struct tls *tls)
{
	return tls->key_updates;
}
