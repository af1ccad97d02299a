/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compare_command.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/flags.h"
#include "report/compare.h"

struct compare_settings {
	int format;
	int64_t top_count;
	const char *page_path;
};

static const struct flag flags[] = {
	{ .name = "format",
	  .kind = FLAG_CHOICE,
	  .offset = offsetof(struct compare_settings, format),
	  .choices = "text|markdown|json",
	  .help = "what the tables are written as (text)" },
	{ .name = "top",
	  .kind = FLAG_INTEGER,
	  .offset = offsetof(struct compare_settings, top_count),
	  .argument = "N",
	  .minimum = 1,
	  .maximum = COMPARE_TOP_MAX,
	  .help = "functions a table (20)" },
	{ .name = "html",
	  .kind = FLAG_TEXT,
	  .offset = offsetof(struct compare_settings, page_path),
	  .argument = "FILE",
	  .help = "also write a page with flame graphs side by side and the differences in colour" },
};
enum { FLAG_COUNT = sizeof flags / sizeof *flags };

static void compare_help(void)
{
	puts("usage: akamai-prof compare [flags] [NAME=]DIR|FILE [NAME=]DIR|FILE ...\n"
	     "\n"
	     "Runs side by side: throughput, CPU by package, stage and function, live heap, allocations and\n"
	     "memory, each with the difference to the first one, and whether that is more than noise. DIR "
	     "is\n"
	     "the folder of a run, or a folder of folders of repeated runs, which count as one by their "
	     "medians.\n"
	     "FILE is a CPU or heap profile of any tool that writes pprof files, such as Go.\n"
	     "\n"
	     "flags:");
	flags_print_help(flags, FLAG_COUNT);
	puts("\nexit status: 0 done, 1 failure, 2 wrong usage");
}

static int has_colour(void)
{
	const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
	return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0 &&
	       !(no_colour && *no_colour);
}

int compare_command(int argc, char **argv)
{
	struct compare_settings settings = { .format = COMPARE_TEXT, .top_count = 20 };
	char error[REPORT_ERROR_BYTES_MAX];
	size_t count;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "--help") == 0) {
			compare_help();
			return 0;
		}
	}
	char **operands = calloc((size_t)argc, sizeof *operands);
	if (!operands) {
		fprintf(stderr, "akamai-prof: out of memory\n");
		return 1;
	}
	int status = 0;
	if (flags_parse_operands(flags, FLAG_COUNT, argc, argv, &settings, operands, &count, error) < 0) {
		fprintf(stderr, "akamai-prof: compare: %s\n", error);
		status = 2;
	}
	if (status == 0 && (count < 2 || count > COMPARE_SIDES_MAX)) {
		fprintf(stderr,
			"akamai-prof: compare wants from two to %d run folders or pprof files: "
			"akamai-prof compare DIR DIR (-help tells more)\n",
			COMPARE_SIDES_MAX);
		status = 2;
	}
	struct compare_options options = {
		.format = (enum compare_format)settings.format,
		.colour = settings.format == COMPARE_TEXT && has_colour(),
		.top_count = (size_t)settings.top_count,
		.page_path = settings.page_path,
	};
	if (status == 0 && compare_write(operands, count, &options, stdout, error) < 0) {
		fprintf(stderr, "akamai-prof: %s\n", error);
		status = 1;
	}
	free(operands);
	return status;
}
