/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens AES-GCM records with BoringSSL, whose kernels are assembler. A program of its own, since no process
 * may hold BoringSSL and OpenSSL (or a library that brings it) at once.
 *
 * usage: boringssl MS
 */
#include "target.h"

#include <openssl/aead.h>

#define RECORD_BYTES 16384

static uint8_t plain[RECORD_BYTES], sealed[RECORD_BYTES + 64], opened[RECORD_BYTES + 64];

KEPT static void open_record(const EVP_AEAD_CTX *context, const uint8_t *nonce, size_t sealed_bytes)
{
	size_t bytes;
	if (!EVP_AEAD_CTX_open(context, opened, &bytes, sizeof opened, nonce, 12, sealed, sealed_bytes, NULL,
			       0) ||
	    bytes != RECORD_BYTES)
		fail("EVP_AEAD_CTX_open");
}

int main(int argc, char **argv)
{
	static const uint8_t key[16] = { 1 }, nonce[12] = { 2 };
	EVP_AEAD_CTX context;
	size_t sealed_bytes;
	if (argc != 2)
		return 2;
	uint64_t end_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + strtoull(argv[1], NULL, 10) * 1000000;
	if (!EVP_AEAD_CTX_init(&context, EVP_aead_aes_128_gcm(), key, sizeof key, 16, NULL) ||
	    !EVP_AEAD_CTX_seal(&context, sealed, &sealed_bytes, sizeof sealed, nonce, 12, plain, RECORD_BYTES,
			       NULL, 0))
		fail("EVP_AEAD_CTX_seal");
	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end_ns)
		for (unsigned i = 0; i < 64; i++)
			open_record(&context, nonce, sealed_bytes);
	EVP_AEAD_CTX_cleanup(&context);
	return 0;
}
