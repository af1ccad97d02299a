/* SPDX-License-Identifier: Apache-2.0
 *
 * Events are the simulator's, from its own code. Text and binaries are this host's: the C headers and
 * licences that every Debian with a compiler has, and the compiler itself. They differ between hosts, so
 * tables name their checksum.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "simulator/events.h"

#define EVENTS_CONFIG_ID "14227"
#define EVENTS_START_NS INT64_C(1700000000000000000)
#define EVENTS_STEP_NS (1000000000 / 13500)

static const char *const text_folders[] = { "/usr/share/common-licenses", "/usr/include" };
static const char *const binary_patterns[] = { "/usr/lib/gcc/*/*/cc1", "/usr/lib/*/libc.so.6" };

static void events_make(struct corpus *corpus, int lean, size_t plain_bytes_max)
{
	struct events events = { .seed = 1, .lean = lean };
	struct text text = { 0 };
	size_t count = 0, whole_bytes = 0;
	text_reserve(&text, plain_bytes_max);
	for (;; count++) {
		event_put(&events, EVENTS_CONFIG_ID, count, EVENTS_START_NS + (int64_t)count * EVENTS_STEP_NS,
			  &text);
		text_put(&text, "\n", 1);
		if (text.bytes > plain_bytes_max)
			break;
		whole_bytes = text.bytes;
	}
	corpus->plain = (uint8_t *)text.base;
	corpus->plain_bytes = whole_bytes;
	snprintf(corpus->name, sizeof corpus->name, "events, %s", lean ? "0.95 KB" : "1.9 KB");
	snprintf(corpus->origin, sizeof corpus->origin, "%zu of the simulator's, %.0f bytes each", count,
		 (double)whole_bytes / (double)count);
}

static void file_append(struct corpus *corpus, const char *path, size_t plain_bytes_max)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return;
	corpus->plain_bytes +=
		fread(corpus->plain + corpus->plain_bytes, 1, plain_bytes_max - corpus->plain_bytes, file);
	fclose(file);
}

/* Every regular file in the order of names; links would give the same bytes twice. */
static size_t folder_append(struct corpus *corpus, const char *folder, size_t plain_bytes_max)
{
	struct dirent **entries;
	size_t files = 0;
	int count = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char path[4096];
		struct stat status;
		int bytes = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && bytes > 0 && (size_t)bytes < sizeof path &&
		    corpus->plain_bytes < plain_bytes_max && lstat(path, &status) == 0) {
			if (S_ISREG(status.st_mode)) {
				file_append(corpus, path, plain_bytes_max);
				files++;
			} else if (S_ISDIR(status.st_mode)) {
				files += folder_append(corpus, path, plain_bytes_max);
			}
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return files;
}

static void text_make(struct corpus *corpus, size_t plain_bytes_max)
{
	size_t files = 0;
	corpus->plain = memory_take(plain_bytes_max);
	for (size_t i = 0; i < sizeof text_folders / sizeof *text_folders; i++)
		files += folder_append(corpus, text_folders[i], plain_bytes_max);
	snprintf(corpus->name, sizeof corpus->name, "text");
	snprintf(corpus->origin, sizeof corpus->origin, "%zu files, %s first, then %s", files,
		 text_folders[0], text_folders[1]);
}

static void binary_make(struct corpus *corpus, size_t plain_bytes_max)
{
	corpus->plain = memory_take(plain_bytes_max);
	snprintf(corpus->name, sizeof corpus->name, "binary");
	for (size_t i = 0; i < sizeof binary_patterns / sizeof *binary_patterns && !corpus->plain_bytes;
	     i++) {
		glob_t found;
		if (glob(binary_patterns[i], 0, NULL, &found) != 0)
			continue;
		file_append(corpus, found.gl_pathv[0], plain_bytes_max);
		snprintf(corpus->origin, sizeof corpus->origin, "the beginning of %s", found.gl_pathv[0]);
		globfree(&found);
	}
}

void corpus_make(struct corpus *corpus, enum corpus_kind kind, size_t plain_bytes_max)
{
	*corpus = (struct corpus){ 0 };
	switch (kind) {
	case CORPUS_EVENTS_FULL:
	case CORPUS_EVENTS_LEAN:
		events_make(corpus, kind == CORPUS_EVENTS_LEAN, plain_bytes_max);
		return;
	case CORPUS_TEXT:
		text_make(corpus, plain_bytes_max);
		return;
	case CORPUS_BINARY:
		binary_make(corpus, plain_bytes_max);
		return;
	case CORPUS_KINDS:
		return;
	}
}

void corpus_finish(struct corpus *corpus)
{
	free(corpus->plain);
}
