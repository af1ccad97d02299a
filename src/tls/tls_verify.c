/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a certificate was not accepted, so that a person can act on it. The verdict is BoringSSL's; names in
 * the sentence come from the peer and are printed with anything unusual replaced.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/tls_internal.h"

enum {
	NAME_TEXT_BYTES = 96,
	NAMES_SHOWN_MAX = 4, /* a certificate of a CDN names hundreds */
	NAMES_TEXT_BYTES = 300,
};

/* "2026-01-31 12:00:00 UTC" */
static void format_time(const ASN1_TIME *time, char text[static 32])
{
	ASN1_GENERALIZEDTIME *general = ASN1_TIME_to_generalizedtime(time, NULL);
	const char *d = general ? (const char *)ASN1_STRING_get0_data(general) : ""; /* YYYYMMDDHHMMSSZ */
	if (general && ASN1_STRING_length(general) == 15)
		snprintf(text, 32, "%.4s-%.2s-%.2s %.2s:%.2s:%.2s UTC", d, d + 4, d + 6, d + 8, d + 10,
			 d + 12);
	else
		snprintf(text, 32, "an unreadable time");
	ASN1_GENERALIZEDTIME_free(general);
}

static void copy_printable(char *target, size_t target_bytes, const uint8_t *source, size_t bytes)
{
	size_t at = 0;
	for (; at < bytes && at + 1 < target_bytes; at++)
		target[at] =
			source[at] > ' ' && source[at] < 0x7f && source[at] != '"' ? (char)source[at] : '?';
	target[at] = 0;
}

/* The common name, or the organisation: what people know a CA by. */
static void format_issuer(X509 *certificate, char text[static NAME_TEXT_BYTES])
{
	X509_NAME *name = X509_get_issuer_name(certificate);
	char raw[NAME_TEXT_BYTES];
	int bytes = X509_NAME_get_text_by_NID(name, NID_commonName, raw, sizeof raw);
	if (bytes <= 0)
		bytes = X509_NAME_get_text_by_NID(name, NID_organizationName, raw, sizeof raw);
	if (bytes <= 0) {
		snprintf(text, NAME_TEXT_BYTES, "without a name");
		return;
	}
	for (int i = 0; i < bytes && i < NAME_TEXT_BYTES - 1; i++)
		text[i] = raw[i] >= ' ' && raw[i] < 0x7f && raw[i] != '"' ? raw[i] : '?';
	text[bytes < NAME_TEXT_BYTES - 1 ? bytes : NAME_TEXT_BYTES - 1] = 0;
}

static int format_name(const GENERAL_NAME *name, char text[static NAME_TEXT_BYTES])
{
	if (name->type == GEN_DNS) {
		copy_printable(text, NAME_TEXT_BYTES, ASN1_STRING_get0_data(name->d.dNSName),
			       (size_t)ASN1_STRING_length(name->d.dNSName));
		return 1;
	}
	if (name->type == GEN_IPADD) {
		int bytes = ASN1_STRING_length(name->d.iPAddress);
		return (bytes == 4 || bytes == 16) &&
		       inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress),
				 text, NAME_TEXT_BYTES);
	}
	return 0;
}

/* "a.example, *.b.example and 3 more" */
static void format_names(X509 *certificate, char text[static NAMES_TEXT_BYTES])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t count = names ? sk_GENERAL_NAME_num(names) : 0, shown = 0, usable = 0, at = 0;
	text[0] = 0;
	for (size_t i = 0; i < count; i++) {
		char name[NAME_TEXT_BYTES];
		if (!format_name(sk_GENERAL_NAME_value(names, i), name))
			continue;
		usable++;
		if (shown == NAMES_SHOWN_MAX || at + strlen(name) + 24 > NAMES_TEXT_BYTES)
			continue;
		at += (size_t)snprintf(text + at, NAMES_TEXT_BYTES - at, "%s%s", shown ? ", " : "", name);
		shown++;
	}
	if (!usable)
		snprintf(text, NAMES_TEXT_BYTES, "no host at all");
	else if (usable > shown)
		snprintf(text + at, NAMES_TEXT_BYTES - at, " and %zu more", usable - shown);
	GENERAL_NAMES_free(names);
}

static void explain(struct tls *tls, int error, int depth, X509 *certificate)
{
	char names[NAMES_TEXT_BYTES], issuer[NAME_TEXT_BYTES], when[32];
	const char *whose = depth == 0 ? "the server's certificate" : "a certificate of the server's issuer";
	format_issuer(certificate, issuer);
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		format_time(X509_get0_notAfter(certificate), when);
		tls_fail(tls, FAULT_TLS_CERTIFICATE, "%s has expired (since %s)", whose, when);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		format_time(X509_get0_notBefore(certificate), when);
		tls_fail(tls, FAULT_TLS_CERTIFICATE,
			 "%s is not valid before %s: is the clock of this machine right?", whose, when);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		tls_fail(tls, FAULT_TLS_CERTIFICATE,
			 "the server's certificate is self-signed: if you trust it, pass --ca-file FILE with "
			 "it");
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		tls_fail(tls, FAULT_TLS_CERTIFICATE,
			 "the issuer of %s, \"%s\", is not trusted here: pass --ca-file FILE with the "
			 "certificate of "
			 "that authority, if you trust it (or of the proxy that opens TLS in between)",
			 whose, issuer);
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		format_names(certificate, names);
		tls_fail(tls, FAULT_TLS_CERTIFICATE,
			 "the server's certificate is not for %.100s: it names %s", tls->host, names);
		return;
	default:
		tls_fail(tls, FAULT_TLS_CERTIFICATE, "%s was refused: %s", whose,
			 X509_verify_cert_error_string(error));
	}
}

int tls_verify_callback(int accepted, X509_STORE_CTX *store_context)
{
	if (accepted)
		return 1;
	SSL *ssl = X509_STORE_CTX_get_ex_data(store_context, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *tls = tls_of_ssl(ssl);
	X509 *certificate = X509_STORE_CTX_get_current_cert(store_context);
	int error = X509_STORE_CTX_get_error(store_context);
	if (certificate)
		explain(tls, error, X509_STORE_CTX_get_error_depth(store_context), certificate);
	else
		tls_fail(tls, FAULT_TLS_CERTIFICATE, "the server's certificate was refused: %s",
			 X509_verify_cert_error_string(error));
	return 0;
}
