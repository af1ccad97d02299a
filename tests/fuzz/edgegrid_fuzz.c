/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing against a plain second writing of the rules: the data to sign is built whole in a buffer and
 * hashed with BoringSSL's own HMAC. Input: method, host, target, header and body, split at NUL bytes.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/base64.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "akamai/edgegrid.h"

enum { PART_BYTES_MAX = 4096, PARTS = 8 };

struct parts {
	char text[PARTS][PART_BYTES_MAX]; /* without NUL inside */
};

static void split(const uint8_t *data, size_t bytes, struct parts *parts)
{
	size_t part = 0, used = 0;
	memset(parts, 0, sizeof *parts);
	for (size_t i = 0; i < bytes; i++) {
		if (data[i] == 0 && part + 1 < PARTS) {
			part++;
			used = 0;
		} else if (data[i] && used + 1 < PART_BYTES_MAX) {
			parts->text[part][used++] = (char)data[i];
		}
	}
}

static void in_case(char *text, int upper)
{
	for (; *text; text++)
		if (isascii((unsigned char)*text))
			*text = (char)(upper ? toupper(*text) : tolower(*text));
}

/* Trims, and turns each run of white space into one blank. */
static void collapse(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		int space = strchr(" \t\n\v\f\r", *from) != NULL;
		if (!space)
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > text && to[-1] == ' ')
		to--;
	*to = 0;
}

static void mac(const char *key, const char *text, char out[static 45])
{
	uint8_t digest[32];
	unsigned bytes = 0;
	HMAC(EVP_sha256(), key, strlen(key), (const uint8_t *)text, strlen(text), digest, &bytes);
	EVP_EncodeBlock((uint8_t *)out, digest, sizeof digest);
}

static void reference(struct parts parts, const struct edgegrid_credentials *credentials,
		      char out[static EDGEGRID_AUTHORIZATION_BYTES_MAX])
{
	static char text[16 * PART_BYTES_MAX];
	char base[512], hash[45] = "", key[45], signature[45];
	uint8_t digest[32];
	snprintf(base, sizeof base,
		 "EG1-HMAC-SHA256 client_token=%s;access_token=%s;timestamp=20140321T19:34:21+0000;nonce=n;",
		 credentials->client_token, credentials->access_token);
	in_case(parts.text[0], 1);
	in_case(parts.text[1], 0);
	in_case(parts.text[3], 0);
	collapse(parts.text[4]);
	collapse(parts.text[5]);
	size_t body_bytes = strlen(parts.text[6]);
	if (strcmp(parts.text[0], "POST") == 0 && body_bytes) {
		SHA256((const uint8_t *)parts.text[6], body_bytes < 100 ? body_bytes : 100, digest);
		EVP_EncodeBlock((uint8_t *)hash, digest, sizeof digest);
	}
	snprintf(text, sizeof text, "%s\thttps\t%s\t%s\t%s:%s\tx-two:%s\t%s\t%s", parts.text[0],
		 parts.text[1], parts.text[2], parts.text[3], parts.text[4], parts.text[5], hash, base);
	mac(credentials->client_secret, "20140321T19:34:21+0000", key);
	mac(key, text, signature);
	snprintf(out, EDGEGRID_AUTHORIZATION_BYTES_MAX, "%ssignature=%s", base, signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct parts parts;
	split(data, bytes, &parts);
	struct edgegrid_credentials credentials = { .client_token = "akab-c", .access_token = "akab-a" };
	snprintf(credentials.client_secret, sizeof credentials.client_secret, "%.500s", parts.text[7]);
	struct edgegrid_header headers[] = {
		{ span_of_text(parts.text[3]), span_of_text(parts.text[4]) },
		{ span_of_text("X-Two"), span_of_text(parts.text[5]) },
	};
	struct edgegrid_request request = {
		.method = parts.text[0],
		.scheme = "HTTPS",
		.host = parts.text[1],
		.target = parts.text[2],
		.headers = headers,
		.header_count = 2,
		.body = span_of_text(parts.text[6]),
		.body_bytes_max = 100,
	};
	char wanted[EDGEGRID_AUTHORIZATION_BYTES_MAX], got[EDGEGRID_AUTHORIZATION_BYTES_MAX];
	size_t got_bytes = edgegrid_authorization(&credentials, &request, "20140321T19:34:21+0000", "n", got,
						  sizeof got);
	reference(parts, &credentials, wanted);
	if (got_bytes != strlen(wanted) || strcmp(got, wanted) != 0) {
		fprintf(stderr, "got    %s\nwanted %s\n", got, wanted);
		abort();
	}
	return 0;
}
