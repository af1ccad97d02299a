/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole connections against a BoringSSL server in the same process, both receive modes, TLS 1.2 and 1.3: data
 * at every split, tickets, key updates, alerts, limits, ends; and how much heap BoringSSL takes when.
 */
#define _GNU_SOURCE
#include "tls_pair.h"

#include "test.h"

/* Counts the heap. Under a sanitizer the heap is the sanitizer's, and these tests say so. */
#if defined(__SANITIZE_ADDRESS__)
#define HEAP_IS_COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_IS_COUNTED 0
#endif
#endif
#ifndef HEAP_IS_COUNTED
#define HEAP_IS_COUNTED 1
#endif

static struct {
	int counting; /* set around the client's calls only */
	uint64_t calls, bytes_now, bytes_peak;
} heap;

#if HEAP_IS_COUNTED
#include <malloc.h>
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void __libc_free(void *memory);

static void heap_moved(void *freed, void *taken)
{
	if (!heap.counting)
		return;
	heap.calls += taken != NULL;
	heap.bytes_now += malloc_usable_size(taken) - malloc_usable_size(freed);
	if (heap.bytes_now > heap.bytes_peak)
		heap.bytes_peak = heap.bytes_now;
}

void *malloc(size_t bytes)
{
	void *memory = __libc_malloc(bytes);
	heap_moved(NULL, memory);
	return memory;
}

void *calloc(size_t count, size_t bytes)
{
	void *memory = __libc_calloc(count, bytes);
	heap_moved(NULL, memory);
	return memory;
}

void *realloc(void *old, size_t bytes)
{
	heap_moved(old, NULL);
	void *memory = __libc_realloc(old, bytes);
	heap_moved(NULL, memory);
	return memory;
}

void free(void *memory)
{
	heap_moved(memory, NULL);
	__libc_free(memory);
}
#endif

static const struct tls_options variants[] = {
	{ .mode = TLS_MODE_INPLACE, .versions = TLS_VERSIONS_13_ONLY },
	{ .mode = TLS_MODE_SSL, .versions = TLS_VERSIONS_13_ONLY },
	{ .mode = TLS_MODE_INPLACE, .versions = TLS_VERSIONS_12_ONLY },
	{ .mode = TLS_MODE_SSL, .versions = TLS_VERSIONS_12_ONLY },
	{ .mode = TLS_MODE_INPLACE,
	  .versions = TLS_VERSIONS_12_ONLY,
	  .cipher_tls12 = "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ .mode = TLS_MODE_INPLACE,
	  .versions = TLS_VERSIONS_12_ONLY,
	  .cipher_tls12 = "ECDHE-ECDSA-CHACHA20-POLY1305" },
};
enum {
	VARIANTS = sizeof variants / sizeof *variants,
	INPLACE_13 = 0,
	SSL_13 = 1,
	INPLACE_12 = 2,
	SSL_12 = 3
};

static struct pair_identity identity;
static struct tls_pair pair;
static uint8_t received[1 << 20];
static size_t received_bytes;

static void open_variant(size_t index)
{
	if (!identity.key)
		identity = pair_identity_create();
	pair_open(&pair, &identity, variants[index]);
	received_bytes = 0;
}

static void establish(size_t index)
{
	open_variant(index);
	enum fault fault = pair_handshake(&pair, PAIR_HOST);
	if (fault != FAULT_NONE)
		FAIL("variant %zu: %s", index, tls_error_text(pair.tls));
}

/* Pushes the whole wire, with `room` bytes of plain room per call. */
static enum step push_all(size_t room)
{
	enum step step = STEP_FULL;
	while (step == STEP_FULL) {
		struct cursor_out plain = { received + received_bytes, received + received_bytes + room };
		LE(received_bytes + room, sizeof received);
		step = pair_push(&pair, &plain);
		received_bytes = (size_t)(plain.next - received);
	}
	return step;
}

static int is_13(size_t index)
{
	return variants[index].versions == TLS_VERSIONS_13_ONLY;
}

static void handshake_says_what_it_agreed_on(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		open_variant(i);
		EQ_TEXT(tls_version_name(pair.tls), "");
		EQ_TEXT(tls_mode_name(pair.tls), "");
		EQ(tls_established(pair.tls), 0);
		pair_close(&pair);
		establish(i);
		EQ_TEXT(tls_version_name(pair.tls), is_13(i) ? "TLSv1.3" : "TLSv1.2");
		EQ_TEXT(tls_mode_name(pair.tls), variants[i].mode == TLS_MODE_SSL ? "ssl" : "inplace");
		GT(strlen(tls_cipher_name(pair.tls)), 10);
		EQ(tls_resumed(pair.tls), 0);
		EQ(tls_fault(pair.tls), FAULT_NONE);
		EQ_TEXT(tls_error_text(pair.tls), "");
		const uint8_t *protocol;
		unsigned bytes;
		EQ_TEXT(SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name), PAIR_HOST);
		SSL_get0_alpn_selected(pair.server, &protocol, &bytes);
		pair_close(&pair);
	}
}

static void auto_is_inplace(void)
{
	open_variant(INPLACE_13);
	pair_close(&pair);
	pair_open(&pair, &identity, (struct tls_options){ .mode = TLS_MODE_AUTO });
	EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
	EQ_TEXT(tls_mode_name(pair.tls), "inplace");
	EQ_TEXT(tls_version_name(pair.tls), "TLSv1.3");
	pair_close(&pair);
}

static void an_address_is_verified_and_not_named(void)
{
	open_variant(INPLACE_13);
	EQ(pair_handshake(&pair, "127.0.0.1"), FAULT_NONE);
	EQ(SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name) == NULL, 1);
	EQ(pair_handshake(&pair, "127.0.0.2"), FAULT_TLS_CERTIFICATE);
	HAS_TEXT(tls_error_text(pair.tls), "not for 127.0.0.2: it names localhost, 127.0.0.1");
	EQ(pair_handshake(&pair, "localhost."), FAULT_NONE); /* the root label does not count */
	EQ(pair_handshake(&pair, "notlocalhost"), FAULT_TLS_CERTIFICATE);
	char name[300];
	memset(name, 'a', sizeof name);
	name[256] = 0;
	EQ(pair_start(&pair, name), FAULT_TLS_INTERNAL);
	EQ(pair_start(&pair, ""), FAULT_TLS_INTERNAL);
	pair_close(&pair);
}

static void requests_arrive(void)
{
	static uint8_t request[16384], got[16384];
	memset(request, 'r', sizeof request);
	for (size_t i = 0; i < VARIANTS; i++) {
		establish(i);
		for (size_t bytes = 1; bytes <= sizeof request; bytes = bytes * 4) {
			EQ(tls_write(pair.tls, span_of(request, bytes)), FAULT_NONE);
			pair_to_server(&pair);
			EQ(SSL_read(pair.server, got, sizeof got), bytes);
			EQ(memcmp(request, got, bytes), 0);
		}
		EQ(tls_write(pair.tls, span_of(request, 0)), FAULT_NONE);
		EQ(tls_output(pair.tls).bytes, 0);
		pair_close(&pair);
	}
}

static void fill(uint8_t *target, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		target[i] = (uint8_t)(i * 131 + i / 251);
}

/* 100 KB in records of all sizes, offered in pieces of all sizes, taken into rooms of all sizes. */
static void data_arrives_at_any_split(void)
{
	static uint8_t sent[100000];
	static const size_t steps[] = { 1, 7, 1000, 16406, 100000 },
			    rooms[] = { TLS_PLAIN_BYTES_MAX, 200000 };
	fill(sent, sizeof sent);
	for (size_t i = 0; i < VARIANTS * 10; i++) {
		size_t step_bytes = steps[i % 5], room = rooms[i / 5 % 2];
		establish(i / 10);
		for (size_t at = 0, bytes = 1; at < sizeof sent; at += bytes, bytes = bytes * 3 % 16384 + 1) {
			if (bytes > sizeof sent - at)
				bytes = sizeof sent - at;
			EQ(SSL_write(pair.server, sent + at, (int)bytes), bytes);
		}
		pair_to_wire(&pair);
		size_t total = pair.wire_bytes, end = 0;
		struct cursor_in cipher = { pair.wire, pair.wire };
		while (end < total) {
			end = end + step_bytes > total ? total : end + step_bytes;
			cipher.end = pair.wire + end;
			enum step step = STEP_FULL;
			while (step == STEP_FULL) {
				struct cursor_out plain = { received + received_bytes,
							    received + received_bytes + room };
				step = tls_push(pair.tls, &cipher, &plain);
				received_bytes = (size_t)(plain.next - received);
			}
			EQ(step, STEP_HUNGRY);
			LT(cursor_in_bytes(&cipher), TLS_RECORD_BYTES_MAX);
		}
		EQ(cursor_in_bytes(&cipher), 0);
		EQ_BYTES(received, received_bytes, sent, sizeof sent);
		EQ(tls_end_of_transport(pair.tls), FAULT_TLS_TRUNCATED);
		pair_close(&pair);
	}
}

static void handshake_works_byte_by_byte(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		open_variant(i);
		EQ(pair_start(&pair, PAIR_HOST), FAULT_NONE);
		for (int round = 0; round < 4; round++) {
			pair_to_server(&pair);
			SSL_do_handshake(pair.server);
			pair_to_wire(&pair);
			struct cursor_in cipher = { pair.wire, pair.wire };
			for (size_t end = 1; end <= pair.wire_bytes; end++) {
				struct cursor_out plain = { received, received + TLS_PLAIN_BYTES_MAX };
				cipher.end = pair.wire + end;
				EQ(tls_push(pair.tls, &cipher, &plain), STEP_HUNGRY);
			}
			EQ(cursor_in_bytes(&cipher), 0);
			pair.wire_bytes = 0;
		}
		EQ(tls_established(pair.tls), 1);
		pair_close(&pair);
	}
}

static void a_ticket_resumes_once(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		establish(i);
		SSL_write(pair.server, "x", 1); /* tickets come before it */
		pair_to_wire(&pair);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		tls_finish(pair.tls);
		EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
		EQ(tls_resumed(pair.tls), 1);
		EQ(SSL_session_reused(pair.server), 1);
		/* No ticket was read from this connection: TLS 1.3's was used up, TLS 1.2's may be used
		 * again. */
		EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
		EQ(tls_resumed(pair.tls), !is_13(i));
		/* A ticket is for one host. */
		SSL_write(pair.server, "x", 1);
		pair_to_wire(&pair);
		push_all(TLS_PLAIN_BYTES_MAX);
		EQ(pair_handshake(&pair, "127.0.0.1"), FAULT_NONE);
		EQ(tls_resumed(pair.tls), 0);
		pair_close(&pair);
	}
}

/* Tickets of a hand-made record sequence: two in one record, one over three records. */
static void tickets_may_be_cut_anywhere(void)
{
	static uint8_t ticket[300] = { 4, 0, 1, 0x28, 0, 0, 28, 32, 1, 2, 3,   4,
				       8, 1, 1, 1,    1, 1, 1,	1,  1, 1, 0x15 };
	/* head 4, lifetime 4, age 4, nonce 1 + 8, ticket 2 + 277, extensions 2 (0) = 302 in all */
	static uint8_t message[302];
	memcpy(message, ticket, sizeof ticket);
	message[1] = 0;
	message[2] = (302 - 4) >> 8;
	message[3] = (302 - 4) & 255;
	message[21] = 277 >> 8;
	message[22] = 277 & 255;
	for (size_t cut = 1; cut < sizeof message; cut += 3) {
		struct seal seal;
		uint8_t two[2 * sizeof message];
		establish(INPLACE_13);
		pair_seal_init(&pair, &seal);
		memcpy(two, message, sizeof message);
		memcpy(two + sizeof message, message, sizeof message);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_HANDSHAKE }, two, cut);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_HANDSHAKE }, two + cut,
			  sizeof two - cut);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "data", 4);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		EQ_BYTES(received, received_bytes, "data", 4);
		/* Data in the middle of a message is refused. */
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_HANDSHAKE }, two, cut);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "data", 4);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_BROKEN);
		EQ(tls_fault(pair.tls), FAULT_TLS_RECORD);
		pair_close(&pair);
	}
}

/* The server changes its key, with and without asking for ours; then both directions still work. */
static void key_updates_are_followed_and_answered(void)
{
	for (size_t i = INPLACE_13; i <= SSL_13; i++) {
		char got[16];
		establish(i);
		for (int round = 0; round < 5; round++) {
			EQ(SSL_key_update(pair.server, round % 2 ? SSL_KEY_UPDATE_REQUESTED
								 : SSL_KEY_UPDATE_NOT_REQUESTED),
			   1);
			EQ(SSL_write(pair.server, "after", 5), 5);
			pair_to_wire(&pair);
			received_bytes = 0;
			EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
			EQ_BYTES(received, received_bytes, "after", 5);
			EQ(tls_key_updates(pair.tls), round + 1);
			EQ(tls_output(pair.tls).bytes > 0, round % 2);
			EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
			pair_to_server(&pair);
			EQ(SSL_read(pair.server, got, sizeof got), 7);
		}
		pair_close(&pair);
	}
}

/* The answers wait while the caller does not drain the output; nothing is lost, the bound holds. */
static void answers_to_key_updates_wait_for_room(void)
{
	establish(INPLACE_13);
	for (int round = 0; round < 2000; round++) {
		SSL_key_update(pair.server, SSL_KEY_UPDATE_REQUESTED);
		SSL_write(pair.server, "x", 1);
		pair_to_wire(&pair);
		received_bytes = 0;
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		EQ(received_bytes, 1);
	}
	EQ(tls_key_updates(pair.tls), 2000);
	size_t waiting_bytes = tls_output(pair.tls).bytes, record_bytes = 5 + 5 + 1 + 16;
	GT(waiting_bytes, TLS_OUTPUT_BYTES_MAX - 2 * TLS_OUTPUT_BYTES_SPARE);
	EQ(waiting_bytes % record_bytes, 0);
	tls_output_consume(pair.tls, waiting_bytes);
	EQ(tls_output(pair.tls).bytes, record_bytes); /* one answer for all that did not fit */
	pair_close(&pair);
}

/* A send may be under way while the next bytes are pushed. */
static void output_stays_in_place(void)
{
	char got[64];
	establish(INPLACE_13);
	EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
	struct span request = tls_output(pair.tls);
	BIO_write(pair.to_server, request.base, (int)request.bytes);
	for (int round = 0; round < 100; round++) {
		SSL_key_update(pair.server, SSL_KEY_UPDATE_REQUESTED);
		SSL_write(pair.server, "x", 1);
		pair_to_wire(&pair);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		EQ(tls_output(pair.tls).base == request.base, 1);
		GT(tls_output(pair.tls).bytes, request.bytes);
	}
	tls_output_consume(pair.tls, request.bytes);
	EQ(tls_output(pair.tls).base == request.base + request.bytes, 1);
	pair_to_server(&pair);
	EQ(SSL_read(pair.server, got, sizeof got), 7);
	EQ(memcmp(got, "request", 7), 0);
	pair_close(&pair);
}

static void old_keys_prompt_a_request(void)
{
	struct seal seal;
	establish(INPLACE_13);
	pair_seal_init(&pair, &seal);
	push_all(TLS_PLAIN_BYTES_MAX); /* tickets */
	EQ(tls_output(pair.tls).bytes, 0);
	pair.tls->record.keys.sequence = seal.keys.sequence = TLS_GCM_RECORDS_ASK - 2;
	for (int i = 0; i < 5; i++) {
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "x", 1);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		EQ(tls_output(pair.tls).bytes > 0, i >= 1);
	}
	EQ(tls_output(pair.tls).bytes, 5 + 5 + 1 + 16); /* one KeyUpdate, once */
	pair_close(&pair);
}

static const uint8_t key_update[2][5] = { { 24, 0, 0, 1, 0 }, { 24, 0, 0, 1, 1 } };

static void key_updates_without_data_are_limited(void)
{
	for (size_t i = INPLACE_13; i <= SSL_13; i++) {
		struct seal seal;
		establish(i);
		pair_seal_init(&pair, &seal);
		for (int round = 0; round < 2; round++) {
			for (int n = 0; n < 32; n++) {
				pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_HANDSHAKE },
					  key_update[0], 5);
				seal_update(&seal);
			}
			pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "x",
				  1);
		}
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		for (int n = 0; n < 33; n++) {
			pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_HANDSHAKE },
				  key_update[0], 5);
			seal_update(&seal);
		}
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_BROKEN);
		EQ(tls_fault(pair.tls), FAULT_TLS_LIMIT);
		HAS_TEXT(tls_error_text(pair.tls), "too many key updates");
		pair_close(&pair);
	}
}

struct misbehaviour {
	const char *name;
	uint8_t type;
	uint8_t content[8];
	size_t bytes;
	enum fault fault;
	int alert; /* that the server must get; -1: none */
};

static void run_misbehaviour(size_t index, const struct misbehaviour *it)
{
	struct seal seal;
	uint8_t scratch[16];
	establish(index);
	pair_seal_init(&pair, &seal);
	push_all(TLS_PLAIN_BYTES_MAX);
	EQ(tls_usable(pair.tls), 1);
	pair_seal(&pair, &seal, (struct seal_shape){ .type = it->type }, it->content, it->bytes);
	if (push_all(TLS_PLAIN_BYTES_MAX) != STEP_BROKEN)
		FAIL("%s is accepted", it->name);
	if (tls_fault(pair.tls) != it->fault)
		FAIL("%s gives %s", it->name, fault_name(tls_fault(pair.tls)));
	GT(strlen(tls_error_text(pair.tls)), 10);
	EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_BROKEN);
	EQ(tls_write(pair.tls, span_of("x", 1)), it->fault);
	EQ(tls_end_of_transport(pair.tls), it->fault);
	EQ(received_bytes, 0);
	EQ(tls_usable(pair.tls), 0);
	/* One alert, and of our making: what BoringSSL sent would have a sequence number that is used. */
	EQ(pair_to_server(&pair), it->alert < 0 ? 0 : tls_sender_record_bytes(&pair.tls->sender, 2));
	ERR_clear_error();
	int got = SSL_read(pair.server, scratch, sizeof scratch);
	if (it->alert >= 0) {
		EQ(SSL_get_error(pair.server, got), SSL_ERROR_SSL);
		int reason = ERR_GET_REASON(ERR_peek_error());
		if (reason != SSL_AD_REASON_OFFSET + it->alert)
			FAIL("%s: the server got %d", it->name, reason - SSL_AD_REASON_OFFSET);
	} else {
		EQ(SSL_get_error(pair.server, got), SSL_ERROR_WANT_READ);
	}
	pair_close(&pair);
}

static void misbehaviour_after_the_handshake_13(void)
{
	static const struct misbehaviour cases[] = {
		{ "change cipher spec", 20, { 1 }, 1, FAULT_TLS_RECORD, 10 },
		{ "unknown type", 99, { 1 }, 1, FAULT_TLS_RECORD, 10 },
		{ "empty handshake record", 22, { 0 }, 0, FAULT_TLS_RECORD, 10 },
		{ "certificate request", 22, { 13, 0, 0, 0 }, 4, FAULT_TLS_RECORD, 10 },
		{ "hello request", 22, { 0, 0, 0, 0 }, 4, FAULT_TLS_RECORD, 10 },
		{ "huge message", 22, { 4, 1, 0, 0 }, 4, FAULT_TLS_RECORD, 47 },
		{ "long key update", 22, { 24, 0, 0, 2, 0, 0 }, 6, FAULT_TLS_RECORD, 50 },
		{ "odd key update", 22, { 24, 0, 0, 1, 2 }, 5, FAULT_TLS_RECORD, 47 },
		{ "key update with company", 22, { 24, 0, 0, 1, 0, 24 }, 6, FAULT_TLS_RECORD, 10 },
		{ "broken ticket", 22, { 4, 0, 0, 3, 1, 2, 3 }, 7, FAULT_TLS_RECORD, 50 },
		{ "short alert", 21, { 1 }, 1, FAULT_TLS_RECORD, 50 },
		{ "two alerts", 21, { 1, 0, 1, 0 }, 4, FAULT_TLS_RECORD, 50 },
		{ "alert of no level", 21, { 3, 0 }, 2, FAULT_TLS_RECORD, 47 },
		{ "empty alert", 21, { 0 }, 0, FAULT_TLS_RECORD, 10 },
		{ "fatal alert", 21, { 2, 80 }, 2, FAULT_TLS_ALERT, -1 },
		{ "warning that is none", 21, { 1, 40 }, 2, FAULT_TLS_ALERT, -1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		run_misbehaviour(INPLACE_13, &cases[i]);
}

static void misbehaviour_after_the_handshake_12(void)
{
	static const struct misbehaviour cases[] = {
		{ "change cipher spec", 20, { 1 }, 1, FAULT_TLS_RECORD, 10 },
		{ "hello request", 22, { 0, 0, 0, 0 }, 4, FAULT_TLS_RECORD, 100 },
		{ "key update", 22, { 24, 0, 0, 1, 0 }, 5, FAULT_TLS_RECORD, 10 },
		{ "fatal alert", 21, { 2, 20 }, 2, FAULT_TLS_ALERT, -1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		run_misbehaviour(INPLACE_12, &cases[i]);
}

static void alerts_say_their_name(void)
{
	for (size_t i = 0; i <= SSL_12; i++) {
		struct seal seal;
		establish(i);
		pair_seal_init(&pair, &seal);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_ALERT }, "\2\120", 2);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_BROKEN);
		EQ(tls_fault(pair.tls), FAULT_TLS_ALERT);
		HAS_TEXT(tls_error_text(pair.tls), "\"internal error\" (80)");
		pair_close(&pair);
	}
}

static void warnings_are_ignored_up_to_a_limit(void)
{
	for (size_t i = 0; i <= SSL_12; i++) {
		struct seal seal;
		establish(i);
		pair_seal_init(&pair, &seal);
		for (int n = 0; n < 4; n++) /* user_canceled */
			pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_ALERT }, "\1\132",
				  2);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "on", 2);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_HUNGRY);
		EQ_BYTES(received, received_bytes, "on", 2);
		for (int n = 0; n < 5; n++)
			pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_ALERT }, "\1\132",
				  2);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_BROKEN);
		EQ(tls_fault(pair.tls), FAULT_TLS_LIMIT);
		pair_close(&pair);
	}
}

static void the_end_is_marked(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		establish(i);
		SSL_write(pair.server, "last", 4);
		SSL_shutdown(pair.server);
		pair_to_wire(&pair);
		memcpy(pair.wire + pair.wire_bytes, "more", 4); /* behind the end: not ours to read */
		pair.wire_bytes += 4;
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_DONE);
		EQ_BYTES(received, received_bytes, "last", 4);
		EQ(pair.wire_bytes, 4);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), STEP_DONE);
		EQ(tls_established(pair.tls), 1);
		EQ(tls_usable(pair.tls), 0);
		EQ(tls_end_of_transport(pair.tls), FAULT_NONE);
		tls_close(pair.tls);
		GT(tls_output(pair.tls).bytes, 0);
		pair_to_server(&pair);
		char got[4];
		EQ(SSL_get_error(pair.server, SSL_read(pair.server, got, 4)), SSL_ERROR_ZERO_RETURN);
		tls_finish(pair.tls);
		pair_close(&pair);
	}
}

static void a_bare_end_is_a_fault(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		establish(i);
		EQ(tls_end_of_transport(pair.tls), FAULT_TLS_TRUNCATED);
		HAS_TEXT(tls_error_text(pair.tls), "close_notify");
		EQ(pair_start(&pair, PAIR_HOST), FAULT_NONE);
		EQ(tls_end_of_transport(pair.tls), FAULT_TLS_HANDSHAKE);
		HAS_TEXT(tls_error_text(pair.tls), "during the TLS handshake");
		pair_close(&pair);
	}
}

static void other_protocols_are_recognised(void)
{
	static const char *const answers[] = { "HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
					       "\x16", "\x16\x01" };
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		open_variant(INPLACE_13);
		EQ(pair_start(&pair, PAIR_HOST), FAULT_NONE);
		pair.wire_bytes = strlen(answers[i]);
		memcpy(pair.wire, answers[i], pair.wire_bytes);
		EQ(push_all(TLS_PLAIN_BYTES_MAX), i == 2 ? STEP_HUNGRY : STEP_BROKEN);
		EQ(tls_fault(pair.tls), i == 2 ? FAULT_NONE : FAULT_TLS_NOT_TLS);
		if (i == 0)
			HAS_TEXT(tls_error_text(pair.tls), "plain HTTP");
		pair_close(&pair);
	}
}

static void a_refusal_is_an_alert(void)
{
	open_variant(INPLACE_13);
	SSL_CTX_set_max_proto_version(pair.server_context, TLS1_2_VERSION);
	EQ(pair_handshake(&pair, PAIR_HOST), FAULT_TLS_ALERT);
	HAS_TEXT(tls_error_text(pair.tls), "refused the handshake");
	HAS_TEXT(tls_error_text(pair.tls), "protocol version");
	pair_close(&pair);
}

static void contexts_explain_themselves(void)
{
	char error[TLS_ERROR_TEXT_BYTES_MAX];
	struct tls_options options = { .ca_file = "/nonexistent/ca.pem" };
	EQ(tls_context_create(&options, error) == NULL, 1);
	HAS_TEXT(error, "/nonexistent/ca.pem: No such file");
	options.ca_file = "/proc/self/status";
	EQ(tls_context_create(&options, error) == NULL, 1);
	HAS_TEXT(error, "no usable certificate");
	options = (struct tls_options){ .cipher_tls12 = "NULL-MD5" };
	EQ(tls_context_create(&options, error) == NULL, 1);
	HAS_TEXT(error, "NULL-MD5");
	setenv("SSL_CERT_FILE", "/nonexistent/env.pem", 1);
	options = (struct tls_options){ 0 };
	EQ(tls_context_create(&options, error) == NULL, 1);
	HAS_TEXT(error, "/nonexistent/env.pem");
	unsetenv("SSL_CERT_FILE");
	tls_context_destroy(NULL);
}

static void finish_leaves_no_key(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		establish(i);
		struct tls_keys keys = pair.tls->record.keys;
		tls_finish(pair.tls);
		const uint8_t *slot = (const uint8_t *)pair.tls;
		size_t slot_bytes = pair.arena.used_bytes - (size_t)(slot - pair.arena.base);
		if (variants[i].mode == TLS_MODE_INPLACE)
			EQ(memmem(slot, slot_bytes, keys.key, keys.key_bytes) == NULL, 1);
		if (pair.secret_bytes)
			EQ(memmem(slot, slot_bytes, pair.secret, pair.secret_bytes) == NULL, 1);
		pair_close(&pair);
	}
}

/* As pair_handshake(), with the client's heap counted. */
static void handshake_counted(void)
{
	pair_start_server(&pair);
	heap.calls = heap.bytes_now = heap.bytes_peak = 0;
	heap.counting = 1;
	EQ(tls_start(pair.tls, PAIR_HOST), FAULT_NONE);
	heap.counting = 0;
	for (int round = 0; round < 4; round++) {
		struct cursor_out plain = { received, received + TLS_PLAIN_BYTES_MAX };
		pair_to_server(&pair);
		SSL_do_handshake(pair.server);
		pair_to_wire(&pair);
		heap.counting = 1;
		EQ(pair_push(&pair, &plain), STEP_HUNGRY);
		heap.counting = 0;
	}
	EQ(tls_established(pair.tls), 1);
	printf("# %s %s: the handshake took %" PRIu64 " allocations, at most %" PRIu64
	       " bytes at once, %" PRIu64 " are kept while it lasts\n",
	       tls_version_name(pair.tls), tls_mode_name(pair.tls), heap.calls, heap.bytes_peak,
	       heap.bytes_now);
}

/* Allocations of the client while it receives `count` records of `type`. */
static uint64_t receive_counted(struct seal *seal, int count, uint8_t type, const uint8_t *content,
				size_t bytes)
{
	heap.calls = 0;
	for (int n = 0; n < count; n++) {
		pair_seal(&pair, seal, (struct seal_shape){ .type = type }, content, bytes);
		if (type == TLS_CONTENT_HANDSHAKE)
			seal_update(seal);
		received_bytes = 0;
		heap.counting = 1;
		enum step step = push_all(TLS_PLAIN_BYTES_MAX);
		heap.counting = 0;
		EQ(step, STEP_HUNGRY);
		EQ(received_bytes, type == TLS_CONTENT_HANDSHAKE ? 0 : bytes);
	}
	return heap.calls;
}

/* Prints the figures that the documentation quotes, and proves that INPLACE neither receives nor sends with
 * the heap. */
static void heap_is_used_in_the_handshake_only(void)
{
	static uint8_t data[1000];
	if (!HEAP_IS_COUNTED)
		SKIP("the heap is the sanitizer's");
	for (size_t i = 0; i <= SSL_12; i++) {
		struct seal seal;
		open_variant(i);
		handshake_counted();
		pair_seal_init(&pair, &seal);
		uint64_t calls = receive_counted(&seal, 1000, TLS_CONTENT_APPLICATION, data, sizeof data);
		printf("# %s %s: %" PRIu64 " allocations for 1000 records\n", tls_version_name(pair.tls),
		       tls_mode_name(pair.tls), calls);
		if (variants[i].mode == TLS_MODE_INPLACE)
			EQ(calls, 0);
		else
			GE(calls, 1000); /* the counter does count */
		heap.calls = 0;
		heap.counting = 1;
		EQ(tls_write(pair.tls, span_of(data, sizeof data)), FAULT_NONE);
		heap.counting = 0;
		pair_to_server(&pair);
		printf("# %s %s: %" PRIu64 " allocations for a request\n", tls_version_name(pair.tls),
		       tls_mode_name(pair.tls), heap.calls);
		if (variants[i].mode == TLS_MODE_INPLACE)
			EQ(heap.calls, 0);
		else
			GE(heap.calls, 1);
		if (is_13(i)) {
			calls = receive_counted(&seal, 1, TLS_CONTENT_HANDSHAKE, key_update[0], 5);
			printf("# %s %s: %" PRIu64 " allocations for a key update\n",
			       tls_version_name(pair.tls), tls_mode_name(pair.tls), calls);
			LE(calls, 32);
		}
		pair_close(&pair);
	}
}

TEST_MAIN(T(handshake_says_what_it_agreed_on), T(auto_is_inplace), T(an_address_is_verified_and_not_named),
	  T(requests_arrive), T(data_arrives_at_any_split), T(handshake_works_byte_by_byte),
	  T(a_ticket_resumes_once), T(tickets_may_be_cut_anywhere), T(key_updates_are_followed_and_answered),
	  T(answers_to_key_updates_wait_for_room), T(output_stays_in_place), T(old_keys_prompt_a_request),
	  T(key_updates_without_data_are_limited), T(misbehaviour_after_the_handshake_13),
	  T(misbehaviour_after_the_handshake_12), T(alerts_say_their_name),
	  T(warnings_are_ignored_up_to_a_limit), T(the_end_is_marked), T(a_bare_end_is_a_fault),
	  T(other_protocols_are_recognised), T(a_refusal_is_an_alert), T(contexts_explain_themselves),
	  T(finish_leaves_no_key), T(heap_is_used_in_the_handshake_only))
