/* SPDX-License-Identifier: Apache-2.0
 *
 * flame: flame graphs inside a page. Internal to report; the document of its own is in report.h.
 */
#ifndef REPORT_FLAME_H
#define REPORT_FLAME_H

#include "report/report.h"
#include "report/tree.h"

/* An <svg> element without title, style and script: the page has them, once for all its pictures. */
int flame_write_element(const struct pprof *profile, const struct flame_options *options, FILE *out);

/* What a picture of more than one profile says of its frames. */
struct flame_dress {
	const void *owner;
	const char *(*class_of)(const void *owner, uint32_t node);
	/* The lines of the hover text between the name and the module, "\n" before each. */
	void (*tell)(const void *owner, uint32_t node, FILE *out);
};
/* The same of a tree that was laid out. `unit` is that of its values. */
int flame_write_tree(const struct tree *tree, const struct flame_options *options, const char *unit,
		     const struct flame_dress *dress, FILE *out);

#endif
