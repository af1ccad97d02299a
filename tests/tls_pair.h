/* SPDX-License-Identifier: Apache-2.0
 *
 * Our client and a BoringSSL server in one process, without sockets: what one writes waits in memory until
 * the test hands it over. The server's write keys are at hand, so that a test can also forge its records.
 * The includer defines _GNU_SOURCE.
 */
#ifndef TESTS_TLS_PAIR_H
#define TESTS_TLS_PAIR_H

#include <sys/mman.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <openssl/err.h>

#include "tls/tls_internal.h"
#include "tls_seal.h"

#define PAIR_HOST "localhost"

enum { PAIR_WIRE_BYTES = 1 << 20 };

struct pair_identity {
	EVP_PKEY *key;
	X509 *certificate;
	char ca_path[64]; /* of the certificate in PEM, in memory */
	int ca_fd;
};

struct tls_pair {
	SSL_CTX *server_context;
	SSL *server;
	BIO *to_server, *from_server; /* the server's */
	uint8_t secret[48];
	size_t secret_bytes;
	struct tls_context *context;
	struct tls *tls;
	struct arena arena;
	/* What the server sent and the client did not take yet. */
	uint8_t *wire;
	size_t wire_bytes;
};

__attribute__((unused)) static void pair_check(int fine, const char *what)
{
	if (!fine) {
		printf("Bail out! %s\n", what);
		exit(1);
	}
}

/* A self-signed certificate for localhost and 127.0.0.1. */
__attribute__((unused)) static struct pair_identity pair_identity_create(void)
{
	struct pair_identity it = { .key = EVP_PKEY_new(), .certificate = X509_new() };
	EC_KEY *ec_key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	pair_check(EC_KEY_generate_key(ec_key) && EVP_PKEY_assign_EC_KEY(it.key, ec_key), "no key");
	X509 *certificate = it.certificate;
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"Test Authority", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, it.key);
	X509_EXTENSION *names =
		X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	pair_check(names && X509_add_ext(certificate, names, -1) &&
			   X509_sign(certificate, it.key, EVP_sha256()),
		   "no certificate");
	X509_EXTENSION_free(names);

	it.ca_fd = memfd_create("ca", MFD_CLOEXEC);
	snprintf(it.ca_path, sizeof it.ca_path, "/proc/self/fd/%d", it.ca_fd);
	FILE *file = fdopen(dup(it.ca_fd), "w");
	pair_check(PEM_write_X509(file, certificate), "no PEM");
	fclose(file);
	return it;
}

__attribute__((unused)) static void pair_identity_destroy(struct pair_identity *it)
{
	X509_free(it->certificate);
	EVP_PKEY_free(it->key);
	close(it->ca_fd);
}

static void pair_keylog(const SSL *ssl, const char *line)
{
	struct tls_pair *pair = SSL_get_app_data(ssl);
	if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0)
		return;
	pair->secret_bytes = 0;
	for (const char *hex = strrchr(line, ' ') + 1; *hex; hex += 2)
		sscanf(hex, "%2hhx", &pair->secret[pair->secret_bytes++]);
}

__attribute__((unused)) static void pair_open(struct tls_pair *pair, const struct pair_identity *identity,
					      struct tls_options options)
{
	char error[TLS_ERROR_TEXT_BYTES_MAX];
	*pair = (struct tls_pair){ .wire = malloc(PAIR_WIRE_BYTES) };
	options.ca_file = identity->ca_path;
	pair->context = tls_context_create(&options, error);
	pair_check(pair->context != NULL, error);
	pair_check(arena_open(&pair->arena, 1 << 20) == 0, "no arena");
	pair->tls = tls_create(pair->context, &pair->arena);
	pair->server_context = SSL_CTX_new(TLS_server_method());
	pair_check(SSL_CTX_use_certificate(pair->server_context, identity->certificate) &&
			   SSL_CTX_use_PrivateKey(pair->server_context, identity->key),
		   "no identity");
	SSL_CTX_set_keylog_callback(pair->server_context, pair_keylog);
}

__attribute__((unused)) static void pair_close(struct tls_pair *pair)
{
	SSL_free(pair->server);
	SSL_CTX_free(pair->server_context);
	tls_destroy(pair->tls);
	tls_context_destroy(pair->context);
	arena_finish(&pair->arena);
	free(pair->wire);
}

/* Everything that the client wants to send goes to the server. */
__attribute__((unused)) static size_t pair_to_server(struct tls_pair *pair)
{
	struct span output = tls_output(pair->tls);
	BIO_write(pair->to_server, output.base, (int)output.bytes);
	tls_output_consume(pair->tls, output.bytes);
	return output.bytes;
}

/* Everything that the server wrote goes onto the wire. */
__attribute__((unused)) static size_t pair_to_wire(struct tls_pair *pair)
{
	int got = BIO_read(pair->from_server, pair->wire + pair->wire_bytes,
			   (int)(PAIR_WIRE_BYTES - pair->wire_bytes));
	pair->wire_bytes += got > 0 ? (size_t)got : 0;
	return got > 0 ? (size_t)got : 0;
}

/* The client takes from the wire what it wants. Plain bytes go to `plain`. */
__attribute__((unused)) static enum step pair_push(struct tls_pair *pair, struct cursor_out *plain)
{
	struct cursor_in cipher = { pair->wire, pair->wire + pair->wire_bytes };
	enum step step = tls_push(pair->tls, &cipher, plain);
	pair->wire_bytes = cursor_in_bytes(&cipher);
	memmove(pair->wire, cipher.next, pair->wire_bytes);
	return step;
}

__attribute__((unused)) static void pair_start_server(struct tls_pair *pair)
{
	SSL_free(pair->server);
	pair->server = SSL_new(pair->server_context);
	pair->to_server = BIO_new(BIO_s_mem());
	pair->from_server = BIO_new(BIO_s_mem());
	SSL_set_bio(pair->server, pair->to_server, pair->from_server);
	SSL_set_app_data(pair->server, pair);
	SSL_set_accept_state(pair->server);
	pair->wire_bytes = 0;
}

/* A fresh server connection and tls_start(). */
__attribute__((unused)) static enum fault pair_start(struct tls_pair *pair, const char *host)
{
	pair_start_server(pair);
	return tls_start(pair->tls, host);
}

/* Runs the handshake until both are through, or one has failed. The server's tickets stay on the wire. */
__attribute__((unused)) static enum fault pair_handshake(struct tls_pair *pair, const char *host)
{
	static uint8_t scratch[TLS_PLAIN_BYTES_MAX];
	enum fault fault = pair_start(pair, host);
	for (int round = 0; fault == FAULT_NONE && round < 6; round++) {
		struct cursor_out plain = { scratch, scratch + sizeof scratch };
		pair_to_server(pair);
		int accepted = SSL_do_handshake(pair->server);
		pair_to_wire(pair);
		if (accepted == 1 && tls_established(pair->tls))
			return FAULT_NONE;
		if (pair_push(pair, &plain) == STEP_BROKEN)
			fault = tls_fault(pair->tls);
	}
	pair_to_server(pair); /* the alert */
	return fault;
}

/* The server's next records can be made by hand from here on. */
__attribute__((unused)) static void pair_seal_init(struct tls_pair *pair, struct seal *seal)
{
	struct tls_keys keys;
	uint8_t block[88];
	uint16_t suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(pair->server));
	if (SSL_version(pair->server) == TLS1_3_VERSION) {
		pair_check(tls_keys_from_secret(&keys, suite, pair->secret, pair->secret_bytes) == 0,
			   "no secret");
	} else {
		size_t bytes = SSL_get_key_block_len(pair->server);
		pair_check(bytes <= sizeof block && SSL_generate_key_block(pair->server, block, bytes) &&
				   tls_keys_from_block(&keys, suite, block, bytes, TLS_SIDE_SERVER) == 0,
			   "no key block");
	}
	keys.sequence = SSL_get_write_sequence(pair->server);
	pair_check(seal_init(seal, &keys), "no seal");
}

__attribute__((unused)) static void pair_seal(struct tls_pair *pair, struct seal *seal,
					      struct seal_shape shape, const void *content, size_t bytes)
{
	pair_check(pair->wire_bytes + bytes + shape.padding_bytes + 64 <= PAIR_WIRE_BYTES, "wire is full");
	pair->wire_bytes += seal_record(seal, shape, content, bytes, pair->wire + pair->wire_bytes);
}

#endif
