/* SPDX-License-Identifier: Apache-2.0
 *
 * pictures: which flame graphs a run folder gives. Internal to report.
 */
#ifndef REPORT_PICTURES_H
#define REPORT_PICTURES_H

#include "report/page.h"

#define PICTURES_SUBTITLE_BYTES_MAX 400 /* a sentence */

struct picture_of_run {
	const char *id;	       /* of the figure in the page */
	const char *file_name; /* of its own SVG, or NULL: in the page only */
	const char *missing;   /* a sentence for when there is no profile */
	enum page_source source;
	struct flame_options options;
	char subtitle[PICTURES_SUBTITLE_BYTES_MAX];
};

enum { PICTURE_COUNT = 6 };

/* Fills the `index`th picture. 1, or 0 when its profile is not there (then only the words are filled). */
int picture_of(const struct page *page, size_t index, struct picture_of_run *ret_picture);

#endif
