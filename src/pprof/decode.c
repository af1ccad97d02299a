/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile from a message of profile.proto, written by anyone, damaged or hostile. Fields can come in any
 * order, so the message is walked once for strings, once for what only needs strings, then for locations,
 * then for samples.
 *
 * Not kept: drop_frames, keep_frames, doc_url, is_folded, columns, labels without a key.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof/profile.h"
#include "pprof/wire.h"

/* Ids of one kind as the file has them; element i became id i + 1. */
struct id_map {
	const char *kind;
	uint64_t *ids;
	size_t count, room;
	struct table table;
};

struct decoder {
	const uint8_t *bytes;
	const char *name, *where; /* where: what an offset counts in */
	char *error;
	int failed;
	struct pprof *profile;
	uint32_t *strings; /* from the file's index to ours */
	size_t string_count, string_room;
	struct id_map mappings, functions, locations;
	size_t sample_locations, sample_labels, sample_values; /* of the sample at hand */
	uint32_t location_ids[PPROF_FRAMES_MAX];
	struct pprof_label labels[PPROF_LABELS_MAX];
	int64_t values[PPROF_VALUES_MAX];
};

/* The first failure stays; everything after it is a no-op. */
static void refuse(struct decoder *decoder, size_t at, const char *what, const char *advice)
{
	if (!decoder->failed)
		snprintf(decoder->error, PPROF_ERROR_BYTES_MAX,
			 "cannot read the profile %.500s: %s, at byte %zu of %s; %s", decoder->name, what, at,
			 decoder->where, advice);
	decoder->failed = 1;
}

__attribute__((format(printf, 3, 4))) static void fail(struct decoder *decoder, size_t at, const char *format,
						       ...)
{
	char what[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	refuse(decoder, at, what, "it is damaged, or no pprof profile: record or copy it again");
}

static struct wire_reader open_field(const struct decoder *decoder, const struct wire_field *field)
{
	return (struct wire_reader){ .bytes = decoder->bytes, .at = field->first, .end = field->end };
}

static int next_field(struct decoder *decoder, struct wire_reader *reader, struct wire_field *field)
{
	if (decoder->failed)
		return 0;
	if (wire_next(reader, field))
		return 1;
	if (reader->wrong)
		fail(decoder, reader->at, "%s", reader->wrong);
	return 0;
}

static int has_type(struct decoder *decoder, const struct wire_field *field, enum wire_type type)
{
	if (field->type != type)
		fail(decoder, field->at, "field %u has wire type %u instead of %u", field->number,
		     (unsigned)field->type, (unsigned)type);
	return !decoder->failed;
}

static uint64_t read_number(struct decoder *decoder, const struct wire_field *field)
{
	size_t at = field->first;
	uint64_t value = 0;
	if (has_type(decoder, field, WIRE_VARINT))
		wire_varint(decoder->bytes, &at, field->end, &value);
	return value;
}

/* Repeated numbers, packed or not: the content of either is varints one after the other. 0 at the end. */
static int next_number(struct decoder *decoder, const struct wire_field *field, size_t *at,
		       uint64_t *ret_value)
{
	if (field->type != WIRE_BYTES && !has_type(decoder, field, WIRE_VARINT))
		return 0;
	if (decoder->failed || *at == field->end)
		return 0;
	if (wire_varint(decoder->bytes, at, field->end, ret_value))
		return 1;
	fail(decoder, *at, "a packed number is cut off or too long");
	return 0;
}

static uint32_t map_string(struct decoder *decoder, size_t at, uint64_t index)
{
	if (index < decoder->string_count)
		return decoder->strings[index];
	fail(decoder, at, "string %llu of %zu", (unsigned long long)index, decoder->string_count);
	return 0;
}

static uint32_t read_string(struct decoder *decoder, const struct wire_field *field)
{
	return map_string(decoder, field->at, read_number(decoder, field));
}

static int has_room(struct decoder *decoder, const struct wire_field *field, size_t count, size_t max,
		    const char *what)
{
	char text[128];
	if (count < max)
		return !decoder->failed;
	snprintf(text, sizeof text, "more than %zu %s", max, what);
	refuse(decoder, field->at, text, "this program reads no larger ones: `go tool pprof` may");
	return 0;
}

/* ---- Ids ---- */

/* Files mostly count from 1, so the place of an id is tried before the table. 0: not there. */
static uint32_t map_id(const struct decoder *decoder, const struct id_map *map, uint64_t id)
{
	if (id && id <= map->count && map->ids[id - 1] == id)
		return (uint32_t)id;
	uint32_t hash = hash_finish(hash_word(decoder->profile->private->seed, id));
	size_t at = hash;
	for (uint32_t found; (found = table_next(&map->table, hash, &at));)
		if (map->ids[found - 1] == id)
			return found;
	return 0;
}

/* The id that the next element of this kind will have. */
static void take_id(struct decoder *decoder, const struct wire_field *field, struct id_map *map, uint64_t id)
{
	if (id == 0)
		fail(decoder, field->at, "a %s without an id", map->kind);
	else if (map_id(decoder, map, id))
		fail(decoder, field->at, "a second %s with id %llu", map->kind, (unsigned long long)id);
	if (decoder->failed)
		return;
	map->ids = room_for(map->ids, &map->room, map->count, 1, sizeof *map->ids);
	map->ids[map->count++] = id;
	if (id != map->count)
		table_insert(&map->table, hash_finish(hash_word(decoder->profile->private->seed, id)),
			     (uint32_t)map->count);
}

/* ---- Strings, and what only needs strings ---- */

static void walk_string(struct decoder *decoder, const struct wire_field *field)
{
	if (field->number != 6 || !has_type(decoder, field, WIRE_BYTES) ||
	    !has_room(decoder, field, decoder->string_count, PPROF_ELEMENTS_MAX, "strings"))
		return;
	if (decoder->string_count == 0 && field->first != field->end)
		fail(decoder, field->at, "the first string is not empty");
	decoder->strings = room_for(decoder->strings, &decoder->string_room, decoder->string_count, 1,
				    sizeof *decoder->strings);
	decoder->strings[decoder->string_count++] = profile_string(
		decoder->profile, (const char *)decoder->bytes + field->first, field->end - field->first);
}

static struct pprof_value_type read_value_type(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof_value_type type = { 0 };
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (!has_type(decoder, field, WIRE_BYTES))
		return type;
	while (next_field(decoder, &reader, &part)) {
		if (part.number == 1)
			type.type = read_string(decoder, &part);
		else if (part.number == 2)
			type.unit = read_string(decoder, &part);
	}
	return type;
}

static void read_mapping(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof_mapping mapping = { 0 };
	uint64_t id = 0;
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (!has_type(decoder, field, WIRE_BYTES) ||
	    !has_room(decoder, field, decoder->mappings.count, PPROF_ELEMENTS_MAX, "mappings"))
		return;
	while (next_field(decoder, &reader, &part)) {
		switch (part.number) {
		case 1:
			id = read_number(decoder, &part);
			break;
		case 2:
			mapping.start = read_number(decoder, &part);
			break;
		case 3:
			mapping.limit = read_number(decoder, &part);
			break;
		case 4:
			mapping.file_offset = read_number(decoder, &part);
			break;
		case 5:
			mapping.filename = read_string(decoder, &part);
			break;
		case 6:
			mapping.build_id = read_string(decoder, &part);
			break;
		case 7:
			mapping.has_functions = read_number(decoder, &part) != 0;
			break;
		case 8:
			mapping.has_filenames = read_number(decoder, &part) != 0;
			break;
		case 9:
			mapping.has_line_numbers = read_number(decoder, &part) != 0;
			break;
		case 10:
			mapping.has_inline_frames = read_number(decoder, &part) != 0;
			break;
		default:
			break;
		}
	}
	take_id(decoder, field, &decoder->mappings, id);
	if (!decoder->failed)
		pprof_add_mapping(decoder->profile, &mapping);
}

static void read_function(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof_function function = { 0 };
	uint64_t id = 0;
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (!has_type(decoder, field, WIRE_BYTES) ||
	    !has_room(decoder, field, decoder->functions.count, PPROF_ELEMENTS_MAX, "functions"))
		return;
	while (next_field(decoder, &reader, &part)) {
		switch (part.number) {
		case 1:
			id = read_number(decoder, &part);
			break;
		case 2:
			function.name = read_string(decoder, &part);
			break;
		case 3:
			function.system_name = read_string(decoder, &part);
			break;
		case 4:
			function.filename = read_string(decoder, &part);
			break;
		case 5:
			function.start_line = (int64_t)read_number(decoder, &part);
			break;
		default:
			break;
		}
	}
	take_id(decoder, field, &decoder->functions, id);
	if (!decoder->failed)
		profile_append_function(decoder->profile, &function);
}

static void read_comments(struct decoder *decoder, const struct wire_field *field)
{
	size_t at = field->first;
	uint64_t value;
	while (next_number(decoder, field, &at, &value) &&
	       has_room(decoder, field, decoder->profile->comment_count, PPROF_ELEMENTS_MAX, "comments"))
		profile_append_comment(decoder->profile, map_string(decoder, field->at, value));
}

static void read_time(struct decoder *decoder, const struct wire_field *field)
{
	/* Two messages behind each other are one message to protobuf; the strings of the second would be
	 * wrong. */
	if (decoder->profile->time_ns)
		fail(decoder, field->at, "a second profile begins in this one");
	decoder->profile->time_ns = (int64_t)read_number(decoder, field);
}

static void walk_head(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof *profile = decoder->profile;
	switch (field->number) {
	case 1:
		if (has_room(decoder, field, profile->value_count, PPROF_VALUES_MAX, "sample types"))
			profile->value_types[profile->value_count++] = read_value_type(decoder, field);
		break;
	case 3:
		read_mapping(decoder, field);
		break;
	case 5:
		read_function(decoder, field);
		break;
	case 9:
		read_time(decoder, field);
		break;
	case 10:
		profile->duration_ns = (int64_t)read_number(decoder, field);
		break;
	case 11:
		profile->period_type = read_value_type(decoder, field);
		break;
	case 12:
		profile->period = (int64_t)read_number(decoder, field);
		break;
	case 13:
		read_comments(decoder, field);
		break;
	case 14:
		profile->default_value_type = read_string(decoder, field);
		break;
	default:
		break;
	}
}

/* ---- Locations ---- */

/* For a location without a function, which some readers would leave out: "libc.so.6!0x28f4a". */
static uint32_t made_up_function(struct decoder *decoder, uint32_t mapping_id, uint64_t address)
{
	struct pprof *profile = decoder->profile;
	const char *file = "";
	char name[512];
	if (mapping_id) {
		const struct pprof_mapping *mapping = &profile->mappings[mapping_id - 1];
		file = pprof_text(profile, mapping->filename);
		file = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
		if (address >= mapping->start && address < mapping->limit)
			address = address - mapping->start + mapping->file_offset;
	}
	snprintf(name, sizeof name, "%.400s%s0x%llx", file, *file ? "!" : "", (unsigned long long)address);
	struct pprof_function function = { .name = pprof_string(profile, name) };
	function.system_name = function.name;
	return pprof_add_function(profile, &function);
}

static struct pprof_line read_line(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof_line line = { 0 };
	uint64_t function_id = 0;
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (!has_type(decoder, field, WIRE_BYTES))
		return line;
	while (next_field(decoder, &reader, &part)) {
		if (part.number == 1)
			function_id = read_number(decoder, &part);
		else if (part.number == 2)
			line.line = (int64_t)read_number(decoder, &part);
	}
	line.function_id = map_id(decoder, &decoder->functions, function_id);
	if (function_id && !line.function_id)
		fail(decoder, field->at, "there is no function %llu", (unsigned long long)function_id);
	return line;
}

static void walk_location(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof_line lines[PPROF_LINES_MAX];
	size_t count = 0;
	uint64_t id = 0, mapping = 0, address = 0;
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (field->number != 4 || !has_type(decoder, field, WIRE_BYTES) ||
	    !has_room(decoder, field, decoder->locations.count, PPROF_ELEMENTS_MAX, "locations") ||
	    !has_room(decoder, field, decoder->profile->line_count, PPROF_ELEMENTS_MAX, "lines"))
		return;
	while (next_field(decoder, &reader, &part)) {
		if (part.number == 1)
			id = read_number(decoder, &part);
		else if (part.number == 2)
			mapping = read_number(decoder, &part);
		else if (part.number == 3)
			address = read_number(decoder, &part);
		else if (part.number == 4 &&
			 has_room(decoder, &part, count, PPROF_LINES_MAX, "functions inlined at one address"))
			lines[count++] = read_line(decoder, &part);
	}
	take_id(decoder, field, &decoder->locations, id);
	if (decoder->failed)
		return;
	uint32_t mapping_id =
		map_id(decoder, &decoder->mappings, mapping); /* none, as Go does, if not there */
	if (count == 0)
		lines[count++] = (struct pprof_line){ 0 };
	for (size_t i = 0; i < count; i++)
		if (!lines[i].function_id)
			lines[i].function_id = made_up_function(decoder, mapping_id, address);
	profile_append_location(decoder->profile, mapping_id, address, lines, count);
}

/* ---- Samples ---- */

static void read_sample_locations(struct decoder *decoder, const struct wire_field *field)
{
	size_t at = field->first;
	uint64_t id;
	while (next_number(decoder, field, &at, &id) &&
	       has_room(decoder, field, decoder->sample_locations, PPROF_FRAMES_MAX, "frames in a sample")) {
		uint32_t location = map_id(decoder, &decoder->locations, id);
		if (!location)
			fail(decoder, field->at, "there is no location %llu", (unsigned long long)id);
		decoder->location_ids[decoder->sample_locations++] = location;
	}
}

static void read_sample_values(struct decoder *decoder, const struct wire_field *field)
{
	size_t at = field->first;
	uint64_t value;
	while (next_number(decoder, field, &at, &value)) {
		if (decoder->sample_values < PPROF_VALUES_MAX)
			decoder->values[decoder->sample_values] = (int64_t)value;
		decoder->sample_values++;
	}
}

static void read_sample_label(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof_label label = { 0 };
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (!has_type(decoder, field, WIRE_BYTES))
		return;
	while (next_field(decoder, &reader, &part)) {
		if (part.number == 1)
			label.key = read_string(decoder, &part);
		else if (part.number == 2)
			label.text = read_string(decoder, &part);
		else if (part.number == 3)
			label.number = (int64_t)read_number(decoder, &part);
		else if (part.number == 4)
			label.unit = read_string(decoder, &part);
	}
	if (decoder->failed || !label.key)
		return;
	/* With both, it is a text: so does Go. */
	if (label.text) {
		label.number = 0;
		label.unit = 0;
	}
	if (has_room(decoder, field, decoder->sample_labels, PPROF_LABELS_MAX, "labels on a sample"))
		decoder->labels[decoder->sample_labels++] = label;
}

static void walk_sample(struct decoder *decoder, const struct wire_field *field)
{
	struct pprof *profile = decoder->profile;
	struct wire_field part;
	struct wire_reader reader = open_field(decoder, field);
	if (field->number != 2 || !has_type(decoder, field, WIRE_BYTES) ||
	    !has_room(decoder, field, profile->sample_count, PPROF_ELEMENTS_MAX, "samples") ||
	    !has_room(decoder, field, profile->label_count, PPROF_ELEMENTS_MAX, "labels") ||
	    !has_room(decoder, field, profile->location_id_count, PPROF_STACK_FRAMES_MAX, "frames"))
		return;
	decoder->sample_locations = decoder->sample_labels = decoder->sample_values = 0;
	while (next_field(decoder, &reader, &part)) {
		if (part.number == 1)
			read_sample_locations(decoder, &part);
		else if (part.number == 2)
			read_sample_values(decoder, &part);
		else if (part.number == 3)
			read_sample_label(decoder, &part);
	}
	if (decoder->sample_values != profile->value_count || profile->value_count == 0)
		fail(decoder, field->at, "a sample with %zu values for %zu sample types",
		     decoder->sample_values, profile->value_count);
	if (!decoder->failed)
		profile_append_sample(profile, decoder->location_ids, decoder->sample_locations,
				      decoder->labels, decoder->sample_labels, decoder->values);
}

/* ---- The whole ---- */

static void walk(struct decoder *decoder, size_t count,
		 void (*visit)(struct decoder *decoder, const struct wire_field *field))
{
	struct wire_reader reader = { .bytes = decoder->bytes, .end = count };
	struct wire_field field;
	while (next_field(decoder, &reader, &field))
		visit(decoder, &field);
}

static struct pprof *decode_message(struct decoder *decoder, const uint8_t *bytes, size_t count)
{
	decoder->bytes = bytes;
	decoder->mappings.kind = "mapping";
	decoder->functions.kind = "function";
	decoder->locations.kind = "location";
	decoder->profile = pprof_create();
	walk(decoder, count, walk_string);
	if (decoder->string_count == 0)
		fail(decoder, count, "there is no string table");
	walk(decoder, count, walk_head);
	walk(decoder, count, walk_location);
	walk(decoder, count, walk_sample);
	free(decoder->strings);
	struct id_map *maps[] = { &decoder->mappings, &decoder->functions, &decoder->locations };
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
		free(maps[i]->ids);
		table_destroy(&maps[i]->table);
	}
	if (!decoder->failed)
		return decoder->profile;
	pprof_destroy(decoder->profile);
	return NULL;
}

struct pprof *pprof_decode(const uint8_t *bytes, size_t count, const char *name,
			   char error[static PPROF_ERROR_BYTES_MAX])
{
	struct decoder decoder = { .name = name, .where = "the file", .error = error };
	if (count == 0) {
		snprintf(error, PPROF_ERROR_BYTES_MAX, "the profile %.500s is empty; record it again", name);
		return NULL;
	}
	if (count > PPROF_FILE_BYTES_MAX) {
		snprintf(error, PPROF_ERROR_BYTES_MAX, "the profile %.500s is larger than %zu MB", name,
			 PPROF_FILE_BYTES_MAX >> 20);
		return NULL;
	}
	if (count < 2 || bytes[0] != 0x1f || bytes[1] != 0x8b) /* RFC 1952, section 2.3.1 */
		return decode_message(&decoder, bytes, count);
	const char *wrong;
	size_t message_bytes, wrong_at;
	uint8_t *message =
		gzip_inflate(bytes, count, PPROF_FILE_BYTES_MAX, &message_bytes, &wrong, &wrong_at);
	if (!message) {
		fail(&decoder, wrong_at, "%s", wrong);
		return NULL;
	}
	decoder.where = "its inflated content";
	struct pprof *profile = decode_message(&decoder, message, message_bytes);
	free(message);
	return profile;
}
