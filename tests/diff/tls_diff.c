/* SPDX-License-Identifier: Apache-2.0
 *
 * INPLACE against SSL_read: seeded scripts of records, sealed under each connection's own keys, offered in
 * seeded pieces, must give the same plain bytes and the same verdict. A script is ordinary traffic in odd
 * shapes (sizes, padding, empty records, tickets, key updates, warnings) and then one of many ends.
 */
#define _GNU_SOURCE
#include "tls_pair.h"

#include "test.h"

enum {
	SCRIPTS = 300,
	RECORDS_MAX = 12,
	PLAIN_BYTES = 300000,
};

enum ending {
	END_OPEN,
	END_CLOSE_NOTIFY,
	END_DAMAGED_TAG,
	END_DAMAGED_HEADER,
	END_TOO_LONG,
	END_CONTENT_TOO_LONG,
	END_EMPTY_RECORDS,
	END_KEY_UPDATES,
	END_FATAL_ALERT,
	END_WARNINGS,
	END_UNKNOWN_TYPE,
	END_CHANGE_CIPHER_SPEC,
	END_ONLY_PADDING,
	END_REPLAY,
	END_BAD_ALERT,
	END_BAD_KEY_UPDATE,
	END_BAD_TICKET,
	END_OTHER_MESSAGE,
	END_DATA_IN_MESSAGE,
	ENDINGS,
};

struct outcome {
	enum step step;
	enum fault fault, fault_at_end;
	size_t plain_bytes;
	uint64_t records, key_updates;
	uint8_t plain[PLAIN_BYTES];
};

static struct pair_identity identity;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static size_t random_size(uint64_t *state)
{
	static const size_t limits[] = { 1, 2, 20, 300, 5000, 16385 };
	return next_random(state) % limits[next_random(state) % 6];
}

/* Head 4, lifetime 4, age 4, nonce 1 + 1, ticket 2 + 5, extensions 2. */
static const uint8_t ticket[] = { 4, 0, 0, 19, 0,   0,	 28,  32,  1,	2, 3, 4,
				  1, 9, 0, 5,  't', 'i', 'c', 'k', 't', 0, 0 };

static void put(struct tls_pair *pair, struct seal *seal, uint8_t type, const void *content, size_t bytes,
		size_t padding_bytes)
{
	struct seal_shape shape = { .type = type, .padding_bytes = padding_bytes };
	pair_seal(pair, seal, shape, content, bytes);
}

static void put_key_update(struct tls_pair *pair, struct seal *seal, uint8_t wanted)
{
	uint8_t message[] = { 24, 0, 0, 1, wanted };
	put(pair, seal, TLS_CONTENT_HANDSHAKE, message, sizeof message, 0);
	seal_update(seal);
}

/* One ordinary record. Tickets are whole here: they are cut in the unit test. */
static void put_ordinary(struct tls_pair *pair, struct seal *seal, uint64_t *state, const uint8_t *data)
{
	int is_13 = seal->keys.version == TLS_VERSION_13;
	size_t bytes = random_size(state), padding_bytes = random_size(state);
	if (bytes + padding_bytes > 16384)
		padding_bytes = 16384 - bytes;
	switch (next_random(state) % 8) {
	case 0:
		if (is_13)
			put(pair, seal, TLS_CONTENT_HANDSHAKE, ticket, sizeof ticket, padding_bytes);
		break;
	case 1:
		if (is_13)
			put_key_update(pair, seal, (uint8_t)(next_random(state) % 2));
		break;
	case 2: /* user_canceled */
		put(pair, seal, TLS_CONTENT_ALERT, "\1\132", 2, 0);
		break;
	default:
		put(pair, seal, TLS_CONTENT_APPLICATION, data, bytes, is_13 ? padding_bytes : 0);
	}
}

static void put_ending_13(struct tls_pair *pair, struct seal *seal, enum ending ending)
{
	switch (ending) {
	case END_KEY_UPDATES:
		for (int i = 0; i < 33; i++)
			put_key_update(pair, seal, 0);
		break;
	case END_ONLY_PADDING:
		put(pair, seal, 0, "", 0, 30);
		break;
	case END_BAD_KEY_UPDATE:
		put(pair, seal, TLS_CONTENT_HANDSHAKE, "\30\0\0\1\2", 5, 0);
		break;
	case END_BAD_TICKET:
		put(pair, seal, TLS_CONTENT_HANDSHAKE, "\4\0\0\4tick", 8, 0);
		break;
	case END_DATA_IN_MESSAGE:
		put(pair, seal, TLS_CONTENT_HANDSHAKE, ticket, 7, 0);
		put(pair, seal, TLS_CONTENT_APPLICATION, "x", 1, 0);
		break;
	default:
		break;
	}
}

static void put_ending(struct tls_pair *pair, struct seal *seal, enum ending ending, const uint8_t *data)
{
	size_t before = pair->wire_bytes;
	switch (ending) {
	case END_CLOSE_NOTIFY:
		put(pair, seal, TLS_CONTENT_ALERT, "\1\0", 2, 0);
		put(pair, seal, TLS_CONTENT_APPLICATION, "unread", 6, 0);
		break;
	case END_DAMAGED_TAG:
		put(pair, seal, TLS_CONTENT_APPLICATION, data, 100, 0);
		pair->wire[pair->wire_bytes - 3] ^= 4;
		break;
	case END_DAMAGED_HEADER:
		put(pair, seal, TLS_CONTENT_APPLICATION, data, 100, 0);
		pair->wire[before + 1] ^= 1;
		break;
	case END_TOO_LONG:
		memcpy(pair->wire + before, "\27\3\3\110\1", 5); /* 16384 + 2049 */
		pair->wire_bytes += 5;
		break;
	case END_CONTENT_TOO_LONG:
		put(pair, seal, TLS_CONTENT_APPLICATION, data, 16385, 0);
		break;
	case END_EMPTY_RECORDS:
		for (int i = 0; i < 33; i++)
			put(pair, seal, TLS_CONTENT_APPLICATION, "", 0, 0);
		break;
	case END_FATAL_ALERT:
		put(pair, seal, TLS_CONTENT_ALERT, "\2\120", 2, 0);
		break;
	case END_WARNINGS:
		for (int i = 0; i < 5; i++)
			put(pair, seal, TLS_CONTENT_ALERT, "\1\132", 2, 0);
		break;
	case END_UNKNOWN_TYPE:
		put(pair, seal, 24, data, 10, 0);
		break;
	case END_CHANGE_CIPHER_SPEC:
		put(pair, seal, TLS_CONTENT_CHANGE_CIPHER_SPEC, "\1", 1, 0);
		break;
	case END_REPLAY:
		put(pair, seal, TLS_CONTENT_APPLICATION, data, 50, 0);
		memcpy(pair->wire + pair->wire_bytes, pair->wire + before, pair->wire_bytes - before);
		pair->wire_bytes += pair->wire_bytes - before;
		break;
	case END_BAD_ALERT:
		put(pair, seal, TLS_CONTENT_ALERT, "\1", 1, 0);
		break;
	case END_OTHER_MESSAGE: /* CertificateRequest; in TLS 1.2 HelloRequest */
		put(pair, seal, TLS_CONTENT_HANDSHAKE,
		    seal->keys.version == TLS_VERSION_13 ? "\15\0\0\0" : "\0\0\0\0", 4, 0);
		break;
	default:
		if (seal->keys.version == TLS_VERSION_13)
			put_ending_13(pair, seal, ending);
	}
}

/* Offers the wire in seeded pieces, until it is used up or the connection over. */
static void consume(struct tls_pair *pair, uint64_t *state, struct outcome *outcome)
{
	struct cursor_in cipher = { pair->wire, pair->wire };
	const uint8_t *end = pair->wire + pair->wire_bytes;
	outcome->step = STEP_HUNGRY;
	while (outcome->step == STEP_FULL || (outcome->step == STEP_HUNGRY && cipher.end < end)) {
		size_t more = random_size(state) + 1;
		if (outcome->step == STEP_HUNGRY)
			cipher.end = more < (size_t)(end - cipher.end) ? cipher.end + more : end;
		size_t room = TLS_PLAIN_BYTES_MAX + random_size(state);
		LE(outcome->plain_bytes + room, sizeof outcome->plain);
		struct cursor_out plain = { outcome->plain + outcome->plain_bytes,
					    outcome->plain + outcome->plain_bytes + room };
		outcome->step = tls_push(pair->tls, &cipher, &plain);
		outcome->plain_bytes = (size_t)(plain.next - outcome->plain);
		tls_output_consume(pair->tls, tls_output(pair->tls).bytes);
	}
	outcome->fault = tls_fault(pair->tls);
	outcome->fault_at_end = tls_end_of_transport(pair->tls);
	outcome->records = tls_records(pair->tls);
	outcome->key_updates = tls_key_updates(pair->tls);
}

static void run_script(uint64_t seed, struct tls_options options, struct outcome *outcome)
{
	static uint8_t data[16400];
	struct tls_pair pair;
	struct seal seal;
	uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 37 + i / 256 + seed);
	memset(outcome, 0, sizeof *outcome);
	pair_open(&pair, &identity, options);
	EQ(pair_handshake(&pair, PAIR_HOST), FAULT_NONE);
	EQ_TEXT(tls_mode_name(pair.tls), options.mode == TLS_MODE_SSL ? "ssl" : "inplace");
	pair_seal_init(&pair, &seal);
	for (uint64_t n = next_random(&state) % RECORDS_MAX; n; n--)
		put_ordinary(&pair, &seal, &state, data);
	put_ending(&pair, &seal, (enum ending)(seed % ENDINGS), data);
	consume(&pair, &state, outcome);
	pair_close(&pair);
}

static void compare(enum tls_version_limit versions)
{
	static struct outcome ours, theirs;
	unsigned broken = 0, done = 0;
	if (!identity.key)
		identity = pair_identity_create();
	for (uint64_t seed = 0; seed < SCRIPTS; seed++) {
		run_script(seed, (struct tls_options){ .mode = TLS_MODE_INPLACE, .versions = versions },
			   &ours);
		run_script(seed, (struct tls_options){ .mode = TLS_MODE_SSL, .versions = versions }, &theirs);
		if (ours.step != theirs.step || (ours.fault == FAULT_NONE) != (theirs.fault == FAULT_NONE))
			FAIL("script %d: %d %s against %d %s", (int)seed, ours.step,
			     fault_name(ours.fault_at_end), theirs.step, fault_name(theirs.fault_at_end));
		/* BoringSSL gives a record of nothing but padding the name of a failed authentication. */
		if (seed % ENDINGS != END_ONLY_PADDING && ours.fault_at_end != theirs.fault_at_end)
			FAIL("script %d: %s against %s", (int)seed, fault_name(ours.fault_at_end),
			     fault_name(theirs.fault_at_end));
		EQ_BYTES(ours.plain, ours.plain_bytes, theirs.plain, theirs.plain_bytes);
		if (ours.step != STEP_BROKEN) {
			EQ(ours.records, theirs.records);
			EQ(ours.key_updates, theirs.key_updates);
		}
		broken += ours.step == STEP_BROKEN;
		done += ours.step == STEP_DONE;
	}
	GT(broken, SCRIPTS / 3); /* the scripts do reach their ends */
	GT(done, SCRIPTS / ENDINGS / 2);
}

static void same_verdict_13(void)
{
	compare(TLS_VERSIONS_13_ONLY);
}

static void same_verdict_12(void)
{
	compare(TLS_VERSIONS_12_ONLY);
}

TEST_MAIN(T(same_verdict_13), T(same_verdict_12))
