/* SPDX-License-Identifier: Apache-2.0
 *
 * BoringSSL's view of our memory: it reads from the record that lies in the caller's receive buffer and
 * writes to the slot's output buffer. No bytes are kept on the way.
 */
#include <openssl/bio.h>

#include "tls/tls_internal.h"

static int bio_read(BIO *bio, char *target, int bytes)
{
	struct tls *tls = BIO_get_data(bio);
	struct cursor_in *window = &tls->record_window;
	size_t taken = cursor_in_bytes(window);

	BIO_clear_retry_flags(bio);
	if (bytes <= 0)
		return 0;
	if (taken > (size_t)bytes)
		taken = (size_t)bytes;
	if (!taken) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(target, window->next, taken);
	window->next += taken;
	return (int)taken;
}

static int bio_write(BIO *bio, const char *source, int bytes)
{
	struct tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (bytes <= 0)
		return 0;
	/* BoringSSL answers a malformed ticket with an alert of its own: under a key that is ours by now, and
	 * with a sequence number that was used. Such a nonce would give the authentication key away. */
	if (tls->own_layer)
		return -1;
	/* All or nothing, and nothing that waits is moved: it may be on its way to the socket right now. A
	 * full output is the caller's to drain, BoringSSL keeps what it could not write. */
	if ((size_t)bytes > sizeof tls->output - tls->output_end) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(tls->output + tls->output_end, source, (size_t)bytes);
	tls->output_end += (size_t)bytes;
	return bytes;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static int bio_open(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *tls_bio_method_create(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cursors");
	if (!method)
		return NULL;
	if (!BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
	    !BIO_meth_set_ctrl(method, bio_control) || !BIO_meth_set_create(method, bio_open)) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

BIO *tls_bio_create(const BIO_METHOD *method, struct tls *tls)
{
	BIO *bio = BIO_new(method);
	if (bio)
		BIO_set_data(bio, tls);
	return bio;
}
