/* SPDX-License-Identifier: Apache-2.0
 *
 * flame: flame graphs inside a page. Internal to report; the document of its own is in report.h.
 */
#ifndef REPORT_FLAME_H
#define REPORT_FLAME_H

#include "report/report.h"

/* An <svg> element without title, style and script: the page has them, once for all its pictures. */
int flame_write_element(const struct pprof *profile, const struct flame_options *options, FILE *out);

#endif
