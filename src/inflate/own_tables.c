/* SPDX-License-Identifier: Apache-2.0
 *
 * Code lengths -> tables (RFC 1951, section 3.2.2). Codes are handed out in the order of their numbers,
 * shortest first; since deflate writes a code's first bit first, a table is indexed by codes read backwards.
 * It starts with one entry and is doubled for each bit of length, which repeats the shorter codes for every
 * continuation of them.
 */
#include <string.h>

#include "inflate/own.h"

#define LITERALS_4(n)                                                                                        \
	{ OWN_LITERAL, 0, 0, 0, (n), 0 }, { OWN_LITERAL, 0, 0, 0, (n) + 1, 0 },                              \
		{ OWN_LITERAL, 0, 0, 0, (n) + 2, 0 },                                                        \
	{                                                                                                    \
		OWN_LITERAL, 0, 0, 0, (n) + 3, 0                                                             \
	}
#define LITERALS_16(n) LITERALS_4(n), LITERALS_4((n) + 4), LITERALS_4((n) + 8), LITERALS_4((n) + 12)
#define LITERALS_64(n) LITERALS_16(n), LITERALS_16((n) + 16), LITERALS_16((n) + 32), LITERALS_16((n) + 48)
#define BASE(extra, base)                                                                                    \
	{                                                                                                    \
		OWN_BASE, 0, (extra), 0, (base), 0                                                           \
	}
#define BASES_4(extra, base, step)                                                                           \
	BASE(extra, base), BASE(extra, (base) + (step)), BASE(extra, (base) + 2 * (step)),                   \
		BASE(extra, (base) + 3 * (step))

/* RFC 1951, section 3.2.5. */
const struct own_symbol own_litlen_symbols[OWN_LITLEN_COUNT] = {
	LITERALS_64(0),
	LITERALS_64(64),
	LITERALS_64(128),
	LITERALS_64(192),
	{ OWN_END, 0, 0, 0, 0, 0 },
	BASES_4(0, 3, 1),
	BASES_4(0, 7, 1),
	BASES_4(1, 11, 2),
	BASES_4(2, 19, 4),
	BASES_4(3, 35, 8),
	BASES_4(4, 67, 16),
	BASES_4(5, 131, 32),
	BASE(0, 258),
	{ OWN_BAD, 0, 0, 0, 0, 0 },
	{ OWN_BAD, 0, 0, 0, 0, 0 },
};

const struct own_symbol own_distance_symbols[OWN_DISTANCE_COUNT] = {
	BASES_4(0, 1, 1),
	BASE(1, 5),
	BASE(1, 7),
	BASE(2, 9),
	BASE(2, 13),
	BASE(3, 17),
	BASE(3, 25),
	BASE(4, 33),
	BASE(4, 49),
	BASE(5, 65),
	BASE(5, 97),
	BASE(6, 129),
	BASE(6, 193),
	BASE(7, 257),
	BASE(7, 385),
	BASE(8, 513),
	BASE(8, 769),
	BASE(9, 1025),
	BASE(9, 1537),
	BASE(10, 2049),
	BASE(10, 3073),
	BASE(11, 4097),
	BASE(11, 6145),
	BASE(12, 8193),
	BASE(12, 12289),
	BASE(13, 16385),
	BASE(13, 24577),
	{ OWN_BAD, 0, 0, 0, 0, 0 },
	{ OWN_BAD, 0, 0, 0, 0, 0 },
};

/* Values are the numbers themselves. */
static const struct own_symbol precode_symbols[OWN_PRECODE_COUNT] = {
	LITERALS_16(0),
	{ OWN_LITERAL, 0, 0, 0, 16, 0 },
	{ OWN_LITERAL, 0, 0, 0, 17, 0 },
	{ OWN_LITERAL, 0, 0, 0, 18, 0 },
};

/* Sorts the symbols by code length. Returns -1 when there are more codes than fit, else what is left of the
 * space of codes, in units of 15-bit codes. */
static int codes_sort(struct own_long_codes *codes, const uint8_t *lengths, unsigned count)
{
	uint16_t next[OWN_CODE_BITS_MAX + 1];
	memset(codes->counts, 0, sizeof codes->counts);
	for (unsigned i = 0; i < count; i++)
		codes->counts[lengths[i]]++;
	codes->counts[0] = 0;
	unsigned first = 0, at = 0;
	for (unsigned bits = 1; bits <= OWN_CODE_BITS_MAX; bits++) {
		first *= 2;
		codes->first[bits] = (uint16_t)first;
		codes->at[bits] = next[bits] = (uint16_t)at;
		first += codes->counts[bits];
		at += codes->counts[bits];
		if (first > 1u << bits)
			return -1;
	}
	for (unsigned i = 0; i < count; i++)
		if (lengths[i])
			codes->symbols[next[lengths[i]]++] = (uint16_t)i;
	return (int)((1u << OWN_CODE_BITS_MAX) - first);
}

/* The code behind `code` of `bits` bits, both read backwards. Behind the last one: a number above all codes.
 */
static unsigned code_after(unsigned code, unsigned bits)
{
	unsigned zeros = code ^ ((1u << bits) - 1);
	if (!zeros)
		return 1u << OWN_CODE_BITS_MAX;
	unsigned bit = 1u << (31 - __builtin_clz(zeros));
	return (code & (bit - 1)) | bit;
}

static void table_fill(struct own_symbol *table, unsigned index_bits, const struct own_long_codes *codes,
		       const struct own_symbol *symbols, struct own_symbol otherwise)
{
	unsigned code = 0, at = 0;
	table[0] = otherwise;
	for (unsigned bits = 1; bits <= index_bits; bits++) {
		memcpy(table + (1u << (bits - 1)), table, sizeof *table << (bits - 1));
		for (unsigned i = 0; i < codes->counts[bits]; i++) {
			table[code] = symbols[codes->symbols[at++]];
			table[code].code_bits = (uint8_t)bits;
			code = code_after(code, bits);
		}
		/* Codes from here on are longer, or none: what was copied into their places is of no code. */
	}
	for (; code < 1u << index_bits; code = code_after(code, index_bits))
		table[code] = otherwise;
}

static int table_make(struct own_symbol *table, unsigned index_bits, struct own_long_codes *codes,
		      const struct own_symbol *symbols, const uint8_t *lengths, unsigned count)
{
	static const struct own_symbol longer = { .kind = OWN_LONG },
				       bad = { .kind = OWN_BAD, .code_bits = 1 };
	int left = codes_sort(codes, lengths, count);
	/* An incomplete code is good for nothing but a single symbol, or none, and then in one bit: as zlib
	 * has it. */
	if (left < 0 || (left > 0 && left < 1 << (OWN_CODE_BITS_MAX - 1)))
		return -1;
	if (left == 1 << (OWN_CODE_BITS_MAX - 1) && codes->counts[1] != 1)
		return -1;
	table_fill(table, index_bits, codes, symbols, left ? bad : longer);
	return 0;
}

int own_tables_precode(struct own *own)
{
	struct own_long_codes codes;
	if (codes_sort(&codes, own->lengths, OWN_PRECODE_COUNT) != 0)
		return -1;
	table_fill(own->precode, OWN_PRECODE_BITS, &codes, precode_symbols, (struct own_symbol){ 0 });
	return 0;
}

static int tables_make(struct own *own, unsigned litlen_count, unsigned distance_count)
{
	own->is_packed = own->is_fixed = 0;
	own->symbols = 0;
	if (table_make(own->litlen, OWN_LITLEN_BITS, &own->litlen_long, own_litlen_symbols, own->lengths,
		       litlen_count) != 0)
		return -1;
	return table_make(own->distance, OWN_DISTANCE_BITS, &own->distance_long, own_distance_symbols,
			  own->lengths + litlen_count, distance_count);
}

int own_tables_dynamic(struct own *own)
{
	return tables_make(own, own->litlen_count, own->distance_count);
}

void own_tables_fixed(struct own *own)
{
	own->symbols = 0;
	if (own->is_fixed)
		return; /* so that a million empty blocks cost nothing */
	memset(own->lengths, 8, 144);
	memset(own->lengths + 144, 9, 112);
	memset(own->lengths + 256, 7, 24);
	memset(own->lengths + 280, 8, 8);
	memset(own->lengths + OWN_LITLEN_COUNT, 5, OWN_DISTANCE_COUNT);
	tables_make(own, OWN_LITLEN_COUNT, OWN_DISTANCE_COUNT);
	own->is_fixed = 1;
}

/* ---- fast tables */

/* The fields of struct own_entry as one number. */
static uint64_t entry_of(unsigned total_bits, unsigned code_bits, unsigned literal_count, unsigned literal,
			 int next, int negated)
{
	return total_bits | code_bits << 8 | literal_count << 14 | literal << 16 |
	       (uint64_t)(uint16_t)next << 32 | (uint64_t)(uint16_t)negated << 48;
}

static uint64_t litlen_entry(struct own_symbol symbol)
{
	switch (symbol.kind) {
	case OWN_LITERAL:
		return entry_of(symbol.code_bits, symbol.code_bits, 1, symbol.value, 0, OWN_NEGATED_LITERAL);
	case OWN_BASE:
		return entry_of((unsigned)symbol.code_bits + symbol.extra_bits, symbol.code_bits, 0, 0,
				OWN_TO_DISTANCE, OWN_NEGATED_LENGTH(symbol.value));
	default:
		return entry_of(0, 0, 0, 0, 0, OWN_NEGATED_EXCEPTION_LITLEN);
	}
}

static uint64_t distance_entry(struct own_symbol symbol)
{
	if (symbol.kind == OWN_BASE)
		return entry_of((unsigned)symbol.code_bits + symbol.extra_bits, symbol.code_bits, 0, 0, 0,
				-symbol.value);
	return entry_of(0, 0, 0, 0, OWN_TO_DISTANCE, OWN_NEGATED_EXCEPTION_DISTANCE);
}

/* A literal takes what follows it, another literal or a length, into its entry when both codes fit in the
 * index. From the highest index down: what follows has a lower one, and is still by itself. */
static void entries_join(const struct own_symbol *symbols, uint8_t *entries)
{
	for (unsigned i = (1 << OWN_LITLEN_BITS) - 1; i; i--) {
		unsigned bits = symbols[i].code_bits;
		if (symbols[i].kind != OWN_LITERAL)
			continue;
		struct own_symbol follower = symbols[i >> bits];
		if (bits + follower.code_bits > OWN_LITLEN_BITS ||
		    (follower.kind != OWN_LITERAL && follower.kind != OWN_BASE))
			continue;
		uint64_t entry;
		memcpy(&entry, entries + 8 * (size_t)(i >> bits), sizeof entry);
		uint64_t second = entry >> 16 & 255;
		entry += bits | bits << 8 | 1 << 14;
		entry = (entry & ~UINT64_C(0xffff0000)) | (uint64_t)symbols[i].value << 16 | second << 24;
		memcpy(entries + 8 * (size_t)i, &entry, sizeof entry);
	}
}

void own_tables_pack(struct own *own)
{
	_Static_assert(sizeof(struct own_entry) == 8, "entries are written as numbers");
	uint8_t *litlen = own->fast + OWN_LITLEN_AT, *distance = own->fast + OWN_DISTANCE_AT;
	for (size_t i = 0; i < 1 << OWN_LITLEN_BITS; i++) {
		uint64_t entry = litlen_entry(own->litlen[i]);
		memcpy(litlen + 8 * i, &entry, sizeof entry);
	}
	for (size_t i = 0; i < 1 << OWN_DISTANCE_BITS; i++) {
		uint64_t entry = distance_entry(own->distance[i]);
		memcpy(distance + 8 * i, &entry, sizeof entry);
	}
	entries_join(own->litlen, litlen);
	own->is_packed = 1;
}
