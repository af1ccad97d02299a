/* SPDX-License-Identifier: Apache-2.0
 *
 * EdgeGrid signing against constants that were computed with python's hmac and hashlib, its text forms, and
 * its refusal to write into too little room.
 */
#define _GNU_SOURCE
#include "test.h"

#include <time.h>

#include "akamai/edgegrid.h"

#define TIMESTAMP "20260807T06:05:04+0000"
#define NONCE "f47ac10b-58cc-4372-a567-0e02b2c3d479"
#define BASE                                                                                                 \
	"EG1-HMAC-SHA256 client_token=akab-ct;access_token=akab-at;timestamp=" TIMESTAMP ";nonce=" NONCE     \
	";signature="

static const struct edgegrid_credentials tokens = {
	.client_token = "akab-ct",
	.client_secret = "s3cret+/AbCdEf0123456789=",
	.access_token = "akab-at",
};

static const char *sign(const struct edgegrid_credentials *credentials,
			const struct edgegrid_request *request)
{
	static char out[EDGEGRID_AUTHORIZATION_BYTES_MAX];
	size_t bytes = edgegrid_authorization(credentials, request, TIMESTAMP, NONCE, out, sizeof out);
	EQ(bytes, strlen(out));
	return out;
}

static void signs_a_get(void)
{
	struct edgegrid_request request = {
		.method = "get",
		.scheme = "HTTPS",
		.host = "AKAB-h.Luna.akamaiapis.net",
		.target = "/siem/v1/configs/14227?limit=10000&offset=71cca%3B3phZ",
	};
	EQ_TEXT(sign(&tokens, &request), BASE "onpWT91UgXjecdWlie12G6laLzbWWJlEIB4IxSj4Zwo=");
	request.target = "/siem/v1/configs/14227?limit=10000&offset=71cca;3phZ";
	NE(strcmp(sign(&tokens, &request), BASE "onpWT91UgXjecdWlie12G6laLzbWWJlEIB4IxSj4Zwo="), 0);
}

static void signs_headers(void)
{
	const struct edgegrid_header headers[] = {
		{ span_of_text("X-A"), span_of_text(" \t One \r\n two  ") },
		{ span_of_text("X-B"), span_of_text("  ") },
	};
	struct edgegrid_request request = {
		.method = "GET",
		.scheme = "https",
		.host = "akab-h.luna.akamaiapis.net",
		.target = "/siem/v1/configs/1%3B2?from=1488816442&limit=1&to=1488816784",
		.headers = headers,
		.header_count = 2,
	};
	EQ_TEXT(sign(&tokens, &request), BASE "HanFL3te2PBmUNh5VnWN12qAhZXW2Efmst9vkj0ux5Q=");
}

static void hashes_the_body_of_a_post_only(void)
{
	struct edgegrid_credentials credentials = tokens;
	struct edgegrid_request request = {
		.method = "post",
		.scheme = "https",
		.host = "h",
		.target = "/",
		.body = span_of_text("0123456789"),
		.body_bytes_max = 8,
	};
	/* A secret longer than a SHA-256 block (64 bytes) is hashed first, RFC 2104. */
	memset(credentials.client_secret, 'k', 100);
	credentials.client_secret[100] = 0;
	EQ_TEXT(sign(&credentials, &request), BASE "KXlOjbbTZ5OA8BRyBL2k9sSxyIjK8lwWKRhBFwgHMwU=");
	credentials.client_secret[0] = 0;
	request.body_bytes_max = 0;
	EQ_TEXT(sign(&credentials, &request), BASE "Xbp112DazVoX2SiY69nt/XUVt1o2z2A7fh+OyyLzuRc=");
	request.method = "PUT";
	EQ_TEXT(sign(&credentials, &request), BASE "vGwCgqj/IIzw6Jq63M8Al96XZz2aRaWkyqfK4jPN40I=");
}

/* Every size that is too small is refused, and nothing is written behind it. */
static void refuses_too_little_room(void)
{
	struct edgegrid_request request = { .method = "GET", .scheme = "https", .host = "h", .target = "/" };
	char whole[512], out[512];
	size_t bytes = edgegrid_authorization(&tokens, &request, TIMESTAMP, NONCE, whole, sizeof whole);
	EQ(bytes, sizeof BASE - 1 + 44);
	for (size_t room = 0; room <= bytes + 1; room++) {
		memset(out, 0x55, sizeof out);
		size_t got = edgegrid_authorization(&tokens, &request, TIMESTAMP, NONCE, out, room);
		EQ(got, room > bytes ? bytes : 0);
		for (size_t i = room; i < sizeof out; i++)
			EQ(out[i], 0x55);
	}
	EQ_TEXT(out, whole);
}

static void writes_timestamps(void)
{
	char text[EDGEGRID_TIMESTAMP_BYTES];
	edgegrid_timestamp(1395430461, text);
	EQ_TEXT(text, "20140321T19:34:21+0000");
	edgegrid_timestamp(INT64_MIN, text);
	EQ_TEXT(text, "19700101T00:00:00+0000");
	edgegrid_timestamp(INT64_MAX, text);
	EQ_TEXT(text, "99991231T23:59:59+0000");
}

/* Against the C library: every day of four centuries (a whole era), at a time of day that moves along. */
static void timestamps_agree_with_gmtime(void)
{
	for (int64_t day = 0; day < 146097 + 366; day++) {
		time_t seconds = day * 86400 + day * 7919 % 86400;
		struct tm tm;
		char wanted[64], text[EDGEGRID_TIMESTAMP_BYTES];
		gmtime_r(&seconds, &tm);
		strftime(wanted, sizeof wanted, "%Y%m%dT%H:%M:%S+0000", &tm);
		edgegrid_timestamp(seconds, text);
		EQ_TEXT(text, wanted);
	}
}

static void nonces_are_version_4_uuids_and_differ(void)
{
	char last[EDGEGRID_NONCE_BYTES] = "", text[EDGEGRID_NONCE_BYTES];
	for (int i = 0; i < 1000; i++) {
		edgegrid_nonce(text);
		EQ(strlen(text), 36);
		for (size_t at = 0; at < 36; at++) {
			const char *allowed = at == 8 || at == 13 || at == 18 || at == 23 ? "-"
					      : at == 14				  ? "4"
					      : at == 19				  ? "89ab"
							 : "0123456789abcdef";
			if (!strchr(allowed, text[at]))
				FAIL("%s has %c at %zu", text, text[at], at);
		}
		NE(strcmp(text, last), 0);
		strcpy(last, text);
	}
}

TEST_MAIN(T(signs_a_get), T(signs_headers), T(hashes_the_body_of_a_post_only), T(refuses_too_little_room),
	  T(writes_timestamps), T(timestamps_agree_with_gmtime), T(nonces_are_version_4_uuids_and_differ))
