/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "simulator/edgegrid_check.h"

#include "simulator/text.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define FIELD_BYTES_MAX 256
#define SCHEME "EG1-HMAC-SHA256 "
#define NONCE_PROBE_MAX 64

struct authorization {
	char client_token[FIELD_BYTES_MAX];
	char access_token[FIELD_BYTES_MAX];
	char timestamp[FIELD_BYTES_MAX];
	char nonce[FIELD_BYTES_MAX];
	char signature[FIELD_BYTES_MAX];
	size_t base_bytes; /* of the header up to and with the ';' before "signature=" */
};

void gate_start(struct gate *gate, const struct options *options)
{
	*gate = (struct gate){ .options = options };
	gate->nonces = memory_take(GATE_NONCE_COUNT * sizeof *gate->nonces);
	pthread_mutex_init(&gate->lock, NULL);
}

void gate_finish(struct gate *gate)
{
	free(gate->nonces);
	pthread_mutex_destroy(&gate->lock);
}

/* name=value; name=value; ... each once, in the order that clients use or any other. */
static int authorization_parse(struct authorization *authorization, const char *header)
{
	const struct {
		const char *name;
		char *target;
	} fields[] = {
		{ "client_token=", authorization->client_token },
		{ "access_token=", authorization->access_token },
		{ "timestamp=", authorization->timestamp },
		{ "nonce=", authorization->nonce },
		{ "signature=", authorization->signature },
	};
	*authorization = (struct authorization){ 0 };
	if (strncmp(header, SCHEME, sizeof SCHEME - 1) != 0)
		return -1;
	const char *at = header + sizeof SCHEME - 1;
	while (*at) {
		char *target = NULL;
		for (size_t i = 0; i < sizeof fields / sizeof *fields && !target; i++) {
			if (strncmp(at, fields[i].name, strlen(fields[i].name)) == 0)
				target = fields[i].target;
		}
		if (target == authorization->signature)
			authorization->base_bytes = (size_t)(at - header);
		const char *value = strchr(at, '=');
		size_t bytes = value ? strcspn(++value, ";") : 0;
		if (!target || *target || bytes == 0 || bytes >= FIELD_BYTES_MAX)
			return -1;
		memcpy(target, value, bytes);
		at = value + bytes + (value[bytes] == ';');
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (*fields[i].target == 0)
			return -1;
	}
	return 0;
}

/* YYYYMMDDTHH:MM:SS+0000 */
static int timestamp_parse(const char *text, int64_t *ret_ns)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y%m%dT%H:%M:%S+0000", &tm);
	if (!end || *end || strlen(text) != 22)
		return -1;
	*ret_ns = (int64_t)timegm(&tm) * 1000000000;
	return 0;
}

static void hmac_base64(const char *key, size_t key_bytes, const char *message, size_t message_bytes,
			struct text *target)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	HMAC(EVP_sha256(), key, (int)key_bytes, (const uint8_t *)message, message_bytes, digest, NULL);
	target->bytes = 0;
	text_put_base64(target, digest, sizeof digest);
}

/* name:value for each header agreed on, name lower-cased, runs of blanks as one; each followed by a tab,
 * except that an empty list is an empty field. */
static void headers_put(const struct gate *gate, const struct request *request, struct text *text)
{
	const char *at = gate->options->headers_to_sign;
	for (int count = 0; *at; count++) {
		size_t bytes = strcspn(at, ",");
		char name[FIELD_BYTES_MAX] = "";
		size_t name_bytes = bytes < sizeof name - 1 ? bytes : sizeof name - 1;
		for (size_t i = 0; i < name_bytes; i++)
			name[i] = (char)tolower((unsigned char)at[i]);
		const char *value = request_header(request, name);
		if (value) {
			text_format(text, "%s%s:", count ? "\t" : "", name);
			for (const char *c = value; *c; c++) {
				int blank = isspace((unsigned char)*c) != 0;
				if (!blank || (c[1] && !isspace((unsigned char)c[1])))
					text_put(text, blank ? " " : c, 1);
			}
		}
		at += bytes + (at[bytes] == ',');
	}
}

static int signature_right(const struct gate *gate, const struct request *request, const char *header,
			   const struct authorization *authorization, const char *scheme)
{
	struct text key = { 0 }, data = { 0 }, wanted = { 0 };
	const char *host = request_header(request, "host");
	hmac_base64(gate->options->client_secret, strlen(gate->options->client_secret),
		    authorization->timestamp, strlen(authorization->timestamp), &key);
	text_format(&data, "%s\t%s\t", request->method, scheme);
	for (const char *c = host ? host : ""; *c; c++)
		text_format(&data, "%c", tolower((unsigned char)*c));
	text_format(&data, "\t%s\t", request->target);
	headers_put(gate, request, &data);
	text_put_string(&data, "\t\t"); /* no content hash: only GET is served */
	text_put(&data, header, authorization->base_bytes);
	hmac_base64(key.base, key.bytes, data.base, data.bytes, &wanted);
	int right = strlen(authorization->signature) == wanted.bytes &&
		    CRYPTO_memcmp(authorization->signature, wanted.base, wanted.bytes) == 0;
	text_finish(&key);
	text_finish(&data);
	text_finish(&wanted);
	return right;
}

/* Remembers the nonce. Returns 1 when it was seen within twice the window. */
static int nonce_used(struct gate *gate, const char *nonce, int64_t now_ns)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct gate_nonce entry = { .seen_ns = now_ns };
	SHA256((const uint8_t *)nonce, strlen(nonce), digest);
	memcpy(entry.hash, digest, sizeof entry.hash);
	pthread_mutex_lock(&gate->lock);
	struct gate_nonce *target = NULL;
	int used = 0;
	for (size_t i = 0; i < NONCE_PROBE_MAX && !used; i++) {
		struct gate_nonce *slot = &gate->nonces[(entry.hash[0] + i) % GATE_NONCE_COUNT];
		int old = now_ns - slot->seen_ns > 2 * GATE_WINDOW_NS;
		used = !old && memcmp(slot->hash, entry.hash, sizeof entry.hash) == 0;
		if (!target || (slot->seen_ns < target->seen_ns && target->seen_ns))
			target = slot;
	}
	if (!used)
		*target = entry;
	pthread_mutex_unlock(&gate->lock);
	return used;
}

enum gate_result gate_check(struct gate *gate, const struct request *request, int64_t now_ns)
{
	const char *header = request_header(request, "authorization");
	struct authorization authorization;
	int64_t timestamp_ns = 0;
	if (!header)
		return GATE_MISSING;
	if (authorization_parse(&authorization, header) < 0)
		return GATE_MALFORMED;
	if (strcmp(authorization.client_token, gate->options->client_token) != 0 ||
	    strcmp(authorization.access_token, gate->options->access_token) != 0)
		return GATE_TOKENS;
	if (timestamp_parse(authorization.timestamp, &timestamp_ns) < 0)
		return GATE_TIMESTAMP;
	/* The text has whole seconds: up to one more has passed since. */
	if (timestamp_ns > now_ns + GATE_WINDOW_NS || timestamp_ns + 1000000000 < now_ns - GATE_WINDOW_NS)
		return GATE_TIMESTAMP;
	int right = signature_right(gate, request, header, &authorization,
				    gate->options->plain ? "http" : "https");
	/* Behind a TLS terminator the client signs https although plain bytes arrive here. */
	if (!right && gate->options->plain)
		right = signature_right(gate, request, header, &authorization, "https");
	if (!right)
		return GATE_SIGNATURE;
	return nonce_used(gate, authorization.nonce, now_ns) ? GATE_NONCE : GATE_PASSED;
}
