/* SPDX-License-Identifier: Apache-2.0
 *
 * Rust's names "_R...": RFC 2603 and "Symbol Mangling" in the book of rustc, version 0. Written while it is
 * read, by descent; back references may repeat what came before, so depth and output are limited. Crates'
 * hashes, integer constants' types and the crate that instantiated are left out, as rustc's own short form
 * does. Constants of composite types ("adt_const_params") and pattern types are not understood: such names
 * stay as they are.
 */
#include "profiler/demangle.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 200,	/* types in types; as deep as nobody nests them */
	STEPS_MAX = 50000,	/* productions read, with repetitions */
	IDENTIFIER_MAX = 256,	/* characters of a name that is not ASCII */
	LIFETIMES_MAX = 26 * 26 /* bound at one place; hostile beyond */
};

struct reader {
	const char *text; /* behind "_R" */
	size_t at, bytes;
	size_t depth, steps;
	uint64_t lifetimes; /* bound around what is read */
	int quiet;	    /* read, not written */
	struct demangle_text *out;
};

static void read_path(struct reader *reader, int is_value);
static void read_type(struct reader *reader);
static void read_constant(struct reader *reader);

static void fail(struct reader *reader)
{
	reader->out->failed = 1;
}

static int failed(const struct reader *reader)
{
	return reader->out->failed;
}

static void put(struct reader *reader, const char *text, size_t bytes)
{
	if (!reader->quiet)
		demangle_append(reader->out, text, bytes);
}

static void put_text(struct reader *reader, const char *text)
{
	put(reader, text, strlen(text));
}

static void put_number(struct reader *reader, uint64_t number)
{
	char text[24];
	put(reader, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)number));
}

static char peek(const struct reader *reader)
{
	return reader->at < reader->bytes ? reader->text[reader->at] : '\0';
}

static char next(struct reader *reader)
{
	char character = peek(reader);
	if (!character)
		fail(reader);
	else
		reader->at++;
	return character;
}

static int accept(struct reader *reader, char wanted)
{
	if (failed(reader) || peek(reader) != wanted)
		return 0;
	reader->at++;
	return 1;
}

/* Before each production that can nest. */
static int enter(struct reader *reader)
{
	if (++reader->depth > DEPTH_MAX || ++reader->steps > STEPS_MAX)
		fail(reader);
	return !failed(reader);
}

static void leave(struct reader *reader)
{
	reader->depth--;
}

/* "_" is 0, "0_" 1, "Z_" 62 and so on. */
static uint64_t read_base_62(struct reader *reader)
{
	uint64_t number = 0;
	if (accept(reader, '_'))
		return 0;
	while (!failed(reader) && !accept(reader, '_')) {
		char digit = next(reader);
		uint64_t value = 0;
		if (digit >= '0' && digit <= '9')
			value = (uint64_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'z')
			value = (uint64_t)(digit - 'a') + 10;
		else if (digit >= 'A' && digit <= 'Z')
			value = (uint64_t)(digit - 'A') + 36;
		else
			fail(reader);
		if (__builtin_mul_overflow(number, 62, &number) ||
		    __builtin_add_overflow(number, value, &number))
			fail(reader);
	}
	if (number == UINT64_MAX)
		fail(reader);
	return failed(reader) ? 0 : number + 1;
}

/* A number behind a letter that need not be there: 0 without, else 1 more than it says. */
static uint64_t read_optional(struct reader *reader, char letter)
{
	return accept(reader, letter) ? read_base_62(reader) + 1 : 0;
}

struct identifier {
	const char *text; /* ASCII, or Punycode */
	size_t bytes;
	int is_punycode;
	uint64_t disambiguator;
};

static struct identifier read_plain_identifier(struct reader *reader)
{
	struct identifier identifier = { .is_punycode = accept(reader, 'u') };
	size_t bytes = 0;
	if (peek(reader) < '0' || peek(reader) > '9')
		fail(reader);
	if (!accept(reader, '0')) {
		while (peek(reader) >= '0' && peek(reader) <= '9' && bytes <= reader->bytes)
			bytes = bytes * 10 + (size_t)(next(reader) - '0');
	}
	accept(reader, '_');
	if (bytes > reader->bytes - reader->at)
		fail(reader);
	if (failed(reader))
		return (struct identifier){ 0 };
	identifier.text = reader->text + reader->at;
	identifier.bytes = bytes;
	reader->at += bytes;
	return identifier;
}

static struct identifier read_identifier(struct reader *reader)
{
	uint64_t disambiguator = read_optional(reader, 's');
	struct identifier identifier = read_plain_identifier(reader);
	identifier.disambiguator = disambiguator;
	return identifier;
}

/* RFC 3492 section 6.1. */
static uint32_t punycode_bias(uint32_t delta, uint32_t count, int first)
{
	delta = first ? delta / 700 : delta / 2;
	delta += delta / count;
	uint32_t k = 0;
	for (; delta > 35 * 26 / 2; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

/* RFC 3492 section 6.2, with '_' as the delimiter. Characters written, 0 when it is none. */
static size_t punycode_decode(const char *text, size_t bytes, uint32_t characters[static IDENTIFIER_MAX])
{
	size_t count = 0, at = 0, basic = bytes;
	while (basic && text[basic - 1] != '_')
		basic--;
	for (; basic && at + 1 < basic; at++) {
		if (count == IDENTIFIER_MAX)
			return 0;
		characters[count++] = (unsigned char)text[at];
	}
	at = basic;
	uint32_t n = 128, i = 0, bias = 72;
	while (at < bytes) {
		uint32_t before = i, weight = 1;
		for (uint32_t k = 36;; k += 36) {
			if (at == bytes)
				return 0;
			char letter = text[at++];
			uint32_t digit = letter >= 'a' && letter <= 'z'	  ? (uint32_t)(letter - 'a')
					 : letter >= '0' && letter <= '9' ? (uint32_t)(letter - '0') + 26
									  : 36;
			uint32_t low = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
			uint32_t step = 0;
			if (digit >= 36 || __builtin_mul_overflow(digit, weight, &step) ||
			    __builtin_add_overflow(i, step, &i))
				return 0;
			if (digit < low)
				break;
			if (__builtin_mul_overflow(weight, 36 - low, &weight))
				return 0;
		}
		if (count == IDENTIFIER_MAX)
			return 0;
		uint32_t length = (uint32_t)count + 1;
		bias = punycode_bias(i - before, length, before == 0);
		if (__builtin_add_overflow(n, i / length, &n))
			return 0;
		i %= length;
		memmove(characters + i + 1, characters + i, (count - i) * sizeof *characters);
		characters[i++] = n;
		count++;
	}
	return count;
}

static void put_identifier(struct reader *reader, const struct identifier *identifier)
{
	if (failed(reader) || reader->quiet)
		return;
	if (!identifier->is_punycode) {
		put(reader, identifier->text, identifier->bytes);
		return;
	}
	uint32_t characters[IDENTIFIER_MAX];
	size_t count = punycode_decode(identifier->text, identifier->bytes, characters);
	if (count == 0)
		fail(reader);
	for (size_t i = 0; i < count; i++)
		demangle_append_character(reader->out, characters[i]);
}

/* Where a back reference leads: always before itself. Returns where to go on, 0 when it failed. */
static size_t follow(struct reader *reader)
{
	size_t reference_at = reader->at - 1; /* its "B" */
	uint64_t target = read_base_62(reader);
	size_t behind = reader->at;
	if (target >= reference_at)
		fail(reader);
	if (failed(reader))
		return 0;
	reader->at = (size_t)target;
	return behind;
}

/* Lifetimes are numbered from the innermost binder: 1 is the last one bound. */
static void put_lifetime(struct reader *reader, uint64_t index)
{
	if (index == 0) {
		put_text(reader, "'_");
		return;
	}
	if (index > reader->lifetimes) {
		fail(reader);
		return;
	}
	uint64_t depth = reader->lifetimes - index;
	char letter = (char)('a' + depth % 26);
	put_text(reader, "'");
	put(reader, &letter, 1);
	if (depth >= 26)
		put_number(reader, depth / 26);
}

/* "for<'a, 'b> "; returns what to take away from reader->lifetimes afterwards. */
static uint64_t read_binder(struct reader *reader)
{
	uint64_t count = accept(reader, 'G') ? read_base_62(reader) + 1 : 0;
	if (count > LIFETIMES_MAX)
		fail(reader);
	if (count == 0 || failed(reader))
		return 0;
	put_text(reader, "for<");
	for (uint64_t i = 0; i < count; i++) {
		reader->lifetimes++;
		put_text(reader, i ? ", " : "");
		put_lifetime(reader, 1);
	}
	put_text(reader, "> ");
	return count;
}

static void read_generic_argument(struct reader *reader)
{
	if (accept(reader, 'L'))
		put_lifetime(reader, read_base_62(reader));
	else if (accept(reader, 'K'))
		read_constant(reader);
	else
		read_type(reader);
}

/* Up to the "E". */
static size_t read_list(struct reader *reader, void (*read_one)(struct reader *reader))
{
	size_t count = 0;
	for (; !failed(reader) && !accept(reader, 'E'); count++) {
		put_text(reader, count ? ", " : "");
		read_one(reader);
	}
	return count;
}

static void read_nested_path(struct reader *reader, int is_value)
{
	char space = next(reader);
	if (!((space >= 'a' && space <= 'z') || (space >= 'A' && space <= 'Z')))
		fail(reader);
	read_path(reader, is_value);
	struct identifier identifier = read_identifier(reader);
	if (space >= 'a' && space <= 'z') {
		if (identifier.bytes) {
			put_text(reader, "::");
			put_identifier(reader, &identifier);
		}
		return;
	}
	put_text(reader, "::{");
	if (space == 'C')
		put_text(reader, "closure");
	else if (space == 'S')
		put_text(reader, "shim");
	else
		put(reader, &space, 1);
	if (identifier.bytes) {
		put_text(reader, ":");
		put_identifier(reader, &identifier);
	}
	put_text(reader, "#");
	put_number(reader, identifier.disambiguator);
	put_text(reader, "}");
}

/* Where an impl stands: says nothing that "<Type as Trait>" does not. */
static void skip_impl_path(struct reader *reader)
{
	int quiet = reader->quiet;
	read_optional(reader, 's');
	reader->quiet = 1;
	read_path(reader, 0);
	reader->quiet = quiet;
}

static void read_as_trait(struct reader *reader, int has_trait)
{
	put_text(reader, "<");
	read_type(reader);
	if (has_trait) {
		put_text(reader, " as ");
		read_path(reader, 0);
	}
	put_text(reader, ">");
}

static void read_path(struct reader *reader, int is_value)
{
	if (!enter(reader))
		return;
	size_t behind;
	switch (next(reader)) {
	case 'C': {
		struct identifier crate = read_identifier(reader);
		put_identifier(reader, &crate);
		break;
	}
	case 'N':
		read_nested_path(reader, is_value);
		break;
	case 'M':
		skip_impl_path(reader);
		read_as_trait(reader, 0);
		break;
	case 'X':
		skip_impl_path(reader);
		read_as_trait(reader, 1);
		break;
	case 'Y':
		read_as_trait(reader, 1);
		break;
	case 'I':
		read_path(reader, is_value);
		put_text(reader, is_value ? "::<" : "<");
		read_list(reader, read_generic_argument);
		put_text(reader, ">");
		break;
	case 'B':
		behind = follow(reader);
		/* What is not written need not be read again. */
		if (behind && !reader->quiet)
			read_path(reader, is_value);
		reader->at = behind;
		break;
	default:
		fail(reader);
	}
	leave(reader);
}

static const char *basic_type(char letter)
{
	static const char *const names[26] = {
		"i8",	 "bool", "char", "f64", "str",	"f32",	NULL,  "u8", "isize",
		"usize", NULL,	 "i32",	 "u32", "i128", "u128", "_",   NULL, NULL,
		"i16",	 "u16",	 "()",	 "...", NULL,	"i64",	"u64", "!",
	};
	return letter >= 'a' && letter <= 'z' ? names[letter - 'a'] : NULL;
}

static void read_function_type(struct reader *reader)
{
	uint64_t bound = read_binder(reader);
	if (accept(reader, 'U'))
		put_text(reader, "unsafe ");
	if (accept(reader, 'K')) {
		put_text(reader, "extern \"");
		if (accept(reader, 'C')) {
			put_text(reader, "C");
		} else {
			struct identifier abi = read_plain_identifier(reader);
			for (size_t i = 0; i < abi.bytes; i++)
				put(reader, abi.text[i] == '_' ? "-" : abi.text + i, 1);
		}
		put_text(reader, "\" ");
	}
	put_text(reader, "fn(");
	read_list(reader, read_type);
	put_text(reader, ")");
	if (!accept(reader, 'u')) {
		put_text(reader, " -> ");
		read_type(reader);
	}
	reader->lifetimes -= bound;
}

/* A trait's path whose "<...>" is left open for what follows. 1: it is open. */
static int read_open_path(struct reader *reader)
{
	int open = 0;
	if (!enter(reader))
		return 0;
	if (accept(reader, 'B')) {
		size_t behind = follow(reader);
		if (behind)
			open = read_open_path(reader);
		reader->at = behind;
	} else if (accept(reader, 'I')) {
		read_path(reader, 0);
		put_text(reader, "<");
		read_list(reader, read_generic_argument);
		open = 1;
	} else {
		read_path(reader, 0);
	}
	leave(reader);
	return open;
}

static void read_dynamic_trait(struct reader *reader)
{
	int open = read_open_path(reader);
	while (accept(reader, 'p')) {
		put_text(reader, open ? ", " : "<");
		open = 1;
		struct identifier name = read_plain_identifier(reader);
		put_identifier(reader, &name);
		put_text(reader, " = ");
		read_type(reader);
	}
	put_text(reader, open ? ">" : "");
}

static void read_dynamic_type(struct reader *reader)
{
	put_text(reader, "dyn ");
	uint64_t bound = read_binder(reader);
	for (size_t i = 0; !failed(reader) && !accept(reader, 'E'); i++) {
		put_text(reader, i ? " + " : "");
		read_dynamic_trait(reader);
	}
	reader->lifetimes -= bound;
	if (!accept(reader, 'L')) {
		fail(reader);
		return;
	}
	uint64_t lifetime = read_base_62(reader);
	if (lifetime) {
		put_text(reader, " + ");
		put_lifetime(reader, lifetime);
	}
}

static void read_reference_type(struct reader *reader, const char *mutable)
{
	put_text(reader, "&");
	if (accept(reader, 'L')) {
		uint64_t lifetime = read_base_62(reader);
		if (lifetime) {
			put_lifetime(reader, lifetime);
			put_text(reader, " ");
		}
	}
	put_text(reader, mutable);
	read_type(reader);
}

static void read_composite_type(struct reader *reader, char letter)
{
	switch (letter) {
	case 'A':
	case 'S':
		put_text(reader, "[");
		read_type(reader);
		if (letter == 'A') {
			put_text(reader, "; ");
			read_constant(reader);
		}
		put_text(reader, "]");
		break;
	case 'T':
		put_text(reader, "(");
		if (read_list(reader, read_type) == 1)
			put_text(reader, ",");
		put_text(reader, ")");
		break;
	case 'R':
	case 'Q':
		read_reference_type(reader, letter == 'Q' ? "mut " : "");
		break;
	case 'P':
	case 'O':
		put_text(reader, letter == 'P' ? "*const " : "*mut ");
		read_type(reader);
		break;
	case 'F':
		read_function_type(reader);
		break;
	case 'D':
		read_dynamic_type(reader);
		break;
	default:
		fail(reader);
	}
}

static void read_type(struct reader *reader)
{
	if (!enter(reader))
		return;
	char letter = peek(reader);
	if (basic_type(letter)) {
		reader->at++;
		put_text(reader, basic_type(letter));
	} else if (letter && strchr("ASTRQPOFD", letter)) {
		reader->at++;
		read_composite_type(reader, letter);
	} else if (accept(reader, 'B')) {
		size_t behind = follow(reader);
		if (behind && !reader->quiet)
			read_type(reader);
		reader->at = behind;
	} else {
		read_path(reader, 0);
	}
	leave(reader);
}

/* Hexadecimal digits up to the "_"; more than 64 bits are given back as text. */
static uint64_t read_hex(struct reader *reader, const char **ret_text, size_t *ret_digits)
{
	uint64_t value = 0;
	size_t digits = 0;
	*ret_text = reader->text + reader->at;
	for (; !failed(reader) && !accept(reader, '_'); digits++) {
		char digit = next(reader);
		if (digit >= '0' && digit <= '9')
			value = value << 4 | (uint64_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'f')
			value = value << 4 | ((uint64_t)(digit - 'a') + 10);
		else
			fail(reader);
	}
	*ret_digits = digits;
	return value;
}

static void put_character_constant(struct reader *reader, uint64_t value)
{
	char text[16];
	put_text(reader, "'");
	if (value == '\'' || value == '\\') {
		put_text(reader, value == '\'' ? "\\'" : "\\\\");
	} else if (value < 0x20 || value == 0x7f) {
		put(reader, text, (size_t)snprintf(text, sizeof text, "\\u{%x}", (unsigned)value));
	} else if (!reader->quiet) {
		demangle_append_character(reader->out, value);
	}
	put_text(reader, "'");
}

static void read_constant_of(struct reader *reader, char type)
{
	const char *text;
	size_t digits;
	int is_signed = strchr("aslxni", type) != NULL;
	if (is_signed && accept(reader, 'n'))
		put_text(reader, "-");
	uint64_t value = read_hex(reader, &text, &digits);
	if (failed(reader))
		return;
	if (type == 'b') {
		if (value > 1)
			fail(reader);
		put_text(reader, value ? "true" : "false");
	} else if (type == 'c') {
		put_character_constant(reader, value);
	} else if (digits > 16) {
		put_text(reader, "0x");
		put(reader, text, digits);
	} else {
		put_number(reader, value);
	}
}

static void read_constant(struct reader *reader)
{
	if (!enter(reader))
		return;
	if (accept(reader, 'p')) {
		put_text(reader, "_");
	} else if (accept(reader, 'B')) {
		size_t behind = follow(reader);
		if (behind && !reader->quiet)
			read_constant(reader);
		reader->at = behind;
	} else {
		char type = next(reader);
		if (type && strchr("aslxnihtmyojbc", type))
			read_constant_of(reader, type);
		else
			fail(reader);
	}
	leave(reader);
}

void demangle_rust(const char *mangled, struct demangle_text *out)
{
	const char *text = mangled + 2;
	/* ".llvm.1234" and the like are the linker's. */
	struct reader reader = { .text = text, .bytes = strcspn(text, ".$"), .out = out };
	if (peek(&reader) < 'A' || peek(&reader) > 'Z') {
		fail(&reader); /* a digit would be a version that we do not know */
		return;
	}
	read_path(&reader, 1);
	if (!failed(&reader) && reader.at < reader.bytes) {
		reader.quiet = 1;
		read_path(&reader, 0); /* the crate that instantiated it */
	}
	if (reader.at < reader.bytes)
		fail(&reader);
}
