/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments in, sides out: run folders, folders of repeated runs, pprof files; and what to call them. What
 * cannot be read is an error: a comparison without one of its runs would mislead.
 */
#define _GNU_SOURCE /* strverscmp() */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/compare_parts.h"
#include "report/text.h"

enum { PATH_BYTES_MAX = 4400, FOLDER_BYTES_MAX = 4096, LABEL_BYTES_MAX = 200 };

/* A collector's files, those of `record`, and Go's. */
static const char *const file_names[COMPARE_FILE_COUNT][2] = {
	[COMPARE_CPU] = { "cpu_mid.pprof", "cpu.pprof" },
	[COMPARE_HEAP_MID] = { "heap_mid.pprof", NULL },
	[COMPARE_HEAP_END] = { "heap_end.pprof", "heap.pprof" },
};

static int is_there(const char *folder, const char *name)
{
	char path[PATH_BYTES_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static int has_run(const char *folder)
{
	if (is_there(folder, "run.json"))
		return 1;
	for (int i = 0; i < COMPARE_FILE_COUNT; i++)
		for (int k = 0; k < 2 && file_names[i][k]; k++)
			if (is_there(folder, file_names[i][k]))
				return 1;
	return 0;
}

static struct compare_run *add_run(struct compare_side *side, const char *path)
{
	struct compare_run *run = &side->runs[side->run_count++];
	run->path = report_copy(path);
	return run;
}

static int read_profile(struct compare_run *run, int file, const char *path,
			char error[static REPORT_ERROR_BYTES_MAX])
{
	char sentence[PPROF_ERROR_BYTES_MAX];
	run->profiles[file] = pprof_read(path, sentence);
	if (!run->profiles[file]) {
		snprintf(error, REPORT_ERROR_BYTES_MAX, "%.900s; take that run again, or leave it out",
			 sentence);
		return -1;
	}
	run->frames[file] = frames_create(run->profiles[file]);
	return 0;
}

static int read_run(struct compare_side *side, const char *folder, char error[static REPORT_ERROR_BYTES_MAX])
{
	struct compare_run *run = add_run(side, folder);
	char path[PATH_BYTES_MAX], sentence[REPORT_ERROR_BYTES_MAX];
	int missing;
	snprintf(path, sizeof path, "%s/run.json", folder);
	run->record = run_json_read(path, &missing, sentence);
	run->recorded = run->record != NULL;
	if (!run->record && !missing) {
		snprintf(error, REPORT_ERROR_BYTES_MAX, "%.900s; take that run again, or leave it out",
			 sentence);
		return -1;
	}
	if (!run->record)
		run->record = run_json_nothing();
	for (int i = 0; i < COMPARE_FILE_COUNT; i++) {
		for (int k = 0; k < 2 && file_names[i][k]; k++) {
			if (!is_there(folder, file_names[i][k]))
				continue;
			snprintf(path, sizeof path, "%s/%s", folder, file_names[i][k]);
			if (read_profile(run, i, path, error) < 0)
				return -1;
			break;
		}
	}
	return 0;
}

static int by_version(const void *left, const void *right)
{
	return strverscmp(*(char *const *)left, *(char *const *)right);
}

/* The subfolders that hold a run, in the order of their numbers. */
static size_t list_repeats(const char *folder, char *names[static COMPARE_REPEATS_MAX])
{
	DIR *directory = opendir(folder);
	size_t count = 0;
	for (const struct dirent *entry; directory && (entry = readdir(directory));) {
		char path[FOLDER_BYTES_MAX + 1 +
			  NAME_MAX]; /* leaves room for a file's name in PATH_BYTES_MAX */
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (!has_run(path))
			continue;
		if (count == COMPARE_REPEATS_MAX) {
			count++; /* too many; the caller says so */
			break;
		}
		names[count++] = report_copy(path);
	}
	if (directory)
		closedir(directory);
	size_t listed = count < COMPARE_REPEATS_MAX ? count : COMPARE_REPEATS_MAX;
	qsort(names, listed, sizeof *names, by_version);
	return count;
}

static int read_repeats(struct compare_side *side, char error[static REPORT_ERROR_BYTES_MAX])
{
	char *names[COMPARE_REPEATS_MAX];
	size_t count = list_repeats(side->path, names);
	int code = 0;
	if (count == 0)
		snprintf(
			error, REPORT_ERROR_BYTES_MAX,
			"%.700s holds neither run.json nor profiles (cpu_mid.pprof, heap_end.pprof ...), nor "
			"folders that do; name the folder that a run was told with -out",
			side->path);
	if (count > COMPARE_REPEATS_MAX)
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "%.700s holds more than %d runs; name the folder of one configuration", side->path,
			 COMPARE_REPEATS_MAX);
	if (count == 0 || count > COMPARE_REPEATS_MAX)
		code = -1;
	size_t listed = count < COMPARE_REPEATS_MAX ? count : COMPARE_REPEATS_MAX;
	for (size_t i = 0; i < listed; i++) {
		if (code == 0)
			code = read_run(side, names[i], error);
		free(names[i]);
	}
	return code;
}

/* What a file alone is, by its sample types. */
static int kind_of_file(const struct pprof *profile)
{
	if (pprof_value_index(profile, "inuse_space") >= 0 || pprof_value_index(profile, "alloc_space") >= 0)
		return COMPARE_HEAP_END;
	if (pprof_value_index(profile, "cpu") >= 0)
		return COMPARE_CPU;
	return profile->value_count == 1 && pprof_value_index(profile, "samples") == 0 ? COMPARE_CPU
										       : COMPARE_FILE_COUNT;
}

static int read_file(struct compare_side *side, char error[static REPORT_ERROR_BYTES_MAX])
{
	struct compare_run *run = add_run(side, side->path);
	side->is_file = 1;
	run->record = run_json_nothing();
	if (read_profile(run, COMPARE_CPU, side->path, error) < 0)
		return -1;
	struct pprof *profile = run->profiles[COMPARE_CPU];
	int kind = kind_of_file(profile);
	if (kind == COMPARE_FILE_COUNT) {
		const char *type =
			profile->value_count
				? pprof_text(profile, profile->value_types[profile->value_count - 1].type)
				: "no";
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "%.700s is a profile of %.80s samples; compare takes CPU profiles (cpu) and heap "
			 "profiles (alloc_space, inuse_space)",
			 side->path, type);
		return -1;
	}
	if (kind != COMPARE_CPU) {
		run->profiles[kind] = profile;
		run->frames[kind] = run->frames[COMPARE_CPU];
		run->profiles[COMPARE_CPU] = NULL;
		run->frames[COMPARE_CPU] = NULL;
	}
	return 0;
}

static int read_side(struct compare_side *side, char error[static REPORT_ERROR_BYTES_MAX])
{
	struct stat status;
	side->runs = report_allocate(COMPARE_REPEATS_MAX, sizeof *side->runs);
	if (strlen(side->path) >= FOLDER_BYTES_MAX) {
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "a path of %zu bytes is too long; at most %d are possible", strlen(side->path),
			 FOLDER_BYTES_MAX - 1);
		return -1;
	}
	if (stat(side->path, &status) < 0) {
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "cannot read %.800s: %s; name run folders or pprof files", side->path,
			 strerror(errno));
		return -1;
	}
	if (!S_ISDIR(status.st_mode))
		return read_file(side, error);
	if (access(side->path, R_OK | X_OK) < 0) {
		snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot read %.800s: %s", side->path,
			 strerror(errno));
		return -1;
	}
	return has_run(side->path) ? read_run(side, side->path, error) : read_repeats(side, error);
}

/* ---- What to call them ---- */

/* The last `parts` parts of a path. */
static const char *last_parts(const char *path, unsigned parts)
{
	const char *at = path + strlen(path);
	while (at > path && parts) {
		at--;
		if (*at == '/' && --parts == 0)
			return at + 1;
	}
	return path;
}

/* NAME=PATH, unless all of it is a path, or what is before '=' is. */
static void take_argument(struct compare_side *side, const char *argument)
{
	const char *sign = strchr(argument, '=');
	const char *slash = strchr(argument, '/');
	if (sign && sign > argument && sign[1] && (!slash || slash > sign) && access(argument, F_OK) < 0) {
		size_t bytes = (size_t)(sign - argument);
		side->label = report_copy_start(argument, bytes < LABEL_BYTES_MAX ? bytes : LABEL_BYTES_MAX);
		argument = sign + 1;
	}
	size_t bytes = strlen(argument);
	while (bytes > 1 && argument[bytes - 1] == '/')
		bytes--;
	side->path = report_copy_start(argument, bytes);
}

/* "." and ".." say nothing: where they lead does. On the heap. */
static char *telling_path(const char *path)
{
	const char *base = last_parts(path, 1);
	char *whole = !strcmp(base, ".") || !strcmp(base, "..") ? realpath(path, NULL) : NULL;
	return whole ? whole : report_copy(path);
}

static int is_taken(const struct compare *compare, const char *label, size_t except)
{
	for (size_t i = 0; i < compare->side_count; i++)
		if (i != except && compare->sides[i].label && !strcmp(compare->sides[i].label, label))
			return 1;
	return 0;
}

/* Equal paths cannot be told apart by their ends. */
static int same_end(char *const *paths, size_t count, size_t index, unsigned parts)
{
	for (size_t i = 0; i < count; i++)
		if (paths[i] && strcmp(paths[i], paths[index]) != 0 &&
		    !strcmp(last_parts(paths[i], parts), last_parts(paths[index], parts)))
			return 1;
	return 0;
}

/* The shortest ends of the paths that differ; the same path twice is told apart by a number. */
static void name_sides(struct compare *compare)
{
	char *paths[COMPARE_SIDES_MAX] = { NULL };
	for (size_t i = 0; i < compare->side_count; i++)
		if (!compare->sides[i].label)
			paths[i] = telling_path(compare->sides[i].path);
	for (size_t i = 0; i < compare->side_count; i++) {
		unsigned parts = 1;
		if (!paths[i])
			continue;
		while (same_end(paths, compare->side_count, i, parts) &&
		       last_parts(paths[i], parts) != paths[i])
			parts++;
		char label[FOLDER_BYTES_MAX];
		int bytes = snprintf(label, LABEL_BYTES_MAX, "%s", last_parts(paths[i], parts));
		if (bytes >= LABEL_BYTES_MAX)
			bytes = LABEL_BYTES_MAX - 1;
		for (unsigned number = 2; is_taken(compare, label, i); number++)
			snprintf(label + bytes, sizeof label - (size_t)bytes, " (%u)", number);
		compare->sides[i].label = report_copy(label);
	}
	for (size_t i = 0; i < compare->side_count; i++)
		free(paths[i]);
}

static int check_labels(const struct compare *compare, char error[static REPORT_ERROR_BYTES_MAX])
{
	for (size_t i = 0; i < compare->side_count; i++) {
		if (!compare->sides[i].label || !is_taken(compare, compare->sides[i].label, i))
			continue;
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "two sides are called %.200s; give them different names", compare->sides[i].label);
		return -1;
	}
	return 0;
}

/* A side of which the baseline has nothing would stand beside empty columns. */
static int check_kinds(const struct compare *compare, char error[static REPORT_ERROR_BYTES_MAX])
{
	unsigned has[COMPARE_SIDES_MAX] = { 0 };
	for (size_t i = 0; i < compare->side_count; i++) {
		const struct compare_side *side = &compare->sides[i];
		for (size_t k = 0; k < side->run_count; k++) {
			const struct compare_run *run = &side->runs[k];
			has[i] |= run->profiles[COMPARE_CPU] ? 1u : 0;
			has[i] |= run->profiles[COMPARE_HEAP_MID] || run->profiles[COMPARE_HEAP_END] ? 2u : 0;
			has[i] |= run->recorded ? 4u : 0;
		}
		if (has[i] & has[0])
			continue;
		static const char *const words[] = { "nothing", "a CPU profile", "a heap profile",
						     "CPU and heap profiles" };
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "%.300s has %s and %.300s has %s: there is nothing to compare; name profiles of the "
			 "same kind, or run folders",
			 compare->sides[0].path, has[0] & 3 ? words[has[0] & 3] : "only run.json", side->path,
			 has[i] & 3 ? words[has[i] & 3] : "only run.json");
		return -1;
	}
	return 0;
}

int compare_read(struct compare *compare, char *const *arguments, size_t count,
		 char error[static REPORT_ERROR_BYTES_MAX])
{
	if (count < 2 || count > COMPARE_SIDES_MAX) {
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "compare takes from two to %d run folders or pprof files, not %zu",
			 COMPARE_SIDES_MAX, count);
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		take_argument(&compare->sides[compare->side_count++], arguments[i]);
	if (check_labels(compare, error) < 0)
		return -1;
	name_sides(compare);
	for (size_t i = 0; i < count; i++) {
		struct compare_side *side = &compare->sides[i];
		side->first = compare->run_count;
		if (read_side(side, error) < 0)
			return -1;
		compare->run_count += side->run_count;
	}
	return check_kinds(compare, error);
}

void compare_forget(struct compare *compare)
{
	for (size_t i = 0; i < compare->side_count; i++) {
		struct compare_side *side = &compare->sides[i];
		for (size_t k = 0; k < side->run_count; k++) {
			for (int file = 0; file < COMPARE_FILE_COUNT; file++) {
				frames_destroy(side->runs[k].frames[file]);
				pprof_destroy(side->runs[k].profiles[file]);
			}
			run_json_destroy(side->runs[k].record);
			free(side->runs[k].path);
		}
		free(side->runs);
		free(side->label);
		free(side->path);
	}
	for (size_t i = 0; i < TABLE_COUNT; i++)
		compare_clear(&compare->tables[i]);
	for (size_t i = 0; i < compare->notice_count; i++)
		free(compare->notices[i]);
	free(compare->notices);
}
