/* SPDX-License-Identifier: Apache-2.0 */
#include "report/text.h"

#include <math.h>
#include <string.h>

#define REPLACEMENT 0xfffdu
#define ELLIPSIS 0x2026u

/* The next character of `*at` and moves behind it; REPLACEMENT for a byte that starts none (RFC 3629). */
static uint32_t next_character(const unsigned char **at)
{
	const unsigned char *text = *at;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned length = text[0] < 0x80   ? 1
			  : text[0] < 0xc2 ? 0
			  : text[0] < 0xe0 ? 2
			  : text[0] < 0xf0 ? 3
			  : text[0] < 0xf5 ? 4
					   : 0;
	*at = text + 1;
	if (length == 1)
		return text[0];
	if (!length)
		return REPLACEMENT;
	uint32_t character = text[0] & (0xffu >> (length + 1));
	for (unsigned i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return REPLACEMENT; /* also at the end: 0 is no continuation */
		character = character << 6 | (text[i] & 0x3fu);
	}
	if (character < least[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		return REPLACEMENT;
	*at = text + length;
	return character;
}

/* What is shown for a character: XML 1.0 forbids most controls, and a name must not reorder the text around
 * it. */
static uint32_t shown(uint32_t character)
{
	if (character < 0x20)
		return 0x2400 + character;
	if (character == 0x7f)
		return 0x2421;
	int turns = (character >= 0x202a && character <= 0x202e) ||
		    (character >= 0x2066 && character <= 0x2069) || character == 0x200e ||
		    character == 0x200f || character == 0x061c;
	int separates = (character >= 0x80 && character < 0xa0) || character == 0x2028 || character == 0x2029;
	if (turns || separates || (character & 0xfffe) == 0xfffe || character == 0xfeff)
		return REPLACEMENT;
	return character;
}

/* Roughly: East Asian wide characters and emoji take two. */
static size_t columns_of(uint32_t character)
{
	return (character >= 0x1100 && character < 0x1160) || (character >= 0x2e80 && character < 0xa4d0) ||
			       (character >= 0xac00 && character < 0xd7a4) ||
			       (character >= 0xf900 && character < 0xfb00) ||
			       (character >= 0xfe30 && character < 0xfe70) ||
			       (character >= 0xff00 && character < 0xff61) ||
			       (character >= 0x1f300 && character < 0x1fb00) || character >= 0x20000
		       ? 2
		       : 1;
}

static void put_utf8(FILE *out, uint32_t character)
{
	if (character < 0x80) {
		fputc((int)character, out);
		return;
	}
	if (character >= 0x10000) {
		fputc((int)(0xf0 | character >> 18), out);
		fputc((int)(0x80 | (character >> 12 & 0x3f)), out);
	} else if (character >= 0x800) {
		fputc((int)(0xe0 | character >> 12), out);
	}
	fputc((int)(character >= 0x800 ? 0x80 | (character >> 6 & 0x3f) : 0xc0 | character >> 6), out);
	fputc((int)(0x80 | (character & 0x3f)), out);
}

static void put_markup(FILE *out, uint32_t character)
{
	switch (character) {
	case '&':
		fputs("&amp;", out);
		return;
	case '<':
		fputs("&lt;", out);
		return;
	case '>':
		fputs("&gt;", out);
		return;
	case '"':
		fputs("&quot;", out);
		return;
	case '\'':
		fputs("&#39;", out);
		return;
	default:
		put_utf8(out, character);
	}
}

size_t text_columns(const char *text)
{
	size_t columns = 0;
	for (const unsigned char *at = (const unsigned char *)text; *at;)
		columns += columns_of(shown(next_character(&at)));
	return columns;
}

static void put_text(FILE *out, const char *text, size_t columns_max,
		     void (*put)(FILE *out, uint32_t character))
{
	int cut = columns_max != TEXT_WHOLE && text_columns(text) > columns_max;
	size_t columns = 0, room = cut ? columns_max - (columns_max > 0) : columns_max;
	for (const unsigned char *at = (const unsigned char *)text; *at;) {
		uint32_t character = shown(next_character(&at));
		columns += columns_of(character);
		if (cut && columns > room)
			break;
		put(out, character);
	}
	if (cut)
		put(out, ELLIPSIS);
}

void text_escape(FILE *out, const char *text, size_t columns_max)
{
	put_text(out, text, columns_max, put_markup);
}

void text_plain(FILE *out, const char *text, size_t columns_max)
{
	put_text(out, text, columns_max, put_utf8);
}

static void put_in_code_span(FILE *out, uint32_t character)
{
	if (character == '|')
		fputc('\\', out);
	put_utf8(out, character == '`' ? '\'' : character);
}

void text_markdown(FILE *out, const char *text)
{
	put_text(out, text, TEXT_WHOLE, put_in_code_span);
}

void text_json(FILE *out, const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at;) {
		uint32_t character = next_character(&at);
		if (character < 0x20 || character == 0x7f)
			fprintf(out, "\\u%04x", character);
		else if (character == '"' || character == '\\')
			fprintf(out, "\\%c", (char)character);
		else
			put_utf8(out, character);
	}
}

char *text_count(int64_t number, char text[static TEXT_BYTES_MAX])
{
	char digits[24];
	int count = snprintf(digits, sizeof digits, "%llu",
			     number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number);
	size_t at = 0;
	if (number < 0)
		text[at++] = '-';
	for (int i = 0; i < count; i++) {
		if (i && (count - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = 0;
	return text;
}

/* Three digits that count, and the unit of the size class. */
static char *scaled(double number, double step, const char *const units[], size_t unit_count,
		    char text[static TEXT_BYTES_MAX])
{
	size_t unit = 0;
	if (!isfinite(number)) {
		snprintf(text, TEXT_BYTES_MAX, "?");
		return text;
	}
	while (fabs(number) >= step * 0.9995 && unit + 1 < unit_count) {
		number /= step;
		unit++;
	}
	double size = fabs(number);
	int whole = number == floor(number) && size < step && unit == 0;
	int decimals = whole || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
	snprintf(text, TEXT_BYTES_MAX, "%.*f%s%s", decimals, number, *units[unit] ? TEXT_NBSP : "",
		 units[unit]);
	return text;
}

char *text_short(double number, char text[static TEXT_BYTES_MAX])
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", "E" };
	return scaled(number, 1000, units, 7, text);
}

char *text_bytes(double bytes, char text[static TEXT_BYTES_MAX])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	return scaled(bytes, 1000, units, 7, text);
}

char *text_duration(double ns, char text[static TEXT_BYTES_MAX])
{
	static const char *const units[] = { "ns", "\u00b5s", "ms", "s" };
	if (ns == 0) {
		snprintf(text, TEXT_BYTES_MAX, "0" TEXT_NBSP "s");
		return text;
	}
	if (!isfinite(ns) || fabs(ns) < 99.95e9)
		return scaled(ns, 1000, units, 4, text);
	double seconds = floor(ns / 1e9 + 0.5);
	if (fabs(seconds) < 3600)
		snprintf(text, TEXT_BYTES_MAX, "%.0f" TEXT_NBSP "min %02.0f" TEXT_NBSP "s",
			 floor(seconds / 60), fmod(seconds, 60));
	else
		snprintf(text, TEXT_BYTES_MAX, "%.0f" TEXT_NBSP "h %02.0f" TEXT_NBSP "min",
			 floor(seconds / 3600), floor(fmod(seconds, 3600) / 60));
	return text;
}

char *text_share(double part, double whole, char text[static TEXT_BYTES_MAX])
{
	double percent = whole > 0 ? part / whole * 100 : 0;
	if (!isfinite(percent))
		snprintf(text, TEXT_BYTES_MAX, "?");
	else if (percent > 0 && percent < 0.05)
		snprintf(text, TEXT_BYTES_MAX, "<0.1" TEXT_NBSP "%%");
	else
		snprintf(text, TEXT_BYTES_MAX, "%.1f" TEXT_NBSP "%%", percent);
	return text;
}

char *text_value(double value, const char *unit, char text[static TEXT_BYTES_MAX])
{
	if (!strcmp(unit, "nanoseconds"))
		return text_duration(value, text);
	if (!strcmp(unit, "bytes"))
		return text_bytes(value, text);
	if (fabs(value) < 9e15)
		return text_count((int64_t)value, text);
	return text_short(value, text);
}

const char *text_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}
