/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a profile: refused with a sentence, or read into a profile whose indices all hold, and which
 * is the same after it was written and read again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof/pprof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void head_holds(const struct pprof *profile)
{
	MUST(profile->string_count >= 1 && profile->strings[0][0] == '\0');
	MUST(profile->value_count <= PPROF_VALUES_MAX);
	for (size_t i = 0; i < profile->value_count; i++) {
		MUST(profile->value_types[i].type < profile->string_count);
		MUST(profile->value_types[i].unit < profile->string_count);
	}
	MUST(profile->period_type.type < profile->string_count);
	MUST(profile->period_type.unit < profile->string_count);
	MUST(profile->default_value_type < profile->string_count);
	for (size_t i = 0; i < profile->comment_count; i++)
		MUST(profile->comments[i] < profile->string_count);
	for (size_t i = 0; i < profile->mapping_count; i++) {
		MUST(profile->mappings[i].filename < profile->string_count);
		MUST(profile->mappings[i].build_id < profile->string_count);
	}
	for (size_t i = 0; i < profile->function_count; i++) {
		MUST(profile->functions[i].name < profile->string_count);
		MUST(profile->functions[i].system_name < profile->string_count);
		MUST(profile->functions[i].filename < profile->string_count);
	}
}

static void samples_hold(const struct pprof *profile)
{
	for (size_t i = 0; i < profile->location_count; i++) {
		const struct pprof_location *location = &profile->locations[i];
		MUST(location->mapping_id <= profile->mapping_count);
		MUST(location->lines_count >= 1 && location->lines_count <= PPROF_LINES_MAX);
		MUST(location->lines_first + location->lines_count <= profile->line_count);
	}
	for (size_t i = 0; i < profile->line_count; i++)
		MUST(profile->lines[i].function_id >= 1 &&
		     profile->lines[i].function_id <= profile->function_count);
	for (size_t i = 0; i < profile->location_id_count; i++)
		MUST(profile->location_ids[i] >= 1 && profile->location_ids[i] <= profile->location_count);
	for (size_t i = 0; i < profile->label_count; i++) {
		const struct pprof_label *label = &profile->labels[i];
		MUST(label->key >= 1 && label->key < profile->string_count);
		MUST(label->text < profile->string_count && label->unit < profile->string_count);
		MUST(!label->text || (!label->number && !label->unit));
	}
	MUST(profile->sample_count == 0 || profile->value_count > 0);
	for (size_t i = 0; i < profile->sample_count; i++) {
		const struct pprof_sample *sample = &profile->samples[i];
		MUST(sample->locations_count <= PPROF_FRAMES_MAX && sample->labels_count <= PPROF_LABELS_MAX);
		MUST(sample->locations_first + sample->locations_count <= profile->location_id_count);
		MUST(sample->labels_first + sample->labels_count <= profile->label_count);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char error[PPROF_ERROR_BYTES_MAX] = "";
	struct pprof *profile = pprof_decode(data, bytes, "input", error);
	if (!profile) {
		MUST(strstr(error, "input") != NULL);
		return 0;
	}
	head_holds(profile);
	samples_hold(profile);
	size_t first_bytes, second_bytes;
	uint8_t *first = pprof_encode(profile, &first_bytes);
	struct pprof *again = pprof_decode(first, first_bytes, "again", error);
	if (!again)
		fprintf(stderr, "%s\n", error);
	MUST(again != NULL);
	MUST(again->sample_count == profile->sample_count);
	MUST(again->location_count == profile->location_count);
	MUST(again->function_count == profile->function_count);
	for (int i = 0; i < (int)profile->value_count; i++)
		MUST(pprof_total(again, i) == pprof_total(profile, i));
	uint8_t *second = pprof_encode(again, &second_bytes);
	MUST(first_bytes == second_bytes && memcmp(first, second, first_bytes) == 0);
	free(first);
	free(second);
	pprof_destroy(again);
	pprof_destroy(profile);
	return 0;
}
