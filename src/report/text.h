/* SPDX-License-Identifier: Apache-2.0
 *
 * text: what stands in a picture or a page. Escaping of hostile text, and numbers for people. Internal to
 * report. Any thread.
 */
#ifndef REPORT_TEXT_H
#define REPORT_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_BYTES_MAX 48 /* the longest number with its unit has 30 */

/* Non-breaking, so that a number is not parted from its unit. */
#define TEXT_NBSP "\u00a0"

/* `text` for XML and HTML, in elements and in quoted attributes: & < > " ' as entities, control characters as
 * their pictures (U+2400 and up), what is not UTF-8 or turns the direction of writing as U+FFFD. At most
 * `columns_max` columns; longer text ends in an ellipsis. */
void text_escape(FILE *out, const char *text, size_t columns_max);
#define TEXT_WHOLE SIZE_MAX
/* The same characters without markup, for a terminal. */
void text_plain(FILE *out, const char *text, size_t columns_max);
/* The same inside a code span of a Markdown table's cell. */
void text_markdown(FILE *out, const char *text);
/* Inside a JSON string (RFC 8259); what is not UTF-8 becomes U+FFFD. */
void text_json(FILE *out, const char *text);
/* Columns of a fixed-width font that the whole takes. */
size_t text_columns(const char *text);

/* Each writes into `text` and returns it. */
char *text_count(int64_t number, char text[static TEXT_BYTES_MAX]);	       /* 1,234,567 */
char *text_short(double number, char text[static TEXT_BYTES_MAX]);	       /* 1.23 M */
char *text_bytes(double bytes, char text[static TEXT_BYTES_MAX]);	       /* 7.11 MB */
char *text_duration(double ns, char text[static TEXT_BYTES_MAX]);	       /* 12.3 ms */
char *text_share(double part, double whole, char text[static TEXT_BYTES_MAX]); /* 45.6 % */
/* By the unit of a pprof value type: "nanoseconds", "bytes", else a count. */
char *text_value(double value, const char *unit, char text[static TEXT_BYTES_MAX]);

/* The part behind the last '/'. */
const char *text_base_name(const char *path);

#endif
