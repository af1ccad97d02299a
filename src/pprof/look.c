/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into a profile. Sums stop at the ends of int64_t, since a file can hold any numbers.
 */
#include <string.h>

#include "base/check.h"
#include "pprof/profile.h"

const char *pprof_text(const struct pprof *profile, uint32_t string)
{
	CHECK_LT(string, profile->string_count);
	return profile->strings[string];
}

int pprof_value_index(const struct pprof *profile, const char *type)
{
	for (size_t i = 0; i < profile->value_count; i++)
		if (strcmp(pprof_text(profile, profile->value_types[i].type), type) == 0)
			return (int)i;
	return -1;
}

const char *pprof_label_text(const struct pprof *profile, const struct pprof_sample *sample, const char *key)
{
	uint32_t id = profile_find_string(profile, key, strlen(key));
	for (size_t i = 0; id && i < sample->labels_count; i++) {
		const struct pprof_label *label = &profile->labels[sample->labels_first + i];
		if (label->key == id - 1 && label->text)
			return profile->strings[label->text];
	}
	return NULL;
}

int64_t pprof_total(const struct pprof *profile, int value_index)
{
	CHECK_GE(value_index, 0);
	CHECK_LT((size_t)value_index, profile->value_count);
	int64_t total = 0;
	for (size_t i = 0; i < profile->sample_count; i++) {
		int64_t value = profile->samples[i].values[value_index];
		if (__builtin_add_overflow(total, value, &total))
			total = value < 0 ? INT64_MIN : INT64_MAX;
	}
	return total;
}
