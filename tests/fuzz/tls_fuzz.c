/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole connection. Odd first byte: it is established, and the input is a list of records that the server
 *seals properly around arbitrary content (so what is tried is what an authenticated but mad server can do).
 *Even first byte: the rest is what a server answers to the ClientHello. Invariants: the answers and the fault
 *agree, faults are sticky and have a sentence, the outcome does not depend on the split, the output stays
 *within its bound, and what waits in it are our records, in order, each number used once, an alert the last.
 *
 *	odd:  u8 1; then records: u8 type, u8 padding, u16 bytes (little endian), bytes
 *	even: u8 0; bytes
 */
#define _GNU_SOURCE
#include "tls_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A connection serves many inputs: before each, its receiving half is put back to where the handshake left
 * it. Its sending half is only a sink for alerts, and renewed from time to time. */
enum { INPUTS_PER_CONNECTION = 500, PLAIN_BYTES = 1 << 17 };

struct outcome {
	enum step step;
	enum fault fault;
	size_t plain_bytes;
	uint64_t key_updates;
};

static struct pair_identity identity;
static struct tls_pair pair;
static struct tls *fresh; /* as the handshake left it */
static unsigned inputs_left;
static struct tls_pair unmet; /* never established */

static void fail(const char *what)
{
	fprintf(stderr, "tls_fuzz: %s\n", what);
	abort();
}

static void open_connections(void)
{
	static const struct tls_options options = { .mode = TLS_MODE_INPLACE,
						    .versions = TLS_VERSIONS_13_ONLY };
	if (!identity.key) {
		identity = pair_identity_create();
		fresh = malloc(sizeof *fresh);
		pair_open(&unmet, &identity, options);
	} else {
		pair_close(&pair);
	}
	pair_open(&pair, &identity, options);
	if (pair_handshake(&pair, PAIR_HOST) != FAULT_NONE)
		fail("no handshake");
	memcpy(fresh, pair.tls, sizeof *fresh);
	inputs_left = INPUTS_PER_CONNECTION;
}

static void restore(void)
{
	fresh->session = pair.tls->session; /* which also keeps it in sight of the leak sanitizer */
	memcpy(pair.tls, fresh, sizeof *fresh);
}

static void build(const uint8_t *data, size_t bytes)
{
	struct seal seal;
	pair_seal_init(&pair, &seal);
	seal.keys.sequence = pair.tls->record.keys.sequence;
	pair.wire_bytes = 0;
	while (bytes >= 4 && pair.wire_bytes < PAIR_WIRE_BYTES / 2) {
		size_t content_bytes = (size_t)data[2] | (size_t)data[3] << 8;
		struct seal_shape shape = { .type = data[0], .padding_bytes = data[1] };
		data += 4;
		bytes -= 4;
		if (content_bytes > bytes)
			content_bytes = bytes;
		if (content_bytes + shape.padding_bytes > 16384)
			content_bytes = 16384 - shape.padding_bytes;
		pair_seal(&pair, &seal, shape, data, content_bytes);
		/* A key update that will be accepted changes the key, as a server would. */
		if (shape.type == TLS_CONTENT_HANDSHAKE && content_bytes >= 5 &&
		    memcmp(data + content_bytes - 5, "\30\0\0\1", 4) == 0)
			seal_update(&seal);
		data += content_bytes;
		bytes -= content_bytes;
	}
}

/* As the server would read it. A record that anybody else made, or one under a number that is used, does not
 * open. */
static void check_output(const struct tls *tls)
{
	static uint8_t plain[TLS_PLAIN_BYTES_MAX];
	struct tls_record reader = { 0 };
	struct tls_opened opened;
	struct span output = tls_output(tls);
	struct cursor_in cipher = { output.base, output.base + output.bytes };
	struct cursor_out room = { plain, plain + sizeof plain };
	if (tls_record_init(&reader, &fresh->sender.keys) < 0)
		fail("no reader");
	while (cursor_in_bytes(&cipher)) {
		if (tls_record_open(&reader, &cipher, &room, &opened) != STEP_DONE)
			fail("the output holds what is not ours");
		if (opened.type == TLS_CONTENT_ALERT && cursor_in_bytes(&cipher))
			fail("something is sent behind an alert");
		if (opened.type == TLS_CONTENT_HANDSHAKE && tls_record_update(&reader) < 0)
			fail("no next key");
	}
	tls_record_wipe(&reader);
}

static struct outcome run(struct tls *tls, const uint8_t *wire, size_t wire_bytes, size_t step_bytes)
{
	static uint8_t plain[PLAIN_BYTES];
	struct outcome outcome = { .step = STEP_HUNGRY };
	struct cursor_in cipher = { wire, wire };
	for (;;) {
		struct cursor_out out = { plain, plain + sizeof plain };
		outcome.step = tls_push(tls, &cipher, &out);
		outcome.plain_bytes += (size_t)(out.next - plain);
		if (cipher.next > cipher.end || tls_output(tls).bytes > TLS_OUTPUT_BYTES_MAX)
			fail("a cursor or the output is out of its bounds");
		if (outcome.step == STEP_HUNGRY && cipher.end < wire + wire_bytes) {
			size_t left = (size_t)(wire + wire_bytes - cipher.end);
			cipher.end += left < step_bytes ? left : step_bytes;
		} else if (outcome.step != STEP_FULL) {
			break;
		}
	}
	outcome.fault = tls_fault(tls);
	outcome.key_updates = tls_key_updates(tls);
	if ((outcome.step == STEP_BROKEN) != (outcome.fault != FAULT_NONE))
		fail("the answer and the fault contradict each other");
	if (outcome.fault != FAULT_NONE &&
	    (strlen(tls_error_text(tls)) < 10 || tls_push(tls, &cipher, NULL) != STEP_BROKEN))
		fail("a fault without a sentence, or one that goes away");
	enum fault last = tls_end_of_transport(tls);
	if (outcome.step == STEP_HUNGRY ? last == FAULT_NONE : last != outcome.fault)
		fail("the end of the transport is judged wrongly");
	return outcome;
}

static void compare(struct outcome whole, struct outcome split)
{
	if (whole.step != split.step || whole.fault != split.fault ||
	    whole.plain_bytes != split.plain_bytes || whole.key_updates != split.key_updates) {
		fprintf(stderr, "answer %d against %d, fault %d against %d\n", whole.step, split.step,
			whole.fault, split.fault);
		fail("the outcome depends on the split");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (inputs_left-- == 0)
		open_connections();
	if (bytes < 1)
		return 0;
	if (data[0] % 2) {
		restore();
		build(data + 1, bytes - 1);
		struct outcome whole = run(pair.tls, pair.wire, pair.wire_bytes, PAIR_WIRE_BYTES);
		check_output(pair.tls);
		restore();
		compare(whole, run(pair.tls, pair.wire, pair.wire_bytes, 7));
		restore();
	} else {
		if (tls_start(unmet.tls, PAIR_HOST) != FAULT_NONE)
			fail("no start");
		struct outcome whole = run(unmet.tls, data + 1, bytes - 1, bytes);
		if (whole.plain_bytes || tls_established(unmet.tls))
			fail("plain bytes without a handshake");
		if (tls_start(unmet.tls, PAIR_HOST) != FAULT_NONE)
			fail("no start");
		compare(whole, run(unmet.tls, data + 1, bytes - 1, 1));
		tls_finish(unmet.tls);
	}
	return 0;
}
