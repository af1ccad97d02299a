/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of pprof share: messages put together byte for byte, and a profile with something of
 * everything.
 */
#ifndef TESTS_UNIT_PPROF_PROFILES_H
#define TESTS_UNIT_PPROF_PROFILES_H

#include "pprof/pprof.h"
#include "test.h"

#define REPLACED "\xef\xbf\xbd" /* U+FFFD */

static char error[PPROF_ERROR_BYTES_MAX];

/* ---- Messages by hand ---- */

struct message {
	uint8_t bytes[16384];
	size_t count;
};

static inline void put(struct message *message, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		message->bytes[message->count++] = (uint8_t)(value | 0x80);
	message->bytes[message->count++] = (uint8_t)value;
}

static inline void put_number(struct message *message, unsigned field, uint64_t value)
{
	put(message, field << 3);
	put(message, value);
}

static inline void put_part(struct message *message, unsigned field, const void *bytes, size_t count)
{
	put(message, field << 3 | 2);
	put(message, count);
	if (count)
		memcpy(message->bytes + message->count, bytes, count);
	message->count += count;
}

static inline void put_text(struct message *message, const char *text)
{
	put_part(message, 6, text, strlen(text));
}

/* A part made of numbers: field, value, field, value, ..., 0. */
static inline void put_numbers(struct message *message, unsigned field, const uint64_t *pairs)
{
	static struct message part;
	part.count = 0;
	for (; pairs[0]; pairs += 2)
		put_number(&part, (unsigned)pairs[0], pairs[1]);
	put_part(message, field, part.bytes, part.count);
}
#define PUT(message, field, ...) put_numbers(message, field, (const uint64_t[]){ __VA_ARGS__, 0 })

/* "", "a", "b", "c" */
static inline void put_strings(struct message *message)
{
	put_text(message, "");
	put_text(message, "a");
	put_text(message, "b");
	put_text(message, "c");
}

static inline struct pprof *decode(const struct message *message)
{
	error[0] = '\0';
	/* On the heap, so that a sanitizer sees a read behind the end. */
	uint8_t *copy = malloc(message->count);
	memcpy(copy, message->bytes, message->count);
	struct pprof *profile = pprof_decode(copy, message->count, "hand.pprof", error);
	free(copy);
	return profile;
}

static inline struct pprof *decode_good(const struct message *message)
{
	struct pprof *profile = decode(message);
	if (!profile)
		FAIL("not read: %s", error);
	return profile;
}

static inline void refused(const struct message *message, const char *why)
{
	struct pprof *profile = decode(message);
	if (profile)
		FAIL("read, but should be refused for: %s", why);
	HAS_TEXT(error, "hand.pprof");
	HAS_TEXT(error, why);
}

/* ---- Profiles by the builder ---- */

static inline uint32_t add_function(struct pprof *profile, const char *name)
{
	uint32_t text = pprof_string(profile, name);
	return pprof_add_function(profile, &(struct pprof_function){ .name = text, .system_name = text });
}

static inline uint32_t add_location(struct pprof *profile, uint32_t mapping, uint64_t address,
				    const char *name)
{
	struct pprof_line line = { add_function(profile, name), 7 };
	return pprof_add_location(profile, mapping, address, &line, 1);
}

static inline struct pprof *small_profile(void)
{
	struct pprof *profile = pprof_create();
	pprof_add_value_type(profile, "samples", "count");
	pprof_add_value_type(profile, "cpu", "nanoseconds");
	return profile;
}

/* Something of everything. */
static inline struct pprof *full_profile(void)
{
	struct pprof *profile = small_profile();
	profile->period_type = profile->value_types[1];
	profile->period = 10101010;
	profile->time_ns = 1700000000123456789;
	profile->duration_ns = 5000000000;
	profile->default_value_type = profile->value_types[1].type;
	pprof_add_comment(profile, "akamai-prof 0.1.0");
	pprof_add_comment(profile, "dropped 0");
	pprof_add_comment(profile, "truncated 1");
	struct pprof_mapping program = { .start = 0x400000,
					 .limit = 0x500000,
					 .file_offset = 0x1000,
					 .filename = pprof_string(profile, "/usr/bin/x"),
					 .build_id = pprof_string(profile, "00ff"),
					 .has_functions = 1,
					 .has_line_numbers = 1 };
	struct pprof_mapping kernel = { .start = UINT64_C(0xffffffff81000000),
					.limit = UINT64_C(0xffffffffffffffff),
					.filename = pprof_string(profile, "[kernel.kallsyms]"),
					.has_filenames = 1,
					.has_inline_frames = 1 };
	uint32_t program_id = pprof_add_mapping(profile, &program);
	uint32_t kernel_id = pprof_add_mapping(profile, &kernel);
	struct pprof_function deep = { .name = pprof_string(profile, "deep"),
				       .system_name = pprof_string(profile, "_Z4deepv"),
				       .filename = pprof_string(profile, "deep.cc"),
				       .start_line = 42 };
	struct pprof_line lines[] = { { pprof_add_function(profile, &deep), 43 },
				      { add_function(profile, "outer"), -1 } };
	uint32_t stack[] = { pprof_add_location(profile, kernel_id, UINT64_C(0xffffffff81000010), lines + 1,
						1),
			     pprof_add_location(profile, program_id, 0x400123, lines, 2),
			     add_location(profile, 0, 0, "[truncated]") };
	struct pprof_label labels[] = {
		{ .key = pprof_string(profile, "stage"), .text = pprof_string(profile, "inflate") },
		{ .key = pprof_string(profile, "thread_id"), .number = 17 },
		{ .key = pprof_string(profile, "bytes"),
		  .number = -4,
		  .unit = pprof_string(profile, "bytes") },
	};
	pprof_add_sample(profile, stack, 3, labels, 3, (int64_t[]){ 1, 10101010 });
	pprof_add_sample(profile, stack, 2, NULL, 0, (int64_t[]){ INT64_MIN, INT64_MAX });
	pprof_add_sample(profile, NULL, 0, labels, 1, (int64_t[]){ 0, 0 });
	return profile;
}

static inline void same(const struct pprof *a, const struct pprof *b)
{
	size_t a_bytes, b_bytes;
	uint8_t *a_message = pprof_encode(a, &a_bytes), *b_message = pprof_encode(b, &b_bytes);
	EQ_BYTES(a_message, a_bytes, b_message, b_bytes);
	free(a_message);
	free(b_message);
}

#endif
