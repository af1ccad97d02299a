/* SPDX-License-Identifier: Apache-2.0
 *
 * Names come from thread names, files and symbol tables, so they can be any bytes; protobuf's strings are
 * UTF-8, and strict readers refuse a whole profile for one bad byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pprof/profile.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */
enum { REPLACEMENT_BYTES = sizeof REPLACEMENT - 1 };

/* Length of the character at `at` as in the table of RFC 3629, section 4; 0 for NUL and what is no UTF-8. */
static size_t character_bytes(const uint8_t *at, size_t count)
{
	uint8_t lead = at[0], low = 0x80, high = 0xbf; /* the bounds of the second byte */
	if (lead < 0x80)
		return lead != 0;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (count < bytes)
		return 0;
	if (lead == 0xe0)
		low = 0xa0; /* overlong */
	else if (lead == 0xed)
		high = 0x9f; /* surrogates */
	else if (lead == 0xf0)
		low = 0x90; /* overlong */
	else if (lead == 0xf4)
		high = 0x8f; /* above U+10FFFF */
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return bytes;
}

int text_is_clean(const char *text, size_t bytes)
{
	const uint8_t *at = (const uint8_t *)text;
	while (bytes) {
		size_t step = character_bytes(at, bytes);
		if (!step)
			return 0;
		at += step;
		bytes -= step;
	}
	return 1;
}

char *text_clean(const char *text, size_t bytes, size_t *ret_bytes)
{
	size_t room = 0, count = 0;
	char *clean = room_for(NULL, &room, 0, bytes * REPLACEMENT_BYTES + 1, 1);
	while (bytes) {
		size_t step = character_bytes((const uint8_t *)text, bytes);
		memcpy(clean + count, step ? text : REPLACEMENT, step ? step : REPLACEMENT_BYTES);
		count += step ? step : REPLACEMENT_BYTES;
		text += step ? step : 1;
		bytes -= step ? step : 1;
	}
	clean[count] = '\0';
	*ret_bytes = count;
	return clean;
}
