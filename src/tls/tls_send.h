/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending half of our record layer: seals one record straight into the output. What is to be sent, and
 * when keys change, is tls_inplace.c's business. No heap, no I/O. BoringSSL's SSL_write would allocate a
 * buffer for each request.
 */
#ifndef TLS_TLS_SEND_H
#define TLS_TLS_SEND_H

#include <openssl/aead.h>

#include "base/fault.h"
#include "base/span.h"
#include "tls/tls_keys.h"

struct tls_sender {
	struct tls_keys keys; /* the client's; `sequence` is of the next record, and never used twice */
	EVP_AEAD_CTX aead;
};

/* Arms it with `keys` (copied). Returns 0, or -1 when the AEAD refuses them. */
int tls_sender_init(struct tls_sender *sender, const struct tls_keys *keys);
/* The next generation, behind our KeyUpdate (RFC 8446 4.6.3). Returns 0 or -1. */
int tls_sender_update(struct tls_sender *sender);
void tls_sender_wipe(struct tls_sender *sender);

/* Appends one record of `type` with `content`, at most 2^14 bytes, to `target`, which must have room for
 * tls_sender_record_bytes(). FAULT_TLS_LIMIT: the key has been used as often as is safe (RFC 8446 5.5, 5.3);
 * FAULT_TLS_INTERNAL: the AEAD refuses. `target` is unchanged then. */
enum fault tls_sender_seal(struct tls_sender *sender, uint8_t type, struct span content,
			   struct cursor_out *target);
size_t tls_sender_record_bytes(const struct tls_sender *sender, size_t content_bytes);

#endif
