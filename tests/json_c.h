/* SPDX-License-Identifier: Apache-2.0
 *
 * json-c as a reference: as strict as it can be for a text. Of all its versions from 0.16 to 0.18.
 */
#ifndef TESTS_JSON_C_H
#define TESTS_JSON_C_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

/* Strictly, but where a byte is beyond ASCII: json-c 0.18 takes all of those in strict mode for control
 * characters, since it compares them with a sign. */
static int json_c_flags(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((uint8_t)text[i] >= 0x80)
			return JSON_TOKENER_VALIDATE_UTF8;
	return JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_STRICT;
}

#endif
