/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "simulator/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((noreturn)) static void memory_exhausted(void)
{
	static const char message[] = "akamai-prof simulate: out of memory\n";
	(void)!write(STDERR_FILENO, message, sizeof message - 1);
	_exit(1);
}

void *memory_take(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);
	if (!memory)
		memory_exhausted();
	return memory;
}

void text_reserve(struct text *text, size_t more)
{
	if (text->capacity - text->bytes >= more)
		return;
	size_t capacity = text->capacity ? text->capacity : 256;
	while (capacity - text->bytes < more)
		capacity *= 2;
	char *base = realloc(text->base, capacity);
	if (!base)
		memory_exhausted();
	text->base = base;
	text->capacity = capacity;
}

void text_put(struct text *text, const void *bytes, size_t count)
{
	if (count == 0)
		return;
	text_reserve(text, count);
	memcpy(text->base + text->bytes, bytes, count);
	text->bytes += count;
}

void text_put_string(struct text *text, const char *string)
{
	text_put(text, string, strlen(string));
}

void text_put_number(struct text *text, uint64_t number)
{
	char digits[20];
	size_t count = 0;
	do {
		digits[sizeof digits - ++count] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	text_put(text, digits + sizeof digits - count, count);
}

void text_format(struct text *text, const char *format, ...)
{
	/* Most pieces are short: the first try fits. */
	size_t room = 128;
	for (int try = 0; try < 2; try++) {
		text_reserve(text, room);
		va_list arguments;
		va_start(arguments, format);
		int count = vsnprintf(text->base + text->bytes, room, format, arguments);
		va_end(arguments);
		if (count < 0)
			return;
		if ((size_t)count < room) {
			text->bytes += (size_t)count;
			return;
		}
		room = (size_t)count + 1;
	}
}

/* Letters, digits and "-_.+,()*$!", one bit for each byte below 128. */
static int percent_literal(unsigned char byte)
{
	static const uint64_t literal[2] = { 0x03ff7f1200000000, 0x07fffffe87fffffe };
	return byte < 128 && (literal[byte / 64] >> byte % 64 & 1);
}

void text_put_percent(struct text *text, const void *bytes, size_t count)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *from = bytes;
	text_reserve(text, count * 3);
	char *to = text->base + text->bytes;
	for (size_t i = 0; i < count; i++) {
		if (percent_literal(from[i])) {
			*to++ = (char)from[i];
			continue;
		}
		*to++ = '%';
		*to++ = hex[from[i] >> 4];
		*to++ = hex[from[i] & 15];
	}
	text->bytes = (size_t)(to - text->base);
}

void text_put_base64(struct text *text, const void *bytes, size_t count)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *from = bytes;
	text_reserve(text, (count + 2) / 3 * 4);
	char *to = text->base + text->bytes;
	for (size_t i = 0; i < count; i += 3) {
		size_t left = count - i;
		uint32_t group = (uint32_t)from[i] << 16;
		group |= left > 1 ? (uint32_t)from[i + 1] << 8 : 0;
		group |= left > 2 ? (uint32_t)from[i + 2] : 0;
		*to++ = letters[group >> 18];
		*to++ = letters[group >> 12 & 63];
		*to++ = left > 1 ? letters[group >> 6 & 63] : '=';
		*to++ = left > 2 ? letters[group & 63] : '=';
	}
	text->bytes = (size_t)(to - text->base);
}

int text_save(const struct text *text, const char *path, unsigned mode)
{
	struct text name = { 0 };
	text_format(&name, "%s.%ld.tmp", path, (long)getpid());
	int fd = open(name.base, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
	int result = fd < 0 ? -errno : 0;
	for (size_t done = 0; result == 0 && done < text->bytes;) {
		ssize_t count = write(fd, text->base + done, text->bytes - done);
		if (count < 0 && errno != EINTR)
			result = -errno;
		done += count > 0 ? (size_t)count : 0;
	}
	if (fd >= 0)
		close(fd);
	if (result == 0 && rename(name.base, path) < 0)
		result = -errno;
	if (result < 0 && fd >= 0)
		unlink(name.base);
	text_finish(&name);
	return result;
}

void text_finish(struct text *text)
{
	free(text->base);
	*text = (struct text){ 0 };
}
