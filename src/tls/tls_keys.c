/* SPDX-License-Identifier: Apache-2.0
 *
 * Derivation of keys: TLS 1.3 from a traffic secret, TLS 1.2 from the key block; and of nonces.
 */
#include "tls/tls_keys.h"

#include <string.h>

#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "this room is written for little-endian machines"
#endif

struct suite {
	uint16_t version;
	uint16_t number;
	uint8_t key_bytes;
	uint8_t is_gcm;
	const EVP_AEAD *(*aead)(void);
	const EVP_MD *(*digest)(void); /* of the key schedule; TLS 1.2 leaves it to BoringSSL */
};

static const struct suite suites[] = {
	{ TLS_VERSION_13, 0x1301, 16, 1, EVP_aead_aes_128_gcm, EVP_sha256 },
	{ TLS_VERSION_13, 0x1302, 32, 1, EVP_aead_aes_256_gcm, EVP_sha384 },
	{ TLS_VERSION_13, 0x1303, 32, 0, EVP_aead_chacha20_poly1305, EVP_sha256 },
	{ TLS_VERSION_12, 0xc02b, 16, 1, EVP_aead_aes_128_gcm, NULL },	     /* ECDHE-ECDSA */
	{ TLS_VERSION_12, 0xc02f, 16, 1, EVP_aead_aes_128_gcm, NULL },	     /* ECDHE-RSA */
	{ TLS_VERSION_12, 0xc02c, 32, 1, EVP_aead_aes_256_gcm, NULL },	     /* ECDHE-ECDSA */
	{ TLS_VERSION_12, 0xc030, 32, 1, EVP_aead_aes_256_gcm, NULL },	     /* ECDHE-RSA */
	{ TLS_VERSION_12, 0xcca9, 32, 0, EVP_aead_chacha20_poly1305, NULL }, /* ECDHE-ECDSA */
	{ TLS_VERSION_12, 0xcca8, 32, 0, EVP_aead_chacha20_poly1305, NULL }, /* ECDHE-RSA */
};

static const struct suite *suite_find(uint16_t version, uint16_t number)
{
	for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
		if (suites[i].version == version && suites[i].number == number)
			return &suites[i];
	}
	return NULL;
}

int tls_keys_known_suite(uint16_t version, uint16_t suite)
{
	return suite_find(version, suite) != NULL;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1):
 * struct { uint16 length; opaque label<7..255> = "tls13 " + Label; opaque context<0..255>; } */
static int expand_label(uint8_t *target, size_t bytes, const EVP_MD *digest, const uint8_t *secret,
			size_t secret_bytes, const char *label)
{
	static const char prefix[] = "tls13 ";
	uint8_t info[32];
	size_t prefix_bytes = sizeof prefix - 1, label_bytes = strlen(label), at = 0;

	info[at++] = (uint8_t)(bytes >> 8);
	info[at++] = (uint8_t)bytes;
	info[at++] = (uint8_t)(prefix_bytes + label_bytes);
	memcpy(info + at, prefix, prefix_bytes);
	memcpy(info + at + prefix_bytes, label, label_bytes); /* our labels have at most 11 bytes */
	at += prefix_bytes + label_bytes;
	info[at++] = 0;
	return HKDF_expand(target, bytes, digest, secret, secret_bytes, info, at) == 1 ? 0 : -1;
}

int tls_keys_from_secret(struct tls_keys *keys, uint16_t number, const uint8_t *secret, size_t bytes)
{
	const struct suite *suite = suite_find(TLS_VERSION_13, number);
	if (!suite || bytes != EVP_MD_size(suite->digest()))
		return -1;
	*keys = (struct tls_keys){
		.version = TLS_VERSION_13,
		.suite = number,
		.key_bytes = suite->key_bytes,
		.secret_bytes = (uint8_t)bytes,
		.is_gcm = suite->is_gcm,
	};
	memcpy(keys->secret, secret, bytes);
	if (expand_label(keys->key, keys->key_bytes, suite->digest(), secret, bytes, "key") < 0)
		return -1;
	return expand_label(keys->iv, TLS_IV_BYTES, suite->digest(), secret, bytes, "iv");
}

int tls_keys_from_block(struct tls_keys *keys, uint16_t number, const uint8_t *block, size_t bytes,
			enum tls_side writer)
{
	const struct suite *suite = suite_find(TLS_VERSION_12, number);
	if (!suite)
		return -1;
	/* client key, server key, client iv, server iv (RFC 5246 6.3; an AEAD has no MAC keys) */
	size_t key_bytes = suite->key_bytes, iv_bytes = suite->is_gcm ? TLS_NONCE_SALT_BYTES : TLS_IV_BYTES;
	if (bytes != 2 * (key_bytes + iv_bytes))
		return -1;
	*keys = (struct tls_keys){
		.version = TLS_VERSION_12,
		.suite = number,
		.key_bytes = suite->key_bytes,
		.nonce_explicit_bytes = suite->is_gcm ? TLS_NONCE_EXPLICIT_BYTES : 0,
		.is_gcm = suite->is_gcm,
		.sequence = 1,
	};
	size_t at = writer == TLS_SIDE_SERVER; /* behind the client's */
	memcpy(keys->key, block + at * key_bytes, key_bytes);
	memcpy(keys->iv, block + 2 * key_bytes + at * iv_bytes, iv_bytes);
	return 0;
}

int tls_keys_update(struct tls_keys *keys)
{
	const struct suite *suite = suite_find(keys->version, keys->suite);
	uint8_t next[TLS_SECRET_BYTES_MAX];
	if (!suite || keys->version != TLS_VERSION_13)
		return -1;
	int result = expand_label(next, keys->secret_bytes, suite->digest(), keys->secret, keys->secret_bytes,
				  "traffic upd");
	if (result == 0)
		result = tls_keys_from_secret(keys, keys->suite, next, keys->secret_bytes);
	OPENSSL_cleanse(next, sizeof next);
	return result;
}

const EVP_AEAD *tls_keys_aead(const struct tls_keys *keys)
{
	const struct suite *suite = suite_find(keys->version, keys->suite);
	return suite ? suite->aead() : NULL;
}

int tls_keys_arm(const struct tls_keys *keys, EVP_AEAD_CTX *aead)
{
	const EVP_AEAD *kind = tls_keys_aead(keys);
	if (!kind || EVP_AEAD_CTX_init(aead, kind, keys->key, keys->key_bytes, TLS_TAG_BYTES, NULL) != 1)
		return -1;
	return 0;
}

/* The static iv xor the sequence number, right-aligned (RFC 8446 5.3, RFC 7905 2); or salt and the eight
 * bytes that the record carries (RFC 5288 3). */
void tls_keys_nonce(const struct tls_keys *keys, const uint8_t *explicit_bytes,
		    uint8_t nonce[static TLS_IV_BYTES])
{
	memcpy(nonce, keys->iv, TLS_IV_BYTES);
	if (keys->nonce_explicit_bytes) {
		memcpy(nonce + TLS_NONCE_SALT_BYTES, explicit_bytes, TLS_NONCE_EXPLICIT_BYTES);
		return;
	}
	uint64_t sequence = __builtin_bswap64(keys->sequence), tail;
	memcpy(&tail, nonce + 4, sizeof tail);
	tail ^= sequence;
	memcpy(nonce + 4, &tail, sizeof tail);
}

/* TLS 1.3: the header. TLS 1.2: sequence, type, version, content length (RFC 5246 6.2.3.3). */
size_t tls_keys_additional(const struct tls_keys *keys, const uint8_t header[static TLS_HEADER_BYTES],
			   size_t content_bytes, uint8_t additional[static TLS_ADDITIONAL_BYTES_MAX])
{
	if (keys->version == TLS_VERSION_13) {
		memcpy(additional, header, TLS_HEADER_BYTES);
		return TLS_HEADER_BYTES;
	}
	uint64_t sequence = __builtin_bswap64(keys->sequence);
	memcpy(additional, &sequence, sizeof sequence);
	memcpy(additional + 8, header, 3);
	additional[11] = (uint8_t)(content_bytes >> 8);
	additional[12] = (uint8_t)content_bytes;
	return TLS_ADDITIONAL_BYTES_MAX;
}

void tls_keys_wipe(struct tls_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof *keys);
}
