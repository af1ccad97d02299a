/* SPDX-License-Identifier: Apache-2.0
 *
 * Lua patterns. An item is one character class with or without a repetition; what can be decided in more than
 * one way leaves a choice on a stack of our own, and a failure takes the newest choice up again. Patterns
 * have no repetition of groups, so there are at most as many choices as items in the pattern.
 *
 * As in Lua, a pattern's faults are found where matching comes across them, and letters are those of ASCII.
 */
#include "program/pattern.h"

enum { SET_BYTES_OF_STEP = 4 }; /* a byte of a set is passed over in about a nanosecond */

enum choice_kind {
	CHOICE_FEWER, /* a greedy repetition that can give back */
	CHOICE_MORE,  /* a lazy one that can take more */
	CHOICE_OPENED,
	CHOICE_CLOSED,
};

struct choice {
	enum choice_kind kind;
	unsigned capture;    /* CLOSED */
	size_t subject_at;   /* where the rest of the pattern was tried last */
	size_t subject_min;  /* FEWER */
	size_t item_at;	     /* MORE */
	size_t item_end;     /* MORE */
	size_t continues_at; /* the rest of the pattern */
};

struct run {
	struct pattern *pattern;
	size_t subject_at, pattern_at;
	unsigned choice_count;
	struct choice choices[PATTERN_CHOICES_MAX];
};

void pattern_settle(struct pattern *pattern)
{
	uint64_t steps = pattern->steps;
	pattern->steps = 0;
	pattern->charge(pattern->user, steps);
}

static void spend(struct pattern *pattern, size_t steps)
{
	pattern->steps += steps;
	if (pattern->steps >= PATTERN_STEPS_MAX)
		pattern_settle(pattern);
}

static enum pattern_answer malformed(struct pattern *pattern, const char *error)
{
	pattern->error = error;
	pattern->error_index = -1;
	return PATTERN_MALFORMED;
}

static enum pattern_answer bad_capture_index(struct pattern *pattern, int index)
{
	pattern->error = "invalid capture index %";
	pattern->error_index = index;
	return PATTERN_MALFORMED;
}

static int is_letter(uint8_t byte)
{
	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static int is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static int is_visible(uint8_t byte)
{
	return byte > ' ' && byte < 0x7f;
}

/* Whether the class %name has the byte; `name` in lower case. Letters that name no class stand for nothing:
 * -1. */
static int class_has(uint8_t name, uint8_t byte)
{
	switch (name) {
	case 'a':
		return is_letter(byte);
	case 'c':
		return byte < ' ' || byte == 0x7f;
	case 'd':
		return is_digit(byte);
	case 'g':
		return is_visible(byte);
	case 'l':
		return byte >= 'a' && byte <= 'z';
	case 'p':
		return is_visible(byte) && !is_letter(byte) && !is_digit(byte);
	case 's':
		return byte == ' ' || (byte >= '\t' && byte <= '\r');
	case 'u':
		return byte >= 'A' && byte <= 'Z';
	case 'w':
		return is_letter(byte) || is_digit(byte);
	case 'x':
		return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
	case 'z': /* NUL; gone from the manual, still in use */
		return byte == 0;
	default:
		return -1;
	}
}

/* %name: an upper case name is the complement of the class; what names no class means itself. */
static int escape_has(uint8_t name, uint8_t byte)
{
	if (!is_letter(name))
		return name == byte;
	int has = class_has(name | 0x20, byte);
	if (has < 0)
		return name == byte;
	return name & 0x20 ? has : !has;
}

/* The set that begins with the '[' at item_at and ends with the ']' before item_end. */
static int set_has(struct pattern *pattern, size_t item_at, size_t item_end, uint8_t byte)
{
	const uint8_t *text = pattern->text.base;
	size_t end = item_end - 1, at = item_at + 1;
	int complement = text[at] == '^';
	spend(pattern, (item_end - item_at) / SET_BYTES_OF_STEP);
	at += (size_t)complement;
	while (at < end) {
		if (text[at] == '%') {
			if (escape_has(text[at + 1], byte))
				return !complement;
			at += 2;
		} else if (at + 2 < end && text[at + 1] == '-') {
			if (byte >= text[at] && byte <= text[at + 2])
				return !complement;
			at += 3;
		} else {
			if (text[at] == byte)
				return !complement;
			at++;
		}
	}
	return complement;
}

/* Finds the ']' of the set at `at`: *ret_end is behind it. */
static enum pattern_answer find_set_end(struct pattern *pattern, size_t at, size_t *ret_end)
{
	const uint8_t *text = pattern->text.base;
	size_t bytes = pattern->text.bytes, begin = at++;
	if (at < bytes && text[at] == '^')
		at++;
	/* A ']' that comes first is one of the set. */
	for (size_t first = at; at < bytes && (text[at] != ']' || at == first); at++) {
		if (text[at] == '%')
			at++;
	}
	if (at >= bytes)
		return malformed(pattern, "malformed pattern (missing ']')");
	*ret_end = at + 1;
	spend(pattern, (*ret_end - begin) / SET_BYTES_OF_STEP);
	return PATTERN_YES;
}

static enum pattern_answer find_item_end(struct pattern *pattern, size_t at, size_t *ret_end)
{
	const uint8_t *text = pattern->text.base;
	if (text[at] == '[')
		return find_set_end(pattern, at, ret_end);
	*ret_end = at + 1 + (text[at] == '%');
	if (*ret_end > pattern->text.bytes)
		return malformed(pattern, "malformed pattern (ends with '%')");
	return PATTERN_YES;
}

/* Whether the item has the byte of the subject at `at`; the end has none. */
static int item_has(struct pattern *pattern, size_t item_at, size_t item_end, size_t at)
{
	if (at >= pattern->subject.bytes)
		return 0;
	uint8_t byte = pattern->subject.base[at];
	const uint8_t *item = pattern->text.base + item_at;
	switch (*item) {
	case '.':
		return 1;
	case '%':
		return escape_has(item[1], byte);
	case '[':
		return set_has(pattern, item_at, item_end, byte);
	default:
		return *item == byte;
	}
}

/* A new choice, to be filled in; NULL and an error when there are too many. */
static struct choice *choose(struct run *run, enum choice_kind kind)
{
	if (run->choice_count == PATTERN_CHOICES_MAX) {
		malformed(run->pattern, "pattern too complex");
		return NULL;
	}
	struct choice *choice = &run->choices[run->choice_count++];
	choice->kind = kind;
	return choice;
}

static enum pattern_answer open_capture(struct run *run)
{
	struct pattern *pattern = run->pattern;
	size_t next = run->pattern_at + 1;
	int is_position = next < pattern->text.bytes && pattern->text.base[next] == ')';
	if (pattern->capture_count == PATTERN_CAPTURES_MAX)
		return malformed(pattern, "too many captures");
	if (!choose(run, CHOICE_OPENED))
		return PATTERN_MALFORMED;
	pattern->captures[pattern->capture_count++] = (struct pattern_capture){
		.at = run->subject_at,
		.bytes = is_position ? PATTERN_POSITION : PATTERN_OPEN,
	};
	run->pattern_at = next + (size_t)is_position;
	return PATTERN_YES;
}

static enum pattern_answer close_capture(struct run *run)
{
	struct pattern *pattern = run->pattern;
	unsigned index = pattern->capture_count;
	while (index && pattern->captures[index - 1].bytes != PATTERN_OPEN)
		index--;
	if (!index)
		return malformed(pattern, "invalid pattern capture");
	struct choice *choice = choose(run, CHOICE_CLOSED);
	if (!choice)
		return PATTERN_MALFORMED;
	struct pattern_capture *capture = &pattern->captures[index - 1];
	choice->capture = index - 1;
	capture->bytes = (ptrdiff_t)(run->subject_at - capture->at);
	run->pattern_at++;
	return PATTERN_YES;
}

/* %bxy */
static enum pattern_answer match_balance(struct run *run)
{
	struct pattern *pattern = run->pattern;
	const struct span *subject = &pattern->subject;
	if (pattern->text.bytes - run->pattern_at < 4)
		return malformed(pattern, "malformed pattern (missing arguments to '%b')");
	uint8_t opening = pattern->text.base[run->pattern_at + 2];
	uint8_t closing = pattern->text.base[run->pattern_at + 3];
	size_t at = run->subject_at;
	if (at >= subject->bytes || subject->base[at] != opening)
		return PATTERN_NO;
	size_t depth = 1;
	for (at++; at < subject->bytes; at++) {
		spend(pattern, 1);
		if (subject->base[at] == closing) {
			if (--depth == 0) {
				run->subject_at = at + 1;
				run->pattern_at += 4;
				return PATTERN_YES;
			}
		} else if (subject->base[at] == opening) {
			depth++;
		}
	}
	return PATTERN_NO;
}

/* %f[set]: the byte before is not in the set, this one is; both ends of the subject count as NUL. */
static enum pattern_answer match_frontier(struct run *run)
{
	struct pattern *pattern = run->pattern;
	const struct span *subject = &pattern->subject;
	size_t set_at = run->pattern_at + 2, set_end, at = run->subject_at;
	if (set_at >= pattern->text.bytes || pattern->text.base[set_at] != '[')
		return malformed(pattern, "missing '[' after '%f' in pattern");
	if (find_set_end(pattern, set_at, &set_end) == PATTERN_MALFORMED)
		return PATTERN_MALFORMED;
	uint8_t before = at ? subject->base[at - 1] : 0;
	uint8_t here = at < subject->bytes ? subject->base[at] : 0;
	if (set_has(pattern, set_at, set_end, before) || !set_has(pattern, set_at, set_end, here))
		return PATTERN_NO;
	run->pattern_at = set_end;
	return PATTERN_YES;
}

/* %1 to %9 */
static enum pattern_answer match_back_reference(struct run *run)
{
	struct pattern *pattern = run->pattern;
	const struct span *subject = &pattern->subject;
	unsigned number = pattern->text.base[run->pattern_at + 1] - (unsigned)'0';
	if (number == 0 || number > pattern->capture_count ||
	    pattern->captures[number - 1].bytes == PATTERN_OPEN)
		return bad_capture_index(pattern, (int)number);
	const struct pattern_capture *capture = &pattern->captures[number - 1];
	/* A position is no text, so nothing equals it. */
	if (capture->bytes < 0 || subject->bytes - run->subject_at < (size_t)capture->bytes)
		return PATTERN_NO;
	size_t bytes = (size_t)capture->bytes;
	spend(pattern, bytes);
	if (bytes && memcmp(subject->base + capture->at, subject->base + run->subject_at, bytes) != 0)
		return PATTERN_NO;
	run->subject_at += bytes;
	run->pattern_at += 2;
	return PATTERN_YES;
}

/* '*' and, with min 1, '+': as many as there are. */
static enum pattern_answer match_greedy(struct run *run, size_t item_end, size_t min)
{
	size_t item_at = run->pattern_at, begin = run->subject_at, at = begin;
	while (item_has(run->pattern, item_at, item_end, at)) {
		spend(run->pattern, 1);
		at++;
	}
	if (at - begin < min)
		return PATTERN_NO;
	run->subject_at = at;
	run->pattern_at = item_end + 1;
	if (at == begin)
		return PATTERN_YES; /* nothing was taken, there is no choice */
	struct choice *choice = choose(run, CHOICE_FEWER);
	if (!choice)
		return PATTERN_MALFORMED;
	choice->subject_at = at;
	choice->subject_min = begin + min;
	choice->continues_at = run->pattern_at;
	return PATTERN_YES;
}

/* '?' */
static enum pattern_answer match_optional(struct run *run, size_t item_end)
{
	size_t begin = run->subject_at;
	int has = item_has(run->pattern, run->pattern_at, item_end, begin);
	run->pattern_at = item_end + 1;
	if (!has)
		return PATTERN_YES;
	struct choice *choice = choose(run, CHOICE_FEWER);
	if (!choice)
		return PATTERN_MALFORMED;
	choice->subject_at = run->subject_at = begin + 1;
	choice->subject_min = begin;
	choice->continues_at = run->pattern_at;
	return PATTERN_YES;
}

/* '-': none at first. */
static enum pattern_answer match_lazy(struct run *run, size_t item_end)
{
	size_t item_at = run->pattern_at;
	run->pattern_at = item_end + 1;
	if (!item_has(run->pattern, item_at, item_end, run->subject_at))
		return PATTERN_YES;
	struct choice *choice = choose(run, CHOICE_MORE);
	if (!choice)
		return PATTERN_MALFORMED;
	choice->subject_at = run->subject_at;
	choice->item_at = item_at;
	choice->item_end = item_end;
	choice->continues_at = run->pattern_at;
	return PATTERN_YES;
}

static enum pattern_answer match_class(struct run *run)
{
	struct pattern *pattern = run->pattern;
	size_t item_end;
	if (find_item_end(pattern, run->pattern_at, &item_end) == PATTERN_MALFORMED)
		return PATTERN_MALFORMED;
	switch (item_end < pattern->text.bytes ? pattern->text.base[item_end] : 0) {
	case '*':
		return match_greedy(run, item_end, 0);
	case '+':
		return match_greedy(run, item_end, 1);
	case '?':
		return match_optional(run, item_end);
	case '-':
		return match_lazy(run, item_end);
	default:
		if (!item_has(pattern, run->pattern_at, item_end, run->subject_at))
			return PATTERN_NO;
		run->subject_at++;
		run->pattern_at = item_end;
		return PATTERN_YES;
	}
}

/* One item further. */
static enum pattern_answer match_item(struct run *run)
{
	const struct span *text = &run->pattern->text;
	uint8_t byte = text->base[run->pattern_at];
	uint8_t next = run->pattern_at + 1 < text->bytes ? text->base[run->pattern_at + 1] : 0;
	spend(run->pattern, 1);
	if (byte == '(')
		return open_capture(run);
	if (byte == ')')
		return close_capture(run);
	if (byte == '$' && run->pattern_at + 1 == text->bytes) {
		run->pattern_at++;
		return run->subject_at == run->pattern->subject.bytes ? PATTERN_YES : PATTERN_NO;
	}
	if (byte == '%' && next == 'b')
		return match_balance(run);
	if (byte == '%' && next == 'f')
		return match_frontier(run);
	if (byte == '%' && is_digit(next))
		return match_back_reference(run);
	return match_class(run);
}

/* Takes up the newest choice that is not spent; 0 when there is none. */
static int backtrack(struct run *run)
{
	struct pattern *pattern = run->pattern;
	while (run->choice_count) {
		struct choice *choice = &run->choices[run->choice_count - 1];
		int again = 0;
		spend(pattern, 1);
		switch (choice->kind) {
		case CHOICE_OPENED:
			pattern->capture_count--;
			break;
		case CHOICE_CLOSED:
			pattern->captures[choice->capture].bytes = PATTERN_OPEN;
			break;
		case CHOICE_FEWER:
			again = choice->subject_at > choice->subject_min;
			if (again)
				choice->subject_at--;
			break;
		case CHOICE_MORE:
			again = item_has(pattern, choice->item_at, choice->item_end, choice->subject_at);
			if (again)
				choice->subject_at++;
			break;
		}
		if (again) {
			run->subject_at = choice->subject_at;
			run->pattern_at = choice->continues_at;
			return 1;
		}
		run->choice_count--;
	}
	return 0;
}

enum pattern_answer pattern_match(struct pattern *pattern, size_t from, size_t *ret_end)
{
	struct run run;
	run.pattern = pattern;
	run.subject_at = from;
	run.pattern_at = 0;
	run.choice_count = 0;
	pattern->capture_count = 0;
	spend(pattern, 1);
	while (run.pattern_at < pattern->text.bytes) {
		enum pattern_answer answer = match_item(&run);
		if (answer == PATTERN_MALFORMED || (answer == PATTERN_NO && !backtrack(&run)))
			return answer;
	}
	*ret_end = run.subject_at;
	return PATTERN_YES;
}
