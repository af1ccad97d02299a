/* SPDX-License-Identifier: Apache-2.0
 *
 * time.format and time.parse. The C library's strftime() and gmtime() would read time zones from files, so
 * the calendar is here: UTC only, from 1970 to 9999, as long as four digits last.
 */
#include "program/library.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#define SECONDS_MAX INT64_C(253402300799) /* the last one of the year 9999 */

enum {
	DAY_SECONDS = 86400,
	ITEM_TEXT_BYTES = 64, /* of one conversion: "Wed Sep 30 23:59:59 9999" is long */
	CONVERSION_INSTRUCTIONS = 30,
};

static const char *const day_names[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
					 "Thursday", "Friday", "Saturday" };
static const char *const month_names[] = { "January",	"February", "March",	"April",
					   "May",	"June",	    "July",	"August",
					   "September", "October",  "November", "December" };

struct moment {
	int64_t seconds; /* since 1970 */
	int microsecond;
	int year, month, day;	  /* month and day from 1 on */
	int hour, minute, second; /* second 60: a leap second, when parsed */
	int weekday;		  /* 0: Sunday */
	int year_day;		  /* from 0 on */
};

static int is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. */
static int64_t days_from_date(int year, int month, int day)
{
	static const int before_month[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t past = year - 1; /* whole years */
	int64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	return days + before_month[month - 1] + (month > 2 && is_leap(year)) + day - 1;
}

static int month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* `seconds` is in range. */
static struct moment moment_of(int64_t seconds, int microsecond)
{
	struct moment moment = { .seconds = seconds, .microsecond = microsecond };
	int64_t days = seconds / DAY_SECONDS;
	int rest = (int)(seconds % DAY_SECONDS);
	/* The mean year is 365.2425 days: this guess is right, or one too high. */
	moment.year = 1970 + (int)((double)days / 365.2425 + 0.01);
	while (days_from_date(moment.year, 1, 1) > days)
		moment.year--;
	while (days_from_date(moment.year + 1, 1, 1) <= days)
		moment.year++;
	moment.year_day = (int)(days - days_from_date(moment.year, 1, 1));
	moment.day = moment.year_day + 1;
	for (moment.month = 1; moment.day > month_days(moment.year, moment.month); moment.month++)
		moment.day -= month_days(moment.year, moment.month);
	moment.hour = rest / 3600;
	moment.minute = rest / 60 % 60;
	moment.second = rest % 60;
	moment.weekday = (int)((days + 4) % 7); /* 1970-01-01 was a Thursday */
	return moment;
}

/* The week of ISO 8601 and the year it belongs to: that of its Thursday. */
static int iso_week(const struct moment *moment, int *ret_year)
{
	int thursday = moment->year_day + 3 - (moment->weekday + 6) % 7;
	int year_days = 365 + is_leap(moment->year);
	*ret_year = moment->year;
	if (thursday < 0) {
		*ret_year = moment->year - 1;
		thursday += 365 + is_leap(moment->year - 1);
	} else if (thursday >= year_days) {
		*ret_year = moment->year + 1;
		thursday -= year_days;
	}
	return thursday / 7 + 1;
}

/* The conversions that stand for a layout of several; NULL: this is none. */
static const char *layout_of(char conversion)
{
	switch (conversion) {
	case 'c':
		return "%a %b %e %H:%M:%S %Y";
	case 'D':
	case 'x':
		return "%m/%d/%y";
	case 'F':
		return "%Y-%m-%d";
	case 'R':
		return "%H:%M";
	case 'r':
		return "%I:%M:%S %p";
	case 'T':
	case 'X':
		return "%H:%M:%S";
	default:
		return NULL;
	}
}

/* The conversions that are a text; NULL: this is none. */
static const char *text_of(char conversion, const struct moment *moment)
{
	switch (conversion) {
	case 'A':
		return day_names[moment->weekday];
	case 'B':
		return month_names[moment->month - 1];
	case 'n':
		return "\n";
	case 'p':
		return moment->hour < 12 ? "AM" : "PM";
	case 't':
		return "\t";
	case 'Z':
		return "UTC";
	case 'z':
		return "+0000";
	case '%':
		return "%";
	default:
		return NULL;
	}
}

struct number {
	int value; /* -1: this is no such conversion */
	int digits;
};

static struct number number_of(char conversion, const struct moment *moment)
{
	int year, week = iso_week(moment, &year);
	switch (conversion) {
	case 'C':
		return (struct number){ moment->year / 100, 2 };
	case 'd':
		return (struct number){ moment->day, 2 };
	case 'G':
		return (struct number){ year, 4 };
	case 'g':
		return (struct number){ year % 100, 2 };
	case 'H':
		return (struct number){ moment->hour, 2 };
	case 'I':
		return (struct number){ (moment->hour + 11) % 12 + 1, 2 };
	case 'j':
		return (struct number){ moment->year_day + 1, 3 };
	case 'M':
		return (struct number){ moment->minute, 2 };
	case 'm':
		return (struct number){ moment->month, 2 };
	case 'S':
		return (struct number){ moment->second, 2 };
	case 'U':
		return (struct number){ (moment->year_day + 7 - moment->weekday) / 7, 2 };
	case 'u':
		return (struct number){ (moment->weekday + 6) % 7 + 1, 1 };
	case 'V':
		return (struct number){ week, 2 };
	case 'W':
		return (struct number){ (moment->year_day + 7 - (moment->weekday + 6) % 7) / 7, 2 };
	case 'w':
		return (struct number){ moment->weekday, 1 };
	case 'Y':
		return (struct number){ moment->year, 4 };
	case 'y':
		return (struct number){ moment->year % 100, 2 };
	default:
		return (struct number){ -1, 0 };
	}
}

/* Writes one conversion that is no layout; its bytes, 0 when there is no such one. */
static size_t format_item(char *text, char conversion, const struct moment *moment)
{
	const char *words = text_of(conversion, moment);
	struct number number = number_of(conversion, moment);
	if (words)
		return (size_t)snprintf(text, ITEM_TEXT_BYTES, "%s", words);
	if (number.value >= 0)
		return (size_t)snprintf(text, ITEM_TEXT_BYTES, "%0*d", number.digits, number.value);
	switch (conversion) {
	case 'a':
		return (size_t)snprintf(text, ITEM_TEXT_BYTES, "%.3s", day_names[moment->weekday]);
	case 'b':
	case 'h':
		return (size_t)snprintf(text, ITEM_TEXT_BYTES, "%.3s", month_names[moment->month - 1]);
	case 'e':
		return (size_t)snprintf(text, ITEM_TEXT_BYTES, "%2d", moment->day);
	case 's':
		return (size_t)snprintf(text, ITEM_TEXT_BYTES, "%lld", (long long)moment->seconds);
	default:
		return 0;
	}
}

/* %1f to %9f: digits of the second's fraction, cut. Behind the sixth they are zeros, because a time of today
 * as a number has no more. */
static size_t format_fraction(char *text, char digits, const struct moment *moment)
{
	snprintf(text, ITEM_TEXT_BYTES, "%06d000", moment->microsecond);
	return (size_t)(digits - '0');
}

/* Adds what the layout makes of the moment. NULL, or the conversion that there is not. */
static const char *format(struct library_text *out, struct span layout, const struct moment *moment)
{
	const char *at = (const char *)layout.base, *end = at + layout.bytes, *percent;
	char item[ITEM_TEXT_BYTES];
	while ((percent = memchr(at, '%', (size_t)(end - at))) != NULL) {
		library_text_add(out, at, (size_t)(percent - at));
		size_t left = (size_t)(end - percent);
		program_charge(out->lua, CONVERSION_INSTRUCTIONS);
		if (left >= 3 && percent[1] >= '1' && percent[1] <= '9' && percent[2] == 'f') {
			library_text_add(out, item, format_fraction(item, percent[1], moment));
			at = percent + 3;
			continue;
		}
		const char *inner = left > 1 ? layout_of(percent[1]) : NULL;
		size_t bytes = inner || left < 2 ? 0 : format_item(item, percent[1], moment);
		if (inner)
			format(out, span_of_text(inner), moment);
		else if (bytes)
			library_text_add(out, item, bytes);
		else
			return percent;
		at = percent + 2;
	}
	library_text_add(out, at, (size_t)(end - at));
	return NULL;
}

/* Argument 1: a number of seconds. */
static struct moment moment_argument(lua_State *lua)
{
	static const char range[] = "time before 1970 or after 9999";
	if (lua_isinteger(lua, 1)) {
		int64_t seconds = lua_tointeger(lua, 1);
		luaL_argcheck(lua, seconds >= 0 && seconds <= SECONDS_MAX, 1, range);
		return moment_of(seconds, 0);
	}
	double value = luaL_checknumber(lua, 1);
	luaL_argcheck(lua, value >= 0 && value < (double)SECONDS_MAX + 1, 1, range);
	int64_t seconds = (int64_t)value;
	/* Rounded, not cut: 0.123 behind today's ten digits reads as 0.12299990654. */
	int microsecond = (int)lround((value - (double)seconds) * 1e6);
	if (microsecond == 1000000) {
		microsecond = seconds < SECONDS_MAX ? 0 : 999999;
		seconds += seconds < SECONDS_MAX;
	}
	return moment_of(seconds, microsecond);
}

static int time_format(lua_State *lua)
{
	struct moment moment = moment_argument(lua);
	size_t bytes;
	const char *base = luaL_optlstring(lua, 2, "%Y-%m-%dT%H:%M:%SZ", &bytes);
	struct library_text out;
	library_text_begin(&out, lua);
	const char *fault = format(&out, span_of(base, bytes), &moment);
	if (fault) {
		lua_pushlstring(lua, fault, fault + 1 < base + bytes ? 2 : 1);
		return luaL_argerror(lua, 2,
				     lua_pushfstring(lua, "'%s' is no conversion", lua_tostring(lua, -1)));
	}
	library_text_push(&out);
	return 1;
}

/* Reads `count` digits at *at; -1: there are none. */
static int read_digits(struct span text, size_t *at, size_t count)
{
	int value = 0;
	if (text.bytes - *at < count)
		return -1;
	for (; count; count--, ++*at) {
		int digit = text.base[*at] - '0';
		if (digit < 0 || digit > 9)
			return -1;
		value = value * 10 + digit;
	}
	return value;
}

/* The index of the name at *at, of which the first `bytes` count (0: all of it); -1: there is none. */
static int read_name(struct span text, size_t *at, const char *const *names, int count, size_t bytes)
{
	for (int i = 0; i < count; i++) {
		size_t name_bytes = bytes ? bytes : strlen(names[i]);
		if (text.bytes - *at >= name_bytes && memcmp(text.base + *at, names[i], name_bytes) == 0) {
			*at += name_bytes;
			return i;
		}
	}
	return -1;
}

/* asctime() pads with a blank, some write a zero. */
static int read_padded_day(struct span text, size_t *at)
{
	size_t blanks = *at < text.bytes && text.base[*at] == ' ';
	*at += blanks;
	return read_digits(text, at, 2 - blanks);
}

/* One conversion of a form; 0 when the text has something else there. */
static int read_item(struct span text, size_t *at, char conversion, struct moment *moment)
{
	switch (conversion) {
	case 'A':
		return (moment->weekday = read_name(text, at, day_names, 7, 0)) >= 0;
	case 'a':
		return (moment->weekday = read_name(text, at, day_names, 7, 3)) >= 0;
	case 'b':
		return (moment->month = read_name(text, at, month_names, 12, 3) + 1) > 0;
	case 'e':
		return (moment->day = read_padded_day(text, at)) >= 0;
	case 'd':
		return (moment->day = read_digits(text, at, 2)) >= 0;
	case 'H':
		return (moment->hour = read_digits(text, at, 2)) >= 0;
	case 'M':
		return (moment->minute = read_digits(text, at, 2)) >= 0;
	case 'm':
		return (moment->month = read_digits(text, at, 2)) >= 0;
	case 'S':
		return (moment->second = read_digits(text, at, 2)) >= 0;
	case 'Y':
		return (moment->year = read_digits(text, at, 4)) >= 0;
	default: /* 'y' */
		return (moment->year = read_digits(text, at, 2)) >= 0;
	}
}

/* Reads a form from *at on: conversions as above, '_' for what may stand between date and time (RFC 3339
 * section 5.6), other bytes for themselves. */
static int read_form(struct span text, size_t *at, const char *form, struct moment *moment)
{
	for (; *form; form++) {
		if (*form == '%') {
			if (!read_item(text, at, *++form, moment))
				return 0;
			continue;
		}
		if (*at == text.bytes)
			return 0;
		uint8_t byte = text.base[(*at)++];
		if (*form == '_' ? byte != 'T' && byte != 't' && byte != ' ' : byte != (uint8_t)*form)
			return 0;
	}
	return 1;
}

/* Checks the fields and adds them up; INT64_MIN: there is no such time. Before 1970 it is negative. */
static int64_t seconds_of(const struct moment *moment)
{
	if (moment->month < 1 || moment->month > 12 || moment->day < 1 || moment->year < 1 ||
	    moment->day > month_days(moment->year, moment->month) || moment->hour > 23 ||
	    moment->minute > 59 || moment->second > 60)
		return INT64_MIN;
	int64_t days = days_from_date(moment->year, moment->month, moment->day);
	return days * DAY_SECONDS + moment->hour * 3600 + moment->minute * 60 + moment->second;
}

/* Of two years that share their last two digits only one has this day of the week on this date: 100 years are
 * never whole weeks. */
static int choose_century(struct moment *moment)
{
	for (int century = 2000; century >= 1900; century -= 100) {
		struct moment candidate = *moment;
		candidate.year += century;
		int64_t seconds = seconds_of(&candidate);
		if (seconds >= 0 && (seconds / DAY_SECONDS + 4) % 7 == moment->weekday) {
			*moment = candidate;
			return 1;
		}
	}
	return 0;
}

/* The three forms of RFC 9110 section 5.6.7. That the day of the week is right is asked only where it
 * decides: people write dates by hand. -1: it is none of them. */
static int64_t parse_http_date(struct span text)
{
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
					     "%a %b %e %H:%M:%S %Y" };
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct moment moment = { 0 };
		size_t at = 0;
		if (!read_form(text, &at, forms[i], &moment) || at != text.bytes)
			continue;
		int has_century = strstr(forms[i], "%y") == NULL;
		return has_century || choose_century(&moment) ? seconds_of(&moment) : -1;
	}
	return -1;
}

/* ".123" at *at, to nanoseconds; 0 when there is none. */
static int read_fraction(struct span text, size_t *at, int *ret_nanoseconds)
{
	int scale = 100000000;
	*ret_nanoseconds = 0;
	if (*at == text.bytes || text.base[*at] != '.')
		return 1;
	size_t begin = ++*at;
	for (; *at < text.bytes && text.base[*at] >= '0' && text.base[*at] <= '9'; ++*at) {
		*ret_nanoseconds += scale * (text.base[*at] - '0');
		scale /= 10;
	}
	return *at > begin;
}

/* "Z" or "+01:30" at the end, to seconds. */
static int read_offset(struct span text, size_t *at, int *ret_seconds)
{
	int sign = *at < text.bytes ? text.base[(*at)++] : 0;
	struct moment offset = { 0 };
	*ret_seconds = 0;
	if (sign == 'Z' || sign == 'z')
		return *at == text.bytes;
	if ((sign != '+' && sign != '-') || !read_form(text, at, "%H:%M", &offset) || *at != text.bytes ||
	    offset.hour > 23 || offset.minute > 59)
		return 0;
	*ret_seconds = (offset.hour * 3600 + offset.minute * 60) * (sign == '-' ? -1 : 1);
	return 1;
}

/* RFC 3339. -1: it is none. */
static int64_t parse_rfc3339(struct span text, int *ret_nanoseconds)
{
	struct moment moment = { 0 };
	size_t at = 0;
	int offset;
	if (!read_form(text, &at, "%Y-%m-%d_%H:%M:%S", &moment) ||
	    !read_fraction(text, &at, ret_nanoseconds) || !read_offset(text, &at, &offset))
		return -1;
	int64_t seconds = seconds_of(&moment);
	/* Late in 1969 here may be 1970 there. */
	return seconds == INT64_MIN || seconds < offset ? -1 : seconds - offset;
}

static int time_parse(lua_State *lua)
{
	size_t bytes;
	const char *base = luaL_checklstring(lua, 1, &bytes);
	struct span text = span_of(base, bytes);
	int nanoseconds = 0;
	program_charge(lua, 2 * CONVERSION_INSTRUCTIONS + bytes / 64);
	int64_t seconds = parse_rfc3339(text, &nanoseconds);
	if (seconds < 0) {
		nanoseconds = 0;
		seconds = parse_http_date(text);
	}
	if (seconds < 0)
		return luaL_argerror(lua, 1, "no time of RFC 3339 and no HTTP date, or one before 1970");
	if (nanoseconds)
		lua_pushnumber(lua, (double)seconds + nanoseconds / 1e9);
	else
		lua_pushinteger(lua, seconds);
	return 1;
}

void library_time_open(lua_State *lua)
{
	static const luaL_Reg functions[] = {
		{ "format", time_format },
		{ "parse", time_parse },
		{ NULL, NULL },
	};
	luaL_newlib(lua, functions);
	lua_setglobal(lua, "time");
}
