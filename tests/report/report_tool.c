/* SPDX-License-Identifier: Apache-2.0
 *
 * The report room on the command line, for report_test.py.
 *
 * usage: report_tool report FOLDER | flame FILE TYPE LABEL | folded FILE TYPE
 *	an empty LABEL is none
 */
#include <stdio.h>
#include <string.h>

#include "report/report.h"

int main(int argc, char **argv)
{
	char error[REPORT_ERROR_BYTES_MAX] = "";
	if (argc == 3 && !strcmp(argv[1], "report")) {
		int code = report_write(argv[2], error);
		if (code < 0)
			fprintf(stderr, "%s\n", error);
		return code < 0;
	}
	if (argc < 4) {
		fprintf(stderr,
			"usage: report_tool report FOLDER | flame FILE TYPE LABEL | folded FILE TYPE\n");
		return 2;
	}
	struct pprof *profile = pprof_read(argv[2], error);
	if (!profile) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	struct flame_options options = { .title = argv[3],
					 .subtitle = "",
					 .value_index = pprof_value_index(profile, argv[3]) };
	if (argc > 4 && *argv[4])
		options.label = argv[4];
	int code = !strcmp(argv[1], "folded") ? folded_write(profile, options.value_index, stdout)
					      : flame_write(profile, &options, stdout);
	pprof_destroy(profile);
	return code < 0;
}
