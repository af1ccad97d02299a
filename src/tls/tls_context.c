/* SPDX-License-Identifier: Apache-2.0
 *
 * What all connections share: trust anchors, versions, suites, and the callbacks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"

/* Where systems keep the bundle: Debian, Fedora, Alpine. BoringSSL's own default does not exist on Debian. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};

/* TLS 1.2: ephemeral keys and AEAD only, AES before ChaCha20 (three times as fast where there are AES
 * instructions, which is every machine that we care for). TLS 1.3's suites are all of this kind. */
static const char suites_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const uint8_t alpn[] = { 8, 'h', 't', 't', 'p', '/', '1', '.', '1' };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "SERVER_TRAFFIC_SECRET_0 <client random> <secret>", both in hex, and the client's: the only way in C to the
 * secrets. The other lines are not for us. */
static void keylog_callback(const SSL *ssl, const char *line)
{
	static const char *const labels[] = {
		[TLS_SIDE_CLIENT] = "CLIENT_TRAFFIC_SECRET_0 ",
		[TLS_SIDE_SERVER] = "SERVER_TRAFFIC_SECRET_0 ",
	};
	struct tls *tls = tls_of_ssl(ssl);
	for (size_t side = 0; side < sizeof labels / sizeof *labels; side++) {
		if (strncmp(line, labels[side], strlen(labels[side])) != 0)
			continue;
		struct tls_secret *secret = &tls->secrets[side];
		const char *hex = strrchr(line, ' ') + 1;
		size_t bytes = 0;
		while (bytes < sizeof secret->bytes && hex_digit(hex[0]) >= 0 && hex_digit(hex[1]) >= 0) {
			secret->bytes[bytes++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
			hex += 2;
		}
		secret->count = *hex ? 0 : bytes;
	}
}

/* Tickets that BoringSSL itself reads: TLS 1.2's, and TLS 1.3's in SSL mode. */
static int session_callback(SSL *ssl, SSL_SESSION *session)
{
	tls_keep_session(tls_of_ssl(ssl), session);
	return 1; /* it is ours now */
}

/* SSL mode only learns here of a KeyUpdate, which wants an answer. */
static void message_callback(int is_write, int version, int content_type, const void *bytes, size_t count,
			     SSL *ssl, void *argument)
{
	const uint8_t *message = bytes;
	struct tls *tls = tls_of_ssl(ssl);
	(void)version;
	(void)argument;
	if (is_write || tls->state != TLS_STATE_ESTABLISHED || content_type != TLS_CONTENT_HANDSHAKE ||
	    count != 5 || message[0] != SSL3_MT_KEY_UPDATE)
		return;
	tls->key_updates++;
	if (message[4] == SSL_KEY_UPDATE_REQUESTED)
		tls->key_update_due = 1;
}

static int load_bundle(SSL_CTX *ssl_context, const char *file, char error[static TLS_ERROR_TEXT_BYTES_MAX])
{
	if (access(file, R_OK) < 0) {
		snprintf(error, TLS_ERROR_TEXT_BYTES_MAX, "cannot read the CA file %.300s: %s", file,
			 strerror(errno));
		return -1;
	}
	ERR_clear_error();
	if (SSL_CTX_load_verify_locations(ssl_context, file, NULL) != 1) {
		ERR_clear_error();
		snprintf(error, TLS_ERROR_TEXT_BYTES_MAX,
			 "the CA file %.300s holds no usable certificate (PEM is expected)", file);
		return -1;
	}
	return 0;
}

/* The whole bundle is parsed here, once: 140 certificates cost 1.2 MB of memory (measured), and no file is
 * opened later on, when the process may have given up the right to. */
static int load_trust(SSL_CTX *ssl_context, const char *ca_file, char error[static TLS_ERROR_TEXT_BYTES_MAX])
{
	const char *environment = getenv("SSL_CERT_FILE");
	if (ca_file && *ca_file)
		return load_bundle(ssl_context, ca_file, error);
	if (environment && *environment)
		return load_bundle(ssl_context, environment, error);
	for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++) {
		if (access(bundles[i], R_OK) == 0)
			return load_bundle(ssl_context, bundles[i], error);
	}
	snprintf(error, TLS_ERROR_TEXT_BYTES_MAX,
		 "there is no CA bundle at %s: install ca-certificates, or pass --ca-file FILE", bundles[0]);
	return -1;
}

static int set_protocol(SSL_CTX *ssl_context, const struct tls_options *options)
{
	uint16_t lowest = options->versions == TLS_VERSIONS_13_ONLY ? TLS1_3_VERSION : TLS1_2_VERSION;
	uint16_t highest = options->versions == TLS_VERSIONS_12_ONLY ? TLS1_2_VERSION : TLS1_3_VERSION;
	const char *suites = options->cipher_tls12 ? options->cipher_tls12 : suites_12;

	return SSL_CTX_set_min_proto_version(ssl_context, lowest) == 1 &&
			       SSL_CTX_set_max_proto_version(ssl_context, highest) == 1 &&
			       SSL_CTX_set_strict_cipher_list(ssl_context, suites) == 1 &&
			       SSL_CTX_set_alpn_protos(ssl_context, alpn, sizeof alpn) == 0
		       ? 0
		       : -1;
}

struct tls_context *tls_context_create(const struct tls_options *options,
				       char error[static TLS_ERROR_TEXT_BYTES_MAX])
{
	struct tls_context *context = calloc(1, sizeof *context);
	error[0] = 0;
	if (context) {
		context->mode = options->mode;
		context->bio_method = tls_bio_method_create();
		context->ssl_context = SSL_CTX_new(TLS_client_method());
	}
	if (!context || !context->bio_method || !context->ssl_context) {
		snprintf(error, TLS_ERROR_TEXT_BYTES_MAX, "out of memory for the TLS library");
		goto failed;
	}
	if (set_protocol(context->ssl_context, options) < 0) {
		snprintf(error, TLS_ERROR_TEXT_BYTES_MAX,
			 "the TLS library does not know the cipher suite %.100s",
			 options->cipher_tls12 ? options->cipher_tls12 : "list");
		goto failed;
	}
	if (load_trust(context->ssl_context, options->ca_file, error) < 0)
		goto failed;
	SSL_CTX_set_verify(context->ssl_context, SSL_VERIFY_PEER, tls_verify_callback);
	SSL_CTX_set_info_callback(context->ssl_context, tls_info_callback);
	SSL_CTX_set_msg_callback(context->ssl_context, message_callback);
	SSL_CTX_set_session_cache_mode(context->ssl_context,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ssl_context, session_callback);
	if (options->mode != TLS_MODE_SSL)
		SSL_CTX_set_keylog_callback(context->ssl_context, keylog_callback);
	return context;
failed:
	tls_context_destroy(context);
	return NULL;
}

int tls_context_wants_kernel(const struct tls_context *context)
{
	return context->mode == TLS_MODE_KTLS;
}

void tls_context_destroy(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl_context);
	BIO_meth_free(context->bio_method);
	free(context);
}
