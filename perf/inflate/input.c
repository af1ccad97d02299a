/* SPDX-License-Identifier: Apache-2.0 */
#define ZLIB_CONST
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static size_t compress_one(z_stream *z, const uint8_t *plain, size_t plain_bytes, uint8_t *out,
			   size_t out_bytes)
{
	z->next_in = plain;
	z->avail_in = (uInt)plain_bytes;
	z->next_out = out;
	z->avail_out = (uInt)out_bytes;
	if (deflateReset(z) != Z_OK || deflate(z, Z_FINISH) != Z_STREAM_END)
		abort();
	return (size_t)(z->next_out - out);
}

static size_t count_newlines(const uint8_t *bytes, size_t count)
{
	size_t found = 0;
	for (size_t i = 0; i < count; i++)
		found += bytes[i] == '\n';
	return found;
}

void input_make(struct input *input, const struct corpus *corpus, size_t stream_bytes, int level)
{
	z_stream z = { 0 };
	if (deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	size_t count = (corpus->plain_bytes + stream_bytes - 1) / stream_bytes;
	size_t bound = deflateBound(&z, (uLong)stream_bytes);
	*input = (struct input){ .streams = malloc(count * sizeof *input->streams),
				 .memory = malloc(count * bound) };
	if (!input->streams || !input->memory)
		abort();
	while (input->plain_bytes < corpus->plain_bytes) {
		size_t left = corpus->plain_bytes - input->plain_bytes;
		struct stream *stream = &input->streams[input->stream_count++];
		stream->gzip = input->memory + input->gzip_bytes;
		stream->plain_bytes = left < stream_bytes ? left : stream_bytes;
		stream->gzip_bytes =
			compress_one(&z, corpus->plain + input->plain_bytes, stream->plain_bytes,
				     input->memory + input->gzip_bytes, count * bound - input->gzip_bytes);
		input->gzip_bytes += stream->gzip_bytes;
		input->plain_bytes += stream->plain_bytes;
	}
	input->newlines = count_newlines(corpus->plain, corpus->plain_bytes);
	deflateEnd(&z);
}

void input_finish(struct input *input)
{
	free(input->streams);
	free(input->memory);
}
