/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP dates, RFC 9110 section 5.6.7, case-sensitive as written there:
 *
 *	Sun, 06 Nov 1994 08:49:37 GMT   IMF-fixdate, the one that servers send
 *	Sunday, 06-Nov-94 08:49:37 GMT  RFC 850
 *	Sun Nov  6 08:49:37 1994        asctime
 *
 * The name of the day is checked to be one, not to be the right one: people write Retry-After by hand. Only
 * the two-digit year needs it, to tell 1994 from 2094 without a clock. Years before 1970 are refused.
 */
#include "http/http_internal.h"

static const char *const day_names[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
					 "Thursday", "Friday", "Saturday" };
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct date {
	int weekday; /* 0: Sunday */
	int year;
	int month; /* 1..12 */
	int day;
	int seconds; /* of the day */
};

/* The text not yet read. A step that fails sets `failed`; what later steps read then does not matter. */
struct reader {
	struct span text;
	int failed;
};

static int starts_with(const struct reader *reader, const char *text, size_t bytes)
{
	return reader->text.bytes >= bytes && memcmp(reader->text.base, text, bytes) == 0;
}

static void skip(struct reader *reader, size_t bytes)
{
	reader->text.base += bytes;
	reader->text.bytes -= bytes;
}

static void read_exactly(struct reader *reader, const char *text)
{
	if (starts_with(reader, text, strlen(text)))
		skip(reader, strlen(text));
	else
		reader->failed = 1;
}

static int read_digits(struct reader *reader, size_t count)
{
	int value = 0;
	if (reader->text.bytes < count) {
		reader->failed = 1;
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		int digit = reader->text.base[i] - '0';
		if (digit < 0 || digit > 9)
			reader->failed = 1;
		value = value * 10 + digit;
	}
	skip(reader, count);
	return value;
}

static int read_month(struct reader *reader)
{
	const char *name = month_names;
	for (int month = 1; month <= 12; month++, name += 3) {
		if (starts_with(reader, name, 3)) {
			skip(reader, 3);
			return month;
		}
	}
	reader->failed = 1;
	return 1;
}

/* hour ":" minute ":" second, to seconds. */
static int read_time(struct reader *reader)
{
	int hour = read_digits(reader, 2);
	read_exactly(reader, ":");
	int minute = read_digits(reader, 2);
	read_exactly(reader, ":");
	int second = read_digits(reader, 2);
	if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
		reader->failed = 1;
	return hour * 3600 + minute * 60 + second;
}

static int is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01 in the Gregorian calendar, year >= 1. */
static int64_t days_since_1970(const struct date *date)
{
	static const int64_t before_month[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t past = date->year - 1;
	int64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	int february_29 = date->month > 2 && is_leap(date->year);
	return days + before_month[date->month - 1] + february_29 + date->day - 1;
}

static int is_day_of_month(const struct date *date)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int february_29 = date->month == 2 && is_leap(date->year);
	return date->day >= 1 && date->day <= month_days[date->month - 1] + february_29;
}

static int weekday_fits(const struct date *date)
{
	/* 1970-01-01 was a Thursday; only called for 1900 and later, whence the whole weeks added. */
	return (days_since_1970(date) + 4 + 7 * INT64_C(5000)) % 7 == date->weekday;
}

/* Of two years that share their last two digits only one can have this day of the week: 100 years are never
 * whole weeks. */
static void choose_century(struct reader *reader, struct date *date, int two_digits)
{
	date->year = 2000 + two_digits;
	if (weekday_fits(date))
		return;
	date->year = 1900 + two_digits;
	if (!weekday_fits(date))
		reader->failed = 1;
}

static void read_imf(struct reader *reader, struct date *date)
{
	read_exactly(reader, ", ");
	date->day = read_digits(reader, 2);
	read_exactly(reader, " ");
	date->month = read_month(reader);
	read_exactly(reader, " ");
	date->year = read_digits(reader, 4);
	read_exactly(reader, " ");
	date->seconds = read_time(reader);
	read_exactly(reader, " GMT");
}

static void read_rfc850(struct reader *reader, struct date *date)
{
	read_exactly(reader, ", ");
	date->day = read_digits(reader, 2);
	read_exactly(reader, "-");
	date->month = read_month(reader);
	read_exactly(reader, "-");
	int two_digits = read_digits(reader, 2);
	read_exactly(reader, " ");
	date->seconds = read_time(reader);
	read_exactly(reader, " GMT");
	if (!reader->failed)
		choose_century(reader, date, two_digits);
}

static void read_asctime(struct reader *reader, struct date *date)
{
	read_exactly(reader, " ");
	date->month = read_month(reader);
	read_exactly(reader, " ");
	if (starts_with(reader, " ", 1)) {
		skip(reader, 1);
		date->day = read_digits(reader, 1);
	} else {
		date->day = read_digits(reader, 2);
	}
	read_exactly(reader, " ");
	date->seconds = read_time(reader);
	read_exactly(reader, " ");
	date->year = read_digits(reader, 4);
}

int64_t http_date_parse(struct span text)
{
	struct reader reader = { .text = text };
	struct date date = { 0 };
	while (date.weekday < 7 && !starts_with(&reader, day_names[date.weekday], 3))
		date.weekday++;
	if (date.weekday == 7)
		return -1;
	const char *name = day_names[date.weekday];
	if (starts_with(&reader, name, strlen(name))) {
		skip(&reader, strlen(name));
		read_rfc850(&reader, &date);
	} else {
		skip(&reader, 3);
		if (starts_with(&reader, ",", 1))
			read_imf(&reader, &date);
		else
			read_asctime(&reader, &date);
	}
	if (reader.failed || reader.text.bytes || date.year < 1970 || !is_day_of_month(&date))
		return -1;
	return days_since_1970(&date) * 86400 + date.seconds;
}
