/* SPDX-License-Identifier: Apache-2.0
 *
 * What both readers of this room ask of a token's text. C++; internal to control.
 */
#ifndef CONTROL_TOKEN_H
#define CONTROL_TOKEN_H

#include <cstdint>

static inline bool is_blank(uint8_t c) noexcept
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(uint8_t c) noexcept
{
	return c >= '0' && c <= '9';
}

static inline const uint8_t *behind_digits(const uint8_t *at, const uint8_t *end) noexcept
{
	while (at < end && is_digit(*at))
		at++;
	return at;
}

/* RFC 8259 section 6: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)? */
static inline bool is_number(const uint8_t *at, const uint8_t *end) noexcept
{
	at += at < end && *at == '-';
	const uint8_t *digits = at;
	at = behind_digits(at, end);
	if (at == digits || (at - digits > 1 && *digits == '0'))
		return false;
	if (at < end && *at == '.') {
		digits = ++at;
		at = behind_digits(at, end);
		if (at == digits)
			return false;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at += at < end && (*at == '+' || *at == '-');
		digits = at;
		at = behind_digits(at, end);
		if (at == digits)
			return false;
	}
	return at == end;
}

#endif
