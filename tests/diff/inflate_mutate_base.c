/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams to be damaged, from every compressor at hand with every setting that changes what they write.
 */
#include "inflate_mutate.h"

#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

static uint64_t below(uint64_t *seed, uint64_t limit)
{
	return peer_random(seed) % limit;
}

const char *base_kind_name(enum base_kind kind)
{
	static const char *const names[BASE_KINDS] = {
		"small", "window", "late", "large", "codes", "members"
	};
	return names[kind];
}

/* Every strategy, memory level (which bounds a block's symbols) and window; at times with flushes of all
 * kinds, and with another level from there on. */
void base_append_zlib(struct bytes *deflated, const uint8_t *dictionary, size_t dictionary_bytes,
		      const uint8_t *plain, size_t count, uint64_t *seed)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY,
					  Z_DEFAULT_STRATEGY,
					  Z_DEFAULT_STRATEGY,
					  Z_FILTERED,
					  Z_HUFFMAN_ONLY,
					  Z_RLE,
					  Z_FIXED };
	static const int flushes[] = { Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_BLOCK };
	z_stream stream = { 0 };
	int window_bits = dictionary_bytes ? 15 : 9 + (int)below(seed, 7);
	if (deflateInit2(&stream, (int)below(seed, 10), Z_DEFLATED, -window_bits, 1 + (int)below(seed, 9),
			 strategies[below(seed, 7)]) != Z_OK)
		abort();
	if (dictionary_bytes && deflateSetDictionary(&stream, dictionary, (uInt)dictionary_bytes) != Z_OK)
		abort();
	size_t step = below(seed, 3) ? count + 1 : 1 + below(seed, count / 2 + 200);
	stream.next_in = plain;
	for (; count > step; count -= step) {
		stream.avail_in = (uInt)step;
		peer_append_piece(deflated, &stream, flushes[below(seed, 5)]);
		if (below(seed, 3) == 0) {
			bytes_reserve(deflated, 100000);
			stream.next_out = deflated->base + deflated->count;
			stream.avail_out = (uInt)(deflated->capacity - deflated->count);
			deflateParams(&stream, (int)below(seed, 10), strategies[below(seed, 7)]);
			deflated->count = (size_t)(stream.next_out - deflated->base);
		}
	}
	stream.avail_in = (uInt)count;
	peer_append_piece(deflated, &stream, Z_FINISH);
	deflateEnd(&stream);
}

static void append_libdeflate(struct bytes *deflated, const struct bytes *plain, uint64_t *seed)
{
	struct libdeflate_compressor *compressor = libdeflate_alloc_compressor((int)below(seed, 13));
	if (!compressor)
		abort();
	size_t bound = libdeflate_deflate_compress_bound(compressor, plain->count);
	bytes_reserve(deflated, bound);
	deflated->count += libdeflate_deflate_compress(compressor, plain->base, plain->count,
						       deflated->base + deflated->count, bound);
	libdeflate_free_compressor(compressor);
}

static void append_isal(struct bytes *deflated, const struct bytes *plain, uint64_t *seed)
{
	static const uint32_t level_bytes[] = { ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT,
						ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT };
	static const uint16_t flushes[] = { NO_FLUSH, SYNC_FLUSH, FULL_FLUSH };
	struct isal_zstream *stream = malloc(sizeof *stream);
	isal_deflate_init(stream);
	stream->level = (uint32_t)below(seed, 4);
	stream->level_buf_size = level_bytes[stream->level];
	stream->level_buf = malloc(stream->level_buf_size + 1);
	stream->flush = flushes[below(seed, 3)];
	stream->gzip_flag = IGZIP_DEFLATE;
	stream->end_of_stream = 1;
	stream->next_in = plain->base;
	stream->avail_in = (uint32_t)plain->count;
	while (stream->internal_state.state != ZSTATE_END) {
		bytes_reserve(deflated, 65536);
		stream->next_out = deflated->base + deflated->count;
		stream->avail_out = 65536;
		if (isal_deflate(stream) != COMP_OK)
			abort();
		deflated->count = (size_t)(stream->next_out - deflated->base);
	}
	free(stream->level_buf);
	free(stream);
}

void base_append_compressed(struct bytes *deflated, const struct bytes *plain, uint64_t *seed)
{
	switch (below(seed, 4)) {
	case 0:
		append_libdeflate(deflated, plain, seed);
		return;
	case 1:
		append_isal(deflated, plain, seed);
		return;
	default:
		base_append_zlib(deflated, NULL, 0, plain->base, plain->count, seed);
	}
}

static void append_compressed_member(struct base *base, const struct peer_header *header, size_t count,
				     uint64_t *seed)
{
	struct bytes plain = { 0 };
	bytes_reserve(&plain, 1);
	plain_append(&plain, (enum plain_kind)below(seed, PLAIN_KINDS), count, seed);
	peer_append_header(&base->gzip, header);
	base_append_compressed(&base->gzip, &plain, seed);
	peer_append_trailer(&base->gzip, plain.base, plain.count);
	bytes_free(&plain);
}

/* Stored blocks, which cost least, or compressed ones that end at a whole byte. Not the last of the stream.
 */
static void append_warm(struct bytes *gzip, const struct bytes *plain, uint64_t *seed)
{
	struct bits bits = { .bytes = *gzip };
	z_stream stream = { 0 };
	if (below(seed, 2)) {
		for (size_t at = 0, piece; at < plain->count; at += piece) {
			piece = 1 + below(seed, 65535);
			if (piece > plain->count - at)
				piece = plain->count - at;
			bits_append_stored(&bits, 0, plain->base + at, (uint32_t)piece);
		}
		*gzip = bits.bytes;
		return;
	}
	if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	stream.next_in = plain->base;
	stream.avail_in = (uInt)plain->count;
	peer_append_piece(gzip, &stream, Z_SYNC_FLUSH);
	deflateEnd(&stream);
}

/* Just enough for all history, or a little less. */
static void make_warm(struct base *base, struct bytes *plain, uint64_t *seed)
{
	static const enum plain_kind cheap[] = { PLAIN_RUNS, PLAIN_RUNS, PLAIN_EVENTS, PLAIN_COPIES };
	size_t count = INFLATE_HISTORY_BYTES - 300 + below(seed, below(seed, 2) ? 300 : 1500);
	plain_append(plain, cheap[below(seed, 4)], count, seed);
	peer_append_header(&base->gzip, &(struct peer_header){ 0 });
	append_warm(&base->gzip, plain, seed);
	base->warm_bytes = base->gzip.count;
}

static void make_late(struct base *base, uint64_t *seed)
{
	struct bytes plain = { 0 };
	make_warm(base, &plain, seed);
	size_t warm_plain_bytes = plain.count, count = 200 + below(seed, below(seed, 4) ? 5000 : 20000);
	size_t dictionary_bytes = plain.count < INFLATE_HISTORY_BYTES ? plain.count : INFLATE_HISTORY_BYTES;
	enum plain_kind kind = (enum plain_kind)below(seed, PLAIN_KINDS);
	if (kind == PLAIN_COPIES) {
		for (size_t end = plain.count + count; plain.count < end;)
			plain_append_copy(&plain, seed);
		count = plain.count - warm_plain_bytes;
	} else {
		plain_append(&plain, kind, count, seed);
	}
	base_append_zlib(&base->gzip, plain.base + warm_plain_bytes - dictionary_bytes, dictionary_bytes,
			 plain.base + warm_plain_bytes, count, seed);
	peer_append_trailer(&base->gzip, plain.base, plain.count);
	bytes_free(&plain);
}

/* Half of them behind enough for all history. The trailer is mended when the references have decoded it. */
static void make_codes(struct base *base, uint64_t *seed)
{
	struct bytes plain = { 0 };
	struct bits bits = { 0 };
	if (below(seed, 2))
		make_warm(base, &plain, seed);
	else
		peer_append_header(&base->gzip, &(struct peer_header){ 0 });
	base_append_codes(&bits, plain.count, seed);
	bits_align(&bits);
	bytes_append(&base->gzip, bits.bytes.base, bits.bytes.count);
	peer_append_trailer(&base->gzip, NULL, 0);
	bytes_free(&bits.bytes);
	bytes_free(&plain);
}

static void make_members(struct base *base, uint64_t *seed)
{
	for (uint64_t members = 1 + below(seed, 4); members; members--) {
		const struct peer_header header = { .flags = (unsigned)below(seed, 32),
						    .extra_bytes = below(seed, 30),
						    .name_bytes = below(seed, 30),
						    .comment_bytes = below(seed, 30) };
		append_compressed_member(base, &header, below(seed, 8) ? below(seed, 2000) : 0, seed);
	}
}

/* Where zlib finds that blocks begin. */
static void find_blocks(struct base *base)
{
	static uint8_t nowhere[65536];
	z_stream z = { .next_in = base->gzip.base, .avail_in = (uInt)base->gzip.count };
	int answer = Z_OK;
	if (inflateInit2(&z, 31) != Z_OK)
		abort();
	while (answer == Z_OK && base->block_count < BASE_BLOCKS_MAX) {
		z.next_out = nowhere;
		z.avail_out = sizeof nowhere;
		answer = inflate(&z, Z_BLOCK);
		size_t at = 8 * (size_t)(z.next_in - base->gzip.base) - (z.data_type & 7);
		if (answer == Z_OK && (z.data_type & 192) == 128)
			base->block_bits[base->block_count++] = at;
		if (answer == Z_STREAM_END && z.avail_in)
			answer = inflateReset(&z);
	}
	inflateEnd(&z);
}

void base_make(struct base *base, enum base_kind kind, uint64_t *seed)
{
	const struct peer_header plain_header = { 0 };
	*base = (struct base){ 0 };
	switch (kind) {
	case BASE_SMALL:
		append_compressed_member(base, &plain_header, below(seed, 1 + below(seed, 3000)), seed);
		break;
	case BASE_WINDOW:
		append_compressed_member(base, &plain_header, 33000 + below(seed, 37000), seed);
		break;
	case BASE_LARGE:
		append_compressed_member(base, &plain_header, 70000 + below(seed, 130000), seed);
		break;
	case BASE_LATE:
		make_late(base, seed);
		break;
	case BASE_CODES:
		make_codes(base, seed);
		break;
	case BASE_MEMBERS:
	case BASE_KINDS:
		make_members(base, seed);
	}
	find_blocks(base);
}

void base_free(struct base *base)
{
	bytes_free(&base->gzip);
}
