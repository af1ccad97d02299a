/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a profile: strings, functions, locations and samples are found again by hash, so that adding one
 * costs the same however large the profile is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/random.h"
#include "pprof/profile.h"

/* The array member `array` with room for `added` more behind its `count`. */
#define ROOM_FOR(profile, array, kind, added)                                                                \
	((profile)->array = room_for((profile)->array, &(profile)->private->kind##_room,                     \
				     (profile)->kind##_count, added, sizeof *(profile)->array))

struct pprof *pprof_create(void)
{
	size_t room = 0;
	struct pprof *profile = room_for(NULL, &room, 0, 1, sizeof *profile);
	*profile = (struct pprof){ 0 };
	room = 0;
	profile->private = room_for(NULL, &room, 0, 1, sizeof *profile->private);
	*profile->private = (struct pprof_private){ 0 };
	random_fill(&profile->private->seed, sizeof profile->private->seed);
	pprof_string(profile, "");
	return profile;
}

void pprof_destroy(struct pprof *profile)
{
	if (!profile)
		return;
	for (size_t i = 0; i < profile->string_count; i++)
		free(profile->strings[i]);
	free(profile->strings);
	free(profile->mappings);
	free(profile->functions);
	free(profile->lines);
	free(profile->locations);
	free(profile->location_ids);
	free(profile->labels);
	free(profile->samples);
	free(profile->comments);
	table_destroy(&profile->private->strings);
	table_destroy(&profile->private->functions);
	table_destroy(&profile->private->locations);
	table_destroy(&profile->private->samples);
	free(profile->private);
	free(profile);
}

static uint32_t string_hash(const struct pprof *profile, const char *text, size_t bytes)
{
	return hash_finish(hash_bytes(profile->private->seed, text, bytes));
}

static uint32_t string_find(const struct pprof *profile, const char *text, size_t bytes, uint32_t hash)
{
	size_t at = hash;
	for (uint32_t id; (id = table_next(&profile->private->strings, hash, &at));) {
		const char *other = profile->strings[id - 1];
		if (strncmp(other, text, bytes) == 0 && other[bytes] == '\0')
			return id;
	}
	return 0;
}

static uint32_t clean_string(struct pprof *profile, const char *text, size_t bytes)
{
	uint32_t hash = string_hash(profile, text, bytes);
	uint32_t id = string_find(profile, text, bytes, hash);
	if (id)
		return id - 1;
	size_t room = 0;
	char *copy = room_for(NULL, &room, 0, bytes + 1, 1);
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	ROOM_FOR(profile, strings, string, 1);
	profile->strings[profile->string_count++] = copy;
	table_insert(&profile->private->strings, hash, (uint32_t)profile->string_count);
	return (uint32_t)profile->string_count - 1;
}

uint32_t profile_string(struct pprof *profile, const char *text, size_t bytes)
{
	if (text_is_clean(text, bytes))
		return clean_string(profile, text, bytes);
	char *clean = text_clean(text, bytes, &bytes);
	uint32_t string = clean_string(profile, clean, bytes);
	free(clean);
	return string;
}

uint32_t profile_find_string(const struct pprof *profile, const char *text, size_t bytes)
{
	return string_find(profile, text, bytes, string_hash(profile, text, bytes));
}

uint32_t pprof_string(struct pprof *profile, const char *text)
{
	return profile_string(profile, text, strlen(text));
}

void pprof_add_value_type(struct pprof *profile, const char *type, const char *unit)
{
	CHECK_LT(profile->value_count, (size_t)PPROF_VALUES_MAX);
	CHECK_EQ(profile->sample_count, (size_t)0);
	CHECK_EQ(strchr(type, '-'), (char *)NULL); /* Pyroscope refuses it */
	profile->value_types[profile->value_count++] =
		(struct pprof_value_type){ pprof_string(profile, type), pprof_string(profile, unit) };
}

void profile_append_comment(struct pprof *profile, uint32_t text)
{
	ROOM_FOR(profile, comments, comment, 1);
	profile->comments[profile->comment_count++] = text;
}

void pprof_add_comment(struct pprof *profile, const char *text)
{
	profile_append_comment(profile, pprof_string(profile, text));
}

uint32_t pprof_add_mapping(struct pprof *profile, const struct pprof_mapping *mapping)
{
	CHECK_LT(mapping->filename, profile->string_count);
	CHECK_LT(mapping->build_id, profile->string_count);
	ROOM_FOR(profile, mappings, mapping, 1);
	profile->mappings[profile->mapping_count++] = *mapping;
	return (uint32_t)profile->mapping_count;
}

/* ---- Functions ---- */

static uint32_t function_hash(const struct pprof *profile, const struct pprof_function *function)
{
	uint64_t hash = hash_word(profile->private->seed, function->name);
	hash = hash_word(hash, function->system_name);
	hash = hash_word(hash, function->filename);
	return hash_finish(hash_word(hash, (uint64_t)function->start_line));
}

static uint32_t function_find(const struct pprof *profile, const struct pprof_function *function,
			      uint32_t hash)
{
	size_t at = hash;
	for (uint32_t id; (id = table_next(&profile->private->functions, hash, &at));) {
		const struct pprof_function *other = &profile->functions[id - 1];
		if (other->name == function->name && other->system_name == function->system_name &&
		    other->filename == function->filename && other->start_line == function->start_line)
			return id;
	}
	return 0;
}

static uint32_t function_push(struct pprof *profile, const struct pprof_function *function)
{
	CHECK_LT(function->name, profile->string_count);
	CHECK_LT(function->system_name, profile->string_count);
	CHECK_LT(function->filename, profile->string_count);
	ROOM_FOR(profile, functions, function, 1);
	profile->functions[profile->function_count++] = *function;
	return (uint32_t)profile->function_count;
}

uint32_t pprof_add_function(struct pprof *profile, const struct pprof_function *function)
{
	uint32_t hash = function_hash(profile, function);
	uint32_t id = function_find(profile, function, hash);
	if (id)
		return id;
	id = function_push(profile, function);
	table_insert(&profile->private->functions, hash, id);
	return id;
}

uint32_t profile_append_function(struct pprof *profile, const struct pprof_function *function)
{
	uint32_t hash = function_hash(profile, function);
	uint32_t equal = function_find(profile, function, hash);
	uint32_t id = function_push(profile, function);
	if (!equal)
		table_insert(&profile->private->functions, hash, id);
	return id;
}

/* ---- Locations ---- */

/* A frame that stands for no code ("[truncated]") has neither mapping nor address; its lines tell them apart.
 */
static int location_is_made_up(uint32_t mapping_id, uint64_t address)
{
	return mapping_id == 0 && address == 0;
}

static uint32_t location_hash(const struct pprof *profile, uint32_t mapping_id, uint64_t address,
			      const struct pprof_line *lines, size_t line_count)
{
	uint64_t hash = hash_word(hash_word(profile->private->seed, mapping_id), address);
	for (size_t i = 0; i < line_count && location_is_made_up(mapping_id, address); i++)
		hash = hash_word(hash_word(hash, lines[i].function_id), (uint64_t)lines[i].line);
	return hash_finish(hash);
}

static int lines_equal(const struct pprof *profile, const struct pprof_location *location,
		       const struct pprof_line *lines, size_t line_count)
{
	if (location->lines_count != line_count)
		return 0;
	const struct pprof_line *others = &profile->lines[location->lines_first];
	for (size_t i = 0; i < line_count; i++)
		if (others[i].function_id != lines[i].function_id || others[i].line != lines[i].line)
			return 0;
	return 1;
}

static uint32_t location_find(const struct pprof *profile, uint32_t mapping_id, uint64_t address,
			      const struct pprof_line *lines, size_t line_count, uint32_t hash)
{
	size_t at = hash;
	for (uint32_t id; (id = table_next(&profile->private->locations, hash, &at));) {
		const struct pprof_location *other = &profile->locations[id - 1];
		if (other->mapping_id == mapping_id && other->address == address &&
		    (!location_is_made_up(mapping_id, address) ||
		     lines_equal(profile, other, lines, line_count)))
			return id;
	}
	return 0;
}

static uint32_t location_push(struct pprof *profile, uint32_t mapping_id, uint64_t address,
			      const struct pprof_line *lines, size_t line_count)
{
	CHECK_LE(mapping_id, profile->mapping_count);
	CHECK_GE(line_count, (size_t)1);
	CHECK_LE(line_count, (size_t)PPROF_LINES_MAX);
	for (size_t i = 0; i < line_count; i++) {
		CHECK_GE(lines[i].function_id, 1U);
		CHECK_LE(lines[i].function_id, profile->function_count);
	}
	ROOM_FOR(profile, lines, line, line_count);
	memcpy(profile->lines + profile->line_count, lines, line_count * sizeof *lines);
	ROOM_FOR(profile, locations, location, 1);
	profile->locations[profile->location_count++] = (struct pprof_location){
		.mapping_id = mapping_id,
		.address = address,
		.lines_first = (uint32_t)profile->line_count,
		.lines_count = (uint32_t)line_count,
	};
	profile->line_count += line_count;
	return (uint32_t)profile->location_count;
}

uint32_t pprof_find_location(const struct pprof *profile, uint32_t mapping_id, uint64_t address)
{
	if (location_is_made_up(mapping_id, address))
		return 0;
	return location_find(profile, mapping_id, address, NULL, 0,
			     location_hash(profile, mapping_id, address, NULL, 0));
}

uint32_t pprof_add_location(struct pprof *profile, uint32_t mapping_id, uint64_t address,
			    const struct pprof_line *lines, size_t line_count)
{
	uint32_t hash = location_hash(profile, mapping_id, address, lines, line_count);
	uint32_t id = location_find(profile, mapping_id, address, lines, line_count, hash);
	if (id)
		return id;
	id = location_push(profile, mapping_id, address, lines, line_count);
	table_insert(&profile->private->locations, hash, id);
	return id;
}

uint32_t profile_append_location(struct pprof *profile, uint32_t mapping_id, uint64_t address,
				 const struct pprof_line *lines, size_t line_count)
{
	uint32_t hash = location_hash(profile, mapping_id, address, lines, line_count);
	uint32_t equal = location_find(profile, mapping_id, address, lines, line_count, hash);
	uint32_t id = location_push(profile, mapping_id, address, lines, line_count);
	if (!equal)
		table_insert(&profile->private->locations, hash, id);
	return id;
}

/* ---- Samples ---- */

struct sample_key {
	const uint32_t *location_ids;
	size_t location_count;
	const struct pprof_label *labels;
	size_t label_count;
};

static uint32_t sample_hash(const struct pprof *profile, const struct sample_key *key)
{
	uint64_t hash = hash_bytes(profile->private->seed, key->location_ids,
				   key->location_count * sizeof *key->location_ids);
	for (size_t i = 0; i < key->label_count; i++) {
		const struct pprof_label *label = &key->labels[i];
		hash = hash_word(hash, (uint64_t)label->key << 32 | label->text);
		hash = hash_word(hash_word(hash, (uint64_t)label->number), label->unit);
	}
	return hash_finish(hash);
}

static int sample_equal(const struct pprof *profile, const struct pprof_sample *sample,
			const struct sample_key *key)
{
	if (sample->locations_count != key->location_count || sample->labels_count != key->label_count)
		return 0;
	if (key->location_count && memcmp(profile->location_ids + sample->locations_first, key->location_ids,
					  key->location_count * sizeof *key->location_ids) != 0)
		return 0;
	for (size_t i = 0; i < key->label_count; i++) {
		const struct pprof_label *label = &key->labels[i];
		const struct pprof_label *other = &profile->labels[sample->labels_first + i];
		if (other->key != label->key || other->text != label->text ||
		    other->number != label->number || other->unit != label->unit)
			return 0;
	}
	return 1;
}

/* Index + 1, or 0. */
static uint32_t sample_find(const struct pprof *profile, const struct sample_key *key, uint32_t hash)
{
	size_t at = hash;
	for (uint32_t id; (id = table_next(&profile->private->samples, hash, &at));)
		if (sample_equal(profile, &profile->samples[id - 1], key))
			return id;
	return 0;
}

static void sample_check(const struct pprof *profile, const struct sample_key *key)
{
	CHECK_GE(profile->value_count, (size_t)1);
	CHECK_LE(key->location_count, (size_t)PPROF_FRAMES_MAX);
	CHECK_LE(key->label_count, (size_t)PPROF_LABELS_MAX);
	for (size_t i = 0; i < key->location_count; i++) {
		CHECK_GE(key->location_ids[i], 1U);
		CHECK_LE(key->location_ids[i], profile->location_count);
	}
	for (size_t i = 0; i < key->label_count; i++) {
		const struct pprof_label *label = &key->labels[i];
		CHECK_GE(label->key, 1U);
		CHECK_LT(label->key, profile->string_count);
		CHECK_LT(label->text, profile->string_count);
		CHECK_LT(label->unit, profile->string_count);
		/* Either or: readers would drop one of them. */
		CHECK_EQ(label->text && (label->number || label->unit), 0);
	}
}

static uint32_t sample_push(struct pprof *profile, const struct sample_key *key, const int64_t *values)
{
	sample_check(profile, key);
	ROOM_FOR(profile, location_ids, location_id, key->location_count);
	ROOM_FOR(profile, labels, label, key->label_count);
	ROOM_FOR(profile, samples, sample, 1);
	struct pprof_sample *sample = &profile->samples[profile->sample_count++];
	*sample = (struct pprof_sample){
		.locations_first = (uint32_t)profile->location_id_count,
		.locations_count = (uint32_t)key->location_count,
		.labels_first = (uint32_t)profile->label_count,
		.labels_count = (uint32_t)key->label_count,
	};
	memcpy(sample->values, values, profile->value_count * sizeof *values);
	if (key->location_count)
		memcpy(profile->location_ids + profile->location_id_count, key->location_ids,
		       key->location_count * sizeof *key->location_ids);
	if (key->label_count)
		memcpy(profile->labels + profile->label_count, key->labels,
		       key->label_count * sizeof *key->labels);
	profile->location_id_count += key->location_count;
	profile->label_count += key->label_count;
	return (uint32_t)profile->sample_count;
}

void pprof_add_sample(struct pprof *profile, const uint32_t *location_ids, size_t location_count,
		      const struct pprof_label *labels, size_t label_count, const int64_t *values)
{
	struct sample_key key = { location_ids, location_count, labels, label_count };
	uint32_t hash = sample_hash(profile, &key);
	uint32_t id = sample_find(profile, &key, hash);
	if (!id) {
		table_insert(&profile->private->samples, hash, sample_push(profile, &key, values));
		return;
	}
	struct pprof_sample *sample = &profile->samples[id - 1];
	for (size_t i = 0; i < profile->value_count; i++)
		if (__builtin_add_overflow(sample->values[i], values[i], &sample->values[i]))
			sample->values[i] = values[i] < 0 ? INT64_MIN : INT64_MAX;
}

void profile_append_sample(struct pprof *profile, const uint32_t *location_ids, size_t location_count,
			   const struct pprof_label *labels, size_t label_count, const int64_t *values)
{
	struct sample_key key = { location_ids, location_count, labels, label_count };
	uint32_t hash = sample_hash(profile, &key);
	uint32_t equal = sample_find(profile, &key, hash);
	uint32_t id = sample_push(profile, &key, values);
	if (!equal)
		table_insert(&profile->private->samples, hash, id);
}
