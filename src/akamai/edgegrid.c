/* SPDX-License-Identifier: Apache-2.0
 *
 * EdgeGrid signing. The data to sign is fed to the hash piece by piece, so there is no buffer for it and
 * no length limit on it. BoringSSL gives SHA-256, base64 and the wipe; HMAC (RFC 2104) is put together
 * here from its SHA-256, because BoringSSL's HMAC takes its context from the heap.
 */
#include "akamai/edgegrid.h"

#include <stdio.h>

#include <openssl/base64.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include "base/random.h"

enum {
	BASE64_SHA256_BYTES = 44, /* 32 bytes in base64, without NUL */
	LOWER_CHUNK_BYTES = 64,
};

struct hmac {
	SHA256_CTX inner;
	SHA256_CTX outer;
};

static void hmac_begin(struct hmac *hmac, const void *key, size_t key_bytes)
{
	uint8_t block[SHA256_CBLOCK] = { 0 };
	if (key_bytes > sizeof block)
		SHA256(key, key_bytes, block);
	else if (key_bytes)
		memcpy(block, key, key_bytes);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36;
	SHA256_Init(&hmac->inner);
	SHA256_Update(&hmac->inner, block, sizeof block);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36 ^ 0x5c;
	SHA256_Init(&hmac->outer);
	SHA256_Update(&hmac->outer, block, sizeof block);
	OPENSSL_cleanse(block, sizeof block);
}

static void hmac_add(struct hmac *hmac, const void *data, size_t bytes)
{
	if (bytes)
		SHA256_Update(&hmac->inner, data, bytes);
}

static void hmac_add_text(struct hmac *hmac, const char *text)
{
	hmac_add(hmac, text, strlen(text));
}

/* Writes the MAC as base64 with NUL and wipes the state. */
static void hmac_end(struct hmac *hmac, char text[static BASE64_SHA256_BYTES + 1])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_Final(digest, &hmac->inner);
	SHA256_Update(&hmac->outer, digest, sizeof digest);
	SHA256_Final(digest, &hmac->outer);
	EVP_EncodeBlock((uint8_t *)text, digest, sizeof digest);
	OPENSSL_cleanse(digest, sizeof digest);
	OPENSSL_cleanse(hmac, sizeof *hmac);
}

/* Adds `bytes` of `data` with its ASCII letters turned to lower (or upper) case. */
static void hmac_add_case(struct hmac *hmac, const void *data, size_t bytes, int upper)
{
	const uint8_t *at = data;
	uint8_t chunk[LOWER_CHUNK_BYTES];
	while (bytes) {
		size_t part = bytes < sizeof chunk ? bytes : sizeof chunk;
		for (size_t i = 0; i < part; i++) {
			uint8_t byte = at[i];
			if (upper && byte >= 'a' && byte <= 'z')
				byte = (uint8_t)(byte - 'a' + 'A');
			else if (!upper && byte >= 'A' && byte <= 'Z')
				byte = (uint8_t)(byte - 'A' + 'a');
			chunk[i] = byte;
		}
		hmac_add(hmac, chunk, part);
		at += part;
		bytes -= part;
	}
}

static int is_space(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* "name:value" joined with tabs; names in lower case, values trimmed, runs of white space collapsed. */
static void hmac_add_headers(struct hmac *hmac, const struct edgegrid_header *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			hmac_add(hmac, "\t", 1);
		hmac_add_case(hmac, headers[i].name.base, headers[i].name.bytes, 0);
		hmac_add(hmac, ":", 1);
		const uint8_t *at = headers[i].value.base;
		const uint8_t *end = at + headers[i].value.bytes;
		for (int words = 0;; words++) {
			while (at < end && is_space(*at))
				at++;
			if (at == end)
				break;
			const uint8_t *word = at;
			while (at < end && !is_space(*at))
				at++;
			if (words)
				hmac_add(hmac, " ", 1);
			hmac_add(hmac, word, (size_t)(at - word));
		}
	}
}

/* base64(SHA-256(the first body_bytes_max bytes)) of a POST that has a body; else nothing. */
static void hmac_add_content_hash(struct hmac *hmac, const struct edgegrid_request *request)
{
	static const char post[] = "post";
	size_t match = 0;
	for (; request->method[match] && match < sizeof post - 1; match++) {
		if ((request->method[match] | 0x20) != post[match])
			return;
	}
	if (match != sizeof post - 1 || request->method[match] || request->body.bytes == 0)
		return;
	size_t bytes_max = request->body_bytes_max ? request->body_bytes_max : EDGEGRID_BODY_BYTES_MAX;
	size_t bytes = request->body.bytes < bytes_max ? request->body.bytes : bytes_max;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char text[BASE64_SHA256_BYTES + 1];
	SHA256(request->body.base, bytes, digest);
	EVP_EncodeBlock((uint8_t *)text, digest, sizeof digest);
	hmac_add(hmac, text, BASE64_SHA256_BYTES);
}

size_t edgegrid_authorization(const struct edgegrid_credentials *credentials,
			      const struct edgegrid_request *request, const char *timestamp,
			      const char *nonce, char *out, size_t out_bytes)
{
	int base_bytes = snprintf(out, out_bytes,
				  "EG1-HMAC-SHA256 client_token=%s;access_token=%s;timestamp=%s;nonce=%s;",
				  credentials->client_token, credentials->access_token, timestamp, nonce);
	static const char label[] = "signature=";
	size_t tail_bytes = sizeof label - 1 + BASE64_SHA256_BYTES + 1;
	if (base_bytes < 0 || (size_t)base_bytes >= out_bytes || out_bytes - (size_t)base_bytes < tail_bytes)
		return 0;

	/* The derived key is used as its base64 text, as is the secret. */
	struct hmac hmac;
	char key[BASE64_SHA256_BYTES + 1];
	hmac_begin(&hmac, credentials->client_secret, strlen(credentials->client_secret));
	hmac_add_text(&hmac, timestamp);
	hmac_end(&hmac, key);

	hmac_begin(&hmac, key, BASE64_SHA256_BYTES);
	OPENSSL_cleanse(key, sizeof key);
	hmac_add_case(&hmac, request->method, strlen(request->method), 1);
	hmac_add(&hmac, "\t", 1);
	hmac_add_case(&hmac, request->scheme, strlen(request->scheme), 0);
	hmac_add(&hmac, "\t", 1);
	hmac_add_case(&hmac, request->host, strlen(request->host), 0);
	hmac_add(&hmac, "\t", 1);
	hmac_add_text(&hmac, request->target);
	hmac_add(&hmac, "\t", 1);
	hmac_add_headers(&hmac, request->headers, request->header_count);
	hmac_add(&hmac, "\t", 1);
	hmac_add_content_hash(&hmac, request);
	hmac_add(&hmac, "\t", 1);
	hmac_add(&hmac, out, (size_t)base_bytes);

	char *at = out + base_bytes;
	memcpy(at, label, sizeof label - 1);
	hmac_end(&hmac, at + sizeof label - 1);
	return (size_t)base_bytes + tail_bytes - 1;
}

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar: count in eras of 400 years (146097
 * days) that begin on 1 March, so that the leap day is the last of its year. gmtime_r() would do, but it
 * takes the time zone lock and may read files. */
static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t shifted = days + 719468; /* days from 0000-03-01 to 1970-01-01 */
	int64_t era = shifted / 146097;
	int64_t day_of_era = shifted % 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	*ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	*ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	*ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

void edgegrid_timestamp(int64_t unix_seconds, char text[static EDGEGRID_TIMESTAMP_BYTES])
{
	/* A clock before 1970 or after 9999 is wrong anyway, and the text has four digits for the year. */
	const int64_t last = INT64_C(253402300799);
	int64_t seconds = unix_seconds < 0 ? 0 : unix_seconds > last ? last : unix_seconds;
	int year, month, day;
	civil_from_days(seconds / 86400, &year, &month, &day);
	unsigned rest = (unsigned)(seconds % 86400);
	snprintf(text, EDGEGRID_TIMESTAMP_BYTES, "%04u%02u%02uT%02u:%02u:%02u+0000", (unsigned)year % 10000,
		 (unsigned)month % 100, (unsigned)day % 100, rest / 3600, rest / 60 % 60, rest % 60);
}

void edgegrid_nonce(char text[static EDGEGRID_NONCE_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[16];
	random_fill(bytes, sizeof bytes);
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4, RFC 9562 5.4 */
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* variant 10 */
	char *at = text;
	for (size_t i = 0; i < sizeof bytes; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[bytes[i] >> 4];
		*at++ = digits[bytes[i] & 15];
	}
	*at = 0;
}
