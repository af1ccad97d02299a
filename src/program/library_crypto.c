/* SPDX-License-Identifier: Apache-2.0
 *
 * crypto, base64 and hex. SHA-256 is BoringSSL's; HMAC (RFC 2104) is put together from it, because
 * BoringSSL's HMAC takes its context from the heap.
 */
#include "program/library.h"

#include <lauxlib.h>

#include <openssl/mem.h>
#include <openssl/sha.h>

#include "base/random.h"

enum {
	HASHED_BYTES_OF_INSTRUCTION = 4, /* without instructions for it, SHA-256 does 400 MB/s */
	BYTES_OF_INSTRUCTION = 16,
	HASH_INSTRUCTIONS = 30, /* of the last block */
	UUID_TEXT_BYTES = 36,
};

static struct span span_argument(lua_State *lua, int index, unsigned bytes_of_instruction)
{
	size_t bytes;
	const char *text = luaL_checklstring(lua, index, &bytes);
	program_charge(lua, bytes / bytes_of_instruction);
	return span_of(text, bytes);
}

static int crypto_sha256(lua_State *lua)
{
	struct span text = span_argument(lua, 1, HASHED_BYTES_OF_INSTRUCTION);
	uint8_t digest[SHA256_DIGEST_LENGTH];
	program_charge(lua, HASH_INSTRUCTIONS);
	SHA256(text.base, text.bytes, digest);
	lua_pushlstring(lua, (const char *)digest, sizeof digest);
	return 1;
}

/* One of the two hashes: of the key, padded and masked, then the text. */
static void hash_masked(const uint8_t key[static SHA256_CBLOCK], uint8_t mask, struct span text,
			uint8_t digest[static SHA256_DIGEST_LENGTH])
{
	SHA256_CTX context;
	uint8_t block[SHA256_CBLOCK];
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = key[i] ^ mask;
	SHA256_Init(&context);
	SHA256_Update(&context, block, sizeof block);
	SHA256_Update(&context, text.base, text.bytes);
	SHA256_Final(digest, &context);
	OPENSSL_cleanse(block, sizeof block);
	OPENSSL_cleanse(&context, sizeof context);
}

static int crypto_hmac_sha256(lua_State *lua)
{
	struct span key = span_argument(lua, 1, HASHED_BYTES_OF_INSTRUCTION);
	struct span text = span_argument(lua, 2, HASHED_BYTES_OF_INSTRUCTION);
	uint8_t block[SHA256_CBLOCK] = { 0 }, digest[SHA256_DIGEST_LENGTH];
	program_charge(lua, 4 * HASH_INSTRUCTIONS);
	if (key.bytes > sizeof block)
		SHA256(key.base, key.bytes, block);
	else
		memcpy(block, key.base, key.bytes);
	hash_masked(block, 0x36, text, digest);
	hash_masked(block, 0x5c, span_of(digest, sizeof digest), digest);
	OPENSSL_cleanse(block, sizeof block);
	lua_pushlstring(lua, (const char *)digest, sizeof digest);
	return 1;
}

static int crypto_uuid(lua_State *lua)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[16];
	char text[UUID_TEXT_BYTES], *at = text;
	program_charge(lua, HASH_INSTRUCTIONS);
	random_fill(bytes, sizeof bytes);
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4, RFC 9562 section 5.4 */
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* variant 10 */
	for (size_t i = 0; i < sizeof bytes; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[bytes[i] >> 4];
		*at++ = digits[bytes[i] & 15];
	}
	lua_pushlstring(lua, text, sizeof text);
	return 1;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int encode_base64(lua_State *lua, const char *letters, int is_padded)
{
	struct span text = span_argument(lua, 1, BYTES_OF_INSTRUCTION);
	struct library_text out;
	library_text_begin(&out, lua);
	char *to = library_text_room(&out, (text.bytes + 2) / 3 * 4);
	size_t bytes = 0;
	for (size_t i = 0; i < text.bytes; i += 3) {
		size_t left = text.bytes - i;
		uint32_t bits = (uint32_t)text.base[i] << 16;
		bits |= left > 1 ? (uint32_t)text.base[i + 1] << 8 : 0;
		bits |= left > 2 ? text.base[i + 2] : 0;
		to[bytes++] = letters[bits >> 18];
		to[bytes++] = letters[bits >> 12 & 63];
		if (left > 1)
			to[bytes++] = letters[bits >> 6 & 63];
		else if (is_padded)
			to[bytes++] = '=';
		if (left > 2)
			to[bytes++] = letters[bits & 63];
		else if (is_padded)
			to[bytes++] = '=';
	}
	out.bytes += bytes;
	library_text_push(&out);
	return 1;
}

static int base64_encode(lua_State *lua)
{
	return encode_base64(lua, alphabet, 1);
}

static int base64_encode_url(lua_State *lua)
{
	return encode_base64(lua, alphabet_url, 0);
}

/* 0 to 63, or -1. */
static int sextet_of(uint8_t byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return byte - 'A';
	if (byte >= 'a' && byte <= 'z')
		return byte - 'a' + 26;
	if (byte >= '0' && byte <= '9')
		return byte - '0' + 52;
	return byte == '+' || byte == '-' ? 62 : byte == '/' || byte == '_' ? 63 : -1;
}

static int raise_at(lua_State *lua, const char *what, size_t at)
{
	return luaL_argerror(lua, 1, lua_pushfstring(lua, "%s at byte %I", what, (LUAI_UACINT)at + 1));
}

/* With its padding or without it; nothing else beside the alphabet, and no bits left over, so that a value
 * has one text in each alphabet (RFC 4648 sections 3.3 and 3.5). */
static int base64_decode(lua_State *lua)
{
	struct span text = span_argument(lua, 1, BYTES_OF_INSTRUCTION);
	size_t letters = text.bytes;
	while (letters && text.bytes - letters < 2 && text.base[letters - 1] == '=')
		letters--;
	if (letters % 4 == 1)
		return luaL_argerror(lua, 1, "no base64: its length cannot be");
	if (letters < text.bytes && text.bytes % 4 != 0)
		return luaL_argerror(lua, 1, "no base64: its padding has the wrong length");
	struct library_text out;
	library_text_begin(&out, lua);
	char *to = library_text_room(&out, letters / 4 * 3 + 3);
	uint32_t bits = 0;
	unsigned bit_count = 0;
	for (size_t i = 0; i < letters; i++) {
		int sextet = sextet_of(text.base[i]);
		if (sextet < 0)
			return raise_at(lua, "no letter of base64", i);
		bits = bits << 6 | (uint32_t)sextet;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			to[out.bytes++] = (char)(bits >> bit_count);
			bits &= (UINT32_C(1) << bit_count) - 1;
		}
	}
	if (bits)
		return raise_at(lua, "no base64: bits are left over", letters - 1);
	library_text_push(&out);
	return 1;
}

static int hex_encode(lua_State *lua)
{
	static const char digits[] = "0123456789abcdef";
	struct span text = span_argument(lua, 1, BYTES_OF_INSTRUCTION);
	struct library_text out;
	library_text_begin(&out, lua);
	char *to = library_text_room(&out, text.bytes * 2);
	for (size_t i = 0; i < text.bytes; i++) {
		to[out.bytes++] = digits[text.base[i] >> 4];
		to[out.bytes++] = digits[text.base[i] & 15];
	}
	library_text_push(&out);
	return 1;
}

static int hex_decode(lua_State *lua)
{
	struct span text = span_argument(lua, 1, BYTES_OF_INSTRUCTION);
	struct library_text out;
	library_text_begin(&out, lua);
	char *to = library_text_room(&out, text.bytes / 2);
	for (size_t i = 0; i < text.bytes; i++) {
		int value = library_hex_value(text.base[i]);
		if (value < 0)
			return raise_at(lua, "no hexadecimal digit", i);
		if (i % 2)
			to[out.bytes++] = (char)(library_hex_value(text.base[i - 1]) * 16 + value);
	}
	if (text.bytes % 2)
		return luaL_argerror(lua, 1, "an odd number of hexadecimal digits");
	library_text_push(&out);
	return 1;
}

void library_crypto_open(lua_State *lua)
{
	static const luaL_Reg of_crypto[] = {
		{ "sha256", crypto_sha256 },
		{ "hmac_sha256", crypto_hmac_sha256 },
		{ "uuid", crypto_uuid },
		{ NULL, NULL },
	};
	static const luaL_Reg of_base64[] = {
		{ "encode", base64_encode },
		{ "encode_url", base64_encode_url },
		{ "decode", base64_decode },
		{ NULL, NULL },
	};
	static const luaL_Reg of_hex[] = {
		{ "encode", hex_encode },
		{ "decode", hex_decode },
		{ NULL, NULL },
	};
	luaL_newlib(lua, of_crypto);
	lua_setglobal(lua, "crypto");
	luaL_newlib(lua, of_base64);
	lua_setglobal(lua, "base64");
	luaL_newlib(lua, of_hex);
	lua_setglobal(lua, "hex");
}
