/* SPDX-License-Identifier: Apache-2.0
 *
 * A run folder in, pictures and a page out. What is missing is said in the page; what is there but damaged is
 * said there, too, and is an error, after everything else has been written.
 */
#include "report/report.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "report/page.h"
#include "report/pictures.h"

static_assert(REPORT_ERROR_BYTES_MAX >= PPROF_ERROR_BYTES_MAX, "a profile's sentence goes into the page");

enum { PATH_BYTES_MAX = 4400, FOLDER_BYTES_MAX = 4096 };

/* A collector's files and those of `record`. */
static const char *const file_names[PAGE_SOURCE_COUNT][2] = {
	[PAGE_CPU] = { "cpu_mid.pprof", "cpu.pprof" },
	[PAGE_OFF_CPU] = { "offcpu_mid.pprof", "offcpu.pprof" },
	[PAGE_HEAP_MID] = { "heap_mid.pprof", NULL },
	[PAGE_HEAP_END] = { "heap_end.pprof", "heap.pprof" },
	[PAGE_FAULTS] = { "faults.pprof", NULL },
	[PAGE_MAPPINGS] = { "mappings.pprof", NULL },
};

static void read_profile(const char *folder, const char *const names[2], struct page_profile *source)
{
	source->name = names[0];
	for (int i = 0; i < 2 && names[i]; i++) {
		char path[PATH_BYTES_MAX];
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		if (access(path, F_OK) < 0)
			continue;
		source->name = names[i];
		source->profile = pprof_read(path, source->problem);
		if (source->profile) {
			source->problem[0] = 0;
			source->frames = frames_create(source->profile);
		}
		return;
	}
}

static void place_window(struct page *page)
{
	const struct run_profile *profile = &page->run->profile;
	const struct pprof *cpu = page->profiles[PAGE_CPU].profile;
	page->window_start_seconds = page->window_seconds = page->window_events = NAN;
	if (profile->window_ns > 0)
		page->window_seconds = (double)profile->window_ns / 1e9;
	else if (cpu && cpu->duration_ns > 0)
		page->window_seconds = (double)cpu->duration_ns / 1e9;
	if (profile->window_start_ns < 0 || isnan(page->window_seconds))
		return;
	page->window_start_seconds = (double)profile->window_start_ns / 1e9;
	page->window_events = run_events_at(page->run, page->window_start_seconds + page->window_seconds) -
			      run_events_at(page->run, page->window_start_seconds);
}

/* Sets `error` when the folder cannot be reported on at all. */
static int page_read(struct page *page, const char *folder, char error[static REPORT_ERROR_BYTES_MAX])
{
	char path[PATH_BYTES_MAX];
	int any = 0;
	page->folder = folder;
	if (strlen(folder) >= FOLDER_BYTES_MAX) {
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "the name of the folder has %zu bytes; at most %d are possible", strlen(folder),
			 FOLDER_BYTES_MAX - 1);
		return -1;
	}
	struct stat status;
	int code = stat(folder, &status) < 0 ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
	if (!code && access(folder, R_OK | W_OK | X_OK) < 0)
		code = errno;
	if (code) {
		snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot write a report into %.800s: %s", folder,
			 strerror(code));
		return -1;
	}
	snprintf(path, sizeof path, "%s/run.json", folder);
	page->run = run_json_read(path, &page->run_missing, page->run_problem);
	any |= page->run != NULL || !page->run_missing;
	if (page->run_missing)
		page->run_problem[0] = 0;
	if (!page->run)
		page->run = run_json_nothing();
	for (int i = 0; i < PAGE_SOURCE_COUNT; i++) {
		read_profile(folder, file_names[i], &page->profiles[i]);
		any |= page->profiles[i].profile || *page->profiles[i].problem;
	}
	if (!any) {
		snprintf(error, REPORT_ERROR_BYTES_MAX,
			 "%.800s holds neither run.json nor profiles (cpu_mid.pprof, heap_end.pprof ...): it "
			 "is not the folder of a run",
			 folder);
		return -1;
	}
	place_window(page);
	return 0;
}

static void page_forget(struct page *page)
{
	for (int i = 0; i < PAGE_SOURCE_COUNT; i++) {
		frames_destroy(page->profiles[i].frames);
		pprof_destroy(page->profiles[i].profile);
	}
	run_json_destroy(page->run);
}

static int write_file(struct page *page, const char *name,
		      int (*write)(struct page *page, const void *what, FILE *out), const void *what,
		      char error[static REPORT_ERROR_BYTES_MAX])
{
	struct file_beside file;
	char path[PATH_BYTES_MAX];
	snprintf(path, sizeof path, "%s/%s", page->folder, name);
	int code = file_beside_begin(&file, path);
	if (!code) {
		errno = 0;
		int failed = write(page, what, file.out) < 0;
		code = file_beside_end(&file, !failed ? 0 : errno ? -errno : -EIO);
	}
	if (code)
		snprintf(error, REPORT_ERROR_BYTES_MAX, "cannot write %.800s: %s", path, strerror(-code));
	return code ? -1 : 0;
}

static int write_document(struct page *page, const void *what, FILE *out)
{
	(void)what;
	page->out = out;
	return page_write(page);
}

static int write_picture(struct page *page, const void *what, FILE *out)
{
	const struct picture_of_run *picture = what;
	return flame_write(page->profiles[picture->source].profile, &picture->options, out);
}

static int write_all(struct page *page, char error[static REPORT_ERROR_BYTES_MAX])
{
	for (size_t i = 0; i < PICTURE_COUNT; i++) {
		struct picture_of_run picture;
		if (picture_of(page, i, &picture) && picture.file_name &&
		    write_file(page, picture.file_name, write_picture, &picture, error) < 0)
			return -1;
	}
	return write_file(page, "report.html", write_document, NULL, error);
}

/* The first thing that was there but could not be read. */
static int say_damage(const struct page *page, char error[static REPORT_ERROR_BYTES_MAX])
{
	const char *problem = page->run_problem;
	for (int i = 0; i < PAGE_SOURCE_COUNT && !*problem; i++)
		problem = page->profiles[i].problem;
	if (!*problem)
		return 0;
	snprintf(error, REPORT_ERROR_BYTES_MAX, "%.900s; the report was written without it", problem);
	return -1;
}

int report_write(const char *folder, char error[static REPORT_ERROR_BYTES_MAX])
{
	struct page page = { 0 };
	int code = page_read(&page, folder, error);
	if (code == 0)
		code = write_all(&page, error);
	if (code == 0)
		code = say_damage(&page, error);
	page_forget(&page);
	return code;
}
