/* SPDX-License-Identifier: Apache-2.0
 *
 * What we send after the handshake: our record layer seals it, a BoringSSL server reads it. Order, keys and
 * their age, alerts and the end. (That each size arrives, and that it costs no heap, is in tls_test.c.)
 */
#define _GNU_SOURCE
#include "test.h"
#include "tls_pair.h"

static const struct tls_options variants[] = {
	{ .mode = TLS_MODE_INPLACE, .versions = TLS_VERSIONS_13_ONLY },
	{ .mode = TLS_MODE_INPLACE, .versions = TLS_VERSIONS_12_ONLY },
	{ .mode = TLS_MODE_SSL, .versions = TLS_VERSIONS_13_ONLY },
	{ .mode = TLS_MODE_SSL, .versions = TLS_VERSIONS_12_ONLY },
};
enum { TLS_13, TLS_12 };

static struct pair_identity identity;
static struct tls_pair pair;
static uint8_t received[1 << 16];

static void establish(size_t index)
{
	if (!identity.key)
		identity = pair_identity_create();
	pair_open(&pair, &identity, variants[index]);
	EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
}

static enum step push_all(void)
{
	struct cursor_out plain = { received, received + sizeof received };
	return pair_push(&pair, &plain);
}

/* The key that we send with grows old, too: it is changed before the next request, and the server follows. */
static void our_old_keys_are_changed(void)
{
	char got[16];
	establish(TLS_13);
	for (int round = 0; round < 3; round++) {
		/* The server cannot be told to jump ahead, so only the count is made old: the sequence of the
		 * fresh key is 0 on both sides. */
		struct tls_keys before = pair.tls->sender.keys;
		pair.tls->key_update_due = 1;
		EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
		EQ(tls_output(pair.tls).bytes, 5 + 5 + 1 + 16 + 5 + 7 + 1 + 16);
		NE(memcmp(before.key, pair.tls->sender.keys.key, before.key_bytes), 0);
		EQ(pair.tls->sender.keys.sequence, 1);
		pair_to_server(&pair);
		EQ(SSL_read(pair.server, got, sizeof got), 7);
	}
	pair.tls->sender.keys.sequence = TLS_GCM_RECORDS_ASK - 1;
	EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
	EQ(tls_output(pair.tls).bytes, 5 + 7 + 1 + 16);
	tls_output_consume(pair.tls, tls_output(pair.tls).bytes);
	EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
	EQ(tls_output(pair.tls).bytes, 5 + 5 + 1 + 16 + 5 + 7 + 1 + 16);
	EQ(pair.tls->sender.keys.sequence, 1);
	pair_close(&pair);
}

/* TLS 1.2 has no other key: the connection ends, and nothing is sent under a number that was used. */
static void our_old_keys_end_tls_12(void)
{
	establish(TLS_12);
	pair.tls->sender.keys.sequence = TLS_GCM_RECORDS_MAX;
	EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_TLS_LIMIT);
	HAS_TEXT(tls_error_text(pair.tls), "2^24.5");
	EQ(tls_output(pair.tls).bytes, 0);
	pair_close(&pair);
}

/* An answer that found no room goes out before the next request, under the key that the server expects. */
static void late_answers_go_before_requests(void)
{
	char got[16];
	establish(TLS_13);
	EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
	pair_to_server(&pair);
	EQ(SSL_read(pair.server, got, sizeof got), 7);
	pair.tls->output_end = pair.tls->output_next = TLS_OUTPUT_BYTES_MAX - 1; /* full */
	pair.tls->output_next--;
	SSL_key_update(pair.server, SSL_KEY_UPDATE_REQUESTED);
	SSL_write(pair.server, "x", 1);
	pair_to_wire(&pair);
	EQ(push_all(), STEP_HUNGRY);
	EQ(pair.tls->key_update_due, 1);
	pair.tls->output_end = pair.tls->output_next = 0;
	EQ(tls_write(pair.tls, span_of("another", 7)), FAULT_NONE);
	EQ(pair.tls->key_update_due, 0);
	EQ(tls_output(pair.tls).bytes, 5 + 5 + 1 + 16 + 5 + 7 + 1 + 16);
	pair_to_server(&pair);
	EQ(SSL_read(pair.server, got, sizeof got), 7);
	EQ(memcmp(got, "another", 7), 0);
	pair_close(&pair);
}

static void nothing_follows_the_end(void)
{
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
		establish(i);
		tls_close(pair.tls);
		size_t bytes = tls_output(pair.tls).bytes;
		GT(bytes, 0);
		tls_close(pair.tls);
		EQ(tls_output(pair.tls).bytes, bytes);
		tls_output_consume(pair.tls, bytes);
		EQ(tls_write(pair.tls, span_of("late", 4)), FAULT_TLS_INTERNAL);
		EQ(tls_output(pair.tls).bytes, 0);
		pair_close(&pair);
	}
}

/* Fatal alerts go out under the newest key; the server reads which one it is. */
static void alerts_are_sent_under_the_right_key(void)
{
	for (int updates = 0; updates < 3; updates++) {
		char got[4];
		struct seal seal;
		establish(TLS_13);
		for (int n = 0; n < updates; n++) {
			SSL_key_update(pair.server, SSL_KEY_UPDATE_REQUESTED);
			SSL_write(pair.server, "x", 1);
			pair_to_wire(&pair);
			EQ(push_all(), STEP_HUNGRY);
		}
		pair_seal_init(&pair, &seal);
		for (int n = 0; n < updates; n++)
			seal_update(&seal);
		seal.keys.sequence = pair.tls->record.keys.sequence + 1; /* a record was lost on the way */
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "x", 1);
		EQ(push_all(), STEP_BROKEN);
		EQ(tls_fault(pair.tls), FAULT_TLS_AUTHENTICATION);
		pair_to_server(&pair);
		ERR_clear_error();
		EQ(SSL_read(pair.server, got, sizeof got), -1);
		EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
		pair_close(&pair);
	}
}

TEST_MAIN(T(our_old_keys_are_changed), T(our_old_keys_end_tls_12), T(late_answers_go_before_requests),
	  T(nothing_follows_the_end), T(alerts_are_sent_under_the_right_key))
