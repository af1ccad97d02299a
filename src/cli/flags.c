/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flags.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"

enum { NAME_BYTES_MAX = 48, NAMES_MAX = 96 };

/* Levenshtein distance of two short names. */
static size_t name_distance(const char *a, const char *b)
{
	size_t row[NAME_BYTES_MAX + 1];
	size_t b_bytes = strlen(b);
	if (b_bytes > NAME_BYTES_MAX || strlen(a) > NAME_BYTES_MAX)
		return SIZE_MAX;
	for (size_t k = 0; k <= b_bytes; k++)
		row[k] = k;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= b_bytes; k++) {
			size_t above = row[k];
			size_t best = diagonal + (a[i - 1] != b[k - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			diagonal = above;
			row[k] = best;
		}
	}
	return row[b_bytes];
}

const char *nearest_name(const char *name, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t best_distance = strlen(name) / 3 + 2; /* a third of the letters wrong is still a guess */
	for (size_t i = 0; i < count; i++) {
		size_t distance = name_distance(name, names[i]);
		/* "-cpu" for "-cpu-profile-duration" */
		if (strlen(name) >= 3 && strncmp(name, names[i], strlen(name)) == 0)
			distance = 1;
		if (distance < best_distance) {
			best_distance = distance;
			best = names[i];
		}
	}
	return best;
}

static int choice_index(const char *choices, const char *text)
{
	int index = 0;
	size_t bytes = strlen(text);
	for (const char *at = choices;; index++) {
		size_t choice_bytes = strcspn(at, "|");
		if (choice_bytes == bytes && memcmp(at, text, bytes) == 0)
			return index;
		at += choice_bytes;
		if (*at++ == 0)
			return -1;
	}
}

static int integer_set(const struct flag *flag, const char *text, int64_t *target, const char *origin,
		       char *error)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (errno || end == text || *end) {
		snprintf(error, FLAG_ERROR_BYTES_MAX, "%s wants a whole number, not \"%.80s\"", origin, text);
		return -1;
	}
	if ((flag->minimum || flag->maximum) && (value < flag->minimum || value > flag->maximum)) {
		snprintf(error, FLAG_ERROR_BYTES_MAX, "%s is %lld, but must be from %" PRId64 " to %" PRId64,
			 origin, value, flag->minimum, flag->maximum);
		return -1;
	}
	*target = value;
	return 0;
}

static int duration_set(const struct flag *flag, const char *text, int64_t *target, const char *origin,
			char *error)
{
	char low[DURATION_TEXT_BYTES_MAX];
	char high[DURATION_TEXT_BYTES_MAX];
	if (duration_parse(text, target) < 0) {
		snprintf(error, FLAG_ERROR_BYTES_MAX,
			 "%s wants a duration such as 90s, 2m or 1h30m, not \"%.80s\"", origin, text);
		return -1;
	}
	if ((flag->minimum || flag->maximum) && (*target < flag->minimum || *target > flag->maximum)) {
		snprintf(error, FLAG_ERROR_BYTES_MAX, "%s is %.80s, but must be from %s to %s", origin, text,
			 duration_format(flag->minimum, low), duration_format(flag->maximum, high));
		return -1;
	}
	return 0;
}

int flag_set(const struct flag *flag, const char *text, void *target, const char *origin,
	     char error[static FLAG_ERROR_BYTES_MAX])
{
	void *value = (char *)target + flag->offset;
	switch (flag->kind) {
	case FLAG_TEXT:
		memcpy(value, &text, sizeof text);
		return 0;
	case FLAG_INTEGER:
		return integer_set(flag, text, value, origin, error);
	case FLAG_DURATION:
		return duration_set(flag, text, value, origin, error);
	case FLAG_SWITCH:
		if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
			*(int *)value = 1;
		else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
			*(int *)value = 0;
		else {
			snprintf(error, FLAG_ERROR_BYTES_MAX, "%s is true or false, not \"%.80s\"", origin,
				 text);
			return -1;
		}
		return 0;
	case FLAG_CHOICE: {
		int index = choice_index(flag->choices, text);
		if (index < 0) {
			snprintf(error, FLAG_ERROR_BYTES_MAX, "%s is one of %s, not \"%.80s\"", origin,
				 flag->choices, text);
			return -1;
		}
		*(int *)value = index;
		return 0;
	}
	case FLAG_SECTION:
		break;
	}
	return -1;
}

static const struct flag *flag_find(const struct flag *flags, size_t flag_count, const char *name,
				    size_t bytes)
{
	for (size_t i = 0; i < flag_count; i++)
		if (flags[i].kind != FLAG_SECTION && strlen(flags[i].name) == bytes &&
		    memcmp(flags[i].name, name, bytes) == 0)
			return &flags[i];
	return NULL;
}

static void flag_unknown(const struct flag *flags, size_t flag_count, const char *argument, const char *name,
			 size_t bytes, char *error)
{
	const char *names[NAMES_MAX];
	size_t count = 0;
	for (size_t i = 0; i < flag_count && count < NAMES_MAX; i++)
		if (flags[i].kind != FLAG_SECTION)
			names[count++] = flags[i].name;
	char copy[NAME_BYTES_MAX + 1];
	snprintf(copy, sizeof copy, "%.*s", (int)bytes, name);
	const char *near = nearest_name(copy, names, count);
	if (near)
		snprintf(error, FLAG_ERROR_BYTES_MAX, "there is no flag %.80s; did you mean -%s?", argument,
			 near);
	else
		snprintf(error, FLAG_ERROR_BYTES_MAX, "there is no flag %.80s; -help lists them", argument);
}

/* One flag with its value, from argv[*at] on; `at` moves to the last word of it. */
static int flag_take(const struct flag *flags, size_t flag_count, int argc, char **argv, int *at,
		     void *target, int *given, char error[static FLAG_ERROR_BYTES_MAX])
{
	const char *argument = argv[*at];
	const char *name = argument + (argument[1] == '-' ? 2 : 1);
	size_t bytes = strcspn(name, "=");
	const struct flag *flag = flag_find(flags, flag_count, name, bytes);
	if (!flag) {
		flag_unknown(flags, flag_count, argument, name, bytes, error);
		return -1;
	}
	const char *text = name[bytes] == '=' ? name + bytes + 1 : NULL;
	if (!text && flag->kind == FLAG_SWITCH)
		text = "true";
	if (!text && *at + 1 < argc)
		text = argv[++*at];
	if (!text) {
		snprintf(error, FLAG_ERROR_BYTES_MAX, "-%s wants a value: -%s %s", flag->name, flag->name,
			 flag->kind == FLAG_CHOICE ? flag->choices : flag->argument);
		return -1;
	}
	char origin[NAME_BYTES_MAX + 2];
	snprintf(origin, sizeof origin, "-%s", flag->name);
	if (flag_set(flag, text, target, origin, error) < 0)
		return -1;
	if (given)
		given[flag - flags] = 1;
	return 0;
}

static int is_operand(const char *argument)
{
	return argument[0] != '-' || argument[1] == 0;
}

int flags_parse(const struct flag *flags, size_t flag_count, int argc, char **argv, void *target, int *given,
		char error[static FLAG_ERROR_BYTES_MAX])
{
	for (int i = 1; i < argc; i++) {
		if (is_operand(argv[i])) {
			snprintf(error, FLAG_ERROR_BYTES_MAX,
				 "\"%.80s\" is not a flag; this command takes flags only", argv[i]);
			return -1;
		}
		if (flag_take(flags, flag_count, argc, argv, &i, target, given, error) < 0)
			return -1;
	}
	return 0;
}

int flags_parse_operands(const struct flag *flags, size_t flag_count, int argc, char **argv, void *target,
			 char **operands, size_t *ret_operand_count, char error[static FLAG_ERROR_BYTES_MAX])
{
	size_t count = 0;
	int flags_over = 0;
	for (int i = 1; i < argc; i++) {
		if (flags_over || is_operand(argv[i]))
			operands[count++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			flags_over = 1;
		else if (flag_take(flags, flag_count, argc, argv, &i, target, NULL, error) < 0)
			return -1;
	}
	*ret_operand_count = count;
	return 0;
}

void flags_print_help(const struct flag *flags, size_t flag_count)
{
	for (size_t i = 0; i < flag_count; i++) {
		const struct flag *flag = &flags[i];
		char left[80];
		if (flag->kind == FLAG_SECTION) {
			printf("\n%s\n", flag->help);
			continue;
		}
		const char *argument = flag->kind == FLAG_CHOICE ? flag->choices
				       : flag->argument		 ? flag->argument
								 : "";
		snprintf(left, sizeof left, "-%s %s", flag->name, argument);
		if (strlen(left) > 27)
			printf("  %s\n  %-28s%s\n", left, "", flag->help);
		else
			printf("  %-28s%s\n", left, flag->help);
	}
}
