/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/certificate.h"

#include "simulator/text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define VALID_S (30L * 24 * 3600)

static int extension_add(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	int added = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return added;
}

/* Self-signed, fit both as the server's and as the trust anchor (RFC 5280). */
static int certificate_fill(X509 *certificate, EVP_PKEY *key)
{
	uint8_t serial_bytes[8];
	if (RAND_bytes(serial_bytes, sizeof serial_bytes) != 1)
		return 0;
	uint64_t serial;
	memcpy(&serial, serial_bytes, sizeof serial);
	X509_NAME *name = X509_get_subject_name(certificate);
	return X509_set_version(certificate, X509_VERSION_3) &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"akamai-prof simulate",
					  -1, -1, 0) &&
	       X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
	       extension_add(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
	       extension_add(certificate, NID_key_usage,
			     "critical,digitalSignature,keyEncipherment,keyCertSign") &&
	       extension_add(certificate, NID_ext_key_usage, "serverAuth") &&
	       extension_add(certificate, NID_subject_key_identifier, "hash") &&
	       extension_add(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
	       X509_sign(certificate, key, EVP_sha256());
}

static int certificate_save(X509 *certificate, const char *path)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *pem = NULL;
	struct text text = { 0 };
	int result = -1;
	if (memory && PEM_write_bio_X509(memory, certificate)) {
		text_put(&text, pem, 0);
		long bytes = BIO_get_mem_data(memory, &pem);
		text_put(&text, pem, (size_t)bytes);
		result = text_save(&text, path, 0644);
	}
	text_finish(&text);
	BIO_free(memory);
	return result;
}

static int certificate_make(SSL_CTX *context, const struct options *options)
{
	EVP_PKEY *key = options->key_type == KEY_TYPE_RSA ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	int made = key && certificate && certificate_fill(certificate, key) &&
		   SSL_CTX_use_certificate(context, certificate) && SSL_CTX_use_PrivateKey(context, key);
	if (made && options->ca_out && certificate_save(certificate, options->ca_out) < 0) {
		fprintf(stderr, "akamai-prof simulate: cannot write %s\n", options->ca_out);
		made = 0;
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	return made;
}

/* TLS 1.3 suites (TLS_...) and older ones have separate lists in OpenSSL. */
static int ciphers_set(SSL_CTX *context, const char *list)
{
	struct text suites = { 0 }, older = { 0 };
	while (*list) {
		size_t bytes = strcspn(list, ":");
		struct text *target = strncmp(list, "TLS_", 4) == 0 ? &suites : &older;
		if (target->bytes)
			text_put_string(target, ":");
		text_put(target, list, bytes);
		list += bytes + (list[bytes] != 0);
	}
	int result = 1;
	if (suites.bytes) {
		text_put(&suites, "", 1);
		result &= SSL_CTX_set_ciphersuites(context, suites.base);
	}
	if (older.bytes) {
		text_put(&older, "", 1);
		result &= SSL_CTX_set_cipher_list(context, older.base);
	}
	text_finish(&suites);
	text_finish(&older);
	return result;
}

/* Only HTTP/1.1 is spoken; RFC 7301: no overlap means that the extension is ignored. */
static int protocol_select(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
			   const unsigned char *in, unsigned in_bytes, void *unused)
{
	static const unsigned char spoken[] = "\x08http/1.1";
	(void)ssl;
	(void)unused;
	if (SSL_select_next_proto((unsigned char **)out, out_bytes, spoken, sizeof spoken - 1, in,
				  in_bytes) == OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_NOACK;
}

static int context_fill(SSL_CTX *context, const struct options *options)
{
	int from = options->tls_versions == TLS_VERSIONS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
	int to = options->tls_versions == TLS_VERSIONS_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
	SSL_CTX_set_min_proto_version(context, from);
	SSL_CTX_set_max_proto_version(context, to);
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_alpn_select_cb(context, protocol_select, NULL);
	SSL_CTX_set_max_send_fragment(context, (long)options->record_bytes);
	static const char ciphers[] =
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
		"ECDHE+AESGCM:ECDHE+CHACHA20";
	if (!ciphers_set(context, options->ciphers ? options->ciphers : ciphers)) {
		fprintf(stderr, "akamai-prof simulate: --ciphers has a name that OpenSSL does not know\n");
		return 0;
	}
	if (!options->certificate)
		return certificate_make(context, options);
	if (SSL_CTX_use_certificate_chain_file(context, options->certificate) == 1 &&
	    SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) == 1)
		return 1;
	fprintf(stderr, "akamai-prof simulate: cannot use %s with %s\n", options->certificate, options->key);
	return 0;
}

SSL_CTX *certificate_context_new(const struct options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context && context_fill(context, options))
		return context;
	if (ERR_peek_error())
		ERR_print_errors_fp(stderr);
	SSL_CTX_free(context);
	return NULL;
}
