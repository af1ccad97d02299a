/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts, each kept once. They come from files and tables that other users write, and go into profiles and
 * pictures, which want UTF-8: what is no character becomes '?' here, where they all pass.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/demangle.h"
#include "profiler/names_private.h"

struct names_text {
	const char *readable; /* demangled; NULL: not looked at yet */
	char text[];
};

/* Bytes of the character at `text`, 0 when it is none that may be printed. Unicode 15, table 3-7. */
static size_t character_bytes(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t bytes = 0;
	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		bytes = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		bytes = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		bytes = 4;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < bytes; i++) {
		if (text[i] < low || text[i] > high)
			return 0; /* also at the terminating 0 */
		low = 0x80;
		high = 0xbf;
	}
	/* C1 control characters. */
	return bytes == 2 && text[0] == 0xc2 && text[1] < 0xa0 ? 0 : bytes;
}

static size_t clean(const char *text, char clean_text[static NAMES_TEXT_BYTES_MAX])
{
	size_t bytes = 0;
	while (*text && bytes < NAMES_TEXT_BYTES_MAX - 4) {
		size_t character = character_bytes((const unsigned char *)text);
		if (character == 0) {
			clean_text[bytes++] = '?';
			text++;
			continue;
		}
		memcpy(clean_text + bytes, text, character);
		bytes += character;
		text += character;
	}
	clean_text[bytes] = 0;
	return bytes;
}

/* NULL: no memory. */
static struct names_text *keep(struct names_texts *texts, const char *text)
{
	char clean_text[NAMES_TEXT_BYTES_MAX];
	size_t bytes = clean(text, clean_text);
	uint32_t hash = hash_finish(hash_bytes(0, clean_text, bytes));
	size_t at = hash;
	for (uint32_t id; (id = table_next(&texts->table, hash, &at));)
		if (strcmp(texts->texts[id - 1]->text, clean_text) == 0)
			return texts->texts[id - 1];
	struct names_text *kept = malloc(sizeof *kept + bytes + 1);
	if (!kept)
		return NULL;
	kept->readable = NULL;
	memcpy(kept->text, clean_text, bytes + 1);
	texts->texts = room_for(texts->texts, &texts->room, texts->count, 1, sizeof(struct names_text *));
	texts->texts[texts->count++] = kept;
	table_insert(&texts->table, hash, (uint32_t)texts->count);
	return kept;
}

static const char no_memory[] = "[no memory for names]";

const char *names_text(struct names *names, const char *text)
{
	const struct names_text *kept = keep(&names->texts, text);
	return kept ? kept->text : no_memory;
}

const char *names_text_format(struct names *names, const char *format, ...)
{
	char text[NAMES_TEXT_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return names_text(names, text);
}

void names_function(struct names *names, const char *system_name, struct name_line *line)
{
	struct names_text *kept = keep(&names->texts, system_name);
	if (!kept) {
		line->name = line->system_name = no_memory;
		return;
	}
	if (!kept->readable) {
		char readable[DEMANGLE_OUTPUT_BYTES_MAX];
		/* The clean text, so that equal system names have equal names. */
		size_t bytes = demangle(kept->text, readable, sizeof readable);
		const char *text = bytes ? names_text(names, readable) : kept->text;
		kept->readable = text == no_memory ? kept->text : text;
	}
	line->system_name = kept->text;
	line->name = kept->readable;
}

void names_texts_finish(struct names_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->texts[i]);
	free(texts->texts);
	table_destroy(&texts->table);
	*texts = (struct names_texts){ 0 };
}
