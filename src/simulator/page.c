/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/page.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define GZIP_HEAD_BYTES 10
#define GZIP_TAIL_BYTES 8
/* RFC 1951: a last block with fixed codes that holds nothing. */
#define DEFLATE_END_BYTES 2
#define MEMBER_EXTRA_BYTES (GZIP_HEAD_BYTES + DEFLATE_END_BYTES + GZIP_TAIL_BYTES)
#define CONTEXT_BYTES_MAX 1024

static const uint8_t gzip_head[GZIP_HEAD_BYTES] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3 };
static const uint8_t deflate_end[DEFLATE_END_BYTES] = { 0x03, 0x00 };

void page_choose(struct page *page, const struct options *options, uint64_t start, uint64_t end,
		 uint64_t limit)
{
	page->first = start;
	page->limit = limit;
	uint64_t available = start < end ? end - start : 0;
	if (available <= limit) {
		page->count = available;
		page->limit_reached = available == limit;
		return;
	}
	page->limit_reached = 1;
	uint64_t rest = (start + limit) % options->bucket_events;
	uint64_t more = rest ? options->bucket_events - rest : 0;
	if (more * 100 > limit * options->page_slack_percent)
		more = 0;
	page->count = limit + more < available ? limit + more : available;
}

static void span_add(struct page *page, const void *base, size_t bytes)
{
	if (page->span_count == page->span_capacity) {
		page->span_capacity = page->span_capacity ? page->span_capacity * 2 : 64;
		struct span *spans = memory_take(page->span_capacity * sizeof *spans);
		if (page->spans)
			memcpy(spans, page->spans, page->span_count * sizeof *spans);
		free(page->spans);
		page->spans = spans;
	}
	page->spans[page->span_count++] = span_of(base, bytes);
	page->body_bytes += bytes;
}

/* Copies into the page's own bytes; those never move because they were reserved. */
static void own_add(struct page *page, const void *bytes, size_t count)
{
	const char *at = page->own.base + page->own.bytes;
	text_put(&page->own, bytes, count);
	span_add(page, at, count);
}

static void gzip_tail_add(struct page *page, uint32_t crc, uint64_t raw_bytes, int wrong)
{
	uint8_t tail[GZIP_TAIL_BYTES];
	crc ^= wrong ? 0x01000000 : 0;
	for (int i = 0; i < 4; i++) {
		tail[i] = (uint8_t)(crc >> 8 * i);
		tail[4 + i] = (uint8_t)(raw_bytes >> 8 * i);
	}
	own_add(page, tail, sizeof tail);
}

/* {"offset":...,"limit":...,"total":...}, with solidi escaped, which RFC 8259 allows. */
static void context_put_reordered(const struct page *page, long long total, const char *offset,
				  struct text *text)
{
	text_put_string(text, "{\"offset\":\"");
	for (const char *c = offset; *c; c++) {
		if (*c == '/')
			text_put_string(text, "\\");
		text_put(text, c, 1);
	}
	if (page->limit_reached)
		text_format(text, "\",\"limit\":%llu", (unsigned long long)page->limit);
	else
		text_put_string(text, "\"");
	text_format(text, ",\"total\":%lld}", total);
}

static void context_put(const struct page *page, const struct options *options, const struct fault_plan *plan,
			struct text *text)
{
	struct text offset = { 0 };
	long long total =
		(long long)page->count + (plan && plan->trouble == TROUBLE_WRONG_TOTAL ? plan->number : 0);
	unsigned long long limit = page->limit;
	int reached = page->limit_reached;
	feed_token_put(page->feed, page->first + page->count, &offset);
	text_put(&offset, "", 1);
	switch ((enum context_style)options->context_style) {
	case CONTEXT_COMPACT:
		text_format(text, "{\"total\":%lld,\"offset\":\"%s\"", total, offset.base);
		if (reached)
			text_format(text, ",\"limit\":%llu", limit);
		text_put_string(text, "}");
		break;
	case CONTEXT_BLANKS:
		text_format(text, "{ \"total\": %lld, \"offset\":\"%s\"", total, offset.base);
		if (reached)
			text_format(text, ",\"limit\": %llu", limit);
		text_put_string(text, " }");
		break;
	case CONTEXT_QUOTED:
		text_format(text, "{\"total\":\"%lld\",\"offset\":\"%s\"", total, offset.base);
		if (reached)
			text_format(text, ",\"limit\":\"%llu\"", limit);
		text_put_string(text, "}");
		break;
	case CONTEXT_REORDERED:
		context_put_reordered(page, total, offset.base, text);
		break;
	}
	if (plan && plan->trouble == TROUBLE_BROKEN_CONTEXT)
		text->bytes -= text->bytes / 3;
	text_put_string(text, options->crlf ? "\r\n" : "\n");
	text_finish(&offset);
}

/* The last part of a gzip stream: the context line and the end of the deflate data. */
static void context_compress(const struct text *context, struct text *packed)
{
	z_stream stream = { 0 };
	if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 1, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	text_reserve(packed, CONTEXT_BYTES_MAX * 2);
	stream.next_in = (Bytef *)context->base;
	stream.avail_in = (uInt)context->bytes;
	stream.next_out = (Bytef *)packed->base;
	stream.avail_out = (uInt)packed->capacity;
	if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
		abort();
	packed->bytes = packed->capacity - stream.avail_out;
	deflateEnd(&stream);
}

static void runs_take(struct page *page)
{
	size_t capacity = page->count / FEED_BLOCK_EVENTS + 2;
	page->runs = memory_take(capacity * sizeof *page->runs);
	uint64_t end = page->first + page->count;
	for (uint64_t at = page->first; at < end;) {
		uint64_t border = (at / FEED_BLOCK_EVENTS + 1) * FEED_BLOCK_EVENTS;
		uint64_t stop = border < end ? border : end;
		page->runs[page->run_count++] =
			blocks_take(page->blocks, page->feed, at, (uint32_t)(stop - at), page->gzip);
		at = stop;
	}
}

/* Inverts a few bytes in the middle, in a copy. */
static void damage(struct page *page)
{
	size_t left = page->body_bytes / 2;
	size_t index = 0;
	while (left >= page->spans[index].bytes)
		left -= page->spans[index++].bytes;
	struct span *span = &page->spans[index];
	text_put(&page->damaged, span->base, span->bytes);
	for (size_t i = left; i < span->bytes && i < left + 3; i++)
		page->damaged.base[i] = (char)~page->damaged.base[i];
	span->base = (const uint8_t *)page->damaged.base;
}

static void body_build(struct page *page, const struct options *options, const struct text *context,
		       const struct fault_plan *plan)
{
	uint32_t crc = 0;
	uint64_t raw_bytes = 0;
	struct text packed = { 0 };
	context_compress(context, &packed);
	text_reserve(&page->own, packed.bytes + MEMBER_EXTRA_BYTES * (page->run_count + 1));
	own_add(page, gzip_head, sizeof gzip_head);
	for (size_t i = 0; i < page->run_count; i++) {
		const struct run *run = page->runs[i];
		span_add(page, run->bytes, run->byte_count);
		crc = (uint32_t)crc32_combine(crc, run->crc, (z_off_t)run->raw_bytes);
		raw_bytes += run->raw_bytes;
		if (!options->multi_member)
			continue;
		own_add(page, deflate_end, sizeof deflate_end);
		gzip_tail_add(page, crc, raw_bytes, 0);
		own_add(page, gzip_head, sizeof gzip_head);
		crc = 0;
		raw_bytes = 0;
	}
	own_add(page, packed.base, packed.bytes);
	uint32_t context_crc = (uint32_t)crc32_z(0, (const Bytef *)context->base, context->bytes);
	crc = (uint32_t)crc32_combine(crc, context_crc, (z_off_t)context->bytes);
	gzip_tail_add(page, crc, raw_bytes + context->bytes, plan && plan->trouble == TROUBLE_BAD_CRC);
	text_finish(&packed);
}

/* Half of the gzip stream inside a whole HTTP body. */
static void cut(struct page *page)
{
	size_t left = page->body_bytes / 2;
	page->body_bytes = left;
	for (size_t i = 0; i < page->span_count; i++) {
		if (page->spans[i].bytes > left)
			page->spans[i].bytes = left;
		left -= page->spans[i].bytes;
	}
}

void page_build(struct page *page, const struct options *options, const struct fault_plan *plan)
{
	struct text context = { 0 };
	text_reserve(&context, CONTEXT_BYTES_MAX);
	if (!plan || plan->trouble != TROUBLE_MISSING_CONTEXT)
		context_put(page, options, plan, &context);
	runs_take(page);
	if (page->gzip) {
		body_build(page, options, &context, plan);
		if (plan && plan->trouble == TROUBLE_BAD_GZIP)
			damage(page);
		if (plan && plan->trouble == TROUBLE_CUT_GZIP)
			cut(page);
		text_finish(&context);
		return;
	}
	for (size_t i = 0; i < page->run_count; i++)
		span_add(page, page->runs[i]->bytes, page->runs[i]->byte_count);
	page->own = context;
	span_add(page, page->own.base, page->own.bytes);
}

void page_finish(struct page *page)
{
	for (size_t i = 0; i < page->run_count; i++)
		blocks_give_back(page->blocks, page->runs[i]);
	free(page->runs);
	free(page->spans);
	text_finish(&page->own);
	text_finish(&page->damaged);
}
