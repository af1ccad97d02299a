/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of the pprof room: messages in any shape that is allowed, and the sentence for those that are
 * not.
 */
#include "pprof_profiles.h"

/* ---- Reading what others write ---- */

static void any_order_any_ids(void)
{
	struct message message = { .count = 0 };
	/* Sample first, everything that it needs behind it; unpacked and packed; ids far apart. */
	static struct message sample;
	sample.count = 0;
	put_number(&sample, 2, 3);
	put_number(&sample, 1, 900);
	put_part(&sample, 1, "\x07\x84\x07", 3); /* 7 and 900, packed */
	put_number(&sample, 2, (uint64_t)-4);
	PUT(&sample, 3, 3, 12, 1, 2);
	put_part(&message, 2, sample.bytes, sample.count);
	static struct message location;
	location.count = 0;
	PUT(&location, 4, 2, 9, 1, UINT64_MAX);
	put_number(&location, 3, 0x10);
	put_number(&location, 2, 3);
	put_number(&location, 1, 900);
	put_part(&message, 4, location.bytes, location.count);
	location.count = 0;
	PUT(&location, 4, 1, 2);
	put_number(&location, 1, 7);
	put_number(&location, 2, 12345); /* no such mapping: none */
	put_part(&message, 4, location.bytes, location.count);
	PUT(&message, 5, 2, 1, 1, UINT64_MAX);
	PUT(&message, 5, 2, 2, 1, 2);
	PUT(&message, 3, 1, 3, 5, 3);
	PUT(&message, 1, 2, 2, 1, 1);
	PUT(&message, 1, 2, 2, 1, 3);
	put_strings(&message);
	struct pprof *profile = decode_good(&message);
	EQ(profile->sample_count, 1);
	EQ(profile->samples[0].values[0], 3);
	EQ(profile->samples[0].values[1], -4);
	EQ(profile->location_id_count, 3);
	EQ(profile->location_ids[0], 1);
	EQ(profile->location_ids[1], 2);
	EQ(profile->location_ids[2], 1);
	EQ(profile->locations[0].mapping_id, 1);
	EQ(profile->locations[1].mapping_id, 0);
	EQ_TEXT(pprof_text(profile, profile->functions[profile->lines[0].function_id - 1].name), "a");
	EQ_TEXT(pprof_text(profile, profile->functions[profile->lines[1].function_id - 1].name), "b");
	EQ(profile->labels[0].number, 12);
	EQ_TEXT(pprof_text(profile, profile->labels[0].key), "b");
	pprof_destroy(profile);
}

static void unknown_fields_are_stepped_over(void)
{
	struct message message = { .count = 0 };
	put_number(&message, 99, UINT64_MAX);
	put(&message, 100 << 3 | 1); /* 64 bits that look like a damaged field */
	memset(message.bytes + message.count, 0xff, 8);
	message.count += 8;
	put_strings(&message);
	put(&message, 101 << 3 | 5); /* 32 bits */
	memset(message.bytes + message.count, 0xff, 4);
	message.count += 4;
	put_part(&message, (1 << 29) - 1, "\x07\x07", 2);
	PUT(&message, 3, 1, 1, 77, 5, 5, 2);
	struct pprof *profile = decode_good(&message);
	EQ(profile->string_count, 4);
	EQ_TEXT(pprof_text(profile, profile->mappings[0].filename), "b");
	pprof_destroy(profile);
}

static void equal_elements_stay_apart(void)
{
	/* Converters of other formats give every location the address 0. */
	struct message message = { .count = 0 };
	put_strings(&message);
	PUT(&message, 1, 1, 1);
	PUT(&message, 3, 1, 1, 5, 1);
	for (uint64_t id = 1; id <= 3; id++) {
		static struct message location;
		PUT(&message, 5, 1, id, 2, id == 3 ? 2 : id);
		location.count = 0;
		put_number(&location, 1, id);
		put_number(&location, 2, 1);
		PUT(&location, 4, 1, id);
		put_part(&message, 4, location.bytes, location.count);
		PUT(&message, 2, 1, id, 2, 1);
		PUT(&message, 2, 1, id, 2, 1);
	}
	struct pprof *profile = decode_good(&message);
	EQ(profile->function_count, 3);
	EQ(profile->location_count, 3);
	EQ(profile->sample_count, 6);
	EQ(pprof_total(profile, 0), 6);
	pprof_destroy(profile);
}

static void locations_without_functions_get_names(void)
{
	struct message message = { .count = 0 };
	put_text(&message, "");
	put_text(&message, "/lib/libx.so.6");
	PUT(&message, 3, 1, 1, 2, 0x7000, 3, 0x9000, 4, 0x100, 5, 1);
	PUT(&message, 4, 1, 1, 2, 1, 3, 0x7010);
	PUT(&message, 4, 1, 2, 2, 1, 3, 0x9000); /* not inside */
	PUT(&message, 4, 1, 3, 3, 0x1234);
	static struct message location;
	location.count = 0;
	put_number(&location, 1, 4);
	PUT(&location, 4, 2, 17); /* a line, but no function */
	put_part(&message, 4, location.bytes, location.count);
	struct pprof *profile = decode_good(&message);
	static const char *const names[] = { "libx.so.6!0x110", "libx.so.6!0x9000", "0x1234", "0x0" };
	for (size_t i = 0; i < 4; i++) {
		EQ(profile->locations[i].lines_count, 1);
		const struct pprof_line *line = &profile->lines[profile->locations[i].lines_first];
		EQ_TEXT(pprof_text(profile, profile->functions[line->function_id - 1].name), names[i]);
		EQ_TEXT(pprof_text(profile, profile->functions[line->function_id - 1].system_name), names[i]);
		EQ(line->line, i == 3 ? 17 : 0);
	}
	pprof_destroy(profile);
}

static void labels_like_go_reads_them(void)
{
	struct message message = { .count = 0 };
	put_strings(&message);
	PUT(&message, 1, 1, 1);
	static struct message sample;
	sample.count = 0;
	put_number(&sample, 2, 1);
	PUT(&sample, 3, 1, 1, 2, 2, 3, 5, 4, 3); /* both: the text counts */
	PUT(&sample, 3, 2, 2);			 /* no key */
	PUT(&sample, 3, 1, 3, 4, 2);		 /* 0 of some unit */
	put_part(&message, 2, sample.bytes, sample.count);
	struct pprof *profile = decode_good(&message);
	EQ(profile->label_count, 2);
	EQ_TEXT(pprof_text(profile, profile->labels[0].text), "b");
	EQ(profile->labels[0].number, 0);
	EQ(profile->labels[0].unit, 0);
	EQ_TEXT(pprof_text(profile, profile->labels[1].unit), "b");
	pprof_destroy(profile);
}

static void strings_in_files_are_cleaned(void)
{
	struct message message = { .count = 0 };
	put_text(&message, "");
	put_part(&message, 6, "a\0b", 3);
	put_text(&message, "a");
	put_text(&message, "a\xff");
	put_text(&message, "a");
	put_part(&message, 13, "\1\2\3\4", 4);
	struct pprof *profile = decode_good(&message);
	EQ(profile->comment_count, 4);
	EQ_TEXT(pprof_text(profile, profile->comments[0]), "a" REPLACED "b");
	EQ_TEXT(pprof_text(profile, profile->comments[1]), "a");
	EQ_TEXT(pprof_text(profile, profile->comments[2]), "a" REPLACED);
	EQ(profile->comments[3], profile->comments[1]);
	pprof_destroy(profile);
}

/* ---- Refusing ---- */

static void refused_with_the_byte(void)
{
	static const struct {
		const char *bytes;
		size_t count;
		const char *why;
	} cases[] = {
#define CASE(bytes, why) { bytes, sizeof bytes - 1, why }
		CASE("\x00\x00", "no such field number, at byte 0 of the file"),
		CASE("\x32\x00\x07", "no such field number, at byte 2"),
		CASE("\x32\x00\x33", "no such wire type, at byte 2"),
		CASE("\x32\x00\x34", "no such wire type, at byte 2"),
		CASE("\x32\x00\x36", "no such wire type, at byte 2"),
		CASE("\x32\x00\x80", "the key of a field is cut off or too long, at byte 2"),
		CASE("\x32\x00\x60", "a number is cut off or too long, at byte 3"),
		CASE("\x32\x00\x60\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "too long, at byte 3"),
		CASE("\x32\x00\x60\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "too long, at byte 3"),
		CASE("\x32\x00\x32", "a length is cut off or too long, at byte 3"),
		CASE("\x32\x00\x32\x01", "longer than what is left, at byte 2"),
		CASE("\x32\x00\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than what is left"),
		CASE("\x32\x00\x61\x00\x00\x00\x00\x00\x00\x00", "a number is cut off, at byte 2"),
		CASE("\x32\x00\x65\x00\x00\x00", "a number is cut off, at byte 2"),
		CASE("\x60\x01", "there is no string table, at byte 2"),
		CASE("\x32\x01x", "the first string is not empty, at byte 0"),
		CASE("\x30\x00", "field 6 has wire type 0 instead of 2, at byte 0"),
		CASE("\x32\x00\x12\x02\x10\x01", "1 values for 0 sample types, at byte 2"),
		CASE("\x32\x00\x12\x00", "0 values for 0 sample types, at byte 2"),
		CASE("\x32\x00\x0a\x02\x08\x01", "string 1 of 1, at byte 4"),
		CASE("\x32\x00\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		     "string 18446744073709551615 of 1"),
		CASE("\x32\x00\x0a\x00\x12\x00", "0 values for 1 sample types, at byte 4"),
		CASE("\x32\x00\x0a\x00\x12\x04\x10\x01\x10\x01", "2 values for 1 sample types, at byte 4"),
		CASE("\x32\x00\x0a\x00\x12\x0c\x12\x0a\1\1\1\1\1\1\1\1\1\1", "10 values for 1 sample types"),
		CASE("\x32\x00\x0a\x00\x12\x03\x12\x01\x80",
		     "a packed number is cut off or too long, at byte 8"),
		CASE("\x32\x00\x0a\x00\x12\x04\x08\x01\x10\x01", "there is no location 1, at byte 6"),
		CASE("\x32\x00\x0a\x00\x12\x04\x08\x00\x10\x01", "there is no location 0, at byte 6"),
		CASE("\x32\x00\x08\x00", "field 1 has wire type 0 instead of 2, at byte 2"),
		CASE("\x32\x00\x62\x00", "field 12 has wire type 2 instead of 0, at byte 2"),
		CASE("\x32\x00\x1a\x00", "a mapping without an id, at byte 2"),
		CASE("\x32\x00\x22\x00", "a location without an id, at byte 2"),
		CASE("\x32\x00\x2a\x02\x08\x00", "a function without an id, at byte 2"),
		CASE("\x32\x00\x1a\x02\x08\x01\x1a\x02\x08\x01", "a second mapping with id 1, at byte 6"),
		CASE("\x32\x00\x2a\x02\x08\x09\x2a\x02\x08\x09", "a second function with id 9, at byte 6"),
		CASE("\x32\x00\x22\x02\x08\x05\x22\x02\x08\x05", "a second location with id 5, at byte 6"),
		CASE("\x32\x00\x22\x06\x08\x01\x22\x02\x08\x03", "there is no function 3, at byte 6"),
		CASE("\x32\x00\x48\x01\x48\x01", "a second profile begins in this one, at byte 4"),
		CASE("\x32\x00\x70\x01", "string 1 of 1, at byte 2"),
		CASE("\x32\x00\x1a\x04\x08\x01\x28\x01", "string 1 of 1, at byte 6"),
		CASE("<!DOCTYPE html>\n", "at byte"),
		CASE("heap profile: 1: 2 [3: 4] @ heap/1048576\n", "at byte"),
#undef CASE
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct message message = { .count = cases[i].count };
		memcpy(message.bytes, cases[i].bytes, cases[i].count);
		refused(&message, cases[i].why);
	}
	EQ(pprof_decode((const uint8_t *)"", 0, "hand.pprof", error) == NULL, 1);
	HAS_TEXT(error, "the profile hand.pprof is empty");
}

static void every_prefix(void)
{
	struct pprof *profile = full_profile();
	size_t bytes;
	uint8_t *message = pprof_encode(profile, &bytes);
	unsigned good = 0;
	for (size_t count = 1; count < bytes; count++) {
		uint8_t *prefix = malloc(count);
		memcpy(prefix, message, count);
		error[0] = '\0';
		struct pprof *part = pprof_decode(prefix, count, "prefix", error);
		good += part != NULL;
		if (!part)
			HAS_TEXT(error, ", at byte ");
		pprof_destroy(part);
		free(prefix);
	}
	/* Only where what is cut off is all optional. */
	GE(good, 4);
	LE(good, 12);
	free(message);
	pprof_destroy(profile);
}

/* A message with `count` of something in it. */
static struct message with_many(char what, size_t count)
{
	struct message message = { .count = 0 };
	static struct message sample;
	put_strings(&message);
	PUT(&message, 5, 1, 1);
	sample.count = 0;
	put_number(&sample, 1, 1);
	for (size_t i = 0; what == 'l' && i < count; i++)
		PUT(&sample, 4, 1, 1);
	put_part(&message, 4, sample.bytes, sample.count);
	for (size_t i = 0; i < (what == 't' ? count : 1); i++)
		PUT(&message, 1, 1, 1);
	sample.count = 0;
	for (size_t i = 0; what == 'f' && i < count; i++)
		put_number(&sample, 1, 1);
	for (size_t i = 0; what == 'k' && i < count; i++)
		PUT(&sample, 3, 1, 1, 2, 2);
	if (what != 't') {
		put_number(&sample, 2, 1);
		put_part(&message, 2, sample.bytes, sample.count);
	}
	return message;
}

static void limits_hold(void)
{
	static const struct {
		char what;
		size_t max;
		const char *why;
	} cases[] = {
		{ 'f', PPROF_FRAMES_MAX, "more than 1024 frames in a sample" },
		{ 'k', PPROF_LABELS_MAX, "more than 16 labels on a sample" },
		{ 'l', PPROF_LINES_MAX, "more than 64 functions inlined at one address" },
		{ 't', PPROF_VALUES_MAX, "more than 8 sample types" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct message message = with_many(cases[i].what, cases[i].max);
		struct pprof *profile = decode_good(&message);
		struct pprof *again;
		size_t bytes;
		uint8_t *encoded = pprof_encode(profile, &bytes);
		again = pprof_decode(encoded, bytes, "again", error);
		NE(again == NULL, 1);
		same(profile, again);
		free(encoded);
		pprof_destroy(again);
		pprof_destroy(profile);
		message = with_many(cases[i].what, cases[i].max + 1);
		refused(&message, cases[i].why);
	}
}

static void too_many_elements(void)
{
	/* Strings of no bytes: the cheapest element that a file can have. */
	size_t count = 2 * (PPROF_ELEMENTS_MAX + 1);
	uint8_t *bytes = malloc(count);
	for (size_t i = 0; i < count; i += 2) {
		bytes[i] = 0x32;
		bytes[i + 1] = 0;
	}
	struct pprof *profile = pprof_decode(bytes, count - 2, "many", error);
	NE(profile == NULL, 1);
	EQ(profile->string_count, 1);
	pprof_destroy(profile);
	EQ(pprof_decode(bytes, count, "many", error) == NULL, 1);
	HAS_TEXT(error, "more than 4194304 strings, at byte 8388608 of the file");
	free(bytes);
}

TEST_MAIN(T(any_order_any_ids), T(unknown_fields_are_stepped_over), T(equal_elements_stay_apart),
	  T(locations_without_functions_get_names), T(labels_like_go_reads_them),
	  T(strings_in_files_are_cleaned), T(refused_with_the_byte), T(every_prefix), T(limits_hold),
	  T(too_many_elements))
