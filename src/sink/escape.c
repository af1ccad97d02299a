/* SPDX-License-Identifier: Apache-2.0
 *
 * The message format, and its portable kernel, which goes eight bytes at a time. What the kernels leave goes
 * through unit_escape(), which also knows when it must see more input.
 */
#include "sink/escape.h"

#include "base/check.h"

static const char line_head[] = "{\"message\":\"";
static const char line_tail[] = "\"}\n";
enum { UNIT_BYTES_MAX = 4, LINE_HEAD_BYTES = sizeof line_head - 1, LINE_TAIL_BYTES = sizeof line_tail - 1 };

static void put(struct cursor_out *output, const void *bytes, size_t count)
{
	memcpy(output->next, bytes, count);
	output->next += count;
}

static void line_close(struct escape *escape, struct cursor_out *output)
{
	put(output, line_tail, LINE_TAIL_BYTES);
	escape->inside = 0;
}

static void put_escaped(struct cursor_out *output, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";
	/* RFC 8259 section 7: the two-character escapes of control characters */
	static const char letters[32] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
	};
	if (byte >= 0x20)
		put(output, (char[]){ '\\', (char)byte }, 2);
	else if (letters[byte])
		put(output, (char[]){ '\\', letters[byte] }, 2);
	else
		put(output, (char[]){ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] }, 6);
}

/* Length of the UTF-8 sequence at `at` (Unicode 15, table 3-7): 2 to 4, 0 when ill-formed, -1 when it is cut.
 */
static int sequence_bytes(const uint8_t *at, size_t bytes)
{
	int length;
	uint8_t low = 0x80, high = 0xbf; /* of the second byte */
	if (at[0] >= 0xc2 && at[0] <= 0xdf) {
		length = 2;
	} else if ((at[0] & 0xf0) == 0xe0) {
		length = 3;
		low = at[0] == 0xe0 ? 0xa0 : 0x80;  /* no overlong forms */
		high = at[0] == 0xed ? 0x9f : 0xbf; /* no surrogates */
	} else if (at[0] >= 0xf0 && at[0] <= 0xf4) {
		length = 4;
		low = at[0] == 0xf0 ? 0x90 : 0x80;
		high = at[0] == 0xf4 ? 0x8f : 0xbf; /* nothing above U+10FFFF */
	} else {
		return 0;
	}
	for (int i = 1; i < length; i++) {
		if ((size_t)i == bytes)
			return -1;
		if (at[i] < low || at[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

/* Takes one character or line end from the front. Returns its length, 0 when more must be seen (never when
 * `last`). Writes at most 6 bytes. */
static size_t unit_escape(struct escape *escape, const uint8_t *at, size_t bytes, int last,
			  struct cursor_out *output)
{
	if (at[0] >= 0x80) {
		int length = sequence_bytes(at, bytes);
		if (length < 0 && !last)
			return 0;
		if (length <= 0) {
			put(output, "\\ufffd", 6);
			return 1;
		}
		put(output, at, (size_t)length);
		return (size_t)length;
	}
	if (at[0] == '\n') {
		line_close(escape, output);
		return 1;
	}
	if (at[0] == '\r') {
		if (bytes == 1)
			return last ? 1 : 0; /* at the very end it belongs to the line end that is missing */
		if (at[1] == '\n') {
			line_close(escape, output);
			return 2;
		}
	}
	if (at[0] < 0x20 || at[0] == '"' || at[0] == '\\')
		put_escaped(output, at[0]);
	else
		*output->next++ = at[0];
	return 1;
}

static uint64_t zero_bytes(uint64_t word)
{
	return (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);
}

void escape_run_portable(struct cursor_in *lines, struct cursor_out *output)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint8_t *from = lines->next;
	uint8_t *to = output->next;
	while (lines->end - from > 8 && output->end - to > ESCAPE_ROOM_BYTES_MIN) {
		uint64_t word;
		memcpy(&word, from, 8);
		memcpy(to, &word, 8);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
		word = __builtin_bswap64(word);
#endif
		/* 0x80 in each byte that is a quote, a backslash, below 0x20 or above 0x7f. A borrow may also
		 * mark bytes behind the first such one, never one before it. */
		uint64_t special = zero_bytes(word ^ (ones * '"')) | zero_bytes(word ^ (ones * '\\')) |
				   ((word - ones * 0x20) & ~word & (ones * 0x80)) | (word & (ones * 0x80));
		if (!special) {
			from += 8;
			to += 8;
			continue;
		}
		int clean = __builtin_ctzll(special) / 8;
		from += clean;
		to += clean;
		if (*from != '"' && *from != '\\')
			break;
		to[0] = '\\';
		to[1] = *from++;
		to += 2;
	}
	lines->next = from;
	output->next = to;
}

/* Finishes what an earlier input cut: the held bytes and enough of the new ones are looked at together. */
static void held_push(struct escape *escape, struct cursor_in *lines, int last, struct cursor_out *output)
{
	uint8_t joint[2 * UNIT_BYTES_MAX];
	size_t held_bytes = escape->held_bytes;
	size_t fresh_bytes =
		cursor_in_bytes(lines) < UNIT_BYTES_MAX ? cursor_in_bytes(lines) : UNIT_BYTES_MAX;
	CHECK_LT(held_bytes, (size_t)UNIT_BYTES_MAX);
	memcpy(joint, escape->held, held_bytes);
	if (fresh_bytes)
		memcpy(joint + held_bytes, lines->next, fresh_bytes);
	size_t taken = 0;
	while (taken < held_bytes) {
		size_t bytes =
			unit_escape(escape, joint + taken, held_bytes + fresh_bytes - taken, last, output);
		if (bytes == 0) { /* still cut, so the input is used up */
			CHECK_EQ(fresh_bytes, cursor_in_bytes(lines));
			escape->held_bytes = (unsigned)(held_bytes + fresh_bytes - taken);
			memcpy(escape->held, joint + taken, escape->held_bytes);
			lines->next = lines->end;
			return;
		}
		taken += bytes;
	}
	lines->next += taken - held_bytes;
	escape->held_bytes = 0;
}

enum step escape_push(struct escape *escape, struct cursor_in *lines, struct cursor_out *output, int last)
{
	escape_run *run = escape->run ? escape->run : escape_run_portable;
	while (lines->next < lines->end || (last && escape->inside)) {
		if (cursor_out_bytes(output) < ESCAPE_ROOM_BYTES_MIN)
			return STEP_FULL;
		if (!escape->inside) {
			put(output, line_head, LINE_HEAD_BYTES);
			escape->inside = 1;
		}
		if (escape->held_bytes) {
			held_push(escape, lines, last, output);
			continue;
		}
		if (lines->next == lines->end) {
			line_close(escape, output);
			break;
		}
		run(lines, output);
		if (lines->next == lines->end)
			continue;
		if (cursor_out_bytes(output) < ESCAPE_ROOM_BYTES_MIN)
			return STEP_FULL;
		size_t bytes = unit_escape(escape, lines->next, cursor_in_bytes(lines), last, output);
		if (bytes == 0) {
			escape->held_bytes = (unsigned)cursor_in_bytes(lines);
			memcpy(escape->held, lines->next, escape->held_bytes);
			lines->next = lines->end;
		} else {
			lines->next += bytes;
		}
	}
	return STEP_HUNGRY;
}
