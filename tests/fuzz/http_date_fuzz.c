/* SPDX-License-Identifier: Apache-2.0
 *
 * http_date_parse: an accepted text, written again from its seconds with the C library's calendar, is the
 * same text in one of the three forms, but for the name of the day (checked only where it decides).
 */
/* The two-digit year of RFC 850 is the point here. */
#pragma GCC diagnostic ignored "-Wformat-y2k"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Equal behind the name of the day, and that is a name. */
static int same_but_day(const char *text, const char *want, size_t day_bytes)
{
	static const char names[] = "Sun Mon Tue Wed Thu Fri Sat";
	char name[4] = { 0 };
	memcpy(name, text, 3);
	return strstr(names, name) && strcmp(text + day_bytes, want + day_bytes) == 0;
}

static int is_date_of(const char *text, int64_t unix_seconds)
{
	char want[64];
	time_t seconds = (time_t)unix_seconds;
	struct tm time;
	gmtime_r(&seconds, &time);
	strftime(want, sizeof want, "%A, %d-%b-%y %H:%M:%S GMT", &time);
	if (strcmp(text, want) == 0)
		return 1;
	strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &time);
	if (same_but_day(text, want, 3))
		return 1;
	strftime(want, sizeof want, "%a %b %e %H:%M:%S %Y", &time);
	if (same_but_day(text, want, 3))
		return 1;
	/* asctime() pads with a blank, some write a zero. */
	strftime(want, sizeof want, "%a %b %d %H:%M:%S %Y", &time);
	return same_but_day(text, want, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	int64_t seconds = http_date_parse(span_of(data, bytes));
	if (seconds == -1)
		return 0;
	char text[64] = { 0 };
	if (seconds < 0 || bytes >= sizeof text)
		abort();
	memcpy(text, data, bytes);
	/* A leap second is the second behind :59, which the calendar calls :00 of the next minute. */
	char *leap = strstr(text, ":60");
	if (leap) {
		memcpy(leap, ":59", 3);
		seconds--;
	}
	if (!is_date_of(text, seconds)) {
		fprintf(stderr, "%s is not %lld\n", text, (long long)seconds);
		abort();
	}
	return 0;
}
