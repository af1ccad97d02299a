/* SPDX-License-Identifier: Apache-2.0
 *
 * A second, independent view of sink's message format: what a raw line must become when decoded, and a strict
 * decoder of {"message":"..."} lines. Written the slow and plain way, by code point.
 */
#ifndef TESTS_MESSAGE_H
#define TESTS_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Decodes one UTF-8 code point by arithmetic, as Go's utf8.DecodeRune: returns its length and sets
 * *ret_point, or returns 1 with U+FFFD and *ret_valid 0. */
__attribute__((unused)) static size_t point_decode(const uint8_t *at, size_t bytes, uint32_t *ret_point,
						   int *ret_valid)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = at[0] < 0x80	   ? 1
			: at[0] >> 5 == 6  ? 2
			: at[0] >> 4 == 14 ? 3
			: at[0] >> 3 == 30 ? 4
					   : 0;
	*ret_point = 0xfffd;
	*ret_valid = 0;
	if (length == 0 || length > bytes)
		return 1;
	uint32_t point = length == 1 ? at[0] : at[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if (at[i] >> 6 != 2)
			return 1;
		point = point << 6 | (at[i] & 0x3f);
	}
	if (length > 1 && point < smallest[length])
		return 1;
	if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 1;
	*ret_point = point;
	*ret_valid = 1;
	return length;
}

/* What decoding the message must give: the line with each bad byte replaced by U+FFFD in UTF-8. `target` has
 * room for 3 * bytes. Returns its length. */
__attribute__((unused)) static size_t message_expected(const uint8_t *line, size_t bytes, uint8_t *target)
{
	size_t filled = 0;
	while (bytes) {
		uint32_t point;
		int valid;
		size_t length = point_decode(line, bytes, &point, &valid);
		memcpy(target + filled, valid ? line : (const uint8_t *)"\xef\xbf\xbd", valid ? length : 3);
		filled += valid ? length : 3;
		line += length;
		bytes -= length;
	}
	return filled;
}

static int hex_value(uint8_t digit)
{
	const char *digits = "0123456789abcdef";
	const char *found = digit ? strchr(digits, digit) : NULL;
	return found ? (int)(found - digits) : -1;
}

/* Decodes the line at `at`, which must be exactly {"message":"<RFC 8259 string content>"}\n in valid UTF-8,
 * into `target` (room for `bytes`). Returns the bytes taken, 0 when it is anything else. \u escapes must be
 * below U+0020 or U+FFFD, and escapes must be needed. */
__attribute__((unused)) static size_t message_decode(const uint8_t *at, size_t bytes, uint8_t *target,
						     size_t *ret_bytes)
{
	static const char head[] = "{\"message\":\"", tail[] = "\"}\n";
	static const char letters[] = "\"\\bfnrt", meanings[] = "\"\\\b\f\n\r\t";
	size_t taken = sizeof head - 1;
	*ret_bytes = 0;
	if (bytes < taken || memcmp(at, head, taken) != 0)
		return 0;
	while (taken < bytes && at[taken] != '"') {
		uint32_t point;
		int valid;
		if (at[taken] < 0x20)
			return 0;
		if (at[taken] != '\\') {
			size_t length = point_decode(at + taken, bytes - taken, &point, &valid);
			if (!valid)
				return 0;
			memcpy(target + *ret_bytes, at + taken, length);
			*ret_bytes += length;
			taken += length;
			continue;
		}
		if (bytes - taken < 2)
			return 0;
		uint8_t letter = at[taken + 1];
		const char *found = letter ? strchr(letters, letter) : NULL;
		if (found) {
			target[(*ret_bytes)++] = (uint8_t)meanings[found - letters];
			taken += 2;
			continue;
		}
		if (letter != 'u' || bytes - taken < 6)
			return 0;
		point = 0;
		for (size_t i = 2; i < 6; i++) {
			int value = hex_value(at[taken + i]);
			if (value < 0)
				return 0;
			point = point << 4 | (uint32_t)value;
		}
		if (point < 0x20) {
			target[(*ret_bytes)++] = (uint8_t)point;
		} else if (point == 0xfffd) {
			memcpy(target + *ret_bytes, "\xef\xbf\xbd", 3);
			*ret_bytes += 3;
		} else {
			return 0;
		}
		taken += 6;
	}
	if (bytes - taken < sizeof tail - 1 || memcmp(at + taken, tail, sizeof tail - 1) != 0)
		return 0;
	return taken + sizeof tail - 1;
}

/* Compares the message-format output of `lines` with what it must be. Returns 0, or a small number that names
 * the difference. `scratch` has room for 4 * (lines + output). */
__attribute__((unused)) static int message_compare(const uint8_t *lines, size_t lines_bytes,
						   const uint8_t *output, size_t output_bytes,
						   uint8_t *scratch)
{
	while (lines_bytes) {
		const uint8_t *end = memchr(lines, '\n', lines_bytes);
		size_t line_bytes = end ? (size_t)(end - lines) : lines_bytes;
		size_t content_bytes = line_bytes;
		if (content_bytes && lines[content_bytes - 1] == '\r')
			content_bytes--;
		size_t expected_bytes = message_expected(lines, content_bytes, scratch);
		uint8_t *decoded = scratch + expected_bytes;
		size_t decoded_bytes;
		size_t taken = message_decode(output, output_bytes, decoded, &decoded_bytes);
		if (taken == 0)
			return 1; /* malformed output */
		if (decoded_bytes != expected_bytes || memcmp(decoded, scratch, expected_bytes) != 0)
			return 2; /* other content */
		output += taken;
		output_bytes -= taken;
		line_bytes += end ? 1 : 0;
		lines += line_bytes;
		lines_bytes -= line_bytes;
	}
	return output_bytes ? 3 : 0; /* surplus output */
}

#endif
