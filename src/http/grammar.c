/* SPDX-License-Identifier: Apache-2.0
 *
 * Character classes, trimming, words and lists (RFC 9110 sections 5.5 and 5.6).
 */
#include "http/http_internal.h"

#define VALUE HTTP_CLASS_VALUE
#define TARGET (HTTP_CLASS_VALUE | HTTP_CLASS_TARGET)
#define TOKEN (TARGET | HTTP_CLASS_TOKEN)
#define HOST (TARGET | HTTP_CLASS_HOST)
#define ALL (TOKEN | HTTP_CLASS_HOST)

const uint8_t http_classes[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = ALL,
	['"'] = TARGET,
	['#'] = VALUE | HTTP_CLASS_TOKEN,
	['$'] = ALL,
	['%'] = ALL,
	['&'] = ALL,
	['\''] = ALL,
	['('] = HOST,
	[')'] = HOST,
	['*'] = ALL,
	['+'] = ALL,
	[','] = HOST,
	['-'] = ALL,
	['.'] = ALL,
	['/'] = TARGET,
	['0' ... '9'] = ALL,
	[':'] = HOST,
	[';'] = HOST,
	['<'] = TARGET,
	['='] = HOST,
	['>'] = TARGET,
	['?'] = TARGET,
	['@'] = TARGET,
	['A' ... 'Z'] = ALL,
	['['] = HOST,
	['\\'] = TARGET,
	[']'] = HOST,
	['^'] = TOKEN,
	['_'] = ALL,
	['`'] = TOKEN,
	['a' ... 'z'] = ALL,
	['{'] = TARGET,
	['|'] = TOKEN,
	['}'] = TARGET,
	['~'] = ALL,
	[0x80 ... 0xff] = VALUE,
};

int http_all_of(struct span text, enum http_class class)
{
	/* No early exit: lines are short and good, and this way the loop has no branch to miss. */
	unsigned all = class;
	for (size_t i = 0; i < text.bytes; i++)
		all &= http_classes[text.base[i]];
	return all != 0;
}

struct span http_trim(struct span text)
{
	while (text.bytes && http_is_blank(text.base[0])) {
		text.base++;
		text.bytes--;
	}
	while (text.bytes && http_is_blank(text.base[text.bytes - 1]))
		text.bytes--;
	return text;
}

int http_is_word(struct span text, const char *lower)
{
	if (strlen(lower) != text.bytes)
		return 0;
	/* With bit 5 set an ASCII letter is lower-case and "-" stays what it is. */
	for (size_t i = 0; i < text.bytes; i++) {
		if ((text.base[i] | 0x20) != (uint8_t)lower[i])
			return 0;
	}
	return 1;
}

int http_list_next(struct span *list, struct span *ret_element)
{
	if (!list->base)
		return 0;
	const uint8_t *comma = list->bytes ? memchr(list->base, ',', list->bytes) : NULL;
	size_t bytes = comma ? (size_t)(comma - list->base) : list->bytes;
	*ret_element = http_trim(span_of(list->base, bytes));
	*list = comma ? span_of(comma + 1, list->bytes - bytes - 1) : span_of(NULL, 0);
	return 1;
}
