/* SPDX-License-Identifier: Apache-2.0
 *
 * report_write() over folders that lack things, or hold what they should not.
 */
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/report.h"
#include "report/run_json.h"
#include "report/text.h"
#include "test.h"

struct folder {
	char path[64];
};

static struct folder folder_make(void)
{
	struct folder folder = { "/tmp/akamai-prof-report-XXXXXX" };
	NE(mkdtemp(folder.path), NULL);
	return folder;
}

static const char *path_in(const struct folder *folder, const char *name, char path[static 256])
{
	snprintf(path, 256, "%s/%s", folder->path, name);
	return path;
}

static void file_write(const struct folder *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file = fopen(path_in(folder, name, path), "w");
	NE(file, NULL);
	fputs(text, file);
	EQ(fclose(file), 0);
}

/* On the heap; NULL when it is not there. */
static char *file_read(const struct folder *folder, const char *name)
{
	char path[256];
	FILE *file = fopen(path_in(folder, name, path), "r");
	if (!file)
		return NULL;
	char *text = calloc(1, 1 << 22);
	size_t bytes = fread(text, 1, (1 << 22) - 1, file);
	GT(bytes, 0);
	fclose(file);
	return text;
}

static void profile_write(const struct folder *folder, const char *name, const char *type, const char *unit,
			  int64_t value)
{
	struct pprof *profile = pprof_create();
	struct pprof_function function = { .name = pprof_string(profile, "busy_function") };
	char path[256], error[PPROF_ERROR_BYTES_MAX];
	pprof_add_value_type(profile, type, unit);
	struct pprof_mapping mapping = { .filename = pprof_string(profile, "/usr/bin/program"),
					 .limit = 1 << 20 };
	uint32_t mapping_id = pprof_add_mapping(profile, &mapping);
	struct pprof_line line = { .function_id = pprof_add_function(profile, &function) };
	uint32_t location = pprof_add_location(profile, mapping_id, 64, &line, 1);
	pprof_add_sample(profile, &location, 1, NULL, 0, &value);
	EQ(pprof_write(profile, path_in(folder, name, path), error), 0);
	pprof_destroy(profile);
}

/* Nothing half-written stays. */
static void folder_remove(struct folder *folder)
{
	DIR *listing = opendir(folder->path);
	int left_over = 0;
	for (struct dirent *entry; (entry = readdir(listing));) {
		char path[PATH_MAX];
		snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
		left_over |= strstr(entry->d_name, ".new") != NULL;
		if (entry->d_name[0] != '.' && unlink(path) < 0)
			rmdir(path);
	}
	closedir(listing);
	EQ(rmdir(folder->path), 0);
	EQ(left_over, 0);
}

static void a_folder_of_no_run_is_an_error(void)
{
	char error[REPORT_ERROR_BYTES_MAX];
	struct folder folder = folder_make();
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, folder.path);
	HAS_TEXT(error, "is not the folder of a run");
	folder_remove(&folder);
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, "No such file or directory");
	HAS_TEXT(error, folder.path);
}

static void a_name_too_long_is_an_error(void)
{
	char error[REPORT_ERROR_BYTES_MAX], name[5000];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	EQ(report_write(name, error), -1);
	HAS_TEXT(error, "4999 bytes");
}

static void a_run_without_profiles_has_a_page(void)
{
	char error[REPORT_ERROR_BYTES_MAX] = "";
	struct folder folder = folder_make();
	file_write(&folder, "run.json",
		   "{\"version\":1,\"program\":\"akamai-direct-prof\",\"totals\":{\"events\":2000000,\"cpu_"
		   "seconds\":3,"
		   "\"elapsed_seconds\":4,\"events_per_second\":500000,\"rss_bytes_max\":7000000},"
		   "\"throughput\":[{\"at_seconds\":1,\"events\":500000},{\"at_seconds\":2,\"events\":"
		   "1000000}]}");
	EQ(report_write(folder.path, error), 0);
	char *text = file_read(&folder, "report.html");
	HAS_TEXT(text, "2,000,000");
	HAS_TEXT(text, "500,000");
	HAS_TEXT(text, "1.50"); /* CPU-seconds per million events */
	HAS_TEXT(text, "7.00\u00a0MB");
	HAS_TEXT(text, "Throughput over time");
	HAS_TEXT(text, "This run was not profiled");
	EQ(strstr(text, "Time by stage"), NULL);
	EQ(file_read(&folder, "cpu.svg"), NULL);
	free(text);
	folder_remove(&folder);
}

static void profiles_without_a_run_have_a_page(void)
{
	char error[REPORT_ERROR_BYTES_MAX] = "";
	struct folder folder = folder_make();
	profile_write(&folder, "cpu.pprof", "cpu", "nanoseconds", 1234000000);
	EQ(report_write(folder.path, error), 0);
	char *text = file_read(&folder, "report.html"), *picture = file_read(&folder, "cpu.svg");
	HAS_TEXT(text, "run.json is not there");
	HAS_TEXT(text, "busy_function");
	HAS_TEXT(text, "1.23\u00a0s");
	HAS_TEXT(text, "There is no heap profile");
	HAS_TEXT(text, "There is no off-CPU profile");
	HAS_TEXT(picture, "busy_function");
	EQ(file_read(&folder, "heap.svg"), NULL);
	free(text);
	free(picture);
	folder_remove(&folder);
}

static void damage_is_said_and_is_an_error(void)
{
	char error[REPORT_ERROR_BYTES_MAX] = "", path[256];
	struct folder folder = folder_make();
	file_write(&folder, "run.json", "{\"version\":1,\"totals\":{\"events\":12,]}");
	profile_write(&folder, "cpu_mid.pprof", "cpu", "nanoseconds", 1000);
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, path_in(&folder, "run.json", path));
	HAS_TEXT(error, "damaged at byte 35");
	HAS_TEXT(error, "the report was written without it");
	char *text = file_read(&folder, "report.html");
	HAS_TEXT(text, "damaged at byte 35");
	HAS_TEXT(text, "busy_function");
	free(text);
	file_write(&folder, "run.json", "{}");
	file_write(&folder, "heap_end.pprof", "this is no profile");
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, "heap_end.pprof");
	text = file_read(&folder, "report.html");
	HAS_TEXT(text, "heap_end.pprof");
	HAS_TEXT(text, ">damaged<");
	free(text);
	file_write(&folder, "run.json", "[1,2]");
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, "holds no JSON object");
	file_write(&folder, "run.json", "null");
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, "holds no JSON object");
	folder_remove(&folder);
}

static void an_endless_file_is_refused(void)
{
	char error[REPORT_ERROR_BYTES_MAX] = "", path[256];
	struct folder folder = folder_make();
	file_write(&folder, "run.json", "{");
	EQ(truncate(path_in(&folder, "run.json", path), (off_t)RUN_FILE_BYTES_MAX + 2), 0);
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, "is larger than 64 MB");
	folder_remove(&folder);
}

static void a_page_that_cannot_be_written_is_an_error(void)
{
	char error[REPORT_ERROR_BYTES_MAX] = "", path[256];
	struct folder folder = folder_make();
	file_write(&folder, "run.json", "{}");
	EQ(mkdir(path_in(&folder, "report.html", path), 0700), 0);
	EQ(report_write(folder.path, error), -1);
	HAS_TEXT(error, path);
	HAS_TEXT(error, "Is a directory");
	folder_remove(&folder);
}

/* Every field once with each of these in its place. */
static const char *const odd_values[] = {
	"null",
	"true",
	"\"text\"",
	"\"<b>&\\u0000\\u0007\\ud800\"",
	"-1",
	"1e308",
	"-1e308",
	"NaN",
	"-Infinity",
	"9223372036854775807",
	"18446744073709551615",
	"123456789012345678901234567890",
	"[]",
	"{}",
	"[[[[]]]]",
	"[{}]",
	"[null,1,\"x\"]",
	"{\"a\":{\"b\":[1]}}",
	"0",
};
static const char *const shapes[] = {
	"{\"program\":%s,\"command_line\":%s,\"pid\":%s,\"start_unix\":%s,\"exit_status\":%s,"
	"\"configuration\":%s,"
	"\"host\":%s,\"profiles\":%s}",
	"{\"totals\":%s,\"streams\":%s,\"throughput\":%s,\"profile\":%s,\"confinement\":%s,\"end_reason\":%s,"
	"\"version\":%s,\"program_version\":%s}",
	"{\"totals\":{\"events\":%s,\"events_per_second\":%s,\"cpu_seconds\":%s,\"elapsed_seconds\":%s,"
	"\"requests\":%s,"
	"\"received_bytes\":%s,\"plain_bytes\":%s,\"rss_bytes_max\":%s}}",
	"{\"throughput\":[{\"at_seconds\":%s,\"events\":%s},{\"at_seconds\":1,\"events\":5},{\"at_seconds\":%"
	"s,\"events\":%s,"
	"\"received_bytes\":%s,\"plain_bytes\":%s},%s],\"streams\":[%s]}",
	"{\"profile\":{\"window_ns\":%s,\"window_start_ns\":%s,\"cpu\":%s,\"stacks\":%s,\"off_cpu\":%s,"
	"\"stages\":%s,\"heap\":%s,\"notices\":%s}}",
	"{\"profile\":{\"cpu\":{\"event\":%s,\"hz\":%s,\"samples\":%s,\"cpu_ns\":%s},\"stacks\":{\"user\":%s,"
	"\"complete\":%s,"
	"\"complete_share\":%s,\"stops\":{\"x\":%s}}}}",
	"{\"throughput\":[{\"at_seconds\":5,\"events\":100}],\"profile\":{\"window_ns\":%s,\"window_start_"
	"ns\":%s,"
	"\"stages\":[{\"stage\":%s,\"cpu_ns\":%s,\"blocked_ns\":%s,\"runqueue_ns\":%s},{\"cpu_ns\":7}],"
	"\"page_faults\":%s,\"overhead\":%s}}",
	"{\"profile\":{\"heap\":{\"tracked\":true,\"given_up\":%s,\"rate_bytes\":%s,\"allocators\":%s,"
	"\"hits\":%s,\"snapshots\":"
	"[{\"at_ns\":%s,\"alloc_bytes\":%s},{\"alloc_objects\":%s,\"inuse_bytes\":%s}]},\"overhead\":{"
	"\"program_run_ns\":1}}}",
	"{\"profile\":{\"overhead\":{\"program_run_ns\":%s,\"program_runs\":%s,\"supervisor_cpu_ns\":%s}},"
	"\"confinement\":{\"user\":%s,"
	"\"user_changed\":%s,\"seccomp\":%s,\"landlock_abi\":%s,\"note\":%s}}",
};

/* A number that is none must not reach the reader. */
static void lacks_odd_numbers(const char *text)
{
	for (const char *at = strstr(text, "<body>"); at && (at = strpbrk(at, ":>\"")); at++) {
		if (!strncmp(at + 1, "nan", 3) || !strncmp(at + 1, "-nan", 4) ||
		    !strncmp(at + 1, "inf%", 4) || !strncmp(at + 1, "-inf", 4))
			FAIL("the page holds %.40s", at);
	}
}

static void odd_types_count_as_absent(void)
{
	struct folder folder = folder_make();
	for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
		for (size_t i = 0; i < sizeof odd_values / sizeof *odd_values; i++) {
			char json[4000], error[REPORT_ERROR_BYTES_MAX] = "";
			const char *odd = odd_values[i];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(json, sizeof json, shapes[shape], odd, odd, odd, odd, odd, odd, odd, odd);
#pragma GCC diagnostic pop
			file_write(&folder, "run.json", json);
			if (report_write(folder.path, error) < 0)
				FAIL("%s: %s", json, error);
			char *text = file_read(&folder, "report.html");
			HAS_TEXT(text, "</html>");
			EQ(strstr(text, "<b>&\a"), NULL);
			lacks_odd_numbers(text);
			free(text);
		}
	}
	folder_remove(&folder);
}

static void a_recorded_process_is_the_title(void)
{
	char error[REPORT_ERROR_BYTES_MAX] = "";
	struct folder folder = folder_make();
	file_write(
		&folder, "run.json",
		"{\"version\":1,\"program\":\"akamai-prof\",\"command\":\"record\",\"command_line\":[\"/bin/"
		"sh\",\"-c\",\"<b>echo\"],\"pid\":77,\"profile\":{\"stages\":[{\"stage\":\"none\",\"cpu_ns\":"
		"5}]}}");
	EQ(report_write(folder.path, error), 0);
	char *text = file_read(&folder, "report.html");
	HAS_TEXT(text, "<h1>/bin/sh -c &lt;b&gt;echo (pid 77)</h1>");
	EQ(strstr(text, "Events per second"), NULL);
	EQ(strstr(text, "Throughput over time"), NULL);
	EQ(strstr(text, "Time by stage"), NULL);
	free(text);
	folder_remove(&folder);
}

static void numbers_read_well(void)
{
	static const struct {
		double value;
		const char *unit, *text;
	} cases[] = {
		{ 0, "count", "0" },
		{ 1234567, "count", "1,234,567" },
		{ -1000, "count", "-1,000" },
		{ 999, "bytes", "999_B" },
		{ 999.9, "bytes", "1.00_kB" },
		{ 7106560, "bytes", "7.11_MB" },
		{ 999999, "bytes", "1.00_MB" },
		{ 1e30, "count", "1000000000000_E" },
		{ 0, "nanoseconds", "0_s" },
		{ 999, "nanoseconds", "999_ns" },
		{ 6523, "nanoseconds", "6.52_\u00b5s" },
		{ 1.5e9, "nanoseconds", "1.50_s" },
		{ 99.94e9, "nanoseconds", "99.9_s" },
		{ 119.6e9, "nanoseconds", "2_min 00_s" },
		{ 3600e9 * 26 + 59e9, "nanoseconds", "26_h 00_min" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[TEXT_BYTES_MAX], plain[TEXT_BYTES_MAX];
		size_t used = 0;
		text_value(cases[i].value, cases[i].unit, text);
		for (const char *at = text; *at; at++) {
			int is_blank = !strncmp(at, TEXT_NBSP, 2);
			plain[used++] = is_blank ? '_' : *at;
			at += is_blank;
		}
		plain[used] = 0;
		EQ_TEXT(plain, cases[i].text);
	}
	char text[TEXT_BYTES_MAX];
	EQ_TEXT(text_count(INT64_MIN, text), "-9,223,372,036,854,775,808");
	EQ_TEXT(text_share(1, 3, text), "33.3\u00a0%");
	EQ_TEXT(text_share(1, 100000, text), "<0.1\u00a0%");
	EQ_TEXT(text_share(0, 0, text), "0.0\u00a0%");
	EQ_TEXT(text_share(NAN, 1, text), "?");
}

TEST_MAIN(T(a_folder_of_no_run_is_an_error), T(a_name_too_long_is_an_error),
	  T(a_run_without_profiles_has_a_page), T(profiles_without_a_run_have_a_page),
	  T(damage_is_said_and_is_an_error), T(an_endless_file_is_refused),
	  T(a_page_that_cannot_be_written_is_an_error), T(odd_types_count_as_absent),
	  T(a_recorded_process_is_the_title), T(numbers_read_well))
