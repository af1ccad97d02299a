/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int unit_parse(const char **text, int64_t *ret_unit_ns)
{
	/* Longest names first, so that "ms" is not read as "m". */
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "\xc2\xb5s", 1000 }, /* micro sign */
		{ "\xce\xbcs", 1000 }, /* Greek mu */
		{ "ms", 1000000 },
		{ "s", INT64_C(1000000000) },
		{ "m", INT64_C(60000000000) },
		{ "h", INT64_C(3600000000000) },
	};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t bytes = strlen(units[i].name);
		if (strncmp(*text, units[i].name, bytes) == 0) {
			*text += bytes;
			*ret_unit_ns = units[i].ns;
			return 0;
		}
	}
	return -1;
}

/* One "<digits>[.<digits>]<unit>" group, added to *sum_ns. */
static int group_parse(const char **text, int64_t *sum_ns)
{
	int64_t whole = 0;
	int64_t fraction = 0;
	int64_t scale = 1;
	int digits = 0;
	for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, **text - '0', &whole))
			return -1;
	}
	if (**text == '.') {
		for ((*text)++; **text >= '0' && **text <= '9'; (*text)++, digits++) {
			if (scale < INT64_C(100000000000000)) {
				fraction = fraction * 10 + (**text - '0');
				scale *= 10;
			}
		}
	}
	int64_t unit_ns;
	if (digits == 0 || unit_parse(text, &unit_ns) < 0)
		return -1;
	int64_t group_ns;
	if (__builtin_mul_overflow(whole, unit_ns, &group_ns))
		return -1;
	int64_t fraction_ns = (int64_t)((__int128)fraction * unit_ns / scale);
	if (__builtin_add_overflow(group_ns, fraction_ns, &group_ns) ||
	    __builtin_add_overflow(*sum_ns, group_ns, sum_ns))
		return -1;
	return 0;
}

int duration_parse(const char *text, int64_t *ret_ns)
{
	int negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (*text == 0)
		return -1;
	int64_t sum_ns = 0;
	while (*text) {
		if (group_parse(&text, &sum_ns) < 0)
			return -1;
	}
	*ret_ns = negative ? -sum_ns : sum_ns;
	return 0;
}

/* "<whole>.<fraction without trailing zeros><unit>" */
static void decimal_format(uint64_t value, uint64_t scale, const char *unit, char *text, size_t size)
{
	char fraction[16] = "";
	uint64_t rest = value % scale;
	if (rest) {
		size_t count = 0;
		fraction[count++] = '.';
		for (uint64_t place = scale / 10; rest && place; place /= 10) {
			fraction[count++] = (char)('0' + rest / place);
			rest %= place;
		}
		fraction[count] = 0;
	}
	snprintf(text, size, "%" PRIu64 "%s%s", value / scale, fraction, unit);
}

char *duration_format(int64_t ns, char text[static DURATION_TEXT_BYTES_MAX])
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t value = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	char tail[24];
	if (value == 0) {
		memcpy(text, "0s", sizeof "0s");
		return text;
	}
	if (value < UINT64_C(1000000000)) {
		if (value < 1000)
			snprintf(tail, sizeof tail, "%" PRIu64 "ns", value);
		else if (value < 1000000)
			decimal_format(value, 1000, "\xc2\xb5s", tail, sizeof tail);
		else
			decimal_format(value, 1000000, "ms", tail, sizeof tail);
		snprintf(text, DURATION_TEXT_BYTES_MAX, "%s%s", sign, tail);
		return text;
	}
	uint64_t minutes = value / UINT64_C(60000000000);
	decimal_format(value % UINT64_C(60000000000), UINT64_C(1000000000), "s", tail, sizeof tail);
	if (minutes >= 60)
		snprintf(text, DURATION_TEXT_BYTES_MAX, "%s%" PRIu64 "h%" PRIu64 "m%s", sign, minutes / 60,
			 minutes % 60, tail);
	else if (minutes)
		snprintf(text, DURATION_TEXT_BYTES_MAX, "%s%" PRIu64 "m%s", sign, minutes, tail);
	else
		snprintf(text, DURATION_TEXT_BYTES_MAX, "%s%s", sign, tail);
	return text;
}
