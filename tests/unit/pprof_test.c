/* SPDX-License-Identifier: Apache-2.0
 *
 * The pprof room: merging, the bytes that are written, files and gzip.
 */
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "pprof_profiles.h"

/* ---- Building ---- */

static void equal_samples_merge(void)
{
	struct pprof *profile = small_profile();
	uint32_t stack[] = { add_location(profile, 0, 1, "f"), add_location(profile, 0, 2, "g") };
	uint32_t turned[] = { stack[1], stack[0] };
	struct pprof_label labels[] = { { .key = pprof_string(profile, "k"), .number = 1 },
					{ .key = pprof_string(profile, "k"), .number = 2 } };
	struct pprof_label turned_labels[] = { labels[1], labels[0] };
	for (int i = 0; i < 3; i++) {
		pprof_add_sample(profile, stack, 2, labels, 2, (int64_t[]){ 1, 10 });
		pprof_add_sample(profile, turned, 2, labels, 2, (int64_t[]){ 1, 20 });
		pprof_add_sample(profile, stack, 2, turned_labels, 2, (int64_t[]){ 1, 30 });
		pprof_add_sample(profile, stack, 2, labels, 1, (int64_t[]){ 1, 40 });
		pprof_add_sample(profile, stack, 1, labels, 2, (int64_t[]){ 1, 50 });
	}
	EQ(profile->sample_count, 5);
	for (size_t i = 0; i < 5; i++) {
		EQ(profile->samples[i].values[0], 3);
		EQ(profile->samples[i].values[1], 30 * (int)(i + 1));
	}
	EQ(pprof_total(profile, 1), 450);
	pprof_destroy(profile);
}

static void labels_differ_in_each_part(void)
{
	struct pprof *profile = small_profile();
	uint32_t one = pprof_string(profile, "one"), two = pprof_string(profile, "two");
	const struct pprof_label labels[] = { { one, 0, 0, 0 },	  { two, 0, 0, 0 }, { one, one, 0, 0 },
					      { one, two, 0, 0 }, { one, 0, 1, 0 }, { one, 0, 1, one },
					      { one, 0, 1, two } };
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < 7; i++)
			pprof_add_sample(profile, NULL, 0, &labels[i], 1, (int64_t[]){ 1, 1 });
	EQ(profile->sample_count, 7);
	EQ(pprof_total(profile, 0), 14);
	pprof_destroy(profile);
}

static void many_of_everything(void)
{
	enum { MANY = 20000 };
	struct pprof *profile = small_profile();
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			char name[32];
			snprintf(name, sizeof name, "function %u", i);
			uint32_t ids[] = { add_location(profile, 0, 0x1000 + i, name), 1 };
			EQ(ids[0], i + 1);
			EQ(pprof_find_location(profile, 0, 0x1000 + i), i + 1);
			pprof_add_sample(profile, ids, 2, NULL, 0, (int64_t[]){ 1, i });
		}
	}
	EQ(profile->string_count, 5 + MANY);
	EQ(profile->function_count, MANY);
	EQ(profile->location_count, MANY);
	EQ(profile->line_count, MANY);
	EQ(profile->sample_count, MANY);
	EQ(profile->location_id_count, 2 * MANY);
	EQ(profile->samples[MANY - 1].values[1], 2 * (MANY - 1));
	EQ(pprof_find_location(profile, 0, 0xfff), 0);
	EQ(pprof_find_location(profile, 1, 0x1000), 0);
	pprof_destroy(profile);
}

static void frames_without_code_differ_by_name(void)
{
	struct pprof *profile = small_profile();
	uint32_t truncated = add_location(profile, 0, 0, "[truncated]");
	uint32_t lost = add_location(profile, 0, 0, "[lost]");
	NE(truncated, lost);
	EQ(add_location(profile, 0, 0, "[truncated]"), truncated);
	EQ(add_location(profile, 0, 0, "[lost]"), lost);
	EQ(pprof_find_location(profile, 0, 0), 0);
	pprof_destroy(profile);
}

static void functions_differ_in_each_part(void)
{
	struct pprof *profile = pprof_create();
	uint32_t one = pprof_string(profile, "one");
	const struct pprof_function functions[] = {
		{ one, 0, 0, 0 }, { 0, one, 0, 0 }, { 0, 0, one, 0 }, { one, one, 0, 0 }, { one, 0, 0, 1 }
	};
	for (uint32_t i = 0; i < 10; i++)
		EQ(pprof_add_function(profile, &functions[i % 5]), i % 5 + 1);
	pprof_destroy(profile);
}

static void sums_stop_at_the_ends(void)
{
	struct pprof *profile = small_profile();
	uint32_t f = add_location(profile, 0, 1, "f");
	for (int i = 0; i < 2; i++)
		pprof_add_sample(profile, &f, 1, NULL, 0, (int64_t[]){ INT64_MAX, INT64_MIN });
	EQ(profile->samples[0].values[0], INT64_MAX);
	EQ(profile->samples[0].values[1], INT64_MIN);
	pprof_add_sample(profile, NULL, 0, NULL, 0, (int64_t[]){ 1, -1 });
	EQ(pprof_total(profile, 0), INT64_MAX);
	EQ(pprof_total(profile, 1), INT64_MIN);
	pprof_destroy(profile);
}

static void strings_become_utf8(void)
{
	static const char *const texts[][2] = {
		{ "plain", "plain" },
		{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "a\x80z", "a" REPLACED "z" },
		{ "\xc3", REPLACED },
		{ "\xc1\x81", REPLACED REPLACED },		/* overlong */
		{ "\xe0\x9f\xbf", REPLACED REPLACED REPLACED }, /* overlong */
		{ "\xed\xa0\x80", REPLACED REPLACED REPLACED }, /* surrogate */
		{ "\xf0\x8f\xbf\xbf", REPLACED REPLACED REPLACED REPLACED },
		{ "\xf4\x90\x80\x80", REPLACED REPLACED REPLACED REPLACED },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" }, /* U+10FFFF */
		{ "\xe2\x82x", REPLACED REPLACED "x" },
		{ "\xf5\x80\x80\x80", REPLACED REPLACED REPLACED REPLACED },
	};
	struct pprof *profile = pprof_create();
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		uint32_t string = pprof_string(profile, texts[i][0]);
		EQ_TEXT(pprof_text(profile, string), texts[i][1]);
		EQ(pprof_string(profile, texts[i][0]), string);
		EQ(pprof_string(profile, texts[i][1]), string);
	}
	EQ(pprof_string(profile, ""), 0);
	pprof_destroy(profile);
}

static void looking(void)
{
	struct pprof *profile = full_profile();
	EQ(pprof_value_index(profile, "cpu"), 1);
	EQ(pprof_value_index(profile, "samples"), 0);
	EQ(pprof_value_index(profile, "nanoseconds"), -1);
	EQ_TEXT(pprof_label_text(profile, &profile->samples[0], "stage"), "inflate");
	EQ(pprof_label_text(profile, &profile->samples[0], "thread_id") == NULL, 1);
	EQ(pprof_label_text(profile, &profile->samples[0], "never heard of") == NULL, 1);
	EQ(pprof_label_text(profile, &profile->samples[1], "stage") == NULL, 1);
	pprof_destroy(profile);
}

/* ---- Writing ---- */

static void exact_bytes(void)
{
	struct pprof *profile = pprof_create();
	pprof_add_value_type(profile, "s", "c");
	profile->default_value_type = profile->value_types[0].type;
	profile->period = -1;
	pprof_add_mapping(profile, &(struct pprof_mapping){ .limit = 300, .has_functions = 9 });
	uint32_t f = add_location(profile, 1, 5, "f");
	uint32_t stack[] = { f, f, f };
	pprof_add_sample(profile, stack, 2, NULL, 0, (int64_t[]){ 1 });
	pprof_add_sample(profile, stack, 3, NULL, 0, (int64_t[]){ 128 });
	static const uint8_t wanted[] = {
		0x0a, 4,    8,	  1,	16,   2,	     /* sample type */
		0x12, 6,    8,	  1,	8,    1,    16,	  1, /* sample: two ids, each with its key */
		0x12, 8,    0x0a, 3,	1,    1,    1,	  16,	0x80, 1, /* three ids, packed */
		0x1a, 7,    8,	  1,	24,   0xac, 2,	  56,	1,	 /* mapping */
		0x22, 12,   8,	  1,	16,   1,    24,	  5,	0x22, 4,    8,
		1,    16,   7,							 /* location with a line */
		0x2a, 6,    8,	  1,	16,   3,    24,	  3,			 /* function */
		0x32, 0,    0x32, 1,	's',  0x32, 1,	  'c',	0x32, 1,    'f', /* strings */
		0x60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,	 /* period */
		0x70, 1,							 /* default sample type */
	};
	size_t bytes;
	uint8_t *message = pprof_encode(profile, &bytes);
	EQ_BYTES(message, bytes, wanted, sizeof wanted);
	free(message);
	pprof_destroy(profile);
}

static void round_trip(void)
{
	struct pprof *profile = full_profile();
	size_t bytes;
	uint8_t *message = pprof_encode(profile, &bytes);
	struct pprof *again = pprof_decode(message, bytes, "again", error);
	NE(again == NULL, 1);
	same(profile, again);
	EQ(again->value_count, 2);
	EQ(again->period, 10101010);
	EQ(again->time_ns, 1700000000123456789);
	EQ(again->duration_ns, 5000000000);
	EQ_TEXT(pprof_text(again, again->period_type.type), "cpu");
	EQ_TEXT(pprof_text(again, again->default_value_type), "cpu");
	EQ(again->comment_count, 3);
	EQ_TEXT(pprof_text(again, again->comments[2]), "truncated 1");
	EQ(again->mapping_count, 2);
	EQ(again->mappings[0].file_offset, 0x1000);
	EQ_TEXT(pprof_text(again, again->mappings[0].build_id), "00ff");
	EQ(again->mappings[1].has_inline_frames, 1);
	EQ(again->mappings[1].has_functions, 0);
	EQ(again->locations[1].lines_count, 2);
	EQ(again->lines[again->locations[1].lines_first].line, 43);
	EQ(again->lines[again->locations[1].lines_first + 1].line, -1);
	EQ(again->samples[1].values[0], INT64_MIN);
	EQ(again->labels[2].number, -4);
	/* What was read goes on merging. */
	pprof_add_sample(again, NULL, 0, again->labels, 1, (int64_t[]){ 5, 6 });
	EQ(again->sample_count, 3);
	EQ(again->samples[2].values[1], 6);
	EQ(pprof_find_location(again, 1, 0x400123), 2);
	EQ(add_location(again, 0, 0, "[truncated]"), 3);
	EQ(add_location(again, 0, 0, "[lost]"), 4);
	free(message);
	pprof_destroy(again);
	pprof_destroy(profile);
}

static void default_type_is_far_back(void)
{
	for (unsigned before = 0; before < 2; before++) {
		struct pprof *profile = pprof_create();
		if (before)
			profile->default_value_type = pprof_string(profile, "inuse_space");
		static const char *const types[] = { "alloc_objects", "alloc_space", "inuse_objects",
						     "inuse_space" };
		for (size_t i = 0; i < 4; i++)
			pprof_add_value_type(profile, types[i], "bytes");
		profile->default_value_type = pprof_string(profile, "inuse_space");
		size_t bytes;
		uint8_t *message = pprof_encode(profile, &bytes);
		EQ(message[bytes - 2], 14 << 3);
		GE(message[bytes - 1], 4);
		struct pprof *again = pprof_decode(message, bytes, "again", error);
		EQ_TEXT(pprof_text(again, again->default_value_type), "inuse_space");
		same(profile, again);
		free(message);
		pprof_destroy(again);
		pprof_destroy(profile);
	}
	/* A file with more sample types than strings. */
	struct message message = { .count = 0 };
	put_text(&message, "");
	put_text(&message, "t");
	for (int i = 0; i < PPROF_VALUES_MAX; i++)
		PUT(&message, 1, 1, 1);
	put_number(&message, 14, 1);
	struct pprof *profile = decode_good(&message);
	size_t bytes;
	uint8_t *encoded = pprof_encode(profile, &bytes);
	EQ(encoded[bytes - 1], PPROF_VALUES_MAX);
	struct pprof *again = pprof_decode(encoded, bytes, "again", error);
	EQ_TEXT(pprof_text(again, again->default_value_type), "t");
	free(encoded);
	pprof_destroy(again);
	pprof_destroy(profile);
}

static void nothing_in_it(void)
{
	struct pprof *profile = pprof_create();
	size_t bytes;
	uint8_t *message = pprof_encode(profile, &bytes);
	EQ_BYTES(message, bytes, "\x32\x00", 2);
	struct pprof *again = pprof_decode(message, bytes, "again", error);
	EQ(again->sample_count + again->value_count + again->mapping_count, 0);
	EQ(again->string_count, 1);
	free(message);
	pprof_destroy(again);
	pprof_destroy(profile);
	pprof_destroy(NULL);
}

/* ---- Files ---- */

static char folder[32], path[64];

/* A path in a new folder. */
static const char *in_new_folder(const char *name)
{
	snprintf(folder, sizeof folder, "/tmp/pprof_test_XXXXXX");
	if (!mkdtemp(folder))
		FAIL("no temporary folder");
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void leave_folder(void)
{
	EQ(rmdir(folder), 0);
}

static size_t read_file(const char *name, uint8_t *bytes, size_t room)
{
	FILE *file = fopen(name, "rb");
	NE(file == NULL, 1);
	size_t count = fread(bytes, 1, room, file);
	fclose(file);
	return count;
}

static void files_are_gzip_without_time(void)
{
	static uint8_t first[4096], second[4096];
	struct pprof *profile = full_profile(), *other = full_profile();
	EQ(pprof_write(profile, in_new_folder("a.pprof"), error), 0);
	size_t first_bytes = read_file(path, first, sizeof first);
	struct pprof *again = pprof_read(path, error);
	NE(again == NULL, 1);
	same(profile, again);
	EQ(pprof_write(other, path, error), 0); /* over the old one */
	size_t second_bytes = read_file(path, second, sizeof second);
	EQ_BYTES(first, first_bytes, second, second_bytes);
	EQ_BYTES(first, 8, "\x1f\x8b\x08\0\0\0\0\0", 8);
	unlink(path);
	leave_folder(); /* nothing is left beside it */
	pprof_destroy(again);
	pprof_destroy(other);
	pprof_destroy(profile);
}

static void plain_files_are_read(void)
{
	struct pprof *profile = full_profile();
	size_t bytes;
	uint8_t *message = pprof_encode(profile, &bytes);
	FILE *file = fopen(in_new_folder("plain"), "wb");
	EQ(fwrite(message, 1, bytes, file), bytes);
	fclose(file);
	struct pprof *again = pprof_read(path, error);
	NE(again == NULL, 1);
	same(profile, again);
	unlink(path);
	leave_folder();
	free(message);
	pprof_destroy(again);
	pprof_destroy(profile);
}

static void errors_name_the_path(void)
{
	struct pprof *profile = full_profile();
	EQ(pprof_write(profile, "/nonexistent/x.pprof", error), -1);
	HAS_TEXT(error, "/nonexistent/x.pprof: No such file or directory");
	/* The old file stays when a new one cannot be written: here, because a folder has its name. */
	in_new_folder("taken");
	EQ(mkdir(path, 0700), 0);
	EQ(pprof_write(profile, path, error), -1);
	HAS_TEXT(error, path);
	EQ(rmdir(path), 0);
	EQ(pprof_read(path, error) == NULL, 1);
	HAS_TEXT(error, path);
	HAS_TEXT(error, "No such file or directory");
	EQ(pprof_read(folder, error) == NULL, 1);
	HAS_TEXT(error, "Is a directory");
	leave_folder();
	pprof_destroy(profile);
}

/* gzip of `count` bytes, by zlib's own means; free(). */
static uint8_t *gzip(const uint8_t *bytes, size_t count, size_t *ret_bytes)
{
	z_stream stream = { .next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)count };
	EQ(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	size_t room = deflateBound(&stream, count);
	uint8_t *out = malloc(room);
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
	*ret_bytes = stream.total_out;
	deflateEnd(&stream);
	return out;
}

static void refused_gzip(const uint8_t *bytes, size_t count, const char *why)
{
	error[0] = '\0';
	struct pprof *profile = pprof_decode(bytes, count, "z.pprof", error);
	if (profile)
		FAIL("read, but should be refused for: %s", why);
	HAS_TEXT(error, "z.pprof");
	HAS_TEXT(error, why);
}

static void damaged_gzip(void)
{
	struct pprof *profile = full_profile();
	size_t message_bytes, bytes;
	uint8_t *message = pprof_encode(profile, &message_bytes);
	uint8_t *zipped = gzip(message, message_bytes, &bytes);
	for (size_t count = 2; count < bytes; count++)
		refused_gzip(zipped, count, "the gzip stream is cut off, at byte ");
	zipped[bytes - 5] ^= 1;
	refused_gzip(zipped, bytes, "incorrect data check, at byte ");
	zipped[bytes - 5] ^= 1;
	zipped[bytes - 1] ^= 1;
	refused_gzip(zipped, bytes, "incorrect length check, at byte ");
	zipped[bytes - 1] ^= 1;
	zipped[2] = 7;
	refused_gzip(zipped, bytes, "unknown compression method, at byte ");
	zipped[2] = 8;
	uint8_t *longer = calloc(1, bytes + 1);
	memcpy(longer, zipped, bytes);
	snprintf((char *)message, message_bytes, "bytes behind the end of the gzip stream, at byte %zu",
		 bytes);
	refused_gzip(longer, bytes + 1, (const char *)message);
	free(longer);
	free(zipped);
	zipped = gzip((const uint8_t *)"\x32\x00\x00", 3, &bytes);
	refused_gzip(zipped, bytes, "no such field number, at byte 2 of its inflated content");
	free(zipped);
	zipped = gzip(message, 0, &bytes);
	refused_gzip(zipped, bytes, "there is no string table, at byte 0 of its inflated content");
	free(zipped);
	free(message);
	pprof_destroy(profile);
}

static void gzip_has_a_limit(void)
{
	/* A string table and one long unknown field: as large as a profile can be; then one byte more. */
	static const uint8_t head[] = { 0x32, 0, 0x7a, 0xf9, 0xff, 0xff, 0x7f };
	uint8_t *bytes = calloc(1, PPROF_FILE_BYTES_MAX + 1);
	memcpy(bytes, head, sizeof head);
	size_t count;
	uint8_t *zipped = gzip(bytes, PPROF_FILE_BYTES_MAX, &count);
	struct pprof *profile = pprof_decode(zipped, count, "z.pprof", error);
	if (!profile)
		FAIL("not read: %s", error);
	EQ(profile->string_count, 1);
	pprof_destroy(profile);
	free(zipped);
	zipped = gzip(bytes, PPROF_FILE_BYTES_MAX + 1, &count);
	refused_gzip(zipped, count, "it inflates to more than a profile can have, at byte ");
	free(zipped);
	refused_gzip(bytes, PPROF_FILE_BYTES_MAX + 1, "z.pprof is larger than 256 MB");
	free(bytes);
}

TEST_MAIN(T(equal_samples_merge), T(labels_differ_in_each_part), T(many_of_everything),
	  T(frames_without_code_differ_by_name), T(functions_differ_in_each_part), T(sums_stop_at_the_ends),
	  T(strings_become_utf8), T(looking), T(exact_bytes), T(round_trip), T(default_type_is_far_back),
	  T(nothing_in_it), T(files_are_gzip_without_time), T(plain_files_are_read), T(errors_name_the_path),
	  T(damaged_gzip), T(gzip_has_a_limit))
