/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_command.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "report/report.h"

/* When FOLDER/NAME was written, in nanoseconds; 0: it is not there. */
static int64_t written_ns(const char *folder, const char *name)
{
	char path[4200];
	struct stat status;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (stat(path, &status) < 0)
		return 0;
	return status.st_mtim.tv_sec * INT64_C(1000000000) + status.st_mtim.tv_nsec;
}

int report_command(int argc, char **argv)
{
	static const char *const names[] = { "report.html", "cpu.svg", "heap.svg", "offcpu.svg" };
	enum { NAME_COUNT = sizeof names / sizeof *names };
	char error[REPORT_ERROR_BYTES_MAX];
	int64_t before_ns[NAME_COUNT];
	if (argc == 2 && (strcmp(argv[1], "-help") == 0 || strcmp(argv[1], "--help") == 0)) {
		puts("usage: akamai-prof report DIR\n"
		     "\n"
		     "Draws a run's pictures from the run.json and the *.pprof files in its folder: "
		     "report.html and flame\n"
		     "graphs (SVG). Every profiling run does so by itself; this is for later, and for files "
		     "of other\n"
		     "tools. Prints the files that it wrote.\n"
		     "\n"
		     "exit status: 0 done, 1 failure, 2 wrong usage");
		return 0;
	}
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "akamai-prof: report wants one folder: akamai-prof report DIR\n");
		return 2;
	}
	for (size_t i = 0; i < NAME_COUNT; i++)
		before_ns[i] = written_ns(argv[1], names[i]);
	if (report_write(argv[1], error) < 0) {
		fprintf(stderr, "akamai-prof: %s\n", error);
		return 1;
	}
	for (size_t i = 0; i < NAME_COUNT; i++)
		if (written_ns(argv[1], names[i]) > before_ns[i])
			printf("%s/%s\n", argv[1], names[i]);
	return 0;
}
