/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain bytes of many kinds, for inflate's differential tests: what compressors make different things of.
 */
#ifndef TESTS_INFLATE_PLAIN_H
#define TESTS_INFLATE_PLAIN_H

#include "unit/inflate_peer.h"

enum plain_kind {
	PLAIN_EVENTS, /* lines of JSON */
	PLAIN_NOISE,
	PLAIN_RUNS,
	PLAIN_SKEWED, /* few symbols, long codes for the rest */
	PLAIN_COPIES, /* from far and near */
	PLAIN_WORDS,
	PLAIN_RECORDS, /* numbers of fixed width, as in a program's data */
	PLAIN_KINDS,
};

PEER void plain_append_word(struct bytes *plain, uint64_t *seed)
{
	static const char letters[] = "etaoinshrdlucmfw";
	uint64_t drawn = peer_random(seed);
	/* Some thousand words, short ones often. */
	uint64_t word = drawn % (UINT64_C(4) << 3 * (drawn >> 40 & 3));
	do {
		bytes_append_byte(plain, (unsigned)letters[word % 16]);
		word /= 16;
	} while (word);
	bytes_append_byte(plain, drawn >> 50 & 7 ? ' ' : '\n');
}

PEER void plain_append_record(struct bytes *plain, uint64_t *seed)
{
	uint64_t drawn = peer_random(seed);
	bytes_append_number(plain, (uint32_t)plain->count, 4);
	bytes_append_number(plain, (uint32_t)(drawn % 1000), 4);
	bytes_append_number(plain, (uint32_t)(drawn >> 32), drawn & 64 ? 4 : 1);
	bytes_append_number(plain, 0, 4);
}

PEER void plain_append_copy(struct bytes *plain, uint64_t *seed)
{
	size_t far = 1 + peer_random(seed) % (plain->count < 32768 ? plain->count : 32768);
	size_t length = 1 + peer_random(seed) % 300;
	bytes_reserve(plain, length);
	for (; length; length--)
		bytes_append_byte(plain, plain->base[plain->count - far]);
}

PEER void plain_append_run(struct bytes *plain, uint64_t *seed)
{
	uint64_t count = peer_random(seed) % 700, byte = peer_random(seed) & 255;
	for (; count; count--)
		bytes_append_byte(plain, (unsigned)byte);
}

PEER void plain_append(struct bytes *plain, enum plain_kind kind, size_t count, uint64_t *seed)
{
	size_t end = plain->count + count;
	if (kind == PLAIN_EVENTS)
		peer_append_events(plain, count, seed);
	else if (kind == PLAIN_NOISE)
		peer_append_noise(plain, count, seed);
	else if (kind == PLAIN_COPIES)
		peer_append_noise(plain, count < 1000 ? count : 1000, seed);
	while (plain->count < end)
		if (kind == PLAIN_RUNS)
			plain_append_run(plain, seed);
		else if (kind == PLAIN_SKEWED)
			bytes_append_byte(plain, (unsigned)__builtin_ctzll(peer_random(seed) | 1u << 30));
		else if (kind == PLAIN_COPIES)
			plain_append_copy(plain, seed);
		else if (kind == PLAIN_WORDS)
			plain_append_word(plain, seed);
		else
			plain_append_record(plain, seed);
	plain->count = end;
}

#endif
