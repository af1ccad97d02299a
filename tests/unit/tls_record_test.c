/* SPDX-License-Identifier: Apache-2.0
 *
 * The record layer and the key derivation alone: published vectors, every split point, and each rule of RFC
 * 8446 5 and RFC 5246 6.2 broken once.
 */
#include "tls/tls_record.h"
#include "tls/tls_send.h"

#include "test.h"
#include "tls_seal.h"

enum { RECORD_BYTES_MAX = 5 + 16384 + 2048 + 64 };

static const struct suite {
	uint16_t version, number;
	size_t key_bytes;
} suites[] = {
	{ TLS_VERSION_13, 0x1301, 16 }, { TLS_VERSION_13, 0x1302, 32 }, { TLS_VERSION_13, 0x1303, 32 },
	{ TLS_VERSION_12, 0xc02b, 16 }, { TLS_VERSION_12, 0xc02f, 16 }, { TLS_VERSION_12, 0xc02c, 32 },
	{ TLS_VERSION_12, 0xc030, 32 }, { TLS_VERSION_12, 0xcca8, 32 }, { TLS_VERSION_12, 0xcca9, 32 },
};
enum { SUITES = sizeof suites / sizeof *suites, SUITE_13 = 0, SUITE_12_GCM = 3 };

static struct tls_record record; /* zeroed before first use, as tls_record_init() wants it */
static struct seal sealer;
static uint8_t wire[4 * RECORD_BYTES_MAX], plain[RECORD_BYTES_MAX];

static void make_keys(size_t index, struct tls_keys *keys)
{
	uint8_t material[88];
	for (size_t i = 0; i < sizeof material; i++)
		material[i] = (uint8_t)(i * 7 + index);
	if (suites[index].version == TLS_VERSION_13) {
		EQ(tls_keys_from_secret(keys, suites[index].number, material, index == 1 ? 48 : 32), 0);
	} else {
		size_t iv_bytes = suites[index].number >= 0xcca8 ? 12 : 4;
		EQ(tls_keys_from_block(keys, suites[index].number, material,
				       2 * (suites[index].key_bytes + iv_bytes), TLS_SIDE_SERVER),
		   0);
	}
}

static void begin(size_t index)
{
	struct tls_keys keys;
	make_keys(index, &keys);
	EQ(tls_record_init(&record, &keys), 0);
	EQ(seal_init(&sealer, &keys), 1);
}

static size_t seal_bytes(uint8_t type, size_t bytes, size_t padding_bytes, uint8_t *target)
{
	static uint8_t content[RECORD_BYTES_MAX];
	for (size_t i = 0; i < bytes; i++)
		content[i] = (uint8_t)(i * 31 + bytes);
	return seal_record(&sealer, (struct seal_shape){ .type = type, .padding_bytes = padding_bytes },
			   content, bytes, target);
}

static enum step open_bytes(const uint8_t *from, size_t bytes, size_t room, struct tls_opened *opened,
			    size_t *consumed)
{
	struct cursor_in cipher = { from, from + bytes };
	struct cursor_out out = { plain, plain + room };
	enum step step = tls_record_open(&record, &cipher, &out, opened);
	*consumed = (size_t)(cipher.next - from);
	return step;
}

static enum step open_one(size_t bytes)
{
	struct tls_opened opened;
	size_t consumed;
	return open_bytes(wire, bytes, sizeof plain, &opened, &consumed);
}

static void unhex(const char *hex, uint8_t *target)
{
	for (; *hex; hex += hex[2] == ' ' ? 3 : 2)
		sscanf(hex, "%2hhx", target++);
}

/* RFC 8448 3: the server's application traffic, from its secret to its alert. */
static void rfc_8448_trace(void)
{
	uint8_t secret[32], key[16], iv[12], content[50];
	struct tls_keys keys;
	struct tls_opened opened;
	size_t consumed;
	unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643", secret);
	unhex("9f02283b6c9c07efc26bb9f2ac92e356", key);
	unhex("cf782b88dd83549aadf1e984", iv);
	EQ(tls_keys_from_secret(&keys, 0x1301, secret, sizeof secret), 0);
	EQ_BYTES(keys.key, keys.key_bytes, key, sizeof key);
	EQ_BYTES(keys.iv, sizeof keys.iv, iv, sizeof iv);
	keys.sequence = 1; /* the ticket was record 0 */
	EQ(tls_record_init(&record, &keys), 0);

	unhex("17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59"
	      "a8fcc49c"
	      "4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
	      wire);
	EQ(open_bytes(wire, 72, sizeof plain, &opened, &consumed), STEP_DONE);
	for (uint8_t i = 0; i < sizeof content; i++)
		content[i] = i;
	EQ(opened.type, TLS_CONTENT_APPLICATION);
	EQ_BYTES(opened.bytes.base, opened.bytes.bytes, content, sizeof content);

	unhex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9", wire);
	EQ(open_bytes(wire, 24, sizeof plain, &opened, &consumed), STEP_DONE);
	EQ(opened.type, TLS_CONTENT_ALERT);
	EQ_BYTES(opened.bytes.base, opened.bytes.bytes, "\1\0", 2);
}

static struct tls_sender sender; /* zeroed before first use */

static struct span send_one(uint8_t type, struct span content)
{
	struct cursor_out target = { wire, wire + sizeof wire };
	EQ(tls_sender_seal(&sender, type, content, &target), FAULT_NONE);
	return span_of(wire, (size_t)(target.next - wire));
}

/* RFC 8448 3: the client's application traffic, which is ours to send. */
static void rfc_8448_trace_of_the_client(void)
{
	uint8_t secret[32], data[72], alert[24], content[50];
	struct tls_keys keys;
	unhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", secret);
	unhex("1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e"
	      "2b62974e"
	      "1f5a6292a2977014bd1e3deae63aeebb21694915e4",
	      data);
	unhex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3", alert);
	EQ(tls_keys_from_secret(&keys, 0x1301, secret, sizeof secret), 0);
	EQ(tls_sender_init(&sender, &keys), 0);
	for (uint8_t i = 0; i < sizeof content; i++)
		content[i] = i;
	struct span record_sent = send_one(TLS_CONTENT_APPLICATION, span_of(content, sizeof content));
	EQ_BYTES(record_sent.base, record_sent.bytes, data, sizeof data);
	record_sent = send_one(TLS_CONTENT_ALERT, span_of("\1\0", 2));
	EQ_BYTES(record_sent.base, record_sent.bytes, alert, sizeof alert);
}

/* The tests' own sealer is written apart from ours; both must make the same bytes, which our opener takes. */
static void sealing_agrees_with_another(void)
{
	static const size_t sizes[] = { 0, 1, 2, 15, 16, 17, 1000, 16383, 16384 };
	static uint8_t content[TLS_CONTENT_BYTES_MAX], expected[RECORD_BYTES_MAX];
	for (size_t i = 0; i < SUITES; i++) {
		struct tls_keys keys;
		struct tls_opened opened;
		size_t consumed;
		begin(i);
		make_keys(i, &keys);
		EQ(tls_sender_init(&sender, &keys), 0);
		for (size_t n = 0; n < 3 * sizeof sizes / sizeof *sizes; n++) {
			size_t bytes = sizes[n % (sizeof sizes / sizeof *sizes)];
			memset(content, (int)n + 1, sizeof content);
			struct seal_shape shape = { .type = TLS_CONTENT_APPLICATION };
			size_t expected_bytes = seal_record(&sealer, shape, content, bytes, expected);
			struct span sent = send_one(TLS_CONTENT_APPLICATION, span_of(content, bytes));
			EQ(sent.bytes, tls_sender_record_bytes(&sender, bytes));
			EQ_BYTES(sent.base, sent.bytes, expected, expected_bytes);
			EQ(open_bytes(wire, sent.bytes, sizeof plain, &opened, &consumed), STEP_DONE);
			EQ(opened.type, TLS_CONTENT_APPLICATION);
			EQ_BYTES(opened.bytes.base, opened.bytes.bytes, content, bytes);
			if (n % 5 == 4 && keys.version == TLS_VERSION_13) {
				seal_update(&sealer);
				EQ(tls_sender_update(&sender), 0);
				EQ(tls_record_update(&record), 0);
			}
		}
		if (keys.version == TLS_VERSION_12)
			EQ(tls_sender_update(&sender), -1);
		tls_sender_wipe(&sender);
	}
}

static void sealing_never_uses_a_number_twice(void)
{
	for (size_t i = 0; i < SUITES; i++) {
		struct tls_keys keys;
		make_keys(i, &keys);
		uint64_t last = keys.is_gcm ? TLS_GCM_RECORDS_MAX : UINT64_MAX;
		keys.sequence = last - 1;
		EQ(tls_sender_init(&sender, &keys), 0);
		send_one(TLS_CONTENT_APPLICATION, span_of("x", 1));
		for (int n = 0; n < 2; n++) {
			struct cursor_out target = { wire, wire + sizeof wire };
			EQ(tls_sender_seal(&sender, TLS_CONTENT_APPLICATION, span_of("x", 1), &target),
			   FAULT_TLS_LIMIT);
			EQ(target.next == wire, 1);
			EQ(sender.keys.sequence, last);
		}
	}
}

/* Each side of a key block has its own key; a mix-up would repeat the peer's nonces. */
static void sides_have_their_own_keys(void)
{
	uint8_t material[88];
	struct tls_keys client, server;
	for (size_t i = 0; i < sizeof material; i++)
		material[i] = (uint8_t)i;
	EQ(tls_keys_from_block(&client, 0xc02f, material, 40, TLS_SIDE_CLIENT), 0);
	EQ(tls_keys_from_block(&server, 0xc02f, material, 40, TLS_SIDE_SERVER), 0);
	EQ_BYTES(client.key, client.key_bytes, material, 16);
	EQ_BYTES(server.key, server.key_bytes, material + 16, 16);
	EQ_BYTES(client.iv, 4, material + 32, 4);
	EQ_BYTES(server.iv, 4, material + 36, 4);
	EQ(tls_keys_from_block(&client, 0xcca8, material, 88, TLS_SIDE_CLIENT), 0);
	EQ(tls_keys_from_block(&server, 0xcca8, material, 88, TLS_SIDE_SERVER), 0);
	EQ_BYTES(client.iv, 12, material + 64, 12);
	EQ_BYTES(server.iv, 12, material + 76, 12);
}

static void keys_refuse_what_they_do_not_know(void)
{
	uint8_t material[88] = { 0 };
	struct tls_keys keys = { 0 };
	EQ(tls_keys_known_suite(TLS_VERSION_13, 0x1301), 1);
	EQ(tls_keys_known_suite(TLS_VERSION_12, 0x1301), 0);
	EQ(tls_keys_known_suite(TLS_VERSION_12, 0xc013), 0); /* CBC */
	EQ(tls_keys_from_secret(&keys, 0x1304, material, 32), -1);
	EQ(tls_keys_from_secret(&keys, 0x1301, material, 31), -1);
	EQ(tls_keys_from_secret(&keys, 0x1301, material, 48), -1);
	EQ(tls_keys_from_secret(&keys, 0x1302, material, 32), -1);
	EQ(tls_keys_from_block(&keys, 0xc02f, material, 39, TLS_SIDE_SERVER), -1);
	EQ(tls_keys_from_block(&keys, 0xc02f, material, 88, TLS_SIDE_SERVER), -1);
	EQ(tls_keys_from_block(&keys, 0x1301, material, 40, TLS_SIDE_SERVER), -1);
	EQ(tls_keys_from_block(&keys, 0xc02f, material, 40, TLS_SIDE_SERVER), 0);
	EQ(keys.sequence, 1);
	EQ(tls_keys_update(&keys), -1); /* TLS 1.2 has no key update */
	tls_keys_wipe(&keys);
	for (size_t i = 0; i < sizeof keys; i++)
		EQ(((uint8_t *)&keys)[i], 0);
}

static void every_suite_round_trips_at_every_size(void)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 255, 256, 1400, 4096, 16383, 16384 };
	for (size_t suite = 0; suite < SUITES; suite++) {
		begin(suite);
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			struct tls_opened opened;
			size_t consumed, bytes = seal_bytes(TLS_CONTENT_APPLICATION, sizes[i], 0, wire);
			EQ(open_bytes(wire, bytes, sizeof plain, &opened, &consumed), STEP_DONE);
			EQ(consumed, bytes);
			EQ(opened.type, TLS_CONTENT_APPLICATION);
			EQ(opened.bytes.bytes, sizes[i]);
			for (size_t at = 0; at < sizes[i]; at++)
				EQ(opened.bytes.base[at], (uint8_t)(at * 31 + sizes[i]));
		}
		EQ(record.records, sizeof sizes / sizeof *sizes);
	}
}

/* Two records, cut at every point: what is incomplete stays, nothing is opened twice. */
static void every_split_point(void)
{
	for (size_t suite = 0; suite < SUITES; suite++) {
		begin(suite);
		size_t first = seal_bytes(TLS_CONTENT_APPLICATION, 23, 3, wire);
		size_t total = first + seal_bytes(TLS_CONTENT_ALERT, 2, 0, wire + first);
		for (size_t cut = 0; cut < total; cut++) {
			struct tls_opened opened;
			size_t consumed, at = 0;
			unsigned seen = 0;
			begin(suite);
			for (size_t end = cut;; end = total) {
				while (open_bytes(wire + at, end - at, sizeof plain, &opened, &consumed) ==
				       STEP_DONE) {
					EQ(opened.bytes.bytes, seen ? 2 : 23);
					EQ(opened.type, seen ? TLS_CONTENT_ALERT : TLS_CONTENT_APPLICATION);
					at += consumed;
					seen++;
				}
				EQ(consumed, 0);
				EQ(record.fault, FAULT_NONE);
				if (end == total)
					break;
			}
			EQ(at, total);
			EQ(seen, 2);
		}
	}
}

static void full_moves_nothing(void)
{
	begin(SUITE_13);
	struct tls_opened opened;
	size_t consumed, bytes = seal_bytes(TLS_CONTENT_APPLICATION, 100, 0, wire);
	for (size_t room = 0; room < 101; room++) {
		EQ(open_bytes(wire, bytes, room, &opened, &consumed), STEP_FULL);
		EQ(consumed, 0);
	}
	EQ(open_bytes(wire, bytes, 101, &opened, &consumed), STEP_DONE); /* the inner type takes a byte */
	EQ(opened.bytes.bytes, 100);

	begin(SUITE_12_GCM);
	bytes = seal_bytes(TLS_CONTENT_APPLICATION, 100, 0, wire);
	EQ(open_bytes(wire, bytes, 99, &opened, &consumed), STEP_FULL);
	EQ(open_bytes(wire, bytes, 100, &opened, &consumed), STEP_DONE);
}

/* Each bit of a record matters: header, nonce, content, tag. */
static void every_damaged_byte_is_noticed(void)
{
	for (size_t suite = 0; suite < SUITES; suite++) {
		begin(suite);
		size_t bytes = seal_bytes(TLS_CONTENT_APPLICATION, 19, 0, wire);
		for (size_t at = 0; at < bytes; at++) {
			begin(suite);
			wire[at] ^= 0x40;
			enum step step = open_one(bytes);
			wire[at] ^= 0x40;
			if (step == STEP_HUNGRY)
				EQ(at == 3 || at == 4, 1); /* a longer length */
			else
				EQ(step, STEP_BROKEN);
		}
		begin(suite);
		wire[bytes - 1] ^= 1;
		EQ(open_one(bytes), STEP_BROKEN);
		EQ(record.fault, FAULT_TLS_AUTHENTICATION);
		EQ(record.alert, TLS_ALERT_BAD_RECORD_MAC);
		wire[bytes - 1] ^= 1;
		EQ(open_one(bytes), STEP_BROKEN); /* sticky */
	}
}

static void order_matters(void)
{
	for (size_t suite = 0; suite < SUITES; suite++) {
		begin(suite);
		size_t first = seal_bytes(TLS_CONTENT_APPLICATION, 5, 0, wire);
		EQ(open_one(first), STEP_DONE);
		/* A replay: with GCM in TLS 1.2 the nonce comes with the record, so it is the sequence number
		 * in the additional data that catches it. */
		EQ(open_one(first), STEP_BROKEN);
		EQ(record.fault, FAULT_TLS_AUTHENTICATION);
		begin(suite);
		seal_bytes(TLS_CONTENT_APPLICATION, 5, 0, wire); /* lost */
		size_t second = seal_bytes(TLS_CONTENT_APPLICATION, 5, 0, wire);
		EQ(open_one(second), STEP_BROKEN);
	}
}

static void expect_broken(size_t bytes, enum fault fault, enum tls_alert alert)
{
	EQ(open_one(bytes), STEP_BROKEN);
	EQ(record.fault, fault);
	EQ(record.alert, alert);
	GT(strlen(record.why), 10);
}

static void headers_are_checked_before_the_body_is_there(void)
{
	static const struct {
		size_t suite;
		uint8_t header[5];
		enum tls_alert alert;
	} cases[] = {
		{ SUITE_13, { 22, 3, 3, 0, 32 }, TLS_ALERT_UNEXPECTED_MESSAGE },
		{ SUITE_13, { 20, 3, 3, 0, 1 }, TLS_ALERT_UNEXPECTED_MESSAGE },
		{ SUITE_13, { 23, 3, 1, 0, 32 }, TLS_ALERT_PROTOCOL_VERSION },
		{ SUITE_13, { 23, 2, 3, 0, 32 }, TLS_ALERT_PROTOCOL_VERSION },
		{ SUITE_13, { 23, 3, 3, 0x41, 1 }, TLS_ALERT_RECORD_OVERFLOW }, /* 16384 + 257 */
		{ SUITE_13, { 23, 3, 3, 0, 15 }, TLS_ALERT_BAD_RECORD_MAC },
		{ SUITE_13, { 23, 3, 3, 0, 0 }, TLS_ALERT_BAD_RECORD_MAC },
		{ SUITE_12_GCM, { 19, 3, 3, 0, 32 }, TLS_ALERT_UNEXPECTED_MESSAGE },
		{ SUITE_12_GCM, { 24, 3, 3, 0, 32 }, TLS_ALERT_UNEXPECTED_MESSAGE },
		{ SUITE_12_GCM, { 23, 3, 4, 0, 32 }, TLS_ALERT_PROTOCOL_VERSION },
		{ SUITE_12_GCM, { 23, 3, 3, 0x48, 1 }, TLS_ALERT_RECORD_OVERFLOW }, /* 16384 + 2049 */
		{ SUITE_12_GCM, { 23, 3, 3, 0, 23 }, TLS_ALERT_BAD_RECORD_MAC },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(cases[i].suite);
		memcpy(wire, cases[i].header, 5);
		expect_broken(5,
			      cases[i].alert == TLS_ALERT_BAD_RECORD_MAC ? FAULT_TLS_AUTHENTICATION
									 : FAULT_TLS_RECORD,
			      cases[i].alert);
	}
	begin(SUITE_13);
	memcpy(wire, (uint8_t[]){ 23, 3, 3, 0x41, 0 }, 5); /* the longest that is allowed */
	EQ(open_one(5), STEP_HUNGRY);
}

static void content_has_a_limit(void)
{
	begin(SUITE_13);
	size_t bytes = seal_bytes(TLS_CONTENT_APPLICATION, 16385, 0, wire);
	expect_broken(bytes, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW);
	begin(SUITE_13); /* padding counts */
	bytes = seal_bytes(TLS_CONTENT_APPLICATION, 10, 16375, wire);
	expect_broken(bytes, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW);
	begin(SUITE_13);
	bytes = seal_bytes(TLS_CONTENT_APPLICATION, 10, 16374, wire);
	EQ(open_one(bytes), STEP_DONE);
	begin(SUITE_12_GCM);
	bytes = seal_bytes(TLS_CONTENT_APPLICATION, 16385, 0, wire);
	expect_broken(bytes, FAULT_TLS_RECORD, TLS_ALERT_RECORD_OVERFLOW);
}

static void padding_is_stripped(void)
{
	for (size_t padding_bytes = 0; padding_bytes < 300; padding_bytes++) {
		struct tls_opened opened;
		size_t consumed;
		begin(SUITE_13);
		size_t bytes = seal_bytes(TLS_CONTENT_HANDSHAKE, 9, padding_bytes, wire);
		EQ(open_bytes(wire, bytes, sizeof plain, &opened, &consumed), STEP_DONE);
		EQ(opened.type, TLS_CONTENT_HANDSHAKE);
		EQ(opened.bytes.bytes, 9);
		begin(SUITE_13); /* nothing but zeros */
		bytes = seal_bytes(0, 0, padding_bytes, wire);
		expect_broken(bytes, FAULT_TLS_RECORD, TLS_ALERT_UNEXPECTED_MESSAGE);
	}
}

static void empty_records_are_limited(void)
{
	for (size_t suite = 0; suite < SUITES; suite++) {
		begin(suite);
		for (int round = 0; round < 2; round++) {
			for (int i = 0; i < TLS_EMPTY_RECORDS_MAX; i++)
				EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 0, 5, wire)), STEP_DONE);
			EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, round == 0, 0, wire)),
			   round == 0 ? STEP_DONE : STEP_BROKEN);
		}
		EQ(record.fault, FAULT_TLS_LIMIT);
	}
}

static void gcm_stops_at_its_limit(void)
{
	begin(SUITE_13);
	record.keys.sequence = sealer.keys.sequence = TLS_GCM_RECORDS_MAX - 1;
	EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 1, 0, wire)), STEP_DONE);
	EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 1, 0, wire)), STEP_BROKEN);
	EQ(record.fault, FAULT_TLS_LIMIT);
	begin(2); /* ChaCha20 has no such limit */
	record.keys.sequence = sealer.keys.sequence = TLS_GCM_RECORDS_MAX;
	EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 1, 0, wire)), STEP_DONE);
}

static void key_updates_follow_each_other(void)
{
	for (size_t suite = 0; suite < 3; suite++) {
		begin(suite);
		for (int i = 0; i < 5; i++) {
			EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 77, 0, wire)), STEP_DONE);
			EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 78, 0, wire)), STEP_DONE);
			EQ(record.keys.sequence, 2);
			seal_update(&sealer);
			EQ(tls_record_update(&record), 0);
			EQ(record.keys.sequence, 0);
		}
		seal_update(&sealer); /* the sender is a generation ahead */
		EQ(open_one(seal_bytes(TLS_CONTENT_APPLICATION, 1, 0, wire)), STEP_BROKEN);
	}
}

static void measure_needs_no_keys(void)
{
	uint8_t header[16] = { 22, 3, 1, 0, 7 };
	for (size_t bytes = 0; bytes <= sizeof header; bytes++) {
		struct cursor_in cipher = { header, header + bytes };
		EQ(tls_record_measure(&cipher), bytes < 12 ? 0 : 12);
	}
	header[3] = 0x48;
	struct cursor_in cipher = { header, header + 5 };
	header[4] = 0;
	EQ(tls_record_measure(&cipher), 0);
	header[4] = 1;
	EQ(tls_record_measure(&cipher), -1);
}

TEST_MAIN(T(rfc_8448_trace), T(rfc_8448_trace_of_the_client), T(sealing_agrees_with_another),
	  T(sealing_never_uses_a_number_twice), T(sides_have_their_own_keys),
	  T(keys_refuse_what_they_do_not_know), T(every_suite_round_trips_at_every_size),
	  T(every_split_point), T(full_moves_nothing), T(every_damaged_byte_is_noticed), T(order_matters),
	  T(headers_are_checked_before_the_body_is_there), T(content_has_a_limit), T(padding_is_stripped),
	  T(empty_records_are_limited), T(gcm_stops_at_its_limit), T(key_updates_follow_each_other),
	  T(measure_needs_no_keys))
