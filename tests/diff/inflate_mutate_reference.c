/* SPDX-License-Identifier: Apache-2.0
 *
 * zlib's verdict and bytes, and whether libdeflate's go together with them.
 */
#include "inflate_mutate.h"

#include <libdeflate.h>

struct references {
	z_stream zlib;
	struct libdeflate_decompressor *libdeflate;
	uint8_t *plain; /* libdeflate's */
};

struct references *references_open(void)
{
	struct references *references = calloc(1, sizeof *references);
	if (!references || inflateInit2(&references->zlib, 31) != Z_OK)
		abort();
	references->libdeflate = libdeflate_alloc_decompressor();
	references->plain = malloc(REFERENCE_BYTES_MAX);
	if (!references->libdeflate || !references->plain)
		abort();
	return references;
}

void references_close(struct references *references)
{
	inflateEnd(&references->zlib);
	libdeflate_free_decompressor(references->libdeflate);
	free(references->plain);
	free(references);
}

/* Member after member, zero padding accepted. */
void references_run(struct references *references, const struct bytes *gzip, struct reference *reference)
{
	z_stream *z = &references->zlib;
	int answer = inflateReset(z), members = 0;
	uint8_t *member = reference->plain;
	z->next_in = gzip->base;
	z->avail_in = (uInt)gzip->count;
	z->next_out = reference->plain;
	z->avail_out = REFERENCE_BYTES_MAX;
	while (answer == Z_OK) {
		answer = inflate(z, Z_NO_FLUSH);
		if (answer == Z_OK && (z->avail_in == 0 || z->avail_out == 0))
			break;
		if (answer != Z_STREAM_END)
			continue;
		members++;
		if (z->avail_in && *z->next_in) {
			answer = inflateReset(z);
			member = z->next_out;
		}
	}
	while (answer == Z_STREAM_END && z->avail_in && *z->next_in == 0)
		z->next_in++, z->avail_in--;
	reference->count = (size_t)(z->next_out - reference->plain);
	reference->too_long = z->avail_out == 0;
	reference->good = answer == Z_STREAM_END && members && z->avail_in == 0;
	reference->reason = answer == Z_DATA_ERROR && z->msg ? z->msg : "";
	reference->trailer_at = 0;
	reference->member_at = (size_t)(member - reference->plain);
	/* It has read the checksum's four bytes, no more. */
	if (strcmp(reference->reason, "incorrect data check") == 0)
		reference->trailer_at = (size_t)(z->next_in - gzip->base) - 4;
}

void reference_mend(struct bytes *gzip, struct reference *reference)
{
	const uint8_t *member = reference->plain + reference->member_at;
	size_t count = reference->count - reference->member_at;
	uint32_t checksum = libdeflate_crc32(0, member, count);
	gzip->count = reference->trailer_at;
	bytes_append_number(gzip, checksum, 4);
	bytes_append_number(gzip, (uint32_t)count, 4);
	reference->trailer_at = 0;
	reference->good = 1;
	reference->reason = "";
}

/* Returns -1 when there is no verdict for want of room. */
static int libdeflate_run(struct references *references, const struct bytes *gzip, size_t *ret_count)
{
	size_t at = 0, count = 0;
	int good = gzip->count > 0;
	while (good == 1 && at < gzip->count && (at == 0 || gzip->base[at])) {
		size_t in_bytes = 0, out_bytes = 0;
		enum libdeflate_result result = libdeflate_gzip_decompress_ex(
			references->libdeflate, gzip->base + at, gzip->count - at, references->plain + count,
			REFERENCE_BYTES_MAX - count, &in_bytes, &out_bytes);
		good = result == LIBDEFLATE_SUCCESS ? 1 : result == LIBDEFLATE_INSUFFICIENT_SPACE ? -1 : 0;
		at += in_bytes;
		count += out_bytes;
	}
	while (good == 1 && at < gzip->count)
		good = gzip->base[at++] == 0;
	*ret_count = count;
	return good;
}

int reference_is_about_a_code(const struct reference *reference)
{
	return strcmp(reference->reason, "invalid code lengths set") == 0 ||
	       strcmp(reference->reason, "invalid literal/lengths set") == 0 ||
	       strcmp(reference->reason, "invalid distances set") == 0;
}

int reference_is_too_strict(const struct reference *reference)
{
	/* Symbols and bits without a meaning, more codes or longer repeats than there can be. */
	static const char *const reasons[] = { "invalid literal/length code", "invalid distance code",
					       "too many length or distance symbols",
					       "invalid bit length repeat",
					       "invalid code -- missing end-of-block" };
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (strcmp(reference->reason, reasons[i]) == 0)
			return 1;
	return reference_is_about_a_code(reference);
}

int references_agree(struct references *references, const struct bytes *gzip,
		     const struct reference *reference)
{
	size_t count;
	int good = libdeflate_run(references, gzip, &count);
	if (good < 0 || reference->too_long)
		return 1;
	if (reference->good)
		return good && count == reference->count &&
		       memcmp(references->plain, reference->plain, count) == 0;
	/* It does not verify the header's checksum. */
	return !good || reference_is_too_strict(reference) ||
	       strcmp(reference->reason, "header crc mismatch") == 0;
}
