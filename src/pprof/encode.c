/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile as a message of profile.proto. In Go's order and with its choices (fields by number; repeated
 * numbers packed from three on; zeros left out), so that a file that went through `go tool pprof -proto`
 * comes out the same.
 */
#include "base/check.h"
#include "pprof/profile.h"
#include "pprof/wire.h"

enum { PACKED_NUMBERS_MIN = 3 };

static void put_value_type(struct wire_writer *writer, uint32_t number, const struct pprof_value_type *type)
{
	size_t begin = writer->count;
	wire_put_number_unless_zero(writer, 1, type->type);
	wire_put_number_unless_zero(writer, 2, type->unit);
	wire_enclose(writer, number, begin);
}

/* `ids` may be NULL when `count` is 0; so `first` is not added to it outside. */
static void put_ids(struct wire_writer *writer, uint32_t number, const uint32_t *ids, size_t first,
		    size_t count)
{
	size_t begin = writer->count;
	for (size_t i = 0; i < count; i++)
		if (count < PACKED_NUMBERS_MIN)
			wire_put_number(writer, number, ids[first + i]);
		else
			wire_put_varint(writer, ids[first + i]);
	if (count >= PACKED_NUMBERS_MIN)
		wire_enclose(writer, number, begin);
}

static void put_values(struct wire_writer *writer, uint32_t number, const int64_t *values, size_t count)
{
	size_t begin = writer->count;
	for (size_t i = 0; i < count; i++)
		if (count < PACKED_NUMBERS_MIN)
			wire_put_number(writer, number, (uint64_t)values[i]);
		else
			wire_put_varint(writer, (uint64_t)values[i]);
	if (count >= PACKED_NUMBERS_MIN)
		wire_enclose(writer, number, begin);
}

static void put_sample(struct wire_writer *writer, const struct pprof *profile,
		       const struct pprof_sample *sample)
{
	size_t begin = writer->count;
	put_ids(writer, 1, profile->location_ids, sample->locations_first, sample->locations_count);
	put_values(writer, 2, sample->values, profile->value_count);
	for (size_t i = 0; i < sample->labels_count; i++) {
		const struct pprof_label *label = &profile->labels[sample->labels_first + i];
		size_t label_begin = writer->count;
		wire_put_number_unless_zero(writer, 1, label->key);
		wire_put_number_unless_zero(writer, 2, label->text);
		wire_put_number_unless_zero(writer, 3, (uint64_t)label->number);
		wire_put_number_unless_zero(writer, 4, label->unit);
		wire_enclose(writer, 3, label_begin);
	}
	wire_enclose(writer, 2, begin);
}

static void put_mapping(struct wire_writer *writer, const struct pprof_mapping *mapping, uint64_t id)
{
	size_t begin = writer->count;
	wire_put_number(writer, 1, id);
	wire_put_number_unless_zero(writer, 2, mapping->start);
	wire_put_number_unless_zero(writer, 3, mapping->limit);
	wire_put_number_unless_zero(writer, 4, mapping->file_offset);
	wire_put_number_unless_zero(writer, 5, mapping->filename);
	wire_put_number_unless_zero(writer, 6, mapping->build_id);
	wire_put_number_unless_zero(writer, 7, mapping->has_functions != 0);
	wire_put_number_unless_zero(writer, 8, mapping->has_filenames != 0);
	wire_put_number_unless_zero(writer, 9, mapping->has_line_numbers != 0);
	wire_put_number_unless_zero(writer, 10, mapping->has_inline_frames != 0);
	wire_enclose(writer, 3, begin);
}

static void put_location(struct wire_writer *writer, const struct pprof *profile,
			 const struct pprof_location *location, uint64_t id)
{
	size_t begin = writer->count;
	wire_put_number(writer, 1, id);
	wire_put_number_unless_zero(writer, 2, location->mapping_id);
	wire_put_number_unless_zero(writer, 3, location->address);
	for (size_t i = 0; i < location->lines_count; i++) {
		const struct pprof_line *line = &profile->lines[location->lines_first + i];
		size_t line_begin = writer->count;
		wire_put_number(writer, 1, line->function_id);
		wire_put_number_unless_zero(writer, 2, (uint64_t)line->line);
		wire_enclose(writer, 4, line_begin);
	}
	wire_enclose(writer, 4, begin);
}

static void put_function(struct wire_writer *writer, const struct pprof_function *function, uint64_t id)
{
	size_t begin = writer->count;
	wire_put_number(writer, 1, id);
	wire_put_number_unless_zero(writer, 2, function->name);
	wire_put_number_unless_zero(writer, 3, function->system_name);
	wire_put_number_unless_zero(writer, 4, function->filename);
	wire_put_number_unless_zero(writer, 5, (uint64_t)function->start_line);
	wire_enclose(writer, 5, begin);
}

static void put_string(struct wire_writer *writer, const char *text)
{
	wire_put_bytes(writer, 6, text, strlen(text));
}

/* The string table. Returns the string that default_sample_type names: speedscope takes that number for an
 * index into the sample types and cuts it off at the last, which is the wanted one; so a number that is too
 * small is replaced by that of a copy further back. */
static uint64_t put_strings(struct wire_writer *writer, const struct pprof *profile)
{
	uint64_t wanted = profile->default_value_type;
	uint64_t count = profile->string_count;
	CHECK_LT(wanted, count);
	for (size_t i = 0; i < profile->string_count; i++)
		put_string(writer, profile->strings[i]);
	if (wanted == 0 || wanted >= profile->value_count)
		return wanted;
	do
		put_string(writer, profile->strings[wanted]);
	while (count++ < profile->value_count);
	return count - 1;
}

uint8_t *pprof_encode(const struct pprof *profile, size_t *ret_bytes)
{
	struct wire_writer writer = { .room = 0 };
	for (size_t i = 0; i < profile->value_count; i++)
		put_value_type(&writer, 1, &profile->value_types[i]);
	for (size_t i = 0; i < profile->sample_count; i++)
		put_sample(&writer, profile, &profile->samples[i]);
	for (size_t i = 0; i < profile->mapping_count; i++)
		put_mapping(&writer, &profile->mappings[i], i + 1);
	for (size_t i = 0; i < profile->location_count; i++)
		put_location(&writer, profile, &profile->locations[i], i + 1);
	for (size_t i = 0; i < profile->function_count; i++)
		put_function(&writer, &profile->functions[i], i + 1);
	uint64_t default_value_type = put_strings(&writer, profile);
	wire_put_number_unless_zero(&writer, 9, (uint64_t)profile->time_ns);
	wire_put_number_unless_zero(&writer, 10, (uint64_t)profile->duration_ns);
	if (profile->period_type.type || profile->period_type.unit)
		put_value_type(&writer, 11, &profile->period_type);
	wire_put_number_unless_zero(&writer, 12, (uint64_t)profile->period);
	put_ids(&writer, 13, profile->comments, 0, profile->comment_count);
	wire_put_number_unless_zero(&writer, 14, default_value_type);
	*ret_bytes = writer.count;
	return writer.bytes;
}
