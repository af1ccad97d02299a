/* SPDX-License-Identifier: Apache-2.0
 *
 * The record layer under known keys. The input is a suite and a list of pieces: records that are sealed
 *properly around given content, and raw bytes. Invariants: what was sealed comes out, in order, up to the
 *first violation; the outcome does not depend on how the bytes are split; nothing behind the given bytes is
 *read.
 *
 *	u8 suite; then pieces: u8 kind, u8 type, u16 bytes (little endian), bytes
 *	kind: 0..127 sealed, with kind bytes of padding in TLS 1.3; 128..255 raw
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_record.h"

#include "tls_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { WIRE_BYTES = 1 << 17, PIECES_MAX = 256 };

struct trace {
	unsigned count;
	enum step step;
	enum fault fault;
	uint64_t digest; /* over type and content of every record */
	size_t consumed;
};

struct expectation {
	unsigned count; /* sealed records before the first raw bytes that are well-formed */
	uint64_t digest[PIECES_MAX + 1];
};

static void fail(const char *what)
{
	fprintf(stderr, "tls_record_fuzz: %s\n", what);
	abort();
}

static uint64_t mix(uint64_t digest, uint8_t type, const uint8_t *bytes, size_t count)
{
	digest = (digest ^ type) * 0x100000001b3;
	for (size_t i = 0; i < count; i++)
		digest = (digest ^ bytes[i]) * 0x100000001b3;
	return (digest ^ count) * 0x100000001b3;
}

static void make_keys(uint8_t choice, struct tls_keys *keys)
{
	static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303, 0xc02f, 0xc030, 0xcca8 };
	uint16_t suite = suites[choice % 6];
	uint8_t material[88];
	memset(material, 0x5a, sizeof material);
	size_t block_bytes = suite == 0xc02f ? 40 : suite == 0xc030 ? 72 : 88;
	if (choice % 6 < 3 ? tls_keys_from_secret(keys, suite, material, suite == 0x1302 ? 48 : 32)
			   : tls_keys_from_block(keys, suite, material, block_bytes, TLS_SIDE_SERVER))
		fail("no keys");
}

/* Follows the pieces; returns the size of the wire. */
static size_t build(const uint8_t *data, size_t bytes, struct seal *seal, uint8_t *wire,
		    struct expectation *expected)
{
	size_t wire_bytes = 0;
	int clean = 1, is_13 = seal->keys.version == TLS_VERSION_13;
	expected->count = 0;
	expected->digest[0] = 0;
	for (unsigned n = 0; n < PIECES_MAX && bytes >= 4; n++) {
		uint8_t kind = data[0], type = data[1];
		size_t content_bytes = (size_t)data[2] | (size_t)data[3] << 8;
		data += 4;
		bytes -= 4;
		if (content_bytes > bytes)
			content_bytes = bytes;
		if (wire_bytes + content_bytes + 512 > WIRE_BYTES)
			break;
		if (kind >= 128) {
			memcpy(wire + wire_bytes, data, content_bytes);
			wire_bytes += content_bytes;
			clean &= content_bytes == 0;
		} else if (content_bytes <= 17000) {
			struct seal_shape shape = { .type = type, .padding_bytes = is_13 ? kind : 0 };
			wire_bytes += seal_record(seal, shape, data, content_bytes, wire + wire_bytes);
			clean &= content_bytes + shape.padding_bytes <= 16384 && type != 0 &&
				 (is_13 || (type >= 20 && type <= 23));
			if (clean) {
				expected->digest[expected->count + 1] =
					mix(expected->digest[expected->count], type, data, content_bytes);
				expected->count++;
			}
		}
		data += content_bytes;
		bytes -= content_bytes;
	}
	return wire_bytes;
}

/* Offers the wire in pieces of `step_bytes`. */
static struct trace run(const struct tls_keys *keys, const uint8_t *wire, size_t wire_bytes,
			size_t step_bytes, const struct expectation *expected)
{
	static uint8_t plain[TLS_BODY_BYTES_MAX_12];
	struct tls_record record = { 0 };
	struct trace trace = { .step = STEP_HUNGRY };
	struct cursor_in cipher = { wire, wire };
	if (tls_record_init(&record, keys) < 0)
		fail("no record layer");
	for (;;) {
		struct tls_opened opened;
		struct cursor_out out = { plain, plain + sizeof plain };
		trace.step = tls_record_open(&record, &cipher, &out, &opened);
		if (trace.step == STEP_DONE) {
			trace.count++;
			trace.digest = mix(trace.digest, opened.type, opened.bytes.base, opened.bytes.bytes);
			if (trace.count <= expected->count && trace.digest != expected->digest[trace.count])
				fail("a record came out other than it went in");
		} else if (trace.step == STEP_HUNGRY && cipher.end < wire + wire_bytes) {
			size_t left = (size_t)(wire + wire_bytes - cipher.end);
			cipher.end += left < step_bytes ? left : step_bytes;
		} else {
			break;
		}
	}
	trace.fault = record.fault;
	trace.consumed = (size_t)(cipher.next - wire);
	if (trace.step == STEP_FULL || (trace.step == STEP_BROKEN) != (trace.fault != FAULT_NONE))
		fail("the answer and the fault contradict each other");
	if (trace.fault != FAULT_TLS_LIMIT && trace.count < expected->count)
		fail("a well-formed record was refused");
	tls_record_wipe(&record);
	return trace;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t space[WIRE_BYTES];
	static struct expectation expected;
	struct tls_keys keys;
	struct seal seal;
	if (bytes < 1)
		return 0;
	make_keys(data[0], &keys);
	if (seal_init(&seal, &keys) != 1)
		fail("no seal");
	size_t wire_bytes = build(data + 1, bytes - 1, &seal, space, &expected);
	uint8_t *wire = malloc(wire_bytes + 1); /* exact, for the address sanitizer */
	if (!wire)
		return 0;
	uint8_t *start = wire + 1; /* and not aligned */
	memcpy(start, space, wire_bytes);
	struct trace whole = run(&keys, start, wire_bytes, WIRE_BYTES, &expected);
	static const size_t steps[] = { 1, 3, 17, 1000 };
	for (size_t i = wire_bytes > 4096 ? 2 : 0; i < sizeof steps / sizeof *steps; i++) {
		struct trace split = run(&keys, start, wire_bytes, steps[i], &expected);
		if (whole.count != split.count || whole.step != split.step || whole.fault != split.fault ||
		    whole.digest != split.digest || whole.consumed != split.consumed)
			fail("the outcome depends on the split");
	}
	free(wire);
	return 0;
}
