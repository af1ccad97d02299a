/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP dates against the C library's calendar, and texts that are no dates.
 */
/* The two-digit year of RFC 850 is the point here. */
#pragma GCC diagnostic ignored "-Wformat-y2k"

#include <time.h>

#include "http/http.h"
#include "test.h"

static int64_t parse(const char *text)
{
	return http_date_parse(span_of_text(text));
}

static void three_forms(void)
{
	EQ(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
	EQ(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
	EQ(parse("Sun Nov  6 08:49:37 1994"), 784111777);
	EQ(parse("Sun Nov 06 08:49:37 1994"), 784111777);
}

static void every_day_like_the_c_library(void)
{
	/* Each day to 2099 at a time of day that wanders; two-digit years are known to 2099 too. */
	for (int64_t day = 0; day < 47482; day++) {
		time_t seconds = (time_t)(day * 86400 + day * 7919 % 86400);
		struct tm time;
		gmtime_r(&seconds, &time);
		char text[64];
		strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &time);
		EQ(parse(text), seconds);
		strftime(text, sizeof text, "%A, %d-%b-%y %H:%M:%S GMT", &time);
		EQ(parse(text), seconds);
		strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &time);
		EQ(parse(text), seconds);
	}
}

static void leap_second_and_last_year(void)
{
	EQ(parse("Sat, 31 Dec 2016 23:59:60 GMT"), 1483228800);
	EQ(parse("Fri, 31 Dec 9999 23:59:59 GMT"), 253402300799);
}

static void wrong_day_name(void)
{
	EQ(parse("Mon, 06 Nov 1994 08:49:37 GMT"), 784111777); /* it was a Sunday */
	EQ(parse("Monday, 06-Nov-94 08:49:37 GMT"), -1);       /* of neither century */
}

static void not_dates(void)
{
	static const char *const texts[] = {
		"",
		"0",
		"Sun",
		"Sunday",
		"Sun, ",
		"sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Tue, 29 Feb 2023 08:49:37 GMT",
		"Mon, 29 Feb 2100 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1969 08:49:37 GMT",
		"Sun, 06 Nov 0000 08:49:37 GMT",
		"Sun, 06 Nov 19x4 08:49:37 GMT",
		"Sun, -6 Nov 1994 08:49:37 GMT",
		"Sunday, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT",
		"Wed, 31 Dec 1969 23:59:59 GMT",
		"1994-11-06T08:49:37Z",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (parse(texts[i]) != -1)
			FAIL("\"%s\" was read as a date", texts[i]);
	EQ(http_date_parse(span_of("Sun, 06 Nov 1994 08:49:37 GMT\0", 30)), -1);
}

static void every_prefix_is_no_date(void)
{
	static const char text[] = "Sunday, 06-Nov-94 08:49:37 GMT";
	for (size_t bytes = 0; bytes < sizeof text - 1; bytes++) {
		/* A block of its own, so that a sanitizer sees a read past its end. */
		char *copy = malloc(bytes + 1);
		memcpy(copy + 1, text, bytes);
		int64_t seconds = http_date_parse(span_of(copy + 1, bytes));
		free(copy);
		EQ(seconds, -1);
	}
}

TEST_MAIN(T(three_forms), T(every_day_like_the_c_library), T(leap_second_and_last_year), T(wrong_day_name),
	  T(not_dates), T(every_prefix_is_no_date))
