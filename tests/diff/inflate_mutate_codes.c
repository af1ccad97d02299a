/* SPDX-License-Identifier: Apache-2.0
 *
 * Deflate blocks as no compressor makes them: codes of every shape (one symbol, all of 15 bits, skewed, flat,
 * now and then incomplete or over-subscribed), in headers with repeats drawn at random, symbols drawn without
 * regard to what they cost. Nearly all distances are within what was written before.
 */
#include "inflate_mutate.h"

enum {
	LITLEN_MAX = 288,
	DIST_MAX = 32,
	PRECODE_MAX = 19,
	END_OF_BLOCK = 256,
	BLOCK_SYMBOLS_MAX = 3000,
	CODES_PLAIN_BYTES_MAX = 150000,
};

struct code {
	uint8_t lengths[LITLEN_MAX];
	uint16_t codes[LITLEN_MAX];
	uint16_t used[LITLEN_MAX]; /* symbols that have a code */
	unsigned used_count;
	unsigned count; /* of lengths */
};

struct writer {
	struct bits *bits;
	uint64_t *seed;
	size_t plain_bytes;
	int too_far; /* shortly before all history is there, a distance is to reach behind it */
	struct code litlen;
	struct code dist;
};

static unsigned below(uint64_t *seed, uint64_t limit)
{
	return (unsigned)(peer_random(seed) % limit);
}

/* Canonical codes (RFC 1951 3.2.2). When over-subscribed they are nonsense, which is wanted. */
static void code_assign(struct code *code)
{
	uint32_t next = 0;
	code->used_count = 0;
	for (unsigned length = 1; length <= 15; length++, next <<= 1)
		for (unsigned i = 0; i < code->count; i++)
			if (code->lengths[i] == length)
				code->codes[i] = (uint16_t)next++;
	for (unsigned i = 0; i < code->count; i++)
		if (code->lengths[i])
			code->used[code->used_count++] = (uint16_t)i;
}

/* The lengths of a complete code of `leaves` symbols: leaves of a tree are split until there are enough. */
static unsigned draw_tree(uint8_t *depths, unsigned leaves, unsigned depth_max, uint64_t *seed)
{
	unsigned count = 1, style = below(seed, 4);
	depths[0] = 0;
	while (count < leaves) {
		unsigned at = style == 0 ? count - 1 : style == 1 ? below(seed, count) : 0;
		if (style == 2) /* flat */
			for (unsigned i = 0; i < count; i++)
				at = depths[i] < depths[at] ? i : at;
		if (style == 3) /* in between */
			at = below(seed, 2) ? count - 1 : below(seed, count);
		for (unsigned tries = 0; depths[at] == depth_max; tries++)
			if ((at = (at + 1) % count, tries) > count)
				return count;
		depths[count++] = ++depths[at];
	}
	if (count == 1)
		depths[0] = 1; /* one code of one bit: incomplete, and allowed for distances */
	return count;
}

static void spoil(struct code *code, unsigned depth_max, uint64_t *seed)
{
	unsigned symbol = below(seed, code->count);
	switch (below(seed, 3)) {
	case 0:
		code->lengths[symbol] = 0;
		return;
	case 1:
		code->lengths[symbol] = (uint8_t)(1 + below(seed, depth_max));
		return;
	default:
		if (code->lengths[symbol] > 1)
			code->lengths[symbol]--;
	}
}

/* Symbols of `must` get a code; the others of the alphabet are drawn. */
static void draw_code(struct code *code, unsigned count, const uint8_t *must, unsigned depth_max,
		      uint64_t *seed)
{
	uint8_t depths[LITLEN_MAX];
	unsigned wanted = 0, chosen_count = 0, share = 1 + below(seed, 100);
	uint16_t chosen[LITLEN_MAX];
	memset(code, 0, sizeof *code);
	code->count = count;
	for (unsigned i = 0; i < count; i++)
		wanted += must && must[i];
	for (unsigned i = 0; i < count; i++)
		if ((must && must[i]) || (wanted < 1u << depth_max && below(seed, 100) < share)) {
			chosen[chosen_count++] = (uint16_t)i;
			wanted += !(must && must[i]);
		}
	if (chosen_count == 0)
		chosen[chosen_count++] = (uint16_t)below(seed, count);
	unsigned leaves = draw_tree(depths, chosen_count, depth_max, seed);
	for (unsigned i = leaves; i > 1; i--) {
		unsigned other = below(seed, i);
		uint8_t depth = depths[i - 1];
		depths[i - 1] = depths[other];
		depths[other] = depth;
	}
	for (unsigned i = 0; i < leaves; i++)
		code->lengths[chosen[i]] = depths[i];
	if (below(seed, 40) == 0)
		spoil(code, depth_max, seed);
	code_assign(code);
}

static void write_symbol(struct writer *writer, const struct code *code, unsigned symbol)
{
	bits_append_code(writer->bits, code->codes[symbol], code->lengths[symbol]);
}

/* One code length, or a repeat, as a symbol of the precode; a repeat's extra bits are in bits 8 and up. */
static unsigned draw_repeat(const uint8_t *lengths, unsigned count, unsigned at, unsigned *ret_run,
			    uint64_t *seed)
{
	unsigned same = 0;
	while (at + same < count && lengths[at + same] == lengths[at])
		same++;
	*ret_run = 1;
	if (same < 3 || below(seed, 5) == 0)
		return lengths[at];
	if (lengths[at]) {
		if (at == 0 || lengths[at - 1] != lengths[at])
			return lengths[at];
		*ret_run = 3 + below(seed, (same < 6 ? same : 6) - 2);
		return 16 | (*ret_run - 3) << 8;
	}
	if (same < 11 || below(seed, 3) == 0) {
		*ret_run = 3 + below(seed, (same < 10 ? same : 10) - 2);
		return 17 | (*ret_run - 3) << 8;
	}
	*ret_run = (same < 138 ? same : 138) - (same > 11 ? below(seed, 2) : 0);
	return 18 | (*ret_run - 11) << 8;
}

static void write_dynamic_header(struct writer *writer)
{
	static const uint8_t order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
	static const uint8_t extra_bits[] = { [16] = 2, [17] = 3, [18] = 7 };
	uint8_t lengths[LITLEN_MAX + DIST_MAX], must[PRECODE_MAX] = { 0 };
	unsigned symbols[LITLEN_MAX + DIST_MAX], symbol_count = 0, sent = PRECODE_MAX;
	unsigned count = writer->litlen.count + writer->dist.count;
	struct code precode;
	memcpy(lengths, writer->litlen.lengths, writer->litlen.count);
	memcpy(lengths + writer->litlen.count, writer->dist.lengths, writer->dist.count);
	for (unsigned at = 0, run; at < count; at += run) {
		symbols[symbol_count] = draw_repeat(lengths, count, at, &run, writer->seed);
		must[symbols[symbol_count++] & 255] = 1;
	}
	draw_code(&precode, PRECODE_MAX, must, 7, writer->seed);
	while (sent > 4 && precode.lengths[order[sent - 1]] == 0)
		sent--;
	bits_append(writer->bits, writer->litlen.count - 257, 5);
	bits_append(writer->bits, writer->dist.count - 1, 5);
	bits_append(writer->bits, sent - 4, 4);
	for (unsigned i = 0; i < sent; i++)
		bits_append(writer->bits, precode.lengths[order[i]], 3);
	for (unsigned i = 0; i < symbol_count; i++) {
		unsigned symbol = symbols[i] & 255;
		write_symbol(writer, &precode, symbol);
		if (symbol >= 16)
			bits_append(writer->bits, symbols[i] >> 8, extra_bits[symbol]);
	}
}

/* Extra bits of length symbols from 257 on, and of distance symbols (RFC 1951 3.2.5). */
static unsigned length_extra_bits(unsigned index)
{
	return index < 8 || index >= 28 ? 0 : index / 4 - 1;
}

static unsigned dist_extra_bits(unsigned symbol)
{
	return symbol < 4 ? 0 : symbol / 2 - 1;
}

static size_t dist_base(unsigned symbol)
{
	return symbol < 4 ? symbol + 1u : ((2u + (symbol & 1)) << (symbol / 2 - 1)) + 1u;
}

static size_t length_base(unsigned index)
{
	return index < 8 ? index + 3u : index == 28 ? 258u : ((4u + index % 4) << (index / 4 - 1)) + 3u;
}

/* A distance that has a code: within what is there, or now and then anything; often as far as it can be.
 * Returns its symbol; the distance is 0 when none was found. */
static unsigned draw_distance(struct writer *writer, size_t *ret_distance)
{
	size_t farthest = writer->plain_bytes < 32768 ? writer->plain_bytes : 32768;
	if (writer->too_far && farthest > 32768 - 250 && farthest < 32768 && writer->dist.lengths[29] &&
	    below(writer->seed, 4) == 0) {
		writer->too_far = 0;
		*ret_distance = farthest + 1 + below(writer->seed, 32768 - farthest);
		return 29;
	}
	for (int tries = 0; tries < 20; tries++) {
		unsigned symbol = writer->dist.used[below(writer->seed, writer->dist.used_count)];
		size_t base = dist_base(symbol), past = base + (UINT64_C(1) << dist_extra_bits(symbol));
		*ret_distance = base + below(writer->seed, past - base);
		if (base <= farthest && farthest < past && below(writer->seed, 4) == 0)
			*ret_distance = farthest;
		if (*ret_distance <= farthest || below(writer->seed, 40000) == 0)
			return symbol;
	}
	*ret_distance = 0;
	return 0;
}

static void write_match(struct writer *writer, unsigned index)
{
	unsigned extra_bits = length_extra_bits(index),
		 extra = below(writer->seed, UINT64_C(1) << extra_bits);
	size_t distance;
	unsigned symbol = draw_distance(writer, &distance);
	if (!distance)
		return;
	write_symbol(writer, &writer->litlen, 257 + index);
	bits_append(writer->bits, extra, extra_bits);
	write_symbol(writer, &writer->dist, symbol);
	bits_append(writer->bits, (uint32_t)(distance - dist_base(symbol)), dist_extra_bits(symbol));
	writer->plain_bytes += length_base(index) + extra;
}

static void write_symbols(struct writer *writer)
{
	unsigned count = below(writer->seed, 1 + below(writer->seed, BLOCK_SYMBOLS_MAX));
	/* How many of a hundred are tried again if they are matches; a third of them: none. */
	unsigned literals = below(writer->seed, 3) ? below(writer->seed, 101) : 0;
	for (; count && writer->plain_bytes < CODES_PLAIN_BYTES_MAX; count--) {
		unsigned symbol = writer->litlen.used[below(writer->seed, writer->litlen.used_count)];
		if (symbol > END_OF_BLOCK && below(writer->seed, 100) < literals)
			symbol = writer->litlen.used[below(writer->seed, writer->litlen.used_count)];
		if (symbol == END_OF_BLOCK)
			continue;
		if (symbol < END_OF_BLOCK) {
			write_symbol(writer, &writer->litlen, symbol);
			writer->plain_bytes++;
		} else if (symbol < 286 && writer->dist.used_count) {
			write_match(writer, symbol - 257);
		} else if (below(writer->seed, 300) == 0) { /* means nothing */
			write_symbol(writer, &writer->litlen, symbol);
		}
	}
	write_symbol(writer, &writer->litlen, END_OF_BLOCK);
}

static void write_dynamic(struct writer *writer)
{
	uint8_t must[LITLEN_MAX] = { [END_OF_BLOCK] = below(writer->seed, 60) != 0 };
	static const uint8_t must_far[DIST_MAX] = { [29] = 1 };
	unsigned litlen_count = 257 + below(writer->seed, 30), dist_count = 1 + below(writer->seed, 30);
	if (below(writer->seed, 60) == 0)
		litlen_count = 287 + below(writer->seed, 2);
	if (below(writer->seed, 60) == 0)
		dist_count = 31 + below(writer->seed, 2);
	draw_code(&writer->litlen, litlen_count, must, 15, writer->seed);
	if (writer->too_far)
		dist_count = 30;
	draw_code(&writer->dist, dist_count, writer->too_far ? must_far : NULL, 15, writer->seed);
	if (below(writer->seed, 8) == 0) { /* a code without symbols: there are no matches */
		memset(writer->dist.lengths, 0, sizeof writer->dist.lengths);
		code_assign(&writer->dist);
	}
	write_dynamic_header(writer);
	write_symbols(writer);
}

/* The codes of RFC 1951 3.2.6. */
static void write_fixed(struct writer *writer)
{
	writer->litlen.count = LITLEN_MAX;
	writer->dist.count = DIST_MAX;
	for (unsigned i = 0; i < LITLEN_MAX; i++)
		writer->litlen.lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	memset(writer->dist.lengths, 5, DIST_MAX);
	code_assign(&writer->litlen);
	code_assign(&writer->dist);
	if (below(writer->seed, 40)) /* 30 and 31 mean nothing */
		writer->dist.used_count = 30;
	write_symbols(writer);
}

static void write_stored(struct writer *writer, unsigned last)
{
	struct bytes plain = { 0 };
	bytes_reserve(&plain, 1);
	plain_append(&plain, PLAIN_NOISE, below(writer->seed, 1 + below(writer->seed, 2000)), writer->seed);
	bits_append_stored(writer->bits, last, plain.base, (uint32_t)plain.count);
	writer->plain_bytes += plain.count;
	bytes_free(&plain);
}

void base_append_codes(struct bits *bits, size_t warm_bytes, uint64_t *seed)
{
	struct writer writer = {
		.bits = bits, .seed = seed, .plain_bytes = warm_bytes, .too_far = below(seed, 4) == 0
	};
	for (unsigned blocks = 1 + below(seed, 6); blocks; blocks--) {
		static const uint8_t types[] = { 0, 1, 2, 2, 2, 2 };
		unsigned type = types[below(seed, 6)], last = blocks == 1;
		if (type == 0) {
			write_stored(&writer, last);
			continue;
		}
		bits_append(bits, last, 1);
		bits_append(bits, type, 2);
		if (type == 1)
			write_fixed(&writer);
		else
			write_dynamic(&writer);
	}
}
