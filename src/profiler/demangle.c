/* SPDX-License-Identifier: Apache-2.0
 *
 * C++ (Itanium ABI) by the C++ library's own function, behind a guard; Rust's legacy names, which are C++
 * nested names with a hash as the last part and escapes for punctuation, by hand.
 */
#include "profiler/demangle.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* <cxxabi.h> is for C++ only. */
char *__cxa_demangle(const char *mangled, char *buffer, size_t *length, int *ret_status);

enum { RUST_HASH_BYTES = 17 }; /* "h" and 16 hexadecimal digits */

/* What a C++ name may grow to while it is written, an upper bound; 99.98 % of LLVM's names are below. */
static const uint64_t expansion_bytes_max = 16 << 20;

void demangle_append(struct demangle_text *out, const char *text, size_t bytes)
{
	if (out->failed || out->bytes_max - out->bytes <= bytes) { /* one byte stays for the 0 */
		out->failed = 1;
		return;
	}
	memcpy(out->text + out->bytes, text, bytes);
	out->bytes += bytes;
}

void demangle_append_character(struct demangle_text *out, unsigned long character)
{
	char bytes[4];
	if (character < 0x80) {
		bytes[0] = (char)character;
		demangle_append(out, bytes, 1);
	} else if (character < 0x800) {
		bytes[0] = (char)(0xc0 | character >> 6);
		bytes[1] = (char)(0x80 | (character & 0x3f));
		demangle_append(out, bytes, 2);
	} else if (character < 0x10000 && (character < 0xd800 || character > 0xdfff)) {
		bytes[0] = (char)(0xe0 | character >> 12);
		bytes[1] = (char)(0x80 | (character >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (character & 0x3f));
		demangle_append(out, bytes, 3);
	} else if (character >= 0x10000 && character < 0x110000) {
		bytes[0] = (char)(0xf0 | character >> 18);
		bytes[1] = (char)(0x80 | (character >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (character >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (character & 0x3f));
		demangle_append(out, bytes, 4);
	} else {
		out->failed = 1;
	}
}

static int is_digit(char character)
{
	return character >= '0' && character <= '9';
}

static int is_hex(char character)
{
	return is_digit(character) || (character >= 'a' && character <= 'f');
}

/* Bytes of a substitution, "S_", "S1A_", "T_"; 0: none. */
static size_t substitution_bytes(const char *at)
{
	if (*at != 'S' && *at != 'T')
		return 0;
	size_t digits = strspn(at + 1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return at[1 + digits] == '_' ? digits + 2 : 0;
}

/* Substitutions repeat what came before: chains of three in each link make a name grow by the cube root of 3
 * for each, which is the worst. A pack expansion (Dp, sp) of a mere parameter writes the pack once, as a
 * substitution does; one around more than that may have others in it, and writes them as often as the pack
 * has members. The library's function has no limit of its own. */
static int grows_too_large(const char *mangled)
{
	size_t length_bytes = strlen(mangled);
	uint64_t expansion_bytes = length_bytes;
	int has_packs = strchr(mangled, 'J') != NULL;
	for (const char *at = mangled; *at && expansion_bytes <= expansion_bytes_max; at++) {
		if (has_packs && (memcmp(at, "Dp", 2) == 0 || memcmp(at, "sp", 2) == 0) &&
		    substitution_bytes(at + 2 + strspn(at + 2, "ROKPV")) == 0)
			expansion_bytes *= 1 + length_bytes / 8;
		if (substitution_bytes(at))
			expansion_bytes = expansion_bytes * 13 / 9 + 1;
	}
	return expansion_bytes > expansion_bytes_max;
}

static void demangle_cxx(const char *mangled, struct demangle_text *out)
{
	int status = 0;
	char *text = grows_too_large(mangled) ? NULL : __cxa_demangle(mangled, NULL, NULL, &status);
	if (text)
		demangle_append(out, text, strlen(text));
	else
		out->failed = 1;
	free(text);
}

/* The next part, "5alloc": its text, and *at behind it. NULL: there is none. */
static const char *legacy_part(const char **at, size_t *ret_bytes)
{
	size_t bytes = 0;
	const char *text = *at;
	if (!is_digit(*text) || *text == '0')
		return NULL;
	for (; is_digit(*text) && bytes < DEMANGLE_INPUT_BYTES_MAX; text++)
		bytes = bytes * 10 + (size_t)(*text - '0');
	if (strnlen(text, bytes) < bytes)
		return NULL;
	*at = text + bytes;
	*ret_bytes = bytes;
	return text;
}

static int is_legacy_hash(const char *text, size_t bytes)
{
	if (bytes != RUST_HASH_BYTES || text[0] != 'h')
		return 0;
	for (size_t i = 1; i < bytes; i++) {
		if (!is_hex(text[i]))
			return 0;
	}
	return 1;
}

/* "$LT$" and the like at `text`; returns its bytes, 0 when it is none. */
static size_t legacy_escape(const char *text, size_t bytes, struct demangle_text *out)
{
	static const struct {
		const char *name, *text;
	} escapes[] = { { "SP", "@" }, { "BP", "*" }, { "RF", "&" }, { "LT", "<" },
			{ "GT", ">" }, { "LP", "(" }, { "RP", ")" }, { "C", "," } };
	const char *end = bytes > 1 ? memchr(text + 1, '$', bytes - 1) : NULL;
	if (!end)
		return 0;
	size_t name_bytes = (size_t)(end - text) - 1;
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		if (strlen(escapes[i].name) == name_bytes &&
		    memcmp(text + 1, escapes[i].name, name_bytes) == 0) {
			demangle_append(out, escapes[i].text, 1);
			return name_bytes + 2;
		}
	}
	if (name_bytes < 2 || name_bytes > 7 || text[1] != 'u')
		return 0;
	unsigned long character = 0;
	for (size_t i = 2; i <= name_bytes; i++) {
		if (!is_hex(text[i]))
			return 0;
		unsigned digit =
			is_digit(text[i]) ? (unsigned)(text[i] - '0') : (unsigned)(text[i] - 'a') + 10;
		character = character * 16 + digit;
	}
	if (character < 0x20 || character == 0x7f) /* rustc writes none of these; a 0 would end the text */
		return 0;
	demangle_append_character(out, character);
	return name_bytes + 2;
}

static void legacy_append(const char *text, size_t bytes, struct demangle_text *out)
{
	/* A part may not begin with '$' in the object file; the '_' before it is not the program's. */
	if (bytes > 1 && text[0] == '_' && text[1] == '$') {
		text++;
		bytes--;
	}
	while (bytes) {
		size_t used = 0;
		if (*text == '$') {
			used = legacy_escape(text, bytes, out);
		} else if (bytes > 1 && text[0] == '.' && text[1] == '.') {
			demangle_append(out, "::", 2);
			used = 2;
		}
		if (used == 0) {
			demangle_append(out, text, 1);
			used = 1;
		}
		text += used;
		bytes -= used;
	}
}

/* "_ZN4core3fmt17h0123456789abcdefE": whether the last part is a hash. */
static int is_rust_legacy(const char *mangled)
{
	const char *at = mangled + 3, *part, *last = NULL;
	size_t bytes = 0, last_bytes = 0, parts = 0;
	if (strncmp(mangled, "_ZN", 3) != 0)
		return 0;
	while ((part = legacy_part(&at, &bytes))) {
		last = part;
		last_bytes = bytes;
		parts++;
	}
	return *at == 'E' && parts > 1 && is_legacy_hash(last, last_bytes);
}

static void demangle_rust_legacy(const char *mangled, struct demangle_text *out)
{
	const char *at = mangled + 3, *part;
	size_t bytes = 0;
	for (size_t parts = 0; (part = legacy_part(&at, &bytes)); parts++) {
		if (*at == 'E' && is_legacy_hash(part, bytes))
			continue;
		if (parts)
			demangle_append(out, "::", 2);
		legacy_append(part, bytes, out);
	}
}

size_t demangle(const char *mangled, char *text, size_t text_bytes)
{
	struct demangle_text out = { .text = text, .bytes_max = text_bytes };
	if (text_bytes == 0 || mangled[0] != '_' ||
	    strnlen(mangled, DEMANGLE_INPUT_BYTES_MAX + 1) > DEMANGLE_INPUT_BYTES_MAX)
		return 0;
	if (mangled[1] == 'R')
		demangle_rust(mangled, &out);
	else if (is_rust_legacy(mangled))
		demangle_rust_legacy(mangled, &out);
	else if (mangled[1] == 'Z')
		demangle_cxx(mangled, &out);
	if (out.failed || out.bytes == 0)
		return 0;
	text[out.bytes] = 0;
	return out.bytes;
}
