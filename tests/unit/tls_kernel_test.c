/* SPDX-License-Identifier: Apache-2.0
 *
 * Records opened by the kernel. What can be told without it: the format of keys, when one is offered, how
 * much may be received until then. With it (Linux with the tls module; tests/vm has such kernels), over a TCP
 * connection on loopback: data, tickets, alerts and the end, hand-over at any place, and what a peer may not
 * do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "ring/ring.h"
#include "test.h"
#include "tls_pair.h"

static const struct tls_options variants[] = {
	{ .mode = TLS_MODE_KTLS, .versions = TLS_VERSIONS_13_ONLY },
	{ .mode = TLS_MODE_KTLS, .versions = TLS_VERSIONS_12_ONLY },
	{ .mode = TLS_MODE_KTLS,
	  .versions = TLS_VERSIONS_12_ONLY,
	  .cipher_tls12 = "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ .mode = TLS_MODE_KTLS,
	  .versions = TLS_VERSIONS_12_ONLY,
	  .cipher_tls12 = "ECDHE-ECDSA-CHACHA20-POLY1305" },
};
enum { VARIANTS = sizeof variants / sizeof *variants, TLS_13 = 0, TLS_12 = 1 };

static struct pair_identity identity;
static struct tls_pair pair;
static struct arena arena;
static struct ring *ring;
static uint8_t received[1 << 20];
static size_t received_bytes;
static int client_fd = -1, server_fd = -1;

static void connect_sockets(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EQ(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	EQ(listen(listener, 1), 0);
	EQ(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
	client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EQ(connect(client_fd, (struct sockaddr *)&address, sizeof address), 0);
	struct timeval patience = { .tv_sec = 20 }; /* a bound against hanging */
	EQ(setsockopt(client_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	server_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	GE(server_fd, 0);
	close(listener);
}

static void establish(size_t index)
{
	if (!identity.key)
		identity = pair_identity_create();
	pair_open(&pair, &identity, variants[index]);
	EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
	EQ_TEXT(tls_mode_name(pair.tls), "inplace");
	received_bytes = 0;
}

static void sockets_close(void)
{
	close(client_fd);
	close(server_fd);
	client_fd = server_fd = -1;
}

static void finish(void)
{
	sockets_close();
	pair_close(&pair);
}

/* The keys that are due go to the client's socket. Returns what the kernel says. */
static int give_key(void)
{
	int first;
	struct span key = tls_kernel_key(pair.tls, &first);
	if (!key.bytes)
		return 0;
	int code = ring_tls_receive_key(ring, client_fd, key.base, key.bytes, first);
	tls_kernel_answer(pair.tls, -code);
	return code;
}

/* A connection whose received records the kernel opens; the handshake went through memory. */
static void establish_in_kernel(size_t index)
{
	int code = ring_tls_probe();
	if (code < 0)
		SKIP("this kernel has no TLS for sockets: %s (as root: modprobe tls)", strerror(-code));
	if (!ring) {
		struct ring_options options = { .engine = RING_ENGINE_POLL, .operations_max = 8 };
		struct ring_report report;
		EQ(arena_open(&arena, 1 << 20), 0);
		EQ(ring_open(&options, &arena, &ring, &report), 0);
	}
	establish(index);
	connect_sockets();
	EQ(give_key(), 0);
	EQ(tls_in_kernel(pair.tls), 1);
	EQ_TEXT(tls_mode_name(pair.tls), "ktls");
}

/* What lies on the wire goes through the socket; nothing is left behind. */
static void to_socket(void)
{
	for (size_t at = 0; at < pair.wire_bytes;) {
		ssize_t sent = send(server_fd, pair.wire + at, pair.wire_bytes - at, 0);
		GT(sent, 0);
		at += (size_t)sent;
	}
	pair.wire_bytes = 0;
}

/* The client takes what comes until the stream ends, breaks, or has given `bytes`. */
static enum step receive(size_t bytes)
{
	enum step step = STEP_HUNGRY;
	while (step == STEP_HUNGRY && received_bytes < bytes) {
		uint8_t *target = received + received_bytes, type = TLS_TYPE_DATA;
		ssize_t got = recv(client_fd, target, 65536, 0);
		int code = got < 0 ? errno : 0;
		if (code == EIO) {
			got = ring_tls_receive_record(ring, client_fd, target, 65536, &type);
			code = got < 0 ? (int)-got : 0;
		}
		if (code == ENODATA || (got == 0 && type == TLS_TYPE_DATA)) {
			tls_end_of_transport(pair.tls);
			return STEP_DONE;
		}
		if (code) {
			step = tls_kernel_error(pair.tls, code);
			if (step != STEP_BROKEN)
				FAIL("receiving failed: %s", strerror(code));
		} else if (type == TLS_TYPE_DATA) {
			received_bytes += (size_t)got;
			step = tls_kernel_received(pair.tls, (size_t)got);
		} else {
			step = tls_kernel_record(pair.tls, type, span_of(target, (size_t)got));
			if (step == STEP_HUNGRY && give_key() < 0)
				step = STEP_BROKEN;
		}
	}
	return step;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 131 ^ i >> 8);
}

/* The server writes bytes [from, to) in records of several sizes. */
static void server_writes(size_t from, size_t to)
{
	static uint8_t data[16384];
	for (size_t at = from, n = 0; at < to; n++) {
		static const size_t sizes[] = { 16384, 1, 5000, 333, 16383 };
		size_t bytes = sizes[n % 5] < to - at ? sizes[n % 5] : to - at;
		for (size_t i = 0; i < bytes; i++)
			data[i] = byte_at(at + i);
		EQ(SSL_write(pair.server, data, (int)bytes), bytes);
		at += bytes;
	}
	pair_to_wire(&pair);
}

static void check_received(size_t bytes)
{
	EQ(received_bytes, bytes);
	for (size_t i = 0; i < bytes; i++)
		if (received[i] != byte_at(i))
			FAIL("byte %zu is %d", i, received[i]);
}

static void keys_have_the_kernels_format(void)
{
	int first = 0;
	for (size_t i = 0; i < VARIANTS; i++) {
		union {
			struct tls_crypto_info head;
			struct tls12_crypto_info_aes_gcm_128 gcm_128;
			struct tls12_crypto_info_aes_gcm_256 gcm_256;
			struct tls12_crypto_info_chacha20_poly1305 chacha;
		} it;
		establish(i);
		const struct tls_keys *keys = &pair.tls->record.keys;
		uint64_t sequence = __builtin_bswap64(keys->sequence);
		struct span key = tls_kernel_key(pair.tls, &first);
		LE(key.bytes, sizeof it);
		memcpy(&it, key.base, key.bytes);
		EQ(first, 1);
		EQ(it.head.version, keys->version);
		if (it.head.cipher_type == TLS_CIPHER_AES_GCM_128) {
			EQ(key.bytes, sizeof it.gcm_128);
			EQ_BYTES(it.gcm_128.key, 16, keys->key, keys->key_bytes);
			EQ_BYTES(it.gcm_128.salt, 4, keys->iv, 4);
			EQ_BYTES(it.gcm_128.iv, 8, keys->iv + 4, 8);
			EQ_BYTES(it.gcm_128.rec_seq, 8, &sequence, 8);
		} else if (it.head.cipher_type == TLS_CIPHER_AES_GCM_256) {
			EQ(key.bytes, sizeof it.gcm_256);
			EQ_BYTES(it.gcm_256.key, 32, keys->key, keys->key_bytes);
			EQ_BYTES(it.gcm_256.salt, 4, keys->iv, 4);
			EQ_BYTES(it.gcm_256.rec_seq, 8, &sequence, 8);
		} else {
			EQ(it.head.cipher_type, TLS_CIPHER_CHACHA20_POLY1305);
			EQ(key.bytes, sizeof it.chacha);
			EQ_BYTES(it.chacha.key, 32, keys->key, keys->key_bytes);
			EQ_BYTES(it.chacha.iv, 12, keys->iv, 12);
			EQ_BYTES(it.chacha.rec_seq, 8, &sequence, 8);
		}
		pair_close(&pair);
	}
}

/* A kernel that does not take the key is not asked again; one whose peer was too quick is. */
static void refusals_are_remembered(void)
{
	static const int codes[] = { ENOENT, ENOTCONN };
	for (size_t i = 0; i < 2; i++) {
		int first;
		establish(TLS_13);
		GT(tls_kernel_key(pair.tls, &first).bytes, 0);
		tls_kernel_answer(pair.tls, codes[i]);
		EQ(tls_fault(pair.tls), FAULT_NONE);
		EQ(tls_in_kernel(pair.tls), 0);
		EQ(tls_kernel_key(pair.tls, &first).bytes, 0);
		EQ(memcmp(pair.tls->kernel_key, (uint8_t[TLS_KERNEL_KEY_BYTES_MAX]){ 0 },
			  TLS_KERNEL_KEY_BYTES_MAX),
		   0);
		EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
		EQ(tls_kernel_key(pair.tls, &first).bytes > 0, codes[i] == ENOTCONN);
		pair_close(&pair);
	}
}

/* While a key waits, only the rest of the record may be received; once it is refused, anything. */
static void records_are_received_to_their_end(void)
{
	establish(TLS_13);
	EQ(tls_kernel_key(pair.tls, &(int){ 0 }).bytes > 0, 1);
	uint8_t record[5] = { 23, 3, 3, 1, 2 };
	struct cursor_in cipher = { record, record };
	EQ(tls_receive_bytes_max(pair.tls, &cipher), SIZE_MAX);
	for (size_t bytes = 1; bytes <= sizeof record; bytes++) {
		cipher.end = record + bytes;
		EQ(tls_receive_bytes_max(pair.tls, &cipher), bytes < 5 ? 5 - bytes : 0x102);
	}
	tls_kernel_answer(pair.tls, EINVAL);
	EQ(tls_receive_bytes_max(pair.tls, &cipher), SIZE_MAX);
	pair_close(&pair);
}

static void data_comes_plain(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		char got[8];
		establish_in_kernel(i);
		server_writes(0, 100000);
		to_socket(); /* with the tickets before it */
		EQ(receive(100000), STEP_HUNGRY);
		check_received(100000);
		EQ(tls_write(pair.tls, span_of("request", 7)), FAULT_NONE);
		pair_to_server(&pair);
		EQ(SSL_read(pair.server, got, sizeof got), 7);
		server_writes(100000, 300000);
		to_socket();
		EQ(receive(300000), STEP_HUNGRY);
		check_received(300000);
		finish();
	}
}

/* A ticket that the kernel opened is as good as another. */
static void tickets_resume(void)
{
	for (size_t i = TLS_13; i <= TLS_12; i++) {
		establish_in_kernel(i);
		server_writes(0, 10);
		to_socket();
		EQ(receive(10), STEP_HUNGRY);
		sockets_close();
		EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
		EQ(tls_resumed(pair.tls), 1);
		pair_close(&pair);
	}
}

/* Some of the stream was received before the hand-over, up to any place: user space opens the begun record.
 */
static void hand_over_at_any_place(void)
{
	static const size_t places[] = { 0, 1, 4, 5, 6, 300, 5000, 16406, 20000, 33000 };
	for (size_t i = 0; i < VARIANTS; i++) {
		for (size_t n = 0; n < sizeof places / sizeof *places; n++) {
			establish_in_kernel(i); /* skips where it cannot; then once more, slowly */
			finish();
			establish(i);
			connect_sockets();
			server_writes(0, 60000);
			to_socket();
			uint8_t buffer[65536];
			struct cursor_in cipher = { buffer, buffer };
			size_t taken = places[n];
			while (taken) {
				ssize_t got = recv(client_fd, buffer + cursor_in_bytes(&cipher), taken, 0);
				GT(got, 0);
				cipher =
					(struct cursor_in){ buffer, buffer + cursor_in_bytes(&cipher) + got };
				struct cursor_out plain = { received + received_bytes,
							    received + sizeof received };
				EQ(tls_push(pair.tls, &cipher, &plain), STEP_HUNGRY);
				received_bytes = (size_t)(plain.next - received);
				memmove(buffer, cipher.next, cursor_in_bytes(&cipher));
				cipher = (struct cursor_in){ buffer, buffer + cursor_in_bytes(&cipher) };
				taken = cursor_in_bytes(&cipher) ? tls_receive_bytes_max(pair.tls, &cipher)
								 : 0;
			}
			EQ(give_key(), 0);
			EQ(tls_in_kernel(pair.tls), 1);
			EQ(receive(60000), STEP_HUNGRY);
			check_received(60000);
			finish();
		}
	}
}

static void the_end_is_told_apart(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		establish_in_kernel(i);
		server_writes(0, 20);
		SSL_shutdown(pair.server);
		pair_to_wire(&pair);
		to_socket();
		EQ(receive(SIZE_MAX), STEP_DONE);
		check_received(20);
		EQ(tls_end_of_transport(pair.tls), FAULT_NONE);
		finish();
		for (size_t missing = 0; missing < 2; missing++) { /* at a record's end, and inside one */
			establish_in_kernel(i);
			server_writes(0, 20);
			pair.wire_bytes -= missing;
			to_socket();
			shutdown(server_fd, SHUT_WR);
			EQ(receive(SIZE_MAX), STEP_DONE);
			check_received(missing ? 0 : 20);
			EQ(tls_fault(pair.tls), FAULT_TLS_TRUNCATED);
			finish();
		}
	}
}

/* A record without content is no end of the stream. */
static void empty_records_are_no_end(void)
{
	for (size_t i = 0; i < VARIANTS; i++) {
		struct seal seal;
		establish_in_kernel(i);
		pair_seal_init(&pair, &seal);
		for (int n = 0; n < 3; n++)
			pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "",
				  0);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "x", 1);
		to_socket();
		EQ(receive(1), STEP_HUNGRY);
		EQ(received[0], 'x');
		finish();
	}
}

static void padding_is_stripped(void)
{
	struct seal seal;
	establish_in_kernel(TLS_13);
	pair_seal_init(&pair, &seal);
	for (int n = 0; n < 5; n++)
		pair_seal(&pair, &seal,
			  (struct seal_shape){ .type = TLS_CONTENT_APPLICATION, .padding_bytes = 1000 }, "ab",
			  2);
	to_socket();
	EQ(receive(10), STEP_HUNGRY);
	EQ_BYTES(received, received_bytes, "ababababab", 10);
	finish();
}

/* Where the kernel can change keys the stream goes on; where it cannot, the next connection is ours. */
static void key_updates_are_followed_or_end_it(void)
{
	for (int asks = 0; asks < 2; asks++) {
		establish_in_kernel(TLS_13);
		EQ(SSL_key_update(pair.server,
				  asks ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED),
		   1);
		server_writes(0, 40000);
		to_socket();
		enum step step = receive(40000);
		EQ(tls_key_updates(pair.tls), 1);
		EQ(tls_output(pair.tls).bytes > 0, asks);
		if (step == STEP_BROKEN) {
			EQ(tls_fault(pair.tls), FAULT_TLS_KERNEL_KEY);
			HAS_TEXT(tls_error_text(pair.tls), "6.14");
			EQ(received_bytes, 0);
			EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
			EQ(tls_kernel_key(pair.tls, &(int){ 0 }).bytes, 0);
		} else {
			EQ(step, STEP_HUNGRY);
			check_received(40000);
		}
		finish();
	}
}

struct misbehaviour {
	const char *name;
	uint8_t type;
	uint8_t content[8];
	size_t bytes;
	int count; /* so often */
	enum fault fault;
};

/* The server learns of it by an alert, unless it sent one itself. */
static void expect_fault(const char *name, enum fault fault)
{
	char scratch[16];
	printf("# %s, %s\n", name, tls_version_name(pair.tls));
	if (receive(SIZE_MAX) != STEP_BROKEN)
		FAIL("%s is accepted", name);
	if (tls_fault(pair.tls) != fault)
		FAIL("%s gives %s: %s", name, fault_name(tls_fault(pair.tls)), tls_error_text(pair.tls));
	EQ(received_bytes, 0);
	EQ(tls_output(pair.tls).bytes > 0, fault != FAULT_TLS_ALERT);
	pair_to_server(&pair);
	ERR_clear_error();
	int got = SSL_read(pair.server, scratch, sizeof scratch);
	EQ(SSL_get_error(pair.server, got), fault == FAULT_TLS_ALERT ? SSL_ERROR_WANT_READ : SSL_ERROR_SSL);
	finish();
}

static void what_a_peer_may_not_say(void)
{
	static const struct misbehaviour cases_13[] = {
		{ "change cipher spec", 20, { 1 }, 1, 1, FAULT_TLS_RECORD },
		{ "unknown type", 99, { 1 }, 1, 1, FAULT_TLS_RECORD },
		{ "empty handshake record", 22, { 0 }, 0, 1, FAULT_TLS_RECORD },
		{ "certificate request", 22, { 13, 0, 0, 0 }, 4, 1, FAULT_TLS_RECORD },
		{ "huge message", 22, { 4, 1, 0, 0 }, 4, 1, FAULT_TLS_RECORD },
		{ "odd key update", 22, { 24, 0, 0, 1, 2 }, 5, 1, FAULT_TLS_RECORD },
		{ "broken ticket", 22, { 4, 0, 0, 3, 1, 2, 3 }, 7, 1, FAULT_TLS_RECORD },
		{ "short alert", 21, { 1 }, 1, 1, FAULT_TLS_RECORD },
		{ "fatal alert", 21, { 2, 80 }, 2, 1, FAULT_TLS_ALERT },
		{ "warnings without end", 21, { 1, 90 }, 2, 5, FAULT_TLS_LIMIT },
	};
	static const struct misbehaviour cases_12[] = {
		{ "hello request", 22, { 0, 0, 0, 0 }, 4, 1, FAULT_TLS_RECORD },
		{ "key update", 22, { 24, 0, 0, 1, 0 }, 5, 1, FAULT_TLS_RECORD },
		{ "change cipher spec", 20, { 1 }, 1, 1, FAULT_TLS_RECORD },
		{ "fatal alert", 21, { 2, 20 }, 2, 1, FAULT_TLS_ALERT },
		{ "warnings without end", 21, { 1, 90 }, 2, 5, FAULT_TLS_LIMIT },
	};
	size_t count_13 = sizeof cases_13 / sizeof *cases_13, count_12 = sizeof cases_12 / sizeof *cases_12;
	for (size_t i = 0; i < count_13 + count_12; i++) {
		const struct misbehaviour *it = i < count_13 ? &cases_13[i] : &cases_12[i - count_13];
		struct seal seal;
		establish_in_kernel(i < count_13 ? TLS_13 : TLS_12);
		pair_seal_init(&pair, &seal);
		for (int n = 0; n < it->count; n++)
			pair_seal(&pair, &seal, (struct seal_shape){ .type = it->type }, it->content,
				  it->bytes);
		to_socket();
		expect_fault(it->name, it->fault);
	}
}

/* Records that are damaged or out of order: the kernel refuses them, and we say what it means. */
static void what_a_wire_may_not_do(void)
{
	static const struct {
		const char *name;
		enum fault fault;
	} cases[] = {
		{ "a damaged tag", FAULT_TLS_AUTHENTICATION },
		{ "a damaged body", FAULT_TLS_AUTHENTICATION },
		{ "a record left out", FAULT_TLS_AUTHENTICATION },
		{ "a wrong version", FAULT_TLS_RECORD },
		{ "too long", FAULT_TLS_RECORD },
		{ "too short", FAULT_TLS_AUTHENTICATION },
		{ "an alert in the clear", FAULT_TLS_AUTHENTICATION },
	};
	for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
		struct seal seal;
		size_t n = i / 2;
		establish_in_kernel(i % 2);
		pair_seal_init(&pair, &seal);
		pair.wire_bytes = 0;
		pair_to_wire(&pair); /* tickets, which the seal counts already */
		pair.wire_bytes = 0;
		seal.keys.sequence = pair.tls->record.keys.sequence + (n == 2);
		pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "data", 4);
		if (n == 0)
			pair.wire[pair.wire_bytes - 1] ^= 1;
		else if (n == 1)
			pair.wire[pair.wire_bytes - 18] ^= 1;
		else if (n == 3)
			pair.wire[1] = 4;
		else if (n == 4)
			memcpy(pair.wire + 3, "\x48\x01", 2); /* 2^14 + 2049 */
		else if (n == 5)
			memcpy(pair.wire + 3, "\0\5", 2);
		else if (n == 6) { /* twice: with TLS 1.2 the kernel looks when 13 bytes are there */
			memcpy(pair.wire, "\x15\3\3\0\2\2\50\x15\3\3\0\2\2\50", 14);
			pair.wire_bytes = 14;
		}
		to_socket();
		expect_fault(cases[n].name, cases[n].fault);
	}
}

static void data_inside_a_message_is_refused(void)
{
	struct seal seal;
	establish_in_kernel(TLS_13);
	pair_seal_init(&pair, &seal);
	pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_HANDSHAKE }, "\4\0\1", 3);
	pair_seal(&pair, &seal, (struct seal_shape){ .type = TLS_CONTENT_APPLICATION }, "x", 1);
	to_socket();
	EQ(receive(SIZE_MAX), STEP_BROKEN);
	EQ(tls_fault(pair.tls), FAULT_TLS_RECORD);
	HAS_TEXT(tls_error_text(pair.tls), "in the middle");
	finish();
}

TEST_MAIN(T(keys_have_the_kernels_format), T(refusals_are_remembered), T(records_are_received_to_their_end),
	  T(data_comes_plain), T(tickets_resume), T(hand_over_at_any_place), T(the_end_is_told_apart),
	  T(empty_records_are_no_end), T(padding_is_stripped), T(key_updates_are_followed_or_end_it),
	  T(what_a_peer_may_not_say), T(what_a_wire_may_not_do), T(data_inside_a_message_is_refused))
