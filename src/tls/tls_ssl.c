/* SPDX-License-Identifier: Apache-2.0
 *
 * Received records through SSL_read: BoringSSL allocates a buffer for each. One record at a time is shown to
 * it, so that an incomplete one stays with the caller here as well.
 */
#include <openssl/err.h>

#include "tls/tls_internal.h"

enum step tls_ssl_push(struct tls *tls, struct cursor_in *cipher, struct cursor_out *plain)
{
	for (;;) {
		size_t room = cursor_out_bytes(plain);
		int pending = SSL_pending(tls->ssl) > 0;
		if (!room && (pending || tls_record_measure(cipher) > 0))
			return STEP_FULL;
		if (!pending) {
			enum step step = tls_next_record_window(tls, cipher);
			if (step != STEP_DONE)
				return step;
			tls->records++;
		}
		ERR_clear_error();
		int got = SSL_read(tls->ssl, plain->next, room > INT32_MAX ? INT32_MAX : (int)room);
		/* Before anything else is asked of BoringSSL: the answer is about its last call. */
		int error = SSL_get_error(tls->ssl, got);
		if (error == SSL_ERROR_ZERO_RETURN) {
			tls->state = TLS_STATE_CLOSED;
			return STEP_DONE;
		}
		if (got > 0)
			plain->next += got;
		else if (error != SSL_ERROR_WANT_READ)
			return tls_fail_ssl(tls, FAULT_TLS_RECORD);
		if (tls->key_update_due)
			tls_flush_key_update(tls);
		/* BoringSSL asks for a header, then for exactly the body: nothing can be left. */
		if (cursor_in_bytes(&tls->record_window))
			return tls_fail(tls, FAULT_TLS_INTERNAL, "the TLS library left a part of a record");
	}
}
