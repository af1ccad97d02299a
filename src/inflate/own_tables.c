/* SPDX-License-Identifier: Apache-2.0
 *
 * Code lengths -> tables (RFC 1951, section 3.2.2). Codes are handed out in the order of their numbers,
 * shortest first; since deflate writes a code's first bit first, a table is indexed by codes read backwards.
 * It starts with one entry and is doubled for each bit of length, which repeats the shorter codes for every
 * continuation of them.
 */
#include "inflate/own.h"

#define LITERAL(n) (OWN_ENTRY_FIELDS(0, (n), 0, 0, OWN_NEGATED_LITERAL) | OWN_ENTRY_LITERAL_COUNT)
#define LITERALS_4(n) LITERAL(n), LITERAL((n) + 1), LITERAL((n) + 2), LITERAL((n) + 3)
#define LITERALS_16(n) LITERALS_4(n), LITERALS_4((n) + 4), LITERALS_4((n) + 8), LITERALS_4((n) + 12)
#define LITERALS_64(n) LITERALS_16(n), LITERALS_16((n) + 16), LITERALS_16((n) + 32), LITERALS_16((n) + 48)
#define LENGTH(extra, base) OWN_ENTRY_FIELDS(extra, 0, 0, OWN_TO_DISTANCE, OWN_NEGATED_LENGTH(base))
#define LENGTHS_4(extra, base, step)                                                                         \
	LENGTH(extra, base), LENGTH(extra, (base) + (step)), LENGTH(extra, (base) + 2 * (step)),             \
		LENGTH(extra, (base) + 3 * (step))
#define DISTANCE(extra, base) OWN_ENTRY_FIELDS(extra, 0, 0, 0, -(base))
#define DISTANCES_2(extra, base, step) DISTANCE(extra, base), DISTANCE(extra, (base) + (step))
#define LITLEN_EXCEPTION(kind) OWN_ENTRY_FIELDS(0, kind, 0, 0, OWN_NEGATED_EXCEPTION_LITLEN)
#define DISTANCE_EXCEPTION(kind) OWN_ENTRY_FIELDS(0, kind, 0, OWN_TO_DISTANCE, OWN_NEGATED_EXCEPTION_DISTANCE)

const own_entry own_litlen_entries[OWN_LITLEN_COUNT] = {
	LITERALS_64(0),	     LITERALS_64(64),		LITERALS_64(128),
	LITERALS_64(192),    LITLEN_EXCEPTION(OWN_END), LENGTHS_4(0, 3, 1),
	LENGTHS_4(0, 7, 1),  LENGTHS_4(1, 11, 2),	LENGTHS_4(2, 19, 4),
	LENGTHS_4(3, 35, 8), LENGTHS_4(4, 67, 16),	LENGTHS_4(5, 131, 32),
	LENGTH(0, 258),	     LITLEN_EXCEPTION(OWN_BAD), LITLEN_EXCEPTION(OWN_BAD),
};

const own_entry own_distance_entries[OWN_DISTANCE_COUNT] = {
	DISTANCES_2(0, 1, 1),	     DISTANCES_2(0, 3, 1),	  DISTANCES_2(1, 5, 2),
	DISTANCES_2(2, 9, 4),	     DISTANCES_2(3, 17, 8),	  DISTANCES_2(4, 33, 16),
	DISTANCES_2(5, 65, 32),	     DISTANCES_2(6, 129, 64),	  DISTANCES_2(7, 257, 128),
	DISTANCES_2(8, 513, 256),    DISTANCES_2(9, 1025, 512),	  DISTANCES_2(10, 2049, 1024),
	DISTANCES_2(11, 4097, 2048), DISTANCES_2(12, 8193, 4096), DISTANCES_2(13, 16385, 8192),
	DISTANCE_EXCEPTION(OWN_BAD), DISTANCE_EXCEPTION(OWN_BAD),
};

/* The code's bits are consumed with the entry, or, of an exception, noted. */
own_entry own_entry_with_code(own_entry entry, unsigned code_bits)
{
	return entry + (own_is_exception(entry) ? (own_entry)code_bits << 24 : OWN_ENTRY_CODE(code_bits));
}

/* How many lengths there are of each kind. Four counts take turns, since the same number in memory cannot be
 * added to twice within five cycles. */
static void lengths_count(uint16_t counts[OWN_CODE_BITS_MAX + 1], const uint8_t *lengths, unsigned count)
{
	uint16_t parts[4][OWN_CODE_BITS_MAX + 1] = { 0 };
	unsigned i = 0;
	for (; i + 4 <= count; i += 4)
		for (unsigned k = 0; k < 4; k++)
			parts[k][lengths[i + k]]++;
	for (; i < count; i++)
		parts[0][lengths[i]]++;
	for (unsigned bits = 0; bits <= OWN_CODE_BITS_MAX; bits++)
		counts[bits] = (uint16_t)(parts[0][bits] + parts[1][bits] + parts[2][bits] + parts[3][bits]);
}

/* Each symbol to where `next` has the place for its length. Those without a code go behind the others: to
 * leave each out would be a branch that nobody foresees, but eight in a row, bytes above ASCII say, are. */
static void symbols_place(uint16_t *symbols, uint16_t next[OWN_CODE_BITS_MAX + 1], const uint8_t *lengths,
			  unsigned count)
{
	unsigned i = 0;
	for (; i + 8 <= count; i += 8) {
		uint64_t eight;
		memcpy(&eight, lengths + i, sizeof eight);
		if (eight)
			for (unsigned k = 0; k < 8; k++)
				symbols[next[lengths[i + k]]++] = (uint16_t)(i + k);
	}
	for (; i < count; i++)
		symbols[next[lengths[i]]++] = (uint16_t)i;
}

/* Sorts the symbols by code length. Returns -1 when there are more codes than fit, else what is left of the
 * space of codes, in units of 15-bit codes. */
static int codes_sort(struct own_codes *codes, const uint8_t *lengths, unsigned count)
{
	uint16_t next[OWN_CODE_BITS_MAX + 1];
	unsigned first = 0, at = 0;
	lengths_count(codes->counts, lengths, count);
	unsigned unused = codes->counts[0];
	codes->counts[0] = 0;
	for (unsigned bits = 1; bits <= OWN_CODE_BITS_MAX; bits++) {
		first *= 2;
		codes->first[bits] = (uint16_t)first;
		codes->at[bits] = next[bits] = (uint16_t)at;
		first += codes->counts[bits];
		at += codes->counts[bits];
		if (first > 1u << bits)
			return -1;
	}
	next[0] = (uint16_t)(count - unused);
	symbols_place(codes->symbols, next, lengths, count);
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

static void table_fill(own_entry *table, unsigned index_bits, const struct own_codes *codes,
		       const own_entry *entries, own_entry otherwise)
{
	unsigned code = 0, at = 0;
	table[0] = otherwise;
	for (unsigned bits = 1; bits <= index_bits; bits++) {
		memcpy(table + (1u << (bits - 1)), table, sizeof *table << (bits - 1));
		for (unsigned i = 0; i < codes->counts[bits]; i++) {
			table[code] = own_entry_with_code(entries[codes->symbols[at++]], bits);
			code = code_after(code, bits);
		}
	}
	/* Places of codes that are longer, or of none, are copies of the first entry. */
}

/* `exception` is that of the table's kind, of no special kind. */
static int table_make(own_entry *table, unsigned index_bits, struct own_codes *codes,
		      const own_entry *entries, own_entry exception, const uint8_t *lengths, unsigned count)
{
	const int whole = 1 << OWN_CODE_BITS_MAX;
	int left = codes_sort(codes, lengths, count);
	/* As zlib has it: an incomplete code is good for no symbol at all, or for one, which then has one
	 * bit. */
	if (left != 0 && left != whole && !(left == whole / 2 && codes->counts[1] == 1))
		return -1;
	table_fill(table, index_bits, codes, entries,
		   exception | (left ? OWN_ENTRY_FIELDS(0, OWN_BAD, 1, 0, 0)
				     : OWN_ENTRY_FIELDS(0, OWN_LONG, 0, 0, 0)));
	return 0;
}

int own_tables_precode(struct own *own)
{
	static const own_entry entries[OWN_PRECODE_COUNT] = { LITERALS_16(0), LITERAL(16), LITERAL(17),
							      LITERAL(18) };
	struct own_codes codes;
	if (codes_sort(&codes, own->lengths, OWN_PRECODE_COUNT) != 0)
		return -1;
	table_fill(own->precode, OWN_PRECODE_BITS, &codes, entries, 0);
	return 0;
}

static int tables_make(struct own *own, unsigned litlen_count, unsigned distance_count)
{
	own->is_joined = own->is_fixed = 0;
	own->symbols = 0;
	if (table_make(own->litlen, OWN_LITLEN_BITS, &own->litlen_codes, own_litlen_entries,
		       LITLEN_EXCEPTION(0), own->lengths, litlen_count) != 0)
		return -1;
	return table_make(own->distance, OWN_DISTANCE_BITS, &own->distance_codes, own_distance_entries,
			  DISTANCE_EXCEPTION(0), own->lengths + litlen_count, distance_count);
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

/* ---- joined symbols */

/* What is behind a literal with a code of `bits` bits, for all indexes that begin with that code: another
 * literal or a length, when its code still fits in the index, else nothing. The literal itself is to be
 * added. */
static void followers_make(own_entry *followers, const own_entry *litlen, unsigned bits)
{
	for (unsigned i = 0; i < 1u << (OWN_LITLEN_BITS - bits); i++) {
		own_entry entry = litlen[i];
		own_entry literal = entry >> 16 & 255;
		own_entry joined = entry + OWN_ENTRY_CODE(bits) + OWN_ENTRY_LITERAL_COUNT - (literal << 16) +
				   (literal << 24);
		int fits = own_is_exception(entry) ? 0 : own_code_bits(entry) + bits <= OWN_LITLEN_BITS;
		followers[i] = fits ? joined : LITERAL(0) + OWN_ENTRY_CODE(bits);
	}
}

/* Literals of one length differ by nothing but themselves. */
static void litlen_join(own_entry *joined, const own_entry *litlen, const struct own_codes *codes)
{
	own_entry followers[1 << OWN_LITLEN_BITS];
	unsigned code = 0, at = 0;
	memcpy(joined, litlen, sizeof followers);
	for (unsigned bits = 1; bits < OWN_LITLEN_BITS; bits++) {
		if (!codes->counts[bits])
			continue;
		followers_make(followers, litlen, bits);
		for (unsigned end = at + codes->counts[bits]; at < end; at++, code = code_after(code, bits)) {
			own_entry literal = codes->symbols[at];
			if (literal > 255)
				continue;
			for (unsigned i = 0; i < 1u << (OWN_LITLEN_BITS - bits); i++)
				joined[code | i << bits] = followers[i] + (literal << 16);
		}
	}
}

void own_tables_join(struct own *own)
{
	litlen_join((own_entry *)(void *)(own->tables + OWN_LITLEN_AT), own->litlen, &own->litlen_codes);
	memcpy(own->tables + OWN_DISTANCE_AT, own->distance, sizeof own->distance);
	own->is_joined = 1;
}
