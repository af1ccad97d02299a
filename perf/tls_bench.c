/* SPDX-License-Identifier: Apache-2.0
 *
 * What opening records costs: INPLACE against SSL_read, per record size and suite. A BoringSSL server in this
 *process makes 256 KB of cipher bytes at a time (not timed), as one receive would leave them, and tls_push()
 *opens them into a plain window of 128 KB that is used again and again. One JSON object a line: medians over
 *rounds in which the variants take turns.
 *
 *	tls_bench [--quick]
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "tls_pair.h"

enum {
	CHUNK_BYTES = 256 << 10,
	WINDOW_BYTES = 128 << 10,
	ROUNDS_MAX = 31,
};

struct variant {
	const char *name;
	enum tls_mode mode;
	enum tls_version_limit versions;
	const char *cipher_tls12;
	size_t record_bytes;
	struct tls_pair pair;
	double rates[ROUNDS_MAX]; /* plain bytes per ns = GB/s */
};

#define BOTH(title, versions, cipher, bytes)                                                                 \
	{ title, TLS_MODE_INPLACE, versions, cipher, bytes, { 0 }, { 0 } },                                  \
	{                                                                                                    \
		title, TLS_MODE_SSL, versions, cipher, bytes, { 0 },                                         \
		{                                                                                            \
			0                                                                                    \
		}                                                                                            \
	}

static struct variant variants[] = {
	BOTH("TLS 1.3 AES-128-GCM", TLS_VERSIONS_13_ONLY, NULL, 16384),
	BOTH("TLS 1.3 AES-128-GCM", TLS_VERSIONS_13_ONLY, NULL, 4096),
	BOTH("TLS 1.3 AES-128-GCM", TLS_VERSIONS_13_ONLY, NULL, 1400),
	BOTH("TLS 1.2 AES-256-GCM", TLS_VERSIONS_12_ONLY, "ECDHE-ECDSA-AES256-GCM-SHA384", 16384),
	BOTH("TLS 1.2 ChaCha20-Poly1305", TLS_VERSIONS_12_ONLY, "ECDHE-ECDSA-CHACHA20-POLY1305", 16384),
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static uint8_t source[16384], window[WINDOW_BYTES];

static void open_variant(struct variant *it, const struct pair_identity *identity)
{
	struct tls_options options = { .mode = it->mode,
				       .versions = it->versions,
				       .cipher_tls12 = it->cipher_tls12 };
	pair_open(&it->pair, identity, options);
	pair_check(pair_handshake(&it->pair, PAIR_HOST) == FAULT_NONE, "no handshake");
	pair_check(strcmp(tls_mode_name(it->pair.tls), it->mode == TLS_MODE_SSL ? "ssl" : "inplace") == 0,
		   "wrong mode");
	SSL_set_max_send_fragment(it->pair.server, it->record_bytes);
}

/* One chunk: made, then opened. Adds to the plain bytes and the time. */
static void run_chunk(struct variant *it, uint64_t *plain_bytes, int64_t *time_ns)
{
	struct tls_pair *pair = &it->pair;
	while (BIO_pending(pair->from_server) + (int)sizeof source + 1024 <= CHUNK_BYTES)
		pair_check(SSL_write(pair->server, source, (int)it->record_bytes) == (int)it->record_bytes,
			   "no record");
	pair_to_wire(pair);
	struct cursor_in cipher = { pair->wire, pair->wire + pair->wire_bytes };
	enum step step = STEP_FULL;
	int64_t start_ns = clock_monotonic_ns();
	while (step == STEP_FULL) {
		struct cursor_out plain = { window, window + sizeof window };
		step = tls_push(pair->tls, &cipher, &plain);
		*plain_bytes += (size_t)(plain.next - window);
	}
	*time_ns += clock_monotonic_ns() - start_ns;
	pair_check(step == STEP_HUNGRY && cipher.next == cipher.end, tls_error_text(pair->tls));
	pair->wire_bytes = 0;
}

static int compare_rates(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	int rounds = quick ? 1 : ROUNDS_MAX, chunks = quick ? 2 : 64;
	struct pair_identity identity = pair_identity_create();
	for (size_t i = 0; i < sizeof source; i++)
		source[i] = (uint8_t)(i * 31 + i / 256);
	for (int v = 0; v < VARIANTS; v++)
		open_variant(&variants[v], &identity);
	for (int round = 0; round < rounds; round++) {
		for (int v = 0; v < VARIANTS; v++) {
			uint64_t plain_bytes = 0;
			int64_t time_ns = 0;
			for (int chunk = 0; chunk < chunks; chunk++)
				run_chunk(&variants[v], &plain_bytes, &time_ns);
			variants[v].rates[round] = (double)plain_bytes / (double)(time_ns ? time_ns : 1);
		}
	}
	for (int v = 0; v < VARIANTS; v++) {
		struct variant *it = &variants[v];
		qsort(it->rates, (size_t)rounds, sizeof *it->rates, compare_rates);
		printf("{\"bench\": \"tls\", \"suite\": \"%s\", \"mode\": \"%s\", \"record_bytes\": %zu, "
		       "\"mb_per_second\": %.0f, \"best_mb_per_second\": %.0f, \"ns_per_byte\": %.3f}\n",
		       it->name, tls_mode_name(it->pair.tls), it->record_bytes, it->rates[rounds / 2] * 1000,
		       it->rates[rounds - 1] * 1000, 1 / it->rates[rounds / 2]);
		pair_close(&it->pair);
	}
	pair_identity_destroy(&identity);
	return 0;
}
