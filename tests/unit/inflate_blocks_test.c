/* SPDX-License-Identifier: Apache-2.0
 *
 * inflate: what is legal in blocks, of every kind and in every place (RFC 1951 3.2.3 to 3.2.7): matches,
 * codes, and blocks one behind the other. At the beginning of a stream and far inside it, since a decoder may
 * work another way there.
 */
#include "unit/inflate_writer.h"

static struct peer peer;
static struct writer writer;
static struct bytes gzip;

static void fresh(void)
{
	peer_fresh(&peer);
	writer_reset(&writer);
	writer_clear_lengths(&writer);
	gzip.count = 0;
}

static void check_good(const struct peer_reference *reference)
{
	peer_check_end(&peer, FAULT_NONE, reference, writer.plain.base, writer.plain.count);
}

/* For streams that are too long to be cut at every byte: whole, cut at every `stride` bytes, and at random.
 */
static void expect_good_long(size_t stride, uint64_t *seed)
{
	writer_wrap(&writer, &gzip);
	struct peer_reference reference = peer_reference_of(&gzip);
	peer_check_reference(&reference, FAULT_NONE);
	for (size_t split = stride; split < gzip.count; split += stride) {
		peer_run_split(&peer, &gzip, split, PEER_PIECE_BYTES_MAX);
		check_good(&reference);
	}
	for (size_t room = 4; room < PEER_ROOM_COUNT; room += 1 + peer_random(seed) % 3) {
		peer_run(&peer, &gzip, 1 + peer_random(seed) % 2000, peer_rooms[room], NULL);
		check_good(&reference);
	}
	peer_run(&peer, &gzip, 200, 4000, seed);
	check_good(&reference);
	for (int i = 0; i < 2; i++) {
		peer_run_window(&peer, &gzip, 1 + peer_random(seed) % 3000,
				INFLATE_ROOM_BYTES + peer_random(seed) % 2000, peer_random(seed) % 2000);
		check_good(&reference);
	}
	bytes_free(&reference.plain);
}

/* A code in which everything has a place, and literals are short as in real data: two fit into ten bits. */
static void set_usual_code(void)
{
	uint16_t literals[256], others[30], distances[30];
	for (uint16_t i = 0; i < 256; i++)
		literals[i] = i;
	for (uint16_t i = 0; i < 30; i++) {
		others[i] = (uint16_t)(256 + i);
		distances[i] = i;
	}
	writer_clear_lengths(&writer);
	writer_even_code(&writer.litlen, literals, 16, 1); /* 5 bits */
	writer_even_code(&writer.litlen, literals + 16, 240, 2);
	writer_even_code(&writer.litlen, others, 30, 2);
	writer_even_code(&writer.distance, distances, 30, 0);
}

/* Copies that overlap what they write, at every length, with none to three literals between them. */
static void every_length_at_distances_up_to_64(void)
{
	uint64_t seed = 51;
	for (unsigned distance = 1; distance <= 64; distance++) {
		fresh();
		writer_begin(&writer, distance % 2 ? WRITER_DEEP : WRITER_BARE);
		if (distance % 4 < 2)
			writer_begin_fixed(&writer, 1);
		else {
			set_usual_code();
			writer_begin_dynamic(&writer, 1);
		}
		for (unsigned i = 0; i < 64; i++)
			writer_literal(&writer, (i * 37 + distance) & 255);
		for (unsigned i = 0; i < 256; i++) {
			unsigned length = 3 + i * 89 % 256;
			writer_match(&writer, length, distance);
			if (length == WRITER_LENGTH_MAX)
				writer_match_258_odd(&writer, distance);
			for (unsigned literals = (i / 3 + length + distance) % 4; literals; literals--)
				writer_literal(&writer, i * literals & 15);
		}
		writer_end(&writer);
		size_t stride = distance < 9 || distance % 16 < 2 ? 7 : 61;
		expect_good_long(distance % 2 ? stride * 40 + 1 : stride, &seed);
	}
}

static unsigned longest_match_distance(unsigned kind, unsigned i)
{
	return kind == 0 ? 1 + i % 3 : kind == 1 ? 1 + i : WRITER_LENGTH_MAX + 7 * i;
}

/* Copies of 258 bytes write the farthest past where a decoder last looked how much room there is. With every
 * room of some, the last one ends at every place before the end of it. Overlapping a lot, a bit, and not. */
static void longest_matches_with_any_room(void)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		fresh();
		writer_begin(&writer, WRITER_DEEP);
		writer_begin_fixed(&writer, 0);
		writer_warm(&writer, WRITER_DEEP, 'w');
		for (unsigned i = 0; i < 150; i++)
			(kind == 0 ? writer_match_258_odd(&writer, longest_match_distance(kind, i))
				   : writer_match(&writer, 258, longest_match_distance(kind, i)));
		writer_end(&writer);
		writer_tail(&writer);
		writer_wrap(&writer, &gzip);
		struct peer_reference reference = peer_reference_of(&gzip);
		for (size_t room = 1; room < 2600; room += room < 260 ? 32 : 19) {
			peer_run(&peer, &gzip, PEER_PIECE_BYTES_MAX, room, NULL);
			check_good(&reference);
		}
		for (size_t more = 0; more < 550; more++) {
			peer_run_window(&peer, &gzip, PEER_PIECE_BYTES_MAX, INFLATE_ROOM_BYTES + more,
					more % 7);
			check_good(&reference);
		}
		bytes_free(&reference.plain);
	}
}

/* The farthest a match may reach, while the window moves at any place of it. */
static void farthest_distances_across_window_wraps(void)
{
	static const unsigned lengths[] = { 3, 4, 63, 64, 65, 127, 128, 129, 257, 258 };
	fresh();
	writer_begin(&writer, WRITER_DEEP);
	set_usual_code();
	writer_begin_dynamic(&writer, 0);
	for (unsigned i = 0; i < 60; i++) {
		writer_match(&writer, lengths[i % 10], WRITER_DISTANCE_MAX - (i % 3 ? 0 : i));
		for (unsigned literals = i % 5; literals; literals--)
			writer_literal(&writer, i);
	}
	writer_end(&writer);
	writer_tail(&writer);
	writer_wrap(&writer, &gzip);
	struct peer_reference reference = peer_reference_of(&gzip);
	peer_check_reference(&reference, FAULT_NONE);
	for (size_t more = 0; more < 1000; more += 2) {
		size_t piece = more % 3 ? PEER_PIECE_BYTES_MAX : 100 + more;
		peer_run_window(&peer, &gzip, piece, INFLATE_ROOM_BYTES + more, more % 5 ? 0 : more);
		check_good(&reference);
	}
	for (size_t room = 200; room < 1400; room += 29) {
		peer_run(&peer, &gzip, PEER_PIECE_BYTES_MAX, room, NULL);
		check_good(&reference);
	}
	bytes_free(&reference.plain);
}

/* The first match of a stream that reaches its first byte, however far it is by then. */
static void distances_to_the_first_byte(void)
{
	static const unsigned places[] = { 1,	  2,	 3,	4,     5,     63,    64,    65,	   255,
					   256,	  2047,	 2048,	2049,  4095,  4096,  4097,  8192,  16383,
					   16384, 20000, 32000, 32700, 32703, 32704, 32766, 32767, 32768 };
	uint64_t seed = 53;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		for (unsigned fixed = 0; fixed < 2; fixed++) {
			fresh();
			writer_history(&writer, places[i]);
			if (fixed) {
				writer_begin_fixed(&writer, 0);
			} else {
				set_usual_code();
				writer_begin_dynamic(&writer, 0);
			}
			writer_match(&writer, 3 + (unsigned)peer_random(&seed) % 256, places[i]);
			writer_end(&writer);
			writer_tail(&writer);
			writer_expect(&writer, &peer, FAULT_NONE);
		}
}

/* Symbols that are not used take the short codes, so that each one in use has a code of more bits than a
 * table has that a decoder can afford: 14 and 15 of them, 10 and 11 for distances. */
static void codes_that_are_all_long(void)
{
	uint16_t litlen[280], distances[24];
	for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++) {
		fresh();
		writer_begin(&writer, depth);
		writer_clear_lengths(&writer);
		for (uint16_t i = 0; i < 280; i++)
			litlen[i] = (uint16_t)(6 + i);
		for (uint16_t i = 0; i < 24; i++)
			distances[i] = i;
		for (unsigned i = 0; i < 6; i++)
			writer.litlen.lengths[i] = writer.distance.lengths[24 + i] = (uint8_t)(i + 1);
		writer_even_code(&writer.litlen, litlen, 280, 6);
		writer_even_code(&writer.distance, distances, 24, 6);
		for (unsigned i = 6; i < 286; i++)
			GE(writer.litlen.lengths[i], 14);
		for (unsigned i = 0; i < 24; i++)
			GE(writer.distance.lengths[i], 10);
		writer_begin_dynamic(&writer, 0);
		for (unsigned i = 6; i < 256; i++)
			writer_literal(&writer, i);
		for (unsigned i = 0; i < 90; i++) {
			writer_match(&writer, 3 + i * 29 % 256,
				     1 + i * i % (depth == WRITER_DEEP ? 4096 : 250));
			for (unsigned literals = i % 3; literals; literals--)
				writer_literal(&writer, 6 + i);
		}
		writer_end(&writer);
		writer_tail(&writer);
		writer_expect(&writer, &peer, FAULT_NONE);
	}
}

/* 1, 2, ... 15 and 15 bits: each length of code there is, in both alphabets; short ones for what is frequent,
 * or the other way round. */
static void codes_of_every_length(void)
{
	for (unsigned reversed = 0; reversed < 2; reversed++)
		for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++) {
			fresh();
			writer_begin(&writer, depth);
			static const uint16_t litlen[16] = { 'a', 257, 'b', 285, 'c', 284, 'd', 270,
							     'e', 265, 'f', 'g', 'h', 280, 'i', 256 };
			writer_clear_lengths(&writer);
			for (unsigned i = 0; i < 16; i++) {
				uint8_t bits = (uint8_t)(i == 15 ? 15 : i + 1);
				writer.litlen.lengths[litlen[reversed ? 15 - i : i]] = bits;
				writer.distance.lengths[reversed ? 15 - i : i] = bits;
			}
			writer_begin_dynamic(&writer, 0);
			writer_literals(&writer, 'a', 130);
			for (unsigned i = 0; i < 100; i++) {
				unsigned distance = 1 + (i * 7 & 127);
				writer_literal(&writer, 'a' + i % 9);
				if (i % 3 == 0)
					writer_match(&writer, 3, distance);
				else if (i % 3 == 1)
					writer_match(&writer, i % 2 ? 258 : 11, distance);
				if (i % 5 == 0)
					writer_match_258_odd(&writer, distance);
			}
			writer_end(&writer);
			writer_tail(&writer);
			writer_expect(&writer, &peer, FAULT_NONE);
		}
}

/* Codes so short that many symbols are in one byte: nothing but literals, nothing but matches, and both. */
static void codes_of_one_and_two_bits(void)
{
	for (unsigned kind = 0; kind < 3; kind++)
		for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++) {
			fresh();
			writer_begin(&writer, depth);
			writer_begin_fixed(&writer, 0);
			writer_literals(&writer, 'x', 5);
			writer_end(&writer);
			writer_clear_lengths(&writer);
			writer.litlen.lengths[kind == 1 ? 257 : 'a'] = 1;
			writer.litlen.lengths[kind == 0 ? 'b' : kind == 1 ? 285 : 257] = 2;
			writer.litlen.lengths[WRITER_END] = 2;
			writer.distance.lengths[0] = 1;
			writer.distance.lengths[2] = kind == 1;
			writer_begin_dynamic(&writer, 0);
			for (unsigned i = 0; i < 200; i++)
				if (kind == 0)
					writer_literal(&writer, 'a' + i * i % 7 / 4);
				else if (kind == 1)
					writer_match(&writer, i % 16 ? 3 : 258, i % 3 ? 1 : 3);
				else if (i * i % 5 == 1)
					writer_match(&writer, 3, 1);
				else
					writer_literal(&writer, 'a');
			writer_end(&writer);
			writer_tail(&writer);
			writer_expect(&writer, &peer, FAULT_NONE);
		}
}

static void set_random_codes(uint64_t *seed)
{
	uint16_t litlen[286], distances[30];
	unsigned litlen_count = 0, distance_count = 0;
	unsigned literal_chance = 1 + (unsigned)peer_random(seed) % 16;
	litlen[litlen_count++] = WRITER_END;
	for (uint16_t i = 0; i < 286; i++)
		if (i != WRITER_END && peer_random(seed) % 16 < literal_chance)
			litlen[litlen_count++] = i;
	for (uint16_t i = 0; i < 30; i++)
		if (peer_random(seed) % 3)
			distances[distance_count++] = i;
	/* The end is drawn from the others, so that its code has any length. */
	unsigned other = (unsigned)peer_random(seed) % litlen_count;
	litlen[0] = litlen[other];
	litlen[other] = WRITER_END;
	writer_clear_lengths(&writer);
	writer_random_code(&writer.litlen, litlen, litlen_count, (unsigned)peer_random(seed) % 9, seed);
	if (distance_count)
		writer_random_code(&writer.distance, distances, distance_count,
				   (unsigned)peer_random(seed) % 9, seed);
}

/* A symbol that has a code; or, after some tries, the end. */
static unsigned random_symbol(const struct writer_alphabet *alphabet, unsigned count, unsigned otherwise,
			      uint64_t *seed)
{
	for (int i = 0; i < 100; i++) {
		unsigned symbol = (unsigned)peer_random(seed) % count;
		if (alphabet->lengths[symbol] && symbol != otherwise)
			return symbol;
	}
	return otherwise;
}

static void write_random_match(unsigned litlen_symbol, uint64_t *seed)
{
	static const uint8_t length_bits[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
						 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
	static const uint16_t length_bases[29] = { 3,  4,  5,  6,   7,	 8,   9,   10,	11, 13,
						   15, 17, 19, 23,  27,	 31,  35,  43,	51, 59,
						   67, 83, 99, 115, 131, 163, 195, 227, 258 };
	unsigned symbol = random_symbol(&writer.distance, 30, 31, seed);
	unsigned extra_bits = symbol < 4 ? 0 : symbol / 2 - 1;
	unsigned distance = symbol < 4 ? symbol + 1 : (2 + symbol % 2) * (1u << extra_bits) + 1;
	distance += (unsigned)peer_random(seed) & ((1u << extra_bits) - 1);
	unsigned length = length_bases[litlen_symbol - 257] +
			  ((unsigned)peer_random(seed) & ((1u << length_bits[litlen_symbol - 257]) - 1));
	if (symbol == 31 || distance > writer.plain.count)
		return;
	if (litlen_symbol == 284 && length == WRITER_LENGTH_MAX)
		writer_match_258_odd(&writer, distance);
	else
		writer_match(&writer, length, distance);
}

static void write_random_symbols(unsigned count, uint64_t *seed)
{
	while (count--) {
		unsigned symbol = random_symbol(&writer.litlen, 286, WRITER_END, seed);
		if (symbol == WRITER_END)
			return;
		if (symbol < WRITER_END)
			writer_literal(&writer, symbol);
		else
			write_random_match(symbol, seed);
	}
}

static void write_random_block(unsigned last, uint64_t *seed)
{
	static const unsigned counts_max[] = { 1, 8, 60, 400, 3000 };
	unsigned count = (unsigned)peer_random(seed) % counts_max[peer_random(seed) % 5];
	unsigned type = (unsigned)peer_random(seed) % 8;
	if (type == 0) {
		struct bytes noise = { 0 };
		peer_append_noise(&noise, count, seed);
		writer_stored(&writer, last, noise.base, count);
		bytes_free(&noise);
		return;
	}
	if (type == 1) {
		writer_begin_fixed(&writer, last);
	} else {
		set_random_codes(seed);
		writer_begin_dynamic(&writer, last);
	}
	write_random_symbols(count, seed);
	writer_end(&writer);
}

/* Any code, any symbols, any blocks one behind the other. */
static void random_blocks_with_random_codes(void)
{
	uint64_t seed = 57;
	for (int round = 0; round < 150; round++) {
		fresh();
		if (round % 2)
			writer_begin(&writer, WRITER_DEEP);
		for (uint64_t blocks = peer_random(&seed) % 12; blocks; blocks--)
			write_random_block(0, &seed);
		write_random_block(1, &seed);
		expect_good_long(1 + writer.bits.bytes.count / 6, &seed);
	}
}

/* The end of a block as the last bits of a piece: everything before it comes out, with nothing behind it. */
static void block_ends_with_the_piece(void)
{
	for (unsigned shift = 0; shift < 8; shift++)
		for (enum writer_depth depth = 0; depth < WRITER_DEPTHS; depth++) {
			fresh();
			writer_begin(&writer, depth);
			for (unsigned block = 0; block < 3; block++) {
				writer_begin_fixed(&writer, 0);
				writer_warm(&writer, depth, 'w');
				writer_literals(&writer, 'e', 3);
				while (writer.bits.held_bits != (shift + 1) % 8)
					writer_literal(&writer, 200); /* 9 bits */
				writer_end(&writer);
			}
			/* Seven bits of end of block: the last is the top bit of a byte when the shift is 0.
			 */
			size_t end = writer.bits.bytes.count;
			size_t plain_bytes = writer.plain.count;
			if (shift == 0)
				EQ(writer.bits.held_bits, 0);
			writer_tail(&writer);
			writer_wrap(&writer, &gzip);
			end += shift ? 11 : 10; /* behind the member's header */
			peer_begin(&peer);
			EQ(peer_feed(&peer, gzip.base, end, PEER_PIECE_BYTES_MAX, PEER_PIECE_BYTES_MAX, NULL),
			   1);
			EQ_BYTES(peer.plain.base, peer.plain.count, writer.plain.base, plain_bytes);
			EQ(peer_feed(&peer, gzip.base + end, gzip.count - end, 1, PEER_PIECE_BYTES_MAX, NULL),
			   1);
			EQ(inflate_end(peer.inflate), FAULT_NONE);
			EQ_BYTES(peer.plain.base, peer.plain.count, writer.plain.base, writer.plain.count);
		}
}

/* A server that flushes wants to be heard at once: with the flush's last byte all plain bytes are out. */
static void flushed_bytes_come_out_at_once(void)
{
	static const int flushes[] = { Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_PARTIAL_FLUSH };
	uint64_t seed = 59;
	struct bytes events = { 0 };
	for (size_t i = 0; i < 3; i++)
		for (int level = 1; level <= 9; level += 4) {
			fresh();
			peer_begin(&peer);
			events.count = 0;
			peer_append_events(&events, 60000, &seed);
			peer_append_header(&gzip, &(struct peer_header){ 0 });
			EQ(peer_feed(&peer, gzip.base, gzip.count, 100, 100, NULL), 1);
			z_stream z = { .next_in = events.base };
			if (deflateInit2(&z, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
				abort();
			for (size_t at = 0; at < events.count;) {
				size_t bytes = 1 + peer_random(&seed) % 1500;
				at += bytes < events.count - at ? bytes : events.count - at;
				uint8_t out[8192];
				z.avail_in = (uInt)(events.base + at - z.next_in);
				z.next_out = out;
				z.avail_out = sizeof out;
				EQ(deflate(&z, flushes[i]), Z_OK);
				EQ(peer_feed(&peer, out, sizeof out - z.avail_out, sizeof out,
					     PEER_PIECE_BYTES_MAX, NULL),
				   1);
				EQ_BYTES(peer.plain.base, peer.plain.count, events.base, at);
			}
			deflateEnd(&z);
		}
	bytes_free(&events);
}

/* Headers of dynamic blocks that say how many lengths there are: 257 to 286 and 1 to 30. */
static void every_count_of_codes(void)
{
	for (unsigned litlen_count = 257; litlen_count <= 286; litlen_count++) {
		fresh();
		writer_clear_lengths(&writer);
		unsigned distance_count = litlen_count - 256;
		writer.litlen.lengths['a'] = 1;
		writer.litlen.lengths[WRITER_END] = 2;
		writer.litlen.lengths[litlen_count == 257 ? 'b' : litlen_count - 1] = 2;
		writer.distance.lengths[distance_count - 1] = 1;
		writer_begin_dynamic(&writer, 0);
		writer_literals(&writer, 'a', 40);
		writer_end(&writer);
		writer_tail(&writer);
		writer_expect(&writer, &peer, FAULT_NONE);
	}
}

PEER_MAIN(T(every_length_at_distances_up_to_64), T(longest_matches_with_any_room),
	  T(farthest_distances_across_window_wraps), T(distances_to_the_first_byte),
	  T(codes_that_are_all_long), T(codes_of_every_length), T(codes_of_one_and_two_bits),
	  T(random_blocks_with_random_codes), T(block_ends_with_the_piece), T(flushed_bytes_come_out_at_once),
	  T(every_count_of_codes))
